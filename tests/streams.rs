//! Standard streams, files that are no regular ones, and signals: what a shell, a terminal and a CI runner do with the program.

#![cfg(unix)]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    os::unix::fs::{FileTypeExt as _, symlink},
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::support::{self, Answer, Case, Fake, Ran, in_both, in_each_language, plan, send};

fn two_sends() -> Case {
    Case::new().file("plan.yaml", plan(&(send("one") + &send("two"))).replace("timeout: 1500ms", "timeout: 60s"))
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status();
    assert!(sent.expect("kill is there").success());
}

fn pipe(path: &Path) {
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0)
        .expect("makes a pipe");
}

/// A run that asks at a terminal, up to the question.
fn asked(case: &Case, server: &Fake) -> (Child, BufReader<fs::File>) {
    let question = if support::spoken() == "zh" {
        "请输入这次群发的名称（test）："
    } else {
        "type the name of the campaign (test): "
    };
    asked_by(case, &["run", "plan.yaml", "--api-base", &server.base], question)
}

fn asked_by(case: &Case, args: &[&str], question: &str) -> (Child, BufReader<fs::File>) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&ours).expect("a terminal");
    unlockpt(&ours).expect("a terminal");
    let theirs = ptsname(&ours, Vec::new()).expect("a name").into_string().expect("UTF-8");
    let theirs = fs::OpenOptions::new().read(true).write(true).open(theirs).expect("the other end");
    let mut command = case.command(args);
    let other = theirs.try_clone().expect("a handle");
    let child = command.stdin(theirs).stderr(other).stdout(Stdio::null()).spawn().expect("the program starts");
    drop(command);
    let mut shown = BufReader::new(fs::File::from(ours));
    let mut said = Vec::new();
    while !String::from_utf8_lossy(&said).contains(question) {
        let mut byte = [0];
        shown.read_exact(&mut byte).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&said)));
        said.push(byte[0]);
    }
    support::hear(&String::from_utf8_lossy(&said));
    (child, shown)
}

#[test]
fn a_deletion_is_asked_for_by_the_name_of_its_step() {
    in_each_language(|| {
        use std::io::Write as _;
        let people = "  - { id: news, action: send_by_openid, to: { openids: [oA, oB] }, message: { mpnews: M } }\n";
        let tagged = "  - { id: news, action: send_by_tag, to: { tag_id: 2 }, message: { mpnews: M } }\n";
        for (name, answer, exit) in [("news", "news\n", 0), ("news", "announce\n", 9)] {
            for (sent, article) in [(people, &[][..]), (tagged, &["--article", "2"])] {
                let (case, server) = (Case::new().file("plan.yaml", plan(sent)), Fake::usual());
                case.against(&server, &[]).exits(0);
                let question = if support::spoken() == "zh" {
                    "请输入步骤名（news）："
                } else {
                    "name of the step (news):"
                };
                let args = [&["delete", "plan.yaml", name, "--api-base", &server.base], article].concat();
                let (mut child, mut shown) = asked_by(&case, &args, question);
                shown.get_mut().write_all(answer.as_bytes()).expect("takes it");
                assert_eq!(child.wait().expect("it ends").code(), Some(exit));
                let rest = shown.lines().map_while(Result::ok).collect::<Vec<_>>().join("\n");
                support::hear(&rest);
                assert_eq!(server.calls("/mass/delete").len(), usize::from(exit == 0));
            }
        }
        // Somebody who thinks better of it.
        let (case, server) = (Case::new().file("plan.yaml", plan(people)), Fake::usual());
        case.against(&server, &[]).exits(0);
        let question =
            if support::spoken() == "zh" { "请输入步骤名（news）：" } else { "name of the step (news):" };
        let (mut child, shown) =
            asked_by(&case, &["delete", "plan.yaml", "news", "--api-base", &server.base], question);
        signal(&child, "-INT");
        assert_eq!(child.wait().expect("it ends").code(), Some(130));
        let rest = shown.lines().map_while(Result::ok).collect::<Vec<_>>().join("\n");
        support::hear(&rest);
        assert!(server.calls("/mass/delete").is_empty());
    });
}

#[test]
fn who_interrupts_a_question_ends_the_run_at_once() {
    in_each_language(|| {
        for name in ["-INT", "-TERM", "-HUP"] {
            let (case, server) = (two_sends(), Fake::usual());
            let (mut child, shown) = asked(&case, &server);
            signal(&child, name);
            assert_eq!(child.wait().expect("it ends").code(), Some(130), "{name}");
            drop(shown);
            assert_eq!(server.sends().len(), 0);
            case.against(&server, &[]).exits(0);
        }
    });
}

