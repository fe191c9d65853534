//! The store of the real program: what it may be named, what its files are, and what somebody who can write them can make
//! it send, which is nothing that the plan does not say.

use std::fs;

use qunfa::payload::digest;
use rusqlite::{Connection, params};

use crate::support::{Answer, Case, Fake, hear, in_each_language, plan, send};

fn people(text: &str) -> String {
    plan(&format!(
        "  - {{ id: vip, action: send_by_openid, to: {{ openids: [oA, oB, oC] }}, message: {{ text: {text} }} }}\n"
    ))
}

/// A server that takes none of the first three mass calls, and closes their connections.
fn doubtful() -> Fake {
    let mut closed = 0;
    Fake::new(move |_, got| {
        closed += u32::from(got.path.contains("/mass/send"));
        if got.path.contains("/mass/send") && closed <= 3 { Answer::Close } else { Answer::Usual }
    })
}

/// The digest by which a plan is approved.
fn digest_of(case: &Case) -> String {
    case.run(&["render", "plan.yaml"]).exits(0).json()["digest"].as_str().expect("text").to_owned()
}

fn open(case: &Case) -> Connection {
    Connection::open(case.path(".qunfa/state.db")).expect("opens")
}

/// Rewrites what is frozen of the only call and what was sent of it, with the hashes of both.
fn rewrite(case: &Case, change: impl Fn(&str) -> String) {
    let store = open(case);
    let payload: String = store.query_row("SELECT payload FROM calls", [], |row| row.get(0)).expect("one call");
    let changed = change(&payload);
    assert_ne!(changed, payload);
    let hash = digest(changed.as_bytes());
    store.execute("UPDATE calls SET payload = ?1, digest = ?2", params![changed, hash]).expect("writes");
    store
        .execute("UPDATE events SET body_digest = ?1 WHERE body_digest IS NOT NULL AND body IS NULL", [hash])
        .expect("writes");
}

#[test]
fn a_store_that_was_tampered_with_sends_nothing_else_and_calls_nothing_else() {
    in_each_language(|| {
        let sql = |change: &'static str| move |case: &Case| open(case).execute_batch(change).expect("writes");
        let text = |from: &'static str, to: &'static str| {
            move |case: &Case| rewrite(case, |payload| payload.replace(from, to))
        };
        let sent = |case: &Case| {
            let store = open(case);
            let payload: String = store.query_row("SELECT payload FROM calls", [], |row| row.get(0)).expect("one call");
            let body = payload.replace("你好", "再见");
            let hash = digest(body.as_bytes());
            store
                .execute("UPDATE events SET body = ?1, body_digest = ?2 WHERE kind = 'attempted'", [body, hash])
                .expect("writes");
        };
        let key = |case: &Case| {
            let key: String =
                open(case).query_row("SELECT idempotency_key FROM calls", [], |row| row.get(0)).expect("one call");
            rewrite(case, |payload| payload.replace(&key, &"0".repeat(32)));
            open(case)
                .execute_batch(&format!("UPDATE calls SET idempotency_key = '{}'", "0".repeat(32)))
                .expect("writes");
        };
        type Tampers<'a> = (&'a str, &'a dyn Fn(&Case), i32);
        let tampers: [Tampers<'_>; 14] = [
            ("path", &sql("UPDATE calls SET path = '/cgi-bin/message/mass/delete'"), 4),
            ("path of a page", &sql("UPDATE calls SET path = '@example.com/x'"), 4),
            ("effect", &sql("UPDATE calls SET effect = 'preview', mass = 0"), 4),
            ("recipients", &sql("UPDATE calls SET recipients = 0"), 4),
            ("key", &key, 4),
            ("key in the body", &text("\"clientmsgid\":\"", "\"clientmsgid\":\"0"), 4),
            ("text", &text("你好", "再见"), 7),
            ("text twice", &text("{\"touser\"", "{\"text\":{\"content\":\"再见\"},\"touser\""), 4),
            ("people twice", &text("{\"touser\"", "{\"touser\":[\"oX\",\"oY\"],\"touser\""), 4),
            ("a blank", &text("{\"touser\"", "{ \"touser\""), 4),
            ("order", &text("oA", "o\\\\u0041"), 4),
            ("what was sent", &sent, 4),
            ("what was sent is gone", &sql("UPDATE events SET body = NULL, body_digest = NULL"), 4),
            ("somebody in the list", &text("oA", "oX\\\",\\\"oY"), 4),
        ];
        for approved in [false, true] {
            for (what, tamper, exit) in tampers {
                let (case, server) = (Case::new().file("plan.yaml", people("你好")), doubtful());
                let digest = digest_of(&case);
                case.against(&server, &[]).exits(7);
                let before = server.got().len();
                tamper(&case);
                let expect = ["--expect", digest.as_str()];
                let ran = case.against(&server, if approved { &expect } else { &[] });
                assert_eq!(ran.code, exit, "{what}: {}", ran.stderr);
                hear(&ran.stderr);
                assert_eq!(server.got().len(), before, "{what}: nothing is asked, and nothing is sent: {}", ran.stderr);
            }
            // Untouched it goes on.
            let (case, server) = (Case::new().file("plan.yaml", people("你好")), doubtful());
            let digest = digest_of(&case);
            case.against(&server, &[]).exits(7);
            let expect = ["--expect", digest.as_str()];
            case.against(&server, if approved { &expect } else { &[] }).exits(0);
            server.delivered_once(1);
        }
    });
}

