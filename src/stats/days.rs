//! Which days are worth asking for. All are WeChat's, in Asia/Shanghai.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp, ToSpan as _, civil::Date};

use super::Sent;
use crate::clock::shanghai;

/// The first day of which WeChat has these statistics.
pub const FIRST: Date = jiff::civil::date(2025, 11, 1);
/// How many days WeChat counts the readers of an article.
pub const COUNTED: i64 = 30;
/// From midnight until the statistics of the day before are ready.
const READY: SignedDuration = SignedDuration::from_hours(8);

/// What to ask, and what not, for days on which articles were sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Days {
    /// To be asked for.
    pub asked: Vec<Date>,
    /// Not ready before 08:00 of the day after.
    pub early: Vec<Date>,
    /// Final: readers are not counted any more.
    pub done: Vec<Date>,
    /// Before the statistics began.
    pub before: Vec<Date>,
}

/// Sorts the days of sends, those before `since` left out.
pub fn of(sent: &[Sent], now: Timestamp, since: Option<Date>) -> Days {
    let today = shanghai(now).date();
    let ready = shanghai(now.saturating_sub(READY).unwrap_or(now)).date().yesterday().unwrap_or(Date::MIN);
    let all: BTreeSet<Date> = sent.iter().flat_map(|sent| sent.days.iter().copied()).collect();
    let mut days = Days::default();
    for date in all.into_iter().filter(|date| since.is_none_or(|since| *date >= since)) {
        let list = if date < FIRST {
            &mut days.before
        } else if date > ready {
            &mut days.early
        } else if date.saturating_add(COUNTED.days()) < today {
            &mut days.done
        } else {
            &mut days.asked
        };
        list.push(date);
    }
    days
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(now: &str, days: &[&str], since: Option<&str>) -> [Vec<String>; 4] {
        let date = |text: &str| -> Date { text.parse().expect("a date") };
        let sent = days.iter().map(|day| Sent::of_day(date(day))).collect::<Vec<_>>();
        let Days { asked, early, done, before } = of(&sent, now.parse().expect("a time"), since.map(date));
        [asked, early, done, before].map(|days| days.iter().map(Date::to_string).collect())
    }

    #[test]
    fn a_day_is_asked_for_from_eight_of_the_next_until_it_is_final() {
        let asked = |now: &str| at(now, &["2026-03-01"], None);
        let day = || vec!["2026-03-01".to_owned()];
        let none = Vec::new;
        assert_eq!(asked("2026-03-01T23:00:00+08:00"), [none(), day(), none(), none()]);
        assert_eq!(asked("2026-03-02T07:59:59+08:00"), [none(), day(), none(), none()]);
        assert_eq!(asked("2026-03-02T08:00:00+08:00"), [day(), none(), none(), none()]);
        assert_eq!(asked("2026-03-31T23:00:00+08:00"), [day(), none(), none(), none()]);
        assert_eq!(asked("2026-04-01T00:00:00+08:00"), [none(), none(), day(), none()]);
        assert_eq!(asked("2020-01-01T00:00:00Z"), [none(), day(), none(), none()]);
    }

    #[test]
    fn old_days_and_those_not_wanted_are_left_out() {
        let days = ["2025-10-31", "2025-11-01", "2025-11-02", "2025-11-02"];
        let none = Vec::new;
        let dates = |days: &[&str]| days.iter().map(|&day| day.to_owned()).collect::<Vec<String>>();
        let now = "2025-11-05T12:00:00+08:00";
        assert_eq!(at(now, &days, None), [dates(&days[1..3]), none(), none(), dates(&days[..1])]);
        assert_eq!(at(now, &days, Some("2025-11-02")), [dates(&days[2..3]), none(), none(), none()]);
        assert_eq!(at(now, &["9999-12-31"], None)[1], ["9999-12-31"]);
    }
}
