//! Markup that stayed text: readers would see its signs. What has one meaning was converted before; what is here is a finding.
//!
//! A block is looked at in its source, in which all that is no text is covered by fillers of the same length: places are right.

use std::ops::Range;

use super::tree::Findings;
use crate::{
    content::address::ends_address,
    diag::Code,
    locale::{Phrase, say},
};

/// Covers code, links, pictures, escapes and signs that are markup.
pub(super) const COVER: char = '\u{1}';
/// Covers addresses that are links by themselves.
pub(super) const ADDRESS: char = '\u{2}';
/// Names and addresses are looked for so far.
const FAR: usize = 600;

/// A block of text whose markup is covered.
pub(super) struct Block<'t> {
    pub(super) covered: &'t str,
    /// The same as it is written.
    pub(super) raw: &'t str,
    /// Where it begins in the article.
    pub(super) start: usize,
    /// Whether it is a block of its own, rather than a cell or a heading.
    pub(super) paragraph: bool,
    /// Whether it is text of HTML, in which no Markdown is read.
    pub(super) html: bool,
    /// Whether the signs of emphasis are known to be covered.
    pub(super) exact: bool,
}

/// Says what in a block is markup that nobody read.
pub(super) fn look(block: &Block<'_>, findings: &mut Findings) {
    if findings.is_full(Code::LeftoverMarkup) && findings.is_full(Code::UnreadPicture) {
        return;
    }
    let text = block.covered;
    if text.contains('[') || text.contains('［') {
        brackets(block, findings);
    }
    lines(block, findings);
    if block.exact {
        for sign in ["**", "=="].into_iter().filter(|sign| text.contains(*sign)) {
            pairs(block, sign, findings);
        }
    }
    if text.contains(['^', '~']) && !block.html {
        scripts(block, findings);
    }
    if text.contains("%%") {
        comment_marks(block, findings);
    }
    if text.contains('{') {
        attributes(block, findings);
    }
    if text.contains(':') {
        short_names(block, findings);
    }
}

impl Block<'_> {
    fn warn(&self, range: Range<usize>, message: Phrase, help: Phrase, findings: &mut Findings) {
        findings.add(Code::LeftoverMarkup, self.start + range.start..self.start + range.end, message, help);
    }

    fn raw(&self, range: Range<usize>) -> &str {
        self.raw.get(range).unwrap_or_default()
    }
}

/// What is shown as it is written, cut to a length that fits a line.
fn as_written(text: &str) -> Phrase {
    let shown: String = text.chars().take(40).collect();
    say!("`{text}` is shown as it is written", text = shown)
}

/// Whether a path or an address ends like a picture.
pub(super) fn is_picture(address: &str) -> bool {
    let path = address.split(['?', '#', '|']).next().unwrap_or_default().trim();
    let ending = path.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
    matches!(ending.as_str(), "png" | "jpg" | "jpeg" | "gif" | "webp" | "bmp" | "svg" | "avif" | "heic")
}

/// Pictures, links, notes and the like, which stand in brackets.
fn brackets(block: &Block<'_>, findings: &mut Findings) {
    let text = block.covered;
    let mut at = 0;
    while let Some(open) = text[at..].find(['[', '［']).map(|found| at + found) {
        let sign = if text[open..].starts_with('[') { 1 } else { 3 };
        let near = &text[open..text.floor_char_boundary((open + FAR).min(text.len()))];
        let before = text[..open].chars().next_back();
        let picture = matches!(before, Some('!' | '！'));
        let start = open - before.filter(|_| picture).map_or(0, char::len_utf8);
        at = open + sign;
        if let Some(length) = near.strip_prefix("[[").and_then(|inner| inner.find("]]")) {
            let whole = start..open + 4 + length;
            double(block, whole.clone(), open + 2..open + 2 + length, picture, findings);
            at = whole.end;
            continue;
        }
        let Some(close) = near.find([']', '］']).map(|found| open + found) else { continue };
        let after = close + if text[close..].starts_with(']') { 1 } else { 3 };
        let label = open + sign..close;
        let rest = &text[after..text.floor_char_boundary((after + FAR).min(text.len()))];
        if rest.starts_with(['(', '（']) {
            let wide = rest.starts_with('（');
            let target = after + if wide { 3 } else { 1 };
            let end = text[target..target + rest.len() - (target - after)].find([')', '）', '\n']);
            let Some(end) = end.map(|found| target + found).filter(|end| !text[*end..].starts_with('\n')) else {
                continue;
            };
            let whole = start..end + text[end..].chars().next().map_or(1, char::len_utf8);
            if address(block, whole.clone(), label, target..end, picture, findings) {
                at = whole.end;
            }
        } else if rest.starts_with('[') && sign == 1 {
            reference(block, start..after, label, rest, picture, findings);
        } else {
            alone(block, start..after, label, findings);
        }
    }
}

