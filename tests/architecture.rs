//! The order of the house: which folder may use which, no circles between files, and who may touch the world.
//!
//! Each rule is a function over sources, so that a planted violation can prove that it fails.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::support::repository;

/// Each folder of `src` and each file beside them, and those above it in this list that it may use: data flows down. A
/// folder in a folder may have a row of its own.
const ALLOWED: &[(&str, &[&str])] = &[
    // Vocabulary.
    ("locale", &[]),
    ("limits", &[]),
    ("text", &["limits", "locale"]),
    ("redact", &[]),
    ("clock", &[]),
    ("openids", &[]),
    ("platform", &[]),
    ("problem", &["locale", "text"]),
    ("retry", &[]),
    ("slot", &["locale"]),
    ("payload", &["locale", "openids", "slot"]),
    ("message", &["payload"]),
    ("diag", &["limits", "locale", "text"]),
    // The embedded server shares nothing with the client that it checks.
    ("sandbox", &["locale"]),
    // Plan file to requests.
    ("content", &["clock", "diag", "limits", "locale", "payload", "slot", "text"]),
    ("plan", &["content", "diag", "limits", "locale", "message", "openids", "payload", "slot", "text"]),
    ("resolve", &["clock", "content", "diag", "limits", "locale", "openids", "payload", "plan", "problem", "text"]),
    (
        "render",
        &[
            "content", "diag", "limits", "locale", "message", "openids", "payload", "plan", "platform", "resolve",
            "retry", "slot", "text",
        ],
    ),
    // Adapters, and what speaks to them.
    ("wechat", &["clock", "content", "limits", "locale", "payload", "plan", "redact", "retry"]),
    ("ledger", &["limits", "locale", "payload", "platform", "problem", "redact", "text", "wechat"]),
    // What WeChat pushes.
    ("events", &["limits", "locale", "redact"]),
    ("stats", &["clock", "ledger", "limits", "locale", "payload", "plan", "slot"]),
    // For people.
    ("page", &["locale", "text"]),
    ("report", &["events", "locale", "message", "page", "problem", "stats", "text"]),
    (
        "page/preview",
        &[
            "content", "diag", "limits", "locale", "message", "page", "payload", "plan", "render", "resolve", "slot",
            "text",
        ],
    ),
    (
        "run",
        &[
            "clock", "content", "diag", "events", "ledger", "limits", "locale", "openids", "payload", "plan",
            "problem", "render", "report", "resolve", "retry", "slot", "text", "wechat",
        ],
    ),
    ("notice", &["limits", "locale", "plan", "problem", "redact", "report", "text"]),
    ("fleet", &["content", "diag", "ledger", "limits", "locale", "payload", "plan", "report", "resolve", "text"]),
    // The real world, and all of the above put together.
    (
        "cli",
        &[
            "clock",
            "content",
            "diag",
            "events",
            "fleet",
            "ledger",
            "limits",
            "locale",
            "message",
            "notice",
            "openids",
            "page/preview",
            "payload",
            "plan",
            "platform",
            "problem",
            "redact",
            "render",
            "report",
            "resolve",
            "run",
            "sandbox",
            "slot",
            "stats",
            "text",
            "wechat",
        ],
    ),
];

/// Circles that are still there. An entry goes with its circle, and none is added.
const CIRCLES: &[&[&str]] = &[];

/// Modules that call the files below them and are the ground of these at once. An entry goes when what the files stand on
/// has a file of its own, and none is added.
const GROUND_AND_FACE: &[&str] = &["render/mod.rs", "resolve/mod.rs"];

/// Files that may call what `clippy.toml` forbids: files, environment, clock, output and processes.
const EDGE: &[&str] = &[
    "cli/browser.rs",
    "cli/clock.rs",
    "cli/files.rs",
    "cli/process.rs",
    "cli/project.rs",
    "cli/secrets.rs",
    "ledger/postgres/link.rs",
    "ledger/sqlite/mod.rs",
    "sandbox/mod.rs",
];

#[test]
fn folders_use_only_those_below_them() {
    let sources = tree();
    let folders: BTreeSet<&str> = sources.iter().map(|source| row(&source.path, ALLOWED)).collect();
    let rows: BTreeSet<&str> = ALLOWED.iter().map(|(name, _)| *name).chain(["lib", "main"]).collect();
    assert_eq!(folders, rows, "every folder has its row, and every row its folder");
    assert_eq!(upward(ALLOWED), Vec::<String>::new(), "the table itself points one way");
    assert_eq!(forbidden(&arrows(&sources), ALLOWED), Vec::<String>::new());
}

