//! What goes into messages.

pub(crate) mod article;
pub(crate) mod media;
pub mod template;
