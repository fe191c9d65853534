//! Limits of a minute, a day and a month, and `openapi/quota/get`.
//!
//! Sources: [call limits](https://developers.weixin.qq.com/doc/service/Message_Management/API_Call_Limits.html), the
//! [guide on mass sending](https://developers.weixin.qq.com/doc/service/guide/product/message/Batch_Sends.html) and
//! the [quota API](https://developers.weixin.qq.com/doc/service/en/api/apimanage/api_getapiquota.html).
//!
//! Only calls that were accepted count.

use std::collections::{HashMap, VecDeque};

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Value, json};

use super::AccountKind;
use super::audience::{Target, follower_index};
use super::calendar::{Month, day, month, within};
use super::errcode::{DAILY_QUOTA, Errcode, FORBIDDEN_CGI_PATH, MASS_QUOTA, MINUTE_QUOTA, Refusal};
use super::publications;

/// Path of the send to a tag or to all.
pub(super) const SENDALL: &str = "/cgi-bin/message/mass/sendall";
/// Path of the send to a list of openids.
pub(super) const SEND: &str = "/cgi-bin/message/mass/send";

const MINUTE: i64 = 60;
const MASS_PER_MINUTE: usize = 60;
/// Sends to all followers a service account has in a month.
const TO_ALL_PER_MONTH: u32 = 4;
/// The counter of sends to all followers, of which a service account has one a day.
const TO_ALL: &str = "to all";
/// Mass messages a reader gets in a month.
const PER_READER_PER_MONTH: u64 = 4;
/// The counter that the two mass calls share.
const MASS: &str = "mass";

/// Calls a day of a new account; the last line stands for endpoints whose limit is not published.
fn published_limit(path: &str) -> u64 {
    match path {
        "/cgi-bin/token" => 2000,
        "/cgi-bin/stable_token" => 500_000,
        "/cgi-bin/message/mass/preview" => 100,
        "/cgi-bin/message/mass/delete" | publications::DELETE => 10,
        publications::SUBMIT | publications::GET | publications::GETARTICLE | publications::BATCHGET => 100,
        "/cgi-bin/user/get" | "/cgi-bin/draft/get" => 500,
        "/cgi-bin/tags/get" | "/cgi-bin/tags/create" => 1000,
        "/cgi-bin/draft/add" | "/cgi-bin/draft/update" | "/cgi-bin/draft/delete" => 1000,
        "/cgi-bin/draft/count" | "/cgi-bin/draft/batchget" => 1000,
        "/cgi-bin/media/upload" => 100_000,
        _ => 1_000_000,
    }
}

/// What was sent to many readers at once this month.
#[derive(Clone, Copy)]
enum Broadcast {
    Everyone,
    /// A tag: the first so many followers.
    First(u64),
}

/// Use of all limits.
pub(super) struct Quotas {
    daily_mass_calls: u64,
    daily: HashMap<&'static str, (Date, u64)>,
    /// Accepted mass calls of the last minute.
    recent: VecDeque<Timestamp>,
    /// The month the fields below are about.
    month: Option<Month>,
    to_all: u32,
    broadcasts: Vec<Broadcast>,
    /// Openid sends by openid.
    singles: HashMap<String, u64>,
}

impl Quotas {
    /// Nothing used yet.
    pub(super) fn new(daily_mass_calls: u64) -> Self {
        Quotas {
            daily_mass_calls,
            daily: HashMap::new(),
            recent: VecDeque::new(),
            month: None,
            to_all: 0,
            broadcasts: Vec::new(),
            singles: HashMap::new(),
        }
    }

    /// `POST /cgi-bin/openapi/quota/get`: what is left of the daily limit of a path.
    pub(super) fn get(&self, kind: AccountKind, path: &'static str, now: Timestamp) -> Result<Value, Refusal> {
        if path == SEND && kind == AccountKind::Subscription {
            return Err(FORBIDDEN_CGI_PATH.into());
        }
        let is_mass = path == SEND || path == SENDALL;
        let (limit, counter) = if is_mass { (self.daily_mass_calls, MASS) } else { (published_limit(path), path) };
        let used = self.used(counter, now);
        Ok(json!({
            "errcode": 0,
            "errmsg": "ok",
            "quota": {"daily_limit": limit, "used": used, "remain": limit.saturating_sub(used)},
            "rate_limit": {"call_count": if is_mass { MASS_PER_MINUTE } else { 0 }, "refresh_second": MINUTE},
            "component_rate_limit": {"call_count": 0, "refresh_second": MINUTE},
        }))
    }

