//! What a call's outcome asks for: pure. Again, resend, stop, pace.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::{
    clock::{self, Clock},
    ledger::{CallRecord, Event, EventKind},
    limits,
    locale::{Count, Phrase, say},
    payload::Effect,
    problem::Problem,
    wechat::{
        client::Outcome,
        errcode::{self, Disposition},
        token::{Layer, TokenError},
    },
};

/// What follows from one attempt.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Next {
    Done,
    /// Nothing happened, surely: the identical call may be made again after a pause.
    Again,
    /// It may have been carried out: a send is repeated with the same key after `resend_after` only, and of a publication it is
    /// asked then what became of it.
    Doubt,
    /// WeChat said no for good.
    Fail {
        /// Whether the run stops whatever the step says.
        stop: bool,
    },
}

/// The event to record, and what follows. `again`: an earlier attempt may have had the same effect; see [`may_have_sent`].
pub(crate) fn judge(effect: Effect, again: bool, outcome: &Outcome) -> (EventKind, Next) {
    let reply = match outcome {
        Outcome::Reply(reply) => reply,
        Outcome::NotSent(_) => return (EventKind::NotSent, Next::Again),
        Outcome::Unknown(_) => {
            return (EventKind::Unknown, if effect.is_once() { Next::Doubt } else { Next::Again });
        }
        Outcome::NoToken(_) | Outcome::Withheld | Outcome::Withdrawn(_) => {
            return (EventKind::NotSent, Next::Fail { stop: true });
        }
    };
    match errcode::disposition(reply.errcode) {
        // Answers that only carry values need no errcode; that something was done must be said.
        Disposition::Done if !matches!(effect, Effect::Read | Effect::Media) && !reply.is_explicit() => {
            (EventKind::Unknown, if effect.is_once() { Next::Doubt } else { Next::Again })
        }
        // It is settled by asking, whatever it was that left it open.
        disposition
            if matches!(effect, Effect::Publish | Effect::Unpublish)
                && disposition != Disposition::Done
                && !errcode::says_not_taken(reply.errcode) =>
        {
            (EventKind::Unknown, Next::Doubt)
        }
        Disposition::Done => (EventKind::Accepted, Next::Done),
        Disposition::Duplicate if effect == Effect::Mass && again => (EventKind::Adopted, Next::Done),
        // Somebody used its name: what was sent under it, nobody here knows.
        Disposition::Duplicate if effect == Effect::Mass => (EventKind::Unknown, Next::Fail { stop: true }),
        Disposition::Duplicate => (EventKind::Refused, Next::Fail { stop: false }),
        Disposition::Retry if effect != Effect::Mass || errcode::says_not_taken(reply.errcode) => {
            (EventKind::Refused, Next::Again)
        }
        // -1, 268488001, 45066, 89504: the send may be there, or be made later.
        Disposition::Retry => (EventKind::Unknown, Next::Doubt),
        // Nobody knows what it says, and asking again in the same minute tells no more.
        _ if effect == Effect::Mass && !errcode::says_not_taken(reply.errcode) => {
            (EventKind::Unknown, Next::Fail { stop: true })
        }
        Disposition::FixPlan => (EventKind::Refused, Next::Fail { stop: false }),
        Disposition::WaitQuota | Disposition::Fatal | Disposition::RefreshToken => {
            (EventKind::Refused, Next::Fail { stop: true })
        }
    }
}

/// WeChat's answer to a name that was used before: 45065, and 45066 within a minute. It says that this attempt sent nothing.
fn name_is_taken(errcode: i64) -> bool {
    errcode == 45066 || errcode::disposition(errcode) == Disposition::Duplicate
}

/// Whether an attempt of these events may have sent something.
fn has_effect(outcome: Option<&Event>) -> bool {
    match outcome.map(|event| event.kind) {
        None => true,
        Some(EventKind::Unknown) => !outcome.and_then(|event| event.errcode).is_some_and(name_is_taken),
        Some(_) => false,
    }
}

