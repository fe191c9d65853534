//! The command line: what each command prints, what it keeps to itself, and what it leaves behind.

use qunfa::plan::schema::texts;
use serde_json::{Value, json};

use crate::support::{
    Answer, Case, Fake, Ran, SECRET, TOKEN, code, in_both, in_each_language, plan, repository, send, told,
};

fn one_send() -> Case {
    Case::new().file("plan.yaml", plan(&send("one")))
}

#[test]
fn no_secret_is_in_anything_that_is_left_behind() {
    let echo = |code: i64| Answer::Json(json!({ "errcode": code, "errmsg": format!("bad {TOKEN} of {SECRET}") }));
    let html = || Answer::Raw(502, "text/html", format!("<html>{TOKEN} {SECRET}</html>"));
    let scripts: Vec<Vec<Answer>> = vec![
        vec![],
        vec![echo(45028)],
        vec![echo(40001), echo(40001)],
        vec![echo(-1)],
        vec![html(), html(), html()],
        vec![Answer::Close, Answer::Close, Answer::Close],
        vec![Answer::Stall],
    ];
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let mut bases: Vec<(Option<Fake>, String)> = Vec::new();
    for script in scripts {
        let server = Fake::scripted("sendall", script);
        let base = server.base.clone();
        bases.push((Some(server), base));
    }
    let refused = json!({ "errcode": 40125, "errmsg": format!("invalid appsecret {SECRET}") });
    bases.push((Some(Fake::new(move |_, _| Answer::Json(refused.clone()))), String::new()));
    bases.push((
        Some(Fake::new(move |_, _| Answer::Raw(200, "text/plain", format!("{SECRET} {TOKEN}")))),
        String::new(),
    ));
    bases.push((None, format!("http://{nobody}")));
    bases.push((None, format!("http://{SECRET}.example.com")));
    for (server, base) in &bases {
        let base = server.as_ref().map_or(base, |server| &server.base);
        let case = one_send();
        let formats = ["human", "json", "junit", "markdown", "html"];
        let reports: Vec<String> = formats.iter().map(|format| format!("{format}=report.{format}")).collect();
        let mut args = vec!["run", "plan.yaml", "--yes", "-v", "--api-base", base.as_str()];
        reports.iter().for_each(|report| args.extend(["--report", report]));
        let mut said: Vec<(String, Vec<u8>)> = Vec::new();
        for args in [
            args,
            vec!["status", "plan.yaml", "--refresh", "--api-base", base],
            vec!["token", "show", "plan.yaml", "--api-base", base],
            vec!["token", "refresh", "plan.yaml", "--api-base", base],
            vec!["report", "plan.yaml"],
        ] {
            let ran = case.run(&args);
            said.push((format!("stdout of {args:?}"), ran.stdout.into_bytes()));
            let stderr = if base.contains(SECRET) { ran.stderr.replace(base.as_str(), "") } else { ran.stderr };
            said.push((format!("stderr of {args:?}"), stderr.into_bytes()));
        }
        said.extend(case.left_behind().into_iter().map(|(path, bytes)| (path.display().to_string(), bytes)));
        for (place, bytes) in said {
            for secret in [SECRET, TOKEN] {
                let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!found, "{place} holds {secret}, against {base}");
            }
        }
    }
}