/// `![[picture.png]]`, `[[note]]`, `[[toc]]`.
fn double(block: &Block<'_>, whole: Range<usize>, inner: Range<usize>, picture: bool, findings: &mut Findings) {
    let inner = block.raw(inner).trim();
    let (name, words) = inner.split_once('|').unwrap_or((inner, ""));
    let name = name.trim();
    if name.is_empty() || inner.contains(COVER) {
        return;
    }
    if picture {
        let size = words.is_empty() || words.trim().chars().all(|c| c.is_ascii_digit() || c == 'x');
        let alt = if size { stem(name) } else { words.trim() };
        let help = if is_picture(name) {
            say!("write `{picture}`", picture = written_picture(alt, name))
        } else {
            say!("write the text itself, or `![...](picture.png)`")
        };
        let message = say!("Obsidian's `![[{name}]]` is not read", name);
        findings.add(Code::UnreadPicture, block.start + whole.start..block.start + whole.end, message, help);
        return;
    }
    let toc = matches!(name.to_ascii_lowercase().as_str(), "toc" | "_toc_");
    let help = if toc {
        say!("remove it: WeChat removes ids, so a table of contents has no targets")
    } else {
        say!("write the words themselves, or a link: `[{name}](https://...)`", name)
    };
    let message = as_written(block.raw(whole.clone()));
    block.warn(whole, message, help, findings);
}

/// The name of a file without folders and ending.
fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

fn written_picture(alt: &str, path: &str) -> String {
    match path.contains([' ', '(', ')', '\t', '\u{3000}']) {
        true => format!("![{alt}](<{path}>)"),
        false => format!("![{alt}]({path})"),
    }
}

/// `![alt](a b.png)`, `[words](https://a b)` and the same in full-width signs; whether it is one.
fn address(
    block: &Block<'_>,
    whole: Range<usize>,
    label: Range<usize>,
    target: Range<usize>,
    picture: bool,
    findings: &mut Findings,
) -> bool {
    let (alt, path) = (block.raw(label).trim(), block.raw(target.clone()).trim());
    if path.is_empty() || alt.contains('\n') {
        return false;
    }
    // A size, or a title in quotes, stands after the address.
    let bare = path.split([' ', '\t']).next().unwrap_or(path);
    let sized = path.rsplit_once([' ', '\t']).filter(|(_, size)| {
        let size = size.strip_prefix('=').unwrap_or_default();
        !size.is_empty() && size.chars().all(|c| c.is_ascii_digit() || matches!(c, 'x' | 'X' | '*' | '%' | 'p'))
    });
    let path_alone = sized.map_or(path, |(path, _)| path.trim());
    let place = block.start + whole.start..block.start + whole.end;
    let raw = block.raw(whole.clone());
    if picture && (is_picture(path_alone) || is_picture(bare) || !raw.starts_with('！') || path.contains("://")) {
        // A title stands in quotes behind the address.
        let titled = path_alone.strip_suffix('"').and_then(|path| path.rsplit_once(" \""));
        let picture = match titled {
            Some((path, title)) => format!("![{alt}](<{}> \"{title}\")", path.trim().trim_matches(['<', '>'])),
            None => written_picture(alt, path_alone.trim_matches(['<', '>'])),
        };
        let help = say!("write `{picture}`", picture);
        let why = if sized.is_some() {
            say!("a size cannot be given")
        } else if raw.starts_with('！') || raw.contains(['（', '）', '［', '］']) {
            say!("its signs are full-width")
        } else if block.html {
            say!("Markdown is not read inside HTML")
        } else {
            say!("a name with spaces needs `<` and `>` around it")
        };
        let shown: String = raw.chars().take(60).collect();
        let message = say!("`{text}` is not read as a picture: {why}", text = shown, why);
        findings.add(Code::UnreadPicture, place, message, help);
        return true;
    }
    let begins = block.covered[target].trim_start();
    let is_address = begins.starts_with(ADDRESS) || path.contains("://") || path.starts_with("www.");
    if picture || !is_address || alt.is_empty() {
        return false;
    }
    let path = half_width_signs(path);
    let path = path.trim_matches(['<', '>']);
    let link = if path.contains(' ') { format!("[{alt}](<{path}>)") } else { format!("[{alt}]({path})") };
    block.warn(whole, as_written(raw), say!("write `{link}`", link), findings);
    true
}