/// Whether an attempt of the ledger that is not settled may have sent these bytes. It alone makes 45065 a proof that *they*
/// were sent: the name of a call does not depend on its content, and other ledgers give the same names. The last attempt,
/// which got the answer, is not meant.
pub(crate) fn may_have_sent(record: &CallRecord, body: &str) -> bool {
    record
        .unsettled()
        .rev()
        .skip(1)
        .any(|(attempt, outcome)| attempt.body.as_deref() == Some(body) && has_effect(outcome))
}

/// The answer by which the name of a call was used before, though no attempt of this ledger can have used it. Nobody knows
/// since when, so nobody knows when WeChat will forget the name: a later run does not repeat it.
pub(crate) fn foreign(record: &CallRecord) -> Option<&Event> {
    if !record.status.in_doubt() || record.unsettled().any(|(_, outcome)| has_effect(outcome)) {
        return None;
    }
    let mut outcomes = record.unsettled().rev().filter_map(|(_, outcome)| outcome);
    outcomes.find(|event| event.errcode.is_some_and(name_is_taken))
}

/// Whether the pause before the next attempt must be a minute against WeChat, whatever the plan says.
pub(crate) fn is_rate_limit(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Reply(reply) if matches!(reply.errcode, 42010 | 45011))
}

/// What time it is, by every clock that is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// By the clock of this machine.
    pub(crate) now: Timestamp,
    /// By a clock that nobody sets: see [`Clock::steady`].
    pub(crate) steady: Timestamp,
    /// For the server, if an answer told it.
    pub(crate) server: Option<Timestamp>,
}

impl Times {
    pub(crate) fn of(clock: &dyn Clock, server: Option<Timestamp>) -> Self {
        Self { now: clock.now(), steady: clock.steady(), server }
    }

    /// The latest that it can be: time that may have passed has passed.
    pub(crate) fn latest(&self) -> Timestamp {
        self.now.max(self.steady).max(self.server.unwrap_or(self.now))
    }

    /// When an attempt that is made now is to be remembered as made. A clock that runs ahead by more than clocks do would let the
    /// next run, with a clock that is right, believe that the attempt was made later than it was.
    pub(crate) fn attempted(&self) -> Timestamp {
        let earliest = self.now.min(self.steady).min(self.server.unwrap_or(self.now));
        if apart(self.now, earliest) { earliest } else { self.now }
    }
}

/// Whether two clocks differ by more than clocks do.
fn apart(one: Timestamp, other: Timestamp) -> bool {
    one.duration_since(other).unsigned_abs() > limits::CLOCK_OFF
}

/// How long a send in doubt must wait before it may be repeated; an error says why it may never be.
pub(crate) fn resend(
    times: Times,
    first: Timestamp,
    last: Timestamp,
    resend_after: Duration,
    timeout: Duration,
) -> Result<Duration, Problem> {
    clocks_agree(times)?;
    let begins = after(last, resend_after).max(times.latest());
    remembered(times, begins, (first, last), timeout)?;
    Ok(begins.duration_since(times.latest()).unsigned_abs())
}

/// Whether a mass call whose attempts are unsettled may leave now; `repeated` if there are others than this one.
pub(crate) fn may_leave(
    times: Times,
    (first, last): (Timestamp, Timestamp),
    repeated: bool,
    timeout: Duration,
) -> Result<(), Problem> {
    if repeated {
        clocks_agree(times)?;
        return remembered(times, times.latest(), (first, last), timeout);
    }
    // Nothing is in doubt: what the server's clock says does not matter, and the next run makes it.
    let own = Times { server: None, ..times };
    remembered(own, own.latest(), (first, last), timeout).map_err(|_| {
        Problem::new(say!(
            "the call was not made: the clock was changed, or almost a day passed while the machine slept or waited for a token"
        ))
        .help(say!("run it again"))
    })
}

