//! Who gets a message: openids from files, each once, in the order of the files.

use std::{
    cell::Cell,
    io::{self, BufRead as _, Read},
    ops::Range,
    rc::Rc,
    sync::Arc,
};

use encoding_rs::Encoding;
use flate2::read::MultiGzDecoder;
use serde_json::Value;

use super::{
    ReadError,
    encoding::{self, Decoded, Unread},
    json,
    table::{self, Dialect, Fed, Quote, Row, Table},
    unreadable,
};
use crate::{
    diag::{
        Code, Diagnostic, Diagnostics,
        source::{self, FileId, SourceMap, Span},
    },
    limits,
    locale::{Count, Phrase, say},
    openids::Openids,
    problem::reason,
    text::{characters, did_you_mean, one_of, openid},
};

/// The people of a send: unique, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audience {
    pub(crate) openids: Arc<Openids>,
    /// How many openids were named again.
    pub(crate) duplicates: usize,
    /// How many were left out by `exclude`.
    pub(crate) excluded: usize,
}

impl Audience {
    /// Keeps the first mention of each, leaves out who is excluded.
    pub fn build(mut people: Openids, excluded: &Openids) -> Self {
        let (duplicates, left_out) = people.unique(excluded);
        Self { openids: Arc::new(people), duplicates, excluded: left_out }
    }
}

/// A file of openids, which can be opened more than once.
pub(crate) struct File<'a> {
    /// Its path as users know it.
    pub(crate) name: &'a str,
    pub(crate) open: &'a dyn Fn() -> Result<Box<dyn Read>, ReadError>,
    /// The column or key that holds the openids.
    pub(crate) column: &'a str,
    /// Whether its people are left out: then one that nobody has is no harm to a call.
    pub(crate) excludes: bool,
    /// Where the plan names it.
    pub(crate) place: &'a Span,
    /// What was read of such files so far.
    pub(crate) read: &'a Amount,
}

/// What was read of all files of people of a plan.
#[derive(Debug, Default)]
pub(crate) struct Amount {
    /// Bytes, unpacked.
    unpacked: Cell<u64>,
    /// Those of them that are beyond [`limits::UNPACKED_TIMES_MAX`] times the size of their packed file.
    beyond: Cell<u64>,
}

impl Amount {
    /// Bytes, unpacked.
    pub(crate) fn unpacked(&self) -> u64 {
        self.unpacked.get()
    }
}

