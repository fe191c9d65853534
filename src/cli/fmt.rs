//! `qunfa fmt`: the settled layout of plans.

use std::path::Path;

use clap::builder::FalseyValueParser;

use serde_json::{Value, json};

use super::{
    Format, FormatArg, document, fail,
    load::{Loaded, open, print_document},
    world::{self, Terminal},
};
use crate::problem::ExitCode;
use crate::{
    diag::{finding::Checked, source::FileId},
    plan::{self, fmt},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Plans, or files of an account or of variables; `-` is standard input, written to standard output
    #[arg(required = true, value_name = "PLAN")]
    plans: Vec<String>,
    /// Changes nothing, and shows what would change (exit code 9)
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

pub(super) fn main(args: &Args, terminal: &Terminal) -> ExitCode {
    let mut code = ExitCode::Done;
    let mut unsettled = 0;
    let (mut files, mut invalid) = (Vec::new(), Vec::new());
    let json = args.format.format == Format::Json;
    for path in &args.plans {
        match file(path, args.check, terminal) {
            Ok(settled) => {
                unsettled += usize::from(settled.differs);
                if json {
                    files.push(settled.data);
                } else {
                    terminal.out(&settled.shown);
                }
            }
            Err((failed, found)) => {
                code = if code == ExitCode::Done { failed } else { code };
                invalid.extend(found.map(|found| *found));
            }
        }
    }
    if json && !invalid.is_empty() {
        print_document(invalid, code, terminal);
        return code;
    }
    if json && code == ExitCode::Done {
        let code = if unsettled > 0 && args.check { ExitCode::Refused } else { code };
        document(terminal, code, json!({ "files": files }));
        return code;
    }
    if unsettled > 0 && args.check && code == ExitCode::Done {
        let message = if unsettled == 1 {
            "1 file is not as `qunfa fmt` writes it".to_owned()
        } else {
            format!("{unsettled} files are not as `qunfa fmt` writes them")
        };
        return fail(terminal, ExitCode::Refused, &message, &["run `qunfa fmt` without --check on them".into()]);
    }
    code
}

/// Settles one file; gives the exit code and what was found, if it cannot be settled.
fn file(path: &str, check: bool, terminal: &Terminal) -> Result<Settled, (ExitCode, Option<Box<Checked>>)> {
    let (mut loaded, file) = open(path);
    let settled = file.map(|file| (file, fmt::format(file, &mut loaded.sources, &mut loaded.diagnostics)));
    let (file, settled) = match settled {
        Some((file, Ok(text))) => (file, text),
        Some((_, Err(error @ fmt::Refusal::Changed(_)))) => {
            let help = "this is a fault of qunfa itself; nothing was written";
            return Err((fail(terminal, ExitCode::Internal, &format!("{path}: {error}"), &[help.into()]), None));
        }
        None | Some((_, Err(fmt::Refusal::Unreadable))) => {
            loaded.print(terminal);
            terminal.err(&format!("{path}: {}; nothing was written\n", loaded.counts()));
            return Err((loaded.exit_code(), Some(Box::new(loaded.checked(path, false)))));
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
        if let Err(error) = world::rewrite_file(Path::new(path), settled.as_bytes()) {
            let message = format!("`{path}` cannot be written: {}", crate::text::chain(&error));
            return Err((fail(terminal, ExitCode::MissingInput, &message, &[]), None));
        }
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
    let diff = similar::TextDiff::configure().timeout(std::time::Duration::from_secs(2)).diff_lines(&*before, &*after);
    diff.unified_diff().header(path, &format!("{path} (settled)")).to_string()
}
