//! The real world, put together once: terminal, files, environment, time, signals. The only place that owns any of it.
#![expect(clippy::disallowed_methods, reason = "this module is where the real world comes in")]

use std::{
    fs,
    io::{self, IsTerminal as _, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use anstream::{AutoStream, ColorChoice};
use jiff::Timestamp;

use crate::{
    clock::Clock,
    limits,
    plan::model::SecretSource,
    problem::reason,
    redact::Secret,
    resolve::{Project, ReadError, TemplateFile},
};

/// How often somebody asked to stop.
static INTERRUPTS: AtomicU32 = AtomicU32::new(0);

/// Standard output, standard error and what is known of them.
#[derive(Debug)]
pub(super) struct Terminal {
    color: ColorChoice,
    /// Nothing but results and errors.
    pub(super) quiet: bool,
    /// Whether standard error is a terminal, so that progress may move.
    pub(super) interactive: bool,
    /// The reader of standard output is gone: there is nobody to write for.
    closed: AtomicBool,
    /// Something was written to standard output.
    wrote: AtomicBool,
    /// What went wrong last, for those who read documents.
    failure: Mutex<Option<(String, Vec<String>)>>,
}

impl Terminal {
    /// `auto` looks at NO_COLOR, CLICOLOR and whether the stream is a terminal.
    pub(super) fn new(color: ColorChoice, quiet: bool) -> Self {
        Self {
            color,
            quiet,
            interactive: io::stderr().is_terminal(),
            closed: AtomicBool::new(false),
            wrote: AtomicBool::new(false),
            failure: Mutex::new(None),
        }
    }

    /// Remembers what was said to be wrong.
    pub(super) fn failed(&self, message: &str, help: &[String]) {
        if let Ok(mut failure) = self.failure.lock() {
            *failure = Some((message.to_owned(), help.to_vec()));
        }
    }

    /// What was said to be wrong, if standard output holds nothing yet.
    pub(super) fn unwritten_failure(&self) -> Option<(String, Vec<String>)> {
        let failure = self.failure.lock().ok()?.take();
        failure.filter(|_| !self.wrote.load(Ordering::Relaxed))
    }

    /// A result.
    pub(super) fn out(&self, text: &str) {
        self.wrote.store(true, Ordering::Relaxed);
        if self.closed.load(Ordering::Relaxed) {
            return;
        }
        let written = if is_plain(text) {
            write_all(io::stdout(), text)
        } else {
            write_all(AutoStream::new(io::stdout(), self.color), text)
        };
        if written.is_err() {
            self.closed.store(true, Ordering::Relaxed);
        }
    }

    /// Anything else. A closed pipe is no error.
    pub(super) fn err(&self, text: &str) {
        let _ = write_all(AutoStream::new(io::stderr(), self.color), text);
    }

    /// A remark, which --quiet leaves out.
    pub(super) fn note(&self, text: &str) {
        if !self.quiet {
            self.err(text);
        }
    }

    /// Whether somebody can be asked.
    pub(super) fn can_ask(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Asks for a line.
    pub(super) fn ask(&self, question: &str) -> Option<String> {
        self.err(question);
        let mut line = String::new();
        io::stdin().read_line(&mut line).ok().filter(|read| *read > 0)?;
        Some(line.trim().to_owned())
    }
}

/// Writes a text, with its colours or without.
fn write_all(mut stream: impl io::Write, text: &str) -> io::Result<()> {
    stream.write_all(text.as_bytes())?;
    stream.flush()
}

/// To look for colours in a dry run of a million people would take longer than to make it.
fn is_plain(text: &str) -> bool {
    !text.as_bytes().contains(&0x1b)
}

/// Remembers Ctrl-C and SIGTERM; the third one ends the process.
pub(super) fn catch_signals() {
    let result = ctrlc::set_handler(|| {
        if INTERRUPTS.fetch_add(1, Ordering::SeqCst) >= 2 {
            std::process::exit(130);
        }
    });
    debug_assert!(result.is_ok(), "the only handler of the process");
    // A file that grows past the limit of the process is a full disk: the write fails, and that is recorded and reported.
    #[cfg(unix)]
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
}

/// True once somebody asked to stop.
pub(super) fn interrupted() -> bool {
    INTERRUPTS.load(Ordering::SeqCst) > 0
}

/// True once somebody asked twice: the call in flight is not waited for.
pub(super) fn abandoned() -> bool {
    INTERRUPTS.load(Ordering::SeqCst) > 1
}

/// Real time, shifted by `--now`.
#[derive(Debug, Default)]
pub(super) struct RealClock {
    offset_ms: i64,
}

impl RealClock {
    /// A clock that stands at `now` now.
    pub(super) fn at(now: Option<Timestamp>) -> Self {
        Self { offset_ms: now.map_or(0, |now| now.as_millisecond() - Timestamp::now().as_millisecond()) }
    }
}

impl Clock for RealClock {
    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        if self.offset_ms == 0 {
            now
        } else {
            Timestamp::from_millisecond(now.as_millisecond().saturating_add(self.offset_ms)).unwrap_or(now)
        }
    }

    fn sleep(&self, duration: Duration) -> bool {
        let until = Instant::now() + duration;
        while !interrupted() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
        false
    }
}

/// The time of a rehearsal: waits pass at once. The embedded sandbox lives in the same time.
#[derive(Debug, Clone)]
pub(super) struct RehearsalClock {
    ms: Arc<AtomicI64>,
}

impl RehearsalClock {
    /// Begins at a time.
    pub(super) fn new(start: Timestamp) -> Self {
        Self { ms: Arc::new(AtomicI64::new(start.as_millisecond())) }
    }
}

impl Clock for RehearsalClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.ms.load(Ordering::SeqCst)).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    fn sleep(&self, duration: Duration) -> bool {
        let ms = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4);
        self.ms.fetch_add(ms, Ordering::SeqCst);
        !interrupted()
    }
}

