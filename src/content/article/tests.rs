use std::{cell::Cell, ops::Range};

use proptest::prelude::*;

use super::*;
use crate::diag::{Diagnostics, source::SourceMap};

const RICH: &str = include_str!("fixtures/rich.md");

fn run(format: Format, text: &str, links: Links, theme: &Theme) -> (Option<Article>, Vec<Diagnostic>, SourceMap) {
    let mut map = SourceMap::default();
    let file = map.add("article.md", text.to_owned());
    let place = move |range: Range<usize>| Span::new(file, range);
    let (article, found) = convert(&Input {
        format,
        text,
        place: &place,
        theme,
        links,
        webp: false,
        colours: &Cell::new(1 << 20),
        lint: Default::default(),
    });
    (article, found.into_iter().map(|finding| finding.diagnostic).collect(), map)
}

fn plain() -> Theme {
    Theme::builtin("plain").expect("built in")
}

/// `A203 1:4` for each finding.
fn shown(diagnostics: &[Diagnostic], map: &SourceMap) -> Vec<String> {
    let place = |d: &Diagnostic| map.position(&d.primary.as_ref().expect("a place").span);
    diagnostics.iter().map(|d| format!("{} {}:{}", d.code.info().id, place(d).line, place(d).column)).collect()
}

fn findings(format: Format, text: &str) -> Vec<String> {
    let (article, diagnostics, map) = run(format, text, Links::Footnote, &plain());
    assert_eq!(article.is_none(), diagnostics.iter().any(|found| found.severity() == Severity::Error), "{text}");
    for diagnostic in &diagnostics {
        assert!(!diagnostic.help.is_empty(), "{diagnostic:?}");
        let span = &diagnostic.primary.as_ref().expect("a place").span;
        assert!(text.get(span.start..span.end).is_some(), "{diagnostic:?}");
    }
    shown(&diagnostics, &map)
}

fn md(text: &str) -> Vec<String> {
    findings(Format::Markdown, text)
}

fn html(text: &str) -> Vec<String> {
    findings(Format::Html, text)
}

fn none() -> Vec<String> {
    Vec::new()
}

fn article(text: &str) -> Article {
    let (article, diagnostics, _) = run(Format::Markdown, text, Links::Footnote, &plain());
    article.unwrap_or_else(|| panic!("{diagnostics:?}"))
}

/// The HTML without styles.
fn bare(text: &str) -> String {
    bare_of(&article(text))
}

fn bare_of(article: &Article) -> String {
    let html = article.html(|_, image| format!("[{}]", image.path));
    let mut out = String::new();
    let mut rest = html.as_str();
    while let Some((before, after)) = rest.split_once(" style=\"") {
        out.push_str(before);
        rest = after.split_once('"').expect("closed").1;
    }
    out + rest
}

#[test]
fn tags_are_allow_listed() {
    assert_eq!(md("好 <div>x</div>"), ["A201 1:3"]);
    assert_eq!(md("a\n\n<script>alert(1)</script>\n"), ["A201 3:1"]);
    assert_eq!(html("<p>a</p>\n<iframe></iframe>"), ["A201 2:1"]);
    assert_eq!(html("<p><input></p>"), ["A201 1:4"]);
    assert_eq!(html("<p><sapn>a</sapn></p>"), ["A201 1:4"]);
    assert_eq!(md("a <svg><path d=\"M0\"/></svg>")[0], "A201 1:3");
}

#[test]
fn attributes_are_allow_listed() {
    assert_eq!(html("<p id=\"x\">a</p>"), ["A202 1:4"]);
    assert_eq!(html("<p style='color:red' class=a>a</p>"), ["A202 1:22"]);
    assert_eq!(md("> 好 <b onclick=\"x()\">a</b>"), ["A202 1:8"]);
    assert_eq!(md("> 好\n>\n> <p data-x=1>a</p>"), ["A202 3:6"]);
    assert_eq!(html("<p href=x>a</p>"), ["A202 1:4"]);
    assert_eq!(html("<table><tr><td colspan=x>a</td></tr></table>"), ["A202 1:24"]);
    assert_eq!(html("<ol start=x><li>a</li></ol>"), ["A202 1:11"]);
}

#[test]
fn styles_are_checked() {
    assert_eq!(html("<p style=\"color:red;position:fixed\">a</p>"), ["A206 1:21"]);
    assert_eq!(html("<p style=\"width: calc(1px + 2px)\">a</p>"), ["A206 1:18"]);
    assert_eq!(html("<p style=\"color:red !important\">a</p>"), ["A206 1:21"]);
    assert_eq!(html("<p style=\"background:red\">a</p>"), ["A206 1:11"]);
    assert_eq!(html("<p style=\"color\">a</p>"), ["A206 1:11"]);
    assert_eq!(html("<p style=\"color:url(x)\">a</p>"), ["A206 1:17"]);
    assert_eq!(html("<p style=\"display:none\">a</p>"), ["A206 1:11"]);
    assert_eq!(html("<p style=\"color:red;;margin:0\">a</p>"), none());
}

#[test]
fn tags_are_balanced() {
    assert_eq!(md("a\n\nb <b>c"), ["A204 3:3"]);
    assert_eq!(md("a </b>"), ["A204 1:3"]);
    assert_eq!(md("<b>a <i>b</b> c</i>"), ["A204 1:10", "A204 1:16"]);
    assert_eq!(html("<section><p>a</section>"), ["A204 1:14"]);
    assert_eq!(html("<p>a<br/>b</p><section/>"), ["A204 1:15"]);
    assert_eq!(html("<p>a</br></p>"), ["A204 1:5"]);
    // Across a blank line the tags are in the same container.
    assert_eq!(md("<section>\n\n**a**\n\n</section>"), none());
    assert_eq!(md("- <section>\n\n</section>")[0], "A204 1:3");
}

/// Each input with what is said of it, in both languages.
fn in_both_languages(inputs: &str, findings: impl Fn(&str) -> Vec<Diagnostic>) -> String {
    let mut all = String::new();
    for input in inputs.lines() {
        all.push_str(&format!("{input}\n"));
        let found = findings(input);
        assert!(!found.is_empty(), "{input}");
        for phrase in found.iter().flat_map(|found| std::iter::once(&found.message).chain(&found.help)).take(10) {
            for (language, _) in crate::locale::tests::BOTH {
                all.push_str(&format!("    {}\n", phrase.in_language(language)));
            }
        }
    }
    all
}

