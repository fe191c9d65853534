//! Calls of which nobody knows whether they were sent: what is said of them, and how a person settles them.

use super::policy;
use crate::{
    ledger::{CallId, CallRecord, Event},
    problem::Problem,
};

/// The command by which a person says what became of calls of a step; `occurrence` only if it is not the plan's own.
pub(crate) fn settle(plan: &str, step: &str, occurrence: Option<&str>) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_.:/+@".contains(c);
    let occurrence = match occurrence {
        None => String::new(),
        Some(name) if !name.is_empty() && name.chars().all(plain) => format!(" --occurrence {name}"),
        Some(name) => format!(" --occurrence '{}'", name.replace('\'', r"'\''")),
    };
    format!("qunfa settle {plan} {step}{occurrence}")
}

/// Why it is not known whether a call was sent, and what to do; `why` is what this run knows of it.
pub(crate) fn problem(plan: &str, record: &CallRecord, why: Problem) -> Problem {
    let (id, key) = (&record.frozen.id, &record.frozen.idempotency_key);
    let problem = match policy::foreign(record) {
        Some(answer) => foreign(plan, id, key, answer),
        None if why.help.is_empty() => why.help(format!(
            "look at the console (群发记录), or run it again within 24 hours: the same send is then repeated with the same clientmsgid {key}"
        )),
        None => why,
    };
    let problem = match policy::foreign(record) {
        Some(_) => problem,
        None => problem.help(format!(
            "if you know what happened: {} --sent MSG_ID, or --not-sent",
            settle(plan, &id.name(), None)
        )),
    };
    Problem {
        message: format!("whether call {} was sent is not known: {}", id.chunk, problem.message).into(),
        ..problem
    }
}

/// WeChat has a job under the name of a call that no attempt of this ledger can have made.
fn foreign(plan: &str, id: &CallId, key: &str, answer: &Event) -> Problem {
    let (job, sent) = match answer.msg_id {
        Some(job) => (format!("msg_id {job}"), job.to_string()),
        None => ("no msg_id".to_owned(), "0".to_owned()),
    };
    let code = answer.errcode.unwrap_or_default();
    let settle = settle(plan, &id.name(), None);
    Problem::new(format!(
        "WeChat already has a message under its clientmsgid {key} ({code}, {job}), and no attempt in this ledger can have sent it"
    ))
    .help("another ledger with the same plan name, occurrence and step may have sent it, or an attempt that was settled as not sent: it may be another message, so it is neither adopted nor repeated")
    .help(format!("look at that job in the console (群发记录); if it is this message: {settle} --sent {sent}"))
    .help(format!(
        "if it is another message: {settle} --not-sent, then give the step another `id` or the plan another `name`, because WeChat refuses this clientmsgid for 24 hours"
    ))
}
