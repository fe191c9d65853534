//! Is the account ready? What WeChat says of it, asked with calls that read and change nothing, and what the ledger
//! says of the plan. Nothing here sends, uploads or writes.

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{
    doubt,
    forecast::forecast,
    guard, policy,
    prepare::{Prepared, Selection, compare},
    refusal::Refusal,
    renamed::{self, Outside, history},
    tags::nearest_or_all,
    work::{Left, Work},
};
use crate::{
    ledger::{Ledger, Scope},
    limits,
    locale::{Count, Phrase, list, say},
    payload::{Effect, Target},
    plan::{account::AccountKind, action::send_by_openid},
    problem::Problem,
    render::RenderedPlan,
    report::checkup::{Check, CheckId, CheckState},
    slot::{Followers, Tag},
    text::one_of,
    wechat::{
        Reply,
        client::{Client, Outcome},
        component::Origin,
        errcode,
        token::TokenError,
        transport::{Body, Method},
    },
};

/// What the ledger says of the plan.
#[derive(Debug)]
pub(crate) struct LedgerChecks {
    /// The lines: ledger, guards, forecast.
    pub(crate) checks: Vec<Check>,
    /// Calls that a run would make, by path; none if the plan cannot go on.
    pub(crate) wanted: Option<BTreeMap<String, u64>>,
}

impl LedgerChecks {
    /// When the ledger cannot be looked at.
    pub(crate) fn none(why: &Phrase) -> Self {
        let ids = [CheckId::Ledger, CheckId::Guards, CheckId::Forecast];
        Self { checks: ids.map(|id| Check::not_checked(id, why.clone())).into(), wanted: None }
    }
}

/// Holds the plan against the ledger, as a run does before it begins. A guard is a line of its own: what it says of this
/// hour hides nothing else.
pub(crate) fn ledger_checks(
    plan: &RenderedPlan,
    ledger: &dyn Ledger,
    scope: &Scope,
    outside: Outside<'_>,
) -> LedgerChecks {
    let now = outside.now;
    let prepared = match compare(plan, ledger, scope, &Selection::default(), now) {
        Ok(prepared) => prepared,
        Err(refusal) => {
            let mut none = LedgerChecks::none(&say!("the plan cannot continue from the ledger"));
            none.checks[0] = Check::problem(CheckId::Ledger, CheckState::Error, problem(refusal));
            return none;
        }
    };
    let renamed = renamed::check(plan, &prepared.work, &prepared.records, (ledger, scope), outside);
    let checks = vec![
        match renamed {
            Ok(()) => unknown(plan, ledger, scope, now),
            Err(refusal) => Check::problem(CheckId::Ledger, CheckState::Error, problem(refusal)),
        },
        guarded(&prepared, ledger, scope, now),
        forecasted(&prepared, ledger, scope, now),
    ];
    LedgerChecks { checks, wanted: Some(wanted(&prepared)) }
}

/// Why the plan cannot go on; what to do about the store is said with its own line.
fn problem(refusal: Refusal) -> Problem {
    match refusal {
        Refusal::Store(error) => Problem::new(error.words()),
        Refusal::Selection(problem)
        | Refusal::MissingOutputs(problem)
        | Refusal::Changed(problem)
        | Refusal::InDoubt(problem)
        | Refusal::Guard(problem)
        | Refusal::LookUp(problem)
        | Refusal::Interrupted(problem) => problem,
    }
}

