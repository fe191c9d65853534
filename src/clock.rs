//! Time as a value: nothing below the edge reads the system's clock or sleeps by itself.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, Zoned, tz::TimeZone};

/// The time, and the way to let it pass.
pub trait Clock {
    fn now(&self) -> Timestamp;
    /// What `now` was when the process began, and what has passed since by a clock that nobody sets and that goes on while the
    /// machine sleeps.
    fn steady(&self) -> Timestamp;
    /// The latest that it can be: a clock that was set back, or that stood still while the machine slept, gains no time.
    fn latest(&self) -> Timestamp {
        self.now().max(self.steady())
    }
    /// Goes by another clock from now on, which is ahead of this one by so much; the time of a rehearsal goes by itself.
    fn shift(&self, _ahead: SignedDuration) {}
    /// Waits, or returns early (false) if the run was interrupted.
    fn sleep(&self, duration: Duration) -> bool;
}

/// WeChat's calendar: all days and months of quotas, and `run.date`, are in this zone.
pub fn shanghai(at: Timestamp) -> Zoned {
    static ZONE: std::sync::OnceLock<TimeZone> = std::sync::OnceLock::new();
    let zone = ZONE.get_or_init(|| TimeZone::get("Asia/Shanghai").expect("bundled with the program"));
    at.to_zoned(zone.clone())
}
