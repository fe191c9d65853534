//! In which encoding a file of people or rows is written: what is certain is read, the rest is said.

use std::io::{self, BufRead, Read};

use encoding_rs::{Decoder, DecoderResult, Encoding, GB18030, UTF_16BE, UTF_16LE};

use crate::locale::{Phrase, say};

/// What a file is that is no text, or a text of another kind than its name says.
pub(super) fn other_kind(name: &str, beginning: &[u8]) -> Option<(Phrase, Phrase)> {
    let starts = |bytes: &[u8]| beginning.starts_with(bytes);
    if starts(b"PK\x03\x04") || starts(b"PK\x05\x06") || starts(b"\xd0\xcf\x11\xe0") {
        return Some((say!("`{name}` is an Excel workbook or another compressed file, not text", name), save_as()));
    }
    if starts(b"\x1f\x8b") {
        let message = say!("`{name}` is compressed with gzip, but its name does not end in .gz", name);
        return Some((message, say!("rename it, for example to .csv.gz")));
    }
    let text = beginning.strip_prefix("\u{feff}".as_bytes()).unwrap_or(beginning).trim_ascii_start();
    let is = |word: &[u8]| text.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word));
    let page = is(b"<html") || is(b"<!doctype") || is(b"<table") || is(b"<?xml") || is(b"<meta");
    page.then(|| (say!("`{name}` is a web page or XML, not a table of text", name), save_as()))
}

/// What to do in Excel.
pub(super) fn save_as() -> Phrase {
    say!("open it in Excel and use File > Save As > CSV UTF-8 (另存为 > CSV UTF-8)")
}

/// The encoding that the first bytes of a file name.
pub(super) fn marked(beginning: &[u8]) -> Option<&'static Encoding> {
    Encoding::for_bom(beginning)
        .map(|(encoding, _)| encoding)
        .filter(|encoding| [UTF_16LE, UTF_16BE].contains(encoding))
}

/// Whether bytes that are not UTF-8 are Chinese in GB18030 (GBK) beyond doubt: all of them can be read, and most of the
/// characters are of those that everybody writes. Bytes of another encoding give rare ones.
pub(super) fn is_chinese(bytes: &[u8]) -> bool {
    if is_damaged(bytes) {
        return false;
    }
    let (mut at, mut usual, mut rare) = (0, 0_usize, 0_usize);
    while let Some(lead) = bytes.get(at) {
        let next = |from: usize| bytes.get(at + from).copied().unwrap_or_default();
        at += match lead {
            0..=0x7f => 1,
            0x81..=0xfe if matches!(next(1), 0x30..=0x39) => {
                if !(matches!(next(2), 0x81..=0xfe) && matches!(next(3), 0x30..=0x39)) {
                    return false;
                }
                rare += 1;
                4
            }
            0x81..=0xfe if matches!(next(1), 0x40..=0x7e | 0x80..=0xfe) => {
                // GB2312: signs, and the characters that are sorted by sound.
                let common = matches!(lead, 0xa1..=0xa3 | 0xb0..=0xf7) && next(1) >= 0xa1;
                *(if common { &mut usual } else { &mut rare }) += 1;
                2
            }
            _ => return false,
        };
    }
    usual > 0 && rare <= usual / 2
}

/// Whether what is not UTF-8 was UTF-8 before something happened to it: Chinese before the first wrong byte is right.
fn is_damaged(bytes: &[u8]) -> bool {
    let right = bytes.utf8_chunks().next().map(|chunk| chunk.valid()).unwrap_or_default();
    right.strip_prefix('\u{feff}').unwrap_or(right).chars().any(|c| c >= '\u{800}')
}

/// What is known of a text that cannot be read.
pub(super) enum Unread {
    /// This line (from 1) is not UTF-8, and the text not GB18030 beyond doubt.
    Line(usize),
    /// UTF-16 that does not say so.
    Utf16,
}

impl Unread {
    /// What is wrong, and what to do about it.
    pub(super) fn words(&self, name: &str) -> (Phrase, Phrase) {
        match self {
            Unread::Line(line) => (
                say!("line {line} of `{name}` is not UTF-8, and not certainly GB18030 (GBK)", name, line = *line),
                save_as(),
            ),
            Unread::Utf16 => (say!("`{name}` seems to be UTF-16 without a byte order mark", name), save_as()),
        }
    }
}

/// The text of bytes, without a byte order mark.
pub(super) fn text(bytes: &[u8]) -> Result<String, Unread> {
    if let Some(encoding) = marked(bytes) {
        return whole(encoding, bytes);
    }
    if is_wide(bytes) {
        return Err(Unread::Utf16);
    }
    match str::from_utf8(bytes) {
        Ok(text) => Ok(text.strip_prefix('\u{feff}').unwrap_or(text).to_owned()),
        Err(_) if is_chinese(bytes) => whole(GB18030, bytes),
        Err(error) => Err(Unread::Line(line(&bytes[..error.valid_up_to()]))),
    }
}

/// The line (from 1) in which what follows begins.
fn line(before: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', before).count() + 1
}

fn whole(encoding: &'static Encoding, bytes: &[u8]) -> Result<String, Unread> {
    let mut text = String::new();
    match Decoded::new(bytes, encoding).read_to_string(&mut text) {
        Ok(_) => Ok(text),
        Err(_) => Err(Unread::Line(line(text.as_bytes()))),
    }
}

