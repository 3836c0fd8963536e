//! Durable memory behind one trait, and the typed views over it.

mod changes;
mod error;
mod idempotency;
mod keys;
mod ledger;
mod memory;
mod policies;
mod postgres;
mod records;
mod responses;
mod retention;
mod rollup;
mod secret;
mod sled;
mod store;
pub mod suite;
mod transfer;

pub use changes::{Changes, Watched};
pub use error::StoreError;
pub use idempotency::{Claimed, Idempotency, Kept};
pub use keys::{KeyChange, Keys, NewKey};
pub use ledger::{Done, Ledger, settled};
pub use memory::MemoryStore;
pub use policies::{Policies, PolicyChange};
pub use postgres::PostgresStore;
pub use records::{Filter, Page, Records, request_record};
pub use responses::{KeptResponse, Responses, ResponsesConfig};
pub use retention::forget;
pub use rollup::{By, Counts, Facet, Keep, Landed, Only, QueryError, Question, Rollups, Row, Sketch, Step, Sums};
pub use secret::Secret;
pub use sled::SledStore;
pub use store::{Change, Entry, Expect, Key, Revision, Store, Version};
pub use transfer::{copy, export, import};
