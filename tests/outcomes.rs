//! What a run does about every kind of answer: nothing is sent twice, and afterwards the user knows what was sent.

use serde_json::json;

use crate::support::{Answer, Case, Fake, code, hear, in_each_language, plan, send, spoken, told};

fn two_sends() -> Case {
    Case::new().file("plan.yaml", plan(&(send("one") + &send("two"))))
}

#[test]
fn a_second_run_is_a_no_op() {
    in_each_language(|| {
        let (case, server) = (two_sends(), Fake::usual());
        case.against(&server, &[]).exits(0).prints("sent");
        let before = server.got().len();
        case.against(&server, &[]).exits(0).prints("already-done");
        let report = case.against(&server, &["--format", "json"]).exits(0).json();
        assert_eq!(server.got().len(), before, "not even a token is fetched");
        assert_eq!(report["totals"]["already_done"], 2);
        assert_eq!(report["steps"][0]["outputs"]["msg_id"], 3_147_483_648_u64, "outputs come from the ledger");
        server.delivered_once(2);
    });
}

#[test]
fn a_new_edition_or_a_new_id_is_sent_again() {
    let (case, server) = (two_sends(), Fake::usual());
    case.against(&server, &[]).exits(0);
    case.write(
        "plan.yaml",
        plan(&(send("one") + &send("two"))).replace("name: test", "name: test\noccurrence: second"),
    );
    case.against(&server, &[]).exits(0);
    case.write("plan.yaml", plan(&(send("one") + &send("three").replace("你好", "再见"))));
    case.against(&server, &[]).exits(0);
    server.delivered_once(5);
}

#[test]
fn what_was_sent_cannot_be_changed_in_the_plan() {
    in_each_language(|| {
        let (case, server) = (two_sends(), Fake::usual());
        case.against(&server, &[]).exits(0);
        case.write("plan.yaml", plan(&(send("one") + &send("two"))).replacen("你好", "再见", 1));
        case.against(&server, &["--report", "json=report.json"]).exits(8).prints("changed");
        assert!(case.read("report.json").contains("\"refused\""));
        case.run(&["status", "plan.yaml", "--api-base", &server.base]).exits(0).says("changed in the plan since");
        server.delivered_once(2);
    });
}

#[test]
fn a_changed_audience_of_a_sent_step_is_refused() {
    in_each_language(|| {
        let people = |names: &str| {
            plan(&format!(
                "  - {{ id: vip, action: send_by_openid, to: {{ openids: [{names}] }}, message: {{ text: 你好 }} }}\n"
            ))
        };
        let (case, server) = (Case::new().file("plan.yaml", people("oA, oB, oC")), Fake::usual());
        case.against(&server, &[]).exits(0);
        case.write("plan.yaml", people("oA, oB, oD, oE"));
        case.against(&server, &[]).exits(8).prints("changed-audience");
        server.delivered_once(1);
    });
}

#[test]
fn errcode_decides_whatever_status_and_content_type_say() {
    let refusal = r#"{"errcode":45028,"errmsg":"has no masssend quota hint: [x] rid: 65f3a1b2-0a1b2c3d-4e5f6a7b"}"#;
    for (status, kind) in
        [(200, "application/json"), (200, "text/plain"), (500, "text/html"), (404, "application/json")]
    {
        let (case, server) = (two_sends(), Fake::scripted("sendall", vec![Answer::Raw(status, kind, refusal.into())]));
        let ran = case.against(&server, &["--format", "json"]).exits(5);
        let report = ran.json();
        assert_eq!(report["steps"][0]["calls"][0]["errcode"], 45028);
        assert_eq!(report["steps"][0]["calls"][0]["rid"], "65f3a1b2-0a1b2c3d-4e5f6a7b");
        assert_eq!(report["steps"][1]["outcome"], "not_run");
        assert_eq!(server.sends().len(), 1);
    }
    let accepted = r#"{"errcode":0,"errmsg":"ok","msg_id":77}"#;
    let (case, server) =
        (two_sends(), Fake::scripted("sendall", vec![Answer::Raw(500, "text/plain", accepted.into())]));
    let report = case.against(&server, &["--format", "json"]).exits(0).json();
    assert_eq!(report["steps"][0]["outputs"]["msg_id"], 3_147_483_648_u64, "a server that fails says nothing of a job");
    assert_eq!(server.sends()[0].body, server.sends()[1].body);
}

#[test]
fn a_failure_after_a_send_is_code_6_and_the_next_run_goes_on() {
    in_each_language(|| {
        let (case, server) = (two_sends(), Fake::scripted("sendall", vec![Answer::Usual, code(40007)]));
        case.against(&server, &[]).exits(6).prints("half-failed");
        case.against(&server, &[]).exits(0);
        server.delivered_once(2);
    });
}

#[test]
fn a_failed_step_stops_the_run_unless_it_says_otherwise() {
    in_each_language(|| {
        let steps = send("one").replace("id: one,", "id: one, continue_on_error: true,")
            + "  - { id: look, action: check, of: one }\n"
            + &send("two");
        let case = Case::new().file("plan.yaml", plan(&steps));
        let server = Fake::scripted("sendall", vec![code(40152)]);
        let report = case.against(&server, &["--format", "json"]).exits(6).json();
        let outcomes: Vec<_> =
            report["steps"].as_array().expect("a list").iter().map(|step| step["outcome"].clone()).collect();
        assert_eq!(outcomes, ["failed", "not_run", "succeeded"], "what needs its outputs is not run");
        // Quota, permission and codes that nobody knows stop the run whatever the step says.
        for (stop, exit) in [(45028, 5), (45009, 5), (45040, 5), (48001, 5), (50002, 5), (123_456, 7)] {
            let case = Case::new().file("plan.yaml", plan(&steps));
            let server = Fake::scripted("sendall", vec![code(stop)]);
            case.against(&server, &[]).exits(exit).prints(&format!("stopped-{stop}"));
            assert_eq!(server.sends().len(), 1, "{stop}");
        }
    });
}

