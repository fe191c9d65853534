//! `qunfa run`.

use std::cell::RefCell;

use super::{
    display::Display,
    failure::{Failure, RefusedRun},
    load::{Strict, load_plan},
    options::{Common, Format, FormatArg},
    process,
    reports::{self, Reports},
    sandbox::{self, Stage},
    session::{Address, Session},
    terminal::Terminal,
};
use crate::{
    clock::Clock,
    ledger::Ledger,
    limits,
    payload::Effect,
    platform::Platform,
    problem::{ExitCode, Problem, Refusal},
    redact::Redactor,
    render::RenderedStep,
    report::{AccountRef, Fold, PlanRef, Report, RunEvent, RunOutcome},
    run::{
        self, Ready, Selection, Settings,
        forecast::Forecast,
        work::{Left, Work},
    },
    text::pad,
    wechat::{
        client::{Client, Outcome},
        transport::{Body, Method},
    },
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The plan; `-` reads standard input
    plan: String,
    /// Runs against the embedded WeChat server: needs no account or secret, sends nothing, and skips waits
    #[arg(long, env = "QUNFA_SANDBOX", hide_env_values = true, value_parser = clap::builder::FalseyValueParser::new())]
    sandbox: bool,
    /// Skips the confirmation; required without a terminal
    #[arg(long, short, env = "QUNFA_YES", hide_env_values = true, value_parser = clap::builder::FalseyValueParser::new())]
    yes: bool,
    /// Runs only these steps (ids, or instances such as 'city[北京]')
    #[arg(long, value_name = "ID", num_args = 1.., value_delimiter = ',', env = "QUNFA_ONLY", hide_env_values = true)]
    only: Vec<String>,
    /// Starts at this step
    #[arg(long, value_name = "ID", env = "QUNFA_FROM", hide_env_values = true)]
    from: Option<String>,
    /// Runs only if the plan has this digest (printed by `qunfa render`)
    #[arg(long, value_name = "DIGEST", env = "QUNFA_EXPECT", hide_env_values = true)]
    expect: Option<String>,
    /// Sends as much as the known quota allows instead of refusing to start
    #[arg(long, env = "QUNFA_ALLOW_PARTIAL", hide_env_values = true, value_parser = clap::builder::FalseyValueParser::new())]
    allow_partial: bool,
    /// Writes a report: human, json, junit, markdown or html (repeatable)
    #[arg(long, value_name = "FORMAT=PATH", env = "QUNFA_REPORT", hide_env_values = true)]
    report: Vec<String>,
    #[command(flatten)]
    strict: Strict,
    #[command(flatten)]
    faults: sandbox::FaultArgs,
    #[command(flatten)]
    pub(super) format: FormatArg,
}

pub(super) fn main(args: &Args, common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let files = reports::files_of(&args.report)?;
    args.faults.only_of(args.sandbox)?;
    let address = Address::unless(args.sandbox, common)?;
    let (plan, loaded) = {
        let platform = address.as_ref().map(|address| address.platform);
        let platform = platform.or(common.state.as_ref().map(|_| Platform::Sandbox));
        load_plan(&args.plan, common, platform, args.strict, terminal)?
    };
    process::catch_signals();
    let stage = Stage::set(address, &plan, &args.faults, common.now)?;
    let clock = &*stage.clock;
    let session = Session::new(&args.plan, plan, loaded.project, stage.address, common)?;
    let run = Run {
        args,
        terminal,
        session,
        clock,
        run_id: process::new_run_id(clock.now()),
        verbose: common.verbose,
        known: RefCell::default(),
    };
    let plan = run.session.project.name_from_root(&run.session.plan.path);
    let reports = Reports { files, format: args.format.format, plan };
    match run.go() {
        Ok((code, report)) => {
            let delivered = stage.server.map(|server| sandbox::delivered(&server.deliveries()));
            reports.publish(&report, delivered.as_deref(), terminal);
            Ok(code)
        }
        Err(refusal) => {
            let report = run.report_of(&refusal);
            Err(Failure::Run(Box::new(RefusedRun { refusal, report, reports })))
        }
    }
}

/// Everything that a run is made with.
struct Run<'a> {
    args: &'a Args,
    terminal: &'a Terminal,
    session: Session,
    clock: &'a dyn Clock,
    run_id: String,
    verbose: bool,
    /// The secrets known before the first call.
    known: RefCell<Redactor>,
}

