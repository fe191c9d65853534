//! Publishing against the sandbox: once whatever happens, and known or unknown in words.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use qunfa::sandbox::{Config, DeliveryKind, Sandbox};
use serde_json::{Value, json};

use crate::support::{Answer, Case, Fake, code, in_each_language, plan};

/// A sandbox whose clock goes on with every request, so that nothing is under way for long.
fn sandbox(faults: &[&str]) -> Sandbox {
    let seconds = AtomicI64::new(jiff::Timestamp::now().as_second());
    let config = Config {
        faults: faults.iter().map(|fault| fault.parse().expect("a fault")).collect(),
        now: Arc::new(move || {
            jiff::Timestamp::from_second(seconds.fetch_add(12, Ordering::Relaxed)).expect("in range")
        }),
        ..Config::default()
    };
    Sandbox::start((Ipv4Addr::LOCALHOST, 0).into(), config).expect("a free port")
}

/// Two articles that are published; the first has these words.
fn steps(words: &str) -> String {
    format!(
        "  - {{ id: article, action: create_draft, articles: [{{ title: 春茶, cover: cover.png, content: '{words}' }}, {{ title: 夏茶, cover: cover.png, content: 二采 }}] }}
  - {{ id: page, action: publish, media_id: '{{{{ steps.article.media_id }}}}', every: 1ms }}\n"
    )
}

fn case(steps: &str) -> Case {
    let cover = include_bytes!("plans/files/cover.png");
    Case::new().file("plan.yaml", plan(steps)).file("cover.png", cover)
}

fn run(case: &Case, server: &Sandbox, more: &[&str]) -> crate::support::Ran {
    let base = server.base_url();
    case.run(&[&["run", "plan.yaml", "--yes", "--api-base", &base], more].concat())
}

fn published(server: &Sandbox) -> usize {
    server.deliveries().iter().filter(|delivery| delivery.kind == DeliveryKind::Published).count()
}

#[test]
fn a_draft_is_published_once() {
    in_each_language(|| {
        let (case, server) =
            (case(&(steps("头采") + "  - { id: look, action: check, of: page, every: 1ms }\n")), sandbox(&[]));
        run(
            &case,
            &server,
            &["--report", "html=report.html", "--report", "markdown=report.md", "--report", "junit=report.xml"],
        )
        .exits(0)
        .prints("published");
        for report in ["report.html", "report.md"] {
            assert!(case.read(report).contains("mp.weixin.qq.com"), "{report} has the link");
        }
        let report = run(&case, &server, &["--format", "json"]).exits(0).json();
        assert_eq!(report["totals"]["already_done"], 3);
        let outputs = &report["steps"][1]["outputs"];
        assert_eq!(outputs["publish_id"], "100000001");
        assert_eq!((outputs["urls"].as_array().map(Vec::len), &outputs["urls"][0]), (Some(2), &outputs["url"]));
        assert_eq!(report["steps"][2]["outputs"]["article_id"], outputs["article_id"]);
        assert_eq!(report["steps"][2]["outputs"]["status"], "PUBLISHED");
        let base = server.base_url();
        case.run(&["status", "plan.yaml", "--api-base", &base]).exits(0).says("accepted");
        assert_eq!(published(&server), 1);
    });
}

