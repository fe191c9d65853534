//! A ledger in memory that behaves as the one in SQLite does. It outlives the processes that open it, and can lose what
//! was not synced.

use std::{cell::RefCell, collections::BTreeMap};

use jiff::Timestamp;
use qunfa::ledger::{
    AccountRun, CallId, CallRecord, Edition, EditionCall, Ending, Event, EventKind, FrozenCall, LastRun, Ledger,
    LedgerError, Observation, RunRecord, Scope, Status, Usage, next_status,
};
use qunfa::locale::Phrase;

/// What may go wrong with a write.
pub(crate) trait Hazard {
    /// Makes the write, or does not, and says what its caller is told.
    fn around(&self, write: &mut dyn FnMut() -> Result<(), LedgerError>) -> Result<(), LedgerError>;
}

/// Nothing goes wrong.
pub(crate) struct Calm;

impl Hazard for Calm {
    fn around(&self, write: &mut dyn FnMut() -> Result<(), LedgerError>) -> Result<(), LedgerError> {
        write()
    }
}

/// A run, and its outcome and exit code once it ended.
type Ran = (Scope, RunRecord, Option<(String, u8)>);

/// A call with its scope and its events, in the order in which they were written.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) scope: Scope,
    pub(crate) frozen: FrozenCall,
    pub(crate) events: Vec<Event>,
}

impl Row {
    fn is(&self, scope: &Scope, id: &CallId) -> bool {
        self.scope == *scope && self.frozen.id == *id
    }

    fn has_step(&self, scope: &Scope, id: &CallId) -> bool {
        self.scope == *scope && self.frozen.id.step == id.step && self.frozen.id.key == id.key
    }

    fn has_account(&self, platform: &str, appid: &str) -> bool {
        self.scope.platform.name() == platform && self.scope.appid == appid
    }

    /// Where the call stands; an error if its events cannot follow each other.
    pub(crate) fn status(&self) -> Result<Status, LedgerError> {
        let step = |status, event: &Event| next_status(status, event.kind);
        let status = self.events.iter().try_fold(Status::Planned, step);
        status.map_err(|illegal| damaged(format!("step `{}`: {}", self.frozen.id.step, illegal.words())))
    }

    /// What is read of it: the body of what WeChat has is not, where it is the payload.
    fn record(&self) -> Result<CallRecord, LedgerError> {
        let last = self.events.last().map(|event| event.kind);
        let done = self.frozen.is_mass() && matches!(last, Some(EventKind::Accepted | EventKind::Adopted));
        let events = self.events.iter().map(|event| {
            let twice = done && event.body.as_ref() == Some(&self.frozen.payload);
            if twice { Event { body: None, ..bare(event) } } else { event.clone() }
        });
        let record = CallRecord::new(self.frozen.clone(), events.collect());
        record.map_err(|illegal| damaged(format!("step `{}`: {}", self.frozen.id.step, illegal.words())))
    }
}

/// An event without its body, which may be long.
fn bare(event: &Event) -> Event {
    Event {
        errcode: event.errcode,
        note: event.note.clone(),
        msg_id: event.msg_id,
        msg_data_id: event.msg_data_id,
        result: event.result.clone(),
        ..Event::new(event.kind, event.at, &event.run_id)
    }
}

/// The medium: what is written, and which part of it a power cut would take.
#[derive(Default)]
pub(crate) struct Store(RefCell<State>);

#[derive(Default)]
struct State {
    rows: Vec<Row>,
    /// With outcome and exit code, once they ended.
    runs: Vec<Ran>,
    /// The calls whose last event is written and not on disk, in the order of writing.
    unsynced: Vec<(Scope, CallId)>,
    observed: Vec<Observed>,
}

/// What was said about an account apart from its calls.
struct Observed {
    platform: String,
    appid: String,
    seen: Observation,
}

impl Observed {
    fn is_of(&self, platform: &str, appid: &str, kind: &str) -> bool {
        self.platform == platform && self.appid == appid && self.seen.kind == kind
    }
}

