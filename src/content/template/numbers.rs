//! How numbers come into text: in the form in which they were written, or as a person would write what was computed.

use std::{
    collections::HashMap,
    fmt::Write as _,
    sync::{Arc, Mutex},
};

use minijinja::{
    Environment, Error, ErrorKind, State,
    value::{Object, Rest, Value, ValueKind},
};

/// The keys of a context under which the forms of numbers stand; no template can name them.
pub(crate) const OF_PLAN: &str = "\u{fdd4}plan";
pub(crate) const OF_ROW: &str = "\u{fdd4}row";
/// Begins the detail of an error of this module.
pub(super) const NO_FORM: char = '\u{fdd4}';
/// The filter by which `~` sees what is put into text.
const WRITTEN: &str = "__written";
/// The filter `join` of minijinja.
const JOIN: &str = "__join";
/// Prices have two digits after the point, coordinates six; what has more was computed.
const DECIMALS_MOST: usize = 10;

/// The forms in which numbers with a point or an exponent were written, by their values.
#[derive(Debug, Clone, Default)]
pub(crate) struct Forms(HashMap<u64, Vec<String>>);

impl Object for Forms {}

impl Forms {
    /// Takes a number as it is written.
    pub(crate) fn note(&mut self, written: &str) {
        let digits = written.strip_prefix('-').unwrap_or(written);
        // It is kept as it is.
        if digits.parse::<u64>().is_ok() && written.parse::<i64>().is_ok() {
            return;
        }
        if !written.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-')) {
            return;
        }
        if let Ok(value) = written.parse::<f64>() {
            let forms = self.0.entry(value.to_bits()).or_default();
            // Two say that there are several.
            if forms.len() < 2 && !forms.iter().any(|known| known == written) {
                forms.push(written.to_owned());
            }
        }
    }

    /// Takes the numbers of a JSON text.
    pub(crate) fn note_json(&mut self, text: &str) {
        let mut rest = text;
        while let Some(at) = rest.find(|c: char| c == '"' || c == '-' || c.is_ascii_digit()) {
            rest = &rest[at..];
            let length = if rest.starts_with('"') {
                let mut escaped = false;
                let end = rest.bytes().skip(1).position(|b| {
                    let ends = b == b'"' && !escaped;
                    escaped = b == b'\\' && !escaped;
                    ends
                });
                end.map_or(rest.len(), |end| end + 2)
            } else {
                let of_number = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E');
                let length = rest.find(|c| !of_number(c)).unwrap_or(rest.len());
                self.note(&rest[..length]);
                length
            };
            rest = &rest[length..];
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As a value of a context.
    pub(crate) fn value(self) -> Value {
        Value::from_object(self)
    }
}

/// The forms that count while a template is rendered.
#[derive(Debug, Clone, Default)]
pub(super) struct Current(Arc<Mutex<Vec<Vec<Value>>>>);

impl Current {
    /// The forms for a template: of its row if it speaks of that alone, else of the plan, and then of the other.
    pub(super) fn of(&self, source: &str, context: &Value) {
        let of = |key| context.get_attr(key).ok().filter(|forms| !forms.is_undefined());
        let (row, plan) = (of(OF_ROW), of(OF_PLAN));
        let forms = match (source.contains("row"), source.contains("vars")) {
            (true, true) => vec![row.into_iter().chain(plan).collect()],
            (true, false) => vec![Vec::from_iter(row), Vec::from_iter(plan)],
            (false, _) => vec![Vec::from_iter(plan), Vec::from_iter(row)],
        };
        if let Ok(mut current) = self.0.lock() {
            *current = forms;
        }
    }

    /// The text of a number that is no integer.
    pub(super) fn text(&self, value: &Value) -> Result<String, Error> {
        let no_form = |why: String| Err(Error::new(ErrorKind::BadSerialization, format!("{NO_FORM}{why}")));
        let Ok(number) = f64::try_from(value.clone()) else { return Ok(value.to_string()) };
        if !number.is_finite() {
            return no_form("infinite".into());
        }
        let current = self.0.lock().map(|current| current.clone()).unwrap_or_default();
        let known = |forms: &Vec<Value>| -> Vec<String> {
            let known = forms.iter().filter_map(|forms| forms.downcast_object_ref::<Forms>()?.0.get(&number.to_bits()));
            known.flatten().cloned().collect()
        };
        let mut written = current.iter().map(known).find(|known| !known.is_empty()).unwrap_or_default();
        written.sort_unstable();
        written.dedup();
        match written.as_slice() {
            [] => {}
            [one] => return Ok(one.clone()),
            [one, other, ..] => return no_form(format!("{one} {other}")),
        }
        let text = plain(number);
        let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
        if decimals > DECIMALS_MOST { no_form(text) } else { Ok(text) }
    }
}

/// Whether a value has a form that others than [`Current::text`] do not know.
pub(super) fn is_float(value: &Value) -> bool {
    value.kind() == ValueKind::Number && !value.is_integer()
}

/// A number as a person writes it: 59.7 and not 59.699999999999996, 2 and not 2.0.
fn plain(number: f64) -> String {
    let mut text = number.to_string();
    let digits = text.trim_start_matches(['-', '0', '.']).bytes().filter(u8::is_ascii_digit).count();
    // A float has 15 digits that are its own; what follows comes from how it is stored.
    if digits > 15 && number.abs() < 1e15 {
        let mut exact = String::new();
        let _ = write!(exact, "{number:.14e}");
        text = exact.parse::<f64>().map_or(text, |number| number.to_string());
    }
    if text == "-0" { "0".into() } else { text }
}

/// The filters that make text of values.
pub(super) fn add(env: &mut Environment<'_>, current: &Current) {
    let of = current.clone();
    let written =
        move |value: &Value| if is_float(value) { of.text(value).map(Value::from) } else { Ok(value.clone()) };
    let of = current.clone();
    env.add_filter("string", move |state: &State<'_, '_>, value: &Value| match is_float(value) {
        true => of.text(value).map(Value::from),
        false => minijinja::filters::string(state, value),
    });
    env.add_filter(JOIN, minijinja::filters::join);
    let of = written.clone();
    env.add_filter("join", move |state: &mut State<'_, '_>, value: &Value, more: Rest<Value>| {
        let items = match value.kind() {
            ValueKind::Seq | ValueKind::Iterable => value.try_iter()?.collect::<Vec<_>>(),
            _ => Vec::new(),
        };
        state.consume_fuel(items.len() as u64)?;
        let value = match items.iter().any(is_float) {
            // To find its form takes longer than to visit it.
            true if state.consume_fuel(3 * items.len() as u64).is_err() => return Err(ErrorKind::OutOfFuel.into()),
            true => items.iter().map(&of).collect::<Result<Vec<_>, _>>()?.into(),
            false => value.clone(),
        };
        let given: Vec<Value> = std::iter::once(value).chain(more.0).collect();
        state.apply_filter(JOIN, &given)
    });
    env.add_filter(WRITTEN, written);
}

/// The source with the sides of each `~` as they come into text; none if it has none. Lines stay where they are.
pub(super) fn with_written_sides(source: &str) -> Option<String> {
    if !source.contains('~') {
        return None;
    }
    let (mut out, mut from, mut changed) = (String::with_capacity(source.len() * 2), 0, false);
    while let Some(open) = source[from..].find('{').map(|at| from + at) {
        let close = match source.as_bytes().get(open + 1) {
            Some(b'{') => "}}",
            Some(b'%') => "%}",
            Some(b'#') => {
                let end = source[open..].find("#}").map_or(source.len(), |at| open + at + 2);
                out.push_str(&source[from..end]);
                from = end;
                continue;
            }
            _ => {
                out.push_str(&source[from..=open]);
                from = open + 1;
                continue;
            }
        };
        let body = open + 2;
        let tokens = tokens(&source[body..], close);
        let end = tokens.last().map_or(body, |last| body + last.end);
        out.push_str(&source[from..body]);
        let sides = sides(&tokens);
        changed |= !sides.is_empty();
        let mut at = body;
        let mut marks: Vec<(usize, usize, String)> = Vec::new();
        for (start, end) in sides {
            marks.push((body + start, 1, "(".into()));
            marks.push((body + end, 0, format!(")|{WRITTEN}")));
        }
        marks.sort_by_key(|(at, order, _)| (*at, *order));
        for (place, _, mark) in marks {
            out.extend([&source[at..place], &mark]);
            at = place;
        }
        out.push_str(&source[at..end]);
        from = end;
        if source[body..end].trim_start_matches(['-', '+']).trim_start().starts_with("raw") && close == "%}" {
            let raw = source[end..].find("endraw").map_or(source.len(), |at| end + at);
            out.push_str(&source[from..raw]);
            from = raw;
        }
    }
    out.push_str(&source[from..]);
    changed.then_some(out)
}

/// A piece of a tag.
#[derive(Debug, Clone, Copy)]
struct Token {
    start: usize,
    end: usize,
    /// How many brackets are open around it.
    depth: usize,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A name, a number, a text, a dot, a bar: part of a side wherever it stands.
    Part,
    Open,
    Close,
    Sign,
    /// `*`, `/`, `%`.
    Times,
    Tilde,
    /// What no side of a `~` holds.
    Ends,
}

/// The pieces of a tag up to its end; whitespace control is none of them.
fn tokens(body: &str, close: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut depth = 0_usize;
    let mut at = usize::from(body.starts_with(['-', '+']));
    while let Some(c) = body[at..].chars().next() {
        let rest = &body[at..];
        if depth == 0
            && (rest.starts_with(close) || rest.strip_prefix(['-', '+']).is_some_and(|rest| rest.starts_with(close)))
        {
            break;
        }
        let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
        let (kind, length) = match c {
            c if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            '"' | '\'' => {
                let mut escaped = false;
                let end = rest.char_indices().skip(1).find(|(_, next)| {
                    let ends = *next == c && !escaped;
                    escaped = *next == '\\' && !escaped;
                    ends
                });
                (Kind::Part, end.map_or(rest.len(), |(end, _)| end + 1))
            }
            c if word(c) => {
                let length = rest.find(|c| !word(c)).unwrap_or(rest.len());
                let keyword = matches!(
                    &rest[..length],
                    "and"
                        | "or"
                        | "not"
                        | "in"
                        | "is"
                        | "if"
                        | "elif"
                        | "else"
                        | "for"
                        | "set"
                        | "with"
                        | "do"
                        | "filter"
                        | "call"
                        | "macro"
                );
                (if keyword { Kind::Ends } else { Kind::Part }, length)
            }
            '|' => (Kind::Part, 1),
            '(' | '[' | '{' => (Kind::Open, 1),
            ')' | ']' | '}' => (Kind::Close, 1),
            '+' | '-' => (Kind::Sign, 1),
            '*' | '/' | '%' => (Kind::Times, 1),
            '~' => (Kind::Tilde, 1),
            c => (Kind::Ends, c.len_utf8()),
        };
        if kind == Kind::Close {
            depth = depth.saturating_sub(1);
        }
        tokens.push(Token { start: at, end: at + length, depth, kind });
        depth += usize::from(kind == Kind::Open);
        at += length;
    }
    tokens
}

/// The sides of the `~` of a tag, each once.
fn sides(tokens: &[Token]) -> Vec<(usize, usize)> {
    let mut sides = Vec::new();
    for (at, tilde) in tokens.iter().enumerate().filter(|(_, token)| token.kind == Kind::Tilde) {
        let outside = |token: &Token| {
            token.depth < tilde.depth || (token.depth == tilde.depth && matches!(token.kind, Kind::Ends | Kind::Tilde))
        };
        // A sign belongs to what follows it unless there is something before it.
        let between = |index: usize| {
            tokens[index].kind == Kind::Sign
                && tokens[index].depth == tilde.depth
                && index.checked_sub(1).is_some_and(|before| matches!(tokens[before].kind, Kind::Part | Kind::Close))
        };
        let mut first = at;
        while let Some(before) = first.checked_sub(1).filter(|before| !outside(&tokens[*before]) && !between(*before)) {
            first = before;
        }
        let mut last = at;
        while let Some(after) = tokens.get(last + 1).filter(|after| !outside(after)) {
            if between(last + 1) {
                break;
            }
            debug_assert!(after.start >= tilde.end);
            last += 1;
        }
        if first == at || last == at {
            continue;
        }
        for side in [(tokens[first].start, tokens[at - 1].end), (tokens[at + 1].start, tokens[last].end)] {
            if !sides.contains(&side) {
                sides.push(side);
            }
        }
    }
    sides
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::content::template::Engine;

    fn context(forms: Forms, values: serde_json::Value) -> Value {
        let members = values.as_object().expect("a mapping").iter();
        let members = members.map(|(name, value)| (name.clone(), Value::from(minijinja::value::Serde(value))));
        let mut context: BTreeMap<String, Value> = members.collect();
        context.insert(OF_PLAN.to_owned(), forms.value());
        Value::from(context)
    }

    fn rendered(source: &str) -> String {
        let mut forms = Forms::default();
        for written in ["198.50", "3.10", "1e5", "123456789012345678901234567890", "2.0", "19.9"] {
            forms.note(written);
        }
        let values = serde_json::json!({
            "price": 198.5, "version": 3.1, "code": 1e5, "long": 123456789012345678901234567890_f64, "two": 2.0,
            "tea": 19.9, "n": 3, "prices": [198.5, 19.9],
        });
        let context = context(forms, values);
        match Engine::default().render(source, &context) {
            Ok(text) => text,
            Err(failures) => format!("! {}", failures[0].message),
        }
    }

    #[test]
    fn a_number_keeps_the_form_in_which_it_was_written() {
        for (source, text) in [
            ("{{ price }} {{ version }} {{ code }}", "198.50 3.10 1e5"),
            ("{{ long }}", "123456789012345678901234567890"),
            ("{{ price ~ '元' }}", "198.50元"),
            ("{{ 'v' ~ version ~ '/' ~ two }}", "v3.10/2.0"),
            ("{% set x = price ~ '元' %}{{ x }}", "198.50元"),
            ("{% for p in prices %}{{ p ~ '元' }},{% endfor %}", "198.50元,19.9元,"),
            ("{{ prices | join('、') }}", "198.50、19.9"),
            ("{{ price | string }}", "198.50"),
            ("{{ price | money }}", "¥198.50"),
        ] {
            assert_eq!(rendered(source), text, "{source}");
        }
    }

    #[test]
    fn a_computed_number_is_as_a_person_writes_it() {
        for (source, text) in [
            ("{{ tea * 3 }}", "59.7"),
            ("{{ tea * 100 }}", "1990"),
            ("{{ n * 1.1 }}", "3.3"),
            ("{{ 10 / 4 * 2 }}", "5"),
            ("{{ 0.1 + 0.2 }}", "0.3"),
            ("{{ tea * 3 ~ ' 元' }}", "59.7 元"),
            ("{{- ('共 ' ~ tea * 3 - 1) if false else 'x' ~ -tea * 3 -}}", "x-59.7"),
            ("{{ [tea * 3, 1] | join('+') }}", "59.7+1"),
            ("{{ 0 * -1.5 }}", "0"),
            ("{% raw %}{{ a ~ b }}{% endraw %}{{ 'a' ~ n }}", "{{ a ~ b }}a3"),
        ] {
            assert_eq!(rendered(source), text, "{source}");
        }
        assert!(rendered("{{ 10 / 3 }}").contains("3.33333333333333"), "{}", rendered("{{ 10 / 3 }}"));
    }

    #[test]
    fn two_forms_of_one_number_are_told_apart_by_quotes() {
        let mut forms = Forms::default();
        forms.note("3.1");
        forms.note("3.10");
        let context = context(forms, serde_json::json!({ "version": 3.1 }));
        let failure = Engine::default().render("{{ version }}", &context).expect_err("of two forms").remove(0);
        let message = failure.message.to_string();
        assert!(message.contains("`3.1`") && message.contains("`3.10`"), "{message}");
    }

    #[test]
    fn numbers_are_found_in_json() {
        let mut forms = Forms::default();
        forms.note_json(
            r#"{"id":1,"a \" 5.50":"7.70","price":198.50,"no":123456789012345678901234567890,"x":[-1.0e3]}"#,
        );
        let mut all: Vec<&String> = forms.0.values().flatten().collect();
        all.sort();
        assert_eq!(all, ["-1.0e3", "123456789012345678901234567890", "198.50"]);
    }
}
