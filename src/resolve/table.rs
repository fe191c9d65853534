//! Tables of text: the lines of a file, and the cells of a row, read strictly. What RFC 4180 leaves open is not guessed: a
//! quote that does not close where a cell ends is wrong where it opens.

use std::{borrow::Cow, ops::Range};

use crate::{
    limits,
    locale::{Phrase, say},
    text::openid::{Looks, looks},
};

/// How the cells of a table are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dialect {
    pub(super) separator: &'static str,
    /// The first line is Excel's `sep=`.
    pub(super) says: bool,
}

/// What separates cells, the usual first.
const SEPARATORS: [&str; 5] = [",", ";", "\t", "，", "|"];

impl Dialect {
    /// That of a table by its beginning; `column` is one that must be there.
    pub(super) fn of(beginning: &str, column: Option<&str>) -> Self {
        let first = beginning.lines().next().unwrap_or_default().trim_end_matches('\r');
        if let Some(separator) = said(first) {
            return Self { separator, says: true };
        }
        // A last line that is not whole says nothing.
        let whole = beginning.rfind('\n').map_or(beginning, |end| &beginning[..end]);
        let rows = |separator: &'static str| -> Vec<Vec<String>> {
            const LOOKED_AT: usize = 20;
            let mut cells = Vec::new();
            for line in whole.lines().filter(|line| !line.trim().is_empty()).take(LOOKED_AT) {
                cells.push(split(line, separator));
            }
            cells
        };
        let all: Vec<_> = SEPARATORS.map(|separator| (separator, rows(separator))).into();
        let header = |rows: &[Vec<String>]| rows.first().map_or(0, Vec::len);
        let has_column = |rows: &[Vec<String>]| {
            column.is_some_and(|column| rows.first().is_some_and(|cells| cells.iter().any(|cell| cell == column)))
        };
        let even = |rows: &[Vec<String>]| header(rows) > 1 && rows.iter().all(|row| row.len() == rows[0].len());
        let found = all.iter().find(|(_, rows)| has_column(rows));
        let found = found.or_else(|| all.iter().find(|(_, rows)| even(rows)));
        let found = found.or_else(|| all.iter().find(|(_, rows)| header(rows) > 1));
        Self { separator: found.map_or(",", |(separator, _)| separator), says: false }
    }
}

/// The separator of a line `sep=;`.
fn said(line: &str) -> Option<&'static str> {
    let line = line.trim_matches('"');
    let separator = line.get(4..).filter(|_| line[..4].eq_ignore_ascii_case("sep="))?;
    SEPARATORS.into_iter().find(|known| *known == separator)
}

/// The cells of one line, as far as they are in it.
fn split(line: &str, separator: &str) -> Vec<String> {
    let mut splitter = Splitter::new(separator);
    splitter.run(line.as_bytes());
    splitter.end(line.len());
    splitter.cells.iter().map(|cell| String::from_utf8_lossy(&cell.text(line.as_bytes())).trim().to_owned()).collect()
}

/// What is wrong with the quotes of a row; bytes from the beginning of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quote {
    /// It opens here, and never closes.
    Open(usize),
    /// It opens here, and something follows there after it closed.
    Inside(usize, usize),
}

/// A cell of a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell {
    start: usize,
    end: usize,
    quoted: bool,
    /// It has quotes, written twice.
    doubled: bool,
}

impl Cell {
    /// Where it stands in the row, without its quotes.
    pub(super) fn range(&self) -> Range<usize> {
        self.start..self.end
    }

    /// What it says.
    pub(super) fn text<'r>(&self, row: &'r [u8]) -> Cow<'r, [u8]> {
        let text = &row[self.start..self.end];
        let text = if self.quoted { text } else { text.strip_suffix(b"\r").unwrap_or(text) };
        let folded = self.quoted && text.contains(&b'\r');
        if !self.doubled && !folded {
            return Cow::Borrowed(text);
        }
        let mut said = Vec::with_capacity(text.len());
        let mut bytes = text.iter().copied().peekable();
        while let Some(byte) = bytes.next() {
            match (byte, bytes.peek()) {
                (b'"', Some(b'"')) => drop(bytes.next()),
                (b'\r', Some(b'\n')) => continue,
                _ => {}
            }
            said.push(byte);
        }
        Cow::Owned(said)
    }
}

/// A row of a table.
pub(super) struct Row<'r> {
    /// The line in which it begins, from 1.
    pub(super) line: usize,
    /// How many bytes of the text stand before it.
    pub(super) start: usize,
    pub(super) bytes: &'r [u8],
    pub(super) cells: &'r [Cell],
}

