//! `qunfa stats`: who has read the articles of a plan, as WeChat counts them.

use clap::ValueEnum;
use jiff::civil::Date;
use serde_json::json;

use super::{
    clock::RealClock,
    failure::Failure,
    load::open_session,
    options::{BadValue, Common},
    session::Session,
    subject::{ShardArgs, Subject},
    target::Target,
    terminal::Terminal,
};
use crate::{
    clock::Clock,
    ledger::{Ledger, LedgerError, Observation, Scope},
    locale::{Count, Phrase, list, say},
    problem::{ExitCode, Refusal},
    render::RenderedPlan,
    report::{
        AccountRef, PlanRef,
        readers::{STATISTICS_SCHEMA, Statistics},
    },
    run::policy,
    stats::{self, ARTICLES, FOLLOWERS, Sent, answer, days, model::Readers},
    wechat::{
        client::{Client, Outcome},
        transport::{Body, Method},
    },
};

/// The statistics of a day are not ready yet.
const NOT_READY: i64 = 61503;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The plan
    #[arg(required_unless_present = "fleet")]
    plan: Option<String>,
    /// Only articles that were sent on or after this date, such as 2026-03-01
    #[arg(long, value_name = "DATE", env = "QUNFA_SINCE", hide_env_values = true, value_parser = date)]
    since: Option<Date>,
    /// Shows what the state store has, without asking WeChat
    #[arg(long, env = "QUNFA_OFFLINE", hide_env_values = true, value_parser = clap::builder::FalseyValueParser::new())]
    offline: bool,
    #[command(flatten)]
    shard: ShardArgs,
    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = "human", env = "QUNFA_FORMAT", hide_env_values = true)]
    format: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Human-readable text
    Human,
    /// JSON
    Json,
    /// A line per article and day
    Csv,
}

impl Args {
    pub(super) fn wants_json(&self) -> bool {
        self.format == Form::Json
    }
}

fn date(text: &str) -> Result<Date, BadValue> {
    let date: Option<Date> = text.parse().ok();
    date.filter(|date| date.to_string() == text).ok_or_else(|| BadValue(say!("write a date, such as 2026-03-01")))
}

pub(super) fn main(args: &Args, common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let subject = Subject::of(args.plan.as_deref(), &args.shard, common, terminal)?;
    subject.each(terminal, |target| one(args, target, common, terminal))
}

fn one(args: &Args, target: Target<'_>, common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let session = open_session(target, common, terminal)?;
    let clock = RealClock::at(common.now);
    let mut sent = stats::sent(&session.records()?);
    let days = days::of(&sent, clock.now(), args.since);
    // A send of which one day is left out is not shown either.
    sent.retain(|sent| args.since.is_none_or(|since| sent.days.iter().any(|date| *date >= since)));
    let mut found = Found { not_ready: days.early.clone(), ..Found::default() };
    if !args.offline && !days.asked.is_empty() {
        ask(&session, &days.asked, &clock, terminal, &mut found)?;
    }
    let readers = match session.store.read()? {
        Some(ledger) => readers(&*ledger, &session.scope, &sent)?,
        None => Readers::default(),
    };
    let code = if found.unreadable.is_empty() { ExitCode::Done } else { ExitCode::Failed };
    let statistics = Statistics {
        schema: STATISTICS_SCHEMA,
        exit_code: code as u8,
        notes: notes(&found, &days, sent.is_empty()),
        asked: found.asked,
        not_ready: found.not_ready,
        delayed: found.delayed,
        r#final: days.done,
        readers,
        ..about(&session.plan, &session.scope)
    };
    match args.format {
        Form::Human => terminal.out(&statistics.human()),
        Form::Json => terminal.out_json(&statistics.json()),
        Form::Csv => {
            terminal.exactly(&statistics.csv());
            for note in &statistics.notes {
                terminal.note(&format!("{}\n", say!("note: {text}", text = note)));
            }
        }
    }
    for why in &found.unreadable {
        terminal.err(&format!("{}\n", say!("warning: {message}", message = why)));
    }
    Ok(code)
}

/// What the ledger has of the articles of an edition.
pub(super) fn readers(ledger: &dyn Ledger, scope: &Scope, sent: &[Sent]) -> Result<Readers, LedgerError> {
    if sent.is_empty() {
        return Ok(Readers::default());
    }
    let of = |kind: &str, subjects: Option<&[String]>| {
        ledger.observations(scope.platform.name(), &scope.appid, kind, subjects)
    };
    let dates: Vec<String> = sent.iter().flat_map(|sent| &sent.days).map(Date::to_string).collect();
    let articles = of(ARTICLES, stats::subjects(sent).as_deref())?;
    Ok(stats::joined(sent, &articles, &of(FOLLOWERS, Some(&dates))?))
}

