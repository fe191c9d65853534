//! `qunfa init`: what it writes works as it is.

use std::{collections::BTreeMap, fs};

use serde_json::Value;

use crate::support::{Case, Fake, SECRET, in_both, in_each_language, repository};

/// Paths of all files below a folder.
fn files(case: &Case) -> Vec<String> {
    let root = case.path("");
    let mut found: Vec<String> = case
        .left_behind()
        .into_iter()
        .map(|(path, _)| path.strip_prefix(&root).expect("below").to_string_lossy().into_owned())
        .collect();
    found.sort();
    found
}

fn empty() -> Case {
    Case::new().no_env("WECHAT_SECRET").env("QUNFA_NOW", "2026-03-02T10:00:00+08:00")
}

/// A campaign, as `init` writes it in a language.
fn written(kind: &str, language: &str) -> Case {
    let case = empty().speaks(language);
    case.run(&["init", "--kind", kind, "--name", "spring-tea"]).exits(0);
    case
}

#[test]
fn a_campaign_works_as_it_is() {
    in_both(|language, suffix| {
        works_as_it_is("service", language, suffix);
        works_as_it_is("subscription", language, suffix);
    });
}

fn works_as_it_is(kind: &str, language: &str, suffix: &str) {
    let case = empty().speaks(language);
    let ran = case.run(&["init", "--kind", kind, "--name", "spring-tea"]).exits(0);
    insta::assert_snapshot!(format!("init-{kind}{suffix}"), format!("{}--- stderr\n{}", ran.stdout, ran.stderr));
    let written = files(&case);
    let said: Vec<&str> = ran.stdout.lines().filter(|line| !line.ends_with('/')).collect();
    assert!(said.iter().all(|path| written.contains(&(*path).to_owned())), "{written:?}");
    let others = written.iter().filter(|path| !said.contains(&path.as_str()));
    assert!(others.clone().all(|path| path.starts_with("rendered/")), "{:?}", others.collect::<Vec<_>>());

    let production = ["plan.yaml", "--vars-file", "vars/production.yaml"];
    let with = |command: &[&'static str], more: &[&'static str]| [command, &production, more].concat();
    assert_eq!(case.run(&["fmt", "--check", "plan.yaml"]).exits(0).stdout, "");
    assert_eq!(case.run(&["validate", "plan.yaml"]).exits(0).stderr, "", "no warnings");
    assert_eq!(case.run(&with(&["validate"], &[])).exits(0).stderr, "");
    let rendered = case.run(&with(&["render"], &[])).exits(0).json();
    case.run(&with(&["render"], &["--check", "rendered"])).exits(0);
    for vars in ["vars/production.yaml", "vars/staging.yaml"] {
        case.run(&["run", "plan.yaml", "--vars-file", vars, "--sandbox"]).exits(0);
        case.run(&["validate", "plan.yaml", "--vars-file", vars, "--strict"]).exits(0);
    }
    // As CI runs it, twice: each message goes out once.
    let (server, digest) = (Fake::usual(), rendered["digest"].as_str().expect("text"));
    let words = if language == "zh" { ["成功", "之前已完成"] } else { ["succeeded", "already done"] };
    for said in words {
        let mut command = case.command(&with(&["run"], &["--yes", "--expect"]));
        command.args([digest, "--api-base", &server.base]).env("WECHAT_SECRET", SECRET);
        let output = command.output().expect("it starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(String::from_utf8_lossy(&output.stdout).contains(said), "{kind}: {said}");
    }
    server.delivered_once(if kind == "service" { 2 } else { 1 });
    let plan = case.read("plan.yaml");
    assert!(
        plan.starts_with("# yaml-language-server: $schema=schemas/plan.schema.json\nversion: 1\nname: spring-tea\n")
    );
    assert_eq!(plan.contains("send_by_openid"), kind == "service");
    assert!(plan.contains(&format!("  kind: {kind}\n")));
    for path in written {
        if !path.ends_with(".png") {
            let text = case.read(&path);
            assert!(!text.contains("@name@") && !text.contains("@kind@") && !text.contains("@version@"), "{path}");
        }
    }
    assert_eq!(case.read("schemas/plan.schema.json"), case.run(&["schema", "plan"]).exits(0).stdout);
    let settings: Value = serde_json::from_str(&case.read(".vscode/settings.json")).expect("JSON");
    assert_eq!(settings["yaml.schemas"]["./schemas/plan.schema.json"][0], "plan.yaml");

    // The digest that the workflows take out of the manifest is the one that a run expects.
    assert!(case.read("rendered/manifest.json").contains(&format!("\n  \"digest\": \"{digest}\"")));
    case.run(&with(&["run"], &["--sandbox", "--expect", ""])).exits(9);
}

/// The comments of a file.
fn comments(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.split_once("# ")).map(|(_, comment)| comment).collect()
}

