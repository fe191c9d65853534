//! A third-party platform (第三方平台) that acts for the account: its own token, and with it the account's.
//!
//! Sources: [how tokens are made](https://developers.weixin.qq.com/doc/oplatform/Third-party_Platforms/2.0/Before_Develop/creat_token.md),
//! [api_authorizer_token](https://developers.weixin.qq.com/doc/oplatform/openApi/ticket-token/api_getauthorizeraccesstoken.md).

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Component;
use super::calendar::after;
use super::errcode::{
    EXPIRED_COMPONENT_TOKEN, Errcode, INVALID_APPID, INVALID_APPSECRET, INVALID_COMPONENT, INVALID_REFRESH_TOKEN,
    INVALID_TICKET, MISSING_APPID, MISSING_APPSECRET, MISSING_TOKEN, NOT_AUTHORIZED, REPLACED_TOKEN, Refusal,
};
use super::exchange::Context;
use super::token::{LIFE, OVERLAP, Tokens, is_appid, text};

pub(super) const COMPONENT_TOKEN: &str = "/cgi-bin/component/api_component_token";
pub(super) const AUTHORIZER_TOKEN: &str = "/cgi-bin/component/api_authorizer_token";

/// A token of a platform.
struct Own {
    component: String,
    expires: Timestamp,
    /// Earlier if another followed it.
    ends: Timestamp,
}

/// All platforms, and the accounts that authorised them.
pub(super) struct Components {
    only: Component,
    /// All tokens of platforms ever issued.
    own: HashMap<String, Own>,
    /// The last token of each platform.
    latest: HashMap<String, String>,
    /// The last token that each platform got for an account.
    authorized: HashMap<(String, String), String>,
    /// The refresh token of an account, once it was replaced.
    refresh: HashMap<String, String>,
    /// Whether the next token comes with another refresh token.
    pub(super) rotate: bool,
}

impl Components {
    pub(super) fn new(only: Component) -> Self {
        Components {
            only,
            own: HashMap::new(),
            latest: HashMap::new(),
            authorized: HashMap::new(),
            refresh: HashMap::new(),
            rotate: false,
        }
    }

    fn admit(&self, appid: Option<&str>) -> Result<String, Errcode> {
        let appid = appid.ok_or(MISSING_APPID)?;
        let known = self.only.appid.as_deref().map_or_else(|| is_appid(appid), |only| only == appid);
        if known { Ok(appid.to_owned()) } else { Err(INVALID_APPID) }
    }

    /// The platform whose living token a request has.
    fn caller(&self, context: &Context) -> Result<String, Errcode> {
        let request = context.request;
        let token = request.parameter("access_token").or_else(|| request.parameter("component_access_token"));
        let own = self.own.get(token.ok_or(MISSING_TOKEN)?).ok_or(REPLACED_TOKEN)?;
        if context.now < own.ends {
            Ok(own.component.clone())
        } else if own.ends < own.expires {
            Err(REPLACED_TOKEN)
        } else {
            Err(EXPIRED_COMPONENT_TOKEN)
        }
    }

    /// `POST /cgi-bin/component/api_component_token`: a new token; the one before works for five more minutes.
    pub(super) fn component_token(&mut self, context: &Context, tokens: &mut Tokens) -> Result<Value, Refusal> {
        let (body, now) = (&context.body, context.now);
        let component = self.admit(text(body, "component_appid")?)?;
        let secret = text(body, "component_appsecret")?.ok_or(MISSING_APPSECRET)?;
        if self.only.secret.as_deref().is_some_and(|only| only != secret) {
            return Err(INVALID_APPSECRET.into());
        }
        let ticket = text(body, "component_verify_ticket")?.ok_or(INVALID_TICKET)?;
        if self.only.ticket.as_deref().is_some_and(|only| only != ticket) {
            return Err(INVALID_TICKET.into());
        }
        let token = tokens.make();
        if let Some(before) = self.latest.insert(component.clone(), token.clone())
            && let Some(before) = self.own.get_mut(&before)
        {
            before.ends = before.ends.min(after(now, OVERLAP));
        }
        let expires = after(now, LIFE);
        self.own.insert(token.clone(), Own { component, expires, ends: expires });
        Ok(json!({"component_access_token": token, "expires_in": LIFE}))
    }

