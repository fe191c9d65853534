use aes::{
    Aes256,
    cipher::{BlockCipherEncrypt as _, KeyInit as _},
};
use serde_json::{Value, json};

use super::{
    crypt::{AesKey, Keys, Query},
    model::{JobStatus, MassResult, checked},
    *,
};
use crate::{locale::tests::heard, redact::Secret};

const APPID: &str = "wx0123456789abcdef";
const TOKEN: &str = "the-token";
const KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";
const OTHER_KEY: &str = "kWxPEV2UEDyxWpmPB8FZpcEEVJm2QeOZCVmXcHDgBYt";
const TIMESTAMP: &str = "1481013459";
const NONCE: &str = "1320562132";

const XML: &str = "<xml><ToUserName><![CDATA[gh_0]]></ToUserName><FromUserName><![CDATA[oR5G]]></FromUserName>\
    <CreateTime>1481013459</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[MASSSENDJOBFINISH]]></Event>\
    <MsgID>1000001625</MsgID><Status><![CDATA[send success]]></Status><TotalCount>11</TotalCount>\
    <FilterCount>9</FilterCount><SentCount>9</SentCount><ErrorCount>0</ErrorCount></xml>";

/// What another library made of these; `.ci/try-events` has it make others.
struct Vectors {
    /// Of a push that is not encrypted.
    signature: String,
    /// The key, the text, and its signature. The last character of the second key has bits that mean nothing.
    encrypted: Vec<(String, String, String)>,
}

