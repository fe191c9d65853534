//! What each action declares.

use std::fmt::Debug;

use schemars::{Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{
    content::media::MediaTarget,
    diag::Code,
    locale::say,
    payload::Effect,
    plan::{
        account::AccountKind,
        article::Article,
        ask::{Calls, Fields, FileUse, Holds, Poll},
        message::Message,
        people::PeopleSource,
        value::Template,
    },
    slot::Output,
};

/// What is known of an action without its fields.
#[derive(Debug)]
pub struct Spec {
    /// `action` in the plan.
    pub name: &'static str,
    /// One line for editors and documentation.
    pub(crate) summary: &'static str,
    /// Path of the API.
    pub path: &'static str,
    /// What it does to the world.
    pub effect: Effect,
    /// What later steps can refer to.
    pub outputs: &'static [Output],
    /// Fields of which exactly one must be given.
    pub(crate) exactly_one: &'static [&'static str],
    /// The only kind of account that may use it.
    pub only: Option<AccountKind>,
    /// Whether `timeout` is a field of its own, and not that of one request, which all steps share.
    pub own_timeout: bool,
    /// Of its fields.
    pub(crate) schema: fn(&mut SchemaGenerator) -> Schema,
    /// Reads its fields.
    pub read: fn(Value) -> Result<Box<dyn Action>, Misread>,
}

/// A place below the fields of an action, and what is wrong there.
type Misread = serde_path_to_error::Error<serde_json::Error>;

/// An action with its fields. It does no IO: what it needs from outside comes through [`Fields`].
pub trait Action: Debug {
    fn spec(&self) -> &'static Spec;

    /// The bodies of its calls; none if a problem was noted.
    fn calls(&self, fields: &mut dyn Fields) -> Option<Calls>;

    fn asks(&self) -> Asks<'_>;

    /// The former id of a send.
    fn was(&self) -> Option<&Template> {
        None
    }
}

/// Reads the fields of an action.
pub(super) fn read<A: Action + DeserializeOwned + 'static>(fields: Value) -> Result<Box<dyn Action>, Misread> {
    serde_path_to_error::deserialize::<_, A>(fields).map(|action| Box::new(action) as Box<dyn Action>)
}

