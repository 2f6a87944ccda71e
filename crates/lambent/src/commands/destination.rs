//! `lambent destination set`, `show` and `rm`.
//!
//! `set` replaces both: what is not named is told to nobody. A secret that is not given again (`***`,
//! as `show` prints it) is kept, if everything else is as it was.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use wire::http::destinations::{Destination as Target, Destinations, ToFunction, ToHttp};

use super::screen::clean;
use super::session::note;
use super::{Failure, Session, values};

/// Far more than a destination may have; what it may, the service says.
const DESTINATION_BYTES: usize = 64 * 1024;
/// A secret of the longest kind has 92 bytes.
const SECRET_BYTES: usize = 4 * 1024;

#[derive(Clone, Debug, Subcommand)]
pub enum Destination {
    /// Say where a function's outcomes are sent to: both of them, anew
    Set(Set),
    /// Show where a function's outcomes are sent to
    Show {
        /// The function
        function: String,
    },
    /// Send a function's outcomes nowhere
    Rm {
        /// The function
        function: String,
    },
}

#[derive(Clone, Debug, Args)]
pub struct Set {
    /// The function
    pub function: String,
    /// Where to tell of events that succeeded: function:NAME, an http(s) URL, or JSON, @FILE or -
    #[arg(long, value_name = "TARGET", required_unless_present = "on_failure")]
    pub on_success: Option<String>,
    /// Where to tell of events that became dead letters; in the same way
    #[arg(long, value_name = "TARGET")]
    pub on_failure: Option<String>,
    /// A file with the secret (whsec_…) that requests to URLs are signed with
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
}

impl Set {
    fn body(&self) -> Result<Destinations, Failure> {
        let target = |text: &Option<String>| {
            text.as_deref().map(|text| target(text, self.secret_file.as_deref())).transpose()
        };
        Ok(Destinations {
            on_success: target(&self.on_success)?,
            on_failure: target(&self.on_failure)?,
        })
    }
}

fn target(text: &str, secret: Option<&Path>) -> Result<Target, Failure> {
    if let Some(function) = text.strip_prefix("function:") {
        return Ok(Target::Function(ToFunction { function: function.into() }));
    }
    if text.starts_with("http://") || text.starts_with("https://") {
        let Some(path) = secret else {
            let why = "a URL needs a secret to sign its requests with: give --secret-file FILE, or the \
                       whole destination as JSON";
            return Err(Failure::Usage(why.into()));
        };
        let secret = values::data(&format!("@{}", path.display()), SECRET_BYTES)?;
        let secret = String::from_utf8_lossy(&secret).trim().to_owned();
        return Ok(Target::Http(ToHttp { url: text.into(), secret }));
    }
    let unclear = |why: &dyn std::fmt::Display| {
        Failure::Usage(format!(
            "a destination is function:NAME, an http(s) URL, or JSON such as {{\"kind\": \"rabbitmq\", \
             \"url\": …}}: {why}"
        ))
    };
    if !text.trim_start().starts_with(['{', '@', '-']) {
        return Err(unclear(&format!("{text:?} is none of them")));
    }
    let json = values::json(text, DESTINATION_BYTES)?;
    serde_json::from_str(json.get()).map_err(|error| unclear(&error))
}

impl Destination {
    pub async fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::Set(set) => {
                let body = set.body()?;
                let answer = session.client.put_destinations(&set.function, &body).await?;
                session.answer(&answer, shown)
            }
            Self::Show { function } => {
                let answer = session.client.destinations(&function).await?;
                session.answer(&answer, shown)
            }
            Self::Rm { function } => {
                let json = session.client.delete_destinations(&function).await?;
                if session.is_json() {
                    return session.json(&json);
                }
                note(&format!("removed the destinations of {function}"));
                Ok(())
            }
        }
    }
}

fn shown(it: &Destinations) -> String {
    let line = |name: &str, target: &Option<Target>| {
        let target = target.as_ref().map_or_else(|| "–".to_owned(), in_words);
        format!("{name}  {}\n", clean(&target))
    };
    line("on success", &it.on_success) + &line("on failure", &it.on_failure)
}

fn in_words(target: &Target) -> String {
    match target {
        Target::Function(to) => format!("function {}", to.function),
        Target::Http(to) => to.url.clone(),
        Target::RabbitMq(to) => {
            format!("{} exchange {:?} routing key {:?}", to.url, to.exchange, to.routing_key)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_function_a_url_or_json() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "whsec_x\n").unwrap();
        let next = target("function:next", None).unwrap();
        assert_eq!(in_words(&next), "function next");
        let http = target("https://h/x", Some(&file)).unwrap();
        let expected = ToHttp { url: "https://h/x".into(), secret: "whsec_x".into() };
        assert_eq!(http, Target::Http(expected));
        let rabbit =
            target(r#"{"kind":"rabbitmq","url":"amqp://h","exchange":"x"}"#, None).unwrap();
        assert_eq!(in_words(&rabbit), r#"amqp://h exchange "x" routing key """#);
        for (text, says) in
            [("https://h", "--secret-file"), ("next", "function:NAME"), ("{}", "kind")]
        {
            let why = target(text, None).unwrap_err().to_string();
            assert!(why.contains(says), "{text}: {why}");
        }
    }
}
