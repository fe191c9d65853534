//! What happens in a run, as it happens; and the report that it adds up to.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde_json::Value;

use super::{
    AccountRef, CallOutcome, CallReport, PlanRef, REPORT_SCHEMA, Report, RunOutcome, StepOutcome, StepReport, Totals,
};
use crate::{
    locale::Phrase,
    message::MessageView,
    problem::{ExitCode, Problem},
};

/// The interface between the run loop and everything that shows it: display, report.
#[derive(Debug, Clone, PartialEq)]
pub enum RunEvent {
    Started {
        run_id: String,
        plan: PlanRef,
        account: AccountRef,
        occurrence: String,
        platform: String,
        at: Timestamp,
        /// The step instances, in order.
        steps: Vec<StepView>,
    },
    StepStarted {
        /// Its number, from 0.
        step: usize,
        at: Timestamp,
    },
    Waiting {
        step: usize,
        duration: Duration,
        why: Phrase,
    },
    /// A call has an outcome.
    CallFinished {
        step: usize,
        call: CallReport,
    },
    /// Something that is no failure but should be said.
    Note {
        text: Phrase,
    },
    /// A step has an outcome.
    StepFinished {
        /// Its number, from 0.
        step: usize,
        outcome: StepOutcome,
        /// What later steps can refer to.
        outputs: BTreeMap<String, Value>,
        /// Why it did not succeed.
        error: Option<Problem>,
        at: Timestamp,
    },
    Finished {
        outcome: RunOutcome,
        exit_code: ExitCode,
        /// How often a token was fetched.
        token_fetches: u32,
        /// Why, where no step says it.
        error: Option<Problem>,
        at: Timestamp,
    },
}

/// A step before it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepView {
    pub(crate) id: String,
    /// The `foreach` key.
    pub(crate) key: Option<String>,
    pub(crate) action: String,
    /// What the plan says of it.
    pub(crate) description: Option<String>,
    pub(crate) line: u32,
    pub(crate) audience: Option<String>,
    pub(crate) message: Option<MessageView>,
    /// How many calls it makes.
    pub(crate) calls: usize,
}

/// Adds events up to a report.
#[derive(Debug, Default)]
pub struct Fold {
    report: Option<Report>,
    began: Vec<Option<Timestamp>>,
}

impl Fold {
    /// Takes an event in; events before [`RunEvent::Started`] are no part of a run.
    pub fn apply(&mut self, event: &RunEvent) {
        if let RunEvent::Started { run_id, plan, account, occurrence, platform, at, steps } = event {
            self.began = vec![None; steps.len()];
            self.report = Some(Report {
                schema: REPORT_SCHEMA,
                run_id: run_id.clone(),
                plan: plan.clone(),
                account: account.clone(),
                occurrence: occurrence.clone(),
                platform: platform.clone(),
                started_at: *at,
                finished_at: *at,
                outcome: RunOutcome::Interrupted,
                exit_code: ExitCode::Interrupted as u8,
                token_fetches: 0,
                totals: Totals::default(),
                steps: steps.iter().map(not_run).collect(),
                error: None,
                again: None,
                again_reason: None,
                readers: None,
            });
            return;
        }
        let Some(report) = &mut self.report else { return };
        match event {
            RunEvent::Started { .. } | RunEvent::Waiting { .. } | RunEvent::Note { .. } => {}
            RunEvent::StepStarted { step, at } => self.began[*step] = Some(*at),
            RunEvent::CallFinished { step, call } => report.steps[*step].calls.push(call.clone()),
            RunEvent::StepFinished { step, outcome, outputs, error, at } => {
                let began = self.began[*step];
                let entry = &mut report.steps[*step];
                entry.outcome = *outcome;
                entry.outputs = outputs.clone();
                entry.error = error.clone();
                entry.started_at = began.filter(|_| !entry.calls.is_empty());
                let lasted = began.map_or(0, |began| at.duration_since(began).as_millis());
                entry.duration_ms = u64::try_from(lasted).unwrap_or(0);
            }
            RunEvent::Finished { outcome, exit_code, token_fetches, error, at } => {
                report.outcome = *outcome;
                report.exit_code = *exit_code as u8;
                report.token_fetches = *token_fetches;
                report.error = error.clone();
                report.finished_at = *at;
            }
        }
    }

