//! Tests of the whole: this crate holds those written in Rust; the folders beside
//! it hold those that need other languages' clients, a browser or a database.