#[cfg(unix)]
#[test]
fn the_state_is_private_and_out_of_git() {
    use std::os::unix::fs::PermissionsExt as _;
    let (case, server) = (one_send(), Fake::usual());
    case.against(&server, &[]).exits(0);
    for file in [".qunfa/state.db", ".qunfa/state.db.tokens"] {
        let mode = std::fs::metadata(case.path(file)).expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    assert_eq!(case.read(".qunfa/.gitignore"), "*\n");
}

#[test]
fn the_state_belongs_to_the_project() {
    let server = Fake::usual();
    let case = Case::new()
        .file(".git/HEAD", "")
        .file("campaigns/a/plan.yaml", plan(&send("one")))
        .file("campaigns/b/plan.yaml", plan(&send("one")).replace("name: test", "name: other"));
    for plan in ["campaigns/a/plan.yaml", "campaigns/b/plan.yaml"] {
        case.run(&["run", plan, "--yes", "--api-base", &server.base]).exits(0);
    }
    assert!(case.path(".qunfa/state.db").exists() && !case.path("campaigns/a/.qunfa").exists());
    assert_eq!(server.tokens(), 1, "campaigns of a repository share the token");
    let case = one_send();
    case.against(&Fake::usual(), &["--state", "sqlite:elsewhere/my.db"]).exits(0);
    assert!(case.path("elsewhere/my.db").exists() && !case.path(".qunfa").exists());
}

#[test]
fn the_token_command_never_shows_the_token() {
    in_each_language(|| {
        let (case, server) = (one_send(), Fake::usual());
        let token = |action: &str| {
            case.run(&["token", action, "plan.yaml", "--api-base", &server.base, "--format", "json"]).exits(0).json()
        };
        assert_eq!(token("show")["cached"], false);
        assert_eq!(token("refresh")["fetched"], 1);
        assert_eq!((&token("refresh")["fetched"], &token("show")["good"]), (&json!(0), &json!(true)));
        assert_eq!(token("clear")["cached"], false);
        assert_eq!(server.tokens(), 1);
        case.run(&["token", "show", "plan.yaml"]).exits(0).says("no cached token");
        // Without a plan: every account of the store.
        case.run(&["token", "show"]).exits(0).says("no cached token");
        token("refresh");
        case.run(&["token", "show"])
            .exits(0)
            .says(&format!("wx0123456789abcdef at {}: cached token, valid until", server.base));
        case.run(&["token", "refresh"]).exits(2);
        assert_eq!(case.run(&["token", "clear", "--format", "json"]).exits(0).json()["tokens"], json!([]));
    });
}

#[test]
fn reports_of_past_runs() {
    in_each_language(|| {
        let (case, server) = (one_send(), Fake::scripted("sendall", vec![code(40152)]));
        case.run(&["report", "plan.yaml"]).exits(4).says("no runs of `test` found");
        let formats = ["human", "json", "junit", "markdown", "html"];
        let reports: Vec<String> = formats.iter().map(|format| format!("{format}=out/report.{format}")).collect();
        let mut args: Vec<&str> = vec!["--format", "json"];
        reports.iter().for_each(|report| args.extend(["--report", report]));
        let first = case.against(&server, &args).exits(5).json();
        case.against(&server, &[]).exits(0);
        let run_id = first["run_id"].as_str().expect("text");
        for format in formats {
            let past = case.run(&["report", "plan.yaml", "--run", run_id, "--format", format]).exits(0).stdout;
            assert_eq!(past, case.read(&format!("out/report.{format}")), "{format}");
        }
        assert_eq!(
            case.run(&["report", "plan.yaml", "--format", "json"]).exits(0).json()["outcome"],
            "succeeded",
            "the last one"
        );
        case.run(&["report", "plan.yaml", "--run", "nothing"]).exits(4).says(run_id);
        case.against(&server, &["--report", "pdf=x"]).exits(2).says("FORMAT=PATH");
        let schema: Value = serde_json::from_str(&case.run(&["schema", "report"]).exits(0).stdout).expect("JSON");
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        assert!(
            validator.is_valid(&first),
            "{:?}",
            validator.iter_errors(&first).map(|error| error.to_string()).collect::<Vec<_>>()
        );
    });
}

#[test]
fn a_refused_run_says_what_to_do_in_its_report_too() {
    let case = one_send();
    case.write("a-file", "");
    let state = ["--state", "sqlite:a-file/state.db"];
    let ran = case.run(&[&["run", "plan.yaml", "--sandbox", "--format", "json"][..], &state].concat()).exits(4);
    let report: Value = serde_json::from_str(&ran.stdout).expect("one document");
    let help = "choose another place with --state sqlite:PATH";
    assert_eq!((&report["error"]["help"][0], &report["exit_code"]), (&json!(help), &json!(4)));
    assert!(ran.stderr.ends_with(&format!("  = help: {help}\n")), "{}", ran.stderr);
}

#[test]
fn under_github_actions_problems_are_annotations() {
    in_each_language(|| {
        let case = one_send().env("GITHUB_ACTIONS", "true");
        let summary = case.path("summary.md").display().to_string();
        let case = case.env("GITHUB_STEP_SUMMARY", &summary);
        let server = Fake::scripted("sendall", vec![code(40152)]);
        case.against(&server, &[]).exits(5).says("::error file=plan.yaml,line=6,title=one::");
        assert!(case.read("summary.md").contains("40152"));
        case.write("plan.yaml", plan(&send("one")).replace("tag_id", "tag_idd"));
        let ran = case.run(&["validate", "plan.yaml"]).exits(3);
        assert!(ran.stderr.contains("::error file=plan.yaml,line=6,col=43,"), "{}", ran.stderr);
        // Both plans together have ten annotations, and the last says how many there are besides.
        let wrong = (0..8).map(|number| send(&format!("s{number}")).replace("tag_id", "tag_idd")).collect::<String>();
        case.write("a/plan.yaml", plan(&wrong));
        case.write("b/plan.yaml", plan(&wrong));
        let ran = case.run(&["validate", "a/plan.yaml", "b/plan.yaml", "--format", "json"]).exits(3);
        let lines: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with("::error")).collect();
        assert_eq!(lines.len(), 10, "{}", ran.stderr);
        told(lines[9], "::error title=qunfa::7 more errors are not shown here, see the log");
        // From a folder within a repository, files are named from its root.
        case.write(".git/HEAD", "");
        let mut command = case.command(&["validate", "plan.yaml"]);
        let ran = command.current_dir(case.path("a")).output().expect("the program starts");
        let said = String::from_utf8(ran.stderr).expect("UTF-8");
        assert!(said.contains("::error file=a/plan.yaml,line=6,"), "{said}");
    });
}