/// Whether an intent was recorded a moment ago. A process that was suspended since may have lost the account to another run,
/// which has made the call by now.
pub(crate) fn is_fresh(now: Timestamp, recorded: Timestamp) -> Result<(), Problem> {
    let passed = now.duration_since(recorded);
    if passed.unsigned_abs() <= limits::INTENT_GOOD {
        return Ok(());
    }
    let seconds = Count(passed.as_secs().unsigned_abs());
    Err(Problem::new(say!(
        "the call was not made: {seconds} s had passed since it was recorded, and another run may have made it",
        seconds
    ))
    .help(say!("run it again")))
}

/// The 24 hours are WeChat's: a clock that does not agree with the server's cannot count them.
fn clocks_agree(times: Times) -> Result<(), Problem> {
    match times.server {
        Some(server) if apart(times.now, server) => {
            let (ours, theirs) = (in_words(times.now), in_words(server));
            let seconds = Count(times.now.duration_since(server).as_secs().unsigned_abs());
            let message = if times.now > server {
                say!(
                    "this machine's clock ({ours}) is {seconds} s ahead of the server's ({theirs}), so the 24 hours cannot be checked",
                    ours,
                    seconds,
                    theirs
                )
            } else {
                say!(
                    "this machine's clock ({ours}) is {seconds} s behind the server's ({theirs}), so the 24 hours cannot be checked",
                    ours,
                    seconds,
                    theirs
                )
            };
            Err(Problem::new(message).help(set_clock()))
        }
        _ => Ok(()),
    }
}

fn set_clock() -> Phrase {
    say!(
        "set the clock (NTP), then run it again within 24 hours of the first attempt to repeat the send with the same clientmsgid"
    )
}

fn in_words(at: Timestamp) -> String {
    clock::shanghai(at).strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
}

/// WeChat forgets a `clientmsgid` after 24 hours: from then on a repetition would be a second send. `begins` is when the call
/// leaves, `first` and `last` are the attempts that are unsettled.
fn remembered(
    times: Times,
    begins: Timestamp,
    (first, last): (Timestamp, Timestamp),
    timeout: Duration,
) -> Result<(), Problem> {
    if times.latest() < last {
        let message = say!(
            "this machine's clock ({ours}) is behind the last attempt ({last}), so the 24 hours cannot be checked",
            ours = in_words(times.now),
            last = in_words(last)
        );
        return Err(Problem::new(message).help(set_clock()));
    }
    // The call itself takes time, and clocks differ.
    if after(begins, timeout + limits::CLIENTMSGID_MARGIN) >= after(first, limits::CLIENTMSGID_MEMORY) {
        return Err(Problem::new(say!(
            "the first attempt was (almost) 24 hours ago; WeChat may have forgotten it, so repeating could send twice"
        ))
        .help(say!("no run repeats it any more: check the console (群发记录) to see whether it was sent")));
    }
    Ok(())
}

fn after(from: Timestamp, duration: Duration) -> Timestamp {
    from.saturating_add(SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)).unwrap_or(Timestamp::MAX)
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
pub(crate) fn withheld() -> Phrase {
    say!("the request contains a secret of this account, so it was not sent")
}

/// What to do about a code, and about a missing token.
pub(crate) fn advice(outcome: &Outcome) -> Problem {
    match outcome {
        Outcome::Reply(reply) if reply.errcode == 0 => {
            Problem::new(say!("the answer contains neither an errcode nor a job"))
        },
        Outcome::Reply(reply) => refusal(reply.errcode, &reply.errmsg),
        Outcome::NotSent(why) => Problem::new(say!("cannot reach WeChat: {why}", why))
            .help(say!("check the network, the proxy (HTTPS_PROXY) and --api-base; nothing left this machine")),
        Outcome::Unknown(why) => Problem::new(say!("no conclusive answer: {why}", why)),
        Outcome::NoToken(error) => token_advice(error),
        Outcome::Withdrawn(why) => Problem::new(why.clone()),
        Outcome::Withheld => Problem::new(withheld()).help(say!(
            "remove the AppSecret or access token from the plan's texts and files, and reset it in the console if others saw it"
        )),
    }
}

