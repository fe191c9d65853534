//! Forms with files, `multipart/form-data`.
//!
//! WeChat answers 41005 to a form it cannot read. This reader is strict: the body is parts and the closing line, nothing
//! before, between or after them.
//!
//! Source: [RFC 7578](https://www.rfc-editor.org/rfc/rfc7578).

/// Longest boundary that [RFC 2046](https://www.rfc-editor.org/rfc/rfc2046#section-5.1.1) allows.
const MAX_BOUNDARY: usize = 70;
/// No form of the API has more than two.
const MAX_PARTS: usize = 16;
/// Headers of one part; file names are most of it.
const MAX_HEADERS: usize = 8 * 1024;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Form<'b> {
    /// In order.
    pub(crate) parts: Vec<Part<'b>>,
}

/// One field of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part<'b> {
    /// The name of the field.
    pub(crate) name: String,
    /// The name of the file, if it is one.
    pub(crate) filename: Option<String>,
    /// The `Content-Type` of the part.
    pub(crate) content_type: Option<String>,
    pub(crate) bytes: &'b [u8],
}

impl<'b> Form<'b> {
    /// Reads a form; none if it is not built right.
    pub(super) fn read(content_type: &str, body: &'b [u8]) -> Option<Self> {
        let boundary = boundary(content_type)?;
        let delimiter = format!("\r\n--{boundary}").into_bytes();
        let mut rest = body.strip_prefix(&delimiter[2..])?;
        let mut parts = Vec::new();
        loop {
            if let Some(end) = rest.strip_prefix(b"--") {
                return matches!(end, b"" | b"\r\n").then_some(Form { parts });
            }
            rest = rest.strip_prefix(b"\r\n")?;
            // The blank line, which also ends a part without headers.
            let headers = find(rest.get(..MAX_HEADERS.min(rest.len()))?, b"\r\n\r\n")?;
            let content = &rest[headers + 4..];
            let length = find(content, &delimiter)?;
            parts.push(Part::new(str::from_utf8(&rest[..headers]).ok()?, &content[..length])?);
            if parts.len() > MAX_PARTS {
                return None;
            }
            rest = &content[length + delimiter.len()..];
        }
    }

    /// The only part of a name.
    pub(super) fn part(&self, name: &str) -> Option<&Part<'b>> {
        let mut named = self.parts.iter().filter(|part| part.name == name);
        named.next().filter(|_| named.next().is_none())
    }
}

impl<'b> Part<'b> {
    fn new(headers: &str, bytes: &'b [u8]) -> Option<Self> {
        let mut disposition = None;
        let mut content_type = None;
        for line in headers.split("\r\n") {
            let (name, value) = line.split_once(':')?;
            let known = match name.to_ascii_lowercase().as_str() {
                "content-disposition" => &mut disposition,
                "content-type" => &mut content_type,
                _ => continue,
            };
            if known.replace(value.trim()).is_some() {
                return None;
            }
        }
        let (kind, parameters) = parameters(disposition?)?;
        if !kind.eq_ignore_ascii_case("form-data") {
            return None;
        }
        let value = |name: &str| parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        Some(Part {
            name: value("name").filter(|name| !name.is_empty())?,
            filename: value("filename"),
            content_type: content_type.map(str::to_owned),
            bytes,
        })
    }
}

fn boundary(content_type: &str) -> Option<String> {
    let (kind, parameters) = parameters(content_type)?;
    let (_, boundary) = parameters.into_iter().find(|(name, _)| name == "boundary")?;
    let fits =
        (1..=MAX_BOUNDARY).contains(&boundary.len()) && boundary.bytes().all(|byte| (b' '..0x7f).contains(&byte));
    (kind.eq_ignore_ascii_case("multipart/form-data") && fits && !boundary.ends_with(' ')).then_some(boundary)
}

/// `value; name=token; name="quoted"`, with names in lower case.
fn parameters(header: &str) -> Option<(&str, Vec<(String, String)>)> {
    let (value, mut rest) = header.split_once(';').unwrap_or((header, ""));
    let mut parameters = Vec::new();
    while !rest.trim().is_empty() {
        let (name, after) = rest.split_once('=')?;
        let parameter;
        (parameter, rest) = match after.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let (token, rest) = after.split_once(';').unwrap_or((after, ""));
                (token.trim().to_owned(), rest)
            }
        };
        parameters.push((name.trim().to_ascii_lowercase(), parameter));
    }
    Some((value.trim(), parameters))
}

