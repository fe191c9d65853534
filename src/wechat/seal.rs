//! Seals a secret with another one: who has that can open it, who has not cannot, and no key is kept anywhere.

use std::fmt::Write as _;

use ring::{
    aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    error::Unspecified,
    hkdf::{HKDF_SHA256, Salt},
    rand::{SecureRandom as _, SystemRandom},
};

use crate::{locale::Phrase, redact::Secret};

/// The key that a secret makes for a purpose.
fn key(secret: &Secret, purpose: &str) -> Option<LessSafeKey> {
    let salt = Salt::new(HKDF_SHA256, b"qunfa");
    let info = [purpose.as_bytes()];
    let drawn = salt.extract(secret.expose().as_bytes());
    let made = drawn.expand(&info, &CHACHA20_POLY1305).ok()?;
    Some(LessSafeKey::new(UnboundKey::from(made)))
}

/// The text in hexadecimal digits: a random nonce, and what it became. It opens only with what it is bound to.
pub(crate) fn seal(secret: &Secret, purpose: &str, bound: &str, text: &Secret) -> Result<String, Phrase> {
    // Only a system without random numbers comes here.
    let failed = || Phrase::verbatim(Unspecified.to_string());
    let mut nonce = [0; NONCE_LEN];
    SystemRandom::new().fill(&mut nonce).map_err(|_| failed())?;
    let mut bytes = text.expose().as_bytes().to_vec();
    let aad = Aad::from(bound.as_bytes());
    let key = key(secret, purpose).ok_or_else(failed)?;
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut bytes).map_err(|_| failed())?;
    Ok(nonce.iter().chain(&bytes).fold(String::new(), |mut digits, byte| {
        let _ = write!(digits, "{byte:02x}");
        digits
    }))
}

/// The text that was sealed; none if it was with another secret, for another purpose, bound to anything else, or is damaged.
pub(crate) fn open(secret: &Secret, purpose: &str, bound: &str, sealed: &str) -> Option<Secret> {
    let digits = sealed.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|_| pair.len() == 2)?, 16).ok();
    let bytes: Vec<u8> = digits.map(byte).collect::<Option<_>>()?;
    let (nonce, sealed) = bytes.split_at_checked(NONCE_LEN)?;
    let (nonce, mut sealed) = (Nonce::try_assume_unique_for_key(nonce).ok()?, sealed.to_vec());
    let opened = key(secret, purpose)?.open_in_place(nonce, Aad::from(bound.as_bytes()), &mut sealed).ok()?;
    String::from_utf8(opened.to_vec()).ok().map(Secret::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.into())
    }

    #[test]
    fn what_is_sealed_opens_with_the_same_secret_alone() {
        let (own, text) = (secret("a secret of the platform"), secret("refreshtoken@@@abc"));
        let sealed = seal(&own, "p", "x\0y", &text).expect("sealed");
        assert!(!sealed.contains("refresh") && sealed.len() == 2 * (12 + 18 + 16), "{sealed}");
        assert_ne!(sealed, seal(&own, "p", "x\0y", &text).expect("sealed"), "no nonce is used twice");
        assert_eq!(open(&own, "p", "x\0y", &sealed), Some(text));
        for (secret, purpose, bound) in
            [(secret("another"), "p", "x\0y"), (own.clone(), "q", "x\0y"), (own.clone(), "p", "x\0z")]
        {
            assert_eq!(open(&secret, purpose, bound, &sealed), None);
        }
        for at in 0..sealed.len() {
            let digit = if sealed.as_bytes()[at] == b'0' { "1" } else { "0" };
            let damaged = format!("{}{digit}{}", &sealed[..at], &sealed[at + 1..]);
            assert_eq!(open(&own, "p", "x\0y", &damaged), None, "{at}");
        }
        for garbled in ["", "0", "zz", "春春", &sealed[..24], &sealed[..25], &sealed[2..]] {
            assert_eq!(open(&own, "p", "x\0y", garbled), None, "{garbled}");
        }
    }
}