/// A value without the texts that people read.
fn bare(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match name.as_str() {
                    "description" | "name" | "QUNFA_LANG" if value.is_string() => *value = Value::Null,
                    _ => bare(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(bare),
        Value::String(text) => {
            // What a script says, and nothing else of it.
            let lines = text.lines().map(|line| line.split_once("echo ").map_or(line, |(before, _)| before));
            *text = lines.collect::<Vec<_>>().join("\n");
        }
        _ => {}
    }
}

#[test]
fn both_languages_are_the_same_campaign() {
    for kind in ["service", "subscription"] {
        let [english, chinese] = ["en", "zh"].map(|language| written(kind, language));
        assert_eq!(files(&english), files(&chinese));
        for path in ["plan.yaml", "vars/staging.yaml", ".github/workflows/qunfa.yml", ".gitlab-ci.yml", ".gitignore"] {
            let texts = [&english, &chinese].map(|case| case.read(path));
            let [mut a, mut b] = texts
                .each_ref()
                .map(|text| serde_yaml::from_str::<Value>(text).unwrap_or_else(|_| text.as_str().into()));
            if path != ".gitignore" {
                bare(&mut a);
                bare(&mut b);
                assert_eq!(a, b, "{path}");
            }
            let [a, b] = texts.each_ref().map(|text| comments(text));
            assert_eq!(a.len(), b.len(), "{path}");
            for (a, b) in a.iter().zip(b).filter(|(a, _)| !a.contains("$schema=")) {
                assert!(a.is_ascii() && !b.is_ascii(), "{path}: {a} | {b}");
            }
        }
        // Headings, commands, and what stands between backticks.
        let [a, b] = [&english, &chinese].map(|case| {
            let text = case.read("README.md");
            let blocks: Vec<String> = text.split("```").skip(1).step_by(2).map(str::to_owned).collect();
            let levels: Vec<usize> =
                text.lines().filter(|line| line.starts_with('#')).filter_map(|line| line.find(' ')).collect();
            let mut names: BTreeMap<String, usize> = BTreeMap::new();
            for name in text.replace("```", "").split('`').skip(1).step_by(2) {
                *names.entry(name.to_owned()).or_default() += 1;
            }
            let rows = text.lines().filter(|line| line.starts_with('|')).count();
            (blocks, levels, names, rows)
        });
        assert_eq!(a, b);
    }
    let schema = written("service", "zh").read("schemas/plan.schema.json");
    assert_eq!(schema, Case::new().speaks("zh").run(&["schema", "plan"]).exits(0).stdout);
}

#[test]
fn workflows_are_sane() {
    let case = empty();
    case.run(&["init"]).exits(0);
    let yaml = |path: &str| serde_yaml::from_str::<Value>(&case.read(path)).expect("YAML");
    let github = yaml(".github/workflows/qunfa.yml");
    assert_eq!(github["permissions"], serde_json::json!({ "contents": "read" }));
    let (review, send) = (&github["jobs"]["review"], &github["jobs"]["send"]);
    assert!(!review.to_string().contains("secrets.") && review["if"] == "github.event_name == 'pull_request'");
    assert!(send["if"].as_str().expect("text").contains("refs/heads/main") && send["environment"] == "production");
    assert_eq!(send["concurrency"], serde_json::json!({ "group": "qunfa-send", "cancel-in-progress": false }));
    let gitlab = yaml(".gitlab-ci.yml");
    assert_eq!(
        (&gitlab["send"]["resource_group"], &gitlab["send"]["cache"]["when"]),
        (&"qunfa-send".into(), &"always".into())
    );
    for workflow in [github, gitlab] {
        let text = workflow.to_string();
        for part in
            ["fmt --check", "--check rendered", "--expect", "--yes", concat!("qunfa@", env!("CARGO_PKG_VERSION"))]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("pull_request_target"));
    }
}

