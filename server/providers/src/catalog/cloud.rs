//! What clouds need to know beside a URL, and where they are when nobody says: configuration first, then their
//! usual environment variables.

use std::sync::Arc;

use headworks_core::{AuthScheme, DialectName, Host, HostOptions, Model};

use super::{Env, HostOverride};

/// The first API version of Azure that takes `stream_options` and `max_completion_tokens` in chat completions.
const AZURE_OPTIONS: &str = "2024-09-01";

/// What configuration and environment say.
pub(super) fn options(dialect: Option<DialectName>, over: Option<&HostOverride>, env: Env<'_>) -> HostOptions {
    let none = HostOverride::default();
    let over = over.unwrap_or(&none);
    let said = |value: &Option<String>| value.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(Arc::<str>::from);
    let mut options = HostOptions {
        region: said(&over.region),
        project: said(&over.project),
        location: said(&over.location),
        residency: said(&over.residency),
        api_version: said(&over.api_version),
        deployments: over.deployments.iter().map(|(model, name)| (model.as_str().into(), name.as_str().into())).collect(),
        ..HostOptions::default()
    };
    if dialect == Some(DialectName::Bedrock) {
        options.region = options.region.or_else(|| set(env, "AWS_REGION")).or_else(|| set(env, "AWS_DEFAULT_REGION"));
    }
    if dialect == Some(DialectName::Vertex) {
        let redirected = over.base_url.is_some();
        let from = |names: &[&str]| names.iter().find_map(|name| set(env, name));
        options.project = options.project.or_else(|| from(&["GOOGLE_VERTEX_PROJECT", "GOOGLE_CLOUD_PROJECT"])).or_else(|| redirected.then(|| "-".into()));
        options.location = options.location.or_else(|| from(&["GOOGLE_VERTEX_LOCATION", "GOOGLE_CLOUD_LOCATION"])).or_else(|| Some("global".into()));
    }
    options
}

/// Fills in the URL of a cloud's region or resource where the configuration gave none, and what follows from its options.
pub(super) fn complete(host: &mut Host, redirected: bool, env: Env<'_>) {
    if let (true, Some(account)) = (host.base_url.contains("{account_id}"), set(env, "CLOUDFLARE_ACCOUNT_ID")) {
        host.base_url = host.base_url.replace("{account_id}", &account).into();
    }
    match host.dialect {
        Some(DialectName::Vertex) => {
            if host.regions.is_empty() {
                host.regions = vec![residence(host.options.location.as_deref().unwrap_or("global"))];
            }
            if redirected {
                return;
            }
            // As in Google's documents "Locations" and "Global endpoint": multi-regions have names of their own.
            let place = match host.options.location.as_deref() {
                None | Some("global") => return,
                Some(many @ ("us" | "eu")) => format!("https://aiplatform.{many}.rep.googleapis.com"),
                Some(region) => format!("https://{region}-aiplatform.googleapis.com"),
            };
            if let Some(path) = host.base_url.strip_prefix("https://aiplatform.googleapis.com") {
                host.base_url = format!("{place}{path}").into();
            }
        }
        Some(DialectName::Azure) => {
            if !redirected {
                if let Some(endpoint) = set(env, "AZURE_OPENAI_ENDPOINT") {
                    let endpoint = endpoint.trim_end_matches('/');
                    let endpoint = endpoint.strip_suffix("/v1").unwrap_or(endpoint);
                    host.base_url = if endpoint.ends_with("/openai") { endpoint.into() } else { format!("{endpoint}/openai").into() };
                } else if let Some(resource) = set(env, "AZURE_RESOURCE_NAME") {
                    host.base_url = host.base_url.replace("{resource}", &resource).into();
                }
            } else if let Some(base) = host.base_url.strip_suffix("/v1") {
                host.base_url = base.into();
            }
            if host.options.api_version.as_deref().is_some_and(|version| version < AZURE_OPTIONS) {
                host.quirks.stream_usage_option = false;
                host.quirks.max_tokens_field = "max_tokens".into();
            }
        }
        Some(DialectName::Bedrock) => {
            let region = host.options.region.clone();
            if redirected {
                // Nothing goes where the operator did not point: the other dialects are at the same place.
                for (dialect, url) in &mut host.options.endpoints {
                    *url = format!("{}{}", host.base_url, if *dialect == DialectName::Anthropic { "/anthropic" } else { "/v1" }).into();
                }
            } else if let Some(region) = region {
                for url in host.options.endpoints.iter_mut().map(|(_, url)| url).chain([&mut host.base_url]) {
                    *url = url.replace("{region}", &region).into();
                }
                if region.starts_with("cn-") {
                    host.base_url = host.base_url.replace(".amazonaws.com", ".amazonaws.com.cn").into();
                }
            }
        }
        _ => {}
    }
}

