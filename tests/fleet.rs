//! Many accounts: one that the command names in place of the plan's, and fleets of them.

use serde_json::{Value, json};

use crate::support::{Answer, Case, Fake, Ran, SECRET, in_both, in_each_language, spoken};

/// A plan of one message that names no account.
fn plan_of_all(steps: &str) -> String {
    format!("version: 1\nname: spring\nsteps:\n{steps}")
}

const GREETING: &str = "  - { id: a, action: send_by_tag, to: { tag_id: 2 }, message: { text: \"你好，{{ account.name }} {{ account.labels | join('+') }}\" } }\n";

fn account(appid: &str, more: &str) -> String {
    format!("kind: service\nappid: {appid}\nsecret: {{ file: secret.txt }}\n{more}")
}

#[test]
fn an_account_file_of_the_command_takes_the_place_of_the_plans() {
    in_each_language(|| {
        let case = Case::new()
            .file("plan.yaml", plan_of_all(GREETING))
            .file("accounts/a.yaml", account("wx00000000000000aa", "name: beijing\nlabels: [north, vip]\n"))
            .file("accounts/b.yaml", account("wx00000000000000bb", ""))
            .file("accounts/secret.txt", "s3cret-s3cret-s3cret-s3cret");
        case.run(&["run", "plan.yaml", "--account", "accounts/a.yaml", "--sandbox"]).exits(0).says("你好，beijing");
        // Without one there is none; one without a name has none.
        case.run(&["validate", "plan.yaml"]).exits(3).says("--account FILE");
        case.run(&["validate", "plan.yaml", "--account", "accounts/b.yaml"])
            .exits(3)
            .says("add `name:` to the account");
        case.run(&["validate", "plan.yaml", "--account", "accounts/c.yaml"]).exits(4).says("did you mean");
        // What is wrong with it is wrong in its file.
        case.write("accounts/wrong.yaml", account("{ env: NOWHERE }", "name: 北京\nlables: [x]\n"));
        case.run(&["validate", "plan.yaml", "--account", "accounts/wrong.yaml"])
            .exits(3)
            .says("accounts/wrong.yaml:4:7")
            .says("accounts/wrong.yaml:5:1");
        case.write("accounts/unset.yaml", account("{ env: NOWHERE }", "name: x\n"));
        let ran = case.run(&["validate", "plan.yaml", "--account", "accounts/unset.yaml"]).exits(4);
        assert!(ran.stderr.contains("accounts/unset.yaml:2:8"), "{}", ran.stderr);
        // A file that is named after an account that is not known is not missed.
        let people = "  - { id: a, action: send_by_openid, to: { file: \"{{ account.name }}.txt\" }, message: { text: 你好 } }\n";
        case.write("people.yaml", plan_of_all(people));
        let ran = case.run(&["validate", "people.yaml", "--account", "accounts/c.yaml"]).exits(4);
        assert!(!ran.stderr.contains("?.txt"), "{}", ran.stderr);
        case.write("list.yaml", "- a\n");
        case.run(&["fleet", "check", "list.yaml"]).exits(3).says("a fleet must be a mapping");
        case.write("accounts/gbk.yaml", [0xb1, 0xb1, 0xbe, 0xa9]);
        case.run(&["validate", "plan.yaml", "--account", "accounts/gbk.yaml"]).exits(3).says("not UTF-8");
    });
}

