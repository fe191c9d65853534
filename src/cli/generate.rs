//! What the program prints of itself: schemas and man pages.

use std::{borrow::Cow, path::PathBuf};

use clap::{Command, ValueEnum};
use serde_json::Value;

use super::{failure::Failure, files, help::man::manual, terminal::Terminal};
use crate::{
    locale::{Language, say, translation},
    plan::schema,
    problem::{ExitCode, Refusal, reason},
};

#[derive(Debug, clap::Args)]
pub(super) struct SchemaArgs {
    /// The schema to print
    #[arg(default_value = "plan")]
    what: Which,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Which {
    /// Plans
    Plan,
    /// Reports (`run` and `report` with --format json)
    Report,
    /// Findings (`validate` with --format json, and every command with an invalid plan)
    Diagnostics,
    /// Results of `doctor`
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
pub(super) struct ManArgs {
    /// Folder for the man pages
    dir: PathBuf,
}

pub(super) fn man(args: &ManArgs, tree: &Command, terminal: &Terminal) -> Result<ExitCode, Failure> {
    for (name, page) in manual(tree) {
        files::write_file(&args.dir.join(format!("{name}.1")), page.as_bytes()).map_err(|error| {
            let (folder, why) = (args.dir.display().to_string(), reason(&error));
            Refusal::missing_input(say!("cannot write {name}.1 to {folder}: {why}", name, folder, why))
        })?;
    }
    let folder = args.dir.display().to_string();
    terminal.note(&format!("{}\n", say!("wrote the man pages to {folder}", folder)));
    Ok(ExitCode::Done)
}
