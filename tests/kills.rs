//! The real program is killed at any instant, its store fails in every way, its clock jumps: nothing is sent twice.

use std::time::{Duration, Instant};

use crate::{
    postgres::Schema,
    support::{Answer, Case, Fake, hear, in_each_language, plan, send},
};

/// Numbers by chance, the same ones for a seed.
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        // Seeds that follow each other begin alike.
        let mut chance = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).max(1));
        chance.below(2);
        chance
    }

    pub(crate) fn below(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

/// A number from the environment, or the usual one.
pub(crate) fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// 40 mass calls, previews and settings between them.
pub(crate) fn forty() -> String {
    let mut steps = String::from("  - { id: proof, action: preview, to: { wxname: x }, message: { text: 你好 } }\n");
    for number in 0..20 {
        steps.push_str(&send(&format!("tag{number}")));
        let (a, b) = (number * 2, number * 2 + 1);
        steps.push_str(&format!(
            "  - {{ id: people{number}, action: send_by_openid, to: {{ openids: [o{a}, o{b}] }}, message: {{ text: 你好 }} }}\n"
        ));
    }
    // The pace of the real platform would make this test last.
    plan(&steps).replace("defaults: {", "defaults: { pace: { per_minute: 100000 },")
}

/// Kills in a row, and one run that ends; over the file beside the plan, or over the schema that there is for it.
fn kills_at_any_instant(wanted: u64, store: impl Fn() -> Option<Schema>) {
    let seed = number("QUNFA_KILL_SEED", 20_261_122);
    let mut chance = Chance::new(seed);
    let text = forty();
    let (mut round, mut all) = (0, 0);
    while all < wanted {
        round += 1;
        let (case, server, schema) = (Case::new().file("plan.yaml", &text), Fake::usual(), store());
        let state = schema.as_ref().map(Schema::address);
        let state = state.iter().flat_map(|state| ["--state", state.as_str()]);
        let more: Vec<&str> = ["--quiet"].into_iter().chain(state).collect();
        let mut kills = 0;
        // A few kills in a row, each at an instant of its own: after so many calls, and then a moment.
        for _ in 0..1 + chance.below(3) {
            let (calls, moment) = (chance.below(44), Duration::from_micros(chance.below(4000)));
            let before = server.got().len() as u64;
            let args = ["run", "plan.yaml", "--yes", "--api-base", &server.base];
            let mut child = case.spawn(&[&args, &more[..]].concat());
            while (server.got().len() as u64) < before + calls && child.try_wait().expect("a child").is_none() {
                std::thread::yield_now();
            }
            let until = Instant::now() + moment;
            while Instant::now() < until {
                std::thread::yield_now();
            }
            // One that ended by itself was not killed.
            kills += u32::from(child.try_wait().expect("a child").is_none() && child.kill().is_ok());
            child.wait().expect("it is gone");
        }
        all += u64::from(kills);
        // A server finds out by and by that a process is gone: until then the account is taken.
        let mut ran = case.against(&server, &more);
        for _ in 0..100 {
            if ran.code == 8 && schema.is_some() {
                ran = case.against(&server, &more);
            }
        }
        ran.exits(0);
        let delivered = server.delivered();
        assert_eq!(delivered.len(), 40, "seed {seed}, round {round}, {kills} kills: somebody was left out");
        assert!(delivered.values().all(|times| *times == 1), "seed {seed}, round {round}, {kills} kills: sent twice");
        let sends = server.sends().len();
        case.against(&server, &more).exits(0);
        assert_eq!(server.sends().len(), sends, "seed {seed}, round {round}: one more run sends nothing");
    }
}

#[test]
fn a_kill_at_any_instant_loses_and_repeats_nothing() {
    kills_at_any_instant(number("QUNFA_KILLS", 12), || None);
}

#[test]
fn a_kill_at_any_instant_loses_and_repeats_nothing_over_postgres() {
    if crate::postgres::server().is_some() {
        kills_at_any_instant(number("QUNFA_KILLS", 12), Schema::new);
    }
}

fn two_processes_at_once(schema: Option<&Schema>) {
    let (case, server) = (Case::new().file("plan.yaml", forty()), Fake::usual());
    let state = schema.map(Schema::address);
    let mut args = vec!["run", "plan.yaml", "--yes", "--quiet", "--api-base", server.base.as_str()];
    args.extend(state.iter().flat_map(|state| ["--state", state.as_str()]));
    let children: Vec<_> = (0..4).map(|_| case.spawn(&args)).collect();
    let codes: Vec<i32> = children.into_iter().map(|child| Case::finish(child).code).collect();
    assert!(codes.contains(&0) && codes.iter().all(|code| matches!(code, 0 | 8)), "{codes:?}");
    case.run(&args).exits(0);
    server.delivered_once(40);
}

#[test]
fn two_processes_at_once_send_once() {
    two_processes_at_once(None);
}

#[test]
fn two_processes_at_once_send_once_over_postgres() {
    Schema::new().iter().for_each(|schema| two_processes_at_once(Some(schema)));
}

/// Runs the program with a limit on the size of files: the disk is full.
#[cfg(unix)]
#[test]
fn a_full_disk_stops_the_run_before_the_next_send() {
    for blocks in [1, 16, 48, 96, 160] {
        let (case, server) = (Case::new().file("plan.yaml", forty()), Fake::usual());
        let program = env!("CARGO_BIN_EXE_qunfa");
        let script =
            format!("ulimit -f {blocks}; exec \"{program}\" run plan.yaml --yes --quiet --api-base {}", server.base);
        let mut command = std::process::Command::new("/bin/sh");
        let output = command
            .args(["-c", &script])
            .current_dir(case.path(""))
            .env_clear()
            .env("WECHAT_SECRET", crate::support::SECRET)
            .output()
            .expect("a shell");
        let (code, sent) = (output.status.code(), server.sends().len());
        let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(matches!(code, Some(0 | 4 | 6 | 7)), "{blocks} blocks: {code:?} {said}");
        assert!(code != Some(4) || sent == 0, "{blocks} blocks: 4 says that nothing was sent, and {sent} were");
        assert!(!said.contains("panicked"), "{said}");
        case.against(&server, &[]).exits(0);
        server.delivered_once(40);
    }
}

#[cfg(unix)]
#[test]
fn a_store_that_cannot_be_written_or_read_sends_nothing() {
    in_each_language(|| {
        let newer = |case: &Case| {
            let bytes = std::fs::read(case.path(".qunfa/state.db")).expect("is there");
            // user_version is a big-endian number at offset 60 of the file.
            let mut newer = bytes;
            newer[60..64].copy_from_slice(&99_u32.to_be_bytes());
            case.write(".qunfa/state.db", newer);
        };
        let truncated = |case: &Case| {
            let bytes = std::fs::read(case.path(".qunfa/state.db")).expect("is there");
            case.write(".qunfa/state.db", &bytes[..bytes.len() / 2]);
        };
        let garbled = |case: &Case| {
            let mut bytes = std::fs::read(case.path(".qunfa/state.db")).expect("is there");
            let length = bytes.len();
            bytes[4096.min(length / 2)..].fill(0xa5);
            case.write(".qunfa/state.db", bytes);
        };
        type Damage<'a> = (&'a str, &'a dyn Fn(&Case));
        let damages: [Damage<'_>; 3] = [("newer", &newer), ("truncated", &truncated), ("garbled", &garbled)];
        for (what, damage) in damages {
            let (case, server) = (Case::new().file("plan.yaml", plan(&send("one"))), Fake::usual());
            case.against(&server, &[]).exits(0);
            damage(&case);
            let before = server.sends().len();
            case.write("plan.yaml", plan(&(send("one") + &send("two"))));
            let ran = case.against(&server, &[]);
            assert_eq!((ran.code, server.sends().len()), (4, before), "{what}: {}", ran.stderr);
            ran.says("state store");
        }
    });
}

/// What WeChat said is known, although the store fails to take it: a send that was accepted is in no doubt.
#[test]
fn a_store_that_fails_after_the_answer_says_what_was_answered() {
    in_each_language(|| {
        let answers: [(&str, Answer, i32, &str); 3] = [
            ("accepted", Answer::Usual, 6, "accepted"),
            ("refused", crate::support::code(40003), 4, "refused"),
            ("unknown", Answer::Close, 7, "unknown"),
        ];
        for (kind, answer, code, outcome) in answers {
            let (case, server) = (Case::new().file("plan.yaml", plan(&send("one"))), Fake::usual());
            case.against(&server, &[]).exits(0);
            let fails = format!(
                "CREATE TRIGGER fails BEFORE INSERT ON events WHEN NEW.kind = '{kind}' BEGIN SELECT RAISE(FAIL, 'no'); END"
            );
            case.write("plan.yaml", plan(&(send("one") + &send("two") + &send("three"))));
            // It begins to fail in the call: a store with something strange in it is not even opened.
            let (path, mut answer) = (case.path(".qunfa/state.db"), Some(answer));
            let server = Fake::new(move |_, got| {
                let answer = if got.path.ends_with("sendall") { answer.take() } else { None };
                answer.map_or(Answer::Usual, |answer| {
                    rusqlite::Connection::open(&path).expect("opens").execute_batch(&fails).expect("writes");
                    answer
                })
            });
            let ran = case.against(&server, &["--report", "json=report.json"]);
            assert_eq!((ran.code, server.sends().len()), (code, 1), "{kind}: {}", ran.stderr);
            hear(&ran.stderr);
            let report: serde_json::Value = serde_json::from_str(&case.read("report.json")).expect("JSON");
            crate::support::hear_in(&report);
            assert_eq!(report["steps"][1]["calls"][0]["outcome"], outcome, "{report}");
        }
    });
}

/// Rights do not bind root, so root runs the program as somebody else.
#[cfg(unix)]
#[test]
fn a_store_that_is_read_only_sends_nothing() {
    use std::{fs, os::unix::fs::PermissionsExt as _};
    let (case, server) = (Case::new().file("plan.yaml", plan(&send("one"))), Fake::usual());
    case.against(&server, &[]).exits(0);
    case.write("plan.yaml", plan(&(send("one") + &send("two"))));
    let mode = |path: &str, mode| {
        fs::set_permissions(case.path(path), fs::Permissions::from_mode(mode)).expect("is ours");
    };
    for entry in fs::read_dir(case.path(".qunfa")).expect("is there").flatten() {
        mode(&format!(".qunfa/{}", entry.file_name().to_string_lossy()), 0o666);
    }
    mode(".qunfa/state.db", 0o444);
    mode(".qunfa", 0o555);
    mode("", 0o755);
    let root = fs::OpenOptions::new().append(true).open(case.path(".qunfa/state.db")).is_ok();
    let give = |path: &str| std::os::unix::fs::chown(case.path(path), Some(65534), Some(65534)).expect("root may");
    if root {
        // It must be the ledger of who runs it.
        for entry in fs::read_dir(case.path(".qunfa")).expect("is there").flatten() {
            give(&format!(".qunfa/{}", entry.file_name().to_string_lossy()));
        }
        give(".qunfa");
    }
    let mut command = if root {
        // Its folder may be closed to others.
        fs::copy(env!("CARGO_BIN_EXE_qunfa"), case.path("qunfa")).expect("copies");
        let mut command = std::process::Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(case.path("qunfa"));
        command
    } else {
        std::process::Command::new(env!("CARGO_BIN_EXE_qunfa"))
    };
    let output = command
        .args(["run", "plan.yaml", "--yes", "--api-base", &server.base])
        .current_dir(case.path(""))
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("WECHAT_SECRET", crate::support::SECRET)
        .output()
        .expect("starts");
    mode(".qunfa", 0o755);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), server.sends().len()), (Some(4), 1), "{said}");
    assert!(said.contains("cannot be opened for writing"), "{said}");
}

#[test]
fn a_clock_that_jumps_a_day_sends_nothing_twice() {
    let steps = send("one") + &send("two");
    let (case, server) = (
        Case::new().file("plan.yaml", plan(&steps)),
        Fake::scripted("sendall", vec![Answer::DoneThen(Box::new(Answer::Close)); 3]),
    );
    case.against(&server, &["--now", "2026-03-02T10:00:00+08:00"]).exits(7);
    let sends = server.sends().len();
    for later in ["2026-03-03T09:59:00+08:00", "2026-03-05T10:00:00+08:00", "2026-03-01T10:00:00+08:00"] {
        case.against(&server, &["--now", later]).exits(7);
        assert_eq!(server.sends().len(), sends, "at {later} WeChat may have forgotten, or the clock proves nothing");
    }
    case.against(&server, &["--now", "2026-03-02T20:00:00+08:00"]).exits(0);
    server.delivered_once(2);
}
