//! Real time, and that of a rehearsal.
#![expect(clippy::disallowed_methods, reason = "this module is where time comes in")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};

use super::process::interrupted;
use crate::clock::Clock;

/// Real time, shifted by `--now`.
#[derive(Debug)]
pub(super) struct RealClock {
    offset_ms: AtomicI64,
    /// The part of it by which another clock is followed.
    shifted_ms: AtomicI64,
    /// When it was made, and what the steady clock said then.
    began: (Timestamp, Duration),
}

impl RealClock {
    /// A clock that stands at `now` now.
    pub(super) fn at(now: Option<Timestamp>) -> Self {
        let real = Timestamp::now();
        let offset_ms = now.map_or(0, |now| now.as_millisecond() - real.as_millisecond());
        Self { offset_ms: offset_ms.into(), shifted_ms: 0.into(), began: (now.unwrap_or(real), since_boot()) }
    }
}

impl Default for RealClock {
    fn default() -> Self {
        Self::at(None)
    }
}

/// A clock that nobody sets; it goes on while the machine sleeps.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn since_boot() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or(0), nanos.unwrap_or(0))
}

/// A clock that nobody sets; where it stands still while the machine sleeps, the other clock does not.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn since_boot() -> Duration {
    static BEGAN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    BEGAN.get_or_init(Instant::now).elapsed()
}

impl Clock for RealClock {
    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        match self.offset_ms.load(Ordering::Relaxed) {
            0 => now,
            offset => Timestamp::from_millisecond(now.as_millisecond().saturating_add(offset)).unwrap_or(now),
        }
    }

    fn shift(&self, ahead: SignedDuration) {
        let ahead = i64::try_from(ahead.as_millis()).unwrap_or(0);
        self.offset_ms.fetch_add(ahead, Ordering::Relaxed);
        self.shifted_ms.fetch_add(ahead, Ordering::Relaxed);
    }

    fn steady(&self) -> Timestamp {
        let (at, then) = self.began;
        let passed = SignedDuration::try_from(since_boot().saturating_sub(then)).unwrap_or(SignedDuration::MAX);
        let passed = passed.saturating_add(SignedDuration::from_millis(self.shifted_ms.load(Ordering::Relaxed)));
        at.saturating_add(passed).unwrap_or(Timestamp::MAX)
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

    fn steady(&self) -> Timestamp {
        self.now()
    }

    fn sleep(&self, duration: Duration) -> bool {
        let ms = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4);
        self.ms.fetch_add(ms, Ordering::SeqCst);
        !interrupted()
    }
}
