//! The robots of group chats: bodies, signatures, answers, as their pages document them.
//!
//! - WeCom: <https://developer.work.weixin.qq.com/document/path/91770>
//! - DingTalk: <https://open.dingtalk.com/document/orgapp/custom-robots-send-group-messages>,
//!   <https://open.dingtalk.com/document/orgapp/customize-robot-security-settings>
//! - Feishu: <https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot>

use ring::hmac;
use serde_json::{Value, json};

use crate::{
    limits,
    locale::{Language, Phrase, say},
    plan::notify::Facts,
    redact::Secret,
    text,
};

/// Who is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Wecom,
    Dingtalk,
    Feishu,
    Webhook,
}

impl Kind {
    pub(crate) const ALL: [Kind; 4] = [Kind::Wecom, Kind::Dingtalk, Kind::Feishu, Kind::Webhook];

    /// As in the plan.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Wecom => "wecom",
            Kind::Dingtalk => "dingtalk",
            Kind::Feishu => "feishu",
            Kind::Webhook => "webhook",
        }
    }

    /// Whether it may ask for a signature.
    pub(crate) fn is_signed(self) -> bool {
        matches!(self, Kind::Dingtalk | Kind::Feishu)
    }
}

/// What is posted: query and body.
#[derive(Debug)]
pub(crate) struct Post {
    pub(crate) query: Vec<(&'static str, Secret)>,
    pub(crate) body: String,
}

/// The body for a robot, and its signature at a time (milliseconds since 1970) if it has a secret.
pub(crate) fn post(kind: Kind, facts: &Facts, secret: Option<&Secret>, now_ms: i64) -> Post {
    let (title, lines) = (plain(&facts.title), facts.text.lines().map(plain).collect::<Vec<_>>());
    let bare = |body: Value| Post { query: Vec::new(), body: body.to_string() };
    match kind {
        Kind::Wecom => {
            let content = cut(&format!("### {title}\n{}", lines.join("\n")), limits::WECOM_BYTES);
            bare(json!({ "msgtype": "markdown", "markdown": { "content": content } }))
        }
        Kind::Dingtalk => {
            // A line ends only at an empty one.
            let text = cut(&format!("### {title}\n\n{}", lines.join("\n\n")), limits::ROBOT_BYTES);
            let body = json!({ "msgtype": "markdown", "markdown": { "title": title, "text": text } }).to_string();
            let query = secret.map(|secret| {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
                let sign = hmac::sign(&key, format!("{now_ms}\n{}", secret.expose()).as_bytes());
                let sign = Secret::new(text::base64(sign.as_ref()));
                vec![("timestamp", Secret::new(now_ms.to_string())), ("sign", sign)]
            });
            Post { query: query.unwrap_or_default(), body }
        }
        Kind::Feishu => {
            let language = if Language::current() == Language::Zh { "zh_cn" } else { "en_us" };
            let text = cut(&lines.join("\n"), limits::ROBOT_BYTES);
            let content: Vec<Value> = text.lines().map(|line| json!([{ "tag": "text", "text": line }])).collect();
            let mut body = json!({});
            if let Some(secret) = secret {
                let seconds = now_ms.div_euclid(1000);
                let key = format!("{seconds}\n{}", secret.expose());
                let sign = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes()), b"");
                body["timestamp"] = seconds.to_string().into();
                body["sign"] = text::base64(sign.as_ref()).into();
            }
            body["msg_type"] = "post".into();
            body["content"] = json!({ "post": { language: { "title": title, "content": content } } });
            bare(body)
        }
        Kind::Webhook => {
            let mut body = json!({ "schema": 1 });
            if let (Some(body), Ok(Value::Object(facts))) = (body.as_object_mut(), serde_json::to_value(facts)) {
                body.extend(facts);
            }
            bare(body)
        }
    }
}

