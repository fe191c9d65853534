//! What keeps a machine busy is refused at a limit, at its place, with an exit code of the table: one input past each limit, and
//! where that is cheap one at it.

use std::{fmt::Write as _, io::Write as _};

use crate::support::{Case, hear, in_both, in_each_language, plan, send, spoken, told};

/// A plan of one message.
fn text(text: &str) -> String {
    let text = serde_json::Value::from(text);
    plan(&format!("  - {{ id: a, action: send_by_tag, to: {{ tag_id: 2 }}, message: {{ text: {text} }} }}\n"))
}

/// A plan of one message for each row of `rows.csv`.
fn each(text: &str) -> String {
    let text = serde_json::Value::from(text);
    plan(&format!(
        "  - {{ id: a, action: send_by_tag, foreach: {{ file: rows.csv }}, key: \"{{{{ row.k }}}}\", to: {{ tag_id: 2 }}, message: {{ text: {text} }} }}\n"
    ))
}

fn people(file: &str) -> String {
    plan(&people_of("a", file))
}

fn people_of(id: &str, file: &str) -> String {
    format!("  - {{ id: {id}, action: send_by_openid, to: {{ file: {file} }}, message: {{ text: x }} }}\n")
}

fn with_vars(vars: &str) -> String {
    plan(&send("a")).replace("\nsteps:", &format!("\nvars: {vars}\nsteps:"))
}

/// The first line of each finding, and its place.
#[track_caller]
fn refused(case: &Case) -> String {
    let ran = case.run(&["validate", "plan.yaml"]).exits(3);
    let wanted = |line: &&str| {
        let begin = line.trim_start();
        let more = line.contains("more problems") || line.contains("个问题未显示");
        ["error", "错误", "--> ", "= 提示"].iter().any(|word| begin.starts_with(word)) || more
    };
    let found = ran.stderr.lines().filter(wanted).fold(String::new(), |mut all, line| {
        writeln!(all, "{}", line.trim_end()).expect("in memory");
        all
    });
    hear(&found);
    found
}

/// How many errors were found, in either language.
fn errors(found: &str) -> usize {
    found.matches("error[").count() + found.matches("错误[").count()
}

/// A snapshot in English; in Chinese the lines are in `said-TEST@zh`.
macro_rules! pin {
    ($all:expr) => {{
        let all = $all;
        if spoken() == "en" {
            insta::assert_snapshot!(all);
        }
    }};
}

#[track_caller]
fn refused_plan(plan: String) -> String {
    refused(&Case::new().file("plan.yaml", plan))
}

#[test]
fn a_template_ends_whatever_it_does() {
    in_each_language(|| {
        let mut all = String::new();
        for source in [
            format!("{{% set x = [1] %}}{}{{{{ x | tojson }}}}", "{% set x = [x, x] %}".repeat(40)),
            format!("{{% set x = 'ab' %}}{}{{{{ x | length }}}}", "{% set x = x ~ x %}".repeat(40)),
            "{% set n = namespace(x=[1]) %}{% for i in range(30000) %}{% set n.x = n.x + [1] %}{% endfor %}".into(),
            "{{ [1] | tojson(indent=1000000000) }}".into(),
            "{{ 'a\\nb' | indent(1000000000) }}".into(),
            "{{ range(90000) | join('x' * 100000) }}".into(),
            "{{ '%1000000000s' | format('x') }}".into(),
            "{% set x = '春' * 60000 %}{{ x | truncate_zh(5) }}{{ x | truncate_zh(5) }}".into(),
            format!("{{{{ {} }}}}", vec!["1"; 2_501].join("+")),
            format!("{{{{ '{{{{' {} }}}}", "~ '}}' ".repeat(2_500)),
            format!("{{{{ {}1 }}}}", "- ".repeat(5_001)),
            format!("{{{{ vars{} }}}}", ".a".repeat(2_501)),
            format!("{{{{ {}1{} }}}}", "(".repeat(101), ")".repeat(101)),
            "{% if 1 %}x{% endif %}".repeat(1_001),
            "{{ steps.nope.msg_id }}".repeat(101),
            format!("{}{{{{ 1 }}}}", "x".repeat((1 << 20) - 6)),
            "{% macro a() %}{{ a() }}{{ a() }}{% endmacro %}{{ a() }}".into(),
        ] {
            let shown: String = source.chars().take(60).collect();
            write!(all, "=== {shown}\n{}", refused_plan(text(&source))).expect("in memory");
        }
        pin!(all);
        // At the limits.
        for source in [
            format!("{{{{ {} }}}}", vec!["1"; 2_500].join("+")),
            format!("{{{{ {}1{} }}}}{}", "(".repeat(50), ")".repeat(50), "(".repeat(300)),
            "{% if 1 %}x{% endif %}".repeat(1_000),
            "{{ [1] | tojson(indent=16) }}".into(),
            format!("{{% raw %}}{{{{ ' {{% endraw %}}{{{{ {} }}}}", vec!["1"; 2_500].join("+")),
        ] {
            Case::new().file("plan.yaml", text(&source)).run(&["validate", "plan.yaml"]).exits(0);
        }
    });
}

