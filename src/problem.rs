//! Why something did not go well, and ALL exit codes.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    locale::{Phrase, say},
    text,
};

/// A problem and its fix.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Problem {
    /// What is wrong, in one line.
    pub(crate) message: Phrase,
    /// What to do, one entry per sentence.
    pub(crate) help: Vec<Phrase>,
    /// WeChat's error code, if a reply is the cause.
    pub(crate) errcode: Option<i64>,
}

/// A problem and its fix.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Written {
    /// What is wrong, in one line.
    message: String,
    /// Arguments of the message, by name.
    #[serde(default)]
    arguments: Map<String, Value>,
    /// What to do, one entry per sentence.
    help: Vec<Phrase>,
    /// WeChat's error code, if a reply is the cause.
    errcode: Option<i64>,
}

impl From<Problem> for Written {
    fn from(problem: Problem) -> Self {
        let Problem { message, help, errcode } = problem;
        Self { message: message.to_string(), arguments: message.arguments(), help, errcode }
    }
}

impl From<Written> for Problem {
    fn from(written: Written) -> Self {
        let Written { message, arguments, help, errcode } = written;
        Self { message: Phrase::recorded(message, arguments), help, errcode }
    }
}

impl JsonSchema for Problem {
    fn schema_name() -> Cow<'static, str> {
        "Problem".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Written::json_schema(generator)
    }
}

impl Problem {
    /// A problem about which there is nothing to say but what it is.
    pub fn new(message: impl Into<Phrase>) -> Self {
        Self { message: text::brief(message.into()), help: Vec::new(), errcode: None }
    }

    /// Adds a sentence on what to do about it.
    pub fn help(mut self, text: impl Into<Phrase>) -> Self {
        self.help.push(text::brief(text.into()));
        self
    }

    /// Says which reply of WeChat is the cause.
    pub fn errcode(mut self, code: i64) -> Self {
        self.errcode = Some(code);
        self
    }
}

/// Why a command does not go on, and the exit code that says so. It is returned up to `cli::main`, which alone prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Never [`ExitCode::Done`].
    pub(crate) code: ExitCode,
    /// What people and programs are told.
    pub(crate) problem: Problem,
}

impl Refusal {
    /// Without help.
    pub fn new(code: ExitCode, message: impl Into<Phrase>) -> Self {
        Self { code, problem: Problem::new(message) }
    }

    /// Exit code 2.
    pub fn usage(message: impl Into<Phrase>) -> Self {
        Self::new(ExitCode::Usage, message)
    }

    /// Exit code 4.
    pub fn missing_input(message: impl Into<Phrase>) -> Self {
        Self::new(ExitCode::MissingInput, message)
    }

    /// Adds a sentence on what to do about it.
    pub fn help(mut self, text: impl Into<Phrase>) -> Self {
        self.problem = self.problem.help(text);
        self
    }
}

/// What the calling script reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Done.
    Done = 0,
    /// A fault of qunfa itself, or a result that could not be written, such as a report on a full disk.
    Internal = 1,
    /// Wrong usage.
    Usage = 2,
    /// The plan is invalid; nothing was sent.
    Invalid = 3,
    /// An input is missing or unreadable; nothing was sent.
    MissingInput = 4,
    /// A step failed; nothing was sent in this run.
    Failed = 5,
    /// A step failed after something was sent in this run.
    PartlyFailed = 6,
    /// The outcome of a send is unknown.
    Unknown = 7,
    /// The ledger is locked, or the plan no longer matches what was sent.
    Conflict = 8,
    /// A guard, a forecast, a confirmation or `--expect` refused; nothing was sent.
    Refused = 9,
    /// Interrupted; the current call was finished and recorded.
    Interrupted = 130,
}

impl ExitCode {
    /// The worse of two: what is not known weighs most, then what was sent in part.
    pub fn or_worse(self, other: Self) -> Self {
        const ORDER: [ExitCode; 11] = [
            ExitCode::Done,
            ExitCode::Refused,
            ExitCode::Conflict,
            ExitCode::MissingInput,
            ExitCode::Invalid,
            ExitCode::Usage,
            ExitCode::Failed,
            ExitCode::Interrupted,
            ExitCode::Internal,
            ExitCode::PartlyFailed,
            ExitCode::Unknown,
        ];
        let place = |code| ORDER.iter().position(|known| *known == code);
        if place(other) > place(self) { other } else { self }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        (code as u8).into()
    }
}

/// A system error in few words of ours. The system's own, which are English and end in a number, stand only where
/// it is none of the common ones.
pub fn reason(error: &std::io::Error) -> Phrase {
    use std::io::ErrorKind as Kind;
    match error.kind() {
        Kind::NotFound => say!("no such file"),
        Kind::PermissionDenied => say!("permission denied"),
        Kind::IsADirectory => say!("it is a folder"),
        Kind::NotADirectory => say!("a part of its path is not a folder"),
        Kind::InvalidFilename => say!("its name is too long or not valid"),
        Kind::StorageFull => say!("no space is left on the device"),
        Kind::QuotaExceeded => say!("the quota of the disk is used up"),
        Kind::FileTooLarge => say!("the file would be larger than this process may write"),
        Kind::ReadOnlyFilesystem => say!("the file system is read-only"),
        Kind::ResourceBusy | Kind::ExecutableFileBusy => say!("it is in use by another process"),
        Kind::BrokenPipe => say!("its reader has gone"),
        Kind::UnexpectedEof => say!("it ends too early"),
        Kind::TimedOut => say!("it took too long"),
        Kind::OutOfMemory => say!("there is not enough memory"),
        Kind::AddrInUse => say!("another program uses this address"),
        Kind::AddrNotAvailable => say!("this machine does not have this address"),
        _ => say!("the system reports: {words}", words = error.to_string()),
    }
}

/// Why a file or a stream cannot be written, in few words.
pub fn unwritten(error: &std::io::Error) -> Phrase {
    match error.kind() {
        std::io::ErrorKind::AlreadyExists => say!("a part of its path is not a folder"),
        _ => reason(error),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Error;

    use super::*;
    use crate::locale::Language;

    #[test]
    fn common_failures_of_the_system_have_words_of_ours() {
        let _heard = crate::locale::tests::heard("problem-common_failures_of_the_system_have_words_of_ours");
        let words = |error: &Error, language| unwritten(error).in_language(language);
        for number in [2, 1, 13, 17, 20, 21, 26, 28, 30, 32, 36, 98, 99, 110, 122] {
            let error = Error::from_raw_os_error(number);
            let (english, chinese) = (words(&error, Language::En), words(&error, Language::Zh));
            assert!(!english.contains("os error") && english.is_ascii(), "{number}: {english}");
            assert!(!chinese.contains(|c: char| c.is_ascii_alphabetic()), "{number}: {chinese}");
        }
        use std::io::ErrorKind as Kind;
        for kind in [Kind::UnexpectedEof, Kind::OutOfMemory, Kind::FileTooLarge, Kind::ResourceBusy] {
            let chinese = words(&Error::from(kind), Language::Zh);
            assert!(!chinese.contains(|c: char| c.is_ascii_alphabetic()), "{kind}: {chinese}");
        }
        let unknown = words(&Error::from_raw_os_error(71), Language::Zh);
        assert!(unknown.contains("os error 71"), "what nobody knows is shown as it is: {unknown}");
    }
}