impl<'r> Row<'r> {
    pub(super) fn text(&self, cell: usize) -> Cow<'r, [u8]> {
        self.cells.get(cell).map_or(Cow::Borrowed(&[]), |cell| cell.text(self.bytes))
    }

    /// Where it stands in the text, without the end of its last line.
    pub(super) fn range(&self) -> Range<usize> {
        self.start..self.start + self.bytes.trim_ascii_end().len()
    }

    /// The line in which a byte of the row is.
    pub(super) fn line_of(&self, byte: usize) -> usize {
        // Most rows are one line.
        self.line + memchr::memchr_iter(b'\n', &self.bytes[..byte.min(self.bytes.len())]).count()
    }

    /// Where the quote of its first cell of several lines opens, from the beginning of the text.
    pub(super) fn quote(&self) -> usize {
        let several = |cell: &&Cell| self.bytes[cell.range()].contains(&b'\n');
        self.start + self.cells.iter().find(several).map_or(0, |cell| cell.start.saturating_sub(1))
    }

    /// Nothing is in it: what Excel leaves below a table.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.iter().all(|byte| matches!(byte, b',' | b';' | b'\t' | b' ' | b'\r'))
            || self.cells.iter().all(|cell| !cell.quoted && cell.text(self.bytes).trim_ascii().is_empty())
    }

    /// A cell over several lines of which each could be a row of so many cells: a quote was forgotten, and another one closed
    /// what it opened. `alike` tells whether a line begins as rows do.
    pub(super) fn swallows(&self, separator: &str, alike: impl Fn(&[&[u8]]) -> bool) -> bool {
        let several = self.cells.len() > 1 && memchr::memchr(b'\n', self.bytes).is_some();
        several
            && self.bytes.split(|byte| *byte == b'\n').all(|line| {
                let mut splitter = Splitter::new(separator);
                splitter.literal = true;
                splitter.run(line);
                splitter.end(line.len());
                let cells: Vec<&[u8]> = splitter.cells.iter().map(|cell| line[cell.range()].trim_ascii()).collect();
                cells.len() == self.cells.len() && alike(&cells)
            })
    }
}

/// Puts lines together to rows, and parts these into cells.
pub(super) struct Table {
    splitter: Splitter,
    /// A row that goes on in the next line: its first line, and how many bytes stand before it.
    begun: Option<(usize, usize)>,
    held: Vec<u8>,
}

/// What a line comes to.
pub(super) enum Fed<'r> {
    /// The row goes on in the next line, or there is none in it.
    Nothing,
    Row(Row<'r>),
}

impl Table {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self { splitter: Splitter::new(dialect.separator), begun: None, held: Vec::new() }
    }

    /// Takes a line.
    pub(super) fn feed<'r>(&'r mut self, number: usize, start: usize, bytes: &'r [u8]) -> Result<Fed<'r>, Quote> {
        let Some((line, begun)) = self.begun else {
            if bytes.trim_ascii().is_empty() {
                return Ok(Fed::Nothing);
            }
            self.splitter.begin();
            self.splitter.run(bytes);
            return match self.splitter.state {
                State::Quoted => {
                    self.begun = Some((number, start));
                    self.held.clear();
                    self.held.extend_from_slice(bytes);
                    Ok(Fed::Nothing)
                }
                _ => self.splitter.row(number, start, bytes),
            };
        };
        self.held.push(b'\n');
        self.held.extend_from_slice(bytes);
        self.splitter.run(&self.held);
        match self.splitter.state {
            State::Quoted if self.held.len() > limits::AUDIENCE_LINE_BYTES_MAX => {
                Err(Quote::Open(begun + self.splitter.quote))
            }
            State::Quoted => Ok(Fed::Nothing),
            _ => {
                self.begun = None;
                self.splitter.row(line, begun, &self.held)
            }
        }
    }

    /// The quote that is still open at the end.
    pub(super) fn end(&self) -> Result<(), Quote> {
        self.begun.map_or(Ok(()), |(_, start)| Err(Quote::Open(start + self.splitter.quote)))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before a cell, or in the blanks before its text.
    Before,
    /// In a cell without quotes.
    Plain,
    /// Between quotes.
    Quoted,
    /// After the closing quote.
    After,
    /// Something stands after the closing quote.
    Wrong,
}

struct Splitter {
    separator: Vec<u8>,
    /// Quotes are characters like others.
    literal: bool,
    cells: Vec<Cell>,
    state: State,
    /// How far it was read, where the cell begins, and the quote that opens it.
    at: usize,
    cell: Cell,
    quote: usize,
}

impl Splitter {
    fn new(separator: &str) -> Self {
        let cell = Cell { start: 0, end: 0, quoted: false, doubled: false };
        let separator = separator.as_bytes().to_vec();
        Self { separator, literal: false, cells: Vec::new(), state: State::Before, at: 0, cell, quote: 0 }
    }