#[test]
fn the_step_summary_stays_below_what_github_takes() {
    let long = "长".repeat(1500);
    let steps: String = (0..40).map(|number| send(&format!("s{number}")).replace("你好", &long)).collect();
    let case = Case::new().file("plan.yaml", plan(&steps)).file("summary.md", "x".repeat((1 << 20) - 20_000));
    let summary = case.path("summary.md").display().to_string();
    let case = case.env("GITHUB_STEP_SUMMARY", &summary);
    let server = Fake::usual();
    case.against(&server, &[]).exits(0);
    let text = case.read("summary.md");
    assert!(text.len() < 1 << 20, "{}", text.len());
    let ours = &text[(1 << 20) - 20_000..];
    assert!(ours.len() > 10_000 && ours.contains("The summary is truncated"), "{ours}");
    // Nothing more fits, and that is no error.
    case.write("summary.md", "x".repeat(1 << 20));
    case.against(&server, &[]).exits(0);
    assert_eq!(case.read("summary.md").len(), 1 << 20);
}

#[test]
fn options_come_from_the_environment_too() {
    in_each_language(|| {
        let server = Fake::usual();
        let text = plan(&send("one")).replace("text: 你好", "text: \"{{ vars.who }}好\"");
        let case = Case::new().file("plan.yaml", text).env("QUNFA_API_BASE", &server.base).env("QUNFA_YES", "1");
        case.run(&["run", "plan.yaml"]).exits(3).says("`vars.who` is not defined");
        let case = case.env("QUNFA_VAR", "who=您");
        case.run(&["run", "plan.yaml"]).exits(0);
        assert_eq!(server.sends()[0].json()["text"]["content"], "您好");
        // CI systems set variables that nobody gave to nothing.
        let unset = ["ONLY", "FROM", "STATE", "REPORT", "EXPECT", "FORMAT", "COLOR", "NOW", "VARS_FILE", "QUIET"];
        let case = unset.iter().fold(case, |case, name| case.env(&format!("QUNFA_{name}"), ""));
        case.run(&["run", "plan.yaml"]).exits(0).says("already done");
    });
}

#[test]
fn variables_override_each_other() {
    in_each_language(|| {
        let text = plan(&send("one"))
            .replace("steps:", "vars: { who: 甲, n: 1 }\nsteps:")
            .replace("text: 你好", "text: \"{{ vars.who }}{{ vars.n + 1 }}\"");
        let case = Case::new().file("plan.yaml", text).file("vars.yaml", "who: 乙\nn: 10\n");
        let content = |args: &[&str]| {
            let mut all = vec!["render", "plan.yaml"];
            all.extend(args);
            case.run(&all).exits(0).json()["requests"][0]["body"]["text"]["content"].clone()
        };
        assert_eq!(content(&[]), "甲2");
        assert_eq!(content(&["--vars-file", "vars.yaml"]), "乙11");
        assert_eq!(content(&["--vars-file", "vars.yaml", "--var", "who=丙"]), "丙11");
        case.run(&["render", "plan.yaml", "--var", "whom=丁"])
            .exits(3)
            .says("the plan does not use the variable `whom`");
        case.run(&["render", "plan.yaml", "--var", "who"]).exits(3).says("write --var key=value");
        case.run(&["render", "plan.yaml", "--vars-file", "nowhere.yaml"]).exits(4).says("no such file");
    });
}

