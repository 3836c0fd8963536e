#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::type_complexity)]

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

#[test]
fn names_and_lists_resolve_in_order() {
    let table: &[(&str, &[&str], Result<&[&str], Reason>)] = &[
        ("a/one", &[], Ok(&["a/one"])),
        ("one", &[], Ok(&["a/one"])),
        ("a/unknown-but-routed", &[], Ok(&["a/unknown-but-routed"])),
        ("a/one", &["b/two", "a/one"], Ok(&["a/one", "b/two"])),
        ("policy/chain", &[], Ok(&["b/two", "a/one"])),
        ("c/three", &["policy/chain"], Ok(&["c/three", "b/two", "a/one"])),
        ("policy/none", &[], Err(Reason::ModelNotFound)),
        ("nobody/x", &[], Err(Reason::ModelNotFound)),
        ("nothing", &[], Err(Reason::ModelNotFound)),
        ("off/three", &[], Err(Reason::UpstreamCredentials)),
        ("foreign/four", &[], Err(Reason::CapabilityMissing)),
        ("off/three", &["a/one"], Ok(&["a/one"])),
    ];
    for (model, models, wanted) in table {
        assert_eq!(run(&ask(model, models), &key(&[])), (*wanted).map(texts), "{model} {models:?}");
    }
}

#[test]
fn keys_and_providers_narrow_the_plan() {
    assert_eq!(run(&ask("b/two", &[]), &key(&["a/*"])), Err(Reason::ModelForbidden));
    assert_eq!(run(&ask("b/two", &["a/one"]), &key(&["a/*"])), Ok(texts(&["a/one"])));
    assert_eq!(run(&ask("policy/chain", &[]), &key(&["policy/*"])), Ok(texts(&["b/two", "a/one"])));
    assert_eq!(run(&ask("policy/chain", &["c/three"]), &key(&["policy/*"])), Ok(texts(&["b/two", "a/one"])), "a policy opens no other models");
    let narrowed = |change: fn(&mut headworks_core::Routing)| {
        let mut request = ask("a/one", &["b/two", "c/three"]);
        change(&mut request.routing);
        run(&request, &key(&[]))
    };
    assert_eq!(narrowed(|r| r.only = vec!["b".into()]), Ok(texts(&["b/two"])));
    assert_eq!(narrowed(|r| r.only = vec!["c/three".into()]), Ok(texts(&["c/three"])));
    assert_eq!(narrowed(|r| r.ignore = vec!["a".into(), "c".into()]), Ok(texts(&["b/two"])));
    assert_eq!(narrowed(|r| r.order = vec!["c".into(), "b".into()]), Ok(texts(&["c/three", "b/two", "a/one"])));
    assert_eq!(narrowed(|r| (r.order, r.allow_fallbacks) = (vec!["b".into()], Some(false))), Ok(texts(&["b/two"])));
    assert_eq!(narrowed(|r| r.max_price = Some((NanoUsd(2_000_000_000), NanoUsd(5_000_000_000)))), Ok(texts(&["c/three"])));
    assert_eq!(narrowed(|r| r.sort = Some(Sort::Price)), Ok(texts(&["c/three", "a/one", "b/two"])), "512 tokens of output decide");
}

#[test]
fn sorting_by_speed_uses_what_is_known_for_this_size() {
    let mut scene = Scene::new(vec![]);
    scene.pace = vec![("b/two", SizeClass::Small, 20), ("c/three", SizeClass::Small, 10), ("a/one", SizeClass::Large, 1), ("b/two", SizeClass::Large, 2)];
    let mut request = ask("a/one", &["b/two", "c/three"]);
    request.routing.sort = Some(Sort::Latency);
    assert_eq!(scene.order(&request, &key(&[])), Ok(texts(&["c/three", "b/two", "a/one"])));
    request.messages[0].parts[0] = Part::text("x".repeat(20_000));
    assert_eq!(scene.order(&request, &key(&[])), Ok(texts(&["a/one", "b/two", "c/three"])));
}

