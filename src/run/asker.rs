//! Questions of a person who looks at an account: calls that only read, and what WeChat gives in pages.

use std::{collections::HashSet, time::Duration};

use serde_json::{Value, json};

use super::policy;
use crate::{
    clock::Clock,
    limits,
    locale::{Phrase, say},
    payload::Effect,
    problem::{ExitCode, Problem, Refusal},
    render::RetryPolicy,
    wechat::{
        Reply,
        client::{Client, Outcome},
        transport::{Body, Method},
    },
};

/// Asks WeChat about the account.
pub(crate) struct Asker<'a, 'c> {
    pub(crate) client: &'a mut Client<'c>,
    pub(crate) clock: &'a dyn Clock,
    /// How long an answer is waited for.
    pub(crate) timeout: Duration,
    pub(crate) retry: RetryPolicy,
    /// True once somebody asked to stop.
    pub(crate) interrupted: &'a dyn Fn() -> bool,
}

/// A list that WeChat gives in pages.
pub(crate) struct Paged<'p> {
    pub(crate) path: &'p str,
    /// What is asked for besides the page.
    pub(crate) with: (&'p str, Value),
    /// The member that tells one item from another.
    pub(crate) id: &'p str,
}

/// A list as far as it was read.
#[derive(Debug)]
pub(crate) struct Listed {
    /// Objects, each with an id of its own, in WeChat's order.
    pub(crate) items: Vec<Value>,
    /// How many there are, as WeChat said last.
    pub(crate) total: u64,
    /// It changed while it was read, or WeChat gave fewer than it has: something may be missing.
    pub(crate) partial: bool,
}

impl Asker<'_, '_> {
    /// A call that only reads, repeated as the plan says; `what` cannot be had without an answer.
    pub(crate) fn ask(&mut self, what: &Phrase, method: Method, path: &str, body: &str) -> Result<Reply, Refusal> {
        self.repeat(what, |asker| match asker.client.call(method, path, Body::Json(body), asker.timeout) {
            Outcome::Reply(reply) if reply.errcode == 0 => Ok(reply),
            outcome => Err(outcome),
        })
    }

    /// A call that is answered with a file; an answer in JSON is none.
    pub(crate) fn file(&mut self, what: &Phrase, path: &str, body: &str) -> Result<Vec<u8>, Refusal> {
        self.repeat(what, |asker| asker.client.file(path, Body::Json(body), asker.timeout))
    }

    fn repeat<T>(
        &mut self,
        what: &Phrase,
        mut call: impl FnMut(&mut Self) -> Result<T, Outcome>,
    ) -> Result<T, Refusal> {
        let mut retry = self.retry.retry();
        loop {
            if (self.interrupted)() {
                return Err(interrupted(what));
            }
            let outcome = match call(self) {
                Ok(given) => return Ok(given),
                Err(outcome) => outcome,
            };
            let again = policy::judge(Effect::Read, false, &outcome).1 == policy::Next::Again;
            let pause = retry.next().filter(|_| again);
            if !pause.is_some_and(|pause| self.clock.sleep(pause)) {
                return Err(match (self.interrupted)() {
                    true => interrupted(what),
                    false => failed(what, policy::advice(&outcome)),
                });
            }
        }
    }

    /// The first `most` items of a list. However WeChat answers, it ends: each page brings something new, or is the last.
    pub(crate) fn list(&mut self, what: &Phrase, paged: &Paged<'_>, most: usize) -> Result<Listed, Refusal> {
        let mut listed = Listed { items: Vec::new(), total: 0, partial: false };
        let mut known: HashSet<String> = HashSet::new();
        let (mut offset, mut first) = (0, true);
        loop {
            let (name, value) = &paged.with;
            let count = limits::PAGE_ITEMS.min(most - listed.items.len());
            let body = json!({ *name: value, "offset": offset, "count": count }).to_string();
            let reply = self.ask(what, Method::Post, paged.path, &body)?;
            let Some((total, page)) = page_of(reply, paged.id) else {
                return Err(failed(what, Problem::new(say!("WeChat's answer is not a list"))));
            };
            listed.partial |= !first && total != listed.total;
            (listed.total, first) = (total, false);
            offset += page.len();
            let before = listed.items.len();
            for (id, item) in page {
                if listed.items.len() < most && known.insert(id) {
                    listed.items.push(item);
                }
            }
            let got = listed.items.len();
            if got >= most || got as u64 >= total {
                return Ok(listed);
            }
            if got == before {
                listed.partial = true;
                return Ok(listed);
            }
        }
    }
}

/// How many items there are, and those of a page with their ids; none if it is no page.
fn page_of(mut reply: Reply, id: &str) -> Option<(u64, Vec<(String, Value)>)> {
    let total = number(reply.members.get("total_count")?)?;
    // An empty list need not be there.
    let items = match reply.members.remove("item") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(items)) => items,
        Some(_) => return None,
    };
    let named = items.into_iter().map(|item| {
        let id = item.get(id)?.as_str().filter(|id| !id.is_empty() && id.len() <= limits::KEPT_BYTES)?.to_owned();
        Some((id, item))
    });
    Some((total, named.collect::<Option<Vec<_>>>()?))
}

/// A number, also one in quotes.
pub(crate) fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn interrupted(what: &Phrase) -> Refusal {
    Refusal::new(ExitCode::Interrupted, say!("{what}: interrupted", what))
}

/// Exit code 5.
pub(crate) fn failed(what: &Phrase, problem: Problem) -> Refusal {
    let message = say!("{what}: {why}", what, why = &problem.message);
    Refusal { code: ExitCode::Failed, problem: Problem { message, ..problem } }
}
