//! Rows of the ledger are text. All that is read back out of them is read here, and can fail: a row that says less than
//! we wrote is damage, and never "nobody" or "nothing".

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::{
    clock::shanghai,
    ledger::{CallId, CallRecord, Event, FrozenCall, LedgerError, Usage},
    locale::{Phrase, say},
    openids::Openids,
    payload::{self, Effect, Payload, People, Target},
    plan::action::create_draft::{ADD, UPDATE},
    slot::{Output, Slot, Tag},
};

fn damaged(id: &CallId, what: Phrase) -> LedgerError {
    LedgerError::Unreadable {
        what: say!("call {call} of step `{step}` {what}", call = id.chunk, step = id.name(), what),
    }
}

fn members(text: &str) -> Option<Map<String, Value>> {
    match serde_json::from_str(text) {
        Ok(Value::Object(members)) => Some(members),
        _ => None,
    }
}

/// A call as it is compared with what the plan says now.
pub(super) struct Row {
    /// The people of a send to people.
    pub(super) people: Option<People>,
    /// The other members of its body, its slots unfilled, without its key.
    pub(super) rest: Map<String, Value>,
}

/// A call, its people apart; whom a mass call goes to must be readable.
pub(super) fn row(call: &FrozenCall) -> Result<Row, LedgerError> {
    let mut rest = body(call)?;
    let target = if call.effect == Effect::Mass { Some(target(call)?) } else { None };
    let people = match target {
        Some(Target::People(people)) => {
            rest.remove("touser");
            Some(people)
        }
        _ => None,
    };
    rest.remove("clientmsgid");
    Ok(Row { people, rest })
}

fn body(call: &FrozenCall) -> Result<Map<String, Value>, LedgerError> {
    members(&call.payload).ok_or_else(|| damaged(&call.id, say!("has a body that is not a JSON object")))
}

/// The body, to be filled and sent.
pub(super) fn payload(call: &FrozenCall) -> Result<Payload, LedgerError> {
    Payload::from_raw(&call.payload).map_err(|_| damaged(&call.id, say!("has an invalid body")))
}

/// Whom a send or preview goes to.
pub(super) fn target(call: &FrozenCall) -> Result<Target, LedgerError> {
    target_in(&body(call)?).ok_or_else(|| damaged(&call.id, say!("has no recipients")))
}

/// Whom a send or preview went to.
pub(super) fn target_of(usage: &Usage) -> Result<Target, LedgerError> {
    members(&usage.payload).and_then(|body| target_in(&body)).ok_or_else(|| LedgerError::Unreadable {
        what: say!(
            "the send accepted at {time} has no recipients",
            time = shanghai(usage.at).strftime("%Y-%m-%d %H:%M:%S").to_string()
        ),
    })
}

fn target_in(body: &Map<String, Value>) -> Option<Target> {
    if let Some(filter) = body.get("filter") {
        return match (filter.get("is_to_all")?.as_bool()?, filter.get("tag_id")) {
            (true, None) => Some(Target::Everyone),
            (false, Some(Value::Number(id))) => Some(Target::Tag(Tag::Id(id.as_u64()?))),
            (false, Some(Value::String(text))) => match payload::only_number(text)? {
                Slot::Tag(name) => Some(Target::Tag(Tag::Name(name))),
                _ => None,
            },
            _ => None,
        };
    }
    match (body.get("touser"), body.get("towxname")) {
        (Some(Value::Array(list)), None) => {
            let openids = list.iter().map(Value::as_str).collect::<Option<Openids>>()?;
            let range = 0..openids.len();
            Some(Target::People(People { openids: Arc::new(openids), range }))
        }
        (Some(Value::String(_)), None) | (None, Some(Value::String(_))) => Some(Target::Person),
        _ => None,
    }
}

/// What a send was made of, as WeChat calls it: `mpnews`, `text`.
pub(crate) fn kind(call: &FrozenCall) -> Result<String, LedgerError> {
    let kind = body(call)?.get("msgtype").and_then(Value::as_str).map(str::to_owned);
    kind.ok_or_else(|| damaged(&call.id, say!("does not say what was sent")))
}

