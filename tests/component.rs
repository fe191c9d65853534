//! Accounts by way of a third-party platform: both tokens, their refreshing, and the refresh token that WeChat replaces.

use std::process::Child;

use serde_json::{Value, json};

use crate::support::{Answer, Case, Fake, Got, QUICK, Ran, TOKEN, in_each_language, send};

const PLATFORM: &str = "wxfedcba9876543210";
const ACCOUNT: &str = "wx0123456789abcdef";
const SECRET: &str = "pl4tform-s3cret-pl4tform-s3cret";
const TICKET: &str = "ticket@@@t1cket-t1cket-t1cket-t1cket";
const REFRESH: &str = "refreshtoken@@@r3fresh-r3fresh-r3fresh";
const NEXT: &str = "refreshtoken@@@n3xt-n3xt-n3xt-n3xt-n3xt";
const OWN: &str = "c0mponent-t0ken-c0mponent-t0ken";

const OWN_PATH: &str = "api_component_token";
const ACCOUNT_PATH: &str = "api_authorizer_token";

/// The plan of an account that a platform acts for.
fn plan_of(appid: &str) -> String {
    format!(
        "version: 1
name: test
account:
  kind: service
  appid: {appid}
  component:
    appid: {PLATFORM}
    secret: {{ env: COMPONENT_SECRET }}
    ticket: {{ file: ticket }}
    refresh_token: {{ env: REFRESH_TOKEN }}
{QUICK}steps:
{}",
        send("one")
    )
    .replace("resend_after: 1ms", "resend_after: 60s")
}

fn case() -> Case {
    let case = Case::new().no_env("WECHAT_SECRET").env("COMPONENT_SECRET", SECRET).env("REFRESH_TOKEN", REFRESH);
    case.file("ticket", format!("{TICKET}\n")).file("plan.yaml", plan_of(ACCOUNT))
}

fn own_token() -> Answer {
    Answer::Json(json!({ "component_access_token": OWN, "expires_in": 7200 }))
}

fn account_token(token: &str, refresh: &str) -> Answer {
    Answer::Json(json!({ "authorizer_access_token": token, "expires_in": 7200, "authorizer_refresh_token": refresh }))
}

fn refusal(code: i64, errmsg: &str) -> Answer {
    Answer::Json(json!({ "errcode": code, "errmsg": format!("{errmsg} rid: 65f3a1b2-0a1b2c3d-4e5f6a7b") }))
}