/// Whatever becomes of the submission, one run or the next finds out, and nothing is published twice.
#[test]
fn an_unknown_submission_is_settled_by_asking() {
    for fault in [
        "drop",
        "lost",
        "cut",
        "cut:done",
        "html",
        "html:done",
        "empty",
        "empty:done",
        "-1",
        "-1:done",
        "50000",
        "50000:done",
        "45011",
        "42001",
        "45028",
        "45065",
        "45065:done",
        "lost#1-3",
        "-1:done#1-3",
        "html#1-2",
    ] {
        let (kind, when) = fault.split_once('#').unwrap_or((fault, "1"));
        let server = sandbox(&[&format!("{kind}@freepublish/submit#{when}")]);
        let case = case(&steps("头采"));
        let first = run(&case, &server, &["--format", "json"]);
        assert!(matches!(first.code, 0 | 5), "{fault}: {} {}", first.stdout, first.stderr);
        let second = run(&case, &server, &["--format", "json"]).exits(0).json();
        assert_eq!(published(&server), 1, "{fault}");
        let outputs = &second["steps"][1]["outputs"];
        assert_eq!(outputs["urls"].as_array().map(Vec::len), Some(2), "{fault}: {outputs}");
        let adopted = kind.ends_with(":done") || kind == "lost";
        assert_eq!(outputs["publish_id"].is_null(), adopted, "{fault}");
        // What was published is never changed, sent or published under another name.
        case.write("plan.yaml", plan(&steps("二采")));
        run(&case, &server, &[]).exits(8);
        case.write("plan.yaml", plan(&steps("头采").replace("id: page", "id: other")));
        run(&case, &server, &[]).exits(8);
        assert_eq!(published(&server), 1, "{fault}");
    }
}

#[test]
fn what_was_published_is_not_changed_or_sent() {
    in_each_language(|| {
        let (case, server) = (case(&steps("头采")), sandbox(&[]));
        run(&case, &server, &[]).exits(0);
        case.write("plan.yaml", plan(&steps("改过")));
        run(&case, &server, &[]).exits(8).prints("published-changed");
        let send = "  - { id: all, action: send_by_tag, to: { tag_id: 2 }, message: { mpnews: '{{ steps.article.media_id }}' } }\n";
        let create = steps("头采").lines().next().expect("a step").to_owned();
        case.write("plan.yaml", plan(&format!("{create}\n{send}")));
        run(&case, &server, &[]).exits(8).prints("published-sent");
        assert_eq!(server.deliveries().len(), 1);
    });
}

#[test]
fn a_publication_that_fails_says_why_and_is_tried_again() {
    in_each_language(|| {
        for (mark, name) in
            [("[[sandbox:original]]", "original"), ("[[sandbox:fail]]", "failed"), ("[[sandbox:review]]", "review")]
        {
            let (case, server) = (case(&steps(mark)), sandbox(&[]));
            run(&case, &server, &[]).exits(5).prints(&format!("publish-{name}"));
            run(&case, &server, &[]).exits(5).says("publishing again");
            case.write("plan.yaml", plan(&steps("头采")));
            run(&case, &server, &[]).exits(0).prints(&format!("publish-{name}-again"));
            assert_eq!(published(&server), 1);
        }
    });
}

#[test]
fn articles_are_taken_back() {
    in_each_language(|| {
        let back = "  - { id: back, action: unpublish, of: page, article: 2 }\n  - { id: rest, action: unpublish, of: page, article: all }
  - { id: gone, action: check, of: page, until: DELETE, every: 1ms }\n";
        for fault in ["none", "lost", "html", "-1:done"] {
            let faults = [format!("{fault}@freepublish/delete")];
            let faults: Vec<&str> = faults.iter().filter(|_| fault != "none").map(String::as_str).collect();
            let (case, server) = (case(&(steps("头采") + back)), sandbox(&faults));
            run(&case, &server, &[]).exits(0).prints(&format!("unpublished-{}", fault.replace(':', "-")));
            let gone = server.deliveries().into_iter().filter(|delivery| delivery.kind == DeliveryKind::Unpublished);
            assert_eq!(gone.count(), 2, "{fault}");
            run(&case, &server, &["--format", "json"]).exits(0);
        }
    });
}

/// A server that took the submission of a draft that nobody finds again.
fn lost_draft() -> Fake {
    lost("draft/get", code(40007), code(-1))
}

