//! The files of the state: regular, private, our own, found without following a link; in a folder that keeps itself out of
//! git. Their modes are what they are to be whatever the umask is.

use std::{
    ffi::OsStr,
    fs::{self, File, Metadata},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use crate::{
    locale::{Phrase, say},
    problem,
};

/// How often a file is opened anew that another process takes away meanwhile.
const TRIES: usize = 100;

/// The one name of a file, whether or not it is there: absolute, and through no link.
pub(super) fn place(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    let (mut there, mut missing) = (path.as_path(), Vec::<&OsStr>::new());
    loop {
        match resolved(there) {
            Ok(real) => return Ok(missing.iter().rev().fold(real, |place, name| place.join(name))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        if fs::symlink_metadata(there).is_ok() {
            return Err(ours(say!("{path} is a dangling link", path = there.display().to_string())));
        }
        let (Some(parent), Some(name)) = (there.parent(), there.file_name()) else {
            return Err(ours(say!("the folder of {path} does not exist", path = there.display().to_string())));
        };
        missing.push(name);
        there = parent;
    }
}

#[cfg(unix)]
fn resolved(path: &Path) -> io::Result<PathBuf> {
    fs::canonicalize(path)
}

/// The names that Windows gives to resolved paths are not taken by everything that opens files.
#[cfg(not(unix))]
fn resolved(path: &Path) -> io::Result<PathBuf> {
    fs::metadata(path).map(|_| path.to_owned())
}

/// Makes a folder with all above it, private, so that a power cut does not lose it. The folder of the state keeps itself out
/// of git, whoever made it.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    make_folders(folder)?;
    if folder.file_name().is_some_and(|name| name == ".qunfa") {
        let path = folder.join(".gitignore");
        let written = fs::symlink_metadata(&path).is_ok_and(|ignore| !ignore.is_file() || ignore.len() > 0);
        if !written {
            open_private(&path)?.write_all(b"*\n")?;
        }
    }
    Ok(())
}

fn make_folders(folder: &Path) -> io::Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().unwrap_or(Path::new(""));
    make_folders(parent)?;
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => return Ok(()),
        Err(error) => return Err(error),
    }
    #[cfg(unix)]
    fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    sync_folder(parent)
}

/// What was made in a folder is there after a power cut. Some filesystems cannot be asked for it.
#[cfg(unix)]
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    match File::open(folder)?.sync_all() {
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        synced => synced,
    }
}

#[cfg(not(unix))]
pub(super) fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Opens a file for reading and writing, making it where there is none.
pub(super) fn open_private(path: &Path) -> io::Result<File> {
    for _ in 0..TRIES {
        match create_private(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => return made,
        }
        match open_own(path, true) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return opened,
        }
    }
    Err(ours(say!("it keeps being deleted")))
}

/// Makes a file that nobody else may read; whatever is there already is an error.
pub(super) fn create_private(path: &Path) -> io::Result<File> {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(file)
}

/// Opens a regular file of our own that is there, through no link.
pub(super) fn open_own(path: &Path, write: bool) -> io::Result<File> {
    check_own(&fs::symlink_metadata(path)?)?;
    let mut options = fs::OpenOptions::new();
    options.read(true).write(write);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or(0);
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags);
    }
    let file = options.open(path)?;
    // It may have been replaced between the look and the opening.
    check_own(&file.metadata()?)?;
    Ok(file)
}

/// Whether a file of the state is what it is to be, if it is there.
pub(super) fn check_place(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => check_own(&metadata),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn check_own(metadata: &Metadata) -> io::Result<()> {
    let kind = metadata.file_type();
    let refused = |why: Phrase| Err(ours(why));
    if kind.is_symlink() {
        return refused(say!("it is a link"));
    }
    if !kind.is_file() {
        return refused(if kind.is_dir() { say!("it is a folder") } else { say!("it is not a regular file") });
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        if metadata.nlink() > 1 {
            return refused(say!("it has a second name (hard link), which would allow a second lock"));
        }
        let (owner, us) = (metadata.uid(), rustix::process::geteuid().as_raw());
        if owner != us {
            return refused(say!("it belongs to user {owner}, not to user {us}", owner, us));
        }
    }
    Ok(())
}

/// All that a file holds; an error if that is too much.
pub(super) fn read_bounded(file: &mut File, most_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(most_bytes + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most_bytes { Err(ours(say!("it is too large"))) } else { Ok(bytes) }
}

/// Which file it is, whatever its names are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity(#[cfg(unix)] (u64, u64));

impl Identity {
    fn new(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            Self((metadata.dev(), metadata.ino()))
        }
        #[cfg(not(unix))]
        {
            let _ = metadata;
            Self()
        }
    }

    /// Of the file that has this name now.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        fs::symlink_metadata(path).map(|metadata| Self::new(&metadata))
    }
}

