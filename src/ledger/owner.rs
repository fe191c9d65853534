//! Who has an account.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    pub pid: u32,
    pub host: String,
    pub since: Timestamp,
    /// The path of the plan that it runs.
    pub plan: String,
    /// What it was started as, such as `qunfa run`; empty where an older version wrote it.
    #[serde(default)]
    pub command: String,
}
