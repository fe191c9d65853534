//! What was made by hand: `qunfa drafts`, `published` and `material` list it, and `pull` writes a draft into the project.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use qunfa::sandbox::{Config, Sandbox};
use serde_json::{Value, json};

use crate::support::{Answer, Case, Fake, Ran, SECRET, code, in_each_language, plan, send, told};

const JADE: &[u8] = include_bytes!("pictures/jade-4x2.png");
const AMBER: &[u8] = include_bytes!("pictures/amber-2x2.png");
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
        run(&case, &server.base, &["published", "plan.yaml"]).exits(0).prints("publications");
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

/// Everything below a folder of a case, by its name, but for the state.
fn below(case: &Case, folder: &str) -> BTreeMap<String, Vec<u8>> {
    let root = case.path(folder);
    let files = case.left_behind().into_iter().filter_map(|(path, bytes)| {
        let name = path.strip_prefix(&root).ok()?.to_string_lossy().replace('\\', "/");
        (!name.starts_with(".qunfa")).then_some((name, bytes))
    });
    files.collect()
}

fn names(case: &Case, folder: &str) -> Vec<String> {
    below(case, folder).into_keys().collect()
}

/// Articles as WeChat has them, but for what differs each time: their addresses and those of pictures.
fn content_of(sandbox: &Sandbox, media_id: &Value) -> Vec<Value> {
    let mut read = post(sandbox, "/cgi-bin/draft/get", &json!({ "media_id": media_id }));
    let articles = read["news_item"].as_array_mut().unwrap_or_else(|| panic!("no draft"));
    let address = regex_lite::Regex::new("https?://mmbiz[.]qpic[.]cn/[^\"]*").expect("an expression");
    for article in articles.iter_mut() {
        for name in ["url", "thumb_url", "thumb_media_id"] {
            article.as_object_mut().expect("an object").remove(name);
        }
        article["content"] = address.replace_all(article["content"].as_str().expect("a text"), "ADDRESS").into();
        if let Some(images) = article.get_mut("image_info") {
            images["image_list"].as_array_mut().expect("a list").iter_mut().for_each(|image| *image = json!("IMAGE"));
        }
    }
    articles.clone()
}

const SPRING: &str = "---
title: \"春茶上新 {{ '{{' }} 50% \"
author: 茶园
digest: 明前龙井到了
cover: cover.png
theme: jade
source_url: https://example.com/spring?a=1&b=2
need_open_comment: true
pic_crop_235_1: 0_0_1_0.5
---
# 春茶

今年的茶比往年早了**七天**。![干茶](leaf.png)

- 一
- 二

| 品种 | 价格 |
| --- | --- |
| 龙井 | 1 < 2 & 3 |

> 好茶 {{ '{%' }} 不等人

```rust
fn main() { x(); }
```

