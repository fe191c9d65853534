//! What would keep the machine busy is refused, with its limit and its place; what is just below the limit is not.

use std::{collections::HashMap, rc::Rc};

use jiff::Timestamp;
use qunfa::{
    diag::{self, Diagnostics, source::SourceMap},
    limits,
    locale::{Language, Phrase},
    plan,
    render::{self, RenderedPlan},
    resolve::{self, Inputs, Project, ReadError},
};

use crate::support::{hear, in_each_language, repository};

/// Files by their names; the bytes of many names may be the same ones.
struct Files(HashMap<String, Rc<[u8]>>);

impl Project for Files {
    fn read(&self, path: &str, most: u64) -> Result<(String, Vec<u8>), ReadError> {
        let bytes = self.0.get(path).ok_or_else(|| ReadError::Unreadable(Phrase::verbatim("no such file")))?;
        match bytes.len() as u64 > most {
            true => Err(ReadError::TooLarge(bytes.len() as u64)),
            false => Ok((path.to_owned(), bytes.to_vec())),
        }
    }
}

const HEAD: &str =
    "version: 1\nname: test\naccount: { kind: service, appid: wx0123456789abcdef, secret: { env: S } }\nsteps:\n";

fn draft(id: usize, file: &str) -> String {
    format!(
        "  - {{ id: s{id}, action: create_draft, articles: [{{ file: {file}, title: t, cover: cover.png, theme: t.css }}] }}\n"
    )
}

/// What is wrong with steps, as people read it; nothing if they are right.
fn wrong(steps: &str, files: Vec<(String, Vec<u8>)>) -> String {
    let cover = std::fs::read(repository().join("tests/pictures/jade-4x2.png")).expect("is there");
    let given = [("cover.png".to_owned(), cover), ("t.css".to_owned(), b"p { color: red }".to_vec())];
    let files: HashMap<String, Rc<[u8]>> =
        given.into_iter().chain(files).map(|(name, bytes)| (name, bytes.into())).collect();
    let mut sources = SourceMap::default();
    let file = sources.add("plan.yaml", format!("{HEAD}{steps}"));
    let piped = |sources: &mut SourceMap| -> Result<(RenderedPlan, Diagnostics), Diagnostics> {
        let inputs = Inputs {
            project: &Files(files),
            env: &|_| None,
            vars_files: &[],
            vars: &[],
            account: None,
            now: Timestamp::UNIX_EPOCH,
        };
        let resolved = resolve::resolve(plan::validate(plan::parse(file, sources)?), &inputs, sources)?;
        render::render(resolved, "plan.yaml", sources)
    };
    match piped(&mut sources) {
        Ok(_) => String::new(),
        Err(diagnostics) => {
            for found in diagnostics.iter() {
                found.said().for_each(|phrase| hear(&phrase.in_language(Language::Zh)));
            }
            let text = diag::render::human(&diagnostics, &sources);
            let mut parts = text.split("\u{1b}[");
            let first = parts.next().unwrap_or_default().to_owned();
            parts.fold(first, |out, part| out + part.split_once('m').map_or(part, |(_, rest)| rest))
        }
    }
}

fn one(file: &str, bytes: impl Into<Vec<u8>>) -> String {
    let article = if file == "t.css" { "a.md" } else { file };
    let body = (file != article).then(|| (article.to_owned(), b"a".to_vec()));
    wrong(&draft(1, article), body.into_iter().chain([(file.to_owned(), bytes.into())]).collect())
}

#[track_caller]
fn says(found: &str, words: &[&str]) {
    for word in words {
        assert!(found.contains(word), "{word}: {}", &found[..found.floor_char_boundary(2000)]);
    }
}

#[test]
fn an_article_that_is_too_long_is_not_read() {
    let comment = |bytes: usize| format!("a\n\n<!-- {}-->\n", "x".repeat(bytes - 11)).into_bytes();
    assert_eq!(comment(limits::MARKDOWN_BYTES_MAX).len(), limits::MARKDOWN_BYTES_MAX + 1);
    // The last line end is not of the text.
    assert_eq!(one("a.md", comment(limits::MARKDOWN_BYTES_MAX)), "");
    let found = one("a.md", comment(limits::MARKDOWN_BYTES_MAX + 1));
    says(
        &found,
        &[
            "A402",
            "the article has 262,145 bytes of Markdown; at most 262,144 are allowed",
            "a.md:3:",
            "split the article",
        ],
    );
    assert_eq!(one("a.html", format!("<p>a</p><!-- {} -->", "x".repeat(limits::MARKDOWN_BYTES_MAX))), "");
}

