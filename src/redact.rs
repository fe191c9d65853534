//! Secrets are a type from the moment they are read.

use std::fmt;

/// A value that no output shows: `Debug` prints asterisks, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a secret in.
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// The value, for the wire only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Removes known secrets from words that came from outside (a server may echo what it was sent).
#[derive(Debug, Clone, Default)]
pub struct Redactor {
    secrets: Vec<Secret>,
}

impl Redactor {
    /// Short values are left alone: replacing every `a` would mangle the text and hide nothing.
    const SHORTEST: usize = 6;

    /// Remembers a secret.
    pub fn learn(&mut self, secret: &Secret) {
        if secret.0.len() >= Self::SHORTEST && !self.secrets.contains(secret) {
            self.secrets.push(secret.clone());
        }
    }

    /// The text without any secret known.
    pub fn clean(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(&secret.0, "***"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print() {
        let secret = Secret::new("hunter2-hunter2".into());
        assert_eq!(format!("{secret:?}"), "***");
        let mut redactor = Redactor::default();
        redactor.learn(&secret);
        redactor.learn(&Secret::new("a".into()));
        assert_eq!(redactor.clean("a token hunter2-hunter2 is bad"), "a token *** is bad");
    }
}
