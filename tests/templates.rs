//! Templates of a project: included, imported, and what is wrong with them said where it is.

use crate::support::{Case, hear, in_each_language, plan, spoken};

/// A plan of one message, without settings that are warned of.
fn text(text: &str) -> String {
    let whole = plan(&format!(
        "  - id: a\n    action: send_by_tag\n    to: {{ tag_id: 2 }}\n    message: {{ text: \"{text}\" }}\n"
    ));
    whole.lines().filter(|line| !line.starts_with("defaults:")).map(|line| format!("{line}\n")).collect()
}

/// A project whose plan lies below its root.
fn project() -> Case {
    Case::new()
        .file(".git/HEAD", "")
        .file(
            "templates/footer.txt",
            "— {{ vars.shop }},{{ '2026-03-01' | date }}({{ '2026-03-01' | weekday_zh('周') }})\n",
        )
        .file(
            "templates/tea/price.txt",
            "{% macro price(name, yuan) %}{{ name | truncate_zh(6) }} {{ yuan | money }}{% endmacro %}\n",
        )
}

#[test]
fn plans_and_content_include_templates() {
    let steps = "  - { id: a, action: send_by_tag, to: { tag_id: 2 }, message: { text: \"{% from 'tea/price.txt' import price %}{{ price('明前龙井特级', 1980) }}\" } }
  - { id: b, action: send_by_tag, to: { tag_id: 2 }, message: { text: { file: b.txt } } }\n";
    let case = project()
        .file("spring/plan.yaml", plan(steps).replace("\nsteps:", "\nvars: { shop: 茶铺 }\nsteps:"))
        .file("spring/b.txt", "春茶上新\n{% include 'footer.txt' %}\n");
    let rendered = case.run(&["render", "spring/plan.yaml"]).exits(0).json();
    let content =
        |step: usize| rendered["requests"][step]["body"]["text"]["content"].as_str().expect("text").to_owned();
    assert_eq!(content(0), "明前龙井特级 ¥1,980");
    assert_eq!(content(1), "春茶上新\n— 茶铺,2026年3月1日(周日)");
    // A variable that only a template uses is used.
    let with_var = ["render", "spring/plan.yaml", "--var", "shop=二店"];
    assert!(case.run(&with_var).exits(0).stdout.contains("— 二店"));
}

#[test]
fn problems_of_templates_are_shown_in_them() {
    in_each_language(|| {
        let case = project()
            .file("templates/bad-name.txt", "第一行\n价格 {{ vars.prise }} 元\n")
            .file("templates/bad-syntax.txt", "{% if %}\n")
            .file("templates/runtime.txt", "{{ run.id }}\n")
            .file("templates/latin1.txt", [0xe9, b'\n'])
            .file("templates/.hidden.txt", "x")
            .file("spring/content.txt", "第一行\n  {% include 'bad-name.txt' %}\n");
        let shown = |source: &str| {
            case.write("spring/plan.yaml", text(source).replace("\nsteps:", "\nvars: { price: 198 }\nsteps:"));
            case.run(&["validate", "spring/plan.yaml"]).exits(3).stderr
        };
        let mut all = String::new();
        for source in [
            "好 {% include 'bad-name.txt' %}",
            "{% include 'bad-syntax.txt' %}",
            "{% include 'runtime.txt' %}",
            "{% include 'latin1.txt' %}",
            "{% include 'fotter.txt' %}",
            "{% include '.hidden.txt' %}",
            "{% include '../spring/content.txt' %}",
            "{% include '/etc/passwd' %}",
            "{% from 'tea/price.txt' import prise %}{{ prise('x', 1) }}",
            "{% from 'tea/price.txt' import price %}{{ price('x', 1.005) }}",
        ] {
            all.push_str(&format!("=== {source}\n{}", shown(source)));
        }
        case.write("spring/plan.yaml", text("x").replace("text: \"x\"", "text: { file: content.txt }"));
        all.push_str(&format!("=== a content file\n{}", case.run(&["validate", "spring/plan.yaml"]).exits(3).stderr));
        hear(&all);
        if spoken() == "en" {
            insta::assert_snapshot!(all);
        }
        // What nobody includes is nobody's problem.
        case.write("spring/plan.yaml", text("你好"));
        case.run(&["validate", "spring/plan.yaml"]).exits(0);
    });
}

