//! Facts that are known only at the end of an answer, sent as trailers.

use std::{
    pin::Pin,
    sync::Arc,
    sync::Mutex,
    task::{Context, Poll},
};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use headworks_core::Receipt;
use http::{HeaderMap, HeaderValue};
use http_body::Frame;

/// Where a service leaves what is to be sent at the end.
#[derive(Clone, Default)]
pub(crate) struct Late(Arc<Mutex<HeaderMap>>);

impl Late {
    /// The facts of a call.
    pub(crate) fn tell(&self, receipt: &Receipt) {
        let Ok(mut headers) = self.0.lock() else { return };
        let mut put = |name: &'static str, text: &str| {
            if let Ok(value) = HeaderValue::from_str(text) {
                headers.insert(name, value);
            }
        };
        put("headworks-request-id", &receipt.request_id);
        if let Some(last) = receipt.attempts.last() {
            put("headworks-provider", &last.target.provider);
            put("headworks-model", &last.target.to_string());
        }
        put("headworks-attempts", &receipt.attempts.len().to_string());
        if receipt.cost_known {
            put("headworks-cost-usd", &receipt.cost.to_string());
        }
    }
}

/// Puts what a service left into the trailers of its answer.
pub(crate) async fn append(mut response: Response) -> Response {
    match response.extensions_mut().remove::<Late>() {
        Some(late) => response.map(|body| Body::new(Appended { body, late })),
        None => response,
    }
}

struct Appended {
    body: Body,
    late: Late,
}

impl http_body::Body for Appended {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let next = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        let next = next.map(|frame| {
            frame.map(|frame| match frame.into_trailers() {
                Ok(mut trailers) => {
                    if let Ok(mut late) = self.late.0.lock() {
                        trailers.extend(std::mem::take(&mut *late));
                    }
                    Frame::trailers(trailers)
                }
                Err(frame) => frame,
            })
        });
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}
