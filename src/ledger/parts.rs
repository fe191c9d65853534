//! A whole ledger, part after part.

use super::{CallRecord, LedgerError, Observation, RunRecord, Scope};

/// A part of a ledger, as every store has it.
#[derive(Debug)]
pub enum Part {
    Run {
        scope: Scope,
        run: RunRecord,
        /// Outcome and exit code.
        ended: Option<(String, u8)>,
    },
    /// What is kept beside a token, sealed: address, AppID, endpoint, text.
    Kept([String; 4]),
    /// A call with all that happened to it, whole: no body is left out.
    Call { scope: Scope, record: Box<CallRecord> },
    /// What was said about an account apart from its calls.
    Observed { platform: String, appid: String, seen: Observation },
}

/// Takes one part after the other.
pub type Sink<'s> = dyn FnMut(Part) -> Result<(), LedgerError> + 's;
