//! What the template engine says is wrong, in sentences of ours: its own words are read here and nowhere else.

use minijinja::{Error, ErrorKind};

use crate::{
    locale::{Argument, Phrase, list, say},
    text::nearest,
};

/// An error of a filter of ours, with its sentence.
#[derive(Debug)]
pub(super) struct Refused(Phrase);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Refused {}

/// An error whose sentence is ours.
pub(super) fn refused(message: Phrase) -> Error {
    Error::new(ErrorKind::InvalidOperation, "refused").with_source(Refused(message))
}

/// The tags that a template can have.
const TAGS: &[&str] = &[
    "if",
    "elif",
    "else",
    "endif",
    "for",
    "endfor",
    "set",
    "endset",
    "with",
    "endwith",
    "filter",
    "endfilter",
    "macro",
    "endmacro",
    "call",
    "endcall",
    "include",
    "import",
    "from",
    "extends",
    "block",
    "endblock",
    "raw",
    "endraw",
    "do",
];

/// What is wrong with the syntax of a template, and what to write instead.
pub(super) fn syntax(detail: &str) -> (Phrase, Option<Phrase>) {
    let found = |found: &str, expected: &str| {
        let (found, expected) = (part(found), part(expected));
        say!("found {found} where {expected} must follow", found, expected)
    };
    if let Some(rest) = detail.strip_prefix("unexpected ")
        && let Some((what, expected)) = rest.split_once(", expected ")
    {
        return (wrong(found(what, expected)), None);
    }
    if let Some(what) = detail.strip_prefix("unknown ").and_then(|rest| rest.strip_suffix(", expected statement")) {
        return (wrong(found(what, "statement")), None);
    }
    if let Some(name) = detail.strip_prefix("unknown statement ") {
        return (say!("unknown template tag `{name}`", name), nearest(name, TAGS.iter().copied()));
    }
    let after = |start: &str| detail.strip_prefix(start);
    let why = match detail {
        "unexpected input after end of variable block" | "unexpected input after expression" => {
            say!("there is something after the value")
        }
        "unexpected end of string" => say!("a text has no closing quote"),
        "unexpected end of comment" => say!("a comment has no `#}}`"),
        "unexpected end of raw block" => say!("`raw` has no `endraw`"),
        "unexpected character" => say!("a tag cannot contain this character"),
        "Too many arguments in function call" => say!("too many arguments"),
        "block tags in macros are not allowed" => say!("a macro cannot contain `block`"),
        "names starting with an underline can not be imported" => say!("names that start with `_` cannot be imported"),
        _ if detail.contains("at end of number") || detail.starts_with("invalid ") => say!("a number is not valid"),
        _ if detail.contains(" in call block") => say!("`call` must be followed by the call of a macro"),
        _ => match (after("cannot assign to reserved variable name "), after("unexpected "), quoted(detail)) {
            (Some(name), ..) => say!("the name `{name}` is reserved", name),
            (_, Some(what), _) => say!("{found} is not allowed here", found = part(what)),
            (.., Some(name)) if detail.contains("placed inside a loop") => {
                say!("`{name}` is allowed only inside `for`", name)
            }
            (.., Some(name)) if detail.contains("defined twice") => say!("the block `{name}` is defined twice", name),
            (.., Some(name)) if detail.starts_with("mismatching name") => {
                say!("`endblock` names `{name}`, which is another block", name)
            }
            _ => Phrase::verbatim(detail),
        },
    };
    (wrong(why), None)
}

fn wrong(why: Phrase) -> Phrase {
    say!("syntax error in the template: {why}", why)
}

/// A part of a template.
fn part(token: &str) -> Phrase {
    match token {
        "end of input" => say!("the end of the template"),
        "start of variable block" => Phrase::verbatim("`{{`"),
        "end of variable block" => Phrase::verbatim("`}}`"),
        "start of block" => Phrase::verbatim("`{%`"),
        "end of block" => Phrase::verbatim("`%}`"),
        "comma" => Phrase::verbatim("`,`"),
        "assignment operator" => Phrase::verbatim("`=`"),
        "missing keyword" => Phrase::verbatim("`missing`"),
        "template-data" => say!("plain text"),
        "identifier" => say!("a name"),
        "identifier or integer" => say!("a name or a number"),
        "string" => say!("quoted text"),
        "integer" | "float" => say!("a number"),
        "expression" => say!("a value"),
        "block keyword" | "statement" => say!("the name of a tag"),
        sign if sign.starts_with('`') => Phrase::verbatim(sign),
        word => Phrase::verbatim(format!("`{word}`")),
    }
}

