//! `voice`: a recording.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    parts::Media,
    spec::{Body, MessageFields, MessageType, read},
};
use crate::{message::MessageKind, plan::ask::Fields};

pub(super) static TYPE: MessageType =
    MessageType { kind: MessageKind::Voice, is_article: false, can_be_deleted: false, schema, read: read::<Voice> };

#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct Voice(Media);

impl MessageFields for Voice {
    fn for_send(&self, fields: &mut dyn Fields) -> Option<Body> {
        let id = self.0.render(fields, MessageKind::Voice)?;
        Some(Body::of_media(MessageKind::Voice, json!({ "media_id": id }), vec![id]))
    }
}

fn schema() -> Value {
    Media::schema("A voice recording: the media_id of permanent material.", "MEDIA_ID")
}
