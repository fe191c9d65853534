//! Everything of a ledger, from one store into another: how one moves to a server, and back.

use super::{
    parts::Part,
    store::{Move, Owner, Store, WriteError},
};

/// How much there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub runs: u64,
    pub calls: u64,
    pub events: u64,
}

impl Counts {
    fn add(&mut self, part: &Part) {
        match part {
            Part::Run { .. } => self.runs += 1,
            Part::Kept(_) | Part::Observed { .. } => {}
            Part::Call { record, .. } => {
                self.calls += 1;
                self.events += record.events.len() as u64;
            }
        }
    }
}

/// Copies everything into a store that is empty; nobody writes to either meanwhile. All of it is there afterwards, or nothing.
/// From then on the old store is not used unless somebody names it: it says so before the new one is complete, for two that both
/// think to be the one would send twice.
pub fn copy(from: &dyn Store, to: &dyn Store, owner: &Owner) -> Result<Counts, WriteError> {
    let (mut counts, name) = (Counts::default(), to.name());
    to.fill(owner, &mut |sink| {
        from.each_part(Some(Move { owner, to: &name }), &mut |part| {
            counts.add(&part);
            sink(part)
        })
    })?;
    Ok(counts)
}

/// Reads everything and holds it against its hashes and the rule of what may follow.
pub fn check(store: &dyn Store) -> Result<Counts, WriteError> {
    let mut counts = Counts::default();
    store.each_part(None, &mut |part| {
        counts.add(&part);
        Ok(())
    })?;
    Ok(counts)
}
