//! `lambent explain ID`: what happened to an invocation, for the person who wonders.

mod render;

use clap::Args;
use wire::http::list::PageQuery;

use super::pages::collect;
use super::{Failure, Session};

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
        session.text(&render::render(&detail.value, &log, session.paint))
    }
}
