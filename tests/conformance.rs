//! What every store must do, as the traits `Ledger` and `Store` say it, looked at over each store that there is.
//!
//! A new store brings a [`Bench`] (its ledger) and a [`StoreBench`] (lock, tokens, format), and is added at the end of this
//! file.

use std::{
    cell::RefCell,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::PathBuf,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
};

use jiff::Timestamp;
use qunfa::{
    ledger::{
        AccountRun, CallId, Edition, EditionCall, Ending, Event, EventKind, FrozenCall, LastRun, Ledger, LedgerError,
        Observation, Scope, Status, next_status, open,
        postgres::{FORMAT as POSTGRES_FORMAT, Postgres},
        sqlite::{FORMAT, Sqlite},
        store::{Owner, Password, Queue, Store, TokenKey, WriteError},
    },
    payload::{Effect, digest},
    platform::Platform,
    redact::Secret,
    wechat::token::{Token, TokenError},
};
use rusqlite::Connection;

use crate::{
    faults::book::{Calm, Row, Store as Memory},
    postgres::{Crashing, Schema},
};

/// A store of its own, empty when it is made, and what a test does to it.
trait Bench {
    /// A run opens it; one at a time.
    fn write(&self, scope: &Scope) -> Box<dyn Ledger + '_>;
    /// Another process writes to it that got past the lock.
    fn intrude(&self) -> Box<dyn Ledger + '_>;
    /// Another process looks at it. It was written to before.
    fn read(&self) -> Box<dyn Ledger + '_>;
    /// What was not on disk is lost. Who had it open is not used any more.
    fn cut_power(&self);
    /// Spoils the only call of a scope, behind the back of who has it open; false if this store cannot hold such a damage.
    fn damage(&self, scope: &Scope, damage: Damage) -> bool;
}

#[derive(Debug, Clone, Copy)]
enum Damage {
    /// Another payload.
    Payload,
    /// Another body was sent.
    Body,
    /// An event of no kind.
    Kind,
    /// An effect that is none.
    Effect,
    /// An event that cannot follow.
    Order,
    /// An id that is no number.
    Number,
    /// An event at no time.
    Time,
    /// Less than no recipients.
    Recipients,
}

impl Damage {
    /// What does it; `more` is a column of events that only one store has, and its value.
    fn in_sql(self, scope: &Scope, [more, value]: [&str; 2]) -> String {
        let call = format!("(SELECT id FROM calls WHERE occurrence = '{}')", scope.occurrence);
        match self {
            Damage::Payload => format!("UPDATE calls SET payload = '{{}}' WHERE id = {call}"),
            Damage::Effect => format!("UPDATE calls SET effect = 'hum' WHERE id = {call}"),
            Damage::Recipients => format!("UPDATE calls SET recipients = -1 WHERE id = {call}"),
            Damage::Body => format!("UPDATE events SET body = '{{}}' WHERE call = {call} AND kind = 'attempted'"),
            Damage::Kind => format!("UPDATE events SET kind = 'hum' WHERE call = {call} AND number = 2"),
            Damage::Number => format!("UPDATE events SET msg_id = 'x' WHERE call = {call} AND number = 2"),
            Damage::Time => format!("UPDATE events SET at = {} WHERE call = {call}", i64::MAX),
            Damage::Order => format!(
                "INSERT INTO events (call, number, kind, at, run_id{more}) VALUES ({call}, 3, 'refused', 3, 'r'{value})"
            ),
        }
    }
}

/// A store that other processes find by its name.
trait StoreBench: Bench {
    /// Where its tests are, below this module.
    fn module(&self) -> &'static str;
    /// What `--state` is.
    fn name(&self) -> String;
    /// All that is kept of the ledger, to see whether it was touched; nothing if there is none.
    fn kept(&self) -> Vec<u8>;
    /// A newer version of qunfa has brought it up to date.
    fn make_newer(&self);
    /// It is something of another program.
    fn make_foreign(&self);
    /// The outer shell, as commands open it.
    fn store(&self) -> Box<dyn Store> {
        open::named(&self.name(), no_password()).expect("a name")
    }
    /// The format that this version writes.
    fn newest(&self) -> i64;
}

fn no_password() -> Password {
    std::rc::Rc::new(|| Ok(None))
}

fn scope() -> Scope {
    Scope { platform: Platform::Wechat, appid: "wx1".into(), plan: "p".into(), occurrence: "once".into() }
}

fn edition(occurrence: &str) -> Scope {
    Scope { occurrence: occurrence.into(), ..scope() }
}

/// Waits as long as it takes.
struct Patient;

impl Queue for Patient {
    fn owner(&self) -> Owner {
        owner()
    }

    fn wait(&self, _: Option<&Owner>) -> bool {
        std::thread::yield_now();
        true
    }
}

fn queue() -> Box<dyn Queue> {
    Box::new(Patient)
}

/// Waits for nobody, and remembers who it would have been.
#[derive(Default)]
struct Impatient(std::cell::RefCell<Option<Owner>>);

impl Queue for &Impatient {
    fn owner(&self) -> Owner {
        owner()
    }

    fn wait(&self, holder: Option<&Owner>) -> bool {
        self.0.replace(holder.cloned());
        false
    }
}

fn owner() -> Owner {
    Owner { pid: 7, host: "here".into(), since: at(0), plan: "plan.yaml".into(), command: "qunfa run".into() }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("in range")
}

fn call_with(step: &str, chunk: u32, payload: &str) -> FrozenCall {
    FrozenCall {
        id: CallId { step: step.into(), key: None, chunk },
        action: "send_by_openid".into(),
        path: "/cgi-bin/message/mass/send".into(),
        idempotency_key: format!("{step}-{chunk}"),
        digest: digest(payload.as_bytes()),
        payload: payload.into(),
        message_digest: None,
        recipients: Some(2),
        effect: Effect::Mass,
    }
}

fn call(step: &str, chunk: u32) -> FrozenCall {
    call_with(step, chunk, &format!("{{\"n\":{chunk}}}"))
}

fn event(kind: EventKind, second: i64) -> Event {
    Event::new(kind, at(second), "run")
}

fn ending(report: &str) -> Ending<'_> {
    Ending { outcome: "succeeded", exit_code: 0, report }
}

/// An attempt with bytes of its own.
fn attempt(second: i64) -> Event {
    Event { body: Some("{\"sent\":1}".into()), ..event(EventKind::Attempted, second) }
}

/// Freezes calls, the first of them attempted in the second 1.
fn freeze(ledger: &mut dyn Ledger, scope: &Scope, calls: &[FrozenCall]) {
    ledger.freeze(scope, &[], calls, &calls[0].id, &attempt(1)).expect("writes");
}

/// Freezes a call that is attempted and taken.
fn take(ledger: &mut dyn Ledger, scope: &Scope, call: &FrozenCall, second: i64) {
    ledger.extend(scope, std::slice::from_ref(call), &call.id, &attempt(second)).expect("writes");
    ledger.append(scope, &call.id, &event(EventKind::Accepted, second)).expect("writes");
}

fn statuses(ledger: &dyn Ledger, scope: &Scope) -> Vec<(String, u32, Status)> {
    let calls = ledger.calls(scope).expect("reads");
    calls.iter().map(|call| (call.frozen.id.name(), call.frozen.id.chunk, call.status)).collect()
}

fn only_status(ledger: &dyn Ledger, scope: &Scope) -> Status {
    match ledger.calls(scope).expect("reads").as_slice() {
        [call] => call.status,
        calls => panic!("{} calls", calls.len()),
    }
}

const IN_FLIGHT: Status = Status::InFlight { doubt: false };

/// All that can be read about a scope.
fn all_of(ledger: &dyn Ledger, scope: &Scope) -> String {
    let Scope { platform, appid, plan, .. } = scope;
    format!(
        "{:#?} {:?} {:?} {:?}",
        ledger.calls(scope).expect("reads"),
        ledger.mass_attempts(platform.name(), appid, at(0)).expect("reads"),
        ledger.usage(platform.name(), appid, at(0)).expect("reads"),
        ledger.runs(appid, plan).expect("reads"),
    )
}

/// A write is refused, because of what is there, and changes nothing.
fn conflicts(ledger: &mut dyn Ledger, scope: &Scope, write: impl FnOnce(&mut dyn Ledger) -> Result<(), LedgerError>) {
    let before = all_of(ledger, scope);
    let refused = write(ledger);
    assert!(matches!(refused, Err(LedgerError::Conflict { .. })), "{refused:?}");
    assert_eq!(all_of(ledger, scope), before, "a write that is refused changes nothing");
}

