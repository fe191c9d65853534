//! One self-contained page for people who would rather look than read.
//!
//! This file decides what is on the page and works out the timeline; `html.template.html` decides how it looks. The
//! template escapes every value, the page loads nothing and runs nothing, and its policy forbids both.

use jiff::Timestamp;
use serde::Serialize;

use super::words::{self, one_line, visible};
use super::{CallReport, Report, RunOutcome, StepOutcome, StepReport};
use crate::{
    message::{MessageKind, MessageView},
    page::{self, Fact, Segment},
    problem::Problem,
    text,
};

/// More calls than this are folded away, unless one of them went wrong.
const MAX_OPEN_CALLS: usize = 6;
/// Marks on the axis of the timeline, at most.
const MAX_TICKS: u64 = 5;
/// Distances of the marks on the axis, in milliseconds: what people count time in.
const TICKS_MS: [u64; 27] = [
    1, 2, 5, 10, 20, 50, 100, 200, 500, // milliseconds
    1_000, 2_000, 5_000, 10_000, 15_000, 30_000, // seconds
    60_000, 120_000, 300_000, 600_000, 900_000, 1_800_000, // minutes
    3_600_000, 7_200_000, 10_800_000, 21_600_000, 43_200_000, DAY_MS, // hours
];
const DAY_MS: u64 = 86_400_000;

pub(super) fn render(report: &Report) -> String {
    page::render(include_str!("html.template.html"), Page::new(report))
}

#[derive(Serialize)]
struct Page {
    name: String,
    outcome: Tone,
    seal: &'static str,
    gist: &'static str,
    sandbox: Option<&'static str>,
    figures: Vec<Fact>,
    tally: Vec<Tally>,
    facts: Vec<Fact>,
    problem: Option<Trouble>,
    attention: Vec<Attention>,
    timeline: Option<Timeline>,
    steps: Vec<Step>,
}

/// An outcome: `key` chooses the colours, mark and label say the same without them.
#[derive(Serialize)]
struct Tone {
    key: &'static str,
    mark: &'static str,
    label: &'static str,
}

#[derive(Serialize)]
struct Tally {
    tone: Tone,
    number: String,
}

#[derive(Serialize)]
struct Trouble {
    message: Vec<Segment>,
    errcode: Option<i64>,
    rid: Option<String>,
    help: Vec<Vec<Segment>>,
}

/// A line of the list of what a person has to look at.
#[derive(Serialize)]
struct Attention {
    anchor: usize,
    tone: Tone,
    name: String,
    message: Vec<Segment>,
}

#[derive(Serialize)]
struct Timeline {
    start: String,
    end: String,
    ticks: Vec<Tick>,
    bars: Vec<Bar>,
}

#[derive(Serialize)]
struct Tick {
    left: String,
    label: String,
}

#[derive(Serialize)]
struct Bar {
    anchor: usize,
    tone: Tone,
    name: String,
    left: String,
    width: String,
    /// False for a step that made no call: it stands where the run was when it came to it.
    timed: bool,
    took: String,
}

#[derive(Serialize)]
struct Step {
    anchor: usize,
    tone: Tone,
    name: String,
    action: String,
    place: String,
    description: Option<String>,
    facts: Vec<Fact>,
    message: Option<Message>,
    outputs: Vec<Output>,
    problem: Option<Trouble>,
    calls: Vec<Call>,
    calls_in_words: String,
    calls_open: bool,
}

#[derive(Serialize)]
struct Message {
    kind: &'static str,
    label: &'static str,
    is_text: bool,
    content: String,
    /// Whether it was sent, in words.
    fate: &'static str,
    /// Whether nobody has it, so that the picture is toned down.
    unsent: bool,
    clock: Option<String>,
}

#[derive(Serialize)]
struct Output {
    name: String,
    value: String,
}

#[derive(Serialize)]
struct Call {
    chunk: u32,
    path: String,
    clientmsgid: Option<String>,
    recipients: Option<String>,
    attempts: u32,
    key: &'static str,
    label: &'static str,
    errcode: Option<i64>,
    msg_id: Option<u64>,
    rid: Option<String>,
    /// WeChat's words, where they are more than `ok`.
    errmsg: Option<String>,
}

