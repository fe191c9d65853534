//! What is left of each step of a plan, and what is known beside it.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    convert::Infallible,
};

use serde_json::Value;

use super::frozen;
use crate::{
    ledger::{CallId, CallRecord, FrozenCall, LedgerError, Status},
    locale::Phrase,
    openids::Openids,
    payload::Target,
    render::{MediaCall, PlannedCall, RenderedStep},
    slot::{Followers, Slot},
};

/// A step, what is left of it, and how it stands. `L` as in [`Left`].
#[derive(Debug)]
pub struct Work<'p, L = Infallible> {
    pub(crate) step: &'p RenderedStep,
    pub(crate) left: Left<L>,
    pub(crate) state: StepState,
}

/// What steps that need a step can count on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StepState {
    /// Nothing yet; or it was skipped, and is a row of a step whose other rows may have outputs.
    Pending,
    /// Its outputs are there.
    Available,
    /// It did not succeed: what needs it is not run.
    Unavailable,
}

/// The first step that `step` needs and cannot count on: one of its instances did not succeed, or none has outputs.
/// `states` are those of the steps before it.
pub(super) fn unmet<'s>(step: &'s RenderedStep, states: &[(&RenderedStep, StepState)]) -> Option<&'s str> {
    let met = |id: &String| {
        let mut own = states.iter().filter(|(other, _)| other.id == *id).map(|(_, state)| *state).peekable();
        let available = own.clone().any(|state| state == StepState::Available);
        available && own.all(|state| state != StepState::Unavailable)
    };
    step.needs.iter().find(|id| !met(id)).map(String::as_str)
}

/// What is known beside the steps; it grows while the plan runs.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) slots: HashMap<Slot, Value>,
    /// Digests of messages that were previewed in this occurrence.
    pub(crate) previewed: HashSet<String>,
}

/// What is left of a step. `L` is what stands for a send whose people WeChat has not listed yet: [`Unlisted`] in
/// [`Prepared`](super::Prepared); in [`Ready`](super::Ready) there is no such send, and no value of `L`.
#[derive(Debug)]
pub(crate) enum Left<L = Infallible> {
    NotSelected,
    /// Its `when` is false.
    Never,
    /// Its `when` is false, and nobody knows whether one of its calls was sent by an earlier run.
    Doubtful {
        record: Box<CallRecord>,
    },
    /// Accepted by an earlier run.
    Done {
        /// What the ledger has of it.
        records: Vec<CallRecord>,
        /// What is to be said of it.
        notes: Vec<Phrase>,
    },
    /// A send whose people are to be listed first.
    List(L),
    /// A check or deletion of a send that makes as many calls as it turns out to; with what the ledger has of it.
    Cover {
        /// Its calls so far.
        records: Vec<CallRecord>,
    },
    Calls {
        /// The calls, frozen or as planned, those that are accepted included.
        calls: Vec<StepCall>,
        /// Which of them are written to the ledger with the first attempt.
        write: Write,
        /// What is to be said of it first.
        notes: Vec<Phrase>,
    },
}

/// A send whose people are to be listed first.
#[derive(Debug)]
pub(crate) struct Unlisted<'p> {
    pub(crate) followers: &'p Followers,
    /// Its calls that the ledger has.
    pub(crate) records: Vec<CallRecord>,
    /// The people of these.
    pub(crate) had: Openids,
    /// The rest of it was refused for its people, and is planned anew.
    pub(crate) refused: bool,
}

impl<L> Left<L> {
    /// Whether something of it is left to do.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self, Left::Calls { .. } | Left::List(_) | Left::Cover { .. })
    }

    /// The calls that are not accepted yet, where they are known.
    pub(crate) fn open_calls(&self) -> impl Iterator<Item = &StepCall> {
        let calls = match self {
            Left::Calls { calls, .. } => calls.as_slice(),
            _ => &[],
        };
        calls.iter().filter(|call| call.is_open())
    }

    /// What is left once the people of a send are listed.
    pub(super) fn listed<E>(self, list: impl FnOnce(L) -> Result<Left, E>) -> Result<Left, E> {
        Ok(match self {
            Left::List(unlisted) => list(unlisted)?,
            Left::NotSelected => Left::NotSelected,
            Left::Never => Left::Never,
            Left::Doubtful { record } => Left::Doubtful { record },
            Left::Done { records, notes } => Left::Done { records, notes },
            Left::Cover { records } => Left::Cover { records },
            Left::Calls { calls, write, notes } => Left::Calls { calls, write, notes },
        })
    }
}

/// Which calls of a step are written to the ledger, frozen, with the first attempt among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Write {
    /// None: the ledger has all.
    None,
    /// All that the ledger does not have, in place of what else it has of the step: none of that was sent.
    All,
    /// Those that the ledger does not have yet.
    New,
}

/// One call of a step, to be made unless it is done.
#[derive(Debug, Clone)]
pub(crate) struct StepCall {
    /// What is planned, or was frozen.
    pub(crate) frozen: FrozenCall,
    /// What happened to it.
    pub(crate) record: Option<CallRecord>,
    /// What it does besides, if it is a call of a media step.
    pub(crate) media: Option<MediaCall>,
    /// What the plan says of it; none if it was frozen before, and the ledger says it.
    pub(crate) planned: Option<PlannedCall>,
}

impl StepCall {
    /// As the plan says it.
    pub(super) fn planned(step: &RenderedStep, call: PlannedCall) -> Self {
        Self { frozen: freeze(step, &call), record: None, media: None, planned: Some(call) }
    }

    /// As it was frozen; what is left to do of it must be readable.
    pub(super) fn begun(record: &CallRecord) -> Result<Self, LedgerError> {
        if record.status != Status::Accepted {
            frozen::payload(&record.frozen)?;
        }
        Ok(Self { frozen: record.frozen.clone(), record: Some(record.clone()), media: None, planned: None })
    }

    pub(super) fn is_open(&self) -> bool {
        self.record.as_ref().is_none_or(|record| record.status != Status::Accepted)
    }

    /// Whom a send or preview reaches.
    pub(crate) fn target(&self) -> Result<Cow<'_, Target>, LedgerError> {
        match &self.planned {
            Some(call) => Ok(Cow::Borrowed(&call.target)),
            None => frozen::target(&self.frozen).map(Cow::Owned),
        }
    }
}

/// A planned call as it is frozen.
pub(super) fn freeze(step: &RenderedStep, call: &PlannedCall) -> FrozenCall {
    FrozenCall {
        id: CallId { step: step.id.clone(), key: step.key.clone(), chunk: call.chunk },
        action: step.spec.name.to_owned(),
        path: call.path.to_owned(),
        idempotency_key: call.key.clone(),
        digest: call.payload.digest().to_owned(),
        payload: call.payload.raw(),
        message_digest: step.content.digest().map(str::to_owned),
        recipients: call.target.recipients(),
        effect: call.effect,
    }
}