#[test]
fn an_account_file_of_the_command_has_its_own_secret_ledger_and_digest() {
    let steps = "  - { id: a, action: send_by_tag, to: { tag_id: 2 }, message: { text: 你好 } }\n";
    let own = "account: { kind: service, appid: wx0123456789abcdef, secret: { env: NOWHERE } }\nsteps:\n";
    let case = Case::new()
        .file("plans/plan.yaml", plan_of_all(steps).replace("steps:\n", own))
        .file("accounts/a.yaml", account("wx00000000000000aa", ""))
        .file("accounts/secret.txt", "s3cret-s3cret-s3cret-s3cret");
    let server = Fake::usual();
    let run =
        |more: &[&str]| case.run(&[&["run", "plans/plan.yaml", "--yes", "--api-base", &server.base], more].concat());
    run(&[]).exits(4).says("NOWHERE");
    run(&["--account", "accounts/a.yaml"]).exits(0);
    run(&["--account", "accounts/a.yaml"]).exits(0).says("already done");
    assert_eq!(server.sends().len(), 1);
    let digest =
        |more: &[&str]| case.run(&[&["render", "plans/plan.yaml"], more].concat()).exits(0).json()["digest"].clone();
    assert_ne!(digest(&[]), digest(&["--account", "accounts/a.yaml"]));
    // A command that is printed names it too.
    let other = ["run", "plans/plan.yaml", "--account", "accounts/a.yaml", "--api-base", &server.base, "--expect", "x"];
    case.run(&other).exits(9).says("--account accounts/a.yaml");
    // A secret is no content, wherever its account is.
    case.write(
        "plans/plan.yaml",
        case.read("plans/plan.yaml").replace("text: 你好", "text: { file: ../accounts/secret.txt }"),
    );
    let outside = ["validate", "plans/plan.yaml", "--account", "accounts/a.yaml"];
    case.run(&outside).exits(3);
}

/// A fleet of three accounts whose messages, variables and people differ.
fn fleet() -> Case {
    let steps = "  - { id: a, action: send_by_openid, to: { file: \"audience/{{ account.name }}.csv\" }, message: { text: \"{{ vars.city }}：{{ vars.gift }}\" } }\n  - { id: b, action: send_by_tag, to: { tag_id: 2 }, message: { text: 新茶 } }\n";
    let mut case = Case::new()
        .env("SECRET_BEIJING", SECRET)
        .env("SECRET_HARBIN", SECRET)
        .env("SECRET_SHANGHAI", SECRET)
        .file("plan.yaml", plan_of_all(steps).replace("steps:", "vars: { city: 总店, gift: 杯垫 }\nsteps:"))
        .file("fleet.yaml", FLEET);
    for name in ["beijing", "harbin", "shanghai"] {
        let people = format!("openid\noFakeFleet_{name:0>16}a\noFakeFleet_{name:0>16}b\n");
        case = case
            .file(&format!("audience/{name}.csv"), people)
            .file(&format!("vars/{name}.yaml"), format!("city: {name}\n"));
    }
    case
}

