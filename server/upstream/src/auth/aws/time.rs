//! Moments as Amazon writes them.

/// Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment(pub u64);

impl Moment {
    pub(super) fn now() -> Self {
        Self(crate::auth::token::now())
    }

    /// `20150830T123600Z`.
    pub(super) fn stamp(self) -> String {
        let (days, of_day) = (self.0 / 86_400, self.0 % 86_400);
        // Days to the civil calendar: years begin in March, so that leap days fall at their end.
        let shifted = days + 719_468;
        let (era, of_era) = (shifted / 146_097, shifted % 146_097);
        let of_cycle = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * of_cycle + of_cycle / 4 - of_cycle / 100);
        let march = (5 * of_year + 2) / 153;
        let day = of_year - (153 * march + 2) / 5 + 1;
        let month = if march < 10 { march + 3 } else { march - 9 };
        let year = of_cycle + era * 400 + u64::from(month <= 2);
        format!("{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z", of_day / 3_600, of_day / 60 % 60, of_day % 60)
    }

    /// Reads `2026-11-25T15:04:05Z`, with or without a fraction, or with an offset.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (date, time) = text.split_once('T')?;
        let mut parts = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
        let (y, m, d) = (parts.next()??, parts.next()??, parts.next()??);
        let zone = time.find(['Z', '+', '-'])?;
        let (clock, offset) = time.split_at(zone);
        let seconds = |clock: &str| {
            let mut parts = clock.split(':').map(|part| part.split('.').next().unwrap_or(part).parse::<i64>().ok());
            Some(parts.next()?? * 3_600 + parts.next()?? * 60 + parts.next().map_or(Some(0), |part| part)?)
        };
        let shift = match offset.strip_prefix(['+', '-']) {
            Some(behind) => seconds(behind)? * if offset.starts_with('+') { -1 } else { 1 },
            None => 0,
        };
        let year = if m <= 2 { y - 1 } else { y };
        let era = year.div_euclid(400);
        let of_era = year.rem_euclid(400);
        let of_year = (153 * ((m + 9) % 12) + 2) / 5 + d - 1;
        let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
        u64::try_from(days * 86_400 + seconds(clock)? + shift).ok().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_and_read() {
        for (unix, stamp, text) in [
            (0, "19700101T000000Z", "1970-01-01T00:00:00Z"),
            (1_440_938_160, "20150830T123600Z", "2015-08-30T12:36:00.123Z"),
            (951_827_696, "20000229T123456Z", "2000-02-29T13:34:56+01:00"),
            (4_102_444_799, "20991231T235959Z", "2099-12-31T23:59:59Z"),
        ] {
            assert_eq!(Moment(unix).stamp(), stamp);
            assert_eq!(Moment::read(text), Some(Moment(unix)), "{text}");
        }
        for bad in ["", "tomorrow", "2026-11-25", "2026-11-25T10:00:00", "2026-xx-25T10:00:00Z"] {
            assert_eq!(Moment::read(bad), None, "{bad}");
        }
    }
}
