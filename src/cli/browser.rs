//! What the desktop opens pages with.
#![expect(clippy::disallowed_methods, reason = "this module starts the program that opens a page")]

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    limits,
    locale::{Phrase, list, say},
};

/// What opens a page, by system: the first that is there.
#[cfg(target_os = "macos")]
const OPENERS: &[&[&str]] = &[&["open"]];
#[cfg(windows)]
const OPENERS: &[&[&str]] = &[&["explorer"]];
#[cfg(not(any(windows, target_os = "macos")))]
const OPENERS: &[&[&str]] = &[&["xdg-open"], &["gio", "open"], &["wslview"]];

/// Opens a page with what the desktop opens pages with; the error says why not.
pub(super) fn open_on_desktop(path: &Path) -> Result<(), Phrase> {
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
                    failed = Some(say!("`{name}` failed ({status})", name, status = super::process::ended(status)));
                    continue 'openers;
                }
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
        }
        return Ok(());
    }
    let names = OPENERS.iter().map(|opener| opener[0]);
    Err(failed.unwrap_or_else(|| say!("found none of these programs: {names}", names = list(names))))
}
