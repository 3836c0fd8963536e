//! Measures the gateway beside nginx and the bare upstream, in one run on two
//! cores: the measured process on one, the upstream and the callers on the other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod load;
mod mock;

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use load::Run;

const KEY: &str = "hw-bench-admin-key-0123456789";

/// A process under measurement.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn pids(&self) -> Vec<u32> {
        let id = self.child.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        std::iter::once(id).chain(children.split_whitespace().filter_map(|pid| pid.parse().ok())).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address").port()
}

/// On core 0, away from the callers.
fn pinned(program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(program).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

async fn up(port: u16) {
    for _ in 0..200 {
        if load::connect(port).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nothing listens on port {port}");
}

async fn nginx(folder: &Path, mock: u16, broken: u16) -> Server {
    let (port, dir) = (free_port(), folder.display());
    let conf = format!(
        "worker_processes 1; daemon off; pid {dir}/nginx.pid; error_log /dev/null;\nevents {{ worker_connections 4096; }}\nhttp {{\n\
         access_log off; client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;\n\
         keepalive_requests 1000000; tcp_nodelay on;\n\
         upstream mock {{ server 127.0.0.1:{mock}; keepalive 512; keepalive_requests 1000000; }}\n\
         upstream chain {{ server 127.0.0.1:{broken} max_fails=0; server 127.0.0.1:{mock} backup; keepalive 64; }}\n\
         server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://mock; proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_buffering off; }}\n\
         location /failover/ {{ rewrite ^ /v1/chat/completions break; proxy_pass http://chain; proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_next_upstream error http_500 non_idempotent; }} }}\n}}\n"
    );
    fs::write(folder.join("nginx.conf"), conf).expect("nginx.conf");
    let program = ["/usr/sbin/nginx", "/usr/bin/nginx"].iter().map(Path::new).find(|p| p.exists()).expect("nginx (Debian: nginx-light)");
    let child = pinned(program).arg("-c").arg(folder.join("nginx.conf")).arg("-p").arg(folder).spawn().expect("nginx starts");
    up(port).await;
    Server { child, port }
}

async fn headworks(folder: &Path, name: &str, mock: u16, ack: &str) -> Server {
    let port = free_port();
    let store = if name == "memory" { "memory:".to_owned() } else { format!("sled:{}", folder.join(name).display()) };
    let conf = format!(
        "[server]\nlisten = \"127.0.0.1:{port}\"\n[store]\nurl = \"{store}\"\n[ledger]\nack = \"{ack}\"\n[engine]\nbreaker_failures = 1000000000\n[log]\nlevel = \"error\"\n\
         [providers.openai]\nbase_url = \"http://127.0.0.1:{mock}/v1\"\napi_key_env = \"BENCH_KEY\"\n\
         [providers.anthropic]\nbase_url = \"http://127.0.0.1:{mock}\"\napi_key_env = \"BENCH_KEY\"\n"
    );
    let file = folder.join(format!("{name}.toml"));
    fs::write(&file, conf).expect("configuration");
    let program = std::env::var("HEADWORKS_BIN").unwrap_or_else(|_| "target/release/headworks".to_owned());
    let child = pinned(Path::new(&program))
        .arg("--config")
        .arg(&file)
        .env("HEADWORKS_ADMIN_KEY", KEY)
        .env("BENCH_KEY", "sk-bench")
        .spawn()
        .expect("target/release/headworks starts; build it first");
    up(port).await;
    Server { child, port }
}

fn body(model: &str, streamed: bool) -> String {
    let stream = if streamed { r#","stream":true"# } else { "" };
    format!(
        r#"{{"model":"{model}"{stream},"messages":[{{"role":"system","content":"You are a helpful assistant that answers in a few sentences."}},{{"role":"user","content":"Write something about the weather in Zürich, in a few sentences."}}],"temperature":0.7}}"#
    )
}

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

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let quick = arguments.iter().any(|a| a == "--quick");
    let only: Vec<String> = arguments
        .iter()
        .position(|a| a == "--only")
        .and_then(|at| arguments.get(at + 1))
        .map_or_else(Vec::new, |list| list.split(',').map(str::to_owned).collect());
    let (time, repetitions) = if quick { (Duration::from_secs(2), 1) } else { (Duration::from_secs(4), 3) };
    let wanted = |name: &str| only.is_empty() || only.iter().any(|o| o == name);
    let _ = Command::new("taskset").args(["-cp", "1", &std::process::id().to_string()]).stdout(Stdio::null()).status();
    if !arguments.iter().any(|a| a == "--sleepy") {
        // A peer on another machine is not woken by the sender. One that sleeps on the other core is, by an interrupt
        // that costs the sender as much as the rest of the write, and the more the faster the peer: so it stays awake.
        tokio::spawn(async {
            loop {
                tokio::task::yield_now().await;
            }
        });
    }
    let folder = tempfile::tempdir().expect("a folder");
    let broken = mock::serve(true).await.expect("the broken upstream");
    let mock = mock::serve(false).await.expect("the upstream");

    // Fresh, before anything else: at rest.
    let after = headworks(folder.path(), "after", mock, "after").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let rest = load::resident(&after.pids());
    let nginx = nginx(folder.path(), mock, broken).await;
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
    if wanted("failover") {
        let good = load::request("/v1/chat/completions", KEY, &body("openai/gpt-4o", false));
        let bad = load::request("/v1/chat/completions", KEY, &body("openai/err500", false).replacen('{', r#"{"models":["openai/gpt-4o"],"#, 1));
        let detour = load::request("/failover/x", KEY, &body("x", false));
        let mut added: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for _ in 0..repetitions {
            for (system, server, failing) in [("nginx", &nginx, &detour), ("headworks", &after, &bad)] {
                let plain = load::rest(server.port, &good, 1, time / 2, &server.pids()).await;
                let over = load::rest(server.port, failing, 1, time / 2, &server.pids()).await;
                assert_eq!(over.errors, 0, "{system}: a failover was not answered");
                added.entry(system).or_default().push(over.latency(50) - plain.latency(50));
            }
        }
        for (system, mut values) in added {
            println!("failover, {system}: {:.3} ms added (p50, median of {repetitions})", median(&mut values));
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
