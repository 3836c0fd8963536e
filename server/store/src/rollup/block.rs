//! The sums of one stretch of time and one section, in memory and as they are kept.

use std::collections::hash_map::Entry;

use bytes::Bytes;
use foldhash::HashMap;
use headworks_api::storage::{RequestRecord, RollupBlock};
use prost::Message;

use super::{
    facets::{FACETS, Facet, Section, Values, extras, values},
    kept::Kept,
    sums::Sums,
};
use crate::StoreError;

/// Most values of an extra that one block tells apart; the others are summed up as [`OTHER`].
const MOST_EXTRAS: usize = 50_000;
/// What stands for the values beyond that.
pub const OTHER: &str = "(other)";

/// A call taken apart: one row per attempt, of which the last counts the call itself.
pub fn rows(record: &RequestRecord) -> Vec<(Values, Sums)> {
    let (last, before) = match record.attempts.split_last() {
        Some((last, before)) => (Some(last), before),
        None => (None, &[][..]),
    };
    let mut rows: Vec<_> = before.iter().map(|attempt| (values(record, Some(attempt), false), Sums::of_attempt(attempt))).collect();
    rows.push((values(record, last, true), Sums::of_call(record)));
    rows
}

/// Where a cell's values stand among the texts; the extra's last.
type Place = [i32; FACETS + 1];

/// Sums by facets.
#[derive(Clone, Debug, Default)]
pub struct Block {
    texts: Vec<String>,
    places: HashMap<String, i32>,
    cells: HashMap<Place, Sums>,
    extras: usize,
}

/// Bytes of a part: sixteen of them fit the largest page that sled forgets again, 128 KiB.
const PART: usize = if cfg!(test) { 100 } else { 6 << 10 };

/// A part of a block as it is made.
struct Part {
    block: RollupBlock,
    /// Where the texts of the whole stand in it.
    places: Vec<Option<i32>>,
    bytes: usize,
}

impl Part {
    fn of(texts: usize) -> Self {
        Self { block: RollupBlock::default(), places: vec![None; texts], bytes: 0 }
    }

    fn text(&mut self, texts: &[String], at: i32) -> i32 {
        let Some((place, text)) = usize::try_from(at).ok().and_then(|at| self.places.get_mut(at).zip(texts.get(at))) else { return -1 };
        *place.get_or_insert_with(|| {
            self.block.texts.push(text.clone());
            self.bytes += text.len() + 2;
            i32::try_from(self.block.texts.len() - 1).unwrap_or(i32::MAX)
        })
    }

    fn encode(self) -> Bytes {
        self.block.encode_to_vec().into()
    }
}

/// Where another block's texts stand in this one, looked up once each.
struct Translation<'a, T> {
    texts: &'a [T],
    places: Vec<Option<i32>>,
    extras: Vec<Option<i32>>,
}

impl<'a, T: AsRef<str>> Translation<'a, T> {
    fn of(texts: &'a [T]) -> Self {
        Self { texts, places: vec![None; texts.len()], extras: vec![None; texts.len()] }
    }

    fn one(texts: &[T], known: &mut [Option<i32>], at: i32, mut look: impl FnMut(&str) -> i32) -> i32 {
        // A place that is none of the block's reads as an empty text.
        let Some((known, text)) = usize::try_from(at).ok().and_then(|at| known.get_mut(at).zip(texts.get(at))) else { return look("") };
        *known.get_or_insert_with(|| look(text.as_ref()))
    }

    fn place(&mut self, block: &mut Block, at: i32) -> i32 {
        Self::one(self.texts, &mut self.places, at, |text| block.text(text))
    }

    fn extra(&mut self, block: &mut Block, at: i32) -> i32 {
        Self::one(self.texts, &mut self.extras, at, |text| block.extra(text))
    }
}

