//! What is rarely said: each case once, in both languages.

use serde_json::json;

use crate::support::{Answer, Case, Fake, Got, SECRET, TOKEN, code, in_each_language, plan, send, told};

fn of(steps: &str) -> Case {
    Case::new().file("plan.yaml", plan(steps))
}

/// A plan whose secret stands elsewhere.
fn with_secret(secret: &str) -> Case {
    Case::new().file("plan.yaml", plan(&send("one")).replace("{ env: WECHAT_SECRET }", secret))
}

/// A server that answers one path in a way of its own, every time.
fn answering(path: &'static str, answer: Answer) -> Fake {
    Fake::new(move |_, got: &Got| if got.path.ends_with(path) { answer.clone() } else { Answer::Usual })
}

#[test]
fn secrets_that_cannot_be_read() {
    in_each_language(|| {
        let case = with_secret("{ file: secret.txt }").file("secret.txt", "x".repeat(1 << 20));
        case.against(&Fake::usual(), &[]).exits(4).says("the secret file `secret.txt` is too large");
        case.write("secret.txt", [0xff, 0xfe]);
        case.against(&Fake::usual(), &[]).exits(4).says("is not UTF-8");
        case.write("secret.txt", "a\nb\n");
        case.against(&Fake::usual(), &[]).exits(4).says("has more than one line");
        let kept = Case::new().env("KEPT", TOKEN);
        let kept = kept.file(
            "plan.yaml",
            plan(&send("one")).replace("secret: { env: WECHAT_SECRET }", "access_token: { env: KEPT }"),
        );
        kept.run(&["token", "refresh", "plan.yaml"]).exits(2).says("an external token store maintains");
    });
}

#[test]
fn a_token_that_is_over() {
    in_each_language(|| {
        let case = of(&send("one"));
        let short = answering("token", Answer::Json(json!({ "access_token": TOKEN, "expires_in": 1 })));
        case.against(&short, &[]).exits(0);
        let ran = case.run(&["token", "show", "plan.yaml", "--api-base", &short.base]).exits(0);
        assert!(!ran.stdout.contains(TOKEN) && !ran.stdout.contains(SECRET));
        ran.says("cached token, ");
    });
}

#[test]
fn lists_that_wechat_garbles() {
    in_each_language(|| {
        let case = of("  - { id: all, action: send_by_openid, to: { followers: true }, message: { text: 你好 } }\n");
        let page = |openids: serde_json::Value, next: &str| {
            Answer::Json(json!({ "total": 2, "count": 2, "data": { "openid": openids }, "next_openid": next }))
        };
        let garbled = answering("/user/get", page(json!(["o A", "oB"]), ""));
        case.against(&garbled, &[]).exits(5).says("an invalid openid");
        let one = answering("/user/get", page(json!(["oFakeOpenId_AAAAAAAAAAAAAA01"]), ""));
        case.against(&one, &[]).exits(5).says("fewer than two followers");
        let tag =
            |to: &str| of(&format!("  - {{ id: vip, action: send_by_openid, to: {to}, message: {{ text: 你好 }} }}\n"));
        let one = answering("/user/tag/get", page(json!(["oFakeOpenId_AAAAAAAAAAAAAA01"]), ""));
        tag("{ tag: VIP }").against(&one, &[]).exits(5).says("fewer than two people have the tag `VIP`");
        let twins = json!({ "tags": [{ "id": 2, "name": "VIP", "count": 4 }, { "id": 3, "name": "VIP", "count": 4 }] });
        let twins = answering("/tags/get", Answer::Json(twins));
        tag("{ tag: VIP }").against(&twins, &[]).exits(5).says("several tags are named `VIP`");
        let untold = answering("/tags/get", code(48001));
        tag("{ tag: VIP }").against(&untold, &[]).exits(5).says("cannot look up the tags");
    });
}

