//! The suite against a real server, started here and stopped after.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use super::*;

/// A PostgreSQL server of our own in a temporary folder.
struct Server {
    bin: PathBuf,
    folder: tempfile::TempDir,
    port: u16,
}

/// PostgreSQL does not run as root; then the package's own user runs it.
fn as_user(program: &Path) -> Command {
    let root = Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout == b"0\n");
    if root {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

impl Server {
    fn start() -> Option<Self> {
        let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
        let bin = versions.flatten().map(|v| v.path().join("bin")).find(|bin| bin.join("initdb").is_file())?;
        let folder = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Command::new("chmod").arg("777").arg(folder.path()).status().unwrap();
        let data = folder.path().join("data");
        let ran = as_user(&bin.join("initdb")).args(["-A", "trust", "-U", "headworks", "-D"]).arg(&data).current_dir("/").output().unwrap();
        assert!(ran.status.success(), "initdb: {}", String::from_utf8_lossy(&ran.stderr));
        let options = format!("-p {port} -k {} -c listen_addresses=127.0.0.1", folder.path().display());
        let log = folder.path().join("log");
        let ran = as_user(&bin.join("pg_ctl"))
            .args(["-w", "-t", "60", "-o", &options, "-l"])
            .arg(&log)
            .arg("-D")
            .arg(&data)
            .arg("start")
            .current_dir("/")
            .status()
            .unwrap();
        assert!(ran.success(), "pg_ctl: {}", std::fs::read_to_string(log).unwrap_or_default());
        Some(Self { bin, folder, port })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = as_user(&self.bin.join("pg_ctl")).args(["-m", "immediate", "-D"]).arg(self.folder.path().join("data")).arg("stop").current_dir("/").output();
        // The files belong to the user that ran the server.
        let _ = as_user(Path::new("/bin/rm")).arg("-rf").arg(self.folder.path().join("data")).current_dir("/").status();
    }
}

#[tokio::test]
async fn postgresql_is_a_store() {
    let Some(server) = Server::start() else {
        println!("SKIPPED: PostgreSQL is not installed (Debian: apt-get install postgresql)");
        return;
    };
    let count = AtomicU32::new(0);
    crate::suite::run(|| {
        let name = format!("suite{}", count.fetch_add(1, Ordering::Relaxed));
        let port = server.port;
        async move {
            let admin = client(&format!("host=127.0.0.1 port={port} user=headworks dbname=postgres")).await.unwrap();
            admin.batch_execute(&format!("create database {name}")).await.unwrap();
            let url = format!("host=127.0.0.1 port={port} user=headworks dbname={name}");
            Arc::new(PostgresStore::connect(&url).await.unwrap()) as Arc<dyn Store>
        }
    })
    .await;
}
