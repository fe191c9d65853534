//! What is sent is what the dry run shows, byte for byte, for every action and every message type.

use qunfa::{message::MessageKind, payload};
use serde_json::{Value, json};

use crate::support::{Answer, Case, Fake, in_each_language, plan, repository, send};

const STEPS: &str = r#"
  - { id: speed, action: set_speed, speed: 3 }
  - { id: p1, action: preview, to: { wxname: tea-editor }, message: { text: "你好，\"双11\" 🎉👨‍👩‍👧\n<a href=\"https://example.com/?a=1&b=2\">点这里</a> \\ '完'" } }
  - { id: p2, action: preview, to: { openid: oAAA }, message: { image: PIC } }
  - { id: p3, action: preview, to: { openid: oAAA }, message: { wxcard: { card_id: CARD, card_ext: "{\"code\":\"\"}" } } }
  - { id: t1, action: send_by_tag, to: { tag_id: 2 }, message: { text: { file: hello.txt } } }
  - { id: t2, action: send_by_tag, to: { tag: VIP }, message: { mpnews: DRAFT }, send_ignore_reprint: true }
  - { id: t3, action: send_by_tag, to: all, message: { mpnews: { media_id: DRAFT } }, send_ignore_reprint: false }
  - { id: t4, action: send_by_tag, to: { tag_id: 2 }, message: { voice: VOICE } }
  - { id: t5, action: send_by_tag, to: { tag_id: 2 }, message: { voice: { media_id: VOICE } } }
  - { id: t6, action: send_by_tag, to: { tag_id: 2 }, message: { image: PIC } }
  - { id: t7, action: send_by_tag, to: { tag_id: 2 }, message: { image: [PIC1, PIC2] } }
  - { id: t8, action: send_by_tag, to: { tag_id: 2 }, message: { image: { media_ids: [PIC1], recommend: 看, title: 图, need_open_comment: true, only_fans_can_comment: false } } }
  - { id: t9, action: send_by_tag, to: { tag_id: 2 }, message: { mpvideo: VIDEO } }
  - { id: t10, action: send_by_tag, to: { tag_id: 2 }, message: { wxcard: CARD } }
  - { id: o1, action: send_by_openid, to: { file: people.txt }, message: { mpvideo: { media_id: VIDEO, title: 标题, description: 简介 } } }
  - { id: o2, action: send_by_openid, to: { openids: [oA, oB] }, message: { text: "run {{ run.id }} of {{ account.appid }}, job {{ steps.t1.msg_id }}" } }
  - { id: d1, action: delete, of: t2, article_idx: 1 }
  - { id: d2, action: delete, msg_id: 9007199254740993 }
  - { id: d3, action: delete, url: "http://mp.weixin.qq.com/s/abc" }
  - { id: c1, action: check, of: o1 }
  - { id: c2, action: check, msg_id: 9007199254740993 }
"#;

fn case() -> Case {
    let people: String = (0..20_001).map(|number| format!("o{number:027}\n")).collect();
    Case::new()
        .file("plan.yaml", plan(STEPS))
        .file("hello.txt", "第一行\n{{ account.kind }} <b> & \"x\"\n")
        .file("people.txt", people)
}

/// The bodies of a dry run, in order.
fn shown(case: &Case) -> Vec<(String, String)> {
    let text = case.run(&["render", "plan.yaml", "--format", "http"]).exits(0).stdout;
    let mut lines = text.lines();
    let mut bodies = Vec::new();
    while let Some(line) = lines.next() {
        if let Some(path) = line.strip_prefix("POST ").and_then(|rest| rest.split('?').next()) {
            bodies.push((path.to_owned(), lines.nth(2).expect("a body").to_owned()));
        }
    }
    bodies
}

