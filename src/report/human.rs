//! A summary for a terminal of 80 columns. ANSI styles are written into the string; the caller strips them where the
//! output is not a terminal, so no fact may be told by colour alone.

use std::{fmt::Write as _, ops::Range};

use anstyle::{AnsiColor, Style};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::readers;
use super::words::{self, one_line};
use super::{Report, RunOutcome, StepOutcome, StepReport};
use crate::{
    locale::{Phrase, say, translated},
    problem::Problem,
    text,
};

/// Columns of the terminal that the summary is made for.
const COLUMNS: usize = 80;
/// Indent of what is said about a step.
const INDENT: usize = 4;
/// The audience gives way to the step's name, but not below this.
const MIN_AUDIENCE: usize = 12;
/// More calls of a failed step that arrived are summed up: the terminal is for what did not.
const MAX_ARRIVED: usize = 5;
const GAP: &str = "  ";
/// Stands on both sides of what [`wrap`] must not break, and is never shown.
const WHOLE: char = '\u{2060}';

pub(super) const DIM: Style = Style::new().dimmed();
pub(super) const BOLD: Style = Style::new().bold();
const HELP: Style = AnsiColor::Cyan.on_default();

/// Table, problems, totals.
pub(super) fn render(report: &Report) -> String {
    let mut out = String::new();
    if !report.steps.is_empty() {
        Table::new(report).write(&mut out, report);
        out.push('\n');
    }
    if report.has_own_problem() {
        let style = run_style(report.outcome);
        paragraph(&mut out, 0, style.bold(), report.outcome.mark(), &report.own_problem().to_string());
        if let Some(problem) = &report.error {
            paragraph(&mut out, 2, Style::new(), "", &unbroken(&facts_of(problem.errcode, None)));
            help(&mut out, 2, problem);
        }
        out.push('\n');
    }
    if let Some(all) = &report.readers {
        line(&mut out, &paint(BOLD, translated("Readers")));
        out.push_str(&readers::human(all));
        out.push('\n');
    }
    let facts = [
        say!("{plan} ({occurrence})", plan = &report.plan.name, occurrence = &report.occurrence),
        Phrase::verbatim(format!("{} +08:00", words::shanghai(report.started_at))),
        words::duration(report.duration_ms()),
        words::platform(&report.platform),
        say!("run {id}", id = &report.run_id),
    ];
    paragraph(&mut out, 0, DIM, "", &unbroken(&facts));
    let style = run_style(report.outcome).bold();
    let outcome = paint(style, &report.outcome.label().to_string());
    let (steps, calls) = (report.steps_in_words(), report.calls_in_words());
    line(&mut out, &say!("{outcome}: {steps}; {calls}", outcome, steps, calls).to_string());
    if report.platform == "sandbox" {
        line(&mut out, &words::sandbox().to_string());
    }
    out
}

/// One step as cells of the table, and the widths of the columns.
struct Table {
    headings: [&'static str; COLUMN_COUNT],
    rows: Vec<[String; COLUMN_COUNT]>,
    widths: [usize; COLUMN_COUNT],
}

const COLUMN_COUNT: usize = 6;
const STEP: usize = 0;
const AUDIENCE: usize = 2;
const OUTCOME: usize = 3;
const CALLS: usize = 4;

impl Table {
    fn new(report: &Report) -> Self {
        let headings = [
            translated("step"),
            translated("action"),
            translated("audience"),
            translated("outcome"),
            translated("calls"),
            translated("time"),
        ];
        let rows: Vec<_> = report.steps.iter().map(cells).collect();
        let mut widths = [0; COLUMN_COUNT];
        for (column, width) in widths.iter_mut().enumerate() {
            let widest = rows.iter().map(|row| row[column].width()).max().unwrap_or(0);
            // A column that no step fills is left out, heading and all.
            *width = if widest == 0 { 0 } else { widest.max(headings[column].width()) };
        }
        let gaps = widths.iter().filter(|width| **width > 0).count() * GAP.len();
        let budget = COLUMNS.saturating_sub(widths.iter().sum::<usize>() - widths[STEP] - widths[AUDIENCE] + gaps);
        if widths[STEP] + widths[AUDIENCE] > budget {
            let room = budget.saturating_sub(MIN_AUDIENCE.min(widths[AUDIENCE]));
            // Names that do not fit even so get a line of their own: a name cut short could not be typed again.
            let fitting = rows.iter().map(|row| row[STEP].width()).filter(|width| *width <= room);
            widths[STEP] = fitting.max().unwrap_or(0).max(headings[STEP].width());
            widths[AUDIENCE] = widths[AUDIENCE].min(budget.saturating_sub(widths[STEP]));
        }
        Self { headings, rows, widths }
    }

