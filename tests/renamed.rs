//! What was sent under another name is not sent once more: of a step, of a row, of the plan, of an edition.

use serde_json::json;

use crate::support::{Answer, Case, Fake, in_each_language, plan, send};

fn vip(id: &str, people: &str, text: &str) -> String {
    format!("  - {{ id: {id}, action: send_by_openid, to: {{ openids: [{people}] }}, message: {{ text: {text} }} }}\n")
}

fn was(step: String, name: &str) -> String {
    step.replacen(", action", &format!(", was: {name}, action"), 1)
}

#[test]
fn a_step_that_was_renamed_is_not_sent_again() {
    in_each_language(|| {
        let case = Case::new().file("plan.yaml", plan(&(send("one") + &vip("two", "oA, oB, oC", "你好"))));
        let server = Fake::usual();
        case.against(&server, &[]).exits(0);
        // Other people in part, and the other step as well.
        case.write("plan.yaml", plan(&(send("first") + &vip("second", "oB, oC, oD", "你好"))));
        case.against(&server, &["--report", "json=report.json"]).exits(8).prints("renamed-steps");
        let report: serde_json::Value = serde_json::from_str(&case.read("report.json")).expect("JSON");
        assert_eq!(report["outcome"], json!("refused"));
        case.run(&["doctor", "plan.yaml", "--api-base", &server.base]).exits(8).says("write `was: one` in it");
        case.against(&server, &["--only", "second"]).exits(8);
        server.delivered_once(2);
        // What says its former name was sent: its outputs are there, and its people count.
        let steps = was(send("first"), "one")
            + &was(vip("second", "oA, oB, oC", "你好"), "two")
            + "  - { id: look, action: check, of: second }\n";
        case.write("plan.yaml", plan(&steps));
        case.against(&server, &[]).exits(0).prints("renamed-with-was");
        let status = case.run(&["status", "plan.yaml", "--api-base", &server.base, "--format", "json"]).exits(0).json();
        let states: Vec<_> = status["steps"].as_array().expect("a list").iter().map(|step| &step["state"]).collect();
        assert_eq!(states, ["accepted", "accepted", "accepted"]);
        let audience = case.run(&["audience", "plan.yaml", "second", "--api-base", &server.base]).exits(0);
        audience.prints("audience-of-a-renamed-step");
        server.delivered_once(2);
        // With another message it conflicts with what was sent.
        case.write("plan.yaml", plan(&was(vip("second", "oA, oB, oC", "再见"), "two")));
        case.against(&server, &[]).exits(8).says("the plan no longer matches the messages already sent");
        server.delivered_once(2);
    });
}

#[test]
fn what_is_another_send_is_sent() {
    let case = Case::new().file("plan.yaml", plan(&(send("one") + &vip("two", "oA, oB", "你好"))));
    let server = Fake::usual();
    case.against(&server, &[]).exits(0);
    let other_message = send("three").replace("你好", "另一条");
    let other_people = vip("four", "oC, oD", "你好");
    case.write("plan.yaml", plan(&(other_message + &other_people)));
    case.against(&server, &[]).exits(0);
    server.delivered_once(4);
    // On purpose.
    case.write("plan.yaml", plan(&send("five")).replace("name: test", "name: test\noccurrence: again"));
    case.against(&server, &[]).exits(0);
    // Another account.
    case.write("plan.yaml", plan(&send("six")).replace("wx0123456789abcdef", "wxfedcba9876543210"));
    let server = Fake::usual();
    case.against(&server, &[]).exits(0);
}

#[test]
fn who_is_new_gets_it_from_the_renamed_step_alone() {
    let step = |id: &str, people: &str| {
        vip(id, people, "你好").replace(", message", ", on_audience_change: send_new, message")
    };
    let case = Case::new().file("plan.yaml", plan(&step("old", "oA, oB")));
    let server = Fake::usual();
    case.against(&server, &[]).exits(0);
    for people in ["oA, oB, oC, oD", "oA, oB, oC, oD", "oA, oB, oC, oD, oE, oF"] {
        case.write("plan.yaml", plan(&was(step("new", people), "old")));
        case.against(&server, &[]).exits(0);
    }
    let sent: Vec<_> = server.sends().iter().map(|sent| sent.json()["touser"].clone()).collect();
    assert_eq!(sent, [json!(["oA", "oB"]), json!(["oC", "oD"]), json!(["oE", "oF"])]);
    // Without `was`, those who had it under the former name are found.
    case.write("plan.yaml", plan(&step("new", "oA, oB, oC, oD, oE, oF")));
    case.against(&server, &[]).exits(8).says("as `old` at");
}

