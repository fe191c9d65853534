//! `qunfa render`: the dry run.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde_json::{Value, json};

use super::{
    Common, ExitCode, Format, FormatArg, fail,
    load::load_or_fail,
    world::{self, Terminal},
};
use crate::render::{RenderedPlan, request_json};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The plan; `-` is standard input
    plan: String,
    /// Writes one file a request, and manifest.json, into this folder
    #[arg(long, value_name = "DIR", env = "QUNFA_OUT", hide_env_values = true)]
    out: Option<PathBuf>,
    /// How requests are written
    #[arg(long, value_name = "FORMAT", default_value = "json", env = "QUNFA_FORMAT", hide_env_values = true)]
    format: RequestFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RequestFormat {
    /// One JSON document
    Json,
    /// As they go over the wire
    Http,
}

pub(super) fn main(args: &Args, common: &Common, terminal: &Terminal) -> ExitCode {
    let (plan, _) = match load_or_fail(&args.plan, common, &FormatArg { format: Format::Human }, None, terminal) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    if let Some(folder) = &args.out {
        return match write(&plan, folder, args.format) {
            Ok(count) => {
                terminal.out(&format!("{}: {count} requests, {}\n", folder.display(), plan.digest()));
                ExitCode::Done
            }
            Err(error) => {
                let message =
                    format!("the requests cannot be written to {}: {}", folder.display(), crate::exec::chain(&error));
                fail(terminal, ExitCode::MissingInput, &message, &[])
            }
        };
    }
    match args.format {
        RequestFormat::Json => plan.to_json().for_each(|part| terminal.out(&part)),
        RequestFormat::Http => plan.to_http().for_each(|part| terminal.out(&part)),
    }
    ExitCode::Done
}

fn write(plan: &RenderedPlan, folder: &Path, format: RequestFormat) -> std::io::Result<usize> {
    world::remove_old_requests(folder)?;
    let mut entries: Vec<Value> = Vec::new();
    for (number, (step, call)) in plan.calls().enumerate() {
        let (text, ending) = match format {
            RequestFormat::Json => (format!("{}\n", request_json(step, call, 0)), "json"),
            RequestFormat::Http => (plan.to_http_request(step, call), "http"),
        };
        let name = format!("{:03}-{}.{}.{ending}", number + 1, step.id, call.chunk);
        world::write_file(&folder.join(&name), text.as_bytes())?;
        entries.push(json!({ "file": name, "step": step.id, "key": step.key, "action": step.spec.name, "chunk": call.chunk, "method": "POST", "path": step.spec.path, "body_digest": crate::payload::digest(call.payload.shown().as_bytes()) }));
    }
    let count = entries.len();
    let manifest = json!({ "plan": plan.name, "digest": plan.digest(), "requests": entries });
    world::write_file(&folder.join("manifest.json"), format!("{manifest:#}\n").as_bytes())?;
    Ok(count)
}
