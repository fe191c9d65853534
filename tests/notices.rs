//! Whom a run tells how it ended: the documented bodies and signatures, each event, and every way in which a notice fails, which
//! never changes how the run ended.

use std::collections::HashMap;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::{Answer, Case, Fake, Got, SECRET, code, hear, in_each_language, plan, send, spoken};

const KEY: &str = "693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa";
const SIGN: &str = "SECa1b2c3d4e5f60718293a4b5c6d7e8f90";

/// Robots of each kind on loopback; each answers what its page says.
fn robots() -> Fake {
    Fake::new(|_, got| match got.path.as_str() {
        "/cgi-bin/webhook/send" | "/robot/send" => Answer::Json(json!({ "errcode": 0, "errmsg": "ok" })),
        path if path.starts_with("/open-apis/bot/v2/hook/") => {
            Answer::Json(json!({ "code": 0, "msg": "success", "data": {} }))
        }
        _ => Answer::Raw(204, "text/plain", String::new()),
    })
}

/// A plan that tells all of them, in the folder of a case that knows where they are.
fn case(robots: &Fake, on: &str, steps: &str) -> Case {
    let notify = format!(
        "notify:
  - {{ {on}wecom: {{ url: {{ env: WECOM }} }} }}
  - {{ {on}dingtalk: {{ url: {{ env: DINGTALK }}, secret: {{ env: SIGN }} }} }}
  - {{ {on}feishu: {{ url: {{ env: FEISHU }}, secret: {{ env: SIGN }} }} }}
  - {{ {on}webhook: {{ url: {{ env: HOOK }}, headers: [{{ name: Authorization, value: {{ env: SIGN }} }}] }} }}
steps:\n"
    );
    Case::new()
        .env("WECOM", &format!("{}/cgi-bin/webhook/send?key={KEY}", robots.base))
        .env("DINGTALK", &format!("{}/robot/send?access_token={KEY}", robots.base))
        .env("FEISHU", &format!("{}/open-apis/bot/v2/hook/{KEY}", robots.base))
        .env("HOOK", &format!("{}/hooks/{KEY}", robots.base))
        .env("SIGN", SIGN)
        .file("plan.yaml", plan(steps).replace("steps:\n", &notify))
}

/// HMAC-SHA256 by its definition (RFC 2104).
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block = [0_u8; 64];
    if key.len() > 64 {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let padded = |with: u8, rest: &[u8]| {
        let bytes: Vec<u8> = block.iter().map(|byte| byte ^ with).chain(rest.iter().copied()).collect();
        Sha256::digest(&bytes).to_vec()
    };
    padded(0x5c, &padded(0x36, message))
}

fn base64(bytes: &[u8]) -> String {
    let bits: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
    let letters: Vec<char> = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['+', '/']).collect();
    let mut text: String = bits
        .as_bytes()
        .chunks(6)
        .map(|sextet| {
            let digits = format!("{:0<6}", String::from_utf8_lossy(sextet));
            letters[usize::from_str_radix(&digits, 2).expect("bits")]
        })
        .collect();
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

/// The parameters of a query, decoded.
fn query(got: &Got) -> HashMap<String, String> {
    let decoded = |text: &str| {
        let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
        while let Some((first, more)) = rest.split_first() {
            rest = more;
            if *first == b'%' {
                bytes.push(u8::from_str_radix(std::str::from_utf8(&more[..2]).expect("digits"), 16).expect("digits"));
                rest = &more[2..];
            } else {
                assert_ne!(*first, b'+', "a plus would be a blank");
                bytes.push(*first);
            }
        }
        String::from_utf8(bytes).expect("UTF-8")
    };
    got.query.split('&').filter_map(|pair| pair.split_once('=')).map(|(k, v)| (k.to_owned(), decoded(v))).collect()
}

