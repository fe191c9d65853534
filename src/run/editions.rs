//! The other editions of a plan: a new one does not begin while an old one is not finished. Else a send that is in doubt, or
//! half made, would be made again under other names, which WeChat cannot know again.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;

use super::{doubt, refusal::Refusal, work::Work};
use crate::{
    clock::shanghai,
    ledger::{CallId, EditionCall, Ledger, LedgerError, Scope, Status},
    payload::Effect,
    problem::Problem,
    render::RenderedPlan,
    text::plural,
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

    /// `2026-03-01`: 2 calls accepted, 1 in doubt, 2026-03-01 09:00:00.
    pub(crate) fn words(&self) -> String {
        let counts = [
            (self.accepted, "accepted"),
            (self.open.len(), "open"),
            (self.doubtful.len(), "in doubt"),
            (self.given_up, "given up"),
        ];
        let counts = counts.iter().filter(|(count, _)| *count > 0);
        let mut words: Vec<String> = counts.map(|(count, word)| format!("{count} {word}")).collect();
        words.extend(self.last.map(|at| shanghai(at).strftime("%Y-%m-%d %H:%M:%S").to_string()));
        words.join(", ")
    }

    /// What is left of it, step by step: `vip` calls 2, 3 in doubt.
    pub(crate) fn unfinished(&self) -> Vec<String> {
        let mut steps: BTreeMap<(String, &str), Vec<String>> = BTreeMap::new();
        let calls = self.doubtful.iter().map(|id| (id, "in doubt")).chain(self.left.iter().map(|id| (id, "not sent")));
        for (id, word) in calls {
            steps.entry((id.name(), word)).or_default().push(id.chunk.to_string());
        }
        let words = |((name, word), mut numbers): ((String, &str), Vec<String>)| {
            let count = numbers.len();
            if count > SHOWN {
                numbers.truncate(SHOWN);
                numbers.push("...".into());
            }
            let noun = if count == 1 { "call" } else { "calls" };
            format!("`{name}` {noun} {} {word}", numbers.join(", "))
        };
        steps.into_iter().map(words).collect()
    }

    /// How a person finishes it, one entry a sentence.
    pub(crate) fn help(&self, plan: &str) -> Vec<String> {
        let occurrence = &self.occurrence;
        let settle = |id: &CallId| doubt::settle(plan, &id.name(), Some(occurrence));
        let mut help = vec![format!("finish it: write `occurrence: {occurrence}` into the plan, and run that")];
        if let Some(id) = self.doubtful.first() {
            help.push(format!(
                "or look at the console (群发记录), and say of each call in doubt what you saw: {} --chunk {} --sent MSG_ID, or --not-sent",
                settle(id), id.chunk
            ));
        }
        if let Some(id) = self.left.first() {
            help.push(format!("or give up what was not sent: {} --give-up", settle(id)));
        }
        help
    }
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
    let told: Vec<String> = others
        .iter()
        .take(SHOWN)
        .map(|other| format!("`{}` ({}): {}", other.occurrence, other.words(), other.unfinished().join(", ")))
        .collect();
    let message = format!(
        "the edition `{}` does not begin, because {} of the plan is not finished: {}",
        scope.occurrence,
        if others.len() == 1 { "another edition".to_owned() } else { plural(others.len(), "other edition") },
        told.join("; ")
    );
    let problem = latest.help(&plan.path).into_iter().fold(Problem::new(message), Problem::help);
    // Whether a send was made is the worse of both.
    Err(if others.iter().any(|other| !other.doubtful.is_empty()) {
        Refusal::InDoubt(problem)
    } else {
        Refusal::Changed(problem)
    })
}
