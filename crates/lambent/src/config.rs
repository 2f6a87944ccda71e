//! The server's configuration: read once, from the command line, the environment, a TOML file and
//! the defaults, in this order; checked in full before anything starts.
//!
//! [`File`] is what can be written down (unknown keys are refused), [`Config`] what is in effect.
//! `lambent config show` prints the latter in the form of the former.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::Project;
use serde::{Deserialize, Serialize};

/// What is in effect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    pub listen: SocketAddr,
    pub data: PathBuf,
    pub memory_mib: u64,
    pub max_sandboxes: u32,
    pub pool: u32,
    pub keep_alive: Duration,
    pub project_concurrency: u32,
    pub project_weights: BTreeMap<Project, u32>,
    pub retention: Duration,
    pub drain: Duration,
    pub uid_base: u32,
    pub shared_sources: bool,
    pub destinations_private: bool,
    pub secret_key: Option<PathBuf>,
}

/// The configuration file.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// The address to listen on. Off loopback, API keys are needed.
    pub listen: Option<String>,
    /// The folder that holds everything that must survive.
    pub data: Option<PathBuf>,
    /// Memory for sandboxes, in MiB. Default: three quarters of the machine's.
    pub memory_mib: Option<u64>,
    /// Sandboxes at once. Default: 1,000.
    pub max_sandboxes: Option<u32>,
    /// Empty sandboxes held ready per runtime. Default: 2.
    pub pool: Option<u32>,
    /// Seconds that an idle sandbox is kept for its function's next event. Default: 60.
    pub keep_alive_s: Option<u64>,
    /// Attempts of one project at once. Default: 1,000.
    pub project_concurrency: Option<u32>,
    /// Turns that a project's events get to one of another's, while both wait; such as
    /// `{ shop = 3 }`. Default: 1 for each.
    pub project_weights: Option<BTreeMap<String, u32>>,
    /// Days that ended invocations, their events and their logs are kept. Default: 14.
    pub retention_days: Option<u64>,
    /// Seconds that running attempts are given when the service is asked to stop. Default: 30.
    pub drain_s: Option<u64>,
    /// First of the user ids that the server and its sandboxes run as, when started as root.
    pub uid_base: Option<u32>,
    /// Whether a project's key may make sources that deliver to any project. Default: no.
    pub shared_sources: Option<bool>,
    /// Whether HTTP destinations may be on this machine and in private networks. Default: no.
    pub destinations_private: Option<bool>,
    /// The file with the key that secrets of sources and destinations are encrypted with. Default: `secret.key` in the
    /// data folder, made when the first secret is.
    pub secret_key: Option<PathBuf>,
}

/// Every value that does not fit, in one message.
#[derive(Debug, thiserror::Error)]
pub enum BadConfig {
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("the configuration file {} is not valid: {why}", path.display())]
    Syntax { path: PathBuf, why: String },
    #[error("the configuration is not valid:\n{0}")]
    Values(String),
}

/// Ids of a range that distributions leave alone: above those of containers' usual subordinate ids.
const UID_BASE: u32 = 1_879_048_192;
const DAY: Duration = Duration::from_secs(24 * 3_600);