/// An environment variable.
pub(super) fn env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Whether this is a step of GitHub Actions.
pub(super) fn is_github() -> bool {
    env("GITHUB_ACTIONS").as_deref() == Some("true")
}

/// The files below a plan's project root.
#[derive(Debug)]
pub(super) struct DiskProject {
    /// The folder of the plan, as it was given.
    folder: PathBuf,
    /// The project root, real.
    root: PathBuf,
}

impl DiskProject {
    /// The project of a plan in `folder`: the nearest folder upwards with `.git`, else the folder itself.
    pub(super) fn new(folder: &Path) -> Self {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let real = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        let root = real.ancestors().find(|folder| folder.join(".git").exists()).unwrap_or(&real).to_owned();
        Self { folder: folder.to_owned(), root }
    }

    /// The project root.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// A path as seen from the root of the repository, which is how CI systems know it; as it is where there is no
    /// repository, or for what lies outside of it.
    pub(super) fn name_from_root(&self, path: &str) -> String {
        let inside = fs::canonicalize(path).ok().filter(|_| self.root.join(".git").exists());
        let inside = inside.as_deref().and_then(|path| path.strip_prefix(&self.root).ok());
        let path = inside.map_or_else(|| path.to_owned(), |path| path.display().to_string());
        path.replace(std::path::MAIN_SEPARATOR, "/")
    }
}

impl DiskProject {
    /// The path of a file as users know it, and where it really is, below the root.
    fn locate(&self, path: &str) -> Result<(String, PathBuf), ReadError> {
        let joined = self.folder.join(path);
        let name = shown(&joined);
        let unreadable = |error: io::Error| ReadError::Unreadable(reason(&error).into());
        // Where a missing file would be matters too: what lies outside is not even said to exist.
        let real = match fs::canonicalize(&joined) {
            Ok(real) => real,
            Err(error) => {
                let inside =
                    lexically(&fs::canonicalize(&self.folder).unwrap_or_else(|_| self.folder.clone()).join(path))
                        .starts_with(&self.root);
                return Err(if inside { unreadable(error) } else { ReadError::Escapes });
            }
        };
        if !real.starts_with(&self.root) {
            return Err(ReadError::Escapes);
        }
        Ok((name, real))
    }
}

impl Project for DiskProject {
    fn read(&self, path: &str, most_bytes: u64) -> Result<(String, Vec<u8>), ReadError> {
        let (name, real) = self.locate(path)?;
        read_regular(&real, most_bytes).map(|bytes| (name, bytes))
    }

    fn open(&self, path: &str) -> Result<(String, Box<dyn io::Read>), ReadError> {
        let (name, real) = self.locate(path)?;
        open_regular(&real).map(|(file, _)| (name, Box::new(file) as Box<dyn io::Read>))
    }

