//! The examples run as they are: without an account, without an environment, twice with the same bytes.

use std::{fs, path::Path};

use crate::support::{Case, in_each_language, repository};

/// A copy of the examples, so that nothing is left in the repository.
pub(crate) fn copied() -> Case {
    fn copy(from: &Path, case: &Case, to: &str) {
        for entry in fs::read_dir(from).expect("readable").flatten() {
            let name = format!("{to}/{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                copy(&entry.path(), case, &name);
            } else {
                case.write(&name, fs::read(entry.path()).expect("readable"));
            }
        }
    }
    let case = Case::new().no_env("WECHAT_SECRET").env("QUNFA_NOW", "2026-03-02T10:00:00+08:00");
    copy(&repository().join("examples"), &case, "examples");
    case
}

#[test]
fn every_example_runs_on_the_sandbox() {
    let case = copied();
    let mut names: Vec<String> = fs::read_dir(repository().join("examples"))
        .expect("readable")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["agency", "ci", "engines", "fleet", "newspic", "publish", "quickstart", "spring-article", "vip-list"]
    );
    // A fleet has its accounts elsewhere: see below; the engines run it.
    for name in names.into_iter().filter(|name| name != "fleet" && name != "engines") {
        let plan = format!("examples/{name}/plan.yaml");
        let said = case.run(&["validate", &plan]).exits(0);
        assert_eq!(said.stderr, "", "{name} has no warnings");
        let rendered = case.run(&["render", &plan]).exits(0).stdout;
        assert_eq!(rendered, case.run(&["render", &plan]).exits(0).stdout);
        let ran = case.run(&["run", &plan, "--sandbox"]).exits(0);
        let delivered = ran.stdout.split_once("What the sandbox delivered:").expect("it is shown").1;
        insta::assert_snapshot!(format!("example-{name}"), format!("{delivered}\n---\n{rendered}"));
    }
    for vars in ["staging", "production"] {
        let file = format!("examples/vip-list/vars/{vars}.yaml");
        case.run(&["run", "examples/vip-list/plan.yaml", "--sandbox", "--vars-file", &file]).exits(0);
    }
}

#[test]
fn the_fleet_runs_on_the_sandbox() {
    let case = copied();
    let fleet = "examples/fleet/fleet.yaml";
    let checked = case.run(&["fleet", "check", fleet, "--without-secrets"]).exits(0);
    assert_eq!(checked.stderr, "", "no warnings");
    case.run(&["fleet", "check", fleet, "--without-secrets", "--check", "examples/fleet/rendered"]).exits(0);
    let ran = case.run(&["run", "--fleet", fleet, "--shard", "1/1", "--sandbox"]).exits(0);
    let delivered: Vec<&str> = ran.stdout.lines().filter(|line| line.contains("text:")).collect();
    insta::assert_snapshot!("example-fleet", format!("{}\n---\n{}", delivered.join("\n"), checked.stdout));
}

#[test]
fn the_quickstart_says_what_would_be_sent() {
    in_each_language(|| {
        copied().run(&["run", "examples/quickstart/plan.yaml", "--sandbox"]).exits(0).prints("quickstart");
    });
}