    fn begin(&mut self) {
        self.cells.clear();
        self.at = 0;
        self.next_cell();
    }

    fn next_cell(&mut self) {
        self.state = State::Before;
        self.cell = Cell { start: self.at, end: self.at, quoted: false, doubled: false };
    }

    /// Where the next separator begins.
    fn separator(&self, bytes: &[u8]) -> Option<usize> {
        let rest = bytes.get(self.at..)?;
        let found = match self.separator.as_slice() {
            [one] => memchr::memchr(*one, rest),
            several => memchr::memmem::find(rest, several),
        };
        found.map(|found| self.at + found)
    }

    fn close(&mut self, end: usize) {
        if self.state != State::After {
            self.cell.end = end;
        }
        self.cells.push(self.cell);
    }

    /// Reads on to the end of the bytes, which begin with all that were read before.
    fn run(&mut self, bytes: &[u8]) {
        loop {
            match self.state {
                State::Before => {
                    let blank = |byte: &&u8| **byte == b' ' || (**byte == b'\t' && self.separator != b"\t");
                    let text = self.at + bytes[self.at..].iter().take_while(blank).count();
                    if bytes.get(text) == Some(&b'"') && !self.literal {
                        (self.quote, self.at) = (text, text + 1);
                        self.cell = Cell { start: self.at, end: self.at, quoted: true, doubled: false };
                        self.state = State::Quoted;
                    } else {
                        self.state = State::Plain;
                    }
                }
                State::Plain => match self.separator(bytes) {
                    Some(end) => {
                        self.close(end);
                        self.at = end + self.separator.len();
                        self.next_cell();
                    }
                    None => {
                        self.at = bytes.len();
                        return;
                    }
                },
                State::Quoted => match bytes.get(self.at..).and_then(|rest| memchr::memchr(b'"', rest)) {
                    None => {
                        self.at = bytes.len();
                        return;
                    }
                    Some(found) => {
                        let quote = self.at + found;
                        self.at = quote + 1;
                        if bytes.get(self.at) == Some(&b'"') {
                            self.cell.doubled = true;
                            self.at += 1;
                        } else {
                            self.cell.end = quote;
                            self.state = State::After;
                        }
                    }
                },
                State::After => {
                    let rest = bytes.get(self.at..).unwrap_or_default();
                    let blank =
                        |byte: &&u8| matches!(byte, b' ' | b'\r') || (**byte == b'\t' && self.separator != b"\t");
                    self.at += rest.iter().take_while(blank).count();
                    let rest = bytes.get(self.at..).unwrap_or_default();
                    if rest.is_empty() {
                        return;
                    }
                    if !rest.starts_with(&self.separator) {
                        self.state = State::Wrong;
                        return;
                    }
                    self.close(self.at);
                    self.at += self.separator.len();
                    self.next_cell();
                }
                State::Wrong => return,
            }
        }
    }

    /// The end of a row.
    fn end(&mut self, length: usize) {
        self.close(length);
    }

    fn row<'r>(&'r mut self, line: usize, start: usize, bytes: &'r [u8]) -> Result<Fed<'r>, Quote> {
        if self.state == State::Wrong {
            return Err(Quote::Inside(start + self.quote, start + self.at));
        }
        self.end(bytes.len());
        let row = Row { line, start, bytes, cells: &self.cells };
        Ok(if row.is_empty() { Fed::Nothing } else { Fed::Row(row) })
    }
}

/// What is said of a quote, where it opens, and where it closes too early.
pub(super) struct Told {
    pub(super) at: usize,
    pub(super) message: Phrase,
    pub(super) help: Phrase,
    pub(super) closed: Option<(usize, Phrase)>,
}

/// What is wrong with a quote.
pub(super) fn quote(quote: Quote) -> Told {
    let help =
        say!("close it where the cell ends; a quotation mark in the text of a quoted cell is written twice: \"\"");
    match quote {
        Quote::Open(at) => Told { at, message: say!("this quote is never closed"), help, closed: None },
        Quote::Inside(at, after) => Told {
            at,
            message: say!("this quote closes in the middle of a cell: there is text after the closing quote"),
            help,
            closed: Some((after, say!("this stands after it"))),
        },
    }
}

/// What is wrong with a quoted cell in which other rows may stand.
pub(super) fn swallowed() -> (Phrase, Phrase) {
    let message = say!("this quoted cell goes on over lines that look like rows of their own");
    (message, say!("close the quote in its line, or leave out the line breaks in the cell"))
}