#[test]
fn calls_in_doubt_that_are_settled_by_hand() {
    in_each_language(|| {
        let people: String = (0..20_001).map(|number| format!("oFakeOpenId_AAAAAAAAA{number:07}\n")).collect();
        let steps = "  - { id: one, action: send_by_openid, to: { file: people.txt }, message: { text: 你好 } }\n";
        let case = of(steps).file("people.txt", people);
        let lost = answering("/mass/send", Answer::DoneThen(Box::new(Answer::Close)));
        case.against(&lost, &[]).exits(7);
        let base = ["--api-base", lost.base.as_str()];
        let settle = |more: &[&str]| case.run(&[&["settle", "plan.yaml", "one"], more, &base].concat());
        case.run(&[&["status", "plan.yaml"], &base[..]].concat()).exits(0).says("run the plan again within 24 hours");
        settle(&["--not-sent"]).exits(0).says("recorded as not sent; the next run sends it");
        case.against(&lost, &[]).exits(7);
        settle(&["--sent", "0"]).exits(0).says("recorded as sent");
        let refused = answering("/mass/get", code(48001));
        case.against(&Fake::usual(), &[]);
        let args = ["status", "plan.yaml", "--refresh", "--api-base", &refused.base];
        let other = of(&send("one"));
        other.against(&refused, &[]).exits(0);
        other.run(&args).exits(5).says("cannot query the status of msg_id");
    });
}

#[test]
fn several_calls_that_are_settled_by_hand() {
    in_each_language(|| {
        let people: String = (0..20_001).map(|number| format!("oFakeOpenId_AAAAAAAAA{number:07}\n")).collect();
        let steps = "  - { id: one, action: send_by_openid, to: { file: people.txt }, message: { text: 你好 } }\n";
        let (case, lost) = (of(steps).file("people.txt", people), answering("/mass/send", Answer::Close));
        case.against(&lost, &[]).exits(7);
        // The second is in doubt too, as after a run of an older version.
        let again = "INSERT INTO events SELECT 2, number, kind, at, run_id, errcode, note, msg_id, msg_data_id, result, body, body_digest FROM events WHERE call = 1";
        let store = rusqlite::Connection::open(case.path(".qunfa/state.db")).expect("opens");
        store.execute_batch(again).expect("writes");
        drop(store);
        let settle =
            |more: &[&str]| case.run(&[&["settle", "plan.yaml", "one", "--api-base", &lost.base], more].concat());
        settle(&["--sent", "0"]).exits(2).says("several calls of `one` have an unknown outcome: 1, 2");
        settle(&["--sent", "0", "--chunk", "1"]).exits(0);
        settle(&["--sent", "0", "--chunk", "2"]).exits(0);
        settle(&["--sent", "7"]).exits(2).says("several calls of `one` were sent without a known job: 1, 2");
    });
}

#[test]
fn what_has_no_list() {
    in_each_language(|| {
        let case = of(&send("one"));
        case.run(&["audience", "plan.yaml", "one"]).says("has no sends to lists of people");
    });
}

#[test]
fn renderings_that_differ() {
    in_each_language(|| {
        let case = of(&(send("one") + &send("two")));
        case.run(&["render", "plan.yaml", "--out", "sent"]).exits(0);
        let written: Vec<_> = std::fs::read_dir(case.path("sent")).expect("is there").flatten().collect();
        let mut paths: Vec<_> = written.iter().map(std::fs::DirEntry::path).filter(|path| path.is_file()).collect();
        paths.sort();
        std::fs::remove_file(&paths[0]).expect("is there");
        let long = std::fs::read_to_string(&paths[1]).expect("readable");
        let lines: String = (0..60).map(|number| format!("line {number}\n")).collect();
        std::fs::write(&paths[1], format!("{lines}{}", long.trim_end())).expect("writes");
        let ran = case.run(&["render", "plan.yaml", "--check", "sent"]);
        assert!(ran.code != 0, "{}", ran.stdout);
        let ran = ran.says("missing; the plan now makes this request");
        ran.says("more line");
    });
}

#[test]
fn settings_of_the_sandbox_that_are_wrong() {
    in_each_language(|| {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = taken.local_addr().expect("bound").to_string();
        let case = Case::new();
        case.run(&["sandbox", "--listen", &address]).says("choose another address");
        case.run(&["sandbox", "--listen", "127.0.0.1:0", "--media", "x"]).exits(2).says("`--media x` is not valid");
        case.run(&["sandbox", "--listen", "127.0.0.1:0", "--tag", "x"]).exits(2).says("`--tag x` is not a tag");
    });
}

