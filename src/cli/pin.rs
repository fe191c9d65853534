//! `qunfa pin`: asks WeChat what the drafts of a plan hold, and writes their digests into it.

use std::path::Path;

use serde_json::{Value, json};

use super::{
    clock::RealClock,
    failure::Failure,
    files,
    load::open_session,
    options::{Common, Format, FormatArg},
    process,
    session::Session,
    subject::{Subject, plan_and_step},
    terminal::Terminal,
};
use crate::{
    diag::source,
    limits,
    locale::{list, say},
    plan::pin,
    problem::{ExitCode, Refusal, unwritten},
    render::RenderedStep,
    run::existing::{self, Found},
    text::one_of,
};

#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// The plan
    #[arg(required_unless_present = "fleet")]
    plan: Option<String>,
    /// The `use_draft` step [default: all of them]
    step: Option<String>,
    /// Compares without writing; exit code 8 if a draft is not what was pinned
    #[arg(long, env = "QUNFA_PIN_CHECK", hide_env_values = true, value_parser = clap::builder::FalseyValueParser::new())]
    check: bool,
    #[command(flatten)]
    pub(super) format: FormatArg,
}

pub(super) fn main(args: &Args, common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let (plan, step) = plan_and_step(args.plan.as_deref(), args.step.as_deref(), common);
    let subject = Subject::one(plan, common, terminal)?;
    let target = subject.target();
    let path = target.path;
    if path == "-" && !args.check {
        let refusal = Refusal::usage(say!("a plan from standard input cannot be pinned"));
        return Err(refusal.help(say!("write it into a file, or compare with --check")).into());
    }
    // What is written later is this text: if it is another by then, nothing is.
    let before = if path == "-" { Vec::new() } else { text(path).unwrap_or_default() };
    let session = open_session(target, common, terminal)?;
    process::catch_signals();
    let steps = chosen(&session, step)?;
    let found = ask(&session, &steps, common, terminal)?;
    if args.check {
        return check(args, &session, &found, terminal);
    }
    let mut pins: Vec<(String, String)> = Vec::new();
    for (step, found) in &found {
        let pin = (step.id.clone(), found.pin.to_string());
        if step.key.is_some() {
            let message =
                say!("`{step}` has `foreach`: each of its rows has a digest of its own", step = step.id.as_str());
            let help = say!(
                "write `digest: {{{{ row.digest }}}}`, and in the row of {step}: {digest}",
                step = step.name(),
                digest = pin.1
            );
            return Err(Refusal::usage(message).help(help).into());
        }
        pins.push(pin);
    }
    let changed = write(path, &before, &pins)?;
    if args.format.format == Format::Json {
        let steps: Vec<Value> = found.iter().map(|(step, found)| document(step, found)).collect();
        terminal.document(ExitCode::Done, json!({ "plan": session.plan.name, "written": changed, "steps": steps }));
        return Ok(ExitCode::Done);
    }
    for (step, found) in &found {
        let titles = list(found.titles.iter().map(|title| format!("`{title}`")));
        let told = match existing::check(&session.plan, step, found) {
            Ok(()) if is_pinned(step) => {
                say!("{step}: still {titles} (media_id {id})", step = step.name(), titles, id = found.id.as_str())
            }
            _ => say!("{step}: pinned {titles} (media_id {id})", step = step.name(), titles, id = found.id.as_str()),
        };
        terminal.out(&format!("{told}\n"));
    }
    if changed {
        let command = session.plan.command("render", &[]);
        terminal.note(&format!(
            "{}\n",
            say!(
                "note: {text}",
                text = say!("the digest of the plan is another one now; `{command}` prints it", command)
            )
        ));
    }
    Ok(ExitCode::Done)
}

fn is_pinned(step: &RenderedStep) -> bool {
    existing::uses(step).is_some_and(|uses| uses.pinned.is_some())
}

/// The text of the plan as it is on disk.
fn text(path: &str) -> Result<Vec<u8>, Refusal> {
    files::read_regular(Path::new(path), limits::PLAN_BYTES_MAX)
        .map_err(|error| Refusal::missing_input(error.problem(path, limits::PLAN_BYTES_MAX).1))
}