#[test]
fn residency_is_hard_and_names_what_was_left_out() {
    let mut european = key(&[]);
    european.regions = vec!["eu".into()];
    assert_eq!(run(&ask("b/two", &["a/one", "c/three"]), &european), Ok(texts(&["a/one", "c/three"])), "eu-west-1 lies in eu");
    assert_eq!(run(&ask("b/two", &[]), &european), Err(Reason::RegionForbidden));
    let refusal =
        Scene::new(vec![]).plan(&ask("b/two", &["off/three", "a/unconfigured-nowhere"]), &Key { regions: vec!["asia".into()], ..key(&[]) }).unwrap_err();
    assert_eq!(refusal.fault.reason, Reason::RegionForbidden);
    assert!(refusal.fault.message.contains("b/two") && refusal.fault.message.contains("a/unconfigured-nowhere"), "{}", refusal.fault.message);
    // On the policy, also through a nested one; on the request.
    let inner = Policy { regions: vec!["us".into()], ..named("inner", chain(&["a/one", "b/two"])) };
    let outer = Policy { regions: vec!["eu".into()], ..named("outer", chain(&["policy/inner", "a/one"])) };
    let scene = Scene::new(vec![inner, outer]);
    assert_eq!(scene.order(&ask("policy/inner", &[]), &key(&[])), Ok(texts(&["b/two"])));
    assert_eq!(scene.order(&ask("policy/outer", &[]), &key(&[])), Ok(texts(&["a/one"])), "both regions hold inside");
    let mut request = ask("a/one", &["b/two"]);
    request.routing.regions = vec!["us".into()];
    assert_eq!(run(&request, &key(&[])), Ok(texts(&["b/two"])));
}

#[test]
fn what_a_model_is_known_not_to_take_is_refused_by_name() {
    let mut request = ask("a/blind", &[]);
    request.messages[0].parts.push(Part::new(PartKind::Image { source: Source::Url("http://x".into()), detail: None }));
    let fault = Scene::new(vec![]).plan(&request, &key(&[])).unwrap_err().fault;
    assert_eq!(fault.reason, Reason::CapabilityMissing);
    assert!(fault.message.contains("messages[0].content[1]"), "{}", fault.message);
}

#[test]
fn r8_r10_resting_targets_go_last_and_the_policy_says_what_happens_when_all_rest() {
    let fast = Policy { course: Course { all_down: AllDown::FailFast, ..Course::default() }, ..named("fast", chain(&["a/one", "b/two"])) };
    let mut scene = Scene::new(vec![fast]);
    scene.rest = vec![("a/one", 9)];
    assert_eq!(scene.order(&ask("a/one", &["b/two"]), &key(&[])), Ok(texts(&["b/two", "a/one"])));
    assert_eq!(scene.order(&ask("policy/fast", &[]), &key(&[])), Ok(texts(&["b/two", "a/one"])));
    scene.rest = vec![("a/one", 9), ("b/two", 4)];
    assert_eq!(scene.order(&ask("a/one", &["b/two"]), &key(&[])), Ok(texts(&["b/two", "a/one"])), "the least bad first");
    let refusal = scene.plan(&ask("policy/fast", &[]), &key(&[])).unwrap_err();
    assert_eq!((refusal.fault.reason, refusal.fault.retry_after), (Reason::AllTargetsFailed, Some(Duration::from_secs(4))));
    assert_eq!(refusal.skipped.len(), 2);
}

