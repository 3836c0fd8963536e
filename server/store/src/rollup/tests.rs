#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use headworks_api::storage::{AttemptRecord, Window};
use proptest::prelude::*;

use super::{times::*, *};
use crate::{Change, Expect, MemoryStore, testing::Failing};

const START: i64 = 1_790_000_000;

fn attempt(provider: &str, outcome: i32, tokens: Vec<i64>, cost: i64) -> AttemptRecord {
    AttemptRecord {
        provider: provider.into(),
        model: "m".into(),
        outcome,
        reason: if outcome == 1 { String::new() } else { "TIMEOUT".into() },
        tokens,
        cost_nano_usd: Some(cost),
        markup_nano_usd: cost / 10,
        latency_nanos: 900,
        first_token_nanos: Some(300),
        ..AttemptRecord::default()
    }
}

prop_compose! {
    fn record()(
        id in 0u32.., key in 0u8..3, model in 0u8..3, second in 0i64..400_000, good in any::<bool>(), failed_over in any::<bool>(), retried in any::<bool>(),
        input in 0i64..1000, output in 0i64..1000, cost in 0i64..1_000_000, latency in 1i64..10_000_000_000,
        tags in proptest::collection::vec(0u8..3, 0..3), user in proptest::option::of(0u8..3), env in proptest::option::of(0u8..2),
    ) -> RequestRecord {
        let last = attempt(if model == 0 { "p" } else { "q" }, if good { 1 } else { 2 }, vec![input, 0, 0, 0, 0, 0, 0, 0, output], cost);
        let mut attempts = vec![last];
        if retried {
            attempts.insert(0, AttemptRecord { outcome: 2, ..attempts[0].clone() });
        }
        if failed_over {
            attempts.insert(0, attempt("r", 2, vec![5], 7));
        }
        RequestRecord {
            id: format!("req_{id}"),
            key_id: format!("k{key}"),
            group_ids: if key == 0 { Vec::new() } else { vec![format!("t{key}"), "g".into()] },
            model: format!("model{model}"),
            start_unix_nanos: (START + second) * 1_000_000_000,
            latency_nanos: latency,
            outcome: if good { 1 } else { 2 },
            cost_nano_usd: attempts.iter().map(|a| a.cost_nano_usd.unwrap()).sum(),
            markup_nano_usd: attempts.iter().map(|a| a.markup_nano_usd).sum(),
            cost_known: true,
            saved_nano_usd: 3,
            attempts,
            tags: tags.iter().map(|t| format!("t{t}")).collect(),
            user_id: user.map(|u| format!("u{u}")).unwrap_or_default(),
            metadata: env.map(|e| ("env".to_owned(), format!("e{e}"))).into_iter().collect(),
            ..RequestRecord::default()
        }
    }
}

async fn land(store: &Arc<dyn Store>, records: &[RequestRecord]) {
    for (at, chunk) in records.chunks(3).enumerate() {
        let late = chunk.iter().map(|r| r.start_unix_nanos).max().unwrap() + 1_000_000_000 + i64::try_from(at).unwrap();
        let window = Window { intents: Vec::new(), records: chunk.to_vec(), ..Window::default() };
        let key = window_place(u64::try_from(late).unwrap());
        store.commit(vec![Change::Put { key, value: window.encode_to_vec().into(), expect: Expect::Any }]).await.unwrap();
    }
}

async fn without_small_sections(store: &Arc<dyn Store>) {
    let (version, state) = store.get(STATE).await.unwrap().unwrap();
    let state = RollupState { sections: 0, ..RollupState::decode(state).unwrap() };
    let mut changes = vec![Change::Put { key: STATE.to_vec(), value: state.encode_to_vec().into(), expect: Expect::Version(version) }];
    for section in Section::ALL.into_iter().filter(|section| section.finest() == Level::Hour) {
        for level in Level::ALL {
            let blocks = store.scan(&prefix(section, level), None, 10_000).await.unwrap();
            changes.extend(blocks.into_iter().map(|(key, ..)| Change::Delete { key, expect: Expect::Any }));
        }
    }
    store.commit(changes).await.unwrap();
}

