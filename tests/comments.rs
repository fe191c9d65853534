//! `qunfa comments`: of a sent article; each change is on record, and nothing that readers wrote is.

use serde_json::{Value, json};

use crate::support::{Answer, Case, Fake, Ran, code, in_each_language, plan};

const ARTICLE: &str =
    "  - { id: news, action: send_by_tag, to: { tag_id: 2 }, message: { mpnews: 2zSgzSrrgeZEdUYvDe7EJeCHTPjqiq5z } }\n";
const LIST: &str = "/comment/list";
/// What the server gives the first send.
const DATA_ID: u64 = 206_227_730 + 3_147_483_648;
const OPENID: &str = "oReader0000000000000000000001";

fn sent(server: &Fake) -> Case {
    let case = Case::new().env("USER", "li").file("plan.yaml", plan(ARTICLE));
    case.against(server, &[]).exits(0);
    case
}

fn comments(case: &Case, server: &Fake, action: &str, more: &[&str]) -> Ran {
    let mut args = vec!["comments", action, "plan.yaml", "news", "--api-base", &server.base];
    args.extend(more);
    case.run(&args)
}

/// So many comments, of which the first is selected and answered.
fn listed(first: u64, count: u64, total: u64) -> Answer {
    let comment = |number: u64| {
        let reply = match number {
            1 => json!({ "content": "谢谢", "create_time": 1_772_330_000 }),
            2 => json!([{ "content": "已回", "create_time": 1_772_330_060 }]),
            _ => Value::Null,
        };
        json!({ "user_comment_id": number, "openid": OPENID, "create_time": 1_772_326_800 + number, "content": format!("好茶\n{number}"), "comment_type": u8::from(number == 1), "reply": reply })
    };
    let list: Vec<Value> = (first..first + count).map(comment).collect();
    Answer::Json(json!({ "errcode": 0, "errmsg": "ok", "total": total, "comment": list }))
}

#[test]
fn comments_are_listed_in_pages() {
    in_each_language(|| {
        let server =
            Fake::scripted(LIST, vec![listed(1, 49, 60), listed(50, 11, 60), listed(1, 2, 2), listed(1, 3, 60)]);
        let case = sent(&server);
        let all = comments(&case, &server, "list", &["--format", "json"]).exits(0).json();
        assert_eq!((&all["total"], all["comments"].as_array().map(Vec::len)), (&json!(60), Some(60)));
        assert_eq!(all["comments"][1]["replies"][0]["content"], "已回");
        comments(&case, &server, "list", &["--article", "2", "--type", "selected"]).exits(0).prints("comments-list");
        comments(&case, &server, "list", &["--most", "3", "--type", "normal"]).exits(0);
        let bodies: Vec<Value> = server.calls(LIST).iter().map(|call| call.json()).collect();
        let body = |index: u64, begin: u64, count: u64, kind: u64| json!({ "msg_data_id": DATA_ID, "index": index, "begin": begin, "count": count, "type": kind });
        assert_eq!(bodies, [body(0, 0, 49, 0), body(0, 49, 49, 0), body(1, 0, 49, 2), body(0, 0, 3, 1)]);
        comments(&case, &server, "list", &["--most", "0"]).exits(2).says("50000");
        comments(&case, &server, "list", &["--article", "9"]).exits(2).says("8");
    });
}

