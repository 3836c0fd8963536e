//! How a window is kept: its records name the same keys, groups, models and rates again and again, so packed they are
//! less than half as large, and so is what the journal, sled and the disk have to move.

use bytes::Bytes;
use headworks_api::storage::Window;
use prost::Message;

use crate::StoreError;

/// Windows below this are kept as they are, bytes: there is little in them that comes again.
const LEAST: usize = 1_024;

/// No window is larger, bytes: what says so of itself is damaged, and no reason to ask for so much memory.
const MOST: usize = 256 << 20;

/// Packs windows. Keeps what its algorithm works with.
pub struct Packer {
    encoder: snap::raw::Encoder,
    plain: Vec<u8>,
    packed: Vec<u8>,
}

impl Default for Packer {
    fn default() -> Self {
        Self { encoder: snap::raw::Encoder::new(), plain: Vec::new(), packed: Vec::new() }
    }
}

impl Packer {
    /// The bytes that keep a window.
    pub fn pack(&mut self, window: &Window) -> Bytes {
        self.plain.clear();
        // Into a vector, which grows.
        let _ = window.encode(&mut self.plain);
        if self.plain.len() >= LEAST {
            self.packed.resize(snap::raw::max_compress_len(self.plain.len()), 0);
            if let Ok(length) = self.encoder.compress(&self.plain, &mut self.packed)
                && let Some(packed) = self.packed.get(..length).filter(|packed| packed.len() < self.plain.len())
            {
                return Window { packed: Bytes::copy_from_slice(packed), ..Window::default() }.encode_to_vec().into();
            }
        }
        Bytes::copy_from_slice(&self.plain)
    }
}

fn damaged(at: Option<u64>, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Damaged { folder: "of the store".to_owned(), detail: format!("ledger window {at:?}: {error}") }
}

/// How a packed window begins: the key of its one field, `packed`.
const PACKED: u8 = 3 << 3 | 2;

/// The message in what [`Packer::pack`] gave, its texts as they are; `at`: the window's time, for the error.
pub fn plain(at: Option<u64>, value: Bytes) -> Result<Bytes, StoreError> {
    if value.first() != Some(&PACKED) {
        return Ok(value);
    }
    let packed = Window::decode(value).map_err(|error| damaged(at, &error))?.packed;
    if snap::raw::decompress_len(&packed).is_ok_and(|length| length > MOST) {
        return Err(damaged(at, &"it says that it is larger than any"));
    }
    snap::raw::Decoder::new().decompress_vec(&packed).map(Bytes::from).map_err(|error| damaged(at, &error))
}

/// Reads what [`Packer::pack`] gave.
pub fn unpack(at: Option<u64>, value: Bytes) -> Result<Window, StoreError> {
    Window::decode(plain(at, value)?).map_err(|error| damaged(at, &error))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use headworks_api::storage::{AttemptRecord, Intent, RequestRecord};
    use proptest::prelude::*;

    use super::*;

    fn call(n: u32, model: &str) -> RequestRecord {
        let attempt = AttemptRecord { provider: "openai".into(), model: model.into(), rates: vec![2_500_000_000, 10_000_000_000], ..AttemptRecord::default() };
        RequestRecord {
            id: format!("req_{n:024}"),
            key_id: "key_0123456789".into(),
            model: format!("openai/{model}"),
            attempts: vec![attempt],
            ..RequestRecord::default()
        }
    }

    proptest! {
        #[test]
        fn windows_come_back_as_they_were(calls in 0u32..40, model in "[a-z0-9-]{0,40}", noise in proptest::collection::vec(any::<u8>(), 0..2_000)) {
            let noise = noise.iter().map(|byte| char::from(byte % 94 + 33)).collect::<String>();
            let intents = (0..calls).map(|n| Intent { request_id: format!("{n}"), model: model.clone(), key_id: noise.clone(), ..Intent::default() }).collect();
            let window = Window { intents, records: (0..calls).map(|n| call(n, &model)).collect(), ..Window::default() };
            let mut packer = Packer::default();
            for _ in 0..2 {
                prop_assert_eq!(&unpack(None, packer.pack(&window)).unwrap(), &window);
            }
            // As they were written before they were packed.
            prop_assert_eq!(unpack(None, window.encode_to_vec().into()).unwrap(), window);
        }

        #[test]
        fn damage_is_told(bytes in proptest::collection::vec(any::<u8>(), 1..200)) {
            let packed = Window { packed: bytes.into(), ..Window::default() }.encode_to_vec();
            let _ = unpack(Some(1), packed.into());
        }
    }

    #[test]
    fn many_calls_of_one_key_take_less_than_half() {
        let window = Window { records: (0..16).map(|n| call(n, "gpt-4o")).collect(), ..Window::default() };
        let (plain, packed) = (window.encode_to_vec().len(), Packer::default().pack(&window).len());
        assert!(packed * 2 < plain, "{packed} of {plain}");
    }
}