#[test]
fn weighted_policies_follow_the_trace_and_leave_failing_targets() {
    let mut by_key = named("w", weights(&[("a/one", 1), ("b/two", 3), ("off/three", 50)]));
    if let Rule::Weighted(targets) = &mut by_key.rule {
        targets[1].by_key = vec![("k".into(), 0)];
    }
    let mut scene = Scene::new(vec![named("even", weights(&[("a/one", 1), ("b/two", 3), ("off/three", 50)])), by_key]);
    let mut request = ask("policy/even", &[]);
    request.routing.trace_id = Some("t".into());
    let first = scene.order(&request, &key(&[])).unwrap();
    for dice in 1..50 {
        scene.dice = dice;
        assert_eq!(scene.order(&request, &key(&[])).unwrap(), first, "the trace decides, not the dice");
    }
    request.routing.trace_id = None;
    let mut count = 0;
    for dice in 0..4000 {
        scene.dice = dice;
        let plan = scene.plan(&request, &key(&[])).unwrap();
        assert_eq!(plan.targets.len(), 2);
        count += u32::from(&*plan.targets[0].target.id.model == "two");
        assert!(plan.targets.iter().all(|t| matches!(t.place.steps[0].by, By::Weight(_, 4))), "the one that cannot serve has no share");
    }
    assert!((2870..=3130).contains(&count), "three quarters: {count}");
    scene.rest = vec![("b/two", 5)];
    assert!((0..200).all(|dice| {
        scene.dice = dice;
        scene.order(&request, &key(&[])).unwrap() == texts(&["a/one", "b/two"])
    }));
    scene.rest.clear();
    assert_eq!(scene.order(&ask("policy/w", &[]), &key(&[])), Ok(texts(&["a/one"])), "weight 0 for this key");
}

#[test]
fn latency_policies_prefer_the_fastest_of_the_class_and_explore() {
    let rule = Rule::Latency { targets: vec![to("a/one"), to("b/two"), to("c/three")], goal: Goal::Whole, explore: 200_000 };
    let mut scene = Scene::new(vec![named("quick", rule)]);
    scene.pace = vec![("a/one", SizeClass::Small, 200), ("b/two", SizeClass::Small, 100), ("c/three", SizeClass::Large, 1)];
    let mut firsts = std::collections::BTreeMap::<String, u32>::new();
    for dice in 0..2000 {
        scene.dice = dice;
        *firsts.entry(scene.order(&ask("policy/quick", &[]), &key(&[])).unwrap()[0].clone()).or_default() += 1;
    }
    assert!(firsts.get("c/three").is_some_and(|n| (330..=470).contains(n)), "a fifth explores: {firsts:?}");
    assert_eq!(firsts.get("a/one"), None);
    scene.pace.push(("c/three", SizeClass::Small, 150));
    assert_eq!(scene.order(&ask("policy/quick", &[]), &key(&[])), Ok(texts(&["b/two", "c/three", "a/one"])));
}

#[test]
fn cost_policies_prefer_the_cheapest_for_this_size() {
    let scene = Scene::new(vec![named("thrift", Rule::Cost(vec![to("a/one"), to("b/two"), to("a/unpriced"), to("c/three")]))]);
    let mut request = ask("policy/thrift", &[]);
    assert_eq!(scene.order(&request, &key(&[])), Ok(texts(&["c/three", "a/one", "b/two", "a/unpriced"])));
    request.sampling.max_tokens = Some(1);
    request.messages[0].parts[0] = Part::text("x".repeat(400));
    assert_eq!(scene.order(&request, &key(&[])), Ok(texts(&["b/two", "c/three", "a/one", "a/unpriced"])), "long input, short answer");
}

