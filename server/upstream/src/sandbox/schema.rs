use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::scalar::{number, size, string, text};

/// Deeper than this, a schema is taken to have no end.
const DEEPEST: usize = 24;
/// Below this depth only what must be there is made.
const GENEROUS: usize = 4;
/// How much is made and looked at for one schema, in bytes by a rough count: schemas come
/// from callers, and a short one can ask for a lot.
const MOST: usize = 1 << 20;
/// What any value costs of that.
const VALUE: usize = 16;

/// Keywords whose meaning a made-up value could miss without our noticing.
const UNKNOWN: [&str; 8] = ["not", "if", "contains", "dependentRequired", "dependentSchemas", "propertyNames", "unevaluatedProperties", "$dynamicRef"];

/// A value that is valid against a JSON Schema. Fails, saying where and why, where
/// the schema cannot be met or says something that is not understood here.
pub(super) fn instance(schema: &Value) -> Result<Value, String> {
    let mut maker = Maker { root: schema, left: MOST };
    maker.make(schema, &Place { path: "schema", depth: 0, nth: 0 })
}

struct Maker<'a> {
    root: &'a Value,
    left: usize,
}

/// Where in the schema, and which of several values wanted there.
pub(super) struct Place<'a> {
    path: &'a str,
    depth: usize,
    pub(super) nth: usize,
}

impl Place<'_> {
    pub(super) fn fail<T>(&self, problem: impl std::fmt::Display) -> Result<T, String> {
        Err(format!("{}: {problem}", self.path))
    }
}

impl<'a> Maker<'a> {
    fn make(&mut self, schema: &Value, place: &Place<'_>) -> Result<Value, String> {
        if place.depth > DEEPEST {
            return place.fail("the schema has no end");
        }
        self.pay(VALUE, place)?;
        let schema = match schema {
            Value::Bool(true) => return Ok(text("value", place.nth)),
            Value::Object(schema) => schema,
            _ => return place.fail("nothing is valid here"),
        };
        if let Some(keyword) = UNKNOWN.into_iter().find(|keyword| schema.contains_key(*keyword)) {
            return place.fail(format_args!("\"{keyword}\" is not understood by the sandbox"));
        }
        if let Some(value) = schema.get("const") {
            self.pay(weight(value), place)?;
            return Ok(value.clone());
        }
        if let Some(Value::Array(values)) = schema.get("enum") {
            return match values.get(place.nth % values.len().max(1)) {
                Some(value) => {
                    self.pay(weight(value), place)?;
                    Ok(value.clone())
                }
                None => place.fail("enum is empty"),
            };
        }
        if let Some(Value::String(name)) = schema.get("$ref") {
            let Some(meant) = self.resolve(name) else {
                return place.fail(format_args!("$ref \"{name}\" leads nowhere"));
            };
            return self.beside(schema, "$ref", meant, place);
        }
        if let Some(Value::Array(all)) = schema.get("allOf") {
            let mut merged = without(schema, "allOf");
            for part in all {
                let Some(part) = self.flat(part, place)? else { continue };
                self.pay(part.values().map(weight).sum(), place)?;
                merge(&mut merged, part.clone());
            }
            return self.make(&Value::Object(merged), &deeper(place, place.path));
        }
        for word in ["anyOf", "oneOf"] {
            if let Some(Value::Array(choices)) = schema.get(word) {
                return self.choose(schema, word, choices, place);
            }
        }
        match kind(schema) {
            "object" => self.object(schema, place),
            "array" => self.array(schema, place),
            "string" => {
                let made = string(schema, place)?;
                self.pay(weight(&made), place)?;
                Ok(made)
            }
            "integer" => number(schema, place, true),
            "number" => number(schema, place, false),
            "boolean" => Ok(Value::Bool(place.nth.is_multiple_of(2))),
            "null" => Ok(Value::Null),
            other => place.fail(format_args!("there is no type \"{other}\"")),
        }
    }

    fn pay(&mut self, price: usize, place: &Place<'_>) -> Result<(), String> {
        match self.left.checked_sub(price) {
            Some(left) => self.left = left,
            // Nothing is affordable from here on, so that trying other ways ends too.
            None => self.left = 0,
        }
        if self.left == 0 { place.fail("the schema has no end or asks for too much") } else { Ok(()) }
    }

