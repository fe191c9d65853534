//! Access tokens: `/cgi-bin/token` and `/cgi-bin/stable_token`, each with a token of its own.
//!
//! Sources: [getAccessToken](https://developers.weixin.qq.com/doc/service/api/base/api_getaccesstoken),
//! [getStableAccessToken](https://developers.weixin.qq.com/doc/service/api/base/api_getstableaccesstoken).

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::calendar::{after, day, within};
use super::errcode::{
    DAILY_QUOTA, EXPIRED_TOKEN, Errcode, INVALID_APPID, INVALID_APPSECRET, INVALID_GRANT_TYPE, INVALID_TOKEN,
    MALFORMED_BODY, MISSING_APPID, MISSING_APPSECRET, MISSING_TOKEN, REPLACED_TOKEN, Refusal,
};
use super::exchange::Context;

/// Life of a token in seconds.
pub(super) const LIFE: i64 = 7200;
/// How long a token goes on working beside the one that followed it; also the end of its life in which it is renewed.
pub(super) const OVERLAP: i64 = 300;
/// Shortest time between two forced refreshes.
const FORCE_PAUSE: i64 = 30;
/// Forced refreshes a day.
const FORCE_DAILY: u32 = 20;
/// Characters after the prefix; real tokens are about this long, and WeChat reserves the right to 512.
const TOKEN_LENGTH: usize = 157;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A string of the body; an empty one counts as missing.
pub(super) fn text<'a>(body: &'a Value, field: &str) -> Result<Option<&'a str>, Errcode> {
    match body.get(field) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
        Some(_) => Err(MALFORMED_BODY),
    }
}

struct Login<'a> {
    grant_type: Option<&'a str>,
    appid: Option<&'a str>,
    secret: Option<&'a str>,
}

/// The life of one token.
struct Life {
    /// The account that it is of.
    appid: String,
    /// When it would end by itself.
    expires: Timestamp,
    /// When it does end: earlier if it was replaced, later if it was handed over in its last minutes.
    ends: Timestamp,
}

/// What an AppID holds.
#[derive(Default)]
struct Holder {
    classic: Option<String>,
    stable: Option<String>,
    forced_at: Option<Timestamp>,
    forced_on: Option<(Date, u32)>,
}

/// All tokens ever issued, dead ones included: they are answered differently from foreign ones.
pub(super) struct Tokens {
    appid: Option<String>,
    secret: Option<String>,
    seed: u64,
    serial: u64,
    lives: HashMap<String, Life>,
    holders: HashMap<String, Holder>,
}

impl Tokens {
    /// `seed` makes the tokens of one sandbox foreign to another.
    pub(super) fn new(appid: Option<String>, secret: Option<String>, seed: u64) -> Self {
        Tokens { appid, secret, seed, serial: 0, lives: HashMap::new(), holders: HashMap::new() }
    }

    /// Whether a token opens the other endpoints, and the account that it is of.
    pub(super) fn check(&self, token: Option<&str>, now: Timestamp) -> Result<&str, Errcode> {
        let life = self.lives.get(token.ok_or(MISSING_TOKEN)?).ok_or(INVALID_TOKEN)?;
        if now < life.ends {
            Ok(&life.appid)
        } else if life.ends < life.expires {
            Err(REPLACED_TOKEN)
        } else {
            Err(EXPIRED_TOKEN)
        }
    }

    /// `GET /cgi-bin/token`: a new token; the one before works for five more minutes.
    pub(super) fn get(&mut self, context: &Context) -> Result<Value, Refusal> {
        let request = context.request;
        let login = Login {
            grant_type: request.parameter("grant_type"),
            appid: request.parameter("appid"),
            secret: request.parameter("secret"),
        };
        let appid = self.admit(&login)?;
        Ok(self.classic(&appid, context.now))
    }