const FLEET: &str = "version: 1
plan: plan.yaml
defaults:
  kind: service
  secret: { env: \"SECRET_{{ account.name | upper }}\" }
  vars_file: \"vars/{{ account.name }}.yaml\"
accounts:
  - { name: beijing, appid: wx00000000000000aa, labels: [north], vars: { gift: 9.90 } }
  - { name: shanghai, appid: wx00000000000000bb, labels: [east] }
  - { name: harbin, appid: wx00000000000000cc, labels: [north, cold] }
waves: [{ accounts: [harbin] }, 100%]
stop: { max_failed: 1 }
";

/// The first line of each finding, its places, its accounts, and what to do about it.
fn told(said: &str) -> String {
    let wanted = |line: &&str| {
        let line = line.trim_start();
        ["error", "错误", "--> ", "::: ", "= "].iter().any(|begin| line.starts_with(begin))
    };
    said.lines().filter(wanted).fold(String::new(), |all, line| all + line.trim_end() + "\n")
}

#[test]
fn all_problems_of_a_fleet_are_told_at_once() {
    let swap = |from: &'static str, to: &'static str| FLEET.replace(from, to);
    let table = "accounts: { file: accounts.csv }\nwaves:";
    let of_table = {
        let (head, rest) = FLEET.split_once("accounts:").expect("there");
        let (_, waves) = rest.split_once("waves:").expect("there");
        format!("{head}{table}{waves}")
    };
    let csv = |text: &str| fleet().file("fleet.yaml", &of_table).file("accounts.csv", text);
    let good = "name,appid,labels,vars.gift\nharbin,wx00000000000000cc,north cold,\n";
    let wrong = |text: String| fleet().file("fleet.yaml", text);
    in_both(|language, suffix| {
        let cases = [
            ("empty", wrong("# nothing\n".into())),
            ("a plan", wrong(plan_of_all(GREETING))),
            ("nothing in it", wrong("version: 2\nacounts: []\n".into())),
            (
                "keys",
                wrong(
                    swap("labels: [east]", "lables: [east], kind: servce")
                        .replace("stop: { max_failed: 1 }", "stop: { max_failed: 0% }"),
                ),
            ),
            (
                "two of a name and an AppID",
                wrong(swap("shanghai, appid: wx00000000000000bb", "harbin, appid: wx00000000000000aa")),
            ),
            (
                "waves",
                wrong(swap(
                    "[{ accounts: [harbin] }, 100%]",
                    "[{ accounts: [harbin, habin] }, { accounts: [harbin] }, 1]",
                )),
            ),
            (
                "a name that no account is near to",
                wrong(swap("[{ accounts: [harbin] }, 100%]", "[{ accounts: [zzzzzzzz] }, 100%]")),
            ),
            (
                "a long text",
                wrong(swap("labels: [east]", "labels: [\"one two three four five six seven eight nine ten\"]")),
            ),
            ("no kind", wrong(swap("  kind: service\n", ""))),
            (
                "no program",
                wrong(swap("{ env: \"SECRET_{{ account.name | upper }}\" }", "{ command: [no-such-program-is-here] }")),
            ),
            ("a share", wrong(swap("100%]", "101%]"))),
            ("a literal secret", wrong(swap("{ env: \"SECRET_{{ account.name | upper }}\" }", "hunter2hunter2"))),
            ("a template", wrong(swap("account.name | upper", "account.nam | upper"))),
            (
                "a name that no variable has",
                wrong(swap("SECRET_{{ account.name | upper }}", "SECRET-{{ account.name }}")),
            ),
            ("no credential", wrong(swap("  secret: { env: \"SECRET_{{ account.name | upper }}\" }\n", ""))),
            ("a variables file", wrong(swap("vars/{{ account.name }}", "vars/{{ account.name }}s"))),
            ("no plan", wrong(swap("plan: plan.yaml", "plan: plans.yaml"))),
            (
                "other editions",
                wrong(FLEET.into()).file(
                    "plan.yaml",
                    plan_of_all(GREETING).replace("steps:", "occurrence: \"{{ account.name }}\"\nsteps:"),
                ),
            ),
            ("a table", csv(&format!("{good}beijing,wx1,,\nharbin,wx00000000000000dd,,\n"))),
            ("columns", csv("name,appid,label,secret\nharbin,wx00000000000000cc,x,hunter2hunter2\n")),
            ("no table", csv(good).file("fleet.yaml", of_table.replace("accounts.csv", "account.csv"))),
        ];
        let mut all = String::new();
        for (what, case) in cases {
            let ran = case.speaks(language).run(&["fleet", "check", "fleet.yaml"]);
            assert!(matches!(ran.code, 3 | 4), "{what}: {}\n{}{}", ran.code, ran.stdout, ran.stderr);
            assert!(!ran.stderr.contains("hunter2"), "{what}: {}", ran.stderr);
            all.push_str(&format!("=== {what}: {}\n{}", ran.code, told(&ran.stderr)));
        }
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(format!("fleet-problems{suffix}"), all);
        });
        csv(good).speaks(language).run(&["fleet", "check", "fleet.yaml"]).exits(0);
    });
}