#[test]
fn conditional_policies_take_the_first_branch_that_holds() {
    let branch =
        |tests: Vec<Test>, model: &str| Branch { conditions: tests.into_iter().map(|test| Condition { test, negated: false }).collect(), target: to(model) };
    let branches = vec![
        branch(vec![Test::Tools(true), Test::Tag("gold".into())], "a/one"),
        branch(vec![Test::MinInput(1000)], "policy/chain"),
        branch(vec![Test::Model("b/*".into())], "c/three"),
    ];
    let scene = Scene::new(vec![
        named("pick", Rule::Conditional { branches: branches.clone(), otherwise: Some(to("b/two")) }),
        named("pass", Rule::Conditional { branches, otherwise: None }),
    ]);
    let mut request = ask("policy/pick", &[]);
    assert_eq!(scene.order(&request, &key(&[])), Ok(texts(&["b/two"])));
    request.messages[0].parts[0] = Part::text("x".repeat(5000));
    assert_eq!(scene.order(&request, &key(&[])), Ok(texts(&["b/two", "a/one"])));
    request.tools.push(Tool::Function { name: "f".into(), description: None, parameters: None, strict: None, cache: Default::default() });
    request.routing.tags = vec!["gold".into()];
    assert_eq!(scene.order(&request, &key(&[])), Ok(texts(&["a/one"])));
    // As a key's default policy it looks at the model that was asked for, and may leave it.
    let bound = Key { default_policy: Some("pass".into()), ..key(&["b/*", "c/x"]) };
    assert_eq!(scene.order(&ask("b/two", &[]), &bound), Ok(texts(&["c/three"])));
    assert_eq!(scene.order(&ask("c/x", &[]), &bound), Ok(texts(&["c/x"])));
    assert_eq!(scene.order(&ask("a/one", &[]), &bound), Err(Reason::ModelForbidden), "what no admin named is checked");
    assert_eq!(scene.order(&ask("policy/pass", &[]), &key(&[])), Err(Reason::ModelNotFound));
}

#[test]
fn policies_nest_with_their_limits_and_refuse_to_turn_in_circles() {
    let limits = |total, first| Limits { total: Some(Duration::from_secs(total)), first_token: first, between_tokens: None };
    let mut inner = named("inner", Rule::Fallback(vec![to("a/one"), PolicyTarget { timeouts: limits(1, None), ..to("b/two") }]));
    inner.timeouts = limits(2, None);
    let mut outer =
        named("outer", Rule::Fallback(vec![PolicyTarget { timeouts: limits(3, Some(Duration::from_secs(7))), ..to("policy/inner") }, to("c/three")]));
    outer.timeouts = limits(4, None);
    outer.course.max_attempts = Some(9);
    let mut scene = Scene::new(vec![inner, outer, named("x", chain(&["policy/y", "a/one"])), named("y", chain(&["policy/x", "b/two"]))]);
    let plan = scene.plan(&ask("policy/outer", &[]), &key(&[])).unwrap();
    let seen: Vec<_> = plan.targets.iter().map(|t| (t.target.id.to_string(), t.timeouts.total.unwrap().as_secs(), t.timeouts.first_token.is_some())).collect();
    assert_eq!(seen, [("a/one".to_owned(), 2, true), ("b/two".to_owned(), 1, true), ("c/three".to_owned(), 4, false)]);
    assert_eq!(plan.course.max_attempts, Some(9));
    assert_eq!(plan.targets[1].place.to_string(), "policy outer: number 1 of the chain; policy inner: number 2 of the chain");
    assert_eq!(scene.order(&ask("policy/x", &[]), &key(&[])), Ok(texts(&["b/two", "a/one"])), "a circle ends where it closes");
    let deep: Vec<Policy> = (0..10).map(|n| named(&format!("d{n}"), chain(&[&format!("policy/d{}", n + 1)]))).collect();
    scene.policies.extend(deep);
    assert_eq!(scene.order(&ask("policy/d0", &[]), &key(&[])), Err(Reason::InvalidRequest));
}

#[test]
fn a_request_stays_with_the_target_that_holds_its_cache_unless_it_fails() {
    let mut cold = named("cold", chain(&["b/two", "a/one"]));
    cold.affinity = false;
    let mut scene = Scene::new(vec![cold]);
    scene.home = Some("a/one");
    let mut request = ask("policy/chain", &[]);
    assert_eq!(scene.order(&request, &key(&[])), Ok(texts(&["b/two", "a/one"])));
    assert_eq!(*scene.asked.borrow(), 0, "a short prompt has no cache");
    request.messages[0].parts[0] = Part::text("x".repeat(5000));
    assert_eq!(scene.order(&request, &key(&[])), Ok(texts(&["a/one", "b/two"])));
    assert!(scene.plan(&request, &key(&[])).unwrap().targets[0].place.to_string().ends_with("holds the cache of this prompt"));
    scene.rest = vec![("a/one", 1)];
    assert_eq!(scene.order(&request, &key(&[])), Ok(texts(&["b/two", "a/one"])), "it fails");
    scene.rest.clear();
    request.routing.order = vec!["b".into()];
    assert_eq!(scene.order(&request, &key(&[])), Ok(texts(&["b/two", "a/one"])), "the client's order comes first");
    request.routing.order.clear();
    request.model = "policy/cold".into();
    assert_eq!(scene.order(&request, &key(&[])), Ok(texts(&["b/two", "a/one"])), "the policy wants none");
    scene.home = Some("c/three");
    request.model = "policy/chain".into();
    assert_eq!(scene.order(&request, &key(&[])), Ok(texts(&["b/two", "a/one"])), "a home outside the plan is none");
}

