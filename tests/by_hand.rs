//! What was made by hand: `qunfa drafts`, `published` and `material` list it, and `pull` writes a draft into the project.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
};

use qunfa::sandbox::{Config, Sandbox};
use serde_json::{Value, json};

use crate::support::{Answer, Case, Fake, Ran, SECRET, code, in_each_language, plan, send};

const JADE: &[u8] = include_bytes!("pictures/jade-4x2.png");
const ACCOUNT: &str = "kind: service\nappid: wx0123456789abcdef\nsecret: { env: WECHAT_SECRET }\n";

fn case() -> Case {
    Case::new().file("plan.yaml", plan(&send("one"))).file("account.yaml", ACCOUNT)
}

/// A server that answers a list in pages, as told by the page's offset; other calls as usual.
fn listing(path: &'static str, page: impl Fn(u64, &Value) -> Answer + Send + 'static) -> Fake {
    Fake::new(move |_, got| match got.path.ends_with(path) {
        true => page(got.json()["offset"].as_u64().expect("a number"), &got.json()),
        false => Answer::Usual,
    })
}

fn page(total: u64, items: Vec<Value>) -> Answer {
    Answer::Json(json!({ "total_count": total, "item_count": items.len(), "item": items }))
}

fn draft(number: u64) -> Value {
    let article = json!({ "article_type": "news", "title": format!("春茶 {number}"), "author": "茶园", "digest": "上新",
                          "url": format!("http://mp.weixin.qq.com/s?tempkey={number}") });
    json!({ "media_id": format!("draft-{number}"), "content": { "news_item": [article] },
            "update_time": 1_790_000_000 - 60 * number })
}

/// The pages of a draft box with so many drafts.
fn drafts(count: u64) -> Fake {
    listing("/draft/batchget", move |offset, got| {
        assert_eq!(got["no_content"], 1);
        let asked = got["count"].as_u64().expect("a number");
        assert!((1..=20).contains(&asked), "{got}");
        page(count, (offset..count.min(offset + asked)).map(draft).collect())
    })
}

fn run(case: &Case, server: &str, args: &[&str]) -> Ran {
    case.run(&[args, &["--api-base", server]].concat())
}

#[test]
fn the_draft_box_is_listed() {
    in_each_language(|| {
        let server = listing("/draft/batchget", |_, _| {
            let second = json!({ "title": "第二篇 two", "url": "http://mp.weixin.qq.com/s?x" });
            let mut two = draft(1);
            two["content"]["news_item"].as_array_mut().expect("a list").push(second);
            page(2, vec![two, draft(2)])
        });
        let case = case();
        run(&case, &server.base, &["drafts", "plan.yaml"]).exits(0).prints("drafts");
        let ran = run(&case, &server.base, &["drafts", "plan.yaml", "--format", "json"]).exits(0);
        ran.prints("drafts-json");
        // An account needs no plan.
        run(&case, &server.base, &["drafts", "--account", "account.yaml"]).exits(0).prints("drafts-account");
        run(&case, &server.base, &["drafts"]).exits(2).prints("drafts-nobody");
        run(&case, &server.base, &["drafts", "--account", "missing.yaml"]).exits(4).prints("drafts-no-account");
        case.no_env("WECHAT_SECRET").run(&["drafts", "plan.yaml"]).exits(4).prints("drafts-no-secret");
    });
}

#[test]
fn lists_are_read_page_by_page_up_to_the_limit() {
    in_each_language(|| {
        let case = case();
        for (count, limit, shown, pages) in
            [(0, "100", 0, 1), (45, "100", 45, 3), (45, "30", 30, 2), (40, "100", 40, 2), (200, "100", 100, 5)]
        {
            let server = drafts(count);
            let ran = run(&case, &server.base, &["drafts", "plan.yaml", "--limit", limit, "--format", "json"]).exits(0);
            let document = ran.json();
            assert_eq!(document["drafts"].as_array().expect("a list").len(), shown, "{count} {limit}");
            assert_eq!((&document["total"], &document["partial"]), (&json!(count), &json!(false)));
            assert_eq!(server.calls("/draft/batchget").len(), pages, "{count} {limit}");
        }
        let server = drafts(45);
        run(&case, &server.base, &["drafts", "plan.yaml", "--limit", "2"]).exits(0).prints("drafts-limit");
        let server = drafts(0);
        run(&case, &server.base, &["drafts", "plan.yaml"]).exits(0).prints("drafts-empty");
        for wrong in ["0", "10001", "all"] {
            run(&case, &server.base, &["drafts", "plan.yaml", "--limit", wrong]).exits(2).says("write a");
        }
    });
}

