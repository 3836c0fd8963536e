//! Puts a codec's request into a cloud's own paths. The codec inside stays as it is.

use bytes::Bytes;
use headworks_core::{DialectName, Fault, Reason, Target};
use http::Uri;

use crate::{Dialect, Encoded, spell::string};

/// The codec of the dialect inside; a fault where this build has none.
pub(crate) fn inside(target: &Target, name: DialectName) -> Result<&'static dyn Dialect, Fault> {
    crate::dialect(name).filter(|codec| !codec.name().is_envelope()).ok_or_else(|| {
        let message = format!("{} is spoken to in the dialect \"{}\", which this build does not speak; choose another target", target.id, name.as_str());
        Fault::new(Reason::CapabilityMissing, message).because(headworks_core::Cause::Unfit).at(&target.id)
    })
}

/// Sends the request elsewhere.
pub(crate) fn readdress(target: &Target, encoded: &mut Encoded, url: String) -> Result<(), Fault> {
    *encoded.request.uri_mut() = url.parse::<Uri>().map_err(|error| Fault::internal(format!("{}: base_url: {error}", target.id)))?;
    Ok(())
}

/// The JSON object `body` with `set` as its first member, and without the members named in `without`.
pub(crate) fn reshape(body: &[u8], set: Option<(&str, &str)>, without: &[&str]) -> Bytes {
    let mut out = Vec::with_capacity(body.len() + 64);
    out.push(b'{');
    if let Some((name, text)) = set {
        string(&mut out, name);
        out.push(b':');
        string(&mut out, text);
    }
    for member in crate::members(body).unwrap_or_default() {
        if without.contains(&&*member.name) || set.is_some_and(|(name, _)| name == &*member.name) {
            continue;
        }
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend_from_slice(body.get(member.key).unwrap_or_default());
        out.push(b':');
        out.extend_from_slice(body.get(member.value).unwrap_or_default());
    }
    out.push(b'}');
    out.into()
}

/// A name as one segment of a path.
pub(crate) fn segment(name: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'@' | b':');
    name.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}