#[test]
fn each_change_is_made_once_and_recorded() {
    in_each_language(|| {
        let server = Fake::usual();
        let case = sent(&server);
        let one = ["--comment", "7"];
        let body = |more: Value| {
            let mut body = json!({ "msg_data_id": DATA_ID, "index": 0 });
            body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            body
        };
        let comment = json!({ "user_comment_id": 7 });
        let answer = json!({ "user_comment_id": 7, "content": "谢谢" });
        for (action, path, more, sent) in [
            ("open", "comment/open", &[][..], json!({})),
            ("close", "comment/close", &[], json!({})),
            ("elect", "comment/markelect", &one, comment.clone()),
            ("unelect", "comment/unmarkelect", &one, comment.clone()),
            ("reply", "comment/reply/add", &["--comment", "7", "--text", "谢谢"], answer),
            ("unreply", "comment/reply/delete", &one, comment.clone()),
            ("delete", "comment/delete", &one, comment),
        ] {
            comments(&case, &server, action, more).exits(0).prints("comments-done");
            let calls = server.calls(path);
            assert_eq!((calls.len(), calls[0].json()), (1, body(sent)), "{action}");
        }
        let done = comments(&case, &server, "open", &["--article", "2", "--format", "json", "--reason", "欢迎"])
            .exits(0)
            .json();
        assert_eq!(
            (&done["article"], &done["msg_data_id"], &done["done_before"]),
            (&json!(2), &json!(DATA_ID), &json!(false))
        );
        // It is no step of the plan, and confuses nobody.
        case.against(&server, &[]).exits(0);
        case.run(&["status", "plan.yaml", "--api-base", &server.base]).exits(0);
        assert_eq!(server.sends().len(), 1);
    });
}

/// What readers wrote, and who they are, is nowhere on disk.
#[test]
fn nothing_of_readers_is_kept() {
    let lost = Answer::DoneThen(Box::new(Answer::Close));
    let mut answers = vec![lost, code(88005)].into_iter();
    let server = Fake::new(move |_, got| match &got.path {
        path if path.ends_with(LIST) => listed(1, 3, 3),
        path if path.ends_with("/reply/add") => answers.next().unwrap_or(Answer::Usual),
        _ => Answer::Usual,
    });
    let case = sent(&server);
    comments(&case, &server, "list", &[]).exits(0).says("好茶");
    comments(&case, &server, "reply", &["--comment", "1", "--text", "谢谢"]).exits(0);
    let kept = case.left_behind();
    assert!(!kept.is_empty());
    for (path, bytes) in kept {
        for words in ["好茶", OPENID] {
            let found = bytes.windows(words.len()).any(|part| part == words.as_bytes());
            assert!(!found, "{words} is in {}", path.display());
        }
    }
}

/// Each fault of a change, and how often it is made.
#[test]
fn each_fault_of_a_change_ends_as_it_should() {
    in_each_language(|| {
        for (name, answer, exit, calls) in [
            ("lost", Answer::DoneThen(Box::new(Answer::Close)), 0, 2),
            ("cut", Answer::Cut, 0, 2),
            ("html", Answer::Raw(502, "text/html", "<html>".into()), 0, 2),
            ("empty", Answer::Json(json!({})), 0, 2),
            ("busy", code(-1), 0, 2),
            ("48001", code(48001), 5, 1),
            ("45009", code(45009), 5, 1),
            ("88000", code(88000), 5, 1),
            ("88001", code(88001), 5, 1),
            ("88002", code(88002), 5, 1),
            ("88003", code(88003), 5, 1),
            ("88004", code(88004), 5, 1),
            ("88005", code(88005), 5, 1),
            ("88007", code(88007), 5, 1),
            ("88008", code(88008), 5, 1),
        ] {
            let server = Fake::scripted("/comment/markelect", vec![answer]);
            let case = sent(&server);
            let ran = comments(&case, &server, "elect", &["--comment", "7"]).exits(exit);
            assert_eq!(server.calls("/comment/markelect").len(), calls, "{name}");
            if exit != 0 {
                ran.prints(&format!("comments-{name}"));
            }
        }
        // Of nothing that is known it is said that it failed.
        let server = Fake::scripted("/comment/open", vec![Answer::Close; 3]);
        let case = sent(&server);
        comments(&case, &server, "open", &[]).exits(7).prints("comments-unknown");
        comments(&case, &server, "open", &[]).exits(0);
        let server = Fake::scripted(LIST, vec![code(88010)]);
        let case = sent(&server);
        comments(&case, &server, "list", &[]).exits(5).prints("comments-88010");
    });
}