/// Calls whose outcome nobody knows yet.
fn unknown(plan: &RenderedPlan, ledger: &dyn Ledger, scope: &Scope, now: Timestamp) -> Check {
    let id = CheckId::Ledger;
    let records = match history(plan, ledger, scope) {
        Ok(records) => records,
        Err(error) => return Check::error(id, error.words()),
    };
    let accepted = records.iter().filter(|record| record.status == crate::ledger::Status::Accepted).count();
    let open: Vec<_> = records.iter().filter(|record| record.status.in_doubt()).collect();
    if open.is_empty() {
        let words = match accepted {
            0 => say!("nothing sent yet in this occurrence"),
            calls => {
                say!("{calls} call accepted in this occurrence" | "{calls} calls accepted in this occurrence", calls)
            }
        };
        return Check::ok(id, words).fact("accepted", accepted).fact("unknown", 0);
    }
    let memory = SignedDuration::try_from(limits::CLIENTMSGID_MEMORY).unwrap_or(SignedDuration::MAX);
    let old = open.iter().filter(|record| record.first_attempt().is_none_or(|at| now.duration_since(at) >= memory));
    let (old, count) = (old.collect::<Vec<_>>(), open.len());
    let mut names: Vec<String> = open
        .iter()
        .map(|record| {
            let id = &record.frozen.id;
            crate::text::step_name(&id.step, id.key.as_deref())
        })
        .collect();
    names.dedup();
    let text = say!(
        "unknown outcome of {calls} call: {steps}" | "unknown outcome of {calls} calls: {steps}",
        calls = count,
        steps = list(names)
    );
    let check =
        Check::warning(id, text).fact("accepted", accepted).fact("unknown", count).fact("unknown_too_old", old.len());
    if let Some(first) = old.first() {
        let command = doubt::settle(plan, &first.frozen.id.name(), None);
        check.help(say!("a run no longer repeats calls older than 24 hours; check the console, then run: {command} --sent MSG_ID, or --not-sent", command))
    } else {
        check.help(say!("run the plan within 24 hours: it repeats the call with the same clientmsgid and finds out"))
    }
}

fn guarded(prepared: &Prepared<'_>, ledger: &dyn Ledger, scope: &Scope, now: Timestamp) -> Check {
    match guard::refusal(prepared.plan, &prepared.work, &prepared.facts, ledger, scope, now) {
        Ok(None) => match guard::rehearsed(prepared.plan, &prepared.work, scope, now) {
            Some(words) => Check::warning(CheckId::Guards, words),
            None => Check::ok(CheckId::Guards, say!("no guard would refuse a run now")),
        },
        Ok(Some(problem)) => Check::problem(CheckId::Guards, CheckState::Warning, problem),
        Err(error) => Check::error(CheckId::Guards, error.words()),
    }
}

fn forecasted(prepared: &Prepared<'_>, ledger: &dyn Ledger, scope: &Scope, now: Timestamp) -> Check {
    let id = CheckId::Forecast;
    let forecast = match forecast(prepared.plan, &prepared.work, ledger, scope, now) {
        Ok(forecast) => forecast,
        Err(error) => return Check::error(id, error.words()),
    };
    let quotas: Vec<Value> = forecast
        .quotas
        .iter()
        .map(|quota| json!({ "what": quota.what.name(), "period": quota.what.period(), "wanted": quota.wanted, "used": quota.used, "limit": quota.most }))
        .collect();
    let check = match forecast.refusal() {
        Some(problem) => Check::problem(id, CheckState::Error, problem),
        None => Check::ok(id, say!("{forecast} (as far as the ledger knows)", forecast = forecast.words())),
    };
    check.fact("calls", forecast.calls).fact("mass_calls", forecast.mass).fact("quotas", quotas)
}

/// Calls of the plan that do more than read, by path, whether they are made or not.
fn paths(plan: &RenderedPlan) -> BTreeMap<String, u64> {
    let calls = plan.calls().filter(|(step, _)| step.spec.effect != Effect::Read);
    calls.map(|(_, call)| (call.path.to_owned(), 0)).collect()
}

/// How many of each a run makes at least: a send to people whom WeChat lists may take more.
fn wanted(prepared: &Prepared<'_>) -> BTreeMap<String, u64> {
    let mut wanted = paths(prepared.plan);
    for Work { step, left, .. } in prepared.work.iter().filter(|work| work.step.spec.effect != Effect::Read) {
        match left {
            Left::NotSelected | Left::Never | Left::Doubtful { .. } | Left::Done { .. } => {}
            Left::Calls { .. } => {
                for call in left.open_calls() {
                    *wanted.entry(call.frozen.path.clone()).or_default() += 1;
                }
            }
            Left::List(_) | Left::Cover { .. } => {
                for call in &step.calls {
                    *wanted.entry(call.path.to_owned()).or_default() += 1;
                }
            }
        }
    }
    wanted
}

/// How a token is come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenWay {
    /// From WeChat's stable endpoint, which gives the same one again: asking changes nothing.
    Stable,
    /// From the cache alone: the classic endpoint ends the token before with each new one.
    Cached,
    /// By way of a third-party platform: from the cache, or else from WeChat, and then into the cache.
    Component,
    /// Somebody else keeps it.
    Given,
    /// From the embedded sandbox.
    Sandbox,
}