    fn write(&self, out: &mut String, report: &Report) {
        let heading = self.row(&self.headings.map(str::to_owned), |_| DIM);
        line(out, &format!("  {heading}"));
        for (at, (step, row)) in report.steps.iter().zip(&self.rows).enumerate() {
            let style = step_style(step.outcome);
            let mark = paint(style, step.outcome.mark());
            let styles = |column: usize| match column {
                STEP if step.outcome == StepOutcome::NotRun || step.outcome == StepOutcome::Skipped => DIM,
                STEP => BOLD,
                OUTCOME => style,
                CALLS if step.calls.is_empty() => DIM,
                _ => Style::new(),
            };
            if row[STEP].width() > self.widths[STEP] {
                line(out, &format!("{mark} {}", paint(styles(STEP), &row[STEP])));
                let mut rest = row.clone();
                rest[STEP] = String::new();
                line(out, &format!("  {}", self.row(&rest, styles)));
            } else {
                line(out, &format!("{mark} {}", self.row(row, styles)));
            }
            for link in step.links() {
                paragraph(out, INDENT, Style::new(), "-", link);
            }
            // Steps in a row that did not run for the same reason give it once, under the last of them.
            let next = report.steps.get(at + 1);
            let said_below = next.is_some_and(|next| next.outcome == step.outcome && next.error == step.error);
            if step.outcome.is_bad() || !said_below {
                trouble(out, step);
            }
            delivery(out, step);
        }
    }

    fn row(&self, cells: &[String; COLUMN_COUNT], style: impl Fn(usize) -> Style) -> String {
        let mut row = String::new();
        for (column, (cell, &width)) in cells.iter().zip(&self.widths).enumerate() {
            if width == 0 {
                continue;
            }
            if column > 0 {
                row.push_str(GAP);
            }
            let cell = ellipsis(cell, width);
            let padding = " ".repeat(width.saturating_sub(cell.width()));
            let cell = paint(style(column), &cell);
            // Numbers on the right, words on the left.
            row.push_str(&if column >= CALLS { padding + &cell } else { cell + &padding });
        }
        row.truncate(row.trim_end().len());
        row
    }
}

fn cells(step: &StepReport) -> [String; COLUMN_COUNT] {
    let nothing_happened = step.calls.is_empty() && step.started_at.is_none();
    [
        one_line(&step.name()),
        one_line(&step.action),
        one_line(step.audience.as_deref().unwrap_or_default()),
        step.outcome.label().to_string(),
        text::thousands(step.calls.len() as u64),
        if nothing_happened { String::new() } else { words::duration(step.duration_ms).to_string() },
    ]
}

/// What is said under a step: the problem, its code, what of it was sent all the same, and what to do.
fn trouble(out: &mut String, step: &StepReport) {
    let style = if step.outcome.is_bad() { step_style(step.outcome) } else { DIM };
    if let Some(by) = step.by_hand() {
        paragraph(out, INDENT, DIM, "", &one_line(by));
    }
    if let Some(problem) = &step.error {
        paragraph(out, INDENT, style, "", &problem.message.to_string());
    }
    if step.outcome.is_bad() {
        let facts = facts_of(step.errcode(), step.rid());
        paragraph(out, INDENT, Style::new(), "", &unbroken(&facts));
        let (arrived, rest): (Vec<_>, Vec<_>) = step.calls.iter().partition(|call| call.outcome.arrived());
        let one_by_one = if arrived.len() > MAX_ARRIVED {
            let recipients = arrived.iter().filter_map(|call| call.recipients).fold(0, u64::saturating_add);
            let calls = say!("{calls} call accepted" | "{calls} calls accepted", calls = arrived.len());
            paragraph(out, INDENT, DIM, "-", &unbroken(&[calls, words::recipients(recipients)]));
            rest
        } else {
            step.calls.iter().collect()
        };
        for call in one_by_one {
            let mut parts = words::call(call);
            parts.retain(|part| !facts.contains(part));
            paragraph(out, INDENT, DIM, "-", &unbroken(&parts));
        }
    }
    if let Some(problem) = &step.error {
        help(out, INDENT, problem);
    }
}

/// What became of its jobs.
fn delivery(out: &mut String, step: &StepReport) {
    for job in &step.delivery {
        let style = if job.delivered { DIM } else { step_style(StepOutcome::Failed) };
        paragraph(out, INDENT, style, "", &job.summary().to_string());
        job.details().iter().for_each(|line| paragraph(out, INDENT, DIM, "-", &line.to_string()));
    }
}

fn facts_of(errcode: Option<i64>, rid: Option<&str>) -> Vec<Phrase> {
    errcode.map(words::errcode).into_iter().chain(rid.map(words::rid)).collect()
}

/// Parts with commas between them, none of which is to be broken.
fn unbroken(parts: &[Phrase]) -> String {
    words::in_a_row(parts.iter().map(|part| Phrase::verbatim(format!("{WHOLE}{part}{WHOLE}")))).to_string()
}

pub(super) fn help(out: &mut String, indent: usize, problem: &Problem) {
    for sentence in &problem.help {
        paragraph(out, indent, HELP, translated("help:"), &sentence.to_string());
    }
}

/// A wrapped paragraph whose lines after the first hang under the first word after `label`; the label is styled,
/// and all of the text where there is none. No text, no paragraph.
pub(super) fn paragraph(out: &mut String, indent: usize, style: Style, label: &str, text: &str) {
    // A colon of Chinese has its space in it.
    let gap = if label.ends_with('：') { "" } else { " " };
    let hang = if label.is_empty() { indent } else { indent + label.width() + gap.len() };
    if text.is_empty() {
        return;
    }
    for (at, part) in wrap(&one_line(text), COLUMNS.saturating_sub(hang)).iter().enumerate() {
        let lead = if at > 0 || label.is_empty() {
            " ".repeat(hang)
        } else {
            format!("{}{}{gap}", " ".repeat(indent), paint(style, label))
        };
        let part = part.replace(WHOLE, "");
        let part = if label.is_empty() { paint(style, &part) } else { part };
        line(out, &format!("{lead}{part}"));
    }
}

/// Lines of at most `columns`, broken at spaces and between the characters of Chinese, which has none; a longer word
/// is left whole, since it is something to copy.
fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words_of(text) {
        let current = lines.last_mut().expect("it begins with one line and only grows");
        if !current.is_empty() && current.width() + word.trim_end().width() > columns {
            current.truncate(current.trim_end().len());
            lines.push(word.to_owned());
        } else {
            current.push_str(word);
        }
    }
    lines
}

