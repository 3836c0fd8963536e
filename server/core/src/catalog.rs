//! Every host and model, and how a name finds one.

use std::{collections::HashMap, sync::Arc};

use crate::{AuthScheme, DialectName, Host, Model, ModelId, Status};

/// A place an attempt can go: a host and a model there.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// `provider/model`.
    pub id: ModelId,
    /// The host.
    pub host: Arc<Host>,
    /// The model's facts; `None`: the catalogue does not know it.
    pub model: Option<Arc<Model>>,
    /// The name on the wire.
    pub upstream_name: Arc<str>,
    /// The dialect on the wire; `None`: not spoken by this build.
    pub dialect: Option<DialectName>,
    /// The catalogue knows it: its name may be a metric label.
    pub known: bool,
}

/// Every host and model the gateway knows: immutable, replaced as a whole.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    hosts: HashMap<Arc<str>, Arc<Host>>,
    targets: HashMap<Arc<str>, Arc<Target>>,
    bare: HashMap<Arc<str>, Vec<Arc<str>>>,
}

impl Catalog {
    /// Indexes hosts and models. A later entry with the same id replaces an earlier one.
    /// Models whose host is missing are left out.
    pub fn new(hosts: impl IntoIterator<Item = Arc<Host>>, models: impl IntoIterator<Item = Arc<Model>>) -> Self {
        let hosts: HashMap<_, _> = hosts.into_iter().map(|host| (host.id.clone(), host)).collect();
        let mut catalog = Self { hosts, ..Self::default() };
        let mut placed = HashMap::new();
        for model in models {
            let Some(host) = catalog.hosts.get(&model.id.provider).cloned() else {
                continue;
            };
            let full: Arc<str> = model.id.to_string().into();
            let target = Arc::new(Target {
                id: model.id.clone(),
                upstream_name: model.upstream_name.clone(),
                dialect: match (host.dialect, &model.foreign_dialect) {
                    (Some(cloud), _) if cloud.is_envelope() => Some(cloud),
                    (_, Some(_)) => None,
                    (own, None) => model.dialect.or(own),
                },
                known: true,
                model: Some(model.clone()),
                host: place(&host, &model, &mut placed),
            });
            if !host.reseller {
                catalog.bare.entry(model.id.model.clone()).or_default().push(full.clone());
            }
            for alias in &model.aliases {
                catalog.targets.entry(alias.clone()).or_insert_with(|| target.clone());
                if let (false, Some((_, bare))) = (host.reseller, alias.split_once('/')) {
                    let ids = catalog.bare.entry(bare.into()).or_default();
                    if !ids.contains(&full) {
                        ids.push(full.clone());
                    }
                }
            }
            catalog.targets.insert(full, target);
        }
        for ids in catalog.bare.values_mut() {
            ids.sort();
        }
        catalog
    }

    /// All hosts, in no order.
    pub fn hosts(&self) -> impl Iterator<Item = &Arc<Host>> {
        self.hosts.values()
    }

    /// The host with this id.
    pub fn host(&self, id: &str) -> Option<&Arc<Host>> {
        self.hosts.get(id)
    }

    /// All targets the catalogue knows, once each, in no order.
    pub fn targets(&self) -> impl Iterator<Item = &Arc<Target>> {
        self.targets.iter().filter(|(name, target)| is_id(name, &target.id)).map(|(_, target)| target)
    }

    /// The target of `provider/model` (aliases included). A model the catalogue
    /// does not know is made up on the spot where its provider is known.
    pub fn target(&self, id: &str) -> Option<Arc<Target>> {
        if let Some(target) = self.targets.get(id) {
            return Some(target.clone());
        }
        let (provider, name) = id.split_once('/')?;
        let host = self.hosts.get(provider)?;
        if name.is_empty() {
            return None;
        }
        let name: Arc<str> = name.into();
        Some(Arc::new(Target {
            id: ModelId { provider: host.id.clone(), model: name.clone() },
            host: host.clone(),
            model: None,
            upstream_name: name,
            dialect: host.dialect,
            known: false,
        }))
    }

    /// The target of a bare name: of the hosts that make the model themselves, a configured one first.
    pub fn bare(&self, name: &str) -> Option<Arc<Target>> {
        let ids = self.bare.get(name)?;
        let targets = || ids.iter().filter_map(|id| self.targets.get(id));
        targets().find(|target| target.host.configured).or_else(|| targets().next()).cloned()
    }

    /// Known ids closest to `name`, for an error message; at most three.
    pub fn nearest(&self, name: &str) -> Vec<Arc<str>> {
        let (provider, wanted) = name.split_once('/').map_or((None, name), |(p, m)| (Some(p), m));
        let mut scored: Vec<(usize, &Arc<str>)> = self
            .targets
            .iter()
            .filter(|(id, target)| provider.is_none_or(|p| p == &*target.id.provider) && is_id(id, &target.id))
            .filter(|(_, target)| target.model.as_ref().is_none_or(|m| m.status != Status::Hidden))
            .map(|(id, target)| (distance(wanted, &target.id.model), id))
            .filter(|(score, _)| *score <= wanted.len() / 2)
            .collect();
        scored.sort();
        scored.into_iter().take(3).map(|(_, id)| id.clone()).collect()
    }
}

type Placed = HashMap<(Arc<str>, Option<DialectName>, Option<Arc<str>>), Arc<Host>>;

/// The host as one of its models is reached: at the endpoint of the model's own dialect, in the region that the
/// model's name begins with. Models reached alike share it.
fn place(host: &Arc<Host>, model: &Model, placed: &mut Placed) -> Arc<Host> {
    let dialect = model.dialect.filter(|dialect| Some(*dialect) != host.dialect);
    let endpoint = host.options.endpoints.iter().find(|(spoken, _)| Some(*spoken) == dialect);
    let region = model.id.model.split_once('/').map(|(region, _)| region).filter(|region| host.auth == AuthScheme::Aws && is_region(region));
    if endpoint.is_none() && region.is_none() {
        return host.clone();
    }
    let key = (host.id.clone(), endpoint.map(|(dialect, _)| *dialect), region.map(Arc::from));
    let made = placed.entry(key).or_insert_with(|| {
        let mut other = Host::clone(host);
        if let Some((dialect, url)) = endpoint {
            (other.dialect, other.base_url) = (Some(*dialect), url.clone());
        }
        if let Some(region) = region {
            let own = host.options.region.as_deref().unwrap_or("{region}");
            other.base_url = other.base_url.replace(own, region).into();
            other.options.region = Some(region.into());
        }
        Arc::new(other)
    });
    made.clone()
}

/// `us-gov-west-1`: words and a digit at the end.
fn is_region(text: &str) -> bool {
    text.matches('-').count() >= 2 && text.ends_with(|c: char| c.is_ascii_digit()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn is_id(name: &str, id: &ModelId) -> bool {
    name.split_once('/').is_some_and(|(provider, model)| provider == &*id.provider && model == &*id.model)
}

/// Levenshtein distance by bytes; long names are cut, since only close ones matter.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate().take(128) {
        let mut previous = i;
        let mut first = i + 1;
        std::mem::swap(&mut row[0], &mut first);
        for (j, y) in b.iter().enumerate() {
            let here = row[j + 1];
            row[j + 1] = (previous + usize::from(x != y)).min(here + 1).min(row[j] + 1);
            previous = here;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        for (a, b, d) in [("", "", 0), ("kitten", "sitting", 3), ("gpt-5", "gpt-5", 0), ("gpt5", "gpt-5", 1)] {
            assert_eq!(distance(a, b), d, "{a} {b}");
        }
    }
}