#[test]
fn a_run_sends_what_the_dry_run_shows() {
    let (case, server) = (case(), Fake::usual());
    let shown = shown(&case);
    let report = case.against(&server, &["--format", "json"]).exits(0).json();
    let sent: Vec<_> =
        server.got().into_iter().filter(|got| got.method == "POST" && !got.path.ends_with("token")).collect();
    assert_eq!(sent.len(), shown.len());
    let id_of = |step: &str, name: &str| {
        let steps = report["steps"].as_array().expect("a list");
        steps.iter().find(|entry| entry["id"] == step).expect("there")["outputs"][name].clone()
    };
    let ids = id_of("o1", "msg_ids");
    for ((path, body), got) in shown.iter().zip(&sent) {
        let body = body
            .replace("\"<tag VIP>\"", "134")
            .replace("\"<steps.t2.msg_id>\"", &id_of("t2", "msg_id").to_string())
            .replace("<steps.t1.msg_id>", &id_of("t1", "msg_id").to_string())
            .replace("<steps.o1.msg_ids[0]>", &ids[0].to_string())
            .replace("<steps.o1.msg_ids[1]>", &ids[1].to_string())
            .replace("<steps.o1.msg_ids[2]>", &ids[2].to_string())
            .replace("<run.id>", report["run_id"].as_str().expect("text"));
        assert_eq!((&got.path, &got.body), (path, &body));
        assert_eq!(got.content_type, "application/json; charset=utf-8");
        assert!(!got.body.contains("\\u"), "no escaped characters: {}", got.body);
        let body = got.json();
        if got.path.ends_with("/sendall") {
            assert!(body["filter"]["is_to_all"].is_boolean() && body.get("is_to_all").is_none());
            assert_eq!(body["filter"]["is_to_all"] == true, body["filter"].get("tag_id").is_none());
        }
        if got.path.ends_with("/mass/send") || got.path.ends_with("/sendall") {
            assert_eq!(body["clientmsgid"].as_str().map(str::len), Some(32));
        }
    }
    let to_all = sent.iter().filter(|got| got.json()["filter"]["is_to_all"] == true).count();
    assert_eq!(to_all, 1, "only the word `all` reaches everybody");
    let chunks: Vec<usize> = sent.iter().filter_map(|got| got.json()["touser"].as_array().map(Vec::len)).collect();
    assert_eq!(chunks, [10_000, 9_999, 2, 2]);
    server.delivered_once(14);
    assert!(server.got().iter().all(|got| got.connection == 1), "one kept connection");
    assert_eq!(server.tokens(), 1);
    assert!(report["totals"]["recipients"].as_u64() >= Some(20_003));
}

#[test]
fn a_dry_run_is_reproducible_and_needs_nothing() {
    in_each_language(|| {
        let case = case().no_env("WECHAT_SECRET");
        let first = case.run(&["render", "plan.yaml"]).exits(0).stdout;
        assert_eq!(first, case.run(&["render", "plan.yaml"]).exits(0).stdout);
        case.run(&["render", "plan.yaml", "--out", "out"]).exits(0).says("25 requests");
        case.write("out/999-old.1.json", "left over");
        let manifest: Value = serde_json::from_str(&case.read("out/manifest.json")).expect("JSON");
        case.run(&["render", "plan.yaml", "--out", "out"]).exits(0);
        assert_eq!(case.read("out/999-old.1.json"), "left over", "what no manifest lists is not touched");
        std::fs::remove_file(case.path("out/999-old.1.json")).expect("ours");
        assert_eq!(manifest["requests"][14]["file"], "015-o1.1.json");
        let request: Value = serde_json::from_str(&case.read("out/015-o1.1.json")).expect("JSON");
        assert_eq!(request["body"]["touser"].as_array().map(Vec::len), Some(10_000));
        let document: Value = serde_json::from_str(&first).expect("JSON");
        assert_eq!(document["digest"], manifest["digest"]);
        assert!(!case.path(".qunfa").exists(), "a dry run keeps no state");
    });
}

