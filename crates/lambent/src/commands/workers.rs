//! `lambent workers`.

use clap::Args;
use wire::client::Answer;
use wire::http::system::Worker;

use super::screen::Paint;
use super::table::Table;
use super::{Failure, Session};

#[derive(Clone, Copy, Debug, Args)]
pub struct Workers {}

impl Workers {
    pub async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let workers = session.client.workers().await?;
        session.items(&workers, table)?;
        if !session.is_json() {
            for worker in workers.items.iter().map(|answer| &answer.value) {
                for sentence in &worker.isolation_missing {
                    super::session::note(&format!("{}: {sentence}", worker.id));
                }
            }
        }
        Ok(())
    }
}

fn table(workers: &[Answer<Worker>], paint: Paint) -> Table {
    let header = ["ID", "STATE", "MEMORY_MIB", "BUSY", "IDLE", "POOLED", "WAITING", "RUNTIMES"];
    let mut table = Table::new(paint, &header);
    for Answer { value: it, .. } in workers {
        table.row([
            it.id.clone(),
            if it.draining { "draining" } else { "ready" }.into(),
            format!("{}/{}", it.memory_reserved_mib, it.memory_total_mib),
            it.sandboxes_busy.to_string(),
            it.sandboxes_idle.to_string(),
            it.sandboxes_pooled.to_string(),
            it.waiting.to_string(),
            it.runtimes.join(","),
        ]);
    }
    table
}
