//! Requests and replies, free of any HTTP library, and what is recorded of them.
//!
//! Form of the replies: HTTP status 200 for every API reply; `application/json; encoding=utf-8` (sic) for success and
//! `text/plain` for errors and uploads, as real endpoints do, so that a client cannot rely on the header.

use hyper::body::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::Call;
use super::editor::Loss;
use super::errcode::{EMPTY_BODY, ESCAPED_UNICODE, Errcode, MALFORMED_BODY, MISSING_MEDIA, Refusal};
use super::multipart::Form;

const BLANK: &str = "***";

/// A request as it came from the connection.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub method: String,
    /// The path without the query.
    pub path: String,
    /// The decoded parameters of the query.
    pub query: Vec<(String, String)>,
    pub content_type: Option<String>,
    pub body: Vec<u8>,
}

impl Request {
    /// A parameter of the query; an empty one counts as missing.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let (_, value) = self.query.iter().find(|(key, _)| key == name)?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }

    /// The body as a JSON object.
    pub(super) fn json(&self) -> Result<Value, Errcode> {
        if self.body.is_empty() {
            return Err(EMPTY_BODY);
        }
        object(&self.body)
    }

    /// The body as a form.
    pub(super) fn form(&self) -> Result<Form<'_>, Errcode> {
        Form::read(self.content_type.as_deref().unwrap_or_default(), &self.body).ok_or(MISSING_MEDIA)
    }
}

/// A JSON object as WeChat wants it: in UTF-8.
pub(super) fn object(bytes: &[u8]) -> Result<Value, Errcode> {
    let text = str::from_utf8(bytes).map_err(|_| MALFORMED_BODY)?;
    let value: Value = serde_json::from_str(text).map_err(|_| MALFORMED_BODY)?;
    if !value.is_object() {
        return Err(MALFORMED_BODY);
    }
    if has_escaped_character(text) {
        return Err(ESCAPED_UNICODE);
    }
    Ok(value)
}

/// Whether valid JSON writes as `\uXXXX` what it could write in UTF-8. Control characters have no other form.
fn has_escaped_character(json: &str) -> bool {
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        rest = &rest[at + 1..];
        let Some(kind) = rest.chars().next() else {
            return false;
        };
        rest = &rest[kind.len_utf8()..];
        if kind == 'u' {
            let digits = rest.get(..4).and_then(|digits| u32::from_str_radix(digits, 16).ok());
            // Half of a surrogate pair is no character, so it is none of the control characters either.
            if !digits.and_then(char::from_u32).is_some_and(char::is_control) {
                return true;
            }
        }
    }
    false
}

/// The decoded parameters of a query string.
pub(super) fn parse_query(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent_decode(key), percent_decode(value))
        })
        .collect()
}

fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let digits = tail.get(..2).and_then(|digits| str::from_utf8(digits).ok());
        let decoded = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (first, decoded) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = tail;
            }
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What a handler is given beside the state.
pub(super) struct Context<'a> {
    pub(crate) now: Timestamp,
    pub(crate) request: &'a Request,
    /// Its body; `null` for an endpoint without one.
    pub(crate) body: Value,
    /// Its form; empty for an endpoint that takes none.
    pub(crate) form: Form<'a>,
    /// What the draft that it writes is to lose.
    pub(crate) loss: Option<Loss>,
}

#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: String,
    /// A file that is sent in place of the body.
    pub(crate) file: Option<Bytes>,
    /// See [`Call::errcode`].
    pub(crate) errcode: i64,
}

impl Reply {
    /// A successful API reply.
    pub(super) fn success(value: &Value) -> Self {
        Reply {
            status: 200,
            content_type: "application/json; encoding=utf-8",
            body: value.to_string(),
            file: None,
            errcode: 0,
        }
    }