fn an_intent_is_there_after_a_power_cut(bench: &dyn Bench) {
    let scope = scope();
    let mut ledger = bench.write(&scope);
    freeze(&mut *ledger, &scope, &[call("s", 1), call("s", 2)]);
    bench.cut_power();
    drop(ledger);
    let frozen = [("s".to_owned(), 1, IN_FLIGHT), ("s".to_owned(), 2, Status::Planned)];
    assert_eq!(statuses(&*bench.read(), &scope), frozen, "freeze");

    let mut ledger = bench.write(&scope);
    ledger.extend(&scope, &[call("s", 3)], &call("s", 3).id, &attempt(2)).expect("writes");
    bench.cut_power();
    drop(ledger);
    assert_eq!(statuses(&*bench.read(), &scope)[2], ("s".to_owned(), 3, IN_FLIGHT), "extend");

    let mut ledger = bench.write(&scope);
    ledger.append(&scope, &call("s", 2).id, &attempt(3)).expect("writes");
    bench.cut_power();
    drop(ledger);
    let calls = bench.read().calls(&scope).expect("reads");
    assert_eq!((calls[1].status, calls[1].sent_body()), (IN_FLIGHT, Some("{\"sent\":1}")), "append, with its bytes");
}

fn an_outcome_other_than_acceptance_is_there_after_a_power_cut(bench: &dyn Bench) {
    for kind in [
        EventKind::Refused,
        EventKind::NotSent,
        EventKind::Unknown,
        EventKind::ResolvedSent,
        EventKind::ResolvedNotSent,
    ] {
        let scope = edition(kind.name());
        let mut ledger = bench.write(&scope);
        freeze(&mut *ledger, &scope, &[call("s", 1)]);
        ledger.append(&scope, &call("s", 1).id, &event(kind, 2)).expect("writes");
        bench.cut_power();
        drop(ledger);
        assert_eq!(Ok(only_status(&*bench.read(), &scope)), next_status(IN_FLIGHT, kind));
    }
}

fn a_run_and_its_report_are_there_after_a_power_cut(bench: &dyn Bench) {
    let mut ledger = bench.write(&scope());
    ledger.begin_run(&scope(), "r1", "plan.yaml", "sha256:x", at(1)).expect("writes");
    bench.cut_power();
    drop(ledger);
    assert_eq!(bench.read().runs("wx1", "p").expect("reads")[0].report, None);
    let mut ledger = bench.write(&scope());
    ledger.end_run("r1", &ending("{}")).expect("writes");
    bench.cut_power();
    drop(ledger);
    assert_eq!(bench.read().runs("wx1", "p").expect("reads")[0].report.as_deref(), Some("{}"));
}

fn an_acceptance_is_in_doubt_until_the_next_write_or_sync(bench: &dyn Bench) {
    // What makes it durable, and whether it must be there.
    let next = |ledger: &mut dyn Ledger, scope: &Scope| freeze(ledger, scope, &[call("next", 1)]);
    let sync = |ledger: &mut dyn Ledger, _: &Scope| ledger.sync().expect("syncs");
    let nothing = |_: &mut dyn Ledger, _: &Scope| {};
    type Then = fn(&mut dyn Ledger, &Scope);
    let cases: [(&str, Then, bool); 3] = [("next", next, true), ("sync", sync, true), ("nothing", nothing, false)];
    for (name, then, durable) in cases {
        for kind in [EventKind::Accepted, EventKind::Adopted] {
            let scope = edition(&format!("{name} {}", kind.name()));
            let mut ledger = bench.write(&scope);
            freeze(&mut *ledger, &scope, &[call("s", 1)]);
            ledger.append(&scope, &call("s", 1).id, &event(kind, 2)).expect("writes");
            assert_eq!(only_status(&*bench.read(), &scope), Status::Accepted, "others see it at once");
            then(&mut *ledger, &scope);
            bench.cut_power();
            drop(ledger);
            let status = statuses(&*bench.read(), &scope)[0].2;
            assert!(status == Status::Accepted || (!durable && status == IN_FLIGHT), "{name}: {status:?}");
        }
    }
}

fn freezing_again_replaces_what_was_never_attempted(bench: &dyn Bench) {
    let scope = scope();
    let mut ledger = bench.write(&scope);
    freeze(&mut *ledger, &scope, &[call("other", 1), call("other", 2)]);
    freeze(&mut *ledger, &scope, &[call("s", 1), call("s", 2), call("s", 3)]);
    ledger
        .append(&scope, &call("s", 1).id, &Event { errcode: Some(40130), ..event(EventKind::Refused, 2) })
        .expect("writes");
    // The second call is not the one that it was, and there is no third any more.
    let second = FrozenCall { idempotency_key: "another".into(), ..call_with("s", 2, "{\"anew\":2}") };
    let anew = [call_with("s", 1, "{\"anew\":1}"), second];
    ledger.freeze(&scope, &[], &anew, &anew[1].id, &attempt(3)).expect("writes");
    let mut calls = ledger.calls(&scope).expect("reads");
    calls.retain(|call| call.frozen.id.step == "s");
    calls.sort_by_key(|call| call.frozen.id.chunk);
    let frozen: Vec<_> = calls.iter().map(|call| &call.frozen).collect();
    assert_eq!(frozen, [&anew[0], &anew[1]]);
    let kinds = |index: usize| calls[index].events.iter().map(|event| event.kind).collect::<Vec<_>>();
    assert_eq!(kinds(0), [EventKind::Attempted, EventKind::Refused], "what happened to it stays with it");
    assert_eq!(kinds(1), [EventKind::Attempted]);
    let other = [("other".to_owned(), 1, IN_FLIGHT), ("other".to_owned(), 2, Status::Planned)];
    assert_eq!(statuses(&*ledger, &scope)[..2], other, "other steps stay as they are");
}

fn a_call_that_is_planned_anew_keeps_its_key_and_is_what_it_is_now(bench: &dyn Bench) {
    let scope = scope();
    let mut ledger = bench.write(&scope);
    freeze(&mut *ledger, &scope, &[call("s", 1)]);
    ledger.append(&scope, &call("s", 1).id, &event(EventKind::NotSent, 2)).expect("writes");
    let anew = FrozenCall {
        action: "preview".into(),
        path: "/cgi-bin/message/mass/preview".into(),
        idempotency_key: "another".into(),
        message_digest: Some("sha256:m".into()),
        recipients: None,
        effect: Effect::Preview,
        ..call_with("s", 1, "{}")
    };
    freeze(&mut *ledger, &scope, std::slice::from_ref(&anew));
    let calls = ledger.calls(&scope).expect("reads");
    assert_eq!(calls[0].frozen, FrozenCall { idempotency_key: "s-1".into(), ..anew });
    assert_eq!(ledger.mass_attempts("wechat", "wx1", at(0)).expect("reads"), []);
}

fn a_step_that_is_accepted_or_in_doubt_is_not_frozen_again(bench: &dyn Bench) {
    for kind in [
        None,
        Some(EventKind::Unknown),
        Some(EventKind::Accepted),
        Some(EventKind::Adopted),
        Some(EventKind::ResolvedSent),
    ] {
        let scope = edition(kind.map_or("in flight", EventKind::name));
        let mut ledger = bench.write(&scope);
        freeze(&mut *ledger, &scope, &[call("s", 1), call("s", 2)]);
        if let Some(kind) = kind {
            ledger.append(&scope, &call("s", 1).id, &event(kind, 2)).expect("writes");
        }
        conflicts(&mut *ledger, &scope, |ledger| {
            ledger.freeze(&scope, &[], &[call("s", 1), call("s", 2)], &call("s", 2).id, &attempt(3))
        });
    }
}

fn what_is_kept_stays_and_the_rest_is_frozen_anew(bench: &dyn Bench) {
    let scope = scope();
    let mut ledger = bench.write(&scope);
    freeze(&mut *ledger, &scope, &[call("s", 1), call("s", 2), call("s", 3), call("s", 4)]);
    ledger.append(&scope, &call("s", 1).id, &event(EventKind::Accepted, 2)).expect("writes");
    ledger.append(&scope, &call("s", 2).id, &attempt(3)).expect("writes");
    let refused = Event { errcode: Some(40003), ..event(EventKind::Refused, 4) };
    ledger.append(&scope, &call("s", 2).id, &refused).expect("writes");
    let anew = [call_with("s", 2, "{\"anew\":2}"), call_with("s", 3, "{\"anew\":3}")];
    // What is kept is what the ledger knows as accepted or in doubt, and nothing of it is among the new.
    for kept in [&[][..], &[2], &[1, 2], &[1, 9]] {
        conflicts(&mut *ledger, &scope, |ledger| ledger.freeze(&scope, kept, &anew, &anew[0].id, &attempt(5)));
    }
    conflicts(&mut *ledger, &scope, |ledger| {
        ledger.freeze(&scope, &[1], &[call("s", 1)], &call("s", 1).id, &attempt(5))
    });
    ledger.freeze(&scope, &[1], &anew, &anew[0].id, &attempt(5)).expect("writes");
    let calls = ledger.calls(&scope).expect("reads");
    let now: Vec<_> = calls.iter().map(|call| (call.frozen.payload.as_str(), call.status, call.events.len())).collect();
    let first = call("s", 1).payload;
    let expected =
        [(first.as_str(), Status::Accepted, 2), ("{\"anew\":2}", IN_FLIGHT, 3), ("{\"anew\":3}", Status::Planned, 0)];
    assert_eq!(now, expected, "there is no fourth any more");
}

