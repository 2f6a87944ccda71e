//! What a message is to a source: events to store, nothing of interest, or a thing to refuse. Pure;
//! what the formats are is `wire::message`'s.
//!
//! Whoever may publish to a queue could speak in the name of every project. A source therefore
//! delivers to its own, unless it was made to deliver to all (see `super::settings`). A message of
//! the queue contract that names another project is refused, so that somebody sees it; of a cloud's
//! notifications, most are about others, and those are not this source's to keep: they are dropped.

use brokers::Message;
use model::{Event, Project, Timestamp};
use wire::message::{self, Format, Owner, Raw};

/// How a source reads its messages.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    pub(crate) format: Format,
    pub(crate) queue: String,
    /// The source's own.
    pub(crate) project: Project,
    /// Whether it delivers to whichever project a message names.
    pub(crate) any_project: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Store(Vec<(Project, Event)>),
    /// It is not for us, and nobody has to hear of it.
    Drop,
    /// It will never be an event, for this reason.
    Refuse(String),
}

impl Reader {
    /// `fallback_id` names the message if it does not name itself.
    pub(crate) fn read(
        &self,
        message: &Message,
        fallback_id: &str,
        received: Timestamp,
    ) -> Verdict {
        let raw = Raw {
            body: &message.body,
            content_type: message.content_type.as_deref(),
            headers: &message.headers,
            message_id: message.message_id.as_deref(),
            fallback_id,
            queue: &self.queue,
            routing_key: &message.routing_key,
        };
        let read = match message::read(&self.format, &raw, received) {
            Ok(read) => read,
            Err(why) => return Verdict::Refuse(format!("{}: {why}", why.code())),
        };
        let mut events = Vec::with_capacity(read.len());
        for it in read {
            let project = match it.owner {
                Owner::Source => self.project.clone(),
                Owner::Nobody => continue,
                Owner::Named(project) if self.any_project || project == self.project => project,
                Owner::Named(_) if matches!(self.format, Format::Oslo { .. }) => continue,
                Owner::Named(project) => {
                    return Verdict::Refuse(format!(
                        "message.other_project: the message is for project {project}, and this \
                         source delivers to project {} only",
                        self.project
                    ));
                }
            };
            events.push((project, it.event));
        }
        if events.is_empty() { Verdict::Drop } else { Verdict::Store(events) }
    }
}

#[cfg(test)]
mod tests {
    use brokers::DeliveryId;
    use wire::message::Projects;

    use super::*;

    fn reader(format: Format) -> Reader {
        let project = Project::parse("mine").unwrap();
        Reader { format, queue: "q".into(), project, any_project: false }
    }

    fn read(reader: &Reader, body: &str) -> Verdict {
        let message = Message {
            delivery: DeliveryId::made_up(1, 1),
            body: body.to_owned().into(),
            content_type: None,
            headers: Vec::new(),
            message_id: Some("m".into()),
            exchange: String::new(),
            routing_key: "q".into(),
            redelivered: false,
            published_at_s: None,
        };
        reader.read(&message, "fallback", Timestamp::from_millis(0))
    }

    fn projects(verdict: Verdict) -> Vec<String> {
        match verdict {
            Verdict::Store(events) => events.iter().map(|(it, _)| it.to_string()).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn contract(user: &str) -> String {
        format!(r#"{{"event_data": {{"type": "t"}}, "user_name": "{user}", "event_source": "s"}}"#)
    }

    fn notification(project: &str) -> String {
        format!(
            r#"{{"event_type": "image.create", "publisher_id": "image.a", "payload": {{"owner": {project}}}}}"#
        )
    }

    #[test]
    fn another_projects_message_is_refused_unless_the_source_is_everybodys() {
        let mut reader = reader(Format::Auto);
        assert_eq!(projects(read(&reader, &contract("mine"))), ["mine"]);
        assert_eq!(projects(read(&reader, r#"{"type": "t"}"#)), ["mine"]);
        match read(&reader, &contract("theirs")) {
            Verdict::Refuse(why) => {
                assert!(why.contains("theirs") && why.contains("mine"), "{why}")
            }
            other => panic!("{other:?}"),
        }
        reader.any_project = true;
        assert_eq!(projects(read(&reader, &contract("theirs"))), ["theirs"]);
        assert_eq!(projects(read(&reader, r#"{"type": "t"}"#)), ["mine"]);
    }

    #[test]
    fn of_notifications_a_source_keeps_its_projects_own() {
        let mut reader = reader(Format::Oslo { projects: Projects::Owners });
        assert_eq!(projects(read(&reader, &notification(r#""mine""#))), ["mine"]);
        assert_eq!(read(&reader, &notification(r#""theirs""#)), Verdict::Drop);
        assert_eq!(read(&reader, &notification("null")), Verdict::Drop);
        reader.any_project = true;
        assert_eq!(projects(read(&reader, &notification(r#""theirs""#))), ["theirs"]);
        assert_eq!(read(&reader, &notification("null")), Verdict::Drop);
        reader.format = Format::Oslo { projects: Projects::Source };
        assert_eq!(projects(read(&reader, &notification("null"))), ["mine"]);
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_a_code_and_a_sentence() {
        match read(&reader(Format::LambdaQueue), "{}") {
            Verdict::Refuse(why) => assert!(why.starts_with("message.missing_member: "), "{why}"),
            other => panic!("{other:?}"),
        }
    }
}
