//! `qunfa comments`: of an article that a step has sent.

use serde_json::{Value, json};

use super::{
    clock::RealClock,
    delete::by,
    failure::Failure,
    load::open_session,
    options::{BadValue, Common, Format, FormatArg, number},
    process,
    session::Session,
    settle::no_edition,
    subject::{Subject, plan_and_step},
    terminal::Terminal,
};
use crate::{
    clock::{Clock, shanghai},
    ledger::{CallRecord, Ledger, Scope, Status},
    limits,
    locale::{Count, list, say},
    problem::{ExitCode, Problem, Refusal},
    run::{
        self,
        comments::{Book, Call, Change, Comment, Comments, End, Kind, Listed, NotListed, Sent, unknown},
    },
    text,
};

#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum Action {
    /// Lists the comments of an article
    List(ListArgs),
    /// Lets readers comment on an article
    Open(Write),
    /// Ends that readers can comment on an article
    Close(Write),
    /// Selects a comment (精选), so that all readers see it
    Elect(WriteOne),
    /// Takes the selection from a comment
    Unelect(WriteOne),
    /// Answers a comment
    Reply(ReplyArgs),
    /// Deletes the answer to a comment
    Unreply(WriteOne),
    /// Deletes a comment
    Delete(WriteOne),
}

/// The article.
#[derive(Debug, Clone, clap::Args)]
struct Which {
    /// The plan
    #[arg(required_unless_present = "fleet")]
    plan: Option<String>,
    /// The send step: an id, or an instance such as 'city[北京]'
    #[arg(required_unless_present = "fleet")]
    step: Option<String>,
    /// The article of the message, starting at 1
    #[arg(long, value_name = "N", default_value = "1", env = "QUNFA_ARTICLE", hide_env_values = true, value_parser = article)]
    article: u64,
    /// The occurrence (edition), if it is not the one in the plan
    #[arg(long, value_name = "NAME", env = "QUNFA_OCCURRENCE", hide_env_values = true)]
    occurrence: Option<String>,
    /// Number of the call, if its calls were sent as several articles
    #[arg(long, value_name = "N", env = "QUNFA_CHUNK", hide_env_values = true, value_parser = number::<u32>)]
    chunk: Option<u32>,
    /// The article's `msg_data_id`, if the ledger does not have it
    #[arg(long, value_name = "NUMBER", env = "QUNFA_MSG_DATA_ID", hide_env_values = true, value_parser = number::<u64>)]
    msg_data_id: Option<u64>,
    #[command(flatten)]
    format: FormatArg,
}

#[derive(Debug, Clone, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    which: Which,
    /// Which comments
    #[arg(long = "type", value_name = "TYPE", default_value = "all", env = "QUNFA_TYPE", hide_env_values = true)]
    kind: KindArg,
    /// Lists at most so many, up to 50000 [default: 200]
    #[arg(long, value_name = "N", env = "QUNFA_MOST", hide_env_values = true, value_parser = most)]
    most: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum KindArg {
    /// All comments
    All,
    /// Those that are not selected
    Normal,
    /// Those that all readers see
    Selected,
}

#[derive(Debug, Clone, clap::Args)]
struct Write {
    #[command(flatten)]
    which: Which,
    /// Why it is done; recorded in the ledger
    #[arg(long, value_name = "TEXT", env = "QUNFA_REASON", hide_env_values = true)]
    reason: Option<String>,
}

#[derive(Debug, Clone, clap::Args)]
struct WriteOne {
    #[command(flatten)]
    write: Write,
    /// The comment, as `qunfa comments list` numbers it
    #[arg(long, value_name = "NUMBER", env = "QUNFA_COMMENT", hide_env_values = true, value_parser = number::<u64>)]
    comment: u64,
}

#[derive(Debug, Clone, clap::Args)]
struct ReplyArgs {
    #[command(flatten)]
    one: WriteOne,
    /// The answer
    #[arg(long, value_name = "TEXT", env = "QUNFA_REPLY", hide_env_values = true)]
    text: String,
}

fn article(text: &str) -> Result<u64, BadValue> {
    let number = text.parse().ok().filter(|number| (1..=limits::DRAFT_ARTICLES_MAX as u64).contains(number));
    number.ok_or_else(|| BadValue(say!("write the number of an article, from 1 to 8")))
}

fn most(text: &str) -> Result<usize, BadValue> {
    let number = text.parse().ok().filter(|number| (1..=limits::COMMENTS_MAX).contains(number));
    number.ok_or_else(|| BadValue(say!("write a whole number from 1 to 50000")))
}

impl Args {
    pub(super) fn format(&self) -> &FormatArg {
        &self.which().format
    }