#[test]
fn the_digest_is_of_what_is_sent() {
    let digest = |text: &str| {
        let case = Case::new().file("plan.yaml", text);
        case.run(&["render", "plan.yaml"]).exits(0).json()["digest"].as_str().expect("text").to_owned()
    };
    let base = plan(&(send("a") + &send("b")));
    let same = [
        base.replace("steps:", "# a comment\nsteps:"),
        base.replace("name: test", "description: 说明\nname: test"),
        base.replace("{ tag_id: 2 }", "{tag_id:   2}"),
        base.replace("to: { tag_id: 2 }, message: { text: 你好 }", "message: { text: 你好 }, to: { tag_id: 2 }"),
        base.replace("message: { text: 你好 }", "message: { text: \"{{ 'x' and '你好' }}\" }"),
    ];
    for text in same {
        assert_eq!(digest(&text), digest(&base), "{text}");
    }
    let other = [
        base.replacen("你好", "你好！", 1),
        base.replacen("tag_id: 2", "tag_id: 3", 1),
        base.replace("name: test", "name: test2"),
        base.replace("name: test", "name: test\noccurrence: twice"),
        base.replace("wx0123456789abcdef", "wx0123456789abcdee"),
        base.replace("kind: service", "kind: subscription"),
        base.replace("id: a,", "id: c,"),
        base.replace("id: a,", "id: a, continue_on_error: true,"),
        base.replace("name: test", "name: test\nguards: { max_recipients: 5 }"),
        plan(&(send("b") + &send("a"))),
        plan(&send("a")),
    ];
    for text in other {
        assert_ne!(digest(&text), digest(&base), "{text}");
    }
}

/// The bodies that public SDKs and the documents agree on; see tests/golden/README.md.
#[test]
fn documented_bodies_are_rendered() {
    let text = std::fs::read_to_string(repository().join("tests/golden/requests.json")).expect("is there");
    let cases: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    let mut compared = 0;
    for golden in &cases {
        let (name, documented) = (golden["case"].as_str().expect("text"), &golden["documented"]);
        let Some(step) = step_for(golden["path"].as_str().expect("text"), documented) else {
            panic!("{name}: no plan says this")
        };
        let case = Case::new().file("plan.yaml", plan("").replace("steps:\n", &format!("steps: {}", json!([step]))));
        let mut body = case.run(&["render", "plan.yaml"]).exits(0).json()["requests"][0]["body"].clone();
        let members = body.as_object_mut().expect("an object");
        members.remove("clientmsgid");
        let mut wanted = documented.clone();
        if documented.get("clientmsgid").is_some() {
            wanted.as_object_mut().expect("an object").remove("clientmsgid");
        }
        if !name.starts_with("preview") && wanted.get("image").is_some() {
            // The newest documents ask for `images` in sends.
            let id = wanted["image"]["media_id"].clone();
            let wanted = wanted.as_object_mut().expect("an object");
            wanted.remove("image");
            wanted.insert("images".into(), json!({ "media_ids": [id] }));
        }
        if name.contains("get") {
            // A number in some documents, text in others; qunfa sends text.
            wanted["msg_id"] =
                wanted["msg_id"].as_str().map_or_else(|| json!(wanted["msg_id"].to_string()), |text| json!(text));
        }
        assert_eq!(body, wanted, "{name}");
        compared += 1;
    }
    assert!(compared >= 25, "{compared}");
}

/// The step that means a documented body.
fn step_for(path: &str, body: &Value) -> Option<Value> {
    let message = || {
        let kind = body["msgtype"].as_str()?;
        let Some(object) = body.get(kind) else { return Some(json!({ "image": body.get("images")? })) };
        Some(match kind {
            "text" => json!({ "text": object["content"] }),
            "image" => json!({ "image": object["media_id"] }),
            kind => json!({ kind: object }),
        })
    };
    let mut step = match path {
        "/cgi-bin/message/mass/sendall" => {
            let to = if body["filter"]["is_to_all"] == true {
                json!("all")
            } else {
                json!({ "tag_id": body["filter"]["tag_id"] })
            };
            json!({ "action": "send_by_tag", "to": to, "message": message()? })
        }
        "/cgi-bin/message/mass/send" => {
            json!({ "action": "send_by_openid", "to": { "openids": body["touser"] }, "message": message()? })
        }
        "/cgi-bin/message/mass/preview" => {
            let to = body
                .get("touser")
                .map_or_else(|| json!({ "wxname": body["towxname"] }), |openid| json!({ "openid": openid }));
            json!({ "action": "preview", "to": to, "message": message()? })
        }
        "/cgi-bin/message/mass/delete" => {
            let mut step = body.clone();
            step["action"] = "delete".into();
            step
        }
        "/cgi-bin/message/mass/get" => {
            let id =
                body["msg_id"].as_str().map_or_else(|| body["msg_id"].clone(), |text| json!(text.parse::<u64>().ok()));
            json!({ "action": "check", "msg_id": id })
        }
        "/cgi-bin/message/mass/speed/set" => json!({ "action": "set_speed", "speed": body["speed"] }),
        _ => return None,
    };
    if let Some(setting) = body.get("send_ignore_reprint") {
        step["send_ignore_reprint"] = (*setting == 1).into();
    }
    for flag in ["need_open_comment", "only_fans_can_comment"] {
        if let Some(set) = step.pointer_mut(&format!("/message/image/{flag}")) {
            *set = (*set == 1).into();
        }
    }
    step["id"] = "step".into();
    Some(step)
}

