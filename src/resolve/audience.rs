//! Who gets a message: openids from files, each once, in the order of the files.

use std::{
    borrow::Cow,
    cell::Cell,
    io::{self, BufRead as _, Read},
    rc::Rc,
    sync::Arc,
};

use flate2::read::MultiGzDecoder;
use serde_json::Value;

use super::{ReadError, data, undecodable, unreadable};
use crate::{
    diag::{
        Code, Diagnostic, Diagnostics,
        source::{self, FileId, SourceFile, SourceMap, Span},
    },
    limits,
    locale::{Count, Phrase, say},
    openids::Openids,
    problem::reason,
    text::{did_you_mean, one_of},
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

/// Letters, digits, `-` and `_`; at most 64.
pub(crate) fn is_openid(text: &str) -> bool {
    // Looked up and joined without a branch: this is done for every byte of the largest files.
    (1..=64).contains(&text.len()) && text.bytes().fold(true, |good, byte| good & OPENID_BYTES[usize::from(byte)])
}

const OPENID_BYTES: [bool; 256] = {
    let mut good = [false; 256];
    let mut byte = 0;
    while byte < good.len() {
        let c = byte as u8;
        good[byte] = c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
        byte += 1;
    }
    good
};

/// A file of openids, which can be opened more than once.
pub(crate) struct File<'a> {
    /// Its path as users know it.
    pub(crate) name: &'a str,
    pub(crate) open: &'a dyn Fn() -> Result<Box<dyn Read>, ReadError>,
    /// The column or key that holds the openids.
    pub(crate) column: &'a str,
    /// Where the plan names it.
    pub(crate) place: &'a Span,
    /// Bytes of such files that were read so far, unpacked.
    pub(crate) read: &'a Cell<u64>,
}

