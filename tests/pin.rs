//! A draft that somebody made in the console: found, pinned, and refused if it is another by the time of the run.

use serde_json::{Value, json};

use crate::support::{Answer, Case, Fake, Ran, code, in_each_language, plan};

const GET: &str = "/draft/get";
const BATCHGET: &str = "/draft/batchget";

/// A draft by its title, shown to one person and sent.
const BY_TITLE: &str = r#"  # 编辑在后台做的
  - id: hand
    action: use_draft
    title: "春茶上新"  # 后台里的标题
  - { id: proof, action: preview, to: { wxname: editor }, message: { mpnews: '{{ steps.hand.media_id }}' } }
  - { id: tag, action: send_by_tag, to: { tag_id: 2 }, message: { mpnews: '{{ steps.hand.media_id }}' } }
"#;
const BY_ID: &str = "  - { id: hand, action: use_draft, media_id: by-hand }
  - { id: tag, action: send_by_tag, to: { tag_id: 2 }, message: { mpnews: '{{ steps.hand.media_id }}' } }
";

fn article(title: &str, content: &str) -> Value {
    json!({ "title": title, "author": "茶园", "content": content, "thumb_media_id": "cover", "need_open_comment": 1 })
}

fn spring() -> Value {
    json!([article("春茶上新", "<p>头采</p>"), article("夏茶预告", "<p>稍等</p>")])
}

/// A draft box with the draft that is meant, and with another.
fn with_draft(server: Fake) -> Fake {
    server.make_draft("by-hand", spring());
    server.make_draft("other", json!([article("别的", "<p>x</p>")]));
    server
}

fn pin(case: &Case, server: &Fake, more: &[&str]) -> Ran {
    let mut args = vec!["pin", "plan.yaml", "--api-base", &server.base];
    args.extend(more);
    case.run(&args)
}

#[test]
fn a_draft_of_the_console_is_pinned_previewed_and_sent() {
    in_each_language(|| {
        let server = with_draft(Fake::usual());
        let case = Case::new().file("plan.yaml", plan(BY_TITLE));
        pin(&case, &server, &["--check"]).exits(8).prints("pin-not-pinned");
        pin(&case, &server, &[]).exits(0).prints("pin-pinned");
        let text = case.read("plan.yaml");
        let digest = text.split("\n    digest: \"").nth(1).and_then(|rest| rest.split('"').next()).expect("a digest");
        assert_eq!(text.replace(&format!("    digest: \"{digest}\"\n"), ""), plan(BY_TITLE), "all else stays");
        assert_eq!(digest.split(' ').count(), 2, "one an article");
        // Pinned is pinned.
        pin(&case, &server, &["--check"]).exits(0).prints("pin-still");
        let again = pin(&case, &server, &["hand", "--format", "json"]).exits(0).json();
        assert_eq!((&again["written"], &again["steps"][0]["before"]), (&json!(false), &json!(digest)));
        assert_eq!(again["steps"][0]["titles"], json!(["春茶上新", "夏茶预告"]));
        let check = pin(&case, &server, &["--check", "--format", "json"]).exits(0).json();
        assert_eq!((&check["steps"][0]["digest"], &check["steps"][0]["media_id"]), (&json!(digest), &json!("by-hand")));
        assert_eq!(case.read("plan.yaml"), text);
        case.against(&server, &[]).exits(0);
        assert_eq!(server.sends()[0].json()["mpnews"]["media_id"], "by-hand");
        assert_eq!(server.calls("/mass/preview")[0].json()["mpnews"]["media_id"], "by-hand");
        // What was sent is gone, and nothing of it is done again.
        server.lose_drafts();
        let calls = server.got().len();
        case.against(&server, &[]).exits(0).says("already");
        assert_eq!((server.sends().len(), server.got().len()), (1, calls));
    });
}