#[test]
fn files_stand_in_no_circle() {
    let sources = tree();
    let arrows = arrows(&sources);
    let found = circles(&arrows, GROUND_AND_FACE);
    assert_eq!(found, CIRCLES.iter().map(|files| files.to_vec()).collect::<Vec<_>>());
    for module in GROUND_AND_FACE {
        let others: Vec<&str> = GROUND_AND_FACE.iter().copied().filter(|other| other != module).collect();
        assert_ne!(circles(&arrows, &others), found, "{module} is one thing by now: drop its entry");
    }
}

#[test]
fn the_world_is_touched_at_the_edge_alone() {
    assert_eq!(exceptions(&tree()), EDGE);
}

struct Source {
    /// Below `src`, with slashes.
    path: String,
    text: String,
}

fn tree() -> Vec<Source> {
    fn below(folder: &Path, root: &Path, found: &mut Vec<Source>) {
        for entry in fs::read_dir(folder).expect("a folder of the sources").flatten() {
            let path = entry.path();
            if path.is_dir() {
                below(&path, root, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let names = path.strip_prefix(root).expect("below the root").components();
                let names: Vec<_> = names.map(|name| name.as_os_str().to_string_lossy()).collect();
                found.push(Source { path: names.join("/"), text: fs::read_to_string(&path).expect("UTF-8") });
            }
        }
    }
    let (root, mut found) = (repository().join("src"), Vec::new());
    below(&root, &root, &mut found);
    found
}

/// The row of a file: that of its innermost folder that has one.
fn row<'a>(path: &'a str, table: &[(&str, &[&str])]) -> &'a str {
    let path = path.trim_end_matches(".rs");
    let folders = path.match_indices('/').map(|(at, _)| &path[..at]);
    let known = folders.clone().chain([path]).rfind(|folder| table.iter().any(|(name, _)| name == folder));
    known.or_else(|| folders.clone().next()).unwrap_or(path)
}

/// Names from the root of the crate.
type Names = Vec<String>;

/// `plan/action/mod.rs` is `plan::action`.
fn module(path: &str) -> Names {
    let names = path.trim_end_matches(".rs").split('/').filter(|name| !["mod", "lib", "main"].contains(name));
    names.map(str::to_owned).collect()
}

/// A path that the code names, not resolved yet.
struct Named {
    /// The module where it stands.
    at: Names,
    names: Names,
    /// What a `use` calls it there.
    alias: Option<String>,
    /// A `use` that hands it on to others.
    handed_on: bool,
}

/// Where a file names something of another one.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Arrow<'a> {
    from: &'a str,
    to: &'a str,
    /// A module hands on what is below it: that is its face, and no use.
    face: bool,
}

/// The tokens of a file without the items that are only there for tests; `tests` takes the names of modules among them.
fn code(text: &str, tests: &mut Vec<String>) -> Vec<TokenTree> {
    let tokens: TokenStream = text.parse().expect("the compiler takes it");
    without_tests(tokens, tests)
}

fn without_tests(tokens: TokenStream, tests: &mut Vec<String>) -> Vec<TokenTree> {
    let mut kept: Vec<TokenTree> = Vec::new();
    let mut tokens = tokens.into_iter();
    while let Some(token) = tokens.next() {
        match &token {
            TokenTree::Group(group) if is_cfg_test(group) && kept.last().is_some_and(|last| is(last, '#')) => {
                kept.pop();
                let mut before = String::new();
                for token in tokens.by_ref() {
                    match &token {
                        TokenTree::Ident(name) if before == "mod" => tests.push(name.to_string()),
                        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => break,
                        TokenTree::Punct(end) if end.as_char() == ';' => break,
                        _ => {}
                    }
                    before = token.to_string();
                }
            }
            TokenTree::Group(group) => {
                let inner = without_tests(group.stream(), tests).into_iter().collect();
                kept.push(TokenTree::Group(proc_macro2::Group::new(group.delimiter(), inner)));
            }
            _ => kept.push(token),
        }
    }
    kept
}

