//! Durable memory behind one trait, and the typed views over it.

mod alerts;
mod changes;
mod error;
mod groups;
mod idempotency;
mod keys;
mod ledger;
mod memory;
mod models;
mod policies;
mod postgres;
mod records;
mod responses;
mod retention;
mod rollup;
mod secret;
mod sled;
mod store;
#[cfg(test)]
mod suite;
mod tenant;
#[cfg(test)]
mod testing;
mod transfer;

pub use alerts::{Alerts, delivery as alert_delivery};
pub use changes::{Changes, Watched};
pub use error::StoreError;
pub use groups::GroupChange;
pub use idempotency::{Claimed, Idempotency, Kept};
pub use keys::{KeyChange, Keys, NewKey};
pub use ledger::{Backfill, Done, Ledger, Workers, settled};
pub use memory::MemoryStore;
pub use models::Models;
pub use policies::{Policies, PolicyChange};
pub use postgres::PostgresStore;
pub use records::{Filter, Page, Records, estimated, read_tokens, request_record, served_by, why, written_tokens};
pub use responses::{KeptResponse, Responses, ResponsesConfig};
pub use retention::forget;
pub use rollup::{By, Counts, Facet, Keep, Landed, Only, QueryError, Question, Rollups, Row, Sketch, Step, Sums};
pub use secret::Secret;
pub use sled::SledStore;
pub use store::{Change, Entry, Expect, Key, Revision, Store, Version};
pub use tenant::{role, window};
pub use transfer::{copy, export, import};