/// Why there is no token, and what to do.
pub(crate) fn token_advice(error: &TokenError) -> Problem {
    match error {
        TokenError::Refused { layer: Layer::Account, errcode: 40001, errmsg } => {
            let words = errcode::strip(errmsg);
            Problem::new(say!("WeChat refused to issue an access token: 40001 {words}", words))
                .help(say!("the AppSecret is wrong: compare it with the console"))
                .errcode(40001)
        }
        TokenError::Refused { layer, errcode, errmsg } => {
            let problem = refusal(*errcode, errmsg);
            let why = &problem.message;
            let message = match layer {
                Layer::Account => say!("no access token: {why}", why),
                Layer::Component => say!("no token for the third-party platform: {why}", why),
                Layer::Authorizer => say!("no access token by way of the third-party platform: {why}", why),
            };
            let help = component_help(*layer, *errcode, errmsg).map_or(problem.help, |help| vec![help]);
            Problem { message, help, errcode: problem.errcode }
        }
        TokenError::Unreachable(_) => {
            Problem::new(error.words()).help(say!("check the network, the proxy (HTTPS_PROXY) and --api-base"))
        }
        TokenError::Source(_) | TokenError::Interrupted => Problem::new(error.words()),
    }
}

/// What to do about a code that means something else where a third-party platform asks.
fn component_help(layer: Layer, code: i64, errmsg: &str) -> Option<Phrase> {
    Some(match (layer, code) {
        (Layer::Account, _) => return None,
        (_, 40164 | 45035 | 61004) => match errcode::ip_in(errmsg) {
            Some(ip) => say!(
                "add {ip} to the IP allow-list (白名单IP地址列表) of the third-party platform in WeChat's open platform (微信开放平台), and wait a few minutes",
                ip
            ),
            None => say!(
                "add this machine's public address to the IP allow-list (白名单IP地址列表) of the third-party platform in WeChat's open platform (微信开放平台)"
            ),
        },
        (Layer::Component, 40001 | 40125 | 41004) => {
            say!(
                "compare what `component.secret` points to with the AppSecret in WeChat's open platform (微信开放平台)"
            )
        }
        (Layer::Component, 40013 | 41002) => {
            say!("write the AppID of the third-party platform, not of the account, in `component.appid`")
        }
        (Layer::Authorizer, 40001 | 40014 | 42001 | 42006) => say!(
            "another program seems to replace the platform's token: let one program fetch it, and give qunfa the account's token by `access_token: {{ command: [...] }}`"
        ),
        (Layer::Authorizer, 40013) => {
            say!("`appid` must be the account's and `component.appid` the third-party platform's")
        }
        _ => return None,
    })
}

