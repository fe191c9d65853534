//! The actions of a plan: one file each, and the one list of them.
//!
//! An action knows its fields, its path, its outputs and how its bodies are made.

pub(crate) mod create_draft;
pub(crate) mod publish;
pub(crate) mod send_by_openid;
pub(crate) mod use_draft;

mod check;
mod delete;
mod preview;
mod send_by_tag;
mod set_speed;
mod spec;
mod unpublish;
mod upload_image;
mod upload_material;

pub(crate) use spec::Action;
pub(crate) use spec::Spec;

/// THE list of actions.
pub const ACTIONS: &[&Spec] = &[
    &send_by_tag::SPEC,
    &send_by_openid::SPEC,
    &preview::SPEC,
    &delete::SPEC,
    &check::SPEC,
    &set_speed::SPEC,
    &upload_image::SPEC,
    &upload_material::SPEC,
    &create_draft::SPEC,
    &publish::SPEC,
    &unpublish::SPEC,
    &use_draft::SPEC,
];
