//! Which of several things a fault is for, and why a text is no fault.

use std::fmt;

use crate::locale::{Phrase, say};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// From the first to the last of these numbers.
    Numbers(u64, u64),
    /// So many of a hundred.
    Percent(u64),
}

impl When {
    /// Whether the thing of this number, from 1, is meant; `chance` goes on for those by chance.
    pub(super) fn is_due(self, number: u64, chance: &mut u64) -> bool {
        match self {
            When::Numbers(first, last) => (first..=last).contains(&number),
            When::Percent(percent) => {
                // xorshift: the same seed gives the same faults everywhere.
                *chance ^= *chance << 13;
                *chance ^= *chance >> 7;
                *chance ^= *chance << 17;
                *chance % 100 < percent
            }
        }
    }
}

/// Why a text is no fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadFault(pub(super) Phrase);

impl fmt::Display for BadFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for BadFault {}

pub(super) fn parse_when(text: &str) -> Result<When, BadFault> {
    let number = |text: &str| text.parse::<u64>().ok().filter(|number| *number > 0);
    let parsed = match (text.strip_suffix('%'), text.split_once('-')) {
        (Some(percent), _) => number(percent).filter(|percent| *percent <= 100).map(When::Percent),
        (None, Some((first, ""))) => number(first).map(|first| When::Numbers(first, u64::MAX)),
        (None, Some((first, last))) => {
            number(first).zip(number(last)).filter(|(first, last)| first <= last).map(|(a, b)| When::Numbers(a, b))
        }
        (None, None) => number(text).map(|number| When::Numbers(number, number)),
    };
    parsed.ok_or_else(|| BadFault(say!("`#{text}` is not valid; write #3, #2-4, #2- or #30%", text)))
}
