//! `qunfa fleet check`: a fleet and the plan of each account, as a review sees them.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::super::{
    failure::Failure,
    files, findings,
    load::{Loaded, Strict, load},
    options::{Common, Format, FormatArg},
    project,
    render::{self, Committed},
    secrets, subject,
    target::OpenFleet,
    terminal::Terminal,
};
use crate::{
    diag::{
        Code, Diagnostic, Diagnostics, Severity,
        finding::{Finding, findings as as_data},
        render::human,
        source::SourceMap,
    },
    fleet::{self, Member},
    limits,
    locale::{Count, Phrase, list, say},
    message::MessageView,
    payload::Effect,
    problem::{ExitCode, Refusal},
    render::{Content, RenderedPlan},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The fleet
    #[arg(value_name = "FLEET")]
    path: String,
    /// Writes manifest.json, with the digest of each account's plan, and each distinct message to this folder
    #[arg(long, value_name = "DIR", env = "QUNFA_OUT", hide_env_values = true)]
    out: Option<PathBuf>,
    /// Compares with the files that --out wrote to this folder and shows the differences (exit code 9)
    #[arg(long, value_name = "DIR", env = "QUNFA_CHECK", hide_env_values = true, conflicts_with = "out")]
    check: Option<PathBuf>,
    /// Does not look whether what the secrets are read from is there
    #[arg(long, env = "QUNFA_WITHOUT_SECRETS", hide_env_values = true, value_parser = clap::builder::FalseyValueParser::new())]
    without_secrets: bool,
    #[command(flatten)]
    strict: Strict,
    #[command(flatten)]
    format: FormatArg,
}

impl Args {
    pub(super) fn wants_json(&self) -> bool {
        self.format.format == Format::Json
    }
}

/// A finding, and the accounts in whose plans it is.
struct Found {
    severity: Severity,
    missing: bool,
    /// As people read it.
    text: String,
    data: Finding,
    accounts: Vec<String>,
}

/// A message that is sent, whichever accounts send it.
struct Message {
    step: String,
    view: MessageView,
    accounts: usize,
}

/// What is known of all accounts together.
#[derive(Default)]
struct Sum {
    found: Vec<Found>,
    known: HashMap<String, usize>,
    /// Findings that are not told, and whether an error is among them.
    more: usize,
    more_errors: bool,
    /// The digest of each account's plan.
    plans: BTreeMap<String, String>,
    /// By edition: plan and occurrence, and the accounts that have it.
    editions: BTreeMap<(String, String), Vec<String>>,
    sends: u64,
    people: u64,
    /// Whether something goes to followers whose number is not known.
    uncounted: bool,
    /// By their digests.
    messages: BTreeMap<String, Message>,
}

impl Sum {
    fn take(&mut self, diagnostics: &Diagnostics, sources: &SourceMap, account: Option<&Member>) {
        for diagnostic in diagnostics.iter() {
            let mut diagnostic = diagnostic.clone();
            // Which account it is follows.
            diagnostic.related.retain(|label| account.is_none_or(|member| label.span != member.place.span));
            let one = std::slice::from_ref(&diagnostic);
            let text = human(one, sources);
            let severity = diagnostic.severity();
            let at = match self.known.get(&text) {
                Some(at) => *at,
                None if self.found.len() >= limits::DIAGNOSTICS_KEPT => {
                    self.more += 1;
                    self.more_errors |= severity == Severity::Error;
                    continue;
                }
                None => {
                    let (data, missing) = (as_data(one, sources).remove(0), diagnostic.code.info().missing_input);
                    self.known.insert(text.clone(), self.found.len());
                    self.found.push(Found { severity, missing, text, data, accounts: Vec::new() });
                    self.found.len() - 1
                }
            };
            self.found[at].accounts.extend(account.map(|member| {
                let place = &member.place;
                format!("{} ({}:{}:{})", member.name, place.file, place.line, place.column)
            }));
        }
    }