    /// An API error. `serial` makes the `rid`, the number under which WeChat could look the request up.
    pub(super) fn refused(refusal: Refusal, serial: u32) -> Self {
        let Errcode { code, errmsg } = refusal.errcode;
        let rid = format!(
            "{:08x}-{:08x}-{:08x}",
            0x6920_0000_u32.wrapping_add(serial),
            // Odd factors, so that every serial keeps a rid of its own.
            serial.wrapping_mul(0x9e37_79b9),
            serial.wrapping_mul(0x85eb_ca6b),
        );
        let mut value = json!({"errcode": code, "errmsg": format!("{errmsg} rid: {rid}")});
        if let Some(msg_id) = refusal.msg_id {
            value["msg_id"] = msg_id.into();
        }
        Reply { status: 200, content_type: "text/plain", body: value.to_string(), file: None, errcode: code }
    }

    /// A file, and the ending of its format.
    pub(super) fn of_file(file: Bytes, format: &str) -> Self {
        let content_type = match format {
            "jpg" => "image/jpeg",
            "png" => "image/png",
            "gif" => "image/gif",
            "bmp" => "image/bmp",
            "mp3" => "audio/mpeg",
            _ => "application/octet-stream",
        };
        Reply { status: 200, content_type, body: format!("{} bytes", file.len()), file: Some(file), errcode: 0 }
    }

    /// A reply of the HTTP server rather than of the API.
    pub(super) fn http(status: u16, text: &str) -> Self {
        Reply { status, content_type: "text/plain", body: text.to_owned(), file: None, errcode: status.into() }
    }
}

/// What is kept of a request and its reply: everything but secrets, tokens and the bytes of files. `form` says that the
/// endpoint takes one.
pub(super) fn record(at: Timestamp, request: &Request, reply: &Reply, form: bool) -> Call {
    let path = request.path.as_str();
    let about_tokens = matches!(
        path,
        "/cgi-bin/token"
            | "/cgi-bin/stable_token"
            | "/cgi-bin/component/api_component_token"
            | "/cgi-bin/component/api_authorizer_token"
    );
    Call {
        at,
        method: request.method.clone(),
        path: request.path.clone(),
        body: match path {
            _ if about_tokens => without_secret(&request.body),
            _ if form => without_files(request),
            _ => request.body.clone(),
        },
        content_type: request.content_type.clone(),
        errcode: reply.errcode,
        reply: if about_tokens { without_token(&reply.body) } else { reply.body.clone() },
        fault: None,
    }
}

fn without_secret(body: &[u8]) -> Vec<u8> {
    if body.is_empty() {
        return Vec::new();
    }
    match serde_json::from_slice::<Value>(body) {
        Ok(mut value) if value.is_object() => {
            let secrets = ["secret", "component_appsecret", "component_verify_ticket", "authorizer_refresh_token"];
            blank(&mut value, &secrets);
            value.to_string().into_bytes()
        }
        // The secret could be anywhere in it.
        _ => BLANK.into(),
    }
}

