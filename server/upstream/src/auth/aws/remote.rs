//! Credentials from endpoints: the Security Token Service, a container's, an instance's.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use serde::Deserialize;

use super::{Credentials, sign::sign, time::Moment};
use crate::{
    auth::{ask::ask, kept::Lease, secrets::Secrets, token::form},
    pool::Pool,
};

/// How long the Security Token Service may take.
const LIMIT: Duration = Duration::from_secs(10);
/// How long an endpoint on the machine itself may take.
const NEAR: Duration = Duration::from_secs(2);
/// The metadata service of instances.
const IMDS: &str = "http://169.254.169.254";
/// The same by IPv6.
const IMDS_V6: &str = "http://[fd00:ec2::254]";
/// Where a relative URI of a container leads.
const CONTAINER: &str = "http://169.254.170.2";
/// Hosts that a container's full URI may name without TLS: its own machine, and Amazon's agents.
const NEAR_HOSTS: &[&str] = &["localhost", "127.0.0.1", "[::1]", "169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"];

/// What a role is asked for by.
pub(super) struct Role<'a> {
    /// Its ARN.
    pub arn: &'a str,
    /// What the session is called in the account's log.
    pub session: Option<&'a str>,
    /// Agreed with the account that owns it.
    pub external_id: Option<&'a str>,
    /// Seconds.
    pub duration: Option<&'a str>,
}

/// How containers and instances answer.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Answer {
    code: Option<String>,
    access_key_id: Option<String>,
    secret_access_key: Option<String>,
    token: Option<String>,
    /// What `credential_process` calls it.
    session_token: Option<String>,
    expiration: Option<String>,
}

/// A role for a token of the cluster's own (`AssumeRoleWithWebIdentity`).
pub(super) async fn web_identity(pool: &Pool, secrets: &Secrets, region: &str, role: &Role<'_>, file: &str) -> Result<Lease<Credentials>, String> {
    // Read anew each time: the file is replaced before its token ends.
    let token = std::fs::read_to_string(file).map_err(|error| format!("cannot read {file} (AWS_WEB_IDENTITY_TOKEN_FILE): {error}"))?;
    let endpoint = sts(secrets, region);
    let mut fields = role.fields("AssumeRoleWithWebIdentity");
    fields.push(("WebIdentityToken", token.trim()));
    session(&endpoint, &ask(pool, form(&endpoint, &fields)?, LIMIT).await?)
}

/// A role for credentials that one has (`AssumeRole`).
pub(super) async fn assume(pool: &Pool, secrets: &Secrets, region: &str, role: &Role<'_>, with: &Credentials) -> Result<Lease<Credentials>, String> {
    let endpoint = sts(secrets, region);
    let (mut parts, body) = form(&endpoint, &role.fields("AssumeRole"))?.into_parts();
    sign(with, region, "sts", Moment::now(), &mut parts, &body)?;
    session(&endpoint, &ask(pool, Request::from_parts(parts, body), LIMIT).await?)
}

/// The credentials of a task, a pod or a function, where its environment says where they are.
pub(super) async fn container(pool: &Pool, secrets: &Secrets) -> Option<Result<Lease<Credentials>, String>> {
    let place = match (secrets.env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"), secrets.env("AWS_CONTAINER_CREDENTIALS_FULL_URI")) {
        (Some(path), _) => format!("{CONTAINER}{path}"),
        (None, Some(full)) => full.to_owned(),
        (None, None) => return None,
    };
    Some(from_container(pool, secrets, &place).await)
}

async fn from_container(pool: &Pool, secrets: &Secrets, place: &str) -> Result<Lease<Credentials>, String> {
    let uri: http::Uri = place.parse().map_err(|error| format!("AWS_CONTAINER_CREDENTIALS_FULL_URI: {place} is no URL ({error})"))?;
    let near = uri.host().is_some_and(|host| NEAR_HOSTS.contains(&host) || host.starts_with("127."));
    if uri.scheme_str() != Some("https") && !near {
        return Err(format!("AWS_CONTAINER_CREDENTIALS_FULL_URI: {place} is neither https nor on this machine"));
    }
    let token = match (secrets.env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"), secrets.env("AWS_CONTAINER_AUTHORIZATION_TOKEN")) {
        (Some(file), _) => {
            let text = std::fs::read_to_string(file).map_err(|error| format!("cannot read {file} (AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE): {error}"))?;
            Some(text.trim().to_owned())
        }
        (None, token) => token.map(str::to_owned),
    };
    let mut question = Request::get(uri);
    if let Some(token) = token {
        let token = crate::auth::secrets::sensitive(&token).ok_or("the container's authorization token cannot be a header")?;
        question = question.header("authorization", token);
    }
    let question = question.body(Bytes::new()).map_err(|error| format!("{place}: {error}"))?;
    read(place, &ask(pool, question, LIMIT).await?)
}

