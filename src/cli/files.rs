//! Files that are read or written whole.
#![expect(clippy::disallowed_methods, reason = "this module reads and writes the files of a command line")]

use std::{
    fs,
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::clock::RealClock;
use crate::{
    clock::Clock as _,
    limits,
    locale::{Phrase, say},
    problem::{reason, unwritten},
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
    let file = fs::File::open(path).map_err(unreadable)?;
    OPENED.fetch_add(metadata.len(), Ordering::Relaxed);
    Ok((file, metadata.len()))
}

/// Bytes of all files that were opened for reading, and of standard input.
static OPENED: AtomicU64 = AtomicU64::new(0);

/// How many bytes this process was given to read.
pub(super) fn bytes_opened() -> u64 {
    OPENED.load(Ordering::Relaxed)
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
    OPENED.fetch_add(bytes.len() as u64, Ordering::Relaxed);
    if bytes.len() as u64 > most_bytes { Err(ReadError::TooLarge(bytes.len() as u64)) } else { Ok(bytes) }
}

/// Writes a file whole or not at all; a link stays one. Into what is no regular file (a pipe, a device, `/dev/fd/3`) is written,
/// and it is never replaced.
pub(super) fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(stream) = stream(path)? {
        return write_into(stream, bytes);
    }
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if fs::symlink_metadata(&target).is_ok_and(|found| found.is_symlink()) {
        // It leads to nothing yet: the system makes a file there.
        return fs::write(path, bytes);
    }
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().prefix(".qunfa").tempfile_in(folder)?;
    file.write_all(bytes)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(&target).map_or(0o644, |found| found.permissions().mode() & 0o777);
        file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
    }
    file.persist(&target).map(drop).map_err(|error| error.error)
}

/// What is written into and not replaced.
enum Stream {
    Stdout,
    Stderr,
    File(fs::File),
}

/// The stream that a path names; none if it names a file, a folder or nothing.
fn stream(path: &Path) -> io::Result<Option<Stream>> {
    let Ok(found) = fs::metadata(path) else { return Ok(None) };
    let descriptor = descriptor(path);
    Ok(match descriptor {
        Some(1) => Some(Stream::Stdout),
        Some(2) => Some(Stream::Stderr),
        // What was written there before stays.
        Some(_) if found.is_file() => Some(Stream::File(fs::OpenOptions::new().append(true).open(path)?)),
        None if found.is_file() => None,
        _ if found.is_dir() => None,
        _ => Some(Stream::File(open_stream(path)?)),
    })
}

/// The number of the open file of this process that a path names: `/dev/stdout`, `/dev/fd/3`, `/proc/self/fd/3`, or a link there.
fn descriptor(path: &Path) -> Option<u32> {
    let mut path = std::path::absolute(path).ok()?;
    // As deep as systems follow links.
    for _ in 0..40 {
        let number = match path.parent().and_then(Path::to_str) {
            Some("/dev/fd" | "/proc/self/fd") => path.file_name()?.to_str()?.parse().ok(),
            Some("/dev") => match path.file_name()?.to_str()? {
                "stdout" => Some(1),
                "stderr" => Some(2),
                _ => None,
            },
            _ => None,
        };
        if number.is_some() {
            return number;
        }
        let next = fs::read_link(&path).ok()?;
        path = path.parent()?.join(next);
    }
    None
}

/// Opens a device or a pipe; who is to read a pipe may come a moment later.
#[cfg(unix)]
fn open_stream(path: &Path) -> io::Result<fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;

    use rustix::{
        fs::{OFlags, fcntl_setfl},
        io::Errno,
    };
    let mut open = fs::OpenOptions::new();
    open.write(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    let mut waited = Duration::ZERO;
    loop {
        match open.open(path) {
            Err(error) if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => {
                waited += limits::LOCK_LOOK;
                if waited > limits::PIPE_READER_WAIT || !RealClock::default().sleep(limits::LOCK_LOOK) {
                    return Err(io::Error::other(say!("nobody reads from the pipe").to_string()));
                }
            }
            opened => {
                let file = opened?;
                // From here on a full pipe is waited for.
                fcntl_setfl(&file, OFlags::empty())?;
                return Ok(file);
            }
        }
    }
}

#[cfg(not(unix))]
fn open_stream(path: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new().write(true).open(path)
}

fn write_into(stream: Stream, bytes: &[u8]) -> io::Result<()> {
    match stream {
        Stream::Stdout => io::stdout().lock().write_all(bytes).and_then(|()| io::stdout().flush()),
        Stream::Stderr => io::stderr().lock().write_all(bytes),
        Stream::File(mut file) => file.write_all(bytes),
    }
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
    made.and_then(|()| write_file(path, bytes)).map_err(|error| unwritten(&error))
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

/// Writes files below a folder, all of them or none, in the place of those that are there; the error names the one that could
/// not be. All are written beside the folder's files first; while they take their places, those before them are kept.
pub(super) fn replace_files<'a>(folder: &Path, files: &'a [(String, Vec<u8>)]) -> Result<(), (&'a str, io::Error)> {
    let first = files.first().map_or("", |(name, _)| name.as_str());
    let new = folder.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists());
    let mut folders: Vec<PathBuf> = new.map(Path::to_owned).collect();
    let mut placed: Vec<(PathBuf, Option<PathBuf>)> = Vec::new();
    let mut place = || -> Result<(), (&'a str, io::Error)> {
        fs::create_dir_all(folder).map_err(|error| (first, error))?;
        let stage = tempfile::Builder::new().prefix(".qunfa").tempdir_in(folder).map_err(|error| (first, error))?;
        for (at, (name, bytes)) in files.iter().enumerate() {
            fs::write(stage.path().join(at.to_string()), bytes).map_err(|error| (name.as_str(), error))?;
        }
        for (at, (name, _)) in files.iter().enumerate() {
            let mut move_in = || -> io::Result<()> {
                let path = folder.join(name);
                let parent = path.parent().unwrap_or(folder);
                if !parent.exists() {
                    fs::create_dir_all(parent)?;
                    folders.push(parent.to_owned());
                }
                let before = match entry(&path) {
                    Entry::Nothing => None,
                    _ => Some(stage.path().join(format!("{at}.before"))),
                };
                if let Some(before) = &before {
                    fs::rename(&path, before)?;
                }
                placed.push((path.clone(), before));
                fs::rename(stage.path().join(at.to_string()), &path)
            };
            if let Err(error) = move_in() {
                // As it was, while what was kept is still there.
                for (path, before) in placed.drain(..).rev() {
                    let _ = fs::remove_file(&path);
                    let _ = before.map(|before| fs::rename(before, &path));
                }
                return Err((name, error));
            }
        }
        Ok(())
    };
    let done = place();
    if done.is_err() {
        folders.sort();
        for folder in folders.iter().rev() {
            let _ = fs::remove_dir(folder);
        }
    }
    done
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_opened_is_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a");
        fs::write(&path, [b'x'; 1_000]).expect("writes");
        let before = bytes_opened();
        read_regular(&path, 10_000).expect("is there");
        assert!(bytes_opened() >= before + 1_000);
    }
}