#[test]
fn the_templates_of_a_plan_have_one_limit_together() {
    in_each_language(|| {
        let rows: String = (0..400).map(|number| format!("{number}\n")).collect();
        let case = |source: &str| Case::new().file("plan.yaml", each(source)).file("rows.csv", format!("k\n{rows}"));
        // The limit on work takes longer: see src/content/template.
        pin!(refused(&case("{{ 'x' * 200000 }}")));
        // After that no text is looked at any more, however long it is and however many rows there are.
        let spent = case("{{ 'x' * 200000 }}");
        let unknown = send("b").replace("你好", "\"{{ steps.nope.msg_id }}\"");
        spent.write("plan.yaml", each("{{ 'x' * 200000 }}") + &unknown);
        let found = refused(&spent);
        assert!(found.contains("Q504") && !found.contains("nope"), "{found}");
        told(&refused_plan(plan(&unknown)), "nope");
        case("{% for i in range(100) %}{% endfor %}x").run(&["validate", "plan.yaml"]).exits(0);
    });
}

#[test]
fn what_each_row_has_of_the_plan_counts() {
    in_each_language(|| {
        let rows: String = (0..100).map(|number| format!("{number}\n")).collect();
        let described = each("x").replace("foreach", &format!("description: {}, foreach", "x".repeat(700_000)));
        let case = Case::new().file("plan.yaml", described).file("rows.csv", format!("k\n{rows}"));
        let mut all = refused(&case);
        let card = |length: usize| {
            let ext = format!("card_ext: {{ code: {} }}", "x".repeat(length));
            plan(&format!(
                "  - {{ id: a, action: preview, to: {{ openid: oA }}, message: {{ wxcard: {{ card_id: c, {ext} }} }} }}\n"
            ))
        };
        all.push_str(&refused_plan(card(4_096)));
        Case::new().file("plan.yaml", card(4_000)).run(&["validate", "plan.yaml"]).exits(0);
        pin!(all);
    });
}

#[test]
fn what_is_sent_has_so_many_bytes_only() {
    in_each_language(|| {
        let step = |action: &str, to: &str, message: &str| {
            format!("  - {{ id: a, action: {action}, to: {to}, message: {{ {message} }} }}\n")
        };
        let all = |length: usize| {
            let long = "x".repeat(length);
            [
                step("send_by_tag", "{ tag_id: 2 }", &format!("mpnews: {long}")),
                step("send_by_tag", "{ tag_id: 2 }", &format!("image: [{long}]")),
                step("send_by_tag", "{ tag_id: 2 }", &format!("mpvideo: {{ media_id: a, title: {long} }}")),
                step("send_by_tag", "{ tag_id: 2 }", &format!("mpvideo: {{ media_id: a, description: {long} }}")),
                step("send_by_tag", &format!("{{ tag: {long} }}"), "text: x"),
            ]
        };
        for (long, fits) in all(20_481).into_iter().zip(all(1_000)) {
            let found = refused_plan(plan(&long));
            told(&found, "[Q401]: the rendered text has 20,481 bytes; the maximum is 20,480");
            assert_eq!(errors(&found), 1, "{found}");
            Case::new().file("plan.yaml", plan(&fits)).run(&["validate", "plan.yaml"]).exits(0);
        }
        let path =
            |length: usize| plan(&format!("  - {{ id: a, action: upload_image, file: {} }}\n", "x".repeat(length)));
        told(&refused_plan(path(4_097)), "[Q506]: the path has 4,097 bytes; at most 4,096 are allowed");
        Case::new().file("plan.yaml", path(4_096)).run(&["validate", "plan.yaml"]).exits(4);
    });
}