impl Page {
    fn new(report: &Report) -> Self {
        let tally = report.tally().into_iter().filter(|(_, number)| *number > 0);
        let bad = report.steps.iter().enumerate().filter(|(_, step)| step.outcome.is_bad());
        Self {
            name: one_line(&report.plan.name),
            outcome: run_tone(report.outcome),
            seal: seal(report.outcome),
            gist: gist(report),
            sandbox: (report.platform == "sandbox").then_some(words::SANDBOX),
            figures: figures(report),
            tally: tally
                .map(|(outcome, number)| Tally { tone: step_tone(outcome), number: text::thousands(u64::from(number)) })
                .collect(),
            facts: facts(report),
            problem: report.has_own_problem().then(|| match &report.error {
                Some(problem) => Trouble::new(problem, problem.errcode, None),
                None => Trouble {
                    message: segments(&report.own_problem().to_string()),
                    errcode: None,
                    rid: None,
                    help: vec![],
                },
            }),
            attention: bad
                .map(|(at, step)| Attention {
                    anchor: at + 1,
                    tone: step_tone(step.outcome),
                    name: one_line(&step.name()),
                    message: step
                        .error
                        .as_ref()
                        .map(|problem| segments(&problem.message.to_string()))
                        .unwrap_or_default(),
                })
                .collect(),
            timeline: (!report.steps.is_empty()).then(|| Timeline::new(report)),
            steps: report.steps.iter().enumerate().map(|(at, step)| Step::new(report, at + 1, step)).collect(),
        }
    }
}

fn figures(report: &Report) -> Vec<Fact> {
    let totals = &report.totals;
    let done = u64::from(totals.succeeded) + u64::from(totals.already_done);
    vec![
        fact(
            "Recipients",
            match report.recipients_in_words() {
                words if !words.contains(' ') => words,
                _ if totals.recipients == 0 => "not counted".into(),
                _ => format!("{} + tags", text::thousands(totals.recipients)),
            },
        ),
        fact("Calls", text::thousands(u64::from(totals.calls))),
        fact("Steps done", format!("{} of {}", text::thousands(done), text::thousands(u64::from(totals.steps)))),
        fact("Took", words::duration(report.duration_ms())),
    ]
}

fn facts(report: &Report) -> Vec<Fact> {
    vec![
        code_fact("Account", format!("{} ({})", report.account.appid, report.account.kind)),
        code_fact("Occurrence", &report.occurrence),
        code_fact("Platform", &report.platform),
        code_fact("Exit code", report.exit_code.to_string()),
        time_fact("Started", report.started_at),
        time_fact("Finished", report.finished_at),
        code_fact("Run", &report.run_id),
        fact("Access token", words::fetches(report.token_fetches)),
        code_fact("Plan", &report.plan.path),
        Fact { wide: true, ..code_fact("Digest", &report.plan.digest) },
    ]
}

fn fact(label: &'static str, value: impl AsRef<str>) -> Fact {
    Fact::words(label, one_line(value.as_ref()))
}

fn code_fact(label: &'static str, value: impl AsRef<str>) -> Fact {
    Fact::code(label, one_line(value.as_ref()))
}

fn time_fact(label: &'static str, time: Timestamp) -> Fact {
    Fact { datetime: Some(time.to_string()), ..fact(label, words::shanghai(time)) }
}

impl Trouble {
    fn new(problem: &Problem, errcode: Option<i64>, rid: Option<&str>) -> Self {
        let help = problem.help.iter().map(|help| segments(&help.to_string())).collect();
        Self { message: segments(&problem.message.to_string()), errcode, rid: rid.map(one_line), help }
    }
}

fn segments(text: &str) -> Vec<Segment> {
    page::segments(&one_line(text))
}

