//! The line that was meant, for a value or key that the schema refuses.

use serde_json::Value;

use super::{slips, value::Length, yaml::quoted};
use crate::{
    locale::{Phrase, say},
    text::{
        characters,
        moment::{self, Moment},
    },
};

/// A value that is wrong, and what is around it.
pub(super) struct Wrong<'a> {
    /// The key, or none of an item of a list.
    pub(super) key: Option<&'a str>,
    pub(super) value: &'a Value,
    /// As it stands in the file.
    pub(super) written: Option<&'a str>,
    pub(super) schema: &'a Value,
    /// The action of the step, if it is in one.
    pub(super) action: &'a str,
}

/// "Write this": the corrected line, if it can be told.
pub(super) fn correct(wrong: &Wrong<'_>) -> Option<Phrase> {
    let text = wrong.text()?;
    if let Some(moment) = wrong.moment(&text) {
        return Some(moment);
    }
    if let Some(line) = wrong.shape(&text) {
        return Some(line);
    }
    if let Some(number) = wrong.number(&text) {
        return Some(wrong.line(&number));
    }
    let value = wrong.word(&text).or_else(|| wrong.form(&text))?;
    // What is written would not be wrong.
    (wrong.value.as_str() != Some(value.as_str()) || !wrong.takes("string")).then(|| wrong.line(&value))
}