#[test]
fn a_check_names_account_file_and_line_and_gives_one_digest() {
    in_each_language(|| {
        let case = fleet();
        case.run(&["fleet", "check", "fleet.yaml"]).exits(0).prints("fleet-check");
        let digest = |case: &Case| {
            case.run(&["fleet", "check", "fleet.yaml", "--format", "json"]).exits(0).json()["digest"].clone()
        };
        let before = digest(&case);
        // The order of the file plays no part, what is sent does.
        let lines: Vec<&str> = FLEET.lines().collect();
        let turned = [&lines[..7], &[lines[9], lines[8], lines[7]], &lines[10..]].concat().join("\n");
        case.write("fleet.yaml", turned);
        assert_eq!(digest(&case), before);
        case.write("vars/harbin.yaml", "city: 冰城\n");
        let after = digest(&case);
        assert_ne!(after, before);
        let run = |digest: &Value, code: i32| {
            let digest = digest.as_str().expect("a digest");
            let args = ["run", "--fleet", "fleet.yaml", "--account", "beijing", "--sandbox", "--expect", digest];
            case.run(&args).exits(code)
        };
        run(&after, 0);
        run(&before, 9).says("the fleet is not the approved one");
        let own =
            case.run(&["render", "--fleet", "fleet.yaml", "--account", "beijing"]).exits(0).json()["digest"].clone();
        run(&own, 0);
        // What a review reads, and whether it is still so.
        case.run(&["fleet", "check", "fleet.yaml", "--out", "out"]).exits(0);
        case.run(&["fleet", "check", "fleet.yaml", "--check", "out"]).exits(0);
        let manifest: Value = serde_json::from_str(&case.read("out/manifest.json")).expect("JSON");
        assert_eq!(manifest["digest"], after);
        assert_eq!(manifest["accounts"].as_object().map(serde_json::Map::len), Some(3));
        let counts: Vec<u64> = manifest["requests"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|one| one["accounts"].as_u64())
            .collect();
        assert_eq!(counts, [1, 1, 1, 3], "each distinct message once");
        case.write("vars/harbin.yaml", "city: 哈尔滨\n");
        case.run(&["fleet", "check", "fleet.yaml", "--check", "out"])
            .exits(9)
            .says("qunfa fleet check fleet.yaml --out out");
        // A secret that is not there, and an openid that is none.
        case.write("audience/shanghai.csv", "openid\noFakeFleet_00000000shanghaia\n13800138000\n");
        let case = case.env("SECRET_HARBIN", "");
        case.run(&["fleet", "check", "fleet.yaml"]).exits(3).prints("fleet-wrong");
        let found = case.run(&["fleet", "check", "fleet.yaml", "--format", "json"]).exits(3).json();
        assert_eq!(found["findings"].as_array().map(Vec::len), Some(2));
        assert_eq!(found["digest"], Value::Null);
        run_wrong(&case);
    });
}

#[test]
fn of_a_thousand_findings_the_rest_is_counted() {
    in_each_language(|| {
        let rows: String = (0..1_100).map(|number| format!("a{number:04},wx{number:016x}\n")).collect();
        let case = fleet().file("accounts.csv", format!("name,appid\n{rows}"));
        let head = FLEET
            .split_once("accounts:")
            .expect("there")
            .0
            .replace("  vars_file: \"vars/{{ account.name }}.yaml\"\n", "");
        case.write("fleet.yaml", head + "accounts: { file: accounts.csv }\n");
        let ran = case.run(&["fleet", "check", "fleet.yaml", "--without-secrets"]).exits(3);
        ran.says("100 more findings are not told");
    });
}

/// Only the account in whose plan something is wrong does not run.
fn run_wrong(case: &Case) {
    let run = |name: &str| case.run(&["run", "--fleet", "fleet.yaml", "--account", name, "--sandbox"]);
    run("beijing").exits(0);
    run("shanghai").exits(3);
    let args = ["run", "--fleet", "fleet.yaml", "--account", "beijing", "--sandbox", "--expect", "sha256:0"];
    case.run(&args).exits(9).says("something is wrong with one of its accounts");
    run("zzzzzzzz").exits(2).says("`qunfa fleet list` lists its accounts");
    case.write("fleet.yaml", FLEET.replace("vars/{{", "var/{{"));
    run("beijing").exits(4).says("for the account `beijing`");
    case.write("fleet.yaml", FLEET);
    run("habin").exits(2).says("did you mean `harbin`?");
}