/// Whatever a server says, a list ends.
#[test]
fn lists_end_however_they_are_answered() {
    in_each_language(|| {
        let case = case();
        let list = |server: &Fake| run(&case, &server.base, &["drafts", "plan.yaml", "--format", "json"]);
        // The same page for ever; one that is empty; a total that shrinks and grows.
        let same = listing("/draft/batchget", |_, _| page(1000, (0..20).map(draft).collect()));
        let empty = listing("/draft/batchget", |_, _| page(1000, Vec::new()));
        let moving = listing("/draft/batchget", |offset, _| {
            page(if offset == 0 { 30 } else { 31 }, (offset.saturating_sub(1)..offset + 19).map(draft).collect())
        });
        for (server, shown, pages) in [(&same, 20, 2), (&empty, 0, 1), (&moving, 38, 2)] {
            let document = list(server).exits(0).json();
            assert_eq!(document["drafts"].as_array().expect("a list").len(), shown);
            assert_eq!(document["partial"], true);
            assert_eq!(server.calls("/draft/batchget").len(), pages);
        }
        run(&case, &same.base, &["drafts", "plan.yaml", "--limit", "40"]).exits(0).says("run it again");
        let ids = listing("/draft/batchget", |offset, _| {
            page(u64::MAX, (0..20).map(|number| draft(offset + number)).collect())
        });
        assert_eq!(list(&ids).exits(0).json()["drafts"].as_array().expect("a list").len(), 100);
        for wrong in [
            json!({}),
            json!({ "total_count": "many", "item": [] }),
            json!({ "total_count": 1, "item": {} }),
            json!({ "total_count": 1, "item": [1] }),
            json!({ "total_count": 1, "item": [{ "media_id": 1 }] }),
            json!({ "total_count": 1, "item": [{ "media_id": "" }] }),
            json!({ "total_count": 1, "item": [{ "media_id": "x".repeat(5000) }] }),
        ] {
            let server = listing("/draft/batchget", move |_, _| Answer::Json(wrong.clone()));
            let ran = list(&server);
            assert_eq!(ran.code, 5, "{}{}", ran.stdout, ran.stderr);
        }
        let server = listing("/draft/batchget", |_, _| Answer::Json(json!({ "total_count": 1, "item": [[]] })));
        run(&case, &server.base, &["drafts", "plan.yaml"]).exits(5).prints("drafts-no-list");
        // What is odd in an item is left out.
        let odd = listing("/draft/batchget", |_, _| {
            page(
                4,
                vec![
                    json!({ "media_id": "a" }),
                    json!({ "media_id": "b", "content": { "news_item": {} }, "update_time": "1790000000" }),
                    json!({ "media_id": "c", "content": { "news_item": [1, { "title": 7 }] }, "update_time": u64::MAX }),
                    json!({ "media_id": "d", "content": { "news_item": [{ "title": "a\u{1b}[31m\n../../x\u{202e}" }] } }),
                ],
            )
        });
        run(&case, &odd.base, &["drafts", "plan.yaml"]).exits(0).prints("drafts-odd");
    });
}

#[test]
fn lists_fail_in_words() {
    in_each_language(|| {
        let case = case();
        let failing = [
            ("48001", code(48001)),
            ("garbage", Answer::Raw(200, "text/html", "<html>".into())),
            ("redirect", Answer::Bytes(302, "Location: http://127.0.0.1:9/\r\n".into(), Vec::new())),
            ("huge", Answer::Raw(200, "application/json", " ".repeat((16 << 20) + 1))),
            ("closed", Answer::Close),
            ("cut", Answer::Cut),
            ("stalls", Answer::Stall),
        ];
        for (name, answer) in failing {
            let server = listing("/draft/batchget", move |_, _| answer.clone());
            let ran = run(&case, &server.base, &["drafts", "plan.yaml"]).exits(5);
            assert!(!ran.stderr.contains(SECRET) && ran.stdout.is_empty());
            ran.prints(&format!("drafts-{name}"));
        }
        // What is only busy is asked again.
        let mut first = true;
        let server = Fake::new(move |_, got| match got.path.ends_with("/draft/batchget") {
            true if std::mem::take(&mut first) => code(-1),
            true => page(1, vec![draft(1)]),
            false => Answer::Usual,
        });
        run(&case, &server.base, &["drafts", "plan.yaml"]).exits(0).says("draft-1");
    });
}