#[test]
fn front_matter_has_a_limit() {
    let matter = |bytes: usize| format!("---\ntitle: t\n# {}\n---\na", "x".repeat(bytes - 4 - 9 - 3 - 4));
    assert_eq!(one("a.md", matter(limits::FRONT_MATTER_BYTES_MAX)), "");
    let found = one("a.md", matter(limits::FRONT_MATTER_BYTES_MAX + 1));
    says(&found, &["Q603", "the front matter has 16,385 bytes; the limit is 16,384", "a.md:1:1"]);
}

#[test]
fn cells_of_tables_have_a_limit() {
    in_each_language(|| {
        let table = |rows: usize| {
            let line = |cell: &str| format!("|{}\n", format!("{cell}|").repeat(1000));
            format!("{}{}{}", line(" "), line("-"), "|x\n".repeat(rows)) + "\na"
        };
        // Heads count as rows do; empty cells are cells.
        assert!(!one("a.md", table(19)).contains("20,000 cells"));
        says(&one("a.md", table(20)), &["A402", "the tables of the article have more than 20,000 cells", "a.md:22:1"]);
    });
}

#[test]
fn a_theme_has_a_limit() {
    let theme = |bytes: usize| format!("p {{ color: red }}{}", " ".repeat(bytes - 16));
    assert_eq!(one("t.css", theme(limits::THEME_BYTES_MAX)), "");
    let found = one("t.css", theme(limits::THEME_BYTES_MAX + 1) + "\n");
    says(&found, &["Q603", "the theme `t.css` has 65,537 bytes; the limit is 65,536", "t.css:1:"]);
}

#[test]
fn values_of_themes_are_nested_so_deep_only() {
    let fallbacks = |depth: usize| format!("p {{ color: {}red{} }}", "var(--a,".repeat(depth), ")".repeat(depth));
    let brackets = |depth: usize| format!("p {{ color: {}1{} }}", "rgb(".repeat(depth), ")".repeat(depth));
    for nested in [fallbacks, brackets] {
        assert_eq!(one("t.css", nested(limits::THEME_DEPTH_MAX)), "");
        let found = one("t.css", nested(limits::THEME_DEPTH_MAX + 1));
        says(&found, &["A105", "the value is nested more than 16 levels deep here", "t.css:1:"]);
    }
    says(&one("t.css", fallbacks(7000)), &["A105"]);
}

#[test]
fn variables_of_themes_are_put_in_once_each() {
    let chain: String = (0..2000).map(|n| format!("--v{n}:var(--v{});", n + 1)).collect();
    assert_eq!(one("t.css", format!(":root{{{chain}--v2000:red}}p{{color:var(--v0)}}")), "");
    let doubled: String = (1..30).map(|n| format!("--v{n}:var(--v{0}) var(--v{0});", n - 1)).collect();
    let found = one("t.css", format!(":root{{--v0:red;{doubled}}}p{{margin:var(--v29)}}"));
    says(&found, &["A105", "the value has more than 1,000 bytes"]);
    let used = |times: usize| format!(":root{{--a:{}}}p{{margin:{}}}", "x".repeat(99), "var(--a) ".repeat(times));
    assert_eq!(one("t.css", used(10)), "", "10 times 99 bytes and the spaces between them");
    says(&one("t.css", used(11)), &["A105", "t.css:1:"]);
}

#[test]
fn selectors_have_so_many_names_only() {
    let selector = |names: usize| format!("{}p {{ color: red }}", "section ".repeat(names - 1));
    assert_eq!(one("t.css", selector(limits::SELECTOR_NAMES_MAX)), "");
    says(
        &one("t.css", selector(limits::SELECTOR_NAMES_MAX + 1)),
        &["A103", "the selector has 17 names; at most 16 are allowed"],
    );
}

#[test]
fn findings_of_a_theme_and_of_a_style_end() {
    let found = one("t.css", "p{colour:red}".repeat(4000));
    says(&found, &["A104", "colour"]);
    assert_eq!(found.matches("error[").count(), limits::THEME_FINDINGS_MAX);
    let found = one("a.md", format!("<p style=\"{}\">a</p>", "colour:red;".repeat(4000)));
    assert!(found.matches("error[").count() <= limits::THEME_FINDINGS_MAX, "{}", found.matches("error[").count());
}

