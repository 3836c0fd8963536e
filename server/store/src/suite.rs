//! The definition of a store: every backend passes this.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;

use bytes::Bytes;

use crate::{Change, Expect, Store, StoreError, Watched};

fn put(key: &str, value: &str, expect: Expect) -> Change {
    Change::Put { key: key.into(), value: Bytes::copy_from_slice(value.as_bytes()), expect }
}

fn add(key: &str, delta: i64, ceiling: Option<i64>) -> Change {
    Change::Add { key: key.into(), delta, ceiling }
}

async fn text(store: &dyn Store, key: &str) -> Option<String> {
    store.get(key.as_bytes()).await.unwrap().map(|(_, value)| String::from_utf8(value.to_vec()).unwrap())
}

/// Runs every test on stores that `make` makes, each of them empty. Panics where one fails.
pub async fn run<M, F>(make: M)
where
    M: Fn() -> F,
    F: Future<Output = Arc<dyn Store>>,
{
    values_are_put_and_taken_away(make().await).await;
    expectations_hold(make().await).await;
    a_commit_is_all_or_nothing(make().await).await;
    scans_are_ordered_and_paged(make().await).await;
    counters_stop_at_their_ceiling(make().await).await;
    a_hundred_callers_never_pass_a_ceiling(make().await).await;
    threads_commit_like_tasks(make().await).await;
    watchers_see_changes_in_order(make().await).await;
    random_changes_agree_with_a_model(make().await).await;
}

async fn values_are_put_and_taken_away(store: Arc<dyn Store>) {
    assert_eq!(store.get(b"a/1").await.unwrap(), None);
    let first = store.commit(vec![put("a/1", "x", Expect::Any)]).await.unwrap();
    let second = store.commit(vec![put("a/1", "", Expect::Any)]).await.unwrap();
    assert!(second > first);
    assert_eq!(store.get(b"a/1").await.unwrap(), Some((second, Bytes::new())));
    store.commit(vec![Change::Delete { key: b"a/1".to_vec(), expect: Expect::Any }]).await.unwrap();
    store.commit(vec![Change::Delete { key: b"a/1".to_vec(), expect: Expect::Any }]).await.unwrap();
    assert_eq!(store.get(b"a/1").await.unwrap(), None);
    store.healthy().unwrap();
}

async fn expectations_hold(store: Arc<dyn Store>) {
    let version = store.commit(vec![put("k", "1", Expect::Absent)]).await.unwrap();
    match store.commit(vec![put("k", "2", Expect::Absent)]).await {
        Err(StoreError::Conflict { found, .. }) => assert_eq!(found, Some((version, Bytes::from_static(b"1")))),
        other => panic!("{other:?}"),
    }
    assert!(store.commit(vec![put("k", "2", Expect::Version(version + 100))]).await.is_err());
    store.commit(vec![put("k", "2", Expect::Version(version))]).await.unwrap();
    assert!(store.commit(vec![Change::Delete { key: b"k".to_vec(), expect: Expect::Version(version) }]).await.is_err());
    assert!(store.commit(vec![Change::Delete { key: b"none".to_vec(), expect: Expect::Version(version) }]).await.is_err());
    assert_eq!(text(&*store, "k").await.as_deref(), Some("2"));
}

async fn a_commit_is_all_or_nothing(store: Arc<dyn Store>) {
    store.commit(vec![put("t/1", "old", Expect::Any)]).await.unwrap();
    let all = vec![put("t/2", "new", Expect::Any), put("t/1", "new", Expect::Absent), put("u/3", "new", Expect::Any)];
    assert!(store.commit(all).await.is_err());
    assert_eq!((text(&*store, "t/1").await.as_deref(), text(&*store, "t/2").await, text(&*store, "u/3").await), (Some("old"), None, None));
    // Later changes of one commit see earlier ones.
    store.commit(vec![add("n", 5, None), add("n", -2, None)]).await.unwrap();
    assert_eq!(store.get(b"n").await.unwrap().unwrap().1[..], 3i64.to_be_bytes());
}

async fn scans_are_ordered_and_paged(store: Arc<dyn Store>) {
    let changes = (0..25).map(|n| put(&format!("s/{n:02}"), &n.to_string(), Expect::Any)).chain([put("r/x", "", Expect::Any), put("t/x", "", Expect::Any)]);
    store.commit(changes.collect()).await.unwrap();
    let mut seen = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = store.scan(b"s/", after.as_deref(), 10).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.0.clone());
        seen.extend(page.iter().map(|(key, ..)| String::from_utf8(key.clone()).unwrap()));
    }
    let wanted: Vec<_> = (0..25).map(|n| format!("s/{n:02}")).collect();
    assert_eq!(seen, wanted);
    let back = store.scan_back(b"s/", None, 3).await.unwrap();
    assert_eq!(back.iter().map(|(k, ..)| &k[..]).collect::<Vec<_>>(), [b"s/24", b"s/23", b"s/22"]);
    let back = store.scan_back(b"s/", Some(b"s/02"), 9).await.unwrap();
    assert_eq!(back.iter().map(|(k, ..)| &k[..]).collect::<Vec<_>>(), [b"s/01", b"s/00"]);
    assert!(store.scan(b"none/", None, 9).await.unwrap().is_empty());
}

