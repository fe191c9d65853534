//! `send_by_openid`: to a list of people; service accounts only.
//! <https://developers.weixin.qq.com/doc/service/api/notify/message/api_masssend.html>

use std::{ops::Range, sync::Arc};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{Call, Calls, Content, Fields, FileUse, Holds, Kind, Spec, number, put_reprint, send_by_tag::tag_name};
use crate::{
    diag::Code,
    limits,
    payload::{self, Effect, People, Target},
    plan::{
        message::Message,
        model::AccountKind,
        value::{Number, Template, one_or_many},
    },
    slot::{Followers, Output, Slot, Tag},
};

/// Fields of the action.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SendByOpenid {
    /// Who gets it: { openids: [...] }, { file, column, exclude }, { tag or tag_id, exclude } or { followers: true, exclude }.
    to: To,
    /// What is sent.
    message: Message,
    /// For articles that WeChat takes for a reprint: send them all the same, if their owner allows it.
    #[serde(default)]
    send_ignore_reprint: Option<bool>,
    /// When the audience of an accepted send has changed: refuse the run, or send it to those who are new.
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
    /// It is sent to the openids that no accepted call of the step has had.
    SendNew,
}

/// People: written out, from files, or the followers (of a tag) as WeChat lists them when the plan runs.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline, extend(
    "oneOf" = [{ "required": ["openids"] }, { "required": ["file"] }, { "required": ["tag"] }, { "required": ["tag_id"] }, { "required": ["followers"] }],
    "x-exactly-one" = ["openids", "file", "tag", "tag_id", "followers"],
    "examples" = [{ "file": "audience/vip.csv", "column": "openid" }],
))]
pub struct To {
    /// The openids, written out.
    #[serde(default)]
    #[schemars(extend("minItems" = 1))]
    pub openids: Option<Vec<Template>>,
    /// A .txt file (one openid a line), .csv file (with a header line) or .jsonl file, or one of these packed with gzip
    /// (.csv.gz); or a list of them.
    #[serde(default, deserialize_with = "many")]
    #[schemars(schema_with = "paths")]
    pub file: Vec<Template>,
    /// The column (or key) of the file that holds the openids.
    #[serde(default)]
    #[schemars(extend("default" = "openid"))]
    pub column: Option<String>,
    /// Files of openids that do not get it, of the same kinds; the column has the same name.
    #[serde(default, deserialize_with = "many")]
    #[schemars(schema_with = "paths")]
    pub exclude: Vec<Template>,
    /// Name of a tag, whose followers are listed when the plan runs.
    #[serde(default)]
    #[schemars(extend("minLength" = 1))]
    pub tag: Option<Template>,
    /// Number of a tag, whose followers are listed when the plan runs.
    #[serde(default)]
    pub tag_id: Option<Number<0, { u64::MAX }>>,
    /// All followers, listed when the plan runs.
    #[serde(default)]
    #[schemars(extend("const" = true))]
    pub followers: Option<bool>,
}

impl To {
    /// Whether the people are listed by WeChat when the plan runs.
    pub fn is_listed(&self) -> bool {
        self.tag.is_some() || self.tag_id.is_some() || self.followers.is_some()
    }
}

fn many<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Template>, D::Error> {
    one_or_many(deserializer)
}

fn paths(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": ["string", "array"], "minLength": 1, "items": { "type": "string", "minLength": 1 }, "minItems": 1 })
}

impl Kind for SendByOpenid {
    const SPEC: Spec = Spec {
        name: "send_by_openid",
        summary: "Sends a message to a list of people (service accounts only), 2 to 10,000 a call.",
        path: "/cgi-bin/message/mass/send",
        effect: Effect::Mass,
        outputs: &[Output::MsgId, Output::MsgIds, Output::MsgDataId],
        exactly_one: &[],
        only: Some(AccountKind::Service),
    };

    fn calls(&self, fields: &mut dyn Fields) -> Option<Calls> {
        if self.to.column.is_some() && self.to.file.is_empty() && self.to.exclude.is_empty() {
            let message = "`column` has no effect without a file".to_owned();
            fields.problem("/to/column", Code::IgnoredSetting, message, "leave it out");
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
            audience: Some(format!("{} openids", openids.len())),
            content: Content::Message(message),
            listed: None,
        })
    }

    fn message(&self) -> Option<&Message> {
        Some(&self.message)
    }

    fn openids(&self) -> Option<&To> {
        Some(&self.to)
    }

    fn sends_new(&self) -> bool {
        self.on_audience_change == OnAudienceChange::SendNew
    }

    fn files(&self) -> Vec<FileUse> {
        let name = |field: &str, list: &[Template], holds| -> Vec<FileUse> {
            // A list of one is most often written as a plain string, whose place is the field itself.
            list.iter()
                .enumerate()
                .map(|(at, path)| FileUse { suffix: format!("/to/{field}/{at}"), path: path.clone(), holds })
                .collect()
        };
        let mut files = name("file", &self.to.file, Holds::Openids);
        files.extend(name("exclude", &self.to.exclude, Holds::Exclude));
        files.extend(self.message.file().map(|(suffix, path)| FileUse {
            suffix: suffix.into(),
            path: path.clone(),
            holds: Holds::Text,
        }));
        files
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
            audience: Some(list.to_string()),
            content: Content::Message(message),
            listed: Some(list),
        })
    }
}

/// Ranges of as few calls as can be, each of 2 to 10,000 openids, in order.
pub fn chunks(count: usize) -> impl Iterator<Item = Range<usize>> {
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
