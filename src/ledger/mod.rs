//! The ledger: what was attempted, and what became of it. The unit is the call.
//!
//! An intent is on disk before its call is made, and the outcome after it; the status of a call is a fold of its events
//! through one total function, used when writing and when reading. An attempt without an outcome is *unknown*: a real
//! state, not a guess.
//!
//! What is here is the same for every store: the words, the rule of what may follow, and the traits [`Ledger`] and
//! [`store::Store`]. A store knows calls and bytes, and neither actions nor plans. `tests/conformance.rs` holds what every
//! store must do.

use std::fmt;

use jiff::Timestamp;

use crate::{
    locale::{Phrase, say},
    payload::Effect,
    platform::Platform,
};

pub mod copy;
pub mod name;
pub mod open;
mod owner;
pub mod parts;
#[cfg(feature = "postgres")]
pub mod postgres;
mod rows;
mod sql;
pub mod sqlite;
pub mod store;

/// Which edition of which plan, for which account, and where it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scope {
    /// Where its calls go.
    pub platform: Platform,
    pub appid: String,
    /// Name of the plan.
    pub plan: String,
    pub occurrence: String,
}

/// A call within a scope.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CallId {
    /// `id` of the step.
    pub step: String,
    /// The `foreach` key.
    pub key: Option<String>,
    /// Number of the call, from 1.
    pub chunk: u32,
}

impl CallId {
    /// The step as reports name it: its id, or `id[key]`.
    pub fn name(&self) -> String {
        crate::text::step_name(&self.step, self.key.as_deref())
    }
}

/// A call as it was planned when its step was first attempted: frozen, so that a resumed run sends the same groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrozenCall {
    pub id: CallId,
    /// The name of the action, for people; nothing is decided by it.
    pub action: String,
    /// Path of the API.
    pub path: String,
    pub idempotency_key: String,
    /// Named digest of the body with its slots unfilled.
    pub digest: String,
    /// The body with its slots unfilled.
    pub payload: String,
    /// Digest of the message alone.
    pub message_digest: Option<String>,
    pub recipients: Option<u64>,
    /// What it does to the world.
    pub effect: Effect,
}

impl FrozenCall {
    /// Whether it reaches many people and carries its key as `clientmsgid`.
    pub fn is_mass(&self) -> bool {
        self.effect == Effect::Mass
    }

    /// Whether nobody may do it twice: see [`Effect::is_once`].
    pub fn is_once(&self) -> bool {
        self.effect.is_once()
    }
}

/// What happened to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// It is about to be made.
    Attempted,
    Accepted,
    /// WeChat had it already: it said so (45065), or what was published was found there.
    Adopted,
    Refused,
    /// It provably never left.
    NotSent,
    /// It may have been carried out.
    Unknown,
    /// A person says that it was sent.
    ResolvedSent,
    /// A person says that it was not sent, or asking proved it.
    ResolvedNotSent,
    /// A person says as which job it was accepted.
    Named,
    /// A person says that it is not to be sent any more.
    GivenUp,
}

impl EventKind {
    /// All, with the names they have in the store.
    pub const ALL: &[(EventKind, &str)] = &[
        (EventKind::Attempted, "attempted"),
        (EventKind::Accepted, "accepted"),
        (EventKind::Adopted, "adopted"),
        (EventKind::Refused, "refused"),
        (EventKind::NotSent, "not_sent"),
        (EventKind::Unknown, "unknown"),
        (EventKind::ResolvedSent, "resolved_sent"),
        (EventKind::ResolvedNotSent, "resolved_not_sent"),
        (EventKind::Named, "named"),
        (EventKind::GivenUp, "given_up"),
    ];

    /// The name in the store.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    /// The kind of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind)
    }
}

/// Where a call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Planned and frozen, never attempted.
    Planned,
    /// Attempted, no outcome yet. `doubt`: an earlier attempt may have been carried out.
    InFlight {
        /// An earlier attempt is unsettled.
        doubt: bool,
    },
    Accepted,
    /// WeChat said no, and no attempt is in doubt.
    Refused,
    /// It provably never left.
    NotSent,
    /// It may have been carried out.
    Unknown,
    /// It was not sent, and is not to be: a person gave it up.
    GivenUp,
}

impl Status {
    /// Whether an attempt may have been carried out without our knowing.
    pub fn in_doubt(self) -> bool {
        matches!(self, Status::InFlight { .. } | Status::Unknown)
    }

