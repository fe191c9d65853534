//! What WeChat pushes after a send: `listen` and `event` with the real program, over real HTTP, and what `check` and reports make of
//! it.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Shutdown, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Once,
};

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use serde_json::{Value, json};

use crate::{
    postgres::Schema,
    support::{Answer, Case, Fake, QUICK, Ran, in_each_language, send, spoken, told},
};

const APPID: &str = "wx0123456789abcdef";
const OTHER: &str = "wxfedcba9876543210";
const TOKEN: &str = "c4llback-t0ken";
const KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";
const OTHER_KEY: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdefg";
/// The first job of a fake WeChat.
const JOB: u64 = 3_147_483_648;

fn account(appid: &str, callback: &str) -> String {
    format!("kind: service\nappid: {appid}\nsecret: {{ env: WECHAT_SECRET }}\ncallback: {callback}\n")
}

const PLAIN: &str = "{ token: { env: CALLBACK_TOKEN } }";
const SAFE: &str = "{ token: { env: CALLBACK_TOKEN }, aes_key: { env: AES_KEY } }";

fn plan(steps: &str) -> String {
    format!("version: 1\nname: test\naccount: account.yaml\n{QUICK}steps:\n{steps}")
}

/// A send to a tag, and a check of it.
fn checked() -> String {
    let check = "  - { id: check, action: check, of: one, every: 1ms, timeout: 50ms }\n";
    plan(&format!("{}{check}", send("one")))
}

fn case(callback: &str, steps: &str) -> Case {
    let case = Case::new().env("CALLBACK_TOKEN", TOKEN).env("AES_KEY", KEY);
    case.file("account.yaml", account(APPID, callback)).file("plan.yaml", steps)
}

/// The event of a mass send.
fn event(job: u64, status: &str, sent: u64) -> String {
    format!(
        "<xml><ToUserName><![CDATA[gh_0]]></ToUserName><FromUserName><![CDATA[oR5G]]></FromUserName>\
         <CreateTime>1481013459</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[MASSSENDJOBFINISH]]></Event>\
         <MsgID>{job}</MsgID><Status><![CDATA[{status}]]></Status><TotalCount>45</TotalCount><FilterCount>{sent}</FilterCount>\
         <SentCount>{sent}</SentCount><ErrorCount>0</ErrorCount></xml>"
    )
}

/// The same with what is said of its articles.
fn articles(job: u64, status: &str) -> String {
    let more = "<CopyrightCheckResult><Count>2</Count><ResultList>\
        <item><ArticleIdx>1</ArticleIdx><UserDeclareState>1</UserDeclareState><AuditState>11</AuditState></item>\
        <item><ArticleIdx>2</ArticleIdx><UserDeclareState>0</UserDeclareState><AuditState>2</AuditState>\
        <OriginalArticleUrl><![CDATA[https://mp.weixin.qq.com/s/original]]></OriginalArticleUrl><CanReprint>1</CanReprint>\
        <NeedReplaceContent>1</NeedReplaceContent><NeedShowReprintSource>1</NeedShowReprintSource></item></ResultList>\
        <CheckState>2</CheckState></CopyrightCheckResult><ArticleUrlResult><Count>2</Count><ResultList>\
        <item><ArticleIdx>1</ArticleIdx><ArticleUrl><![CDATA[http://mp.weixin.qq.com/s/one]]></ArticleUrl></item>\
        <item><ArticleIdx>2</ArticleIdx><ArticleUrl><![CDATA[http://mp.weixin.qq.com/s/two]]></ArticleUrl></item>\
        </ResultList></ArticleUrlResult></xml>";
    event(job, status, 44).replace("</xml>", more)
}

fn signature(token: &str) -> String {
    let mut parts = [token, "1481013459", "1320562132"];
    parts.sort_unstable();
    let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, parts.concat().as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn query(token: &str) -> String {
    format!("signature={}&timestamp=1481013459&nonce=1320562132", signature(token))
}

/// `qunfa listen` while it runs.
struct Listener {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
    /// Where it listens: `127.0.0.1:PORT`, and the path.
    address: String,
    path: String,
}

impl Listener {
    fn start(case: &Case, more: &[&str]) -> Self {
        let mut args = vec!["listen", "--addr", "127.0.0.1:0", "--format", "json"];
        args.extend(more);
        let mut child = case.spawn(&args);
        let mut lines = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        lines.read_line(&mut line).expect("readable");
        let Ok(told) = serde_json::from_str::<Value>(&line) else {
            let mut why = String::new();
            child.stderr.take().expect("piped").read_to_string(&mut why).expect("readable");
            panic!("it does not listen: {why}");
        };
        let url = told["url"].as_str().expect("a URL").strip_prefix("http://").expect("HTTP").to_owned();
        let (address, path) = url.split_at(url.find('/').expect("a path"));
        Self { address: address.to_owned(), path: path.to_owned(), child, lines }
    }

    fn of_plan(case: &Case, base: &str, more: &[&str]) -> Self {
        Self::start(case, &[&["plan.yaml", "--api-base", base], more].concat())
    }

    /// The next line of its output.
    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("readable");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: `{line}`"))
    }

    /// Status and body of the answer to a request.
    fn ask(&self, request: &str) -> (u16, String) {
        ask(&self.address, request.as_bytes())
    }

    fn push(&self, query: &str, body: &str) -> (u16, String) {
        self.ask(&request("POST", &format!("{}?{query}", self.path), body))
    }

    /// Asks it to stop, and waits until it has.
    fn stop(mut self) -> Ran {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs").success());
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).expect("readable");
        let mut ran = Case::finish(self.child);
        ran.stdout = rest;
        ran
    }
}

