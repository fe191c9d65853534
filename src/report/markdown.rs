//! GitHub-flavoured Markdown for a step summary or a chat.
//!
//! Every text that is not ours goes through [`plain`], [`code`] or [`block`]: it can neither break the table nor
//! become a tag, a link or a heading.

use std::fmt::Write as _;

use super::readers;
use super::words::{self, one_line, visible};
use super::{Report, StepReport};
use crate::{
    locale::{Phrase, list, say, translated},
    problem::Problem,
    stats::model::Readers,
    text::{self, Piece},
};

/// Heading, facts, table, problems, messages.
pub(super) fn render(report: &Report) -> String {
    let mut out = String::new();
    let outcome = report.outcome;
    line(&mut out, &format!("## {} {}", outcome.mark(), titled(plain(&report.plan.name), outcome.label())));
    paragraph(&mut out, &facts(report));
    let (steps, calls) = (report.steps_in_words(), report.calls_in_words());
    paragraph(&mut out, &say!("**{steps}**; {calls}.", steps, calls).to_string());
    if report.platform == "sandbox" {
        paragraph(&mut out, &format!("> {}", words::sandbox()));
    }
    if report.has_own_problem() {
        paragraph(&mut out, &format!("**{}**", sentence(&report.own_problem())));
        if let Some(problem) = &report.error {
            help(&mut out, problem);
        }
    }
    if !report.steps.is_empty() {
        table(&mut out, report);
        links(&mut out, report);
        for step in report.steps.iter().filter(|step| step.outcome.is_bad()) {
            trouble(&mut out, step);
        }
        delivery(&mut out, report);
        messages(&mut out, report);
    }
    if let Some(all) = &report.readers {
        who_read(&mut out, all);
    }
    out
}

/// A table an article.
fn who_read(out: &mut String, all: &Readers) {
    paragraph(out, &format!("### {}", translated("Readers")));
    paragraph(out, &readers::total(all).to_string());
    for article in &all.articles {
        let facts = words::in_a_row(readers::facts(article));
        paragraph(
            out,
            &format!("**{}** {}: {}", plain(&article.title), code(&article.msgid), plain(&facts.to_string())),
        );
        line(out, "");
        line(out, &format!("| {} |", readers::headings().join(" | ")));
        line(out, "|:--|--:|--:|--:|--:|--:|--:|--:|--:|");
        for day in &article.days {
            line(out, &format!("| {} |", readers::row(day).join(" | ")));
        }
        let scenes: Vec<String> =
            article.last().map(readers::scenes).unwrap_or_default().iter().map(readers::scene).collect();
        if !scenes.is_empty() {
            paragraph(out, &plain(&say!("opened from: {scenes}", scenes = list(scenes)).to_string()));
        }
    }
    for told in all.followers.iter().map(readers::followers).chain(readers::missing(all)) {
        paragraph(out, &plain(&told.to_string()));
    }
}

/// What a heading is about, and its outcome.
fn titled(what: String, outcome: Phrase) -> Phrase {
    say!("{what}: {outcome}", what, outcome)
}

fn facts(report: &Report) -> String {
    [
        say!("occurrence {occurrence}", occurrence = code(&report.occurrence)),
        say!(
            "{kind} account {appid}",
            kind = plain(&words::account_kind(&report.account.kind).to_string()),
            appid = code(&report.account.appid)
        ),
        say!("platform {platform}", platform = plain(&words::platform(&report.platform).to_string())),
        words::in_a_row([
            Phrase::verbatim(format!("{} +08:00", words::shanghai(report.started_at))),
            words::duration(report.duration_ms()),
        ]),
        say!("plan {path}", path = code(&report.plan.path)),
        say!("digest {digest}", digest = code(&report.plan.digest)),
        say!("run {id}", id = code(&report.run_id)),
        say!("exit code {code}", code = report.exit_code),
    ]
    .map(|fact| fact.to_string())
    .join(" · ")
}

fn table(out: &mut String, report: &Report) {
    line(out, "");
    line(out, translated("| | Step | Action | Audience | Outcome | Calls | Recipients | Time |"));
    line(out, "|:-:|:--|:--|:--|:--|--:|--:|--:|");
    for step in &report.steps {
        let outcome = match step.errcode().filter(|_| step.outcome.is_bad()) {
            Some(errcode) => {
                say!("{outcome} ({errcode})", outcome = step.outcome.label(), errcode = errcode.to_string())
            }
            None => step.outcome.label(),
        };
        let time = step.started_at.map(|_| words::duration(step.duration_ms)).unwrap_or_default();
        let cells = [
            step.outcome.mark().to_owned(),
            code(&step.name()),
            code(&step.action),
            plain(step.audience.as_deref().unwrap_or_default()),
            outcome.to_string(),
            text::thousands(step.calls.len() as u64),
            step.reach().unwrap_or_default().to_string(),
            time.to_string(),
        ];
        line(out, &format!("| {} |", cells.join(" | ")));
    }
    for (step, by) in report.steps.iter().filter_map(|step| Some((step, step.by_hand()?))) {
        paragraph(out, &format!("{}: {}", code(&step.name()), plain(by)));
    }
}