    /// Whether it was surely not sent, and is still to be.
    pub fn is_open(self) -> bool {
        matches!(self, Status::Planned | Status::Refused | Status::NotSent)
    }

    /// The word in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Status::Planned => "planned",
            Status::InFlight { .. } | Status::Unknown => "unknown",
            Status::Accepted => "accepted",
            Status::Refused => "refused",
            Status::NotSent => "not sent",
            Status::GivenUp => "given up",
        }
    }

    /// One word for people.
    pub(crate) fn words(self) -> Phrase {
        match self {
            Status::Planned => say!("planned"),
            Status::InFlight { .. } | Status::Unknown => say!("unknown"),
            Status::Accepted => say!("accepted"),
            Status::Refused => say!("refused"),
            Status::NotSent => say!("not sent"),
            Status::GivenUp => say!("given up"),
        }
    }
}

/// An event that cannot follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Illegal {
    /// Where the call stood.
    pub(crate) status: Status,
    /// What was to follow.
    pub(crate) event: &'static str,
}

impl Illegal {
    /// What a person is told.
    pub fn words(&self) -> Phrase {
        say!(
            "the event `{event}` is not allowed in the state `{status}`",
            event = self.event,
            status = self.status.words()
        )
    }
}

/// The one rule of how a call goes on. A refusal or a failure to connect settles its own attempt only: if an earlier one
/// is in doubt, the call stays in doubt.
pub fn next_status(status: Status, event: EventKind) -> Result<Status, Illegal> {
    use Status::{Accepted, GivenUp, InFlight, NotSent, Planned, Refused, Unknown};
    match (status, event) {
        (Planned | NotSent | Refused, EventKind::Attempted) => Ok(InFlight { doubt: false }),
        // A process that died in a call leaves it in flight.
        (Unknown | InFlight { .. }, EventKind::Attempted) => Ok(InFlight { doubt: true }),
        (InFlight { .. }, EventKind::Accepted | EventKind::Adopted) => Ok(Accepted),
        // What was published is found by asking, later.
        (Unknown, EventKind::Adopted) => Ok(Accepted),
        (InFlight { doubt: false }, EventKind::Refused) => Ok(Refused),
        (InFlight { doubt: false }, EventKind::NotSent) => Ok(NotSent),
        (InFlight { doubt: true }, EventKind::Refused | EventKind::NotSent) => Ok(Unknown),
        (InFlight { .. }, EventKind::Unknown) => Ok(Unknown),
        (InFlight { .. } | Unknown, EventKind::ResolvedSent) => Ok(Accepted),
        (Accepted, EventKind::Named) => Ok(Accepted),
        // What was given up may be taken up again.
        (InFlight { .. } | Unknown | GivenUp, EventKind::ResolvedNotSent) => Ok(NotSent),
        (Planned | NotSent | Refused, EventKind::GivenUp) => Ok(GivenUp),
        (status, event) => Err(Illegal { status, event: event.name() }),
    }
}

/// An event with its facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub kind: EventKind,
    pub at: Timestamp,
    /// The run in which it happened.
    pub run_id: String,
    pub errcode: Option<i64>,
    /// WeChat's words, or ours.
    pub note: Option<String>,
    pub msg_id: Option<u64>,
    pub msg_data_id: Option<u64>,
    /// The status that a check saw; what a call gave, as JSON; for an attempt at a publication, what the draft held.
    pub result: Option<String>,
    /// The exact bytes, for an attempt.
    pub body: Option<String>,
}

impl Event {
    /// An event without facts.
    pub fn new(kind: EventKind, at: Timestamp, run_id: &str) -> Self {
        Self {
            kind,
            at,
            run_id: run_id.to_owned(),
            errcode: None,
            note: None,
            msg_id: None,
            msg_data_id: None,
            result: None,
            body: None,
        }
    }
}

/// A call and all that happened to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRecord {
    pub frozen: FrozenCall,
    /// Its events, in order; only [`CallRecord::push`] adds one.
    pub events: Vec<Event>,
    /// Where it stands: the fold of its events.
    pub status: Status,
    /// How many of its events were over when it was last settled (refused, surely not sent, given up, or so resolved).
    settled: usize,
}

impl CallRecord {
    pub fn new(frozen: FrozenCall, events: Vec<Event>) -> Result<Self, Illegal> {
        let mut record = Self::planned(frozen);
        events.into_iter().try_for_each(|event| record.push(event))?;
        Ok(record)
    }