#[test]
fn publications_are_listed() {
    in_each_language(|| {
        let article = |title: &str, deleted: bool| json!({ "title": title, "url": format!("http://mp.weixin.qq.com/s?t={title}"), "is_deleted": deleted });
        let server = listing("/freepublish/batchget", move |_, _| {
            page(
                2,
                vec![
                    json!({ "article_id": "one", "content": { "news_item": [article("春茶", false), article("秋茶", true)] }, "update_time": 1_790_000_000 }),
                    json!({ "article_id": "two", "content": { "news_item": [article("tea", false)] }, "update_time": 1_780_000_000 }),
                ],
            )
        });
        let case = case();
        run(&case, &server.base, &["published", "plan.yaml"]).exits(0).prints("published");
        run(&case, &server.base, &["published", "plan.yaml", "--format", "json"]).exits(0).prints("published-json");
        let server = listing("/freepublish/batchget", |_, _| code(48001));
        run(&case, &server.base, &["published", "plan.yaml"]).exits(5).prints("published-48001");
    });
}

/// A POST of a test to the sandbox, with a token of its own.
fn post(sandbox: &Sandbox, path: &str, body: &Value) -> Value {
    let ask = |target: &str, body: String| -> Value {
        let base = sandbox.base_url();
        let host = base.strip_prefix("http://").expect("plain");
        let mut stream = TcpStream::connect(host).expect("connects");
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).expect("takes it");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("UTF-8");
        serde_json::from_str(answer.split_once("\r\n\r\n").expect("an answer").1).expect("JSON")
    };
    let login = json!({ "grant_type": "client_credential", "appid": "wx0123456789abcdef", "secret": SECRET });
    let token = ask("/cgi-bin/stable_token", login.to_string());
    ask(&format!("{path}?access_token={}", token["access_token"].as_str().expect("a token")), body.to_string())
}

fn sandbox() -> Sandbox {
    Sandbox::start((Ipv4Addr::LOCALHOST, 0).into(), Config::default()).expect("a free port")
}

/// The sandbox has what a plan made, and what was made without one.
#[test]
fn the_library_of_the_sandbox_is_listed() {
    in_each_language(|| {
        let sandbox = sandbox();
        let base = sandbox.base_url();
        let article =
            "  - { id: article, action: create_draft, articles: [{ title: 春茶, content: 好茶, cover: cover.png }] }\n";
        let case = case().file("plan.yaml", plan(article)).file("cover.png", JADE);
        run(&case, &base, &["run", "plan.yaml", "--yes"]).exits(0);
        let listed = |command: &str| run(&case, &base, &[command, "plan.yaml", "--format", "json"]).exits(0).json();
        let drafts = listed("drafts");
        assert_eq!(drafts["drafts"][0]["articles"][0]["title"], "春茶");
        let material = listed("material");
        assert_eq!(material["counts"], json!({ "image": 1, "voice": 0, "video": 0 }));
        assert_eq!(material["material"][0]["name"], "cover.png");
        let submitted =
            post(&sandbox, "/cgi-bin/freepublish/submit", &json!({ "media_id": drafts["drafts"][0]["media_id"] }));
        assert_eq!(submitted["errcode"], 0);
        assert_eq!(listed("drafts")["total"], 0);
    });
}

#[test]
fn material_is_listed_by_type() {
    in_each_language(|| {
        let server = Fake::new(|_, got| {
            let item = |kind: &str| json!({ "media_id": format!("{kind}-id"), "name": format!("春茶.{kind}"), "update_time": 1_790_000_000, "url": "http://mmbiz.qpic.cn/x" });
            match got.path.rsplit('/').next() {
                Some("get_materialcount") => {
                    Answer::Json(json!({ "image_count": 2, "voice_count": "1", "video_count": 0, "news_count": 9 }))
                }
                Some("batchget_material") => match got.json()["type"].as_str().expect("a type") {
                    "image" if got.json()["offset"] == 0 => page(2, vec![item("png")]),
                    "image" => page(2, vec![item("jpg")]),
                    "voice" => page(1, vec![item("mp3")]),
                    _ => page(0, Vec::new()),
                },
                _ => Answer::Usual,
            }
        });
        let case = case();
        run(&case, &server.base, &["material", "plan.yaml"]).exits(0).prints("material");
        run(&case, &server.base, &["material", "plan.yaml", "--type", "voice"]).exits(0).prints("material-voice");
        run(&case, &server.base, &["material", "plan.yaml", "--format", "json"]).exits(0).prints("material-json");
        run(&case, &server.base, &["material", "plan.yaml", "--type", "news"]).exits(2);
        for path in ["/get_materialcount", "/batchget_material"] {
            let server = Fake::new(move |_, got| if got.path.ends_with(path) { code(48001) } else { Answer::Usual });
            run(&case, &server.base, &["material", "plan.yaml", "--type", "image"]).exits(5).says("48001");
        }
    });
}