fn half_width_signs(text: &str) -> String {
    text.replace('：', ":").replace('／', "/").replace('．', ".")
}

/// `[words][name]` whose name is not defined.
fn reference(
    block: &Block<'_>,
    head: Range<usize>,
    label: Range<usize>,
    rest: &str,
    picture: bool,
    findings: &mut Findings,
) {
    let Some(close) = rest.find(']').filter(|close| *close > 1 || picture) else { return };
    let (words, name) = (block.raw(label), &rest[1..close]);
    let number = |text: &str| text.chars().all(|c| c.is_ascii_digit() || matches!(c, '-' | ',' | ' '));
    // Names of emoji stand side by side, and numbers of sources.
    let short = |text: &str| text.chars().count() <= 4 && text.chars().all(|c| !c.is_ascii());
    if words.trim().is_empty() || name.contains(['\n', COVER]) || (number(words) && number(name)) {
        return;
    }
    if (short(words) && short(name)) || words.starts_with('^') || name.starts_with('^') {
        return;
    }
    let whole = head.start..head.end + close + 1;
    let name = if name.is_empty() { words } else { name };
    let message = as_written(block.raw(whole.clone()));
    let help = say!("write `[{name}]: https://...` on a line of its own, or the address in the text", name);
    block.warn(whole, message, help, findings);
}

/// `[TOC]` and `[!NOTE]`.
fn alone(block: &Block<'_>, whole: Range<usize>, label: Range<usize>, findings: &mut Findings) {
    let name = block.raw(label).trim().to_ascii_lowercase();
    let kind = name.strip_prefix('!').is_some_and(|kind| {
        !kind.is_empty() && kind.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
    });
    let before = block.covered[..whole.start].chars().next_back();
    if before == Some('^') && !block.html && !name.is_empty() {
        let help = say!("write `[^1]` here, and `[^1]: the note` on a line of its own");
        block.warn(whole.start - 1..whole.end, as_written(block.raw(whole.start - 1..whole.end)), help, findings);
        return;
    }
    let mention = before == Some('@');
    let line = block.covered[..whole.start].rsplit('\n').next().unwrap_or_default();
    let begins = line.trim_start_matches(['>', ' ', '\t', '@', '\u{3000}']).is_empty();
    if matches!(name.as_str(), "toc" | "_toc_") && (begins || mention) {
        let help = say!("remove it: WeChat removes ids, so a table of contents has no targets");
        block.warn(whole.clone(), as_written(block.raw(whole)), help, findings);
    } else if kind && begins {
        let help = say!("write `> [!NOTE]` on a line of its own, and the text on the next one");
        block.warn(whole.clone(), as_written(block.raw(whole)), help, findings);
    }
}

