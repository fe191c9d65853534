//! What a call's outcome asks for: pure. Again, resend, stop, pace.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::{
    ledger::EventKind,
    limits,
    payload::Effect,
    problem::Problem,
    wechat::{
        client::Outcome,
        errcode::{self, Disposition},
        token::TokenError,
    },
};

/// What follows from one attempt.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Next {
    Done,
    /// Nothing happened, surely: the identical call may be made again after a pause.
    Again,
    /// It may have been carried out: a send is repeated with the same key after `resend_after` only.
    Doubt,
    /// WeChat said no for good.
    Fail {
        /// Whether the run stops whatever the step says.
        stop: bool,
    },
}

/// The event to record, and what follows.
pub(crate) fn judge(effect: Effect, outcome: &Outcome) -> (EventKind, Next) {
    let reply = match outcome {
        Outcome::Reply(reply) => reply,
        Outcome::NotSent(_) => return (EventKind::NotSent, Next::Again),
        Outcome::Unknown(_) => {
            return (EventKind::Unknown, if effect == Effect::Mass { Next::Doubt } else { Next::Again });
        }
        Outcome::NoToken(_) | Outcome::Withheld => return (EventKind::NotSent, Next::Fail { stop: true }),
    };
    match errcode::disposition(reply.errcode) {
        // Answers that only carry values need no errcode; that something was done must be said.
        Disposition::Done if !matches!(effect, Effect::Read | Effect::Media) && !reply.is_explicit() => {
            (EventKind::Unknown, if effect == Effect::Mass { Next::Doubt } else { Next::Again })
        }
        Disposition::Done => (EventKind::Accepted, Next::Done),
        Disposition::Duplicate if effect == Effect::Mass => (EventKind::Adopted, Next::Done),
        Disposition::Duplicate => (EventKind::Refused, Next::Fail { stop: false }),
        // Too fast: WeChat says that it did not take the call.
        Disposition::Retry if matches!(reply.errcode, 42010 | 45011 | 46007) || effect != Effect::Mass => {
            (EventKind::Refused, Next::Again)
        }
        // -1, 268488001, 45066, 89504: the send may be there, or be made later.
        Disposition::Retry => (EventKind::Unknown, Next::Doubt),
        Disposition::FixPlan => (EventKind::Refused, Next::Fail { stop: false }),
        Disposition::WaitQuota | Disposition::Fatal | Disposition::RefreshToken => {
            (EventKind::Refused, Next::Fail { stop: true })
        }
    }
}

/// Whether the pause before the next attempt must be a minute against WeChat, whatever the plan says.
pub(crate) fn is_rate_limit(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Reply(reply) if matches!(reply.errcode, 42010 | 45011))
}

/// Whether, and when, a send in doubt may be repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Resend {
    After(Duration),
    /// Never: why, in words.
    Never(String),
}

/// WeChat forgets a `clientmsgid` after 24 hours: from then on a repetition would be a second send.
pub(crate) fn resend(
    now: Timestamp,
    first: Timestamp,
    last: Timestamp,
    resend_after: Duration,
    timeout: Duration,
) -> Resend {
    let after = |from: Timestamp, duration: Duration| {
        from.saturating_add(SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)).unwrap_or(Timestamp::MAX)
    };
    if now < last {
        return Resend::Never(
            "the clock of this machine stands before the last attempt, so nobody can say whether 24 hours have passed"
                .into(),
        );
    }
    let begins = after(last, resend_after).max(now);
    // The repetition itself takes time, and clocks differ.
    if after(begins, timeout + limits::CLIENTMSGID_MARGIN) >= after(first, limits::CLIENTMSGID_MEMORY) {
        return Resend::Never(
            "the first attempt is (almost) 24 hours ago: WeChat no longer remembers it, and repeating could send twice"
                .into(),
        );
    }
    Resend::After(begins.duration_since(now).unsigned_abs())
}

/// In it `per_minute` mass calls may be made.
pub(super) const WINDOW: SignedDuration = SignedDuration::from_secs(limits::MASS_CALLS_WINDOW.as_secs() as i64);

/// The pause before the next mass call: at most `per_minute` in any window.
pub(crate) fn pace(now: Timestamp, recent: &[Timestamp], per_minute: u32) -> Duration {
    let window: Vec<&Timestamp> = recent.iter().filter(|at| now.duration_since(**at) < WINDOW && **at <= now).collect();
    let allowed = per_minute.max(1) as usize;
    match window.len().checked_sub(allowed).and_then(|over| window.get(over)) {
        Some(oldest) => (WINDOW - now.duration_since(**oldest)).unsigned_abs(),
        None => Duration::ZERO,
    }
}

/// Why a call was not made that would have carried a secret.
pub(crate) const WITHHELD: &str = "what was to be sent holds a secret of this account; the call was not made";

/// What to do about a code, and about a missing token.
pub(crate) fn advice(outcome: &Outcome) -> Problem {
    match outcome {
        Outcome::Reply(reply) if reply.errcode == 0 => Problem::new("the answer says neither an errcode nor a job"),
        Outcome::Reply(reply) => refusal(reply.errcode, &reply.errmsg),
        Outcome::NotSent(why) => Problem::new(format!("WeChat cannot be reached: {why}"))
            .help("check the network, a proxy (HTTPS_PROXY) and --api-base; nothing left this machine"),
        Outcome::Unknown(why) => Problem::new(format!("no answer that says what happened: {why}")),
        Outcome::NoToken(error) => token_advice(error),
        Outcome::Withheld => Problem::new(WITHHELD)
            .help("the AppSecret or the access token stands in a text, a name or a file of the plan: take it out, and reset it in the console if others saw it"),
    }
}

