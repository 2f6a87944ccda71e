//! `lambent trigger ls`, `put` and `rm`.

use clap::{Args, Subcommand};
use wire::client::Answer;
use wire::http::functions::Trigger as TriggerAnswer;
use wire::http::list::PageQuery;

use super::pages::collect;
use super::screen::Paint;
use super::session::note;
use super::table::Table;
use super::{Failure, Session, pattern};

#[derive(Clone, Debug, Subcommand)]
pub enum Trigger {
    /// List the triggers of a function
    Ls {
        /// The function
        function: String,
    },
    /// Make a trigger, or replace the one of this name
    Put(Put),
    /// Remove a trigger
    Rm {
        /// The function
        function: String,
        /// The trigger
        trigger: String,
    },
}

#[derive(Clone, Debug, Args)]
pub struct Put {
    /// The function
    pub function: String,
    /// The trigger
    pub trigger: String,
    /// Such as 'type=file.created,source=S1|S2,data.kind=pho*', or a pattern in JSON
    pub pattern: String,
}

impl Trigger {
    pub async fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::Ls { function } => {
                let client = session.client.clone();
                let ask = async |page: PageQuery| client.triggers(&function, &page).await;
                let triggers = collect(None, ask).await?;
                session.items(&triggers, table)
            }
            Self::Put(Put { function, trigger, pattern }) => {
                let pattern = pattern::parse(&pattern)?;
                let answer = session.client.put_trigger(&function, &trigger, pattern).await?;
                session.answer(&answer, |it| format!("{}  {}\n", it.name, it.pattern.get()))
            }
            Self::Rm { function, trigger } => {
                let json = session.client.delete_trigger(&function, &trigger).await?;
                if session.is_json() {
                    return session.json(&json);
                }
                note(&format!("removed trigger {trigger} of {function}"));
                Ok(())
            }
        }
    }
}

fn table(triggers: &[Answer<TriggerAnswer>], paint: Paint) -> Table {
    let mut table = Table::new(paint, &["NAME", "PATTERN"]);
    for Answer { value: it, .. } in triggers {
        table.row([it.name.clone(), it.pattern.get().into()]);
    }
    table
}