impl Wrong<'_> {
    /// What stands there, as text: also of a number.
    fn text(&self) -> Option<String> {
        match self.value {
            Value::String(text) => Some(text.clone()),
            Value::Number(_) | Value::Bool(_) => {
                Some(self.written.map_or_else(|| self.value.to_string(), str::to_owned))
            }
            Value::Array(items) => {
                let items: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
                items.filter(|items| items.len() < 4).map(|items| items.join(", "))
            }
            _ => None,
        }
    }

    fn takes(&self, kind: &str) -> bool {
        match &self.schema["type"] {
            Value::String(one) => one == kind,
            Value::Array(many) => many.iter().any(|one| one == kind),
            _ => false,
        }
    }

    fn has_form(&self, begin: &str) -> bool {
        self.schema["x-form"].as_str().is_some_and(|form| form.starts_with(begin))
    }

    fn line(&self, value: &str) -> Phrase {
        let line = self.key.map_or_else(|| value.to_owned(), |key| format!("{key}: {value}"));
        say!("write `{line}`", line)
    }

    /// One of the words that are allowed, `true` or `false`.
    fn word(&self, text: &str) -> Option<String> {
        if self.takes("boolean")
            && let Some(flag) = slips::meant_flag(text)
        {
            return Some(flag.to_string());
        }
        let only = self.schema.get("const").map(std::slice::from_ref);
        let words = self.schema["enum"].as_array().map(Vec::as_slice).or(only)?;
        if let [Value::Number(only)] = words {
            return (slips::meant_number(text) == only.as_u64()).then(|| only.to_string());
        }
        let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
        slips::meant_word(text, &words).map(str::to_owned)
    }

    /// A whole number that is allowed.
    fn number(&self, text: &str) -> Option<String> {
        let share = text.contains(['%', '％']) && self.schema["x-form"].as_str().is_some_and(|form| form.contains('%'));
        if !self.takes("integer") || text.contains("{{") || self.schema.get("const").is_some() || share {
            return None;
        }
        let number = slips::meant_number(text)?;
        let least = self.schema["minimum"].as_u64().unwrap_or(0);
        let most = self.schema["maximum"].as_u64().unwrap_or(u64::MAX);
        (least..=most).contains(&number).then(|| number.to_string())
    }

    /// A text in the form that is wanted.
    fn form(&self, text: &str) -> Option<String> {
        let half = characters::half_width(text);
        let half = half.trim().trim_matches(['"', '\'']);
        if self.schema["pattern"] == Length::PATTERN {
            return slips::meant_length(text);
        }
        if self.has_form("a time range") {
            return moment::meant_window(text).map(|window| format!("\"{window}\""));
        }
        if self.has_form("the name of an environment variable") {
            return slips::meant_variable(text).map(str::to_owned);
        }
        if self.has_form("a host name") {
            let host = half.split_once("://").map_or(half, |(_, rest)| rest);
            let host = host.split(['/', ':', '?']).next().unwrap_or(host);
            return (!host.is_empty() && host.contains('.')).then(|| host.to_owned());
        }
        if self.has_form("`wx` and") {
            let lower = half.to_ascii_lowercase();
            return super::account::AppId::is_well_formed(&lower).then_some(lower);
        }
        if self.has_form("at most 63 lower-case") {
            let name = half.to_ascii_lowercase().replace([' ', '_', '.', '/'], "-");
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            let fine =
                name.len() <= 63 && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(plain);
            return fine.then_some(name);
        }
        None
    }

    /// A date and time.
    fn moment(&self, text: &str) -> Option<Phrase> {
        if !self.has_form("a time such as") {
            return None;
        }
        Some(match moment::meant_moment(text)? {
            Moment::Whole(moment) => self.line(&moment),
            Moment::OfDay(time) => say!(
                "add the date: `{line}`",
                line = format!("{}: YYYY-MM-DDT{time}", self.key.unwrap_or("not_before"))
            ),
            Moment::OfYear(time) => {
                say!("add the year: `{line}`", line = format!("{}: YYYY{time}", self.key.unwrap_or("not_before")))
            }
        })
    }

    /// A word where a mapping or a list is wanted.
    fn shape(&self, text: &str) -> Option<Phrase> {
        let key = self.key?;
        if matches!(self.value, Value::Array(_)) && key != "to" {
            return None;
        }
        // A number is written as it is.
        let value = if self.value.is_string() { quoted(text) } else { text.to_owned() };
        let data = [".csv", ".jsonl"].iter().any(|end| text.ends_with(end));
        Some(self.line(&match key {
            "message" => format!("{{ text: {value} }}"),
            "foreach" if data => format!("{{ file: {value} }}"),
            "to" => return self.to(text),
            "tag" if !self.value.is_string() => {
                return Some(say!("write `{line}`; `tag` takes the name of a tag", line = format!("tag_id: {value}")));
            }
            "tag_id" if self.value.is_string() && !text.contains("{{") && slips::meant_number(text).is_none() => {
                return Some(say!(
                    "write `{line}`; `tag_id` takes the number of a tag",
                    line = format!("tag: {value}")
                ));
            }
            "appid" | "secret" | "access_token" | "ticket" | "refresh_token" | "proxy"
                if let Some(name) = slips::meant_variable(text) =>
            {
                format!("{{ env: {name} }}")
            }
            "retry" if let Some(attempts) = slips::meant_number(text) => format!("{{ attempts: {attempts} }}"),
            "pace" if let Some(calls) = slips::meant_number(text) => format!("{{ per_minute: {calls} }}"),
            "articles" => format!("[{{ file: {value} }}]"),
            "command" => format!("[{}]", text.split_whitespace().map(quoted).collect::<Vec<_>>().join(", ")),
            _ if self.takes("array") && !self.takes("object") => {
                format!(
                    "[{}]",
                    text.split([',', '，', '、']).map(|item| quoted(item.trim())).collect::<Vec<_>>().join(", ")
                )
            }
            _ => return None,
        }))
    }

    /// Who gets it: a word, a number, the name of a file.
    fn to(&self, text: &str) -> Option<Phrase> {
        let value = quoted(text);
        let file = [".csv", ".txt", ".jsonl", ".gz"].iter().any(|end| text.ends_with(end));
        let openid = |text: &str| {
            text.len() == 28
                && text.starts_with('o')
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
        };
        let list = || text.split(", ").map(quoted).collect::<Vec<_>>().join(", ");
        let number = slips::meant_number(text).filter(|_| !self.value.is_array());
        let to = match self.action {
            "send_by_tag" if slips::meant_word(text, &["all"]).is_some() => "all".to_owned(),
            "send_by_tag" if file => {
                let line = format!("to: {{ file: {value} }}");
                return Some(say!("a list of people needs `action: send_by_openid` and `{line}`", line));
            }
            "send_by_tag" if self.value.is_array() || openid(text) => {
                let line = format!("to: {{ openids: [{}] }}", list());
                return Some(say!("a list of people needs `action: send_by_openid` and `{line}`", line));
            }
            "send_by_openid" if slips::meant_word(text, &["all"]).is_some() => "{ followers: true }".to_owned(),
            "send_by_openid" if file => format!("{{ file: {value} }}"),
            "send_by_openid" if self.value.is_array() || openid(text) => format!("{{ openids: [{}] }}", list()),
            "preview" if openid(text) => format!("{{ openid: {value} }}"),
            "preview" if self.value.is_string() => format!("{{ wxname: {value} }}"),
            "send_by_tag" | "send_by_openid" => match number {
                Some(number) => format!("{{ tag_id: {number} }}"),
                None => format!("{{ tag: {value} }}"),
            },
            _ => return None,
        };
        Some(self.line(&to))
    }
}