#[test]
fn each_kind_of_work_goes_to_models_that_do_it() {
    let vectors = Model { mode: "embedding".into(), ..Model::clone(&model("a/vectors", Default::default())) };
    let catalog = Catalog::new([host("a", Some(DialectName::OpenAi), true, &[])], [model("a/one", Default::default()), Arc::new(vectors)]);
    let tenant = key(&[]);
    let reason = |work: Work| {
        let world = World {
            losses: &|_, _| Vec::new(),
            catalog: &catalog,
            policies: &|_| None,
            rest: &|_| Duration::ZERO,
            pace: &|_, _| Pace::default(),
            home: &|_| None,
            dice: 0,
            unix_seconds: 0,
        };
        plan(&Ask { work: &work, tenant: &tenant, size: None }, &world).map(|_| ()).map_err(|refusal| refusal.fault.reason)
    };
    let embed = |model: &str| Work::from(headworks_core::EmbedRequest { model: model.into(), ..Default::default() });
    let count = |model: &str| Work::CountTokens(Arc::new(ask(model, &[])));
    assert_eq!(reason(ask("a/one", &[]).into()), Ok(()));
    assert_eq!(reason(ask("a/vectors", &[]).into()), Err(Reason::CapabilityMissing));
    assert_eq!(reason(embed("a/vectors")), Ok(()));
    assert_eq!(reason(embed("a/one")), Err(Reason::CapabilityMissing));
    assert_eq!(reason(count("a/one")), Ok(()));
}

proptest! {
    #[test]
    fn same_arguments_same_plan(kind in 0usize..5, dice: u64, now in 0i64..4_000_000_000, words in 1usize..3000, rests in prop::collection::vec(0u64..3, 3), trace in prop::option::of("[a-z]{1,8}")) {
        let three = || vec![to("a/one"), to("b/two"), to("c/three")];
        let rule = match kind {
            0 => Rule::Fallback(three()),
            1 => weights(&[("a/one", 1), ("b/two", 2), ("c/three", 3)]),
            2 => Rule::Latency { targets: three(), goal: Goal::Whole, explore: 500_000 },
            3 => Rule::Cost(three()),
            _ => Rule::Conditional { branches: vec![Branch { conditions: vec![Condition { test: Test::MinInput(1000), negated: false }], target: to("policy/chain") }], otherwise: Some(to("c/three")) },
        };
        let mut scene = Scene::new(vec![named("p", rule)]);
        (scene.dice, scene.now) = (dice, now);
        scene.rest = ["a/one", "b/two", "c/three"].into_iter().zip(rests).collect();
        let mut request = ask("policy/p", &[]);
        request.messages[0].parts[0] = Part::text("word ".repeat(words));
        request.routing.trace_id = trace.map(Into::into);
        let (one, two) = (scene.plan(&request, &key(&[])).unwrap(), scene.plan(&request, &key(&[])).unwrap());
        prop_assert_eq!(&one, &two);
        let mut ids: Vec<_> = one.targets.iter().map(|t| t.target.id.clone()).collect();
        ids.sort();
        ids.dedup();
        prop_assert_eq!(ids.len(), one.targets.len(), "no target twice");
        prop_assert!(one.targets.is_sorted_by_key(|t| t.place.rest));
    }
}

