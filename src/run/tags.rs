//! Before anything is sent: names of tags become numbers, and the sizes of tags count for `max_recipients`.

use std::time::Duration;

use serde_json::{Value, json};

use super::{guard, reader::Reader, steps::Runner, work::Todo};
use crate::{
    diag::{did_you_mean, one_of},
    ledger::LedgerError,
    payload::{Effect, Target},
    problem::Problem,
    render::RetryPolicy,
    slot::{self, Slot},
    text::chain,
    wechat::transport::Method,
};

/// A tag as `tags/get` lists it.
pub(super) struct Tag {
    name: String,
    id: u64,
    count: u64,
}

impl Runner<'_, '_> {
    /// One call to `tags/get`, if a send names a tag, or if the guard wants to know how many people tags hold.
    pub(super) fn look_up_tags(&mut self, todo: &mut [Todo]) -> Result<(), Problem> {
        let mut names = Vec::new();
        let mut guarded = false;
        for (step, todo) in self.plan.steps.iter().zip(todo.iter()) {
            if matches!(todo, Todo::Run { .. }) {
                let guards = &self.plan.guards;
                let counted = guards.max_recipients.is_some() || guards.max_change_percent.is_some();
                for call in &step.calls {
                    guarded |= counted && matches!(call.target, Target::Everyone | Target::Tag(_));
                    if let Target::Tag(slot::Tag::Name(name)) = &call.target {
                        names.push(name.clone());
                    }
                }
            }
        }
        if names.is_empty() && !guarded {
            return Ok(());
        }
        let (retry, timeout) = self
            .plan
            .steps
            .first()
            .map_or((RetryPolicy::default(), Duration::from_secs(30)), |step| (step.retry, step.timeout));
        let tags = Reader { client: self.client, clock: self.clock, retry, timeout }.tags()?;
        for name in names {
            let id = id_of(&name, &tags)?;
            self.slots.insert(Slot::Tag(name), json!(id));
        }
        self.count_people(todo, &tags)
    }

    /// Tag sends count the size of the tag; the sum is held against the guard.
    fn count_people(&mut self, todo: &mut [Todo], tags: &[Tag]) -> Result<(), Problem> {
        let mut people = 0;
        for (step, todo) in self.plan.steps.iter().zip(&mut *todo) {
            let Todo::Run { calls, .. } = todo else { continue };
            if step.spec.effect != Effect::Mass {
                continue;
            }
            for call in calls {
                if call.record.as_ref().is_some_and(|record| record.status == crate::ledger::Status::Accepted) {
                    continue;
                }
                if call.frozen.recipients.is_none() {
                    let target = call.target().map_err(|error| unreadable(&error))?;
                    call.frozen.recipients = self.size_of(&target, tags);
                }
                people += call.frozen.recipients.unwrap_or(0);
            }
        }
        let hit = guard::recipients(&self.plan.guards, people);
        let hit = match hit {
            Some(hit) => Some(hit),
            None => {
                let changed = guard::changed(self.plan, todo, self.ledger, &self.settings.scope);
                changed.map_err(|error| unreadable(&error))?
            }
        };
        match hit {
            Some(hit) => {
                self.ended.guarded = true;
                Err(hit.problem(self.plan))
            }
            None => Ok(()),
        }
    }

    fn size_of(&self, target: &Target, tags: &[Tag]) -> Option<u64> {
        let id = match target {
            Target::Tag(slot::Tag::Id(id)) => *id,
            Target::Tag(slot::Tag::Name(name)) => self.slots.get(&Slot::Tag(name.clone()))?.as_u64()?,
            Target::Everyone | Target::People(_) | Target::Followers(_) | Target::Person | Target::Nobody => {
                return None;
            }
        };
        tags.iter().find(|tag| tag.id == id).map(|tag| tag.count)
    }
}

fn unreadable(error: &LedgerError) -> Problem {
    Problem { message: chain(error), help: Vec::new(), errcode: None }
}

impl Reader<'_, '_> {
    /// All tags of the account.
    pub(super) fn tags(&mut self) -> Result<Vec<Tag>, Problem> {
        let reply = self.read(Method::Get, "/cgi-bin/tags/get", "").map_err(|problem| Problem {
            message: format!("the tags cannot be looked up: {}", problem.message),
            ..problem
        })?;
        let list = reply.members.get("tags").and_then(Value::as_array).cloned().unwrap_or_default();
        let tag = |tag: &Value| {
            let name = tag["name"].as_str()?.to_owned();
            Some(Tag { name, id: tag["id"].as_u64()?, count: tag["count"].as_u64().unwrap_or(0) })
        };
        Ok(list.iter().filter_map(tag).collect())
    }
}

pub(super) fn id_of(name: &str, tags: &[Tag]) -> Result<u64, Problem> {
    let refused = |message: String, help: String| Err(Problem { message, help: vec![help], errcode: None });
    let found: Vec<&Tag> = tags.iter().filter(|tag| tag.name == name).collect();
    match found.as_slice() {
        [tag] => Ok(tag.id),
        [] => {
            let known: Vec<&str> = tags.iter().map(|tag| tag.name.as_str()).collect();
            let near = did_you_mean(name, known.iter().copied()).map(|near| format!("did you mean `{near}`?"));
            refused(
                format!("no tag has the name `{name}`"),
                near.unwrap_or_else(|| format!("the account has {}", one_of(&known))),
            )
        }
        _ => refused(format!("several tags have the name `{name}`"), "give the tag as `tag_id`".into()),
    }
}
