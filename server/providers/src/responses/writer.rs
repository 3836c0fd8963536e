//! Writes an answer as clients of Responses read it.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use headworks_core::{Batch, ChatRequest, DialectName, Event, EventKind, Fault, FinishReason, Receipt};

use super::{
    echo::{Echo, Standing, usage},
    output::{Items, Tape},
};
use crate::{
    ErrorFace, Writer,
    facts::{counted, facts},
    openai::error_body,
    spell::object,
};

/// Writes one JSON body, or server-sent events.
pub(super) struct ResponsesWriter {
    echo: Echo,
    tape: Tape,
    items: Items,
    finish: Option<FinishReason>,
    begun: bool,
    /// The upstream speaks this dialect: its own frames are passed on.
    relaying: bool,
    /// The upstream's last frame or whole body, until the call is accounted for.
    last: Option<Bytes>,
    whole: Option<Bytes>,
}

impl ResponsesWriter {
    pub(super) fn new(request: &ChatRequest) -> Self {
        Self {
            echo: Echo::new(request),
            tape: Tape { streamed: request.stream, next: 0 },
            items: Items::default(),
            finish: None,
            begun: false,
            relaying: false,
            last: None,
            whole: None,
        }
    }

    fn begin_stream(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.begun, true) && !self.relaying {
            for kind in ["response.created", "response.in_progress"] {
                let mut response = Vec::new();
                self.echo.write(&mut response, Standing::InProgress, "[]", None);
                self.tape.event(out, kind, |o| o.raw("response", std::str::from_utf8(&response).unwrap_or("{}")));
            }
        }
    }

    fn write(&mut self, events: &[Event], out: &mut Vec<u8>) {
        let mut events = events.iter().filter(|event| event.choice == 0).peekable();
        while let Some(event) = events.next() {
            self.echo.learn(&event.kind);
            match &event.kind {
                EventKind::Finished(reason) => self.finish = Some(*reason),
                EventKind::Receipt(receipt) => self.close(receipt, out),
                EventKind::Usage { .. } => {}
                kind => {
                    self.begin_stream(out);
                    // Probabilities follow the text they are of.
                    let logprobs = match (kind, events.peek().map(|next| &next.kind)) {
                        (EventKind::Text(_), Some(EventKind::Logprobs(json))) => Some(json),
                        _ => None,
                    };
                    self.items.add(kind, logprobs, self.echo.stem(), &mut self.tape, out);
                }
            }
        }
    }

    fn close(&mut self, receipt: &Arc<Receipt>, out: &mut Vec<u8>) {
        if let Some(last) = self.last.take()
            && self.splice_last(&last, receipt, out)
        {
            return;
        }
        self.begin_stream(out);
        let finish = self.finish.unwrap_or(FinishReason::Stop);
        let cut = matches!(finish, FinishReason::Length | FinishReason::ContentFilter | FinishReason::Error);
        let status = if cut { "incomplete" } else { "completed" };
        self.items.end(&mut self.tape, out, status);
        let mut response = Vec::new();
        self.echo.write(&mut response, Standing::Ended(finish), &self.items.list(status), Some(receipt));
        let kind = match finish {
            FinishReason::Length | FinishReason::ContentFilter => "response.incomplete",
            FinishReason::Error => "response.failed",
            _ => "response.completed",
        };
        self.tape.event(out, kind, |o| o.raw("response", std::str::from_utf8(&response).unwrap_or("{}")));
        self.finished(response, out);
    }

    fn finished(&mut self, response: Vec<u8>, out: &mut Vec<u8>) {
        if !self.tape.streamed {
            out.extend_from_slice(&response);
        }
        if self.echo.store {
            self.whole = Some(response.into());
        }
    }

    /// The upstream's own end with usage and our facts put in.
    fn splice_last(&mut self, last: &Bytes, receipt: &Receipt, out: &mut Vec<u8>) -> bool {
        if !self.tape.streamed {
            let mut response = Vec::with_capacity(last.len() + 512);
            let good = self.splice(last, Some(receipt), &mut response);
            if good {
                self.finished(response, out);
            }
            return good;
        }
        let mut response = None;
        let good = frame(last, out, |raw| {
            let mut spliced = Vec::with_capacity(raw.len() + 512);
            let good = self.splice(raw, Some(receipt), &mut spliced);
            response = good.then(|| spliced.clone());
            good.then_some(spliced)
        });
        if let Some(response) = response.filter(|_| good) {
            self.tape.next += 1;
            self.finished(response, &mut Vec::new());
        }
        good
    }

    /// The upstream's response object as this gateway's client must see it.
    fn splice(&self, body: &[u8], receipt: Option<&Receipt>, out: &mut Vec<u8>) -> bool {
        let Ok(members) = crate::members(body) else { return false };
        let counted = receipt.filter(|receipt| counted(receipt));
        let first = out.len();
        out.push(b'{');
        for member in &members {
            let name = &*member.name;
            if name == "headworks" || (name == "usage" && counted.is_some()) {
                continue;
            }
            if out.len() > first + 1 {
                out.push(b',');
            }
            out.extend_from_slice(body.get(member.key.clone()).unwrap_or_default());
            out.push(b':');
            match self.echo.own(name) {
                Some(own) => out.extend_from_slice(own.as_bytes()),
                None => out.extend_from_slice(body.get(member.value.clone()).unwrap_or_default()),
            }
        }
        if let Some(receipt) = counted {
            out.extend_from_slice(br#","usage":"#);
            object(out, |o| {
                usage(o, receipt);
                // What else the provider counts stays.
                let theirs = members.iter().find(|m| &*m.name == "usage").and_then(|m| body.get(m.value.clone())).unwrap_or_default();
                for member in crate::members(theirs).unwrap_or_default() {
                    let ours = ["input_tokens", "output_tokens", "total_tokens", "input_tokens_details", "output_tokens_details", "cost"];
                    if !ours.contains(&&*member.name)
                        && let Some(Ok(value)) = theirs.get(member.value).map(std::str::from_utf8)
                    {
                        o.raw(&member.name, value);
                    }
                }
            });
        }
        if let Some(receipt) = receipt {
            out.extend_from_slice(br#","headworks":"#);
            object(out, |o| facts(o, receipt));
        }
        out.push(b'}');
        true
    }

    /// The upstream's own frames, those that hold the whole response rewritten.
    fn relay(&mut self, batch: &Batch, out: &mut Vec<u8>) {
        self.relaying = true;
        let mut events = &batch.events[..];
        for bytes_of in &batch.frames {
            let (mine, rest) = events.split_at(usize::from(bytes_of.events).min(events.len()));
            events = rest;
            for event in mine {
                self.echo.learn(&event.kind);
                if let EventKind::Finished(reason) = event.kind {
                    self.finish = Some(reason);
                }
            }
            if !self.tape.streamed || mine.iter().any(|event| matches!(event.kind, EventKind::Finished(_))) {
                self.last = Some(bytes_of.bytes.clone());
                continue;
            }
            self.begun = true;
            let holds = memchr::memmem::find(&bytes_of.bytes, b"\"response\"").is_some();
            if !(holds
                && frame(&bytes_of.bytes, out, |raw| {
                    let mut spliced = Vec::with_capacity(raw.len() + 64);
                    self.splice(raw, None, &mut spliced).then_some(spliced)
                }))
            {
                out.extend_from_slice(&bytes_of.bytes);
            }
            self.tape.next += 1;
            if memchr::memmem::find(&bytes_of.bytes, b"response.output_item.added").is_some() {
                self.items.before += 1;
            }
        }
        self.write(events, out);
    }
}

/// Writes a frame with its `response` changed; false, and nothing written, where it has none.
fn frame(bytes: &Bytes, out: &mut Vec<u8>, change: impl FnOnce(&[u8]) -> Option<Vec<u8>>) -> bool {
    let mut found = None;
    let mut parser = crate::frame::sse::SseParser::default();
    let mut take = |event: crate::frame::sse::SseEvent| {
        found.get_or_insert(event);
        Ok(())
    };
    let read = parser.push(bytes, &mut take).and_then(|()| parser.end(take));
    let (Ok(()), Some(event)) = (read, found) else { return false };
    let data = &event.data;
    let Ok(members) = crate::members(data) else { return false };
    let Some(member) = members.iter().find(|member| &*member.name == "response") else { return false };
    let Some(changed) = data.get(member.value.clone()).and_then(change) else { return false };
    if !event.name.is_empty() {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(&event.name);
        out.push(b'\n');
    }
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(data.get(..member.value.start).unwrap_or_default());
    out.extend_from_slice(&changed);
    out.extend_from_slice(data.get(member.value.end..).unwrap_or_default());
    out.extend_from_slice(b"\n\n");
    true
}

impl Writer for ResponsesWriter {
    fn begin(&mut self, request_id: &str) {
        self.echo.begin(request_id);
    }

    fn push(&mut self, batch: &Batch, out: &mut BytesMut) -> Result<(), Fault> {
        let mut buffer = Vec::new();
        if batch.dialect == Some(DialectName::OpenAiResponses) && !batch.frames.is_empty() {
            self.relay(batch, &mut buffer);
        } else {
            self.write(&batch.events, &mut buffer);
        }
        out.extend_from_slice(&buffer);
        Ok(())
    }

    fn fault(&mut self, fault: &Fault, face: &ErrorFace, out: &mut BytesMut) {
        let body = error_body(fault, face);
        if !self.tape.streamed {
            out.extend_from_slice(&body);
            return;
        }
        let mut buffer = Vec::new();
        let code = face.code.unwrap_or("server_error");
        let error = crate::members(&body).ok().and_then(|members| body.get(members.first()?.value.clone()).and_then(|raw| std::str::from_utf8(raw).ok()));
        self.tape.event(&mut buffer, "error", |o| {
            o.str("code", code);
            o.str("message", &fault.message);
            match fault.field() {
                Some(param) => o.str("param", param),
                None => o.raw("param", "null"),
            }
            // The SDKs raise what stands here.
            o.raw("error", error.unwrap_or("null"));
        });
        if self.begun {
            let mut response = Vec::new();
            // One of OpenAI's own codes: clients check them against a list.
            let code = if face.status == 429 { "rate_limit_exceeded" } else { "server_error" };
            self.echo.write(&mut response, Standing::Failed(code, &fault.message), &self.items.list("incomplete"), None);
            self.tape.event(&mut buffer, "response.failed", |o| o.raw("response", std::str::from_utf8(&response).unwrap_or("{}")));
        }
        out.extend_from_slice(&buffer);
    }

    fn keep_alive(&self) -> Bytes {
        if self.tape.streamed { Bytes::from_static(b": keep-alive\n\n") } else { Bytes::new() }
    }

    fn kept(&mut self) -> Option<Bytes> {
        self.whole.take()
    }
}
