//! `qunfa fmt`: layout is settled, and nothing else.

use std::{collections::HashMap, fs, io::Write as _, path::Path, process::Stdio};

use proptest::prelude::*;
use qunfa::{
    diag::{
        Diagnostics,
        source::{self, SourceMap},
    },
    plan::{fmt, yaml},
};
use serde_json::Value;

use crate::{
    properties::{Files, pipe},
    support::{Case, in_both, in_each_language, repository},
};

fn settled(text: &str) -> String {
    let (mut sources, mut diagnostics) = (SourceMap::default(), Diagnostics::default());
    let text = source::decode(text.as_bytes().to_vec()).expect("text");
    let file = sources.add("plan.yaml", text);
    let settled = fmt::format(file, &mut sources, &mut diagnostics);
    settled.unwrap_or_else(|error| panic!("{error:?} {diagnostics:?}\n{}", sources.file(file).text))
}

fn value(text: &str) -> Value {
    let (mut sources, mut diagnostics) = (SourceMap::default(), Diagnostics::default());
    let file = sources.add("plan.yaml", text.to_owned());
    let document = yaml::parse(file, &sources, &mut diagnostics);
    document.filter(|_| diagnostics.is_empty()).unwrap_or_else(|| panic!("{diagnostics:?}\n{text}")).value
}

#[test]
fn layouts() {
    let case = Case::new();
    insta::glob!("fmt/*.yaml", |path| {
        let text = fs::read_to_string(path).expect("readable");
        let once = case.with_stdin(&["fmt", "-"], &text).exits(0).stdout;
        insta::assert_snapshot!(once);
        assert_eq!(settled(&once), once, "once is enough");
        assert_eq!(settled(&text.replace('\n', "\r\n")), once, "lines may end as on Windows");
    });
}

/// The plans that are right, and the examples: what they send does not change.
#[test]
fn what_is_sent_stays_what_it_is() {
    let case = Case::new().env("QUNFA_TEST_BUILD", "42").env("QUNFA_NOW", "2026-03-02T10:00:00+08:00");
    let rendered = |folder: &Path, text: &str| {
        let mut command = case.command(&["render", "-"]);
        command.current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("takes it");
        let ran = Case::finish(child).exits(0);
        assert!(ran.json()["digest"].is_string());
        ran.stdout
    };
    let mut plans: Vec<_> = fs::read_dir(repository().join("tests/plans/ok"))
        .expect("readable")
        .flatten()
        .map(|entry| entry.path())
        .collect();
    let examples = fs::read_dir(repository().join("examples")).expect("readable").flatten();
    // The plan of a fleet has its account elsewhere.
    let examples = examples.map(|entry| entry.path()).filter(|folder| !folder.join("fleet.yaml").exists());
    plans.extend(examples.map(|folder| folder.join("plan.yaml")).filter(|plan| plan.exists()));
    assert!(plans.len() >= 25);
    for plan in plans {
        let text = fs::read_to_string(&plan).expect("readable");
        let once = settled(&text);
        assert_eq!(settled(&once), once, "{}", plan.display());
        let folder = plan.parent().expect("a folder");
        assert_eq!(rendered(folder, &once), rendered(folder, &text), "{}", plan.display());
    }
}

#[test]
fn the_examples_are_settled() {
    let examples = fs::read_dir(repository().join("examples")).expect("readable").flatten();
    // The engines have the plan of another example.
    let plans = examples.map(|entry| entry.path().join("plan.yaml")).filter(|plan| plan.exists());
    let plans: Vec<_> = plans.collect();
    assert!(plans.len() >= 7);
    for plan in plans {
        let text = fs::read_to_string(&plan).expect("readable");
        assert_eq!(settled(&text), text, "{}", plan.display());
    }
}

const UNSETTLED: &str = "name:   'test'\nversion: 1\n";
const SETTLED: &str = "version: 1\nname: \"test\"\nsteps: []\n";

#[test]
fn files_are_rewritten_and_named() {
    let text = format!("{UNSETTLED}steps: []\n");
    let case = Case::new().file("a.yaml", &text).file("b.yaml", SETTLED);
    in_both(|language, suffix| {
        let checked = case.run(&["fmt", "--check", "a.yaml", "b.yaml", "--lang", language]).exits(9);
        insta::assert_snapshot!(
            format!("fmt-check{suffix}"),
            format!("{}--- stderr\n{}", checked.stdout, checked.stderr)
        );
    });
    assert_eq!(case.read("a.yaml"), text, "--check writes nothing");
    assert_eq!(case.run(&["fmt", "a.yaml", "b.yaml"]).exits(0).stdout, "a.yaml\n");
    assert_eq!(case.read("a.yaml"), SETTLED);
    assert_eq!(case.run(&["fmt", "a.yaml", "b.yaml"]).exits(0).stdout, "");
    case.run(&["fmt", "--check", "a.yaml", "b.yaml"]).exits(0);
    case.with_stdin(&["fmt", "--check", "-"], &text).exits(9);
    assert_eq!(fs::read_dir(case.path("")).expect("readable").count(), 2, "nothing else is left");
}

