//! The language once more, by its definition: multiply every `$or` out, flatten the event into
//! values with their paths and the array elements they are in, and search for a choice of values
//! that satisfies all fields without using two elements of one array. Exponential, and sharing
//! nothing with the code under test.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Which element was chosen of which array.
type Elements = BTreeMap<usize, usize>;
type Path = Vec<String>;

struct Found {
    path: Path,
    value: Value,
    elements: Elements,
}

type Clause = (Path, Vec<Value>);

/// `pattern` is a valid one.
pub(super) fn matches(pattern: &Value, event: &Value) -> bool {
    let (Some(pattern), Some(event)) = (pattern.as_object(), event.as_object()) else {
        return false;
    };
    let mut found = Vec::new();
    flatten_object(event, &Path::new(), &Elements::new(), &mut 0, &mut found);
    let patterns = multiply(pattern, &Path::new());
    patterns.iter().any(|clauses| search(clauses, &found, &Elements::new(), &[]))
}

fn flatten_object(
    object: &Map<String, Value>,
    path: &Path,
    elements: &Elements,
    arrays: &mut usize,
    found: &mut Vec<Found>,
) {
    for (key, value) in object {
        let path = with(path, key);
        flatten(value, &path, elements, elements, arrays, found);
    }
}

/// `around` are the elements of the objects around the value, `here` those of arrays, too.
fn flatten(
    value: &Value,
    path: &Path,
    around: &Elements,
    here: &Elements,
    arrays: &mut usize,
    found: &mut Vec<Found>,
) {
    match value {
        Value::Object(object) => flatten_object(object, path, here, arrays, found),
        Value::Array(list) => {
            let id = *arrays;
            *arrays += 1;
            for (position, element) in list.iter().enumerate() {
                let mut here = here.clone();
                here.insert(id, position);
                flatten(element, path, around, &here, arrays, found);
            }
        }
        scalar => {
            let (path, value, elements) = (path.clone(), scalar.clone(), around.clone());
            found.push(Found { path, value, elements });
        }
    }
}

fn with(path: &Path, key: &str) -> Path {
    let mut path = path.clone();
    path.push(key.to_owned());
    path
}

fn multiply(pattern: &Map<String, Value>, path: &Path) -> Vec<Vec<Clause>> {
    let mut all: Vec<Vec<Clause>> = vec![Vec::new()];
    for (key, value) in pattern {
        let choices: Vec<Vec<Clause>> = match value {
            Value::Array(members) if key == "$or" => {
                members.iter().flat_map(|m| multiply(m.as_object().unwrap(), path)).collect()
            }
            Value::Array(list) => vec![vec![(with(path, key), list.clone())]],
            other => multiply(other.as_object().unwrap(), &with(path, key)),
        };
        let mut product = Vec::new();
        for one in &all {
            for choice in &choices {
                product.push([one.as_slice(), choice.as_slice()].concat());
            }
        }
        all = product;
    }
    all
}

fn search(clauses: &[Clause], found: &[Found], chosen: &Elements, absent: &[&Path]) -> bool {
    let Some(((path, alternatives), rest)) = clauses.split_first() else {
        return absent.iter().all(|path| {
            !found.iter().any(|f| f.path == **path && consistent(&f.elements, chosen))
        });
    };
    for field in found.iter().filter(|f| f.path == *path && consistent(&f.elements, chosen)) {
        if alternatives.iter().any(|alternative| accepts(alternative, &field.value)) {
            let mut chosen = chosen.clone();
            chosen.extend(field.elements.clone());
            if search(rest, found, &chosen, absent) {
                return true;
            }
        }
    }
    let may_be_absent = alternatives.iter().any(|alternative| alternative["exists"] == false);
    may_be_absent && search(rest, found, chosen, &[absent, &[path]].concat())
}

fn consistent(a: &Elements, b: &Elements) -> bool {
    a.iter().all(|(array, element)| b.get(array).is_none_or(|other| other == element))
}

fn accepts(alternative: &Value, value: &Value) -> bool {
    let Some(object) = alternative.as_object() else {
        return same(alternative, value);
    };
    let (operator, operand) = object.iter().next().unwrap();
    let is_one_of = |list: &Value| match list {
        Value::Array(list) => list.iter().any(|one| same(one, value)),
        one => same(one, value),
    };
    match operator.as_str() {
        "exists" => operand == true,
        "numeric" => value.is_number() && numeric(operand.as_array().unwrap(), value),
        "cidr" => value.as_str().is_some_and(|text| cidr(operand.as_str().unwrap(), text)),
        "anything-but" => match operand.as_object() {
            None => !is_one_of(operand),
            Some(inner) => {
                let (operator, operand) = inner.iter().next().unwrap();
                let list = operand.as_array().cloned().unwrap_or_else(|| vec![operand.clone()]);
                !list.iter().any(|one| text(operator, one, value))
            }
        },
        _ => text(operator, operand, value),
    }
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(_), Value::Number(_)) => order(a, b) == Ordering::Equal,
        _ => a == b,
    }
}

