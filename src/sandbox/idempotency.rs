//! The memory for `clientmsgid`: the same id never starts a second job within 24 hours.
//!
//! Source: the field `clientmsgid` of [sendall](https://developers.weixin.qq.com/doc/service/api/notify/message/api_sendall).

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::calendar::within;
use super::errcode::{
    CLIENTMSGID_EXISTS, CLIENTMSGID_TOO_FAST, CLIENTMSGID_TOO_LONG, Errcode, INVALID_MESSAGE_TYPE, Refusal,
};

/// The newest documents say 32, older ones 64; 36 has been refused.
const MAX_BYTES: usize = 32;
const MEMORY: i64 = 24 * 60 * 60;
const PAUSE: i64 = 60;

/// The id of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum ClientId {
    /// Chosen by the caller.
    Given(String),
    /// Made from audience and content, where the caller chose none.
    Derived(Vec<u8>),
}

impl ClientId {
    /// The caller's id, or one derived from the request. An empty id counts as none.
    pub(super) fn of(body: &Value, audience: &str, msgtype: &str, content: &str) -> Result<Self, Errcode> {
        match body.get("clientmsgid") {
            Some(Value::String(id)) if id.len() > MAX_BYTES => Err(CLIENTMSGID_TOO_LONG),
            Some(Value::String(id)) if !id.is_empty() => Ok(ClientId::Given(id.clone())),
            None | Some(Value::String(_)) => {
                let mut digest = Sha256::new();
                for part in [audience, msgtype, content] {
                    digest.update(part.len().to_be_bytes());
                    digest.update(part);
                }
                Ok(ClientId::Derived(digest.finalize().to_vec()))
            }
            Some(_) => Err(INVALID_MESSAGE_TYPE),
        }
    }

    /// The id if the caller chose it.
    pub(super) fn given(&self) -> Option<String> {
        match self {
            ClientId::Given(id) => Some(id.clone()),
            ClientId::Derived(_) => None,
        }
    }
}

struct Seen {
    accepted: Timestamp,
    /// Any attempt counts, so a caller who hammers is never told about the job.
    last_used: Timestamp,
    msg_id: u64,
}

/// The ids of the jobs of the last 24 hours.
#[derive(Default)]
pub(super) struct ClientIds {
    seen: HashMap<ClientId, Seen>,
}

impl ClientIds {
    /// Refuses an id that has a job already.
    pub(super) fn check(&mut self, id: &ClientId, now: Timestamp) -> Result<(), Refusal> {
        self.seen.retain(|_, seen| within(MEMORY, seen.accepted, now));
        let Some(seen) = self.seen.get_mut(id) else {
            return Ok(());
        };
        let too_fast = within(PAUSE, seen.last_used, now);
        seen.last_used = now;
        if too_fast {
            return Err(CLIENTMSGID_TOO_FAST.into());
        }
        Err(Refusal { errcode: CLIENTMSGID_EXISTS, msg_id: Some(seen.msg_id) })
    }

    /// Remembers the id of an accepted job.
    pub(super) fn register(&mut self, id: ClientId, msg_id: u64, now: Timestamp) {
        self.seen.insert(id, Seen { accepted: now, last_used: now, msg_id });
    }
}

#[cfg(test)]
mod tests {
    use super::super::AccountKind;
    use super::super::testkit::{Bench, SENDALL, to_all, to_tag, with};
    use serde_json::json;

    #[test]
    fn an_id_starts_one_job_in_a_day() {
        let mut bench = Bench::service();
        let first = bench.send_text("x", "id");
        assert_eq!(first["errcode"], 0);
        bench.wait(59);
        assert_eq!(bench.send_text("x", "id")["errcode"], 45066);
        bench.wait(60);
        // Even with another content.
        let again = bench.send_text("y", "id");
        assert_eq!((&again["errcode"], &again["msg_id"]), (&json!(45065), &first["msg_id"]));
        assert!(again.get("msg_data_id").is_none());
        bench.wait(24 * 60 * 60 - 119 - 1);
        assert_eq!(bench.send_text("x", "id")["errcode"], 45065);
        bench.wait(1);
        let new = bench.send_text("x", "id");
        assert_eq!(new["errcode"], 0);
        assert_ne!(new["msg_id"], first["msg_id"]);
        assert_eq!(bench.state.deliveries.len(), 2);
    }

    #[test]
    fn every_attempt_starts_the_minute_again() {
        let mut bench = Bench::service();
        bench.send_text("x", "id");
        for _ in 0..3 {
            bench.wait(40);
            assert_eq!(bench.send_text("x", "id")["errcode"], 45066);
        }
    }

    #[test]
    fn ids_have_32_bytes_at_most() {
        let mut bench = Bench::service();
        assert_eq!(bench.send_text("x", &"i".repeat(32))["errcode"], 0);
        assert_eq!(bench.send_text("x", &"i".repeat(33))["errcode"], 45067);
        assert_eq!(bench.send_text("x", &"字".repeat(11))["errcode"], 45067);
        assert_eq!(bench.code(SENDALL, &with(to_tag(), &json!({"clientmsgid": 1}))), 40008);
    }

    #[test]
    fn a_missing_id_is_derived_from_audience_and_content() {
        let mut bench = Bench::service();
        let elsewhere = json!({"filter": {"is_to_all": false, "tag_id": "2"}});
        assert_eq!(bench.code(SENDALL, &to_tag()), 0);
        assert_eq!(bench.code(SENDALL, &with(to_tag(), &elsewhere)), 0);
        assert_eq!(bench.code(SENDALL, &with(to_tag(), &json!({"text": {"content": "?"}}))), 0);
        assert_eq!(bench.code(SENDALL, &with(to_tag(), &json!({"clientmsgid": "own"}))), 0);
        assert_eq!(bench.code(SENDALL, &with(to_tag(), &json!({"clientmsgid": ""}))), 45066);
        bench.wait(60);
        assert_eq!(bench.code(SENDALL, &to_tag()), 45065);
        assert_eq!(bench.state.deliveries[0].clientmsgid, None);
    }

    #[test]
    fn a_refused_request_leaves_its_id_free() {
        let mut bench = Bench::new(AccountKind::Subscription);
        let unknown_tag = json!({"filter": {"is_to_all": false, "tag_id": 7}, "clientmsgid": "b"});
        assert_eq!(bench.send_text("x", "a")["errcode"], 0);
        assert_eq!(bench.code(SENDALL, &with(to_tag(), &unknown_tag)), 40152);
        assert_eq!(bench.send_text("x", "b")["errcode"], 45028);
        bench.wait_days(1);
        assert_eq!(bench.send_text("x", "b")["errcode"], 0);
    }

    #[test]
    fn duplicates_are_told_before_quotas() {
        let mut bench = Bench::new(AccountKind::Subscription);
        let body = with(to_all(), &json!({"clientmsgid": "a"}));
        assert_eq!(bench.code(SENDALL, &body), 0);
        bench.wait(60);
        assert_eq!(bench.code(SENDALL, &body), 45065);
        assert_eq!(bench.send_text("x", "b")["errcode"], 45028);
    }
}
