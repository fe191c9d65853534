//! What the unit tests share: an account with a clock to turn by hand.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::calendar::after;
use super::exchange::{Reply, Request, parse_query};
use super::state::State;
use super::{AccountKind, Config, Tag};

pub(super) const APPID: &str = "wx0123456789abcdef";
pub(super) const SENDALL: &str = "/cgi-bin/message/mass/sendall";
pub(super) const PREVIEW: &str = "/cgi-bin/message/mass/preview";

/// An account and its time; it begins at noon in China on the 10th of a month.
pub(super) struct Bench {
    pub(crate) state: State,
    pub(crate) now: Timestamp,
}

impl Bench {
    /// An account with tag 100 (of 30 followers), draft D, images I and J, voice V, video M and thumbnail T.
    pub(super) fn new(kind: AccountKind) -> Self {
        let media = [("mpnews", "D"), ("image", "I"), ("image", "J"), ("voice", "V"), ("mpvideo", "M"), ("thumb", "T")];
        Bench::with(Config {
            kind,
            tags: vec![Tag { id: 100, name: "会员".into(), count: 30 }],
            media: media.map(|(kind, id)| (kind.to_owned(), id.to_owned())).to_vec(),
            ..Config::default()
        })
    }

    pub(super) fn service() -> Self {
        Bench::new(AccountKind::Service)
    }

    pub(super) fn with(config: Config) -> Self {
        Bench { state: State::new(&config, 1), now: "2026-11-10T04:00:00Z".parse().expect("a time stamp") }
    }

    pub(super) fn wait(&mut self, seconds: i64) {
        self.now = after(self.now, seconds);
    }

    pub(super) fn wait_days(&mut self, days: i64) {
        self.wait(days * 24 * 60 * 60);
    }

    /// A request as it is.
    pub(super) fn raw(&mut self, method: &str, target: &str, body: &[u8]) -> Reply {
        self.typed(method, target, "application/json", body)
    }

    fn typed(&mut self, method: &str, target: &str, content_type: &str, body: &[u8]) -> Reply {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let request = Request {
            method: method.to_owned(),
            path: path.to_owned(),
            query: parse_query(query),
            content_type: Some(content_type.to_owned()),
            body: body.to_vec(),
        };
        self.state.handle(self.now, &request)
    }

    pub(super) fn token(&mut self) -> String {
        let login = json!({"grant_type": "client_credential", "appid": APPID, "secret": "s"}).to_string();
        let reply = self.raw("POST", "/cgi-bin/stable_token", login.as_bytes());
        json_of(&reply)["access_token"].as_str().expect("a token").to_owned()
    }

    /// A request with a token.
    pub(super) fn call(&mut self, method: &str, target: &str, body: &[u8]) -> Value {
        let sign = if target.contains('?') { '&' } else { '?' };
        let target = format!("{target}{sign}access_token={}", self.token());
        json_of(&self.raw(method, &target, body))
    }

    /// A form with a token; its boundary is `B`.
    pub(super) fn upload(&mut self, target: &str, form: &[u8]) -> Value {
        let sign = if target.contains('?') { '&' } else { '?' };
        let target = format!("{target}{sign}access_token={}", self.token());
        json_of(&self.typed("POST", &target, "multipart/form-data; boundary=B", form))
    }

    pub(super) fn get(&mut self, target: &str) -> Value {
        self.call("GET", target, b"")
    }

    pub(super) fn post(&mut self, path: &str, body: &Value) -> Value {
        self.call("POST", path, body.to_string().as_bytes())
    }

    /// The error code of a post; 0 for success.
    pub(super) fn code(&mut self, path: &str, body: &Value) -> i64 {
        let reply = self.post(path, body);
        reply.get("errcode").map_or(0, |code| code.as_i64().expect("a number"))
    }

    /// Sends a text to tag 100.
    pub(super) fn send_text(&mut self, text: &str, clientmsgid: &str) -> Value {
        self.post(SENDALL, &with(to_tag(), &json!({"text": {"content": text}, "clientmsgid": clientmsgid})))
    }

    pub(super) fn status(&mut self, sent: &Value) -> String {
        let reply = self.post("/cgi-bin/message/mass/get", &json!({"msg_id": sent["msg_id"]}));
        reply["msg_status"].as_str().expect("a status").to_owned()
    }
}

pub(super) fn json_of(reply: &Reply) -> Value {
    serde_json::from_str(&reply.body).expect("JSON")
}

/// A form with a file, and a description if there is one.
pub(super) fn form(file: &[u8], description: Option<&str>) -> Vec<u8> {
    let head = "--B\r\nContent-Disposition: form-data; name=\"media\"; filename=\"file\"\r\n\
        Content-Type: application/octet-stream\r\n\r\n";
    let field = |text| format!("\r\n--B\r\nContent-Disposition: form-data; name=\"description\"\r\n\r\n{text}");
    let description = description.map(field).unwrap_or_default();
    [head.as_bytes(), file, description.as_bytes(), b"\r\n--B--\r\n"].concat()
}

/// A file of a format, as far as its first bytes tell, and of a size.
pub(super) fn bytes_of(format: &str, size: usize) -> Vec<u8> {
    let mut bytes = match format {
        "jpg" => b"\xff\xd8\xff\xe0".to_vec(),
        "png" => b"\x89PNG\r\n\x1a\n".to_vec(),
        "gif" => b"GIF89a".to_vec(),
        "bmp" => b"BM".to_vec(),
        "webp" => b"RIFF\0\0\0\0WEBPVP8 ".to_vec(),
        "mp3" => b"ID3".to_vec(),
        "wma" => b"\x30\x26\xb2\x75\x8e\x66\xcf\x11".to_vec(),
        // 8000 bytes a second.
        "wav" => b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0".to_vec(),
        "amr" => b"#!AMR\n".to_vec(),
        "mp4" => b"\0\0\0\x20ftypisom".to_vec(),
        _ => panic!("no format `{format}`"),
    };
    bytes.resize(size, 0);
    bytes
}

/// A valid body for `sendall`, to which a test makes one change.
pub(super) fn to_tag() -> Value {
    json!({"filter": {"is_to_all": false, "tag_id": 100}, "msgtype": "text", "text": {"content": "你好"}})
}

/// A valid body for `sendall` to everybody.
pub(super) fn to_all() -> Value {
    with(to_tag(), &json!({"filter": {"is_to_all": true}}))
}

/// A valid body for `send`.
pub(super) fn to_openids(openids: &[&str]) -> Value {
    json!({"touser": openids, "msgtype": "text", "text": {"content": "你好"}})
}

/// Sets fields of an object; `null` removes one.
pub(super) fn with(mut body: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().expect("an object") {
        let fields = body.as_object_mut().expect("an object");
        if value.is_null() {
            fields.shift_remove(name);
        } else {
            fields.insert(name.clone(), value.clone());
        }
    }
    body
}