#[test]
fn styles_that_are_looked_at_have_a_limit() {
    in_each_language(|| {
        let theme = "section section section section p{color:red;margin:0}".repeat(1200);
        // Each depth and kind of element is a place of its own: 3,600 selectors and declarations for each of them.
        let nested = |depth: usize| {
            "<section>".repeat(depth) + "<p>a <b>b</b> <i>c</i> <code>d</code></p>" + &"</section>".repeat(depth)
        };
        let article = |most: usize| (1..most).map(nested).collect::<String>();
        let try_it = |most: usize| {
            wrong(
                &draft(1, "a.html"),
                vec![("t.css".into(), theme.clone().into_bytes()), ("a.html".into(), article(most).into_bytes())],
            )
        };
        assert!(!try_it(40).contains("have to be looked at"));
        says(
            &try_it(60),
            &[
                "Q106",
                "the theme has 3,600 selectors and declarations",
                "more than the limit of 1,000,000 combinations",
            ],
        );
    });
}

#[test]
fn html_that_is_written_has_a_limit() {
    in_each_language(|| {
        let theme = format!(
            "p{{{}}}",
            ["margin", "padding", "border", "font-family"]
                .map(|name| format!("{name}:'{}';", "x".repeat(900)))
                .concat()
        );
        let found = wrong(
            &draft(1, "a.md"),
            vec![("t.css".into(), theme.into_bytes()), ("a.md".into(), "a\n\n".repeat(3000).into_bytes())],
        );
        says(&found, &["A402", "the article has 2,098,325 bytes; WeChat accepts fewer than 1,048,576", "a.md:1:1"]);
    });
}

#[test]
fn what_is_the_same_is_read_once_and_what_is_not_has_a_limit() {
    in_each_language(|| {
        let article = |text: &str| format!("<!-- {} -->\n\n{text}", "x".repeat(200 << 10)).into_bytes();
        let steps =
            |count: usize, name: &dyn Fn(usize) -> String| (0..count).map(|n| draft(n, &name(n))).collect::<String>();
        // 100 times 200 KiB, and 4 MiB are read.
        assert_eq!(wrong(&steps(100, &|_| "a.md".into()), vec![("a.md".into(), article("a"))]), "");
        let files = |count: usize| (0..count).map(|n| (format!("{n}.md"), article(&n.to_string()))).collect::<Vec<_>>();
        assert_eq!(wrong(&steps(20, &|n| format!("{n}.md")), files(20)), "");
        let found = wrong(&steps(22, &|n| format!("{n}.md")), files(22));
        says(
            &found,
            &["Q106", "with this one, the plan's articles have more than 4 MiB of text", "20.md:1:1", "split the plan"],
        );
        assert_eq!(found.matches("error[").count(), 1, "said once");
    });
}

#[test]
fn articles_that_differ_by_row_have_a_limit() {
    in_each_language(|| {
        let article =
            || vec![("a.md".to_owned(), format!("<!-- {} -->\n\n{{{{ row.k }}}}", "x".repeat(200 << 10)).into())];
        let rows = |count: usize| {
            let rows: Vec<String> = (0..count).map(|n| format!("{{ k: {n} }}")).collect();
            let each = format!("foreach: [{}], key: '{{{{ row.k }}}}', articles", rows.join(", "));
            draft(1, "a.md").replace("articles", &each)
        };
        // The first is not counted, and seven others are.
        assert_eq!(wrong(&rows(8), article()), "");
        let found = wrong(&rows(9), article());
        says(&found, &["Q106", "the articles that differ by row have more than 1,500,000 bytes of text", "a.md:1:1"]);
        assert_eq!(found.matches("error[").count(), 1, "said once");
    });
}

#[test]
fn what_is_written_of_all_articles_has_a_limit() {
    in_each_language(|| {
        // Half a megabyte of text and HTML each time.
        let article = format!("<section style=\"margin:0\">{}</section>", "<p>a</p>".repeat(6000)).into_bytes();
        let theme = "p{margin:0 0 0 0;padding:0 0 0 0}".to_owned();
        let files = || vec![("a.html".to_owned(), article.clone()), ("t.css".to_owned(), theme.clone().into_bytes())];
        let steps = |count: usize| (0..count).map(|n| draft(n, "a.html")).collect::<String>();
        assert_eq!(wrong(&steps(20), files()), "");
        let found = wrong(&steps(200), files());
        says(
            &found,
            &["Q106", "with this one, the plan's articles have more than 32 MiB of text and HTML", "a.html:1:1"],
        );
    });
}