/// The unbreakable runs of `text`, each with the spaces after it.
fn words_of(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut start = 0;
    let mut before = None;
    // What stands between backticks is to be copied, so it is broken at its spaces only.
    let (mut in_code, mut whole) = (false, false);
    let commands = commands(text);
    for (at, c) in text.char_indices() {
        in_code ^= c == '`';
        let wide = |c: char| c.width() == Some(2);
        // Chinese punctuation must not begin a line, nor its brackets end one.
        let clings =
            ",。!?、;:)，！？；：）」』》】…”’".contains(c) || (!c.is_alphanumeric() && !wide(c) && c != WHOLE);
        let opens = before.is_some_and(|before| "（「『《【“‘".contains(before));
        let after_space = before == Some(' ') && c != ' ';
        let beside_wide =
            before.is_some_and(|before| wide(before) || wide(c)) && !clings && !opens && !in_code && c != ' ';
        let in_command = commands.iter().any(|command| command.start < at && at < command.end);
        let breaks = !whole && !in_command && (after_space || beside_wide);
        whole ^= c == WHOLE;
        if at > start && breaks {
            words.push(&text[start..at]);
            start = at;
        }
        before = Some(c);
    }
    words.push(&text[start..]);
    words
}

/// Where commands of ours stand in a sentence: to be pasted they stay on one line, up to what follows them.
fn commands(text: &str) -> Vec<Range<usize>> {
    const NAMES: [&str; 8] = ["doctor", "render", "report", "run", "settle", "status", "token", "validate"];
    let starts = text.match_indices("qunfa ").map(|(at, _)| at);
    let is_command = |at: &usize| {
        let rest = &text[at + "qunfa ".len()..];
        let name = rest.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
        NAMES.contains(&name) && rest[name.len()..].starts_with(' ')
    };
    let end = |at: usize| {
        let mut quoted = false;
        let ends = |(_, c): &(usize, char)| {
            quoted ^= *c == '\'';
            !quoted && ",;)`，。；）、".contains(*c)
        };
        text[at..].char_indices().find(ends).map_or(text.len(), |(length, _)| at + length)
    };
    starts.filter(is_command).map(|at| at..end(at)).collect()
}

fn ellipsis(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut cut = String::new();
    let mut width = 0;
    for c in text.chars() {
        width += c.width().unwrap_or(0);
        if width >= columns {
            break;
        }
        cut.push(c);
    }
    cut.push('…');
    cut
}

pub(super) fn line(out: &mut String, text: &str) {
    writeln!(out, "{text}").expect("a string takes it");
}

