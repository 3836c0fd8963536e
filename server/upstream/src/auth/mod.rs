//! Credentials: what makes a request one that its host accepts.
//!
//! A host with a key is shown the key. A cloud without one is shown what its
//! credential chain finds: fetched once, kept until shortly before it runs out.

mod ask;
mod aws;
mod entra;
mod google;
mod kept;
mod secrets;
mod token;

use bytes::Bytes;
use headworks_core::{AuthScheme, Cause, Fault, Host, Reason};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::AUTHORIZATION, request::Parts};
pub(crate) use secrets::Shown;
pub use secrets::{BadKey, Secrets};

use crate::pool::Pool;

/// Everything that can authorise a request, with what it remembers.
pub(crate) struct Auth {
    secrets: Secrets,
    aws: aws::Aws,
    google: google::Google,
    entra: entra::Entra,
}

impl Auth {
    pub(crate) fn new(secrets: Secrets) -> Self {
        Self { secrets, aws: aws::Aws::default(), google: google::Google::default(), entra: entra::Entra::default() }
    }

    /// Makes `request`, with its full URL in `parts.uri`, one that `host` accepts, and says what must not be
    /// repeated to callers. Fails with `UPSTREAM_CREDENTIALS` where there is nothing to show.
    ///
    /// Called last: whatever is signed is complete. Headers added later are not signed.
    pub(crate) async fn authorise(&self, pool: &Pool, host: &Host, parts: &mut Parts, body: &Bytes) -> Result<Shown, Fault> {
        let key = self.secrets.key(&host.id);
        match (&host.auth, key) {
            (AuthScheme::None, _) => Ok(Shown::default()),
            (AuthScheme::Bearer | AuthScheme::Aws | AuthScheme::Google, Some(key)) => {
                parts.headers.insert(AUTHORIZATION, key.bearer.clone());
                Ok(key.shown.clone())
            }
            (AuthScheme::Header(name), Some(key)) => {
                show(host, name, key.plain.clone(), parts)?;
                Ok(key.shown.clone())
            }
            (AuthScheme::Azure, Some(key)) => {
                show(host, "api-key", key.plain.clone(), parts)?;
                Ok(key.shown.clone())
            }
            (AuthScheme::Bearer | AuthScheme::Header(_), None) => Err(missing(host)),
            (AuthScheme::Aws, None) => self.aws.authorise(pool, &self.secrets, host, parts, body).await,
            (AuthScheme::Google, None) => bear(host, self.google.token(pool, &self.secrets).await, parts),
            (AuthScheme::Azure, None) => bear(host, self.entra.token(pool, &self.secrets).await, parts),
            (AuthScheme::Unsupported(scheme), _) => Err(Fault::new(
                Reason::CapabilityMissing,
                format!("provider {} wants credentials of the kind \"{scheme}\", which this build cannot make; choose another provider", host.id),
            )),
        }
    }

    /// The host refused what it was shown (401, 403): what was fetched is not shown again.
    pub(crate) fn refused(&self, host: &Host, status: StatusCode, headers: &HeaderMap) {
        match host.auth {
            AuthScheme::Aws => self.aws.refused(headers),
            _ if status != StatusCode::UNAUTHORIZED => {}
            AuthScheme::Google if !self.secrets.contains(&host.id) => self.google.forget(),
            AuthScheme::Azure if !self.secrets.contains(&host.id) => self.entra.forget(),
            _ => {}
        }
    }
}

/// Shows a token that was fetched, or says why there is none.
fn bear(host: &Host, token: Result<std::sync::Arc<secrets::Key>, String>, parts: &mut Parts) -> Result<Shown, Fault> {
    let token = token.map_err(|why| refused(host, &format!("got no token: {why}")))?;
    parts.headers.insert(AUTHORIZATION, token.bearer.clone());
    Ok(token.shown.clone())
}

fn show(host: &Host, name: &str, value: HeaderValue, parts: &mut Parts) -> Result<(), Fault> {
    let name =
        HeaderName::from_bytes(name.as_bytes()).map_err(|_| Fault::internal(format!("provider {}: auth header \"{name}\" is not a header's name", host.id)))?;
    parts.headers.insert(name, value);
    Ok(())
}

/// There is nothing to show; says what the operator can do.
fn missing(host: &Host) -> Fault {
    let hint = match host.key_env.first() {
        Some(name) => format!("set the environment variable {name}, or api_key_env in [providers.{}]", host.id),
        None => format!("name its environment variable by api_key_env in [providers.{}]", host.id),
    };
    refused(host, &format!("has no key here: {hint}"))
}

/// No credentials could be had; `what` says why and what to do.
pub(crate) fn refused(host: &Host, what: &str) -> Fault {
    Fault::new(Reason::UpstreamCredentials, format!("provider {} {what}", host.id)).because(Cause::Credentials)
}