fn question(by: &[&str], only: &[(&str, &str)], step: Step) -> Question {
    Question {
        from: START,
        until: START + 400_000,
        by: by.iter().map(|name| By::from_name(name).unwrap()).collect(),
        only: only.iter().map(|(name, value)| Only { by: By::from_name(name).unwrap(), value: (*value).to_owned() }).collect(),
        step,
        percentiles: true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn sums_equal_those_of_the_records_whenever_they_were_written(records in proptest::collection::vec(record(), 1..60), cut in 0usize..60, restart in any::<bool>(), minute_days in 0u32..8) {
        let mut records = records;
        records.sort_by_key(|r| r.start_unix_nanos);
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
            let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
            let now = START + 500_000;
            // The calls are two to six days old: what lies before the days of minutes is counted by the hour.
            let keep = Keep { minute_days, ..Keep::default() };
            let cut = cut.min(records.len());
            land(&store, &records[..cut]).await;
            let mut rollups = Rollups::open(store.clone(), keep, now).await.unwrap();
            // Closes every hour and day; what lands later is late for all of them.
            rollups.write(now).await.unwrap();
            land(&store, &records[cut..]).await;
            if restart {
                rollups = Rollups::open(store.clone(), keep, now).await.unwrap();
            } else if cut < records.len() {
                rollups.take(&Arc::new(Landed { at: u64::MAX / 4, records: records[cut..].to_vec() }));
            }
            if cut % 2 == 0 {
                rollups.write(now).await.unwrap();
            }
            if cut % 3 == 0 {
                // As a store written before there were small sections by key and model and of extras.
                rollups.write(now).await.unwrap();
                without_small_sections(&store).await;
                rollups = Rollups::open(store.clone(), keep, now).await.unwrap();
            }
            for (by, only, step) in [
                (&[][..], &[][..], Step::Whole),
                (&["served_by"], &[], Step::Day),
                (&["key"], &[("outcome", "1")], Step::Month),
                (&["model", "policy"], &[("provider", "q")], Step::Hour),
                (&["tag"], &[], Step::Whole),
                (&["user", "key"], &[], Step::Day),
                (&["metadata.env"], &[("key", "k1")], Step::Whole),
                (&["tag", "user"], &[("tag", "t1")], Step::Whole),
                (&["attempt_reason"], &[], Step::Whole),
                (&["key", "model"], &[], Step::Day),
                (&["group", "served_by"], &[("key", "k2")], Step::Whole),
                (&["user"], &[], Step::Whole),
                (&["tag"], &[("group", "g")], Step::Day),
                (&["metadata.env"], &[("metadata.env", "e1")], Step::Month),
            ] {
                let question = question(by, only, step);
                let answer = rollups.query(&question, now).await.unwrap();
                let from = answer.first().map_or(0, |row| row.start);
                // The same question put to every record.
                let mut wanted = query::of_records(&question, &records);
                if step == Step::Whole {
                    wanted.iter_mut().for_each(|row| row.start = from);
                }
                assert_eq!(answer, wanted, "{question:?}");
            }
            let whole = rollups.query(&question(&[], &[], Step::Whole), now).await.unwrap();
            let sum = |of: &dyn Fn(&RequestRecord) -> i64| records.iter().map(of).sum::<i64>();
            let counts = whole[0].sums.counts;
            assert_eq!((counts.requests, counts.cost, counts.markup), (sum(&|_| 1), sum(&|r| r.cost_nano_usd), sum(&|r| r.markup_nano_usd)));
            // Another attempt at the same target is a retry and no failover.
            assert_eq!(counts.failovers, sum(&|r| i64::from(r.attempts[0].provider == "r")));
        });
    }
}

