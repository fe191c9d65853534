//! Days and months as the quotas count them, and spans of time.
//!
//! WeChat does not say in which time zone its day begins; Asia/Shanghai is assumed. China has had no summer time since
//! 1991, so a fixed offset is exact and needs no time zone data.

use jiff::civil::Date;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

const CHINA: Offset = jiff::tz::offset(8);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Month {
    year: i16,
    month: i8,
}

/// The day in China.
pub(super) fn day(at: Timestamp) -> Date {
    CHINA.to_datetime(at).date()
}

/// The calendar month in China.
pub(super) fn month(at: Timestamp) -> Month {
    let date = day(at);
    Month { year: date.year(), month: date.month() }
}

/// Whether less than `seconds` went by from `since` to `now`.
pub(super) fn within(seconds: i64, since: Timestamp, now: Timestamp) -> bool {
    now.duration_since(since) < SignedDuration::from_secs(seconds)
}

/// The moment `seconds` after `at`.
pub(super) fn after(at: Timestamp, seconds: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time stamp")
    }

    #[test]
    fn a_day_begins_at_midnight_in_shanghai() {
        assert_ne!(day(at("2026-11-22T15:59:59Z")), day(at("2026-11-22T16:00:00Z")));
        assert_eq!(day(at("2026-11-22T16:00:00Z")), day(at("2026-11-23T15:59:59Z")));
    }

    #[test]
    fn a_month_begins_at_midnight_in_shanghai() {
        assert_ne!(month(at("2026-11-30T15:59:59Z")), month(at("2026-11-30T16:00:00Z")));
        assert_ne!(month(at("2025-11-30T12:00:00Z")), month(at("2026-11-30T12:00:00Z")));
    }

    #[test]
    fn spans_exclude_their_end() {
        let start = at("2026-11-22T00:00:00Z");
        assert!(within(60, start, at("2026-11-22T00:00:59.999Z")));
        assert!(!within(60, start, after(start, 60)));
    }
}
