//! The catalogue in `po/`: it has every text of the sources, and no other. `UPDATE_WORDS=1 cargo test --test main words`
//! takes new texts in, without their Chinese, and leaves those out that are no longer said.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use polib::{catalog::Catalog, message::Message, metadata::CatalogMetadata, po_file};
use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::support::repository;

/// Each file of the catalogue, and the sources whose texts it holds. What several files say, or a source that stands in
/// none of them, is in `common.po`; helps, codes and schemas have files of their own.
const AREAS: &[(&str, &[&str])] = &[
    ("plan", &["plan/", "diag/"]),
    ("content", &["content/"]),
    ("resolve", &["resolve/", "render/", "payload.rs", "slot.rs", "message.rs"]),
    ("run", &["run/"]),
    ("state", &["ledger/", "wechat/", "redact.rs", "retry.rs"]),
    ("report", &["report/", "page/"]),
    ("help", &["cli/help/"]),
    ("cli", &["cli/", "sandbox/"]),
];

/// Files whose texts are not all translated yet. An entry goes with its last text, and none is added.
const LEFT: &[&str] = &[];

/// Where the helps of commands come from.
const HELP: &str = "`--help`";

/// A text as it stands in the source, and its plural.
type Text = (String, Option<String>);

/// For each file of the catalogue its texts in the order in which they are said, with the source that says them.
type Texts = BTreeMap<String, Vec<(Text, String)>>;

#[test]
fn the_catalogue_has_every_text_and_no_other() {
    let texts = texts();
    if std::env::var_os("UPDATE_WORDS").is_some() {
        return update(&texts);
    }
    let known = catalogues();
    assert_eq!(texts.keys().collect::<Vec<_>>(), known.keys().collect::<Vec<_>>(), "UPDATE_WORDS=1 makes the files");
    for (name, texts) in texts {
        let entries = &known[&name];
        let said: BTreeSet<&str> = texts.iter().map(|((text, _), _)| text.as_str()).collect();
        let has: BTreeSet<&str> = entries.messages().map(|message| message.msgid()).collect();
        assert_eq!(said.difference(&has).collect::<Vec<_>>(), Vec::<&&str>::new(), "po/{name}.po lacks texts");
        assert_eq!(
            has.difference(&said).collect::<Vec<_>>(),
            Vec::<&&str>::new(),
            "nothing says these of po/{name}.po"
        );
        let bare: Vec<&str> =
            entries.messages().filter(|message| !message.is_translated()).map(|message| message.msgid()).collect();
        assert_eq!(bare.is_empty(), !LEFT.contains(&name.as_str()), "without Chinese in po/{name}.po: {bare:?}");
    }
}

fn catalogues() -> BTreeMap<String, Catalog> {
    let files = fs::read_dir(repository().join("po")).expect("readable").flatten();
    files
        .map(|file| {
            let name = file.path().file_stem().expect("a name").to_string_lossy().into_owned();
            (name, po_file::parse(&file.path()).expect("a PO file"))
        })
        .collect()
}

fn update(texts: &Texts) {
    let known = catalogues();
    let old = |text: &str, plural: Option<&str>| {
        known.values().filter_map(|file| file.find_message(None, text, plural)).find(|m| m.is_translated())
    };
    for (name, texts) in texts {
        let mut metadata = CatalogMetadata::new();
        metadata.language = "zh".into();
        metadata.mime_version = "1.0".into();
        metadata.content_type = "text/plain; charset=UTF-8".into();
        metadata.content_transfer_encoding = "8bit".into();
        let mut catalogue = Catalog::new(metadata);
        for ((one, other), source) in texts {
            let old = old(one, other.as_deref());
            let mut message = match other {
                Some(other) => {
                    let forms =
                        old.and_then(|old| old.msgstr_plural().ok()).cloned().unwrap_or_else(|| vec![String::new()]);
                    Message::build_plural().with_msgid_plural(other.clone()).with_msgstr_plural(forms).clone()
                }
                None => {
                    let form = old.and_then(|old| old.msgstr().ok()).unwrap_or_default();
                    Message::build_singular().with_msgstr(form.to_owned()).clone()
                }
            };
            catalogue.append_or_update(message.with_msgid(one.clone()).with_source(source.clone()).done());
        }
        po_file::write_to_file(&catalogue, &repository().join(format!("po/{name}.po"))).expect("writes");
    }
}