#[test]
fn code_that_is_coloured_has_a_limit_in_all() {
    in_each_language(|| {
        let article = |n: usize| format!("```rust\n{}```\n{n}\n", "fn a() {}\n".repeat(1600)).into_bytes();
        let steps = |count: usize| (0..count).map(|n| draft(n, &format!("{n}.md"))).collect::<String>();
        let files = |count: usize| (0..count).map(|n| (format!("{n}.md"), article(n))).collect::<Vec<_>>();
        assert!(!wrong(&steps(3), files(3)).contains("KiB of code"));
        let found = wrong(&steps(13), files(13));
        says(
            &found,
            &["Q106", "with this block, the plan's articles have more than 192 KiB of code to highlight", "12.md:1:1"],
        );
    });
}

#[test]
fn lines_count_besides_their_text() {
    // 250 KiB of paragraphs of one letter take as long as 1.5 MiB of ordinary ones.
    let article = |n: usize| format!("{n}\n\n{}", "a\n\n".repeat(80_000)).into_bytes();
    let steps = |count: usize| (0..count).map(|n| draft(n, &format!("{n}.md"))).collect::<String>();
    let files = |count: usize| (0..count).map(|n| (format!("{n}.md"), article(n))).collect::<Vec<_>>();
    assert!(!wrong(&steps(2), files(2)).contains("MiB of text\n"));
    says(
        &wrong(&steps(3), files(3)),
        &["Q106", "with this one, the plan's articles have more than 4 MiB of text", "2.md"],
    );
}

#[test]
fn long_lines_of_code_count_more() {
    in_each_language(|| {
        let code =
            |line: usize| format!("```yaml\n{}```\n", format!("{}\n", "a b ".repeat(line / 4)).repeat(40_000 / line));
        let article = |n: usize, line: usize| format!("{n}\n\n{}", code(line)).into_bytes();
        let find = |line: usize| {
            let files = (0..4).map(|n| (format!("{n}.md"), article(n, line))).collect();
            wrong(&(0..4).map(|n| draft(n, &format!("{n}.md"))).collect::<String>(), files)
        };
        assert!(!find(limits::CODE_LINE_USUAL).contains("to highlight"));
        says(&find(396), &["Q106", "more than 192 KiB of code to highlight", "break lines of more than 80 bytes"]);
    });
}

#[test]
fn files_of_a_plan_have_a_limit_together() {
    in_each_language(|| {
        // What is no picture is counted when it is read.
        let bytes = vec![0; 10 << 20];
        let steps = |count: usize| -> String {
            (0..count)
                .map(|n| format!("  - {{ id: s{n}, action: upload_material, type: image, file: {n}.png }}\n"))
                .collect()
        };
        let files = |count: usize| (0..count).map(|n| (format!("{n}.png"), bytes.clone())).collect::<Vec<_>>();
        assert!(!wrong(&steps(51), files(51)).contains("MiB"));
        let found = wrong(&steps(52), files(52));
        says(
            &found,
            &["Q106", "with `51.png`, the plan's pictures and other media have more than 512 MiB", "plan.yaml:56:"],
        );
    });
}

#[test]
fn a_picture_that_claims_too_many_pixels_is_not_decoded() {
    let claims = |width: u32, height: u32| {
        let size = (width - 1) | (height - 1) << 14;
        // One code for every pixel: no byte is needed for any of them.
        [&b"RIFF\x22\0\0\0WEBPVP8L\x16\0\0\0\x2f"[..], &size.to_le_bytes(), b"\x88\x88\x08", &[0; 14]].concat()
    };
    let steps = "  - { id: a, action: upload_material, type: image, file: a.webp, optimize: true }\n";
    let found = wrong(steps, vec![("a.webp".into(), claims(16_384, 16_384))]);
    says(
        &found,
        &[
            "A309",
            "`a.webp` has 16384 × 16384 pixels; `optimize` accepts at most 25 million",
            "plan.yaml:5:",
            "resize it",
        ],
    );
    assert_eq!(wrong(steps, vec![("a.webp".into(), claims(90, 70))]), "");
}