fn is_cfg_test(group: &proc_macro2::Group) -> bool {
    group.delimiter() == Delimiter::Bracket && group.stream().to_string().replace(' ', "") == "cfg(test)"
}

fn is(token: &TokenTree, sign: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == sign)
}

fn name(token: Option<&TokenTree>) -> Option<String> {
    match token {
        Some(TokenTree::Ident(name)) => Some(name.to_string()),
        _ => None,
    }
}

/// How many tokens `::` takes here: two, or none if it is not here.
fn colons(tokens: &[TokenTree]) -> usize {
    if tokens.len() >= 2 && is(&tokens[0], ':') && is(&tokens[1], ':') { 2 } else { 0 }
}

/// All paths of two names or more, those in macros too.
fn paths(tokens: &[TokenTree], at: &Names, found: &mut Vec<Named>) {
    let mut index = 0;
    while index < tokens.len() {
        let rest = &tokens[index..];
        match &rest[0] {
            TokenTree::Ident(word) if word == "use" => {
                let end = rest.iter().position(|token| is(token, ';')).unwrap_or(rest.len());
                let handed_on = after_pub(&tokens[..index]);
                imports(&rest[1..end], &Names::new(), &mut |names, alias| {
                    found.push(Named { at: at.clone(), names, alias: Some(alias), handed_on });
                });
                index += end;
            }
            TokenTree::Ident(word) if word == "mod" => match (name(rest.get(1)), rest.get(2)) {
                (Some(inner), Some(TokenTree::Group(body))) => {
                    let inside: Vec<_> = body.stream().into_iter().collect();
                    paths(&inside, &[at.as_slice(), &[inner]].concat(), found);
                    index += 3;
                }
                _ => index += 1,
            },
            TokenTree::Ident(first) => {
                let mut names = vec![first.to_string()];
                index += 1;
                while colons(&tokens[index..]) > 0 {
                    let Some(next) = name(tokens.get(index + 2)) else { break };
                    names.push(next);
                    index += 3;
                }
                if names.len() > 1 {
                    found.push(Named { at: at.clone(), names, alias: None, handed_on: false });
                }
            }
            TokenTree::Group(group) => {
                paths(&group.stream().into_iter().collect::<Vec<_>>(), at, found);
                index += 1;
            }
            _ => index += 1,
        }
    }
}

/// Whether the tokens end in `pub` or `pub(...)`.
fn after_pub(tokens: &[TokenTree]) -> bool {
    let word = |back: usize| name(tokens.len().checked_sub(back).and_then(|at| tokens.get(at)));
    let group = matches!(tokens.last(), Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis);
    word(if group { 2 } else { 1 }).as_deref() == Some("pub")
}

/// The leaves of the tree of a `use`: the whole path, and the name that it has from there on.
fn imports(tokens: &[TokenTree], before: &Names, leaf: &mut impl FnMut(Names, String)) {
    // A comma at the end is followed by nothing.
    for branch in tokens.split(|token| is(token, ',')).filter(|branch| !branch.is_empty()) {
        let mut names = before.clone();
        let mut index = 0;
        loop {
            match branch.get(index) {
                Some(TokenTree::Ident(word)) if word == "as" => {
                    leaf(names, name(branch.get(index + 1)).unwrap_or_default());
                    break;
                }
                // `use a::{self}` is `use a`.
                Some(TokenTree::Ident(word)) if word == "self" && !names.is_empty() => index += 1,
                Some(TokenTree::Ident(word)) => {
                    names.push(word.to_string());
                    index += 1;
                }
                Some(TokenTree::Group(group)) => {
                    imports(&group.stream().into_iter().collect::<Vec<_>>(), &names, leaf);
                    break;
                }
                Some(_) => index += 1,
                None => {
                    if let Some(last) = names.last().cloned() {
                        leaf(names, last);
                    }
                    break;
                }
            }
        }
    }
}

