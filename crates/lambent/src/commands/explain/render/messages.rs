//! What went out because of an invocation, or will.

use serde_json::Value;
use wire::http::destinations::Message;

use super::Page;
use crate::commands::screen::{Colour, clean};

impl Page {
    pub(super) fn messages(&mut self, messages: &[Message]) {
        if messages.is_empty() {
            return;
        }
        self.heading("Messages");
        for message in messages {
            let colour = match message.status.as_str() {
                "sent" => Colour::Green,
                "gave_up" => Colour::Red,
                _ => Colour::Yellow,
            };
            let line = clean(&format!("{}: {}", whither(message), how(message)));
            let mark = self.paint.paint(colour, "•");
            self.line(&format!("  {mark} {line}"));
        }
    }
}

/// `destination http://…`, `event order.paid`.
fn whither(message: &Message) -> String {
    let target: Value = serde_json::from_str(message.target.get()).unwrap_or_default();
    let member = |name: &str| target[name].as_str().unwrap_or("?").to_owned();
    match message.kind.as_str() {
        "events" => format!("event {} ({})", member("type"), member("id")),
        "function" => format!("to function {}", member("function")),
        "http" => format!("to {}", member("url")),
        "rabbitmq" => {
            format!("to {} exchange {:?}", member("url"), member("exchange"))
        }
        other => format!("to {other}"),
    }
}

fn how(message: &Message) -> String {
    let at = |at: &Option<String>| at.clone().unwrap_or_else(|| "?".into());
    let why = message.error.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    match message.status.as_str() {
        "sent" => format!("sent at {}", at(&message.ended_at)),
        "gave_up" => format!("given up at {}{why}", at(&message.ended_at)),
        _ => {
            format!("waits for its {} try at {}{why}", nth(message.tries + 1), at(&message.due_at))
        }
    }
}

fn nth(number: u32) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_is_told_with_where_it_goes_and_how_that_stands() {
        let told = |kind: &str, target: Value, status: &str, error: Option<&str>| {
            let message = json!({
                "id": "m", "purpose": "destination", "kind": kind, "target": target,
                "status": status, "tries": 2, "bytes": 9, "created_at": "A", "due_at": "B",
                "ended_at": "C", "error": error,
            });
            let message: Message = serde_json::from_str(&message.to_string()).unwrap();
            format!("{}: {}", whither(&message), how(&message))
        };
        assert_eq!(
            told("http", json!({"url": "http://h"}), "waiting", Some("it answered 500")),
            "to http://h: waits for its 3rd try at B: it answered 500"
        );
        let next = json!({"function": "next"});
        assert_eq!(told("function", next.clone(), "sent", None), "to function next: sent at C");
        assert_eq!(
            told("function", next, "gave_up", Some("LoopDetected: …")),
            "to function next: given up at C: LoopDetected: …"
        );
        let event = json!({"type": "order.paid", "id": "i/0"});
        assert_eq!(told("events", event, "sent", None), "event order.paid (i/0): sent at C");
    }

    #[test]
    fn numbers_end_as_people_say_them() {
        let said = [1, 2, 3, 4, 11, 12, 13, 21, 22, 101, 111].map(nth);
        let expected =
            ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "101st", "111th"];
        assert_eq!(said, expected);
    }
}
