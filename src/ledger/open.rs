//! The one place where stores are named: what `--state` takes, and where state is without it.

use std::path::Path;

use super::{sqlite::store::SqliteStore, store::Store};

/// The store of a name: `sqlite:PATH`.
pub fn named(name: &str) -> Result<Box<dyn Store>, String> {
    match name.strip_prefix("sqlite:") {
        Some(path) if !path.is_empty() => Ok(Box::new(SqliteStore::new(path.into()))),
        _ => Err(format!("`{name}` is not a state store: write --state sqlite:PATH")),
    }
}

/// The store of a project: in the folder `.qunfa` of its root.
pub fn of_project(root: &Path) -> Box<dyn Store> {
    Box::new(SqliteStore::new(root.join(".qunfa/state.db")))
}

/// The store of a rehearsal, which ends with its folder.
pub fn of_rehearsal(folder: &Path) -> Box<dyn Store> {
    Box::new(SqliteStore::new(folder.join("state.db")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_named_by_its_kind() {
        assert!(named("sqlite:x.db").is_ok_and(|store| store.name() == "x.db"));
        assert!(named("x.db").is_err() && named("sqlite:").is_err());
        assert_eq!(Path::new(&of_project(Path::new("p")).name()), Path::new("p/.qunfa/state.db"));
    }
}
