//! `mpnews`: an article, which is a draft that is sent.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    parts::Media,
    spec::{Body, MessageFields, MessageType, read},
};
use crate::{message::MessageKind, plan::ask::Fields};

pub(super) static TYPE: MessageType =
    MessageType { kind: MessageKind::Mpnews, is_article: true, can_be_deleted: true, schema, read: read::<Mpnews> };

#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct Mpnews(Media);

impl MessageFields for Mpnews {
    fn for_send(&self, fields: &mut dyn Fields) -> Option<Body> {
        let id = self.0.render(fields, MessageKind::Mpnews)?;
        Some(Body::of_media(MessageKind::Mpnews, json!({ "media_id": id }), vec![id]))
    }
}

fn schema() -> Value {
    Media::schema("An article: the media_id of a draft.", "{{ steps.article.media_id }}")
}
