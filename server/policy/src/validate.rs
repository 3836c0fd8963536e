//! What is wrong with a policy, by the field an admin wrote.

use std::sync::Arc;

use headworks_core::{Catalog, Fault};

use crate::{DEEPEST, Policy, Rule, Test};

/// What a policy is checked against.
pub struct Known<'a> {
    /// Hosts and models.
    pub catalog: &'a Catalog,
    /// The other policies.
    pub policies: &'a dyn Fn(&str) -> Option<Arc<Policy>>,
}

/// Checks a policy. `fields` are the paths of its targets, in the order of [`Policy::targets`]; `kind` is the path of its rule.
pub fn validate(policy: &Policy, kind: &str, fields: &[String], known: &Known<'_>) -> Result<(), Fault> {
    let targets = policy.targets();
    if targets.is_empty() {
        let list = if matches!(policy.rule, Rule::Conditional { .. }) { "branches" } else { "targets" };
        return Err(Fault::invalid(format!("{kind}.{list}"), "is empty; name at least one model"));
    }
    rule(policy, kind)?;
    for (at, (target, field)) in targets.iter().zip(fields).enumerate() {
        // The branches of a conditional policy may lead to one place.
        let again = !matches!(policy.rule, Rule::Conditional { .. }) && targets.iter().take(at).any(|earlier| earlier.model == target.model);
        if again {
            return Err(Fault::invalid(field, format!("{} stands there already; once is enough", target.model)));
        }
        if let Some(name) = target.model.strip_prefix("policy/") {
            nested(policy, name, field, known)?;
        } else if known.catalog.target(&target.model).or_else(|| known.catalog.bare(&target.model)).is_none() {
            let nearest = known.catalog.nearest(&target.model);
            let hint = if nearest.is_empty() { String::new() } else { format!("; did you mean {}?", nearest.join(" or ")) };
            return Err(Fault::invalid(field, format!("no model \"{}\"{hint}", target.model)));
        }
    }
    Ok(())
}

fn rule(policy: &Policy, kind: &str) -> Result<(), Fault> {
    match &policy.rule {
        Rule::Weighted(targets) => {
            for (at, target) in targets.iter().enumerate() {
                if target.weight == 0 {
                    return Err(Fault::invalid(format!("{kind}.targets[{at}].weight"), "must be 1 or more; leave the target out to send it nothing"));
                }
            }
            let keys = targets.iter().enumerate().flat_map(|(at, target)| target.by_key.iter().map(move |(id, _)| (at, id)));
            for (at, id) in keys {
                if targets.iter().all(|target| target.weight_for(id) == 0) {
                    return Err(Fault::invalid(format!("{kind}.targets[{at}].weight_by_key"), format!("all weights for the key {id} are 0")));
                }
            }
        }
        Rule::Conditional { branches, .. } => {
            for (at, branch) in branches.iter().enumerate() {
                if branch.conditions.is_empty() {
                    return Err(Fault::invalid(format!("{kind}.branches[{at}].conditions"), "is empty, so it always holds; put its model into \"otherwise\""));
                }
                for (i, condition) in branch.conditions.iter().enumerate() {
                    test(&condition.test, &format!("{kind}.branches[{at}].conditions[{i}]"))?;
                }
            }
        }
        Rule::Fallback(_) | Rule::Latency { .. } | Rule::Cost(_) => {}
    }
    Ok(())
}

fn test(test: &Test, field: &str) -> Result<(), Fault> {
    let empty = |name: &str, text: &str| if text.is_empty() { Err(Fault::invalid(format!("{field}.{name}"), "is empty")) } else { Ok(()) };
    match test {
        Test::Model(text) => empty("model", text),
        Test::Tag(text) => empty("tag", text),
        Test::Key(text) => empty("key_id", text),
        Test::Region(text) => empty("region", text),
        Test::MinInput(tokens) if *tokens < 1 => Err(Fault::invalid(format!("{field}.min_input_tokens"), "must be 1 or more")),
        Test::MaxInput(tokens) if *tokens < 0 => Err(Fault::invalid(format!("{field}.max_input_tokens"), "must be 0 or more")),
        Test::Time(window) if window.days & 0x7f == 0 => Err(Fault::invalid(format!("{field}.time.days"), "names no day")),
        Test::Time(window) if window.from > 1439 => Err(Fault::invalid(format!("{field}.time.start"), "must be 00:00 to 23:59")),
        Test::Time(window) if window.until > 1440 || window.until == 0 => Err(Fault::invalid(format!("{field}.time.end"), "must be 00:01 to 24:00")),
        Test::Time(window) if window.from == window.until => {
            Err(Fault::invalid(format!("{field}.time.end"), "is the same as start; 00:00 to 24:00 is the whole day"))
        }
        _ => Ok(()),
    }
}

/// A policy named by another: it exists, does not lead back, and the way down is not too long.
fn nested(policy: &Policy, name: &str, field: &str, known: &Known<'_>) -> Result<(), Fault> {
    let mut way = vec![policy.name.clone(), Arc::from(name)];
    descend(&policy.name, name, &mut way, known).map_err(|what| Fault::invalid(field, what))
}

