//! Multiplies `$or` out: a pattern with `$or` stands for the list of patterns without, and
//! matches what any of them matches. That is the definition; the matcher mostly need not do it.
//!
//! It has to in two cases, both of which only arrays in the event can tell apart:
//!
//! * A key is named beside a `$or` and inside it, or in two `$or` side by side. The fields below
//!   the key have to hold for one and the same element of an array, wherever they were written.
//! * `{"exists": false}` occurs in a `$or` that is below a field. Absence is a statement about all
//!   elements of an array, so the choice comes before the array, not anew for each element.
//!
//! How many patterns there would be is counted, not tried, and bounded for every pattern.

use std::collections::BTreeSet;

use super::compile::{Field, Node};
use super::invalid::{Invalid, Problem};
use super::limits::{MULTIPLIED_FIELDS, OR_COMBINATIONS};

pub(super) fn where_needed(root: Node) -> Result<Node, Invalid> {
    let size = Size::of(&root);
    if size.patterns > OR_COMBINATIONS {
        return Err(Invalid::at("", Problem::TooManyCombinations { count: size.patterns }));
    }
    if !repeats_a_key(&root) && !chooses_absence(&root, false) {
        return Ok(root);
    }
    if size.fields > MULTIPLIED_FIELDS {
        return Err(Invalid::at("", Problem::TooManyFields { count: size.fields }));
    }
    Ok(Node { fields: Vec::new(), ors: vec![multiply(&root)] })
}

/// How many patterns a node stands for, and how many lists of alternatives they have together.
#[derive(Clone, Copy)]
struct Size {
    patterns: usize,
    fields: usize,
}

impl Size {
    fn of(node: &Node) -> Self {
        let one = Self { patterns: 1, fields: 0 };
        let fields = node.fields.iter().map(|field| {
            let leaves = Self { patterns: 1, fields: field.leaves.len() };
            field.node.as_ref().map_or(leaves, |inner| leaves.and(Self::of(inner)))
        });
        let ors = node.ors.iter().map(|members| {
            let none = Self { patterns: 0, fields: 0 };
            members.iter().map(Self::of).fold(none, |all, member| Self {
                patterns: all.patterns.saturating_add(member.patterns),
                fields: all.fields.saturating_add(member.fields),
            })
        });
        fields.chain(ors).fold(one, Self::and)
    }

    /// Each pattern of one with each of the other.
    fn and(self, other: Self) -> Self {
        let own = self.fields.saturating_mul(other.patterns);
        Self {
            patterns: self.patterns.saturating_mul(other.patterns),
            fields: own.saturating_add(other.fields.saturating_mul(self.patterns)),
        }
    }
}

fn repeats_a_key(node: &Node) -> bool {
    let mut seen: BTreeSet<&str> = node.fields.iter().map(|field| &*field.key).collect();
    for members in &node.ors {
        let mut own = BTreeSet::new();
        members.iter().for_each(|member| keys_of_level(member, &mut own));
        if own.iter().any(|key| !seen.insert(*key)) {
            return true;
        }
    }
    let below = node.fields.iter().filter_map(|field| field.node.as_ref());
    below.chain(node.ors.iter().flatten()).any(repeats_a_key)
}

/// The keys that a node names for its own object, also through `$or` in `$or`.
fn keys_of_level<'n>(node: &'n Node, into: &mut BTreeSet<&'n str>) {
    into.extend(node.fields.iter().map(|field| &*field.key));
    node.ors.iter().flatten().for_each(|member| keys_of_level(member, into));
}

fn chooses_absence(node: &Node, below_a_field: bool) -> bool {
    let chosen = below_a_field && node.ors.iter().flatten().any(asks_absence);
    let below = node.fields.iter().filter_map(|field| field.node.as_ref());
    chosen
        || below.into_iter().any(|inner| chooses_absence(inner, true))
        || node.ors.iter().flatten().any(|member| chooses_absence(member, below_a_field))
}

fn asks_absence(node: &Node) -> bool {
    let of_field = |field: &Field| {
        field.leaves.iter().any(|leaf| leaf.absent) || field.node.as_ref().is_some_and(asks_absence)
    };
    node.fields.iter().any(of_field) || node.ors.iter().flatten().any(asks_absence)
}

fn multiply(node: &Node) -> Vec<Node> {
    let fields = node.fields.iter().map(|field| match &field.node {
        None => vec![Node { fields: vec![field.clone()], ors: Vec::new() }],
        Some(inner) => {
            let each = multiply(inner).into_iter().map(|inner| {
                let field = Field { node: Some(inner), ..field.clone() };
                Node { fields: vec![field], ors: Vec::new() }
            });
            each.collect()
        }
    });
    let ors = node.ors.iter().map(|members| members.iter().flat_map(multiply).collect());
    fields.chain(ors).fold(vec![Node::default()], |all, choices: Vec<Node>| {
        let each = all.iter().flat_map(|one| choices.iter().map(|choice| merge(one, choice)));
        each.collect()
    })
}

/// Both have to hold; neither has a `$or`.
fn merge(one: &Node, other: &Node) -> Node {
    let mut merged = one.clone();
    for field in &other.fields {
        match merged.fields.iter_mut().find(|own| own.key == field.key) {
            None => merged.fields.push(field.clone()),
            Some(own) => {
                own.leaves.extend(field.leaves.iter().cloned());
                own.node = match (own.node.take(), &field.node) {
                    (Some(a), Some(b)) => Some(merge(&a, b)),
                    (a, b) => a.or_else(|| b.clone()),
                };
            }
        }
    }
    merged
}
