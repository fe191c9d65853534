//! From the path of a plan to a rendered plan: the whole pipe, with all problems of it.

use std::{path::Path, rc::Rc, time::Duration};

use super::{
    bounds::Watch,
    clock,
    failure::Failure,
    files,
    findings::{self, WrongPlan},
    options::Common,
    place, process,
    project::{self, DiskProject},
    session::{self, Address, Session},
    target::Target,
    terminal::Terminal,
};
use crate::{
    clock::Clock as _,
    content::article::Budget,
    diag::{
        self, Code, Diagnostic, Diagnostics, Severity,
        finding::{self, ArticleSize, Cause, Checked, Finding},
        source::{self, BadText, FileId, SourceMap, Span},
    },
    ledger::{CallRecord, Scope, Status},
    limits,
    locale::{Count, Phrase, say},
    openids::Openids,
    plan,
    platform::Platform,
    problem::ExitCode,
    render::{self, RenderedPlan},
    resolve::{self, Inputs, ReadError, ResolvedPlan, account::Chosen, article::Shows},
    run::frozen,
};

/// A plan and what is to be said of it.
pub(super) struct Loaded {
    pub(super) sources: SourceMap,
    pub(super) diagnostics: Diagnostics,
    /// None if there is an error.
    pub(super) plan: Option<RenderedPlan>,
    pub(super) project: DiskProject,
    /// How large the articles are, also if something else is wrong.
    pub(super) sizes: Vec<ArticleSize>,
    /// Whether warnings were taken as errors.
    strict: bool,
    /// CPU time that the process had used before.
    before: Duration,
}

/// Whether warnings are errors.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(super) struct Strict {
    /// Treats warnings as errors (exit code 3)
    #[arg(long, env = "QUNFA_STRICT", hide_env_values = true, value_parser = clap::builder::FalseyValueParser::new())]
    strict: bool,
}

impl Strict {
    pub(super) fn holds(self) -> bool {
        self.strict
    }
}

/// How large the articles are.
fn sizes(resolved: &ResolvedPlan) -> Vec<ArticleSize> {
    let mut sizes = Vec::new();
    let instances = resolved.steps.iter().flat_map(|step| step.instances.iter().map(move |instance| (step, instance)));
    for (step, instance) in instances {
        for (index, article) in instance.articles.iter().enumerate() {
            let Shows::News(converted, _) = &article.shows else { continue };
            let Budget { characters, html_characters, bytes, images, heaviest } = converted.budget.clone();
            sizes.push(ArticleSize {
                step: step.step.common.id.clone(),
                key: instance.key.clone(),
                article: index + 1,
                title: article.members.get("title").cloned().unwrap_or_default(),
                characters,
                html_characters,
                bytes,
                images,
                ignored: article.ignored.clone(),
                heaviest: heaviest.into_iter().map(|(cause, bytes)| Cause { cause, bytes }).collect(),
            });
        }
    }
    sizes
}

/// Reads the text of a plan, or of a fleet; `-` is standard input.
pub(super) fn open(path: &str, sources: SourceMap) -> (Loaded, Option<FileId>) {
    let folder = if path == "-" { Path::new("") } else { Path::new(path).parent().unwrap_or(Path::new("")) };
    let mut loaded = nothing(folder, sources);
    let file = read(path, &mut loaded);
    (loaded, file)
}

/// Nothing is read yet.
fn nothing(folder: &Path, sources: SourceMap) -> Loaded {
    Loaded {
        sources,
        diagnostics: Diagnostics::default(),
        plan: None,
        project: DiskProject::new(folder),
        sizes: Vec::new(),
        strict: false,
        before: process::usage().cpu,
    }
}

fn read(path: &str, loaded: &mut Loaded) -> Option<FileId> {
    let Loaded { sources, diagnostics, .. } = loaded;
    let name = shown_name(path);
    let bytes = if path == "-" {
        files::read_stdin(limits::PLAN_BYTES_MAX)
    } else {
        files::read_regular(Path::new(path), limits::PLAN_BYTES_MAX)
    };
    let bytes = match bytes {
        Ok(bytes) if project::is_pointer(&bytes) => {
            diagnostics.push(unreadable(name, &project::pointer()));
            return None;
        }
        Ok(bytes) => bytes,
        Err(error) => {
            diagnostics.push(unreadable(name, &error));
            return None;
        }
    };
    match source::decode(bytes.clone()) {
        Ok(text) => Some(sources.add(name, text)),
        Err(bad) => {
            let (code, at, what, help) = match bad {
                BadText::NotUtf8(at) => {
                    let help = say!("convert it, for example: iconv -f GB18030 -t UTF-8");
                    (Code::NotUtf8, at, say!("the plan is not UTF-8"), help)
                }
                BadText::Control(at, c) => {
                    let number = format!("U+{:04X}", c as u32);
                    let what = say!("the plan contains the control character {number}", number);
                    (Code::ControlCharacter, at, what, say!("remove it"))
                }
            };
            // Control characters are shown as blanks, so that the line can be.
            let text = source::without_controls(&bytes);
            let at = text.floor_char_boundary(at.min(text.len()));
            let file = sources.add(name, text);
            plan::mask_secrets(file, sources);
            diagnostics.push(Diagnostic::new(code, Span::new(file, at..at + 1), what).help(help));
            None
        }
    }
}

