//! The one place where stores are named: what `--state` takes, and where state is without it.

use std::{path::Path, time::Duration};

use super::{
    name::{is_address, without_password},
    sqlite::{self, store::SqliteStore},
    store::{Password, Store},
};
use crate::locale::{Phrase, say};

/// The store of a name: `sqlite:PATH`, or the address of a PostgreSQL, for which a password may be asked. A name that SQLite, a shell or another tool would understand otherwise is refused, and
/// so is what cannot be a ledger that lasts.
pub fn named(name: &str, password: Password) -> Result<Box<dyn Store>, Phrase> {
    if is_address(name) {
        return of_server(name, password);
    }
    let Some(path) = name.strip_prefix("sqlite:") else {
        return Err(say!(
            "`{name}` is not a state store; write --state sqlite:PATH or --state postgresql://USER@HOST/DATABASE",
            name = name.escape_debug().to_string()
        ));
    };
    let refused = |why: Phrase| {
        let name = name.escape_debug().to_string();
        Err(say!("`{name}` is not a state store: {why}; write --state sqlite:PATH", name, why))
    };
    if let Some(why) = strange(path) {
        return refused(why);
    }
    let store = SqliteStore::meant(path.into());
    match store.other_kind() {
        Some(what) => refused(what),
        None => Ok(Box::new(store)),
    }
}

#[cfg(feature = "postgres")]
fn of_server(address: &str, password: Password) -> Result<Box<dyn Store>, Phrase> {
    match super::postgres::store::PostgresStore::new(address, password) {
        Ok(store) => Ok(Box::new(store)),
        Err(why) => Err(say!(
            "`{name}` is not a state store: {why}; write --state postgresql://USER@HOST/DATABASE",
            name = without_password(address).escape_debug().to_string(),
            why
        )),
    }
}

#[cfg(not(feature = "postgres"))]
fn of_server(address: &str, _: Password) -> Result<Box<dyn Store>, Phrase> {
    Err(say!(
        "`{name}` is not a state store: {why}; write --state sqlite:PATH",
        name = without_password(address).escape_debug().to_string(),
        why = say!("this qunfa was built without PostgreSQL")
    ))
}

/// Why a path does not name a file, or not the file that it seems to name.
fn strange(path: &str) -> Option<Phrase> {
    let begins = |text: &str| path.get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(text));
    let last = path.rsplit('/').next().unwrap_or_default();
    if path.is_empty() {
        Some(say!("it is not a file name"))
    } else if path.chars().any(char::is_control) {
        Some(say!("it contains a control character"))
    } else if path.trim() != path {
        Some(say!("it starts or ends with whitespace"))
    } else if path.starts_with(':') {
        Some(say!("an in-memory ledger would be lost"))
    } else if begins("file:") || path.starts_with("//") {
        Some(say!("it is a URI, not a path"))
    } else if path.starts_with('~') || path.starts_with('$') {
        Some(say!("let the shell expand `~` and variables (or prefix the name with ./)"))
    } else if matches!(last, "" | "." | "..") {
        Some(say!("it is a folder, not a file"))
    } else {
        None
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

/// How this process waits, before its run begins, for another one that writes to a store: told how long it has waited and how
/// long to wait now, `patience` waits and says whether it goes on.
pub fn wait_with(patience: fn(Duration, Duration) -> bool) {
    sqlite::wait_with(patience);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing() -> Password {
        std::rc::Rc::new(|| Ok(None))
    }

    #[test]
    fn no_form_of_a_password_is_shown() {
        for text in [
            "postgresql://u:SECRETPW@db/d",
            "postgresql://u:SECRETPW@@db/d?sslmode=off",
            "postgresql://u:a/SECRETPW@db/d",
            "postgresql://u:a?SECRETPW@db/d",
            "postgresql://u:a#SECRETPW@db:port/d",
            "postgresql://u:SECRETPW%@db/d",
            "postgresql://u@db/d?password=SECRETPW",
            "postgresql://u@db/d?passw%6frd=SECRETPW&schema=x",
            "postgresql://u@db/d?pasword=SECRETPW",
            "postgresql:u:SECRETPW@db",
            "postgres:/u:SECRETPW@db",
        ] {
            let (shown, told) = (without_password(text), named(text, nothing()).map(|store| store.name()));
            assert!(!shown.contains("SECRETPW"), "{shown}");
            assert!(!format!("{:?}", told.map_err(|why| why.to_string())).contains("SECRETPW"), "{text}");
        }
        let plain = "postgresql://u@db:5433/d?schema=agency&sslrootcert=/ca.pem";
        assert_eq!(
            (without_password(plain).as_str(), without_password("sqlite:a:b@c").as_str()),
            (plain, "sqlite:a:b@c")
        );
    }

    #[test]
    fn a_store_is_named_by_its_kind() {
        assert!(named("sqlite:x.db", nothing()).is_ok_and(|store| store.name() == "x.db"));
        assert_eq!(Path::new(&of_project(Path::new("p")).name()), Path::new("p/.qunfa/state.db"));
    }

    #[test]
    fn a_name_that_is_no_lasting_file_is_refused() {
        let _heard = crate::locale::tests::heard("ledger-open-a_name_that_is_no_lasting_file_is_refused");
        let folder = tempfile::tempdir().expect("a folder");
        for name in [
            "x.db",
            "sqlite",
            "SQLITE:x.db",
            "sqlite:",
            "sqlite: ",
            "sqlite::memory:",
            "sqlite::MEMORY:",
            "sqlite::x.db",
            "sqlite:file:x.db",
            "sqlite:FILE:/x.db?mode=memory",
            "sqlite:file::memory:?cache=shared",
            "sqlite://x.db",
            "sqlite:///x.db",
            "sqlite:x.db/",
            "sqlite:.",
            "sqlite:..",
            "sqlite:a/..",
            "sqlite:/",
            "sqlite:~",
            "sqlite:~/x.db",
            "sqlite:~root/x.db",
            "sqlite:$HOME/x.db",
            "sqlite:a\0b",
            "sqlite:x.db\n",
            "sqlite:/dev/null",
            "sqlite:/proc/self/mem",
            "sqlite:/proc/self/x.db",
            &format!("sqlite:{}", folder.path().display()),
        ] {
            let why = named(name, nothing()).err().unwrap_or_else(|| panic!("{name:?} was taken"));
            let why = why.to_string();
            assert!(why.contains("write --state sqlite:PATH") && !why.contains(char::is_control), "{why}");
        }
        for name in ["-x.db", "./~x.db", "./:memory:", "a/file:x.db", "x?mode=memory", "x#y", "x%20y"] {
            assert!(named(&format!("sqlite:{name}"), nothing()).is_ok(), "{name}");
        }
    }
}