/// What no two runs have in common.
fn steady(text: &str) -> String {
    let mut text = text.to_owned();
    for (varying, constant) in [
        (r"\d{8}-\d{6}-[0-9a-f]{6}", "ID"),
        (r"127\.0\.0\.1:\d{4,5}", "127.0.0.1:PORT"),
        (r#""timestamp": "\d{10}""#, r#""timestamp": "SECONDS""#),
        (r#""sign": "[A-Za-z0-9+/]{43}=""#, r#""sign": "SIGN""#),
    ] {
        text = regex_lite::Regex::new(varying).expect("an expression").replace_all(&text, constant).into_owned();
    }
    text
}

/// All that robots were told, with where.
fn told(robots: &Fake) -> String {
    let mut told: Vec<String> =
        robots.got().iter().map(|got| format!("POST {}\n{:#}\n", got.path.replace(KEY, "KEY"), got.json())).collect();
    told.sort();
    steady(&told.join("\n"))
}

fn snapshot(name: &str, text: &str) {
    let suffix = if spoken() == "en" { "" } else { "@zh" };
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(format!("notices-{name}{suffix}"), text);
    });
}

/// Nothing secret is in what was said, nor in what was left behind.
#[track_caller]
fn keeps_secrets(case: &Case, said: &[&str]) {
    for secret in [KEY, SIGN, SECRET] {
        assert!(said.iter().all(|text| !text.contains(secret)), "{said:?}");
        for (path, bytes) in case.left_behind() {
            let found = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!found, "{} holds a secret", path.display());
        }
    }
}

#[test]
fn each_robot_gets_what_its_page_documents() {
    in_each_language(|| {
        let (server, robots) = (Fake::scripted("sendall", vec![Answer::Usual, code(45028)]), robots());
        let case = case(&robots, "", &(send("one") + &send("two")));
        let ran = case.against(&server, &["--report", "json=report.json"]).exits(6);
        ran.says("told notify[0] (wecom) how it ended");
        assert_eq!(robots.got().len(), 4);
        snapshot("bodies", &told(&robots));
        for got in robots.got() {
            assert_eq!((got.method.as_str(), got.content_type.as_str()), ("POST", "application/json; charset=utf-8"));
            let query = query(&got);
            match got.path.as_str() {
                "/cgi-bin/webhook/send" => {
                    assert_eq!(query["key"], KEY);
                    assert!(got.json()["markdown"]["content"].as_str().expect("text").len() <= 4096);
                }
                "/robot/send" => {
                    assert_eq!(query["access_token"], KEY);
                    let text = format!("{}\n{SIGN}", query["timestamp"]);
                    assert_eq!(query["sign"], base64(&hmac(SIGN.as_bytes(), text.as_bytes())));
                    assert_eq!(query["timestamp"].len(), 13, "milliseconds");
                }
                path if path.ends_with(&format!("/bot/v2/hook/{KEY}")) => {
                    let seconds = got.json()["timestamp"].as_str().expect("a text").to_owned();
                    assert_eq!(seconds.len(), 10, "seconds");
                    assert_eq!(got.json()["sign"], base64(&hmac(format!("{seconds}\n{SIGN}").as_bytes(), b"")));
                }
                path => {
                    assert_eq!((path, got.headers["authorization"].as_str()), (format!("/hooks/{KEY}").as_str(), SIGN));
                    let facts = got.json();
                    assert_eq!((&facts["event"], &facts["calls"]), (&json!("failed"), &json!(1)));
                    assert_eq!(facts["steps"][0]["errcode"], 45028);
                }
            }
        }
        keeps_secrets(&case, &[]);
    });
}

/// The title and the event of each, as a webhook gets them.
fn heard(robots: &Fake) -> Vec<(String, String)> {
    let hooks = robots.got().into_iter().filter(|got| got.path.starts_with("/hooks/"));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    hooks.map(|got| (text(&got.json()["event"]), text(&got.json()["title"]))).collect()
}

