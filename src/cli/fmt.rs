//! `qunfa fmt`: the settled layout of plans.

use std::path::Path;

use clap::builder::FalseyValueParser;

use serde_json::{Value, json};

use super::{
    failure::Failure,
    files,
    load::{Loaded, open},
    options::{Format, FormatArg},
    terminal::Terminal,
};
use crate::{
    diag::source::{FileId, SourceMap},
    locale::say,
    plan::{self, fmt},
    problem::{ExitCode, Refusal, unwritten},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Plans, account files or variable files; `-` reads standard input and writes standard output
    #[arg(required = true, value_name = "PLAN")]
    plans: Vec<String>,
    /// Shows what would change without writing it (exit code 9)
    #[arg(long, env = "QUNFA_FMT_CHECK", hide_env_values = true, value_parser = FalseyValueParser::new())]
    check: bool,
    #[command(flatten)]
    pub(super) format: FormatArg,
}

/// What became of a file that could be settled.
struct Settled {
    /// Whether it was not settled before.
    differs: bool,
    /// What people are shown.
    shown: String,
    /// The same for programs.
    data: Value,
}

pub(super) fn main(args: &Args, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let (mut settled, mut failed) = (Vec::new(), Vec::new());
    for path in &args.plans {
        match settle(path, args.check) {
            Ok(file) => {
                if args.format.format == Format::Human {
                    terminal.out(&file.shown);
                }
                settled.push(file);
            }
            Err(failure) => failed.push(failure),
        }
    }
    if !failed.is_empty() {
        return Err(Failure::Files(failed));
    }
    let unsettled = if args.check { settled.iter().filter(|file| file.differs).count() } else { 0 };
    if args.format.format == Format::Json {
        let code = if unsettled > 0 { ExitCode::Refused } else { ExitCode::Done };
        let files: Vec<Value> = settled.into_iter().map(|file| file.data).collect();
        terminal.document(code, json!({ "files": files }));
        return Ok(code);
    }
    if unsettled == 0 {
        return Ok(ExitCode::Done);
    }
    let message = say!("{files} file is not formatted" | "{files} files are not formatted", files = unsettled);
    Err(Refusal::new(ExitCode::Refused, message).help(say!("run `qunfa fmt` without --check")).into())
}

fn settle(path: &str, check: bool) -> Result<Settled, Failure> {
    let (mut loaded, file) = open(path, SourceMap::default());
    let settled = file.map(|file| (file, fmt::format(file, &mut loaded.sources, &mut loaded.diagnostics)));
    let (file, settled) = match settled {
        Some((file, Ok(text))) => (file, text),
        Some((_, Err(fmt::Refusal::Changed(why)))) => {
            let help = say!("this is a bug in qunfa; nothing was written");
            return Err(Refusal::new(ExitCode::Internal, say!("{path}: {why}", path, why)).help(help).into());
        }
        None | Some((_, Err(fmt::Refusal::Unreadable))) => {
            return Err(loaded.refuse(path, Some(&say!("nothing was written"))));
        }
    };
    let differs = settled != loaded.sources.file(file).text;
    let mut data = json!({ "path": path, "changed": differs });
    let shown = if check {
        let shown = if differs { difference(path, &mut loaded, file, settled) } else { String::new() };
        data["diff"] = shown.clone().into();
        shown
    } else if path == "-" {
        data["text"] = settled.clone().into();
        settled
    } else if differs {
        files::rewrite_file(Path::new(path), settled.as_bytes()).map_err(|error| {
            Refusal::missing_input(say!("cannot write `{path}`: {why}", path, why = unwritten(&error)))
        })?;
        format!("{path}\n")
    } else {
        String::new()
    };
    Ok(Settled { differs, shown, data })
}

/// What would change; a literal secret is not shown.
fn difference(path: &str, loaded: &mut Loaded, file: FileId, settled: String) -> String {
    let settled = loaded.sources.add(path, settled);
    plan::mask_secrets(settled, &mut loaded.sources);
    let (before, after) = (loaded.sources.file(file).shown_text(), loaded.sources.file(settled).shown_text());
    let diff = similar::TextDiff::configure().timeout(crate::limits::DIFF_TIME).diff_lines(&*before, &*after);
    diff.unified_diff().header(path, &say!("{path} (formatted)", path).to_string()).to_string()
}
