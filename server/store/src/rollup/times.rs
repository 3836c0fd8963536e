//! Minutes, hours and days, and where their blocks are kept: `sums/<section><level>/<number since 1970>`.

use super::facets::Section;
use crate::Key;

/// Seconds of a minute.
pub const MINUTE: i64 = 60;
/// Seconds of an hour.
pub const HOUR: i64 = 3_600;
/// Seconds of a day.
pub const DAY: i64 = 86_400;

/// How long a block's stretch of time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day, UTC.
    Day,
}

impl Level {
    /// All, shortest first.
    pub const ALL: [Level; 3] = [Level::Minute, Level::Hour, Level::Day];

    /// Its seconds.
    pub const fn seconds(self) -> i64 {
        match self {
            Level::Minute => MINUTE,
            Level::Hour => HOUR,
            Level::Day => DAY,
        }
    }

    const fn letter(self) -> u8 {
        match self {
            Level::Minute => b'm',
            Level::Hour => b'h',
            Level::Day => b'd',
        }
    }
}

/// What the keys of a section's blocks begin with.
pub fn prefix(section: Section, level: Level) -> Key {
    [&b"sums/"[..], &[section.letter(), level.letter(), b'/']].concat()
}

/// Where a block is kept. Times before 1970 are none.
pub fn place(section: Section, level: Level, at: i64) -> Key {
    let mut key = prefix(section, level);
    key.extend_from_slice(&u64::try_from(at).unwrap_or(0).to_be_bytes());
    key
}

/// Where a part of a block is kept: the first at the block's place, the others behind it.
pub fn part(mut place: Key, number: usize) -> Key {
    if number > 0 {
        place.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes());
    }
    place
}

/// The last key before a block's.
pub fn before(section: Section, level: Level, at: i64) -> Key {
    match at {
        ..=0 => prefix(section, level),
        _ => {
            let mut key = place(section, level, at - 1);
            key.push(u8::MAX);
            key
        }
    }
}

/// The time in a block's key.
pub fn read(key: &[u8]) -> Option<i64> {
    // The number of a part may follow.
    let number = key.strip_prefix(b"sums/")?.get(3..11)?;
    i64::try_from(u64::from_be_bytes(number.try_into().ok()?)).ok()
}

/// Year and month of a day since 1970, and the day that the month began.
pub fn month(day: i64) -> (i64, i64) {
    // From the civil calendar with years that begin in March.
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * shifted_month + 2) / 5;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year * 12 + month - 1, day - of_month)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn months_begin_where_the_calendar_says() {
        // Days of 1970-01-31, 2000-02-29, 2024-03-01, 2026-11-25.
        for (day, year, of_year, first) in [(30, 1970, 1, 0), (11_016, 2000, 2, 10_988), (19_783, 2024, 3, 19_783), (20_782, 2026, 11, 20_758)] {
            assert_eq!(month(day), (year * 12 + of_year - 1, first), "{day}");
        }
    }

    #[test]
    fn keys_sort_by_time_and_read_back() {
        let at = |n| place(Section::All, Level::Hour, n);
        assert!(at(1) < at(256) && at(255) < at(256) && before(Section::All, Level::Hour, 256) < at(256) && at(255) < before(Section::All, Level::Hour, 256));
        assert_eq!(read(&at(77)), Some(77));
        let parts = [0, 1, 2, 256].map(|number| part(at(77), number));
        assert!(
            parts.is_sorted() && parts[0] == at(77) && parts[3] < before(Section::All, Level::Hour, 78) && before(Section::All, Level::Hour, 77) < parts[0]
        );
        assert!(parts.iter().all(|key| read(key) == Some(77)));
        assert!(at(5).starts_with(&prefix(Section::All, Level::Hour)));
    }
}
