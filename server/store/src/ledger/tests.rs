#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use headworks_api::storage::AttemptRecord;
use headworks_core::{BudgetWindow, NanoUsd};

use prost::Message;

use super::*;
use crate::{Change, Expect, Filter, MemoryStore, Records, testing::Failing};

fn intent(id: &str, ordinal: i32, hold: i64) -> Intent {
    Intent {
        request_id: id.into(),
        ordinal,
        key_id: "k".into(),
        provider: "p".into(),
        model: "m".into(),
        hold_nano_usd: hold,
        start_unix_nanos: 5,
        ..Default::default()
    }
}

#[tokio::test]
async fn l2_an_intent_without_a_record_becomes_one_record_at_its_hold() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let ledger = Ledger::open(store.clone()).await.unwrap();
    drop(ledger.intent(intent("req_1", 1, 10)));
    drop(ledger.intent(intent("req_2", 1, 100)));
    drop(ledger.intent(intent("req_2", 2, 50)));
    drop(ledger.record(RequestRecord { id: "req_1".into(), key_id: "k".into(), cost_nano_usd: 7, ..Default::default() }, false));
    ledger.flush().await.unwrap();
    for run in 0..3 {
        let again = Ledger::open(store.clone()).await.unwrap();
        let spent: Vec<_> = again.spent().into_iter().map(|(payer, tally)| (payer, tally.span(BudgetWindow::Lifetime).spent)).collect();
        assert_eq!(spent, [("k".to_owned(), NanoUsd(157))], "run {run}");
        let all = Records::new(store.clone()).list(&Filter::default(), 10, None).await.unwrap();
        let mut seen: Vec<_> = all.records.iter().map(|r| (r.id.as_str(), r.cost_nano_usd, r.outcome)).collect();
        seen.sort_unstable();
        assert_eq!(seen, [("req_1", 7, 0), ("req_2", 150, UNKNOWN)], "run {run}");
    }
}

/// L2: a start that dies before it has recorded all that an earlier run left leaves the rest to the next one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l2_calls_left_open_are_found_again_by_the_start_after_one_that_died() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let first = Ledger::open(store.clone()).await.unwrap();
    for n in 0..3 {
        // Windows of their own.
        wait(first.intent(intent(&format!("req_{n}"), 1, 10))).await.unwrap();
    }
    let found = recover::found(&*store).await.unwrap();
    assert_eq!(found.left.len(), 3);
    // The second run has recorded one of them when it dies.
    let (queue, entries) = queue::queue(Workers::default());
    let (done, answer) = oneshot::channel();
    queue.send(Queued { entry: Entry::Record(Box::new(found.left[2].1.clone())), urgent: true, done });
    let last = store.scan_back(WINDOWS, None, 1).await.unwrap().first().and_then(|(key, ..)| time_of(key)).unwrap();
    let writer = writer::Writer::new(store.clone(), last, found, None);
    drop(queue);
    let runtime = tokio::runtime::Handle::current();
    std::thread::spawn(move || writer.run(&entries, &runtime)).join().unwrap();
    answer.await.unwrap().unwrap();
    let again = Ledger::open(store.clone()).await.unwrap();
    assert_eq!(again.spent().iter().map(|(_, tally)| tally.span(BudgetWindow::Lifetime).spent.0).sum::<i64>(), 30);
    assert_eq!(Records::new(store.clone()).list(&Filter::default(), 10, None).await.unwrap().records.len(), 3);
}

#[tokio::test]
async fn l4_counters_are_the_sums_of_records_per_payer_and_window_also_after_a_restart() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    // What an older version left counts on.
    let old = Change::Put { key: b"spend/k".to_vec(), value: Bytes::copy_from_slice(&1_000i64.to_be_bytes()), expect: Expect::Any };
    store.commit(vec![old]).await.unwrap();
    let midnight = 1_767_225_600i64;
    let attempt = |seconds: i64, cost: Option<i64>, markup| AttemptRecord {
        start_unix_nanos: seconds * 1_000_000_000,
        cost_nano_usd: cost,
        markup_nano_usd: markup,
        ..Default::default()
    };
    let record = |id: &str, groups: &[&str], attempts| RequestRecord {
        id: id.into(),
        key_id: "k".into(),
        group_ids: groups.iter().map(|g| (*g).to_owned()).collect(),
        attempts,
        ..Default::default()
    };
    let ledger = Ledger::open(store.clone()).await.unwrap();
    drop(ledger.record(record("a", &["team", "org"], vec![attempt(midnight - 1, Some(10), 1), attempt(midnight, Some(5), 0)]), false));
    // A call that began in the old day and ends after one of the new day; and one of a key that moved to another group.
    drop(ledger.record(record("b", &["other", "org"], vec![attempt(midnight - 2, Some(100), 0), attempt(midnight + 9, None, 0)]), false));
    ledger.flush().await.unwrap();
    for ledger in [ledger, Ledger::open(store.clone()).await.unwrap()] {
        let spent: HashMap<String, Tally> = ledger.spent().into_iter().collect();
        let sums =
            |payer: &str| [BudgetWindow::Day, BudgetWindow::Month, BudgetWindow::Week, BudgetWindow::Lifetime].map(|window| spent[payer].span(window).spent.0);
        assert_eq!(sums("k"), [5, 5, 116, 1116]);
        assert_eq!(sums("team"), [5, 5, 16, 16]);
        assert_eq!(sums("org"), [5, 5, 116, 116]);
        assert_eq!(spent["other"].span(BudgetWindow::Lifetime).spent, NanoUsd(100));
    }
}