/// What an action asks of the stages after it, besides its calls.
#[derive(Debug, Clone, Copy)]
pub enum Asks<'a> {
    /// Sends to those with a tag, or to all.
    Send(&'a Message),
    SendTo {
        message: &'a Message,
        people: &'a PeopleSource,
        /// A send that was accepted is sent to people who are new.
        sends_new: bool,
    },
    Preview(&'a Message),
    Check {
        /// The send or publish step of this plan that is asked about.
        of: Option<&'a str>,
        poll: Poll,
    },
    Delete {
        /// The send step of this plan that is taken back.
        of: Option<&'a str>,
    },
    Publish(Poll),
    Unpublish {
        /// The publish step of this plan that is taken back.
        of: Option<&'a str>,
    },
    Draft(&'a [Article]),
    Upload {
        /// In the field `file`.
        path: &'a Template,
        target: MediaTarget,
        optimize: bool,
    },
    /// A draft that is there.
    Existing,
    Setting,
}

impl<'a> Asks<'a> {
    /// What it does to the world if it asks for that; [`Spec::effect`] is the same.
    #[cfg(test)]
    pub(crate) fn effect(self) -> Effect {
        match self {
            Asks::Send(_) | Asks::SendTo { .. } => Effect::Mass,
            Asks::Preview(_) => Effect::Preview,
            Asks::Check { .. } => Effect::Read,
            Asks::Delete { .. } => Effect::Delete,
            Asks::Publish(_) => Effect::Publish,
            Asks::Unpublish { .. } => Effect::Unpublish,
            Asks::Draft(_) | Asks::Upload { .. } | Asks::Existing => Effect::Media,
            Asks::Setting => Effect::Setting,
        }
    }

    pub fn message(self) -> Option<&'a Message> {
        match self {
            Asks::Send(message) | Asks::SendTo { message, .. } | Asks::Preview(message) => Some(message),
            Asks::Check { .. } | Asks::Delete { .. } | Asks::Draft(_) | Asks::Upload { .. } | Asks::Setting => None,
            Asks::Publish(_) | Asks::Unpublish { .. } | Asks::Existing => None,
        }
    }

    /// The id of the step that `of` names.
    pub fn of(self) -> Option<&'a str> {
        match self {
            Asks::Check { of, .. } | Asks::Delete { of } | Asks::Unpublish { of } => of,
            Asks::Send(_) | Asks::SendTo { .. } | Asks::Preview(_) | Asks::Publish(_) => None,
            Asks::Draft(_) | Asks::Upload { .. } | Asks::Setting | Asks::Existing => None,
        }
    }

    pub fn people(self) -> Option<&'a PeopleSource> {
        match self {
            Asks::SendTo { people, .. } => Some(people),
            Asks::Send(_) | Asks::Preview(_) | Asks::Check { .. } | Asks::Delete { .. } => None,
            Asks::Publish(_) | Asks::Unpublish { .. } | Asks::Draft(_) | Asks::Upload { .. } => None,
            Asks::Setting | Asks::Existing => None,
        }
    }

    pub fn sends_new(self) -> bool {
        match self {
            Asks::SendTo { sends_new, .. } => sends_new,
            Asks::Send(_) | Asks::Preview(_) | Asks::Check { .. } | Asks::Delete { .. } => false,
            Asks::Publish(_) | Asks::Unpublish { .. } | Asks::Draft(_) | Asks::Upload { .. } => false,
            Asks::Setting | Asks::Existing => false,
        }
    }

    /// Whether how many calls it makes is known only when the plan runs.
    pub fn is_open_ended(self) -> bool {
        self.sends_new() || self.people().is_some_and(PeopleSource::is_listed)
    }

    /// None but of a draft.
    pub fn articles(self) -> &'a [Article] {
        match self {
            Asks::Draft(articles) => articles,
            Asks::Send(_) | Asks::SendTo { .. } | Asks::Preview(_) => &[],
            Asks::Check { .. } | Asks::Delete { .. } | Asks::Upload { .. } | Asks::Setting => &[],
            Asks::Publish(_) | Asks::Unpublish { .. } | Asks::Existing => &[],
        }
    }

    pub fn poll(self) -> Option<Poll> {
        match self {
            Asks::Check { poll, .. } | Asks::Publish(poll) => Some(poll),
            Asks::Send(_) | Asks::SendTo { .. } | Asks::Preview(_) | Asks::Delete { .. } => None,
            Asks::Unpublish { .. } | Asks::Draft(_) | Asks::Upload { .. } => None,
            Asks::Setting | Asks::Existing => None,
        }
    }

    /// The files that the step reads. Those of articles are read with them.
    pub fn files(self) -> Vec<FileUse> {
        match self {
            Asks::Send(message) | Asks::Preview(message) => message.file().into_iter().collect(),
            Asks::SendTo { message, people, .. } => people.files().into_iter().chain(message.file()).collect(),
            Asks::Upload { path, target, optimize } => {
                vec![FileUse { suffix: "/file".into(), path: path.clone(), holds: Holds::Media(target, optimize) }]
            }
            Asks::Check { .. } | Asks::Delete { .. } | Asks::Draft(_) | Asks::Setting => Vec::new(),
            Asks::Publish(_) | Asks::Unpublish { .. } | Asks::Existing => Vec::new(),
        }
    }
}

/// `send_ignore_reprint`, where it was given; a warning where it has no effect.
pub(super) fn put_reprint(body: &mut Value, fields: &mut dyn Fields, setting: Option<bool>, message: &Message) {
    let Some(setting) = setting else { return };
    if !message.of.is_article {
        let text = say!(
            "`send_ignore_reprint` has no effect on `{kind}`; WeChat checks only articles for originality",
            kind = message.of.kind.name()
        );
        fields.problem("/send_ignore_reprint", Code::IgnoredSetting, text, say!("leave it out"));
    }
    body["send_ignore_reprint"] = u8::from(setting).into();
}
