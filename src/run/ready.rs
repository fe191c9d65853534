//! What only WeChat knows.

use std::time::Duration;

use super::{followers::with_new, prepare::Prepared, reader::Reader, tags, work::Todo};
use crate::{
    clock::Clock,
    problem::Problem,
    render::{RenderedPlan, RetryPolicy},
    slot::{Followers, Tag},
    text::chain,
    wechat::client::Client,
};

/// Lists the people of every send whose people WeChat lists, before anything is sent. Reads only.
pub fn gather(
    plan: &RenderedPlan,
    prepared: &mut Prepared,
    client: &mut Client<'_>,
    clock: &dyn Clock,
) -> Result<(), Problem> {
    let mut reader = Reader { client, clock, retry: RetryPolicy::default(), timeout: Duration::from_secs(30) };
    let mut names: Option<Vec<tags::Tag>> = None;
    for (step, todo) in plan.steps.iter().zip(&mut prepared.todo) {
        let (Todo::Gather { records, had }, Some(list)) = (&mut *todo, &step.listed) else { continue };
        (reader.retry, reader.timeout) = (step.retry, step.timeout);
        let tag = match list {
            Followers::All => None,
            Followers::Of(Tag::Id(id)) => Some(*id),
            Followers::Of(Tag::Name(name)) => {
                if names.is_none() {
                    names = Some(reader.tags()?);
                }
                Some(tags::id_of(name, names.as_deref().unwrap_or_default())?)
            }
        };
        let mut people = reader.list(tag).map_err(|problem| Problem {
            message: format!("the people of `{}` cannot be listed: {}", step.name(), problem.message),
            ..problem
        })?;
        people.unique(&step.excluded);
        let listed = with_new(plan, step, std::mem::take(records), had, people);
        let listed = listed.map_err(|error| Problem { message: chain(&error), help: Vec::new(), errcode: None })?;
        *todo = match listed {
            Todo::Run { calls, .. } if calls.is_empty() => {
                let message =
                    format!("`{}`: {} are fewer than two people; WeChat takes at least two (40130)", step.name(), list);
                return Err(Problem {
                    message,
                    help: vec!["show it to one person with `preview`".into()],
                    errcode: None,
                });
            }
            todo => todo,
        };
    }
    Ok(())
}
