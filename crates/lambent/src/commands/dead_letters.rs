//! `lambent dead-letters [NAME]` and `lambent dead-letters redrive`.

use clap::{Args, Subcommand};
use wire::http::list::PageQuery;

use super::pages::collect;
use super::screen::clean;
use super::session::note;
use super::{Failure, Session, invocations};

#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct DeadLetters {
    #[command(subcommand)]
    pub act: Option<Act>,
    /// Only those of this function
    pub name: Option<String>,
}

#[derive(Clone, Debug, Subcommand)]
pub enum Act {
    /// Give dead letters another round of attempts
    Redrive(Redrive),
}

#[derive(Clone, Debug, Args)]
pub struct Redrive {
    /// Invocations, by their ids
    #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "ID")]
    pub ids: Vec<String>,
    /// Every dead letter that there is now
    #[arg(long)]
    pub all: bool,
    /// With --all: only those of this function
    #[arg(long, requires = "all", value_name = "NAME")]
    pub function: Option<String>,
}

impl DeadLetters {
    pub async fn run(self, session: &mut Session) -> Result<(), Failure> {
        if let Some(Act::Redrive(redrive)) = self.act {
            return redrive.run(session).await;
        }
        let client = session.client.clone();
        let name = self.name.as_deref();
        let ask = async |page: PageQuery| client.dead_letters(name, &page).await;
        let letters = collect(None, ask).await?;
        session.items(&letters, invocations::table)
    }
}

impl Redrive {
    async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let client = session.client.clone();
        let ids = if self.all {
            // All of them first: one that dies again meanwhile is not driven round and round.
            let function = self.function.as_deref();
            let ask = async |page: PageQuery| client.dead_letters(function, &page).await;
            let letters = collect(None, ask).await?;
            letters.items.into_iter().map(|letter| letter.value.id).collect()
        } else {
            self.ids
        };
        let mut refused = 0;
        for id in &ids {
            match client.redrive(id).await {
                Ok(json) if session.is_json() => session.json(&json)?,
                Ok(_) => session.line(id)?,
                // Somebody else may have driven it meanwhile; that is no reason to leave the rest.
                Err(error)
                    if error.problem().is_some_and(|it| it.status < 500) && ids.len() > 1 =>
                {
                    refused += 1;
                    note(&format!("{id}: {}", clean(&error.to_string())));
                }
                Err(error) => return Err(error.into()),
            }
        }
        session.flush()?;
        if refused > 0 {
            let all = ids.len();
            return Err(Failure::Partly(format!("{refused} of {all} were not redriven")));
        }
        if !session.is_json() {
            note(&format!("{} redriven", ids.len()));
        }
        Ok(())
    }
}
