//! What a session holds: claims, the messages in them, and which of those have no answer yet. Pure.
//!
//! Zaqar gives back claims, never single messages. So a claim of which some were given back is
//! released with the last of its messages; until then they wait.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::value::RawValue;
use tokio::time::Instant;

#[derive(Debug, Default)]
pub(super) struct Claims {
    next: u64,
    held: BTreeMap<u64, Held>,
    open: BTreeMap<Arc<str>, Open>,
}

/// A message that has no answer yet.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) id: Arc<str>,
    pub(super) claim: Arc<str>,
    /// As it came, for a dead letter.
    pub(super) body: Arc<RawValue>,
}

#[derive(Debug)]
struct Open {
    unanswered: usize,
    given_back: bool,
    /// When it is over, unless it is renewed.
    until: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Done,
    GivenBack,
}

impl Claims {
    pub(super) fn open(&mut self, claim: Arc<str>, until: Instant) {
        self.open.insert(claim, Open { unanswered: 0, given_back: false, until });
    }

    /// A message of an open claim; its number.
    pub(super) fn hold(&mut self, held: Held) -> u64 {
        let open = self.open.get_mut(&held.claim).expect("its claim was opened before it");
        open.unanswered += 1;
        let number = self.next;
        self.next += 1;
        self.held.insert(number, held);
        number
    }

    pub(super) fn get(&self, number: u64) -> Option<&Held> {
        self.held.get(&number)
    }

    /// A message has its answer. The claim, if it is to be released now.
    pub(super) fn answer(&mut self, number: u64, answer: Answer) -> Option<Arc<str>> {
        let claim = self.held.remove(&number)?.claim;
        let open = self.open.get_mut(&claim)?;
        open.unanswered -= 1;
        open.given_back |= answer == Answer::GivenBack;
        if open.unanswered > 0 {
            return None;
        }
        let given_back = open.given_back;
        self.open.remove(&claim);
        given_back.then_some(claim)
    }

    /// Those with messages that have no answer.
    pub(super) fn all(&self) -> Vec<Arc<str>> {
        self.open.keys().cloned().collect()
    }

    pub(super) fn renewed(&mut self, claim: &str, until: Instant) {
        if let Some(open) = self.open.get_mut(claim) {
            open.until = until;
        }
    }

    /// Whether it is ours, and over by now.
    pub(super) fn is_over(&self, claim: &str, now: Instant) -> bool {
        self.open.get(claim).is_some_and(|it| it.until <= now)
    }

    pub(super) fn is_open(&self, claim: &str) -> bool {
        self.open.contains_key(claim)
    }

    pub(super) fn count(&self) -> usize {
        self.held.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(claim: &Arc<str>) -> Held {
        let body = Arc::from(RawValue::from_string("1".to_owned()).unwrap());
        Held { id: "m".into(), claim: Arc::clone(claim), body }
    }

    #[tokio::test]
    async fn a_claim_is_released_with_the_last_of_its_messages_if_any_was_given_back() {
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let mut claims = Claims::default();
        claims.open(a.clone(), Instant::now());
        claims.open(b.clone(), Instant::now());
        let numbers: Vec<u64> = [&a, &a, &a, &b, &b].map(|claim| claims.hold(held(claim))).to_vec();
        assert_eq!(claims.answer(numbers[1], Answer::GivenBack), None);
        assert_eq!(claims.answer(numbers[3], Answer::Done), None);
        assert_eq!(claims.answer(numbers[4], Answer::Done), None);
        assert_eq!(claims.all(), std::slice::from_ref(&a));
        assert_eq!(claims.answer(numbers[0], Answer::Done), None);
        // Twice is once.
        assert_eq!(claims.answer(numbers[0], Answer::Done), None);
        assert_eq!(claims.answer(numbers[2], Answer::Done), Some(a));
        assert_eq!((claims.all().len(), claims.count()), (0, 0));
    }

    #[tokio::test]
    async fn a_claim_is_over_unless_it_is_renewed() {
        let now = Instant::now();
        let later = now + std::time::Duration::from_secs(60);
        let mut claims = Claims::default();
        claims.open("a".into(), now);
        assert!(claims.is_over("a", now));
        claims.renewed("a", later);
        assert!(!claims.is_over("a", now));
        assert!(claims.is_over("a", later));
        assert!(!claims.is_over("b", later));
    }
}
