//! `qunfa fleet`: what concerns all accounts of a fleet at once.

use clap::Subcommand;

use super::{failure::Failure, options::Common, terminal::Terminal};
use crate::problem::ExitCode;

mod check;
mod list;
mod status;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Checks a fleet and the plan of each account; prints what they send, and one digest
    Check(check::Args),
    /// Lists the accounts, or shards of them, for an engine that runs them
    List(list::Args),
    /// Shows where each account stands: succeeded, failed, unknown, running or not begun
    Status(status::Args),
}

impl Args {
    /// Whether one JSON document is expected on standard output.
    pub(super) fn wants_json(&self) -> bool {
        match &self.action {
            Action::Check(args) => args.wants_json(),
            Action::List(args) => args.wants_json(),
            Action::Status(args) => args.wants_json(),
        }
    }
}

pub(super) fn main(args: &Args, common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    match &args.action {
        Action::Check(args) => check::main(args, common, terminal),
        Action::List(args) => list::main(args, common, terminal),
        Action::Status(args) => status::main(args, common, terminal),
    }
}
