//! Standard output, standard error, and a person who can be asked.

use std::{
    borrow::Cow,
    io::{self, IsTerminal as _},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use anstream::{AutoStream, ColorChoice};
use serde_json::{Value, json};

use super::process;
use crate::{
    locale::{say, translated},
    problem::{ExitCode, Problem, unwritten},
    text,
};

/// Standard output, standard error and what is known of them.
#[derive(Debug, Clone)]
pub(super) struct Terminal {
    color: ColorChoice,
    /// Nothing but results and errors.
    pub(super) quiet: bool,
    /// Whether standard error is a terminal, so that progress may move.
    pub(super) interactive: bool,
    /// Why nothing more is written to standard output.
    closed: Arc<OnceLock<io::Error>>,
    /// A result could not be written, and that was said.
    lost: Arc<AtomicBool>,
    /// One document is expected on standard output, whatever happens.
    pub(super) json: bool,
}

impl Terminal {
    /// `auto` looks at NO_COLOR, CLICOLOR and whether the stream is a terminal.
    pub(super) fn new(color: ColorChoice, quiet: bool, json: bool) -> Self {
        Self {
            color,
            quiet,
            interactive: io::stderr().is_terminal(),
            closed: Arc::default(),
            lost: Arc::default(),
            json,
        }
    }

    /// A result for people; what a terminal or a CI system could obey in it is made visible.
    pub(super) fn out(&self, text: &str) {
        self.exactly(&text::visible(text));
    }

    /// A result with colours, whose words were made visible one by one.
    pub(super) fn out_in_colour(&self, text: &str) {
        self.exactly(&text::visible_but_colours(text));
    }

    /// JSON, with what could be obeyed in it escaped.
    pub(super) fn out_json(&self, text: &str) {
        self.exactly(&text::visible_json(text));
    }

    /// A result whose bytes matter: a page, a script, a request as it goes over the wire.
    pub(super) fn exactly(&self, text: &str) {
        let text = &self.inert(text);
        if self.closed.get().is_some() {
            return;
        }
        let written = if is_plain(text) {
            write_all(io::stdout(), text)
        } else {
            write_all(AutoStream::new(io::stdout(), self.color), text)
        };
        if let Err(error) = written {
            let _ = self.closed.set(error);
        }
    }

    /// Says which result could not be written; the program does not end well then.
    pub(super) fn lose(&self, problem: &Problem) {
        self.lost.store(true, Ordering::Relaxed);
        self.error(problem);
    }

    /// How the program ends that would end with this code: what was to be written was a part of it. A reader of standard output
    /// that has gone had enough.
    pub(super) fn ended(&self, code: ExitCode) -> ExitCode {
        if let Some(error) = self.closed.get().filter(|error| error.kind() != io::ErrorKind::BrokenPipe) {
            self.lose(&Problem::new(say!("cannot write to standard output: {why}", why = unwritten(error))));
        }
        let lost = self.lost.load(Ordering::Relaxed);
        if lost && code == ExitCode::Done { ExitCode::Internal } else { code }
    }

    /// A result for programs: one document, which begins with the version of its shape and the exit code.
    pub(super) fn document(&self, code: ExitCode, members: Value) {
        let mut document = json!({ "schema": 1, "exit_code": code as u8 });
        if let (Some(document), Value::Object(members)) = (document.as_object_mut(), members) {
            document.extend(members);
        }
        self.out_json(&format!("{document:#}\n"));
    }

    /// An error line, and a line for each sentence of help.
    pub(super) fn error(&self, problem: &Problem) {
        let bold = anstyle::Style::new().bold();
        let red = anstyle::AnsiColor::Red.on_default().bold();
        let (error, help) = (translated("error"), translated("help"));
        let mut shown = format!("{red}{error}{red:#}{bold}: {}{bold:#}\n", text::visible(&problem.message.to_string()));
        for line in &problem.help {
            shown.push_str(&format!("  = {help}: {}\n", text::visible(&line.to_string())));
        }
        self.err_in_colour(&shown);
    }

    /// Anything else, with what could be obeyed in it made visible. A closed pipe is no error.
    pub(super) fn err(&self, text: &str) {
        self.err_in_colour(&text::visible(text));
    }

    /// The same, with colours; its words were made visible one by one.
    pub(super) fn err_in_colour(&self, text: &str) {
        self.to_stderr(&self.inert(&text::visible_but_colours(text)));
    }

    /// Commands of ours to a CI system; what they say is escaped in its way.
    pub(super) fn commands(&self, text: &str) {
        self.to_stderr(text);
    }

    fn to_stderr(&self, text: &str) {
        let _ = write_all(AutoStream::new(io::stderr(), self.color), text);
    }

    fn inert<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if process::is_github() { text::inert(text).into() } else { text.into() }
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

    pub(super) fn ask(&self, question: &str) -> Option<String> {
        self.err(question);
        let mut line = String::new();
        process::asking(|| io::stdin().read_line(&mut line)).ok().filter(|read| *read > 0)?;
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