fn extending_adds_calls_and_touches_none(bench: &dyn Bench) {
    let scope = scope();
    let mut ledger = bench.write(&scope);
    // A step may begin so, too.
    take(&mut *ledger, &scope, &call("s", 1), 1);
    let more = [call("s", 2), call("s", 3)];
    ledger.extend(&scope, &more, &more[0].id, &attempt(2)).expect("writes");
    let all = [Status::Accepted, IN_FLIGHT, Status::Planned];
    assert_eq!(statuses(&*ledger, &scope).iter().map(|call| call.2).collect::<Vec<_>>(), all);
    conflicts(&mut *ledger, &scope, |ledger| {
        ledger.extend(&scope, &[call("s", 4), call("s", 3)], &call("s", 4).id, &attempt(3))
    });
}

fn an_event_follows_where_next_status_says_and_nowhere_else(bench: &dyn Bench) {
    let mut ledger = bench.write(&scope());
    let mut paths: Vec<Vec<EventKind>> = vec![Vec::new()];
    while let Some(path) = paths.pop() {
        for (kind, _) in EventKind::ALL {
            let scope = edition(&format!("{path:?} {kind:?}"));
            // The second call is played with: it can be planned.
            freeze(&mut *ledger, &scope, &[call("s", 1), call("s", 2)]);
            let id = call("s", 2).id;
            let mut status = Status::Planned;
            for before in &path {
                ledger.append(&scope, &id, &event(*before, 2)).expect("a legal path");
                status = next_status(status, *before).expect("a legal path");
            }
            match next_status(status, *kind) {
                Ok(next) => {
                    ledger.append(&scope, &id, &event(*kind, 3)).expect("it may follow");
                    assert_eq!(statuses(&*ledger, &scope)[1].2, next);
                    if path.len() < 2 {
                        paths.push([path.as_slice(), &[*kind]].concat());
                    }
                }
                Err(_) => {
                    conflicts(&mut *ledger, &scope, |ledger| ledger.append(&scope, &id, &event(*kind, 3)));
                }
            }
        }
    }
}

fn an_event_is_held_against_what_another_process_wrote(bench: &dyn Bench) {
    let scope = scope();
    let mut one = bench.write(&scope);
    let mut other = bench.intrude();
    freeze(&mut *one, &scope, &[call("s", 1), call("s", 2)]);
    conflicts(&mut *other, &scope, |other| other.freeze(&scope, &[], &[call("s", 1)], &call("s", 1).id, &attempt(1)));
    conflicts(&mut *other, &scope, |other| other.extend(&scope, &[call("s", 2)], &call("s", 2).id, &attempt(1)));
    other.append(&scope, &call("s", 1).id, &event(EventKind::Accepted, 2)).expect("it may follow");
    for kind in [EventKind::Attempted, EventKind::Accepted, EventKind::Refused, EventKind::Unknown] {
        conflicts(&mut *one, &scope, |one| one.append(&scope, &call("s", 1).id, &event(kind, 3)));
    }
    // What is not begun may be begun by either, once.
    one.append(&scope, &call("s", 2).id, &attempt(4)).expect("it may follow");
    other.append(&scope, &call("s", 2).id, &event(EventKind::Refused, 5)).expect("it may follow");
    conflicts(&mut *one, &scope, |one| one.append(&scope, &call("s", 2).id, &event(EventKind::NotSent, 6)));
}

fn an_event_of_a_call_that_is_not_frozen_is_refused(bench: &dyn Bench) {
    let scope = scope();
    let mut ledger = bench.write(&scope);
    freeze(&mut *ledger, &scope, &[call("s", 1)]);
    let keyed = CallId { key: Some("a".into()), ..call("s", 1).id };
    for id in [call("s", 2).id, call("t", 1).id, keyed] {
        conflicts(&mut *ledger, &scope, |ledger| ledger.append(&scope, &id, &attempt(2)));
    }
    conflicts(&mut *ledger, &scope, |ledger| ledger.extend(&scope, &[call("t", 1)], &call("u", 1).id, &attempt(2)));
}

fn calls_come_in_the_order_in_which_they_were_frozen(bench: &dyn Bench) {
    let scope = scope();
    let mut ledger = bench.write(&scope);
    freeze(&mut *ledger, &scope, &[call("b", 1), call("b", 2)]);
    freeze(&mut *ledger, &scope, &[call("a", 1)]);
    ledger.extend(&scope, &[call("b", 10), call("b", 9)], &call("b", 9).id, &attempt(2)).expect("writes");
    let names: Vec<_> = statuses(&*ledger, &scope).into_iter().map(|(name, chunk, _)| (name, chunk)).collect();
    let expected = [("b", 1), ("b", 2), ("a", 1), ("b", 10), ("b", 9)];
    assert_eq!(names, expected.map(|(name, chunk)| (name.to_owned(), chunk)));
}

fn scopes_have_nothing_to_do_with_each_other(bench: &dyn Bench) {
    let base = scope();
    let others = [
        Scope { platform: Platform::Loopback, ..base.clone() },
        Scope { appid: "wx2".into(), ..base.clone() },
        Scope { plan: "q".into(), ..base.clone() },
        Scope { occurrence: "twice".into(), ..base.clone() },
    ];
    for scope in [std::slice::from_ref(&base), &others].concat() {
        freeze(&mut *bench.write(&scope), &scope, &[call("s", 1)]);
    }
    let mut ledger = bench.write(&base);
    ledger.append(&base, &call("s", 1).id, &event(EventKind::Accepted, 2)).expect("writes");
    assert_eq!(only_status(&*ledger, &base), Status::Accepted);
    for other in others {
        assert_eq!(only_status(&*ledger, &other), IN_FLIGHT, "{other:?}");
    }
    assert_eq!(ledger.calls(&Scope { plan: "r".into(), ..base }).expect("reads"), []);
}

fn instances_of_a_step_have_nothing_to_do_with_each_other(bench: &dyn Bench) {
    let scope = scope();
    let mut ledger = bench.write(&scope);
    let keyed = |key: Option<&str>| FrozenCall {
        id: CallId { key: key.map(str::to_owned), ..call("s", 1).id },
        ..call("s", 1)
    };
    let keys = [None, Some("a"), Some("A"), Some("a "), Some("北京🫖")];
    for key in keys {
        freeze(&mut *ledger, &scope, &[keyed(key)]);
    }
    ledger.append(&scope, &keyed(Some("a")).id, &event(EventKind::Refused, 2)).expect("writes");
    freeze(&mut *ledger, &scope, &[keyed(Some("a"))]);
    let calls = ledger.calls(&scope).expect("reads");
    assert_eq!(calls.iter().map(|call| call.frozen.id.key.as_deref()).collect::<Vec<_>>(), keys, "none stays none");
    assert_eq!(calls.iter().map(|call| call.events.len()).collect::<Vec<_>>(), [1, 3, 1, 1, 1]);
}

fn what_is_read_is_what_was_written(bench: &dyn Bench) {
    let scope = Scope { plan: "春茶 🫖".into(), occurrence: "2026-03-01 '\"%_".into(), ..scope() };
    let mut ledger = bench.write(&scope);
    let payload = "{\"content\":\"明前龙井 🫖 𠮷\\n'\\\"; DROP TABLE calls; --\",\"touser\":[\"o1\"]}";
    let frozen = FrozenCall {
        id: CallId { step: "步骤".into(), key: Some("北京 '𠮷'".into()), chunk: u32::MAX },
        message_digest: Some("sha256:m".into()),
        recipients: Some(5_000_000_000),
        ..call_with("s", 1, payload)
    };
    let mut intent = Event { body: Some("{\"𠮷\":\"\\u0000 is text here\"}".into()), ..attempt(1) };
    intent.at = Timestamp::from_millisecond(1_772_416_800_123).expect("in range");
    ledger.freeze(&scope, &[], std::slice::from_ref(&frozen), &frozen.id, &intent).expect("writes");
    let unknown = Event {
        errcode: Some(-1),
        note: Some("系统繁忙 🫖\u{7f}\n\t".into()),
        msg_id: Some(u64::MAX),
        msg_data_id: Some(9_007_199_254_740_993),
        result: Some(String::new()),
        ..event(EventKind::Unknown, 2)
    };
    ledger.append(&scope, &frozen.id, &unknown).expect("writes");
    drop(ledger);
    let calls = bench.read().calls(&scope).expect("reads");
    assert_eq!(calls.len(), 1);
    assert_eq!((&calls[0].frozen, calls[0].events.as_slice()), (&frozen, [intent, unknown].as_slice()));
    for effect in Effect::ALL {
        let scope = edition(effect.1);
        let call = FrozenCall { effect: effect.0, ..call("s", 1) };
        freeze(&mut *bench.write(&scope), &scope, std::slice::from_ref(&call));
        assert_eq!(bench.read().calls(&scope).expect("reads")[0].frozen, call);
    }
}

fn an_outcome_with_a_nul_in_its_words_is_recorded(bench: &dyn Bench) {
    let scope = scope();
    let mut ledger = bench.write(&scope);
    freeze(&mut *ledger, &scope, &[call("s", 1)]);
    let words = Event { note: Some("a\0b".into()), result: Some("c\0d".into()), ..event(EventKind::Accepted, 2) };
    ledger.append(&scope, &call("s", 1).id, &words).expect("writes");
    let calls = bench.read().calls(&scope).expect("reads");
    let clean = |text: &Option<String>| text.as_deref().unwrap_or("").replace(['\0', '\u{fffd}'], "");
    let fact = calls[0].acceptance().expect("accepted");
    assert_eq!((clean(&fact.note), clean(&fact.result)), ("ab".to_owned(), "cd".to_owned()));
}

