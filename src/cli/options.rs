//! Options that several commands have, and values that are read in one way.

use std::fmt;

use clap::{ArgMatches, Args, ColorChoice, ValueEnum, builder::FalseyValueParser, parser::ValueSource};
use jiff::Timestamp;

use crate::{
    ledger::name::without_password,
    locale::{Language, Phrase, say},
};

/// Options that several commands have. Every command accepts them; `help` shows each where it has an effect.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct Common {
    /// Where sends are recorded: sqlite:PATH or postgresql://USER@HOST/DATABASE [default: .qunfa/state.db in the project root]
    #[arg(
        long,
        global = true,
        value_name = "STORE",
        env = "QUNFA_STATE",
        hide_env_values = true,
        help_heading = "Common options"
    )]
    pub(super) state: Option<String>,
    /// Base URL of the API [default: https://api.weixin.qq.com]; http only for this machine
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "QUNFA_API_BASE",
        hide_env_values = true,
        help_heading = "Common options"
    )]
    pub(super) api_base: Option<String>,
    /// Uses the account in this YAML file instead of the plan's; with --fleet, the account of this name
    #[arg(
        long,
        global = true,
        value_name = "FILE|NAME",
        env = "QUNFA_ACCOUNT",
        hide_env_values = true,
        help_heading = "Common options"
    )]
    pub(super) account: Option<String>,
    /// Uses the plan of this fleet, for the account that --account names
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "QUNFA_FLEET",
        hide_env_values = true,
        help_heading = "Common options"
    )]
    pub(super) fleet: Option<String>,
    /// Sets a plan variable, typed as in YAML (repeatable)
    #[arg(
        long,
        global = true,
        value_name = "KEY=VALUE",
        env = "QUNFA_VAR",
        hide_env_values = true,
        help_heading = "Common options"
    )]
    pub(super) var: Vec<String>,
    /// Reads variables from a YAML file (repeatable; --var overrides)
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "QUNFA_VARS_FILE",
        hide_env_values = true,
        help_heading = "Common options"
    )]
    pub(super) vars_file: Vec<String>,
    /// When to use colours
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        env = "QUNFA_COLOR",
        hide_env_values = true,
        help_heading = "Global options"
    )]
    pub(super) color: ColorChoice,
    /// Output language [default: from LC_ALL, LC_MESSAGES or LANG, otherwise en]
    #[arg(
        long,
        global = true,
        value_name = "LANGUAGE",
        env = "QUNFA_LANG",
        hide_env_values = true,
        help_heading = "Global options"
    )]
    pub(super) lang: Option<Language>,
    /// Prints only results and errors
    #[arg(long, short, global = true, env = "QUNFA_QUIET", hide_env_values = true, value_parser = FalseyValueParser::new(), help_heading = "Global options")]
    pub(super) quiet: bool,
    /// Prints more detail
    #[arg(long, short, global = true, env = "QUNFA_VERBOSE", hide_env_values = true, value_parser = FalseyValueParser::new(), help_heading = "Common options")]
    pub(super) verbose: bool,
    /// Uses this time (RFC 3339) as the current time, for rehearsals; not allowed against WeChat
    #[arg(
        long,
        global = true,
        value_name = "TIME",
        env = "QUNFA_NOW",
        hide_env_values = true,
        value_parser = time,
        help_heading = "Common options"
    )]
    pub(super) now: Option<Timestamp>,
    /// The options of the command line that decide which plan is loaded and whose ledger is looked at, as they were typed:
    /// commands that are printed have them too. Those from the environment are still there when such a command is pasted.
    #[arg(skip)]
    pub(super) given: Vec<String>,
}

/// See [`Common::given`].
pub(super) fn given(matches: &ArgMatches) -> Vec<String> {
    let mut inner = matches;
    while let Some((_, sub)) = inner.subcommand() {
        inner = sub;
    }
    let typed = |id: &&str| inner.value_source(id) == Some(ValueSource::CommandLine);
    let words = |id: &str| {
        let option = format!("--{}", id.replace('_', "-"));
        let values = inner.get_many::<String>(id).into_iter().flatten();
        // A password in the address of a store is no part of a command that is printed.
        let shown = |value: &String| if id == "state" { without_password(value) } else { value.clone() };
        values.flat_map(|value| [option.clone(), shown(value)]).collect::<Vec<String>>()
    };
    // Of a fleet, the name of the account stands in the command as the plan does.
    let fleet = inner.try_contains_id("fleet").is_ok_and(|known| known) && inner.get_one::<String>("fleet").is_some();
    let options = ["state", "api_base", "account", "var", "vars_file"].into_iter();
    options.filter(|id| !(fleet && *id == "account")).filter(typed).flat_map(words).collect()
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Human-readable text
    Human,
    /// JSON
    Json,
}

#[derive(Debug, Clone, Args)]
pub(super) struct FormatArg {
    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = "human", env = "QUNFA_FORMAT", hide_env_values = true)]
    pub(super) format: Format,
}

/// Why a value is not taken, in the words of the reader.
#[derive(Debug)]
pub(super) struct BadValue(pub(super) Phrase);

impl fmt::Display for BadValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for BadValue {}

/// A whole number that is not negative.
pub(super) fn number<N: std::str::FromStr>(text: &str) -> Result<N, BadValue> {
    text.parse().map_err(|_| BadValue(say!("write a whole number, such as 1")))
}

fn time(text: &str) -> Result<Timestamp, BadValue> {
    text.parse().map_err(|_| BadValue(say!("write a time with its offset, such as 2026-03-02T10:00:00+08:00")))
}