    /// A call to which nothing happened yet.
    pub fn planned(frozen: FrozenCall) -> Self {
        Self { frozen, events: Vec::new(), status: Status::Planned, settled: 0 }
    }

    /// Adds what happened to it; an event that cannot follow changes nothing.
    pub fn push(&mut self, event: Event) -> Result<(), Illegal> {
        self.status = next_status(self.status, event.kind)?;
        self.events.push(event);
        if !self.status.in_doubt() && self.status != Status::Accepted {
            self.settled = self.events.len();
        }
        Ok(())
    }

    /// The attempts that may still matter, since the call was last settled: each with its own outcome, if there is one.
    pub fn unsettled(&self) -> impl DoubleEndedIterator<Item = (&Event, Option<&Event>)> {
        let events = &self.events[self.settled..];
        let attempts = events.iter().enumerate().filter(|(_, event)| event.kind == EventKind::Attempted);
        attempts
            .map(|(at, attempt)| (attempt, events.get(at + 1).filter(|outcome| outcome.kind != EventKind::Attempted)))
    }

    fn attempts(&self) -> impl DoubleEndedIterator<Item = &Event> {
        self.unsettled().map(|(attempt, _)| attempt)
    }

    /// When the first attempt that is in doubt was made.
    pub fn first_attempt(&self) -> Option<Timestamp> {
        self.attempts().map(|event| event.at).min()
    }

    /// When the first and the last attempt were made; none if the call is in no doubt.
    pub fn in_doubt_since(&self) -> Option<(Timestamp, Timestamp)> {
        let last = || self.attempts().map(|event| event.at).max();
        let since = || self.first_attempt().zip(last()).expect("what is in doubt was attempted");
        self.status.in_doubt().then(since)
    }

    /// The bytes of the last attempt that may still matter.
    pub fn sent_body(&self) -> Option<&str> {
        self.attempts().next_back().and_then(|event| event.body.as_deref())
    }

    /// The facts of its acceptance; those that a person added later count.
    pub fn acceptance(&self) -> Option<&Event> {
        let accepts = |event: &&Event| {
            use EventKind::{Accepted, Adopted, Named, ResolvedSent};
            matches!(event.kind, Accepted | Adopted | ResolvedSent | Named)
        };
        self.events.iter().rev().find(accepts)
    }
}

/// A call that counts against a quota.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    pub effect: Effect,
    /// Its body, with slots unfilled.
    pub payload: String,
    /// When WeChat took it.
    pub at: Timestamp,
}

/// An earlier edition of a send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edition {
    pub occurrence: String,
    /// To how many people it was accepted.
    pub recipients: u64,
}

/// A mass call of another edition of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditionCall {
    pub occurrence: String,
    pub id: CallId,
    pub status: Status,
    /// When something last happened to it.
    pub at: Option<Timestamp>,
}

/// What a run leaves behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRecord {
    pub run_id: String,
    /// Where its calls went.
    pub platform: Platform,
    pub occurrence: String,
    /// The path of the plan.
    pub path: String,
    pub digest: String,
    pub started_at: Timestamp,
    /// Its report as JSON; none if it never ended.
    pub report: Option<String>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending<'a> {
    /// The outcome in its report.
    pub outcome: &'a str,
    pub exit_code: u8,
    /// Its report as JSON.
    pub report: &'a str,
}

/// The last run of an edition by an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastRun {
    pub run_id: String,
    /// The path of the plan.
    pub path: String,
    pub digest: String,
    pub started_at: Timestamp,
    /// Outcome and exit code; none if it never ended.
    pub ended: Option<(String, u8)>,
}

/// Where an account stands in an edition of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRun {
    pub appid: String,
    /// None if no run of it began.
    pub run: Option<LastRun>,
    /// Its calls that are accepted.
    pub accepted: u64,
    /// Its calls that may have been carried out.
    pub in_doubt: u64,
    /// Its calls that were surely not carried out and are still to be.
    pub open: u64,
}

impl AccountRun {
    /// An account of which nothing is known yet.
    pub fn new(appid: String) -> Self {
        Self { appid, run: None, accepted: 0, in_doubt: 0, open: 0 }
    }

    /// Counts a call of it.
    pub fn count(&mut self, status: Status) {
        self.accepted += u64::from(status == Status::Accepted);
        self.in_doubt += u64::from(status.in_doubt());
        self.open += u64::from(status.is_open());
    }
}

