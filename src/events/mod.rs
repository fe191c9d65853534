//! What WeChat says of an account apart from the calls: bodies that it pushes to the account's callback URL. Pure: bytes in, an
//! event out. `cli/listen` takes them from the network, `cli/event` from files; the ledger keeps them as observations.
//!
//! Each account has one callback URL (developer platform, 消息与事件推送), XML or JSON, plain, in compatible or in safe mode.

mod base64;
pub mod crypt;
pub mod model;
mod unreadable;
mod xml;

use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::limits;
pub use unreadable::Unreadable;

use crypt::{Keys, Query};
use model::{Fields, MSG_ID, MassResult, PublishResult};

/// A pushed body that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pushed {
    /// It is kept.
    Event(Box<Event>),
    /// What a user did or wrote, or what has nothing to do with sending: it is not kept. The name of the event or the message.
    Other(String),
}

/// An event that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its name, in the one way in which the ledger has it.
    pub kind: &'static str,
    /// What it is about: the number of a job or of a publication, else a hash of who and when.
    pub subject: String,
    /// When WeChat says that it happened, if it does.
    pub at: Option<Timestamp>,
    /// The whole body, decrypted.
    pub body: String,
    pub detail: Detail,
}

/// What an event says, as far as it is understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detail {
    Mass(MassResult),
    Publish(PublishResult),
    /// It is kept as it is.
    Raw,
}

/// The event of a mass send.
pub const MASS: &str = "MASSSENDJOBFINISH";
/// The event of a publication; older pages have other names for it.
pub const PUBLISH: &str = "PUBLISHJOBFINISH";

/// Events that are kept as they are.
const RAW: &[&str] = &[
    "TEMPLATESENDJOBFINISH",
    "subscribe_msg_sent_event",
    "subscribe_msg_popup_event",
    "subscribe_msg_change_event",
    "qualification_verify_success",
    "qualification_verify_fail",
    "naming_verify_success",
    "naming_verify_fail",
    "annual_renew",
    "verify_expired",
];

/// Reads a body that came over the network: only if its signature is right, and encrypted if the account has a key. In compatible
/// mode the encrypted part alone counts, which is the signed one.
pub fn receive(body: &[u8], query: &Query, keys: &Keys, appid: &str) -> Result<Pushed, Unreadable> {
    let tree = tree(text(body)?)?;
    match (encrypted(&tree), keys.aes.is_empty()) {
        (Some(encrypted), false) if keys.signed_text(query, encrypted) => opened(encrypted, keys, appid),
        (Some(_), false) => Err(Unreadable::NotGenuine),
        (None, false) if keys.signed(query) => Err(Unreadable::NotEncrypted),
        (None, true) if keys.signed(query) => read(text(body)?, &tree),
        (Some(_), true) if keys.signed(query) => match read(text(body)?, &tree) {
            // Compatible mode: what is not encrypted is there too.
            Err(Unreadable::NoEvent) => Err(Unreadable::NoKey),
            read => read,
        },
        _ => Err(Unreadable::NotGenuine),
    }
}

/// Reads a body that somebody hands on who is trusted. What is encrypted is decrypted, and a signature is checked where there is
/// one.
pub fn handed_on(body: &[u8], query: Option<&Query>, keys: &Keys, appid: &str) -> Result<Pushed, Unreadable> {
    let text = text(body)?;
    let tree = tree(text)?;
    if let Some(query) = query {
        return receive(body, query, keys, appid);
    }
    match encrypted(&tree) {
        Some(encrypted) if !keys.aes.is_empty() => opened(encrypted, keys, appid),
        Some(_) => match read(text, &tree) {
            Err(Unreadable::NoEvent) => Err(Unreadable::NoKey),
            read => read,
        },
        None => read(text, &tree),
    }
}

/// What the ledger kept of an event; none if it says nothing (any more).
pub fn kept(body: &str) -> Option<Detail> {
    match read(body, &tree(body).ok()?) {
        Ok(Pushed::Event(event)) => Some(event.detail),
        Ok(Pushed::Other(_)) | Err(_) => None,
    }
}

fn text(body: &[u8]) -> Result<&str, Unreadable> {
    if body.len() > limits::EVENT_BYTES_MAX {
        return Err(Unreadable::TooLarge);
    }
    let text = std::str::from_utf8(body).map_err(|_| Unreadable::NotUtf8)?;
    Ok(text.trim_start_matches('\u{feff}').trim())
}

fn tree(text: &str) -> Result<Value, Unreadable> {
    match text.as_bytes().first() {
        Some(b'<') => xml::parse(text),
        Some(b'{') => serde_json::from_str(text).map_err(|_| Unreadable::Malformed),
        _ => Err(Unreadable::Malformed),
    }
}

fn encrypted(tree: &Value) -> Option<&str> {
    tree.get("Encrypt")?.as_str()
}

fn opened(encrypted: &str, keys: &Keys, appid: &str) -> Result<Pushed, Unreadable> {
    let plain = keys.open(encrypted, appid).ok_or(Unreadable::NotGenuine)?;
    let text = text(&plain)?;
    read(text, &tree(text)?)
}

fn read(text: &str, tree: &Value) -> Result<Pushed, Unreadable> {
    let fields = Fields(tree);
    let word = |name: &str| fields.text(&[name]).filter(|word| !word.is_empty());
    let message = word("MsgType").ok_or(Unreadable::NoEvent)?;
    let name = match word("Event") {
        Some(event) if message.eq_ignore_ascii_case("event") => event,
        Some(_) | None => return Ok(Pushed::Other(message.chars().take(40).collect())),
    };
    let from = |second: u64| Timestamp::from_second(i64::try_from(second).ok()?).ok();
    let event = |kind, subject, detail| {
        let at = fields.number(&["CreateTime"]).and_then(from);
        Ok(Pushed::Event(Box::new(Event { kind, subject, at, body: text.to_owned(), detail })))
    };
    // One receiver got a publication under the name of a mass send; older pages have other names.
    if fields.inner(&["PublishEventInfo"]).is_some() {
        let publish = PublishResult::of(&fields).ok_or(Unreadable::NoJob)?;
        return event(PUBLISH, publish.publish_id.clone(), Detail::Publish(publish));
    }
    if name.eq_ignore_ascii_case(MASS) {
        let mass = MassResult::of(&fields).ok_or(Unreadable::NoJob)?;
        return event(MASS, mass.msg_id.to_string(), Detail::Mass(mass));
    }
    match RAW.iter().find(|known| name.eq_ignore_ascii_case(known)) {
        Some(kind) => event(kind, subject(&fields), Detail::Raw),
        None => Ok(Pushed::Other(name.chars().take(40).collect())),
    }
}

/// The number of the message, else a hash of who and when, which does not say who.
fn subject(fields: &Fields<'_>) -> String {
    fields.number(MSG_ID).map(|id| id.to_string()).unwrap_or_else(|| {
        let part = |name: &str| fields.text(&[name]).unwrap_or_default();
        let digest = Sha256::digest(format!("{} {}", part("FromUserName"), part("CreateTime")));
        digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    })
}

#[cfg(test)]
mod tests;
