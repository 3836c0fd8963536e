//! Budget windows by the calendar in UTC, and sums kept per window.

use crate::NanoUsd;

const DAY: i64 = 86_400;

/// Over which time a budget counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum BudgetWindow {
    /// From midnight.
    Day,
    /// From Monday.
    Week,
    /// From the first of the month.
    Month,
    /// From the beginning.
    #[default]
    Lifetime,
}

impl BudgetWindow {
    /// Every window, in the order of [`Tally`]'s spans.
    pub const ALL: [BudgetWindow; 4] = [Self::Day, Self::Week, Self::Month, Self::Lifetime];

    /// Unix seconds at which the window that holds `at` began; a lifetime began at 0.
    pub fn start(self, at: i64) -> i64 {
        let day = at.div_euclid(DAY);
        match self {
            BudgetWindow::Day => day * DAY,
            // 1970-01-01 was a Thursday.
            BudgetWindow::Week => (day - (day + 3).rem_euclid(7)) * DAY,
            BudgetWindow::Month => {
                let (year, month) = civil(day);
                days(year, month) * DAY
            }
            BudgetWindow::Lifetime => 0,
        }
    }

    /// Unix seconds at which the next window begins; `None`: never.
    pub fn end(self, at: i64) -> Option<i64> {
        match self {
            BudgetWindow::Day => Some(self.start(at) + DAY),
            BudgetWindow::Week => Some(self.start(at) + 7 * DAY),
            BudgetWindow::Month => {
                let (year, month) = civil(at.div_euclid(DAY));
                let (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
                Some(days(year, month) * DAY)
            }
            BudgetWindow::Lifetime => None,
        }
    }

    /// For people: "day", "lifetime".
    pub const fn word(self) -> &'static str {
        match self {
            BudgetWindow::Day => "day",
            BudgetWindow::Week => "week",
            BudgetWindow::Month => "month",
            BudgetWindow::Lifetime => "lifetime",
        }
    }

    const fn index(self) -> usize {
        match self {
            BudgetWindow::Day => 0,
            BudgetWindow::Week => 1,
            BudgetWindow::Month => 2,
            BudgetWindow::Lifetime => 3,
        }
    }
}

/// Year and month of a day since 1970. Years begin in March inside, so that leap days fall at their end.
fn civil(day: i64) -> (i64, i64) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march = (5 * of_year + 2) / 153;
    let month = if march < 10 { march + 3 } else { march - 9 };
    (year + era * 400 + i64::from(month <= 2), month)
}

/// Days from 1970 to the first of a month.
fn days(year: i64, month: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// What was spent and is held in one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Unix seconds of its beginning.
    pub start: i64,
    /// Sum of the records of attempts that began in it.
    pub spent: NanoUsd,
    /// Sum of the holds of attempts that began in it and are under way.
    pub held: NanoUsd,
}

impl Span {
    /// Spent and held together.
    pub fn taken(&self) -> NanoUsd {
        self.spent + self.held
    }
}

/// The sums of one payer, for every window at once, so that a budget's window can be changed at any time.
///
/// Money belongs to the window in which its attempt began, whenever it ends: so
/// the sums can be made again from records alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    spans: [Span; 4],
    /// Unix seconds at which the first of the spans is over.
    due: i64,
}

impl Tally {
    /// Sums read back: the start and the sum of day, week and month, and the lifetime's sum.
    pub fn seeded(day: (i64, NanoUsd), week: (i64, NanoUsd), month: (i64, NanoUsd), lifetime: NanoUsd) -> Self {
        let span = |(start, spent)| Span { start, spent, held: NanoUsd::ZERO };
        Self { spans: [span(day), span(week), span(month), span((0, lifetime))], due: 0 }
    }

    /// Begins the windows that hold `at`, where they are newer than those known.
    pub fn roll(&mut self, at: i64) {
        if at < self.due {
            return;
        }
        for (window, span) in BudgetWindow::ALL.into_iter().zip(&mut self.spans) {
            let start = window.start(at);
            if start > span.start {
                *span = Span { start, ..Span::default() };
            }
        }
        self.due = BudgetWindow::Day.end(at).unwrap_or(i64::MAX);
    }

    /// The sums of a window, as of the last [`Tally::roll`].
    pub fn span(&self, window: BudgetWindow) -> Span {
        self.spans[window.index()]
    }

    /// Takes a hold for an attempt that begins at `at`.
    pub fn hold(&mut self, at: i64, amount: NanoUsd) {
        self.roll(at);
        self.each(at, |span| span.held += amount);
    }

    /// Turns a hold that was taken at `at` into what was spent. A window that is over by now is left alone.
    pub fn settle(&mut self, at: i64, held: NanoUsd, spent: NanoUsd) {
        self.each(at, |span| {
            span.held.0 = span.held.0.saturating_sub(held.0);
            span.spent += spent;
        });
    }

    fn each(&mut self, at: i64, change: impl Fn(&mut Span)) {
        self.spans.iter_mut().filter(|span| span.start <= at).for_each(change);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_begin_by_the_calendar() {
        let table = [
            // 2024-02-29 12:00, a Thursday
            (1_709_208_000, BudgetWindow::Day, 1_709_164_800, Some(1_709_251_200)),
            (1_709_208_000, BudgetWindow::Week, 1_708_905_600, Some(1_709_510_400)),
            (1_709_208_000, BudgetWindow::Month, 1_706_745_600, Some(1_709_251_200)),
            (1_709_208_000, BudgetWindow::Lifetime, 0, None),
            // 2025-12-31 23:59:59 and 2026-01-01
            (1_767_225_599, BudgetWindow::Month, 1_764_547_200, Some(1_767_225_600)),
            (1_767_225_600, BudgetWindow::Month, 1_767_225_600, Some(1_769_904_000)),
            // Monday 2026-01-05 00:00, and the second before
            (1_767_571_200, BudgetWindow::Week, 1_767_571_200, Some(1_768_176_000)),
            (1_767_571_199, BudgetWindow::Week, 1_766_966_400, Some(1_767_571_200)),
        ];
        for (at, window, start, end) in table {
            assert_eq!((window.start(at), window.end(at)), (start, end), "{at} {window:?}");
        }
    }

    #[test]
    fn money_belongs_to_the_window_in_which_its_attempt_began() {
        let midnight = 1_767_225_600;
        let mut tally = Tally::default();
        tally.hold(midnight - 1, NanoUsd(10));
        tally.hold(midnight, NanoUsd(5));
        assert_eq!(tally.span(BudgetWindow::Day), Span { start: midnight, spent: NanoUsd(0), held: NanoUsd(5) });
        tally.settle(midnight - 1, NanoUsd(10), NanoUsd(7));
        assert_eq!(tally.span(BudgetWindow::Day), Span { start: midnight, spent: NanoUsd(0), held: NanoUsd(5) });
        assert_eq!(tally.span(BudgetWindow::Week).spent, NanoUsd(7));
        assert_eq!(tally.span(BudgetWindow::Lifetime), Span { start: 0, spent: NanoUsd(7), held: NanoUsd(5) });
    }
}