/// From the first submission on, which is answered so, the path is answered so.
fn lost(path: &'static str, then: Answer, submitted: Answer) -> Fake {
    let draft = std::sync::Mutex::new(Value::Null);
    let mut taken = false;
    Fake::new(move |_, got| {
        let body = got.json();
        if got.path.ends_with("freepublish/submit") {
            taken = true;
            return submitted.clone();
        }
        if taken && got.path.ends_with(path) {
            return then.clone();
        }
        if got.path.ends_with("draft/add") {
            *draft.lock().expect("whole") = body["articles"].clone();
            return Answer::Json(json!({ "media_id": "DRAFT" }));
        }
        if got.path.ends_with("draft/get") {
            return Answer::Json(json!({ "news_item": *draft.lock().expect("whole") }));
        }
        if got.path.ends_with("freepublish/batchget") {
            return Answer::Json(json!({ "total_count": 0, "item_count": 0, "item": [] }));
        }
        if got.path.ends_with("freepublish/getarticle") {
            let articles: Vec<Value> = (1..=2)
                .map(|number| json!({ "url": format!("http://mp.weixin.qq.com/s/{number}"), "is_deleted": false }))
                .collect();
            return Answer::Json(json!({ "news_item": articles }));
        }
        if got.path.ends_with("freepublish/get") {
            let item = json!([{ "idx": 1, "article_url": "http://mp.weixin.qq.com/s/1" }]);
            return Answer::Json(
                json!({ "publish_id": body["publish_id"], "publish_status": 0, "article_id": "ARTICLE_of_the_console",
                                        "article_detail": { "count": 1, "item": item }, "fail_idx": [] }),
            );
        }
        Answer::Usual
    })
}

#[test]
fn what_is_not_found_stays_unknown_until_it_is_settled() {
    in_each_language(|| {
        for (verdict, submits) in [
            (&["--sent", "ARTICLE_of_the_console"][..], 1),
            (&["--sent", "100000007"][..], 1),
            (&["--sent", "0"][..], 1),
            (&["--not-sent"][..], 2),
        ] {
            let (case, server) = (case(&steps("头采")), lost_draft());
            let name = verdict.last().expect("a word").trim_start_matches('-').to_lowercase();
            let against = |words: &[&str]| case.run(&[words, &["--api-base", &server.base]].concat());
            case.against(&server, &[]).exits(7).prints("publish-unknown");
            case.against(&server, &[]).exits(7).prints("publish-unknown-again");
            against(&["status", "plan.yaml"]).exits(0).says("unknown");
            let edited = plan(&steps("改过"));
            case.write("plan.yaml", &edited);
            assert!(matches!(case.against(&server, &[]).code, 7 | 8), "in doubt comes before edited");
            case.write("plan.yaml", plan(&steps("头采")));
            case.write("plan.yaml", plan(&steps("头采").replace("every: 1ms }", "every: 1ms, when: false }")));
            case.against(&server, &[]).exits(7).prints("publish-unknown-skipped");
            case.write("plan.yaml", plan(&steps("头采")));
            assert_eq!(server.calls("/cgi-bin/freepublish/submit").len(), 1);
            against(&[&["settle", "plan.yaml", "page"], verdict].concat())
                .exits(0)
                .prints(&format!("publish-settled-{name}"));
            let after = case.against(&server, &[]);
            if submits == 1 {
                after.exits(0).prints(&format!("publish-after-{name}"));
                case.against(&server, &[]).exits(0);
            } else {
                after.exits(5).prints(&format!("publish-after-{name}"));
            }
            assert_eq!(server.calls("/cgi-bin/freepublish/submit").len(), 1, "{verdict:?}");
        }
    });
}

/// What cannot be asked proves nothing.
#[test]
fn a_question_that_fails_leaves_it_unknown() {
    in_each_language(|| {
        let odd = |value: Value| Answer::Json(value);
        for (name, path, answer) in [
            ("refused", "draft/get", code(48001)),
            ("empty", "draft/get", odd(json!({ "news_item": [] }))),
            ("list-refused", "freepublish/batchget", code(48001)),
            ("list-odd", "freepublish/batchget", odd(json!({ "total_count": 1, "item": [{ "article_id": 1 }] }))),
        ] {
            let (case, server) =
                (case(&steps("头采")), lost(path, answer, Answer::Json(json!({ "errcode": 0, "errmsg": "ok" }))));
            case.against(&server, &[]).exits(7).prints(&format!("publish-asked-{name}"));
            assert_eq!(server.calls("/cgi-bin/freepublish/submit").len(), 1, "{name}");
        }
    });
}