/// All that names a content: what a later version may not name differently, or a send begun by an earlier one looks changed.
const KEPT: &str = r##"
  - { id: banner, action: upload_material, type: image, file: cover.png }
  - { id: leaf, action: upload_image, file: leaf.png }
  - id: article
    action: create_draft
    articles: [{ content: "头采 ![叶](leaf.png)", title: 春茶, cover: "{{ steps.banner.media_id }}" }, { type: newspic, content: 图, title: 图, images: [cover.png] }]
  - { id: p4, action: preview, to: { wxname: tea-editor }, message: { mpnews: "{{ steps.article.media_id }}" } }
  - { id: p5, action: preview, to: { wxname: tea-editor }, message: { voice: VOICE } }
  - { id: p6, action: preview, to: { wxname: tea-editor }, message: { mpvideo: { media_id: VIDEO, title: 标题 } } }
  - { id: t20, action: send_by_tag, to: { tag_id: 2 }, message: { mpnews: "{{ steps.article.media_id }}" } }
  - { id: t21, action: send_by_tag, to: { tag: "#茶 \"新\"" }, message: { image: ["{{ steps.banner.media_id }}", PIC] } }
  - { id: t22, action: send_by_tag, to: all, message: { text: "{{ steps.leaf.url }} {{ run.time }} {{ steps.o1.msg_ids[1] }}" } }
  - id: city
    action: send_by_tag
    foreach: [{ n: 2, name: 北京 }, { n: 3, name: "7" }]
    key: "{{ row.name }}"
    to: { tag_id: "{{ row.n }}" }
    message: { text: "{{ row.name }}" }
  - { id: quoted, action: send_by_tag, to: { tag_id: 2 }, message: { text: "{{ steps.city['北京'].msg_id }} {{ steps.city['7'].msg_data_id }}" } }
  - { id: d4, action: delete, of: o1 }
  - { id: d5, action: delete, msg_id: "{{ steps.city['北京'].msg_id }}" }
  - { id: c3, action: check, of: city }
  - { id: c4, action: check, msg_id: "{{ steps.o1.msg_ids[2] }}" }
  - { id: listed, action: send_by_openid, to: { tag: VIP }, message: { voice: VOICE } }
"##;

#[test]
fn what_the_ledger_keeps_is_what_it_always_was() {
    use qunfa::ledger::{Ledger as _, Scope, sqlite::Sqlite};
    let case = case().file("plan.yaml", plan(&(STEPS.to_owned() + KEPT)));
    for name in ["cover.png", "leaf.png"] {
        case.write(name, std::fs::read(repository().join("tests/plans/files").join(name)).expect("is there"));
    }
    let server = Fake::new(|_, got| {
        let page = json!({ "count": 3, "data": { "openid": ["oA", "oB", "oC"] }, "next_openid": "" });
        let tags = json!({ "tags": [{ "id": 134, "name": "VIP" }, { "id": 5, "name": "#茶 \"新\"" }] });
        match got.path.rsplit_once("/tag").map(|(_, path)| path) {
            Some("/get") => Answer::Json(page),
            Some("s/get") => Answer::Json(tags),
            _ => Answer::Usual,
        }
    });
    let planned = case.run(&["render", "plan.yaml"]).exits(0).json();
    case.against(&server, &["--allow-partial"]).exits(0);
    let store = Sqlite::open(&case.path(".qunfa/state.db")).expect("opens");
    let scope = Scope {
        platform: qunfa::platform::Platform::Loopback,
        appid: "wx0123456789abcdef".into(),
        plan: "test".into(),
        occurrence: "once".into(),
    };
    let mut kept = format!("{}\n", planned["digest"]);
    for record in store.calls(&scope).expect("reads") {
        let frozen = record.frozen;
        let body = if frozen.payload.len() < 3000 { payload::shown(&frozen.payload) } else { "(long)".into() };
        kept += &format!(
            "{} {} {}\n  {}\n  {}\n  {}\n  {:?} {body}\n",
            frozen.id.name(),
            frozen.id.chunk,
            frozen.path,
            frozen.idempotency_key,
            frozen.digest,
            frozen.message_digest.as_deref().unwrap_or("no message"),
            frozen.recipients,
        );
    }
    insta::assert_snapshot!("kept", kept);
}

