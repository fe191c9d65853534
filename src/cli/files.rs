//! Files that are read or written whole.
#![expect(clippy::disallowed_methods, reason = "this module reads and writes the files of a command line")]

use std::{
    fs,
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use crate::{
    locale::{Phrase, say},
    problem::reason,
    resolve::ReadError,
};

/// Opens a regular file, and says how long it is: a device or a pipe would never end.
pub(super) fn open_regular(path: &Path) -> Result<(fs::File, u64), ReadError> {
    let unreadable = |error: io::Error| ReadError::Unreadable(reason(&error));
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(ReadError::Unreadable(if metadata.is_dir() {
            say!("it is a folder")
        } else {
            say!("it is not a regular file")
        }));
    }
    Ok((fs::File::open(path).map_err(unreadable)?, metadata.len()))
}

/// Reads a regular file of bounded size.
pub(super) fn read_regular(path: &Path, most_bytes: u64) -> Result<Vec<u8>, ReadError> {
    let (file, length) = open_regular(path)?;
    let mut bytes = Vec::with_capacity(usize::try_from(length.min(most_bytes)).unwrap_or(0));
    let read = file.take(most_bytes + 1).read_to_end(&mut bytes);
    read.map_err(|error| ReadError::Unreadable(reason(&error)))?;
    if bytes.len() as u64 > most_bytes { Err(ReadError::TooLarge(length)) } else { Ok(bytes) }
}

/// Standard input, of bounded size.
pub(super) fn read_stdin(most_bytes: u64) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    io::stdin().take(most_bytes + 1).read_to_end(&mut bytes).map_err(|error| ReadError::Unreadable(reason(&error)))?;
    if bytes.len() as u64 > most_bytes { Err(ReadError::TooLarge(bytes.len() as u64)) } else { Ok(bytes) }
}

/// Writes a file whole or not at all.
pub(super) fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().prefix(".qunfa").tempfile_in(folder)?;
    file.write_all(bytes)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
    }
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// How many bytes a file has; none if there is none.
pub(super) fn file_length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Writes a page for a browser. The folder of the state stays out of git, whoever makes it.
pub(super) fn write_page(path: &Path, bytes: &[u8]) -> Result<(), Phrase> {
    if path.is_dir() {
        return Err(say!("it is a folder"));
    }
    let in_state = path.parent().filter(|folder| folder.file_name().is_some_and(|name| name == ".qunfa"));
    let made = in_state.map_or(Ok(()), crate::ledger::sqlite::make_folder);
    made.and_then(|()| write_file(path, bytes)).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => reason(&error),
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => say!("a part of its path is not a folder"),
        _ => Phrase::verbatim(error.to_string()),
    })
}

/// Writes a file that is there anew, whole or not at all; it keeps its permissions, and a link stays one.
pub(super) fn rewrite_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let real = fs::canonicalize(path)?;
    let permissions = fs::metadata(&real)?.permissions();
    if permissions.readonly() {
        return Err(io::Error::from(io::ErrorKind::PermissionDenied));
    }
    let folder = real.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".qunfa").tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().set_permissions(permissions)?;
    file.as_file().sync_all()?;
    file.persist(real).map(drop).map_err(|error| error.error)
}

/// The name of a folder, which need not be there yet.
pub(super) fn folder_name(folder: &Path) -> Option<String> {
    let real = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    real.file_name().map(|name| name.to_string_lossy().into_owned())
}

/// Whether two paths are one folder.
pub(super) fn same_folder(one: &Path, other: &Path) -> bool {
    fs::canonicalize(one).ok() == fs::canonicalize(other).ok()
}

/// What stands in the way of new files below a folder: files of their names, and what is no folder where one must be. A link
/// counts as such: it may lead elsewhere. Paths are below the folder.
pub(super) fn taken(folder: &Path, names: &[&str]) -> Vec<PathBuf> {
    let mut taken: Vec<PathBuf> = Vec::new();
    for name in names {
        let mut path = PathBuf::new();
        let mut parts = Path::new(name).components().peekable();
        while let Some(part) = parts.next() {
            path.push(part);
            let Ok(found) = fs::symlink_metadata(folder.join(&path)) else { break };
            if (!found.is_dir() || parts.peek().is_none()) && !taken.contains(&path) {
                taken.push(path.clone());
            }
        }
    }
    taken
}

/// Writes files that are not there yet, all of them or none; the error names the one that could not be.
pub(super) fn write_new_files<'a>(
    folder: &Path,
    files: &[(&'a str, std::borrow::Cow<'_, [u8]>)],
) -> Result<(), (&'a str, io::Error)> {
    let mut written: Vec<PathBuf> = Vec::new();
    let mut folders: Vec<PathBuf> = Vec::new();
    let mut write = |name: &str, bytes: &[u8]| -> io::Result<()> {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(folder);
        let new = parent.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
        folders.extend(new.map(Path::to_owned));
        fs::create_dir_all(parent)?;
        let mut file = fs::OpenOptions::new().write(true).create_new(true).open(&path)?;
        written.push(path);
        file.write_all(bytes)
    };
    let failed = files.iter().find_map(|(name, bytes)| write(name, bytes).err().map(|error| (*name, error)));
    let Some(failed) = failed else { return Ok(()) };
    for path in written {
        let _ = fs::remove_file(path);
    }
    folders.sort();
    for folder in folders.iter().rev() {
        let _ = fs::remove_dir(folder);
    }
    Err(failed)
}

pub(super) fn append_file(path: &Path, text: &str) -> io::Result<()> {
    fs::OpenOptions::new().append(true).create(true).open(path)?.write_all(text.as_bytes())
}

/// What a name in a folder stands for; links are not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    Nothing,
    File,
    /// A folder, a link, a device.
    Other,
}

pub(super) fn entry(path: &Path) -> Entry {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => Entry::File,
        Ok(_) => Entry::Other,
        Err(_) => Entry::Nothing,
    }
}

pub(super) fn remove_file(path: &Path) -> io::Result<()> {
    fs::remove_file(path)
}