impl Store {
    /// A process opens it.
    pub(crate) fn open<'a>(&'a self, hazard: &'a dyn Hazard) -> Book<'a> {
        Book { store: self, hazard, unsynced: false }
    }

    /// The power goes: what is not on disk is lost; the calls of which the last event was.
    pub(crate) fn cut_power(&self) -> Vec<(Scope, CallId)> {
        let mut state = self.0.borrow_mut();
        let lost = std::mem::take(&mut state.unsynced);
        for (scope, id) in lost.iter().rev() {
            let row = state.rows.iter_mut().find(|row| row.is(scope, id)).expect("only a synced write removes calls");
            row.events.pop();
        }
        lost
    }

    /// Whether a power cut would take nothing.
    pub(crate) fn is_synced(&self) -> bool {
        self.0.borrow().unsynced.is_empty()
    }

    /// Changes what is written behind the back of who has it open.
    pub(crate) fn spoil(&self, change: impl FnOnce(&mut [Row])) {
        change(&mut self.0.borrow_mut().rows);
    }

    /// Looks at all that is written.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&[Row]) -> T) -> T {
        look(&self.0.borrow().rows)
    }
}

/// The ledger as one process has it open.
pub(crate) struct Book<'a> {
    store: &'a Store,
    hazard: &'a dyn Hazard,
    /// This process wrote something without a sync.
    unsynced: bool,
}

impl Book<'_> {
    /// Whether this process wrote something that is not on disk yet.
    pub(crate) fn has_unsynced(&self) -> bool {
        self.unsynced
    }

    /// A transaction: all of it or nothing, and on disk when it is done; with it is all that came before.
    fn write(&self, change: &mut dyn FnMut(&mut State) -> Result<(), LedgerError>) -> Result<(), LedgerError> {
        self.hazard.around(&mut || {
            let mut state = self.store.0.borrow_mut();
            change(&mut state)?;
            state.unsynced.clear();
            Ok(())
        })
    }
}

fn failed(what: &str) -> LedgerError {
    LedgerError::Store { path: "book".into(), what: Phrase::verbatim(what), source: None }
}

fn damaged(what: String) -> LedgerError {
    LedgerError::Damaged { path: "book".into(), what: Phrase::verbatim(what) }
}

fn conflict(what: String) -> LedgerError {
    LedgerError::Conflict { path: "book".into(), what: Phrase::verbatim(what) }
}

/// The store keeps milliseconds.
fn kept(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).expect("it was a time before")
}

fn is_taken(kind: EventKind) -> bool {
    matches!(kind, EventKind::Accepted | EventKind::Adopted | EventKind::ResolvedSent)
}

fn insert(rows: &mut Vec<Row>, scope: &Scope, call: &FrozenCall) -> Result<(), LedgerError> {
    if rows.iter().any(|row| row.is(scope, &call.id)) {
        return Err(conflict(format!("step `{}` has a call {} already", call.id.step, call.id.chunk)));
    }
    rows.push(Row { scope: scope.clone(), frozen: call.clone(), events: Vec::new() });
    Ok(())
}

fn note(rows: &mut [Row], scope: &Scope, id: &CallId, event: &Event) -> Result<(), LedgerError> {
    let row = rows.iter_mut().find(|row| row.is(scope, id));
    let row = row.ok_or_else(|| conflict(format!("step `{}` has no call {}", id.step, id.chunk)))?;
    next_status(row.status()?, event.kind)
        .map_err(|illegal| conflict(format!("step `{}`: {}", id.step, illegal.words())))?;
    row.events.push(Event { at: kept(event.at), ..event.clone() });
    Ok(())
}