/// A check, a deletion and a preview that begin again are calls of the plan, too.
#[test]
fn other_calls_that_go_on_are_those_of_the_plan() {
    in_each_language(|| {
        let steps = send("one").replace("text: 你好", "mpnews: \"M1\"")
            + "  - { id: proof, action: preview, to: { wxname: x }, message: { text: 你好 } }\n"
            + "  - { id: gone, action: delete, of: one }\n";
        for step in ["proof", "gone"] {
            let path = if step == "proof" { "/mass/preview" } else { "/mass/delete" };
            let mut closed = 0;
            let server = Fake::new(move |_, got| {
                closed += u32::from(got.path.ends_with(path));
                if got.path.ends_with(path) && closed <= 3 { Answer::Close } else { Answer::Usual }
            });
            let case = Case::new().file("plan.yaml", plan(&steps));
            let first = case.against(&server, &[]);
            assert!(matches!(first.code, 5 | 6), "{step}: {}", first.stderr);
            let before = server.got().len();
            let path = format!("UPDATE calls SET path = '/cgi-bin/message/mass/sendall' WHERE step = '{step}'");
            open(&case).execute_batch(&path).expect("writes");
            case.against(&server, &[]).exits(4).says("does not match the plan: different path or effect");
            assert_eq!(server.got().len(), before, "{step}");
        }
    });
}

#[test]
fn people_whom_nobody_approved_are_not_sent_to_under_expect() {
    in_each_language(|| {
        for tampered in [false, true] {
            let (case, server) = (Case::new().file("plan.yaml", people("你好")), doubtful());
            let digest = digest_of(&case);
            case.against(&server, &[]).exits(7);
            let before = server.sends().len();
            let digest = if tampered {
                rewrite(&case, |payload| payload.replace("oB", "oX"));
                digest
            } else {
                case.write("plan.yaml", people("你好").replace("oB", "oX"));
                digest_of(&case)
            };
            case.against(&server, &["--expect", &digest]).exits(9).says("who are not in the plan");
            assert_eq!(server.sends().len(), before, "tampered: {tampered}");
            // Without it the frozen people are sent to, and that is said.
            case.against(&server, &[]).exits(0).says("continues with its original audience");
            server.delivered_once(1);
        }
    });
}

#[test]
fn a_value_that_is_another_one_now_is_said_and_is_not_sent_under_expect() {
    in_each_language(|| {
        let text = plan("  - { id: vip, action: send_by_tag, to: { tag: VIP }, message: { text: 你好 } }\n");
        for approved in [true, false] {
            let (case, server) = (Case::new().file("plan.yaml", &text), doubtful());
            let digest = digest_of(&case);
            case.against(&server, &[]).exits(7);
            let store = open(&case);
            let body: String = store
                .query_row("SELECT body FROM events WHERE body IS NOT NULL LIMIT 1", [], |row| row.get(0))
                .expect("it was filled");
            let body = body.replace("134", "2");
            let hash = qunfa::payload::digest(body.as_bytes());
            store
                .execute("UPDATE events SET body = ?1, body_digest = ?2 WHERE kind = 'attempted'", [body, hash])
                .expect("writes");
            let before = server.sends().len();
            if approved {
                case.against(&server, &["--expect", &digest]).exits(7).says("a value assigned by WeChat has changed");
                assert_eq!(server.sends().len(), before);
            } else {
                case.against(&server, &[]).exits(0).says("sending the same bytes again");
            }
        }
    });
}

