//! The page that shows messages as phones will: every message type, and what may not be on it.

use qunfa::message::MessageKind;

use crate::support::{Case, in_both, in_each_language, plan, repository, send, spoken, told};

const JADE: &[u8] = include_bytes!("pictures/jade-4x2.png");
const AMBER: &[u8] = include_bytes!("pictures/amber-2x2.png");

const PLAN: &str = r#"version: 1
name: spring-tea
account: { kind: service, appid: wx0123456789abcdef, secret: { env: WECHAT_SECRET } }
vars: { product: 明前龙井, price: 198, recall: false }
steps:
  - { id: pic, action: upload_material, type: image, file: amber.png }
  - id: article
    action: create_draft
    description: 春茶上新
    articles: [{ file: content/spring.md }]
  - id: issue
    action: create_draft
    articles:
      - { content: "一 {{ vars.product }}", title: 第一篇, cover: jade.png }
      - { content: 二, title: 第二篇, cover: "{{ steps.pic.media_id }}", pic_crop_1_1: "0.5_0_1_1" }
  - id: album
    action: create_draft
    articles: [{ type: newspic, title: 两张照片, content: "山上\n看 https://tea.example.com/a", images: [amber.png, jade.png] }]
  - { id: proof, action: preview, to: { wxname: tea-editor }, message: { mpnews: "{{ steps.article.media_id }}" } }
  - id: hello
    action: send_by_openid
    to: { openids: [oAAAAAAAAAAAAAAAAAAAAAAAAAA1, oAAAAAAAAAAAAAAAAAAAAAAAAAA2] }
    message: { text: "{{ vars.product }}上新 🍵\n详情:http://tea.example.com/b?x=1&y=2。" }
  - id: city
    action: send_by_tag
    foreach: [{ city: 北京, tag: 101 }, { city: 上海, tag: 102 }]
    key: "{{ row.city }}"
    to: { tag_id: "{{ row.tag }}" }
    message: { text: "{{ row.city }}的朋友,周六见!" }
  - { id: all, action: send_by_tag, to: all, message: { mpnews: "{{ steps.issue.media_id }}" }, when: steps.article.media_id != '' }
  - { id: photos, action: send_by_tag, to: { tag_id: 2 }, message: { mpnews: "{{ steps.album.media_id }}" } }
  - { id: pictures, action: send_by_tag, to: { tag: VIP }, message: { image: { media_ids: ["{{ steps.pic.media_id }}", MEDIA_2], recommend: 周末去看山 } } }
  - { id: voice, action: send_by_tag, to: { tag_id: 2 }, message: { voice: VOICE_1 } }
  - { id: video, action: send_by_tag, to: { tag_id: 2 }, message: { mpvideo: { media_id: VIDEO_1, title: 炒茶, description: 一分钟看懂 } } }
  - { id: card, action: send_by_tag, to: { tag_id: 2 }, message: { wxcard: CARD_1 } }
  - { id: old, action: send_by_tag, to: { tag_id: 2 }, message: { mpnews: OLD_1 }, when: vars.recall }
  - { id: arrived, action: check, of: all }
"#;

const ARTICLE: &str = "---
title: 山上的第一场春雨
author: 茶编辑部
cover: ../jade.png
source_url: https://tea.example.com/spring
need_open_comment: true
---
# {{ vars.product }}

今年早了**三天**,见[记录](https://tea.example.com/notes)与[旧文](https://mp.weixin.qq.com/s/abc)。

> ![](../amber.png)

```nonsense
a < b
```
";

fn tea() -> Case {
    Case::new()
        .file("plan.yaml", PLAN)
        .file("content/spring.md", ARTICLE)
        .file("jade.png", JADE)
        .file("amber.png", AMBER)
}

fn page(case: &Case) -> String {
    case.run(&["preview-html", "plan.yaml"]).exits(0).stdout
}

/// The values of an attribute, in order.
fn values<'p>(page: &'p str, name: &str) -> Vec<&'p str> {
    let open = format!(" {name}=\"");
    page.split(&open).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn every_message_type_is_shown() {
    in_both(|language, suffix| {
        let page = page(&tea().speaks(language));
        let tag = if language == "zh" { "zh-Hans" } else { "en" };
        assert!(page.starts_with(&format!("<!doctype html>\n<html lang=\"{tag}\">")), "{page}");
        let (_, body) = page.split_once("<body>").expect("a body");
        let (before, digest) = body.split_once("sha256:").expect("the digest of the plan");
        let shown = format!("{before}sha256:…{}", &digest[64..]);
        insta::assert_snapshot!(format!("every_message_type_is_shown{suffix}"), shown);
    });
}

