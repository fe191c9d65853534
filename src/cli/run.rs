//! `qunfa run`.

use std::{path::PathBuf, sync::Arc};

use jiff::Timestamp;

use super::{
    Common, Format, FormatArg,
    display::Display,
    fail,
    load::{Strict, loaded_or_fail},
    sandbox, session,
    world::{self, DiskProject, RealClock, RehearsalClock, Terminal},
};
use crate::problem::ExitCode;
use crate::{
    clock::Clock,
    diag::{self, Severity, github::Annotation},
    ledger::{Ledger, LedgerError, Scope, open, store::Store},
    limits,
    payload::Effect,
    problem::Problem,
    redact::{Redactor, Secret},
    render::{RenderedPlan, RenderedStep},
    report::{self, AccountRef, Fold, PlanRef, Report, RunEvent, RunOutcome},
    run::{
        self, Prepared, Refusal, Selection, Settings, Todo,
        forecast::{self, Forecast},
    },
    sandbox::Sandbox,
    wechat::{
        client::{Client, Outcome},
        http::{ApiBase, Http},
        token::{Keeper, TokenSource},
        transport::{Body, Method},
    },
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The plan; `-` is standard input
    plan: String,
    /// Runs against an embedded WeChat server: no account, no secret, nothing leaves this machine; waits pass at once
    #[arg(long, env = "QUNFA_SANDBOX", hide_env_values = true, value_parser = clap::builder::FalseyValueParser::new())]
    sandbox: bool,
    /// Does not ask; needed without a terminal
    #[arg(long, short, env = "QUNFA_YES", hide_env_values = true, value_parser = clap::builder::FalseyValueParser::new())]
    yes: bool,
    /// Runs these steps alone (ids, or instances such as city[北京])
    #[arg(long, value_name = "ID", num_args = 1.., value_delimiter = ',', env = "QUNFA_ONLY", hide_env_values = true)]
    only: Vec<String>,
    /// Runs from this step on
    #[arg(long, value_name = "ID", env = "QUNFA_FROM", hide_env_values = true)]
    from: Option<String>,
    /// Refuses to run anything else than the plan with this digest (of `qunfa render`)
    #[arg(long, value_name = "DIGEST", env = "QUNFA_EXPECT", hide_env_values = true)]
    expect: Option<String>,
    /// Goes as far as it goes, although the quota that the ledger knows of does not suffice
    #[arg(long, env = "QUNFA_ALLOW_PARTIAL", hide_env_values = true, value_parser = clap::builder::FalseyValueParser::new())]
    allow_partial: bool,
    /// Writes a report: human, json, junit, markdown or html (may be repeated)
    #[arg(long, value_name = "FORMAT=PATH", env = "QUNFA_REPORT", hide_env_values = true)]
    report: Vec<String>,
    #[command(flatten)]
    strict: Strict,
    #[command(flatten)]
    faults: sandbox::FaultArgs,
    #[command(flatten)]
    pub(super) format: FormatArg,
}

/// The files that reports go to.
fn reports(args: &Args, terminal: &Terminal) -> Result<Vec<(report::Format, PathBuf)>, ExitCode> {
    let mut files = Vec::new();
    for option in &args.report {
        let parsed = option
            .split_once('=')
            .and_then(|(format, path)| Some((format.parse().ok()?, path)))
            .filter(|(_, path)| !path.is_empty());
        match parsed {
            Some((format, path)) => files.push((format, path.into())),
            None => {
                let help = "write FORMAT=PATH with human, json, junit, markdown or html, for example --report junit=report.xml";
                return Err(fail(
                    terminal,
                    ExitCode::Usage,
                    &format!("`--report {option}` is not a report"),
                    &[help.into()],
                ));
            }
        }
    }
    Ok(files)
}

pub(super) fn main(args: &Args, common: &Common, terminal: &Terminal) -> ExitCode {
    match begin(args, common, terminal) {
        Ok(code) | Err(code) => code,
    }
}

