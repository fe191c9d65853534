//! What a file is, by its bytes.

/// What a file is, by its first bytes; none if it is nothing that is known here.
pub(crate) fn content_type(bytes: &[u8]) -> Option<&'static str> {
    let at = |from: usize, magic: &[u8]| bytes.get(from..from + magic.len()) == Some(magic);
    Some(match bytes {
        _ if at(0, b"\x89PNG\r\n\x1a\n") => "image/png",
        _ if at(0, b"\xff\xd8\xff") => "image/jpeg",
        _ if at(0, b"GIF87a") || at(0, b"GIF89a") => "image/gif",
        _ if at(0, b"RIFF") && at(8, b"WEBP") => "image/webp",
        _ if at(0, b"RIFF") && at(8, b"WAVE") => "audio/wav",
        _ if at(0, b"BM") && bytes.len() > 26 => "image/bmp",
        _ if at(0, b"#!AMR") => "audio/amr",
        _ if at(0, b"ID3") || matches!(bytes, [0xff, second, ..] if second & 0xe0 == 0xe0) => "audio/mpeg",
        _ if at(0, &[0x30, 0x26, 0xb2, 0x75, 0x8e, 0x66, 0xcf, 0x11]) => "audio/x-ms-wma",
        _ if at(4, b"ftyp") => "video/mp4",
        _ => return None,
    })
}

/// Width and height of a png, jpeg, gif, bmp or webp, as its header has them.
pub(crate) fn dimensions(bytes: &[u8]) -> Option<(u32, u32)> {
    let be32 = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let be16 = |at: usize| Some(u32::from(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?)));
    let le16 = |at: usize| Some(u32::from(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?)));
    let le32 = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    // A bmp that is stored from the top has a negative height.
    let size32 = |at: usize| Some(le32(at)?.cast_signed().unsigned_abs());
    let size = match content_type(bytes)? {
        "image/png" => (be32(16)?, be32(20)?),
        "image/gif" => (le16(6)?, le16(8)?),
        "image/webp" => match bytes.get(12..16)? {
            b"VP8X" => ((le32(24)? & 0xff_ffff) + 1, (le32(26)? >> 8) + 1),
            b"VP8L" => ((le32(21)? & 0x3fff) + 1, (le32(21)? >> 14 & 0x3fff) + 1),
            _ => (le16(26)? & 0x3fff, le16(28)? & 0x3fff),
        },
        "image/bmp" => (size32(18)?, size32(22)?),
        "image/jpeg" => {
            // Segments up to the frame header.
            let mut at = 2;
            loop {
                let marker = *bytes.get(at + 1)?;
                if *bytes.get(at)? != 0xff {
                    return None;
                }
                if marker == 0xff {
                    at += 1;
                    continue;
                }
                if matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc) {
                    break (be16(at + 7)?, be16(at + 5)?);
                }
                at += 2 + usize::try_from(be16(at + 2)?).ok()?;
            }
        }
        _ => return None,
    };
    (size.0 > 0 && size.1 > 0).then_some(size)
}

/// Whether a picture ends as pictures of its kind do, rather than in the middle.
pub(super) fn is_whole(bytes: &[u8]) -> bool {
    match content_type(bytes) {
        Some("image/png") => {
            // Chunks up to the last: length, name, data, sum.
            let mut at = 8;
            loop {
                let Some(head) = bytes.get(at..at + 8) else { return false };
                let (length, name) = head.split_at(4);
                let length = length.iter().fold(0usize, |sum, byte| sum << 8 | usize::from(*byte));
                at = at.saturating_add(length).saturating_add(12);
                match name {
                    _ if at > bytes.len() => return false,
                    b"IEND" => return true,
                    _ => {}
                }
            }
        }
        Some("image/jpeg") => {
            // A preview inside of a segment has an end of its own: what counts is the one after the scan begins.
            let mut at = 2;
            loop {
                let Some([0xff, marker, long, short]) = bytes.get(at..at + 4) else { return false };
                if *marker == 0xff {
                    at += 1;
                    continue;
                }
                at += 2 + (usize::from(*long) << 8 | usize::from(*short));
                if *marker == 0xda {
                    return bytes.get(at..).is_some_and(|scan| memchr::memmem::rfind(scan, b"\xff\xd9").is_some());
                }
            }
        }
        Some("image/gif") => bytes.iter().rev().find(|byte| **byte != 0) == Some(&0x3b),
        Some("image/bmp") => bytes.get(2..6).is_some_and(|size| {
            size.iter().rev().fold(0usize, |sum, byte| sum << 8 | usize::from(*byte)) <= bytes.len()
        }),
        _ => true,
    }
}
