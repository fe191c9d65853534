//! `qunfa run`.

use std::{
    cell::{Cell, RefCell},
    path::PathBuf,
};

use super::{
    display::Display,
    failure::{Failure, RefusedRun},
    load::{Strict, load_plan},
    notices::{Notices, NotifyArgs},
    options::{Common, Format, FormatArg},
    process,
    reports::{self, Reports},
    sandbox::{self, Stage},
    session::{Address, Session, wait_for_writer},
    standings,
    subject::{self, ShardArgs, Subject},
    target::{OpenFleet, Target},
    terminal::Terminal,
};
use crate::{
    clock::Clock,
    ledger::{Ending, Ledger, open},
    limits,
    locale::{Count, list, say},
    notice::Ending as Told,
    payload::Effect,
    platform::Platform,
    problem::{ExitCode, Problem, Refusal},
    redact::Redactor,
    render::RenderedStep,
    report::{self, AccountRef, Fold, PlanRef, Report, RunEvent, RunOutcome, StepOutcome, account_kind},
    run::{
        self, Ready, Selection, Settings,
        forecast::Forecast,
        work::{Left, Work},
    },
    text::{pad, quoted},
    wechat::{
        client::{Client, Outcome},
        transport::{Body, Method},
    },
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The plan; `-` reads standard input
    #[arg(required_unless_present = "fleet")]
    plan: Option<String>,
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
    /// Runs only if the plan has this digest (printed by `qunfa render`), or the fleet (printed by `qunfa fleet check`)
    #[arg(long, value_name = "DIGEST", env = "QUNFA_EXPECT", hide_env_values = true)]
    expect: Option<String>,
    /// Sends as much as the known quota allows instead of refusing to start
    #[arg(long, env = "QUNFA_ALLOW_PARTIAL", hide_env_values = true, value_parser = clap::builder::FalseyValueParser::new())]
    allow_partial: bool,
    /// Writes a report: human, json, junit, markdown or html (repeatable)
    #[arg(long, value_name = "FORMAT=PATH", env = "QUNFA_REPORT", hide_env_values = true)]
    report: Vec<String>,
    #[command(flatten)]
    notify: NotifyArgs,
    #[command(flatten)]
    strict: Strict,
    #[command(flatten)]
    faults: sandbox::FaultArgs,
    #[command(flatten)]
    shard: ShardArgs,
    #[command(flatten)]
    pub(super) format: FormatArg,
}

pub(super) fn main(args: &Args, common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let files = reports::files_of(&args.report)?;
    args.faults.only_of(args.sandbox)?;
    let notices = args.notify.notices(args.sandbox)?;
    let subject = Subject::of(args.plan.as_deref(), &args.shard, common, terminal)?;
    subject.each(terminal, |target| {
        let name = target.member.filter(|_| subject.is_shard()).map(|(_, member)| member.name.as_str());
        let files = reports::files_of_account(&files, name);
        run(args, target, (files, notices.clone()), (common, terminal))
    })
}