#[test]
fn a_list_is_divided_into_shards_that_have_each_account_once() {
    let case = fleet();
    let list = |more: &[&str]| case.run(&[&["fleet", "list", "fleet.yaml"], more].concat());
    assert_eq!(list(&[]).exits(0).stdout, "harbin\nbeijing\nshanghai\n", "by wave, then by name");
    assert_eq!(list(&["--labels", "north"]).exits(0).stdout, "harbin\nbeijing\n");
    assert_eq!(list(&["--wave", "2"]).exits(0).stdout, "beijing\nshanghai\n");
    assert_eq!(list(&["--shards", "9"]).exits(0).stdout, "1/3\n2/3\n3/3\n", "none is empty");
    list(&["--shards", "0"]).exits(2);
    let listed = list(&["--format", "json"]).exits(0).json();
    assert_eq!((listed[0]["name"].clone(), listed[0]["wave"].clone()), (json!("harbin"), json!(1)));
    assert_eq!(listed[0]["args"], json!(["--fleet", "fleet.yaml", "--account", "harbin"]));
    let rendered = case.run(&["render", "--fleet", "fleet.yaml", "--account", "harbin"]).exits(0).json();
    assert_eq!(listed[0]["digest"], rendered["digest"]);
    // Many accounts, of a table.
    let rows: String = (0..600).map(|number| format!("a{number:03},wx{number:016x},\n")).collect();
    case.write(
        "fleet.yaml",
        FLEET.split_once("accounts:").expect("there").0.to_owned() + "accounts: { file: accounts.csv }\n",
    );
    case.write("accounts.csv", format!("name,appid,labels\n{rows}"));
    let shards = list(&["--shards", "100", "--format", "json"]).exits(0).json();
    let mut seen: Vec<&str> = shards
        .as_array()
        .expect("a list")
        .iter()
        .flat_map(|shard| shard["accounts"].as_array().expect("names"))
        .filter_map(Value::as_str)
        .collect();
    assert_eq!((shards.as_array().map(Vec::len), seen.len()), (Some(100), 600));
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 600);
    let turned: String = rows.lines().rev().map(|line| format!("{line}\n")).collect();
    case.write("accounts.csv", format!("name,appid,labels\n{turned}"));
    assert_eq!(list(&["--shards", "100", "--format", "json"]).exits(0).json(), shards);
    let matrix = list(&["--shards", "100", "--format", "github"]).exits(0);
    assert_eq!(matrix.stdout.lines().count(), 1, "one line, for an output of a job");
    assert_eq!(matrix.json()["include"].as_array().map(Vec::len), Some(100));
    assert_eq!(matrix.json()["include"][6], json!({ "shard": "7/100", "args": "--fleet fleet.yaml --shard 7/100" }));
    let matrix = list(&["--shards", "100", "--wave", "1", "--format", "gitlab"]).exits(0).json();
    let row = &matrix[".qunfa"]["parallel"]["matrix"][0];
    assert_eq!((row["QUNFA_SHARD"][99].clone(), row["QUNFA_WAVE"].clone()), (json!("100/100"), json!("1")));
    in_each_language(|| {
        let case =
            Case::new().file("fleet.yaml", case.read("fleet.yaml")).file("accounts.csv", case.read("accounts.csv"));
        let list = |format: &str| case.run(&["fleet", "list", "fleet.yaml", "--format", format]).exits(2);
        list("github").says("256").says("--shards");
        list("gitlab").says("200");
        case.run(&["fleet", "list", "fleet.yaml", "--shards", "0"]).exits(2).says("at least one shard");
        case.run(&["fleet", "list", "nowhere.yaml"]).exits(4);
    });
}

