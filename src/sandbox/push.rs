//! Events that are pushed to a callback URL when a job is over: XML or JSON, plain, in compatible or in safe mode, up to three
//! times; and what can go wrong with them.
//!
//! Sources: [mass guide, section 4](https://developers.weixin.qq.com/doc/service/guide/product/message/Batch_Sends.html),
//! [encryption](https://developers.weixin.qq.com/doc/subscription/guide/dev/push/encryption.md).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use aes::Aes256;
use aes::cipher::{BlockCipherEncrypt as _, KeyInit as _};
use jiff::Timestamp;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::calendar::after;
use super::when::{BadFault, When, parse_when};
use crate::locale::say;

/// How long the answer to a push is waited for.
const ANSWER: Duration = Duration::from_secs(5);
/// How often an event is pushed until it is answered.
const ATTEMPTS: u32 = 3;
/// How much later one comes that is late.
const LATE: i64 = 60;
const BLOCK: usize = 16;
/// Padding is to a multiple of this.
const PADDED: usize = 32;

/// Where events are pushed, and how.
#[derive(Clone)]
pub struct Push {
    /// `http://...`, in which `{appid}` stands for the account's.
    pub url: String,
    pub token: String,
    /// 43 characters; needed in compatible and safe mode.
    pub aes_key: Option<String>,
    pub mode: PushMode,
    pub json: bool,
    /// Seconds from the call to the event.
    pub after: i64,
    pub faults: Vec<PushFault>,
    /// Is called with each attempt.
    pub on_push: Option<OnPush>,
}

/// Is called with each attempt to push an event.
pub type OnPush = Arc<dyn Fn(&Attempt) + Send + Sync>;

/// How a body is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushMode {
    Plain,
    /// Both: as it is, and encrypted.
    Compatible,
    Safe,
}

/// An attempt to push an event.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub at: Timestamp,
    /// The name of the event.
    pub event: &'static str,
    /// The number of the job or of the publication.
    pub subject: String,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// The HTTP status of the answer; none if there was none in time, or nothing was pushed.
    pub status: Option<u16>,
    /// What went wrong with it on purpose.
    pub fault: Option<&'static str>,
}

/// What goes wrong with a push, written `KIND[#WHEN]`.
///
/// | kind | what happens |
/// |---|---|
/// | `lost` | it is not pushed |
/// | `twice` | it is pushed again after it was answered |
/// | `late` | it is pushed a minute later |
/// | `signature` | its signature is wrong |
/// | `key` | it is encrypted with another key |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushFault {
    kind: &'static str,
    when: When,
}

const KINDS: [&str; 5] = ["lost", "twice", "late", "signature", "key"];

impl FromStr for PushFault {
    type Err = BadFault;

    fn from_str(text: &str) -> Result<Self, BadFault> {
        let (kind, when) = text.split_once('#').map_or((text, None), |(kind, when)| (kind, Some(when)));
        let known = KINDS.into_iter().find(|known| *known == kind).ok_or_else(|| {
            BadFault(say!("`{kind}` is not a fault of a push; write lost, twice, late, signature or key", kind))
        })?;
        Ok(Self { kind: known, when: when.map_or(Ok(When::Numbers(1, 1)), parse_when)? })
    }
}

impl fmt::Display for PushFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)
    }
}

/// An event on its way.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    due: Timestamp,
    appid: String,
    event: &'static str,
    subject: String,
    body: Value,
    fault: Option<&'static str>,
}

/// The events of the account that are not pushed yet.
pub(super) struct Outbox {
    /// The account of the next events.
    pub(super) appid: String,
    push: Option<Push>,
    waiting: Vec<Letter>,
    /// How many events there were.
    seen: u64,
    chance: u64,
}

/// How a mass send ended.
pub(super) struct Ended<'a> {
    pub(super) msg_id: u64,
    pub(super) status: &'a str,
    /// Those meant, and those left after filters.
    pub(super) total: u64,
    pub(super) left: u64,
    pub(super) is_article: bool,
    pub(super) urls: &'a [String],
}

/// How a publication ended.
pub(super) struct Published<'a> {
    pub(super) publish_id: &'a str,
    /// 0 to 6.
    pub(super) status: u64,
    pub(super) article_id: Option<&'a str>,
    pub(super) urls: &'a [String],
    /// The articles that failed, from 1.
    pub(super) failed: &'a [u64],
}

impl Outbox {
    pub(super) fn new(push: Option<Push>, seed: u64) -> Self {
        Self { appid: String::new(), push, waiting: Vec::new(), seen: 0, chance: seed | 1 }
    }