/// What each file names of others. Files and items for tests are left out.
fn arrows(sources: &[Source]) -> BTreeSet<Arrow<'_>> {
    let mut files: BTreeMap<Names, &str> =
        sources.iter().map(|source| (module(&source.path), source.path.as_str())).collect();
    let mut named = Vec::new();
    for source in sources {
        let (at, mut tests) = (module(&source.path), Vec::new());
        let mut found = Vec::new();
        paths(&code(&source.text, &mut tests), &at, &mut found);
        named.push((source.path.as_str(), found));
        for test in tests {
            files.remove(&[at.as_slice(), &[test]].concat());
        }
    }
    named.retain(|(path, _)| files.values().any(|file| file == path));
    // `main.rs` is another crate, and has the root's name.
    files.insert(Names::new(), "lib.rs");
    let mut aliases: BTreeMap<Names, Names> = BTreeMap::new();
    for named in named.iter().flat_map(|(_, found)| found) {
        if let (Some(alias), Some(whole)) = (&named.alias, absolute(named, &files, &BTreeMap::new())) {
            aliases.insert([named.at.as_slice(), std::slice::from_ref(alias)].concat(), whole);
        }
    }
    let mut arrows = BTreeSet::new();
    for (from, found) in &named {
        for named in found {
            let Some(to) = absolute(named, &files, &aliases).and_then(|whole| file_of(&whole, &files, &aliases, 8))
            else {
                continue;
            };
            if to != *from && to != "lib.rs" {
                arrows.insert(Arrow { from, to, face: named.handed_on && module(to).starts_with(&module(from)) });
            }
        }
    }
    arrows
}

/// The path from the root of the crate; none for what is not ours.
fn absolute(named: &Named, files: &BTreeMap<Names, &str>, aliases: &BTreeMap<Names, Names>) -> Option<Names> {
    let (mut at, mut rest) = (named.at.clone(), named.names.as_slice());
    match rest.first()?.as_str() {
        "crate" => (at, rest) = (Names::new(), &rest[1..]),
        "self" | "super" => {
            while let Some((step @ ("self" | "super"), after)) = rest.split_first().map(|(a, b)| (a.as_str(), b)) {
                if step == "super" {
                    at.pop();
                }
                rest = after;
            }
        }
        first => {
            let here = [at.as_slice(), &[first.to_owned()]].concat();
            if !files.contains_key(&here) && !aliases.contains_key(&here) {
                return None;
            }
        }
    }
    Some([&at, rest].concat())
}

/// The file that holds what a path names, behind modules that only hand it on.
fn file_of<'a>(
    whole: &[String],
    files: &BTreeMap<Names, &'a str>,
    aliases: &BTreeMap<Names, Names>,
    steps: usize,
) -> Option<&'a str> {
    let mut end = 0;
    while end < whole.len() && files.contains_key(&whole[..=end]) {
        end += 1;
    }
    if let Some(other) = whole.get(..=end).and_then(|alias| aliases.get(alias)).filter(|_| steps > 0) {
        return file_of(&[other, &whole[end + 1..]].concat(), files, aliases, steps - 1);
    }
    files.get(&whole[..end]).copied()
}

/// Rows that name what is not above them.
fn upward(table: &[(&str, &[&str])]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (at, (row, uses)) in table.iter().enumerate() {
        let above = |name: &&&str| !table[..at].iter().any(|(known, _)| *known == **name);
        wrong.extend(uses.iter().filter(above).map(|name| format!("{row} may use {name}, which is not above it")));
    }
    wrong
}

/// Arrows between folders that the table does not allow.
fn forbidden(arrows: &BTreeSet<Arrow<'_>>, table: &[(&str, &[&str])]) -> Vec<String> {
    let allowed: BTreeMap<&str, &[&str]> = table.iter().copied().collect();
    let wrong = arrows.iter().filter(|arrow| {
        let (from, to) = (row(arrow.from, table), row(arrow.to, table));
        from != to && !allowed.get(from).is_some_and(|uses| uses.contains(&to))
    });
    wrong.map(|arrow| format!("{} uses {}", arrow.from, arrow.to)).collect()
}

/// Files from each of which a way leads to each other one, as sorted lists. What the modules among `faces` use of the files
/// below them does not count.
fn circles<'a>(arrows: &BTreeSet<Arrow<'a>>, faces: &[&str]) -> Vec<Vec<&'a str>> {
    let mut next: BTreeMap<&str, Vec<&'a str>> = BTreeMap::new();
    for arrow in arrows.iter().filter(|arrow| !arrow.face) {
        if faces.contains(&arrow.from) && module(arrow.to).starts_with(&module(arrow.from)) {
            continue;
        }
        next.entry(arrow.from).or_default().push(arrow.to);
    }
    let reached = |from: &'a str| {
        let (mut seen, mut left) = (BTreeSet::new(), vec![from]);
        while let Some(file) = left.pop() {
            left.extend(next.get(file).into_iter().flatten().filter(|to| seen.insert(**to)));
        }
        seen
    };
    let reached: BTreeMap<&'a str, BTreeSet<&'a str>> =
        arrows.iter().map(|arrow| (arrow.from, reached(arrow.from))).collect();
    let in_circle = reached.iter().filter(|(file, seen)| seen.contains(*file));
    let circle = |(file, seen): (&&'a str, &BTreeSet<&'a str>)| {
        seen.iter().copied().filter(|other| reached.get(other).is_some_and(|back| back.contains(file))).collect()
    };
    in_circle.map(circle).collect::<BTreeSet<Vec<_>>>().into_iter().collect()
}

