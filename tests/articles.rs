//! Articles through the real program: pictures that cannot be used, limits, values of templates, sizes.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use serde_json::Value;

use crate::support::{Case, Fake, Ran, in_both, in_each_language, repository};

const HEAD: &str = "---\ntitle: 春茶\ncover: cover.png\n---\n";

fn cover() -> Vec<u8> {
    std::fs::read(repository().join("tests/plans/files/articles/cover.png")).expect("there")
}

fn plan(articles: &str) -> String {
    format!(
        "version: 1\nname: test\naccount: {{ kind: service, appid: wx0123456789abcdef, secret: {{ env: WECHAT_SECRET }} }}\n\
         steps:\n  - id: article\n    action: create_draft\n    articles: {articles}\n"
    )
}

/// A case with one article, whose front matter ends at line 4.
fn case(body: &str) -> Case {
    Case::new()
        .file("project/.git/HEAD", "")
        .file("project/plan.yaml", plan("[{ file: a.md }]"))
        .file("project/cover.png", cover())
        .file("project/a.md", format!("{HEAD}{body}"))
}

fn validate(case: &Case, more: &[&str]) -> Ran {
    let mut args = vec!["validate", "project/plan.yaml"];
    args.extend(more);
    case.run(&args)
}

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut out = Vec::new();
    picture.write_to(&mut Cursor::new(&mut out), format).expect("encodes");
    out
}

#[test]
fn pictures_that_cannot_be_used_are_told_before_any_call() {
    in_each_language(|| {
        let mut large = cover();
        large.resize((1 << 20) + 1, 0);
        let webp = encoded(&DynamicImage::ImageRgb8(RgbImage::from_pixel(2, 2, Rgb([1, 2, 3]))), ImageFormat::WebP);
        let cut = cover()[..60].to_vec();
        let huge = [&cover()[..16], &20_000u32.to_be_bytes(), &20_000u32.to_be_bytes(), &cover()[24..]].concat();
        for (name, bytes, code, exit) in [
            ("leaf.png", None, "Q601", 4),
            ("leaf.png", Some(webp), "A306", 3),
            ("leaf.png", Some(Vec::new()), "A305", 3),
            ("leaf.png", Some(large), "A307", 3),
            ("leaf.png", Some(cut), "A308", 3),
            ("leaf.png", Some(huge), "A309", 3),
            ("../leaf.png", Some(cover()), "Q602", 3),
            ("https://example.com/leaf.png", None, "A301", 3),
        ] {
            let case = case(&format!("好茶\n\n看 ![茶叶]({name})\n"));
            if let Some(bytes) = bytes {
                case.write(&format!("project/{name}"), bytes);
            }
            let fake = Fake::usual();
            let ran = case.run(&["run", "project/plan.yaml", "--yes", "--api-base", &fake.base]).exits(exit);
            ran.says(&format!("[{code}]")).says("project/a.md:7:3");
            assert!(fake.got().is_empty(), "{code}: {:?}", fake.got());
        }
    });
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_out_of_the_project_is_refused() {
    in_each_language(|| {
        let case = case("看 ![茶叶](leaf.png)\n").file("leaf.png", cover());
        std::os::unix::fs::symlink(case.path("leaf.png"), case.path("project/leaf.png")).expect("links");
        let fake = Fake::usual();
        let ran = case.run(&["run", "project/plan.yaml", "--yes", "--api-base", &fake.base]).exits(3);
        ran.says("[Q602]").says("project/a.md:5:3");
        assert!(fake.got().is_empty());
    });
}

#[test]
fn pictures_are_converted_only_where_the_plan_says_so() {
    in_each_language(|| {
        let mut state = 7u32;
        let noise = RgbImage::from_fn(64, 48, |_, _| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let [a, b, c, _] = state.to_be_bytes();
            Rgb([a, b, c])
        });
        let case = case("看 ![茶叶](leaf.webp)\n")
            .file("project/leaf.webp", encoded(&DynamicImage::ImageRgb8(noise), ImageFormat::WebP));
        validate(&case, &[]).exits(3).says("[A303]").says("optimize: true");
        case.write("project/plan.yaml", plan("[{ file: a.md, optimize: true }]"));
        let rendered = case.run(&["render", "project/plan.yaml"]).exits(0);
        assert_eq!(rendered.stdout, case.run(&["render", "project/plan.yaml"]).exits(0).stdout);
        let media = &rendered.json()["requests"][0]["body"]["media"];
        assert_eq!((media["content_type"].as_str(), media["file"].as_str()), (Some("image/jpeg"), Some("leaf.webp")));
        assert!(media["optimized"].as_str().is_some_and(|done| done.starts_with("webp 64×48, ")), "{media}");
    });
}