impl Timeline {
    fn new(report: &Report) -> Self {
        let start = report.started_at;
        let mut now = 0;
        // Where each step lies, in milliseconds from the start of the run. A step without a time begins when those
        // before it have ended.
        let mut spans = Vec::new();
        for step in &report.steps {
            let from = step.started_at.map_or(now, |time| words::millis_between(start, time));
            let to = from.saturating_add(if step.started_at.is_some() { step.duration_ms } else { 0 });
            spans.push((from, to));
            now = now.max(to);
        }
        let length = report.duration_ms().max(now);
        let bar = |(at, (step, (from, to))): (usize, (&StepReport, (u64, u64)))| Bar {
            anchor: at + 1,
            tone: step_tone(step.outcome),
            name: one_line(&step.name()),
            left: percent(from, length),
            width: percent(to - from, length),
            timed: step.started_at.is_some(),
            took: step.started_at.map(|_| words::duration(step.duration_ms)).unwrap_or_default(),
        };
        Self {
            start: words::shanghai_clock(start),
            end: words::shanghai_clock(report.finished_at),
            ticks: ticks(length),
            bars: report.steps.iter().zip(spans).enumerate().map(bar).collect(),
        }
    }
}

/// Marks at round distances, the first one at 0 left out: the start has its own label.
fn ticks(length: u64) -> Vec<Tick> {
    let fits = |distance: &u64| length / distance <= MAX_TICKS;
    let days = DAY_MS.saturating_mul((length / DAY_MS).div_ceil(MAX_TICKS).max(1));
    let distance = TICKS_MS.into_iter().find(fits).unwrap_or(days);
    let tick = |at| Tick { left: percent(at, length), label: tick_label(at) };
    (1..=length / distance).map(|number| tick(number * distance)).collect()
}

fn tick_label(ms: u64) -> String {
    if ms < 1000 {
        return format!("+{ms}ms");
    }
    let units = [(ms / 3_600_000, "h"), (ms / 60_000 % 60, "m"), (ms / 1000 % 60, "s")];
    let parts = units.iter().filter(|(number, _)| *number > 0).map(|(number, unit)| format!("{number}{unit}"));
    format!("+{}", parts.collect::<Vec<_>>().join(" "))
}