fn shown_name(path: &str) -> &str {
    if path == "-" { "<stdin>" } else { path }
}

/// Reads, validates, resolves and renders a plan; `-` is standard input. `platform` names whose ledger is asked for people
/// whose file is gone; without it none is.
pub(super) fn load<'t>(
    target: impl Into<Target<'t>>,
    common: &Common,
    platform: Option<Platform>,
    terminal: &Terminal,
) -> Loaded {
    let target = target.into();
    let _watch = Watch::over(shown_name(target.path), process::usage().cpu, terminal);
    let sources = target.member.map(|(fleet, _)| fleet.sources.clone());
    let (mut loaded, file) = open(target.path, sources.unwrap_or_default());
    if let Some(file) = file {
        match pipe(target, file, common, platform, &mut loaded) {
            Ok((mut plan, warnings)) => {
                plan.options.clone_from(&common.given);
                plan.words = target.words();
                (loaded.plan, loaded.diagnostics) = (Some(plan), warnings);
            }
            Err(diagnostics) => loaded.diagnostics = diagnostics,
        }
    }
    loaded
}

fn pipe(
    target: Target<'_>,
    file: FileId,
    common: &Common,
    platform: Option<Platform>,
    loaded: &mut Loaded,
) -> Result<(RenderedPlan, Diagnostics), Diagnostics> {
    let Loaded { sources, project, sizes, .. } = loaded;
    let ledger = common.state.as_deref().and_then(|name| place::named_by(name).ok()).filter(|store| !store.is_shared());
    if let Some(ledger) = ledger {
        project.with_state(Path::new(&ledger.name()));
    }
    let mut valid = plan::validate(plan::parse(file, sources)?);
    let mut vars_files = Vec::new();
    for path in &common.vars_file {
        match files::read_regular(Path::new(path), limits::DATA_BYTES_MAX) {
            Ok(bytes) => vars_files.push((path.clone(), bytes)),
            Err(error) => valid.diagnostics.push(unreadable(path, &error)),
        }
    }
    let mut own = Diagnostics::default();
    let account = match target.member {
        Some((fleet, member)) => Some(fleet.fleet.account(member, &fleet.project, sources, &mut own)),
        None => common.account.as_deref().map(|path| chosen(path, &mut own)),
    };
    let now = clock::RealClock::at(common.now).now();
    let inputs = Inputs {
        project: &*project,
        env: &process::env,
        vars_files: &vars_files,
        vars: &common.var,
        account: account.as_ref(),
        now,
    };
    let resolved = resolve::resolve(valid, &inputs, sources);
    let rendered = resolved.and_then(|mut resolved| {
        *sizes = self::sizes(&resolved);
        if let Some(platform) = platform.filter(|_| resolved.has_lost()) {
            recover(&mut resolved, platform, common, project);
        }
        // Of a large plan these are a million small pieces; the process ends before they are worth giving back.
        if target.member.is_none() {
            std::mem::forget(Rc::clone(&resolved.document));
        }
        render::render(resolved, shown_name(target.path), sources)
    });
    if own.is_empty() {
        return rendered;
    }
    let (plan, mut found) = match rendered {
        Ok((plan, found)) => (Some(plan), found),
        Err(found) => (None, found),
    };
    // Variables of the account are missing because of what is wrong with it.
    found.retain(|found| found.code != Code::UndefinedName);
    let wrong = own.errors() > 0;
    own.extend(found.into_vec());
    match plan.filter(|_| !wrong) {
        Some(plan) => Ok((plan, own)),
        None => Err(own),
    }
}

/// The account that the command names.
fn chosen(path: &str, diagnostics: &mut Diagnostics) -> Chosen {
    match files::read_regular(Path::new(path), limits::DATA_BYTES_MAX) {
        Ok(bytes) => {
            let folder = process::folder().unwrap_or_default().join(path);
            let folder = folder.parent().map(|folder| folder.join("")).unwrap_or_default().display().to_string();
            Chosen::File { path: path.to_owned(), bytes, folder }
        }
        Err(error) => {
            diagnostics.push(unreadable(path, &error));
            Chosen::Unreadable { name: None, labels: Vec::new() }
        }
    }
}

