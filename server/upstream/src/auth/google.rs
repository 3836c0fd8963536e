//! Google Cloud's application default credentials: a service account's or a user's file, else the metadata server.
//!
//! ("How Application Default Credentials works", "Using OAuth 2.0 for Server to Server Applications",
//! "View and query VM metadata".)

use std::{path::PathBuf, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Request, Response};
use ring::{rand::SystemRandom, rsa::KeyPair, signature::RSA_PKCS1_SHA256};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use serde::Deserialize;

use super::{
    ask::ask,
    kept::{Kept, Lease},
    secrets::{Key, Secrets},
    token::{escape, form, lease, now},
};
use crate::pool::Pool;

/// What the token is for.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// Where tokens come from unless the file says otherwise.
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";
/// The metadata server, on Google's machines alone.
const METADATA: &str = "metadata.google.internal";
/// How long a token endpoint may take.
const LIMIT: Duration = Duration::from_secs(10);
/// How long the metadata server may take: it is on the same machine, or not there.
const NEAR: Duration = Duration::from_secs(3);

/// One token for all of Google Cloud.
#[derive(Default)]
pub(super) struct Google(Kept<Key>);

#[derive(Deserialize)]
struct File {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    client_email: String,
    #[serde(default)]
    private_key: String,
    #[serde(default)]
    private_key_id: String,
    #[serde(default)]
    client_id: String,
    #[serde(default)]
    client_secret: String,
    #[serde(default)]
    refresh_token: String,
    #[serde(default)]
    token_uri: Option<String>,
}

impl Google {
    /// The token, fetched where none serves. Fails with what is wrong and what to do.
    pub(super) async fn token(&self, pool: &Pool, secrets: &Secrets) -> Result<Arc<Key>, String> {
        self.0.get(|| fetch(pool, secrets)).await
    }

    /// The host refused the token.
    pub(super) fn forget(&self) {
        self.0.forget();
    }
}

async fn fetch(pool: &Pool, secrets: &Secrets) -> Result<Lease<Key>, String> {
    let Some((path, named)) = file(secrets) else { return metadata(pool, secrets).await };
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(_) if !named => return metadata(pool, secrets).await,
        Err(error) => return Err(format!("cannot read {} (GOOGLE_APPLICATION_CREDENTIALS): {error}", path.display())),
    };
    // The parser's own words may repeat what it read.
    let file: File = serde_json::from_slice(&text).map_err(|_| format!("{} holds no credentials: it is not JSON of that form", path.display()))?;
    let uri = file.token_uri.as_deref().filter(|uri| !uri.is_empty()).unwrap_or(TOKEN_URI);
    let question = match file.kind.as_str() {
        "service_account" => {
            let assertion = assertion(&file, uri, now()).map_err(|what| format!("cannot use {}: {what}", path.display()))?;
            form(uri, &[("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", &assertion)])?
        }
        "authorized_user" => form(
            uri,
            &[("grant_type", "refresh_token"), ("client_id", &file.client_id), ("client_secret", &file.client_secret), ("refresh_token", &file.refresh_token)],
        )?,
        other => {
            return Err(format!(
                "{} holds credentials of the kind \"{other}\", which this build cannot use; use a service account's key, or a ready token by api_key_env",
                path.display()
            ));
        }
    };
    read(uri, &ask(pool, question, LIMIT).await?)
}

/// The credentials' file, and whether somebody named it.
fn file(secrets: &Secrets) -> Option<(PathBuf, bool)> {
    if let Some(path) = secrets.env("GOOGLE_APPLICATION_CREDENTIALS") {
        return Some((path.into(), true));
    }
    let folder = match (secrets.env("CLOUDSDK_CONFIG"), secrets.env("APPDATA"), secrets.env("HOME")) {
        (Some(folder), _, _) => PathBuf::from(folder),
        (None, Some(data), _) => PathBuf::from(data).join("gcloud"),
        (None, None, Some(home)) => PathBuf::from(home).join(".config/gcloud"),
        (None, None, None) => return None,
    };
    Some((folder.join("application_default_credentials.json"), false))
}

/// A token of the machine's own service account.
async fn metadata(pool: &Pool, secrets: &Secrets) -> Result<Lease<Key>, String> {
    let host = secrets.env("GCE_METADATA_HOST").or_else(|| secrets.env("GCE_METADATA_IP")).unwrap_or(METADATA);
    let place = format!("http://{host}/computeMetadata/v1/instance/service-accounts/default/token");
    let question = Request::get(format!("{place}?scopes={}", escape(SCOPE)))
        .header("metadata-flavor", "Google")
        .body(Bytes::new())
        .map_err(|error| format!("{place} is no URL ({error})"))?;
    let nothing =
        |why: String| format!("no credentials here ({why}): set GOOGLE_APPLICATION_CREDENTIALS to a service account's file, or a ready token by api_key_env");
    let answer = ask(pool, question, NEAR).await.map_err(nothing)?;
    read(&place, &answer).map_err(nothing)
}

fn read(place: &str, answer: &Response<Bytes>) -> Result<Lease<Key>, String> {
    lease(place, answer, now())
}

/// What a service account says to be given a token: a JSON Web Token signed with its key (RFC 7523).
fn assertion(file: &File, audience: &str, now: u64) -> Result<String, String> {
    let key = PrivateKeyDer::from_pem_slice(file.private_key.as_bytes()).map_err(|_| "private_key is not PEM")?;
    let pair = match &key {
        PrivateKeyDer::Pkcs8(der) => KeyPair::from_pkcs8(der.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(der) => KeyPair::from_der(der.secret_pkcs1_der()),
        _ => return Err("private_key is no RSA key".to_owned()),
    };
    let pair = pair.map_err(|error| format!("private_key: {error}"))?;
    let mut header = serde_json::json!({ "alg": "RS256", "typ": "JWT" });
    if let (Some(header), false) = (header.as_object_mut(), file.private_key_id.is_empty()) {
        header.insert("kid".to_owned(), file.private_key_id.as_str().into());
    }
    let claims = serde_json::json!({ "iss": file.client_email, "scope": SCOPE, "aud": audience, "iat": now, "exp": now + 3600 });
    let mut token = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), token.as_bytes(), &mut signature).map_err(|error| format!("private_key: {error}"))?;
    token.push('.');
    token.push_str(&URL_SAFE_NO_PAD.encode(signature));
    Ok(token)
}
