//! Tags of the account: their names become numbers, and their sizes count for the guards.

use serde_json::{Value, json};

use super::{
    reader::{AccountReader, Question},
    refusal::Refusal,
    work::{Left, Unlisted, Work},
};
use crate::{
    ledger::LedgerError,
    locale::{Phrase, say},
    payload::{Effect, Target},
    plan::model::Guards,
    problem::Problem,
    slot::{Followers, Slot, Tag},
    text::{nearest, one_of},
    wechat::transport::Method,
};

/// A tag as `tags/get` lists it.
struct Listed {
    name: String,
    id: u64,
    count: u64,
}

/// The tags of the account; none where nothing asks for them.
#[derive(Default)]
pub(super) struct Tags(Vec<Listed>);

/// All tags, if a send or a list names one, or if a guard asks how many people one has: one call.
pub(super) fn look_up(
    reader: &mut AccountReader<'_, '_>,
    guards: &Guards,
    work: &[Work<'_, Unlisted<'_>>],
) -> Result<Option<Tags>, Refusal> {
    let counts = guards.max_recipients.is_some() || guards.max_change_percent.is_some();
    let wanted = |tag: &Tag| counts || matches!(tag, Tag::Name(_));
    let wants = |work: &&Work<'_, Unlisted<'_>>| match &work.left {
        Left::List(Unlisted { followers, .. }) => matches!(followers, Followers::Of(Tag::Name(_))),
        Left::Calls { .. } => sends_to(work).any(wanted),
        Left::NotSelected | Left::Never | Left::Doubtful { .. } | Left::Done { .. } | Left::Cover { .. } => false,
    };
    let Some(Work { step, .. }) = work.iter().find(wants) else { return Ok(None) };
    let question = Question { step, what: &say!("cannot look up the tags") };
    let reply = reader.read(question, Method::Get, "/cgi-bin/tags/get", "")?;
    let list = reply.members.get("tags").and_then(Value::as_array).cloned().unwrap_or_default();
    let tag = |tag: &Value| {
        let name = tag["name"].as_str()?.to_owned();
        Some(Listed { name, id: tag["id"].as_u64()?, count: tag["count"].as_u64().unwrap_or(0) })
    };
    Ok(Some(Tags(list.iter().filter_map(tag).collect())))
}

/// The tags that a step sends to.
fn sends_to<'w, L>(work: &'w Work<'_, L>) -> impl Iterator<Item = &'w Tag> {
    work.step.calls.iter().filter_map(|call| match &call.target {
        Target::Tag(tag) => Some(tag),
        Target::Everyone | Target::People(_) | Target::Followers(_) | Target::Person | Target::Nobody => None,
    })
}

/// The tag that a name was probably meant to be; otherwise all that there are.
pub(super) fn nearest_or_all(name: &str, known: &[&str]) -> Phrase {
    nearest(name, known.iter().copied()).unwrap_or_else(|| say!("the account has {tags}", tags = one_of(known)))
}

impl Tags {
    /// The slots of the names that calls hold.
    pub(super) fn slots<L>(&self, work: &[Work<'_, L>]) -> Result<Vec<(Slot, Value)>, Refusal> {
        let calls = work.iter().filter(|work| matches!(work.left, Left::Calls { .. }));
        let names = calls.flat_map(sends_to).filter_map(|tag| match tag {
            Tag::Name(name) => Some(name),
            Tag::Id(_) => None,
        });
        names.map(|name| Ok((Slot::Tag(name.clone()), json!(self.by_name(name)?.id)))).collect()
    }

    pub(super) fn id(&self, tag: &Tag) -> Result<u64, Refusal> {
        match tag {
            Tag::Id(id) => Ok(*id),
            Tag::Name(name) => Ok(self.by_name(name)?.id),
        }
    }

    /// Sends to a tag reach as many people as it has.
    pub(super) fn count<L>(&self, work: &mut Work<'_, L>) -> Result<(), LedgerError> {
        let Left::Calls { calls, .. } = &mut work.left else { return Ok(()) };
        if work.step.spec.effect != Effect::Mass {
            return Ok(());
        }
        for call in calls.iter_mut().filter(|call| call.is_open()) {
            // What the ledger has of an earlier run is no count of today.
            if let Target::Tag(tag) = &*call.target()?
                && let Some(size) = self.size(tag)
            {
                call.frozen.recipients = Some(size);
            }
        }
        Ok(())
    }

    fn size(&self, tag: &Tag) -> Option<u64> {
        let mut listed = self.0.iter();
        let found = match tag {
            Tag::Id(id) => listed.find(|listed| listed.id == *id),
            Tag::Name(name) => listed.find(|listed| listed.name == *name),
        };
        found.map(|listed| listed.count)
    }

    fn by_name(&self, name: &str) -> Result<&Listed, Refusal> {
        let refused = |message: Phrase, help: Phrase| Err(Refusal::LookUp(Problem::new(message).help(help)));
        let found: Vec<&Listed> = self.0.iter().filter(|tag| tag.name == name).collect();
        match found.as_slice() {
            [tag] => Ok(tag),
            [] => {
                let known: Vec<&str> = self.0.iter().map(|tag| tag.name.as_str()).collect();
                refused(say!("there is no tag `{name}`", name), nearest_or_all(name, &known))
            }
            _ => refused(say!("several tags are named `{name}`", name), say!("use `tag_id`")),
        }
    }
}
