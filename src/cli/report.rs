//! `qunfa report`: a report of a past run.

use super::{
    failure::Failure, load::open_session, options::Common, run::with_again, session::Session, stats, subject::Subject,
    terminal::Terminal,
};
use crate::{
    ledger::{Ledger, LedgerError, RunRecord, Scope},
    locale::{list, say},
    problem::{ExitCode, Refusal},
    report::{self, Fold, Report},
    run::{deleted, delivery::join, replay::replay},
    stats::{model::Readers, sent},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The plan
    #[arg(required_unless_present = "fleet")]
    plan: Option<String>,
    /// Id of the run [default: the latest run]
    #[arg(long, value_name = "ID", env = "QUNFA_RUN", hide_env_values = true)]
    run: Option<String>,
    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = "human", env = "QUNFA_FORMAT", hide_env_values = true, value_parser = ["human", "json", "junit", "markdown", "html"])]
    format: String,
}

impl Args {
    pub(super) fn wants_json(&self) -> bool {
        self.format == "json"
    }
}

pub(super) fn main(args: &Args, common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let subject = Subject::one(args.plan.as_deref(), common, terminal)?;
    let session = open_session(subject.target(), common, terminal)?;
    let plan = &session.plan;
    let Some(ledger) = session.store.read()? else { return Err(no_run(&plan.name, &[]).into()) };
    let runs = ledger.runs(&plan.appid, &plan.name)?;
    let run = match &args.run {
        None => runs.first(),
        Some(id) => runs.iter().find(|run| run.run_id == *id),
    };
    let run = run.ok_or_else(|| no_run(&plan.name, &runs))?;
    let mut report = report_of(run, &session, &*ledger)?.ok_or_else(|| {
        Refusal::missing_input(say!("the report of the run {id} cannot be read", id = &run.run_id))
            .help(say!("it was written by a different version of qunfa"))
    })?;
    join(&mut report, &*ledger)?;
    report.readers = readers_of(run, &session, &*ledger)?;
    let format = args.format.parse().unwrap_or(report::Format::Human);
    let text = report::render(&report, format);
    match format {
        report::Format::Human => terminal.out_in_colour(&text),
        report::Format::Json => terminal.out_json(&text),
        // They escape in their own way.
        report::Format::Junit | report::Format::Markdown | report::Format::Html => terminal.exactly(&text),
    }
    Ok(ExitCode::Done)
}

/// Readers of the edition, whichever of its runs is looked at; none if nobody has asked for them.
fn readers_of(run: &RunRecord, session: &Session, ledger: &dyn Ledger) -> Result<Option<Readers>, LedgerError> {
    let scope = Scope { platform: run.platform, occurrence: run.occurrence.clone(), ..session.scope.clone() };
    let readers = stats::readers(ledger, &scope, &sent(&ledger.calls(&scope)?))?;
    Ok(Some(readers).filter(|readers| !readers.articles.is_empty()))
}

fn no_run(plan: &str, runs: &[RunRecord]) -> Refusal {
    let known: Vec<&str> = runs.iter().take(5).map(|run| run.run_id.as_str()).collect();
    let help = if known.is_empty() {
        say!("run the plan first; `--sandbox` keeps no state unless you pass --state")
    } else {
        say!("the last runs are {runs}", runs = list(known))
    };
    Refusal::missing_input(say!("no runs of `{plan}` found", plan)).help(help)
}

/// As it was kept, or of a run that did not end as what the ledger has of it; none if it cannot be read.
fn report_of(run: &RunRecord, session: &Session, ledger: &dyn Ledger) -> Result<Option<Report>, LedgerError> {
    let scope = Scope { platform: run.platform, occurrence: run.occurrence.clone(), ..session.scope.clone() };
    let records = ledger.calls(&scope)?;
    if let Some(text) = &run.report {
        let report: Option<Report> = serde_json::from_str(text).ok();
        // What a person has taken back since is part of what became of it.
        return Ok(report.map(|mut report| {
            report.steps.extend(deleted::steps(&records));
            report
        }));
    }
    let mut fold = Fold::default();
    replay(&session.plan, run, &records, &mut |event| fold.apply(&event));
    Ok(fold.finish().map(with_again))
}
