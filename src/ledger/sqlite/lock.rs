//! The lock of an account: a file beside the ledger, locked by the operating system, so that it dies with its process.

use std::{
    fs::{self, File},
    io::{Read as _, Seek as _, Write as _},
    path::Path,
};

use crate::{
    ledger::store::{Owner, WriteError},
    problem::reason,
};

/// A lock that is held.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

impl Lock {
    pub(super) fn take(path: &Path, owner: &Owner) -> Result<Self, WriteError> {
        let failed = |error: std::io::Error| {
            WriteError::Lock(format!("the lock {} cannot be made: {}", path.display(), reason(&error)))
        };
        let mut file = super::files::open_private(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(WriteError::Held(owner_in(&mut file))),
            Err(fs::TryLockError::Error(error)) => return Err(failed(error)),
        }
        let text = serde_json::to_string(owner).unwrap_or_default();
        let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(text.as_bytes()));
        written.map_err(failed)?;
        Ok(Self { file })
    }
}

impl Drop for Lock {
    /// A process that is being started shares the open file until it is another program: closing alone would leave it locked.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

/// Who holds a lock. A run that begins in this very instant takes the question for another run.
pub(super) fn holder(path: &Path) -> Option<Option<Owner>> {
    let mut file = File::open(path).ok()?;
    match file.try_lock_shared() {
        Err(fs::TryLockError::WouldBlock) => Some(owner_in(&mut file)),
        Ok(()) | Err(fs::TryLockError::Error(_)) => None,
    }
}

fn owner_in(file: &mut File) -> Option<Owner> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}
