//! Content blocks that clients of Anthropic's messages send, as parts.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use headworks_core::{CacheMark, DialectName, Fault, Json, Opaque, Part, PartKind, Source, Str};
use serde_json::value::RawValue;

use super::incoming::{BlockIn, CacheControl, Content, Kind, SourceIn};
use crate::text::Text;

/// The client's own mark.
pub(super) fn mark(control: Option<&CacheControl>, path: &str) -> Result<CacheMark, Fault> {
    match control.map(|c| c.ttl.as_deref()) {
        None => Ok(CacheMark::None),
        Some(None) => Ok(CacheMark::Default),
        Some(Some("5m")) => Ok(CacheMark::FiveMinutes),
        Some(Some("1h")) => Ok(CacheMark::OneHour),
        Some(Some(ttl)) => Err(Fault::invalid(format!("{path}.cache_control.ttl"), format!("\"{ttl}\" is neither \"5m\" nor \"1h\""))),
    }
}

/// The parts of a content.
pub(super) fn parts(content: Content<'_>, path: &str, bytes: &Bytes) -> Result<Vec<Part>, Fault> {
    match content {
        Content::Text(text) => Ok(vec![Part::text(Str::from_cow(bytes, text))]),
        Content::Blocks(blocks) => {
            let mut out = Vec::with_capacity(blocks.len());
            for (at, raw) in blocks.into_iter().enumerate() {
                block(raw, &format!("{path}[{at}]"), bytes, &mut out)?;
            }
            Ok(out)
        }
    }
}

fn block(raw: &RawValue, path: &str, bytes: &Bytes, out: &mut Vec<Part>) -> Result<(), Fault> {
    let wrong = |error: serde_json::Error| Fault::invalid(path, error.to_string().split(" at line ").next().unwrap_or_default().to_owned());
    let kind: Kind<'_> = serde_json::from_str(raw.get()).map_err(wrong)?;
    let Some(kind) = kind.kind else {
        return Err(Fault::invalid(format!("{path}.type"), "is missing; use text, image, document, tool_use, tool_result or another of Anthropic's blocks"));
    };
    let read = || serde_json::from_str::<BlockIn<'_>>(raw.get()).map_err(wrong);
    let own = |text: Text<'_>| Str::from_cow(bytes, text);
    let lacks = |field: &str| Fault::invalid(format!("{path}.{field}"), "is missing");
    let (kind, control) = match &*kind {
        "text" => {
            let b = read()?;
            (PartKind::Text(own(b.text.ok_or_else(|| lacks("text"))?)), b.cache_control)
        }
        "image" => {
            let b = read()?;
            let source = source(b.source.ok_or_else(|| lacks("source"))?, path, bytes)?;
            (PartKind::Image { source, detail: None }, b.cache_control)
        }
        "document" => return document(read()?, path, bytes, out),
        "search_result" => {
            let b = read()?;
            let cache = mark(b.cache_control.as_ref(), path)?;
            let mut said = b.content.map(|content| parts(content, &format!("{path}.content"), bytes)).transpose()?.unwrap_or_default();
            let from = b.source.and_then(|raw| serde_json::from_str::<String>(raw.get()).ok()).unwrap_or_default();
            let head = format!("{}\n{from}", b.title.as_deref().unwrap_or_default());
            said.insert(0, Part::text(head.trim()));
            out.extend(marked(said, cache));
            return Ok(());
        }
        "tool_use" => {
            let b = read()?;
            let id = own(b.id.filter(|id| !id.is_empty()).ok_or_else(|| lacks("id"))?);
            let name = own(b.name.filter(|name| !name.is_empty()).ok_or_else(|| lacks("name"))?);
            // T14: said here, where the message's place is known, not by a provider.
            let arguments = match b.input.map(RawValue::get) {
                Some(text) if text.starts_with('{') => Str::within(bytes, text),
                Some(_) => return Err(Fault::invalid(format!("{path}.input"), "must be a JSON object")),
                None => return Err(lacks("input")),
            };
            (PartKind::ToolCall { id, name, arguments, signature: b.signature.map(own).filter(|s| !s.is_empty()) }, b.cache_control)
        }
        "tool_result" => {
            let b = read()?;
            let id = own(b.tool_use_id.filter(|id| !id.is_empty()).ok_or_else(|| lacks("tool_use_id"))?);
            let parts = b.content.map(|content| parts(content, &format!("{path}.content"), bytes)).transpose()?.unwrap_or_default();
            (PartKind::ToolResult { id, name: None, parts, is_error: b.is_error.unwrap_or(false) }, b.cache_control)
        }
        "thinking" => {
            let b = read()?;
            let signature = b.signature.map(own).filter(|s| !s.is_empty());
            (PartKind::Reasoning { text: b.thinking.map(own).unwrap_or_default(), signature, redacted: None }, None)
        }
        "redacted_thinking" => {
            let b = read()?;
            (PartKind::Reasoning { text: Str::default(), signature: None, redacted: Some(own(b.data.ok_or_else(|| lacks("data"))?)) }, None)
        }
        // What Anthropic's own tools did, uploads and whatever comes to be: its own mark stands inside.
        _ => {
            let json = Json::from(raw);
            (PartKind::Opaque(Opaque { dialect: DialectName::Anthropic, issuer: "".into(), json }), None)
        }
    };
    out.push(Part { kind, cache: mark(control.as_ref(), path)? });
    Ok(())
}

