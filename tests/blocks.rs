//! Every command block of the pages is run, and what it shows is what the programs say.
//!
//! - The blocks of a page run in their order, in one shell, in a folder that holds `examples/`: a page builds up state.
//! - A `console` block holds commands (`$ …`; a line that ends with `\` goes on) and what each of them shows: what it wrote to standard
//!   output, with or without what it wrote to standard error. A command that does not end with 0 says so: `$ qunfa validate broken.yaml  # exit 3`.
//!   A line `…` stands for any number of lines.
//! - A `sh` block is run too, its output is not shown. `sh no-run` is for what no test can do (the network, the real WeChat).
//! - What programs say to a page in Chinese is Chinese.
//! - A block with `file=PATH` is written to that file first; the words before it name the file for the reader.
//! - `qunfa sandbox` goes on in the background, on a free port that is shown as 8080.
//!
//! `UPDATE_DOCS=1` writes what is shown anew. Run ids, and times of runs that really take time, are not compared.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{examples::copied, support::repository};

/// Every Markdown file of the repository that people read.
pub(crate) fn pages() -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("readable").flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if path.is_dir() && !name.starts_with('.') && name != "target" && name != "plans" && name != "fixtures" {
                walk(&path, found);
            } else if name.ends_with(".md") {
                found.push(path);
            }
        }
    }
    let root = repository();
    let mut found = Vec::new();
    walk(root, &mut found);
    let mut found: Vec<PathBuf> =
        found.into_iter().map(|path| path.strip_prefix(root).expect("below it").to_owned()).collect();
    // What examples hold beside their README is content.
    found.retain(|path| {
        !path.starts_with("examples") || path.ends_with("README.md") || path.ends_with("README.zh-CN.md")
    });
    found.sort();
    found
}

/// A fenced block.
pub(crate) struct Block<'t> {
    /// The line of the page on which it begins, from 1.
    pub(crate) line: usize,
    pub(crate) info: &'t str,
    /// Bytes of what stands between the fences.
    pub(crate) start: usize,
    pub(crate) text: &'t str,
}

impl Block<'_> {
    fn is(&self, word: &str) -> bool {
        self.info.split_whitespace().any(|part| part == word)
    }

    fn file(&self) -> Option<&str> {
        self.info.split_whitespace().find_map(|part| part.strip_prefix("file="))
    }
}

/// The fenced blocks of a page.
pub(crate) fn blocks(page: &str) -> Vec<Block<'_>> {
    let fence = |line: &str| line.len() - line.trim_start_matches('`').len();
    let mut blocks = Vec::new();
    let mut open: Option<(usize, usize, &str, usize)> = None;
    let mut at = 0;
    for (index, line) in page.split_inclusive('\n').enumerate() {
        let (next, trimmed) = (at + line.len(), line.trim());
        let ticks = fence(trimmed);
        match open {
            None if ticks >= 3 => open = Some((ticks, index + 1, trimmed[ticks..].trim(), next)),
            Some((ticks_of_open, line, info, start)) if ticks >= ticks_of_open && trimmed.len() == ticks => {
                blocks.push(Block { line, info, start, text: &page[start..at] });
                open = None;
            }
            _ => {}
        }
        at = next;
    }
    blocks
}

/// A command, and where what it shows stands in the page (none in a `sh` block).
struct Shell {
    line: usize,
    command: String,
    exit: i32,
    shown: Option<(usize, usize)>,
}

/// What is done for a page, in this order.
enum Deed<'t> {
    File(&'t str, &'t str),
    Run(Shell),
}

fn console(block: &Block) -> Vec<Shell> {
    let mut commands: Vec<Shell> = Vec::new();
    let mut at = block.start;
    let mut goes_on = false;
    for (index, line) in block.text.split_inclusive('\n').enumerate() {
        let (next, words) = (at + line.len(), line.trim_end());
        if goes_on || words.starts_with("$ ") {
            let words = words.strip_prefix("$ ").unwrap_or(words);
            if goes_on {
                let last = commands.last_mut().expect("it was begun");
                last.command.push('\n');
                last.command.push_str(words);
                last.shown = Some((next, next));
            } else {
                let line = block.line + 1 + index;
                commands.push(Shell { line, command: words.to_owned(), exit: 0, shown: Some((next, next)) });
            }
            goes_on = words.ends_with('\\');
        } else {
            let last = commands.last_mut().unwrap_or_else(|| panic!("line {}: no command", block.line));
            last.shown = last.shown.map(|(start, _)| (start, next));
        }
        at = next;
    }
    for shell in &mut commands {
        if let Some((_, code)) = shell.command.rsplit_once("# exit ") {
            shell.exit = code.trim().parse().expect("an exit code");
        }
    }
    commands
}

