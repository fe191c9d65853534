//! `qunfa render`: the dry run.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde_json::{Value, json};

use super::{
    failure::Failure,
    files::{self, Entry, read_regular},
    load::{Strict, load_plan},
    options::Common,
    preview_html,
    subject::{ShardArgs, Subject},
    target::Target,
    terminal::Terminal,
};
use crate::{
    limits,
    locale::{Phrase, say},
    problem::{ExitCode, Refusal, unwritten},
    render::{PlannedCall, RenderedPlan, RenderedStep, request_json},
    resolve::ReadError,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The plan; `-` reads standard input
    #[arg(required_unless_present = "fleet")]
    plan: Option<String>,
    /// Writes one file per request and manifest.json to this folder
    #[arg(long, value_name = "DIR", env = "QUNFA_OUT", hide_env_values = true)]
    out: Option<PathBuf>,
    /// Compares with the files that --out wrote to this folder and shows the differences (exit code 9)
    #[arg(long, value_name = "DIR", env = "QUNFA_CHECK", hide_env_values = true, conflicts_with = "out")]
    check: Option<PathBuf>,
    /// Writes index.html to this folder, showing each message as a phone does
    #[arg(long, value_name = "DIR", env = "QUNFA_HTML", hide_env_values = true, conflicts_with = "check")]
    html: Option<PathBuf>,
    /// Output format of requests
    #[arg(long, value_name = "FORMAT", default_value = "json", env = "QUNFA_FORMAT", hide_env_values = true)]
    format: RequestFormat,
    #[command(flatten)]
    strict: Strict,
    #[command(flatten)]
    shard: ShardArgs,
}

/// How requests are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum RequestFormat {
    /// One JSON document
    Json,
    /// HTTP requests as sent
    Http,
}

pub(super) fn main(args: &Args, common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let subject = Subject::of(args.plan.as_deref(), &args.shard, common, terminal)?;
    subject.each(terminal, |target| render(args, target, subject.is_shard(), common, terminal))
}

/// Each account of a shard has a folder of its own.
fn render(
    args: &Args,
    target: Target<'_>,
    shard: bool,
    common: &Common,
    terminal: &Terminal,
) -> Result<ExitCode, Failure> {
    let (plan, loaded) = load_plan(target, common, None, args.strict, terminal)?;
    let own = |folder: &Option<PathBuf>| {
        let name = target.member.filter(|_| shard).map_or("", |(_, member)| member.name.as_str());
        folder.as_ref().map(|folder| if name.is_empty() { folder.clone() } else { folder.join(name) })
    };
    if let Some(folder) = &own(&args.html) {
        let path = folder.join("index.html");
        preview_html::write(&path, &plan, &loaded, terminal)?;
        terminal.note(&format!("{}\n", preview_html::written(&path, &plan)));
        if args.out.is_none() {
            return Ok(ExitCode::Done);
        }
    }
    if let Some(folder) = &own(&args.out) {
        let count = write(&plan, folder, args.format)?;
        let (folder, requests) = (folder.display().to_string(), requests_of(count));
        let said = say!("{folder}: {requests}, {digest}", folder, requests, digest = plan.digest());
        terminal.out(&format!("{said}\n"));
        return Ok(ExitCode::Done);
    }
    if let Some(folder) = &own(&args.check) {
        check(&plan, folder, terminal)?;
        return Ok(ExitCode::Done);
    }
    match args.format {
        RequestFormat::Json => plan.to_json().for_each(|part| terminal.out_json(&part)),
        RequestFormat::Http => plan.to_http().for_each(|part| terminal.exactly(&part)),
    }
    Ok(ExitCode::Done)
}

/// The files of a rendering, one after the other; the manifest comes last.
fn requests(plan: &RenderedPlan, format: RequestFormat) -> impl Iterator<Item = (String, String)> {
    let mut calls = plan.calls().enumerate();
    let mut entries: Vec<Value> = Vec::new();
    let mut ended = false;
    std::iter::from_fn(move || {
        if let Some((number, (step, call))) = calls.next() {
            let text = match format {
                RequestFormat::Json => format!("{}\n", request_json(step, call, 0)),
                RequestFormat::Http => plan.to_http_request(step, call),
            };
            let name = file_name(number, step, call, format);
            entries.push(json!({ "file": name, "step": step.id, "key": step.key, "action": step.spec.name, "chunk": call.chunk, "method": "POST", "path": call.path, "body_digest": crate::payload::digest(call.payload.shown().as_bytes()) }));
            return Some((name, text));
        }
        if std::mem::replace(&mut ended, true) {
            return None;
        }
        let manifest = json!({ "plan": plan.name, "digest": plan.digest(), "requests": std::mem::take(&mut entries) });
        Some((MANIFEST.to_owned(), format!("{manifest:#}\n")))
    })
}

