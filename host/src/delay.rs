//! Delays before something is tried again.

use std::time::Duration;

/// Give or take a quarter, so that what failed together is not tried again together.
pub(crate) fn jittered(delay: Duration) -> Duration {
    delay.mul_f64(0.75 + rand::random::<f64>() / 2.0)
}

/// Doubles with each failure before, up to `most`.
pub(crate) fn backoff(first: Duration, failures: u32, most: Duration) -> Duration {
    first.saturating_mul(1 << failures.min(16)).min(most)
}
