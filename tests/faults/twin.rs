//! The ledger in PostgreSQL with the one in memory beside it: what happens to the world happens to both, and what is read of
//! one is what is read of the other.

use std::rc::Rc;

use jiff::Timestamp;
use qunfa::ledger::{
    AccountRun, CallId, CallRecord, Edition, EditionCall, Ending, Event, FrozenCall, Ledger, LedgerError, Observation,
    RunRecord, Scope, Usage, open,
    store::{Owner, WriteError},
};

use super::book::{Book, Calm, Hazard, Store};
use crate::postgres::Schema;

/// A schema that rehearsals share, one after the other.
pub(crate) struct Shared(Schema);

impl Shared {
    /// None where nothing of PostgreSQL is tested.
    pub(crate) fn new() -> Option<Rc<Self>> {
        // A rehearsal connects a dozen times: without TLS that is quick.
        let schema = Schema::plain()?;
        Shared::store(&schema).migrate().map_err(|error| error.words()).expect("makes the tables");
        Some(Rc::new(Self(schema)))
    }

    fn store(schema: &Schema) -> Box<dyn qunfa::ledger::store::Store> {
        open::named(&schema.address(), Rc::new(|| Ok(None))).expect("a name")
    }

    /// Nothing ever happened.
    pub(crate) fn empty(&self) {
        self.0.sql("DELETE FROM events; DELETE FROM calls; DELETE FROM runs; DELETE FROM observations");
    }

    /// The power of the server goes: with it what was not on its disk, as the one in memory says it.
    pub(crate) fn cut_power(&self, lost: &[(Scope, CallId)]) {
        for (scope, CallId { step, key, chunk }) in lost {
            let (occurrence, key) = (&scope.occurrence, key.as_deref().unwrap_or_default());
            self.0.sql(&format!(
                "WITH lost AS (SELECT c.id, max(e.number) AS number FROM live_calls c JOIN events e ON e.call = c.id
                 WHERE occurrence = '{occurrence}' AND step = '{step}' AND key = '{key}' AND chunk = {chunk} GROUP BY c.id)
                 DELETE FROM events e USING lost WHERE e.call = lost.id AND e.number = lost.number"
            ));
        }
    }

    /// A process opens it.
    pub(crate) fn open<'a>(&self, scope: &Scope, memory: &'a Store, hazard: &'a dyn Hazard) -> Twin<'a> {
        let (host, plan, command) = ("here".into(), "plan.yaml".into(), "qunfa run".into());
        let owner = Owner { pid: std::process::id(), host, since: Timestamp::UNIX_EPOCH, plan, command };
        let real = loop {
            // The one before is dead, and its server hears of it in a moment.
            match Self::store(&self.0).write(scope.platform.name(), &scope.appid, &owner) {
                Ok(ledger) => break ledger,
                Err(WriteError::Held(_)) => std::thread::yield_now(),
                Err(error) => panic!("{}", error.words()),
            }
        };
        Twin { real, memory: memory.open(&Calm), hazard }
    }
}

pub(crate) struct Twin<'a> {
    real: Box<dyn Ledger>,
    memory: Book<'a>,
    hazard: &'a dyn Hazard,
}

impl Twin<'_> {
    fn write(&mut self, mut change: impl FnMut(&mut dyn Ledger) -> Result<(), LedgerError>) -> Result<(), LedgerError> {
        let (real, memory) = (&mut self.real, &mut self.memory);
        self.hazard.around(&mut || {
            change(&mut **real)?;
            change(memory).map_err(|error| error.words()).expect("what one of them takes, the other takes too");
            Ok(())
        })
    }

    fn read<T: std::fmt::Debug>(
        &self,
        question: impl Fn(&dyn Ledger) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let answer = question(&*self.real)?;
        let other = question(&self.memory).map_err(|error| error.words()).expect("it is in memory");
        assert_eq!(format!("{answer:?}"), format!("{other:?}"), "the ledgers differ");
        Ok(answer)
    }
}

