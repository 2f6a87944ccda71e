//! Which of many strings does a text begin with? All of them, in the time of a few searches by
//! halves.
//!
//! The strings are sorted. Everything that the text begins with stands at or before the text's own
//! place, and is itself what the string just before that place begins with: so one search finds
//! the neighbour, and from the longest hit on, each knows the next shorter one. If the neighbour is
//! no hit, then only as much of the text counts as the two have in common, and the search goes on
//! with that.

/// Strings, each with a number of the caller's.
#[derive(Debug, Default)]
pub(super) struct Prefixes {
    /// Sorted once [`Prefixes::seal`] was called; each string once.
    sorted: Vec<Prefix>,
}

#[derive(Debug)]
struct Prefix {
    /// Bytes are compared: a text begins with another exactly if its bytes do.
    bytes: Box<[u8]>,
    number: usize,
    /// The place of the longest other string that this one begins with.
    shorter: Option<usize>,
}

impl Prefixes {
    /// Not yet found until `seal`.
    pub(super) fn enter(&mut self, text: &str, number: usize) {
        self.sorted.push(Prefix { bytes: text.as_bytes().into(), number, shorter: None });
    }

    pub(super) fn seal(&mut self) {
        self.sorted.sort_unstable_by(|a, b| a.bytes.cmp(&b.bytes));
        // Those that the string at hand may begin with, each beginning with the one before it.
        let mut open: Vec<usize> = Vec::new();
        for at in 0..self.sorted.len() {
            while let Some(&last) = open.last() {
                if self.sorted[at].bytes.starts_with(&self.sorted[last].bytes) {
                    break;
                }
                open.pop();
            }
            self.sorted[at].shorter = open.last().copied();
            open.push(at);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// Adds the numbers of all strings that `text` begins with.
    pub(super) fn look(&self, text: &str, into: &mut Vec<usize>) {
        let mut text = text.as_bytes();
        while let Some(neighbour) = self.neighbour(text) {
            let Prefix { bytes, .. } = &self.sorted[neighbour];
            if text.starts_with(bytes) {
                let mut hit = Some(neighbour);
                while let Some(Prefix { number, shorter, .. }) = hit.map(|at| &self.sorted[at]) {
                    into.push(*number);
                    hit = *shorter;
                }
                return;
            }
            // Shorter each time: the neighbour is less than the text, and the text does not begin
            // with it, so they differ before either ends.
            let common = bytes.iter().zip(text).take_while(|(a, b)| a == b).count();
            text = text.get(..common).unwrap_or_default();
        }
    }

    /// The greatest string that is not greater than the text.
    fn neighbour(&self, text: &[u8]) -> Option<usize> {
        self.sorted.partition_point(|prefix| *prefix.bytes <= *text).checked_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    fn word(most: usize) -> impl Strategy<Value = String> {
        vec(select(vec!['a', 'b', 'é', '\u{10ffff}']), 0..most).prop_map(String::from_iter)
    }

    fn found(strings: &[&str], text: &str) -> Vec<String> {
        let mut prefixes = Prefixes::default();
        strings.iter().enumerate().for_each(|(number, it)| prefixes.enter(it, number));
        prefixes.seal();
        let mut numbers = Vec::new();
        prefixes.look(text, &mut numbers);
        numbers.sort_unstable();
        numbers.into_iter().map(|number| strings[number].to_owned()).collect()
    }

    #[test]
    fn all_that_a_text_begins_with_is_found_and_nothing_else() {
        let strings = ["a/", "a/b/", "a/b/c", "b/", "a/bb"];
        assert_eq!(found(&strings, "a/b/cd"), ["a/", "a/b/", "a/b/c"]);
        assert_eq!(found(&strings, "a/b"), ["a/"]);
        assert_eq!(found(&strings, "a/bc"), ["a/"]);
        assert_eq!(found(&strings, "c"), [""; 0]);
        assert_eq!(found(&strings, ""), [""; 0]);
        assert_eq!(found(&[], "a"), [""; 0]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

        #[test]
        fn it_finds_what_trying_every_string_finds(
            strings in btree_set(word(6), 0..24), text in word(9)
        ) {
            let strings: Vec<_> = strings.iter().map(String::as_str).collect();
            let tried: Vec<_> =
                strings.iter().filter(|it| text.starts_with(**it)).map(|it| (*it).to_owned()).collect();
            prop_assert_eq!(found(&strings, &text), tried);
        }
    }
}