impl Ledger for Book<'_> {
    fn calls(&self, scope: &Scope) -> Result<Vec<CallRecord>, LedgerError> {
        self.store.look(|rows| rows.iter().filter(|row| row.scope == *scope).map(Row::record).collect())
    }

    fn freeze(
        &mut self,
        scope: &Scope,
        kept: &[u32],
        calls: &[FrozenCall],
        first: &CallId,
        attempt: &Event,
    ) -> Result<(), LedgerError> {
        self.write(&mut |state| {
            let mut stay = 0;
            for row in state.rows.iter().filter(|row| row.has_step(scope, first)) {
                let status = row.status()?;
                let stays = status.in_doubt() || status == Status::Accepted;
                if stays != kept.contains(&row.frozen.id.chunk) {
                    return Err(conflict(format!("step `{}` is {}", first.step, status.word())));
                }
                stay += usize::from(stays);
            }
            if stay != kept.len() || calls.iter().any(|call| kept.contains(&call.id.chunk)) {
                return Err(conflict(format!("step `{}` has other calls", first.step)));
            }
            let mut rows = state.rows.clone();
            rows.retain(|row| !row.has_step(scope, first) || !row.events.is_empty());
            for call in calls {
                match rows.iter_mut().find(|row| row.is(scope, &call.id)) {
                    // Its history stays with it, and so does the key under which WeChat knows it.
                    Some(row) => {
                        let idempotency_key = row.frozen.idempotency_key.clone();
                        row.frozen = FrozenCall { idempotency_key, ..call.clone() };
                    }
                    None => insert(&mut rows, scope, call)?,
                }
            }
            let is_there = |chunk: u32| kept.contains(&chunk) || calls.iter().any(|call| call.id.chunk == chunk);
            rows.retain(|row| !row.has_step(scope, first) || is_there(row.frozen.id.chunk));
            note(&mut rows, scope, first, attempt)?;
            state.rows = rows;
            Ok(())
        })
    }

    fn extend(
        &mut self,
        scope: &Scope,
        calls: &[FrozenCall],
        first: &CallId,
        attempt: &Event,
    ) -> Result<(), LedgerError> {
        self.write(&mut |state| {
            let mut rows = state.rows.clone();
            calls.iter().try_for_each(|call| insert(&mut rows, scope, call))?;
            note(&mut rows, scope, first, attempt)?;
            state.rows = rows;
            Ok(())
        })
    }

    fn append(&mut self, scope: &Scope, id: &CallId, event: &Event) -> Result<(), LedgerError> {
        if !matches!(event.kind, EventKind::Accepted | EventKind::Adopted) {
            return self.write(&mut |state| note(&mut state.rows, scope, id, event));
        }
        self.unsynced = true;
        self.hazard.around(&mut || {
            let mut state = self.store.0.borrow_mut();
            note(&mut state.rows, scope, id, event)?;
            state.unsynced.push((scope.clone(), id.clone()));
            Ok(())
        })
    }

    fn uploaded(&self, platform: &str, appid: &str, key: &str) -> Result<Option<Event>, LedgerError> {
        let gave = |event: &&Event| event.kind == EventKind::Accepted && event.result.is_some();
        self.store.look(|rows| {
            let made = rows.iter().rev().filter(|row| row.has_account(platform, appid) && !row.frozen.is_mass());
            let mut made = made.filter(|row| row.frozen.idempotency_key == key);
            Ok(made.find_map(|row| row.events.iter().rev().find(gave)).cloned())
        })
    }

    fn sync(&mut self) -> Result<(), LedgerError> {
        if self.unsynced {
            self.write(&mut |_| Ok(()))?;
            self.unsynced = false;
        }
        Ok(())
    }

    fn mass_attempts(&self, platform: &str, appid: &str, since: Timestamp) -> Result<Vec<Timestamp>, LedgerError> {
        let since = kept(since);
        self.store.look(|rows| {
            let calls = rows.iter().filter(|row| row.has_account(platform, appid) && row.frozen.is_mass());
            let attempts = calls.flat_map(|row| &row.events).filter(|event| event.kind == EventKind::Attempted);
            let mut times: Vec<Timestamp> = attempts.map(|event| event.at).filter(|at| *at >= since).collect();
            times.sort();
            Ok(times)
        })
    }

    fn usage(&self, platform: &str, appid: &str, since: Timestamp) -> Result<Vec<Usage>, LedgerError> {
        let since = kept(since);
        let mut usage = Vec::new();
        self.store.look(|rows| {
            for row in rows.iter().filter(|row| row.has_account(platform, appid)) {
                let taken = row.events.iter().filter(|event| is_taken(event.kind) && event.at >= since);
                usage.extend(taken.map(|event| Usage {
                    effect: row.frozen.effect,
                    payload: row.frozen.payload.clone(),
                    at: event.at,
                }));
            }
        });
        Ok(usage)
    }

    fn edition_before(&self, scope: &Scope, step: &str, key: Option<&str>) -> Result<Option<Edition>, LedgerError> {
        self.store.look(|rows| {
            let taken = |row: &&Row| {
                let (id, of) = (&row.frozen.id, &row.scope);
                of.occurrence != scope.occurrence
                    && Scope { occurrence: scope.occurrence.clone(), ..of.clone() } == *scope
                    && (id.step.as_str(), id.key.as_deref()) == (step, key)
                    && row.frozen.recipients.is_some()
                    && row.events.iter().any(|event| is_taken(event.kind))
            };
            let Some(last) = rows.iter().rfind(taken) else { return Ok(None) };
            let of_it = rows.iter().filter(taken).filter(|row| row.scope == last.scope);
            let recipients = of_it.filter_map(|row| row.frozen.recipients).sum();
            Ok(Some(Edition { occurrence: last.scope.occurrence.clone(), recipients }))
        })
    }

    fn other_editions(&self, scope: &Scope) -> Result<Vec<EditionCall>, LedgerError> {
        let other = |row: &&Row| {
            let of = Scope { occurrence: scope.occurrence.clone(), ..row.scope.clone() };
            row.frozen.is_mass() && row.scope != *scope && of == *scope
        };
        let call = |row: &Row| {
            Ok(EditionCall {
                occurrence: row.scope.occurrence.clone(),
                id: row.frozen.id.clone(),
                status: row.status()?,
                at: row.events.iter().map(|event| event.at).max(),
            })
        };
        self.store.look(|rows| rows.iter().filter(other).map(call).collect())
    }

    fn with_messages(
        &self,
        platform: &str,
        appid: &str,
        digests: &[String],
    ) -> Result<Vec<(String, Scope)>, LedgerError> {
        self.store.look(|rows| {
            let rows = rows.iter().filter(|row| row.has_account(platform, appid) && row.frozen.is_mass());
            let with = |row: &Row| Some((row.frozen.message_digest.clone()?, row.scope.clone()));
            let with = rows.filter_map(with).filter(|(digest, _)| digests.contains(digest));
            let mut scopes: Vec<(String, Scope)> = with.collect();
            scopes.sort_by(|(one, a), (other, b)| (one, &a.plan, &a.occurrence).cmp(&(other, &b.plan, &b.occurrence)));
            scopes.dedup();
            Ok(scopes)
        })
    }

    fn begin_run(
        &mut self,
        scope: &Scope,
        run_id: &str,
        path: &str,
        digest: &str,
        at: Timestamp,
    ) -> Result<(), LedgerError> {
        self.write(&mut |state| {
            if state.runs.iter().any(|(_, run, _)| run.run_id == run_id) {
                return Err(failed("failed: there is such a run"));
            }
            let run = RunRecord {
                run_id: run_id.to_owned(),
                platform: scope.platform,
                occurrence: scope.occurrence.clone(),
                path: path.to_owned(),
                digest: digest.to_owned(),
                started_at: kept(at),
                report: None,
            };
            state.runs.push((scope.clone(), run, None));
            Ok(())
        })
    }

    fn end_run(&mut self, run_id: &str, ending: &Ending<'_>) -> Result<(), LedgerError> {
        self.write(&mut |state| {
            let run = state.runs.iter_mut().find(|(_, run, _)| run.run_id == run_id);
            run.into_iter().for_each(|(_, run, ended)| {
                run.report = Some(ending.report.to_owned());
                *ended = Some((ending.outcome.to_owned(), ending.exit_code));
            });
            Ok(())
        })
    }

    fn runs(&self, appid: &str, plan: &str) -> Result<Vec<RunRecord>, LedgerError> {
        let state = self.store.0.borrow();
        let of_plan = state.runs.iter().filter(|(scope, ..)| scope.appid == appid && scope.plan == plan);
        let mut runs: Vec<RunRecord> = of_plan.map(|(_, run, _)| run.clone()).rev().collect();
        // Stable: of two that began at the same time, the later one is first.
        runs.sort_by_key(|run| std::cmp::Reverse(run.started_at));
        Ok(runs)
    }

    fn accounts(&self, platform: &str, plan: &str, occurrence: &str) -> Result<Vec<AccountRun>, LedgerError> {
        let meant = |scope: &Scope| {
            (scope.platform.name(), scope.plan.as_str(), scope.occurrence.as_str()) == (platform, plan, occurrence)
        };
        let mut accounts: BTreeMap<String, AccountRun> = BTreeMap::new();
        let mut runs: Vec<_> = self.store.0.borrow().runs.iter().filter(|(of, ..)| meant(of)).cloned().collect();
        runs.sort_by_key(|(_, run, _)| run.started_at);
        for (Scope { appid, .. }, run, ended) in runs {
            let RunRecord { run_id, path, digest, started_at, .. } = run;
            let account = accounts.entry(appid.clone()).or_insert_with(|| AccountRun::new(appid));
            account.run = Some(LastRun { run_id, path, digest, started_at, ended });
        }
        self.store.look(|rows| {
            // What a person did beside the plan says nothing of where it stands.
            for row in rows.iter().filter(|row| meant(&row.scope) && !row.frozen.id.step.starts_with('@')) {
                let appid = row.scope.appid.clone();
                accounts.entry(appid.clone()).or_insert_with(|| AccountRun::new(appid)).count(row.status()?);
            }
            Ok(())
        })?;
        Ok(accounts.into_values().collect())
    }

    fn observe(&mut self, platform: &str, appid: &str, seen: &[Observation]) -> Result<usize, LedgerError> {
        let mut new = 0;
        self.write(&mut |state| {
            for seen in seen {
                let same = |known: &Observed| {
                    let Observation { subject, body, .. } = &known.seen;
                    known.is_of(platform, appid, &seen.kind) && (subject, body) == (&seen.subject, &seen.body)
                };
                if !state.observed.iter().any(same) {
                    new += 1;
                    let (platform, appid) = (platform.to_owned(), appid.to_owned());
                    state.observed.push(Observed { platform, appid, seen: seen.clone() });
                }
            }
            Ok(())
        })?;
        Ok(new)
    }

    fn observations(
        &self,
        platform: &str,
        appid: &str,
        kind: &str,
        subjects: Option<&[String]>,
    ) -> Result<Vec<Observation>, LedgerError> {
        let state = self.store.0.borrow();
        let of_kind = state.observed.iter().filter(|row| row.is_of(platform, appid, kind)).map(|row| &row.seen);
        let named = |seen: &&Observation| subjects.is_none_or(|subjects| subjects.contains(&seen.subject));
        Ok(of_kind.filter(named).map(|seen| Observation { at: kept(seen.at), ..seen.clone() }).collect())
    }
}

