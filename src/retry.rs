//! How long is waited before something is tried again, and how often: arithmetic alone.

use std::time::Duration;

/// The pauses of what is tried again: one after each attempt that failed, and none after the last that is made.
#[derive(Debug, Clone)]
pub struct Retry {
    left: u32,
    pause: Duration,
    longest: Duration,
}

impl Retry {
    /// `attempts` counts the first one. The first pause is `backoff`, each next one twice as long, up to `longest`.
    pub fn new(attempts: u32, backoff: Duration, longest: Duration) -> Self {
        Self { left: attempts.saturating_sub(1), pause: backoff, longest: longest.max(backoff) }
    }
}

impl Iterator for Retry {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.left = self.left.checked_sub(1)?;
        let pause = self.pause;
        self.pause = pause.saturating_mul(2).min(self.longest);
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(attempts: u32, backoff: u64, longest: u64) -> Vec<u64> {
        let second = Duration::from_secs;
        Retry::new(attempts, second(backoff), second(longest)).map(|pause| pause.as_secs()).collect()
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        assert_eq!(pauses(6, 1, 5), [1, 2, 4, 5, 5]);
        assert_eq!(pauses(3, 7, 5), [7, 7], "the first pause is made whatever the longest is");
    }

    #[test]
    fn there_is_one_pause_less_than_attempts() {
        assert_eq!((pauses(1, 1, 5).len(), pauses(2, 1, 5).len(), pauses(20, 1, 5).len()), (0, 1, 19));
    }
}
