//! `qunfa delete`: takes back in an emergency what a step has sent.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::json;

use super::{
    clock::RealClock,
    display::Display,
    failure::Failure,
    load::open_session,
    options::{BadValue, Common, FormatArg, number},
    process,
    reports::{self, Reports},
    run::{with_again, without_secrets},
    session::Session,
    settle::no_edition,
    subject::{Subject, plan_and_step},
    terminal::Terminal,
};
use crate::{
    clock::{Clock, shanghai},
    ledger::{CallId, CallRecord, FrozenCall, Ledger, Scope, Status},
    limits,
    locale::{Count, Phrase, list, say},
    payload::{Effect, Payload},
    plan::{message::TYPES, value::Length},
    problem::{ExitCode, Problem, Refusal},
    render::{RenderedPlan, idempotency_key},
    report::{AccountRef, Fold, PlanRef, Report, RunEvent, RunOutcome, StepOutcome, StepView},
    run::{
        self, deleted, doubt, frozen,
        take_back::{End, Job, TakeBack},
    },
    text,
};

/// Deletes a message.
const DELETE: &str = "/cgi-bin/message/mass/delete";

#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// The plan
    #[arg(required_unless_present = "fleet")]
    plan: Option<String>,
    /// The send step: an id (all of its instances), or an instance such as 'city[北京]'
    #[arg(required_unless_present = "fleet")]
    step: Option<String>,
    /// Deletes only this article of the message, starting at 1 [default: all]
    #[arg(long, value_name = "N", env = "QUNFA_ARTICLE", hide_env_values = true, value_parser = article)]
    article: Option<u64>,
    /// Skips the confirmation; required without a terminal
    #[arg(long, short, env = "QUNFA_YES", hide_env_values = true, value_parser = clap::builder::FalseyValueParser::new())]
    yes: bool,
    /// The occurrence (edition), if it is not the one in the plan
    #[arg(long, value_name = "NAME", env = "QUNFA_OCCURRENCE", hide_env_values = true)]
    occurrence: Option<String>,
    /// Number of the call, if only one call of the step is meant
    #[arg(long, value_name = "N", env = "QUNFA_CHUNK", hide_env_values = true, value_parser = number::<u32>)]
    chunk: Option<u32>,
    /// How long to wait for a message that is still being sent, which cannot be deleted yet [default: 30m]
    #[arg(long, value_name = "TIME", env = "QUNFA_TIMEOUT", hide_env_values = true, value_parser = length)]
    timeout: Option<Duration>,
    /// Why it is deleted; recorded in the ledger
    #[arg(long, value_name = "TEXT", env = "QUNFA_REASON", hide_env_values = true)]
    reason: Option<String>,
    /// Writes a report: human, json, junit, markdown or html (repeatable)
    #[arg(long, value_name = "FORMAT=PATH", env = "QUNFA_REPORT", hide_env_values = true)]
    report: Vec<String>,
    #[command(flatten)]
    pub(super) format: FormatArg,
}

fn article(text: &str) -> Result<u64, BadValue> {
    let number = text.parse().ok().filter(|number| (1..=8).contains(number));
    number.ok_or_else(|| BadValue(say!("write the number of an article, from 1 to 8")))
}

fn length(text: &str) -> Result<Duration, BadValue> {
    let length = Length::parse(text).map(|length| length.0);
    length.ok_or_else(|| BadValue(say!("write a duration of up to 24h, such as 30s, 5m or 1h30m")))
}

pub(super) fn main(args: &Args, common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let files = reports::files_of(&args.report)?;
    let (plan, step) = plan_and_step(args.plan.as_deref(), args.step.as_deref(), common);
    let Some(step) = step else {
        return Err(Refusal::usage(say!("no step given")).help(say!("name the step whose message is deleted")).into());
    };
    let subject = Subject::one(plan, common, terminal)?;
    let session = open_session(subject.target(), common, terminal)?;
    process::catch_signals();
    let clock = RealClock::at(common.now);
    let mut scope = session.scope.clone();
    if let Some(occurrence) = &args.occurrence {
        scope.occurrence.clone_from(occurrence);
    }
    let mut ledger = session.write(&clock, terminal)?;
    let records = run::history(&session.plan, &*ledger, &scope)?;
    if records.is_empty() && args.occurrence.is_some() {
        return Err(no_edition(&session.scope, &scope.occurrence, &*ledger)?.into());
    }
    let run_id = process::new_run_id(clock.now());
    let deletion = Deletion {
        args,
        step,
        session: &session,
        scope,
        clock: &clock,
        note: by(args.reason.as_deref()),
        run_id,
        terminal,
    };
    let jobs = deletion.jobs(&records)?;
    let (code, report) = deletion.go(jobs, &mut *ledger)?;
    let plan = session.project.name_from_root(&session.plan.path);
    let again = session.plan.command("report", &[]);
    Reports { files, format: args.format.format, plan, again }.publish(&report, None, terminal);
    Ok(code)
}