#[cfg(unix)]
#[test]
fn permissions_and_links_stay() {
    in_each_language(|| {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let case = Case::new().file("real/a.yaml", UNSETTLED);
        fs::set_permissions(case.path("real/a.yaml"), fs::Permissions::from_mode(0o640)).expect("ours");
        symlink("real/a.yaml", case.path("link.yaml")).expect("a link");
        assert_eq!(case.run(&["fmt", "link.yaml"]).exits(0).stdout, "link.yaml\n");
        assert!(fs::symlink_metadata(case.path("link.yaml")).expect("is there").is_symlink());
        assert_eq!(
            case.read("real/a.yaml"),
            "name: \"test\"\nversion: 1\n",
            "without steps it is no plan: its order stays"
        );
        let mode = fs::metadata(case.path("real/a.yaml")).expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        fs::set_permissions(case.path("real/a.yaml"), fs::Permissions::from_mode(0o440)).expect("ours");
        case.write("b.yaml", UNSETTLED);
        fs::write(case.path("c.yaml"), UNSETTLED).expect("written");
        fs::set_permissions(case.path("c.yaml"), fs::Permissions::from_mode(0o440)).expect("ours");
        case.run(&["fmt", "c.yaml"]).exits(4).says("cannot write `c.yaml`");
        assert_eq!(case.read("c.yaml"), UNSETTLED);
    });
}

#[test]
fn what_cannot_be_read_is_left_alone() {
    in_each_language(|| {
        let case = Case::new();
        for (text, said) in [
            ("steps: [\n", "[Q"),
            ("", "the plan is empty"),
            ("- a\n", "a plan must be a mapping"),
            ("a: 1\na: 2\n", "duplicate key `a`"),
            ("a: !tag 1\n", "YAML tags"),
            ("%YAML 1.2\n---\na: 1\n", "directives (`%...`)"),
            ("a: 1\n---\nb: 1\n", "a second document"),
        ] {
            case.write("plan.yaml", text);
            for args in [&["fmt", "plan.yaml"][..], &["fmt", "--check", "plan.yaml"]] {
                case.run(args).exits(3).says(said).says("nothing was written");
            }
            assert_eq!(case.read("plan.yaml"), text);
        }
        case.run(&["fmt", "nowhere.yaml"]).exits(4).says("no such file");
        // One that is wrong does not keep the others from being settled.
        case.write("good.yaml", UNSETTLED);
        case.run(&["fmt", "plan.yaml", "good.yaml"]).exits(3);
        assert_ne!(case.read("good.yaml"), UNSETTLED);
    });
}

#[test]
fn a_difference_shows_no_secret() {
    let text = "steps: []\naccount:\n    secret: hunter22hunter22\n    kind: service\n";
    let case = Case::new().file("plan.yaml", text);
    let ran = case.run(&["fmt", "--check", "plan.yaml"]).exits(9);
    assert!(ran.stdout.contains("*****") && !ran.stdout.contains("hunter22"), "{}", ran.stdout);
}

/// Makes YAML of every form from a row of numbers.
struct Maker {
    dice: Vec<u32>,
    at: usize,
    out: String,
    comments: usize,
    anchors: usize,
    /// A block scalar stands right before, which would swallow a comment that stands deeper.
    tight: bool,
}

impl Maker {
    fn roll(&mut self, sides: usize) -> usize {
        self.at += 1;
        self.dice.get(self.at - 1).map_or(0, |number| *number as usize % sides)
    }

    fn comment(&mut self) -> String {
        self.comments += 1;
        format!("# c{}.", self.comments)
    }

    fn between(&mut self, indent: usize) {
        for _ in 0..self.roll(4).saturating_sub(1) {
            if self.roll(3) == 1 {
                self.out.push('\n');
            }
            if self.roll(3) == 1 {
                let (comment, more) = (self.comment(), self.roll(2) * usize::from(!self.tight));
                self.out.push_str(&format!("{}{comment}\n", " ".repeat(indent + more)));
            }
        }
    }

    fn line_end(&mut self) {
        if self.roll(5) == 1 {
            let comment = self.comment();
            self.out.push_str(&format!(" {comment}"));
        }
        self.out.push('\n');
    }