#[test]
fn calls_of_a_plan_have_a_limit() {
    in_each_language(|| {
        let checks = |count: usize| (0..count).map(|number| format!("  - {{ id: c{number}, action: check, of: a }}\n"));
        let rows: String = (0..1_000).map(|number| format!("{number}\n")).collect();
        let case = |count: usize| {
            let plan = each("x") + &checks(count).collect::<String>();
            Case::new().file("plan.yaml", plan).file("rows.csv", format!("k\n{rows}"))
        };
        case(99).run(&["validate", "plan.yaml"]).exits(0).says("100,000 requests");
        pin!(refused(&case(150)));
    });
}

#[test]
fn a_page_holds_so_many_pictures_only() {
    in_each_language(|| {
        let cover = std::fs::read(crate::support::repository().join("tests/pictures/jade-4x2.png")).expect("is there");
        let picture: Vec<u8> = cover.iter().copied().chain(std::iter::repeat_n(0, 900_000)).collect();
        let step = |number: usize| {
            format!(
                "  - {{ id: s{number}, action: create_draft, articles: [{{ file: a.md, title: t, cover: cover.png }}] }}\n"
            )
        };
        let steps: String = (0..60).map(step).collect();
        let case = Case::new().file("plan.yaml", plan(&steps)).file("a.md", "![a](a.png)\n");
        let case = case.file("cover.png", cover).file("a.png", picture);
        case.run(&["preview-html", "plan.yaml", "--out", "page.html"]).exits(0);
        let page = case.read("page.html");
        told(
            page.lines().find(|line| line.contains("48 MiB")).unwrap_or_default(),
            "19 pictures are not shown: a page holds at most 48 MiB of them",
        );
        assert!(page.len() < 50 << 20, "{}", page.len());
        assert_eq!(page.matches("%3Csvg xmlns='http://www.w3.org/2000/svg' width='4' height='2'/%3E").count(), 19);
    });
}

#[test]
fn conditions_of_the_run_are_read_before_it() {
    in_each_language(|| {
        let steps = |when: &str| {
            plan(&format!(
                "{}  - {{ id: b, action: send_by_tag, when: \"{when}\", to: {{ tag_id: 2 }}, message: {{ text: x }} }}\n",
                send("a")
            ))
        };
        let mut all = refused_plan(steps(&vec!["steps.a.msg_id == 1"; 101].join(" or ")));
        all.push_str(&refused_plan(steps(&format!("steps.a.msg_id == {}", vec!["1"; 2_501].join("+")))));
        pin!(all);
    });
}

#[test]
fn yaml_that_unfolds_is_refused() {
    in_each_language(|| {
        let mut all = String::new();
        let long = "x".repeat(100_000);
        for (what, plan) in [
            ("values", with_vars(&format!("{{ a: [{}] }}", "0,".repeat(200_000)))),
            ("aliases", with_vars(&format!("{{ a: &a [{}], b: [{}] }}", "0,".repeat(999), "*a,".repeat(100)))),
            ("bytes", with_vars(&format!("{{ a: &a {long}, b: [{}] }}", "*a,".repeat(84)))),
            ("anchors", with_vars(&format!("{{ a: {}{}{} }}", "&a [".repeat(50), "0,".repeat(4_000), "]".repeat(50)))),
            ("depth", with_vars(&format!("{}{}", "[".repeat(65), "]".repeat(65)))),
            ("duplicates", plan(&send("a")) + &"name: x\n".repeat(1_100)),
        ] {
            let shown = refused_plan(plan);
            let last = shown.lines().rev().take(2).collect::<Vec<_>>();
            let shown = if what == "duplicates" { last.join("\n") + "\n" } else { shown };
            write!(all, "=== {what}\n{shown}").expect("in memory");
        }
        pin!(all);
        let fits = with_vars(&format!("{{ a: &a [{}], b: [{}] }}", "0,".repeat(999), "*a,".repeat(98)));
        Case::new().file("plan.yaml", fits).run(&["validate", "plan.yaml"]).exits(0);
    });
}

