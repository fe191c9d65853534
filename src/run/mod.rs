//! The run: steps in order, calls in order, every intent on disk before its call and every outcome after it. Emits
//! events; formats nothing, reads no clock but the one it is given.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use minijinja::Value as Tpl;
use serde_json::{Value, json};

use crate::{
    clock::Clock,
    ledger::{CallId, CallRecord, Event, FrozenCall, Kind, Ledger, LedgerError, Scope, Status},
    limits,
    openids::Openids,
    payload::{Effect, Target},
    problem::Problem,
    render::{MediaCall, PlannedCall, RenderedPlan, RenderedStep, RetryPolicy, When},
    report::{CallOutcome, CallReport, RunEvent, RunOutcome, StepOutcome, StepView},
    slot::{Output, Slot},
    wechat::{
        client::{Client, Outcome},
        errcode,
    },
};

mod attempt;
pub mod doctor;
mod drafts;
mod followers;
pub mod forecast;
pub mod frozen;
pub mod guard;
pub mod policy;
pub mod prepare;
pub mod reconcile;
pub mod replay;
mod tags;

pub(crate) use crate::text::chain;
pub use followers::gather;
pub use prepare::{Prepared, Refusal, Selection, forgotten, guards, prepare};

/// What a run is told from outside.
pub struct Settings<'a> {
    /// Identifies it.
    pub run_id: String,
    /// Edition, plan, account, platform.
    pub scope: Scope,
    /// The time, and the way to let it pass.
    pub clock: &'a dyn Clock,
    /// True once somebody asked to stop.
    pub interrupted: &'a dyn Fn() -> bool,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The verdict.
    pub outcome: RunOutcome,
    /// Whether a mass message was accepted in this run.
    pub sent: bool,
    /// Why, where no step says it.
    pub error: Option<Problem>,
    /// The store failed.
    pub store_failed: bool,
    /// A guard stopped it.
    pub guarded: bool,
}

/// The steps of a plan as reports show them.
pub fn views(plan: &RenderedPlan) -> Vec<StepView> {
    let view = |step: &RenderedStep| StepView {
        id: step.id.clone(),
        key: step.key.clone(),
        action: step.spec.name.to_owned(),
        description: step.description.clone(),
        line: u32::try_from(step.line).unwrap_or(u32::MAX),
        audience: step.audience.clone(),
        message: step.message().cloned(),
        calls: step.calls.len(),
    };
    plan.steps.iter().map(view).collect()
}

/// Runs a prepared plan.
pub fn run(
    plan: &RenderedPlan,
    prepared: Prepared,
    ledger: &mut dyn Ledger,
    client: &mut Client<'_>,
    settings: &Settings<'_>,
    emit: &mut dyn FnMut(RunEvent),
) -> Ended {
    let clock = settings.clock;
    let mut runner = Runner {
        plan,
        ledger,
        client,
        clock,
        settings,
        emit,
        slots: prepared.slots,
        available: prepared.available,
        previewed: prepared.previewed,
        not_good: HashSet::new(),
        recent: None,
        stopped: None,
        ended: Ended { outcome: RunOutcome::Succeeded, sent: false, error: None, store_failed: false, guarded: false },
    };
    runner.slots.insert(Slot::RunId, json!(settings.run_id));
    let time = crate::clock::shanghai(clock.now()).strftime("%H:%M").to_string();
    runner.slots.insert(Slot::RunTime, json!(time));
    prepared.notes.into_iter().for_each(|text| (runner.emit)(RunEvent::Note { text }));
    runner.all(prepared.todo);
    runner.ended
}

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
    fn planned(step: &RenderedStep, call: PlannedCall) -> Self {
        Self { frozen: freeze(step, &call), record: None, media: None, planned: Some(call) }
    }

    /// As it was frozen; what is left to do of it must be readable.
    fn begun(record: &CallRecord) -> Result<Self, LedgerError> {
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

/// The bytes to send, or why there are none: from the plan, or from the ledger if the call was frozen before.
fn body(planned: Option<&PlannedCall>, frozen: &FrozenCall, slots: &HashMap<Slot, Value>) -> Result<String, String> {
    let payload = match planned {
        Some(call) => Cow::Borrowed(&call.payload),
        None => Cow::Owned(frozen::payload(frozen).map_err(|error| chain(&error))?),
    };
    payload.fill(&|slot| slots.get(slot).cloned()).map_err(|missing| missing.to_string())
}

struct Runner<'a, 'c> {
    plan: &'a RenderedPlan,
    ledger: &'a mut dyn Ledger,
    client: &'a mut Client<'c>,
    clock: &'a dyn Clock,
    settings: &'a Settings<'a>,
    emit: &'a mut dyn FnMut(RunEvent),
    /// Values of slots.
    slots: HashMap<Slot, Value>,
    /// Ids of steps whose outputs are there.
    available: HashSet<String>,
    /// Digests of messages that were previewed in this occurrence.
    previewed: HashSet<String>,
    /// Ids of steps that did not succeed in this run.
    not_good: HashSet<String>,
    /// When mass calls were attempted in the last minute, in order; read at the first.
    recent: Option<VecDeque<Timestamp>>,
    /// Why nothing more is run.
    stopped: Option<String>,
    ended: Ended,
}

/// A step and its number in the plan, from 0.
#[derive(Clone, Copy)]
struct At<'a> {
    index: usize,
    step: &'a RenderedStep,
}

