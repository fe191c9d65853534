//! Whatever is written: an exit code and no panic; and the text of a message arrives to the letter.

use std::{collections::HashMap, fs};

use jiff::Timestamp;
use proptest::prelude::*;
use qunfa::{
    diag::{
        self, Diagnostics,
        source::{self, SourceMap},
    },
    locale::Phrase,
    plan,
    render::{self, RenderedPlan},
    resolve::{self, Inputs, Project, ReadError},
};
use serde_json::Value;

use crate::support::repository;

pub(crate) struct Files(pub(crate) HashMap<&'static str, Vec<u8>>);

impl Project for Files {
    fn read(&self, path: &str, _: u64) -> Result<(String, Vec<u8>), ReadError> {
        let bytes = self.0.get(path).ok_or_else(|| ReadError::Unreadable(Phrase::verbatim("no such file")))?;
        Ok((path.to_owned(), bytes.clone()))
    }
}

/// The whole pipe, as the program runs it.
pub(crate) fn pipe(bytes: Vec<u8>, files: &Files) -> (Option<RenderedPlan>, Diagnostics, SourceMap) {
    let mut sources = SourceMap::default();
    let Ok(text) = source::decode(bytes) else { return (None, Diagnostics::default(), sources) };
    let file = sources.add("plan.yaml", text);
    let rendered = plan::parse(file, &mut sources).and_then(|parsed| {
        let inputs = Inputs {
            project: files,
            env: &|_| None,
            vars_files: &[],
            vars: &[],
            account: None,
            now: Timestamp::UNIX_EPOCH,
        };
        let resolved = resolve::resolve(plan::validate(parsed), &inputs, &mut sources)?;
        render::render(resolved, "plan.yaml", &sources)
    });
    match rendered {
        Ok((plan, warnings)) => (Some(plan), warnings, sources),
        Err(diagnostics) => (None, diagnostics, sources),
    }
}

/// Whatever comes out can be shown, and a plan without errors can be rendered.
fn shows(bytes: Vec<u8>) {
    let (plan, diagnostics, sources) = pipe(bytes, &Files(HashMap::new()));
    let text = diag::render::human(&diagnostics, &sources);
    assert!(plan.is_some() || diagnostics.is_empty() || !text.is_empty());
    let diagnostics = diag::finding::findings(&diagnostics, &sources);
    serde_json::to_string(&diagnostics).expect("serialises");
    let annotations: Vec<_> = diagnostics.iter().map(diag::github::Annotation::from).collect();
    assert!(diag::github::commands(&annotations).lines().all(|line| line.starts_with("::")));
    let checked =
        [diag::finding::Checked { plan: "p".into(), valid: false, digest: None, diagnostics, articles: Vec::new() }];
    diag::sarif::document(&checked, 3);
    diag::gitlab::document(&checked);
    if let Some(plan) = plan {
        assert!(plan.to_json().collect::<String>().contains("sha256:"));
    }
}

fn corpus() -> Vec<String> {
    let mut plans = Vec::new();
    for folder in ["tests/plans/ok", "tests/plans/err"] {
        for entry in fs::read_dir(repository().join(folder)).expect("readable").flatten() {
            plans.push(String::from_utf8_lossy(&fs::read(entry.path()).expect("readable")).into_owned());
        }
    }
    plans.sort();
    plans
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        shows(bytes);
    }

    #[test]
    fn any_text_is_answered(text in "[a-z0-9 :{}\\[\\]'\"|>&*!#%@\\-\\n\\t春，\u{3000}]{0,200}") {
        shows(text.into_bytes());
    }

    #[test]
    fn any_damaged_plan_is_answered(which in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>(), with in "[ -~春\\n]{0,6}", length in 0_usize..12) {
        let plans = corpus();
        let plan = which.get(&plans);
        let chars: Vec<char> = plan.chars().collect();
        let at = cut.index(chars.len() + 1);
        let damaged: String = chars[..at].iter().copied().chain(with.chars()).chain(chars[(at + length).min(chars.len())..].iter().copied()).collect();
        shows(damaged.into_bytes());
    }

    #[test]
    fn the_digest_is_that_of_every_byte_and_every_recipient(
        text in "[a-z春][a-zA-Z春茶0-9 ,.!]{0,40}",
        people in proptest::collection::btree_set("o[a-zA-Z0-9_-]{1,20}", 3..12),
        order in Just((0..5).collect::<Vec<usize>>()).prop_shuffle(),
        comment in "[ -~春]{0,20}",
        which in any::<prop::sample::Index>(),
        other in "[a-z新]",
    ) {
        let people: Vec<String> = people.into_iter().collect();
        let written = |text: &str, people: &[String], order: &[usize], comment: &str| {
            let keys = [
                "id: vip".to_owned(),
                "action: send_by_openid".to_owned(),
                format!("to: {{ openids: {} }}", serde_json::to_string(people).expect("serialises")),
                format!("message:\n      text: {}", serde_json::to_string(text).expect("serialises")),
                "send_ignore_reprint: false".to_owned(),
            ];
            let keys: String = order.iter().map(|key| format!("    {} # {comment}\n", keys[*key])).collect();
            format!(
                "# {comment}\nversion: 1\nname: test\naccount: {{ kind: service, appid: wx0123456789abcdef, secret: {{ env: S }} }}\n\nsteps:\n  -\n{keys}"
            )
        };
        let digest = |text: String| {
            let (plan, diagnostics, sources) = pipe(text.clone().into_bytes(), &Files(HashMap::new()));
            plan.unwrap_or_else(|| panic!("{text}\n{}", diag::render::human(&diagnostics, &sources))).digest().to_owned()
        };
        let plain = digest(written(&text, &people, &[0, 1, 2, 3, 4], ""));
        prop_assert_eq!(&digest(written(&text, &people, &order, &comment)), &plain, "layout, comments, order of keys");
        // One character more, anywhere.
        let mut changed: Vec<char> = text.chars().collect();
        changed.insert(which.index(changed.len() + 1), other.chars().next().expect("one"));
        prop_assert_ne!(&digest(written(&changed.iter().collect::<String>(), &people, &order, &comment)), &plain);
        // One person less, another, or in another place.
        let at = which.index(people.len());
        let (mut fewer, mut another, mut moved) = (people.clone(), people.clone(), people);
        fewer.remove(at);
        another[at].push('x');
        moved.rotate_left(1);
        for list in [fewer, another, moved] {
            prop_assert_ne!(&digest(written(&text, &list, &order, &comment)), &plain);
        }
    }

    #[test]
    fn text_arrives_to_the_letter(text in "(\\PC|[\\n\\t]){1,80}") {
        // Templates are another matter; and an empty text is refused.
        prop_assume!(!text.contains(['{', '\u{feff}']) && !text.trim().is_empty() && source::find_control(&text).is_none());
        let plan = format!(
            "version: 1\nname: letter\naccount: {{ kind: service, appid: wx0123456789abcdef, secret: {{ env: X }} }}\nsteps:\n  - {{ id: a, action: send_by_tag, to: all, message: {{ text: {} }} }}\n  - {{ id: b, action: send_by_tag, to: all, message: {{ text: {{ file: a.txt }} }} }}\n",
            Value::String(text.clone()),
        );
        let files = Files(HashMap::from([("a.txt", format!("{text}\n").into_bytes())]));
        let (rendered, diagnostics, _) = pipe(plan.into_bytes(), &files);
        let rendered = rendered.unwrap_or_else(|| panic!("{diagnostics:?}"));
        for (_, call) in rendered.calls() {
            let body = call.payload.fill(&|_| None).expect("nothing to fill");
            let parsed: Value = serde_json::from_str(&body).expect("JSON");
            assert_eq!(parsed["text"]["content"].as_str(), Some(text.as_str()));
            assert!(!body.replace("\\\\", "").contains("\\u"), "{body}");
        }
    }
}

#[test]
fn values_are_those_of_serde_yaml() {
    for entry in fs::read_dir(repository().join("tests/plans/ok")).expect("readable").flatten() {
        let text = source::decode(fs::read(entry.path()).expect("readable")).expect("text");
        let mut sources = SourceMap::default();
        let file = sources.add("plan.yaml", text.clone());
        let mut diagnostics = Diagnostics::default();
        let ours = plan::yaml::parse(file, &sources, &mut diagnostics).expect("parses").value;
        let theirs: Value = serde_yaml::from_str(&text).expect("parses");
        assert_eq!(ours, theirs, "{}", entry.path().display());
    }
}