/// Answers after which nobody knows whether the message was sent.
fn doubtful() -> Vec<Answer> {
    vec![
        Answer::Close,
        Answer::Cut,
        Answer::Stall,
        Answer::Raw(502, "text/html", "<html>Bad Gateway</html>".into()),
        Answer::Raw(502, "application/json", r#"{"message":"upstream"}"#.into()),
        Answer::Raw(200, "application/json", String::new()),
        Answer::Raw(200, "application/json", "{}".into()),
        Answer::Raw(200, "application/json", r#"{"message":"busy"}"#.into()),
        Answer::Raw(200, "application/json", r#"{"errcode":0,"#.into()),
        code(-1),
        code(268_488_001),
        code(45066),
        // The administrator has not confirmed yet (API mass protection).
        code(89504),
        code(89505),
    ]
}

#[test]
fn a_send_in_doubt_is_repeated_with_the_same_bytes() {
    for answer in doubtful() {
        for done in [false, true] {
            // Of a name that somebody used before, 45065 is no proof; see below.
            if done && matches!(&answer, Answer::Json(value) if value["errcode"] == 45066) {
                continue;
            }
            let first = if done { Answer::DoneThen(Box::new(answer.clone())) } else { answer.clone() };
            let (case, server) = (two_sends(), Fake::scripted("sendall", vec![first.clone()]));
            let report = case.against(&server, &["--format", "json"]).exits(0).json();
            let sends = server.sends();
            assert_eq!(sends.len(), 3, "{first:?}");
            assert_eq!(sends[0].body, sends[1].body, "the identical request");
            let call = &report["steps"][0]["calls"][0];
            assert_eq!(
                (&call["outcome"], &call["attempts"]),
                (&json!(if done { "adopted" } else { "accepted" }), &json!(2)),
                "{first:?}"
            );
            assert_eq!(call["msg_id"], 3_147_483_648_u64);
            server.delivered_once(2);
        }
    }
}

/// Previews, checks, deletes and settings carry no key, so a repetition is a second call; none of them can reach the
/// followers twice. They are simply repeated, at most `attempts` times, and are never *unknown*.
#[test]
fn other_calls_are_simply_repeated() {
    in_each_language(|| {
        let steps = "  - { id: show, action: preview, to: { wxname: editor }, message: { text: 你好 } }
  - { id: slow, action: set_speed, speed: 1 }
  - { id: look, action: check, msg_id: 7 }
  - { id: undo, action: delete, msg_id: 7 }\n";
        for answer in doubtful().into_iter().filter(|answer| !matches!(answer, Answer::Stall)) {
            let done = || Answer::DoneThen(Box::new(answer.clone()));
            for path in ["/mass/preview", "/speed/set", "/mass/get", "/mass/delete"] {
                let (case, server) = (Case::new().file("plan.yaml", plan(steps)), Fake::scripted(path, vec![done()]));
                case.against(&server, &[]).exits(0);
                assert_eq!(server.calls(path).len(), 2, "{path} {answer:?}");
                case.against(&server, &[]).exits(0);
                assert_eq!(server.calls(path).len(), 2, "{path}: done is done");
            }
        }
        for path in ["/mass/preview", "/speed/set", "/mass/get", "/mass/delete"] {
            let (case, server) =
                (Case::new().file("plan.yaml", plan(steps)), Fake::scripted(path, vec![Answer::Close; 3]));
            case.against(&server, &[]).exits(5);
            assert_eq!(server.calls(path).len(), 3, "{path}: at most `attempts` times");
            case.against(&server, &[]).exits(0);
            assert_eq!(server.calls(path).len(), 4, "{path}: the next run does it");
        }
        // A delete that was done and is repeated finds nothing to delete.
        let gone = vec![Answer::DoneThen(Box::new(Answer::Close)), code(40059)];
        let (case, server) = (Case::new().file("plan.yaml", plan(steps)), Fake::scripted("/mass/delete", gone));
        case.against(&server, &[])
            .exits(5)
            .says("may have deleted it: see `qunfa status plan.yaml --refresh --api-base");
    });
}

#[test]
fn a_flaky_token_endpoint_is_asked_again_within_bounds() {
    in_each_language(|| {
        for flaky in doubtful().into_iter().filter(|answer| !matches!(answer, Answer::Stall)) {
            if matches!(&flaky, Answer::Json(value) if value["errcode"] != -1) {
                continue;
            }
            let (case, server) = (two_sends(), Fake::scripted("stable_token", vec![flaky.clone()]));
            case.against(&server, &[]).exits(0);
            assert_eq!(server.tokens(), 2, "{flaky:?}");
            server.delivered_once(2);
        }
        let server = Fake::new(|_, got| if got.path.ends_with("token") { Answer::Close } else { Answer::Usual });
        let case = two_sends();
        case.against(&server, &[]).exits(5).says("cannot fetch an access token").says("tried 3 times");
        assert_eq!((server.tokens(), server.sends().len()), (3, 0));
        // Nothing was attempted, so nothing is in doubt.
        case.run(&["status", "plan.yaml", "--api-base", &server.base]).exits(0).says("open");
    });
}

#[test]
fn processes_at_once_fetch_one_token() {
    let (case, server) = (two_sends(), Fake::usual());
    case.against(&server, &[]).exits(0);
    std::fs::remove_file(case.path(".qunfa/state.db.tokens")).expect("is there");
    let status = ["status", "plan.yaml", "--refresh", "--api-base", server.base.as_str()];
    let children: Vec<_> = (0..6).map(|_| case.spawn(&status)).collect();
    children.into_iter().for_each(|child| drop(Case::finish(child).exits(0).says("SEND_SUCCESS")));
    assert_eq!(server.tokens(), 2, "one for the run, one for all six");
}

/// Somebody else fetched a token by the classic endpoint, which makes ours invalid, again and again.
#[test]
fn a_token_that_is_revoked_in_the_middle_costs_one_fetch_a_call() {
    let mut calls = 0;
    let server = Fake::new(move |_, got| {
        calls += u32::from(got.path.ends_with("sendall"));
        if got.path.ends_with("sendall") && calls % 2 == 1 { code(40001) } else { Answer::Usual }
    });
    let report = two_sends().against(&server, &["--format", "json"]).exits(0).json();
    assert_eq!((server.tokens(), &report["token_fetches"]), (3, &json!(3)));
    server.delivered_once(2);
}

#[test]
fn adopted_without_a_job_is_accepted_all_the_same() {
    in_each_language(|| {
        let steps = send("one") + "  - { id: look, action: check, of: one }\n";
        let case = Case::new().file("plan.yaml", plan(&steps));
        let server = Fake::scripted("sendall", vec![Answer::DoneThen(Box::new(Answer::Close)), code(45065)]);
        let report = case.against(&server, &["--format", "json"]).exits(6).json();
        assert_eq!(
            (&report["steps"][0]["outcome"], &report["steps"][0]["calls"][0]["outcome"]),
            (&json!("succeeded"), &json!("adopted"))
        );
        assert!(report["steps"][1]["error"]["message"].as_str().is_some_and(|text| text.contains("steps.one.msg_id")));
        case.against(&server, &[]).exits(5).prints("job-not-known");
        assert_eq!(server.sends().len(), 2, "it is not sent again");
        // A person may say later which job it was, once.
        let settle = |more: &[&str]| {
            case.run(
                &[&["settle", "plan.yaml", "one", "--api-base", &server.base, "--reason", "the event said so"], more]
                    .concat(),
            )
        };
        settle(&["--not-sent"]).exits(2).says("`one` has no call with an unknown outcome");
        settle(&["--sent", "0"]).exits(2);
        settle(&["--sent", "4711"]).exits(0).says("one call 1: sent as job 4711");
        settle(&["--sent", "4712"]).exits(2).says("it was sent as 4711; a known job is never changed");
        let report = case.against(&server, &["--format", "json"]).exits(0).json();
        assert_eq!(report["steps"][0]["outputs"]["msg_id"], 4711);
        assert_eq!(server.calls("/mass/get").last().expect("it was asked").json()["msg_id"], "4711");
        assert_eq!(server.sends().len(), 2);
    });
}

#[test]
fn a_job_that_is_told_later_can_be_deleted() {
    in_each_language(|| {
        let steps = "  - { id: one, action: send_by_tag, to: { tag_id: 2 }, message: { mpnews: DRAFT } }\n  - { id: undo, action: delete, of: one }\n";
        let case = Case::new().file("plan.yaml", plan(steps));
        let stubborn = Fake::new(|_, got| if got.path.ends_with("sendall") { Answer::Close } else { Answer::Usual });
        case.against(&stubborn, &[]).exits(7);
        let settle = |job: &str| case.run(&["settle", "plan.yaml", "one", "--sent", job, "--api-base", &stubborn.base]);
        settle("0").exits(0);
        let good = Fake::usual();
        case.against(&good, &[])
            .exits(5)
            .says("delete it in the console")
            .says("qunfa settle plan.yaml one --api-base");
        settle("4711").exits(0);
        case.against(&good, &[]).exits(0);
        assert_eq!(good.calls("/mass/delete")[0].json()["msg_id"], 4711);
        assert_eq!(good.sends().len(), 0);
    });
}

/// A server that tells the token with this `Date`, and closes the connection in the first mass calls.
fn dated(date: &'static str, closes: usize) -> Fake {
    let mut closes = closes;
    Fake::new(move |_, got| {
        if got.path.ends_with("token") {
            return Answer::Dated(date.into(), json!({ "access_token": crate::support::TOKEN, "expires_in": 7200 }));
        }
        if got.path.ends_with("sendall") && closes > 0 {
            closes -= 1;
            return Answer::DoneThen(Box::new(Answer::Close));
        }
        Answer::Usual
    })
}

#[test]
fn a_clock_that_is_not_the_servers_repeats_nothing() {
    in_each_language(|| {
        let forms = ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"];
        for date in forms {
            let (case, server) = (two_sends(), dated(date, 1));
            let at = |now: &str| case.against(&server, &["--now", now]);
            // Ten minutes before, and ten after.
            at("1994-11-06T08:39:37Z").exits(7).says("1994-11-06 16:39:37").says("1994-11-06 16:49:37 +08:00");
            assert_eq!(server.sends().len(), 1, "{date}");
            // Where the token tells no time, it is asked for. A reply that a cache kept tells none, though it agrees with our clock.
            let token = json!({ "access_token": crate::support::TOKEN, "expires_in": 7200 });
            let late = Fake::new(move |_, got| match got.path.ends_with("token") {
                true => Answer::Dated("Sun, 06 Nov 1994 08:59:37 GMT\r\nAge: 600".into(), token.clone()),
                false => Answer::Dated(date.into(), json!({ "errcode": 0, "errmsg": "ok" })),
            });
            let ran =
                case.run(&["run", "plan.yaml", "--yes", "--api-base", &late.base, "--now", "1994-11-06T08:59:37Z"]);
            ran.exits(7).says("600 s ahead of the server's").says("set the clock");
            assert_eq!((late.sends().len(), late.calls("/quota/get").len()), (0, 1), "{date}");
            at("1994-11-06T08:51:37Z").exits(0);
            server.delivered_once(2);
        }
        // What tells no time is said, and the machine's own clock decides. A reply with an `Age` was made then, and kept since.
        for date in ["yesterday", "", "Sun, 06 Nov 1994 08:49:37 GMT\r\nAge: 600"] {
            let (case, server) = (two_sends(), dated(date, 1));
            case.against(&server, &[]).exits(0).says("does not report its time");
            server.delivered_once(2);
            assert_eq!(server.calls("/quota/get").len(), 1);
        }
    });
}

#[test]
fn a_send_that_was_refused_for_an_openid_goes_on_from_the_corrected_list() {
    in_each_language(|| {
        let steps = "  - { id: vip, action: send_by_openid, to: { file: people.txt }, message: { text: 你好 } }\n";
        let openid = |number: u32| format!("o{number:027}");
        let list = |numbers: &[u32]| numbers.iter().map(|number| openid(*number) + "\n").collect::<String>();
        let half_sent = || {
            let people: Vec<u32> = (0..10_003).collect();
            let case = Case::new().file("plan.yaml", plan(steps)).file("people.txt", list(&people));
            let server = Fake::scripted("/mass/send", vec![Answer::Usual, code(40003)]);
            case.against(&server, &[]).exits(6).says("40003");
            (case, server)
        };
        // One is gone who has it, one who was refused is replaced by another, and two are new.
        let corrected: Vec<u32> = (1..10_002).chain(20_001..20_004).collect();
        let (case, server) = half_sent();
        case.write("people.txt", list(&corrected));
        case.run(&["status", "plan.yaml", "--api-base", &server.base])
            .exits(0)
            .says("the next run plans the rest from the corrected list");
        case.against(&server, &[]).exits(0).prints("goes-on-from-the-corrected-list");
        let sends = server.sends();
        let people = |index: usize| sends[index].json()["touser"].clone();
        assert_eq!(people(2), json!([10_000, 10_001, 20_001, 20_002, 20_003].map(openid)));
        server.delivered_once(2);
        // It is done: that somebody is not in the list any more changes nothing. Who is new now is new in a step that was sent.
        case.against(&server, &[]).exits(0).says("already done");
        case.write("people.txt", list(&(1..10_002).chain(20_001..20_005).collect::<Vec<_>>()));
        case.against(&server, &[]).exits(8);
        assert_eq!(server.sends().len(), 3);

        // Nobody is left who did not get it.
        let (case, server) = half_sent();
        case.write("people.txt", list(&(0..9_000).collect::<Vec<_>>()));
        case.against(&server, &[]).exits(0).says("sending it to 0 more");
        // One alone cannot be sent to.
        case.write("people.txt", list(&[1, 2, 20_001]));
        case.against(&server, &[]).exits(9).says("40130");
        // What they get may not change half way.
        case.write("people.txt", list(&corrected));
        case.write("plan.yaml", plan(&steps.replace("你好", "再见")));
        case.against(&server, &[]).exits(8);
        assert_eq!(server.sends().len(), 2);
    });
}

/// A server that sends and loses its answers.
fn losing(answers: usize) -> Fake {
    Fake::scripted("sendall", vec![Answer::DoneThen(Box::new(Answer::Close)); answers])
}

#[test]
fn a_message_that_this_ledger_cannot_have_sent_is_unknown_in_every_report() {
    in_each_language(|| {
        let server = Fake::usual();
        two_sends().against(&server, &[]).exits(0);
        // Another repository: the same names, another text.
        let case = Case::new().file("plan.yaml", plan(&(send("one").replace("你好", "再见") + &send("two"))));
        let mut args = Vec::new();
        for format in ["human", "json", "junit", "markdown", "html"] {
            args.extend(["--report".to_owned(), format!("{format}=report.{format}")]);
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        case.against(&server, &args).exits(7).prints("not-ours");
        let report: serde_json::Value = serde_json::from_str(&case.read("report.json")).expect("JSON");
        assert_eq!((&report["outcome"], &report["steps"][0]["outcome"]), (&json!("unknown"), &json!("unknown")));
        assert_eq!(report["steps"][0]["calls"][0]["errcode"], 45065);
        for format in ["human", "json", "junit", "markdown", "html"] {
            let text = case.read(&format!("report.{format}")).replace('\\', "");
            // Lines are wrapped, in Chinese anywhere.
            let text: String = text.split_whitespace().collect();
            let said = match spoken() {
                "zh" => ["没有任何一次调用可能发出过它", "它可能是另一条消息"],
                _ => ["no attempt in this ledger can have sent it", "a different message"],
            };
            for words in said.into_iter().chain(["--sent 3147483648", "--not-sent"]) {
                assert!(text.contains(&words.replace(' ', "")), "{format}: `{words}` in {text}");
            }
        }
        let sends = server.sends().len();
        // Nobody knows when WeChat forgets the name, so it is not repeated: not now, and not after a day of our own.
        let now = |at: &str| case.against(&server, &["--now", at]).exits(7).says("can have sent it");
        now("2026-11-01T10:00:00+08:00").prints("not-ours-again");
        now("2099-01-01T10:00:00+08:00");
        assert_eq!(server.sends().len(), sends);
        let status = ["status", "plan.yaml", "--api-base", &server.base];
        case.run(&status).exits(0).says("no attempt in this ledger can have sent it").says("--sent 3147483648");
        // It is another message: settled, and sent under another name.
        case.run(&["settle", "plan.yaml", "one", "--not-sent", "--api-base", &server.base]).exits(0);
        case.against(&server, &[]).exits(7);
        case.run(&["settle", "plan.yaml", "one", "--not-sent", "--api-base", &server.base]).exits(0);
        case.write("plan.yaml", plan(&(send("first").replace("你好", "再见") + &send("two"))));
        case.against(&server, &["--only", "first"]).exits(0);
        server.delivered_once(3);
    });
}

#[test]
fn a_lost_ledger_does_not_know_its_own_message() {
    in_each_language(|| {
        let (case, server) = (two_sends(), Fake::usual());
        case.against(&server, &[]).exits(0);
        std::fs::remove_dir_all(case.path(".qunfa")).expect("is there");
        case.against(&server, &[]).exits(7).says("no attempt in this ledger can have sent it");
        for (step, job) in [("one", "3147483648"), ("two", "3147483649")] {
            case.run(&["settle", "plan.yaml", step, "--sent", job, "--api-base", &server.base]).exits(0);
            case.against(&server, &[]).exits(if step == "one" { 7 } else { 0 });
        }
        server.delivered_once(2);
    });
}

#[test]
fn a_call_that_was_settled_as_not_sent_and_corrected_is_not_said_to_be_sent() {
    let server = losing(3);
    let case = Case::new().file("plan.yaml", plan(&send("one").replace("你好", "98 元")));
    case.against(&server, &[]).exits(7);
    case.run(&["settle", "plan.yaml", "one", "--not-sent", "--api-base", &server.base]).exits(0);
    case.write("plan.yaml", plan(&send("one").replace("你好", "89 元")));
    let report = case.against(&server, &["--format", "json"]).exits(7).json();
    assert_eq!(report["steps"][0]["calls"][0]["outcome"], "unknown");
    assert_eq!(report["totals"]["recipients"], 0);
    server.delivered_once(1);
}

#[test]
fn a_name_that_somebody_used_a_minute_ago_proves_nothing_either() {
    in_each_language(|| {
        let answers = vec![code(45066), code(45066), code(45065)];
        let (case, server) = (two_sends(), Fake::scripted("sendall", answers));
        case.against(&server, &[]).exits(7).says("can have sent it");
        assert_eq!(server.sends().len(), 3);
        // Since when it is used, nobody knows: a later run does not repeat it.
        let (case, server) = (two_sends(), Fake::scripted("sendall", vec![code(45066); 3]));
        case.against(&server, &[]).exits(7).says("(45066, no msg_id)");
        case.against(&server, &[]).exits(7).says("can have sent it");
        assert_eq!(server.sends().len(), 3);
    });
}

#[test]
fn a_code_that_nobody_knows_stops_the_run_and_leaves_the_send_in_doubt() {
    in_each_language(|| {
        let raw = |status, body: &str| Answer::Raw(status, "application/json", body.into());
        for answer in [
            code(50000),
            code(43104),
            code(-2),
            code(9_500_002),
            code(i64::MAX),
            raw(200, r#"{"errcode":"50000","errmsg":"x"}"#),
            raw(502, r#"{"errcode":502}"#),
            raw(500, r#"{"errcode":50000}"#),
            raw(404, r#"{"errcode":404}"#),
            raw(302, r#"{"errcode":302}"#),
        ] {
            let case = two_sends();
            let server = Fake::scripted("sendall", vec![Answer::DoneThen(Box::new(answer.clone()))]);
            let at = |at: &str, exit: i32| case.against(&server, &["--now", at]).exits(exit);
            let ran = at("2026-11-01T10:00:00+08:00", 7);
            assert_eq!(server.sends().len(), 1, "{answer:?}");
            ran.says("unknown whether call 1 was sent").says("qunfa settle plan.yaml one");
            // The next day it is not sent again; within a day the same bytes are, and WeChat knows them.
            at("2026-11-02T10:00:00+08:00", 7);
            assert_eq!(server.sends().len(), 1, "{answer:?}");
            at("2026-11-01T10:05:00+08:00", 0);
            assert_eq!(server.sends()[0].body, server.sends()[1].body);
            server.delivered_once(2);
        }
        // What is no code at all is as no answer: the same bytes are sent again at once.
        for body in
            [r#"{"errcode":1e30}"#, r#"{"errcode":18446744073709551616}"#, r#"{"errcode":""}"#, r#"{"errcode":[0]}"#]
        {
            let server = Fake::scripted("sendall", vec![Answer::DoneThen(Box::new(raw(200, body)))]);
            let report = two_sends().against(&server, &["--format", "json"]).exits(0).json();
            assert_eq!(report["steps"][0]["calls"][0]["outcome"], "adopted", "{body}");
            server.delivered_once(2);
        }
    });
}

#[test]
fn what_is_in_doubt_is_settled_before_it_is_changed() {
    in_each_language(|| {
        let (case, server) = (two_sends(), losing(3));
        case.against(&server, &[]).exits(7);
        case.write("plan.yaml", plan(&(send("one").replace("你好", "再见") + &send("two"))));
        let ran = case.against(&server, &["--report", "json=report.json"]).exits(7);
        assert!(!ran.stderr.contains("occurrence") && !ran.stderr.contains("the step's `id`"), "{}", ran.stderr);
        ran.prints("in-doubt-and-changed");
        let report: serde_json::Value = serde_json::from_str(&case.read("report.json")).expect("JSON");
        assert_eq!((&report["outcome"], &report["exit_code"]), (&json!("unknown"), &json!(7)));
        assert_eq!(server.sends().len(), 3);
        let status = ["status", "plan.yaml", "--api-base", &server.base];
        case.run(&status).exits(0).says("settle it first; run: qunfa settle plan.yaml one --api-base");
        // Undone, it goes on as it was.
        case.write("plan.yaml", plan(&(send("one") + &send("two"))));
        case.against(&server, &[]).exits(0);
        server.delivered_once(2);
    });
}

/// A plan whose editions are days.
fn daily(steps: &str) -> String {
    plan(steps).replace("name: test", "name: test\noccurrence: '{{ run.date }}'")
}

#[test]
fn a_new_edition_does_not_begin_while_another_one_is_in_doubt() {
    in_each_language(|| {
        let proof = "  - { id: proof, action: preview, to: { wxname: editor }, message: { text: 你好 } }\n";
        let case = Case::new().file("plan.yaml", daily(&(proof.to_owned() + &send("one") + &send("two"))));
        let server = losing(3);
        let at =
            |at: &str, more: &[&str], exit: i32| case.against(&server, &[&["--now", at], more].concat()).exits(exit);
        let (before, after) = ("2026-11-01T23:59:00+08:00", "2026-11-02T00:01:00+08:00");
        at(before, &[], 7);
        let got = server.got().len();
        let ran = at(after, &["--report", "json=report.json"], 7);
        ran.prints("edition-in-doubt");
        assert_eq!(server.got().len(), got, "nothing is even asked");
        let report: serde_json::Value = serde_json::from_str(&case.read("report.json")).expect("JSON");
        assert_eq!((&report["outcome"], &report["exit_code"]), (&json!("unknown"), &json!(7)));
        at(after, &["--only", "two"], 7);
        // What reaches no followers, another account and a rehearsal have nothing to do with it.
        at(after, &["--only", "proof"], 0);
        case.run(&["run", "plan.yaml", "--sandbox", "--now", after]).exits(0);
        case.write("other.yaml", daily(&send("one")).replace("wx0123456789abcdef", "wxfedcba9876543210"));
        let other = Fake::usual();
        case.run(&["run", "other.yaml", "--yes", "--api-base", &other.base, "--now", after]).exits(0);
        let command = |args: &[&str], exit: i32| {
            case.run(&[args, &["--api-base", &server.base, "--now", after]].concat()).exits(exit)
        };
        command(&["status", "plan.yaml"], 0).prints("status-of-editions");
        let status = command(&["status", "plan.yaml", "--format", "json"], 0).json();
        let edition = &status["other_editions"][0];
        assert_eq!((&edition["occurrence"], &edition["calls_in_doubt"]), (&json!("2026-11-01"), &json!(1)));
        assert_eq!(edition["finished"], false);
        command(&["doctor", "plan.yaml"], 8).says("the edition `2026-11-02` does not start");
        command(&["settle", "plan.yaml", "one", "--occurrence", "yesterday", "--sent", "1"], 2)
            .says("it has `2026-11-01`");
        let old = ["settle", "plan.yaml", "one", "--occurrence", "2026-11-01"];
        command(&[&old[..], &["--give-up"]].concat(), 2).says("settle it first, with --sent MSG_ID or --not-sent");
        command(&[&old[..], &["--sent", "3147483648"]].concat(), 0);
        at(after, &[], 0);
        // What was begun goes on, whatever the others are.
        assert_eq!(server.delivered().len(), 3);
    });
}

#[test]
fn a_new_edition_does_not_begin_while_another_one_is_half_sent_unless_it_is_given_up() {
    in_each_language(|| {
        let steps = "  - { id: vip, action: send_by_openid, to: { file: people.txt }, message: { text: 你好 } }\n";
        let people = (0..30_000).map(|number| format!("o{number:027}\n")).collect::<String>();
        let edition = |name: &str| plan(steps).replace("name: test", &format!("name: test\noccurrence: {name}"));
        let case = Case::new().file("plan.yaml", edition("spring")).file("people.txt", people);
        let server = Fake::scripted("/mass/send", vec![Answer::Usual, code(45009)]);
        case.against(&server, &["--now", "2026-03-01T10:00:00+08:00"]).exits(6);
        case.write("plan.yaml", edition("summer"));
        case.against(&server, &[]).exits(8).prints("edition-half-sent");
        assert_eq!(server.sends().len(), 2);
        let settle = |args: &[&str], exit: i32| {
            case.run(&[&["settle", "plan.yaml", "--api-base", &server.base], args].concat()).exits(exit)
        };
        settle(&["--give-up"], 2).says("nothing of this edition is left to give up");
        settle(&["vip", "--occurrence", "spring", "--give-up"], 0)
            .says("vip call 2: given up")
            .says("vip call 3: given up");
        case.against(&server, &[]).exits(0);
        assert_eq!(server.delivered().len(), 4);
        // Given up is given up, until somebody says otherwise.
        case.write("plan.yaml", edition("spring"));
        case.against(&server, &[]).exits(8).prints("given-up-by-hand");
        case.run(&["status", "plan.yaml", "--api-base", &server.base]).exits(0).says("given up 1/3 calls");
        settle(&["vip", "--not-sent"], 2).says("choose one with --chunk N");
        for chunk in ["2", "3"] {
            settle(&["vip", "--not-sent", "--chunk", chunk], 0);
        }
        case.against(&server, &[]).exits(0);
        server.delivered_once(6);
    });
}

#[test]
fn an_edition_of_which_nothing_was_sent_is_in_nobodys_way() {
    let case = Case::new().file("plan.yaml", daily(&(send("one") + &send("two"))));
    let server = Fake::scripted("sendall", vec![code(45028)]);
    case.against(&server, &["--now", "2026-11-01T10:00:00+08:00"]).exits(5);
    case.against(&server, &["--now", "2026-11-02T10:00:00+08:00"]).exits(0);
    // Nor is one that was sent in part, where what is left was never begun.
    let case = Case::new().file("plan.yaml", daily(&(send("one") + &send("two"))));
    let server = Fake::scripted("sendall", vec![Answer::Usual, code(45028)]);
    case.against(&server, &["--now", "2026-11-01T10:00:00+08:00"]).exits(6);
    case.against(&server, &["--now", "2026-11-02T10:00:00+08:00"]).exits(0);
}

#[test]
fn what_stays_in_doubt_is_code_7_until_it_is_settled() {
    in_each_language(|| {
        let stubborn = || Fake::new(|_, got| if got.path.ends_with("sendall") { Answer::Close } else { Answer::Usual });
        let (case, server) = (two_sends(), stubborn());
        case.against(&server, &["--report", "junit=report.xml"]).exits(7).prints("in-doubt");
        assert!(case.read("report.xml").contains("<error"));
        assert_eq!(server.sends().len(), 3, "at most `attempts` times, and the next step is not run");
        case.run(&["status", "plan.yaml", "--api-base", &server.base]).exits(0).says("unknown");
        // A refusal settles nothing: it may be the first attempt that used the quota up.
        let quota = Fake::scripted("sendall", vec![code(45028)]);
        case.against(&quota, &[]).exits(7).prints("in-doubt-still");
        case.run(&["settle", "plan.yaml", "two", "--not-sent", "--api-base", &server.base])
            .exits(2)
            .says("`two` has no call with an unknown outcome");
        case.run(&["settle", "plan.yaml", "one", "--sent", "4711", "--reason", "seen", "--api-base", &server.base])
            .exits(0);
        let good = Fake::usual();
        let report = case.against(&good, &["--format", "json"]).exits(0).json();
        assert_eq!(
            (&report["steps"][0]["outcome"], &report["steps"][0]["outputs"]["msg_id"]),
            (&json!("already_done"), &json!(4711))
        );
        assert_eq!(good.sends().len(), 1);

        let case = two_sends();
        case.against(&stubborn(), &[]).exits(7);
        // What the command was called first still works.
        case.run(&["resolve", "plan.yaml", "one", "--not-sent", "--api-base", &server.base]).exits(0);
        let good = Fake::usual();
        case.against(&good, &[]).exits(0);
        good.delivered_once(2);
    });
}

#[test]
fn the_next_run_settles_what_is_in_doubt() {
    in_each_language(|| {
        let case = two_sends();
        let server = Fake::new({
            let mut failing = 3;
            move |_, got| {
                if got.path.ends_with("sendall") && failing > 0 {
                    failing -= 1;
                    return Answer::DoneThen(Box::new(Answer::Close));
                }
                Answer::Usual
            }
        });
        case.against(&server, &[]).exits(7);
        case.against(&server, &["--report", "json=report.json"]).exits(0).prints("adopted");
        let report: serde_json::Value = serde_json::from_str(&case.read("report.json")).expect("JSON");
        assert_eq!(report["steps"][0]["calls"][0]["outcome"], "adopted");
        server.delivered_once(2);
    });
}

#[test]
fn too_fast_is_repeated_and_is_no_doubt() {
    in_each_language(|| {
        for busy in [42010, 45011] {
            let (case, server) = (two_sends(), Fake::scripted("sendall", vec![code(busy), code(busy)]));
            case.against(&server, &[]).exits(0).prints(&format!("waited-{busy}"));
            server.delivered_once(2);
            let (case, server) = (two_sends(), Fake::scripted("sendall", vec![code(busy), code(busy), code(busy)]));
            case.against(&server, &[]).exits(5).prints(&format!("given-up-{busy}"));
            assert_eq!(server.sends().len(), 3);
        }
    });
}

#[test]
fn a_refused_connection_is_surely_not_sent() {
    in_each_language(|| {
        let case = two_sends();
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
        let args = ["run", "plan.yaml", "--yes", "--api-base", &format!("http://{nobody}")];
        case.run(&args).exits(5).prints("connection-refused");
        let server = Fake::usual();
        case.against(&server, &[]).exits(0);
        server.delivered_once(2);
    });
}

#[test]
fn a_token_is_refreshed_once() {
    in_each_language(|| {
        for rejected in [40001, 40014, 42001] {
            let (case, server) = (two_sends(), Fake::scripted("sendall", vec![code(rejected)]));
            let report = case.against(&server, &["--format", "json"]).exits(0).json();
            server.delivered_once(2);
            assert_eq!(server.sends().len(), 3);
            assert_eq!((server.tokens(), &report["token_fetches"]), (2, &json!(2)));
            assert!(
                server.calls("stable_token").iter().all(|got| got.json()["force_refresh"] == false),
                "20 a day, for leaks"
            );
        }
        let always = Fake::new(|_, got| if got.path.ends_with("sendall") { code(40001) } else { Answer::Usual });
        two_sends().against(&always, &[]).exits(5).prints("token-rejected-twice");
        assert!(always.tokens() == 2 && always.sends().len() == 2, "no loop");
    });
}

#[test]
fn a_token_that_is_refused_stops_the_run() {
    in_each_language(|| {
        for (wrong, words) in [(40125, "40125"), (40013, "40013"), (40001, "AppSecret"), (40243, "40243")] {
            let server = Fake::new(move |_, _| code(wrong));
            two_sends().against(&server, &[]).exits(5).says(words);
            assert_eq!((server.tokens(), server.sends().len()), (1, 0), "{wrong}");
        }
        let errmsg =
            "invalid ip 115.204.32.21 ipv6 ::ffff:115.204.32.21, not in whitelist rid: 65f3a1b2-0a1b2c3d-4e5f6a7b";
        let server = Fake::new(move |_, _| Answer::Json(json!({ "errcode": 40164, "errmsg": errmsg })));
        two_sends().against(&server, &[]).exits(5).prints("token-refused");
    });
}

#[test]
fn tokens_come_from_where_the_plan_says() {
    in_each_language(|| {
        let base = plan(&(send("one") + &send("two")));
        let server = Fake::usual();
        Case::new()
            .file(
                "plan.yaml",
                base.replace("secret: { env: WECHAT_SECRET }", "secret: { env: WECHAT_SECRET }, token: classic"),
            )
            .against(&server, &[])
            .exits(0);
        let got = &server.calls("/cgi-bin/token")[0];
        assert_eq!((got.method.as_str(), got.query.contains("grant_type=client_credential")), ("GET", true));
        let given = |how: &str| base.replace("secret: { env: WECHAT_SECRET }", &format!("access_token: {{ {how} }}"));
        for how in ["env: GIVEN", "file: given.txt", "command: [cat, given.txt]"] {
            let server = Fake::usual();
            let case = Case::new()
                .file("plan.yaml", given(how))
                .file("given.txt", "given-token-given\n")
                .env("GIVEN", "given-token-given")
                .env("PATH", "/usr/bin:/bin");
            case.against(&server, &[]).exits(0);
            assert_eq!(server.tokens(), 0, "{how}");
            assert!(server.sends().iter().all(|got| got.query.contains("given-token-given")), "{how}");
            let rejecting = Fake::new(|_, got| if got.path.ends_with("sendall") { code(42001) } else { Answer::Usual });
            let case = Case::new()
                .file("plan.yaml", given(how))
                .file("given.txt", "given-token-given\n")
                .env("GIVEN", "given-token-given")
                .env("PATH", "/usr/bin:/bin");
            case.against(&rejecting, &[]).exits(5).says("42001");
            assert_eq!(rejecting.sends().len(), 1, "the same token is not tried again");
        }
    });
}

#[test]
fn a_missing_secret_is_code_4() {
    in_each_language(|| {
        let server = Fake::usual();
        let base = plan(&send("one"));
        two_sends().no_env("WECHAT_SECRET").against(&server, &[]).exits(4).prints("secret-missing");
        for (how, words) in [
            ("file: nowhere.txt", "no such file"),
            ("file: empty.txt", "is empty"),
            ("command: [no-such-program]", "cannot run the secret command"),
            ("command: ['false']", "failed"),
        ] {
            let case = Case::new()
                .file("plan.yaml", base.replace("env: WECHAT_SECRET", how))
                .file("empty.txt", "\n")
                .env("PATH", "/usr/bin:/bin");
            case.against(&server, &[]).exits(4).says(words);
        }
        assert!(server.got().is_empty());
    });
}

#[test]
fn a_check_polls_until_its_status() {
    in_each_language(|| {
        let steps = "  - { id: look, action: check, msg_id: 7, every: 1ms, timeout: 2s }\n";
        let status = |status: &str| Answer::Json(json!({ "msg_id": 7, "msg_status": status }));
        let run = |answers: Vec<Answer>, exit: i32| {
            let server = Fake::scripted("/mass/get", answers);
            let case = Case::new().file("plan.yaml", plan(steps));
            let ran = case.against(&server, &[]).exits(exit);
            (server.calls("/mass/get").len(), ran)
        };
        let (calls, ran) =
            run(vec![status("SENDING"), status("SENDING"), code(-1), Answer::Close, status("SEND_SUCCESS")], 0);
        assert_eq!(calls, 5);
        ran.prints("check-polls");
        let (calls, ran) = run(vec![status("SEND_FAIL")], 5);
        assert_eq!(calls, 1);
        ran.prints("check-fails");
        let (calls, ran) = run(vec![status("DELETE")], 5);
        assert_eq!(calls, 1);
        ran.says("it was deleted, or every recipient was filtered out");
        assert_eq!(run(vec![code(40059)], 5).0, 1);
        assert_eq!(run(vec![code(-1), code(-1), code(-1)], 5).0, 3, "reads are repeated, within bounds");
        let late = Fake::new(move |_, got| {
            if got.path.ends_with("/mass/get") {
                Answer::Json(json!({ "msg_id": 7, "msg_status": "SENDING" }))
            } else {
                Answer::Usual
            }
        });
        let case = Case::new().file("plan.yaml", plan(&steps.replace("2s", "20ms")));
        case.against(&late, &[]).exits(5).says("SENDING after 20ms");
    });
}

#[test]
fn a_check_and_a_delete_cover_all_calls_of_a_send() {
    let steps = "  - { id: vip, action: send_by_openid, to: { file: people.txt }, message: { mpnews: DRAFT } }\n  - { id: look, action: check, of: vip }\n  - { id: undo, action: delete, of: vip }\n";
    let people: String = (0..10_001).map(|number| format!("o{number:027}\n")).collect();
    let (case, server) = (Case::new().file("plan.yaml", plan(steps)).file("people.txt", people), Fake::usual());
    case.against(&server, &[]).exits(0);
    let ids = |path: &str| server.calls(path).iter().map(|got| got.json()["msg_id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids("/mass/get"), ["3147483648", "3147483649"]);
    assert_eq!(ids("/mass/delete"), [3_147_483_648_u64, 3_147_483_649]);
}

#[test]
fn a_check_and_a_delete_cover_every_row_of_a_send() {
    let steps = "  - { id: city, action: send_by_tag, foreach: { file: cities.csv }, key: '{{ row.name }}', to: { tag_id: 2 }, message: { mpnews: m } }
  - { id: look, action: check, of: city }
  - { id: recall, action: delete, of: city }\n";
    let case = Case::new().file("plan.yaml", plan(steps)).file("cities.csv", "name\n北京\nSt. John s\nplain\n7\n");
    let server = Fake::usual();
    case.against(&server, &[]).exits(0);
    assert_eq!((server.calls("/mass/get").len(), server.calls("/mass/delete").len()), (4, 4));
    case.against(&server, &[]).exits(0);
    assert_eq!(server.calls("/mass/delete").len(), 4);
}

#[test]
fn a_half_sent_step_goes_on_with_the_audience_it_began_with() {
    in_each_language(|| {
        let steps = "  - { id: vip, action: send_by_openid, to: { file: people.txt }, message: { text: 你好 } }\n";
        let people = |from: u32| (from..from + 20_004).map(|number| format!("o{number:027}\n")).collect::<String>();
        let case = Case::new().file("plan.yaml", plan(steps)).file("people.txt", people(0));
        let server = Fake::scripted("/mass/send", vec![Answer::Usual, code(45009)]);
        case.against(&server, &[]).exits(6);
        case.write("people.txt", people(5_000));
        case.against(&server, &[]).exits(0).prints("goes-on-with-its-audience");
        let sends = server.sends();
        let mut reached: Vec<String> = Vec::new();
        for got in [&sends[0], &sends[2], &sends[3]] {
            reached.extend(
                got.json()["touser"]
                    .as_array()
                    .expect("a list")
                    .iter()
                    .map(|openid| openid.as_str().expect("text").to_owned()),
            );
        }
        assert_eq!(sends[1].body, sends[2].body);
        assert_eq!(reached, people(0).lines().map(str::to_owned).collect::<Vec<_>>(), "everybody once, in order");
        // A message that changed half way would reach one half in one form and the rest in another.
        let case = Case::new().file("plan.yaml", plan(steps)).file("people.txt", people(0));
        let server = Fake::scripted("/mass/send", vec![Answer::Usual, code(45009)]);
        case.against(&server, &[]).exits(6);
        case.write("plan.yaml", plan(&steps.replace("你好", "再见")));
        case.against(&server, &[]).exits(8);
    });
}

#[test]
fn a_send_goes_on_although_its_file_of_people_is_lost() {
    in_each_language(|| {
        let steps = "  - { id: vip, action: send_by_openid, to: { file: people.txt, exclude: out.txt }, message: { text: 你好 } }\n";
        let people: String = (0..20_004).map(|number| format!("o{number:027}\n")).collect();
        let case = Case::new().file("plan.yaml", plan(steps)).file("people.txt", &people).file("out.txt", "oX\n");
        let server = Fake::scripted("/mass/send", vec![Answer::Usual, code(45009)]);
        case.against(&server, &[]).exits(6);
        std::fs::remove_file(case.path("people.txt")).expect("is there");
        case.run(&["validate", "plan.yaml"]).exits(4).says("`people.txt` cannot be read");
        let status = ["status", "plan.yaml", "--api-base", &server.base];
        case.run(&status)
            .exits(0)
            .says("partly accepted  1/3 calls".split_whitespace().collect::<Vec<_>>().join(" ").as_str());
        case.against(&server, &[]).exits(0).prints("goes-on-without-its-file");
        server.delivered_once(3);
        // Done is done, with or without the file.
        case.against(&server, &[]).exits(0).says("already done");
        server.delivered_once(3);
        // What was never begun needs its file.
        case.write("plan.yaml", plan(&steps.replace("vip", "other")));
        case.against(&server, &[]).exits(4).says("`people.txt` cannot be read");
    });
}

#[test]
fn a_lost_file_of_people_matters_to_the_sends_alone_that_were_never_begun() {
    let step = |id: &str| {
        format!(
            "  - {{ id: {id}, action: send_by_openid, to: {{ file: people.txt, exclude: out.txt }}, message: {{ text: 你好 }} }}\n"
        )
    };
    let rows = "  - { id: city, action: send_by_openid, foreach: [{ name: a }, { name: b }], key: '{{ row.name }}', to: { file: '{{ row.name }}.txt' }, message: { text: 你好 } }\n";
    let people: String = (0..10_002).map(|number| format!("o{number:027}\n")).collect();
    let case = Case::new().file("plan.yaml", plan(&(step("vip") + rows)));
    for path in ["people.txt", "a.txt", "b.txt"] {
        case.write(path, &people);
    }
    case.write("out.txt", "oX\n");
    // The second call of `vip` is refused, and so is the second of the first row.
    let answers = vec![Answer::Usual, code(45009), Answer::Usual, Answer::Usual, code(45009)];
    let server = Fake::scripted("/mass/send", answers);
    case.against(&server, &[]).exits(6);
    case.against(&server, &[]).exits(6);
    for path in ["people.txt", "out.txt", "a.txt"] {
        std::fs::remove_file(case.path(path)).expect("is there");
    }
    let count = |ran: &crate::support::Ran, text: &str| ran.stderr.matches(text).count();
    // Without a ledger all of it is missing.
    let checked = case.run(&["validate", "plan.yaml"]).exits(4);
    for path in ["people.txt", "out.txt", "a.txt"] {
        assert_eq!(count(&checked, &format!("`{path}` cannot be read")), 1, "{}", checked.stderr);
    }
    case.run(&["render", "plan.yaml"]).exits(4);
    for command in ["status", "report"] {
        let told = case.run(&[command, "plan.yaml", "--api-base", &server.base]).exits(0);
        for path in ["people.txt", "a.txt"] {
            assert_eq!(
                count(&told, &format!("`{path}` is missing; the send continues with its original")),
                1,
                "{}",
                told.stderr
            );
        }
        assert_eq!(count(&told, "`out.txt`"), 0, "{}", told.stderr);
    }
    let mut in_chinese = case.command(&["status", "plan.yaml", "--api-base", &server.base]);
    let told = in_chinese.env("QUNFA_LANG", "zh").output().expect("it starts");
    let told = String::from_utf8(told.stderr).expect("UTF-8");
    assert!(told.contains("`people.txt` 不见了；群发将继续发给原来的") && told.contains("请恢复该文件"), "{told}");
    // Another step that names the same files was never begun.
    case.write("plan.yaml", plan(&(step("vip") + rows + &step("other"))));
    let refused = case.against(&server, &[]).exits(4);
    for (text, times) in [
        ("`people.txt` cannot be read", 1),
        ("`out.txt` cannot be read", 1),
        ("`people.txt` is missing", 1),
        ("`a.txt` is missing", 1),
        ("`a.txt` cannot be read", 0),
    ] {
        assert_eq!(count(&refused, text), times, "{text}: {}", refused.stderr);
    }
    case.write("plan.yaml", plan(&(step("vip") + rows)));
    case.against(&server, &[]).exits(0);
    server.delivered_once(6);
}

#[test]
fn a_killed_run_has_a_report_too() {
    in_each_language(|| {
        let case = Case::new().file("plan.yaml", plan(&(send("one") + &send("two") + &send("three"))));
        let server = Fake::new({
            let mut sends = 0;
            move |_, got| {
                sends += u32::from(got.path.ends_with("sendall"));
                if sends == 2 { Answer::DoneThen(Box::new(Answer::Stall)) } else { Answer::Usual }
            }
        });
        let mut child = case.spawn(&["run", "plan.yaml", "--yes", "--api-base", &server.base]);
        server.wait_for(3);
        child.kill().expect("is alive");
        child.wait().expect("is gone");
        let report = |more: &[&str]| {
            let mut args = vec!["report", "plan.yaml", "--api-base", &server.base];
            args.extend(more);
            case.run(&args).exits(0)
        };
        let found = report(&["--format", "json"]).json();
        let outcomes: Vec<&str> =
            found["steps"].as_array().expect("a list").iter().filter_map(|s| s["outcome"].as_str()).collect();
        assert_eq!(outcomes, ["succeeded", "unknown", "not_run"]);
        assert_eq!((&found["outcome"], &found["exit_code"]), (&"unknown".into(), &7.into()));
        assert_eq!(found["steps"][1]["calls"][0]["outcome"], "unknown");
        report(&[]).says("the run did not finish").says("the run ended before this step");
        // Later runs do not change what is said of this one.
        let run_id = found["run_id"].as_str().expect("text").to_owned();
        case.against(&server, &[]).exits(0);
        assert_eq!(report(&["--format", "json", "--run", &run_id]).json(), found);
        assert_eq!(report(&["--format", "json"]).json()["outcome"], "succeeded");
    });
}

#[test]
fn a_killed_run_is_resumed_and_nothing_is_sent_twice() {
    for done in [false, true] {
        let stall = if done { Answer::DoneThen(Box::new(Answer::Stall)) } else { Answer::Stall };
        let case = Case::new()
            .file("plan.yaml", plan(&(send("one") + &send("two"))).replace("timeout: 1500ms", "timeout: 60s"));
        let server = Fake::scripted("sendall", vec![stall]);
        let mut child = case.spawn(&["run", "plan.yaml", "--yes", "--api-base", &server.base]);
        server.wait_for(2);
        child.kill().expect("SIGKILL");
        child.wait().expect("it is gone");
        case.run(&["status", "plan.yaml", "--api-base", &server.base]).exits(0).says("unknown");
        case.against(&server, &[]).exits(0);
        server.delivered_once(2);
    }
}

#[test]
fn a_second_run_waits_for_nobody() {
    in_each_language(|| {
        let case = Case::new().file("plan.yaml", plan(&send("one")).replace("timeout: 1500ms", "timeout: 60s"));
        let server = Fake::scripted("sendall", vec![Answer::Stall]);
        let mut child = case.spawn(&["run", "plan.yaml", "--yes", "--api-base", &server.base]);
        server.wait_for(2);
        case.against(&server, &[]).exits(8).prints("locked").says(&format!("process {}", child.id()));
        for command in ["validate", "render", "status"] {
            case.run(&[command, "plan.yaml", "--api-base", &server.base]).exits(0);
        }
        assert_eq!(server.sends().len(), 1);
        child.kill().expect("SIGKILL");
        child.wait().expect("it is gone");
        case.against(&server, &[]).exits(0);
        server.delivered_once(1);
    });
}

#[cfg(unix)]
fn interrupt(child: &std::process::Child, signal: &str) {
    let status = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(status.expect("kill is there").success());
}

#[cfg(unix)]
#[test]
fn an_interrupt_finishes_the_call_in_flight() {
    in_each_language(|| {
        use std::sync::mpsc;
        for signal in ["-INT", "-TERM", "-HUP"] {
            let (go, wait) = mpsc::channel::<()>();
            let server = Fake::new(move |_, got| {
                if got.path.ends_with("sendall") {
                    let _ = wait.recv();
                }
                Answer::Usual
            });
            let case = Case::new()
                .file("plan.yaml", plan(&(send("one") + &send("two"))).replace("timeout: 1500ms", "timeout: 60s"));
            let child =
                case.spawn(&["run", "plan.yaml", "--yes", "--api-base", &server.base, "--report", "json=report.json"]);
            server.wait_for(2);
            interrupt(&child, signal);
            // The handler runs on a thread of its own; a moment later the answer may come.
            while !std::fs::read_to_string(format!("/proc/{}/status", child.id()))
                .is_ok_and(|text| text.contains("SigPnd:\t0000000000000000"))
            {
                std::thread::yield_now();
            }
            drop(go);
            let ran = Case::finish(child);
            if ran.code == 0 {
                // The signal came after the last look at it; nothing was lost.
                server.delivered_once(2);
                continue;
            }
            ran.exits(130).prints("interrupted");
            let report: serde_json::Value = serde_json::from_str(&case.read("report.json")).expect("JSON");
            assert_eq!(
                (&report["outcome"], &report["steps"][0]["outcome"]),
                (&json!("interrupted"), &json!("succeeded"))
            );
            case.against(&server, &[]).exits(0);
            server.delivered_once(2);
        }
    });
}

#[cfg(unix)]
#[test]
fn a_wait_for_the_lock_of_the_tokens_says_for_whom_and_ends_with_one_interrupt() {
    in_each_language(|| {
        use std::io::{BufRead as _, BufReader};
        let owner = json!({ "pid": 7, "host": "ci", "since": "2026-03-02T02:00:00Z", "plan": "other.yaml", "command": "qunfa run" });
        let ways = [
            (owner.to_string(), "process 7 on ci since 2026-03-02 10:00:00 (qunfa run other.yaml)"),
            (String::new(), "an unidentified process"),
        ];
        for (owner, words) in ways {
            let (case, server) = (two_sends(), Fake::usual());
            case.write(".qunfa/state.db.tokens.lock", owner);
            let lock = std::fs::File::open(case.path(".qunfa/state.db.tokens.lock")).expect("is there");
            lock.lock().expect("nobody else has it");
            let mut child = case.spawn(&["run", "plan.yaml", "--yes", "--api-base", &server.base]);
            let mut said = BufReader::new(child.stderr.take().expect("piped")).lines().map_while(Result::ok);
            let waits = said.find(|line| line.contains("Ctrl-C")).expect("it says that it waits");
            told(&waits, words);
            interrupt(&child, "-INT");
            let rest: Vec<String> = said.collect();
            hear(&format!("{waits}\n{}", rest.join("\n")));
            assert_eq!(child.wait().expect("it ends").code(), Some(130), "{rest:?}");
            assert_eq!(server.got().len(), 0);
            drop(lock);
            case.against(&server, &[]).exits(0);
        }
    });
}

#[cfg(unix)]
#[test]
fn a_second_interrupt_does_not_wait_for_the_answer() {
    in_each_language(|| {
        let case = Case::new()
            .file("plan.yaml", plan(&(send("one") + &send("two"))).replace("timeout: 1500ms", "timeout: 60s"));
        let server = Fake::scripted("sendall", vec![Answer::DoneThen(Box::new(Answer::Stall))]);
        let mut child =
            case.spawn(&["run", "plan.yaml", "--yes", "--api-base", &server.base, "--report", "json=report.json"]);
        server.wait_for(2);
        // Signals of one kind may be merged while they are pending: two kinds are not. The third would end the process.
        interrupt(&child, "-INT");
        interrupt(&child, "-TERM");
        while child.try_wait().expect("a child").is_none() && !case.path("report.json").exists() {
            std::thread::yield_now();
        }
        Case::finish(child).exits(7).prints("interrupted-twice");
        assert!(case.read("report.json").contains("\"unknown\""));
        case.against(&server, &[]).exits(0);
        server.delivered_once(2);
    });
}

#[test]
fn a_send_in_doubt_that_left_the_plan_is_not_forgotten() {
    in_each_language(|| {
        let rows = |names: &str| {
            format!(
                "  - {{ id: city, action: send_by_tag, foreach: [{names}], key: '{{{{ row.n }}}}', to: {{ tag_id: 2 }}, message: {{ text: 你好 }} }}\n"
            )
        };
        let case = Case::new().file("plan.yaml", plan(&rows("{ n: 北京 }, { n: 上海 }")));
        let server = Fake::scripted("sendall", vec![Answer::DoneThen(Box::new(Answer::Close)); 3]);
        case.against(&server, &[]).exits(7);
        case.write("plan.yaml", plan(&rows("{ n: 上海 }")));
        case.against(&server, &[]).exits(0).prints("in-doubt-and-no-longer-planned");
        let status =
            |args: &[&str]| case.run(&[&["status", "plan.yaml", "--api-base", &server.base], args].concat()).exits(0);
        status(&[]).says("city[北京] unknown, no longer in the plan");
        assert_eq!(status(&["--format", "json"]).json()["no_longer_in_the_plan"][0]["key"], "北京");
        case.run(&["settle", "plan.yaml", "city[北京]", "--sent", "0", "--api-base", &server.base]).exits(0);
        assert_eq!(status(&["--format", "json"]).json()["no_longer_in_the_plan"], json!([]));
    });
}

#[test]
fn a_send_in_doubt_whose_when_is_false_now_is_not_forgotten() {
    in_each_language(|| {
        let last = [("", "true", "false"), ("-at-run-time", "steps.first.msg_id != 0", "steps.first.msg_id == 0")];
        for (name, before, now) in last {
            let one = |when: &str| send("one").replace("id: one,", &format!("id: one, when: {when},"));
            let case = Case::new().file("plan.yaml", plan(&(send("first") + &one(before))));
            let lost = || Answer::DoneThen(Box::new(Answer::Close));
            let server = Fake::scripted("sendall", vec![Answer::Usual, lost(), lost(), lost()]);
            case.against(&server, &[]).exits(7);
            case.write("plan.yaml", plan(&(send("first") + &one(now) + &send("last"))));
            let ran = case.against(&server, &[]).exits(7);
            ran.says("qunfa settle plan.yaml one").prints(&format!("in-doubt-and-not-wanted{name}"));
            server.delivered_once(3);
        }
    });
}

#[cfg(unix)]
#[test]
fn an_interrupt_while_people_are_listed_is_an_interrupt() {
    in_each_language(|| {
        let steps = "  - { id: all, action: send_by_openid, to: { followers: true }, message: { text: 你好 } }\n";
        let text = plan(steps).replace("backoff: 1ms, max_backoff: 2ms", "backoff: 1h, max_backoff: 1h");
        let (case, server) = (Case::new().file("plan.yaml", text), Fake::scripted("user/get", vec![code(-1); 3]));
        let child =
            case.spawn(&["run", "plan.yaml", "--yes", "--api-base", &server.base, "--report", "json=report.json"]);
        server.wait_for(2);
        interrupt(&child, "-TERM");
        Case::finish(child).exits(130).prints("interrupted-while-listing");
        let report: serde_json::Value = serde_json::from_str(&case.read("report.json")).expect("JSON");
        assert_eq!(report["outcome"], "interrupted");
    });
}

#[test]
fn selected_steps_take_outputs_from_the_ledger() {
    in_each_language(|| {
        let steps = send("one") + "  - { id: look, action: check, of: one }\n" + &send("two");
        let (case, server) = (Case::new().file("plan.yaml", plan(&steps)), Fake::usual());
        case.against(&server, &["--only", "look"]).exits(4).says("`look` needs the outputs of `one`");
        case.against(&server, &["--only", "lock"]).exits(2).says("did you mean `look`?");
        assert!(server.got().is_empty());
        case.against(&server, &["--only", "one"]).exits(0);
        case.against(&server, &["--from", "look"]).exits(0);
        assert_eq!(server.calls("/mass/get")[0].json()["msg_id"], "3147483648");
        server.delivered_once(2);
    });
}

#[test]
fn nothing_is_sent_without_consent() {
    in_each_language(|| {
        let (case, server) = (two_sends(), Fake::usual());
        case.run(&["run", "plan.yaml", "--api-base", &server.base]).exits(9).prints("no-consent");
        case.against(&server, &["--expect", "sha256:0"]).exits(9).prints("not-as-approved");
        assert!(server.got().is_empty());
        let digest = case.run(&["render", "plan.yaml"]).exits(0).json()["digest"].as_str().expect("text").to_owned();
        case.against(&server, &["--expect", &digest]).exits(0);
        server.delivered_once(2);
    });
}

#[test]
fn guards_name_their_line_and_send_nothing() {
    in_each_language(|| {
        let at = "2026-03-02T10:00:00+08:00";
        for guard in [
            "send_window: \"12:00-21:00\"",
            "not_before: 2026-03-02T10:00:01+08:00",
            "not_after: 2026-03-02T09:59:59+08:00",
            "max_recipients: 44",
            "require_preview: true",
        ] {
            let text = plan(&send("one")).replace("name: test\n", &format!("name: test\nguards: {{ {guard} }}\n"));
            let (case, server) = (Case::new().file("plan.yaml", text), Fake::usual());
            case.against(&server, &["--now", at])
                .exits(9)
                .prints(&format!("guard-{}", guard.split(':').next().expect("its name")));
            assert!(server.sends().is_empty(), "{guard}");
            // A rehearsal is held whatever time it is, and says what would be.
            let name = guard.split(':').next().expect("its name");
            if ["send_window", "not_before", "not_after"].contains(&name) {
                let rehearsed = case.run(&["run", "plan.yaml", "--sandbox", "--now", at]).exits(0);
                rehearsed.prints(&format!("rehearsed-{name}"));
            }
        }
        let preview = "  - { id: proof, action: preview, to: { wxname: x }, message: { text: 你好 } }\n";
        let text = plan(&(preview.to_owned() + &send("one"))).replace(
            "name: test\n",
            "name: test\nguards: { require_preview: true, max_recipients: 45, send_window: \"10:00-10:01\" }\n",
        );
        let (case, server) = (Case::new().file("plan.yaml", text), Fake::usual());
        case.against(&server, &["--now", at]).exits(0);
        server.delivered_once(1);
    });
}

#[test]
fn nobody_is_asked_about_a_run_that_a_guard_refuses() {
    in_each_language(|| {
        let text = plan(&send("one")).replace("name: test\n", "name: test\nguards: { max_recipients: 44 }\n");
        let (case, server) = (Case::new().file("plan.yaml", text), Fake::usual());
        let refused = case.run(&["run", "plan.yaml", "--api-base", &server.base]).exits(9);
        refused.says("the run would send to 45 people; the maximum is 44");
        assert_eq!(server.calls("/tags/get").len(), 1);
        // What is known without a call is refused without a call.
        let people = "  - { id: vip, action: send_by_openid, to: { openids: [oA, oB] }, message: { text: 你好 } }\n";
        let text = plan(&(send("one") + people)).replace("name: test\n", "name: test\nguards: { max_recipients: 1 }\n");
        let (case, server) = (Case::new().file("plan.yaml", text), Fake::usual());
        case.against(&server, &[]).exits(9).says("the run would send to 2 people; the maximum is 1");
        assert!(server.got().is_empty());
    });
}

#[test]
fn a_run_that_the_quota_does_not_allow_is_refused() {
    in_each_language(|| {
        let subscription = plan(&(send("one") + &send("two"))).replace("kind: service", "kind: subscription");
        let (case, server) = (Case::new().file("plan.yaml", subscription), Fake::usual());
        case.against(&server, &[]).exits(9).prints("quota");
        assert!(server.sends().is_empty());
        case.against(&server, &["--only", "one"]).exits(0);
        case.against(&server, &[]).exits(9).prints("quota-used-up");
        case.against(&server, &["--allow-partial"]).exits(0).prints("quota-allow-partial");
        server.delivered_once(2);
    });
}

#[test]
fn tags_are_looked_up_before_anything_is_sent() {
    in_each_language(|| {
        let steps = send("one") + "  - { id: vip, action: send_by_tag, to: { tag: VPI }, message: { text: 你好 } }\n";
        let (case, server) = (Case::new().file("plan.yaml", plan(&steps)), Fake::usual());
        case.against(&server, &["--report", "json=report.json"]).exits(5).prints("tag-unknown");
        let report: serde_json::Value = serde_json::from_str(&case.read("report.json")).expect("JSON");
        assert_eq!((&report["outcome"], &report["steps"][1]["outcome"]), (&json!("failed"), &json!("not_run")));
        case.run(&["run", "plan.yaml", "--api-base", &server.base]).exits(5).says("there is no tag `VPI`");
        assert!(server.sends().is_empty());
        case.write("plan.yaml", plan(&steps.replace("VPI", "VIP")));
        case.against(&server, &[]).exits(0);
        assert_eq!(server.sends()[1].json()["filter"], json!({ "is_to_all": false, "tag_id": 134 }));
    });
}

#[test]
fn a_store_that_fails_stops_the_run_before_anything_is_sent() {
    in_each_language(|| {
        let server = Fake::usual();
        let case = two_sends()
            .file(".qunfa/state.db", "this is no database at all, and long enough to be looked at as one............");
        case.against(&server, &["--report", "json=report.json"]).exits(4).prints("store-damaged");
        let report: serde_json::Value = serde_json::from_str(&case.read("report.json")).expect("JSON");
        assert_eq!((&report["outcome"], &report["exit_code"]), (&json!("failed"), &json!(4)), "CI shows the report");
        assert_eq!(case.against(&server, &["--format", "json"]).exits(4).json()["exit_code"], 4);
        let case = two_sends().file("folder", "a file where a folder should be");
        case.against(&server, &["--state", "sqlite:folder/state.db"]).exits(4);
        case.against(&server, &["--state", "folder"]).exits(2).says("sqlite:PATH");
        assert!(server.sends().is_empty());
    });
}