/// The body of an attempt that came to nothing may be gone once its call was planned anew.
fn without_settled_bodies(mut record: CallRecord) -> CallRecord {
    let decisive: Vec<Event> = record.unsettled().map(|(attempt, _)| attempt.clone()).collect();
    record.events.iter_mut().filter(|event| !decisive.contains(event)).for_each(|event| event.body = None);
    record
}

impl Ledger for Twin<'_> {
    fn calls(&self, scope: &Scope) -> Result<Vec<CallRecord>, LedgerError> {
        let decisive =
            |ledger: &dyn Ledger| Ok(ledger.calls(scope)?.into_iter().map(without_settled_bodies).collect::<Vec<_>>());
        self.read(decisive)?;
        self.real.calls(scope)
    }

    fn freeze(
        &mut self,
        scope: &Scope,
        kept: &[u32],
        calls: &[FrozenCall],
        first: &CallId,
        attempt: &Event,
    ) -> Result<(), LedgerError> {
        self.write(|ledger| ledger.freeze(scope, kept, calls, first, attempt))
    }

    fn extend(
        &mut self,
        scope: &Scope,
        calls: &[FrozenCall],
        first: &CallId,
        attempt: &Event,
    ) -> Result<(), LedgerError> {
        self.write(|ledger| ledger.extend(scope, calls, first, attempt))
    }

    fn append(&mut self, scope: &Scope, id: &CallId, event: &Event) -> Result<(), LedgerError> {
        self.write(|ledger| ledger.append(scope, id, event))
    }

    fn uploaded(&self, platform: &str, appid: &str, key: &str) -> Result<Option<Event>, LedgerError> {
        self.read(|ledger| ledger.uploaded(platform, appid, key))
    }

    fn sync(&mut self) -> Result<(), LedgerError> {
        if !self.memory.has_unsynced() {
            return Ok(());
        }
        self.write(|ledger| ledger.sync())
    }

    fn mass_attempts(&self, platform: &str, appid: &str, since: Timestamp) -> Result<Vec<Timestamp>, LedgerError> {
        self.read(|ledger| ledger.mass_attempts(platform, appid, since))
    }

    fn usage(&self, platform: &str, appid: &str, since: Timestamp) -> Result<Vec<Usage>, LedgerError> {
        self.read(|ledger| {
            // In whatever order.
            let mut usage = ledger.usage(platform, appid, since)?;
            usage.sort_by_key(|usage| format!("{usage:?}"));
            Ok(usage)
        })
    }

    fn edition_before(&self, scope: &Scope, step: &str, key: Option<&str>) -> Result<Option<Edition>, LedgerError> {
        self.read(|ledger| ledger.edition_before(scope, step, key))
    }

    fn other_editions(&self, scope: &Scope) -> Result<Vec<EditionCall>, LedgerError> {
        self.read(|ledger| ledger.other_editions(scope))
    }

    fn with_messages(
        &self,
        platform: &str,
        appid: &str,
        digests: &[String],
    ) -> Result<Vec<(String, Scope)>, LedgerError> {
        self.read(|ledger| ledger.with_messages(platform, appid, digests))
    }

    fn begin_run(
        &mut self,
        scope: &Scope,
        run_id: &str,
        path: &str,
        digest: &str,
        at: Timestamp,
    ) -> Result<(), LedgerError> {
        self.write(|ledger| ledger.begin_run(scope, run_id, path, digest, at))
    }

    fn end_run(&mut self, run_id: &str, ending: &Ending<'_>) -> Result<(), LedgerError> {
        self.write(|ledger| ledger.end_run(run_id, ending))
    }

    fn runs(&self, appid: &str, plan: &str) -> Result<Vec<RunRecord>, LedgerError> {
        self.read(|ledger| ledger.runs(appid, plan))
    }

    fn accounts(&self, platform: &str, plan: &str, occurrence: &str) -> Result<Vec<AccountRun>, LedgerError> {
        self.read(|ledger| ledger.accounts(platform, plan, occurrence))
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn observe(&mut self, platform: &str, appid: &str, seen: &[Observation]) -> Result<usize, LedgerError> {
        let mut new = 0;
        self.write(|ledger| {
            new = ledger.observe(platform, appid, seen)?;
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
        self.read(|ledger| ledger.observations(platform, appid, kind, subjects))
    }
}
