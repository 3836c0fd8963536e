use std::{collections::HashMap, fmt, sync::Arc};

use headworks_core::{AuthScheme, Cause, Fault, Host, Reason, UpstreamError};
use http::{HeaderName, HeaderValue, header::AUTHORIZATION};

/// The hosts' keys. Nothing prints them, and no key leaves this crate but in a request to its host.
#[derive(Clone, Default)]
pub struct Secrets(HashMap<Arc<str>, Arc<Key>>);

/// A key that cannot be one.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Nothing but white space.
    #[error("the key of provider {0} is empty: set it, or leave its variable unset")]
    Empty(Arc<str>),
    /// Characters that no HTTP header can carry.
    #[error("the key of provider {0} holds characters that an HTTP header cannot carry, such as a line break")]
    NotAHeader(Arc<str>),
}

/// A host's key with the headers made of it.
pub(crate) struct Key {
    text: Box<str>,
    plain: HeaderValue,
    bearer: HeaderValue,
}

impl Secrets {
    /// No keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps the key of the host with this id, in place of an earlier one. White
    /// space around it is dropped, since files and shells add it.
    pub fn insert(&mut self, host: impl Into<Arc<str>>, key: &str) -> Result<(), BadKey> {
        let (host, key) = (host.into(), key.trim());
        if key.is_empty() {
            return Err(BadKey::Empty(host));
        }
        let header = |text: &str| {
            let mut value = HeaderValue::from_str(text).map_err(|_| BadKey::NotAHeader(host.clone()))?;
            value.set_sensitive(true);
            Ok(value)
        };
        let key = Key { text: key.into(), plain: header(key)?, bearer: header(&format!("Bearer {key}"))? };
        self.0.insert(host, Arc::new(key));
        Ok(())
    }

    /// There is a key for the host with this id.
    pub fn contains(&self, host: &str) -> bool {
        self.0.contains_key(host)
    }

    /// The key to show to a host; `None` where it wants none.
    pub(crate) fn key(&self, host: &Host) -> Result<Option<Arc<Key>>, Fault> {
        match &host.auth {
            AuthScheme::None => Ok(None),
            AuthScheme::Bearer | AuthScheme::Header(_) | AuthScheme::Aws | AuthScheme::Google | AuthScheme::Azure => match self.0.get(&host.id) {
                Some(key) => Ok(Some(key.clone())),
                None => Err(missing(host)),
            },
            AuthScheme::Unsupported(scheme) => Err(Fault::new(
                Reason::CapabilityMissing,
                format!("provider {} wants credentials of the kind \"{scheme}\", which this build cannot make; choose another provider", host.id),
            )),
        }
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(..)")
    }
}

impl Key {
    /// Puts the key where the host wants it.
    pub(crate) fn show(&self, host: &Host, headers: &mut http::HeaderMap) -> Result<(), Fault> {
        match &host.auth {
            AuthScheme::Bearer | AuthScheme::Aws | AuthScheme::Google => {
                headers.insert(AUTHORIZATION, self.bearer.clone());
            }
            AuthScheme::Header(name) => {
                let name = HeaderName::from_bytes(name.as_bytes())
                    .map_err(|_| Fault::internal(format!("provider {}: auth header \"{name}\" is not a header's name", host.id)))?;
                headers.insert(name, self.plain.clone());
            }
            AuthScheme::Azure => {
                headers.insert("api-key", self.plain.clone());
            }
            AuthScheme::None | AuthScheme::Unsupported(_) => {}
        }
        Ok(())
    }

    /// Takes the key out of what a host said, should it repeat it.
    pub(crate) fn redact(&self, mut fault: Fault) -> Fault {
        let clean = |text: &mut String| {
            if text.contains(&*self.text) {
                *text = text.replace(&*self.text, "[key]");
            }
        };
        clean(&mut fault.message);
        if let Some(said) = &mut fault.upstream {
            let UpstreamError { message, kind, code, param, .. } = Arc::make_mut(said);
            [Some(message), kind.as_mut(), code.as_mut(), param.as_mut()].into_iter().flatten().for_each(clean);
        }
        fault
    }
}

fn missing(host: &Host) -> Fault {
    let hint = match host.key_env.first() {
        Some(name) => format!("set the environment variable {name}, or api_key_env in [providers.{}]", host.id),
        None => format!("name its environment variable by api_key_env in [providers.{}]", host.id),
    };
    Fault::new(Reason::UpstreamCredentials, format!("provider {} has no key here: {hint}", host.id)).because(Cause::Credentials)
}
