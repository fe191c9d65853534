//! What is said in more than one place, worded once; and words from outside, made harmless.

mod base64;
pub(crate) mod characters;
pub(crate) mod moment;
pub(crate) mod openid;

pub(crate) use base64::base64;

use std::borrow::Cow;

use crate::{
    limits,
    locale::{Count, Phrase, list, say},
};

/// Whether a character acts instead of being seen: a terminal obeys it, it breaks a line, or it turns the direction in which
/// what follows is read.
fn acts(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}')
}

/// Words from outside as data: what acts (newline and tab aside) becomes U+FFFD. The one place that knows which do.
pub(crate) fn visible(text: &str) -> String {
    // CRLF is a newline, not a newline and something odd.
    let seen = |c: char| if acts(c) && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c };
    text.replace("\r\n", "\n").chars().map(seen).collect()
}

/// [`visible`] on one line.
pub(crate) fn one_line(text: &str) -> String {
    visible(text).replace(['\n', '\t'], " ")
}

/// [`visible`], but for the colours (`ESC [ ... m`) that we write ourselves around words which are visible already.
pub(crate) fn visible_but_colours(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let mut out = visible(parts.next().unwrap_or_default());
    for part in parts {
        let digits =
            part.strip_prefix('[').map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';'));
        let colour = digits.and_then(|rest| rest.strip_prefix('m')).map(|rest| part.len() - rest.len());
        out.push(if colour.is_some() { '\u{1b}' } else { '\u{fffd}' });
        out.push_str(&part[..colour.unwrap_or(0)]);
        out.push_str(&visible(&part[colour.unwrap_or(0)..]));
    }
    out
}

/// JSON that says the same, with what acts and what a CI system could obey (`##[`) escaped.
pub(crate) fn visible_json(text: &str) -> Cow<'_, str> {
    // A dry run of a million people has none of it.
    if !text.contains("##[") && !text.chars().any(|c| acts(c) && !matches!(c, '\n' | '\t')) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len());
    let mut units = [0; 2];
    let mut before = ['\n'; 2];
    for c in text.chars() {
        if (acts(c) && !matches!(c, '\n' | '\t')) || (c == '[' && before == ['#'; 2]) {
            c.encode_utf16(&mut units).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
        } else {
            out.push(c);
        }
        before = [before[1], c];
    }
    out.into()
}

/// A text in which GitHub Actions finds no workflow command: neither `::` at the beginning of a line, blanks and colours
/// aside, nor `##[` anywhere.
/// <https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs>
pub(crate) fn inert(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // What of a line is seen so far, as far as it matters.
    let (mut begins, mut before, mut colour) = (true, [' '; 2], false);
    for c in text.chars() {
        if colour || c == '\u{1b}' {
            colour = c != 'm';
            out.push(c);
            continue;
        }
        if (c == ':' && begins && before[1] == ':') || (c == '[' && before == ['#'; 2]) {
            out.push(' ');
        }
        out.push(c);
        let blank = c.is_whitespace() || matches!(c, '\u{200b}' | '\u{feff}');
        begins = matches!(c, '\n' | '\r') || (begins && (blank || (c == ':' && before[1] != ':')));
        before = if matches!(c, '\n' | '\r') { [' '; 2] } else { [before[1], c] };
    }
    out
}

/// `city[北京]`: a step, and the key of its row where it has one.
pub(crate) fn step_name(id: &str, key: Option<&str>) -> String {
    match key {
        Some(key) => format!("{id}[{key}]"),
        None => id.to_owned(),
    }
}

/// `12345` as `12,345`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A message in which no word of the user is longer than [`limits::QUOTE_CHARS`]; what is no sentence of ours is cut between its
/// backticks, and has itself at most [`limits::MESSAGE_CHARS`]. Every finding and every problem passes here.
pub(crate) fn brief(mut message: Phrase) -> Phrase {
    message.cut(&|quote| cut(quote, limits::QUOTE_CHARS), &|words| {
        if words.len() > limits::QUOTE_CHARS {
            let mut parts: Vec<String> = words.split('`').map(str::to_owned).collect();
            parts.iter_mut().skip(1).step_by(2).for_each(|quote| cut(quote, limits::QUOTE_CHARS));
            *words = parts.join("`");
            cut(words, limits::MESSAGE_CHARS);
        }
    });
    message
}