/// Reads a .txt, .csv or .jsonl file of openids, or one of these packed with gzip. It is read in one go and never held
/// as a whole; only if something is wrong with it, it is read again to show the lines.
pub(crate) fn read(file: &File<'_>, sources: &mut SourceMap, diagnostics: &mut Diagnostics) -> Option<Openids> {
    let File { name, column, place, .. } = file;
    let packed = name.strip_suffix(".gz");
    let scan = match packed.unwrap_or(name).rsplit('.').next() {
        Some("txt") => scan_txt,
        Some("csv") => scan_csv,
        Some("jsonl") => scan_jsonl,
        _ => {
            let message = say!("`{name}` is not a .txt, .csv or .jsonl file (or one of these with .gz)", name = *name);
            let help = say!("use the matching file extension");
            diagnostics.push(Diagnostic::new(Code::BadData, (*place).clone(), message).help(help));
            return None;
        }
    };
    let problem = match unpacked(file) {
        Err(error) => error,
        Ok(mut reader) => {
            let mut rows = Rows::default();
            match scan(&mut reader, column, &mut rows) {
                Ok(()) if rows.count == 0 => {
                    rows.people.shrink();
                    return Some(rows.people);
                }
                Ok(()) => Problem::Rows(rows),
                Err(problem) => problem,
            }
        }
    };
    // Whatever else it says, a file that is no text says that.
    let text = match beginning(file) {
        Ok(text) => text,
        Err(diagnostic) => {
            diagnostics.push(*diagnostic);
            return None;
        }
    };
    match problem {
        Problem::Read(error) => diagnostics.push(unreadable(name, place, limits::AUDIENCE_BYTES_MAX, error)),
        Problem::Io(error) => diagnostics.push(broken(file, &error)),
        Problem::Bad(Bad { place, code, message, help }) => {
            let id = sources.add(*name, text);
            let source = sources.file(id);
            let (message, place) = match place.start(source) {
                Some(start) => {
                    let end = source.text[start..].find('\n').map_or(source.text.len(), |length| start + length + 1);
                    (message, Span::new(id, start..end))
                }
                None => (place.before(name, message), file.place.clone()),
            };
            diagnostics.push(Diagnostic::new(code, place, message).help(help));
        }
        Problem::Rows(rows) => {
            let id = sources.add(*name, text);
            let source = sources.file(id);
            for (bad, openid) in &rows.bad {
                diagnostics.push(bad_openid(file, source, id, *bad, openid));
            }
            if rows.count > rows.bad.len() {
                let more = rows.count - rows.bad.len();
                let message = match rows.count > limits::BAD_OPENIDS_READ {
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
    None
}

/// An openid that is none, at its place.
fn bad_openid(file: &File<'_>, source: &SourceFile, id: FileId, bad: Place, openid: &str) -> Diagnostic {
    let what = match openid {
        "" => say!("an openid is missing"),
        openid => say!("`{openid}` is not an openid", openid),
    };
    let (what, span) = match bad.start(source) {
        Some(start) => {
            let end = bad.end(source, start);
            let found = source.text.get(start..end).and_then(|text| text.find(openid));
            let at = found.filter(|_| !openid.is_empty()).map_or(start, |at| start + at);
            let length = if found.is_some() { openid.len() } else { 0 };
            (what, Span::new(id, at..at + length))
        }
        None => (bad.before(file.name, what), file.place.clone()),
    };
    Diagnostic::new(Code::BadOpenid, span, what).help(say!("an openid consists of letters, digits, `-` and `_`"))
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
    let bounded = Bounded { reader, held: 0, packed: is_packed.then_some(packed), read: file.read };
    Ok(io::BufReader::with_capacity(1 << 18, Box::new(bounded)))
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
    /// Bytes of all files of people.
    read: &'a Cell<u64>,
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)? as u64;
        self.held += read;
        if self.held > limits::AUDIENCE_BYTES_MAX {
            return Err(too_large());
        }
        if let Some(packed) = &self.packed
            && self.held > limits::UNPACKED_BYTES_FREE.max(packed.get().saturating_mul(limits::UNPACKED_TIMES_MAX))
        {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, Bomb));
        }
        self.read.set(self.read.get() + read);
        if self.read.get() > limits::AUDIENCES_BYTES_MAX {
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
            let message =
                say!("`{name}` decompresses to more than {times} times its size and {free} bytes", name, times, free);
            (Code::FileTooLarge, message)
        }
        io::ErrorKind::FileTooLarge => {
            let most = Count(limits::AUDIENCE_BYTES_MAX);
            (Code::FileTooLarge, say!("`{name}` is larger than {most} bytes", name, most))
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

/// The text, to show lines of it; of a long one the beginning.
fn beginning(file: &File<'_>) -> Result<String, Box<Diagnostic>> {
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
    source::decode(bytes).map_err(|bad| Box::new(undecodable(file.name, bad, file.place)))
}

/// What was read so far.
#[derive(Default)]
struct Rows {
    people: Openids,
    /// The first that are no openids, with their lines.
    bad: Vec<(Place, String)>,
    /// How many are none.
    count: usize,
}

impl Rows {
    fn take(&mut self, place: Place, openid: &str) -> Result<(), Problem> {
        if is_openid(openid) {
            return self.people.push(openid).map_err(|_| Problem::Io(too_large()));
        }
        self.reject(place, openid)
    }

    /// Notes it; an error if there are so many that the rest need not be read.
    fn reject(&mut self, place: Place, openid: &str) -> Result<(), Problem> {
        self.count += 1;
        if self.bad.len() < limits::BAD_OPENIDS_SHOWN {
            self.bad.push((place, openid.to_owned()));
        }
        if self.count > limits::BAD_OPENIDS_READ { Err(Problem::Rows(std::mem::take(self))) } else { Ok(()) }
    }
}

/// Where a row stands.
#[derive(Clone, Copy)]
enum Place {
    /// The number of its line, from 1.
    Line(usize),
    /// The bytes from where a record of a CSV file was looked for to where it ended.
    Bytes(usize, usize),
}

impl Place {
    /// None if it is not in the beginning of the file that is known.
    fn start(self, source: &SourceFile) -> Option<usize> {
        let start = match self {
            Place::Line(line) => source.line_start(line),
            Place::Bytes(from, _) => data::record_start(&source.text, from),
        };
        // What is missing at the end of a file stands behind its last line.
        let long = source.text.len() as u64 + limits::AUDIENCE_LINE_BYTES_MAX as u64 >= limits::DATA_BYTES_MAX;
        Some(start).filter(|start| !long || *start < source.text.len())
    }

    fn end(self, source: &SourceFile, start: usize) -> usize {
        let end = match self {
            Place::Line(line) => source.line_start(line + 1),
            Place::Bytes(_, to) => to,
        };
        end.min(source.text.len()).max(start)
    }

    /// A message with where that is before it, for a place that cannot be shown.
    fn before(self, name: &str, message: Phrase) -> Phrase {
        match self {
            Place::Line(line) => {
                say!("`{name}`, line {line}: {message}", name, line = Count(line as u64), message)
            }
            Place::Bytes(from, _) => {
                say!("`{name}`, after {bytes} bytes: {message}", name, bytes = Count(from as u64), message)
            }
        }
    }
}

/// Why a file is not taken.
enum Problem {
    Read(ReadError),
    Io(io::Error),
    Bad(Bad),
    Rows(Rows),
}

fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// Calls `take` with each line that is not blank, and its number; a byte order mark is no part of the first.
fn lines(reader: &mut Reader<'_>, mut take: impl FnMut(usize, &[u8]) -> Result<(), Problem>) -> Result<(), Problem> {
    let mut number = 0;
    let mut line = |bytes: &[u8]| {
        number += 1;
        let bytes = if number == 1 { bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes) } else { bytes };
        let bytes = bytes.trim_ascii();
        if bytes.is_empty() { Ok(()) } else { take(number, bytes) }
    };
    // A line that began in one buffer and ends in a later one.
    let mut begun = Vec::new();
    let mut newlines = 0;
    loop {
        let buffer = reader.fill_buf().map_err(Problem::Io)?;
        if buffer.is_empty() {
            return if begun.is_empty() { Ok(()) } else { line(&begun) };
        }
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', buffer) {
            if begun.is_empty() {
                line(&buffer[start..end])?;
            } else {
                begun.extend_from_slice(&buffer[start..end]);
                line(&begun)?;
                begun.clear();
            }
            start = end + 1;
            newlines += 1;
        }
        begun.extend_from_slice(&buffer[start..]);
        if begun.len() > limits::AUDIENCE_LINE_BYTES_MAX {
            return Err(long_line(Place::Line(newlines + 1)));
        }
        let read = buffer.len();
        reader.consume(read);
    }
}

fn long_line(place: Place) -> Problem {
    let message = say!("this line has more than {most} bytes", most = Count(limits::AUDIENCE_LINE_BYTES_MAX as u64));
    let help = say!("write one openid per line, and close the quotes of cells");
    Problem::Bad(Bad { place, code: Code::FileTooLarge, message, help })
}

/// A reader of records that fails where one of them does not end.
struct Records<'a, R> {
    reader: R,
    /// Bytes since the last record ended.
    since: &'a Cell<usize>,
}

