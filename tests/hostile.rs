//! Words from outside are data wherever they are shown: one test over every output, with hostile text in every field.

use serde_json::json;

use crate::support::{Answer, Case, Fake, Got, Ran, in_each_language, plan};

/// What a server, a file name or a plan may try: to paint, to break lines, to turn them, to command a CI, to call people.
const HOSTILE: &str = "x\u{1b}[31mA\u{1b}]0;T\u{7}\rB\u{8}\u{85}C\u{2028}D\u{2029}E\u{202e}F\u{2066}G\u{200f}H\u{9b}2J\n::error::I\n  ::add-mask::J\n##[group]K @everyone <b>https://evil.example/ www.evil.example";
/// The same without what a plan may not hold.
const WRITTEN: &str = "x C\u{2028}D\u{2029}E ##[group]K @everyone <b> https://evil.example/";

#[track_caller]
fn is_harmless(text: &str, what: &str) {
    for c in text.chars() {
        let acts = (c.is_control() && !matches!(c, '\n' | '\t'))
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        assert!(!acts, "{what} holds U+{:04X}:\n{text:?}", c as u32);
    }
}

/// Nothing in it is a workflow command, but those that we write ourselves.
#[track_caller]
fn commands_nothing(text: &str, what: &str) {
    for line in text.lines() {
        let ours = line.starts_with("::error ") || line.starts_with("::warning ");
        let command = line.trim_start().starts_with("::") || line.contains("##[");
        assert!(ours || !command, "{what}: {line:?}\n{text}");
    }
}

#[track_caller]
fn says_nothing_hostile(ran: &Ran, what: &str) {
    is_harmless(&ran.stdout, &format!("stdout of {what}"));
    is_harmless(&ran.stderr, &format!("stderr of {what}"));
    commands_nothing(&ran.stdout, &format!("stdout of {what}"));
    commands_nothing(&ran.stderr, &format!("stderr of {what}"));
}

fn hostile_server() -> Fake {
    Fake::new(|_, got: &Got| match got.path.as_str() {
        path if path.ends_with("/sendall") => Answer::Json(
            json!({ "errcode": 40003, "errmsg": format!("{HOSTILE} rid: 65f3a1b2-0a1b2c3d-4e5f6a7b"), HOSTILE: HOSTILE }),
        ),
        path if path.ends_with("/tags/get") => {
            Answer::Json(json!({ "tags": [{ "id": 3, "name": HOSTILE, "count": 4 }] }))
        }
        path if path.ends_with("/quota/get") => Answer::Json(json!({ "errcode": 45009, "errmsg": HOSTILE })),
        path if path.ends_with("/speed/get") => Answer::Json(json!({ "errcode": 1, "errmsg": HOSTILE })),
        _ => Answer::Usual,
    })
}

