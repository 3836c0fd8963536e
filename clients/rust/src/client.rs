//! The client.

use std::time::Duration;

use tonic::{
    metadata::{AsciiMetadataKey, AsciiMetadataValue, MetadataValue},
    transport::Endpoint,
};

use crate::{Error, core::Core, services};

/// A client of the gateway. Cheap to clone; made inside a tokio runtime.
#[derive(Clone, Debug)]
pub struct Headworks {
    pub(crate) core: Core,
}

/// How a client works.
#[derive(Clone, Debug)]
pub struct Builder {
    base_url: String,
    api_key: String,
    timeout: Duration,
    max_retries: u32,
    user_agent: String,
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            base_url: variable("HEADWORKS_URL").unwrap_or_else(|| "http://127.0.0.1:8080".to_owned()),
            api_key: variable("HEADWORKS_API_KEY").unwrap_or_default(),
            timeout: Duration::from_secs(600),
            max_retries: 2,
            user_agent: String::new(),
        }
    }
}

impl Builder {
    /// The gateway, such as `https://gateway.example`. Default: `HEADWORKS_URL`, then http://127.0.0.1:8080.
    pub fn base_url(mut self, base_url: impl Into<String>) -> Self {
        self.base_url = base_url.into();
        self
    }

    /// Its key. Default: `HEADWORKS_API_KEY`.
    pub fn api_key(mut self, api_key: impl Into<String>) -> Self {
        self.api_key = api_key.into();
        self
    }

    /// Deadline of each call, retries included. Default: 10 minutes.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Tries after the first, where another can help. Default: 2.
    pub fn max_retries(mut self, max_retries: u32) -> Self {
        self.max_retries = max_retries;
        self
    }

    /// Put before the client's own user agent.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into() + " ";
        self
    }

    /// Makes the client. The connection is made with the first call.
    ///
    /// # Errors
    /// If the base URL or the key cannot be one.
    pub fn build(self) -> Result<Headworks, Error> {
        let wrong = |what: String| Error::new(tonic::Code::InvalidArgument, what);
        let agent = format!("{}headworks-rust/{}", self.user_agent, env!("CARGO_PKG_VERSION"));
        let endpoint = Endpoint::from_shared(self.base_url.clone()).map_err(|e| wrong(format!("base URL {:?}: {e}", self.base_url)))?;
        let endpoint = endpoint.user_agent(agent).map_err(|e| wrong(format!("user agent: {e}")))?;
        #[cfg(feature = "tls")]
        let endpoint = if self.base_url.starts_with("https:") {
            endpoint.tls_config(tonic::transport::ClientTlsConfig::new().with_native_roots()).map_err(|e| wrong(format!("TLS: {e}")))?
        } else {
            endpoint
        };
        let endpoint = endpoint.tcp_nodelay(true).http2_keep_alive_interval(Duration::from_secs(60));
        let mut metadata = Vec::new();
        if !self.api_key.is_empty() {
            let mut value: AsciiMetadataValue =
                format!("Bearer {}", self.api_key).parse().map_err(|_| wrong("the key holds a character that no key has".to_owned()))?;
            value.set_sensitive(true);
            metadata.push((AsciiMetadataKey::from_static("authorization"), value));
        }
        Ok(Headworks { core: Core { channel: endpoint.connect_lazy(), timeout: self.timeout, max_retries: self.max_retries, metadata } })
    }
}

impl Headworks {
    /// Makes a client of the environment: `HEADWORKS_URL`, `HEADWORKS_API_KEY`.
    ///
    /// # Errors
    /// If the base URL or the key cannot be one.
    pub fn from_env() -> Result<Self, Error> {
        Builder::default().build()
    }

    /// Makes a client in other ways.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The same connection, with another deadline for each call.
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        let mut other = self.clone();
        other.core.timeout = timeout;
        other
    }

    /// The same connection, with another number of tries after the first.
    pub fn with_max_retries(&self, max_retries: u32) -> Self {
        let mut other = self.clone();
        other.core.max_retries = max_retries;
        other
    }

    /// The same connection, with more metadata sent. A name or value that gRPC cannot carry is an error.
    ///
    /// # Errors
    /// If gRPC cannot carry it.
    pub fn with_metadata(&self, name: &str, value: &str) -> Result<Self, Error> {
        let wrong = || Error::new(tonic::Code::InvalidArgument, format!("metadata {name:?}: gRPC cannot carry it"));
        let mut other = self.clone();
        other.core.metadata.push((name.parse().map_err(|_| wrong())?, MetadataValue::try_from(value).map_err(|_| wrong())?));
        Ok(other)
    }

    /// Answers chats in one piece.
    pub fn chat(&self) -> services::Chat {
        services::Chat::new(self.core.clone())
    }

    /// Turns texts into vectors.
    pub fn embeddings(&self) -> services::Embeddings {
        services::Embeddings::new(self.core.clone())
    }

    /// Manages keys, groups and budgets. Needs the role ADMIN or KEY_MANAGER, to read READER too, but for a key that reads
    /// itself. A key manager makes and changes no key with the role ADMIN or KEY_MANAGER. A key manager or reader that
    /// belongs to a group reaches that group and what is in it alone; what is out of reach is NOT_FOUND. It reads its own
    /// group but does not change it.
    pub fn keys(&self) -> services::Keys {
        services::Keys::new(self.core.clone())
    }

    /// Manages policies: which targets serve a call, and in which order. Needs the role ADMIN; to
    /// read, KEY_MANAGER or READER will do, and to explain and simulate, READER.
    pub fn policies(&self) -> services::Policies {
        services::Policies::new(self.core.clone())
    }

    /// Tells which models and providers there are, and what they would make of a request. Admins add models and change them.
    pub fn models(&self) -> services::Models {
        services::Models::new(self.core.clone())
    }

    /// Answers chats as they are written.
    pub fn streams(&self) -> services::Streams {
        services::Streams::new(self.core.clone())
    }

    /// Tells what was called and what it cost. A key sees its own calls; one with the role READER those of its group and
    /// below, or all where it has no group; an admin all.
    pub fn usage(&self) -> services::Usage {
        services::Usage::new(self.core.clone())
    }
}