    fn which(&self) -> &Which {
        match &self.action {
            Action::List(args) => &args.which,
            Action::Open(write) | Action::Close(write) => &write.which,
            Action::Elect(one) | Action::Unelect(one) | Action::Unreply(one) | Action::Delete(one) => &one.write.which,
            Action::Reply(reply) => &reply.one.write.which,
        }
    }

    /// What is changed, and why; none if comments are only listed.
    fn change(&self) -> Option<(Change, Option<&str>)> {
        let one = |one: &WriteOne, change: fn(u64) -> Change| change(one.comment);
        let (change, write) = match &self.action {
            Action::List(_) => return None,
            Action::Open(write) => (Change::Open, write),
            Action::Close(write) => (Change::Close, write),
            Action::Elect(args) => (one(args, Change::Elect), &args.write),
            Action::Unelect(args) => (one(args, Change::Unelect), &args.write),
            Action::Unreply(args) => (one(args, Change::Unreply), &args.write),
            Action::Delete(args) => (one(args, Change::Delete), &args.write),
            Action::Reply(ReplyArgs { one, text }) => (Change::Reply(one.comment, text.clone()), &one.write),
        };
        Some((change, write.reason.as_deref()))
    }
}

pub(super) fn main(args: &Args, common: &Common, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let which = args.which();
    let (plan, step) = plan_and_step(which.plan.as_deref(), which.step.as_deref(), common);
    let Some(step) = step else {
        return Err(Refusal::usage(say!("no step given")).help(say!("name the step that has sent the article")).into());
    };
    let subject = Subject::one(plan, common, terminal)?;
    let session = open_session(subject.target(), common, terminal)?;
    process::catch_signals();
    let clock = RealClock::at(common.now);
    let mut scope = session.scope.clone();
    if let Some(occurrence) = &which.occurrence {
        scope.occurrence.clone_from(occurrence);
    }
    let change = args.change();
    let mut ledger: Box<dyn Ledger + '_> = match &change {
        Some(_) => session.write(&clock, terminal)?,
        None => match session.store.read()? {
            Some(ledger) => ledger,
            None => return Err(nothing_sent(&session, step).into()),
        },
    };
    let records = run::history(&session.plan, &*ledger, &scope)?;
    if records.is_empty() && which.occurrence.is_some() {
        return Err(no_edition(&session.scope, &scope.occurrence, &*ledger)?.into());
    }
    let (name, sent) = sent(&session, step, which, &records)?;
    let credential = session.credential(terminal).map_err(Refusal::missing_input)?;
    let mut connection = session.connect(session.tokens(terminal))?;
    let timeout = connection.timeout;
    let mut client = connection.client(credential, &clock);
    let retry = session.plan.steps.iter().find(|known| known.id == name.0).map(|step| step.retry).unwrap_or_default();
    let mut comments =
        Comments { client: &mut client, clock: &clock, interrupted: &process::interrupted, timeout, retry };
    match (change, &args.action) {
        (Some((change, reason)), _) => {
            let note = by(reason);
            let run_id = process::new_run_id(clock.now());
            let call = Call::of(&scope, (&name.0, name.1.as_deref()), sent, &change, &records);
            let mut book = Book { ledger: &mut *ledger, scope: &scope, run_id: &run_id, note: &note };
            let end = comments.change(sent, &change, call, &mut book);
            changed(end, sent, which, &scope, terminal)
        }
        (None, Action::List(args)) => {
            let kind = match args.kind {
                KindArg::All => Kind::All,
                KindArg::Normal => Kind::Normal,
                KindArg::Selected => Kind::Selected,
            };
            match comments.list(sent, kind, args.most.unwrap_or(limits::COMMENTS_LISTED)) {
                Ok(listed) => Ok(show(&listed, sent, which, terminal)),
                Err(NotListed::Failed(problem)) => Err(Refusal { code: ExitCode::Failed, problem }.into()),
                Err(NotListed::Interrupted) => Err(Refusal::new(ExitCode::Interrupted, say!("interrupted")).into()),
            }
        }
        (None, _) => unreachable!("what changes nothing lists"),
    }
}

fn nothing_sent(session: &Session, step: &str) -> Refusal {
    let command = session.plan.command("status", &[]);
    Refusal::usage(say!("nothing of `{step}` was sent, so it has no comments", step))
        .help(say!("see `{command}`", command))
}

