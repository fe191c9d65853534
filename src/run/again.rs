//! Whether running the same command again helps, for engines that repeat what failed. Repeating sends nothing twice; the
//! question is whether it can end in another way.

use crate::{
    locale::{Phrase, say},
    report::{Again, fleet::Standing},
    wechat::errcode::{self, Disposition},
};

/// By the exit code of a run, and WeChat's error code if one decided it.
pub(crate) fn again(code: u8, errcode: Option<i64>) -> (Again, Phrase) {
    match code {
        0 => (Again::Never, say!("everything is done")),
        2 => (Again::Never, say!("the command itself is wrong")),
        3 => (Again::Never, say!("the plan must be mended first")),
        4 => (Again::Later, say!("an input or the state store was not usable")),
        5 | 6 => failed(errcode),
        7 => {
            (Again::Later, say!("the outcome of a send is unknown: a run within 24 hours settles it, or do it by hand"))
        }
        8 => (Again::Later, say!("another run was in progress, or the plan does not match what was sent")),
        9 => (Again::Never, say!("a guard, the forecast or the approval refused it")),
        130 => (Again::Now, say!("the run was interrupted and continues where it stopped")),
        _ => (Again::Later, say!("qunfa itself failed, or a result could not be written")),
    }
}

/// Of a run that failed.
fn failed(errcode: Option<i64>) -> (Again, Phrase) {
    let Some(code) = errcode else {
        return (Again::Now, say!("a call failed; the run continues where it stopped"));
    };
    match errcode::disposition(code) {
        Disposition::Retry => (Again::Now, say!("WeChat was busy; the run continues where it stopped")),
        Disposition::WaitQuota => (Again::Later, say!("a quota of WeChat is used up")),
        Disposition::FixPlan => (Again::Never, say!("the plan must be mended first")),
        _ => (Again::Later, say!("WeChat refused it: somebody must act first")),
    }
}

/// By where an account of a fleet stands, and the exit code of its last run.
pub(crate) fn again_of(standing: Standing, code: Option<u8>) -> (Again, Phrase) {
    match (standing, code) {
        (Standing::Succeeded, _) => again(0, None),
        (Standing::NotBegun, _) => (Again::Now, say!("it has not begun")),
        (Standing::Running, _) => (Again::Later, say!("the run is still in progress")),
        (Standing::Unknown, _) => again(7, None),
        (Standing::Failed, None) => (Again::Now, say!("the run did not end and continues where it stopped")),
        (Standing::Failed, Some(7)) => (Again::Now, say!("it was settled; the run continues where it stopped")),
        // Why it failed is in its report, which is not read for a thousand accounts.
        (Standing::Failed, Some(5 | 6)) => (Again::Later, say!("a step failed; its report says why")),
        (Standing::Failed, Some(code)) => again(code, None),
    }
}

/// A run of a fleet that waits for other accounts.
pub(crate) fn held_back() -> (Again, Phrase) {
    (Again::Later, say!("other accounts of the fleet come first"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_has_its_reason() {
        use crate::locale::tests::{BOTH, speaking};
        for (language, suffix) in BOTH {
            let mut all = String::new();
            let mut tell = |what: &str, (again, why): (Again, Phrase)| all += &format!("{what}: {again:?}: {why}\n");
            speaking(language, || {
                for code in [0, 1, 2, 3, 4, 5, 7, 8, 9, 130] {
                    tell(&code.to_string(), again(code, None));
                }
                for errcode in [-1, 45028, 48001, 40009] {
                    tell(&format!("5 {errcode}"), again(5, Some(errcode)));
                }
                tell("held back", held_back());
                for standing in Standing::ALL {
                    tell(standing.word(), again_of(standing, None));
                }
                tell("settled", again_of(Standing::Failed, Some(7)));
                tell("failed 6", again_of(Standing::Failed, Some(6)));
            });
            insta::assert_snapshot!(format!("again{suffix}"), all);
        }
    }

    #[test]
    fn only_what_can_end_in_another_way_is_repeated() {
        let of = |code, errcode| again(code, errcode).0;
        for (code, wanted) in [
            (0, Again::Never),
            (2, Again::Never),
            (3, Again::Never),
            (9, Again::Never),
            (4, Again::Later),
            (7, Again::Later),
            (8, Again::Later),
            (1, Again::Later),
            (130, Again::Now),
            (5, Again::Now),
        ] {
            assert_eq!(of(code, None), wanted, "{code}");
        }
        assert_eq!((of(6, Some(-1)), of(5, Some(45028)), of(5, Some(48001))), (Again::Now, Again::Later, Again::Later));
    }
}
