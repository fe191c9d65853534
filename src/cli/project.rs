//! The files below a project root: what a plan may name, and what is no content although it lies there.
#![expect(clippy::disallowed_methods, reason = "this module owns the files of a project")]

use std::{
    cell::RefCell,
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use super::files::{open_regular, read_regular};
use crate::{
    limits,
    locale::{Count, Phrase, say},
    problem::reason,
    resolve::{Project, ReadError, TemplateFile},
    text::did_you_mean,
};

/// The files below a plan's project root.
#[derive(Debug)]
pub(super) struct DiskProject {
    /// The folder of the plan, as it was given.
    folder: PathBuf,
    /// The project root, real.
    root: PathBuf,
    /// The ledger, where the command line names one.
    state: Option<PathBuf>,
    /// The files that secrets are read from.
    secrets: RefCell<Vec<PathBuf>>,
}

fn hidden() -> Phrase {
    say!("a name in its path, or in its link's target, starts with a dot")
}

fn key() -> Phrase {
    say!("it is a private key")
}

impl DiskProject {
    /// The project of a plan in `folder`: the nearest folder upwards with `.git`, else the folder itself.
    pub(super) fn new(folder: &Path) -> Self {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let real = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        let root = real.ancestors().find(|folder| folder.join(".git").exists()).unwrap_or(&real).to_owned();
        Self { folder: folder.to_owned(), root, state: None, secrets: RefCell::default() }
    }

    /// Keeps a ledger that lies anywhere from being read for a plan; `.qunfa` is hidden anyway.
    pub(super) fn with_state(&mut self, ledger: &Path) {
        self.state = Some(ledger.to_owned());
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Folders besides the root in which state of this project may have been kept, when its root was another: those above the
    /// plan, and the other work trees of its repository. Only those that hold a ledger of our own user.
    pub(super) fn other_states(&self) -> Vec<PathBuf> {
        let plan = fs::canonicalize(&self.folder).unwrap_or_else(|_| self.folder.clone());
        let mut folders: Vec<PathBuf> = plan.ancestors().map(Path::to_owned).collect();
        folders.extend(work_trees(&self.root).into_iter().filter_map(|tree| fs::canonicalize(tree).ok()));
        let mut found: Vec<PathBuf> = Vec::new();
        for folder in folders {
            if folder != self.root && !found.contains(&folder) && is_own(&folder.join(".qunfa/state.db")) {
                found.push(folder);
            }
        }
        found
    }

    /// A path as seen from the root of the repository, which is how CI systems know it; as it is where there is no
    /// repository, or for what lies outside of it.
    pub(super) fn name_from_root(&self, path: &str) -> String {
        let inside = fs::canonicalize(path).ok().filter(|_| self.root.join(".git").exists());
        let inside = inside.as_deref().and_then(|path| path.strip_prefix(&self.root).ok());
        let path = inside.map_or_else(|| path.to_owned(), |path| path.display().to_string());
        path.replace(std::path::MAIN_SEPARATOR, "/")
    }

    /// The path of a file as users know it, and where it really is, below the root.
    fn locate(&self, path: &str) -> Result<(String, PathBuf), ReadError> {
        let joined = self.folder.join(path);
        let name = shown(&joined);
        // What is hidden is not even said to exist.
        if is_hidden(Path::new(path).strip_prefix(&self.root).unwrap_or(Path::new(path))) {
            return Err(ReadError::Private(hidden()));
        }
        let unreadable = |error: io::Error| ReadError::Unreadable(reason(&error));
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
        let Ok(below) = real.strip_prefix(&self.root) else { return Err(ReadError::Escapes) };
        match self.why_private(&real, below) {
            Some(why) => Err(ReadError::Private(why)),
            None => Ok((name, real)),
        }
    }

    /// Why a file of the project is no content.
    fn why_private(&self, real: &Path, below: &Path) -> Option<Phrase> {
        let secret = || self.secrets.borrow().iter().any(|secret| same_file(real, secret));
        match () {
            () if is_hidden(below) => Some(hidden()),
            () if self.state.as_deref().is_some_and(|ledger| self.is_of_state(real, ledger)) => {
                Some(say!("it belongs to the state store, or is in its folder"))
            }
            () if secret() => Some(say!("it contains the account's secret")),
            () if is_key_name(real) => Some(key()),
            () => None,
        }
    }

    /// The ledger and what lies beside it by its name; all of its folder, unless the plan lies there too.
    fn is_of_state(&self, real: &Path, ledger: &Path) -> bool {
        let folder = ledger.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let Ok(folder) = fs::canonicalize(folder) else { return false };
        let plan = fs::canonicalize(&self.folder).unwrap_or_else(|_| self.folder.clone());
        let lower = |path: &Path| path.file_name().map(|name| name.to_string_lossy().to_lowercase());
        let named = || lower(real).zip(lower(ledger)).is_some_and(|(name, ledger)| name.starts_with(&ledger));
        let beside = real.starts_with(&folder) && (!plan.starts_with(&folder) || named());
        beside || same_file(real, ledger)
    }
}

/// Whether a name of a path begins with a dot, however the path is written: slashes of either kind, blanks or invisible
/// characters before it. `.` and `..` are no names.
fn is_hidden(path: &Path) -> bool {
    let path = path.to_string_lossy();
    let invisible = |c: char| {
        c.is_whitespace()
            || c.is_control()
            || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    path.split(['/', '\\'])
        .any(|name| !matches!(name, "." | "..") && name.trim_start_matches(invisible).starts_with('.'))
}

/// Files that hold private keys, by their names.
fn is_key_name(path: &Path) -> bool {
    const ENDINGS: [&str; 9] = ["pem", "key", "p12", "pfx", "ppk", "p8", "jks", "keystore", "kdbx"];
    const NAMES: [&str; 4] = ["id_rsa", "id_dsa", "id_ecdsa", "id_ed25519"];
    let is_one_of = |part: Option<&std::ffi::OsStr>, names: &[&str]| {
        part.and_then(|part| part.to_str()).is_some_and(|part| names.contains(&part.to_lowercase().as_str()))
    };
    is_one_of(path.extension(), &ENDINGS) || is_one_of(path.file_name(), &NAMES)
}

/// Whether the bytes begin as those of a private key do.
fn is_key(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes).trim_ascii_start();
    let line = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
    line.starts_with(b"-----BEGIN ") && line.windows(11).any(|words| words == b"PRIVATE KEY")
}

/// Whether the bytes are what git has of a file that Git LFS keeps.
/// <https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md>
pub(super) fn is_pointer(bytes: &[u8]) -> bool {
    bytes.starts_with(b"version https://git-lfs.github.com/spec/")
}

/// Why such a file is not read.
pub(super) fn pointer() -> ReadError {
    ReadError::Unreadable(say!("it is a Git LFS pointer, not the file itself; run `git lfs pull`"))
}

/// A file whose name is near to the one of a path: in its folder, in a folder of nearly its name, or in one below.
pub(super) fn near(path: &Path) -> Option<PathBuf> {
    let names = |folder: &Path, folders: bool| -> Vec<String> {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let entries = fs::read_dir(folder).into_iter().flatten().flatten().take(limits::NEAR_FILES);
        let entries = entries.filter(|entry| entry.path().is_dir() == folders);
        let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.retain(|name| !name.starts_with('.'));
        names.sort();
        names
    };
    let name = path.file_name()?.to_str()?;
    let folder = path.parent()?;
    let like = |name: &str, names: &[String]| -> Option<String> {
        let same = names.iter().find(|known| known.to_lowercase() == name.to_lowercase());
        let near = || did_you_mean(name, names.iter().map(String::as_str)).map(str::to_owned);
        same.cloned().or_else(near)
    };
    let below = || {
        let below = names(folder, true).into_iter().map(|below| folder.join(below).join(name));
        below.into_iter().find(|path| path.is_file())
    };
    if let Some(near) = like(name, &names(folder, false)) {
        return Some(folder.join(near));
    }
    let (above, missing) = (folder.parent(), folder.file_name().and_then(|name| name.to_str()));
    if let (false, Some(above), Some(missing)) = (folder.is_dir(), above, missing) {
        let there = above.join(like(missing, &names(above, true))?);
        return like(name, &names(&there, false)).map(|near| there.join(near));
    }
    let stem = |name: &str| name.split('.').next().unwrap_or_default().to_lowercase();
    let other =
        || names(folder, false).into_iter().find(|known| stem(known) == stem(name)).map(|name| folder.join(name));
    below().or_else(other)
}

/// Whether a file says at its top level that it is the plan of a name.
pub(super) fn is_plan(path: &Path, name: &str) -> bool {
    let bytes = read_regular(path, limits::PLAN_BYTES_MAX).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let mut names = text.lines().filter_map(|line| line.trim_start_matches('\u{feff}').strip_prefix("name:"));
    names.any(|named| named.split(" #").next().unwrap_or_default().trim().trim_matches(['"', '\'']) == name)
}

/// The main work tree of a repository and those that were made of it.
/// <https://git-scm.com/docs/gitrepository-layout>
fn work_trees(root: &Path) -> Vec<PathBuf> {
    let dot_git = root.join(".git");
    let text = |path: &Path| {
        let bytes = read_regular(path, limits::GIT_FILE_BYTES_MAX).ok()?;
        String::from_utf8(bytes).ok().map(|text| text.trim().to_owned())
    };
    // In a work tree that was added, `.git` is a file that names a folder below `worktrees` of the main one.
    let of_tree = || {
        let folder = root.join(text(&dot_git)?.strip_prefix("gitdir:")?.trim());
        let trees = folder.parent().filter(|trees| trees.ends_with("worktrees"))?;
        trees.parent().map(Path::to_owned)
    };
    let Some(common) = Some(dot_git.clone()).filter(|folder| folder.is_dir()).or_else(of_tree) else {
        return Vec::new();
    };
    let added = fs::read_dir(common.join("worktrees")).into_iter().flatten().flatten().take(limits::WORK_TREES_MAX);
    let added = added.filter_map(|tree| text(&tree.path().join("gitdir"))).map(PathBuf::from);
    let main = (common.file_name().is_some_and(|name| name == ".git")).then(|| common.parent().map(Path::to_owned));
    let trees = added.filter_map(|git| git.parent().map(Path::to_owned));
    main.flatten().into_iter().chain(trees).collect()
}

/// Whether a file is there and belongs to our user: what others put there is not taken for ours.
fn is_own(path: &Path) -> bool {
    let Ok(file) = fs::symlink_metadata(path) else { return false };
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        file.uid() == rustix::process::geteuid().as_raw()
    }
    #[cfg(not(unix))]
    {
        file.is_file()
    }
}

/// Whether two paths are one file, also through a link of either kind or in other letters.
fn same_file(one: &Path, other: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let identity = |path: &Path| fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
        if let (Some(one), Some(other)) = (identity(one), identity(other)) {
            return one == other;
        }
    }
    fs::canonicalize(other).is_ok_and(|other| other == one)
}

