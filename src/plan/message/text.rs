//! `text`: words, or the file that holds them.

use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::{
    lint,
    parts::long,
    spec::{Body, MessageFields, MessageType, read},
};
use crate::{
    diag::Code,
    limits,
    locale::{Count, say},
    message::MessageKind,
    plan::{ask::Fields, value::Template},
};

pub(super) static TYPE: MessageType =
    MessageType { kind: MessageKind::Text, is_article: false, can_be_deleted: false, schema, read: read::<Text> };

#[derive(Debug)]
enum Text {
    Inline(Template),
    File(Template),
}

impl MessageFields for Text {
    fn for_send(&self, fields: &mut dyn Fields) -> Option<Body> {
        let content = self.render(fields)?;
        Some(Body::new(MessageKind::Text, json!({ "content": content }), content))
    }

    fn file(&self) -> Option<(&'static str, &Template)> {
        match self {
            Text::Inline(_) => None,
            Text::File(path) => Some(("/message/text/file", path)),
        }
    }
}

impl Text {
    fn render(&self, fields: &mut dyn Fields) -> Option<String> {
        let (suffix, content) = match self {
            Text::Inline(template) => ("/message/text", fields.text("/message/text", template)?),
            Text::File(_) => ("/message/text/file", fields.file("/message/text/file")?),
        };
        let (bytes, chars) = (content.len(), content.chars().count());
        if content.trim().is_empty() {
            fields.problem(suffix, Code::EmptyText, say!("the rendered text is empty"), say!("write the final text"));
            return None;
        }
        if chars >= limits::TEXT_CHARS_WARN || bytes > limits::TEXT_BYTES_WARN {
            let message = say!(
                "the rendered text has {chars} character ({bytes} bytes); WeChat may refuse it (45002)"
                    | "the rendered text has {chars} characters ({bytes} bytes); WeChat may refuse it (45002)",
                chars,
                bytes = Count::from(bytes)
            );
            let help = say!("shorten it, and try it with a `preview` step first");
            fields.problem(suffix, Code::LongText, message, help);
        }
        lint::text(fields, suffix, &content);
        Some(content)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Long {
            file: Template,
        }
        Ok(match Value::deserialize(deserializer)? {
            Value::String(text) => Text::Inline(Template(text)),
            value => Text::File(long::<Long, D>(value)?.file),
        })
    }
}

fn schema() -> Value {
    json!({
        "description": "Text: a template, or { file: PATH }.", "type": ["string", "object"], "minLength": 1,
        "properties": { "file": { "type": "string", "minLength": 1, "description": "Path of a UTF-8 text file; may contain templates. The final newline is not sent." } },
        "required": ["file"], "additionalProperties": false,
        "examples": ["{{ vars.product }}上新", { "file": "content/hello.txt" }],
    })
}
