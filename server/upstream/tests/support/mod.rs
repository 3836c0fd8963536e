//! Attempts to send, and a server that does as it is told.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::StreamExt;
use headworks_core::{Attempt, AuthScheme, Begun, Call, Catalog, DialectName, Event, EventKind, Fault, Host, Key, ModelId, Origin, Quirks, Target, Work};
use headworks_providers::{Door, openai::OpenAiDoor};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

/// An attempt at `target` with an OpenAI request body.
pub fn attempt(target: Arc<Target>, mut body: Value) -> Attempt {
    body["model"] = target.id.to_string().into();
    let body = Bytes::from(body.to_string());
    let request = OpenAiDoor.request(&http::HeaderMap::new(), &body).expect("a good request");
    let tenant = Key { id: "key".into(), name: "test".into(), ..Key::default() };
    let call = Call {
        id: "call".into(),
        tenant: Arc::new(tenant),
        work: Work::Chat(Arc::new(request)),
        deadline: None,
        arrived_unix_nanos: 0,
        origin: Origin::RestChat,
        catalog: Arc::new(Catalog::default()),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        memo: None,
    };
    Attempt { call, target, ordinal: 1 }
}

/// A streamed question.
pub fn question() -> Value {
    json!({ "messages": [{ "role": "user", "content": "hello" }], "stream": true })
}

pub fn host(base_url: String, auth: AuthScheme) -> Host {
    Host {
        id: "fake".into(),
        name: "Fake".into(),
        dialect: Some(DialectName::OpenAi),
        dialect_word: "openai-chat".into(),
        base_url: base_url.into(),
        auth,
        key_env: vec!["FAKE_API_KEY".into()],
        regions: Vec::new(),
        reseller: false,
        quirks: Quirks::default(),
        options: Default::default(),
        configured: true,
    }
}

pub fn target(host: Host) -> Arc<Target> {
    Arc::new(Target {
        id: ModelId::new(host.id.clone(), "model"),
        dialect: host.dialect,
        host: Arc::new(host),
        model: None,
        upstream_name: "model".into(),
        known: false,
    })
}

/// The built-in target `sandbox/NAME`.
pub fn sandbox(name: &str) -> Arc<Target> {
    let catalog = headworks_providers::catalog::load(&BTreeMap::new(), &|_: &str| None).expect("the catalogue");
    catalog.target(&format!("sandbox/{name}")).expect("the sandbox")
}

/// Everything an answer holds, and how it ended.
pub async fn all(begun: Begun) -> (Vec<Event>, Option<Fault>) {
    let (mut events, mut stream) = (Vec::new(), begun.events);
    while let Some(batch) = stream.next().await {
        match batch {
            Ok(batch) => events.extend(batch.events),
            Err(fault) => return (events, Some(fault)),
        }
    }
    (events, None)
}

pub fn text(events: &[Event]) -> String {
    let texts = events.iter().filter_map(|event| match &event.kind {
        EventKind::Text(text) if event.choice == 0 => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}

/// What the server does with one request.
#[derive(Clone)]
pub enum Act {
    Send(Vec<u8>),
    /// These bytes, one write each.
    Dribble(Vec<u8>),
    Sleep(u64),
    Reset,
    Close,
}

/// What the server saw.
#[derive(Debug, PartialEq)]
pub enum Seen {
    Connected,
    Request(String),
    Closed,
}

pub struct Server {
    pub addr: SocketAddr,
    pub seen: mpsc::UnboundedReceiver<Seen>,
}

impl Server {
    /// Answers the first request with the first script, and so on; the last again and again.
    pub async fn start(scripts: Vec<Vec<Act>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (tell, seen) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let served = Arc::new(std::sync::atomic::AtomicUsize::new(0));
            while let Ok((socket, _)) = listener.accept().await {
                tell.send(Seen::Connected).ok();
                tokio::spawn(serve(socket, scripts.clone(), served.clone(), tell.clone()));
            }
        });
        Self { addr, seen }
    }

    pub fn url(&self) -> String {
        format!("http://{}/v1", self.addr)
    }

    pub async fn next(&mut self) -> Seen {
        tokio::time::timeout(Duration::from_secs(5), self.seen.recv()).await.expect("something happens").unwrap()
    }

    pub async fn request(&mut self) -> String {
        match self.next().await {
            Seen::Request(request) => request,
            other => panic!("a request was due, not {other:?}"),
        }
    }
}

async fn serve(mut socket: TcpStream, scripts: Vec<Vec<Act>>, served: Arc<std::sync::atomic::AtomicUsize>, tell: mpsc::UnboundedSender<Seen>) {
    socket.set_nodelay(true).unwrap();
    while let Some(request) = read_request(&mut socket).await {
        tell.send(Seen::Request(request)).ok();
        let nth = served.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        for act in scripts.get(nth).or(scripts.last()).unwrap() {
            match act {
                Act::Send(bytes) => drop(socket.write_all(bytes).await),
                Act::Dribble(bytes) => {
                    for byte in bytes {
                        socket.write_all(&[*byte]).await.ok();
                        tokio::task::yield_now().await;
                    }
                }
                Act::Sleep(ms) => tokio::time::sleep(Duration::from_millis(*ms)).await,
                Act::Reset => {
                    socket.set_zero_linger().unwrap();
                    return;
                }
                Act::Close => return,
            }
        }
    }
    tell.send(Seen::Closed).ok();
}

/// Head and body as text; `None` when the client is gone.
async fn read_request(socket: &mut TcpStream) -> Option<String> {
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some(end) = text.find("\r\n\r\n") {
            let length = text.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if text.len() >= end + 4 + length.unwrap_or(0) {
                return Some(text);
            }
        }
        let mut buffer = [0; 4096];
        match socket.read(&mut buffer).await {
            Ok(count) if count > 0 => read.extend_from_slice(&buffer[..count]),
            _ => return None,
        }
    }
}

/// The head of a chunked event stream.
pub fn sse_head() -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".to_vec()
}

/// One HTTP chunk.
pub fn chunk(data: &str) -> Vec<u8> {
    format!("{:x}\r\n{data}\r\n", data.len()).into_bytes()
}

/// An SSE frame of one delta.
pub fn delta(text: &str, finish: Option<&str>) -> String {
    let choice = json!({ "index": 0, "delta": { "content": text }, "finish_reason": finish });
    let body = json!({ "id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m-1", "choices": [choice] });
    format!("data: {body}\n\n")
}

/// A short good stream: "grüße 🌍".
pub fn good() -> Vec<Act> {
    let mut bytes = sse_head();
    for data in [delta("grüße", None), delta(" 🌍", None), delta("", Some("stop")), "data: [DONE]\n\n".to_owned()] {
        bytes.extend(chunk(&data));
    }
    bytes.extend(b"0\r\n\r\n");
    vec![Act::Send(bytes)]
}

/// An answer with a length.
pub fn reply(status: &str, headers: &str, body: &str) -> Vec<Act> {
    let length = body.len();
    vec![Act::Send(format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n{headers}\r\n{body}").into_bytes())]
}
