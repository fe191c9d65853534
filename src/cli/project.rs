//! The files below a project root: what a plan may name.
#![expect(clippy::disallowed_methods, reason = "this module owns the files of a project")]

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::files::{open_regular, read_regular};
use crate::{
    limits,
    problem::reason,
    resolve::{Project, ReadError, TemplateFile},
};

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
