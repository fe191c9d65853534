//! `qunfa fmt`: the settled layout of plans.

use std::path::Path;

use clap::builder::FalseyValueParser;

use super::{
    ExitCode, fail,
    load::{Loaded, open},
    world::{self, Terminal},
};
use crate::{
    plan::{self, layout},
    source::FileId,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Plans, or files of an account or of variables; `-` is standard input, written to standard output
    #[arg(required = true, value_name = "PLAN")]
    plans: Vec<String>,
    /// Changes nothing, and shows what would change (exit code 9)
    #[arg(long, env = "QUNFA_FMT_CHECK", hide_env_values = true, value_parser = FalseyValueParser::new())]
    check: bool,
}

pub(super) fn main(args: &Args, terminal: &Terminal) -> ExitCode {
    let mut code = ExitCode::Done;
    let mut unsettled = 0;
    for path in &args.plans {
        let done = file(path, args.check, terminal).map(|differs| unsettled += usize::from(differs));
        if let Err(failed) = done
            && code == ExitCode::Done
        {
            code = failed;
        }
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

/// Settles one file, and says whether it was not settled before.
fn file(path: &str, check: bool, terminal: &Terminal) -> Result<bool, ExitCode> {
    let (mut loaded, file) = open(path);
    let settled = file.map(|file| (file, layout::format(file, &mut loaded.sources, &mut loaded.diagnostics)));
    let (file, settled) = match settled {
        Some((file, Ok(text))) => (file, text),
        Some((_, Err(error @ layout::Refusal::Changed(_)))) => {
            let help = "this is a fault of qunfa itself; nothing was written";
            return Err(fail(terminal, ExitCode::Internal, &format!("{path}: {error}"), &[help.into()]));
        }
        None | Some((_, Err(layout::Refusal::Unreadable))) => {
            loaded.print(terminal);
            terminal.err(&format!("{path}: {}; nothing was written\n", loaded.counts()));
            return Err(loaded.exit_code());
        }
    };
    let differs = settled != loaded.sources.file(file).text;
    if check {
        if differs {
            terminal.out(&difference(path, &mut loaded, file, settled));
        }
    } else if path == "-" {
        terminal.out(&settled);
    } else if differs {
        if let Err(error) = world::rewrite_file(Path::new(path), settled.as_bytes()) {
            let message = format!("`{path}` cannot be written: {}", crate::exec::chain(&error));
            return Err(fail(terminal, ExitCode::MissingInput, &message, &[]));
        }
        terminal.out(&format!("{path}\n"));
    }
    Ok(differs)
}

/// What would change; a literal secret is not shown.
fn difference(path: &str, loaded: &mut Loaded, file: FileId, settled: String) -> String {
    let settled = loaded.sources.add(path, settled);
    plan::mask_secrets(settled, &mut loaded.sources);
    let (before, after) = (loaded.sources.file(file).shown_text(), loaded.sources.file(settled).shown_text());
    let diff = similar::TextDiff::configure().timeout(std::time::Duration::from_secs(2)).diff_lines(&*before, &*after);
    diff.unified_diff().header(path, &format!("{path} (settled)")).to_string()
}
