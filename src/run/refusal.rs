//! Why nothing is run.

use crate::{
    ledger::LedgerError,
    locale::{Phrase, list, say},
    problem::{self, ExitCode, Problem},
};

/// Why nothing is run.
#[derive(Debug)]
pub enum Refusal {
    /// `--only` or `--from` name no step.
    Selection(Problem),
    /// A step needs outputs that nobody has.
    MissingOutputs(Problem),
    /// The plan no longer matches what was sent.
    Changed(Problem),
    /// Nobody knows whether a send was made, and the run cannot find it out.
    InDoubt(Problem),
    /// A guard says no.
    Guard(Problem),
    /// WeChat does not say who the people are or which tags there are, or not such that it can be sent.
    LookUp(Problem),
    /// Somebody asked to stop while WeChat was asked.
    Interrupted(Problem),
    Store(LedgerError),
}

/// Several findings in one sentence.
pub(super) fn in_a_row(findings: impl IntoIterator<Item = Phrase>) -> Phrase {
    findings.into_iter().reduce(|before, after| say!("{before}; {after}", before, after)).unwrap_or_default()
}

/// `call 2`, `calls 2, 3`.
pub(super) fn numbered(calls: &[u32]) -> Phrase {
    match calls {
        [number] => say!("call {number}", number = *number),
        numbers => say!("calls {numbers}", numbers = list(numbers.iter().copied())),
    }
}

/// What a calling script and a person are told of it.
impl From<Refusal> for problem::Refusal {
    fn from(refusal: Refusal) -> Self {
        let (code, problem) = match refusal {
            Refusal::Selection(problem) => (ExitCode::Usage, problem),
            Refusal::MissingOutputs(problem) => (ExitCode::MissingInput, problem),
            Refusal::Changed(problem) => (ExitCode::Conflict, problem),
            Refusal::InDoubt(problem) => (ExitCode::Unknown, problem),
            Refusal::Guard(problem) => (ExitCode::Refused, problem),
            // The report has no step that the reply belongs to.
            Refusal::LookUp(problem) => (ExitCode::Failed, Problem { errcode: None, ..problem }),
            Refusal::Interrupted(problem) => (ExitCode::Interrupted, problem),
            Refusal::Store(error) => return error.into(),
        };
        Self { code, problem }
    }
}

impl From<LedgerError> for Refusal {
    fn from(error: LedgerError) -> Self {
        Self::Store(error)
    }
}

impl From<LedgerError> for problem::Refusal {
    fn from(error: LedgerError) -> Self {
        let help = match &error {
            LedgerError::Stopped { .. } => return Self::new(ExitCode::Interrupted, error.words()),
            LedgerError::Newer { .. } => say!("use a newer qunfa"),
            LedgerError::Damaged { .. } | LedgerError::Unreadable { .. } => {
                say!("restore it from a backup; without it, qunfa cannot know what was sent")
            }
            LedgerError::Conflict { .. } => say!("run it again; the state store knows what was sent"),
            LedgerError::TakenOver { .. } => {
                let help = say!("wait until it ends, then run it again; the state store knows what was sent");
                return Self::new(ExitCode::Conflict, error.words()).help(help);
            }
            LedgerError::Remote { help: Some(help), .. } => help.clone(),
            LedgerError::Remote { .. } => say!("check the server and the network, then run it again"),
            LedgerError::Store { .. } => say!("check the path, its permissions and the free disk space"),
        };
        Self::missing_input(error.words()).help(help)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::store::Owner;

    #[test]
    fn a_server_that_fails_is_told_with_what_to_do() {
        let _heard = crate::locale::tests::heard("run-refusal-a_server_that_fails_is_told_with_what_to_do");
        let path = || "postgresql://u@db/d".to_owned();
        let remote = |help| LedgerError::Remote { path: path(), what: say!("the connection was closed"), help };
        let told = |error: LedgerError| problem::Refusal::from(error);
        let plain = told(remote(None));
        assert_eq!((plain.code, plain.problem.help.len()), (ExitCode::MissingInput, 1));
        assert_eq!(told(remote(Some(say!("use a newer qunfa")))).problem.help[0].to_string(), "use a newer qunfa");
        let taken = told(LedgerError::TakenOver { path: path(), by: None::<Owner> });
        assert_eq!((taken.code, taken.problem.help.len()), (ExitCode::Conflict, 1));
    }

    #[test]
    fn each_failure_of_the_store_says_what_to_do() {
        let _heard = crate::locale::tests::heard("run-refusal-each_failure_of_the_store_says_what_to_do");
        let (path, what) = (|| "state.db".to_owned(), || say!("it is too large"));
        for (error, code) in [
            (LedgerError::Stopped { path: path() }, ExitCode::Interrupted),
            (LedgerError::Newer { path: path(), found: 99, known: 9 }, ExitCode::MissingInput),
            (LedgerError::Damaged { path: path(), what: what() }, ExitCode::MissingInput),
            (LedgerError::Conflict { path: path(), what: what() }, ExitCode::MissingInput),
            (LedgerError::Store { path: path(), what: what(), source: None }, ExitCode::MissingInput),
        ] {
            assert_eq!(problem::Refusal::from(error).code, code);
        }
    }
}