/// The lines that need no token, in the words of why there is none: everything that WeChat would say.
pub(crate) fn silent(plan: &RenderedPlan, why: &Phrase) -> Vec<Check> {
    let mut checks =
        vec![Check::not_checked(CheckId::Token, why.clone()), Check::not_checked(CheckId::IpAllowList, why.clone())];
    checks.extend(without_token(plan, why));
    checks
}

/// Asks WeChat. The line about the clock comes from [`clock`], for every answer tells the time.
pub(crate) fn ask(
    plan: &RenderedPlan,
    wanted: Option<&BTreeMap<String, u64>>,
    way: TokenWay,
    client: &mut Client<'_>,
) -> Vec<Check> {
    let of_component = client.component_ready();
    let mut checks: Vec<Check> = of_component.iter().filter(|_| way == TokenWay::Component).map(component).collect();
    let (timeout, ready) = match &of_component {
        Some(Err(error)) => {
            checks.push(Check::not_checked(CheckId::Token, say!("it needs the token of the third-party platform")));
            (timeout(plan), Err(error.clone()))
        }
        _ => {
            let ready = client.ready();
            checks.push(token(way, &ready));
            (timeout(plan), ready)
        }
    };
    checks.push(match of_component {
        Some(of_component) if way == TokenWay::Component => component_allow_list(&of_component, &ready),
        _ => allow_list(way, &ready),
    });
    if ready.is_err() {
        checks.extend(without_token(plan, &say!("no token available")));
        return checks;
    }
    let mut ask = |method, path: &str, body: &Value| {
        let body = if method == Method::Get { String::new() } else { body.to_string() };
        client.call(method, path, Body::Json(&body), timeout)
    };
    checks.push(account(plan, &ask(Method::Post, QUOTA, &json!({ "cgi_path": send_by_openid::SPEC.path }))));
    for permission in permissions(plan) {
        let outcome = ask(permission.method, permission.path, &json!({}));
        checks.push(permission.judge(plan, &outcome));
    }
    checks.extend(only_by_sending(plan));
    for path in paths(plan).keys() {
        let outcome = ask(Method::Post, QUOTA, &json!({ "cgi_path": path }));
        checks.push(quota(path, wanted.map(|wanted| wanted.get(path).copied().unwrap_or(0)), &outcome));
    }
    checks
}

/// This machine's clock against the time that WeChat told with the answer that just came.
pub(crate) fn clock(now: Timestamp, told: Option<Timestamp>) -> Check {
    let id = CheckId::Clock;
    let Some(server) = told else {
        return Check::not_checked(id, say!("no answer contained the time"));
    };
    let skew = now.duration_since(server).as_secs();
    let most = i64::try_from(limits::CLOCK_SKEW.as_secs()).unwrap_or(i64::MAX);
    if skew.abs() <= most {
        let text = say!("in sync with the server (within {most} s)", most);
        return Check::ok(id, text).fact("skew_seconds", skew);
    }
    let seconds = Count(skew.unsigned_abs());
    let text = if skew > 0 {
        say!("this machine's clock is {seconds} s ahead of the server's", seconds)
    } else {
        say!("this machine's clock is {seconds} s behind the server's", seconds)
    };
    Check::warning(id, text)
        .help(say!(
            "set the clock (NTP): qunfa uses it to count the 24 hours during which it may repeat a send in doubt"
        ))
        .fact("skew_seconds", skew)
}

pub(super) const QUOTA: &str = "/cgi-bin/openapi/quota/get";

fn timeout(plan: &RenderedPlan) -> Duration {
    plan.steps.first().map_or(limits::TIMEOUT, |step| step.timeout)
}

fn without_token(plan: &RenderedPlan, why: &Phrase) -> Vec<Check> {
    let mut checks = vec![Check::not_checked(CheckId::Account, why.clone())];
    let permissions = permissions(plan).into_iter();
    checks
        .extend(permissions.map(|permission| Check::not_checked(CheckId::Permission, why.clone()).of(permission.what)));
    checks.extend(only_by_sending(plan));
    checks.extend(
        paths(plan).keys().map(|path| Check::not_checked(CheckId::Quota, why.clone()).of(Phrase::verbatim(path))),
    );
    checks
}