#[test]
fn findings_are_said_in_both_languages() {
    let of = |format| move |text: &str| run(format, &text.replace('⏎', "\n"), Links::Error, &plain()).1;
    insta::assert_snapshot!(
        "findings-html@zh",
        in_both_languages(include_str!("fixtures/wrong.html.txt"), of(Format::Html))
    );
    let markdown = in_both_languages(include_str!("fixtures/wrong.md.txt"), of(Format::Markdown));
    insta::assert_snapshot!("findings-markdown@zh", markdown);
    let of_theme = |css: &str| {
        let mut map = SourceMap::default();
        let file = map.add("theme.css", css.to_owned());
        let mut found = Diagnostics::default();
        Theme::parse(css, &|range| Span::new(file, range), &mut found);
        found.into_vec()
    };
    insta::assert_snapshot!("findings-theme@zh", in_both_languages(include_str!("fixtures/wrong.css.txt"), of_theme));
}

#[test]
fn tags_stand_where_they_belong() {
    assert_eq!(html("<p>a<section>b</section></p>"), ["A205 1:5"]);
    assert_eq!(html("<ul>a</ul>"), ["A205 1:5"]);
    assert_eq!(html("<ul><p>a</p></ul>"), ["A205 1:5"]);
    assert_eq!(html("<section>\n <li>a</li></section>"), ["A205 2:2"]);
    assert_eq!(html("<table><tr>a</tr></table>"), ["A205 1:12"]);
    assert_eq!(html("<pre>a <b>c</b></pre>"), ["A205 1:8"]);
    assert_eq!(html("<b><p>a</p></b>"), ["A205 1:4"]);
}

#[test]
fn broken_html_is_named() {
    assert_eq!(html("<!doctype html><p>a</p>")[0], "A214 1:1");
    assert_eq!(html("<p>a < b</p>").len(), 1);
    assert!(html("<p>a < b</p>")[0].starts_with("A214 1:"));
    assert!(html("<p>a</p><!-- x")[0].starts_with("A214 1:"));
    assert_eq!(html("<p>AT&T &copy; a&amp;b</p>"), none());
}

#[test]
fn formulas_and_diagrams_are_errors() {
    assert_eq!(md("a\n\n$$x^2$$"), ["A207 3:1"]);
    assert_eq!(md("好 $\\alpha + 1$ 吗"), ["A207 1:3"]);
    assert_eq!(html("<p>好 $\\alpha$</p>"), ["A207 1:6"]);
    assert_eq!(md("```mermaid\ngraph\n```"), ["A208 1:1"]);
    assert_eq!(md("a\n\n```plantuml\na\n```"), ["A208 3:1"]);
    assert_eq!(md("从 $5 到 $6,`$x$`"), none());
    assert_eq!(article("$a *b* c$").text, "$a b c$");
}

#[test]
fn languages_are_known() {
    assert_eq!(md("a\n\n```rsut\nx\n```"), ["A203 3:4"]);
    for known in ["rust", "ts", "toml", "kotlin", "dockerfile", "text", "bash", "json", "yaml", "python", "go", "sql"] {
        assert_eq!(md(&format!("a\n\n```{known}\nx\n```")), none(), "{known}");
    }
}

#[test]
fn lists_keep_their_markers() {
    assert_eq!(bare("3. a\n4. b"), "<section><section>3. a</section><section>4. b</section></section>");
    assert_eq!(bare("1) a"), "<section><section>1) a</section></section>");
    assert_eq!(
        bare("- a\n  - b\n\n    c\n- d"),
        "<section><section>• a</section><section><section>• b</section><section><p>c</p></section></section>\
         <section>• d</section></section>"
    );
    assert_eq!(bare("- [x] a\n- [ ] b"), "<section><section>☑ a</section><section>☐ b</section></section>");
    assert_eq!(md("- a\n  - a\n    - a\n      - a"), none());
    assert_eq!(md("- a\n  - a\n    - a\n      - a\n        - a"), ["A209 5:9"]);
}

#[test]
fn tables_scroll_and_align() {
    let html = article("|a|b|\n|-|-:|\n|c|d|").html(|_, _| String::new());
    assert!(html.starts_with("<section style=\"margin:16px 0;overflow-x:auto\"><table style="), "{html}");
    assert!(html.contains("text-align:right\">d</td>"), "{html}");
    assert_eq!(
        bare("|a|b|\n|-|-:|\n|c|**d**|"),
        "<section><table><tbody><tr><th>a</th><th>b</th></tr><tr><td>c</td><td><strong>d</strong></td></tr></tbody></table></section>"
    );
    assert_eq!(md("|a|b|\n|-|-|\n|c|d|好|"), ["A215 3:6"]);
    assert_eq!(md("a|b\n-|-\nc|d|e"), ["A215 3:5"]);
    assert_eq!(md("|a|b|\n|-|-|\n|c|d\\|e|\n|c|"), none());
}

#[test]
fn code_is_kept_to_the_letter() {
    assert_eq!(
        bare("x\n\n```\na  b\n\tc\n  d\te\n\n<&>\n```"),
        "<p>x</p><section>a&nbsp;&nbsp;b<br>&nbsp;&nbsp;&nbsp;&nbsp;c<br>&nbsp;&nbsp;d&nbsp;e<br><br>&lt;&amp;&gt;</section>"
    );
    let colours = article("x\n\n```rust\n// a\nfn b() {}\n```");
    let html = colours.html(|_, _| String::new());
    assert!(html.contains("<span style=\"color:#7a828e\">//&nbsp;a</span><br>"), "{html}");
    assert_eq!(colours.text, "x\n// a\nfn b() {}");
    assert!(bare("```\na\n```").starts_with("<p>&nbsp;</p><section>"));
    assert!(bare("> ```\n> a\n> ```").starts_with("<p>&nbsp;</p><section>"));
    assert_eq!(bare("a `b  c` d"), "<p>a <code>b&nbsp;&nbsp;c</code> d</p>");
    let (pre, ..) = run(Format::Html, "<p>x</p><pre><code>a\n b</code></pre>", Links::Footnote, &plain());
    assert_eq!(bare_of(&pre.expect("good")), "<p>x</p><section>a<br>&nbsp;b</section>");
}