fn the_body_of_what_wechat_has_is_left_out_where_it_is_the_payload(bench: &dyn Bench) {
    let scope = scope();
    let mut ledger = bench.write(&scope);
    let preview = FrozenCall { effect: Effect::Preview, ..call("preview", 1) };
    let calls = [call("same", 1), call("other", 1), preview, call("unknown", 1)];
    for call in &calls {
        let own = call.id.step == "other";
        let body = if own { "{\"sent\":1}".to_owned() } else { call.payload.clone() };
        let intent = Event { body: Some(body), ..attempt(1) };
        ledger.freeze(&scope, &[], std::slice::from_ref(call), &call.id, &intent).expect("writes");
        let kind = if call.id.step == "unknown" { EventKind::Unknown } else { EventKind::Accepted };
        ledger.append(&scope, &call.id, &event(kind, 2)).expect("writes");
    }
    let read = ledger.calls(&scope).expect("reads");
    let bodies: Vec<_> = read.iter().map(|call| call.sent_body()).collect();
    assert_eq!(bodies, [None, Some("{\"sent\":1}"), Some("{\"n\":1}"), Some("{\"n\":1}")]);
}

fn usage_counts_what_wechat_took_of_an_account_over_all_plans(bench: &dyn Bench) {
    let plan = |plan: &str| Scope { plan: plan.into(), ..scope() };
    let mut ledger = bench.write(&scope());
    for (second, (effect, name)) in (10..).zip(Effect::ALL) {
        take(&mut *ledger, &plan(name), &FrozenCall { effect: *effect, ..call_with("s", 1, name) }, second);
    }
    for (kind, name) in EventKind::ALL.iter().filter(|(kind, _)| *kind != EventKind::GivenUp) {
        let of = plan(&format!("ends with {name}"));
        freeze(&mut *ledger, &of, &[call_with("s", 1, name)]);
        if *kind == EventKind::Named {
            ledger.append(&of, &call("s", 1).id, &event(EventKind::Accepted, 100)).expect("writes");
        }
        if *kind != EventKind::Attempted {
            ledger.append(&of, &call("s", 1).id, &event(*kind, 100)).expect("writes");
        }
    }
    drop(ledger);
    for other in [Scope { platform: Platform::Loopback, ..scope() }, Scope { appid: "wx2".into(), ..scope() }] {
        take(&mut *bench.write(&other), &other, &call("s", 1), 50);
    }
    let ledger = bench.read();
    let used = |platform: &str, appid: &str, since: i64| {
        let mut used = ledger.usage(platform, appid, at(since)).expect("reads");
        used.sort_by_key(|usage| (usage.at, usage.payload.clone()));
        used.into_iter().map(|usage| (usage.effect, usage.payload, usage.at)).collect::<Vec<_>>()
    };
    let mut expected: Vec<_> =
        (10..).zip(Effect::ALL).map(|(second, (effect, name))| (*effect, (*name).to_owned(), at(second))).collect();
    // One whose job was told later was taken once.
    let taken = ["accepted", "adopted", "named", "resolved_sent"];
    expected.extend(taken.map(|name| (Effect::Mass, name.to_owned(), at(100))));
    assert_eq!(used("wechat", "wx1", 10), expected);
    assert_eq!(used("wechat", "wx1", 11), expected[1..], "from that time on");
    assert_eq!(used("wechat", "wx2", 0), [(Effect::Mass, "{\"n\":1}".to_owned(), at(50))]);
    assert_eq!(used("sandbox", "wx1", 0), []);
}

fn mass_attempts_are_those_of_an_account_over_all_plans(bench: &dyn Bench) {
    let mut ledger = bench.write(&scope());
    for (plan, second) in [("p", 30), ("q", 10), ("r", 20)] {
        let scope = Scope { plan: plan.into(), ..scope() };
        let calls = [call("s", 1), call("s", 2)];
        ledger.freeze(&scope, &[], &calls, &calls[0].id, &attempt(second)).expect("writes");
        ledger.append(&scope, &calls[0].id, &event(EventKind::Refused, second + 1)).expect("writes");
    }
    let again = attempt(40);
    ledger.append(&scope(), &call("s", 1).id, &again).expect("writes");
    let upload = FrozenCall { effect: Effect::Media, ..call("upload", 1) };
    freeze(&mut *ledger, &scope(), &[upload]);
    drop(ledger);
    let other = Scope { platform: Platform::Sandbox, ..scope() };
    freeze(&mut *bench.write(&other), &other, &[call("s", 1)]);
    let ledger = bench.read();
    let times = |platform: &str, since: i64| ledger.mass_attempts(platform, "wx1", at(since)).expect("reads");
    assert_eq!(times("wechat", 0), [at(10), at(20), at(30), at(40)], "the earliest first");
    assert_eq!(times("wechat", 20), [at(20), at(30), at(40)], "from that time on");
    assert_eq!(times("sandbox", 0), [at(1)]);
    assert_eq!(ledger.mass_attempts("wechat", "wx2", at(0)).expect("reads"), []);
}

fn the_edition_before_is_the_one_that_was_frozen_last(bench: &dyn Bench) {
    let mut ledger = bench.write(&scope());
    let of = |step: &str, chunk: u32, recipients: Option<u64>| FrozenCall { recipients, ..call(step, chunk) };
    let now = edition("now");
    let before = |ledger: &dyn Ledger, scope: &Scope, step: &str, key: Option<&str>| {
        ledger.edition_before(scope, step, key).expect("reads")
    };
    let found = |occurrence: &str, recipients| Some(Edition { occurrence: occurrence.into(), recipients });
    assert_eq!(before(&*ledger, &now, "s", None), None);
    take(&mut *ledger, &edition("one"), &of("s", 1, Some(2)), 1);
    take(&mut *ledger, &edition("one"), &of("s", 2, Some(3)), 2);
    take(&mut *ledger, &edition("one"), &of("s", 3, None), 3);
    ledger.extend(&edition("one"), &[of("s", 4, Some(9))], &call("s", 4).id, &attempt(4)).expect("writes");
    ledger.append(&edition("one"), &call("s", 4).id, &event(EventKind::Refused, 4)).expect("writes");
    assert_eq!(before(&*ledger, &now, "s", None), found("one", 5), "what was accepted, and has a number");
    take(&mut *ledger, &edition("tags only"), &of("s", 1, None), 5);
    take(&mut *ledger, &now, &of("s", 1, Some(7)), 6);
    assert_eq!(before(&*ledger, &now, "s", None), found("one", 5), "another edition than this");
    assert_eq!(before(&*ledger, &edition("one"), "s", None), found("now", 7));
    // Earlier by the clock, and frozen later.
    freeze(&mut *ledger, &edition("two"), &[of("s", 1, Some(4))]);
    ledger.append(&edition("two"), &call("s", 1).id, &event(EventKind::ResolvedSent, 0)).expect("writes");
    assert_eq!(before(&*ledger, &now, "s", None), found("two", 4));
    assert_eq!(before(&*ledger, &now, "t", None), None);
    assert_eq!(before(&*ledger, &now, "s", Some("a")), None);
    for other in [
        Scope { platform: Platform::Loopback, ..now.clone() },
        Scope { appid: "wx2".into(), ..now.clone() },
        Scope { plan: "q".into(), ..now },
    ] {
        assert_eq!(before(&*ledger, &other, "s", None), None, "{other:?}");
    }
}

fn other_editions_are_those_of_the_plan_with_where_their_mass_calls_stand(bench: &dyn Bench) {
    let mut ledger = bench.write(&scope());
    freeze(&mut *ledger, &edition("one"), &[call("s", 1), call("s", 2)]);
    ledger.append(&edition("one"), &call("s", 1).id, &event(EventKind::Unknown, 5)).expect("writes");
    take(&mut *ledger, &edition("two"), &call("s", 1), 7);
    let upload = FrozenCall { effect: Effect::Media, ..call("upload", 1) };
    take(&mut *ledger, &edition("two"), &upload, 8);
    take(&mut *ledger, &edition("now"), &call("s", 1), 9);
    ledger.append(&edition("one"), &call("s", 2).id, &event(EventKind::GivenUp, 11)).expect("writes");
    for other in [
        Scope { platform: Platform::Loopback, ..edition("three") },
        Scope { appid: "wx2".into(), ..edition("three") },
        Scope { plan: "q".into(), ..edition("three") },
    ] {
        take(&mut *ledger, &other, &call("s", 1), 10);
    }
    let of = |occurrence: &str, chunk, status, second| EditionCall {
        occurrence: occurrence.into(),
        id: call("s", chunk).id,
        status,
        at: Some(at(second)),
    };
    let wanted =
        [of("one", 1, Status::Unknown, 5), of("one", 2, Status::GivenUp, 11), of("two", 1, Status::Accepted, 7)];
    assert_eq!(ledger.other_editions(&edition("now")).expect("reads"), wanted);
}