    /// `POST /cgi-bin/stable_token`: the same token until it is about to expire, or a new one by force.
    pub(super) fn get_stable(&mut self, context: &Context) -> Result<Value, Refusal> {
        let body = &context.body;
        let login =
            Login { grant_type: text(body, "grant_type")?, appid: text(body, "appid")?, secret: text(body, "secret")? };
        let force = match body.get("force_refresh") {
            None => false,
            Some(Value::Bool(force)) => *force,
            Some(_) => return Err(MALFORMED_BODY.into()),
        };
        let appid = self.admit(&login)?;
        if force { self.forced(&appid, context.now) } else { Ok(self.stable(&appid, context.now)) }
    }

    fn admit(&self, login: &Login) -> Result<String, Errcode> {
        if login.grant_type != Some("client_credential") {
            return Err(INVALID_GRANT_TYPE);
        }
        let appid = login.appid.ok_or(MISSING_APPID)?;
        let secret = login.secret.ok_or(MISSING_APPSECRET)?;
        if !self.is_account(appid) {
            return Err(INVALID_APPID);
        }
        if self.secret.as_deref().is_some_and(|only| only != secret) {
            return Err(INVALID_APPSECRET);
        }
        Ok(appid.to_owned())
    }

    fn classic(&mut self, appid: &str, now: Timestamp) -> Value {
        let token = self.issue(appid, now);
        let previous = self.holder(appid).classic.replace(token.clone());
        self.shorten(previous, after(now, OVERLAP));
        reply(&token, LIFE)
    }

    fn stable(&mut self, appid: &str, now: Timestamp) -> Value {
        let previous = self.holder(appid).stable.clone();
        if let Some((token, left)) = previous.as_ref().and_then(|token| Some((token, self.left(token, now)?))) {
            if left >= OVERLAP {
                return reply(token, left);
            }
            // Alive, but in its last minutes: both work for five minutes from here.
            if let Some(life) = self.lives.get_mut(token) {
                life.ends = after(now, OVERLAP);
            }
        }
        let token = self.issue(appid, now);
        self.holder(appid).stable = Some(token.clone());
        reply(&token, LIFE)
    }

    fn forced(&mut self, appid: &str, now: Timestamp) -> Result<Value, Refusal> {
        let holder = self.holder(appid);
        if holder.forced_at.is_some_and(|at| within(FORCE_PAUSE, at, now)) {
            return Ok(self.stable(appid, now));
        }
        let today = day(now);
        let used = holder.forced_on.filter(|(date, _)| *date == today).map_or(0, |(_, used)| used);
        if used == FORCE_DAILY {
            return Err(DAILY_QUOTA.into());
        }
        holder.forced_on = Some((today, used + 1));
        holder.forced_at = Some(now);
        let token = self.issue(appid, now);
        let previous = self.holder(appid).stable.replace(token.clone());
        self.shorten(previous, now);
        Ok(reply(&token, LIFE))
    }

    fn holder(&mut self, appid: &str) -> &mut Holder {
        self.holders.entry(appid.to_owned()).or_default()
    }

    /// Whole seconds left of a living token.
    fn left(&self, token: &str, now: Timestamp) -> Option<i64> {
        let life = self.lives.get(token)?;
        (now < life.ends).then(|| life.ends.duration_since(now).as_secs())
    }

    pub(super) fn shorten(&mut self, token: Option<String>, end: Timestamp) {
        if let Some(life) = token.and_then(|token| self.lives.get_mut(&token)) {
            life.ends = life.ends.min(end);
        }
    }

    /// A new token of an account.
    pub(super) fn issue(&mut self, appid: &str, now: Timestamp) -> String {
        let token = self.make();
        let expires = after(now, LIFE);
        self.lives.insert(token.clone(), Life { appid: appid.to_owned(), expires, ends: expires });
        token
    }

    /// What looks like a token, and is of nobody yet.
    pub(super) fn make(&mut self) -> String {
        self.serial += 1;
        let bytes = (0_u8..).flat_map(|block| {
            let mut digest = Sha256::new();
            digest.update(self.seed.to_be_bytes());
            digest.update(self.serial.to_be_bytes());
            digest.update([block]);
            digest.finalize().to_vec()
        });
        let characters = bytes.map(|byte| char::from(ALPHABET[usize::from(byte & 63)]));
        "92_".chars().chain(characters.take(TOKEN_LENGTH)).collect()
    }

