use serde_json::{Map, Number, Value};

use super::{pattern, schema::Place};

/// The longest text made, in characters.
const LONGEST: usize = 100_000;

/// A size that a keyword names.
pub(super) fn size(schema: &Map<String, Value>, word: &str) -> Option<usize> {
    schema.get(word).and_then(Value::as_f64).filter(|size| *size >= 0.0).map(|size| size as usize)
}

/// The `nth` of texts that differ.
pub(super) fn text(word: &str, nth: usize) -> Value {
    match nth {
        0 => word.into(),
        _ => format!("{word}{nth}").into(),
    }
}

/// A text within the bounds, in the format or after the pattern asked for.
pub(super) fn string(schema: &Map<String, Value>, place: &Place<'_>) -> Result<Value, String> {
    let least = size(schema, "minLength").unwrap_or(0);
    let most = size(schema, "maxLength").unwrap_or(usize::MAX);
    if least > most || least > LONGEST {
        return place.fail(format_args!("minLength {least} cannot be met"));
    }
    let nth = place.nth;
    if let Some(Value::String(pattern)) = schema.get("pattern") {
        let made = match pattern::matching(pattern, nth) {
            Ok(made) => made,
            Err(problem) => return place.fail(format_args!("pattern \"{pattern}\": {problem}")),
        };
        let length = made.chars().count();
        if length < least || length > most {
            return place.fail(format_args!("pattern \"{pattern}\" together with a length is not understood by the sandbox"));
        }
        return Ok(made.into());
    }
    let day = nth % 28 + 1;
    let formatted = match schema.get("format").and_then(Value::as_str) {
        Some("date") => Some(format!("2026-01-{day:02}")),
        Some("date-time") => Some(format!("2026-01-{day:02}T12:00:00Z")),
        Some("time") => Some(format!("12:00:{:02}Z", nth % 60)),
        Some("duration") => Some(format!("P{}D", nth + 1)),
        Some("email" | "idn-email") => Some(format!("user{nth}@example.com")),
        Some("hostname" | "idn-hostname") => Some(format!("host{nth}.example.com")),
        Some("ipv4") => Some(format!("192.0.2.{}", nth % 255)),
        Some("ipv6") => Some(format!("2001:db8::{:x}", nth % 65_535)),
        Some("uri" | "url" | "iri" | "uri-reference" | "iri-reference") => Some(format!("https://example.com/{nth}")),
        Some("uuid") => Some(format!("00000000-0000-4000-8000-{nth:012x}")),
        Some("json-pointer") => Some(format!("/value/{nth}")),
        Some("regex") => Some("^value$".to_owned()),
        _ => None,
    };
    if let Some(made) = formatted {
        let length = made.chars().count();
        return if length < least || length > most {
            place.fail("a format together with this length is not understood by the sandbox")
        } else {
            Ok(made.into())
        };
    }
    let mut made = match text("value", nth) {
        Value::String(made) => made,
        _ => String::new(),
    };
    if made.len() > most {
        // Short texts that still differ.
        made = "abcdefghijklmnopqrstuvwxyz".chars().cycle().skip(nth).take(most).collect();
    }
    while made.len() < least {
        made.push('x');
    }
    Ok(made.into())
}

/// A number within the bounds, a whole one where asked.
pub(super) fn number(schema: &Map<String, Value>, place: &Place<'_>, whole: bool) -> Result<Value, String> {
    let get = |word: &str| schema.get(word).and_then(Value::as_f64);
    let step = get("multipleOf").filter(|step| *step > 0.0);
    // Draft 4 wrote exclusive bounds as booleans beside the bound.
    let exclusive = |word: &str, old: &str| match schema.get(word) {
        Some(Value::Bool(true)) => get(old),
        _ => get(word),
    };
    let (above, below) = (exclusive("exclusiveMinimum", "minimum"), exclusive("exclusiveMaximum", "maximum"));
    let (low, high) = (get("minimum"), get("maximum"));
    let fits = |value: f64| {
        low.is_none_or(|low| value >= low)
            && high.is_none_or(|high| value <= high)
            && above.is_none_or(|above| value > above)
            && below.is_none_or(|below| value < below)
    };
    let grid = step.unwrap_or(1.0);
    let grid = if whole && grid.fract() != 0.0 { (1..=1_000).map(|n| grid * f64::from(n)).find(|g| g.fract() == 0.0) } else { Some(grid) };
    let from = low.into_iter().chain(above).reduce(f64::max);
    let to = high.into_iter().chain(below).reduce(f64::min);
    let mut candidates = Vec::new();
    if let Some(grid) = grid {
        let up = |value: f64| (value / grid).ceil() * grid;
        let down = |value: f64| (value / grid).floor() * grid;
        let base = from.map_or_else(|| to.map_or(grid, |to| grid.min(down(to))), up);
        let nth = place.nth as f64;
        candidates.extend([base + nth * grid, base + (nth + 1.0) * grid]);
        candidates.extend(to.map(|to| down(to) - (nth + 1.0) * grid));
    }
    if !whole && step.is_none() {
        let share = 1.0 / (place.nth as f64 + 2.0);
        candidates.extend(from.into_iter().zip(to).map(|(from, to)| from + (to - from) * share));
        candidates.extend(from.into_iter().chain(to));
    }
    match candidates.into_iter().find(|value| value.is_finite() && fits(*value)) {
        // Beyond 2^53 a float no longer names one integer.
        Some(value) if value.fract() == 0.0 && value.abs() < 9e15 => Ok(Value::from(value as i64)),
        Some(value) => match Number::from_f64(value) {
            Some(number) if !whole => Ok(Value::Number(number)),
            _ => place.fail("the bounds are too large"),
        },
        None => place.fail("no number is within the bounds"),
    }
}