pub(super) fn paint(style: Style, text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{style}{text}{style:#}") }
}

const fn step_style(outcome: StepOutcome) -> Style {
    match outcome {
        StepOutcome::Succeeded => AnsiColor::Green.on_default(),
        StepOutcome::Failed => AnsiColor::Red.on_default(),
        StepOutcome::Unknown => AnsiColor::Yellow.on_default(),
        StepOutcome::AlreadyDone => AnsiColor::Blue.on_default(),
        StepOutcome::Skipped | StepOutcome::NotRun => DIM,
    }
}

const fn run_style(outcome: RunOutcome) -> Style {
    match outcome {
        RunOutcome::Succeeded => AnsiColor::Green.on_default(),
        RunOutcome::Failed | RunOutcome::Refused => AnsiColor::Red.on_default(),
        RunOutcome::Unknown | RunOutcome::Interrupted => AnsiColor::Yellow.on_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fixture, step};
    use super::*;

    fn plain(report: &Report) -> String {
        anstream::adapter::strip_str(&render(report)).to_string()
    }

    #[test]
    fn fits_80_columns_but_for_the_totals() {
        let text = plain(&fixture());
        let wide: Vec<_> = text.lines().filter(|line| line.width() > COLUMNS).collect();
        assert_eq!(wide.len(), 1, "{wide:#?}");
        assert!(wide[0].starts_with("unknown: 9 steps, "), "{}", wide[0]);
    }

    #[test]
    fn a_long_name_stays_whole_on_a_line_of_its_own() {
        let mut report = fixture();
        report.steps = vec![
            step("a", None, StepOutcome::Succeeded),
            step("city", Some(&"北京市".repeat(9)), StepOutcome::Succeeded),
        ];
        report.steps[0].audience = Some("openids of audience/very-long-name-of-a-file.csv".to_owned());
        insta::assert_snapshot!(plain(&report));
    }

    #[test]
    fn same_reason_is_given_once() {
        let mut report = fixture();
        let mut not_run = step("a", None, StepOutcome::NotRun);
        not_run.error = Some(Problem { message: "`vip` failed".into(), help: vec![], errcode: None });
        report.steps = vec![not_run.clone(), not_run];
        assert_eq!(plain(&report).matches("`vip` failed").count(), 1);
    }

    #[test]
    fn many_accepted_calls_are_summed_up() {
        let mut report = fixture();
        let failed = &mut report.steps[5];
        let accepted = failed.calls[0].clone();
        failed.calls.splice(0..0, vec![accepted; 11]);
        let text = plain(&report);
        assert!(text.contains("\n    - 12 calls accepted, 120,000 recipients\n    - call 2: refused"), "{text}");
    }

    #[test]
    fn a_terminal_obeys_nobody_but_us() {
        let mut report = fixture();
        report.steps[0].id = "a\u{1b}]0;title\u{7}".to_owned();
        report.error = Some(Problem { message: "b\u{1b}[2J\nc".into(), help: vec!["\u{9b}2J".into()], errcode: None });
        let text = render(&report);
        assert!(!text.contains("\u{1b}]") && !text.contains("[2J\n") && !text.contains("\u{1b}[2J"), "{text:?}");
        assert!(!plain(&report).chars().any(|c| c.is_control() && c != '\n'));
    }

    #[test]
    fn every_style_is_closed() {
        let text = render(&fixture());
        for line in text.lines().filter(|line| line.contains('\u{1b}')) {
            let last = line.rfind('\u{1b}').expect("the line has one");
            assert!(line[last..].starts_with("\u{1b}[0m"), "{line:?}");
        }
    }

    #[test]
    fn wraps_between_chinese_characters_but_not_before_punctuation() {
        assert_eq!(wrap("一二三,四五", 6), ["一二", "三,四", "五"]);
        assert_eq!(wrap("一二三，四", 6), ["一二", "三，四"]);
        assert_eq!(wrap("四（五六）", 4), ["四", "（五", "六）"]);
        assert_eq!(wrap("one two  three", 8), ["one two", "three"]);
        assert_eq!(wrap("一，\u{2060}二 三四\u{2060}，五", 6), ["一，", "\u{2060}二 三四\u{2060}，", "五"]);
        assert_eq!(wrap("a-very-long-word b", 4), ["a-very-long-word", "b"]);
        assert_eq!(wrap("", 4), [""]);
    }

    #[test]
    fn a_command_stays_on_one_line() {
        let command = "qunfa settle 'my plan.yaml' 'city[广州]' --api-base http://127.0.0.1:8080 --sent MSG_ID";
        let text = format!("settle it first; run: {command}, or --not-sent");
        assert_eq!(wrap(&text, 30), ["settle it first; run:", &format!("{command},"), "or --not-sent"]);
        let text = format!("请先记录结果，运行：{command}，或改用 --not-sent");
        assert!(wrap(&text, 30).iter().any(|line| line.contains(command)), "{:?}", wrap(&text, 30));
        assert_eq!(wrap("a bug in qunfa run twice", 10), ["a bug in", "qunfa run twice"]);
        assert_eq!(wrap("what qunfa sends is sent", 10), ["what qunfa", "sends is", "sent"]);
    }
}
