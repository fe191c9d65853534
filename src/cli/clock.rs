//! Real time, and that of a rehearsal.
#![expect(clippy::disallowed_methods, reason = "this module is where time comes in")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use jiff::Timestamp;

use super::process::interrupted;
use crate::clock::Clock;

/// Real time, shifted by `--now`.
#[derive(Debug, Default)]
pub(super) struct RealClock {
    offset_ms: i64,
}

impl RealClock {
    /// A clock that stands at `now` now.
    pub(super) fn at(now: Option<Timestamp>) -> Self {
        Self { offset_ms: now.map_or(0, |now| now.as_millisecond() - Timestamp::now().as_millisecond()) }
    }
}

impl Clock for RealClock {
    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        if self.offset_ms == 0 {
            now
        } else {
            Timestamp::from_millisecond(now.as_millisecond().saturating_add(self.offset_ms)).unwrap_or(now)
        }
    }

    fn sleep(&self, duration: Duration) -> bool {
        let until = Instant::now() + duration;
        while !interrupted() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
        false
    }
}

/// The time of a rehearsal: waits pass at once.
#[derive(Debug, Clone)]
pub(super) struct RehearsalClock {
    ms: Arc<AtomicI64>,
}

impl RehearsalClock {
    pub(super) fn new(start: Timestamp) -> Self {
        Self { ms: Arc::new(AtomicI64::new(start.as_millisecond())) }
    }

    /// For the embedded server, which lives in the same time.
    pub(super) fn reader(&self) -> Arc<dyn Fn() -> Timestamp + Send + Sync> {
        let clock = self.clone();
        Arc::new(move || clock.now())
    }
}

impl Clock for RehearsalClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.ms.load(Ordering::SeqCst)).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    fn sleep(&self, duration: Duration) -> bool {
        let ms = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4);
        self.ms.fetch_add(ms, Ordering::SeqCst);
        !interrupted()
    }
}