#[test]
fn a_draft_that_changed_is_refused_before_anything_is_sent() {
    in_each_language(|| {
        for (name, now) in [
            ("content", json!([article("春茶上新", "<p>头采</p>"), article("夏茶预告", "<p>不等了</p>")])),
            ("order", json!([article("夏茶预告", "<p>稍等</p>"), article("春茶上新", "<p>头采</p>")])),
            ("count", json!([article("春茶上新", "<p>头采</p>")])),
        ] {
            let server = with_draft(Fake::usual());
            let case = Case::new().file("plan.yaml", plan(BY_ID));
            pin(&case, &server, &[]).exits(0);
            server.make_draft("by-hand", now);
            case.against(&server, &[]).exits(8).prints(&format!("pin-drift-{name}"));
            assert!(server.sends().is_empty());
            pin(&case, &server, &["--check"]).exits(8).says("pin");
            // Pinned again it is sent.
            pin(&case, &server, &[]).exits(0);
            case.against(&server, &[]).exits(0);
            assert_eq!(server.sends().len(), 1);
        }
        // It is not touched as long as nobody changes it: between a preview and the send, too.
        let server = with_draft(Fake::scripted("/mass/sendall", vec![code(45009)]));
        let case = Case::new().file("plan.yaml", plan(BY_ID));
        pin(&case, &server, &[]).exits(0);
        case.against(&server, &[]).exits(5);
        server.make_draft("by-hand", json!([article("春茶上新", "<p>别的</p>")]));
        case.against(&server, &[]).exits(8);
        assert_eq!(server.sends().len(), 1, "the refused one");
        server.make_draft("by-hand", spring());
        case.against(&server, &[]).exits(0);
    });
}

/// Somebody changes it while the run goes on: after it was looked up, before the step reads it.
#[test]
fn a_draft_that_changes_during_the_run_is_not_sent() {
    in_each_language(|| {
        let mut reads = 0;
        let server = Fake::new(move |_, got| {
            reads += u32::from(got.path.ends_with(GET));
            // The first is `pin`, the second the look before the run.
            match got.path.ends_with(GET) && reads == 3 {
                true => Answer::Json(json!({ "news_item": [article("春茶上新", "<p>别的</p>")] })),
                false => Answer::Usual,
            }
        });
        let server = with_draft(server);
        let case = Case::new().file("plan.yaml", plan(BY_ID));
        pin(&case, &server, &[]).exits(0);
        case.against(&server, &[]).exits(5).prints("pin-changed-meanwhile");
        assert!(server.sends().is_empty());
        case.against(&server, &[]).exits(0);
        assert_eq!(server.sends().len(), 1);
    });
}

#[test]
fn a_draft_that_cannot_be_found_is_said_to_be_so() {
    in_each_language(|| {
        let case = Case::new().file("plan.yaml", plan(BY_TITLE));
        let server = Fake::usual();
        case.against(&server, &[]).exits(5).prints("pin-box-empty");
        server.make_draft("a", json!([article("别的", "x")]));
        server.make_draft("b", json!([article("春茶上", "x")]));
        case.against(&server, &[]).exits(5).prints("pin-no-such-title");
        server.lose_drafts();
        server.make_draft("a", json!([article("别的", "x")]));
        pin(&case, &server, &[]).exits(5).prints("pin-other-titles");
        server.make_draft("c", spring());
        server.make_draft("d", spring());
        case.against(&server, &[]).exits(5).prints("pin-several");
        let case = Case::new().file("plan.yaml", plan(BY_ID));
        case.against(&server, &[]).exits(5).prints("pin-gone");
        assert!(server.sends().is_empty());
        // An answer that is none.
        for (name, answer) in [("no-articles", json!({ "news_item": [] })), ("busy", json!({ "errcode": -1 }))] {
            let server = Fake::scripted(GET, vec![Answer::Json(answer); 5]);
            case.against(&server, &[]).exits(5).prints(&format!("pin-{name}"));
        }
        let endless = json!({ "total_count": 20_000, "item_count": 1, "item": [{ "media_id": "m", "content": { "news_item": [{ "title": "x" }] } }] });
        let server = Fake::new(move |_, got| match got.path.ends_with(BATCHGET) {
            true => Answer::Json(endless.clone()),
            false => Answer::Usual,
        });
        let case = Case::new().file("plan.yaml", plan(BY_TITLE));
        case.against(&server, &[]).exits(5).says("pages");
        assert_eq!(server.calls(BATCHGET).len(), 500);
        let odd = json!({ "total_count": 1, "item": [{ "media_id": "一 二", "content": { "news_item": [{ "title": "春茶上新" }] } }] });
        let server = Fake::scripted(BATCHGET, vec![Answer::Json(odd)]);
        case.against(&server, &[]).exits(5).says("media_id");
    });
}

/// All pages of the draft box are looked through, and the title alone decides.
#[test]
fn a_title_is_looked_for_on_all_pages() {
    let server = with_draft(Fake::usual());
    for number in 0..45 {
        server.make_draft(&format!("draft-{number:02}"), json!([article(&format!("茶 {number}"), "x")]));
    }
    server.make_draft("zz", json!([article("春茶上新 ", "x")]));
    let case = Case::new().file("plan.yaml", plan(BY_TITLE));
    case.against(&server, &[]).exits(5).says("zz");
    let offsets: Vec<Value> = server.calls(BATCHGET).iter().map(|call| call.json()).collect();
    let page = |offset: u64| json!({ "offset": offset, "count": 20, "no_content": 1 });
    assert_eq!(offsets, [page(0), page(20), page(40)]);
}