fn run(
    args: &Args,
    target: Target<'_>,
    (files, notices): (Vec<(report::Format, PathBuf)>, Notices),
    (common, terminal): (&Common, &Terminal),
) -> Result<ExitCode, Failure> {
    let address = Address::unless(args.sandbox, common)?;
    let (plan, loaded) = {
        let platform = address.as_ref().map(|address| address.platform);
        let platform = platform.or(common.state.as_ref().map(|_| Platform::Sandbox));
        let loaded = load_plan(target, common, platform, args.strict, terminal);
        loaded.inspect_err(|failure| {
            if let Failure::Plan(wrong) = failure {
                let platform = address.as_ref().map_or(Platform::Sandbox, |address| address.platform);
                notices.tell_of_plan(&target.shown(), platform.name(), wrong, terminal);
            }
        })?
    };
    let notices = notices.of_plan(&plan, terminal);
    process::catch_signals();
    open::wait_with(wait_for_writer);
    let stage = Stage::set(address, &plan, &args.faults, common.now)?;
    let clock = &*stage.clock;
    let session = Session::new(target.path, plan, loaded.project, stage.address, common, terminal)?;
    let run = Run {
        args,
        common,
        target,
        terminal,
        session,
        clock,
        run_id: process::new_run_id(clock.now()),
        verbose: common.verbose,
        known: RefCell::default(),
        held_back: Cell::default(),
        unapproved: Cell::default(),
    };
    let plan = run.session.project.name_from_root(&run.session.plan.path);
    let again = run.session.plan.command("report", &[]);
    let reports = Reports { files, format: args.format.format, plan, again };
    match run.go() {
        Ok((code, report)) => {
            let delivered = stage.server.map(|server| sandbox::delivered(&server.deliveries()));
            reports.publish(&report, delivered.as_deref(), terminal);
            notices.tell(&report, Told { ran: true, unapproved: false }, &run.session.plan, terminal);
            Ok(code)
        }
        Err(refusal) => {
            let report = run.report_of(&refusal);
            let ending = Told { ran: false, unapproved: run.unapproved.get() };
            // An account that waits for others is begun when they are done.
            let notices = if run.held_back.get() { Notices::default() } else { notices };
            let plan = run.session.plan;
            let tell =
                Box::new(move |report: &Report, terminal: &Terminal| notices.tell(report, ending, &plan, terminal));
            Err(Failure::Run(Box::new(RefusedRun { refusal, report, reports, tell })))
        }
    }
}

/// Everything that a run is made with.
struct Run<'a> {
    args: &'a Args,
    common: &'a Common,
    target: Target<'a>,
    terminal: &'a Terminal,
    session: Session,
    clock: &'a dyn Clock,
    run_id: String,
    verbose: bool,
    /// The secrets known before the first call.
    known: RefCell<Redactor>,
    /// Whether other accounts of the fleet come first.
    held_back: Cell<bool>,
    /// Whether nobody approved it.
    unapproved: Cell<bool>,
}