/// Files with an attribute that lets them call what `clippy.toml` forbids, however it is written.
fn exceptions(sources: &[Source]) -> Vec<&str> {
    fn excepts(tokens: &[TokenTree]) -> bool {
        let attribute = |pair: &[TokenTree]| {
            let TokenTree::Group(group) = &pair[1] else { return false };
            let text = group.stream().into_iter().filter(|token| !matches!(token, TokenTree::Literal(_)));
            let words = |token: TokenTree| match token {
                TokenTree::Group(list) => list.stream().into_iter().map(|token| token.to_string()).collect(),
                token => vec![token.to_string()],
            };
            let bracket = group.delimiter() == Delimiter::Bracket && (is(&pair[0], '#') || is(&pair[0], '!'));
            bracket && text.flat_map(words).any(|word| word == "disallowed_methods")
        };
        let inside = |token: &TokenTree| match token {
            TokenTree::Group(group) => excepts(&group.stream().into_iter().collect::<Vec<_>>()),
            _ => false,
        };
        tokens.windows(2).any(attribute) || tokens.iter().any(inside)
    }
    let mut found: Vec<&str> = sources
        .iter()
        .filter(|source| excepts(&code(&source.text, &mut Vec::new())))
        .map(|source| source.path.as_str())
        .collect();
    found.sort_unstable();
    found
}

mod planted {
    use super::*;

    fn sources_of(files: &[(&str, &str)]) -> Vec<Source> {
        files.iter().map(|(path, text)| Source { path: (*path).into(), text: (*text).into() }).collect()
    }

    /// What a file is found to use, when there is a file of `cli`, and one of its own folder.
    fn used(text: &str) -> Vec<String> {
        let others =
            [("lib.rs", ""), ("cli/mod.rs", ""), ("cli/run.rs", ""), ("run/mod.rs", ""), ("run/drafts.rs", "")];
        let sources = sources_of(&[&others[..], &[("run/here.rs", text)]].concat());
        arrows(&sources).into_iter().map(|arrow| arrow.to.to_owned()).collect()
    }

    #[test]
    fn every_way_to_name_another_file_is_seen() {
        for text in [
            "use crate::cli::run::Run;",
            "use crate::{cli::{run::{Run, Other}}};",
            "use super::super::cli::run as other;",
            "fn f() { crate::cli::run::go() }",
            "fn f() -> Vec<super::super::cli::run::Run> { vec![] }",
            "fn f() { println!(\"{}\", crate::cli::run::NAME) }",
            "mod inner { use super::super::super::cli::run::Run; }",
            "use crate::cli; fn f() { cli::run::go() }",
            "use crate::cli as edge; fn f() { edge::run::go() }",
            "pub use crate::cli::run::Run;",
            "impl crate::cli::run::Runs for X {}",
        ] {
            assert!(used(text).contains(&"cli/run.rs".to_owned()), "{text}");
        }
        assert_eq!(used("use super::drafts::{self, Draft};"), ["run/drafts.rs"]);
        assert_eq!(used("use super::{\n    drafts::Draft,\n};"), ["run/drafts.rs"]);
        assert_eq!(used("use self::super::drafts;"), ["run/drafts.rs"]);
    }

    #[test]
    fn what_is_no_use_is_not_seen() {
        for text in [
            "// crate::cli::run",
            "/// [`crate::cli::run`]\nfn f() {}",
            "const X: &str = \"crate::cli::run\";",
            "#[cfg(test)]\nmod tests { use crate::cli::run; }",
            "#[cfg(test)]\nuse crate::cli::run;\nfn f() {}",
            "use std::cli::run;",
            "fn f() { cli::run::go() }",
            "pub(crate) struct X;",
        ] {
            assert_eq!(used(text), Vec::<String>::new(), "{text}");
        }
        let tests =
            sources_of(&[("a/mod.rs", "#[cfg(test)] mod tests;"), ("a/tests.rs", "use crate::cli;"), ("cli.rs", "")]);
        assert!(arrows(&tests).is_empty(), "a file that is only there for tests");
    }

