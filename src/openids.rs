//! Openids, many of them: one text and where each ends, so that ten million take little more than their own bytes.

use std::{hash::BuildHasher, ops::Range};

/// A list of openids, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Openids {
    text: String,
    count: usize,
    /// How long each is, as long as all are as long as the first: real ones are.
    width: usize,
    /// Where each ends in the text, once they differ in length.
    ends: Vec<u32>,
}

/// More text than a list can hold (4 GiB).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany;

impl Openids {
    /// Adds one at the end.
    pub fn push(&mut self, openid: &str) -> Result<(), TooMany> {
        let end = u32::try_from(self.text.len() + openid.len()).map_err(|_| TooMany)?;
        if self.count == 0 {
            self.width = openid.len();
        }
        if openid.len() != self.width || !self.ends.is_empty() {
            self.spell_out();
            self.ends.push(end);
        }
        self.text.push_str(openid);
        self.count += 1;
        Ok(())
    }

    /// Notes where each ends.
    fn spell_out(&mut self) {
        if self.ends.is_empty() {
            // All fit into 4 GiB, so their ends fit into 32 bits.
            self.ends = (1..=self.count).map(|number| (number * self.width) as u32).collect();
        }
    }

    /// Adds a list at the end.
    pub fn append(&mut self, other: &Openids) -> Result<(), TooMany> {
        other.iter().try_for_each(|openid| self.push(openid))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn place(&self, index: usize) -> Range<usize> {
        if self.ends.is_empty() {
            return index * self.width..(index + 1) * self.width;
        }
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        start as usize..self.ends[index] as usize
    }

    /// The openid with that number, from 0; empty past the end.
    pub fn get(&self, index: usize) -> &str {
        if index < self.count { &self.text[self.place(index)] } else { "" }
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> + Clone {
        self.range(0..self.count)
    }

    /// Those with these numbers.
    pub fn range(&self, range: Range<usize>) -> impl Iterator<Item = &str> + Clone {
        range.map(|index| self.get(index))
    }

    /// Gives back memory that was kept for more.
    pub fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    /// Keeps the first mention of each, and leaves out who is excluded. Gives how many were mentioned again, and how many
    /// were left out.
    ///
    /// Memory is touched in order: the openids are first parted by their hashes, so that what is compared fits into the
    /// cache of a processor. Equality is that of the text; a hash alone leaves nobody out.
    pub fn unique(&mut self, excluded: &Openids) -> (usize, usize) {
        let found = repeated(excluded, self);
        let (again, left_out) =
            found.iter().fold((0, 0), |(again, out), found| (again + found.again, out + found.left_out));
        if again + left_out > 0 {
            let mut gone = vec![0_u64; self.len().div_ceil(64)];
            for index in found.iter().flat_map(|found| &found.gone) {
                gone[*index as usize / 64] |= 1 << (index % 64);
            }
            self.remove(&gone);
        }
        (again, left_out)
    }

    /// Removes those whose bit is set.
    fn remove(&mut self, gone: &[u64]) {
        let mut bytes = std::mem::take(&mut self.text).into_bytes();
        let (mut to, mut kept) = (0, 0);
        for index in 0..self.count {
            let place = self.place(index);
            if gone[index / 64] & (1 << (index % 64)) == 0 {
                let length = place.len();
                bytes.copy_within(place, to);
                to += length;
                if let Some(end) = self.ends.get_mut(kept) {
                    // Never after where it was read from: what comes later is still there.
                    *end = to as u32;
                }
                kept += 1;
            }
        }
        bytes.truncate(to);
        self.ends.truncate(kept);
        self.count = kept;
        // What is left of valid UTF-8, cut where openids begin and end, is valid.
        self.text = String::from_utf8(bytes).unwrap_or_default();
    }
}

impl<'a> FromIterator<&'a str> for Openids {
    fn from_iter<I: IntoIterator<Item = &'a str>>(list: I) -> Self {
        let mut openids = Openids::default();
        // A list that is in memory already is far from 4 GiB; one that is not ends there.
        let _full = list.into_iter().try_for_each(|openid| openids.push(openid));
        openids
    }
}

const EXCLUDED: u32 = 1 << 31;

/// Half of a hash, and which openid it is of; the other half chose its part.
#[derive(Clone, Copy, Default)]
struct Entry {
    hash: u32,
    id: u32,
}

impl Entry {
    fn excluded(self) -> bool {
        self.id & EXCLUDED != 0
    }