#[test]
fn files_that_are_too_large_are_not_read() {
    in_each_language(|| {
        let text = plan(&send("one")).replace("text: 你好", "text: { file: large.txt }");
        let case = Case::new().file("plan.yaml", text).file("large.txt", "x".repeat((1 << 20) + 1));
        case.run(&["validate", "plan.yaml"])
            .exits(3)
            .says("[Q603]")
            .says("has 1,048,577 bytes; the limit is 1,048,576");
        case.write("large.txt", "x".repeat(1 << 20));
        case.run(&["validate", "plan.yaml"]).exits(3).says("[Q401]");
        case.run(&["validate", "plan.yaml", "--var", "unused=1"]).exits(3).says("[Q607]");
    });
}

#[test]
fn a_plan_comes_from_standard_input_too() {
    in_each_language(|| {
        let case = Case::new().file("hello.txt", "你好\n");
        let text = plan(&send("one")).replace("text: 你好", "text: { file: hello.txt }");
        let ran = case.with_stdin(&["render", "-"], &text).exits(0);
        assert_eq!(ran.json()["requests"][0]["body"]["text"]["content"], "你好");
        case.with_stdin(&["validate", "-"], "").exits(3).says("the plan is empty");
        case.with_stdin(&["run", "-", "--sandbox"], &text).exits(0);
    });
}

#[test]
fn wrong_usage_is_code_2_and_sends_nothing() {
    in_each_language(|| {
        let (case, server) = (one_send(), Fake::usual());
        case.against(&server, &["--onyl", "one"]).exits(2).says("--only");
        case.run(&["valdate", "plan.yaml"]).exits(2).says("validate");
        case.run(&["run"]).exits(2);
        case.run(&[]).exits(2);
        case.run(&["run", "plan.yaml", "--yes", "--api-base", "http://example.com"])
            .exits(2)
            .says("http is allowed only for this machine");
        case.run(&["run", "plan.yaml", "--yes", "--now", "2026-03-02T10:00:00+08:00"]).exits(2).says("rehearsals");
        case.run(&["run", "nowhere.yaml", "--yes"]).exits(4).says("no such file");
        case.run(&["run", ".", "--yes"]).exits(4).says("folder");
        assert!(server.got().is_empty());
    });
}

#[test]
fn a_closed_pipe_is_no_error() {
    let case =
        Case::new().file("plan.yaml", plan(&(0..200).map(|number| send(&format!("s{number}"))).collect::<String>()));
    let mut child = case.spawn(&["render", "plan.yaml"]);
    drop(child.stdout.take());
    let ran = Case::finish(child);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(!ran.stderr.contains("pipe"), "{}", ran.stderr);
}

