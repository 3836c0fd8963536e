//! What targets can do, and what happens where one cannot.

use super::*;

#[test]
fn what_a_model_is_known_not_to_take_is_refused_by_name() {
    let mut request = ask("a/blind", &[]);
    request.messages[0].parts.push(Part::new(PartKind::Image { source: Source::Url("http://x".into()), detail: None }));
    let fault = Scene::new(vec![]).plan(&request, &key(&[])).unwrap_err().fault;
    assert_eq!(fault.reason, Reason::CapabilityMissing);
    assert!(fault.message.contains("messages[0].content[1]"), "{}", fault.message);
}

#[test]
fn each_kind_of_work_goes_to_models_that_do_it() {
    let vectors = Model { mode: "embedding".into(), ..Model::clone(&model("a/vectors", Default::default())) };
    let catalog = Catalog::new([host("a", Some(DialectName::OpenAi), true, &[])], [model("a/one", Default::default()), Arc::new(vectors)]);
    let tenant = key(&[]);
    let reason = |work: Work| plan(&Ask { work: &work, tenant: &tenant, size: None }, &quiet(&catalog)).map(|_| ()).map_err(|refusal| refusal.fault.reason);
    let embed = |model: &str| Work::from(headworks_core::EmbedRequest { model: model.into(), ..Default::default() });
    let count = |model: &str| Work::CountTokens(Arc::new(ask(model, &[])));
    assert_eq!(reason(ask("a/one", &[]).into()), Ok(()));
    assert_eq!(reason(ask("a/vectors", &[]).into()), Err(Reason::CapabilityMissing));
    assert_eq!(reason(embed("a/vectors")), Ok(()));
    assert_eq!(reason(embed("a/one")), Err(Reason::CapabilityMissing));
    assert_eq!(reason(count("a/one")), Ok(()));
}

#[test]
fn vectors_fall_back_among_hosts_of_one_model_only() {
    let vectors = |id: &str| Arc::new(Model { mode: "embedding".into(), ..Model::clone(&model(id, Default::default())) });
    let hosts = ["a", "b"].map(|id| host(id, Some(DialectName::OpenAi), true, &[]));
    let catalog = Catalog::new(hosts, [vectors("a/small"), vectors("b/small"), vectors("b/large")]);
    let mut request = headworks_core::EmbedRequest { model: "a/small".into(), ..Default::default() };
    request.routing.models = vec!["b/large".into(), "b/small".into()];
    let plan = plan(&Ask { work: &request.into(), tenant: &key(&[]), size: None }, &quiet(&catalog)).unwrap();
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
