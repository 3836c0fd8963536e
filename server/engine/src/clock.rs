use std::time::{SystemTime, UNIX_EPOCH};

/// Unix nanoseconds now.
pub fn unix_nanos() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|d| i64::try_from(d.as_nanos()).ok()).unwrap_or(0)
}

/// Unix seconds now.
pub fn unix_seconds() -> i64 {
    unix_nanos() / 1_000_000_000
}

/// Unix milliseconds now.
pub fn unix_millis() -> i64 {
    unix_nanos() / 1_000_000
}
