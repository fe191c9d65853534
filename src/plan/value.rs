//! Small types that the fields of a plan are made of: each owns its form in YAML and its schema.

use std::{borrow::Cow, fmt, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

use crate::limits;

/// Text that may hold a template, or is one expression; rendered before anything is sent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Template(pub String);

impl JsonSchema for Template {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Template".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1 })
    }
}

/// A whole number between `MIN` and `MAX`, or a template that renders to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Number<const MIN: u64, const MAX: u64> {
    /// Written out.
    Literal(u64),
    /// To be rendered.
    Template(Template),
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Number<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<const MIN: u64, const MAX: u64>;
        impl<const MIN: u64, const MAX: u64> de::Visitor<'_> for Visitor<MIN, MAX> {
            type Value = Number<MIN, MAX>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a whole number from {MIN}")
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Number::Literal(number))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
                u64::try_from(number).map(Number::Literal).map_err(E::custom)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Number::Template(Template(text.to_owned())))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl<const MIN: u64, const MAX: u64> JsonSchema for Number<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("Number{MIN}To{MAX}").into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut schema = json_schema!({
            "type": ["integer", "string"],
            "minimum": MIN,
            "pattern": r"\{\{.*\}\}",
            "x-form": "a number or a template",
        });
        if MAX < u64::MAX {
            schema.insert("maximum".into(), MAX.into());
        }
        schema
    }
}

/// A length of time such as `30s`, `5m` or `1h30m`; at most a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Length(pub Duration);

impl Length {
    /// `1500` milliseconds is `1s500ms`.
    pub(crate) const PATTERN: &str = r"^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?([0-9]{1,6}ms)?$";

    /// Reads hours, minutes, seconds and milliseconds, in this order, each at most once.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut total = Duration::ZERO;
        let mut rest = text;
        let mut allowed = ["h", "m", "s", "ms"].as_slice();
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit())?;
            let count: u64 = rest[..digits].parse().ok()?;
            rest = &rest[digits..];
            let unit = &rest[..rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len())];
            let place = allowed.iter().position(|allowed| *allowed == unit)?;
            allowed = &allowed[place + 1..];
            rest = &rest[unit.len()..];
            let milliseconds = match unit {
                "h" => 3_600_000,
                "m" => 60_000,
                "s" => 1_000,
                _ => 1,
            };
            total += Duration::from_millis(count.checked_mul(milliseconds)?);
        }
        (!text.is_empty() && total <= limits::WAIT_MAX).then_some(Self(total))
    }
}

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Length::parse(&text).ok_or_else(|| de::Error::custom(format!("`{text}` is not a duration")))
    }
}

impl JsonSchema for Length {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "minLength": 2, "pattern": Length::PATTERN,
            "x-form": "a duration such as `30s`, `5m` or `1h30m`",
            "examples": ["30s", "5m", "1h30m"],
        })
    }
}

/// One or several.
pub(crate) fn one_or_many<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: de::DeserializeOwned,
{
    let value = serde_json::Value::deserialize(deserializer)?;
    let list = if value.is_array() { value } else { serde_json::Value::Array(vec![value]) };
    serde_json::from_value(list).map_err(de::Error::custom)
}

/// `true`, `false`, or a template expression that gives one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Written out.
    Literal(bool),
    /// An expression, without braces.
    Expression(String),
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::Bool(value) => Ok(Condition::Literal(value)),
            serde_json::Value::String(text) => Ok(Condition::Expression(text)),
            _ => Err(de::Error::custom("expected a template expression")),
        }
    }
}

impl JsonSchema for Condition {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Condition".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["boolean", "string"], "minLength": 1, "examples": ["vars.recall", "row.active == 'yes'"] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time() {
        let ms = |text| Length::parse(text).map(|length| length.0.as_millis());
        assert_eq!(ms("30s"), Some(30_000));
        assert_eq!(ms("1h30m"), Some(5_400_000));
        assert_eq!(ms("1s500ms"), Some(1_500));
        assert_eq!(ms("24h"), Some(86_400_000));
        for bad in ["", "s", "30", "1d", "5m1h", "25h", "-1s", "1s1s"] {
            assert_eq!(ms(bad), None, "{bad}");
        }
    }
}
