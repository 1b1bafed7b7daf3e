//! A client of server-sent events, as browsers read them (HTML, 9.2).

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::stand::DEADLINE;

/// So long an event is waited for.
const UNTIL: Duration = Duration::from_secs(90);

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) data: Value,
}

/// What comes over one connection.
pub(crate) struct Events {
    response: reqwest::Response,
    text: String,
    /// Comments so far.
    pub(crate) comments: usize,
}

impl Events {
    pub(crate) fn new(response: reqwest::Response) -> Self {
        Self { response, text: String::new(), comments: 0 }
    }

    /// The next event; `None` where the server has ended the stream.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                if let Some(event) = self.parse(&block) {
                    return Some(event);
                }
            }
            if !self.read().await {
                return None;
            }
        }
    }

    /// Reads more text. Returns whether there was any.
    pub(crate) async fn read(&mut self) -> bool {
        let chunk = tokio::time::timeout(DEADLINE, self.response.chunk()).await.expect("the stream is silent");
        match chunk {
            Ok(Some(bytes)) => {
                self.text.push_str(std::str::from_utf8(&bytes).unwrap());
                true
            }
            Ok(None) | Err(_) => false,
        }
    }

    /// Events up to and including the first that `ends`. Heartbeats do not put the deadline off.
    pub(crate) async fn until(&mut self, ends: impl Fn(&Event) -> bool) -> Vec<Event> {
        let mut events = Vec::new();
        let deadline = Instant::now() + UNTIL;
        loop {
            let next = tokio::time::timeout_at(deadline, self.next()).await;
            let event = next.unwrap_or_else(|_| panic!("not told within {UNTIL:?}, only {events:?}"));
            let event = event.expect("the stream has ended");
            let is_last = ends(&event);
            events.push(event);
            if is_last {
                return events;
            }
        }
    }

    fn parse(&mut self, block: &str) -> Option<Event> {
        let mut event = Event { id: String::new(), name: "message".to_owned(), data: Value::Null };
        let mut has_data = false;
        for line in block.lines() {
            match line.split_once(": ").or_else(|| line.split_once(':')) {
                Some(("", _)) => self.comments += 1,
                Some(("id", id)) => id.clone_into(&mut event.id),
                Some(("event", name)) => name.clone_into(&mut event.name),
                Some(("data", data)) => {
                    event.data = serde_json::from_str(data).unwrap();
                    has_data = true;
                }
                Some(("retry", _)) => {}
                other => panic!("{other:?} in {block:?}"),
            }
        }
        has_data.then_some(event)
    }
}