/// How a step ended.
struct StepEnd {
    outcome: StepOutcome,
    outputs: BTreeMap<Output, Value>,
    error: Option<Problem>,
    /// Nothing more is run, whatever the step says.
    stop: bool,
}

impl StepEnd {
    fn new(outcome: StepOutcome) -> Self {
        Self { outcome, outputs: BTreeMap::new(), error: None, stop: false }
    }

    fn problem(outcome: StepOutcome, message: impl Into<String>, help: Vec<String>) -> Self {
        let error = Some(Problem { message: message.into(), help, errcode: None });
        Self { error, ..Self::new(outcome) }
    }
}

impl<'a> Runner<'a, '_> {
    fn all(&mut self, mut todo: Vec<Todo>) {
        if let Err(problem) = self.look_up_tags(&mut todo) {
            self.ended.outcome =
                if (self.settings.interrupted)() { RunOutcome::Interrupted } else { RunOutcome::Failed };
            self.stopped = Some(problem.message.clone());
            self.ended.error = Some(problem);
        }
        for (index, todo) in todo.into_iter().enumerate() {
            let at = At { index, step: &self.plan.steps[index] };
            let began = self.clock.now();
            (self.emit)(RunEvent::StepStarted { step: index, at: began });
            let end = self.step(at, todo);
            self.remember(at.step, &end);
            (self.emit)(RunEvent::StepFinished {
                step: index,
                outcome: end.outcome,
                outputs: named(&end.outputs),
                error: end.error,
                at: self.clock.now(),
            });
        }
        if let Err(error) = self.ledger.sync() {
            let StepEnd { error, .. } = self.store_failed(&error);
            self.ended.error = error;
            if self.ended.outcome == RunOutcome::Succeeded {
                self.ended.outcome = RunOutcome::Failed;
            }
        }
        if (self.settings.interrupted)() && self.stopped.is_some() && self.ended.outcome != RunOutcome::Unknown {
            self.ended.outcome = RunOutcome::Interrupted;
        }
    }

    fn remember(&mut self, step: &RenderedStep, end: &StepEnd) {
        match end.outcome {
            StepOutcome::Succeeded | StepOutcome::AlreadyDone => {
                self.slots.extend(slots_of(step, &end.outputs));
                self.available.insert(step.id.clone());
                if step.spec.effect == Effect::Preview {
                    self.previewed.extend(step.content.digest().map(str::to_owned));
                }
            }
            // What was not selected may be known to the ledger; a skipped row is no part of its step.
            StepOutcome::Skipped if self.available.contains(&step.id) || step.key.is_some() => {}
            StepOutcome::Skipped | StepOutcome::NotRun => {
                self.not_good.insert(step.id.clone());
            }
            StepOutcome::Failed | StepOutcome::Unknown => {
                self.not_good.insert(step.id.clone());
                let worse = if end.outcome == StepOutcome::Unknown { RunOutcome::Unknown } else { RunOutcome::Failed };
                if self.ended.outcome != RunOutcome::Unknown {
                    self.ended.outcome = worse;
                }
                if (end.stop || !step.continue_on_error) && self.stopped.is_none() {
                    let word = if end.outcome == StepOutcome::Unknown { "is unknown" } else { "failed" };
                    self.stopped = Some(format!("`{}` {word}", step.name()));
                }
            }
        }
    }

    fn step(&mut self, at: At<'a>, todo: Todo) -> StepEnd {
        let step = at.step;
        let (calls, freeze, notes) = match todo {
            Todo::Skip => return StepEnd::new(StepOutcome::Skipped),
            Todo::Done { records, notes } => {
                notes.into_iter().for_each(|text| (self.emit)(RunEvent::Note { text }));
                return already_done(step, records.iter());
            }
            Todo::Gather { .. } => {
                let problem = "the people of the send were not listed".to_owned();
                return StepEnd { stop: true, ..StepEnd::problem(StepOutcome::Failed, problem, Vec::new()) };
            }
            Todo::Cover { records } => {
                let calls = match followers::covering(self.plan, step, &records, &self.slots) {
                    Ok(calls) => calls,
                    Err(error) => return self.store_failed(&error),
                };
                let done = calls.iter().filter_map(|call| call.record.as_ref());
                // How many calls there are is known only if the send is all there: of one that goes on, more may come.
                if step.needs.iter().all(|id| self.available.contains(id) && !self.not_good.contains(id))
                    && done.clone().filter(|record| record.status == Status::Accepted).count() == calls.len()
                {
                    return already_done(step, done);
                }
                (calls, Freeze::New, Vec::new())
            }
            Todo::Run { calls, freeze, notes } => (calls, freeze, notes),
        };
        if self.stopped.is_none() && (self.settings.interrupted)() {
            self.stopped = Some("the run was interrupted".into());
        }
        if let Some(why) = &self.stopped {
            return StepEnd::problem(StepOutcome::NotRun, format!("not run, because {why}"), Vec::new());
        }
        let missing = step.needs.iter().find(|id| self.not_good.contains(*id) || !self.available.contains(*id));
        if let Some(missing) = missing {
            return StepEnd::problem(
                StepOutcome::NotRun,
                format!("not run, because it needs `{missing}`, which did not succeed"),
                Vec::new(),
            );
        }
        match self.when(step) {
            Ok(true) => {}
            Ok(false) => return StepEnd::new(StepOutcome::Skipped),
            Err(message) => return StepEnd::problem(StepOutcome::Failed, message, vec!["correct `when`".into()]),
        }
        if step.spec.effect == Effect::Mass
            && let Some(problem) = self.guarded(step)
        {
            self.ended.guarded = true;
            return StepEnd { error: Some(problem), stop: true, ..StepEnd::new(StepOutcome::Failed) };
        }
        for text in notes {
            (self.emit)(RunEvent::Note { text });
        }
        self.calls(at, calls, freeze)
    }

    fn when(&self, step: &RenderedStep) -> Result<bool, String> {
        let When::AtRunTime { expression, context } = &step.when else { return Ok(step.may_run()) };
        let mut seen: BTreeMap<String, Tpl> = BTreeMap::new();
        for name in context.try_iter().into_iter().flatten() {
            seen.insert(name.to_string(), context.get_item(&name).unwrap_or_default());
        }
        seen.insert("steps".into(), Tpl::from(minijinja::value::Serde(nested(&self.slots))));
        let verdict = self.plan.engine.condition(expression, &Tpl::from(seen));
        verdict.map_err(|failures| {
            format!(
                "`when` cannot be decided: {}",
                failures.into_iter().map(|failure| failure.message).collect::<Vec<_>>().join("; ")
            )
        })
    }

    fn guarded(&self, step: &RenderedStep) -> Option<Problem> {
        let hit = guard::time(&self.plan.guards, self.clock.now())
            .or_else(|| guard::previewed(self.plan, step, &self.previewed))?;
        Some(hit.problem(self.plan))
    }

    /// Waits, and says so; false if the run was interrupted.
    fn wait(&mut self, step: usize, duration: Duration, why: &str) -> bool {
        if duration.is_zero() {
            return !(self.settings.interrupted)();
        }
        (self.emit)(RunEvent::Waiting { step, duration, why: why.to_owned() });
        self.clock.sleep(duration)
    }

    fn pace(&mut self, step: usize) -> Result<bool, LedgerError> {
        let per_minute = self.plan.pace(self.settings.scope.platform);
        let now = self.clock.now();
        let since = now.saturating_sub(SignedDuration::from_secs(60)).unwrap_or(now);
        // Nobody else sends while this run has the lock: what came before it is read once, its own attempts are added.
        let recent = match &mut self.recent {
            Some(recent) => recent,
            unread => {
                let scope = &self.settings.scope;
                unread.insert(self.ledger.mass_attempts(scope.platform.name(), &scope.appid, since)?.into())
            }
        };
        while recent.front().is_some_and(|at| *at < since) {
            recent.pop_front();
        }
        let pause = policy::pace(now, recent.make_contiguous(), per_minute);
        if !pause.is_zero() {
            self.ledger.sync()?;
        }
        Ok(self.wait(step, pause, &format!("at most {per_minute} mass calls a minute")))
    }

    fn store_failed(&mut self, error: &LedgerError) -> StepEnd {
        self.ended.store_failed = true;
        let help = vec!["nothing more is sent until the state store can be written; see `qunfa status`".into()];
        StepEnd { stop: true, ..StepEnd::problem(StepOutcome::Failed, chain(error), help) }
    }
}