/// The openids of sends to people, in order; other calls have none.
pub(crate) fn people<'r>(calls: impl IntoIterator<Item = &'r FrozenCall>) -> Result<Openids, LedgerError> {
    let mut all = Openids::default();
    for call in calls.into_iter().filter(|call| call.effect == Effect::Mass) {
        if let Target::People(people) = target(call)? {
            for openid in people.iter() {
                all.push(openid).map_err(|_| damaged(&call.id, say!("has too many recipients")))?;
            }
        }
    }
    Ok(all)
}

/// How many articles the draft has that a call adds or changes; none if it is no such call.
pub(super) fn articles(call: &FrozenCall) -> Result<Option<usize>, LedgerError> {
    let unknown = || damaged(&call.id, say!("does not record its number of articles"));
    match call.path.as_str() {
        ADD => body(call)?.get("articles").and_then(Value::as_array).map(|list| Some(list.len())).ok_or_else(unknown),
        UPDATE => {
            // The last update is of the last article.
            let index = body(call)?.get("index").and_then(Value::as_u64).and_then(|index| usize::try_from(index).ok());
            index.map(|index| Some(index + 1)).ok_or_else(unknown)
        }
        _ => Ok(None),
    }
}

/// What cannot be read of a fact.
pub(super) struct NotGiven;

/// What an accepted call of a media step gave; none if it gave no such thing.
pub(super) fn given(fact: &Event, output: Output) -> Result<Option<String>, NotGiven> {
    let Some(text) = &fact.result else { return Ok(None) };
    match members(text).ok_or(NotGiven)?.get(output.name()) {
        None => Ok(None),
        // It is put into bodies: what could be more than one value there is none.
        Some(Value::String(value)) if payload::is_value(value) => Ok(Some(value.clone())),
        Some(_) => Err(NotGiven),
    }
}

/// The state that a check saw, of a publication or with links among other facts; none if it is no word.
pub(super) fn status(fact: &Event) -> Option<String> {
    let text = fact.result.as_deref()?;
    let word = match members(text) {
        Some(facts) => facts.get("status")?.as_str()?.to_owned(),
        None => text.to_owned(),
    };
    Some(word).filter(|word| payload::is_value(word))
}

/// What a check that an event ended gives: the state, and the links that the event has.
pub(super) fn seen(status: &str, links: &[(u64, String)]) -> String {
    let mut links: Vec<&(u64, String)> = links.iter().filter(|(_, url)| payload::is_value(url)).collect();
    links.sort();
    let urls: Vec<&str> = links.iter().map(|(_, url)| url.as_str()).collect();
    match urls.first() {
        None => status.to_owned(),
        Some(first) => json!({ "status": status, "url": first, "urls": urls }).to_string(),
    }
}

/// The links of what was published or sent; empty if they are not known.
pub(super) fn urls(fact: &Event) -> Vec<String> {
    let facts = fact.result.as_deref().and_then(members).unwrap_or_default();
    let list = facts.get("urls").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    list.iter().filter_map(Value::as_str).filter(|url| payload::is_value(url)).map(str::to_owned).collect()
}

