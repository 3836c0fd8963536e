//! Real sockets: what a host does, and what becomes of the attempt.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod support;

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use headworks_core::{Attempt, AuthScheme, Begun, Cause, DialectName, Fault, Limit, Reason};
use headworks_upstream::{BadKey, Config, Secrets, Upstream};
use support::{Act, Seen, Server, all, attempt, chunk, delta, good, host, question, reply, sse_head, target, text};

const KEY: &str = "very-secret-0123456789";

fn upstream(config: Config) -> Upstream {
    let mut secrets = Secrets::new();
    secrets.insert("fake", KEY).unwrap();
    Upstream::new(&config, secrets).unwrap()
}

fn to(server: &Server) -> Attempt {
    attempt(target(host(server.url(), AuthScheme::Bearer)), question())
}

async fn send(server: &Server) -> Result<Begun, Fault> {
    upstream(Config::default()).attempt(to(server)).await
}

async fn refused(script: Vec<Act>) -> Fault {
    let server = Server::start(vec![script]).await;
    send(&server).await.err().expect("a fault")
}

#[tokio::test]
async fn what_is_sent() {
    let mut server = Server::start(vec![good()]).await;
    let begun = send(&server).await.unwrap();
    assert_eq!(begun.status, 200);
    assert_eq!(server.next().await, Seen::Connected);
    let request = server.request().await;
    for line in [
        "POST /v1/chat/completions HTTP/1.1\r\n",
        &format!("authorization: Bearer {KEY}\r\n"),
        "accept-encoding: identity\r\n",
        &format!("user-agent: headworks/{}\r\n", env!("CARGO_PKG_VERSION")),
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n",
    ] {
        assert!(request.contains(line), "{line} in {request}");
    }
    assert!(request.contains("\"model\":\"model\""), "{request}");
    drop(begun);
    assert_eq!(server.next().await, Seen::Closed);

    let bare = host(server.url(), AuthScheme::Header("x-goog-api-key".into()));
    upstream(Config::default()).attempt(attempt(target(bare), question())).await.unwrap();
    assert_eq!(server.next().await, Seen::Connected);
    let request = server.request().await;
    assert!(request.contains(&format!("x-goog-api-key: {KEY}\r\n")) && !request.contains("authorization"), "{request}");
}

#[tokio::test]
async fn any_split_of_the_bytes_is_the_same_answer() {
    let Act::Send(whole) = good().remove(0) else { panic!() };
    let body = [delta("grüße", None), delta(" 🌍", None), delta("", Some("stop")), "data: [DONE]\n\n".to_owned()].concat();
    let mut bytewise = sse_head();
    for byte in body.bytes() {
        bytewise.extend(b"1\r\n");
        bytewise.push(byte);
        bytewise.extend(b"\r\n");
    }
    bytewise.extend(b"0\r\n\r\n");
    let mut answers = Vec::new();
    for script in [vec![Act::Send(whole.clone())], vec![Act::Dribble(whole)], vec![Act::Send(bytewise)]] {
        let server = Server::start(vec![script]).await;
        let (events, fault) = all(send(&server).await.unwrap()).await;
        assert_eq!(fault, None);
        assert_eq!(text(&events), "grüße 🌍");
        answers.push(events);
    }
    assert!(answers.iter().all(|events| *events == answers[0]));
}

#[tokio::test]
async fn refusals_carry_status_wait_and_the_hosts_words() {
    let body = r#"{"error":{"message":"slow down","type":"rate_limit_error","code":"rate_limit_exceeded"}}"#;
    let fault = refused(reply("429 Too Many Requests", "retry-after: 7\r\n", body)).await;
    assert_eq!((fault.cause, fault.retry_after), (Cause::RateLimited, Some(Duration::from_secs(7))));
    let said = fault.upstream.unwrap();
    assert_eq!((said.status, said.message.as_str()), (429, "slow down"));
    assert_eq!(fault.target.unwrap().to_string(), "fake/model");

    let fault = refused(reply("503 Service Unavailable", "", "<html>overloaded</html>")).await;
    assert_eq!((fault.cause, fault.upstream.unwrap().status), (Cause::Unavailable, 503));

    // Not followed: the key would go along.
    let fault = refused(reply("307 Temporary Redirect", "location: http://127.0.0.1:1/\r\n", "")).await;
    assert_eq!(fault.upstream.unwrap().status, 307);
}

