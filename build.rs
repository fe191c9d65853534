//! Makes the table of Chinese texts of `po/*.po`, and holds them to their English.
#![expect(clippy::disallowed_methods, reason = "it reads and writes files while the program is built")]

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::Path,
};

fn main() {
    println!("cargo::rerun-if-changed=po");
    let mut files: Vec<_> =
        fs::read_dir("po").expect("po is there").map(|entry| entry.expect("readable").path()).collect();
    files.sort();
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    for file in files {
        for (english, chinese) in texts_of(&file) {
            if let Some(other) = texts.insert(english.clone(), chinese.clone())
                && other != chinese
            {
                panic!("{}: `{english}` is `{chinese}` here, and `{other}` in another file", file.display());
            }
        }
    }
    let rows: Vec<(String, String)> = texts.into_iter().collect();
    let out = Path::new(&env::var_os("OUT_DIR").expect("set by Cargo")).join("chinese.rs");
    fs::write(out, format!("&{rows:?}")).expect("the folder of the build can be written");
}

/// What is translated in a file.
fn texts_of(file: &Path) -> Vec<(String, String)> {
    let name = file.display();
    let catalogue = polib::po_file::parse(file).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(catalogue.metadata.plural_rules.nplurals, 1, "{name}: Chinese has one form for all numbers");
    let mut texts = Vec::new();
    for message in catalogue.messages().filter(|message| message.is_translated()) {
        let chinese = message.msgstr_plural().ok().and_then(|forms| forms.first().cloned());
        let chinese = chinese.or_else(|| message.msgstr().ok().map(str::to_owned)).unwrap_or_default();
        let english = [message.msgid(), message.msgid_plural().unwrap_or(message.msgid())];
        for english in english {
            assert_eq!(
                placeholders(&chinese),
                placeholders(english),
                "{name}: the arguments of `{chinese}` and `{english}`"
            );
        }
        texts.push((message.msgid().to_owned(), chinese));
    }
    texts
}

/// The names between braces; `{{` and `}}` are braces, and what is more than a name (`{ file: PATH }`) is an example.
fn placeholders(text: &str) -> BTreeSet<String> {
    let plain = text.replace("{{", "").replace("}}", "");
    let between = plain.split('{').skip(1).map(|part| part.split('}').next().unwrap_or_default());
    between.filter(|name| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')).map(str::to_owned).collect()
}
