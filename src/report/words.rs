//! The words, marks and numbers that the formats share, so that a step reads the same in all of them.
//!
//! Nothing here knows of a format's syntax: escaping is each format's own.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::{TimeZone, offset};

use super::{CallOutcome, CallReport, Report, RunOutcome, StepOutcome, StepReport};
pub(super) use crate::text::{one_line, visible};
use crate::{
    locale::{Phrase, say},
    text::{count, step_name, thousands},
};

/// What a platform of `sandbox` means to whoever reads the report.
pub(super) const SANDBOX: &str = "sandbox: nothing left this machine, no follower received anything";

/// What `already_done` means.
pub(super) const ALREADY_DONE: &str = "accepted in an earlier run; nothing was sent";

/// Every outcome of a step, in the order in which totals list them.
pub(super) const STEP_OUTCOMES: [StepOutcome; 6] = [
    StepOutcome::Succeeded,
    StepOutcome::Failed,
    StepOutcome::Unknown,
    StepOutcome::AlreadyDone,
    StepOutcome::Skipped,
    StepOutcome::NotRun,
];

impl StepOutcome {
    /// One column wide. Two outcomes share the tick: both mean that the step's work is done.
    pub(super) const fn mark(self) -> &'static str {
        match self {
            Self::Succeeded | Self::AlreadyDone => "✓",
            Self::Failed => "✗",
            Self::Unknown => "?",
            Self::Skipped => "–",
            Self::NotRun => "·",
        }
    }

    /// The outcome as people say it.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::AlreadyDone => "already done",
            Self::Unknown => "unknown",
            Self::NotRun => "not run",
        }
    }

    /// Whether a person has to look at the step.
    pub(super) const fn is_bad(self) -> bool {
        matches!(self, Self::Failed | Self::Unknown)
    }
}

impl RunOutcome {
    /// One column wide.
    pub(super) const fn mark(self) -> &'static str {
        match self {
            Self::Succeeded => "✓",
            Self::Failed | Self::Refused => "✗",
            Self::Unknown => "?",
            Self::Interrupted => "–",
        }
    }

    /// The outcome as people say it.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Refused => "refused",
            Self::Interrupted => "interrupted",
        }
    }
}

impl CallOutcome {
    /// The outcome as people say it.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Adopted => "adopted",
            Self::Refused => "refused",
            Self::NotSent => "not sent",
            Self::Unknown => "unknown",
        }
    }

    /// Whether WeChat has the job: it took the call, or had it already.
    pub(super) const fn arrived(self) -> bool {
        matches!(self, Self::Accepted | Self::Adopted)
    }

    /// Whether somebody may have received it.
    pub(super) const fn may_have_left(self) -> bool {
        matches!(self, Self::Accepted | Self::Adopted | Self::Unknown)
    }
}

impl StepReport {
    /// `city[北京]`, or the id alone.
    pub(super) fn name(&self) -> String {
        step_name(&self.id, self.key.as_deref())
    }

    /// How many it reached: `12,000`, `10,000 of 20,000`, `345 unknown`; null where no call knows its number.
    pub(super) fn reach(&self) -> Option<String> {
        let sum = |of: fn(CallOutcome) -> bool| {
            let calls = self.calls.iter().filter(|call| of(call.outcome));
            calls.filter_map(|call| call.recipients).reduce(u64::saturating_add)
        };
        let all = sum(|_| true)?;
        let reached = sum(CallOutcome::arrived).unwrap_or(0);
        let unknown = sum(|outcome| outcome == CallOutcome::Unknown).unwrap_or(0);
        Some(match (reached, unknown) {
            (reached, _) if reached == all => thousands(all),
            (_, 0) => format!("{} of {}", thousands(reached), thousands(all)),
            (_, unknown) if unknown == all => format!("{} unknown", thousands(all)),
            (_, unknown) => format!("{} of {}, {} unknown", thousands(reached), thousands(all), thousands(unknown)),
        })
    }

    /// WeChat's code for what went wrong: the problem's own, else that of the last call that did not arrive.
    pub(super) fn errcode(&self) -> Option<i64> {
        let own = self.error.as_ref().and_then(|problem| problem.errcode);
        own.or_else(|| self.last_bad_call().and_then(|call| call.errcode))
    }

    /// WeChat's id of the request that went wrong.
    pub(super) fn rid(&self) -> Option<&str> {
        self.last_bad_call().and_then(|call| call.rid.as_deref())
    }

    fn last_bad_call(&self) -> Option<&CallReport> {
        self.calls.iter().rev().find(|call| !call.outcome.arrived())
    }
}

impl Report {
    /// Whether the run went wrong in a way that no step shows: it must not look green where only steps are drawn.
    pub(super) fn has_own_problem(&self) -> bool {
        let no_step_says_it = !self.steps.iter().any(|step| step.outcome.is_bad());
        self.error.is_some() || (self.outcome != RunOutcome::Succeeded && no_step_says_it)
    }

    /// Why the run as a whole went wrong, in one line.
    pub(super) fn own_problem(&self) -> Phrase {
        match &self.error {
            Some(problem) => problem.message.clone(),
            None => match self.outcome {
                RunOutcome::Succeeded => say!("the run succeeded"),
                RunOutcome::Failed => say!("the run failed"),
                RunOutcome::Unknown => say!("the outcome of the run is unknown"),
                RunOutcome::Refused => say!("the run was refused before anything was sent"),
                RunOutcome::Interrupted => say!("the run was interrupted"),
            },
        }
    }

    /// The steps by outcome, without those that did not happen: `5 steps, 4 succeeded, 1 already done`.
    pub(super) fn steps_in_words(&self) -> String {
        let mut words = count(u64::from(self.totals.steps), "step");
        for (outcome, number) in self.tally() {
            if number > 0 {
                write!(words, ", {} {}", thousands(u64::from(number)), outcome.label()).expect("a string takes it");
            }
        }
        words
    }

