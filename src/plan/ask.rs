//! What actions and messages ask of whoever resolves and renders them, and the calls that they make of it. They do no
//! IO themselves.

use std::{fmt, ops::Range, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::value::{Number, Template};
use crate::{
    content::{
        media::{MediaTarget, Upload},
        pin::Pin,
        words::Lint,
    },
    diag::Code,
    locale::{Phrase, say},
    message::{MessageView, Shown},
    openids::Openids,
    payload::{self, Effect, Payload, Target},
    slot::{Followers, Output, Slot},
};

/// The calls of a step, before keys are put in.
#[derive(Debug)]
pub struct Calls {
    /// One body a call, in order.
    pub(crate) calls: Vec<Call>,
    /// Who it is for, in words.
    pub(crate) audience: Option<Phrase>,
    pub(crate) content: Content,
    /// Where the people come from, if WeChat lists them when the plan runs: the one call then stands for all.
    pub(crate) listed: Option<Followers>,
}

impl Calls {
    /// A step of one call that reaches nobody.
    pub fn one(body: Value) -> Self {
        Self { calls: vec![Call::new(body, Target::Nobody)], audience: None, content: Content::Nothing, listed: None }
    }
}

/// What the calls of a step bring.
#[derive(Debug)]
pub(crate) enum Content {
    /// A message: sends and previews.
    Message(Shown),
    /// Articles, as people read them.
    Draft(MessageView),
    /// An upload, a question, a setting, a deletion.
    Nothing,
}

#[derive(Debug)]
pub(crate) struct Call {
    /// The body; a `clientmsgid` is added to mass calls.
    pub(crate) body: Value,
    /// Whom it reaches; people are not in the body, whose `touser` is empty.
    pub(crate) target: Target,
    /// What it does besides, if it is a call of a step with several; it then has a path of its own.
    pub(crate) media: Option<(&'static str, MediaCall)>,
    /// What it does to the world, if that is not what the action does.
    pub(crate) effect: Option<Effect>,
}

impl Call {
    pub(crate) fn new(body: Value, target: Target) -> Self {
        Self { body, target, media: None, effect: None }
    }
}

/// What a call of a media step does besides.
#[derive(Debug, Clone, Default)]
pub(crate) struct MediaCall {
    /// The file that it carries.
    pub(crate) upload: Option<Arc<Upload>>,
    /// The slot that its answer fills.
    pub(crate) gives: Option<Gives>,
    /// The articles that it adds as a draft.
    pub(crate) adds: Option<Arc<Vec<Payload>>>,
    /// The articles that the answer must hold.
    pub(crate) verify: Option<Arc<Vec<Payload>>>,
    /// The draft that it takes.
    pub(crate) uses: Option<UsedDraft>,
    /// What was uploaded before is gone: the file is uploaded again.
    pub(crate) fresh: bool,
}

/// A draft that somebody made.
#[derive(Debug, Clone)]
pub(crate) struct UsedDraft {
    pub(crate) name: DraftName,
    /// What it must hold.
    pub(crate) pinned: Option<Pin>,
}

/// How a draft is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DraftName {
    /// By the title of its first article.
    Title(String),
    /// By its `media_id`.
    Id(String),
}

impl fmt::Display for DraftName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Title(name) | Self::Id(name)) = self;
        f.write_str(name)
    }
}

/// What fills a slot when a call is accepted.
#[derive(Debug, Clone)]
pub(crate) struct Gives {
    pub(crate) slot: Slot,
    /// The member of the answer.
    pub(crate) member: Output,
    /// Its value, where it is known before.
    pub(crate) known: Option<String>,
}

/// Polling: until when, how often, how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Poll {
    /// The `msg_status` that is waited for; of a publication `SEND_SUCCESS` is that it succeeded.
    pub(crate) until: &'static str,
    /// The pause between two calls.
    pub(crate) every: Duration,
    /// How long it is waited at most.
    pub(crate) timeout: Duration,
}

