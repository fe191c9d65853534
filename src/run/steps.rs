//! Step after step, in the order of the plan.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use jiff::Timestamp;
use minijinja::Value as Tpl;
use serde_json::{Value, json};

use super::{
    doubt, followers, guard,
    outputs::{named, nested, outputs, slots_of},
    policy,
    ready::{Ready, Settings},
    refusal::in_a_row,
    tamper,
    work::{Facts, Left, StepCall, StepState, Work, Write, unmet},
};
use crate::{
    clock::Clock,
    ledger::{CallRecord, Ledger, LedgerError},
    locale::{Phrase, say},
    payload::Effect,
    problem::Problem,
    render::{RenderedPlan, RenderedStep, When},
    report::{RunEvent, RunOutcome, StepOutcome},
    slot::{Output, Slot},
    wechat::client::Client,
};

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    pub outcome: RunOutcome,
    /// Whether a mass message was accepted in this run, or something was published.
    pub(crate) sent: bool,
    /// Why, where no step says it.
    pub error: Option<Problem>,
    pub store_failed: bool,
    /// Another run has the account by now.
    pub(crate) taken_over: bool,
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
        notes.into_iter().for_each(|text| emit(RunEvent::Note { text }));
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
                taken_over: false,
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
    pub(super) stopped: Option<Phrase>,
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
                    let step = step.name();
                    self.stopped = Some(if end.outcome == StepOutcome::Unknown {
                        say!("the outcome of `{step}` is unknown", step)
                    } else {
                        say!("`{step}` failed", step)
                    });
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
            Left::Doubtful { record } => return self.skipped_in_doubt(&record),
            Left::Done { records, notes } => {
                notes.into_iter().for_each(|text| (self.emit)(RunEvent::Note { text }));
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
            self.stopped = Some(say!("the run was interrupted"));
        }
        if let Some(why) = &self.stopped {
            return StepEnd::problem(StepOutcome::NotRun, say!("not run: {why}", why), Vec::new());
        }
        if let Some(unmet) = unmet {
            return StepEnd::problem(
                StepOutcome::NotRun,
                say!("not run: `{needed}` did not succeed", needed = unmet),
                Vec::new(),
            );
        }
        match self.when(step) {
            Ok(true) => {}
            Ok(false) => {
                let mut records = calls.iter().filter_map(|call| call.record.as_ref());
                let doubtful = records.find(|record| record.frozen.is_once() && record.status.in_doubt());
                return doubtful
                    .map_or_else(|| StepEnd::new(StepOutcome::Skipped), |record| self.skipped_in_doubt(record));
            }
            Err(message) => return StepEnd::problem(StepOutcome::Failed, message, vec![say!("correct `when`")]),
        }
        if step.spec.effect == Effect::Mass
            && let Some(problem) =
                guard::before_send(self.plan, step, &self.facts, &self.settings.scope, self.clock.now())
        {
            self.ended.guarded = true;
            return StepEnd { error: Some(problem), stop: true, ..StepEnd::new(StepOutcome::Failed) };
        }
        for text in notes {
            (self.emit)(RunEvent::Note { text });
        }
        self.calls(at, calls, write)
    }

    /// Skipping a step settles nothing: that a send of it is in doubt is said, and the run ends with it.
    fn skipped_in_doubt(&mut self, record: &CallRecord) -> StepEnd {
        self.ended.outcome = RunOutcome::Unknown;
        let why = Problem::new(say!("`when` is false in this run, so the call is not repeated"))
            .help(say!("check the console (群发记录) to see whether it was sent"));
        let error = Some(doubt::problem(self.plan, record, why));
        StepEnd { error, ..StepEnd::new(StepOutcome::Skipped) }
    }

    fn when(&self, step: &RenderedStep) -> Result<bool, Phrase> {
        let When::AtRunTime { expression, context } = &step.when else { return Ok(step.may_run()) };
        let mut seen: BTreeMap<String, Tpl> = BTreeMap::new();
        for name in context.try_iter().into_iter().flatten() {
            seen.insert(name.to_string(), context.get_item(&name).unwrap_or_default());
        }
        seen.insert("steps".into(), Tpl::from(minijinja::value::Serde(nested(&self.facts.slots))));
        let verdict = self.plan.engine.condition(expression, &Tpl::from(seen));
        verdict.map_err(|failures| {
            let why = in_a_row(failures.into_iter().map(|failure| failure.message));
            say!("cannot evaluate `when`: {why}", why)
        })
    }

    /// Waits, and says so; false if the run was interrupted.
    pub(super) fn wait(&mut self, step: usize, duration: Duration, why: Phrase) -> bool {
        if duration.is_zero() {
            return !(self.settings.interrupted)();
        }
        (self.emit)(RunEvent::Waiting { step, duration, why });
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
        Ok(self.wait(
            step,
            pause,
            say!(
                "to stay within {calls} mass call per minute" | "to stay within {calls} mass calls per minute",
                calls = per_minute
            ),
        ))
    }

    pub(super) fn store_failed(&mut self, error: &LedgerError) -> StepEnd {
        self.ended.store_failed = true;
        self.ended.taken_over |= matches!(error, LedgerError::TakenOver { .. });
        let command = self.plan.command("status", &[]);
        let help = vec![say!("no more messages are sent until the state store is writable; see `{command}`", command)];
        StepEnd { stop: true, ..StepEnd::problem(StepOutcome::Failed, error.words(), help) }
    }
}

fn already_done<'r>(step: &RenderedStep, records: impl Iterator<Item = &'r CallRecord>) -> StepEnd {
    let outputs = outputs(step, records.filter_map(CallRecord::acceptance));
    StepEnd { outputs, ..StepEnd::new(StepOutcome::AlreadyDone) }
}
