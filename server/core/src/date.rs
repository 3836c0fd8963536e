/// Unix seconds of midnight UTC of a `YYYY-MM-DD`; `None` where it is no date of the calendar.
pub fn date_seconds(date: &str) -> Option<i64> {
    let mut parts = date.split('-').map(|part| part.parse::<u16>().ok().filter(|_| part.bytes().all(|b| b.is_ascii_digit())));
    let (year, month, day) = (i64::from(parts.next()??), i64::from(parts.next()??), i64::from(parts.next()??));
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if parts.next().is_some() || date.len() != 10 || !(1..=days).contains(&day) {
        return None;
    }
    // Days from the civil calendar: years begin in March, so that leap days fall at their end.
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some((era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468) * 86_400)
}

/// The same of a date of which only the month may be known (`YYYY-MM`): its beginning then.
pub fn month_seconds(date: &str) -> Option<i64> {
    date_seconds(date).or_else(|| date_seconds(&format!("{date}-01")))
}

#[cfg(test)]
mod tests {
    use super::date_seconds;

    #[test]
    fn dates_are_days_since_1970() {
        for (date, seconds) in [
            ("1970-01-01", Some(0)),
            ("2000-03-01", Some(951_868_800)),
            ("2024-02-29", Some(1_709_164_800)),
            ("2025-08-07", Some(1_754_524_800)),
            ("2025-02-29", None),
            ("2025-13-01", None),
            ("2025-08", None),
            ("2025-8-7", None),
            ("2025-08-07-01", None),
            ("soon", None),
        ] {
            assert_eq!(date_seconds(date), seconds, "{date}");
        }
    }
}