impl<R: Read> Read for Records<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.since.set(self.since.get() + read);
        if self.since.get() > limits::AUDIENCE_LINE_BYTES_MAX { Err(too_large()) } else { Ok(read) }
    }
}

fn scan_txt(reader: &mut Reader<'_>, _: &str, rows: &mut Rows) -> Result<(), Problem> {
    lines(reader, |number, line| match str::from_utf8(line) {
        Ok(line) => rows.take(Place::Line(number), line.trim()),
        Err(_) => rows.take(Place::Line(number), &text_of(line)),
    })
}

struct Bad {
    place: Place,
    code: Code,
    message: Phrase,
    help: Phrase,
}

fn scan_csv(reader: &mut Reader<'_>, column: &str, rows: &mut Rows) -> Result<(), Problem> {
    let bad = |place, code, message, help| Problem::Bad(Bad { place, code, message, help });
    // Places are counted without a byte order mark.
    if reader.fill_buf().map_err(Problem::Io)?.starts_with("\u{feff}".as_bytes()) {
        reader.consume('\u{feff}'.len_utf8());
    }
    let since = Cell::new(0);
    let endless = || since.get() > limits::AUDIENCE_LINE_BYTES_MAX;
    let reader = Records { reader, since: &since };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(reader);
    let first = Place::Line(1);
    let header = reader.headers().map_err(|error| match error.into_kind() {
        csv::ErrorKind::Io(_) if endless() => long_line(first),
        csv::ErrorKind::Io(error) => Problem::Io(error),
        _ => bad(first, Code::BadData, say!("invalid header line"), say!("the first line must name the columns")),
    })?;
    let names: Vec<&str> = header.iter().collect();
    let Some(at) = names.iter().position(|name| *name == column) else {
        let help = match did_you_mean(column, names.iter().copied()) {
            _ if names.is_empty() => say!("the file is empty"),
            Some(near) => say!("did you mean `column: {near}`?", near),
            None => say!("use one of its columns: {columns}", columns = one_of(&names)),
        };
        return Err(bad(first, Code::UnknownColumn, say!("there is no column `{column}`", column), help));
    };
    if names.iter().filter(|name| **name == column).count() > 1 {
        let message = say!("the column `{name}` appears twice", name = column);
        return Err(bad(first, Code::BadData, message, say!("rename or remove one")));
    }
    let byte = |position: &csv::Position| position.byte() as usize;
    let mut record = csv::StringRecord::new();
    let mut ended = 0;
    loop {
        since.set(0);
        let more = reader.read_record(&mut record).map_err(|error| {
            let at = error.position().map_or(0, byte);
            match error.into_kind() {
                csv::ErrorKind::Io(_) if endless() => long_line(Place::Bytes(ended, ended)),
                csv::ErrorKind::Io(error) => Problem::Io(error),
                _ => bad(
                    Place::Bytes(at, at),
                    Code::BadData,
                    say!("invalid row, or a different number of cells than the header"),
                    say!("quote cells that contain a comma"),
                ),
            }
        })?;
        if !more {
            return Ok(());
        }
        let from = record.position().map_or(0, byte);
        ended = byte(reader.position());
        rows.take(Place::Bytes(from, ended), record.get(at).unwrap_or_default())?;
    }
}

