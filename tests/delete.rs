//! `qunfa delete`: what was sent by mistake is taken back, each attempt is on record, and no later run is confused.

use serde_json::{Value, json};

use crate::support::{Answer, Case, Fake, Ran, code, hear_in, in_each_language, plan, send, told};

const ARTICLE: &str =
    "  - { id: news, action: send_by_tag, to: { tag_id: 2 }, message: { mpnews: 2zSgzSrrgeZEdUYvDe7EJeCHTPjqiq5z } }\n";
const GET: &str = "/mass/get";
const DELETE: &str = "/mass/delete";

fn status(word: &str) -> Answer {
    Answer::Json(json!({ "msg_id": 1, "msg_status": word }))
}

/// A case whose plan has sent an article to a server that answers as told afterwards.
fn sent(server: &Fake) -> Case {
    let case = Case::new().env("USER", "li").file("plan.yaml", plan(ARTICLE));
    case.against(server, &[]).exits(0);
    case
}

fn delete(case: &Case, server: &Fake, more: &[&str]) -> Ran {
    let mut args = vec!["delete", "plan.yaml", "news", "--api-base", &server.base];
    args.extend(more);
    case.run(&args)
}

/// What `status` says of the step.
fn state(case: &Case, server: &Fake) -> Value {
    let ran = case.run(&["status", "plan.yaml", "--format", "json", "--api-base", &server.base]).exits(0);
    ran.json()["steps"][0].clone()
}

/// Nobody can be asked, and nothing is done without being asked.
#[test]
fn a_sent_article_is_deleted_once() {
    in_each_language(|| {
        let server = Fake::usual();
        let case = sent(&server);
        delete(&case, &server, &[]).exits(9).prints("delete-not-asked");
        assert!(server.calls(DELETE).is_empty());
        let reports = ["--report", "json=report.json", "--reason", "价格写错了"];
        let ran = delete(&case, &server, &[&["--yes"], &reports[..]].concat()).exits(0);
        ran.prints("delete-done");
        let bodies: Vec<Value> = server.calls(DELETE).iter().map(|call| call.json()).collect();
        assert_eq!(bodies, [json!({ "msg_id": 3_147_483_648_u64 })]);
        let report: Value = serde_json::from_str(&case.read("report.json")).expect("JSON");
        assert_eq!(
            (&report["steps"][0]["id"], &report["steps"][0]["outcome"]),
            (&json!("@delete news"), &json!("succeeded"))
        );
        assert_eq!(report["steps"][0]["calls"][0]["msg_id"], 3_147_483_648_u64);
        // Done is done.
        let calls = server.got().len();
        delete(&case, &server, &[]).exits(0).says("deleted by hand at");
        assert_eq!(server.calls(DELETE).len(), 1);
        assert!(server.got().len() <= calls + 1, "a token at most");
        // It is told by whoever looks, and sent by nobody.
        let state = state(&case, &server);
        assert_eq!((&state["state"], &state["deleted"][0]["by_hand"]), (&json!("accepted"), &json!(true)));
        hear_in(&state);
        assert!(state["deleted"][0]["note"].as_str().expect("a note").contains("价格写错了"), "{state}");
        case.run(&["status", "plan.yaml", "--api-base", &server.base]).exits(0).says("deleted by hand at");
        case.against(&server, &[]).exits(0).says("`news` is not sent again");
        assert_eq!(server.sends().len(), 1);
        let report = case.run(&["report", "plan.yaml", "--api-base", &server.base]).exits(0);
        told(&report.stdout, "@delete news");
        assert!(report.stdout.contains("li"), "{}", report.stdout);
    });
}

