//! Step after step, in the order of the plan.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use jiff::Timestamp;
use minijinja::Value as Tpl;
use serde_json::{Value, json};

use super::{
    followers, guard,
    outputs::{named, nested, outputs, slots_of},
    policy,
    ready::{Ready, Settings},
    tamper,
    work::{Facts, Left, StepCall, StepState, Work, Write, unmet},
};
use crate::{
    clock::Clock,
    ledger::{CallRecord, Ledger, LedgerError},
    locale::Phrase,
    payload::Effect,
    problem::Problem,
    render::{RenderedPlan, RenderedStep, When},
    report::{RunEvent, RunOutcome, StepOutcome},
    slot::{Output, Slot},
    text::chain,
    wechat::client::Client,
};

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    pub outcome: RunOutcome,
    /// Whether a mass message was accepted in this run.
    pub(crate) sent: bool,
    /// Why, where no step says it.
    pub error: Option<Problem>,
    pub store_failed: bool,
    /// A guard stopped it.
    pub(crate) guarded: bool,
}

impl Ready<'_> {
    /// Runs it. Steps and calls are told as events.
    pub fn run(
        self,
        ledger: &mut dyn Ledger,
        client: &mut Client<'_>,
        settings: &Settings<'_>,
        emit: &mut dyn FnMut(RunEvent),
    ) -> Ended {
        let Ready { plan, work, mut facts, notes } = self;
        let clock = settings.clock;
        facts.slots.insert(Slot::RunId, json!(settings.run_id));
        let time = crate::clock::shanghai(clock.now()).strftime("%H:%M").to_string();
        facts.slots.insert(Slot::RunTime, json!(time));
        notes.into_iter().for_each(|text| emit(RunEvent::Note { text: text.into() }));
        let mut runner = Runner {
            plan,
            ledger,
            client,
            clock,
            settings,
            emit,
            facts,
            states: Vec::with_capacity(work.len()),
            recent: None,
            asked_time: false,
            stopped: None,
            ended: Ended {
                outcome: RunOutcome::Succeeded,
                sent: false,
                error: None,
                store_failed: false,
                guarded: false,
            },
        };
        runner.all(work);
        runner.ended
    }
}

