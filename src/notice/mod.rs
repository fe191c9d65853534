//! What people are told of a run that ended, and the forms in which robots of group chats take it. Pure.

use crate::{
    limits,
    locale::{Count, Phrase, say},
    plan::notify::{AccountFacts, Facts, On, StepFacts},
    problem::{ExitCode, Problem},
    report::{CallOutcome, Report, StepOutcome},
    text,
};

pub(crate) mod robot;

/// How a run ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ending {
    /// Steps were run.
    pub(crate) ran: bool,
    /// It was refused because nobody approved it.
    pub(crate) unapproved: bool,
}

/// What a run came to; none if a person stopped it before anything began.
pub(crate) fn event(report: &Report, ending: Ending) -> Option<On> {
    let is = |code: ExitCode| report.exit_code == code as u8;
    Some(match report.exit_code {
        _ if is(ExitCode::Done) => On::Succeeded,
        _ if is(ExitCode::Unknown) => On::Unknown,
        _ if ending.unapproved => On::ApprovalWanted,
        _ if is(ExitCode::Interrupted) && !ending.ran => return None,
        _ if is(ExitCode::Failed) || is(ExitCode::PartlyFailed) || is(ExitCode::Interrupted) => On::Failed,
        _ if ending.ran && !is(ExitCode::Refused) => On::Failed,
        _ => On::Refused,
    })
}

/// What is told of a run; `look` is the command that shows more.
pub(crate) fn facts(report: &Report, on: On, look: String) -> Facts {
    let calls = report.steps.iter().flat_map(|step| &step.calls);
    let sent = calls.filter(|call| {
        call.clientmsgid.is_some() && matches!(call.outcome, CallOutcome::Accepted | CallOutcome::Adopted)
    });
    let sent = sent.count() as u64;
    let bad = |outcome| matches!(outcome, StepOutcome::Failed | StepOutcome::Unknown);
    let of_run = report.error.iter().map(|problem| step_facts(String::new(), problem));
    let of_steps = report
        .steps
        .iter()
        .filter(|step| bad(step.outcome))
        .filter_map(|step| Some(step_facts(text::step_name(&step.id, step.key.as_deref()), step.error.as_ref()?)));
    let steps: Vec<StepFacts> = of_run.chain(of_steps).collect();
    let title = in_rehearsal(&report.platform, title(report, on, sent));
    let account = &report.account;
    let named = match &account.name {
        Some(name) => say!("account: {name} ({appid})", name, appid = &account.appid),
        None => say!("account: {appid}", appid = &account.appid),
    };
    let mut lines = vec![
        named,
        say!("occurrence: {occurrence}", occurrence = &report.occurrence),
        say!("run: {id}", id = &report.run_id),
        say!("exit code: {code}", code = report.exit_code),
        reached(sent, report.totals.recipients),
    ];
    lines.extend(troubles(&steps));
    lines.push(say!("more: {command}", command = &look));
    Facts {
        event: on.name(),
        title: title.to_string(),
        text: lines.iter().map(Phrase::to_string).collect::<Vec<_>>().join("\n"),
        plan: report.plan.name.clone(),
        account: AccountFacts { appid: account.appid.clone(), name: account.name.clone().unwrap_or_default() },
        occurrence: report.occurrence.clone(),
        run_id: report.run_id.clone(),
        platform: report.platform.clone(),
        exit_code: report.exit_code,
        calls: sent,
        recipients: report.totals.recipients,
        steps,
        report: look,
    }
}

