//! `qunfa doctor`: each line in each state, and nothing sent or changed.

use std::{fs::File, path::Path};

use serde_json::{Value, json};

use crate::{
    formats::holds,
    support::{self, Answer, Case, Fake, SECRET, TOKEN, hear, in_both, in_each_language, send, spoken},
};

/// A plan without warnings.
pub(crate) fn plan(steps: &str) -> String {
    support::plan(steps).replace("resend_after: 1ms", "resend_after: 60s")
}

/// A WeChat that answers calls whose path ends so, or quotas of such a path, as listed; else as a healthy account does.
fn wechat(told: &[(&'static str, Answer)]) -> Fake {
    let told = told.to_vec();
    Fake::new(move |_, got| {
        let asked = got.json()["cgi_path"].as_str().unwrap_or_default().to_owned();
        let hit = told.iter().find(|(path, _)| {
            got.path.ends_with(path) || path.strip_prefix("quota of ").is_some_and(|path| asked.ends_with(path))
        });
        match hit {
            Some((_, answer)) => answer.clone(),
            None if asked.is_empty() => Answer::Usual,
            None => left(98),
        }
    })
}

fn left(remain: u64) -> Answer {
    Answer::Json(
        json!({ "errcode": 0, "errmsg": "ok", "quota": { "daily_limit": 100, "used": 100 - remain, "remain": remain } }),
    )
}

fn refused(code: i64, errmsg: &str) -> Answer {
    Answer::Json(json!({ "errcode": code, "errmsg": errmsg }))
}

fn case() -> Case {
    Case::new().file("plan.yaml", plan(&send("one")))
}

/// The document, which always holds to its schema and never ends in a send or a secret.
#[track_caller]
fn doctor(case: &Case, server: &Fake, code: i32) -> Value {
    let ran = case.run(&["doctor", "plan.yaml", "--api-base", &server.base, "--format", "json"]).exits(code);
    let document = ran.json();
    holds("doctor", &document);
    assert_eq!(document["exit_code"], code);
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert!(!said.contains(SECRET) && !said.contains(TOKEN), "{said}");
    for got in server.got() {
        let reads = ["token", "/quota/get", "/speed/get", "/tags/get", "/draft/count"];
        assert!(reads.iter().any(|path| got.path.ends_with(path)), "{got:?}");
        assert!(!got.path.ends_with("stable_token") || got.json()["force_refresh"] == false, "{got:?}");
    }
    document
}

fn checks(document: &Value) -> Vec<Value> {
    document["checks"].as_array().expect("a list").clone()
}

#[track_caller]
fn check(document: &Value, id: &str) -> Value {
    checks(document).into_iter().find(|check| check["id"] == id).unwrap_or_else(|| panic!("{id} in {document:#}"))
}

/// What is looked for in words is of English; in Chinese all of it is Chinese.
#[track_caller]
fn is(check: &Value, state: &str, words: &str) {
    assert_eq!(check["state"], state, "{check:#}");
    let said = format!("{} {}", check["message"], check["help"]);
    if spoken() == "en" {
        assert!(said.contains(words), "`{words}` in {check:#}");
        return;
    }
    let texts = std::iter::once(&check["message"]).chain(check["help"].as_array().expect("a list"));
    for text in texts.map(|text| text.as_str().expect("a text")).filter(|text| !text.starts_with("chmod ")) {
        assert!(text.chars().any(|c| ('\u{4e00}'..'\u{9fff}').contains(&c)), "`{text}` is not Chinese");
        hear(text);
    }
}

/// Words in the language that is spoken.
fn in_words(english: &'static str, chinese: &'static str) -> &'static str {
    if spoken() == "en" { english } else { chinese }
}

/// What differs from one machine or hour to another.
fn settled(text: &str, server: &Fake) -> String {
    let text = text.replace(&server.base, "http://127.0.0.1:PORT");
    let mut out = String::new();
    for line in text.lines() {
        let fact = line.trim_start();
        let line =
            if fact.starts_with("\"free_bytes\"") { "        \"free_bytes\": N".to_owned() } else { line.to_owned() };
        out.push_str(&line);
        out.push('\n');
    }
    out
}

#[test]
fn all_is_well() {
    in_both(|language, suffix| {
        let (case, server) = (case().speaks(language), wechat(&[]));
        let document = doctor(&case, &server, 0);
        assert_eq!(document["verdict"], "ok");
        assert!(!case.path(".qunfa").exists(), "it leaves nothing behind");
        let args = ["doctor", "plan.yaml", "--api-base", &server.base, "--state", "sqlite:state/state.db"];
        let human = case.run(&args).exits(0).stdout;
        insta::assert_snapshot!(format!("doctor-ready{suffix}"), settled(&human, &server));
        let json = case.run(&[&args[..], &["--format", "json"]].concat()).exits(0).stdout;
        insta::assert_snapshot!(format!("doctor-ready-json{suffix}"), settled(&json, &server));
    });
}

#[test]
fn every_line_is_there_whatever_fails() {
    let ids = |document: &Value| -> Vec<Value> {
        checks(document).into_iter().map(|check| json!([check["id"], check["subject"]])).collect()
    };
    let steps = send("one").replace("{ tag_id: 2 }", "all") + &send("two").replace("{ tag_id: 2 }", "{ tag: VIP }");
    let well = Case::new().file("plan.yaml", plan(&steps));
    let all = ids(&doctor(&well, &wechat(&[]), 0));
    // The secret is missing, the store is no database: the lines say what follows from it.
    let ill =
        Case::new().no_env("WECHAT_SECRET").file("plan.yaml", plan(&steps)).file(".qunfa/state.db", "no database");
    let server = wechat(&[]);
    let document = doctor(&ill, &server, 4);
    assert_eq!(ids(&document), all);
    assert!(server.got().is_empty());
    let args = ["doctor", "plan.yaml", "--api-base", &server.base, "--state", "sqlite:.qunfa/state.db"];
    insta::assert_snapshot!("doctor-not-ready", settled(&ill.run(&args).exits(4).stdout, &server));
    let ill = ill.speaks("zh");
    insta::assert_snapshot!("doctor-not-ready@zh", settled(&ill.run(&args).exits(4).stdout, &server));
    let unreachable = wechat(&[("token", Answer::Close)]);
    let document = doctor(&well, &unreachable, 5);
    assert_eq!(ids(&document), all);
    is(&check(&document, "token"), "error", "cannot fetch an access token");
    is(&check(&document, "clock"), "not_checked", "no answer contained the time");
    is(&check(&document, "permission"), "not_checked", "no token available");
    is(&check(&document, "quota"), "not_checked", "no token available");
    is(&check(&document, "forecast"), "ok", "2 mass calls");
}

#[test]
fn secrets_say_what_to_set() {
    in_each_language(|| {
        let server = wechat(&[]);
        let missing = case().no_env("WECHAT_SECRET");
        is(&check(&doctor(&missing, &server, 4), "secret"), "error", "set the environment variable `WECHAT_SECRET`");
        let file = case();
        file.write("plan.yaml", plan(&send("one")).replace("{ env: WECHAT_SECRET }", "{ file: secret.txt }"));
        is(&check(&doctor(&file, &server, 4), "secret"), "error", "write the secret to `secret.txt`");
        file.write("secret.txt", SECRET);
        is(&check(&doctor(&file, &server, 0), "secret"), "ok", "found in the secret file `secret.txt`");
        file.write("plan.yaml", plan(&send("one")).replace("{ env: WECHAT_SECRET }", "{ command: [\"false\"] }"));
        is(&check(&doctor(&file, &server, 4), "secret"), "error", "run the plan's command by hand");
        let given = case().env("KEPT", TOKEN);
        given.write(
            "plan.yaml",
            plan(&send("one")).replace("secret: { env: WECHAT_SECRET }", "access_token: { env: KEPT }"),
        );
        let document = doctor(&given, &server, 0);
        is(&check(&document, "token"), "ok", "external token store");
        is(&check(&document, "ip_allow_list"), "not_checked", "this machine does not fetch the token");
    });
}

#[test]
fn the_address_that_wechat_saw_is_named() {
    in_each_language(|| {
        let errmsg = "invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist rid: 65f3a1b2-0c4d5e6f-7a8b9c0d";
        for code in [40164, 61004] {
            let document = doctor(&case(), &wechat(&[("token", refused(code, errmsg))]), 5);
            let line = check(&document, "ip_allow_list");
            is(&line, "error", "203.0.113.7, this machine's address");
            assert_eq!((&line["facts"]["ip"], &line["errcode"]), (&json!("203.0.113.7"), &json!(code)));
            is(&check(&document, "token"), "error", &code.to_string());
        }
        let hidden = doctor(&case(), &wechat(&[("token", refused(61004, "access clientip is not registered"))]), 5);
        is(&check(&hidden, "ip_allow_list"), "error", "does not report it");
        let asked = doctor(&case(), &wechat(&[("token", refused(89503, "203.0.113.7 needs to be confirmed"))]), 5);
        is(&check(&asked, "ip_allow_list"), "error", "administrator");
        let wrong = doctor(&case(), &wechat(&[("token", refused(40125, "invalid appsecret"))]), 5);
        is(&check(&wrong, "token"), "error", "40125");
        is(&check(&wrong, "ip_allow_list"), "not_checked", "for a different reason");
    });
}

#[test]
fn a_classic_token_is_never_fetched() {
    in_each_language(|| {
        let text = plan(&send("one")).replace("secret:", "token: classic, secret:");
        let (case, server) = (Case::new().file("plan.yaml", text), wechat(&[]));
        let document = doctor(&case, &server, 5);
        is(&check(&document, "token"), "error", "qunfa token refresh plan.yaml --api-base");
        assert!(server.got().is_empty(), "a new one would end the one before");
        case.run(&["token", "refresh", "plan.yaml", "--api-base", &server.base]).exits(0);
        let document = doctor(&case, &server, 0);
        is(&check(&document, "token"), "ok", "the cached token");
        is(&check(&document, "ip_allow_list"), "not_checked", "only when a token is fetched");
        assert_eq!(server.tokens(), 1);
        // One that WeChat rejects is not replaced either.
        let rejects =
            wechat(&[("/quota/get", refused(40001, "invalid credential")), ("/speed/get", refused(40001, "invalid"))]);
        case.run(&["token", "refresh", "plan.yaml", "--api-base", &rejects.base]).exits(0);
        let document = doctor(&case, &rejects, 0);
        is(&check(&document, "permission"), "warning", "WeChat rejects the cached token");
        assert_eq!(rejects.tokens(), 1);
    });
}

#[test]
fn clocks_are_compared() {
    in_each_language(|| {
        let dated = |date: String| {
            wechat(&[("speed/get", Answer::Usual), ("quota/get", Answer::Dated(date, json!({ "errcode": 0 })))])
        };
        let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
        let now = printer.timestamp_to_rfc9110_string(&jiff::Timestamp::now()).expect("a date");
        is(&check(&doctor(&case(), &dated(now), 0), "clock"), "ok", "within 60 s");
        let document = doctor(&case(), &dated("Thu, 01 Jan 2026 00:00:00 GMT".into()), 0);
        is(&check(&document, "clock"), "warning", "ahead of the server's");
        assert!(check(&document, "clock")["facts"]["skew_seconds"].as_i64() > Some(60));
        let document = doctor(&case(), &dated("Fri, 01 Jan 2100 00:00:00 GMT".into()), 0);
        is(&check(&document, "clock"), "warning", "behind the server's");
    });
}

#[test]
fn permissions_are_asked_with_calls_that_read() {
    in_each_language(|| {
        let document = doctor(&case(), &wechat(&[("speed/get", refused(48001, "api unauthorized"))]), 5);
        let line = check(&document, "permission");
        is(&line, "error", "48001");
        assert_eq!((&line["subject"], &line["errcode"]), (&json!(in_words("to mass-send", "群发")), &json!(48001)));
        let never_set = doctor(&case(), &wechat(&[("speed/get", refused(45084, "No speed message"))]), 0);
        is(&check(&never_set, "permission"), "ok", "");
        for busy in
            [refused(-1, "system error"), refused(89504, "waiting"), Answer::Raw(502, "text/html", "<html>".into())]
        {
            let document = doctor(&case(), &wechat(&[("speed/get", busy)]), 0);
            assert_eq!(check(&document, "permission")["state"], "warning");
            assert_eq!(document["verdict"], "warning");
        }
        let by_name = Case::new().file("plan.yaml", plan(&send("one").replace("{ tag_id: 2 }", "{ tag: VIPs }")));
        let tags = |document: &Value| {
            checks(document)
                .into_iter()
                .find(|check| check["subject"] == in_words("to read tags", "读取标签"))
                .expect("a line")
        };
        is(&tags(&doctor(&by_name, &wechat(&[]), 5)), "error", "did you mean `VIP`?");
        let by_number = Case::new().file("plan.yaml", plan(&send("one").replace("tag_id: 2", "tag_id: 9")));
        is(&tags(&doctor(&by_number, &wechat(&[]), 5)), "error", "`134 (VIP)`");
        is(&tags(&doctor(&case(), &wechat(&[]), 0)), "ok", "all tags in the plan exist");
        let none = doctor(&case(), &wechat(&[("tags/get", refused(48001, "api unauthorized"))]), 5);
        is(&tags(&none), "error", "48001");
    });
}

#[test]
fn drafts_have_a_permission_and_quotas_of_their_own() {
    in_each_language(|| {
        let steps = "  - { id: picture, action: upload_image, file: a.png }\n";
        let case = || Case::new().file("plan.yaml", plan(steps)).file("a.png", PNG);
        let document = doctor(&case(), &wechat(&[]), 0);
        assert_eq!(check(&document, "permission")["subject"], in_words("to create drafts", "新建草稿"));
        assert_eq!(check(&document, "quota")["subject"], "/cgi-bin/media/uploadimg");
        is(&check(&document, "quota"), "ok", "this run needs 1");
        let document = doctor(&case(), &wechat(&[("draft/count", refused(48001, "api unauthorized"))]), 5);
        is(&check(&document, "permission"), "error", "48001");
    });
}

/// One pixel.
const PNG: &[u8] = b"\x89PNG\x0d\x0a\x1a\x0a\x00\x00\x00\x0dIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89\x00\x00\x00\x0dIDATx\xdacd\xf8\xcfP\x0f\x00\x03\x86\x01\x80Z4}k\x00\x00\x00\x00IEND\xaeB`\x82";

#[test]
fn the_kind_of_the_account_is_compared() {
    in_each_language(|| {
        let no = || wechat(&[("quota of mass/send", refused(76022, "could not use this cgi_path,no permission"))]);
        is(&check(&doctor(&case(), &no(), 0), "account"), "warning", "kind: subscription");
        let to_openids = send("one")
            .replace("send_by_tag", "send_by_openid")
            .replace("{ tag_id: 2 }", "{ openids: [oAAAAAAAAAAAA, oBBBBBBBBBBBB] }");
        let openids = Case::new().file("plan.yaml", plan(&to_openids));
        is(&check(&doctor(&openids, &no(), 5), "account"), "error", "does not allow this account to send to openids");
        let subscription =
            Case::new().file("plan.yaml", plan(&send("one")).replace("kind: service", "kind: subscription"));
        is(&check(&doctor(&subscription, &no(), 0), "account"), "ok", "may not send to lists of openids");
        is(&check(&doctor(&subscription, &wechat(&[]), 0), "account"), "warning", "`kind` determines the quotas");
    });
}

#[test]
fn quotas_are_held_against_what_is_wanted() {
    in_each_language(|| {
        let quota = |document: &Value| {
            checks(document)
                .into_iter()
                .find(|check| check["subject"] == "/cgi-bin/message/mass/sendall")
                .expect("a line")
        };
        let two = Case::new().file("plan.yaml", plan(&(send("one") + &send("two"))));
        let enough = quota(&doctor(&two, &wechat(&[("quota of mass/sendall", left(2))]), 0));
        is(&enough, "ok", "2 of 100 calls left today; this run needs 2");
        assert_eq!(enough["facts"], json!({ "daily_limit": 100, "used": 98, "remain": 2, "wanted": 2 }));
        is(&quota(&doctor(&two, &wechat(&[("quota of mass/sendall", left(1))]), 9)), "error", "this run needs 2");
        let unknown = wechat(&[("quota of mass/sendall", refused(76021, "cgi_path not found, please check"))]);
        is(&quota(&doctor(&two, &unknown, 0)), "warning", "76021");
        let forbidden = wechat(&[("quota of mass/sendall", refused(76022, "no permission"))]);
        is(&quota(&doctor(&two, &forbidden, 9)), "error", "76022");
        is(
            &quota(&doctor(&two, &wechat(&[("quota of mass/sendall", Answer::Json(json!({ "errcode": 0 })))]), 0)),
            "warning",
            "no quota",
        );
        // What was sent is not sent again, and our own forecast counts it.
        let subscription = plan(&send("one")).replace("kind: service", "kind: subscription");
        let (case, server) = (Case::new().file("plan.yaml", &subscription), wechat(&[]));
        let args = ["run", "plan.yaml", "--yes", "--api-base", &server.base];
        case.run(&args).exits(0);
        let again = |case: &Case| {
            let ran = case.run(&["doctor", "plan.yaml", "--api-base", &server.base, "--format", "json"]);
            ran.json()
        };
        let document = again(&case);
        is(&quota(&document), "ok", "this run needs none");
        is(&check(&document, "ledger"), "ok", "1 call accepted in this occurrence");
        case.write("plan.yaml", subscription.replace("id: one", "id: other").replace("你好", "另一条"));
        let document = again(&case);
        is(&check(&document, "forecast"), "error", "1 mass call needed, 1 already used today, limit 1");
        assert_eq!(document["exit_code"], 9);
        case.write("plan.yaml", subscription.replace("你好", "改了"));
        let document = again(&case);
        is(&check(&document, "ledger"), "error", "no longer matches");
        is(&check(&document, "forecast"), "not_checked", "cannot continue");
        assert_eq!(document["exit_code"], 8);
    });
}

#[test]
fn what_only_a_send_shows_is_said() {
    in_each_language(|| {
        let document = doctor(&case(), &wechat(&[]), 0);
        is(&check(&document, "agreement"), "not_checked", "48003");
        is(&check(&document, "protection"), "ok", "does not send to all");
        let all = Case::new().file("plan.yaml", plan(&send("one").replace("{ tag_id: 2 }", "all")));
        is(&check(&doctor(&all, &wechat(&[]), 0), "protection"), "not_checked", "30 minutes");
        let preview = "  - { id: p, action: preview, to: { wxname: tea }, message: { text: 你好 } }\n";
        let preview = Case::new().file("plan.yaml", plan(preview));
        is(&check(&doctor(&preview, &wechat(&[]), 0), "agreement"), "ok", "sends only previews");
    });
}

#[test]
fn guards_are_told_and_hide_nothing() {
    in_each_language(|| {
        let text = plan(&send("one")).replace("steps:", "guards: { not_after: 2020-01-01T00:00:00+08:00 }\nsteps:");
        let document = doctor(&Case::new().file("plan.yaml", text), &wechat(&[]), 0);
        is(&check(&document, "guards"), "warning", "not_after");
        is(&check(&document, "forecast"), "ok", "1 call");
    });
}

#[test]
fn warnings_of_the_plan_are_counted() {
    let text = plan(&send("one").replace("text: 你好", "text: \"http://a.example 你好\""));
    let document = doctor(&Case::new().file("plan.yaml", text), &wechat(&[]), 0);
    is(&check(&document, "plan"), "warning", "run: qunfa validate plan.yaml");
}

#[test]
fn an_unknown_outcome_is_told() {
    in_each_language(|| {
        let case = Case::new().file("plan.yaml", support::plan(&send("one")));
        let server = Fake::new(|_, got| {
            if got.path.ends_with("sendall") {
                Answer::Close
            } else if got.path.ends_with("quota/get") {
                left(9)
            } else {
                Answer::Usual
            }
        });
        case.against(&server, &[]).exits(7);
        let ask = |more: &[&str]| {
            let args = ["doctor", "plan.yaml", "--api-base", &server.base, "--format", "json"];
            case.run(&[&args[..], more].concat()).exits(0).json()
        };
        is(&check(&ask(&[]), "ledger"), "warning", "run the plan within 24 hours");
        let late = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(25)).to_string();
        is(&check(&ask(&["--now", &late]), "ledger"), "warning", "qunfa settle plan.yaml one --api-base");
    });
}

