//! The body of a request: JSON text with named slots for what is known only at run time.
//!
//! A slot is a name between two Unicode noncharacters, which no input of ours may hold ([`crate::diag::source::decode`]), so
//! no text of a user can be taken for one. `#` before the name marks a number: the quotes around it go away.

use std::{borrow::Cow, cell::OnceCell, fmt::Write as _, ops::Range, sync::Arc};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::openids::Openids;

const OPEN: char = '\u{fdd0}';
const CLOSE: char = '\u{fdd1}';

/// What a call does to the world; decides how its calls are repeated and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Reaches many people and cannot be taken back; carries a `clientmsgid`.
    Mass,
    /// Reaches one person.
    Preview,
    /// Takes an article back.
    Delete,
    /// Changes a setting; doing it twice is doing it once.
    Setting,
    /// Adds to the account's library, or changes a draft there; sends nothing. Done twice, one is left over.
    Media,
    /// Reads only.
    Read,
}

impl Effect {
    /// All, with the names they have in a ledger.
    pub const ALL: &[(Effect, &str)] = &[
        (Effect::Mass, "mass"),
        (Effect::Preview, "preview"),
        (Effect::Delete, "delete"),
        (Effect::Setting, "setting"),
        (Effect::Media, "media"),
        (Effect::Read, "read"),
    ];

    /// The name in a ledger.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(effect, _)| *effect == self).map_or("", |(_, name)| name)
    }

    /// The effect of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(effect, _)| *effect)
    }
}

/// The text that stands for a run-time value inside a string.
pub fn slot(name: &str) -> String {
    format!("{OPEN}{name}{CLOSE}")
}

/// The string that stands for a run-time number.
pub fn number_slot(name: &str) -> String {
    format!("{OPEN}#{name}{CLOSE}")
}

/// True if a text holds a slot.
pub fn has_slot(text: &str) -> bool {
    text.contains(OPEN)
}

/// If a text is one slot and nothing else: its name.
pub fn only_slot(text: &str) -> Option<&str> {
    let name = text.strip_prefix(OPEN)?.strip_suffix(CLOSE)?;
    (!name.contains([OPEN, CLOSE])).then(|| name.trim_start_matches('#'))
}

/// A text as a dry run shows it: `<steps.article.media_id>`.
pub fn shown(text: &str) -> String {
    text.replace("\u{fdd0}#", "<").replace(OPEN, "<").replace(CLOSE, ">")
}

/// The body of a request. People are not copied into it: it knows who they are, and writes them when it is written.
#[derive(Debug, Clone)]
pub struct Payload {
    text: String,
    /// Where in the text the people go, and which.
    people: Option<People>,
    digest: OnceCell<String>,
}

#[derive(Debug, Clone)]
struct People {
    at: usize,
    openids: Arc<Openids>,
    range: Range<usize>,
}

impl People {
    fn write(&self, out: &mut String, between: &str) {
        // Openids need no escapes: letters, digits, - and _.
        for (number, openid) in self.openids.range(self.range.clone()).enumerate() {
            out.push_str(if number == 0 { "" } else { between });
            out.push('"');
            out.push_str(openid);
            out.push('"');
        }
    }

    fn bytes(&self) -> usize {
        self.range.len() * 32
    }
}

/// What an empty list of people looks like.
const NOBODY: &str = "\"touser\":[]";

/// A slot whose value is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the value of `{0}` is not known")]
pub struct MissingValue(pub String);

impl Payload {
    /// Serialises a body: UTF-8 as it is, no `\uXXXX` but for control characters, no HTML escaping, keys in order. People
    /// go into its empty `touser`.
    pub fn new(body: &Value, people: Option<(Arc<Openids>, Range<usize>)>) -> Self {
        let text = body.to_string();
        let people = people.and_then(|(openids, range)| {
            let at = text.find(NOBODY)? + NOBODY.len() - 1;
            Some(People { at, openids, range })
        });
        Self { text, people, digest: OnceCell::new() }
    }

    /// The body as a dry run shows it.
    pub fn shown(&self) -> String {
        shown(&self.raw())
    }

    /// The body as a dry run shows it, on many lines, each but the first indented by so many spaces.
    pub fn pretty(&self, indent: usize) -> String {
        let body: Value = serde_json::from_str(&shown(&self.text)).unwrap_or_else(|_| shown(&self.text).into());
        let text = format!("{body:#}");
        let mut out = String::with_capacity(text.len() * 2 + self.people.as_ref().map_or(0, People::bytes) * 2);
        let margin = format!("\n{:indent$}", "");
        match self.people.as_ref().and_then(|people| text.split_once("\"touser\": []").map(|parts| (people, parts))) {
            Some((people, (before, after))) => {
                out.push_str(&before.replace('\n', &margin));
                out.push_str(&format!("\"touser\": [{margin}    "));
                people.write(&mut out, &format!(",{margin}    "));
                out.push_str(&format!("{margin}  ]"));
                out.push_str(&after.replace('\n', &margin));
            }
            None => out.push_str(&text.replace('\n', &margin)),
        }
        out
    }