/// Everything that a run is made with.
struct Run<'a> {
    args: &'a Args,
    terminal: &'a Terminal,
    plan: RenderedPlan,
    /// The plan's path as seen from the root of the repository.
    file: String,
    files: Vec<(report::Format, PathBuf)>,
    scope: Scope,
    clock: &'a dyn Clock,
    run_id: String,
    verbose: bool,
}

fn begin(args: &Args, common: &Common, terminal: &Terminal) -> Result<ExitCode, ExitCode> {
    let files = reports(args, terminal)?;
    if !args.sandbox && !args.faults.is_empty() {
        let help = "add --sandbox, or start `qunfa sandbox --fault ...` and give --api-base";
        return Err(fail(terminal, ExitCode::Usage, "--fault is for the sandbox only", &[help.into()]));
    }
    let base = if args.sandbox { None } else { Some(session::api_base(common, terminal)?) };
    let (plan, loaded) = {
        let platform = base.as_ref().map(session::platform);
        let platform = platform.or(common.state.as_ref().map(|_| "sandbox"));
        loaded_or_fail(&args.plan, common, &args.format, platform, args.strict, terminal)?
    };
    let project = loaded.project;
    world::catch_signals();
    let start = RealClock::at(common.now).now();
    match base {
        Some(base) => {
            let clock = RealClock::at(common.now);
            let state = session::state(common, &project, terminal)?;
            let scope = session::scope(&plan, session::platform(&base));
            let run = Run {
                args,
                terminal,
                file: project.name_from_root(&plan.path),
                plan,
                files,
                scope,
                clock: &clock,
                run_id: world::new_run_id(start),
                verbose: common.verbose,
            };
            run.with_state(&*state, &base, None)
        }
        None => {
            // Time passes in this run only when it waits, and then at once.
            let clock = RehearsalClock::new(start);
            let server = sandbox::embedded(&plan, clock.clone(), &args.faults).map_err(|error| {
                fail(terminal, ExitCode::Internal, &format!("the sandbox cannot be started: {error}"), &[])
            })?;
            let base = ApiBase::parse(&server.base_url())
                .map_err(|message| fail(terminal, ExitCode::Internal, &message, &[]))?;
            let folder = tempfile::tempdir().map_err(|error| {
                fail(terminal, ExitCode::MissingInput, &format!("no temporary folder can be made: {error}"), &[])
            })?;
            let state = sandbox_state(common, &project, &folder, terminal)?;
            let scope = session::scope(&plan, "sandbox");
            let run = Run {
                args,
                terminal,
                file: project.name_from_root(&plan.path),
                plan,
                files,
                scope,
                clock: &clock,
                run_id: world::new_run_id(start),
                verbose: common.verbose,
            };
            run.with_state(&*state, &base, Some(&server))
        }
    }
}

/// A rehearsal has a ledger of its own, which ends with it; unless one is named.
fn sandbox_state(
    common: &Common,
    project: &DiskProject,
    folder: &tempfile::TempDir,
    terminal: &Terminal,
) -> Result<Box<dyn Store>, ExitCode> {
    match &common.state {
        Some(_) => session::state(common, project, terminal),
        None => Ok(open::of_rehearsal(folder.path())),
    }
}