#[cfg(test)]
mod tests {
    use qunfa::{
        ledger::sqlite::Sqlite,
        payload::{self, Effect},
        platform::Platform,
    };

    use super::*;

    /// xorshift: the same numbers everywhere.
    struct Chance(u64);

    impl Chance {
        fn below(&mut self, below: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % below
        }

        fn among<T: Copy>(&mut self, list: &[T]) -> T {
            list[usize::try_from(self.below(list.len() as u64)).expect("small")]
        }
    }

    fn scope(chance: &mut Chance) -> Scope {
        Scope {
            platform: chance.among(&[Platform::Wechat, Platform::Wechat, Platform::Sandbox]),
            appid: "wx1".into(),
            plan: "p".into(),
            occurrence: chance.among(&["one", "two"]).into(),
        }
    }

    fn call(chance: &mut Chance, step: &str, key: Option<&str>, chunk: u32) -> FrozenCall {
        let payload = format!("{{\"n\":{}}}", chance.below(3));
        let mass = step != "upload";
        FrozenCall {
            id: CallId { step: step.into(), key: key.map(str::to_owned), chunk },
            action: if mass { "send_by_openid" } else { "upload_image" }.into(),
            path: "/p".into(),
            idempotency_key: format!("{step}-{key:?}-{chunk}"),
            digest: payload::digest(payload.as_bytes()),
            payload,
            message_digest: None,
            recipients: (chance.below(4) > 0).then(|| chance.below(9)),
            effect: if mass { Effect::Mass } else { Effect::Media },
        }
    }

