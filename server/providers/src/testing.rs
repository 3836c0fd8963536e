//! Targets for tests of this crate.

use std::sync::Arc;

use headworks_core::{AuthScheme, Catalog, DialectName, Host, Model, ModelId, Quirks, Target};

/// A target with facts that `change` sets.
pub(crate) fn target(provider: &str, model: &str, change: impl FnOnce(&mut Model)) -> Target {
    let dialect = DialectName::from_name(provider).unwrap_or(DialectName::OpenAi);
    let host = Host {
        id: provider.into(),
        name: provider.into(),
        dialect: Some(dialect),
        dialect_word: provider.into(),
        base_url: "http://host".into(),
        auth: AuthScheme::None,
        key_env: Vec::new(),
        regions: Vec::new(),
        reseller: false,
        quirks: Quirks::default(),
        options: Default::default(),
        configured: true,
    };
    let mut facts = Model {
        id: ModelId::new(provider, model),
        upstream_name: model.into(),
        mode: "chat".into(),
        dialect: None,
        foreign_dialect: None,
        context_window: Some(200_000),
        max_input_tokens: None,
        max_output_tokens: Some(64_000),
        price: None,
        capabilities: Default::default(),
        reasoning: Default::default(),
        cache_min_tokens: Some(1024),
        regions: Vec::new(),
        status: Default::default(),
        deprecation_date: None,
        release_date: None,
        aliases: Vec::new(),
        canonical: None,
        dimensions: None,
        unit_prices: Default::default(),
        origin: Default::default(),
    };
    change(&mut facts);
    let catalog = Catalog::new([Arc::new(host)], [Arc::new(facts)]);
    let id = format!("{provider}/{model}");
    catalog.target(&id).map_or_else(|| unreachable!("the target was just put in"), |t| (*t).clone())
}