fn texts() -> Texts {
    let mut said: BTreeMap<Text, BTreeSet<String>> = BTreeMap::new();
    let mut order = Vec::new();
    let mut add = |text: Text, source: String| {
        order.push(text.clone());
        said.entry(text).or_default().insert(source);
    };
    let root = repository().join("src");
    for path in sources(&root, "html") {
        let template = fs::read_to_string(root.join(&path)).expect("readable");
        spoken_in_template(&template, &mut |text| add((text, None), format!("src/{path}")));
    }
    for path in sources(&root, "rs") {
        let tokens: TokenStream = fs::read_to_string(root.join(&path)).expect("readable").parse().expect("Rust");
        spoken(tokens, &mut |text| add(text, format!("src/{path}")));
    }
    for code in qunfa::diag::Code::ALL {
        add((code.info().explanation.to_owned(), None), "src/diag/code.rs".to_owned());
    }
    for text in qunfa::cli::helps() {
        add((text, None), HELP.to_owned());
    }
    for name in ["plan", "report", "diagnostics", "doctor"] {
        let source = format!("schemas/{name}.schema.json");
        let schema = fs::read_to_string(repository().join(&source)).expect("readable");
        let mut schema = serde_json::from_str(&schema).expect("JSON");
        qunfa::plan::schema::texts(&mut schema, &mut |text| add((text.clone(), None), source.clone()));
    }
    let source = "src/content/article/rules.json";
    let rules: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(repository().join(source)).expect("readable")).expect("JSON");
    for group in ["removed_tags", "removed_attributes", "removed_properties"] {
        let rules = rules[group].as_object().expect("a table").values();
        for text in rules.flat_map(|rule| [&rule["why"], &rule["instead"]]).filter_map(|text| text.as_str()) {
            add((text.to_owned(), None), source.to_owned());
        }
    }
    let mut texts = Texts::new();
    let mut seen = BTreeSet::new();
    for text in order.into_iter().filter(|text| seen.insert(text.clone())) {
        let sources = &said[&text];
        let areas: BTreeSet<&str> = sources.iter().map(|source| area(source, &text)).collect();
        let area = if areas.len() == 1 { areas.first().expect("one") } else { "common" };
        let sources = sources.iter().cloned().collect::<Vec<_>>().join("\n");
        texts.entry(area.to_owned()).or_default().push((text, sources));
    }
    texts
}

/// The file of the catalogue that a text of a source belongs to.
fn area(source: &str, (text, _): &Text) -> &'static str {
    if source == "src/diag/code.rs" && qunfa::diag::Code::ALL.iter().any(|code| code.info().explanation == text) {
        return "codes";
    }
    if source == HELP {
        return "help";
    }
    if source.starts_with("schemas/") {
        return "schemas";
    }
    let path = source.trim_start_matches("src/");
    AREAS.iter().find(|(_, below)| below.iter().any(|below| path.starts_with(below))).map_or("common", |(name, _)| name)
}

/// All sources with an ending, in order.
fn sources(root: &Path, ending: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("readable").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == ending) && !path.ends_with("tests.rs") {
                let below = path.strip_prefix(root).expect("below it");
                found.push(below.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    found.sort();
    found
}

/// The texts of every `say!`, and of every `translated("...")` and `in_language(..., "...")`, but for those of tests.
fn spoken(tokens: TokenStream, take: &mut impl FnMut(Text)) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let word = |at: usize| tokens.get(at).map(TokenTree::to_string);
    for (at, token) in tokens.iter().enumerate() {
        let TokenTree::Group(group) = token else { continue };
        let before = |back: usize| at.checked_sub(back).and_then(word);
        if before(1).as_deref() == Some("tests") && before(2).as_deref() == Some("mod") {
            continue;
        }
        let inner: Vec<TokenTree> = group.stream().into_iter().collect();
        if before(1).as_deref() == Some("!") && before(2).as_deref() == Some("say") {
            if let Some(one) = inner.first().and_then(text) {
                let other = (inner.get(1).map(TokenTree::to_string).as_deref() == Some("|"))
                    .then(|| inner.get(2).and_then(text).expect("a plural"));
                take((one, other));
            }
        } else if group.delimiter() == Delimiter::Parenthesis
            && matches!(before(1).as_deref(), Some("translated" | "in_language"))
            && let Some(fixed) = inner.last().and_then(text)
        {
            take((fixed, None));
        }
        spoken(group.stream(), take);
    }
}