pub(super) const MANIFEST: &str = "manifest.json";

fn file_name(number: usize, step: &RenderedStep, call: &PlannedCall, format: RequestFormat) -> String {
    let ending = if format == RequestFormat::Json { "json" } else { "http" };
    format!("{:03}-{}.{}.{ending}", number + 1, step.id, call.chunk)
}

/// Whether a name is one that [`file_name`] gives, and no path: what a manifest lists may be anybody's.
fn is_request(name: &str) -> bool {
    let number =
        name.find('-').is_some_and(|dash| dash >= 3 && name.bytes().take(dash).all(|byte| byte.is_ascii_digit()));
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    number && plain && (name.ends_with(".json") || name.ends_with(".http"))
}

/// The files of an earlier rendering, as its own manifest lists them; none if there is no manifest of ours.
fn listed(folder: &Path) -> Vec<String> {
    let manifest = folder.join(MANIFEST);
    let text = Some(&manifest).filter(|path| files::entry(path) == Entry::File);
    let text = text.and_then(|path| read_regular(path, limits::DATA_BYTES_MAX).ok());
    let manifest: Value = text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
    if !manifest["digest"].as_str().is_some_and(|digest| digest.starts_with("sha256:")) {
        return Vec::new();
    }
    let Some(requests) = manifest["requests"].as_array() else { return Vec::new() };
    let names = requests.iter().filter_map(|request| request["file"].as_str()).filter(|name| is_request(name));
    names.chain([MANIFEST]).map(str::to_owned).collect()
}

/// The files of an earlier rendering that are to go. Refused if anything else stands where a file is to be written, or
/// anything but a file where one was.
fn make_room(folder: &Path, names: impl Iterator<Item = String>) -> Result<Vec<PathBuf>, Refusal> {
    let old = listed(folder);
    let known: std::collections::HashSet<&str> = old.iter().map(String::as_str).collect();
    for name in names.chain([MANIFEST.to_owned()]).chain(old.iter().cloned()) {
        let path = folder.join(&name);
        let why = match files::entry(&path) {
            Entry::Nothing => continue,
            Entry::File if known.contains(name.as_str()) => continue,
            Entry::File => say!("it is not in the manifest of an earlier rendering"),
            Entry::Other => say!("it is a link or a folder, not a file"),
        };
        let path = path.display().to_string();
        let message = say!("`{path}` is in the way and was left unchanged: {why}; nothing was written", path, why);
        let help = say!("choose another folder, or move it away");
        return Err(Refusal::new(ExitCode::Refused, message).help(help));
    }
    Ok(old.iter().map(|name| folder.join(name)).filter(|path| files::entry(path) == Entry::File).collect())
}

/// Writes a rendering into a folder, and says how many requests it has.
pub(super) fn write(plan: &RenderedPlan, folder: &Path, format: RequestFormat) -> Result<usize, Refusal> {
    let names = plan.calls().enumerate().map(|(number, (step, call))| file_name(number, step, call, format));
    write_files(folder, names, requests(plan, format))
}

/// Writes files into a folder, and says how many there are besides the manifest, which lists them. Of what is there it
/// touches nothing but the files of an earlier rendering.
pub(super) fn write_files(
    folder: &Path,
    names: impl Iterator<Item = String>,
    files: impl Iterator<Item = (String, String)>,
) -> Result<usize, Refusal> {
    let failed = |error: std::io::Error| {
        let (folder, why) = (folder.display().to_string(), unwritten(&error));
        Refusal::missing_input(say!("cannot write the requests to {folder}: {why}", folder, why))
    };
    for path in make_room(folder, names)? {
        files::remove_file(&path).map_err(failed)?;
    }
    let mut count = 0;
    for (name, text) in files {
        files::write_file(&folder.join(&name), text.as_bytes()).map_err(failed)?;
        count += usize::from(name != MANIFEST);
    }
    Ok(count)
}

/// What was committed against what is rendered now.
fn check(plan: &RenderedPlan, folder: &Path, terminal: &Terminal) -> Result<(), Refusal> {
    let command = plan.command("render", &["--out", &folder.display().to_string()]);
    let committed = Committed::read(folder, &command)?;
    let files = requests(plan, committed.format());
    committed.compare(files, plan.digest(), terminal)
}

/// A rendering that was committed, and the command that writes it anew.
pub(super) struct Committed<'a> {
    folder: &'a Path,
    again: &'a str,
    /// Its files.
    listed: Vec<String>,
}

