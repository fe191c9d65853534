//! `qunfa explain`: a code of WeChat, or of ours.

use serde_json::json;

use super::{
    failure::Failure,
    options::{Format, FormatArg},
    terminal::Terminal,
};
use crate::{
    diag::{Code, Severity},
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
        Refusal::usage(format!("{number} is not in the table of WeChat's codes"))
            .help(format!("WeChat's own list: {source}; qunfa treats an unknown code as fatal and stops the run"))
    })?;
    let class = errcode::class_name(row.class);
    if as_json {
        let members = json!({ "code": row.code, "errmsg": row.errmsg, "class": class, "meaning": { "en": row.meaning_en, "zh": row.meaning_zh }, "todo": { "en": row.todo_en, "zh": row.todo_zh }, "source": errcode::SOURCE });
        terminal.document(ExitCode::Done, members);
    } else {
        terminal.out(&format!(
            "{} {}\n\n  {}.\n  {}\n\n  {}。\n  {}\n\n  class: {class} ({})\n",
            row.code,
            row.errmsg,
            row.meaning_en,
            row.todo_en,
            row.meaning_zh.trim_end_matches('。'),
            row.todo_zh,
            what(row.class)
        ));
    }
    Ok(())
}

fn of_ours(name: &str, as_json: bool, terminal: &Terminal) -> Result<(), Refusal> {
    let code = Code::find(name).ok_or_else(|| {
        let names: Vec<&str> = Code::ALL.iter().flat_map(|code| [code.info().id, code.info().name]).collect();
        let near = did_you_mean(name, names.iter().copied()).map_or_else(
            || "codes are numbers of WeChat (45028) or of qunfa (Q201)".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        Refusal::usage(format!("there is no code `{name}`")).help(near)
    })?;
    let info = code.info();
    let severity = if info.severity == Severity::Error { "error" } else { "warning" };
    if as_json {
        let members =
            json!({ "code": info.id, "name": info.name, "severity": severity, "meaning": { "en": info.explanation } });
        terminal.document(ExitCode::Done, members);
    } else {
        terminal.out(&format!("{} {} ({severity})\n\n  {}\n", info.id, info.name, info.explanation));
    }
    Ok(())
}

/// What a run does about a class.
fn what(class: errcode::Disposition) -> &'static str {
    use errcode::Disposition;
    match class {
        Disposition::Done => "success",
        Disposition::Retry => "repeated after a pause",
        Disposition::RefreshToken => "a new token is fetched once, and the call repeated once",
        Disposition::WaitQuota => "the run stops before the next send",
        Disposition::FixPlan => "the step fails",
        Disposition::Duplicate => "the job that is there is adopted",
        Disposition::Fatal => "the run stops",
    }
}
