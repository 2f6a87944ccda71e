//! Lists page by page, until they end or enough was seen.

use model::limits::PAGE_ITEMS;
use wire::client::{ClientError, Items};
use wire::http::list::PageQuery;

/// Everything of a list, or its first `most` items; `next` of the answer then says where it goes
/// on. `ask` asks for a page.
pub(super) async fn collect<T>(
    most: Option<usize>,
    mut ask: impl AsyncFnMut(PageQuery) -> Result<Items<T>, ClientError>,
) -> Result<Items<T>, ClientError> {
    let mut all = Items { items: Vec::new(), next: None };
    loop {
        let left = most.map_or(usize::MAX, |most| most - all.items.len());
        let limit = Some(left.min(*PAGE_ITEMS.end()));
        let page = ask(PageQuery { limit, cursor: all.next.take() }).await?;
        let got = page.items.len();
        all.items.extend(page.items.into_iter().take(left));
        all.next = page.next;
        // A log has a next page even at its end, since more may come: an empty page is an end.
        let is_enough = most.is_some_and(|most| all.items.len() >= most);
        if got == 0 || is_enough || all.next.is_none() {
            return Ok(all);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use wire::client::Answer;

    fn page(items: &[u32], next: Option<&str>) -> Items<u32> {
        let item = |value: &u32| Answer { json: Bytes::new(), value: *value };
        Items { items: items.iter().map(item).collect(), next: next.map(Into::into) }
    }

    #[track_caller]
    fn check(most: Option<usize>, pages: Vec<Items<u32>>, expect: &[u32], next: Option<&str>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut pages = pages.into_iter();
        let all = runtime.block_on(collect(most, async |_| Ok(pages.next().unwrap()))).unwrap();
        let values: Vec<_> = all.items.iter().map(|item| item.value).collect();
        assert_eq!((values.as_slice(), all.next.as_deref()), (expect, next));
        assert!(pages.next().is_none(), "all pages were asked for");
    }

    #[test]
    fn pages_are_asked_for_until_the_end_or_the_limit() {
        let two = || vec![page(&[1, 2], Some("a")), page(&[3], None)];
        check(None, two(), &[1, 2, 3], None);
        check(Some(3), two(), &[1, 2, 3], None);
        check(Some(2), vec![page(&[1, 2], Some("a"))], &[1, 2], Some("a"));
        check(None, vec![page(&[1], Some("a")), page(&[], Some("a"))], &[1], Some("a"));
    }
}
