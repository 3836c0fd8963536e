//! Every scenario beside nginx and the bare upstream.

use std::{
    collections::BTreeMap,
    fs,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use crate::{
    Options,
    load::{self, Run},
    mock,
    server::{KEY, body, headworks, median, nginx},
};

/// (scenario, callers, model, streamed, paced chunks)
const SCENARIOS: [(&str, usize, &str, bool); 7] = [
    ("c1", 1, "openai/gpt-4o", false),
    ("c32", 32, "openai/gpt-4o", false),
    ("c256", 256, "openai/gpt-4o", false),
    ("c32 to anthropic", 32, "anthropic/claude-sonnet-4-5", false),
    ("stream16", 16, "openai/gpt-4o", true),
    ("stream16 to anthropic", 16, "anthropic/claude-sonnet-4-5", true),
    ("stream100 paced", 100, "openai/paced-5ms", true),
];

/// Measures and prints.
pub async fn run(options: &Options) {
    let (time, repetitions) = options.length();
    let wanted = |name: &str| options.wanted(name);
    let folder = tempfile::tempdir().expect("a folder");
    let mock = mock::serve().await.expect("the upstream");

    // Fresh, before anything else: at rest.
    let after = headworks(folder.path(), "after", mock, "after").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let rest = load::resident(&after.pids());
    let nginx = nginx(folder.path(), mock, &[]).await;
    let before = headworks(folder.path(), "before", mock, "before").await;
    let off = headworks(folder.path(), "memory", mock, "after").await;

    println!("| scenario | system | CPU us per answer | CPU us per chunk | x nginx | p50 ms | p99 ms | answers/s | errors |");
    println!("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for (name, callers, model, streamed) in SCENARIOS.into_iter().filter(|s| wanted(s.0)) {
        let path = "/v1/chat/completions";
        let upstream_path = if model.starts_with("anthropic") { "/v1/messages" } else { path };
        let mut cells: BTreeMap<&str, Vec<(Run, f64)>> = BTreeMap::new();
        for _ in 0..repetitions {
            let plain = load::request(upstream_path, KEY, &body(model, streamed));
            let ask = load::request(path, KEY, &body(model, streamed));
            let cost = |run: &Run| if streamed { run.cpu / run.chunks.max(1) as f64 } else { run.cpu / run.answers.max(1) as f64 };
            let base = load::rest(nginx.port, &plain, callers, time, &nginx.pids()).await;
            let unit = cost(&base);
            let direct = load::rest(mock, &plain, callers, time / 2, &[]).await;
            cells.entry("0 upstream").or_default().push((direct, 0.0));
            for (system, server) in [("2 headworks", &after), ("3 headworks, ack before", &before), ("5 headworks, nothing on disk", &off)] {
                let run = load::rest(server.port, &ask, callers, time, &server.pids()).await;
                let times = cost(&run) / unit;
                cells.entry(system).or_default().push((run, times));
            }
            if callers <= 100 {
                let run = load::grpc(after.port, KEY, model, streamed, callers, time, &after.pids()).await;
                let times = cost(&run) / unit;
                cells.entry("4 headworks, gRPC").or_default().push((run, times));
            }
            cells.entry("1 nginx").or_default().push((base, 1.0));
        }
        for (system, runs) in &cells {
            let of = |f: &dyn Fn(&Run) -> f64| median(&mut runs.iter().map(|(run, _)| f(run)).collect::<Vec<_>>());
            let times = median(&mut runs.iter().map(|(_, times)| *times).collect::<Vec<_>>());
            println!(
                "| {name} | {} | {:.1} | {} | {times:.2} | {:.2} | {:.2} | {:.0} | {} |",
                &system[2..],
                of(&|r| 1e6 * r.cpu / r.answers.max(1) as f64),
                if streamed { format!("{:.2}", of(&|r| 1e6 * r.cpu / r.chunks.max(1) as f64)) } else { "-".to_owned() },
                of(&|r| r.latency(50)),
                of(&|r| r.latency(99)),
                of(&|r| r.answers as f64 / r.seconds.max(1e-9)),
                runs.iter().map(|(run, _)| run.errors).sum::<u64>(),
            );
        }
    }
    if wanted("memory") {
        println!("resident at rest, fresh start: {:.1} MiB", rest as f64 / 1024.0);
        let fresh = headworks(folder.path(), "idle", mock, "after").await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let empty = load::resident(&fresh.pids());
        let ask = load::request("/v1/chat/completions", KEY, &body("openai/idle", true));
        let open = load::idle(fresh.port, &ask, 1000).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let full = load::resident(&fresh.pids());
        println!("idle streams: {} open, {:.1} KiB each", open.len(), (full.saturating_sub(empty)) as f64 / open.len().max(1) as f64);
        let left = Instant::now();
        drop(open);
        while mock::ACTIVE.load(Ordering::SeqCst) > 0 && left.elapsed() < Duration::from_secs(10) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        println!("upstream streams still open {}: all gone after {} ms", mock::ACTIVE.load(Ordering::SeqCst), left.elapsed().as_millis());
        println!("peak resident after all of it: {:.1} MiB", peak(&after.pids()));
    }
}

fn peak(pids: &[u32]) -> f64 {
    let status = fs::read_to_string(format!("/proc/{}/status", pids[0])).unwrap_or_default();
    let kib: f64 = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok()).unwrap_or(0.0);
    kib / 1024.0
}