    fn templates(&self) -> Vec<TemplateFile> {
        // The way from the plan's folder up to the root, as users would write it.
        let real = fs::canonicalize(&self.folder).unwrap_or_else(|_| self.folder.clone());
        let upwards = real.strip_prefix(&self.root).map_or(0, |below| below.components().count());
        let root: PathBuf = std::iter::repeat_n("..", upwards).collect();
        let mut names = Vec::new();
        template_names(&self.root.join("templates"), "", &mut names);
        names.sort();
        let file = |(number, name): (usize, String)| {
            let path = root.join("templates").join(&name);
            let bytes = if number < limits::TEMPLATE_FILES_MAX {
                self.read(&path.to_string_lossy(), limits::CONTENT_BYTES_MAX).map(|(_, bytes)| bytes)
            } else {
                let most = limits::TEMPLATE_FILES_MAX;
                Err(ReadError::Unreadable(format!("it is one of more than {most} files in `templates/`")))
            };
            TemplateFile { name, path: shown(&self.folder.join(path)), bytes }
        };
        names.into_iter().enumerate().map(file).collect()
    }
}

/// Names of the files below a folder; hidden ones, and folders that are links, are left out.
fn template_names(folder: &Path, prefix: &str, names: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else { continue };
        if names.len() > limits::TEMPLATE_FILES_MAX {
            return;
        }
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => template_names(&entry.path(), &format!("{prefix}{name}/"), names),
            Ok(_) => names.push(format!("{prefix}{name}")),
            Err(_) => {}
        }
    }
}

/// A path as people write it: `a/../b` is `b`, as long as nothing leads upwards out of what is known.
fn shown(path: &Path) -> String {
    let plain = lexically(path);
    let upwards = path.components().scan(0_i32, |depth, part| {
        *depth += match part {
            std::path::Component::Normal(_) => 1,
            std::path::Component::ParentDir => -1,
            _ => 0,
        };
        Some(*depth)
    });
    if path.is_relative() && upwards.min() < Some(0) { path.display().to_string() } else { plain.display().to_string() }
}

/// A path without `.` and `..`.
fn lexically(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                out.pop();
            }
            std::path::Component::CurDir => {}
            part => out.push(part),
        }
    }
    out
}

/// Opens a regular file, and says how long it is: a device or a pipe would never end.
fn open_regular(path: &Path) -> Result<(fs::File, u64), ReadError> {
    let unreadable = |error: io::Error| ReadError::Unreadable(reason(&error).into());
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(ReadError::Unreadable(
            if metadata.is_dir() { "it is a folder" } else { "it is no regular file" }.into(),
        ));
    }
    Ok((fs::File::open(path).map_err(unreadable)?, metadata.len()))
}

/// Reads a regular file of bounded size.
pub(super) fn read_regular(path: &Path, most_bytes: u64) -> Result<Vec<u8>, ReadError> {
    let (file, length) = open_regular(path)?;
    let mut bytes = Vec::with_capacity(usize::try_from(length.min(most_bytes)).unwrap_or(0));
    let read = file.take(most_bytes + 1).read_to_end(&mut bytes);
    read.map_err(|error| ReadError::Unreadable(reason(&error).into()))?;
    if bytes.len() as u64 > most_bytes { Err(ReadError::TooLarge(length)) } else { Ok(bytes) }
}

/// Standard input, of bounded size.
pub(super) fn read_stdin(most_bytes: u64) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    io::stdin()
        .take(most_bytes + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| ReadError::Unreadable(reason(&error).into()))?;
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
pub(super) fn write_page(path: &Path, bytes: &[u8]) -> Result<(), String> {
    if path.is_dir() {
        return Err("it is a folder".into());
    }
    let in_state = path.parent().filter(|folder| folder.file_name().is_some_and(|name| name == ".qunfa"));
    let made = in_state.map_or(Ok(()), crate::ledger::sqlite::make_folder);
    made.and_then(|()| write_file(path, bytes)).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => reason(&error).to_owned(),
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => "a part of its path is no folder".to_owned(),
        _ => error.to_string(),
    })
}

/// What opens a page, by system: the first that is there.
#[cfg(target_os = "macos")]
const OPENERS: &[&[&str]] = &[&["open"]];
#[cfg(windows)]
const OPENERS: &[&[&str]] = &[&["explorer"]];
#[cfg(not(any(windows, target_os = "macos")))]
const OPENERS: &[&[&str]] = &[&["xdg-open"], &["gio", "open"], &["wslview"]];

