//! What a failover adds to an answer, beside nginx's `proxy_next_upstream`, in turns in one run.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use http::StatusCode;

use crate::{
    Options,
    load::{self, Run},
    mock,
    server::{KEY, body, free_port, headworks_with, median, nginx},
};

/// One way to fail: its name, the provider that fails so, and where it listens.
type Way = (&'static str, &'static str, u16);

/// Good answers and answers after a failover, by turns, so that both meet the same machine.
async fn turns(port: u16, good: &[u8], failing: &[u8], went_over: &[&str], time: Duration) -> (Run, Run) {
    let mut socket = load::connect(port).await.expect("a connection");
    let mut buffer = Vec::with_capacity(64 << 10);
    let (mut plain, mut over) = (Run::default(), Run::default());
    let began = Instant::now();
    while began.elapsed() < time {
        let warm = began.elapsed() > time / 4;
        for (request, run, fails) in [(good, &mut plain, false), (failing, &mut over, true)] {
            let sent = Instant::now();
            let answered = load::call(&mut socket, request, &mut buffer).await;
            let took = sent.elapsed();
            assert!(matches!(answered, Ok(Some(_))), "an answer was not good: {}", String::from_utf8_lossy(&buffer));
            let head = String::from_utf8_lossy(&buffer).to_lowercase();
            assert_eq!(went_over.iter().any(|mark| head.contains(mark)), fails, "{head}");
            if warm {
                run.answers += 1;
                run.micros.push(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
            }
        }
    }
    plain.micros.sort_unstable();
    over.micros.sort_unstable();
    (plain, over)
}

/// Measures and prints.
pub async fn run(options: &Options) {
    let (time, repetitions) = options.length();
    let folder = tempfile::tempdir().expect("a folder");
    let mock = mock::serve().await.expect("the upstream");
    let ways: [Way; 3] = [
        ("connection refused", "groq", free_port()),
        ("500", "mistral", mock::failing(StatusCode::INTERNAL_SERVER_ERROR).await.expect("an upstream that fails")),
        ("429", "deepseek", mock::failing(StatusCode::TOO_MANY_REQUESTS).await.expect("an upstream that limits")),
    ];
    // What failed is tried first again at once: in earnest it would rest, and there were no failover to measure.
    let mut more = String::from("failure_rest_ms = 0\n");
    for (_, provider, port) in ways {
        more.push_str(&format!("[providers.{provider}]\nbase_url = \"http://127.0.0.1:{port}/v1\"\napi_key_env = \"BENCH_KEY\"\ndialect = \"openai\"\n"));
    }
    let gateway = headworks_with(folder.path(), "failover", mock, "after", &more).await;
    let proxy = nginx(folder.path(), mock, &ways.map(|(_, provider, port)| (provider, port))).await;

    println!("| first target | system | p50 ms, good | p50 ms, failover | added p50 ms | added p99 ms | answers |");
    println!("| --- | --- | ---: | ---: | ---: | ---: | ---: |");
    for (name, provider, _) in ways {
        let good = load::request("/v1/chat/completions", KEY, &body("openai/gpt-4o", false));
        let first = r#"{"models":["openai/gpt-4o"],"#;
        let failing = load::request("/v1/chat/completions", KEY, &body(&format!("{provider}/m"), false).replacen('{', first, 1));
        let detour = load::request(&format!("/{provider}/x"), KEY, &body("x", false));
        let mut cells: BTreeMap<&str, Vec<(Run, Run)>> = BTreeMap::new();
        for _ in 0..repetitions {
            // A list of upstream addresses with a comma: more than one was asked.
            let by_nginx = turns(proxy.port, &good, &detour, &[", 127.0.0.1:"], time).await;
            cells.entry("nginx").or_default().push(by_nginx);
            let by_us = turns(gateway.port, &good, &failing, &["x-headworks-attempts: 2"], time).await;
            cells.entry("headworks").or_default().push(by_us);
        }
        for (system, runs) in cells {
            let of = |f: &dyn Fn(&(Run, Run)) -> f64| median(&mut runs.iter().map(f).collect::<Vec<_>>());
            println!(
                "| {name} | {system} | {:.3} | {:.3} | {:.3} | {:.3} | {} |",
                of(&|(plain, _)| plain.latency(50)),
                of(&|(_, over)| over.latency(50)),
                of(&|(plain, over)| over.latency(50) - plain.latency(50)),
                of(&|(plain, over)| over.latency(99) - plain.latency(99)),
                runs.iter().map(|(_, over)| over.answers).sum::<u64>(),
            );
        }
    }
}