    fn anchor(&mut self) {
        if self.roll(9) == 1 {
            self.anchors += 1;
            self.out.push_str(&format!(" &a{}", self.anchors));
        }
    }

    fn scalar(&mut self, indent: usize, flow: bool) -> String {
        const WORDS: &[&str] = &[
            "no",
            "1_000",
            "0123",
            "plain",
            "明前龙井",
            "'it''s'",
            "'say \"x\"'",
            "\"a\\tb\"",
            "\"{{ vars.a }}元\"",
            "1.5",
            "true",
            "~",
            "''",
            "a:b",
            "2026-03-01",
            "12:30",
            "once",
            "send_by_tag",
            "check",
            "create_draft",
            "\"# no comment\"",
            "0x1f",
            ".5",
        ];
        let pad = " ".repeat(indent + 3);
        match self.roll(WORDS.len() + 4) {
            0 if !flow => format!("two\n{pad}lines\n\n{pad}three"),
            1 => format!("\"two \\\n{pad}lines\\  \n\n{pad}three \""),
            2 => format!("'two\n{pad}lines''s'"),
            3 if self.anchors > 0 => format!("*a{} ", 1 + self.roll(self.anchors)),
            other => WORDS[other % WORDS.len()].to_owned(),
        }
    }

    fn flow(&mut self, indent: usize, depth: usize) {
        let list = self.roll(2) == 0;
        self.out.push(if list { '[' } else { '{' });
        for number in 0..self.roll(4) {
            match self.roll(8) {
                1 => self.out.push_str(&format!("\n{}", " ".repeat(indent + 2))),
                2 => {
                    let comment = self.comment();
                    self.out.push_str(&format!(" {comment}\n{}", " ".repeat(indent + 2)));
                }
                _ => self.out.push(' '),
            }
            if !list {
                self.out.push_str(&format!("k{number}: "));
            }
            if depth < 4 && self.roll(4) == 1 {
                self.flow(indent + 2, depth + 1);
            } else {
                let scalar = self.scalar(indent + 2, true);
                self.out.push_str(&scalar);
            }
            self.out.push(',');
        }
        self.out.push(if list { ']' } else { '}' });
    }

    /// What follows a key or a dash that stands at `indent`.
    fn value(&mut self, indent: usize, depth: usize, keyed: bool) {
        self.tight = false;
        match self.roll(if depth < 4 { 9 } else { 5 }) {
            0..=2 => {
                let scalar = self.scalar(indent, false);
                if !scalar.starts_with('*') {
                    self.anchor();
                }
                self.out.push_str(&format!(" {scalar}"));
                self.line_end();
            }
            3 => {
                self.out.push(' ');
                self.flow(indent, depth);
                self.line_end();
            }
            4 => {
                self.tight = true;
                let style = ["|", ">"][self.roll(2)];
                let chomping = ["", "-", "+"][self.roll(3)];
                let explicit = self.roll(3) == 1;
                let width = if explicit { 3 } else { 1 + self.roll(4) };
                self.out.push_str(&format!(" {style}{}{chomping}", if explicit { "3" } else { "" }));
                self.line_end();
                let pad = " ".repeat(indent + width);
                for number in 0..self.roll(4) {
                    let more = if explicit || number > 0 { self.roll(3) } else { 0 };
                    self.out.push_str(&format!("{pad}{}line # {number}\n", " ".repeat(more)));
                    if self.roll(4) == 1 {
                        self.out.push('\n');
                    }
                }
            }
            5 | 6 if keyed => {
                self.line_end();
                let below = indent + 1 + self.roll(4);
                self.mapping(below, depth + 1);
            }
            7 if keyed => {
                self.line_end();
                let below = indent + self.roll(5);
                self.list(below, depth + 1);
            }
            5..=7 => {
                // A mapping that begins beside its dash.
                self.out.push(' ');
                let mark = self.out.len();
                self.mapping(indent + 2, depth + 1);
                let text = self.out.split_off(mark);
                let comments = text.trim_start().starts_with('#');
                let text = if comments { format!("\n{text}") } else { text.trim_start().to_owned() };
                self.out.push_str(&text);
            }
            _ => {
                self.out.push('\n');
                self.list(indent + 2, depth + 1);
            }
        }
    }

