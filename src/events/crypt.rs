//! Who pushed a body, and what is in an encrypted one. Sources:
//! [encryption](https://developers.weixin.qq.com/doc/subscription/guide/dev/push/encryption.md),
//! [technical plan](https://developers.weixin.qq.com/doc/oplatform/Third-party_Platforms/2.0/api/Before_Develop/Technical_Plan.html).
//!
//! A signature is the SHA-1 of the sorted, joined token, time and chance, and of the encrypted text where there is one. The
//! text is AES-256-CBC, padded to 32 bytes, of 16 bytes of chance, the length of the message, the message, and the AppID.

use std::fmt;

use aes::{
    Aes256,
    cipher::{BlockCipherDecrypt as _, KeyInit as _},
};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use subtle::ConstantTimeEq as _;

use super::base64;
use crate::{limits, redact::Secret};

const BLOCK: usize = 16;
/// Bytes of chance before the length of the message.
const CHANCE: usize = 16;
/// Bytes that tell the length of the message.
const LENGTH: usize = 4;
/// What is padded is a multiple of this.
const PADDED: u8 = 32;

/// The key that an EncodingAESKey stands for; nothing shows it.
#[derive(Clone)]
pub struct AesKey([u8; 32]);

impl fmt::Debug for AesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl AesKey {
    /// None if it is not 43 characters of Base64. The last of them may have bits that mean nothing: the console makes such keys.
    pub fn parse(encoded: &Secret) -> Option<Self> {
        let text = encoded.expose();
        if text.len() != limits::AES_KEY_CHARS {
            return None;
        }
        base64::decode(&format!("{text}=")).and_then(|bytes| bytes.try_into().ok()).map(Self)
    }

    /// The message in an encrypted text, for this account; none whatever is wrong, so that nobody learns which part it is.
    fn open(&self, encrypted: &[u8], appid: &str) -> Option<Vec<u8>> {
        let (blocks, rest) = encrypted.as_chunks::<BLOCK>();
        if blocks.is_empty() || !rest.is_empty() {
            return None;
        }
        let cipher = Aes256::new(&self.0.into());
        let mut before: [u8; BLOCK] = self.0[..BLOCK].try_into().ok()?;
        let mut plain = Vec::with_capacity(encrypted.len());
        for block in blocks {
            let mut bytes = (*block).into();
            cipher.decrypt_block(&mut bytes);
            plain.extend(bytes.iter().zip(before).map(|(byte, before)| byte ^ before));
            before = *block;
        }
        let padding = *plain.last()?;
        let end = plain.len().checked_sub(usize::from(padding))?;
        if !(1..=PADDED).contains(&padding) || plain[end..].iter().any(|byte| *byte != padding) {
            return None;
        }
        let told = plain.get(CHANCE..CHANCE + LENGTH)?;
        let length = usize::try_from(u32::from_be_bytes(told.try_into().ok()?)).ok()?;
        let begin = CHANCE + LENGTH;
        let message = plain[..end].get(begin..begin.checked_add(length)?)?;
        (plain[begin + length..end] == *appid.as_bytes()).then(|| message.to_vec())
    }
}

/// Token and key of an account, each with the one before it if that may still be used.
#[derive(Debug, Clone)]
pub struct Keys {
    /// The one in use first.
    pub tokens: Vec<Secret>,
    /// The one in use first; none if nothing is encrypted.
    pub aes: Vec<AesKey>,
}

/// What stands behind the `?` of a push.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    pub signature: String,
    /// Covers the encrypted text too.
    pub msg_signature: String,
    pub timestamp: String,
    pub nonce: String,
    /// What is to be said back when the address is checked.
    pub echostr: Option<String>,
}

impl Query {
    /// Reads `signature=...&timestamp=...`; what is not known is nothing to us, and of what is there twice the first counts.
    pub fn parse(text: &str) -> Self {
        let mut query = Self::default();
        let mut seen: Vec<&str> = Vec::new();
        for (name, value) in text.trim_start_matches('?').split('&').filter_map(|pair| pair.split_once('=')) {
            if seen.contains(&name) {
                continue;
            }
            let field = match name {
                "signature" => &mut query.signature,
                "msg_signature" => &mut query.msg_signature,
                "timestamp" => &mut query.timestamp,
                "nonce" => &mut query.nonce,
                "echostr" => query.echostr.insert(String::new()),
                _ => continue,
            };
            *field = unescaped(value);
            seen.push(name);
        }
        query
    }
}

/// `%41` and `+` as what they stand for; what is no escape stays.
fn unescaped(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let [first, after @ ..] = rest {
        rest = after;
        let hex = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        bytes.push(match (first, after) {
            (b'%', [high, low, after @ ..]) => match hex(*high).zip(hex(*low)) {
                Some((high, low)) => {
                    rest = after;
                    high << 4 | low
                }
                None => b'%',
            },
            (b'+', _) => b' ',
            _ => *first,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Keys {
    /// Whether somebody who knows the token made this query.
    pub fn signed(&self, query: &Query) -> bool {
        self.made(&query.signature, &[&query.timestamp, &query.nonce])
    }

    /// Whether somebody who knows the token made this query for this encrypted text.
    pub(super) fn signed_text(&self, query: &Query, encrypted: &str) -> bool {
        self.made(&query.msg_signature, &[&query.timestamp, &query.nonce, encrypted])
    }

    fn made(&self, signature: &str, parts: &[&str]) -> bool {
        // Every token is tried, whichever is right.
        self.tokens.iter().fold(false, |made, token| {
            let own = sign(&[&[token.expose()], parts].concat());
            made | bool::from(own.as_bytes().ct_eq(signature.as_bytes()))
        })
    }

    /// The message in an encrypted text; none whatever is wrong.
    pub(super) fn open(&self, encrypted: &str, appid: &str) -> Option<Vec<u8>> {
        let encrypted = base64::decode(encrypted.trim())?;
        self.aes.iter().find_map(|key| key.open(&encrypted, appid))
    }
}

/// The signature of some texts, in lower-case hexadecimal digits.
fn sign(parts: &[&str]) -> String {
    let mut parts = parts.to_vec();
    parts.sort_unstable();
    let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, parts.concat().as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
