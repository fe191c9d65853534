//! Uploads and drafts: what is called, in which order, how often; and that nothing is previewed or sent when they fail.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Answer, Case, Fake, code, hear, in_each_language, plan, repository, spoken};

const ARTICLE: &str = "---
title: 春茶上新
cover: cover.png
---
头采，[产地](https://example.com/place)。

![叶](leaf.png)

![又是叶](leaf.png)
";

const STEPS: &str = r#"  - id: article
    action: create_draft
    articles: [{ file: content/spring.md }]
  - id: proof
    action: preview
    to: { wxname: tea-editor }
    message: { mpnews: "{{ steps.article.media_id }}" }
  - id: announce
    action: send_by_tag
    to: { tag_id: 2 }
    message: { mpnews: "{{ steps.article.media_id }}" }
"#;

fn picture(name: &str) -> Vec<u8> {
    fs::read(repository().join("tests/plans/files").join(name)).expect("is there")
}

fn case() -> Case {
    Case::new()
        .file("plan.yaml", plan(STEPS))
        .file("content/spring.md", ARTICLE)
        .file("content/cover.png", picture("cover.png"))
        .file("content/leaf.png", picture("leaf.png"))
}

/// The last part of each path, in the order of the calls.
fn order(server: &Fake) -> Vec<String> {
    let calls = server.got().into_iter().filter(|got| !got.path.ends_with("token"));
    calls.map(|got| got.path.rsplit('/').next().unwrap_or_default().to_owned()).collect()
}

fn outcomes(report: &Value) -> Vec<&str> {
    report["steps"].as_array().expect("a list").iter().filter_map(|step| step["outcome"].as_str()).collect()
}

#[test]
fn an_article_goes_from_git_to_the_followers() {
    let (case, server) = (case(), Fake::usual());
    let report = case.against(&server, &["--format", "json"]).exits(0).json();
    assert_eq!(order(&server), ["uploadimg", "add_material", "add", "get", "preview", "sendall"]);
    let upload = &server.calls("/media/uploadimg")[0];
    assert!(upload.content_type.starts_with("multipart/form-data; boundary="), "{}", upload.content_type);
    assert!(upload.body.contains("name=\"media\"; filename=\"leaf.png\"\r\nContent-Type: image/png\r\n\r\n"));
    let cover = &server.calls("/add_material")[0];
    assert!(cover.query.contains("type=image"), "{}", cover.query);
    let sent = server.calls("/draft/add")[0].json();
    let article = &sent["articles"][0];
    assert_eq!((&article["title"], &article["thumb_media_id"]), (&json!("春茶上新"), &json!("material-2")));
    let content = article["content"].as_str().expect("a text");
    assert_eq!(content.matches("src=\"https://mmbiz.qpic.cn/mmbiz_png/1/0\"").count(), 2, "{content}");
    assert_eq!(server.calls("/mass/preview")[0].json()["mpnews"], json!({ "media_id": "draft-1" }));
    assert_eq!(server.sends()[0].json()["mpnews"], json!({ "media_id": "draft-1" }));
    assert_eq!(report["steps"][0]["outputs"], json!({ "media_id": "draft-1" }));
    assert_eq!(report["steps"][0]["calls"].as_array().map(Vec::len), Some(4));
    server.delivered_once(1);
    // A second run is a no-op, and one that has nothing but a lost article is told so.
    let before = server.got().len();
    let report = case.against(&server, &["--format", "json"]).exits(0).json();
    assert_eq!((outcomes(&report), server.got().len()), (vec!["already_done"; 3], before));
}

#[test]
fn the_same_bytes_are_uploaded_once() {
    in_each_language(|| {
        let (case, server) = (case(), Fake::usual());
        case.against(&server, &["--only", "article"]).exits(0);
        assert_eq!(order(&server), ["uploadimg", "add_material", "add", "get"]);
        // Other text, the same pictures; the draft that was not sent is updated.
        case.write("content/spring.md", ARTICLE.replace("头采", "明前头采"));
        case.against(&server, &["--only", "article"]).exits(0).prints("draft-updated");
        assert_eq!(order(&server)[4..], ["update", "get"]);
        let update = server.calls("/draft/update")[0].json();
        assert_eq!((&update["media_id"], &update["index"]), (&json!("draft-1"), &json!(0)));
        assert!(update["articles"]["content"].as_str().is_some_and(|html| html.contains("明前头采")));
        // Another picture under the same name; another edition, too, uploads only that.
        case.write("content/leaf.png", picture("cover.png"));
        case.write("plan.yaml", plan(STEPS).replace("name: test", "name: test\noccurrence: summer"));
        case.against(&server, &["--only", "article"]).exits(0);
        assert_eq!(
            order(&server)[6..],
            ["uploadimg", "add", "get"],
            "the cover is known, and the leaf's bytes are new"
        );
        assert_eq!(server.drafts().len(), 2);
    });
}

#[test]
fn what_was_sent_is_not_changed_any_more() {
    in_each_language(|| {
        let (case, server) = (case(), Fake::usual());
        case.against(&server, &[]).exits(0);
        let before = server.got().len();
        case.write("content/spring.md", ARTICLE.replace("头采", "明前头采"));
        case.against(&server, &[]).exits(8).prints("article-changed");
        case.against(&server, &["--only", "announce"]).exits(8).says("its content, created by an earlier step");
        assert_eq!(server.got().len(), before);
        case.run(&["status", "plan.yaml", "--api-base", &server.base]).exits(0).says("changed in the plan since");
    });
}

#[test]
fn an_article_that_changed_is_previewed_again_and_never_sent_unseen() {
    in_each_language(|| {
        let (case, server) = (case(), Fake::usual());
        let guarded = plan(STEPS).replace("name: test", "name: test\nguards: { require_preview: true }");
        case.write("plan.yaml", &guarded);
        case.against(&server, &["--only", "article", "--only", "proof"]).exits(0);
        case.write("content/spring.md", ARTICLE.replace("头采", "明前头采"));
        // The draft that the ledger knows is not what the plan says now.
        case.against(&server, &["--only", "announce"]).exits(4).says("which is not selected");
        case.against(&server, &["--only", "article", "--only", "announce"]).exits(9).says("was not previewed");
        assert_eq!(server.sends().len(), 0);
        case.against(&server, &[]).exits(0).says("`proof` has changed since its preview");
        assert_eq!(order(&server)[4..], ["preview", "update", "get", "preview", "sendall"]);
        server.delivered_once(1);
    });
}

#[test]
fn a_preview_may_be_changed_and_is_shown_again() {
    in_each_language(|| {
        let steps = "  - { id: proof, action: preview, to: { wxname: editor }, message: { text: 你好 } }\n";
        let (case, server) = (Case::new().file("plan.yaml", plan(steps)), Fake::usual());
        case.against(&server, &[]).exits(0);
        for (change, previews) in [(("你好", "再见"), 2), (("再见", "再见"), 2), (("editor }", "boss }"), 3)] {
            let text = case.read("plan.yaml").replace(change.0, change.1);
            case.write("plan.yaml", text);
            case.against(&server, &[]).exits(0);
            assert_eq!(server.calls("/mass/preview").len(), previews, "{change:?}");
        }
        case.run(&["status", "plan.yaml", "--api-base", &server.base])
            .exits(0)
            .says("proof preview accepted 1/1 calls");
    });
}

#[test]
fn nothing_follows_a_failed_upload() {
    in_each_language(|| {
        for (path, answer, says) in [
            ("/media/uploadimg", code(40009), "40009"),
            ("/add_material", code(40007), "40007"),
            ("/draft/add", code(45166), "45166"),
            ("/draft/add", Answer::Json(json!({ "errcode": 0, "errmsg": "ok" })), "returned no `media_id`"),
            ("/draft/get", code(40007), "40007"),
        ] {
            let (case, server) = (case(), Fake::scripted(path, vec![answer]));
            let ran = case.against(&server, &["--format", "json"]).exits(5);
            assert_eq!(outcomes(&ran.json()), ["failed", "not_run", "not_run"], "{path}");
            ran.says(says);
            assert!(server.calls("/mass/preview").is_empty() && server.sends().is_empty(), "{path}");
            assert!(
                order(&server).last().is_some_and(|last| path.ends_with(last.as_str())),
                "{path} {:?}",
                order(&server)
            );
            // The next run goes on; what was uploaded is not uploaded again.
            case.against(&server, &[]).exits(0);
            server.delivered_once(1);
            let uploads = server.calls("/media/uploadimg").len();
            assert_eq!(uploads, if path == "/media/uploadimg" || path == "/draft/get" { 2 } else { 1 }, "{path}");
        }
    });
}

#[test]
fn an_upload_in_doubt_is_made_again_and_a_draft_in_doubt_is_not_sent_twice() {
    in_each_language(|| {
        for path in ["/media/uploadimg", "/add_material", "/draft/add", "/draft/get"] {
            for answer in [Answer::Close, Answer::Cut, code(-1), Answer::Raw(502, "text/html", "<html>".into())] {
                let (case, server) = (case(), Fake::scripted(path, vec![Answer::DoneThen(Box::new(answer.clone()))]));
                let ran = case.against(&server, &[]).exits(0);
                // -1 says that nothing was done; of a reading nothing is left over.
                let doubt = path != "/draft/get" && !matches!(answer, Answer::Json(_));
                assert_eq!(
                    ran.stderr.contains(if spoken() == "zh" {
                        "可能多出一份重复的素材"
                    } else {
                        "a duplicate in the library"
                    }),
                    doubt,
                    "{path} {answer:?} {}",
                    ran.stderr
                );
                hear(&ran.stderr);
                assert_eq!(server.calls(path).len(), 2, "{path} {answer:?}");
                // Both previews and sends show the draft that WeChat told of.
                let id = server.sends()[0].json()["mpnews"]["media_id"].clone();
                assert_eq!(server.calls("/mass/preview")[0].json()["mpnews"]["media_id"], id);
                assert!(server.drafts().contains_key(id.as_str().expect("a text")));
                server.delivered_once(1);
                case.against(&server, &[]).exits(0);
                server.delivered_once(1);
            }
        }
        let (case, server) = (case(), Fake::scripted("/draft/add", vec![Answer::Close; 3]));
        case.against(&server, &[]).exits(5).says("gave up after 3 attempts");
        assert!(server.sends().is_empty());
        case.against(&server, &[]).exits(0);
        server.delivered_once(1);
    });
}

#[test]
fn a_draft_that_lost_something_is_neither_previewed_nor_sent() {
    in_each_language(|| {
        let lost = |content: String| json!({ "news_item": [{ "title": "春茶上新", "content": content }] });
        let first = Fake::usual();
        case().against(&first, &["--only", "article"]).exits(0);
        let sent = first.calls("/draft/add")[0].json()["articles"][0]["content"].as_str().expect("a text").to_owned();
        let begin = sent.find("<img").expect("a picture");
        let image = &sent[begin..begin + sent[begin..].find('>').expect("its end") + 1];
        for (content, says) in [
            (sent.replace("头采", "头"), "the text was changed"),
            (sent.replacen(image, "", 1), "2 pictures were sent, but the draft has 1"),
            (sent.replace("<img", "<span"), "pictures missing: 2 of 2"),
            (sent.replacen(" style=", " data-style=", 1), "styles missing: "),
        ] {
            let (case, server) = (case(), Fake::scripted("/draft/get", vec![Answer::Json(lost(content))]));
            let ran = case.against(&server, &["--format", "json"]).exits(5);
            assert_eq!(outcomes(&ran.json()), ["failed", "not_run", "not_run"]);
            ran.says("WeChat changed the draft").says(says);
            assert!(server.calls("/mass/preview").is_empty() && server.sends().is_empty());
            // It is read again, and not made again; what can be sent is sent then.
            case.against(&server, &[]).exits(0);
            assert_eq!((server.calls("/draft/add").len(), server.calls("/draft/get").len()), (1, 2));
            server.delivered_once(1);
        }
    });
}

#[test]
fn a_draft_that_somebody_deleted_is_made_anew() {
    in_each_language(|| {
        let (case, server) = (case(), Fake::usual());
        case.against(&server, &["--only", "article"]).exits(0);
        server.lose_drafts();
        case.write("content/spring.md", ARTICLE.replace("头采", "明前头采"));
        case.against(&server, &["--only", "article"]).exits(5).says("40007");
        let ran = case.against(&server, &[]).exits(0).says("creating them again");
        assert!(ran.stderr.contains("article"));
        assert_eq!(server.drafts().len(), 1);
        server.delivered_once(1);
        let before = server.got().len();
        case.against(&server, &[]).exits(0);
        assert_eq!(server.got().len(), before);
        case.run(&["status", "plan.yaml", "--api-base", &server.base])
            .exits(0)
            .says("article create_draft accepted 4/4");
    });
}

#[test]
fn steps_upload_and_later_steps_use_what_they_give() {
    in_each_language(|| {
        let steps = r#"  - { id: banner, action: upload_material, type: image, file: content/cover.png }
  - { id: leaf, action: upload_image, file: content/leaf.png }
  - { id: show, action: send_by_tag, to: { tag_id: 2 }, message: { image: "{{ steps.banner.media_id }}" } }
  - { id: link, action: send_by_tag, to: { tag_id: 2 }, message: { text: "{{ steps.leaf.url }}" } }
"#;
        let (case, server) = (case(), Fake::usual());
        case.write("plan.yaml", plan(steps));
        let report = case.against(&server, &["--format", "json"]).exits(0).json();
        assert_eq!(
            report["steps"][0]["outputs"],
            json!({ "media_id": "material-1", "url": "https://mmbiz.qpic.cn/1" }),
            "addresses are normalised"
        );
        assert_eq!(report["steps"][1]["outputs"], json!({ "url": "https://mmbiz.qpic.cn/mmbiz_png/2/0" }));
        assert_eq!(server.sends()[0].json()["images"]["media_ids"], json!(["material-1"]));
        assert_eq!(server.sends()[1].json()["text"]["content"], "https://mmbiz.qpic.cn/mmbiz_png/2/0");
        // The picture of a message that was sent cannot be another one.
        case.write("content/cover.png", picture("leaf.png"));
        case.against(&server, &[]).exits(8).says("`show`");
        server.delivered_once(2);
    });
}

#[test]
fn a_dry_run_is_the_same_from_every_folder() {
    let case = case();
    let here = case.run(&["render", "plan.yaml"]).exits(0).json();
    let output = case.command(&["render", "../plan.yaml"]).current_dir(case.path("content")).output().expect("runs");
    let there: Value = serde_json::from_slice(&output.stdout).expect("a document");
    assert_eq!(here, there);
    assert_eq!(here["requests"][0]["body"]["media"]["file"], "content/leaf.png");
}