/// Why there is no token, and what to do.
pub(crate) fn token_advice(error: &TokenError) -> Problem {
    match error {
        TokenError::Refused { errcode: 40001, errmsg } => {
            let message = format!("WeChat gives no access token: 40001 {}", errcode::strip(errmsg));
            Problem::new(message).help("the AppSecret is wrong: compare it with the console").errcode(40001)
        }
        TokenError::Refused { errcode, errmsg } => {
            let problem = refusal(*errcode, errmsg);
            Problem { message: format!("no access token: {}", problem.message), ..problem }
        }
        TokenError::Unreachable(_) => {
            Problem::new(error.to_string()).help("check the network, a proxy (HTTPS_PROXY) and --api-base")
        }
        TokenError::Source(_) | TokenError::Interrupted => Problem::new(error.to_string()),
    }
}

fn refusal(code: i64, errmsg: &str) -> Problem {
    let words = errcode::strip(errmsg);
    let Some(row) = errcode::lookup(code) else {
        return Problem::new(format!("WeChat refused with an unknown code: {code} {words}"))
            .help("look the code up in WeChat's list; the run stops, for nobody knows what it asks for")
            .errcode(code);
    };
    let words = if words.is_empty() { row.errmsg } else { words };
    let problem = Problem::new(format!("{} ({code} {words})", row.meaning_en)).errcode(code);
    match errcode::ip_in(errmsg).filter(|_| matches!(code, 40164 | 61004)) {
        Some(ip) => problem.help(format!("add {ip} to the IP allow-list (IP 白名单) of the account")),
        None => problem,
    }
    .help(row.todo_en)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wechat;

    fn reply(code: i64) -> Outcome {
        Outcome::Reply(
            wechat::decode(200, format!(r#"{{"errcode":{code},"errmsg":"x"}}"#).as_bytes()).expect("readable"),
        )
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    #[test]
    fn one_code_of_each_class() {
        let judged = |code| judge(Effect::Mass, &reply(code));
        assert_eq!(judged(0), (EventKind::Accepted, Next::Done));
        assert_eq!(judged(45065), (EventKind::Adopted, Next::Done));
        assert_eq!(judged(45066), (EventKind::Unknown, Next::Doubt));
        assert_eq!(judged(-1), (EventKind::Unknown, Next::Doubt));
        assert_eq!(judged(268_488_001), (EventKind::Unknown, Next::Doubt));
        assert_eq!(judged(42010), (EventKind::Refused, Next::Again));
        assert_eq!(judged(40003), (EventKind::Refused, Next::Fail { stop: false }));
        assert_eq!(judged(45028), (EventKind::Refused, Next::Fail { stop: true }));
        assert_eq!(judged(48001), (EventKind::Refused, Next::Fail { stop: true }));
        assert_eq!(judged(999_999), (EventKind::Refused, Next::Fail { stop: true }));
        assert_eq!(judge(Effect::Read, &reply(-1)), (EventKind::Refused, Next::Again));
        assert_eq!(judge(Effect::Mass, &Outcome::NotSent(String::new())), (EventKind::NotSent, Next::Again));
        assert_eq!(judge(Effect::Mass, &Outcome::Unknown(String::new())), (EventKind::Unknown, Next::Doubt));
        assert_eq!(judge(Effect::Preview, &Outcome::Unknown(String::new())), (EventKind::Unknown, Next::Again));
    }

    #[test]
    fn an_answer_without_errcode_and_job_is_no_success() {
        let said = |text: &str| Outcome::Reply(wechat::decode(200, text.as_bytes()).expect("readable"));
        assert_eq!(judge(Effect::Mass, &said(r#"{"message":"busy"}"#)), (EventKind::Unknown, Next::Doubt));
        assert_eq!(judge(Effect::Preview, &said(r#"{"message":"busy"}"#)), (EventKind::Unknown, Next::Again));
        assert_eq!(judge(Effect::Mass, &said(r#"{"msg_id":7}"#)), (EventKind::Accepted, Next::Done));
        assert_eq!(judge(Effect::Read, &said(r#"{"msg_status":"SENDING"}"#)), (EventKind::Accepted, Next::Done));
    }

    #[test]
    fn a_send_in_doubt_is_repeated_within_24_hours_only() {
        let minute = Duration::from_secs(60);
        assert_eq!(resend(at(10), at(0), at(5), minute, minute), Resend::After(Duration::from_secs(55)));
        assert_eq!(resend(at(1000), at(0), at(5), minute, minute), Resend::After(Duration::ZERO));
        assert!(matches!(resend(at(86_000), at(0), at(5), minute, minute), Resend::After(_)));
        assert!(matches!(resend(at(86_100), at(0), at(5), minute, minute), Resend::Never(_)));
        assert!(matches!(resend(at(200_000), at(0), at(5), minute, minute), Resend::Never(_)));
        assert!(matches!(resend(at(4), at(0), at(5), minute, minute), Resend::Never(_)));
    }

    #[test]
    fn sixty_calls_fit_into_a_minute_and_the_next_waits() {
        let recent: Vec<Timestamp> = (0..60).map(at).collect();
        assert_eq!(pace(at(59), &recent[..59], 60), Duration::ZERO);
        assert_eq!(pace(at(59), &recent, 60), Duration::from_secs(1));
        assert_eq!(pace(at(60), &recent, 60), Duration::ZERO);
        assert_eq!(pace(at(0), &[at(0)], 1), Duration::from_secs(60));
    }
}