#[test]
fn each_event_is_told_to_those_who_want_it() {
    in_each_language(|| {
        let all = "on: [refused, failed, unknown, succeeded, approval_wanted], ";
        let (mut titles, mut expected) = (String::new(), Vec::new());
        let refused = "guards: { not_after: \"2020-01-01T00:00:00+08:00\" }\nsteps:\n";
        for (event, answers, guard, more, exit) in [
            ("succeeded", vec![], None, &["--yes"][..], 0),
            ("failed", vec![code(45028)], None, &["--yes"], 5),
            ("failed", vec![Answer::Usual, code(45028)], None, &["--yes"], 6),
            ("unknown", vec![Answer::Close; 3], None, &["--yes"], 7),
            ("refused", vec![], Some(refused), &["--yes"], 9),
            ("approval_wanted", vec![], None, &[], 9),
            ("approval_wanted", vec![], None, &["--yes", "--expect", "sha256:0"], 9),
        ] {
            let (server, robots) = (Fake::scripted("sendall", answers), robots());
            let case = case(&robots, all, &(send("one") + &send("two")));
            if let Some(guard) = guard {
                case.write("plan.yaml", case.read("plan.yaml").replace("steps:\n", guard));
            }
            let ran = case.run(&[&["run", "plan.yaml", "--api-base", &server.base], more].concat()).exits(exit);
            let told = heard(&robots);
            assert_eq!(told.len(), 1, "{event}: {}", ran.stderr);
            assert_eq!(robots.got().len(), 4, "{event}");
            expected.push(event);
            assert_eq!(told[0].0, event);
            titles.push_str(&format!("{event} {exit}: {}\n", told[0].1));
            keeps_secrets(&case, &[&ran.stdout, &ran.stderr]);
            if exit == 0 {
                // Done is done, and said to be.
                case.against(&server, &[]).exits(0);
                titles.push_str(&format!("again: {}\n", heard(&robots)[1].1));
            }
        }
        snapshot("titles", &titles);
        assert_eq!(expected.len(), 7);
        // By default a success is told to nobody.
        let (server, robots) = (Fake::usual(), robots());
        let case = case(&robots, "", &send("one"));
        case.against(&server, &[]).exits(0);
        assert!(robots.got().is_empty());
        // Some events alone.
        case.write(
            "plan.yaml",
            case.read("plan.yaml")
                .replace("- { wecom", "- { on: [unknown], wecom")
                .replace("id: one", "id: two")
                .replace("你好", "再见"),
        );
        case.run(&["run", "plan.yaml", "--api-base", &server.base]).exits(9);
        assert_eq!(robots.got().len(), 3);
    });
}

/// A notice that fails is a warning, and the run ended as it did.
#[test]
fn a_failing_notice_changes_nothing() {
    in_each_language(|| {
        let said = |name: &str, url: &str, answer: Answer| {
            let (server, robots) = (Fake::usual(), Fake::new(move |_, _| answer.clone()));
            let url = url.replace("BASE", &robots.base);
            let case = Case::new().env("ROBOT", &url).file("plan.yaml", plan(&send("one")));
            let ran = case.against(&server, &["--notify", &format!("{name}=env:ROBOT")]).exits(0);
            server.delivered_once(1);
            keeps_secrets(&case, &[&ran.stdout, &ran.stderr]);
            let lines = ran.stderr.lines().filter(|line| line.contains(&format!("--notify {name}")));
            let lines: String = lines.map(|line| format!("{line}\n")).collect();
            hear(&lines);
            steady(&lines)
        };
        let wecom = format!("BASE/cgi-bin/webhook/send?key={KEY}");
        let ok = || Answer::Json(json!({ "errcode": 0 }));
        let echo = format!("no robot {KEY}");
        let mut all = String::new();
        for (name, url, answer) in [
            ("wecom", wecom.as_str(), Answer::Json(json!({ "errcode": 93000, "errmsg": echo }))),
            ("dingtalk", wecom.as_str(), Answer::Json(json!({ "errcode": 310_000, "errmsg": "sign not match" }))),
            ("feishu", wecom.as_str(), Answer::Json(json!({ "code": 19021, "msg": "sign match fail" }))),
            ("wecom", wecom.as_str(), Answer::Raw(302, "text/html", String::new())),
            ("webhook", wecom.as_str(), Answer::Raw(500, "text/html", "<html>".into())),
            ("wecom", wecom.as_str(), Answer::Raw(200, "text/html", "<html>".into())),
            ("wecom", wecom.as_str(), Answer::Close),
            ("wecom", "http://127.0.0.1:9/cgi-bin/webhook/send?key=x", ok()),
            ("wecom", "http://qyapi.example.com/cgi-bin/webhook/send", ok()),
            ("wecom", "693a91f6", ok()),
            ("wecom", "https://user:password@example.com/", ok()),
        ] {
            let lines = said(name, url, answer);
            assert_eq!(lines.lines().count(), 1, "{name} {url}: {lines}");
            all.push_str(&lines);
        }
        snapshot("failures", &all);
        // A secret that is not there, and one that nobody answers for.
        let (server, case) = (Fake::usual(), Case::new().file("plan.yaml", plan(&send("one"))));
        case.against(&server, &["--notify", "wecom=env:NOBODY", "--notify", "webhook=file:none.txt"])
            .exits(0)
            .says("the environment variable `NOBODY` is not set")
            .says("cannot read the secret file `none.txt`");
        server.delivered_once(1);
    });
}

