//! A page of a list that is in the order of its keys: how it ends, and what it leaves out.
//!
//! A damaged row is left out, and told of in the log. Where the keys themselves come in another order
//! than theirs, there is no sound next page: the list is refused.
//!
//! What it does not do: it does not say what is on the list; the caller asks, and hands on the rows.

use std::cmp::Ordering;

use model::EventId;
use rusqlite::{Row, Rows};

use super::damage::{Damage, is_damage};
use super::ledger::Fail;
use crate::Listed;

/// Bytes on one page of a list: a thousand events of a megabyte would be a gigabyte in memory.
const PAGE_BYTES: usize = 8 * 1024 * 1024;

/// A list by some key, from some place on.
#[derive(Debug)]
pub(super) struct Walk<'a, K> {
    pub(super) table: &'static str,
    /// How each key compares to the one before it.
    pub(super) order: Ordering,
    /// The key before the first.
    pub(super) from: K,
    pub(super) limit: usize,
    pub(super) damage: &'a Damage,
}

/// How a list's rows are read.
pub(super) trait Listing {
    type Key: Ord + Copy;
    type Item;

    fn key(row: &Row<'_>) -> Result<Self::Key, Fail>;
    fn cursor(key: Self::Key) -> String;
    fn read(row: &Row<'_>) -> Result<Self::Item, Fail>;
    /// What it weighs on its page.
    fn bytes(item: &Self::Item) -> usize;
}

impl<K: Ord + Copy> Walk<'_, K> {
    /// A page from rows that begin with an id, of which one more than the limit was asked for. It may
    /// have fewer items than that and yet a page after it, where rows are large or damaged.
    pub(super) fn page<L: Listing<Key = K>>(
        self,
        mut found: Rows<'_>,
    ) -> Result<Listed<L::Item>, Fail> {
        let Self { table, order, from, limit, damage } = self;
        let (mut items, mut bytes, mut seen, mut last) = (Vec::new(), 0, 0, from);
        while let Some(row) = found.next()? {
            if items.len() == limit || bytes >= PAGE_BYTES {
                return Ok(Listed { items, next: Some(L::cursor(last)) });
            }
            seen += 1;
            let key = match L::key(row) {
                Ok(key) => key,
                Err(fail) if is_damage(&fail) => {
                    damage.meet(table, &format_args!("after {}", L::cursor(last)), &fail);
                    continue;
                }
                Err(fail) => return Err(fail),
            };
            // An index whose keys are out of order leads to rows that were told already, and a list
            // of pages would never end.
            if key.cmp(&last) != order {
                return Err(Fail::Disorder { table });
            }
            last = key;
            match L::read(row) {
                Ok(item) => {
                    bytes += L::bytes(&item);
                    items.push(item);
                }
                Err(fail) if is_damage(&fail) => match row.get(0) {
                    Ok(id) => damage.meet(table, &EventId::from_bytes(id), &fail),
                    Err(_) => damage.meet(table, &format_args!("at {}", L::cursor(key)), &fail),
                },
                Err(fail) => return Err(fail),
            }
        }
        let more = seen > limit;
        if more && last == from {
            return Err(Fail::Disorder { table });
        }
        Ok(Listed { items, next: more.then(|| L::cursor(last)) })
    }
}
