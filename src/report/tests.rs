//! One report with everything that can happen in it, drawn in every format.

use serde_json::json;

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::*;
use crate::{
    locale::{
        Language, Phrase, say,
        tests::{BOTH, speaking},
    },
    message::{MessageKind, MessageView},
    problem::Problem,
};

fn at(time: &str) -> Timestamp {
    format!("2026-03-01T{time}+08:00").parse().expect("a time")
}

/// A step with nothing in it.
pub(super) fn step(id: &str, key: Option<&str>, outcome: StepOutcome) -> StepReport {
    StepReport {
        id: id.to_owned(),
        key: key.map(str::to_owned),
        action: "send_by_openid".to_owned(),
        description: None,
        line: 1,
        audience: None,
        message: None,
        outcome,
        started_at: None,
        duration_ms: 0,
        outputs: BTreeMap::new(),
        calls: vec![],
        delivery: vec![],
        error: None,
    }
}

fn call(chunk: u32, path: &str, outcome: CallOutcome) -> CallReport {
    CallReport {
        chunk,
        path: path.to_owned(),
        clientmsgid: None,
        recipients: None,
        attempts: 1,
        outcome,
        errcode: Some(0),
        errmsg: Some("ok".to_owned()),
        rid: None,
        msg_id: None,
        msg_data_id: None,
    }
}

fn send(chunk: u32, recipients: u64, outcome: CallOutcome) -> CallReport {
    CallReport {
        clientmsgid: Some(format!("qf-6b1d0c52e9a84f7c8d3e2f{chunk:02}")),
        recipients: Some(recipients),
        ..call(chunk, "/cgi-bin/message/mass/send", outcome)
    }
}

fn text(content: &str) -> Option<MessageView> {
    Some(MessageView { kind: MessageKind::Text, content: content.to_owned() })
}

fn mpnews() -> Option<MessageView> {
    Some(MessageView { kind: MessageKind::Mpnews, content: "dFhKQm1lZGlhX2lkX29mX3RoZV9kcmFmdF9zcHJpbmc".to_owned() })
}

fn cities() -> [StepReport; 3] {
    let city = |key: &str, outcome| {
        let mut city = step("city", Some(key), outcome);
        city.line = 33;
        city
    };

    let mut beijing = city("北京", StepOutcome::Succeeded);
    beijing.audience = Some("12,000 openids".to_owned());
    beijing.message = text(
        "北京的茶友:明前龙井上新,198元 🍵👩‍🌾\n\n<script>alert(\"1|2\")</script> 'it''s' `code` *not bold*\n{{ not.a.template }} → 到店自提\n",
    );
    beijing.started_at = Some(at("09:00:02.500"));
    beijing.duration_ms = 61_800;
    beijing.calls = vec![
        CallReport {
            msg_id: Some(3_147_494_552),
            msg_data_id: Some(2_247_483_650),
            ..send(1, 10_000, CallOutcome::Accepted)
        },
        CallReport {
            attempts: 2,
            errcode: Some(45_065),
            errmsg: Some("clientmsgid exist".to_owned()),
            rid: Some("65e1a2b3-0c1d2e3f-4a5b6c7d".to_owned()),
            msg_id: Some(3_147_494_553),
            ..send(2, 2_000, CallOutcome::Adopted)
        },
    ];
    beijing.outputs.insert("msg_id".to_owned(), json!(3_147_494_552_u64));
    beijing.outputs.insert("msg_ids".to_owned(), json!([3_147_494_552_u64, 3_147_494_553_u64]));

    let mut shanghai = city("上海|<浦东>", StepOutcome::Unknown);
    shanghai.audience = Some("345 openids of audience/上海.csv".to_owned());
    shanghai.message = text("上海的茶友:明前龙井上新,198元");
    shanghai.started_at = Some(at("09:01:04.310"));
    shanghai.duration_ms = 90_000;
    shanghai.calls =
        vec![CallReport { attempts: 2, errcode: None, errmsg: None, ..send(1, 345, CallOutcome::Unknown) }];
    shanghai.error = Some(Problem {
        message: "no reply to the send within `30s`, twice: whether WeChat has it is not known".into(),
        help: vec![
            "look for the message in the Official Account console, under sent messages (已群发消息)".into(),
            "if it is there, run `qunfa settle campaigns/spring-tea.yaml city[上海] --sent MSG_ID`, else with `--not-sent`".into(),
        ],
        errcode: None,
    });

    let mut guangzhou = city("广州", StepOutcome::Failed);
    guangzhou.audience = Some("20,000 openids".to_owned());
    guangzhou.message = text("广州的茶友:明前龙井上新,198元");
    guangzhou.started_at = Some(at("09:02:34.400"));
    guangzhou.duration_ms = 61_020;
    guangzhou.calls = vec![
        CallReport { msg_id: Some(3_147_494_554), ..send(1, 10_000, CallOutcome::Accepted) },
        CallReport {
            errcode: Some(45_028),
            errmsg: Some("has no masssend quota hint: [x<y>] rid: 65e1a2b4-5f6a7b8c-9d0e1f2a".to_owned()),
            rid: Some("65e1a2b4-5f6a7b8c-9d0e1f2a".to_owned()),
            ..send(2, 10_000, CallOutcome::Refused)
        },
    ];
    guangzhou.outputs.insert("msg_id".to_owned(), json!(3_147_494_554_u64));
    guangzhou.error = Some(Problem {
        message: "WeChat refused the send: the account has no mass-send quota left (群发次数已用完)".into(),
        help: vec![
            "the quota of a subscription account renews at 00:00 Asia/Shanghai, that of a service account on the 1st"
                .into(),
            "run the plan again then: what was accepted is not sent again".into(),
        ],
        errcode: Some(45_028),
    });
    [beijing, shanghai, guangzhou]
}