#[test]
fn a_robot_that_never_answers_is_not_waited_for_long() {
    let (server, robots) = (Fake::usual(), Fake::new(|_, _| Answer::Stall));
    let case = Case::new().env("ROBOT", &robots.base).file("plan.yaml", plan(&send("one")));
    case.against(&server, &["--notify", "webhook=env:ROBOT"]).exits(0).says("no answer within 5 s");
    server.delivered_once(1);
}

#[test]
fn what_users_wrote_is_text_to_a_robot() {
    let (server, robots) = (
        Fake::scripted(
            "sendall",
            vec![Answer::Json(json!({
                "errcode": 45028, "errmsg": "[click](http://evil.example.com) <at id=all></at> <@all>\n# 中奖 ![x](http://x)"
            }))],
        ),
        robots(),
    );
    let case = case(&robots, "", &send("one"));
    case.against(&server, &[]).exits(5);
    assert_eq!(robots.got().len(), 4);
    for got in robots.got().iter().filter(|got| !got.path.starts_with("/hooks/")) {
        for live in ["](http", "<at", "<@", "\n# ", "![", "http://evil"] {
            assert!(!got.body.contains(live), "{live}: {}", got.body);
        }
        assert!(got.body.contains("evil.example.com"), "it is told all the same: {}", got.body);
    }
}

#[test]
fn a_body_of_ones_own_is_a_template() {
    in_each_language(|| {
        let (server, robots) = (Fake::scripted("sendall", vec![code(45028)]), robots());
        let body = "body: '{\"msg\": {{ (title ~ \"\\n\" ~ text) | tojson }}, \"who\": {{ account.appid | tojson }}, \"n\": {{ steps | length }}}'";
        let notify = format!("notify: [{{ webhook: {{ url: {{ file: hook.txt }}, {body} }} }}]\nsteps:\n");
        let case = Case::new()
            .file("hook.txt", format!("{}/x/{KEY}", robots.base))
            .file("plan.yaml", plan(&send("one")).replace("steps:\n", &notify));
        case.against(&server, &[]).exits(5);
        let told = robots.got()[0].json();
        assert_eq!((&told["who"], &told["n"]), (&json!("wx0123456789abcdef"), &json!(1)));
        assert!(told["msg"].as_str().expect("text").contains("45028"), "{told}");
        // What cannot be made of the facts of a run is a warning.
        let odd = "body: '{\"n\": {{ exit_code if exit_code == 5 else \"none\" }}}'";
        let notify = format!("notify: [{{ webhook: {{ url: {{ file: hook.txt }}, {odd} }} }}]\nsteps:\n");
        case.write("plan.yaml", plan(&send("two")).replace("steps:\n", &notify));
        case.run(&["run", "plan.yaml", "--api-base", &server.base]).exits(9).says("its body does not render to JSON");
        assert_eq!(robots.got().len(), 1);
        // What is wrong with it is said before anything is sent.
        for (wrong, says) in [
            ("{\"msg\": \"{{ text }}\"}", "does not render to JSON"),
            ("{{ nothing }}", "`nothing` is not defined"),
            ("{{ text", "template"),
        ] {
            let notify = format!("notify: [{{ webhook: {{ url: {{ file: hook.txt }}, body: '{wrong}' }} }}]\nsteps:\n");
            case.write("plan.yaml", plan(&send("one")).replace("steps:\n", &notify));
            case.run(&["validate", "plan.yaml"]).exits(3).says(says);
        }
    });
}

