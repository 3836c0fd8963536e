//! The sums of one stretch of time and one section, in memory and as they are kept.

use std::collections::HashMap;

use bytes::Bytes;
use headworks_api::storage::{RequestRecord, RollupBlock};
use prost::Message;

use super::{
    facets::{FACETS, Facet, Section, Values, extras, values},
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

    fn add(&mut self, section: Section, values: &Values, extra: &str, sums: &Sums) {
        let mut place: Place = [0; FACETS + 1];
        let empty = self.text("");
        for (slot, (facet, value)) in place.iter_mut().zip(Facet::ALL.iter().zip(values)) {
            *slot = if section.keeps(*facet) { self.text(value) } else { empty };
        }
        if section.extra().is_some() {
            let known = self.places.contains_key(extra);
            let extra = if known || self.extras < MOST_EXTRAS { extra } else { OTHER };
            self.extras += usize::from(!known);
            place[FACETS] = self.text(extra);
        }
        self.cells.entry(place).or_default().merge(sums);
    }

    /// Adds a call, taken apart by [`rows`].
    pub fn record(&mut self, section: Section, record: &RequestRecord, rows: &[(Values, Sums)]) {
        let values_of_extra = match section.extra() {
            None => vec![String::new()],
            Some(kind) => extras(record, kind),
        };
        for extra in values_of_extra {
            rows.iter().for_each(|(values, sums)| self.add(section, values, &extra, sums));
        }
    }

    /// Adds another's sums.
    pub fn merge(&mut self, other: &Block) {
        for (place, sums) in &other.cells {
            let mut mine = *place;
            for slot in &mut mine {
                let text = usize::try_from(*slot).ok().and_then(|at| other.texts.get(at)).map_or("", String::as_str);
                *slot = self.text(text);
            }
            self.cells.entry(mine).or_default().merge(sums);
        }
        self.extras = self.extras.max(other.extras);
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

    /// The bytes that keep it.
    pub fn encode(&self) -> Bytes {
        let cells = self.cells.iter().map(|(place, sums)| sums.cell(place[..FACETS].to_vec(), place[FACETS])).collect();
        RollupBlock { texts: self.texts.clone(), cells }.encode_to_vec().into()
    }

    /// Reads what was kept.
    pub fn decode(bytes: Bytes) -> Result<Self, StoreError> {
        let kept = read(bytes)?;
        let places = kept.texts.iter().enumerate().map(|(at, text)| (text.clone(), i32::try_from(at).unwrap_or(i32::MAX))).collect();
        let mut block = Block { extras: 0, texts: kept.texts, places, cells: HashMap::new() };
        let mut extras = std::collections::HashSet::new();
        for cell in kept.cells {
            let mut place: Place = [0; FACETS + 1];
            for (slot, at) in place.iter_mut().zip(cell.facets.iter().chain(std::iter::repeat_n(&0, FACETS))) {
                *slot = *at;
            }
            place[FACETS] = cell.extra;
            extras.insert(cell.extra);
            block.cells.entry(place).or_default().merge_cell(&cell, true);
        }
        block.extras = extras.len();
        Ok(block)
    }
}

/// The kept form, for readers that look at few of its cells.
pub fn read(bytes: Bytes) -> Result<RollupBlock, StoreError> {
    RollupBlock::decode(bytes).map_err(|error| StoreError::Damaged { folder: "of the store".to_owned(), detail: format!("a block of sums: {error}") })
}
