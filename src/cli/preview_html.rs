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
    locale::{Phrase, say},
    page::preview,
    problem::{ExitCode, Refusal},
    render::RenderedPlan,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The plan; `-` reads standard input
    plan: String,
    /// Writes the page to this file instead of standard output
    #[arg(long, value_name = "FILE", env = "QUNFA_OUT", hide_env_values = true)]
    out: Option<PathBuf>,
    /// Opens the page in a browser; without --out, writes it to the project's .qunfa folder
    #[arg(long, env = "QUNFA_OPEN", hide_env_values = true, value_parser = FalseyValueParser::new())]
    open: bool,
}

pub(super) fn main(args: &Args, common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let (plan, loaded) = load_plan(args.plan.as_str(), common, None, Strict::default(), terminal)?;
    let path = match &args.out {
        Some(path) => path.clone(),
        None if args.open => loaded.project.root().join(".qunfa").join(format!("preview-{}.html", plan.name)),
        None => {
            terminal.exactly(&page(&plan, &loaded, terminal));
            return Ok(ExitCode::Done);
        }
    };
    write(&path, &plan, &loaded, terminal)?;
    terminal.note(&format!("{}\n", written(&path, &plan)));
    if args.open {
        browser::open_on_desktop(&path).map_err(|why| {
            Refusal::missing_input(say!("the page was written but cannot be opened: {why}", why))
                .help(say!("open {path} in a browser", path = path.display().to_string()))
        })?;
    }
    Ok(ExitCode::Done)
}

fn page(plan: &RenderedPlan, loaded: &Loaded, terminal: &Terminal) -> String {
    let _watch = loaded.watch(plan, terminal);
    preview::page(plan, &loaded.diagnostics, &loaded.sources)
}

pub(super) fn write(path: &Path, plan: &RenderedPlan, loaded: &Loaded, terminal: &Terminal) -> Result<(), Refusal> {
    files::write_page(path, page(plan, loaded, terminal).as_bytes()).map_err(|error| {
        Refusal::missing_input(say!(
            "cannot write the page to {path}: {why}",
            path = path.display().to_string(),
            why = error
        ))
        .help(say!("choose a writable file, such as --out preview.html"))
    })
}

/// Where the page is.
pub(super) fn written(path: &Path, plan: &RenderedPlan) -> Phrase {
    say!("wrote the preview of {plan} to {path}", plan = &plan.name, path = path.display().to_string())
}