    fn add(&mut self, member: &Member, plan: &RenderedPlan) {
        self.plans.insert(member.name.clone(), plan.digest().to_owned());
        let edition = (plan.name.clone(), plan.occurrence.clone());
        self.editions.entry(edition).or_default().push(member.name.clone());
        let mut own = std::collections::HashSet::new();
        for step in plan.steps.iter().filter(|step| step.may_run()) {
            if step.spec.effect == Effect::Mass {
                self.sends += step.calls.len() as u64;
                for call in &step.calls {
                    match call.target.recipients() {
                        Some(people) => self.people += people,
                        None => self.uncounted = true,
                    }
                }
            }
            let (Some(view), Some(digest)) = (step.message(), step.content.digest()) else { continue };
            let sent = matches!(step.content, Content::Message(_));
            let digest = if sent { digest.to_owned() } else { format!("{digest} {}", step.id) };
            if !own.insert(digest.clone()) {
                continue;
            }
            let new = || Message { step: step.id.clone(), view: view.clone(), accounts: 0 };
            self.messages.entry(digest).or_insert_with(new).accounts += 1;
        }
    }

    fn digest(&self) -> String {
        fleet::digest(self.plans.iter().map(|(name, digest)| (name.as_str(), digest.as_str())))
    }

    fn count(&self, severity: Severity) -> usize {
        self.found.iter().filter(|found| found.severity == severity).count()
    }

    fn code(&self, strict: bool) -> ExitCode {
        let errors = || self.found.iter().filter(|found| found.severity == Severity::Error);
        match errors().next() {
            _ if self.more_errors => ExitCode::Invalid,
            None if strict && !self.found.is_empty() => ExitCode::Invalid,
            None => ExitCode::Done,
            Some(_) if errors().all(|found| found.missing) => ExitCode::MissingInput,
            Some(_) => ExitCode::Invalid,
        }
    }
}

pub(super) fn main(args: &Args, common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let (loaded, fleet) = subject::read(&args.path, terminal);
    let Some(fleet) = fleet else { return Err(loaded.refuse(&args.path, None)) };
    let Loaded { sources, diagnostics, project, .. } = loaded;
    let mut sum = Sum::default();
    sum.take(&diagnostics, &sources, None);
    let fleet = OpenFleet::new(&args.path, fleet, sources, project);
    if plan_is_there(&fleet, &mut sum) {
        for member in &fleet.fleet.members {
            examine(member, &fleet, args, common, terminal, &mut sum);
        }
    }
    if sum.editions.len() > 1 {
        let mut found = Diagnostics::default();
        found.push(different(&fleet, &sum));
        sum.take(&found, &fleet.sources, None);
    }
    let code = sum.code(args.strict.holds());
    if code == ExitCode::Done {
        written(args, &fleet, &sum, terminal)?;
    }
    match args.format.format {
        Format::Json => terminal.document(code, in_json(&fleet, &sum, code)),
        Format::Human => say_all(&fleet, &sum, code, terminal),
    }
    let problems: Vec<Finding> = sum.found.iter().map(|found| found.data.clone()).collect();
    findings::annotate(&problems, terminal);
    Ok(code)
}

/// Whether the plan can be read; it is said once if not.
fn plan_is_there(fleet: &OpenFleet, sum: &mut Sum) -> bool {
    if fleet.fleet.plan.is_none() {
        return false;
    }
    let Err(error) = files::open_regular(Path::new(&fleet.plan)) else { return true };
    let (code, message) = error.problem(&fleet.plan, limits::PLAN_BYTES_MAX);
    let mut found = Diagnostics::default();
    let diagnostic = Diagnostic::new(code, fleet.fleet.place_of_plan(), message);
    found.push(match project::near(Path::new(&fleet.plan)) {
        Some(near) => diagnostic.help(say!("did you mean `{near}`?", near = near.display().to_string())),
        None => diagnostic.help(say!("paths are relative to the file that names them")),
    });
    sum.take(&found, &fleet.sources, None);
    false
}

