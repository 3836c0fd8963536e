//! The vocabulary of the gateway: nouns that every other crate shares, and no verbs.
//!
//! Nothing here waits, reads a clock or opens anything. Times arrive as arguments.

mod call;
mod catalog;
mod date;
mod embed;
mod event;
mod fault;
mod host;
mod json;
mod key;
mod loss;
mod message;
mod model;
mod money;
mod price;
mod reason;
mod request;
mod route;
mod text;
mod tokens;
mod window;

pub use call::{Attempt, Call, Inbound, Memo, Origin, Planned, Tenant, Work, WorkKind};
pub use catalog::{Catalog, Target};
pub use date::{date_seconds, month_seconds};
pub use embed::{EmbedInput, EmbedRequest, Vector, VectorForm};
pub use event::{Batch, Begun, Event, EventKind, EventStream, Facts, FinishReason, Frame, Left, Lookup, Rated, Reply};
pub use fault::{Cause, Fault, Limit, UpstreamError, Violation};
pub use host::{AuthScheme, DialectName, EmbedQuirks, Host, HostOptions, Quirks, ReasoningOption};
pub use json::Json;
pub use key::{ALERTS, Budget, Fit, Key, Markup, Payer, RateLimit, Role, Unit, matches_pattern};
pub use loss::{Loss, LossKind, OnLoss};
pub use message::{CacheMark, Message, Opaque, Part, PartKind, Role as MessageRole, Source};
pub use model::{CacheKind, Capabilities, Capability, EffortRange, Model, ModelId, ModelOrigin, Status};
pub use money::{ATTOS_PER_NANO, NanoUsd, PriceError};
pub use price::{FACTOR_ONE, Factor, OffPeak, Price, Rates, Tier, Window};
pub use reason::Reason;
pub use request::{ChatRequest, Effort, GATEWAY_MEMBERS, Member, Original, Output, Reasoning, Routing, Sampling, Sort, Tool, ToolChoice};
pub use route::{AttemptReport, Cached, Outcome, Receipt, Skipped, Timings, written};
pub use text::Str;
pub use tokens::Tokens;
pub use window::{BudgetWindow, Span, Tally};
