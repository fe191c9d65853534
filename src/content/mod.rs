//! What goes into messages.

pub mod article;
pub mod media;
pub mod template;
