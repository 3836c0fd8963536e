//! Plans of a small catalogue, as a table says what is known of its targets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::type_complexity)]

mod able;
mod chosen;
mod rules;

use std::cell::RefCell;

use headworks_core::{
    AuthScheme, Capabilities, Capability, ChatRequest, DialectName, Host, LossKind, Message, MessageRole, Model, Part, PartKind, Price, Quirks, Rates, Role,
    Source, Status, Tool,
};
use proptest::prelude::*;

use super::*;
use crate::{Branch, By, Condition, PolicyTarget, Rule, Test, WeightedTarget};

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

/// Dollars per million tokens: input, output.
fn priced(id: &str) -> Option<Arc<Price>> {
    let (input, output) = match id {
        "a/one" => (3, 15),
        "b/two" => (1, 30),
        "c/three" => (2, 2),
        _ => return None,
    };
    let rate = |usd: i64| Some(usd * 1_000_000_000);
    Some(Arc::new(Price { base: Rates { input: rate(input), output: rate(output), ..Rates::default() }, ..Price::default() }))
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
        price: priced(id),
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
        origin: Default::default(),
    })
}

fn catalog() -> Catalog {
    let blind = Capabilities { vision: Capability::No, tools: Capability::No, ..Default::default() };
    Catalog::new(
        [
            host("a", Some(DialectName::OpenAi), true, &["eu"]),
            host("b", Some(DialectName::Gemini), true, &["us"]),
            host("c", Some(DialectName::OpenAi), true, &["eu-west-1"]),
            host("off", Some(DialectName::OpenAi), false, &[]),
            host("foreign", None, true, &[]),
            host("resale", Some(DialectName::OpenAi), true, &[]),
        ],
        [
            model("a/one", Default::default()),
            model("a/blind", blind),
            model("b/two", Default::default()),
            model("c/three", Default::default()),
            model("off/three", Default::default()),
            model("foreign/four", Default::default()),
            model("resale/one", Default::default()),
        ],
    )
}

fn key(allowed: &[&str]) -> Key {
    Key { id: "k".into(), name: "k".into(), roles: vec![Role::Caller], allowed_models: allowed.iter().map(|p| (*p).into()).collect(), ..Key::default() }
}

fn ask(model: &str, models: &[&str]) -> ChatRequest {
    let mut request = ChatRequest { model: model.into(), ..Default::default() };
    request.messages.push(Message { role: MessageRole::User, parts: vec![Part::text("hi")], name: None, extra: vec![] });
    request.routing.models = models.iter().map(|m| (*m).into()).collect();
    request
}

fn to(model: &str) -> PolicyTarget {
    PolicyTarget { model: model.into(), ..Default::default() }
}

fn chain(models: &[&str]) -> Rule {
    Rule::Fallback(models.iter().map(|m| to(m)).collect())
}

fn weights(list: &[(&str, u32)]) -> Rule {
    Rule::Weighted(list.iter().map(|(m, weight)| WeightedTarget { target: to(m), weight: *weight, by_key: vec![] }).collect())
}

fn named(name: &str, rule: Rule) -> Policy {
    Policy { name: name.into(), rule, affinity: true, ..Default::default() }
}

/// What is known, by table; whatever is not said is well and unseen.
struct Scene {
    policies: Vec<Policy>,
    rest: Vec<(&'static str, u64)>,
    pace: Vec<(&'static str, SizeClass, u64)>,
    home: Option<&'static str>,
    dice: u64,
    now: i64,
    asked: RefCell<u32>,
    /// Target, what it loses, whether that can be left out.
    lost: Vec<(&'static str, &'static str, bool)>,
    /// How often encoders were asked.
    spelled: RefCell<u32>,
}

impl Scene {
    fn new(policies: Vec<Policy>) -> Self {
        let chain = named("chain", chain(&["b/two", "a/one", "off/three"]));
        Self {
            policies: [vec![chain], policies].concat(),
            rest: vec![],
            pace: vec![],
            home: None,
            dice: 0,
            now: 0,
            asked: RefCell::default(),
            lost: vec![],
            spelled: RefCell::default(),
        }
    }

    fn plan(&self, request: &ChatRequest, key: &Key) -> Result<Plan, Box<Refusal>> {
        let (catalog, work) = (catalog(), Work::from(request.clone()));
        let id = |target: &Target| target.id.to_string();
        let world = World {
            losses: &|target, _| {
                *self.spelled.borrow_mut() += 1;
                let told = |(_, name, essential): &(&str, &str, bool)| {
                    let message = format!("{} does not take {name}", target.id);
                    Loss { kind: LossKind::Parameter, name: (*name).into(), message: message.into(), essential: *essential }
                };
                self.lost.iter().filter(|(t, ..)| *t == id(target)).map(told).collect()
            },
            catalog: &catalog,
            policies: &|name| self.policies.iter().find(|p| *p.name == *name).cloned().map(Arc::new),
            rest: &|target| Duration::from_secs(self.rest.iter().find(|(t, _)| *t == id(target)).map_or(0, |(_, s)| *s)),
            pace: &|target, class| {
                let known = self.pace.iter().find(|(t, c, _)| *t == id(target) && *c == class);
                known.map_or_else(Pace::default, |(_, _, ms)| Pace { first_token: Some(Duration::from_millis(*ms)), seconds_per_token: None })
            },
            home: &|_| {
                *self.asked.borrow_mut() += 1;
                self.home.and_then(|h| h.split_once('/')).map(|(p, m)| ModelId::new(p, m))
            },
            dice: self.dice,
            unix_seconds: self.now,
        };
        plan(&Ask { work: &work, tenant: key, size: None }, &world)
    }

    fn order(&self, request: &ChatRequest, key: &Key) -> Result<Vec<String>, Reason> {
        self.plan(request, key).map(|plan| plan.targets.iter().map(|t| t.target.id.to_string()).collect()).map_err(|refusal| refusal.fault.reason)
    }
}

fn run(request: &ChatRequest, key: &Key) -> Result<Vec<String>, Reason> {
    Scene::new(vec![]).order(request, key)
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|s| (*s).to_owned()).collect()
}

/// A world where nothing is known but the catalogue.
fn quiet(catalog: &Catalog) -> World<'_> {
    World {
        catalog,
        policies: &|_| None,
        rest: &|_| Duration::ZERO,
        pace: &|_, _| Pace::default(),
        home: &|_| None,
        losses: &|_, _| Vec::new(),
        dice: 0,
        unix_seconds: 0,
    }
}
