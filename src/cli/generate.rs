//! What the program prints of itself: schemas, completions, man pages.

use std::{borrow::Cow, path::PathBuf};

use clap::{Command, ValueEnum};
use clap_complete::Shell;
use serde_json::Value;

use super::{failure::Failure, files, terminal::Terminal};
use crate::{
    locale::{Language, translation},
    plan::schema,
    problem::{ExitCode, Refusal},
};

#[derive(Debug, clap::Args)]
pub(super) struct SchemaArgs {
    /// Which schema
    #[arg(default_value = "plan")]
    what: Which,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Which {
    /// Of a plan
    Plan,
    /// Of a report (`run` and `report` with --format json)
    Report,
    /// Of what is found in plans (`validate` with --format json, and every command whose plan is wrong)
    Diagnostics,
    /// Of what `doctor` finds
    Doctor,
}

pub(super) fn schema(args: &SchemaArgs, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let schema = match args.what {
        Which::Plan => schema::PLAN,
        Which::Report => include_str!("../../schemas/report.schema.json"),
        Which::Diagnostics => include_str!("../../schemas/diagnostics.schema.json"),
        Which::Doctor => include_str!("../../schemas/doctor.schema.json"),
    };
    terminal.exactly(&in_words(schema));
    Ok(ExitCode::Done)
}

/// A schema with its descriptions in the language of this process.
pub(super) fn in_words(schema: &str) -> Cow<'_, str> {
    fn translate(schema: &mut Value, language: Language) {
        match schema {
            Value::Object(members) => members.iter_mut().for_each(|(name, value)| match value {
                Value::String(text) if name == "description" => {
                    if let Some(words) = translation(language, text) {
                        words.clone_into(text);
                    }
                }
                value => translate(value, language),
            }),
            Value::Array(items) => items.iter_mut().for_each(|item| translate(item, language)),
            _ => {}
        }
    }
    let language = Language::current();
    if language == Language::En {
        return schema.into();
    }
    let mut schema: Value = serde_json::from_str(schema).expect("a schema of ours");
    translate(&mut schema, language);
    format!("{schema:#}\n").into()
}

#[derive(Debug, clap::Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(super) fn completions(
    args: &CompletionsArgs,
    mut command: Command,
    terminal: &Terminal,
) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "qunfa", &mut script);
    terminal.exactly(&String::from_utf8_lossy(&script));
    Ok(ExitCode::Done)
}

#[derive(Debug, clap::Args)]
pub(super) struct ManArgs {
    /// The folder that they are written into
    dir: PathBuf,
}

pub(super) fn man(args: &ManArgs, command: Command, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let mut pages = vec![("qunfa".to_owned(), command.clone())];
    for sub in command.get_subcommands() {
        let name = format!("qunfa-{}", sub.get_name());
        pages.push((name.clone(), sub.clone().display_name(name)));
    }
    for (name, command) in pages {
        let mut page = Vec::new();
        let written = clap_mangen::Man::new(command)
            .render(&mut page)
            .and_then(|()| files::write_file(&args.dir.join(format!("{name}.1")), &page));
        written.map_err(|error| {
            Refusal::missing_input(format!("{name}.1 cannot be written to {}: {error}", args.dir.display()))
        })?;
    }
    terminal.note(&format!("man pages are in {}\n", args.dir.display()));
    Ok(ExitCode::Done)
}