type Scan = fn(&mut Reader<'_>, &str, &mut Rows) -> Result<(), Problem>;

/// Reads a .txt, .csv or .jsonl file of openids, or one of these packed with gzip. It is read in one go and never held
/// as a whole; only if something is wrong with it, it is read again to show the lines.
pub(crate) fn read(file: &File<'_>, sources: &mut SourceMap, diagnostics: &mut Diagnostics) -> Option<Openids> {
    let File { name, place, .. } = file;
    let packed = name.strip_suffix(".gz");
    let scan: Scan = match packed.unwrap_or(name).rsplit('.').next() {
        Some("txt") => scan_txt,
        Some("csv") => scan_csv,
        Some("jsonl") => scan_jsonl,
        Some("xlsx" | "xls" | "xlsm" | "et" | "ods" | "numbers") => {
            let message = say!("`{name}` is a workbook, not a table of text", name = *name);
            diagnostics.push(Diagnostic::new(Code::BadData, (*place).clone(), message).help(encoding::save_as()));
            return None;
        }
        _ => {
            let message = say!("`{name}` is not a .txt, .csv or .jsonl file (or one of these with .gz)", name = *name);
            let help = say!("use the matching file extension");
            diagnostics.push(Diagnostic::new(Code::BadData, (*place).clone(), message).help(help));
            return None;
        }
    };
    let problem = match scanned(file, scan, None, diagnostics) {
        Ok(people) => return Some(people),
        Err(problem) => problem,
    };
    if let Problem::Kind(message, help) = problem {
        diagnostics.push(Diagnostic::new(Code::BadData, (*place).clone(), message).help(help));
        return None;
    }
    // Whatever else it says, a file that is no text says that.
    let (text, problem) = match beginning(file) {
        Err(diagnostic) => {
            diagnostics.push(*diagnostic);
            return None;
        }
        Ok(Beginning::Unread(unread, line)) => {
            let (message, help) = unread.words(name);
            let place = match line {
                Some((text, line)) => {
                    let id = sources.add_people(*name, text, 0);
                    let start = sources.file(id).line_start(line);
                    Span::new(id, start..start)
                }
                None => (*place).clone(),
            };
            diagnostics.push(Diagnostic::new(Code::NotUtf8, place, message).help(help));
            return None;
        }
        Ok(Beginning::Text(text)) => (text, problem),
        // It was read as UTF-8 so far.
        Ok(Beginning::Chinese(text)) => match scanned(file, scan, Some(encoding_rs::GB18030), diagnostics) {
            Ok(people) => return Some(people),
            Err(problem) => (text, problem),
        },
    };
    tell(file, text, problem, sources, diagnostics);
    None
}

/// The people of a file in an encoding; none is one that the file names itself, or UTF-8.
fn scanned(
    file: &File<'_>,
    scan: Scan,
    encoding: Option<&'static Encoding>,
    diagnostics: &mut Diagnostics,
) -> Result<Openids, Problem> {
    let mut reader = unpacked(file)?;
    let first = reader.fill_buf()?;
    if let Some((message, help)) = encoding::other_kind(file.name, first) {
        return Err(Problem::Kind(message, help));
    }
    let encoding = encoding.or_else(|| encoding::marked(first));
    let mut reader = match encoding {
        Some(encoding) => buffered(Box::new(Decoded::new(reader, encoding))),
        None => reader,
    };
    let mut rows = Rows::default();
    scan(&mut reader, file.column, &mut rows)?;
    if !file.excludes {
        rows.hold_to_length()?;
    }
    if rows.count > 0 {
        return Err(Problem::Rows(rows));
    }
    if let Some((place, _)) = rows.odd.first().filter(|_| rows.real) {
        let (name, line) = (file.name, Count(place.line as u64));
        let message = say!(
            "`{name}` has {openids} openid that does not have 28 characters: line {line}"
                | "`{name}` has {openids} openids that do not have 28 characters, the first in line {line}",
            openids = rows.odd_count,
            name,
            line
        );
        let help = say!("copy it whole from where it came from");
        diagnostics.push(Diagnostic::new(Code::ExcludesNobody, file.place.clone(), message).help(help));
    }
    rows.people.shrink();
    Ok(rows.people)
}

/// Says what is wrong with a file of which the beginning is known.
fn tell(file: &File<'_>, text: String, problem: Problem, sources: &mut SourceMap, diagnostics: &mut Diagnostics) {
    let File { name, place, .. } = file;
    match problem {
        Problem::Read(error) => diagnostics.push(unreadable(name, place, limits::AUDIENCE_BYTES_MAX, error)),
        Problem::Io(error) => diagnostics.push(broken(file, &error)),
        Problem::NotUtf8 | Problem::Kind(..) => {
            let message = say!("`{name}` contains bytes that are not text, after its first 16 MiB", name = *name);
            diagnostics.push(Diagnostic::new(Code::NotUtf8, (*place).clone(), message).help(encoding::save_as()));
        }
        Problem::Bad(bad, header) => {
            let id = sources.add_people(*name, text, header);
            diagnostics.push(bad.told(file, id, sources));
        }
        Problem::Rows(mut rows) => {
            let id = sources.add_people(*name, text, rows.header);
            rows.bad.sort_by_key(|bad| bad.place.line);
            let (count, shown) = (rows.count, rows.bad.len());
            diagnostics.extend(rows.bad.into_iter().map(|bad| bad.told(file, id, sources)));
            if count > shown {
                let more = count - shown;
                let message = match count > limits::BAD_OPENIDS_READ {
                    true => say!(
                        "`{name}` has {more} more line that is not an openid; the rest is not read"
                            | "`{name}` has {more} more lines that are not openids; the rest is not read",
                        more,
                        name = *name
                    ),
                    false => say!(
                        "`{name}` has {more} more line that is not an openid"
                            | "`{name}` has {more} more lines that are not openids",
                        more,
                        name = *name
                    ),
                };
                diagnostics.push(Diagnostic::new(Code::BadOpenid, (*place).clone(), message));
            }
        }
    }
}

type Reader<'a> = io::BufReader<Box<dyn Read + 'a>>;

/// The file, unpacked if it is packed, and no longer than allowed.
fn unpacked<'a>(file: &File<'a>) -> Result<Reader<'a>, Problem> {
    let reader = (file.open)().map_err(Problem::Read)?;
    let packed = Rc::new(Cell::new(0));
    let is_packed = file.name.ends_with(".gz");
    let reader: Box<dyn Read> = match is_packed {
        true => Box::new(MultiGzDecoder::new(io::BufReader::new(Counted { reader, count: Rc::clone(&packed) }))),
        false => reader,
    };
    let bounded = Bounded { reader, held: 0, packed: is_packed.then_some(packed), beyond: 0, read: file.read };
    Ok(buffered(Box::new(bounded)))
}

fn buffered<'a>(reader: Box<dyn Read + 'a>) -> Reader<'a> {
    io::BufReader::with_capacity(1 << 18, reader)
}

/// A reader that counts its bytes.
struct Counted {
    reader: Box<dyn Read>,
    count: Rc<Cell<u64>>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.count.set(self.count.get() + read as u64);
        Ok(read)
    }
}

/// A reader that fails when there is more than allowed: a packed file may be far larger than it looks.
struct Bounded<'a> {
    reader: Box<dyn Read>,
    /// Bytes so far, and before they were unpacked.
    held: u64,
    packed: Option<Rc<Cell<u64>>>,
    /// Its part of what is beyond.
    beyond: u64,
    /// Of all files of people.
    read: &'a Amount,
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)? as u64;
        self.held += read;
        if self.held > limits::AUDIENCE_BYTES_MAX {
            return Err(too_large());
        }
        if let Some(packed) = &self.packed {
            // Of small files, many hold no more than one.
            let before = self.beyond;
            self.beyond = self.held.saturating_sub(packed.get().saturating_mul(limits::UNPACKED_TIMES_MAX));
            self.read.beyond.set(self.read.beyond.get() - before + self.beyond);
            if self.beyond > 0 && self.read.beyond.get() > limits::UNPACKED_BYTES_FREE {
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, Bomb));
            }
        }
        self.read.unpacked.set(self.read.unpacked.get() + read);
        if self.read.unpacked.get() > limits::AUDIENCES_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, "too large together"));
        }
        Ok(read as usize)
    }
}

/// A packed file that is made to be large.
#[derive(Debug, thiserror::Error)]
#[error("it unpacks to far more than its size")]
struct Bomb;

fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, "too large")
}