/// The name between quotes.
fn quoted(detail: &str) -> Option<&str> {
    let (_, rest) = detail.split_once(['\'', '`', '"'])?;
    rest.split_once(['\'', '`', '"']).map(|(name, _)| name)
}

/// What a value is, by its kind.
pub(super) fn kind(kind: &str) -> Phrase {
    match kind {
        "none" => say!("nothing (`none`)"),
        "bool" => say!("true or false"),
        "map" => say!("a mapping"),
        "sequence" | "iterator" | "iterable" => say!("a list"),
        "string" => say!("text"),
        "number" | "integer" | "float" => say!("a number"),
        "undefined" => say!("not defined"),
        _ => say!("not a plain value"),
    }
}

/// Why a template that can be read cannot be rendered.
pub(super) fn failed(error: &Error) -> Phrase {
    if let Some(Refused(message)) = std::error::Error::source(error).and_then(|source| source.downcast_ref()) {
        return message.clone();
    }
    let detail = error.detail().unwrap_or_default();
    let name = |before: &str, after: &str| detail.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    match error.kind() {
        ErrorKind::UnknownFilter | ErrorKind::UnknownTest if detail.is_empty() => {
            say!("there is no such filter or test")
        }
        ErrorKind::UnknownFilter => {
            say!("unknown filter `{name}`", name = name("filter ", " is unknown").unwrap_or(detail))
        }
        ErrorKind::UnknownTest => {
            say!("unknown test `{name}`", name = name("test ", " is unknown").unwrap_or(detail))
        }
        ErrorKind::UnknownFunction => {
            say!("unknown function `{name}`", name = name("", " is unknown").unwrap_or(detail))
        }
        ErrorKind::UnknownMethod => match detail.split_once(" has no method named ") {
            Some((of, name)) => say!("{value} has no method `{name}`", value = kind(of), name),
            None => say!("there is no such method"),
        },
        ErrorKind::UnknownBlock => {
            say!("there is no block `{name}`", name = quoted(detail).unwrap_or_default())
        }
        ErrorKind::MissingArgument => match quoted(detail) {
            Some(name) => say!("the argument `{name}` is missing", name),
            None => say!("an argument is missing"),
        },
        ErrorKind::TooManyArguments => match quoted(detail) {
            Some(name) => say!("unknown argument `{name}`", name),
            None => say!("too many arguments"),
        },
        ErrorKind::BadEscape => say!("a quoted text contains an invalid escape"),
        ErrorKind::CannotUnpack => say!("the list has a different number of items than there are names for them"),
        _ => operation(detail)
            .unwrap_or_else(|| say!("the template cannot be rendered: {detail}", detail = words(error))),
    }
}

/// The engine's own words, for what no sentence here is about.
fn words(error: &Error) -> String {
    error.detail().filter(|detail| !detail.is_empty()).map_or_else(|| error.kind().to_string(), str::to_owned)
}

