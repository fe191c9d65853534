//! Whether what the ledger has of a call that goes on is what the plan itself would send. Somebody who can write the ledger
//! can write its hashes as well: so nothing that leaves is taken from it that is not held against the plan.
//!
//! The one thing that a frozen call may have of its own are its people, for whom the plan may have another list by now. What
//! WeChat once gave (ids of media and jobs, addresses, states) is known from the ledger alone; see [`frozen`].

use super::{
    frozen,
    refusal::Refusal,
    work::{Left, StepCall, Work},
};
use crate::{
    ledger::{CallRecord, FrozenCall, LedgerError, Status},
    locale::{Phrase, say},
    payload::{Effect, Target},
    problem::Problem,
    render::{PlannedCall, RenderedPlan, RenderedStep, idempotency_key},
};

/// Whether people of a frozen call are those of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum People {
    /// They are, or there are none.
    OfPlan,
    /// They are known from the ledger alone.
    OfLedger,
}

/// Holds the calls of a step that are left to do against the plan.
pub(super) fn check(plan: &RenderedPlan, step: &RenderedStep, calls: &[StepCall]) -> Result<(), LedgerError> {
    left(calls).try_for_each(|(call, record)| held(plan, step, call, record).map(drop))
}

/// Refuses what nobody who approved the plan has seen: people who are known from the ledger alone.
pub(super) fn approved<L>(plan: &RenderedPlan, work: &[Work<'_, L>]) -> Result<(), Refusal> {
    for Work { step, left: of_step, .. } in work {
        let Left::Calls { calls, .. } = of_step else { continue };
        for (call, record) in left(calls) {
            if held(plan, step, call, record)? == People::OfLedger {
                let name = step.name();
                let message = match &step.listed {
                    Some(_) => say!(
                        "`{step}` would continue with people listed by an earlier run, which --expect does not cover",
                        step = name
                    ),
                    None => say!(
                        "`{step}` would continue with people from an earlier run who are not in the plan, which --expect does not cover",
                        step = name
                    ),
                };
                let help = say!(
                    "check the rest with `{command}`, then run without --expect",
                    command = plan.command("status", &[])
                );
                return Err(Refusal::Guard(Problem::new(message).help(help)));
            }
        }
    }
    Ok(())
}

/// The calls that the ledger has, and that are not accepted.
fn left(calls: &[StepCall]) -> impl Iterator<Item = (&StepCall, &CallRecord)> {
    let of_ledger = calls.iter().filter_map(|call| Some((call, call.record.as_ref()?)));
    of_ledger.filter(|(_, record)| record.status != Status::Accepted)
}

fn held(plan: &RenderedPlan, step: &RenderedStep, call: &StepCall, record: &CallRecord) -> Result<People, LedgerError> {
    let FrozenCall { id, .. } = &call.frozen;
    let damaged = |what: Phrase| {
        let what = say!(
            "call {call} of step `{step}` does not match the plan: {what}",
            call = id.chunk,
            step = id.name(),
            what
        );
        Err(LedgerError::Unreadable { what })
    };
    // What is planned anew takes nothing from the ledger.
    let (None, Some(model)) = (&call.planned, step.calls.first()) else { return Ok(People::OfPlan) };
    if call.frozen.path != model.path || call.frozen.effect != model.effect {
        return damaged(say!("different path or effect"));
    }
    let key = idempotency_key(&plan.appid, &plan.name, &plan.occurrence, &id.step, id.key.as_deref(), id.chunk);
    let mass = step.spec.effect == Effect::Mass;
    if mass && call.frozen.idempotency_key != key {
        return damaged(say!("different clientmsgid"));
    }
    let same =
        |planned: &&PlannedCall| (!mass || planned.chunk == id.chunk) && planned.payload.digest() == call.frozen.digest;
    let people = match step.calls.iter().find(same) {
        Some(_) => People::OfPlan,
        // Each call of these was found by what it says.
        None if step.covers => People::OfPlan,
        None if mass => match frozen::target(&call.frozen)? {
            Target::People(people) if model.payload.to(&people, &key).raw() == call.frozen.payload => People::OfLedger,
            _ => return damaged(say!("different body")),
        },
        None => return damaged(say!("different body")),
    };
    if mass
        && let Target::People(people) = frozen::target(&call.frozen)?
        && call.frozen.recipients != Some(people.range.len() as u64)
    {
        return damaged(say!("different number of recipients"));
    }
    if mass && record.status.in_doubt() {
        let payload = frozen::payload(&call.frozen)?;
        match record.sent_body() {
            Some(sent) if payload.may_be(sent, &|_| None) => {}
            _ => return damaged(say!("different sent body")),
        }
    }
    Ok(people)
}