    /// The event of a mass send that was accepted now.
    pub(super) fn ended(&mut self, now: Timestamp, job: &Ended<'_>) {
        let items: Vec<Value> =
            (1..).zip(job.urls).map(|(at, url)| json!({"ArticleIdx": at, "ArticleUrl": url})).collect();
        let verdict = |at: usize| {
            json!({
                "ArticleIdx": at, "UserDeclareState": 0, "AuditState": 0, "OriginalArticleUrl": "", "OriginalArticleType": 0,
                "CanReprint": 0, "NeedReplaceContent": 0, "NeedShowReprintSource": 0,
            })
        };
        let verdicts: Vec<Value> = (1..=job.urls.len()).filter(|_| job.is_article).map(verdict).collect();
        let body = json!({
            "Event": "MASSSENDJOBFINISH", "MsgID": job.msg_id, "Status": job.status, "TotalCount": job.total,
            "FilterCount": job.left, "SentCount": job.left, "ErrorCount": 0,
            "CopyrightCheckResult": {
                "Count": verdicts.len(), "ResultList": list(verdicts), "CheckState": u8::from(job.is_article),
            },
            "ArticleUrlResult": {"Count": items.len(), "ResultList": list(items)},
        });
        self.post(now, "MASSSENDJOBFINISH", job.msg_id.to_string(), body);
    }

    /// The event of a publication that was accepted now.
    pub(super) fn published(&mut self, now: Timestamp, publication: &Published<'_>) {
        let Published { publish_id, status, article_id, urls, failed } = publication;
        let items: Vec<Value> = (1..).zip(*urls).map(|(at, url)| json!({"idx": at, "article_url": url})).collect();
        let mut info = json!({"publish_id": publish_id, "publish_status": status});
        if let Some(article_id) = article_id {
            info["article_id"] = (*article_id).into();
            info["article_detail"] = json!({"count": items.len(), "item": items});
        }
        if !failed.is_empty() {
            info["fail_idx"] = json!(failed);
        }
        let body = json!({"Event": "PUBLISHJOBFINISH", "PublishEventInfo": info});
        self.post(now, "PUBLISHJOBFINISH", (*publish_id).to_owned(), body);
    }

    fn post(&mut self, now: Timestamp, event: &'static str, subject: String, body: Value) {
        let Some(push) = &self.push else { return };
        self.seen += 1;
        let mut fault = None;
        for known in &push.faults {
            if known.when.is_due(self.seen, &mut self.chance) && fault.is_none() {
                fault = Some(known.kind);
            }
        }
        let wait = push.after + if fault == Some("late") { LATE } else { 0 };
        let due = after(now, wait);
        let mut whole = json!({
            "ToUserName": "gh_sandbox", "FromUserName": "oSandboxFollower000000000001", "CreateTime": due.as_second(),
            "MsgType": "event",
        });
        if let (Some(whole), Value::Object(members)) = (whole.as_object_mut(), body) {
            whole.extend(members);
        }
        let appid = self.appid.clone();
        self.waiting.push(Letter { due, appid, event, subject, body: whole, fault });
    }

    /// Takes out what is to be pushed by now, the earliest first.
    pub(super) fn due(&mut self, now: Timestamp) -> Vec<Letter> {
        let (mut due, waiting): (Vec<_>, Vec<_>) = self.waiting.drain(..).partition(|letter| letter.due <= now);
        self.waiting = waiting;
        due.sort_by_key(|letter| letter.due);
        due
    }
}

/// Several are in an `item` each; of none there are two line ends, as real events have them.
fn list(items: Vec<Value>) -> Value {
    if items.is_empty() { "\n\n".into() } else { json!({ "item": items }) }
}

impl Push {
    /// Pushes an event until it is answered, at most three times.
    pub(super) fn deliver(&self, letter: &Letter, now: &dyn Fn() -> Timestamp) {
        let tell = |attempt, status| {
            let Letter { event, subject, fault, .. } = letter.clone();
            if let Some(on_push) = &self.on_push {
                on_push(&Attempt { at: now(), event, subject, attempt, status, fault });
            }
        };
        if letter.fault == Some("lost") {
            return tell(0, None);
        }
        let times = if letter.fault == Some("twice") { 2 } else { 1 };
        let (query, body) = self.written(letter);
        let (target, kind) = (
            format!("{}?{query}", self.url.replace("{appid}", &letter.appid)),
            if self.json { "application/json" } else { "text/xml" },
        );
        for _ in 0..times {
            for attempt in 1..=ATTEMPTS {
                let status = post(&target, kind, &body);
                tell(attempt, status);
                if status == Some(200) {
                    break;
                }
            }
        }
    }

