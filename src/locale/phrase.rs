//! A sentence with its arguments, which is put into words when it is shown.

use std::{borrow::Cow, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::{Language, in_language, translated};

/// A sentence, or a part of one: an English text and the arguments for its placeholders, which stay data until it is
/// shown (`Display`) in the language of the process. Made with `say!`.
///
/// As JSON it is the sentence in that language.
#[derive(Clone, PartialEq, Eq)]
pub struct Phrase(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    /// In English, with `{name}` for arguments; the key in the catalogue.
    text: &'static str,
    /// The English text for any number but one; the first argument is the number.
    plural: Option<&'static str>,
    /// What the placeholders stand for. Never read as a text with placeholders itself.
    arguments: Vec<(&'static str, Argument)>,
    /// The arguments of words that were written down and read again.
    recorded: Option<Map<String, Value>>,
}

/// What a placeholder stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// Words of the user, of WeChat or of the system, as they are.
    Text(String),
    /// A number that names something: a code, a line.
    Number(i64),
    /// How many: shown with separators (`12,345`).
    Count(u64),
    /// Words of a table that has them in English and in Chinese.
    Both(&'static str, &'static str),
    /// A part of the sentence that has its own words.
    Phrase(Phrase),
    /// A text of the catalogue; braces in it are braces.
    Fixed(&'static str),
    /// Shown one after the other, with the separator of the language.
    List(Vec<Argument>),
}

/// How many there are of something: shown with separators, `12,345`.
#[derive(Debug, Clone, Copy)]
pub struct Count(pub u64);

/// A text of the catalogue that stands elsewhere than in `say!`, such as a description of a schema.
#[derive(Debug, Clone, Copy)]
pub struct Fixed(pub &'static str);

/// Several things in a row.
pub fn list<T: Into<Argument>>(items: impl IntoIterator<Item = T>) -> Argument {
    Argument::List(items.into_iter().map(Into::into).collect())
}

impl Phrase {
    /// What `say!` makes; nobody else calls it.
    #[doc(hidden)]
    pub fn new(text: &'static str, plural: Option<&'static str>, arguments: Vec<(&'static str, Argument)>) -> Self {
        let phrase = Self(Box::new(Inner { text, plural, arguments, recorded: None }));
        #[cfg(test)]
        super::tests::hear(&phrase);
        phrase
    }

    /// Words that are nobody's to translate: the user's, WeChat's, a library's.
    pub fn verbatim(words: impl Into<String>) -> Self {
        Self::recorded(words, Map::new())
    }

    /// Words that were written down, and the arguments in them.
    pub(crate) fn recorded(words: impl Into<String>, arguments: Map<String, Value>) -> Self {
        let mut phrase = Self::new("{words}", None, vec![("words", Argument::Text(words.into()))]);
        phrase.0.recorded = Some(arguments);
        phrase
    }

    /// Words of a table that has them in English and in Chinese.
    pub(crate) fn both(english: &'static str, chinese: &'static str) -> Self {
        Self::new("{words}", None, vec![("words", Argument::Both(english, chinese))])
    }

    /// What was noted in English, in the words of the catalogue where it has these very ones.
    pub(crate) fn noted(words: &str) -> Self {
        match super::catalogue::english(words) {
            Some(text) if !text.contains(['{', '}']) => Self::new(text, None, Vec::new()),
            _ => Self::verbatim(words),
        }
    }

    /// The sentence with every text in it changed.
    pub(crate) fn with_texts(mut self, change: &dyn Fn(&str) -> String) -> Self {
        let change = |text: &mut String| *text = change(text);
        self.cut(&change, &change);
        self
    }

    /// The sentence in a language.
    pub fn in_language(&self, language: Language) -> String {
        let mut words = String::new();
        self.write(language, &mut words);
        words
    }

    /// The arguments by name, for programs: texts, numbers and lists; a part with words of its own is its words.
    pub fn arguments(&self) -> Map<String, Value> {
        if let Some(recorded) = &self.0.recorded {
            return recorded.clone();
        }
        let named = |(name, argument): &(&str, Argument)| ((*name).to_owned(), argument.as_json());
        self.0.arguments.iter().map(named).collect()
    }

    /// Cuts the texts that stand in it, with `quote`, and words that are no sentence of ours, with `words`.
    pub(crate) fn cut(&mut self, quote: &dyn Fn(&mut String), words: &dyn Fn(&mut String)) {
        let verbatim = self.0.text == "{words}";
        for (_, argument) in &mut self.0.arguments {
            argument.cut(if verbatim { words } else { quote }, words);
        }
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.in_language(Language::En).is_empty()
    }

    fn write(&self, language: Language, words: &mut String) {
        let Inner { text, plural, arguments, .. } = &*self.0;
        let text = match (language, plural) {
            // The rule for a text in the language of the source is gettext's own; Chinese has one form for all numbers,
            // which `build.rs` holds the catalogue to.
            (Language::En, Some(plural)) if !matches!(arguments.first(), Some((_, Argument::Count(1)))) => plural,
            _ => in_language(language, text),
        };
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            words.push_str(&rest[..at]);
            rest = &rest[at..];
            // `{{` and `}}` stand for one of them, as in `format!`.
            if let Some(after) = rest.strip_prefix("{{").or_else(|| rest.strip_prefix("}}")) {
                words.push_str(&rest[..1]);
                rest = after;
                continue;
            }
            let (name, after) = rest[1..].split_once('}').unwrap_or((&rest[1..], ""));
            if let Some((_, argument)) = arguments.iter().find(|(known, _)| *known == name) {
                argument.write(language, words);
            }
            rest = after;
        }
        words.push_str(rest);
    }
}

/// Nothing said.
impl Default for Phrase {
    fn default() -> Self {
        Self::new("", None, Vec::new())
    }
}

impl Argument {
    fn cut(&mut self, quote: &dyn Fn(&mut String), words: &dyn Fn(&mut String)) {
        match self {
            Self::Text(text) => quote(text),
            Self::Number(_) | Self::Count(_) | Self::Fixed(_) | Self::Both(..) => {}
            Self::Phrase(phrase) => phrase.cut(quote, words),
            Self::List(items) => items.iter_mut().for_each(|item| item.cut(quote, words)),
        }
    }

    fn write(&self, language: Language, words: &mut String) {
        match self {
            Self::Text(text) => words.push_str(text),
            Self::Number(number) => words.push_str(&number.to_string()),
            Self::Count(count) => words.push_str(&grouped(*count)),
            Self::Both(english, _) if language == Language::En => words.push_str(english),
            Self::Both(_, chinese) => words.push_str(chinese),
            Self::Phrase(phrase) => phrase.write(language, words),
            Self::Fixed(text) => words.push_str(in_language(language, text)),
            Self::List(items) => {
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        words.push_str(in_language(language, ", "));
                    }
                    item.write(language, words);
                }
            }
        }
    }

    fn as_json(&self) -> Value {
        match self {
            Self::Text(text) => text.as_str().into(),
            Self::Number(number) => (*number).into(),
            Self::Count(count) => (*count).into(),
            Self::Both(..) => {
                let mut words = String::new();
                self.write(Language::current(), &mut words);
                words.into()
            }
            Self::Phrase(phrase) => phrase.to_string().into(),
            Self::Fixed(text) => translated(text).into(),
            Self::List(items) => items.iter().map(Self::as_json).collect(),
        }
    }
}

/// `12345` as `12,345`, in both languages.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Whether a text has nothing between braces but names: no `{value:?}`, no `{}`.
pub(crate) const fn placeholders_only(text: &str) -> bool {
    let text = text.as_bytes();
    let (mut at, mut inside) = (0, false);
    while at < text.len() {
        let doubled = at + 1 < text.len() && text[at + 1] == text[at];
        match text[at] {
            b'{' | b'}' if !inside && doubled => at += 1,
            b'{' => inside = true,
            b'}' => inside = false,
            b':' | b'.' | b'*' if inside => return false,
            _ => {}
        }
        at += 1;
    }
    true
}

/// A [`Phrase`] of an English text and what its placeholders stand for: `say!("`{value}` is not a date", value)`, or
/// `name = expression`. Two texts with `|` between them are the singular and the plural; the first argument is the number.
/// Texts and names are checked by `format_args!` when this is compiled, and against the Chinese by `build.rs`.
macro_rules! say {
    ($text:literal $(, $name:ident $(= $value:expr)?)* $(,)?) => {{
        $crate::locale::say!(@check $text $(, $name)*);
        $crate::locale::Phrase::new($text, None, vec![$((stringify!($name), $crate::locale::say!(@argument $name $(= $value)?))),*])
    }};
    ($one:literal | $other:literal, $count:ident $(= $number:expr)? $(, $name:ident $(= $value:expr)?)* $(,)?) => {{
        $crate::locale::say!(@check $one, $count $(, $name)*);
        $crate::locale::say!(@check $other, $count $(, $name)*);
        let count = $crate::locale::Argument::from($crate::locale::Count::from($crate::locale::say!(@value $count $(= $number)?)));
        $crate::locale::Phrase::new($one, Some($other), vec![
            (stringify!($count), count)
            $(, (stringify!($name), $crate::locale::say!(@argument $name $(= $value)?)))*
        ])
    }};
    // In an item of its own, which sees no local names: only what is given can be named.
    (@check $text:literal $(, $name:ident)*) => {
        const _: () = {
            assert!($crate::locale::placeholders_only($text), "a placeholder is a name in braces and nothing else");
            const _: fn() = || {
                let _ = format_args!($text $(, $name = "")*);
            };
        };
    };
    (@argument $name:ident $(= $value:expr)?) => {
        $crate::locale::Argument::from($crate::locale::say!(@value $name $(= $value)?))
    };
    (@value $name:ident) => { $name };
    (@value $name:ident = $value:expr) => { $value };
}
pub(crate) use say;

impl fmt::Display for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.in_language(Language::current()))
    }
}