#[tokio::test]
async fn a_key_is_never_repeated() {
    let body = format!(r#"{{"error":{{"message":"no such key: {KEY}","type":"auth {KEY}","code":"{KEY}"}}}}"#);
    let fault = refused(reply("401 Unauthorized", "", &body)).await;
    assert_eq!(fault.cause, Cause::Credentials);
    assert!(!format!("{fault:?} {fault} {:?}", fault.upstream).contains(KEY), "{fault:?} {:?}", fault.upstream);

    let mut stream = sse_head();
    stream.extend(chunk(&format!("data: {{\"error\":{{\"message\":\"bad {KEY}\",\"code\":500}}}}\n\n")));
    let server = Server::start(vec![vec![Act::Send(stream)]]).await;
    let (_, fault) = all(send(&server).await.unwrap()).await;
    let fault = fault.expect("an error inside the stream");
    assert!(!format!("{fault:?} {:?}", fault.upstream).contains(KEY), "{fault:?}");

    let mut secrets = Secrets::new();
    secrets.insert("a", &format!(" {KEY}\n")).unwrap();
    assert_eq!(format!("{secrets:?}"), "Secrets(..)");
    assert_eq!(secrets.insert("b", " \n"), Err(BadKey::Empty("b".into())));
    assert_eq!(secrets.insert("b", "two\nlines"), Err(BadKey::NotAHeader("b".into())));
    assert!(secrets.contains("a") && !secrets.contains("b"));
}

#[tokio::test]
async fn a_broken_answer_gives_what_came_and_then_fails() {
    let mut start = sse_head();
    start.extend(chunk(&delta("half", None)));
    let mut ended = start.clone();
    ended.extend(b"0\r\n\r\n");
    let mut garbled = start.clone();
    garbled.extend(chunk("data: {nonsense\n\n"));
    for (script, cause) in [
        (vec![Act::Send(start.clone()), Act::Sleep(30), Act::Reset], Cause::Broken),
        (vec![Act::Send(start), Act::Close], Cause::Broken),
        (vec![Act::Send(ended)], Cause::Broken),
        (vec![Act::Send(garbled)], Cause::Garbled),
    ] {
        let server = Server::start(vec![script]).await;
        let (events, fault) = all(send(&server).await.unwrap()).await;
        let fault = fault.expect("a fault");
        assert_eq!((text(&events).as_str(), fault.cause), ("half", cause), "{fault:?}");
        assert_eq!(fault.target.unwrap().to_string(), "fake/model");
    }
    // One chunk with both: the good part is not lost.
    let mut both = sse_head();
    both.extend(chunk(&format!("{}data: {{nonsense\n\n", delta("half", None))));
    let server = Server::start(vec![vec![Act::Send(both)]]).await;
    let (events, fault) = all(send(&server).await.unwrap()).await;
    assert_eq!((text(&events).as_str(), fault.unwrap().cause), ("half", Cause::Garbled));
}

#[tokio::test]
async fn dropping_the_answer_closes_the_connection_at_once() {
    let mut start = sse_head();
    start.extend(chunk(&delta("half", None)));
    let mut server = Server::start(vec![vec![Act::Send(start)]]).await;
    let upstream = upstream(Config::default());
    let mut begun = upstream.attempt(to(&server)).await.unwrap();
    begun.events.next().await.unwrap().unwrap();
    assert_eq!(server.next().await, Seen::Connected);
    server.request().await;
    let gone = Instant::now();
    drop(begun);
    assert_eq!(server.next().await, Seen::Closed);
    assert!(gone.elapsed() < Duration::from_millis(100), "{:?}", gone.elapsed());

    // The same before the head has come.
    let mut server = Server::start(vec![vec![]]).await;
    let waiting = tokio::spawn({
        let (upstream, attempt) = (upstream.clone(), to(&server));
        async move { upstream.attempt(attempt).await.map(|_| ()) }
    });
    assert_eq!(server.next().await, Seen::Connected);
    server.request().await;
    let gone = Instant::now();
    waiting.abort();
    assert_eq!(server.next().await, Seen::Closed);
    assert!(gone.elapsed() < Duration::from_millis(100), "{:?}", gone.elapsed());
}

#[tokio::test]
async fn connections_are_used_again_and_their_tails_keep_nobody_waiting() {
    let mut late = sse_head();
    for data in [delta("late", None), delta("", Some("stop")), "data: [DONE]\n\n".to_owned()] {
        late.extend(chunk(&data));
    }
    let slow_tail = vec![Act::Send(late), Act::Sleep(300), Act::Send(b"0\r\n\r\n".to_vec())];
    let unary = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"whole"},"finish_reason":"stop"}]}"#;
    let error = reply("500 Internal Server Error", "", "{}");
    let mut server = Server::start(vec![good(), slow_tail, reply("200 OK", "", unary), error, good()]).await;
    let upstream = upstream(Config::default());
    for want in ["grüße 🌍", "late", "whole"] {
        let begun = Instant::now();
        let (events, fault) = all(upstream.attempt(to(&server)).await.unwrap()).await;
        assert_eq!((text(&events).as_str(), fault), (want, None));
        assert!(begun.elapsed() < Duration::from_millis(250), "{want}: {:?}", begun.elapsed());
        let pause = if want == "late" { 500 } else { 50 };
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    assert!(upstream.attempt(to(&server)).await.is_err());
    tokio::time::sleep(Duration::from_millis(50)).await;
    // A reader that stops at the finish and never asks for the end.
    let mut begun = upstream.attempt(to(&server)).await.unwrap();
    while !begun.events.next().await.unwrap().unwrap().events.iter().any(|event| matches!(event.kind, headworks_core::EventKind::Finished(_))) {}
    assert_eq!(server.next().await, Seen::Connected);
    for _ in 0..5 {
        server.request().await;
    }
}

