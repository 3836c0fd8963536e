use std::{fmt, iter::Sum, ops};

/// Money in billionths of a US dollar. Money is an integer, always.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct NanoUsd(pub i64);

/// Why a decimal is not a usable amount of money.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    /// The text is not a plain decimal number such as `0.59`.
    #[error("\"{0}\" is not a plain decimal number such as 0.59")]
    NotDecimal(String),
    /// More digits after the point than a nano-dollar has.
    #[error("\"{0}\" has more than 9 digits after the point")]
    TooFine(String),
    /// Larger than an amount of money can be here.
    #[error("\"{0}\" is too large")]
    TooLarge(String),
}

/// Rates are nano-USD per million tokens, so a token costs this many
/// millionths of a nano-USD per unit of rate.
pub const ATTOS_PER_NANO: i128 = 1_000_000;

impl NanoUsd {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// Reads a decimal number of US dollars, exactly.
    pub fn from_decimal(text: &str) -> Result<Self, PriceError> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) || text.ends_with('.') {
            return Err(PriceError::NotDecimal(text.to_owned()));
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > 9 {
            return Err(PriceError::TooFine(text.to_owned()));
        }
        let too_large = || PriceError::TooLarge(text.to_owned());
        let whole: i64 = whole.parse().map_err(|_| too_large())?;
        let nanos: i64 = format!("{fraction:0<9}").parse().map_err(|_| too_large())?;
        whole.checked_mul(1_000_000_000).and_then(|whole| whole.checked_add(nanos)).map(Self).ok_or_else(too_large)
    }

    /// The sum, held at the largest amount instead of overflowing.
    pub fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl ops::Add for NanoUsd {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        self.saturating_add(other)
    }
}

impl ops::AddAssign for NanoUsd {
    fn add_assign(&mut self, other: Self) {
        *self = self.saturating_add(other);
    }
}

impl Sum for NanoUsd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::saturating_add)
    }
}

impl fmt::Display for NanoUsd {
    /// A decimal number of dollars without trailing zeros: `0.00042`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let amount = self.0.unsigned_abs();
        let (whole, nanos) = (amount / 1_000_000_000, amount % 1_000_000_000);
        if nanos == 0 {
            return write!(f, "{sign}{whole}");
        }
        let fraction = format!("{nanos:09}");
        write!(f, "{sign}{whole}.{}", fraction.trim_end_matches('0'))
    }
}

impl fmt::Debug for NanoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_and_printed_exactly() {
        for (text, nanos) in [("0", 0), ("3", 3_000_000_000), ("0.59", 590_000_000), ("0.000000001", 1), ("15.10", 15_100_000_000)] {
            assert_eq!(NanoUsd::from_decimal(text), Ok(NanoUsd(nanos)), "{text}");
        }
        for text in ["", ".", "1.", ".5", "-1", "1e3", "0.0000000001", "99999999999", " 1", "1,5"] {
            assert!(NanoUsd::from_decimal(text).is_err(), "{text}");
        }
        assert_eq!(NanoUsd(420_000).to_string(), "0.00042");
        assert_eq!(NanoUsd(-1_500_000_000).to_string(), "-1.5");
    }
}