    /// `meant`, with what stands beside the keyword that led to it.
    fn beside(&mut self, schema: &Map<String, Value>, word: &str, meant: &Value, place: &Place<'_>) -> Result<Value, String> {
        let beside: usize = schema.iter().filter(|(key, _)| *key != word && *key != "$defs").map(|(_, value)| weight(value)).sum();
        self.pay(beside + weight(meant), place)?;
        let mut merged = without(schema, word);
        merged.retain(|key, _| !matches!(key.as_str(), "$defs" | "definitions" | "description" | "title" | "default"));
        match meant {
            Value::Object(meant) if !merged.is_empty() => {
                merge(&mut merged, meant.clone());
                self.make(&Value::Object(merged), &deeper(place, place.path))
            }
            _ => self.make(meant, &deeper(place, place.path)),
        }
    }

    fn choose(&mut self, schema: &Map<String, Value>, word: &str, choices: &[Value], place: &Place<'_>) -> Result<Value, String> {
        let mut order: Vec<&Value> = choices.iter().collect();
        if place.depth > GENEROUS {
            // The way out of a schema that holds itself.
            order.sort_by_key(|choice| choice.to_string().contains("\"$ref\""));
        }
        let mut last = format!("{}: {word} is empty", place.path);
        for choice in order {
            match self.beside(schema, word, choice, place) {
                Ok(value) => return Ok(value),
                Err(problem) => last = problem,
            }
        }
        Err(last)
    }

    /// A part of `allOf` as one object, its references followed; `None` where it says nothing.
    fn flat<'b>(&self, part: &'b Value, place: &Place<'_>) -> Result<Option<&'b Map<String, Value>>, String>
    where
        'a: 'b,
    {
        let mut part = part;
        for _ in 0..DEEPEST {
            match part {
                Value::Object(map) => match map.get("$ref") {
                    Some(Value::String(name)) => match self.resolve(name) {
                        Some(meant) => part = meant,
                        None => return place.fail(format_args!("$ref \"{name}\" leads nowhere")),
                    },
                    _ => return Ok(Some(map)),
                },
                Value::Bool(true) => return Ok(None),
                _ => return place.fail("nothing is valid here"),
            }
        }
        place.fail("the schema has no end")
    }

    fn resolve(&self, name: &str) -> Option<&'a Value> {
        let pointer = name.strip_prefix('#')?;
        self.root.pointer(pointer)
    }

    fn object(&mut self, schema: &Map<String, Value>, place: &Place<'_>) -> Result<Value, String> {
        let required: Vec<&str> = match schema.get("required") {
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let empty = Map::new();
        let properties = match schema.get("properties") {
            Some(Value::Object(properties)) => properties,
            _ => &empty,
        };
        let others = schema.get("additionalProperties").unwrap_or(&Value::Bool(true));
        let most = size(schema, "maxProperties").unwrap_or(usize::MAX);
        let least = size(schema, "minProperties").unwrap_or(0);
        let mut made = Map::new();
        for name in &required {
            let part = properties.get(*name).unwrap_or(others);
            let path = format!("{}.{name}", place.path);
            made.insert((*name).to_owned(), self.make(part, &deeper(place, &path))?);
        }
        for (name, part) in properties {
            let wanted = made.len() < least || place.depth < GENEROUS;
            if made.len() < most && wanted && !made.contains_key(name) {
                let path = format!("{}.{name}", place.path);
                // One that cannot be made may be left out.
                if let Ok(value) = self.make(part, &deeper(place, &path)) {
                    made.insert(name.clone(), value);
                }
            }
        }
        // A map without named properties is shown with one entry.
        let entries = if properties.is_empty() && others.is_object() { least.max(1) } else { least }.min(most);
        for nth in 1.. {
            if made.len() >= entries {
                break;
            }
            let path = format!("{}.*", place.path);
            let name = format!("key{nth}");
            if !made.contains_key(&name) {
                let value = self.make(others, &deeper(place, &path))?;
                made.insert(name, value);
            }
        }
        if made.len() > most {
            return place.fail("more properties are required than maxProperties allows");
        }
        Ok(Value::Object(made))
    }

    fn array(&mut self, schema: &Map<String, Value>, place: &Place<'_>) -> Result<Value, String> {
        let first: &[Value] = match schema.get("prefixItems") {
            Some(Value::Array(items)) => items,
            _ => &[],
        };
        let most = size(schema, "maxItems").unwrap_or(usize::MAX);
        let wanted = if place.depth < GENEROUS { first.len().max(usize::from(schema.contains_key("items"))) } else { 0 };
        let count = size(schema, "minItems").unwrap_or(0).max(wanted.min(most));
        let must = size(schema, "minItems").unwrap_or(0);
        if count > most {
            return place.fail("minItems is more than maxItems");
        }
        let distinct = schema.get("uniqueItems") == Some(&Value::Bool(true));
        let rest = schema.get("items").unwrap_or(&Value::Bool(true));
        let path = format!("{}[]", place.path);
        let (mut items, mut seen) = (Vec::new(), BTreeSet::new());
        for nth in 0..count {
            let part = first.get(nth).unwrap_or(rest);
            let inner = Place { nth: if distinct { nth } else { 0 }, ..deeper(place, &path) };
            match self.make(part, &inner) {
                Ok(item) if distinct && !seen.insert(item.to_string()) => {
                    return place.fail("there are not enough different items");
                }
                Ok(item) => items.push(item),
                Err(_) if nth >= must => break,
                Err(problem) => return Err(problem),
            }
        }
        Ok(Value::Array(items))
    }
}