/// Something that WeChat says about an account apart from the calls: an event that it pushed, or the statistics of a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// What sort of thing it is: the name of an event, or of the API that was asked.
    pub kind: String,
    /// What it is about, in the words of its kind: the number of a job, say. At most 255 bytes.
    pub subject: String,
    /// When it was received.
    pub at: Timestamp,
    /// What was said, as it was received.
    pub body: String,
}

/// Why the store failed.
#[derive(Debug)]
pub enum LedgerError {
    /// It cannot be opened, read or written.
    Store {
        path: String,
        /// What it is or cannot be, to be read after its name.
        what: Phrase,
        /// The store's own error.
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// The server that keeps it cannot be reached or used, or the connection to it was lost.
    Remote {
        /// Its address, without a password.
        path: String,
        /// What it is or cannot be, to be read after its name.
        what: Phrase,
        /// What to do about it, if that is known.
        help: Option<Phrase>,
    },
    /// Another run has the account by now: this one writes nothing any more.
    TakenOver {
        path: String,
        /// Who it is, as far as that is known.
        by: Option<owner::Owner>,
    },
    /// Somebody asked to stop while it was waited for another process that writes to it, before the run began.
    Stopped { path: String },
    /// It was written by a newer version.
    Newer { path: String, found: i64, known: i64 },
    /// A row of it does not say what was written into it.
    Unreadable {
        /// Which row, and what is missing.
        what: Phrase,
    },
    /// What it holds makes no sense.
    Damaged {
        path: String,
        /// What makes no sense.
        what: Phrase,
    },
    /// What was to be written cannot follow what is there, which its writer did not know of. Nothing was written.
    Conflict {
        path: String,
        /// What cannot follow what.
        what: Phrase,
    },
}

impl LedgerError {
    /// What a person is told, the store's own words at its end.
    pub fn words(&self) -> Phrase {
        match self {
            Self::Store { path, what, source: None } => say!("the state store {path} {what}", path, what),
            Self::Store { path, what, source: Some(error) } => {
                say!("the state store {path} {what} ({error})", path, what, error = error.to_string())
            }
            Self::Remote { path, what, .. } => say!("the state store {path} {what}", path, what),
            Self::TakenOver { path, .. } => {
                say!("another run has taken over the account in the state store {path}", path)
            }
            Self::Stopped { path } => {
                say!("interrupted while waiting for the state store {path}; nothing was sent", path)
            }
            Self::Newer { path, found, known } => say!(
                "the state store {path} has format {found}; this version of qunfa reads up to {known}",
                path,
                found = *found,
                known = *known
            ),
            Self::Unreadable { what } => say!("the state store is damaged: {what}", what),
            Self::Damaged { path, what } => say!("the state store {path} is damaged: {what}", path, what),
            Self::Conflict { path, what } => {
                say!("another process changed the state store {path}: {what}", path, what)
            }
        }
    }
}

impl fmt::Display for LedgerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.words().fmt(f)
    }
}

/// Its words are whole: no cause is left to be told.
impl std::error::Error for LedgerError {}

