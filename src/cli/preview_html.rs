//! `qunfa preview-html`: the messages of a plan as phones will show them, as one page.

use std::path::{Path, PathBuf};

use clap::builder::FalseyValueParser;

use super::{
    Common, Format, FormatArg, fail,
    load::{Loaded, Strict, loaded_or_fail},
    world::{self, Terminal},
};
use crate::problem::ExitCode;
use crate::{page::preview, render::RenderedPlan};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The plan; `-` is standard input
    plan: String,
    /// Writes the page into this file, rather than to standard output
    #[arg(long, value_name = "FILE", env = "QUNFA_OUT", hide_env_values = true)]
    out: Option<PathBuf>,
    /// Opens the page; without --out it is written into the folder .qunfa of the project
    #[arg(long, env = "QUNFA_OPEN", hide_env_values = true, value_parser = FalseyValueParser::new())]
    open: bool,
}

pub(super) fn main(args: &Args, common: &Common, terminal: &Terminal) -> ExitCode {
    let (plan, loaded) = match loaded_or_fail(
        &args.plan,
        common,
        &FormatArg { format: Format::Human },
        None,
        Strict::default(),
        terminal,
    ) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    let path = match &args.out {
        Some(path) => path.clone(),
        None if args.open => loaded.project.root().join(".qunfa").join(format!("preview-{}.html", plan.name)),
        None => {
            terminal.out(&page(&plan, &loaded));
            return ExitCode::Done;
        }
    };
    if let Err(code) = write(&path, &plan, &loaded, terminal) {
        return code;
    }
    if !args.open {
        return ExitCode::Done;
    }
    match world::open_on_desktop(&path) {
        Ok(()) => ExitCode::Done,
        Err(why) => {
            let help = format!("open {} in a browser", path.display());
            fail(
                terminal,
                ExitCode::MissingInput,
                &format!("the page is written, and cannot be opened: {why}"),
                &[help],
            )
        }
    }
}

fn page(plan: &RenderedPlan, loaded: &Loaded) -> String {
    preview::page(plan, &loaded.diagnostics, &loaded.sources)
}

/// Writes the page of a plan and says where it is.
pub(super) fn write(path: &Path, plan: &RenderedPlan, loaded: &Loaded, terminal: &Terminal) -> Result<(), ExitCode> {
    match world::write_page(path, page(plan, loaded).as_bytes()) {
        Ok(()) => {
            terminal.note(&format!("the preview of {} is in {}\n", plan.name, path.display()));
            Ok(())
        }
        Err(error) => {
            let help = "name a file that can be written, such as --out preview.html".to_owned();
            let message = format!("the page cannot be written to {}: {error}", path.display());
            Err(fail(terminal, ExitCode::MissingInput, &message, &[help]))
        }
    }
}