#[test]
fn vectors_fall_back_among_hosts_of_one_model_only() {
    let vectors = |id: &str| Arc::new(Model { mode: "embedding".into(), ..Model::clone(&model(id, Default::default())) });
    let hosts = ["a", "b"].map(|id| host(id, Some(DialectName::OpenAi), true, &[]));
    let catalog = Catalog::new(hosts, [vectors("a/small"), vectors("b/small"), vectors("b/large")]);
    let mut request = headworks_core::EmbedRequest { model: "a/small".into(), ..Default::default() };
    request.routing.models = vec!["b/large".into(), "b/small".into()];
    let world = World {
        catalog: &catalog,
        policies: &|_| None,
        rest: &|_| Duration::ZERO,
        pace: &|_, _| Pace::default(),
        home: &|_| None,
        losses: &|_, _| Vec::new(),
        dice: 0,
        unix_seconds: 0,
    };
    let plan = plan(&Ask { work: &request.into(), tenant: &key(&[]), size: None }, &world).unwrap();
    assert_eq!(plan.targets.iter().map(|t| t.target.id.to_string()).collect::<Vec<_>>(), ["a/small", "b/small"]);
    assert_eq!(plan.skipped.iter().map(|s| (s.target.to_string(), s.reason)).collect::<Vec<_>>(), [("b/large".to_owned(), Reason::CapabilityMissing)]);
}

#[test]
fn t11_what_a_target_cannot_express_is_dropped_refused_or_passed_over() {
    use OnLoss::{Drop, Refuse, Skip};
    let missing = Err(Reason::CapabilityMissing);
    let (seed, tool) = (("a/one", "seed", false), ("a/one", "tool_choice", true));
    // Request, key, require_parameters; what a/one loses; the plan of a/one and b/two.
    type Row = (Option<OnLoss>, Option<OnLoss>, bool, Vec<(&'static str, &'static str, bool)>, Result<&'static [&'static str], Reason>);
    let table: Vec<Row> = vec![
        (None, None, false, vec![seed], Ok(&["a/one", "b/two"])),
        (Some(Drop), None, false, vec![seed], Ok(&["a/one", "b/two"])),
        (Some(Skip), None, false, vec![seed], Ok(&["b/two"])),
        (None, None, true, vec![seed], Ok(&["b/two"])),
        (Some(Refuse), None, false, vec![seed], missing),
        (Some(Refuse), None, false, vec![], Ok(&["a/one", "b/two"])),
        // The key says what holds where the request does not.
        (None, Some(Skip), false, vec![seed], Ok(&["b/two"])),
        (None, Some(Refuse), false, vec![seed], missing),
        (Some(Drop), Some(Refuse), false, vec![seed], Ok(&["a/one", "b/two"])),
        (Some(Drop), None, true, vec![seed], Ok(&["b/two"])),
        // What cannot be left out never is.
        (Some(Drop), None, false, vec![tool], Ok(&["b/two"])),
        (None, None, false, vec![tool], Ok(&["b/two"])),
        (None, None, false, vec![tool, ("b/two", "tool_choice", true)], missing),
        (Some(Refuse), None, false, vec![("b/two", "tool_choice", true)], missing),
    ];
    for (said, default, required, lost, wanted) in table {
        let scene = Scene { lost: lost.clone(), ..Scene::new(vec![]) };
        let mut request = ask("a/one", &["b/two"]);
        request.tools = vec![Tool::Function { name: "f".into(), description: None, parameters: None, strict: None, cache: Default::default() }];
        request.tool_choice = Some(headworks_core::ToolChoice::Required);
        (request.routing.on_loss, request.routing.require_parameters) = (said, required);
        let tenant = Key { on_loss: default, ..key(&[]) };
        let plan = scene.plan(&request, &tenant);
        let order = plan.as_ref().map(|plan| plan.targets.iter().map(|t| t.target.id.to_string()).collect()).map_err(|refusal| refusal.fault.reason);
        assert_eq!(order, wanted.map(texts), "{said:?} {default:?} {required} {lost:?}");
        match plan {
            Ok(plan) if plan.targets.len() == 1 => assert!(plan.skipped[0].message.contains(lost[0].1), "{:?}", plan.skipped),
            Err(refusal) => {
                let fault = refusal.fault;
                assert_eq!((fault.target.is_some(), fault.field()), (true, Some(lost[0].1)), "{fault:?}");
                assert!(fault.message.contains(lost[0].0) && fault.message.contains(lost[0].1), "names parameter and target: {fault}");
            }
            Ok(_) => {}
        }
    }
}

