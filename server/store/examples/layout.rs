//! Measures how records are best laid out: one value each, or one value per commit window.
//!
//! `cargo run --release -p headworks-store --example layout`
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use headworks_api::storage::{AttemptRecord, Intent, RequestRecord, Window};
use headworks_store::{Change, Expect, SledStore, Store};
use prost::Message;

const CALLS: usize = 40_000;

fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let ticks: u64 = stat.rsplit(')').next().unwrap().split_whitespace().skip(11).take(2).map(|n| n.parse::<u64>().unwrap()).sum();
    ticks as f64 / 100.0
}

fn entry(n: usize) -> (Intent, RequestRecord) {
    let id = format!("req_{n:024}");
    let intent = Intent {
        request_id: id.clone(),
        ordinal: 1,
        key_id: "key_0123456789abcdef".into(),
        provider: "openai".into(),
        model: "gpt-4o".into(),
        hold_nano_usd: 163_840_000,
        start_unix_nanos: 1_790_000_000_000_000_000,
        ..Intent::default()
    };
    let attempt = AttemptRecord {
        ordinal: 1,
        provider: "openai".into(),
        model: "gpt-4o".into(),
        served_model: "gpt-4o-2024-08-06".into(),
        outcome: 1,
        status: 200,
        start_unix_nanos: 1_790_000_000_000_000_000,
        latency_nanos: 812_345_678,
        first_token_nanos: Some(312_345_678),
        tokens: vec![1200, 800, 0, 0, 0, 0, 0, 0, 300, 120],
        rates: vec![2_500_000_001, 10_000_000_001, 1_250_000_001],
        cost_nano_usd: Some(7_000_000),
        hold_nano_usd: 163_840_000,
        ..AttemptRecord::default()
    };
    let record = RequestRecord {
        id,
        key_id: "key_0123456789abcdef".into(),
        model: "openai/gpt-4o".into(),
        outcome: 1,
        attempts: vec![attempt],
        cost_nano_usd: 7_000_000,
        cost_known: true,
        door: "rest-chat".into(),
        ..RequestRecord::default()
    };
    (intent, record)
}

fn put(key: String, value: Vec<u8>) -> Change {
    Change::Put { key: key.into_bytes(), value: Bytes::from(value), expect: Expect::Any }
}

#[tokio::main]
async fn main() {
    println!("| calls per commit | layout | CPU us per call | calls per second | bytes per call |");
    println!("| ---: | --- | ---: | ---: | ---: |");
    for together in [1usize, 8, 32, 128] {
        for packed in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let store: Arc<SledStore> = Arc::new(SledStore::open(folder.path()).unwrap());
            let calls = if together == 1 { CALLS / 8 } else { CALLS };
            let (before, began) = (cpu(), Instant::now());
            for window in 0..calls / together {
                let entries: Vec<_> = (0..together).map(|n| entry(window * together + n)).collect();
                // Two commits, as in the gateway: the intents, then the records that close them.
                let (intents, records): (Vec<_>, Vec<_>) = entries.into_iter().unzip();
                let changes: [Vec<Change>; 2] = if packed {
                    [
                        vec![put(format!("ledger/{window:016}a"), Window { intents, ..Window::default() }.encode_to_vec())],
                        vec![put(format!("ledger/{window:016}b"), Window { records, ..Window::default() }.encode_to_vec())],
                    ]
                } else {
                    let open: Vec<Change> = intents.iter().map(|i| put(format!("intent/{}", i.request_id), i.encode_to_vec())).collect();
                    let close = records
                        .iter()
                        .flat_map(|r| {
                            [
                                put(format!("record/{}", r.id), r.encode_to_vec()),
                                Change::Delete { key: format!("intent/{}", r.id).into_bytes(), expect: Expect::Any },
                            ]
                        })
                        .collect();
                    [open, close]
                };
                for change in changes {
                    store.commit(change).await.unwrap();
                }
            }
            let (spent, took) = (cpu() - before, began.elapsed().as_secs_f64());
            println!(
                "| {together} | {} | {:.1} | {:.0} | {:.0} |",
                if packed { "one value per window" } else { "one value each" },
                1e6 * spent / calls as f64,
                calls as f64 / took,
                store.size_on_disk() as f64 / calls as f64
            );
        }
    }
}
