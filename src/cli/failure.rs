//! Why a command does not end well, as one value: made where it happens, said by `cli::main` and nowhere else.

use serde_json::json;

use super::{
    findings::{self, WrongPlan},
    reports::Reports,
    terminal::Terminal,
};
use crate::{
    ledger::LedgerError,
    locale::say,
    problem::{ExitCode, Problem, Refusal},
    report::Report,
};

pub(super) enum Failure {
    Refused(Refusal),
    Plan(Box<WrongPlan>),
    /// Of several files, in their order; what could be done to the others is done.
    Files(Vec<Failure>),
    Run(Box<RefusedRun>),
    /// A panic.
    Fault,
}

/// Tells somebody else how a run ended.
pub(super) type Tell = Box<dyn FnOnce(&Report, &Terminal)>;

/// A run that is refused has a report all the same: a CI job shows it.
pub(super) struct RefusedRun {
    pub(super) refusal: Refusal,
    pub(super) report: Report,
    pub(super) reports: Reports,
    /// Who is told of it when it was said here.
    pub(super) tell: Tell,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        Self::Refused(error.into())
    }
}

impl Failure {
    fn code(&self) -> ExitCode {
        match self {
            Self::Refused(refusal) => refusal.code,
            Self::Plan(plan) => plan.code,
            Self::Files(files) => files.first().map_or(ExitCode::Internal, Self::code),
            Self::Run(run) => run.refusal.code,
            Self::Fault => ExitCode::Internal,
        }
    }

    /// Says it on standard error; on standard output as a document too, where one is expected.
    pub(super) fn say(self, terminal: &Terminal) -> ExitCode {
        let code = self.code();
        match self {
            // The document of what was found says all that the text would.
            Self::Plan(plan) if terminal.json => {
                findings::document(vec![plan.checked], code, terminal);
                findings::annotate(&plan.annotations, terminal);
            }
            Self::Run(run) => {
                terminal.error(&run.refusal.problem);
                run.reports.publish_refused(&run.report, terminal);
                (run.tell)(&run.report, terminal);
            }
            Self::Fault => {
                let message = say!("this is a bug in qunfa");
                let help = say!("`qunfa status` shows what was sent");
                terminal.err(&format!("{}\n", say!("qunfa: {message}; {help}", message = &message, help = &help)));
                if terminal.json {
                    document(&Problem::new(message).help(help), code, terminal);
                }
            }
            failure => {
                failure.say_as_text(terminal);
                if terminal.json {
                    failure.say_as_document(code, terminal);
                }
            }
        }
        code
    }

    fn say_as_text(&self, terminal: &Terminal) {
        match self {
            Self::Refused(refusal) => terminal.error(&refusal.problem),
            Self::Plan(plan) => plan.say(terminal),
            Self::Files(files) => files.iter().for_each(|failure| failure.say_as_text(terminal)),
            Self::Run(_) | Self::Fault => {}
        }
    }

    /// One document for all files: what was found in them, else what was refused last.
    fn say_as_document(self, code: ExitCode, terminal: &Terminal) {
        let files = match self {
            Self::Files(files) => files,
            one => vec![one],
        };
        let (mut wrong, mut refused) = (Vec::new(), None);
        for failure in files {
            match failure {
                Self::Plan(plan) => wrong.push(plan.checked),
                Self::Refused(refusal) => refused = Some(refusal.problem),
                Self::Files(_) | Self::Run(_) | Self::Fault => {}
            }
        }
        match refused {
            Some(problem) if wrong.is_empty() => document(&problem, code, terminal),
            _ => findings::document(wrong, code, terminal),
        }
    }
}

fn document(problem: &Problem, code: ExitCode, terminal: &Terminal) {
    terminal.document(
        code,
        json!({
            "error": { "message": problem.message, "arguments": problem.message.arguments(), "help": problem.help }
        }),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_ours_is_told_as_one() {
        let _heard = crate::locale::tests::heard("cli-failure-a_fault_of_ours_is_told_as_one");
        let terminal = Terminal::new(anstream::ColorChoice::Never, true, false);
        assert_eq!(Failure::Fault.say(&terminal), ExitCode::Internal);
    }
}
