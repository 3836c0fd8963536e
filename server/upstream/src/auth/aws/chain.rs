//! Where credentials are looked for, in order: environment, profile, web identity, container, instance.

use std::time::Duration;

use super::{
    Credentials,
    profile::Profiles,
    remote::{self, Role},
};
use crate::{
    auth::{kept::Lease, secrets::Secrets},
    pool::Pool,
};

/// How many profiles may stand behind one another.
const DEPTH: usize = 5;
/// How long a `credential_process` may take.
const PROCESS: Duration = Duration::from_secs(30);
/// Credentials that do not end are looked for again after this long, since files change.
const AGAIN: Duration = Duration::from_secs(3_600);

/// What the chain finds first. Fails with everything that was tried.
pub(super) async fn find(pool: &Pool, secrets: &Secrets, region: &str) -> Result<Lease<Credentials>, String> {
    if let Some(credentials) = environment(secrets) {
        // The environment of a running process does not change.
        return Ok(Lease { value: credentials, lasts: None });
    }
    if let Some(found) = named(pool, secrets, region).await? {
        return Ok(found);
    }
    if let (Some(file), Some(arn)) = (secrets.env("AWS_WEB_IDENTITY_TOKEN_FILE"), secrets.env("AWS_ROLE_ARN")) {
        let role = Role { arn, session: secrets.env("AWS_ROLE_SESSION_NAME"), external_id: None, duration: None };
        return remote::web_identity(pool, secrets, region, &role, file).await;
    }
    if let Some(found) = remote::container(pool, secrets).await {
        return found;
    }
    let nothing = |why: &str| {
        format!(
            "found no credentials ({why}): set AWS_BEARER_TOKEN_BEDROCK, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, \
             or give the machine a role"
        )
    };
    if secrets.env("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Err(nothing("the instance's are turned off by AWS_EC2_METADATA_DISABLED"));
    }
    remote::instance(pool, secrets).await.map_err(|why| nothing(&why))
}

fn environment(secrets: &Secrets) -> Option<Credentials> {
    Some(Credentials::new(secrets.env("AWS_ACCESS_KEY_ID")?, secrets.env("AWS_SECRET_ACCESS_KEY")?, secrets.env("AWS_SESSION_TOKEN")))
}

/// The profile that is asked for, or the default one where it holds credentials.
async fn named(pool: &Pool, secrets: &Secrets, region: &str) -> Result<Option<Lease<Credentials>>, String> {
    let asked = secrets.env("AWS_PROFILE").or_else(|| secrets.env("AWS_DEFAULT_PROFILE"));
    let name = asked.unwrap_or("default");
    let profiles = Profiles::read(secrets)?;
    if asked.is_some() && profiles.get(name).is_none() {
        return Err(format!("there is no profile \"{name}\" (AWS_PROFILE) in ~/.aws/config or ~/.aws/credentials"));
    }
    let found = profile(pool, secrets, region, &profiles, name, DEPTH).await?;
    if asked.is_some() && found.is_none() {
        return Err(format!(
            "profile \"{name}\" holds no credentials that this build can use: keys, role_arn with source_profile, credential_source or \
             web_identity_token_file, or credential_process"
        ));
    }
    Ok(found)
}

/// What a profile gives: boxed, since profiles stand behind one another.
type Found<'a> = std::pin::Pin<Box<dyn Future<Output = Result<Option<Lease<Credentials>>, String>> + Send + 'a>>;

/// The credentials of one profile; `None` where it holds none.
fn profile<'a>(pool: &'a Pool, secrets: &'a Secrets, region: &'a str, profiles: &'a Profiles, name: &'a str, depth: usize) -> Found<'a> {
    Box::pin(async move {
        let Some(settings) = profiles.get(name) else { return Ok(None) };
        let get = |key: &str| settings.get(key).map(String::as_str).filter(|value| !value.is_empty());
        let Some(arn) = get("role_arn") else {
            if let (Some(id), Some(secret)) = (get("aws_access_key_id"), get("aws_secret_access_key")) {
                return Ok(Some(Lease { value: Credentials::new(id, secret, get("aws_session_token")), lasts: Some(AGAIN) }));
            }
            return match get("credential_process") {
                Some(command) => process(name, command).await.map(Some),
                None => Ok(None),
            };
        };
        let role = Role { arn, session: get("role_session_name"), external_id: get("external_id"), duration: get("duration_seconds") };
        if let Some(file) = get("web_identity_token_file") {
            return remote::web_identity(pool, secrets, region, &role, file).await.map(Some);
        }
        let lacks = || format!("profile \"{name}\" has a role_arn, but neither source_profile nor credential_source that holds credentials");
        let source = match (get("source_profile"), get("credential_source")) {
            (Some(_), _) if depth == 0 => return Err(format!("profile \"{name}\": too many profiles stand behind one another")),
            // A profile may be its own source: its keys then assume its role.
            (Some(source), _) if source == name => match (get("aws_access_key_id"), get("aws_secret_access_key")) {
                (Some(id), Some(secret)) => Credentials::new(id, secret, get("aws_session_token")),
                _ => return Err(lacks()),
            },
            (Some(source), _) => profile(pool, secrets, region, profiles, source, depth - 1).await?.ok_or_else(lacks)?.value,
            (None, Some("Environment")) => environment(secrets).ok_or_else(lacks)?,
            (None, Some("EcsContainer")) => remote::container(pool, secrets).await.ok_or_else(lacks)??.value,
            (None, Some("Ec2InstanceMetadata")) => remote::instance(pool, secrets).await?.value,
            (None, _) => return Err(lacks()),
        };
        remote::assume(pool, secrets, region, &role, &source).await.map(Some)
    })
}

/// Runs the program that a profile names, without a shell.
async fn process(name: &str, command: &str) -> Result<Lease<Credentials>, String> {
    let words = words(command);
    let failed = |why: &str| format!("profile \"{name}\": credential_process {why}");
    let (program, arguments) = words.split_first().ok_or_else(|| failed("is empty"))?;
    let mut child = tokio::process::Command::new(program);
    child.args(arguments).stdin(std::process::Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PROCESS, child.output()).await.map_err(|_| failed("did not end in time"))?;
    let output = output.map_err(|error| failed(&format!("cannot be run: {error}")))?;
    if !output.status.success() {
        return Err(failed(&format!("ended with {}", output.status)));
    }
    remote::parse(&format!("credential_process of profile \"{name}\""), &output.stdout)
}

/// A command's words; double quotes hold one together.
fn words(command: &str) -> Vec<String> {
    let (mut out, mut word, mut quoted, mut any) = (Vec::new(), String::new(), false, false);
    for c in command.chars() {
        match c {
            '"' => (quoted, any) = (!quoted, true),
            c if c.is_whitespace() && !quoted => {
                if std::mem::take(&mut any) {
                    out.push(std::mem::take(&mut word));
                }
            }
            c => {
                word.push(c);
                any = true;
            }
        }
    }
    if any {
        out.push(word);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn commands_are_cut_into_words() {
        assert_eq!(words(r#" /opt/bin/x  --a "b c" "" d"#), ["/opt/bin/x", "--a", "b c", "", "d"]);
        assert!(words("  ").is_empty());
    }
}
