//! The other editions of a plan: a new one does not begin while an old one is not finished. Else a send that is in doubt, or
//! half made, would be made again under other names, which WeChat cannot know again.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;

use super::{
    doubt,
    refusal::{Refusal, in_a_row, numbered},
    work::Work,
};
use crate::{
    clock::shanghai,
    ledger::{CallId, EditionCall, Ledger, LedgerError, Scope, Status},
    locale::{Count, Phrase, list, say},
    payload::Effect,
    problem::Problem,
    render::RenderedPlan,
};

/// What became of the mass calls of another edition.
#[derive(Debug, Default)]
pub(crate) struct OtherEdition {
    pub(crate) occurrence: String,
    pub(crate) accepted: usize,
    pub(crate) given_up: usize,
    /// Surely not sent.
    pub(crate) open: Vec<CallId>,
    /// Those of `open` whose step was begun: others of its people have the message, or may have it.
    pub(crate) left: Vec<CallId>,
    pub(crate) doubtful: Vec<CallId>,
    /// When something last happened to one of them.
    pub(crate) last: Option<Timestamp>,
}

impl OtherEdition {
    pub(crate) fn is_finished(&self) -> bool {
        self.left.is_empty() && self.doubtful.is_empty()
    }

    /// `2 accepted, 1 in doubt, 2026-03-01 09:00:00`: what became of its calls, and when.
    pub(crate) fn words(&self) -> Phrase {
        let mut words = Vec::new();
        let mut add = |number: usize, words_of: fn(Count) -> Phrase| {
            if number > 0 {
                words.push(words_of(Count::from(number)));
            }
        };
        add(self.accepted, |count| say!("{count} accepted", count));
        add(self.open.len(), |count| say!("{count} open", count));
        add(self.doubtful.len(), |count| say!("{count} in doubt", count));
        add(self.given_up, |count| say!("{count} given up", count));
        let last = self.last.map(|at| shanghai(at).strftime("%Y-%m-%d %H:%M:%S").to_string());
        words.extend(last.map(Phrase::verbatim));
        all_of(words)
    }

    /// What is left of it, step by step: `vip` calls 2, 3 in doubt.
    pub(crate) fn unfinished(&self) -> Vec<Phrase> {
        let mut steps: BTreeMap<(String, bool), Vec<u32>> = BTreeMap::new();
        let calls = self.doubtful.iter().map(|id| (id, true)).chain(self.left.iter().map(|id| (id, false)));
        for (id, doubtful) in calls {
            steps.entry((id.name(), !doubtful)).or_default().push(id.chunk);
        }
        let words = |((step, unsent), numbers): ((String, bool), Vec<u32>)| {
            let calls = if numbers.len() > SHOWN {
                let shown = numbers.iter().take(SHOWN).map(u32::to_string);
                say!("calls {numbers}", numbers = list(shown.chain(["...".to_owned()])))
            } else {
                numbered(&numbers)
            };
            if unsent {
                say!("`{step}` {calls} not sent", step, calls)
            } else {
                say!("`{step}` {calls} in doubt", step, calls)
            }
        };
        steps.into_iter().map(words).collect()
    }

    /// How a person finishes it, one entry a sentence.
    pub(crate) fn help(&self, plan: &RenderedPlan) -> Vec<Phrase> {
        let occurrence = &self.occurrence;
        let settle = |id: &CallId| doubt::settle(plan, &id.name(), Some(occurrence));
        let mut help = vec![say!("to finish it, set `occurrence: {occurrence}` in the plan and run it", occurrence)];
        if let Some(id) = self.doubtful.first() {
            help.push(say!(
                "or check the console (群发记录), and for each call in doubt report what you saw: {command} --chunk {call} --sent MSG_ID, or --not-sent",
                command = settle(id),
                call = id.chunk
            ));
        }
        if let Some(id) = self.left.first() {
            help.push(say!("or give up the unsent calls: {command} --give-up", command = settle(id)));
        }
        help
    }
}

/// Parts of a line, one after the other.
fn all_of(parts: Vec<Phrase>) -> Phrase {
    say!("{parts}", parts = list(parts))
}

/// Numbers of calls that are listed one by one.
const SHOWN: usize = 8;

/// The other editions of a plan, the latest first.
pub(crate) fn others(ledger: &dyn Ledger, scope: &Scope) -> Result<Vec<OtherEdition>, LedgerError> {
    let mut editions: BTreeMap<String, Vec<EditionCall>> = BTreeMap::new();
    for call in ledger.other_editions(scope)? {
        editions.entry(call.occurrence.clone()).or_default().push(call);
    }
    let mut editions: Vec<OtherEdition> = editions.into_iter().map(|(name, calls)| edition(name, calls)).collect();
    editions.sort_by_key(|edition| std::cmp::Reverse(edition.last));
    Ok(editions)
}

fn edition(occurrence: String, calls: Vec<EditionCall>) -> OtherEdition {
    let mut edition = OtherEdition { occurrence, ..OtherEdition::default() };
    let began = |status: Status| status == Status::Accepted || status.in_doubt();
    let step = |id: &CallId| (id.step.clone(), id.key.clone());
    let begun: HashSet<_> = calls.iter().filter(|call| began(call.status)).map(|call| step(&call.id)).collect();
    for EditionCall { id, status, at, .. } in calls {
        edition.last = edition.last.max(at);
        match status {
            Status::Accepted => edition.accepted += 1,
            Status::GivenUp => edition.given_up += 1,
            Status::InFlight { .. } | Status::Unknown => edition.doubtful.push(id),
            Status::Planned | Status::Refused | Status::NotSent => {
                edition.left.extend(Some(&id).filter(|id| begun.contains(&step(id))).cloned());
                edition.open.push(id);
            }
        }
    }
    edition
}

/// Refuses to begin this edition while another one is not finished; what reaches no followers may be done. Not asked of an
/// edition that was begun: it goes on, whatever the others are.
pub(super) fn check<L>(
    plan: &RenderedPlan,
    work: &[Work<'_, L>],
    ledger: &dyn Ledger,
    scope: &Scope,
) -> Result<(), Refusal> {
    if !work.iter().any(|work| work.step.spec.effect == Effect::Mass && work.left.is_open()) {
        return Ok(());
    }
    let mut others = others(ledger, scope)?;
    others.retain(|other| !other.is_finished());
    let Some(latest) = others.first() else { return Ok(()) };
    let told = others.iter().take(SHOWN).map(|other| {
        say!(
            "`{occurrence}` ({words}): {unfinished}",
            occurrence = &other.occurrence,
            words = other.words(),
            unfinished = list(other.unfinished())
        )
    });
    let (occurrence, told) = (&scope.occurrence, in_a_row(told));
    let message = if others.len() == 1 {
        say!(
            "the edition `{occurrence}` does not start because another edition of the plan is not finished: {told}",
            occurrence,
            told
        )
    } else {
        say!(
            "the edition `{occurrence}` does not start because {count} other editions of the plan are not finished: {told}",
            occurrence,
            count = Count::from(others.len()),
            told
        )
    };
    let problem = latest.help(plan).into_iter().fold(Problem::new(message), Problem::help);
    // Whether a send was made is the worse of both.
    Err(if others.iter().any(|other| !other.doubtful.is_empty()) {
        Refusal::InDoubt(problem)
    } else {
        Refusal::Changed(problem)
    })
}