/// What is still being sent cannot be deleted yet.
#[test]
fn a_message_that_is_being_sent_is_waited_for() {
    in_each_language(|| {
        // By what WeChat says of it, and by its refusal where it says nothing.
        let mut looks = 0;
        let server = Fake::new(move |_, got| {
            looks += u32::from(got.path.ends_with(GET));
            if got.path.ends_with(GET) && looks < 4 { status("SENDING") } else { Answer::Usual }
        });
        let case = sent(&server);
        delete(&case, &server, &["--yes"]).exits(0);
        assert_eq!((server.calls(GET).len(), server.calls(DELETE).len()), (4, 1), "no attempt is wasted");
        let mut deletes = 0;
        let server = Fake::new(move |_, got| {
            deletes += u32::from(got.path.ends_with(DELETE));
            match &got.path {
                path if path.ends_with(GET) => code(-1),
                path if path.ends_with(DELETE) && deletes < 6 => code(40065),
                _ => Answer::Usual,
            }
        });
        let case = sent(&server);
        delete(&case, &server, &["--yes"]).exits(0);
        assert_eq!(server.calls(DELETE).len(), 6);
        // Not for ever.
        let server = Fake::new(|_, got| if got.path.ends_with(GET) { status("SENDING") } else { Answer::Usual });
        let case = sent(&server);
        delete(&case, &server, &["--yes", "--timeout", "0s"]).exits(5).prints("delete-too-late");
        assert!(server.calls(DELETE).is_empty());
        // Of a job that is sent, 40065 says that it is gone or cannot be deleted.
        let server = Fake::new(|_, got| if got.path.ends_with(DELETE) { code(40065) } else { Answer::Usual });
        let case = sent(&server);
        delete(&case, &server, &["--yes"]).exits(5).prints("delete-not-deletable");
        assert_eq!(server.calls(DELETE).len(), 3, "as often as the plan says");
        for (word, exit) in [("SEND_FAIL", 5), ("DELETE", 0)] {
            let server = Fake::new(move |_, got| if got.path.ends_with(GET) { status(word) } else { Answer::Usual });
            let case = sent(&server);
            delete(&case, &server, &["--yes"]).exits(exit).prints(&format!("delete-of-{word}"));
            assert!(server.calls(DELETE).is_empty());
            delete(&case, &server, &["--yes"]).exits(exit);
        }
    });
}

/// Each fault of a deletion: deleting twice is deleting once, so what nobody knows the outcome of is asked and repeated.
#[test]
fn each_fault_of_a_deletion_ends_as_it_should() {
    in_each_language(|| {
        for (name, answer, exit, deletes) in [
            ("lost", Answer::DoneThen(Box::new(Answer::Close)), 0, 2),
            ("cut", Answer::Cut, 0, 2),
            ("html", Answer::Raw(502, "text/html", "<html>".into()), 0, 2),
            ("empty", Answer::Json(json!({})), 0, 2),
            ("busy", code(-1), 0, 2),
            ("40065", code(40065), 0, 2),
            ("40059", code(40059), 5, 1),
            ("40060", code(40060), 5, 1),
            ("40204", code(40204), 5, 1),
            ("48001", code(48001), 5, 1),
            ("45009", code(45009), 5, 1),
            ("9500001", code(9_500_001), 5, 1),
        ] {
            let server = Fake::scripted(DELETE, vec![answer]);
            let case = sent(&server);
            let ran = delete(&case, &server, &["--yes"]).exits(exit);
            assert_eq!(server.calls(DELETE).len(), deletes, "{name}");
            let state = state(&case, &server);
            assert_eq!(state["deleted"].as_array().map(Vec::len), Some(usize::from(exit == 0)), "{name}: {state}");
            if exit == 0 {
                continue;
            }
            ran.prints(&format!("delete-{name}"));
            // The next time it may be another answer.
            delete(&case, &server, &["--yes"]).exits(0);
            assert_eq!(server.calls(DELETE).len(), deletes + 1, "{name}");
        }
        // Lost, and WeChat says that it is deleted by now: it is not asked for again.
        let mut done = false;
        let server = Fake::new(move |_, got| match &got.path {
            path if path.ends_with(DELETE) => {
                done = true;
                Answer::DoneThen(Box::new(Answer::Close))
            }
            path if path.ends_with(GET) && done => status("DELETE"),
            _ => Answer::Usual,
        });
        let case = sent(&server);
        let report = delete(&case, &server, &["--yes", "--format", "json"]).exits(0).json();
        let call = &report["steps"][0]["calls"][0];
        assert_eq!((&call["outcome"], &call["attempts"]), (&json!("accepted"), &json!(1)));
        told(call["errmsg"].as_str().expect("words"), "WeChat reports it as deleted");
        assert_eq!(server.calls(DELETE).len(), 1);
    });
}

#[test]
fn a_process_that_is_killed_in_a_deletion_leaves_its_intent_and_the_next_goes_on() {
    let mut first = true;
    let server =
        Fake::new(
            move |_, got| {
                if got.path.ends_with(DELETE) && std::mem::take(&mut first) { Answer::Stall } else { Answer::Usual }
            },
        );
    let case = sent(&server);
    let before = server.got().len();
    let mut child = case.spawn(&["delete", "plan.yaml", "news", "--yes", "--api-base", &server.base]);
    // Where it stands, and the deletion.
    server.wait_for(before + 2);
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    assert_eq!(server.calls(DELETE).len(), 1);
    assert_eq!(state(&case, &server)["deleted"], json!([]));
    delete(&case, &server, &["--yes"]).exits(0);
    assert_eq!(state(&case, &server)["deleted"][0]["msg_id"], 3_147_483_648_u64);
    // The step itself is none that the plan has: nothing is in doubt, nothing is left over.
    case.against(&server, &[]).exits(0);
    assert_eq!(server.sends().len(), 1);
}

