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

#[test]
fn bedrock_is_found_by_region_and_chain() {
    let at = |config: &str, env: &[(&str, &str)]| {
        let env: BTreeMap<String, String> = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        load(&toml_overrides(config), &|name| env.get(name).cloned()).unwrap()
    };
    let keys = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")];
    let with = |more: (&'static str, &'static str)| [&keys[..], &[more]].concat();
    for (config, env, configured, missing) in [
        ("", vec![], false, Some("the region: set region in [providers.bedrock], or AWS_REGION; credentials: set AWS_BEARER_TOKEN_BEDROCK")),
        ("", keys.to_vec(), false, Some("the region")),
        ("", with(("AWS_REGION", "eu-west-1")), true, None),
        ("", with(("AWS_DEFAULT_REGION", "eu-west-1")), true, None),
        ("", vec![("AWS_REGION", "eu-west-1")], false, Some("credentials")),
        ("", vec![("AWS_REGION", "eu-west-1"), ("AWS_BEARER_TOKEN_BEDROCK", "t")], true, None),
        ("", vec![("AWS_REGION", "eu-west-1"), ("AWS_PROFILE", "p")], true, None),
        ("", vec![("AWS_REGION", "eu-west-1"), ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "u")], true, None),
        ("", vec![("AWS_REGION", "eu-west-1"), ("AWS_WEB_IDENTITY_TOKEN_FILE", "f"), ("AWS_ROLE_ARN", "r")], true, None),
        ("[bedrock]\nregion = \"eu-west-1\"", vec![("AWS_REGION", "us-east-1")], true, None),
    ] {
        let catalog = at(config, &env);
        let host = catalog.host("bedrock").unwrap();
        assert_eq!(host.configured, configured, "{config} {env:?}");
        match missing {
            Some(begins) => assert!(host.options.missing.as_deref().unwrap().starts_with(begins), "{:?}", host.options.missing),
            None => {
                assert_eq!((&host.options.missing, &*host.base_url), (&None, "https://bedrock-runtime.eu-west-1.amazonaws.com"));
                assert_eq!(host.auth, AuthScheme::Aws);
            }
        }
    }
}

#[test]
fn bedrock_models_of_other_dialects_are_reached_where_they_are() {
    let env = |name: &str| (name == "AWS_REGION").then(|| "eu-west-1".to_owned());
    for (config, id, dialect, url, name) in [
        ("[bedrock]", "amazon.nova-pro-v1:0", DialectName::Bedrock, "https://bedrock-runtime.eu-west-1.amazonaws.com", "amazon.nova-pro-v1:0"),
        ("[bedrock]", "deepseek.v3.1", DialectName::OpenAi, "https://bedrock-mantle.eu-west-1.api.aws/v1", "deepseek.v3.1"),
        ("[bedrock]", "anthropic.claude-opus-5-5", DialectName::Anthropic, "https://bedrock-mantle.eu-west-1.api.aws/anthropic", "anthropic.claude-opus-5-5"),
        ("[bedrock]", "openai.gpt-5.6-luna", DialectName::OpenAiResponses, "https://bedrock-mantle.eu-west-1.api.aws/v1", "openai.gpt-5.6-luna"),
        ("[bedrock]", "us-gov-east-1/openai.gpt-5.4", DialectName::OpenAi, "https://bedrock-mantle.us-gov-east-1.api.aws/v1", "openai.gpt-5.4"),
        ("[bedrock]\nbase_url = \"http://h/b\"", "amazon.nova-pro-v1:0", DialectName::Bedrock, "http://h/b", "amazon.nova-pro-v1:0"),
        ("[bedrock]\nbase_url = \"http://h/b\"", "deepseek.v3.1", DialectName::OpenAi, "http://h/b/v1", "deepseek.v3.1"),
        ("[bedrock]\nbase_url = \"http://h/b\"", "anthropic.claude-opus-5-5", DialectName::Anthropic, "http://h/b/anthropic", "anthropic.claude-opus-5-5"),
    ] {
        let catalog = load(&toml_overrides(config), &env).unwrap();
        let target = catalog.target(&format!("bedrock/{id}")).unwrap();
        assert_eq!((target.dialect, &*target.host.base_url, &*target.upstream_name), (Some(dialect), url, name), "{id}");
        assert!(target.host.configured && target.host.auth == AuthScheme::Aws && &*target.host.id == "bedrock");
    }
    let catalog = load(&toml_overrides("[bedrock]"), &env).unwrap();
    let regions =
        |id: &str| catalog.target(&format!("bedrock/{id}")).unwrap().model.as_ref().map(|m| m.regions.iter().map(|r| r.to_string()).collect::<Vec<_>>());
    assert_eq!(regions("amazon.nova-pro-v1:0").unwrap(), ["eu"]);
    assert_eq!(regions("us.anthropic.claude-sonnet-4-5-20250929-v1:0").unwrap(), ["us"]);
    assert_eq!(regions("global.anthropic.claude-sonnet-4-5-20250929-v1:0").unwrap(), ["global"]);
    assert_eq!(regions("us-gov-east-1/openai.gpt-5.4").unwrap(), ["us-gov"]);
    assert_eq!(regions("global.anthropic.new"), None, "who is not known is not said to stay");
}

/// Where a cache has to be made and kept for money, it could pay to make one; today's Gemini models read their own for the same.
#[test]
fn no_gemini_model_in_use_has_a_cache_that_must_be_made() {
    let catalog = load(&BTreeMap::new(), &|_| None).unwrap();
    let mut seen = 0;
    for model in catalog.targets().filter_map(|target| target.model.clone()) {
        let gemini = matches!(&*model.id.provider, "google" | "vertex") && model.id.model.starts_with("gemini") && model.mode.as_ref() == "chat";
        if gemini && model.status != headworks_core::Status::Hidden && model.price.as_ref().is_some_and(|price| price.base.cache_read.is_some()) {
            assert_eq!(model.capabilities.caching, headworks_core::CacheKind::Automatic, "{}", model.id);
            seen += 1;
        }
    }
    assert!(seen > 10, "{seen}");
}