/// Opens a page with what the desktop opens pages with; the error says why not.
pub(super) fn open_on_desktop(path: &Path) -> Result<(), String> {
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut failed = None;
    'openers: for opener in OPENERS {
        let name = opener[0];
        let quiet = Command::new(name)
            .args(&opener[1..])
            .arg(&real)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut child) = quiet else { continue };
        let until = Instant::now() + limits::OPENER_TIMEOUT;
        // Some openers end at once, others with the browser: an error comes soon.
        while Instant::now() < until {
            match child.try_wait() {
                Ok(Some(status)) if status.success() || cfg!(windows) => return Ok(()),
                Ok(Some(status)) => {
                    failed = Some(format!("`{name}` failed ({status})"));
                    continue 'openers;
                }
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
        }
        return Ok(());
    }
    let names: Vec<&str> = OPENERS.iter().map(|opener| opener[0]).collect();
    Err(failed.unwrap_or_else(|| format!("there is no {} here", names.join(", no "))))
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

/// Appends to a file.
pub(super) fn append_file(path: &Path, text: &str) -> io::Result<()> {
    fs::OpenOptions::new().append(true).create(true).open(path)?.write_all(text.as_bytes())
}

/// The files of a folder that a dry run wrote before, so that none of them is left over.
pub(super) fn remove_old_requests(folder: &Path) -> io::Result<()> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let ours = name.len() > 4
            && name.as_bytes()[..3].iter().all(u8::is_ascii_digit)
            && name.as_bytes()[3] == b'-'
            && (name.ends_with(".json") || name.ends_with(".http"));
        if ours || name == "manifest.json" {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Reads a secret from where the plan says it is; the error is in words that hold nothing of it.
pub(super) fn read_secret(source: &SecretSource, folder: &Path) -> Result<Secret, String> {
    let (value, from) = match (&source.env, &source.file, &source.command) {
        (Some(name), _, _) => (
            env(name).ok_or_else(|| format!("the environment variable `{name}` is not set"))?,
            format!("the environment variable `{name}`"),
        ),
        (_, Some(path), _) => {
            let bytes = read_regular(&folder.join(path), limits::SECRET_BYTES_MAX).map_err(|error| match error {
                ReadError::Unreadable(why) => format!("the secret file `{path}` cannot be read: {why}"),
                _ => format!("the secret file `{path}` is too large"),
            })?;
            (
                String::from_utf8(bytes).map_err(|_| format!("the secret file `{path}` is not UTF-8"))?,
                format!("the secret file `{path}`"),
            )
        }
        (_, _, Some(command)) => (run_secret_command(command, folder)?, format!("the output of `{}`", command[0])),
        _ => return Err("the plan does not say where the secret is".into()),
    };
    let value = value.trim();
    if value.is_empty() {
        return Err(format!("{from} is empty"));
    }
    if value.contains(char::is_control) {
        return Err(format!("{from} is more than one line"));
    }
    Ok(Secret::new(value.to_owned()))
}

fn run_secret_command(command: &[String], folder: &Path) -> Result<String, String> {
    let program = &command[0];
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    // What the program says on standard error may hold the secret: it is not shown.
    let child = Command::new(program)
        .args(&command[1..])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child =
        child.map_err(|error| format!("the secret command `{program}` cannot be run: {}", reason(&error)))?;
    let stdout = child.stdout.take();
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        stdout.map(|stdout| stdout.take(limits::SECRET_BYTES_MAX).read_to_end(&mut text));
        text
    });
    let until = Instant::now() + limits::SECRET_COMMAND_TIMEOUT;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(5)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!(
                    "the secret command `{program}` did not end within {} s",
                    limits::SECRET_COMMAND_TIMEOUT.as_secs()
                ));
            }
        }
    };
    if !status.success() {
        return Err(format!("the secret command `{program}` failed ({status}); run it by hand to see what it says"));
    }
    let text = reader.join().map_err(|_| format!("the output of `{program}` cannot be read"))?;
    String::from_utf8(text).map_err(|_| format!("the output of `{program}` is not UTF-8"))
}

/// The name of this machine and the number of this process, for the lock.
pub(super) fn identity() -> (String, u32) {
    let host = fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| env("HOSTNAME"))
        .or_else(|| env("COMPUTERNAME"));
    (host.map_or_else(|| "unknown".into(), |host| host.trim().to_owned()), std::process::id())
}

/// A new name for a run: time and chance.
pub(super) fn new_run_id(now: Timestamp) -> String {
    use std::hash::{BuildHasher as _, Hasher as _};
    let mut hasher = std::collections::hash_map::RandomState::new().build_hasher();
    hasher.write_u32(std::process::id());
    format!("{}-{:06x}", crate::clock::shanghai(now).strftime("%Y%m%d-%H%M%S"), hasher.finish() & 0xff_ffff)
}