#[test]
fn commands_know_one_account_of_a_fleet_and_a_shard_of_them() {
    in_each_language(|| {
        let case = fleet();
        let server = Fake::usual();
        let of = |command: &str, more: &[&str]| {
            let args = ["--fleet", "fleet.yaml", "--api-base", &server.base];
            case.run(&[&[command], more, &args].concat())
        };
        of("run", &["--account", "harbin", "--yes"]).exits(0);
        assert_eq!(server.sends().len(), 2);
        of("status", &["--account", "harbin"]).exits(0);
        of("report", &["--account", "harbin"]).exits(0);
        of("audience", &["a", "--account", "harbin"]).exits(0);
        of("doctor", &["--account", "harbin"]).exits(0);
        of("token", &["show", "--account", "harbin"]).exits(0);
        of("settle", &["a", "--account", "harbin", "--not-sent"])
            .exits(2)
            .says("`a` has no call with an unknown outcome");
        of("settle", &["--account", "harbin", "--not-sent"]).exits(2).says("no step given");
        // Its variables: the plan's, the fleet's, the options'.
        let text = |more: &[&str]| {
            let args = ["render", "--fleet", "fleet.yaml", "--account", "beijing"];
            let rendered = case.run(&[&args, more].concat()).exits(0).json();
            rendered["requests"][0]["body"]["text"]["content"].as_str().expect("a text").to_owned()
        };
        assert_eq!(text(&[]), "beijing：9.90");
        case.write("more.yaml", "gift: 茶\n");
        assert_eq!(text(&["--vars-file", "more.yaml"]), "beijing：茶");
        assert_eq!(text(&["--vars-file", "more.yaml", "--var", "gift=花"]), "beijing：花");
        // A shard: one after the other, each with its own report.
        let ran =
            of("run", &["--shard", "1/1", "--yes", "--report", "json=reports/run.json", "--format", "json"]).exits(0);
        assert_eq!(serde_json::Deserializer::from_str(&ran.stdout).into_iter::<Value>().count(), 3);
        assert_eq!(server.sends().len(), 6, "harbin was done");
        for name in ["beijing", "harbin", "shanghai"] {
            assert!(case.path(&format!("reports/run-{name}.json")).is_file());
        }
        of("status", &["--shard", "2/3"]).exits(0).says("wx00000000000000aa");
        case.run(&["validate", "--fleet", "fleet.yaml", "--shard", "1/1"]).exits(0).says("plan.yaml (shanghai)");
        case.run(&["render", "--fleet", "fleet.yaml", "--shard", "1/1", "--out", "out"]).exits(0);
        assert!(case.path("out/harbin/manifest.json").is_file());
        case.run(&["run", "--fleet", "fleet.yaml", "--shard", "2/2", "--labels", "cold", "--sandbox"]).exits(0);
        case.run(&["run", "--fleet", "fleet.yaml", "--shard", "1/2", "--labels", "cold", "--sandbox"])
            .exits(0)
            .says("the shard has no account");
        // Of several accounts the worst code counts, and the others run.
        case.write("audience/beijing.csv", "openid\nx\n");
        let ran = case.run(&["run", "--fleet", "fleet.yaml", "--shard", "1/1", "--sandbox"]).exits(3);
        ran.says("account shanghai (3 of 3)");
        // What makes no sense.
        for (args, says) in [
            (&["run", "--fleet", "fleet.yaml"][..], "no account of the fleet is named"),
            (&["run", "plan.yaml", "--fleet", "fleet.yaml", "--account", "harbin"], "cannot be used together"),
            (&["run", "plan.yaml", "--shard", "1/2"], "--shard works only with --fleet"),
            (&["run", "--fleet", "fleet.yaml", "--shard", "1/2", "--account", "x"], "cannot be used together"),
            (&["run", "--fleet", "fleet.yaml", "--shard", "3/2"], "which shard of how many"),
            (&["run", "--fleet", "fleet.yaml", "--wave", "1", "--account", "x"], "--shard"),
            (&["validate", "fleet.yaml"], "this is a fleet file, not a plan"),
            (&["fleet", "list", "fleet.yaml", "--wave", "9"], "there is no wave 9: the fleet has"),
            (&["fleet", "list", "fleet.yaml", "--wave", "0"], "there is no wave 0"),
            (&["run", "--fleet", "fleet.yaml", "--shard", "1/1", "--wave", "9"], "there is no wave 9"),
            (&["fleet", "list", "fleet.yaml", "--labels", "norht"], "no account of the fleet has the label `norht`"),
            (&["run"], "PLAN"),
        ] {
            let code = if args[0] == "validate" { 3 } else { 2 };
            case.run(args).exits(code).says(says);
        }
    });
}