#[test]
fn no_output_obeys_words_from_outside() {
    in_each_language(|| {
        let quoted: String = WRITTEN.chars().map(|c| format!("\\U{:08x}", c as u32)).collect();
        let steps = format!(
        "  - {{ id: one, action: send_by_tag, description: \"{quoted}\", to: {{ tag: \"{quoted}\" }}, message: {{ text: \"{quoted}\" }}, continue_on_error: true }}
  - {{ id: two, action: send_by_tag, foreach: [{{ k: \"@everyone##\" }}], key: \"{{{{ row.k }}}}\", to: {{ tag_id: 2 }}, message: {{ text: 你好 }}, continue_on_error: true }}
  - {{ id: three, action: send_by_tag, to: {{ tag_id: 2 }}, message: {{ text: 你好 }} }}
"
    );
        let name = format!("p{}.yaml", HOSTILE.replace('/', "_"));
        let case = Case::new().env("GITHUB_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", "summary.md");
        case.write(&name, plan(&steps));
        let server = hostile_server();
        let base = ["--api-base", &server.base];
        let reports: Vec<String> = ["human", "json", "junit", "markdown", "html"]
            .iter()
            .map(|format| format!("{format}=r.{format}"))
            .collect();
        let mut run =
            vec!["run", name.as_str(), "--yes", "--verbose", "--only", "two,three", "--api-base", &server.base];
        reports.iter().for_each(|report| run.extend(["--report", report]));
        let ran = case.run(&run);
        assert!(ran.code == 5, "{}\n{}", ran.stdout, ran.stderr);
        says_nothing_hostile(&ran, "run");
        for format in ["human", "json", "junit", "markdown", "html"] {
            let report = case.read(&format!("r.{format}"));
            if format != "json" {
                is_harmless(&report, format);
            }
        }
        for page in ["r.markdown", "summary.md"] {
            let text = case.read(page);
            assert!(
                !text.contains("@everyone") && !text.contains("<b>") && !text.contains("https://evil"),
                "{page}: {text}"
            );
        }
        let commands: Vec<Vec<&str>> = vec![
            vec!["run", &name, "--yes", "--format", "json"],
            vec!["run", &name, "--sandbox"],
            vec!["validate", &name],
            vec!["validate", &name, "--format", "json"],
            vec!["validate", &name, "--format", "sarif"],
            vec!["validate", &name, "--format", "github"],
            vec!["validate", &name, "--format", "gitlab"],
            vec!["fmt", "--check", &name],
            vec!["render", &name],
            vec!["status", &name],
            vec!["status", &name, "--format", "json"],
            vec!["doctor", &name],
            vec!["doctor", &name, "--format", "json"],
            vec!["report", &name],
            vec!["report", &name, "--format", "json"],
            vec!["report", &name, "--format", "junit"],
            vec!["report", &name, "--format", "markdown"],
            vec!["report", &name, "--format", "html"],
            vec!["audience", &name, "two"],
            vec!["settle", &name, HOSTILE, "--not-sent"],
            vec!["explain", HOSTILE],
            vec!["validate", "\n::error::x"],
            vec!["--\n::error::x"],
            vec!["run", "\u{1b}[31m\u{202e}"],
        ];
        for args in commands {
            let with_base: Vec<&str> = args.iter().copied().chain(base).collect();
            let ran =
                case.run(if args.contains(&"--sandbox") || args[0].starts_with("--") { &args } else { &with_base });
            says_nothing_hostile(&ran, &format!("{args:?}"));
        }
        // Colours that are ours stay, and nothing else of their kind.
        let coloured = case.run(&["validate", "\u{1b}[31m\n::error::x", "--color", "always"]);
        assert!(coloured.stderr.contains("\u{1b}["), "{:?}", coloured.stderr);
        is_harmless(&anstream_less(&coloured.stderr), "colours");
    });
}

#[test]
fn the_page_of_a_preview_shows_words_of_a_plan_and_obeys_none() {
    let words = "x y\u{2028}z</b><i>";
    let escaped = |words: &str| words.chars().map(|c| format!("\\U{:08x}", c as u32)).collect::<String>();
    let cover = format!("{words}.png").replace('/', "_");
    let (quoted, file) = (escaped(words), escaped(&cover));
    let steps = format!(
        "  - {{ id: d, action: create_draft, description: \"{quoted}\", articles: [{{ content: 你好, title: \"{quoted}\", author: \"{quoted}\", digest: \"{quoted}\", cover: \"{file}\" }}] }}
  - {{ id: p, action: preview, to: {{ wxname: tea-editor }}, message: {{ mpnews: {{ media_id: \"{{{{ steps.d.media_id }}}}\" }} }} }}
  - {{ id: v, action: send_by_tag, to: {{ tag: \"{quoted}\" }}, message: {{ mpvideo: {{ media_id: m, title: \"{quoted}\", description: \"{quoted}\" }} }} }}
"
    );
    let case = Case::new().file("plan.yaml", plan(&steps));
    let picture = std::fs::read(crate::support::repository().join("tests/pictures/jade-4x2.png"));
    case.write(&cover, picture.expect("is there"));
    for language in ["en", "zh"] {
        let ran =
            case.command(&["preview-html", "plan.yaml", "--out", "page.html"]).env("QUNFA_LANG", language).output();
        let ran = ran.expect("starts");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        let page = case.read("page.html");
        is_harmless(&page, "the page");
        assert!(page.contains("x y\u{fffd}z"), "its words are there: {page}");
        assert!(!page.contains("</b><i>"), "{page}");
    }
}

/// The text without colours.
fn anstream_less(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |out, part| out + part.split_once('m').map_or(part, |(_, rest)| rest))
}

#[test]
fn the_log_of_the_sandbox_shows_what_it_was_sent() {
    in_each_language(|| {
        use std::io::{BufRead as _, BufReader, Write as _};
        let case = Case::new().env("GITHUB_ACTIONS", "true");
        let mut child = case.spawn(&["sandbox", "--listen", "127.0.0.1:0"]);
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let first = lines.next().expect("a line").expect("text");
        let address = first.rsplit("http://").next().expect("an address").trim().to_owned();
        let body = format!("{{\"appid\":\"{}\"}}", HOSTILE.replace('\n', "\\n"));
        let mut stream = std::net::TcpStream::connect(address.trim_end_matches('/')).expect("connects");
        let head = format!(
            "POST /cgi-bin/stable_token HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).expect("takes it");
        let line = lines.next().expect("a line").expect("text");
        child.kill().expect("ours");
        child.wait().expect("ends");
        is_harmless(&line, "the sandbox's log");
        commands_nothing(&line, "the sandbox's log");
    });
}

/// Where the process may not map as much as its stack would take, it works on the one that it has.
#[cfg(target_os = "linux")]
#[test]
fn a_small_address_space_is_enough_for_a_usual_plan() {
    let case = Case::new().file("plan.yaml", plan(&crate::support::send("one")));
    let script = format!("ulimit -v 400000; exec \"{}\" validate plan.yaml", env!("CARGO_BIN_EXE_qunfa"));
    let ran = std::process::Command::new("/bin/sh").args(["-c", &script]).current_dir(case.path("")).output();
    let ran = ran.expect("a shell");
    assert!(ran.status.success() && !String::from_utf8_lossy(&ran.stderr).contains("panicked"), "{ran:?}");
}
