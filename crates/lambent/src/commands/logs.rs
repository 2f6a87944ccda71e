//! `lambent logs`: the log of a function, or of one invocation.

use clap::Args;
use wire::client::Answer;
use wire::http::invocations::LogLine;
use wire::http::list::PageQuery;

use super::screen::{Colour, Paint, clean, stdout_is_terminal};
use super::session::note;
use super::{Failure, Session, time};

#[derive(Clone, Debug, Args)]
pub struct Logs {
    /// The function
    #[arg(required_unless_present = "invocation")]
    pub name: Option<String>,
    /// Go on with what is written from now on, until interrupted
    #[arg(short, long)]
    pub follow: bool,
    /// Only lines since this time, or since so long ago, such as 15m, 2h or 1d
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// The log of one invocation
    #[arg(long, value_name = "ID", conflicts_with_all = ["name", "follow", "since"])]
    pub invocation: Option<String>,
}

impl Logs {
    pub async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let client = session.client.clone();
        let whose = if self.invocation.is_some() { Whose::One } else { Whose::Many };
        let printer = Printer { paint: session.paint, whose, escapes: !stdout_is_terminal() };
        let name = self.name.unwrap_or_default();
        let since = self.since.as_deref();
        let since = since.map(|text| time::moment("--since", text, time::now())).transpose()?;
        if self.follow {
            let mut lines = client.follow(&name, since.as_deref()).await?;
            while let Some(line) = lines.next().await? {
                printer.print(session, &line)?;
                session.flush()?;
            }
            note("the service ended the log; it is shutting down");
            return Ok(());
        }
        // Page by page to the output: a log may be larger than memory.
        let mut cursor = None;
        loop {
            let page = PageQuery { limit: Some(*model::limits::PAGE_ITEMS.end()), cursor };
            let lines = match &self.invocation {
                Some(id) => client.invocation_log(id, &page).await?,
                None => client.function_logs(&name, since.as_deref(), &page).await?,
            };
            for line in &lines.items {
                printer.print(session, line)?;
            }
            // The cursor after the last page is for what will have been written by then.
            if lines.items.is_empty() || lines.next.is_none() {
                return Ok(());
            }
            cursor = lines.next;
        }
    }
}

/// Whose lines are printed together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Whose {
    One,
    Many,
}

#[derive(Clone, Copy, Debug)]
struct Printer {
    paint: Paint,
    whose: Whose,
    /// Keep control characters: the output is not a terminal, and gets the text as it was written.
    escapes: bool,
}

impl Printer {
    /// In JSON a log is a document per line, as a followed one cannot be anything else.
    fn print(self, session: &mut Session, line: &Answer<LogLine>) -> Result<(), Failure> {
        if session.is_json() {
            return session.json(&line.json);
        }
        session.line(&self.text(&line.value))
    }

    fn text(self, line: &LogLine) -> String {
        let at = self.paint.paint(Colour::Dim, &line.at);
        let colour = match line.stream.as_str() {
            "stderr" => Colour::Yellow,
            "platform" => Colour::Blue,
            _ => Colour::Dim,
        };
        let stream = self.paint.paint(colour, format!("{:<8}", line.stream));
        let text = if self.escapes { line.text.clone() } else { clean(&line.text) };
        match self.whose {
            Whose::One => format!("{at}  {stream}  {text}"),
            Whose::Many => {
                let id = self.paint.paint(Colour::Dim, &line.invocation_id);
                format!("{at}  {id}  {stream}  {text}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_its_time_its_invocation_where_it_matters_and_its_stream() {
        let line = LogLine {
            at: "2026-01-31T12:00:00.123456Z".into(),
            invocation_id: "i-1".into(),
            attempt: 1,
            stream: "stderr".into(),
            text: "a\u{1b}[31mb".into(),
        };
        let printer = Printer { paint: Paint::NEVER, whose: Whose::Many, escapes: true };
        let many = "2026-01-31T12:00:00.123456Z  i-1  stderr    a\u{1b}[31mb";
        assert_eq!(printer.text(&line), many);
        let printer = Printer { whose: Whose::One, escapes: false, ..printer };
        let one = "2026-01-31T12:00:00.123456Z  stderr    a\\u{1b}[31mb";
        assert_eq!(printer.text(&line), one);
    }
}
