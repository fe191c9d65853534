//! `qunfa explain`: a code of WeChat, or of ours.

use serde_json::json;

use super::{Format, FormatArg, document, fail, world::Terminal};
use crate::problem::ExitCode;
use crate::{
    diag::{Code, Severity, did_you_mean},
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

pub(super) fn main(args: &Args, terminal: &Terminal) -> ExitCode {
    let json_wanted = args.format.format == Format::Json;
    if let Ok(number) = args.code.parse::<i64>() {
        let Some(row) = errcode::lookup(number) else {
            let help = format!(
                "WeChat's own list: {}; qunfa treats an unknown code as fatal and stops the run",
                errcode::SOURCE
            );
            return fail(
                terminal,
                ExitCode::Usage,
                &format!("{number} is not in the table of WeChat's codes"),
                &[help],
            );
        };
        let class = errcode::class_name(row.class);
        if json_wanted {
            let members = json!({ "code": row.code, "errmsg": row.errmsg, "class": class, "meaning": { "en": row.meaning_en, "zh": row.meaning_zh }, "todo": { "en": row.todo_en, "zh": row.todo_zh }, "source": errcode::SOURCE });
            document(terminal, ExitCode::Done, members);
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
        return ExitCode::Done;
    }
    let Some(code) = Code::find(&args.code) else {
        let names: Vec<&str> = Code::ALL.iter().flat_map(|code| [code.info().id, code.info().name]).collect();
        let near = did_you_mean(&args.code, names.iter().copied()).map_or_else(
            || "codes are numbers of WeChat (45028) or of qunfa (Q201)".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        return fail(terminal, ExitCode::Usage, &format!("there is no code `{}`", args.code), &[near]);
    };
    let info = code.info();
    let severity = if info.severity == Severity::Error { "error" } else { "warning" };
    if json_wanted {
        let members =
            json!({ "code": info.id, "name": info.name, "severity": severity, "meaning": { "en": info.explanation } });
        document(terminal, ExitCode::Done, members);
    } else {
        terminal.out(&format!("{} {} ({severity})\n\n  {}\n", info.id, info.name, info.explanation));
    }
    ExitCode::Done
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
