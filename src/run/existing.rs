//! Drafts that somebody made in the console: found, and compared with what was pinned, before anything is sent.
//!
//! Until a draft is sent it is read again in each run that needs it, because anybody can change it at any time. Afterwards it
//! is gone for WeChat, and the ledger alone knows it.
//! <https://developers.weixin.qq.com/doc/subscription/api/draftbox/draftmanage/api_getdraft.html>

use serde_json::{Value, json};

use super::{
    drafts::is_gone,
    frozen,
    outputs::given,
    reader::{AccountReader, Question},
    reconcile::{anew, is_current, latest},
    refusal::{Refusal, in_a_row},
    work::{Facts, Left, StepCall, StepState, Work, Write},
};
use crate::{
    clock::Clock,
    content::pin::{self, Pin},
    ledger::{CallRecord, LedgerError, Status},
    limits,
    locale::{Phrase, list, say},
    payload::Effect,
    plan::action::use_draft::GET,
    problem::Problem,
    render::{DraftName, PlannedCall, RenderedPlan, RenderedStep, UsedDraft},
    slot::{Output, Slot},
    wechat::{Reply, client::Client, transport::Method},
};

/// Lists the draft box.
const BATCHGET: &str = "/cgi-bin/draft/batchget";
/// What WeChat says of a draft that is not there.
const NOT_THERE: i64 = 40007;

/// A draft as it is now.
#[derive(Debug)]
pub(crate) struct Found {
    /// Its `media_id`.
    pub(crate) id: String,
    /// Of its articles.
    pub(crate) titles: Vec<String>,
    pub(crate) pin: Pin,
}

/// The draft that a step takes, if it takes one.
pub(crate) fn uses(step: &RenderedStep) -> Option<&UsedDraft> {
    step.calls.iter().find_map(PlannedCall::uses)
}

/// The draft of a step as it is now. Nothing is compared.
pub(crate) fn found(
    client: &mut Client<'_>,
    clock: &dyn Clock,
    interrupted: &dyn Fn() -> bool,
    step: &RenderedStep,
) -> Result<Option<Found>, Refusal> {
    let mut reader = AccountReader { client, clock, interrupted };
    uses(step).map(|uses| read(&mut reader, step, &uses.name)).transpose()
}

/// Refuses what is not as it was pinned.
pub(crate) fn check(plan: &RenderedPlan, step: &RenderedStep, found: &Found) -> Result<(), Refusal> {
    let pinned = uses(step).and_then(|uses| Some((&uses.name, uses.pinned.as_ref()?)));
    pinned.map_or(Ok(()), |(name, pin)| drift(plan, name, pin, found)).map_err(Refusal::Changed)
}

/// What is left of a step that takes a draft.
pub(super) fn left<L>(step: &RenderedStep, known: &[&CallRecord]) -> Result<Left<L>, LedgerError> {
    frozen::check_given(known)?;
    let version = latest(step, known);
    if !is_current(step, version) || version.iter().any(|record| is_gone(record)) {
        let anew = version.iter().any(|record| is_gone(record));
        return Ok(again(step, known, anew));
    }
    if version.iter().all(|record| record.status == Status::Accepted) {
        return Ok(Left::Done { records: version.iter().map(|record| (*record).clone()).collect(), notes: Vec::new() });
    }
    let calls = version.iter().map(|record| StepCall {
        record: Some((*record).clone()),
        ..planned(step, record.frozen.id.chunk, record.frozen.message_digest.clone())
    });
    Ok(Left::Calls { calls: calls.collect(), write: Write::New, notes: Vec::new() })
}

/// The call with a number of its own.
fn planned(step: &RenderedStep, chunk: u32, version: Option<String>) -> StepCall {
    let call = step.calls.first().expect("a draft is read with one call").clone();
    let media = call.media.clone();
    let mut call = StepCall::planned(step, PlannedCall { chunk, ..call });
    (call.media, call.frozen.message_digest) = (media, version);
    call
}

/// The draft is read (again): a version of its own.
fn again<L>(step: &RenderedStep, known: &[&CallRecord], is_repeated: bool) -> Left<L> {
    let chunk = known.last().map_or(1, |record| record.frozen.id.chunk + 1);
    let version = if is_repeated { anew(step, chunk) } else { step.content.digest().map(str::to_owned) };
    Left::Calls { calls: vec![planned(step, chunk, version)], write: Write::New, notes: Vec::new() }
}

