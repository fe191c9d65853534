//! Many accounts: one that the command names in place of the plan's, and fleets of them.

use crate::support::{Case, Fake, in_each_language};

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
