//! `qunfa stats`: who has read what was sent. Nothing that was kept is ever lost, whatever WeChat answers.

use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use qunfa::sandbox::{Config, Sandbox, Tag};
use serde_json::{Value, json};

use crate::support::{Answer, Case, Fake, Got, Ran, code, in_each_language, plan, repository, told};

const ARTICLE: &str =
    "  - { id: news, action: send_by_tag, to: { tag_id: 2 }, message: { mpnews: 2zSgzSrrgeZEdUYvDe7EJeCHTPjqiq5z } }\n";
const ARTICLES: &str = "/datacube/getarticletotaldetail";
const FOLLOWERS: &str = "/datacube/getusersummary";
/// The `msg_data_id` of the first send to a fake.
const DATA_ID: u64 = 3_353_711_378;
const SENT: &str = "2026-03-01T10:00:00+08:00";

type Script = Arc<Mutex<Vec<Answer>>>;

/// A WeChat that answers questions about articles as listed, and those about followers as it should.
fn wechat(answers: Vec<Answer>) -> (Fake, Script) {
    let script: Script = Arc::new(Mutex::new(answers));
    let answers = Arc::clone(&script);
    let server = Fake::new(move |_, got: &Got| match got.path.as_str() {
        ARTICLES => {
            let mut answers = answers.lock().expect("no panic while locked");
            if answers.is_empty() { rows(&[]) } else { answers.remove(0) }
        }
        FOLLOWERS => Answer::Json(json!({ "list": [
            { "ref_date": got.json()["begin_date"], "user_source": 0, "new_user": 12, "cancel_user": 3 },
            { "ref_date": got.json()["begin_date"], "user_source": 30, "new_user": "1", "cancel_user": 0 },
        ] })),
        _ => Answer::Usual,
    });
    (server, script)
}

fn rows(rows: &[Value]) -> Answer {
    Answer::Json(json!({ "list": rows, "is_delay": false }))
}

/// A row as documented, with readers for each day.
fn row(msgid: &str, readers: &[u64]) -> Value {
    let day = |(past, readers): (usize, &u64)| {
        json!({
            "stat_date": format!("2026-03-{:02}", past + 1), "read_user": readers,
            "read_user_source": [
                { "user_count": readers, "scene_desc": "全部" },
                { "user_count": readers - readers / 4, "scene_desc": "公众号消息" },
                { "user_count": readers / 4, "scene_desc": "朋友圈" },
            ],
            "share_user": readers / 10, "zaikan_user": 2, "like_user": 3, "comment_count": 1, "collection_user": 4,
            "praise_money": 500, "read_subscribe_user": 6, "read_delivery_rate": 0.125, "read_finish_rate": 0.51,
            "read_avg_activetime": 42.5, "read_jump_position": [{ "position": 1, "rate": 0.25 }],
        })
    };
    json!({
        "ref_date": "2026-03-01", "msgid": msgid, "publish_type": 0, "title": "春茶上新", "content_url": "http://mp.weixin.qq.com/s/x",
        "detail_list": readers.iter().enumerate().map(day).collect::<Vec<_>>(),
    })
}

fn picture() -> Vec<u8> {
    std::fs::read(repository().join("tests/plans/files/cover.png")).expect("is there")
}

fn sent(server: &Fake) -> Case {
    let case = Case::new().file("plan.yaml", plan(ARTICLE));
    case.against(server, &["--now", SENT]).exits(0);
    case
}

fn stats(case: &Case, server: &Fake, now: &str, more: &[&str]) -> Ran {
    let mut args = vec!["stats", "plan.yaml", "--api-base", &server.base, "--now", now];
    args.extend(more);
    case.run(&args)
}

const LATER: &str = "2026-03-03T09:00:00+08:00";

fn msgid(index: u64) -> String {
    format!("{DATA_ID}_{index}")
}

fn asked(server: &Fake, path: &str) -> Vec<Value> {
    server.calls(path).iter().map(Got::json).collect()
}

/// What is kept, as JSON.
fn kept(case: &Case, server: &Fake) -> Value {
    stats(case, server, LATER, &["--offline", "--format", "json"]).exits(0).json()["readers"].clone()
}

