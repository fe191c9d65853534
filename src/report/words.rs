//! The words, marks and numbers that the formats share, so that a step reads the same in all of them.
//!
//! Nothing here knows of a format's syntax: escaping is each format's own.

use jiff::Timestamp;
use jiff::tz::{TimeZone, offset};

use super::{CallOutcome, CallReport, Report, RunOutcome, StepOutcome, StepReport};
pub(super) use crate::text::{one_line, visible};
use crate::{
    locale::{Count, Phrase, say},
    text::step_name,
};

/// What a platform of `sandbox` means to whoever reads the report.
pub(super) fn sandbox() -> Phrase {
    say!("sandbox: nothing was sent to real followers")
}

/// What `already_done` means.
pub(super) fn already_done() -> Phrase {
    say!("accepted in an earlier run; nothing was sent")
}

/// The kind of an account.
pub(crate) fn account_kind(kind: &str) -> Phrase {
    match kind {
        "service" => say!("service"),
        "subscription" => say!("subscription"),
        other => Phrase::verbatim(one_line(other)),
    }
}

/// Where the calls went.
pub(super) fn platform(platform: &str) -> Phrase {
    match platform {
        "sandbox" => say!("sandbox"),
        "loopback" => say!("loopback"),
        "wechat" => say!("wechat"),
        other => Phrase::verbatim(one_line(other)),
    }
}

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
    pub(super) fn label(self) -> Phrase {
        match self {
            Self::Succeeded => say!("succeeded"),
            Self::Failed => say!("failed"),
            Self::Skipped => say!("skipped"),
            Self::AlreadyDone => say!("already done"),
            Self::Unknown => say!("unknown"),
            Self::NotRun => say!("not run"),
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
    pub(super) fn label(self) -> Phrase {
        match self {
            Self::Succeeded => say!("succeeded"),
            Self::Failed => say!("failed"),
            Self::Unknown => say!("unknown"),
            Self::Refused => say!("refused"),
            Self::Interrupted => say!("interrupted"),
        }
    }
}

impl CallOutcome {
    /// The outcome as people say it.
    pub(super) fn label(self) -> Phrase {
        match self {
            Self::Accepted => say!("accepted"),
            Self::Adopted => say!("adopted"),
            Self::Refused => say!("refused"),
            Self::NotSent => say!("not sent"),
            Self::Unknown => say!("unknown"),
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

    /// Who did it and why, if it is no step of the plan but what a person did beside it.
    pub(super) fn by_hand(&self) -> Option<&str> {
        self.description.as_deref().filter(|_| self.line == 0)
    }

    /// How many it reached: `12,000`, `10,000 of 20,000`, `345 unknown`; null where no call knows its number.
    pub(super) fn reach(&self) -> Option<Phrase> {
        let sum = |of: fn(CallOutcome) -> bool| {
            let calls = self.calls.iter().filter(|call| of(call.outcome));
            calls.filter_map(|call| call.recipients).reduce(u64::saturating_add)
        };
        let all = sum(|_| true)?;
        let reached = sum(CallOutcome::arrived).unwrap_or(0);
        let unknown = sum(|outcome| outcome == CallOutcome::Unknown).unwrap_or(0);
        Some(match (reached, unknown) {
            (reached, _) if reached == all => number(all),
            (_, 0) => say!("{reached} of {all}", reached = Count(reached), all = Count(all)),
            (_, unknown) if unknown == all => say!("{all} unknown", all = Count(all)),
            (_, unknown) => say!(
                "{reached} of {all}, {unknown} unknown",
                reached = Count(reached),
                all = Count(all),
                unknown = Count(unknown)
            ),
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
    pub(super) fn steps_in_words(&self) -> Phrase {
        let tally = self.tally().into_iter().filter(|(_, number)| *number > 0);
        let parts = tally.map(|(outcome, number)| tallied(outcome, number));
        in_a_row([say!("{steps} step" | "{steps} steps", steps = self.totals.steps)].into_iter().chain(parts))
    }

    /// What left: `6 calls, 12,345 recipients; token fetched once`.
    pub(super) fn calls_in_words(&self) -> Phrase {
        say!(
            "{calls}, {recipients}; token {fetched}",
            calls = calls(self.totals.calls as usize),
            recipients = match self.reached() {
                Reached::All => recipients(self.totals.recipients),
                reached => reached.in_words(self.totals.recipients),
            },
            fetched = fetches(self.token_fetches)
        )
    }

    /// How many people were reached, as far as it is known: how many follow a tag is asked for only where it matters,
    /// and a zero would be read as nobody.
    pub(super) fn reached(&self) -> Reached {
        let calls = self.steps.iter().flat_map(|step| &step.calls);
        let uncounted = calls.filter(|call| matches!(call.outcome, CallOutcome::Accepted | CallOutcome::Adopted));
        let uncounted = uncounted.filter(|call| call.clientmsgid.is_some() && call.recipients.is_none()).count();
        match (self.totals.recipients, uncounted) {
            (_, 0) => Reached::All,
            (0, _) => Reached::Uncounted,
            _ => Reached::More,
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

/// What the total of recipients tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reached {
    /// It is all of them.
    All,
    /// Followers of tags come to it, who were not counted.
    More,
    /// All of them are followers of tags who were not counted.
    Uncounted,
}

impl Reached {
    fn in_words(self, total: u64) -> Phrase {
        match self {
            Self::All => number(total),
            Self::More => say!("{recipients} and the followers of tags", recipients = recipients(total)),
            Self::Uncounted => say!("followers of tags not counted"),
        }
    }
}

/// `12,345`, and nothing else.
pub(super) fn number(number: u64) -> Phrase {
    Phrase::verbatim(crate::text::thousands(number))
}

/// How many steps have an outcome: `4 succeeded`.
pub(super) fn tallied(outcome: StepOutcome, number: u32) -> Phrase {
    say!("{number} {outcome}", number = Count(number.into()), outcome = outcome.label())
}

/// `1 call`.
pub(super) fn calls(number: usize) -> Phrase {
    say!("{calls} call" | "{calls} calls", calls = number)
}

/// `1 recipient`.
pub(super) fn recipients(number: u64) -> Phrase {
    say!("{recipients} recipient" | "{recipients} recipients", recipients = number)
}

/// Parts with commas between them; nothing of none.
pub(super) fn in_a_row(parts: impl IntoIterator<Item = Phrase>) -> Phrase {
    parts.into_iter().reduce(|before, after| say!("{before}, {after}", before, after)).unwrap_or_default()
}

/// How often a token was: `not fetched`, `fetched once`, `fetched 3 times`.
pub(super) fn fetches(number: u32) -> Phrase {
    match number {
        0 => say!("not fetched"),
        1 => say!("fetched once"),
        2 => say!("fetched twice"),
        times => say!("fetched {times} times", times),
    }
}

/// A duration; in English in the spelling of the plan: `12ms`, `1.3s`, `3m 05s`, `1h 02m`.
pub(super) fn duration(ms: u64) -> Phrase {
    let seconds = ms / 1000;
    let two_digits = |number: u64| format!("{number:02}");
    match seconds {
        0 => say!("{ms}ms", ms),
        1..60 => say!("{seconds}s", seconds = format!("{seconds}.{}", ms % 1000 / 100)),
        60..3600 => say!("{minutes}m {seconds}s", minutes = seconds / 60, seconds = two_digits(seconds % 60)),
        _ => say!("{hours}h {minutes}m", hours = seconds / 3600, minutes = two_digits(seconds / 60 % 60)),
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
pub(super) fn call(call: &CallReport) -> Vec<Phrase> {
    let mut parts = vec![say!("call {number}: {outcome}", number = call.chunk, outcome = call.outcome.label())];
    parts.extend(call.recipients.map(recipients));
    if call.attempts > 1 {
        parts.push(say!("{attempts} attempt" | "{attempts} attempts", attempts = call.attempts));
    }
    parts.extend(call.errcode.filter(|code| *code != 0).map(errcode));
    parts.extend(call.msg_id.map(|msg_id| Phrase::verbatim(format!("msg_id {msg_id}"))));
    // The key and the request id are what a person needs to settle the rest, and noise where all is well.
    if !call.outcome.arrived() {
        parts.extend(call.clientmsgid.as_ref().map(|key| Phrase::verbatim(format!("clientmsgid {key}"))));
        parts.extend(call.rid.as_deref().map(rid));
    }
    parts
}

/// `errcode 45028`.
pub(super) fn errcode(errcode: i64) -> Phrase {
    Phrase::verbatim(format!("errcode {errcode}"))
}

/// `rid 65e1a2b3-0c1d2e3f-4a5b6c7d`.
pub(super) fn rid(rid: &str) -> Phrase {
    Phrase::verbatim(format!("rid {rid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fetches_are_counted_in_words() {
        let words = [0, 1, 2, 3].map(|times| fetches(times).to_string());
        assert_eq!(words.join("; "), "not fetched; fetched once; fetched twice; fetched 3 times");
    }

    #[test]
    fn durations_read_like_those_of_a_plan() {
        let read = [0, 999, 1_000, 59_999, 60_000, 3_599_999, 3_600_000, 360_120_000];
        let read = read.map(|ms| duration(ms).to_string());
        assert_eq!(read.join(" | "), "0ms | 999ms | 1.0s | 59.9s | 1m 00s | 59m 59s | 1h 00m | 100h 02m");
    }

    #[test]
    fn nothing_invisible_acts() {
        assert_eq!(visible("a\u{1b}[31mb\r\nc\td\u{202e}e👩\u{200d}💻"), "a\u{fffd}[31mb\nc\td\u{fffd}e👩\u{200d}💻");
        assert_eq!(one_line("a\nb"), "a b");
    }
}