#[test]
fn files_that_cannot_be_written() {
    in_each_language(|| {
        let case = of(&send("one"));
        case.run(&["man", "pages"]).exits(0).says("wrote the man pages to pages");
        case.write("file", "");
        case.run(&["man", "file"]).says("cannot write");
        let summary =
            Case::new().env("GITHUB_STEP_SUMMARY", "nowhere/summary.md").file("plan.yaml", plan(&send("one")));
        summary.against(&Fake::usual(), &[]).says("cannot write the step summary");
        let ran = of(&send("one")).file("nowhere", "").against(&Fake::usual(), &["--report", "json=nowhere/r.json"]);
        ran.says("to print it again, run:");
    });
}

#[test]
fn templates_that_go_round_in_a_circle() {
    in_each_language(|| {
        let text =
            "  - { id: one, action: send_by_tag, to: { tag_id: 2 }, message: { text: \"{% extends 'a.txt' %}\" } }\n";
        let case =
            of(text).file("templates/a.txt", "{% extends 'b.txt' %}").file("templates/b.txt", "{% extends 'a.txt' %}");
        case.run(&["validate", "plan.yaml"]).exits(3).says("circle");
        case.write("templates/a.txt", "{% extends 'b.txt' %}{% extends 'b.txt' %}");
        case.write("templates/b.txt", "x");
        case.run(&["validate", "plan.yaml"]).exits(3).says("a template can have only one `extends`");
        // The last of one more than there may be.
        case.write("plan.yaml", plan(&text.replace("a.txt", "z.txt")));
        case.write("templates/z.txt", "");
        (0..qunfa::limits::TEMPLATE_FILES_MAX - 2)
            .for_each(|number| case.write(&format!("templates/f{number}.txt"), ""));
        case.run(&["validate", "plan.yaml"]).says("`templates/` has more than");
        (0..qunfa::limits::TEMPLATE_FILES_MAX - 2)
            .for_each(|number| std::fs::remove_file(case.path(&format!("templates/f{number}.txt"))).expect("is there"));
        (0..17).for_each(|number| case.write(&format!("templates/m{number}.txt"), "x".repeat(1 << 20)));
        case.write("templates/z.txt", "x");
        case.run(&["validate", "plan.yaml"]).says("the files in `templates/` have more than");
    });
}

#[test]
fn editions_that_are_told_together() {
    in_each_language(|| {
        let case = Case::new();
        let edition = |name: &str| plan(&send("one")).replace("\nsteps:", &format!("\noccurrence: {name}\nsteps:"));
        let server = Fake::usual();
        for number in 0..12 {
            case.write("plan.yaml", edition(&format!("e{number:02}")));
            case.against(&server, &[]).exits(0);
        }
        case.run(&["status", "plan.yaml", "--api-base", &server.base]).exits(0).says("finished edition");
    });
}

#[test]
fn conditions_that_cannot_be_evaluated() {
    in_each_language(|| {
        let second = send("two").replace("id: two,", "id: two, when: \"steps.one.msg_id // 0 == 1\",");
        of(&(send("one") + &second)).against(&Fake::usual(), &[]).exits(6).says("cannot evaluate `when`");
        let never = send("two").replace("id: two,", "id: two, when: false,");
        of(&(send("one") + &never)).against(&Fake::usual(), &[]).exits(0).says("skipped");
    });
}

#[test]
fn a_send_that_the_sandbox_deletes() {
    in_each_language(|| {
        let steps = "  - { id: one, action: send_by_tag, to: { tag_id: 2 }, message: { mpnews: M } }
  - { id: look, action: check, of: one, every: 1s, timeout: 1h }
  - { id: gone, action: delete, of: one }\n";
        of(steps).run(&["run", "plan.yaml", "--sandbox"]).exits(0).says("deleted, sent before to");
    });
}