/// Gives sends whose file of people is gone the people whom the ledger froze for them. A store that fails says so when it is
/// opened for the run.
fn recover(resolved: &mut ResolvedPlan, platform: Platform, common: &Common, project: &DiskProject) {
    let ResolvedPlan { appid, occurrence, head, .. } = &*resolved;
    let scope = Scope { platform, appid: appid.clone(), plan: head.name.clone(), occurrence: occurrence.clone() };
    let store = place::of_plan(common, project, &scope).ok();
    let records = store.and_then(|(store, _)| session::records(&*store, &scope).ok()).unwrap_or_default();
    resolved.recover(&|step, key| begun(&records, step, key));
}

/// The people with whom a send began; none if nothing of it may have been sent.
fn begun(records: &[CallRecord], step: &str, key: Option<&str>) -> Option<Openids> {
    let of = |record: &&CallRecord| record.frozen.id.step == step && record.frozen.id.key.as_deref() == key;
    let mut records: Vec<&CallRecord> = records.iter().filter(of).collect();
    let sent = records.iter().any(|record| record.status == Status::Accepted || record.status.in_doubt());
    records.sort_by_key(|record| record.frozen.id.chunk);
    let people = frozen::people(records.into_iter().map(|record| &record.frozen)).ok()?;
    Some(people).filter(|people| sent && !people.is_empty())
}

fn unreadable(path: &str, error: &ReadError) -> Diagnostic {
    match error {
        ReadError::TooLarge(bytes) => Diagnostic::nowhere(
            Code::FileTooLarge,
            say!("`{path}` is too large ({bytes} bytes)", path, bytes = Count(*bytes)),
        ),
        ReadError::Unreadable(why) => {
            let diagnostic =
                Diagnostic::nowhere(Code::FileUnreadable, say!("`{path}` cannot be read: {why}", path, why));
            let near = project::near(Path::new(path)).filter(|_| !Path::new(path).exists());
            match near {
                Some(near) => diagnostic.help(say!("did you mean `{near}`?", near = near.display().to_string())),
                None => diagnostic,
            }
        }
        ReadError::Escapes => Diagnostic::nowhere(Code::PathEscapes, say!("`{path}` is outside the project", path)),
        ReadError::Private(why) => {
            Diagnostic::nowhere(Code::PrivateFile, say!("`{path}` is not content: {why}", path, why))
        }
    }
}

impl Loaded {
    /// Without a plan if there is a warning and warnings are errors.
    pub(super) fn held_to(mut self, strict: Strict) -> Self {
        self.strict = strict.strict && self.plan.is_some() && !self.diagnostics.is_empty();
        if self.strict {
            self.plan = None;
        }
        self
    }

    /// The net below what is made of the plan besides its requests.
    pub(super) fn watch(&self, plan: &RenderedPlan, terminal: &Terminal) -> Watch {
        Watch::over(&plan.path, self.before, terminal)
    }

    /// How much was found, and why there is no plan although there is no error.
    pub(super) fn verdict(&self) -> Phrase {
        let counts = self.counts();
        if self.strict { say!("{counts}, treated as errors by --strict", counts) } else { counts }
    }

    /// 3 if the plan is wrong, 4 if only something is missing.
    pub(super) fn exit_code(&self) -> ExitCode {
        let errors = || self.diagnostics.iter().filter(|d| d.severity() == Severity::Error);
        match errors().next() {
            None if self.strict => ExitCode::Invalid,
            None => ExitCode::Done,
            Some(_) if errors().all(|d| d.code.info().missing_input) => ExitCode::MissingInput,
            Some(_) => ExitCode::Invalid,
        }
    }

    /// Says what was found, on standard error; under GitHub Actions as annotations too.
    pub(super) fn print(&self, terminal: &Terminal) {
        self.say(terminal);
        findings::annotate(&self.annotations(), terminal);
    }

    /// Says what was found, on standard error.
    pub(super) fn say(&self, terminal: &Terminal) {
        if !terminal.quiet || self.strict || self.diagnostics.errors() > 0 {
            terminal.err_in_colour(&self.text());
        }
    }

    fn text(&self) -> String {
        if self.diagnostics.is_empty() {
            return String::new();
        }
        diag::render::human(&self.diagnostics, &self.sources)
    }

    pub(super) fn annotations(&self) -> Vec<Finding> {
        if process::is_github() { self.found(true) } else { Vec::new() }
    }