/// A rehearsal tells only whom its command names, and says first that it is one.
#[test]
fn a_rehearsal_tells_whom_it_is_told_to() {
    in_each_language(|| {
        let robots = robots();
        let case = case(&robots, "on: [succeeded], ", &send("one"));
        case.run(&["run", "plan.yaml", "--sandbox"]).exits(0).says("a rehearsal does not use the plan's `notify`");
        assert!(robots.got().is_empty());
        case.run(&["run", "plan.yaml", "--sandbox", "--notify", "webhook=env:HOOK"]).exits(0);
        let told = heard(&robots);
        assert_eq!(told.len(), 1);
        hear(&told[0].1);
        assert!(spoken() != "en" || told[0].1 == "rehearsal in the sandbox: test succeeded", "{told:?}");
        // By a variable, as other options.
        let case = case.env("QUNFA_NOTIFY", "feishu=env:FEISHU,env:SIGN");
        case.run(&["run", "plan.yaml", "--sandbox"]).exits(0);
        assert_eq!(robots.got().len(), 2);
        let wrong = [
            "wecom=https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=693a91f6",
            "wecom",
            "mail=env:X",
            "wecom=env:X,env:Y",
            "dingtalk=env:X,env:Y,env:Z",
            "dingtalk=env:",
        ];
        for wrong in wrong {
            let ran = case.run(&["run", "plan.yaml", "--sandbox", "--notify", wrong]).exits(2);
            assert!(!ran.stderr.contains("693a91f6"), "{}", ran.stderr);
            ran.says("the value of --notify is not KIND=SOURCE");
        }
    });
}

/// A plan that is wrong was to be run: those whom the command names hear of it.
#[test]
fn a_plan_that_is_wrong_is_told_too() {
    in_each_language(|| {
        let robots = robots();
        let case = case(
            &robots,
            "",
            "  - { id: one, action: send_by_tag, to: { tag_id: 2 }, message: { text: { file: none.txt } } }\n",
        );
        case.run(&["run", "plan.yaml", "--sandbox", "--notify", "webhook=env:HOOK"]).exits(4);
        let told = robots.got()[0].json();
        assert_eq!((&told["event"], &told["exit_code"]), (&json!("refused"), &json!(4)));
        snapshot("missing-input", &steady(&format!("{told:#}")));
        case.write("plan.yaml", case.read("plan.yaml").replace("file: none.txt", "fiel: none.txt"));
        case.run(&["run", "plan.yaml", "--sandbox", "--notify", "webhook=env:HOOK"]).exits(3);
        snapshot("wrong-plan", &steady(&format!("{:#}", robots.got()[1].json())));
    });
}

