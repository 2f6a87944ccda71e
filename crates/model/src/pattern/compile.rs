//! From the JSON of a pattern to the tree that is matched.
//!
//! The tree follows the pattern: an object is a [`Node`] whose fields all have to hold, a list of
//! alternatives is a [`Leaf`], a `$or` is a list of nodes one of which has to hold. In two cases
//! that reading would be wrong, and the `$or` is multiplied out (see [`super::expand`]).

use std::sync::Arc;

use serde_json::{Map, Value};

use super::expand;
use super::invalid::{Invalid, Problem, index, join, shown};
use super::leaf::Leaf;
use super::limits::PATTERN_DEPTH;
use super::operator::{self, RESERVED};

/// The key that is no field. A field of this name in an event cannot be matched: reading it as
/// one where its value is no list of patterns, as older AWS rules allowed, would turn a slip into
/// a pattern that silently never matches.
pub(super) const OR: &str = "$or";

#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    /// In the order in which they are tried: see [`rank`].
    pub(super) fields: Vec<Field>,
    pub(super) ors: Vec<Vec<Node>>,
}

/// What is asked of one key. More than one thing only where a `$or` was multiplied out.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) key: Box<str>,
    pub(super) leaves: Vec<Arc<Leaf>>,
    pub(super) node: Option<Node>,
}

pub(super) fn compile(pattern: &Value) -> Result<Node, Invalid> {
    let Value::Object(object) = pattern else {
        return Err(Invalid::at("", Problem::NotAnObject { got: shown(pattern) }));
    };
    let mut root = expand::where_needed(node(object, Place::default())?)?;
    sort(&mut root);
    Ok(root)
}

#[derive(Clone, Default)]
struct Place {
    path: String,
    depth: usize,
    inside_or: bool,
}

impl Place {
    fn deeper(&self, path: String) -> Self {
        Self { path, depth: self.depth + 1, inside_or: self.inside_or }
    }

    fn refuse(&self, problem: Problem) -> Invalid {
        Invalid::at(self.path.as_str(), problem)
    }
}

fn node(object: &Map<String, Value>, place: Place) -> Result<Node, Invalid> {
    if place.depth >= PATTERN_DEPTH {
        return Err(place.refuse(Problem::TooDeep));
    }
    if object.is_empty() {
        return Err(place.refuse(Problem::EmptyObject));
    }
    let mut node = Node::default();
    for (key, value) in object {
        let inner = place.deeper(join(&place.path, key));
        if key == OR {
            node.ors.push(or(value, &inner)?);
            continue;
        }
        if place.inside_or && RESERVED.contains(&key.as_str()) {
            return Err(inner.refuse(Problem::OrReserved { name: key.clone() }));
        }
        node.fields.push(field(key, value, inner)?);
    }
    Ok(node)
}

fn field(key: &str, value: &Value, place: Place) -> Result<Field, Invalid> {
    let key = key.into();
    match value {
        Value::Object(object) => {
            Ok(Field { key, leaves: Vec::new(), node: Some(node(object, place)?) })
        }
        Value::Array(list) => {
            let leaf = operator::leaf(&place.path, list)?;
            Ok(Field { key, leaves: vec![Arc::new(leaf)], node: None })
        }
        _ => Err(place.refuse(Problem::NotAList { got: shown(value) })),
    }
}

/// `place` is that of the `$or`.
fn or(value: &Value, place: &Place) -> Result<Vec<Node>, Invalid> {
    let Value::Array(members) = value else {
        return Err(place.refuse(Problem::OrForm { got: shown(value) }));
    };
    if let [] | [_] = members.as_slice() {
        return Err(place.refuse(Problem::OrTooFew { count: members.len() }));
    }
    let members = members.iter().enumerate().map(|(position, member)| {
        let inner = Place { path: index(&place.path, position), inside_or: true, ..place.clone() };
        match member {
            Value::Object(object) => node(object, inner),
            _ => Err(inner.refuse(Problem::NotAnObject { got: shown(member) })),
        }
    });
    members.collect()
}

/// What rejects most events for least work comes first: what an event is and where it comes from,
/// then the other attributes, then what lies deeper.
fn rank(field: &Field) -> (bool, u8, &str) {
    let attribute = match &*field.key {
        "type" => 0,
        "source" => 1,
        _ => 2,
    };
    (field.node.is_some(), attribute, &field.key)
}

fn sort(node: &mut Node) {
    node.fields.sort_by(|a, b| rank(a).cmp(&rank(b)));
    for inner in node.fields.iter_mut().filter_map(|field| field.node.as_mut()) {
        sort(inner);
    }
    for member in node.ors.iter_mut().flatten() {
        sort(member);
    }
}

/// The same pattern with sorted keys and numbers in their shortest form, so that two spellings of
/// one pattern are one text. `pattern` has been compiled, so its depth is bounded.
pub(super) fn canonical(pattern: &Value) -> Value {
    match pattern {
        Value::Number(number) => Value::Number(super::number::Num::canonical(number)),
        Value::Array(list) => list.iter().map(canonical).collect(),
        Value::Object(object) => {
            let mut entries: Vec<_> = object.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| *key);
            let entries = entries.into_iter().map(|(key, value)| (key.clone(), canonical(value)));
            Value::Object(entries.collect())
        }
        _ => pattern.clone(),
    }
}