impl File {
    pub fn read(path: &Path) -> Result<Self, BadConfig> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| BadConfig::Read { path: path.into(), source })?;
        toml::from_str(&text)
            .map_err(|error| BadConfig::Syntax { path: path.into(), why: error.to_string() })
    }

    /// What the file and the defaults come to; `listen` and `data` are the command line's.
    pub fn check(
        self,
        listen: Option<SocketAddr>,
        data: Option<PathBuf>,
        machine: &Machine,
    ) -> Result<Config, BadConfig> {
        let mut wrong = String::new();
        let mut within = |key: &str, value: u64, least: u64, most: u64| {
            if !(least..=most).contains(&value) {
                writeln!(wrong, "  {key} = {value}: it must be {least} to {most}")
                    .expect("a string takes what is written");
            }
            value
        };
        let memory_mib = within(
            "memory_mib",
            self.memory_mib.unwrap_or(machine.memory_mib * 3 / 4),
            64,
            1 << 24,
        );
        let max_sandboxes =
            within("max_sandboxes", self.max_sandboxes.unwrap_or(1_000).into(), 1, 10_000);
        let pool = within("pool", self.pool.unwrap_or(2).into(), 0, 100);
        let keep_alive = within("keep_alive_s", self.keep_alive_s.unwrap_or(60), 0, 86_400);
        let concurrency = self.project_concurrency.unwrap_or(model::limits::PROJECT_CONCURRENCY);
        let concurrency = within("project_concurrency", concurrency.into(), 1, 100_000);
        let weights: Vec<_> = self.project_weights.unwrap_or_default().into_iter().collect();
        for (name, weight) in &weights {
            within(&format!("project_weights.{name}"), (*weight).into(), 1, 1_000);
        }
        let retention = within("retention_days", self.retention_days.unwrap_or(14), 1, 3_650);
        let drain = within("drain_s", self.drain_s.unwrap_or(30), 0, 3_600);
        let uid_base =
            within("uid_base", self.uid_base.unwrap_or(UID_BASE).into(), 1_000, 4_294_900_000);
        let mut project_weights = BTreeMap::new();
        for (name, weight) in weights {
            match Project::parse(&name) {
                Ok(project) => drop(project_weights.insert(project, weight)),
                Err(invalid) => writeln!(wrong, "  project_weights.{name} = {weight}: {invalid}")
                    .expect("a string takes what is written"),
            }
        }
        let listen = match (listen, &self.listen) {
            (Some(listen), _) => listen,
            (None, Some(text)) => text.parse().unwrap_or_else(|_| {
                writeln!(
                    wrong,
                    "  listen = {text:?}: it must be an address and a port, such as 127.0.0.1:8080"
                )
                .expect("a string takes what is written");
                default_listen()
            }),
            (None, None) => default_listen(),
        };
        if !wrong.is_empty() {
            return Err(BadConfig::Values(wrong.trim_end().to_owned()));
        }
        let small = |value: u64| u32::try_from(value).expect("checked to be within its range");
        Ok(Config {
            listen,
            data: data.or(self.data).unwrap_or_else(|| machine.data.clone()),
            memory_mib,
            max_sandboxes: small(max_sandboxes),
            pool: small(pool),
            keep_alive: Duration::from_secs(keep_alive),
            project_concurrency: small(concurrency),
            project_weights,
            retention: DAY * small(retention),
            drain: Duration::from_secs(drain),
            uid_base: small(uid_base),
            shared_sources: self.shared_sources.unwrap_or(false),
            destinations_private: self.destinations_private.unwrap_or(false),
            secret_key: machine.secret_key.clone().or(self.secret_key),
        })
    }
}

impl Config {
    /// In the form of the file, with every value said.
    pub fn to_toml(&self) -> String {
        let weights = self.project_weights.iter();
        let weights: Vec<_> =
            weights.map(|(project, it)| format!("\"{project}\" = {it}")).collect();
        let mut text = format!(
            "listen = \"{}\"\ndata = {:?}\nmemory_mib = {}\nmax_sandboxes = {}\npool = {}\nkeep_alive_s = {}\n\
             project_concurrency = {}\nretention_days = {}\ndrain_s = {}\nuid_base = {}\n\
             shared_sources = {}\ndestinations_private = {}\nproject_weights = {{ {} }}\n",
            self.listen,
            self.data,
            self.memory_mib,
            self.max_sandboxes,
            self.pool,
            self.keep_alive.as_secs(),
            self.project_concurrency,
            self.retention.as_secs() / DAY.as_secs(),
            self.drain.as_secs(),
            self.uid_base,
            self.shared_sources,
            self.destinations_private,
            weights.join(", "),
        );
        if let Some(path) = &self.secret_key {
            writeln!(text, "secret_key = {path:?}").expect("a string takes what is written");
        }
        text
    }
}

