//! Objects of JSON, one a line, read strictly: a key that stands there twice has no value.

use std::{cell::RefCell, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::locale::{Phrase, say};

/// The value of one key.
pub(super) enum Found {
    Once(Value),
    Twice,
    No,
    /// The line is something else than an object.
    NoObject,
}

/// The value of a key in a line; nothing of the others is kept.
pub(super) fn value_of(line: &str, key: &str) -> serde_json::Result<Found> {
    if !line.starts_with('{') {
        return serde_json::from_str::<IgnoredAny>(line).map(|_| Found::NoObject);
    }
    let mut deserializer = serde_json::Deserializer::from_str(line);
    let found = deserializer.deserialize_map(OneKey(key))?;
    deserializer.end()?;
    Ok(found)
}

struct OneKey<'k>(&'k str);

impl<'de> Visitor<'de> for OneKey<'_> {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
        let mut found = Found::No;
        while let Some(is_it) = map.next_key_seed(IsKey(self.0))? {
            found = match (is_it, found) {
                (false, found) => {
                    map.next_value::<IgnoredAny>()?;
                    found
                }
                (true, Found::No) => Found::Once(map.next_value()?),
                (true, _) => {
                    map.next_value::<IgnoredAny>()?;
                    Found::Twice
                }
            };
        }
        Ok(found)
    }
}

struct IsKey<'k>(&'k str);

impl<'de> DeserializeSeed<'de> for IsKey<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for IsKey<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}

/// The value of a line, and a key that stands in one of its objects twice.
pub(super) fn value(line: &str) -> serde_json::Result<(Value, Option<String>)> {
    let twice = RefCell::new(None);
    let mut deserializer = serde_json::Deserializer::from_str(line);
    let value = Strict(&twice).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok((value, twice.into_inner()))
}

#[derive(Clone, Copy)]
struct Strict<'t>(&'t RefCell<Option<String>>);

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value_seed(self)?;
            if object.contains_key(&key) {
                self.0.replace(Some(key.clone()));
            }
            object.insert(key, value);
        }
        Ok(object.into())
    }
}

/// Why a line is no JSON; `usual` is what to do where nothing more is known.
pub(super) fn wrong(line: &str, number: usize, error: &serde_json::Error, usual: Phrase) -> (Phrase, Phrase) {
    let begins = |c: char| line.trim_start().starts_with(c);
    let alone = matches!(line.trim(), "{" | "[" | "[{");
    if alone || begins('[') || (number > 1 && matches!(line.trim().trim_end_matches(','), "}" | "]")) {
        let message = say!("a .jsonl file has one object per line; this one is a list, or is spread over lines");
        return (message, say!("write each object on one line, for example with: jq -c '.[]?' or jq -c ."));
    }
    if error.is_eof() {
        let message = say!("this line ends in the middle of an object");
        return (message, say!("the file may be cut off: export it again, or write each object on one line"));
    }
    (say!("this line is not JSON (column {column})", column = error.column()), usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_there_twice_is_told() {
        let (line, twice) = value(r#"{"b":[1,-2,3.5,null,true],"a":{"x":"春"}}"#).expect("JSON");
        assert_eq!((line.to_string().as_str(), twice), (r#"{"b":[1,-2,3.5,null,true],"a":{"x":"春"}}"#, None));
        for text in [r#"{"a":1,"b":2,"a":1}"#, r#"{"x":{"a":1,"a":2}}"#, r#"{"x":[{"a":1,"\u0061":2}]}"#] {
            assert_eq!(value(text).expect("JSON").1.as_deref(), Some("a"), "{text}");
        }
        assert!(value("{\"a\":1} x").is_err() && value_of("{\"a\":1} x", "a").is_err());
        let of = |line| value_of(line, "a").expect("JSON");
        assert!(matches!(of(r#"{"b":1,"a":"x"}"#), Found::Once(Value::String(_))));
        assert!(matches!(of(r#"{"a":1,"b":1,"a":"x"}"#), Found::Twice));
        assert!(matches!(of(r#"{"b":{"a":1}}"#), Found::No));
        assert!(matches!(of(r#"["a"]"#), Found::NoObject));
    }
}