fn a_message_is_found_in_whatever_plan_and_edition(bench: &dyn Bench) {
    let mut ledger = bench.write(&scope());
    let says = |message: &str, call: FrozenCall| FrozenCall { message_digest: Some(message.into()), ..call };
    let plan = |plan: &str| Scope { plan: plan.into(), ..scope() };
    take(&mut *ledger, &plan("q"), &says("sha256:m", call("s", 1)), 1);
    freeze(&mut *ledger, &edition("one"), &[says("sha256:m", call("s", 1)), says("sha256:m", call("s", 2))]);
    take(&mut *ledger, &edition("two"), &says("sha256:other", call("s", 1)), 2);
    take(&mut *ledger, &edition("three"), &call("s", 1), 3);
    let preview = FrozenCall { effect: Effect::Preview, ..call("p", 1) };
    take(&mut *ledger, &edition("four"), &says("sha256:m", preview), 4);
    for other in [Scope { platform: Platform::Loopback, ..scope() }, Scope { appid: "wx2".into(), ..scope() }] {
        take(&mut *ledger, &other, &says("sha256:m", call("s", 1)), 5);
    }
    let found = |digests: &[&str]| {
        let digests: Vec<String> = digests.iter().map(|digest| (*digest).to_owned()).collect();
        ledger.with_messages("wechat", "wx1", &digests).expect("reads")
    };
    let with = |digest: &str, scope: Scope| (digest.to_owned(), scope);
    let (one, q, two) =
        (with("sha256:m", edition("one")), with("sha256:m", plan("q")), with("sha256:other", edition("two")));
    assert_eq!(found(&["sha256:m"]), [one.clone(), q.clone()]);
    assert_eq!(found(&["sha256:other", "sha256:none", "sha256:m"]), [one, q, two]);
    assert_eq!(found(&["sha256:none"]), []);
    assert_eq!(found(&[]), []);
}

fn an_upload_is_found_by_its_key_in_whatever_plan(bench: &dyn Bench) {
    let upload = |step: &str, key: &str| FrozenCall {
        idempotency_key: key.into(),
        effect: Effect::Media,
        recipients: None,
        ..call(step, 1)
    };
    let plan = |plan: &str| Scope { plan: plan.into(), ..scope() };
    let gives = |result: &str| Event { result: Some(result.into()), ..event(EventKind::Accepted, 2) };
    let mut ledger = bench.write(&scope());
    let mut make = |scope: &Scope, call: &FrozenCall, outcome: &Event| {
        freeze(&mut *ledger, scope, std::slice::from_ref(call));
        ledger.append(scope, &call.id, outcome).expect("writes");
    };
    make(&plan("p"), &upload("a", "leaf"), &gives("first"));
    make(&plan("q"), &upload("b", "leaf"), &gives("second"));
    make(&plan("r"), &upload("c", "leaf"), &event(EventKind::Accepted, 2));
    make(&plan("r"), &upload("d", "leaf"), &Event { kind: EventKind::Refused, ..gives("refused") });
    make(&plan("r"), &FrozenCall { idempotency_key: "send".into(), ..call("e", 1) }, &gives("a send"));
    drop(ledger);
    let ledger = bench.read();
    let found = |platform: &str, appid: &str, key: &str| ledger.uploaded(platform, appid, key).expect("reads");
    assert_eq!(found("wechat", "wx1", "leaf"), Some(gives("second")), "the newest that gave something");
    assert_eq!(found("wechat", "wx1", "lea"), None);
    assert_eq!(found("wechat", "wx1", "send"), None, "a mass call is no upload");
    assert_eq!((found("loopback", "wx1", "leaf"), found("wechat", "wx2", "leaf")), (None, None));
}

fn runs_are_listed_the_latest_first(bench: &dyn Bench) {
    let begin = |scope: &Scope, run: &str, second: i64| {
        bench.write(scope).begin_run(scope, run, "plan.yaml", "sha256:x", at(second)).expect("writes");
    };
    let rehearsal = Scope { platform: Platform::Sandbox, occurrence: "twice".into(), ..scope() };
    begin(&scope(), "r1", 20);
    begin(&rehearsal, "r2", 10);
    begin(&scope(), "r3", 20);
    begin(&Scope { plan: "q".into(), ..scope() }, "r4", 30);
    begin(&Scope { appid: "wx2".into(), ..scope() }, "r5", 30);
    let mut ledger = bench.write(&scope());
    ledger.end_run("r1", &ending("{\"a\":\"🫖\"}")).expect("writes");
    ledger.end_run("r1", &ending("{\"a\":2}")).expect("writes");
    ledger.end_run("nobody", &ending("{}")).expect("nothing to keep it with");
    assert!(ledger.begin_run(&scope(), "r1", "other.yaml", "sha256:y", at(40)).is_err(), "an id is new");
    let runs = ledger.runs("wx1", "p").expect("reads");
    assert_eq!(runs.iter().map(|run| run.run_id.as_str()).collect::<Vec<_>>(), ["r3", "r1", "r2"]);
    assert_eq!(runs.iter().map(|run| run.report.as_deref()).collect::<Vec<_>>(), [None, Some("{\"a\":2}"), None]);
    let run = &runs[2];
    assert_eq!((run.platform.name(), run.occurrence.as_str()), ("sandbox", "twice"));
    assert_eq!((run.path.as_str(), run.digest.as_str(), run.started_at), ("plan.yaml", "sha256:x", at(10)));
}

fn accounts_are_told_by_their_last_run_and_where_their_calls_stand(bench: &dyn Bench) {
    let of = |appid: &str| Scope { appid: appid.into(), ..scope() };
    let run = |scope: &Scope, run: &str, second: i64, ended: Option<(&str, u8)>| {
        let mut ledger = bench.write(scope);
        ledger.begin_run(scope, run, "plan.yaml", "sha256:x", at(second)).expect("writes");
        if let Some((outcome, exit_code)) = ended {
            ledger.end_run(run, &Ending { outcome, exit_code, report: "{}" }).expect("writes");
        }
    };
    run(&of("wx1"), "r1", 10, None);
    run(&of("wx1"), "r2", 20, Some(("unknown", 7)));
    run(&of("wx2"), "r3", 10, Some(("succeeded", 0)));
    run(&of("wx2"), "r4", 30, None);
    run(&Scope { platform: Platform::Sandbox, ..of("wx4") }, "r5", 10, None);
    run(&Scope { occurrence: "twice".into(), ..of("wx5") }, "r6", 10, None);
    run(&Scope { plan: "q".into(), ..of("wx6") }, "r7", 10, None);
    {
        let (first, third) = (of("wx1"), of("wx3"));
        let mut ledger = bench.write(&first);
        freeze(&mut *ledger, &first, &[call("s", 1), call("s", 2)]);
        take(&mut *ledger, &first, &call("t", 1), 2);
        take(&mut *ledger, &edition("twice"), &call("t", 1), 2);
        // What a person did beside the plan says nothing of where it stands.
        take(&mut *ledger, &first, &call("@delete t", 1), 2);
        drop(ledger);
        take(&mut *bench.write(&third), &third, &call("s", 1), 3);
    }
    let last = |run_id: &str, second: i64, ended: Option<(&str, u8)>| LastRun {
        run_id: run_id.into(),
        path: "plan.yaml".into(),
        digest: "sha256:x".into(),
        started_at: at(second),
        ended: ended.map(|(outcome, code)| (outcome.into(), code)),
    };
    let account = |appid: &str, run: Option<LastRun>, [accepted, in_doubt, open]: [u64; 3]| AccountRun {
        appid: appid.into(),
        run,
        accepted,
        in_doubt,
        open,
    };
    let found = bench.read().accounts("wechat", "p", "once").expect("reads");
    let expected = [
        account("wx1", Some(last("r2", 20, Some(("unknown", 7)))), [1, 1, 1]),
        account("wx2", Some(last("r4", 30, None)), [0, 0, 0]),
        account("wx3", None, [1, 0, 0]),
    ];
    assert_eq!(found, expected);
}

fn damage_is_an_error_that_names_the_step(bench: &dyn Bench) {
    use Damage::{Body, Effect, Kind as NoKind, Number, Order, Payload, Recipients, Time};
    let mut seen = 0;
    for damage in [Payload, Body, NoKind, Number, Order, Recipients, Time, Effect] {
        let scope = edition(&format!("{damage:?}"));
        take(&mut *bench.write(&scope), &scope, &call("leaf", 1), 1);
        assert_eq!(only_status(&*bench.read(), &scope), Status::Accepted);
        if bench.damage(&scope, damage) {
            seen += 1;
            let error = bench.read().calls(&scope).expect_err("it makes no sense");
            assert!(matches!(error, LedgerError::Damaged { .. }), "{damage:?}: {error}");
            assert!(error.to_string().contains("`leaf`"), "{damage:?}: {error}");
            let used = bench.read().usage("wechat", "wx1", at(0));
            // What counts against the quota is not guessed, and not left out.
            let counts = matches!(damage, Time | Effect);
            assert!(!counts || matches!(used, Err(LedgerError::Damaged { .. })), "{damage:?}: {used:?}");
            let times = bench.read().mass_attempts("wechat", "wx1", Timestamp::MIN);
            assert!(!matches!(damage, Time) || matches!(times, Err(LedgerError::Damaged { .. })), "{times:?}");
        }
        let sound = edition(&format!("beside {damage:?}"));
        take(&mut *bench.write(&sound), &sound, &call("leaf", 1), 1);
        assert_eq!(only_status(&*bench.read(), &sound), Status::Accepted, "others are as they were");
    }
    assert!(seen > 0, "events in an order that cannot be at least");
}