#[test]
fn limits_hold_at_and_one_past() {
    let chars = |count: usize| "春".repeat(count);
    let url = |bytes: usize| format!("https://a.cn/{}", "a".repeat(bytes - 13));
    for (field, at, past) in [
        ("title", chars(32), chars(33)),
        ("author", chars(16), chars(17)),
        ("digest", chars(120), chars(121)),
        ("source_url", url(1024), url(1025)),
    ] {
        for (value, good) in [(at, true), (past, false)] {
            let case = case("好茶\n");
            case.write("project/plan.yaml", plan(&format!("[{{ file: a.md, {field}: '{value}' }}]")));
            let ran = validate(&case, &[]);
            if good {
                ran.exits(0)
            } else {
                ran.exits(3).says("[A406]").says("project/plan.yaml:7:")
            };
        }
    }
    for (count, code) in [(1, 0), (8, 0), (9, 3), (0, 3)] {
        let case = case("好茶\n");
        case.write("project/plan.yaml", plan(&format!("[{}]", vec!["{ file: a.md }"; count].join(", "))));
        validate(&case, &[]).exits(code);
    }
    for (count, exit, code) in [(15_000, 0, ""), (16_000, 0, "[A404]"), (19_999, 0, "[A403]"), (20_000, 3, "[A401]")] {
        validate(&case(&chars(count)), &[]).exits(exit).says(code);
    }
    // Tags weigh: 9,000 characters to read, and more bytes than WeChat accepts.
    let heavy = "<b><b><b><b>a</b></b></b></b> ".repeat(9_000);
    validate(&case(&heavy), &[]).exits(3).says("[A402]");
    in_both(|language, suffix| {
        let texts = [chars(16_000), chars(19_999), chars(20_000), heavy.clone()];
        let said = texts.iter().map(|text| validate(&case(text), &["--lang", language]).stderr);
        insta::assert_snapshot!(format!("sizes{suffix}"), said.collect::<String>());
    });
}

#[test]
fn warnings_are_errors_if_that_is_asked_for() {
    in_each_language(|| {
        let case = case("看 ![](cover.png)\n");
        validate(&case, &[]).exits(0).says("project/plan.yaml: valid").says("1 warning");
        validate(&case, &["--strict"]).exits(3).says("1 warning, treated as errors by --strict");
        validate(&case, &["--strict", "--quiet"]).exits(3).says("[A304]");
        case.run(&["render", "project/plan.yaml", "--strict"]).exits(3).says("treated as errors by --strict");
        case.run(&["run", "project/plan.yaml", "--sandbox", "--strict"]).exits(3).says("nothing was sent");
        let json = validate(&case, &["--strict", "--format", "json"]).exits(3).json();
        assert_eq!((&json["exit_code"], &json["plans"][0]["valid"]), (&Value::from(3), &Value::from(false)));
    });
}

#[test]
fn validate_says_how_large_articles_are() {
    in_each_language(|| {
        let case = case("# 春茶\n\n好茶,**不贵**。![茶叶](cover.png)\n");
        validate(&case, &[])
            .exits(0)
            .says("article, article 1 `春茶`: 8 characters,")
            .says("1 picture bytes by cause: ");
        let json = validate(&case, &["--format", "json"]).exits(0).json();
        let size = &json["plans"][0]["articles"][0];
        assert_eq!((&size["characters"], &size["images"]), (&Value::from(8), &Value::from(1)));
        assert_eq!(size["heaviest"].as_array().map(Vec::len), Some(3));
        assert!(validate(&case, &["--quiet"]).exits(0).stdout.lines().count() == 1);
    });
}

/// The body of the article that a plan renders to, without styles.
fn content(case: &Case) -> String {
    let rendered = case.run(&["render", "project/plan.yaml"]).exits(0).json();
    let requests = rendered["requests"].as_array().expect("a list");
    let draft = requests.iter().find(|request| request["path"] == "/cgi-bin/draft/add").expect("a draft");
    let html = draft["body"]["articles"][0]["content"].as_str().expect("text");
    let mut parts = html.split(" style=\"");
    let mut out = parts.next().unwrap_or_default().to_owned();
    parts.for_each(|part| out.push_str(part.split_once('"').map_or("", |(_, rest)| rest)));
    out
}

