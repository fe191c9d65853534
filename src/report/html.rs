//! One self-contained page for people who would rather look than read.
//!
//! This file decides what is on the page and works out the timeline; `html.template.html` decides how it looks. The
//! template escapes every value, the page loads nothing and runs nothing, and its policy forbids both.

use jiff::Timestamp;
use serde::Serialize;

use super::chart::Section;
use super::words::{self, Reached, one_line, visible};
use super::{CallReport, Delivery, Report, RunOutcome, StepOutcome, StepReport};
use crate::{
    locale::{Count, Phrase, say},
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
    title: Phrase,
    gist: Phrase,
    sandbox: Option<Phrase>,
    figures: Vec<Fact>,
    tally: Vec<Tally>,
    facts: Vec<Fact>,
    problem: Option<Trouble>,
    attention: Vec<Attention>,
    timeline: Option<Timeline>,
    readers: Option<Section>,
    steps: Vec<Step>,
}

/// An outcome: `key` chooses the colours, mark and label say the same without them.
#[derive(Serialize)]
struct Tone {
    key: &'static str,
    mark: &'static str,
    label: Phrase,
}

#[derive(Serialize)]
struct Tally {
    tone: Tone,
    /// How many steps, and their outcome.
    words: Phrase,
}

#[derive(Serialize)]
struct Trouble {
    /// What it is about.
    title: Phrase,
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
    label: Phrase,
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
    took: Phrase,
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
    delivery: Vec<Job>,
    problem: Option<Trouble>,
    calls: Vec<Call>,
    calls_in_words: Phrase,
    calls_open: bool,
}

#[derive(Serialize)]
struct Message {
    kind: &'static str,
    label: Phrase,
    is_text: bool,
    content: String,
    /// Whether it was sent, in words.
    fate: Phrase,
    /// Whether nobody has it, so that the picture is toned down.
    unsent: bool,
    clock: Option<String>,
}

/// What became of a job.
#[derive(Serialize)]
struct Job {
    mark: &'static str,
    key: &'static str,
    summary: String,
    details: Vec<String>,
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
    label: Phrase,
    errcode: Option<i64>,
    msg_id: Option<u64>,
    rid: Option<String>,
    /// WeChat's words, where they are more than `ok`.
    said: Option<Phrase>,
}

impl Page {
    fn new(report: &Report) -> Self {
        let tally = report.tally().into_iter().filter(|(_, number)| *number > 0);
        let bad = report.steps.iter().enumerate().filter(|(_, step)| step.outcome.is_bad());
        Self {
            name: one_line(&report.plan.name),
            outcome: run_tone(report.outcome),
            seal: seal(report.outcome),
            title: say!("{plan}: {outcome}", plan = one_line(&report.plan.name), outcome = report.outcome.label()),
            gist: gist(report),
            sandbox: (report.platform == "sandbox").then(words::sandbox),
            figures: figures(report),
            tally: tally
                .map(|(outcome, number)| Tally { tone: step_tone(outcome), words: words::tallied(outcome, number) })
                .collect(),
            facts: facts(report),
            problem: report.has_own_problem().then(|| {
                let problem = report.error.clone().unwrap_or_else(|| Problem::new(report.own_problem()));
                Trouble::new(say!("The run"), &problem, problem.errcode, None)
            }),
            attention: bad
                .map(|(at, step)| Attention {
                    anchor: at + 1,
                    tone: step_tone(step.outcome),
                    name: one_line(&step.name()),
                    message: step.error.as_ref().map(|problem| segments(&problem.message)).unwrap_or_default(),
                })
                .collect(),
            readers: report.readers.as_ref().map(Section::new),
            timeline: (!report.steps.is_empty()).then(|| Timeline::new(report)),
            steps: report.steps.iter().enumerate().map(|(at, step)| Step::new(report, at + 1, step)).collect(),
        }
    }
}

fn figures(report: &Report) -> Vec<Fact> {
    let totals = &report.totals;
    let done = u64::from(totals.succeeded) + u64::from(totals.already_done);
    let recipients = match report.reached() {
        Reached::All => words::number(totals.recipients),
        Reached::More => say!("{recipients} + tags", recipients = Count(totals.recipients)),
        Reached::Uncounted => say!("not counted"),
    };
    vec![
        fact(say!("Recipients"), recipients),
        fact(say!("Calls"), words::number(totals.calls.into())),
        fact(say!("Steps done"), say!("{done} of {steps}", done = Count(done), steps = Count(totals.steps.into()))),
        fact(say!("Duration"), words::duration(report.duration_ms())),
    ]
}

fn facts(report: &Report) -> Vec<Fact> {
    vec![
        code_fact(
            say!("Account"),
            say!("{appid} ({kind})", appid = &report.account.appid, kind = words::account_kind(&report.account.kind))
                .to_string(),
        ),
        code_fact(say!("Occurrence"), &report.occurrence),
        fact(say!("Platform"), words::platform(&report.platform)),
        code_fact(say!("Exit code"), report.exit_code.to_string()),
        time_fact(say!("Started"), report.started_at),
        time_fact(say!("Finished"), report.finished_at),
        code_fact(say!("Run"), &report.run_id),
        fact(say!("Access token"), words::fetches(report.token_fetches)),
        code_fact(say!("Plan"), &report.plan.path),
        Fact { wide: true, ..code_fact(say!("Digest"), &report.plan.digest) },
    ]
}