    /// The query and the body of a push.
    fn written(&self, letter: &Letter) -> (String, String) {
        let timestamp = letter.due.as_second().to_string();
        let nonce = format!("{}", fold(&letter.subject) % 1_000_000_000);
        let token = if letter.fault == Some("signature") { "another-token" } else { self.token.as_str() };
        let plain = self.text(&letter.body);
        let signature = sign(&[token, &timestamp, &nonce]);
        let query =
            format!("signature={signature}&timestamp={timestamp}&nonce={nonce}&openid=oSandboxFollower000000000001");
        let Some(key) = self.aes_key.as_deref().filter(|_| self.mode != PushMode::Plain) else { return (query, plain) };
        let other = "0".repeat(key.len());
        let key = if letter.fault == Some("key") { other.as_str() } else { key };
        let encrypted = encrypt(key, plain.as_bytes(), &letter.appid);
        let signature = sign(&[token, &timestamp, &nonce, &encrypted]);
        let query = format!("{query}&encrypt_type=aes&msg_signature={signature}");
        let mut body =
            if self.mode == PushMode::Compatible { letter.body.clone() } else { json!({"ToUserName": "gh_sandbox"}) };
        body["Encrypt"] = encrypted.into();
        (query, self.text(&body))
    }

    fn text(&self, body: &Value) -> String {
        match self.json {
            true => body.to_string(),
            false => {
                let mut text = String::new();
                element(&mut text, "xml", body);
                text
            }
        }
    }
}

/// An element, or one for each value of a list.
fn element(text: &mut String, name: &str, value: &Value) {
    if let Value::Array(values) = value {
        return values.iter().for_each(|value| element(text, name, value));
    }
    text.push_str(&format!("<{name}>"));
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| element(text, name, value)),
        Value::String(words) => text.push_str(&format!("<![CDATA[{}]]>", words.replace("]]>", "]]]]><![CDATA[>"))),
        other => text.push_str(&other.to_string()),
    }
    text.push_str(&format!("</{name}>"));
}

fn fold(text: &str) -> u64 {
    let digest = Sha256::digest(text);
    digest.iter().take(8).fold(0, |folded, byte| folded << 8 | u64::from(*byte))
}