/// Whether it was taken; an error says why not. The words of a robot are those of somebody else: they are bounded.
pub(crate) fn taken(kind: Kind, status: u16, body: &[u8]) -> Result<(), Phrase> {
    if !(200..300).contains(&status) {
        return Err(say!("HTTP status {status}", status));
    }
    let (code, words) = match kind {
        Kind::Wecom | Kind::Dingtalk => ("errcode", "errmsg"),
        Kind::Feishu => ("code", "msg"),
        Kind::Webhook => return Ok(()),
    };
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let code = answer.get(code).or_else(|| answer.get("StatusCode")).and_then(Value::as_i64);
    let words = answer.get(words).and_then(Value::as_str).unwrap_or_default();
    match code {
        Some(0) => Ok(()),
        Some(code) => Err(say!(
            "it refused the message: {code} {words}",
            code = code.to_string(),
            words = cut(&text::one_line(words), 200)
        )),
        None => Err(say!("the answer is not that of such a robot")),
    }
}

/// Text as text: nothing in it makes a link, a picture, a tag or a mention, and it is one line. A space of no width goes between
/// what would: what is read, and copied to a shell, stays the same but there.
fn plain(text: &str) -> String {
    const NOTHING: char = '\u{200b}';
    let text = text::one_line(text);
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        plain.push(c);
        let next = rest.peek().copied();
        let apart = match c {
            '<' | '@' | '＠' => true,
            ']' => matches!(next, Some('(' | '[' | ':')),
            '!' => next == Some('['),
            ':' => next == Some('/'),
            _ => plain.ends_with("www") && next == Some('.'),
        };
        if apart {
            plain.push(NOTHING);
        }
    }
    // What makes a heading, a quotation or a list at the beginning of a line.
    if plain.starts_with(['#', '>', '-', '*', '+', '|', '=']) {
        plain.insert(0, NOTHING);
    }
    plain
}

/// The beginning of a text, whole characters of it, within so many bytes.
fn cut(text: &str, most: usize) -> String {
    const MORE: &str = "…";
    if text.len() <= most {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(most - MORE.len());
    format!("{}{MORE}", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_user_wrote_is_more_than_text() {
        for (text, shown) in [
            ("[a](http://x)", "[a]|(http:|//x)"),
            ("![a][b]", "!|[a]|[b]"),
            ("<at id=all>", "<|at id=all>"),
            ("<@all> @all", "<|@|all> @|all"),
            ("<font color=\"warning\">", "<|font color=\"warning\">"),
            ("www.example.com", "www|.example.com"),
            ("# a\n# b", "|# a # b"),
            ("> q", "|> q"),
            ("city[北京] --sent 1", "city[北京] --sent 1"),
        ] {
            assert_eq!(plain(text).replace('\u{200b}', "|"), shown);
        }
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(cut("春天的茶", 12), "春天的茶");
        for most in 3..12 {
            let text = cut("春天的茶", most);
            assert!(text.len() <= most && text.ends_with('…'), "{most}: {text}");
        }
    }

    #[test]
    fn an_answer_is_a_yes_or_says_why_not() {
        let _heard = crate::locale::tests::heard("notice-robot-an_answer_is_a_yes_or_says_why_not");
        let is = |kind, status, body: &str| taken(kind, status, body.as_bytes()).map_err(|why| why.to_string());
        assert_eq!(is(Kind::Wecom, 200, r#"{"errcode":0,"errmsg":"ok"}"#), Ok(()));
        assert_eq!(is(Kind::Feishu, 200, r#"{"code":0,"msg":"success","data":{}}"#), Ok(()));
        assert_eq!(is(Kind::Feishu, 200, r#"{"StatusCode":0,"StatusMessage":"success"}"#), Ok(()));
        assert_eq!(is(Kind::Webhook, 204, ""), Ok(()));
        for (kind, status, body, why) in [
            (Kind::Webhook, 302, "", "302"),
            (Kind::Webhook, 500, "", "500"),
            (Kind::Wecom, 200, r#"{"errcode":93000,"errmsg":"invalid webhook url"}"#, "93000 invalid webhook url"),
            (Kind::Dingtalk, 200, r#"{"errcode":310000,"errmsg":"sign not match"}"#, "310000 sign not match"),
            (Kind::Feishu, 200, r#"{"code":19021,"msg":"sign match fail"}"#, "19021 sign match fail"),
            (Kind::Feishu, 200, "<html>", "not that of such a robot"),
            (Kind::Dingtalk, 200, r#"{"code":0}"#, "not that of such a robot"),
        ] {
            let said = is(kind, status, body).expect_err(body);
            assert!(said.contains(why), "{said}");
        }
    }
}