fn token(way: TokenWay, ready: &Result<(), TokenError>) -> Check {
    match ready {
        Ok(()) => {
            let words = match way {
                TokenWay::Stable => say!("fetched"),
                TokenWay::Component => say!("available by way of the third-party platform"),
                TokenWay::Cached => say!("using the cached token, because a new one would invalidate it"),
                TokenWay::Given => say!("read from the external token store"),
                TokenWay::Sandbox => say!("issued by the sandbox"),
            };
            Check::ok(CheckId::Token, words)
        }
        Err(error) => Check::problem(CheckId::Token, CheckState::Error, policy::token_advice(error)),
    }
}

/// The token of a third-party platform.
fn component(ready: &Result<Origin, TokenError>) -> Check {
    let check = match ready {
        Ok(Origin::Cached) => Check::ok(CheckId::Token, say!("cached")),
        Ok(Origin::Fetched) => Check::ok(CheckId::Token, say!("fetched")),
        Err(error) => Check::problem(CheckId::Token, CheckState::Error, policy::token_advice(error)),
    };
    check.of(say!("of the third-party platform"))
}

/// Of a third-party platform, whose allow-list counts for all of its accounts.
fn component_allow_list(of_component: &Result<Origin, TokenError>, ready: &Result<(), TokenError>) -> Check {
    match (of_component, ready) {
        (Err(error), _) => allow_list(TokenWay::Component, &Err(error.clone())),
        (Ok(Origin::Cached), Ok(())) => allow_list(TokenWay::Cached, &Ok(())),
        (Ok(_), ready) => allow_list(TokenWay::Component, ready),
    }
}

/// Only the token endpoints look at the caller's address.
fn allow_list(way: TokenWay, ready: &Result<(), TokenError>) -> Check {
    let id = CheckId::IpAllowList;
    match (way, ready) {
        (TokenWay::Cached, _) => Check::not_checked(id, say!("WeChat checks the address only when a token is fetched")),
        (TokenWay::Given, _) => Check::not_checked(id, say!("this machine does not fetch the token")),
        (TokenWay::Stable | TokenWay::Component | TokenWay::Sandbox, Ok(())) => {
            Check::ok(id, say!("this machine's address is allowed"))
        }
        (_, Err(TokenError::Refused { errcode: code @ (40164 | 45035 | 61004), errmsg, .. })) => {
            let check = match errcode::ip_in(errmsg) {
                Some(ip) => Check::error(
                    id,
                    say!("{ip}, this machine's address as seen by WeChat, is not on the allow-list", ip),
                )
                .help(match way {
                    TokenWay::Component => say!(
                        "add {ip} to the IP allow-list (白名单IP地址列表) of the third-party platform in WeChat's open platform (微信开放平台); it takes a few minutes to apply",
                        ip
                    ),
                    _ => say!(
                        "add {ip} to the IP allow-list (IP 白名单) in the developer console; it takes a few minutes to apply",
                        ip
                    ),
                })
                    .fact("ip", ip),
                None => Check::error(
                    id,
                    say!("this machine's address is not on the allow-list, and WeChat does not report it"),
                )
                .help(say!("add this machine's public address to the IP allow-list (IP 白名单)")),
            };
            Check { errcode: Some(*code), ..check }
        }
        (_, Err(TokenError::Refused { errcode: 89503, errmsg, .. })) => {
            let ip = errcode::ip_in(errmsg);
            let text = say!("WeChat has asked the account's administrator to approve this machine");
            let check = Check::error(id, text)
                .help(say!("ask the administrator to approve it, or set up an IP allow-list (IP 白名单)"));
            let check = Check { errcode: Some(89503), ..check };
            ip.map_or(check.clone(), |ip| check.fact("ip", ip))
        }
        (_, Err(_)) => Check::not_checked(id, say!("no token was issued, for a different reason")),
    }
}

