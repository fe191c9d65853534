//! What the READMEs show is what the program says.

use std::fs;

use crate::{examples::copied, support::repository};

/// Run ids are made of time and chance.
fn normal(text: &str) -> String {
    let mut out = Vec::new();
    for line in text.lines() {
        let words: Vec<String> = line
            .split(' ')
            .map(|word| {
                let id = word.len() == 22
                    && word.as_bytes()[8] == b'-'
                    && word.as_bytes()[..8].iter().all(u8::is_ascii_digit);
                if id { "RUN".to_owned() } else { word.to_owned() }
            })
            .collect();
        out.push(words.join(" ").trim_end().to_owned());
    }
    out.join("\n").trim().to_owned()
}

fn blocks(text: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    for block in text.split("```console\n").skip(1) {
        let block = block.split("```").next().expect("an end");
        let (command, output) = block.split_once('\n').expect("a command and its output");
        let command = command.strip_prefix("$ qunfa ").unwrap_or_else(|| panic!("`{command}` is not run"));
        blocks.push((command.to_owned(), output.to_owned()));
    }
    blocks
}

#[test]
fn shown_output_is_real() {
    for readme in ["README.md", "README.zh-CN.md"] {
        let text = fs::read_to_string(repository().join(readme)).expect("is there");
        let blocks = blocks(&text);
        assert!(blocks.len() >= 3, "{readme}");
        for (command, shown) in blocks {
            let case = copied();
            case.write("broken.yaml", BROKEN);
            let args: Vec<&str> = command.split_whitespace().collect();
            let ran = case.run(&args);
            let said = if ran.stdout.is_empty() || args[0] == "validate" {
                format!("{}{}", ran.stderr, ran.stdout)
            } else {
                ran.stdout
            };
            assert_eq!(normal(&shown), normal(&said), "{readme}: qunfa {command}");
        }
        let broken = text
            .split("```yaml\n")
            .map(|block| block.split("```").next().unwrap_or_default())
            .any(|block| block == BROKEN);
        assert!(broken, "{readme} shows the broken plan that it talks of");
        let quickstart = fs::read_to_string(repository().join("examples/quickstart/plan.yaml")).expect("is there");
        assert!(
            text.contains(quickstart.split_once('\n').expect("lines").1),
            "{readme} shows the plan of the quickstart"
        );
    }
}

const BROKEN: &str = "version: 1
name: spring-tea
account: { kind: service, appid: wx0123456789abcdef, secret: { env: WECHAT_SECRET } }
vars: { product: 明前龙井 }
steps:
  - { id: 新茶, action: send_by_tag, to: { tag_id: 2 }, mesage: { text: 上新 } }
  - { id: vip, action: send_by_tag, to: { tag_id: 2 }, message: { text: \"「春茶」{{ vars.prodcut }}上新\" } }
";

#[test]
fn tables_list_what_there_is() {
    let help = copied().run(&["--help"]).exits(0).stdout;
    let commands = help.split_once("Commands:\n").expect("a list").1.split("\n\n").next().expect("its end");
    let commands: Vec<&str> = commands.lines().filter_map(|line| line.split_whitespace().next()).collect();
    for readme in ["README.md", "README.zh-CN.md"] {
        let text = fs::read_to_string(repository().join(readme)).expect("is there");
        for command in &commands {
            assert!(text.contains(&format!("| `qunfa {command}")), "{readme} has no row for {command}");
        }
        for code in ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "130"] {
            assert!(text.contains(&format!("\n| {code} | ")), "{readme} has no row for exit code {code}");
        }
        for spec in qunfa::action::SPECS {
            assert!(text.contains(&format!("| `{}` |", spec.name)), "{readme} has no row for {}", spec.name);
        }
        for kind in qunfa::message::KINDS {
            assert!(text.contains(&format!("| `{kind}` |")), "{readme} has no row for {kind}");
        }
    }
    let command = "cargo run -q -- run examples/quickstart/plan.yaml --sandbox";
    let readme = fs::read_to_string(repository().join("README.md")).expect("is there");
    assert!(readme.contains(command) && readme.contains("cargo test"));
    let ci = fs::read_to_string(repository().join(".ci/run")).expect("is there");
    assert!(ci.contains(command) && ci.contains("cargo test"), "CI runs what the README says");
}