fn vectors() -> Vectors {
    let read: Value = serde_json::from_str(include_str!("vectors.json")).expect("JSON");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let entry = |entry: &Value| (text(&entry["key"]), text(&entry["text"]), text(&entry["signature"]));
    let encrypted = read["encrypted"].as_array().expect("a list").iter().map(entry).collect();
    Vectors { signature: text(&read["signature"]), encrypted }
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn keys(tokens: &[&str], aes: &[&str]) -> Keys {
    let key = |text: &&str| AesKey::parse(&secret(text)).expect("a key");
    Keys { tokens: tokens.iter().map(|token| secret(token)).collect(), aes: aes.iter().map(key).collect() }
}

fn query(signature: &str, msg_signature: &str) -> Query {
    let text = format!("?signature={signature}&msg_signature={msg_signature}&timestamp={TIMESTAMP}&nonce={NONCE}");
    Query::parse(&text)
}

fn wrapped(encrypted: &str) -> String {
    format!("<xml><ToUserName><![CDATA[gh_0]]></ToUserName><Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>")
}

fn mass(pushed: Result<Pushed, Unreadable>) -> MassResult {
    match pushed {
        Ok(Pushed::Event(event)) => match event.detail {
            Detail::Mass(mass) => mass,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn event(body: &str) -> Event {
    match handed_on(body.as_bytes(), None, &keys(&[], &[]), APPID) {
        Ok(Pushed::Event(event)) => *event,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_another_library_encrypts_is_read() {
    let Vectors { signature: plain, encrypted } = vectors();
    for (key, text, signature) in encrypted {
        let keys = keys(&[TOKEN], &[&key]);
        for body in [wrapped(&text), json!({ "Encrypt": text }).to_string()] {
            let pushed = receive(body.as_bytes(), &query(&plain, &signature), &keys, APPID);
            assert!(matches!(&pushed, Ok(Pushed::Event(event)) if event.body == XML));
            assert_eq!(mass(pushed).msg_id, 1_000_001_625);
        }
    }
}

#[test]
fn the_key_and_the_token_before_are_tried_second() {
    let (_, text, signature) = &vectors().encrypted[0];
    let body = wrapped(text);
    let read = |tokens: &[&str], aes: &[&str]| {
        receive(body.as_bytes(), &query("", signature), &keys(tokens, aes), APPID).map(|_| ())
    };
    assert_eq!(read(&["new", TOKEN], &[OTHER_KEY, KEY]), Ok(()));
    assert_eq!(read(&["new"], &[OTHER_KEY, KEY]), Err(Unreadable::NotGenuine));
    assert_eq!(read(&[TOKEN], &[OTHER_KEY]), Err(Unreadable::NotGenuine));
}

#[test]
fn plain_pushes_are_signed_too() {
    let Vectors { signature: right, .. } = vectors();
    let read = |signature: &str, keys: &Keys| {
        receive(XML.as_bytes(), &query(signature, ""), keys, APPID).map(|pushed| matches!(pushed, Pushed::Event(_)))
    };
    let plain = keys(&[TOKEN], &[]);
    assert_eq!(read(&right, &plain), Ok(true));
    for wrong in ["", "71", &"0".repeat(40), &right.to_uppercase()] {
        assert_eq!(read(wrong, &plain), Err(Unreadable::NotGenuine));
    }
    // Its signature does not cover the body: who has a key takes nothing that is not encrypted.
    assert_eq!(read(&right, &keys(&[TOKEN], &[KEY])), Err(Unreadable::NotEncrypted));
    assert_eq!(read("", &keys(&[TOKEN], &[KEY])), Err(Unreadable::NotGenuine));
    assert!(plain.signed(&query(&right, "")) && !plain.signed(&Query::default()));
    assert!(!keys(&[], &[]).signed(&query(&right, "")));
}

#[test]
fn in_compatible_mode_the_encrypted_part_counts() {
    let Vectors { signature: plain, encrypted } = vectors();
    let (_, text, signature) = &encrypted[0];
    let forged = XML.replace("1000001625", "7").replace("</xml>", &format!("<Encrypt>{text}</Encrypt></xml>"));
    let read = |keys: &Keys| mass(receive(forged.as_bytes(), &query(&plain, signature), keys, APPID)).msg_id;
    assert_eq!(read(&keys(&[TOKEN], &[KEY])), 1_000_001_625);
    assert_eq!(read(&keys(&[TOKEN], &[])), 7, "without a key the rest is all there is");
    let safe = receive(wrapped(text).as_bytes(), &query(&plain, signature), &keys(&[TOKEN], &[]), APPID);
    assert_eq!(safe, Err(Unreadable::NoKey));
}

/// Encrypts what is to be padded already.
fn encrypt(plain: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let key: [u8; 32] = base64::decode(&format!("{KEY}=")).expect("Base64").try_into().expect("32 bytes");
    let cipher = Aes256::new(&key.into());
    let (mut before, mut bytes) = ([0; 16], Vec::new());
    before.copy_from_slice(&key[..16]);
    for block in plain.as_chunks::<16>().0 {
        let block: [u8; 16] = std::array::from_fn(|at| block[at] ^ before[at]);
        let mut inner = block.into();
        cipher.encrypt_block(&mut inner);
        before.copy_from_slice(&inner);
        bytes.extend(before);
    }
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let held = three.iter().fold(0_u32, |held, byte| held << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for at in 0..4 {
            let digit = DIGITS[(held >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= three.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

/// Chance, length, message and AppID, and so many bytes of padding; all may be wrong.
fn plain(length: u32, appid: &str, padding: &[u8]) -> Vec<u8> {
    [&[7; 16], length.to_be_bytes().as_slice(), b"{}", appid.as_bytes(), padding].concat()
}

#[test]
fn whatever_is_wrong_with_it_the_answer_is_one() {
    let open = |plain: &[u8]| {
        let body = wrapped(&encrypt(plain));
        handed_on(body.as_bytes(), None, &keys(&[TOKEN], &[KEY]), APPID).map(|_| ())
    };
    // 16 + 4 + 2 + 18 = 40 bytes.
    assert_eq!(open(&plain(2, APPID, &[24; 24])), Err(Unreadable::NoEvent), "read");
    let mixed: Vec<u8> = [&[23; 1][..], &[24; 23][..]].concat();
    for (what, wrong) in [
        ("another AppID", plain(2, "wx0123456789abcdee", &[24; 24])),
        ("an AppID in the message", plain(20, APPID, &[24; 24])),
        ("a length beyond the end", plain(u32::MAX, APPID, &[24; 24])),
        ("padding of 0", plain(2, APPID, &[0; 24])),
        ("padding of 33", plain(2, APPID, &[33; 24])),
        ("padding that is not the same", plain(2, APPID, &mixed)),
        ("no padding", plain(2, APPID, b"xxxxxxxx")),
        ("nothing but padding", vec![16; 16]),
        ("chance and padding", [[7; 16], [16; 16]].concat()),
        ("nothing", Vec::new()),
    ] {
        assert_eq!(open(&wrong), Err(Unreadable::NotGenuine), "{what}");
    }
    for text in ["", "====", "AAAA", "a b c", "茶"] {
        let read = handed_on(wrapped(text).as_bytes(), None, &keys(&[TOKEN], &[KEY]), APPID);
        assert_eq!(read, Err(Unreadable::NotGenuine), "{text}");
    }
}

#[test]
fn keys_have_43_characters() {
    let parse = |text: &str| AesKey::parse(&secret(text)).map(|key| format!("{key:?}"));
    assert_eq!((parse(KEY).as_deref(), parse(OTHER_KEY).as_deref()), (Some("***"), Some("***")));
    for wrong in ["", "x", &KEY[1..], &format!("{KEY}="), &format!("{}-", &KEY[1..])] {
        assert_eq!(parse(wrong), None, "{wrong}");
    }
}

#[test]
fn queries_are_read_as_forms_are() {
    let query = Query::parse("?nonce=a%2Bb+c&signature=x&signature=y&echostr=%e8%8c%b6%&other&timestamp=%4");
    assert_eq!((query.nonce.as_str(), query.signature.as_str(), query.timestamp.as_str()), ("a+b c", "x", "%4"));
    assert_eq!(query.echostr.as_deref(), Some("茶%"));
}

/// The example of the documentation, with a reprint that may not be sent.
fn example() -> Value {
    json!({
        "ToUserName": "gh_0", "FromUserName": "oR5G", "CreateTime": "1481013459", "MsgType": "event",
        "Event": "masssendjobfinish", "MsgId": "1000001625", "Status": "err(30003)", "TotalCount": "0",
        "FilterCount": 0, "SentCount": 0, "ErrorCount": 0, "Unknown": [1, {"x": null}],
        "CopyrightCheckResult": {
            "Count": "2", "CheckState": "3",
            "ResultList": {"item": [
                {"ArticleIdx": 1, "UserDeclareState": 0, "AuditState": 2, "OriginalArticleUrl": "https://mp.weixin.qq.com/s/o",
                 "OriginalArticleType": 1, "CanReprint": 0, "NeedReplaceContent": 0, "NeedShowReprintSource": "1"},
                {"ArticleIdx": "2", "UserDeclareState": "1", "AuditState": "11", "OriginalArticleUrl": ""},
            ]},
        },
        "ArticleUrlResult": {"Count": 1, "ResultList": {"item": {"ArticleIdx": 1, "ArticleUrl": "http://mp.weixin.qq.com/s/a"}}},
    })
}

fn mass_of(body: &Value) -> MassResult {
    match event(&body.to_string()).detail {
        Detail::Mass(mass) => mass,
        other => panic!("{other:?}"),
    }
}

#[test]
fn verdicts_counts_and_links_are_read() {
    let read = event(&example().to_string());
    assert_eq!((read.kind, read.subject.as_str()), (MASS, "1000001625"));
    assert_eq!(read.at.map(|at| at.to_string()).as_deref(), Some("2016-12-06T08:37:39Z"));
    let mass = mass_of(&example());
    assert_eq!(mass.status, JobStatus::Refused(30003));
    assert_eq!((mass.total, mass.left, mass.sent, mass.failed), (Some(0), Some(0), Some(0), Some(0)));
    assert_eq!(mass.check_state, Some(3));
    assert_eq!(mass.links, [(1, "http://mp.weixin.qq.com/s/a".to_owned())]);
    assert_eq!(mass.verdicts.iter().map(|verdict| verdict.article).collect::<Vec<_>>(), [1, 2]);
    assert_eq!((mass.verdicts[0].can_reprint, mass.verdicts[0].shows_source), (Some(false), Some(true)));
}

#[test]
fn lists_are_blank_one_or_several_in_every_form() {
    let with = |list: Value| {
        let mut body = example();
        body["ArticleUrlResult"]["ResultList"] = list;
        mass_of(&body).links.len()
    };
    let item = |number: u64| json!({"ArticleIdx": number, "ArticleUrl": "http://mp.weixin.qq.com/s/a"});
    assert_eq!([with(json!("\n\n")), with(json!({"item": "\n"})), with(json!([])), with(Value::Null)], [0; 4]);
    assert_eq!([with(item(1)), with(json!([item(1)])), with(json!({"item": item(1)}))], [1; 3]);
    assert_eq!([with(json!([item(1), item(2)])), with(json!({"item": [item(1), item(2)]}))], [2; 2]);
    // A link is nothing else.
    assert_eq!(with(json!({"ArticleIdx": 1, "ArticleUrl": "javascript:alert(1)"})), 0);
}

#[test]
fn publications_come_under_several_names() {
    for name in ["PUBLISHJOBFINISH", "MASSSENDJOBFINISH", "FREEPUBLISHFINISH"] {
        let body = format!(
            "<xml><FromUserName>o</FromUserName><CreateTime>1481013459</CreateTime><MsgType>event</MsgType>\
             <Event>{name}</Event><PublishEventInfo><publish_id>2247503051</publish_id><publish_status>0</publish_status>\
             <article_id><![CDATA[b5O2OUs25HBxRceL7hfReg]]></article_id><article_detail><count>1</count><item>\
             <idx>1</idx><article_url><![CDATA[http://mp.weixin.qq.com/s/a]]></article_url></item></article_detail>\
             <fail_idx>1</fail_idx><fail_idx>2</fail_idx></PublishEventInfo></xml>"
        );
        let read = event(&body);
        assert_eq!((read.kind, read.subject.as_str()), (PUBLISH, "2247503051"));
        let Detail::Publish(publish) = read.detail else { panic!("a publication") };
        assert_eq!((publish.status, publish.failed.as_slice(), publish.links.len()), (Some(0), [1, 2].as_slice(), 1));
        assert!(publish.article_id.is_some_and(|id| id.starts_with("b5O2")));
        assert!(matches!(kept(&body), Some(Detail::Publish(_))));
    }
}

#[test]
fn what_users_do_is_not_kept() {
    for (text, name) in [
        ("<xml><MsgType>event</MsgType><Event>subscribe</Event><FromUserName>o</FromUserName></xml>", "subscribe"),
        ("<xml><MsgType>event</MsgType><Event>unsubscribe</Event></xml>", "unsubscribe"),
        ("<xml><MsgType>text</MsgType><Content>x</Content><Event>MASSSENDJOBFINISH</Event></xml>", "text"),
        ("{\"MsgType\":\"event\",\"Event\":\"CLICK\"}", "CLICK"),
        ("{\"MsgType\":\"event\"}", "event"),
    ] {
        let read = handed_on(text.as_bytes(), None, &keys(&[], &[]), APPID);
        assert_eq!(read, Ok(Pushed::Other(name.to_owned())), "{text}");
    }
}

#[test]
fn other_events_are_kept_as_they_are() {
    let body = |name: &str, more: &str| {
        format!(
            "<xml><FromUserName>oA</FromUserName><CreateTime>5</CreateTime><MsgType>event</MsgType><Event>{name}</Event>{more}</xml>"
        )
    };
    let template = event(&body("templatesendjobfinish", "<MsgID>7</MsgID><Status>failed: system failed</Status>"));
    assert_eq!((template.kind, template.subject.as_str()), ("TEMPLATESENDJOBFINISH", "7"));
    assert_eq!(template.detail, Detail::Raw);
    let list = "<SubscribeMsgChangeEvent><List/></SubscribeMsgChangeEvent>";
    let consent = event(&body("subscribe_msg_change_event", list));
    assert_eq!(consent.kind, "subscribe_msg_change_event");
    assert!(consent.subject.len() == 32 && !consent.subject.contains("oA"));
    assert_eq!(event(&body("verify_expired", "<ExpiredTime>1</ExpiredTime>")).kind, "verify_expired");
}

#[test]
fn hostile_bodies_are_refused() {
    let _heard = heard("events-hostile_bodies_are_refused");
    let read = |body: &[u8]| handed_on(body, None, &keys(&[], &[]), APPID);
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let nothing = "<xml><MsgType>event</MsgType><Event>PUBLISHJOBFINISH</Event><PublishEventInfo><publish_id/></PublishEventInfo></xml>";
    for (body, why) in [
        (vec![b'<'; limits::EVENT_BYTES_MAX + 1], Unreadable::TooLarge),
        (b"<xml>\xff</xml>".to_vec(), Unreadable::NotUtf8),
        (b"".to_vec(), Unreadable::Malformed),
        (deep.into_bytes(), Unreadable::Malformed),
        (b"<!DOCTYPE x><xml/>".to_vec(), Unreadable::Entity),
        (b"<xml/>".to_vec(), Unreadable::NoEvent),
        (b"{\"MsgType\":[]}".to_vec(), Unreadable::NoEvent),
        (b"<xml><MsgType>event</MsgType><Event>MASSSENDJOBFINISH</Event></xml>".to_vec(), Unreadable::NoJob),
        (nothing.into(), Unreadable::NoJob),
        (b"<xml><Encrypt>AAAA</Encrypt></xml>".to_vec(), Unreadable::NoKey),
    ] {
        assert_eq!(read(&body), Err(why), "{:.60}", String::from_utf8_lossy(&body));
        assert!(!why.words().to_string().is_empty());
    }
    for why in [Unreadable::NotEncrypted, Unreadable::NotGenuine] {
        assert!(!why.words().to_string().is_empty());
    }
}

#[test]
fn every_status_has_words() {
    let _heard = heard("events-every_status_has_words");
    let of = |status: &str, sent: u64| {
        let mut body = example();
        (body["Status"], body["SentCount"]) = (status.into(), sent.into());
        mass_of(&body).failure().map(|words| words.to_string())
    };
    assert_eq!(of("send success", 1), None);
    assert!(of("send success", 0).is_some_and(|words| words.contains("nobody got it")));
    let numbers =
        [10001, 20001, 20002, 20004, 20006, 20008, 20013, 21000, 22000, 30001, 30002, 30003, 40001, 40002, 20431];
    let said = numbers.iter().map(|number| of(&format!("err({number})"), 0).expect("a failure"));
    let mut said: Vec<String> = said.collect();
    assert!(said.last().is_some_and(|words| words.contains("undocumented reason")));
    said.sort();
    said.dedup();
    assert_eq!(said.len(), numbers.len(), "each has words of its own");
    assert!(of("send fail", 0).is_some() && of("gone", 0).is_some_and(|words| words.ends_with("gone")));
    assert_eq!(JobStatus::Success.words().to_string(), "sent");
    let states = [Some(2), Some(3), Some(1), None].map(|state| checked(state).is_some());
    assert_eq!(states, [true, true, false, false]);
}

#[test]
fn every_verdict_has_words() {
    let _heard = heard("events-every_verdict_has_words");
    let url = "https://mp.weixin.qq.com/s/o";
    let verdict = |mut members: Value| {
        members["ArticleIdx"] = 1.into();
        let mut body = example();
        body["CopyrightCheckResult"]["ResultList"] = members;
        mass_of(&body).verdicts[0].words().is_some()
    };
    let silent = [json!({"AuditState": 0}), json!({"AuditState": 11}), json!({})].map(verdict);
    assert_eq!(silent, [false; 3]);
    let said = [
        json!({"AuditState": 1}),
        json!({"AuditState": 11, "UserDeclareState": 1}),
        json!({"AuditState": 2}),
        json!({"OriginalArticleUrl": url, "CanReprint": 0}),
        json!({"OriginalArticleUrl": url, "CanReprint": 1, "NeedReplaceContent": 1}),
        json!({"OriginalArticleUrl": url, "CanReprint": 1, "NeedShowReprintSource": 1}),
        json!({"OriginalArticleUrl": url}),
    ]
    .map(verdict);
    assert_eq!(said, [true; 7]);
}
