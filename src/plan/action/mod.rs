//! The actions of a plan: one file each, and the one list of them.
//!
//! An action knows its fields, its path, its outputs and how its bodies are made. It does no IO: what it needs from
//! outside comes through [`Fields`].

use std::{fmt, sync::Arc, time::Duration};

use schemars::{Schema, SchemaGenerator};
use serde_json::Value;

use crate::{
    content::media::{self, Upload},
    diag::Code,
    openids::Openids,
    payload::{self, Effect, Payload, Target},
    plan::{
        message::{Message, MessageView, Shown},
        model::AccountKind,
        value::{Number, Template},
    },
    slot::{Followers, Output, Slot},
};

pub mod check;
pub mod create_draft;
pub mod delete;
pub mod preview;
pub mod send_by_openid;
pub mod send_by_tag;
pub mod set_speed;
pub mod upload_image;
pub mod upload_material;

/// What is known of an action without an instance.
#[derive(Debug)]
pub struct Spec {
    /// `action` in the plan.
    pub name: &'static str,
    /// One line for editors and documentation.
    pub summary: &'static str,
    /// Path of the API.
    pub path: &'static str,
    /// What it does to the world.
    pub effect: Effect,
    /// What later steps can refer to.
    pub outputs: &'static [Output],
    /// Fields of which exactly one must be given.
    pub exactly_one: &'static [&'static str],
    /// The only kind of account that may use it.
    pub only: Option<AccountKind>,
}

/// The calls of a step, before keys are put in.
#[derive(Debug)]
pub struct Calls {
    /// One body a call, in order.
    pub calls: Vec<Call>,
    /// Who it is for, in words.
    pub audience: Option<String>,
    /// What it brings.
    pub content: Content,
    /// Where the people come from, if WeChat lists them when the plan runs: the one call then stands for all.
    pub listed: Option<Followers>,
}

/// What the calls of a step bring.
#[derive(Debug)]
pub enum Content {
    /// A message: sends and previews.
    Message(Shown),
    /// Articles, as people read them.
    Draft(MessageView),
    /// An upload, a question, a setting, a deletion.
    Nothing,
}

impl Calls {
    /// A step of one call that reaches nobody.
    pub fn one(body: Value) -> Self {
        Self { calls: vec![Call::new(body, Target::Nobody)], audience: None, content: Content::Nothing, listed: None }
    }
}

/// One call of a step.
#[derive(Debug)]
pub struct Call {
    /// The body; a `clientmsgid` is added to mass calls.
    pub body: Value,
    /// Whom it reaches; people are not in the body, whose `touser` is empty.
    pub target: Target,
    /// What it does besides, if it is a call of a media step; it then has a path of its own.
    pub media: Option<(&'static str, MediaCall)>,
}

impl Call {
    /// A call of a body and nothing else.
    pub fn new(body: Value, target: Target) -> Self {
        Self { body, target, media: None }
    }
}

/// What a call of a media step does besides.
#[derive(Debug, Clone, Default)]
pub struct MediaCall {
    /// The file that it carries.
    pub upload: Option<Arc<Upload>>,
    /// The slot that its answer fills.
    pub gives: Option<Gives>,
    /// The articles that it adds as a draft.
    pub adds: Option<Arc<Vec<Payload>>>,
    /// The articles that the answer must hold.
    pub verify: Option<Arc<Vec<Payload>>>,
    /// What was uploaded before is gone: the file is uploaded again.
    pub fresh: bool,
}

/// What fills a slot when a call is accepted.
#[derive(Debug, Clone)]
pub struct Gives {
    /// Which slot.
    pub slot: Slot,
    /// The member of the answer.
    pub member: Output,
    /// Its value, where it is known before.
    pub known: Option<String>,
}

/// Polling: until when, how often, how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Poll {
    /// The `msg_status` that is waited for.
    pub until: &'static str,
    /// The pause between two calls.
    pub every: Duration,
    /// How long it is waited at most.
    pub timeout: Duration,
}

/// A file that a step reads.
#[derive(Debug, Clone)]
pub struct FileUse {
    /// The field that names it, as a pointer below the step.
    pub suffix: String,
    /// Its path, a template.
    pub path: Template,
    /// What it holds.
    pub holds: Holds,
}

/// What a file of a step holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Text of a message, a template itself.
    Text,
    /// Openids to send to.
    Openids,
    /// Openids to leave out.
    Exclude,
    /// A file that is uploaded, and whether it may be made smaller or converted for that.
    Media(media::Target, bool),
}

/// The articles of a draft, as they are sent but for slots, and the files that fill these.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Members of `articles`.
    pub articles: Vec<Value>,
    /// Each once, in the order of use.
    pub uploads: Vec<Arc<Upload>>,
    /// The draft's `media_id`.
    pub slot: Slot,
}

/// The number that WeChat gave a send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Job {
    /// Written in the plan.
    Id(u64),
    /// Given by an earlier step.
    Of(Slot),
}