    /// What left: `6 calls, 12,345 recipients; token fetched once`.
    pub(super) fn calls_in_words(&self) -> String {
        let calls = count(u64::from(self.totals.calls), "call");
        let recipients = match self.recipients_in_words() {
            words if words.contains(' ') => words,
            _ => count(self.totals.recipients, "recipient"),
        };
        format!("{calls}, {recipients}; token {}", fetches(self.token_fetches))
    }

    /// How many people were reached, as far as it is known: how many follow a tag is asked for only where it matters,
    /// and a zero would be read as nobody.
    pub(super) fn recipients_in_words(&self) -> String {
        let calls = self.steps.iter().flat_map(|step| &step.calls);
        let uncounted = calls.filter(|call| matches!(call.outcome, CallOutcome::Accepted | CallOutcome::Adopted));
        let uncounted = uncounted.filter(|call| call.clientmsgid.is_some() && call.recipients.is_none()).count();
        match (self.totals.recipients, uncounted) {
            (0, 1..) => "followers of tags not counted".into(),
            (known, 1..) => format!("{} and the followers of tags", count(known, "recipient")),
            (known, 0) => thousands(known),
        }
    }

    /// The totals by outcome of a step.
    pub(super) fn tally(&self) -> [(StepOutcome, u32); 6] {
        STEP_OUTCOMES.map(|outcome| {
            let number = match outcome {
                StepOutcome::Succeeded => self.totals.succeeded,
                StepOutcome::Failed => self.totals.failed,
                StepOutcome::Skipped => self.totals.skipped,
                StepOutcome::AlreadyDone => self.totals.already_done,
                StepOutcome::Unknown => self.totals.unknown,
                StepOutcome::NotRun => self.totals.not_run,
            };
            (outcome, number)
        })
    }

    /// How long the run took, in milliseconds; 0 for a clock that went backwards.
    pub(super) fn duration_ms(&self) -> u64 {
        millis_between(self.started_at, self.finished_at)
    }
}

/// Milliseconds from `start` to `end`; 0 if `end` is earlier.
pub(super) fn millis_between(start: Timestamp, end: Timestamp) -> u64 {
    u64::try_from(end.duration_since(start).as_millis()).unwrap_or(0)
}

/// How often a token was: `not fetched`, `fetched once`, `fetched 3 times`.
pub(super) fn fetches(number: u32) -> String {
    match number {
        0 => "not fetched".to_owned(),
        1 => "fetched once".to_owned(),
        2 => "fetched twice".to_owned(),
        n => format!("fetched {n} times"),
    }
}

/// A duration in the spelling of the plan: `12ms`, `1.3s`, `3m 05s`, `1h 02m`.
pub(super) fn duration(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0 => format!("{ms}ms"),
        1..60 => format!("{seconds}.{}s", ms % 1000 / 100),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

/// Date and time in Asia/Shanghai, to the second: `2026-03-01 09:00:00`.
pub(super) fn shanghai(time: Timestamp) -> String {
    in_shanghai(time).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Time of day in Asia/Shanghai: `09:00:00`.
pub(super) fn shanghai_clock(time: Timestamp) -> String {
    in_shanghai(time).strftime("%H:%M:%S").to_string()
}

/// A fixed offset is exact (China has had no daylight saving time since 1991) and cannot fail as a look-up by name can.
fn in_shanghai(time: Timestamp) -> jiff::Zoned {
    time.to_zoned(TimeZone::fixed(offset(8)))
}

/// What there is to say about a call, part by part: `call 1: accepted`, `9,000 recipients`, `msg_id 3147494552`.
pub(super) fn call(call: &CallReport) -> Vec<String> {
    let mut parts = vec![format!("call {}: {}", call.chunk, call.outcome.label())];
    parts.extend(call.recipients.map(|recipients| count(recipients, "recipient")));
    if call.attempts > 1 {
        parts.push(count(u64::from(call.attempts), "attempt"));
    }
    parts.extend(call.errcode.filter(|code| *code != 0).map(errcode));
    parts.extend(call.msg_id.map(|msg_id| format!("msg_id {msg_id}")));
    // The key and the request id are what a person needs to settle the rest, and noise where all is well.
    if !call.outcome.arrived() {
        parts.extend(call.clientmsgid.as_ref().map(|key| format!("clientmsgid {key}")));
        parts.extend(call.rid.as_deref().map(rid));
    }
    parts
}

/// `errcode 45028`.
pub(super) fn errcode(errcode: i64) -> String {
    format!("errcode {errcode}")
}

/// `rid 65e1a2b3-0c1d2e3f-4a5b6c7d`.
pub(super) fn rid(rid: &str) -> String {
    format!("rid {rid}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fetches_are_counted_in_words() {
        assert_eq!([0, 1, 2, 3].map(fetches).join("; "), "not fetched; fetched once; fetched twice; fetched 3 times");
    }

    #[test]
    fn durations_read_like_those_of_a_plan() {
        let read = [0, 999, 1_000, 59_999, 60_000, 3_599_999, 3_600_000, 360_120_000].map(duration);
        assert_eq!(read.join(" | "), "0ms | 999ms | 1.0s | 59.9s | 1m 00s | 59m 59s | 1h 00m | 100h 02m");
    }

    #[test]
    fn nothing_invisible_acts() {
        assert_eq!(visible("a\u{1b}[31mb\r\nc\td\u{202e}e👩\u{200d}💻"), "a\u{fffd}[31mb\nc\td\u{fffd}e👩\u{200d}💻");
        assert_eq!(one_line("a\nb"), "a b");
    }
}