fn deeper<'a>(place: &Place<'_>, path: &'a str) -> Place<'a> {
    Place { path, depth: place.depth + 1, nth: place.nth }
}

/// The size of a value in bytes, roughly.
fn weight(value: &Value) -> usize {
    let inner = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(map) => map.iter().map(|(key, value)| key.len() + weight(value)).sum(),
    };
    inner + VALUE
}

fn without(schema: &Map<String, Value>, word: &str) -> Map<String, Value> {
    schema.iter().filter(|(key, _)| *key != word).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Adds what `more` says: properties and required names together, bounds the narrower, the rest replaced.
fn merge(schema: &mut Map<String, Value>, more: Map<String, Value>) {
    for (key, value) in more {
        match (schema.get_mut(&key), value) {
            (Some(Value::Object(old)), Value::Object(new)) if key == "properties" => old.extend(new),
            (Some(Value::Array(old)), Value::Array(new)) if key == "required" => {
                let new: Vec<_> = new.into_iter().filter(|name| !old.contains(name)).collect();
                old.extend(new);
            }
            (Some(Value::Array(old)), Value::Array(new)) if key == "enum" => old.retain(|value| new.contains(value)),
            (Some(old), new) if key.starts_with("min") || key == "exclusiveMinimum" => {
                if new.as_f64() > old.as_f64() {
                    *old = new;
                }
            }
            (Some(old), new) if key.starts_with("max") || key == "exclusiveMaximum" => {
                if new.as_f64() < old.as_f64() {
                    *old = new;
                }
            }
            (_, value) => {
                schema.insert(key, value);
            }
        }
    }
}

/// The type, or what the other keywords speak of.
fn kind(schema: &Map<String, Value>) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) => return kind,
        Some(Value::Array(kinds)) => {
            let mut names = kinds.iter().filter_map(Value::as_str);
            return names.clone().find(|kind| *kind != "null").or_else(|| names.next()).unwrap_or("null");
        }
        _ => {}
    }
    let has = |words: &[&str]| words.iter().any(|word| schema.contains_key(*word));
    if has(&["properties", "required", "additionalProperties", "minProperties"]) {
        "object"
    } else if has(&["items", "prefixItems", "minItems", "maxItems", "uniqueItems"]) {
        "array"
    } else if has(&["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]) {
        "number"
    } else {
        "string"
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_valid() {
        for (schema, value) in [
            (json!({}), json!("value")),
            (json!(true), json!("value")),
            (json!({ "const": [1] }), json!([1])),
            (json!({ "type": ["null", "boolean"] }), json!(true)),
            (json!({ "type": "string", "maxLength": 2 }), json!("ab")),
            (json!({ "type": "string", "format": "email" }), json!("user0@example.com")),
            (json!({ "type": "string", "pattern": "^[a-c]{2}$" }), json!("aa")),
            (json!({ "type": "integer" }), json!(1)),
            (json!({ "type": "integer", "maximum": -3 }), json!(-3)),
            (json!({ "type": "integer", "exclusiveMinimum": 5, "exclusiveMaximum": 7 }), json!(6)),
            (json!({ "type": "integer", "minimum": 0.5, "multipleOf": 4 }), json!(4)),
            (json!({ "type": "integer", "minimum": 1, "multipleOf": 0.5 }), json!(1)),
            (json!({ "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1 }), json!(0.5)),
            (json!({ "type": "number", "minimum": 0.25, "maximum": 0.5 }), json!(0.375)),
            (json!({ "type": "array", "items": { "type": "integer" }, "minItems": 3, "uniqueItems": true }), json!([1, 2, 3])),
            (json!({ "type": "array", "items": { "type": "string" }, "maxItems": 0 }), json!([])),
            (json!({ "prefixItems": [{ "const": 1 }, { "const": 2 }], "items": false }), json!([1, 2])),
            (json!({ "anyOf": [{ "type": "string", "minLength": 5, "maxLength": 4 }, { "type": "null" }] }), json!(null)),
            (
                json!({ "allOf": [{ "properties": { "a": { "const": 1 } }, "required": ["a"] }, { "properties": { "b": { "const": 2 } } }] }),
                json!({ "a": 1, "b": 2 }),
            ),
            (json!({ "additionalProperties": { "type": "null" } }), json!({ "key1": null })),
            (json!({ "required": ["x"], "maxProperties": 1, "properties": { "y": {}, "x": {} } }), json!({ "x": "value" })),
            (json!({ "$ref": "#/$defs/a~1b", "$defs": { "a/b": { "type": "null" } } }), json!(null)),
        ] {
            assert_eq!(instance(&schema), Ok(value), "{schema}");
        }
    }

    #[test]
    fn a_schema_that_holds_itself_comes_to_an_end() {
        let list = json!({ "$ref": "#/$defs/node", "$defs": { "node": {
            "type": "object", "required": ["value", "next"],
            "properties": { "value": { "type": "integer" }, "next": { "anyOf": [{ "$ref": "#/$defs/node" }, { "type": "null" }] } },
        } } });
        let mut node = &instance(&list).unwrap();
        let mut length = 0;
        while let Some(next) = node.get("next") {
            assert_eq!(node["value"], json!(1));
            (node, length) = (next, length + 1);
        }
        assert!(node.is_null() && length < 8, "{length}");
        // Short, but it asks for a lot.
        let wide = json!({ "type": "array", "minItems": 60_000, "items": { "const": "x".repeat(60_000) } });
        assert!(instance(&wide).is_err());
        let tree = json!({ "type": "object", "properties": {
            "children": { "type": "array", "items": { "$ref": "#" } }, "left": { "$ref": "#" }, "right": { "$ref": "#" },
        } });
        assert!(instance(&tree).is_ok());
    }

    #[test]
    fn what_cannot_be_made_says_where() {
        for (schema, where_, why) in [
            (json!(false), "schema", "nothing is valid"),
            (json!({ "required": ["a"], "properties": { "a": { "not": {} } } }), "schema.a", "\"not\""),
            (json!({ "$ref": "#/nowhere" }), "schema", "leads nowhere"),
            (json!({ "$ref": "#" }), "schema", "no end"),
            (json!({ "allOf": [{ "$ref": "#" }] }), "schema", "no end"),
            (json!({ "type": "array", "minItems": 2, "items": { "enum": [] } }), "schema[]", "enum is empty"),
            (json!({ "type": "array", "minItems": 1_000_000, "items": {} }), "schema[]", "no end"),
            (json!({ "type": "array", "minItems": 3, "uniqueItems": true, "items": { "type": "boolean" } }), "schema", "different"),
            (json!({ "type": "integer", "minimum": 2, "maximum": 1 }), "schema", "bounds"),
            (json!({ "type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 2 }), "schema", "bounds"),
            (json!({ "type": "thing" }), "schema", "thing"),
            (json!({ "minProperties": 4, "additionalProperties": false }), "schema.*", "nothing is valid"),
        ] {
            let problem = instance(&schema).unwrap_err();
            assert!(problem.starts_with(&format!("{where_}: ")) && problem.contains(why), "{schema}: {problem}");
        }
    }
}