    fn index(self) -> usize {
        (self.id & !EXCLUDED) as usize
    }

    fn text<'o>(self, excluded: &'o Openids, people: &'o Openids) -> &'o str {
        if self.excluded() { excluded.get(self.index()) } else { people.get(self.index()) }
    }
}

/// Entries of a run of openids, parted by their hashes, in their order.
struct Parts {
    entries: Vec<Entry>,
    starts: Vec<usize>,
}

impl Parts {
    /// `openids`: those who are excluded first, then the people; with the ids of their entries.
    fn new<'o>(openids: impl Iterator<Item = (u32, &'o str)> + Clone, parts: usize) -> Self {
        let hasher = foldhash::quality::FixedState::with_seed(0x7175_6e66);
        let hash = |openid: &str| hasher.hash_one(openid.as_bytes());
        let part = |hash: u64| (hash >> 32) as usize & (parts - 1);
        let mut starts = vec![0_usize; parts + 1];
        for (_, openid) in openids.clone() {
            starts[part(hash(openid)) + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let mut next = starts.clone();
        let mut entries = vec![Entry::default(); starts[parts]];
        for (id, openid) in openids {
            let hash = hash(openid);
            let at = &mut next[part(hash)];
            entries[*at] = Entry { hash: hash as u32, id };
            *at += 1;
        }
        Self { entries, starts }
    }

    fn part(&self, number: usize) -> &[Entry] {
        &self.entries[self.starts[number]..self.starts[number + 1]]
    }
}

/// What is to go, found by as many threads as there are processors: each first parts a run of the openids, and then
/// looks at some of the parts.
fn repeated(excluded: &Openids, people: &Openids) -> Vec<Repeated> {
    let (out, count) = (excluded.len(), excluded.len() + people.len());
    let threads = if count < ALONE {
        1
    } else {
        std::thread::available_parallelism().map_or(1, |threads| threads.get().min(THREADS_MAX))
    };
    // Parts that fit into a cache of the second level.
    let parts = (count / 4096).next_power_of_two().min(PARTS_MAX);
    let shares = |all: usize| (0..threads).map(move |number| all * number / threads..all * (number + 1) / threads);
    let runs = in_parallel(shares(count), |run| {
        // An openid takes a byte at least, so that 2^31 of them would need a list of their own of half its room.
        let left_out = run.start.min(out)..run.end.min(out);
        let left_out = left_out.map(|index| (index as u32 & !EXCLUDED | EXCLUDED, excluded.get(index)));
        let sent = run.start.max(out) - out..run.end.max(out) - out;
        let sent = sent.map(|index| (index as u32 & !EXCLUDED, people.get(index)));
        Parts::new(left_out.chain(sent), parts)
    });
    in_parallel(shares(parts), |numbers| {
        let (mut all, mut part) = (Repeated::default(), Vec::new());
        let (mut table, mut met) = (Vec::new(), Vec::new());
        for number in numbers {
            part.clear();
            runs.iter().for_each(|run| part.extend_from_slice(run.part(number)));
            all.part(&part, excluded, people, &mut table, &mut met);
        }
        all
    })
}

/// Does the work of each range, each but the first in a thread of its own.
fn in_parallel<T: Send>(ranges: impl Iterator<Item = Range<usize>>, work: impl Fn(Range<usize>) -> T + Sync) -> Vec<T> {
    let work = &work;
    std::thread::scope(|scope| {
        let mut ranges = ranges;
        let own = ranges.next();
        let others: Vec<_> = ranges.map(|range| scope.spawn(move || work(range))).collect();
        let mut done: Vec<T> = own.map(work).into_iter().collect();
        for other in others {
            match other.join() {
                Ok(result) => done.push(result),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    })
}

/// As many parts as make each of ten million openids small.
const PARTS_MAX: usize = 1024;
/// Fewer openids than these are not worth a thread.
const ALONE: usize = 100_000;
/// More threads wait for the memory rather than for each other.
const THREADS_MAX: usize = 4;

/// What is to go of some parts.
#[derive(Default)]
struct Repeated {
    gone: Vec<u32>,
    again: usize,
    left_out: usize,
}

impl Repeated {
    fn part(
        &mut self,
        part: &[Entry],
        excluded: &Openids,
        people: &Openids,
        table: &mut Vec<u32>,
        met: &mut Vec<bool>,
    ) {
        // Numbers of entries from 1; 0 is a free slot.
        let slots = (part.len() * 2).next_power_of_two();
        table.clear();
        table.resize(slots, 0);
        met.clear();
        met.resize(part.len(), false);
        for (at, entry) in part.iter().enumerate() {
            let mut slot = entry.hash as usize & (slots - 1);
            let found = loop {
                let Some(known) = table[slot].checked_sub(1) else { break None };
                let other = &part[known as usize];
                if other.hash == entry.hash && other.text(excluded, people) == entry.text(excluded, people) {
                    break Some(known as usize);
                }
                slot = (slot + 1) & (slots - 1);
            };
            match found {
                // A part has far fewer entries than there are numbers.
                None => table[slot] = at as u32 + 1,
                // Named twice in the list of those who are left out.
                Some(_) if entry.excluded() => {}
                Some(known) => {
                    let first = part[known].excluded() && !std::mem::replace(&mut met[known], true);
                    *(if first { &mut self.left_out } else { &mut self.again }) += 1;
                    self.gone.push(entry.id);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn list(names: &[&str]) -> Openids {
        names.iter().copied().collect()
    }

    #[test]
    fn openids_are_kept_in_order() {
        let mut people = list(&["c", "ab", ""]);
        people.append(&list(&["x", "yz"])).expect("small");
        assert_eq!(people.iter().collect::<Vec<_>>(), ["c", "ab", "", "x", "yz"]);
        assert_eq!((people.len(), people.get(1), people.get(9)), (5, "ab", ""));
        assert_eq!(people.range(3..5).collect::<Vec<_>>(), ["x", "yz"]);
    }

    #[test]
    fn the_first_mention_stays_and_excluded_people_go() {
        let mut people = list(&["c", "a", "b", "a", "d", "b"]);
        assert_eq!(people.unique(&list(&["b", "x", "b"])), (2, 1));
        assert_eq!(people.iter().collect::<Vec<_>>(), ["c", "a", "d"]);
        let mut nobody = Openids::default();
        assert_eq!(nobody.unique(&list(&["b"])), (0, 0));
    }

    #[test]
    fn many_are_treated_as_few() {
        // Every third again, every fifth excluded, over many parts; compared with sets.
        let name = |number: usize| format!("o{:027}", number * 7919 % 100_003);
        let names: Vec<String> = (0..120_000).map(|n| name(if n % 3 == 0 { n / 2 } else { n })).collect();
        let out: Vec<String> = (0..120_000).step_by(5).map(name).collect();
        let mut people: Openids = names.iter().map(String::as_str).collect();
        let excluded: Openids = out.iter().map(String::as_str).collect();
        let (again, left_out) = people.unique(&excluded);
        let (out, mut seen) = (out.iter().collect::<HashSet<_>>(), HashSet::new());
        let first: Vec<&String> = names.iter().filter(|name| seen.insert(*name)).collect();
        let expected: Vec<&str> = first.iter().filter(|name| !out.contains(*name)).map(|name| name.as_str()).collect();
        assert_eq!(people.iter().collect::<Vec<_>>(), expected);
        assert_eq!((again, left_out), (names.len() - first.len(), first.len() - expected.len()));
    }
}
