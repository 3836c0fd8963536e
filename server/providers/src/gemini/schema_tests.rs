#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use headworks_core::Json;
use serde_json::{Value, json};

use super::*;

fn sent(schema: &Value, purpose: Use) -> (Value, Vec<String>) {
    let mut notes = Vec::new();
    let text = accepted(&Json::of(schema).unwrap(), purpose, "tool f", &mut notes);
    (serde_json::from_str(&text).unwrap(), notes.iter().map(|n| n.to_string()).collect())
}

#[test]
fn t7_schemas_keep_their_meaning() {
    let table = [
        ("nothing to do", json!({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": false}), None),
        ("null by a list of types", json!({"type": "object", "properties": {"a": {"type": ["string", "null"]}}}), None),
        (
            "a reference, with a word beside it",
            json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/A", "description": "first"}}, "$defs": {"A": {"type": "string", "description": "any"}}}),
            Some(json!({"type": "object", "properties": {"a": {"type": "string", "description": "first"}}})),
        ),
        (
            "references through references, five deep",
            json!({"type": "object", "properties": {"a": {"$ref": "#/definitions/A"}}, "definitions": {
                "A": {"type": "object", "properties": {"b": {"$ref": "#/definitions/B"}}},
                "B": {"type": "array", "items": {"$ref": "#/definitions/C"}},
                "C": {"anyOf": [{"$ref": "#/definitions/D"}, {"type": "null"}]},
                "D": {"type": "object", "additionalProperties": {"$ref": "#/definitions/E"}},
                "E": {"type": "string", "enum": ["x", "y"]}}}),
            Some(json!({"type": "object", "properties": {"a": {"type": "object", "properties": {"b": {"type": "array", "items":
                {"anyOf": [{"type": "object", "additionalProperties": {"type": "string", "enum": ["x", "y"]}}, {"type": "null"}]}}}}}})),
        ),
        (
            "a reference into the properties",
            json!({"type": "object", "properties": {"h": {"type": "object"}, "l": {"type": "array", "items": {"$ref": "#/properties/h"}}}}),
            Some(json!({"type": "object", "properties": {"h": {"type": "object"}, "l": {"type": "array", "items": {"type": "object"}}}})),
        ),
        (
            "const",
            json!({"type": "object", "properties": {"k": {"const": "cat"}, "n": {"const": 3}, "z": {"const": null}}}),
            Some(
                json!({"type": "object", "properties": {"k": {"type": "string", "enum": ["cat"]}, "n": {"type": "integer", "enum": [3]}, "z": {"type": "null"}}}),
            ),
        ),
        (
            "nullable",
            json!({"type": "object", "properties": {"a": {"type": "string", "nullable": true}, "b": {"type": "string", "enum": ["x"], "nullable": true}}}),
            Some(json!({"type": "object", "properties": {"a": {"type": ["string", "null"]}, "b": {"type": ["string", "null"], "enum": ["x", null]}}})),
        ),
        (
            "allOf",
            json!({"allOf": [{"$ref": "#/$defs/A"}, {"type": "object", "properties": {"b": {"type": "integer"}}, "required": ["b"]}],
                "$defs": {"A": {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}}}),
            Some(json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}, "required": ["a", "b"]})),
        ),
        (
            "properties that are called like keywords",
            json!({"type": "object", "properties": {"$ref": {"type": "string"}, "definitions": {"type": "string"}, "const": {"type": "integer"}, "$schema": {"type": "string"}}}),
            None,
        ),
        (
            "data that looks like references",
            json!({"type": "object", "properties": {"a": {"type": "object", "default": {"$ref": "#/x"}, "examples": [{"const": 1}]}}}),
            None,
        ),
        ("no type", json!({"properties": {"a": true}}), Some(json!({"type": "object", "properties": {"a": {}}}))),
        (
            "a tuple of older drafts",
            json!({"type": "object", "properties": {"t": {"type": "array", "items": [{"type": "string"}, {"type": "number"}]}}}),
            Some(json!({"type": "object", "properties": {"t": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "number"}]}}})),
        ),
    ];
    for (name, schema, wanted) in table {
        let (got, notes) = sent(&schema, Use::Arguments);
        assert_eq!(got, wanted.unwrap_or(schema), "{name}");
        assert!(notes.is_empty(), "{name}: {notes:?}");
    }
}