/// L8: whichever commit fails, every call is in the sums once: at once, after the next try, and after a restart.
#[tokio::test]
async fn l8_a_commit_that_fails_loses_no_call_and_counts_none_twice() {
    const CALLS: i64 = 40;
    let records: Vec<RequestRecord> = (0..CALLS)
        .map(|n| RequestRecord {
            id: format!("req_{n}"),
            key_id: "k".into(),
            // Two days and a half, so that hours and days are over.
            start_unix_nanos: (START + n * 5_400) * 1_000_000_000,
            outcome: 1,
            cost_nano_usd: 7,
            cost_known: true,
            attempts: vec![attempt("p", 1, vec![3], 7)],
            ..RequestRecord::default()
        })
        .collect();
    let now = START + CALLS * 5_400;
    let mut points = 0;
    for restart in [false, true] {
        for point in 0.. {
            let failing = Arc::new(Failing::default());
            let store: Arc<dyn Store> = failing.clone();
            let rollups = Rollups::open(store.clone(), Keep { minute_days: 1, hour_days: 1 }, START).await.unwrap();
            land(&store, &records[..20]).await;
            rollups.take(&Arc::new(Landed { at: u64::try_from(now).unwrap() * 1_000_000_000, records: records[..20].to_vec() }));
            failing.fail(point, 1);
            let failed = rollups.write(now).await.is_err();
            failing.fail(0, 0);
            let count = async |rollups: &Rollups, wanted: i64, when: &str| {
                let answer = rollups.query(&Question { from: 0, until: now, by: vec![By::Facet(Facet::Key)], ..Question::default() }, now).await.unwrap();
                let counts = answer[0].sums.counts;
                assert_eq!((counts.requests, counts.cost, counts.attempts), (wanted, wanted * 7, wanted), "commit {point}, {when}");
            };
            count(&rollups, 20, "at once").await;
            let rollups = if restart { Rollups::open(store.clone(), Keep::default(), now).await.unwrap() } else { rollups };
            // What came after the failure is added to what was put back.
            rollups.take(&Arc::new(Landed { at: u64::try_from(now).unwrap() * 1_000_000_000 + 1, records: records[20..].to_vec() }));
            rollups.write(now).await.unwrap();
            count(&rollups, CALLS, "after the next try").await;
            let state = *rollups.shared.state.lock();
            assert!(state.days_closed > 0 && state.hours_closed >= now / HOUR - 1, "{state:?}");
            let again = Rollups::open(store, Keep::default(), now).await.unwrap();
            count(&again, CALLS, "opened again").await;
            points += i32::from(failed);
            if !failed {
                break;
            }
        }
    }
    assert!(points > 40, "only {points} commits failed");
}

#[tokio::test]
async fn minutes_are_dropped_when_their_time_is_over_and_hours_answer_for_them() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let record = RequestRecord { start_unix_nanos: START * 1_000_000_000, outcome: 1, cost_known: true, ..RequestRecord::default() };
    land(&store, &[record]).await;
    let rollups = Rollups::open(store.clone(), Keep { minute_days: 1, hour_days: 2 }, START).await.unwrap();
    for (days, left) in [(0, "mhd"), (2, "hd"), (4, "d")] {
        let now = START + days * DAY + 2 * DAY / 3;
        rollups.write(now).await.unwrap();
        let answer = rollups.query(&Question { from: START - 30, until: START + 30, ..Question::default() }, now).await.unwrap();
        assert_eq!(answer.iter().map(|row| row.sums.counts.requests).sum::<i64>(), 1, "after {days} days, {left} left");
    }
    let minutes = Question { from: START, until: START + 60, step: Step::Minute, ..Question::default() };
    assert!(rollups.query(&minutes, START + 10 * DAY).await.unwrap_err().to_string().contains("1 days"));
    assert!(store.scan(b"sums/am/", None, 1).await.unwrap().is_empty());
}

#[test]
fn a_call_failed_over_where_an_attempt_before_its_last_one_failed_and_was_hedged_where_a_second_ran_beside_it() {
    let of = |ordinal, outcome, hedge| AttemptRecord { ordinal, hedge, ..attempt(["p", "q", "r"][ordinal as usize - 1], outcome, vec![1], 1) };
    let (good, failed, cancelled) = (1, 2, 4);
    // In the order in which they ended.
    let table = [
        (vec![of(1, good, false)], (0, 0, 0)),
        (vec![of(1, failed, false), of(2, good, false)], (1, 0, 1)),
        (vec![of(1, cancelled, false), of(2, good, true)], (0, 1, 0)),
        (vec![of(2, cancelled, true), of(1, good, false)], (0, 1, 0)),
        (vec![of(2, failed, true), of(1, good, false)], (0, 1, 1)),
        (vec![of(1, failed, false), of(2, good, true)], (1, 1, 1)),
        (vec![of(2, failed, true), of(1, failed, false), of(3, good, false)], (1, 1, 2)),
    ];
    for (attempts, wanted) in table {
        let record = RequestRecord { outcome: good, attempts, ..RequestRecord::default() };
        let mut sums = Sums::of_call(&record);
        let (_, earlier) = record.attempts.split_last().unwrap();
        earlier.iter().for_each(|attempt| sums.merge(&Sums::of_attempt(attempt)));
        assert_eq!((sums.counts.failovers, sums.counts.hedges, sums.counts.failed_attempts), wanted, "{:?}", record.attempts);
    }
}
