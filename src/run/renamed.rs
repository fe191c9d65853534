//! What was sent under other names: of a step, of a row, of the plan, or of an edition that the date alone made another. An
//! idempotency key is made of names, so that under a new one WeChat would take the same message once more.

use std::{
    cell::{OnceCell, RefCell},
    collections::{BTreeSet, HashMap, HashSet},
    rc::Rc,
};

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{
    doubt, frozen,
    refusal::{Refusal, in_a_row},
    work::{Left, Work, freeze},
};
use crate::{
    clock::shanghai,
    ledger::{CallId, CallRecord, EventKind, Ledger, LedgerError, RunRecord, Scope, Status},
    limits,
    locale::{Phrase, say},
    payload::{self, Effect, Target},
    plan::yaml::quoted,
    problem::Problem,
    render::{RenderedPlan, RenderedStep, idempotency_key},
    slot::{Slot, Tag},
};

/// The calls of a plan as the ledger has them. Those of a send that had another name before (`was`) have the name of now;
/// their keys are those with which they were sent.
pub fn history(plan: &RenderedPlan, ledger: &dyn Ledger, scope: &Scope) -> Result<Vec<CallRecord>, LedgerError> {
    let records = ledger.calls(scope)?;
    let sends = || plan.steps.iter().filter(|step| step.spec.effect == Effect::Mass);
    let former: HashMap<&str, &RenderedStep> = sends().filter_map(|step| Some((step.was.as_deref()?, step))).collect();
    if former.is_empty() && plan.was.is_none() {
        return Ok(records);
    }
    let renamed = |record: &CallRecord| former.get(record.frozen.id.name().as_str()).copied();
    let (mut before, mut own): (Vec<_>, Vec<_>) =
        records.into_iter().partition(|record| record.frozen.is_mass() && renamed(record).is_some());
    let mut of_other = Vec::new();
    if let Some(was) = &plan.was {
        let names: HashMap<String, &RenderedStep> = sends().map(|step| (step.name(), step)).collect();
        let of_plan = |record: &CallRecord| renamed(record).or_else(|| names.get(&record.frozen.id.name()).copied());
        let calls = ledger.calls(&Scope { plan: was.clone(), ..scope.clone() })?;
        for mut record in calls.into_iter().filter(was_sent) {
            if let Some(step) = of_plan(&record) {
                name_of(&mut record, step);
                of_other.push(record);
            }
        }
    }
    for record in &mut before {
        if let Some(step) = renamed(record) {
            name_of(record, step);
        }
    }
    before.extend(of_other);
    let mut taken: HashSet<CallId> = own.iter().map(|record| record.frozen.id.clone()).collect();
    own.extend(before.into_iter().filter(|record| taken.insert(record.frozen.id.clone())));
    Ok(own)
}

/// Gives a call the name of a step of now.
fn name_of(record: &mut CallRecord, step: &RenderedStep) {
    record.frozen.id = CallId { step: step.id.clone(), key: step.key.clone(), chunk: record.frozen.id.chunk };
}

/// Whether people have it, or may have it.
pub(super) fn was_sent(record: &CallRecord) -> bool {
    record.frozen.is_mass() && (record.status == Status::Accepted || record.status.in_doubt())
}

/// A send that was begun under a former name is finished under that: its calls have the keys of that name.
pub(super) fn finished(plan: &RenderedPlan, records: &[CallRecord]) -> Result<(), Refusal> {
    if plan.was.is_none() && plan.steps.iter().all(|step| step.was.is_none()) {
        return Ok(());
    }
    let of_now =
        |id: &CallId| idempotency_key(&plan.appid, &plan.name, &plan.occurrence, &id.step, id.key.as_deref(), id.chunk);
    let begun = records.iter().find(|record| {
        let mass = record.frozen.is_mass() && record.status != Status::Accepted;
        mass && record.frozen.idempotency_key != of_now(&record.frozen.id)
    });
    let Some(begun) = begun else { return Ok(()) };
    let message = say!(
        "`{step}` was begun under its former name, and call {call} is not accepted ({status})",
        step = begun.frozen.id.name(),
        call = begun.frozen.id.chunk,
        status = begun.status.words()
    );
    let help = say!("take `was` out, give it its former name back and finish it; rename it then");
    let problem = Problem::new(message).help(help);
    Err(if begun.status.in_doubt() { Refusal::InDoubt(problem) } else { Refusal::Changed(problem) })
}

