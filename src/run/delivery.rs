//! What became of jobs, by the events that the ledger kept: whichever plan or edition they are of.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    events::{self, Detail, model::MassResult},
    ledger::{Ledger, LedgerError, Observation},
    report::{Delivery, Report, StepReport},
};

/// What the ledger has of these jobs. Of several events of a job the last counts.
fn of_jobs(
    ledger: &dyn Ledger,
    platform: &str,
    appid: &str,
    jobs: &[u64],
) -> Result<Vec<(MassResult, Observation)>, LedgerError> {
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    let subjects: Vec<String> = jobs.iter().map(u64::to_string).collect();
    let mut known: BTreeMap<u64, (MassResult, Observation)> = BTreeMap::new();
    for seen in ledger.observations(platform, appid, events::MASS, Some(&subjects))? {
        if let Some(Detail::Mass(mass)) = events::kept(&seen.body) {
            known.insert(mass.msg_id, (mass, seen));
        }
    }
    Ok(jobs.iter().filter_map(|job| known.remove(job)).collect())
}

/// What the ledger has of one job.
pub(super) fn of_job(
    ledger: &dyn Ledger,
    platform: &str,
    appid: &str,
    job: u64,
) -> Result<Option<MassResult>, LedgerError> {
    Ok(of_jobs(ledger, platform, appid, &[job])?.pop().map(|(mass, _)| mass))
}

/// What became of jobs, in this order; those of which nothing was received are left out.
pub(crate) fn deliveries(
    ledger: &dyn Ledger,
    platform: &str,
    appid: &str,
    jobs: &[u64],
) -> Result<Vec<Delivery>, LedgerError> {
    let known = of_jobs(ledger, platform, appid, jobs)?;
    Ok(known.iter().map(|(mass, seen)| Delivery::new(mass, seen.at)).collect())
}

/// Puts into a report what became of its jobs, also what came after the run.
pub(crate) fn join(report: &mut Report, ledger: &dyn Ledger) -> Result<(), LedgerError> {
    let (platform, appid) = (report.platform.clone(), report.account.appid.clone());
    for step in &mut report.steps {
        step.delivery = deliveries(ledger, &platform, &appid, &jobs(step))?;
    }
    Ok(())
}

/// The jobs of a send: of this run's calls, and of those before.
fn jobs(step: &StepReport) -> Vec<u64> {
    let given = |name: &str| step.outputs.get(name);
    let listed = given("msg_ids").and_then(Value::as_array).into_iter().flatten().chain(given("msg_id"));
    let called = step.calls.iter().filter_map(|call| call.msg_id.filter(|_| call.clientmsgid.is_some()));
    let mut jobs: Vec<u64> = Vec::new();
    for job in listed.filter_map(Value::as_u64).chain(called) {
        if !jobs.contains(&job) {
            jobs.push(job);
        }
    }
    jobs
}
