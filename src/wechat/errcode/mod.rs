//! The one table of WeChat's error codes: meaning, class and what to do, in English and Chinese.
//!
//! The rows are in `errcode/table.rs`; here is what reads them, and what reads the `errmsg` of a reply. Nothing here
//! decides how often or when a call is repeated.

use std::net::{IpAddr, Ipv4Addr};

mod table;

pub use table::TABLE;

use crate::locale::{Language, Phrase};

/// WeChat's own list of codes.
pub const SOURCE: &str = "https://developers.weixin.qq.com/doc/offiaccount/Getting_Started/Global_Return_Code.html";

/// What a code asks of the runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Disposition {
    /// Success (code 0).
    Done,
    /// Transient: back off and repeat the identical request.
    Retry,
    /// Get a new token and repeat the call once.
    RefreshToken,
    /// A quota is used up: stop the run before the next send.
    WaitQuota,
    /// The request, content or audience is wrong: fail the step, never repeat unchanged.
    FixPlan,
    /// Already accepted: adopt the job in the reply.
    Duplicate,
    /// Account, configuration or permission: stop the run, a person is needed.
    Fatal,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Errcode {
    /// The number on the wire.
    pub code: i64,
    /// WeChat's own words (without hint and rid); empty where WeChat's list has none.
    pub errmsg: &'static str,
    /// What it asks of the runner.
    pub class: Disposition,
    /// What it means, in English.
    pub meaning_en: &'static str,
    /// What it means, in Chinese.
    pub meaning_zh: &'static str,
    /// What to do, in English.
    pub todo_en: &'static str,
    /// What to do, in Chinese.
    pub todo_zh: &'static str,
}

impl Errcode {
    /// What it means (without a full stop) and what to do, in a language.
    pub fn words(&self, language: Language) -> (&'static str, &'static str) {
        match language {
            Language::En => (self.meaning_en, self.todo_en),
            Language::Zh => (self.meaning_zh, self.todo_zh),
        }
    }

    /// What it means.
    pub(crate) fn meaning(&self) -> Phrase {
        Phrase::both(self.meaning_en, self.meaning_zh)
    }

    /// What to do.
    pub(crate) fn todo(&self) -> Phrase {
        Phrase::both(self.todo_en, self.todo_zh)
    }
}

/// The row of a code, if the table has one.
#[must_use]
pub fn lookup(code: i64) -> Option<&'static Errcode> {
    let index = TABLE.binary_search_by_key(&code, |row| row.code).ok()?;
    TABLE.get(index)
}

/// What a code asks of the runner. A code that is not in the table is fatal: better to stop than to guess.
///
/// One code depends on who asks: 40001 is `RefreshToken` here, and fatal when the token endpoint itself answers it.
#[must_use]
pub fn disposition(code: i64) -> Disposition {
    lookup(code).map_or(Disposition::Fatal, |row| row.class)
}

/// Whether a send was refused for one of its people, so that it goes through once the list of people is corrected.
#[must_use]
pub fn is_about_people(code: i64) -> bool {
    matches!(code, 40003 | 40031 | 40032 | 40130 | 43004 | 46004 | 49003 | 50005)
}

/// Whether a code says that the request was not carried out. One that is not in the table says nothing: a relay answers
/// with numbers of its own, whatever it did with the request. Nor does one whose meaning WeChat does not publish, or one by
/// which it is busy, still waits, or was asked before.
#[must_use]
pub fn says_not_taken(code: i64) -> bool {
    match lookup(code).map(|row| row.class) {
        None | Some(Disposition::Done | Disposition::Duplicate) => false,
        // Too fast, and a file that is not ready.
        Some(Disposition::Retry) => matches!(code, 42010 | 45011 | 46007),
        Some(_) => !matches!(code, 9_500_001 | 9_500_002),
    }
}

/// The name of a class as shown to people and in JSON.
#[must_use]
pub const fn class_name(class: Disposition) -> &'static str {
    match class {
        Disposition::Done => "done",
        Disposition::Retry => "retry",
        Disposition::RefreshToken => "refresh-token",
        Disposition::WaitQuota => "wait-quota",
        Disposition::FixPlan => "fix-plan",
        Disposition::Duplicate => "duplicate",
        Disposition::Fatal => "fatal",
    }
}

