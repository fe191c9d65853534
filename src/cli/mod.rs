//! The command line: arguments in, exit code out. One file a subcommand; nothing after this point sees clap.

use clap::{ColorChoice, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

mod audience;
mod bounds;
mod browser;
mod callback;
mod clock;
mod comments;
mod delete;
mod display;
mod doctor;
mod drafts;
mod event;
mod explain;
mod failure;
mod files;
mod findings;
mod fleet;
mod fmt;
mod generate;
mod help;
mod init;
mod language;
mod listen;
mod listing;
mod load;
mod material;
mod notices;
mod options;
mod pin;
mod place;
mod preview_html;
mod process;
mod project;
mod published;
mod pull;
mod render;
mod report;
mod reports;
mod run;
mod sandbox;
mod secrets;
mod session;
mod settle;
mod standings;
mod state;
mod stats;
mod status;
mod subject;
mod table;
mod target;
mod terminal;
mod token;
mod validate;

use crate::problem::ExitCode;

use failure::Failure;
use options::{Common, Format, FormatArg};
use terminal::Terminal;

/// Campaigns as code for WeChat Official Accounts (群发): validate, render and review a YAML plan, and send it exactly once.
#[derive(Debug, Parser)]
#[command(
    name = "qunfa",
    version,
    max_term_width = 100,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true
)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Creates a small working campaign: plan, content, audience, CI workflows
    Init(init::Args),
    /// Checks plans offline and reports all problems: schema, references, limits, templates
    Validate(validate::Args),
    /// Formats plans; keeps comments and never changes what is sent
    ///
    /// Orders keys as in the schema (keys of variables and rows keep their order), indented two spaces per level. Uses double
    /// quotes, and adds them to words that older YAML readers interpret differently (no, 0123, 2026-03-01). Keeps flow style
    /// ({}, []) if it fits into 120 columns. Collapses consecutive empty lines to one. Leaves the text of block scalars
    /// unchanged. In a file without `steps` (an account, variables), keys keep their order.
    Fmt(fmt::Args),
    /// Prints the exact requests without sending them (dry run, offline)
    Render(render::Args),
    /// Writes an HTML page that shows each message as a phone does
    PreviewHtml(preview_html::Args),
    /// Shows who a send reaches, and what has changed since it was sent
    Audience(audience::Args),
    /// Runs a plan: sends its messages, each exactly once
    Run(run::Args),
    /// Shows what was sent for each step of a plan
    Status(status::Args),
    /// Shows who has read the articles that a plan sent, day by day (read-only)
    ///
    /// Asks WeChat for the days on which articles were sent, and keeps the answers in the state store: readers, where they opened
    /// the article, shares, likes, comments, new followers. WeChat counts an article for 30 days, and has the numbers of a day
    /// after 08:00 (Asia/Shanghai) of the next.
    Stats(stats::Args),
    /// Prints the report of a past run
    Report(report::Args),
    /// Receives the events that WeChat pushes after a send, and records them
    Listen(listen::Args),
    /// Records events that another receiver hands on
    Event(event::Args),
    /// Checks and lists a fleet: the accounts that run one plan
    Fleet(fleet::Args),
    /// Records by hand whether a call with an unknown outcome was sent
    #[command(alias = "resolve")]
    Settle(settle::Args),
    /// Deletes in an emergency what a step has sent: articles and videos
    ///
    /// Needs no change of the plan and no approval by digest, but a confirmation. The body of the article can no longer be
    /// opened; the message card stays with those who got it. Waits for a message that is still being sent.
    Delete(delete::Args),
    /// Lists the drafts of an account, also those made by hand (read-only)
    Drafts(drafts::Args),
    /// Lists what an account has published without a notification (read-only)
    Published(published::Args),
    /// Lists the pictures, recordings and videos in the library of an account (read-only)
    Material(material::Args),
    /// Writes a draft into the project as files that a plan can use
    ///
    /// Articles become HTML with front matter, with their pictures beside them. Changes nothing at WeChat. What qunfa cannot send in an article is left out, and said.
    Pull(pull::Args),
    /// Lists, selects and answers the comments of a sent article
    Comments(comments::Args),
    /// Writes into a plan what the drafts hold that it takes from the console
    ///
    /// Asks WeChat for the draft of each `use_draft` step and writes the digest of its content beside it, so that the approval
    /// of the plan covers it and a run refuses a draft that was changed since. Comments and layout of the plan stay.
    Pin(pin::Args),
    /// Checks whether the account is ready for a plan (read-only)
    Doctor(doctor::Args),
    /// Shows, refreshes or clears the cached access token; never prints its value
    Token(token::Args),
    /// Creates, moves and checks the state store
    State(state::Args),
    /// Starts the embedded WeChat API server on its own
    Sandbox(Box<sandbox::Args>),
    /// Prints the JSON Schema of plans or of JSON output
    Schema(generate::SchemaArgs),
    /// Explains a WeChat error code (45028) or a qunfa code (Q201)
    Explain(explain::Args),
    /// Prints the completion script of a shell
    Completions(help::complete::Args),
    /// Writes man pages to a folder
    Man(generate::ManArgs),
    /// Prints this help, or the help of a command
    Help(help::HelpArgs),
    /// Prints the version
    Version,
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
            Command::Stats(args) => args.wants_json(),
            Command::Report(args) => args.wants_json(),
            Command::Fleet(args) => args.wants_json(),
            Command::Event(args) => wants(&args.format),
            Command::Settle(args) => wants(&args.format),
            Command::Delete(args) => wants(&args.format),
            Command::Comments(args) => wants(args.format()),
            Command::Pin(args) => wants(&args.format),
            Command::Token(args) => wants(args.format()),
            Command::Drafts(args) => args.list.wants_json(),
            Command::Published(args) => args.list.wants_json(),
            Command::Material(args) => args.list.wants_json(),
            Command::Pull(args) => wants(&args.format),
            Command::Doctor(args) => wants(&args.format),
            Command::State(args) => args.wants_json(),
            Command::Explain(args) => wants(&args.format),
            // `render` prints requests, `preview-html` a page, `sandbox` and `listen` a line a call, the others text.
            Command::Render(_)
            | Command::PreviewHtml(_)
            | Command::Sandbox(_)
            | Command::Listen(_)
            | Command::Schema(_)
            | Command::Completions(_)
            | Command::Man(_)
            | Command::Help(_)
            | Command::Version => false,
        }
    }
}

