//! The body of a request: JSON text with slots for what is known only at run time.
//!
//! A template yields text, in which the name of a slot stands between two Unicode noncharacters. No input of ours may hold
//! these ([`crate::diag::source::decode`]), so no text of a user can be taken for a slot. `#` before the name marks a number:
//! the quotes around it go away.

use std::{
    borrow::Cow,
    fmt::{self, Display, Write as _},
    ops::Range,
    sync::{Arc, OnceLock},
};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{
    locale::{Phrase, say},
    openids::Openids,
    slot::{Followers, Slot, Tag, UnknownSlot},
};

const OPEN: char = '\u{fdd0}';
const CLOSE: char = '\u{fdd1}';

/// What a call does to the world; decides how its calls are repeated and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Reaches many people and cannot be taken back; carries a `clientmsgid`.
    Mass,
    Preview,
    /// Makes a draft public, of which nobody is told. It uses the draft up, and has no key by which a repetition is known.
    Publish,
    /// Takes an article back.
    Delete,
    /// Takes published articles away, for good.
    Unpublish,
    /// Changes a setting; doing it twice is doing it once.
    Setting,
    /// Adds to the account's library, or changes a draft there; sends nothing. Done twice, one is left over.
    Media,
    Read,
}

impl Effect {
    /// All, with the names they have in a ledger.
    pub const ALL: &[(Effect, &str)] = &[
        (Effect::Mass, "mass"),
        (Effect::Preview, "preview"),
        (Effect::Publish, "publish"),
        (Effect::Delete, "delete"),
        (Effect::Unpublish, "unpublish"),
        (Effect::Setting, "setting"),
        (Effect::Media, "media"),
        (Effect::Read, "read"),
    ];

    /// The name in a ledger.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(effect, _)| *effect == self).map_or("", |(_, name)| name)
    }

    /// Whether it must not be done twice, and nothing undoes it as if it had not been: what nobody knows of it is settled before
    /// anything else.
    pub fn is_once(self) -> bool {
        matches!(self, Self::Mass | Self::Publish)
    }

    /// Whether it takes back what people can read.
    pub fn takes_back(self) -> bool {
        matches!(self, Self::Delete | Self::Unpublish)
    }

    /// The effect of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(effect, _)| *effect)
    }
}

/// Whom a call reaches, as the plan says it.
#[derive(Debug, Clone)]
pub enum Target {
    Everyone,
    /// The followers with a tag.
    Tag(Tag),
    /// These of the people.
    People(People),
    /// People whom WeChat lists when the plan runs: the call stands for as many as it takes.
    Followers(Followers),
    Person,
    /// A question, a setting, a deletion, an upload.
    Nobody,
}

impl Target {
    /// How many people; none where the number is not known offline.
    pub fn recipients(&self) -> Option<u64> {
        match self {
            Self::People(people) => Some(people.range.len() as u64),
            Self::Person => Some(1),
            Self::Everyone | Self::Tag(_) | Self::Followers(_) | Self::Nobody => None,
        }
    }
}

/// Some of many people, who are not copied.
#[derive(Debug, Clone)]
pub struct People {
    pub(crate) openids: Arc<Openids>,
    pub(crate) range: Range<usize>,
}

