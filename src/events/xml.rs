//! The XML of pushed bodies as a tree: a small part of XML, read strictly. There are no entities but the five of XML and numbers of
//! characters, no document types, no attributes that matter, and limits for size and depth.

use quick_xml::{Reader, events::Event};
use serde_json::{Map, Value};

use super::unreadable::Unreadable;
use crate::limits;

/// An element that is not closed yet.
#[derive(Default)]
struct Open {
    name: String,
    members: Map<String, Value>,
    text: String,
}

impl Open {
    fn new(name: &[u8]) -> Result<Self, Unreadable> {
        let name = std::str::from_utf8(name).map_err(|_| Unreadable::NotUtf8)?.to_owned();
        Ok(Self { name, ..Self::default() })
    }

    /// Its text, unless there are elements in it.
    fn value(self) -> Value {
        if self.members.is_empty() { self.text.into() } else { self.members.into() }
    }

    /// A second element of a name makes it a list.
    fn add(&mut self, name: String, value: Value) {
        match self.members.get_mut(&name) {
            None => drop(self.members.insert(name, value)),
            // No element is a list by itself.
            Some(Value::Array(items)) => items.push(value),
            Some(one) => *one = Value::Array(vec![one.take(), value]),
        }
    }
}

/// What is in the outermost element: elements with elements in them are objects, others are strings, several of a name a list.
pub(super) fn parse(text: &str) -> Result<Value, Unreadable> {
    let mut reader = Reader::from_str(text);
    let (mut open, mut whole): (Vec<Open>, Option<Value>) = (Vec::new(), None);
    loop {
        let event = reader.read_event().map_err(|_| Unreadable::Malformed)?;
        match event {
            Event::Start(start) => {
                if whole.is_some() || open.len() >= limits::EVENT_DEPTH_MAX {
                    return Err(Unreadable::Malformed);
                }
                open.push(Open::new(start.name().as_ref())?);
            }
            Event::Empty(start) => {
                let name = Open::new(start.name().as_ref())?.name;
                match open.last_mut() {
                    Some(parent) => parent.add(name, String::new().into()),
                    None if whole.is_some() => return Err(Unreadable::Malformed),
                    None => whole = Some(String::new().into()),
                }
            }
            Event::End(_) => {
                let mut closed = open.pop().ok_or(Unreadable::Malformed)?;
                let name = std::mem::take(&mut closed.name);
                match open.last_mut() {
                    Some(parent) => parent.add(name, closed.value()),
                    None => whole = Some(closed.value()),
                }
            }
            Event::Text(words) => add(&mut open, &words)?,
            Event::CData(words) => match open.last_mut() {
                Some(open) => open.text.push_str(std::str::from_utf8(&words).map_err(|_| Unreadable::NotUtf8)?),
                None => return Err(Unreadable::Malformed),
            },
            Event::GeneralRef(name) => {
                let name = std::str::from_utf8(&name).map_err(|_| Unreadable::NotUtf8)?.to_owned();
                let character = character(&name).ok_or(Unreadable::Entity)?;
                open.last_mut().ok_or(Unreadable::Malformed)?.text.push(character);
            }
            Event::Decl(declaration) => match declaration.encoding() {
                None => {}
                Some(Ok(name)) if name.eq_ignore_ascii_case(b"utf-8") => {}
                Some(_) => return Err(Unreadable::NotUtf8),
            },
            Event::DocType(_) => return Err(Unreadable::Entity),
            Event::Comment(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    whole.filter(|_| open.is_empty()).ok_or(Unreadable::Malformed)
}

/// Outside of elements there may be blanks only.
fn add(open: &mut [Open], words: &[u8]) -> Result<(), Unreadable> {
    let words = std::str::from_utf8(words).map_err(|_| Unreadable::NotUtf8)?;
    match open.last_mut() {
        Some(open) => open.text.push_str(words),
        None if words.trim().is_empty() => {}
        None => return Err(Unreadable::Malformed),
    }
    Ok(())
}

/// The character that a reference stands for.
fn character(name: &str) -> Option<char> {
    let number = || {
        let digits = name.strip_prefix('#')?;
        let number = match digits.strip_prefix('x') {
            Some(digits) => u32::from_str_radix(digits, 16),
            None => digits.parse(),
        };
        // What XML does not allow as it is, it does not allow as a number either.
        char::from_u32(number.ok()?).filter(|c| !c.is_control() || matches!(c, '\t' | '\n' | '\r'))
    };
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "apos" => Some('\''),
        "quot" => Some('"'),
        _ => number(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn elements_become_members_and_several_a_list() {
        let text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- x --><xml><A><![CDATA[a<b]]></A><B>1 &amp; &#x8336;&#33;</B><L><item><I>1</I></item>\
                    <item><I>2</I></item></L><E/><N>\n\n</N></xml>\n";
        let expected =
            json!({"A": "a<b", "B": "1 & 茶!", "L": {"item": [{"I": "1"}, {"I": "2"}]}, "E": "", "N": "\n\n"});
        assert_eq!(parse(text), Ok(expected));
    }

    #[test]
    fn what_could_be_misused_is_refused() {
        let bomb = "<!DOCTYPE lolz [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><xml><A>&b;</A></xml>";
        assert_eq!(parse(bomb), Err(Unreadable::Entity));
        let outside = "<!DOCTYPE foo SYSTEM \"file:///etc/passwd\"><xml>&xxe;</xml>";
        assert_eq!(parse(outside), Err(Unreadable::Entity));
        for text in
            ["<xml>&a;</xml>", "<xml>&#0;</xml>", "<xml>&#xd800;</xml>", "<xml>&#x110000;</xml>", "<xml>&#x;</xml>"]
        {
            assert_eq!(parse(text), Err(Unreadable::Entity), "{text}");
        }
        assert_eq!(parse("<?xml version=\"1.0\" encoding=\"GBK\"?><xml/>"), Err(Unreadable::NotUtf8));
        let deep = format!("{}{}", "<a>".repeat(20_000), "</a>".repeat(20_000));
        for text in [
            "",
            " ",
            "x",
            "<xml>",
            "<xml></a>",
            "<xml/><xml/>",
            "<xml></xml>x",
            "<xml></xml><a></a>",
            "</xml>",
            "<xml><![CDATA[",
            &deep,
        ] {
            assert_eq!(parse(text), Err(Unreadable::Malformed), "{text:.40}");
        }
    }
}
