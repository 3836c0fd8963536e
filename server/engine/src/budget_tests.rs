#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use headworks_core::{Budget, Span};

use super::*;

/// 2026-01-01, a Thursday.
const NEW_YEAR: i64 = 1_767_225_600;

fn budgets() -> (Arc<Budgets>, Arc<Mutex<Vec<Crossing>>>) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let log = told.clone();
    (Arc::new(Budgets::new([], Fit::Lower, Arc::new(move |crossing| log.lock().push(crossing)))), told)
}

fn payer(id: &str, budget: Option<Budget>) -> Payer {
    Payer { id: id.into(), title: id.into(), budget, limits: Vec::new() }
}

fn tenant(payers: Vec<Payer>) -> Arc<Tenant> {
    Arc::new(Tenant { id: payers[0].id.clone(), payers, ..Tenant::default() })
}

fn cap(limit: i64, window: BudgetWindow) -> Option<Budget> {
    Some(Budget { limit: NanoUsd(limit), window, ..Budget::default() })
}

/// A hold of so many nano-dollars that cannot be lowered.
fn hold(nanos: i64) -> Hold {
    Hold::new(i128::from(nanos) * 1_000_000, 0, 1)
}

fn but(mut hold: Hold, change: impl FnOnce(&mut Hold)) -> Hold {
    change(&mut hold);
    hold
}

fn span(budgets: &Budgets, payer: &str, window: BudgetWindow, at: i64) -> (i64, i64) {
    let Span { spent, held, .. } = budgets.tally(&payer.into(), at).span(window);
    (spent.0, held.0)
}

#[test]
fn l1_l2_holds_fit_the_cap_and_are_settled_once() {
    let (budgets, _) = budgets();
    let key = tenant(vec![payer("k", cap(100, BudgetWindow::Lifetime))]);
    budgets.reserve(&key, &hold(10), 5).unwrap().settle(NanoUsd(10));
    let first = budgets.reserve(&key, &hold(60), 5).unwrap();
    assert_eq!(budgets.reserve(&key, &hold(31), 5).unwrap_err().reason, Reason::BudgetExceeded);
    let second = budgets.reserve(&key, &hold(30), 5).unwrap();
    first.settle(NanoUsd(20));
    drop(second);
    assert_eq!(span(&budgets, "k", BudgetWindow::Lifetime, 5), (30, 0));
    assert_eq!(budgets.left(&key, 5), Some(NanoUsd(70)));
}

#[test]
fn l1_two_hundred_threads_never_pass_the_cap_of_key_or_group() {
    let (budgets, _) = budgets();
    let keys: Vec<_> = (0..5)
        .map(|n| tenant(vec![payer(&format!("k{n}"), cap(400, BudgetWindow::Lifetime)), payer("team", cap(1000, BudgetWindow::Day)), payer("org", None)]))
        .collect();
    let threads: Vec<_> = (0..200)
        .map(|n| {
            let (budgets, key) = (budgets.clone(), keys[n % 5].clone());
            std::thread::spawn(move || budgets.reserve(&key, &hold(7), 5).map(|r| r.settle(NanoUsd(7))).is_ok())
        })
        .collect();
    let served = threads.into_iter().filter_map(|t| t.join().ok()).filter(|ok| *ok).count() as i64;
    assert_eq!(span(&budgets, "team", BudgetWindow::Day, 5), (served * 7, 0));
    assert_eq!(span(&budgets, "org", BudgetWindow::Lifetime, 5), (served * 7, 0));
    assert!(served * 7 <= 1000 && served >= 100, "{served}");
    let sum: i64 = (0..5).map(|n| span(&budgets, &format!("k{n}"), BudgetWindow::Lifetime, 5).0).sum();
    assert_eq!(sum, served * 7);
}

#[test]
fn l1_a_refusal_by_one_of_the_chain_leaves_no_hold_on_the_others() {
    let (budgets, _) = budgets();
    let key = tenant(vec![payer("k", cap(1000, BudgetWindow::Lifetime)), payer("team", None), payer("org", cap(5, BudgetWindow::Month))]);
    let refused = budgets.reserve(&key, &hold(6), 5).unwrap_err();
    assert!(refused.message.contains("org") && refused.message.contains("a month"), "{}", refused.message);
    for payer in ["k", "team", "org"] {
        assert_eq!(span(&budgets, payer, BudgetWindow::Lifetime, 5), (0, 0));
    }
    assert_eq!(budgets.left(&key, 5), Some(NanoUsd(5)));
}

