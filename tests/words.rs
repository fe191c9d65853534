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
    for name in ["plan", "fleet", "fleet-status", "report", "diagnostics", "doctor"] {
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
            && let Some(fixed) = inner.iter().rfind(|token| token.to_string() != ",").and_then(text)
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
    assert_eq!(found("fn f() { translated(\n\"a\",\n); }"), ["a"], "a comma after it");
    assert_eq!(found("mod tests { fn f() { say!(\"a\") } }"), Vec::<String>::new());
}

/// What looks wrong in a Chinese sentence: no space between Chinese and Latin letters, ASCII punctuation beside Chinese.
fn misset(chinese: &str) -> Vec<String> {
    let is_chinese = |c: char| ('\u{4e00}'..='\u{9fff}').contains(&c);
    let is_latin = |c: char| c.is_ascii_alphanumeric() || c == '`';
    // What stands in backticks is code; what stands in braces may be Chinese words.
    let mut inside = false;
    let plain: String = chinese
        .chars()
        .filter(|c| {
            if *c == '`' {
                inside = !inside;
                true
            } else {
                !inside
            }
        })
        .collect();
    let mut depth = 0;
    let letters: Vec<char> = plain
        .chars()
        .map(|c| match c {
            '{' => {
                depth += 1;
                '{'
            }
            '}' => {
                depth -= 1;
                '}'
            }
            c if depth > 0 && c != '{' => '{',
            c => c,
        })
        .collect();
    let mut wrong = Vec::new();
    // A heading of a help is `用法:`, as clap sets those that it adds.
    let letters = letters.strip_suffix(&[':']).unwrap_or(&letters);
    for pair in letters.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        let touches = (is_chinese(a) && is_latin(b)) || (is_latin(a) && is_chinese(b));
        let ascii = (is_chinese(a) && ",;:!?()".contains(b)) || (",;:!?()".contains(a) && is_chinese(b));
        if touches || ascii {
            wrong.push(format!("{a}{b}"));
        }
    }
    if letters.last() == Some(&'.') && letters.iter().rev().nth(1).is_some_and(|c| is_chinese(*c)) {
        wrong.push("。 at the end".to_owned());
    }
    wrong
}