#[test]
fn somebody_who_stops_the_wait_ends_it_cleanly() {
    in_each_language(|| {
        let server = Fake::new(|_, got| if got.path.ends_with(GET) { status("SENDING") } else { Answer::Usual });
        let case = sent(&server);
        case.write(
            "plan.yaml",
            plan(ARTICLE).replace("max_backoff: 2ms", "max_backoff: 10s").replace("backoff: 1ms", "backoff: 10s"),
        );
        let before = server.got().len();
        let child = case.spawn(&["delete", "plan.yaml", "news", "--yes", "--api-base", &server.base]);
        server.wait_for(before + 1);
        let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        assert!(killed.expect("a program").success());
        let ran = Case::finish(child).exits(130);
        ran.says("interrupted after 0 of 1 calls; the same command continues");
        assert!(server.calls(DELETE).is_empty());
    });
}

#[test]
fn what_cannot_be_deleted_is_refused_before_anybody_is_asked() {
    in_each_language(|| {
        let server = Fake::usual();
        let case = Case::new().file("plan.yaml", plan(&(send("words") + ARTICLE)));
        let run = |args: &[&str]| case.run(&[&["delete", "plan.yaml"], args, &["--api-base", &server.base]].concat());
        run(&["news", "--yes"]).exits(2).prints("delete-nothing-sent");
        case.against(&server, &["--only", "words"]).exits(0);
        run(&["words"]).exits(2).prints("delete-of-text");
        run(&["news", "--yes"]).exits(2).says("it has sent words");
        run(&["news", "--article", "9"]).exits(2).says("from 1 to 8");
        run(&["news", "--timeout", "soon"]).exits(2).says("such as 30s, 5m or 1h30m");
        run(&["news", "--occurrence", "other"]).exits(2).says("the ledger has no edition `other`");
        run(&["news", "--report", "x"]).exits(2).says("is not a report");
        assert!(server.calls(DELETE).is_empty());
        // In doubt, and settled without its job.
        let server = Fake::scripted("sendall", vec![Answer::Close; 3]);
        let case = Case::new().file("plan.yaml", plan(ARTICLE));
        case.against(&server, &[]).exits(7);
        delete(&case, &server, &["--yes"]).exits(2).says("it is not known whether call 1 was sent");
        case.run(&["settle", "plan.yaml", "news", "--sent", "0", "--api-base", &server.base]).exits(0);
        delete(&case, &server, &["--yes"]).exits(4).prints("delete-without-job");
        case.run(&["settle", "plan.yaml", "news", "--sent", "77", "--api-base", &server.base]).exits(0);
        delete(&case, &server, &["--yes"]).exits(0);
        assert_eq!(server.calls(DELETE)[0].json(), json!({ "msg_id": 77 }));
    });
}

#[test]
fn one_article_and_one_call_can_be_meant() {
    in_each_language(|| {
        let server = Fake::usual();
        let case = sent(&server);
        delete(&case, &server, &["--yes", "--article", "2"]).exits(0);
        delete(&case, &server, &["--yes", "--article", "2"]).exits(0).says("article 2 deleted by hand");
        delete(&case, &server, &["--yes"]).exits(0);
        delete(&case, &server, &["--yes", "--article", "1"]).exits(0).says("deleted by hand");
        let bodies: Vec<Value> = server.calls(DELETE).iter().map(|call| call.json()).collect();
        let job = 3_147_483_648_u64;
        assert_eq!(bodies, [json!({ "msg_id": job, "article_idx": 2 }), json!({ "msg_id": job })]);
        // Rows of a step, all or one of them.
        let rows = "  - { id: city, action: send_by_tag, foreach: [{ c: 北京, t: 2 }, { c: 广州, t: 3 }], key: \"{{ row.c }}\", to: { tag_id: \"{{ row.t }}\" }, message: { mpnews: 2zSgzSrrgeZEdUYvDe7EJeCHTPjqiq5z } }\n";
        let (server, case) = (Fake::usual(), Case::new().file("plan.yaml", plan(rows)));
        case.against(&server, &[]).exits(0);
        let run = |step: &str| case.run(&["delete", "plan.yaml", step, "--yes", "--api-base", &server.base]).exits(0);
        run("city[广州]");
        assert_eq!(server.calls(DELETE)[0].json(), json!({ "msg_id": job + 1 }));
        run("city");
        assert_eq!(server.calls(DELETE).len(), 2);
        assert_eq!(server.calls(DELETE)[1].json(), json!({ "msg_id": job }));
        run("city");
        assert_eq!(server.calls(DELETE).len(), 2);
        // What is known is deleted, and of the rest it is said.
        let server = Fake::scripted("sendall", vec![Answer::Usual, Answer::Close, Answer::Close, Answer::Close]);
        let case = Case::new().file("plan.yaml", plan(rows));
        case.against(&server, &[]).exits(7);
        let settle = ["settle", "plan.yaml", "city[广州]", "--sent", "0", "--api-base", &server.base];
        case.run(&settle).exits(0);
        let ran = case.run(&["delete", "plan.yaml", "city", "--yes", "--api-base", &server.base]).exits(5);
        ran.says("the job of call 1 is not known, so it was not deleted");
        assert_eq!(server.calls(DELETE).len(), 1);
    });
}