/// Two ledgers of one plan would be two locks; a ledger in memory would be none.
#[test]
fn a_state_that_is_no_lasting_file_is_refused() {
    in_each_language(|| {
        let (case, server) = (Case::new().file("plan.yaml", plan(&send("one"))), Fake::usual());
        fs::create_dir(case.path("folder")).expect("makes");
        for name in [
            "sqlite::memory:",
            "sqlite:file:state.db",
            "sqlite:file::memory:?cache=shared",
            "sqlite:",
            "sqlite:folder",
            "sqlite:folder/",
            "sqlite:~/state.db",
            "sqlite:/dev/null",
            "sqlite://state.db",
        ] {
            case.against(&server, &["--state", name]).exits(2).says("is not a state store");
        }
        assert!(server.got().is_empty());
        let files = fs::read_dir(case.path("")).expect("is there").flatten().map(|entry| entry.file_name());
        let mut files: Vec<_> = files.collect();
        files.sort();
        assert_eq!(files, ["folder", "plan.yaml"], "nothing was made");
        // What looks like an option or a URI, and is a file.
        for name in ["-state.db", "./:memory:", "./~state.db"] {
            // One ledger knows nothing of what the other sent.
            case.against(&Fake::usual(), &["--state", &format!("sqlite:{name}")]).exits(0);
            assert!(case.path(name).is_file(), "{name}");
        }
    });
}

#[cfg(unix)]
#[test]
fn two_names_of_one_ledger_send_once() {
    in_each_language(|| {
        use std::os::unix::fs::symlink;
        let (case, server) = (Case::new().file("plan.yaml", plan(&send("one"))), Fake::usual());
        fs::create_dir(case.path("a")).expect("makes");
        symlink("a", case.path("b")).expect("makes");
        let absolute = format!("sqlite:{}", case.path("a/state.db").display());
        for name in ["sqlite:a/state.db", "sqlite:b/state.db", "sqlite:b/../a/state.db", &absolute] {
            case.against(&server, &["--state", name]).exits(0);
        }
        symlink("a/state.db", case.path("linked.db")).expect("makes");
        case.against(&server, &["--state", "sqlite:linked.db"]).exits(0);
        server.delivered_once(1);
        assert_eq!(server.sends().len(), 1);
        fs::hard_link(case.path("a/state.db"), case.path("hard.db")).expect("makes");
        case.against(&server, &["--state", "sqlite:hard.db"]).exits(4).says("it has a second name (hard link)");
        // A link that leads nowhere is no place for a ledger.
        symlink("nowhere.db", case.path("lost.db")).expect("makes");
        case.against(&server, &["--state", "sqlite:lost.db"]).exits(4).says("is a dangling link");
        assert!(!case.path("nowhere.db").exists());
    });
}

#[cfg(unix)]
#[test]
fn files_are_private_under_any_umask() {
    use std::os::unix::fs::PermissionsExt as _;
    for umask in ["0777", "0", "0222"] {
        let (case, server) = (Case::new().file("plan.yaml", plan(&send("one"))), Fake::usual());
        let program = env!("CARGO_BIN_EXE_qunfa");
        let script = format!("umask {umask}; exec \"{program}\" run plan.yaml --yes --api-base {}", server.base);
        let mut shell = std::process::Command::new("/bin/sh");
        shell.args(["-c", &script]).current_dir(case.path("")).env_clear().env("WECHAT_SECRET", crate::support::SECRET);
        let output = shell.output().expect("a shell");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let mode = |path: &str| fs::metadata(case.path(path)).expect(path).permissions().mode() & 0o777;
        assert_eq!(mode(".qunfa"), 0o700, "umask {umask}");
        let appid = "state.db.wx0123456789abcdef.lock";
        for file in ["state.db", "state.db.tokens", "state.db.tokens.lock", appid, ".gitignore"] {
            assert_eq!(mode(&format!(".qunfa/{file}")), 0o600, "umask {umask}: {file}");
        }
        case.against(&server, &[]).exits(0);
        server.delivered_once(1);
    }
}