#[test]
fn secrets_in_a_plan_are_refused_and_not_shown() {
    in_each_language(|| {
        let url = format!("https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key={KEY}");
        let mut said = String::new();
        for notice in [
            format!("wecom: {{ url: \"{url}\" }}"),
            format!("wecom: \"{url}\""),
            format!("wecom: {{ url: {{ env: \"{url}\" }} }}"),
            format!("wecom: {{ url: {{ file: \"{url}\" }} }}"),
            format!("dingtalk: {{ url: {{ env: X }}, secret: {SIGN} }}"),
            format!("webhook: {{ url: {{ env: X }}, headers: [{{ name: Authorization, value: {SIGN} }}] }}"),
            format!("wecom: {{ url: \"{url}"),
        ] {
            let text = plan(&send("one")).replace("steps:\n", &format!("notify: [{{ {notice} }}]\nsteps:\n"));
            let case = Case::new().file("plan.yaml", text);
            let ran = case.run(&["validate", "plan.yaml"]).exits(3);
            keeps_output(&ran.stdout);
            keeps_output(&ran.stderr);
            said.push_str(&ran.stdout);
            said.push_str(&ran.stderr);
        }
        snapshot("literal", &said);
        // What is wrong with its form; and a variable that templates could read.
        for (notice, says) in [
            ("{ on: [failed] }", "wecom"),
            ("{ wecom: { url: { env: X } }, feishu: { url: { env: X } } }", "feishu"),
            ("{ on: [sent], wecom: { url: { env: X } } }", "succeeded"),
            ("{ on: [], wecom: { url: { env: X } } }", "on"),
            ("{ slack: { url: { env: X } } }", "slack"),
        ] {
            let text = plan(&send("one")).replace("steps:\n", &format!("notify: [{notice}]\nsteps:\n"));
            Case::new().file("plan.yaml", text).run(&["validate", "plan.yaml"]).exits(3).says(says);
        }
        let text = plan(&send("one"))
            .replace("steps:\n", "env: [ROBOT]\nnotify: [{ wecom: { url: { env: ROBOT } } }]\nsteps:\n");
        let ran = Case::new().env("ROBOT", &url).file("plan.yaml", text).run(&["validate", "plan.yaml"]).exits(3);
        keeps_output(&ran.stderr);
        ran.says("the variable `ROBOT` contains a secret of `notify`");
    });
}

#[track_caller]
fn keeps_output(text: &str) {
    assert!(!text.contains(KEY) && !text.contains(SIGN), "{text}");
}

#[test]
fn doctor_looks_for_the_secrets_and_tells_nobody() {
    in_each_language(|| {
        let (server, robots) = (Fake::usual(), robots());
        let case = case(&robots, "", &send("one")).no_env("FEISHU");
        let checks = case.run(&["doctor", "plan.yaml", "--format", "json", "--api-base", &server.base]).json();
        let of = |name: &str| {
            let found = checks["checks"].as_array().expect("a list").iter().find(|check| check["subject"] == name);
            found.unwrap_or_else(|| panic!("{name}: {checks:#}"))["state"].clone()
        };
        assert_eq!((of("notify[0].wecom.url"), of("notify[1].dingtalk.secret")), (json!("ok"), json!("ok")));
        assert_eq!(of("notify[2].feishu.url"), "warning");
        assert!(robots.got().is_empty());
    });
}

/// Each account of a fleet tells for itself; one that waits for others is no news.
#[test]
fn an_account_of_a_fleet_is_named() {
    let (server, robots) = (Fake::scripted("sendall", vec![code(45028)]), robots());
    let case = case(&robots, "", &send("one")).file(
        "fleet.yaml",
        "version: 1
plan: plan.yaml
waves: [{ accounts: [harbin] }, 100%]
accounts:
  - { name: harbin, kind: service, appid: wx0123456789abcdef, secret: { env: WECHAT_SECRET } }
  - { name: dalian, kind: service, appid: wxfedcba9876543210, secret: { env: WECHAT_SECRET } }\n",
    );
    let run = |account: &str| {
        case.run(&["run", "--fleet", "fleet.yaml", "--account", account, "--yes", "--api-base", &server.base])
    };
    run("harbin").exits(5);
    let told = robots.got().into_iter().find(|got| got.path.starts_with("/hooks/")).expect("told").json();
    assert_eq!(told["account"], json!({ "appid": "wx0123456789abcdef", "name": "harbin" }));
    assert!(told["report"].as_str().expect("a command").contains("--account harbin"), "{told}");
    let before = robots.got().len();
    run("dalian").exits(9);
    assert_eq!(robots.got().len(), before, "it waits for the first wave");
}
