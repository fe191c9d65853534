//! The engines of `examples/engines` that need nothing but this program are run for real, on a ledger that all accounts share: SQLite,
//! and PostgreSQL where there is one. `.ci/try-airflow` runs the one for Airflow.

use std::{fs, path::Path, process::Output};

use crate::{
    examples::copied,
    postgres::Schema,
    support::{Case, Fake, code, repository},
};

/// The examples, the secrets of the fleet's accounts, and a ledger.
fn shared(state: &str) -> Case {
    ["HARBIN", "BEIJING", "SHANGHAI", "CHENGDU"]
        .iter()
        .fold(copied(), |case, name| case.env(&format!("WECHAT_SECRET_{name}"), "a-secret-of-nobody"))
        .no_env("QUNFA_NOW")
        .env("QUNFA_STATE", state)
}

/// Each store that accounts can share, by its address. A schema is there as long as its value.
fn stores() -> Vec<(String, Option<Schema>)> {
    let of_server = Schema::new().map(|schema| (schema.address(), Some(schema)));
    [("sqlite:shared/state.db".to_owned(), None)].into_iter().chain(of_server).collect()
}

/// Runs a file of `examples/engines` beside the example fleet, with the program on the path.
fn script(case: &Case, name: &str, base: &str) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_qunfa"));
    // What is asked for is the environment of the case.
    let mut command = case.command(&[]);
    let environment: Vec<_> =
        command.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect();
    command = std::process::Command::new("sh");
    let path = std::env::join_paths(
        [program.parent().expect("a folder").to_owned()]
            .into_iter()
            .chain(std::env::split_paths(&std::env::var_os("PATH").expect("a path"))),
    );
    command
        .arg(case.path("examples/engines").join(name))
        .arg("fleet.yaml")
        .current_dir(case.path("examples/fleet"))
        .env_clear()
        .envs(environment)
        .env("PATH", path.expect("no colon in it"))
        .env("QUNFA_API_BASE", base)
        .output()
        .expect("a shell")
}

/// What the reports of the accounts say of those that failed.
#[cfg(unix)]
fn problems(case: &Case) -> String {
    let of = |account: &&str| fs::read_to_string(case.path(&format!("examples/fleet/logs/{account}.json"))).ok();
    let reports = ["harbin", "beijing", "shanghai", "chengdu"].iter().filter_map(of);
    reports.filter(|report| !report.contains("\"exit_code\": 0")).collect::<Vec<_>>().join("\n")
}

#[cfg(unix)]
#[test]
fn xargs_runs_a_fleet_once_however_often_it_is_asked() {
    for (state, _schema) in stores() {
        let (case, server) = (shared(&state), Fake::usual());
        for _ in 0..2 {
            let ran = script(&case, "xargs.sh", &server.base);
            assert_eq!(
                ran.status.code(),
                Some(0),
                "{state}: {}\n{}",
                String::from_utf8_lossy(&ran.stderr),
                problems(&case)
            );
            let said = String::from_utf8_lossy(&ran.stdout).into_owned();
            assert!(said.contains("4 succeeded"), "{said}");
            server.delivered_once(8);
            assert_eq!(server.sends().len(), 8, "{state}: nothing is asked twice");
        }
        let report: serde_json::Value =
            serde_json::from_str(&case.read("examples/fleet/logs/harbin.json")).expect("a report");
        assert_eq!(report["again"], "never");
    }
}

#[cfg(unix)]
#[test]
fn xargs_sends_nothing_after_a_canary_that_failed() {
    for (state, _schema) in stores() {
        let (case, server) = (shared(&state), Fake::scripted("/mass/send", vec![code(48001)]));
        let ran = script(&case, "xargs.sh", &server.base);
        assert_ne!(ran.status.code(), Some(0), "{state}");
        assert!(server.sends().iter().all(|got| got.body.contains("哈尔滨")), "{state}: only the canary's call");
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        for account in ["beijing", "chengdu", "shanghai"] {
            let report: serde_json::Value =
                serde_json::from_str(&case.read(&format!("examples/fleet/logs/{account}.json"))).expect("a report");
            assert_eq!((&report["exit_code"], &report["again"]), (&9.into(), &"later".into()), "{account}: {said}");
        }
        // The canary succeeds, and the rest goes.
        assert_eq!(script(&case, "xargs.sh", &server.base).status.code(), Some(0), "{state}");
        server.delivered_once(8);
    }
}

#[test]
fn each_engine_is_short_and_in_both_readmes() {
    let folder = repository().join("examples/engines");
    let files = ["xargs.sh", "airflow_fleet.py", "indexed-job.yaml", ".github/workflows/fleet.yml", ".gitlab-ci.yml"];
    let readmes = ["README.md", "README.zh-CN.md"].map(|name| fs::read_to_string(folder.join(name)).expect("is there"));
    for name in files {
        let lines = fs::read_to_string(folder.join(name)).expect("is there").lines().count();
        assert!(lines <= 60, "{name} has {lines} lines");
        assert!(readmes.iter().all(|readme| readme.contains(&format!("`{name}`"))), "{name} is in both");
    }
}

#[test]
fn the_lists_are_what_the_matrices_take() {
    let case = copied();
    let list = |format: &str| {
        let args = ["fleet", "list", "examples/fleet/fleet.yaml", "--wave", "2", "--shards", "100", "--format", format];
        case.run(&args).exits(0)
    };
    let github = list("github");
    assert_eq!(github.stdout.lines().count(), 1, "a line of GITHUB_OUTPUT");
    assert_eq!(github.json()["include"][0]["shard"], "1/3");
    let gitlab = list("gitlab").json();
    assert_eq!(gitlab[".qunfa"]["parallel"]["matrix"][0]["QUNFA_SHARD"][2], "3/3");
    assert_eq!(gitlab[".qunfa"]["parallel"]["matrix"][0]["QUNFA_WAVE"], "2");
}
