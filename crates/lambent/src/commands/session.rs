//! What every command has: the service, and the standard output.

use std::fmt;
use std::io::{self, BufWriter, Write};

use wire::client::{Answer, Client, Credentials, Items};

use super::Failure;
use super::screen::{Paint, stdout_is_terminal};
use super::table::Table;
use crate::cli::{Global, Output};

/// A service to talk to, and where to print.
pub struct Session {
    pub client: Client,
    output: Output,
    pub(super) paint: Paint,
    out: Box<dyn Write>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("client", &self.client).finish_non_exhaustive()
    }
}

impl Session {
    pub fn new(global: &Global) -> Result<Self, Failure> {
        let key = match &global.key_file {
            Some(path) => {
                let read = std::fs::read_to_string(path);
                let text = read.map_err(|source| Failure::Read { path: path.clone(), source })?;
                Some(text.trim().to_owned())
            }
            None => std::env::var("LAMBENT_API_KEY").ok().filter(|key| !key.is_empty()),
        };
        let project = global.project.clone();
        Ok(Self {
            client: Client::new(&global.url, Credentials { key, project })?,
            output: global.output,
            paint: Paint::for_stdout(),
            out: Box::new(BufWriter::new(io::stdout())),
        })
    }

    /// A session whose output somebody else keeps.
    #[cfg(test)]
    pub(super) fn with_output(url: &str, output: Output, out: Box<dyn Write>) -> Self {
        let client = Client::new(url, Credentials::default()).expect("a test's address is one");
        Self { client, output, paint: Paint::NEVER, out }
    }

    pub fn is_json(&self) -> bool {
        self.output == Output::Json
    }

    /// One line of text.
    pub fn line(&mut self, text: &str) -> Result<(), Failure> {
        Ok(writeln!(self.out, "{text}")?)
    }

    /// Text that has its own line ends.
    pub fn text(&mut self, text: &str) -> Result<(), Failure> {
        Ok(self.out.write_all(text.as_bytes())?)
    }

    /// Bytes as they are. A terminal gets a line end after them, so that the prompt has its own
    /// line; a file or a pipe gets nothing that is not the answer's.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.out.write_all(bytes)?;
        if stdout_is_terminal() && !bytes.ends_with(b"\n") {
            self.out.write_all(b"\n")?;
        }
        Ok(())
    }

    /// One JSON document as the service wrote it, on a line of its own.
    pub fn json(&mut self, json: &[u8]) -> Result<(), Failure> {
        let json = json.trim_ascii_end();
        if !json.is_empty() {
            self.out.write_all(json)?;
            self.out.write_all(b"\n")?;
        }
        Ok(())
    }

    /// An answer: verbatim, or as `text` says it.
    pub fn answer<T>(
        &mut self,
        answer: &Answer<T>,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        if self.is_json() { self.json(&answer.json) } else { self.text(&text(&answer.value)) }
    }

    /// A list: as one document of the API's form with its items verbatim, or as a table.
    pub(super) fn items<T>(
        &mut self,
        items: &Items<T>,
        table: impl FnOnce(&[Answer<T>], Paint) -> Table,
    ) -> Result<(), Failure> {
        if !self.is_json() {
            return self.text(&table(&items.items, self.paint).to_string());
        }
        self.out.write_all(b"{\"items\":[")?;
        for (index, item) in items.items.iter().enumerate() {
            if index > 0 {
                self.out.write_all(b",")?;
            }
            self.out.write_all(&item.json)?;
        }
        let next = serde_json::to_string(&items.next).expect("a string is JSON");
        Ok(writeln!(self.out, "],\"next\":{next}}}")?)
    }

    /// What has been printed is out. Followers and watchers say so after each line.
    pub fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.out.flush()?)
    }

    /// The end of a command.
    pub fn finish(&mut self) -> Result<(), Failure> {
        self.flush()
    }
}

/// Says something beside the data.
pub(super) fn note(text: &str) {
    // A standard error that is gone is no reason to stop.
    drop(writeln!(anstream::stderr().lock(), "{text}"));
}