/// The names of all commands, as the help lists them.
pub(crate) fn commands(case: &Case) -> Vec<String> {
    let help = case.run(&["--help"]).exits(0).stdout;
    let list = help.split_once("Commands:\n").expect("a list").1.split("\n\n").next().expect("its end");
    list.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn every_command_has_an_example_and_mistypes_are_guessed() {
    let case = Case::new();
    let mut all: Vec<Vec<String>> = commands(&case).into_iter().map(|name| vec![name]).collect();
    all.extend(["show", "refresh", "clear"].map(|name| vec!["token".to_owned(), name.to_owned()]));
    all.extend(["check", "list"].map(|name| vec!["fleet".to_owned(), name.to_owned()]));
    for names in all {
        let mut args: Vec<&str> = names.iter().map(String::as_str).collect();
        args.push("--help");
        let help = case.run(&args).exits(0).stdout;
        // `token` and `fleet` have commands of its own, and these have examples too.
        assert!(help.contains("\nExample") && help.contains(&format!(" qunfa {}", names.join(" "))), "{help}");
        *args.last_mut().expect("some") = "--queit";
        let said = case.run(&args).exits(2).stderr;
        assert!(said.contains("did you mean `--quiet`?"), "{said}");
        let (wrong, rest) = names.split_last().expect("a name");
        let (first, last) = wrong.split_at(wrong.len() - 1);
        let wrong_name = format!("{first}{last}{last}");
        let mut args: Vec<&str> = rest.iter().map(String::as_str).collect();
        args.push(&wrong_name);
        let said = case.run(&args).exits(2).stderr;
        assert!(said.contains(&format!("did you mean `qunfa {}`?", names.join(" "))), "{said}");
    }
}

/// Options before variables, and those in their order; whatever names no language of ours is English, but for a wrong wish.
#[test]
fn the_language_is_chosen() {
    let says = |env: &[(&str, &str)], args: &[&str]| {
        let case = env.iter().fold(Case::new(), |case, (name, value)| case.env(name, value));
        case.run(&[&["explain", "Q0"], args].concat()).exits(2).stderr
    };
    let [english, chinese] = ["there is no code", "没有代码"];
    for (env, args, words) in [
        (&[][..], &[][..], english),
        (&[("LANG", "zh_CN.UTF-8")], &[], chinese),
        (&[("LC_MESSAGES", "zh_TW"), ("LANG", "en_US.UTF-8")], &[], chinese),
        (&[("LC_ALL", "C"), ("LC_MESSAGES", "zh_CN"), ("LANG", "zh_CN")], &[], english),
        (&[("LC_ALL", ""), ("LANG", "zh-Hans")], &[], chinese),
        (&[("LANG", "zhuang")], &[], english),
        (&[("LANG", "zh_CN.UTF-8"), ("QUNFA_LANG", "en")], &[], english),
        (&[("LANG", "en_US.UTF-8"), ("QUNFA_LANG", "zh")], &[], chinese),
        (&[("LANG", "zh_CN.UTF-8"), ("QUNFA_LANG", "")], &[], chinese),
        (&[("QUNFA_LANG", "en")], &["--lang", "zh"], chinese),
        (&[("QUNFA_LANG", "zh")], &["--lang=en"], english),
    ] {
        let said = says(env, args);
        assert!(said.contains(words), "{env:?} {args:?}: {said}");
    }
    let case = Case::new();
    case.run(&["explain", "Q201", "--lang", "fr"])
        .exits(2)
        .says("`fr` is not a value of `--lang <LANGUAGE>`")
        .says("`en` or `zh`");
    case.speaks("fr").run(&["explain", "Q201"]).exits(2).says("`fr` is not a value of `--lang").says("QUNFA_LANG=fr");
    let help = Case::new().run(&["--lang", "zh", "explain", "--help"]).exits(0).stdout;
    assert!(help.contains("用法: qunfa explain"), "help is not parsed yet when it is asked for: {help}");
}

#[test]
fn codes_are_explained() {
    let case = Case::new();
    in_both(|language, suffix| {
        for code in ["45028", "q201", "424242", "Q20l", "xyz"] {
            let Ran { stdout, stderr, code: exit } = Case::new().speaks(language).run(&["explain", code]);
            insta::assert_snapshot!(format!("explain-{code}{suffix}"), format!("exit {exit}\n{stdout}{stderr}"));
        }
    });
    in_both(|language, suffix| {
        let case = Case::new().speaks(language);
        insta::assert_snapshot!(format!("explain-list{suffix}"), case.run(&["explain", "--list"]).exits(0).stdout);
        for code in ["q201", "45028"] {
            let document = case.run(&["explain", code, "--format", "json"]).exits(0).stdout;
            insta::assert_snapshot!(format!("explain-{code}-json{suffix}"), document);
        }
    });
    let listed = case.run(&["explain", "--list", "--format", "json"]).exits(0).json();
    assert_eq!(listed["qunfa"].as_array().map(Vec::len), Some(qunfa::diag::Code::ALL.len()));
    assert_eq!(listed["wechat"].as_array().map(Vec::len), Some(qunfa::wechat::errcode::TABLE.len()));
    assert_eq!(listed["wechat"][0]["code"], -1);
    case.run(&["explain"]).exits(2);
    case.run(&["explain", "--list", "Q201"]).exits(2);
    assert_eq!(case.run(&["explain", "-1", "--format", "json"]).exits(0).json()["class"], "retry");
    assert!(case.run(&["explain", "40164"]).exits(0).stdout.contains("白名单"));
    assert_eq!(case.run(&["explain", "unknown-key", "--format", "json"]).exits(0).json()["code"], "Q201");
    case.run(&["explain", "424242"]).exits(2).says("not a known WeChat code");
    case.run(&["explain", "Q20l"]).exits(2).says("did you mean `Q201`?");
}

#[test]
fn schemas_are_printed_in_both_languages() {
    // What is no word: names of calls and the like.
    let name = |text: &str| text.starts_with('`') && text.ends_with('`') || text == "AppID。";
    for what in ["plan", "report", "diagnostics", "doctor"] {
        let mut printed = ["en", "zh"].map(|language| {
            let schema = Case::new().speaks(language).run(&["schema", what]).exits(0).json();
            assert!(schema["description"].is_string(), "{what}");
            schema
        });
        texts(&mut printed[1], &mut |text| {
            let chinese = text.contains(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
            assert!(chinese || name(text), "{what}: {text}");
        });
        // Nothing but the words differs.
        printed.iter_mut().for_each(|schema| texts(schema, &mut String::clear));
        assert_eq!(printed[0], printed[1], "{what}");
    }
    let delete = |language| Case::new().speaks(language).run(&["schema"]).exits(0).json()["$defs"]["delete"].clone();
    assert!(delete("en")["description"].to_string().contains("The message card stays with those who got it"));
    assert!(delete("zh")["description"].to_string().contains("已收到的用户仍能看到消息卡片，只是打不开正文"));
}

#[test]
fn what_the_program_prints_of_itself() {
    let case = Case::new();
    for what in ["plan", "report", "diagnostics", "doctor"] {
        let printed = case.run(&["schema", what]).exits(0).stdout;
        let committed =
            std::fs::read_to_string(repository().join(format!("schemas/{what}.schema.json"))).expect("is there");
        assert_eq!(printed, committed);
    }
}

#[test]
fn validate_speaks_json() {
    let case = Case::new()
        .file("good.yaml", plan(&send("one")))
        .file("bad.yaml", plan(&send("one")).replace("message", "mesage"));
    let document = case.run(&["validate", "good.yaml", "bad.yaml", "--format", "json"]).exits(3).json();
    assert_eq!((&document["plans"][0]["valid"], &document["plans"][1]["valid"]), (&json!(true), &json!(false)));
    let found = &document["plans"][1]["diagnostics"][0];
    assert_eq!(
        (&found["code"], &found["place"]["line"], &found["place"]["column"]),
        (&json!("Q201"), &json!(6), &json!(56))
    );
    assert_eq!(found["help"][0], "did you mean `message`?");
    let refused = case.run(&["run", "bad.yaml", "--yes", "--format", "json"]).exits(3).json();
    assert_eq!(refused["plans"][0], document["plans"][1], "the same document, whatever the command");
    assert_eq!((&refused["schema"], &refused["exit_code"]), (&json!(1), &json!(3)));
}

#[test]
fn status_tells_what_the_ledger_knows() {
    in_each_language(|| {
        let steps = send("one") + &send("two") + &send("three").replace("id: three,", "id: three, when: false,");
        let (case, server) =
            (Case::new().file("plan.yaml", plan(&steps)), Fake::scripted("sendall", vec![Answer::Usual, code(40152)]));
        let states = || {
            let document =
                case.run(&["status", "plan.yaml", "--api-base", &server.base, "--format", "json"]).exits(0).json();
            document["steps"].as_array().expect("a list").iter().map(|step| step["state"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(states(), ["open", "open", "skipped by `when`"]);
        case.against(&server, &[]).exits(6);
        assert_eq!(states(), ["accepted", "refused", "skipped by `when`"]);
        let ran = case.run(&["status", "plan.yaml", "--api-base", &server.base, "--refresh"]).exits(0);
        assert!(ran.stdout.contains("msg_id 3147483648  SEND_SUCCESS"), "{}", ran.stdout);
        // A rehearsal on this machine is not the real thing.
        case.run(&["status", "plan.yaml"]).exits(0).says("open");
    });
}

#[test]
fn a_sandbox_run_needs_nothing_and_leaves_nothing() {
    in_each_language(|| {
        let case = Case::new().no_env("WECHAT_SECRET").file(
            "plan.yaml",
            plan(&(send("one") + "  - { id: look, action: check, of: one, every: 10m, timeout: 1h }\n")),
        );
        let ran = case.run(&["run", "plan.yaml", "--sandbox", "--report", "html=report.html"]).exits(0);
        told(&ran.stdout, "What the sandbox delivered:\n  sent to 星标组");
        assert!(!case.path(".qunfa").exists(), "its ledger ends with it");
        let page = case.read("report.html");
        assert!(page.contains("你好") && !page.contains("src=\"http") && !page.contains("href=\"http"));
        let report = case.run(&["run", "plan.yaml", "--sandbox", "--format", "json"]).exits(0).json();
        assert_eq!(
            (&report["platform"], &report["steps"][1]["outputs"]["status"]),
            (&json!("sandbox"), &json!("SEND_SUCCESS"))
        );
        assert!(report["steps"][1]["duration_ms"].as_u64() >= Some(600_000), "waits pass at once, and are counted");
        // Words that the sandbox takes for a failure, to rehearse one.
        case.write(
            "plan.yaml",
            plan(&(send("one").replace("你好", "\"[[sandbox:fail]]\"") + "  - { id: look, action: check, of: one }\n")),
        );
        case.run(&["run", "plan.yaml", "--sandbox"]).exits(6).says("the status is SEND_FAIL");
    });
}

#[test]
fn a_run_is_shown_in_both_languages() {
    let steps = format!(
        "{}{}  - {{ id: look, action: preview, to: {{ wxname: tea-editor }}, message: {{ text: 你好 }} }}\n{}",
        send("one"),
        "  - { id: vip, action: send_by_openid, to: { openids: [oA1, oA2, oA3] }, message: { text: 会员 } }\n",
        send("two")
    );
    in_both(|language, suffix| {
        let case = Case::new().speaks(language).env("QUNFA_NOW", "2026-03-02T10:00:00+08:00");
        let case = case.file("plan.yaml", plan(&steps));
        let args = ["run", "plan.yaml", "--sandbox", "-v", "--fault", "45028@mass/sendall#2"];
        let ran = case.run(&args).exits(6);
        // Its id is made up anew each time, and the clock of a slow machine may have gone on.
        let masked = |line: &str| {
            let mut line = line.to_owned();
            for made in ["20260302-100000-000000", "2026-03-02 10:00:00"] {
                if let Some(at) = line.find(&made[..10]) {
                    line.replace_range(at..at + made.len(), "…");
                }
            }
            line
        };
        let shown = format!("{}--- stderr\n{}", ran.stdout, ran.stderr);
        let shown: Vec<String> = shown.lines().map(masked).collect();
        insta::assert_snapshot!(format!("run{suffix}"), shown.join("\n"));
    });
}

#[test]
fn the_sandbox_stands_alone_too() {
    use std::io::{BufRead as _, BufReader, Read as _};
    let case = one_send();
    let mut child = case.spawn(&["sandbox", "--listen", "127.0.0.1:0", "--tag", "134=VIP:1200", "--secret", SECRET]);
    let mut lines = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    lines.read_line(&mut line).expect("its address");
    let base = line.trim().strip_prefix("listening on ").expect("its address").to_owned();
    case.write("plan.yaml", plan(&send("one").replace("{ tag_id: 2 }", "{ tag: VIP }")));
    case.run(&["run", "plan.yaml", "--yes", "--api-base", &base]).exits(0);
    case.run(&["run", "plan.yaml", "--yes", "--api-base", &base]).exits(0).says("already done");
    let wrong = one_send().env("WECHAT_SECRET", "another-secret");
    wrong.run(&["run", "plan.yaml", "--yes", "--api-base", &base]).exits(5).says("40125");
    child.kill().expect("it runs");
    let mut rest = String::new();
    lines.read_to_string(&mut rest).expect("text");
    child.wait().expect("it is gone");
    assert_eq!(rest.matches("/mass/sendall").count(), 1);
    assert!(rest.contains("你好") && !rest.contains(SECRET), "{rest}");
}

/// What commands refuse, and what they show in few words.
#[test]
fn commands_speak_both_languages() {
    let text = plan(
        &(send("one")
            + "  - { id: vip, action: send_by_openid, to: { openids: [oA, oB] }, message: { text: 你好 } }\n"),
    );
    let text: String = text.split_inclusive('\n').filter(|line| !line.starts_with("defaults:")).collect();
    let from = |source: &str| text.replace("{ env: WECHAT_SECRET }", source);
    let case = Case::new()
        .no_env("WECHAT_SECRET")
        .file("plan.yaml", &text)
        .file("file.yaml", from("{ file: secret.txt }"))
        .file("lines.yaml", from("{ file: lines.txt }"))
        .file("lines.txt", "a\nb\n")
        .file("empty.yaml", from("{ command: [echo] }"))
        .file("fails.yaml", from("{ command: [sh, -c, exit 3] }"))
        .file("nothing.yaml", from("{ command: [there-is-no-such-program] }"))
        .file("given.yaml", text.replace("secret: { env: WECHAT_SECRET }", "access_token: { file: lines.txt }"))
        .file("latin1.yaml", b"version: 1\nname: caf\xe9\n")
        .file("control.yaml", "version: 1\nname: a\u{1}b\n")
        .file("warned.yaml", text.replace("oA, oB", "oA, oB, oA"))
        .file("wrong.yaml", text.replace("to: { tag_id: 2 }", "too: 2"))
        .file("taken/manifest.json", "{}");
    let commands = [
        "validate plan.yaml",
        "validate warned.yaml",
        "validate --strict warned.yaml",
        "validate wrong.yaml",
        "validate latin1.yaml",
        "validate control.yaml",
        "validate nowhere.yaml",
        "validate taken",
        "validate plan.yaml --vars-file nowhere.yaml",
        "fmt latin1.yaml",
        "render plan.yaml --out taken",
        "render plan.yaml --out lines.txt/out",
        "render plan.yaml --out out",
        "render plan.yaml --check nowhere",
        "audience plan.yaml pim",
        "audience plan.yaml xyz",
        "run wrong.yaml --sandbox",
        "run plan.yaml",
        "run plan.yaml --yes",
        "run file.yaml --yes",
        "run lines.yaml --yes",
        "run empty.yaml --yes",
        "run fails.yaml --yes",
        "run nothing.yaml --yes",
        "run plan.yaml --expect sha256:0",
        "run plan.yaml --now 2026-03-02T10:00:00+08:00",
        "run plan.yaml --api-base ftp://x",
        "run plan.yaml --state sqlite:lines.txt/state.db",
        "status plan.yaml",
        "status plan.yaml --refresh",
        "settle plan.yaml one --sent 1",
        "settle plan.yaml one --give-up",
        "settle plan.yaml --give-up",
        "settle plan.yaml one --sent 1 --occurrence other",
        "token show",
        "token show plan.yaml",
        "token refresh",
        "token refresh given.yaml",
    ];
    in_both(|language, suffix| {
        let mut all = String::new();
        for command in commands {
            let args: Vec<&str> = command.split(' ').chain(["--lang", language]).collect();
            let ran = case.run(&args);
            all.push_str(&format!("=== {command} # {}\n{}{}", ran.code, ran.stdout, ran.stderr));
        }
        insta::assert_snapshot!(format!("commands{suffix}"), all);
    });
}

/// A command that is printed for a person works in the shell in which the first one was typed.
#[cfg(unix)]
#[test]
#[expect(clippy::disallowed_methods, reason = "a shell is given the command")]
fn a_printed_command_can_be_pasted() {
    let steps = "  - { id: city, action: send_by_openid, foreach: { file: rows.csv }, key: \"{{ row.city }}\", to: { openids: [oA, oB] }, message: { text: \"{{ vars.text }} {{ vars.more }}\" } }\n";
    let text = plan(steps).replace("steps:", "vars: { text: required, more: \"x\" }\nsteps:");
    let case = Case::new()
        .file("my plans/plan.yaml", text)
        .file("my plans/rows.csv", "city\n广州\n")
        .file("it's.yaml", "text: 你好\n");
    let server = Fake::new(|_, got| if got.path.ends_with("mass/send") { Answer::Close } else { Answer::Usual });
    let options = ["--api-base", &server.base, "--vars-file", "it's.yaml", "--var", "more=a b"];
    let with = |args: &[&str]| case.run(&[args, &options].concat());
    let ran = with(&["run", "my plans/plan.yaml", "--yes"]).exits(7);
    let said = format!("{}{}", ran.stdout, ran.stderr);
    for language in ["en", "zh"] {
        let shown = with(&["status", "my plans/plan.yaml", "--lang", language]).exits(0).stdout;
        let (_, command) = shown.split_once("qunfa settle ").unwrap_or_else(|| panic!("{shown}"));
        let (command, _) = command.split_once(" --sent MSG_ID").unwrap_or_else(|| panic!("{shown}"));
        assert!(command.contains("'city[广州]'"), "{command}");
        let one_line = |text: &str| text.split_whitespace().collect::<String>();
        assert!(one_line(&said).contains(&one_line(command)), "the run prints it too: {said}");
        for shell in ["bash", "zsh"] {
            let script = format!(
                "qunfa() {{ {} \"$@\"; }}; qunfa settle {command} --chunk 9 --not-sent",
                env!("CARGO_BIN_EXE_qunfa")
            );
            let mut child = std::process::Command::new(shell);
            let Ok(output) = child.args(["-c", &script]).current_dir(case.path(".")).env_clear().output() else {
                continue; // not every machine has every shell
            };
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(stderr.contains("`city[广州]` has no call"), "it finds plan and ledger: {shell}: {stderr}");
            let script = script.replace("--chunk 9 --not-sent", "--help");
            let helped = std::process::Command::new(shell)
                .args(["-c", &script])
                .current_dir(case.path("."))
                .env_clear()
                .status();
            assert!(helped.expect("it was there before").success(), "{shell}");
        }
    }
    let settled = with(&["settle", "my plans/plan.yaml", "city[广州]", "--sent", "4711"]).exits(0);
    settled.says("city[广州] call 1: recorded as sent");
}

#[test]
fn a_plan_that_is_not_there_has_a_name_that_is() {
    in_each_language(|| {
        let case = Case::new()
            .file("spring.yaml", "x")
            .file("lfs.yaml", "version https://git-lfs.github.com/spec/v1\noid x\n");
        case.run(&["validate", "spring.yml"]).exits(4).says("did you mean `spring.yaml`?");
        case.run(&["validate", "lfs.yaml"]).exits(4).says("it is a Git LFS pointer");
    });
}