impl<'a> Committed<'a> {
    pub(super) fn read(folder: &'a Path, again: &'a str) -> Result<Self, Refusal> {
        let mut committed = Self { folder, again, listed: Vec::new() };
        let path = folder.join(MANIFEST);
        let manifest =
            read_regular(&path, limits::DATA_BYTES_MAX).map_err(|error| committed.unreadable(&path, error))?;
        let manifest: Value = serde_json::from_slice(&manifest).unwrap_or_default();
        let listed = manifest["requests"].as_array().into_iter().flatten();
        committed.listed = listed.filter_map(|request| request["file"].as_str().map(str::to_owned)).collect();
        Ok(committed)
    }

    fn format(&self) -> RequestFormat {
        let http = self.listed.iter().any(|name| name.ends_with(".http"));
        if http { RequestFormat::Http } else { RequestFormat::Json }
    }

    fn unreadable(&self, path: &Path, error: ReadError) -> Refusal {
        let why = match error {
            ReadError::Unreadable(why) => why,
            _ => say!("it is too large"),
        };
        let path = path.display().to_string();
        Refusal::missing_input(say!("`{path}` cannot be read: {why}", path, why))
            .help(say!("write it with: {command}", command = self.again))
    }

    /// Refused if the files are others now.
    pub(super) fn compare(
        &self,
        files: impl Iterator<Item = (String, String)>,
        digest: &str,
        terminal: &Terminal,
    ) -> Result<(), Refusal> {
        let Self { folder, again, listed } = self;
        let (mut differing, mut count) = (0, 0);
        let mut rendered = std::collections::HashSet::new();
        for (name, text) in files {
            let path = folder.join(&name);
            count += usize::from(name != MANIFEST);
            match read_regular(&path, limits::AUDIENCE_BYTES_MAX) {
                Ok(bytes) if bytes == text.as_bytes() => {}
                Ok(bytes) => {
                    differing += 1;
                    terminal.out(&difference(&path, &String::from_utf8_lossy(&bytes), &text));
                }
                Err(ReadError::Unreadable(_)) => {
                    differing += 1;
                    let path = path.display().to_string();
                    terminal.out(&format!("{}\n", say!("{path}: missing; the plan now makes this request", path)));
                }
                Err(error) => return Err(self.unreadable(&path, error)),
            }
            rendered.insert(name);
        }
        for name in listed.iter().filter(|name| !rendered.contains(*name)) {
            differing += 1;
            let path = folder.join(name).display().to_string();
            terminal.out(&format!("{}\n", say!("{path}: the plan no longer makes this request", path)));
        }
        if differing == 0 {
            let (folder, requests) = (folder.display().to_string(), requests_of(count));
            let said = say!("{folder}: {requests}, unchanged, {digest}", folder, requests, digest);
            terminal.out(&format!("{said}\n"));
            return Ok(());
        }
        let files = say!("{files} file differs" | "{files} files differ", files = differing as usize);
        let shown = folder.display().to_string();
        let message = say!("the plan no longer renders to the files in {folder}: {files}", folder = shown, files);
        let help = say!("if the change is intended, commit the result of: {command}", command = *again);
        Err(Refusal::new(ExitCode::Refused, message).help(help))
    }
}

fn requests_of(count: usize) -> Phrase {
    say!("{requests} request" | "{requests} requests", requests = count)
}

/// The lines that differ, with the line of the committed file where each group of them begins.
fn difference(path: &Path, before: &str, now: &str) -> String {
    const MOST: usize = 40;
    let diff = similar::TextDiff::configure().timeout(crate::limits::DIFF_TIME).diff_lines(before, now);
    let mut lines = Vec::new();
    for group in diff.grouped_ops(0) {
        let at = group.first().map_or(0, |op| op.old_range().start);
        lines.push(format!("{}:{}", path.display(), at + 1));
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let ending = match change.missing_newline() {
                true => format!(" {}", say!("(no newline at end of file)")),
                false => String::new(),
            };
            lines.push(format!("  {} {}{ending}", change.tag(), change.value().trim_end_matches('\n')));
        }
    }
    let more = lines.len().saturating_sub(MOST);
    lines.truncate(MOST);
    if more > 0 {
        lines.push(format!("  {}", say!("... and {lines} more line" | "... and {lines} more lines", lines = more)));
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_file_counts() {
        let _heard = crate::locale::tests::heard("cli-render-the_end_of_a_file_counts");
        let said = difference(Path::new("a.json"), "1\n2", "1\n2\n");
        assert_eq!(said, "a.json:2\n  - 2 (no newline at end of file)\n  + 2\n");
    }
}