/// The text up to the closing quote, and what follows the next semicolon.
fn unquote(quoted: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => {
                let rest = quoted[at + 1..].trim_start();
                return if rest.is_empty() { Some((text, "")) } else { Some((text, rest.strip_prefix(';')?)) };
            }
            '\\' => text.push(characters.next()?.1),
            _ => text.push(character),
        }
    }
    None
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = *wanted.first()?;
    let mut from = 0;
    loop {
        let at = from + text.get(from..)?.iter().position(|byte| *byte == first)?;
        if text[at..].starts_with(wanted) {
            return Some(at);
        }
        from = at + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=B";
    const FORM: &str = "--B\r\nContent-Disposition: form-data; name=\"media\"; filename=\"a;\\\"茶.png\"\r\n\
        Content-Type: image/png\r\n\r\nPNG\r\n--\r\n--C\r\n--B\r\ncontent-disposition:form-data;name=description\r\n\r\n\
        \r\n--B--\r\n";

    #[test]
    fn parts_have_names_types_and_any_bytes() {
        let form = Form::read(TYPE, FORM.as_bytes()).expect("a form");
        let media = form.part("media").expect("a file");
        assert_eq!(media.filename.as_deref(), Some("a;\"茶.png"));
        assert_eq!(media.content_type.as_deref(), Some("image/png"));
        assert_eq!(media.bytes, b"PNG\r\n--\r\n--C");
        let text = form.part("description").expect("a text");
        assert_eq!((&text.filename, &text.content_type, text.bytes), (&None, &None, &b""[..]));
        assert_eq!(form.part("other"), None);
        let quoted = "Multipart/Form-Data; charset=utf-8; Boundary=\"B\"";
        assert_eq!(Form::read(quoted, FORM.as_bytes()), Some(form));
        let binary: Vec<u8> =
            [&b"--B\r\nContent-Disposition: form-data; name=a\r\n\r\n"[..], &[0, 0xff, 13], b"\r\n--B--"].concat();
        assert_eq!(Form::read(TYPE, &binary).expect("a form").parts[0].bytes, [0, 0xff, 13]);
    }

    #[test]
    fn a_form_cut_anywhere_is_none() {
        for length in 0..FORM.len() - 2 {
            assert_eq!(Form::read(TYPE, &FORM.as_bytes()[..length]), None, "{length}");
        }
    }

    #[test]
    fn what_is_built_wrongly_is_none() {
        for content_type in [
            "application/json",
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=C",
            "multipart/form-data; boundary=\"B",
            "multipart/mixed; boundary=B",
        ] {
            assert_eq!(Form::read(content_type, FORM.as_bytes()), None, "{content_type}");
        }
        let long = format!("multipart/form-data; boundary={}", "b".repeat(71));
        assert_eq!(Form::read(&long, FORM.replace("--B", &format!("--{}", "b".repeat(71))).as_bytes()), None);
        for (from, to) in [
            ("--B\r\nContent", "\r\n--B\r\nContent"),
            ("--B--\r\n", "--B--\r\nmore"),
            ("--B\r\nContent", "--B\nContent"),
            ("form-data; name=\"media\"", "attachment; name=\"media\""),
            ("name=\"media\"; ", ""),
            ("name=\"media\"", "name=\"\""),
            ("name=\"media\"", "name=\"media"),
            ("Content-Type: image/png", "Content-Type image/png"),
            ("Content-Type: image/png", "Content-Disposition: form-data; name=b"),
        ] {
            assert!(FORM.contains(from), "{from}");
            assert_eq!(Form::read(TYPE, FORM.replace(from, to).as_bytes()), None, "{from} -> {to}");
        }
        let twice = FORM.replace("name=description", "name=media");
        assert_eq!(Form::read(TYPE, twice.as_bytes()).expect("a form").part("media"), None);
        let many = |count: usize| "--B\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n".repeat(count) + "--B--";
        assert!(Form::read(TYPE, many(16).as_bytes()).is_some());
        assert!(Form::read(TYPE, many(17).as_bytes()).is_none());
    }
}