fn sign(parts: &[&str]) -> String {
    let mut parts = parts.to_vec();
    parts.sort_unstable();
    let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, parts.concat().as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The key of an EncodingAESKey; none if it is none.
fn key_of(encoded: &str) -> Option<[u8; 32]> {
    let (mut bits, mut held, mut bytes) = (0, 0_u32, Vec::new());
    for c in encoded.bytes() {
        let value = DIGITS.iter().position(|digit| *digit == c)?;
        (held, bits) = (held << 6 | u32::try_from(value).ok()?, bits + 6);
        if bits >= 8 {
            bits -= 8;
            bytes.extend(u8::try_from(held >> bits & 0xff));
        }
    }
    bytes.try_into().ok().filter(|_| encoded.len() == 43)
}

/// Whether a text is an EncodingAESKey.
pub fn is_aes_key(text: &str) -> bool {
    key_of(text).is_some()
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The message, padded, encrypted and in Base64.
fn encrypt(key: &str, message: &[u8], appid: &str) -> String {
    let key = key_of(key).unwrap_or_default();
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
    // Nobody guesses what is told here: the chance need not be one.
    let chance = Sha256::digest([&key[..], message].concat());
    let mut plain = [&chance[..BLOCK], length.as_slice(), message, appid.as_bytes()].concat();
    let padding = PADDED - plain.len() % PADDED;
    plain.extend(std::iter::repeat_n(u8::try_from(padding).unwrap_or_default(), padding));
    let cipher = Aes256::new(&key.into());
    let mut before: [u8; BLOCK] = key[..BLOCK].try_into().unwrap_or_default();
    let mut bytes = Vec::with_capacity(plain.len());
    for block in plain.as_chunks::<BLOCK>().0 {
        let mut mixed = std::array::from_fn::<u8, BLOCK, _>(|at| block[at] ^ before[at]).into();
        cipher.encrypt_block(&mut mixed);
        before.copy_from_slice(&mixed);
        bytes.extend(before);
    }
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let held = three.iter().fold(0_u32, |held, byte| held << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for at in 0..4 {
            let digit = char::from(DIGITS[(held >> (18 - 6 * at) & 63) as usize]);
            text.push(if at <= three.len() { digit } else { '=' });
        }
    }
    text
}

/// The status of the answer; none if there is none in time.
fn post(url: &str, kind: &str, body: &str) -> Option<u16> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(ANSWER))
        .http_status_as_error(false)
        .proxy(None)
        .build()
        .into();
    let answer = agent.post(url).header("Content-Type", kind).send(body).ok()?;
    Some(answer.status().as_u16())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(mode: PushMode, json: bool, faults: &[&str]) -> Push {
        Push {
            url: "http://127.0.0.1:9/".into(),
            token: "the-token".into(),
            aes_key: Some("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG".into()),
            mode,
            json,
            after: 20,
            faults: faults.iter().map(|text| text.parse().expect("a fault")).collect(),
            on_push: None,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    fn ended(outbox: &mut Outbox, msg_id: u64, urls: &[String]) {
        let job = Ended { msg_id, status: "send success", total: 11, left: 9, is_article: true, urls };
        outbox.ended(at(1000), &job);
    }

    #[test]
    fn an_event_is_due_when_its_job_is_over() {
        let mut outbox = Outbox::new(Some(push(PushMode::Plain, false, &["late#2"])), 1);
        ended(&mut outbox, 1, &[]);
        ended(&mut outbox, 2, &[]);
        let due = |outbox: &mut Outbox, second| {
            outbox.due(at(second)).iter().map(|letter| letter.subject.clone()).collect::<Vec<_>>()
        };
        assert_eq!(due(&mut outbox, 1019), Vec::<String>::new());
        assert_eq!(due(&mut outbox, 1020), ["1"]);
        assert_eq!(due(&mut outbox, 1079), Vec::<String>::new(), "the second is late");
        assert_eq!(due(&mut outbox, 1080), ["2"]);
        let mut nobody = Outbox::new(None, 1);
        ended(&mut nobody, 1, &[]);
        assert!(nobody.due(at(9999)).is_empty());
    }

    #[test]
    fn bodies_are_xml_or_json() {
        let mut outbox = Outbox::new(Some(push(PushMode::Plain, false, &[])), 1);
        ended(&mut outbox, 7, &["http://mp.weixin.qq.com/s/a]]>".to_owned()]);
        let publication =
            Published { publish_id: "9", status: 0, article_id: Some("A"), urls: &["u".to_owned()], failed: &[1, 2] };
        outbox.published(at(1000), &publication);
        let due = outbox.due(at(2000));
        let xml = push(PushMode::Plain, false, &[]).written(&due[0]).1;
        assert!(xml.starts_with("<xml><ToUserName><![CDATA[gh_sandbox]]></ToUserName>"), "{xml}");
        assert!(xml.contains(
            "<item><ArticleIdx>1</ArticleIdx><ArticleUrl><![CDATA[http://mp.weixin.qq.com/s/a]]]]><![CDATA[>]]>"
        ));
        let json = push(PushMode::Plain, true, &[]).written(&due[0]).1;
        let read: Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!((&read["MsgID"], &read["SentCount"]), (&json!(7), &json!(9)));
        let xml = push(PushMode::Plain, false, &[]).written(&due[1]).1;
        assert!(xml.contains("<fail_idx>1</fail_idx><fail_idx>2</fail_idx></PublishEventInfo>"), "{xml}");
    }

    #[test]
    fn a_text_without_articles_has_a_blank_list() {
        let mut outbox = Outbox::new(Some(push(PushMode::Safe, true, &["key"])), 1);
        ended(&mut outbox, 7, &[]);
        let due = outbox.due(at(2000));
        assert_eq!(due[0].body["ArticleUrlResult"], json!({"Count": 0, "ResultList": "\n\n"}));
        let (query, body) = push(PushMode::Safe, true, &[]).written(&due[0]);
        assert!(query.contains("&encrypt_type=aes&msg_signature=") && !body.contains("MsgID"), "{body}");
        let right = push(PushMode::Safe, true, &[]).written(&Letter { fault: None, ..due[0].clone() }).1;
        assert_ne!(right, body, "another key");
    }

    #[test]
    fn faults_are_read() {
        for (text, name) in [("lost", "lost"), ("twice#2-", "twice"), ("signature#30%", "signature"), ("key#3", "key")]
        {
            assert_eq!(text.parse::<PushFault>().expect("a fault").to_string(), name);
        }
        let _heard = crate::locale::tests::heard("sandbox-push-faults_are_read");
        for text in ["", "drop", "lost#0", "late:5"] {
            assert!(text.parse::<PushFault>().is_err(), "{text}");
        }
        assert!(is_aes_key("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG") && !is_aes_key("abc"));
    }
}
