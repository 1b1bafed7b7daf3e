//! The one place that reads the clock.

/// Milliseconds since the epoch.
#[must_use]
pub fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}
