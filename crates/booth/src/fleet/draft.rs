//! A record before it is sent, with what is to be sent after it.

use std::time::Duration;

use rdkafka::message::{Header, OwnedHeaders};
use tollbooth_schemas::{dead_letter::Reason, time::rfc3339, usage::STRUCTURED_CONTENT_TYPE};

use super::fault::Fault;
use crate::{
    journal::{Expect, Planned, Via},
    report::UsageReport,
};

/// One record of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Its number in the run.
    pub number: u64,
    /// What is reported.
    pub report: UsageReport,
    /// The account's plan.
    pub plan: &'static str,
    /// Number of the booth in the fleet; says which gateway it uses.
    pub booth_number: u32,
    /// How it travels.
    pub via: Via,
    /// What must become of it.
    pub expect: Expect,
    /// Why it must be a dead letter.
    pub reason: Option<Reason>,
    /// What is wrong with it.
    pub fault: Option<Fault>,
    /// Its bytes are sent once more, so long after.
    pub duplicate_after: Option<Duration>,
    /// What follows once it is acknowledged, and how long after.
    pub then: Option<(Duration, Box<Draft>)>,
}

/// A record for Kafka.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) key: Option<String>,
    pub(crate) value: Vec<u8>,
    pub(crate) headers: Vec<(&'static str, String)>,
    /// Another partition than the key's, counted from it.
    pub(crate) misplace: bool,
}

impl Message {
    pub(crate) fn headers(&self) -> OwnedHeaders {
        self.headers.iter().fold(OwnedHeaders::new_with_capacity(self.headers.len()), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(value) })
        })
    }
}

impl Draft {
    /// Its line in the journal.
    #[must_use]
    pub fn planned(&self) -> Planned {
        let report = &self.report;
        Planned {
            id: report.id.clone(),
            source: report.source.clone(),
            operation_id: report.operation_id.clone(),
            attempt: report.attempt,
            account_id: report.account_id.clone(),
            plan: self.plan.to_owned(),
            service: report.service.clone(),
            engine: report.engine.clone(),
            variant: report.variant.clone(),
            country: report.country.clone(),
            unit: report.unit.clone(),
            quantity: report.quantity,
            occurred_at: report.occurred_at_ms,
            event_id: report.event_id.as_ref().map(ToString::to_string),
            booth_id: report.booth_id.to_string(),
            status: report.status,
            via: self.via,
            expect: self.expect,
            reason: self.reason,
        }
    }

    /// The structured event; with the fault in it where the fault is in the bytes.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut wire = self.report.to_wire();
        match self.fault {
            Some(Fault::Malformed) => Ok(self.malformed()),
            Some(Fault::OutOfRange) => {
                wire.data.quantity = "99999999999999".into();
                serde_json::to_vec(&wire)
            }
            _ => serde_json::to_vec(&wire),
        }
    }

    /// Three ways not to be an event; the id stands in each.
    fn malformed(&self) -> Vec<u8> {
        let id = &self.report.id;
        match self.number % 3 {
            0 => format!("this is no event: {id}"),
            1 => format!("{{\"specversion\":\"1.0\",\"id\":\"{id}\",\"source\":\"/booths/cut"),
            _ => format!("{{\"specversion\":\"1.0\",\"id\":\"{id}\",\"type\":\"com.example.other.v1\"}}"),
        }
        .into_bytes()
    }

    /// The record for Kafka. `stranger` is another account, for a key that is not the subject.
    pub(crate) fn message(&self, stranger: &str) -> Result<Message, serde_json::Error> {
        let report = &self.report;
        let mut key = Some(report.account_id.to_string());
        let mut misplace = false;
        if self.fault == Some(Fault::WrongPartition) {
            match self.number % 3 {
                0 => key = Some(stranger.to_owned()),
                1 => key = None,
                _ => misplace = true,
            }
        }
        let binary = self.via == Via::KafkaBinary && self.fault != Some(Fault::Malformed);
        let (value, headers) = if binary {
            let mut data = report.to_data();
            if self.fault == Some(Fault::OutOfRange) {
                data.quantity = "99999999999999".into();
            }
            let headers = vec![
                ("content-type", "application/json".to_owned()),
                ("ce_specversion", "1.0".to_owned()),
                ("ce_id", report.id.clone()),
                ("ce_source", report.source.clone()),
                ("ce_type", tollbooth_schemas::usage::EVENT_TYPE.to_owned()),
                ("ce_subject", report.account_id.to_string()),
                ("ce_time", rfc3339(report.occurred_at_ms)),
            ];
            (serde_json::to_vec(&data)?, headers)
        } else {
            (self.encode()?, vec![("content-type", STRUCTURED_CONTENT_TYPE.to_owned())])
        };
        Ok(Message { id: report.id.clone(), key, value, headers, misplace })
    }
}