/// A WeChat in which the first calls to a path are answered as listed, and all others as usual.
fn wechat(told: Vec<(&'static str, Answer)>) -> Fake {
    let mut told = told;
    Fake::new(move |_, got| match told.iter().position(|(path, _)| got.path.ends_with(path)) {
        Some(at) => told.remove(at).1,
        None => usual(got),
    })
}

fn usual(got: &Got) -> Answer {
    if got.path.ends_with(OWN_PATH) {
        return own_token();
    }
    if got.path.ends_with(ACCOUNT_PATH) {
        let refresh = got.json()["authorizer_refresh_token"].as_str().unwrap_or_default().to_owned();
        return account_token(TOKEN, &refresh);
    }
    Answer::Usual
}

fn times(server: &Fake) -> (usize, usize) {
    (server.calls(OWN_PATH).len(), server.calls(ACCOUNT_PATH).len())
}

/// No secret and no token is in anything that was said or left behind; the file of tokens alone holds those two.
#[track_caller]
fn keeps_quiet(case: &Case, ran: &Ran) {
    let secrets = [SECRET, TICKET, REFRESH, NEXT, OWN, TOKEN];
    let holds = |bytes: &[u8], secret: &str| bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
    for secret in secrets {
        for said in [&ran.stdout, &ran.stderr] {
            assert!(!holds(said.as_bytes(), secret), "{secret} in {said}");
        }
        for (path, bytes) in case.left_behind().into_iter().filter(|(path, _)| !path.ends_with("ticket")) {
            assert!(!holds(&bytes, secret), "{secret} in {}", path.display());
        }
    }
    let tokens = case.path(".qunfa/state.db.tokens");
    if tokens.exists() {
        let bytes = std::fs::read(tokens).expect("readable");
        for secret in [SECRET, TICKET, REFRESH, NEXT] {
            assert!(!holds(&bytes, secret), "{secret} is in the file of tokens");
        }
    }
}

#[test]
fn both_tokens_are_fetched_once_and_kept() {
    let (case, server) = (case(), wechat(vec![]));
    let ran = case.against(&server, &["--report", "json=report.json", "--verbose"]).exits(0);
    keeps_quiet(&case, &ran);
    assert_eq!(times(&server), (1, 1));
    let (own, account) = (&server.calls(OWN_PATH)[0], &server.calls(ACCOUNT_PATH)[0]);
    let asked = json!({
        "component_appid": PLATFORM, "component_appsecret": SECRET, "component_verify_ticket": TICKET,
    });
    assert_eq!((own.method.as_str(), own.query.as_str(), own.json()), ("POST", "", asked));
    let asked = json!({
        "component_appid": PLATFORM, "authorizer_appid": ACCOUNT, "authorizer_refresh_token": REFRESH,
    });
    assert_eq!((account.query.clone(), account.json()), (format!("access_token={OWN}"), asked));
    assert_eq!(server.sends()[0].query, format!("access_token={TOKEN}"));
    // Another edition finds both; another account, the platform's.
    case.write("plan.yaml", plan_of(ACCOUNT) + &send("two"));
    case.against(&server, &[]).exits(0);
    assert_eq!(times(&server), (1, 1));
    case.write("other.yaml", plan_of("wx1111111111111111"));
    case.run(&["token", "refresh", "other.yaml", "--api-base", &server.base]).exits(0);
    assert_eq!(times(&server), (1, 2));
    assert!(!case.path(".qunfa/state.db.kept").exists(), "nothing was replaced");
}

#[test]
fn eight_processes_fetch_one_token_of_each_kind() {
    let (case, server) = (case(), wechat(vec![]));
    let args = ["token", "refresh", "plan.yaml", "--api-base", &server.base];
    let children: Vec<Child> = (0..8).map(|_| case.spawn(&args)).collect();
    for child in children {
        Case::finish(child).exits(0);
    }
    assert_eq!(times(&server), (1, 1));
    // Eight accounts of one platform: eight tokens, and still one of the platform.
    let plans: Vec<String> = (0..8).map(|number| format!("plan-{number}.yaml")).collect();
    for (number, plan) in plans.iter().enumerate() {
        case.write(plan, plan_of(&format!("wx222222222222222{number}")));
    }
    case.run(&["token", "clear"]).exits(0);
    let children: Vec<Child> =
        plans.iter().map(|plan| case.spawn(&["token", "refresh", plan, "--api-base", &server.base])).collect();
    for child in children {
        Case::finish(child).exits(0);
    }
    assert_eq!(times(&server), (2, 9));
}

#[test]
fn eight_accounts_whose_platforms_token_is_rejected_fetch_one_other() {
    let number = |query: &str| query.rsplit('-').next().and_then(|number| number.parse::<usize>().ok()).unwrap_or(0);
    let (mut given, mut rejects) = (0, false);
    let server = Fake::new(move |_, got| {
        if got.path.ends_with(OWN_PATH) {
            given += 1;
            let token = format!("{OWN}-{given}");
            return Answer::Json(json!({ "component_access_token": token, "expires_in": 7200 }));
        }
        // The first token works once.
        if got.path.ends_with(ACCOUNT_PATH) && number(&got.query) == 1 && std::mem::replace(&mut rejects, true) {
            return refusal(42006, "component_access_token expired");
        }
        usual(got)
    });
    let case = case();
    case.run(&["token", "refresh", "plan.yaml", "--api-base", &server.base]).exits(0);
    let plans: Vec<String> = (0..8).map(|number| format!("plan-{number}.yaml")).collect();
    for (number, plan) in plans.iter().enumerate() {
        case.write(plan, plan_of(&format!("wx222222222222222{number}")));
    }
    let children: Vec<Child> =
        plans.iter().map(|plan| case.spawn(&["token", "refresh", plan, "--api-base", &server.base])).collect();
    for child in children {
        Case::finish(child).exits(0);
    }
    let own = server.calls(OWN_PATH).len();
    assert_eq!(own, 2, "one for all, and one other for all");
    let accepted = server.calls(ACCOUNT_PATH).iter().filter(|got| number(&got.query) == 2).count();
    assert_eq!(accepted, 8);
}

#[test]
fn a_rejected_token_of_the_account_is_fetched_again_once() {
    for code in [40001, 40014, 42001, 42006] {
        let told = vec![
            (ACCOUNT_PATH, account_token("first-token-first-token-first", REFRESH)),
            ("sendall", refusal(code, "invalid credential")),
        ];
        let (case, server) = (case(), wechat(told));
        let ran = case.against(&server, &[]).exits(0);
        keeps_quiet(&case, &ran);
        assert_eq!(times(&server), (1, 2), "{code}");
        assert_eq!(server.sends().len(), 2, "{code}");
        server.delivered_once(1);
    }
}

#[test]
fn a_rejected_token_of_the_platform_is_fetched_again_once() {
    in_each_language(|| {
        for code in [40001, 40014, 42001, 42006] {
            let rejected = || (ACCOUNT_PATH, refusal(code, "component_access_token expired"));
            let other =
                Answer::Json(json!({ "component_access_token": "an0ther-t0ken-an0ther-t0ken", "expires_in": 7200 }));
            let (case, server) = (case(), wechat(vec![(OWN_PATH, own_token()), (OWN_PATH, other), rejected()]));
            case.against(&server, &[]).exits(0);
            assert_eq!(times(&server), (2, 2), "{code}");
            assert_eq!(server.calls(ACCOUNT_PATH)[1].query, "access_token=an0ther-t0ken-an0ther-t0ken");
            // Whatever is fetched is rejected: it is asked for twice, and not for ever.
            let told = vec![rejected(), rejected(), rejected()];
            let (case, server) = (self::case(), wechat(told));
            let ran = case.against(&server, &[]).exits(5).says("no access token by way of the third-party platform");
            keeps_quiet(&case, &ran);
            assert_eq!((times(&server), server.sends().len()), ((2, 2), 0), "{code}");
        }
    });
}

#[test]
fn what_wechat_refuses_is_said_with_what_to_do() {
    in_each_language(|| {
        let ip = "access clientip is not registered hint: [x1] requestIP: 203.0.113.9";
        for (path, code, errmsg, words) in [
            (
                OWN_PATH,
                61004,
                ip,
                "add 203.0.113.9 to the IP allow-list (白名单IP地址列表) of the third-party platform",
            ),
            (OWN_PATH, 61004, "access clientip is not registered", "add this machine's public address"),
            (OWN_PATH, 40001, "invalid credential", "compare what `component.secret` points to"),
            (OWN_PATH, 40125, "invalid appsecret", "compare what `component.secret` points to"),
            (OWN_PATH, 40013, "invalid appid", "write the AppID of the third-party platform"),
            (OWN_PATH, 61005, "component ticket is expired", "`component.ticket`"),
            (OWN_PATH, 61006, "component ticket is invalid", "`api_start_push_ticket`"),
            (OWN_PATH, 61011, "invalid component", "Check `component.appid`"),
            (ACCOUNT_PATH, 40013, "invalid appid", "`appid` must be the account's"),
            (
                ACCOUNT_PATH,
                42007,
                "access_token and refresh_token exception",
                "authorise the third-party platform again",
            ),
            (ACCOUNT_PATH, 61003, "component is not authorized", "authorise the third-party platform again"),
            (ACCOUNT_PATH, 61004, ip, "add 203.0.113.9"),
            (ACCOUNT_PATH, 61007, "api is unauthorized to component", "with this permission set"),
            (ACCOUNT_PATH, 61016, "category should be confirmed", "to confirm the permission set"),
            (ACCOUNT_PATH, 61023, "refresh_token is invalid", "`api_get_authorizer_list`"),
            (ACCOUNT_PATH, 61024, "must use api(api_component_token)", "the platform's in `component.appid`"),
        ] {
            let (case, server) = (case(), wechat(vec![(path, refusal(code, errmsg))]));
            let ran = case.against(&server, &[]).exits(5).says(&code.to_string()).says(words);
            assert!(server.sends().is_empty(), "{code}");
            keeps_quiet(&case, &ran);
        }
        // Said of a call: the platform lacks a permission, or its address is not on the list.
        for code in [61004, 61007] {
            let (case, server) = (case(), wechat(vec![("sendall", refusal(code, ip))]));
            case.against(&server, &[]).exits(5).says(&code.to_string());
            assert_eq!(server.sends().len(), 1);
        }
    });
}

#[test]
fn what_a_server_repeats_is_taken_out() {
    let echo = |got: &Got| refusal(61023, &format!("not {} with {}", got.body, got.query));
    for path in [OWN_PATH, ACCOUNT_PATH] {
        let server = Fake::new(move |_, got| if got.path.ends_with(path) { echo(got) } else { usual(got) });
        let case = case();
        let ran = case.against(&server, &["--format", "json", "--report", "html=report.html"]).exits(5).says("***");
        keeps_quiet(&case, &ran);
    }
    // Nothing is sent that holds one of them.
    for secret in [SECRET, TICKET, REFRESH] {
        let case = case().file("plan.yaml", plan_of(ACCOUNT).replace("你好", &format!("密钥 {secret}")));
        let server = wechat(vec![]);
        case.against(&server, &[]).exits(9).says("contains a secret");
        assert!(server.got().is_empty());
    }
    for token in [OWN, NEXT] {
        let told = vec![(ACCOUNT_PATH, account_token(TOKEN, NEXT))];
        let case = case().file("plan.yaml", plan_of(ACCOUNT).replace("你好", &format!("令牌 {token}")));
        let server = wechat(told);
        case.against(&server, &[]).exits(5).says("contains a secret");
        assert!(server.sends().is_empty());
    }
}

#[test]
fn a_replaced_refresh_token_is_kept_sealed() {
    in_each_language(|| {
        let (case, server) = (case(), wechat(vec![(ACCOUNT_PATH, account_token(TOKEN, NEXT))]));
        let words = "WeChat replaced the refresh token of wx0123456789abcdef";
        let ran = case.against(&server, &[]).exits(0).says(words);
        keeps_quiet(&case, &ran);
        let given =
            |server: &Fake, at: usize| server.calls(ACCOUNT_PATH)[at].json()["authorizer_refresh_token"].clone();
        let refresh = |case: &Case| {
            case.run(&["token", "clear", "plan.yaml", "--api-base", &server.base]).exits(0);
            let ran = case.run(&["token", "refresh", "plan.yaml", "--api-base", &server.base]).exits(0);
            keeps_quiet(case, &ran);
            ran.stderr
        };
        // Clearing tokens does not lose it, and it is said once.
        assert_eq!((refresh(&case), given(&server, 1)), (String::new(), json!(NEXT)));
        let kept = case.read(".qunfa/state.db.kept");
        case.run(&["token", "clear"]).exits(0);
        assert_eq!(case.read(".qunfa/state.db.kept"), kept);
        // Another secret of the platform: it does not open, and the one of the account is used.
        let case = case.env("COMPONENT_SECRET", "an0ther-s3cret-an0ther-s3cret");
        let said = refresh(&case);
        assert!(!said.is_empty());
        crate::support::hear(&said);
        assert_eq!(given(&server, 2), json!(REFRESH));
        let case = case.env("COMPONENT_SECRET", SECRET);
        assert_eq!((refresh(&case), given(&server, 3)), (String::new(), json!(NEXT)));
        // The account was authorised again: what it names now counts.
        let case = case.env("REFRESH_TOKEN", "refreshtoken@@@a-new-authorisation");
        assert_eq!((refresh(&case), given(&server, 4)), (String::new(), json!("refreshtoken@@@a-new-authorisation")));
        let case = case.env("REFRESH_TOKEN", REFRESH);
        assert_eq!((refresh(&case), given(&server, 5)), (String::new(), json!(NEXT)));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(case.path(".qunfa/state.db.kept")).expect("is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        // It is not lost to a file that cannot be read.
        case.write(".qunfa/state.db.kept", "{");
        case.run(&["token", "clear", "plan.yaml", "--api-base", &server.base]).exits(0);
        case.run(&["token", "refresh", "plan.yaml", "--api-base", &server.base]).exits(5).says("it is damaged");
        assert_eq!(case.read(".qunfa/state.db.kept"), "{");
    });
}

#[test]
fn a_kept_refresh_token_that_is_no_longer_valid_gives_way_to_the_accounts() {
    let told =
        vec![(ACCOUNT_PATH, account_token(TOKEN, NEXT)), (ACCOUNT_PATH, refusal(61023, "refresh_token is invalid"))];
    let (case, server) = (case(), wechat(told));
    let refresh = || {
        case.run(&["token", "refresh", "plan.yaml", "--api-base", &server.base]).exits(0);
        case.run(&["token", "clear", "plan.yaml", "--api-base", &server.base]).exits(0);
    };
    (0..3).for_each(|_| refresh());
    let given: Vec<Value> =
        server.calls(ACCOUNT_PATH).iter().map(|got| got.json()["authorizer_refresh_token"].clone()).collect();
    assert_eq!(given, [REFRESH, NEXT, REFRESH, REFRESH]);
}

#[test]
fn a_process_that_is_killed_while_it_asks_holds_nobody_up() {
    for path in [OWN_PATH, ACCOUNT_PATH] {
        let (case, server) = (case(), wechat(vec![(path, Answer::Stall)]));
        let calls = if path == OWN_PATH { 1 } else { 2 };
        let mut child = case.spawn(&["run", "plan.yaml", "--yes", "--api-base", &server.base]);
        server.wait_for(calls);
        child.kill().expect("it runs");
        child.wait().expect("ends");
        case.against(&server, &[]).exits(0);
        server.delivered_once(1);
        assert_eq!(times(&server), if path == OWN_PATH { (2, 1) } else { (1, 2) });
    }
}

#[test]
fn a_process_that_is_killed_leaves_no_half_of_what_it_kept() {
    // Each answer has another refresh token, and takes every one that was given before.
    let mut answers = 0;
    let server = Fake::new(move |_, got| match got.path.ends_with(ACCOUNT_PATH) {
        true => {
            answers += 1;
            account_token(TOKEN, &format!("{NEXT}-{answers}"))
        }
        false => usual(got),
    });
    let case = case();
    let args = ["token", "refresh", "plan.yaml", "--api-base", &server.base];
    for round in 0..20 {
        case.run(&["token", "clear"]).exits(0);
        let before = server.got().len();
        let mut child = case.spawn(&args);
        server.wait_for(before + 1 + round % 2);
        // From here on it is anywhere between the answer and its end.
        (0..round * 50).for_each(|_| std::thread::yield_now());
        let _ = child.kill();
        child.wait().expect("ends");
        if case.path(".qunfa/state.db.kept").exists() {
            let kept: Value = serde_json::from_str(&case.read(".qunfa/state.db.kept")).expect("whole");
            assert!(kept.as_object().is_some_and(|kept| {
                kept.values().all(|text| text.as_str().is_some_and(|text| text.starts_with("1 ")))
            }));
        }
        let ran = case.run(&args).exits(0);
        keeps_quiet(&case, &ran);
    }
    // What was given last is what is used.
    case.run(&["token", "clear"]).exits(0);
    let given = server.calls(ACCOUNT_PATH).len();
    case.run(&args).exits(0);
    assert_eq!(server.calls(ACCOUNT_PATH)[given].json()["authorizer_refresh_token"], format!("{NEXT}-{given}"));
}

#[cfg(unix)]
#[test]
fn what_is_kept_is_not_followed_through_a_link() {
    let (case, server) = (case(), wechat(vec![(ACCOUNT_PATH, account_token(TOKEN, NEXT))]));
    case.write("elsewhere", "{}");
    std::fs::create_dir_all(case.path(".qunfa")).expect("makes a folder");
    std::os::unix::fs::symlink("../elsewhere", case.path(".qunfa/state.db.kept")).expect("a link");
    case.run(&["token", "refresh", "plan.yaml", "--api-base", &server.base]).exits(5).says("cannot read");
    assert_eq!(case.read("elsewhere"), "{}");
    assert_eq!(times(&server).1, 0, "what could not be kept is not asked for");
}

#[test]
fn a_token_that_cannot_be_saved_is_no_token() {
    in_each_language(|| {
        let case = case();
        let folder = case.path(".qunfa/state.db.tokens");
        let server = Fake::new(move |_, got| {
            // Somebody puts a folder in its place, while WeChat is asked for the token.
            if got.path.ends_with(OWN_PATH) {
                std::fs::create_dir(&folder).expect("makes a folder");
            }
            usual(got)
        });
        case.against(&server, &[]).exits(5).says("cannot save the token in");
        assert!(server.sends().is_empty());
    });
}

/// `qunfa sandbox`, which knows one platform; killed with the value.
struct Sandbox {
    child: Child,
    base: String,
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn sandbox(case: &Case, faults: &[&str]) -> Sandbox {
    use std::io::{BufRead as _, BufReader, Read as _};
    let mut args = vec!["sandbox", "--listen", "127.0.0.1:0", "--appid", ACCOUNT, "--format", "json"];
    args.extend(["--component-appid", PLATFORM, "--component-secret", SECRET]);
    args.extend(["--component-ticket", TICKET, "--refresh-token", REFRESH]);
    faults.iter().for_each(|fault| args.extend(["--fault", fault]));
    let mut child = case.spawn(&args);
    let mut reader = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    reader.read_line(&mut line).expect("it says where it listens");
    // Whoever does not read on stops the server.
    std::thread::spawn(move || reader.read_to_end(&mut Vec::new()));
    let listening: Value = serde_json::from_str(&line).expect("a document");
    Sandbox { child, base: listening["url"].as_str().expect("an address").to_owned() }
}

#[test]
fn the_sandbox_plays_a_platform_strictly() {
    in_each_language(|| {
        let case = case();
        let server = sandbox(&case, &["rotate", "42006@api_authorizer_token#2", "42001@sendall"]);
        let run = |case: &Case| case.run(&["run", "plan.yaml", "--yes", "--api-base", &server.base]);
        // The first token comes with another refresh token; the send is refused with 42001, and the platform's token then with 42006.
        let ran = run(&case).exits(0).says("WeChat replaced the refresh token");
        keeps_quiet(&case, &ran);
        case.run(&["token", "clear"]).exits(0);
        case.run(&["token", "refresh", "plan.yaml", "--api-base", &server.base]).exits(0);
        // Without the store the account has to be authorised again.
        let other = self::case();
        run(&other).exits(5).says("61023");
        run(&self::case().env("COMPONENT_SECRET", "wrong-wrong-wrong")).exits(5).says("40125");
        let other = self::case();
        other.write("ticket", "ticket@@@old");
        run(&other).exits(5).says("61006");
        let other = self::case();
        other.write("plan.yaml", plan_of("wx0123456789abcdee"));
        run(&other).exits(5).says("61003");
        let refused = sandbox(&case, &["61004@api_component_token#1", "61023@api_authorizer_token#1"]);
        let run = |case: &Case| case.run(&["run", "plan.yaml", "--yes", "--api-base", &refused.base]);
        let other = self::case();
        run(&other).exits(5).says("61004");
        run(&other).exits(5).says("61023");
        run(&other).exits(0);
    });
}

#[test]
fn a_rehearsal_needs_no_secret_of_a_platform() {
    let case =
        Case::new().no_env("WECHAT_SECRET").file("plan.yaml", plan_of(ACCOUNT).replace(PLATFORM, "{ env: NONE }"));
    let ran = case.run(&["run", "plan.yaml", "--sandbox", "--format", "json"]).exits(0);
    assert_eq!(ran.json()["token_fetches"], 1);
    case.run(&["run", "plan.yaml", "--sandbox", "--fault", "rotate"])
        .exits(0)
        .says("WeChat replaced the refresh token");
    case.run(&["validate", "plan.yaml"]).exits(0);
}

#[test]
fn a_secret_of_a_platform_that_is_missing_is_said_before_anything_is_sent() {
    in_each_language(|| {
        let server = wechat(vec![]);
        for (case, words) in [
            (case().no_env("COMPONENT_SECRET"), "`COMPONENT_SECRET` is not set"),
            (case().no_env("REFRESH_TOKEN"), "`REFRESH_TOKEN` is not set"),
            (case().file("ticket", "\n"), "the secret file `ticket` is empty"),
            (case().file("plan.yaml", plan_of(ACCOUNT).replace(PLATFORM, "{ env: NONE }")), "`NONE` is not set"),
            (
                case().env("ID", "wx1").file("plan.yaml", plan_of(ACCOUNT).replace(PLATFORM, "{ env: ID }")),
                "`ID` does not contain an AppID",
            ),
        ] {
            case.against(&server, &[]).exits(4).says(words);
            let doctor = case.run(&["doctor", "plan.yaml", "--api-base", &server.base]).exits(4).says(words);
            keeps_quiet(&case, &doctor);
        }
        assert!(server.got().is_empty());
    });
}

#[test]
fn doctor_and_token_show_each_layer() {
    in_each_language(|| {
        let (case, server) = (case(), wechat(vec![]));
        let ran = case.run(&["doctor", "plan.yaml", "--api-base", &server.base]);
        keeps_quiet(&case, &ran);
        let ran = ran.says("token of the third-party platform: fetched");
        for key in ["secret", "ticket", "refresh_token"] {
            assert!(ran.stdout.contains(&format!("component.{key}")), "{}", ran.stdout);
        }
        ran.prints("doctor-component");
        case.run(&["doctor", "plan.yaml", "--api-base", &server.base])
            .says("token of the third-party platform: cached");
        assert_eq!(times(&server), (1, 1), "doctor keeps what it fetched, and asks for nothing twice");
        let show = |case: &Case, format: &str| {
            case.run(&["token", "show", "plan.yaml", "--api-base", &server.base, "--format", format]).exits(0)
        };
        let shown = show(&case, "human").says("third-party platform wxfedcba9876543210: cached token, valid until");
        keeps_quiet(&case, &shown);
        let document = show(&case, "json").json();
        assert_eq!(document["component"]["appid"], PLATFORM);
        assert_eq!((&document["cached"], &document["component"]["good"]), (&json!(true), &json!(true)));
        case.run(&["token", "clear", "plan.yaml", "--api-base", &server.base]).exits(0);
        show(&case, "human").says("third-party platform wxfedcba9876543210: no cached token");
        // A replaced refresh token is not lost to doctor, which only asks.
        let replaced = wechat(vec![(ACCOUNT_PATH, account_token(TOKEN, NEXT))]);
        case.run(&["doctor", "plan.yaml", "--api-base", &replaced.base]).says("WeChat replaced the refresh token");
        assert!(case.path(".qunfa/state.db.kept").exists());
        for (path, code) in [(OWN_PATH, 61004), (OWN_PATH, 61005), (ACCOUNT_PATH, 61023), (ACCOUNT_PATH, 61004)] {
            let errmsg = "access clientip is not registered requestIP: 203.0.113.9";
            let (case, refusing) =
                (self::case(), wechat(vec![(path, refusal(code, errmsg)), (path, refusal(code, errmsg))]));
            let ran = case.run(&["doctor", "plan.yaml", "--api-base", &refusing.base]).exits(5).says(&code.to_string());
            keeps_quiet(&case, &ran);
            assert!(path == ACCOUNT_PATH || times(&refusing) == (1, 0), "{:?}", times(&refusing));
            ran.prints(&format!("doctor-component-{path}-{code}"));
        }
    });
}
