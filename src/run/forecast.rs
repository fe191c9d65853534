//! Before the first send: what the run needs of the account's quotas, against what our own ledger has used of them. Pure.
//!
//! Only quotas that WeChat states are counted; what was sent on the website is not known here.

use std::{borrow::Cow, collections::HashMap, time::Duration};

use jiff::Timestamp;

use super::{
    frozen,
    refusal::in_a_row,
    work::{Left, Work},
};
use crate::{
    clock::shanghai,
    ledger::{Ledger, LedgerError, Scope},
    limits,
    locale::{Count, Phrase, say},
    payload::{Effect, Target},
    plan::account::AccountKind,
    problem::Problem,
    render::RenderedPlan,
};

/// What a run needs, and what stands in its way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Forecast {
    /// Calls that will be made, polls not counted.
    pub(crate) calls: usize,
    /// Mass calls among them.
    pub(crate) mass: usize,
    /// How long pacing makes them take at least.
    pub(crate) duration: Duration,
    /// The quotas that it uses: what is wanted, made, allowed.
    pub(crate) quotas: Vec<Quota>,
    /// Quotas that do not suffice, in words.
    pub(crate) short: Vec<Phrase>,
}

/// One quota that WeChat states, as far as our own ledger knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Quota {
    pub(crate) what: Counted,
    /// How many the run makes.
    pub(crate) wanted: usize,
    /// How many were made in the period.
    pub(crate) used: usize,
    /// How many may be made.
    pub(crate) most: usize,
}

/// What a quota counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counted {
    /// Mass calls of a subscription account, by the day.
    MassCalls,
    /// Sends of a service account to all, by the month.
    SendsToAll,
    /// The same, by the day.
    SendsToAllToday,
    /// By the day.
    Previews,
    /// By the day.
    Deletes,
    /// By the day.
    Publications,
    /// Deletions of such, by the day.
    Unpublications,
}

impl Counted {
    /// The name in JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::MassCalls => "mass calls",
            Self::SendsToAll | Self::SendsToAllToday => "sends to all",
            Self::Previews => "previews",
            Self::Deletes => "deletes",
            Self::Publications => "publications",
            Self::Unpublications => "deletions of publications",
        }
    }

    /// Over which time it is counted, in JSON.
    pub(crate) fn period(self) -> &'static str {
        match self {
            Self::SendsToAll => "this month",
            Self::MassCalls | Self::SendsToAllToday | Self::Previews | Self::Deletes => "today",
            Self::Publications | Self::Unpublications => "today",
        }
    }
}

impl Quota {
    /// `2 mass calls needed, 0 already used today, limit 1`.
    fn words(&self) -> Phrase {
        let [wanted, used, most] = [self.wanted, self.used, self.most].map(Count::from);
        let needs = match self.what {
            Counted::MassCalls => say!("{wanted} mass call needed" | "{wanted} mass calls needed", wanted),
            Counted::SendsToAll | Counted::SendsToAllToday => {
                say!("{wanted} send to all needed" | "{wanted} sends to all needed", wanted)
            }
            Counted::Previews => say!("{wanted} preview needed" | "{wanted} previews needed", wanted),
            Counted::Deletes => say!("{wanted} delete needed" | "{wanted} deletes needed", wanted),
            Counted::Publications => say!("{wanted} publication needed" | "{wanted} publications needed", wanted),
            Counted::Unpublications => {
                say!("{wanted} deletion of a publication needed" | "{wanted} deletions of publications needed", wanted)
            }
        };
        match self.what {
            Counted::SendsToAll => say!("{needs}, {used} already used this month, limit {most}", needs, used, most),
            _ => say!("{needs}, {used} already used today, limit {most}", needs, used, most),
        }
    }
}

impl Forecast {
    /// Why the run is refused, if it is.
    pub fn refusal(&self) -> Option<Problem> {
        let message = say!("not enough quota: {why}", why = in_a_row(self.short.iter().cloned()));
        let help = say!("send less, send later, or send as much as possible with --allow-partial");
        (!self.short.is_empty()).then(|| Problem::new(message).help(help))
    }

    /// In one line: calls, quotas, time.
    pub fn words(&self) -> Phrase {
        let minutes = self.duration.as_secs() / 60;
        let time = match minutes {
            0 => say!("less than a minute"),
            minutes => say!("at least {minutes} minute" | "at least {minutes} minutes", minutes),
        };
        let run = say!(
            "{calls} ({mass}), {time}",
            calls = say!("{calls} call" | "{calls} calls", calls = self.calls),
            mass = say!("{mass} mass call" | "{mass} mass calls", mass = self.mass),
            time
        );
        in_a_row([run].into_iter().chain(self.quotas.iter().map(Quota::words)))
    }
}