#[test]
fn links_follow_the_policy() {
    let text = "[a](https://x.cn/?a&b) [b](https://mp.weixin.qq.com/s/1) [c](https://x.cn/?a&b) <https://y.cn>";
    assert_eq!(
        bare(text),
        "<p><span>a</span><sup>[1]</sup> <a href=\"https://mp.weixin.qq.com/s/1\">b</a> <span>c</span><sup>[1]</sup> \
         <span>https://y.cn</span></p><section><p>参考链接</p><section>[1] https://x.cn/?a&amp;b</section></section>"
    );
    let (kept, ..) = run(Format::Markdown, text, Links::Keep, &plain());
    assert!(bare_of(&kept.expect("good")).contains("<a href=\"https://x.cn/?a&amp;b\">c</a>"));
    let (refused, diagnostics, map) = run(Format::Markdown, "好 [a](http://x.cn)", Links::Error, &plain());
    assert!(refused.is_none());
    assert_eq!(shown(&diagnostics, &map), ["A210 1:3"]);
    // A name that only looks like WeChat's is external.
    assert!(bare("[a](https://mp.weixin.qq.com.evil.cn/) [b](https://mp.weixin.qq.com@evil.cn/)").contains("[2]"));
    assert_eq!(md("好 [a](#b)"), ["A211 1:3"]);
    assert_eq!(md("[a](other.md)"), ["A211 1:1"]);
    assert_eq!(html("<p><a href=\"javascript:x()\">a</a></p>"), ["A211 1:13"]);
    assert_eq!(html("<p><a>a</a></p>"), ["A211 1:4"]);
}

#[test]
fn notes_are_numbers() {
    assert_eq!(
        bare("a[^x] b[^y] c[^x]\n\n[^y]: Y\n[^x]: X **x**\n"),
        "<p>a<sup>1</sup> b<sup>2</sup> c<sup>1</sup></p><section><p>注释</p><section>1. X <strong>x</strong></section>\
         <section>2. Y</section></section>"
    );
    assert_eq!(md("好 a[^z]"), ["A216 1:4"]);
    assert_eq!(md("a\n\n[^x]: lost"), ["A215 3:1"]);
}

#[test]
fn images_are_files_beside_the_article() {
    let two = article("![a](i/a%20b.png) ![c](c.jpg)\n\n![a](i/a%20b.png)");
    assert_eq!(two.images.iter().map(|image| image.path.as_str()).collect::<Vec<_>>(), ["i/a b.png", "c.jpg"]);
    assert_eq!(two.budget.images, 3);
    let order: Vec<usize> =
        two.pieces.iter().filter_map(|p| if let Piece::Image(at) = p { Some(*at) } else { None }).collect();
    assert_eq!(order, [0, 1, 0]);
    let html = two.html(|at, _| format!("u{at}"));
    assert!(
        html.contains("<img src=\"u1\" alt=\"c\" style=\"border-radius:4px;max-width:100%;height:auto\">"),
        "{html}"
    );
    assert_eq!(md("好 ![a](https://x.cn/a.png)"), ["A301 1:3"]);
    assert_eq!(md("![a](data:image/png;base64,AA)"), ["A301 1:1"]);
    assert_eq!(html_image("//x.cn/a.png"), ["A301 1:14"]);
    assert_eq!(html_image("/a.png"), ["A302 1:14"]);
    assert_eq!(html_image("%2Fa.png"), ["A302 1:14"]);
    assert_eq!(html_image("a%ff.png"), ["A302 1:14"]);
    assert_eq!(html_image("a.webp"), ["A303 1:14"]);
    assert_eq!(md("好\n\n![](a.png)"), ["A304 3:1"]);
}

fn html_image(src: &str) -> Vec<String> {
    html(&format!("<p><img src=\"{src}\" alt=a></p>"))
}

#[test]
fn warnings_can_be_silenced_with_a_reason() {
    assert_eq!(md("<!-- lint-allow A304 it is decoration -->\n![](a.png)"), none());
    assert_eq!(md("<!-- lint-allow image-without-text decoration -->\n\n![](a.png)\n\n![](b.png)"), ["A304 5:1"]);
    assert_eq!(md("a <!-- lint-allow A304 decoration --> ![](a.png)"), none());
    assert_eq!(html("<!-- lint-allow A304 x --><p><img src=\"a.png\"></p>"), none());
    assert_eq!(md("好 <!-- lint-allow A304 -->"), ["A212 1:3"]);
    assert_eq!(md("<!-- lint-allow A201 why not -->\n"), ["A212 1:1"]);
    assert_eq!(md("a\n\n<!-- lint-allow A999 x -->"), ["A212 3:1"]);
    assert_eq!(md("a\n\n<!-- lint-allow -->"), ["A212 3:1"]);
}

#[test]
fn sizes_are_limited() {
    let _heard = crate::locale::tests::heard("content-article-sizes_are_limited");
    assert_eq!(md(" \n"), ["A405 1:1"]);
    assert_eq!(md(&"字".repeat(20_000)), ["A401 1:1"]);
    assert_eq!(md(&"字".repeat(19_999)), ["A403 1:1"]);
    assert_eq!(md(&"字".repeat(16_000)), ["A404 1:1"]);
    assert_eq!(md(&"字".repeat(15_000)), none());
    let budget = Budget { bytes: 1 << 20, ..Budget::default() };
    let mut map = SourceMap::default();
    let file = map.add("a", "a".into());
    let mut diagnostics = Vec::new();
    check_budget(&budget, Span::new(file, 0..0), &mut diagnostics);
    assert_eq!(shown(&diagnostics, &map), ["A402 1:1"]);
}

fn theme(css: &str) -> Vec<String> {
    let mut map = SourceMap::default();
    let file = map.add("theme.css", css.to_owned());
    let mut diagnostics = Diagnostics::default();
    Theme::parse(css, &|range| Span::new(file, range), &mut diagnostics);
    shown(&diagnostics, &map)
}