fn descend(root: &Arc<str>, name: &str, way: &mut Vec<Arc<str>>, known: &Known<'_>) -> Result<(), String> {
    if **root == *name {
        return Err(format!("leads back to the policy itself: {}", way.join(" -> ")));
    }
    if way.len() > DEEPEST {
        return Err(format!("policies are nested deeper than {DEEPEST}: {}", way.join(" -> ")));
    }
    let found = (known.policies)(name).ok_or_else(|| format!("no policy \"{name}\"; create it first"))?;
    for target in found.targets() {
        if let Some(next) = target.model.strip_prefix("policy/") {
            way.push(next.into());
            descend(root, next, way, known)?;
            way.pop();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use headworks_core::{AuthScheme, DialectName, Host, Quirks, Window};

    use super::*;
    use crate::{Branch, Condition, PolicyTarget, WeightedTarget};

    fn catalog() -> Catalog {
        let host = Host {
            id: "a".into(),
            name: "a".into(),
            dialect: Some(DialectName::OpenAi),
            dialect_word: "openai".into(),
            base_url: "http://x".into(),
            auth: AuthScheme::None,
            key_env: vec![],
            regions: vec![],
            reseller: false,
            quirks: Quirks::default(),
            options: Default::default(),
            configured: true,
        };
        Catalog::new([Arc::new(host)], [])
    }

    fn to(model: &str) -> PolicyTarget {
        PolicyTarget { model: model.into(), ..Default::default() }
    }

    fn named(name: &str, rule: Rule) -> Policy {
        Policy { name: name.into(), rule, ..Default::default() }
    }

    fn check(rule: Rule) -> Result<(), (String, String)> {
        let others = [
            named("loop", Rule::Fallback(vec![to("a/x"), to("policy/me")])),
            named("far", Rule::Cost(vec![to("policy/loop")])),
            named("fine", Rule::Fallback(vec![to("a/x")])),
        ];
        let policy = named("me", rule);
        let fields: Vec<String> = (0..policy.targets().len()).map(|n| format!("policy.kind.targets[{n}].model")).collect();
        let find = |name: &str| others.iter().find(|p| *p.name == *name).cloned().map(Arc::new);
        validate(&policy, "policy.kind", &fields, &Known { catalog: &catalog(), policies: &find })
            .map_err(|fault| (fault.field().unwrap_or_default().to_owned(), fault.message))
    }

    #[test]
    fn bad_policies_are_refused_with_the_field_named() {
        let weight = |model: &str, weight, by_key: &[(&str, u32)]| WeightedTarget {
            target: to(model),
            weight,
            by_key: by_key.iter().map(|(k, w)| ((*k).into(), *w)).collect(),
        };
        let branch = |tests: &[Test]| Rule::Conditional {
            branches: vec![Branch { conditions: tests.iter().map(|t| Condition { test: t.clone(), negated: false }).collect(), target: to("a/x") }],
            otherwise: None,
        };
        let window = |days, from, until| branch(&[Test::Time(Window { days, from, until })]);
        let table: Vec<(Rule, Option<(&str, &str)>)> = vec![
            (Rule::Fallback(vec![]), Some(("policy.kind.targets", "is empty"))),
            (Rule::Fallback(vec![to("a/x"), to("policy/fine")]), None),
            (Rule::Fallback(vec![to("a/x"), to("nobody/y")]), Some(("policy.kind.targets[1].model", "no model"))),
            (Rule::Fallback(vec![to("a/x"), to("a/x")]), Some(("policy.kind.targets[1].model", "already"))),
            (Rule::Fallback(vec![to("policy/me")]), Some(("policy.kind.targets[0].model", "me -> me"))),
            (Rule::Cost(vec![to("policy/loop")]), Some(("policy.kind.targets[0].model", "me -> loop -> me"))),
            (Rule::Cost(vec![to("a/x"), to("policy/far")]), Some(("policy.kind.targets[1].model", "me -> far -> loop -> me"))),
            (Rule::Cost(vec![to("policy/none")]), Some(("policy.kind.targets[0].model", "create it first"))),
            (Rule::Weighted(vec![weight("a/x", 1, &[]), weight("a/y", 0, &[])]), Some(("policy.kind.targets[1].weight", "1 or more"))),
            (Rule::Weighted(vec![weight("a/x", 1, &[("k", 0)]), weight("a/y", 1, &[("k", 0)])]), Some(("policy.kind.targets[0].weight_by_key", "are 0"))),
            (Rule::Weighted(vec![weight("a/x", 1, &[("k", 0)]), weight("a/y", 1, &[])]), None),
            (branch(&[]), Some(("policy.kind.branches[0].conditions", "always holds"))),
            (branch(&[Test::Tag("".into())]), Some(("policy.kind.branches[0].conditions[0].tag", "is empty"))),
            (branch(&[Test::Tools(true), Test::MinInput(0)]), Some(("policy.kind.branches[0].conditions[1].min_input_tokens", "1 or more"))),
            (window(0, 0, 60), Some(("policy.kind.branches[0].conditions[0].time.days", "no day"))),
            (window(127, 1440, 60), Some(("policy.kind.branches[0].conditions[0].time.start", "23:59"))),
            (window(127, 0, 1441), Some(("policy.kind.branches[0].conditions[0].time.end", "24:00"))),
            (window(127, 60, 60), Some(("policy.kind.branches[0].conditions[0].time.end", "whole day"))),
            (window(127, 0, 1440), None),
        ];
        for (rule, wanted) in table {
            let said = format!("{rule:?}");
            match (check(rule), wanted) {
                (Ok(()), None) => {}
                (Err((field, message)), Some((at, what))) => assert!(field == at && message.contains(what), "{said}\n{field}: {message}"),
                (got, wanted) => panic!("{said}\n{got:?}, wanted {wanted:?}"),
            }
        }
    }
}