/// L4: sums are kept once a second; what landed since is added up at the next start, and by whoever adds a history.
#[tokio::test]
async fn l4_sums_that_were_kept_before_the_last_records_are_brought_up_to_them() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let ledger = Ledger::open(store.clone()).await.unwrap();
    let record = |id: String, payer: &str| RequestRecord { id, key_id: payer.into(), cost_nano_usd: 1, ..Default::default() };
    for n in 0..20 {
        drop(ledger.record(record(format!("req_{n}"), if n % 3 == 0 { "a" } else { "b" }), true));
        ledger.flush().await.unwrap();
    }
    let lifetimes = |spent: Vec<(String, Tally)>| {
        let mut all: Vec<_> = spent.into_iter().map(|(payer, tally)| (payer, tally.span(BudgetWindow::Lifetime).spent.0)).collect();
        all.sort_unstable();
        all
    };
    let kept = lifetimes(spent::read(&*store).await.unwrap().into_iter().collect());
    assert!(kept.iter().map(|(_, sum)| sum).sum::<i64>() < 20, "{kept:?} is not behind: nothing would be shown");
    let whole = [("a".to_owned(), 7), ("b".to_owned(), 13)];
    assert_eq!(lifetimes(ledger.spent()), whole);
    // Whoever writes first after a start, the others' sums are kept with its own.
    let again = Ledger::open(store.clone()).await.unwrap();
    assert_eq!(lifetimes(again.spent()), whole);
    drop(again.record(record("req_20".into(), "a"), true));
    again.flush().await.unwrap();
    let whole = [("a".to_owned(), 8), ("b".to_owned(), 13)];
    assert_eq!(lifetimes(spent::read(&*store).await.unwrap().into_iter().collect()), whole);
    let last = store.scan_back(WINDOWS, None, 1).await.unwrap();
    let window = Window { records: vec![record("req_21".into(), "a")], ..Window::default() };
    crate::Backfill::open(store.clone()).await.unwrap().put(&[(time_of(&last[0].0).unwrap() + 1, window)]).await.unwrap();
    assert_eq!(lifetimes(Ledger::open(store.clone()).await.unwrap().spent()), [("a".to_owned(), 9), ("b".to_owned(), 13)]);
}

#[tokio::test]
async fn a_record_is_found_by_its_id_and_a_page_that_would_read_too_much_ends_early() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let mut backfill = crate::Backfill::open(store.clone()).await.unwrap();
    let millis = 1_790_000_000_000u64;
    let named = |id: &str, key: &str| RequestRecord { id: id.into(), key_id: key.into(), ..Default::default() };
    let window = |records: Vec<RequestRecord>| Window { records, ..Window::default() };
    let (id, lost) = (id_of(millis, 1), id_of(millis, 2));
    let many = || window((0..1_000).map(|_| named("req_other", "k")).collect());
    let mut windows: Vec<(u64, Window)> =
        (0..401).map(|n| (millis * 1_000_000 + n, if n == 150 { window(vec![named(&id, "rare")]) } else { many() })).collect();
    windows.push(((millis + 2 * 86_400_000) * 1_000_000, window(vec![named(&lost, "k")])));
    backfill.put(&windows).await.unwrap();
    let records = Records::new(store.clone());
    assert_eq!(records.get(&id).await.unwrap().unwrap().key_id, "rare");
    assert!(records.get(&lost).await.unwrap().is_none(), "it is not looked for longer than a call can last");
    let (mut found, mut pages, mut token) = (Vec::new(), 0, None);
    let rare = Filter { key_id: "rare".into(), ..Filter::default() };
    loop {
        let page = records.list(&rare, 10, token.as_deref()).await.unwrap();
        found.extend(page.records.into_iter().map(|r| r.id));
        pages += 1;
        token = page.next;
        if token.is_none() {
            break;
        }
    }
    assert_eq!((found, pages), (vec![id], 3), "400,002 records, 200,000 a page");
}

