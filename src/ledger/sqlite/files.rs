//! The files of the state: private, in a folder that keeps itself out of git.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The folder of the state keeps itself out of git.
pub(crate) fn make_folder(folder: &Path) -> std::io::Result<()> {
    if folder.exists() {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    if folder.file_name().is_some_and(|name| name == ".qunfa") {
        fs::write(folder.join(".gitignore"), "*\n")?;
    }
    Ok(())
}

/// Opens a file for reading and writing that nobody else may read, making it and its folder where there is none.
pub(super) fn open_private(path: &Path) -> std::io::Result<fs::File> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        make_folder(folder)?;
    }
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)
}

/// A file beside another: its name and a suffix.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
