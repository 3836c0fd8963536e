use std::{fmt, sync::Arc, time::Duration};

use crate::{ModelId, Rated, Reason};

/// What happened underneath a fault: decides whether another target is tried
/// and for how long this one rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The gateway or its caller; no target is to blame.
    Local,
    /// No connection within the time allowed, or refused, or reset before an answer.
    Connect,
    /// No answer or no first token in time, a silence between tokens, or the total ran out.
    Timeout(Limit),
    /// The provider said: too many requests (429, or its own words for it).
    RateLimited,
    /// The provider is overloaded or broken (5xx, 529, or an error event that says so).
    Unavailable,
    /// The provider refused the gateway's key or its credit is used up (401, 402, 403, ...).
    Credentials,
    /// The provider does not know the model (404).
    ModelMissing,
    /// The request is at fault (400, 413, 422).
    Rejected,
    /// The input is longer than this target's context.
    ContextTooLong,
    /// The request asks for what this target cannot do; nothing was sent to it.
    Unfit,
    /// The provider's content policy refused the request.
    ContentPolicy,
    /// The connection or stream broke in the middle of an answer.
    Broken,
    /// The bytes are not what the dialect promises.
    Garbled,
    /// The caller went away.
    Cancelled,
}

/// Which time limit passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// Until the connection stood.
    Connect,
    /// Until the first content.
    FirstToken,
    /// Between two pieces of content.
    BetweenTokens,
    /// The attempt as a whole.
    Total,
    /// The caller's own deadline.
    Deadline,
}

/// One field that is wrong, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the field as the client wrote it: `messages[2].content`.
    pub field: String,
    /// What is wrong and what is expected.
    pub description: String,
}

/// What a provider answered when it refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamError {
    /// HTTP status; 0 for an error inside a 200 stream.
    pub status: u16,
    /// The provider's own message, without secrets; for logs, and for clients whose request was rejected.
    pub message: String,
    /// The provider's own error type.
    pub kind: Option<String>,
    /// The provider's own error code.
    pub code: Option<String>,
    /// The parameter the provider complained about.
    pub param: Option<String>,
}

/// Anything that went wrong, in the one form that crosses crate borders.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// The public reason.
    pub reason: Reason,
    /// What lies underneath, for routing.
    pub cause: Cause,
    /// What failed, lower case, then the hint.
    pub message: String,
    /// How long to wait before trying again, where known.
    pub retry_after: Option<Duration>,
    /// The target at fault, where there is one.
    pub target: Option<ModelId>,
    /// Fields of the request that are wrong.
    pub violations: Box<[Violation]>,
    /// What the provider said.
    pub upstream: Option<Arc<UpstreamError>>,
    /// Tokens that the provider billed before it failed.
    pub spent: Option<Box<crate::Tokens>>,
    /// How many attempts were made, once the call is over.
    pub attempts: u32,
    /// How far the caller's rate limits are, where one of them was reached.
    pub rates: Option<Box<Rated>>,
}

impl Fault {
    /// A fault that is the gateway's or the caller's own.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            cause: Cause::Local,
            message: message.into(),
            retry_after: None,
            target: None,
            violations: Box::default(),
            upstream: None,
            spent: None,
            attempts: 0,
            rates: None,
        }
    }

    /// A request with one wrong field.
    pub fn invalid(field: impl Into<String>, description: impl Into<String>) -> Self {
        let (field, description) = (field.into(), description.into());
        let message = if field.is_empty() { description.clone() } else { format!("{field}: {description}") };
        let mut fault = Self::new(Reason::InvalidRequest, message);
        fault.violations = Box::new([Violation { field, description }]);
        fault
    }

    /// A fault of the gateway itself.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Reason::Internal, message)
    }

    /// The same fault with what lies underneath.
    #[must_use]
    pub fn because(mut self, cause: Cause) -> Self {
        self.cause = cause;
        self
    }

    /// The same fault with a time to wait.
    #[must_use]
    pub fn after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }

    /// The same fault laid to a target.
    #[must_use]
    pub fn at(mut self, target: &ModelId) -> Self {
        self.target.get_or_insert_with(|| target.clone());
        self
    }

    /// The first wrong field's path.
    pub fn field(&self) -> Option<&str> {
        self.violations.first().map(|v| v.field.as_str()).filter(|f| !f.is_empty())
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?}): {}", self.reason.name(), self.cause, self.message)
    }
}
