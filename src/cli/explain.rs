//! `qunfa explain`: a code of WeChat, or of ours.

use serde_json::json;

use super::{
    failure::Failure,
    options::{Format, FormatArg},
    terminal::Terminal,
};
use crate::{
    diag::{Code, Severity},
    locale::{Language, Phrase, in_language, say, translated},
    problem::{ExitCode, Refusal},
    text::{nearest, pad},
    wechat::errcode,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A number such as 45028 or -1, or a code such as Q201 or unknown-key
    #[arg(allow_negative_numbers = true, required_unless_present = "list")]
    code: Option<String>,
    /// Lists all codes, one per line
    #[arg(long, conflicts_with = "code")]
    list: bool,
    #[command(flatten)]
    pub(super) format: FormatArg,
}

pub(super) fn main(args: &Args, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let as_json = args.format.format == Format::Json;
    match args.code.as_deref().map(|code| (code, code.parse::<i64>())) {
        None => list(as_json, terminal),
        Some((_, Ok(number))) => of_wechat(number, as_json, terminal)?,
        Some((name, Err(_))) => of_ours(name, as_json, terminal)?,
    }
    Ok(ExitCode::Done)
}

fn of_wechat(number: i64, as_json: bool, terminal: &Terminal) -> Result<(), Refusal> {
    let row = errcode::lookup(number).ok_or_else(|| {
        let source = errcode::SOURCE;
        Refusal::usage(say!("{number} is not a known WeChat code", number))
            .help(say!("see WeChat's list: {source}; qunfa treats unknown codes as fatal and stops the run", source))
    })?;
    let class = errcode::class_name(row.class);
    let language = Language::current();
    if as_json {
        let (message, help) = row.words(language);
        let members = json!({
            "code": row.code, "errmsg": row.errmsg, "class": class, "message": message, "help": [help],
            "meaning": { "en": row.meaning_en, "zh": row.meaning_zh }, "todo": { "en": row.todo_en, "zh": row.todo_zh },
            "source": errcode::SOURCE,
        });
        terminal.document(ExitCode::Done, members);
    } else {
        // In both languages, the reader's first: what is looked up is passed on to others.
        let english = format!("  {}.\n  {}\n", row.meaning_en, row.todo_en);
        let chinese = format!("  {}。\n  {}\n", row.meaning_zh, row.todo_zh);
        let [first, second] = match language {
            Language::En => [english, chinese],
            Language::Zh => [chinese, english],
        };
        let class = say!("class: {class} ({what})", class, what = what(row.class));
        terminal.out(&format!("{} {}\n\n{first}\n{second}\n  {class}\n", row.code, row.errmsg));
    }
    Ok(())
}

fn of_ours(name: &str, as_json: bool, terminal: &Terminal) -> Result<(), Refusal> {
    let code = Code::find(name).ok_or_else(|| {
        let names: Vec<&str> = Code::ALL.iter().flat_map(|code| [code.info().id, code.info().name]).collect();
        let near = nearest(name, names).unwrap_or_else(|| {
            say!("write a WeChat code (45028) or a qunfa code (Q201); `qunfa explain --list` lists them all")
        });
        Refusal::usage(say!("there is no code `{name}`", name)).help(near)
    })?;
    let info = code.info();
    let (severity, said) = severity(info.severity);
    if as_json {
        let members = json!({
            "code": info.id, "name": info.name, "severity": severity, "message": translated(info.explanation),
            "meaning": { "en": info.explanation, "zh": in_language(Language::Zh, info.explanation) },
        });
        terminal.document(ExitCode::Done, members);
    } else {
        let title = say!("{code} {name} ({severity})", code = info.id, name = info.name, severity = said);
        terminal.out(&format!("{title}\n\n  {}\n", translated(info.explanation)));
    }
    Ok(())
}

/// All codes: ours, then WeChat's.
fn list(as_json: bool, terminal: &Terminal) {
    let language = Language::current();
    let ours = Code::ALL.iter().map(|code| (code.info(), first_sentence(translated(code.info().explanation))));
    let wechat = errcode::TABLE.iter().map(|row| (row, errcode::class_name(row.class), row.words(language).0));
    if as_json {
        let ours = ours.map(|(info, message)| {
            json!({ "code": info.id, "name": info.name, "severity": severity(info.severity).0, "message": message })
        });
        let wechat = wechat.map(|(row, class, message)| {
            json!({ "code": row.code, "errmsg": row.errmsg, "class": class, "message": message })
        });
        let members = json!({ "qunfa": ours.collect::<Vec<_>>(), "wechat": wechat.collect::<Vec<_>>() });
        return terminal.document(ExitCode::Done, members);
    }
    let mut text = String::new();
    for (info, message) in ours {
        let severity = severity(info.severity).1.to_string();
        text.push_str(&format!("{:<9}  {:<22}  {}  {message}\n", info.id, info.name, pad(&severity, 7)));
    }
    text.push('\n');
    for (row, class, message) in wechat {
        text.push_str(&format!("{:<9}  {class:<13}  {message}\n", row.code));
    }
    terminal.out(&text);
}

/// The first sentence of an explanation, without its full stop.
fn first_sentence(text: &str) -> &str {
    let end = [text.find(". "), text.find('。')].into_iter().flatten().min();
    end.map_or(text.trim_end_matches('.'), |end| &text[..end])
}

/// A severity as a name in JSON, and as a word.
fn severity(severity: Severity) -> (&'static str, Phrase) {
    match severity {
        Severity::Error => ("error", say!("error")),
        Severity::Warning => ("warning", say!("warning")),
    }
}

/// What a run does about a class.
fn what(class: errcode::Disposition) -> Phrase {
    use errcode::Disposition;
    match class {
        Disposition::Done => say!("success"),
        Disposition::Retry => say!("the call is repeated after a pause"),
        Disposition::RefreshToken => say!("a new token is fetched and the call is repeated, once"),
        Disposition::WaitQuota => say!("the run stops before the next send"),
        Disposition::FixPlan => say!("the step fails"),
        Disposition::Duplicate => say!("the existing job is adopted"),
        Disposition::Fatal => say!("the run stops"),
    }
}