#[test]
fn a_report_that_the_store_does_not_take() {
    in_each_language(|| {
        let case = of(&send("one"));
        let path = case.path(".qunfa/state.db");
        let server = Fake::new(move |_, got| {
            if got.path.ends_with("sendall") {
                let fails = "CREATE TRIGGER t BEFORE UPDATE ON runs BEGIN SELECT RAISE(FAIL, 'no'); END";
                rusqlite::Connection::open(&path).expect("opens").execute_batch(fails).expect("writes");
            }
            Answer::Usual
        });
        case.against(&server, &[]).says("cannot store the report in the state store");
        case.write("plan.yaml", "#".repeat(33 << 20));
        case.run(&["validate", "plan.yaml"]).says("is too large");
    });
}

#[test]
fn a_report_of_another_version() {
    in_each_language(|| {
        let (case, server) = (of(&send("one")), Fake::usual());
        case.against(&server, &[]).exits(0);
        let store = rusqlite::Connection::open(case.path(".qunfa/state.db")).expect("opens");
        store.execute_batch("UPDATE runs SET report = '{}'").expect("writes");
        drop(store);
        let ran = case.run(&["report", "plan.yaml", "--api-base", &server.base]).exits(4);
        ran.says("it was written by a different version of qunfa");
        std::fs::remove_file(case.path(".qunfa/state.db.tokens")).expect("is there");
        std::fs::create_dir(case.path(".qunfa/state.db.tokens")).expect("makes");
        case.write("plan.yaml", plan(&(send("one") + &send("two"))));
        case.against(&server, &[]).says("cannot save the token");
    });
}

#[test]
fn editions_that_are_not_finished() {
    in_each_language(|| {
        let case = Case::new();
        let edition = |name: &str| plan(&send("one")).replace("\nsteps:", &format!("\noccurrence: {name}\nsteps:"));
        let lost = answering("/sendall", Answer::Close);
        case.write("plan.yaml", edition("e1"));
        case.against(&lost, &[]).exits(7);
        case.write("plan.yaml", edition("e2"));
        case.against(&lost, &[]).exits(7).says("because another edition of the plan is not finished: `e1`");
        // Two of them, as an older version may have left them.
        let store = || rusqlite::Connection::open(case.path(".qunfa/state.db")).expect("opens");
        store().execute_batch("UPDATE calls SET plan = 'aside', occurrence = 'e0'").expect("writes");
        case.write("plan.yaml", edition("e1"));
        case.against(&lost, &[]).exits(7);
        store().execute_batch("UPDATE calls SET plan = 'test'").expect("writes");
        case.write("plan.yaml", edition("e2"));
        case.against(&lost, &[]).exits(7).says("because 2 other editions of the plan are not finished");
    });
}

#[cfg(unix)]
#[test]
fn an_argument_that_is_no_text() {
    use std::os::unix::ffi::OsStrExt as _;
    in_each_language(|| {
        let case = Case::new();
        let mut command = case.command(&["explain"]);
        let ran = command.arg(std::ffi::OsStr::from_bytes(b"Q\xff")).output().expect("starts");
        told(&String::from_utf8_lossy(&ran.stderr), "an argument is not UTF-8");
    });
}

#[test]
fn the_sandbox_tells_what_it_does() {
    in_each_language(|| {
        use std::io::{BufRead as _, BufReader};
        let case = of(&send("one"));
        let mut command = case.command(&["sandbox", "--listen", "127.0.0.1:0", "--fault", "45009@mass/sendall#1"]);
        let piped = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let mut child = piped.spawn().expect("starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut errors = BufReader::new(child.stderr.take().expect("piped")).lines();
        let first = lines.next().expect("a line").expect("text");
        let base = first[first.find("http://").expect("an address")..].trim().trim_end_matches('/').to_owned();
        case.run(&["run", "plan.yaml", "--yes", "--api-base", &base]);
        child.kill().expect("ours");
        child.wait().expect("ends");
        let said: Vec<String> = lines.by_ref().chain(errors.by_ref()).map_while(Result::ok).collect();
        told(&format!("{first}\n{}", said.join("\n")), "in another terminal");
    });
}