#[test]
fn readers_are_shown_by_article_and_day() {
    in_each_language(|| {
        let (server, _) = wechat(vec![rows(&[row(&msgid(1), &[800, 1234]), row("99_1", &[1]), row(&msgid(2), &[70])])]);
        let case = sent(&server);
        stats(&case, &server, LATER, &[]).exits(0).prints("stats-shown");
        let day = json!({ "begin_date": "2026-03-01", "end_date": "2026-03-01" });
        assert_eq!((asked(&server, ARTICLES), asked(&server, FOLLOWERS)), (vec![day.clone()], vec![day]));
        let calls = server.got().len();
        let ran = stats(&case, &server, LATER, &["--offline", "--format", "json"]).exits(0);
        let document = ran.json();
        let validator: Value = serde_json::from_str(include_str!("../schemas/stats.schema.json")).expect("JSON");
        let validator = jsonschema::validator_for(&validator).expect("a schema");
        let errors: Vec<String> = validator.iter_errors(&document).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
        let first = &document["readers"]["articles"][0];
        assert_eq!((&first["msgid"], &first["matched_by"]), (&json!(msgid(1)), &json!("id")));
        assert_eq!(first["days"][1]["scenes"], json!({ "公众号消息": 926, "朋友圈": 308 }));
        assert_eq!(document["readers"]["followers"], json!([{ "date": "2026-03-01", "new": 13, "lost": 3 }]));
        stats(&case, &server, LATER, &["--offline", "--format", "csv"]).exits(0).prints("stats-csv");
        assert_eq!(server.got().len(), calls, "nobody was asked");
        for (format, name) in [("human", "stats-report"), ("markdown", "stats-report-markdown")] {
            let ran = case.run(&["report", "plan.yaml", "--api-base", &server.base, "--format", format]).exits(0);
            told(&ran.stdout, if format == "human" { "opened from" } else { "### Readers" });
            assert!(ran.stdout.contains("1,234"), "{name}");
        }
        let html = case.run(&["report", "plan.yaml", "--api-base", &server.base, "--format", "html"]).exits(0).stdout;
        assert!(html.contains("<svg viewBox=\"0 0 600 150\" role=\"img\"") && html.contains("2026-03-02: 1,234"));
        let section = html.split("<h2 id=\"readers\">").nth(1).and_then(|rest| rest.split("</section>").next());
        told(section.expect("it is there"), "Readers by day");
        assert!(!html.contains("<script") && !html.contains("href=\"http"));
        let report = case.run(&["report", "plan.yaml", "--api-base", &server.base, "--format", "json"]).exits(0).json();
        assert_eq!(report["readers"], document["readers"]);
    });
}

#[test]
fn days_that_are_not_to_be_had_are_said() {
    in_each_language(|| {
        let (server, answers) = wechat(vec![]);
        let case = sent(&server);
        let asked = || server.calls(ARTICLES).len();
        // Before eight nobody is asked.
        stats(&case, &server, "2026-03-02T07:59:00+08:00", &[]).exits(0).prints("stats-early");
        assert_eq!((asked(), server.calls(FOLLOWERS).len()), (0, 0));
        // WeChat may be late all the same.
        answers.lock().expect("free").push(code(61503));
        let ran = stats(&case, &server, LATER, &["--format", "json"]).exits(0).json();
        assert_eq!(
            (&ran["not_ready"], &ran["asked"], &ran["exit_code"]),
            (&json!(["2026-03-01"]), &json!([]), &json!(0))
        );
        answers.lock().expect("free").push(Answer::Json(json!({ "list": [], "is_delay": true })));
        stats(&case, &server, LATER, &[]).exits(0).prints("stats-delayed");
        // Later than a month it is final.
        let before = asked();
        stats(&case, &server, "2026-04-01T00:00:00+08:00", &[]).exits(0).prints("stats-final");
        stats(&case, &server, LATER, &["--since", "2026-03-02"]).exits(0).says("no articles were sent");
        assert_eq!(asked(), before);
        stats(&case, &server, LATER, &["--since", "03/02"]).exits(2).says("write a date, such as 2026-03-01");
        // Older than the statistics.
        let old = Case::new().file("plan.yaml", plan(ARTICLE));
        let (other, _) = wechat(vec![]);
        old.against(&other, &["--now", "2025-10-31T10:00:00+08:00"]).exits(0);
        stats(&old, &other, "2025-11-02T10:00:00+08:00", &[]).exits(0).says("they begin on 2025-11-01");
        let none = Case::new().file("plan.yaml", plan(ARTICLE));
        stats(&none, &server, LATER, &[]).exits(0).says("no articles were sent");
        assert_eq!((asked(), other.calls(ARTICLES).len()), (before, 0));
    });
}

