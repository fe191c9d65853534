//! Faults on demand: what a network, a proxy or an overloaded platform does to a request.
//!
//! A fault is written `KIND[:done][@PATH][#WHEN]`, or `lossy[:WHAT][@PATH][#WHEN]`; see [`Fault`].

use std::{fmt, str::FromStr};

use super::editor::Loss;
use super::routes::{gives_refresh_token, is_mass, known_paths, writes_draft};
use super::when::{BadFault, When, parse_when};
use crate::locale::say;

/// What happens to a request instead of a proper answer.
///
/// | kind | what the client sees |
/// |---|---|
/// | `drop` | the connection is closed without an answer |
/// | `cut` | the answer breaks off in the middle |
/// | `html` | HTTP 502 with a page of HTML |
/// | `empty` | HTTP 200 with nothing in it |
/// | `stall` | no answer ever; the connection stays open |
/// | a number | that errcode, such as `-1` |
/// | `lossy` | success, and the first article of the draft has lost its last word, its first picture and its first style |
/// | `lossy:word`, `lossy:picture`, `lossy:style` | the same, and only that is lost |
/// | `rotate` | a token by way of a third-party platform, with another refresh token; the one before works no more |
///
/// By itself nothing was done; with `:done` the request is carried out first. `lost` is short for `drop:done`.
///
/// `@PATH` says which requests it is for, by the end of their path (`@mass/send`, `@token`); without it, mass calls.
/// `lossy` is for `draft/add` and `draft/update`, both without `@PATH`; `rotate` is for `api_authorizer_token` alone.
/// `#WHEN` counts them from 1: `#3` the third, `#2-4` three of them, `#2-` all from the second on, `#30%` by chance;
/// without it, the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    kind: Kind,
    done: bool,
    path: Option<String>,
    when: When,
}

/// What the client sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The connection is closed.
    Drop,
    /// Half an answer.
    Cut,
    /// A page of some proxy.
    Html,
    /// Nothing, with HTTP 200.
    Empty,
    /// No answer ever.
    Stall,
    Code(i64),
    /// A draft that loses something.
    Lossy(Loss),
    /// A token that comes with another refresh token.
    Rotate,
}

const KINDS: &[(&str, Kind)] = &[
    ("drop", Kind::Drop),
    ("cut", Kind::Cut),
    ("html", Kind::Html),
    ("empty", Kind::Empty),
    ("stall", Kind::Stall),
    ("rotate", Kind::Rotate),
];

const LOSSES: &[(&str, Loss)] = &[
    ("lossy", Loss { word: true, picture: true, style: true }),
    ("lossy:word", Loss { word: true, picture: false, style: false }),
    ("lossy:picture", Loss { word: false, picture: true, style: false }),
    ("lossy:style", Loss { word: false, picture: false, style: true }),
];

impl FromStr for Fault {
    type Err = BadFault;

    fn from_str(text: &str) -> Result<Self, BadFault> {
        let (rest, when) = text.split_once('#').map_or((text, None), |(rest, when)| (rest, Some(when)));
        let (kind, path) = rest.split_once('@').map_or((rest, None), |(kind, path)| (kind, Some(path)));
        let (kind, done) = match kind.strip_suffix(":done") {
            Some(kind) => (kind, true),
            None if kind == "lost" => ("drop", true),
            None => (kind, false),
        };
        let known = KINDS.iter().find(|(name, _)| *name == kind).map(|(_, kind)| *kind);
        let loss = LOSSES.iter().find(|(name, _)| *name == kind && !done).map(|(_, loss)| Kind::Lossy(*loss));
        let known = known.or(loss);
        let kind = known.or_else(|| kind.parse().ok().filter(|code| *code != 0).map(Kind::Code)).ok_or_else(|| {
            BadFault(say!(
                "`{kind}` is not a fault; write drop, lost, cut, html, empty, stall, lossy, rotate or an errcode such as -1",
                kind
            ))
        })?;
        if let Some(path) = path.filter(|path| path.is_empty() || !known_paths().any(|known| known.ends_with(path))) {
            return Err(BadFault(say!("no API path ends with `{path}`; write for example @mass/send or @token", path)));
        }
        if let (Kind::Lossy(_), Some(path)) = (kind, path)
            && !known_paths().any(|known| known.ends_with(path) && writes_draft(known))
        {
            return Err(BadFault(say!(
                "`{path}` stores nothing; `lossy` works for drafts, so write @draft/add or @draft/update",
                path
            )));
        }
        if let (Kind::Rotate, Some(path)) = (kind, path)
            && !known_paths().any(|known| known.ends_with(path) && gives_refresh_token(known))
        {
            return Err(BadFault(say!(
                "`{path}` gives no refresh token; `rotate` works for @api_authorizer_token",
                path
            )));
        }
        let when = when.map_or(Ok(When::Numbers(1, 1)), parse_when)?;
        Ok(Fault { kind, done, path: path.map(str::to_owned), when })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Code(code) => write!(f, "{code}")?,
            Kind::Lossy(loss) => {
                f.write_str(LOSSES.iter().find(|(_, known)| *known == loss).map_or("", |(name, _)| name))?;
            }
            kind => f.write_str(KINDS.iter().find(|(_, known)| *known == kind).map_or("", |(name, _)| name))?,
        }
        f.write_str(if self.done { ":done" } else { "" })
    }
}

