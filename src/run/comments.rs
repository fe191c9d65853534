//! Comments of a sent article: listed, and changed by hand, each attempt to change on record before it is made.
//!
//! What is done twice is done once, but for an answer: WeChat says that there is one already (88005), and then it is looked up
//! whether it is ours. Nothing that readers wrote, and none of their openids, goes into the ledger.
//! <https://developers.weixin.qq.com/doc/subscription/api/leaving/api_openarticlecomment.html>

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    attempt::{event_of, noted},
    policy::{self, Next},
};
use crate::{
    clock::Clock,
    ledger::{CallId, CallRecord, Event, EventKind, FrozenCall, Ledger, LedgerError, Scope, Status},
    limits,
    locale::{Phrase, say},
    payload::{Effect, Payload},
    problem::Problem,
    render::{RetryPolicy, idempotency_key},
    wechat::{
        Reply,
        client::{Client, Outcome},
        transport::{Body, Method},
    },
};

/// What the id of a step begins with that no plan has: it stands for what a person did.
const BY_HAND: &str = "@comments ";
const LIST: &str = "/cgi-bin/comment/list";
/// The comment has an answer.
const ANSWERED: i64 = 88005;
/// The comment is not there.
const GONE: i64 = 88008;

/// An article that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) msg_data_id: u64,
    /// Which of its articles, from 1; WeChat counts from 0.
    pub(crate) article: u64,
}

/// What is changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// Readers may comment.
    Open,
    Close,
    /// A comment is shown to all readers. Like all below, by its `user_comment_id`.
    Elect(u64),
    Unelect(u64),
    Delete(u64),
    Reply(u64, String),
    Unreply(u64),
}

impl Change {
    fn path(&self) -> &'static str {
        match self {
            Self::Open => "/cgi-bin/comment/open",
            Self::Close => "/cgi-bin/comment/close",
            Self::Elect(_) => "/cgi-bin/comment/markelect",
            Self::Unelect(_) => "/cgi-bin/comment/unmarkelect",
            Self::Delete(_) => "/cgi-bin/comment/delete",
            Self::Reply(..) => "/cgi-bin/comment/reply/add",
            Self::Unreply(_) => "/cgi-bin/comment/reply/delete",
        }
    }

    fn comment(&self) -> Option<u64> {
        match self {
            Self::Open | Self::Close => None,
            Self::Elect(id) | Self::Unelect(id) | Self::Delete(id) | Self::Reply(id, _) | Self::Unreply(id) => {
                Some(*id)
            }
        }
    }

    fn body(&self, sent: Sent) -> Value {
        let mut body = sent.body();
        if let Some(comment) = self.comment() {
            body["user_comment_id"] = comment.into();
        }
        if let Self::Reply(_, text) = self {
            body["content"] = text.as_str().into();
        }
        body
    }
}

impl Sent {
    fn body(self) -> Value {
        json!({ "msg_data_id": self.msg_data_id, "index": self.article.saturating_sub(1) })
    }
}

/// Which comments are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    All,
    Normal,
    Selected,
}

/// A comment, as WeChat gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Comment {
    pub(crate) id: u64,
    /// Who wrote it.
    pub(crate) openid: String,
    /// Seconds since 1970.
    pub(crate) created: i64,
    pub(crate) content: String,
    /// Shown to all readers.
    pub(crate) is_selected: bool,
    /// The answers, each with the second in which it was given.
    pub(crate) replies: Vec<(String, i64)>,
}

/// Comments, the newest pages first, and how many there are in all.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) total: u64,
    pub(crate) comments: Vec<Comment>,
}

/// How a change ended.
#[derive(Debug)]
pub(crate) enum End {
    Done,
    /// An earlier attempt, whose answer was lost, had done it.
    DoneBefore,
    Failed(Problem),
    /// It may have been done.
    Unknown(Problem),
    Interrupted,
    Store(LedgerError),
}

/// Why comments are not listed.
#[derive(Debug)]
pub(crate) enum NotListed {
    Failed(Problem),
    Interrupted,
}

/// What WeChat is asked with.
pub(crate) struct Comments<'a, 'c> {
    pub(crate) client: &'a mut Client<'c>,
    pub(crate) clock: &'a dyn Clock,
    /// True once somebody asked to stop.
    pub(crate) interrupted: &'a dyn Fn() -> bool,
    /// Of one request.
    pub(crate) timeout: Duration,
    pub(crate) retry: RetryPolicy,
}

/// Where a change is recorded.
pub(crate) struct Book<'a> {
    pub(crate) ledger: &'a mut dyn Ledger,
    pub(crate) scope: &'a Scope,
    pub(crate) run_id: &'a str,
    /// Who does it, and why.
    pub(crate) note: &'a str,
}