/// Signs that mean something at the beginning or end of a line.
fn lines(block: &Block<'_>, findings: &mut Findings) {
    let text = block.covered;
    let count = text.lines().count();
    let mut at = 0;
    let mut rows = 0;
    for whole in text.split_inclusive('\n') {
        let start = at;
        at += whole.len();
        let line = whole.trim_end();
        let blank = line.len() - line.trim_start_matches(['>', ' ', '\t']).len();
        let body = &line[blank..];
        let place = start + blank..start + line.len();
        let hashes = body.len() - body.trim_start_matches(['#', '＃']).len();
        if hashes > 0 && (block.paragraph || block.html) {
            heading(block, place.clone(), body, hashes, count, findings);
        }
        if block.paragraph && (body.starts_with(":::") || body.starts_with("：：：")) {
            let message = as_written(block.raw(place.clone()));
            let help = say!("write `> [!TIP]` and the text in a quote");
            block.warn(place.clone(), message, help, findings);
        }
        // Boxes of MkDocs, code of VitePress, commands of TeX.
        let box_of =
            |sign: &str| body.strip_prefix(sign).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()));
        if block.paragraph && ["!!! ", "??? ", "???+ "].into_iter().any(box_of) {
            let help = say!("write `> [!TIP]` and the text in a quote");
            block.warn(place.clone(), as_written(block.raw(place.clone())), help, findings);
        }
        let command = block.raw(place.clone()).strip_prefix('\\').unwrap_or_default();
        let command = command.len() > 3 && command.bytes().all(|b| b.is_ascii_lowercase());
        let import = ["<<< @/", "<<< ./", "@import \""].iter().any(|sign| block.raw(place.clone()).starts_with(sign));
        if block.paragraph && (command || import) {
            block.warn(place.clone(), as_written(block.raw(place.clone())), say!("remove it"), findings);
        }
        if block.paragraph && (body.starts_with("｀｀｀") || body.starts_with("···")) {
            block.warn(place.clone(), as_written(body), say!("write three backticks: ```"), findings);
        }
        if block.paragraph
            && (body.starts_with("import ") || body.starts_with("export "))
            && [" from '", " from \"", "{ "].iter().any(|sign| body.contains(sign))
        {
            block.warn(place.clone(), as_written(block.raw(place.clone())), say!("remove it"), findings);
        }
        if let Some(at) = body.rfind(" ^")
            && body.len() > at + 3
            && body[at + 2..].bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        {
            let id = place.start + at + 1..place.end;
            block.warn(id.clone(), as_written(block.raw(id)), say!("remove it: it is an id of Obsidian"), findings);
        }
        rows = if body.len() > 2 && body.starts_with('|') && body.ends_with('|') { rows + 1 } else { 0 };
        if rows == 2 && block.paragraph {
            let help = say!("write `| --- | --- |` between the first line of the table and the second");
            block.warn(place, say!("this table is shown as it is written"), help, findings);
        }
    }
}

/// `##title`, or a heading in HTML.
fn heading(block: &Block<'_>, place: Range<usize>, body: &str, hashes: usize, lines: usize, findings: &mut Findings) {
    let (signs, words) = body.split_at(hashes);
    let level = signs.chars().count();
    let spaced = words.starts_with([' ', '\t', '\u{3000}', '\u{a0}']);
    let first = words.trim_start().chars().next();
    if level > 6 || first.is_none_or(|c| matches!(c, COVER | ADDRESS)) {
        return;
    }
    // `#1`, `#春茶 #龙井` and a short topic that stands alone are no headings.
    let topic =
        words.contains('#') || lines > 1 || words.chars().count() <= 8 || first.is_some_and(|c| c.is_ascii_digit());
    let meant = level > 1 || if block.html || signs.contains('＃') { spaced } else { !topic };
    if !meant {
        return;
    }
    let heading = format!("{} {}", "#".repeat(level), block.raw(place.clone())[hashes..].trim());
    let help = if block.html {
        say!("write `<h{level}>...</h{level}>`", level)
    } else {
        say!("write `{heading}`, with a space", heading)
    };
    block.warn(place.clone(), as_written(block.raw(place)), help, findings);
}

/// Two signs that were to make what is between them stand out.
fn pairs(block: &Block<'_>, sign: &str, findings: &mut Findings) {
    let text = block.covered;
    let mark = sign.chars().next().unwrap_or('*');
    let mut runs: Vec<usize> = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find(mark).map(|found| at + found) {
        let length = text[start..].len() - text[start..].trim_start_matches(mark).len();
        at = start + length;
        if length == sign.len() {
            runs.push(start);
        }
    }
    let letter = |c: char| c.is_alphanumeric();
    let before = |at: usize| text[..at].chars().next_back();
    let after = |at: usize| text[at + sign.len()..].chars().next();
    let mut told = 0;
    let mut runs = runs.into_iter().peekable();
    while let Some(open) = runs.next() {
        let (previous, next) = (before(open), after(open));
        let formula = |a: Option<char>, b: Option<char>| {
            a.is_some_and(|c| c.is_ascii_alphanumeric()) && b.is_some_and(|c| c.is_ascii_alphanumeric())
        };
        if formula(previous, next) {
            continue;
        }
        // A name that is half hidden: `张**`.
        let mask = previous.is_some_and(letter) && !next.is_some_and(letter);
        let begins = previous.is_none_or(|c| c == '\n');
        let close = runs.peek().copied().filter(|close| {
            let inner = &text[open + sign.len()..*close];
            !inner.trim().is_empty()
                && !inner.contains("\n\n")
                && inner.len() < FAR
                && !formula(before(*close), after(*close))
        });
        let range = match close {
            Some(close) if !mask => {
                let inner = &text[open + sign.len()..close];
                // Signs with blanks on both sides are operators and marks.
                let operator = previous.is_none_or(char::is_whitespace) && next.is_none_or(char::is_whitespace);
                if operator && !begins || inner.contains('|') {
                    continue;
                }
                runs.next();
                open..close + sign.len()
            }
            None if mark == '*' && begins && next.is_some_and(letter) => open..open + sign.len(),
            _ => continue,
        };
        let raw = block.raw(range.clone());
        let inner = raw.trim_matches(mark).trim();
        let help = if block.html {
            say!("Markdown is not read inside HTML: write `<strong>...</strong>`")
        } else if range.len() > sign.len() {
            say!("write `{text}`, with no space inside of the signs", text = format!("{sign}{inner}{sign}"))
        } else {
            say!("close it with `{sign}`, or write `{escaped}`", sign, escaped = r"\*\*")
        };
        block.warn(range, as_written(raw), help, findings);
        told += 1;
        if told >= 20 {
            return;
        }
    }
}

