//! The command line: arguments in, exit code out. One file a subcommand; nothing after this point sees clap.

use clap::{ColorChoice, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

mod audience;
mod browser;
mod clock;
mod display;
mod doctor;
mod explain;
mod failure;
mod files;
mod findings;
mod fmt;
mod generate;
mod help;
mod init;
mod language;
mod load;
mod options;
mod preview_html;
mod process;
mod project;
mod render;
mod report;
mod reports;
mod run;
mod sandbox;
mod secrets;
mod session;
mod settle;
mod status;
mod terminal;
mod token;
mod validate;

use crate::{locale::Language, problem::ExitCode};

use failure::Failure;
use options::{Common, Format, FormatArg};
use terminal::Terminal;

/// Campaigns as code for WeChat Official Accounts (群发): a YAML plan is validated, rendered, sent exactly once and reported on.
#[derive(Debug, Parser)]
#[command(
    name = "qunfa",
    version,
    max_term_width = 100,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Begin with: qunfa run examples/quickstart/plan.yaml --sandbox

Exit codes:
    0  done
    1  a fault of qunfa itself
    2  wrong usage
    3  the plan is invalid; nothing was sent
    4  an input is missing or unreadable; nothing was sent
    5  a step failed; nothing was sent in this run
    6  a step failed after something was sent in this run
    7  the outcome of a send is unknown
    8  locked by another run, the plan no longer matches, or another edition is half sent
    9  refused by a guard, a quota, a confirmation or --expect; nothing was sent
  130  interrupted"
)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Writes a small campaign that works as it is: plan, content, audience, CI
    #[command(after_help = "Example: qunfa init spring-tea --kind subscription")]
    Init(init::Args),
    /// Checks plans: schema, references, limits, templates; offline, all problems at once
    #[command(
        after_help = "Examples: qunfa validate campaigns/*.yaml\n          qunfa validate campaigns/*.yaml --format sarif > qunfa.sarif"
    )]
    Validate(validate::Args),
    /// Settles the layout of plans; keeps comments, never changes what is sent
    ///
    /// Keys stand in the order of the schema (those of variables and rows stay where they are), two blanks deeper a level.
    /// Quotes are double; a word that older readers of YAML take for something else (no, 0123, 2026-03-01) gets them. What is in
    /// brackets stays so if it fits on a line of 120 columns. One blank line stays where there are some. The text of block
    /// scalars is not touched. A file without `steps` (an account, variables) keeps its order of keys.
    #[command(after_help = "Examples: qunfa fmt campaigns/*.yaml\n          qunfa fmt --check campaigns/*.yaml")]
    Fmt(fmt::Args),
    /// Shows the exact requests, offline: the dry run
    #[command(
        after_help = "Examples: qunfa render plan.yaml --out rendered/\n          qunfa render plan.yaml --check rendered/"
    )]
    Render(render::Args),
    /// Shows each message as a phone would, on one HTML page
    #[command(
        after_help = "Examples: qunfa preview-html plan.yaml --open\n          qunfa preview-html plan.yaml > preview.html"
    )]
    PreviewHtml(preview_html::Args),
    /// Shows who a send goes to, and how that differs from whom it went to
    #[command(after_help = "Example: qunfa audience plan.yaml vip")]
    Audience(audience::Args),
    /// Runs a plan
    #[command(
        after_help = "Examples: qunfa run plan.yaml --sandbox\n          qunfa run plan.yaml --yes --report junit=report.xml --report html=report.html"
    )]
    Run(run::Args),
    /// Shows what the ledger knows of a plan's steps
    #[command(after_help = "Example: qunfa status plan.yaml")]
    Status(status::Args),
    /// Prints a report of a past run
    #[command(after_help = "Example: qunfa report plan.yaml --format html > report.html")]
    Report(report::Args),
    /// Settles by hand whether a call of unknown outcome was sent
    #[command(
        alias = "resolve",
        after_help = "Example: qunfa settle plan.yaml announce --sent 3147494552 --reason 'seen in the console'"
    )]
    Settle(settle::Args),
    /// Looks whether the account is ready for a plan; reads only
    #[command(
        after_help = "Examples: qunfa doctor plan.yaml\n          qunfa doctor plan.yaml --sandbox --format json\n\nExit codes: 0 no error (there may be warnings), 4 secret or state store, 5 token, address,\npermission or account, 8 locked or changed since it was sent, 9 quota; the first error decides"
    )]
    Doctor(doctor::Args),
    /// Shows, refreshes or forgets the cached access token; never its value
    #[command(after_help = "Example: qunfa token show")]
    Token(token::Args),
    /// Runs the embedded WeChat API server by itself
    #[command(
        after_help = "Examples: qunfa sandbox --listen 127.0.0.1:8080\n          qunfa sandbox --fault lost@mass/send#2"
    )]
    Sandbox(sandbox::Args),
    /// Prints the JSON Schema of plans, or of what is printed as JSON
    #[command(after_help = "Example: qunfa schema plan > plan.schema.json")]
    Schema(generate::SchemaArgs),
    /// Explains an error code of WeChat (45028) or a code of qunfa (Q201)
    #[command(after_help = "Example: qunfa explain 45028")]
    Explain(explain::Args),
    /// Prints shell completions
    #[command(after_help = "Example: qunfa completions bash > /etc/bash_completion.d/qunfa")]
    Completions(generate::CompletionsArgs),
    /// Writes man pages into a folder
    #[command(after_help = "Example: qunfa man /usr/local/share/man/man1")]
    Man(generate::ManArgs),
}