impl People {
    /// Their openids, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.openids.range(self.range.clone())
    }

    fn write(&self, out: &mut String, between: &str) {
        // Openids need no escapes: letters, digits, - and _.
        for (number, openid) in self.iter().enumerate() {
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

/// What stands for a run-time value inside a text until the payload is made of it.
pub fn stand_in(slot: &impl Display) -> String {
    format!("{OPEN}{slot}{CLOSE}")
}

/// What stands for a run-time number: the quotes around it go away.
pub fn number_stand_in(slot: &Slot) -> String {
    format!("{OPEN}#{slot}{CLOSE}")
}

/// True if a text holds a stand-in.
pub fn has_slot(text: &str) -> bool {
    text.contains(OPEN)
}

/// The stand-in with which a text begins.
pub fn first_stand_in(text: &str) -> Option<&str> {
    let end = text.strip_prefix(OPEN)?.find(CLOSE)?;
    Some(&text[..OPEN.len_utf8() + end + CLOSE.len_utf8()])
}

/// If a text is the stand-in of one slot and nothing else: that slot.
pub fn only_slot(text: &str) -> Option<Slot> {
    alone(text)?.parse().ok()
}

/// If a text is the stand-in of one number and nothing else: its slot.
pub fn only_number(text: &str) -> Option<Slot> {
    alone(text)?.strip_prefix('#')?.parse().ok()
}

fn alone(text: &str) -> Option<&str> {
    let name = text.strip_prefix(OPEN)?.strip_suffix(CLOSE)?;
    (!name.contains([OPEN, CLOSE])).then_some(name)
}

/// A text as a dry run shows it: `<steps.article.media_id>`.
pub fn shown(text: &str) -> String {
    text.replace("\u{fdd0}#", "<").replace(OPEN, "<").replace(CLOSE, ">")
}

/// The id of a medium, or of what else WeChat keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaId {
    /// Written in the plan.
    Known(String),
    /// Given by an earlier step.
    Of(Slot),
    /// Made of both; the text has stand-ins.
    Mixed(String),
}

impl MediaId {
    /// The id that a rendered text is.
    pub fn new(text: String) -> Self {
        match only_slot(&text) {
            Some(slot) => Self::Of(slot),
            None if has_slot(&text) => Self::Mixed(text),
            None => Self::Known(text),
        }
    }

    /// As text of a body.
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Known(text) | Self::Mixed(text) => text.into(),
            Self::Of(slot) => stand_in(slot).into(),
        }
    }
}

impl Display for MediaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.text()))
    }
}

/// A part of a body.
#[derive(Debug, Clone)]
enum Piece {
    /// JSON as it is.
    Text(String),
    /// Inside of a JSON string.
    Slot(Slot),
    /// A number in the place of a JSON string.
    Number(Slot),
    /// The members of a list.
    People(People),
    /// Inside of a JSON string: the idempotency key.
    Key(String),
}

/// The body of a request. People are not copied into it: it knows who they are, and writes them when it is written.
#[derive(Debug, Clone)]
pub struct Payload {
    pieces: Vec<Piece>,
    digest: OnceLock<String>,
}

/// What an empty list of people looks like.
const NOBODY: &str = "\"touser\":[]";

/// A slot whose value is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingValue(pub Slot);

impl MissingValue {
    /// What is missing.
    pub(crate) fn message(&self) -> Phrase {
        say!("`{value}` has no value", value = self.0.to_string())
    }
}

impl Display for MissingValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.message().fmt(f)
    }
}

impl Payload {
    /// Serialises a body: UTF-8 as it is, no `\uXXXX` but for control characters, no HTML escaping, keys in order. Its
    /// stand-ins become slots; the people go into its empty `touser`.
    pub fn new(body: &Value, people: Option<&People>) -> Result<Self, UnknownSlot> {
        let text = body.to_string();
        let Some(people) = people else { return Self::from_raw(&text) };
        let at = text.find(NOBODY).expect("the body of a send to people has an empty `touser`");
        let (before, after) = text.split_at(at + NOBODY.len() - 1);
        let mut pieces = pieces(before)?;
        pieces.push(Piece::People(people.clone()));
        pieces.extend(self::pieces(after)?);
        Ok(Self::of(pieces))
    }

    /// The body that [`Payload::raw`] gave.
    pub fn from_raw(text: &str) -> Result<Self, UnknownSlot> {
        pieces(text).map(Self::of)
    }

    /// A body without slots.
    pub fn plain(body: &Value) -> Self {
        Self::of(vec![Piece::Text(body.to_string())])
    }

    fn of(pieces: Vec<Piece>) -> Self {
        Self { pieces, digest: OnceLock::new() }
    }

    /// With the `clientmsgid` of a mass call, as its last member.
    #[must_use]
    pub fn keyed(mut self, key: &str) -> Self {
        self.open();
        self.pieces.extend([
            Piece::Text("\"clientmsgid\":\"".to_owned()),
            Piece::Key(key.to_owned()),
            Piece::Text("\"}".to_owned()),
        ]);
        Self::of(self.pieces)
    }

