//! What a change set does to the values it finds: the rules that every store shares.

use std::collections::HashMap;

use bytes::Bytes;

use crate::{
    Change, Expect, Key, StoreError, Version, counter, read_counter,
    types::{MAX_KEY, MAX_VALUE},
};

/// A value with its version, or nothing.
pub(crate) type Found = Option<(Version, Bytes)>;

/// Works out what `changes` write under `version`, given what is there.
/// Nothing is written when an expectation fails.
pub(crate) fn evaluate(
    changes: &[Change],
    version: Version,
    mut read: impl FnMut(&Key) -> Result<Found, StoreError>,
) -> Result<HashMap<Key, Found>, StoreError> {
    let mut written: HashMap<Key, Found> = HashMap::with_capacity(changes.len());
    for change in changes {
        let key = change.key();
        if key.len() > MAX_KEY {
            return Err(StoreError::TooLarge { what: "a key".to_owned(), size: key.len(), limit: MAX_KEY });
        }
        let found = match written.get(key) {
            Some(found) => found.clone(),
            None => read(key)?,
        };
        let next = apply(change, found, version)?;
        written.insert(key.clone(), next);
    }
    Ok(written)
}

fn apply(change: &Change, found: Found, version: Version) -> Result<Found, StoreError> {
    let conflict = |key: &Key, found: Found| StoreError::Conflict { key: key.clone(), found };
    match change {
        Change::Put { key, value, expect } => {
            if value.len() > MAX_VALUE {
                let what = format!("the value of {key}");
                return Err(StoreError::TooLarge { what, size: value.len(), limit: MAX_VALUE });
            }
            if !holds(*expect, &found) {
                return Err(conflict(key, found));
            }
            Ok(Some((version, value.clone())))
        }
        Change::Delete { key, expect } => {
            if !holds(*expect, &found) {
                return Err(conflict(key, found));
            }
            Ok(None)
        }
        Change::Add { key, delta, ceiling } => {
            let before = match &found {
                None => 0,
                Some((_, bytes)) => read_counter(bytes)
                    .ok_or_else(|| StoreError::Invalid(format!("{key} is not a counter: it has {} bytes, not 8", bytes.len())))?,
            };
            let Some(after) = before.checked_add(*delta) else { return Err(conflict(key, found)) };
            if *delta > 0 && ceiling.is_some_and(|ceiling| after > ceiling) {
                return Err(conflict(key, found));
            }
            Ok(Some((version, counter(after))))
        }
    }
}

fn holds(expect: Expect, found: &Found) -> bool {
    match (expect, found) {
        (Expect::Any, _) | (Expect::Absent, None) | (Expect::Present, Some(_)) => true,
        (Expect::Version(wanted), Some((version, _))) => wanted == *version,
        (Expect::Absent, Some(_)) | (Expect::Present | Expect::Version(_), None) => false,
    }
}
