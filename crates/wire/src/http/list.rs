//! Lists: `{"items": […], "next": cursor or null}`, asked for with `limit` and `cursor`.

use model::Invalid;
use model::limits::{PAGE_ITEMS, PAGE_ITEMS_DEFAULT};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// One page.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct List<T> {
    pub items: Vec<T>,
    /// Ask again with `cursor` set to this for what follows; null at the end.
    pub next: Option<String>,
}

/// Which page.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Items at most, 1 to 1,000.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    pub limit: Option<usize>,
    /// `next` of the page before.
    pub cursor: Option<String>,
}

impl PageQuery {
    /// How many items, checked.
    pub fn limit(&self) -> Result<usize, Invalid> {
        let limit = self.limit.unwrap_or(PAGE_ITEMS_DEFAULT);
        if PAGE_ITEMS.contains(&limit) {
            return Ok(limit);
        }
        let why = format!("it must be {} to {}", PAGE_ITEMS.start(), PAGE_ITEMS.end());
        Err(Invalid::new("limit", limit, why))
    }
}