#[test]
fn values_are_text_and_never_markup() {
    let body = "# {{ vars.v }}\n\n{{ vars.v }}\n\n- {{ vars.v }}\n\n| a |\n| - |\n| {{ vars.v }} |\n\n`{{ vars.v }}`\n\n\
                [x](https://a.cn/{{ vars.u }}) <span style=\"color:{{ vars.c }}\">{{ vars.v }}</span>\n\n{% include 'foot.txt' %}\n\n\
                {{ vars.md | safe }}\n";
    let case = case(body).file("project/templates/foot.txt", "*{{ vars.v }}*\n");
    let vars = "vars: { v: \"# *a* | <b>&lt;\\n\\n---\", u: \"_(x)?a=1&b=2\", c: red, md: \"**b**\" }\n";
    case.write("project/plan.yaml", plan("[{ file: a.md }]") + vars);
    let shown = "# *a* | &lt;b&gt;&amp;lt; ---";
    let code = "# *a* | &lt;b&gt;&amp;lt;&nbsp;&nbsp;---";
    assert_eq!(
        content(&case),
        format!(
            "<h1>{shown}</h1><p>{shown}</p><section><section>• {shown}</section></section>\
             <section><table><tbody><tr><th>a</th></tr><tr><td>{shown}</td></tr></tbody></table></section>\
             <p><code>{code}</code></p><p><span>x</span><sup>[1]</sup> <span>{shown}</span></p><p><em>{shown}</em></p>\
             <p><strong>b</strong></p><section><p>参考链接</p><section>[1] https://a.cn/_(x)?a=1&amp;b=2</section></section>"
        )
    );
    // HTML too; a style is checked with the value in it.
    let html = "<p title={{ vars.v }}>a</p>\n<p>{{ vars.v }}</p>\n<p style=\"color:{{ vars.evil }}\">b</p>\n";
    case.write("project/a.html", format!("{HEAD}{html}"));
    let vars = "vars: { v: \"<b> x=1\", evil: \"red;position:fixed\" }\n";
    case.write("project/plan.yaml", plan("[{ file: a.html }]") + vars);
    let ran = validate(&case, &[]).exits(3).says("a.html:5:4").says("a.html:7:").says("`position` is not allowed");
    assert!(ran.stdout.contains("2 errors"), "{}", ran.stdout);
}

#[test]
fn places_are_those_of_the_file_whatever_its_line_ends() {
    in_each_language(|| {
        let body = "{% for n in [1, 2] -%}\n\n第 {{ n }} 行\n{% endfor %}\n{# 说\n明 #}\n<center>一</center>\n\n{% include 'two.txt' %} <font>二</font>\n";
        let case = case("").file("project/templates/two.txt", "甲\n\n乙\n");
        for text in [format!("{HEAD}{body}"), format!("\u{feff}{}", format!("{HEAD}{body}").replace('\n', "\r\n"))] {
            case.write("project/a.md", text);
            let ran = validate(&case, &[]).exits(3);
            let ran = ran.says("`<center>` is not allowed").says("project/a.md:11:1");
            ran.says("`<font>` is not allowed").says("project/a.md:13:25");
        }
    });
}

/// A GIF of three times two pixels.
const GIF: &[u8] = b"GIF89a\x03\0\x02\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x03\0\x02\0\0\x02\x03\x84\x8fY\0;";

#[test]
fn gifs_and_pictures_of_earlier_steps_reach_the_draft() {
    let steps = |reference: &str| {
        plan("[{ file: a.md }]").replace("steps:\n", "steps:\n  - { id: pic, action: upload_material, type: image, file: moving.gif }\n  - { id: leaf, action: upload_image, file: cover.png }\n")
            + &format!("# {reference}\n")
    };
    let body = "看\n\n![动图]({{ steps.pic.url }}) ![叶]({{ steps.leaf.url }})\n\n![会动](moving.gif) ![引导](https://mmbiz.qpic.cn/a/0)\n";
    let case = case(body).file("project/moving.gif", GIF);
    case.write("project/plan.yaml", steps(""));
    validate(&case, &["--strict"]).exits(0);
    assert!(content(&case).contains("<img src=\"<steps.pic.url>\" alt=\"动图\">"), "{}", content(&case));
    case.run(&["run", "project/plan.yaml", "--sandbox", "--yes"]).exits(0);
    for (body, said, line) in [
        ("![动图]({{ steps.pik.url }})", "no step has the id `pik`", 5),
        ("看\n\n见 {{ steps.pic.url }}", "can only be the address of a picture", 7),
        ("[看]({{ steps.pic.url }})", "can only be the address of a picture", 5),
        ("![动图]({{ steps.pic.media_id }})", "can only be the address of a picture", 5),
        ("![动图]({{ steps.pic.url | upper }})", "can only be the address of a picture", 5),
    ] {
        case.write("project/a.md", format!("{HEAD}{body}\n"));
        validate(&case, &[]).exits(3).says(said).says(&format!("project/a.md:{line}:"));
    }
}