/// What is wrong with a row that has another number of cells than the header.
pub(super) fn unequal(cells: usize, columns: usize, dialect: Dialect) -> (Phrase, Phrase) {
    let message = say!(
        "this row has {cells} cell, but the header has {columns}"
            | "this row has {cells} cells, but the header has {columns}",
        cells,
        columns
    );
    let help = match dialect.separator {
        _ if cells < columns => say!("write as many cells in each row as the header has, empty ones too"),
        "," => say!("quote cells that contain a comma"),
        "\t" => say!("quote cells that contain a tab"),
        separator => say!("the header separates cells with `{separator}`; quote cells that contain it", separator),
    };
    (message, help)
}

/// What is wrong with a table that begins with data: what the cell with that number looks like.
pub(super) fn without_header(number: usize, looks: Looks) -> (Phrase, Phrase) {
    let what = match looks {
        Looks::Openid => say!("an openid"),
        Looks::Phone => say!("a phone number"),
        Looks::Email => say!("an email address"),
        Looks::Address => say!("a web address"),
        Looks::Number => say!("a number"),
    };
    let message = say!("the file has no header: cell {number} of its first line is {what}", number, what);
    (message, say!("write the names of the columns in the first line"))
}

/// The first cell of a first row that is no name of a column: the number of the cell from 1, and what it looks like.
pub(super) fn no_header(first: &[String], second: Option<&[String]>) -> Option<(usize, Looks)> {
    first.iter().enumerate().find_map(|(at, cell)| {
        let found = looks(cell)?;
        // Columns are named after years, and numbers stand below a name that is one.
        let year = cell.len() == 4 && (cell.starts_with("19") || cell.starts_with("20"));
        let below = second.and_then(|row| row.get(at)).and_then(|cell| looks(cell));
        let data = found != Looks::Number || (!year && below == Some(Looks::Number));
        data.then_some((at + 1, found))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Result<Vec<Vec<String>>, Quote> {
        let mut table = Table::new(Dialect::of(text, None));
        let (mut all, mut start) = (Vec::new(), 0);
        for (number, line) in text.split('\n').enumerate() {
            if let Fed::Row(row) = table.feed(number + 1, start, line.as_bytes())? {
                let cell = |at| String::from_utf8(row.text(at).into_owned()).expect("UTF-8");
                all.push((0..row.cells.len()).map(cell).collect());
            }
            start += line.len() + 1;
        }
        table.end()?;
        Ok(all)
    }

    #[test]
    fn cells_are_what_stands_between_separators_or_quotes() {
        let cells = |row: &[&str]| row.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            rows("a,b\r\n\"x, \"\"y\"\"\r\nz\",1\r\n\r\n,,\r\n 春 , \"茶\" \r\n5\" 盘,\"\""),
            Ok(vec![cells(&["a", "b"]), cells(&["x, \"y\"\nz", "1"]), cells(&[" 春 ", "茶"]), cells(&["5\" 盘", ""])])
        );
        for text in ["a;b\n1;2,5\n", "sep=;\na;b\n", "a\tb\n1\t 2\n", "a，b\n1，2\n", "a|b\n"] {
            let rows = rows(text).expect("right");
            assert_eq!(rows.last().map(Vec::len), Some(2), "{text}");
        }
        assert_eq!(rows("text\n你好；世界，茶\n"), Ok(vec![cells(&["text"]), cells(&["你好；世界，茶"])]));
        assert_eq!(rows("id,text\n1,你好；世界，茶\n").map(|rows| rows[1].len()), Ok(2));
    }

    #[test]
    fn a_quote_that_does_not_end_a_cell_is_wrong_where_it_opens() {
        assert_eq!(rows("a,b\n1,\"x\n2,y\n"), Err(Quote::Open(6)));
        assert_eq!(rows("a,b\n1, \"x\n2,y"), Err(Quote::Open(7)));
        assert_eq!(rows("a,b\n\"x,1\nw,2\n\"v,3\n"), Err(Quote::Inside(4, 14)));
        assert_eq!(rows("a,b\n1,\"x\"y\n"), Err(Quote::Inside(6, 9)));
        assert_eq!(rows("a,b\n1,\"\"\"\n"), Err(Quote::Open(6)));
    }

    #[test]
    fn a_first_row_of_data_is_no_header() {
        let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        let none = |first: &[&str], second: &[&str]| no_header(&row(first), Some(&row(second)));
        assert_eq!(none(&["王五", "+86 138-0013-8000"], &["李四", "13900139000"]), Some((2, Looks::Phone)));
        assert_eq!(none(&["1", "北京"], &["2", "上海"]), Some((1, Looks::Number)));
        assert_eq!(none(&["a@b.example"], &["x"]), Some((1, Looks::Email)));
        assert_eq!(none(&["x", "oFakeOpenId_AAAAAAAAAAAAAA01"], &["x"]), Some((2, Looks::Openid)));
        assert_eq!(none(&["城市", "2025", "2026"], &["北京", "1", "2"]), None);
        assert_eq!(none(&["openid", "100"], &["oA", "x"]), None);
    }
}