/// `part` of `whole` with two decimals, for CSS; 0 of nothing.
fn percent(part: u64, whole: u64) -> String {
    let hundredths = u128::from(part) * 10_000 / u128::from(whole.max(1));
    let hundredths = hundredths.min(10_000);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

impl Step {
    fn new(report: &Report, anchor: usize, step: &StepReport) -> Self {
        let went_wrong = step.calls.iter().any(|call| !call.outcome.arrived());
        Self {
            anchor,
            tone: step_tone(step.outcome),
            name: one_line(&step.name()),
            action: one_line(&step.action),
            place: one_line(&format!("{}:{}", report.plan.path, step.line)),
            description: step.description.as_deref().map(one_line),
            facts: step_facts(step),
            message: step.message.as_ref().map(|message| Message::new(report, step, message)),
            outputs: step.outputs.iter().map(|(name, value)| Output::new(name, value)).collect(),
            problem: step.error.as_ref().map(|problem| {
                let (errcode, rid) = if step.outcome.is_bad() { (step.errcode(), step.rid()) } else { (None, None) };
                Trouble::new(problem, errcode, rid)
            }),
            calls: step.calls.iter().map(Call::new).collect(),
            calls_in_words: text::count(step.calls.len() as u64, "call"),
            calls_open: went_wrong || step.calls.len() <= MAX_OPEN_CALLS,
        }
    }
}

fn step_facts(step: &StepReport) -> Vec<Fact> {
    let mut facts = Vec::new();
    facts.extend(step.audience.clone().map(|audience| fact("Audience", audience)));
    facts.extend(step.reach().map(|reach| fact("Recipients", reach)));
    if step.outcome == StepOutcome::AlreadyDone {
        facts.push(fact("This run", words::ALREADY_DONE));
    }
    if let Some(started_at) = step.started_at {
        facts.push(time_fact("Started", started_at));
        facts.push(fact("Took", words::duration(step.duration_ms)));
    }
    facts
}

impl Message {
    fn new(report: &Report, step: &StepReport, message: &MessageView) -> Self {
        let arrived = step.calls.iter().any(|call| call.outcome.arrived());
        let (fate, unsent) = match step.outcome {
            StepOutcome::Succeeded if report.platform == "sandbox" => ("Sent, to the sandbox alone", false),
            StepOutcome::Succeeded => ("Sent", false),
            StepOutcome::AlreadyDone => ("Sent in an earlier run", false),
            StepOutcome::Unknown if arrived => ("Sent in part; of the rest it is not known", false),
            StepOutcome::Unknown => ("Not known whether it was sent", false),
            StepOutcome::Failed if arrived => ("Sent in part", false),
            StepOutcome::Failed | StepOutcome::Skipped | StepOutcome::NotRun => ("Not sent", true),
        };
        let label = match message.kind {
            MessageKind::Text => "Text",
            MessageKind::Mpnews => "Article",
            MessageKind::Voice => "Voice",
            MessageKind::Image => "Image",
            MessageKind::Mpvideo => "Video",
            MessageKind::Wxcard => "Card",
            MessageKind::Draft => "Message",
        };
        Self {
            kind: message.kind.name(),
            label,
            is_text: message.kind == MessageKind::Text,
            content: visible(&message.content),
            fate,
            unsent,
            clock: step.started_at.map(words::shanghai_clock),
        }
    }
}

impl Output {
    fn new(name: &str, value: &serde_json::Value) -> Self {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Self { name: one_line(name), value: visible(&value) }
    }
}

impl Call {
    fn new(call: &CallReport) -> Self {
        let key = match call.outcome {
            super::CallOutcome::Accepted => "succeeded",
            super::CallOutcome::Adopted => "already_done",
            super::CallOutcome::Refused => "failed",
            super::CallOutcome::NotSent => "not_run",
            super::CallOutcome::Unknown => "unknown",
        };
        let is_news = |errmsg: &&String| !errmsg.is_empty() && *errmsg != "ok";
        Self {
            chunk: call.chunk,
            path: one_line(&call.path),
            clientmsgid: call.clientmsgid.as_deref().map(one_line),
            recipients: call.recipients.map(text::thousands),
            attempts: call.attempts,
            key,
            label: call.outcome.label(),
            errcode: call.errcode,
            msg_id: call.msg_id,
            rid: call.rid.as_deref().map(one_line),
            errmsg: call.errmsg.as_ref().filter(is_news).map(|errmsg| one_line(errmsg)),
        }
    }
}

fn step_tone(outcome: StepOutcome) -> Tone {
    let key = match outcome {
        StepOutcome::Succeeded => "succeeded",
        StepOutcome::Failed => "failed",
        StepOutcome::Skipped => "skipped",
        StepOutcome::AlreadyDone => "already_done",
        StepOutcome::Unknown => "unknown",
        StepOutcome::NotRun => "not_run",
    };
    Tone { key, mark: outcome.mark(), label: outcome.label() }
}

fn run_tone(outcome: RunOutcome) -> Tone {
    let key = match outcome {
        RunOutcome::Succeeded => "succeeded",
        RunOutcome::Failed | RunOutcome::Refused => "failed",
        RunOutcome::Unknown | RunOutcome::Interrupted => "unknown",
    };
    Tone { key, mark: outcome.mark(), label: outcome.label() }
}

/// The verdict in a sentence, since one word can be misread: an unknown run may well have sent everything.
fn gist(report: &Report) -> &'static str {
    match report.outcome {
        RunOutcome::Succeeded if report.totals.calls == 0 => "there was nothing left to do",
        RunOutcome::Succeeded => "every step that was to run is done",
        RunOutcome::Failed if report.exit_code != 6 => "a step failed, and nothing was sent",
        RunOutcome::Failed => "a step failed, and some messages were sent",
        RunOutcome::Unknown => "it is not known whether all messages were sent",
        RunOutcome::Refused => "the run was stopped before anything was sent",
        RunOutcome::Interrupted => "the run was stopped from outside; what it sent is recorded",
    }
}