/// Where calls are recorded.
///
/// **A write is whole or not at all, and on disk when it returns** (it survives a power cut), but for one: that WeChat took
/// a call ([`EventKind::Accepted`], [`EventKind::Adopted`]) is written when [`append`](Ledger::append) returns (it survives the end of
/// the process) and on disk when the next write is, or after [`sync`](Ledger::sync). The intent of the next call is such a
/// write; before anything else that takes time, `sync` is called. A power cut in between leaves the call in doubt, which
/// repeats it under its `clientmsgid`.
///
/// **What was written is known only from the store**: where a call stands is looked at in the transaction that writes, so
/// that two processes cannot both write what may follow only once. A write that [`next_status`] does not allow is a
/// [`LedgerError::Conflict`]; it, and every other write that fails, has changed nothing. The exception is a failure of the
/// medium while a write is being completed: then it is there whole or not at all, and only reading it again tells.
///
/// **What is read is what was written**: text byte for byte (a store whose text cannot hold U+0000 may leave it out of `note`,
/// `result` and what was observed), times to the millisecond, numbers of 64 bits. What does not make sense (a payload or a sent body that is not
/// what its digest says, an event or an effect whose name is not known, events that cannot follow each other, a number that
/// is none) is [`LedgerError::Damaged`], which names the step; it is never left out.
///
/// Calls of different [`Scope`]s have nothing to do with each other; queries over an account are kept apart by platform.
pub trait Ledger {
    /// The calls of a scope, in the order in which they were frozen. The body of an attempt at a mass call that WeChat took
    /// is left out where it is the payload: what is accepted is not sent again, and may be long. The body of an attempt that came to
    /// nothing may be gone once its call was planned anew.
    fn calls(&self, scope: &Scope) -> Result<Vec<CallRecord>, LedgerError>;
    /// Freezes the calls of a step but for those that are kept, and notes the first attempt among them. Kept, by their numbers, are
    /// the calls that are accepted or in doubt; [`LedgerError::Conflict`] if these are others than the ledger knows. The other
    /// calls of the step that were frozen before are replaced: those never attempted and those whose number is not there any more
    /// are gone; one whose attempts all provably came to nothing keeps its events and its key.
    fn freeze(
        &mut self,
        scope: &Scope,
        kept: &[u32],
        calls: &[FrozenCall],
        first: &CallId,
        attempt: &Event,
    ) -> Result<(), LedgerError>;
    /// Freezes more calls of a step, and notes the first attempt among them. [`LedgerError::Conflict`] if one of them is frozen
    /// already.
    fn extend(
        &mut self,
        scope: &Scope,
        calls: &[FrozenCall],
        first: &CallId,
        attempt: &Event,
    ) -> Result<(), LedgerError>;
    /// Adds an event to a call. [`LedgerError::Conflict`] if it may not follow what happened to the call before, and if the
    /// call is not frozen (any more).
    fn append(&mut self, scope: &Scope, id: &CallId, event: &Event) -> Result<(), LedgerError>;
    /// What a call that is no mass call gave (`result`) when it was accepted, in whatever plan; the newest, named by its key.
    fn uploaded(&self, platform: &str, appid: &str, key: &str) -> Result<Option<Event>, LedgerError>;
    /// Puts on disk what is not there yet.
    fn sync(&mut self) -> Result<(), LedgerError>;
    /// When mass calls were attempted at or after a time, over all plans of an account; the earliest first.
    fn mass_attempts(&self, platform: &str, appid: &str, since: Timestamp) -> Result<Vec<Timestamp>, LedgerError>;
    /// The calls of an account that WeChat took at or after a time, over all plans.
    fn usage(&self, platform: &str, appid: &str, since: Timestamp) -> Result<Vec<Usage>, LedgerError>;
    /// What was accepted of a step in another edition of the plan: the one whose call was frozen last. Calls without a number
    /// of recipients do not count.
    fn edition_before(&self, scope: &Scope, step: &str, key: Option<&str>) -> Result<Option<Edition>, LedgerError>;
    /// The mass calls of all other editions of the plan (same platform and account), in the order in which they were frozen;
    /// without their bodies, for there may be many.
    fn other_editions(&self, scope: &Scope) -> Result<Vec<EditionCall>, LedgerError>;
    /// The plans and occurrences of an account in which a mass call has one of these messages, by their digests; each once, with
    /// the digest. Nothing is read once a message.
    fn with_messages(
        &self,
        platform: &str,
        appid: &str,
        digests: &[String],
    ) -> Result<Vec<(String, Scope)>, LedgerError>;
    /// Notes that a run begins; its id is new.
    fn begin_run(
        &mut self,
        scope: &Scope,
        run_id: &str,
        path: &str,
        digest: &str,
        at: Timestamp,
    ) -> Result<(), LedgerError>;
    /// Keeps how a run ended, and its report.
    fn end_run(&mut self, run_id: &str, ending: &Ending<'_>) -> Result<(), LedgerError>;
    /// The runs of a plan, the latest first, over all editions and platforms.
    fn runs(&self, appid: &str, plan: &str) -> Result<Vec<RunRecord>, LedgerError>;
    /// The accounts that have a run or a call of an edition of a plan, by their AppIDs. Nothing is read once an account.
    fn accounts(&self, platform: &str, plan: &str, occurrence: &str) -> Result<Vec<AccountRun>, LedgerError>;
    /// Keeps what WeChat says about an account apart from its calls; how much of it was new. What is there already (the same
    /// kind, subject and body) is not kept again: whoever is told twice may write twice. It needs no lock of the account, and
    /// decides over no send.
    fn observe(&mut self, platform: &str, appid: &str, seen: &[Observation]) -> Result<usize, LedgerError>;
    /// What was said about an account of one kind, in the order in which it was kept; about these subjects, if some are named.
    fn observations(
        &self,
        platform: &str,
        appid: &str,
        kind: &str,
        subjects: Option<&[String]>,
    ) -> Result<Vec<Observation>, LedgerError>;
    /// Whether the lock of an account may be lost while its process lives: it is one of a connection.
    fn is_shared(&self) -> bool {
        false
    }
    /// What time it is for the store, if it has a clock of its own: that of all machines that share it.
    fn time(&self) -> Result<Option<Timestamp>, LedgerError> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fold(events: &[EventKind]) -> Result<Status, Illegal> {
        events.iter().try_fold(Status::Planned, |status, event| next_status(status, *event))
    }

    fn frozen() -> FrozenCall {
        FrozenCall {
            id: CallId { step: "s".into(), key: None, chunk: 1 },
            action: String::new(),
            path: String::new(),
            idempotency_key: String::new(),
            digest: String::new(),
            payload: String::new(),
            message_digest: None,
            recipients: None,
            effect: Effect::Mass,
        }
    }

    #[test]
    fn an_attempt_without_outcome_is_in_doubt_until_it_is_settled() {
        use EventKind::*;
        assert_eq!(fold(&[Attempted]), Ok(Status::InFlight { doubt: false }));
        assert_eq!(fold(&[Attempted, Attempted, Refused]), Ok(Status::Unknown));
        assert_eq!(fold(&[Attempted, Unknown, Attempted, NotSent]), Ok(Status::Unknown));
        assert_eq!(fold(&[Attempted, Unknown, Attempted, Adopted]), Ok(Status::Accepted));
        assert_eq!(fold(&[Attempted, NotSent, Attempted, Accepted]), Ok(Status::Accepted));
        assert_eq!(fold(&[Attempted, Refused, Attempted, NotSent]), Ok(Status::NotSent));
        assert_eq!(fold(&[Attempted, Unknown, ResolvedNotSent, Attempted, Accepted]), Ok(Status::Accepted));
    }

    #[test]
    fn nothing_follows_acceptance_but_the_name_of_its_job() {
        for (kind, _) in EventKind::ALL.iter().filter(|(kind, _)| *kind != EventKind::Named) {
            assert!(fold(&[EventKind::Attempted, EventKind::Accepted, *kind]).is_err());
        }
        assert_eq!(fold(&[EventKind::Attempted, EventKind::Adopted, EventKind::Named]), Ok(Status::Accepted));
        assert!(fold(&[EventKind::Attempted, EventKind::Unknown, EventKind::Named]).is_err());
        assert!(fold(&[EventKind::Accepted]).is_err() && fold(&[EventKind::ResolvedSent]).is_err());
    }

    #[test]
    fn an_attempt_that_was_refused_is_not_the_first_in_doubt() {
        let at = |second| Timestamp::from_second(second).expect("in range");
        let events = |kinds: &[EventKind]| {
            let event = |(second, kind): (usize, &EventKind)| Event::new(*kind, at(second as i64), "r");
            CallRecord::new(frozen(), kinds.iter().enumerate().map(event).collect()).expect("legal")
        };
        use EventKind::*;
        assert_eq!(events(&[Attempted, Refused, Attempted]).first_attempt(), Some(at(2)));
        assert_eq!(events(&[Attempted, Unknown, ResolvedNotSent, Attempted]).first_attempt(), Some(at(3)));
        assert_eq!(events(&[Attempted, Unknown, Attempted, Refused]).first_attempt(), Some(at(0)), "still in doubt");
        assert_eq!(events(&[Attempted, NotSent]).first_attempt(), None);
        assert_eq!(events(&[Attempted, Unknown, Attempted]).in_doubt_since(), Some((at(0), at(2))));
        assert_eq!(events(&[Attempted, Accepted]).in_doubt_since(), None);
    }

    #[test]
    fn an_event_that_cannot_follow_changes_nothing() {
        let event = |kind| Event::new(kind, Timestamp::UNIX_EPOCH, "r");
        let mut record = CallRecord::planned(frozen());
        record.push(event(EventKind::Attempted)).expect("legal");
        record.push(event(EventKind::Accepted)).expect("legal");
        let before = record.clone();
        assert!(record.push(event(EventKind::Attempted)).is_err());
        assert_eq!(record, before);
        assert_eq!(record, CallRecord::new(frozen(), before.events).expect("legal"), "a fold of its events");
    }

    #[test]
    fn names_of_events_are_kept() {
        for (kind, name) in EventKind::ALL {
            assert_eq!((EventKind::from_name(name), kind.name()), (Some(*kind), *name));
        }
    }
}
