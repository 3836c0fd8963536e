//! What accounting costs: a gateway that counts and limits all it can beside one that keeps nothing, in the same run.

use std::{collections::BTreeMap, fs, io, os::unix::fs::FileExt, path::Path, time::Instant};

use headworks_api::v1;

use crate::{
    Options,
    admin::Admin,
    load::{self, Run},
    mock,
    server::{body, headworks, median},
};

/// (scenario, callers, streamed)
const SCENARIOS: [(&str, usize, bool); 4] = [("c1", 1, false), ("c32", 32, false), ("c256", 256, false), ("stream16", 16, true)];
/// What is compared: all, each half alone, nothing.
const SYSTEMS: [&str; 4] = ["on", "ledger", "limits", "off"];
/// The bar: at least this share of the answers of a gateway that keeps nothing.
const BAR: f64 = 0.85;

/// Hard budgets and rate limits that are never met, so that every call takes the whole way through them.
async fn limited(admin: &Admin) -> String {
    let budget = || Some(v1::Budget { limit_nano_usd: i64::MAX / 4, window: v1::BudgetWindow::Month as i32, ..v1::Budget::default() });
    let most = || Some(1_000_000_000_000);
    let group = |name: &str, parent: String| v1::Group {
        name: name.to_owned(),
        parent,
        budget: budget(),
        requests_per_minute: most(),
        tokens_per_minute: most(),
        concurrent_calls: most(),
        ..v1::Group::default()
    };
    let organisation = admin.group(group("organisation", String::new())).await;
    let team = admin.group(group("team", organisation)).await;
    let key = v1::Key {
        name: "limited".to_owned(),
        group: team,
        budget: budget(),
        requests_per_minute: most(),
        tokens_per_minute: most(),
        concurrent_calls: most(),
        ..v1::Key::default()
    };
    admin.key(key).await
}

/// Measures and prints.
pub async fn run(options: &Options) {
    let (time, repetitions) = options.length();
    // Short turns, and more of them: what else runs on a machine changes within seconds.
    let (time, repetitions) = (time / 4, repetitions * 4);
    let folder = tempfile::tempdir().expect("a folder");
    let mock = mock::serve().await.expect("the upstream");
    let on = headworks(folder.path(), "on", mock, "after").await;
    let off = headworks(folder.path(), "memory", mock, "after").await;
    let (admin, other) = (Admin::at(on.port), Admin::at(off.port));
    let free = || v1::Key { name: "free".to_owned(), ..v1::Key::default() };
    let keys = [limited(&admin).await, admin.key(free()).await, limited(&other).await, other.key(free()).await];
    let servers = [&on, &on, &off, &off];
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("on: key, team and organisation each with a hard budget and limits of requests, tokens and calls at once; every intent and record on disk");
    println!("ledger: the same store, a key without limits. limits: a store in memory, the same budgets and limits");
    println!("off: a store in memory, a key without limits. {repetitions} repetitions in turns; load of the machine before: {}", load.trim());
    match disk(folder.path()) {
        Ok((cpu, wall)) => println!("the disk's part of a commit, alone: {cpu:.0} us of CPU, {wall:.0} us until it is done"),
        Err(error) => println!("the disk's part of a commit could not be measured: {error}"),
    }
    println!("| scenario | accounting | answers/s | CPU us per answer | p50 ms | p99 ms | errors |");
    println!("| --- | --- | ---: | ---: | ---: | ---: | ---: |");
    for (name, callers, streamed) in SCENARIOS.into_iter().filter(|scenario| options.wanted(scenario.0)) {
        let mut runs: BTreeMap<&str, Vec<Run>> = BTreeMap::new();
        let (mut answers, mut cpu) = (Vec::new(), Vec::new());
        for repetition in 0..repetitions {
            let mut turns: Vec<_> = SYSTEMS.into_iter().zip(servers).zip(&keys).collect();
            // Whoever is first meets the machine as the last one left it.
            turns.rotate_left(repetition % SYSTEMS.len());
            for ((system, server), key) in turns {
                let ask = load::request("/v1/chat/completions", key, &body("openai/gpt-4o", streamed));
                let run = load::rest(server.port, &ask, callers, time, &server.pids()).await;
                runs.entry(system).or_default().push(run);
            }
            let last = |system: &str| runs[system].last().expect("a run");
            answers.push(rate(last("on")) / rate(last("off")));
            cpu.push(cost(last("on")) / cost(last("off")));
        }
        for (system, runs) in SYSTEMS.iter().filter_map(|system| Some((system, runs.get(system)?))) {
            let of = |f: &dyn Fn(&Run) -> f64| median(&mut runs.iter().map(f).collect::<Vec<_>>());
            println!(
                "| {name} | {system} | {:.0} | {:.1} | {:.2} | {:.2} | {} |",
                of(&rate),
                of(&cost),
                of(&|run| run.latency(50)),
                of(&|run| run.latency(99)),
                runs.iter().map(|run| run.errors).sum::<u64>()
            );
        }
        let (answers, cpu) = (median(&mut answers), median(&mut cpu));
        println!("| {name} | on / off | {answers:.3} | {cpu:.3} | | | {} |", if answers >= BAR { "within 15 %" } else { "not within 15 %" });
    }
}

/// CPU and wall time of a write of 4 KiB with `fdatasync` in a file that has its size, microseconds: it differs more from
/// machine to machine than all the rest.
fn disk(folder: &Path) -> io::Result<(f64, f64)> {
    const ROUNDS: u64 = 1000;
    let file = fs::File::create(folder.join("disk"))?;
    let page = [1; 4096];
    for at in 0..ROUNDS {
        file.write_all_at(&page, at * 4096)?;
    }
    file.sync_all()?;
    let (cpu, began) = (thread_nanos()?, Instant::now());
    for at in 0..ROUNDS {
        file.write_all_at(&page, at * 4096)?;
        file.sync_data()?;
    }
    let micros = |nanos: f64| nanos / 1e3 / ROUNDS as f64;
    Ok((micros((thread_nanos()? - cpu) as f64), micros(began.elapsed().as_nanos() as f64)))
}

/// CPU time of this thread; `load::cpu` counts in hundredths of a second, too coarse for so short a time.
fn thread_nanos() -> io::Result<u64> {
    let stat = fs::read_to_string("/proc/thread-self/schedstat")?;
    stat.split_whitespace().next().and_then(|nanos| nanos.parse().ok()).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn rate(run: &Run) -> f64 {
    run.answers as f64 / run.seconds.max(1e-9)
}

fn cost(run: &Run) -> f64 {
    1e6 * run.cpu / run.answers.max(1) as f64
}
