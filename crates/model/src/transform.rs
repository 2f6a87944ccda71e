//! What a function receives of an event, if not the event as it is: the input transformer of Amazon
//! EventBridge, over the CloudEvents record.
//!
//! A trigger's transform is compiled once, by [`Transform::compile`], which refuses what could not
//! work with the place and the reason. From then on [`Transform::apply`] makes the input of each
//! invocation. Whatever the record holds, the input is valid JSON.
//!
//! # The language
//!
//! One of three:
//!
//! * `{"path": "$.data"}`: that part of the record, or null.
//! * `{"constant": …}`: the same for every event.
//! * `{"paths": {"name": "$.data.name"}, "template": …}`: a JSON value with placeholders, `<name>`
//!   for each of the paths.
//!
//! Beside those that `paths` names there are `<event>`, the whole record, and `<event.id>`,
//! `<event.type>` and `<event.time>`. A string that is a placeholder and nothing else becomes the
//! value; within a longer string a placeholder becomes text: a string as it is, an object or a
//! list as JSON. What the record does not have is like null: null as a value, and nothing in a
//! text. A backslash before it, `\<name>`, keeps a placeholder from being one (and two give a
//! backslash before a placeholder).
//!
//! AWS has its template in a string. A template that is a string and begins with `{`, `[` or `"`
//! is read as such: JSON in which `<name>` alone is a value, while all that stands in quotes is
//! text. Any other string is a template as above.
//!
//! Paths are explained at [`Path`].
//!
//! What it does not do: it computes nothing, and it cannot make one event into several. Integers of
//! more than 64 bits become the nearest number that a double can hold, as everywhere here.

use std::{fmt, io};

use serde_json::{Map, Value};

use crate::fault::Fault;
use crate::limits;
use crate::name::Invalid;

mod path;
mod placeholder;
mod template;
mod text;

#[cfg(test)]
mod tests;

pub use path::Path;

use placeholder::Names;
use template::Node;

/// Paths that a template names: AWS's limit.
const PATHS: usize = 100;
/// A template or constant, as JSON text: AWS's limit.
const TEMPLATE_BYTES: usize = 8 * 1024;

/// All of a transform as JSON text: the template and every path as long as they may be.
const SPEC_BYTES: usize = 48 * 1024;

/// The code of the fault when an input would be larger than an event may be.
pub const TOO_LARGE: &str = "Lambent.InputTooLarge";

/// A compiled transform. Two are equal if they were written alike.
#[derive(Clone, Debug)]
pub struct Transform {
    root: Node,
    spec: Value,
}

impl PartialEq for Transform {
    fn eq(&self, other: &Self) -> bool {
        self.spec == other.spec
    }
}

impl Transform {
    /// From its JSON text, which [`Transform`]'s own text is, too.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let invalid = |why| Invalid::new("transform", text, why);
        if text.len() > SPEC_BYTES {
            let why = format!("it has {} bytes, and may have {SPEC_BYTES}", text.len());
            return Err(invalid(why));
        }
        match serde_json::from_str(text) {
            Ok(spec) => Self::compile(&spec),
            Err(error) => Err(invalid(format!("it is no JSON: {error}"))),
        }
    }

    /// From its JSON, as a user wrote it.
    pub fn compile(spec: &Value) -> Result<Self, Invalid> {
        const FORM: &str = "it must be an object with path, constant, or template and paths";
        let invalid = |why: &str| Invalid::new("transform", spec, why);
        let Some(fields) = spec.as_object() else { return Err(invalid(FORM)) };
        let given: Vec<&str> = fields.keys().map(String::as_str).collect();
        let root = match *given {
            ["constant"] => constant(&spec["constant"])?,
            ["path"] => match spec["path"].as_str() {
                Some(path) => Node::Slot(placeholder::Slot::Path(Path::parse(path)?)),
                None => return Err(invalid("path must be a string such as \"$.data\"")),
            },
            ["template"] | ["paths", "template"] => {
                template::compile(&spec["template"], &names(spec.get("paths"))?)?
            }
            _ => return Err(invalid(FORM)),
        };
        Ok(Self { root, spec: spec.clone() })
    }

    /// The input that a function receives for this record. It fails only if that would be larger
    /// than an event may be, since a template can hold a part of the record many times.
    pub fn apply(&self, record: &Value) -> Result<Value, Fault> {
        let mut room = Room { left: limits::EVENT_BYTES };
        let made = self.root.render(record, &mut room);
        // The parts fitted; with their quotes, keys and escapes the whole has to, too.
        made.filter(|input| Room { left: limits::EVENT_BYTES }.take(input).is_some()).ok_or_else(
            || {
                let message = format!(
                    "the trigger's transform makes more than {} bytes of this event; let its \
                     template hold less of it",
                    limits::EVENT_BYTES
                );
                Fault::function(TOO_LARGE, message)
            },
        )
    }

    /// The transform as JSON, as it was given.
    pub fn to_value(&self) -> Value {
        self.spec.clone()
    }
}

/// As JSON text, with sorted keys.
impl fmt::Display for Transform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.spec.fmt(f)
    }
}

fn constant(value: &Value) -> Result<Node, Invalid> {
    template::check("constant", value)?;
    Ok(Node::Constant(value.clone()))
}

fn names(paths: Option<&Value>) -> Result<Names, Invalid> {
    let none = Map::new();
    let paths = match paths {
        None => &none,
        Some(Value::Object(paths)) => paths,
        Some(other) => {
            let why =
                "it must be an object of names and paths, such as {\"name\": \"$.data.name\"}";
            return Err(Invalid::new("paths", other, why));
        }
    };
    if paths.len() > PATHS {
        return Err(Invalid::new("paths", paths.len(), format!("a template has at most {PATHS}")));
    }
    let mut names = Names::default();
    for (name, path) in paths {
        let Some(path) = path.as_str() else {
            let why = format!("the path of {name:?} must be a string such as \"$.data.name\"");
            return Err(Invalid::new("paths", path, why));
        };
        names.add(name, Path::parse(path)?)?;
    }
    Ok(names)
}

/// How much an input may still grow.
struct Room {
    left: usize,
}

impl Room {
    /// Makes room for a value, measured as JSON text. `None` if there is not so much; then it
    /// has been measured no further than that.
    fn take(&mut self, value: &Value) -> Option<()> {
        serde_json::to_writer(self, value).ok()
    }

    fn take_bytes(&mut self, bytes: usize) -> Option<()> {
        self.left = self.left.checked_sub(bytes)?;
        Some(())
    }
}

impl io::Write for Room {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        self.take_bytes(part.len()).map(|()| part.len()).ok_or(io::ErrorKind::FileTooLarge.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