/// What an operation cannot do.
fn operation(detail: &str) -> Option<Phrase> {
    let between = |before: &str, middle: &str| detail.strip_prefix(before)?.split_once(middle);
    if let Some((operator, kinds)) = between("tried to use ", " operator on unsupported types ") {
        let kinds = list(kinds.split(" and ").map(|of| Argument::from(kind(of))));
        return Some(say!("`{operator}` cannot combine these values: {kinds}", operator, kinds));
    }
    if let Some(calculation) = detail.strip_prefix("unable to calculate ") {
        return Some(say!("cannot calculate `{calculation}`", calculation));
    }
    let needed = [
        ("cannot calculate length of value of type ", "length"),
        ("cannot join value of type ", "join"),
        ("cannot reverse values of type ", "reverse"),
        ("can only sum numbers, got ", "sum"),
        ("zip filter argument must be iterable, got ", "zip"),
    ];
    for (start, filter) in needed {
        if let Some(of) = detail.strip_prefix(start) {
            return Some(say!("`{filter}` does not work on this value: it is {value}", filter, value = kind(of)));
        }
    }
    if let Some(of) = detail.strip_suffix(" is not iterable") {
        return Some(say!("a list is needed here, but this is {value}", value = kind(of)));
    }
    if let Some((of, _)) = between("value of type ", " cannot be sliced") {
        return Some(say!("only a list or text can be sliced, and this is {value}", value = kind(of)));
    }
    if let Some((of, _)) =
        between("value of type ", " is not callable").or_else(|| between("", "object is not callable"))
    {
        return Some(say!("only a function or macro can be called, but this is {value}", value = kind(of)));
    }
    if let Some((of, _)) = between("cannot convert ", " to integer").or_else(|| between("cannot convert ", " to float"))
    {
        return Some(say!("a number is needed here, but this is {value}", value = kind(of)));
    }
    if let Some((of, _)) = between("cannot convert ", " to ") {
        return Some(say!("this value has the wrong type: {value}", value = kind(of)));
    }
    if let Some((of, _)) = between("cannot round value (", ")") {
        return Some(say!("a number is needed here, but this is {value}", value = kind(of)));
    }
    fixed(detail)
}

/// What an operation cannot do, where the engine says it without the values.
fn fixed(detail: &str) -> Option<Phrase> {
    Some(match detail {
        "" => say!("the operation does not work on these values"),
        "value is not a string" | "template name was not a string" => say!("text is needed here"),
        "not iterable" | "value is not iterable" | "cannot convert value to list" => say!("a list is needed here"),
        "cannot convert value into pair list" | "cannot convert value into pairs" => say!("a mapping is needed here"),
        "cannot get first item from value" | "cannot get last item from value" => {
            say!("a list or text is needed here")
        }
        "cannot get absolute value" | "unable to round value" => say!("a number is needed here"),
        "cannot perform a containment check on this value" => say!("`in` needs a list, a mapping or text on its right"),
        "count cannot be 0" | "cannot create range with step of 0" | "cannot slice by step size of 0" => {
            say!("the number must not be 0")
        }
        "range has too many elements" => say!("`range` has too many elements"),
        "recursion limit exceeded" => say!("the template includes or calls itself too often"),
        "repeated string is too large" | "repeated sequence is too large" => say!("the repeated value is too large"),
        "strings can only be multiplied with integers"
        | "sequences and iterables can only be multiplied with integers" => {
            say!("text and lists can only be multiplied by whole numbers")
        }
        "tried to extend a second time in a template" => say!("a template can have only one `extends`"),
        "method must be common, ceil or floor" => say!("the method must be `common`, `ceil` or `floor`"),
        "overflow on abs" | "rounded value is too large to represent" => say!("the number is too large"),
        "filter name is required" | "filter name must be a string" => say!("the name of a filter is missing"),
        _ if detail.starts_with("invalid ") && (detail.contains("digit") || detail.contains("literal")) => {
            say!("the text is not a number")
        }
        _ if detail.contains("assign to namespaces") => say!("only values in a `namespace` can be set this way"),
        _ if detail.starts_with("cycle in template inheritance") => say!("the templates extend each other in a circle"),
        _ if detail.starts_with("duplicate argument") || detail.starts_with("unknown keyword argument") => {
            say!("unknown or repeated argument `{name}`", name = quoted(detail)?)
        }
        _ if detail.contains("format spec")
            || detail.contains("format key")
            || detail.contains("format string")
            || detail.contains("format field")
            || detail.contains("format argument") =>
        {
            say!("the text before `format` does not fit its arguments")
        }
        _ if detail.ends_with("takes one argument") => say!("too many arguments"),
        _ if detail.contains("recurs") => say!("`loop` can be called only in a `for` with `recursive`"),
        _ if detail.contains("super") || detail.contains("no parent block") => {
            say!("`super` can be used only in a block that replaces another")
        }
        _ => return None,
    })
}