fn default_listen() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 8080).into()
}

/// What defaults depend on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Machine {
    pub memory_mib: u64,
    pub data: PathBuf,
    /// What the environment says; it wins over the file.
    pub secret_key: Option<PathBuf>,
}

impl Machine {
    /// This one. As root the data is the system's; as somebody it is in their home.
    pub fn this() -> Self {
        let memory_kib = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
            let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
            line.trim().trim_end_matches(" kB").parse::<u64>().ok()
        });
        let home =
            |name: &str| std::env::var_os(name).filter(|it| !it.is_empty()).map(PathBuf::from);
        let data = if rustix::process::geteuid().is_root() {
            PathBuf::from("/var/lib/lambent")
        } else {
            home("XDG_DATA_HOME")
                .or_else(|| Some(home("HOME")?.join(".local/share")))
                .map_or_else(|| PathBuf::from("lambent-data"), |it| it.join("lambent"))
        };
        // A machine that does not say is taken for a small one.
        let memory_mib = memory_kib.map_or(1_024, |kib| kib / 1_024);
        Self { memory_mib, data, secret_key: home("LAMBENT_SECRET_KEY_FILE") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        Machine { memory_mib: 8_000, data: "/data".into(), secret_key: None }
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        let config = File::default().check(None, None, &machine()).unwrap();
        let file: File = toml::from_str(&config.to_toml()).unwrap();
        assert_eq!(file.check(None, None, &machine()).unwrap(), config);
        assert_eq!(config.memory_mib, 6_000);
        let machine = Machine { secret_key: Some("/etc/key \"1\"".into()), ..machine() };
        let config = File { shared_sources: Some(true), ..File::default() };
        let config = config.check(None, None, &machine).unwrap();
        let file: File = toml::from_str(&config.to_toml()).unwrap();
        assert_eq!(file.check(None, None, &machine).unwrap(), config);
    }

    #[test]
    fn every_bad_value_is_told_at_once_with_its_range() {
        let file: File = toml::from_str("pool = 101\nlisten = \"here\"\ndrain_s = 9999").unwrap();
        assert_eq!(
            file.check(None, None, &machine()).unwrap_err().to_string(),
            "the configuration is not valid:\n  pool = 101: it must be 0 to 100\n  drain_s = 9999: it must be \
             0 to 3600\n  listen = \"here\": it must be an address and a port, such as 127.0.0.1:8080"
        );
    }

    #[test]
    fn weights_of_projects_are_read_checked_and_shown() {
        let check =
            |text: &str| toml::from_str::<File>(text).unwrap().check(None, None, &machine());
        let config = check("[project_weights]\nshop = 3\n\"shop.eu\" = 1").unwrap();
        let shop = Project::parse("shop").unwrap();
        assert_eq!((config.project_weights.len(), config.project_weights[&shop]), (2, 3));
        assert_eq!(check(&config.to_toml()).unwrap(), config);
        let wrong = check("project_weights = { shop = 0, \"a b\" = 1 }").unwrap_err().to_string();
        assert!(wrong.contains("project_weights.shop = 0: it must be 1 to 1000"), "{wrong}");
        assert!(wrong.contains("project_weights.a b = 1: project"), "{wrong}");
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(toml::from_str::<File>("listne = \"127.0.0.1:1\"").is_err());
    }

    #[test]
    fn the_command_line_wins_over_the_file() {
        let file: File = toml::from_str("listen = \"127.0.0.1:1\"\ndata = \"/file\"").unwrap();
        let listen = "127.0.0.1:2".parse().unwrap();
        let config = file.check(Some(listen), Some("/line".into()), &machine()).unwrap();
        assert_eq!((config.listen, config.data), (listen, PathBuf::from("/line")));
    }
}