/// The instance that is meant, as (id, key), and its article.
fn sent(
    session: &Session,
    step: &str,
    which: &Which,
    records: &[CallRecord],
) -> Result<((String, Option<String>), Sent), Refusal> {
    let named = |record: &&CallRecord| {
        let id = &record.frozen.id;
        (id.step == step || id.name() == step) && which.chunk.is_none_or(|chunk| chunk == id.chunk)
    };
    let mass = records.iter().filter(|record| record.frozen.is_mass() && record.status == Status::Accepted);
    let calls: Vec<&CallRecord> = mass.filter(named).collect();
    let Some(first) = calls.first() else { return Err(nothing_sent(session, step)) };
    let name = (first.frozen.id.step.clone(), first.frozen.id.key.clone());
    if let Some(msg_data_id) = which.msg_data_id {
        return Ok((name, Sent { msg_data_id, article: which.article }));
    }
    let id_of = |record: &CallRecord| record.acceptance().and_then(|fact| fact.msg_data_id);
    let mut known: Vec<(u64, String)> = Vec::new();
    for (id, call) in calls.iter().filter_map(|call| Some((id_of(call)?, call))) {
        let frozen = &call.frozen.id;
        if known.iter().all(|(other, _)| *other != id) {
            known.push((id, say!("{step} call {chunk}", step = frozen.name(), chunk = frozen.chunk).to_string()));
        }
    }
    match known.as_slice() {
        [(msg_data_id, _)] => Ok((name, Sent { msg_data_id: *msg_data_id, article: which.article })),
        [] => {
            let (message, help) = unknown(step);
            Err(help.into_iter().fold(Refusal::missing_input(message), Refusal::help))
        }
        several => {
            let message = say!(
                "`{step}` was sent as {articles} articles with comments of their own",
                step,
                articles = Count::from(several.len())
            );
            let calls = list(several.iter().map(|(_, call)| call.clone()));
            Err(Refusal::usage(message).help(say!("name one instance, or one call with --chunk: {calls}", calls)))
        }
    }
}

fn changed(end: End, sent: Sent, which: &Which, scope: &Scope, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let failed = |code, problem: Problem| Err(Refusal { code, problem }.into());
    let before = match end {
        End::Done => false,
        End::DoneBefore => true,
        End::Failed(problem) => return failed(ExitCode::Failed, problem),
        End::Unknown(problem) => {
            let message = say!("unknown whether it was done: {why}", why = &problem.message);
            let problem = Problem { message, ..problem }.help(say!("run the same command again"));
            return failed(ExitCode::Unknown, problem);
        }
        End::Interrupted => return Err(Refusal::new(ExitCode::Interrupted, say!("interrupted")).into()),
        End::Store(error) => return Err(Refusal::from(error).into()),
    };
    if which.format.format == Format::Json {
        let members = json!({
            "plan": scope.plan, "occurrence": scope.occurrence, "platform": scope.platform.name(),
            "msg_data_id": sent.msg_data_id, "article": sent.article, "done_before": before,
        });
        terminal.document(ExitCode::Done, members);
    } else {
        let told = match before {
            true => say!("done: an earlier attempt had done it"),
            false => say!("done"),
        };
        terminal.out(&format!("{told}\n"));
    }
    Ok(ExitCode::Done)
}

fn show(listed: &Listed, sent: Sent, which: &Which, terminal: &Terminal) -> ExitCode {
    if which.format.format == Format::Json {
        let comments: Vec<Value> = listed.comments.iter().map(document).collect();
        let members = json!({
            "msg_data_id": sent.msg_data_id, "article": sent.article, "total": listed.total, "comments": comments,
        });
        terminal.document(ExitCode::Done, members);
        return ExitCode::Done;
    }
    let time = |seconds: i64| {
        let at = jiff::Timestamp::from_second(seconds).unwrap_or_default();
        shanghai(at).strftime("%Y-%m-%d %H:%M:%S").to_string()
    };
    for comment in &listed.comments {
        let kind = if comment.is_selected { say!("selected") } else { say!("not selected") };
        let head = say!(
            "comment {number}, {at}, {kind}, from {openid}",
            number = comment.id,
            at = time(comment.created),
            kind,
            openid = text::one_line(&comment.openid)
        );
        terminal.out(&format!("{head}\n  {}\n", text::one_line(&comment.content)));
        for (reply, at) in &comment.replies {
            let told = say!("answered at {at}: {reply}", at = time(*at), reply = text::one_line(reply));
            terminal.out(&format!("  {told}\n"));
        }
    }
    let told = say!(
        "{shown} of {total} comment" | "{shown} of {total} comments",
        total = Count(listed.total),
        shown = Count::from(listed.comments.len())
    );
    terminal.out(&format!("{told}\n"));
    ExitCode::Done
}

fn document(comment: &Comment) -> Value {
    let at = |seconds: i64| jiff::Timestamp::from_second(seconds).ok();
    let replies: Vec<Value> =
        comment.replies.iter().map(|(content, seconds)| json!({ "content": content, "at": at(*seconds) })).collect();
    json!({
        "comment": comment.id, "openid": comment.openid, "at": at(comment.created), "content": comment.content,
        "selected": comment.is_selected, "replies": replies,
    })
}
