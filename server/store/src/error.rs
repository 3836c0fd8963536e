use bytes::Bytes;
use headworks_core::{Fault, Reason};

use crate::{Key, Version};

/// Why the store did not do as asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// What stands there is not what the caller expected; nothing was changed.
    #[error("\"{}\" is not as expected", String::from_utf8_lossy(key))]
    Conflict {
        /// Where.
        key: Key,
        /// What stands there.
        found: Option<(Version, Bytes)>,
    },
    /// A counter would pass its ceiling; nothing was changed.
    #[error("\"{}\" would pass its ceiling: it stands at {value}", String::from_utf8_lossy(key))]
    Ceiling {
        /// Where.
        key: Key,
        /// Where it stands.
        value: i64,
    },
    /// Another process has it open.
    #[error("the data folder {0} is in use by another headworks; stop it, or choose another folder with store.url or HEADWORKS__STORE__URL=sled:PATH")]
    Locked(String),
    /// It cannot be read.
    #[error(
        "the data folder {folder} is damaged ({detail}); move it aside, start with an empty one and bring the state back with \
         \"headworks import FILE\" from your last export"
    )]
    Damaged {
        /// The folder.
        folder: String,
        /// What was found.
        detail: String,
    },
    /// It does not answer, or an earlier write failed and it writes no more.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict { .. } | StoreError::Ceiling { .. } => {
                Fault::new(Reason::Conflict, "the resource changed meanwhile; read it again and repeat the change")
            }
            other => Fault::new(Reason::Overloaded, other.to_string()),
        }
    }
}