    /// `POST /cgi-bin/component/api_authorizer_token`: a new token of the account; the platform's one before works for five more
    /// minutes.
    pub(super) fn authorizer_token(&mut self, context: &Context, tokens: &mut Tokens) -> Result<Value, Refusal> {
        let (body, now) = (&context.body, context.now);
        let caller = self.caller(context)?;
        if self.admit(text(body, "component_appid")?)? != caller {
            return Err(INVALID_COMPONENT.into());
        }
        let account = text(body, "authorizer_appid")?.ok_or(MISSING_APPID)?.to_owned();
        if !is_appid(&account) {
            return Err(INVALID_APPID.into());
        }
        if !tokens.is_account(&account) {
            return Err(NOT_AUTHORIZED.into());
        }
        let given = text(body, "authorizer_refresh_token")?.ok_or(INVALID_REFRESH_TOKEN)?;
        if !self.is_current(&account, given) {
            return Err(INVALID_REFRESH_TOKEN.into());
        }
        let refresh = if std::mem::take(&mut self.rotate) {
            let refresh = format!("refreshtoken@@@{}", &tokens.make()[..43]);
            self.refresh.insert(account.clone(), refresh.clone());
            refresh
        } else {
            given.to_owned()
        };
        let token = tokens.issue(&account, now);
        let before = self.authorized.insert((caller, account), token.clone());
        tokens.shorten(before, after(now, OVERLAP));
        Ok(json!({"authorizer_access_token": token, "expires_in": LIFE, "authorizer_refresh_token": refresh}))
    }