fn fact(label: Phrase, value: impl Into<Phrase>) -> Fact {
    Fact::words(label, one_line(&value.into().to_string()))
}

fn code_fact(label: Phrase, value: impl AsRef<str>) -> Fact {
    Fact::code(label, one_line(value.as_ref()))
}

fn time_fact(label: Phrase, time: Timestamp) -> Fact {
    Fact { datetime: Some(time.to_string()), ..fact(label, Phrase::verbatim(words::shanghai(time))) }
}

impl Trouble {
    fn new(title: Phrase, problem: &Problem, errcode: Option<i64>, rid: Option<&str>) -> Self {
        let help = problem.help.iter().map(segments).collect();
        Self { title, message: segments(&problem.message), errcode, rid: rid.map(one_line), help }
    }
}

fn segments(text: &Phrase) -> Vec<Segment> {
    page::segments(&one_line(&text.to_string()))
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

fn tick_label(ms: u64) -> Phrase {
    if ms < 1000 {
        return say!("+{ms}ms", ms);
    }
    let (hours, minutes, seconds) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    match (hours, minutes, seconds) {
        (0, 0, seconds) => say!("+{seconds}s", seconds),
        (0, minutes, 0) => say!("+{minutes}m", minutes),
        (0, minutes, seconds) => say!("+{minutes}m {seconds}s", minutes, seconds),
        (hours, 0, _) => say!("+{hours}h", hours),
        (hours, minutes, _) => say!("+{hours}h {minutes}m", hours, minutes),
    }
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
            delivery: step.delivery.iter().map(Job::new).collect(),
            problem: step.error.as_ref().map(|problem| {
                let (errcode, rid) = if step.outcome.is_bad() { (step.errcode(), step.rid()) } else { (None, None) };
                Trouble::new(say!("Diagnostics"), problem, errcode, rid)
            }),
            calls: step.calls.iter().map(Call::new).collect(),
            calls_in_words: words::calls(step.calls.len()),
            calls_open: went_wrong || step.calls.len() <= MAX_OPEN_CALLS,
        }
    }
}

fn step_facts(step: &StepReport) -> Vec<Fact> {
    let mut facts = Vec::new();
    facts.extend(step.audience.clone().map(|audience| fact(say!("Audience"), Phrase::verbatim(audience))));
    facts.extend(step.reach().map(|reach| fact(say!("Recipients"), reach)));
    if step.outcome == StepOutcome::AlreadyDone {
        facts.push(fact(say!("This run"), words::already_done()));
    }
    if let Some(started_at) = step.started_at {
        facts.push(time_fact(say!("Started"), started_at));
        facts.push(fact(say!("Duration"), words::duration(step.duration_ms)));
    }
    facts
}

impl Message {
    fn new(report: &Report, step: &StepReport, message: &MessageView) -> Self {
        let arrived = step.calls.iter().any(|call| call.outcome.arrived());
        let (fate, unsent) = match step.outcome {
            StepOutcome::Succeeded if report.platform == "sandbox" => (say!("Sent to the sandbox only"), false),
            StepOutcome::Succeeded => (say!("Sent"), false),
            StepOutcome::AlreadyDone => (say!("Sent in an earlier run"), false),
            StepOutcome::Unknown if arrived => (say!("Partly sent; the rest is unknown"), false),
            StepOutcome::Unknown => (say!("Unknown whether it was sent"), false),
            StepOutcome::Failed if arrived => (say!("Partly sent"), false),
            StepOutcome::Failed | StepOutcome::Skipped | StepOutcome::NotRun => (say!("Not sent"), true),
        };
        let label = match message.kind {
            MessageKind::Text => say!("Text"),
            MessageKind::Mpnews => say!("Article"),
            MessageKind::Voice => say!("Voice"),
            MessageKind::Image => say!("Image"),
            MessageKind::Mpvideo => say!("Video"),
            MessageKind::Wxcard => say!("Card"),
            MessageKind::Draft => say!("Message"),
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

impl Job {
    fn new(job: &Delivery) -> Self {
        let (mark, key) = if job.delivered { ("✓", "succeeded") } else { ("✗", "failed") };
        let details = job.details().iter().map(|line| one_line(&line.to_string())).collect();
        Self { mark, key, summary: one_line(&job.summary().to_string()), details }
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
            said: call.errmsg.as_ref().filter(is_news).map(|said| say!("WeChat said: {said}", said = one_line(said))),
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
fn gist(report: &Report) -> Phrase {
    match report.outcome {
        RunOutcome::Succeeded if report.totals.calls == 0 => say!("nothing left to do"),
        RunOutcome::Succeeded => say!("all steps are done"),
        RunOutcome::Failed if report.exit_code != 6 => say!("a step failed, and nothing was sent"),
        RunOutcome::Failed => say!("a step failed, and some messages were sent"),
        RunOutcome::Unknown => say!("it is unknown whether all messages were sent"),
        RunOutcome::Refused => say!("the run was refused before anything was sent"),
        RunOutcome::Interrupted => say!("the run was interrupted; everything it sent is recorded"),
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
        let _heard = crate::locale::tests::heard("report-html-text_of_users_is_text");
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
        let labels: Vec<_> = ticks(215_500).into_iter().map(|tick| tick.label.to_string()).collect();
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