#[test]
fn chinese_is_set_as_chinese() {
    let mut wrong = Vec::new();
    for file in catalogues().values() {
        for message in file.messages() {
            let forms = message.msgstr_plural().ok().cloned().unwrap_or_default();
            let one = message.msgstr().ok().map(str::to_owned);
            for chinese in forms.into_iter().chain(one) {
                for word in ["撤回", "受众", "护栏", "MIME-Version"] {
                    if chinese.contains(word) {
                        wrong.push(format!("{word}: {chinese}"));
                    }
                }
                wrong.extend(misset(&chinese).into_iter().map(|at| format!("{at}: {chinese}")));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(misset("第 {number} 次调用{outcome}：`ab群发c` 好。"), Vec::<String>::new());
    assert_eq!(misset("群发A 好(b)，`x`好."), ["发A", "好(", "`好", "。 at the end"]);
}

/// Texts that no snapshot and no page of the book shows in Chinese. An entry goes when it is shown, and none is added.
const UNSEEN: &str = "tests/words-unseen.txt";

/// All that is shown in Chinese, without blanks, which lines are broken at, and without escapes.
fn shown_in_chinese() -> String {
    let mut files = Vec::new();
    let mut folders = ["tests", "src", "docs/zh"].map(|folder| repository().join(folder)).to_vec();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("readable").flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with("@zh.snap") || (name.ends_with(".md") && path.to_string_lossy().contains("zh")) {
                files.push(path);
            }
        }
    }
    files.sort();
    let mut shown = String::new();
    for file in files {
        shown.push_str(&fs::read_to_string(file).expect("readable"));
        shown.push('\n');
    }
    as_read(&shown)
}

/// A text without blanks and escapes.
fn as_read(text: &str) -> String {
    let mut text = text.to_owned();
    for (escaped, plain) in [
        // What pages set as code stands in backticks elsewhere.
        ("<code>", "`"),
        ("</code>", "`"),
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#x27;", "'"),
        ("&#x2f;", "/"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&amp;", "&"),
        ("\\\\n", ""),
        ("\\n", ""),
        ("\\", ""),
    ] {
        text = text.replace(escaped, plain);
    }
    text.retain(|c| !c.is_whitespace());
    text
}

/// Where two letters stand beside each other in a text: to look for a thousand texts in it.
struct Index<'t> {
    text: &'t str,
    pairs: std::collections::HashMap<(char, char), Vec<usize>>,
}

impl<'t> Index<'t> {
    fn new(text: &'t str) -> Self {
        let mut pairs: std::collections::HashMap<_, Vec<usize>> = std::collections::HashMap::new();
        for ((at, a), (_, b)) in text.char_indices().zip(text.char_indices().skip(1)) {
            pairs.entry((a, b)).or_default().push(at);
        }
        Self { text, pairs }
    }

    /// Whether a text of the catalogue is there, whatever stands for its placeholders.
    fn has(&self, chinese: &str) -> bool {
        let mut parts = vec![String::new()];
        let mut rest = as_read(chinese);
        // A text that is no sentence of `say!` has braces as they are.
        if self.text.contains(&rest) {
            return true;
        }
        rest = rest.replace("{{", "\u{1}").replace("}}", "\u{2}");
        while let Some((before, after)) = rest.split_once('{') {
            parts.last_mut().expect("one").push_str(before);
            parts.push(String::new());
            rest = after.split_once('}').map_or_else(String::new, |(_, after)| after.to_owned());
        }
        parts.last_mut().expect("one").push_str(&rest);
        let parts: Vec<String> = parts
            .iter()
            .map(|part| part.replace('\u{1}', "{").replace('\u{2}', "}"))
            .filter(|p| !p.is_empty())
            .collect();
        let Some(longest) = parts.iter().max_by_key(|part| part.len()) else { return true };
        let pairs = longest.char_indices().zip(longest.chars().skip(1));
        let places = pairs.map(|((at, a), b)| (at, self.pairs.get(&(a, b))));
        let Some((offset, places)) = places.min_by_key(|(_, places)| places.map_or(0, Vec::len)) else {
            return self.text.contains(longest.as_str());
        };
        let starts = places.into_iter().flatten().filter_map(|place| place.checked_sub(offset));
        starts.filter(|start| self.text.get(*start..).is_some_and(|rest| rest.starts_with(longest.as_str()))).any(
            |start| {
                let from = self.text.floor_char_boundary(start.saturating_sub(1_000));
                let mut window = &self.text[from..self.text.floor_char_boundary(start + 2_000)];
                parts.iter().all(|part| match window.split_once(part.as_str()) {
                    Some((_, after)) => {
                        window = after;
                        true
                    }
                    None => false,
                })
            },
        )
    }
}

/// A text is read in Chinese by whoever reads the snapshots: with its arguments, in its place.
#[test]
fn every_text_is_seen_in_chinese() {
    let shown = shown_in_chinese();
    let index = Index::new(&shown);
    let mut unseen = BTreeSet::new();
    let number = regex_lite::Regex::new(r"\d+(,\d{3})*").expect("an expression");
    for file in catalogues().values() {
        for message in file.messages() {
            let chinese = message.msgstr_plural().ok().and_then(|forms| forms.first().cloned());
            let chinese = chinese.or_else(|| message.msgstr().ok().map(str::to_owned)).unwrap_or_default();
            // `hear` writes N for every number.
            if !index.has(&chinese) && !index.has(&number.replace_all(&chinese, "N")) {
                unseen.insert(message.msgid().replace('\n', " "));
            }
        }
    }
    let path = repository().join(UNSEEN);
    let read = fs::read_to_string(&path).unwrap_or_default();
    // Lines with `#` say why.
    let (why, listed): (Vec<&str>, Vec<&str>) = read.lines().partition(|line| line.starts_with('#'));
    let listed: BTreeSet<String> = listed.into_iter().map(str::to_owned).collect();
    if std::env::var_os("UPDATE_WORDS").is_some() {
        let kept = unseen.iter().filter(|text| listed.contains(*text)).map(String::as_str);
        fs::write(path, why.into_iter().chain(kept).collect::<Vec<_>>().join("\n") + "\n").expect("writes");
        return;
    }
    let added: Vec<&String> = unseen.difference(&listed).collect();
    assert!(added.is_empty(), "no test shows these in Chinese (`in_each_language`, `in_both`): {added:#?}");
    let gone: Vec<&String> = listed.difference(&unseen).collect();
    assert!(gone.is_empty(), "shown now: UPDATE_WORDS=1 takes them from {UNSEEN}: {gone:#?}");
    let index = Index::new("第1次调用，`春茶`已发出{x}");
    assert!(index.has("第 {n} 次调用，`{name}` 已发出{{x}}") && !index.has("第 {n} 次调用未发出"));
}