impl Run<'_> {
    fn with_state(&self, state: &dyn Store, base: &ApiBase, server: Option<&Sandbox>) -> Result<ExitCode, ExitCode> {
        if let Some(expected) = self.args.expect.as_ref().filter(|expected| **expected != self.plan.digest()) {
            let message = format!(
                "the plan is not what was approved: its digest is {}, and {expected} was expected",
                self.plan.digest()
            );
            return Err(self.refuse(
                ExitCode::Refused,
                &message,
                &["review the plan again with `qunfa render`".into()],
            ));
        }
        let mut ledger = session::write(state, &self.plan, &self.scope.platform, self.clock, self.terminal)
            .map_err(|(code, problem)| self.report_refusal(code, &problem.message, &problem.help))?;
        let selection = Selection { only: self.args.only.clone(), from: self.args.from.clone() };
        let mut prepared = run::prepare(&self.plan, &*ledger, &self.scope, &selection, self.clock.now())
            .map_err(|refusal| self.refused(refusal))?;

        let mut redactor = Redactor::default();
        let source = match server {
            // The sandbox takes any secret: the real one is not even read.
            Some(_) => TokenSource::Endpoint {
                endpoint: self.plan.account.token,
                appid: self.plan.appid.clone(),
                secret: Secret::new("sandbox-secret".into()),
            },
            None => session::token_source(&self.plan, &self.args.plan, &mut redactor).map_err(|message| {
                self.refuse(ExitCode::MissingInput, &message, &["`qunfa run PLAN --sandbox` needs no secret".into()])
            })?,
        };
        let tokens = session::tokens(state, &self.plan, base);
        let (timeout, pause) = session::patience(&self.plan);
        let mut http = Http::new(base.clone(), world::abandoned);
        let mut client = Client::new(&mut http, Keeper::new(source, &*tokens, timeout, pause), self.clock, redactor);
        if prepared.todo.iter().any(|todo| matches!(todo, Todo::Gather { .. })) {
            run::gather(&self.plan, &mut prepared, &mut client, self.clock).map_err(|problem| {
                let code = if world::interrupted() { ExitCode::Interrupted } else { ExitCode::Failed };
                self.refuse(code, &problem.message, &problem.help)
            })?;
            run::guards(&self.plan, &prepared, &*ledger, &self.scope, self.clock.now())
                .map_err(|refusal| self.refused(refusal))?;
        }
        let forecast = self.forecast(&prepared, &*ledger, !base.loopback)?;
        if server.is_none() {
            self.confirm(&prepared, &forecast, &mut client, base)?;
        }
        let report = self.execute(prepared, &mut *ledger, &mut client, !base.loopback)?;
        // The lock goes with it.
        drop(ledger);
        self.publish(&report, server);
        Ok(code_of(&report))
    }

    fn execute(
        &self,
        prepared: Prepared,
        ledger: &mut dyn Ledger,
        client: &mut Client<'_>,
        real: bool,
    ) -> Result<Report, ExitCode> {
        ledger
            .begin_run(&self.scope, &self.run_id, &self.plan.path, self.plan.digest(), self.clock.now())
            .map_err(|error| self.store_failed(&error))?;
        if self.verbose {
            let Scope { platform, .. } = &self.scope;
            let list: Vec<String> =
                self.plan.steps.iter().filter(|step| !step.may_run()).map(RenderedStep::name).collect();
            let skipped =
                if list.is_empty() { String::new() } else { format!("; skipped by `when`: {}", list.join(", ")) };
            self.terminal.err(&format!(
                "run {}, digest {}, platform {platform}{skipped}\n",
                self.run_id,
                self.plan.digest()
            ));
        }
        let mut fold = Fold::default();
        let mut display = Display::new(self.terminal, self.verbose);
        let mut emit = |event: RunEvent| {
            display.show(&event);
            fold.apply(&event);
        };
        emit(self.started());
        let settings = Settings {
            run_id: self.run_id.clone(),
            scope: self.scope.clone(),
            real,
            clock: self.clock,
            interrupted: &world::interrupted,
        };
        let ended = run::run(&self.plan, prepared, ledger, client, &settings, &mut emit);
        let code = exit_code(&ended);
        let outcome = if code == ExitCode::Refused { RunOutcome::Refused } else { ended.outcome };
        emit(RunEvent::Finished {
            outcome,
            exit_code: code as u8,
            token_fetches: client.token_fetches(),
            error: ended.error,
            at: self.clock.now(),
        });
        let report = fold.finish().ok_or(ExitCode::Internal)?;
        let text = serde_json::to_string(&report).unwrap_or_default();
        if let Err(error) = ledger.end_run(&self.run_id, &text) {
            self.terminal
                .err(&format!("warning: the report could not be kept in the state store: {}\n", run::chain(&error)));
        }
        Ok(report)
    }

    fn started(&self) -> RunEvent {
        RunEvent::Started {
            run_id: self.run_id.clone(),
            plan: PlanRef {
                name: self.plan.name.clone(),
                path: self.plan.path.clone(),
                digest: self.plan.digest().to_owned(),
            },
            account: AccountRef { appid: self.plan.appid.clone(), kind: self.plan.account.kind.name().into() },
            occurrence: self.plan.occurrence.clone(),
            platform: self.scope.platform.clone(),
            at: self.clock.now(),
            steps: run::views(&self.plan),
        }
    }

    /// Says why nothing is run, and writes the reports all the same: a CI job shows them.
    fn refuse(&self, code: ExitCode, message: &str, help: &[String]) -> ExitCode {
        fail(self.terminal, code, message, help);
        self.report_refusal(code, message, help)
    }

    fn store_failed(&self, error: &LedgerError) -> ExitCode {
        let problem = session::store_problem(error);
        self.refuse(ExitCode::MissingInput, &problem.message, &problem.help)
    }

    fn report_refusal(&self, code: ExitCode, message: &str, help: &[String]) -> ExitCode {
        let error = Problem { message: message.to_owned(), help: help.to_vec(), errcode: None };
        let mut fold = Fold::default();
        fold.apply(&self.started());
        let outcome = match code {
            ExitCode::Refused | ExitCode::Conflict => RunOutcome::Refused,
            ExitCode::Interrupted => RunOutcome::Interrupted,
            _ => RunOutcome::Failed,
        };
        fold.apply(&RunEvent::Finished {
            outcome,
            exit_code: code as u8,
            token_fetches: 0,
            error: Some(error),
            at: self.clock.now(),
        });
        if let Some(report) = fold.finish() {
            if self.args.format.format == Format::Json {
                self.terminal.out(&report::render(&report, report::Format::Json));
            }
            self.write_reports(&report);
        }
        code
    }

    fn refused(&self, refusal: Refusal) -> ExitCode {
        let (code, problem) = match refusal {
            Refusal::Selection(problem) => (ExitCode::Usage, problem),
            Refusal::MissingOutputs(problem) => (ExitCode::MissingInput, problem),
            Refusal::Changed(problem) => (ExitCode::Conflict, problem),
            Refusal::Guard(problem) => (ExitCode::Refused, problem),
            Refusal::Store(error) => return self.store_failed(&error),
        };
        self.refuse(code, &problem.message, &problem.help)
    }

    /// What the run needs of the quotas that our own ledger knows; refused if they do not suffice.
    fn forecast(&self, prepared: &Prepared, ledger: &dyn Ledger, real: bool) -> Result<Forecast, ExitCode> {
        let now = self.clock.now();
        let used = ledger
            .usage(&self.scope.platform, &self.plan.appid, forecast::since(now))
            .map_err(|error| self.store_failed(&error))?;
        let per_minute = self.plan.pace(real);
        let forecast = forecast::forecast(&self.plan, &prepared.todo, &used, per_minute, now)
            .map_err(|error| self.store_failed(&error))?;
        if forecast.calls > 0 && self.args.format.format == Format::Human {
            self.terminal.note(&format!("forecast: {}\n", forecast.words()));
        }
        match forecast.refusal() {
            Some(problem) if !self.args.allow_partial => {
                Err(self.refuse(ExitCode::Refused, &problem.message, &problem.help))
            }
            Some(problem) => {
                self.terminal.err(&format!("warning: {}\n", problem.message));
                Ok(forecast)
            }
            None => Ok(forecast),
        }
    }

    /// Asks for the name of the campaign; shows who receives what first.
    fn confirm(
        &self,
        prepared: &Prepared,
        forecast: &Forecast,
        client: &mut Client<'_>,
        base: &ApiBase,
    ) -> Result<(), ExitCode> {
        let todo = || {
            self.plan
                .steps
                .iter()
                .zip(&prepared.todo)
                .filter(|(step, todo)| todo.is_open() && step.spec.effect != Effect::Read)
        };
        if self.args.yes || todo().next().is_none() {
            return Ok(());
        }
        if !self.terminal.can_ask() {
            let message = format!("`{}` was not confirmed, and there is no terminal to ask on", self.plan.name);
            return Err(self.refuse(
                ExitCode::Refused,
                &message,
                &["give --yes, after `qunfa render` was reviewed".into()],
            ));
        }
        let mut text = format!(
            "\n{} (occurrence {}) for {} account {} at {}\n\n",
            self.plan.name,
            self.plan.occurrence,
            self.plan.account.kind.name(),
            self.plan.appid,
            base.as_str()
        );
        let mut people = 0;
        for (step, todo) in todo() {
            let open: Vec<_> = todo.open_calls().collect();
            people +=
                open.iter().filter(|call| call.frozen.is_mass()).filter_map(|call| call.frozen.recipients).sum::<u64>();
            let words = match open.len() {
                _ if matches!(todo, Todo::Cover { .. }) => "a call for each of the send".to_owned(),
                1 => "1 call".to_owned(),
                count => format!("{count} calls"),
            };
            let message = step.message().map_or_else(String::new, |message| {
                let first: String = message.content.lines().next().unwrap_or_default().chars().take(16).collect();
                format!("  {}: {first}", message.kind)
            });
            let (name, action) = (crate::text::pad(&step.name(), 14), crate::text::pad(step.spec.name, 14));
            let to = crate::text::pad(step.audience.as_deref().unwrap_or("-"), 16);
            text.push_str(&format!("  {name} {action} to {to} {words}{message}\n"));
        }
        text.push_str(&format!(
            "\n{}.\n{people} openids, and the followers of the tags. What is sent cannot be taken back.\n",
            forecast.words()
        ));
        for path in self.mass_paths(prepared) {
            if let Some(line) = quota(client, path) {
                text.push_str(&line);
            }
        }
        text.push_str(&format!("Type the name of the campaign ({}) to send it: ", self.plan.name));
        match self.terminal.ask(&text) {
            Some(answer) if answer == self.plan.name => Ok(()),
            _ => Err(self.refuse(ExitCode::Refused, "not confirmed; nothing was sent", &[])),
        }
    }

    fn mass_paths(&self, prepared: &Prepared) -> Vec<&'static str> {
        let running = self
            .plan
            .steps
            .iter()
            .zip(&prepared.todo)
            .filter(|(step, todo)| todo.is_open() && step.spec.effect == Effect::Mass);
        let mut paths: Vec<&'static str> = running.map(|(step, _)| step.spec.path).collect();
        paths.dedup();
        paths.sort_unstable();
        paths.dedup();
        paths
    }

    fn publish(&self, report: &Report, server: Option<&Sandbox>) {
        match self.args.format.format {
            Format::Json => self.terminal.out(&report::render(report, report::Format::Json)),
            Format::Human => self.terminal.out(&report::render(report, report::Format::Human)),
        }
        if let Some(server) = server {
            let delivered = sandbox::delivered(&server.deliveries());
            if self.args.format.format == Format::Json {
                self.terminal.note(&delivered);
            } else {
                self.terminal.out(&delivered);
            }
        }
        self.write_reports(report);
    }

    fn write_reports(&self, report: &Report) {
        for (format, path) in &self.files {
            let text = report::render(report, *format);
            // Colours are for terminals; the other formats hold none.
            let text = anstream::adapter::strip_str(&text).to_string();
            if let Err(error) = world::write_file(path, text.as_bytes()) {
                self.terminal.err(&format!("warning: the report {} cannot be written: {error}\n", path.display()));
            }
        }
        if let Some(summary) = world::env("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) {
            // Other steps of the same job have summaries of their own; what this step wrote before counts.
            let room = limits::STEP_SUMMARY_BYTES.saturating_sub(1 + world::file_length(summary.as_ref()));
            let text = report::summary(report, usize::try_from(room).unwrap_or(usize::MAX));
            if let Err(error) = world::append_file(summary.as_ref(), &text) {
                self.terminal.err(&format!("warning: the step summary cannot be written: {error}\n"));
            }
        }
        if world::is_github() {
            self.annotate(report);
        }
    }

    /// Failed steps as annotations on their lines; what concerns the run as a whole comes first.
    fn annotate(&self, report: &Report) {
        let annotation = |title: &str, line: Option<u32>, problem: &Problem| Annotation {
            severity: Severity::Error,
            title: title.to_owned(),
            text: std::iter::once(&problem.message)
                .chain(&problem.help)
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join("\n"),
            file: Some(self.file.clone()),
            line: line.map(|line| line as usize),
            columns: None,
        };
        let mut annotations: Vec<Annotation> =
            report.error.iter().map(|error| annotation(&report.plan.name, None, error)).collect();
        for step in &report.steps {
            let bad = matches!(step.outcome, report::StepOutcome::Failed | report::StepOutcome::Unknown);
            annotations.extend(step.error.iter().filter(|_| bad).map(|error| {
                let name = crate::text::step_name(&step.id, step.key.as_deref());
                annotation(&name, Some(step.line), error)
            }));
        }
        self.terminal.err(&diag::github::commands(&annotations));
    }
}