#[test]
fn the_folder_of_the_state_keeps_itself_out_of_git_whoever_made_it() {
    let (case, server) = (Case::new().file("plan.yaml", plan(&send("one"))), Fake::usual());
    fs::create_dir(case.path(".qunfa")).expect("makes");
    case.against(&server, &[]).exits(0);
    assert_eq!(case.read(".qunfa/.gitignore"), "*\n");
}

#[cfg(unix)]
#[test]
fn a_token_is_not_taken_from_a_link_nor_written_through_one() {
    in_each_language(|| {
        let (case, server) = (Case::new().file("plan.yaml", plan(&send("one"))), Fake::usual());
        let tokens = ".qunfa/state.db.tokens";
        case.against(&server, &[]).exits(0);
        assert_eq!(server.tokens(), 1);
        let kept = case.read(tokens);
        fs::rename(case.path(tokens), case.path("elsewhere")).expect("is there");
        std::os::unix::fs::symlink("../elsewhere", case.path(tokens)).expect("makes");
        case.write("plan.yaml", plan(&(send("one") + &send("two"))));
        case.against(&server, &[]).exits(0);
        assert_eq!(server.tokens(), 2, "it was asked for");
        assert_eq!(case.read("elsewhere"), kept, "it was not written through the link");
        assert!(!fs::symlink_metadata(case.path(tokens)).expect("is there").is_symlink());
        // A file without an end costs a token, and no memory.
        case.write(tokens, format!("{{\"{}", "x".repeat(5 << 20)));
        case.write("plan.yaml", plan(&(send("one") + &send("two") + &send("three"))));
        case.against(&server, &[]).exits(0);
        assert_eq!(server.tokens(), 3);
        // The lock of an account is no pipe.
        let lock = case.path(".qunfa/state.db.wx0123456789abcdef.lock");
        fs::remove_file(&lock).expect("is there");
        assert!(std::process::Command::new("mkfifo").arg(&lock).status().is_ok_and(|made| made.success()));
        case.against(&server, &[]).exits(4).says("it is not a regular file");
    });
}

/// Whoever deletes the lock of a run lets another one begin; the first one then sends nothing any more.
#[test]
fn a_run_whose_lock_was_deleted_makes_way_for_the_next() {
    in_each_language(|| {
        let steps: String = ["one", "two", "three"].map(send).concat();
        let case = Case::new().file("plan.yaml", plan(&steps));
        let (in_call, reached) = std::sync::mpsc::channel();
        let mut first = true;
        let server = Fake::new(move |_, got| {
            if got.path.ends_with("sendall") && std::mem::take(&mut first) {
                let _ = in_call.send(());
                return Answer::DoneThen(Box::new(Answer::Stall));
            }
            Answer::Usual
        });
        let child = case.spawn(&["run", "plan.yaml", "--yes", "--api-base", &server.base]);
        reached.recv().expect("it is in its first call");
        case.against(&server, &[]).exits(8).says("another run of the account");
        fs::remove_file(case.path(".qunfa/state.db.wx0123456789abcdef.lock")).expect("is there");
        case.against(&server, &[]).exits(0);
        let (sends, ended) = (server.sends().len(), Case::finish(child));
        assert_eq!(ended.code, 7, "{}", ended.stderr);
        ended.says("another run has taken over the account");
        assert_eq!(server.sends().len(), sends, "who was followed sends nothing more");
        server.delivered_once(3);
    });
}

#[test]
fn a_run_that_makes_no_sense_is_damage() {
    in_each_language(|| {
        for (change, what) in [
            ("UPDATE runs SET platform = 'hum'", "a run has an unknown platform"),
            ("UPDATE runs SET started_at = 9223372036854775807", "a run has no valid start time"),
        ] {
            let (case, server) = (Case::new().file("plan.yaml", plan(&send("one"))), Fake::usual());
            case.against(&server, &[]).exits(0);
            open(&case).execute_batch(change).expect("writes");
            case.run(&["report", "plan.yaml"]).exits(4).says(what);
        }
    });
}