impl Command {
    /// Whether one JSON document is expected on standard output, whatever happens.
    fn wants_json(&self) -> bool {
        let wants = |format: &FormatArg| format.format == Format::Json;
        match self {
            Command::Init(args) => wants(&args.format),
            Command::Fmt(args) => wants(&args.format),
            Command::Validate(args) => args.wants_json(),
            Command::Audience(args) => wants(&args.format),
            Command::Run(args) => wants(&args.format),
            Command::Status(args) => wants(&args.format),
            Command::Report(args) => args.wants_json(),
            Command::Settle(args) => wants(&args.format),
            Command::Token(args) => wants(args.format()),
            Command::Doctor(args) => wants(&args.format),
            Command::Explain(args) => wants(&args.format),
            // `render` prints requests, `preview-html` a page, `sandbox` a line a call, the others text.
            Command::Render(_)
            | Command::PreviewHtml(_)
            | Command::Sandbox(_)
            | Command::Schema(_)
            | Command::Completions(_)
            | Command::Man(_) => false,
        }
    }
}

/// Runs the program with the arguments of the process.
pub fn main() -> ExitCode {
    let language = language::choose();
    language.speak();
    let parsed = without_empty(Cli::command()).try_get_matches();
    let parsed = parsed.inspect(process::is_started_as);
    let cli = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => return usage(error, language),
    };
    let color = match cli.common.color {
        ColorChoice::Auto => anstream::ColorChoice::Auto,
        ColorChoice::Always => anstream::ColorChoice::Always,
        ColorChoice::Never => anstream::ColorChoice::Never,
    };
    let terminal = Terminal::new(color, cli.common.quiet);
    let json = cli.command.wants_json();
    // A fault of ours is exit code 1, never a success, and never a code that a script takes for something else.
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| dispatch(cli, &terminal)));
    ended.unwrap_or(Err(Failure::Fault)).unwrap_or_else(|failure| failure.say(json, &terminal))
}

/// The helps of all commands in English, for the catalogue.
pub fn helps() -> Vec<String> {
    help::texts(Cli::command())
}

/// An environment variable that is set to nothing counts as not set: CI systems set those that nobody gave.
fn without_empty(command: clap::Command) -> clap::Command {
    let empty = |arg: &clap::Arg| {
        arg.get_env().and_then(|name| process::env(name.to_str()?)).is_some_and(|value| value.is_empty())
    };
    command
        .mut_args(|arg| if empty(&arg) { arg.env(clap::builder::Resettable::Reset) } else { arg })
        .mut_subcommands(without_empty)
}

fn dispatch(cli: Cli, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let common = &cli.common;
    match cli.command {
        Command::Init(args) => init::main(&args, common, terminal),
        Command::Validate(args) => validate::main(&args, common, terminal),
        Command::Fmt(args) => fmt::main(&args, terminal),
        Command::Render(args) => render::main(&args, common, terminal),
        Command::PreviewHtml(args) => preview_html::main(&args, common, terminal),
        Command::Audience(args) => audience::main(&args, common, terminal),
        Command::Run(args) => run::main(&args, common, terminal),
        Command::Status(args) => status::main(&args, common, terminal),
        Command::Report(args) => report::main(&args, common, terminal),
        Command::Settle(args) => settle::main(&args, common, terminal),
        Command::Doctor(args) => doctor::main(&args, common, terminal),
        Command::Token(args) => token::main(&args, common, terminal),
        Command::Sandbox(args) => sandbox::main(&args, common, terminal),
        Command::Schema(args) => generate::schema(&args, terminal),
        Command::Explain(args) => explain::main(&args, terminal),
        Command::Completions(args) => generate::completions(&args, Cli::command(), terminal),
        Command::Man(args) => generate::man(&args, Cli::command(), terminal),
    }
}

/// Help and version are results; everything else that clap says is wrong usage.
fn usage(error: clap::Error, language: Language) -> ExitCode {
    // Said again in the language of the reader: clap's words are English, and ours were when it parsed.
    let again = || help::translated(without_empty(Cli::command()), language).try_get_matches().err();
    let error = if language == Language::En { error } else { again().unwrap_or(error) };
    match error.kind() {
        clap::error::ErrorKind::DisplayHelp | clap::error::ErrorKind::DisplayVersion => {
            let _ = error.print(); // a closed pipe is no error
            ExitCode::Done
        }
        _ => {
            // It repeats arguments, which a shell may have made of names of files.
            let terminal = Terminal::new(anstream::ColorChoice::Auto, false);
            terminal.err_in_colour(&error.render().ansi().to_string());
            ExitCode::Usage
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