    /// Whether an AppID is one of this account's.
    pub(super) fn is_account(&self, appid: &str) -> bool {
        self.appid.as_deref().map_or_else(|| is_appid(appid), |only| only == appid)
    }
}

fn reply(token: &str, expires_in: i64) -> Value {
    json!({"access_token": token, "expires_in": expires_in})
}

pub(super) fn is_appid(appid: &str) -> bool {
    let digits = appid.strip_prefix("wx");
    digits.is_some_and(|digits| digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::super::testkit::{APPID, Bench, json_of};
    use super::*;

    const TAGS: &str = "/cgi-bin/tags/get";

    fn classic(bench: &mut Bench) -> String {
        let target = format!("/cgi-bin/token?grant_type=client_credential&appid={APPID}&secret=s");
        let reply = json_of(&bench.raw("GET", &target, b""));
        assert_eq!(reply["expires_in"], 7200);
        reply["access_token"].as_str().expect("a token").to_owned()
    }

    fn stable(bench: &mut Bench, force: bool) -> Value {
        let body = json!({
            "grant_type": "client_credential", "appid": APPID, "secret": "s", "force_refresh": force,
        });
        json_of(&bench.raw("POST", "/cgi-bin/stable_token", body.to_string().as_bytes()))
    }

    fn use_token(bench: &mut Bench, token: &str) -> i64 {
        bench.raw("GET", &format!("{TAGS}?access_token={token}"), b"").errcode
    }

    fn text(reply: &Value) -> String {
        reply["access_token"].as_str().expect("a token").to_owned()
    }

    #[test]
    fn tokens_look_real() {
        let token = classic(&mut Bench::service());
        assert!((136..512).contains(&token.len()));
        assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)));
    }

    #[test]
    fn logins_are_checked() {
        let config = || Config { appid: Some(APPID.into()), secret: Some("s".into()), ..Config::default() };
        let cases = [
            ("appid=wx0123456789abcdef&secret=s", 40002),
            ("grant_type=authorization_code&appid=wx0123456789abcdef&secret=s", 40002),
            ("grant_type=client_credential&secret=s", 41002),
            ("grant_type=client_credential&appid=&secret=s", 41002),
            ("grant_type=client_credential&appid=wx0123456789abcdef", 41004),
            ("grant_type=client_credential&appid=wx0123456789abcdee&secret=s", 40013),
            ("grant_type=client_credential&appid=wx0123456789abcdef&secret=t", 40125),
            ("grant_type=client_credential&appid=wx0123456789abcdef&secret=s", 0),
        ];
        for (query, code) in cases {
            let mut bench = Bench::with(config());
            assert_eq!(bench.raw("GET", &format!("/cgi-bin/token?{query}"), b"").errcode, code, "{query}");
            let fields: serde_json::Map<_, _> =
                query.split('&').filter_map(|pair| pair.split_once('=')).map(|(k, v)| (k.into(), v.into())).collect();
            let body = Value::from(fields).to_string();
            assert_eq!(bench.raw("POST", "/cgi-bin/stable_token", body.as_bytes()).errcode, code, "{body}");
        }
    }

    #[test]
    fn an_open_account_takes_any_well_formed_appid() {
        let mut bench = Bench::service();
        for (appid, code) in [("wxFFFFFFFFFFFFFFFF", 0), ("wx123", 40013), ("gh0123456789abcdef", 40013)] {
            let target = format!("/cgi-bin/token?grant_type=client_credential&appid={appid}&secret=any");
            assert_eq!(bench.raw("GET", &target, b"").errcode, code, "{appid}");
        }
    }

    #[test]
    fn token_endpoints_want_their_method_and_json() {
        let mut bench = Bench::service();
        assert_eq!(bench.raw("GET", "/cgi-bin/stable_token", b"").errcode, 43002);
        assert_eq!(bench.raw("POST", "/cgi-bin/token", b"").errcode, 43002);
        assert_eq!(bench.raw("POST", "/cgi-bin/stable_token", b"").errcode, 44002);
        for body in [r#"grant_type=client_credential"#, r#"{"grant_type":1}"#] {
            assert_eq!(bench.raw("POST", "/cgi-bin/stable_token", body.as_bytes()).errcode, 47001);
        }
        let body = json!({"grant_type": "client_credential", "appid": APPID, "secret": "s", "force_refresh": "true"});
        assert_eq!(bench.raw("POST", "/cgi-bin/stable_token", body.to_string().as_bytes()).errcode, 47001);
    }

    #[test]
    fn other_endpoints_want_a_living_token() {
        let mut bench = Bench::service();
        assert_eq!(bench.raw("GET", TAGS, b"").errcode, 41001);
        assert_eq!(use_token(&mut bench, ""), 41001);
        assert_eq!(use_token(&mut bench, "abc"), 40014);
        let foreign = Tokens::new(None, None, 2).issue(APPID, bench.now);
        assert_eq!(use_token(&mut bench, &foreign), 40014);
        let token = classic(&mut bench);
        bench.wait(7199);
        assert_eq!(use_token(&mut bench, &token), 0);
        bench.wait(1);
        assert_eq!(use_token(&mut bench, &token), 42001);
    }

    #[test]
    fn a_new_classic_token_leaves_the_old_one_five_minutes() {
        let mut bench = Bench::service();
        let old = classic(&mut bench);
        bench.wait(1);
        let new = classic(&mut bench);
        assert_ne!(old, new);
        bench.wait(299);
        assert_eq!(use_token(&mut bench, &old), 0);
        bench.wait(1);
        assert_eq!(use_token(&mut bench, &old), 40001);
        assert_eq!(use_token(&mut bench, &new), 0);
    }

    #[test]
    fn the_stable_token_stays_until_its_last_five_minutes() {
        let mut bench = Bench::service();
        let first = stable(&mut bench, false);
        bench.wait(6900);
        let same = stable(&mut bench, false);
        assert_eq!((text(&same), &same["expires_in"]), (text(&first), &json!(300)));
        bench.wait(1);
        let second = stable(&mut bench, false);
        assert_ne!(text(&first), text(&second));
        assert_eq!(second["expires_in"], 7200);
        bench.wait(299);
        assert_eq!(use_token(&mut bench, &text(&first)), 0);
        bench.wait(1);
        assert_eq!(use_token(&mut bench, &text(&first)), 42001);
        assert_eq!(use_token(&mut bench, &text(&second)), 0);
    }

    #[test]
    fn an_expired_stable_token_is_not_revived() {
        let mut bench = Bench::service();
        let first = text(&stable(&mut bench, false));
        bench.wait(7200);
        assert_ne!(text(&stable(&mut bench, false)), first);
        assert_eq!(use_token(&mut bench, &first), 42001);
    }

    #[test]
    fn the_two_endpoints_do_not_touch_each_other() {
        let mut bench = Bench::service();
        let stable_token = text(&stable(&mut bench, false));
        let classic_token = classic(&mut bench);
        bench.wait(400);
        stable(&mut bench, true);
        assert_eq!(use_token(&mut bench, &classic_token), 0);
        assert_eq!(use_token(&mut bench, &stable_token), 40001);
    }

    #[test]
    fn force_kills_at_once_but_not_twice_in_thirty_seconds() {
        let mut bench = Bench::service();
        let first = text(&stable(&mut bench, false));
        let second = text(&stable(&mut bench, true));
        assert_eq!(use_token(&mut bench, &first), 40001);
        bench.wait(29);
        assert_eq!(text(&stable(&mut bench, true)), second);
        bench.wait(1);
        assert_ne!(text(&stable(&mut bench, true)), second);
        assert_eq!(use_token(&mut bench, &second), 40001);
    }

    #[test]
    fn force_works_twenty_times_a_day() {
        let mut bench = Bench::service();
        for _ in 0..20 {
            assert!(stable(&mut bench, true).get("errcode").is_none());
            bench.wait(30);
        }
        assert_eq!(stable(&mut bench, true)["errcode"], 45009);
        assert!(stable(&mut bench, false).get("errcode").is_none());
        bench.wait_days(1);
        assert!(stable(&mut bench, true).get("errcode").is_none());
    }
}