fn trouble(out: &mut String, step: &StepReport) {
    paragraph(out, &format!("### {} {}", step.outcome.mark(), titled(code(&step.name()), step.outcome.label())));
    let said = step.error.as_ref().map_or_else(|| step.outcome.label(), |problem| problem.message.clone());
    paragraph(out, &sentence(&said));
    let errcode = step.errcode().map(words::errcode);
    let rid = step.rid().map(|rid| Phrase::verbatim(format!("rid {}", code(rid))));
    let line_of = (step.line > 0).then(|| say!("line {line} of the plan", line = step.line));
    let facts: Vec<_> = errcode.into_iter().chain(rid).chain(line_of).map(|fact| fact.to_string()).collect();
    paragraph(out, &facts.join(" · "));
    if !step.calls.is_empty() {
        line(out, "");
        for call in &step.calls {
            line(out, &format!("- {}", plain(&words::in_a_row(words::call(call)).to_string())));
        }
    }
    if let Some(problem) = &step.error {
        help(out, problem);
    }
}

fn help(out: &mut String, problem: &Problem) {
    if problem.help.is_empty() {
        return;
    }
    paragraph(out, translated("What to do:"));
    line(out, "");
    for help in &problem.help {
        line(out, &format!("- {}", sentence(help)));
    }
}

/// What became of the jobs, a line each.
fn delivery(out: &mut String, report: &Report) {
    if report.steps.iter().all(|step| step.delivery.is_empty()) {
        return;
    }
    paragraph(out, &format!("### {}", say!("Delivery")));
    line(out, "");
    for step in &report.steps {
        for job in &step.delivery {
            let mark = if job.delivered { "✓" } else { "✗" };
            line(out, &format!("- {mark} {} {}", code(&step.name()), plain(&job.summary().to_string())));
            job.details().iter().for_each(|detail| line(out, &format!("  - {}", plain(&detail.to_string()))));
        }
    }
}

/// The articles that were published.
fn links(out: &mut String, report: &Report) {
    let mut links = report.steps.iter().flat_map(|step| step.links().map(move |link| (step, link))).peekable();
    if links.peek().is_some() {
        line(out, "");
    }
    for (step, link) in links {
        line(out, &format!("- {}: {}", code(&step.name()), plain(link)));
    }
}

/// The messages that left in this run, or may have.
fn messages(out: &mut String, report: &Report) {
    let left = |step: &&StepReport| step.calls.iter().any(|call| call.outcome.may_have_left());
    let sent: Vec<_> = report
        .steps
        .iter()
        .filter(left)
        .filter_map(|step| step.message.as_ref().map(|message| (step, message)))
        .collect();
    if sent.is_empty() {
        return;
    }
    let how_many = say!("{messages} message of this run" | "{messages} messages of this run", messages = sent.len());
    paragraph(out, &format!("<details>\n<summary>{how_many}</summary>"));
    for (step, message) in sent {
        let (step_name, kind, outcome) = (code(&step.name()), message.kind.name(), step.outcome.label());
        let head = match step.audience.as_deref().map(plain) {
            Some(audience) => {
                say!("{step}, {kind} to {audience} ({outcome}):", step = step_name, kind, audience, outcome)
            }
            None => say!("{step}, {kind} ({outcome}):", step = step_name, kind, outcome),
        };
        paragraph(out, &head.to_string());
        paragraph(out, &block(&message.content));
    }
    paragraph(out, "</details>");
}

/// Cuts a text of [`render`] at the end of a line, outside of a message, and closes what is open there.
pub(super) fn cut(text: String, most_bytes: usize) -> String {
    const CLOSE: &str = "\n</details>\n";
    if text.len() <= most_bytes {
        return text;
    }
    let said = translated(
        "The summary is truncated because of GitHub's size limit. `qunfa report --format markdown` prints the full report.",
    );
    let said = format!("\n*{said}*\n");
    let (mut length, mut open_at_cut) = (0, false);
    let (mut at, mut details, mut pre) = (0, false, false);
    for line in text.split_inclusive('\n') {
        at += line.len();
        if at + said.len() + CLOSE.len() > most_bytes {
            break;
        }
        // Text of a message cannot hold these: its angle brackets are escaped.
        match line.trim_end() {
            "<details>" => details = true,
            "</details>" => details = false,
            "<pre>" => pre = true,
            "</pre>" => pre = false,
            _ => {}
        }
        if !pre {
            (length, open_at_cut) = (at, details);
        }
    }
    let mut cut = text;
    cut.truncate(length);
    if open_at_cut {
        cut.push_str(CLOSE);
    }
    // Where not even that fits, nothing does.
    if cut.len() + said.len() <= most_bytes { cut + &said } else { String::new() }
}