#[cfg(unix)]
#[test]
fn the_state_store_is_looked_at() {
    in_each_language(|| {
        use std::os::unix::fs::PermissionsExt as _;
        let (case, server) = (case(), wechat(&[]));
        case.against(&server, &[]).exits(0);
        let state = |code: i32| {
            let args = ["doctor", "plan.yaml", "--api-base", &server.base, "--format", "json"];
            check(&case.run(&args).exits(code).json(), "state")
        };
        let well = state(0);
        is(&well, "ok", "and private");
        assert_eq!(well["facts"]["integrity"], "ok");
        let path = case.path(".qunfa/state.db");
        let mode =
            |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("ours");
        mode(&path, 0o644);
        is(&state(0), "warning", "chmod 600");
        mode(&path, 0o600);
        // A format that this version does not know, an older one, and another program's.
        let head = |statement: &str| {
            rusqlite::Connection::open(&path).expect("opens").execute_batch(statement).expect("writes");
        };
        head("PRAGMA user_version = 999");
        is(&state(4), "error", "use a newer qunfa");
        head("PRAGMA user_version = 3");
        let old = state(0);
        is(&old, "warning", "the next run upgrades it from format 3 to");
        head(&format!("PRAGMA user_version = {}; PRAGMA application_id = 7", qunfa::ledger::sqlite::FORMAT));
        is(&state(4), "error", "another program");
        std::fs::remove_file(&path).expect("is there");
        case.write(".qunfa/state.db", "this is no database, but text of some length".repeat(100));
        is(&state(4), "error", "restore it from a backup");
    });
}

