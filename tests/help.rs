//! What the program says of itself: helps, wrong usage, man pages and completions, in both languages.

use std::process::{Command, Stdio};

use crate::{
    cli::commands,
    support::{Case, Ran, in_both, plan, send},
};

/// Every command by its words: `["token", "show"]`; none for the program.
fn all_commands() -> Vec<Vec<String>> {
    let case = Case::new();
    let mut all = vec![Vec::new()];
    for name in commands(&case) {
        all.push(vec![name.clone()]);
        let help = case.run(&[&name, "--help"]).exits(0).stdout;
        if let Some((_, below)) = help.split_once("\nCommands:\n") {
            let lines = below.lines().take_while(|line| !line.is_empty());
            let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
            all.extend(names.filter_map(|line| Some(vec![name.clone(), line.split_whitespace().next()?.to_owned()])));
        }
    }
    all
}

fn words(command: &[String]) -> Vec<&str> {
    command.iter().map(String::as_str).collect()
}

#[test]
fn help_texts() {
    for command in all_commands() {
        let name = if command.is_empty() { "help".to_owned() } else { format!("help-{}", command.join("-")) };
        in_both(|language, suffix| {
            let case = Case::new().speaks(language);
            let help = case.run(&[words(&command), vec!["--help"]].concat()).exits(0).stdout;
            insta::assert_snapshot!(format!("{name}{suffix}"), help);
            let asked = case.run(&[vec!["help"], words(&command)].concat()).exits(0).stdout;
            assert_eq!(asked, help, "`qunfa help` says the same");
        });
    }
    in_both(|language, suffix| {
        let case = Case::new().speaks(language);
        insta::assert_snapshot!(format!("summary{suffix}"), case.run(&["-h"]).exits(0).stdout);
        insta::assert_snapshot!(format!("summary-run{suffix}"), case.run(&["run", "-h"]).exits(0).stdout);
    });
    let case = Case::new();
    let version = concat!("qunfa ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(case.run(&["--version"]).exits(0).stdout, version);
    for more in [&["version"][..], &["-V"], &["--version", "--color", "never"], &["--lang", "zh", "--version"]] {
        assert_eq!(case.run(more).exits(0).stdout, version, "{more:?}");
    }
}

#[test]
fn a_newcomer_is_told_to_begin_with_init() {
    in_both(|language, _| {
        let case = Case::new().speaks(language);
        let alone = case.run(&[]).exits(2).stderr;
        let help = case.run(&["--help"]).exits(0).stdout;
        for said in [&alone, &help] {
            let first = said.lines().find(|line| line.trim_start().starts_with("qunfa ")).expect("a command");
            assert_eq!(first.trim(), "qunfa init spring-tea", "{said}");
            assert!(!said.contains("examples/"), "no path of the checkout: {said}");
        }
        let token = case.run(&["token"]).exits(2).stderr;
        assert_eq!(token, case.run(&["token", "-h"]).exits(0).stdout, "a command without its command");
        // What it tells works.
        let case = Case::new();
        case.run(&["init", "spring-tea"]).exits(0);
        case.run(&["run", "spring-tea/plan.yaml", "--sandbox"]).exits(0);
    });
}

/// No word of clap's, and no English heading, is left.
#[test]
fn a_chinese_help_is_chinese() {
    let case = Case::new().speaks("zh");
    for command in all_commands() {
        for flag in ["-h", "--help"] {
            let help = case.run(&[words(&command), vec![flag]].concat()).exits(0).stdout;
            for english in [
                "Usage",
                "Options",
                "OPTIONS",
                "Arguments",
                "[env",
                "[default",
                "[values",
                "Print",
                "Example",
                "Values",
            ] {
                assert!(!help.contains(english), "`{english}` in:\n{help}");
            }
        }
    }
}

#[test]
fn common_options_are_shown_where_they_have_an_effect() {
    let case = Case::new();
    for command in all_commands() {
        let help = case.run(&[words(&command), vec!["--help"]].concat()).exits(0).stdout;
        let shows = |option: &str| help.contains(&format!("--{option} <")) || help.contains(&format!("--{option}\n"));
        let name = command.join(" ");
        let reads_plan = [
            "validate",
            "render",
            "preview-html",
            "audience",
            "listen",
            "event",
            "run",
            "status",
            "stats",
            "report",
            "settle",
            "delete",
            "drafts",
            "published",
            "material",
            "pull",
            "doctor",
            "sandbox",
            "token show",
            "token refresh",
            "token clear",
            "pin",
            "comments list",
            "comments open",
            "comments close",
            "comments elect",
            "comments unelect",
            "comments reply",
            "comments unreply",
            "comments delete",
            "fleet check",
            "fleet list",
            "fleet status",
        ]
        .contains(&name.as_str());
        let is_fleet = name.starts_with("fleet ");
        let has_state = reads_plan
            && (!is_fleet || name == "fleet status")
            && !["validate", "render", "preview-html", "sandbox"].contains(&name.as_str());
        let of_store = ["state migrate", "state grants", "state check"].contains(&name.as_str());
        for (option, applies) in [
            ("var", reads_plan),
            ("vars-file", reads_plan),
            ("account", reads_plan && !is_fleet),
            ("fleet", reads_plan && !is_fleet && !["preview-html", "sandbox"].contains(&name.as_str())),
            ("now", reads_plan),
            ("state", has_state || of_store),
            ("api-base", has_state),
            ("verbose", name == "run"),
            ("color", name.is_empty()),
            ("lang", name.is_empty()),
            ("quiet", name.is_empty()),
        ] {
            assert_eq!(shows(option), applies, "--{option} of `{name}`:\n{help}");
        }
    }
    // They are accepted everywhere all the same: they can be set once for all commands.
    case.run(&["schema", "--state", "sqlite:x.db", "--var", "a=1"]).exits(0);
}

#[test]
fn wrong_usage_names_what_is_meant() {
    let lines: &[&[&str]] = &[
        &["rnu", "plan.yaml"],
        &["plan"],
        &["check", "plan.yaml"],
        &["lint"],
        &["send"],
        &["SEND"],
        &["dry-run"],
        &["publish"],
        &["test"],
        &["preview"],
        &["login"],
        &["undo"],
        &["delete"],
        &["stop"],
        &["群发"],
        &["snd"],
        &["xyzzy"],
        &["春茶 计划.yaml"],
        &["help", "rnu"],
        &["token", "shw"],
        &["token", "xyzzy"],
        &["run"],
        &["run", "plan.yaml", "--onyl", "a"],
        &["run", "plan.yaml", "--xyzzy"],
        &["validate", "plan.yaml", "--sandbox"],
        &["run", "plan.yaml", "more"],
        &["run", "plan.yaml", "--format", "xml"],
        &["run", "plan.yaml", "--format", "jsn"],
        &["run", "plan.yaml", "--format"],
        &["run", "plan.yaml", "--only"],
        &["run", "plan.yaml", "--yes=1"],
        &["run", "plan.yaml", "--from", "a", "--from", "b"],
        &["run", "plan.yaml", "--now", "tomorrow"],
        &["run", "plan.yaml", "--sandbox", "--fault", "explode"],
        &["run", "plan.yaml", "--sandbox", "--fault", "rotate@stable_token"],
        &["run", "plan.yaml", "--sandbox", "--fault", "drop@nowhere"],
        &["run", "plan.yaml", "--sandbox", "--fault", "lossy@mass/send"],
        &["run", "plan.yaml", "--sandbox", "--fault", "drop#never"],
        &["run", "plan.yaml", "--fault-seed", "-1"],
        &["render", "plan.yaml", "--out", "a", "--check", "b"],
        &["settle", "plan.yaml", "announce"],
        &["settle", "plan.yaml", "announce", "--sent", "1", "--not-sent"],
        &["settle", "plan.yaml", "announce", "--sent", "x"],
        &["init", "--name", "Spring Tea"],
        &["init", "--kind", "test"],
        &["sandbox", "--listen", "8080"],
        &["completions", "tcsh"],
        &["schema", "plans"],
    ];
    in_both(|language, suffix| {
        let case = Case::new().speaks(language);
        let mut all = String::new();
        for line in lines {
            let Ran { stdout, stderr, code } = case.run(line);
            assert_eq!((code, stdout.as_str()), (2, ""), "{line:?}: {stderr}");
            all.push_str(&format!("$ qunfa {}\n{stderr}\n", line.join(" ")));
        }
        let ran = case.env("QUNFA_FORMAT", "xml").run(&["status", "plan.yaml"]).exits(2);
        all.push_str(&format!("$ QUNFA_FORMAT=xml qunfa status plan.yaml\n{}", ran.stderr));
        insta::assert_snapshot!(format!("usage{suffix}"), all);
    });
    Case::new().run(&["resolve", "plan.yaml", "a", "--not-sent"]).exits(4).says("no such file");
}

#[test]
fn man_pages() {
    in_both(|language, suffix| {
        let case = Case::new().speaks(language);
        case.run(&["man", "pages"]).exits(0);
        let mut names: Vec<String> = all_commands().iter().map(|command| words(command).join("-")).collect();
        names.sort();
        for name in names {
            let name = if name.is_empty() { "qunfa".to_owned() } else { format!("qunfa-{name}") };
            let page = case.read(&format!("pages/{name}.1"));
            insta::assert_snapshot!(format!("man-{name}{suffix}"), page);
            let sections = match language {
                "zh" => ["名称", "概要", "说明", "退出状态", "示例", "参见"],
                _ => ["NAME", "SYNOPSIS", "DESCRIPTION", "EXIT STATUS", "EXAMPLES", "SEE ALSO"],
            };
            for section in sections {
                assert!(page.contains(&format!(".SH \"{section}\"\n")), "{section} of {name}:\n{page}");
            }
            // Where a formatter is there, it finds nothing wrong.
            let path = case.path(&format!("pages/{name}.1"));
            let groff = Command::new("groff")
                .args(["-man", "-Tutf8", "-ww", "-W", "break", "-z", "-K", "utf8"])
                .arg(&path)
                .output();
            if let Ok(said) = groff {
                assert_eq!(String::from_utf8_lossy(&said.stderr), "", "{name}");
            }
        }
        assert!(case.read("pages/qunfa-token-show.1").contains(".B qunfa token show\n"));
        assert!(case.read("pages/qunfa.1").contains("QUNFA_LANG"), "the environment is listed");
    });
    let case = Case::new().file("pages", "a file");
    case.run(&["man", "pages"]).exits(4).says("cannot write qunfa.1 to pages");
}

/// What a shell is told when it asks, with the words as typed; the last one is completed.
fn completed(case: &Case, line: &[&str]) -> Vec<String> {
    let mut command = case.command(&["--", "qunfa"]);
    command.args(line).env("QUNFA_COMPLETE", "fish");
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8").lines().map(str::to_owned).collect()
}

fn with_plan() -> Case {
    Case::new().file("plan.yaml", plan(&(send("one") + &send("two")))).file("vars.yaml", "a: 1\n").file("notes.txt", "")
}

#[test]
fn completions_know_steps_codes_and_formats() {
    let case = with_plan();
    let steps = ["one\tsend_by_tag", "two\tsend_by_tag"];
    assert_eq!(completed(&case, &["run", "plan.yaml", "--only", ""]), steps);
    assert_eq!(completed(&case, &["run", "--vars-file", "vars.yaml", "plan.yaml", "--from", "t"]), steps[1..]);
    assert_eq!(completed(&case, &["settle", "plan.yaml", "o"]), steps[..1]);
    assert_eq!(completed(&case, &["audience", "plan.yaml", "tw"]), steps[1..]);
    assert!(completed(&case, &["run", "nowhere.yaml", "--from", ""]).is_empty(), "no plan, no steps");
    let formats = ["human=", "json=", "junit=", "markdown=", "html="];
    assert_eq!(completed(&case, &["run", "plan.yaml", "--report", ""]), formats);
    assert_eq!(completed(&case, &["report", "plan.yaml", "--format", "j"]), ["json", "junit"]);
    assert_eq!(completed(&case, &["run", ""])[..2], ["plan.yaml", "vars.yaml"], "plans, and no other files");
    assert_eq!(completed(&case, &["help", "va"]), ["validate"]);
    assert_eq!(completed(&case, &["sandbox", "--fault", "dr"]), ["drop"]);
    let codes = completed(&case, &["explain", "4502"]);
    assert!(codes.len() == 1 && codes[0].starts_with("45028\t"), "{codes:?}");
    assert!(completed(&case, &["explain", "Q2"]).iter().any(|code| code.starts_with("Q201\t")));
    assert_eq!(completed(&case, &["version", "--"]), ["--help\tPrints help (-h: a summary, --help: all details)"]);
    let chinese = completed(&Case::new().speaks("zh"), &["val"]);
    assert!(chinese[0].starts_with("validate\t") && !chinese[0].contains("Checks"), "{chinese:?}");
    // A plan that is being written still has its steps.
    case.write("plan.yaml", plan(&send("one")).replace("action: send_by_tag", "action: sen"));
    assert_eq!(completed(&case, &["run", "plan.yaml", "--only", ""]), ["one\tsen"]);
    // Rows have names that only the whole plan knows; without its variables it has none.
    let rows = "  - { id: city, action: send_by_tag, foreach: { file: cities.csv }, key: '{{ row.name }}', to: { tag_id: 2 }, message: { text: '{{ vars.a }}' } }\n";
    case.write("cities.csv", "name\n广州\nSt. John's\n");
    case.write("plan.yaml", plan(&(send("one") + rows)).replace("steps:", "vars: { a: { type: int } }\nsteps:"));
    let ids = |line: &[&str]| {
        let candidates = completed(&case, line);
        candidates.iter().map(|line| line.split('\t').next().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    let given = ["run", "plan.yaml", "--vars-file", "vars.yaml", "--only"];
    assert_eq!(ids(&[&given[..], &[""]].concat()), ["one", "city", "city[广州]", "city[St. John's]"]);
    assert_eq!(ids(&[&given[..], &["city["]].concat()), ["city[广州]", "city[St. John's]"]);
    assert_eq!(ids(&["settle", "plan.yaml", "--var", "a=1", "city[广"]), ["city[广州]"]);
    assert_eq!(ids(&["run", "plan.yaml", "--only", ""]), ["one", "city"]);
    let unknown = case.command(&["--", "qunfa", ""]).env("QUNFA_COMPLETE", "csh").output().expect("it starts");
    assert_eq!(unknown.status.code(), Some(2));
}

/// The scripts, in the shells of this machine. Fish would take the terminal of whoever runs the tests: it gets none.
#[test]
fn shells_take_the_scripts() {
    let case = with_plan();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = case.run(&["completions", shell]).exits(0).stdout;
        assert!(
            script.contains("QUNFA_COMPLETE") && !script.contains(env!("CARGO_BIN_EXE_qunfa")),
            "{shell}: {script}"
        );
        case.write(&format!("qunfa.{shell}"), script);
    }
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_qunfa")).parent().expect("a folder");
    let path = std::env::join_paths(
        [program.to_owned()].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").expect("set"))),
    )
    .expect("a path");
    let scripts = [
        (
            "bash",
            "source ./qunfa.bash; COMP_WORDS=(qunfa run plan.yaml --only ''); COMP_CWORD=4; COMP_TYPE=9; \
             _clap_complete_qunfa qunfa '' --only 2>/dev/null; printf '%s\\n' \"${COMPREPLY[@]}\"",
        ),
        (
            "zsh",
            "compdef() { :; }; _describe() { print -l -- ${(P)${@[$#]}%%:*}; }; source ./qunfa.zsh; \
             words=(qunfa run plan.yaml --only ''); CURRENT=5; _clap_dynamic_completer_qunfa",
        ),
        ("setsid", "source ./qunfa.fish; complete -C 'qunfa run plan.yaml --only ' | string split --fields 1 \\t"),
    ];
    for (shell, script) in scripts {
        let mut command = Command::new(shell);
        if shell == "setsid" {
            command.args(["--wait", "fish"]);
        }
        command.args(["-c", script]).current_dir(case.path("")).env("PATH", &path).env("HOME", case.path(""));
        let Ok(output) = command.stdin(Stdio::null()).output() else { continue };
        if output.status.code() == Some(127) {
            continue; // `setsid` is there, and fish is not
        }
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(
            said.lines().collect::<Vec<_>>(),
            ["one", "two"],
            "{shell}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