impl Project for DiskProject {
    fn read(&self, path: &str, most_bytes: u64) -> Result<(String, Vec<u8>), ReadError> {
        let (name, real) = self.locate(path)?;
        let bytes = read_regular(&real, most_bytes)?;
        if is_pointer(&bytes) {
            return Err(pointer());
        }
        if is_key(&bytes) { Err(ReadError::Private(key())) } else { Ok((name, bytes)) }
    }

    fn withhold(&self, path: &str) {
        self.secrets.borrow_mut().push(self.folder.join(path));
    }

    fn open(&self, path: &str) -> Result<(String, Box<dyn io::Read>), ReadError> {
        let (name, real) = self.locate(path)?;
        let (mut file, _) = open_regular(&real)?;
        let mut head = Vec::new();
        let read = (&mut file).take(256).read_to_end(&mut head);
        read.map_err(|error| ReadError::Unreadable(reason(&error)))?;
        if is_pointer(&head) {
            return Err(pointer());
        }
        if is_key(&head) {
            return Err(ReadError::Private(key()));
        }
        Ok((name, Box::new(io::Cursor::new(head).chain(file))))
    }

    fn near(&self, path: &str) -> Option<String> {
        let near = near(&self.folder.join(path))?;
        let within = fs::canonicalize(&near).is_ok_and(|real| real.starts_with(&self.root));
        let below = if self.folder.as_os_str().is_empty() { &near } else { near.strip_prefix(&self.folder).ok()? };
        within.then(|| below.display().to_string()).filter(|name| !is_hidden(Path::new(name)))
    }