/// What a comparison with the ledger is told of the world.
#[derive(Clone, Copy)]
pub struct Outside<'a> {
    pub now: Timestamp,
    /// Whether a path leads to a plan of a name.
    pub is_there: &'a dyn Fn(&str, &str) -> bool,
}

/// Under which other name a message was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Other {
    /// A step of this edition that the plan does not have any more.
    Step,
    Plan,
    /// The edition of yesterday.
    Edition,
}

/// A step that would send once more what was sent under another name.
struct Again<'a> {
    step: &'a RenderedStep,
    other: Other,
    /// Plan and occurrence under which it was sent.
    scope: Scope,
    /// What the step was called.
    name: String,
    at: Option<Timestamp>,
    doubtful: bool,
    /// How many people would get it once more, where they are known.
    people: Option<u64>,
}

/// Refuses to send what was sent to the same people under another name.
pub(super) fn check<L>(
    plan: &RenderedPlan,
    work: &[Work<'_, L>],
    records: &[CallRecord],
    (ledger, scope): (&dyn Ledger, &Scope),
    outside: Outside<'_>,
) -> Result<(), Refusal> {
    let begun = records.iter().any(was_sent);
    let known: HashSet<(&str, Option<&str>)> =
        plan.steps.iter().map(|step| (step.id.as_str(), step.key.as_deref())).collect();
    let gone =
        messages(records, |record| !known.contains(&(&*record.frozen.id.step, record.frozen.id.key.as_deref())))?;
    let open = || work.iter().filter(|work| work.left.is_open() && work.step.spec.effect == Effect::Mass);
    let digests: BTreeSet<&str> = open().filter_map(|work| work.step.content.digest()).collect();
    let digests: Vec<String> = digests.into_iter().map(str::to_owned).collect();
    let mut sent: HashMap<String, Vec<Scope>> = HashMap::new();
    if !digests.is_empty() {
        for (digest, scope) in ledger.with_messages(scope.platform.name(), &scope.appid, &digests)? {
            sent.entry(digest).or_default().push(scope);
        }
    }
    let search = Search {
        plan,
        ledger,
        scope,
        begun,
        outside,
        gone,
        sent,
        others: RefCell::default(),
        renamed: RefCell::default(),
        together: OnceCell::new(),
    };
    let mut found = Vec::new();
    for Work { step, left, .. } in open() {
        found.extend(search.step(step, left)?);
        if found.len() >= SHOWN {
            break;
        }
    }
    if found.is_empty() { Ok(()) } else { Err(refused(plan, &found)) }
}

/// Steps that are told one by one.
const SHOWN: usize = 8;

/// What is said of an edition that the date makes and that begins just before it ends: a run that is interrupted would go on
/// as another.
pub(super) fn tonight<L>(plan: &RenderedPlan, work: &[Work<'_, L>], now: Timestamp) -> Option<Phrase> {
    let soon = now.saturating_add(limits::EDITION_MARGIN).unwrap_or(now);
    let ends = plan.editions.tomorrow != plan.occurrence && shanghai(soon).date() != shanghai(now).date();
    let open = work.iter().any(|work| work.step.spec.effect == Effect::Mass && work.left.is_open());
    (ends && open).then(|| {
        say!(
            "it is {time}, and the edition `{occurrence}` ends at midnight, because its `occurrence` comes from the date; if the run is interrupted, finish it as `occurrence: {text}`",
            time = shanghai(now).strftime("%H:%M").to_string(),
            occurrence = &plan.occurrence,
            text = quoted(&plan.occurrence)
        )
    })
}

/// Calls that were sent, by their messages.
type Messages = HashMap<String, Vec<CallRecord>>;

fn messages(records: &[CallRecord], counts: impl Fn(&CallRecord) -> bool) -> Result<Messages, LedgerError> {
    let mut messages = Messages::new();
    for record in records.iter().filter(|record| was_sent(record) && counts(record)) {
        messages.entry(said(record, records)?).or_default().push(record.clone());
    }
    Ok(messages)
}

/// Looks for what was sent under other names.
struct Search<'a> {
    plan: &'a RenderedPlan,
    ledger: &'a dyn Ledger,
    scope: &'a Scope,
    /// Whether something of this edition was sent.
    begun: bool,
    outside: Outside<'a>,
    /// What was sent in this edition by steps that are not there any more.
    gone: Messages,
    /// Plans and editions in which the messages of open sends were, by their digests.
    sent: HashMap<String, Vec<Scope>>,
    /// What was sent in others, by plan and occurrence.
    others: RefCell<HashMap<(String, String), Rc<Messages>>>,
    /// Whether plans are this one under its former name, by theirs.
    renamed: RefCell<HashMap<String, bool>>,
    /// The names of steps that stood in one plan, one entry a run of this edition.
    together: OnceCell<Vec<HashSet<String>>>,
}

impl Search<'_> {
    fn step<'s, L>(&self, step: &'s RenderedStep, left: &Left<L>) -> Result<Option<Again<'s>>, LedgerError> {
        let elsewhere = self.elsewhere(step)?;
        if self.gone.is_empty() && elsewhere.is_empty() {
            return Ok(None);
        }
        let (message, reach) = (self.message(step)?, Reach::of(left)?);
        let again = |other, scope: &Scope, messages: &Messages| -> Result<Option<Again<'s>>, LedgerError> {
            let mut again: Option<Again<'s>> = None;
            for record in messages.get(&message).into_iter().flatten() {
                let Some(people) = reach.shares(&frozen::target(&record.frozen)?) else { continue };
                if other == Other::Step && self.stood_together(step, record)? {
                    continue;
                }
                let (name, at) = (record.frozen.id.name(), last(record));
                let doubtful = record.status.in_doubt();
                match &mut again {
                    Some(again) if again.name != name => {}
                    Some(again) => {
                        again.people = again.people.zip(people).map(|(before, more)| before + more);
                        again.doubtful |= doubtful;
                        again.at = again.at.max(at);
                    }
                    None => again = Some(Again { step, other, scope: scope.clone(), name, at, doubtful, people }),
                }
            }
            Ok(again)
        };
        if let Some(found) = again(Other::Step, self.scope, &self.gone)? {
            return Ok(Some(found));
        }
        for (other, scope) in elsewhere {
            if let Some(found) = again(other, &scope, &*self.sent_in(&scope, other)?)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Whether a plan that was run had both steps: then they are two sends, of which one was taken out.
    fn stood_together(&self, step: &RenderedStep, record: &CallRecord) -> Result<bool, LedgerError> {
        if self.together.get().is_none() {
            let Scope { appid, plan, .. } = self.scope;
            let runs = self.ledger.runs(appid, plan)?.into_iter();
            let here = |run: &RunRecord| run.platform == self.scope.platform && run.occurrence == self.scope.occurrence;
            let _ = self.together.set(runs.filter(here).filter_map(|run| names(&run.report?)).collect());
        }
        let mut runs = self.together.get().into_iter().flatten();
        Ok(runs.any(|names| names.contains(&step.name()) && names.contains(&record.frozen.id.name())))
    }

    /// Plans and editions in which a call has the message of a step, and which may be this one under another name.
    fn elsewhere(&self, step: &RenderedStep) -> Result<Vec<(Other, Scope)>, LedgerError> {
        let Some(sent) = step.content.digest().and_then(|digest| self.sent.get(digest)) else { return Ok(Vec::new()) };
        let Scope { plan, occurrence, .. } = self.scope;
        let yesterday = Some(&self.plan.editions.yesterday).filter(|yesterday| *yesterday != occurrence && !self.begun);
        let other = |scope: &Scope| -> Result<Option<(Other, Scope)>, LedgerError> {
            let other = match (scope.plan == *plan, scope.occurrence == *occurrence) {
                (false, true) if self.was_renamed(&scope.plan)? => Other::Plan,
                (true, false) if yesterday == Some(&scope.occurrence) => Other::Edition,
                _ => return Ok(None),
            };
            Ok(Some((other, scope.clone())))
        };
        sent.iter().filter_map(|scope| other(scope).transpose()).collect()
    }

    /// Whether a plan that sent the message is this one under its former name: where it was, it is not any more.
    fn was_renamed(&self, name: &str) -> Result<bool, LedgerError> {
        if self.plan.was.as_deref() == Some(name) {
            return Ok(false);
        }
        if let Some(known) = self.renamed.borrow().get(name) {
            return Ok(*known);
        }
        let paths: BTreeSet<String> =
            self.ledger.runs(&self.scope.appid, name)?.into_iter().map(|run| run.path).collect();
        let renamed = !paths.iter().any(|path| (self.outside.is_there)(path, name));
        self.renamed.borrow_mut().insert(name.to_owned(), renamed);
        Ok(renamed)
    }

    /// What was sent there; of the edition of yesterday, what was sent not long ago and no person has settled since: who did
    /// knows of that edition.
    fn sent_in(&self, scope: &Scope, other: Other) -> Result<Rc<Messages>, LedgerError> {
        let name = (scope.plan.clone(), scope.occurrence.clone());
        if let Some(known) = self.others.borrow().get(&name) {
            return Ok(Rc::clone(known));
        }
        let recent = |record: &CallRecord| {
            let settled = record.events.iter().any(|event| event.kind == EventKind::ResolvedSent);
            !settled && last(record).is_some_and(|at| self.outside.now.duration_since(at) < limits::EDITION_AGAIN)
        };
        let sent = messages(&self.ledger.calls(scope)?, |record| other != Other::Edition || recent(record))?;
        Ok(Rc::clone(self.others.borrow_mut().entry(name).or_insert(Rc::new(sent))))
    }

    /// The message of a step, as it is compared.
    fn message(&self, step: &RenderedStep) -> Result<String, LedgerError> {
        let Some(call) = step.calls.first() else { return Ok(String::new()) };
        let made = |slot: &Slot| {
            let mut steps = self.plan.steps.iter().filter(|step| step.spec.effect == Effect::Media);
            steps.find(|step| slot.is_of(&step.id, step.key.as_deref()))?.content.digest().map(str::to_owned)
        };
        Ok(compared(frozen::row(&freeze(step, call))?.rest, &made))
    }
}