#[test]
fn problems_beyond_a_thousand_are_not_told() {
    in_each_language(|| {
        let wrong = |count: usize| {
            let keys: String = (0..count).map(|number| format!(", k{number}: 1")).collect();
            plan(&format!("  - {{ id: a, action: send_by_tag, to: {{ tag_id: 2 }}, message: {{ text: x }}{keys} }}\n"))
        };
        let codes = |count: usize| -> Vec<String> {
            let ran = Case::new().file("plan.yaml", wrong(count)).run(&["validate", "plan.yaml", "--format", "json"]);
            let found = ran.exits(3).json()["plans"][0]["diagnostics"].as_array().expect("a list").clone();
            let codes = found.iter().map(|found| found["code"].as_str().expect("a code").to_owned());
            codes.filter(|code| code != "Q902").collect()
        };
        let of = |codes: Vec<String>, code: &str| codes.iter().filter(|other| *other == code).count();
        assert_eq!((of(codes(999), "Q201"), of(codes(999), "Q109")), (999, 0));
        assert_eq!((of(codes(1_000), "Q201"), of(codes(1_000), "Q109")), (999, 1));
        assert_eq!(codes(5_000), codes(1_000));
        let shown = refused_plan(wrong(5_000));
        told(shown.lines().last().unwrap_or_default(), "... and 901 more problems, not shown");
    });
}

#[test]
fn messages_quote_the_beginning_of_what_is_long() {
    let long = "春".repeat(5_000);
    let case = Case::new().file("plan.yaml", plan(&format!("  - {{ id: a, action: \"{long}\" }}\n")));
    let ran = case.run(&["validate", "plan.yaml"]).exits(3);
    assert!(ran.stderr.contains(&format!("there is no action `{}…`", "春".repeat(200))), "{}", ran.stderr);
    assert!(ran.stderr.contains("plan.yaml:6:22"), "the line is too long to be shown: {}", ran.stderr);
    assert!(ran.stderr.len() < 5_000, "{}", ran.stderr.len());
}

#[test]
fn rows_and_cells_have_limits() {
    in_both(|language, suffix| {
        insta::assert_snapshot!(format!("rows-and-cells{suffix}"), rows_and_cells(language));
    });
}

fn rows_and_cells(language: &str) -> String {
    let mut all = String::new();
    let numbers = |count: usize| (0..count).map(|number| format!("{number}\n")).collect::<String>();
    let columns = (1..2_001).map(|number| format!(",c{number}")).collect::<String>();
    let wide = format!("k{columns}\n") + &format!("1{}\n", ",".repeat(2_000)).repeat(250);
    let steps = (0..6).map(|number| {
        format!("  - {{ id: s{number}, action: set_speed, foreach: {{ file: rows.csv }}, key: \"{{{{ row.k }}}}\", speed: 1 }}\n")
    });
    for (what, plan, rows) in [
        ("cells", each("x"), wide),
        ("rows", each("x"), format!("k\n{}", numbers(10_001))),
        ("rows of all steps", plan(&steps.collect::<String>()), format!("k\n{}", numbers(9_999))),
        ("the same column", each("x"), format!("k{}\n1{}\n", ",c".repeat(3_000), ",1".repeat(3_000))),
    ] {
        write!(
            all,
            "=== {what}\n{}",
            refused(&Case::new().speaks(language).file("plan.yaml", plan).file("rows.csv", rows))
        )
        .expect("in memory");
    }
    for (what, rows) in [
        ("values of JSON", format!("{{\"k\":1,\"v\":[{}0]}}\n", "0,".repeat(250_001)).repeat(2)),
        ("a line of JSON", format!("{{\"k\":\"{}\"}}\n", "x".repeat(1 << 20))),
    ] {
        let case = Case::new().file("plan.yaml", each("x").replace("rows.csv", "rows.jsonl")).file("rows.jsonl", rows);
        write!(all, "=== {what}\n{}", refused(&case.speaks(language))).expect("in memory");
    }
    all
}