/// A number with a comma in a mapping of one line: `{ max_recipients: 10,000 }` has the key `000`.
pub(super) fn cut_number(text: &str, at: usize, key: &str) -> Option<Phrase> {
    let of_number = |c: char| c.is_ascii_digit() || c == ',';
    let start = at - (text[..at].len() - text[..at].trim_end_matches(of_number).len());
    let whole = &text[start..][..text[start..].len() - text[start..].trim_start_matches(of_number).len()];
    let parts: Vec<&str> = whole.trim_end_matches(',').split(',').collect();
    let grouped = parts.len() > 1 && !parts[0].is_empty() && parts[1..].iter().all(|part| part.len() == 3);
    let line = text[..start].rsplit(['{', ',', '\n']).next()?.trim();
    let name = line.strip_suffix(':').filter(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))?;
    let fits = grouped && parts[1..].contains(&key);
    fits.then(|| say!("write `{line}`", line = format!("{name}: {}", parts.concat())))
}

/// What a key that does not exist here stands for: another spelling, or a key of another mapping.
pub(super) fn key(key: &str, value: &Value, known: &[&str], action: &str) -> Option<Phrase> {
    let shown = |value: &Value| match value {
        Value::String(text) if text.chars().count() <= 40 => Some(quoted(text)),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    if let Some((name, inner)) = slips::meant_key(key, known) {
        return Some(match inner.or_else(|| shown(value)) {
            Some(value) => say!("write `{line}`", line = format!("{name}: {value}")),
            None => say!("did you mean `{near}`?", near = name),
        });
    }
    let home = match key {
        "text" | "mpnews" | "voice" | "image" | "mpvideo" | "wxcard" => "message",
        "tag_id" | "tag" | "openids" | "openid" | "wxname" if action != "create_draft" => "to",
        "ticket" | "refresh_token" if known.contains(&"component") => "component",
        "aes_key" | "encoding_aes_key" if known.contains(&"callback") => "callback",
        "appid" | "kind" | "secret" | "access_token" | "component" | "proxy" => "account",
        "not_before" | "not_after" | "send_window" | "max_recipients" | "max_change_percent" | "require_preview" => {
            "guards"
        }
        "retry" | "timeout" | "pace" => "defaults",
        "staging_hosts" => "lint",
        _ => return None,
    };
    known.contains(&home).then(|| {
        match shown(value).filter(|_| !["account", "component", "callback"].contains(&home)) {
            Some(value) => say!("write `{line}`", line = format!("{home}: {{ {key}: {value} }}")),
            None => say!("`{key}` is a key of `{home}`", key, home),
        }
    })
}