    /// With one more member, itself a body.
    #[must_use]
    pub fn with(mut self, name: &str, member: &Payload) -> Self {
        self.open();
        self.pieces.push(Piece::Text(format!("\"{name}\":")));
        self.pieces.extend(member.pieces.iter().cloned());
        self.pieces.push(Piece::Text("}".to_owned()));
        Self::of(self.pieces)
    }

    /// Takes the last brace away, so that another member may follow.
    fn open(&mut self) {
        if let Some(Piece::Text(last)) = self.pieces.last_mut() {
            last.truncate(last.len() - 1);
            last.push(',');
        }
    }

    /// The same call to other people, or to those for whom it stood until they were listed, under a key of its own.
    #[must_use]
    pub fn to(&self, people: &People, key: &str) -> Self {
        let piece = |piece: &Piece| match piece {
            Piece::Slot(Slot::Followers(_)) | Piece::People(_) => Piece::People(people.clone()),
            Piece::Key(_) => Piece::Key(key.to_owned()),
            other => other.clone(),
        };
        Self::of(self.pieces.iter().map(piece).collect())
    }

    /// The same body about another of several: each slot that has an index has this one.
    #[must_use]
    pub fn at(&self, index: usize) -> Self {
        let piece = |piece: &Piece| match piece {
            Piece::Slot(slot @ Slot::Output { index: Some(_), .. }) => Piece::Slot(slot.clone().at(index)),
            Piece::Number(slot @ Slot::Output { index: Some(_), .. }) => Piece::Number(slot.clone().at(index)),
            other => other.clone(),
        };
        Self::of(self.pieces.iter().map(piece).collect())
    }

    /// The body as a dry run shows it.
    pub fn shown(&self) -> String {
        shown(&self.raw())
    }