/// What one account sends, and what is wrong with it.
fn examine(member: &Member, fleet: &OpenFleet, args: &Args, common: &Common, terminal: &Terminal, sum: &mut Sum) {
    let mut loaded = load(fleet.target(member), common, None, terminal);
    if let Some(plan) = &loaded.plan {
        if !args.without_secrets {
            let found = missing_secrets(member, fleet, plan);
            loaded.diagnostics.extend(found);
        }
        sum.add(member, plan);
    }
    sum.take(&loaded.diagnostics, &loaded.sources, Some(member));
}

/// Of what the account's secrets are read from, what is not there.
fn missing_secrets(member: &Member, fleet: &OpenFleet, plan: &RenderedPlan) -> Vec<Diagnostic> {
    let folder = Path::new(&plan.account_folder);
    let mut found = Vec::new();
    for (key, source) in plan.account.sources() {
        let Err((variable, message)) = secrets::is_there(source, folder) else { continue };
        let code = if variable { Code::EnvMissing } else { Code::FileUnreadable };
        let place = fleet.fleet.place_of(member, key).unwrap_or_else(|| member.place.span.clone());
        let diagnostic = Diagnostic::new(code, place, message);
        found.push(diagnostic.help(say!("to check without secrets, pass --without-secrets")));
    }
    found
}

fn different(fleet: &OpenFleet, sum: &Sum) -> Diagnostic {
    let editions = sum.editions.iter().take(limits::NAMES_SHOWN).map(|((_, occurrence), accounts)| {
        say!("`{occurrence}` ({account})", occurrence = occurrence.as_str(), account = accounts[0].as_str())
    });
    let message = say!("the accounts do not have the same occurrence: {editions}", editions = list(editions));
    let place = fleet.fleet.place_of_plan();
    Diagnostic::new(Code::FleetEditions, place, message)
        .help(say!("make `occurrence` of what is the same for all accounts"))
}

fn in_json(fleet: &OpenFleet, sum: &Sum, code: ExitCode) -> Value {
    let (plan, occurrence) = sum.editions.keys().next().cloned().unzip();
    let problems: Vec<Value> = sum
        .found
        .iter()
        .map(|found| {
            let mut data = serde_json::to_value(&found.data).unwrap_or_default();
            data["accounts"] = json!(found.accounts);
            data
        })
        .collect();
    json!({
        "fleet": fleet.path, "digest": (code == ExitCode::Done).then(|| sum.digest()), "plan": plan, "occurrence": occurrence,
        "accounts": fleet.fleet.members.len(), "waves": waves(fleet), "sends": sum.sends, "people": sum.people,
        "messages": sum.messages.len(), "findings": problems, "more_findings": sum.more,
    })
}

/// How many accounts there are in each wave.
fn waves(fleet: &OpenFleet) -> Vec<usize> {
    let of = |wave| fleet.fleet.members.iter().filter(|member| member.wave == wave).count();
    (1..=fleet.fleet.waves).map(of).collect()
}

