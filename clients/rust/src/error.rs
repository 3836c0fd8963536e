//! Errors that carry the gateway's reason.

use std::{collections::HashMap, fmt, time::Duration};

use tonic::{Code, Status};
use tonic_types::StatusExt;

/// What is wrong with one field of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldViolation {
    /// The field's path.
    pub field: String,
    /// What is wrong with it.
    pub description: String,
}

/// A call that failed.
#[derive(Clone, Debug)]
pub struct Error(Box<Facts>);

#[derive(Clone, Debug)]
struct Facts {
    code: Code,
    reason: String,
    message: String,
    metadata: HashMap<String, String>,
    retry_after: Option<Duration>,
    violations: Vec<FieldViolation>,
    from_gateway: bool,
    no_retry: bool,
}

impl Error {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self::from(Status::new(code, message))
    }

    /// gRPC's code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// Why, in a word of [`reason`](crate::reason). Empty: the gateway was not reached.
    pub fn reason(&self) -> &str {
        &self.0.reason
    }

    /// For people.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// `attempts`, `retryable`, and `request_id`, `target`, `upstream_status` where there are such.
    pub fn metadata(&self) -> &HashMap<String, String> {
        &self.0.metadata
    }

    /// How long to wait before another try, where the gateway said so.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The fields at fault, of an `INVALID_REQUEST`.
    pub fn violations(&self) -> &[FieldViolation] {
        &self.0.violations
    }

    /// Whether the gateway itself said so; otherwise the connection or the local deadline did.
    pub fn from_gateway(&self) -> bool {
        self.0.from_gateway
    }

    /// Whether the gateway asked not to be tried again now.
    pub fn no_retry(&self) -> bool {
        self.0.no_retry
    }

    /// Whether the connection was lost, so that nobody knows how the call ended.
    pub fn lost(&self) -> bool {
        !self.0.from_gateway && matches!(self.0.code, Code::Unavailable | Code::Internal | Code::Unknown)
    }

    /// Whether the same call may succeed later.
    pub fn retryable(&self) -> bool {
        self.0.metadata.get("retryable").is_some_and(|word| word == "true") || self.lost()
    }

    /// Identifies the call in the gateway's records. Empty: it was not recorded.
    pub fn request_id(&self) -> &str {
        self.0.metadata.get("request_id").map_or("", String::as_str)
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let info = details.error_info().filter(|info| info.domain == "headworks");
        let reason = info.map_or_else(
            || match status.code() {
                Code::DeadlineExceeded => "TIMEOUT".to_owned(),
                Code::Cancelled => "CANCELLED".to_owned(),
                _ => String::new(),
            },
            |info| info.reason.clone(),
        );
        let violations = details.bad_request().map(|bad| bad.field_violations.as_slice()).unwrap_or_default();
        let violations = violations.iter().map(|v| FieldViolation { field: v.field.clone(), description: v.description.clone() });
        let pushback = status.metadata().get("grpc-retry-pushback-ms").and_then(|wait| wait.to_str().ok());
        Self(Box::new(Facts {
            code: status.code(),
            reason,
            message: status.message().to_owned(),
            metadata: info.map(|info| info.metadata.clone()).unwrap_or_default(),
            retry_after: details.retry_info().and_then(|retry| retry.retry_delay),
            violations: violations.collect(),
            from_gateway: info.is_some(),
            no_retry: pushback.is_some_and(|wait| wait.starts_with('-')),
        }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.reason().is_empty() { write!(f, "{:?}: {}", self.code(), self.message()) } else { write!(f, "{}: {}", self.reason(), self.message()) }
    }
}

impl std::error::Error for Error {}