    /// The body with its slots as they are, for the ledger.
    pub fn raw(&self) -> String {
        match &self.people {
            None => self.text.clone(),
            Some(people) => {
                let mut out = String::with_capacity(self.text.len() + people.bytes());
                out.push_str(&self.text[..people.at]);
                people.write(&mut out, ",");
                out.push_str(&self.text[people.at..]);
                out
            }
        }
    }

    /// The body that [`Payload::raw`] gave.
    pub fn from_raw(text: String) -> Self {
        Self { text, people: None, digest: OnceCell::new() }
    }

    /// The body without its people.
    pub fn without_people(&self) -> &str {
        &self.text
    }

    /// Names of the slots, in order.
    pub fn slots(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.text
            .split(OPEN)
            .skip(1)
            .filter_map(|part| part.split(CLOSE).next())
            .map(|name| unescaped(name.trim_start_matches('#')))
    }

    /// The bytes to send.
    pub fn fill(&self, value: &dyn Fn(&str) -> Option<Value>) -> Result<String, MissingValue> {
        let raw = self.raw();
        let mut parts = raw.split(OPEN);
        let mut out = parts.next().unwrap_or_default().to_owned();
        let mut close_quote = false;
        for part in parts {
            let (name, rest) = part.split_once(CLOSE).unwrap_or((part, ""));
            let bare = unescaped(name.trim_start_matches('#'));
            let found = value(&bare).ok_or_else(|| MissingValue(bare.into_owned()))?;
            if name.starts_with('#') {
                debug_assert!(out.ends_with('"'));
                out.pop();
                let _ = write!(out, "{found}");
                close_quote = true;
            } else {
                let text = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
                out.push_str(&escaped(&text));
            }
            out.push_str(if std::mem::take(&mut close_quote) { rest.strip_prefix('"').unwrap_or(rest) } else { rest });
        }
        Ok(out)
    }

    /// `sha256:` and the digest of the body with its slots unfilled.
    pub fn digest(&self) -> &str {
        self.digest.get_or_init(|| match &self.people {
            None => digest(self.text.as_bytes()),
            Some(_) => digest(self.raw().as_bytes()),
        })
    }
}

/// A text as it stands between the quotes of JSON.
pub fn escaped(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// The name of a slot as it was before it stood between the quotes of JSON: `steps.city["北京"].msg_id` holds quotes.
fn unescaped(name: &str) -> Cow<'_, str> {
    if !name.contains('\\') {
        return name.into();
    }
    serde_json::from_str(&format!("\"{name}\"")).map_or_else(|_| name.into(), |name: String| name.into())
}

/// A named digest: `sha256:` and 64 hexadecimal digits.
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn slots_are_filled_and_escaped() {
        let body = json!({ "a": format!("x{}y", slot("steps.a.media_id")), "n": number_slot("tag VIP"), "t": "你好 <a href=\"x\">\n" });
        let payload = Payload::new(&body, None);
        assert_eq!(payload.shown(), r#"{"a":"x<steps.a.media_id>y","n":"<tag VIP>","t":"你好 <a href=\"x\">\n"}"#);
        assert_eq!(payload.slots().collect::<Vec<_>>(), ["steps.a.media_id", "tag VIP"]);
        let fill = |name: &str| Some(if name == "tag VIP" { json!(9_007_199_254_740_993_u64) } else { json!("q\"\\") });
        assert_eq!(
            payload.fill(&fill).expect("both known"),
            r#"{"a":"xq\"\\y","n":9007199254740993,"t":"你好 <a href=\"x\">\n"}"#
        );
        assert_eq!(payload.fill(&|_| None), Err(MissingValue("steps.a.media_id".into())));
        let name = "steps.city[\"北京\\\"].msg_id";
        let payload = Payload::new(&json!({ "msg_id": slot(name) }), None);
        assert_eq!(payload.slots().collect::<Vec<_>>(), [name]);
        assert_eq!(payload.fill(&|asked| (asked == name).then(|| json!(7))), Ok(r#"{"msg_id":"7"}"#.to_owned()));
    }

    #[test]
    fn people_are_written_as_if_they_had_been_in_the_body() {
        let openids: Arc<Openids> = Arc::new(["a", "b", "c", "d"].into_iter().collect());
        let body = |people: &[&str]| json!({ "x": 1, "touser": people, "text": { "content": "\"touser\":[] \"touser\": []" } });
        let (lean, full) =
            (Payload::new(&body(&[]), Some((openids, 1..4))), Payload::new(&body(&["b", "c", "d"]), None));
        assert_eq!((lean.raw(), lean.digest()), (full.raw(), full.digest()));
        assert_eq!(lean.fill(&|_| None), full.fill(&|_| None));
        assert_eq!(lean.pretty(4), full.pretty(4));
        assert_eq!(full.pretty(0), format!("{:#}", body(&["b", "c", "d"])));
    }

    #[test]
    fn names_of_effects_are_kept() {
        for (effect, name) in Effect::ALL {
            assert_eq!((Effect::from_name(name), effect.name()), (Some(*effect), *name));
        }
        assert_eq!(Effect::from_name("hum"), None);
    }

    #[test]
    fn a_slot_alone_is_recognised() {
        assert_eq!(only_slot(&slot("a")), Some("a"));
        assert_eq!(only_slot(&format!("{}{}", slot("a"), slot("b"))), None);
        assert_eq!(only_slot("a"), None);
    }
}