/// The names of the steps of a report.
fn names(report: &str) -> Option<HashSet<String>> {
    let report: Value = serde_json::from_str(report).ok()?;
    let name = |step: &Value| Some(crate::text::step_name(step["id"].as_str()?, step["key"].as_str()));
    Some(report["steps"].as_array()?.iter().filter_map(name).collect())
}

/// When something last happened to a call.
fn last(record: &CallRecord) -> Option<Timestamp> {
    record.events.iter().map(|event| event.at).max()
}

/// The message of a call that was sent, as it is compared. `records` are those of its scope.
fn said(record: &CallRecord, records: &[CallRecord]) -> Result<String, LedgerError> {
    let made = |slot: &Slot| {
        let mut of_slot = records.iter().rev().filter(|record| record.frozen.effect == Effect::Media);
        let made = of_slot.find(|record| slot.is_of(&record.frozen.id.step, record.frozen.id.key.as_deref()))?;
        made.frozen.message_digest.clone()
    };
    Ok(compared(frozen::row(&record.frozen)?.rest, &made))
}

/// The members of a body that are the message. What an earlier step made for it is known by its digest: that step may have
/// another name as well.
fn compared(mut body: Map<String, Value>, made: &dyn Fn(&Slot) -> Option<String>) -> String {
    for audience in ["filter", "touser", "send_ignore_reprint"] {
        body.remove(audience);
    }
    body.values_mut().for_each(|value| put(value, made));
    Value::Object(body).to_string()
}