#[tokio::test]
async fn a_pooled_connection_that_died_is_replaced() {
    let mut closing = good();
    closing.push(Act::Close);
    let mut server = Server::start(vec![closing, good()]).await;
    let upstream = upstream(Config::default());
    for _ in 0..2 {
        let (events, fault) = all(upstream.attempt(to(&server)).await.unwrap()).await;
        assert_eq!((text(&events).as_str(), fault), ("grüße 🌍", None));
        assert_eq!(server.next().await, Seen::Connected);
        server.request().await;
    }
}

#[tokio::test]
async fn a_request_that_was_taken_is_not_sent_twice() {
    let mut server = Server::start(vec![good(), vec![Act::Close], good()]).await;
    let upstream = upstream(Config::default());
    all(upstream.attempt(to(&server)).await.unwrap()).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let fault = upstream.attempt(to(&server)).await.err().expect("the connection closed without an answer");
    assert_eq!(fault.cause, Cause::Connect, "{fault:?}");
    assert_eq!(server.next().await, Seen::Connected);
    server.request().await;
    server.request().await;
    assert!(server.seen.try_recv().is_err());
}

#[tokio::test]
async fn hosts_that_cannot_be_reached() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let at = |url: String| attempt(target(host(url, AuthScheme::Bearer)), question());
    // Takes the connection and never speaks TLS.
    let config = Config { connect_timeout_ms: 150, ..Config::default() };
    let begun = Instant::now();
    let fault = upstream(config).attempt(at(format!("https://{address}/v1"))).await.err().unwrap();
    assert_eq!(fault.cause, Cause::Timeout(Limit::Connect), "{fault:?}");
    assert_eq!(fault.reason, Reason::Timeout);
    assert!(begun.elapsed() < Duration::from_secs(1));

    drop(listener);
    let fault = upstream(Config::default()).attempt(at(format!("http://{address}/v1"))).await.err().unwrap();
    assert_eq!(fault.cause, Cause::Connect);
    assert!(fault.message.contains("refused"), "{fault}");

    let fault = upstream(Config::default()).attempt(at("ftp://127.0.0.1".to_owned())).await.err().unwrap();
    assert!(fault.message.contains("base_url"), "{fault}");
}

#[tokio::test]
async fn what_cannot_be_sent_says_why() {
    let upstream = Upstream::new(&Config::default(), Secrets::new()).unwrap();
    let fails = async |host| upstream.attempt(attempt(target(host), question())).await.err().unwrap();
    let url = || "http://127.0.0.1:1/v1".to_owned();

    let fault = fails(host(url(), AuthScheme::Bearer)).await;
    assert_eq!((fault.reason, fault.cause), (Reason::UpstreamCredentials, Cause::Credentials));
    assert!(fault.message.contains("FAKE_API_KEY"), "{fault}");

    let fault = fails(host(url(), AuthScheme::Unsupported("aws-sigv4".into()))).await;
    assert_eq!(fault.reason, Reason::CapabilityMissing);
    assert!(fault.message.contains("aws-sigv4"), "{fault}");

    let mut foreign = host(url(), AuthScheme::None);
    (foreign.dialect, foreign.dialect_word) = (None, "replicate".into());
    let fault = fails(foreign).await;
    assert_eq!(fault.reason, Reason::CapabilityMissing);
    assert!(fault.message.contains("replicate"), "{fault}");

    // Voyage makes vectors and has no chat.
    let mut vectors = host(url(), AuthScheme::None);
    vectors.dialect = Some(DialectName::Voyage);
    let fault = fails(vectors).await;
    assert_eq!(fault.reason, Reason::CapabilityMissing);
    assert!(fault.message.contains("makes vectors"), "{fault}");
}

#[tokio::test]
async fn an_answer_has_a_largest_size() {
    let config = Config { max_body_bytes: 1_000, ..Config::default() };
    let server = Server::start(vec![reply("200 OK", "", &format!("{{\"x\":\"{}\"}}", "y".repeat(2_000)))]).await;
    let (_, fault) = all(upstream(config).attempt(to(&server)).await.unwrap()).await;
    let fault = fault.expect("too large");
    assert!(fault.message.contains("max_body_bytes"), "{fault}");
}