    fn templates(&self) -> Vec<TemplateFile> {
        // The way from the plan's folder up to the root, as users would write it.
        let real = fs::canonicalize(&self.folder).unwrap_or_else(|_| self.folder.clone());
        let upwards = real.strip_prefix(&self.root).map_or(0, |below| below.components().count());
        let root: PathBuf = std::iter::repeat_n("..", upwards).collect();
        let mut names = Vec::new();
        template_names(&self.root.join("templates"), "", &mut names);
        names.sort();
        let mut left = limits::TEMPLATES_BYTES_MAX;
        let file = |(number, name): (usize, String)| {
            let path = root.join("templates").join(&name);
            let bytes = if number >= limits::TEMPLATE_FILES_MAX {
                let most = Count::from(limits::TEMPLATE_FILES_MAX);
                Err(ReadError::Unreadable(say!("`templates/` has more than {most} files", most)))
            } else if left == 0 {
                let most = Count(limits::TEMPLATES_BYTES_MAX);
                Err(ReadError::Unreadable(say!("the files in `templates/` have more than {most} bytes together", most)))
            } else {
                self.read(&path.to_string_lossy(), limits::CONTENT_BYTES_MAX).map(|(_, bytes)| bytes)
            };
            left = left.saturating_sub(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64));
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