impl Block {
    /// No call.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    fn text(&mut self, text: &str) -> i32 {
        if let Some(place) = self.places.get(text) {
            return *place;
        }
        let place = i32::try_from(self.texts.len()).unwrap_or(i32::MAX);
        self.texts.push(text.to_owned());
        self.places.insert(text.to_owned(), place);
        place
    }

    /// Of an extra's values so many are told apart.
    fn extra(&mut self, text: &str) -> i32 {
        let known = self.places.contains_key(text);
        if !known && self.extras >= MOST_EXTRAS {
            return self.text(OTHER);
        }
        self.extras += usize::from(!known);
        self.text(text)
    }

    fn add(&mut self, place: Place, sums: &Sums) {
        match self.cells.entry(place) {
            Entry::Occupied(mut known) => known.get_mut().merge(sums),
            Entry::Vacant(new) => {
                new.insert(sums.clone());
            }
        }
    }

    /// Adds a call, taken apart by [`rows`], to a section that tells all facets apart.
    pub fn record(&mut self, section: Section, record: &RequestRecord, rows: &[(Values, Sums)]) {
        let values_of_extra = match section.extra() {
            None => vec![String::new()],
            Some(kind) => extras(record, kind),
        };
        for extra in values_of_extra {
            for (values, sums) in rows {
                let mut place: Place = [0; FACETS + 1];
                for (slot, value) in place.iter_mut().zip(values) {
                    *slot = self.text(value);
                }
                place[FACETS] = self.extra(&extra);
                self.add(place, sums);
            }
        }
    }

    /// Adds another's sums.
    pub fn merge(&mut self, other: &Block) {
        self.take(other, |_| true, true);
    }

    /// The sums of a section, from those of the whole it is made of.
    pub fn of(section: Section, whole: &Block) -> Self {
        let mut block = Block::default();
        block.take(whole, |facet| section.keeps(facet), section.extra().is_some());
        block
    }

    fn take(&mut self, other: &Block, keeps: impl Fn(Facet) -> bool, extra: bool) {
        let mut here = Translation::of(&other.texts);
        let (kept, none) = (Facet::ALL.map(keeps), self.text(""));
        for (theirs, sums) in &other.cells {
            let mut place: Place = [none; FACETS + 1];
            for ((slot, at), kept) in place.iter_mut().zip(theirs).zip(kept) {
                if kept {
                    *slot = here.place(self, *at);
                }
            }
            if extra {
                place[FACETS] = here.extra(self, theirs[FACETS]);
            }
            self.add(place, sums);
        }
    }

    /// Adds what is kept of another.
    pub fn merge_kept(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let kept = Kept::read(bytes)?;
        let mut here = Translation::of(&kept.texts);
        kept.each(|cell| {
            let mut place: Place = [0; FACETS + 1];
            for (slot, at) in place.iter_mut().zip(cell.facets.iter().chain(std::iter::repeat_n(&-1, FACETS))) {
                *slot = here.place(self, *at);
            }
            place[FACETS] = here.extra(self, cell.extra);
            self.cells.entry(place).or_default().merge_cell(cell, true);
        })
    }

    /// Each cell: the values of its facets, that of its extra, and its sums.
    pub fn each(&self, mut see: impl FnMut(&[&str; FACETS], &str, &Sums)) {
        let text = |at: i32| usize::try_from(at).ok().and_then(|at| self.texts.get(at)).map_or("", String::as_str);
        for (place, sums) in &self.cells {
            let mut facets = [""; FACETS];
            for (slot, at) in facets.iter_mut().zip(place) {
                *slot = text(*at);
            }
            see(&facets, text(place[FACETS]), sums);
        }
    }

    /// The bytes that keep it, in parts: each a block of its own, with the texts that its cells name.
    pub fn encode(&self) -> Vec<Bytes> {
        let mut cells: Vec<(&Place, &Sums)> = self.cells.iter().collect();
        // Those that name the same texts stand together.
        cells.sort_unstable_by_key(|(place, _)| **place);
        let (mut parts, mut part) = (Vec::new(), Part::of(self.texts.len()));
        for (place, sums) in cells {
            if part.bytes >= PART {
                parts.push(std::mem::replace(&mut part, Part::of(self.texts.len())).encode());
            }
            let facets = place[..FACETS].iter().map(|at| part.text(&self.texts, *at)).collect();
            let extra = part.text(&self.texts, place[FACETS]);
            let cell = sums.cell(facets, extra);
            part.bytes += cell.encoded_len();
            part.block.cells.push(cell);
        }
        if !part.block.cells.is_empty() {
            parts.push(part.encode());
        }
        parts
    }
}