fn script(block: &Block) -> Vec<Shell> {
    let mut commands: Vec<Shell> = Vec::new();
    let mut goes_on = false;
    for (index, line) in block.text.lines().enumerate() {
        if goes_on {
            let last = commands.last_mut().expect("it was begun");
            last.command.push('\n');
            last.command.push_str(line);
        } else if !line.trim().is_empty() && !line.trim_start().starts_with('#') {
            commands.push(Shell { line: block.line + 1 + index, command: line.to_owned(), exit: 0, shown: None });
        }
        goes_on = line.ends_with('\\');
    }
    commands
}

fn deeds<'t>(name: &str, page: &'t str, blocks: &'t [Block<'t>]) -> Vec<Deed<'t>> {
    let mut deeds = Vec::new();
    for block in blocks {
        let language = block.info.split([' ', ',']).next().unwrap_or_default();
        if let Some(file) = block.file() {
            let before: String =
                page[..block.start].chars().rev().take(400).collect::<Vec<_>>().into_iter().rev().collect();
            let words = before.rsplit_once("```").map_or("", |(words, _)| words);
            assert!(
                words.contains(&format!("`{file}`")),
                "{name}:{}: the text before does not name `{file}`",
                block.line
            );
            deeds.push(Deed::File(file, block.text));
        }
        match language {
            "console" => deeds.extend(console(block).into_iter().map(Deed::Run)),
            "sh" if block.is("no-run") => {}
            "sh" => deeds.extend(script(block).into_iter().map(Deed::Run)),
            _ => {
                let command = block.text.lines().any(|line| line.starts_with("$ "));
                assert!(!command, "{name}:{}: a block of commands is `console`, so that it is run", block.line);
                assert!(
                    !matches!(language, "bash" | "shell" | "zsh"),
                    "{name}:{}: write `sh`, so that it is run",
                    block.line
                );
            }
        }
    }
    deeds
}

/// `--now` is for dry runs and rehearsals, and refused where WeChat itself is meant.
const PRELUDE: &str = r#"port=8080
qunfa() {
    case "${QUNFA_API_BASE:-} $* " in
        *127.0.0.1* | *--sandbox* | *" validate "* | *" render "*) command qunfa "$@" ;;
        *) (unset QUNFA_NOW; command qunfa "$@") ;;
    esac
}
"#;

/// Whether a page is for those who read Chinese.
fn is_chinese(page: &str) -> bool {
    page.starts_with("docs/zh/") || page.ends_with(".zh-CN.md")
}

