//! Calls of which nobody knows whether they were sent: what is said of them, and how a person settles them.

use super::policy;
use crate::{
    ledger::{CallRecord, Event},
    locale::say,
    payload::Effect,
    problem::Problem,
    render::RenderedPlan,
};

/// The command by which a person says what became of calls of a step; `occurrence` only if it is not the plan's own.
pub(crate) fn settle(plan: &RenderedPlan, step: &str, occurrence: Option<&str>) -> String {
    match occurrence {
        Some(name) => plan.command("settle", &[step, "--occurrence", name]),
        None => plan.command("settle", &[step]),
    }
}

/// Why it is not known whether a call was sent, and what to do; `why` is what this run knows of it.
pub(crate) fn problem(plan: &RenderedPlan, record: &CallRecord, why: Problem) -> Problem {
    let (id, key) = (&record.frozen.id, &record.frozen.idempotency_key);
    let command = settle(plan, &id.name(), None);
    if record.frozen.effect == Effect::Publish {
        let problem = if why.help.is_empty() {
            why.help(say!("check the console (草稿箱, 发表记录), or run the plan again: it asks WeChat first, and publishes nothing twice"))
        } else {
            why
        };
        let message = say!("unknown whether the draft was published: {why}", why = &problem.message);
        let problem = problem
            .help(say!("if you know what happened, run: {command} --sent ARTICLE_ID (or 0), or --not-sent", command));
        return Problem { message, ..problem };
    }
    let problem = match policy::foreign(record) {
        Some(answer) => foreign(&command, key, answer),
        None => {
            let problem = if why.help.is_empty() {
                why.help(say!(
                    "check the console (群发记录), or run the plan again within 24 hours to repeat the send with the same clientmsgid {key}",
                    key
                ))
            } else {
                why
            };
            problem.help(say!("if you know what happened, run: {command} --sent MSG_ID, or --not-sent", command))
        }
    };
    let message = say!("unknown whether call {call} was sent: {why}", call = id.chunk, why = &problem.message);
    Problem { message, ..problem }
}

/// WeChat has a job under the name of a call that no attempt of this ledger can have made.
fn foreign(command: &str, key: &str, answer: &Event) -> Problem {
    let code = answer.errcode.unwrap_or_default();
    let message = match answer.msg_id {
        Some(job) => say!(
            "WeChat already has a message with its clientmsgid {key} ({code}, msg_id {job}), and no attempt in this ledger can have sent it",
            key,
            code,
            job
        ),
        None => say!(
            "WeChat already has a message with its clientmsgid {key} ({code}, no msg_id), and no attempt in this ledger can have sent it",
            key,
            code
        ),
    };
    let sent = answer.msg_id.unwrap_or_default();
    Problem::new(message)
        .help(say!("another ledger with the same plan name, occurrence and step may have sent it, or an attempt that was settled as not sent: it may be a different message, so it is neither adopted nor repeated"))
        .help(say!("check that job in the console (群发记录); if it is this message, run: {command} --sent {sent}", command, sent))
        .help(say!("if it is a different message, run: {command} --not-sent; then change the step's `id` or the plan's `name`, because WeChat refuses this clientmsgid for 24 hours", command))
}