/// `H~2~O` and `x^2^` of pandoc and Typora.
fn scripts(block: &Block<'_>, findings: &mut Findings) {
    let text = block.covered;
    for (sign, tag) in [('~', "sub"), ('^', "sup")] {
        let mut at = 0;
        while let Some(open) = text[at..].find(sign).map(|found| at + found) {
            at = open + 1;
            let near = &text[at..text.floor_char_boundary((at + 8).min(text.len()))];
            let Some(length) = near.find(sign) else { continue };
            let inner = &near[..length];
            let letter = text[..open].ends_with(|c: char| {
                if sign == '~' { c.is_ascii_alphabetic() } else { c.is_alphanumeric() || c == ')' }
            });
            if letter
                && (1..=4).contains(&length)
                && inner.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-'))
            {
                let whole = open..at + length + 1;
                let help = say!("write `{text}`", text = format!("<{tag}>{inner}</{tag}>"));
                block.warn(whole.clone(), as_written(block.raw(whole)), help, findings);
                at += length + 1;
            }
        }
    }
}

/// `%%` that begins a comment of Obsidian and ends none.
fn comment_marks(block: &Block<'_>, findings: &mut Findings) {
    for (at, _) in block.covered.match_indices("%%").take(5) {
        let before = block.covered[..at].chars().next_back();
        if before.is_none_or(|c| !c.is_ascii_digit() && !c.is_ascii_alphabetic() && c != '%') {
            let help = say!("remove it, or write a comment as `<!-- ... -->`");
            block.warn(at..at + 2, as_written("%%"), help, findings);
        }
    }
}

/// `{.class}`, `{width=50%}`, `{: .class}` after a heading, a picture or a paragraph.
fn attributes(block: &Block<'_>, findings: &mut Findings) {
    let text = block.covered;
    for (at, _) in text.match_indices('{').take(50) {
        let near = &text[at + 1..text.floor_char_boundary((at + FAR).min(text.len()))];
        let Some(length) = near.find('}') else { return };
        let inner = near[..length].trim();
        let end = at + length + 2;
        let behind = text[..at].ends_with(COVER);
        let last = text[end..].trim().is_empty();
        let name = |text: &str| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        };
        let part = |part: &str| {
            part.strip_prefix(['.', '#']).is_some_and(name)
                || part.split_once('=').is_some_and(|(key, value)| name(key) && !value.is_empty())
        };
        let inner = inner.strip_prefix(':').unwrap_or(inner).trim();
        if !inner.is_empty() && inner.is_ascii() && (behind || last) && inner.split_whitespace().all(part) {
            let help = say!("remove it: WeChat removes classes and ids");
            block.warn(at..end, as_written(block.raw(at..end)), help, findings);
        }
    }
}

