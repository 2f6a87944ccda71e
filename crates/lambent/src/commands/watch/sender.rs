//! Brings queued events to the service, in order, and does not give up.
//!
//! A service that is away, overloaded or shutting down is asked again with growing pauses. An event
//! that the service refuses for what it is, is told and left out; a refusal of the sender as a
//! whole (a wrong key, another service at this address) ends the command.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;
use wire::client::ClientError;
use wire::http::events::EventAccepted;

use super::record::Described;
use crate::commands::screen::clean;
use crate::commands::session::note;
use crate::commands::{Failure, Session};

/// One commit of the service for many files that change at once; well below its limits.
const BATCH: usize = 100;
/// The pauses between tries: the first, doubled up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LAST_PAUSE: Duration = Duration::from_secs(15);
/// How long a stop waits for what is queued to be sent.
const GRACE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Sender<'a> {
    session: &'a mut Session,
    queued: mpsc::Receiver<Described>,
    /// Taken from the queue and not known to be stored.
    in_hand: usize,
    refused: usize,
}

/// A batch's answer with its items as they came.
#[derive(Deserialize)]
struct Verbatim {
    events: Vec<Box<RawValue>>,
}

impl<'a> Sender<'a> {
    pub(super) fn new(session: &'a mut Session, queued: mpsc::Receiver<Described>) -> Self {
        Self { session, queued, in_hand: 0, refused: 0 }
    }

    /// Sends until the queue has ended and is empty, or, once `stopping` says so, for so long as
    /// the grace lasts.
    pub(super) async fn run(&mut self, mut stopping: watch::Receiver<bool>) -> Result<(), Failure> {
        let grace = async {
            // An error is that the other half is gone, which is a stop as well.
            let _stopped = stopping.wait_for(|stop| *stop).await;
            sleep(GRACE).await;
        };
        let sent = tokio::select! {
            sent = self.send_all() => sent,
            () = grace => Ok(()),
        };
        sent?;
        let unsent = self.in_hand + self.queued.len();
        match (unsent, self.refused) {
            (0, 0) => Ok(()),
            (0, refused) => Err(Failure::Partly(format!("{refused} of the events were refused"))),
            (unsent, _) => Err(Failure::Partly(format!(
                "{unsent} of the events were not sent, since the service was away; `--existing` \
                 sends the files that are there"
            ))),
        }
    }

    async fn send_all(&mut self) -> Result<(), Failure> {
        let mut batch = Vec::with_capacity(BATCH);
        while self.queued.recv_many(&mut batch, BATCH).await > 0 {
            self.in_hand = batch.len();
            if let Err(error) = self.deliver(&batch).await? {
                // One of them is at fault; which one shows when they go alone.
                if batch.len() > 1 {
                    for one in &batch {
                        if let Err(error) = self.deliver(std::slice::from_ref(one)).await? {
                            self.tell_refusal(one, &error);
                        }
                        self.in_hand -= 1;
                    }
                } else {
                    self.tell_refusal(&batch[0], &error);
                }
            }
            self.in_hand = 0;
            batch.clear();
        }
        Ok(())
    }

    /// Sends events for as long as it takes. The inner error is a refusal of what they are.
    async fn deliver(&mut self, batch: &[Described]) -> Result<Result<(), ClientError>, Failure> {
        let records: Vec<_> = batch.iter().map(|it| it.record.clone()).collect();
        let mut pause = FIRST_PAUSE;
        loop {
            match self.session.client.send_events(&records).await {
                Ok(answer) => {
                    if pause > FIRST_PAUSE {
                        note("the service is back");
                    }
                    self.print(batch, &answer.json, &answer.value.events)?;
                    return Ok(Ok(()));
                }
                Err(error) if error.is_transient() => {
                    if pause == FIRST_PAUSE {
                        note(&format!("{}; trying again", clean(&error.to_string())));
                    }
                    let asked = error.problem().and_then(|problem| problem.retry_after_s);
                    let asked = Duration::from_secs(asked.unwrap_or(0).into());
                    sleep(pause.max(asked.min(LAST_PAUSE))).await;
                    pause = (pause * 2).min(LAST_PAUSE);
                }
                Err(error) if matches!(error.status(), Some(400 | 413 | 422)) => {
                    return Ok(Err(error));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn print(
        &mut self,
        batch: &[Described],
        json: &[u8],
        accepted: &[EventAccepted],
    ) -> Result<(), Failure> {
        if self.session.is_json() {
            let verbatim: Verbatim =
                serde_json::from_slice(json).expect("it was read as this form before");
            for event in verbatim.events {
                self.session.json(event.get().as_bytes())?;
            }
        } else {
            for (sent, stored) in batch.iter().zip(accepted) {
                let fate = match (stored.duplicate, stored.triggers.len()) {
                    (true, _) => "sent before".into(),
                    (false, 0) => "no trigger matched".into(),
                    (false, 1) => "1 invocation".into(),
                    (false, many) => format!("{many} invocations"),
                };
                let line = format!("{}  {}  {fate}", stored.id, clean(&sent.label));
                self.session.line(&line)?;
            }
        }
        self.session.flush()
    }

    fn tell_refusal(&mut self, event: &Described, error: &ClientError) {
        self.refused += 1;
        note(&format!("refused: {}: {}", clean(&event.label), clean(&error.to_string())));
    }
}

#[cfg(test)]
mod tests;