/// Whatever is answered: the exit code says it, and nothing of what was kept goes.
#[test]
fn no_answer_takes_away_what_is_kept() {
    in_each_language(|| {
        let (server, answers) = wechat(vec![rows(&[row(&msgid(1), &[800, 1234])])]);
        let case = sent(&server);
        stats(&case, &server, LATER, &["--format", "json"]).exits(0);
        let before = kept(&case, &server);
        let with = |name: &str, value: Value| {
            let mut row = row(&msgid(1), &[800]);
            if row.get(name).is_some() {
                row[name] = value;
            } else {
                row["detail_list"][0][name] = value;
            }
            rows(&[row])
        };
        let raw = |body: &str| Answer::Raw(200, "application/json", body.to_owned());
        for (exits, answer) in [
            (5, Answer::Close),
            (5, Answer::Cut),
            (5, code(-1)),
            (5, code(61501)),
            (5, code(48001)),
            (5, raw("<html>")),
            (5, raw("")),
            (5, raw("[]")),
            (5, raw(r#"{"list":{}}"#)),
            (5, raw(r#"{"list":null}"#)),
            (5, raw(&format!(r#"{{"list":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000)))),
            (5, Answer::Json(json!({ "list": vec![json!({}); 2001] }))),
            (5, rows(&[json!(1)])),
            (5, with("msgid", json!("12003"))),
            (5, with("msgid", json!("99999999999999999999_1"))),
            (5, with("msgid", json!(12003))),
            (5, with("ref_date", json!("1 March"))),
            (5, with("title", json!(["x"]))),
            (5, with("detail_list", json!("x"))),
            (5, with("read_user", json!(-5))),
            (5, with("read_user", json!(1.5))),
            (5, with("read_user", json!(u64::MAX))),
            (5, with("read_user", json!("many"))),
            (5, with("read_finish_rate", json!(-0.1))),
            (5, with("read_user_source", json!({ "scene_desc": "全部" }))),
            (0, code(61503)),
            (0, rows(&[])),
            (0, with("detail_list", json!([]))),
        ] {
            answers.lock().expect("free").push(answer.clone());
            let ran = stats(&case, &server, LATER, &[]);
            assert_eq!(ran.code, exits, "{answer:?}\n{}{}", ran.stdout, ran.stderr);
            told(&ran.stderr, "");
            answers.lock().expect("free").clear();
            let mut now = kept(&case, &server);
            now["articles"][0]["received_at"] = before["articles"][0]["received_at"].clone();
            assert_eq!(now, before, "{answer:?}");
        }
        // Numbers as texts, and a row that comes twice.
        let texts = with("read_user", json!("801"));
        let Answer::Json(texts) = texts else { unreachable!("it is JSON") };
        answers.lock().expect("free").push(rows(&[texts["list"][0].clone(), texts["list"][0].clone()]));
        stats(&case, &server, LATER, &[]).exits(0);
        let now = kept(&case, &server);
        let readers: Vec<&Value> =
            now["articles"][0]["days"].as_array().expect("a list").iter().map(|day| &day["readers"]).collect();
        assert_eq!((now["articles"].as_array().map(Vec::len), readers), (Some(1), vec![&json!(801), &json!(1234)]));
    });
}

/// A send of which WeChat gave no `msg_data_id` (45065) is recognised by its day and title.
#[test]
fn a_send_without_an_id_is_recognised_by_its_title() {
    in_each_language(|| {
        let answers = Arc::new(Mutex::new(vec![Answer::DoneThen(Box::new(Answer::Close))]));
        let server = Fake::new(move |_, got: &Got| match got.path.as_str() {
            path if path.ends_with("/sendall") => answers.lock().expect("free").pop().unwrap_or(Answer::Usual),
            ARTICLES => rows(&[row("12003_1", &[10]), row("12004_2", &[20])]),
            FOLLOWERS => Answer::Json(json!({ "list": [] })),
            _ => Answer::Usual,
        });
        let steps = "  - id: draft\n    action: create_draft\n    articles: [{ file: a.md, title: 春茶上新, cover: cover.png }]\n  - { id: news, action: send_by_tag, to: { tag_id: 2 }, message: { mpnews: \"{{ steps.draft.media_id }}\" } }\n";
        let case =
            Case::new().file("plan.yaml", plan(steps)).file("a.md", "# 春茶\n\n上新\n").file("cover.png", picture());
        case.against(&server, &["--now", SENT]).exits(0);
        let ran = stats(&case, &server, LATER, &["--format", "json"]).exits(0).json();
        let article = &ran["readers"]["articles"][0];
        assert_eq!((&article["msgid"], &article["matched_by"]), (&json!("12003_1"), &json!("title")), "{ran}");
        stats(&case, &server, LATER, &["--offline"]).exits(0).says("recognised by date and title");
    });
}

/// A run that holds the account waits for nothing, and neither does who looks at readers.
#[test]
fn a_run_in_progress_is_not_disturbed() {
    let stalls = Arc::new(Mutex::new(false));
    let flag = Arc::clone(&stalls);
    let server = Fake::new(move |_, got: &Got| match got.path.as_str() {
        ARTICLES => rows(&[row(&msgid(1), &[800])]),
        FOLLOWERS => Answer::Json(json!({ "list": [] })),
        path if path.ends_with("/sendall") && *flag.lock().expect("free") => Answer::Stall,
        _ => Answer::Usual,
    });
    let case = sent(&server);
    *stalls.lock().expect("free") = true;
    let before = server.got().len();
    let more =
        plan(ARTICLE).replace("name: test", "name: other").replace("id: news", "id: more").replace("1500ms", "60s");
    case.write("other.yaml", more);
    let mut run = case.spawn(&["run", "other.yaml", "--yes", "--api-base", &server.base, "--now", LATER]);
    while server.sends().len() < 2 {
        std::thread::yield_now();
        assert!(run.try_wait().expect("a process").is_none(), "the run is over");
    }
    assert!(server.got().len() > before);
    let ran = stats(&case, &server, LATER, &["--format", "json"]).exits(0).json();
    assert_eq!(ran["readers"]["articles"][0]["days"][0]["readers"], 800);
    assert!(run.try_wait().expect("a process").is_none(), "the run goes on");
    run.kill().expect("ours");
    run.wait().expect("ends");
}

/// A rehearsal from the send to its readers.
#[test]
fn a_rehearsal_has_readers() {
    let now: Arc<Mutex<Timestamp>> = Arc::new(Mutex::new(SENT.parse().expect("a time")));
    let clock = Arc::clone(&now);
    let config = Config {
        now: Arc::new(move || *clock.lock().expect("free")),
        tags: vec![Tag { id: 100, name: "会员".into(), count: 300 }],
        media: vec![("mpnews".into(), "2zSgzSrrgeZEdUYvDe7EJeCHTPjqiq5z".into())],
        ..Config::default()
    };
    let sandbox = Sandbox::start((std::net::Ipv4Addr::LOCALHOST, 0).into(), config).expect("a port");
    let base = sandbox.base_url();
    let case = Case::new().file("plan.yaml", plan(ARTICLE).replace("tag_id: 2", "tag_id: 100"));
    case.run(&["run", "plan.yaml", "--yes", "--api-base", &base, "--now", SENT]).exits(0);
    let later = "2026-03-06T09:00:00+08:00";
    *now.lock().expect("free") = later.parse().expect("a time");
    let ran =
        case.run(&["stats", "plan.yaml", "--api-base", &base, "--now", later, "--format", "json"]).exits(0).json();
    let days = ran["readers"]["articles"][0]["days"].as_array().cloned().unwrap_or_default();
    assert_eq!((days.len(), &ran["readers"]["followers"][0]["date"]), (5, &json!("2026-03-01")), "{ran}");
    assert!(days[0]["readers"].as_u64() < days[4]["readers"].as_u64(), "{ran}");
}
