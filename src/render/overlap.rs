//! Sends of a plan that bring the same message to the same people.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::BuildHasher as _,
    sync::Arc,
};

use super::RenderedStep;
use crate::{
    diag::{Code, Diagnostic, Diagnostics, source::Span},
    limits,
    locale::{Phrase, say},
    openids::Openids,
    payload::{Effect, Target},
    plan::yaml::Document,
    slot::{Followers, Tag},
};

/// Whom a send reaches.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Reach {
    Everyone,
    Tag(Tag),
    /// A list of its own, by its number.
    List(usize),
}

/// Warns of sends that bring a message to people who get it from an earlier send too. Messages are compared by their
/// digests, people by hashes, and no two sends with each other.
pub(super) fn warn(steps: &[RenderedStep], document: &Document, diagnostics: &mut Diagnostics) {
    let mut groups: BTreeMap<&str, Vec<&RenderedStep>> = BTreeMap::new();
    for step in steps.iter().filter(|step| step.spec.effect == Effect::Mass && step.when == super::When::Always) {
        if let Some(digest) = step.content.digest() {
            groups.entry(digest).or_default().push(step);
        }
    }
    let mut found: Vec<(usize, Diagnostic)> = Vec::new();
    for sends in groups.values().filter(|sends| sends.len() > 1) {
        found.extend(Group::new(sends).twice(document));
    }
    // In the order of the plan.
    found.sort_by_key(|(step, _)| *step);
    diagnostics.extend(found.into_iter().map(|(_, diagnostic)| diagnostic));
}

/// Sends of one message.
struct Group<'a> {
    /// In the order of the plan, with whom they reach.
    sends: Vec<(&'a RenderedStep, Reach)>,
    lists: Vec<Arc<Openids>>,
}

impl<'a> Group<'a> {
    fn new(steps: &[&'a RenderedStep]) -> Self {
        let mut lists: Vec<Arc<Openids>> = Vec::new();
        // Rows often share a list.
        let mut known: HashMap<*const Openids, usize> = HashMap::new();
        let mut sends = Vec::new();
        for step in steps {
            let reach = match (&step.people, step.calls.first().map(|call| &call.target)) {
                (Some(people), _) => Reach::List(*known.entry(Arc::as_ptr(&people.openids)).or_insert_with(|| {
                    lists.push(Arc::clone(&people.openids));
                    lists.len() - 1
                })),
                (None, Some(Target::Everyone | Target::Followers(Followers::All))) => Reach::Everyone,
                (None, Some(Target::Tag(tag) | Target::Followers(Followers::Of(tag)))) => Reach::Tag(tag.clone()),
                _ => continue,
            };
            sends.push((*step, reach));
        }
        Self { sends, lists }
    }

    /// A warning at each step that reaches people again.
    fn twice(&self, document: &Document) -> Vec<(usize, Diagnostic)> {
        let mut found = Vec::new();
        let mut told = HashSet::new();
        let mut first: HashMap<Reach, usize> = HashMap::new();
        let everyone = self.sends.iter().position(|(_, reach)| *reach == Reach::Everyone);
        let shared = self.shared();
        for (at, (step, reach)) in self.sends.iter().enumerate() {
            let same = *first.entry(reach.clone()).or_insert(at);
            let (earlier, people) = if same < at {
                (same, self.size(reach))
            } else if let Some(all) = everyone.filter(|all| *all != at) {
                // Of both the later one is told.
                (all, self.size(reach))
            } else if let Reach::List(list) = reach
                && let Some((count, other)) = shared.get(list)
            {
                // Lists are numbered in the order of their sends.
                let Some(earlier) = first.get(&Reach::List(*other)) else { continue };
                (*earlier, *count)
            } else {
                continue;
            };
            if told.insert(step.origin.step) {
                found.push((step.origin.step, self.told(at, earlier, people, document)));
            }
        }
        found
    }

    /// How many people a list has.
    fn size(&self, reach: &Reach) -> Option<usize> {
        match reach {
            Reach::List(list) => Some(self.lists[*list].len()),
            _ => None,
        }
    }

    fn told(&self, at: usize, earlier: usize, people: Option<usize>, document: &Document) -> Diagnostic {
        let (step, before) = (self.sends[at].0, self.sends[earlier].0);
        let (this, that) = (step.name(), before.name());
        let message: Phrase = match people {
            Some(people) => say!(
                "`{this}` and `{that}` send the same message to {people} person in both"
                    | "`{this}` and `{that}` send the same message to {people} people in both",
                people,
                this,
                that
            ),
            None => say!("`{this}` and `{that}` send the same message to the same people", this, that),
        };
        let to = |step: &RenderedStep| document.span(&format!("/steps/{}/to", step.origin.step));
        let (here, there): (Span, Span) = (to(step), to(before));
        let help = match people {
            Some(_) => say!("each of them gets it twice: leave one send out, or `exclude` the people of the other"),
            None => say!("each of them gets it twice: leave one send out, or send something else"),
        };
        let told = Diagnostic::new(Code::SentTwice, here.clone(), message).help(help);
        if here == there { told } else { told.related(there, say!("the other send")) }
    }

    /// Of each list how many of its people are in an earlier one, and in which; no number where there are too many to be
    /// counted: then a part of them is looked at.
    fn shared(&self) -> HashMap<usize, (Option<usize>, usize)> {
        let mut shared = HashMap::new();
        if self.lists.len() < 2 {
            return shared;
        }
        let all: usize = self.lists.iter().map(|list| list.len()).sum();
        let part = all.div_ceil(limits::OPENIDS_COMPARED).max(1) as u64;
        let hasher = foldhash::quality::FixedState::with_seed(0x7175_6e66);
        let mut people: Vec<(u64, u32)> = Vec::new();
        for (number, list) in self.lists.iter().enumerate() {
            let hashes = list.iter().map(|openid| hasher.hash_one(openid.as_bytes()));
            // There are fewer lists than instances.
            people.extend(hashes.filter(|hash| hash % part == 0).map(|hash| (hash, number as u32)));
        }
        people.sort_unstable();
        for same in people.chunk_by(|one, other| one.0 == other.0).filter(|same| same.len() > 1) {
            for (_, list) in &same[1..] {
                let entry = shared.entry(*list as usize).or_insert((Some(0), same[0].1 as usize));
                entry.0 = entry.0.map(|count| count + 1);
            }
        }
        if part > 1 {
            shared.values_mut().for_each(|entry| entry.0 = None);
        }
        shared
    }
}
