//! `lambent invocations [NAME]`.

use clap::Args;
use wire::client::Answer;
use wire::http::invocations::{Invocation, InvocationQuery};

use super::pages::collect;
use super::screen::{Paint, status_colour};
use super::session::note;
use super::table::Table;
use super::{Failure, Session, time};

#[derive(Clone, Debug, Args)]
pub struct Invocations {
    /// Only those of this function
    pub name: Option<String>,
    /// Only those that stand so
    #[arg(long, value_name = "STATUS")]
    #[arg(value_parser = ["queued", "running", "retrying", "succeeded", "failed", "dead"])]
    pub status: Option<String>,
    /// Only those since this time, or since so long ago, such as 15m, 2h or 1d
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only those of this event
    #[arg(long, value_name = "ID")]
    pub event: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: u64,
}

impl Invocations {
    pub async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let since = self.since.as_deref();
        let since = since.map(|text| time::moment("--since", text, time::now())).transpose()?;
        let query = InvocationQuery {
            function: self.name,
            status: self.status,
            since,
            event: self.event,
            limit: None,
            cursor: None,
        };
        let client = session.client.clone();
        let most = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let ask = async |page: wire::http::list::PageQuery| {
            let query = InvocationQuery { limit: page.limit, cursor: page.cursor, ..query.clone() };
            client.invocations(&query).await
        };
        let invocations = collect(Some(most), ask).await?;
        session.items(&invocations, table)?;
        if invocations.next.is_some() && !session.is_json() {
            session.flush()?;
            note(&format!("these are the newest {most}; --limit shows more"));
        }
        Ok(())
    }
}

pub(super) fn table(invocations: &[Answer<Invocation>], paint: Paint) -> Table {
    let header = ["ID", "FUNCTION", "VERSION", "STATUS", "ATTEMPTS", "CREATED", "RUN", "ERROR"];
    let mut table = Table::new(paint, &header);
    let dash = || "-".to_owned();
    for Answer { value: it, .. } in invocations {
        table.row([
            it.id.clone(),
            it.function.clone(),
            it.version.map_or_else(dash, |version| version.to_string()),
            it.status.clone(),
            it.attempts.to_string(),
            time::to_the_second(&it.created_at),
            it.timeline.as_ref().map_or_else(dash, |timeline| time::span(timeline.run_ms)),
            it.error.as_ref().map_or_else(dash, |error| error.code.clone()),
        ]);
        table.colour(3, status_colour(&it.status));
    }
    table
}
