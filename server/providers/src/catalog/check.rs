//! The catalogue looked over as a whole: every problem is told, not the first alone.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use headworks_core::{Catalog, Model, ModelOrigin, Status};

use super::{CatalogError, Env, FILES, HostOverride, file, layer::lay, layered};

/// What the catalogue holds, and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Providers.
    pub providers: usize,
    /// Models, all of them.
    pub models: usize,
    /// Of those, the ones that lists show.
    pub listed: usize,
    /// Of all, those with a price.
    pub priced: usize,
    /// Other names of models.
    pub aliases: usize,
    /// Models of which the configuration says something.
    pub configured: usize,
    /// What is wrong: the file, the model and the field.
    pub problems: Vec<String>,
}

/// Looks over what is built in and what `source`, the configuration, says over it.
pub fn check(overrides: &BTreeMap<String, HostOverride>, source: &str, env: Env<'_>) -> Report {
    let mut report = Report::default();
    let mut all: Vec<(String, Model)> = Vec::new();
    let mut known: BTreeMap<&str, Vec<Model>> = BTreeMap::new();
    for (id, text) in FILES {
        let name = format!("catalog/{id}.toml");
        let models = match file::look(id, text) {
            Ok((models, problems)) => {
                report.problems.extend(problems.into_iter().map(|problem| format!("{name}: {problem}")));
                models
            }
            Err(error) => {
                report.problems.push(format!("{name}: {error}"));
                continue;
            }
        };
        known.insert(*id, models);
    }
    for (id, over) in overrides {
        let models = known.entry(id.as_str()).or_default();
        let provider: Arc<str> = id.as_str().into();
        for raw in &over.models {
            if let Err(error) = lay(&provider, raw, ModelOrigin::Config, models, &mut Vec::new()) {
                report.problems.push(format!("{source}: providers.{id}.models: {error}"));
            }
        }
        // The rest of what is said of the provider, without the models that were looked at one by one.
        let alone = BTreeMap::from([(id.clone(), HostOverride { models: Vec::new(), ..over.clone() })]);
        if let Err(error) = layered(&alone, &[], env) {
            report.problems.push(format!("{source}: {error}"));
        }
    }
    for (id, models) in known {
        if overrides.get(id).is_some_and(|over| over.enabled == Some(false)) {
            continue;
        }
        report.providers += 1;
        all.extend(models.into_iter().map(|model| {
            let from = if model.origin == ModelOrigin::Config { source.to_owned() } else { format!("catalog/{id}.toml") };
            (from, model)
        }));
    }
    report.models = all.len();
    report.listed = all.iter().filter(|(_, model)| model.status != Status::Hidden).count();
    report.priced = all.iter().filter(|(_, model)| model.price.is_some()).count();
    report.configured = all.iter().filter(|(_, model)| model.origin == ModelOrigin::Config).count();
    report.aliases = all.iter().map(|(_, model)| model.aliases.len()).sum();
    names(&all, &mut report.problems);
    report
}

/// Names: each means one model, and leads to its own.
fn names(all: &[(String, Model)], problems: &mut Vec<String>) {
    let mut ids: HashMap<String, usize> = HashMap::new();
    for (from, model) in all {
        let count = ids.entry(model.id.to_string()).or_default();
        *count += 1;
        if *count == 2 {
            problems.push(format!("{from}: {}: stands there twice", model.id));
        }
    }
    let mut taken: HashMap<&str, &Model> = HashMap::new();
    for (from, model) in all {
        for alias in &model.aliases {
            if alias.split_once('/').is_none_or(|(provider, name)| provider.is_empty() || name.is_empty()) {
                problems.push(format!("{from}: {}: aliases: \"{alias}\" is no full id; write provider/model", model.id));
            } else if **alias != *model.id.to_string() && ids.contains_key(&**alias) {
                problems.push(format!("{from}: {}: aliases: \"{alias}\" is a model itself", model.id));
            } else if let Some(other) = taken.insert(alias, model).filter(|other| other.id != model.id) {
                problems.push(format!("{from}: {}: aliases: \"{alias}\" means {} too", model.id, other.id));
            }
        }
    }
}

/// Whether every alias of a catalogue that was made leads to its model.
pub fn aliases_lead(catalog: &Catalog) -> Result<(), CatalogError> {
    for target in catalog.targets() {
        let astray = target.model.iter().flat_map(|model| &model.aliases).find(|alias| catalog.target(alias).is_none_or(|found| found.id != target.id));
        if let Some(alias) = astray {
            return Err(CatalogError(format!("{}: aliases: \"{alias}\" does not lead to it", target.id)));
        }
    }
    Ok(())
}
