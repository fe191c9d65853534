//! `qunfa state`: the store itself, whichever plans it is of.

use std::path::Path;

use clap::Subcommand;
use serde_json::json;

use super::{
    clock::RealClock,
    failure::Failure,
    options::{Common, Format, FormatArg},
    place, process,
    project::DiskProject,
    session,
    terminal::Terminal,
};
use crate::{
    clock::Clock as _,
    ledger::{
        copy,
        store::{Owner, Store, WriteError},
    },
    locale::{Argument, Count, list, say},
    problem::{ExitCode, Refusal},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Creates the state store, or upgrades it to the format of this version; on a server, run it as the owner
    Migrate(Plain),
    /// Prints the SQL statements that give a role of the server the rights of a run, and no others
    Grants(Grants),
    /// Copies everything into an empty state store, which is used from then on
    Copy(Copy),
    /// Reads everything and compares it with its hashes
    Check(Plain),
}

#[derive(Debug, clap::Args)]
struct Plain {
    #[command(flatten)]
    format: FormatArg,
}

#[derive(Debug, clap::Args)]
struct Grants {
    /// The role that runs plans
    #[arg(long, value_name = "NAME", env = "QUNFA_ROLE", hide_env_values = true)]
    role: String,
    /// Only the rights to read: for status, report and audience
    #[arg(long, env = "QUNFA_READ_ONLY", hide_env_values = true, value_parser = clap::builder::FalseyValueParser::new())]
    read_only: bool,
}

#[derive(Debug, clap::Args)]
struct Copy {
    /// The store that is copied: sqlite:PATH or postgresql://...
    from: String,
    /// The empty store that takes everything
    to: String,
    #[command(flatten)]
    format: FormatArg,
}

impl Args {
    pub(super) fn wants_json(&self) -> bool {
        match &self.action {
            Action::Migrate(Plain { format }) | Action::Check(Plain { format }) | Action::Copy(Copy { format, .. }) => {
                format.format == Format::Json
            }
            Action::Grants(_) => false,
        }
    }
}

pub(super) fn main(args: &Args, common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    match &args.action {
        Action::Migrate(Plain { format }) => migrate(&*of(common)?, format.format, terminal),
        Action::Check(Plain { format }) => check(&*of(common)?, format.format, terminal),
        Action::Copy(args) => copy_all(args, terminal),
        Action::Grants(args) => grants(&*of(common)?, args, terminal),
    }
}

/// The store that is named, or the one of the project here.
fn of(common: &Common) -> Result<Box<dyn Store>, Refusal> {
    place::of_project(common, &DiskProject::new(Path::new(".")))
}

fn migrate(store: &dyn Store, format: Format, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let done = store.migrate()?;
    let name = store.name();
    if format == Format::Json {
        terminal.document(ExitCode::Done, json!({ "store": name, "changed": done }));
        return Ok(ExitCode::Done);
    }
    let told = match done {
        true => say!("the state store {name} has the format of this version now", name),
        false => say!("the state store {name} had the format of this version already", name),
    };
    terminal.out(&format!("{told}\n"));
    Ok(ExitCode::Done)
}

fn check(store: &dyn Store, format: Format, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let name = store.name();
    let missing = || Refusal::missing_input(say!("there is no state store {name}", name = name.as_str()));
    let health = store.examine()?.ok_or_else(missing)?;
    if let Some(what) = health.damage.into_iter().next() {
        let message = say!("the state store {path} is damaged: {what}", path = name, what);
        let help = say!("restore it from a backup; without it, qunfa cannot know what was sent");
        return Err(Refusal::missing_input(message).help(help).into());
    }
    let counts = copy::check(store).map_err(|error| refusal(error, &name))?;
    for warning in &health.warnings {
        terminal.err(&format!("{}\n", say!("warning: {message}", message = warning.message.clone())));
    }
    if format == Format::Json {
        let members = json!({
            "store": name, "format": health.format, "runs": counts.runs, "calls": counts.calls, "events": counts.events,
        });
        terminal.document(ExitCode::Done, members);
        return Ok(ExitCode::Done);
    }
    let told = say!(
        "the state store {name} is intact (format {format}): {counts}",
        name,
        format = health.format,
        counts = counted(counts)
    );
    terminal.out(&format!("{told}\n"));
    Ok(ExitCode::Done)
}

fn copy_all(args: &Copy, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let named = |name: &String| place::named_by(name).map_err(Refusal::usage);
    let (from, to) = (named(&args.from)?, named(&args.to)?);
    if from.name() == to.name() {
        return Err(Refusal::usage(say!("both are the state store {name}", name = from.name())).into());
    }
    if from.read()?.is_none() {
        return Err(Refusal::missing_input(say!("there is no state store {name}", name = from.name())).into());
    }
    process::catch_signals();
    let (host, pid) = process::identity();
    let owner =
        Owner { pid, host, since: RealClock::default().now(), plan: String::new(), command: process::command() };
    let counts = copy::copy(&*from, &*to, &owner).map_err(|error| refusal(error, &from.name()))?;
    let (from, to) = (from.name(), to.name());
    if args.format.format == Format::Json {
        let members =
            json!({ "from": from, "to": to, "runs": counts.runs, "calls": counts.calls, "events": counts.events });
        terminal.document(ExitCode::Done, members);
        return Ok(ExitCode::Done);
    }
    let told = say!("copied {counts} from {from} to {to}", counts = counted(counts), from, to = to.as_str());
    let state = place::named(&to);
    let next = say!("from now on, run plans with --state {state}, on every machine", state);
    terminal.out(&format!("{told}\n{next}\n"));
    Ok(ExitCode::Done)
}

fn grants(store: &dyn Store, args: &Grants, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let none = || {
        Refusal::usage(say!("the state store {name} is a file: who may write it may run plans", name = store.name()))
            .help(say!("name a server: --state postgresql://USER@HOST/DATABASE"))
    };
    terminal.out(&store.grants(&args.role, args.read_only).ok_or_else(none)?);
    Ok(ExitCode::Done)
}

fn counted(counts: copy::Counts) -> Argument {
    let copy::Counts { runs, calls, events } = counts;
    let runs = say!("{count} run" | "{count} runs", count = Count(runs));
    let calls = say!("{count} call" | "{count} calls", count = Count(calls));
    let events = say!("{count} event" | "{count} events", count = Count(events));
    list([runs, calls, events])
}

/// Why a store cannot be had for oneself, or is not one that can be filled.
fn refusal(error: WriteError, name: &str) -> Refusal {
    match error {
        WriteError::Held(owner) => {
            let who = owner.as_ref().map_or_else(|| say!("an unidentified process"), session::holder);
            Refusal::new(ExitCode::Conflict, say!("the state store {name} is in use: {who}", name, who))
                .help(say!("wait until it ends; the lock is released with its process"))
        }
        WriteError::Filled { .. } => Refusal::new(ExitCode::Conflict, error.words())
            .help(say!("a second copy would hide what was sent meanwhile; name a store that does not exist yet")),
        WriteError::Ledger(error) => error.into(),
        error => Refusal::new(ExitCode::Conflict, error.words()),
    }
}
