//! Microsoft Entra ID: a client's secret, a federated token (workload identity), or a managed identity.
//!
//! ("Microsoft identity platform and the OAuth 2.0 client credentials flow", "Azure Identity: environment variables",
//! "How managed identities for Azure resources work", "Use managed identities for App Service".)

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::Request;

use super::{
    ask::ask,
    kept::{Kept, Lease},
    secrets::{Key, Secrets},
    token::{escape, form, lease, now},
};
use crate::pool::Pool;

/// What the token is for: Azure's AI services.
const RESOURCE: &str = "https://cognitiveservices.azure.com";
/// Microsoft's public cloud; national clouds have others.
const AUTHORITY: &str = "https://login.microsoftonline.com";
/// The metadata service of Azure's machines.
const IMDS: &str = "http://169.254.169.254";
/// How long a token endpoint may take.
const LIMIT: Duration = Duration::from_secs(10);
/// How long the metadata service may take.
const NEAR: Duration = Duration::from_secs(3);

/// One token for all of Azure's AI services.
#[derive(Default)]
pub(super) struct Entra(Kept<Key>);

impl Entra {
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
    let (tenant, client) = (secrets.env("AZURE_TENANT_ID"), secrets.env("AZURE_CLIENT_ID"));
    let (Some(tenant), Some(client)) = (tenant, client) else { return managed(pool, secrets).await };
    let scope = format!("{RESOURCE}/.default");
    let authority = secrets.env("AZURE_AUTHORITY_HOST").unwrap_or(AUTHORITY).trim_end_matches('/');
    let url = format!("{authority}/{}/oauth2/v2.0/token", escape(tenant));
    let mut fields = vec![("grant_type", "client_credentials"), ("client_id", client), ("scope", &scope)];
    let federated;
    if let Some(secret) = secrets.env("AZURE_CLIENT_SECRET") {
        fields.push(("client_secret", secret));
    } else if let Some(path) = secrets.env("AZURE_FEDERATED_TOKEN_FILE") {
        // Read anew each time: the file is replaced before its token ends.
        federated = std::fs::read_to_string(path).map_err(|error| format!("cannot read {path} (AZURE_FEDERATED_TOKEN_FILE): {error}"))?;
        fields.push(("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
        fields.push(("client_assertion", federated.trim()));
    } else {
        return managed(pool, secrets).await;
    }
    let answer = ask(pool, form(&url, &fields)?, LIMIT).await?;
    lease(&url, &answer, now())
}

/// A token of the identity that Azure gave to the machine or the app.
async fn managed(pool: &Pool, secrets: &Secrets) -> Result<Lease<Key>, String> {
    let (endpoint, version, name, value) = match (secrets.env("IDENTITY_ENDPOINT"), secrets.env("IDENTITY_HEADER")) {
        (Some(endpoint), Some(header)) => (endpoint.to_owned(), "2019-08-01", "x-identity-header", header),
        _ => {
            let host = secrets.env("AZURE_POD_IDENTITY_AUTHORITY_HOST").unwrap_or(IMDS).trim_end_matches('/');
            (format!("{host}/metadata/identity/oauth2/token"), "2018-02-01", "metadata", "true")
        }
    };
    let mut url = format!("{endpoint}?api-version={version}&resource={}", escape(RESOURCE));
    // An identity of the user's own, where the machine has several.
    if let Some(client) = secrets.env("AZURE_CLIENT_ID") {
        url.push_str(&format!("&client_id={}", escape(client)));
    }
    let question = Request::get(&url).header(name, value).body(Bytes::new()).map_err(|error| format!("{endpoint} is no URL ({error})"))?;
    let nothing = |why: String| {
        format!("no credentials here ({why}): set AZURE_API_KEY, or AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET or AZURE_FEDERATED_TOKEN_FILE")
    };
    let answer = ask(pool, question, NEAR).await.map_err(nothing)?;
    lease(&endpoint, &answer, now()).map_err(nothing)
}