/// Why the reading of a file ended before the file did.
fn broken(file: &File<'_>, error: &io::Error) -> Diagnostic {
    let name = file.name;
    let packed = name.ends_with(".gz");
    let (code, message) = match error.kind() {
        io::ErrorKind::FileTooLarge if error.get_ref().is_some_and(|inner| inner.is::<Bomb>()) => {
            let (times, free) = (Count(limits::UNPACKED_TIMES_MAX), Count(limits::UNPACKED_BYTES_FREE));
            let message = say!(
                "`{name}` decompresses to more than {times} times its size, and all packed files together to more than {free} bytes beyond that",
                name,
                times,
                free
            );
            (Code::FileTooLarge, message)
        }
        io::ErrorKind::FileTooLarge => {
            let most = Count(limits::AUDIENCE_BYTES_MAX);
            (Code::FileTooLarge, say!("`{name}` is larger than {most} bytes", name, most))
        }
        io::ErrorKind::InvalidData if error.get_ref().is_some_and(|inner| inner.is::<encoding::Undecodable>()) => {
            let message = say!("`{name}` contains bytes that are not text in its encoding", name);
            let diagnostic = Diagnostic::new(Code::NotUtf8, file.place.clone(), message);
            return diagnostic.help(encoding::save_as());
        }
        io::ErrorKind::QuotaExceeded => {
            let most = Count(limits::AUDIENCES_BYTES_MAX);
            (Code::FileTooLarge, say!("the plan's audience files have more than {most} bytes in total", most))
        }
        // What the unpacking of something else, or of a part, is told by.
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData if packed => {
            let message =
                say!("cannot decompress `{name}`: it is not a gzip file, or it is truncated or damaged", name);
            (Code::BadData, message)
        }
        _ if packed => (Code::BadData, say!("cannot decompress `{name}`: {why}", name, why = reason(error))),
        _ => (Code::FileUnreadable, say!("`{path}` cannot be read: {why}", path = name, why = reason(error))),
    };
    Diagnostic::new(code, file.place.clone(), message)
}

/// The beginning of a file, to show lines of it.
enum Beginning {
    Text(String),
    /// It is GB18030, and does not say so.
    Chinese(String),
    /// With the text, so far as there is one, and the line.
    Unread(Unread, Option<(String, usize)>),
}

fn beginning(file: &File<'_>) -> Result<Beginning, Box<Diagnostic>> {
    let mut bytes = Vec::new();
    let most = limits::DATA_BYTES_MAX;
    let read = unpacked(file).and_then(|reader| reader.take(most).read_to_end(&mut bytes).map_err(Problem::Io));
    match read {
        Err(Problem::Read(error)) => {
            return Err(Box::new(unreadable(file.name, file.place, limits::AUDIENCE_BYTES_MAX, error)));
        }
        Err(Problem::Io(error)) => return Err(Box::new(broken(file, &error))),
        _ => {}
    }
    if bytes.len() as u64 == most {
        // No line and no character is cut in two; a line that long is shown by nobody.
        let end = memchr::memrchr(b'\n', &bytes).map_or(0, |newline| newline + 1);
        bytes.truncate(end);
    }
    let utf8 = encoding::marked(&bytes).is_some() || str::from_utf8(&bytes).is_ok();
    // Control characters are shown as blanks, so that the line can be.
    let shown = |text: &str| source::without_controls(text.as_bytes());
    Ok(match encoding::text(&bytes) {
        Ok(text) if utf8 => Beginning::Text(shown(&text)),
        Ok(text) => Beginning::Chinese(shown(&text)),
        Err(Unread::Line(line)) => {
            Beginning::Unread(Unread::Line(line), Some((source::without_controls(&bytes), line)))
        }
        Err(unread) => Beginning::Unread(unread, None),
    })
}

/// What was read so far.
#[derive(Default)]
struct Rows {
    people: Openids,
    /// The first that are no openids, with their lines.
    bad: Vec<Bad>,
    /// How many are none.
    count: usize,
    /// Whether an openid is as long as those of WeChat; those that are not, which may be made up if all are.
    real: bool,
    odd: Vec<(Place, usize)>,
    odd_count: usize,
    /// Bytes at the beginning that name columns.
    header: usize,
}

impl Rows {
    fn take(&mut self, place: Place, openid: &[u8]) -> Result<(), Problem> {
        if openid::may_be(openid) { self.add(place, openid) } else { self.refuse(place, openid) }
    }

    /// Takes one that may be an openid.
    fn add(&mut self, place: Place, openid: &[u8]) -> Result<(), Problem> {
        if openid.len() == limits::OPENID_CHARS {
            self.real = true;
        } else {
            self.odd_count += 1;
            if self.odd.len() < limits::BAD_OPENIDS_SHOWN {
                self.odd.push((place, openid.len()));
            }
        }
        let openid = str::from_utf8(openid).map_err(|_| Problem::NotUtf8)?;
        self.people.push(openid).map_err(|_| Problem::Io(too_large()))
    }

    /// Notes what is not an openid.
    fn refuse(&mut self, place: Place, openid: &[u8]) -> Result<(), Problem> {
        let text = str::from_utf8(openid).map_err(|_| Problem::NotUtf8)?;
        if self.bad.len() == limits::BAD_OPENIDS_SHOWN {
            return self.count();
        }
        let (message, help) = openid::wrong(text);
        let hidden = openid::odd(text);
        let code = match hidden {
            Some((_, c)) if source::find_control(c.encode_utf8(&mut [0; 4])).is_some() => Code::ControlCharacter,
            _ => Code::BadOpenid,
        };
        let place = match hidden {
            Some((at, c)) => place.part(at..at + c.len_utf8()),
            None => place,
        };
        self.reject(Bad { place, code, message, help, related: None })
    }

    /// Notes what is wrong, if it is one of the first.
    fn reject(&mut self, bad: Bad) -> Result<(), Problem> {
        if self.bad.len() < limits::BAD_OPENIDS_SHOWN {
            self.bad.push(bad);
        }
        self.count()
    }

