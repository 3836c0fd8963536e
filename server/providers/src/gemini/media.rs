//! Pictures, files and sound: inline where the bytes are here, by address where they are not.

use headworks_core::{PartKind, Source, Target};

use crate::{Note, spell::object};

/// The part as JSON, or what is wrong with it.
pub(super) fn part(target: &Target, kind: &PartKind, notes: &mut Vec<Note>) -> Result<Vec<u8>, String> {
    let (source, guess) = match kind {
        PartKind::Image { source, .. } => (source, "image/jpeg"),
        PartKind::File { source, .. } => (source, "application/pdf"),
        PartKind::Audio { data, format } => {
            // OpenAI's short names; Gemini wants media types.
            let mime = if format.contains('/') { format.to_string() } else { format!("audio/{format}") };
            return Ok(inline(&mime, data));
        }
        _ => return Err("this kind of part cannot be sent".to_owned()),
    };
    let (uri, by_id) = match source {
        Source::Base64 { mime, data } => return Ok(inline(mime, data)),
        Source::Url(url) => (url.to_string(), false),
        // The Files API names its files so, and takes their full address.
        Source::FileId(id) if id.starts_with("files/") => (format!("{}/v1beta/{id}", target.host.base_url), true),
        Source::FileId(id) if id.contains("://") => (id.to_string(), true),
        Source::FileId(id) => return Err(format!("{id} is another provider's file; send the file itself or its URL")),
    };
    let known = mime_of(&uri);
    if known.is_none() && !by_id {
        notes.push(Note::aside(format!("{}: the type of {} is not known from its name; {guess} was said", target.id, shortened(&uri))));
    }
    // A file that Google keeps has its type there.
    let mime = known.or((!by_id).then_some(guess));
    let mut out = Vec::new();
    object(&mut out, |o| {
        o.obj("fileData", |d| {
            d.opt_str("mimeType", mime);
            d.str("fileUri", &uri);
        });
    });
    Ok(out)
}

fn inline(mime: &str, data: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() + 64);
    object(&mut out, |o| {
        o.obj("inlineData", |d| {
            d.str("mimeType", mime);
            d.str("data", data);
        });
    });
    out
}

fn shortened(uri: &str) -> String {
    uri.split(['?', '#']).next().unwrap_or_default().chars().take(120).collect()
}

/// The media type that an address ends in.
fn mime_of(uri: &str) -> Option<&'static str> {
    let path = uri.split(['?', '#']).next()?;
    let end = path.rsplit('/').next()?.rsplit_once('.')?.1.to_ascii_lowercase();
    Some(match end.as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "heic" => "image/heic",
        "heif" => "image/heif",
        "pdf" => "application/pdf",
        "txt" | "md" => "text/plain",
        "csv" => "text/csv",
        "html" | "htm" => "text/html",
        "json" => "application/json",
        "mp3" => "audio/mp3",
        "wav" => "audio/wav",
        "flac" => "audio/flac",
        "ogg" => "audio/ogg",
        "aac" => "audio/aac",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "mov" => "video/quicktime",
        _ => return None,
    })
}
