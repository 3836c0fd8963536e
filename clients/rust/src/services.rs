//! One client per service of `headworks.v1`.

mod chat;

mod embeddings;

mod keys;

mod models;

mod policies;

mod streams;

mod usage;

pub use chat::Chat;

pub use embeddings::Embeddings;

pub use keys::Keys;

pub use models::Models;

pub use policies::Policies;

pub use streams::Streams;

pub use usage::Usage;