/// The kind that the plan states against what WeChat lets the account do: `mass/send` is for service accounts.
fn account(plan: &RenderedPlan, outcome: &Outcome) -> Check {
    let id = CheckId::Account;
    let kind = plan.account.kind;
    let uses = plan.calls().any(|(step, _)| step.spec.only == Some(AccountKind::Service));
    let code = match outcome {
        Outcome::Reply(reply) => reply.errcode,
        outcome => return unreadable(id, outcome),
    };
    match (kind, code) {
        (AccountKind::Service, 0) => Check::ok(id, say!("service account: may send to lists of openids")),
        (AccountKind::Subscription, 76022) => {
            Check::ok(id, say!("subscription account: may not send to lists of openids"))
        }
        (AccountKind::Service, 76022) => {
            let state = if uses { CheckState::Error } else { CheckState::Warning };
            let text = say!("the plan says `kind: service`, but WeChat does not allow this account to send to openids");
            let check = Check::new(id, state, text)
                .help(say!("check the account type in the console: set `kind: subscription`, or get the service account verified (认证)"));
            Check { errcode: Some(76022), ..check }
        }
        (AccountKind::Subscription, 0) => Check::warning(
            id,
            say!("the plan says `kind: subscription`, but the account may send to openids, which only service accounts can"),
        )
        .help(say!("check the account type in the console: `kind` determines the quotas")),
        _ => unreadable(id, outcome),
    }
}

/// A group of calls that an account may be allowed, and a call of it that reads.
struct Permission {
    what: Phrase,
    method: Method,
    path: &'static str,
    /// A code that is an answer all the same.
    fine: i64,
}

/// The groups that the plan needs.
fn permissions(plan: &RenderedPlan) -> Vec<Permission> {
    let any = |wanted: fn(Effect) -> bool| plan.steps.iter().any(|step| step.may_run() && wanted(step.spec.effect));
    let mut permissions = Vec::new();
    if any(|effect| effect != Effect::Media) {
        // 45084: no speed was ever set.
        let path = "/cgi-bin/message/mass/speed/get";
        permissions.push(Permission { what: say!("to mass-send"), method: Method::Post, path, fine: 45084 });
    }
    if !tags(plan).is_empty() {
        permissions.push(Permission {
            what: say!("to read tags"),
            method: Method::Get,
            path: "/cgi-bin/tags/get",
            fine: 0,
        });
    }
    if any(|effect| effect == Effect::Media) {
        let path = "/cgi-bin/draft/count";
        permissions.push(Permission { what: say!("to create drafts"), method: Method::Get, path, fine: 0 });
    }
    permissions
}

impl Permission {
    fn judge(&self, plan: &RenderedPlan, outcome: &Outcome) -> Check {
        let id = CheckId::Permission;
        let check = match outcome {
            Outcome::Reply(reply) if reply.errcode == 0 || reply.errcode == self.fine => {
                if self.path.ends_with("/tags/get") { missing_tag(plan, reply) } else { Check::ok(id, say!("granted")) }
            }
            Outcome::Reply(reply) => {
                let problem = policy::advice(outcome);
                // Busy, or waiting for the administrator: it says nothing about the permission.
                let state = match errcode::disposition(reply.errcode) {
                    errcode::Disposition::Retry | errcode::Disposition::WaitQuota => CheckState::Warning,
                    _ => CheckState::Error,
                };
                Check::problem(id, state, problem)
            }
            outcome => unreadable(id, outcome),
        };
        check.fact("asked", self.path).of(self.what.clone())
    }
}

/// The tags that the plan names.
fn tags(plan: &RenderedPlan) -> Vec<&Tag> {
    let calls = plan.calls().filter_map(|(_, call)| match &call.target {
        Target::Tag(tag) | Target::Followers(Followers::Of(tag)) => Some(tag),
        Target::Everyone | Target::People(_) | Target::Followers(Followers::All) | Target::Person | Target::Nobody => {
            None
        }
    });
    calls.collect()
}

fn missing_tag(plan: &RenderedPlan, reply: &Reply) -> Check {
    let id = CheckId::Permission;
    let listed = reply.members.get("tags").and_then(Value::as_array).cloned().unwrap_or_default();
    let names: Vec<&str> = listed.iter().filter_map(|tag| tag["name"].as_str()).collect();
    for tag in tags(plan) {
        match tag {
            Tag::Name(name) if !names.contains(&name.as_str()) => {
                return Check::error(id, say!("there is no tag `{name}`", name)).help(nearest_or_all(name, &names));
            }
            Tag::Id(number) if !listed.iter().any(|tag| tag["id"].as_u64() == Some(*number)) => {
                let has: Vec<String> = listed
                    .iter()
                    .filter_map(|tag| Some(format!("{} ({})", tag["id"].as_u64()?, tag["name"].as_str()?)))
                    .collect();
                return Check::error(id, say!("there is no tag {number}", number = *number))
                    .help(say!("the account has {tags}", tags = one_of(&has)));
            }
            Tag::Name(_) | Tag::Id(_) => {}
        }
    }
    Check::ok(id, say!("granted; all tags in the plan exist"))
}

