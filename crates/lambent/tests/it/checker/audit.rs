//! The audit: every state, read over HTTP and held against what was promised.
//!
//! I1 to I11 name invariants as the project's reliability document numbers them; those about
//! processes and files are in [`super::remains`]. Nothing here stops at the first finding: a report lists
//! them all, and says separately what was lost, since one test wants to see losses.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::client::{Client, Told};
use super::journal::{Entry, Journal, Sent};
use super::story::story;

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// Promises that were written down.
    pub promises: usize,
    /// Promised, and not there: what must never be.
    pub lost: Vec<String>,
    /// Everything else that is not as it should be.
    pub wrong: Vec<String>,
    pub invocations: usize,
    pub statuses: BTreeMap<String, usize>,
    /// Starts that no retry asked for: their attempt was interrupted. Each is in the ledger.
    pub duplicates: usize,
    pub redriven: usize,
}

/// One project's part of the journal.
#[derive(Default)]
struct Promised<'a> {
    intents: HashMap<&'a str, (Sent, &'a str)>,
    entries: Vec<&'a Entry>,
}

pub fn audit(folder: &Path, address: &str, one_life: bool) -> Report {
    let entries = Journal::read(folder);
    let mut report = Report {
        promises: entries.iter().filter(|it| it.is_promise()).count(),
        ..Report::default()
    };
    let mut promised: BTreeMap<&str, Promised<'_>> = BTreeMap::new();
    let mut project_of = HashMap::new();
    for entry in &entries {
        if let Entry::Intent { id, project, sent, hash } = entry {
            project_of.insert(id.as_str(), project.as_str());
            promised.entry(project).or_default().intents.insert(id, (*sent, hash));
        }
    }
    for entry in &entries {
        match entry {
            Entry::Intent { .. } => {}
            Entry::Accepted { id, .. }
            | Entry::CallAccepted { id, .. }
            | Entry::Answered { id, .. } => {
                promised.get_mut(project_of[id.as_str()]).unwrap().entries.push(entry);
            }
            Entry::Odd { id, status, body } => {
                report.wrong.push(format!("{id} was answered {status}: {body}"))
            }
            // A letter is of one project; who has it in the end will know.
            Entry::Redriving { .. } | Entry::Redriven { .. } => {
                promised.values_mut().for_each(|it| it.entries.push(entry));
            }
        }
    }
    let ledgers: Vec<_> =
        promised.keys().map(|project| (*project, Client { address, project }.at_rest())).collect();
    if one_life {
        let all: Vec<_> = ledgers.iter().flat_map(|(_, told)| told.details.values()).collect();
        Client { address, project: "" }.metrics(&entries, &all, &mut report);
    }
    for (project, told) in &ledgers {
        let audit =
            Audit { client: Client { address, project }, promised: &promised[project], told };
        audit.everything(&mut report);
        for (other, _) in ledgers.iter().filter(|(other, _)| other != project) {
            audit.unseen_by(&Client { address, project: other }, &mut report);
        }
    }
    report
}

struct Audit<'a> {
    client: Client<'a>,
    promised: &'a Promised<'a>,
    told: &'a Told,
}