    /// What is read of a store, as text; an error without its words.
    fn all_of(ledger: &dyn Ledger, scope: &Scope) -> String {
        let read = |text: Result<String, LedgerError>| text.unwrap_or_else(|error| sort_of(&error).to_owned());
        let since = Timestamp::from_second(20).expect("in range");
        let (platform, appid) = (scope.platform.name(), "wx1");
        let mut parts = vec![read(ledger.calls(scope).map(|calls| format!("{calls:#?}")))];
        parts.push(read(ledger.mass_attempts(platform, appid, since).map(|times| format!("{times:?}"))));
        parts.push(read(ledger.usage(platform, appid, since).map(|usage| {
            let mut lines: Vec<String> = usage.iter().map(|usage| format!("{usage:?}")).collect();
            lines.sort();
            lines.join("\n")
        })));
        parts.push(read(ledger.runs(appid, "p").map(|runs| format!("{runs:#?}"))));
        parts.push(read(ledger.accounts("wechat", "p", "one").map(|accounts| format!("{accounts:#?}"))));
        for (step, key) in [("send", None), ("send", Some("a")), ("upload", None)] {
            parts.push(read(ledger.edition_before(scope, step, key).map(|edition| format!("{edition:?}"))));
        }
        parts.push(read(ledger.other_editions(scope).map(|calls| format!("{calls:#?}"))));
        for chunk in 1..=3 {
            let key = format!("upload-None-{chunk}");
            parts.push(read(ledger.uploaded(platform, appid, &key).map(|event| format!("{event:?}"))));
        }
        parts.join("\n")
    }