#[test]
fn themes_are_checked() {
    let _heard = crate::locale::tests::heard("content-article-themes_are_checked");
    assert_eq!(theme("/* 好 */ p { color: red; }\nh1, .quote p { margin: 0 }"), none());
    assert_eq!(theme("p { color red; }"), ["A101 1:5"]);
    assert_eq!(theme("p { color: red;"), ["A101 1:3"]);
    assert_eq!(theme("p { color: red; }\n好"), ["A101 2:1"]);
    assert_eq!(theme("p { h1 { color: red } }")[0], "A101 1:8");
    assert_eq!(theme("@media print { p { color: red } }\n@import 'x';\np { color: red }"), ["A102 1:1", "A102 2:1"]);
    assert_eq!(theme("p {}\np::before { color: red }"), ["A103 2:1"]);
    assert_eq!(theme("p, .code-blok { color: red }"), ["A103 1:4"]);
    assert_eq!(theme("p > b { color: red }"), ["A103 1:1"]);
    assert_eq!(theme("#x { color: red }\ndiv { color: red }\np.quote {}"), ["A103 1:1", "A103 2:1", "A103 3:1"]);
    for property in
        ["position: fixed", "animation: x", "transform: none", "filter: none", "display: grid", "colour: red"]
    {
        assert_eq!(theme(&format!("p {{ margin: 0;\n  {property}; }}")), ["A104 2:3"], "{property}");
    }
    for value in ["calc(1px)", "linear-gradient(red,blue)", "url(x.png)", "url('x')", "red !important", "{}"] {
        assert_eq!(
            theme(&format!("p {{ color: {value}; }}")).first().map(|f| &f[..4]),
            Some(if value == "{}" { "A101" } else { "A105" })
        );
    }
    assert_eq!(theme("p { color: calc(1px) }"), ["A105 1:12"]);
    assert_eq!(theme("p { color: var(--x) }"), ["A106 1:12"]);
    assert_eq!(theme("p { color: var(--x, red) }"), none());
    assert_eq!(theme(":root { --a: var(--b);\n--b: var(--a) }"), ["A106 1:14", "A106 2:6"]);
    assert_eq!(theme(":root { --b: var(--a); --a: red } p { color: var(--b) }"), none());
    assert_eq!(theme("p { --x: red }"), ["A106 1:5"]);
    assert_eq!(theme("p { font-family: PingFang SC, serif }"), ["A107 1:18"]);
    assert_eq!(theme("p { font-family: \"PingFang SC\", Menlo, serif }"), none());
    assert_eq!(theme("p { margin: 0 }\n p { background: red }"), ["A108 2:2"]);
    assert_eq!(theme("hr { background: red }"), none());
    // Values that name each other twice would double with each line.
    let bomb: String = (1..40).map(|n| format!("--v{n}: var(--v{}) var(--v{});", n - 1, n - 1)).collect();
    assert!(!theme(&format!(":root {{ --v0: red; {bomb} }}")).is_empty());
}

#[test]
fn rules_of_a_theme_match_by_weight() {
    let css = "blockquote p { color: #123456; } p { color: red; margin: 0.5em  1px }";
    let mut map = SourceMap::default();
    let file = map.add("theme.css", css.to_owned());
    let theme = Theme::parse(css, &|range| Span::new(file, range), &mut Diagnostics::default());
    let (article, ..) = run(Format::Markdown, "a\n\n> b", Links::Footnote, &theme);
    let html = article.expect("good").html(|_, _| String::new());
    assert_eq!(
        html,
        "<p style=\"color:red;margin:.5em 1px\">a</p><section><p style=\"margin:.5em 1px;color:#123456\">b</p></section>"
    );
}

#[test]
fn built_in_themes_have_no_findings() {
    assert_eq!(theme(include_str!("themes/plain.css")), none());
    assert_eq!(theme(include_str!("themes/jade.css")), none());
    assert!(Theme::BUILTIN.iter().all(|name| Theme::builtin(name).is_some()));
    assert!(Theme::builtin("other").is_none());
}

#[test]
fn lines_of_chinese_are_joined_without_a_space() {
    assert_eq!(bare("中文\n中文 a\nb **中**\n文"), "<p>中文中文 a b <strong>中</strong>文</p>");
    assert_eq!(bare("a\\\nb  \nc"), "<p>a<br>b<br>c</p>");
    assert_eq!(
        bare("# a\n\n---\n\n~~b~~ *c* **好。**然"),
        "<h1>a</h1><hr><p><del>b</del> <em>c</em> <strong>好。</strong>然</p>"
    );
}

#[test]
fn a_rich_article_in_both_themes() {
    for name in Theme::BUILTIN {
        let theme = Theme::builtin(name).expect("built in");
        let (article, diagnostics, map) = run(Format::Markdown, RICH, Links::Footnote, &theme);
        assert_eq!(shown(&diagnostics, &map), none());
        let article = article.expect("good");
        let html = article.html(|at, _| format!("https://mmbiz.qpic.cn/{at}"));
        for gone in ["<div", "<ul", "<li", " id=", " class=", "data-", "var(", "<blockquote", "\n"] {
            assert!(!html.contains(gone), "{gone} in {html}");
        }
        assert!(html.chars().count() <= 12_000, "{:?}", article.budget);
        insta::assert_snapshot!(*name, html.replace("><", ">\n<"));
        insta::assert_snapshot!(format!("{name}-text"), format!("{}\n---\n{:#?}", article.text, article.budget));
        for _ in 0..3 {
            assert_eq!(run(Format::Markdown, RICH, Links::Footnote, &theme).0.as_ref(), Some(&article));
        }
    }
}

#[test]
fn silences_are_used() {
    assert_eq!(md("<!-- lint-allow A304 decoration -->\n好茶"), ["A217 1:1"]);
    assert_eq!(md("<!-- lint-allow A404 一篇长文 -->\n\n好茶"), ["A217 1:1"]);
    assert_eq!(md(&format!("<!-- lint-allow A404 一篇长文 -->\n\n{}", "字".repeat(16_000))), none());
    // With an error, what it is about may not have been read.
    assert_eq!(md("<!-- lint-allow A304 decoration -->\n好茶 <div>a</div>"), ["A201 2:4"]);
}

#[test]
fn formulas_are_told_from_money_and_brackets() {
    assert_eq!(md("好 \\(\\alpha\\) 吗"), ["A207 1:3"]);
    assert_eq!(md("> \\[\n> x^2\n> \\]"), ["A207 1:3"]);
    assert_eq!(html("<p>\\[x^2\\]</p>"), ["A207 1:4"]);
    assert_eq!(md("其中 $x$ 与 $y_1 = 2$"), ["A207 1:4", "A207 1:10"]);
    for plain in ["\\(附注\\)", "`\\(x^2\\)`", "US$5 or HK$ 6", "$HOME and $PATH", "1\\$ = 2\\$", "\\\\(a=b\\\\)"] {
        assert_eq!(md(plain), none(), "{plain}");
    }
}