/// Whether every other byte of the beginning is NUL, as of Latin letters in UTF-16.
fn is_wide(bytes: &[u8]) -> bool {
    let begin = &bytes[..bytes.len().min(64)];
    let empty = |odd: usize| begin.iter().skip(odd).step_by(2).filter(|byte| **byte == 0).count();
    begin.len() >= 4 && empty(0).max(empty(1)) * 4 > begin.len()
}

/// A text in another encoding, as UTF-8.
pub(super) struct Decoded<R> {
    reader: R,
    decoder: Decoder,
    text: Vec<u8>,
    at: usize,
    ended: bool,
    /// It ended where something is no text.
    broken: bool,
}

impl<R: BufRead> Decoded<R> {
    pub(super) fn new(reader: R, encoding: &'static Encoding) -> Self {
        let decoder = encoding.new_decoder();
        Self { reader, decoder, text: Vec::new(), at: 0, ended: false, broken: false }
    }

    fn refill(&mut self) -> io::Result<()> {
        const ROOM: usize = 64 << 10;
        self.text.resize(ROOM, 0);
        let bytes = self.reader.fill_buf()?;
        let last = bytes.is_empty();
        let (result, read, written) = self.decoder.decode_to_utf8_without_replacement(bytes, &mut self.text, last);
        self.reader.consume(read);
        self.text.truncate(written);
        self.at = 0;
        match result {
            DecoderResult::InputEmpty => self.ended = last,
            DecoderResult::OutputFull => {}
            // What stands before it is handed out first.
            DecoderResult::Malformed(..) => (self.ended, self.broken) = (true, true),
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Decoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.text.len() && !self.ended {
            self.refill()?;
        }
        if self.at == self.text.len() && self.broken {
            return Err(io::Error::new(io::ErrorKind::InvalidData, Undecodable));
        }
        let count = buffer.len().min(self.text.len() - self.at);
        buffer[..count].copy_from_slice(&self.text[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

/// A text ends in the middle of a character, or holds what is no character.
#[derive(Debug, thiserror::Error)]
#[error("not a text in its encoding")]
pub(super) struct Undecodable;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<String, usize> {
        text(bytes).map_err(|unread| match unread {
            Unread::Line(line) => line,
            Unread::Utf16 => 0,
        })
    }

    #[test]
    fn what_is_certain_is_read() {
        let table = "城市,名称\n北京,小明的茶馆\n上海,镕喆堂，二楼\n";
        let (gbk, ..) = GB18030.encode(table);
        assert_eq!(read(&gbk), Ok(table.to_owned()));
        assert_eq!(read(table.as_bytes()), Ok(table.to_owned()));
        assert_eq!(read(format!("\u{feff}{table}").as_bytes()), Ok(table.to_owned()));
        let wide = |mark: &[u8], bytes: fn(u16) -> [u8; 2]| {
            mark.iter().copied().chain(table.encode_utf16().flat_map(bytes)).collect::<Vec<_>>()
        };
        assert_eq!(read(&wide(b"\xff\xfe", u16::to_le_bytes)), Ok(table.to_owned()));
        assert_eq!(read(&wide(b"\xfe\xff", u16::to_be_bytes)), Ok(table.to_owned()));
    }

    #[test]
    fn what_is_not_certain_is_said_with_its_line() {
        assert_eq!(read(b"openid,n\noA,\xff\n"), Err(2));
        assert_eq!(read(b"a\nb\ncaf\xe9\n"), Err(3), "Latin");
        assert_eq!(read(b"a\nna\xefve caf\xe9a\n"), Err(2), "Latin that could be rare Chinese");
        // Big5: 名稱, 臺北市.
        assert_eq!(read(b"\xa6W\xba\xd9\n\xbbO\xa5_\xa5\xab\n"), Err(1));
        let mut damaged = "城市\n北京\n".as_bytes().to_vec();
        damaged.extend_from_slice(b"\xb1\xb1\n");
        assert_eq!(read(&damaged), Err(3), "two encodings in one file");
        assert_eq!(read(b"o\0p\0e\0n\0i\0d\0\n\0"), Err(0));
    }

    #[test]
    fn a_text_that_breaks_off_ends_in_an_error() {
        let (gbk, ..) = GB18030.encode("北京\n上海");
        let mut all = String::new();
        let mut reader = Decoded::new(&gbk[..gbk.len() - 1], GB18030);
        assert!(reader.read_to_string(&mut all).is_err());
        assert!(Decoded::new(&gbk[..], GB18030).read_to_string(&mut all).is_ok());
    }

    #[test]
    fn what_is_no_table_is_known_by_its_first_bytes() {
        for bytes in
            [&b"PK\x03\x04xx"[..], b"\xd0\xcf\x11\xe0\xa1", b"\x1f\x8b\x08", b" <html>", "\u{feff}<Table ".as_bytes()]
        {
            assert!(other_kind("a.csv", bytes).is_some(), "{bytes:?}");
        }
        for bytes in [&b"PK,openid"[..], b"<name>,openid", b"", b"openid"] {
            assert!(other_kind("a.csv", bytes).is_none(), "{bytes:?}");
        }
    }
}