/// The texts of every `say("...")` of a template of a page.
fn spoken_in_template(template: &str, take: &mut impl FnMut(String)) {
    for rest in template.split("say(\"").skip(1) {
        take(rest.split("\")").next().expect("split gives at least one").to_owned());
    }
}

/// What a template says by itself, in texts and in attributes that are read.
fn bare_words(template: &str) -> Vec<String> {
    let mut text = template.to_owned();
    // Comments, statements and values of the template, and the styles.
    let parts =
        [("{% block style %}", "{% endblock %}"), ("<style>", "</style>"), ("{#", "#}"), ("{%", "%}"), ("{{", "}}")];
    for (open, close) in parts {
        while let Some(start) = text.find(open) {
            let end = text[start..].find(close).map_or(text.len(), |at| start + at + close.len());
            text.replace_range(start..end, if open == "{{" { "0" } else { "" });
        }
    }
    let mut bare = Vec::new();
    let mut between = String::new();
    for part in text.split('<') {
        let (tag, after) = part.split_once('>').unwrap_or(("", part));
        for name in ["title", "aria-label", "data-label", "alt", "placeholder"] {
            let open = format!(" {name}=\"");
            let values = tag.split(&open).skip(1).filter_map(|rest| rest.split('"').next());
            bare.extend(values.map(str::to_owned));
        }
        between.push_str(after);
        between.push('\n');
    }
    bare.extend(between.lines().map(|line| line.trim().to_owned()));
    bare.retain(|text| text.chars().any(|c| c.is_alphabetic()) && !NAMES.contains(&text.as_str()));
    bare
}

/// Names that a template may show without the catalogue: those of WeChat, and ours.
const NAMES: &[&str] = &["阅读原文", "errcode", "rid", "clientmsgid", "msg_id", "群发", "qunfa · 0", "qunfa ·"];

#[test]
fn templates_of_pages_have_no_words_of_their_own() {
    let root = repository().join("src");
    let templates = sources(&root, "html");
    assert!(templates.len() > 3, "{templates:?}");
    for path in templates {
        let template = fs::read_to_string(root.join(&path)).expect("readable");
        assert_eq!(bare_words(&template), Vec::<String>::new(), "{path}");
    }
    let template = "<style>a</style>{# x #}<p title=\"b\" aria-label=\"{{ say(\"c\") }}\">d {{ e }}</p>";
    assert_eq!(bare_words(template), ["b", "d 0"]);
}

/// The value of a literal that is a text.
fn text(token: &TokenTree) -> Option<String> {
    let TokenTree::Literal(literal) = token else { return None };
    let written = literal.to_string();
    let mut chars = written.strip_prefix('"')?.strip_suffix('"')?.chars().peekable();
    let mut value = String::new();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('n')) => value.push('\n'),
            ('\\', Some('t')) => value.push('\t'),
            ('\\', Some('u')) => {
                let digits: String = chars.by_ref().skip(1).take_while(|c| *c != '}').collect();
                value.extend(u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32));
            }
            ('\\', Some('\n')) => while chars.next_if(|c| c.is_whitespace()).is_some() {},
            ('\\', Some(other)) => value.push(other),
            (c, _) => value.push(c),
        }
    }
    Some(value)
}

#[test]
fn texts_are_found_however_they_are_written() {
    let found = |source: &str| {
        let mut texts = Vec::new();
        spoken(source.parse().expect("Rust"), &mut |(one, other)| {
            texts.push(other.map_or(one.clone(), |o| format!("{one}|{o}")));
        });
        texts
    };
    assert_eq!(found("fn f() { g(say!(\"a `{x}`\", x = say!(\"b\"))) }"), ["a `{x}`", "b"]);
    assert_eq!(found("fn f() { say!(\"one\" | \"many\", n) }"), ["one|many"]);
    assert_eq!(found("fn f() { say!(\"a \\\n    \\\"b\\\" \\u{7fa4}\") }"), ["a \"b\" 群"]);
    assert_eq!(found("fn f() { translated(\"a\"); in_language(language, \"b\"); }"), ["a", "b"]);
    assert_eq!(found("mod tests { fn f() { say!(\"a\") } }"), Vec::<String>::new());
}
