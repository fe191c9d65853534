//! What goes into messages.

pub(crate) mod address;
pub(crate) mod article;
pub(crate) mod hosts;
pub(crate) mod media;
pub(crate) mod pin;
pub mod template;
pub(crate) mod words;