/// Says where a cloud's models run that run where the host is. Only for models that are known: the name of another
/// may stand for a profile that leaves the region.
pub(super) fn settle(host: &Host, models: &mut [Model]) {
    let (Some(DialectName::Bedrock), Some(region), true) = (host.dialect, &host.options.region, host.regions.is_empty()) else { return };
    for model in models.iter_mut().filter(|model| model.regions.is_empty()) {
        let own = model.id.model.split_once('/').map_or(&**region, |(own, _)| own);
        model.regions = vec![amazon(own)];
    }
}

/// Amazon's regions inside the European Union; `eu-west-2` is London, `eu-central-2` Zürich.
const AMAZON_EU: [&str; 6] = ["eu-central-1", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-3"];

/// Where a region of Amazon's is, in the words of residency: `eu`, `us`, `us-gov`, else the region itself.
fn amazon(region: &str) -> Arc<str> {
    match region {
        member if AMAZON_EU.contains(&member) => "eu".into(),
        gov if gov.starts_with("us-gov-") => "us-gov".into(),
        us if us.starts_with("us-") => "us".into(),
        other => other.into(),
    }
}

/// What a host that is not configured lacks, where that is more than its key.
pub(super) fn missing(host: &Host) -> Option<Arc<str>> {
    if host.auth != AuthScheme::Aws {
        return None;
    }
    let key = host.key_env.first().map_or("AWS_BEARER_TOKEN_BEDROCK", |name| name);
    let mut lacks = Vec::new();
    if host.base_url.contains("{region}") {
        lacks.push(format!("the region: set region in [providers.{}], or AWS_REGION", host.id));
    }
    lacks.push(format!(
        "credentials: set {key}, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; a section [providers.{}] is enough where the machine has a role",
        host.id
    ));
    Some(lacks.join("; ").into())
}

/// There are credentials other than a key: asked for in the configuration, or found where the cloud's own tools look.
/// What only a call could tell (a metadata server, a managed identity) counts where the provider was configured.
pub(super) fn credentials(host: &Host, asked: bool, env: Env<'_>) -> bool {
    let has = |name: &str| set(env, name).is_some();
    match host.auth {
        AuthScheme::Google => host.options.project.is_some() && (asked || has("GOOGLE_APPLICATION_CREDENTIALS")),
        AuthScheme::Azure => {
            let entra = has("AZURE_TENANT_ID") && has("AZURE_CLIENT_ID") && (has("AZURE_CLIENT_SECRET") || has("AZURE_FEDERATED_TOKEN_FILE"));
            asked || entra || has("IDENTITY_ENDPOINT")
        }
        AuthScheme::Aws => {
            let keys = has("AWS_ACCESS_KEY_ID") && has("AWS_SECRET_ACCESS_KEY");
            let role = has("AWS_WEB_IDENTITY_TOKEN_FILE") && has("AWS_ROLE_ARN");
            let container = has("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") || has("AWS_CONTAINER_CREDENTIALS_FULL_URI");
            asked || keys || role || container || has("AWS_PROFILE")
        }
        _ => false,
    }
}

/// Google's regions inside the European Union; `europe-west2` is London, `europe-west6` Zürich.
const EU: [&str; 11] = [
    "europe-central2",
    "europe-north1",
    "europe-north2",
    "europe-southwest1",
    "europe-west1",
    "europe-west3",
    "europe-west4",
    "europe-west8",
    "europe-west9",
    "europe-west10",
    "europe-west12",
];

/// Where a location of Google Cloud processes, in the words of residency: `eu`, `us`, else the location itself.
fn residence(location: &str) -> Arc<str> {
    match location {
        "eu" => "eu".into(),
        member if EU.contains(&member) => "eu".into(),
        us if us == "us" || us.starts_with("us-") => "us".into(),
        other => other.into(),
    }
}

fn set(env: Env<'_>, name: &str) -> Option<Arc<str>> {
    env(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty()).map(Arc::from)
}
