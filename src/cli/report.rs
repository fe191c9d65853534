//! `qunfa report`: a report of a past run.

use super::{Common, Format, FormatArg, fail, load::load_or_fail, session, world::Terminal};
use crate::problem::ExitCode;
use crate::{
    ledger::Scope,
    report::{self, Fold, Report},
    run,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The plan
    plan: String,
    /// The run, as reports name it [default: the last one]
    #[arg(long, value_name = "ID", env = "QUNFA_RUN", hide_env_values = true)]
    run: Option<String>,
    /// How it is printed
    #[arg(long, value_name = "FORMAT", default_value = "human", env = "QUNFA_FORMAT", hide_env_values = true, value_parser = ["human", "json", "junit", "markdown", "html"])]
    format: String,
}

impl Args {
    pub(super) fn wants_json(&self) -> bool {
        self.format == "json"
    }
}

pub(super) fn main(args: &Args, common: &Common, terminal: &Terminal) -> ExitCode {
    match print(args, common, terminal) {
        Ok(code) | Err(code) => code,
    }
}

fn print(args: &Args, common: &Common, terminal: &Terminal) -> Result<ExitCode, ExitCode> {
    let base = session::api_base(common, terminal)?;
    let platform = session::platform(&base);
    let format = FormatArg { format: if args.wants_json() { Format::Json } else { Format::Human } };
    let (plan, project) = load_or_fail(&args.plan, common, &format, Some(platform), terminal)?;
    let state = session::state(common, &project, terminal)?;
    let store = state.read().map_err(|error| session::store_failed(&error, terminal))?;
    let runs = match &store {
        Some(store) => store.runs(&plan.appid, &plan.name).map_err(|error| session::store_failed(&error, terminal))?,
        None => Vec::new(),
    };
    let missing =
        |message: String, help: &str| Err(fail(terminal, ExitCode::MissingInput, &message, &[help.to_owned()]));
    let run = match &args.run {
        None => runs.first(),
        Some(id) => runs.iter().find(|run| run.run_id == *id),
    };
    let Some(run) = run else {
        let known: Vec<&str> = runs.iter().take(5).map(|run| run.run_id.as_str()).collect();
        let help = if known.is_empty() {
            "run it first; a --sandbox run keeps no state unless --state names one".to_owned()
        } else {
            format!("the last runs are {}", known.join(", "))
        };
        return missing(format!("no run of `{}` is known", plan.name), &help);
    };
    let format = args.format.parse().unwrap_or(report::Format::Human);
    let found = match (&run.report, &store) {
        (Some(text), _) => serde_json::from_str::<Report>(text).ok(),
        (None, Some(store)) => {
            let scope = Scope {
                platform: run.platform.clone(),
                occurrence: run.occurrence.clone(),
                ..session::scope(&plan, platform)
            };
            let records = store.calls(&scope).map_err(|error| session::store_failed(&error, terminal))?;
            let mut fold = Fold::default();
            run::replay::replay(&plan, run, &records, &mut |event| fold.apply(&event));
            fold.finish()
        }
        (None, None) => None,
    };
    let Some(found) = found else {
        return missing(
            format!("the report of the run {} cannot be read", run.run_id),
            "it was written by another version of qunfa",
        );
    };
    terminal.out(&report::render(&found, format));
    Ok(ExitCode::Done)
}