    fn sort_of(error: &LedgerError) -> &'static str {
        match error {
            LedgerError::Store { .. }
            | LedgerError::Stopped { .. }
            | LedgerError::Remote { .. }
            | LedgerError::TakenOver { .. } => "store",
            LedgerError::Newer { .. } => "newer",
            LedgerError::Damaged { .. } | LedgerError::Unreadable { .. } => "damaged",
            LedgerError::Conflict { .. } => "conflict",
        }
    }

    /// One write, on either; whether it failed.
    fn change(ledger: &mut dyn Ledger, chance: &mut Chance, second: i64) -> Option<&'static str> {
        let scope = scope(chance);
        let (step, key) = chance.among(&[("send", None), ("send", None), ("send", Some("a")), ("upload", None)]);
        let at = Timestamp::from_millisecond(second * 1000 + 7).expect("in range");
        let run = format!("r{}", chance.below(40));
        let calls: Vec<FrozenCall> = (1..=u32::try_from(1 + chance.below(3)).expect("small"))
            .map(|chunk| call(chance, step, key, chunk))
            .collect();
        let mut attempt = Event::new(EventKind::Attempted, at, &run);
        attempt.body = Some(chance.among(&["{\"n\":1}", "{\"n\":2}"]).into());
        let first = &calls[chance.below(calls.len() as u64) as usize].id;
        let written = match chance.below(10) {
            0 => ledger.begin_run(&scope, &run, "p.yaml", "sha256:x", at),
            1 => ledger.end_run(&run, &Ending { outcome: "failed", exit_code: 5, report: "{}" }),
            2 => ledger.sync(),
            3 => {
                let kept: &[u32] = chance.among(&[&[], &[], &[1], &[2], &[1, 2]]);
                let anew: Vec<FrozenCall> =
                    calls.iter().filter(|call| !kept.contains(&call.id.chunk) || first == &call.id).cloned().collect();
                ledger.freeze(&scope, kept, &anew, first, &attempt)
            }
            4 => {
                let more: Vec<FrozenCall> = (3..=4).map(|chunk| call(chance, step, key, chunk)).collect();
                ledger.extend(&scope, &more, &more[0].id, &attempt)
            }
            _ => {
                let calls = ledger.calls(&scope).expect("only legal events were written");
                let here = calls.iter().find(|call| call.frozen.id == *first);
                let status = here.map_or(Status::Planned, |call| call.status);
                let mut kinds: Vec<EventKind> = EventKind::ALL.iter().map(|(kind, _)| *kind).collect();
                // Most follow; what may not is refused by both.
                if chance.below(4) > 0 && status != Status::Accepted {
                    kinds.retain(|kind| next_status(status, *kind).is_ok());
                }
                let mut event = Event::new(chance.among(&kinds), at, &run);
                if event.kind == EventKind::Attempted {
                    event.body = attempt.body.clone();
                } else {
                    event.msg_id = Some(9_007_199_254_740_993 + chance.below(9));
                    event.result = (chance.below(2) == 0).then(|| "{\"url\":\"u\"}".into());
                    event.errcode = Some(0);
                }
                ledger.append(&scope, first, &event)
            }
        };
        written.err().map(|error| sort_of(&error))
    }

    #[test]
    fn the_ledger_in_memory_is_the_one_in_sqlite() {
        let folder = tempfile::tempdir().expect("a folder");
        for seed in [7, 20_261_122] {
            let store = Store::default();
            let mut book = store.open(&Calm);
            let mut file = Sqlite::open(&folder.path().join(format!("{seed}.db"))).expect("opens");
            let (mut one, mut other) = (Chance(seed), Chance(seed));
            let mut failures = 0;
            for second in 0..100 {
                let (ours, theirs) = (change(&mut book, &mut one, second), change(&mut file, &mut other, second));
                assert_eq!(ours, theirs, "seed {seed}, write {second}");
                failures += usize::from(ours.is_some());
                let scope = scope(&mut Chance(one.0));
                assert_eq!(all_of(&book, &scope), all_of(&file, &scope), "seed {seed}, write {second}");
            }
            assert!((10..90).contains(&failures), "{failures} of the writes failed");
        }
    }

    #[test]
    fn a_power_cut_takes_what_was_accepted_last_and_nothing_else() {
        let store = Store::default();
        let (scope, chance) = (scope(&mut Chance(1)), &mut Chance(1));
        let calls: Vec<FrozenCall> = (1..=2).map(|chunk| call(chance, "send", None, chunk)).collect();
        let event = |kind| Event::new(kind, Timestamp::UNIX_EPOCH, "r");
        let statuses = || store.look(|rows| rows.iter().map(|row| row.status().expect("legal")).collect::<Vec<_>>());
        let mut book = store.open(&Calm);
        book.freeze(&scope, &[], &calls, &calls[0].id, &event(EventKind::Attempted)).expect("writes");
        book.append(&scope, &calls[0].id, &event(EventKind::Accepted)).expect("writes");
        assert!(!store.is_synced());
        store.cut_power();
        assert_eq!(statuses(), [Status::InFlight { doubt: false }, Status::Planned]);
        let mut book = store.open(&Calm);
        book.append(&scope, &calls[0].id, &event(EventKind::Accepted)).expect("writes");
        // The intent of the next call takes what came before to the disk.
        book.append(&scope, &calls[1].id, &event(EventKind::Attempted)).expect("writes");
        store.cut_power();
        assert_eq!(statuses(), [Status::Accepted, Status::InFlight { doubt: false }]);
        book.append(&scope, &calls[1].id, &event(EventKind::Accepted)).expect("writes");
        book.sync().expect("writes");
        store.cut_power();
        assert_eq!(statuses(), [Status::Accepted, Status::Accepted]);
    }
}
