//! A closed loop of callers that costs little itself.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use headworks_api::v1;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// What a run gave.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// Answers that were good.
    pub answers: u64,
    /// Pieces of streams in them.
    pub chunks: u64,
    /// Seconds of CPU that the measured processes took.
    pub cpu: f64,
    /// Latencies, sorted, microseconds.
    pub micros: Vec<u64>,
    /// Calls that were not good.
    pub errors: u64,
    /// Wall seconds.
    pub seconds: f64,
}

impl Run {
    /// A percentile of latency, milliseconds.
    pub fn latency(&self, percent: usize) -> f64 {
        let at = (self.micros.len() * percent / 100).min(self.micros.len().saturating_sub(1));
        self.micros.get(at).map_or(0.0, |m| *m as f64 / 1000.0)
    }
}

/// Seconds of CPU of a process and its children.
pub fn cpu(pids: &[u32]) -> f64 {
    let ticks: u64 = pids
        .iter()
        .filter_map(|pid| std::fs::read_to_string(format!("/proc/{pid}/stat")).ok())
        .filter_map(|stat| {
            let rest: Vec<u64> = stat.rsplit(')').next()?.split_whitespace().skip(11).take(2).filter_map(|n| n.parse().ok()).collect();
            Some(rest.iter().sum::<u64>())
        })
        .sum();
    ticks as f64 / 100.0
}

/// Resident memory of processes, KiB.
pub fn resident(pids: &[u32]) -> u64 {
    pids.iter()
        .filter_map(|pid| std::fs::read_to_string(format!("/proc/{pid}/status")).ok())
        .filter_map(|status| status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<u64>().ok()))
        .sum()
}

/// One HTTP/1.1 request, ready to be sent again and again.
pub fn request(path: &str, key: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Connects without delay.
pub async fn connect(port: u16) -> io::Result<TcpStream> {
    let socket = TcpStream::connect(("127.0.0.1", port)).await?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len()).position(|window| window == word)
}

/// Sends and reads one answer; says how many `data:` pieces it held, or `None` where it was not good.
pub async fn call(socket: &mut TcpStream, request: &[u8], buffer: &mut Vec<u8>) -> io::Result<Option<u64>> {
    socket.write_all(request).await?;
    buffer.clear();
    let mut head_end = None;
    let mut length = None;
    loop {
        if socket.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if head_end.is_none() {
            head_end = find(buffer, b"\r\n\r\n").map(|at| at + 4);
            if let Some(end) = head_end {
                let head = String::from_utf8_lossy(&buffer[..end]).to_lowercase();
                length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
            }
        }
        let Some(end) = head_end else { continue };
        let whole = match length {
            Some(length) => buffer.len() >= end + length,
            None => buffer.ends_with(b"0\r\n\r\n"),
        };
        if whole {
            let good = buffer.starts_with(b"HTTP/1.1 200");
            let chunks = if length.is_none() { buffer.windows(6).filter(|w| w == b"data: ").count() as u64 } else { 0 };
            return Ok(good.then_some(chunks));
        }
    }
}

/// `count` callers, each with a connection of its own, for `time`.
pub async fn rest(port: u16, request: &[u8], count: usize, time: Duration, pids: &[u32]) -> Run {
    let stop = Arc::new(AtomicBool::new(false));
    let warm = Arc::new(AtomicBool::new(true));
    let callers: Vec<_> = (0..count)
        .map(|_| {
            let (stop, warm, request) = (stop.clone(), warm.clone(), request.to_vec());
            tokio::spawn(async move {
                let mut run = Run::default();
                let mut buffer = Vec::with_capacity(64 << 10);
                let Ok(mut socket) = connect(port).await else { return run };
                while !stop.load(Ordering::Relaxed) {
                    let began = Instant::now();
                    let result = call(&mut socket, &request, &mut buffer).await;
                    if warm.load(Ordering::Relaxed) {
                        continue;
                    }
                    match result {
                        Ok(Some(chunks)) => {
                            run.answers += 1;
                            run.chunks += chunks;
                            run.micros.push(began.elapsed().as_micros() as u64);
                        }
                        Ok(None) => run.errors += 1,
                        Err(_) => {
                            run.errors += 1;
                            match connect(port).await {
                                Ok(fresh) => socket = fresh,
                                Err(_) => return run,
                            }
                        }
                    }
                }
                run
            })
        })
        .collect();
    measure(callers, &stop, &warm, time, pids).await
}