/// Emoji by their names on GitHub.
const EMOJI: &[(&str, &str)] = &[
    ("smile", "😄"),
    ("laughing", "😆"),
    ("joy", "😂"),
    ("tada", "🎉"),
    ("rocket", "🚀"),
    ("warning", "⚠️"),
    ("bulb", "💡"),
    ("sparkles", "✨"),
    ("fire", "🔥"),
    ("heart", "❤️"),
    ("star", "⭐"),
    ("thumbsup", "👍"),
    ("+1", "👍"),
    ("white_check_mark", "✅"),
    ("heavy_check_mark", "✔️"),
    ("bug", "🐛"),
    ("memo", "📝"),
    ("book", "📖"),
    ("point_right", "👉"),
    ("clap", "👏"),
    ("tea", "🍵"),
    ("coffee", "☕"),
    ("gift", "🎁"),
    ("bell", "🔔"),
    ("zap", "⚡"),
    ("eyes", "👀"),
    ("pray", "🙏"),
    ("calendar", "📆"),
];

fn short_names(block: &Block<'_>, findings: &mut Findings) {
    let text = block.covered;
    for (name, emoji) in EMOJI {
        let word = format!(":{name}:");
        for (at, _) in text.match_indices(&word).take(3) {
            let around = [text[..at].chars().next_back(), text[at + word.len()..].chars().next()];
            if around.iter().flatten().all(|c| !c.is_ascii_alphanumeric() && *c != ':') {
                let help = say!("write `{emoji}`", emoji = *emoji);
                block.warn(at..at + word.len(), as_written(&word), help, findings);
            }
        }
    }
}

/// Where a bare address ends that holds signs of Chinese text: each end, also of those that follow it.
pub(super) fn address_ends(address: &str) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut at = 0;
    while let Some(end) = address[at..].find(ends_address).map(|found| at + found) {
        ends.push(end);
        let rest = &address[end..];
        let next = ["http://", "https://", "www."].iter().filter_map(|scheme| rest.find(scheme)).min();
        match next {
            Some(next) => at = end + next,
            None => break,
        }
    }
    ends
}

/// Pictures of Hexo, `{% asset_img leaf.png 干茶 %}`, as Markdown of the same length: places stay right.
pub(crate) fn with_pictures(text: &str) -> std::borrow::Cow<'_, str> {
    if !text.contains("{% asset_img ") && !text.contains("{% img ") {
        return text.into();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find("{% ") {
        let Some(length) = rest[open..].find("%}").map(|length| length + 2) else { break };
        out.push_str(&rest[..open]);
        let tag = &rest[open..open + length];
        match picture_tag(tag).and_then(|picture| tag.len().checked_sub(picture.len()).map(|pad| (picture, pad))) {
            // Blanks may stand before the closing parenthesis.
            Some((picture, pad)) => {
                out.push_str(picture.trim_end_matches(')'));
                out.push_str(&" ".repeat(pad));
                out.push(')');
            }
            None => out.push_str(tag),
        }
        rest = &rest[open + length..];
    }
    out.push_str(rest);
    out.into()
}

/// `![words](path)` of a tag of Hexo.
fn picture_tag(tag: &str) -> Option<String> {
    let inner = tag.strip_prefix("{% ")?.strip_suffix("%}")?.trim();
    let inner = inner.strip_prefix("asset_img ").or_else(|| inner.strip_prefix("img "))?.trim();
    let mut words = inner.split_whitespace().skip_while(|word| !is_picture(word));
    let path = words.next().filter(|path| !path.contains(['(', ')', '"', '\'']))?;
    let words: Vec<&str> = words.skip_while(|word| word.bytes().all(|b| b.is_ascii_digit())).collect();
    let words = words.join(" ");
    // A title and a text in quotes: the text comes last.
    let alt = words.trim_matches(['"', '\'']).rsplit(['"', '\'']).next().unwrap_or_default().trim();
    (!alt.contains(['[', ']', '\n'])).then(|| format!("![{alt}]({path})"))
}

/// Text of HTML outside of code.
pub(super) fn look_in_html(text: &str, start: usize, findings: &mut Findings) {
    let block = Block { covered: text, raw: text, start, paragraph: false, html: true, exact: true };
    look(&block, findings);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_of_hexo_keep_their_places() {
        for (tag, picture) in [
            ("{% asset_img leaf.png 干茶 %}", "![干茶](leaf.png "),
            ("{% asset_img big left a.jpg 300 200 \"标题\" \"说明\" %}", "![说明](a.jpg"),
            ("{% img /i/a.png %}", "![](/i/a.png"),
            ("{% note %}a{% endnote %}", "{% note %}a{% endnote %}"),
        ] {
            let made = with_pictures(tag);
            assert!(made.starts_with(picture), "{made}");
            assert_eq!(made.len(), tag.len(), "{made}");
        }
    }
}