/// Whether all that accepted calls of a media step gave can be read.
pub(super) fn check_given(records: &[&CallRecord]) -> Result<(), LedgerError> {
    for record in records {
        for output in [Output::MediaId, Output::Url, Output::PublishId, Output::ArticleId] {
            let read = record.acceptance().map_or(Ok(None), |fact| given(fact, output));
            read.map_err(|NotGiven| damaged(&record.frozen.id, say!("does not record its outputs")))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(payload: &str, path: &str) -> FrozenCall {
        FrozenCall {
            id: CallId { step: "vip".into(), key: None, chunk: 2 },
            action: "send_by_openid".into(),
            path: path.into(),
            idempotency_key: String::new(),
            digest: String::new(),
            payload: payload.into(),
            message_digest: None,
            recipients: None,
            effect: Effect::Mass,
        }
    }

    #[test]
    fn whom_a_send_went_to_is_read_or_is_an_error() {
        let _heard = crate::locale::tests::heard("run-frozen-whom_a_send_went_to_is_read_or_is_an_error");
        let read = |text: &str| target(&call(text, "")).map_err(|error| error.to_string());
        assert!(matches!(read(r#"{"filter":{"is_to_all":true}}"#), Ok(Target::Everyone)));
        assert!(matches!(read(r#"{"filter":{"is_to_all":false,"tag_id":2}}"#), Ok(Target::Tag(Tag::Id(2)))));
        let named = "{\"filter\":{\"is_to_all\":false,\"tag_id\":\"\u{fdd0}#tag VIP\u{fdd1}\"}}";
        assert!(matches!(read(named), Ok(Target::Tag(Tag::Name(name))) if name == "VIP"));
        assert!(matches!(read(r#"{"touser":["a","b"]}"#), Ok(Target::People(people)) if people.iter().eq(["a", "b"])));
        assert!(matches!(read(r#"{"touser":"a"}"#), Ok(Target::Person)));
        for damaged in [
            "",
            "x",
            "[]",
            "{}",
            r#"{"filter":{}}"#,
            r#"{"filter":{"is_to_all":false}}"#,
            r#"{"filter":{"is_to_all":true,"tag_id":2}}"#,
            r#"{"filter":{"is_to_all":false,"tag_id":"VIP"}}"#,
            r#"{"touser":["a",1]}"#,
            r#"{"touser":{}}"#,
        ] {
            let error = read(damaged).expect_err("no target");
            assert!(error.contains("call 2 of step `vip`"), "{damaged}: {error}");
            assert!(people([&call(damaged, "")]).is_err(), "{damaged}: no list is not an empty list");
        }
    }

    #[test]
    fn what_wechat_gave_is_one_value_or_is_not_taken() {
        let fact = |result: &str| Event {
            result: Some(result.to_owned()),
            ..Event::new(crate::ledger::EventKind::Accepted, jiff::Timestamp::UNIX_EPOCH, "r")
        };
        let read = |value: &str| given(&fact(&json!({ "url": value }).to_string()), Output::Url);
        for value in ["https://mmbiz.qpic.cn/mmbiz_png/a_B-1/0?wx_fmt=png&tp=webp#x", "1-4DTQ_hU"] {
            assert!(read(value).is_ok_and(|found| found.as_deref() == Some(value)), "{value}");
        }
        for value in ["", " ", "https://x\"><b>", "https://x'onload=", "a b", "中奖", "x\\", "x\n", "<p>", "x`"] {
            assert!(read(value).is_err(), "{value}");
            assert_eq!(status(&fact(value)), None, "{value}");
        }
        let _heard = crate::locale::tests::heard("run-frozen-what_wechat_gave_is_one_value_or_is_not_taken");
        let event = Event { result: Some("{".to_owned()), ..fact("") };
        let attempt = Event::new(crate::ledger::EventKind::Attempted, jiff::Timestamp::UNIX_EPOCH, "r");
        let record = CallRecord::new(call("{}", ""), vec![attempt, event]).expect("it may follow");
        let error = check_given(&[&record]).expect_err("it cannot be read").to_string();
        assert!(error.ends_with("does not record its outputs"), "{error}");
        assert_eq!(status(&fact("SEND_SUCCESS")).as_deref(), Some("SEND_SUCCESS"));
    }

    #[test]
    fn what_was_sent_is_read_or_is_an_error() {
        let _heard = crate::locale::tests::heard("run-frozen-what_was_sent_is_read_or_is_an_error");
        let read = |text: &str| kind(&call(text, "")).map_err(|error| error.to_string());
        assert_eq!(read(r#"{"msgtype":"mpnews","mpnews":{"media_id":"m"}}"#), Ok("mpnews".to_owned()));
        let error = read(r#"{"filter":{"is_to_all":true}}"#).expect_err("no message");
        assert!(error.ends_with("does not say what was sent"), "{error}");
        assert!(read("x").is_err());
    }

    #[test]
    fn what_a_draft_holds_is_read_or_is_an_error() {
        let _heard = crate::locale::tests::heard("run-frozen-what_a_draft_holds_is_read_or_is_an_error");
        let read = |text: &str, path: &str| articles(&call(text, path)).ok();
        assert_eq!(read(r#"{"articles":[{},{}]}"#, ADD), Some(Some(2)));
        assert_eq!(read(r#"{"media_id":"m","index":2,"articles":{}}"#, UPDATE), Some(Some(3)));
        assert_eq!(read("", "/cgi-bin/draft/get"), Some(None));
        assert_eq!((read("{}", ADD), read("{}", UPDATE), read("x", ADD)), (None, None, None));
    }
}
