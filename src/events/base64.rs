//! Base64 as pushed bodies have it.

/// The bytes of a text of four characters at a time, padded with `=`; none if it is none. Bits that mean nothing may be set.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let padding = text.bytes().rev().take_while(|byte| *byte == b'=').count();
    if !text.len().is_multiple_of(4) || padding > 2 {
        return None;
    }
    let digits = &text.as_bytes()[..text.len() - padding];
    let (mut bytes, mut bits, mut held) = (Vec::with_capacity(text.len() / 4 * 3), 0_u32, 0_u32);
    for digit in digits {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        held = held << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.extend(u8::try_from(held >> bits & 0xff));
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let read = |text| decode(text).map(|bytes| String::from_utf8(bytes).expect("UTF-8"));
        assert_eq!(read(""), Some(String::new()));
        assert_eq!(read("6Iy2"), Some("茶".to_owned()));
        assert_eq!(
            (read("YQ=="), read("YWI="), read("YWJj")),
            (Some("a".into()), Some("ab".into()), Some("abc".into()))
        );
        // The last bits mean nothing.
        assert_eq!(read("YR=="), Some("a".into()));
        for text in ["Y", "YQ", "YQ=", "Y===", "Y=Q=", "YQ==YQ==", "YW Jj", "茶", "YW-_"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