/// Who does it, and why, as the ledger keeps it.
pub(super) fn by(reason: Option<&str>) -> String {
    let (host, _) = process::identity();
    let who = process::env("USER").map_or_else(|| say!("unknown user"), Phrase::verbatim);
    let reason = reason.map_or_else(|| say!("no reason given"), Phrase::verbatim);
    say!("{who} on {host}: {reason}", who, host, reason).to_string()
}

/// The accepted calls of one instance of the step.
struct Sent<'r> {
    id: String,
    key: Option<String>,
    calls: Vec<&'r CallRecord>,
}

/// What is to be done with the calls of one instance.
struct Left {
    /// As reports name it.
    view: StepView,
    /// Those whose job is known and not deleted yet.
    jobs: Vec<Job>,
    /// When and by whom others were deleted.
    before: Vec<Phrase>,
    /// The numbers of calls whose job is not known.
    unknown: Vec<u32>,
    /// In words, for the question: one line a call.
    told: Vec<Phrase>,
}

struct Deletion<'a> {
    args: &'a Args,
    /// As the user named it.
    step: &'a str,
    session: &'a Session,
    scope: Scope,
    clock: &'a dyn Clock,
    note: String,
    run_id: String,
    terminal: &'a Terminal,
}

impl Deletion<'_> {
    /// What was sent and is meant; refused if that is nothing, or nothing that can be deleted.
    fn jobs(&self, records: &[CallRecord]) -> Result<Vec<Left>, Refusal> {
        let sent = self.sent(records)?;
        for call in sent.iter().flat_map(|sent| &sent.calls) {
            let kind = frozen::kind(&call.frozen)?;
            if !TYPES.iter().any(|of| of.can_be_deleted && of.kind.name() == kind) {
                let message =
                    say!("`{step}` sent `{kind}`, which cannot be deleted", step = call.frozen.id.name(), kind);
                return Err(Refusal::usage(message)
                    .help(say!("WeChat deletes only articles (`mpnews`) and videos (`mpvideo`)"))
                    .help(say!(
                        "send a correction as a new step; what is not sent yet is stopped with Ctrl-C and `{command}`",
                        command = self.session.plan.command("settle", &["--give-up"])
                    )));
            }
        }
        let deleted: Vec<deleted::Deletion> = deleted::deletions(records).collect();
        let lefts: Vec<Left> = sent.iter().map(|sent| self.left(sent, records, &deleted)).collect();
        if lefts.iter().all(|left| left.jobs.is_empty() && left.before.is_empty()) {
            let mut refusal = Refusal::missing_input(say!(
                "the job of `{step}` is not known, so it cannot be deleted",
                step = self.step
            ));
            for (sent, left) in sent.iter().zip(&lefts) {
                refusal = refusal.help(self.name_it(&text::step_name(&sent.id, sent.key.as_deref()), &left.unknown));
            }
            return Err(refusal);
        }
        Ok(lefts)
    }

    /// How a job that is not known is named.
    fn name_it(&self, step: &str, chunks: &[u32]) -> Phrase {
        let occurrence = self.args.occurrence.as_deref();
        let command = doubt::settle(&self.session.plan, step, occurrence);
        say!(
            "look up the job (the MsgID in the event MASSSENDJOBFINISH), run: {command} --sent MSG_ID --chunk {call}, then delete it again",
            command,
            call = chunks.first().copied().unwrap_or(1)
        )
    }

    fn sent<'r>(&self, records: &'r [CallRecord]) -> Result<Vec<Sent<'r>>, Refusal> {
        let plan = &self.session.plan;
        let mass = || records.iter().filter(|record| record.frozen.is_mass());
        let named = |record: &&CallRecord| record.frozen.id.step == self.step || record.frozen.id.name() == self.step;
        let meant =
            |record: &&CallRecord| named(record) && self.args.chunk.is_none_or(|chunk| chunk == record.frozen.id.chunk);
        let mut sent: Vec<Sent<'r>> = Vec::new();
        for record in mass().filter(meant).filter(|record| record.status == Status::Accepted) {
            let CallId { step, key, .. } = &record.frozen.id;
            match sent.iter_mut().find(|sent| sent.id == *step && sent.key == *key) {
                Some(sent) => sent.calls.push(record),
                None => sent.push(Sent { id: step.clone(), key: key.clone(), calls: vec![record] }),
            }
        }
        if !sent.is_empty() {
            return Ok(sent);
        }
        let message = say!("nothing of `{step}` was sent, so there is nothing to delete", step = self.step);
        let refusal = Refusal::usage(message);
        if let Some(record) = mass().filter(meant).find(|record| record.status.in_doubt()) {
            let command = doubt::settle(plan, &record.frozen.id.name(), self.args.occurrence.as_deref());
            return Err(refusal.help(say!("it is not known whether call {call} was sent; if you know, run: {command} --sent MSG_ID, or --not-sent", call = record.frozen.id.chunk, command)));
        }
        let mut others: Vec<String> =
            mass().filter(|record| record.status == Status::Accepted).map(|record| record.frozen.id.name()).collect();
        others.dedup();
        Err(refusal.help(match others.as_slice() {
            [] => say!("see `{command}`", command = plan.command("status", &[])),
            others => say!("it has sent {steps}", steps = list(others.iter().cloned())),
        }))
    }

    fn left(&self, sent: &Sent<'_>, records: &[CallRecord], deleted: &[deleted::Deletion]) -> Left {
        let id = deleted::step_id(&sent.id, self.args.article);
        let (mut jobs, mut before, mut unknown, mut told) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for call in &sent.calls {
            let chunk = call.frozen.id.chunk;
            let fact = call.acceptance();
            let Some(job) = fact.and_then(|fact| fact.msg_id) else {
                unknown.push(chunk);
                continue;
            };
            if let Some(known) = deleted.iter().find(|known| known.covers(job, self.args.article)) {
                before.push(known.words());
                continue;
            }
            let frozen = self.frozen(CallId { step: id.clone(), key: sent.key.clone(), chunk }, job);
            let known = records.iter().find(|record| record.frozen.id == frozen.id).cloned();
            jobs.push(Job {
                id: job,
                is_known: known.is_some(),
                record: known.unwrap_or_else(|| CallRecord::planned(frozen)),
            });
            let at = fact.map_or_else(String::new, |fact| shanghai(fact.at).strftime("%Y-%m-%d %H:%M:%S").to_string());
            let name = text::step_name(&sent.id, sent.key.as_deref());
            told.push(match call.frozen.recipients {
                Some(people) => say!(
                    "{name} call {chunk}: msg_id {job}, sent at {at} to {people} person"
                        | "{name} call {chunk}: msg_id {job}, sent at {at} to {people} people",
                    people = Count(people),
                    name,
                    chunk,
                    job,
                    at
                ),
                None => say!("{name} call {chunk}: msg_id {job}, sent at {at}", name, chunk, job, at),
            });
        }
        let view = StepView {
            id,
            key: sent.key.clone(),
            action: "delete".to_owned(),
            description: Some(self.note.clone()),
            line: 0,
            audience: None,
            message: None,
            calls: jobs.len(),
        };
        Left { view, jobs, before, unknown, told }
    }

    fn frozen(&self, id: CallId, job: u64) -> FrozenCall {
        let mut body = json!({ "msg_id": job });
        if let Some(article) = self.args.article {
            body["article_idx"] = article.into();
        }
        let payload = Payload::plain(&body);
        let Scope { appid, plan, occurrence, .. } = &self.scope;
        FrozenCall {
            idempotency_key: idempotency_key(appid, plan, occurrence, &id.step, id.key.as_deref(), id.chunk),
            id,
            action: "delete".to_owned(),
            path: DELETE.to_owned(),
            digest: payload.digest().to_owned(),
            payload: payload.raw(),
            message_digest: None,
            recipients: None,
            effect: Effect::Delete,
        }
    }

    fn go(&self, lefts: Vec<Left>, ledger: &mut dyn Ledger) -> Result<(ExitCode, Report), Refusal> {
        if lefts.iter().any(|left| !left.jobs.is_empty()) {
            self.quota(&lefts, ledger)?;
            self.confirm(&lefts)?;
        }
        let credential = self.session.credential(self.terminal).map_err(Refusal::missing_input)?;
        let mut connection = self.session.connect(self.session.tokens(self.terminal))?;
        let timeout = connection.timeout;
        let mut client = connection.client(credential, self.clock);
        let mut fold = Fold::default();
        let mut display = Display::new(self.terminal, false);
        let mut emit = |event: RunEvent| {
            display.show(&event);
            fold.apply(&event);
        };
        emit(self.started(&lefts));
        let wait = self.args.timeout.unwrap_or(limits::DELETE_WAIT);
        let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
        let of_step = |step: &&crate::render::RenderedStep| step.id == self.step || step.name() == self.step;
        let retry = self.session.plan.steps.iter().find(of_step).map(|step| step.retry).unwrap_or_default();
        let mut ended = Ended::default();
        let mut work = TakeBack {
            ledger,
            client: &mut client,
            clock: self.clock,
            scope: &self.scope,
            run_id: &self.run_id,
            interrupted: &process::interrupted,
            emit: &mut emit,
            note: &self.note,
            timeout,
            retry,
            deadline: self.clock.now().saturating_add(wait).unwrap_or(jiff::Timestamp::MAX),
        };
        for (index, left) in lefts.into_iter().enumerate() {
            self.one(index, left, &mut work, &mut ended);
        }
        let token_fetches = client.token_fetches();
        let (outcome, exit_code) = ended.told();
        emit(RunEvent::Finished { outcome, exit_code, token_fetches, error: None, at: self.clock.now() });
        let report = with_again(fold.finish().expect("it was told that it began"));
        Ok((exit_code, without_secrets(report, client.redactor())))
    }

    /// Deletes the jobs of one instance.
    fn one(&self, index: usize, left: Left, work: &mut TakeBack<'_, '_>, ended: &mut Ended) {
        let Left { view, jobs, before, unknown, .. } = left;
        let name = text::step_name(&view.id, view.key.as_deref());
        (work.emit)(RunEvent::StepStarted { step: index, at: self.clock.now() });
        for text in &before {
            (work.emit)(RunEvent::Note { text: say!("{step}: {what}", step = &name, what = text.clone()) });
        }
        let (mut done, mut failed): (usize, Option<Problem>) = (0, None);
        let all = jobs.len();
        for mut job in jobs {
            if ended.stopped {
                break;
            }
            match work.job(index, &mut job) {
                End::Deleted => done += 1,
                End::Gone => {
                    done += 1;
                    let text =
                        say!("{step}: msg_id {job} is deleted already, or reached nobody", step = &name, job = job.id);
                    (work.emit)(RunEvent::Note { text });
                }
                End::Failed { problem, stop } => {
                    ended.stopped |= stop;
                    failed.get_or_insert(problem);
                }
                End::Interrupted => {
                    (ended.stopped, ended.interrupted) = (true, true);
                    let message = say!(
                        "interrupted after {done} of {calls} calls; the same command continues",
                        done = Count::from(done),
                        calls = Count::from(all)
                    );
                    failed.get_or_insert(Problem::new(message));
                }
                End::Store(error) => {
                    ended.stopped = true;
                    ended.store = Some(Refusal::from(error));
                    failed.get_or_insert(
                        ended
                            .store
                            .as_ref()
                            .map_or_else(|| Problem::new(say!("no answer")), |refusal| refusal.problem.clone()),
                    );
                }
            }
        }
        if !unknown.is_empty() && failed.is_none() {
            let send = name.trim_start_matches("@delete ");
            let message = say!(
                "the job of call {calls} is not known, so it was not deleted",
                calls = list(unknown.iter().copied())
            );
            failed = Some(Problem::new(message).help(self.name_it(send, &unknown)));
        }
        let outcome = match &failed {
            Some(_) if ended.interrupted || (ended.stopped && done == 0 && ended.failed) => StepOutcome::NotRun,
            Some(_) => StepOutcome::Failed,
            None if all == 0 => StepOutcome::AlreadyDone,
            None if done < all => StepOutcome::NotRun,
            None => StepOutcome::Succeeded,
        };
        ended.failed |= outcome == StepOutcome::Failed;
        (work.emit)(RunEvent::StepFinished {
            step: index,
            outcome,
            outputs: Default::default(),
            error: failed,
            at: self.clock.now(),
        });
    }

    fn started(&self, lefts: &[Left]) -> RunEvent {
        let RenderedPlan { name, path, appid, account, .. } = &self.session.plan;
        RunEvent::Started {
            run_id: self.run_id.clone(),
            plan: PlanRef { name: name.clone(), path: path.clone(), digest: self.session.plan.digest().to_owned() },
            account: AccountRef { appid: appid.clone(), kind: account.kind.name().into(), name: account.name.clone() },
            occurrence: self.scope.occurrence.clone(),
            platform: self.scope.platform.name().to_owned(),
            at: self.clock.now(),
            steps: lefts.iter().map(|left| left.view.clone()).collect(),
        }
    }

    /// In an emergency nothing is refused for a quota that may be another one: WeChat decides.
    fn quota(&self, lefts: &[Left], ledger: &dyn Ledger) -> Result<(), Refusal> {
        let wanted: usize = lefts.iter().map(|left| left.jobs.len()).sum();
        let now = self.clock.now();
        let today = shanghai(now).date();
        let since = today.in_tz("Asia/Shanghai").map_or(now, |start| start.timestamp());
        let used = ledger.usage(self.scope.platform.name(), &self.scope.appid, since)?;
        let used = used.iter().filter(|usage| usage.effect == Effect::Delete).count();
        if used + wanted > limits::DELETES_PER_DAY {
            let text = say!(
                "{wanted} delete needed, {used} already used today, and a new account has {most} a day"
                    | "{wanted} deletes needed, {used} already used today, and a new account has {most} a day",
                wanted = Count::from(wanted),
                used = Count::from(used),
                most = Count::from(limits::DELETES_PER_DAY)
            );
            self.terminal.err(&format!("{}\n", say!("warning: {message}", message = text)));
        }
        Ok(())
    }

    /// Shows what is deleted, and asks for the name of the step.
    fn confirm(&self, lefts: &[Left]) -> Result<(), Refusal> {
        if self.args.yes {
            return Ok(());
        }
        if !self.terminal.can_ask() {
            let message =
                say!("to delete `{step}` needs a confirmation, and there is no terminal to ask on", step = self.step);
            let command = self.session.plan.command("status", &[]);
            let help = say!("review the output of `{command}`, then pass --yes", command);
            return Err(Refusal::new(ExitCode::Refused, message).help(help));
        }
        let mut text = String::from("\n");
        for told in lefts.iter().flat_map(|left| &left.told) {
            text.push_str(&format!("  {told}\n"));
        }
        let what = match self.args.article {
            Some(article) => {
                say!("article {article} of it can no longer be opened then, wherever it was sent", article)
            }
            None => say!("its articles can no longer be opened then, wherever they were sent"),
        };
        let rest = say!("{what}; the message cards stay with those who got them. This cannot be undone.", what);
        let asked = say!("To delete it, type the name of the step ({step}):", step = self.step);
        text.push_str(&format!("\n{rest}\n{asked} "));
        match self.terminal.ask(&text) {
            Some(answer) if answer == self.step => Ok(()),
            _ => Err(Refusal::new(ExitCode::Refused, say!("not confirmed; nothing was deleted"))),
        }
    }
}

/// How all of it ended.
#[derive(Default)]
struct Ended {
    /// Nothing more is tried.
    stopped: bool,
    failed: bool,
    interrupted: bool,
    store: Option<Refusal>,
}

impl Ended {
    fn told(&self) -> (RunOutcome, ExitCode) {
        match &self.store {
            Some(refusal) => (RunOutcome::Failed, refusal.code),
            None if self.interrupted => (RunOutcome::Interrupted, ExitCode::Interrupted),
            None if self.failed => (RunOutcome::Failed, ExitCode::Failed),
            None => (RunOutcome::Succeeded, ExitCode::Done),
        }
    }
}
