#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::type_complexity)]

use headworks_core::{Capabilities, DialectName, Host, Message, MessageRole, Model, Quirks, Role};

use super::*;

fn host(id: &str, dialect: Option<DialectName>, configured: bool, regions: &[&str]) -> Arc<Host> {
    Arc::new(Host {
        id: id.into(),
        name: id.into(),
        dialect,
        dialect_word: "x".into(),
        base_url: "http://x".into(),
        auth: AuthScheme::Bearer,
        key_env: vec![format!("{}_KEY", id.to_uppercase()).into()],
        regions: regions.iter().map(|r| (*r).into()).collect(),
        reseller: id == "resale",
        quirks: Quirks::default(),
        options: Default::default(),
        configured,
    })
}

fn model(id: &str, capabilities: Capabilities) -> Arc<Model> {
    let (provider, name) = id.split_once('/').unwrap();
    Arc::new(Model {
        id: ModelId::new(provider, name),
        upstream_name: name.into(),
        mode: "chat".into(),
        dialect: None,
        foreign_dialect: None,
        context_window: Some(1000),
        max_input_tokens: None,
        max_output_tokens: Some(100),
        price: None,
        capabilities,
        reasoning: Default::default(),
        cache_min_tokens: None,
        regions: vec![],
        status: Status::Active,
        deprecation_date: None,
        release_date: None,
        aliases: vec![],
        canonical: None,
        dimensions: None,
        unit_prices: Default::default(),
    })
}

fn catalog() -> Catalog {
    let blind = Capabilities { vision: Capability::No, tools: Capability::No, ..Default::default() };
    Catalog::new(
        [
            host("a", Some(DialectName::OpenAi), true, &["eu"]),
            host("b", Some(DialectName::Gemini), true, &["us"]),
            host("off", Some(DialectName::OpenAi), false, &[]),
            host("foreign", None, true, &[]),
            host("resale", Some(DialectName::OpenAi), true, &[]),
        ],
        [
            model("a/one", Default::default()),
            model("a/blind", blind),
            model("b/two", Default::default()),
            model("off/three", Default::default()),
            model("foreign/four", Default::default()),
            model("resale/one", Default::default()),
        ],
    )
}

fn key(allowed: &[&str]) -> Key {
    Key {
        id: "k".into(),
        name: "k".into(),
        roles: vec![Role::Caller],
        allowed_models: allowed.iter().map(|p| (*p).into()).collect(),
        default_policy: None,
        auto_cache: false,
        regions: vec![],
        budget: None,
    }
}

fn ask(model: &str, models: &[&str]) -> ChatRequest {
    let mut request = ChatRequest { model: model.into(), ..Default::default() };
    request.messages.push(Message { role: MessageRole::User, parts: vec![Part::text("hi")], name: None, extra: vec![] });
    request.routing.models = models.iter().map(|m| (*m).into()).collect();
    request
}

fn chain(name: &str) -> Option<Arc<Policy>> {
    (name == "chain").then(|| {
        let targets = ["b/two", "a/one", "off/three"].map(|m| PolicyTarget { model: m.into(), ..Default::default() });
        Arc::new(Policy { name: "chain".into(), targets: targets.into(), ..Default::default() })
    })
}

fn run(request: &ChatRequest, key: &Key) -> Result<Vec<String>, Reason> {
    let plan = plan(&request.clone().into(), key, &catalog(), &chain, &|_| Health::default()).map_err(|f| f.reason)?;
    Ok(plan.targets.iter().map(|t| t.target.id.to_string()).collect())
}

