//! What a plan names and what the command line gives: each thing that is wrong with it, in both languages.

use std::{fmt::Write as _, io::Write as _};

use crate::support::{self, Case, in_both, repository, send};

/// The first line of each error, its place, and what to do about it.
fn told(stderr: &str) -> String {
    let wanted = |line: &&str| {
        let line = line.trim_start();
        ["error", "错误", "--> ", "= help", "= 提示"].iter().any(|begin| line.starts_with(begin))
    };
    // Of many alike the first.
    stderr.lines().filter(wanted).take(9).fold(String::new(), |all, line| all + line.trim_end() + "\n")
}

/// Validates each case, and puts what is told together.
fn all_told(language: &str, cases: impl IntoIterator<Item = (&'static str, Case, Vec<&'static str>)>) -> String {
    let mut all = String::new();
    for (what, case, more) in cases {
        let args = [vec!["validate", "plan.yaml"], more].concat();
        let ran = case.speaks(language).run(&args);
        assert!(matches!(ran.code, 3 | 4), "{what}: {}{}", ran.stdout, ran.stderr);
        write!(all, "=== {what}\n{}", told(&ran.stderr)).expect("in memory");
    }
    all
}

/// A plan without the settings that are warned of.
fn plan(steps: &str) -> String {
    let settings = |line: &&str| !line.starts_with("defaults:");
    support::plan(steps).lines().filter(settings).map(|line| format!("{line}\n")).collect()
}

/// A plan of one message.
fn text(text: &str) -> String {
    let text = serde_json::Value::from(text);
    plan(&format!("  - {{ id: b, action: send_by_tag, to: {{ tag_id: 2 }}, message: {{ text: {text} }} }}\n"))
}

/// The same after a send, and after one of two rows.
fn after(message: &str) -> String {
    let rows = "  - { id: city, action: send_by_tag, foreach: [{ k: 北京 }, { k: 上海 }], key: \"{{ row.k }}\", to: { tag_id: 2 }, message: { text: 你好 } }\n";
    text(message).replace("\nsteps:\n", &format!("\nsteps:\n{}{rows}", send("a")))
}

/// A plan of a draft.
fn draft(articles: &str) -> String {
    plan(&format!("  - {{ id: a, action: create_draft, articles: {articles} }}\n"))
}

fn people(to: &str) -> String {
    plan(&format!("  - {{ id: a, action: send_by_openid, to: {to}, message: {{ text: x }} }}\n"))
}

fn packed(text: &str) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(text.as_bytes()).expect("in memory");
    packed.finish().expect("in memory")
}

fn of(plan: String) -> Case {
    Case::new().file("plan.yaml", plan)
}

#[test]
fn run_time_values_in_the_wrong_place() {
    in_both(|language, suffix| {
        let cases = [
            ("steps alone", of(after("{{ steps }}")), vec![]),
            ("no such output", of(after("{{ steps.a.colour }}")), vec![]),
            ("more than an output", of(after("{{ steps.a.msg_id.x }}")), vec![]),
            ("rows without a key", of(after("{{ steps.city }}")), vec![]),
            ("a number out of range", of(plan("  - { id: a, action: set_speed, speed: \"{{ 9 }}\" }\n")), vec![]),
            ("a path", of(text("x").replace("text: \"x\"", "text: { file: \"{{ run.id }}.txt\" }")), vec![]),
            (
                "an occurrence of spaces",
                of(text("x").replace("\nsteps:", "\noccurrence: \"{{ ' ' }}\"\nsteps:")),
                vec![],
            ),
        ];
        insta::assert_snapshot!(format!("run-time-values{suffix}"), all_told(language, cases));
    });
}

