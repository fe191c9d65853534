//! Calls that only read: lists of the account.

use std::time::Duration;

use super::policy;
use crate::{
    clock::Clock,
    payload::Effect,
    problem::Problem,
    render::RetryPolicy,
    wechat::{
        Reply,
        client::{Client, Outcome},
        transport::{Body, Method},
    },
};

/// Reads lists, page by page.
pub(super) struct Reader<'a, 'c> {
    pub(super) client: &'a mut Client<'c>,
    pub(super) clock: &'a dyn Clock,
    pub(super) retry: RetryPolicy,
    pub(super) timeout: Duration,
}

impl Reader<'_, '_> {
    /// A call that only reads, repeated as the plan says.
    pub(super) fn read(&mut self, method: Method, path: &str, body: &str) -> Result<Reply, Problem> {
        let mut retry = self.retry.retry();
        loop {
            let outcome = self.client.call(method, path, Body::Json(body), self.timeout);
            if let Outcome::Reply(reply) = &outcome
                && reply.errcode == 0
            {
                return Ok(reply.clone());
            }
            let again = policy::judge(Effect::Read, &outcome).1 == policy::Next::Again;
            let pause = retry.next().filter(|_| again);
            if !pause.is_some_and(|pause| self.clock.sleep(pause)) {
                return Err(policy::advice(&outcome));
            }
        }
    }
}