    /// The body as a dry run shows it, on many lines, each but the first indented by so many spaces.
    pub fn pretty(&self, indent: usize) -> String {
        let people = self.pieces.iter().find_map(|piece| match piece {
            Piece::People(people) => Some(people),
            _ => None,
        });
        let line = shown(&self.written(|_, _| ()));
        let body: Value = serde_json::from_str(&line).unwrap_or_else(|_| line.into());
        let text = format!("{body:#}");
        let mut out = String::with_capacity(text.len() * 2 + people.map_or(0, People::bytes) * 2);
        let margin = format!("\n{:indent$}", "");
        match people.and_then(|people| text.split_once("\"touser\": []").map(|parts| (people, parts))) {
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

    /// The body with its slots named, for the ledger.
    pub fn raw(&self) -> String {
        self.written(|people, out| people.write(out, ","))
    }

    /// The body with its slots named, and the people as they are written by another.
    fn written(&self, people: impl Fn(&People, &mut String)) -> String {
        let length = |piece: &Piece| match piece {
            Piece::Text(text) | Piece::Key(text) => text.len(),
            Piece::Slot(_) | Piece::Number(_) => 64,
            Piece::People(people) => people.bytes(),
        };
        let mut out = String::with_capacity(self.pieces.iter().map(length).sum());
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) | Piece::Key(text) => out.push_str(text),
                // A list of people whom WeChat is to say is one member in quotes.
                Piece::Slot(slot @ Slot::Followers(_)) => {
                    let _ = write!(out, "\"{}\"", escaped(&stand_in(slot)));
                }
                Piece::Slot(slot) => out.push_str(&escaped(&stand_in(slot))),
                Piece::Number(slot) => {
                    let _ = write!(out, "\"{}\"", escaped(&number_stand_in(slot)));
                }
                Piece::People(some) => people(some, &mut out),
            }
        }
        out
    }

    /// The body with its slots named and without its people.
    pub fn head(&self) -> Value {
        serde_json::from_str(&self.written(|_, _| ())).unwrap_or_default()
    }

    /// The slots, in order.
    pub fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Slot(slot) | Piece::Number(slot) => Some(slot),
            Piece::Text(_) | Piece::People(_) | Piece::Key(_) => None,
        })
    }

    /// The bytes to send.
    pub fn fill(&self, value: &dyn Fn(&Slot) -> Option<Value>) -> Result<String, MissingValue> {
        let find = |slot: &Slot| value(slot).ok_or_else(|| MissingValue(slot.clone()));
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) | Piece::Key(text) => out.push_str(text),
                Piece::Slot(slot) => {
                    let found = find(slot)?;
                    let text = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
                    out.push_str(&escaped(&text));
                }
                Piece::Number(slot) => {
                    let _ = write!(out, "{}", find(slot)?);
                }
                Piece::People(people) => people.write(&mut out, ","),
            }
        }
        Ok(out)
    }

    /// Whether a text can be this body with its slots filled: with these values, and where there is none with anything that
    /// such a slot can hold.
    pub fn may_be(&self, text: &str, value: &dyn Fn(&Slot) -> Option<Value>) -> bool {
        let mut parts: Vec<Part<'_>> = Vec::new();
        for piece in &self.pieces {
            let part = match piece {
                Piece::Text(text) | Piece::Key(text) => Part::Text(text.into()),
                Piece::Slot(slot) => value(slot).map_or(Part::Slot(slot, false), |value| {
                    Part::Text(escaped(&value.as_str().map_or_else(|| value.to_string(), str::to_owned)).into())
                }),
                Piece::Number(slot) => {
                    value(slot).map_or(Part::Slot(slot, true), |value| Part::Text(value.to_string().into()))
                }
                Piece::People(people) => {
                    let mut text = String::new();
                    people.write(&mut text, ",");
                    Part::Text(text.into())
                }
            };
            parts.push(part);
        }
        fits(&parts, text, &mut FITS_TRIES.clone())
    }

    /// The body to send, as a value.
    pub fn filled(&self, value: &dyn Fn(&Slot) -> Option<Value>) -> Result<Value, MissingValue> {
        let text = self.fill(value)?;
        Ok(serde_json::from_str(&text).expect("a filled body is the JSON that it was made of"))
    }

    /// `sha256:` and the digest of the body with its slots unfilled.
    pub fn digest(&self) -> &str {
        self.digest.get_or_init(|| digest(self.raw().as_bytes()))
    }
}

