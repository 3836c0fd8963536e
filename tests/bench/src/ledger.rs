//! A store of millions of calls: how it answers, how large it is, and how long a gateway takes to start with it.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use headworks_api::v1;

use crate::{
    Options,
    admin::Admin,
    fill, load,
    server::{KEY, Server, body, launch},
};

const ASKED: usize = 20;

fn bytes(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.metadata().map_or(0, |data| if data.is_dir() { bytes(&entry.path()) } else { data.blocks() * 512 })).sum()
}

/// Starts a gateway and waits for its first answer; gives the seconds that took.
async fn start(folder: &Path) -> (Server, f64) {
    let began = Instant::now();
    let mut server = launch(folder, "ledger", 9, "after");
    let ask = load::request("/v1/chat/completions", KEY, &body("sandbox/echo", false));
    let mut buffer = Vec::new();
    loop {
        if let Ok(mut socket) = load::connect(server.port).await
            && let Ok(Ok(Some(_))) = tokio::time::timeout(Duration::from_secs(3_600), load::call(&mut socket, &ask, &mut buffer)).await
        {
            return (server, began.elapsed().as_secs_f64());
        }
        assert!(server.child.try_wait().expect("a process").is_none(), "the gateway ended; start it by hand with {}", folder.join("ledger.toml").display());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn span(seconds: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds, nanos: 0 })
}

/// Puts a question again and again; prints the median and the worst.
async fn ask(admin: &Admin, what: &str, question: v1::QueryUsageRequest) -> v1::QueryUsageResponse {
    let mut times = Vec::with_capacity(ASKED);
    let mut answer = v1::QueryUsageResponse::default();
    for _ in 0..ASKED {
        let began = Instant::now();
        answer = admin.usage(question.clone()).await;
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    let first = times[0];
    times.sort_by(f64::total_cmp);
    println!("| {what} | {} | {:.1} | {:.1} | {first:.1} |", answer.rows.len(), times[ASKED / 2], times[ASKED - 1]);
    answer
}

/// Measures and prints.
pub async fn run(options: &Options) {
    let scratch = tempfile::tempdir().expect("a folder");
    let folder = options.folder.clone().unwrap_or_else(|| scratch.path().to_owned());
    fs::create_dir_all(&folder).expect("a folder");
    let store = folder.join("ledger");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_nanos();
    let until = u64::try_from(now).expect("a time");
    let requests = options.requests;
    let mut filled = None;
    if store.exists() {
        println!("{} is there already: measured as it is", store.display());
    } else {
        let began = Instant::now();
        filled = Some(fill::fill(&store, requests, until).await);
        // The writer's thread gives the folder back a moment later.
        tokio::time::sleep(Duration::from_secs(2)).await;
        println!(
            "{requests} requests over {} days written in {:.0} s, {:.0} bytes each on disk",
            fill::DAYS,
            began.elapsed().as_secs_f64(),
            bytes(&store) as f64 / requests as f64
        );
        let (server, took) = start(&folder).await;
        println!("first start, which makes all sums from the records: {took:.1} s, {:.1} MiB resident", load::resident(&server.pids()) as f64 / 1024.0);
        drop(server);
    }
    println!("disk: {:.0} bytes a request with sums, {:.2} GiB in all", bytes(&store) as f64 / requests as f64, bytes(&store) as f64 / f64::from(1 << 30));
    let mut starts = Vec::new();
    for _ in 0..3 {
        let (server, took) = start(&folder).await;
        starts.push(took);
        drop(server);
    }
    println!("start until the first answer: {starts:.2?} s");
    let (server, _) = start(&folder).await;
    println!("resident after a start: {:.1} MiB", load::resident(&server.pids()) as f64 / 1024.0);
    let admin = Admin::at(server.port);
    let end = i64::try_from(until / 1_000_000_000).expect("a time");
    let filter = |days: i64| Some(v1::RequestFilter { start_time: span(end - days * 86_400), end_time: span(end + 60), ..v1::RequestFilter::default() });
    let plain = |by: &[&str], days: i64| v1::QueryUsageRequest {
        filter: filter(days),
        group_by: by.iter().map(|name| (*name).to_owned()).collect(),
        page_size: 1000,
        ..v1::QueryUsageRequest::default()
    };
    println!("| QueryUsage, all metrics, {ASKED} times | rows | p50 ms | worst ms | first ms |");
    println!("| --- | ---: | ---: | ---: | ---: |");
    ask(&admin, "a month by model asked", plain(&["model"], 30)).await;
    ask(&admin, "a month by model served", plain(&["served_by"], 30)).await;
    ask(&admin, "a month by key", plain(&["key"], 30)).await;
    ask(&admin, "a month by key and model", plain(&["key", "model"], 30)).await;
    ask(&admin, "a month by tag", plain(&["tag"], 30)).await;
    ask(&admin, "a month by user", plain(&["user"], 30)).await;
    ask(&admin, "a month by model, in days", v1::QueryUsageRequest { step: v1::UsageStep::Day as i32, ..plain(&["model"], 30) }).await;
    ask(&admin, "a week by model, in hours", v1::QueryUsageRequest { step: v1::UsageStep::Hour as i32, ..plain(&["model"], 7) }).await;
    ask(&admin, "six hours by model, in minutes", v1::QueryUsageRequest { step: v1::UsageStep::Minute as i32, filter: filter(1), ..plain(&["model"], 1) })
        .await;
    ask(&admin, "60 days by model", plain(&["model"], 60)).await;
    if let Some((middle, cost)) = filled {
        let whole = admin.usage(plain(&[], 61)).await.rows;
        let found = whole.first().and_then(|row| Some((row.request_count, row.usage.as_ref()?.cost_nano_usd)));
        let calls = i64::try_from(requests).expect("a number");
        // The calls that told that the gateway was there are among them.
        println!("all calls: {found:?}; written: {calls} that cost {cost}");
        assert!(found.is_some_and(|(count, nanos)| count >= calls && nanos >= cost), "the sums lack calls");
        let began = Instant::now();
        assert!(admin.record(&middle).await.is_some_and(|record| record.id == middle), "a record is not found");
        println!("GetRequest of one amid them: {:.1} ms", began.elapsed().as_secs_f64() * 1e3);
    }
    let began = Instant::now();
    let page = admin.records(v1::ListRequestsRequest { page_size: 100, ..v1::ListRequestsRequest::default() }).await;
    println!("ListRequests, the newest {}: {:.1} ms", page.requests.len(), began.elapsed().as_secs_f64() * 1e3);
    println!("resident after all of it: {:.1} MiB", load::resident(&server.pids()) as f64 / 1024.0);
}