    fn mapping(&mut self, indent: usize, depth: usize) {
        const KEYS: &[&str] = &[
            "steps", "vars", "account", "name", "version", "id", "action", "to", "message", "when", "foreach", "key",
            "retry", "timeout", "zz", "on", "'quoted'", "茶", "kind", "appid", "of", "every", "articles", "title",
            "file",
        ];
        let (first, count) = (self.roll(KEYS.len()), 1 + self.roll(5));
        for number in 0..count {
            self.between(indent);
            let key = KEYS[(first + number * 7) % KEYS.len()];
            self.out.push_str(&format!("{}{key}:", " ".repeat(indent)));
            self.value(indent, depth, true);
        }
        self.between(indent);
    }

    fn list(&mut self, indent: usize, depth: usize) {
        for _ in 0..1 + self.roll(4) {
            self.between(indent);
            self.out.push_str(&format!("{}-", " ".repeat(indent)));
            self.value(indent, depth, false);
        }
        self.between(indent);
    }
}

fn shuffled<T>(mut items: Vec<T>, dice: &[u32]) -> Vec<T> {
    for (at, number) in dice.iter().enumerate().take(items.len()) {
        let other = *number as usize % items.len();
        items.swap(at, other);
    }
    items
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost(dice in proptest::collection::vec(any::<u32>(), 0..300)) {
        let mut maker = Maker { dice, at: 0, out: String::new(), comments: 0, anchors: 0, tight: false };
        maker.mapping(0, 0);
        let Maker { out: text, comments, .. } = maker;
        let before = value(&text);
        let once = settled(&text);
        assert_eq!(value(&once), before, "\n{text}\n---\n{once}");
        for number in 1..=comments {
            assert_eq!(once.matches(&format!("# c{number}.")).count(), 1, "# c{number}.\n{text}\n---\n{once}");
        }
        assert_eq!(settled(&once), once, "\n{text}");
    }

    #[test]
    fn the_digest_stays(dice in proptest::collection::vec(any::<u32>(), 40), text in "[a-z春茶上新 #:'\\\\]{1,20}", number in any::<u16>()) {
        prop_assume!(!text.trim().is_empty());
        let said = Value::String(format!("{text}{{{{ vars.n }}}}"));
        let mut step = shuffled(vec!["id: a".to_owned(), "action: send_by_tag".into(), "to: {tag_id: 2}".into(), format!("message: {{text: {said}}}"), "timeout: 9s".into()], &dice[..5]);
        step[0].insert_str(0, "- ");
        step[1..].iter_mut().for_each(|line| line.insert_str(0, "  "));
        let account = shuffled(vec!["  kind: service", "  appid: wx0123456789abcdef", "  secret: {env: X}"], &dice[5..8]).join("\n");
        let head = vec!["version: 1".to_owned(), "name: test".into(), format!("account:\n{account}"), format!("vars: {{n: {number}, m: 'x'}}"), format!("steps:\n{}", step.join("\n"))];
        let plan = shuffled(head, &dice[8..13]).join("\n\n# a comment\n");
        let digest = |plan: &str| {
            let (rendered, diagnostics, _) = pipe(plan.as_bytes().to_vec(), &Files(HashMap::new()));
            rendered.unwrap_or_else(|| panic!("{diagnostics:?}\n{plan}")).digest().to_owned()
        };
        let once = settled(&plan);
        assert_eq!(digest(&once), digest(&plan), "\n{plan}\n---\n{once}");
        let head: Vec<&str> = once.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase())).filter_map(|line| line.split(':').next()).collect();
        assert_eq!(head, ["version", "name", "account", "vars", "steps"], "{once}");
    }
}

#[test]
fn results_are_data_too() {
    let loose = "version: 1\nname:   test\n";
    let case = Case::new().file("plan.yaml", loose).file("broken.yaml", "a: [\n");
    let json = |args: &[&str], code| case.run(&[&["fmt", "--format", "json"], args].concat()).exits(code).json();
    let checked = json(&["--check", "plan.yaml"], 9);
    assert_eq!((&checked["schema"], &checked["exit_code"]), (&Value::from(1), &Value::from(9)));
    assert_eq!(checked["files"][0]["changed"], true);
    assert!(checked["files"][0]["diff"].as_str().is_some_and(|diff| diff.contains("+name: test")), "{checked}");
    assert_eq!(case.read("plan.yaml"), loose);
    assert_eq!(json(&["plan.yaml"], 0)["files"], serde_json::json!([{ "path": "plan.yaml", "changed": true }]));
    assert_eq!(json(&["plan.yaml"], 0)["files"][0]["changed"], false);
    let broken = json(&["plan.yaml", "broken.yaml"], 3);
    assert_eq!(broken["plans"][0]["plan"], "broken.yaml");
    assert_eq!(json(&["nowhere.yaml"], 4)["exit_code"], 4);
}