/// What WeChat says is left of a quota; nothing where it does not say.
fn quota(client: &mut Client<'_>, path: &str) -> Option<String> {
    let body = serde_json::json!({ "cgi_path": path }).to_string();
    let Outcome::Reply(reply) =
        client.call(Method::Post, "/cgi-bin/openapi/quota/get", Body::Json(&body), std::time::Duration::from_secs(10))
    else {
        return None;
    };
    let quota = reply.members.get("quota").filter(|_| reply.errcode == 0)?;
    let (remain, limit) = (quota["remain"].as_u64()?, quota["daily_limit"].as_u64()?);
    Some(format!("{path}: {remain} of {limit} calls are left today\n"))
}

fn exit_code(ended: &run::Ended) -> ExitCode {
    match ended.outcome {
        RunOutcome::Succeeded => ExitCode::Done,
        RunOutcome::Unknown => ExitCode::Unknown,
        RunOutcome::Interrupted => ExitCode::Interrupted,
        RunOutcome::Refused => ExitCode::Refused,
        RunOutcome::Failed if ended.sent => ExitCode::PartlyFailed,
        RunOutcome::Failed if ended.guarded => ExitCode::Refused,
        RunOutcome::Failed if ended.store_failed => ExitCode::MissingInput,
        RunOutcome::Failed => ExitCode::Failed,
    }
}

fn code_of(report: &Report) -> ExitCode {
    [
        ExitCode::Done,
        ExitCode::MissingInput,
        ExitCode::Failed,
        ExitCode::PartlyFailed,
        ExitCode::Unknown,
        ExitCode::Conflict,
        ExitCode::Refused,
        ExitCode::Interrupted,
    ]
    .into_iter()
    .find(|code| *code as u8 == report.exit_code)
    .unwrap_or(ExitCode::Internal)
}

/// So that the embedded server lives in the time of the run.
pub(super) fn clock_of(clock: RehearsalClock) -> Arc<dyn Fn() -> Timestamp + Send + Sync> {
    Arc::new(move || clock.now())
}
