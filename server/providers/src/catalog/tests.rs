#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;

use serde_json::Value;

use super::*;

fn shared(file: &str) -> Option<Value> {
    let root = std::env::var_os("HEADWORKS_SHARED_DATA").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    match std::fs::read(root.join(file)) {
        Ok(bytes) => Some(serde_json::from_slice(&bytes).unwrap()),
        Err(_) => {
            println!("SKIPPED: {} is not there (HEADWORKS_SHARED_DATA)", root.join(file).display());
            None
        }
    }
}

fn toml_overrides(text: &str) -> BTreeMap<String, HostOverride> {
    toml::from_str(text).unwrap()
}

fn try_load(text: &str) -> Result<Catalog, CatalogError> {
    load(&toml_overrides(text), &|_| None)
}

#[test]
fn every_provider_has_the_url_of_the_facts() {
    let Some(providers) = shared("catalog/providers.json") else { return };
    let catalog = load(&BTreeMap::new(), &|_| None).unwrap();
    for p in providers.as_array().unwrap() {
        let id = p["id"].as_str().unwrap();
        let host = catalog.host(id).unwrap_or_else(|| panic!("{id} is missing"));
        let version = match host.dialect {
            Some(DialectName::Anthropic) => "/v1",
            Some(DialectName::Gemini) => "/v1beta",
            Some(DialectName::Cohere) => "/v2",
            _ => "",
        };
        let fact = p["base_urls"]["default"].as_str().unwrap();
        let wanted = if fact.starts_with("http") { fact.trim_end_matches('/') } else { "" };
        assert_eq!(format!("{}{version}", host.base_url), wanted, "{id}");
    }
}

#[test]
fn every_model_and_price_of_the_facts_is_there() {
    let Some(models) = shared("catalog/models.json") else { return };
    let catalog = load(&BTreeMap::new(), &|_| None).unwrap();
    let models = models.as_array().unwrap();
    for m in models {
        let id = m["id"].as_str().unwrap();
        let target = catalog.target(id).filter(|t| t.known).unwrap_or_else(|| panic!("{id} is missing"));
        let facts = target.model.as_ref().unwrap();
        assert_eq!(facts.context_window, m["context_window"].as_i64(), "{id}");
        let rates = facts.price.as_ref().map(|p| p.base).unwrap_or_default();
        for (name, ours) in [("input", rates.input), ("output", rates.output), ("cache_read", rates.cache_read), ("cache_write_1h", rates.cache_write_1h)] {
            let fact = m["prices"][name].as_str().map(|text| NanoUsd::from_decimal(text).unwrap().0);
            assert_eq!(ours, fact, "{id} {name}");
        }
        let tiers = m["prices"]["tiers"].as_array().map_or(0, Vec::len);
        assert_eq!(facts.price.as_ref().map_or(0, |p| p.tiers.len()), tiers, "{id}");
        let listed = ["active", "preview", "deprecated"].contains(&m["status"].as_str().unwrap());
        assert_eq!(facts.status != headworks_core::Status::Hidden, listed, "{id}");
    }
    assert_eq!(catalog.targets().filter(|t| &*t.id.provider != SANDBOX).count(), models.len());
}

#[test]
fn a11_a_price_in_the_wrong_unit_is_refused() {
    for (price, field) in [("0.0000000025", "input"), ("-3", "input"), ("2500000", "output"), ("1e-6", "output"), ("0.0000001", "cache_read")] {
        let text = format!("[x]\ndialect = \"openai\"\nbase_url = \"http://h\"\nmodels = [{{ name = \"m\", price = {{ {field} = \"{price}\" }} }}]");
        let error = try_load(&text).unwrap_err().to_string();
        assert!(error.contains("providers.x.models") && error.contains(&format!("price.{field}")) && error.contains(price), "{error}");
    }
}

#[test]
fn configuration_changes_and_adds_providers() {
    let env = |name: &str| (name == "GROQ_API_KEY" || name == "MINE").then(|| "k".to_owned());
    let over = toml_overrides(
        "[my-vllm]\ndialect = \"openai\"\nbase_url = \"http://127.0.0.1:8000/v1/\"\nregions = [\"eu\"]\n\
         models = [{ name = \"m\", price = { input = \"0\", output = \"0.5\" } }]\n\
         [openai]\napi_key_env = \"MINE\"\n[sandbox]\nenabled = false\n[ollama]\n",
    );
    let catalog = load(&over, &env).unwrap();
    let vllm = catalog.host("my-vllm").unwrap();
    assert_eq!((&*vllm.base_url, vllm.configured, &vllm.auth), ("http://127.0.0.1:8000/v1", true, &AuthScheme::None));
    assert_eq!(catalog.target("my-vllm/m").unwrap().model.as_ref().unwrap().price.as_ref().unwrap().base.output, Some(500_000_000));
    assert!(catalog.target("my-vllm/anything").is_some_and(|t| !t.known));
    assert!(catalog.host("openai").unwrap().configured && catalog.host("groq").unwrap().configured && catalog.host("ollama").unwrap().configured);
    assert!(!catalog.host("anthropic").unwrap().configured && !catalog.host("vllm").unwrap().configured);
    assert!(catalog.host("sandbox").is_none());
    assert_eq!(catalog.bare("gpt-5").unwrap().id.to_string(), "openai/gpt-5");
}

#[test]
fn wrong_configuration_names_provider_and_field() {
    for (text, wanted) in [
        ("[x]\nbase_url = \"http://h\"", "providers.x.dialect: is missing"),
        ("[x]\ndialect = \"openai\"", "providers.x.base_url: is missing"),
        ("[x]\ndialect = \"smoke\"\nbase_url = \"http://h\"", "providers.x.dialect: \"smoke\" is no dialect; use one of openai, "),
        ("[openai]\nbase_url = \"ftp://h\"", "providers.openai.base_url: \"ftp://h\" does not begin with http"),
    ] {
        let error = try_load(text).unwrap_err().to_string();
        assert!(error.starts_with(wanted), "{error}");
    }
}
