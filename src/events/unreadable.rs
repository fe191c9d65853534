//! Why a body says nothing.

use crate::{
    limits,
    locale::{Count, Phrase, say},
};

/// Why a body says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    TooLarge,
    NotUtf8,
    /// Neither XML nor JSON, or too deep.
    Malformed,
    /// A document type, or an entity that is none of the five.
    Entity,
    /// XML or JSON, and neither an event nor a message.
    NoEvent,
    /// The signature, the encryption or the AppID is wrong; which of them is not said.
    NotGenuine,
    /// It is encrypted, and there is no key.
    NoKey,
    /// It is not encrypted, and should be.
    NotEncrypted,
    /// An event of a job that does not say which.
    NoJob,
}

impl Unreadable {
    /// What a person is told.
    pub fn words(self) -> Phrase {
        match self {
            Self::TooLarge => {
                say!("it is larger than {bytes} bytes", bytes = Count::from(limits::EVENT_BYTES_MAX))
            }
            Self::NotUtf8 => say!("it is not UTF-8"),
            Self::Malformed => say!("it is neither XML nor JSON as WeChat pushes it"),
            Self::Entity => say!("it has a document type or an unknown entity, which WeChat does not send"),
            Self::NoEvent => say!("it is not an event or message of an account"),
            Self::NotGenuine => say!("its signature, its encryption or its AppID is wrong"),
            Self::NoKey => say!("it is encrypted, and the account has no `callback: aes_key`"),
            Self::NotEncrypted => say!("it is not encrypted, although the account has a `callback: aes_key`"),
            Self::NoJob => say!("the event does not name its job"),
        }
    }
}
