//! Step after step.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use minijinja::Value as Tpl;
use serde_json::{Value, json};

use super::{
    followers, guard,
    outputs::{named, nested, outputs, slots_of},
    policy,
    prepare::Prepared,
    work::{Freeze, Todo},
};
use crate::{
    clock::Clock,
    ledger::{CallRecord, Ledger, LedgerError, Scope, Status},
    payload::Effect,
    problem::Problem,
    render::{RenderedPlan, RenderedStep, When},
    report::{RunEvent, RunOutcome, StepOutcome},
    slot::{Output, Slot},
    text::chain,
    wechat::client::Client,
};

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

pub(super) struct Runner<'a, 'c> {
    pub(super) plan: &'a RenderedPlan,
    pub(super) ledger: &'a mut dyn Ledger,
    pub(super) client: &'a mut Client<'c>,
    pub(super) clock: &'a dyn Clock,
    pub(super) settings: &'a Settings<'a>,
    pub(super) emit: &'a mut dyn FnMut(RunEvent),
    /// Values of slots.
    pub(super) slots: HashMap<Slot, Value>,
    /// Ids of steps whose outputs are there.
    available: HashSet<String>,
    /// Digests of messages that were previewed in this occurrence.
    previewed: HashSet<String>,
    /// Ids of steps that did not succeed in this run.
    not_good: HashSet<String>,
    /// When mass calls were attempted in the last minute, in order; read at the first.
    pub(super) recent: Option<VecDeque<Timestamp>>,
    /// Why nothing more is run.
    pub(super) stopped: Option<String>,
    pub(super) ended: Ended,
}

/// A step and its number in the plan, from 0.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) index: usize,
    pub(super) step: &'a RenderedStep,
}

/// How a step ended.
pub(super) struct StepEnd {
    pub(super) outcome: StepOutcome,
    pub(super) outputs: BTreeMap<Output, Value>,
    pub(super) error: Option<Problem>,
    /// Nothing more is run, whatever the step says.
    pub(super) stop: bool,
}

impl StepEnd {
    pub(super) fn new(outcome: StepOutcome) -> Self {
        Self { outcome, outputs: BTreeMap::new(), error: None, stop: false }
    }

    pub(super) fn problem(outcome: StepOutcome, message: impl Into<String>, help: Vec<String>) -> Self {
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
    pub(super) fn wait(&mut self, step: usize, duration: Duration, why: &str) -> bool {
        if duration.is_zero() {
            return !(self.settings.interrupted)();
        }
        (self.emit)(RunEvent::Waiting { step, duration, why: why.to_owned() });
        self.clock.sleep(duration)
    }

    pub(super) fn pace(&mut self, step: usize) -> Result<bool, LedgerError> {
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

    pub(super) fn store_failed(&mut self, error: &LedgerError) -> StepEnd {
        self.ended.store_failed = true;
        let help = vec!["nothing more is sent until the state store can be written; see `qunfa status`".into()];
        StepEnd { stop: true, ..StepEnd::problem(StepOutcome::Failed, chain(error), help) }
    }
}

fn already_done<'r>(step: &RenderedStep, records: impl Iterator<Item = &'r CallRecord>) -> StepEnd {
    let outputs = outputs(step, records.filter_map(CallRecord::acceptance));
    StepEnd { outputs, ..StepEnd::new(StepOutcome::AlreadyDone) }
}
