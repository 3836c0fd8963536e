//! JSON Schema as Gemini's declarations accept it: references inlined, nothing else lost.
//!
//! `parametersJsonSchema` and `responseJsonSchema` take JSON Schema itself; what
//! they do not resolve are references into definitions, so those are put in place.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// How deep references may nest before they are cut.
const DEEPEST: usize = 12;

/// The schema without references. A reference inside itself becomes a plain object once it repeats.
pub(super) fn inlined(schema: &Value) -> Value {
    let mut open = BTreeSet::new();
    let mut out = inline(schema, schema, &mut open, 0);
    if let Value::Object(map) = &mut out {
        for name in ["$defs", "definitions", "$schema", "$id"] {
            map.remove(name);
        }
    }
    out
}

fn inline(value: &Value, root: &Value, open: &mut BTreeSet<String>, depth: usize) -> Value {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(reference)) = map.get("$ref") {
                let Some(found) = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer)) else {
                    return Value::Object(Map::new());
                };
                if depth > DEEPEST || !open.insert(reference.clone()) {
                    return serde_json::json!({ "type": "object" });
                }
                let mut out = inline(found, root, open, depth + 1);
                open.remove(reference);
                // What stands beside the reference applies too.
                if let Value::Object(out) = &mut out {
                    for (name, beside) in map.iter().filter(|(name, _)| *name != "$ref") {
                        out.insert(name.clone(), inline(beside, root, open, depth + 1));
                    }
                }
                return out;
            }
            let members = map.iter().filter(|(name, _)| !matches!(name.as_str(), "$defs" | "definitions"));
            Value::Object(members.map(|(name, member)| (name.clone(), inline(member, root, open, depth + 1))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(|item| inline(item, root, open, depth + 1)).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::inlined;

    #[test]
    fn t7_references_are_put_in_place_and_recursion_ends() {
        let schema = json!({
            "type": "object",
            "properties": { "a": { "$ref": "#/$defs/A", "description": "first" }, "n": { "type": ["string", "null"] }, "c": { "const": 1 } },
            "additionalProperties": false,
            "$defs": { "A": { "type": "string", "enum": ["x"] } }
        });
        assert_eq!(
            inlined(&schema),
            json!({
                "type": "object",
                "properties": { "a": { "type": "string", "enum": ["x"], "description": "first" }, "n": { "type": ["string", "null"] }, "c": { "const": 1 } },
                "additionalProperties": false
            })
        );
        let tree = json!({ "$ref": "#/$defs/T", "$defs": { "T": { "type": "object", "properties": { "child": { "$ref": "#/$defs/T" } } } } });
        assert_eq!(inlined(&tree), json!({ "type": "object", "properties": { "child": { "type": "object" } } }));
    }
}