    /// The report; none if the run never began.
    pub fn finish(self) -> Option<Report> {
        self.report.map(|mut report| {
            report.totals = totals(&report.steps);
            report
        })
    }
}

fn not_run(step: &StepView) -> StepReport {
    StepReport {
        id: step.id.clone(),
        key: step.key.clone(),
        action: step.action.clone(),
        description: step.description.clone(),
        line: step.line,
        audience: step.audience.clone(),
        message: step.message.clone(),
        outcome: StepOutcome::NotRun,
        started_at: None,
        duration_ms: 0,
        outputs: BTreeMap::new(),
        calls: Vec::new(),
        delivery: Vec::new(),
        error: None,
    }
}

fn totals(steps: &[StepReport]) -> Totals {
    let count =
        |outcome| u32::try_from(steps.iter().filter(|step| step.outcome == outcome).count()).unwrap_or(u32::MAX);
    let calls = || steps.iter().flat_map(|step| &step.calls);
    let reached = |call: &&CallReport| matches!(call.outcome, CallOutcome::Accepted | CallOutcome::Adopted);
    Totals {
        steps: u32::try_from(steps.len()).unwrap_or(u32::MAX),
        succeeded: count(StepOutcome::Succeeded),
        failed: count(StepOutcome::Failed),
        skipped: count(StepOutcome::Skipped),
        already_done: count(StepOutcome::AlreadyDone),
        unknown: count(StepOutcome::Unknown),
        not_run: count(StepOutcome::NotRun),
        calls: u32::try_from(calls().count()).unwrap_or(u32::MAX),
        // Previews show a message to an editor; they reach no audience, and carry no key.
        recipients: calls()
            .filter(reached)
            .filter(|call| call.clientmsgid.is_some())
            .filter_map(|call| call.recipients)
            .sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_never_finished_is_interrupted() {
        let mut fold = Fold::default();
        fold.apply(&RunEvent::StepStarted { step: 0, at: Timestamp::UNIX_EPOCH });
        assert!(fold.finish().is_none());
    }

    #[test]
    fn events_add_up() {
        let at = |seconds| Timestamp::from_second(seconds).expect("in range");
        let view = StepView {
            id: "a".into(),
            key: None,
            action: "send_by_tag".into(),
            description: None,
            line: 3,
            audience: None,
            message: None,
            calls: 1,
        };
        let call = |outcome, recipients, key: bool| CallReport {
            chunk: 1,
            path: "/p".into(),
            clientmsgid: key.then(|| "k".to_owned()),
            recipients: Some(recipients),
            attempts: 1,
            outcome,
            errcode: Some(0),
            errmsg: None,
            rid: None,
            msg_id: Some(1),
            msg_data_id: None,
        };
        let mut fold = Fold::default();
        fold.apply(&RunEvent::Started {
            run_id: "r".into(),
            plan: PlanRef { name: "p".into(), path: "p.yaml".into(), digest: "sha256:".into() },
            account: AccountRef { appid: "wx".into(), kind: "service".into(), name: None },
            occurrence: "once".into(),
            platform: "sandbox".into(),
            at: at(10),
            steps: vec![view.clone(), view],
        });
        fold.apply(&RunEvent::StepStarted { step: 0, at: at(11) });
        fold.apply(&RunEvent::CallFinished { step: 0, call: call(CallOutcome::Accepted, 5, true) });
        fold.apply(&RunEvent::CallFinished { step: 0, call: call(CallOutcome::Accepted, 1, false) });
        fold.apply(&RunEvent::CallFinished { step: 0, call: call(CallOutcome::Refused, 7, true) });
        fold.apply(&RunEvent::StepFinished {
            step: 0,
            outcome: StepOutcome::Failed,
            outputs: BTreeMap::new(),
            error: None,
            at: at(13),
        });
        fold.apply(&RunEvent::Finished {
            outcome: RunOutcome::Failed,
            exit_code: ExitCode::PartlyFailed,
            token_fetches: 1,
            error: None,
            at: at(14),
        });
        let report = fold.finish().expect("it began");
        assert_eq!((report.steps[0].duration_ms, report.steps[0].started_at), (2000, Some(at(11))));
        assert_eq!(
            (report.totals.failed, report.totals.not_run, report.totals.calls, report.totals.recipients),
            (1, 1, 3, 5)
        );
    }
}