/// What a form holds, as JSON. A file is its name, type, size and digest.
fn without_files(request: &Request) -> Vec<u8> {
    let Ok(form) = request.form() else {
        return format!("{} bytes that are no form", request.body.len()).into_bytes();
    };
    let mut fields = Map::new();
    fields.extend(request.parameter("type").map(|kind| ("type".to_owned(), kind.into())));
    for part in form.parts {
        let digest = || Sha256::digest(part.bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let value = match (part.filename, part.content_type) {
            (None, None) => String::from_utf8_lossy(part.bytes).into(),
            (filename, content_type) => json!({
                "filename": filename, "content_type": content_type, "bytes": part.bytes.len(), "sha256": digest(),
            }),
        };
        fields.insert(part.name, value);
    }
    Value::from(fields).to_string().into_bytes()
}

fn without_token(body: &str) -> String {
    match serde_json::from_str::<Value>(body) {
        Ok(mut value) if value.is_object() => {
            let tokens =
                ["access_token", "component_access_token", "authorizer_access_token", "authorizer_refresh_token"];
            blank(&mut value, &tokens);
            value.to_string()
        }
        _ => body.to_owned(),
    }
}

/// Blanks those of the members that are there.
fn blank(value: &mut Value, names: &[&str]) {
    for name in names {
        if let Some(member) = value.get_mut(name) {
            *member = BLANK.into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(body: &[u8]) -> Request {
        Request {
            method: "POST".into(),
            path: "/cgi-bin/stable_token".into(),
            query: Vec::new(),
            content_type: None,
            body: body.to_vec(),
        }
    }

    #[test]
    fn bodies_that_are_not_utf8_json_objects_are_refused() {
        assert_eq!(request(b"").json(), Err(EMPTY_BODY));
        for body in [&b" "[..], b"{", b"[]", b"\"x\"", b"{\"a\":\"\xc4\xe3\"}", b"\xef\xbb\xbf{}", b"a=b"] {
            assert_eq!(request(body).json(), Err(MALFORMED_BODY), "{body:?}");
        }
    }

    #[test]
    fn escaped_characters_are_refused() {
        for body in [r#"{"a":"\u4f60"}"#, r#"{"a":"\u003c"}"#, r#"{"\u0061":1}"#, r#"{"a":"\\\ud83d\ude00"}"#] {
            assert_eq!(request(body.as_bytes()).json(), Err(ESCAPED_UNICODE), "{body}");
        }
        for body in [r#"{"a":"你\n\"\\u4f60\u0007"}"#, r#"{"a":"\\你"}"#] {
            assert!(request(body.as_bytes()).json().is_ok(), "{body}");
        }
    }

    #[test]
    fn queries_are_decoded() {
        let query = parse_query("a=1%2B2+3&b&c=%E4%BD%A0&d=100%");
        let expected = [("a", "1+2 3"), ("b", ""), ("c", "你"), ("d", "100%")];
        assert_eq!(query, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }

    #[test]
    fn every_error_has_a_rid_of_its_own() {
        let text = |serial| Reply::refused(MALFORMED_BODY.into(), serial).body;
        assert!(text(1).starts_with(r#"{"errcode":47001,"errmsg":"data format error rid: 69200001-"#));
        assert_ne!(text(1), text(2));
    }

    #[test]
    fn files_are_recorded_by_name_type_and_size() {
        let mut request = request(b"--B\r\nContent-Disposition: form-data; name=media; filename=\"a.png\"\r\n\
            Content-Type: image/png\r\n\r\n\x89PNG\r\n--B\r\nContent-Disposition: form-data; name=description\r\n\r\n{}\r\n--B--");
        request.path = "/cgi-bin/material/add_material".into();
        request.content_type = Some("multipart/form-data; boundary=B".into());
        request.query = parse_query("access_token=x&type=image");
        let body = |request: &Request| {
            let call = record(Timestamp::UNIX_EPOCH, request, &Reply::success(&json!({})), true);
            String::from_utf8(call.body).expect("UTF-8")
        };
        assert_eq!(
            body(&request),
            r#"{"type":"image","media":{"filename":"a.png","content_type":"image/png","bytes":4,"sha256":"0f4636c78f65d3639ece5a064b5ae753e3408614a14fb18ab4d7540d2c248543"},"description":"{}"}"#
        );
        request.body.truncate(90);
        assert_eq!(body(&request), "90 bytes that are no form");
    }

    #[test]
    fn secrets_and_tokens_are_not_recorded() {
        let reply = Reply::success(&json!({"access_token": "TOKEN", "expires_in": 7200}));
        let call = record(Timestamp::UNIX_EPOCH, &request(br#"{"appid":"x","secret":"SECRET"}"#), &reply, false);
        assert_eq!(call.body, br#"{"appid":"x","secret":"***"}"#);
        assert_eq!(call.reply, r#"{"access_token":"***","expires_in":7200}"#);
        let mut platform =
            request(br#"{"component_appsecret":"S","component_verify_ticket":"T","authorizer_refresh_token":"R"}"#);
        platform.path = "/cgi-bin/component/api_authorizer_token".into();
        let given =
            json!({"component_access_token": "T", "authorizer_access_token": "T", "authorizer_refresh_token": "R"});
        let call = record(Timestamp::UNIX_EPOCH, &platform, &Reply::success(&given), false);
        let blanked =
            r#"{"component_appsecret":"***","component_verify_ticket":"***","authorizer_refresh_token":"***"}"#;
        assert_eq!(String::from_utf8_lossy(&call.body), blanked);
        assert_eq!(call.reply.matches("***").count(), 3, "{}", call.reply);
        let call = record(Timestamp::UNIX_EPOCH, &request(br#"{"secret":"SECRET""#), &reply, false);
        assert_eq!(call.body, b"***");
    }
}
