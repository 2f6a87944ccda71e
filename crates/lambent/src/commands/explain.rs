//! `lambent explain ID`: what happened to an invocation, for the person who wonders.

mod render;

use clap::Args;
use wire::client::Answer;
use wire::http::invocations::{Invocation, InvocationQuery};
use wire::http::list::PageQuery;

use super::pages::collect;
use super::{Failure, Session};

/// Invocations of each status among which the one is looked for that a held one waits for: a page.
const LOOKED_AT: usize = 1_000;

#[derive(Clone, Debug, Args)]
pub struct Explain {
    /// The invocation
    pub id: String,
}

impl Explain {
    pub async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let detail = session.client.invocation(&self.id).await?;
        if session.is_json() {
            return session.json(&detail.json);
        }
        let client = session.client.clone();
        let ask = async |page: PageQuery| client.invocation_log(&self.id, &page).await;
        let log = collect(None, ask).await?;
        let log: Vec<_> = log.items.into_iter().map(|line| line.value).collect();
        let ahead = match detail.value.invocation.held {
            true => self.ahead(session, &detail.value.invocation).await?,
            false => None,
        };
        session.text(&render::render(&detail.value, &log, ahead.as_deref(), session.paint))
    }

    /// The invocation that a held one waits for: the one of its key that is not held itself. None
    /// if it has ended meanwhile, or is not among the newest.
    async fn ahead(&self, session: &Session, held: &Invocation) -> Result<Option<String>, Failure> {
        for status in ["running", "retrying", "queued"] {
            let query = InvocationQuery {
                function: Some(held.function.clone()),
                status: Some(status.into()),
                limit: Some(LOOKED_AT),
                ..InvocationQuery::default()
            };
            let found = session.client.invocations(&query).await?;
            let of_key = |it: &&Answer<Invocation>| {
                let it = &it.value;
                !it.held && it.trigger == held.trigger && it.ordering_key == held.ordering_key
            };
            if let Some(found) = found.items.iter().find(of_key) {
                return Ok(Some(found.value.id.clone()));
            }
        }
        Ok(None)
    }
}