/// What no call tells but a send.
fn only_by_sending(plan: &RenderedPlan) -> [Check; 2] {
    let mass = || plan.steps.iter().filter(|step| step.may_run() && step.spec.effect == Effect::Mass);
    if mass().next().is_none() {
        let text = say!("the plan sends only previews");
        return [CheckId::Agreement, CheckId::Protection].map(|id| Check::ok(id, text.clone()));
    }
    let agreement = Check::not_checked(
        CheckId::Agreement,
        say!("WeChat reports a missing mass-send agreement only when something is sent (48003)"),
    )
    .help(say!("if the account has never sent a mass message, accept the agreement in the console: the mass-send page asks for it"));
    let to_all = plan.calls().any(|(_, call)| matches!(call.target, Target::Everyone));
    let protection = if to_all {
        Check::not_checked(CheckId::Protection, say!("if protection (API 群发保护) is on, each send to all waits for the administrator and fails after 30 minutes without an answer"))
            .help(say!("make sure the administrator is available, or check the console: 设置, 安全中心, 风险操作保护"))
    } else {
        Check::ok(CheckId::Protection, say!("not needed: the plan does not send to all"))
    };
    [agreement, protection]
}

/// What is left of one call today.
fn quota(path: &str, wanted: Option<u64>, outcome: &Outcome) -> Check {
    let id = CheckId::Quota;
    let reply = match outcome {
        Outcome::Reply(reply) => reply,
        outcome => return unreadable(id, outcome).of(Phrase::verbatim(path)),
    };
    let number = |name: &str| reply.members.get("quota").and_then(|quota| quota[name].as_u64());
    let check = match (reply.errcode, number("daily_limit"), number("used"), number("remain")) {
        (0, Some(limit), Some(used), Some(remain)) => {
            let (left, all) = (Count(remain), Count(limit));
            let left = say!("{left} of {all} calls left today", left, all);
            let check = match wanted {
                Some(wanted) if wanted > remain => {
                    Check::error(id, say!("{left}; this run needs {wanted}", left, wanted = Count(wanted)))
                        .help(say!("run it after midnight (Asia/Shanghai), or make fewer calls"))
                }
                Some(0) => Check::ok(id, say!("{left}; this run needs none", left)),
                Some(wanted) => Check::ok(id, say!("{left}; this run needs {wanted}", left, wanted = Count(wanted))),
                None => Check::ok(id, left),
            };
            check.fact("daily_limit", limit).fact("used", used).fact("remain", remain).fact("wanted", wanted)
        }
        (0, ..) => Check::warning(id, say!("WeChat's answer contains no quota")),
        (76021, ..) => {
            Check { errcode: Some(76021), ..Check::warning(id, say!("WeChat has no quota for this path (76021)")) }
        }
        (76022, ..) => {
            let check = Check::error(id, say!("the account may not make this call (76022)"))
                .help(say!("check the account's permissions in the console (接口权限)"));
            Check { errcode: Some(76022), ..check }
        }
        _ => unreadable(id, outcome),
    };
    check.of(Phrase::verbatim(path))
}

/// A question that was not answered: no error, for nothing that is sent needs the answer.
fn unreadable(id: CheckId, outcome: &Outcome) -> Check {
    let problem = policy::advice(outcome);
    let message = say!("WeChat did not answer: {why}", why = &problem.message);
    Check::problem(id, CheckState::Warning, Problem { message, ..problem })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_may_differ_by_a_minute() {
        let _heard = crate::locale::tests::heard("run-doctor-clocks_may_differ_by_a_minute");
        let at = |second| Timestamp::from_second(second).expect("in range");
        let check = |now, server| clock(at(now), Some(at(server)));
        assert_eq!(check(1060, 1000).state, CheckState::Ok);
        assert_eq!(check(940, 1000).state, CheckState::Ok);
        assert_eq!(check(1061, 1000).message, "this machine's clock is 61 s ahead of the server's");
        assert_eq!(check(939, 1000).message, "this machine's clock is 61 s behind the server's");
        assert_eq!(clock(at(0), None).state, CheckState::NotChecked);
    }
}