fn cut(text: &mut String, most: usize) {
    if let Some((end, _)) = text.char_indices().nth(most) {
        // A name keeps its quotes.
        let quote = text.starts_with('`') && text.ends_with('`');
        text.truncate(end);
        text.push_str(if quote { "…`" } else { "…" });
    }
}

/// "`a`, `b` or `c`"; of many names the first.
pub(crate) fn one_of<S: AsRef<str>>(names: &[S]) -> Phrase {
    let name = |name: &S| format!("`{}`", name.as_ref());
    match names {
        [] => say!("nothing"),
        [one] => Phrase::verbatim(name(one)),
        [_, ..] if names.len() > limits::NAMES_SHOWN => {
            let (first, rest) = names.split_at(limits::NAMES_SHOWN);
            say!("{most} or one of {count} more", most = list(first.iter().map(name)), count = Count(rest.len() as u64))
        }
        [most @ .., last] => say!("{most} or {last}", most = list(most.iter().map(name)), last = name(last)),
    }
}

/// "did you mean `x`?", of the name that a misspelt one was probably meant to be.
pub(crate) fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<Phrase> {
    did_you_mean(wrong, known).map(|near| say!("did you mean `{near}`?", near))
}

/// The name that a misspelt one was probably meant to be.
pub(crate) fn did_you_mean<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Nobody misspells a name that long, and to compare two of them takes the product of their lengths.
    let length = wrong.chars().take(limits::QUOTE_CHARS).count();
    if length == limits::QUOTE_CHARS {
        return None;
    }
    let wrong = wrong.to_lowercase();
    let mut left = limits::NEAR_NAME_STEPS;
    let mut nearest: Option<(usize, &str)> = None;
    for name in known {
        let other = name.chars().take(limits::QUOTE_CHARS).count();
        let most = 1.max(length.max(other) / 3);
        // Names are at least as far from each other as their lengths.
        if length.abs_diff(other) > most {
            continue;
        }
        let Some(rest) = left.checked_sub(length * other) else { break };
        left = rest;
        let distance = strsim::damerau_levenshtein(&wrong, &name.to_lowercase());
        // Of two as near, the one that was typed, and a key too often.
        let nearer = |near: usize| distance < near || (distance == near && wrong.starts_with(&name.to_lowercase()));
        if distance <= most && nearest.is_none_or(|(near, _)| nearer(near)) {
            nearest = Some((distance, name));
        }
    }
    nearest.map(|(_, name)| name)
}

/// A word of a command that is printed to be pasted into bash or zsh: in quotes where a shell would read more into it.
pub(crate) fn quoted(word: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_alphanumeric() || "-_./:@%+,".contains(c);
    // zsh replaces `=name` at the beginning of a word; elsewhere `=` is a letter like others.
    let same = |(at, c): (usize, char)| plain(c) || (c == '=' && at > 0);
    if !word.is_empty() && word.char_indices().all(same) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', r"'\''")).into()
    }
}

/// A text filled up to a width; Chinese characters are two wide.
pub(crate) fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(unicode_width::UnicodeWidthStr::width(text))))
}

/// A part of a sentence: plain words, or what stood between backticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    Words(&'a str),
    /// A name, a value, something to type.
    Code(&'a str),
}