/// What is told of a plan that is wrong, so that there is no run; `platform` is where it was to go.
pub(crate) fn facts_of_plan(
    path: &str,
    platform: &str,
    code: ExitCode,
    problems: Vec<StepFacts>,
    look: String,
) -> Facts {
    let title = match code {
        ExitCode::MissingInput => say!("{plan} was refused: an input is missing", plan = path),
        _ => say!("{plan} was refused: the plan is not valid", plan = path),
    };
    let title = in_rehearsal(platform, title);
    let mut lines = vec![say!("exit code: {code}", code = code as u8), say!("nothing was sent")];
    lines.extend(troubles(&problems));
    lines.push(say!("more: {command}", command = &look));
    Facts {
        event: On::Refused.name(),
        title: title.to_string(),
        text: lines.iter().map(Phrase::to_string).collect::<Vec<_>>().join("\n"),
        plan: path.to_owned(),
        account: AccountFacts { appid: String::new(), name: String::new() },
        occurrence: String::new(),
        run_id: String::new(),
        platform: platform.to_owned(),
        exit_code: code as u8,
        calls: 0,
        recipients: 0,
        steps: problems,
        report: look,
    }
}

fn step_facts(step: String, problem: &Problem) -> StepFacts {
    let help = problem.help.iter().map(Phrase::to_string).collect();
    StepFacts { step, message: problem.message.to_string(), help, errcode: problem.errcode }
}

/// A rehearsal says so first.
fn in_rehearsal(platform: &str, title: Phrase) -> Phrase {
    match platform {
        "sandbox" => say!("rehearsal in the sandbox: {title}", title),
        "loopback" => say!("rehearsal on this machine: {title}", title),
        _ => title,
    }
}

fn title(report: &Report, on: On, sent: u64) -> Phrase {
    let plan = report.plan.name.as_str();
    match on {
        On::Refused => say!("{plan} was refused", plan),
        On::Failed if report.exit_code == ExitCode::Interrupted as u8 => say!("{plan} was interrupted", plan),
        On::Failed if sent > 0 => say!("{plan} failed after something was sent", plan),
        On::Failed => say!("{plan} failed", plan),
        On::Unknown => say!("{plan}: it is unknown whether a message was sent", plan),
        On::Succeeded if sent == 0 => say!("{plan} succeeded; nothing new was sent", plan),
        On::Succeeded => say!("{plan} succeeded", plan),
        On::ApprovalWanted => say!("{plan} waits for an approval", plan),
    }
}

fn reached(sent: u64, recipients: u64) -> Phrase {
    match (sent, recipients) {
        (0, _) => say!("nothing was sent"),
        (calls, 0) => say!("sent: {calls} mass call" | "sent: {calls} mass calls", calls = Count(calls)),
        (calls, people) => say!(
            "sent: {calls} mass call to {people} people" | "sent: {calls} mass calls to {people} people",
            calls = Count(calls),
            people = Count(people)
        ),
    }
}

/// A line for each problem, and one for what to do about it.
fn troubles(steps: &[StepFacts]) -> Vec<Phrase> {
    let mut lines = Vec::new();
    for StepFacts { step, message, help, .. } in steps.iter().take(limits::NOTICE_STEPS) {
        lines.push(match step.as_str() {
            "" => say!("problem: {message}", message),
            step => say!("{step}: {message}", step, message),
        });
        if let Some(help) = help.first() {
            lines.push(say!("what to do: {help}", help));
        }
    }
    if let Some(more) = steps.len().checked_sub(limits::NOTICE_STEPS).filter(|more| *more > 0) {
        lines.push(say!("and {more} more problem" | "and {more} more problems", more));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_problems_are_told_in_few_lines() {
        let _heard = crate::locale::tests::heard("notice-many_problems_are_told_in_few_lines");
        let step = |number: usize| StepFacts {
            step: format!("s{number}"),
            message: "no".into(),
            help: Vec::new(),
            errcode: None,
        };
        let lines = |count: usize| troubles(&(0..count).map(step).collect::<Vec<_>>());
        assert_eq!((lines(10).len(), lines(11).len()), (10, 11));
        assert_eq!(lines(12)[10].to_string(), "and 2 more problems");
        assert_eq!(reached(1, 12_000).to_string(), "sent: 1 mass call to 12,000 people");
    }
}