/// The same parts, the last of them marked.
fn marked(mut parts: Vec<Part>, cache: CacheMark) -> Vec<Part> {
    if let (Some(last), true) = (parts.last_mut(), cache != CacheMark::None) {
        last.cache = cache;
    }
    parts
}

/// A document: a file, or text that every provider can read as text.
fn document(b: BlockIn<'_>, path: &str, bytes: &Bytes, out: &mut Vec<Part>) -> Result<(), Fault> {
    let raw = b.source.ok_or_else(|| Fault::invalid(format!("{path}.source"), "is missing"))?;
    let cache = mark(b.cache_control.as_ref(), path)?;
    let wrong = |error: serde_json::Error| Fault::invalid(format!("{path}.source"), error.to_string().split(" at line ").next().unwrap_or_default().to_owned());
    let said: SourceIn<'_> = serde_json::from_str(raw.get()).map_err(wrong)?;
    let own = |text: Text<'_>| Str::from_cow(bytes, text);
    let title = b.title.map(own);
    match said.kind.as_deref() {
        Some("text") => {
            let text = own(said.data.ok_or_else(|| Fault::invalid(format!("{path}.source.data"), "is missing"))?);
            let mut parts: Vec<Part> = title.map(Part::text).into_iter().collect();
            parts.push(Part::text(text));
            out.extend(marked(parts, cache));
        }
        Some("content") => {
            let content = said.content.ok_or_else(|| Fault::invalid(format!("{path}.source.content"), "is missing"))?;
            let mut said: Vec<Part> = title.map(Part::text).into_iter().collect();
            said.extend(parts(content, &format!("{path}.source.content"), bytes)?);
            out.extend(marked(said, cache));
        }
        _ => out.push(Part { kind: PartKind::File { source: source(raw, path, bytes)?, name: title }, cache }),
    }
    Ok(())
}

fn source(raw: &RawValue, path: &str, bytes: &Bytes) -> Result<Source, Fault> {
    let path = format!("{path}.source");
    let wrong = |error: serde_json::Error| Fault::invalid(path.clone(), error.to_string().split(" at line ").next().unwrap_or_default().to_owned());
    let said: SourceIn<'_> = serde_json::from_str(raw.get()).map_err(wrong)?;
    let own = |text: Text<'_>| Str::from_cow(bytes, text);
    let lacks = |field: &str| Fault::invalid(format!("{path}.{field}"), "is missing");
    match said.kind.as_deref() {
        Some("base64") => {
            let mime = said.media_type.ok_or_else(|| lacks("media_type"))?;
            let data = own(said.data.ok_or_else(|| lacks("data"))?);
            let mut buffer = [0; 3072];
            let valid = data.len().is_multiple_of(4) && data.as_bytes().chunks(4096).all(|piece| STANDARD.decode_slice(piece, &mut buffer).is_ok());
            if !valid {
                return Err(Fault::invalid(format!("{path}.data"), "is not valid base64 (standard alphabet, padded)"));
            }
            Ok(Source::Base64 { mime: (&*mime).into(), data })
        }
        Some("url") => Ok(Source::Url(own(said.url.filter(|u| !u.is_empty()).ok_or_else(|| lacks("url"))?))),
        Some("file") => Ok(Source::FileId(own(said.file_id.ok_or_else(|| lacks("file_id"))?))),
        _ => Err(Fault::invalid(format!("{path}.type"), "must be base64, url or file")),
    }
}
