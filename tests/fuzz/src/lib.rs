//! What the fuzz targets check: no panic, the same reading however the bytes are cut, answers that keep the rules of events
//! whatever a host says, and requests and answers that mean the same after another crossing.

pub mod answers;
pub mod doors;
#[cfg(feature = "edge")]
pub mod edge;
pub mod frames;
pub mod hosts;
pub mod vectors;
pub mod written;

/// The longest input, bytes: more finds nothing that less does not.
pub const LONGEST: usize = 16 << 10;

/// The first two bytes of an input choose how it is read; the rest is what is read.
pub fn chosen(data: &[u8]) -> Option<(usize, usize, &[u8])> {
    match data {
        [first, second, rest @ ..] if data.len() <= LONGEST => Some((usize::from(*first), usize::from(*second), rest)),
        _ => None,
    }
}