fn say_all(fleet: &OpenFleet, sum: &Sum, code: ExitCode, terminal: &Terminal) {
    let shown = |found: &&Found| found.severity == Severity::Error || !terminal.quiet;
    let (wrong, doubtful): (Vec<&Found>, Vec<&Found>) =
        sum.found.iter().filter(shown).partition(|found| found.severity == Severity::Error);
    for found in wrong.into_iter().chain(doubtful) {
        terminal.err_in_colour(&format!("{}\n", found.text.trim_end()));
        if let Some(first) = found.accounts.first() {
            let who = match found.accounts.len() - 1 {
                0 => say!("account: {account}", account = first.as_str()),
                more => say!(
                    "account: {account}, and {more} more account" | "account: {account}, and {more} more accounts",
                    more,
                    account = first.as_str()
                ),
            };
            terminal.err(&format!("  = {who}\n"));
        }
        terminal.err("\n");
    }
    if sum.more > 0 {
        let more = say!(
            "{more} more finding is not told; mend those that are told first"
                | "{more} more findings are not told; mend those that are told first",
            more = sum.more
        );
        terminal.err(&format!("{more}\n"));
    }
    let errors: Phrase = say!("{errors} error" | "{errors} errors", errors = sum.count(Severity::Error));
    let warnings = say!("{warnings} warning" | "{warnings} warnings", warnings = sum.count(Severity::Warning));
    let verdict = match (sum.count(Severity::Error), sum.count(Severity::Warning)) {
        (0, 0) => say!("valid"),
        (0, _) if code != ExitCode::Done => say!("{counts}, treated as errors by --strict", counts = warnings),
        (0, _) => say!("valid, {counts}", counts = warnings),
        (_, 0) => errors,
        _ => say!("{errors} and {warnings}", errors, warnings),
    };
    let path = fleet.path.as_str();
    terminal.out(&format!("{}\n", say!("{path}: {verdict}", path, verdict)));
    if sum.plans.is_empty() || terminal.quiet {
        return;
    }
    let accounts = fleet.fleet.members.len();
    let mut lines = vec![say!("{accounts} account" | "{accounts} accounts", accounts)];
    let waves = waves(fleet);
    if waves.len() > 1 {
        let sizes = list(waves.into_iter().map(Count::from));
        lines.push(say!("waves of {sizes} accounts", sizes));
    }
    lines.push(say!("{sends} send" | "{sends} sends", sends = Count(sum.sends)));
    lines.push(match sum.uncounted {
        true => say!(
            "{openids} openid plus the followers of the tags" | "{openids} openids plus the followers of the tags",
            openids = Count(sum.people)
        ),
        false => say!("{openids} openid" | "{openids} openids", openids = Count(sum.people)),
    });
    lines.push(say!("{messages} distinct message" | "{messages} distinct messages", messages = sum.messages.len()));
    if code == ExitCode::Done {
        lines.push(say!("digest {digest}", digest = sum.digest()));
    }
    lines.iter().for_each(|line| terminal.out(&format!("  {line}\n")));
}

/// Writes the files of a review, or compares them.
fn written(args: &Args, fleet: &OpenFleet, sum: &Sum, terminal: &Terminal) -> Result<(), Refusal> {
    let Some(folder) = args.out.as_ref().or(args.check.as_ref()) else { return Ok(()) };
    let out = folder.display().to_string();
    let command = format!("qunfa fleet check {} --out {}", crate::text::quoted(&fleet.path), crate::text::quoted(&out));
    let files = files(fleet, sum);
    if args.check.is_some() {
        return Committed::read(folder, &command)?.compare(files.into_iter(), &sum.digest(), terminal);
    }
    let names: Vec<String> = files.iter().map(|(name, _)| name.clone()).collect();
    render::write_files(folder, names.into_iter(), files.into_iter()).map(drop)
}

/// Each distinct message, with the number of accounts that send it in the manifest, which comes last.
fn files(fleet: &OpenFleet, sum: &Sum) -> Vec<(String, String)> {
    let mut order: Vec<(&String, &Message)> = sum.messages.iter().collect();
    order.sort_by_key(|(digest, message)| (message.step.as_str(), digest.as_str()));
    let (mut files, mut entries) = (Vec::new(), Vec::new());
    for (number, (digest, message)) in order.into_iter().enumerate() {
        let name = format!("{:03}-{}.{}.json", number + 1, message.step, &digest["sha256:".len()..][..12]);
        let document =
            json!({ "step": message.step, "kind": message.view.kind.name(), "content": message.view.content });
        files.push((name.clone(), format!("{document:#}\n")));
        entries.push(json!({ "file": name, "step": message.step, "accounts": message.accounts }));
    }
    let (plan, occurrence) = sum.editions.keys().next().cloned().unzip();
    let accounts: serde_json::Map<String, Value> = fleet
        .fleet
        .members
        .iter()
        .filter_map(|member| Some((member.name.clone(), json!(sum.plans.get(&member.name)?))))
        .collect();
    let manifest = json!({
        "plan": plan, "occurrence": occurrence, "digest": sum.digest(), "sends": sum.sends, "people": sum.people,
        "requests": entries, "accounts": accounts,
    });
    files.push((render::MANIFEST.to_owned(), format!("{manifest:#}\n")));
    files
}
