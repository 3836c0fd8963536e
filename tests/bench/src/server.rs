//! The processes that are measured.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::load;

/// The admin key of every gateway that is started.
pub const KEY: &str = "hw-bench-admin-key-0123456789";

/// A process under measurement.
pub struct Server {
    /// It.
    pub child: Child,
    /// Where it listens.
    pub port: u16,
}

impl Server {
    /// It and its children.
    pub fn pids(&self) -> Vec<u32> {
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

/// A port that nobody listens at.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address").port()
}

/// On core 0, away from the callers.
pub fn pinned(program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(program).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Waits until somebody listens.
pub async fn up(port: u16) {
    for _ in 0..200 {
        if load::connect(port).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nothing listens on port {port}");
}

/// A plain reverse proxy. At `/NAME/` for each of `chains`, a server that fails comes before the upstream.
pub async fn nginx(folder: &Path, mock: u16, chains: &[(&str, u16)]) -> Server {
    let (port, dir) = (free_port(), folder.display());
    let tried = |(name, fails): &(&str, u16)| {
        let upstream = format!("upstream {name} {{ server 127.0.0.1:{fails} max_fails=0; server 127.0.0.1:{mock} backup; keepalive 64; }}\n");
        let location = format!(
            "location /{name}/ {{ rewrite ^ /v1/chat/completions break; proxy_pass http://{name}; proxy_http_version 1.1; proxy_set_header Connection \"\"; \
             proxy_next_upstream error http_500 http_429 non_idempotent; add_header x-upstreams $upstream_addr; }}\n"
        );
        (upstream, location)
    };
    let (upstreams, locations): (String, String) = chains.iter().map(tried).unzip();
    let conf = format!(
        "worker_processes 1; daemon off; pid {dir}/nginx.pid; error_log /dev/null;\nevents {{ worker_connections 4096; }}\nhttp {{\n\
         access_log off; client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;\n\
         keepalive_requests 1000000; tcp_nodelay on;\n\
         upstream mock {{ server 127.0.0.1:{mock}; keepalive 512; keepalive_requests 1000000; }}\n\
         {upstreams}\
         server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://mock; proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_buffering off; }}\n\
         {locations} }}\n}}\n"
    );
    fs::write(folder.join("nginx.conf"), conf).expect("nginx.conf");
    let program = ["/usr/sbin/nginx", "/usr/bin/nginx"].iter().map(Path::new).find(|p| p.exists()).expect("nginx (Debian: nginx-light)");
    let child = pinned(program).arg("-c").arg(folder.join("nginx.conf")).arg("-p").arg(folder).spawn().expect("nginx starts");
    up(port).await;
    Server { child, port }
}

/// A gateway with a store of its own in `folder`, ready to answer.
pub async fn headworks(folder: &Path, name: &str, mock: u16, ack: &str) -> Server {
    headworks_with(folder, name, mock, ack, "").await
}

/// The same, with `more` in its configuration: lines of `[engine]`, then tables.
pub async fn headworks_with(folder: &Path, name: &str, mock: u16, ack: &str, more: &str) -> Server {
    let server = launch_with(folder, name, mock, ack, more);
    up(server.port).await;
    server
}

/// A gateway that is not waited for.
pub fn launch(folder: &Path, name: &str, mock: u16, ack: &str) -> Server {
    launch_with(folder, name, mock, ack, "")
}

fn launch_with(folder: &Path, name: &str, mock: u16, ack: &str, more: &str) -> Server {
    let port = free_port();
    let store = if name == "memory" { "memory:".to_owned() } else { format!("sled:{}", folder.join(name).display()) };
    let conf = format!(
        "[server]\nlisten = \"127.0.0.1:{port}\"\n[store]\nurl = \"{store}\"\n[ledger]\nack = \"{ack}\"\n[log]\nlevel = \"error\"\n\
         [providers.openai]\nbase_url = \"http://127.0.0.1:{mock}/v1\"\napi_key_env = \"BENCH_KEY\"\n\
         [providers.anthropic]\nbase_url = \"http://127.0.0.1:{mock}\"\napi_key_env = \"BENCH_KEY\"\n\
         [engine]\nbreaker_failures = 1000000000\n{more}"
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
    Server { child, port }
}

/// A short chat.
pub fn body(model: &str, streamed: bool) -> String {
    let stream = if streamed { r#","stream":true"# } else { "" };
    format!(
        r#"{{"model":"{model}"{stream},"messages":[{{"role":"system","content":"You are a helpful assistant that answers in a few sentences."}},{{"role":"user","content":"Write something about the weather in Zürich, in a few sentences."}}],"temperature":0.7}}"#
    )
}

/// The middle one.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
