//! A template as a tree: the JSON that it will be, with slots where placeholders stand. Since it is
//! a tree, filling it in cannot make anything else than valid JSON.

use serde_json::{Map, Value};

use super::placeholder::{Names, Piece, Slot};
use super::{Room, TEMPLATE_BYTES, text};
use crate::name::Invalid;

/// Lists and objects inside each other. An event has `limits::JSON_DEPTH` of them and JSON readers
/// stop at 128, which a part of an event in a template must not come near.
pub(super) const DEPTH: usize = 16;

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Node {
    Constant(Value),
    Slot(Slot),
    Text(Vec<Piece>),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

pub(super) fn compile(template: &Value, names: &Names) -> Result<Node, Invalid> {
    check("template", template)?;
    let invalid = |why| Invalid::new("template", template, why);
    match template {
        Value::String(text) if text.trim_start().starts_with(['{', '[', '"']) => {
            text::parse(text, names).map_err(invalid)
        }
        _ => node(template, names).map_err(invalid),
    }
}

/// What is neither too large nor too deep, be it a template or a constant.
pub(super) fn check(field: &'static str, value: &Value) -> Result<(), Invalid> {
    if !is_within(value, DEPTH) {
        return Err(Invalid::new(field, "", too_deep()));
    }
    let bytes = value.to_string().len();
    if bytes > TEMPLATE_BYTES {
        let why = format!("it has {bytes} bytes, and may have {TEMPLATE_BYTES}");
        return Err(Invalid::new(field, value, why));
    }
    Ok(())
}

fn is_within(value: &Value, depth: usize) -> bool {
    let inner = |it: &Value| depth.checked_sub(1).is_some_and(|depth| is_within(it, depth));
    match value {
        Value::Array(list) => depth > 0 && list.iter().all(inner),
        Value::Object(fields) => depth > 0 && fields.values().all(inner),
        _ => true,
    }
}

fn node(value: &Value, names: &Names) -> Result<Node, String> {
    Ok(match value {
        Value::String(text) => string(names.pieces(text)?),
        Value::Array(list) => {
            Node::list(list.iter().map(|it| node(it, names)).collect::<Result<_, _>>()?)
        }
        Value::Object(fields) => {
            let field =
                |(name, value): (&String, &Value)| Ok((key(name, names)?, node(value, names)?));
            Node::object(fields.iter().map(field).collect::<Result<_, String>>()?)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Node::Constant(value.clone()),
    })
}

pub(super) fn too_deep() -> String {
    format!("it has more than {DEPTH} lists and objects inside each other")
}

/// A string that is nothing but one placeholder is the value.
fn string(mut pieces: Vec<Piece>) -> Node {
    match pieces.pop() {
        Some(Piece::Slot(slot)) if pieces.is_empty() => Node::Slot(slot),
        last => {
            pieces.extend(last);
            Node::text(pieces)
        }
    }
}

/// The name of a field: it cannot depend on the event, since two might become one.
pub(super) fn key(text: &str, names: &Names) -> Result<String, String> {
    match Node::text(names.pieces(text).unwrap_or_else(|_| vec![Piece::Slot(Slot::Event)])) {
        Node::Constant(Value::String(key)) => Ok(key),
        _ => Err(format!("the name of a field cannot have a placeholder, as {text:?} has")),
    }
}

impl Node {
    pub(super) fn text(mut pieces: Vec<Piece>) -> Self {
        match pieces.as_mut_slice() {
            [] => Self::Constant(Value::String(String::new())),
            [Piece::Literal(text)] => Self::Constant(Value::String(std::mem::take(text))),
            _ => Self::Text(pieces),
        }
    }

    pub(super) fn list(list: Vec<Self>) -> Self {
        let constants: Option<Vec<Value>> = list.iter().map(Self::constant).collect();
        constants.map_or(Self::List(list), |it| Self::Constant(it.into()))
    }

    pub(super) fn object(fields: Vec<(String, Self)>) -> Self {
        let constant = |(name, node): &(String, Self)| Some((name.clone(), node.constant()?));
        let constants: Option<Map<String, Value>> = fields.iter().map(constant).collect();
        constants.map_or(Self::Object(fields), |it| Self::Constant(it.into()))
    }

    fn constant(&self) -> Option<Value> {
        if let Self::Constant(value) = self { Some(value.clone()) } else { None }
    }

    /// Fills in the slots. `None` if the result has no room; then little more than fits was made.
    pub(super) fn render(&self, record: &Value, room: &mut Room) -> Option<Value> {
        Some(match self {
            Self::Constant(value) => value.clone(),
            Self::Slot(slot) => slot.value(record, room)?,
            Self::Text(pieces) => {
                let mut text = String::new();
                for piece in pieces {
                    match piece {
                        Piece::Literal(literal) => text.push_str(literal),
                        Piece::Slot(slot) => text.push_str(&slot.text(record, room)?),
                    }
                }
                Value::String(text)
            }
            Self::List(list) => {
                list.iter().map(|it| it.render(record, room)).collect::<Option<Vec<_>>>()?.into()
            }
            Self::Object(fields) => {
                let field = |(name, node): &(String, Self)| {
                    Some((name.clone(), node.render(record, room)?))
                };
                Value::Object(fields.iter().map(field).collect::<Option<_>>()?)
            }
        })
    }
}