impl Job {
    /// As a number of a body.
    pub fn number(&self) -> Value {
        match self {
            Self::Id(id) => (*id).into(),
            Self::Of(slot) => payload::number_stand_in(slot).into(),
        }
    }

    /// As a string of a body.
    pub fn text(&self) -> Value {
        match self {
            Self::Id(id) => id.to_string().into(),
            Self::Of(slot) => payload::stand_in(slot).into(),
        }
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "msg_id {id}"),
            Self::Of(slot) => write!(f, "msg_id <{slot}>"),
        }
    }
}

/// What an action needs to make its bodies; every problem is noted by the one who implements it.
pub trait Fields {
    /// A field rendered; run-time values are slots.
    fn text(&mut self, suffix: &str, template: &Template) -> Option<String>;
    /// A field that must render to a whole number.
    fn number(&mut self, suffix: &str, template: &Template, min: u64, max: u64) -> Option<u64>;
    /// A field that must render to the number of a job, or be one that an earlier step gives.
    fn job(&mut self, suffix: &str, template: &Template) -> Option<Job>;
    /// The rendered content of the file that a field names.
    fn file(&mut self, suffix: &str) -> Option<String>;
    /// The file that the step uploads, with the words that go with it.
    fn upload(&mut self, description: Option<(String, String)>) -> Option<Arc<Upload>>;
    /// The articles of the step.
    fn draft(&mut self) -> Option<Draft>;
    /// The openids of this step: unique, in order, at least two.
    fn openids(&mut self) -> Option<Arc<Openids>>;
    /// The jobs of all calls of a send step.
    fn jobs(&mut self, of: &str) -> Option<Vec<Job>>;
    /// Notes a problem at a field.
    fn problem(&mut self, suffix: &str, code: Code, message: String, help: &str);
    /// Notes a problem of a rendered text: at these words of the field or of the file that it names, if they stand there.
    fn problem_in(&mut self, suffix: &str, words: &str, code: Code, message: String, help: &str);
    /// Hosts that followers must never be led to.
    fn staging_hosts(&self) -> Vec<String>;
}

/// What each action implements.
pub(crate) trait Kind: serde::de::DeserializeOwned + schemars::JsonSchema {
    /// What is known without an instance.
    const SPEC: Spec;

    /// The bodies of its calls.
    fn calls(&self, fields: &mut dyn Fields) -> Option<Calls>;

    /// The message, if it sends one.
    fn message(&self) -> Option<&Message> {
        None
    }

    /// The id of the step that `of` names.
    fn target(&self) -> Option<&str> {
        None
    }

    /// The files that it reads.
    fn files(&self) -> Vec<FileUse> {
        let text = self.message().and_then(Message::file);
        text.map(|(suffix, path)| FileUse { suffix: suffix.into(), path: path.clone(), holds: Holds::Text })
            .into_iter()
            .collect()
    }

    /// How its audience is given, for a send to openids.
    fn openids(&self) -> Option<&send_by_openid::To> {
        None
    }

    /// Whether a send that was accepted is sent to people who are new.
    fn sends_new(&self) -> bool {
        false
    }

    /// The articles of a draft.
    fn articles(&self) -> &[create_draft::Article] {
        &[]
    }

    /// How it polls.
    fn poll(&self) -> Option<Poll> {
        None
    }
}

macro_rules! actions {
    ($($variant:ident($module:ident::$fields:ident),)*) => {
        /// An action with its fields.
        #[derive(Debug, Clone)]
        pub enum Action {
            $(#[doc = stringify!($module)] $variant($module::$fields),)*
        }

        /// THE list of actions.
        pub const SPECS: &[&Spec] = &[$(&<$module::$fields as Kind>::SPEC,)*];

        impl Action {
            /// Reads the fields of an action; the error is a place below them and what is wrong there.
            pub(crate) fn read(name: &str, fields: Value) -> Option<Result<Self, serde_path_to_error::Error<serde_json::Error>>> {
                match name {
                    $(name if name == <$module::$fields as Kind>::SPEC.name => {
                        Some(serde_path_to_error::deserialize(fields).map(Action::$variant))
                    })*
                    _ => None,
                }
            }

            fn kind(&self) -> &dyn ErasedKind {
                match self { $(Action::$variant(fields) => fields,)* }
            }

            /// What is known of it without an instance.
            pub fn spec(&self) -> &'static Spec {
                match self { $(Action::$variant(_) => &<$module::$fields as Kind>::SPEC,)* }
            }
        }

        /// The schema of the fields of each action, in the order of [`SPECS`].
        pub(crate) fn schemas(generator: &mut SchemaGenerator) -> Vec<(&'static Spec, Schema)> {
            vec![$((&<$module::$fields as Kind>::SPEC, <$module::$fields as schemars::JsonSchema>::json_schema(generator)),)*]
        }
    };
}