/// As the sentence that it is: what a failed test shows.
impl fmt::Debug for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.in_language(Language::En), f)
    }
}

/// For tests, which expect English.
impl PartialEq<str> for Phrase {
    fn eq(&self, other: &str) -> bool {
        self.in_language(Language::En) == other
    }
}

impl PartialEq<&str> for Phrase {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

impl PartialEq<String> for Phrase {
    fn eq(&self, other: &String) -> bool {
        *self == **other
    }
}

impl Serialize for Phrase {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Of what was once written down, the words are left.
impl<'de> Deserialize<'de> for Phrase {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::verbatim)
    }
}

impl JsonSchema for Phrase {
    fn schema_name() -> Cow<'static, str> {
        String::schema_name()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        String::json_schema(generator)
    }
}

// What is not converted yet says its words as they are. These two go with the last of it.
#[cfg(test)]
impl From<String> for Phrase {
    fn from(words: String) -> Self {
        Self::verbatim(words)
    }
}

#[cfg(test)]
impl From<&str> for Phrase {
    fn from(words: &str) -> Self {
        Self::verbatim(words)
    }
}

impl From<Phrase> for Argument {
    fn from(phrase: Phrase) -> Self {
        Self::Phrase(phrase)
    }
}

impl From<&Phrase> for Argument {
    fn from(phrase: &Phrase) -> Self {
        Self::Phrase(phrase.clone())
    }
}

