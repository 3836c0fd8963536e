//! What is said of a model in several places, one over the other: the catalogue, the configuration, the API.

use std::sync::Arc;

use headworks_core::{Capability, Model, ModelOrigin, Price, Rates};

use super::{CatalogError, RawModel, file};

/// What the API says of a model.
#[derive(Clone, Debug)]
pub struct Said {
    /// The host.
    pub provider: Arc<str>,
    /// What is said; the rest is as the layers below say.
    pub model: RawModel,
}

/// Two prices of one model that are this far apart are not in the same unit.
const UNITS_APART: i64 = 1000;

/// Lays what is said of one model over what `models`, all of one host, hold of it.
pub(super) fn lay(provider: &Arc<str>, raw: &RawModel, origin: ModelOrigin, models: &mut Vec<Model>, prices: &mut Vec<Arc<Price>>) -> Result<(), CatalogError> {
    let said = file::model(provider, raw.clone(), prices)?;
    let known = models.iter_mut().find(|known| *known.id.model == *raw.name);
    match known {
        Some(known) => {
            same_unit(&said, known)?;
            *known = Model { origin, ..over(raw, said, known) };
        }
        None => models.push(Model { origin, ..said }),
    }
    Ok(())
}

fn same_unit(said: &Model, known: &Model) -> Result<(), CatalogError> {
    let rates = |model: &Model| model.price.as_ref().map(|price| price.base).unwrap_or_default();
    let (new, old): (Rates, Rates) = (rates(said), rates(known));
    for (name, new, old) in [("input", new.input, old.input), ("output", new.output, old.output)] {
        if let (Some(new), Some(old)) = (new.filter(|n| *n > 0), old.filter(|n| *n > 0))
            && new.max(old) / new.min(old) >= UNITS_APART
        {
            let shown = headworks_core::NanoUsd;
            let message = format!(
                "{}: price.{name}: ${} per million tokens is {UNITS_APART} times or more away from ${}, the price known; it is probably in another unit",
                said.id,
                shown(new),
                shown(old)
            );
            return Err(CatalogError(message));
        }
    }
    Ok(())
}

/// `said` with what it leaves out taken from `below`. Prices of tokens are one thing: they replace the others as a whole; so do
/// those of units.
fn over(raw: &RawModel, mut said: Model, below: &Model) -> Model {
    fn keep<T: Clone>(absent: bool, mine: &mut T, theirs: &T) {
        if absent {
            mine.clone_from(theirs);
        }
    }
    keep(raw.upstream.is_none(), &mut said.upstream_name, &below.upstream_name);
    keep(raw.mode.is_none(), &mut said.mode, &below.mode);
    if raw.dialect.is_none() && raw.foreign.is_none() {
        (said.dialect, said.foreign_dialect) = (below.dialect, below.foreign_dialect.clone());
    }
    said.context_window = said.context_window.or(below.context_window);
    said.max_input_tokens = said.max_input_tokens.or(below.max_input_tokens);
    said.max_output_tokens = said.max_output_tokens.or(below.max_output_tokens);
    keep(raw.price.is_none(), &mut said.price, &below.price);
    let (mine, theirs) = (&mut said.capabilities, &below.capabilities);
    for (mine, theirs) in [
        (&mut mine.tools, theirs.tools),
        (&mut mine.parallel_tools, theirs.parallel_tools),
        (&mut mine.vision, theirs.vision),
        (&mut mine.pdf, theirs.pdf),
        (&mut mine.audio, theirs.audio),
        (&mut mine.structured_output, theirs.structured_output),
        (&mut mine.reasoning, theirs.reasoning),
        (&mut mine.streaming, theirs.streaming),
        (&mut mine.sampling, theirs.sampling),
    ] {
        keep(*mine == Capability::Unknown, mine, &theirs);
    }
    keep(raw.caching.is_none(), &mut said.capabilities.caching, &below.capabilities.caching);
    keep(raw.efforts.is_empty(), &mut said.reasoning.efforts, &below.reasoning.efforts);
    said.reasoning.budget = said.reasoning.budget.or(below.reasoning.budget);
    said.reasoning.toggle |= below.reasoning.toggle;
    said.cache_min_tokens = said.cache_min_tokens.or(below.cache_min_tokens);
    keep(raw.regions.is_empty(), &mut said.regions, &below.regions);
    keep(raw.status.is_none(), &mut said.status, &below.status);
    keep(raw.deprecation.is_none(), &mut said.deprecation_date, &below.deprecation_date);
    keep(raw.release.is_none(), &mut said.release_date, &below.release_date);
    keep(raw.aliases.is_empty(), &mut said.aliases, &below.aliases);
    keep(raw.canonical.is_none(), &mut said.canonical, &below.canonical);
    said.dimensions = said.dimensions.or(below.dimensions);
    keep(raw.units.is_empty(), &mut said.unit_prices, &below.unit_prices);
    // Whichever layers the two came from: what is shown for a request is what is billed.
    let fee = file::per_request(&below.id.model, &said.unit_prices).unwrap_or_default();
    if let Some(price) = said.price.as_mut().filter(|price| price.per_request != fee) {
        *price = Arc::new(Price { per_request: fee, ..(**price).clone() });
    }
    said
}
