//! The helps that clap shows, in the language of the reader: each text is looked up as it stands in the source.

use clap::{Arg, Command, builder::StyledStr};

use crate::locale::{Language, in_language, translation};

/// A command whose helps and headings are in a language. What has no translation stays as it is.
pub(super) fn translated(mut command: Command, language: Language) -> Command {
    // Adds clap's own options, which have helps too.
    command.build();
    of(command, language)
}

/// All helps of a command and those below it, as they stand in the source.
pub(super) fn texts(mut command: Command) -> Vec<String> {
    fn below(command: &Command, texts: &mut Vec<String>) {
        let own = [command.get_about(), command.get_long_about(), command.get_after_help()];
        let args = command.get_arguments().flat_map(|arg| [arg.get_help(), arg.get_long_help()]);
        texts.extend(own.into_iter().chain(args).flatten().map(StyledStr::to_string));
        texts.extend(command.get_arguments().filter_map(|arg| arg.get_help_heading().map(str::to_owned)));
        command.get_subcommands().for_each(|command| below(command, texts));
    }
    command.build();
    let mut texts = Vec::new();
    below(&command, &mut texts);
    texts
}

fn of(mut command: Command, language: Language) -> Command {
    let say = |text: Option<&StyledStr>| text.and_then(|text| translation(language, &text.to_string()));
    if let Some(about) = say(command.get_about()) {
        command = command.about(about);
    }
    if let Some(about) = say(command.get_long_about()) {
        command = command.long_about(about);
    }
    if let Some(after) = say(command.get_after_help()) {
        command = command.after_help(after);
    }
    let usage = in_language(language, "Usage:");
    command
        .subcommand_help_heading(in_language(language, "Commands"))
        .help_template(format!("{{about-with-newline}}\n{usage} {{usage}}\n\n{{all-args}}{{after-help}}"))
        .mut_args(|arg| argument(arg, language))
        .mut_subcommands(|sub| of(sub, language))
}

fn argument(mut arg: Arg, language: Language) -> Arg {
    let say = |text: Option<&StyledStr>| text.and_then(|text| translation(language, &text.to_string()));
    if let Some(help) = say(arg.get_help()) {
        arg = arg.help(help);
    }
    if let Some(help) = say(arg.get_long_help()) {
        arg = arg.long_help(help);
    }
    let heading = match arg.get_help_heading() {
        Some(heading) => translation(language, heading).unwrap_or_default(),
        None if arg.is_positional() => in_language(language, "Arguments"),
        None => in_language(language, "Options"),
    };
    arg.help_heading(heading)
}
