//! Which targets come, and in which order, by what the client and its key say.

use super::*;

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
