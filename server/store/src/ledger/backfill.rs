//! Windows of a time gone by: histories brought from elsewhere, and stores made for measurements.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use bytes::Bytes;
use headworks_api::storage::Window;
use headworks_core::Tally;

use super::{OPEN, SUMMED, place, recover, spent, window::Packer};
use crate::{Change, Expect, Store, StoreError};

/// Writes windows as the ledger would have when they were new. For a store that no gateway has open.
pub struct Backfill {
    store: Arc<dyn Store>,
    spent: HashMap<String, Tally>,
    changed: HashSet<String>,
    packer: Packer,
}

impl Backfill {
    /// Over a store, with what its payers spent so far.
    pub async fn open(store: Arc<dyn Store>) -> Result<Self, StoreError> {
        let recover::Found { spent, changed, .. } = recover::found(&*store).await?;
        Ok(Self { store, spent, changed, packer: Packer::default() })
    }

    /// Puts windows, oldest first, with what they add to their payers' sums, in one commit. A window's key is its time in Unix nanoseconds.
    /// Sums over calls follow when a gateway or [`crate::Rollups::open`] reads the store.
    pub async fn put(&mut self, windows: &[(u64, Window)]) -> Result<(), StoreError> {
        let put = |key, value| Change::Put { key, value, expect: Expect::Any };
        let mut changes = Vec::with_capacity(windows.len() + 32);
        for (at, window) in windows {
            changes.push(put(place(*at), self.packer.pack(window)));
            for record in &window.records {
                spent::add(&mut self.spent, record, &mut self.changed);
            }
        }
        changes.extend(spent::put(&self.spent, &mut self.changed));
        if let Some((last, _)) = windows.last() {
            // All of these calls are over and summed: a start need not look for others.
            changes.extend([OPEN, SUMMED].map(|mark| put(mark.to_vec(), Bytes::copy_from_slice(&last.to_be_bytes()))));
        }
        self.store.commit(changes).await.map(|_| ())
    }
}