/// Whether an open file still is the one that has its name.
pub(super) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let open = Identity::new(&file.metadata()?);
    match Identity::at(path) {
        Ok(named) => Ok(named == open),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// An error that has words of ours.
#[derive(Debug)]
struct Ours(Phrase);

impl std::fmt::Display for Ours {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Ours {}

/// A failure that the system does not know.
pub(super) fn ours(why: Phrase) -> io::Error {
    io::Error::other(Ours(why))
}

/// A system error in few words, or our own.
pub(super) fn reason(error: &io::Error) -> Phrase {
    if let Some(Ours(why)) = error.get_ref().and_then(|inner| inner.downcast_ref()) {
        return why.clone();
    }
    problem::reason(error)
}

/// A file beside another: its name and a suffix.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn all_names_of_a_file_have_one_place() {
        let _heard = crate::locale::tests::heard("ledger-sqlite-files-all_names_of_a_file_have_one_place");
        let folder = tempfile::tempdir().expect("a folder");
        let root = fs::canonicalize(folder.path()).expect("is there");
        fs::create_dir_all(root.join("a/b")).expect("makes");
        symlink(root.join("a"), root.join("link")).expect("makes");
        symlink("state.db", root.join("a/other.db")).expect("makes");
        symlink("nowhere", root.join("lost.db")).expect("makes");
        let place = |name: &str| place(&root.join(name)).map_err(|error| error.to_string());
        let state = Ok(root.join("a/state.db"));
        for name in ["a/state.db", "a/./state.db", "a/b/../state.db", "link/state.db", "link/b/../state.db"] {
            assert_eq!(place(name), state, "{name}, which is not there yet");
        }
        assert!(place("a/other.db").is_err_and(|why| why.ends_with("is a dangling link")));
        fs::write(root.join("a/state.db"), "").expect("writes");
        for name in ["a/state.db", "link/state.db", "a/other.db", "link/other.db"] {
            assert_eq!(place(name), state, "{name}");
        }
        assert_eq!(place("c/d/state.db"), Ok(root.join("c/d/state.db")));
        assert!(place("c/../state.db").is_err(), "nobody knows where `..` of what is not there is");
        assert!(place("lost.db").is_err() && place("a/state.db/x").is_err());
    }

    #[test]
    fn only_a_regular_file_of_our_own_is_opened_and_nothing_through_a_link() {
        let _heard = crate::locale::tests::heard(
            "ledger-sqlite-files-only_a_regular_file_of_our_own_is_opened_and_nothing_through_a_link",
        );
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        fs::write(path("victim"), "mine").expect("writes");
        symlink("victim", path("link")).expect("makes");
        symlink("nowhere", path("lost")).expect("makes");
        fs::create_dir(path("folder")).expect("makes");
        fs::write(path("one"), "").expect("writes");
        fs::hard_link(path("one"), path("two")).expect("makes");
        rustix::fs::mknodat(rustix::fs::CWD, path("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("makes");
        for (name, why) in [
            ("link", "it is a link"),
            ("lost", "it is a link"),
            ("folder", "it is a folder"),
            ("one", "it has a second name"),
            ("pipe", "it is not a regular file"),
        ] {
            let error = open_private(&path(name)).expect_err(name);
            assert!(reason(&error).to_string().starts_with(why), "{name}: {error}");
            assert!(check_place(&path(name)).is_err(), "{name}");
        }
        assert_eq!(fs::read_to_string(path("victim")).expect("reads"), "mine");
        assert!(!path("nowhere").exists() && check_place(&path("nowhere")).is_ok());
    }

    #[test]
    fn a_file_that_was_replaced_is_not_at_its_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lock");
        let file = open_private(&path).expect("makes");
        assert!(is_at(&file, &path).expect("looks"));
        fs::remove_file(&path).expect("is there");
        assert!(!is_at(&file, &path).expect("looks"), "deleted");
        let other = open_private(&path).expect("makes");
        assert!(!is_at(&file, &path).expect("looks") && is_at(&other, &path).expect("looks"), "replaced");
    }

    #[test]
    fn the_folder_of_the_state_holds_its_gitignore_whoever_made_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = folder.path().join("p/.qunfa");
        let ignore = || fs::read_to_string(state.join(".gitignore")).expect("is there");
        make_folder(&state).expect("makes");
        assert_eq!(ignore(), "*\n");
        assert_eq!(fs::metadata(&state).expect("is there").permissions().mode() & 0o777, 0o700);
        // Made by somebody else, or by a process that died.
        for before in [None, Some("")] {
            fs::remove_file(state.join(".gitignore")).expect("is there");
            before.map_or(Ok(()), |text| fs::write(state.join(".gitignore"), text)).expect("writes");
            make_folder(&state).expect("makes");
            assert_eq!(ignore(), "*\n");
        }
        fs::write(state.join(".gitignore"), "!state.db\n").expect("writes");
        make_folder(&state).expect("makes");
        assert_eq!(ignore(), "!state.db\n", "what a person wrote stays");
        make_folder(&folder.path().join("other")).expect("makes");
        assert!(!folder.path().join("other/.gitignore").exists());
    }

    #[test]
    fn what_is_read_has_a_bound() {
        let _heard = crate::locale::tests::heard("ledger-sqlite-files-what_is_read_has_a_bound");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("f");
        fs::write(&path, "12345").expect("writes");
        let read = |most| read_bounded(&mut open_own(&path, false).expect("opens"), most);
        assert_eq!(read(5).expect("fits"), b"12345");
        assert!(read(4).is_err());
    }
}