/// Cuts a sentence of ours at its backticks, so that each format can show what they enclose in its own way.
/// Backticks that pair with nothing stay words.
pub(crate) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('`') {
        let Some((code, after)) = after.split_once('`').filter(|(code, _)| !code.is_empty()) else {
            break;
        };
        if !before.is_empty() {
            pieces.push(Piece::Words(before));
        }
        pieces.push(Piece::Code(code));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Words(rest));
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::locale::Language;

    #[test]
    fn words_from_outside_are_data() {
        let hostile = "a\u{1b}[31mb\u{1b}]0;x\u{7}c\rd\u{85}e\u{2028}f\u{202e}g\u{200f}h\u{9b}i\r\nj\tk";
        assert_eq!(
            visible(hostile),
            "a\u{fffd}[31mb\u{fffd}]0;x\u{fffd}c\u{fffd}d\u{fffd}e\u{fffd}f\u{fffd}g\u{fffd}h\u{fffd}i\nj\tk"
        );
        assert_eq!(one_line("a\nb\tc"), "a b c");
        assert_eq!(
            visible_but_colours("\u{1b}[1;31ma\u{1b}[0mb\u{1b}[2Jc\u{1b}"),
            "\u{1b}[1;31ma\u{1b}[0mb\u{fffd}[2Jc\u{fffd}"
        );
        let json = serde_json::json!({ "a": "x\u{202e}\u{85}##[error]y" });
        let written = json.to_string();
        let text = visible_json(&written);
        assert_eq!(text, r###"{"a":"x\u202e\u0085##\u005berror]y"}"###);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).expect("JSON"), json);
    }

    #[test]
    fn no_text_is_a_workflow_command() {
        for (text, shown) in [
            ("::error::x", ": :error::x"),
            ("a\n \t\u{3000}::set-env name=x::y", "a\n \t\u{3000}: :set-env name=x::y"),
            ("a\r::add-mask::x", "a\r: :add-mask::x"),
            ("\u{1b}[31m::e\u{1b}[0m", "\u{1b}[31m: :e\u{1b}[0m"),
            ("a ##[error]x", "a ## [error]x"),
            ("##\u{1b}[0m[group]", "##\u{1b}[0m [group]"),
            ("Vec::new, a: b, [x]#[y]", "Vec::new, a: b, [x]#[y]"),
        ] {
            assert_eq!(inert(text), shown);
        }
    }

    #[test]
    fn a_step_of_a_row_has_its_key() {
        assert_eq!(step_name("city", Some("北京")), "city[北京]");
        assert_eq!(step_name("city", None), "city");
    }

    #[test]
    fn numbers_have_separators() {
        assert_eq!([0, 999, 1_000].map(thousands), ["0", "999", "1,000"]);
        assert_eq!(thousands(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn suggests_the_nearest_name_only() {
        assert_eq!(did_you_mean("mesage", ["message", "to"]), Some("message"));
        assert_eq!(did_you_mean("send_by_tga", ["send_by_tag", "send_by_openid"]), Some("send_by_tag"));
        assert_eq!(did_you_mean("xyz", ["message", "to"]), None);
        let near = nearest("mesage", ["message"]).expect("near");
        assert_eq!(near, "did you mean `message`?");
        assert_eq!(near.in_language(Language::Zh), "是不是想写 `message`？");
    }

    #[test]
    fn the_search_for_a_near_name_ends() {
        let long = "b".repeat(100_000);
        assert_eq!(did_you_mean(&"a".repeat(100_000), [long.as_str(), "a"]), None);
        // A name of 100 among those of 100: ten comparisons.
        let wrong = "a".repeat(99) + "b";
        let far = "c".repeat(100);
        let near = "a".repeat(100);
        let among = |before: usize| std::iter::repeat_n(far.as_str(), before).chain([near.as_str()]);
        assert_eq!(did_you_mean(&wrong, among(9)), Some(near.as_str()));
        assert_eq!(did_you_mean(&wrong, among(10)), None);
    }

    #[test]
    fn quotes_and_messages_have_an_end() {
        let _heard = crate::locale::tests::heard("text-quotes_and_messages_have_an_end");
        let quote =
            |length: usize| format!("there is no `{}` here, and no `{}`", "春".repeat(length), "b".repeat(length));
        let brief = |words: String| super::brief(words.into()).in_language(Language::En);
        assert_eq!(brief(quote(limits::QUOTE_CHARS)), quote(limits::QUOTE_CHARS));
        let cut = format!("there is no `{}…` here, and no `{}…`", "春".repeat(200), "b".repeat(200));
        assert_eq!(brief(quote(limits::QUOTE_CHARS + 1)), cut);
        assert_eq!(brief("x".repeat(limits::MESSAGE_CHARS)), "x".repeat(2_000));
        assert_eq!(brief("x".repeat(limits::MESSAGE_CHARS + 1)), "x".repeat(2_000) + "…");
        let said = super::brief(say!("`{value}` is not an openid", value = "b".repeat(201)));
        assert_eq!(said, format!("`{}…` is not an openid", "b".repeat(200)));
        let names: Vec<String> = (0..22).map(|number| number.to_string()).collect();
        let one_of = |names: &[String]| super::one_of(names).in_language(Language::En);
        assert!(one_of(&names[..20]).ends_with("`18` or `19`"));
        assert!(one_of(&names[..21]).ends_with("`19` or one of 1 more"));
        assert!(one_of(&names).ends_with("`18`, `19` or one of 2 more"));
    }

    #[test]
    fn a_choice_is_read_as_one() {
        assert_eq!(one_of::<&str>(&[]), "nothing");
        assert_eq!(one_of(&["a"]), "`a`");
        assert_eq!(one_of(&["a", "b", "c"]), "`a`, `b` or `c`");
        assert_eq!(one_of(&["a", "b", "c"]).in_language(Language::Zh), "`a`、`b` 或 `c`");
        assert_eq!(one_of(&["{last}", "b"]), "`{last}` or `b`");
    }

    #[test]
    fn a_printed_command_can_be_pasted() {
        for plain in ["announce", "plans/春茶.yaml", "--set=a", "https://a.cn:1/b", "50%"] {
            assert_eq!(quoted(plain), plain);
        }
        for (word, shown) in
            [("", "''"), ("city[广州]", "'city[广州]'"), ("it's", r"'it'\''s'"), ("=ls", "'=ls'"), ("~/a b", "'~/a b'")]
        {
            assert_eq!(quoted(word), shown);
        }
    }

    /// Everything on a keyboard, words, and what each shell has of its own.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "the shells themselves are asked")]
    fn shells_read_a_quoted_word_as_it_was() {
        let keys: Vec<String> = (' '..='~').flat_map(|c| [c.to_string(), format!("{c}a"), format!("a{c}b")]).collect();
        let names = [
            "city[广州]",
            "春茶.yaml",
            "it's",
            "a b",
            "",
            "~",
            "=ls",
            "!!",
            "$HOME",
            "{a,b}",
            "a\nb",
            "`x`",
            "\\",
            "*",
        ];
        let words: Vec<&str> = keys.iter().map(String::as_str).chain(names).collect();
        let line = words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("cityg"), "").expect("writes what `city[...]` could match");
        let mut asked = 0;
        for shell in ["sh", "bash", "dash", "zsh"] {
            let script = format!("printf '%s\\0' {line}");
            let Ok(output) =
                std::process::Command::new(shell).args(["-c", &script]).current_dir(folder.path()).output()
            else {
                continue; // not every machine has every shell
            };
            let said = String::from_utf8(output.stdout).expect("UTF-8");
            assert_eq!(said.split_terminator('\0').collect::<Vec<_>>(), words, "{shell}");
            asked += 1;
        }
        assert!(asked > 0 || cfg!(windows), "no shell was asked");
    }

    #[test]
    fn columns_count_chinese_twice() {
        assert_eq!([pad("a", 3), pad("春", 3), pad("春茶", 3)], ["a  ", "春 ", "春茶"]);
    }

    #[test]
    fn backticks_pair_up_or_stay() {
        use Piece::{Code, Words};
        assert_eq!(pieces("run `qunfa status` now"), [Words("run "), Code("qunfa status"), Words(" now")]);
        assert_eq!(pieces("`a``b`"), [Code("a"), Code("b")]);
        assert_eq!(pieces("one ` alone"), [Words("one ` alone")]);
        assert_eq!(pieces("an empty `` pair"), [Words("an empty `` pair")]);
        assert_eq!(pieces(""), []);
    }
}