#[test]
fn a_run_that_publishes_says_so_before() {
    in_each_language(|| {
        let server = sandbox(&[]);
        let case = case(&steps("头采"));
        let base = server.base_url();
        case.run(&["run", "plan.yaml", "--api-base", &base]).exits(9);
        case.run(&["render", "plan.yaml", "--format", "http"]).exits(0).says("freepublish/submit");
        assert_eq!(published(&server), 0);
    });
}

/// On the embedded sandbox, as its users see it.
#[test]
fn a_rehearsal_shows_what_becomes_of_a_submission() {
    in_each_language(|| {
        let back = "  - { id: back, action: unpublish, of: page, article: 1 }\n";
        let case = case("");
        let calm = plan(&(steps("头采") + back))
            .replace("resend_after: 1ms", "resend_after: 60s")
            .replace("every: 1ms", "every: 10s");
        case.write("plan.yaml", calm);
        for (name, fault) in [
            ("lost", "lost@freepublish/submit"),
            ("dropped", "drop@freepublish/submit"),
            ("deleted", "lost@freepublish/delete"),
            ("kept", "drop@freepublish/delete"),
            ("not-known", "40002@freepublish/get"),
        ] {
            let ran = case.run(&["run", "plan.yaml", "--sandbox", "--yes", "--fault", fault]);
            assert!(matches!(ran.code, 0 | 5), "{fault}: {}", ran.stderr);
            ran.prints(&format!("rehearsed-{name}"));
        }
    });
}

/// What `freepublish/get` says in the end.
#[test]
fn each_status_of_a_publication_has_its_words() {
    in_each_language(|| {
        for status in [1, 5, 6, 7] {
            let answer = json!({ "publish_id": "7", "publish_status": status, "fail_idx": [] });
            let server =
                lost("freepublish/get", Answer::Json(answer), Answer::Json(json!({ "errcode": 0, "publish_id": "7" })));
            let case = case(&steps("头采").replace("every: 1ms", "every: 1ms, timeout: 20ms"));
            let ran = case.against(&server, &["--quiet"]).exits(5);
            // How often it was asked until the time is over is chance.
            match status {
                1 | 7 => ran.says("after 20ms"),
                _ => ran.prints(&format!("publish-status-{status}")),
            };
        }
    });
}

/// Whether an article was deleted is not always told.
#[test]
fn a_deletion_that_cannot_be_asked_about_is_not_repeated() {
    in_each_language(|| {
        let mut lines =
            "  - { id: back, action: unpublish, article_id: ARTICLE_of_the_console, article: 1 }\n".to_owned();
        lines.push_str("  - { id: one, action: send_by_tag, to: { tag_id: 2 }, message: { text: 你好 } }\n");
        for (name, answer) in [("refused", code(48001)), ("odd", Answer::Json(json!({ "news_item": [{}] })))] {
            let server = Fake::new(move |_, got| match got.path.rsplit('/').next() {
                Some("delete") => Answer::Close,
                Some("getarticle") => answer.clone(),
                _ => Answer::Usual,
            });
            let case = Case::new().file("plan.yaml", plan(&lines));
            case.against(&server, &[]).exits(5).prints(&format!("unpublish-asked-{name}"));
            assert_eq!(server.calls("/cgi-bin/freepublish/delete").len(), 1);
        }
        let server = Fake::scripted("sendall", vec![Answer::Close, code(-1), code(-1)]);
        let case = Case::new().file("plan.yaml", plan(&crate::support::send("one")));
        case.against(&server, &[]).exits(7);
        let words = ["settle", "plan.yaml", "one", "--sent", "ARTICLE_of_the_console", "--api-base", &server.base];
        case.run(&words).exits(2).prints("publish-settled-send");
    });
}
