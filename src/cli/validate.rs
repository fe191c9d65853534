//! `qunfa validate`.

use super::{Common, ExitCode, Format, FormatArg, load::load, world::Terminal};
use crate::diag;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Plans to check; `-` is standard input
    #[arg(required = true, value_name = "PLAN")]
    plans: Vec<String>,
    #[command(flatten)]
    format: FormatArg,
}

pub(super) fn main(args: &Args, common: &Common, terminal: &Terminal) -> ExitCode {
    let mut worst = ExitCode::Done;
    let mut documents = Vec::new();
    for path in &args.plans {
        let loaded = load(path, common, None);
        let code = loaded.exit_code();
        if worst == ExitCode::Done || code == ExitCode::Invalid {
            worst = code;
        }
        if args.format.format == Format::Json {
            let problems = diag::render::json(&loaded.diagnostics, &loaded.sources);
            let digest = loaded.plan.as_ref().map(|plan| plan.digest().to_owned());
            documents.push(serde_json::json!({ "plan": path, "valid": loaded.plan.is_some(), "digest": digest, "diagnostics": problems }));
            continue;
        }
        loaded.print(terminal);
        match &loaded.plan {
            Some(plan) => {
                let said = if loaded.diagnostics.is_empty() { String::new() } else { format!(", {}", loaded.counts()) };
                let (steps, requests) = (plan.steps.len(), plan.calls().count());
                let words = |count: usize, word: &str| {
                    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
                };
                terminal.out(&format!(
                    "{path}: valid, {}, {}{said}\n",
                    words(steps, "step"),
                    words(requests, "request")
                ));
            }
            None => terminal.out(&format!("{path}: {}\n", loaded.counts())),
        }
        if args.plans.len() == 1 {
            // The process ends here: taking a large plan apart piece by piece would be time for nothing.
            std::mem::forget(loaded);
        }
    }
    if args.format.format == Format::Json {
        let document = serde_json::json!({ "schema": 1, "exit_code": worst as u8, "plans": documents });
        terminal.out(&format!("{document:#}\n"));
    }
    worst
}