#[test]
fn audiences_have_limits() {
    in_both(|language, suffix| {
        insta::assert_snapshot!(format!("audiences-in-bounds{suffix}"), audiences(language));
    });
}

fn audiences(language: &str) -> String {
    let packed = |text: &str| {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(text.as_bytes()).expect("in memory");
        packed.finish().expect("in memory")
    };
    let endless = "o".repeat((1 << 20) + (1 << 18));
    let mut all = String::new();
    for (file, text) in [
        ("line.txt.gz", format!("oA\n{endless}")),
        ("line.csv.gz", format!("openid\noA\n{endless}")),
        ("header.csv.gz", format!("{endless},openid\noA\n")),
        ("quote.csv.gz", format!("openid\noA\n\"{}", "o\n".repeat(700_000))),
        ("line.jsonl.gz", format!("{{\"openid\":\"oA\"}}\n{{\"openid\":\"{endless}\"}}")),
        ("columns.csv.gz", (0..30_000).map(|number| format!("openid{number},")).collect::<String>() + "\n"),
    ] {
        let case = Case::new().file("plan.yaml", people(file)).file(file, packed(&text));
        write!(all, "=== {file}\n{}", refused(&case.speaks(language))).expect("in memory");
    }
    let bomb = packed(&"\n".repeat((16 << 20) + 1));
    let case = Case::new().file("plan.yaml", people("bomb.txt.gz")).file("bomb.txt.gz", bomb);
    write!(all, "=== bomb.txt.gz\n{}", refused(&case.speaks(language))).expect("in memory");
    // Far into a file a line has a number, and is not shown.
    let mut state = 7_u64;
    let mut openid = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        format!("oABCDEFGHI{state:020}\n")
    };
    let far = (0..700_000).map(|_| openid()).collect::<String>() + "张\n";
    let case = Case::new().file("plan.yaml", people("far.txt.gz")).file("far.txt.gz", packed(&far));
    write!(all, "=== far\n{}", refused(&case.speaks(language))).expect("in memory");
    let far = format!("openid,b\n{},1\n", far.trim_end().replace('\n', ",1\n"));
    let case = Case::new().file("plan.yaml", people("far.csv.gz")).file("far.csv.gz", packed(&far));
    write!(all, "=== far in a CSV file\n{}", refused(&case.speaks(language))).expect("in memory");
    all
}

#[test]
fn rows_share_their_audience_and_name_so_many_people() {
    let openids: String = (0..30_000).map(|number| format!("o{number:06}\n")).collect();
    let rows = |count: usize| format!("k\n{}", (0..count).map(|number| format!("{number}\n")).collect::<String>());
    let steps = "  - { id: a, action: send_by_openid, foreach: { file: rows.csv }, key: \"{{ row.k }}\", to: { file: people.txt }, message: { text: \"x\" } }\n";
    let case = Case::new().file("plan.yaml", plan(steps)).file("people.txt", openids).file("rows.csv", rows(2));
    case.run(&["validate", "plan.yaml"]).exits(0).says("valid, 2 steps, 6 requests");
    case.write("rows.csv", rows(700));
    // When there are too many, no other file is read.
    case.write("bad.txt", "张\n");
    case.write("plan.yaml", plan(&(steps.to_owned() + &people_of("b", "bad.txt"))));
    insta::assert_snapshot!(refused(&case));
    insta::assert_snapshot!("openids-in-bounds@zh", refused(&case.speaks("zh")));
}

