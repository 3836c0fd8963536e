//! Pictures, documents, sound and films in Converse's words: a format instead of a media type, and bytes or an S3 place.

use std::collections::HashSet;

use headworks_core::Source;

use crate::spell::Object;

/// What kind of block a media type becomes, and its format there (Converse, `ImageBlock`, `DocumentBlock`, `VideoBlock`, `AudioBlock`).
const FORMATS: &[(&str, &str, &str)] = &[
    ("image/png", "image", "png"),
    ("image/jpeg", "image", "jpeg"),
    ("image/jpg", "image", "jpeg"),
    ("image/gif", "image", "gif"),
    ("image/webp", "image", "webp"),
    ("application/pdf", "document", "pdf"),
    ("text/csv", "document", "csv"),
    ("application/csv", "document", "csv"),
    ("application/msword", "document", "doc"),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "document", "docx"),
    ("application/vnd.ms-excel", "document", "xls"),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "document", "xlsx"),
    ("text/html", "document", "html"),
    ("text/plain", "document", "txt"),
    ("text/markdown", "document", "md"),
    ("text/x-markdown", "document", "md"),
    ("video/x-matroska", "video", "mkv"),
    ("video/quicktime", "video", "mov"),
    ("video/mp4", "video", "mp4"),
    ("video/webm", "video", "webm"),
    ("video/x-flv", "video", "flv"),
    ("video/mpeg", "video", "mpeg"),
    ("video/x-ms-wmv", "video", "wmv"),
    ("video/3gpp", "video", "three_gp"),
    ("audio/mpeg", "audio", "mp3"),
    ("audio/mp3", "audio", "mp3"),
    ("audio/wav", "audio", "wav"),
    ("audio/x-wav", "audio", "wav"),
    ("audio/ogg", "audio", "ogg"),
    ("audio/flac", "audio", "flac"),
    ("audio/aac", "audio", "aac"),
    ("audio/webm", "audio", "webm"),
];

/// What a source becomes.
pub(super) struct Media<'a> {
    /// `image`, `document`, `video` or `audio`.
    pub block: &'static str,
    /// Its format.
    pub format: &'static str,
    place: Place<'a>,
}

enum Place<'a> {
    /// Standard base64.
    Bytes(&'a str),
    S3(&'a str),
}

impl<'a> Media<'a> {
    /// How to send `source`, which is a picture or, `file`, of any kind. The error says in words why it cannot be sent.
    pub(super) fn of(source: &'a Source, name: Option<&str>, file: bool) -> Result<Self, String> {
        match source {
            Source::Base64 { mime, data } => {
                let plain = mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
                let known = FORMATS.iter().find(|(known, _, _)| *known == plain);
                let (block, format) = match known {
                    Some((_, block, format)) => (*block, *format),
                    // Any other text is read as text.
                    None if file && plain.starts_with("text/") => ("document", "txt"),
                    None => by_ending(name.unwrap_or_default()).filter(|_| file).ok_or_else(|| format!("the media type \"{plain}\" is not taken"))?,
                };
                Ok(Self { block, format, place: Place::Bytes(data) })
            }
            Source::Url(url) if url.starts_with("s3://") => {
                let (block, format) = by_ending(url).ok_or_else(|| format!("\"{}\" does not end in a format that is taken", url.as_str()))?;
                Ok(Self { block, format, place: Place::S3(url) })
            }
            Source::Url(_) => Err("files are not fetched from a URL; send their bytes as base64, or an s3:// URL".to_owned()),
            Source::FileId(_) => Err("there are no uploaded files; send the bytes as base64".to_owned()),
        }
    }

    /// Writes `format` and `source`.
    pub(super) fn write(&self, o: &mut Object<'_>) {
        o.str("format", self.format);
        o.obj("source", |s| match self.place {
            Place::Bytes(data) => s.str("bytes", data),
            Place::S3(uri) => s.obj("s3Location", |l| l.str("uri", uri)),
        });
    }
}

/// Block and format by the ending of a name.
fn by_ending(name: &str) -> Option<(&'static str, &'static str)> {
    let ending = name.rsplit_once('.')?.1.to_ascii_lowercase();
    let ending = match ending.as_str() {
        "jpg" => "jpeg",
        "htm" => "html",
        "3gp" => "three_gp",
        "mpg" => "mpeg",
        other => other,
    };
    FORMATS.iter().find(|(_, _, format)| *format == ending).map(|(_, block, format)| (*block, *format))
}

/// A format of OpenAI's `input_audio`, where Converse knows it.
pub(super) fn sound(format: &str) -> Option<&'static str> {
    ["mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "m4a", "pcm", "webm"].into_iter().find(|known| *known == format)
}

/// Names of documents: Converse takes letters, digits, single spaces, hyphens and brackets, and each once in a request.
#[derive(Default)]
pub(super) struct Names(HashSet<String>);

impl Names {
    /// A name like `name` that may be used, and was not yet.
    pub(super) fn legal(&mut self, name: Option<&str>) -> String {
        let name = name.unwrap_or_default();
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| if stem.is_empty() { name } else { stem });
        let plain: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() || "-()[]".contains(c) { c } else { ' ' }).take(180).collect();
        let clean = plain.split_whitespace().collect::<Vec<_>>().join(" ");
        let clean = if clean.is_empty() { "document".to_owned() } else { clean };
        let mut unique = clean.clone();
        let mut nth = 2;
        while !self.0.insert(unique.clone()) {
            unique = format!("{clean} {nth}");
            nth += 1;
        }
        unique
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn formats_are_found() {
        let base64 = |mime: &str| Source::Base64 { mime: mime.into(), data: "AA==".into() };
        for (source, name, file, wanted) in [
            (base64("image/JPG"), None, false, Ok(("image", "jpeg"))),
            (base64("text/plain; charset=utf-8"), None, true, Ok(("document", "txt"))),
            (base64("text/x-rust"), None, true, Ok(("document", "txt"))),
            (base64("application/octet-stream"), Some("a.XLSX"), true, Ok(("document", "xlsx"))),
            (base64("application/zip"), None, true, Err("the media type \"application/zip\" is not taken")),
            (base64("image/tiff"), Some("x.png"), false, Err("the media type \"image/tiff\" is not taken")),
            (Source::Url("s3://bucket/a/film.mp4".into()), None, true, Ok(("video", "mp4"))),
            (Source::Url("https://host/a.png".into()), None, false, Err("files are not fetched from a URL; send their bytes as base64, or an s3:// URL")),
        ] {
            let got = Media::of(&source, name, file).map(|m| (m.block, m.format));
            assert_eq!(got.as_ref().map_err(String::as_str), wanted.as_ref().map_err(|e| *e), "{source:?}");
        }
    }

    #[test]
    fn names_are_legal_and_unique() {
        let mut names = Names::default();
        for (name, wanted) in [
            (Some("Q3 report_final.v2.pdf"), "Q3 report final v2"),
            (Some("Q3 report_final.v2.pdf"), "Q3 report final v2 2"),
            (None, "document"),
            (Some("  "), "document 2"),
            (Some(".env"), "env"),
            (Some("grüße (1).txt"), "gr e (1)"),
        ] {
            assert_eq!(names.legal(name), wanted, "{name:?}");
        }
    }
}