    #[test]
    fn a_folder_that_uses_one_above_it_is_named() {
        let sources = sources_of(&[("cli/mod.rs", ""), ("plan/mod.rs", "fn f() { crate::cli::main() }")]);
        let table: &[(&str, &[&str])] = &[("plan", &[]), ("cli", &["plan"])];
        assert_eq!(forbidden(&arrows(&sources), table), ["plan/mod.rs uses cli/mod.rs"]);
        assert_eq!(forbidden(&arrows(&sources), &[("plan", &["cli"])]), Vec::<String>::new());
        assert_eq!(upward(table), Vec::<String>::new());
        let inner: &[(&str, &[&str])] = &[("plan/fmt", &[]), ("plan", &["plan/fmt"])];
        let files = [("plan/mod.rs", "fn f() { fmt::write::go() }"), ("plan/fmt/write.rs", "use super::super::f;")];
        let files = sources_of(&files);
        assert_eq!(forbidden(&arrows(&files), inner), ["plan/fmt/write.rs uses plan/mod.rs"]);
        assert_eq!(upward(&[("plan", &["cli"]), ("cli", &[])]), ["plan may use cli, which is not above it"]);
    }

    #[test]
    fn a_circle_of_files_is_named() {
        let two = |a: &str, b: &str| {
            let sources = sources_of(&[("run/mod.rs", "mod a; mod b;"), ("run/a.rs", a), ("run/b.rs", b)]);
            circles(&arrows(&sources), &[]).iter().map(|files| files.join(" ")).collect::<Vec<_>>()
        };
        assert_eq!(two("use super::b::B;", "fn f() { super::a::go() }"), ["run/a.rs run/b.rs"]);
        assert_eq!(two("use super::b::B;", "fn f() {}"), Vec::<String>::new());
        assert_eq!(two("use super::b::B;", "#[cfg(test)] mod tests { use super::super::a; }"), Vec::<String>::new());
        // A module stands below those that use what it holds, and above those that it calls: it cannot do both.
        let face = |text: &str, known: &[&str]| {
            let sources = sources_of(&[("run/mod.rs", text), ("run/a.rs", "fn f() { super::go() }")]);
            circles(&arrows(&sources), known).len()
        };
        assert_eq!(face("mod a; fn go() { a::f() }", &[]), 1);
        assert_eq!(face("mod a; fn go() { a::f() }", &["run/mod.rs"]), 0);
        assert_eq!(face("mod a; pub(crate) use a::f; fn go() {}", &[]), 0, "handing on is no use");
        // What is handed on is used where it is.
        let around = sources_of(&[
            ("run/mod.rs", "mod a; mod b; pub use a::A;"),
            ("run/a.rs", "use super::b::B;"),
            ("run/b.rs", "use super::A;"),
        ]);
        assert_eq!(circles(&arrows(&around), &[]), [["run/a.rs", "run/b.rs"]]);
    }

    #[test]
    fn an_exception_is_seen_however_it_is_written() {
        for text in [
            "#[expect(clippy::disallowed_methods, reason = \"x\")] fn f() {}",
            "fn f() {\n    #[expect(\n        clippy::disallowed_methods,\n        reason = \"x\"\n    )]\n    let x = 1;\n}",
            "#![expect(clippy :: disallowed_methods)]",
            "mod inner { impl X { #[allow(clippy::todo, clippy::disallowed_methods)] fn f() {} } }",
        ] {
            assert_eq!(exceptions(&sources_of(&[("x.rs", text)])), ["x.rs"], "{text}");
        }
        for text in [
            "#[expect(clippy::todo, reason = \"disallowed_methods\")] fn f() {}",
            "// #[expect(clippy::disallowed_methods)]",
            "#[cfg(test)]\nmod tests { #[expect(clippy::disallowed_methods)] fn f() {} }",
        ] {
            assert_eq!(exceptions(&sources_of(&[("x.rs", text)])), Vec::<&str>::new(), "{text}");
        }
    }
}
