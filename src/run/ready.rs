//! What WeChat alone knows, looked up before the person is asked: who follows, which tags there are.

use super::{
    existing,
    followers::{corrected, list, with_new},
    forecast::{Forecast, forecast},
    guard,
    prepare::Prepared,
    reader::{AccountReader, Question},
    refusal::Refusal,
    tags::{self, Tags},
    tamper,
    work::{Facts, Left, Unlisted, Work},
};
use crate::{
    clock::Clock,
    ledger::{Ledger, LedgerError, Scope},
    locale::{Phrase, say},
    problem::Problem,
    render::{RenderedPlan, RenderedStep},
    slot::{Followers, Tag},
    wechat::client::Client,
};

/// What a run is told from outside.
pub struct Settings<'a> {
    pub run_id: String,
    /// Edition, plan, account, platform.
    pub scope: Scope,
    /// The time, and the way to let it pass.
    pub clock: &'a dyn Clock,
    /// True once somebody asked to stop.
    pub interrupted: &'a dyn Fn() -> bool,
    /// Whether the digest of the plan was expected: nothing is sent then that it does not cover.
    pub approved: bool,
}

/// All that is to be done: whom every send reaches is settled, and the guards had no objection.
#[derive(Debug)]
pub struct Ready<'p> {
    pub(super) plan: &'p RenderedPlan,
    /// One entry a step instance.
    pub(super) work: Vec<Work<'p>>,
    pub(super) facts: Facts,
    /// What is to be said before anything is done.
    pub(super) notes: Vec<Phrase>,
}

impl Ready<'_> {
    /// What is to be said before anything is done.
    pub fn notes(&self) -> &[Phrase] {
        &self.notes
    }
}

impl<'p> Prepared<'p> {
    /// Lists followers, looks tags up, and asks the guards about both. Reads only; makes no call if nothing is to be
    /// looked up.
    pub fn complete(
        self,
        ledger: &dyn Ledger,
        client: &mut Client<'_>,
        settings: &Settings<'_>,
    ) -> Result<Ready<'p>, Refusal> {
        let Prepared { plan, work, mut facts, mut notes, records } = self;
        let Settings { scope, clock, interrupted, approved, .. } = settings;
        if *approved {
            tamper::approved(plan, &work)?;
        }
        let mut reader = AccountReader { client, clock: *clock, interrupted: *interrupted };
        let (found, said) =
            existing::look_up(&mut reader, plan, (&work, &records), &facts, scope.platform.is_rehearsal())?;
        facts.slots.extend(found);
        notes.extend(said);
        let looked_up = tags::look_up(&mut reader, &plan.guards, &work)?;
        let asked = looked_up.is_some() || work.iter().any(|work| matches!(work.left, Left::List(_)));
        let tags = looked_up.unwrap_or_default();
        facts.slots.extend(tags.slots(&work)?);
        let mut complete = Vec::with_capacity(work.len());
        for Work { step, left, state } in work {
            let left = left.listed(|unlisted| listed(plan, step, unlisted, &tags, &mut reader))?;
            let mut work = Work { step, left, state };
            tags.count(&mut work)?;
            complete.push(work);
        }
        if asked && let Some(problem) = guard::refusal(plan, &complete, &facts, ledger, scope, clock.now())? {
            return Err(Refusal::Guard(problem));
        }
        Ok(Ready { plan, work: complete, facts, notes })
    }
}

impl<'p> Ready<'p> {
    /// The steps of which something is left to do.
    pub fn open(&self) -> impl Iterator<Item = &Work<'p>> {
        self.work.iter().filter(|work| work.left.is_open())
    }

    /// What the run needs of the quotas that the ledger knows.
    pub fn forecast(&self, ledger: &dyn Ledger, settings: &Settings<'_>) -> Result<Forecast, LedgerError> {
        forecast(self.plan, &self.work, ledger, &settings.scope, settings.clock.now())
    }
}

/// What is left of a send when its people are listed.
fn listed(
    plan: &RenderedPlan,
    step: &RenderedStep,
    unlisted: Unlisted<'_>,
    tags: &Tags,
    reader: &mut AccountReader<'_, '_>,
) -> Result<Left, Refusal> {
    let Unlisted { followers, records, had, refused } = unlisted;
    let tag = match followers {
        Followers::All => None,
        Followers::Of(tag) => Some(tags.id(tag)?),
    };
    let what = say!("cannot list the people of `{step}`", step = step.name());
    let mut people = list(reader, Question { step, what: &what }, tag)?;
    people.unique(&step.excluded);
    if refused {
        return corrected(plan, step, &records, &had, people);
    }
    match with_new(plan, step, records, &had, people)? {
        Left::Calls { calls, .. } if calls.is_empty() => {
            let step = step.name();
            let message = match followers {
                Followers::All => {
                    say!("`{step}`: the account has fewer than two followers; WeChat requires two (40130)", step)
                }
                Followers::Of(Tag::Name(tag)) => {
                    say!("`{step}`: fewer than two people have the tag `{tag}`; WeChat requires two (40130)", step, tag)
                }
                Followers::Of(Tag::Id(tag)) => {
                    say!(
                        "`{step}`: fewer than two people have the tag {tag}; WeChat requires two (40130)",
                        step,
                        tag = *tag
                    )
                }
            };
            Err(Refusal::LookUp(Problem::new(message).help(say!("use a `preview` step for one person"))))
        }
        left => Ok(left),
    }
}