#[cfg(unix)]
#[test]
fn a_link_out_of_the_project_is_not_followed() {
    in_each_language(|| {
        let outside = Case::new().file("secret.txt", "hunter2");
        let case = project().file("plan.yaml", text("{% include 'out.txt' %}"));
        std::os::unix::fs::symlink(outside.path("secret.txt"), case.path("templates/out.txt")).expect("links");
        let ran = case.run(&["validate", "plan.yaml"]).exits(3).says("is outside the project");
        assert!(!ran.stderr.contains("hunter2"));
        // A folder that is a link is not looked into.
        std::os::unix::fs::symlink(outside.path("."), case.path("templates/folder")).expect("links");
        case.write("plan.yaml", text("{% include 'folder/secret.txt' %}"));
        case.run(&["validate", "plan.yaml"]).exits(3).says("template `folder/secret.txt` not found");
    });
}

#[test]
fn a_template_that_includes_itself_is_stopped() {
    let case = project()
        .file("templates/loop.txt", "x{% include 'loop.txt' %}")
        .file("plan.yaml", text("{% include 'loop.txt' %}"));
    case.run(&["validate", "plan.yaml"]).exits(3).says("includes or calls itself too often");
}

#[test]
fn the_table_of_filters_is_true() {
    let read = |page: &str| std::fs::read_to_string(crate::support::repository().join(page)).expect("is there");
    let rows = |page: &str| page.lines().filter(|line| line.starts_with("| `{{")).collect::<Vec<_>>().join("\n");
    let page = read("docs/templates.md");
    assert_eq!(rows(&page), rows(&read("docs/zh/templates.md")), "both pages show the same");
    let mut count = 0;
    for line in page.lines().filter(|line| line.starts_with("| `{{")) {
        let line = line.replace("\\|", "\u{1}");
        let cells: Vec<String> =
            line.split('|').map(|cell| cell.trim().trim_matches('`').replace('\u{1}', "|")).collect();
        let case = Case::new().file("plan.yaml", text(&cells[1].replace('"', "\\\"")));
        let rendered = case.run(&["render", "plan.yaml"]).exits(0).json();
        assert_eq!(rendered["requests"][0]["body"]["text"]["content"], cells[2].as_str(), "{}", cells[1]);
        count += 1;
    }
    assert!(count >= 12, "{count}");
}

#[test]
fn a_number_keeps_its_form_wherever_it_comes_from() {
    let vars = "\nvars: { x: a, long: 123456789012345678901234567890 }\nsteps:";
    let case = Case::new().file("plan.yaml", text("{{ vars.x }}|{{ vars.long }}").replace("\nsteps:", vars));
    let content = |more: &[&str]| {
        let rendered = case.run(&[&["render", "plan.yaml", "--quiet"], more].concat()).exits(0).json();
        rendered["requests"][0]["body"]["text"]["content"].as_str().expect("text").to_owned()
    };
    for (given, shown) in [
        ("198.50", "198.50"),
        ("3.10", "3.10"),
        ("1e3", "1e3"),
        ("0123", "0123"),
        ("1_000", "1_000"),
        ("2026-07-01", "2026-07-01"),
        ("'3.10'", "3.10"),
        ("\"3.10\"", "3.10"),
        ("'true'", "true"),
        ("'a' or 'b'", "'a' or 'b'"),
    ] {
        let long = "|123456789012345678901234567890";
        assert_eq!(content(&["--var", &format!("x={given}")]), format!("{shown}{long}"));
        if !given.contains("or") {
            case.write("vars.yaml", format!("x: {given}\n"));
            assert_eq!(content(&["--vars-file", "vars.yaml"]), format!("{shown}{long}"));
        }
    }
    case.run(&["render", "plan.yaml", "--var", "x=0x1F"]).exits(3).says("YAML reads `0x1F` as the number 31");
    case.run(&["validate", "plan.yaml", "--var", "x=\u{202e}abc"]).exits(3).says("contains a control character");
    case.run(&["validate", "plan.yaml", "--strict", "--var", "x=abc\u{200b}"])
        .exits(3)
        .says("zero-width space (U+200B)");
}
