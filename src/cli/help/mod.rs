//! The helps: made when somebody asks for one, in the language of the reader. Each text is looked up as it stands in the source.

pub(super) mod complete;
pub(super) mod man;
mod pages;
pub(super) mod usage;

use clap::{Arg, Command, builder::StyledStr};

use super::{failure::Failure, terminal::Terminal};
use crate::{
    locale::{Language, list, say, translated, translation},
    problem::{ExitCode, Refusal},
    text::pad,
};

/// Options that every command has; `qunfa --help` alone shows them.
const GLOBAL: &str = "Global options";

/// Options that several commands have; those show them that use them.
const COMMON: &str = "Common options";

#[derive(Debug, clap::Args)]
pub(super) struct HelpArgs {
    /// The command to explain
    command: Vec<String>,
}

/// `qunfa help`.
pub(super) fn show(args: &HelpArgs, mut tree: Command, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let mut command = &mut tree;
    for name in &args.command {
        if command.find_subcommand(name).is_none() {
            return Err(Refusal { code: ExitCode::Usage, problem: usage::unknown_command(name, command) }.into());
        }
        command = command.find_subcommand_mut(name).expect("it was found");
    }
    terminal.out_in_colour(&command.render_long_help().ansi().to_string());
    Ok(ExitCode::Done)
}

/// All commands with everything that a help shows.
pub(super) fn tree(mut command: Command) -> Command {
    // Adds clap's own options, and gives every command the global ones.
    command.build();
    dressed(command, "")
}

/// All helps of a command and those below it, as they stand in the source.
pub(super) fn texts(mut command: Command) -> Vec<String> {
    fn below(command: &Command, texts: &mut Vec<String>) {
        let own = [command.get_about(), command.get_long_about()];
        let args = || command.get_arguments().filter(|arg| !is_of_clap(arg));
        let helps = args().flat_map(|arg| [arg.get_help(), arg.get_long_help()]);
        texts.extend(own.into_iter().chain(helps).flatten().map(StyledStr::to_string));
        let values = args().flat_map(Arg::get_possible_values);
        texts.extend(values.filter_map(|value| value.get_help().map(StyledStr::to_string)));
        texts.extend(args().filter_map(|arg| arg.get_help_heading().map(str::to_owned)));
        command.get_subcommands().for_each(|command| below(command, texts));
    }
    command.build();
    let mut texts = Vec::new();
    below(&command, &mut texts);
    texts
}

/// `-h` and `-V`, which have words of ours instead of clap's.
fn is_of_clap(arg: &Arg) -> bool {
    matches!(arg.get_id().as_str(), "help" | "version")
}

/// A text of the source in the reader's language.
fn said(text: &StyledStr) -> String {
    let text = text.to_string();
    translation(Language::current(), &text).map_or(text, str::to_owned)
}

/// `path` is the name of the command without the program's: `token show`.
fn dressed(mut command: Command, path: &str) -> Command {
    if let Some(about) = command.get_about().map(said) {
        command = command.about(about);
    }
    if let Some(about) = command.get_long_about().map(said) {
        command = command.long_about(about);
    }
    let begin = if path.is_empty() { format!("\n{}", pages::get_started()) } else { String::new() };
    let template =
        format!("{{about-with-newline}}{begin}\n{} {{usage}}\n\n{{all-args}}{{after-help}}", translated("Usage:"));
    let mut command = command
        .help_template(template)
        .subcommand_help_heading(translated("Commands"))
        .subcommand_value_name(translated("COMMAND"))
        .after_help(pages::after_help(path))
        .mut_args(|arg| dressed_argument(arg, path))
        .mut_subcommands(|below| {
            let path = format!("{path} {}", below.get_name());
            dressed(below, path.trim_start())
        });
    // clap's own word in a line that it makes itself.
    let options = translated("[OPTIONS]");
    if options != "[OPTIONS]" {
        let usage = command.render_usage().to_string();
        let usage = usage.trim_start_matches("Usage: ").replace("[OPTIONS]", options);
        command = command.override_usage(usage);
    }
    command
}

fn dressed_argument(arg: Arg, path: &str) -> Arg {
    let hidden = match arg.get_help_heading() {
        Some(GLOBAL) => !path.is_empty(),
        Some(COMMON) => !pages::common_options(path).contains(&arg.get_id().as_str()),
        _ => false,
    };
    let heading = match arg.get_help_heading() {
        Some(GLOBAL) => translated("Global options"),
        Some(COMMON) => translated("Common options"),
        _ if arg.is_positional() => translated("Arguments"),
        _ if is_of_clap(&arg) && path.is_empty() => translated("Global options"),
        _ => translated("Options"),
    };
    let help = match arg.get_id().as_str() {
        "help" => translated("Prints help (-h: a summary, --help: all details)").to_owned(),
        "version" => translated("Prints the version").to_owned(),
        _ => arg.get_help().map(said).unwrap_or_default(),
    };
    let long = arg.get_long_help().filter(|_| !is_of_clap(&arg)).map_or_else(|| help.clone(), said);
    let takes_values = arg.get_num_args().is_some_and(|number| number.takes_values());
    let mut notes = Vec::new();
    if let Some(name) = arg.get_env() {
        notes.push(say!("[env: {name}]", name = name.to_string_lossy()).to_string());
    }
    let defaults = arg.get_default_values().iter().map(|value| value.to_string_lossy());
    if takes_values && defaults.len() > 0 {
        notes.push(say!("[default: {value}]", value = list(defaults)).to_string());
    }
    let values = arg.get_possible_values();
    let names = || list(values.iter().map(clap::builder::PossibleValue::get_name));
    let mut short_notes = notes.clone();
    if !values.is_empty() {
        short_notes.push(say!("[values: {values}]", values = names()).to_string());
    }
    let mut paragraphs = vec![long];
    if values.iter().any(|value| value.get_help().is_some()) {
        let width = values.iter().map(|value| value.get_name().len() + 1).max().unwrap_or(0);
        let line = |value: &clap::builder::PossibleValue| {
            let name = pad(&format!("{}:", value.get_name()), width);
            format!("- {name} {}", value.get_help().map(said).unwrap_or_default())
        };
        let lines: Vec<String> = values.iter().map(line).collect();
        paragraphs.push(format!("{}\n{}", translated("Values:"), lines.join("\n")));
    } else if !values.is_empty() {
        notes.push(say!("[values: {values}]", values = names()).to_string());
    }
    paragraphs.push(notes.join("\n"));
    paragraphs.retain(|paragraph| !paragraph.is_empty());
    let short = [vec![help], short_notes].concat().join(" ");
    arg.help(short)
        .long_help(paragraphs.join("\n\n"))
        .help_heading(heading)
        .hide(hidden)
        .hide_env(true)
        .hide_default_value(true)
        .hide_possible_values(true)
}