/// Of a fleet with a canary, on a server.
fn run_on(case: &Case, server: &Fake, name: &str) -> Ran {
    case.run(&["run", "--fleet", "fleet.yaml", "--account", name, "--yes", "--api-base", &server.base])
}

#[test]
fn accounts_wait_for_earlier_waves_and_stop_after_failures() {
    in_each_language(|| {
        let case = fleet();
        // A canary that fails before anything is sent leaves the others where they are.
        let refusing = Fake::new(|_, got| {
            let token = got.path.ends_with("token");
            if token { Answer::Usual } else { Answer::Json(json!({ "errcode": 48001, "errmsg": "api unauthorized" })) }
        });
        let good = Fake::usual();
        run_on(&case, &good, "beijing").exits(9).prints("fleet-held-back");
        run_on(&case, &refusing, "harbin").exits(5);
        let held = run_on(&case, &good, "beijing").exits(9);
        held.says("no more accounts begin").says("harbin (failed)");
        assert_eq!(good.got().len(), 0, "nothing is sent, and nothing is asked");
        let report = case.run(&[
            "run",
            "--fleet",
            "fleet.yaml",
            "--account",
            "shanghai",
            "--yes",
            "--api-base",
            &good.base,
            "--format",
            "json",
        ]);
        let report = report.exits(9).json();
        assert_eq!((report["again"].clone(), report["outcome"].clone()), (json!("later"), json!("refused")));
        assert_eq!(report["account"]["name"], "shanghai");
        let status = |code: i32| {
            let args = ["fleet", "status", "fleet.yaml", "--api-base", &good.base, "--format", "json"];
            case.run(&args).exits(code).json()["totals"].clone()
        };
        let sums = json!({ "accounts": 3, "succeeded": 0, "failed": 1, "unknown": 0, "running": 0, "not_begun": 2 });
        assert_eq!(status(5), sums, "what was refused is no failure");
        // It is run again, and the rest goes.
        run_on(&case, &good, "harbin").exits(0);
        run_on(&case, &good, "beijing").exits(0);
        let shard = ["run", "--fleet", "fleet.yaml", "--shard", "1/1", "--yes", "--api-base", &good.base];
        case.run(&shard).exits(0);
        assert_eq!(good.sends().len(), 6);
        let sums = json!({ "accounts": 3, "succeeded": 3, "failed": 0, "unknown": 0, "running": 0, "not_begun": 0 });
        assert_eq!(status(0), sums);
        case.run(&["run", "--fleet", "fleet.yaml", "--account", "beijing", "--sandbox"])
            .exits(0)
            .says("without --state");
    });
}