/// Of a draft that may have been sent nobody asks whether it is there.
#[test]
fn a_send_in_doubt_is_repeated_although_its_draft_is_gone() {
    let lost = Answer::DoneThen(Box::new(Answer::Close));
    let server = with_draft(Fake::scripted("/mass/sendall", vec![lost.clone(), lost.clone(), lost]));
    let case = Case::new().file("plan.yaml", plan(BY_ID));
    pin(&case, &server, &[]).exits(0);
    case.against(&server, &[]).exits(7);
    server.lose_drafts();
    case.against(&server, &[]).exits(0);
    server.delivered_once(1);
}

#[test]
fn what_cannot_be_pinned_says_why() {
    in_each_language(|| {
        let server = with_draft(Fake::usual());
        let case = Case::new().file("plan.yaml", plan("  - { id: a, action: set_speed, speed: 1 }\n"));
        pin(&case, &server, &[]).exits(2).prints("pin-nothing-to-pin");
        let case = Case::new().file("plan.yaml", plan(BY_ID));
        pin(&case, &server, &["tag"]).exits(2).prints("pin-no-such-step");
        let rows = "  - { id: hand, action: use_draft, foreach: [{ m: by-hand }, { m: other }], key: '{{ row.m }}', media_id: '{{ row.m }}' }\n";
        let case = Case::new().file("plan.yaml", plan(rows));
        pin(&case, &server, &[]).exits(2).prints("pin-rows");
        pin(&case, &server, &["hand[other]", "--check"]).exits(8);
        let template = "vars: { d: sha256-0000000000000000000000000000000000000000000000000000000000000000 }\n";
        let step = "  - { id: hand, action: use_draft, media_id: by-hand, digest: '{{ vars.d }}' }\n";
        let case = Case::new().file("plan.yaml", plan(step).replace("steps:", &format!("{template}steps:")));
        pin(&case, &server, &[]).exits(4).prints("pin-template");
        let server = Fake::usual();
        pin(&case, &server, &[]).exits(5).says("40007");
        let stdin = case.with_stdin(&["pin", "-", "--api-base", &server.base], &plan(BY_ID));
        stdin.exits(2).prints("pin-stdin");
    });
}

/// Who changes the plan while WeChat is asked loses nothing.
#[test]
fn a_plan_that_changed_meanwhile_is_not_written() {
    in_each_language(|| {
        let case = Case::new().file("plan.yaml", plan(BY_ID));
        let (path, other) = (case.path("plan.yaml"), plan(BY_TITLE));
        let text = other.clone();
        let server = with_draft(Fake::new(move |_, got| {
            if got.path.ends_with(GET) {
                std::fs::write(&path, &text).expect("a file");
            }
            Answer::Usual
        }));
        pin(&case, &server, &[]).exits(8).prints("pin-plan-changed");
        assert_eq!(case.read("plan.yaml"), other);
    });
}

/// What was pinned is part of what is approved, and a rehearsal has a draft of its own.
#[test]
fn the_pin_belongs_to_the_digest_of_the_plan() {
    in_each_language(|| {
        let server = with_draft(Fake::usual());
        let case = Case::new().file("plan.yaml", plan(BY_TITLE));
        let digest = || case.run(&["render", "plan.yaml", "--format", "json"]).exits(0).json()["digest"].clone();
        case.run(&["validate", "plan.yaml", "--strict"]).exits(3).prints("pin-warning");
        let before = digest();
        pin(&case, &server, &[]).exits(0);
        let pinned = digest();
        let valid = case.run(&["validate", "plan.yaml"]).exits(0);
        assert!(!valid.stderr.contains("Q924"), "{}", valid.stderr);
        server.make_draft("by-hand", json!([article("春茶上新", "<p>别的</p>")]));
        pin(&case, &server, &[]).exits(0);
        assert!(before != pinned && pinned != digest());
        case.run(&["run", "plan.yaml", "--sandbox"]).exits(0).prints("pin-rehearsed");
        let case = Case::new().file("plan.yaml", plan(BY_ID));
        case.run(&["run", "plan.yaml", "--sandbox"]).exits(0);
    });
}