/// An `errmsg` for display: without the ` hint: [...]` and ` rid: ...` that WeChat adds at the end.
///
/// `invalid media_id hint: [x1] rid: 65f3a1b2-0c4d5e6f-7a8b9c0d` becomes `invalid media_id`.
#[must_use]
pub fn strip(errmsg: &str) -> &str {
    let mut rest = errmsg.trim();
    while let Some(shorter) = before_rid(rest).or_else(|| before_hint(rest)) {
        rest = shorter.trim_end_matches(|c: char| c == ',' || c.is_whitespace());
    }
    rest
}

/// The request id in an `errmsg`: hexadecimal digits and `-`, usually three groups of eight.
#[must_use]
pub fn rid(errmsg: &str) -> Option<&str> {
    split_rid(errmsg).map(|(_, rid, _)| rid)
}

/// The caller's address in the `errmsg` of a refusal by the IP allow-list (40164), as it has to be added to that list.
///
/// An IPv4 address written as IPv6 (`::ffff:115.204.32.21`) is given in its IPv4 form.
#[must_use]
pub fn ip_in(errmsg: &str) -> Option<&str> {
    errmsg
        .split(|c: char| c.is_whitespace() || matches!(c, ',' | '[' | ']'))
        .map(|word| match word.strip_prefix("::ffff:") {
            Some(v4) if v4.parse::<Ipv4Addr>().is_ok() => v4,
            _ => word,
        })
        .find(|word| word.parse::<IpAddr>().is_ok())
}

/// What stands before a rid at the very end.
fn before_rid(errmsg: &str) -> Option<&str> {
    let (head, _, tail) = split_rid(errmsg)?;
    tail.trim().is_empty().then_some(head)
}

/// What stands before a hint at the very end.
fn before_hint(errmsg: &str) -> Option<&str> {
    let (head, tail) = split_label(errmsg, "hint:")?;
    (tail.trim_start().starts_with('[') && tail.trim_end().ends_with(']')).then_some(head)
}

/// Text before the label of the last rid, the rid, text after it.
fn split_rid(errmsg: &str) -> Option<(&str, &str, &str)> {
    let (head, tail) = split_label(errmsg, "rid:")?;
    let tail = tail.trim_start();
    let end = tail.find(|c: char| !c.is_ascii_hexdigit() && c != '-').unwrap_or(tail.len());
    let (rid, rest) = tail.split_at(end);
    let is_id = rid.contains(|c: char| c.is_ascii_hexdigit());
    let is_whole = !rest.starts_with(char::is_alphanumeric);
    (is_id && is_whole).then_some((head, rid, rest))
}

