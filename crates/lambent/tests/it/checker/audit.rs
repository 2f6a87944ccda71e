//! The audit: every state, read over HTTP and held against what was promised.
//!
//! I1 to I11 name invariants as the project's reliability document numbers them; those about
//! processes and files are in [`super::remains`]. Nothing here stops at the first finding: a report lists
//! them all, and says separately what was lost, since one test wants to see losses.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::journal::{Entry, Journal, Sent};
use crate::load::FUNCTIONS;
use crate::service::{Answer, try_request};

/// Without any change for so long, what is still under way will never end.
const STALLED: Duration = Duration::from_secs(90);

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

/// What the ledger says of one project.
struct Told {
    details: BTreeMap<String, Value>,
    /// By invocation: attempt and text.
    lines: HashMap<String, Vec<(u64, String)>>,
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

struct Client<'a> {
    address: &'a str,
    project: &'a str,
}

impl Client<'_> {
    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
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
    fn list(&self, path: &str) -> Vec<Value> {
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
    fn at_rest(&self) -> Told {
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
    fn metrics(&self, entries: &[Entry], all: &[&Value], report: &mut Report) {
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

/// What an invocation's record says about itself.
#[derive(Default)]
pub struct Story {
    pub wrong: Vec<String>,
    pub interruptions: usize,
    pub redriven: usize,
}

/// I1, I4, I5: one terminal state, reached by allowed steps, after no more attempts than there were
/// reasons for. `redrives`: how many were promised, and how many were asked for.
pub fn story(detail: &Value, redrives: (usize, usize)) -> Story {
    let mut story = Story::default();
    let changes = detail["transitions"].as_array().unwrap();
    let statuses: Vec<_> = changes.iter().map(|it| it["status"].as_str().unwrap()).collect();
    let with_reason = |reason: &str| changes.iter().filter(|it| it["reason"] == *reason).count();
    story.interruptions = with_reason("Lambent.Interrupted");
    story.redriven = with_reason("Redriven");
    let mut wrong = |what: String| story.wrong.push(what);
    if !is_terminal(&detail["status"]) {
        wrong("it has not ended".into());
    }
    if statuses.last().copied() != detail["status"].as_str() {
        wrong("its last transition is not its status".into());
    }
    for pair in changes.windows(2) {
        let (from, to) = (pair[0]["status"].as_str().unwrap(), pair[1]["status"].as_str().unwrap());
        let fits = match (from, to) {
            ("queued" | "retrying", "running") => true,
            ("queued" | "retrying" | "running", "dead") => true,
            ("running", "succeeded" | "failed" | "retrying") => true,
            ("dead", "retrying") => pair[1]["reason"] == "Redriven",
            _ => false,
        };
        if !fits {
            wrong(format!("{from} was followed by {to}"));
        }
    }
    if !(redrives.0..=redrives.1).contains(&story.redriven) {
        wrong(format!("{} redrives of {redrives:?} promised and asked for", story.redriven));
    }
    let attempts = number(&detail["attempts"]);
    let list = detail["attempt_list"].as_array().unwrap();
    let numbers: Vec<_> = list.iter().map(|it| number(&it["number"])).collect();
    if numbers != (1..=attempts).collect::<Vec<_>>() {
        wrong(format!("its attempts are {numbers:?}"));
    }
    // Counted by what the ledger holds against each attempt: ours do not use up a retry.
    let disturbed = list.iter().filter(|it| it["error"]["blame"] == "platform").count();
    let retries = FUNCTIONS.iter().find(|it| detail["function"] == it.0).map_or(2, |it| it.1);
    let retries = usize::try_from(retries).unwrap();
    if detail["origin"] != "call" && attempts > (1 + retries) * (1 + story.redriven) + disturbed {
        wrong(format!("{attempts} attempts, {retries} retries, {disturbed} disturbances"));
    }
    if disturbed < story.interruptions {
        wrong(format!("{} interruptions, of which {disturbed} are counted", story.interruptions));
    }
    story
}

pub fn is_terminal(status: &Value) -> bool {
    ["succeeded", "failed", "dead"].contains(&status.as_str().unwrap())
}

fn number(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap()).unwrap()
}

// The judge is judged: what must be found is found.

fn told(status: &str, attempts: u64, changes: &[(&str, &str)]) -> Value {
    let changes: Vec<_> = changes
        .iter()
        .map(|(status, reason)| json!({"status": status, "reason": reason}))
        .collect();
    let list: Vec<_> = (1..=attempts).map(|number| json!({"number": number})).collect();
    json!({
        "status": status, "origin": "event", "function": "doomed", "attempts": attempts,
        "attempt_list": list, "transitions": changes,
    })
}

#[test]
fn a_story_that_is_as_it_should_be_is_believed() {
    let changes = [
        ("queued", "accepted"),
        ("running", ""),
        ("retrying", "RuntimeError"),
        ("running", ""),
        ("dead", "RetriesExhausted"),
        ("retrying", "Redriven"),
        ("running", ""),
        ("succeeded", ""),
    ];
    let story = story(&told("succeeded", 3, &changes), (1, 1));
    assert_eq!((story.wrong, story.redriven, story.interruptions), (vec![], 1, 0));
}

#[test]
fn a_story_that_cannot_be_is_found_out() {
    let once = [("queued", ""), ("running", ""), ("succeeded", "")];
    let twice = [once.as_slice(), &[("running", ""), ("succeeded", "")]].concat();
    let by_itself = [
        ("queued", ""),
        ("running", ""),
        ("dead", ""),
        ("retrying", ""),
        ("running", ""),
        ("dead", ""),
    ];
    let again = [
        ("queued", ""),
        ("running", ""),
        ("retrying", ""),
        ("running", ""),
        ("retrying", ""),
        ("running", ""),
        ("dead", ""),
    ];
    for (detail, redrives, what) in [
        (told("running", 1, &once[..2]), (0, 0), "it has not ended"),
        (told("dead", 1, &once), (0, 0), "its last transition is not its status"),
        (told("succeeded", 2, &twice), (0, 0), "succeeded was followed by running"),
        (told("dead", 2, &by_itself), (0, 0), "dead was followed by retrying"),
        (told("succeeded", 1, &once), (1, 1), "0 redrives of (1, 1) promised and asked for"),
        (told("dead", 3, &again), (0, 0), "3 attempts, 1 retries, 0 disturbances"),
    ] {
        let wrong = story(&detail, redrives).wrong;
        assert!(wrong.iter().any(|it| it == what), "{what} was not found, but {wrong:?}");
    }
    let mut gap = told("succeeded", 1, &once);
    gap["attempt_list"] = json!([]);
    assert_eq!(story(&gap, (0, 0)).wrong, ["its attempts are []"]);
}