impl Comments<'_, '_> {
    /// At most so many comments of an article.
    pub(crate) fn list(&mut self, sent: Sent, kind: Kind, most: usize) -> Result<Listed, NotListed> {
        let mut listed = Listed { total: 0, comments: Vec::new() };
        let mut begin = 0;
        while begin < most {
            let mut body = sent.body();
            let count = (most - begin).min(limits::COMMENTS_PAGE);
            body["begin"] = begin.into();
            body["count"] = count.into();
            body["type"] = (kind as u8).into();
            let reply = self.read(&body.to_string())?;
            let page = reply.members.get("comment").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            listed.total = reply.members.get("total").and_then(Value::as_u64).unwrap_or(0);
            listed.comments.extend(page.iter().filter_map(comment));
            begin += page.len();
            if page.is_empty() || begin as u64 >= listed.total {
                break;
            }
        }
        Ok(listed)
    }

    fn read(&mut self, body: &str) -> Result<Reply, NotListed> {
        let mut tries = self.retry.retry();
        loop {
            if (self.interrupted)() {
                return Err(NotListed::Interrupted);
            }
            let outcome = self.client.call(Method::Post, LIST, Body::Json(body), self.timeout);
            let (_, next) = policy::judge(Effect::Read, false, &outcome);
            match outcome {
                Outcome::Reply(reply) if reply.errcode == 0 => return Ok(reply),
                outcome => {
                    let pause = tries.next().filter(|_| next == Next::Again);
                    if !pause.is_some_and(|pause| self.clock.sleep(pause)) {
                        return Err(match (self.interrupted)() {
                            true => NotListed::Interrupted,
                            false => NotListed::Failed(policy::advice(&outcome)),
                        });
                    }
                }
            }
        }
    }

    /// Changes something: its intent is recorded before each attempt, and its outcome after it.
    pub(crate) fn change(&mut self, sent: Sent, change: &Change, mut call: Call, book: &mut Book<'_>) -> End {
        let mut tries = self.retry.retry();
        loop {
            if (self.interrupted)() {
                return End::Interrupted;
            }
            let (next, outcome) = match self.attempt(&mut call, book) {
                Ok(made) => made,
                Err(error) => return End::Store(error),
            };
            if next == Next::Done {
                return End::Done;
            }
            // An earlier attempt may have done it, and then WeChat refuses to do it again.
            let was_in_doubt = call.record.unsettled().count() > 0;
            if was_in_doubt && self.is_done(sent, change, &outcome) {
                return match call.done_before(self.clock, book) {
                    Ok(()) => End::DoneBefore,
                    Err(error) => End::Store(error),
                };
            }
            let problem = policy::advice(&outcome);
            let pause = match next {
                Next::Again | Next::Doubt => tries.next(),
                Next::Done | Next::Fail { .. } => None,
            };
            let Some(pause) = pause else {
                return if call.record.status.in_doubt() || was_in_doubt {
                    End::Unknown(problem)
                } else {
                    End::Failed(problem)
                };
            };
            if !self.clock.sleep(pause) {
                return End::Interrupted;
            }
        }
    }

    /// Whether a refusal says that what was to be done is done.
    fn is_done(&mut self, sent: Sent, change: &Change, outcome: &Outcome) -> bool {
        let Outcome::Reply(reply) = outcome else { return false };
        match change {
            Change::Delete(_) => reply.errcode == GONE,
            Change::Reply(comment, text) if reply.errcode == ANSWERED => {
                let listed = self.list(sent, Kind::All, limits::COMMENTS_MAX);
                let listed = listed.map_or_else(|_| Vec::new(), |listed| listed.comments);
                let ours = listed.iter().find(|listed| listed.id == *comment);
                ours.is_some_and(|listed| listed.replies.iter().any(|(reply, _)| reply.trim() == text.trim()))
            }
            _ => false,
        }
    }

    fn attempt(&mut self, call: &mut Call, book: &mut Book<'_>) -> Result<(Next, Outcome), LedgerError> {
        // A token first: what is noted as attempted is then really attempted.
        if let Err(error) = self.client.ready() {
            return Ok((Next::Fail { stop: true }, Outcome::NoToken(error)));
        }
        let body = call.record.frozen.payload.clone();
        if self.client.withholds(Body::Json(&body)) {
            return Ok((Next::Fail { stop: true }, Outcome::Withheld));
        }
        call.intend(self.clock, book)?;
        let outcome = self.client.call(Method::Post, &call.record.frozen.path, Body::Json(&body), self.timeout);
        let (kind, next) = policy::judge(Effect::Setting, false, &outcome);
        let event = event_of(kind, &outcome, self.clock.now(), book.run_id);
        call.append(event, book)?;
        book.ledger.sync()?;
        Ok((next, outcome))
    }
}