/// Text before and after the last `label` that starts a word.
fn split_label<'a>(errmsg: &'a str, label: &str) -> Option<(&'a str, &'a str)> {
    let (head, tail) = errmsg.rsplit_once(label)?;
    (!head.ends_with(char::is_alphanumeric)).then_some((head, tail))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_han(c: char) -> bool {
        ('\u{4e00}'..='\u{9fff}').contains(&c)
    }

    /// Codes given here are in the table, and in this class.
    fn check_class(class: Disposition, codes: &[i64]) {
        for &code in codes {
            let row = lookup(code).unwrap_or_else(|| panic!("{code} is not in the table"));
            assert_eq!(row.class, class, "{code}");
            assert_eq!(disposition(code), class, "{code}");
        }
    }

    #[test]
    fn table_is_sorted_and_unique() {
        for pair in TABLE.windows(2) {
            assert!(pair[0].code < pair[1].code, "{} before {}", pair[0].code, pair[1].code);
        }
    }

    #[test]
    fn every_row_is_found() {
        for row in TABLE {
            let found = lookup(row.code).unwrap_or_else(|| panic!("{} is not found", row.code));
            assert_eq!(found.code, row.code);
        }
    }

    #[test]
    fn every_code_of_the_list_has_a_row() {
        // Runs of codes that WeChat lists together; one lost in an edit shows here.
        let ranges = [
            (-1, 0),
            (40001, 40014),
            (40031, 40033),
            (40192, 40194),
            (40213, 40216),
            (44001, 44005),
            (45001, 45009),
            (45056, 45059),
            (45065, 45067),
            (45083, 45085),
            (45157, 45159),
            (47001, 47003),
            (48001, 48004),
            (53404, 53406),
            (53500, 53505),
            (89503, 89505),
            (9_500_001, 9_500_002),
        ];
        for (first, last) in ranges {
            for code in first..=last {
                assert!(lookup(code).is_some(), "{code} is not in the table");
            }
        }
    }

    #[test]
    fn texts_are_whole_sentences_in_both_languages() {
        for row in TABLE {
            let code = row.code;
            for text in [row.meaning_en, row.meaning_zh, row.todo_en, row.todo_zh] {
                assert!(!text.is_empty(), "{code}: a text is empty");
                assert_eq!(text, text.trim(), "{code}");
                assert!(!text.contains("  "), "{code}: {text}");
                assert_eq!(text.matches('`').count() % 2, 0, "{code}: {text}");
            }
            for text in [row.meaning_en, row.todo_en] {
                let begins = text.starts_with(|c: char| c.is_ascii_uppercase()) || text.starts_with("qunfa ");
                assert!(begins, "{code}: {text}");
            }
            assert!(!row.meaning_en.ends_with('.'), "{code}: {}", row.meaning_en);
            assert!(row.todo_en.ends_with('.'), "{code}: {}", row.todo_en);
            assert!(!row.meaning_zh.ends_with('。'), "{code}: {}", row.meaning_zh);
            assert!(row.todo_zh.ends_with('。'), "{code}: {}", row.todo_zh);
        }
    }

    #[test]
    fn chinese_is_chinese() {
        for row in TABLE {
            for text in [row.meaning_zh, row.todo_zh] {
                assert!(text.contains(is_han), "{}: {text}", row.code);
                let chars: Vec<char> = text.chars().collect();
                for pair in chars.windows(2) {
                    let half_width = is_han(pair[0]) && matches!(pair[1], ',' | '.' | ';' | ':' | '?' | '!');
                    assert!(!half_width, "{}: {text}", row.code);
                }
            }
            assert!(!row.meaning_en.contains('。'), "{}", row.code);
            for word in ["受众", "撤回", "采用", "额度"] {
                assert!(!row.meaning_zh.contains(word) && !row.todo_zh.contains(word), "{}: {word}", row.code);
            }
        }
    }

    #[test]
    fn errmsg_is_stripped_already() {
        for row in TABLE {
            assert_eq!(strip(row.errmsg), row.errmsg, "{}", row.code);
        }
    }

    #[test]
    fn done() {
        check_class(Disposition::Done, &[0]);
        assert_eq!(TABLE.iter().filter(|row| row.class == Disposition::Done).count(), 1);
    }

    #[test]
    fn retry() {
        let codes = [-1, 42010, 45011, 45066, 45085, 45169, 45171, 46007, 61450, 61503, 89504, 89505, 268_488_001];
        check_class(Disposition::Retry, &codes);
    }

    #[test]
    fn refresh_token() {
        check_class(Disposition::RefreshToken, &[40001, 40014, 42001, 42006]);
        let count = TABLE.iter().filter(|row| row.class == Disposition::RefreshToken).count();
        assert_eq!(count, 4);
    }

    #[test]
    fn wait_quota() {
        check_class(Disposition::WaitQuota, &[45009, 45028, 45040, 45047, 45101, 48006, 53501]);
    }

    #[test]
    fn fix_plan() {
        let codes = [
            40003, 40007, 40008, 40033, 40130, 40152, 41001, 43004, 44004, 45002, 45062, 45067, 45113, 47001, 48021,
            53502, 76021, 88001,
        ];
        check_class(Disposition::FixPlan, &codes);
    }

    #[test]
    fn duplicate() {
        check_class(Disposition::Duplicate, &[45065]);
        let count = TABLE.iter().filter(|row| row.class == Disposition::Duplicate).count();
        assert_eq!(count, 1);
    }

    #[test]
    fn fatal() {
        let codes = [
            40002, 40013, 40125, 40164, 40200, 40243, 42007, 45035, 45102, 45103, 45501, 48001, 48003, 48004, 48008,
            50002, 53500, 61003, 61004, 61005, 61006, 61007, 61011, 61016, 61023, 61024, 88000, 89503, 9_500_001,
            9_500_002,
        ];
        check_class(Disposition::Fatal, &codes);
    }

    #[test]
    fn unknown_code_is_fatal() {
        for code in [i64::MIN, -2, 1, 40000, 99999, i64::MAX] {
            assert!(lookup(code).is_none(), "{code}");
            assert_eq!(disposition(code), Disposition::Fatal, "{code}");
        }
    }

    #[test]
    fn a_code_that_nobody_knows_does_not_say_that_a_request_was_not_taken() {
        for code in [i64::MIN, -2, -1, 0, 502, 43104, 45065, 45066, 50000, 89504, 268_488_001, 9_500_002, i64::MAX] {
            assert!(!says_not_taken(code), "{code}");
        }
        for code in [40001, 40003, 42001, 42010, 44004, 45011, 45028, 48001, 50002] {
            assert!(says_not_taken(code), "{code}");
        }
    }

    #[test]
    fn class_names_are_distinct_words() {
        let names = [
            Disposition::Done,
            Disposition::Retry,
            Disposition::RefreshToken,
            Disposition::WaitQuota,
            Disposition::FixPlan,
            Disposition::Duplicate,
            Disposition::Fatal,
        ]
        .map(class_name);
        assert_eq!(names.join("|"), "done|retry|refresh-token|wait-quota|fix-plan|duplicate|fatal");
    }

    #[test]
    fn strip_cuts_hint_and_rid() {
        let cases = [
            ("ok", "ok"),
            ("", ""),
            ("api unauthorized rid: 65f3a1b2-0c4d5e6f-7a8b9c0d", "api unauthorized"),
            ("system error hint: [s51DMA08921891]", "system error"),
            ("invalid media_id hint: [Ab_1] rid: 65f3a1b2-0c4d5e6f-7a8b9c0d", "invalid media_id"),
            ("invalid media_id rid: 65f3a1b2-0c4d5e6f-7a8b9c0d hint: [Ab_1]", "invalid media_id"),
            ("system error, hint: [a b], rid: 65f3", "system error"),
            (
                "invalid ip 115.204.32.21 ipv6 ::ffff:115.204.32.21, not in whitelist rid: 65f3a1b2-0c4d5e6f-7a8b9c0d",
                "invalid ip 115.204.32.21 ipv6 ::ffff:115.204.32.21, not in whitelist",
            ),
            ("标题为空 rid: 65f3a1b2-0c4d5e6f-7a8b9c0d\n", "标题为空"),
            ("rid: 65f3a1b2-0c4d5e6f-7a8b9c0d", ""),
            // Not at the end, or not what they look like.
            ("rid: 65f3 is not yours", "rid: 65f3 is not yours"),
            ("bad grid: 12", "bad grid: 12"),
            ("missing rid:", "missing rid:"),
            ("take the hint: none", "take the hint: none"),
            ("this api have been blocked temporarily.", "this api have been blocked temporarily."),
        ];
        for (errmsg, expected) in cases {
            assert_eq!(strip(errmsg), expected, "{errmsg}");
        }
    }

    #[test]
    fn rid_is_found() {
        let cases = [
            ("api unauthorized rid: 65f3a1b2-0c4d5e6f-7a8b9c0d", Some("65f3a1b2-0c4d5e6f-7a8b9c0d")),
            ("x rid: 65f3a1b2-0c4d5e6f-7a8b9c0d hint: [Ab_1]", Some("65f3a1b2-0c4d5e6f-7a8b9c0d")),
            ("x rid:65F3A1B2-0C", Some("65F3A1B2-0C")),
            ("x rid: 65f3...", Some("65f3")),
            ("标题为空,rid: 1a-2b", Some("1a-2b")),
            ("x rid: ", None),
            ("x rid: --", None),
            ("x rid: decided", None),
            ("x rid: face到", None),
            ("x grid: 12ab", None),
            ("x hint: [Ab_1]", None),
            ("ok", None),
            ("", None),
        ];
        for (errmsg, expected) in cases {
            assert_eq!(rid(errmsg), expected, "{errmsg}");
        }
    }

    #[test]
    fn ip_is_found() {
        let cases = [
            (
                "invalid ip 115.204.32.21 ipv6 ::ffff:115.204.32.21, not in whitelist rid: 65f3a1b2-0c4d5e6f-7a8b9c0d",
                Some("115.204.32.21"),
            ),
            ("invalid ip 115.204.32.21, not in whitelist hint: [Ab_1]", Some("115.204.32.21")),
            ("invalid ip ::ffff:115.204.32.21, not in whitelist", Some("115.204.32.21")),
            ("invalid ip 2408:8207::1, not in whitelist", Some("2408:8207::1")),
            ("access clientip is not registered, not in ip-white-list", None),
            ("invalid ip 1.2.3, not in whitelist", None),
            ("", None),
        ];
        for (errmsg, expected) in cases {
            assert_eq!(ip_in(errmsg), expected, "{errmsg}");
        }
    }
}