impl Run<'_> {
    fn go(&self) -> Result<(ExitCode, Report), Refusal> {
        let plan = &self.session.plan;
        self.expected()?;
        let mut ledger = self.session.write(self.clock.now())?;
        let selection = Selection { only: self.args.only.clone(), from: self.args.from.clone() };
        let prepared = run::prepare(plan, &*ledger, &self.session.scope, &selection, self.clock.now())?;
        let credential = self
            .session
            .credential()
            .map_err(|message| Refusal::missing_input(message).help("`qunfa run PLAN --sandbox` needs no secret"))?;
        self.known.replace(credential.redactor.clone());
        let mut connection = self.session.connect(self.session.tokens(self.terminal))?;
        let mut client = connection.client(credential, self.clock);
        self.refuse_secrets(&client)?;
        let settings = self.settings();
        let ready = prepared.complete(&*ledger, &mut client, &settings)?;
        let forecast = self.forecast(&ready, &*ledger, &settings)?;
        if self.session.scope.platform != Platform::Sandbox {
            self.confirm(&ready, &forecast, &mut client)?;
        }
        self.execute(ready, &mut *ledger, &mut client, &settings)
    }

    fn settings(&self) -> Settings<'_> {
        Settings {
            run_id: self.run_id.clone(),
            scope: self.session.scope.clone(),
            clock: self.clock,
            interrupted: &process::interrupted,
            approved: self.args.expect.is_some(),
        }
    }

    /// Whether the plan is the one that was approved.
    fn expected(&self) -> Result<(), Refusal> {
        let digest = self.session.plan.digest();
        match &self.args.expect {
            Some(expected) if expected != digest => {
                let message =
                    format!("the plan is not what was approved: its digest is {digest}, and {expected} was expected");
                Err(Refusal::new(ExitCode::Refused, message).help("review the plan again with `qunfa render`"))
            }
            _ => Ok(()),
        }
    }

    /// Refuses a plan that would send a secret which is known by now. The client asks the same of each call, when it knows the
    /// token too; here nothing has been sent yet.
    fn refuse_secrets(&self, client: &Client<'_>) -> Result<(), Refusal> {
        for step in self.session.plan.steps.iter().filter(|step| step.may_run()) {
            for call in &step.calls {
                let upload = call.media.as_ref().and_then(|media| media.upload.as_ref());
                let body = call.payload.raw();
                if client.withholds(upload.map_or(Body::Json(&body), Body::File)) {
                    let Problem { message, help, .. } = run::policy::advice(&Outcome::Withheld);
                    let message = format!("step `{}`: {message}", step.name());
                    return Err(Refusal {
                        code: ExitCode::Refused,
                        problem: Problem { message: message.into(), help, errcode: None },
                    });
                }
            }
        }
        Ok(())
    }

    fn execute(
        &self,
        ready: Ready<'_>,
        ledger: &mut dyn Ledger,
        client: &mut Client<'_>,
        settings: &Settings<'_>,
    ) -> Result<(ExitCode, Report), Refusal> {
        let Session { plan, scope, .. } = &self.session;
        ledger.begin_run(scope, &self.run_id, &plan.path, plan.digest(), self.clock.now())?;
        if self.verbose {
            self.terminal.err(&self.heading());
        }
        let mut fold = Fold::default();
        let mut display = Display::new(self.terminal, self.verbose);
        let mut emit = |event: RunEvent| {
            display.show(&event);
            fold.apply(&event);
        };
        emit(self.started());
        let ended = ready.run(ledger, client, settings, &mut emit);
        let code = exit_code(&ended);
        let outcome = if code == ExitCode::Refused { RunOutcome::Refused } else { ended.outcome };
        emit(RunEvent::Finished {
            outcome,
            exit_code: code,
            token_fetches: client.token_fetches(),
            error: ended.error,
            at: self.clock.now(),
        });
        let report = without_secrets(fold.finish().expect("it was told that the run began"), client.redactor());
        let text = serde_json::to_string(&report).unwrap_or_default();
        if let Err(error) = ledger.end_run(&self.run_id, &text) {
            let why = crate::text::chain(&error);
            self.terminal.err(&format!("warning: the report could not be kept in the state store: {why}\n"));
        }
        Ok((code, report))
    }

    fn heading(&self) -> String {
        let Session { plan, scope, .. } = &self.session;
        let skipped: Vec<String> = plan.steps.iter().filter(|step| !step.may_run()).map(RenderedStep::name).collect();
        let skipped =
            if skipped.is_empty() { String::new() } else { format!("; skipped by `when`: {}", skipped.join(", ")) };
        format!("run {}, digest {}, platform {}{skipped}\n", self.run_id, plan.digest(), scope.platform)
    }

    fn started(&self) -> RunEvent {
        let Session { plan, scope, .. } = &self.session;
        RunEvent::Started {
            run_id: self.run_id.clone(),
            plan: PlanRef { name: plan.name.clone(), path: plan.path.clone(), digest: plan.digest().to_owned() },
            account: AccountRef { appid: plan.appid.clone(), kind: plan.account.kind.name().into() },
            occurrence: plan.occurrence.clone(),
            platform: scope.platform.name().to_owned(),
            at: self.clock.now(),
            steps: run::views(plan),
        }
    }

    /// A report in which no step was run.
    fn report_of(&self, refusal: &Refusal) -> Report {
        let mut fold = Fold::default();
        fold.apply(&self.started());
        let outcome = match refusal.code {
            ExitCode::Refused | ExitCode::Conflict => RunOutcome::Refused,
            ExitCode::Unknown => RunOutcome::Unknown,
            ExitCode::Interrupted => RunOutcome::Interrupted,
            _ => RunOutcome::Failed,
        };
        fold.apply(&RunEvent::Finished {
            outcome,
            exit_code: refusal.code,
            token_fetches: 0,
            error: Some(refusal.problem.clone()),
            at: self.clock.now(),
        });
        without_secrets(fold.finish().expect("it was told that the run began"), &self.known.borrow())
    }

    /// What the run needs of the quotas that our own ledger knows; refused if they do not suffice.
    fn forecast(&self, ready: &Ready<'_>, ledger: &dyn Ledger, settings: &Settings<'_>) -> Result<Forecast, Refusal> {
        let forecast = ready.forecast(ledger, settings)?;
        if forecast.calls > 0 && self.args.format.format == Format::Human {
            self.terminal.note(&format!("forecast: {}\n", forecast.words()));
        }
        if let Some(problem) = forecast.refusal() {
            if !self.args.allow_partial {
                return Err(Refusal { code: ExitCode::Refused, problem });
            }
            self.terminal.err(&format!("warning: {}\n", problem.message));
        }
        Ok(forecast)
    }

    /// Asks for the name of the campaign; shows who receives what first.
    fn confirm(&self, ready: &Ready<'_>, forecast: &Forecast, client: &mut Client<'_>) -> Result<(), Refusal> {
        let plan = &self.session.plan;
        if self.args.yes || ready.open().all(|work| work.step.spec.effect == Effect::Read) {
            return Ok(());
        }
        if !self.terminal.can_ask() {
            let message = format!("`{}` was not confirmed, and there is no terminal to ask on", plan.name);
            return Err(Refusal::new(ExitCode::Refused, message).help("give --yes, after `qunfa render` was reviewed"));
        }
        let mut text = self.overview(ready, forecast);
        for path in mass_paths(ready) {
            text.extend(quota(client, path));
        }
        if process::interrupted() {
            return Err(Refusal::new(ExitCode::Interrupted, "interrupted; nothing was sent"));
        }
        text.push_str(&format!("Type the name of the campaign ({}) to send it: ", plan.name));
        match self.terminal.ask(&text) {
            Some(answer) if answer == plan.name => Ok(()),
            _ => Err(Refusal::new(ExitCode::Refused, "not confirmed; nothing was sent")),
        }
    }

    /// Who receives what.
    fn overview(&self, ready: &Ready<'_>, forecast: &Forecast) -> String {
        let Session { plan, base, .. } = &self.session;
        let mut text = format!(
            "\n{} (occurrence {}) for {} account {} at {}\n\n",
            plan.name,
            plan.occurrence,
            plan.account.kind.name(),
            plan.appid,
            base.as_str()
        );
        let mut people = 0;
        for Work { step, left, .. } in ready.open().filter(|work| work.step.spec.effect != Effect::Read) {
            let open: Vec<_> = left.open_calls().collect();
            if step.spec.effect == Effect::Mass {
                // The followers of a tag are not counted here, whether or not a guard asked how many they are.
                people += open.iter().filter_map(|call| call.target().ok()?.recipients()).sum::<u64>();
            }
            let words = match open.len() {
                _ if matches!(left, Left::Cover { .. }) => "a call for each of the send".to_owned(),
                1 => "1 call".to_owned(),
                count => format!("{count} calls"),
            };
            let message = step.message().map_or_else(String::new, |message| {
                let first: String = message.content.lines().next().unwrap_or_default().chars().take(16).collect();
                format!("  {}: {first}", message.kind.name())
            });
            let (name, action) = (pad(&step.name(), 14), pad(step.spec.name, 14));
            let to = pad(step.audience.as_deref().unwrap_or("-"), 16);
            text.push_str(&format!("  {name} {action} to {to} {words}{message}\n"));
        }
        text.push_str(&format!(
            "\n{}.\n{people} openids, and the followers of the tags. What is sent cannot be taken back.\n",
            forecast.words()
        ));
        text
    }
}