/// A `delete` step of the plan and a deletion by hand are one thing: done is done.
#[test]
fn a_step_of_the_plan_and_a_hand_agree() {
    in_each_language(|| {
        let undo = "  - { id: undo, action: delete, of: news }\n";
        let server = Fake::usual();
        let case = sent(&server);
        delete(&case, &server, &["--yes"]).exits(0);
        case.write("plan.yaml", plan(&(ARTICLE.to_owned() + undo)));
        case.against(&server, &[]).exits(0).says("undo: call accepted");
        assert_eq!(server.calls(DELETE).len(), 1, "by hand");
        case.against(&server, &[]).exits(0);
        // The other way round.
        let (server, case) = (Fake::usual(), Case::new().file("plan.yaml", plan(&(ARTICLE.to_owned() + undo))));
        case.against(&server, &[]).exits(0);
        delete(&case, &server, &[]).exits(0).says("deleted by the step `undo`");
        delete(&case, &server, &["--article", "1"]).exits(0).says("deleted by the step `undo`");
        assert_eq!(server.calls(DELETE).len(), 1);
        case.run(&["status", "plan.yaml", "--api-base", &server.base]).exits(0).says("deleted by the step `undo`");
        // One article by the plan: the others are left.
        let second = undo.replace("of: news", "of: news, article_idx: 2");
        let (server, case) = (Fake::usual(), Case::new().file("plan.yaml", plan(&(ARTICLE.to_owned() + &second))));
        case.against(&server, &[]).exits(0);
        delete(&case, &server, &["--article", "2"]).exits(0).says("article 2 deleted by the step `undo`");
        delete(&case, &server, &["--yes"]).exits(0);
        assert_eq!(server.calls(DELETE).len(), 2);
    });
}

/// Ten a day, by hand and by plans together; in an emergency WeChat decides.
#[test]
fn the_deletions_of_a_day_are_counted() {
    in_each_language(|| {
        let steps: String = (0..11).map(|n| ARTICLE.replace("id: news", &format!("id: news{n}"))).collect();
        let (server, case) = (Fake::usual(), Case::new().file("plan.yaml", plan(&steps)));
        case.against(&server, &[]).exits(0);
        let run = |n: usize| {
            case.run(&["delete", "plan.yaml", &format!("news{n}"), "--yes", "--api-base", &server.base]).exits(0)
        };
        for n in 0..10 {
            assert!(!run(n).stderr.contains("delete needed"), "{n}");
        }
        run(10).says("1 delete needed, 10 already used today, and a new account has 10 a day");
        assert_eq!(server.calls(DELETE).len(), 11);
    });
}

#[test]
fn a_fleet_deletes_of_one_account() {
    in_each_language(|| {
        let server = Fake::usual();
        let case = Case::new()
            .file("plan.yaml", plan(ARTICLE))
            .file(
                "fleet.yaml",
                "version: 1\nplan: plan.yaml\naccounts:\n  - { name: harbin, kind: service, appid: wx0123456789abcdef, secret: { env: WECHAT_SECRET } }\n",
            );
        let of = |args: &[&str]| {
            case.run(
                &[&[args[0], "--fleet", "fleet.yaml", "--account", "harbin", "--api-base", &server.base], &args[1..]]
                    .concat(),
            )
        };
        of(&["run", "--yes"]).exits(0);
        of(&["delete", "--yes"]).exits(2).says("no step given");
        let list = ["comments", "list", "--fleet", "fleet.yaml", "--account", "harbin", "--api-base", &server.base];
        case.run(&list).exits(2).says("name the step that has sent the article");
        let report = of(&["delete", "news", "--yes", "--format", "json"]).exits(0).json();
        assert_eq!(report["account"]["name"], "harbin");
        assert_eq!(server.calls(DELETE).len(), 1);
    });
}
