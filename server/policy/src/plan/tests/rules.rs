//! Which targets each kind of policy gives.

use super::*;

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