fn text(operator: &str, operand: &Value, value: &Value) -> bool {
    let Value::String(value) = value else {
        return false;
    };
    let value: Vec<char> = value.chars().collect();
    let (ignoring_case, wanted) = match &operand["equals-ignore-case"] {
        Value::String(inner) => (true, inner.as_str()),
        _ => (operator == "equals-ignore-case", operand.as_str().unwrap()),
    };
    let wanted: Vec<char> = wanted.chars().collect();
    let part = match operator {
        "wildcard" => return wildcard(&wanted, &value).unwrap(),
        "prefix" => value.get(..wanted.len()),
        "suffix" => value.len().checked_sub(wanted.len()).map(|start| &value[start..]),
        _ => Some(value.as_slice()).filter(|value| value.len() == wanted.len()),
    };
    let equal = |(a, b): (&char, &char)| a == b || ignoring_case && same_but_case(*a, *b);
    part.is_some_and(|part| part.iter().zip(&wanted).all(equal))
}

fn same_but_case(a: char, b: char) -> bool {
    a != 'ı'
        && b != 'ı'
        && (a.to_uppercase().eq(b.to_uppercase()) || a.to_lowercase().eq(b.to_lowercase()))
}

/// `None` if the wildcard is not valid. Tries every length for every star.
pub(super) fn wildcard(pattern: &[char], text: &[char]) -> Option<bool> {
    let mut tokens = Vec::new();
    let mut chars = pattern.iter();
    while let Some(c) = chars.next() {
        match c {
            '*' if tokens.last() == Some(&None) => return None,
            '*' => tokens.push(None),
            '\\' => match chars.next() {
                Some(c @ ('*' | '\\')) => tokens.push(Some(*c)),
                _ => return None,
            },
            c => tokens.push(Some(*c)),
        }
    }
    let mut reachable = vec![false; text.len() + 1];
    reachable[0] = true;
    for token in tokens {
        let mut next = vec![false; text.len() + 1];
        for at in 0..=text.len() {
            match token {
                None => next[at] = reachable[..=at].contains(&true),
                Some(c) => next[at] = at > 0 && reachable[at - 1] && text[at - 1] == c,
            }
        }
        reachable = next;
    }
    Some(reachable[text.len()])
}

fn numeric(comparisons: &[Value], value: &Value) -> bool {
    comparisons.chunks(2).all(|pair| {
        let order = order(value, &pair[1]);
        match pair[0].as_str().unwrap() {
            "=" => order == Ordering::Equal,
            "<" => order == Ordering::Less,
            "<=" => order != Ordering::Greater,
            ">" => order == Ordering::Greater,
            _ => order != Ordering::Less,
        }
    })
}

/// Compares the decimal digits of two numbers.
fn order(a: &Value, b: &Value) -> Ordering {
    let (a, b) = (decimal(&a.to_string()), decimal(&b.to_string()));
    let magnitude = |a: &(i8, i64, String), b: &(i8, i64, String)| (a.1, &a.2).cmp(&(b.1, &b.2));
    a.0.cmp(&b.0).then_with(|| if a.0 < 0 { magnitude(&b, &a) } else { magnitude(&a, &b) })
}

/// Sign, power of ten of the first digit, and the digits without zeros around them.
fn decimal(text: &str) -> (i8, i64, String) {
    let unsigned = text.trim_start_matches('-');
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let digits = all.trim_start_matches('0');
    if digits.is_empty() {
        return (0, 0, String::new());
    }
    let leading =
        i64::try_from(whole.len()).unwrap() - i64::try_from(all.len() - digits.len()).unwrap();
    let power = exponent.trim_start_matches('+').parse::<i64>().unwrap() + leading;
    let sign = if text.starts_with('-') { -1 } else { 1 };
    (sign, power, digits.trim_end_matches('0').to_owned())
}

fn cidr(block: &str, address: &str) -> bool {
    let bits = |text: &str| match text.parse().ok()? {
        std::net::IpAddr::V4(v4) => Some(format!("{:032b}", v4.to_bits())),
        std::net::IpAddr::V6(v6) => Some(format!("{:0128b}", v6.to_bits())),
    };
    let (network, length) = block.split_once('/').unwrap();
    let (network, length) = (bits(network).unwrap(), length.parse::<usize>().unwrap());
    bits(address).is_some_and(|a| a.len() == network.len() && a[..length] == network[..length])
}
