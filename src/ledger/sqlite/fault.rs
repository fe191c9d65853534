//! Why something could not be done, before it is known in which store.

use crate::{ledger::rows::Damage, locale::Phrase};

pub(super) enum Fault {
    Sql(rusqlite::Error),
    Damaged(Phrase),
    Conflict(Phrase),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Fault::Sql(error)
    }
}

impl From<Damage> for Fault {
    fn from(Damage(what): Damage) -> Self {
        Fault::Damaged(what)
    }
}
