//! `qunfa preview-html`: the messages of a plan as phones will show them, as one page.

use std::path::{Path, PathBuf};

use clap::builder::FalseyValueParser;

use super::{
    browser,
    failure::Failure,
    files,
    load::{Loaded, Strict, load_plan},
    options::Common,
    terminal::Terminal,
};
use crate::{
    page::preview,
    problem::{ExitCode, Refusal},
    render::RenderedPlan,
};

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

pub(super) fn main(args: &Args, common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let (plan, loaded) = load_plan(&args.plan, common, None, Strict::default(), terminal)?;
    let path = match &args.out {
        Some(path) => path.clone(),
        None if args.open => loaded.project.root().join(".qunfa").join(format!("preview-{}.html", plan.name)),
        None => {
            terminal.exactly(&page(&plan, &loaded));
            return Ok(ExitCode::Done);
        }
    };
    write(&path, &plan, &loaded)?;
    terminal.note(&written(&path, &plan));
    if args.open {
        browser::open_on_desktop(&path).map_err(|why| {
            Refusal::missing_input(format!("the page is written, and cannot be opened: {why}"))
                .help(format!("open {} in a browser", path.display()))
        })?;
    }
    Ok(ExitCode::Done)
}

fn page(plan: &RenderedPlan, loaded: &Loaded) -> String {
    preview::page(plan, &loaded.diagnostics, &loaded.sources)
}

pub(super) fn write(path: &Path, plan: &RenderedPlan, loaded: &Loaded) -> Result<(), Refusal> {
    files::write_page(path, page(plan, loaded).as_bytes()).map_err(|error| {
        Refusal::missing_input(format!("the page cannot be written to {}: {error}", path.display()))
            .help("name a file that can be written, such as --out preview.html")
    })
}

/// Where the page is.
pub(super) fn written(path: &Path, plan: &RenderedPlan) -> String {
    format!("the preview of {} is in {}\n", plan.name, path.display())
}