fn about(plan: &RenderedPlan, scope: &Scope) -> Statistics {
    Statistics {
        schema: STATISTICS_SCHEMA,
        exit_code: 0,
        plan: PlanRef { name: plan.name.clone(), path: plan.path.clone(), digest: plan.digest().to_owned() },
        account: AccountRef {
            appid: plan.appid.clone(),
            kind: plan.account.kind.name().into(),
            name: plan.account.name.clone(),
        },
        occurrence: scope.occurrence.clone(),
        platform: scope.platform.name().to_owned(),
        asked: Vec::new(),
        not_ready: Vec::new(),
        delayed: Vec::new(),
        r#final: Vec::new(),
        notes: Vec::new(),
        readers: Readers::default(),
    }
}

/// What became of the questions.
#[derive(Default)]
struct Found {
    asked: Vec<Date>,
    not_ready: Vec<Date>,
    delayed: Vec<Date>,
    unreadable: Vec<Phrase>,
}

/// Asks day by day, and keeps each answer before the next question.
fn ask(
    session: &Session,
    days: &[Date],
    clock: &dyn Clock,
    terminal: &Terminal,
    found: &mut Found,
) -> Result<(), Failure> {
    let credential = session.credential(terminal).map_err(Refusal::missing_input)?;
    let mut ledger = session.store.observe().map_err(|error| session.not_written(error))?;
    let mut connection = session.connect(session.tokens(terminal))?;
    let timeout = connection.timeout;
    let mut client = connection.client(credential, clock);
    let Scope { platform, appid, .. } = &session.scope;
    for date in days {
        let mut keep = |kind: &str, rows: Vec<(String, String)>| {
            let kept = |(subject, body)| Observation { kind: kind.to_owned(), subject, at: clock.now(), body };
            ledger.observe(platform.name(), appid, &rows.into_iter().map(kept).collect::<Vec<_>>())
        };
        let Some(reply) = question(&mut client, ARTICLES, *date, timeout, session)? else {
            found.not_ready.push(*date);
            continue;
        };
        let read = answer::articles(&reply).map_err(|why| refused(ARTICLES, *date, &why, session))?;
        keep(ARTICLES, read.rows)?;
        found.asked.push(*date);
        found.unreadable.extend(read.unreadable);
        if read.is_delayed {
            found.delayed.push(*date);
        }
        if let Some(reply) = question(&mut client, FOLLOWERS, *date, timeout, session)? {
            let read = answer::followers(&reply, *date).map_err(|why| refused(FOLLOWERS, *date, &why, session))?;
            keep(FOLLOWERS, read.rows)?;
            found.unreadable.extend(read.unreadable);
        }
    }
    Ok(())
}

fn refused(api: &str, date: Date, why: &Phrase, session: &Session) -> Refusal {
    let message = say!("cannot get the statistics of {date} ({api}): {why}", date = date.to_string(), api, why);
    let command = session.plan.command("stats", &["--offline"]);
    Refusal::new(ExitCode::Failed, message)
        .help(say!("what was received before is kept; to see it, run: {command}", command))
}

/// Asks for one day; none if it is not ready. It changes nothing, so it may be asked again at any time.
fn question(
    client: &mut Client<'_>,
    api: &str,
    date: Date,
    timeout: std::time::Duration,
    session: &Session,
) -> Result<Option<serde_json::Map<String, serde_json::Value>>, Refusal> {
    let body = json!({ "begin_date": date.to_string(), "end_date": date.to_string() }).to_string();
    match client.call(Method::Post, &format!("/datacube/{api}"), Body::Json(&body), timeout) {
        Outcome::Reply(reply) if reply.errcode == 0 => Ok(Some(reply.members)),
        Outcome::Reply(reply) if reply.errcode == NOT_READY => Ok(None),
        outcome => {
            let advice = policy::advice(&outcome);
            let mut refusal = refused(api, date, &advice.message, session);
            refusal.problem.errcode = advice.errcode;
            refusal.problem.help.splice(0..0, advice.help);
            Err(refusal)
        }
    }
}

fn notes(found: &Found, days: &days::Days, nothing: bool) -> Vec<Phrase> {
    let dates = |days: &[Date]| list(days.iter().map(Date::to_string));
    let mut notes = Vec::new();
    if nothing {
        notes.push(say!("no articles were sent"));
    }
    if !found.not_ready.is_empty() {
        notes.push(say!(
            "not ready: {dates}; WeChat has the numbers of a day after 08:00 (Asia/Shanghai) of the next",
            dates = dates(&found.not_ready)
        ));
    }
    if !found.delayed.is_empty() {
        notes.push(say!(
            "WeChat says that its numbers of {dates} are late; ask again later",
            dates = dates(&found.delayed)
        ));
    }
    if !days.done.is_empty() {
        let most = Count(days::COUNTED.unsigned_abs());
        notes.push(say!(
            "final: {dates}; WeChat counts the readers of an article for {most} days",
            dates = dates(&days.done),
            most
        ));
    }
    if !days.before.is_empty() {
        notes.push(say!(
            "WeChat has no such statistics of {dates}: they begin on {first}",
            dates = dates(&days.before),
            first = days::FIRST.to_string()
        ));
    }
    notes
}