fn refusal(code: i64, errmsg: &str) -> Problem {
    let words = errcode::strip(errmsg);
    let Some(row) = errcode::lookup(code) else {
        return Problem::new(say!("WeChat answered with a code that qunfa does not know: {code} {words}", code, words))
            .help(say!("look up the code in WeChat's list; the run stops because its meaning is unknown"))
            .errcode(code);
    };
    let words = if words.is_empty() { row.errmsg } else { words };
    let problem = Problem::new(say!("{meaning} ({code} {words})", meaning = row.meaning(), code, words)).errcode(code);
    match errcode::ip_in(errmsg) {
        Some(ip) if code == 40164 => problem.help(say!("add {ip} to the account's IP allow-list (IP 白名单)", ip)),
        Some(ip) if code == 61004 => problem.help(say!(
            "add {ip} to the IP allow-list (IP 白名单) of the account, or of the third-party platform that acts for it",
            ip
        )),
        _ => problem,
    }
    .help(row.todo())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ledger::{CallId, FrozenCall},
        wechat,
    };

    fn reply(code: i64) -> Outcome {
        Outcome::Reply(
            wechat::decode(200, format!(r#"{{"errcode":{code},"errmsg":"x"}}"#).as_bytes()).expect("readable"),
        )
    }

    fn call() -> FrozenCall {
        FrozenCall {
            id: CallId { step: "s".into(), key: None, chunk: 1 },
            action: String::new(),
            path: String::new(),
            idempotency_key: String::new(),
            digest: String::new(),
            payload: String::new(),
            message_digest: None,
            recipients: None,
            effect: Effect::Mass,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    #[test]
    fn an_intent_is_good_for_half_a_minute() {
        let _heard = crate::locale::tests::heard("run-policy-an_intent_is_good_for_half_a_minute");
        let at = |second| Timestamp::from_second(second).expect("in range");
        assert_eq!(is_fresh(at(30), at(0)), Ok(()));
        let late = is_fresh(at(31), at(0)).expect_err("somebody else may have made it");
        assert!(late.message.to_string().contains("31 s had passed"), "{}", late.message);
    }

    #[test]
    fn one_code_of_each_class() {
        let judged = |code| judge(Effect::Mass, true, &reply(code));
        let judge = |effect, outcome: &Outcome| judge(effect, false, outcome);
        assert_eq!(judged(0), (EventKind::Accepted, Next::Done));
        assert_eq!(judged(45065), (EventKind::Adopted, Next::Done));
        assert_eq!(judge(Effect::Mass, &reply(45065)), (EventKind::Unknown, Next::Fail { stop: true }));
        assert_eq!(judged(45066), (EventKind::Unknown, Next::Doubt));
        assert_eq!(judged(-1), (EventKind::Unknown, Next::Doubt));
        assert_eq!(judged(268_488_001), (EventKind::Unknown, Next::Doubt));
        assert_eq!(judged(42010), (EventKind::Refused, Next::Again));
        assert_eq!(judged(40003), (EventKind::Refused, Next::Fail { stop: false }));
        assert_eq!(judged(45028), (EventKind::Refused, Next::Fail { stop: true }));
        assert_eq!(judged(48001), (EventKind::Refused, Next::Fail { stop: true }));
        for strange in [502, 50000, 43104, -2, 9_500_002, i64::MAX] {
            assert_eq!(judged(strange), (EventKind::Unknown, Next::Fail { stop: true }), "{strange}");
            assert_eq!(judge(Effect::Delete, &reply(strange)), (EventKind::Refused, Next::Fail { stop: true }));
        }
        assert_eq!(judge(Effect::Read, &reply(-1)), (EventKind::Refused, Next::Again));
        assert_eq!(judge(Effect::Mass, &Outcome::NotSent(Phrase::default())), (EventKind::NotSent, Next::Again));
        assert_eq!(judge(Effect::Mass, &Outcome::Unknown(Phrase::default())), (EventKind::Unknown, Next::Doubt));
        assert_eq!(judge(Effect::Preview, &Outcome::Unknown(Phrase::default())), (EventKind::Unknown, Next::Again));
    }

    /// What a person is told about each outcome of a call.
    #[test]
    fn each_outcome_has_an_advice() {
        let _heard = crate::locale::tests::heard("run-policy-each_outcome_has_an_advice");
        let why = || say!("connection refused");
        let token = |errcode| TokenError::Refused {
            layer: crate::wechat::token::Layer::Account,
            errcode,
            errmsg: "invalid credential".into(),
        };
        for (outcome, told) in [
            (reply(0), "the answer contains neither an errcode nor a job"),
            (reply(45028), "quota for this period is used up"),
            (reply(4242), "WeChat answered with a code that qunfa does not know: 4242"),
            (Outcome::NotSent(why()), "cannot reach WeChat: connection refused"),
            (Outcome::Unknown(why()), "no conclusive answer: connection refused"),
            (Outcome::NoToken(token(40001)), "WeChat refused to issue an access token: 40001"),
            (Outcome::NoToken(token(40164)), "no access token: "),
            (Outcome::NoToken(TokenError::Unreachable(why())), "cannot fetch an access token: connection refused"),
            (Outcome::NoToken(TokenError::Interrupted), "the fetch of the access token was interrupted"),
            (Outcome::Withheld, "the request contains a secret of this account"),
        ] {
            let problem = advice(&outcome);
            assert!(problem.message.to_string().contains(told), "{}", problem.message);
        }
        // The clock, when nothing is in doubt yet.
        let late = Times { now: at(90_000), ..times(1000) };
        let told = may_leave(late, (at(0), at(5)), false, Duration::from_secs(60)).expect_err("a day has passed");
        assert!(told.message.to_string().starts_with("the call was not made: the clock was changed"));
    }

    #[test]
    fn a_process_that_was_suspended_after_its_intent_makes_no_call() {
        use crate::locale::tests::{BOTH, speaking};
        assert!(is_fresh(at(30), at(0)).is_ok());
        for (language, suffix) in BOTH {
            let said = speaking(language, || {
                let late = [at(31), at(86_400)].map(|now| is_fresh(now, at(0)).expect_err("too late"));
                let told = |late: &Problem| format!("{}\n  {}", late.message, late.help[0]);
                late.iter().map(told).collect::<Vec<_>>().join("\n")
            });
            insta::assert_snapshot!(format!("suspended{suffix}"), said);
        }
        // A clock that went back proves as little.
        assert!(is_fresh(at(0), at(31)).is_err());
    }

    #[test]
    fn an_answer_without_errcode_and_job_is_no_success() {
        let judge = |effect, outcome: &Outcome| judge(effect, false, outcome);
        let said = |text: &str| Outcome::Reply(wechat::decode(200, text.as_bytes()).expect("readable"));
        assert_eq!(judge(Effect::Mass, &said(r#"{"message":"busy"}"#)), (EventKind::Unknown, Next::Doubt));
        assert_eq!(judge(Effect::Preview, &said(r#"{"message":"busy"}"#)), (EventKind::Unknown, Next::Again));
        assert_eq!(judge(Effect::Mass, &said(r#"{"msg_id":7}"#)), (EventKind::Accepted, Next::Done));
        assert_eq!(judge(Effect::Read, &said(r#"{"msg_status":"SENDING"}"#)), (EventKind::Accepted, Next::Done));
    }

    /// All clocks say the same.
    fn times(second: i64) -> Times {
        Times { now: at(second), steady: at(second), server: None }
    }

    #[test]
    fn only_an_unsettled_attempt_at_the_same_bytes_makes_45065_a_proof() {
        use EventKind::{Attempted, NotSent, Refused, ResolvedNotSent, Unknown};
        let record = |events: &[(EventKind, i64)]| {
            let mut record = CallRecord::planned(call());
            for (kind, code) in events.iter().chain([&(Attempted, 0)]) {
                let mut event = Event::new(*kind, at(0), "r");
                event.errcode = Some(*code).filter(|code| *code != 0);
                event.body = (*kind == Attempted).then(|| "春".to_owned());
                record.push(event).expect("legal");
            }
            record
        };
        let again = |events: &[(EventKind, i64)]| may_have_sent(&record(events), "春");
        assert!(again(&[(Attempted, 0)]), "it was killed");
        assert!(again(&[(Attempted, 0), (Unknown, -1)]));
        assert!(again(&[(Attempted, 0), (Unknown, 50000)]));
        assert!(again(&[(Attempted, 0), (Unknown, 0), (Attempted, 0), (Refused, 45028)]), "the first may be there");
        assert!(!again(&[]), "this attempt alone");
        assert!(!may_have_sent(&record(&[(Attempted, 0)]), "夏"), "other bytes");
        for settled in [(NotSent, 0), (Refused, 45028), (Unknown, 45065), (Unknown, 45066)] {
            assert!(!again(&[(Attempted, 0), settled]), "{settled:?}");
        }
        assert!(!again(&[(Attempted, 0), (Unknown, 0), (ResolvedNotSent, 0)]));
        let mut met = record(&[]);
        assert_eq!(foreign(&met), None);
        met.push(Event { errcode: Some(45065), ..Event::new(Unknown, at(1), "r") }).expect("legal");
        assert_eq!(foreign(&met).map(|event| event.at), Some(at(1)));
        let mut own = record(&[(Attempted, 0)]);
        own.push(Event { errcode: Some(45065), ..Event::new(Unknown, at(1), "r") }).expect("legal");
        assert_eq!(foreign(&own), None);
    }

    #[test]
    fn a_send_in_doubt_is_repeated_within_24_hours_only() {
        let minute = Duration::from_secs(60);
        let resend = |second, first, last| resend(times(second), at(first), at(last), minute, minute);
        assert_eq!(resend(10, 0, 5), Ok(Duration::from_secs(55)));
        assert_eq!(resend(1000, 0, 5), Ok(Duration::ZERO));
        assert_eq!(resend(86_000, 0, 5), Ok(Duration::ZERO));
        for late in [86_100, 200_000, 4] {
            assert!(resend(late, 0, 5).is_err(), "{late}");
        }
    }

    #[test]
    fn the_clock_that_says_that_most_time_has_passed_is_believed() {
        let _heard =
            crate::locale::tests::heard("run-policy-the_clock_that_says_that_most_time_has_passed_is_believed");
        let minute = Duration::from_secs(60);
        let leaves = |times| may_leave(times, (at(0), at(5)), true, minute).is_ok();
        assert!(leaves(times(1000)));
        assert!(!leaves(Times { steady: at(90_000), ..times(1000) }), "the clock was set back");
        assert!(!leaves(Times { now: at(90_000), ..times(1000) }), "the machine slept");
        assert!(
            leaves(Times { now: at(-50), ..times(1000) }),
            "set back, and the other clock proves that it is soon enough"
        );
        assert!(!leaves(times(4)));
    }

    #[test]
    fn a_clock_that_is_off_repeats_nothing() {
        let _heard = crate::locale::tests::heard("run-policy-a_clock_that_is_off_repeats_nothing");
        let minute = Duration::from_secs(60);
        let told = |second| Times { server: Some(at(second)), ..times(1000) };
        for near in [1000, 700, 1300] {
            assert_eq!(resend(told(near), at(0), at(5), minute, minute), Ok(Duration::ZERO), "{near}");
        }
        for off in [699, 1301, -80_000, 500_000] {
            let problem = resend(told(off), at(0), at(5), minute, minute).expect_err("off");
            assert!(problem.message.to_string().contains("1970-01-01 08:16:40 +08:00"), "{}", problem.message);
            assert!(problem.message.to_string().contains(&in_words(at(off))), "{}", problem.message);
            assert!(may_leave(told(off), (at(0), at(5)), true, minute).is_err(), "{off}");
        }
        for off in [500, 500_000] {
            assert!(may_leave(told(off), (at(0), at(5)), false, minute).is_ok(), "the first attempt repeats nothing");
        }
    }

    #[test]
    fn an_attempt_is_not_remembered_as_later_than_it_was() {
        assert_eq!(Times { server: Some(at(900)), ..times(1000) }.attempted(), at(1000));
        assert_eq!(Times { server: Some(at(90)), ..times(1000) }.attempted(), at(90));
        assert_eq!(Times { steady: at(90), ..times(1000) }.attempted(), at(90));
        assert_eq!(Times { server: Some(at(9000)), steady: at(9000), ..times(1000) }.attempted(), at(1000));
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
