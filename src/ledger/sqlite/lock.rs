//! The lock of an account: a file beside the ledger, locked by the operating system, so that it dies with its process.
//!
//! Whoever deletes or replaces the file while it is locked makes way for another holder. So the ledger itself counts its
//! writers (table `writers`): who has been followed by another writes nothing any more.

use std::{
    fs::{self, File},
    io::{Seek as _, Write as _},
    path::Path,
};

use super::files::{is_at, open_own, open_private, ours, read_bounded, reason};
use crate::{
    ledger::store::{Owner, WriteError},
    limits,
    locale::say,
};

/// A lock that is held.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

impl Lock {
    pub(super) fn take(path: &Path, owner: &Owner) -> Result<Self, WriteError> {
        let failed = |error: std::io::Error| {
            WriteError::Lock(say!(
                "cannot create the lock {path}: {why}",
                path = path.display().to_string(),
                why = reason(&error)
            ))
        };
        // A file that lost its name before it was locked is nobody's lock.
        for _ in 0..limits::LOCK_TRIES {
            let mut file = open_private(path).map_err(failed)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(fs::TryLockError::WouldBlock) => return Err(WriteError::Held(owner_in(&mut file))),
                Err(fs::TryLockError::Error(error)) => return Err(failed(error)),
            }
            if !is_at(&file, path).map_err(failed)? {
                continue;
            }
            let text = serde_json::to_string(owner).unwrap_or_default();
            let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(text.as_bytes()));
            written.map_err(failed)?;
            return Ok(Self { file });
        }
        Err(failed(ours(say!("it keeps being deleted"))))
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
    let mut file = open_own(path, false).ok()?;
    match file.try_lock_shared() {
        Err(fs::TryLockError::WouldBlock) => Some(owner_in(&mut file)),
        Ok(()) | Err(fs::TryLockError::Error(_)) => None,
    }
}

fn owner_in(file: &mut File) -> Option<Owner> {
    let text = read_bounded(file, limits::LOCK_BYTES_MAX).ok()?;
    serde_json::from_slice(&text).ok()
}
