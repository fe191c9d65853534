//! Source files and places in them: bytes inside, lines and columns (in characters) outside.

use std::{ops::Range, rc::Rc};

/// Index of a file in a [`SourceMap`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(usize);

/// A range of bytes in a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    pub(crate) file: FileId,
    pub(crate) start: usize,
    /// One past the last byte.
    pub(crate) end: usize,
}

impl Span {
    pub fn new(file: FileId, range: Range<usize>) -> Self {
        Self { file, start: range.start, end: range.end }
    }
}

/// A file as it was read: valid UTF-8, and known by the path that the user gave.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// The path as users know it.
    pub(crate) path: String,
    /// The text, without a byte order mark.
    pub text: String,
    /// Byte offset of the beginning of each line.
    lines: Vec<usize>,
    /// Ranges that no output may show (literal secrets).
    masked: Vec<Range<usize>>,
    /// From this byte on the text is about people: of each cell its length is shown, and the signs between cells.
    people: usize,
}

/// A line and a column, both from 1; the column counts characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Line from 1.
    pub(crate) line: usize,
    /// Column in characters from 1.
    pub(crate) column: usize,
}

impl SourceFile {
    fn new(path: String, text: String) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { path, text, lines, masked: Vec::new(), people: usize::MAX }
    }

    /// Where a byte offset is; offsets past the end count as the end, offsets inside a character as its beginning.
    pub fn position(&self, offset: usize) -> Position {
        let offset = self.text.floor_char_boundary(offset);
        let line = self.line(offset) - 1;
        let column = self.text[self.lines[line]..offset].chars().count() + 1;
        Position { line: line + 1, column }
    }

    /// The byte offset of the first byte of a line (from 1), or the end of the text.
    pub fn line_start(&self, line: usize) -> usize {
        line.checked_sub(1).and_then(|at| self.lines.get(at)).copied().unwrap_or(self.text.len())
    }

    /// [`SourceFile::shown`] of all of it.
    pub fn shown_text(&self) -> std::borrow::Cow<'_, str> {
        self.shown(0..self.text.len())
    }

    /// A part of the text with masked ranges replaced, byte for byte, by asterisks: offsets stay right.
    pub fn shown(&self, part: Range<usize>) -> std::borrow::Cow<'_, str> {
        let mut shown = std::borrow::Cow::from(&self.text[part.clone()]);
        if part.end > self.people {
            let open = self.people.max(part.start) - part.start;
            shown = (shown[..open].to_owned() + &stars(&shown[open..])).into();
        }
        for range in &self.masked {
            let range = range.start.max(part.start)..range.end.min(part.end);
            if range.start < range.end {
                let blank: String =
                    self.text[range.clone()].bytes().map(|b| if b == b'\n' { '\n' } else { '*' }).collect();
                shown.to_mut().replace_range(range.start - part.start..range.end - part.start, &blank);
            }
        }
        shown
    }

    /// The line (from 1) in which a byte is.
    pub fn line(&self, offset: usize) -> usize {
        self.lines.partition_point(|start| *start <= offset.min(self.text.len()))
    }
}

/// A text with an asterisk for each byte but for blanks and what parts cells.
fn stars(text: &str) -> String {
    let star = |c: char| match c {
        ',' | ';' | '"' | '\'' | '{' | '}' | '[' | ']' | ':' | '|' | ' ' | '\t' | '\r' | '\n' => c.to_string(),
        c => "*".repeat(c.len_utf8()),
    };
    text.chars().map(star).collect()
}

/// All files that a plan touches, so that any diagnostic can show its line.
///
/// A copy has the same files, which are not copied.
#[derive(Debug, Clone, Default)]
pub struct SourceMap {
    files: Vec<Rc<SourceFile>>,
}

impl SourceMap {
    pub fn add(&mut self, path: impl Into<String>, text: String) -> FileId {
        self.files.push(Rc::new(SourceFile::new(path.into(), text)));
        FileId(self.files.len() - 1)
    }

    /// A file of people, of whom no output shows more than that they are there; so many bytes at its beginning name columns.
    pub fn add_people(&mut self, path: impl Into<String>, text: String, header: usize) -> FileId {
        let id = self.add(path, text);
        let file = Rc::make_mut(&mut self.files[id.0]);
        file.people = file.text.floor_char_boundary(header);
        id
    }

    /// A file of this map.
    pub fn file(&self, id: FileId) -> &SourceFile {
        &self.files[id.0]
    }

    /// Line and column of the beginning of a span.
    pub fn position(&self, span: &Span) -> Position {
        self.file(span.file).position(span.start)
    }

    /// Hides a range from all output.
    pub fn mask(&mut self, span: &Span) {
        Rc::make_mut(&mut self.files[span.file.0]).masked.push(span.start..span.end);
    }
}

/// Why a text is not taken as a source; offsets in bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum BadText {
    /// Not UTF-8 from this byte on.
    NotUtf8(usize),
    /// A control character (NUL, escape, ...) or one of the noncharacters that qunfa keeps for itself.
    Control(usize, char),
}

