//! Data flows one way: each module may use those below it, never above.

use std::{collections::BTreeMap, fs, path::Path};

use crate::support::repository;

/// Each module, and the modules of ours that it may use.
const ALLOWED: &[(&str, &[&str])] = &[
    // Vocabulary: none of our other modules.
    ("limits", &[]),
    ("redact", &[]),
    ("clock", &[]),
    ("openids", &[]),
    ("problem", &[]),
    ("retry", &[]),
    ("slot", &[]),
    ("payload", &["openids", "slot"]),
    ("diag", &["limits"]),
    // What goes into messages.
    ("content", &["clock", "diag", "limits", "payload", "slot"]),
    // Plan file to valid plan.
    ("plan", &["content", "diag", "limits", "openids", "payload", "slot"]),
    // What a run leaves behind.
    ("report", &["plan", "problem"]),
    // Valid to rendered.
    ("resolve", &["clock", "content", "diag", "limits", "openids", "payload", "plan"]),
    ("render", &["content", "diag", "limits", "openids", "payload", "plan", "resolve", "retry", "slot"]),
    // Rendered to a page for people.
    ("page", &["content", "diag", "limits", "payload", "render", "resolve", "slot"]),
    // Adapters, and what speaks to them.
    ("wechat", &["clock", "content", "limits", "plan", "redact", "retry"]),
    ("ledger", &["payload", "problem", "redact", "wechat"]),
    (
        "run",
        &[
            "clock", "content", "diag", "ledger", "limits", "openids", "payload", "plan", "problem", "render",
            "report", "resolve", "retry", "slot", "wechat",
        ],
    ),
    // The embedded server shares nothing with the client that it checks.
    ("sandbox", &[]),
];

fn sources(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).expect("readable").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// The modules that a file names after `crate::`, tests left out.
fn used(text: &str) -> Vec<String> {
    let code = text.split("\n#[cfg(test)]\nmod tests").next().unwrap_or(text);
    let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut names = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(list) = rest.strip_prefix('{') {
            // One level of the list: the names that begin an entry.
            let (mut depth, mut entry) = (0, String::new());
            for c in list.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => names.push(std::mem::take(&mut entry)),
                    c if depth == 0 => entry.push(c),
                    _ => {}
                }
            }
            names.push(entry);
        } else {
            names.push(rest.to_owned());
        }
    }
    let first = |name: &String| {
        name.trim().split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or_default().to_owned()
    };
    names.iter().map(first).filter(|name| !name.is_empty()).collect()
}

#[test]
fn dependencies_point_one_way() {
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    let root = repository().join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut seen = std::collections::BTreeSet::new();
    for path in files {
        let relative = path.strip_prefix(&root).expect("below").with_extension("");
        let module = relative.components().next().expect("a name").as_os_str().to_string_lossy().into_owned();
        if ["main", "lib", "cli"].contains(&module.as_str()) {
            continue;
        }
        let may = allowed
            .get(module.as_str())
            .unwrap_or_else(|| panic!("the module `{module}` has no place in the architecture"));
        for name in used(&fs::read_to_string(&path).expect("readable")) {
            assert!(
                name == module || may.contains(&name.as_str()),
                "{}: `{module}` may not use `{name}`",
                relative.display()
            );
        }
        seen.insert(module);
    }
    assert_eq!(seen.len(), ALLOWED.len(), "every module has its row");
}

#[test]
fn the_core_does_no_io() {
    // clippy.toml forbids the calls themselves; here it is held where the exceptions are.
    let root = repository().join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let excepted: Vec<String> = files
        .iter()
        .filter(|path| fs::read_to_string(path).expect("readable").contains("expect(clippy::disallowed_methods"))
        .map(|path| path.strip_prefix(&root).expect("below").display().to_string())
        .collect();
    let mut excepted = excepted;
    excepted.sort();
    assert_eq!(excepted, ["cli/world.rs", "ledger/sqlite/mod.rs", "sandbox/mod.rs"]);
}
