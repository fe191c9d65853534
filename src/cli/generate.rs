//! What the program prints of itself: schemas and man pages.

use std::{borrow::Cow, path::PathBuf};

use clap::{Command, ValueEnum};

use super::{failure::Failure, files, help::man::manual, terminal::Terminal};
use crate::{
    locale::{Language, say},
    plan::schema,
    problem::{ExitCode, Refusal, unwritten},
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
    /// Fleets
    Fleet,
    /// Where the accounts of a fleet stand (`fleet status --format json`)
    FleetStatus,
    /// Reports (`run` and `report` with --format json)
    Report,
    /// Findings (`validate` with --format json, and every command with an invalid plan)
    Diagnostics,
    /// Results of `doctor`
    Doctor,
    /// Readers of articles (`stats` with --format json)
    Stats,
}

pub(super) fn schema(args: &SchemaArgs, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let text = match args.what {
        Which::Plan => schema::PLAN,
        Which::Fleet => schema::FLEET,
        Which::FleetStatus => include_str!("../../schemas/fleet-status.schema.json"),
        Which::Report => include_str!("../../schemas/report.schema.json"),
        Which::Diagnostics => include_str!("../../schemas/diagnostics.schema.json"),
        Which::Doctor => include_str!("../../schemas/doctor.schema.json"),
        Which::Stats => include_str!("../../schemas/stats.schema.json"),
    };
    terminal.exactly(&in_words(text));
    Ok(ExitCode::Done)
}

/// A schema with its texts in the language of this process.
pub(super) fn in_words(text: &str) -> Cow<'_, str> {
    match Language::current() {
        Language::En => text.into(),
        language => {
            let schema = serde_json::from_str(text).expect("a schema of ours");
            format!(
                "{:#}
",
                schema::in_words(schema, language)
            )
            .into()
        }
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct ManArgs {
    /// Folder for the man pages
    dir: PathBuf,
}

pub(super) fn man(args: &ManArgs, tree: &Command, terminal: &Terminal) -> Result<ExitCode, Failure> {
    for (name, page) in manual(tree) {
        files::write_file(&args.dir.join(format!("{name}.1")), page.as_bytes()).map_err(|error| {
            let (folder, why) = (args.dir.display().to_string(), unwritten(&error));
            Refusal::missing_input(say!("cannot write {name}.1 to {folder}: {why}", name, folder, why))
        })?;
    }
    let folder = args.dir.display().to_string();
    terminal.note(&format!("{}\n", say!("wrote the man pages to {folder}", folder)));
    Ok(ExitCode::Done)
}
