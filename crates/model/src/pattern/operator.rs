//! Reads a field's list of alternatives: `["a", 5, {"prefix": "b"}]`.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::cidr::Cidr;
use super::invalid::{Invalid, Problem, shown};
use super::leaf::{Exact, Excluded, Leaf, Test};
use super::limits::ALTERNATIVES;
use super::number::{Bound, Num, Range};
use super::string::{Folded, Text, Wildcard, WildcardProblem};

/// Names that inside `$or` would more likely be an operator in the wrong place than a field.
pub(super) const RESERVED: [&str; 13] = [
    "prefix",
    "suffix",
    "equals-ignore-case",
    "wildcard",
    "anything-but",
    "numeric",
    "cidr",
    "exists",
    "=",
    "<",
    "<=",
    ">",
    ">=",
];

pub(super) fn leaf(path: &str, list: &[Value]) -> Result<Leaf, Invalid> {
    read(list).map_err(|problem| Invalid::at(path, problem))
}

fn read(list: &[Value]) -> Result<Leaf, Problem> {
    check_length(list)?;
    let mut leaf = Leaf { wanted: Value::from(list), ..Leaf::default() };
    let mut strings = Vec::new();
    for alternative in list {
        match alternative {
            Value::Null => leaf.null = true,
            Value::Bool(true) => leaf.yes = true,
            Value::Bool(false) => leaf.no = true,
            Value::String(text) => strings.push(text.clone()),
            Value::Number(_) => leaf.numbers.push(number(alternative)?),
            Value::Array(_) => return Err(Problem::NestedList { got: shown(alternative) }),
            Value::Object(object) => match single(object) {
                Some((operator, operand)) => apply(&mut leaf, operator, operand)?,
                None => return Err(Problem::OneOperator { got: shown(alternative) }),
            },
        }
    }
    leaf.strings = Exact::new(strings);
    Ok(leaf)
}

fn apply(leaf: &mut Leaf, operator: &str, operand: &Value) -> Result<(), Problem> {
    let test = match operator {
        "prefix" | "suffix" => Test::Text(affix(operator, operand)?),
        "equals-ignore-case" | "wildcard" => Test::Text(text(operator, operand)?),
        "anything-but" => Test::AnythingBut(anything_but(operand)?),
        "numeric" => Test::Numeric(numeric(operand)?),
        "cidr" => {
            let block = operand.as_str().and_then(Cidr::parse);
            Test::Cidr(block.ok_or_else(|| Problem::Cidr { got: shown(operand) })?)
        }
        "exists" => {
            match operand {
                Value::Bool(true) => leaf.any = true,
                Value::Bool(false) => leaf.absent = true,
                _ => return Err(wrong("exists", "true or false", operand)),
            }
            return Ok(());
        }
        _ => return Err(Problem::UnknownOperator { operator: operator.to_owned() }),
    };
    leaf.tests.push(test);
    Ok(())
}

/// `prefix` and `suffix`, which also take `{"equals-ignore-case": string}`.
fn affix(operator: &str, operand: &Value) -> Result<Text, Problem> {
    let Some(inner) = operand.as_object() else {
        return text(operator, operand);
    };
    match single(inner) {
        Some(("equals-ignore-case", Value::String(text))) if operator == "prefix" => {
            Ok(Text::PrefixIgnoringCase(Folded::new(text)))
        }
        Some(("equals-ignore-case", Value::String(text))) => {
            Ok(Text::SuffixIgnoringCase(Folded::new(text)))
        }
        _ => Err(wrong(operator, "a string or {\"equals-ignore-case\": string}", operand)),
    }
}

/// The operators on strings, each with a plain string.
fn text(operator: &str, operand: &Value) -> Result<Text, Problem> {
    let Value::String(text) = operand else {
        let takes = match operator {
            "prefix" | "suffix" => "a string or {\"equals-ignore-case\": string}",
            _ => "a string",
        };
        return Err(wrong(operator, takes, operand));
    };
    let got = || shown(operand);
    Ok(match operator {
        "prefix" => Text::Prefix(text.as_str().into()),
        "suffix" => Text::Suffix(text.as_str().into()),
        "equals-ignore-case" => Text::EqualIgnoringCase(Folded::new(text)),
        "wildcard" => Text::Wildcard(Wildcard::parse(text).map_err(|problem| match problem {
            WildcardProblem::Consecutive => Problem::WildcardConsecutive { got: got() },
            WildcardProblem::Escape => Problem::WildcardEscape { got: got() },
            WildcardProblem::TooMany => Problem::WildcardTooMany { got: got() },
        })?),
        _ => return Err(Problem::UnknownOperator { operator: operator.to_owned() }),
    })
}

const ANYTHING_BUT: &str = "a string, a number, a list of either, or one of prefix, suffix, \
                            equals-ignore-case and wildcard";