#[test]
fn covers_and_newspics_have_limits() {
    in_each_language(|| {
        let picture = |width, height| encoded(&DynamicImage::ImageRgb8(RgbImage::new(width, height)), ImageFormat::Png);
        for (width, height, good) in
            [(2, 2, true), (1, 10, false), (1, 1, false), (200, 20, true), (201, 20, false), (20, 201, false)]
        {
            let case = case("好茶\n");
            case.write("project/cover.png", picture(width, height));
            let ran = validate(&case, &[]);
            if good {
                ran.exits(0)
            } else {
                ran.exits(3).says("[A309]").says("53402")
            };
        }
        for (count, good) in [(1000, true), (1001, false)] {
            let case = case("");
            let text = "春".repeat(count);
            case.write(
                "project/plan.yaml",
                plan(&format!("[{{ type: newspic, title: 图, content: '{text}', images: [cover.png] }}]")),
            );
            let ran = validate(&case, &[]);
            if good {
                ran.exits(0)
            } else {
                ran.exits(3).says("[A406]")
            };
        }
    });
}

#[test]
fn front_matter_of_blogs_serves_here_too() {
    let front = |text: &str| {
        let case = case("");
        case.write("project/a.md", text);
        case
    };
    let blog = "title: 春茶\ncover: cover.png\ndate: 2026-03-01 10:00:00\ntags: [茶, 春]\ncategories:\n  - 上新\ndescription: 明前龙井到了\nlayout: post\npermalink: /a/\ndraft: false\n";
    for text in [
        format!("---\n{blog}---\n正文\n"),
        format!("--- \n{blog}---  \n正文\n"),
        format!("\n---\n{blog}---\n正文\n"),
        format!("\u{feff}---\r\n{}---\r\n正文\r\n", blog.replace('\n', "\r\n")),
        format!("---\n{blog}...\n正文\n"),
    ] {
        let case = front(&text);
        let ran = validate(&case, &["--strict"]).exits(0);
        assert!(
            ran.stdout.contains("without effect here: date, tags, categories, layout, permalink, draft"),
            "{}",
            ran.stdout
        );
        let rendered = case.run(&["render", "project/plan.yaml"]).exits(0).stdout;
        assert!(rendered.contains("\"digest\": \"明前龙井到了\"") && !rendered.contains("categories"), "{rendered}");
    }
    // One's own digest counts, and one that is too long is none.
    let own = blog.replace("layout: post", "digest: 自己的");
    let ran = front(&format!("---\n{own}---\n正文\n")).run(&["render", "project/plan.yaml"]).exits(0);
    assert!(ran.stdout.contains("\"digest\": \"自己的\""));
    let long = blog.replace("明前龙井到了", &"春".repeat(121));
    assert!(
        !front(&format!("---\n{long}---\n正文\n"))
            .run(&["render", "project/plan.yaml"])
            .exits(0)
            .stdout
            .contains("\"digest\": \"春")
    );
    for (text, place) in [
        ("+++\ntitle = \"春茶\"\n+++\n正文\n".to_owned(), "a.md:1:1"),
        (format!("# 题\n\n---\n{blog}---\n正文\n"), "a.md:3:1"),
        (format!("{blog}---\n正文\n"), "a.md:1:1"),
        (format!(" ---\n{blog}---\n正文\n"), "a.md:1:1"),
        (format!("----\n{blog}----\n正文\n"), "a.md:1:1"),
    ] {
        validate(&front(&text), &[]).exits(3).says("[Q101]").says(place);
    }
}

#[test]
fn words_of_values_are_looked_at_where_they_are_put_in() {
    let case = case("欢迎来到{{ vars.shop }}，{{ vars.more }}。\n\n`{{ vars.shop }}`\n");
    let with = |vars: &str| case.write("project/plan.yaml", plan("[{ file: a.md }]") + vars);
    with("vars: { shop: XX店, more: 好茶 }\n");
    validate(&case, &["--strict"]).exits(3).says("[Q907]").says("project/a.md:5:");
    with("vars: { shop: 茶铺, more: '｛｛ vars.shop ｝｝' }\n");
    validate(&case, &[]).exits(3).says("[Q509]").says("project/a.md:5:");
    with("vars: { shop: 第一茶铺, more: 最近上新 }\nlint: { forbidden: [第一, 最], allow: [最近] }\n");
    let ran = validate(&case, &[]).exits(3).says("[Q405]").says("project/a.md:5:");
    assert_eq!(ran.stderr.matches("error[").count(), 1, "{}", ran.stderr);
    with(
        "vars: { shop: 茶铺, more: '[看](https://m.test.example.com/x)' }\nlint: { staging_hosts: [test.example.com] }\n",
    );
    validate(&case, &[]).exits(0);
    case.write(
        "project/a.md",
        format!("{HEAD}[看](https://m.test.example.com/x)\n{{{{ vars.shop }}}}{{{{ vars.more }}}}\n"),
    );
    validate(&case, &[]).exits(3).says("[Q404]").says("project/a.md:5:1");
}