fn put(value: &mut Value, made: &dyn Fn(&Slot) -> Option<String>) {
    match value {
        Value::String(text) => {
            if let Some(made) = payload::only_slot(text).and_then(|slot| made(&slot)) {
                *text = made;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| put(item, made)),
        Value::Object(members) => members.values_mut().for_each(|value| put(value, made)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whom the open calls of a step reach.
#[derive(Default)]
struct Reach {
    everyone: bool,
    tags: Vec<Tag>,
    people: HashSet<String>,
    /// People whom WeChat lists later.
    listed: bool,
}

impl Reach {
    fn of<L>(left: &Left<L>) -> Result<Self, LedgerError> {
        let mut reach = Self { listed: matches!(left, Left::List(_)), ..Self::default() };
        for call in left.open_calls() {
            match &*call.target()? {
                Target::Everyone => reach.everyone = true,
                Target::Tag(tag) => reach.tags.push(tag.clone()),
                Target::People(people) => reach.people.extend(people.iter().map(str::to_owned)),
                Target::Followers(_) => reach.listed = true,
                Target::Person | Target::Nobody => {}
            }
        }
        Ok(reach)
    }

    /// Whether it reaches people who had a send, and how many where that is known. A tag by its name may be one by its number,
    /// and who is listed later may be anybody.
    fn shares(&self, sent: &Target) -> Option<Option<u64>> {
        match sent {
            Target::Everyone => Some(None),
            Target::Tag(tag) => {
                let may_be_same = |other: &Tag| match (tag, other) {
                    (Tag::Id(one), Tag::Id(two)) => one == two,
                    (Tag::Name(one), Tag::Name(two)) => one == two,
                    _ => true,
                };
                (self.everyone || self.tags.iter().any(may_be_same)).then_some(None)
            }
            Target::People(people) if self.everyone => Some(Some(people.range.len() as u64)),
            Target::People(_) if self.listed => Some(None),
            Target::People(people) => {
                let again = people.iter().filter(|openid| self.people.contains(*openid)).count() as u64;
                (again > 0).then_some(Some(again))
            }
            Target::Followers(_) | Target::Person | Target::Nobody => None,
        }
    }
}

/// What is told of steps that would send once more.
fn refused(plan: &RenderedPlan, found: &[Again<'_>]) -> Refusal {
    let doubtful = found.iter().any(|again| again.doubtful);
    let mut help: Vec<Phrase> = found.iter().map(|again| again.way_out(plan)).collect();
    // As long as nobody knows whether it was sent, a new occurrence would send it twice.
    if !doubtful {
        help.push(say!("to send it once more on purpose, write another `occurrence`"));
    }
    let mut told = BTreeSet::new();
    help.retain(|help| told.insert(help.to_string()));
    let why = in_a_row(found.iter().map(|again| again.words(plan)));
    let message = say!("the same message was sent to the same people before: {why}", why);
    let problem = help.into_iter().fold(Problem::new(message), Problem::help);
    if doubtful { Refusal::InDoubt(problem) } else { Refusal::Changed(problem) }
}

impl Again<'_> {
    /// What a person does about it.
    fn way_out(&self, plan: &RenderedPlan) -> Phrase {
        let was = &self.name;
        match self.other {
            Other::Step if self.doubtful => say!(
                "check the console (群发记录), then report what you saw: {command} --sent MSG_ID, or --not-sent",
                command = doubt::settle(plan, was, None)
            ),
            Other::Step => say!(
                "if step `{step}` is `{was}` under another name, write `was: {value}` in it: what was sent counts as sent",
                step = self.step.name(),
                was,
                value = quoted(was)
            ),
            Other::Plan if self.doubtful => say!(
                "give the plan its former name, `name: {plan}`, and settle that send first",
                plan = &self.scope.plan
            ),
            Other::Plan => say!(
                "if the plan was renamed, write `was: {plan}` below its `name`: what was sent counts as sent",
                plan = &self.scope.plan
            ),
            Other::Edition => say!(
                "to go on with that edition, write it out: `occurrence: {occurrence}`",
                occurrence = quoted(&self.scope.occurrence)
            ),
        }
    }

    /// `vip2` (plan.yaml:9) is `vip`, sent 2026-03-01 09:00:00.
    fn words(&self, plan: &RenderedPlan) -> Phrase {
        let place = format!("{}:{}", plan.path, self.step.line);
        let (step, was) = (self.step.name(), &self.name);
        let at = self.at.map_or_else(String::new, |at| shanghai(at).strftime("%Y-%m-%d %H:%M:%S").to_string());
        let said = match self.other {
            Other::Step => {
                say!("`{step}` ({place}) as `{was}` at {at}, which is no longer in the plan", step, place, was, at)
            }
            Other::Plan => say!(
                "`{step}` ({place}) as `{was}` of the plan `{plan}` at {at}",
                step,
                place,
                was,
                plan = &self.scope.plan,
                at
            ),
            Other::Edition => say!(
                "`{step}` ({place}) in the edition `{occurrence}` at {at}; the date alone made this another edition",
                step,
                place,
                occurrence = &self.scope.occurrence,
                at
            ),
        };
        let said = match self.people {
            Some(people) => say!("{said} ({people} person)" | "{said} ({people} people)", people, said),
            None => said,
        };
        if self.doubtful { say!("{said}, in doubt", said) } else { said }
    }
}