#[test]
fn a_window_begins_anew_and_old_holds_do_not_weigh_on_it() {
    let (budgets, _) = budgets();
    let key = tenant(vec![payer("k", cap(100, BudgetWindow::Day)), payer("team", cap(150, BudgetWindow::Week))]);
    let late = budgets.reserve(&key, &hold(90), NEW_YEAR - 1).unwrap();
    assert_eq!(budgets.reserve(&key, &hold(20), NEW_YEAR - 1).unwrap_err().reason, Reason::BudgetExceeded);
    let early = budgets.reserve(&key, &hold(50), NEW_YEAR).unwrap();
    late.settle(NanoUsd(80));
    assert_eq!(span(&budgets, "k", BudgetWindow::Day, NEW_YEAR), (0, 50));
    assert_eq!(span(&budgets, "team", BudgetWindow::Week, NEW_YEAR), (80, 50));
    early.settle(NanoUsd(40));
    // The week holds both days: 120 of 150.
    assert_eq!(budgets.reserve(&key, &hold(31), NEW_YEAR).unwrap_err().reason, Reason::BudgetExceeded);
    assert!(budgets.reserve(&key, &hold(31), NEW_YEAR + 4 * 86_400).is_ok(), "Monday");
    // A clock that goes back opens no old window.
    assert_eq!(span(&budgets, "k", BudgetWindow::Day, NEW_YEAR), (0, 0));
}

#[test]
fn l3_a_change_counts_for_the_next_call_and_what_is_under_way_writes_nothing_back() {
    let (budgets, _) = budgets();
    let wide = tenant(vec![payer("k", cap(100, BudgetWindow::Lifetime))]);
    let under_way = budgets.reserve(&wide, &hold(90), 5).unwrap();
    let narrow = tenant(vec![payer("k", cap(50, BudgetWindow::Day))]);
    assert_eq!(budgets.reserve(&narrow, &hold(1), 5).unwrap_err().reason, Reason::BudgetExceeded);
    under_way.settle(NanoUsd(10));
    assert!(budgets.reserve(&narrow, &hold(40), 5).is_ok());
    assert_eq!(budgets.reserve(&narrow, &hold(41), 5).unwrap_err().reason, Reason::BudgetExceeded);
}

#[test]
fn l6_unknown_prices_and_unbounded_costs_are_refused_unless_the_budget_allows_them() {
    let (budgets, _) = budgets();
    let unknown = but(hold(0), |h| h.price_known = false);
    let unbounded = but(hold(1), |h| h.bounded = false);
    let hard = tenant(vec![payer("k", None), payer("g", cap(10, BudgetWindow::Lifetime))]);
    assert_eq!(budgets.reserve(&hard, &unknown, 5).unwrap_err().reason, Reason::PriceUnknown);
    assert_eq!(budgets.reserve(&hard, &unbounded, 5).unwrap_err().reason, Reason::CostUnbounded);
    let lax = Budget { allow_unbounded: true, allow_unknown_price: true, ..cap(10, BudgetWindow::Lifetime).unwrap() };
    let soft = Budget { soft: true, ..cap(10, BudgetWindow::Lifetime).unwrap() };
    for budget in [Some(lax), Some(soft), None] {
        let key = tenant(vec![payer("k", budget)]);
        assert!(budgets.reserve(&key, &unknown, 5).is_ok() && budgets.reserve(&key, &unbounded, 5).is_ok());
    }
}

#[test]
fn a_soft_budget_lets_calls_through_and_tells() {
    let (budgets, _) = budgets();
    let key = tenant(vec![payer("k", Some(Budget { soft: true, ..cap(10, BudgetWindow::Day).unwrap() }))]);
    assert_eq!(budgets.reserve(&key, &hold(10), 5).unwrap().beyond(), None);
    let over = budgets.reserve(&key, &hold(11), 5).unwrap();
    assert_eq!(over.beyond().map(|title| &**title), Some("k"));
}