#[test]
fn t7_the_order_of_properties_stays() {
    let text = r##"{"type":"object","properties":{"zeta":{"$ref":"#/$defs/Z"},"alpha":{"type":"number","maximum":1.50}},"$defs":{"Z":{"type":"string"}}}"##;
    let got = accepted(&Json::parse(text).unwrap(), Use::Arguments, "", &mut Vec::new());
    assert_eq!(got, r#"{"type":"object","properties":{"zeta":{"type":"string"},"alpha":{"type":"number","maximum":1.5}}}"#);
}

#[test]
fn t7_what_repeats_inside_itself_stays_a_reference() {
    let tree = json!({"$ref": "#/$defs/T", "$defs": {"T": {"type": "object", "properties": {
        "label": {"$ref": "#/$defs/L"}, "children": {"type": "array", "items": {"$ref": "#/$defs/T"}}}, "required": ["label", "children"]}, "L": {"type": "string"}}});
    let inner = json!({"label": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#/$defs/T"}}});
    let whole = |required: Value| {
        json!({"type": "object", "properties": inner, "required": required,
            "$defs": {"T": {"type": "object", "properties": inner, "required": required}}})
    };
    assert_eq!(sent(&tree, Use::Arguments), (whole(json!(["label", "children"])), vec![]));
    // In answers Google takes such references only where they are not required.
    let (got, notes) = sent(&tree, Use::Answer);
    assert_eq!(got, whole(json!(["label"])));
    assert_eq!(notes.len(), 1, "{notes:?}");
    // The whole schema inside itself, and two that need each other.
    let (got, _) = sent(&json!({"type": "object", "properties": {"next": {"$ref": "#"}}}), Use::Arguments);
    assert_eq!(got["$defs"]["root"]["properties"]["next"], json!({"$ref": "#/$defs/root"}), "{got}");
    let pair = json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {
        "A": {"type": "object", "properties": {"b": {"$ref": "#/$defs/B"}}}, "B": {"type": "object", "properties": {"a": {"$ref": "#/$defs/A", "title": "up"}}}}});
    let (got, _) = sent(&pair, Use::Arguments);
    assert_eq!(got["properties"]["a"]["properties"]["b"]["properties"]["a"], json!({"title": "up", "anyOf": [{"$ref": "#/$defs/A"}]}));
    assert!(got["$defs"]["A"].is_object() && got["$defs"].as_object().unwrap().len() == 1, "{got}");
}

#[test]
fn t7_references_cannot_make_a_schema_explode() {
    let mut defs = serde_json::Map::new();
    for n in 0..40 {
        let next = json!({"$ref": format!("#/$defs/D{}", n + 1)});
        defs.insert(format!("D{n}"), json!({"type": "object", "properties": {"l": next, "r": next}}));
    }
    defs.insert("D40".to_owned(), json!({"type": "string"}));
    let (got, _) = sent(&json!({"type": "object", "properties": {"d": {"$ref": "#/$defs/D0"}}, "$defs": defs}), Use::Arguments);
    let text = got.to_string();
    assert!(text.len() < 2_000_000, "{}", text.len());
    assert_eq!(got["$defs"]["D40"], json!({"type": "string"}), "nothing is lost");
}

#[test]
fn t7_what_google_does_not_enforce_is_said_and_sent() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string", "pattern": "^x", "minLength": 2}, "b": {"$ref": "https://elsewhere/x"}}});
    let (got, notes) = sent(&schema, Use::Arguments);
    assert_eq!(got["properties"]["a"], schema["properties"]["a"]);
    assert_eq!(notes, ["tool f: Gemini does not promise to enforce minLength, pattern, the reference https://elsewhere/x; the schema was sent all the same"]);
}
