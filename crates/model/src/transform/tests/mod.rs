//! Tests of transforms: tables for paths, templates in both forms and refusals, and properties: the
//! result is valid JSON whatever goes in, the two forms agree, and nothing panics.
//!
//! `SLOW_TESTS=1` asks 100,000 random cases of each property, otherwise it is 2,000.

use serde_json::Value;

use super::Transform;

mod paths;
mod properties;
mod refusals;
mod size;
mod templates;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("the test's own JSON {text}: {e}"))
}

const RECORD: &str = r#"{
    "specversion": "1.0",
    "id": "e-1",
    "source": "/storage",
    "type": "file.created",
    "time": "2026-11-24T12:00:00Z",
    "data": {
        "filename": "a \"b\"\n.png",
        "size": 12.5,
        "public": true,
        "owner": null,
        "na me": {"x.y": 1, "it's": 2},
        "tags": ["a", "b"],
        "items": [{"id": 1, "parts": [10, 11]}, {"id": "two", "parts": []}, {"no": 0, "parts": [12]}],
        "empty": []
    }
}"#;
