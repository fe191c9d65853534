//! Calls that only read: what the account has, asked for before anything is sent.

use super::{policy, refusal::Refusal};
use crate::{
    clock::Clock,
    locale::{Phrase, say},
    payload::Effect,
    problem::Problem,
    render::RenderedStep,
    wechat::{
        Reply,
        client::{Client, Outcome},
        transport::{Body, Method},
    },
};

/// Asks WeChat about the account.
pub(super) struct AccountReader<'a, 'c> {
    pub(super) client: &'a mut Client<'c>,
    pub(super) clock: &'a dyn Clock,
    /// True once somebody asked to stop.
    pub(super) interrupted: &'a dyn Fn() -> bool,
}

/// What is wanted, and how it is asked for.
#[derive(Clone, Copy)]
pub(super) struct Question<'s> {
    /// For whom: it says how long an answer is waited for, and how often it is asked again.
    pub(super) step: &'s RenderedStep,
    /// What cannot be had without an answer, in words.
    pub(super) what: &'s Phrase,
}

impl Question<'_> {
    /// Without what is wanted nothing is run.
    pub(super) fn failed(&self, problem: Problem) -> Refusal {
        Refusal::LookUp(Problem { message: say!("{what}: {why}", what = self.what, why = &problem.message), ..problem })
    }
}

impl AccountReader<'_, '_> {
    /// A call that only reads, repeated as the step says.
    pub(super) fn read(
        &mut self,
        question: Question<'_>,
        method: Method,
        path: &str,
        body: &str,
    ) -> Result<Reply, Refusal> {
        let mut retry = question.step.retry.retry();
        loop {
            if (self.interrupted)() {
                return Err(interrupted());
            }
            let outcome = self.client.call(method, path, Body::Json(body), question.step.timeout);
            if let Outcome::Reply(reply) = &outcome
                && reply.errcode == 0
            {
                return Ok(reply.clone());
            }
            let again = policy::judge(Effect::Read, false, &outcome).1 == policy::Next::Again;
            let pause = retry.next().filter(|_| again);
            if !pause.is_some_and(|pause| self.clock.sleep(pause)) {
                return Err(if (self.interrupted)() {
                    interrupted()
                } else {
                    question.failed(policy::advice(&outcome))
                });
            }
        }
    }
}

fn interrupted() -> Refusal {
    Refusal::Interrupted(Problem::new(say!("the run was interrupted before it sent anything")))
}