/// A part of a body that a text is held against.
enum Part<'p> {
    Text(Cow<'p, str>),
    /// Of a value that is not known; true for a number.
    Slot(&'p Slot, bool),
}

/// How many ends of values are tried until a text is taken to be another: some slots are followed by what may be in them.
const FITS_TRIES: u32 = 1_000_000;

fn fits(parts: &[Part<'_>], text: &str, tries: &mut u32) -> bool {
    match parts {
        [] => text.is_empty(),
        [Part::Text(part), rest @ ..] => text.strip_prefix(&**part).is_some_and(|text| fits(rest, text, tries)),
        [Part::Slot(slot, number), rest @ ..] => {
            // All values are of ASCII: each byte of one is a character.
            let longest = text.bytes().take_while(|byte| holds(slot, *number, *byte)).count();
            let (least, most) = match slot {
                Slot::RunTime => (5, 5),
                Slot::RunId => (1, 32),
                _ => (0, usize::MAX),
            };
            (least..=longest.min(most)).any(|end| {
                *tries = tries.saturating_sub(1);
                *tries > 0 && fits(rest, &text[end..], tries)
            })
        }
    }
}

/// Whether a value of a slot can have such a byte.
fn holds(slot: &Slot, number: bool, byte: u8) -> bool {
    match slot {
        _ if number => byte.is_ascii_digit(),
        Slot::RunTime => byte.is_ascii_digit() || byte == b':',
        Slot::RunId => byte.is_ascii_alphanumeric() || byte == b'-',
        _ => is_in_value(byte),
    }
}

/// Whether WeChat's ids, addresses and states can have such a byte: what ends a text of JSON or HTML is in none.
fn is_in_value(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\' | b'<' | b'>' | b'`')
}

/// Whether a text can be an id, an address or a state that WeChat gave, and is nothing else where it is put into a body.
pub fn is_value(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_in_value)
}

/// The one place where stand-ins become slots.
fn pieces(text: &str) -> Result<Vec<Piece>, UnknownSlot> {
    let mut parts = text.split(OPEN);
    let mut out = vec![Piece::Text(parts.next().unwrap_or_default().to_owned())];
    for part in parts {
        let (name, mut rest) = part.split_once(CLOSE).ok_or_else(|| UnknownSlot(part.to_owned()))?;
        let name = unescaped(name);
        let piece = match name.strip_prefix('#') {
            Some(name) => Piece::Number(name.parse()?),
            None => Piece::Slot(name.parse()?),
        };
        if let Piece::Number(_) | Piece::Slot(Slot::Followers(_)) = piece {
            // It takes the place of the whole string.
            let before = match out.last_mut() {
                Some(Piece::Text(before)) => before.pop(),
                _ => None,
            };
            rest =
                rest.strip_prefix('"').filter(|_| before == Some('"')).ok_or_else(|| UnknownSlot(name.to_string()))?;
        }
        out.extend([piece, Piece::Text(rest.to_owned())]);
    }
    Ok(out)
}

/// A text as it stands between the quotes of JSON.
fn escaped(text: &str) -> String {
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

    fn slot(text: &str) -> Slot {
        text.parse().expect("a slot")
    }

    fn payload(body: &Value) -> Payload {
        Payload::new(body, None).expect("its slots are known")
    }

    #[test]
    fn slots_are_filled_and_escaped() {
        let (article, tag) = (slot("steps.a.media_id"), slot("tag VIP"));
        let body = json!({ "a": format!("x{}y", stand_in(&article)), "n": number_stand_in(&tag), "t": "你好 <a href=\"x\">\n" });
        let body = payload(&body);
        assert_eq!(body.shown(), r#"{"a":"x<steps.a.media_id>y","n":"<tag VIP>","t":"你好 <a href=\"x\">\n"}"#);
        assert_eq!(body.slots().collect::<Vec<_>>(), [&article, &tag]);
        let fill = |slot: &Slot| Some(if *slot == tag { json!(9_007_199_254_740_993_u64) } else { json!("q\"\\") });
        assert_eq!(
            body.fill(&fill).expect("both known"),
            r#"{"a":"xq\"\\y","n":9007199254740993,"t":"你好 <a href=\"x\">\n"}"#
        );
        assert_eq!(body.fill(&|_| None), Err(MissingValue(article)));
        let quoted = slot("steps.city[\"北京\\\"].msg_id");
        let body = payload(&json!({ "msg_id": stand_in(&quoted) }));
        assert_eq!(body.slots().collect::<Vec<_>>(), [&quoted]);
        assert_eq!(body.fill(&|asked| (*asked == quoted).then(|| json!(7))), Ok(r#"{"msg_id":"7"}"#.to_owned()));
    }

    #[test]
    fn the_text_of_the_ledger_is_read_back() {
        for text in [
            "{\"a\":\"x\u{fdd0}steps.a.media_id\u{fdd1}y\",\"n\":\"\u{fdd0}#tag #茶 \\\"新\\\"\u{fdd1}\"}",
            "{\"touser\":[\"\u{fdd0}the followers of tag VIP\u{fdd1}\"],\"u\":\"\u{fdd0}url of a\\\\b.png\u{fdd1}\"}",
            "{}",
        ] {
            let read = Payload::from_raw(text).expect("its slots are known");
            assert_eq!((read.raw().as_str(), read.digest()), (text, digest(text.as_bytes()).as_str()));
        }
        for text in ["\u{fdd0}steps.a\u{fdd1}", "\u{fdd0}run.id", "\u{fdd0}#tag VIP\u{fdd1}"] {
            assert!(Payload::from_raw(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_text_is_held_against_the_body_that_it_was_made_of() {
        let slot = |text: &str| stand_in(&slot(text));
        let tag = number_stand_in(&"tag VIP".parse().expect("a slot"));
        let text =
            format!("{} 第 {}-{}{}。", slot("steps.a.media_id"), slot("run.id"), slot("run.id"), slot("run.time"));
        let body = payload(&json!({ "tag_id": tag, "t": text, "k": "x" }));
        let may =
            |tag: &str, text: &str| body.may_be(&format!(r#"{{"tag_id":{tag},"t":"{text}","k":"x"}}"#), &|_| None);
        let id = "20260302-100000-abcdef";
        assert!(may("134", &format!("Ab-_1 第 {id}-{id}09:59。")));
        for (tag, text) in [
            ("134,\"tag_id\":2", format!("Ab-_1 第 {id}-{id}09:59。")),
            ("-1", format!("Ab-_1 第 {id}-{id}09:59。")),
            ("134", format!("Ab 1 第 {id}-{id}09:59。")),
            ("134", format!("<b> 第 {id}-{id}09:59。")),
            ("134", format!("Ab\",\"t\":\"x 第 {id}-{id}09:59。")),
            ("134", format!("Ab 第 {id} http://x 第 {id}-{id}09:59。")),
            ("134", format!("Ab 第 {id}-{id}9:59。")),
            ("134", format!("Ab 第 -{}09:59。", "a".repeat(40))),
            ("134", format!("Ab 第 {id}-{id}09:59")),
        ] {
            assert!(!may(tag, &text), "{tag} {text}");
        }
        // With what is known.
        let known = |media: &'static str| move |slot: &Slot| matches!(slot, Slot::Output { .. }).then(|| json!(media));
        let sent = format!(r#"{{"tag_id":7,"t":"Ab 第 {id}-{id}09:59。","k":"x"}}"#);
        assert!(
            body.may_be(&sent, &known("Ab")) && !body.may_be(&sent, &known("A")) && !body.may_be(&sent, &known("Abc"))
        );
        let filled = body.fill(&|slot| {
            Some(match slot {
                Slot::Tag(_) => json!(7),
                Slot::RunTime => json!("12:34"),
                _ => json!("r1"),
            })
        });
        assert!(body.may_be(&filled.expect("all known"), &|_| None));
        // Not even a text that was made for it keeps it busy.
        let many = payload(&json!({ "t": slot("run.id").repeat(200) }));
        assert!(!many.may_be(&format!(r#"{{"t":"{}!"}}"#, "a".repeat(3000)), &|_| None));
    }

    #[test]
    fn people_are_written_as_if_they_had_been_in_the_body() {
        let openids: Arc<Openids> = Arc::new(["a", "b", "c", "d"].into_iter().collect());
        let some = People { openids, range: 1..4 };
        let body = |people: &[&str]| json!({ "x": 1, "touser": people, "text": { "content": "\"touser\":[] \"touser\": []" } });
        let lean = Payload::new(&body(&[]), Some(&some)).expect("no slots");
        let full = payload(&body(&["b", "c", "d"]));
        assert_eq!((lean.raw(), lean.digest()), (full.raw(), full.digest()));
        assert_eq!(lean.fill(&|_| None), full.fill(&|_| None));
        assert_eq!(lean.pretty(4), full.pretty(4));
        assert_eq!(full.pretty(0), format!("{:#}", body(&["b", "c", "d"])));
        // The call that stands for all is the same call, once they are listed.
        let listed = stand_in(&Slot::Followers(Followers::All));
        let model = payload(&body(&[listed.as_str()])).keyed("0");
        assert_eq!(model.to(&some, "k").raw(), full.keyed("k").raw());
    }

    #[test]
    fn a_check_of_one_of_several_is_about_another() {
        let (first, second) = (slot("steps.a[0].msg_ids[0]"), slot("steps.a[0].msg_ids[1]"));
        let body = |slot: &Slot| payload(&json!({ "msg_id": number_stand_in(slot), "note": "[0]" }));
        assert_eq!(body(&first).at(1).raw(), body(&second).raw());
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
        let one = slot("run.id");
        assert_eq!(only_slot(&stand_in(&one)), Some(one.clone()));
        assert_eq!(only_slot(&format!("{}{}", stand_in(&one), stand_in(&one))), None);
        assert_eq!(only_slot("run.id"), None);
    }
}
