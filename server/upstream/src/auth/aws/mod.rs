//! Amazon: Signature Version 4 with what the credential chain finds.

mod chain;
mod profile;
mod remote;
mod sign;
mod time;

use bytes::Bytes;
use headworks_core::{DialectName, Fault, Host};
use http::{HeaderMap, request::Parts};

use super::{Shown, kept::Kept, refused, secrets::Secrets};
use crate::pool::Pool;

/// The region where nobody names one: what Amazon's own tools took first.
const REGION: &str = "us-east-1";

/// One set of credentials for all of Amazon.
#[derive(Default)]
pub(super) struct Aws(Kept<Credentials>);

/// Keys to sign with.
pub(super) struct Credentials {
    access_key_id: Box<str>,
    secret_access_key: Box<str>,
    session_token: Option<Box<str>>,
    /// What no fault may repeat.
    shown: Shown,
}

impl Credentials {
    fn new(id: &str, secret: &str, token: Option<&str>) -> Self {
        let token = token.filter(|token| !token.is_empty());
        Self {
            access_key_id: id.into(),
            secret_access_key: secret.into(),
            session_token: token.map(Into::into),
            shown: Shown::of([secret, token.unwrap_or_default()]),
        }
    }
}

impl Aws {
    /// Signs the request with credentials of the chain.
    pub(super) async fn authorise(&self, pool: &Pool, secrets: &Secrets, host: &Host, parts: &mut Parts, body: &Bytes) -> Result<Shown, Fault> {
        let region = region(host);
        let found = self.0.get(|| chain::find(pool, secrets, region)).await;
        let credentials = found.map_err(|why| refused(host, &why))?;
        sign::sign(&credentials, region, service(host), time::Moment::now(), parts, body).map_err(|why| refused(host, &why))?;
        Ok(credentials.shown.clone())
    }

    /// The host refused what it was shown: credentials that ended early are not shown again.
    pub(super) fn refused(&self, headers: &HeaderMap) {
        let kind = headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok()).unwrap_or_default();
        if ["ExpiredToken", "UnrecognizedClient", "InvalidSignature", "InvalidClientTokenId"].iter().any(|word| kind.starts_with(word)) {
            self.0.forget();
        }
    }
}

/// The host's region: as configured, or as its address says.
fn region(host: &Host) -> &str {
    host.options
        .region
        .as_deref()
        .or_else(|| host.base_url.split_once("://")?.1.split('.').nth(1).filter(|part| part.matches('-').count() >= 2))
        .unwrap_or(REGION)
}

/// What the signature is for: Converse, or the endpoint that speaks other dialects.
fn service(host: &Host) -> &'static str {
    if host.dialect == Some(DialectName::Bedrock) { "bedrock" } else { "bedrock-mantle" }
}