#[test]
fn articles_that_are_wrong() {
    let cover = std::fs::read(repository().join("tests/plans/files/cover.png")).expect("is there");
    let mut large = cover.clone();
    large.resize((1 << 20) + 1, 0);
    let article = |front: &str, plan: &str| {
        let front = if front.is_empty() { String::new() } else { format!("---\n{front}\n---\n") };
        of(draft(&format!("[{{ file: a.md{plan} }}]"))).file("a.md", format!("{front}正文\n")).file("cover.png", &cover)
    };
    let news = "title: 茶\ncover: cover.png";
    in_both(|language, suffix| {
        let cases = [
            ("another ending", of(draft("[{ file: a.docx }]")).file("a.docx", "x"), vec![]),
            ("a long front matter", article(&format!("{news}\ndigest: {}", "长".repeat(30_000)), ""), vec![]),
            ("a front matter that is a list", article("- title: 茶", ""), vec![]),
            ("a flag that is text", article(&format!("{news}\nneed_open_comment: \"yes\""), ""), vec![]),
            ("a title that is a number", article("title: 2026\ncover: cover.png", ""), vec![]),
            ("a title of the run", article(news, ", title: \"{{ run.id }}\""), vec![]),
            ("an empty title", article(news, ", title: \"{{ ' ' }}\""), vec![]),
            ("not a web address", article(&format!("{news}\nsource_url: ftp://a.example"), ""), vec![]),
            ("a crop of several lines", article(news, ", pic_crop_1_1: \"0_0\\n1_1\""), vec![]),
            ("an address of several lines", article(news, ", source_url: \"https://a.example\\nb\""), vec![]),
            ("no such theme", article(&format!("{news}\ntheme: midnight"), ""), vec![]),
            ("a large theme", article(news, ", theme: a.css").file("a.css", "p{}".repeat(100_000)), vec![]),
            ("a cover of the run", article("title: 茶\ncover: \"{{ run.id }}\"", ""), vec![]),
            (
                "a body of the run",
                article(news, "").file("a.md", format!("---\n{news}\n---\n{{{{ run.id }}}}\n")),
                vec![],
            ),
            ("not a picture", article(news, "").file("cover.png", "x"), vec![]),
            (
                "a large picture",
                article(news, "").file("a.md", format!("---\n{news}\n---\n![茶](b.png)\n")).file("b.png", &large),
                vec![],
            ),
            ("no pictures", of(draft("[{ type: newspic, title: 茶, content: 正文 }]")), vec![]),
        ];
        insta::assert_snapshot!(format!("articles{suffix}"), all_told(language, cases));
    });
}

#[test]
fn audiences_that_are_wrong() {
    let file = |name: &str, bytes: &[u8]| of(people(&format!("{{ file: {name} }}"))).file(name, bytes);
    let gz = packed("oA\noB\n");
    let broken: Vec<u8> =
        gz.iter().enumerate().map(|(at, byte)| if at == gz.len() - 6 { !byte } else { *byte }).collect();
    in_both(|language, suffix| {
        let cases = [
            ("no such column", file("a.csv", b"name,id\nx,oA\n"), vec![]),
            ("nothing", file("a.csv", b""), vec![]),
            ("a row with more cells", file("a.csv", b"openid,b\noA,1,2\n"), vec![]),
            ("no such key", file("a.jsonl", b"{\"id\": \"oA\"}\n"), vec![]),
            ("not JSON", file("a.jsonl", b"{\"openid\": \n"), vec![]),
            ("many bad lines", file("a.txt", "张\n".repeat(30).as_bytes()), vec![]),
            ("too many bad lines", file("a.txt", "!\n".repeat(1_000_001).as_bytes()), vec![]),
            ("a missing openid", file("a.csv", b"openid,b\n,1\n"), vec![]),
            ("not gzip", file("a.txt.gz", b"oA\noB\n"), vec![]),
            ("half a gzip", file("a.txt.gz", &gz[..gz.len() - 9]), vec![]),
            ("a damaged gzip", file("a.txt.gz", &broken), vec![]),
            ("an open quote", file("a.csv", "name,openid\n王五,oA\n\"李四,oB\n赵六,oC\n".as_bytes()), vec![]),
            ("a quote in the middle", file("a.csv", "name,openid\n\"王五,oA\n\"李四,oB\n".as_bytes()), vec![]),
            ("rows in a cell", file("a.csv", "name,openid\n\"王五,oA\n李四,oB\n赵六\",oC\n".as_bytes()), vec![]),
            ("no header", file("a.csv", "王五,13800138000\n李四,13900139000\n".as_bytes()), vec![]),
            ("no header of names", file("a.csv", "王五,北京\n李四,上海\n".as_bytes()), vec![]),
            ("a header in a list", file("a.txt", "用户openid\noA\n".as_bytes()), vec![]),
            (
                "no openids",
                file(
                    "a.txt",
                    "13800138000\ntea-editor\n10086\nwang@example.com\n\"oA\"\noA，oB\noA\u{200b}\noA\u{202e}\nOA\n"
                        .as_bytes(),
                ),
                vec![],
            ),
            ("a short one", file("a.txt", b"oFakeOpenId_AAAAAAAAAAAAAA01\noFakeOpenId_AAAAAAAAAAAAAA\n"), vec![]),
            ("a workbook", file("a.csv", b"PK\x03\x04\x14\0\x06\0\x08\0"), vec![]),
            ("an old workbook", file("a.txt", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), vec![]),
            ("a workbook by its name", file("a.xlsx", b"PK\x03\x04"), vec![]),
            ("gzip by its bytes", file("a.csv", &gz), vec![]),
            ("a web page", file("a.csv", b"<html><table><tr><td>oA</td></tr></table>"), vec![]),
            ("another encoding", file("a.csv", b"name,openid\ncaf\xe9,oA\n"), vec![]),
            ("UTF-16 without its mark", file("a.txt", b"o\0A\0\n\0o\0B\0\n\0"), vec![]),
            ("lines of an old Mac", file("a.csv", b"openid,n\roA,1\roB,2\r"), vec![]),
            ("a key twice", file("a.jsonl", b"{\"openid\":\"oA\",\"openid\":\"oB\"}\n"), vec![]),
            ("pretty JSON", file("a.jsonl", b"[\n  {\n    \"openid\": \"oA\"\n  }\n]\n"), vec![]),
            ("half a line", file("a.jsonl", b"{\"openid\":\"oA\"}\n{\"openid\":\"oB"), vec![]),
        ];
        insta::assert_snapshot!(format!("audiences{suffix}"), all_told(language, cases));
    });
}