/// A call that changes something, with what happened to it before.
#[derive(Debug)]
pub(crate) struct Call {
    record: CallRecord,
    /// Whether the ledger has it.
    is_known: bool,
}

impl Call {
    /// Of an instance of a send. An earlier one of the same bytes whose outcome is not known is gone on with.
    pub(crate) fn of(
        scope: &Scope,
        send: (&str, Option<&str>),
        sent: Sent,
        change: &Change,
        records: &[CallRecord],
    ) -> Self {
        let (step, key) = (format!("{BY_HAND}{}", send.0), send.1.map(str::to_owned));
        let payload = Payload::plain(&change.body(sent));
        let of_step = || records.iter().filter(|record| record.frozen.id.step == step && record.frozen.id.key == key);
        let same =
            |record: &&CallRecord| record.frozen.path == change.path() && record.frozen.digest == payload.digest();
        if let Some(known) = of_step().filter(same).find(|record| record.status.in_doubt()) {
            return Self { record: known.clone(), is_known: true };
        }
        let chunk = of_step().map(|record| record.frozen.id.chunk).max().unwrap_or(0) + 1;
        let id = CallId { step, key, chunk };
        let frozen = FrozenCall {
            idempotency_key: idempotency_key(
                &scope.appid,
                &scope.plan,
                &scope.occurrence,
                &id.step,
                id.key.as_deref(),
                chunk,
            ),
            id,
            action: "comments".to_owned(),
            path: change.path().to_owned(),
            digest: payload.digest().to_owned(),
            payload: payload.raw(),
            message_digest: None,
            recipients: None,
            effect: Effect::Setting,
        };
        Self { record: CallRecord::planned(frozen), is_known: false }
    }

    fn intend(&mut self, clock: &dyn Clock, book: &mut Book<'_>) -> Result<(), LedgerError> {
        let body = Some(self.record.frozen.payload.clone());
        let note = Some(book.note.to_owned());
        let intent = Event { body, note, ..Event::new(EventKind::Attempted, clock.now(), book.run_id) };
        self.append(intent, book)
    }

    /// WeChat says by its refusal that an earlier attempt had done it.
    fn done_before(&mut self, clock: &dyn Clock, book: &mut Book<'_>) -> Result<(), LedgerError> {
        if self.record.status != (Status::InFlight { doubt: true }) {
            self.intend(clock, book)?;
        }
        let note = Some(noted(&say!("an earlier attempt had done it")));
        let fact = Event { note, ..Event::new(EventKind::Accepted, clock.now(), book.run_id) };
        self.append(fact, book)?;
        book.ledger.sync()
    }

    /// Appends an event to the ledger and adds it to the record, or neither.
    fn append(&mut self, event: Event, book: &mut Book<'_>) -> Result<(), LedgerError> {
        super::take_back::append(&mut *book.ledger, book.scope, (&mut self.record, &mut self.is_known), event)
    }
}

/// A comment; none if it has no number. The answer is one object or a list of them.
fn comment(value: &Value) -> Option<Comment> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let number = |value: &Value| value.as_i64().or_else(|| value.as_str()?.parse().ok());
    let replies = match &value["reply"] {
        Value::Array(list) => list.as_slice(),
        Value::Object(_) => std::slice::from_ref(&value["reply"]),
        _ => &[],
    };
    let replies = replies.iter().filter(|reply| reply["content"].is_string());
    Some(Comment {
        id: number(&value["user_comment_id"]).and_then(|id| u64::try_from(id).ok())?,
        openid: text(&value["openid"]),
        created: number(&value["create_time"]).unwrap_or(0),
        content: text(&value["content"]),
        is_selected: number(&value["comment_type"]) == Some(1),
        replies: replies.map(|reply| (text(&reply["content"]), number(&reply["create_time"]).unwrap_or(0))).collect(),
    })
}

/// What is said of an article whose number for comments is not known.
pub(crate) fn unknown(step: &str) -> (Phrase, Vec<Phrase>) {
    let message = say!(
        "the `msg_data_id` of `{step}` is not known: WeChat does not repeat it when a send is found to be there already (45065)",
        step
    );
    let help = vec![
        say!("the statistics of the day have it: `msgid` of the article there is msg_data_id_INDEX"),
        say!("then name it: --msg-data-id NUMBER"),
    ];
    (message, help)
}
