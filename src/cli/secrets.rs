//! Secrets, from where a plan says that they are.
#![expect(clippy::disallowed_methods, reason = "this module runs the commands that print secrets")]

use std::{
    io::Read as _,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::{files::read_regular, process::env};
use crate::{limits, plan::account::SecretSource, problem::reason, redact::Secret, resolve::ReadError};

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
    // Editors put a byte order mark before the text, and a line end behind it: no secret has either.
    let value = value.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
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
