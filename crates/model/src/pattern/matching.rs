//! Does a record satisfy a compiled pattern? Nothing is allocated, and every part of the pattern
//! looks at every part of the record at most once.
//!
//! Arrays are what makes it subtle. An array stands for its elements: a list of alternatives holds
//! if any scalar in the array satisfies it, and an object of fields holds if one object in the
//! array satisfies all of it. Absence, though, is about the whole array: `{"exists": false}` must
//! not hold merely because one of three elements lacks the field. So an answer has three values:
//! a node that holds by absences alone is [`Holds::ByAbsence`], and an array holds that way only
//! if all its objects do, while one object with something to show for it is enough.

use serde_json::{Map, Value};

use super::compile::{Field, Node};
use super::leaf::Leaf;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Holds {
    No,
    ByAbsence,
    Yes,
}

impl Node {
    /// `None` stands for an object without fields.
    pub(super) fn holds(&self, object: Option<&Map<String, Value>>) -> Holds {
        let mut all = Holds::ByAbsence;
        for field in &self.fields {
            match field.holds(object) {
                Holds::No => return Holds::No,
                holds => all = all.max(holds),
            }
        }
        for members in &self.ors {
            match any(members.iter().map(|member| member.holds(object))) {
                Holds::No => return Holds::No,
                holds => all = all.max(holds),
            }
        }
        all
    }

    /// Of the value below a key; what is no object has no fields.
    pub(super) fn holds_in(&self, value: Option<&Value>) -> Holds {
        match value {
            Some(Value::Object(object)) => self.holds(Some(object)),
            Some(Value::Array(list)) => {
                let mut objects = Objects::default();
                objects.ask(self, list);
                match objects {
                    Objects { yes: true, .. } => Holds::Yes,
                    Objects { met: false, .. } => self.holds(None),
                    Objects { no: false, .. } => Holds::ByAbsence,
                    _ => Holds::No,
                }
            }
            _ => self.holds(None),
        }
    }
}

impl Field {
    pub(super) fn holds(&self, object: Option<&Map<String, Value>>) -> Holds {
        let value = object.and_then(|object| object.get(&*self.key));
        let mut all = Holds::ByAbsence;
        for leaf in &self.leaves {
            match leaf.holds(value) {
                Holds::No => return Holds::No,
                holds => all = all.max(holds),
            }
        }
        match &self.node {
            None => all,
            Some(node) => match node.holds_in(value) {
                Holds::No => Holds::No,
                holds => all.max(holds),
            },
        }
    }
}

impl Leaf {
    pub(super) fn holds(&self, value: Option<&Value>) -> Holds {
        let mut scalars = false;
        let accepted = value.is_some_and(|value| self.accepts_any(value, &mut scalars));
        match (accepted, scalars) {
            (true, _) => Holds::Yes,
            (false, false) if self.absent => Holds::ByAbsence,
            (false, _) => Holds::No,
        }
    }

    /// Arrays in arrays are one array; objects are not values that a list of alternatives sees.
    fn accepts_any(&self, value: &Value, scalars: &mut bool) -> bool {
        match value {
            Value::Array(list) => list.iter().any(|element| self.accepts_any(element, scalars)),
            Value::Object(_) => false,
            scalar => {
                *scalars = true;
                self.accepts(scalar)
            }
        }
    }
}

fn any(answers: impl Iterator<Item = Holds>) -> Holds {
    let mut best = Holds::No;
    for answer in answers {
        best = best.max(answer);
        if best == Holds::Yes {
            break;
        }
    }
    best
}

/// What the objects of an array answered.
#[derive(Default)]
struct Objects {
    met: bool,
    yes: bool,
    no: bool,
}

impl Objects {
    fn ask(&mut self, node: &Node, list: &[Value]) {
        for element in list {
            match element {
                Value::Object(object) => {
                    self.met = true;
                    match node.holds(Some(object)) {
                        Holds::Yes => self.yes = true,
                        Holds::ByAbsence => {}
                        Holds::No => self.no = true,
                    }
                }
                Value::Array(inner) => self.ask(node, inner),
                _ => {}
            }
            if self.yes {
                return;
            }
        }
    }
}