/// One of our sentences: what it has between backticks is code, the rest is plain.
fn sentence(text: &Phrase) -> String {
    let text = one_line(&text.to_string());
    let pieces = text::pieces(&text).into_iter().map(|piece| match piece {
        Piece::Words(words) => plain(words),
        Piece::Code(text) => code(text),
    });
    pieces.collect()
}

/// Text on one line that is only text.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let text = one_line(text);
    let mut chars = text.chars().peekable();
    let mut before = ' ';
    while let Some(c) = chars.next() {
        // Inside a word an underscore means nothing, and a backslash would end up in an address.
        let inside_word = before.is_alphanumeric() && chars.peek().is_some_and(|next| next.is_alphanumeric());
        match c {
            '&' => plain.push_str("&amp;"),
            '<' => plain.push_str("&lt;"),
            '>' => plain.push_str("&gt;"),
            '_' if inside_word => plain.push(c),
            // No mention and no address: a chat would call people, and make a link of it.
            '@' => plain.push_str("@\u{200b}"),
            ':' if chars.peek() == Some(&'/') => plain.push_str(":\u{200b}"),
            '.' if plain.to_lowercase().ends_with("www") => plain.push_str("\u{200b}."),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '$' => plain.extend(['\\', c]),
            c => plain.push(c),
        }
        before = c;
    }
    plain
}

/// Text on one line in code type. Backticks where nothing in it could end them or the cell; else a tag, inside which
/// escapes work.
pub(super) fn code(text: &str) -> String {
    let text = one_line(text).replace('@', "@\u{200b}");
    if text.trim().is_empty() || text.contains(['`', '|', '&', '<', '>', '\\']) {
        format!("<code>{}</code>", plain(&text))
    } else {
        format!("`{text}`")
    }
}

/// Text with its newlines. A `pre` ends at nothing but its own tag, which escaped text cannot contain.
fn block(text: &str) -> String {
    let text = visible(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let text = text.replace('@', "@\u{200b}").replace("://", ":\u{200b}//");
    // The first newline after the tag is dropped by HTML, so that one of the text's own is not.
    format!("<pre>\n{text}\n</pre>")
}

pub(super) fn line(out: &mut String, text: &str) {
    writeln!(out, "{text}").expect("a string takes it");
}

pub(super) fn paragraph(out: &mut String, text: &str) {
    line(out, "");
    line(out, text);
}

#[cfg(test)]
mod tests {
    use super::super::tests::fixture;
    use super::*;

    #[test]
    fn text_stays_text() {
        assert_eq!(
            plain("<b>&*x*_y_ send_by_tag [a](b) | `c` \\ #1\n2"),
            r"&lt;b&gt;&amp;\*x\*\_y\_ send_by_tag \[a\](b) \| \`c\` \\ \#1 2"
        );
        assert_eq!(code("city[北京]"), "`city[北京]`");
        assert_eq!(code("a|b`<"), r"<code>a\|b\`&lt;</code>");
        assert_eq!(sentence(&"write `to: all`, not <all>".into()), "write `to: all`, not &lt;all&gt;");
        assert_eq!(block("```\n\n</pre><script>"), "<pre>\n```\n\n&lt;/pre&gt;&lt;script&gt;\n</pre>");
    }

    #[test]
    fn every_row_of_the_table_has_every_cell() {
        let text = render(&fixture());
        let rows: Vec<_> = text.lines().filter(|line| line.starts_with("| ")).collect();
        assert_eq!(rows.len(), 1 + fixture().steps.len());
        for row in rows {
            assert_eq!(row.replace(r"\|", "").matches('|').count(), 9, "{row}");
        }
    }

    #[test]
    fn a_summary_is_cut_where_it_still_reads() {
        let _heard = crate::locale::tests::heard("report-markdown-a_summary_is_cut_where_it_still_reads");
        let whole = render(&fixture());
        assert_eq!(cut(whole.clone(), whole.len()), whole);
        assert_eq!(cut(whole.clone(), 10), "");
        for most in 0..whole.len() {
            let text = cut(whole.clone(), most);
            assert!(text.len() <= most, "{most}");
            for tag in ["details", "pre"] {
                let count = |tag: &str| text.lines().filter(|line| *line == tag).count();
                assert_eq!(count(&format!("<{tag}>")), count(&format!("</{tag}>")), "{most}: {text}");
            }
            let kept = text.split("\n*The summary is truncated").next().expect("split gives at least one");
            let kept = kept.strip_suffix("\n</details>\n").unwrap_or(kept);
            assert!(whole.starts_with(kept) && (kept.is_empty() || kept.ends_with('\n')), "{most}: {text}");
        }
    }

    #[test]
    fn no_tag_but_ours() {
        let text = render(&fixture());
        for tag in text.split('<').skip(1) {
            let tag = tag.split('>').next().expect("split gives at least one");
            assert!(
                ["details", "/details", "summary", "/summary", "pre", "/pre", "code", "/code"].contains(&tag),
                "<{tag}>"
            );
        }
    }
}