#[test]
fn a_run_under_way_is_told() {
    in_each_language(|| {
        let (case, server) = (case(), wechat(&[]));
        let owner = json!({ "pid": 7, "host": "ci", "since": "2026-03-02T02:00:00Z", "plan": "other.yaml" });
        case.write(".qunfa/state.db.wx0123456789abcdef.lock", owner.to_string());
        is(&check(&doctor(&case, &server, 0), "lock"), "ok", "no other run");
        let file = File::open(case.path(".qunfa/state.db.wx0123456789abcdef.lock")).expect("is there");
        file.lock().expect("free");
        let document = doctor(&case, &server, 8);
        is(&check(&document, "lock"), "error", "process 7 on ci since 2026-03-02 10:00:00 (other.yaml)");
        drop(file);
        is(&check(&doctor(&case, &server, 0), "lock"), "ok", "no other run");
    });
}

#[test]
fn the_sandbox_answers_too() {
    in_each_language(|| {
        let case = case().no_env("WECHAT_SECRET");
        let ask = |more: &[&str], code| {
            case.run(&[&["doctor", "plan.yaml", "--sandbox", "--format", "json"], more].concat()).exits(code).json()
        };
        let document = ask(&[], 0);
        holds("doctor", &document);
        assert_eq!(
            (&document["verdict"], &document["platform"], &document["api_base"]),
            (&json!("ok"), &json!("sandbox"), &Value::Null)
        );
        is(&check(&document, "clock"), "ok", "within 60 s");
        is(&check(&document, "state"), "ok", "uses its own");
        assert!(!case.path(".qunfa").exists());
        let document = ask(&["--fault", "40164@stable_token#1-"], 5);
        assert_eq!(check(&document, "ip_allow_list")["state"], "error");
        case.write("plan.yaml", plan(&send("one")).replace("kind: service", "kind: subscription"));
        is(&check(&ask(&[], 0), "account"), "ok", "subscription");
    });
}
