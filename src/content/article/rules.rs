//! The rules as data: what survives WeChat's editor.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::Deserialize;

use crate::locale::{Phrase, say};

/// What survives WeChat's editor, as data, each rule with the page that says so.
const RULES: &str = include_str!("rules.json");

/// Tags, attributes and CSS that survive, each with the page that says so.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Rules {
    pub(super) tags: BTreeMap<String, Tag>,
    pub(super) removed_tags: BTreeMap<String, Removed>,
    pub(super) attributes: Everywhere,
    pub(super) removed_attributes: BTreeMap<String, Removed>,
    pub(super) properties: Allowed,
    pub(super) removed_properties: BTreeMap<String, Removed>,
    pub(super) functions: Allowed,
    pub(super) fonts: Allowed,
    pub(super) images: Endings,
    pub(super) links: Hosts,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Everywhere {
    pub(super) everywhere: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Allowed {
    pub(super) allowed: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Endings {
    pub(super) endings: Vec<String>,
    /// Of pictures that WeChat has already.
    pub(super) hosts: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Hosts {
    pub(super) hosts: Vec<String>,
}

/// Both texts are of the catalogue.
#[derive(Debug, Deserialize)]
pub(super) struct Removed {
    pub(super) why: String,
    /// What to write instead; of tags only.
    #[serde(default)]
    pub(super) instead: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Tag {
    pub(super) kind: Display,
    pub(super) content: Content,
    pub(super) parents: Option<Vec<String>>,
    #[serde(default)]
    pub(super) attributes: Vec<String>,
}

impl Tag {
    pub(super) fn block(&self) -> bool {
        self.kind == Display::Block
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Display {
    Block,
    Inline,
}

/// What a tag may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Content {
    Flow,
    Inline,
    List,
    Table,
    Rows,
    Cells,
    Void,
}

impl Content {
    /// Whether the tag may stand directly inside.
    pub(super) fn holds(self, tag: &str) -> bool {
        match self {
            Self::Flow | Self::Inline => true,
            Self::List => tag == "li",
            Self::Table => matches!(tag, "thead" | "tbody" | "tfoot" | "tr"),
            Self::Rows => tag == "tr",
            Self::Cells => matches!(tag, "td" | "th"),
            Self::Void => false,
        }
    }

    /// Whether it holds tags and no text.
    pub(super) fn only_tags(self) -> bool {
        !matches!(self, Self::Flow | Self::Inline)
    }

    /// What to write there.
    pub(super) fn instead(self) -> Phrase {
        match self {
            Self::List => say!("put it in `<li>`"),
            Self::Table | Self::Rows => say!("put it in a cell: `<tr><td>`"),
            Self::Cells => say!("put it in `<td>` or `<th>`"),
            Self::Flow | Self::Inline | Self::Void => say!("remove it"),
        }
    }
}

/// The rules, read once. If they could not be read, nothing would be allowed; a test holds that they can.
pub(super) static RULESET: LazyLock<Rules> = LazyLock::new(|| serde_json::from_str(RULES).unwrap_or_default());

/// The reason why an attribute or property is refused, with `on*` for all that begin with `on`.
pub(super) fn removed<'a>(list: &'a BTreeMap<String, Removed>, name: &str) -> Option<&'a Removed> {
    list.iter()
        .find(|(known, _)| known.strip_suffix('*').map_or(known.as_str() == name, |start| name.starts_with(start)))
        .map(|(_, removed)| removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_can_be_read_and_each_has_its_evidence() {
        let rules: Rules = serde_json::from_str(RULES).expect("valid");
        assert!(rules.tags.len() > 30 && !rules.properties.allowed.is_empty());
        let value: serde_json::Value = serde_json::from_str(RULES).expect("JSON");
        for group in ["tags", "removed_tags", "removed_attributes", "removed_properties"] {
            for (name, rule) in value[group].as_object().expect("a table") {
                assert!(rule["evidence"].as_str().is_some_and(|url| url.starts_with("https://")), "{group} {name}");
            }
        }
    }
}