    /// Whether an endpoint may be called once more today.
    pub(super) fn check_day(&self, path: &'static str, now: Timestamp) -> Result<(), Errcode> {
        if self.used(path, now) < published_limit(path) { Ok(()) } else { Err(DAILY_QUOTA) }
    }

    pub(super) fn count_day(&mut self, counter: &'static str, now: Timestamp) {
        let used = self.used(counter, now);
        self.daily.insert(counter, (day(now), used + 1));
    }

    /// Whether one more mass call is allowed.
    pub(super) fn check_mass(&mut self, kind: AccountKind, target: &Target, now: Timestamp) -> Result<(), Errcode> {
        self.turn_month(now);
        while self.recent.front().is_some_and(|at| !within(MINUTE, *at, now)) {
            self.recent.pop_front();
        }
        if self.recent.len() >= MASS_PER_MINUTE {
            return Err(MINUTE_QUOTA);
        }
        let today = self.used(MASS, now);
        match kind {
            AccountKind::Subscription if today > 0 => Err(MASS_QUOTA),
            AccountKind::Service if today >= self.daily_mass_calls => Err(DAILY_QUOTA),
            AccountKind::Service if *target == Target::All && self.to_all >= TO_ALL_PER_MONTH => Err(MASS_QUOTA),
            AccountKind::Service if *target == Target::All && self.used(TO_ALL, now) > 0 => Err(MASS_QUOTA),
            _ => Ok(()),
        }
    }

    /// Counts an accepted mass call.
    pub(super) fn count_mass(&mut self, target: &Target, now: Timestamp) {
        self.turn_month(now);
        self.recent.push_back(now);
        self.count_day(MASS, now);
        if *target == Target::All {
            self.to_all += 1;
            self.count_day(TO_ALL, now);
        }
    }