pub(super) struct Runner<'a, 'c> {
    pub(super) plan: &'a RenderedPlan,
    pub(super) ledger: &'a mut dyn Ledger,
    pub(super) client: &'a mut Client<'c>,
    pub(super) clock: &'a dyn Clock,
    pub(super) settings: &'a Settings<'a>,
    pub(super) emit: &'a mut dyn FnMut(RunEvent),
    pub(super) facts: Facts,
    /// The steps before, and how they stand.
    pub(super) states: Vec<(&'a RenderedStep, StepState)>,
    /// When mass calls were attempted in the last minute, in order; read at the first.
    pub(super) recent: Option<VecDeque<Timestamp>>,
    /// The server was asked what time it is.
    pub(super) asked_time: bool,
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

    pub(super) fn problem(outcome: StepOutcome, message: impl Into<Phrase>, help: Vec<Phrase>) -> Self {
        let error = Some(Problem { message: message.into(), help, errcode: None });
        Self { error, ..Self::new(outcome) }
    }
}

impl<'a> Runner<'a, '_> {
    fn all(&mut self, work: Vec<Work<'a>>) {
        for (index, Work { step, left, state }) in work.into_iter().enumerate() {
            let began = self.clock.now();
            (self.emit)(RunEvent::StepStarted { step: index, at: began });
            let end = self.step(At { index, step }, left);
            self.remember(step, state, &end);
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

    /// `before` is how the step stood when the run began.
    fn remember(&mut self, step: &'a RenderedStep, before: StepState, end: &StepEnd) {
        let state = match end.outcome {
            StepOutcome::Succeeded | StepOutcome::AlreadyDone => {
                self.facts.slots.extend(slots_of(step, &end.outputs));
                if step.spec.effect == Effect::Preview {
                    self.facts.previewed.extend(step.content.digest().map(str::to_owned));
                }
                StepState::Available
            }
            // What was not selected may be known to the ledger; a skipped row is no part of its step.
            StepOutcome::Skipped if before == StepState::Available || step.key.is_some() => before,
            StepOutcome::Skipped | StepOutcome::NotRun => StepState::Unavailable,
            StepOutcome::Failed | StepOutcome::Unknown => {
                let worse = if end.outcome == StepOutcome::Unknown { RunOutcome::Unknown } else { RunOutcome::Failed };
                if self.ended.outcome != RunOutcome::Unknown {
                    self.ended.outcome = worse;
                }
                if (end.stop || !step.continue_on_error) && self.stopped.is_none() {
                    let word = if end.outcome == StepOutcome::Unknown { "is unknown" } else { "failed" };
                    self.stopped = Some(format!("`{}` {word}", step.name()));
                }
                StepState::Unavailable
            }
        };
        self.states.push((step, state));
    }

    fn step(&mut self, at: At<'a>, left: Left) -> StepEnd {
        let step = at.step;
        let unmet = unmet(step, &self.states);
        let (calls, write, notes) = match left {
            Left::NotSelected | Left::Never => return StepEnd::new(StepOutcome::Skipped),
            Left::Done { records, notes } => {
                notes.into_iter().for_each(|text| (self.emit)(RunEvent::Note { text: text.into() }));
                return already_done(step, records.iter());
            }
            Left::Cover { records } => {
                let calls = match followers::covering(self.plan, step, &records, &self.facts.slots) {
                    Ok(calls) => calls,
                    Err(error) => return self.store_failed(&error),
                };
                if let Err(error) = tamper::check(self.plan, step, &calls) {
                    return self.store_failed(&error);
                }
                // How many calls there are is known only if the send is all there: of one that goes on, more may come.
                if unmet.is_none() && !calls.iter().any(StepCall::is_open) {
                    return already_done(step, calls.iter().filter_map(|call| call.record.as_ref()));
                }
                (calls, Write::New, Vec::new())
            }
            Left::Calls { calls, write, notes } => (calls, write, notes),
        };
        if self.stopped.is_none() && (self.settings.interrupted)() {
            self.stopped = Some("the run was interrupted".into());
        }
        if let Some(why) = &self.stopped {
            return StepEnd::problem(StepOutcome::NotRun, format!("not run, because {why}"), Vec::new());
        }
        if let Some(unmet) = unmet {
            return StepEnd::problem(
                StepOutcome::NotRun,
                format!("not run, because it needs `{unmet}`, which did not succeed"),
                Vec::new(),
            );
        }
        match self.when(step) {
            Ok(true) => {}
            Ok(false) => return StepEnd::new(StepOutcome::Skipped),
            Err(message) => return StepEnd::problem(StepOutcome::Failed, message, vec!["correct `when`".into()]),
        }
        if step.spec.effect == Effect::Mass
            && let Some(problem) = guard::before_send(self.plan, step, &self.facts, self.clock.now())
        {
            self.ended.guarded = true;
            return StepEnd { error: Some(problem), stop: true, ..StepEnd::new(StepOutcome::Failed) };
        }
        for text in notes {
            (self.emit)(RunEvent::Note { text: text.into() });
        }
        self.calls(at, calls, write)
    }

    fn when(&self, step: &RenderedStep) -> Result<bool, String> {
        let When::AtRunTime { expression, context } = &step.when else { return Ok(step.may_run()) };
        let mut seen: BTreeMap<String, Tpl> = BTreeMap::new();
        for name in context.try_iter().into_iter().flatten() {
            seen.insert(name.to_string(), context.get_item(&name).unwrap_or_default());
        }
        seen.insert("steps".into(), Tpl::from(minijinja::value::Serde(nested(&self.facts.slots))));
        let verdict = self.plan.engine.condition(expression, &Tpl::from(seen));
        verdict.map_err(|failures| {
            format!(
                "`when` cannot be decided: {}",
                failures.into_iter().map(|failure| failure.message).collect::<Vec<_>>().join("; ")
            )
        })
    }

    /// Waits, and says so; false if the run was interrupted.
    pub(super) fn wait(&mut self, step: usize, duration: Duration, why: &str) -> bool {
        if duration.is_zero() {
            return !(self.settings.interrupted)();
        }
        (self.emit)(RunEvent::Waiting { step, duration, why: why.to_owned().into() });
        self.clock.sleep(duration)
    }

    pub(super) fn pace(&mut self, step: usize) -> Result<bool, LedgerError> {
        let per_minute = self.plan.pace(self.settings.scope.platform);
        let now = self.clock.now();
        let since = now.saturating_sub(policy::WINDOW).unwrap_or(now);
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
