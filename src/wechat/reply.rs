//! What a reply says; no IO.

use serde_json::{Map, Value};

use super::errcode;
use crate::{
    limits,
    locale::{Phrase, say},
};

/// A text of an answer as it is kept: the beginning of one that is longer than anything that WeChat says, and that it was
/// cut. To be asked after secrets were taken out: of one that is cut in two nobody knows the half.
pub(crate) fn bounded(mut text: String) -> String {
    if text.len() > limits::KEPT_BYTES {
        let cut = text.len() - text.floor_char_boundary(limits::KEPT_BYTES);
        text.truncate(text.len() - cut);
        text = say!("{text}... ({cut} more bytes)", text, cut).to_string();
    }
    text
}

/// What WeChat answered, whatever the status and the content type of the reply were.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// 0 is success; many successes carry none, and that is success too.
    pub(crate) errcode: i64,
    /// WeChat's words as they came; empty if there were none.
    pub(crate) errmsg: String,
    pub(crate) members: Map<String, Value>,
}

impl Reply {
    /// WeChat's id of the request, good for 7 days.
    pub fn rid(&self) -> Option<&str> {
        errcode::rid(&self.errmsg)
    }

    /// A 64-bit id, as a number or as digits.
    fn id(&self, names: &[&str]) -> Option<u64> {
        names
            .iter()
            .find_map(|name| match self.members.get(*name)? {
                Value::Number(number) => number.as_u64(),
                Value::String(text) => text.parse().ok(),
                _ => None,
            })
            .filter(|id| *id > 0)
    }

    /// The job of a send (`msgid` in some replies).
    pub fn msg_id(&self) -> Option<u64> {
        self.id(&["msg_id", "msgid"])
    }

    /// Whether it says that something was done: by its errcode, or by naming the job. A gateway's `{"message":"busy"}`,
    /// HTTP 200, does not.
    pub fn is_explicit(&self) -> bool {
        self.members.contains_key("errcode") || self.msg_id().is_some()
    }

    /// The article data of a send.
    pub fn msg_data_id(&self) -> Option<u64> {
        self.id(&["msg_data_id"])
    }

    /// The status of a job.
    pub fn msg_status(&self) -> Option<&str> {
        self.text("msg_status")
    }

    /// A text that an answer gives, to be kept; none that is longer than any of WeChat's.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.members.get(name)?.as_str().filter(|text| text.len() <= limits::KEPT_BYTES)
    }
}

/// Why a reply says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable(pub Phrase);

/// A body in which texts have what JSON does not allow: what people wrote comes back as it was cut, with control characters and
/// halves of characters.
fn mended(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let mut out = String::with_capacity(text.len());
    let (mut inside, mut escaped) = (false, false);
    for c in text.chars() {
        if inside && c.is_control() && c < ' ' {
            // A backslash before it escaped nothing.
            if escaped {
                out.push('\\');
            }
            out.push_str(&format!("\\u{:04x}", c as u32));
            escaped = false;
            continue;
        }
        if escaped && !matches!(c, '"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't' | 'u') {
            out.push('\\');
        }
        inside ^= c == '"' && !escaped;
        escaped = inside && c == '\\' && !escaped;
        out.push(c);
    }
    out
}