#[test]
fn a_stalled_call_says_how_to_leave_at_once() {
    in_both(|language, suffix| {
        let case = two_sends().speaks(language);
        let server = Fake::scripted("sendall", vec![Answer::Stall]);
        let mut child = case.spawn(&["run", "plan.yaml", "--yes", "--quiet", "--api-base", &server.base]);
        server.wait_for(2);
        signal(&child, "-INT");
        let mut said = BufReader::new(child.stderr.take().expect("piped")).lines().map_while(Result::ok);
        let line = said.find(|line| !line.is_empty()).expect("it says how to leave");
        insta::assert_snapshot!(format!("stalled{suffix}"), line);
        signal(&child, "-INT");
        assert_eq!(child.wait().expect("it ends").code(), Some(7));
    });
}

#[test]
fn a_wait_for_the_state_store_says_so_and_ends_with_one_interrupt() {
    in_both(|language, suffix| {
        let (case, server) = (two_sends().speaks(language), Fake::usual());
        case.against(&server, &[]).exits(0);
        let other = rusqlite::Connection::open(case.path(".qunfa/state.db")).expect("opens");
        other.execute_batch("BEGIN IMMEDIATE").expect("nobody else writes");
        let mut child = case.spawn(&["run", "plan.yaml", "--yes", "--quiet", "--api-base", &server.base]);
        let mut said = BufReader::new(child.stderr.take().expect("piped")).lines().map_while(Result::ok);
        let waits = said.find(|line| !line.is_empty()).expect("it says for whom it waits");
        signal(&child, "-INT");
        let ends = said.collect::<Vec<_>>().join("\n").replace(&case.path("").display().to_string(), "");
        assert_eq!(child.wait().expect("it ends").code(), Some(130), "{waits}\n{ends}");
        insta::assert_snapshot!(format!("store{suffix}"), format!("{waits}\n{ends}"));
        other.execute_batch("ROLLBACK").expect("it wrote nothing");
        case.against(&server, &[]).exits(0);
    });
}

#[test]
fn a_signal_that_was_ignored_before_stays_ignored() {
    use std::sync::mpsc;
    for name in ["HUP", "INT", "TERM"] {
        let (go, wait) = mpsc::channel::<()>();
        let server = Fake::new(move |_, got| {
            if got.path.ends_with("sendall") {
                let _ = wait.recv();
            }
            Answer::Usual
        });
        let case = two_sends();
        let mut shell = case.command(&[]);
        let run = format!(
            "trap '' {name}; exec {} run plan.yaml --yes --api-base {}",
            env!("CARGO_BIN_EXE_qunfa"),
            server.base
        );
        let mut command = Command::new("sh");
        command.args(["-c", &run]).current_dir(case.path("")).env_clear();
        command.envs(shell.stdin(Stdio::null()).get_envs().filter_map(|(name, value)| Some((name, value?))));
        let child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("sh is there");
        server.wait_for(2);
        signal(&child, &format!("-{name}"));
        drop(go);
        Case::finish(child).exits(0);
        server.delivered_once(2);
    }
}

/// A run with reports, which `sh` starts with more streams.
fn shell(case: &Case, arguments: &str, streams: &str) -> Ran {
    let line = format!("exec {} {arguments} {streams}", env!("CARGO_BIN_EXE_qunfa"));
    let spoken = support::spoken();
    let mut command = Command::new("sh");
    command
        .args(["-c", &line])
        .current_dir(case.path(""))
        .env_clear()
        .env("NO_COLOR", "1")
        .env("WECHAT_SECRET", "s")
        .env("QUNFA_LANG", spoken);
    Case::finish(
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("sh is there"),
    )
}

#[test]
fn a_report_is_written_into_a_pipe_and_never_in_its_place() {
    let case = two_sends();
    pipe(&case.path("fifo"));
    let path = case.path("fifo");
    let reader = std::thread::spawn(move || fs::read_to_string(path).expect("reads"));
    case.run(&["run", "plan.yaml", "--sandbox", "--report", "junit=fifo"]).exits(0);
    assert!(fs::symlink_metadata(case.path("fifo")).expect("is there").file_type().is_fifo());
    assert!(reader.join().expect("reads").contains("<testsuites"));
}

#[test]
fn a_pipe_that_nobody_reads_is_said() {
    in_each_language(|| {
        let case = two_sends();
        pipe(&case.path("fifo"));
        case.run(&["run", "plan.yaml", "--sandbox", "--report", "junit=fifo"])
            .exits(1)
            .says("nobody reads from the pipe");
        assert!(fs::symlink_metadata(case.path("fifo")).expect("is there").file_type().is_fifo());
    });
}

#[test]
fn a_link_stays_a_link_and_leads_to_the_report() {
    let case = two_sends().file("elsewhere/old.json", "old");
    for (link, target) in
        [("link.json", "elsewhere/old.json"), ("new.json", "elsewhere/new.json"), ("null.json", "/dev/null")]
    {
        symlink(target, case.path(link)).expect("makes a link");
        let report = format!("json={link}");
        case.run(&["run", "plan.yaml", "--sandbox", "--report", &report]).exits(0);
        assert_eq!(fs::read_link(case.path(link)).expect("still a link"), Path::new(target));
        if target != "/dev/null" {
            assert!(case.read(target).contains("\"run_id\""), "{target}");
        }
    }
    assert!(fs::metadata("/dev/null").expect("is there").file_type().is_char_device());
    case.run(&["preview-html", "plan.yaml", "--out", "null.json"]).exits(0);
    assert_eq!(fs::read_link(case.path("null.json")).expect("still a link"), Path::new("/dev/null"));
}