#[test]
fn a_hold_is_lowered_to_what_is_left_but_not_below_256_tokens() {
    let (budgets, _) = budgets();
    // 100 nano-dollars of input, then one a token.
    let ask = |limit| but(Hold::new(100_000_000, 1_000_000, limit), |h| h.lowerable = true);
    let key = tenant(vec![payer("k", cap(1000, BudgetWindow::Lifetime)), payer("g", cap(5000, BudgetWindow::Lifetime))]);
    let fits = budgets.reserve(&key, &ask(64_000), 5).unwrap();
    assert_eq!((fits.lowered().unwrap().max_tokens, fits.amount()), (900, NanoUsd(1000)));
    fits.settle(NanoUsd(600));
    // 400 left: 300 tokens. Then 355 left: 255, which is too few.
    drop(budgets.reserve(&key, &ask(64_000), 5).inspect(|r| assert_eq!(r.lowered().unwrap().max_tokens, 300)).unwrap());
    budgets.reserve(&key, &hold(45), 5).unwrap().settle(NanoUsd(45));
    assert_eq!(budgets.reserve(&key, &ask(64_000), 5).unwrap_err().reason, Reason::BudgetExceeded);
    // A small call that says so passes, as it is.
    assert_eq!(budgets.reserve(&key, &ask(50), 5).unwrap().lowered(), None);
    let whole = but(ask(64_000), |h| h.lowerable = false);
    assert_eq!(budgets.reserve(&key, &whole, 5).unwrap_err().reason, Reason::BudgetExceeded);
    let strict = Budget { fit: Some(Fit::Refuse), ..cap(1000, BudgetWindow::Lifetime).unwrap() };
    assert_eq!(budgets.reserve(&tenant(vec![payer("s", Some(strict))]), &ask(64_000), 5).unwrap_err().reason, Reason::BudgetExceeded);
}

#[test]
fn what_costs_nothing_passes_a_budget_that_is_spent() {
    let (budgets, _) = budgets();
    let key = tenant(vec![payer("k", cap(0, BudgetWindow::Lifetime))]);
    assert!(budgets.reserve(&key, &hold(0), 5).is_ok());
    assert_eq!(budgets.reserve(&key, &hold(1), 5).unwrap_err().reason, Reason::BudgetExceeded);
}

#[test]
fn thresholds_are_told_once_per_limit_and_window() {
    let (budgets, told) = budgets();
    let key =
        tenant(vec![payer("k", cap(100, BudgetWindow::Day)), payer("g", Some(Budget { alerts: vec![10], ..cap(1000, BudgetWindow::Lifetime).unwrap() }))]);
    let spend = |key: &Arc<Tenant>, nanos, at| budgets.reserve(key, &hold(nanos), at).unwrap().settle(NanoUsd(nanos));
    let heard = || std::mem::take(&mut *told.lock()).into_iter().map(|c| (c.payer.to_string(), c.percent, c.spent.0)).collect::<Vec<_>>();
    spend(&key, 49, 5);
    assert_eq!(heard(), []);
    spend(&key, 1, 5);
    assert_eq!(heard(), [("k".to_owned(), 50, 50)]);
    spend(&key, 1, 5);
    assert_eq!(heard(), []);
    spend(&key, 49, 5);
    assert_eq!(heard(), [("k".to_owned(), 75, 100), ("k".to_owned(), 90, 100), ("k".to_owned(), 100, 100), ("g".to_owned(), 10, 100)]);
    // The next day it begins anew; the group's lifetime does not.
    spend(&key, 60, 86_400);
    assert_eq!(heard(), [("k".to_owned(), 50, 60)]);
    // A raised limit can be crossed again.
    let raised = tenant(vec![payer("k", cap(200, BudgetWindow::Day)), key.payers[1].clone()]);
    spend(&raised, 40, 86_401);
    assert_eq!(heard(), [("k".to_owned(), 50, 100)]);
    // What was crossed before a start is told again by it: whoever keeps them knows which were told.
    let (again, told) = self::budgets();
    again.reserve(&tenant(vec![payer("k", None)]), &hold(80), 86_400).unwrap().settle(NanoUsd(80));
    again.review(&key, 86_401);
    assert_eq!(told.lock().iter().map(|c| c.percent).collect::<Vec<_>>(), [50, 75]);
}
