macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// Why something was refused or failed: the public names of `headworks.v1.Reason`.
        /// The list grows; names never change.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub enum Reason { $($(#[$doc])* #[serde(rename = $name)] $variant,)* }

        impl Reason {
            /// Every reason, in the order of the public schema.
            pub const ALL: &'static [Reason] = &[$(Reason::$variant,)*];

            /// The public name, `UPPER_SNAKE_CASE`.
            pub const fn name(self) -> &'static str {
                match self { $(Reason::$variant => $name,)* }
            }

            /// The reason with this public name.
            pub fn from_name(name: &str) -> Option<Reason> {
                match name { $($name => Some(Reason::$variant),)* _ => None }
            }
        }
    };
}

reasons! {
    /// No key, a malformed key or one that nobody made.
    UnauthenticatedKey = "UNAUTHENTICATED_KEY",
    /// The key's time is over.
    KeyExpired = "KEY_EXPIRED",
    /// The key was revoked.
    KeyRevoked = "KEY_REVOKED",
    /// The key's roles do not allow the call.
    PermissionDenied = "PERMISSION_DENIED",
    /// The key may not use the model.
    ModelForbidden = "MODEL_FORBIDDEN",
    /// No target inside the required region.
    RegionForbidden = "REGION_FORBIDDEN",
    /// The request is malformed; violations name the fields.
    InvalidRequest = "INVALID_REQUEST",
    /// The request is larger than the gateway accepts.
    PayloadTooLarge = "PAYLOAD_TOO_LARGE",
    /// No such model, policy, key or record.
    ModelNotFound = "MODEL_NOT_FOUND",
    /// The input does not fit the model's context.
    ContextTooLong = "CONTEXT_TOO_LONG",
    /// The model or gateway cannot do what was asked.
    CapabilityMissing = "CAPABILITY_MISSING",
    /// Too many requests or tokens.
    RateLimited = "RATE_LIMITED",
    /// The budget is spent.
    BudgetExceeded = "BUDGET_EXCEEDED",
    /// What the call may cost has no upper bound.
    CostUnbounded = "COST_UNBOUNDED",
    /// The model's price is unknown and the key's budget is hard.
    PriceUnknown = "PRICE_UNKNOWN",
    /// A guardrail refused the content.
    GuardrailBlocked = "GUARDRAIL_BLOCKED",
    /// The provider refused the gateway's credentials or credit.
    UpstreamCredentials = "UPSTREAM_CREDENTIALS",
    /// The provider refused the request itself.
    UpstreamRejected = "UPSTREAM_REJECTED",
    /// Every target that could serve failed.
    AllTargetsFailed = "ALL_TARGETS_FAILED",
    /// A deadline passed.
    Timeout = "TIMEOUT",
    /// The answer broke off after it had begun.
    StreamBroken = "STREAM_BROKEN",
    /// No such stream, or it is over.
    StreamGone = "STREAM_GONE",
    /// Not in this build.
    NotImplemented = "NOT_IMPLEMENTED",
    /// The resource changed since it was read.
    Conflict = "CONFLICT",
    /// The resource exists.
    AlreadyExists = "ALREADY_EXISTS",
    /// The gateway is at its limit.
    Overloaded = "OVERLOADED",
    /// A fault of the gateway itself.
    Internal = "INTERNAL",
    /// In routes only: the target's hold did not fit the budget.
    BudgetWouldExceed = "BUDGET_WOULD_EXCEED",
    /// The caller went away or cancelled.
    Cancelled = "CANCELLED",
    /// No such key, policy, record or other resource.
    NotFound = "NOT_FOUND",
}