fn scan_jsonl(reader: &mut Reader<'_>, column: &str, rows: &mut Rows) -> Result<(), Problem> {
    lines(reader, |number, line| {
        let bad = |code, message| {
            let help = say!("write {{\"{column}\": \"...\"}}", column);
            Problem::Bad(Bad { place: Place::Line(number), code, message, help })
        };
        let value: Value =
            serde_json::from_slice(line).map_err(|_| bad(Code::BadData, say!("this line is not JSON")))?;
        match value.get(column) {
            Some(Value::String(openid)) => rows.take(Place::Line(number), openid.trim()),
            // Numbers and the like are shown as they stand there, and the next lines are looked at too.
            Some(other) => rows.reject(Place::Line(number), &other.to_string()),
            None => Err(bad(Code::UnknownColumn, say!("this line has no `{column}`", column))),
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
        let file = File { name, open: &open, column: "openid", place: &Span::new(plan, 0..4), read: &Cell::new(0) };
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
        assert_eq!(people("a.csv", "openid,n\r\n\"o\nA\",1\r\n"), Err(vec![(Code::BadOpenid, 2, 2)]));
        assert_eq!(people("a.csv", "openid,b\r\noA,1\r\n\r\noA\r\n"), Err(vec![(Code::BadData, 4, 1)]));
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
    fn what_is_no_text_or_no_gzip_is_said() {
        assert_eq!(read_bytes("a.txt", b"oA\n\xff\n"), Err(vec![(Code::NotUtf8, 1, 1)]));
        assert_eq!(read_bytes("a.csv", b"openid,n\noA,\xff\n"), Err(vec![(Code::NotUtf8, 1, 1)]));
        assert_eq!(read_bytes("a.txt", b"oA\no\0B\n"), Err(vec![(Code::ControlCharacter, 1, 1)]));
        assert_eq!(read_bytes("a.txt.gz", b"oA\noB\n"), Err(vec![(Code::BadData, 1, 1)]));
        assert_eq!(read_bytes("a.gz", b"oA\noB\n"), Err(vec![(Code::BadData, 1, 1)]));
        assert_eq!(read_bytes("a.txt", "\u{feff}oA\r\noB".as_bytes()), Ok(vec!["oA".into(), "oB".into()]));
        assert_eq!(read_bytes("a.csv", "\u{feff}openid\r\noA\r\n".as_bytes()), Ok(vec!["oA".into()]));
        assert_eq!(read_bytes("a.jsonl", "\u{feff}{\"openid\":\"oA\"}".as_bytes()), Ok(vec!["oA".into()]));
    }
}