#[test]
fn rows_with_other_keys_are_not_sent_again() {
    in_each_language(|| {
        let rows = |key: &str, was: &str| {
            plan(&format!(
                "  - id: city\n    action: send_by_tag\n    foreach: [{{ city: 北京, tag: 100 }}, {{ city: 上海, tag: 101 }}]\n    key: \"{{{{ {key} }}}}\"\n{was}    to: {{ tag_id: \"{{{{ row.tag }}}}\" }}\n    message: {{ text: \"{{{{ row.city }}}}，你好\" }}\n"
            ))
        };
        let case = Case::new().file("plan.yaml", rows("row.city", ""));
        let server = Fake::usual();
        case.against(&server, &[]).exits(0);
        case.write("plan.yaml", rows("row.tag", ""));
        case.against(&server, &[]).exits(8).prints("renamed-rows");
        case.write("plan.yaml", rows("row.tag", "    was: \"city[{{ row.city }}]\"\n"));
        case.against(&server, &[]).exits(0);
        server.delivered_once(2);
    });
}

#[test]
fn a_plan_that_was_renamed_is_not_sent_again() {
    in_each_language(|| {
        let draft =
            "  - { id: draft, action: create_draft, articles: [{ title: 春茶, content: 正文, cover: c.png }] }\n";
        let article = "  - { id: all, action: send_by_tag, to: all, message: { mpnews: { media_id: '{{ steps.draft.media_id }}' } } }\n";
        let text = plan(&(draft.to_owned() + article + &send("one")));
        let cover = include_bytes!("pictures/jade-4x2.png");
        let case = Case::new().file("plan.yaml", &text).file("c.png", cover);
        let server = Fake::usual();
        case.against(&server, &[]).exits(0);
        let renamed = text.replace("name: test", "name: spring");
        case.write("plan.yaml", &renamed);
        case.against(&server, &[]).exits(8).prints("renamed-plan");
        // Also in another file, and with other ids of all steps: where the plan was, it is not any more.
        case.write(
            "other.yaml",
            renamed
                .replace("draft:", "article:")
                .replace("id: draft", "id: article")
                .replace("steps.draft", "steps.article")
                .replace("id: all", "id: everyone"),
        );
        case.run(&["run", "other.yaml", "--yes", "--api-base", &server.base]).exits(8);
        server.delivered_once(2);
        case.write("plan.yaml", text.replace("name: test", "name: spring\nwas: test"));
        case.against(&server, &[]).exits(0);
        server.delivered_once(2);
        // A plan that is still there is another one.
        case.write("plan.yaml", &text);
        case.write("other.yaml", text.replace("name: test", "name: summer"));
        case.run(&["run", "other.yaml", "--yes", "--api-base", &server.base, "--allow-partial"]).exits(0);
        server.delivered_once(4);
    });
}

#[test]
fn what_was_begun_under_another_name_is_finished_under_that() {
    in_each_language(|| {
        let case = Case::new().file("plan.yaml", plan(&send("one")));
        let server = Fake::scripted("sendall", vec![Answer::Close, Answer::Close, Answer::Close, Answer::Close]);
        case.against(&server, &[]).exits(7);
        let got = server.got().len();
        case.write("plan.yaml", plan(&send("two")));
        case.against(&server, &[]).exits(7).prints("renamed-in-doubt");
        case.write("plan.yaml", plan(&was(send("two"), "one")));
        case.against(&server, &[]).exits(7).prints("was-in-doubt");
        assert_eq!(server.got().len(), got, "nothing is even asked");
        // Settled, it is known: sent it counts, and not sent it is sent under its new name.
        let settle = |outcome: &[&str]| {
            let settle = ["settle", "plan.yaml", "one", "--api-base", &server.base];
            case.run(&[&settle, outcome].concat()).exits(0);
        };
        case.write("plan.yaml", plan(&send("two")));
        settle(&["--not-sent"]);
        case.against(&server, &[]).exits(0);
        server.delivered_once(1);
    });
}