/// Whatever comes together: windows stay small enough for a page of sled's, each record is in one of them, and is found by its id.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_go_into_several_windows_and_are_found_one_by_one() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let (tap, landed) = mpsc::channel();
    let ledger = Ledger::tapped(store.clone(), Some(tap), Workers::default()).await.unwrap();
    let millis = u64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis()).unwrap();
    let ids: Vec<String> = (0..500).map(|n| id_of(millis, n)).collect();
    for id in &ids {
        drop(ledger.intent(Intent { request_id: id.clone(), model: "m".repeat(100), ..Intent::default() }));
        // One is larger than a window may be.
        let message = "x".repeat(if id == &ids[77] { 40_000 } else { 300 });
        drop(ledger.record(RequestRecord { id: id.clone(), key_id: "k".into(), notes: vec![message], cost_nano_usd: 1, ..RequestRecord::default() }, false));
    }
    ledger.flush().await.unwrap();
    let windows = store.scan(WINDOWS, None, 10_000).await.unwrap();
    let sizes: Vec<usize> = windows.iter().map(|(key, _, value)| decode(key, value.clone()).unwrap().encoded_len()).collect();
    assert!(windows.len() > 500 * 400 / (16 << 10) && sizes.iter().all(|size| *size < 18 << 10 || *size > 40_000), "{sizes:?}");
    assert!(windows.iter().map(|(.., value)| value.len()).sum::<usize>() * 2 < sizes.iter().sum(), "packed");
    let records = Records::new(store.clone());
    for id in &ids {
        assert_eq!(records.get(id).await.unwrap().map(|record| record.id).as_ref(), Some(id));
    }
    ledger.flush().await.unwrap();
    assert_eq!(landed.try_iter().map(|window| window.records.len()).sum::<usize>(), 500);
    assert_eq!(records.list(&Filter::default(), 1_000, None).await.unwrap().records.len(), 500);
    let ledger = Ledger::open(store.clone()).await.unwrap();
    assert_eq!(ledger.spent().iter().map(|(_, tally)| tally.span(BudgetWindow::Lifetime).spent.0).sum::<i64>(), 500);
    assert_eq!(records.list(&Filter::default(), 1_000, None).await.unwrap().records.len(), 500, "no call was left open");
}

/// An id as the engine makes them: 48 bits of milliseconds, then 72 of which some are random, in base 32.
fn id_of(millis: u64, random: u64) -> String {
    const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let value = (u128::from(millis) << 72) | (u128::from(random) << 8);
    "req_".chars().chain((0..24).map(|place| char::from(DIGITS[usize::try_from((value >> (5 * (23 - place))) & 31).unwrap()]))).collect()
}

/// L8: a store that is away for a moment is asked again; one that is away for longer gets what it missed with what comes next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn l8_what_a_failing_store_did_not_take_is_written_once_and_nothing_is_lost() {
    // So many failures end within one commit's tries, or do not.
    for (failures, told) in [(1, true), (4, true), (9, false)] {
        let failing = Arc::new(Failing::default());
        let store: Arc<dyn Store> = failing.clone();
        let (tap, landed) = mpsc::channel();
        let ledger = Ledger::tapped(store.clone(), Some(tap), Workers::default()).await.unwrap();
        let record = |id: &str, cost| RequestRecord { id: id.into(), key_id: "k".into(), cost_nano_usd: cost, ..Default::default() };
        wait(ledger.intent(intent("req_1", 1, 10))).await.unwrap();
        failing.fail(0, failures);
        assert_eq!(wait(ledger.record(record("req_1", 7), true)).await.is_ok(), told, "{failures} failures");
        // Whatever comes next takes along what is owed.
        while failing.left() > 0 {
            let _ = ledger.flush().await;
        }
        wait(ledger.record(record("req_2", 100), true)).await.unwrap();
        // Listeners are told after the callers are; a flush comes after both.
        ledger.flush().await.unwrap();
        assert_eq!(landed.try_iter().map(|window| window.records.len()).sum::<usize>(), 2);
        for ledger in [ledger, Ledger::open(store.clone()).await.unwrap()] {
            let spent: Vec<_> = ledger.spent().into_iter().map(|(payer, tally)| (payer, tally.span(BudgetWindow::Lifetime).spent.0)).collect();
            assert_eq!(spent, [("k".to_owned(), 107)], "{failures} failures");
            let all = Records::new(store.clone()).list(&Filter::default(), 10, None).await.unwrap();
            let mut seen: Vec<_> = all.records.iter().map(|r| (r.id.as_str(), r.cost_nano_usd)).collect();
            seen.sort_unstable();
            assert_eq!(seen, [("req_1", 7), ("req_2", 100)], "{failures} failures");
        }
    }
}
