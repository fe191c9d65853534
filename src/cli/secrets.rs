//! Secrets, from where a plan says that they are.
#![expect(clippy::disallowed_methods, reason = "this module runs the commands that print secrets")]

use std::{
    io::Read as _,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::{
    files::{open_regular, read_regular},
    process,
    process::env,
};
use crate::{
    limits,
    locale::{Phrase, say},
    plan::account::SecretSource,
    problem::reason,
    redact::Secret,
    resolve::ReadError,
};

/// Where a secret is, as messages name it.
pub(super) fn origin(source: &SecretSource) -> Phrase {
    match (&source.env, &source.file, &source.command) {
        (Some(name), _, _) => say!("the environment variable `{name}`", name),
        (_, Some(path), _) => say!("the secret file `{path}`", path),
        (_, _, command) => {
            let program = command.as_ref().and_then(|command| command.first()).map_or("", String::as_str);
            say!("the output of `{program}`", program)
        }
    }
}

/// Whether there is what a secret would be read from, as far as that is known without reading it; the error says what is missing,
/// and whether it is a variable.
pub(super) fn is_there(source: &SecretSource, folder: &Path) -> Result<(), (bool, Phrase)> {
    match (&source.env, &source.file, &source.command) {
        (Some(name), _, _) => match env(name).filter(|value| !value.trim().is_empty()) {
            Some(_) => Ok(()),
            None => Err((true, say!("the environment variable `{name}` is not set", name))),
        },
        (_, Some(path), _) => match open_regular(&folder.join(path)) {
            Ok(_) => Ok(()),
            Err(ReadError::Unreadable(why)) => {
                Err((false, say!("cannot read the secret file `{path}`: {why}", path, why)))
            }
            Err(_) => Ok(()),
        },
        (_, _, command) => {
            let program = command.as_ref().and_then(|command| command.first()).map_or("", String::as_str);
            let found = match program.contains(['/', '\\']) {
                true => folder.join(program).is_file(),
                false => process::finds(program),
            };
            if found { Ok(()) } else { Err((false, say!("the program `{program}` is not there", program))) }
        }
    }
}

/// Reads a secret from where the plan says it is; the error is in words that hold nothing of it.
pub(super) fn read_secret(source: &SecretSource, folder: &Path) -> Result<Secret, Phrase> {
    let not_text = |_| say!("{source} is not UTF-8", source = origin(source));
    let value = match (&source.env, &source.file, &source.command) {
        (Some(name), _, _) => env(name).ok_or_else(|| say!("the environment variable `{name}` is not set", name))?,
        (_, Some(path), _) => {
            let bytes = read_regular(&folder.join(path), limits::SECRET_BYTES_MAX).map_err(|error| match error {
                ReadError::Unreadable(why) => say!("cannot read the secret file `{path}`: {why}", path, why),
                _ => say!("the secret file `{path}` is too large", path),
            })?;
            String::from_utf8(bytes).map_err(not_text)?
        }
        (_, _, Some(command)) => String::from_utf8(run_secret_command(command, folder)?).map_err(not_text)?,
        _ => return Err(say!("the plan does not say where the secret is")),
    };
    // Editors put a byte order mark before the text, and a line end behind it: no secret has either.
    let value = value.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    if value.is_empty() {
        return Err(say!("{source} is empty", source = origin(source)));
    }
    if value.contains(char::is_control) {
        return Err(say!("{source} has more than one line", source = origin(source)));
    }
    Ok(Secret::new(value.to_owned()))
}

fn run_secret_command(command: &[String], folder: &Path) -> Result<Vec<u8>, Phrase> {
    let program = command[0].as_str();
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    // What the program says on standard error may hold the secret: it is not shown.
    let child = Command::new(program)
        .args(&command[1..])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child = child
        .map_err(|error| say!("cannot run the secret command `{program}`: {why}", program, why = reason(&error)))?;
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
                return Err(say!(
                    "the secret command `{program}` did not finish within {seconds} s",
                    program,
                    seconds = limits::SECRET_COMMAND_TIMEOUT.as_secs()
                ));
            }
        }
    };
    if !status.success() {
        let status = process::ended(status);
        return Err(say!(
            "the secret command `{program}` failed ({status}); run it by hand to see its output",
            program,
            status
        ));
    }
    reader.join().map_err(|_| say!("cannot read the output of `{program}`", program))
}
