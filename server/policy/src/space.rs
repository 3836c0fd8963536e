//! Which embedding models make vectors that can be compared.

use headworks_core::{Reason, Skipped, Target};

use crate::Plan;

/// The vector space of a target: equal for one model at several hosts. Names are compared as their makers write
/// them, without what a host puts around: a place or a maker before, a host's own version after.
fn space(target: &Target) -> String {
    let canonical = target.model.as_ref().and_then(|model| model.canonical.as_deref());
    let name = canonical.unwrap_or(&target.upstream_name).rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let name = ["global.", "us-gov.", "us.", "eu.", "apac."].iter().find_map(|place| name.strip_prefix(place)).unwrap_or(&name);
    let name = ["cohere.", "amazon.", "twelvelabs."].iter().find_map(|maker| name.strip_prefix(maker)).unwrap_or(name);
    let name = name.split(['@', ':']).next().unwrap_or_default();
    name.strip_suffix(".0").unwrap_or(name).to_owned()
}

/// Leaves the targets whose vectors can be compared with those of the first.
pub(crate) fn one(plan: &mut Plan) {
    let Some(first) = plan.targets.first().map(|planned| planned.target.clone()) else { return };
    let wanted = space(&first);
    let skipped = &mut plan.skipped;
    plan.targets.retain(|planned| {
        let target = &planned.target;
        let same = space(target) == wanted;
        if !same {
            let message =
                format!("{}: its vectors cannot be compared with those of {}; fall back among hosts of one embedding model only", target.id, first.id);
            skipped.push(Skipped { target: target.id.clone(), reason: Reason::CapabilityMissing, message });
        }
        same
    });
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use headworks_core::{AuthScheme, Host, ModelId};

    use super::*;

    #[test]
    fn one_model_is_one_space_wherever_it_is_hosted() {
        let host = Arc::new(Host {
            id: "h".into(),
            name: "h".into(),
            dialect: None,
            dialect_word: "h".into(),
            base_url: "http://h".into(),
            auth: AuthScheme::None,
            key_env: vec![],
            regions: vec![],
            reseller: false,
            quirks: Default::default(),
            options: Default::default(),
            configured: true,
        });
        let of = |name: &str| {
            space(&Target { id: ModelId::new("h", name), host: host.clone(), model: None, upstream_name: name.into(), dialect: None, known: false })
        };
        for (a, b, same) in [
            ("text-embedding-3-small", "openai/text-embedding-3-small", true),
            ("text-embedding-3-small", "text-embedding-3-small@eu", true),
            ("text-embedding-3-small", "text-embedding-3-large", false),
            ("embed-v4.0", "us.cohere.embed-v4:0", true),
            ("embed-english-v3.0", "cohere.embed-english-v3", true),
            ("Cohere-embed-v3-english", "embed-english-v3.0", false),
            ("qwen/qwen3-embedding-8b", "Qwen/Qwen3-Embedding-8B", true),
            ("gemini-embedding-001", "gemini-embedding-2", false),
        ] {
            assert_eq!(of(a) == of(b), same, "{a} {b}");
        }
    }
}