/// Every outcome, Chinese, and texts that want to be markup.
pub(super) fn fixture() -> Report {
    let mut article = step("article", None, StepOutcome::Succeeded);
    article.action = "create_draft".to_owned();
    article.description = Some("春茶上新 & what goes with it".to_owned());
    article.line = 21;
    article.started_at = Some(at("09:00:00.120"));
    article.duration_ms = 2_340;
    article.calls = vec![
        call(1, "/cgi-bin/media/uploadimg", CallOutcome::Accepted),
        call(2, "/cgi-bin/draft/add", CallOutcome::Accepted),
    ];
    article.outputs.insert("media_id".to_owned(), json!("dFhKQm1lZGlhX2lkX29mX3RoZV9kcmFmdF9zcHJpbmc"));

    let mut proof = step("proof", None, StepOutcome::Succeeded);
    proof.action = "preview".to_owned();
    proof.line = 24;
    proof.audience = Some("wxname tea-editor".to_owned());
    proof.message = mpnews();
    proof.started_at = Some(at("09:00:02.470"));
    proof.duration_ms = 0;
    proof.calls =
        vec![CallReport { recipients: Some(1), ..call(1, "/cgi-bin/message/mass/preview", CallOutcome::Accepted) }];

    let mut greeting = step("greeting", None, StepOutcome::AlreadyDone);
    greeting.action = "send_by_tag".to_owned();
    greeting.line = 28;
    greeting.audience = Some("tag 2".to_owned());
    greeting.message = mpnews();
    greeting.outputs.insert("msg_id".to_owned(), json!(3_147_483_001_u64));

    let [beijing, shanghai, guangzhou] = cities();

    let mut recall = step("recall", None, StepOutcome::Skipped);
    recall.action = "delete".to_owned();
    recall.line = 41;

    let not_run = |id: &str, action: &str, line| {
        let mut step = step(id, None, StepOutcome::NotRun);
        step.action = action.to_owned();
        step.line = line;
        step.error = Some(Problem { message: "the run stopped at `city[广州]`".into(), help: vec![], errcode: None });
        step
    };
    let mut announce = not_run("announce", "send_by_tag", 46);
    announce.audience = Some("all followers".to_owned());
    announce.message = mpnews();

    let mut vip = step("vip", None, StepOutcome::AlreadyDone);
    vip.line = 51;
    vip.audience = Some("12 openids".to_owned());
    vip.message = text("老朋友先尝");

    Report {
        schema: REPORT_SCHEMA,
        run_id: "20260301T010000Z-7f3a".to_owned(),
        plan: PlanRef {
            name: "spring-tea".to_owned(),
            path: "campaigns/spring-tea.yaml".to_owned(),
            digest: "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".to_owned(),
        },
        account: AccountRef { appid: "wx0123456789abcdef".to_owned(), kind: "service".to_owned(), name: None },
        occurrence: "2026-03-01".to_owned(),
        platform: "sandbox".to_owned(),
        started_at: at("09:00:00"),
        finished_at: at("09:03:35.500"),
        outcome: RunOutcome::Unknown,
        exit_code: 7,
        token_fetches: 1,
        totals: Totals {
            steps: 9,
            succeeded: 3,
            failed: 1,
            skipped: 1,
            already_done: 2,
            unknown: 1,
            not_run: 1,
            calls: 8,
            recipients: 22_001,
        },
        steps: vec![article, proof, greeting, beijing, shanghai, guangzhou, recall, announce, vip],
        error: None,
        again: Some(Again::Later),
        again_reason: Some(Phrase::verbatim("a quota is used up")),
        readers: None,
    }
}

/// A plan without steps: nothing to do, and done.
pub(super) fn empty() -> Report {
    Report {
        outcome: RunOutcome::Succeeded,
        exit_code: 0,
        token_fetches: 0,
        totals: Totals::default(),
        steps: vec![],
        finished_at: at("09:00:00"),
        ..fixture()
    }
}

