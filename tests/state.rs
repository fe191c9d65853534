//! The ledger that was used before is found wherever the root of the project was then: a second, empty one would send everything
//! again.

use std::fs;

use crate::support::{Case, Fake, in_each_language, plan, send};

/// A plan in a folder of a project, sent once.
fn sent_below() -> (Case, Fake) {
    let case = Case::new().file("shop/spring/plan.yaml", plan(&send("one")));
    let server = Fake::usual();
    run(&case, &server, "shop/spring/plan.yaml", 0);
    (case, server)
}

fn run(case: &Case, server: &Fake, path: &str, exit: i32) -> crate::support::Ran {
    case.run(&["run", path, "--yes", "--api-base", &server.base]).exits(exit)
}

/// As `git init` makes it, as far as the root of a project is told by it.
fn git_init(case: &Case, folder: &str) {
    fs::create_dir_all(case.path(&format!("{folder}/.git"))).expect("makes a folder");
}

#[test]
fn a_repository_made_above_the_plan_loses_no_ledger() {
    in_each_language(|| {
        let (case, server) = sent_below();
        git_init(&case, "shop");
        run(&case, &server, "shop/spring/plan.yaml", 0).prints("state-below-the-root");
        git_init(&case, ".");
        for command in ["status", "doctor"] {
            let said = case.run(&[command, "shop/spring/plan.yaml", "--api-base", &server.base]).exits(0);
            assert!(
                said.stdout.contains("shop/spring/.qunfa/state.db") || said.stdout.contains("one"),
                "{}",
                said.stdout
            );
        }
        // What the account sent is known there too: the plan is in another file, under another name.
        fs::remove_file(case.path("shop/spring/plan.yaml")).expect("there");
        case.write("shop/spring/other.yaml", plan(&send("one")).replace("name: test", "name: other"));
        run(&case, &server, "shop/spring/other.yaml", 8);
        assert!(!case.path(".qunfa").exists() && !case.path("shop/.qunfa").exists());
        server.delivered_once(1);
    });
}

#[test]
fn a_copy_without_its_repository_finds_the_ledger_above_it() {
    let case = Case::new().file("shop/spring/plan.yaml", plan(&send("one")));
    git_init(&case, "shop");
    let server = Fake::usual();
    run(&case, &server, "shop/spring/plan.yaml", 0);
    fs::remove_dir_all(case.path("shop/.git")).expect("there");
    run(&case, &server, "shop/spring/plan.yaml", 0).says("because it has earlier sends");
    assert!(!case.path("shop/spring/.qunfa").exists());
    server.delivered_once(1);
}

#[test]
fn a_second_work_tree_uses_the_ledger_of_the_first() {
    let case = Case::new().file("main/plan.yaml", plan(&send("one"))).file("tree/plan.yaml", plan(&send("one")));
    git_init(&case, "main/.git/worktrees/tree/..");
    case.write("main/.git/worktrees/tree/gitdir", format!("{}\n", case.path("tree/.git").display()));
    case.write("tree/.git", format!("gitdir: {}\n", case.path("main/.git/worktrees/tree").display()));
    let server = Fake::usual();
    run(&case, &server, "main/plan.yaml", 0);
    run(&case, &server, "tree/plan.yaml", 0).says("because it has earlier sends");
    server.delivered_once(1);
    // And the other way round, for another account.
    for path in ["main/plan.yaml", "tree/plan.yaml"] {
        case.write(path, plan(&send("one")).replace("wx0123456789abcdef", "wxfedcba9876543210"));
    }
    let server = Fake::usual();
    run(&case, &server, "tree/plan.yaml", 0);
    run(&case, &server, "main/plan.yaml", 0);
    server.delivered_once(1);
}

#[test]
fn two_ledgers_of_one_plan_are_one_too_many() {
    in_each_language(|| {
        let (case, server) = sent_below();
        // As another program version may have left it: one above, which knows the plan too.
        fs::create_dir_all(case.path(".qunfa")).expect("makes a folder");
        let above = format!("sqlite:{}", case.path(".qunfa/state.db").display());
        let other = Fake::usual();
        let args = ["run", "shop/spring/plan.yaml", "--yes", "--api-base", &other.base, "--state", &above];
        case.run(&args).exits(0);
        git_init(&case, ".");
        let said = run(&case, &server, "shop/spring/plan.yaml", 8);
        said.says("more than one state store has earlier sends of `test`").says("--state sqlite:");
        case.run(&args).exits(0);
        server.delivered_once(1);
        other.delivered_once(1);
        // A rehearsal has its own.
        case.run(&["run", "shop/spring/plan.yaml", "--sandbox"]).exits(0);
    });
}

#[test]
fn a_ledger_of_another_account_is_none_of_this_plan() {
    let (case, _) = sent_below();
    git_init(&case, ".");
    case.write("shop/spring/plan.yaml", plan(&send("one")).replace("wx0123456789abcdef", "wxfedcba9876543210"));
    let server = Fake::usual();
    let said = run(&case, &server, "shop/spring/plan.yaml", 0);
    assert!(!said.stderr.contains("earlier sends"), "{}", said.stderr);
    assert!(case.path(".qunfa/state.db").exists());
}

#[test]
fn a_ledger_that_cannot_be_read_may_have_the_plan() {
    in_each_language(|| {
        let (case, server) = sent_below();
        fs::write(case.path("shop/spring/.qunfa/state.db"), "no database").expect("writes");
        for side in ["-wal", "-shm"] {
            let _ = fs::remove_file(case.path(&format!("shop/spring/.qunfa/state.db{side}")));
        }
        git_init(&case, ".");
        run(&case, &server, "shop/spring/plan.yaml", 8).says("it is not known whether the plan was sent before");
        server.delivered_once(1);
    });
}

#[test]
fn a_copy_of_a_ledger_is_not_used_beside_it() {
    in_each_language(|| {
        let (case, server) = sent_below();
        let folder = |name: &str| case.path(name);
        fs::create_dir_all(folder("copy/.qunfa")).expect("makes a folder");
        for name in ["plan.yaml", ".qunfa/state.db"] {
            fs::copy(folder(&format!("shop/spring/{name}")), folder(&format!("copy/{name}"))).expect("copies");
        }
        // As long as it knows all that the other knows, it is as good.
        run(&case, &server, "copy/plan.yaml", 0);
        let both = plan(&(send("one") + &send("two").replace("你好", "再见")));
        case.write("shop/spring/plan.yaml", &both);
        run(&case, &server, "shop/spring/plan.yaml", 0);
        case.write("copy/plan.yaml", both);
        let said = run(&case, &server, "copy/plan.yaml", 8);
        said.says("which is still there and has sends that it does not know");
        server.delivered_once(2);
        // Whoever names it means it, from now on.
        let state = format!("sqlite:{}", folder("copy/.qunfa/state.db").display());
        let named = ["run", "copy/plan.yaml", "--yes", "--api-base", &server.base, "--state", &state];
        case.write("copy/plan.yaml", plan(&(send("one") + &send("three").replace("你好", "第三条"))));
        case.run(&named).exits(0);
        run(&case, &server, "copy/plan.yaml", 0);
        server.delivered_once(3);
        // What was moved is no copy.
        fs::rename(folder("shop"), folder("moved")).expect("moves");
        run(&case, &server, "moved/spring/plan.yaml", 0);
        server.delivered_once(3);
    });
}
