//! `send_by_openid`: to a list of people; service accounts only.
//! <https://developers.weixin.qq.com/doc/service/api/notify/message/api_masssend.html>

use std::{ops::Range, sync::Arc};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{
    send_by_tag::{tag_name, tag_words},
    spec::{Action, Asks, Spec, put_reprint, read},
};
use crate::{
    diag::Code,
    limits,
    locale::{Phrase, say},
    payload::{self, Effect, People, Target},
    plan::{
        account::AccountKind,
        ask::{Call, Calls, Content, Fields, number},
        message::Message,
        people::PeopleSource,
        value::Template,
    },
    slot::{Followers, Output, Slot, Tag},
};

pub(crate) static SPEC: Spec = Spec {
    name: "send_by_openid",
    summary: "Sends a message to a list of people (service accounts only), 2 to 10,000 per call.",
    path: "/cgi-bin/message/mass/send",
    effect: Effect::Mass,
    outputs: &[Output::MsgId, Output::MsgIds, Output::MsgDataId],
    exactly_one: &[],
    only: Some(AccountKind::Service),
    own_timeout: false,
    schema: SendByOpenid::json_schema,
    read: read::<SendByOpenid>,
};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SendByOpenid {
    /// Audience: { openids: [...] }, { file, column, exclude }, { tag or tag_id, exclude } or { followers: true, exclude }.
    to: PeopleSource,
    /// Message to send.
    message: Message,
    /// Former id of the step (or ID[KEY]; may be a template): what was sent under it counts as sent by this step.
    #[serde(default)]
    #[schemars(extend("examples" = ["announce"]))]
    was: Option<Template>,
    /// Send articles that WeChat considers reprints anyway, if the owner allows it.
    #[serde(default)]
    send_ignore_reprint: Option<bool>,
    /// If the audience of an accepted send has changed: refuse the run, or send to new people.
    #[serde(default)]
    on_audience_change: OnAudienceChange,
}

/// What happens when the audience of an accepted send has changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum OnAudienceChange {
    /// The run stops with exit code 8.
    #[default]
    Refuse,
    /// Send to openids not yet reached by this step.
    SendNew,
}

impl Action for SendByOpenid {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn calls(&self, fields: &mut dyn Fields) -> Option<Calls> {
        if self.to.column.is_some() && self.to.file.is_empty() && self.to.exclude.is_empty() {
            let message = say!("`column` has no effect without a file");
            fields.problem("/to/column", Code::IgnoredSetting, message, say!("leave it out"));
        }
        if self.to.is_listed() {
            return self.listed(fields);
        }
        let openids = fields.openids();
        let message = self.message.for_send(fields);
        let (openids, message) = (openids?, message?);
        let mut rest = json!({});
        let message = message.put(&mut rest);
        put_reprint(&mut rest, fields, self.send_ignore_reprint, &self.message);
        let calls = chunks(openids.len()).map(|range| {
            let mut body = json!({ "touser": [] });
            if let (Some(body), Some(rest)) = (body.as_object_mut(), rest.as_object()) {
                body.extend(rest.clone());
            }
            Call::new(body, Target::People(People { openids: Arc::clone(&openids), range }))
        });
        Some(Calls {
            calls: calls.collect(),
            audience: Some(say!("{openids} openid" | "{openids} openids", openids = openids.len())),
            content: Content::Message(message),
            listed: None,
        })
    }

    fn was(&self) -> Option<&Template> {
        self.was.as_ref()
    }

    fn asks(&self) -> Asks<'_> {
        let sends_new = self.on_audience_change == OnAudienceChange::SendNew;
        Asks::SendTo { message: &self.message, people: &self.to, sends_new }
    }
}

impl SendByOpenid {
    /// One call that stands for all: who gets it is known only when the plan runs.
    fn listed(&self, fields: &mut dyn Fields) -> Option<Calls> {
        let list = match (&self.to.tag, &self.to.tag_id) {
            (Some(name), _) => tag_name(fields, name).map(|name| Followers::Of(Tag::Name(name))),
            (None, Some(id)) => number(fields, "/to/tag_id", id).map(|id| Followers::Of(Tag::Id(id))),
            (None, None) => Some(Followers::All),
        };
        let message = self.message.for_send(fields);
        let (list, message) = (list?, message?);
        let who = payload::stand_in(&Slot::Followers(list.clone()));
        let mut body = json!({ "touser": [who] });
        let message = message.put(&mut body);
        put_reprint(&mut body, fields, self.send_ignore_reprint, &self.message);
        Some(Calls {
            calls: vec![Call::new(body, Target::Followers(list.clone()))],
            audience: Some(listed_words(&list)),
            content: Content::Message(message),
            listed: Some(list),
        })
    }
}

fn listed_words(list: &Followers) -> Phrase {
    match list {
        Followers::All => say!("the list of all followers"),
        Followers::Of(tag) => say!("the list of followers with {tag}", tag = tag_words(tag)),
    }
}

/// Ranges of as few calls as can be, each of 2 to 10,000 openids, in order.
pub(crate) fn chunks(count: usize) -> impl Iterator<Item = Range<usize>> {
    let calls = count.div_ceil(limits::OPENIDS_MAX);
    (0..calls).map(move |call| {
        // A last call of one is not taken by WeChat (40130): the one before it gives one up.
        let lonely = count % limits::OPENIDS_MAX == 1 && calls > 1;
        let start = call * limits::OPENIDS_MAX - usize::from(lonely && call + 1 == calls);
        let end = ((call + 1) * limits::OPENIDS_MAX - usize::from(lonely && call + 2 == calls)).min(count);
        start..end
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_hold_2_to_10000_and_everybody_once() {
        for count in [2, 3, 9_999, 10_000, 10_001, 10_002, 20_000, 20_001, 30_001, 100_001] {
            let ranges: Vec<_> = chunks(count).collect();
            assert_eq!(ranges.len(), count.div_ceil(10_000), "as few as can be for {count}");
            assert!(ranges.iter().all(|range| (2..=10_000).contains(&range.len())), "{count}: {ranges:?}");
            assert_eq!(ranges.iter().cloned().flatten().collect::<Vec<_>>(), (0..count).collect::<Vec<_>>());
        }
    }
}