fn mass_paths(ready: &Ready<'_>) -> Vec<&'static str> {
    let running = ready.open().filter(|work| work.step.spec.effect == Effect::Mass);
    let mut paths: Vec<&'static str> = running.map(|work| work.step.spec.path).collect();
    paths.sort_unstable();
    paths.dedup();
    paths
}

/// What WeChat says is left of a quota; nothing where it does not say.
fn quota(client: &mut Client<'_>, path: &str) -> Option<String> {
    let body = serde_json::json!({ "cgi_path": path }).to_string();
    let Outcome::Reply(reply) =
        client.call(Method::Post, "/cgi-bin/openapi/quota/get", Body::Json(&body), limits::QUOTA_TIMEOUT)
    else {
        return None;
    };
    let quota = reply.members.get("quota").filter(|_| reply.errcode == 0)?;
    let (remain, limit) = (quota["remain"].as_u64()?, quota["daily_limit"].as_u64()?);
    Some(format!("{path}: {remain} of {limit} calls are left today\n"))
}

/// A report shows what a plan says, which may hold a secret by mistake.
fn without_secrets(report: Report, redactor: &Redactor) -> Report {
    let mut document = serde_json::to_value(&report).unwrap_or_default();
    redactor.clean_value(&mut document);
    serde_json::from_value(document).unwrap_or(report)
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