    /// Those of a list who have not had their messages of this month yet. Only service accounts have this limit, and
    /// only they can send to a list.
    pub(super) fn reachable<'a>(&mut self, openids: &'a [String], now: Timestamp) -> Vec<&'a String> {
        self.turn_month(now);
        openids.iter().filter(|openid| self.received(openid) < PER_READER_PER_MONTH).collect()
    }

    /// Counts what arrived.
    pub(super) fn count_received(&mut self, target: &Target, now: Timestamp) {
        self.turn_month(now);
        match target {
            Target::All => self.broadcasts.push(Broadcast::Everyone),
            Target::Tag(tag) => self.broadcasts.push(Broadcast::First(tag.count)),
            Target::Openids(openids) => {
                for openid in openids {
                    *self.singles.entry(openid.clone()).or_default() += 1;
                }
            }
        }
    }

    fn received(&self, openid: &str) -> u64 {
        let place = follower_index(openid);
        let concerns = |broadcast: &&Broadcast| match broadcast {
            Broadcast::Everyone => true,
            Broadcast::First(count) => place.is_some_and(|place| place < *count),
        };
        let broadcasts = self.broadcasts.iter().filter(concerns).map(|_| 1).sum::<u64>();
        broadcasts + self.singles.get(openid).copied().unwrap_or_default()
    }

    fn used(&self, counter: &str, now: Timestamp) -> u64 {
        let today = day(now);
        self.daily.get(counter).filter(|(date, _)| *date == today).map_or(0, |(_, used)| *used)
    }

    fn turn_month(&mut self, now: Timestamp) {
        let current = month(now);
        if self.month.replace(current) != Some(current) {
            self.to_all = 0;
            self.broadcasts.clear();
            self.singles.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::super::testkit::{Bench, PREVIEW, json_of, to_all, to_openids, with};
    use super::*;

    const READERS: [&str; 2] = ["oSandboxFollower000000000001", "oSandboxFollower000000000002"];

    fn list(bench: &mut Bench, openids: &[&str], id: &str) -> Value {
        bench.post(SEND, &with(to_openids(openids), &json!({"clientmsgid": id})))
    }

    fn all(bench: &mut Bench, id: &str) -> i64 {
        bench.code(SENDALL, &with(to_all(), &json!({"clientmsgid": id})))
    }

    #[test]
    fn sixty_mass_calls_in_any_minute() {
        let mut bench = Bench::with(Config { daily_mass_calls: 1000, ..Config::default() });
        let mut tag = |wait: i64, id: &str| {
            bench.wait(wait);
            let filter = json!({"is_to_all": false, "tag_id": 2});
            bench.code(SENDALL, &with(to_all(), &json!({"filter": filter, "clientmsgid": id})))
        };
        assert_eq!(tag(0, "first"), 0);
        for index in 1..60 {
            assert_eq!(tag(if index == 1 { 30 } else { 0 }, &index.to_string()), 0);
        }
        assert_eq!(tag(0, "x"), 45011);
        assert_eq!(tag(29, "x"), 45011);
        // Only the first call is a minute old.
        assert_eq!(tag(1, "x"), 0);
        assert_eq!(tag(0, "y"), 45011);
    }

    #[test]
    fn a_service_account_has_its_calls_of_a_day() {
        let mut bench = Bench::with(Config { daily_mass_calls: 2, ..Config::default() });
        assert_eq!(list(&mut bench, &READERS, "a")["errcode"], 0);
        assert_eq!(all(&mut bench, "b"), 0);
        assert_eq!(all(&mut bench, "c"), 45009);
        bench.wait(12 * 60 * 60 - 1);
        assert_eq!(list(&mut bench, &READERS, "c")["errcode"], 45009);
        bench.wait(1);
        assert_eq!(all(&mut bench, "c"), 0);
    }

    #[test]
    fn each_account_has_limits_of_its_own() {
        let mut bench = Bench::with(Config { daily_mass_calls: 1, ..Config::default() });
        assert_eq!(all(&mut bench, "a"), 0);
        assert_eq!(all(&mut bench, "b"), 45009);
        let login =
            json!({"grant_type": "client_credential", "appid": "wx00000000000000bb", "secret": "s"}).to_string();
        let token = json_of(&bench.raw("POST", "/cgi-bin/stable_token", login.as_bytes()))["access_token"].clone();
        let path = format!("{SENDALL}?access_token={}", token.as_str().expect("a token"));
        let body = json!({"filter": {"is_to_all": true}, "msgtype": "text", "text": {"content": "x"}}).to_string();
        assert_eq!(json_of(&bench.raw("POST", &path, body.as_bytes()))["errcode"], 0);
        assert_eq!(all(&mut bench, "b"), 45009);
    }

    #[test]
    fn a_subscription_account_sends_once_a_day() {
        let mut bench = Bench::new(AccountKind::Subscription);
        assert_eq!(bench.send_text("x", "a")["errcode"], 0);
        assert_eq!(all(&mut bench, "b"), 45028);
        bench.wait(12 * 60 * 60);
        assert_eq!(all(&mut bench, "b"), 0);
        // No monthly limit.
        for id in ["c", "d", "e", "f"] {
            bench.wait_days(1);
            assert_eq!(all(&mut bench, id), 0);
        }
    }

    #[test]
    fn one_send_to_all_a_day() {
        let mut bench = Bench::service();
        assert_eq!(all(&mut bench, "a"), 0);
        assert_eq!(all(&mut bench, "b"), 45028);
        assert_eq!(bench.send_text("x", "b")["errcode"], 0);
        bench.wait_days(1);
        assert_eq!(all(&mut bench, "c"), 0);
    }

    #[test]
    fn four_sends_to_all_a_month() {
        let mut bench = Bench::service();
        for id in ["a", "b", "c", "d"] {
            assert_eq!(all(&mut bench, id), 0);
            bench.wait_days(1);
        }
        assert_eq!(all(&mut bench, "e"), 45028);
        assert_eq!(bench.send_text("x", "e")["errcode"], 0);
        bench.now = "2026-11-30T15:59:59Z".parse().expect("a time stamp");
        assert_eq!(all(&mut bench, "f"), 45028);
        bench.wait(1);
        assert_eq!(all(&mut bench, "f"), 0);
    }

    #[test]
    fn readers_with_four_messages_are_left_out() {
        let mut bench = Bench::service();
        let others = [READERS[0], "o-another-reader"];
        for id in ["a", "b", "c", "d"] {
            assert_eq!(list(&mut bench, &READERS, id)["errcode"], 0);
        }
        let some = list(&mut bench, &others, "e");
        let none = list(&mut bench, &READERS, "f");
        let counts: Vec<u64> = bench.state.deliveries.iter().map(|delivery| delivery.recipients).collect();
        assert_eq!(counts, [2, 2, 2, 2, 1, 0]);
        bench.wait(20);
        assert_eq!((bench.status(&some), bench.status(&none)), ("SEND_SUCCESS".into(), "DELETE".into()));
        bench.wait_days(30);
        list(&mut bench, &READERS, "g");
        assert_eq!(bench.state.deliveries.last().map(|delivery| delivery.recipients), Some(2));
    }

    #[test]
    fn sends_to_all_and_to_tags_count_for_their_readers() {
        let mut bench = Bench::service();
        // Tag 100 holds the followers 0 to 29.
        let readers = ["oSandboxFollower000000000029", "oSandboxFollower000000000030"];
        for id in ["a", "b", "c"] {
            assert_eq!(all(&mut bench, id), 0);
            bench.wait_days(1);
        }
        bench.send_text("x", "d");
        list(&mut bench, &readers, "e");
        list(&mut bench, &readers, "f");
        let counts: Vec<u64> = bench.state.deliveries.iter().map(|delivery| delivery.recipients).collect();
        assert_eq!(counts, [1000, 1000, 1000, 30, 1, 0]);
    }

    #[test]
    fn a_hundred_previews_a_day_apart_from_sends() {
        let mut bench = Bench::service();
        let body = json!({"touser": READERS[0], "msgtype": "text", "text": {"content": "x"}});
        for _ in 0..100 {
            assert_eq!(bench.code(PREVIEW, &body), 0);
        }
        assert_eq!(bench.code(PREVIEW, &body), 45009);
        assert_eq!(all(&mut bench, "a"), 0);
        bench.wait_days(1);
        assert_eq!(bench.code(PREVIEW, &body), 0);
    }

    #[test]
    fn the_quota_call_tells_what_is_left() {
        let mut bench = Bench::service();
        let ask = |bench: &mut Bench, path: &str| bench.post("/cgi-bin/openapi/quota/get", &json!({"cgi_path": path}));
        all(&mut bench, "a");
        list(&mut bench, &READERS, "b");
        assert_eq!(all(&mut bench, "b"), 45066);
        assert_eq!(
            ask(&mut bench, SEND),
            json!({
                "errcode": 0, "errmsg": "ok",
                "quota": {"daily_limit": 100, "used": 2, "remain": 98},
                "rate_limit": {"call_count": 60, "refresh_second": 60},
                "component_rate_limit": {"call_count": 0, "refresh_second": 60},
            })
        );
        assert_eq!(ask(&mut bench, SENDALL)["quota"]["used"], 2);
        assert_eq!(ask(&mut bench, PREVIEW)["quota"], json!({"daily_limit": 100, "used": 0, "remain": 100}));
        for path in ["cgi-bin/message/mass/send", "/cgi-bin/nothing", ""] {
            assert_eq!(ask(&mut bench, path)["errcode"], 76021, "{path}");
        }
        assert_eq!(bench.code("/cgi-bin/openapi/quota/get", &json!({})), 76021);
        assert_eq!(bench.code("/cgi-bin/openapi/quota/get", &json!({"cgi_path": 1})), 47001);
        assert_eq!(ask(&mut Bench::new(AccountKind::Subscription), SEND)["errcode"], 76022);
    }
}
