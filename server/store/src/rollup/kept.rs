//! Reads blocks as they are kept, a cell at a time: the wire form of `RollupBlock`, without a message for each of its many cells.

use prost::encoding::decode_varint;

use crate::StoreError;

/// A block: its texts, and its cells still packed.
pub struct Kept<'a> {
    /// The texts that cells name by their place.
    pub texts: Vec<&'a str>,
    cells: Vec<&'a [u8]>,
}

/// One cell, as `RollupCell` has it.
#[derive(Default)]
pub struct Cell<'a> {
    /// Places of the facets' values among the texts.
    pub facets: Vec<i32>,
    /// That of the extra.
    pub extra: i32,
    /// Counts and sums.
    pub sums: Vec<i64>,
    /// A packed sketch.
    pub latency: &'a [u8],
    /// A packed sketch.
    pub first_token: &'a [u8],
    /// A packed sketch.
    pub speed: &'a [u8],
}

/// A field of a message: what kept blocks are made of has no other kinds.
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The next field with its number; `None`: the bytes are no such message.
fn field<'a>(rest: &mut &'a [u8]) -> Option<(u64, Field<'a>)> {
    let key = decode_varint(rest).ok()?;
    let field = match key & 7 {
        0 => Field::Number(decode_varint(rest).ok()?),
        2 => {
            let length = usize::try_from(decode_varint(rest).ok()?).ok()?;
            let (bytes, after) = rest.split_at_checked(length)?;
            *rest = after;
            Field::Bytes(bytes)
        }
        _ => return None,
    };
    Some((key >> 3, field))
}

fn damaged() -> StoreError {
    StoreError::Damaged { folder: "of the store".to_owned(), detail: "a block of sums cannot be read".to_owned() }
}

/// A number as `int32` is written: negative ones as 64 bits.
fn small(number: u64) -> i32 {
    i32::try_from(number.cast_signed()).unwrap_or(-1)
}

fn numbers<T>(mut packed: &[u8], list: &mut Vec<T>, of: impl Fn(u64) -> T) -> Option<()> {
    while !packed.is_empty() {
        list.push(of(decode_varint(&mut packed).ok()?));
    }
    Some(())
}

impl<'a> Kept<'a> {
    /// Looks at a block.
    pub fn read(bytes: &'a [u8]) -> Result<Self, StoreError> {
        let mut kept = Self { texts: Vec::new(), cells: Vec::new() };
        kept.split(bytes).ok_or_else(damaged)?;
        Ok(kept)
    }

    fn split(&mut self, mut bytes: &'a [u8]) -> Option<()> {
        while !bytes.is_empty() {
            match field(&mut bytes)? {
                (1, Field::Bytes(text)) => self.texts.push(std::str::from_utf8(text).ok()?),
                (2, Field::Bytes(cell)) => self.cells.push(cell),
                _ => {}
            }
        }
        Some(())
    }

    /// Shows each cell.
    pub fn each(&self, mut see: impl FnMut(&Cell<'a>)) -> Result<(), StoreError> {
        let mut cell = Cell::default();
        for bytes in &self.cells {
            cell.fill(bytes).ok_or_else(damaged)?;
            see(&cell);
        }
        Ok(())
    }
}

impl<'a> Cell<'a> {
    /// Takes the place of what was in it; its lists are used again.
    fn fill(&mut self, mut bytes: &'a [u8]) -> Option<()> {
        self.facets.clear();
        self.sums.clear();
        (self.extra, self.latency, self.first_token, self.speed) = Default::default();
        while !bytes.is_empty() {
            match field(&mut bytes)? {
                (1, Field::Bytes(packed)) => numbers(packed, &mut self.facets, small)?,
                (2, Field::Number(number)) => self.extra = small(number),
                (3, Field::Bytes(packed)) => numbers(packed, &mut self.sums, u64::cast_signed)?,
                (4, Field::Bytes(sketch)) => self.latency = sketch,
                (5, Field::Bytes(sketch)) => self.first_token = sketch,
                (6, Field::Bytes(sketch)) => self.speed = sketch,
                _ => {}
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use headworks_api::storage::{RollupBlock, RollupCell};
    use proptest::prelude::*;
    use prost::Message;

    use super::*;

    prop_compose! {
        fn cell()(
            facets in proptest::collection::vec(any::<i32>(), 0..12), extra in any::<i32>(), sums in proptest::collection::vec(any::<i64>(), 0..30),
            latency in proptest::collection::vec(any::<u8>(), 0..9), first_token in proptest::collection::vec(any::<u8>(), 0..9),
        ) -> RollupCell {
            RollupCell { facets, extra, sums, latency: latency.into(), first_token: first_token.into(), speed: Default::default() }
        }
    }

    proptest! {
        #[test]
        fn cells_are_read_as_their_message_is(texts in proptest::collection::vec(".{0,9}", 0..9), cells in proptest::collection::vec(cell(), 0..9)) {
            let block = RollupBlock { texts, cells };
            let bytes = block.encode_to_vec();
            let kept = Kept::read(&bytes).unwrap();
            prop_assert_eq!(&kept.texts, &block.texts);
            let mut found = Vec::new();
            kept.each(|cell| {
                found.push(RollupCell {
                    facets: cell.facets.clone(), extra: cell.extra, sums: cell.sums.clone(),
                    latency: cell.latency.to_vec().into(), first_token: cell.first_token.to_vec().into(), speed: cell.speed.to_vec().into(),
                });
            }).unwrap();
            prop_assert_eq!(found, block.cells);
        }

        #[test]
        fn whatever_else_is_told_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(kept) = Kept::read(&bytes) {
                let _ = kept.each(|_| {});
            }
        }
    }
}