#[test]
fn rows_that_are_wrong() {
    let step = "  - { id: a, foreach: { file: FILE }, key: \"{{ row.id }}\", action: send_by_tag, to: { tag_id: 2 }, message: { text: \"{{ row.text }}\" } }\n";
    let file = |name: &str, bytes: &[u8]| of(plan(&step.replace("FILE", name))).file(name, bytes);
    in_both(|language, suffix| {
        let cases = [
            ("a workbook", file("a.csv", b"PK\x03\x04\x14\0\x06\0"), vec![]),
            ("another encoding", file("a.csv", b"id,text\n1,x\n2,na\xefve\n"), vec![]),
            (
                "two encodings",
                file("a.csv", &["id,text\n1,春茶\n".as_bytes(), b"2,\xb4\xba\xb2\xe8\n"].concat()),
                vec![],
            ),
            ("UTF-16 without its mark", file("a.csv", b"i\0d\0\n\x00001\0\n\0"), vec![]),
            ("another separator", file("a.csv", "id;text\n1;春茶;x\n2\n".as_bytes()), vec![]),
            ("a key of several rows", file("a.csv", "id,text\n1,春茶\n2,秋茶\n1,红茶\n".as_bytes()), vec![]),
            ("an empty key", file("a.csv", "id,text\n1,春茶\n,秋茶\n".as_bytes()), vec![]),
            ("an empty text", file("a.csv", "id,text\n1,春茶\n2,\n".as_bytes()), vec![]),
            ("a bidi control", file("a.csv", "id,text\n1,春\u{202e}茶\n2,x\n".as_bytes()), vec![]),
        ];
        insta::assert_snapshot!(format!("rows{suffix}"), all_told(language, cases));
    });
}

#[test]
fn values_from_outside_that_are_wrong() {
    let with = |head: &str| of(text("x").replace("\nsteps:", &format!("\n{head}\nsteps:")));
    in_both(|language, suffix| {
        let cases = [
            ("without =", of(text("x")), vec!["--var", "tea"]),
            ("not a name", of(text("x")), vec!["--var", "the-tea=1"]),
            ("a control character", of(text("x")), vec!["--var", "tea=\u{7}"]),
            ("not used", of(text("x")), vec!["--var", "tea=1"]),
            ("almost a variable", with("vars: { product: 茶 }"), vec!["--var", "prodcut=1"]),
            ("a file of a list", of(text("x")).file("vars.yaml", "- 1\n"), vec!["--vars-file", "vars.yaml"]),
            ("a file that is not text", of(text("x")).file("vars.yaml", [0xff]), vec!["--vars-file", "vars.yaml"]),
            ("an environment variable", with("env: [TEA]").env("TEA", "\u{7}"), vec![]),
            ("one that turns", with("env: [TEA]").env("TEA", "茶\u{202e}"), vec![]),
            ("one that hides", with("env: [TEA]").env("TEA", "茶\u{200b}"), vec!["--strict"]),
            (
                "not an AppID",
                of(text("x").replace("appid: wx0123456789abcdef", "appid: { env: APPID }")).env("APPID", "tea"),
                vec![],
            ),
            (
                "a large file",
                of(text("x").replace("text: \"x\"", "text: { file: a.txt }")).file("a.txt", "x".repeat((2 << 20) + 1)),
                vec![],
            ),
        ];
        insta::assert_snapshot!(format!("values{suffix}"), all_told(language, cases));
    });
}

#[test]
fn settings_for_the_sandbox_alone_are_warned_of() {
    in_both(|language, suffix| {
        let plan = support::plan(&send("a")).replace("defaults: {", "defaults: { pace: { per_minute: 90 },");
        let ran = of(plan).speaks(language).run(&["validate", "plan.yaml"]).exits(0);
        insta::assert_snapshot!(format!("sandbox-settings{suffix}"), ran.stderr);
    });
}
