use bytes::Bytes;

use crate::{Key, Version};

/// Why a store could not do what was asked. Each message says what, where and what to do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Another process holds the data folder.
    #[error("data folder {folder} is in use by another process; stop that process, or give this one a folder of its own")]
    Locked {
        /// The folder.
        folder: String,
    },
    /// What is on disk cannot be read.
    #[error(
        "data folder {folder} is damaged: {detail}; move the folder aside (mv {folder} {folder}.damaged), \
         start with a fresh one and import the last export into it"
    )]
    Damaged {
        /// The folder, or the connection's description.
        folder: String,
        /// What was found, and where.
        detail: String,
    },
    /// An expectation did not hold. Nothing of the change set was applied.
    #[error("{key} is not as expected: {}", describe(.found))]
    Conflict {
        /// The key whose expectation failed.
        key: Key,
        /// What is there instead; `None`: nothing.
        found: Option<(Version, Bytes)>,
    },
    /// The store cannot be reached or can no longer write. Whether the change was kept is not known.
    #[error("the store at {place} is unavailable: {detail}")]
    Unavailable {
        /// The folder, or the connection's description.
        place: String,
        /// The cause and what to do.
        detail: String,
    },
    /// A key or value is larger than stores take.
    #[error("{what} has {size} bytes, more than the {limit} a store takes")]
    TooLarge {
        /// What is too large.
        what: String,
        /// Its size in bytes.
        size: usize,
        /// Largest size in bytes.
        limit: usize,
    },
    /// The request to the store makes no sense as it stands.
    #[error("{0}")]
    Invalid(String),
}

fn describe(found: &Option<(Version, Bytes)>) -> String {
    match found {
        None => "nothing is there".to_owned(),
        Some((version, _)) => format!("version {} is there", version.0),
    }
}