#[test]
fn audience_files_are_read_again_so_often_only() {
    in_each_language(|| {
        // A column each: 200 times 100 KB.
        let head = (0..200).map(|number| format!("c{number},")).collect::<String>();
        let people = format!("{head}\n{}{}", "oA,".repeat(200) + "\n", ("oB,".repeat(200) + "\n").repeat(166));
        let steps = |count: usize| {
            let of = |number: usize| {
                people_of(&format!("s{number}"), "people.csv").replace(".csv", &format!(".csv, column: c{number}"))
            };
            plan(&(0..count).map(of).collect::<String>())
        };
        let case = Case::new().file("plan.yaml", steps(200)).file("people.csv", people);
        let found = refused(&case);
        told(&found, "[Q603]: the plan's audience files are read again, for other columns or steps");
        assert!(found.contains("16,777,216") && errors(&found) == 1, "{found}");
        case.write("plan.yaml", steps(20));
        case.run(&["validate", "plan.yaml"]).exits(0);
        case.write("plan.yaml", people_of_column(1_025));
        told(&refused(&case), "[Q205]: the name of the column has 1,025 bytes; at most 1,024 are allowed");
    });
}

fn people_of_column(length: usize) -> String {
    people("people.csv").replace(".csv", &format!(".csv, column: {}", "c".repeat(length)))
}

#[test]
fn small_packed_files_hold_no_more_together_than_one() {
    in_each_language(|| {
        let packed = |text: &str| {
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            packed.write_all(text.as_bytes()).expect("in memory");
            packed.finish().expect("in memory")
        };
        let file = |number: usize| packed(&format!("oA{number}\noB\n").repeat(400_000));
        let plan = |files: &str| plan(&people_of("a", "x.gz").replace("x.gz", files));
        let case = Case::new().file("plan.yaml", plan("[0.txt.gz, 1.txt.gz]"));
        (0..4).for_each(|number| case.write(&format!("{number}.txt.gz"), file(number)));
        case.run(&["validate", "plan.yaml"]).exits(0);
        case.write("plan.yaml", plan("[0.txt.gz, 1.txt.gz, 2.txt.gz, 3.txt.gz]"));
        let found = refused(&case);
        told(&found, "all packed files together to more than 8,388,608 bytes beyond that");
    });
}

#[test]
fn those_who_are_left_out_are_shared_by_rows() {
    in_each_language(|| {
        let steps = "  - { id: a, action: send_by_openid, foreach: { file: rows.csv }, key: \"{{ row.k }}\", to: { followers: true, exclude: out.txt }, message: { text: x } }\n";
        let out: String = (0..2_000).map(|number| format!("o{number}\n")).collect();
        let rows: String = (0..1_000).map(|number| format!("{number}\n")).collect();
        let case =
            Case::new().file("plan.yaml", plan(steps)).file("out.txt", out).file("rows.csv", format!("k\n{rows}"));
        case.run(&["validate", "plan.yaml"]).exits(0);
        // Shared or not, they count for each row.
        case.write("rows.csv", format!("k\n{}", (0..10_000).map(|number| format!("{number}\n")).collect::<String>()));
        case.write("out.txt", (0..2_001).map(|number| format!("o{number}\n")).collect::<String>());
        told(&refused(&case), "name more than 20,000,000 openids");
    });
}

#[test]
fn folders_are_looked_through_for_so_many_wrong_names_only() {
    let step = |number: u32, file: &str| send(&format!("s{number}")).replace("你好", &format!("{{ file: {file} }}"));
    let steps: String = (0..150).map(|number| step(number, "tex.txt")).collect();
    let case = Case::new().file("plan.yaml", plan(&(step(150, "zebr.txt") + &steps))).file("zebra.txt", "a");
    case.run(&["validate", "plan.yaml"]).exits(4).says("did you mean `zebra.txt`?");
    let others: String = (0..150).map(|number| step(number, &format!("other{number}.txt"))).collect();
    case.write("plan.yaml", plan(&(others + &step(150, "zebr.txt"))));
    let found = case.run(&["validate", "plan.yaml", "--format", "json"]).exits(4).stdout;
    assert!(found.contains("`zebr.txt` cannot be read") && !found.contains("did you mean"), "{found}");
    // Of files of people that are not there nothing is said until all were looked for.
    let lost: String = (0..150).map(|number| people_of(&format!("p{number}"), &format!("other{number}.txt"))).collect();
    case.write("plan.yaml", plan(&(lost + &step(150, "zebr.txt"))));
    let found = case.run(&["validate", "plan.yaml", "--format", "json"]).exits(4).stdout;
    assert!(found.contains("`zebr.txt` cannot be read") && !found.contains("did you mean"), "{found}");
}