    /// Whether this is the account's refresh token; without one that is known, any is.
    fn is_current(&self, account: &str, given: &str) -> bool {
        let current = self.refresh.get(account).or(self.only.refresh_token.as_ref());
        current.is_none_or(|current| current == given)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::super::testkit::{APPID, Bench, json_of};
    use super::*;

    const PLATFORM: &str = "wxaaaaaaaaaaaaaaaa";

    fn bench() -> Bench {
        let component = Component {
            appid: Some(PLATFORM.into()),
            secret: Some("s".into()),
            ticket: Some("ticket@@@1".into()),
            refresh_token: Some("refreshtoken@@@1".into()),
        };
        Bench::with(Config { appid: Some(APPID.into()), component, ..Config::default() })
    }

    fn own(bench: &mut Bench) -> String {
        let body = json!({
            "component_appid": PLATFORM, "component_appsecret": "s", "component_verify_ticket": "ticket@@@1",
        });
        let reply = json_of(&bench.raw("POST", COMPONENT_TOKEN, body.to_string().as_bytes()));
        assert_eq!(reply["expires_in"], 7200);
        reply["component_access_token"].as_str().expect("a token").to_owned()
    }

    fn authorizer(bench: &mut Bench, query: &str, refresh: &str) -> Value {
        let body = json!({
            "component_appid": PLATFORM, "authorizer_appid": APPID, "authorizer_refresh_token": refresh,
        });
        json_of(&bench.raw("POST", &format!("{AUTHORIZER_TOKEN}?{query}"), body.to_string().as_bytes()))
    }

    #[test]
    fn platforms_log_in_with_secret_and_ticket() {
        for (appid, secret, ticket, code) in [
            ("", "s", "ticket@@@1", 41002),
            ("wxbbbbbbbbbbbbbbbb", "s", "ticket@@@1", 40013),
            (PLATFORM, "", "ticket@@@1", 41004),
            (PLATFORM, "t", "ticket@@@1", 40125),
            (PLATFORM, "s", "", 61006),
            (PLATFORM, "s", "ticket@@@2", 61006),
            (PLATFORM, "s", "ticket@@@1", 0),
        ] {
            let body = json!({
                "component_appid": appid, "component_appsecret": secret, "component_verify_ticket": ticket,
            });
            let reply = bench().raw("POST", COMPONENT_TOKEN, body.to_string().as_bytes());
            assert_eq!(reply.errcode, code, "{body}");
        }
    }

    #[test]
    fn a_platform_gets_a_token_that_works_as_the_accounts_own() {
        for name in ["access_token", "component_access_token"] {
            let mut bench = bench();
            let query = format!("{name}={}", own(&mut bench));
            let reply = authorizer(&mut bench, &query, "refreshtoken@@@1");
            assert_eq!(
                (&reply["expires_in"], &reply["authorizer_refresh_token"]),
                (&json!(7200), &json!("refreshtoken@@@1"))
            );
            let token = reply["authorizer_access_token"].as_str().expect("a token");
            let tags = bench.raw("GET", &format!("/cgi-bin/tags/get?access_token={token}"), b"");
            assert_eq!(tags.errcode, 0);
        }
    }

    #[test]
    fn what_is_wrong_has_the_documented_code() {
        let mut bench = bench();
        let query = format!("access_token={}", own(&mut bench));
        assert_eq!(authorizer(&mut bench, "", "refreshtoken@@@1")["errcode"], 41001);
        assert_eq!(authorizer(&mut bench, "access_token=x", "refreshtoken@@@1")["errcode"], 40001);
        for refresh in ["", "refreshtoken@@@2"] {
            assert_eq!(authorizer(&mut bench, &query, refresh)["errcode"], 61023, "{refresh}");
        }
        for (component, account, code) in [
            (PLATFORM, "wx0123456789abcdee", 61003),
            (PLATFORM, "wx1", 40013),
            (PLATFORM, "", 41002),
            (APPID, APPID, 40013),
        ] {
            let body = json!({
                "component_appid": component, "authorizer_appid": account, "authorizer_refresh_token": "refreshtoken@@@1",
            });
            let reply = bench.raw("POST", &format!("{AUTHORIZER_TOKEN}?{query}"), body.to_string().as_bytes());
            assert_eq!(reply.errcode, code, "{body}");
        }
        // The platform's own token is none of the account's.
        assert_eq!(bench.raw("GET", &format!("/cgi-bin/tags/get?{query}"), b"").errcode, 40014);
    }

    #[test]
    fn a_token_of_a_platform_ends() {
        let mut bench = bench();
        let first = format!("access_token={}", own(&mut bench));
        bench.wait(7199);
        assert!(authorizer(&mut bench, &first, "refreshtoken@@@1")["errcode"].is_null());
        bench.wait(1);
        assert_eq!(authorizer(&mut bench, &first, "refreshtoken@@@1")["errcode"], 42006);
        let second = format!("access_token={}", own(&mut bench));
        own(&mut bench);
        bench.wait(299);
        assert!(authorizer(&mut bench, &second, "refreshtoken@@@1")["errcode"].is_null());
        bench.wait(1);
        assert_eq!(authorizer(&mut bench, &second, "refreshtoken@@@1")["errcode"], 40001);
    }

    #[test]
    fn a_replaced_refresh_token_is_the_only_one() {
        let mut bench = bench();
        let query = format!("access_token={}", own(&mut bench));
        bench.state.components.rotate = true;
        let reply = authorizer(&mut bench, &query, "refreshtoken@@@1");
        let next = reply["authorizer_refresh_token"].as_str().expect("a token").to_owned();
        assert!(next.starts_with("refreshtoken@@@") && next != "refreshtoken@@@1", "{next}");
        assert_eq!(authorizer(&mut bench, &query, "refreshtoken@@@1")["errcode"], 61023);
        assert_eq!(authorizer(&mut bench, &query, &next)["authorizer_refresh_token"], next);
    }
}