#[test]
fn names_and_lists_resolve_in_order() {
    let table: &[(&str, &[&str], Result<&[&str], Reason>)] = &[
        ("a/one", &[], Ok(&["a/one"])),
        ("one", &[], Ok(&["a/one"])),
        ("a/unknown-but-routed", &[], Ok(&["a/unknown-but-routed"])),
        ("a/one", &["b/two", "a/one"], Ok(&["a/one", "b/two"])),
        ("policy/chain", &[], Ok(&["b/two", "a/one"])),
        ("policy/none", &[], Err(Reason::ModelNotFound)),
        ("nobody/x", &[], Err(Reason::ModelNotFound)),
        ("nothing", &[], Err(Reason::ModelNotFound)),
        ("off/three", &[], Err(Reason::UpstreamCredentials)),
        ("foreign/four", &[], Err(Reason::CapabilityMissing)),
        ("off/three", &["a/one"], Ok(&["a/one"])),
    ];
    for (model, models, wanted) in table {
        let wanted = (*wanted).map(|w| w.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
        assert_eq!(run(&ask(model, models), &key(&[])), wanted, "{model} {models:?}");
    }
}

#[test]
fn keys_providers_and_regions_narrow_the_plan() {
    assert_eq!(run(&ask("b/two", &[]), &key(&["a/*"])), Err(Reason::ModelForbidden));
    assert_eq!(run(&ask("b/two", &["a/one"]), &key(&["a/*"])), Ok(vec!["a/one".to_owned()]));
    assert_eq!(run(&ask("policy/chain", &[]), &key(&["policy/*"])), Ok(vec!["b/two".to_owned(), "a/one".to_owned()]));
    let mut request = ask("a/one", &["b/two"]);
    request.routing.only = vec!["b".into()];
    assert_eq!(run(&request, &key(&[])), Ok(vec!["b/two".to_owned()]));
    let mut request = ask("a/one", &["b/two"]);
    request.routing.order = vec!["b".into()];
    assert_eq!(run(&request, &key(&[])), Ok(vec!["b/two".to_owned(), "a/one".to_owned()]));
    request.routing.allow_fallbacks = Some(false);
    assert_eq!(run(&request, &key(&[])), Ok(vec!["b/two".to_owned()]));
    let mut european = key(&[]);
    european.regions = vec!["eu".into()];
    assert_eq!(run(&ask("b/two", &["a/one"]), &european), Ok(vec!["a/one".to_owned()]));
    assert_eq!(run(&ask("b/two", &[]), &european), Err(Reason::RegionForbidden));
}

#[test]
fn what_a_model_is_known_not_to_take_is_refused_by_name() {
    let mut request = ask("a/blind", &[]);
    request.messages[0].parts.push(Part::new(PartKind::Image { source: Source::Url("http://x".into()), detail: None }));
    let fault = plan(&request.clone().into(), &key(&[]), &catalog(), &chain, &|_| Health::default()).unwrap_err();
    assert_eq!(fault.reason, Reason::CapabilityMissing);
    assert!(fault.message.contains("messages[0].content[1]"), "{}", fault.message);
}

#[test]
fn r10_resting_targets_go_last_and_the_least_bad_is_tried() {
    let health = |id: &ModelId| Health { rest: Duration::from_secs(if &*id.provider == "a" { 9 } else { 1 }) };
    let order = |health: &dyn Fn(&ModelId) -> Health| {
        plan(&ask("a/one", &["b/two"]).into(), &key(&[]), &catalog(), &chain, health).unwrap().targets[0].target.id.to_string()
    };
    assert_eq!(order(&health), "b/two");
    assert_eq!(order(&|_| Health::default()), "a/one");
}

#[test]
fn each_kind_of_work_goes_to_models_that_do_it() {
    let vectors = Model { mode: "embedding".into(), ..Model::clone(&model("a/vectors", Default::default())) };
    let catalog = Catalog::new([host("a", Some(DialectName::OpenAi), true, &[])], [model("a/one", Default::default()), Arc::new(vectors)]);
    let reason = |work: Work| plan(&work, &key(&[]), &catalog, &chain, &|_| Health::default()).map(|_| ()).map_err(|f| f.reason);
    let embed = |model: &str| Work::from(headworks_core::EmbedRequest { model: model.into(), ..Default::default() });
    let count = |model: &str| Work::CountTokens(Arc::new(ask(model, &[])));
    assert_eq!(reason(ask("a/one", &[]).into()), Ok(()));
    assert_eq!(reason(ask("a/vectors", &[]).into()), Err(Reason::CapabilityMissing));
    assert_eq!(reason(embed("a/vectors")), Ok(()));
    assert_eq!(reason(embed("a/one")), Err(Reason::CapabilityMissing));
    assert_eq!(reason(count("a/one")), Ok(()));
}