actions! {
    SendByTag(send_by_tag::SendByTag),
    SendByOpenid(send_by_openid::SendByOpenid),
    Preview(preview::Preview),
    Delete(delete::Delete),
    Check(check::Check),
    SetSpeed(set_speed::SetSpeed),
    UploadImage(upload_image::UploadImage),
    UploadMaterial(upload_material::UploadMaterial),
    CreateDraft(create_draft::CreateDraft),
}

/// [`Kind`] without what a trait object cannot have.
trait ErasedKind {
    fn calls(&self, fields: &mut dyn Fields) -> Option<Calls>;
    fn message(&self) -> Option<&Message>;
    fn target(&self) -> Option<&str>;
    fn files(&self) -> Vec<FileUse>;
    fn openids(&self) -> Option<&send_by_openid::To>;
    fn sends_new(&self) -> bool;
    fn articles(&self) -> &[create_draft::Article];
    fn poll(&self) -> Option<Poll>;
}

impl<K: Kind> ErasedKind for K {
    fn calls(&self, fields: &mut dyn Fields) -> Option<Calls> {
        Kind::calls(self, fields)
    }
    fn message(&self) -> Option<&Message> {
        Kind::message(self)
    }
    fn target(&self) -> Option<&str> {
        Kind::target(self)
    }
    fn files(&self) -> Vec<FileUse> {
        Kind::files(self)
    }
    fn openids(&self) -> Option<&send_by_openid::To> {
        Kind::openids(self)
    }
    fn sends_new(&self) -> bool {
        Kind::sends_new(self)
    }
    fn articles(&self) -> &[create_draft::Article] {
        Kind::articles(self)
    }
    fn poll(&self) -> Option<Poll> {
        Kind::poll(self)
    }
}

impl Action {
    /// The bodies of its calls.
    pub fn calls(&self, fields: &mut dyn Fields) -> Option<Calls> {
        self.kind().calls(fields)
    }

    /// The message, if it sends one.
    pub fn message(&self) -> Option<&Message> {
        self.kind().message()
    }

    /// The id of the step that `of` names.
    pub fn target(&self) -> Option<&str> {
        self.kind().target()
    }

    /// The files that it reads.
    pub fn files(&self) -> Vec<FileUse> {
        self.kind().files()
    }

    /// How its audience is given, for a send to openids.
    pub fn openids(&self) -> Option<&send_by_openid::To> {
        self.kind().openids()
    }

    /// Whether a send that was accepted is sent to people who are new.
    pub fn sends_new(&self) -> bool {
        self.kind().sends_new()
    }

    /// The articles of a draft.
    pub fn articles(&self) -> &[create_draft::Article] {
        self.kind().articles()
    }

    /// Whether how many calls it makes is known only when the plan runs.
    pub fn is_open_ended(&self) -> bool {
        self.sends_new() || self.openids().is_some_and(send_by_openid::To::is_listed)
    }

    /// How it polls.
    pub fn poll(&self) -> Option<Poll> {
        self.kind().poll()
    }
}

/// The one call of a step that uploads a file.
pub(crate) fn upload(fields: &mut dyn Fields, description: Option<(String, String)>) -> Option<Calls> {
    let file = fields.upload(description)?;
    let gives = Gives { slot: file.slot(), member: file.target.gives(), known: None };
    let media = MediaCall { gives: Some(gives), upload: Some(Arc::clone(&file)), ..MediaCall::default() };
    let call = Call { media: Some((file.target.path(), media)), ..Call::new(file.shown(), Target::Nobody) };
    let audience = Some(format!("{} ({} bytes)", file.path, file.bytes.len()));
    Some(Calls { calls: vec![call], audience, content: Content::Nothing, listed: None })
}

/// A whole number of the plan, written out or rendered.
pub(crate) fn number<const MIN: u64, const MAX: u64>(
    fields: &mut dyn Fields,
    suffix: &str,
    number: &Number<MIN, MAX>,
) -> Option<u64> {
    match number {
        Number::Literal(number) => Some(*number),
        Number::Template(template) => fields.number(suffix, template, MIN, MAX),
    }
}

/// A job of the plan, written out, rendered or given by an earlier step.
pub(crate) fn job(fields: &mut dyn Fields, id: &Number<1, { u64::MAX }>) -> Option<Job> {
    match id {
        Number::Literal(id) => Some(Job::Id(*id)),
        Number::Template(template) => fields.job("/msg_id", template),
    }
}

/// `send_ignore_reprint`, where it was given; a warning where it has no effect.
pub(crate) fn put_reprint(body: &mut Value, fields: &mut dyn Fields, setting: Option<bool>, message: &Message) {
    let Some(setting) = setting else { return };
    if !matches!(message, Message::Mpnews(_)) {
        let text = format!(
            "`send_ignore_reprint` has no effect on `{}`: only articles are checked for originality",
            message.kind()
        );
        fields.problem("/send_ignore_reprint", Code::IgnoredSetting, text, "leave it out");
    }
    body["send_ignore_reprint"] = u8::from(setting).into();
}
