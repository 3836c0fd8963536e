//! An upstream that answers at once, by the name of the model.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Either, Full};
use hyper::{
    body::{Body, Frame, Incoming},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, time::Sleep};

/// Most calls to the model `tail` take this long,
pub const USUAL: Duration = Duration::from_millis(10);
/// and of a thousand so many
pub const SLOW_PER_THOUSAND: u64 = 30;
/// so many times as long.
pub const TIMES_SLOWER: u32 = 40;

/// Calls that came to the model `tail`.
pub static CALLS: AtomicU64 = AtomicU64::new(0);

/// Streams being written now.
pub static ACTIVE: AtomicI64 = AtomicI64::new(0);

/// About 1 KB of answer.
const TEXT: &str = "Lorem ipsum dolor sit amet, consetetur sadipscing elitr, sed diam nonumy eirmod tempor invidunt ut labore et dolore magna aliquyam erat, sed diam voluptua. ";

struct Alive;

impl Drop for Alive {
    fn drop(&mut self) {
        ACTIVE.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A stream of chunks, one write each.
pub struct Chunks {
    head: Option<Bytes>,
    chunk: Bytes,
    tail: Option<Bytes>,
    left: u32,
    gap: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
    yielded: bool,
    /// Silence after the first chunk, for good.
    idle: bool,
    _alive: Alive,
}

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        if let Some(head) = this.head.take() {
            return Poll::Ready(Some(Ok(Frame::data(head))));
        }
        if this.idle {
            return Poll::Pending;
        }
        if let Some(sleep) = &mut this.sleep {
            std::task::ready!(sleep.as_mut().poll(cx));
            this.sleep = None;
        } else if !std::mem::replace(&mut this.yielded, true) {
            // One write a chunk: hyper would join what is ready together.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        this.yielded = false;
        if this.left > 0 {
            this.left -= 1;
            if !this.gap.is_zero() {
                this.sleep = Some(Box::pin(tokio::time::sleep(this.gap)));
            }
            return Poll::Ready(Some(Ok(Frame::data(this.chunk.clone()))));
        }
        Poll::Ready(this.tail.take().map(|tail| Ok(Frame::data(tail))))
    }
}

type Answer = Response<Either<Full<Bytes>, Chunks>>;

fn json(status: StatusCode, text: String) -> Answer {
    let mut response = Response::new(Either::Left(Full::new(Bytes::from(text))));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    response
}

/// The slow tail: which call is slow is drawn from its number, so that runs are alike.
async fn tail() {
    let mut drawn = CALLS.fetch_add(1, Ordering::SeqCst).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    drawn = (drawn ^ (drawn >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93) >> 32;
    tokio::time::sleep(if drawn % 1000 < SLOW_PER_THOUSAND { USUAL * TIMES_SLOWER } else { USUAL }).await;
}

async fn answer(request: Request<Incoming>, fails: Option<StatusCode>) -> Result<Answer, Infallible> {
    let path = request.uri().path().to_owned();
    if path == "/stats" {
        return Ok(json(StatusCode::OK, ACTIVE.load(Ordering::SeqCst).to_string()));
    }
    let body = request.into_body().collect().await.map(|b| b.to_bytes()).unwrap_or_default();
    let text = String::from_utf8_lossy(&body);
    if let Some(status) = fails {
        return Ok(json(status, r#"{"error":{"message":"broken","type":"server_error"}}"#.to_owned()));
    }
    if text.contains(r#""model":"tail""#) {
        tail().await;
    }
    let streamed = text.contains(r#""stream":true"#);
    let content = TEXT.repeat(6);
    if path.ends_with("/messages") {
        let usage = r#"{"input_tokens":20,"output_tokens":200}"#;
        if !streamed {
            let answer = format!(
                r#"{{"id":"m","type":"message","role":"assistant","model":"x","content":[{{"type":"text","text":"{content}"}}],"stop_reason":"end_turn","usage":{usage}}}"#
            );
            return Ok(json(StatusCode::OK, answer));
        }
        let head = format!(
            "event: message_start\ndata: {{\"type\":\"message_start\",\"message\":{{\"id\":\"m\",\"model\":\"x\",\"usage\":{usage}}}}}\n\nevent: content_block_start\ndata: {{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{{\"type\":\"text\",\"text\":\"\"}}}}\n\n"
        );
        let chunk =
            "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" word\"}}\n\n";
        let tail = format!(
            "event: content_block_stop\ndata: {{\"type\":\"content_block_stop\",\"index\":0}}\n\nevent: message_delta\ndata: {{\"type\":\"message_delta\",\"delta\":{{\"stop_reason\":\"end_turn\"}},\"usage\":{usage}}}\n\nevent: message_stop\ndata: {{\"type\":\"message_stop\"}}\n\n"
        );
        return Ok(stream(&text, head, chunk, tail));
    }
    let usage = r#"{"prompt_tokens":20,"completion_tokens":200,"total_tokens":220}"#;
    if !streamed {
        let answer = format!(
            r#"{{"id":"c","object":"chat.completion","created":1,"model":"x","choices":[{{"index":0,"message":{{"role":"assistant","content":"{content}"}},"finish_reason":"stop"}}],"usage":{usage}}}"#
        );
        return Ok(json(StatusCode::OK, answer));
    }
    let open = r#"data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"x","choices":"#;
    let head = format!("{open}[{{\"index\":0,\"delta\":{{\"role\":\"assistant\",\"content\":\"\"}},\"finish_reason\":null}}]}}\n\n");
    let chunk = format!("{open}[{{\"index\":0,\"delta\":{{\"content\":\" word\"}},\"finish_reason\":null}}]}}\n\n");
    let tail = format!("{open}[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"stop\"}}]}}\n\n{open}[],\"usage\":{usage}}}\n\ndata: [DONE]\n\n");
    Ok(stream(&text, head, &chunk, tail))
}

fn stream(text: &str, head: String, chunk: &str, tail: String) -> Answer {
    ACTIVE.fetch_add(1, Ordering::SeqCst);
    let idle = text.contains("idle");
    let head = if idle { format!("{head}{chunk}") } else { head };
    let gap = if text.contains("paced") { Duration::from_millis(5) } else { Duration::ZERO };
    let chunks = Chunks {
        head: Some(Bytes::from(head)),
        chunk: Bytes::copy_from_slice(chunk.as_bytes()),
        tail: Some(Bytes::from(tail)),
        left: 100,
        gap,
        sleep: None,
        yielded: false,
        idle,
        _alive: Alive,
    };
    let mut response = Response::new(Either::Right(chunks));
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("text/event-stream"));
    response
}

/// Serves for good; says at which port.
pub async fn serve() -> std::io::Result<u16> {
    listen(None).await
}

/// Answers every call with this status, for good; says at which port.
pub async fn failing(status: StatusCode) -> std::io::Result<u16> {
    listen(Some(status)).await
}

async fn listen(fails: Option<StatusCode>) -> std::io::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let http = Arc::new({
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder.timer(TokioTimer::new());
        builder
    });
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let _ = socket.set_nodelay(true);
            let connection = http.serve_connection(TokioIo::new(socket), service_fn(move |request| answer(request, fails)));
            tokio::spawn(async move {
                let _ = connection.await;
            });
        }
    });
    Ok(port)
}