#[test]
fn hostile_html_is_refused_where_it_is() {
    assert_eq!(html("<p><a href=\"java&#10;script:x()\">a</a></p>"), ["A211 1:7"]);
    assert_eq!(html("<p><a href=\" javascript:x()\">a</a></p>"), ["A211 1:13"]);
    assert_eq!(html("<p style=\"background:url(javascript:x)\">a</p>"), ["A206 1:22"]);
    assert_eq!(html("<p style=\"color:expression(x())\">a</p>"), ["A206 1:17"]);
    assert_eq!(html("<p style=\"@import 'x'\">a</p>"), ["A206 1:11"]);
    assert_eq!(html("<p>a</p><![CDATA[x]]>"), ["A214 1:18"]);
    assert_eq!(html("<svg onload=\"x()\"></svg><p>a</p>")[0], "A201 1:1");
    assert_eq!(html("<p>a</p><!-- <script>x()</script> -->"), none());
    assert_eq!(html("<p>&lt;script&gt;</p>"), none());
    let many: String = (0..40).map(|n| format!(" a{n}=1")).collect();
    assert!(html(&format!("<p{many}>a</p>")).contains(&"A214 1:1".to_owned()));
}

#[test]
fn hostile_articles_end_quickly() {
    let many = 100_000;
    let nested = |open: &str, close: &str| format!("{}a{}", open.repeat(2000), close.repeat(2000));
    let texts = [
        ">".repeat(many),
        "[".repeat(many),
        "![".repeat(many / 2),
        "*a **b ".repeat(many / 10),
        "`".repeat(many) + "a",
        "- ".repeat(many / 10),
        "<b>".repeat(many / 10),
        "<!--".repeat(many / 10),
        "$".repeat(many),
        "$a\\".repeat(many / 10),
        "|a".repeat(many / 10) + "\n" + &"|-".repeat(many / 10) + "\n|",
        "[^a]".repeat(many / 10) + "\n\n[^a]: [^a]",
        "&".repeat(many),
        "\\".repeat(many),
        "~~a".repeat(many / 10),
        nested("<section>\n\n", "\n\n</section>"),
        format!("```rust\n{}\n```", "((\"".repeat(many / 10)),
        "a\r\r\n\t\u{2028}<".to_owned(),
        "[^".repeat(many / 2),
        "\\(".repeat(many / 2),
        "<!-- lint-allow A304 x -->\n\n".repeat(many / 50),
        (0..many / 50).map(|n| format!("![a]({n}.png) [a](https://a.cn/{n}) ")).collect(),
        format!("<p {}>", (0..many / 10).map(|n| format!("a{n} ")).collect::<String>()),
    ];
    for text in &texts {
        md(text);
    }
    assert_eq!(md(&">".repeat(many)).first().map(|f| &f[..4]), Some("A213"));
    for text in [nested("<section>", "</section>"), nested("<b>", "</b>"), "<".repeat(many), "<p".repeat(many / 10)] {
        html(&text);
    }
    assert_eq!(html(&nested("<section>", "</section>")), ["A213 1:577"]);
    assert_eq!(html("<p>a"), ["A204 1:1"]);
    for css in ["{".repeat(many), "p{".repeat(many), "p{color:".repeat(1000) + &"(".repeat(many), "/*".repeat(many)] {
        theme(&css);
    }
}

/// Visible text as the parser's own tree has it, with the letters only.
fn letters_of_tree(text: &str) -> String {
    let arena = comrak::Arena::new();
    let root = comrak::parse_document(&arena, text, &markdown::options(false));
    let mut out = String::new();
    for node in root.descendants() {
        use comrak::nodes::NodeValue;
        match &node.data().value {
            NodeValue::Text(text) => out.push_str(text),
            NodeValue::Code(code) => out.push_str(&code.literal),
            NodeValue::CodeBlock(block) => out.push_str(&block.literal),
            _ => {}
        }
    }
    letters(&out)
}

fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphabetic() || "<>&_{};=/\"'".contains(*c)).collect()
}

/// The letters of HTML, tags left out.
fn letters_of_html(html: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in html.chars() {
        match c {
            '<' => inside = true,
            '>' => inside = false,
            c if !inside => out.push(c),
            _ => {}
        }
    }
    let out = out.replace("&nbsp;", " ").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    letters(&out)
}

fn words() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop_oneof![
            "[a-z]{1,6}",
            "[春茶上市雨水山里]{1,5}",
            Just("a & b".to_owned()),
            Just("1 < 2".to_owned()),
            Just("\"x\"".to_owned())
        ],
        1..6,
    )
    .prop_map(|words| words.join(" "))
}

fn inline() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop_oneof![
            words(),
            words().prop_map(|w| format!("**{w}**")),
            words().prop_map(|w| format!("*{w}*")),
            words().prop_map(|w| format!("~~{w}~~")),
            words().prop_map(|w| format!("`{w}`")),
            words().prop_map(|w| format!("[{w}](https://mp.weixin.qq.com/s/x)")),
            words().prop_map(|w| format!("**{w} *{w}* `{w}`**")),
        ],
        1..5,
    )
    .prop_map(|parts| parts.join(" "))
}

fn block() -> impl Strategy<Value = String> {
    prop_oneof![
        inline(),
        (1..6usize, inline()).prop_map(|(n, w)| format!("{} {w}", "#".repeat(n))),
        prop::collection::vec(inline(), 1..4).prop_map(|lines| lines.join("\n")),
        prop::collection::vec((0..3usize, inline()), 1..5).prop_map(|items| {
            items.iter().map(|(n, w)| format!("{}- {w}", "  ".repeat(*n))).collect::<Vec<_>>().join("\n")
        }),
        prop::collection::vec(inline(), 1..4).prop_map(|items| {
            items.iter().enumerate().map(|(n, w)| format!("{}. {w}\n\n   {w}", n + 3)).collect::<Vec<_>>().join("\n")
        }),
        prop::collection::vec(inline(), 1..4).prop_map(|lines| lines
            .iter()
            .map(|w| format!("> {w}"))
            .collect::<Vec<_>>()
            .join("\n")),
        prop::collection::vec((words(), words()), 1..4).prop_map(|rows| {
            let rows: Vec<String> = rows.iter().map(|(a, b)| format!("| {a} | {b} |")).collect();
            format!("| x | y |\n|---|:-:|\n{}", rows.join("\n"))
        }),
        prop::collection::vec((any::<bool>(), inline()), 1..4).prop_map(|tasks| {
            tasks
                .iter()
                .map(|(done, w)| format!("- [{}] {w}", if *done { 'x' } else { ' ' }))
                .collect::<Vec<_>>()
                .join("\n")
        }),
        (inline(), inline()).prop_map(|(a, b)| format!("- {a}\n  - {b}\n    1. {a}\n       - {b}\n- {a}")),
        (
            prop_oneof!["rust", "js", "text", "python", "toml"],
            prop::collection::vec("[ \ta-z(){};\"'/<>&=]{0,20}", 0..5)
        )
            .prop_map(|(language, lines)| format!("```{language}\n{}\n```", lines.join("\n"))),
    ]
}

