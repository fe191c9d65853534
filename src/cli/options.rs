//! Options that several commands have.

use clap::{Args, ColorChoice, ValueEnum, builder::FalseyValueParser};
use jiff::Timestamp;

use crate::locale::Language;

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub(super) struct Common {
    /// Where ledger, token and lock are kept [default: .qunfa/state.db in the project root]
    #[arg(
        long,
        global = true,
        value_name = "sqlite:PATH",
        env = "QUNFA_STATE",
        hide_env_values = true,
        help_heading = "Common options"
    )]
    pub(super) state: Option<String>,
    /// Address of the API [default: https://api.weixin.qq.com]; plain http only to this machine
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "QUNFA_API_BASE",
        hide_env_values = true,
        help_heading = "Common options"
    )]
    pub(super) api_base: Option<String>,
    /// Sets a variable of the plan; typed as in YAML (may be repeated)
    #[arg(
        long,
        global = true,
        value_name = "KEY=VALUE",
        env = "QUNFA_VAR",
        hide_env_values = true,
        help_heading = "Common options"
    )]
    pub(super) var: Vec<String>,
    /// Sets variables from a YAML file (may be repeated; --var wins)
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "QUNFA_VARS_FILE",
        hide_env_values = true,
        help_heading = "Common options"
    )]
    pub(super) vars_file: Vec<String>,
    /// When to colour
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        env = "QUNFA_COLOR",
        hide_env_values = true,
        hide_possible_values = false,
        help_heading = "Common options"
    )]
    pub(super) color: ColorChoice,
    /// Language of what is printed [default: that of LC_ALL, LC_MESSAGES or LANG, else en]
    #[arg(
        long,
        global = true,
        value_name = "LANGUAGE",
        env = "QUNFA_LANG",
        hide_env_values = true,
        help_heading = "Common options"
    )]
    pub(super) lang: Option<Language>,
    /// Prints results and errors only
    #[arg(long, short, global = true, env = "QUNFA_QUIET", hide_env_values = true, value_parser = FalseyValueParser::new(), help_heading = "Common options")]
    pub(super) quiet: bool,
    /// Says more
    #[arg(long, short, global = true, env = "QUNFA_VERBOSE", hide_env_values = true, value_parser = FalseyValueParser::new(), help_heading = "Common options")]
    pub(super) verbose: bool,
    /// Pretends that it is this time (RFC 3339), for rehearsals; not against WeChat
    #[arg(
        long,
        global = true,
        value_name = "TIME",
        env = "QUNFA_NOW",
        hide_env_values = true,
        help_heading = "Common options"
    )]
    pub(super) now: Option<Timestamp>,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Human,
    /// For programs
    Json,
}

#[derive(Debug, Clone, Args)]
pub(super) struct FormatArg {
    /// How results are printed
    #[arg(long, value_name = "FORMAT", default_value = "human", env = "QUNFA_FORMAT", hide_env_values = true)]
    pub(super) format: Format,
}