/// Reads drafts again that are needed and not sent yet.
pub(super) fn reopen<L>(work: &mut [Work<'_, L>], records: &[CallRecord]) {
    for index in 0..work.len() {
        let (before, after) = work.split_at_mut(index + 1);
        let this = &mut before[index];
        let Left::Done { records: known, .. } = &this.left else { continue };
        if uses(this.step).is_none() || !is_needed(this.step, after) {
            continue;
        }
        let id = known.iter().rev().find_map(|record| given(record.acceptance()?, Output::MediaId));
        if id.is_some_and(|id| is_used(records, &id)) {
            continue;
        }
        let known: Vec<&CallRecord> = known.iter().collect();
        this.left = again(this.step, &known, true);
    }
}

fn is_needed<L>(step: &RenderedStep, later: &[Work<'_, L>]) -> bool {
    later.iter().any(|other| other.left.is_open() && other.step.needs.contains(&step.id))
}

/// Whether a call that uses a draft up was made, or may have been.
fn is_used(records: &[CallRecord], id: &str) -> bool {
    records.iter().any(|record| {
        !matches!(record.frozen.effect, Effect::Media | Effect::Preview | Effect::Read)
            && (record.status == Status::Accepted || record.status.in_doubt())
            && record.sent_body().is_some_and(|body| body.contains(id))
    })
}

/// The slots of the titles, and what is to be said.
type LookedUp = (Vec<(Slot, Value)>, Vec<Phrase>);

/// Finds all drafts that are read in this run or that a send of it needs, and refuses what is not as it was pinned.
pub(super) fn look_up<L>(
    reader: &mut AccountReader<'_, '_>,
    plan: &RenderedPlan,
    (work, records): (&[Work<'_, L>], &[CallRecord]),
    facts: &Facts,
    is_rehearsal: bool,
) -> Result<LookedUp, Refusal> {
    let (mut slots, mut notes) = (Vec::new(), Vec::new());
    for (index, Work { step, left, state }) in work.iter().enumerate() {
        let Some(used) = uses(step) else { continue };
        let was_read = match left {
            Left::Calls { .. } => None,
            Left::Done { records, .. } => {
                records.iter().rev().find_map(|record| given(record.acceptance()?, Output::MediaId))
            }
            Left::NotSelected if *state == StepState::Available => {
                facts.slots.get(&step.slot(Output::MediaId)).and_then(Value::as_str).map(str::to_owned)
            }
            _ => continue,
        };
        let is_used = was_read.as_ref().is_some_and(|id| self::is_used(records, id));
        let found = match &was_read {
            None => read(reader, step, &used.name)?,
            Some(_) if used.pinned.is_none() || !is_needed(step, &work[index + 1..]) => continue,
            Some(id) => match read(reader, step, &DraftName::Id(id.clone())) {
                // What was sent is gone; what may have been sent is repeated with the same id, and WeChat knows it.
                Err(Refusal::LookUp(problem)) if is_used && problem.errcode == Some(NOT_THERE) => continue,
                read => read?,
            },
        };
        if is_rehearsal && used.pinned.is_some() {
            notes.push(say!(
                "`{step}`: the sandbox has a made-up draft in place of `{draft}`; it is not compared with what was pinned",
                step = step.name(),
                draft = used.name.to_string()
            ));
        } else if let Some(pin) = &used.pinned {
            drift(plan, &used.name, pin, &found).map_err(Refusal::Changed)?;
        }
        if let (None, DraftName::Title(title)) = (&was_read, &used.name) {
            slots.push((Slot::Draft(title.clone()), found.id.into()));
        }
    }
    Ok((slots, notes))
}

/// A draft as it is now.
fn read(reader: &mut AccountReader<'_, '_>, step: &RenderedStep, name: &DraftName) -> Result<Found, Refusal> {
    let what = say!("cannot read the draft of `{step}`", step = step.name());
    let question = Question { step, what: &what };
    let id = match name {
        DraftName::Id(id) => id.clone(),
        DraftName::Title(title) => by_title(reader, question, title)?,
    };
    let body = json!({ "media_id": id }).to_string();
    let reply = match reader.read(question, Method::Post, GET, &body) {
        Err(Refusal::LookUp(problem)) if problem.errcode == Some(NOT_THERE) => {
            let message = say!(
                "the draft `{draft}` of `{step}` is not in the draft box (40007): it was sent, published or deleted",
                draft = name.to_string(),
                step = step.name()
            );
            let help = say!("make it again in the console and correct the step, or take the step out of the plan");
            return Err(Refusal::LookUp(Problem::new(message).help(help).errcode(NOT_THERE)));
        }
        reply => reply?,
    };
    let articles = articles(&reply);
    let pin = Pin::of(articles)
        .ok_or_else(|| question.failed(Problem::new(say!("WeChat answered with a draft without articles"))))?;
    Ok(Found { id, titles: pin::titles(articles), pin })
}

fn articles(reply: &Reply) -> &[Value] {
    reply.members.get("news_item").and_then(Value::as_array).map_or(&[][..], Vec::as_slice)
}

/// The `media_id` of the one draft whose first article has this title.
fn by_title(reader: &mut AccountReader<'_, '_>, question: Question<'_>, title: &str) -> Result<String, Refusal> {
    let (mut same, mut titles): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    let mut offset = 0;
    for _ in 0..limits::DRAFT_PAGES_MAX {
        let body = json!({ "offset": offset, "count": limits::DRAFTS_PAGE, "no_content": 1 }).to_string();
        let reply = reader.read(question, Method::Post, BATCHGET, &body)?;
        let items = reply.members.get("item").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for item in items {
            let (Some(id), Some(first)) =
                (item["media_id"].as_str(), item["content"]["news_item"][0]["title"].as_str())
            else {
                continue;
            };
            if first.trim() == title && !same.iter().any(|known| known == id) {
                same.push(id.to_owned());
            }
            titles.push(first.to_owned());
        }
        offset += items.len();
        let total = reply.members.get("total_count").and_then(Value::as_u64).unwrap_or(0);
        if items.is_empty() || offset as u64 >= total {
            return one(question, title, &same, &titles);
        }
    }
    Err(question.failed(Problem::new(say!("WeChat answered with too many pages"))))
}

fn one(question: Question<'_>, title: &str, same: &[String], titles: &[String]) -> Result<String, Refusal> {
    match same {
        [id] if crate::payload::is_value(id) => Ok(id.clone()),
        [_] => Err(question.failed(Problem::new(say!("WeChat answered with an invalid media_id")))),
        [] => {
            let problem = Problem::new(say!("no draft in the draft box has the title `{title}`", title));
            let near = crate::text::nearest(title, titles.iter().map(String::as_str));
            let known = || match titles {
                [] => say!("the draft box is empty: what was sent or published is not in it any more"),
                titles => say!(
                    "it has {titles}",
                    titles = list(titles.iter().take(limits::DRAFTS_PAGE).map(|title| format!("`{title}`")))
                ),
            };
            Err(question.failed(problem.help(near.unwrap_or_else(known))))
        }
        several => {
            let problem = Problem::new(say!(
                "{drafts} drafts have the title `{title}`",
                drafts = crate::locale::Count::from(several.len()),
                title
            ));
            let ids = list(several.iter().cloned());
            Err(question.failed(
                problem.help(say!("write the one that is meant in place of `title`, as `media_id`: {ids}", ids)),
            ))
        }
    }
}

/// Why a draft is not what was pinned.
fn drift(plan: &RenderedPlan, name: &DraftName, pin: &Pin, found: &Found) -> Result<(), Problem> {
    let changes = pin.changes(&found.pin, &found.titles);
    if changes.is_empty() {
        return Ok(());
    }
    let message = say!(
        "the draft `{draft}` is not what was pinned: {changes}",
        draft = name.to_string(),
        changes = in_a_row(changes)
    );
    let command = plan.command("pin", &[]);
    Err(Problem::new(message)
        .help(say!("look at it in the console; if it is right, pin it again: {command}", command))
        .help(say!("the digest of the plan changes with it, so what was approved has to be approved again")))
}

/// The draft that a body of `draft/get` asks for.
pub(super) fn asked(body: &str) -> Option<String> {
    serde_json::from_str::<Value>(body).ok()?["media_id"].as_str().map(str::to_owned)
}

/// Whether what the step itself has read is what was pinned: somebody may have changed it since the run began.
pub(super) fn compare(plan: &RenderedPlan, uses: &UsedDraft, reply: &Reply, is_rehearsal: bool) -> Result<(), Problem> {
    let articles = articles(reply);
    let empty = || Problem::new(say!("WeChat answered with a draft without articles"));
    let pin = Pin::of(articles).ok_or_else(empty)?;
    let found = Found { id: String::new(), titles: pin::titles(articles), pin };
    match &uses.pinned {
        Some(pinned) if !is_rehearsal => drift(plan, &uses.name, pinned, &found),
        _ => Ok(()),
    }
}
