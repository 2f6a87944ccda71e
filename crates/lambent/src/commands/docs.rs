//! `lambent __docs PAGE`: the pages of `docs/reference` that are made from the program itself.
//!
//! Hidden, since only the project's own `cargo xtask docs` has a use for it. Each page is made from
//! the table that the program runs by, so a page that says something else is stale, and a test says
//! so. Nothing here asks a service, and nothing depends on the machine: the same program prints the
//! same bytes everywhere.

mod command_line;
mod errors;
mod limits;

use std::io::Write as _;

use clap::{Args, ValueEnum};

use super::Failure;

#[derive(Clone, Copy, Debug, Args)]
pub struct Docs {
    /// The page to print
    pub page: Page,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Page {
    Openapi,
    Errors,
    Cli,
    Limits,
}

impl Docs {
    pub fn run(self) -> Result<(), Failure> {
        let text = match self.page {
            Page::Openapi => openapi(),
            Page::Errors => errors::page(),
            Page::Cli => command_line::page(),
            Page::Limits => limits::page(),
        };
        Ok(std::io::stdout().lock().write_all(text.as_bytes())?)
    }
}

/// The first lines of a page for people.
fn head(title: &str, source: &str) -> String {
    format!(
        "<!-- Made by `cargo xtask docs` from {source}. Change that, not this. -->\n\n# {title}\n\n"
    )
}

fn openapi() -> String {
    let document = control::http::openapi().to_pretty_json();
    document.expect("the document holds strings, numbers and lists, which are JSON") + "\n"
}

/// Text for a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_s_document_is_of_openapi_3_1_and_has_the_paths_of_the_contract() {
        let document: serde_json::Value = serde_json::from_str(&openapi()).unwrap();
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
        for path in ["/v1/functions/{name}", "/v1/functions/{name}/invoke", "/v1/events"] {
            assert!(document["paths"].get(path).is_some(), "{path}");
        }
    }

    #[test]
    fn a_cell_keeps_to_its_row() {
        assert_eq!(cell("a|b\nc"), "a\\|b c");
    }
}