#[test]
fn a_plan_that_was_renamed_in_doubt_is_settled_first() {
    in_each_language(|| {
        let case = Case::new().file("plan.yaml", plan(&send("one")));
        let server = Fake::scripted("sendall", vec![Answer::DoneThen(Box::new(Answer::Close)); 3]);
        case.against(&server, &[]).exits(7);
        case.write("plan.yaml", plan(&send("one")).replace("name: test", "name: spring"));
        let got = server.got().len();
        let ran = case.against(&server, &[]).exits(7);
        assert!(!ran.stderr.contains("`occurrence`"), "it would be sent twice: {}", ran.stderr);
        ran.prints("renamed-plan-in-doubt");
        assert_eq!(server.got().len(), got, "nothing is even asked");
        server.delivered_once(1);
    });
}

#[test]
fn a_former_name_is_checked() {
    in_each_language(|| {
        let steps = was(send("one"), "two") + &send("two");
        let case = Case::new().file("plan.yaml", plan(&steps));
        case.run(&["validate", "plan.yaml"]).exits(3).prints("was-names-a-step");
        case.write("plan.yaml", plan(&was(send("one"), "'{{ run.id }}'")));
        case.run(&["validate", "plan.yaml"]).exits(3).says("must be known before the run");
    });
}

#[test]
fn the_date_alone_makes_no_new_edition_of_the_same_message() {
    in_each_language(|| {
        let daily = |text: &str| {
            plan(&send("one").replace("你好", text)).replace("name: test", "name: test\noccurrence: '{{ run.date }}'")
        };
        let (case, server) = (Case::new().file("plan.yaml", daily("你好")), Fake::usual());
        let at = |at: &str, exit: i32| case.against(&server, &["--now", at]).exits(exit);
        at("2026-11-01T23:50:00+08:00", 0).prints("edition-before-midnight");
        at("2026-11-02T00:05:00+08:00", 8).prints("edition-after-midnight");
        at("2026-11-02T11:00:00+08:00", 8);
        server.delivered_once(1);
        // Another message, and the same one a day later, are another edition.
        at("2026-11-02T12:00:00+08:00", 0);
        case.write("plan.yaml", daily("新的一天"));
        at("2026-11-03T00:05:00+08:00", 0);
        server.delivered_once(3);
        // An edition that is written out is meant.
        case.write("plan.yaml", daily("新的一天").replace("'{{ run.date }}'", "2026-11-04"));
        at("2026-11-03T00:10:00+08:00", 0);
        server.delivered_once(4);
    });
}

#[test]
fn an_edition_of_a_month_ends_with_the_month_alone() {
    let monthly = plan(&send("one")).replace("name: test", "name: test\noccurrence: \"{{ run.date[:7] }}\"");
    let (case, server) = (Case::new().file("plan.yaml", &monthly), Fake::usual());
    let at = |at: &str, exit: i32| case.against(&server, &["--now", at]).exits(exit);
    let said = at("2026-11-01T23:55:00+08:00", 0);
    assert!(!said.stderr.contains("ends at midnight"), "{}", said.stderr);
    let (case, server) = (Case::new().file("plan.yaml", monthly), Fake::usual());
    let at = |at: &str, exit: i32| case.against(&server, &["--now", at]).exits(exit);
    at("2026-11-30T23:55:00+08:00", 0).says("the edition `2026-11` ends at midnight");
    at("2026-12-01T00:05:00+08:00", 8);
    server.delivered_once(1);
}

#[test]
fn of_two_sends_that_stood_in_one_plan_one_may_be_taken_out() {
    let stop = vec![Answer::Usual, crate::support::code(45028)];
    let (case, server) =
        (Case::new().file("plan.yaml", plan(&(send("one") + &send("two")))), Fake::scripted("sendall", stop));
    case.against(&server, &[]).exits(6);
    case.write("plan.yaml", plan(&send("two")));
    case.against(&server, &[]).exits(0);
    server.delivered_once(2);
}