/// What the commands of a page said: standard output, standard error, exit code.
fn run(page: &str, deeds: &[Deed]) -> Vec<(String, String, i32)> {
    let case = copied();
    let said = tempfile::tempdir().expect("a folder");
    let put = |name: String, text: &str| fs::write(said.path().join(name), text).expect("writes");
    let mut shell = String::from(PRELUDE);
    for (number, deed) in deeds.iter().enumerate() {
        match deed {
            Deed::File(file, text) => {
                put(format!("{number}.file"), text);
                writeln!(shell, "mkdir -p \"$(dirname '{file}')\"; cp \"$SAID/{number}.file\" '{file}'").expect("text");
            }
            Deed::Run(Shell { command, .. }) if command.starts_with("qunfa sandbox") => {
                let command = command.trim_end_matches('&');
                writeln!(
                    shell,
                    "exec 3< <(exec {command} --listen 127.0.0.1:0 2>/dev/null); server=$!; read -r line <&3; port=${{line##*:}}
echo \"$line\" >\"$SAID/{number}.out\"; : >\"$SAID/{number}.err\"; echo 0 >\"$SAID/{number}.code\"; echo \"$port\" >\"$SAID/port\""
                )
                .expect("text");
            }
            Deed::Run(Shell { command, .. }) => {
                put(format!("{number}.command"), command);
                writeln!(
                    shell,
                    "command=$(cat \"$SAID/{number}.command\")
eval \"${{command//127.0.0.1:8080/127.0.0.1:$port}}\" >\"$SAID/{number}.out\" 2>\"$SAID/{number}.err\" 3<&-; echo $? >\"$SAID/{number}.code\""
                )
                .expect("text");
            }
        }
    }
    shell.push_str("if [ -n \"${server:-}\" ]; then kill \"$server\"; fi\n");
    put("script".into(), &shell);
    let programs = Path::new(env!("CARGO_BIN_EXE_qunfa")).parent().expect("a folder");
    let ended = Command::new("bash")
        .arg(said.path().join("script"))
        .current_dir(case.path("."))
        .env_clear()
        .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", programs.display()))
        .env("SAID", said.path())
        .env("HOME", said.path())
        .env("LANG", "C.UTF-8")
        .env("QUNFA_LANG", if is_chinese(page) { "zh" } else { "en" })
        .env("NO_COLOR", "1")
        .env("QUNFA_NOW", "2026-03-02T10:00:00+08:00")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_COUNT", "3")
        .envs([("GIT_CONFIG_KEY_0", "init.defaultBranch"), ("GIT_CONFIG_VALUE_0", "main")])
        .envs([("GIT_CONFIG_KEY_1", "user.name"), ("GIT_CONFIG_VALUE_1", "editor")])
        .envs([("GIT_CONFIG_KEY_2", "user.email"), ("GIT_CONFIG_VALUE_2", "editor@example.com")])
        .envs([("GIT_AUTHOR_DATE", "2026-03-02T10:00:00+08:00"), ("GIT_COMMITTER_DATE", "2026-03-02T10:00:00+08:00")])
        .stdin(Stdio::null())
        .output()
        .expect("bash is there");
    let port = fs::read_to_string(said.path().join("port")).unwrap_or_else(|_| "8080".into());
    // Who did something by hand did it on some machine.
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
    let mut all = Vec::new();
    for (number, deed) in deeds.iter().enumerate() {
        let read = |kind: &str| {
            let text = fs::read_to_string(said.path().join(format!("{number}.{kind}"))).unwrap_or_else(|error| {
                panic!("{page}: command {number}: {error}\n{}", String::from_utf8_lossy(&ended.stderr))
            });
            let folder = case.path(".").canonicalize().expect("is there");
            text.replace(&format!("127.0.0.1:{}", port.trim()), "127.0.0.1:8080")
                .replace(&folder.display().to_string(), "/campaigns")
                .replace(&format!(" on {host}:"), " on office:")
                .replace(&format!("（{host}）"), "（office）")
        };
        if matches!(deed, Deed::Run(_)) {
            all.push((read("out"), read("err"), read("code").trim().parse().expect("a number")));
        } else {
            all.push((String::new(), String::new(), 0));
        }
    }
    all
}

/// The lines of what a command shows. Run ids are made of time and chance. What is no rehearsal takes time, and lines are broken
/// and tables as wide as what is in them: there words are compared.
fn normal(text: &str, rehearsed: bool) -> Vec<String> {
    let word = |word: &str| {
        let bare = word.trim_end_matches([',', '.', '`']);
        let id =
            bare.len() == 22 && bare.as_bytes()[8] == b'-' && bare.as_bytes().iter().take(8).all(u8::is_ascii_digit);
        let time = !rehearsed
            && bare.strip_suffix("ms").or_else(|| bare.strip_suffix('s')).is_some_and(|number| {
                !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
            });
        let clock = !rehearsed && bare.len() == 8 && bare.as_bytes()[2] == b':' && bare.as_bytes()[5] == b':';
        if id {
            word.replace(bare, "RUN")
        } else if time || clock {
            "TIME".to_owned()
        } else {
            word.to_owned()
        }
    };
    if !rehearsed {
        return without_durations(text).split_whitespace().map(word).collect();
    }
    let mut lines: Vec<String> = text
        .lines()
        .map(|line| line.split(' ').map(word).collect::<Vec<_>>().join(" ").trim_end().to_owned())
        .collect();
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines
}

/// In Chinese the unit is a word of its own: `12 毫秒`.
fn without_durations(text: &str) -> String {
    [" 毫秒", " 秒"].iter().fold(text.to_owned(), |text, unit| {
        let number = |c: char| c.is_ascii_digit() || c == '.';
        let parts: Vec<&str> = text.split(unit).collect();
        let (last, before) = parts.split_last().expect("one at least");
        before.iter().map(|part| format!("{} TIME", part.trim_end_matches(number))).collect::<String>() + last
    })
}

/// Whether lines are as shown, where `…` stands for any number of them.
fn same(shown: &[String], said: &[String]) -> bool {
    let Some(cut) = shown.iter().position(|line| line.trim() == "…") else { return shown == said };
    let (head, rest) = (&shown[..cut], &shown[cut + 1..]);
    said.starts_with(head) && (head.len()..=said.len()).any(|from| same(rest, &said[from..]))
}