async fn measure(callers: Vec<tokio::task::JoinHandle<Run>>, stop: &AtomicBool, warm: &AtomicBool, time: Duration, pids: &[u32]) -> Run {
    tokio::time::sleep(time / 4).await;
    warm.store(false, Ordering::Relaxed);
    let (before, began) = (cpu(pids), Instant::now());
    tokio::time::sleep(time).await;
    let mut total = Run { cpu: cpu(pids) - before, seconds: began.elapsed().as_secs_f64(), ..Run::default() };
    stop.store(true, Ordering::Relaxed);
    for run in join_all(callers).await.into_iter().flatten() {
        total.answers += run.answers;
        total.chunks += run.chunks;
        total.errors += run.errors;
        total.micros.extend(run.micros);
    }
    total.micros.sort_unstable();
    total
}

/// The same through the gRPC door; streams where `streamed`.
pub async fn grpc(port: u16, key: &str, model: &str, streamed: bool, count: usize, time: Duration, pids: &[u32]) -> Run {
    let stop = Arc::new(AtomicBool::new(false));
    let warm = Arc::new(AtomicBool::new(true));
    let Ok(endpoint) = tonic::transport::Endpoint::from_shared(format!("http://127.0.0.1:{port}")) else { return Run::default() };
    let channel = endpoint.tcp_nodelay(true).connect_lazy();
    let counted = Arc::new(AtomicU64::new(0));
    let callers: Vec<_> = (0..count)
        .map(|_| {
            let (stop, warm, channel, counted) = (stop.clone(), warm.clone(), channel.clone(), counted.clone());
            let (key, model) = (format!("Bearer {key}"), model.to_owned());
            tokio::spawn(async move {
                let mut run = Run::default();
                while !stop.load(Ordering::Relaxed) {
                    let began = Instant::now();
                    let part = v1::Part {
                        kind: Some(v1::part::Kind::Text("Write something about the weather in Zürich, in a few sentences.".to_owned())),
                        cache_control: None,
                    };
                    let message = v1::Message { role: v1::Role::User as i32, parts: vec![part], name: String::new() };
                    let chat = Some(v1::Chat { model: model.clone(), messages: vec![message], ..v1::Chat::default() });
                    let chunks = one(channel.clone(), chat, &key, streamed).await;
                    if warm.load(Ordering::Relaxed) {
                        continue;
                    }
                    match chunks {
                        Some(chunks) => {
                            counted.fetch_add(chunks, Ordering::Relaxed);
                            run.answers += 1;
                            run.chunks += chunks;
                            run.micros.push(began.elapsed().as_micros() as u64);
                        }
                        None => run.errors += 1,
                    }
                }
                run
            })
        })
        .collect();
    measure(callers, &stop, &warm, time, pids).await
}

async fn one(channel: tonic::transport::Channel, chat: Option<v1::Chat>, key: &str, streamed: bool) -> Option<u64> {
    fn with<T>(key: &str, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        if let Ok(value) = key.parse() {
            request.metadata_mut().insert("authorization", value);
        }
        request
    }
    if !streamed {
        let mut client = v1::chat_service_client::ChatServiceClient::new(channel);
        return client.complete(with(key, v1::CompleteRequest { chat })).await.ok().map(|_| 0);
    }
    let mut client = v1::stream_service_client::StreamServiceClient::new(channel);
    let mut events = client.stream(with(key, v1::StreamRequest { chat })).await.ok()?.into_inner();
    let mut count = 0;
    while let Some(_event) = events.message().await.ok()? {
        count += 1;
    }
    Some(count)
}

/// Opens `count` streams that say one chunk and fall silent; keeps them open.
pub async fn idle(port: u16, request: &[u8], count: usize) -> Vec<TcpStream> {
    let mut open = Vec::with_capacity(count);
    let mut buffer = vec![0; 4096];
    for _ in 0..count {
        let Ok(mut socket) = connect(port).await else { break };
        if socket.write_all(request).await.is_err() {
            break;
        }
        // The first chunk is there: the stream stands.
        match tokio::time::timeout(Duration::from_secs(10), socket.read(&mut buffer)).await {
            Ok(Ok(n)) if n > 0 => open.push(socket),
            _ => break,
        }
    }
    open
}
