//! Money is whole billionths of a US dollar. Never a float.

/// US dollars of a `*_nano_usd` field, exactly: `usd(250_000_000)` is `"0.25"`.
pub fn usd(nano_usd: i64) -> String {
    let digits = nano_usd.unsigned_abs();
    let mut fraction = format!("{:09}", digits % 1_000_000_000);
    while fraction.len() > 2 && fraction.ends_with('0') {
        fraction.pop();
    }
    format!("{}{}.{fraction}", if nano_usd < 0 { "-" } else { "" }, digits / 1_000_000_000)
}

/// The `*_nano_usd` field of US dollars such as `"0.25"`; `None` for what is no amount, or finer than a billionth.
pub fn nano_usd(amount: &str) -> Option<i64> {
    let (negative, digits) = amount.strip_prefix('-').map_or((false, amount), |digits| (true, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = fraction.trim_end_matches('0');
    if whole.is_empty() || fraction.len() > 9 || !(whole.to_owned() + fraction).bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nano: i64 = format!("{whole}{fraction:0<9}").parse().ok()?;
    Some(if negative { -nano } else { nano })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_exact_both_ways() {
        for (nano, text) in [(0, "0.00"), (1, "0.000000001"), (250_000_000, "0.25"), (-1_500_000_000, "-1.50"), (i64::MAX, "9223372036.854775807")] {
            assert_eq!((usd(nano).as_str(), nano_usd(text)), (text, Some(nano)));
        }
        for wrong in ["", ".", "1e3", "0.0000000001", "9223372036.854775808", "--1", "+1"] {
            assert_eq!(nano_usd(wrong), None, "{wrong}");
        }
    }
}