/// The character on the seal beside the title, an ornament: the outcome stands next to it in words.
const fn seal(outcome: RunOutcome) -> &'static str {
    match outcome {
        RunOutcome::Succeeded => "成",
        RunOutcome::Failed => "败",
        RunOutcome::Unknown => "疑",
        RunOutcome::Refused => "拒",
        RunOutcome::Interrupted => "停",
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{empty, fixture, refused, step};
    use super::*;

    fn attributes<'a>(html: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
        html.split(name).skip(1).map(|rest| rest.split('"').next().expect("split gives at least one"))
    }

    #[test]
    fn loads_nothing() {
        for report in [fixture(), empty(), refused()] {
            let html = render(&report);
            for href in attributes(&html, " href=\"") {
                assert!(href.starts_with('#') || href == "data:,", "{href}");
            }
            assert_eq!(attributes(&html, " src=\"").count(), 0);
            for forbidden in
                ["http://", "https://", "url(", "@import", "<script", "<link rel=\"stylesheet", "<iframe", " onclick"]
            {
                assert!(!html.contains(forbidden), "{forbidden}");
            }
            assert!(html.contains("default-src &#x27;none&#x27;") || html.contains("default-src 'none'"));
        }
    }

    #[test]
    fn text_of_users_is_text() {
        let mut report = fixture();
        let attack = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7*7 }}\u{1b}[31m";
        report.plan.name = attack.to_owned();
        report.plan.path = attack.to_owned();
        report.occurrence = attack.to_owned();
        report.platform = attack.to_owned();
        report.run_id = attack.to_owned();
        for step in &mut report.steps {
            step.key = Some(attack.to_owned());
            step.action = attack.to_owned();
            step.description = Some(attack.to_owned());
            step.audience = Some(attack.to_owned());
            step.message = Some(MessageView { kind: MessageKind::Mpnews, content: attack.to_owned() });
            step.outputs.insert(attack.to_owned(), attack.into());
            step.error = Some(Problem { message: attack.into(), help: vec![attack.into()], errcode: None });
            for call in &mut step.calls {
                call.path = attack.to_owned();
                call.clientmsgid = Some(attack.to_owned());
                call.errmsg = Some(attack.to_owned());
                call.rid = Some(attack.to_owned());
            }
        }
        let html = render(&report);
        assert!(
            !html.contains("<script") && !html.contains("<img") && !html.contains("\"'>") && !html.contains('\u{1b}')
        );
        assert!(html.contains("{{ 7*7 }}") && html.contains("&lt;script&gt;"));
    }

    #[test]
    fn newlines_of_a_message_are_kept() {
        assert!(render(&fixture()).contains("🍵👩‍🌾\n\n&lt;script&gt;"));
    }

    #[test]
    fn the_timeline_stays_inside_its_axis() {
        assert_eq!(percent(0, 0), "0.00");
        assert_eq!(percent(1, 3), "33.33");
        assert_eq!(percent(u64::MAX, 1), "100.00");
        for length in [0, 1, 3, 999, 60_000, 215_500, 1_860_000, 500 * DAY_MS, u64::MAX] {
            let ticks = ticks(length);
            assert!(ticks.len() as u64 <= MAX_TICKS, "{length}");
        }
        let labels: Vec<_> = ticks(215_500).into_iter().map(|tick| tick.label).collect();
        assert_eq!(labels, ["+1m", "+2m", "+3m"]);
        assert_eq!(tick_label(90_000), "+1m 30s");
    }

    #[test]
    fn a_step_without_a_time_stands_where_the_run_was() {
        let timeline = Timeline::new(&fixture());
        let bar = |name: &str| timeline.bars.iter().find(|bar| bar.name == name).expect("it is there");
        assert!(!bar("greeting").timed);
        assert_eq!(bar("greeting").left, bar("proof").left);
        assert_eq!(bar("vip").left, bar("recall").left);
        // A clock that went backwards, and a step that lasts longer than the run.
        let mut report = empty();
        report.steps = vec![step("a", None, StepOutcome::Succeeded), step("b", None, StepOutcome::Failed)];
        report.steps[0].started_at = Some(Timestamp::UNIX_EPOCH);
        report.steps[1].started_at = Some(report.started_at);
        report.steps[1].duration_ms = u64::MAX;
        let timeline = Timeline::new(&report);
        assert_eq!((timeline.bars[0].left.as_str(), timeline.bars[1].width.as_str()), ("0.00", "100.00"));
    }
}