const VERSION: &str = concat!("qunfa ", env!("CARGO_PKG_VERSION"), "\n");

/// Runs the program with the arguments of the process.
pub fn main() -> ExitCode {
    language::choose().speak();
    if let Some(shell) = help::complete::asked() {
        return help::complete::answer(&shell, without_empty(Cli::command()));
    }
    // Asked for alone, by scripts: nothing is built for it.
    if process::args().eq(["--version"]) {
        let terminal = Terminal::new(anstream::ColorChoice::Auto, false, false);
        terminal.out(VERSION);
        return terminal.ended(ExitCode::Done);
    }
    let parsed = without_empty(Cli::command()).try_get_matches();
    let parsed = parsed.inspect(process::is_started_as);
    let cli = parsed.and_then(|matches| {
        let mut cli = Cli::from_arg_matches(&matches)?;
        cli.common.given = options::given(&matches);
        Ok(cli)
    });
    let cli = match cli {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let color = match cli.common.color {
        ColorChoice::Auto => anstream::ColorChoice::Auto,
        ColorChoice::Always => anstream::ColorChoice::Always,
        ColorChoice::Never => anstream::ColorChoice::Never,
    };
    let terminal = Terminal::new(color, cli.common.quiet, cli.command.wants_json());
    let code = bounds::on_large_stack(|| {
        // A fault of ours is exit code 1, never a success, and never a code that a script takes for something else.
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| dispatch(cli, &terminal)));
        ended.unwrap_or(Err(Failure::Fault)).unwrap_or_else(|failure| failure.say(&terminal))
    });
    terminal.ended(code)
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
        Command::Stats(args) => stats::main(&args, common, terminal),
        Command::Report(args) => report::main(&args, common, terminal),
        Command::Listen(args) => listen::main(&args, common, terminal),
        Command::Event(args) => event::main(&args, common, terminal),
        Command::Fleet(args) => fleet::main(&args, common, terminal),
        Command::Settle(args) => settle::main(&args, common, terminal),
        Command::Delete(args) => delete::main(&args, common, terminal),
        Command::Drafts(args) => drafts::main(&args, common, terminal),
        Command::Published(args) => published::main(&args, common, terminal),
        Command::Material(args) => material::main(&args, common, terminal),
        Command::Pull(args) => pull::main(&args, common, terminal),
        Command::Comments(args) => comments::main(&args, common, terminal),
        Command::Pin(args) => pin::main(&args, common, terminal),
        Command::Doctor(args) => doctor::main(&args, common, terminal),
        Command::Token(args) => token::main(&args, common, terminal),
        Command::State(args) => state::main(&args, common, terminal),
        Command::Sandbox(args) => sandbox::main(&args, common, terminal),
        Command::Schema(args) => generate::schema(&args, terminal),
        Command::Explain(args) => explain::main(&args, terminal),
        Command::Completions(args) => help::complete::script(&args, terminal),
        Command::Man(args) => generate::man(&args, &help::tree(Cli::command()), terminal),
        Command::Help(args) => help::show(&args, help::tree(Cli::command()), terminal),
        Command::Version => {
            terminal.out(VERSION);
            Ok(ExitCode::Done)
        }
    }
}

/// Help and version are results; everything else that clap says is wrong usage.
fn usage(error: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind;
    let terminal = Terminal::new(anstream::ColorChoice::Auto, false, false);
    let show = |error: &clap::Error| {
        terminal.out_in_colour(&error.render().ansi().to_string());
        terminal.ended(ExitCode::Done)
    };
    if error.kind() == ErrorKind::DisplayVersion {
        return show(error);
    }
    // Parsed again with all that is shown: nobody else waits for helps to be made.
    let tree = help::tree(without_empty(Cli::command()));
    match tree.clone().try_get_matches() {
        Err(error) if error.kind() == ErrorKind::DisplayHelp => show(&error),
        again => {
            let error = again.as_ref().err().unwrap_or(error);
            match error.kind() {
                // Options, also from the environment, are no command.
                ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
                    let help = help::usage::addressed(&tree).clone().render_help();
                    terminal.err_in_colour(&help.ansi().to_string());
                }
                _ => terminal.error(&help::usage::problem(error, &tree)),
            }
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