/// Reads a reply. `errcode` decides; only a reply without one, or with 0, asks the HTTP status: a failure says nothing then.
pub fn decode(status: u16, body: &[u8]) -> Result<Reply, Unreadable> {
    let unreadable = |what: Phrase| Unreadable(say!("HTTP {status}: {what}", status, what));
    // A byte order mark is no part of the JSON.
    let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(unreadable(say!("the body is empty")));
    }
    let parsed = serde_json::from_slice::<Value>(body).or_else(|_| serde_json::from_str(&mended(body)));
    let Ok(Value::Object(members)) = parsed else {
        return Err(unreadable(say!("the body is not a JSON object")));
    };
    let errmsg = members.get("errmsg").and_then(Value::as_str).unwrap_or_default().to_owned();
    let errcode = match members.get("errcode") {
        Some(Value::Number(code)) => code.as_i64(),
        Some(Value::String(code)) => code.parse().ok(),
        Some(_) => None,
        None if (200..300).contains(&status) && !members.is_empty() => Some(0),
        None => return Err(unreadable(say!("the body has no errcode"))),
    };
    let errcode = errcode.ok_or_else(|| unreadable(say!("the errcode is not a number of 64 bits")))?;
    // A gateway that fails may say anything of the request but that it was carried out.
    if errcode == 0 && !(200..300).contains(&status) {
        return Err(unreadable(say!("errcode 0 from a server that reports a failure")));
    }
    Ok(Reply { errcode, errmsg, members })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errcode_decides() {
        let _heard = crate::locale::tests::heard("wechat-reply-errcode_decides");
        let code = |status, body: &str| decode(status, body.as_bytes()).map(|reply| reply.errcode);
        assert_eq!(code(200, r#"{"errcode":45028,"errmsg":"x"}"#), Ok(45028));
        assert_eq!(code(500, r#"{"errcode":45028,"errmsg":"x"}"#), Ok(45028));
        assert_eq!(code(200, r#"{"msg_id":1,"msg_status":"SENDING"}"#), Ok(0));
        assert_eq!(code(200, r#"{"errcode":"40001"}"#), Ok(40001));
        assert_eq!(code(200, "\u{feff}{\"errcode\":45028}"), Ok(45028), "a byte order mark before it");
        for body in [
            &b"{\"errcode\":45028,\"errmsg\":\"a\x01b\n\x7f\"}"[..],
            b"{\"errcode\":45028,\"errmsg\":\"\xe6\x98\xa5\xe8\x8c\"}",
            b"{\"errcode\":45028,\"errmsg\":\"a\\qb\"}",
            b"{\"title\":\"a\tb\",\"errcode\":45028}",
        ] {
            assert_eq!(decode(200, body).map(|reply| reply.errcode), Ok(45028), "{}", String::from_utf8_lossy(body));
        }
        for (status, body) in [
            (200, ""),
            (200, "<html>"),
            (200, "[]"),
            (200, "{}"),
            (502, r#"{"error":"x"}"#),
            (200, r#"{"errcode":null}"#),
            (502, r#"{"errcode":0}"#),
            (500, r#"{"errcode":0,"msg_id":77}"#),
            (200, r#"{"errcode":9223372036854775808}"#),
            (200, r#"{"errcode":502.5}"#),
            (200, r#"{"errcode":"busy"}"#),
            (200, r#"{"errcode":0"#),
        ] {
            assert!(decode(status, body.as_bytes()).is_err(), "{status} {body}");
        }
    }

    #[test]
    fn what_is_kept_of_an_answer_has_a_bound() {
        let _heard = crate::locale::tests::heard("wechat-reply-what_is_kept_of_an_answer_has_a_bound");
        assert_eq!(bounded("春".repeat(10)), "春".repeat(10));
        let cut = bounded("春".repeat(10_000));
        assert_eq!(cut, format!("{}... (25905 more bytes)", "春".repeat(1365)));
        let long = format!(r#"{{"errcode":0,"msg_status":"{0}","media_id":"{0}"}}"#, "x".repeat(5000));
        let reply = decode(200, long.as_bytes()).expect("readable");
        assert_eq!((reply.msg_status(), reply.text("media_id")), (None, None));
    }

    #[test]
    fn ids_are_64_bit_numbers_or_digits() {
        let reply =
            decode(200, br#"{"errcode":0,"msgid":"9007199254740993","msg_data_id":206227730}"#).expect("readable");
        assert_eq!((reply.msg_id(), reply.msg_data_id()), (Some(9_007_199_254_740_993), Some(206_227_730)));
    }
}
