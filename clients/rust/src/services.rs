//! One client per service of `headworks.v1`.

mod chat;

mod embeddings;

mod keys;

mod policies;

mod models;

mod streams;

mod usage;

pub use chat::Chat;

pub use embeddings::Embeddings;

pub use keys::Keys;

pub use policies::Policies;

pub use models::Models;

pub use streams::Streams;

pub use usage::Usage;