fn check(name: &str) -> usize {
    let path = repository().join(name);
    let page = fs::read_to_string(&path).expect("is there");
    let blocks = blocks(&page);
    let deeds = deeds(name, &page, &blocks);
    let count = deeds.iter().filter(|deed| matches!(deed, Deed::Run(_))).count();
    if count == 0 {
        return 0;
    }
    // From here on runs take real time.
    let server = deeds.iter().find_map(|deed| match deed {
        Deed::Run(shell) if shell.command.starts_with("qunfa sandbox") => Some(shell.line),
        _ => None,
    });
    let mut new = String::new();
    let mut copied_to = 0;
    for (deed, (out, err, code)) in deeds.iter().zip(run(name, &deeds)) {
        let Deed::Run(shell) = deed else { continue };
        let place = format!("{name}:{}: {}", shell.line, shell.command);
        assert_eq!(code, shell.exit, "the exit code of {place}\n{err}{out}");
        let Some((start, end)) = shell.shown else { continue };
        let shown = page[start..end].trim_end();
        let rehearsed = server.is_none_or(|line| line >= shell.line);
        let sayings = match (out.is_empty(), code) {
            (false, _) => vec![out.clone(), format!("{err}{out}")],
            (true, 0) => vec![String::new(), err.clone()],
            (true, _) => vec![err.clone()],
        };
        if sayings.iter().any(|said| same(&normal(shown, rehearsed), &normal(said, rehearsed))) {
            continue;
        }
        let said = if code == 0 { &sayings[0] } else { sayings.last().expect("one") };
        if std::env::var_os("UPDATE_DOCS").is_some() {
            let gap = if page[start..end].ends_with("\n\n") { "\n" } else { "" };
            let said: String = said.trim_end().lines().map(|line| format!("{}\n", line.trim_end())).collect();
            new.push_str(&page[copied_to..start]);
            new.push_str(&said);
            new.push_str(gap);
            copied_to = end;
        } else {
            assert_eq!(normal(shown, rehearsed), normal(said, rehearsed), "{place}");
            panic!("{place}: it says\n{err}{out}");
        }
    }
    if copied_to > 0 {
        fs::write(&path, new + &page[copied_to..]).expect("writes the page");
    }
    count
}

#[test]
fn shown_output_is_real() {
    // What contributors run takes hours, or is CI.
    let shown =
        |page: &PathBuf| ["README.md", "README.zh-CN.md", "docs", "examples"].iter().any(|of| page.starts_with(of));
    let pages: Vec<PathBuf> = pages().into_iter().filter(shown).collect();
    let ran: usize = pages.iter().map(|page| check(&page.to_string_lossy())).sum();
    assert!(ran >= 20, "{ran} commands in {} pages", pages.len());
}

#[test]
fn a_page_is_read_as_its_readers_read_it() {
    let page = "x\n```console\n$ a \\\n    b\n1\n\n$ c # exit 3\n2\n```\n````text\n```\n````\n```sh no-run\nd\n```\n```sh\n# e\nf\n```\n";
    let blocks = blocks(page);
    let told = |shell: &Shell| {
        format!("{}:{}={}:{:?}", shell.line, shell.command, shell.exit, shell.shown.map(|(from, to)| &page[from..to]))
    };
    let deeds = deeds("page", page, &blocks);
    let told: Vec<String> = deeds
        .iter()
        .map(|deed| match deed {
            Deed::Run(shell) => told(shell),
            Deed::File(..) => "a file".into(),
        })
        .collect();
    assert_eq!(told, ["3:a \\\n    b=0:Some(\"1\\n\\n\")", "7:c # exit 3=3:Some(\"2\\n\")", "18:f=0:None"]);
    let lines = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    assert!(same(&lines("a … d"), &lines("a b c d")) && same(&lines("a …"), &lines("a")));
    assert!(!same(&lines("a … d"), &lines("a b c")) && !same(&lines("a"), &lines("a b")));
    assert_eq!(normal("run 20260302-100000-6bcbda, 12ms", true), ["run RUN, 12ms"]);
    assert_eq!(normal("a   12ms\nb 1.5s,\n", false), ["a", "TIME", "b", "TIME"]);
    assert_eq!(normal("a   12 毫秒\nb，1.5 秒，", false), ["a", "TIME", "b，", "TIME，"]);
}