impl Run<'_> {
    fn go(&self) -> Result<(ExitCode, Report), Refusal> {
        let plan = &self.session.plan;
        self.expected()?;
        let mut ledger = self.session.write(self.clock, self.terminal)?;
        if let Some((fleet, member)) = self.target.member {
            let may = standings::may_begin(fleet, member, &*ledger, &self.session, self.terminal);
            self.held_back.set(may.is_err());
            may?;
        }
        let selection = Selection { only: self.args.only.clone(), from: self.args.from.clone() };
        let prepared =
            run::prepare(plan, &*ledger, &self.session.scope, &selection, self.session.outside(self.clock.now()))?;
        let credential = self.session.credential(self.terminal).map_err(|message| {
            Refusal::missing_input(message)
                .help(say!("to rehearse without a secret, run: {command}", command = plan.rehearsal()))
        })?;
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
                self.unapproved.set(true);
                if let Some((fleet, _)) = self.target.member {
                    return self.expected_of_fleet(fleet, expected);
                }
                let message = say!(
                    "the plan is not the approved one: its digest is {digest}, expected {expected}",
                    digest,
                    expected
                );
                let help =
                    say!("review the plan again with `{command}`", command = self.session.plan.command("render", &[]));
                Err(Refusal::new(ExitCode::Refused, message).help(help))
            }
            _ => Ok(()),
        }
    }

    /// Whether the fleet is the one that was approved.
    fn expected_of_fleet(&self, fleet: &OpenFleet, expected: &str) -> Result<(), Refusal> {
        let check = || format!("qunfa fleet check {}", quoted(&fleet.path));
        match subject::digest(fleet, self.common, self.terminal) {
            Some(digest) if digest == expected => Ok(()),
            Some(digest) => {
                let message = say!(
                    "the fleet is not the approved one: its digest is {digest}, expected {expected}",
                    digest,
                    expected
                );
                let help = say!("review the fleet again with `{command}`", command = check());
                Err(Refusal::new(ExitCode::Refused, message).help(help))
            }
            None => {
                let message = say!("the fleet is not the approved one: something is wrong with one of its accounts");
                let help = say!("review the fleet again with `{command}`", command = check());
                Err(Refusal::new(ExitCode::Refused, message).help(help))
            }
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
                    let message = say!("step `{step}`: {message}", step = step.name(), message);
                    return Err(Refusal { code: ExitCode::Refused, problem: Problem { message, help, errcode: None } });
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
        let mut report = with_again(fold.finish().expect("it was told that the run began"));
        if let Err(error) = run::delivery::join(&mut report, ledger) {
            let warning = say!("warning: cannot read what was received about the sends: {why}", why = error.words());
            self.terminal.err(&format!("{warning}\n"));
        }
        let report = without_secrets(report, client.redactor());
        let text = serde_json::to_string(&report).unwrap_or_default();
        let ending = Ending { outcome: outcome.word(), exit_code: code as u8, report: &text };
        if let Err(error) = ledger.end_run(&self.run_id, &ending) {
            let warning = say!("warning: cannot store the report in the state store: {why}", why = error.words());
            self.terminal.err(&format!("{warning}\n"));
        }
        Ok((code, report))
    }

    fn heading(&self) -> String {
        let Session { plan, scope, .. } = &self.session;
        let skipped: Vec<String> = plan.steps.iter().filter(|step| !step.may_run()).map(RenderedStep::name).collect();
        let (id, digest, platform) = (self.run_id.as_str(), plan.digest(), scope.platform.name());
        let run = say!("run {id}, digest {digest}, platform {platform}", id, digest, platform);
        let said = match skipped.is_empty() {
            true => run,
            false => say!("{run}; skipped by `when`: {steps}", run, steps = list(skipped)),
        };
        format!("{said}\n")
    }

    fn started(&self) -> RunEvent {
        let Session { plan, scope, .. } = &self.session;
        RunEvent::Started {
            run_id: self.run_id.clone(),
            plan: PlanRef { name: plan.name.clone(), path: plan.path.clone(), digest: plan.digest().to_owned() },
            account: AccountRef {
                appid: plan.appid.clone(),
                kind: plan.account.kind.name().into(),
                name: plan.account.name.clone(),
            },
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
        let report = fold.finish().expect("it was told that the run began");
        let report = match self.held_back.get() {
            true => Report { again: Some(run::held_back().0), again_reason: Some(run::held_back().1), ..report },
            false => with_again(report),
        };
        without_secrets(report, &self.known.borrow())
    }

    /// What the run needs of the quotas that our own ledger knows; refused if they do not suffice.
    fn forecast(&self, ready: &Ready<'_>, ledger: &dyn Ledger, settings: &Settings<'_>) -> Result<Forecast, Refusal> {
        let forecast = ready.forecast(ledger, settings)?;
        if forecast.calls > 0 && self.args.format.format == Format::Human {
            self.terminal.note(&format!("{}\n", say!("forecast: {forecast}", forecast = forecast.words())));
        }
        if let Some(problem) = forecast.refusal() {
            if !self.args.allow_partial {
                return Err(Refusal { code: ExitCode::Refused, problem });
            }
            self.terminal.err(&format!("{}\n", say!("warning: {message}", message = problem.message)));
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
            self.unapproved.set(true);
            let message =
                say!("`{name}` needs a confirmation, and there is no terminal to ask on", name = plan.name.as_str());
            let help = say!("review the output of `{command}`, then pass --yes", command = plan.command("render", &[]));
            return Err(Refusal::new(ExitCode::Refused, message).help(help));
        }
        let mut text = self.overview(ready, forecast);
        for path in mass_paths(ready) {
            text.extend(quota(client, path));
        }
        if process::interrupted() {
            return Err(Refusal::new(ExitCode::Interrupted, say!("interrupted; nothing was sent")));
        }
        let does = |effect: Effect| ready.open().any(|work| work.step.spec.effect == effect);
        let asked = if does(Effect::Publish) && !does(Effect::Mass) {
            say!("To publish it, type the name of the campaign ({name}):", name = plan.name.as_str())
        } else {
            say!("To send it, type the name of the campaign ({name}):", name = plan.name.as_str())
        };
        text.push_str(&format!("{asked} "));
        match self.terminal.ask(&text) {
            Some(answer) if answer == plan.name => Ok(()),
            _ => Err(Refusal::new(ExitCode::Refused, say!("not confirmed; nothing was sent"))),
        }
    }

    /// Who receives what.
    fn overview(&self, ready: &Ready<'_>, forecast: &Forecast) -> String {
        let Session { plan, base, .. } = &self.session;
        let head = say!(
            "{plan} (occurrence {occurrence}), {kind} account {appid} at {place}",
            plan = plan.name.as_str(),
            occurrence = plan.occurrence.as_str(),
            kind = account_kind(plan.account.kind.name()),
            appid = plan.appid.as_str(),
            place = base.as_str()
        );
        let mut text = format!("\n{head}\n\n");
        let mut people = 0;
        for Work { step, left, .. } in ready.open().filter(|work| work.step.spec.effect != Effect::Read) {
            let open: Vec<_> = left.open_calls().collect();
            if step.spec.effect == Effect::Mass {
                // The followers of a tag are not counted here, whether or not a guard asked how many they are.
                people += open.iter().filter_map(|call| call.target().ok()?.recipients()).sum::<u64>();
            }
            let words = match left {
                Left::Cover { .. } => say!("one call per call of the send"),
                _ => say!("{calls} call" | "{calls} calls", calls = open.len()),
            };
            let message = step.message().map_or_else(String::new, |message| {
                let first: String = message.content.lines().next().unwrap_or_default().chars().take(16).collect();
                format!("  {}", say!("{kind}: {content}", kind = message.kind.name(), content = first))
            });
            let (name, action) = (pad(&step.name(), 14), pad(step.spec.name, 14));
            let to = pad(step.audience.as_deref().unwrap_or("-"), 16);
            text.push_str(&format!("  {name} {action} -> {to} {words}{message}\n"));
        }
        text.push('\n');
        // Else it was just said.
        if self.terminal.quiet {
            text.push_str(&format!("{}\n", say!("forecast: {forecast}", forecast = forecast.words())));
        }
        let does = |effect: Effect| ready.open().any(|work| work.step.spec.effect == effect);
        if does(Effect::Publish) {
            let told = say!(
                "Publishing notifies nobody and uses no mass allowance, but everybody can open the articles, and the draft is used up."
            );
            text.push_str(&format!("{told}\n"));
        }
        if does(Effect::Unpublish) {
            let told = say!(
                "Deleting a publication cannot be undone: its links no longer open, and the draft does not come back."
            );
            text.push_str(&format!("{told}\n"));
        }
        let people = match people {
            0 if !does(Effect::Mass) && (does(Effect::Publish) || does(Effect::Unpublish)) => {
                say!("Nothing is sent to followers.")
            }
            0 => say!("Sent messages cannot be undone."),
            openids => say!(
                "{openids} openid plus the followers of the tags. Sent messages cannot be undone."
                    | "{openids} openids plus the followers of the tags. Sent messages cannot be undone.",
                openids
            ),
        };
        text.push_str(&format!("{people}\n"));
        for note in ready.notes() {
            text.push_str(&format!("{}\n", say!("note: {text}", text = note.clone())));
        }
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
    let (remain, limit) = (Count(remain), Count(limit));
    Some(format!("{}\n", say!("{path}: {remain} of {limit} calls left today", path, remain, limit)))
}

/// Says whether running it again helps.
pub(super) fn with_again(report: Report) -> Report {
    let of_step = report.steps.iter().filter(|step| matches!(step.outcome, StepOutcome::Failed | StepOutcome::Unknown));
    let errcode = report.error.iter().chain(of_step.filter_map(|step| step.error.as_ref())).find_map(|one| one.errcode);
    let (again, reason) = run::again(report.exit_code, errcode);
    Report { again: Some(again), again_reason: Some(reason), ..report }
}

/// A report shows what a plan says, which may hold a secret by mistake.
pub(super) fn without_secrets(report: Report, redactor: &Redactor) -> Report {
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
        RunOutcome::Failed if ended.taken_over => ExitCode::Conflict,
        RunOutcome::Failed if ended.store_failed => ExitCode::MissingInput,
        RunOutcome::Failed => ExitCode::Failed,
    }
}