/// An answer whose reply was lost is looked up, and not given twice; a comment that is gone after a lost reply was deleted.
#[test]
fn what_was_done_by_an_attempt_without_a_reply_is_done() {
    in_each_language(|| {
        let lost = || Answer::DoneThen(Box::new(Answer::Close));
        for (text, exit) in [("谢谢", 0), ("别的", 7)] {
            let mut answers = vec![lost(), code(88005)].into_iter();
            let server = Fake::new(move |_, got| match &got.path {
                path if path.ends_with(LIST) => listed(1, 3, 3),
                path if path.ends_with("/reply/add") => answers.next().unwrap_or(code(88005)),
                _ => Answer::Usual,
            });
            let case = sent(&server);
            let ran = comments(&case, &server, "reply", &["--comment", "1", "--text", text]).exits(exit);
            ran.prints(&format!("comments-answered-{exit}"));
        }
        let server = Fake::scripted("/comment/delete", vec![lost(), code(88008)]);
        let case = sent(&server);
        comments(&case, &server, "delete", &["--comment", "1"]).exits(0).prints("comments-deleted-before");
        // Nobody has answered with a lost reply: the first refusal is one.
        let server = Fake::scripted("/comment/delete", vec![code(88008)]);
        let case = sent(&server);
        comments(&case, &server, "delete", &["--comment", "1"]).exits(5);
    });
}

/// A process that dies after its intent: the next one goes on with the same call.
#[test]
fn a_process_that_was_killed_is_gone_on_with() {
    let server = Fake::scripted("/comment/delete", vec![Answer::Stall, code(88008)]);
    let case = sent(&server);
    let mut child =
        case.spawn(&["comments", "delete", "plan.yaml", "news", "--comment", "1", "--api-base", &server.base]);
    while server.calls("/comment/delete").is_empty() {
        std::thread::yield_now();
    }
    child.kill().expect("it runs");
    child.wait().expect("it ended");
    comments(&case, &server, "delete", &["--comment", "1"]).exits(0);
    assert_eq!(server.calls("/comment/delete").len(), 2);
}

#[test]
fn an_article_that_is_not_known_is_said_to_be_so() {
    in_each_language(|| {
        let server = Fake::usual();
        let case = Case::new().file("plan.yaml", plan(ARTICLE));
        comments(&case, &server, "list", &[]).exits(2).prints("comments-nothing-sent");
        comments(&case, &server, "open", &[]).exits(2);
        let case = sent(&server);
        comments(&case, &server, "list", &["--occurrence", "other"]).exits(2);
        case.run(&["comments", "list", "plan.yaml", "other", "--api-base", &server.base]).exits(2);
        // A send that was found to be there already: WeChat does not say the number again.
        let lost = Answer::DoneThen(Box::new(Answer::Close));
        let server = Fake::scripted("/mass/sendall", vec![lost]);
        let case = sent(&server);
        comments(&case, &server, "open", &[]).exits(4).prints("comments-without-number");
        comments(&case, &server, "open", &["--msg-data-id", "12"]).exits(0);
        assert_eq!(server.calls("/comment/open")[0].json()["msg_data_id"], 12);
        // Rows that are articles of their own.
        let rows = "  - { id: news, action: send_by_tag, foreach: [{ n: 101 }, { n: 102 }], key: '{{ row.n }}', to: { tag_id: '{{ row.n }}' }, message: { mpnews: m } }\n";
        let server = Fake::usual();
        let case = Case::new().file("plan.yaml", plan(rows));
        case.against(&server, &[]).exits(0);
        comments(&case, &server, "open", &[]).exits(2).prints("comments-several");
        case.run(&["comments", "open", "plan.yaml", "news[102]", "--api-base", &server.base]).exits(0);
        assert_eq!(server.calls("/comment/open")[0].json()["msg_data_id"], DATA_ID + 1);
    });
}
