//! The tables of `docs/exactly-once.md` and `docs/zh/exactly-once.md`: every fault of the sandbox against the real program, twice, and what was
//! delivered. The pages show what this test measured; `UPDATE_DOCS=1 cargo test` writes it anew.

use std::{
    collections::BTreeMap,
    fs,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use qunfa::sandbox::{Config, DeliveryKind, Sandbox};
use serde_json::Value;

use crate::support::{Case, in_each_language, plan, repository, send};

const BEGIN: &str = "<!-- measured by tests/exactly_once.rs -->\n";
const END: &str = "<!-- end -->\n";

/// The faults, and how they are called in the tables, in English and in Chinese.
const FAULTS: &[(&str, &str, &str)] = &[
    ("drop", "connection closed, not performed", "连接断开，没有执行"),
    ("lost", "performed, reply lost", "已执行，回复丢失"),
    ("cut", "reply cut off, not performed", "回复中断，没有执行"),
    ("cut:done", "performed, reply cut off", "已执行，回复中断"),
    ("html", "HTTP 502 with HTML, not performed", "HTTP 502 返回 HTML，没有执行"),
    ("html:done", "performed, HTTP 502 with HTML", "已执行，HTTP 502 返回 HTML"),
    ("empty", "HTTP 200 with an empty body, not performed", "HTTP 200 但内容为空，没有执行"),
    ("empty:done", "performed, HTTP 200 with an empty body", "已执行，HTTP 200 但内容为空"),
    ("stall:done", "performed, answer timed out", "已执行，超时没有回复"),
    ("-1", "-1 (system busy), not performed", "-1（系统繁忙），没有执行"),
    ("-1:done", "performed, -1", "已执行，-1"),
    ("268488001", "268488001, not performed", "268488001，没有执行"),
    ("268488001:done", "performed, 268488001", "已执行，268488001"),
    ("45011", "45011 (too fast)", "45011（太频繁）"),
    ("42001", "42001 (token expired)", "42001（token 过期）"),
    ("45028", "45028 (quota used up)", "45028（次数用完）"),
    ("48001", "48001 (no permission)", "48001（没有权限）"),
    ("44004", "44004 (the plan is wrong)", "44004（计划有误）"),
    ("50000", "50000 (an unknown code), not performed", "50000（不认识的错误码），没有执行"),
    ("50000:done", "performed, 50000", "已执行，50000"),
    ("lost#1-3", "performed, every reply lost", "已执行，每次回复都丢失"),
    ("-1:done#1-3", "performed, every reply -1", "已执行，每次回复都是 -1"),
    ("html#1-3", "HTTP 502 with HTML every time, not performed", "每次都是 HTTP 502 返回 HTML，没有执行"),
];

/// A sandbox whose clock goes a good minute with every request, so that nothing is too fast.
fn sandbox(fault: &str) -> Sandbox {
    let seconds = AtomicI64::new(1_772_416_800);
    let config = Config {
        faults: vec![fault.parse().expect("a fault")],
        now: Arc::new(move || {
            jiff::Timestamp::from_second(seconds.fetch_add(61, Ordering::Relaxed)).expect("in range")
        }),
        ..Config::default()
    };
    Sandbox::start((Ipv4Addr::LOCALHOST, 0).into(), config).expect("a free port")
}

/// What a run did with the first send, in words.
fn told(report: &Value) -> String {
    let step = &report["steps"][0];
    let call = &step["calls"][0];
    let attempts = call["attempts"].as_u64().unwrap_or(0);
    let words = match attempts {
        0 => step["outcome"].as_str().unwrap_or_default().replace('_', " "),
        1 => format!("{}, one attempt", call["outcome"].as_str().unwrap_or_default()),
        _ => format!("{}, {attempts} attempts", call["outcome"].as_str().unwrap_or_default()),
    };
    format!("{} ({words})", report["exit_code"])
}

/// What `told` says, for the Chinese page.
fn in_chinese(told: &str) -> String {
    let words = [
        (" (", "（"),
        (")", "）"),
        (", one attempt", "，1 次尝试"),
        (", ", "，"),
        (" attempts", " 次尝试"),
        ("accepted", "已受理"),
        ("adopted", "沿用已有任务"),
        ("refused", "被拒绝"),
        ("unknown", "未知"),
        ("already done", "早已完成"),
    ];
    words.iter().fold(told.to_owned(), |text, (english, chinese)| text.replace(english, chinese))
}

#[test]
fn every_fault_delivers_once() {
    let mut table = String::from(
        "| fault of the first send | `--fault` | first run: exit code (the send) | second run | delivered |\n|---|---|---|---|---|\n",
    );
    let mut chinese = String::from(
        "| 第一次群发的故障 | `--fault` | 第一遍：退出码（该次群发） | 第二遍 | 送达 |\n|---|---|---|---|---|\n",
    );
    for (fault, words, words_zh) in FAULTS {
        let server = sandbox(fault);
        let case = Case::new().file("plan.yaml", plan(&(send("one") + &send("two"))));
        let base = server.base_url();
        let run = || case.run(&["run", "plan.yaml", "--yes", "--format", "json", "--api-base", &base]);
        let (first, second) = (run(), run());
        assert_eq!(second.code, 0, "{fault}: {}\n{}", second.stdout, second.stderr);
        let mut delivered: BTreeMap<String, u32> = BTreeMap::new();
        for delivery in server.deliveries().into_iter().filter(|delivery| delivery.kind == DeliveryKind::Mass) {
            *delivered.entry(delivery.clientmsgid.expect("every mass call has one")).or_default() += 1;
        }
        assert_eq!(delivered.into_values().collect::<Vec<_>>(), [1, 1], "{fault}");
        let (first, second) = (told(&first.json()), told(&second.json()));
        table.push_str(&format!("| {words} | `{fault}` | {first} | {second} | once |\n"));
        let (first, second) = (in_chinese(&first), in_chinese(&second));
        chinese.push_str(&format!("| {words_zh} | `{fault}` | {first} | {second} | 一次 |\n"));
    }
    for (page, table) in [("docs/exactly-once.md", table), ("docs/zh/exactly-once.md", chinese)] {
        let path = repository().join(page);
        let text = fs::read_to_string(&path).expect("the page is there");
        let (head, rest) = text.split_once(BEGIN).expect("the table begins");
        let (shown, tail) = rest.split_once(END).expect("the table ends");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::write(&path, format!("{head}{BEGIN}{table}{END}{tail}")).expect("writes the page");
        } else {
            assert_eq!(shown, table, "{page} shows something else; UPDATE_DOCS=1 writes it anew");
        }
    }
}

#[test]
fn a_rehearsal_can_have_faults() {
    in_each_language(|| {
        // Waits pass at once in a rehearsal, so they may be as long as they really are.
        let case = Case::new().file("plan.yaml", plan(&send("one")).replace("resend_after: 1ms", "resend_after: 60s"));
        let ran = case.run(&["run", "plan.yaml", "--sandbox", "--fault", "lost", "--format", "json"]).exits(0);
        assert_eq!(told(&ran.json()), "0 (adopted, 2 attempts)");
        ran.says("sent to 星标组");
        let ran = case.run(&["run", "plan.yaml", "--sandbox", "--fault", "-1#1-", "--fault", "40001@token"]).exits(5);
        ran.says("WeChat refused to issue an access token: 40001");
        case.run(&["run", "plan.yaml", "--yes", "--fault", "lost"])
            .exits(2)
            .says("--fault works only with the sandbox");
        case.run(&["run", "plan.yaml", "--sandbox", "--fault", "lots"])
            .exits(2)
            .says("`lots` is not a fault; write drop, lost");
        case.run(&["sandbox", "--fault", "drop@mess/send"]).exits(2).says("no API path ends with `mess/send`");
    });
}
