//! What a caller should know of a model's standing, today.

use std::sync::Arc;

use headworks_core::{Status, Target, date_seconds};

/// How long before its retirement a model is warned of, days.
const NEAR: i64 = 30;
const DAY: i64 = 86_400;

/// What a call to a model is warned of: its retirement is past or near, or it is not listed any more.
pub fn warning(target: &Target, unix_seconds: i64) -> Option<Arc<str>> {
    let model = target.model.as_ref()?;
    let dated = model.deprecation_date.as_deref().and_then(|date| Some((date, date_seconds(date)?.div_euclid(DAY) - unix_seconds.div_euclid(DAY))));
    let id = &target.id;
    match (dated, model.status) {
        (Some((date, ..0)), _) => Some(format!("{id} was to be retired on {date}; it may stop answering at any time, so move to another model").into()),
        (Some((date, 0)), _) => Some(format!("{id} is to be retired today ({date}); move to another model").into()),
        (Some((date, 1)), _) => Some(format!("{id} is to be retired tomorrow ({date}); move to another model").into()),
        (Some((date, days @ ..=NEAR)), _) => Some(format!("{id} is to be retired on {date}, in {days} days; move to another model").into()),
        (_, Status::Hidden) => Some(format!("{id} is withdrawn or was never confirmed; it may not answer").into()),
        _ => None,
    }
}

/// What the route says of a model that nobody is to be warned of yet: that its provider means to withdraw it at some time.
pub(crate) fn note(target: &Target) -> Option<Arc<str>> {
    let model = target.model.as_ref().filter(|model| model.status == Status::Deprecated)?;
    let date = model.deprecation_date.as_deref().map(|date| format!(" (after {date})")).unwrap_or_default();
    Some(format!("{} is to be withdrawn{date}", target.id).into())
}
