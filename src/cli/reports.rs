//! Where the report of a run goes: standard output, files, the summary and the annotations of a CI job.

use std::path::PathBuf;

use super::{files, options::Format, process, terminal::Terminal};
use crate::{
    diag::{self, Severity, github::Annotation},
    limits,
    locale::{Phrase, list, say},
    platform::Platform,
    problem::{Problem, Refusal, unwritten},
    report::{self, Report, StepOutcome},
};

/// The files that `--report` names.
pub(super) fn files_of(options: &[String]) -> Result<Vec<(report::Format, PathBuf)>, Refusal> {
    let file = |option: &String| {
        let (format, path) = option.split_once('=').filter(|(_, path)| !path.is_empty())?;
        Some((format.parse().ok()?, path.into()))
    };
    let parsed = options.iter().map(|option| {
        file(option).ok_or_else(|| {
            Refusal::usage(say!("`--report {option}` is not a report", option)).help(say!(
                "write FORMAT=PATH, for example --report junit=report.xml; formats are {formats}",
                formats = list(report::Format::ALL.map(report::Format::name))
            ))
        })
    });
    parsed.collect()
}

/// The files of one account of several: its name stands before the ending.
pub(super) fn files_of_account(
    files: &[(report::Format, PathBuf)],
    account: Option<&str>,
) -> Vec<(report::Format, PathBuf)> {
    let named = |path: &PathBuf| {
        let Some(account) = account else { return path.clone() };
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let ending = path.extension().map(|ending| format!(".{}", ending.to_string_lossy())).unwrap_or_default();
        path.with_file_name(format!("{stem}-{account}{ending}"))
    };
    files.iter().map(|(format, path)| (*format, named(path))).collect()
}

pub(super) struct Reports {
    pub(super) files: Vec<(report::Format, PathBuf)>,
    /// Of standard output.
    pub(super) format: Format,
    /// The plan's path as seen from the root of the repository.
    pub(super) plan: String,
    /// The command that prints the report of a run which was recorded.
    pub(super) again: String,
}

impl Reports {
    /// `delivered` is what the embedded sandbox handed out, for people.
    pub(super) fn publish(&self, report: &Report, delivered: Option<&str>, terminal: &Terminal) {
        match self.format {
            Format::Json => {
                terminal.out_json(&report::render(report, report::Format::Json));
                delivered.iter().for_each(|text| terminal.note(text));
            }
            Format::Human => {
                terminal.out_in_colour(&report::render(report, report::Format::Human));
                delivered.iter().for_each(|text| terminal.out(text));
            }
        }
        self.write(report, terminal);
    }

    /// Why it was refused is said on standard error already.
    pub(super) fn publish_refused(&self, report: &Report, terminal: &Terminal) {
        if self.format == Format::Json {
            terminal.out_json(&report::render(report, report::Format::Json));
        }
        self.write(report, terminal);
    }

    fn write(&self, report: &Report, terminal: &Terminal) {
        for (format, path) in &self.files {
            let text = report::render(report, *format);
            // Colours are for terminals; the other formats hold none.
            let text = anstream::adapter::strip_str(&text).to_string();
            if let Err(error) = files::write_file(path, text.as_bytes()) {
                let path = path.display().to_string();
                let problem =
                    Problem::new(say!("cannot write the report `{path}`: {why}", path, why = unwritten(&error)));
                // A rehearsal is not kept.
                let kept = report.platform != Platform::Sandbox.name();
                let again = || say!("to print it again, run: {command}", command = self.again.as_str());
                terminal.lose(&if kept { problem.help(again()) } else { problem });
            }
        }
        if let Some(summary) = process::env("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) {
            // Other steps of the same job have summaries of their own; what this step wrote before counts.
            let room = limits::STEP_SUMMARY_BYTES.saturating_sub(1 + files::file_length(summary.as_ref()));
            let text = report::summary(report, usize::try_from(room).unwrap_or(usize::MAX));
            if let Err(error) = files::append_file(summary.as_ref(), &text) {
                terminal.lose(&Problem::new(say!("cannot write the step summary: {why}", why = unwritten(&error))));
            }
        }
        if process::is_github() {
            self.annotate(report, terminal);
        }
    }

    /// Failed steps as annotations on their lines; what concerns the run as a whole comes first.
    fn annotate(&self, report: &Report, terminal: &Terminal) {
        let annotation = |title: &str, line: Option<u32>, problem: &Problem| Annotation {
            severity: Severity::Error,
            title: title.to_owned(),
            text: std::iter::once(&problem.message)
                .chain(&problem.help)
                .map(Phrase::to_string)
                .collect::<Vec<_>>()
                .join("\n"),
            file: Some(self.plan.clone()),
            line: line.map(|line| line as usize),
            columns: None,
        };
        let mut annotations: Vec<Annotation> =
            report.error.iter().map(|error| annotation(&report.plan.name, None, error)).collect();
        for step in &report.steps {
            let bad = matches!(step.outcome, StepOutcome::Failed | StepOutcome::Unknown);
            annotations.extend(step.error.iter().filter(|_| bad).map(|error| {
                let name = crate::text::step_name(&step.id, step.key.as_deref());
                annotation(&name, Some(step.line).filter(|line| *line > 0), error)
            }));
        }
        terminal.commands(&diag::github::commands(&annotations));
    }
}