#[test]
fn encoders_are_asked_only_where_it_matters() {
    let plain = ask("a/one", &["b/two"]);
    let mut forced = plain.clone();
    forced.tools = vec![Tool::Function { name: "f".into(), description: None, parameters: None, strict: None, cache: Default::default() }];
    let with_tools = forced.clone();
    forced.tool_choice = Some(headworks_core::ToolChoice::Required);
    let mut pictured = plain.clone();
    pictured.messages[0].parts.push(Part::new(PartKind::Image { source: headworks_core::Source::Url("http://x".into()), detail: None }));
    let mut seeded = plain.clone();
    seeded.sampling.seed = Some(1);
    let mut strict = seeded.clone();
    strict.routing.on_loss = Some(OnLoss::Skip);
    for (what, request, times) in [
        ("plain", plain, 0),
        ("tools", with_tools, 0),
        ("a parameter", seeded, 0),
        ("a forced tool", forced, 2),
        ("a picture", pictured, 2),
        ("SKIP", strict, 2),
    ] {
        let scene = Scene::new(vec![]);
        scene.plan(&request, &key(&[])).unwrap();
        assert_eq!(*scene.spelled.borrow(), times, "{what}");
    }
}

#[test]
fn what_the_catalogue_knows_is_refused_too_where_the_caller_says_so() {
    let mut request = ask("a/blind", &["a/one"]);
    request.tools = vec![Tool::Function { name: "f".into(), description: None, parameters: None, strict: None, cache: Default::default() }];
    assert_eq!(run(&request, &key(&[])), Ok(texts(&["a/one"])));
    request.routing.on_loss = Some(OnLoss::Refuse);
    let refusal = Scene::new(vec![]).plan(&request, &key(&[])).unwrap_err();
    assert_eq!((refusal.fault.reason, refusal.fault.field()), (Reason::CapabilityMissing, Some("tools")));
    assert!(refusal.fault.message.starts_with("a/blind does not take tools"), "{}", refusal.fault);
}

#[test]
fn models_near_their_retirement_are_warned_of_by_todays_date() {
    let dated = |date: Option<&str>, status: Status| Target {
        model: Some(Arc::new(Model { deprecation_date: date.map(Into::into), status, ..Model::clone(&model("a/one", Default::default())) })),
        ..Target::clone(&catalog().target("a/one").unwrap())
    };
    let day = |date: &str| headworks_core::date_seconds(date).unwrap() + 40_000;
    for (date, status, today, wanted) in [
        (Some("2026-06-30"), Status::Active, "2026-05-30", None),
        (Some("2026-06-30"), Status::Active, "2026-05-31", Some("in 30 days")),
        (Some("2026-06-30"), Status::Deprecated, "2026-06-29", Some("tomorrow")),
        (Some("2026-06-30"), Status::Active, "2026-06-30", Some("today")),
        (Some("2026-06-30"), Status::Active, "2026-07-01", Some("was to be retired on 2026-06-30")),
        (Some("2026-06-30"), Status::Hidden, "2026-01-01", Some("withdrawn or was never confirmed")),
        (None, Status::Hidden, "2026-01-01", Some("withdrawn or was never confirmed")),
        (None, Status::Deprecated, "2026-01-01", None),
        (Some("soon"), Status::Active, "2026-01-01", None),
    ] {
        let told = crate::warning(&dated(date, status), day(today));
        assert_eq!(told.as_deref().map(|told| told.contains(wanted.unwrap_or("?"))), wanted.map(|_| true), "{date:?} {today} {told:?}");
    }
}
