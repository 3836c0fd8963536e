//! Ids of requests: ordered by time, unguessable, unique.

use std::{cell::Cell, sync::Arc};

use crate::clock;

const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

thread_local! {
    /// Random bits are bought from the system 32 bytes at a time.
    static POOL: Cell<([u8; 32], usize)> = const { Cell::new(([0; 32], 32)) };
}

/// A random number, for dice and ids.
pub fn random64() -> u64 {
    POOL.with(|pool| {
        let (mut bytes, mut at) = pool.get();
        if at + 8 > bytes.len() {
            // A system without random numbers still gets ids that differ, by time.
            if getrandom::fill(&mut bytes).is_err() {
                bytes[..8].copy_from_slice(&clock::unix_nanos().to_le_bytes());
            }
            at = 0;
        }
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[at..at + 8]);
        pool.set((bytes, at + 8));
        u64::from_le_bytes(word)
    })
}

/// `req_` and 24 digits of base 32: 48 bits of milliseconds, then 72 of which 64 are random.
pub fn request() -> Arc<str> {
    let millis = u64::try_from(clock::unix_nanos() / 1_000_000).unwrap_or(0);
    let value = (u128::from(millis) << 72) | (u128::from(random64()) << 8);
    let mut text = *b"req_000000000000000000000000";
    for (place, digit) in text[4..].iter_mut().enumerate() {
        let shift = 5 * (23 - place);
        *digit = DIGITS[usize::try_from((value >> shift) & 31).unwrap_or(0)];
    }
    std::str::from_utf8(&text).unwrap_or("req_").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_sorted_by_time() {
        let first = request();
        std::thread::sleep(std::time::Duration::from_millis(3));
        let many: std::collections::HashSet<_> = (0..10_000).map(|_| request()).collect();
        assert_eq!(many.len(), 10_000);
        assert!(many.iter().all(|id| *id > first && id.len() == 28));
    }
}