impl Audit<'_> {
    fn everything(&self, report: &mut Report) {
        let mut sender_of = HashMap::new();
        for entry in &self.promised.entries {
            match entry {
                Entry::Accepted { id, event, invocations, .. } => {
                    sender_of.extend(invocations.iter().map(|it| (it.as_str(), id.as_str())));
                    self.event(id, event, invocations, report);
                }
                Entry::CallAccepted { id, invocation } => {
                    sender_of.insert(invocation, id);
                    if !self.told.details.contains_key(invocation) {
                        report.lost.push(format!("the call {id}, invocation {invocation}"));
                    }
                }
                Entry::Answered { id, body } => self.answer(id, body, report),
                _ => {}
            }
        }
        for (id, detail) in &self.told.details {
            let story = story(detail, self.redrives(id));
            report
                .wrong
                .extend(story.wrong.into_iter().map(|wrong| format!("{id}: {wrong}: {detail}")));
            report.duplicates += story.interruptions;
            report.redriven += story.redriven;
            *report.statuses.entry(detail["status"].as_str().unwrap().into()).or_default() += 1;
            report.invocations += 1;
            self.reports(id, detail, sender_of.get(id.as_str()).copied(), report);
        }
        self.sent_again(report);
    }

    /// I1: what was accepted is there, and so is all that it had to start.
    fn event(&self, id: &str, event: &str, invocations: &[String], report: &mut Report) {
        let sent = self.promised.intents[id].0;
        if invocations.len() != sent.starts() {
            report.wrong.push(format!("{id} is {sent:?} and started {invocations:?}"));
        }
        for invocation in invocations.iter().filter(|it| !self.told.details.contains_key(*it)) {
            report.lost.push(format!("the event {id}, invocation {invocation}"));
        }
        // Without invocations only the event itself can tell.
        let gone = || self.client.ask("GET", &format!("/v1/events/{event}"), &[], "").status != 200;
        if invocations.is_empty() && gone() {
            report.lost.push(format!("the event {id}, {event}"));
        }
    }

    /// A call with a key was answered: the same again, without running it again.
    fn answer(&self, id: &str, body: &str, report: &mut Report) {
        let hash = self.promised.intents[id].1;
        let answer: Value = serde_json::from_str(body).unwrap();
        if answer != json!({"id": id, "sha256": hash}) {
            report.wrong.push(format!("the call {id} was answered with {body}"));
        }
        let kept = self
            .told
            .details
            .values()
            .filter(|it| it["origin"] == "call" && it["result"]["id"] == *id);
        match kept.count() {
            0 => report.lost.push(format!("the record of the call {id}")),
            1 => {}
            many => report.wrong.push(format!("the call {id} ran {many} times")),
        }
    }

    /// Redrives of an invocation: promised, and at most.
    fn redrives(&self, invocation: &str) -> (usize, usize) {
        let count = |wanted: fn(&Entry) -> Option<&String>| {
            self.promised
                .entries
                .iter()
                .filter(|it| wanted(it).is_some_and(|id| id == invocation))
                .count()
        };
        let promised =
            count(
                |it| if let Entry::Redriven { invocation } = it { Some(invocation) } else { None },
            );
        let asked =
            count(
                |it| if let Entry::Redriving { invocation } = it { Some(invocation) } else { None },
            );
        (promised, asked)
    }

    /// I2, I3: what functions said of themselves.
    fn reports(&self, id: &str, detail: &Value, sender: Option<&str>, report: &mut Report) {
        let mut wrong = |what: String| report.wrong.push(format!("{id}: {what}: {detail}"));
        let mut started = BTreeSet::new();
        let mut ended = BTreeSet::new();
        for (attempt, text) in self.told.lines.get(id).into_iter().flatten() {
            let words: Vec<_> = text.split(' ').collect();
            let ["start" | "end", name, number, hash] = words[..] else { continue };
            match self.promised.intents.get(name) {
                None => wrong(format!("started {name}, which was never sent")),
                Some((_, sent)) if *sent != hash => wrong(format!("{name} came with other data")),
                Some(_) => {}
            }
            if sender.is_some_and(|sender| sender != name) {
                wrong(format!("ran {name} and not {sender:?}"));
            }
            if number != attempt.to_string() {
                wrong(format!("the function was told attempt {number}, and the ledger {attempt}"));
            }
            let seen = if words[0] == "start" { &mut started } else { &mut ended };
            if !seen.insert(*attempt) {
                wrong(format!("attempt {attempt}: two lines say {}", words[0]));
            }
        }
        let attempts = detail["attempts"].as_u64().unwrap();
        if started.iter().any(|attempt| *attempt > attempts) {
            wrong(format!("started as {started:?}, and leased {attempts} times"));
        }
        if detail["status"] == "succeeded" {
            let result = &detail["result"];
            let intent = result["id"].as_str().and_then(|name| self.promised.intents.get(name));
            if intent.is_none_or(|(_, hash)| result["sha256"] != *hash) {
                wrong("the answer is not that of what was sent".into());
            }
            if !started.contains(&attempts) || !ended.contains(&attempts) {
                wrong(format!("succeeded without saying so: started {started:?}, ended {ended:?}"));
            }
        }
    }

    /// What is sent again is known: same event, same invocations, and nothing runs. So are calls.
    fn sent_again(&self, report: &mut Report) {
        let mut left = 40;
        for entry in self.promised.entries.iter().rev() {
            match entry {
                Entry::Accepted { id, event, invocations, .. } if left > 0 => {
                    let body =
                        json!({"specversion": "1.0", "id": id, "source": "load", "type": "other"});
                    let kind = [("content-type", "application/cloudevents+json")];
                    let again = self.client.ask("POST", "/v1/events", &kind, &body.to_string());
                    let again = again.expect(202).json();
                    let told: Vec<_> = again["triggers"]
                        .as_array()
                        .unwrap()
                        .iter()
                        .map(|it| it["invocation_id"].as_str().unwrap())
                        .collect();
                    if again["duplicate"] != true || again["id"] != **event || told != *invocations
                    {
                        report.wrong.push(format!("{id}, sent again, was answered {again}"));
                    }
                    left -= 1;
                }
                Entry::Answered { id, .. } if left > 0 => {
                    // With another body, since the data is not in the journal: known, and refused.
                    let key = [("idempotency-key", id.as_str())];
                    let again = self.client.ask("POST", "/v1/functions/ok/invoke", &key, "{}");
                    if again.code() != "idempotency_key_reused" {
                        report
                            .wrong
                            .push(format!("the call {id}, made again, was answered {again:?}"));
                    }
                    left -= 1;
                }
                _ => {}
            }
        }
    }

    /// I9: nothing of this project is there for another.
    fn unseen_by(&self, other: &Client<'_>, report: &mut Report) {
        let theirs: HashSet<_> =
            other.list("/v1/invocations").iter().map(|it| it["id"].to_string()).collect();
        for (n, id) in self.told.details.keys().enumerate() {
            let paths = [format!("/v1/invocations/{id}"), format!("/v1/invocations/{id}/log")];
            let asked = n % 20 == 0
                && paths.iter().any(|path| other.ask("GET", path, &[], "").status != 404);
            if asked || theirs.contains(&json!(id).to_string()) {
                report.wrong.push(format!("{id} can be seen by the project {}", other.project));
            }
        }
    }
}