    /// An error if there are so many that the rest need not be read.
    fn count(&mut self) -> Result<(), Problem> {
        self.count += 1;
        if self.count > limits::BAD_OPENIDS_READ { Err(Problem::Rows(std::mem::take(self))) } else { Ok(()) }
    }

    /// Beside openids of WeChat, one that is shorter or longer lost something on its way.
    fn hold_to_length(&mut self) -> Result<(), Problem> {
        if !self.real {
            return Ok(());
        }
        let count = self.count + self.odd_count;
        for (place, characters) in std::mem::take(&mut self.odd) {
            let (message, help) = openid::wrong_length(characters);
            self.reject(Bad { place, code: Code::BadOpenid, message, help, related: None })?;
        }
        self.count = count;
        Ok(())
    }
}

/// Where something stands: its line, from 1, and bytes of the text.
#[derive(Debug, Clone)]
struct Place {
    line: usize,
    bytes: Range<usize>,
}

impl Place {
    fn part(&self, part: Range<usize>) -> Self {
        Self { line: self.line, bytes: self.bytes.start + part.start..self.bytes.start + part.end }
    }
}

/// What is wrong at a place.
#[derive(Debug)]
struct Bad {
    place: Place,
    code: Code,
    message: Phrase,
    help: Phrase,
    /// Another place, and what is there.
    related: Option<(usize, Phrase)>,
}

impl Bad {
    /// As it is told; a place that is not in the beginning of the file that is known is said in words.
    fn told(self, file: &File<'_>, id: FileId, sources: &SourceMap) -> Diagnostic {
        let Bad { place: Place { line, bytes }, code, message, help, related } = self;
        let text = &sources.file(id).text;
        // What is missing at the end of a file stands behind its last line.
        let long = text.len() as u64 + limits::AUDIENCE_LINE_BYTES_MAX as u64 >= limits::DATA_BYTES_MAX;
        if bytes.start > text.len() || (long && bytes.start == text.len()) {
            let message =
                say!("`{name}`, line {line}: {message}", name = file.name, line = Count(line as u64), message);
            return Diagnostic::new(code, file.place.clone(), message).help(help);
        }
        let told = Diagnostic::new(code, Span::new(id, bytes.start..bytes.end.min(text.len())), message).help(help);
        match related {
            Some((at, words)) if at <= text.len() => told.related(Span::new(id, at..at + 1), words),
            _ => told,
        }
    }
}

/// Why a file is not taken.
enum Problem {
    Read(ReadError),
    Io(io::Error),
    /// It is no text, or of another kind: what it is, and what to do.
    Kind(Phrase, Phrase),
    NotUtf8,
    /// With how many bytes at the beginning name columns.
    Bad(Box<Bad>, usize),
    Rows(Rows),
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Calls `take` with each line, its number, and how many bytes stand before it; a byte order mark is no part of the text.
fn lines(
    reader: &mut Reader<'_>,
    mut take: impl FnMut(usize, usize, &[u8]) -> Result<(), Problem>,
) -> Result<(), Problem> {
    if reader.fill_buf()?.starts_with("\u{feff}".as_bytes()) {
        reader.consume('\u{feff}'.len_utf8());
    }
    // A line that began in one buffer and ends in a later one.
    let mut begun = Vec::new();
    let (mut number, mut start) = (1, 0);
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return if begun.is_empty() { Ok(()) } else { take(number, start, &begun) };
        }
        let mut from = 0;
        for end in memchr::memchr_iter(b'\n', buffer) {
            let length = begun.len() + end - from;
            if begun.is_empty() {
                take(number, start, &buffer[from..end])?;
            } else {
                begun.extend_from_slice(&buffer[from..end]);
                take(number, start, &begun)?;
                begun.clear();
            }
            from = end + 1;
            number += 1;
            start += length + 1;
        }
        begun.extend_from_slice(&buffer[from..]);
        if begun.len() > limits::AUDIENCE_LINE_BYTES_MAX {
            return Err(long_line(number, start));
        }
        let read = buffer.len();
        reader.consume(read);
    }
}

fn long_line(line: usize, start: usize) -> Problem {
    let message = say!("this line has more than {most} bytes", most = Count(limits::AUDIENCE_LINE_BYTES_MAX as u64));
    let help = say!("write one openid per line, and close the quotes of cells");
    bad(Place { line, bytes: start..start }, Code::FileTooLarge, message, help)
}

fn bad(place: Place, code: Code, message: Phrase, help: Phrase) -> Problem {
    Problem::Bad(Box::new(Bad { place, code, message, help, related: None }), 0)
}

/// Where a text stands in its line, without blanks around it.
fn trimmed(line: usize, start: usize, bytes: &[u8]) -> (Place, &[u8]) {
    let text = bytes.trim_ascii();
    let at = start + bytes.len() - bytes.trim_ascii_start().len();
    (Place { line, bytes: at..at + text.len() }, text)
}

/// Lines that end as those of an old Mac are one line.
fn one_line(line: usize, start: usize, bytes: &[u8]) -> Result<(), Problem> {
    match memchr::memchr(b'\r', bytes.trim_ascii_end()) {
        Some(at) if line == 1 => {
            let message = say!("the lines of this file end with only a carriage return, as in CSV (Macintosh)");
            Err(bad(Place { line, bytes: start + at..start + at }, Code::BadData, message, encoding::save_as()))
        }
        _ => Ok(()),
    }
}