fn anything_but(operand: &Value) -> Result<Excluded, Problem> {
    match operand {
        Value::String(text) => Ok(Excluded::Strings(Exact::new(vec![text.clone()]))),
        Value::Number(_) => Ok(Excluded::Numbers(vec![number(operand)?])),
        Value::Array(list) => anything_but_list(operand, list),
        Value::Object(object) => match single(object) {
            Some((operator, operand)) => anything_but_text(operator, operand),
            None => Err(wrong("anything-but", ANYTHING_BUT, operand)),
        },
        Value::Null | Value::Bool(_) => Err(wrong("anything-but", ANYTHING_BUT, operand)),
    }
}

fn anything_but_list(operand: &Value, list: &[Value]) -> Result<Excluded, Problem> {
    check_length(list)?;
    if !list.iter().all(|value| value.is_string() || value.is_number()) {
        return Err(wrong("anything-but", ANYTHING_BUT, operand));
    }
    if list.iter().all(Value::is_number) {
        return Ok(Excluded::Numbers(list.iter().map(number).collect::<Result<_, _>>()?));
    }
    let strings = list.iter().map(|value| value.as_str().map(str::to_owned));
    match strings.collect::<Option<Vec<_>>>() {
        Some(strings) => Ok(Excluded::Strings(Exact::new(strings))),
        None => Err(Problem::AnythingButMixed { got: shown(operand) }),
    }
}

fn anything_but_text(operator: &str, operand: &Value) -> Result<Excluded, Problem> {
    let list = match operand {
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    };
    check_length(list)?;
    if !RESERVED.iter().take(4).any(|known| *known == operator) {
        return Err(match canonical_name(operator) {
            Some(operator) => {
                let takes = "its place outside of \"anything-but\"";
                Problem::Operand { operator, takes, got: shown(operand) }
            }
            None => Problem::UnknownOperator { operator: operator.to_owned() },
        });
    }
    let tests = list.iter().map(|value| match value {
        Value::String(text) if text.is_empty() && matches!(operator, "prefix" | "suffix") => {
            Err(Problem::EmptyExclusion { operator: static_name(operator) })
        }
        Value::String(_) => text(operator, value),
        _ => Err(wrong(operator, "a string or a list of strings inside \"anything-but\"", value)),
    });
    Ok(Excluded::Texts(tests.collect::<Result<_, _>>()?))
}

/// `["=", x]`, `["<", x]`, `[">", x]`, `[">", x, "<", y]`, each with or without the equal sign.
fn numeric(operand: &Value) -> Result<Range, Problem> {
    let got = || shown(operand);
    let pairs = operand.as_array().filter(|list| !list.is_empty() && list.len() % 2 == 0);
    let pairs = pairs.ok_or_else(|| Problem::Numeric { got: got() })?;
    let mut terms = Vec::new();
    for pair in pairs.chunks(2) {
        let [Value::String(operator), bound @ Value::Number(_)] = pair else {
            return Err(Problem::Numeric { got: got() });
        };
        let known = ["=", "<", "<=", ">", ">="].into_iter().find(|known| known == operator);
        let known = known.ok_or_else(|| Problem::NumericOperator { operator: operator.clone() })?;
        let inclusive = known.ends_with('=');
        terms.push((known, Bound { at: number(bound)?, inclusive }));
    }
    match terms.as_slice() {
        [("=", at)] => Ok(Range { low: Some(*at), high: Some(*at) }),
        [("<" | "<=", high)] => Ok(Range { low: None, high: Some(*high) }),
        [(">" | ">=", low)] => Ok(Range { low: Some(*low), high: None }),
        [(">" | ">=", low), ("<" | "<=", high)] => {
            if low.at.compare(high.at) == Ordering::Less {
                Ok(Range { low: Some(*low), high: Some(*high) })
            } else {
                Err(Problem::NumericRange { got: got() })
            }
        }
        _ => Err(Problem::NumericOrder { got: got() }),
    }
}

fn number(value: &Value) -> Result<Num, Problem> {
    Num::of_value(value).ok_or_else(|| Problem::NotFinite { got: shown(value) })
}

fn check_length(list: &[Value]) -> Result<(), Problem> {
    match list.len() {
        0 => Err(Problem::EmptyList),
        count if count > ALTERNATIVES => Err(Problem::TooManyAlternatives { count }),
        _ => Ok(()),
    }
}

fn single(object: &Map<String, Value>) -> Option<(&str, &Value)> {
    let mut entries = object.iter();
    match (entries.next(), entries.next()) {
        (Some((key, value)), None) => Some((key, value)),
        _ => None,
    }
}

fn wrong(operator: &str, takes: &'static str, got: &Value) -> Problem {
    Problem::Operand { operator: static_name(operator), takes, got: shown(got) }
}

fn canonical_name(operator: &str) -> Option<&'static str> {
    RESERVED.into_iter().find(|known| *known == operator)
}

/// Callers name operators that exist.
fn static_name(operator: &str) -> &'static str {
    canonical_name(operator).unwrap_or("this operator")
}
