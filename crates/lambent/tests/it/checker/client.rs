//! The auditor's eyes: what the API tells of one project, and the metrics of the process.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::audit::Report;
use super::journal::Entry;
use super::story::{is_terminal, number};
use crate::load::FUNCTIONS;
use crate::service::{Answer, try_request};

/// Without any change for so long, what is still under way will never end.
const STALLED: Duration = Duration::from_secs(90);

/// What the ledger says of one project.
pub struct Told {
    pub details: BTreeMap<String, Value>,
    /// By invocation: attempt and text.
    pub lines: HashMap<String, Vec<(u64, String)>>,
}

pub struct Client<'a> {
    pub address: &'a str,
    pub project: &'a str,
}

impl Client<'_> {
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut headers = headers.to_vec();
        if !self.project.is_empty() {
            headers.push(("lambent-project", self.project));
        }
        try_request(self.address, method, path, &headers, body.as_bytes())
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    fn get(&self, path: &str) -> Value {
        self.ask("GET", path, &[], "").expect(200).json()
    }

    /// Every page of a list.
    pub fn list(&self, path: &str) -> Vec<Value> {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{path}?limit=1000{cursor}"));
            all.extend(page["items"].as_array().unwrap().iter().cloned());
            match page["next"].as_str() {
                // The end of a log can be asked again for what came since.
                Some(next) if !page["items"].as_array().unwrap().is_empty() => {
                    cursor = format!("&cursor={next}")
                }
                _ => return all,
            }
        }
    }

    /// Waits until nothing is under way, and reads it all.
    pub fn at_rest(&self) -> Told {
        let (mut before, mut since) = (Vec::new(), Instant::now());
        loop {
            let all = self.list("/v1/invocations");
            let moving: Vec<_> = all.into_iter().filter(|it| !is_terminal(&it["status"])).collect();
            if moving.is_empty() {
                break;
            }
            if moving != before {
                (before, since) = (moving, Instant::now());
            } else if since.elapsed() > STALLED {
                // It is told as unfinished below.
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let ids = self.list("/v1/invocations");
        let ids = ids.iter().map(|it| it["id"].as_str().unwrap().to_owned());
        let details =
            ids.map(|id| (id.clone(), self.get(&format!("/v1/invocations/{id}")))).collect();
        let mut lines: HashMap<String, Vec<(u64, String)>> = HashMap::new();
        for (function, ..) in FUNCTIONS {
            for line in self.list(&format!("/v1/functions/{function}/logs")) {
                let attempt = line["attempt"].as_u64().unwrap();
                let text = line["text"].as_str().unwrap().to_owned();
                lines
                    .entry(line["invocation_id"].as_str().unwrap().into())
                    .or_default()
                    .push((attempt, text));
            }
        }
        Told { details, lines }
    }

    /// I10: one process's metrics say what the ledger and the journal say. A counter may follow its
    /// commit by a moment, so they are asked until they agree.
    pub fn metrics(&self, entries: &[Entry], all: &[&Value], report: &mut Report) {
        let answered = entries
            .iter()
            .filter(|it| matches!(it, Entry::Accepted { .. } | Entry::CallAccepted { .. }));
        let duplicate =
            entries.iter().filter(|it| matches!(it, Entry::Accepted { duplicate: true, .. }));
        let mut expected = BTreeMap::from([
            ("lambent_events_accepted_total".to_owned(), answered.count()),
            ("lambent_events_duplicate_total".to_owned(), duplicate.count()),
            (
                "lambent_attempts_total".to_owned(),
                all.iter().map(|it| number(&it["attempts"])).sum(),
            ),
            ("lambent_redelivered_total".to_owned(), 0),
            ("lambent_call_records_lost_total".to_owned(), 0),
        ]);
        for it in all {
            for change in it["transitions"].as_array().unwrap() {
                let status = change["status"].as_str().unwrap();
                if is_terminal(&change["status"]) {
                    let origin = it["origin"].as_str().unwrap();
                    *expected
                        .entry(format!("lambent_invocations_total {origin} {status}"))
                        .or_default() += 1;
                } else if status == "retrying" && change["reason"] != "Redriven" {
                    *expected.entry("lambent_retries_total".into()).or_default() += 1;
                }
            }
        }
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            let text =
                String::from_utf8(self.ask("GET", "/metrics", &[], "").expect(200).body).unwrap();
            let told = counters(&text);
            let differ: Vec<_> = expected
                .iter()
                .filter(|(name, count)| told.get(*name).copied().unwrap_or(0) != **count)
                .map(|(name, count)| {
                    format!("{name} is {:?} and should be {count}", told.get(name))
                })
                .collect();
            if differ.is_empty() {
                return;
            }
            if Instant::now() > until {
                report.wrong.extend(differ);
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Counters by name, summed over their labels but for the two that are told apart.
fn counters(text: &str) -> HashMap<String, usize> {
    let mut all = HashMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((name, value)) = line.rsplit_once(' ') else { continue };
        let Ok(value) = value.parse::<usize>() else { continue };
        let label = |key: &str| {
            name.split_once(&format!("{key}=\"")).and_then(|(_, rest)| rest.split('"').next())
        };
        let bare = name.split('{').next().unwrap_or(name);
        let name = match (bare, label("origin"), label("status")) {
            ("lambent_invocations_total", Some(origin), Some(status)) => {
                format!("{bare} {origin} {status}")
            }
            _ => bare.to_owned(),
        };
        *all.entry(name).or_default() += value;
    }
    all
}
