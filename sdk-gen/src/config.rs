//! `sdk.toml`: what the schema does not say.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;

use crate::Failure;

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What clients call each service, in snake case.
    pub services: BTreeMap<String, String>,
    /// Messages whose fields stand for a request that holds nothing else.
    pub spread: Vec<String>,
    /// First words of methods that may be made twice.
    pub idempotent_verbs: Vec<String>,
    /// Each language, by its folder.
    pub languages: BTreeMap<String, Language>,
}

/// How one language's client is put together.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Language {
    /// Where its client goes, from the output folder.
    pub out: String,
    /// Whether it is a package to publish, with the licence in it.
    #[serde(default)]
    pub package: bool,
    /// What stock generators make.
    #[serde(default)]
    pub plugins: Vec<Plugin>,
    /// Templates (paths of what they make, or beginnings of them) for a schema with chats alone.
    #[serde(default)]
    pub chat_only: Vec<String>,
    /// A command, run in the client's folder, that formats what was made.
    #[serde(default)]
    pub format: Vec<String>,
}

/// One stock generator.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plugin {
    /// Its program, from the repository's root; `tonic` is built in; `{tools}` is where the setup put its programs.
    pub run: Vec<String>,
    /// `plugin`: takes a CodeGeneratorRequest; `protoc`: takes protoc's arguments; `tonic`; `copy`: the schema itself, with `insert`.
    pub kind: Kind,
    /// Where its files go, from the client's folder.
    pub out: String,
    /// Parameter of a `plugin`.
    #[serde(default)]
    pub options: String,
    /// A `go_package` for every file.
    #[serde(default)]
    pub go_package: String,
    /// Lines put after `package` by `copy`.
    #[serde(default)]
    pub insert: Vec<String>,
}

/// What a stock generator takes.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A CodeGeneratorRequest on standard input.
    Plugin,
    /// protoc's own arguments.
    Protoc,
    /// The library for Rust.
    Tonic,
    /// The schema itself.
    Copy,
}

impl Config {
    /// Reads the file.
    pub fn read(file: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
        toml::from_str(&text).map_err(|e| format!("{}: {e}", file.display()).into())
    }
}