fn scan_txt(reader: &mut Reader<'_>, column: &str, rows: &mut Rows) -> Result<(), Problem> {
    lines(reader, |number, start, bytes| {
        let (place, text) = trimmed(number, start, bytes);
        if openid::may_be(text) {
            return rows.add(place, text);
        }
        if text.is_empty() {
            return Ok(());
        }
        one_line(number, start, bytes)?;
        let text = str::from_utf8(text).map_err(|_| Problem::NotUtf8)?;
        // Blanks of other kinds at the ends.
        let inner = text.trim();
        let at = text.len() - text.trim_start().len();
        let is_header = rows.people.is_empty() && rows.count == 0 && is_header(inner, column);
        if is_header {
            let message = say!("this is a header; a .txt file has one openid per line and no header");
            let help = say!("delete the line, or rename the file to .csv");
            return rows.reject(Bad { place, code: Code::BadOpenid, message, help, related: None });
        }
        rows.take(place.part(at..at + inner.len()), inner.as_bytes())
    })
}

/// Whether a line names columns.
fn is_header(line: &str, column: &str) -> bool {
    let bare = |name: &str| name.to_ascii_lowercase().replace(['-', '_', ' '], "");
    let mut names = line.split([',', ';', '\t', '，', '|']).map(|name| name.trim().trim_matches('"'));
    names.any(|name| name == column || (bare(name).contains("openid") && !openid::may_be(name.as_bytes())))
}

/// A CSV file on its way to its people.
struct People<'a> {
    column: &'a str,
    dialect: Dialect,
    /// The names of the columns, and which of them holds the openids.
    names: Vec<String>,
    at: usize,
    /// The first line, if the column is not in it: what follows tells why.
    missing: Option<Place>,
    rows: &'a mut Rows,
}

fn scan_csv(reader: &mut Reader<'_>, column: &str, rows: &mut Rows) -> Result<(), Problem> {
    const LOOKED_AT: usize = 64 << 10;
    let first = reader.fill_buf()?;
    let first = String::from_utf8_lossy(&first[..first.len().min(LOOKED_AT)]);
    let dialect = Dialect::of(first.strip_prefix('\u{feff}').unwrap_or(&first), Some(column));
    drop(first);
    let mut table = Table::new(dialect);
    let mut people = People { column, dialect, names: Vec::new(), at: 0, missing: None, rows };
    lines(reader, |number, start, bytes| {
        if number == 1 && dialect.says {
            return Ok(());
        }
        one_line(number, start, bytes)?;
        match table.feed(number, start, bytes) {
            Ok(Fed::Row(row)) => people.row(&row),
            Ok(Fed::Nothing) => Ok(()),
            Err(quote) => Err(people.quote(number, quote)),
        }
    })?;
    table.end().map_err(|quote| people.quote(0, quote))?;
    match (&people.missing, people.names.is_empty()) {
        (Some(place), _) => Err(people.no_column(place.clone(), None)),
        (None, true) => {
            let message = say!("there is no column `{column}`", column);
            Err(bad(Place { line: 1, bytes: 0..0 }, Code::UnknownColumn, message, say!("the file is empty")))
        }
        (None, false) => Ok(()),
    }
}

impl People<'_> {
    fn bad(&self, place: Place, code: Code, message: Phrase, help: Phrase) -> Problem {
        Problem::Bad(Box::new(Bad { place, code, message, help, related: None }), self.rows.header)
    }

    fn row(&mut self, row: &Row<'_>) -> Result<(), Problem> {
        if str::from_utf8(row.bytes).is_err() {
            return Err(Problem::NotUtf8);
        }
        let place = Place { line: row.line, bytes: row.range() };
        if let Some(first) = self.missing.take() {
            return Err(self.no_column(first, Some(row)));
        }
        if self.names.is_empty() {
            return self.header(row, place);
        }
        let (cells, columns) = (row.cells.len(), self.names.len());
        if cells != columns {
            let (message, help) = table::unequal(cells, columns, self.dialect);
            return self.rows.reject(Bad { place, code: Code::BadData, message, help, related: None });
        }
        let at = self.at;
        let holds = |cells: &[&[u8]]| cells.get(at).is_some_and(|cell| openid::may_be(cell.trim_ascii()));
        if row.swallows(self.dialect.separator, holds) {
            let quote = row.quote();
            let (message, help) = table::swallowed();
            return self.rows.reject(Bad {
                place: Place { line: row.line, bytes: quote..quote + 1 },
                code: Code::BadData,
                message,
                help,
                related: None,
            });
        }
        let text = row.text(at);
        let range = row.cells[at].range();
        let (line, start) = (row.line_of(range.start), row.start + range.start);
        let (place, text) = trimmed(line, start, &text);
        self.rows.take(place, text)
    }

    /// The first row.
    fn header(&mut self, row: &Row<'_>, place: Place) -> Result<(), Problem> {
        let name = |at: usize| String::from_utf8_lossy(&row.text(at)).trim().to_owned();
        self.names = (0..row.cells.len()).map(name).collect();
        let column = self.column;
        let found: Vec<usize> = (0..self.names.len()).filter(|at| self.names[*at] == column).collect();
        let Some(at) = found.first() else {
            self.missing = Some(place);
            return Ok(());
        };
        (self.at, self.rows.header) = (*at, row.start + row.bytes.len());
        if found.len() > 1 {
            let message = say!("the column `{name}` appears twice", name = column);
            return Err(self.bad(place, Code::BadData, message, say!("rename or remove one")));
        }
        Ok(())
    }

    /// There is no such column: because the file has no header, or because it is called something else. Cells are told only
    /// where they are names of columns beyond doubt: openids stand below one of them.
    fn no_column(&mut self, first: Place, second: Option<&Row<'_>>) -> Problem {
        let cell = |row: &Row<'_>, at: usize| String::from_utf8_lossy(&row.text(at)).trim().to_owned();
        let second: Option<Vec<String>> = second.map(|row| (0..row.cells.len()).map(|at| cell(row, at)).collect());
        if let Some((number, looks)) = table::no_header(&self.names, second.as_deref()) {
            let (message, help) = table::without_header(number, looks);
            return self.bad(first, Code::BadData, message, help);
        }
        let column = self.column;
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        let message = say!("there is no column `{column}`", column);
        let bare = |name: &&&str| {
            name.chars().filter(|c| openid::odd(c.encode_utf8(&mut [0; 4])).is_none()).eq(column.chars())
        };
        if let Some((_, c)) = names.iter().find(bare).and_then(|name| openid::odd(name)) {
            let (character, code) = (characters::hiding(c), characters::code_of(c));
            let help = say!("there is a {character} ({code}) in the name of a column; delete it", character, code);
            return self.bad(first, Code::UnknownColumn, message, help);
        }
        let holds = |cells: &[String], at: usize| cells.get(at).is_some_and(|cell| openid::may_be(cell.as_bytes()));
        let below = second.as_ref().and_then(|second| (0..second.len()).find(|at| holds(second, *at)));
        let sure = below
            .filter(|at| !holds(&self.names, *at))
            .filter(|_| second.as_ref().is_some_and(|row| row.len() == names.len()));
        let help = match (did_you_mean(column, names.iter().copied()), sure) {
            (Some(near), at) => {
                if at.is_some() {
                    self.rows.header = first.bytes.end;
                }
                say!("did you mean `column: {near}`?", near)
            }
            (None, Some(at)) => {
                self.rows.header = first.bytes.end;
                let (near, columns) = (names[at], one_of(&names));
                say!("the openids are in the column `{near}` (of {columns}): write `column: {near}`", near, columns)
            }
            (None, None) => say!("the first line must name the columns, and one of them must be `{column}`", column),
        };
        self.bad(first, Code::UnknownColumn, message, help)
    }

    fn quote(&self, line: usize, quote: Quote) -> Problem {
        let told = table::quote(quote);
        let place = Place { line, bytes: told.at..told.at + 1 };
        let (message, help) = (told.message, told.help);
        Problem::Bad(
            Box::new(Bad { place, code: Code::BadData, message, help, related: told.closed }),
            self.rows.header,
        )
    }
}