#[test]
fn no_message_type_is_missing_on_the_page() {
    let (head, _) = PLAN.split_once("steps:").expect("steps");
    for kind in qunfa::plan::message::kinds().map(MessageKind::name) {
        let step = format!("  - {{ id: a, action: send_by_tag, to: all, message: {{ {kind}: WHAT_IS_SENT }} }}\n");
        let page = page(&Case::new().file("plan.yaml", format!("{head}steps:\n{step}")));
        let (_, phone) = page.split_once("<figure class=\"phone\"").unwrap_or_else(|| panic!("no phone for {kind}"));
        let (phone, _) = phone.split_once("</figure>").expect("its end");
        assert!(phone.contains("WHAT_IS_SENT"), "{kind}: {phone}");
    }
}

#[test]
fn the_page_is_the_same_every_time_and_everywhere() {
    let case = tea();
    let first = page(&case);
    assert_eq!(first, page(&case));
    case.run(&["preview-html", "plan.yaml", "--out", "out/page.html"]).exits(0).says("out/page.html");
    case.run(&["render", "plan.yaml", "--html", "site"]).exits(0).says("index.html");
    assert_eq!((case.read("out/page.html"), case.read("site/index.html")), (first.clone(), first.clone()));
    let both = case.run(&["render", "plan.yaml", "--html", "site", "--out", "rendered"]).exits(0);
    assert!(both.stdout.contains("requests, sha256:") && case.path("rendered/manifest.json").exists());
    case.run(&["render", "plan.yaml", "--html", "site", "--check", "rendered"]).exits(2);
    let piped = case.with_stdin(&["preview-html", "-"], PLAN).exits(0).stdout;
    assert_eq!(piped.replace("&lt;stdin&gt;", "plan.yaml"), first);
}

#[test]
fn the_page_loads_and_runs_nothing() {
    let page = page(&tea());
    assert!(page.contains(
        "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'\""
    ));
    for forbidden in [
        "<script",
        "<iframe",
        "<object",
        "<embed",
        "<base",
        "<form",
        "javascript:",
        "@import",
        " srcset=",
        " onerror=",
        " onclick=",
    ] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    let sources = values(&page, "src");
    assert!(!sources.is_empty() && sources.iter().all(|source| source.starts_with("data:image/png;base64,")));
    let style = page.split_once("<style>").and_then(|(_, rest)| rest.split_once("</style>")).expect("a style").0;
    let urls: Vec<&str> = style.split("url(").skip(1).collect();
    assert_eq!(urls.len(), 2, "each picture once");
    assert!(urls.iter().all(|url| url.starts_with("\"data:image/png;base64,")));
    let mut links: Vec<String> = values(&page, "href").iter().map(|link| link.replace("&#x2f;", "/")).collect();
    links.retain(|link| !link.starts_with('#') && link != "data:,");
    links.sort();
    links.dedup();
    let written = [
        "http://tea.example.com/b?x=1&amp;y=2",
        "https://mp.weixin.qq.com/s/abc",
        "https://tea.example.com/a",
        "https://tea.example.com/spring",
    ];
    assert_eq!(links, written, "only what the plan and its articles link to");
    let anchors: Vec<&str> = values(&page, "id");
    for link in values(&page, "href").into_iter().filter_map(|link| link.strip_prefix('#')) {
        assert_eq!(anchors.iter().filter(|anchor| **anchor == link).count(), 1, "#{link}");
    }
}

