//! The one place where stores are named: what `--state` takes, and where state is without it.

use std::path::Path;

use super::{sqlite::store::SqliteStore, store::Store};

/// The store of a name: `sqlite:PATH`. A name that SQLite, a shell or another tool would understand otherwise is refused, and
/// so is what cannot be a ledger that lasts.
pub fn named(name: &str) -> Result<Box<dyn Store>, String> {
    const WRITE: &str = "write --state sqlite:PATH";
    let path = name.strip_prefix("sqlite:").ok_or_else(|| format!("`{name}` is not a state store: {WRITE}"))?;
    if let Some(why) = strange(path) {
        return Err(format!("`{}` is not a state store: {why}; {WRITE}", name.escape_debug()));
    }
    let store = SqliteStore::new(path.into());
    match store.other_kind() {
        Some(what) => Err(format!("`{name}` is not a state store: {what}; {WRITE}")),
        None => Ok(Box::new(store)),
    }
}

/// Why a path does not name a file, or not the file that it seems to name.
fn strange(path: &str) -> Option<&'static str> {
    let begins = |text: &str| path.get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(text));
    let last = path.rsplit('/').next().unwrap_or_default();
    if path.is_empty() {
        Some("it names no file")
    } else if path.chars().any(char::is_control) {
        Some("there is a control character in it")
    } else if path.trim() != path {
        Some("there is a blank at its beginning or end")
    } else if path.starts_with(':') {
        Some("a ledger in memory would not last")
    } else if begins("file:") || path.starts_with("//") {
        Some("it is a URI, and not a path")
    } else if path.starts_with('~') || path.starts_with('$') {
        Some("`~` and variables are for the shell to put in (or write ./ before the name)")
    } else if matches!(last, "" | "." | "..") {
        Some("it names a folder, and not a file")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_named_by_its_kind() {
        assert!(named("sqlite:x.db").is_ok_and(|store| store.name() == "x.db"));
        assert_eq!(Path::new(&of_project(Path::new("p")).name()), Path::new("p/.qunfa/state.db"));
    }

    #[test]
    fn a_name_that_is_no_lasting_file_is_refused() {
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
            let why = named(name).err().unwrap_or_else(|| panic!("{name:?} was taken"));
            assert!(why.ends_with("write --state sqlite:PATH") && !why.contains(char::is_control), "{why}");
        }
        for name in ["-x.db", "./~x.db", "./:memory:", "a/file:x.db", "x?mode=memory", "x#y", "x%20y"] {
            assert!(named(&format!("sqlite:{name}")).is_ok(), "{name}");
        }
    }
}