#[test]
fn nothing_is_overwritten() {
    in_each_language(|| {
        let case = empty().file("README.md", "mine").file("vars", "no folder").file("rendered/old", "");
        let ran = case.run(&["init"]).exits(9);
        for path in ["`README.md`", "`vars`", "`rendered`"] {
            assert!(ran.stderr.contains(path), "{path}: {}", ran.stderr);
        }
        assert_eq!(files(&case), ["README.md", "rendered/old", "vars"]);

        let case = empty();
        case.run(&["init", "campaigns/spring"]).exits(0);
        let before = files(&case);
        let ran =
            case.run(&["init", "campaigns/spring"]).exits(9).says("these files already exist, so nothing was written");
        assert!(
            ran.stderr.contains("`campaigns/spring/plan.yaml`") && ran.stderr.contains("`campaigns/spring/rendered`"),
            "{}",
            ran.stderr
        );
        assert_eq!(files(&case), before);
        assert!(before.iter().all(|path| path.starts_with("campaigns/spring/")), "{before:?}");
    });
}

#[test]
fn names() {
    in_each_language(|| {
        let name_in = |args: &[&str], plan: &str| {
            let case = empty();
            case.run(args).exits(0);
            case.read(plan).lines().nth(2).expect("a line").to_owned()
        };
        assert_eq!(name_in(&["init", "spring-tea"], "spring-tea/plan.yaml"), "name: spring-tea");
        assert_eq!(name_in(&["init", "春茶"], "春茶/plan.yaml"), "name: campaign");
        assert_eq!(name_in(&["init", "a", "--name", "0b"], "a/plan.yaml"), "name: 0b");
        let case = empty();
        for name in ["Spring", "春茶", "a b", "-a", "", "a/../b", "a\nb", &"a".repeat(64)] {
            case.run(&["init", &format!("--name={name}")]).exits(2).says("a name has at most 63 lower-case letters");
        }
        case.run(&["init", "--kind", "enterprise"]).exits(2).says("subscription");
        assert!(files(&case).is_empty());
    });
}

#[cfg(unix)]
#[test]
fn nothing_is_written_elsewhere() {
    in_each_language(|| {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let case = empty().file("elsewhere/a", "").file("here/b", "");
        symlink("../elsewhere", case.path("here/content")).expect("a link");
        case.run(&["init", "here"]).exits(9).says("`here/content` already exists");
        assert_eq!(files(&case).iter().filter(|path| path.starts_with("elsewhere")).count(), 1);

        case.write("file", "");
        case.run(&["init", "file"]).exits(4).says("cannot write");

        // Root may write anywhere: there the folder is one of the system's that takes no files.
        let folder = case.path("locked");
        fs::create_dir(&folder).expect("ours");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).expect("ours");
        let locked =
            if fs::write(folder.join("probe"), "").is_ok() { "/proc".to_owned() } else { folder.display().to_string() };
        case.run(&["init", &locked]).exits(4).says("cannot write").says("nothing was written");
    });
}

#[test]
fn a_part_of_a_repository() {
    in_each_language(|| {
        let case = empty().file(".git/HEAD", "");
        let ran = case.run(&["init", "campaigns/a"]).exits(0);
        ran.says("inside a larger repository");
        case.run(&["run", "campaigns/a/plan.yaml", "--sandbox"]).exits(0);
        assert!(repository().join("src/cli/init").is_dir());
    });
}

#[test]
fn what_was_written_is_data_too() {
    let case = empty();
    let said = case.run(&["init", "tea", "--name", "tea", "--format", "json"]).exits(0).json();
    assert_eq!((&said["schema"], &said["plan"]), (&Value::from(1), &Value::from("tea/plan.yaml")));
    let written = said["written"].as_array().expect("a list").iter().filter_map(Value::as_str);
    assert!(written.clone().count() > 10 && written.clone().all(|path| case.path(path).exists()), "{said}");
    let refused = case.run(&["init", "tea", "--name", "tea", "--format", "json"]).exits(9).json();
    assert!(refused["error"]["message"].as_str().is_some_and(|message| message.contains("already exist")), "{refused}");
}