#[test]
fn open_streams_get_the_report_after_all_that_is_in_them() {
    let case = two_sends().file("three", "before\n");
    shell(&case, "run plan.yaml --sandbox --report json=/dev/fd/3", "3>>three").exits(0);
    let three = case.read("three");
    assert!(three.starts_with("before\n{"), "{three}");
    // A file that is standard output: the report stands among what is printed, and takes nothing of it.
    shell(&case, "run plan.yaml --sandbox --report markdown=/dev/stdout --report junit=/dev/stderr", ">out 2>err")
        .exits(0);
    let (out, err) = (case.read("out"), case.read("err"));
    let (printed, markdown) = (out.find("2 messages").or_else(|| out.find("delivered")), out.find("# "));
    assert!(printed.is_some() && markdown.is_some(), "{out}");
    assert!(err.contains("<testsuites"), "{err}");
}

/// A device on which nothing can be written, as a full disk is.
#[cfg(target_os = "linux")]
#[test]
fn a_full_standard_output_is_said_and_is_no_success() {
    in_each_language(|| {
        let case = two_sends();
        let commands = [
            "render plan.yaml",
            "render plan.yaml --format http",
            "validate plan.yaml",
            "validate plan.yaml --format sarif",
            "run plan.yaml --sandbox",
            "run plan.yaml --sandbox --format json",
            "status plan.yaml",
            "schema plan",
            "preview-html plan.yaml --out -",
            "explain Q201",
            "completions bash",
            "doctor plan.yaml --sandbox",
            "fmt plan.yaml --check",
            "--help",
            "--version",
            "help run",
            "version",
        ];
        for command in commands {
            let quiet = shell(&case, command, "");
            if quiet.stdout.is_empty() {
                continue;
            }
            let ran = shell(&case, command, ">/dev/full");
            assert_ne!(ran.code, 0, "{command}");
            ran.says("cannot write to standard output: no space is left on the device");
            // A reader that has gone had enough.
            let (reader, writer) = std::io::pipe().expect("a pipe");
            drop(reader);
            let arguments: Vec<&str> = command.split(' ').collect();
            let status = case.command(&arguments).stdout(writer).stderr(Stdio::null()).status().expect("starts");
            assert_eq!(status.code(), Some(quiet.code), "{command}");
        }
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_report_that_cannot_be_written_is_no_success() {
    in_both(|language, suffix| {
        let case = two_sends().speaks(language);
        let args = ["run", "plan.yaml", "--sandbox", "--report", "json=/dev/full", "--report", "junit=plan.yaml/x.xml"];
        let ran = case.run(&args).exits(1);
        insta::assert_snapshot!(format!("report-unwritten{suffix}"), ran.stderr);
    });
}

#[test]
fn the_sandbox_and_another_server_are_not_one() {
    in_both(|language, suffix| {
        let case = two_sends().speaks(language);
        let ran = case.run(&["run", "plan.yaml", "--sandbox", "--api-base", "http://127.0.0.1:9"]).exits(2);
        insta::assert_snapshot!(format!("sandbox-and-base{suffix}"), ran.stderr);
        case.run(&["doctor", "plan.yaml", "--sandbox", "--api-base", "http://127.0.0.1:9"]).exits(2);
        let from_the_environment = two_sends().env("QUNFA_API_BASE", "http://127.0.0.1:9");
        from_the_environment.run(&["run", "plan.yaml", "--sandbox"]).exits(2);
    });
}

#[test]
fn who_answers_with_another_name_sends_nothing() {
    in_each_language(|| {
        use std::io::Write as _;
        let people = "  - { id: list, action: send_by_openid, to: { openids: [oA, oB] }, message: { text: 你好 } }\n";
        let news = "  - { id: news, action: send_by_tag, to: { tag_id: 3 }, message: { mpnews: M } }\n  - { id: gone, action: delete, of: news }\n";
        let never = send("never").replace("id: never,", "id: never, when: false,");
        let case = Case::new().file("plan.yaml", plan(&(send("one") + people + news + &never)));
        let quota = serde_json::json!({ "errcode": 0, "quota": { "daily_limit": 100, "used": 1, "remain": 99 } });
        let server = Fake::new(move |_, got| match got.path.ends_with("/quota/get") {
            true => Answer::Json(quota.clone()),
            false => Answer::Usual,
        });
        let (mut child, mut shown) = asked(&case, &server);
        shown.get_mut().write_all(b"other\n").expect("takes it");
        assert_eq!(child.wait().expect("it ends").code(), Some(9));
        // The terminal ends with an error, not with an end of the file.
        let rest = shown.lines().map_while(Result::ok).collect::<Vec<_>>().join("\n");
        support::told(&rest, "not confirmed; nothing was sent");
        assert_eq!(server.sends().len(), 0);
    });
}