async fn counters_stop_at_their_ceiling(store: Arc<dyn Store>) {
    store.commit(vec![add("c", 7, Some(10))]).await.unwrap();
    match store.commit(vec![add("c", 4, Some(10))]).await {
        Err(StoreError::Ceiling { value: 7, .. }) => {}
        other => panic!("{other:?}"),
    }
    store.commit(vec![add("c", 3, Some(10))]).await.unwrap();
    // Going down is always allowed.
    store.commit(vec![add("c", -5, Some(1))]).await.unwrap();
    assert_eq!(store.get(b"c").await.unwrap().unwrap().1[..], 5i64.to_be_bytes());
}

async fn a_hundred_callers_never_pass_a_ceiling(store: Arc<dyn Store>) {
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.commit(vec![add("cap", 7, Some(300))]).await.is_ok() })
        })
        .collect();
    let mut won = 0;
    for caller in callers {
        won += i64::from(caller.await.unwrap());
    }
    assert_eq!(won, 42);
    assert_eq!(store.get(b"cap").await.unwrap().unwrap().1[..], (won * 7).to_be_bytes());
}

async fn threads_commit_like_tasks(store: Arc<dyn Store>) {
    const MOST: i64 = 150;
    let one = || vec![add("sum", 1, Some(MOST))];
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let store = store.clone();
            tokio::task::spawn_blocking(move || (0..25).filter(|_| store.commit_blocking(&one()).is_ok()).count())
        })
        .collect();
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut made = 0;
                for _ in 0..25 {
                    made += usize::from(store.commit(one()).await.is_ok());
                }
                made
            })
        })
        .collect();
    let mut made = 0;
    for job in threads.into_iter().chain(tasks) {
        made += job.await.unwrap();
    }
    let sum = store.get(b"sum").await.unwrap().map(|(_, value)| value);
    assert_eq!((made as i64, sum), (MOST, Some(Bytes::copy_from_slice(&MOST.to_be_bytes()))));
    match tokio::task::spawn_blocking(move || store.commit_blocking(&one())).await.unwrap() {
        Err(StoreError::Ceiling { value, .. }) => assert_eq!(value, MOST),
        other => panic!("{other:?}"),
    }
}

async fn watchers_see_changes_in_order(store: Arc<dyn Store>) {
    let from = store.commit(vec![put("w/0", "", Expect::Any)]).await.unwrap();
    let mut watcher = store.watch(b"w/", from);
    for n in 1..=5 {
        store.commit(vec![put("other", "", Expect::Any), put(&format!("w/{n}"), &n.to_string(), Expect::Any)]).await.unwrap();
    }
    store.commit(vec![Change::Delete { key: b"w/1".to_vec(), expect: Expect::Any }]).await.unwrap();
    let mut last = from;
    for n in 1..=6 {
        let next = tokio::time::timeout(std::time::Duration::from_secs(10), watcher.next()).await.expect("a change is told");
        let Watched::Changed { revision, key, value } = next else { panic!("{next:?}") };
        assert!(revision > last);
        last = revision;
        let (wanted, there) = if n < 6 { (format!("w/{n}"), true) } else { ("w/1".to_owned(), false) };
        assert_eq!((String::from_utf8(key).unwrap(), value.is_some()), (wanted, there));
    }
}

async fn random_changes_agree_with_a_model(store: Arc<dyn Store>) {
    let model = crate::MemoryStore::default();
    // A fixed linear congruence: the same run every time, on every backend.
    let mut state = 12345u64;
    let mut dice = |n: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    for _ in 0..200 {
        let changes: Vec<Change> = (0..=dice(3))
            .map(|_| {
                let key = format!("m/{}", dice(8));
                match dice(4) {
                    0 => Change::Delete { key: key.into(), expect: if dice(2) == 0 { Expect::Any } else { Expect::Absent } },
                    1 => add(&format!("n/{}", dice(3)), i64::try_from(dice(20)).unwrap() - 5, Some(40)),
                    2 => put(&key, &dice(100).to_string(), Expect::Absent),
                    _ => put(&key, &dice(100).to_string(), Expect::Any),
                }
            })
            .collect();
        let ours = store.commit(changes.clone()).await.is_ok();
        assert_eq!(ours, model.commit(changes.clone()).await.is_ok(), "{changes:?}");
    }
    for prefix in ["m/", "n/"] {
        let strip = |entries: Vec<crate::Entry>| entries.into_iter().map(|(k, _, v)| (k, v)).collect::<Vec<_>>();
        let ours = strip(store.scan(prefix.as_bytes(), None, 100).await.unwrap());
        assert_eq!(ours, strip(model.scan(prefix.as_bytes(), None, 100).await.unwrap()));
    }
}