fn request(method: &str, target: &str, body: &str) -> String {
    let length = body.len();
    format!("{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: {length}\r\n\r\n{body}")
}

fn ask(address: &str, request: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    // What it refuses it need not read.
    let _written = stream.write_all(request);
    let mut answer = Vec::new();
    let _read = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

#[test]
fn what_is_pushed_is_in_reports_and_status() {
    in_each_language(|| {
        let (case, fake) = (case(PLAIN, &plan(&send("one"))), Fake::usual());
        case.against(&fake, &[]).exits(0);
        let mut listener = Listener::of_plan(&case, &fake.base, &[]);
        assert_eq!(listener.path, "/");
        for new in [true, false] {
            assert_eq!(listener.push(&query(TOKEN), &articles(JOB, "send success")), (200, "success".to_owned()));
            let line = listener.line();
            assert_eq!((&line["event"], &line["new"]), (&json!("received"), &json!(new)), "{line}");
            assert_eq!(line["delivery"]["sent"], 44);
        }
        listener.stop().exits(0);
        case.run(&["report", "plan.yaml", "--api-base", &fake.base]).exits(0).prints("events-report-human");
        let markdown =
            case.run(&["report", "plan.yaml", "--api-base", &fake.base, "--format", "markdown"]).exits(0).stdout;
        let section = markdown.split("### ").nth(1).and_then(|rest| rest.split("<details>").next()).expect("a section");
        told(
            section,
            "Delivery\n\n- ✓ `one` job 3147483648: sent; total 45, filtered out 1, sent 44, failed 0\n  - check",
        );
        let html = case.run(&["report", "plan.yaml", "--api-base", &fake.base, "--format", "html"]).exits(0).stdout;
        assert!(html.contains("two") && html.contains("mp.weixin.qq.com"));
        let junit = case.run(&["report", "plan.yaml", "--api-base", &fake.base, "--format", "junit"]).exits(0).stdout;
        assert!(junit.contains("http://mp.weixin.qq.com/s/two"));
        case.run(&["status", "plan.yaml", "--api-base", &fake.base]).exits(0).says("article 1: original content");
        let status = case.run(&["status", "plan.yaml", "--api-base", &fake.base, "--format", "json"]).json();
        let delivery = &status["steps"][0]["delivery"][0];
        assert_eq!((&delivery["total"], &delivery["filtered"], &delivery["sent"]), (&json!(45), &json!(1), &json!(44)));
        let report = case.run(&["report", "plan.yaml", "--api-base", &fake.base, "--format", "json"]).json();
        assert_eq!(report["steps"][0]["delivery"][0]["articles"][1]["url"], "http://mp.weixin.qq.com/s/two");
        // A later run knows it too.
        let again = case.against(&fake, &["--format", "json"]).exits(0).json();
        assert_eq!(again["steps"][0]["delivery"][0]["status"], "send success");
    });
}

#[test]
fn a_check_ends_with_the_event_and_asks_nobody() {
    in_each_language(|| {
        let sending = || {
            Fake::new(|_, got| match got.path.ends_with("/mass/get") {
                true => Answer::Json(json!({ "msg_id": JOB, "msg_status": "SENDING" })),
                false => Answer::Usual,
            })
        };
        for (name, body, code) in [
            ("sent", articles(JOB, "send success"), 0),
            ("refused", event(JOB, "err(20008)", 0), 5),
            ("unknown", event(JOB, "err(20431)", 0), 5),
            ("failed", event(JOB, "send fail", 0), 5),
            ("nobody", event(JOB, "send success", 0), 5),
        ] {
            let (case, fake) = (case(PLAIN, &checked()), sending());
            case.against(&fake, &["--only", "one"]).exits(0);
            case.with_stdin(&["event", "--plan", "plan.yaml", "--api-base", &fake.base], &body).exits(0);
            let before = fake.got().len();
            case.against(&fake, &[]).exits(code).prints(&format!("events-check-{name}"));
            assert!(fake.got()[before..].iter().all(|got| !got.path.ends_with("/mass/get")), "{name}");
            if code == 0 {
                let report = case.run(&["report", "plan.yaml", "--api-base", &fake.base, "--format", "json"]).json();
                let outputs = &report["steps"][1]["outputs"];
                assert_eq!(
                    (&outputs["status"], &outputs["url"]),
                    (&json!("SEND_SUCCESS"), &json!("http://mp.weixin.qq.com/s/one"))
                );
                assert_eq!(outputs["urls"], json!(["http://mp.weixin.qq.com/s/one", "http://mp.weixin.qq.com/s/two"]));
            }
        }
        // Nothing came: WeChat is asked, as ever.
        let (case, fake) = (case(PLAIN, &checked()), sending());
        case.against(&fake, &[]).exits(6);
        assert!(!fake.calls("/mass/get").is_empty());
    });
}

#[test]
fn requests_are_answered_by_the_rules() {
    in_each_language(|| {
        let case = case(PLAIN, &plan(&send("one")));
        let mut listener = Listener::start(&case, &["--account", "account.yaml", "--path", "/wechat/callback"]);
        let path = "/wechat/callback";
        let echo = |token: &str| listener.ask(&request("GET", &format!("{path}?{}&echostr=12345", query(token)), ""));
        assert_eq!(echo(TOKEN), (200, "12345".to_owned()));
        assert_eq!(echo("wrong"), (403, "refused\n".to_owned()));
        assert_eq!(listener.ask(&request("GET", path, "")).0, 403);
        assert_eq!(listener.ask(&request("GET", "/", "")).0, 404);
        assert_eq!(listener.ask(&request("PUT", path, "")).0, 405);
        assert_eq!(
            listener.ask(&request("GET", &format!("{path}?{}", query(TOKEN)), "")).0,
            403,
            "nothing to say back"
        );
        let body = event(JOB, "send success", 9);
        for query in ["", "signature=&timestamp=&nonce=", &query("wrong"), "echostr=x"] {
            assert_eq!(listener.push(query, &body), (403, "refused\n".to_owned()));
        }
        let signed = query(TOKEN);
        // Whatever is wrong with a body, the answer is the same.
        let deep = format!("{}{}", "<a>".repeat(1000), "</a>".repeat(1000));
        for body in ["", "x", "{", "<xml>", &deep, "<!DOCTYPE x [<!ENTITY a \"b\">]><xml><MsgType>&a;</MsgType></xml>"]
        {
            assert_eq!(listener.push(&signed, body), (403, "refused\n".to_owned()));
        }
        let huge = "x".repeat(10 << 20);
        assert_eq!(listener.push(&signed, &huge).0, 413);
        let chunked = format!(
            "POST {path}?{signed} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n50000\r\n{}\r\n0\r\n\r\n",
            "x".repeat(0x50000)
        );
        assert_eq!(listener.ask(&chunked).0, 413);
        let heads = format!("POST {path} HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(200));
        assert_eq!(listener.ask(&heads).0, 431);
        let long = format!("POST {path}?{} HTTP/1.1\r\n\r\n", "x".repeat(100_000));
        assert!(matches!(listener.ask(&long).0, 0 | 414 | 431));
        // Genuine, and nothing that is kept.
        let text = "<xml><MsgType>text</MsgType><Content>hello</Content><FromUserName>oPerson</FromUserName></xml>";
        assert_eq!(listener.push(&signed, text), (200, "success".to_owned()));
        assert_eq!(listener.push(&signed, "<xml><a>1</a></xml>"), (200, "success".to_owned()));
        let lost = "<xml><MsgType>event</MsgType><Event>MASSSENDJOBFINISH</Event></xml>";
        assert_eq!(listener.push(&signed, lost), (200, "success".to_owned()));
        // An answer that is not waited for.
        let mut gone = TcpStream::connect(&listener.address).expect("it listens");
        gone.write_all(b"POST /wechat/callback HTTP/1.1\r\nContent-Length: 9\r\n\r\nx").expect("written");
        gone.shutdown(Shutdown::Both).expect("closed");
        assert_eq!(listener.push(&signed, &body), (200, "success".to_owned()));
        let kinds: Vec<Value> = (0..3).map(|_| listener.line()["event"].clone()).collect();
        assert_eq!(kinds, ["checked", "ignored", "received"]);
        let ran =
            listener.stop().exits(0).says("refused a request: its signature, its encryption or its AppID is wrong");
        assert!(!ran.stderr.contains("oPerson") && !ran.stderr.contains("hello"), "{}", ran.stderr);
        let left = case.left_behind();
        let holds = |text: &str| left.iter().any(|(_, bytes)| String::from_utf8_lossy(bytes).contains(text));
        assert!(!holds("oPerson") && !holds(TOKEN), "what people write is not kept, nor a secret");
    });
}

#[test]
fn a_person_reads_what_came() {
    in_each_language(|| {
        let (case, mut said) = (case(SAFE, &plan(&send("one"))), String::new());
        let mut child = case.spawn(&["listen", "--addr", "127.0.0.1:0", "--account", "account.yaml"]);
        let mut lines = BufReader::new(child.stdout.take().expect("piped"));
        lines.read_line(&mut said).expect("readable");
        let address =
            said.split("http://").nth(1).and_then(|rest| rest.split('/').next()).expect("an address").to_owned();
        let check = request("GET", &format!("/?{}&echostr=1", query(TOKEN)), "");
        assert_eq!(ask(&address, check.as_bytes()).0, 200);
        let plain = request("POST", &format!("/?{}", query(TOKEN)), &event(JOB, "send success", 9));
        assert_eq!(ask(&address, plain.as_bytes()).0, 403, "who has a key takes nothing that is not encrypted");
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill runs").success());
        lines.read_to_string(&mut said).expect("readable");
        let mut ran = Case::finish(child);
        ran.stdout = said;
        ran.prints("events-listen-human");
    });
}

#[test]
fn a_busy_ledger_is_answered_in_time_and_the_repetition_is_taken() {
    let case = case(PLAIN, &plan(&send("one")));
    let mut listener = Listener::start(&case, &["--account", "account.yaml"]);
    let (body, signed) = (event(JOB, "send success", 9), query(TOKEN));
    let database = rusqlite::Connection::open(case.path(".qunfa/state.db")).expect("opens");
    database.execute_batch("BEGIN IMMEDIATE").expect("has it for itself");
    assert_eq!(listener.push(&signed, &body), (500, "not recorded\n".to_owned()), "WeChat is to come again");
    database.execute_batch("ROLLBACK").expect("lets go");
    assert_eq!(listener.push(&signed, &body), (200, "success".to_owned()));
    let news: Vec<bool> = (0..2).map(|_| listener.line()["new"] == true).collect();
    assert_eq!(news, [true, false], "it was kept once, late");
    listener.stop().exits(0);
}

/// Somebody takes the table away.
fn damage(state: &std::path::Path) {
    let database = rusqlite::Connection::open(state).expect("opens");
    database.execute_batch("DROP TABLE observations").expect("is gone");
}

#[test]
fn what_cannot_be_recorded_is_pushed_again_and_a_report_goes_on_without_it() {
    in_each_language(|| {
        let first = case(PLAIN, &plan(&send("one")));
        let listener = Listener::start(&first, &["--account", "account.yaml"]);
        damage(&first.path(".qunfa/state.db"));
        let (body, signed) = (event(JOB, "send success", 9), query(TOKEN));
        assert_eq!(listener.push(&signed, &body), (500, "not recorded\n".to_owned()));
        listener.stop().exits(0).says("an event was not recorded");
        let other = case(PLAIN, &plan(&send("one")));
        let state = other.path(".qunfa/state.db");
        let fake = Fake::new(move |_, got| {
            if got.path.ends_with("/sendall") {
                damage(&state);
            }
            Answer::Usual
        });
        other.against(&fake, &[]).exits(0).says("warning: cannot read what was received about the sends");
        fake.delivered_once(1);
    });
}

#[test]
fn who_is_slow_keeps_nobody_waiting() {
    let case = case(PLAIN, &plan(&send("one")));
    let mut listener = Listener::start(&case, &["--account", "account.yaml"]);
    let slow: Vec<TcpStream> = (0..50)
        .map(|number| {
            let mut stream = TcpStream::connect(&listener.address).expect("it listens");
            let begun: &[u8] =
                if number % 2 == 0 { b"POST /?signature=" } else { b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nx" };
            stream.write_all(begun).expect("written");
            stream
        })
        .collect();
    assert_eq!(listener.push(&query(TOKEN), &event(JOB, "send success", 9)).0, 200);
    assert_eq!(listener.line()["event"], "received");
    // They are sent away, whether or not they say more.
    for mut stream in slow {
        let mut rest = Vec::new();
        let _ended = stream.read_to_end(&mut rest);
    }
    listener.stop().exits(0);
}

/// What else wraps one body.
fn files(case: &Case) {
    case.write("one.xml", event(1, "send success", 9));
    case.write(
        "two.json",
        json!({ "MsgType": "event", "Event": "MASSSENDJOBFINISH", "MsgID": "2", "Status": "send success" }).to_string(),
    );
    case.write("publish.xml", "<xml><MsgType>event</MsgType><Event>PUBLISHJOBFINISH</Event><PublishEventInfo><publish_id>9</publish_id><publish_status>0</publish_status></PublishEventInfo></xml>");
    case.write("refused.xml", "<xml><MsgType>event</MsgType><Event>PUBLISHJOBFINISH</Event><PublishEventInfo><publish_id>8</publish_id><publish_status>2</publish_status></PublishEventInfo></xml>");
    case.write("short.xml", "<xml><MsgType>event</MsgType><Event>PUBLISHJOBFINISH</Event><PublishEventInfo><publish_id>7</publish_id></PublishEventInfo></xml>");
    case.write("template.xml", "<xml><MsgType>event</MsgType><Event>TEMPLATESENDJOBFINISH</Event><MsgID>5</MsgID><Status>success</Status></xml>");
    case.write("text.xml", "<xml><MsgType>text</MsgType><Content>x</Content></xml>");
}

#[test]
fn bodies_that_are_handed_on_are_recorded_once() {
    in_each_language(|| {
        let case = case(PLAIN, &plan(&send("one")));
        files(&case);
        let all =
            ["one.xml", "two.json", "publish.xml", "refused.xml", "short.xml", "template.xml", "text.xml", "one.xml"];
        let args = [&["event", "--account", "account.yaml"], all.as_slice()].concat();
        case.run(&args).exits(0).prints("events-event");
        let again = case.run(&[args.as_slice(), &["--format", "json"]].concat()).exits(0).json();
        let of_all = |member: &str| {
            again["events"].as_array().expect("a list").iter().map(|line| line[member].clone()).collect::<Vec<_>>()
        };
        assert_eq!(of_all("new")[..6], vec![json!(false); 6]);
        assert_eq!(of_all("recorded")[5..7], [json!(true), json!(false)]);
        assert_eq!(of_all("subject")[..6], ["1", "2", "9", "8", "7", "5"]);
        // A wrong one among them: none is recorded.
        case.write("wrong.xml", "<xml>");
        case.write("new.xml", event(77, "send success", 9));
        case.run(&["event", "new.xml", "wrong.xml", "--account", "account.yaml"]).exits(3).prints("events-event-wrong");
        let after = case.run(&["event", "new.xml", "--account", "account.yaml", "--format", "json"]).exits(0).json();
        assert_eq!(after["events"][0]["new"], true);
    });
}

#[test]
fn what_is_handed_on_may_be_signed_and_encrypted() {
    in_each_language(|| {
        let vectors: Value = serde_json::from_str(include_str!("../src/events/vectors.json")).expect("JSON");
        let vector = &vectors["encrypted"][0];
        let body = json!({ "Encrypt": vector["text"] }).to_string();
        let query = format!(
            "msg_signature={}&timestamp=1481013459&nonce=1320562132",
            vector["signature"].as_str().expect("a text")
        );
        let case = case(SAFE, &plan(&send("one"))).env("CALLBACK_TOKEN", "the-token");
        case.write("body.json", &body);
        let event = |more: &[&str]| {
            case.run(&[&["event", "body.json", "--account", "account.yaml", "--format", "json"], more].concat())
        };
        assert_eq!(event(&["--query", &query]).exits(0).json()["events"][0]["subject"], "1000001625");
        assert_eq!(event(&[]).exits(0).json()["events"][0]["new"], false);
        event(&["--query", &query.replace("1320562132", "1320562133")]).exits(9);
        event(&["--query", "x", "body.json"]).exits(2).says("--query belongs to one body");
        // The key changed: the one before is tried second.
        let both = "{ token: { env: CALLBACK_TOKEN }, aes_key: { env: NEW_KEY }, previous_aes_key: { env: AES_KEY }, previous_token: { env: CALLBACK_TOKEN } }";
        case.write("account.yaml", account(APPID, both));
        let case = case.env("NEW_KEY", OTHER_KEY);
        let event = |more: &[&str]| case.run(&[&["event", "body.json", "--account", "account.yaml"], more].concat());
        event(&["--query", &query]).exits(0);
        // For another account, and without a key.
        case.write("account.yaml", account(OTHER, SAFE));
        event(&[]).exits(9).says("its signature, its encryption or its AppID is wrong");
        case.write("account.yaml", account(APPID, PLAIN));
        event(&[]).exits(3).says("it is encrypted, and the account has no `callback: aes_key`");
        // Nobody checks anything of a body that is decrypted and handed on.
        case.write("account.yaml", account(APPID, PLAIN).replace("callback:", "name: x #"));
        case.write("body.json", json!({"MsgType": "event", "Event": "MASSSENDJOBFINISH", "MsgID": 4}).to_string());
        event(&[]).exits(0).says("job 4");
        event(&["--query", "signature=x"]).exits(4).says("has no `callback`");
    });
}

#[test]
fn what_is_missing_is_said() {
    in_each_language(|| {
        let case = case(SAFE, &plan(&send("one")));
        case.run(&["listen"]).exits(2).says("no account given");
        case.run(&["listen", "--account", "account.yaml", "--addr", "x"]).exits(2);
        case.run(&["listen", "--account", "account.yaml", "--path", "x"])
            .exits(2)
            .says("write a path that begins with");
        case.run(&["listen", "--account", "nothing.yaml"]).exits(4);
        case.run(&["listen", "--account", "plan.yaml"]).exits(3).says("this is a plan, not an account file");
        case.run(&["event", "nothing.xml", "--account", "account.yaml"]).exits(4);
        case.run(&["event", "one.xml", "--fleet", "fleet.yaml", "--plan", "plan.yaml"]).exits(2);
        let case = case.env("AES_KEY", "short");
        case.run(&["listen", "--account", "account.yaml"]).exits(4).says("is not an EncodingAESKey");
        case.run(&["doctor", "plan.yaml", "--api-base", "http://127.0.0.1:9"]).says("callback.aes_key");
        let case = case.no_env("AES_KEY");
        case.run(&["listen", "--account", "account.yaml"]).exits(4).says("`AES_KEY` is not set");
        case.run(&["doctor", "plan.yaml", "--api-base", "http://127.0.0.1:9"]).says("callback.token");
        case.write("account.yaml", account(APPID, "{ token: s3cret-s3cret-s3cret }"));
        let ran =
            case.run(&["listen", "--account", "account.yaml"]).exits(3).says("`token` contains the secret itself");
        assert!(!ran.stderr.contains("s3cret-s3cret"), "{}", ran.stderr);
        case.write("account.yaml", account(APPID, "{ aes_key: { env: X } }"));
        case.run(&["listen", "--account", "account.yaml"]).exits(3);
        case.write("account.yaml", account(APPID, PLAIN));
        case.write(".qunfa", "no folder");
        case.run(&["listen", "--account", "account.yaml"]).exits(4);
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = taken.local_addr().expect("bound").to_string();
        let state = ["--state", "sqlite:other/state.db"];
        case.run(&[&["listen", "--account", "account.yaml", "--addr", &address], state.as_slice()].concat())
            .exits(4)
            .says("another program uses this address");
    });
}

#[test]
fn a_fleet_has_a_path_for_each_account() {
    in_each_language(|| {
        let fleet = format!(
            "version: 1\nplan: plan.yaml\ndefaults:\n  kind: service\n  secret: {{ env: WECHAT_SECRET }}\n  callback: {{ token: {{ env: CALLBACK_TOKEN }} }}\n\
             accounts:\n  - {{ name: beijing, appid: {APPID} }}\n  - {{ name: shanghai, appid: {OTHER} }}\n"
        );
        let text = plan(&send("one")).replace("account: account.yaml\n", "");
        let case = Case::new().env("CALLBACK_TOKEN", TOKEN).file("fleet.yaml", fleet).file("plan.yaml", text);
        let mut listener = Listener::start(&case, &["--fleet", "fleet.yaml", "--path", "/events/"]);
        assert_eq!(listener.path, format!("/events/{APPID}"));
        assert!(listener.line()["url"].as_str().is_some_and(|url| url.ends_with(&format!("/events/{OTHER}"))));
        let push = |appid: &str| {
            let target = format!("/events/{appid}?{}", query(TOKEN));
            listener.ask(&request("POST", &target, &event(JOB, "send success", 9)))
        };
        assert_eq!((push(APPID).0, push(OTHER).0, push("wx0000000000000000").0), (200, 200, 404));
        let appids = [listener.line(), listener.line()].map(|line| line["appid"].as_str().expect("a text").to_owned());
        assert_eq!(appids, [APPID, OTHER]);
        listener.stop().exits(0);
        case.write("one.xml", event(1, "send success", 9));
        case.run(&["event", "one.xml", "--fleet", "fleet.yaml"]).exits(2).says("no account of the fleet is named");
        case.run(&["event", "one.xml", "--fleet", "fleet.yaml", "--account", "shanghai"]).exits(0).says(OTHER);
        case.run(&["event", "one.xml", "--fleet", "fleet.yaml", "--account", "guangzhou"]).exits(2);
        case.write("fleet.yaml", "version: 1\n");
        case.run(&["listen", "--fleet", "fleet.yaml"]).exits(3);
    });
}

/// Two hundred events come while a run sends.
fn meanwhile(state: &str) {
    let sends: String = (0..20).map(|number| send(&format!("s{number}"))).collect();
    let text = plan(&sends).replace("defaults: {", "defaults: { pace: { per_minute: 100000 },");
    let (case, fake) = (case(PLAIN, &text), Fake::usual());
    let mut listener = Listener::of_plan(&case, &fake.base, &["--state", state]);
    let run = case.spawn(&["run", "plan.yaml", "--yes", "--quiet", "--api-base", &fake.base, "--state", state]);
    let pushers: Vec<_> = (0..4)
        .map(|pusher| {
            let address = listener.address.clone();
            std::thread::spawn(move || {
                for number in 0..50 {
                    let body = event(JOB + pusher * 50 + number, "send success", 9);
                    let pushed = ask(&address, request("POST", &format!("/?{}", query(TOKEN)), &body).as_bytes());
                    assert_eq!(pushed, (200, "success".to_owned()), "{number}");
                }
            })
        })
        .collect();
    let taken = pushers.into_iter().map(|pusher| pusher.join().is_ok()).filter(|taken| *taken).count();
    if taken < 4 {
        panic!("{taken} of 4: {}", listener.stop().stderr);
    }
    Case::finish(run).exits(0);
    let mut jobs: Vec<u64> = (0..200).map(|_| listener.line()["delivery"]["msg_id"].as_u64().expect("a job")).collect();
    jobs.sort_unstable();
    assert!(jobs.into_iter().eq(JOB..JOB + 200), "nothing is lost, nothing is there twice");
    listener.stop().exits(0);
    fake.delivered_once(20);
    let status =
        case.run(&["status", "plan.yaml", "--api-base", &fake.base, "--state", state, "--format", "json"]).json();
    let steps = status["steps"].as_array().expect("a list");
    assert!(steps.iter().all(|step| step["delivery"][0]["delivered"] == true), "{status}");
}

#[test]
fn a_run_and_a_listener_share_the_ledger() {
    meanwhile("sqlite:.qunfa/state.db");
    if let Some(schema) = Schema::plain() {
        meanwhile(&schema.address());
    }
}

/// A sandbox that pushes, and what it says.
struct Pushing {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
    base: String,
}

impl Pushing {
    fn to(case: &Case, listener: &Listener, more: &[&str]) -> Self {
        let url = format!("http://{}{}", listener.address, listener.path);
        let mut args = vec![
            "sandbox",
            "--listen",
            "127.0.0.1:0",
            "--format",
            "json",
            "--plan",
            "plan.yaml",
            "--push",
            &url,
            "--push-token",
            TOKEN,
            "--push-after",
            "0",
        ];
        args.extend(more);
        let mut child = case.spawn(&args);
        let mut lines = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        lines.read_line(&mut line).expect("readable");
        let told: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let base = told["url"].as_str().expect("a URL").to_owned();
        Self { child, lines, base }
    }

    /// The next attempt to push an event: its status and its fault.
    fn attempt(&mut self) -> (Value, Value) {
        loop {
            let mut line = String::new();
            assert_ne!(self.lines.read_line(&mut line).expect("readable"), 0, "it has ended");
            let told: Value = serde_json::from_str(&line).expect("JSON");
            if told["event"] == "push" {
                return (told["status"].clone(), told["fault"].clone());
            }
        }
    }
}

impl Drop for Pushing {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

#[test]
fn the_sandbox_pushes_in_every_mode() {
    for (callback, more) in [
        (PLAIN, ["--push-format", "xml", "--push-mode", "plain"]),
        (PLAIN, ["--push-format", "json", "--push-mode", "plain"]),
        (SAFE, ["--push-format", "xml", "--push-mode", "safe"]),
        (SAFE, ["--push-format", "json", "--push-mode", "safe"]),
        (SAFE, ["--push-format", "xml", "--push-mode", "compatible"]),
        (SAFE, ["--push-format", "json", "--push-mode", "compatible"]),
    ] {
        let case = case(callback, &plan(&send("one")));
        // A server on this machine, whichever: what is kept is of the same account.
        let mut listener = Listener::of_plan(&case, "http://127.0.0.1:9", &[]);
        let mut pushing = Pushing::to(&case, &listener, &[more.as_slice(), &["--push-aes-key", KEY]].concat());
        case.run(&["run", "plan.yaml", "--yes", "--api-base", &pushing.base]).exits(0);
        assert_eq!(pushing.attempt(), (json!(200), Value::Null), "{more:?}");
        let line = listener.line();
        assert_eq!((&line["delivery"]["sent"], &line["delivery"]["filtered"]), (&json!(100), &json!(0)), "{line}");
        listener.stop().exits(0);
    }
}

#[test]
fn every_fault_of_a_push_is_survived() {
    for (fault, attempts, came) in [
        ("lost", vec![json!(null)], 0),
        ("twice", vec![json!(200), json!(200)], 2),
        ("signature", vec![json!(403), json!(403), json!(403)], 0),
        ("key", vec![json!(403), json!(403), json!(403)], 0),
    ] {
        let case = case(SAFE, &plan(&format!("{}{}", send("one"), send("two"))));
        let mut listener = Listener::of_plan(&case, "http://127.0.0.1:9", &[]);
        let mut pushing = Pushing::to(&case, &listener, &["--push-aes-key", KEY, "--push-fault", fault]);
        case.run(&["run", "plan.yaml", "--yes", "--api-base", &pushing.base]).exits(0);
        for status in attempts {
            assert_eq!(pushing.attempt(), (status, json!(fault)));
        }
        assert_eq!(pushing.attempt(), (json!(200), Value::Null), "{fault}: the next one is well");
        let news: Vec<bool> = (0..=came).map(|_| listener.line()["new"] == true).collect();
        assert_eq!(news.iter().filter(|new| **new).count(), if came == 0 { 1 } else { 2 }, "{fault}");
        listener.stop().exits(0);
        let status =
            case.run(&["status", "plan.yaml", "--api-base", &pushing.base, "--format", "json"]).exits(0).json();
        let known = status["steps"].as_array().expect("a list").iter().filter(|step| step["delivery"][0].is_object());
        assert_eq!(known.count(), if came == 0 { 1 } else { 2 }, "{fault}");
    }
}

#[test]
fn a_sandbox_says_how_it_is_to_push() {
    in_each_language(|| {
        let case = Case::new();
        let sandbox = |more: &[&str]| case.run(&[&["sandbox", "--listen", "127.0.0.1:0"], more].concat());
        sandbox(&["--push", "https://example.com"]).exits(2).says("is not a URL of this kind");
        sandbox(&["--push", "http://127.0.0.1:9/"]).exits(2).says("--push needs the token");
        sandbox(&["--push", "http://127.0.0.1:9/", "--push-token", "t", "--push-aes-key", "x"])
            .exits(2)
            .says("is not an EncodingAESKey");
        sandbox(&["--push", "http://127.0.0.1:9/", "--push-token", "t", "--push-mode", "safe"])
            .exits(2)
            .says("needs a key");
        sandbox(&["--push", "http://127.0.0.1:9/", "--push-token", "t", "--push-fault", "x"])
            .exits(2)
            .says("is not a fault of a push");
        sandbox(&["--push-token", "t"]).exits(2);
    });
}

/// Where nginx is; without it, that is said once, loudly.
fn nginx() -> Option<PathBuf> {
    static SAID: Once = Once::new();
    let found = ["/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/bin/nginx"]
        .into_iter()
        .map(PathBuf::from)
        .find(|path| path.exists());
    if found.is_none() {
        SAID.call_once(|| {
            let said = "\n\n*** nginx is not installed: NOTHING OF `listen` BEHIND NGINX IS TESTED. Install it: apt-get install nginx\n\n";
            // Not through the macros: what they print, the harness keeps to itself.
            let _ = std::io::stderr().write_all(said.as_bytes());
        });
    }
    found
}

/// The example of the documentation, for this port and this listener, without TLS.
fn configuration(port: u16, listener: &str) -> String {
    let page =
        std::fs::read_to_string(crate::support::repository().join("docs/delivery.md")).expect("the page is there");
    let block =
        page.split("```nginx\n").nth(1).and_then(|rest| rest.split("```").next()).expect("it has a configuration");
    let server: String = block
        .lines()
        .filter(|line| !line.contains("ssl_certificate"))
        .map(|line| format!("{line}\n"))
        .collect::<String>()
        .replace("listen 443 ssl;", &format!("listen 127.0.0.1:{port};"))
        .replace("127.0.0.1:8080", listener);
    assert!(server.contains(&port.to_string()) && server.contains(listener), "{server}");
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|name| format!("{name}_temp_path {name};\n"))
        .collect();
    format!(
        "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}{server}}}\n"
    )
}

#[test]
fn behind_nginx_by_the_configuration_of_the_page() {
    let Some(nginx) = nginx() else { return };
    let case = case(SAFE, &plan(&send("one")));
    let mut listener = Listener::of_plan(&case, "http://127.0.0.1:9", &["--path", "/wechat/callback"]);
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
    case.write("nginx.conf", configuration(free, &listener.address));
    let folder = case.path("").display().to_string();
    let mut server = Command::new(nginx)
        .args(["-p", &folder, "-c", "nginx.conf", "-e", "stderr"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("nginx starts");
    let address = format!("127.0.0.1:{free}");
    while TcpStream::connect(&address).is_err() {
        assert!(server.try_wait().expect("known").is_none(), "nginx has ended");
        std::thread::yield_now();
    }
    let close = |text: String| text.replacen("Host: x", "Host: x\r\nConnection: close", 1);
    let check = close(request("GET", &format!("/wechat/callback?{}&echostr=abc", query(TOKEN)), ""));
    assert_eq!(ask(&address, check.as_bytes()), (200, "abc".to_owned()));
    let big = close(request("POST", &format!("/wechat/callback?{}", query(TOKEN)), &"x".repeat(2 << 20)));
    assert_eq!(ask(&address, big.as_bytes()).0, 413);
    assert_eq!(ask(&address, close(request("GET", "/other", "")).as_bytes()).0, 404);
    let through = Listener {
        child: Command::new("true").stdout(Stdio::piped()).spawn().expect("true runs"),
        lines: BufReader::new(
            Command::new("true").stdout(Stdio::piped()).spawn().expect("true runs").stdout.take().expect("piped"),
        ),
        address,
        path: "/wechat/callback".to_owned(),
    };
    let mut pushing = Pushing::to(&case, &through, &["--push-aes-key", KEY]);
    case.run(&["run", "plan.yaml", "--yes", "--api-base", &pushing.base]).exits(0);
    assert_eq!(pushing.attempt(), (json!(200), Value::Null));
    assert_eq!([listener.line(), listener.line()].map(|line| line["event"].clone()), ["checked", "received"]);
    let _ended = server.kill();
    let _ended = server.wait();
    listener.stop().exits(0);
    assert_eq!(spoken(), "en");
}