/// What is to happen to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Planned {
    /// What the client sees.
    pub(crate) kind: Kind,
    /// Whether the request is carried out all the same.
    pub(crate) done: bool,
    /// In words.
    pub(crate) name: String,
}

impl Planned {
    /// What a draft is to lose.
    pub(super) fn loss(&self) -> Option<Loss> {
        if let Kind::Lossy(loss) = self.kind { Some(loss) } else { None }
    }
}

/// The faults of a sandbox, and how far they are.
#[derive(Debug)]
pub(super) struct Faults {
    faults: Vec<(Fault, u64)>,
    chance: u64,
}

impl Faults {
    pub(super) fn new(faults: &[Fault], seed: u64) -> Self {
        // Zero would stay zero.
        Faults { faults: faults.iter().map(|fault| (fault.clone(), 0)).collect(), chance: seed | 1 }
    }

    /// Whether a fault is for requests to a path.
    fn concerns(fault: &Fault, path: &str) -> bool {
        let meant = fault.path.as_ref().map(|end| path.ends_with(end.as_str()));
        match fault.kind {
            Kind::Lossy(_) => meant.unwrap_or(true) && writes_draft(path),
            Kind::Rotate => meant.unwrap_or(true) && gives_refresh_token(path),
            _ => meant.unwrap_or_else(|| is_mass(path)),
        }
    }

    /// Counts a request; the first fault that is due hits it.
    pub(super) fn next(&mut self, path: &str) -> Option<Planned> {
        let mut hit = None;
        for (fault, seen) in &mut self.faults {
            if !Self::concerns(fault, path) {
                continue;
            }
            *seen += 1;
            let due = fault.when.is_due(*seen, &mut self.chance);
            if due && hit.is_none() {
                // Something is lost only by what was carried out.
                let done = fault.done || matches!(fault.kind, Kind::Lossy(_) | Kind::Rotate);
                hit = Some(Planned { kind: fault.kind, done, name: fault.to_string() });
            }
        }
        hit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEND: &str = "/cgi-bin/message/mass/send";

    fn hits(text: &str, path: &str, requests: usize) -> String {
        let mut faults = Faults::new(&[text.parse().expect("a fault")], 7);
        (0..requests).map(|_| if faults.next(path).is_some() { 'x' } else { '.' }).collect()
    }

    #[test]
    fn a_fault_says_what_where_and_when() {
        assert_eq!(hits("drop", SEND, 3), "x..");
        assert_eq!(hits("lost#2", SEND, 3), ".x.");
        assert_eq!(hits("-1@mass/sendall#2-3", "/cgi-bin/message/mass/sendall", 4), ".xx.");
        assert_eq!(hits("-1@mass/sendall", SEND, 2), "..");
        assert_eq!(hits("stall@token#2-", "/cgi-bin/stable_token", 4), ".xxx");
        assert_eq!(hits("html", "/cgi-bin/message/mass/preview", 2), "..");
        assert_eq!(hits("cut@media/uploadimg#2", "/cgi-bin/media/uploadimg", 2), ".x");
        assert_eq!(hits("lossy#1-", "/cgi-bin/draft/add", 2), "xx");
        assert_eq!(hits("lossy:style", "/cgi-bin/draft/update", 2), "x.");
        assert_eq!(hits("lossy@draft/update", "/cgi-bin/draft/add", 2), "..");
        assert_eq!(hits("lossy", "/cgi-bin/draft/get", 1) + &hits("lossy", SEND, 1), "..");
        assert_eq!(hits("rotate#2-", "/cgi-bin/component/api_authorizer_token", 3), ".xx");
        assert_eq!(hits("rotate", SEND, 1), ".");
        assert_eq!(hits("html@mass/preview", "/cgi-bin/message/mass/preview", 2), "x.");
        let by_chance = hits("cut:done#30%", SEND, 1000);
        assert!((250..350).contains(&by_chance.matches('x').count()));
        assert_eq!(by_chance, hits("cut:done#30%", SEND, 1000), "the same seed gives the same faults");
    }

    #[test]
    fn names_are_read_again() {
        for (text, name) in [
            ("lost", "drop:done"),
            ("-1:done@token#3", "-1:done"),
            ("lossy:word@draft/add", "lossy:word"),
            ("45028", "45028"),
        ] {
            assert_eq!(text.parse::<Fault>().expect("a fault").to_string(), name);
        }
    }

    #[test]
    fn what_is_no_fault_is_said() {
        for text in [
            "",
            "0",
            "dorp",
            "drop@",
            "drop@nothing",
            "drop#0",
            "drop#3-2",
            "drop#x",
            "drop#101%",
            "lost:done",
            "lossy:done",
            "lossy:title",
            "lossy@mass/send",
            "rotate@stable_token",
        ] {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
    }
}