/// A run that a guard stopped before anything was sent.
pub(super) fn refused() -> Report {
    Report {
        outcome: RunOutcome::Refused,
        exit_code: 9,
        totals: Totals { steps: 1, not_run: 1, ..Totals::default() },
        platform: "wechat".to_owned(),
        steps: vec![step("vip", None, StepOutcome::NotRun)],
        error: Some(Problem {
            message: "`guards.send_window` is 09:00-21:00, and it is 21:30 in Asia/Shanghai".into(),
            help: vec!["run it tomorrow from 09:00, or widen the window".into()],
            errcode: None,
        }),
        ..empty()
    }
}

fn in_both(name: &str, shown: impl Fn() -> String) {
    for (language, suffix) in BOTH {
        insta::assert_snapshot!(format!("{name}{suffix}"), speaking(language, &shown));
    }
}

/// What a person sees of the text: styles are tested where they are made.
fn plain(report: &Report, format: Format) -> String {
    anstream::adapter::strip_str(&render(report, format)).to_string()
}

#[test]
fn every_outcome_in_every_format() {
    for format in Format::ALL {
        in_both(&format!("full_{format}"), || plain(&fixture(), format));
    }
}

#[test]
fn no_steps_in_every_format() {
    for format in Format::ALL {
        in_both(&format!("empty_{format}"), || plain(&empty(), format));
    }
}

#[test]
fn refused_for_people() {
    for format in [Format::Human, Format::Junit, Format::Markdown, Format::Html] {
        in_both(&format!("refused_{format}"), || plain(&refused(), format));
    }
}

/// The verdict on a run, whatever became of it, and on its messages.
#[test]
fn each_end_of_a_run_has_its_words() {
    let _heard = crate::locale::tests::heard("report-each_end_of_a_run_has_its_words");
    use RunOutcome::{Failed, Interrupted, Refused, Succeeded, Unknown};
    for (outcome, exit_code) in
        [(Succeeded, 0), (Failed, 5), (Failed, 6), (Unknown, 7), (Refused, 9), (Interrupted, 130)]
    {
        let report = Report { outcome, exit_code, ..fixture() };
        assert!(Format::ALL.iter().all(|format| !render(&report, *format).is_empty()));
    }
    let mut report = fixture();
    for outcome in [StepOutcome::Unknown, StepOutcome::Failed, StepOutcome::AlreadyDone] {
        report.steps.iter_mut().for_each(|step| step.outcome = outcome);
        assert!(render(&report, Format::Html).contains("<html"));
    }
}

#[test]
fn same_report_same_bytes_and_a_newline_at_the_end() {
    for format in Format::ALL {
        let text = render(&fixture(), format);
        assert_eq!(text, render(&fixture(), format));
        assert!(text.ends_with('\n'), "{format}");
    }
}

#[test]
fn json_reads_back() {
    for report in [fixture(), empty(), refused()] {
        let back: Report = serde_json::from_str(&render(&report, Format::Json)).expect("it is a report");
        assert_eq!(back, report);
    }
}

#[test]
fn a_stored_report_keeps_its_words_and_their_arguments() {
    let _heard = crate::locale::tests::heard("report-a_stored_report_keeps_its_words_and_their_arguments");
    let message = say!("the report of the run {id} cannot be read", id = "2026-1");
    let report = Report { error: Some(Problem::new(message)), ..refused() };
    let stored = speaking(Language::Zh, || render(&report, Format::Json));
    assert!(stored.contains("\"message\": \"运行 2026-1 的报告无法读取\""), "{stored}");
    let json: serde_json::Value = serde_json::from_str(&stored).expect("JSON");
    assert_eq!(json["error"]["arguments"], json!({ "id": "2026-1" }));

    let back: Report = serde_json::from_str(&stored).expect("it is a report");
    assert_eq!(speaking(Language::Zh, || render(&back, Format::Json)), stored);
    // Its labels are in the language of whoever reads it, its messages in that of the run.
    let read = speaking(Language::En, || plain(&back, Format::Human));
    assert!(read.contains("not run") && read.contains("运行 2026-1 的报告无法读取"), "{read}");

    // A report that was stored before problems had arguments.
    let mut old = json;
    old["error"].as_object_mut().expect("an object").remove("arguments");
    let old: Report = serde_json::from_value(old).expect("it is a report");
    for format in Format::ALL {
        assert!(render(&old, format).contains("运行 2026-1 的报告无法读取"), "{format}");
    }
}

#[test]
fn formats_are_known_by_name() {
    for format in Format::ALL {
        assert_eq!(format.to_string().parse(), Ok(format));
    }
    let error = "xml".parse::<Format>().expect_err("there is no such format");
    assert_eq!(error.to_string(), "unknown report format `xml`; use human, json, junit, markdown, html");
}