/// Tags and attributes are of the few that are known to survive, and no address is a script.
fn only_what_survives(html: &str) {
    for tag in html.split('<').skip(1) {
        let tag = tag.split_once('>').expect("closed").0;
        let name = tag.trim_start_matches('/').split(' ').next().unwrap_or_default();
        assert!(rules::RULESET.tags.contains_key(name), "<{tag}> in {html}");
        for (number, part) in tag.split('"').enumerate() {
            if number % 2 == 0 && number + 1 < tag.split('"').count() {
                let attribute = part.trim().trim_end_matches('=');
                let attribute = attribute.rsplit(' ').next().unwrap_or_default();
                assert!(
                    ["style", "src", "alt", "href", "colspan", "rowspan"].contains(&attribute),
                    "<{tag}> in {html}"
                );
            } else if number % 2 == 1 {
                assert!(!part.contains("javascript:") && !part.starts_with("data:"), "<{tag}> in {html}");
            }
        }
    }
}

/// Whether all letters come, in order, maybe with others between.
fn comes(letters: &str, whole: &str) -> bool {
    let mut rest = whole.chars();
    letters.chars().all(|c| rest.any(|other| other == c))
}

#[test]
fn every_letter_of_the_fixture_arrives() {
    let article = article(RICH);
    // The words of a picture are its `alt`.
    let words: String = RICH.lines().filter(|line| !line.starts_with("![")).map(|line| format!("{line}\n")).collect();
    let expected = letters_of_tree(&words);
    assert!(expected.chars().count() > 300, "{expected}");
    assert!(comes(&expected, &letters(&article.text)), "{expected}\n{}", letters(&article.text));
    assert!(comes(&expected, &letters_of_html(&article.html(|_, _| String::new()))));
    assert!(!comes(&expected, &letters(&article.text.replace("狮峰山", "狮山"))));
    only_what_survives(&article.html(|_, _| String::new()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Wherever a value stands, it shows as it is, and what is around it stays what it is.
    #[test]
    fn values_are_never_markup(value in "[!-~春]{1,16}") {
        for around in ["a {} b", "{}", "# {}", "- {}\n- x", "> {}", "|a|\n|-|\n|{}|", "x `{}` y", "**{}**", "a\n{}\nb", "<p>{}</p>"] {
            let with = |text: &str| bare(&around.replace("{}", text));
            let mut escaped = String::new();
            write::escape(&value, false, &mut escaped);
            let (got, word) = (with(&crate::diag::source::disguise(&value)), with("QQ"));
            prop_assert_eq!(got, word.replace("QQ", &escaped), "{}", around);
        }
    }

    #[test]
    fn every_visible_character_arrives_in_order(blocks in prop::collection::vec(block(), 1..6)) {
        let text = blocks.join("\n\n");
        let (article, diagnostics, _) = run(Format::Markdown, &text, Links::Footnote, &plain());
        let expected = letters_of_tree(&text);
        if let Some(article) = article {
            prop_assert_eq!(letters(&article.text), expected.as_str());
            let html = article.html(|_, _| String::new());
            prop_assert_eq!(letters_of_html(&html), expected);
            only_what_survives(&html);
            prop_assert_eq!(run(Format::Markdown, &text, Links::Footnote, &plain()).0, Some(article));
        } else {
            // Only for articles that show nothing.
            prop_assert!(diagnostics.iter().all(|d| d.code == Code::ArticleEmpty), "{:?}", diagnostics);
        }
    }

    #[test]
    fn anything_ends_without_a_panic(text in "[ -~\n春$|\\[\\]<>*_`!#~^-]{0,200}", html_text in "[a-z<>/=\"' &!-]{0,120}") {
        md(&text);
        html(&html_text);
        theme(&html_text);
        for (format, text) in [(Format::Markdown, &text), (Format::Html, &html_text)] {
            if let Some(article) = run(format, text, Links::Footnote, &plain()).0 {
                only_what_survives(&article.html(|_, image| image.path.replace(['<', '"'], "")));
            }
        }
    }
}

#[test]
fn markup_that_has_one_meaning_is_converted() {
    assert_eq!(bare("> [!NOTE]\n> 提示内容"), "<section><p><strong>注</strong></p><p>提示内容</p></section>");
    assert_eq!(
        bare("> [!warning]- 折叠的 *标题*\n> 内容"),
        "<section><p><strong>折叠的 <em>标题</em></strong></p><p>内容</p></section>"
    );
    assert_eq!(
        bare("::: tip 小贴士\n内容\n\n- 一\n:::"),
        "<section><p><strong>小贴士</strong></p><p>内容</p><section><section>• 一</section></section></section>"
    );
    assert_eq!(bare(":::danger\n别碰\n:::"), "<section><p><strong>危险</strong></p><p>别碰</p></section>");
    assert_eq!(bare("这是==重点==。"), "<p>这是<span>重点</span>。</p>");
    assert!(article("这是==重点==。").html(|_, _| String::new()).contains("background-color:#fff1b8"));
    assert_eq!(bare("前<!-- more -->后"), "<p>前后</p>");
    for text in ["> [!TIP]\n> a", "::: info\na\n:::", "==a==", "<!--more-->\n\na", "a ~~b~~"] {
        assert_eq!(md(text), none(), "{text}");
    }
}

#[test]
fn signs_that_are_no_markup_stay() {
    for text in
        ["9:00~12:00，13:00~18:00", "如果 a==b 且 c==d 就好", "周一~周五，10~12 点", "a == b，c == d", "50%~80%"]
    {
        assert_eq!(article(text).text, text);
        assert_eq!(md(text), none(), "{text}");
    }
    assert_eq!(bare("~~旧~~新"), "<p><del>旧</del>新</p>");
    assert_eq!(bare("前*重*点**粗**后"), "<p>前<em>重</em>点<strong>粗</strong>后</p>");
    assert!(bare("![图|300](a.png)").contains("alt=\"图\""));
}

#[test]
fn leftover_markup_is_found_at_its_place() {
    let _heard = crate::locale::tests::heard("content-article-leftover_markup_is_found_at_its_place");
    for (text, found) in [
        ("前\n\n##没有空格的标题", "A218 3:1"),
        ("# 好\n\n###小节\n正文", "A218 3:1"),
        ("＃＃ 标题", "A218 1:1"),
        ("#春茶上新的第一天要做什么", "A218 1:1"),
        ("好\n\n%%内部备注：价格还没定%%", "A218 3:1"),
        ("好 %%备注%% 的", "A218 1:3"),
        ("**粗 **后", "A218 1:1"),
        ("前**粗 **后", "A218 1:2"),
        ("**没有结束的粗体", "A218 1:1"),
        ("== 高亮 ==", "A218 1:1"),
        ("[未定义][zz]", "A218 1:1"),
        ("看[[别的笔记]]", "A218 1:2"),
        ("看[[笔记|别名]]", "A218 1:2"),
        ("[TOC]", "A218 1:1"),
        ("[[toc]]", "A218 1:1"),
        ("::: code-group\na\n:::", "A218 1:1"),
        ("::: tip\n没有结束", "A218 1:1"),
        ("[!NOTE] 提示", "A218 1:1"),
        ("> [!NOTE]提示", "A218 1:3"),
        ("## 标题 {.cls}", "A218 1:7"),
        ("![图](a.png){width=50%}", "A218 1:12"),
        ("一段话 ^abc123", "A218 1:5"),
        ("| 品名 | 价格 |\n| 龙井 | 198 |", "A218 2:1"),
        ("```js\nlet a", "A218 1:1"),
        ("[官网]（https://example.com）", "A218 1:1"),
        ("[价目](https://example.com/a b)", "A218 1:1"),
        ("上新啦 :tada:", "A218 1:5"),
        ("H~2~O", "A218 1:2"),
        ("x^2^", "A218 1:2"),
        ("好^[脚注]", "A218 1:2"),
        ("!!! note \"标题\"", "A218 1:1"),
        ("<<< @/a.js", "A218 1:1"),
        ("\\newpage", "A218 1:1"),
        ("import Foo from './foo.vue'", "A218 1:1"),
        ("<section>\n**粗**\n</section>", "A218 2:1"),
        ("<section>\n## 标题\n</section>", "A218 2:1"),
        ("- 一\n- **粗 **后", "A218 2:3"),
        ("> 引\n> ##标题", "A218 2:3"),
    ] {
        assert_eq!(md(text), [found], "{text}");
    }
    assert_eq!(html("<p>**粗**的</p>"), ["A218 1:4"]);
    // What is left out is left out.
    assert!(!article("好 %%备注%% 的").text.contains("备注"));
}

#[test]
fn pictures_that_are_not_read_are_errors() {
    let _heard = crate::locale::tests::heard("content-article-pictures_that_are_not_read_are_errors");
    for (text, place, help) in [
        ("![干茶](图片 一.png)", "A219 1:1", "write `![干茶](<图片 一.png>)`"),
        ("看 ![干茶](a.png =300x200)", "A219 1:3", "write `![干茶](a.png)`"),
        ("![[图片 一.png]]", "A219 1:1", "write `![图片 一](<图片 一.png>)`"),
        ("![图](图 一.png \"标题\")", "A219 1:1", "write `![图](<图 一.png> \"标题\")`"),
        ("![[leaf.png|300]]", "A219 1:1", "write `![leaf](leaf.png)`"),
        ("！[图](a.png)", "A219 1:1", "write `![图](a.png)`"),
        ("![图]（a.png）", "A219 1:1", "write `![图](a.png)`"),
        ("！[图]（a.png）", "A219 1:1", "write `![图](a.png)`"),
        ("<section>\n![图](a.png)\n</section>", "A219 2:1", "write `![图](a.png)`"),
    ] {
        let (article, found, map) = run(Format::Markdown, text, Links::Footnote, &plain());
        assert!(article.is_none(), "{text}");
        assert_eq!(shown(&found, &map), [place], "{text}");
        let words: Vec<String> = found[0].help.iter().map(ToString::to_string).collect();
        assert_eq!(words, [help], "{text}");
    }
}

#[test]
fn prose_is_free_of_findings() {
    for text in [
        "张**、李**和王**",
        "电话 138****5678，尾号 **12",
        "2**10 是 1024",
        "研究表明[1][2]，另见[3]",
        "[微笑][玫瑰] 谢谢！[强]",
        "快来看！[点这里](https://mp.weixin.qq.com/s/a)",
        "#春茶 #龙井",
        "#春茶",
        "第 #1 名",
        "涨了 50%，100%% 好",
        "\\*\\*原样\\*\\* 和 \\[TOC\\]",
        "`**代码**` 和 `[[x]]` 和 `==`",
        "x\n\n```\n##x\n**a **b\n![x](a b.png)\n[[x]]\n%%x%%\n```",
        "**注意**：今天*不*营业，**明天**见",
        "- 一行\n  **粗**的\n  又一行 **粗**",
        "1. 甲\n\n   **乙** [丙](https://mp.weixin.qq.com/s/a)\n   - **丁**",
        "> 引用 **粗** 的\n> 第二行 **粗**",
        "他说：「[注]」",
        "{注} 与 {a: 1}",
        "时间 10:30:00，比例 1:2:3",
        "a | b | c",
        "￥198/斤 = 99 元",
        "价格：【100 元】（[详情](https://mp.weixin.qq.com/s/a)）",
        "https://mp.weixin.qq.com/s?__biz=MzA3==&mid=1&sn=a**b==#rd 好",
    ] {
        assert_eq!(md(text), none(), "{text}");
    }
    assert_eq!(md(RICH), none());
}

#[test]
fn addresses_end_before_chinese_signs() {
    let link = |text: &str| format!("<a href=\"{text}\">{text}</a>");
    let (abc, def) = (link("https://mp.weixin.qq.com/s/abc"), link("https://mp.weixin.qq.com/s/def"));
    for (text, html) in [
        ("详见https://mp.weixin.qq.com/s/abc。下一句", format!("<p>详见{abc}。下一句</p>")),
        ("（https://mp.weixin.qq.com/s/abc）", format!("<p>（{abc}）</p>")),
        ("https://mp.weixin.qq.com/s/abc、https://mp.weixin.qq.com/s/def，好", format!("<p>{abc}、{def}，好</p>")),
        ("https://mp.weixin.qq.com/s/abc。**粗**的`a`", format!("<p>{abc}。<strong>粗</strong>的<code>a</code></p>")),
        (
            "- “https://mp.weixin.qq.com/s/abc”\n- https://mp.weixin.qq.com/s/def…",
            format!("<section><section>• “{abc}”</section><section>• {def}…</section></section>"),
        ),
    ] {
        assert_eq!(bare(text), html, "{text}");
    }
    for sign in "。，、；：？！）」』】》”’…（「『【《“‘".chars() {
        assert_eq!(bare(&format!("https://mp.weixin.qq.com/s/abc{sign}好")), format!("<p>{abc}{sign}好</p>"));
    }
    assert_eq!(bare("官网 https://example.com/tea，更多"), "<p>官网 <span>https://example.com/tea</span>，更多</p>");
    // What was written as a link stays one.
    assert!(bare("[好，茶](https://mp.weixin.qq.com/s/a，b)").contains("s/a，b"));
    // Places behind such an address are those of the file.
    assert_eq!(md("https://a.cn，好\n\n见 https://a.cn/x、https://b.cn。<div>x</div>"), ["A201 3:31"]);
}

#[test]
fn formulas_have_many_forms() {
    for text in [
        "$E=mc^2$",
        "$a_1$",
        "$f(x)=2x$",
        "$O(n)$",
        "$x$",
        "$\\frac{1}{2}$",
        "$$\na+b\n$$",
        "\\(x^2\\)",
        "\\[ a = b \\]",
        "$`a+b`$",
        "```math\na\n```",
        "\\begin{equation}\na=b\n\\end{equation}",
        "好 $\\sin x$",
    ] {
        let found = md(text);
        assert!(found.len() == 1 && found[0].starts_with("A207"), "{text}: {found:?}");
    }
    for text in ["从 $5 到 $6", "$HOME 与 $PATH", "US$5/kg，US$6/kg", "一(二)三", "f(x) 是函数", "价 $5 (含税) 与 $6"]
    {
        assert_eq!(md(text), none(), "{text}");
    }
}

#[test]
fn links_that_wechat_drops() {
    assert_eq!(md("[打电话](tel:4008001234)"), ["Q912 1:1"]);
    assert_eq!(md("[400-800-1234](tel:4008001234) [a@b.cn](mailto:a@b.cn)"), none());
    assert_eq!(md("[写信](mailto:a@b.cn)"), ["Q912 1:1"]);
    assert_eq!(html("<p><a href=\"https://a..cn/x\">a</a></p>"), ["A211 1:13"]);
    assert_eq!(html("<p><a href=“https://a.cn”>a</a></p>"), ["A214 1:12"]);
    assert_eq!(html("<p style=“color:red”>a</p>").len(), 1);
}

#[test]
fn pictures_that_wechat_has_stay() {
    let text = "![引导](https://mmbiz.qpic.cn/mmbiz_gif/AbCd/0?wx_fmt=gif)";
    assert_eq!(md(text), none());
    assert!(bare(text).contains("<img src=\"https://mmbiz.qpic.cn/mmbiz_gif/AbCd/0?wx_fmt=gif\" alt=\"引导\""));
    assert_eq!(html_image("http://mmbiz.qpic.cn/a"), none());
    assert_eq!(html_image("https://mmbiz.qpic.cn.evil.cn/a"), ["A301 1:14"]);
    let slot = crate::payload::stand_in(&"steps.pic.url");
    assert_eq!(md(&format!("![动图]({slot})")), none());
    assert!(bare(&format!("![动图]({slot})")).contains(&format!("src=\"{slot}\"")));
    assert_eq!(md(&format!("看 {slot}")), ["Q505 1:1"]);
    assert_eq!(md(&format!("`{slot}`")), ["Q505 1:1"]);
    assert_eq!(md(&format!("[a]({slot})")), ["Q505 1:1"]);
    assert_eq!(html(&format!("<p style=\"color:{slot}\">a</p>"))[0], "Q505 1:11");
}

#[test]
fn words_of_drafts_and_templates_are_found_in_articles() {
    assert_eq!(md("正文\n\n时间**待定**"), ["Q907 3:5"]);
    assert_eq!(md("欢迎来到XX店"), ["Q907 1:5"]);
    assert_eq!(md("`｛｛ x ｝｝` 与 `TODO: x`"), none());
    assert_eq!(md("价格 ｛｛ vars.price ｝｝ 元"), ["Q509 1:4"]);
    assert_eq!(html("<p>价格 { vars.price } 元</p><pre>${vars.x}</pre>"), ["Q509 1:7"]);
}

#[test]
fn types_of_programs_are_no_tags() {
    let (_, found, map) = run(Format::Markdown, "List<String> 与 Map<K, V>", Links::Footnote, &plain());
    assert_eq!(shown(&found, &map), ["A201 1:5"]);
    assert_eq!(found[0].help[0].to_string(), "write `&lt;String>`, or put it into backticks");
    assert_eq!(md("<B>粗</B>"), none());
}

#[test]
fn themes_of_other_programs() {
    let _heard = crate::locale::tests::heard("content-article-themes_of_other_programs");
    assert_eq!(theme("#wenyan h1 { color: #333; }\n#nice p { margin: 0; }\n.markdown-body li { margin: 0; }"), none());
    assert_eq!(theme("#wenyan { color: #333; }"), ["A103 1:1"]);
    assert_eq!(theme("blockquote > p { color: #333; }"), ["A103 1:1"]);
    assert_eq!(theme("#top h1 { color: #333; }"), ["A103 1:1"]);
    assert_eq!(theme("h2 { display: inline-block; }"), ["A104 1:6"]);
    assert_eq!(Theme::builtin("none").expect("built in").rules(), 0);
}