#[test]
fn an_unknown_canary_is_settled_and_run_again_before_the_rest_goes() {
    let case = fleet().file("fleet.yaml", FLEET.replace("max_failed: 1", "max_failed: 2"));
    let lost = Fake::new(|_, got| if got.path.ends_with("mass/send") { Answer::Close } else { Answer::Usual });
    let good = Fake::usual();
    // Its attempts are repeated at once on this machine.
    let plan =
        case.read("plan.yaml").replace("steps:", "defaults: { retry: { attempts: 1, resend_after: 1ms } }\nsteps:");
    case.write("plan.yaml", plan);
    run_on(&case, &lost, "harbin").exits(7);
    run_on(&case, &good, "beijing").exits(9).says("harbin (unknown)");
    let status = ["fleet", "status", "fleet.yaml", "--api-base", &good.base];
    in_each_language(|| {
        let args = [&status[..], &["--lang", spoken()]].concat();
        case.run(&args).exits(7).prints("fleet-status");
    });
    for format in ["json", "junit", "markdown", "html"] {
        let said = case.run(&[&status[..], &["--format", format]].concat()).exits(7).stdout;
        assert!(said.contains("harbin") && said.contains("shanghai") || format == "markdown", "{format}: {said}");
    }
    let settle =
        ["settle", "--fleet", "fleet.yaml", "--account", "harbin", "a", "--not-sent", "--api-base", &good.base];
    case.run(&settle).exits(0);
    run_on(&case, &good, "beijing").exits(9).says("harbin (failed)");
    run_on(&case, &good, "harbin").exits(0);
    run_on(&case, &good, "beijing").exits(0);
    good.delivered_once(4);
}

#[test]
fn accounts_whose_runs_were_killed_are_told_apart() {
    let case = fleet().file("fleet.yaml", FLEET.split_once("waves:").expect("there").0);
    let stalling = Fake::new(|_, got| if got.path.ends_with("mass/send") { Answer::Stall } else { Answer::Usual });
    let mut killed =
        case.spawn(&["run", "--fleet", "fleet.yaml", "--account", "harbin", "--yes", "--api-base", &stalling.base]);
    stalling.wait_for(2);
    let status = |code: i32| {
        let args = ["fleet", "status", "fleet.yaml", "--api-base", &stalling.base, "--format", "json"];
        case.run(&args).exits(code).json()
    };
    let running = status(0);
    assert_eq!(running["totals"]["running"], 1);
    killed.kill().expect("it runs");
    killed.wait().expect("it ends");
    run_on(&case, &Fake::usual(), "beijing").exits(0);
    let after = status(7);
    let sums = json!({ "accounts": 3, "succeeded": 1, "failed": 0, "unknown": 1, "running": 0, "not_begun": 1 });
    assert_eq!(after["totals"], sums);
    let unknown = &after["accounts"].as_array().expect("a list")[1];
    assert_eq!((unknown["name"].clone(), unknown["again"].clone()), (json!("harbin"), json!("later")));
    assert!(
        unknown["commands"][0]
            .as_str()
            .expect("a command")
            .starts_with("qunfa run --fleet fleet.yaml --account harbin")
    );
    let schema: Value = serde_json::from_str(&case.run(&["schema", "fleet-status"]).exits(0).stdout).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    assert!(validator.is_valid(&after), "{after}");
}

#[test]
fn a_report_says_whether_running_it_again_helps() {
    let steps = "  - { id: a, action: send_by_tag, to: { tag_id: 2 }, message: { text: 你好 } }\n";
    let account = "account: { kind: service, appid: wx0123456789abcdef, secret: { env: WECHAT_SECRET } }\nsteps:\n";
    let case = Case::new().file("plan.yaml", plan_of_all(steps).replace("steps:\n", account));
    let again = |server: &Fake, more: &[&str], code: i32| {
        let report = case.against(server, &[&["--format", "json"], more].concat()).exits(code).json();
        assert!(report["again_reason"].is_string(), "{report}");
        report["again"].as_str().expect("a word").to_owned()
    };
    let answering = |code: i64| {
        Fake::new(move |_, got| {
            let token = got.path.ends_with("token");
            if token { Answer::Usual } else { Answer::Json(json!({ "errcode": code, "errmsg": "x" })) }
        })
    };
    assert_eq!(again(&Fake::usual(), &["--expect", "sha256:0"], 9), "never");
    assert_eq!(again(&answering(45028), &[], 5), "later");
    assert_eq!(again(&answering(48001), &[], 5), "later");
    assert_eq!(again(&Fake::usual(), &[], 0), "never");
}
