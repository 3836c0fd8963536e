//! What hedging does to a slow tail, and how many calls more it causes, beside the same policy without it.

use std::{collections::BTreeMap, sync::atomic::Ordering, time::Duration};

use headworks_api::v1;

use crate::{
    Options,
    admin::Admin,
    load::{self, Run},
    mock,
    server::{KEY, body, headworks_with, median},
};

/// Callers at a time.
const CALLERS: usize = 16;

/// How many requests by this policy are on record, once their sums are.
async fn requests(admin: &Admin, policy: usize) -> i64 {
    tokio::time::sleep(Duration::from_millis(500)).await;
    let filter = Some(v1::RequestFilter { policy: format!("p{policy}"), ..v1::RequestFilter::default() });
    let sums = admin.usage(v1::QueryUsageRequest { filter, ..v1::QueryUsageRequest::default() }).await;
    sums.rows.first().map_or(0, |row| row.request_count)
}

/// Measures and prints.
pub async fn run(options: &Options) {
    let (time, repetitions) = options.length();
    let folder = tempfile::tempdir().expect("a folder");
    let mock = mock::serve().await.expect("the upstream");
    // Two hosts, each with the same tail.
    let second = format!("[providers.groq]\nbase_url = \"http://127.0.0.1:{mock}/v1\"\napi_key_env = \"BENCH_KEY\"\ndialect = \"openai\"\n");
    let gateway = headworks_with(folder.path(), "hedging", mock, "after", &second).await;
    let admin = Admin::at(gateway.port);
    let targets: Vec<_> =
        ["openai/tail", "groq/tail"].into_iter().map(|model| v1::PolicyTarget { model: model.to_owned(), ..v1::PolicyTarget::default() }).collect();
    let hedgings =
        [("without", None), ("with, at most 10 %", Some(v1::Hedging::default())), ("with, at most 2 %", Some(v1::Hedging { max_percent: 2, delay: None }))];
    for (at, (_, hedging)) in hedgings.iter().enumerate() {
        let kind = v1::policy::Kind::Fallback(v1::FallbackChain { targets: targets.clone() });
        admin.policy(v1::Policy { name: format!("p{at}"), kind: Some(kind), hedging: *hedging, ..v1::Policy::default() }).await;
    }
    println!(
        "an upstream that answers after {} ms, and {} % of the time after {}; {CALLERS} callers; the delay is learned",
        mock::USUAL.as_millis(),
        mock::SLOW_PER_THOUSAND as f64 / 10.0,
        (mock::USUAL * mock::TIMES_SLOWER).as_millis()
    );
    println!("| answers | hedging | p50 ms | p95 ms | p99 ms | p99.9 ms | more calls than requests | answers/s | errors |");
    println!("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for (kind, streamed) in [("streamed", true), ("whole", false)] {
        let mut cells: BTreeMap<usize, Vec<(Run, f64)>> = BTreeMap::new();
        for _ in 0..repetitions {
            for at in 0..hedgings.len() {
                let ask = load::request("/v1/chat/completions", KEY, &body(&format!("policy/p{at}"), streamed));
                let before = (mock::CALLS.load(Ordering::SeqCst), requests(&admin, at).await);
                let run = load::rest(gateway.port, &ask, CALLERS, time, &gateway.pids()).await;
                let calls = mock::CALLS.load(Ordering::SeqCst) - before.0;
                let asked = requests(&admin, at).await - before.1;
                cells.entry(at).or_default().push((run, 100.0 * (calls as f64 / asked.max(1) as f64 - 1.0)));
            }
        }
        for (at, runs) in &cells {
            let of = |f: &dyn Fn(&Run) -> f64| median(&mut runs.iter().map(|(run, _)| f(run)).collect::<Vec<_>>());
            println!(
                "| {kind} | {} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} % | {:.0} | {} |",
                hedgings.get(*at).map_or("", |(name, _)| name),
                of(&|r| r.latency(50)),
                of(&|r| r.latency(95)),
                of(&|r| r.latency(99)),
                of(&|r| r.micros.get(r.micros.len().saturating_sub(1) * 999 / 1000).map_or(0.0, |m| *m as f64 / 1000.0)),
                median(&mut runs.iter().map(|(_, more)| *more).collect::<Vec<_>>()),
                of(&|r| r.answers as f64 / r.seconds.max(1e-9)),
                runs.iter().map(|(run, _)| run.errors).sum::<u64>(),
            );
        }
    }
}