    /// What was found, as data. Files are named as users know them, or as seen from the root of the repository.
    pub(super) fn found(&self, from_root: bool) -> Vec<Finding> {
        let mut findings = finding::findings(&self.diagnostics, &self.sources);
        if from_root {
            findings.iter_mut().for_each(|finding| finding.rename(&|path| self.project.name_from_root(path)));
        }
        findings
    }

    /// The plan and what was found in it.
    pub(super) fn checked(&self, path: &str, from_root: bool) -> Checked {
        Checked {
            plan: if from_root && path != "-" { self.project.name_from_root(path) } else { path.to_owned() },
            valid: self.plan.is_some(),
            digest: self.plan.as_ref().map(|plan| plan.digest().to_owned()),
            diagnostics: self.found(from_root),
            articles: self.sizes.clone(),
        }
    }

    /// Why the plan is not taken; `so` is what follows from it, for the last line.
    pub(super) fn refuse(&self, path: &str, so: Option<&Phrase>) -> Failure {
        let verdict =
            |so: &Phrase| format!("{}\n", say!("{path}: {verdict}; {so}", path, verdict = self.verdict(), so));
        Failure::Plan(Box::new(WrongPlan {
            code: self.exit_code(),
            text: self.text(),
            verdict: so.map_or_else(String::new, verdict),
            checked: self.checked(path, false),
            annotations: self.annotations(),
        }))
    }

    /// "2 errors and 1 warning".
    pub(super) fn counts(&self) -> Phrase {
        let count = |severity| self.diagnostics.iter().filter(|d| d.severity() == severity).count();
        let errors = |errors: usize| say!("{errors} error" | "{errors} errors", errors);
        let warnings = |warnings: usize| say!("{warnings} warning" | "{warnings} warnings", warnings);
        match (count(Severity::Error), count(Severity::Warning)) {
            (wrong, 0) => errors(wrong),
            (0, doubtful) => warnings(doubtful),
            (wrong, doubtful) => {
                say!("{errors} and {warnings}", errors = errors(wrong), warnings = warnings(doubtful))
            }
        }
    }

    /// "valid, 3 steps, 4 requests".
    pub(super) fn valid(&self, plan: &RenderedPlan) -> Phrase {
        let steps = say!("{steps} step" | "{steps} steps", steps = plan.steps.len());
        let requests = say!("{requests} request" | "{requests} requests", requests = plan.calls().count());
        match self.diagnostics.is_empty() {
            true => say!("valid, {steps}, {requests}", steps, requests),
            false => say!("valid, {steps}, {requests}, {counts}", steps, requests, counts = self.counts()),
        }
    }
}

/// A plan that is right, if need be without warnings, with all that was found in it; the warnings are said.
pub(super) fn load_plan<'t>(
    target: impl Into<Target<'t>>,
    common: &Common,
    platform: Option<Platform>,
    strict: Strict,
    terminal: &Terminal,
) -> Result<(RenderedPlan, Loaded), Failure> {
    let target = target.into();
    let mut loaded = load(target, common, platform, terminal).held_to(strict);
    let Some(plan) = loaded.plan.take() else {
        return Err(loaded.refuse(&target.shown(), Some(&say!("nothing was sent"))));
    };
    loaded.print(terminal);
    Ok((plan, loaded))
}

/// Opens a command about a plan whose calls go where the common options say.
pub(super) fn open_session(target: Target<'_>, common: &Common, terminal: &Terminal) -> Result<Session, Failure> {
    let address = Address::of(common)?;
    let (plan, loaded) = load_plan(target, common, Some(address.platform), Strict::default(), terminal)?;
    Ok(Session::new(target.path, plan, loaded.project, address, common, terminal)?)
}

/// What stands for the plan where only an account is named: nothing of it is ever sent.
const NO_PLAN: &str = "version: 1\nname: account\nsteps:\n  - { id: none, action: send_by_tag, to: { tag_id: 2 }, message: { text: x } }\n";

/// Opens a command about the account that the common options name, in a file of its own (`--account`).
pub(super) fn open_without_plan(account: &str, common: &Common, terminal: &Terminal) -> Result<Session, Failure> {
    let address = Address::of(common)?;
    let mut loaded = nothing(Path::new(""), SourceMap::default());
    let file = loaded.sources.add(account.to_owned(), NO_PLAN.to_owned());
    match pipe(Target::from("-"), file, common, None, &mut loaded) {
        Ok((mut plan, warnings)) => {
            plan.options.clone_from(&common.given);
            loaded.diagnostics = warnings;
            loaded.print(terminal);
            Ok(Session::new("-", plan, loaded.project, address, common, terminal)?)
        }
        Err(diagnostics) => {
            loaded.diagnostics = diagnostics;
            Err(loaded.refuse(account, Some(&say!("nothing was sent"))))
        }
    }
}