/// The steps that take drafts.
fn chosen<'s>(session: &'s Session, wanted: Option<&str>) -> Result<Vec<&'s RenderedStep>, Refusal> {
    let all = || session.plan.steps.iter().filter(|step| existing::uses(step).is_some() && step.may_run());
    let steps: Vec<&RenderedStep> =
        all().filter(|step| wanted.is_none_or(|wanted| step.id == wanted || step.name() == wanted)).collect();
    if !steps.is_empty() {
        return Ok(steps);
    }
    let names: Vec<&str> = all().map(|step| step.id.as_str()).collect();
    let refusal = match wanted {
        Some(wanted) => Refusal::usage(say!("`{step}` is no `use_draft` step of this plan", step = wanted)),
        None => Refusal::usage(say!("the plan has no `use_draft` step")),
    };
    Err(match names.as_slice() {
        [] => refusal.help(say!(
            "only drafts that were made in the console are pinned; what `create_draft` makes is in the plan"
        )),
        names => refusal.help(say!("the plan has {steps}", steps = one_of(names))),
    })
}

fn ask<'s>(
    session: &'s Session,
    steps: &[&'s RenderedStep],
    common: &Common,
    terminal: &Terminal,
) -> Result<Vec<(&'s RenderedStep, Found)>, Refusal> {
    let clock = RealClock::at(common.now);
    let credential = session.credential(terminal).map_err(Refusal::missing_input)?;
    let mut connection = session.connect(session.tokens(terminal))?;
    let mut client = connection.client(credential, &clock);
    let mut all = Vec::new();
    for step in steps {
        if let Some(found) = existing::found(&mut client, &clock, &process::interrupted, step)? {
            all.push((*step, found));
        }
    }
    Ok(all)
}

/// Exit code 8 if one of them is not what was pinned, or is not pinned at all.
fn check(
    args: &Args,
    session: &Session,
    found: &[(&RenderedStep, Found)],
    terminal: &Terminal,
) -> Result<ExitCode, Failure> {
    let mut wrong: Option<Refusal> = None;
    for (step, found) in found {
        let refusal = match existing::check(&session.plan, step, found) {
            Err(drift) => drift.into(),
            Ok(()) if is_pinned(step) => continue,
            Ok(()) => {
                let message = say!("the draft of `{step}` is not pinned", step = step.name());
                Refusal::new(ExitCode::Conflict, message)
                    .help(say!("run `{command}`", command = session.plan.command("pin", &[])))
            }
        };
        wrong.get_or_insert(refusal);
    }
    if let Some(refusal) = wrong {
        return Err(refusal.into());
    }
    if args.format.format == Format::Json {
        let steps: Vec<Value> = found.iter().map(|(step, found)| document(step, found)).collect();
        terminal.document(ExitCode::Done, json!({ "plan": session.plan.name, "written": false, "steps": steps }));
    } else {
        for (step, found) in found {
            let titles = list(found.titles.iter().map(|title| format!("`{title}`")));
            let told =
                say!("{step}: still {titles} (media_id {id})", step = step.name(), titles, id = found.id.as_str());
            terminal.out(&format!("{told}\n"));
        }
    }
    Ok(ExitCode::Done)
}

fn document(step: &RenderedStep, found: &Found) -> Value {
    let pinned = existing::uses(step).and_then(|uses| uses.pinned.as_ref()).map(ToString::to_string);
    json!({
        "id": step.id, "key": step.key, "media_id": found.id, "titles": found.titles,
        "digest": found.pin.to_string(), "before": pinned,
    })
}

/// Writes the digests into the plan; whether that changes it. If it is not the text any more that was read, nothing is written.
fn write(path: &str, before: &[u8], pins: &[(String, String)]) -> Result<bool, Refusal> {
    let mark: &[u8] = if before.starts_with(b"\xef\xbb\xbf") { b"\xef\xbb\xbf" } else { b"" };
    let changed = || {
        Refusal::new(ExitCode::Conflict, say!("`{path}` was changed meanwhile; nothing was written", path))
            .help(say!("run it again"))
    };
    let old = source::decode(before.to_vec()).map_err(|_| changed())?;
    let new = pin::write(&old, pins)
        .map_err(|(step, why)| Refusal::missing_input(say!("`{step}` cannot be pinned: {why}", step, why)))?;
    if text(path)? != before {
        return Err(changed());
    }
    if new == old {
        return Ok(false);
    }
    let bytes = [mark, new.as_bytes()].concat();
    files::rewrite_file(Path::new(path), &bytes)
        .map_err(|error| Refusal::missing_input(say!("cannot write `{path}`: {why}", path, why = unwritten(&error))))?;
    Ok(true)
}
