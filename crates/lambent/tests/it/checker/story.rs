//! One invocation's story: whether its record can be true.

use serde_json::{Value, json};

use crate::load::FUNCTIONS;

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

pub fn number(value: &Value) -> usize {
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
