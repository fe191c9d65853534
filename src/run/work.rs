//! What is left of the steps of a plan.

use std::borrow::Cow;

use super::frozen;
use crate::{
    ledger::{CallId, CallRecord, FrozenCall, LedgerError, Status},
    openids::Openids,
    payload::Target,
    render::{MediaCall, PlannedCall, RenderedStep},
};

/// A step that is to be run, skipped, or is done.
#[derive(Debug)]
pub enum Todo {
    /// Not selected, or its `when` is false.
    Skip,
    /// Accepted by an earlier run.
    Done {
        /// What the ledger has of it.
        records: Vec<CallRecord>,
        /// What is to be said of it.
        notes: Vec<String>,
    },
    /// A send whose people are to be listed first; with what the ledger has of it. See [`gather`].
    Gather {
        /// Its calls so far.
        records: Vec<CallRecord>,
        /// The people of these.
        had: Openids,
    },
    /// A check or deletion of a send that makes as many calls as it turns out to; with what the ledger has of it.
    Cover {
        /// Its calls so far.
        records: Vec<CallRecord>,
    },
    /// To be run; with what the ledger has of it, one entry a call.
    Run {
        /// The calls, frozen or as planned.
        calls: Vec<TodoCall>,
        /// Which of them are frozen with the first attempt.
        freeze: Freeze,
        /// What is to be said of it first.
        notes: Vec<String>,
    },
}

impl Todo {
    /// Whether something of it is left to do.
    pub fn is_open(&self) -> bool {
        matches!(self, Todo::Run { .. } | Todo::Gather { .. } | Todo::Cover { .. })
    }

    /// The calls that are not accepted yet, where they are known.
    pub fn open_calls(&self) -> impl Iterator<Item = &TodoCall> {
        let calls = match self {
            Todo::Run { calls, .. } => calls.as_slice(),
            _ => &[],
        };
        let open = |call: &&TodoCall| call.record.as_ref().is_none_or(|record| record.status != Status::Accepted);
        calls.iter().filter(open)
    }
}

/// Which calls of a step are frozen with the first attempt among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freeze {
    /// None: all are frozen.
    Nothing,
    /// All: none was sent.
    All,
    /// Those that the ledger does not have yet.
    New,
}

/// One call that is to be made, unless it is done.
#[derive(Debug, Clone)]
pub struct TodoCall {
    /// What is planned, or was frozen.
    pub frozen: FrozenCall,
    /// What happened to it.
    pub record: Option<CallRecord>,
    /// What it does besides, if it is a call of a media step.
    pub media: Option<MediaCall>,
    /// What the plan says of it; none if it was frozen before, and the ledger says it.
    pub planned: Option<PlannedCall>,
}

impl TodoCall {
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

    /// Whom a send or preview reaches.
    pub fn target(&self) -> Result<Cow<'_, Target>, LedgerError> {
        match &self.planned {
            Some(call) => Ok(Cow::Borrowed(&call.target)),
            None => frozen::target(&self.frozen).map(Cow::Owned),
        }
    }
}

/// A planned call as it is frozen.
pub(crate) fn freeze(step: &RenderedStep, call: &PlannedCall) -> FrozenCall {
    FrozenCall {
        id: CallId { step: step.id.clone(), key: step.key.clone(), chunk: call.chunk },
        action: step.spec.name.to_owned(),
        path: call.path.to_owned(),
        idempotency_key: call.key.clone(),
        digest: call.payload.digest().to_owned(),
        payload: call.payload.raw(),
        message_digest: step.content.digest().map(str::to_owned),
        recipients: call.target.recipients(),
        effect: step.spec.effect,
    }
}
