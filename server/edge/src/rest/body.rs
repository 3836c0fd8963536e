use bytes::{Bytes, BytesMut};
use headworks_core::{Fault, Reason};
use http::header;
use http_body_util::BodyExt;

/// Bodies up to this are copied out of the connection's buffer, bytes.
const SMALL: usize = 4 << 10;

/// Reads a whole body of at most `most` bytes.
pub(crate) async fn read(request: axum::extract::Request, most: usize) -> Result<Bytes, Fault> {
    let stated = request.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
    let mut body = request.into_body();
    if stated.is_some_and(|stated| stated > most as u64) {
        drain(&mut body, most).await;
        return Err(too_large(most));
    }
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Fault::invalid("", format!("the request body broke off: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + rest.len() + data.len() > most {
            drain(&mut body, most).await;
            return Err(too_large(most));
        }
        // Most bodies come in one piece, which then is not copied.
        if first.is_empty() && rest.is_empty() {
            first = data;
            continue;
        }
        if rest.is_empty() {
            rest.reserve(stated.and_then(|s| usize::try_from(s).ok()).unwrap_or(first.len() * 4));
            rest.extend_from_slice(&first);
            first = Bytes::new();
        }
        rest.extend_from_slice(&data);
    }
    if rest.is_empty() {
        // A small body stands in the connection's read buffer and would keep all of it for as long as the call lasts.
        return Ok(if first.len() <= SMALL { Bytes::copy_from_slice(&first) } else { first });
    }
    Ok(rest.freeze())
}

fn too_large(most: usize) -> Fault {
    let limit = if most >= 1 << 20 { format!("{} MiB", most >> 20) } else { format!("{most} bytes") };
    Fault::new(Reason::PayloadTooLarge, format!("the request body is larger than {limit} (server.max_body_bytes)"))
}

/// Reads on for a while, so that a client that writes before it reads still sees the answer.
async fn drain(body: &mut axum::body::Body, most: usize) {
    let mut left = most.saturating_mul(2).max(1 << 20);
    let read = async {
        while let Some(Ok(frame)) = body.frame().await {
            let size = frame.data_ref().map_or(0, Bytes::len);
            if size > left {
                break;
            }
            left -= size;
        }
    };
    let _ = tokio::time::timeout(std::time::Duration::from_secs(5), read).await;
}
