//! Where the accounts of a fleet stand, by the ledger that their runs share; and whether an account may begin. Pure.

use std::collections::HashMap;

use super::{Fleet, Member};
use crate::{ledger::AccountRun, report::fleet::Standing};

/// Where an account stands. `held`: whether a run of it is in progress.
pub fn standing(account: Option<&AccountRun>, held: bool) -> Standing {
    let Some(account) = account else { return Standing::NotBegun };
    let ended = account.run.as_ref().map(|run| run.ended.as_ref().map(|(_, code)| *code));
    match ended {
        Some(None) if held => Standing::Running,
        _ if account.in_doubt > 0 => Standing::Unknown,
        Some(Some(0)) => Standing::Succeeded,
        // A guard ended it before anything was sent.
        Some(Some(9)) | None if account.accepted == 0 => Standing::NotBegun,
        Some(_) | None => Standing::Failed,
    }
}

/// Why an account may not begin.
#[derive(Debug, PartialEq, Eq)]
pub enum HeldBack<'f> {
    /// Accounts of earlier waves have not succeeded.
    Waves(Vec<&'f str>),
    /// Too many accounts failed or are unknown.
    Stopped(Vec<&'f str>),
}

impl Fleet {
    /// Whether there is anything to wait for.
    pub fn is_guarded(&self) -> bool {
        self.waves > 1 || self.stop.is_some()
    }

    /// Why an account may not begin; one that has begun may always go on. `standings` are by AppID.
    pub fn held_back(&self, member: &Member, standings: &HashMap<String, Standing>) -> Option<HeldBack<'_>> {
        let of = |member: &Member| standings.get(&member.appid).copied().unwrap_or(Standing::NotBegun);
        if of(member) != Standing::NotBegun {
            return None;
        }
        let names = |found: &dyn Fn(&Member) -> bool| -> Vec<&str> {
            self.members.iter().filter(|other| found(other)).map(|other| other.name.as_str()).collect()
        };
        let failed = names(&|other| of(other).is_bad());
        if self.stop.is_some_and(|most| failed.len() >= most) {
            return Some(HeldBack::Stopped(failed));
        }
        let waiting = names(&|other| other.wave < member.wave && of(other) != Standing::Succeeded);
        (!waiting.is_empty()).then_some(HeldBack::Waves(waiting))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::LastRun;

    fn account(ended: Option<Option<u8>>, accepted: u64, in_doubt: u64) -> AccountRun {
        let run = ended.map(|code| LastRun {
            run_id: String::new(),
            path: String::new(),
            digest: String::new(),
            started_at: jiff::Timestamp::UNIX_EPOCH,
            ended: code.map(|code| (String::new(), code)),
        });
        AccountRun { run, accepted, in_doubt, ..AccountRun::new("wx".into()) }
    }

    #[test]
    fn an_account_stands_where_its_last_run_and_its_calls_say() {
        let of = |ended, accepted, in_doubt, held| standing(Some(&account(ended, accepted, in_doubt)), held);
        assert_eq!(standing(None, true), Standing::NotBegun);
        assert_eq!(of(None, 0, 0, false), Standing::NotBegun);
        assert_eq!(of(Some(None), 1, 1, true), Standing::Running);
        assert_eq!(of(Some(None), 1, 1, false), Standing::Unknown, "it was killed in a call");
        assert_eq!(of(Some(None), 1, 0, false), Standing::Failed, "it was killed between two");
        assert_eq!(of(Some(Some(0)), 2, 0, false), Standing::Succeeded);
        assert_eq!(of(Some(Some(7)), 1, 1, false), Standing::Unknown);
        assert_eq!(of(Some(Some(7)), 2, 0, false), Standing::Failed, "it was settled, and is to be run again");
        assert_eq!(of(Some(Some(9)), 0, 0, false), Standing::NotBegun, "what was refused leaves no failure");
        assert_eq!(of(Some(Some(9)), 1, 0, false), Standing::Failed);
        assert_eq!(of(Some(Some(5)), 0, 0, false), Standing::Failed);
    }
}