fn scan_jsonl(reader: &mut Reader<'_>, column: &str, rows: &mut Rows) -> Result<(), Problem> {
    lines(reader, |number, start, bytes| {
        let (place, text) = trimmed(number, start, bytes);
        if text.is_empty() {
            return Ok(());
        }
        let help = || say!("write {{\"{column}\": \"...\"}}", column);
        let line = str::from_utf8(text).map_err(|_| Problem::NotUtf8)?;
        let value = match json::value_of(line, column) {
            Ok(value) => value,
            Err(error) => {
                let (message, help) = json::wrong(line, number, &error, help());
                return Err(bad(place, Code::BadData, message, help));
            }
        };
        match value {
            json::Found::Once(Value::String(openid)) => {
                let at = line.find(openid.as_str()).filter(|_| !openid.is_empty());
                let inner = openid.trim();
                let from = at.map(|at| at + openid.len() - openid.trim_start().len());
                let place = from.map_or(place.clone(), |from| place.part(from..from + inner.len()));
                rows.take(place, inner.as_bytes())
            }
            json::Found::Once(other) => {
                let shown = other.to_string();
                let place = line.find(&shown).map_or(place.clone(), |at| place.part(at..at + shown.len()));
                let message = match other {
                    Value::Number(_) => say!("this is a number, not an openid"),
                    _ => say!("this is not an openid"),
                };
                rows.reject(Bad { place, code: Code::BadOpenid, message, help: help(), related: None })
            }
            json::Found::Twice => {
                let message = say!("this line has `{column}` twice", column);
                rows.reject(Bad {
                    place,
                    code: Code::BadData,
                    message,
                    help: say!("remove one of them"),
                    related: None,
                })
            }
            json::Found::No => {
                Err(bad(place, Code::UnknownColumn, say!("this line has no `{column}`", column), help()))
            }
            json::Found::NoObject => Err(bad(place, Code::BadData, say!("each line must be a JSON object"), help())),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::source::SourceMap;

    fn read_bytes(name: &str, bytes: &[u8]) -> Result<Vec<String>, Vec<(Code, usize, usize)>> {
        let mut sources = SourceMap::default();
        let plan = sources.add("plan.yaml", "file".into());
        let mut diagnostics = Diagnostics::default();
        let open = || Ok(Box::new(io::Cursor::new(bytes.to_vec())) as Box<dyn Read>);
        let file = File {
            name,
            open: &open,
            column: "openid",
            excludes: false,
            place: &Span::new(plan, 0..4),
            read: &Amount::default(),
        };
        let found = read(&file, &mut sources, &mut diagnostics);
        found.map(|people| people.iter().map(str::to_owned).collect()).ok_or_else(|| {
            let place = |d: &Diagnostic| sources.position(&d.primary.as_ref().expect("has a place").span);
            diagnostics.iter().map(|d| (d.code, place(d).line, place(d).column)).collect()
        })
    }

    fn people(name: &str, text: &str) -> Result<Vec<String>, Vec<(Code, usize, usize)>> {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        io::Write::write_all(&mut packed, text.as_bytes()).expect("in memory");
        let gz = read_bytes(&format!("{name}.gz"), &packed.finish().expect("in memory"));
        let plain = read_bytes(name, text.as_bytes());
        assert_eq!(gz, plain, "packed or not");
        plain
    }

    #[test]
    fn every_kind_of_file_gives_the_same_people() {
        let expected = Ok(vec!["oA-1".to_owned(), "oB_2".to_owned()]);
        assert_eq!(people("a.txt", "oA-1\r\n\r\n  oB_2 \n"), expected);
        assert_eq!(people("a.csv", "name,openid\r\n\"张, 三\",oA-1\r\n李四, oB_2\r\n"), expected);
        assert_eq!(people("a.jsonl", "{\"openid\":\"oA-1\"}\n\n{\"openid\":\" oB_2\\r\",\"x\":1}\n"), expected);
    }

    #[test]
    fn every_bad_line_has_its_place() {
        assert_eq!(people("a.txt", "oA\n张三\noB\no B\n"), Err(vec![(Code::BadOpenid, 2, 1), (Code::BadOpenid, 4, 1)]));
        assert_eq!(people("a.csv", "名,openid\n张三,o!\n"), Err(vec![(Code::BadOpenid, 2, 4)]));
        let folded = "name,openid\r\n\"a \"\"q\"\"\nb\",oA\r\n\r\n张,b@d\r\n";
        for text in [folded.to_owned(), format!("\u{feff}{folded}")] {
            assert_eq!(people("a.csv", &text), Err(vec![(Code::BadOpenid, 5, 3)]), "CR LF, blank and folded lines");
        }
        assert_eq!(people("a.csv", "openid,n\r\n\"o\nA\",1\r\n"), Err(vec![(Code::BadOpenid, 2, 3)]));
        let unequal = Err(vec![(Code::BadData, 4, 1), (Code::BadData, 5, 1)]);
        assert_eq!(people("a.csv", "openid,b\r\noA,1\r\n\r\noA\r\noB,1,2\r\n"), unequal);
        assert_eq!(people("a.csv", "openId\noA\n"), Err(vec![(Code::UnknownColumn, 1, 1)]));
        assert_eq!(people("a.csv", "openid,b\noA\n"), Err(vec![(Code::BadData, 2, 1)]));
        assert_eq!(
            people("a.jsonl", "{\"openid\":1}\n{\"openid\":\"oA\"}\n{\"openid\":null}\n{\"openid\":\"张\"}\n"),
            Err(vec![(Code::BadOpenid, 1, 11), (Code::BadOpenid, 3, 11), (Code::BadOpenid, 4, 12)])
        );
        let many = "张\n".repeat(30);
        let found = people("a.txt", &many).expect_err("bad");
        assert_eq!((found.len(), found[20]), (21, (Code::BadOpenid, 1, 1)));
    }

    #[test]
    fn quotes_separators_and_headers_are_read_strictly() {
        let found = |text: &str| people("a.csv", text);
        let two = Ok(vec!["oA".to_owned(), "oB".to_owned()]);
        for right in [
            "openid;name\noA;x\noB;y, z\n",
            "sep=;\r\nopenid;name\r\noA;x\r\noB;y\r\n",
            "name\topenid\n\"x\ty\"\toA\nz\toB\n",
            "姓名，openid\n王五，oA\n李四，oB\n",
            "name,openid\n 5\" 屏, oA\n\"多行\n备注\" , \"oB\" \n,,\n,\n",
            "openid\noA\noB\n",
        ] {
            assert_eq!(found(right), two, "{right}");
        }
        for (wrong, place) in [
            ("openid,n\noA,x\noB,\"y\noC,z\n", (Code::BadData, 3, 4)),
            ("openid,n\noA, \"x\noB,y\n", (Code::BadData, 2, 5)),
            ("n,openid\n\"z,oA\nw,oB\n\"v,oC\n", (Code::BadData, 2, 1)),
            ("n,openid\n\"z,oA\nw,oB\nv\",oC\n", (Code::BadData, 2, 1)),
            ("openid,n\noA,\"x\"y\n", (Code::BadData, 2, 4)),
            ("王五,oFakeOpenId_AAAAAAAAAAAAAA01\n李四,oFakeOpenId_AAAAAAAAAAAAAA02\n", (Code::BadData, 1, 1)),
            ("王五,13800138000\n李四,13900139000\n", (Code::BadData, 1, 1)),
            ("n,openid\nx,oA\nn,openid\n", (Code::BadOpenid, 3, 3)),
            ("n,openid\rx,oA\ry,oB\r", (Code::BadData, 1, 9)),
        ] {
            assert_eq!(found(wrong), Err(vec![place]), "{wrong}");
        }
        for wrong in ["openid\noA\n", "OpenID\noA\n", "姓名,openid\n", "用户 openid\noA\n"] {
            assert_eq!(people("a.txt", wrong).expect_err("a header")[0], (Code::BadOpenid, 1, 1), "{wrong}");
        }
    }

    #[test]
    fn openids_of_wechat_are_as_long_as_each_other() {
        let real = "oFakeOpenId_AAAAAAAAAAAAAA01";
        assert_eq!(people("a.txt", "oA\noBcd\n").map(|found| found.len()), Ok(2), "made up");
        assert_eq!(people("a.txt", &format!("{real}\n{}\n", &real[..27])), Err(vec![(Code::BadOpenid, 2, 1)]));
        assert_eq!(
            people("a.csv", &format!("n,openid\nx,{real}{real}\ny,{real}\n")),
            Err(vec![(Code::BadOpenid, 2, 3)])
        );
    }

    #[test]
    fn characters_that_nobody_sees_have_their_own_place() {
        let _heard = crate::locale::tests::heard("resolve-audience-characters_that_nobody_sees_have_their_own_place");
        assert_eq!(people("a.txt", "oA\noB\u{200b}C\n"), Err(vec![(Code::BadOpenid, 2, 3)]));
        assert_eq!(people("a.csv", "n,openid\n王,oB\u{202e}C\n"), Err(vec![(Code::ControlCharacter, 2, 5)]));
        assert_eq!(people("a.csv", "n,open\u{200b}id\n王,oB\n"), Err(vec![(Code::UnknownColumn, 1, 1)]));
        assert_eq!(people("a.txt", "\u{3000}oA\u{a0}\n\toB \n").map(|found| found.len()), Ok(2), "blanks around them");
    }

    #[test]
    fn lines_of_json_are_read_strictly() {
        let _heard = crate::locale::tests::heard("resolve-audience-lines_of_json_are_read_strictly");
        for (wrong, place) in [
            ("{\"openid\":\"oA\",\"openid\":\"oB\"}\n", (Code::BadData, 1, 1)),
            ("{\n  \"openid\": \"oA\"\n}\n", (Code::BadData, 1, 1)),
            ("[{\"openid\":\"oA\"}]\n", (Code::BadData, 1, 1)),
            ("{\"openid\":\"oA\"}\n{\"openid\":\"oB", (Code::BadData, 2, 1)),
            ("{\"openid\":\"oA\" 1}\n", (Code::BadData, 1, 1)),
            ("oA\n", (Code::BadData, 1, 1)),
            ("{\"openid\":\"oA\"}\n{\"id\":\"oB\"}\n", (Code::UnknownColumn, 2, 1)),
        ] {
            assert_eq!(people("a.jsonl", wrong), Err(vec![place]), "{wrong}");
        }
        let more = "{\"n\":{\"openid\":\"x\"},\"openid\":\"oA\",\"n2\":[1,1.5e3]}\n";
        assert_eq!(people("a.jsonl", more), Ok(vec!["oA".to_owned()]));
    }

    #[test]
    fn what_is_no_text_or_no_gzip_is_said() {
        let _heard = crate::locale::tests::heard("resolve-audience-what_is_no_text_or_no_gzip_is_said");
        assert_eq!(read_bytes("a.txt", b"oA\n\xff\n"), Err(vec![(Code::NotUtf8, 2, 1)]));
        assert_eq!(read_bytes("a.csv", b"openid,n\noA,\xff\n"), Err(vec![(Code::NotUtf8, 2, 1)]));
        assert_eq!(read_bytes("a.txt", b"oA\no\0B\n"), Err(vec![(Code::ControlCharacter, 2, 2)]));
        // Half of a pair in UTF-16, and a byte that is found after the part by which the file is judged.
        assert!(read_bytes("a.txt", b"\xff\xfeo\0A\0\n\0\x00\xd8o\0\n\0").is_err());
        let far = b"oA\n".repeat((16 << 20) / 3 + 9);
        assert!(read_bytes("a.txt", &[&far[..], b"\xff\n"].concat()).is_err());
        assert_eq!(read_bytes("a.txt.gz", b"oA\noB\n"), Err(vec![(Code::BadData, 1, 1)]));
        assert_eq!(read_bytes("a.gz", b"oA\noB\n"), Err(vec![(Code::BadData, 1, 1)]));
        for name in ["a.csv", "a.txt", "a.jsonl", "a.xlsx"] {
            assert_eq!(read_bytes(name, b"PK\x03\x04\x14\0\x06\0"), Err(vec![(Code::BadData, 1, 1)]));
            assert_eq!(read_bytes(name, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), Err(vec![(Code::BadData, 1, 1)]));
        }
        assert_eq!(read_bytes("a.txt", "\u{feff}oA\r\noB".as_bytes()), Ok(vec!["oA".into(), "oB".into()]));
        assert_eq!(read_bytes("a.csv", "\u{feff}openid\r\noA\r\n".as_bytes()), Ok(vec!["oA".into()]));
        assert_eq!(read_bytes("a.jsonl", "\u{feff}{\"openid\":\"oA\"}".as_bytes()), Ok(vec!["oA".into()]));
    }

    #[test]
    fn tables_of_excel_in_other_encodings_are_read() {
        let table = "姓名,openid\r\n王小明,oA\r\n镕,oB\r\n";
        let two = Ok(vec!["oA".to_owned(), "oB".to_owned()]);
        let (gbk, ..) = encoding_rs::GB18030.encode(table);
        assert_eq!(read_bytes("a.csv", &gbk), two);
        let (bad, ..) = encoding_rs::GB18030.encode("姓名,openid\n王小明,oA\n李,13800138000\n");
        assert_eq!(read_bytes("a.csv", &bad), Err(vec![(Code::BadOpenid, 3, 3)]));
        let wide = |mark: u16, bytes: fn(u16) -> [u8; 2], text: &str| -> Vec<u8> {
            std::iter::once(mark).chain(text.encode_utf16()).flat_map(bytes).collect()
        };
        assert_eq!(read_bytes("a.csv", &wide(0xfeff, u16::to_le_bytes, &table.replace(',', "\t"))), two);
        assert_eq!(read_bytes("a.txt", &wide(0xfeff, u16::to_be_bytes, "oA\noB\n")), two);
        let bad = wide(0xfeff, u16::to_le_bytes, "openid\noA\n\u{200b}oB\n");
        assert_eq!(read_bytes("a.csv", &bad), Err(vec![(Code::BadOpenid, 3, 1)]));
        assert_eq!(
            read_bytes("a.csv", &wide(u16::from(b'n'), u16::to_le_bytes, ",openid\n")),
            Err(vec![(Code::NotUtf8, 1, 1)])
        );
    }
}
