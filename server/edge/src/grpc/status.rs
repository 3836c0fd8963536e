//! Faults as gRPC statuses with details.

use std::{collections::HashMap, sync::Arc, time::Duration};

use headworks_core::{Fault, Reason};
use http::HeaderValue;
use tonic::{Code, Status, metadata::MetadataMap};
use tonic_types::{ErrorDetails, StatusExt};

use crate::fault;

const DOMAIN: &str = "headworks";

/// The status of a fault.
pub(crate) fn status(fault: &Fault, request_id: Option<&Arc<str>>) -> Status {
    let face = fault::of(fault);
    let mut facts = HashMap::new();
    facts.insert("attempts".to_owned(), fault.attempts.to_string());
    facts.insert("retryable".to_owned(), face.retryable.to_string());
    if let Some(id) = request_id {
        facts.insert("request_id".to_owned(), id.to_string());
    }
    if let Some(target) = &fault.target {
        facts.insert("target".to_owned(), target.to_string());
    }
    if let Some(upstream) = &fault.upstream {
        facts.insert("upstream_status".to_owned(), upstream.status.to_string());
    }
    let mut details = ErrorDetails::with_error_info(fault.reason.name(), DOMAIN, facts);
    for violation in &fault.violations {
        details.add_bad_request_violation(violation.field.clone(), violation.description.clone());
    }
    if (face.grpc == Code::ResourceExhausted || face.grpc == Code::Unavailable)
        && let Some(wait) = fault.retry_after.or((fault.reason == Reason::Overloaded).then_some(Duration::from_secs(1)))
    {
        details.set_retry_info(Some(wait));
    }
    if matches!(fault.reason, Reason::BudgetExceeded | Reason::CostUnbounded | Reason::PriceUnknown) {
        details.add_quota_failure_violation("budget", fault.message.clone());
    }
    let mut metadata = MetadataMap::new();
    let headers = metadata.as_mut();
    if let Some(id) = request_id.and_then(|id| HeaderValue::from_str(id).ok()) {
        headers.insert("headworks-request-id", id);
    }
    if let Some(rates) = &fault.rates {
        crate::rest::rate_headers(headers, rates);
    }
    if !face.retryable || fault.attempts > 0 {
        // Our own attempts are spent, or another cannot help: stock clients must not multiply them.
        headers.insert("grpc-retry-pushback-ms", HeaderValue::from_static("-1"));
    }
    Status::with_error_details_and_metadata(face.grpc, fault::message(fault), details, metadata)
}
