//! Secrets of keys: made here, shown once, kept only as keyed hashes.

use std::fmt;

use crate::StoreError;

/// What every secret begins with, so that scanners can find one that leaked.
pub(crate) const PREFIX: &str = "hw_";

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A key's secret. Prints as dots.
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Secret {
    /// A new one: 256 random bits and a checksum, in base 62.
    pub fn new() -> Result<Self, StoreError> {
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|error| StoreError::Unavailable(format!("no random numbers: {error}")))?;
        let body = base62(&random, 43);
        let check = base62(&checksum(&body), 6);
        Ok(Self(format!("{PREFIX}{body}{check}")))
    }

    /// The text, to show it once.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Its first characters, to tell keys apart.
    pub fn hint(&self) -> String {
        self.0.chars().take(PREFIX.len() + 4).collect()
    }
}

/// False where the text begins like one of our secrets and a character of it is wrong.
pub(crate) fn plausible(secret: &str) -> bool {
    let Some(rest) = secret.strip_prefix(PREFIX) else { return true };
    match rest.len().checked_sub(6).and_then(|at| rest.split_at_checked(at)) {
        Some((body, check)) => base62(&checksum(body), 6) == check,
        None => false,
    }
}

fn checksum(body: &str) -> [u8; 4] {
    let hash = blake3::hash(body.as_bytes());
    let mut four = [0; 4];
    four.copy_from_slice(&hash.as_bytes()[..4]);
    four
}

/// `width` digits of a number of up to 32 bytes; the highest are dropped where they do not fit.
fn base62(number: &[u8], width: usize) -> String {
    let mut number = number.to_vec();
    let mut digits = Vec::with_capacity(width);
    for _ in 0..width {
        let mut rest = 0u32;
        for byte in &mut number {
            let value = rest * 256 + u32::from(*byte);
            *byte = u8::try_from(value / 62).unwrap_or(0);
            rest = value % 62;
        }
        digits.push(char::from(DIGITS[rest as usize % 62]));
    }
    digits.iter().rev().collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn secrets_check_themselves() {
        let secret = Secret::new().unwrap();
        assert_eq!(secret.reveal().len(), 3 + 43 + 6);
        assert!(plausible(secret.reveal()));
        let mut wrong = secret.reveal().to_owned();
        let last = wrong.pop().unwrap();
        wrong.push(if last == 'a' { 'b' } else { 'a' });
        assert!(!plausible(&wrong));
        assert!(!plausible("hw_short"));
        assert!(plausible("an admin's own key"));
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        assert_ne!(Secret::new().unwrap().reveal(), secret.reveal());
    }
}
