//! Names of files that come from titles: nothing from the platform leads out of a folder, or is hidden in it.

use std::collections::HashSet;

/// Longest part that is taken from a title, in characters.
const LONGEST: usize = 40;

/// The names that are given so far, below one folder.
#[derive(Default)]
pub(super) struct Names(HashSet<String>);

impl Names {
    /// A name that is not given yet: `春茶.html`, `春茶-2.html`. File systems may take letters of both cases for the same.
    pub(super) fn free(&mut self, stem: &str, ending: &str) -> String {
        let mut name = format!("{stem}.{ending}");
        let mut number = 2;
        while !self.0.insert(name.to_lowercase()) {
            name = format!("{stem}-{number}.{ending}");
            number += 1;
        }
        name
    }
}

/// What of a title can be the name of a file on every system: letters and digits of all scripts, with dashes between them.
pub(super) fn stem(title: &str) -> String {
    let mut stem = String::new();
    for c in title.chars() {
        if stem.chars().count() >= LONGEST {
            break;
        }
        if c.is_alphanumeric() || c == '_' {
            stem.push(c);
        } else if !stem.is_empty() && !stem.ends_with('-') {
            stem.push('-');
        }
    }
    let stem = stem.trim_matches(['-', '_']).to_owned();
    let lower = stem.to_ascii_lowercase();
    let device = ["con", "prn", "aux", "nul"].contains(&lower.as_str())
        || ["com", "lpt"].iter().any(|port| lower.strip_prefix(port).is_some_and(|rest| rest.chars().count() == 1));
    match stem.is_empty() || device {
        true => "article".to_owned(),
        false => stem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_become_names() {
        for (title, name) in [
            ("春茶上新", "春茶上新"),
            ("  Spring tea: 50% off! ", "Spring-tea-50-off"),
            ("../../etc/passwd", "etc-passwd"),
            ("..\\..\\x", "x"),
            (".gitattributes", "gitattributes"),
            ("/", "article"),
            ("", "article"),
            ("...", "article"),
            ("a\u{0}b\nc\u{202e}d", "a-b-c-d"),
            ("NUL", "article"),
            ("com1", "article"),
            ("《春》（一）", "春-一"),
            ("{{ vars.x }}", "vars-x"),
        ] {
            assert_eq!(stem(title), name, "{title}");
        }
        assert_eq!(stem(&"茶".repeat(1000)).chars().count(), LONGEST);
    }

    #[test]
    fn names_are_given_once() {
        let mut names = Names::default();
        let given = ["茶", "a", "茶", "A", "茶"].map(|stem| names.free(stem, "html"));
        assert_eq!(given, ["茶.html", "a.html", "茶-2.html", "A-2.html", "茶-3.html"]);
    }
}
