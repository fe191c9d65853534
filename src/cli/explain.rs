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
    text::did_you_mean,
    wechat::errcode,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A number such as 45028 or -1, or a code such as Q201 or unknown-key
    #[arg(allow_negative_numbers = true)]
    code: String,
    #[command(flatten)]
    pub(super) format: FormatArg,
}

pub(super) fn main(args: &Args, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let as_json = args.format.format == Format::Json;
    match args.code.parse::<i64>() {
        Ok(number) => of_wechat(number, as_json, terminal)?,
        Err(_) => of_ours(&args.code, as_json, terminal)?,
    }
    Ok(ExitCode::Done)
}

fn of_wechat(number: i64, as_json: bool, terminal: &Terminal) -> Result<(), Refusal> {
    let row = errcode::lookup(number).ok_or_else(|| {
        let source = errcode::SOURCE;
        Refusal::usage(say!("{number} is not in the table of WeChat's codes", number))
            .help(say!("WeChat's own list: {source}; qunfa treats an unknown code as fatal and stops the run", source))
    })?;
    let class = errcode::class_name(row.class);
    if as_json {
        let members = json!({ "code": row.code, "errmsg": row.errmsg, "class": class, "meaning": { "en": row.meaning_en, "zh": row.meaning_zh }, "todo": { "en": row.todo_en, "zh": row.todo_zh }, "source": errcode::SOURCE });
        terminal.document(ExitCode::Done, members);
    } else {
        // In both languages, the reader's first: what is looked up is passed on to others.
        let english = format!("  {}.\n  {}\n", row.meaning_en, row.todo_en);
        let chinese = format!("  {}。\n  {}\n", row.meaning_zh.trim_end_matches('。'), row.todo_zh);
        let [first, second] = match Language::current() {
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
        let near = did_you_mean(name, names.iter().copied()).map_or_else(
            || say!("a code is a number of WeChat (45028) or one of qunfa's (Q201)"),
            |near| say!("did you mean `{near}`?", near),
        );
        Refusal::usage(say!("there is no code `{name}`", name)).help(near)
    })?;
    let info = code.info();
    let (severity, said) = match info.severity {
        Severity::Error => ("error", say!("error")),
        Severity::Warning => ("warning", say!("warning")),
    };
    if as_json {
        let members = json!({ "code": info.id, "name": info.name, "severity": severity, "meaning": { "en": info.explanation, "zh": in_language(Language::Zh, info.explanation) } });
        terminal.document(ExitCode::Done, members);
    } else {
        terminal.out(&format!("{} {} ({})\n\n  {}\n", info.id, info.name, said, translated(info.explanation)));
    }
    Ok(())
}

/// What a run does about a class.
fn what(class: errcode::Disposition) -> Phrase {
    use errcode::Disposition;
    match class {
        Disposition::Done => say!("success"),
        Disposition::Retry => say!("repeated after a pause"),
        Disposition::RefreshToken => say!("a new token is fetched once, and the call repeated once"),
        Disposition::WaitQuota => say!("the run stops before the next send"),
        Disposition::FixPlan => say!("the step fails"),
        Disposition::Duplicate => say!("the job that is there is adopted"),
        Disposition::Fatal => say!("the run stops"),
    }
}