fn holder(store: &dyn Store, appid: &str) -> Option<Option<Owner>> {
    store.holder(appid).expect("looks")
}

fn an_account_has_one_writer_and_says_who(bench: &dyn StoreBench) {
    let store = bench.store();
    assert_eq!(holder(&*store, "wx1"), None);
    let writer = store.write("wechat", "wx1", &owner()).expect("free");
    let held = |result: Result<Box<dyn Ledger>, WriteError>| match result {
        Err(WriteError::Held(owner)) => owner,
        Err(error) => panic!("{}", error.words()),
        Ok(_) => panic!("two writers"),
    };
    let late = Owner { pid: 8, ..owner() };
    assert_eq!(held(store.write("wechat", "wx1", &late)), Some(owner()));
    assert_eq!(held(bench.store().write("sandbox", "wx1", &late)), Some(owner()), "whatever the platform");
    assert_eq!(holder(&*bench.store(), "wx1"), Some(Some(owner())));
    let other = store.write("wechat", "wx2", &late).expect("another account has a lock of its own");
    assert_eq!((holder(&*store, "wx2"), holder(&*store, "wx3")), (Some(Some(late.clone())), None));
    assert!(store.read().expect("reads").is_some(), "who reads needs no lock");
    drop(writer);
    assert_eq!(holder(&*store, "wx1"), None);
    drop(store.write("wechat", "wx1", &late).expect("free again"));
    drop(other);
}

/// What another process of the test below holds the lock of, until it is told to stop.
const HOLDS: &str = "CONFORMANCE_HOLDS_A_LOCK_OF";

fn hold_a_lock(name: &str) {
    let this = Owner { pid: std::process::id(), ..owner() };
    let _writer = open::named(name, no_password()).expect("a name").write("wechat", "wx1", &this).expect("free");
    std::io::stdout().write_all(b"held\n").expect("somebody reads");
    std::io::stdin().read_to_end(&mut Vec::new()).expect("a pipe");
}

fn a_lock_dies_with_its_process(bench: &dyn StoreBench) {
    if let Ok(name) = std::env::var(HOLDS) {
        return hold_a_lock(&name);
    }
    let this = std::env::current_exe().expect("a test");
    let test = format!("conformance::{}::a_lock_dies_with_its_process", bench.module());
    let mut child = Command::new(this)
        .args([&test, "--exact", "--nocapture"])
        .env(HOLDS, bench.name())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut said = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    assert!(said.any(|line| line.is_ok_and(|line| line.ends_with("held"))), "it has the lock");
    let store = bench.store();
    let other = Owner { pid: child.id(), ..owner() };
    assert_eq!(holder(&*store, "wx1"), Some(Some(other)));
    assert!(matches!(store.write("wechat", "wx1", &owner()), Err(WriteError::Held(Some(_)))));
    child.kill().expect("ours");
    child.wait().expect("ours");
    assert_eq!(holder(&*store, "wx1"), None);
    assert!(store.write("wechat", "wx1", &owner()).is_ok());
}

/// What another process of the test below writes to.
const RACES: &str = "CONFORMANCE_RACES_ON";
const RACED: usize = 40;

/// A ledger that is written by who does not have its lock.
fn past_the_lock(name: &str) -> Box<dyn Ledger> {
    match name.strip_prefix("sqlite:") {
        Some(path) => Box::new(Sqlite::open(path.as_ref()).expect("opens")),
        None => Box::new(Postgres::open(name, no_password()).expect("opens")),
    }
}

/// Tries to freeze, to extend and to accept each of many, past the lock; how often it was first.
fn race(name: &str) -> [usize; 3] {
    let mut ledger = past_the_lock(name);
    let mut first = [0; 3];
    let mut count = |kind: usize, written: Result<(), LedgerError>| match written {
        Ok(()) => first[kind] += 1,
        Err(LedgerError::Conflict { .. }) => {}
        Err(error) => panic!("{error}"),
    };
    for number in 0..RACED {
        let [frozen, more, taken] = ["frozen", "more", "taken"].map(|what| call(&format!("{what}{number}"), 1));
        count(0, ledger.freeze(&scope(), &[], std::slice::from_ref(&frozen), &frozen.id, &attempt(2)));
        count(1, ledger.extend(&scope(), std::slice::from_ref(&more), &more.id, &attempt(2)));
        count(2, ledger.append(&scope(), &taken.id, &event(EventKind::Accepted, 2)));
    }
    first
}

fn what_may_follow_once_follows_once_whichever_process_writes_it(bench: &dyn StoreBench) {
    if let Ok(name) = std::env::var(RACES) {
        std::io::stdout().write_all(b"\nready\n").expect("somebody reads");
        std::io::stdin().read_to_end(&mut Vec::new()).expect("a pipe");
        let first = race(&name);
        let said = format!("\nfirst {} {} {}\n", first[0], first[1], first[2]);
        std::io::stdout().write_all(said.as_bytes()).expect("somebody reads");
        return;
    }
    for number in 0..RACED {
        freeze(&mut *bench.write(&scope()), &scope(), &[call(&format!("taken{number}"), 1)]);
    }
    let this = std::env::current_exe().expect("a test");
    let test =
        format!("conformance::{}::what_may_follow_once_follows_once_whichever_process_writes_it", bench.module());
    let start = |_| {
        let mut command = Command::new(&this);
        command.args([&test, "--exact", "--nocapture"]).env(RACES, bench.name());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("starts")
    };
    let mut children = [0, 1].map(start);
    let mut said = children.each_mut().map(|child| BufReader::new(child.stdout.take().expect("a pipe")).lines());
    for lines in &mut said {
        assert!(lines.any(|line| line.is_ok_and(|line| line == "ready")), "it is there");
    }
    // Both begin now.
    children.iter_mut().for_each(|child| drop(child.stdin.take()));
    let mut all = [0; 3];
    for lines in &mut said {
        let first = lines.find_map(|line| line.ok()?.strip_prefix("first ").map(str::to_owned)).expect("it ended well");
        for (sum, count) in all.iter_mut().zip(first.split(' ')) {
            *sum += count.parse::<usize>().expect("a number");
        }
    }
    for child in &mut children {
        child.wait().expect("ours");
    }
    assert_eq!(all, [RACED; 3], "frozen, extended, accepted");
    assert_eq!(bench.read().calls(&scope()).expect("reads").len(), 3 * RACED);
}

/// A token that is shared wherever the store is.
fn key() -> TokenKey<'static> {
    static SECRET: std::sync::LazyLock<Secret> = std::sync::LazyLock::new(|| Secret::new("a secret".into()));
    TokenKey { appid: "wx1", base: "https://a", endpoint: "classic", seal: Some(&SECRET) }
}

fn token(value: &str, second: i64) -> Token {
    Token { value: Secret::new(value.to_owned()), good_until: at(second) }
}

fn a_token_is_fetched_by_one_at_a_time(bench: &dyn StoreBench) {
    let (inside, name) = (AtomicBool::new(false), bench.name());
    let fetch_some = || {
        let tokens = open::named(&name, no_password()).expect("a name").tokens(key(), queue());
        for _ in 0..20 {
            let mut next = |saved: Option<Token>| {
                assert!(!inside.swap(true, Ordering::SeqCst), "two fetch at once");
                std::thread::yield_now();
                let last = saved.map_or(0, |token| token.value.expose().parse().expect("a number"));
                inside.store(false, Ordering::SeqCst);
                Ok(token(&format!("{}", last + 1), 1))
            };
            tokens.exclusively(&mut next).expect("fetched");
        }
    };
    drop(bench.store().write("wechat", "wx1", &owner()).expect("makes it"));
    std::thread::scope(|threads| {
        let all = [(); 4].map(|()| threads.spawn(fetch_some));
        all.into_iter().for_each(|thread| thread.join().expect("no panic"));
    });
    assert_eq!(
        bench.store().tokens(key(), queue()).saved(),
        Ok(Some(token("80", 1))),
        "each saw what the one before had saved"
    );
}

