use std::{fmt, ops::Deref};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{Changes, StoreError};

/// Largest key in bytes.
pub const MAX_KEY: usize = 512;
/// Largest value in bytes.
pub const MAX_VALUE: usize = 1 << 20;

/// Name of a value: `<table>/<tenant>/<id>`. Keys sort as bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Bytes);

impl Key {
    /// Puts a key together. Table and tenant are not empty and hold no `/`; the id is any bytes.
    pub fn new(table: &str, tenant: &str, id: impl AsRef<[u8]>) -> Result<Self, StoreError> {
        for part in [table, tenant] {
            if part.is_empty() || part.contains('/') {
                return Err(StoreError::Invalid(format!(
                    "\"{part}\" cannot be a table or tenant: it must not be empty or contain \"/\""
                )));
            }
        }
        let id = id.as_ref();
        let mut bytes = Vec::with_capacity(table.len() + tenant.len() + id.len() + 2);
        bytes.extend_from_slice(table.as_bytes());
        bytes.push(b'/');
        bytes.extend_from_slice(tenant.as_bytes());
        bytes.push(b'/');
        bytes.extend_from_slice(id);
        Self::checked(bytes.into())
    }

    /// Reads a key from its bytes.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, StoreError> {
        let mut parts = bytes.splitn(3, |byte| *byte == b'/');
        let named = |part: Option<&[u8]>| part.is_some_and(|part| !part.is_empty());
        if named(parts.next()) && named(parts.next()) && parts.next().is_some() {
            return Self::checked(bytes);
        }
        Err(StoreError::Invalid(format!("{:?} is not a key of the form table/tenant/id", Key(bytes))))
    }

    /// A key that a store itself gave out.
    pub(crate) fn trusted(bytes: Bytes) -> Self {
        Self(bytes)
    }

    fn checked(bytes: Bytes) -> Result<Self, StoreError> {
        if bytes.len() > MAX_KEY {
            return Err(StoreError::TooLarge { what: "a key".to_owned(), size: bytes.len(), limit: MAX_KEY });
        }
        Ok(Self(bytes))
    }

    /// The table's name.
    pub fn table(&self) -> &[u8] {
        self.0.split(|byte| *byte == b'/').next().unwrap_or_default()
    }

    /// What stands after table and tenant.
    pub fn id(&self) -> &[u8] {
        self.0.splitn(3, |byte| *byte == b'/').nth(2).unwrap_or_default()
    }

    /// The key's bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }
}

impl Deref for Key {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// The revision that last wrote a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

/// Number of a commit; later commits have greater numbers, not always the next one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

/// What must hold for a change to be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Anything, or nothing.
    Any,
    /// Nothing is there.
    Absent,
    /// Some value is there.
    Present,
    /// This version is there.
    Version(Version),
}

/// One change to one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Writes a value.
    Put {
        /// Where.
        key: Key,
        /// What.
        value: Bytes,
        /// Under which condition.
        expect: Expect,
    },
    /// Removes a value; removing what is not there is no error under [`Expect::Any`].
    Delete {
        /// Where.
        key: Key,
        /// Under which condition.
        expect: Expect,
    },
    /// Adds to a counter (8 bytes, little-endian `i64`); an absent one is 0.
    /// A sum that overflows, or one that rises above the ceiling, is a conflict.
    Add {
        /// Where.
        key: Key,
        /// How much; may be negative, and is then never stopped by the ceiling.
        delta: i64,
        /// Greatest sum that an addition may reach.
        ceiling: Option<i64>,
    },
}

impl Change {
    /// The key it touches.
    pub fn key(&self) -> &Key {
        match self {
            Change::Put { key, .. } | Change::Delete { key, .. } | Change::Add { key, .. } => key,
        }
    }
}

/// A counter's bytes.
pub fn counter(value: i64) -> Bytes {
    Bytes::copy_from_slice(&value.to_le_bytes())
}

/// What a counter's bytes say; `None` if they are not a counter's.
pub fn read_counter(bytes: &[u8]) -> Option<i64> {
    bytes.try_into().ok().map(i64::from_le_bytes)
}

/// A value as a scan gives it.
pub type Row = (Key, Version, Bytes);

/// Durable memory. [`crate::suite::run`] is the definition of what an implementation must do.
#[async_trait]
pub trait Store: Send + Sync {
    /// The value of a key.
    async fn get(&self, key: &Key) -> Result<Option<(Version, Bytes)>, StoreError>;

    /// Up to `limit` values whose keys begin with `prefix`, in key order, strictly after `after`.
    async fn scan(&self, prefix: &[u8], after: Option<&Key>, limit: usize) -> Result<Vec<Row>, StoreError>;

    /// Applies all changes or none, in order; when it returns, they survive a power cut.
    /// The revision returned is the version of every value written.
    async fn commit(&self, changes: Vec<Change>) -> Result<Revision, StoreError>;

    /// The newest durable revision. Take it before a scan, then watch from it.
    async fn revision(&self) -> Result<Revision, StoreError>;

    /// Durable changes under `prefix` with a revision greater than `from`, in order.
    fn watch(&self, prefix: &[u8], from: Revision) -> Changes;
}
