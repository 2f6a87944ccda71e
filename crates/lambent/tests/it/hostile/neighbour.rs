//! The well-behaved function of another project, called all the time while the others misbehave.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::service::try_request;

/// Some twenty calls a second.
const EVERY: Duration = Duration::from_millis(45);

pub(super) const SOURCE: &str =
    "def handler(event, context):\n    return {'sum': sum(range(event['n']))}\n";

/// The thread that calls, and what came of it since the last look.
pub(super) struct Neighbour {
    calls: Arc<Mutex<Calls>>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
pub(super) struct Calls {
    pub(super) took: Vec<Duration>,
    pub(super) failed: Vec<String>,
}

impl Calls {
    /// The time within which this part of a hundred was answered.
    pub(super) fn percentile(&mut self, hundredths: usize) -> Duration {
        self.took.sort_unstable();
        let last = self.took.len().saturating_sub(1);
        self.took.get(last * hundredths / 100).copied().unwrap_or_default()
    }
}

impl Neighbour {
    /// Begins to call the function `sum` of project `good`.
    pub(super) fn of(address: String) -> Self {
        let calls = Arc::<Mutex<Calls>>::default();
        let stop = Arc::<AtomicBool>::default();
        let thread = {
            let (calls, stop) = (calls.clone(), stop.clone());
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let begun = Instant::now();
                    let outcome = call(&address);
                    let took = begun.elapsed();
                    {
                        let mut calls = calls.lock().unwrap();
                        match outcome {
                            Ok(()) => calls.took.push(took),
                            Err(why) => calls.failed.push(why),
                        }
                    }
                    std::thread::sleep(EVERY.saturating_sub(took));
                }
            })
        };
        Self { calls, stop, thread }
    }

    /// What came of the calls since the last look; waits for one that is answered from now on.
    pub(super) fn look(&self) -> Calls {
        let before = self.ended();
        crate::service::wait_until("the neighbour is answered", || {
            // The one that was on its way when we began may be an old one.
            if self.ended() >= before + 2 { Ok(()) } else { Err("no answer") }
        });
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    fn ended(&self) -> usize {
        let calls = self.calls.lock().unwrap();
        calls.took.len() + calls.failed.len()
    }

    pub(super) fn leave(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}

fn call(address: &str) -> Result<(), String> {
    let path = "/v1/functions/sum/invoke";
    let headers = [("content-type", "application/json"), ("lambent-project", "good")];
    match try_request(address, "POST", path, &headers, br#"{"n": 1000}"#) {
        Ok(answer) if answer.status == 200 && answer.body == br#"{"sum":499500}"# => Ok(()),
        Ok(answer) => Err(format!("{}: {}", answer.status, String::from_utf8_lossy(&answer.body))),
        Err(error) => Err(error.to_string()),
    }
}