fn tokens_are_kept_apart_and_forgotten(bench: &dyn StoreBench) {
    let store = bench.store();
    drop(store.write("wechat", "wx1", &owner()).expect("makes it"));
    let keys = [
        key(),
        TokenKey { appid: "wx2", ..key() },
        TokenKey { base: "https://b", ..key() },
        TokenKey { endpoint: "authorizer", ..key() },
    ];
    for (second, key) in (1..).zip(keys) {
        assert_eq!(store.tokens(key, queue()).saved(), Ok(None));
        let given = store.tokens(key, queue()).exclusively(&mut |saved| {
            assert_eq!(saved, None);
            Ok(token("t", second))
        });
        assert_eq!(given, Ok(token("t", second)));
    }
    for (second, key) in (1..).zip(keys) {
        assert_eq!(bench.store().tokens(key, queue()).saved(), Ok(Some(token("t", second))), "{key:?}");
    }
    let other = Impatient::default();
    let held = store.tokens(key(), queue()).exclusively(&mut |saved| {
        let waited = bench.store().tokens(key(), Box::new(&other)).exclusively(&mut |_| Ok(token("two", 1)));
        assert_eq!(waited, Err(TokenError::Interrupted), "who does not want to wait does not");
        saved.ok_or(TokenError::Interrupted)
    });
    assert_eq!((held, other.0.take()), (Ok(token("t", 1)), Some(owner())), "and knows for whom");
    let failed = store.tokens(key(), queue()).exclusively(&mut |_| Err(TokenError::Interrupted));
    assert_eq!(failed, Err(TokenError::Interrupted));
    assert_eq!(store.tokens(key(), queue()).saved(), Ok(Some(token("t", 1))), "what is saved stays");
    let mut all = store.all_tokens().expect("reads");
    all.sort_by_key(|saved| saved.good_until);
    let all: Vec<_> = all.iter().map(|saved| (saved.appid.as_str(), saved.base.as_str(), saved.good_until)).collect();
    let (a, b) = ("https://a", "https://b");
    assert_eq!(all, [("wx1", a, at(1)), ("wx2", a, at(2)), ("wx1", b, at(3)), ("wx1", a, at(4))]);
    assert_eq!((store.tokens(key(), queue()).forget(), store.tokens(key(), queue()).forget()), (Ok(true), Ok(false)));
    assert_eq!((store.tokens(key(), queue()).saved(), store.all_tokens().expect("reads").len()), (Ok(None), 3));
    store.forget_all_tokens(&*queue()).expect("writes");
    assert_eq!(store.all_tokens().expect("reads"), []);
}

fn what_is_kept_beside_a_token_outlives_it(bench: &dyn StoreBench) {
    let store = bench.store();
    drop(store.write("wechat", "wx1", &owner()).expect("makes it"));
    let other = TokenKey { appid: "wx2", ..key() };
    let kept = |key| bench.store().tokens(key, queue()).kept();
    assert_eq!((kept(key()), kept(other)), (Ok(None), Ok(None)));
    for text in ["1 a", "1 b"] {
        let tokens = store.tokens(key(), queue());
        let given = tokens.exclusively(&mut |_| {
            tokens.keep(text)?;
            // Somebody else sees it even if no token comes of it.
            assert_eq!(kept(key()), Ok(Some(text.to_owned())));
            Err(TokenError::Interrupted)
        });
        assert_eq!((given, tokens.saved()), (Err(TokenError::Interrupted), Ok(None)));
    }
    assert_eq!(store.all_tokens().expect("reads"), [], "it is no token");
    store.tokens(key(), queue()).exclusively(&mut |_| Ok(token("t", 1))).expect("saved");
    assert_eq!(store.tokens(key(), queue()).forget(), Ok(true));
    store.forget_all_tokens(&*queue()).expect("writes");
    assert_eq!((kept(key()), kept(other)), (Ok(Some("1 b".to_owned())), Ok(None)));
}

fn a_store_is_made_by_who_writes_and_by_nobody_else(bench: &dyn StoreBench) {
    let store = bench.store();
    assert!(store.read().expect("looks").is_none());
    assert_eq!(store.examine().expect("looks"), None);
    assert_eq!(
        (holder(&*store, "wx1"), store.tokens(key(), queue()).saved(), store.all_tokens().expect("reads")),
        (None, Ok(None), Vec::new())
    );
    assert_eq!(store.tokens(key(), queue()).forget(), Ok(false));
    store.forget_all_tokens(&*queue()).expect("there is nothing");
    assert!(bench.kept().is_empty());
    drop(store.write("wechat", "wx1", &owner()).expect("makes it"));
    assert!(
        store.read().expect("reads").is_some_and(|ledger| ledger.calls(&scope()).is_ok_and(|calls| calls.is_empty()))
    );
    let health = store.examine().expect("looks").expect("is there");
    assert_eq!(
        (health.format, health.newest, health.damage, health.warnings),
        (bench.newest(), bench.newest(), vec![], vec![])
    );
}

fn a_newer_format_is_refused_and_left_as_it_is(bench: &dyn StoreBench) {
    freeze(&mut *bench.write(&scope()), &scope(), &[call("s", 1)]);
    bench.make_newer();
    let (store, before) = (bench.store(), bench.kept());
    let newer = |error: Option<LedgerError>| match error {
        Some(LedgerError::Newer { found, known, .. }) => assert!(found > known && known == bench.newest()),
        other => panic!("{other:?}"),
    };
    newer(store.read().err());
    newer(store.examine().err());
    newer(match store.write("wechat", "wx1", &owner()) {
        Err(WriteError::Ledger(error)) => Some(error),
        _ => None,
    });
    assert_eq!(holder(&*store, "wx1"), None, "who is refused holds no lock");
    assert!(bench.kept() == before, "it was touched");
}

fn what_is_of_another_program_is_refused_and_left_as_it_is(bench: &dyn StoreBench) {
    bench.make_foreign();
    let (store, before) = (bench.store(), bench.kept());
    assert!(matches!(store.read().err(), Some(LedgerError::Damaged { .. })));
    assert!(matches!(store.examine(), Err(LedgerError::Damaged { .. })));
    let written = store.write("wechat", "wx1", &owner());
    assert!(matches!(written.err(), Some(WriteError::Ledger(LedgerError::Damaged { .. }))));
    assert!(bench.kept() == before, "it was touched");
}

fn observation(subject: &str, at: i64, body: &str) -> Observation {
    let at = Timestamp::from_millisecond(at).expect("in range");
    Observation { kind: "EVENT".into(), subject: subject.into(), at, body: body.into() }
}

fn what_is_said_of_an_account_is_kept_once(bench: &dyn Bench) {
    let mut ledger = bench.write(&scope());
    let (first, second) = (observation("7", 1, "{\"群发\":1}"), observation("8", 2, "b"));
    assert_eq!(ledger.observe("wechat", "wx1", &[first.clone(), second.clone()]).expect("writes"), 2);
    // Pushed again, later: the same is not new; other words of the same job are.
    let again = [observation("7", 9, "{\"群发\":1}"), observation("7", 10, "c"), observation("7", 11, "c")];
    assert_eq!(ledger.observe("wechat", "wx1", &again).expect("writes"), 1);
    let other = Observation { kind: "OTHER".into(), ..first.clone() };
    assert_eq!(ledger.observe("wechat", "wx1", std::slice::from_ref(&other)).expect("writes"), 1);
    assert_eq!(ledger.observe("loopback", "wx1", std::slice::from_ref(&first)).expect("writes"), 1);
    assert_eq!(ledger.observe("wechat", "wx2", std::slice::from_ref(&first)).expect("writes"), 1);
    assert_eq!(ledger.observe("wechat", "wx1", &[]).expect("writes"), 0);
    drop(ledger);
    let ledger = bench.read();
    let all = ledger.observations("wechat", "wx1", "EVENT", None).expect("reads");
    assert_eq!(all, [first.clone(), second.clone(), again[1].clone()], "in the order in which it was said");
    let about = |subjects: &[&str]| {
        let subjects: Vec<String> = subjects.iter().map(|subject| (*subject).to_owned()).collect();
        ledger.observations("wechat", "wx1", "EVENT", Some(&subjects)).expect("reads")
    };
    assert_eq!(about(&["8", "9", "8"]), [second]);
    assert_eq!(about(&["7"]), [first, again[1].clone()]);
    assert_eq!(about(&[]), []);
    assert_eq!(ledger.observations("wechat", "wx1", "OTHER", None).expect("reads"), [other]);
}

fn what_is_said_is_there_after_a_power_cut(bench: &dyn Bench) {
    let mut ledger = bench.write(&scope());
    ledger.observe("wechat", "wx1", &[observation("7", 1, "a")]).expect("writes");
    bench.cut_power();
    drop(ledger);
    let kept = bench.read().observations("wechat", "wx1", "EVENT", None).expect("reads");
    assert_eq!(kept, [observation("7", 1, "a")]);
}

fn what_is_said_waits_for_no_run(bench: &dyn StoreBench) {
    let store = bench.store();
    // Who listens may be the first.
    let mut listener = store.observe().map_err(|error| error.words()).expect("opens");
    let mut run = bench.write(&scope());
    freeze(&mut *run, &scope(), &[call("announce", 1)]);
    for number in 0..20 {
        let id = CallId { step: "announce".into(), key: None, chunk: 1 };
        let seen = [observation(&number.to_string(), number, "a")];
        assert_eq!(listener.observe("wechat", "wx1", &seen).expect("writes"), 1);
        let kind = if number % 2 == 0 { EventKind::NotSent } else { EventKind::Attempted };
        run.append(&scope(), &id, &event(kind, number)).expect("writes");
    }
    assert!(matches!(store.write("wechat", "wx1", &owner()).err(), Some(WriteError::Held(_))), "the run has its lock");
    drop((run, listener));
    let read = bench.read();
    assert_eq!(read.observations("wechat", "wx1", "EVENT", None).expect("reads").len(), 20);
    assert_eq!(read.calls(&scope()).expect("reads")[0].events.len(), 21);
}

