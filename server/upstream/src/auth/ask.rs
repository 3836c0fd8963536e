//! A short question to an endpoint that hands out credentials.

use std::{pin::Pin, time::Duration};

use bytes::{Bytes, BytesMut};
use http_body::Body;

use crate::{events::root, pool::Pool};

/// No answer of a credential endpoint is larger, bytes.
const LARGEST: usize = 1 << 20;

/// Sends one request and reads its whole answer within `limit`. Says in words what went wrong; never the answer's
/// text, which may hold secrets.
pub(crate) async fn ask(pool: &Pool, request: http::Request<Bytes>, limit: Duration) -> Result<http::Response<Bytes>, String> {
    let uri = request.uri().clone();
    let place = format!("{}://{}{}", uri.scheme_str().unwrap_or_default(), uri.authority().map_or("", |a| a.as_str()), uri.path());
    let (parts, body) = request.into_parts();
    let url: reqwest::Url = uri.to_string().parse().map_err(|error| format!("{place} is no URL ({error})"))?;
    let mut message = reqwest::Request::new(parts.method, url);
    *message.headers_mut() = parts.headers;
    *message.body_mut() = Some(body.into());
    let (client, _slot) = pool.pick().ok_or("there is no HTTP client")?;
    let whole = async {
        let answer: http::Response<reqwest::Body> = client.execute(message).await.map_err(|error| format!("{place} gave no answer: {}", root(&error)))?.into();
        let (parts, mut body) = answer.into_parts();
        let mut read = BytesMut::new();
        while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            let frame = frame.map_err(|error| format!("{place} broke off: {}", root(&error)))?;
            if let Ok(chunk) = frame.into_data() {
                read.extend_from_slice(&chunk);
            }
            if read.len() > LARGEST {
                return Err(format!("{place} gave an answer larger than {LARGEST} bytes"));
            }
        }
        Ok(http::Response::from_parts(parts, read.freeze()))
    };
    tokio::time::timeout(limit, whole).await.unwrap_or_else(|_| Err(format!("{place} gave no answer within {} s", limit.as_secs_f32())))
}
