//! What the READMEs show is what the program says.

use std::fs;

use qunfa::message::MessageKind;

use crate::{examples::copied, support::repository};

#[test]
fn the_first_plan_is_the_quickstart() {
    let quickstart = fs::read_to_string(repository().join("examples/quickstart/plan.yaml")).expect("is there");
    for readme in ["README.md", "README.zh-CN.md"] {
        let text = fs::read_to_string(repository().join(readme)).expect("is there");
        assert!(text.contains(quickstart.split_once('\n').expect("lines").1), "{readme}");
        assert!(text.matches("```console\n").count() >= 3, "{readme} shows real output");
    }
}

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
        for spec in qunfa::plan::action::ACTIONS {
            assert!(text.contains(&format!("| `{}` |", spec.name)), "{readme} has no row for {}", spec.name);
        }
        for kind in qunfa::plan::message::kinds().map(MessageKind::name) {
            assert!(text.contains(&format!("| `{kind}` |")), "{readme} has no row for {kind}");
        }
    }
    let command = "cargo run -q -- run examples/quickstart/plan.yaml --sandbox";
    let readme = fs::read_to_string(repository().join("README.md")).expect("is there");
    assert!(readme.contains(command) && readme.contains("cargo test"));
    let ci = fs::read_to_string(repository().join(".ci/run")).expect("is there");
    assert!(ci.contains(command) && ci.contains("cargo test"), "CI runs what the README says");
}
