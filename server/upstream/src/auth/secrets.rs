use std::{collections::HashMap, fmt, sync::Arc};

use headworks_core::{Fault, UpstreamError};
use http::HeaderValue;

/// The hosts' keys, and the environment in which credential chains look. Nothing
/// prints them, and no key leaves this crate but in a request to its host.
#[derive(Clone, Default)]
pub struct Secrets {
    keys: HashMap<Arc<str>, Arc<Key>>,
    env: HashMap<String, String>,
}

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

/// A key or token with the headers made of it.
pub(crate) struct Key {
    /// `KEY`.
    pub plain: HeaderValue,
    /// `Bearer KEY`.
    pub bearer: HeaderValue,
    /// What must not be repeated.
    pub shown: Shown,
}

/// Texts that a request carried or was signed with, and that no fault may repeat.
#[derive(Clone, Default)]
pub(crate) struct Shown(Option<Arc<[Box<str>]>>);

impl Secrets {
    /// No keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// The environment variables that credential chains may read (AWS, Google, Azure). Without them only keys are shown.
    #[must_use]
    pub fn with_env(mut self, env: impl IntoIterator<Item = (String, String)>) -> Self {
        self.env = env.into_iter().collect();
        self
    }

    /// Keeps the key of the host with this id, in place of an earlier one. White
    /// space around it is dropped, since files and shells add it.
    pub fn insert(&mut self, host: impl Into<Arc<str>>, key: &str) -> Result<(), BadKey> {
        let (host, key) = (host.into(), key.trim());
        if key.is_empty() {
            return Err(BadKey::Empty(host));
        }
        let key = Key::new(key).ok_or_else(|| BadKey::NotAHeader(host.clone()))?;
        self.keys.insert(host, Arc::new(key));
        Ok(())
    }

    /// There is a key for the host with this id.
    pub fn contains(&self, host: &str) -> bool {
        self.keys.contains_key(host)
    }

    pub(crate) fn key(&self, host: &str) -> Option<&Arc<Key>> {
        self.keys.get(host)
    }

    /// An environment variable that is set and not blank.
    pub(crate) fn env(&self, name: &str) -> Option<&str> {
        self.env.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(..)")
    }
}

impl Key {
    /// `None` where an HTTP header cannot carry it.
    pub(crate) fn new(text: &str) -> Option<Self> {
        Some(Self { plain: sensitive(text)?, bearer: sensitive(&format!("Bearer {text}"))?, shown: Shown::of([text]) })
    }
}

/// A header value that is never printed; `None` where no header can carry it.
pub(crate) fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl Shown {
    /// These texts; empty ones are no secrets.
    pub(crate) fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        Self(Some(texts.into_iter().filter(|text| !text.is_empty()).map(Box::from).collect()))
    }

    /// Takes the texts out of what a host said, should it repeat them.
    pub(crate) fn redact(&self, mut fault: Fault) -> Fault {
        let Some(texts) = &self.0 else { return fault };
        let clean = |text: &mut String| {
            for secret in texts.iter().filter(|secret| text.contains(&***secret)).collect::<Vec<_>>() {
                *text = text.replace(&**secret, "[key]");
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