fn already_done<'r>(step: &RenderedStep, records: impl Iterator<Item = &'r CallRecord>) -> StepEnd {
    let outputs = outputs(step, records.filter_map(CallRecord::acceptance));
    StepEnd { outputs, ..StepEnd::new(StepOutcome::AlreadyDone) }
}

/// What later steps can refer to, from the facts of acceptance of all calls.
pub(crate) fn outputs<'e>(step: &RenderedStep, facts: impl Iterator<Item = &'e Event>) -> BTreeMap<Output, Value> {
    let facts: Vec<&Event> = facts.collect();
    let value = |output: Output| match output {
        Output::MsgId => facts.first().and_then(|fact| fact.msg_id).map(|id| json!(id)),
        Output::MsgIds => Some(json!(facts.iter().map(|fact| fact.msg_id).collect::<Vec<_>>())),
        Output::MsgDataId => facts.iter().find_map(|fact| fact.msg_data_id).map(|id| json!(id)),
        Output::Status => facts.last().and_then(|fact| fact.result.clone()).map(Value::from),
        Output::MediaId | Output::Url => {
            facts.iter().rev().find_map(|fact| drafts::given(fact, output)).map(Value::from)
        }
    };
    step.spec.outputs.iter().filter_map(|output| Some((*output, value(*output)?))).collect()
}

/// Outputs as reports name them.
fn named(outputs: &BTreeMap<Output, Value>) -> BTreeMap<String, Value> {
    outputs.iter().map(|(output, value)| (output.name().to_owned(), value.clone())).collect()
}

/// The slots that the outputs of a step fill.
pub(crate) fn slots_of(step: &RenderedStep, outputs: &BTreeMap<Output, Value>) -> Vec<(Slot, Value)> {
    let mut slots = Vec::new();
    for (output, value) in outputs {
        let slot = step.slot(*output);
        let several = value.as_array().into_iter().flatten().enumerate().filter(|(_, item)| !item.is_null());
        slots.extend(several.map(|(at, item)| (slot.clone().at(at), item.clone())));
        slots.push((slot, value.clone()));
    }
    slots
}

/// Outputs as templates see them: `steps.a.msg_id` is a member of a member.
fn nested(slots: &HashMap<Slot, Value>) -> Value {
    let mut root = json!({});
    for (slot, value) in slots {
        let Slot::Output { step, key, output, index: None } = slot else { continue };
        let step = &mut root[step.as_str()];
        let instance = match key {
            Some(key) => &mut step[key.as_str()],
            None => step,
        };
        instance[output.name()] = value.clone();
    }
    root
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