/// The credentials of an instance's role, by the session-oriented metadata service (IMDSv2) alone.
pub(super) async fn instance(pool: &Pool, secrets: &Secrets) -> Result<Lease<Credentials>, String> {
    let v6 = secrets.env("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE").is_some_and(|mode| mode.eq_ignore_ascii_case("ipv6"));
    let base = secrets.env("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or(if v6 { IMDS_V6 } else { IMDS }).trim_end_matches('/');
    let question = |method: Method, path: &str, name: &'static str, value: &str| {
        let request = Request::builder().method(method).uri(format!("{base}{path}")).header(name, value).body(Bytes::new());
        request.map_err(|error| format!("AWS_EC2_METADATA_SERVICE_ENDPOINT: {base} is no URL ({error})"))
    };
    let text = |answer: &Response<Bytes>| String::from_utf8_lossy(answer.body()).trim().to_owned();
    let token = ask(pool, question(Method::PUT, "/latest/api/token", "x-aws-ec2-metadata-token-ttl-seconds", "21600")?, NEAR).await?;
    if !token.status().is_success() {
        return Err(format!("{base}/latest/api/token answered with status {}", token.status().as_u16()));
    }
    let token = text(&token);
    let get = |path: &str| question(Method::GET, path, "x-aws-ec2-metadata-token", &token);
    const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
    let roles = ask(pool, get(ROLES)?, NEAR).await?;
    let role = text(&roles).lines().next().unwrap_or_default().trim().to_owned();
    if roles.status() == StatusCode::NOT_FOUND || role.is_empty() {
        return Err("the instance has no role".to_owned());
    }
    let path = format!("{ROLES}{role}");
    read(&format!("{base}{path}"), &ask(pool, get(&path)?, NEAR).await?)
}

impl<'a> Role<'a> {
    fn fields(&self, action: &'a str) -> Vec<(&'a str, &'a str)> {
        let mut fields = vec![("Action", action), ("Version", "2011-06-15"), ("RoleArn", self.arn), ("RoleSessionName", self.session.unwrap_or("headworks"))];
        fields.extend(self.external_id.map(|id| ("ExternalId", id)));
        fields.extend(self.duration.map(|seconds| ("DurationSeconds", seconds)));
        fields
    }
}

/// The endpoint of the Security Token Service.
fn sts(secrets: &Secrets, region: &str) -> String {
    if let Some(url) = secrets.env("AWS_ENDPOINT_URL_STS").or_else(|| secrets.env("AWS_ENDPOINT_URL")) {
        return format!("{}/", url.trim_end_matches('/'));
    }
    let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
    format!("https://sts.{region}.amazonaws.com{suffix}/")
}

/// The session in an answer of the Security Token Service, which is XML.
fn session(place: &str, answer: &Response<Bytes>) -> Result<Lease<Credentials>, String> {
    let text = String::from_utf8_lossy(answer.body());
    let one = |name: &str| {
        let inner = text.split_once(&format!("<{name}>"))?.1.split_once(&format!("</{name}>"))?.0;
        Some(inner.trim().replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    };
    if !answer.status().is_success() {
        let why: String = format!("{} {}", one("Code").unwrap_or_default(), one("Message").unwrap_or_default()).chars().take(300).collect();
        return Err(format!("{place} answered with status {}: {}", answer.status().as_u16(), why.trim()));
    }
    let (Some(id), Some(secret)) = (one("AccessKeyId"), one("SecretAccessKey")) else {
        return Err(format!("{place} gave no credentials"));
    };
    Ok(lease(&id, &secret, one("SessionToken").as_deref(), one("Expiration").as_deref()))
}

/// The credentials in an answer of a container's or instance's endpoint, which is JSON.
fn read(place: &str, answer: &Response<Bytes>) -> Result<Lease<Credentials>, String> {
    if !answer.status().is_success() {
        return Err(format!("{place} answered with status {}", answer.status().as_u16()));
    }
    parse(place, answer.body())
}

/// The credentials in JSON: of an endpoint, or of a `credential_process`.
pub(super) fn parse(place: &str, body: &[u8]) -> Result<Lease<Credentials>, String> {
    // The parser's own words may repeat what it read.
    let answer: Answer = serde_json::from_slice(body).map_err(|_| format!("{place} gave no credentials in JSON"))?;
    if let Some(code) = answer.code.as_deref().filter(|code| *code != "Success") {
        return Err(format!("{place} gave no credentials: {code}"));
    }
    let (Some(id), Some(secret)) = (answer.access_key_id, answer.secret_access_key) else {
        return Err(format!("{place} gave no credentials"));
    };
    Ok(lease(&id, &secret, answer.token.or(answer.session_token).as_deref(), answer.expiration.as_deref()))
}

fn lease(id: &str, secret: &str, token: Option<&str>, ends: Option<&str>) -> Lease<Credentials> {
    let lasts = ends.and_then(Moment::read).map(|ends| Duration::from_secs(ends.0.saturating_sub(Moment::now().0)));
    Lease { value: Credentials::new(id, secret, token), lasts }
}
