//! Shards: accounts in so many parts of nearly the same size, for engines that start fewer jobs than there are accounts.

use std::{fmt, ops::Range, str::FromStr};

/// One of several parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// From 1.
    number: usize,
    of: usize,
}

impl Shard {
    /// All of so many.
    pub fn all(of: usize) -> impl Iterator<Item = Self> {
        (1..=of).map(move |number| Self { number, of })
    }

    /// Which of so many things are in it. Each is in exactly one of the shards.
    pub fn range(self, things: usize) -> Range<usize> {
        let end = |number: usize| (number as u128 * things as u128 / self.of as u128) as usize;
        end(self.number - 1)..end(self.number)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl FromStr for Shard {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (number, of) = text.split_once('/').ok_or(())?;
        let (number, of) = (number.trim().parse().map_err(drop)?, of.trim().parse().map_err(drop)?);
        if (1..=of).contains(&number) { Ok(Self { number, of }) } else { Err(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_is_in_exactly_one_shard_of_nearly_the_same_size() {
        for (things, shards) in [(0, 3), (1, 1), (5, 3), (7, 7), (4_000, 100), (10, 64), (1_001, 100)] {
            let ranges: Vec<Range<usize>> = Shard::all(shards).map(|shard| shard.range(things)).collect();
            assert_eq!(ranges.concat_ends(), (0, things), "{things} in {shards}");
            assert!(ranges.windows(2).all(|pair| pair[0].end == pair[1].start));
            let sizes = || ranges.iter().map(ExactSizeIterator::len);
            assert!(sizes().max() <= sizes().min().map(|least| least + 1));
        }
    }

    trait Ends {
        fn concat_ends(&self) -> (usize, usize);
    }

    impl Ends for Vec<Range<usize>> {
        fn concat_ends(&self) -> (usize, usize) {
            (self.first().map_or(0, |first| first.start), self.last().map_or(0, |last| last.end))
        }
    }

    #[test]
    fn shards_are_read_as_they_are_written() {
        for text in ["1/1", "3/100"] {
            assert_eq!(text.parse::<Shard>().map(|shard| shard.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "1", "0/3", "4/3", "1/0", "a/b", "-1/2"] {
            assert_eq!(text.parse::<Shard>(), Err(()), "{text}");
        }
    }
}