/// From when on the ledger's calls count: the beginning of the month.
fn since(now: Timestamp) -> Timestamp {
    shanghai(now).date().first_of_month().in_tz("Asia/Shanghai").map_or(now, |start| start.timestamp())
}

/// Counts calls against quotas; days and months are those of Asia/Shanghai. What the ledger has and cannot be read is an
/// error: what is left out would be sent once too often.
pub(super) fn forecast<L>(
    plan: &RenderedPlan,
    work: &[Work<'_, L>],
    ledger: &dyn Ledger,
    scope: &Scope,
    now: Timestamp,
) -> Result<Forecast, LedgerError> {
    let mut needs = Needs::default();
    for Work { step, left, .. } in work {
        for call in left.open_calls() {
            needs.add(call.frozen.effect, || call.target().map(Cow::into_owned))?;
        }
        // As many as the send turns out to have: one at least.
        if matches!(left, Left::Cover { .. }) {
            for call in &step.calls {
                needs.add(call.effect, || Ok(call.target.clone()))?;
            }
        }
    }
    let used = ledger.usage(scope.platform.name(), &plan.appid, since(now))?;
    let today = shanghai(now).date();
    let mut done_today = Needs::default();
    let mut done_this_month = Needs::default();
    // Who is not sent to now need not be counted: a month may hold millions.
    for usage in used.iter().filter(|usage| usage.effect != Effect::Mass || needs.mass > 0) {
        let day = shanghai(usage.at).date();
        if day == today {
            done_today.add(usage.effect, || frozen::target_of(usage))?;
        }
        if (day.year(), day.month()) == (today.year(), today.month()) {
            done_this_month.add(usage.effect, || frozen::target_of(usage))?;
        }
    }
    let minutes = needs.mass.saturating_sub(1) / plan.pace(scope.platform).max(1) as usize;
    let quotas = quotas(plan.account.kind, &needs, &done_today, &done_this_month);
    let short = short(plan.account.kind, &quotas, &needs, &done_this_month);
    let duration = limits::MASS_CALLS_WINDOW.saturating_mul(u32::try_from(minutes).unwrap_or(u32::MAX));
    Ok(Forecast { calls: needs.calls, mass: needs.mass, duration, quotas, short })
}

#[derive(Default)]
struct Needs {
    calls: usize,
    mass: usize,
    to_all: usize,
    previews: usize,
    deletes: usize,
    publications: usize,
    unpublications: usize,
    people: HashMap<String, usize>,
}

impl Needs {
    /// Whom a call reaches is asked only if it counts.
    fn add(&mut self, effect: Effect, target: impl FnOnce() -> Result<Target, LedgerError>) -> Result<(), LedgerError> {
        match effect {
            Effect::Read => return Ok(()),
            Effect::Setting | Effect::Media => {}
            Effect::Preview => self.previews += 1,
            Effect::Delete => self.deletes += 1,
            Effect::Publish => self.publications += 1,
            Effect::Unpublish => self.unpublications += 1,
            Effect::Mass => {
                self.mass += 1;
                match target()? {
                    Target::Everyone => self.to_all += 1,
                    Target::People(people) => {
                        for openid in people.iter() {
                            *self.people.entry(openid.to_owned()).or_default() += 1;
                        }
                    }
                    Target::Tag(_) | Target::Followers(_) | Target::Person | Target::Nobody => {}
                }
            }
        }
        self.calls += 1;
        Ok(())
    }
}

/// The quotas that are used at all.
fn quotas(kind: AccountKind, needs: &Needs, today: &Needs, month: &Needs) -> Vec<Quota> {
    let quota = |what, wanted, used, most| Quota { what, wanted, used, most };
    let mass = match kind {
        AccountKind::Subscription => {
            vec![quota(Counted::MassCalls, needs.mass, today.mass, limits::SUBSCRIPTION_MASS_PER_DAY)]
        }
        AccountKind::Service => vec![
            quota(Counted::SendsToAllToday, needs.to_all, today.to_all, limits::SERVICE_TO_ALL_PER_DAY),
            quota(Counted::SendsToAll, needs.to_all, month.to_all, limits::SERVICE_PER_MONTH),
        ],
    };
    let previews = quota(Counted::Previews, needs.previews, today.previews, limits::PREVIEWS_PER_DAY);
    let deletes = quota(Counted::Deletes, needs.deletes, today.deletes, limits::DELETES_PER_DAY);
    let published = quota(Counted::Publications, needs.publications, today.publications, limits::PUBLISHES_PER_DAY);
    let taken_back =
        quota(Counted::Unpublications, needs.unpublications, today.unpublications, limits::UNPUBLISHES_PER_DAY);
    mass.into_iter().chain([previews, deletes, published, taken_back]).filter(|quota| quota.wanted > 0).collect()
}

fn short(kind: AccountKind, quotas: &[Quota], needs: &Needs, month: &Needs) -> Vec<Phrase> {
    let over = quotas.iter().filter(|quota| quota.wanted + quota.used > quota.most);
    let mut short: Vec<Phrase> = over.map(Quota::words).collect();
    if kind == AccountKind::Service {
        let had = |openid: &String| month.people.get(openid).copied().unwrap_or(0) + month.to_all;
        let over = needs
            .people
            .iter()
            .filter(|(openid, count)| *count + had(openid) + needs.to_all > limits::SERVICE_PER_MONTH)
            .count();
        if over > 0 {
            short.push(say!(
                "{people} person would exceed {most} messages this month, and WeChat silently skips the rest"
                    | "{people} people would exceed {most} messages this month, and WeChat silently skips the rest",
                people = over,
                most = limits::SERVICE_PER_MONTH
            ));
        }
    }
    short
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{payload::People, slot::Tag};

    fn needs(calls: &[(Effect, Target)]) -> Needs {
        let mut needs = Needs::default();
        calls.iter().for_each(|(effect, target)| needs.add(*effect, || Ok(target.clone())).expect("readable"));
        needs
    }

    fn all() -> (Effect, Target) {
        (Effect::Mass, Target::Everyone)
    }

    fn tag() -> (Effect, Target) {
        (Effect::Mass, Target::Tag(Tag::Id(2)))
    }

    fn people(names: &[&str]) -> (Effect, Target) {
        let openids = Arc::new(names.iter().copied().collect());
        (Effect::Mass, Target::People(People { openids, range: 0..names.len() }))
    }

    fn short(kind: AccountKind, needs: &Needs, today: &Needs, month: &Needs) -> Vec<Phrase> {
        super::short(kind, &quotas(kind, needs, today, month), needs, month)
    }

    #[test]
    fn a_subscription_account_sends_once_a_day() {
        let none = needs(&[]);
        assert!(short(AccountKind::Subscription, &needs(&[tag()]), &none, &none).is_empty());
        assert_eq!(
            short(AccountKind::Subscription, &needs(&[tag(), tag()]), &none, &none),
            ["2 mass calls needed, 0 already used today, limit 1"]
        );
        assert_eq!(short(AccountKind::Subscription, &needs(&[tag()]), &needs(&[all()]), &none).len(), 1);
        assert!(
            short(AccountKind::Subscription, &none, &needs(&[tag(), tag()]), &none).is_empty(),
            "nothing is wanted"
        );
    }

    #[test]
    fn a_service_account_sends_four_times_a_month_to_a_person() {
        let _heard = crate::locale::tests::heard("run-forecast-a_service_account_sends_four_times_a_month_to_a_person");
        let none = needs(&[]);
        let (three_to_all, four) = (needs(&[all(), all(), all()]), needs(&[all(), all(), all(), all()]));
        assert!(short(AccountKind::Service, &needs(&[all()]), &none, &three_to_all).is_empty());
        assert_eq!(short(AccountKind::Service, &needs(&[all()]), &none, &four).len(), 1);
        let three = needs(&[people(&["a", "b"]), people(&["a", "c"]), people(&["a", "c"])]);
        assert!(short(AccountKind::Service, &needs(&[people(&["a", "b"])]), &none, &three).is_empty());
        let more = short(AccountKind::Service, &needs(&[people(&["a", "b"]), people(&["a", "b"])]), &none, &three);
        assert_eq!(more, ["1 person would exceed 4 messages this month, and WeChat silently skips the rest"]);
    }

    #[test]
    fn a_service_account_sends_to_all_once_a_day() {
        let (none, one) = (needs(&[]), needs(&[all()]));
        assert!(short(AccountKind::Service, &one, &none, &one).is_empty(), "on another day");
        assert!(short(AccountKind::Service, &needs(&[tag(), tag()]), &one, &one).is_empty(), "to tags");
        let today = ["1 send to all needed, 1 already used today, limit 1"];
        assert_eq!(short(AccountKind::Service, &one, &one, &one), today);
        let both = ["2 sends to all needed, 0 already used today, limit 1"];
        assert_eq!(short(AccountKind::Service, &needs(&[all(), all()]), &none, &none), both);
    }

    #[test]
    fn previews_and_deletes_are_counted_by_the_day() {
        let none = needs(&[]);
        let many = |effect, count| needs(&vec![(effect, Target::Nobody); count]);
        assert!(short(AccountKind::Service, &many(Effect::Delete, 10), &none, &none).is_empty());
        assert_eq!(short(AccountKind::Service, &many(Effect::Delete, 10), &many(Effect::Delete, 1), &none).len(), 1);
        assert_eq!(short(AccountKind::Service, &many(Effect::Preview, 1), &many(Effect::Preview, 100), &none).len(), 1);
    }
}