impl From<Fixed> for Phrase {
    fn from(text: Fixed) -> Self {
        Self::new("{words}", None, vec![("words", Argument::Fixed(text.0))])
    }
}

impl From<Fixed> for Argument {
    fn from(text: Fixed) -> Self {
        Self::Fixed(text.0)
    }
}

impl From<Count> for Argument {
    fn from(count: Count) -> Self {
        Self::Count(count.0)
    }
}

/// Conversions of texts and numbers.
macro_rules! arguments {
    (text: $($text:ty)*; number: $($number:ty)*; count: $($count:ty)*) => {
        $(impl From<$text> for Argument {
            fn from(text: $text) -> Self {
                Self::Text(text.into())
            }
        })*
        $(impl From<$number> for Argument {
            fn from(number: $number) -> Self {
                Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
            }
        })*
        $(impl From<$count> for Count {
            fn from(count: $count) -> Self {
                Self(u64::try_from(count).unwrap_or(u64::MAX))
            }
        })*
    };
}

arguments! {
    text: &str &String String Cow<'_, str> char;
    number: u8 u16 u32 u64 usize i32 i64;
    count: u8 u16 u32 u64 usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(phrase: &Phrase) -> [String; 2] {
        [Language::En, Language::Zh].map(|language| phrase.in_language(language))
    }

    #[test]
    fn an_argument_is_never_a_text_with_placeholders() {
        let (value, name) = ("{name} {{ %s {", "x");
        assert_eq!(say!("{value}, {name}", value, name), "{name} {{ %s {, x");
        assert_eq!(Phrase::verbatim("{words} }} {"), "{words} }} {");
        assert_eq!(say!("`{{{value}}}`", value = 1), "`{1}`", "doubled braces are braces");
        assert_eq!(say!("{words}", words = Fixed("{ env: NAME }")), "{ env: NAME }");
    }

    #[test]
    fn a_number_decides_on_the_form() {
        let more = |hidden: usize| {
            both(&say!(
                "... and {hidden} more problem, not shown" | "... and {hidden} more problems, not shown",
                hidden
            ))
        };
        assert_eq!(more(1), ["... and 1 more problem, not shown", "……另有 1 个问题未显示"]);
        assert_eq!(more(0), ["... and 0 more problems, not shown", "……另有 0 个问题未显示"]);
        assert_eq!(more(12_345), ["... and 12,345 more problems, not shown", "……另有 12,345 个问题未显示"]);
    }

    #[test]
    fn a_list_and_a_part_are_in_the_language_of_the_whole() {
        let why = say!("no such file");
        let phrase = say!("{files}: {why}", files = list(["a", "b"]), why);
        assert_eq!(both(&phrase), ["a, b: no such file", "a、b: 没有这个文件"], "`{{files}}: {{why}}` has no Chinese");
        let arguments = serde_json::json!({ "files": ["a", "b"], "why": "no such file" });
        assert_eq!(serde_json::Value::from(phrase.arguments()), arguments);
    }
}
