//! What `[providers.NAME]` can say.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{file::RawModel, quirks::RawQuirks};

/// Changes to a provider of the catalogue, or a new one.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HostOverride {
    /// `false` takes the provider out.
    pub enabled: Option<bool>,
    /// Its name for people.
    pub name: Option<String>,
    /// Its wire dialect: `openai`, `anthropic`, `gemini`, ...
    pub dialect: Option<String>,
    /// What stands before the dialect's own path: for `openai` up to the version, for `anthropic` and `gemini` the host.
    pub base_url: Option<String>,
    /// The environment variable that holds its key. Default: those of the catalogue.
    pub api_key_env: Option<String>,
    /// Where it processes.
    pub regions: Option<Vec<String>>,
    /// Headers sent with every request.
    pub headers: BTreeMap<String, String>,
    /// In what it differs from its dialect's standard.
    pub quirks: Option<RawQuirks>,
    /// Models and prices to add, or to lay over those of the catalogue, field by field.
    pub models: Vec<RawModel>,
    /// Azure: API version; absent: the v1 path.
    pub api_version: Option<String>,
    /// Azure: deployment by model.
    pub deployments: BTreeMap<String, String>,
    /// Vertex: project.
    pub project: Option<String>,
    /// Vertex: location.
    pub location: Option<String>,
    /// Where the provider is made to process, where that multiplies its prices: `eu`, `us`, `regional`. Default: what the address says.
    pub residency: Option<String>,
    /// Bedrock: region.
    pub region: Option<String>,
}
