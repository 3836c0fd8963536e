use std::{
    sync::OnceLock,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

/// Unix nanoseconds now.
pub fn unix_nanos() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|d| i64::try_from(d.as_nanos()).ok()).unwrap_or(0)
}

/// Unix seconds now.
pub fn unix_seconds() -> i64 {
    unix_nanos() / 1_000_000_000
}

/// Milliseconds for windows that slide: Unix time when first asked, and from then on by a clock that nobody sets. After
/// a leap of the system's clock a rate limit would stand still until that time is reached.
pub fn steady_millis() -> i64 {
    static START: OnceLock<(Instant, i64)> = OnceLock::new();
    let (start, unix) = START.get_or_init(|| (Instant::now(), unix_nanos() / 1_000_000));
    unix.saturating_add(i64::try_from(start.elapsed().as_millis()).unwrap_or(i64::MAX))
}
