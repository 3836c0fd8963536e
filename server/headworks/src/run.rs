//! The commands.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{BufReader, BufWriter, Write},
    path::Path,
};

use headworks_edge as edge;
use headworks_store::{SledStore, Workers};
use tokio::{
    runtime::{Builder, Runtime},
    sync::watch,
};

use crate::{config::Config, telemetry, wire};

type Env = BTreeMap<String, String>;

/// `headworks check-config FILE`.
pub fn check_config(file: &Path, env: &Env) -> Result<(), String> {
    let (config, _) = Config::load(Some(file), env).map_err(|error| error.to_string())?;
    headworks_providers::catalog::load(&config.providers, &|name| env.get(name).cloned()).map_err(|error| format!("{}: {error}", file.display()))?;
    println!("{}: ok", file.display());
    Ok(())
}

fn runtime() -> Result<Runtime, String> {
    build(&mut Builder::new_multi_thread())
}

fn build(builder: &mut Builder) -> Result<Runtime, String> {
    builder.enable_all().build().map_err(|error| format!("no runtime: {error}"))
}

fn persistent(config: &Config) -> Result<(), String> {
    if config.store.url.starts_with("memory:") {
        return Err("store.url is memory: and holds nothing between runs".to_owned());
    }
    Ok(())
}

/// `headworks export FILE`.
pub fn export(named: Option<&Path>, file: &Path, env: &Env) -> Result<(), String> {
    let (config, _) = Config::load(named, env).map_err(|error| error.to_string())?;
    persistent(&config)?;
    let name = file.display();
    let store = wire::store(&config)?;
    let out = OpenOptions::new().write(true).create_new(true).open(file).map_err(|error| format!("{name}: {error}"))?;
    let mut out = BufWriter::new(out);
    let count = runtime()?.block_on(headworks_store::export(&*store, &mut out)).map_err(|error| error.to_string())?;
    out.into_inner().map_err(|error| error.to_string())?.sync_all().map_err(|error| format!("{name}: {error}"))?;
    println!("{count} values written to {name}");
    Ok(())
}

/// `headworks import FILE`.
pub fn import(named: Option<&Path>, file: &Path, env: &Env) -> Result<(), String> {
    let (config, _) = Config::load(named, env).map_err(|error| error.to_string())?;
    persistent(&config)?;
    let name = file.display();
    let input = File::open(file).map_err(|error| format!("{name}: {error}"))?;
    let store = wire::store(&config)?;
    let count = runtime()?.block_on(headworks_store::import(&*store, &mut BufReader::new(input))).map_err(|error| format!("{name}: {error}"))?;
    println!("{count} values read from {name}");
    Ok(())
}

/// `headworks compact`: a new folder is written beside the old one, then takes its place.
pub fn compact(named: Option<&Path>, env: &Env) -> Result<(), String> {
    let (config, _) = Config::load(named, env).map_err(|error| error.to_string())?;
    let Some(("sled", path)) = config.store.url.split_once(':') else {
        return Err(format!("store.url is {}; only the folder of sled:PATH can be compacted", config.store.url));
    };
    let (folder, fresh, old) = (Path::new(path), format!("{path}.compacting"), format!("{path}.before-compacting"));
    if !folder.is_dir() {
        return Err(format!("{path}: there is no such folder"));
    }
    for other in [&fresh, &old] {
        if Path::new(other).exists() {
            return Err(format!("{other} is there from an earlier run; look at it and move it away first"));
        }
    }
    let before = size(folder);
    let count = {
        let from = SledStore::open(folder).map_err(|error| error.to_string())?;
        let to = SledStore::open(Path::new(&fresh)).map_err(|error| error.to_string())?;
        runtime()?.block_on(headworks_store::copy(&from, &to)).map_err(|error| error.to_string())?
    };
    let moved =
        |from: &Path, to: &Path| std::fs::rename(from, to).map_err(|error| format!("{} cannot be renamed to {}: {error}", from.display(), to.display()));
    moved(folder, Path::new(&old))?;
    moved(Path::new(&fresh), folder)?;
    std::fs::remove_dir_all(&old).map_err(|error| format!("{old} cannot be removed: {error}; it is no longer needed"))?;
    println!("{count} values, {} MiB before, {} MiB now", before >> 20, size(folder) >> 20);
    Ok(())
}

/// Bytes of a folder's files.
fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.metadata().map_or(0, |data| if data.is_dir() { size(&entry.path()) } else { data.len() })).sum()
}

/// `headworks serve`.
pub fn serve(named: Option<&Path>, env: &Env) -> Result<(), String> {
    let (config, file) = Config::load(named, env).map_err(|error| error.to_string())?;
    telemetry::start(&config.log)?;
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        return Err("TLS is set up already".to_owned());
    }
    let mut builder = Builder::new_multi_thread();
    let workers = Workers::of(&mut builder);
    build(&mut builder)?.block_on(async {
        // Ports first: a second gateway started by mistake must not touch the first one's folder.
        let listener = edge::bind("listen", &config.server.listen).await.map_err(|error| error.to_string())?;
        let admin = match config.server.admin_listen.as_str() {
            "" => None,
            address => Some(edge::bind("admin_listen", address).await.map_err(|error| error.to_string())?),
        };
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let gateway = wire::gateway(&config, env, workers).await?;
        let source = file.map_or_else(|| "defaults".to_owned(), |path| path.display().to_string());
        tracing::info!(%address, config = %source, store = %config.store.url, "headworks {} serves gRPC, gRPC-Web and REST", env!("CARGO_PKG_VERSION"));
        welcome(&address.to_string(), gateway.first_secret.as_deref(), &config.admin.key_env);

        let (stop, stopped) = watch::channel(false);
        let told = |mut stopped: watch::Receiver<bool>| async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        let app = gateway.app;
        let public = tokio::spawn(edge::serve(listener, edge::public(&app), app.clone(), told(stopped.clone())));
        let admin = admin.map(|listener| tokio::spawn(edge::serve(listener, edge::admin(&app), app.clone(), told(stopped.clone()))));
        signalled().await?;
        tracing::info!(calls = app.shared.running.len(), "stopping: calls under way may finish");
        let _ = stop.send(true);
        let _ = public.await;
        if let Some(admin) = admin {
            let _ = admin.await;
        }
        gateway.ledger.flush().await.map_err(|error| error.to_string())?;
        // While there still is a runtime to write with; what has just landed is counted at the next start.
        if let Err(error) = app.rollups.write(headworks_engine::unix_seconds()).await {
            tracing::warn!(%error, "the last sums over calls could not be written; they are made at the next start");
        }
        tracing::info!("stopped");
        Ok(())
    })
}

/// What a person who started the gateway needs next. On standard output, apart from the log.
fn welcome(address: &str, secret: Option<&str>, key_env: &str) {
    let mut out = std::io::stdout().lock();
    let key = secret.map_or_else(|| format!("${key_env}"), str::to_owned);
    // A closed standard output is no reason not to serve.
    let _ = writeln!(out, "Headworks listens on http://{address} (gRPC, gRPC-Web and REST)");
    if let Some(secret) = secret {
        let _ = writeln!(out, "Admin key, shown this once: {secret}");
    }
    let _ = writeln!(
        out,
        "Try it:\n  curl http://{address}/v1/chat/completions -H \"authorization: Bearer {key}\" -H 'content-type: application/json' \
         -d '{{\"model\":\"sandbox/echo\",\"messages\":[{{\"role\":\"user\",\"content\":\"Hello, Headworks!\"}}]}}'"
    );
    let _ = out.flush();
}

async fn signalled() -> Result<(), String> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