/// SQLite. A power cut is played by what is in its files at that instant: this shows that a write that returned is in them,
/// whole, and needs no more of its process; that it was synced cannot be seen so, and a test beside the code of the store
/// holds what SQLite is told about it.
struct SqliteBench {
    folder: tempfile::TempDir,
    path: RefCell<PathBuf>,
}

impl SqliteBench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = RefCell::new(folder.path().join("state.db"));
        Self { folder, path }
    }

    fn path(&self) -> PathBuf {
        self.path.borrow().clone()
    }

    fn execute(&self, statements: &str) {
        Connection::open(self.path()).expect("opens").execute_batch(statements).expect("writes");
    }
}

impl Bench for SqliteBench {
    fn write(&self, scope: &Scope) -> Box<dyn Ledger + '_> {
        self.store().write(scope.platform.name(), &scope.appid, &owner()).expect("opens")
    }

    fn intrude(&self) -> Box<dyn Ledger + '_> {
        Box::new(Sqlite::open(&self.path()).expect("opens"))
    }

    fn read(&self) -> Box<dyn Ledger + '_> {
        self.store().read().expect("opens").expect("is there")
    }

    fn cut_power(&self) {
        let folder = tempfile::tempdir_in(self.folder.path()).expect("a folder").keep();
        let old = self.path();
        for name in ["state.db", "state.db-wal"] {
            fs::copy(old.with_file_name(name), folder.join(name)).expect("is there");
        }
        self.path.replace(folder.join("state.db"));
    }

    fn damage(&self, scope: &Scope, damage: Damage) -> bool {
        self.execute(&damage.in_sql(scope, ["", ""]));
        true
    }
}

impl StoreBench for SqliteBench {
    fn module(&self) -> &'static str {
        "sqlite"
    }

    fn name(&self) -> String {
        format!("sqlite:{}", self.path().display())
    }

    fn kept(&self) -> Vec<u8> {
        let path = self.path();
        let files = ["state.db", "state.db-wal"].map(|name| fs::read(path.with_file_name(name)).unwrap_or_default());
        files.concat()
    }

    fn make_newer(&self) {
        self.execute("PRAGMA user_version = 99");
    }

    fn newest(&self) -> i64 {
        FORMAT
    }

    fn make_foreign(&self) {
        self.execute("PRAGMA application_id = 7; CREATE TABLE calls (id INTEGER)");
    }
}

/// The ledger in memory of the fault test, which knows what a power cut takes. Its words are types, and its bytes do not rot.
#[derive(Default)]
struct BookBench(Memory);

impl Bench for BookBench {
    fn write(&self, _: &Scope) -> Box<dyn Ledger + '_> {
        self.read()
    }

    fn intrude(&self) -> Box<dyn Ledger + '_> {
        self.read()
    }

    fn read(&self) -> Box<dyn Ledger + '_> {
        Box::new(self.0.open(&Calm))
    }

    fn cut_power(&self) {
        self.0.cut_power();
    }

    fn damage(&self, scope: &Scope, damage: Damage) -> bool {
        let Damage::Order = damage else { return false };
        let spoil = |row: &mut Row| row.events.push(event(EventKind::Refused, 3));
        self.0.spoil(|rows| rows.iter_mut().filter(|row| row.scope == *scope).for_each(spoil));
        true
    }
}

/// PostgreSQL. A power cut is an immediate end of the server: what was not in its log is lost.
struct PostgresBench {
    schema: Schema,
    /// The server is one that may be ended.
    crashing: Option<Crashing>,
}

impl PostgresBench {
    /// In another process of a test, the schema is the one of the first.
    fn new() -> Option<Self> {
        Some(Self { schema: Schema::new()?, crashing: None })
    }

    fn crashing() -> Option<Self> {
        let server = Crashing::new()?;
        Some(Self { schema: Schema::on(&server.address), crashing: Some(server) })
    }
}

impl Bench for PostgresBench {
    fn write(&self, scope: &Scope) -> Box<dyn Ledger + '_> {
        self.store().write(scope.platform.name(), &scope.appid, &owner()).map_err(|error| error.words()).expect("opens")
    }

    fn intrude(&self) -> Box<dyn Ledger + '_> {
        past_the_lock(&self.name())
    }

    fn read(&self) -> Box<dyn Ledger + '_> {
        self.store().read().expect("opens").expect("is there")
    }

    fn cut_power(&self) {
        self.crashing.as_ref().expect("a server that may be ended").crash();
    }

    fn damage(&self, scope: &Scope, damage: Damage) -> bool {
        self.schema.sql(&damage.in_sql(scope, [", epoch", ", 1"]));
        true
    }
}

impl StoreBench for PostgresBench {
    fn module(&self) -> &'static str {
        "postgres"
    }

    fn name(&self) -> String {
        self.schema.address()
    }

    fn kept(&self) -> Vec<u8> {
        let tables =
            "SELECT coalesce(string_agg(relname::text || relkind::text, ',' ORDER BY relname), '') FROM pg_class c
            JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = current_schema()";
        let mut kept = self.schema.sql(tables);
        if kept.contains("eventsr") {
            for table in ["format", "accounts", "runs", "calls", "events", "observations", "tokens"] {
                kept.push_str(&self.schema.sql(&format!("SELECT t.* FROM {table} t ORDER BY t")));
            }
        }
        kept.into_bytes()
    }

    fn make_newer(&self) {
        self.schema.sql("INSERT INTO format VALUES (99)");
    }

    fn newest(&self) -> i64 {
        POSTGRES_FORMAT
    }

    fn make_foreign(&self) {
        let name = &self.schema.name;
        self.schema.sql(&format!("CREATE SCHEMA {name}; CREATE TABLE {name}.calls (id INTEGER)"));
    }
}

/// Each check once for each store.
macro_rules! over_every_store {
    (ledger: $($check:ident)* ; crash: $($of_crash:ident)* ; store: $($of_store:ident)*) => {
        mod in_memory {
            $(#[test] fn $check() { super::$check(&super::BookBench::default()); })*
            $(#[test] fn $of_crash() { super::$of_crash(&super::BookBench::default()); })*
        }
        mod sqlite {
            $(#[test] fn $check() { super::$check(&super::SqliteBench::new()); })*
            $(#[test] fn $of_crash() { super::$of_crash(&super::SqliteBench::new()); })*
            $(#[test] fn $of_store() { super::$of_store(&super::SqliteBench::new()); })*
        }
        mod postgres {
            $(#[test] fn $check() { super::PostgresBench::new().iter().for_each(|bench| super::$check(bench)); })*
            $(#[test] fn $of_crash() { super::PostgresBench::crashing().iter().for_each(|bench| super::$of_crash(bench)); })*
            $(#[test] fn $of_store() { super::PostgresBench::new().iter().for_each(|bench| super::$of_store(bench)); })*
        }
    };
}

over_every_store! {
    ledger:
        freezing_again_replaces_what_was_never_attempted
        a_call_that_is_planned_anew_keeps_its_key_and_is_what_it_is_now
        a_step_that_is_accepted_or_in_doubt_is_not_frozen_again
        what_is_kept_stays_and_the_rest_is_frozen_anew
        extending_adds_calls_and_touches_none
        an_event_follows_where_next_status_says_and_nowhere_else
        an_event_is_held_against_what_another_process_wrote
        an_event_of_a_call_that_is_not_frozen_is_refused
        calls_come_in_the_order_in_which_they_were_frozen
        scopes_have_nothing_to_do_with_each_other
        instances_of_a_step_have_nothing_to_do_with_each_other
        what_is_read_is_what_was_written
        an_outcome_with_a_nul_in_its_words_is_recorded
        the_body_of_what_wechat_has_is_left_out_where_it_is_the_payload
        usage_counts_what_wechat_took_of_an_account_over_all_plans
        mass_attempts_are_those_of_an_account_over_all_plans
        the_edition_before_is_the_one_that_was_frozen_last
        other_editions_are_those_of_the_plan_with_where_their_mass_calls_stand
        a_message_is_found_in_whatever_plan_and_edition
        an_upload_is_found_by_its_key_in_whatever_plan
        runs_are_listed_the_latest_first
        accounts_are_told_by_their_last_run_and_where_their_calls_stand
        what_is_said_of_an_account_is_kept_once
        damage_is_an_error_that_names_the_step;
    crash:
        an_intent_is_there_after_a_power_cut
        an_outcome_other_than_acceptance_is_there_after_a_power_cut
        a_run_and_its_report_are_there_after_a_power_cut
        what_is_said_is_there_after_a_power_cut
        an_acceptance_is_in_doubt_until_the_next_write_or_sync;
    store:
        an_account_has_one_writer_and_says_who
        a_lock_dies_with_its_process
        what_is_said_waits_for_no_run
        what_may_follow_once_follows_once_whichever_process_writes_it
        a_store_is_made_by_who_writes_and_by_nobody_else
        a_newer_format_is_refused_and_left_as_it_is
        what_is_of_another_program_is_refused_and_left_as_it_is
        a_token_is_fetched_by_one_at_a_time
        tokens_are_kept_apart_and_forgotten
        what_is_kept_beside_a_token_outlives_it
}
