//! The hosts of `lint.staging_hosts`, and mentions of them in a text.

use std::{collections::HashMap, ops::Range};

use serde::Deserialize;

/// Hosts that no text may lead to. However many there are, a text is looked through once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Vec<String>")]
pub(crate) struct Hosts {
    /// Those of letters, digits, dashes and dots, as all real ones are: their place in the list by their names in lower case.
    plain: HashMap<String, usize>,
    /// The longest of these, in bytes.
    longest: usize,
    /// Others, in lower case, and their places.
    other: Vec<(usize, String)>,
}

impl From<Vec<String>> for Hosts {
    fn from(names: Vec<String>) -> Self {
        let mut hosts = Self::default();
        for (number, name) in names.into_iter().enumerate() {
            let name = name.trim().trim_start_matches('.').to_ascii_lowercase();
            if name.is_empty() {
                continue;
            }
            if name.bytes().all(is_part) {
                hosts.longest = hosts.longest.max(name.len());
                hosts.plain.entry(name).or_insert(number);
            } else {
                hosts.other.push((number, name));
            }
        }
        hosts
    }
}

/// Whether a byte can stand in the name of a host.
fn is_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.')
}

impl Hosts {
    /// How many of them a text is looked through for, one by one.
    pub(crate) fn rounds(&self) -> usize {
        usize::from(!self.plain.is_empty()) + self.other.len()
    }

    /// The first mention of each host or of one below it, in any case, with what stands before it; in the order of the hosts.
    pub(crate) fn mentioned_in<'a>(&self, text: &'a str) -> Vec<&'a str> {
        if self.rounds() == 0 {
            return Vec::new();
        }
        let lower = text.to_ascii_lowercase();
        let mut found: Vec<(usize, &str)> = Vec::new();
        if !self.plain.is_empty() {
            self.plain_in(&lower, &mut |host, range| {
                if found.iter().all(|(known, _)| *known != host) {
                    found.push((host, &text[range]));
                }
            });
        }
        for (number, host) in &self.other {
            found.extend(find_host(&lower, host).map(|range| (*number, &text[range])));
        }
        found.sort_by_key(|(number, _)| *number);
        found.into_iter().map(|(_, mention)| mention).collect()
    }

    /// Tells each mention of a plain host: it ends where the letters, digits, dashes and dots around it end, and begins where
    /// they begin or behind a dot.
    fn plain_in(&self, lower: &str, tell: &mut impl FnMut(usize, Range<usize>)) {
        let bytes = lower.as_bytes();
        let mut at = 0;
        while let Some(begin) = bytes[at..].iter().position(|byte| is_part(*byte)).map(|begin| at + begin) {
            let end = bytes[begin..].iter().position(|byte| !is_part(*byte)).map_or(bytes.len(), |end| begin + end);
            at = end;
            // A dot may end the sentence.
            let ends = [Some(end), (bytes[end - 1] == b'.').then(|| end - 1)];
            for end in ends.into_iter().flatten() {
                let first = begin.max(end.saturating_sub(self.longest));
                let begins = (first..end).filter(|start| *start == begin || bytes[start - 1] == b'.');
                for start in begins {
                    if let Some(host) = self.plain.get(&lower[start..end]) {
                        tell(*host, begin..end);
                    }
                }
            }
        }
    }
}

/// The first mention of one host in a text; both are in lower case.
fn find_host(lower: &str, host: &str) -> Option<Range<usize>> {
    let bytes = lower.as_bytes();
    let part = |at: usize| bytes.get(at).is_some_and(|byte| is_part(*byte));
    lower.match_indices(host).find_map(|(at, _)| {
        let end = at + host.len();
        let before = at == 0 || !part(at - 1) || bytes[at - 1] == b'.';
        // A longer name is another host.
        let longer = part(end) && (bytes[end] != b'.' || part(end + 1));
        let start = || bytes[..at].iter().rposition(|byte| !is_part(*byte)).map_or(0, |last| last + 1);
        (before && !longer).then(|| start()..end)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'a>(text: &'a str, hosts: &[&str]) -> Vec<&'a str> {
        Hosts::from(hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>()).mentioned_in(text)
    }

    #[test]
    fn hosts_are_found_whole() {
        for (text, mention) in [
            ("https://test.example.com/a", Some("test.example.com")),
            ("https://M.Test.Example.com", Some("M.Test.Example.com")),
            ("看test.example.com。", Some("test.example.com")),
            ("open test.example.com.", Some("test.example.com")),
            ("open a.test.example.com.", Some("a.test.example.com")),
            ("https://latest.example.com", None),
            ("https://test.example.com.cn", None),
            ("https://test.example.community", None),
            ("test.example.com..", None),
            ("", None),
        ] {
            assert_eq!(found(text, &["test.example.com"]), Vec::from_iter(mention), "{text}");
            let text = text.replace("xample", "例子");
            let other = found(&text, &["test.e例子.com"]);
            let other: Vec<String> = other.into_iter().map(|mention| mention.replace("例子", "xample")).collect();
            assert_eq!(other, Vec::from_iter(mention.map(str::to_owned)), "{text}");
        }
        assert_eq!(found("a.x b.x a.b.x", &["b.x", ".A.x", "b.x"]), ["b.x", "a.x"]);
        assert_eq!(found("a.b.x", &["x", "b.x", "a.b.x", "c.x"]), ["a.b.x"; 3]);
        assert_eq!(found("a", &[]), Vec::<&str>::new());
        assert_eq!(Hosts::from(vec!["a.b".to_owned(), "c".to_owned(), "测".to_owned()]).rounds(), 2);
    }
}