![同一张](leaf.png) [上一篇](https://mp.weixin.qq.com/s/abc) [网站](https://example.com)
";

/// What a plan made is pulled and made again: the same draft, but for addresses of pictures.
#[test]
fn a_pulled_draft_makes_the_same_draft() {
    in_each_language(|| {
        let sandbox = sandbox();
        let base = sandbox.base_url();
        let newspic = "{ type: newspic, title: 图集, content: '好茶 1 < 2', images: [cover.png, leaf.png], need_open_comment: true }";
        let articles = format!(
            "  - {{ id: one, action: create_draft, articles: [{{ file: spring.md }}] }}\n  - {{ id: two, action: create_draft, articles: [{newspic}, {{ title: 第二篇, content: '**二**', cover: cover.png }}] }}\n"
        );
        let case = case()
            .file("plan.yaml", plan(&articles))
            .file("spring.md", SPRING)
            .file("cover.png", JADE)
            .file("leaf.png", AMBER);
        run(&case, &base, &["run", "plan.yaml", "--yes"]).exits(0);
        let drafts = run(&case, &base, &["drafts", "plan.yaml", "--format", "json"]).exits(0).json();
        let id = |at: usize| drafts["drafts"][at]["media_id"].clone();
        let (two, one) = (id(0), id(1));
        // By its title, and by its id.
        let ran = run(&case, &base, &["pull", "plan.yaml", "第二篇", "--into", "pulled/two"]).exits(0);
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        told(&ran.stdout.replace(&text(&two), "MEDIA_ID"), "pulled the draft MEDIA_ID");
        let pulled = run(&case, &base, &["pull", "plan.yaml", &text(&one), "--format", "json"]).exits(0).json();
        assert_eq!(pulled["articles"], json!([{ "file": "春茶上新-50/春茶上新-50.html" }]));
        assert_eq!(names(&case, "春茶上新-50"), ["images/cover.png", "images/picture.png", "春茶上新-50.html"]);
        assert_eq!(
            names(&case, "pulled/two"),
            ["images/cover-2.png", "images/cover-3.png", "images/cover.png", "图集.txt", "第二篇.html"]
        );
        assert_eq!(
            (below(&case, "春茶上新-50")["images/cover.png"].as_slice(), pulled["notes"].clone()),
            (JADE, json!([]))
        );
        assert_eq!(pulled["findings"], "");
        // The plan that it says, beside the one that it was pulled with.
        let entries = |text: &str| {
            text.lines()
                .filter(|line| line.starts_with("      - "))
                .map(|line| format!("    {line}\n"))
                .collect::<String>()
        };
        let again = format!(
            "  - id: one\n    action: create_draft\n    articles:\n          - {{ file: \"春茶上新-50/春茶上新-50.html\" }}\n  - id: two\n    action: create_draft\n    articles:\n{}",
            entries(&ran.stdout)
        );
        let renamed = plan(&again).replace("name: test", "name: again");
        std::fs::write(case.path("again.yaml"), renamed).expect("writes");
        run(&case, &base, &["validate", "again.yaml", "--strict"]).says("Q902");
        run(&case, &base, &["run", "again.yaml", "--yes"]).exits(0);
        let drafts = run(&case, &base, &["drafts", "plan.yaml", "--format", "json"]).exits(0).json();
        let again: Vec<Value> = (0..4).map(|at| drafts["drafts"][at]["media_id"].clone()).collect();
        let made: Vec<&Value> = again.iter().filter(|id| **id != one && **id != two).collect();
        assert_eq!(content_of(&sandbox, made[1]), content_of(&sandbox, &one));
        assert_eq!(content_of(&sandbox, made[0]), content_of(&sandbox, &two));
    });
}

/// A draft box with one draft, `draft-1`, whose articles are these; what is not asked of it is answered by `other`.
fn holding(articles: Value, other: impl Fn(&str) -> Option<Answer> + Send + 'static) -> Fake {
    Fake::new(move |_, got| {
        let path = got.path.as_str();
        if let Some(answer) = other(path) {
            return answer;
        }
        match path.rsplit('/').next() {
            Some("batchget") => page(
                1,
                vec![
                    json!({ "media_id": "draft-1", "content": { "news_item": articles }, "update_time": 1_790_000_000 }),
                ],
            ),
            Some("get") if got.json()["media_id"] == "draft-1" => Answer::Json(json!({ "news_item": articles })),
            Some("get") => code(40007),
            Some("get_material") => Answer::Bytes(200, String::new(), JADE.to_vec()),
            _ if !path.starts_with("/cgi-bin") => {
                Answer::Bytes(200, "Content-Type: image/png\r\n".into(), AMBER.to_vec())
            }
            _ => Answer::Usual,
        }
    })
}

fn news(title: &str, content: &str) -> Value {
    json!([{ "article_type": "news", "title": title, "author": "茶园", "digest": "上新", "content": content,
             "thumb_media_id": "cover-1", "thumb_url": "http://mmbiz.qpic.cn/cover/0" }])
}

fn pull(case: &Case, server: &Fake, draft: &str, more: &[&str]) -> Ran {
    run(case, &server.base, &[&["pull", "plan.yaml", draft], more].concat())
}

/// An article of WeChat's own editor, with what only that can have in it.
const EDITED: &str = "<section class=\"rich\" style=\"font-size:16px;display:flex;background-color:#fff\" data-role=\"outer\">\
<p style=\"text-align:center;\"><span leaf=\"\">春茶 &amp; 秋茶&nbsp;1 &lt; 2</span></p>\
<div><mp-common-profile class=\"js\" data-id=\"x\"></mp-common-profile><mpvoice name=\"录音\"></mpvoice></div>\
<section><svg viewBox=\"0 0 1 1\"><g><image href=\"x\"></image></g></svg></section>\
<p><img class=\"rich_pages\" data-src=\"https://mmbiz.qpic.cn/mmbiz_png/one/640?wx_fmt=png&amp;from=appmsg\" data-ratio=\"0.5\" data-w=\"900\" /></p>\
<p><img src=\"https://mmbiz.qpic.cn/mmbiz_png/two/0\" alt=\"茶\"><img src=\"https://elsewhere.example.com/x.png\"></p>\
<span><section style=\"color:red;transform:rotate(1deg)\">标题 {{ vars.x }} {% raw %} $x$ \\(y\\)</section></span>\
<ul class=\"list-paddingleft-1\"><li><p>一</p></li><li><section>二</section></li></ul>\
<table><tbody><tr><td><p>格</p></td></tr></tbody></table>\
<script>alert(1)</script><style>p{}</style></section>";

#[test]
fn a_draft_of_the_editor_is_pulled_and_can_be_sent() {
    in_each_language(|| {
        let server = holding(news("春茶上新", EDITED), |_| None);
        let case = case();
        pull(&case, &server, "春茶上新", &[]).exits(0).prints("pull");
        assert_eq!(
            names(&case, "春茶上新"),
            ["images/cover.png", "images/picture-2.png", "images/picture.png", "春茶上新.html"]
        );
        insta::assert_snapshot!("edited", case.read("春茶上新/春茶上新.html"));
        let asked: Vec<String> =
            server.got().iter().map(|got| got.path.clone()).filter(|path| !path.starts_with("/cgi-bin")).collect();
        assert_eq!(asked, ["/mmbiz_png/one/640", "/mmbiz_png/two/0"], "each once, and nothing of elsewhere");
        assert!(
            server
                .got()
                .iter()
                .filter(|got| !got.path.starts_with("/cgi-bin"))
                .all(|got| !got.query.contains("access_token"))
        );
        let step = "  - { id: one, action: create_draft, articles: [{ file: 春茶上新/春茶上新.html }] }\n";
        std::fs::write(case.path("again.yaml"), plan(step)).expect("writes");
        case.run(&["validate", "again.yaml"]).exits(0);
        // Once more, over what is there.
        pull(&case, &server, "draft-1", &[]).exits(9).prints("pull-taken");
        std::fs::write(case.path("春茶上新/春茶上新.html"), "mine").expect("writes");
        pull(&case, &server, "draft-1", &["--force", "--quiet"]).exits(0);
        assert!(case.read("春茶上新/春茶上新.html").starts_with("---\ntitle: \"春茶上新\"\n"));
        assert_eq!(names(&case, "春茶上新").len(), 4, "and nothing is left of the way there");
        let json = pull(&case, &server, "draft-1", &["--force", "--format", "json", "--into", "a/b"]).exits(0);
        json.prints("pull-json");
        // Of an account without a plan, the one word is the draft.
        run(&case, &server.base, &["pull", "draft-1", "--account", "account.yaml", "--into", "c"]).exits(0);
        assert!(case.path("c/images/cover.png").exists());
    });
}

#[test]
fn the_draft_that_is_meant_is_named() {
    in_each_language(|| {
        let case = case();
        let server = holding(news("春茶上新", "<p>x</p>"), |_| None);
        pull(&case, &server, "春茶上线", &[]).exits(4).prints("pull-near");
        pull(&case, &server, "nothing-like-it", &[]).exits(4).prints("pull-none");
        run(&case, &server.base, &["pull", "plan.yaml"]).exits(2).prints("pull-nothing");
        let empty = holding(json!([]), |path| path.ends_with("batchget").then(|| page(0, Vec::new())));
        pull(&case, &empty, "春茶", &[]).exits(4).says("no draft");
        let two = holding(json!([]), |path| {
            path.ends_with("batchget").then(|| {
            let item = |id: &str, time: u64| json!({ "media_id": id, "content": { "news_item": news("春茶", "") }, "update_time": time });
            page(2, vec![item("one", 1_790_000_000), item("two", 1_780_000_000)])
        })
        });
        pull(&case, &two, "春茶", &[]).exits(2).prints("pull-two");
        assert_eq!(names(&case, ""), ["account.yaml", "plan.yaml"], "nothing was written");
    });
}

/// Nothing from the platform leads out of the folder, and nothing of the folder leads elsewhere.
#[test]
fn files_stay_in_their_folder() {
    in_each_language(|| {
        let case = case();
        let titles = [
            "../../etc/passwd",
            "/etc/passwd",
            "C:\\x",
            ".gitattributes",
            "a\u{0}b\n\u{1b}[31m\u{202e}",
            "...",
            "\" }\n---\ncover: /etc/passwd",
        ];
        for (number, title) in titles.iter().enumerate() {
            let server = holding(news(title, "<p>x</p>"), |_| None);
            let into = format!("into{number}");
            let ran = pull(&case, &server, "draft-1", &["--into", &into]).exits(0);
            assert!(!ran.stdout.contains('\u{1b}'));
            let files = names(&case, &into);
            assert!(files.len() == 2 && files.contains(&"images/cover.png".to_owned()), "{title:?}: {files:?}");
            assert!(files.iter().all(|file| !file.starts_with('.')), "{files:?}");
            let step = format!(
                "  - {{ id: one, action: create_draft, articles: [{{ file: '{into}/{}' }}] }}\n",
                files[usize::from(files[0].starts_with("images"))]
            );
            std::fs::write(case.path("again.yaml"), plan(&step)).expect("writes");
            case.run(&["validate", "again.yaml"]).exits(0);
            pull(&case, &server, "draft-1", &["--force"]).exits(0);
        }
        let all = names(&case, "");
        assert!(all.iter().all(|name| !name.contains("passwd") || name.contains("etc-passwd")), "{all:?}");
        #[cfg(unix)]
        {
            let server = holding(news("茶", "<p>x</p>"), |_| None);
            std::fs::create_dir_all(case.path("linked")).expect("makes a folder");
            std::os::unix::fs::symlink(case.path(""), case.path("linked/images")).expect("links");
            pull(&case, &server, "draft-1", &["--into", "linked", "--force"]).exits(9).prints("pull-link");
            assert!(!case.path("cover.png").exists() && !case.path("linked/茶.html").exists());
        }
        let server = holding(news("茶", "<p>x</p>"), |_| None);
        pull(&case, &server, "draft-1", &["--into", "plan.yaml/x"]).exits(4).prints("pull-unwritable");
    });
}

/// What cannot be had of a draft is said; the rest is there, and whole.
#[test]
fn pictures_that_cannot_be_had_are_said() {
    in_each_language(|| {
        let case = case();
        let content = "<p>茶<img src=\"http://mmbiz.qpic.cn/mmbiz_png/one/0\" alt=\"a\"></p>";
        let failing: Vec<(&str, Answer)> = vec![
            ("missing", Answer::Raw(404, "text/html", "<html>".into())),
            ("redirect", Answer::Bytes(302, "Location: http://127.0.0.1:9/x.png\r\n".into(), Vec::new())),
            ("text", Answer::Raw(200, "image/png", "<html>no picture</html>".into())),
            ("half", Answer::Bytes(200, String::new(), JADE[..JADE.len() / 2].to_vec())),
            ("large", Answer::Bytes(200, String::new(), [AMBER, &vec![0; 11 << 20]].concat())),
            ("huge", Answer::Bytes(200, String::new(), vec![0; (16 << 20) + 1])),
            ("empty", Answer::Bytes(200, String::new(), Vec::new())),
            ("closed", Answer::Close),
            ("stalls", Answer::Stall),
            ("40007", code(40007)),
        ];
        for (name, answer) in failing {
            let body = answer.clone();
            let server = holding(news("茶", content), move |path| path.starts_with("/mmbiz").then(|| body.clone()));
            let into = format!("body-{name}");
            let ran = pull(&case, &server, "draft-1", &["--into", &into]).exits(0);
            ran.prints(&format!("pull-body-{name}"));
            let html = case.read(&format!("{into}/茶.html"));
            assert!(html.contains("<img src=\"https://mmbiz.qpic.cn/mmbiz_png/one/0\" alt=\"a\">"), "{html}");
            assert_eq!(names(&case, &into), ["images/cover.png", "茶.html"]);
            if ["large", "stalls"].contains(&name) {
                continue;
            }
            // The cover, from the library and from where it is shown.
            let server = holding(news("茶", "<p>x</p>"), move |path| {
                (path.ends_with("get_material") || path.starts_with("/cover")).then(|| answer.clone())
            });
            let into = format!("cover-{name}");
            let ran = pull(&case, &server, "draft-1", &["--into", &into]).exits(0);
            ran.prints(&format!("pull-cover-{name}"));
            assert!(case.read(&format!("{into}/茶.html")).contains("\n# cover: \"cover-1\"\n"));
            assert_eq!(names(&case, &into), ["茶.html"]);
        }
        // Where the library refuses, the cover is had from where it is shown.
        let server = holding(news("茶", "<p>x</p>"), |path| path.ends_with("get_material").then(|| code(40007)));
        pull(&case, &server, "draft-1", &["--into", "shown"]).exits(0);
        assert_eq!(below(&case, "shown")["images/cover.png"], AMBER);
        // Pictures that the editor took and uploads do not are made to fit when they are sent.
        let large = [AMBER, &vec![0; 2 << 20]].concat();
        let server = holding(news("茶", content), move |path| {
            path.starts_with("/mmbiz").then(|| Answer::Bytes(200, String::new(), large.clone()))
        });
        pull(&case, &server, "draft-1", &["--into", "large"]).exits(0);
        assert!(case.read("large/茶.html").contains("\noptimize: true\n"));
    });
}

#[test]
fn a_newspic_is_pulled() {
    in_each_language(|| {
        let case = case();
        let article = json!([{ "article_type": "newspic", "title": "图集 {{ x", "content": "一 {% 二\n1 < 2", "need_open_comment": 1,
                               "image_info": { "image_list": [{ "image_media_id": "a" }, { "image_media_id": 7 }, { "image_media_id": "b" }] } }]);
        let server = holding(article, |_| None);
        pull(&case, &server, "draft-1", &["--into", "it's/{{ here"]).exits(0).prints("pull-newspic");
        insta::assert_snapshot!("newspic", case.read("it's/{{ here/图集-x.txt"));
        let server = holding(json!([{ "article_type": "newspic", "title": "图" }]), |_| None);
        pull(&case, &server, "draft-1", &["--into", "none"]).exits(0).prints("pull-newspic-none");
    });
}

#[test]
fn a_draft_that_cannot_be_read_writes_nothing() {
    in_each_language(|| {
        let case = case();
        for (name, answer) in [
            ("48001", code(48001)),
            ("garbage", Answer::Raw(200, "text/html", "<html>".into())),
            ("no-draft", Answer::Json(json!({ "news_item": {} }))),
            ("stalls", Answer::Stall),
        ] {
            let server = holding(json!([]), move |path| path.ends_with("draft/get").then(|| answer.clone()));
            pull(&case, &server, "draft-1", &[]).exits(5).prints(&format!("pull-{name}"));
        }
        for wrong in [json!([]), json!([1]), json!([{}, {}, {}, {}, {}, {}, {}, {}, {}]), json!("x"), Value::Null] {
            let server = holding(wrong, |_| None);
            pull(&case, &server, "draft-1", &[]).exits(5);
        }
        assert_eq!(names(&case, ""), ["account.yaml", "plan.yaml"]);
        // What is odd in an article is as if it were not there.
        let odd = json!([{ "title": 7, "content": {}, "thumb_media_id": [], "need_open_comment": "x" }]);
        let server = holding(odd, |_| None);
        pull(&case, &server, "draft-1", &["--into", "odd"]).exits(0);
        assert_eq!(names(&case, "odd"), ["article.html"]);
        let deep = format!("{}x", "<section><b>".repeat(20_000));
        let server = holding(news("深", &deep), |_| None);
        pull(&case, &server, "draft-1", &["--into", "deep"]).exits(0);
        assert!(case.read("deep/深.html").len() < 10_000);
    });
}

#[test]
fn a_draft_with_more_than_anybody_needs_is_bounded() {
    in_each_language(|| {
        let case = case();
        let pictures: String =
            (0..302).map(|number| format!("<img src=\"http://mmbiz.qpic.cn/{number}\" alt=\"a\">")).collect();
        let tags: String = (0..12).map(|number| format!("<x-{number}>茶</x-{number}>")).collect();
        let server = holding(news("茶", &format!("<p>{pictures}</p>{tags}")), |_| None);
        pull(&case, &server, "draft-1", &["--into", "x"]).exits(0).says("more than 300 pictures").says("and 4 more");
        assert_eq!(names(&case, "x").len(), 302, "300 pictures, a cover and the article");
    });
}

/// What can be neither sent nor left out is shown at its place.
#[test]
fn what_validate_would_find_is_shown() {
    in_each_language(|| {
        let case = case();
        let server =
            holding(news("茶", "<p>好茶</p>\n<table><tbody>散落的字<tr><td>格</td></tr></tbody></table>"), |_| None);
        pull(&case, &server, "draft-1", &[]).exits(0).prints("pull-findings");
        let step = "  - { id: one, action: create_draft, articles: [{ file: 茶/茶.html }] }\n";
        std::fs::write(case.path("again.yaml"), plan(step)).expect("writes");
        case.run(&["validate", "again.yaml"]).exits(3);
    });
}

/// Who asks to stop while pictures are fetched finds nothing half-written.
#[cfg(unix)]
#[test]
fn a_pull_that_is_stopped_writes_nothing() {
    in_each_language(|| {
        let case = case();
        let (two, asked) = (
            "<p><img src=\"http://mmbiz.qpic.cn/1\"><img src=\"http://mmbiz.qpic.cn/2\"></p>",
            Arc::new(AtomicU32::new(0)),
        );
        let count = Arc::clone(&asked);
        let server = holding(news("茶", two), move |path| {
            (path == "/1").then(|| {
                count.fetch_add(1, Ordering::SeqCst);
                Answer::Stall
            })
        });
        let child = case.spawn(&["pull", "plan.yaml", "draft-1", "--api-base", &server.base]);
        while asked.load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
        let status = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        assert!(status.expect("kill").success());
        Case::finish(child).exits(130).says("nothing was written");
        assert_eq!(names(&case, ""), ["account.yaml", "plan.yaml"]);
    });
}