#[test]
fn no_type_of_message_is_sent_unseen() {
    in_each_language(|| {
        for kind in qunfa::plan::message::kinds().map(MessageKind::name) {
            let message = format!("{{ {kind}: WHAT_IS_SENT }}");
            let send = format!("  - {{ id: a, action: send_by_tag, to: {{ tag_id: 2 }}, message: {message} }}\n");
            let look = format!("  - {{ id: look, action: preview, to: {{ wxname: tea }}, message: {message} }}\n");
            let guarded = |steps: &str| plan(steps).replace("steps:", "guards: { require_preview: true }\nsteps:");
            let server = Fake::usual();
            let unseen = Case::new().file("plan.yaml", guarded(&send));
            unseen.against(&server, &[]).exits(9).says("the message of `a` was not previewed in this occurrence");
            assert!(server.sends().is_empty(), "{kind}");
            Case::new().file("plan.yaml", guarded(&(look + &send))).against(&server, &[]).exits(0);
            server.delivered_once(1);
        }
    });
}

#[test]
fn a_send_of_which_the_ledger_does_not_say_whom_it_reached_is_not_forgotten_by_the_forecast() {
    in_each_language(|| {
        let edition = |name: &str| {
            let steps = send("a").replace("{ tag_id: 2 }", "all");
            plan(&steps).replace("steps:", &format!("occurrence: {name}\nsteps:"))
        };
        let (case, server) = (Case::new().file("plan.yaml", edition("one")), Fake::usual());
        case.against(&server, &[]).exits(0);
        let change = "UPDATE calls SET payload = '{\"filter\":{}}'";
        let store = rusqlite::Connection::open(case.path(".qunfa/state.db")).expect("opens");
        store.execute_batch(change).expect("writes");
        case.write("plan.yaml", edition("two"));
        case.against(&server, &[]).exits(4).says("the state store is damaged").says("has no recipients");
        server.delivered_once(1);
    });
}

#[test]
fn a_list_that_cannot_be_read_is_not_an_empty_list() {
    in_each_language(|| {
        let text = plan(
            "  - { id: vip, action: send_by_openid, to: { openids: [oA, oB] }, message: { text: a }, on_audience_change: send_new }\n",
        );
        let (case, server) = (Case::new().file("plan.yaml", &text), Fake::usual());
        case.against(&server, &[]).exits(0);
        let store = rusqlite::Connection::open(case.path(".qunfa/state.db")).expect("opens");
        // What its hash says, and yet no list.
        let damaged = r#"{"touser":{},"msgtype":"text","text":{"content":"a"}}"#;
        let digest = payload::digest(damaged.as_bytes());
        let change = format!(
            "UPDATE calls SET payload = '{damaged}', digest = '{digest}'; UPDATE events SET body_digest = '{digest}' WHERE body_digest IS NOT NULL"
        );
        store.execute_batch(&change).expect("writes");
        case.write("plan.yaml", text.replace("[oA, oB]", "[oA, oB, oC, oD]"));
        case.against(&server, &[]).exits(4).says("call 1 of step `vip` has no recipients");
        case.run(&["audience", "plan.yaml", "vip", "--api-base", &server.base]).exits(4).says("step `vip`");
        server.delivered_once(1);
    });
}