impl Poll {
    /// Until when it is asked, if it is asked from now on.
    pub(crate) fn deadline(self, now: Timestamp) -> Timestamp {
        let timeout = SignedDuration::try_from(self.timeout).unwrap_or(SignedDuration::MAX);
        now.saturating_add(timeout).unwrap_or(Timestamp::MAX)
    }
}

/// A file that a step reads.
#[derive(Debug)]
pub struct FileUse {
    /// The field that names it, as a pointer below the step.
    pub(crate) suffix: String,
    pub(crate) path: Template,
    pub(crate) holds: Holds,
}

/// What a file of a step holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Holds {
    /// Text of a message, a template itself.
    Text,
    /// Openids to send to.
    Openids,
    /// Openids to leave out.
    Exclude,
    /// A file that is uploaded, and whether it may be made smaller or converted for that.
    Media(MediaTarget, bool),
}

/// The articles of a draft, as they are sent but for slots, and the files that fill these.
#[derive(Debug)]
pub struct Draft {
    /// Members of `articles`.
    pub(crate) articles: Vec<Value>,
    /// Each once, in the order of use.
    pub(crate) uploads: Vec<Arc<Upload>>,
    /// The draft's `media_id`.
    pub(crate) slot: Slot,
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

/// Words of a rendered text.
#[derive(Debug, Clone)]
pub struct Part<'t> {
    pub(crate) text: &'t str,
    pub(crate) range: Range<usize>,
}

impl<'t> Part<'t> {
    /// The first of these words.
    pub(crate) fn first(text: &'t str, words: &str) -> Self {
        let start = text.find(words).unwrap_or_default();
        Self { text, range: start..(start + words.len()).min(text.len()) }
    }

    /// Where they stand in what the text was made of: in the same place as far as nothing was put in before, else where they
    /// stand first.
    pub(crate) fn place(&self, source: &str) -> Option<Range<usize>> {
        let words = self.text.get(self.range.clone())?;
        let same = source.get(..self.range.end).is_some_and(|begin| self.text.starts_with(begin));
        if same {
            return Some(self.range.clone());
        }
        source.find(words).map(|at| at..at + words.len())
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
    fn draft(&mut self) -> Option<Draft>;
    /// The slot of an output of this step.
    fn own(&self, output: Output) -> Slot;
    /// The openids of this step: unique, in order, at least two.
    fn openids(&mut self) -> Option<Arc<Openids>>;
    /// What a step before this one does; none of one that is not known.
    fn effect_of(&self, step: &str) -> Option<Effect>;
    /// An output of all instances of a step before this one.
    fn outputs_of(&mut self, step: &str, output: Output) -> Option<Vec<Slot>>;
    /// The jobs of all calls of a send step.
    fn jobs(&mut self, of: &str) -> Option<Vec<Job>>;
    /// Notes a problem at a field.
    fn problem(&mut self, suffix: &str, code: Code, message: Phrase, help: Phrase);
    /// Notes a problem of a rendered text: at these words of the field or of the file that it names, if they stand there.
    fn problem_in(&mut self, suffix: &str, words: Part<'_>, code: Code, message: Phrase, help: Phrase);
    /// Mentions of hosts that followers must never be led to.
    fn staging_hosts<'a>(&self, text: &'a str) -> Vec<&'a str>;
    /// What this text is compared with.
    fn words(&self, text: &str) -> Lint;
}

/// The one call of a step that uploads a file.
pub(crate) fn upload(fields: &mut dyn Fields, description: Option<(String, String)>) -> Option<Calls> {
    let file = fields.upload(description)?;
    let gives = Gives { slot: file.slot(), member: file.target.gives(), known: None };
    let media = MediaCall { gives: Some(gives), upload: Some(Arc::clone(&file)), ..MediaCall::default() };
    let call = Call { media: Some((file.target.path(), media)), ..Call::new(file.shown(), Target::Nobody) };
    let (path, size) = (&file.path, file.bytes.len());
    let audience = Some(say!("{path} ({size})", path, size = say!("{bytes} byte" | "{bytes} bytes", bytes = size)));
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
