//! `qunfa fleet status`: where the accounts of a fleet stand, by the state store that their runs share.

use super::super::{
    failure::Failure,
    load::load,
    options::Common,
    session::{Address, Session},
    standings::Known,
    subject,
    target::OpenFleet,
    terminal::Terminal,
};
use crate::{
    fleet::Member,
    problem::ExitCode,
    report::{
        Format,
        fleet::{AccountReport, FLEET_SCHEMA, FleetReport, Standing, Standings, render},
    },
    run,
    text::quoted,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The fleet
    #[arg(value_name = "FLEET")]
    path: String,
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
    let fleet = subject::open(&args.path, terminal)?;
    let session = session(&fleet, common, terminal)?;
    let ledger = session.store.read()?;
    let known = Known::ask(ledger.as_deref(), &session)?;
    let members = fleet.fleet.chosen(&[], None);
    let accounts: Vec<AccountReport> =
        members.into_iter().map(|member| account(member, &fleet, &known, common)).collect();
    let code = FleetReport::code(&accounts);
    let report = FleetReport {
        schema: FLEET_SCHEMA,
        exit_code: code as u8,
        fleet: fleet.path.clone(),
        plan: session.scope.plan.clone(),
        occurrence: session.scope.occurrence.clone(),
        platform: session.scope.platform.name().to_owned(),
        totals: Standings::of(&accounts),
        accounts,
    };
    let format = args.format.parse().unwrap_or(Format::Human);
    let text = render(&report, format);
    match format {
        Format::Human => terminal.out_in_colour(&text),
        Format::Json => terminal.out_json(&text),
        Format::Junit | Format::Markdown | Format::Html => terminal.exactly(&text),
    }
    Ok(code)
}

/// That of the first account whose plan is right: plan and edition are the same for all.
fn session(fleet: &OpenFleet, common: &Common, terminal: &Terminal) -> Result<Session, Failure> {
    let address = Address::of(common)?;
    let mut wrong = None;
    for member in &fleet.fleet.members {
        let target = fleet.target(member);
        let mut loaded = load(target, common, None, terminal);
        if let Some(plan) = loaded.plan.take() {
            return Ok(Session::new(target.path, plan, loaded.project, address, common, terminal)?);
        }
        wrong = wrong.or_else(|| Some(loaded.refuse(&target.shown(), None)));
    }
    Err(wrong.expect("a fleet has an account"))
}

fn account(member: &Member, fleet: &OpenFleet, known: &Known, common: &Common) -> AccountReport {
    let found = known.accounts.get(&member.appid);
    let standing = known.standings.get(&member.appid).copied().unwrap_or(Standing::NotBegun);
    let run = found.and_then(|account| account.run.as_ref());
    let code = run.and_then(|run| run.ended.as_ref()).map(|(_, code)| *code);
    let (again, again_reason) = run::again_of(standing, code);
    let command = |name: &str, more: &[&str]| {
        let words = ["--fleet", &fleet.path, "--account", &member.name].into_iter().chain(more.iter().copied());
        let words = words.chain(common.given.iter().map(String::as_str));
        words.fold(format!("qunfa {name}"), |line, word| line + " " + &quoted(word))
    };
    let commands = match standing {
        Standing::Unknown => vec![command("run", &["--yes"]), command("status", &[])],
        Standing::Failed => vec![command("report", &[]), command("run", &["--yes"])],
        Standing::Succeeded | Standing::NotBegun | Standing::Running => Vec::new(),
    };
    AccountReport {
        name: member.name.clone(),
        appid: member.appid.clone(),
        wave: member.wave,
        standing,
        run_id: run.map(|run| run.run_id.clone()),
        started_at: run.map(|run| run.started_at),
        exit_code: code,
        accepted: found.map_or(0, |account| account.accepted),
        in_doubt: found.map_or(0, |account| account.in_doubt),
        open: found.map_or(0, |account| account.open),
        again,
        again_reason,
        commands,
    }
}