/// A character that cannot be shown: `U+0007`.
pub(crate) fn code_point(c: char) -> String {
    format!("U+{:04X}", c as u32)
}

/// Checks and decodes the bytes of a text file; a byte order mark is dropped, CRLF stays.
pub fn decode(bytes: Vec<u8>) -> Result<String, BadText> {
    let mut text = String::from_utf8(bytes).map_err(|error| BadText::NotUtf8(error.utf8_error().valid_up_to()))?;
    if text.starts_with('\u{feff}') {
        text.remove(0);
    }
    match find_control(&text) {
        Some((at, c)) => Err(BadText::Control(at, c)),
        None => Ok(text),
    }
}

/// A text with a blank for each byte of a control character, so that its lines can be shown.
pub(crate) fn without_controls(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match find_control(c.encode_utf8(&mut [0; 4])) {
            Some(_) => out.extend(std::iter::repeat_n(' ', c.len_utf8())),
            None => out.push(c),
        }
    }
    out
}

/// The first character that no plan, content or value may hold.
pub fn find_control(text: &str) -> Option<(usize, char)> {
    text.char_indices().find(|(_, c)| {
        (c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
            // They turn the direction in which what follows is read.
            || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            || ('\u{fdd0}'..='\u{fdef}').contains(c)
            || DISGUISES.contains(c)
    })
}

/// A text without the characters that no content may hold, and with line ends as here.
pub(crate) fn without_forbidden(text: &str) -> String {
    let allowed = |c: &char| find_control(c.encode_utf8(&mut [0; 4])).is_none();
    text.replace("\r\n", "\n").replace('\r', "\n").chars().filter(allowed).collect()
}

/// Characters for private use that qunfa keeps for itself: one for each of ASCII.
const DISGUISES: std::ops::RangeInclusive<char> = '\u{10f000}'..='\u{10f07f}';

/// A value on its way into an article: what Markdown and HTML could read as markup is disguised, until it is text of the
/// article ([`reveal`]). Letters and digits stay, so that filters still work.
pub fn disguise(text: &str) -> String {
    let disguised = |c: char| match c {
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => {
            char::from_u32(*DISGUISES.start() as u32 + c as u32).unwrap_or(c)
        }
        c => c,
    };
    text.chars().map(disguised).collect()
}

/// The text behind [`disguise`].
pub fn reveal(text: &str) -> std::borrow::Cow<'_, str> {
    if !text.contains(|c| DISGUISES.contains(&c)) {
        return text.into();
    }
    let revealed = |c: char| match c {
        c if DISGUISES.contains(&c) => char::from_u32(c as u32 - *DISGUISES.start() as u32).unwrap_or(c),
        c => c,
    };
    text.chars().map(revealed).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        let mut map = SourceMap::default();
        let file = map.add("p", "名称: a\n春茶: b\n".into());
        let at = map.file(file).text.find('b').expect("in the text");
        assert_eq!(map.position(&Span::new(file, at..at + 1)), Position { line: 2, column: 5 });
        assert_eq!(map.file(file).position(9999).line, 3);
    }

    #[test]
    fn masked_text_keeps_its_offsets() {
        let mut map = SourceMap::default();
        let file = map.add("p", "secret: 密码x\nnext: y".into());
        map.mask(&Span::new(file, 8..15));
        assert_eq!(map.file(file).shown(0..23), "secret: *******\nnext: y");
        assert_eq!(map.file(file).shown(11..19), "****\nnex");
    }

    #[test]
    fn of_people_their_number_is_shown() {
        let mut map = SourceMap::default();
        let file = map.add_people("p", "name,openid\n\"王 五\",oA1\n".into(), 12);
        assert_eq!(map.file(file).shown_text(), "name,openid\n\"*** ***\",***\n");
        assert_eq!(map.file(file).shown(12..24), "\"*** ***\",**");
    }

    #[test]
    fn bad_text_is_named() {
        assert_eq!(decode(vec![b'a', 0xff]), Err(BadText::NotUtf8(1)));
        assert_eq!(decode(b"a\0".to_vec()), Err(BadText::Control(1, '\0')));
        assert_eq!(decode("\u{feff}ok".into()), Ok("ok".into()));
        assert_eq!(find_control("a\u{fdd0}"), Some((1, '\u{fdd0}')));
        assert_eq!(find_control("a\u{10f02a}"), Some((1, '\u{10f02a}')));
    }

    #[test]
    fn values_are_disguised_and_revealed() {
        let value = "春 *a*\n<b>&|#1. 2";
        let hidden = disguise(value);
        assert!(hidden.chars().all(|c| !c.is_ascii() || c.is_ascii_alphanumeric()), "{hidden}");
        assert_eq!((hidden.chars().count(), reveal(&hidden).as_ref()), (value.chars().count(), value));
    }
}