#[test]
fn hostile_text_is_text() {
    const EVIL: &str = "</script></style></template><img src=x onerror=alert(1)><!--";
    let quoted = format!("'{EVIL}'");
    let steps = format!(
        "  - id: draft
    action: create_draft
    description: {quoted}
    articles:
      - {{ file: a.md, title: '</title><b>', author: '<b>x</b>', digest: {quoted}, cover: jade.png, source_url: 'https://a.example/\"onclick=\"x' }}
  - id: album
    action: create_draft
    articles: [{{ type: newspic, title: '<b>t</b>', content: {quoted}, images: [amber.png] }}]
  - id: say
    action: send_by_tag
    foreach: [{{ a: {quoted} }}]
    key: '{{{{ row.a }}}}'
    to: {{ tag: {quoted} }}
    message: {{ text: {quoted} }}
  - {{ id: video, action: send_by_tag, to: all, message: {{ mpvideo: {{ media_id: '<b>v</b>', title: {quoted}, description: {quoted} }} }} }}
"
    );
    let article = "# {{ '</template><img src=x onerror=alert(1)>' }}\n\n&lt;/template&gt;&lt;script&gt; ![\"><img src=x onerror=alert(1)>](amber.png)\n";
    let case = Case::new().file("plan.yaml", plan(&steps)).file("a.md", article).file("jade.png", JADE);
    let page = page(&case.file("amber.png", AMBER));
    for forbidden in
        ["<img src=x", "<script", "</script", "<b>x</b>", "<b>t</b>", "<b>v</b>", "</title><b>", "\"onclick", "--><!--"]
    {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert_eq!(page.matches("</style>").count(), 2, "of the page and of the article");
    assert_eq!(page.matches("</template>").count(), 1, "of the article");
    assert!(page.contains("&lt;img src=x onerror=alert(1)&gt;"), "it is all there to read");
}

#[test]
fn findings_stand_beside_their_place() {
    let page = page(&tea());
    // The picture without words: before its quote's paragraph, in the article's tree.
    let (_, article) = page.split_once("shadowrootmode").expect("an article");
    let (tree, beside) = article.split_once("</template>").expect("its end");
    for (number, after) in [(1, "<p"), (2, "<section")] {
        let slot = format!("<slot name=\"mark-{number}\"></slot>");
        let (_, follows) = tree.split_once(&slot).unwrap_or_else(|| panic!("{slot} in {tree}"));
        assert!(follows.starts_with(after), "{follows}");
        assert!(beside.contains(&format!("slot=\"mark-{number}\" id=\"mark-{number}\" href=\"#finding-{number}\"")));
    }
    let finding = |number: usize| {
        let (_, rest) = page.split_once(&format!("id=\"finding-{number}\"")).expect("a finding");
        rest.split_once("</li>").expect("its end").0.replace("&#x2f;", "/")
    };
    for (number, words) in [
        (1, ["A304", "content/spring.md:12:3"]),
        (2, ["A203", "content/spring.md:14:4"]),
        (3, ["Q908", "plan.yaml:23:50"]),
    ] {
        for word in words {
            assert!(finding(number).contains(word), "{word}: {}", finding(number));
        }
    }
    assert!(!page.contains("id=\"findings\""), "each has a place");
    let loose = plan(&send("one")).replace("defaults: {", "defaults: { pace: { per_minute: 600 },");
    let page = self::page(&Case::new().file("plan.yaml", loose));
    assert!(page.contains("id=\"findings\"") && page.contains("more than 60 mass calls per minute"));
}

#[test]
fn rows_that_differ_by_their_data_alone_are_counted() {
    in_each_language(|| {
        let rows: String = (1..=25).map(|number| format!("{{ n: {number} }}, ")).collect();
        let step = format!(
            "  - {{ id: row, action: send_by_tag, foreach: [{rows}], key: \"{{{{ row.n }}}}\", to: {{ tag_id: 2 }}, message: {{ text: \"第{{{{ row.n }}}}个 http://a.example\" }} }}\n"
        );
        let page = page(&Case::new().file("plan.yaml", plan(&step)));
        assert!(page.contains("第20个") && !page.contains("第21个"));
        told(page.lines().find(|line| line.contains("qunfa render")).unwrap_or_default(), "And 5 more rows");
        assert_eq!(
            page.matches(if spoken() == "zh" {
                "不是 https 链接</span>"
            } else {
                "is a link without https</span>"
            })
            .count(),
            20,
            "once in each row that is shown"
        );
    });
}

#[test]
fn a_plan_with_errors_has_no_page() {
    in_each_language(|| {
        let case = Case::new().file("plan.yaml", plan(&send("one")).replace("message:", "mesage:"));
        for args in [
            &["preview-html", "plan.yaml", "--out", "page.html"][..],
            &["preview-html", "plan.yaml", "--open"],
            &["preview-html", "plan.yaml"],
            &["render", "plan.yaml", "--html", "site"],
        ] {
            assert_eq!(case.run(args).exits(3).says("did you mean `message`?").stdout, "");
        }
        assert!(!case.path("page.html").exists() && !case.path(".qunfa").exists() && !case.path("site").exists());
        case.run(&["preview-html", "nothing.yaml"]).exits(4);
    });
}

#[test]
fn a_page_that_cannot_be_written() {
    in_each_language(|| {
        let case = tea().file("file", "").file("folder/x", "");
        case.run(&["preview-html", "plan.yaml", "--out", "folder"]).exits(4).says("it is a folder");
        case.run(&["preview-html", "plan.yaml", "--out", "file/page.html"])
            .exits(4)
            .says("cannot write the page to file/page.html");
        case.run(&["render", "plan.yaml", "--html", "file"]).exits(4).says("cannot write the page");
        assert_eq!(case.read("file"), "");
    });
}

#[test]
fn open_without_an_opener_says_so() {
    in_each_language(|| {
        let case = tea().file("bin/nothing", "");
        let path = case.path("bin").display().to_string();
        let case = case.env("PATH", &path);
        let ran = case
            .run(&["preview-html", "plan.yaml", "--open"])
            .exits(4)
            .says("the page was written but cannot be opened");
        assert_eq!(ran.stdout, "");
        assert_eq!(case.read(".qunfa/.gitignore"), "*\n");
        assert_eq!(case.read(".qunfa/preview-spring-tea.html"), page(&case));
    });
}

#[cfg(unix)]
#[test]
fn open_hands_the_page_to_the_opener() {
    in_each_language(|| {
        use std::os::unix::fs::PermissionsExt as _;
        let name = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
        let case = tea();
        let opener = |script: &str| {
            let path = case.path("bin").join(name);
            case.write(&format!("bin/{name}"), format!("#!/bin/sh\n{script}\n"));
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("can be run");
        };
        opener(&format!("echo \"$1\" > {}", case.path("opened").display()));
        let path = case.path("bin").display().to_string();
        let run = || {
            let mut command = case.command(&["preview-html", "plan.yaml", "--open", "--out", "seite 1.html"]);
            command.env("PATH", &path).output().expect("the program starts")
        };
        assert_eq!(run().status.code(), Some(0));
        assert!(case.read("opened").trim_end().ends_with("/seite 1.html"));
        opener("exit 3");
        let failed = run();
        assert_eq!(failed.status.code(), Some(4));
        told(&String::from_utf8_lossy(&failed.stderr), &format!("`{name}` failed"));
    });
}

#[test]
fn every_example_has_a_page() {
    for example in ["quickstart", "vip-list", "ci"] {
        let folder = repository().join("examples").join(example);
        let plan = folder.join("plan.yaml").display().to_string();
        let case = Case::new().env("QUNFA_NOW", "2026-03-02T10:00:00+08:00").env("BUILD_ID", "1");
        let page = case.run(&["preview-html", &plan]).exits(0).stdout;
        assert!(page.starts_with("<!doctype html>") && page.contains("class=\"bubble\""), "{example}");
    }
}
