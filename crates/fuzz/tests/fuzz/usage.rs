//! Usage events: from a booth's bytes to a row.

use prost::Message as _;
use serde::Deserialize;
use serde_json::value::RawValue;
use tollbooth_fuzz::fuzz;
use tollbooth_ledger::{Overlay, UsageDecision, UsageInput, apply_usage};
use tollbooth_meter::sink::rows::Rows;
use tollbooth_schemas::json::Object;
use tollbooth_schemas::ledger::RECORD_BYTES_MAX;
use tollbooth_schemas::usage::{Attributes, WireEvent, parse_binary, parse_structured};

use crate::examples::{EVENT, EVENT_SMALL, NOON};
use crate::world::{World, record};

/// Members and values of events.
const WORDS: &[&str] = &[
    "null",
    "true",
    "\"\"",
    "{}",
    "[]",
    "\\u0000",
    "\\ud800",
    "\u{202e}",
    "é",
    "\"quantity\":\"0\",",
    "\"status\":\"failed\",",
    "\"mode\":\"test\",",
    "\"hold_id\":\"hld_9\",",
    "\"attempt\":4294967295,",
    "\"captured_at\":\"9999-12-31T23:59:59-01:00\",",
    "acc_other",
    "+24:00",
    "Z",
    "#",
];

fn seeds() -> Vec<Vec<u8>> {
    [EVENT, EVENT_SMALL].map(|event| event.as_bytes().to_vec()).to_vec()
}

#[test]
fn an_event_means_the_same_in_either_mode_and_printed_again() {
    #[derive(Deserialize)]
    struct OnlyData<'a> {
        #[serde(borrow)]
        data: &'a RawValue,
    }
    fuzz("event", seeds(), WORDS, |bytes| {
        let Ok(event) = parse_structured(bytes) else { return };
        // given its members as the attributes of a binary one
        let Object(wire): Object<WireEvent<'_>> = serde_json::from_slice(bytes).unwrap();
        let data: OnlyData<'_> = serde_json::from_slice(bytes).unwrap();
        let attributes = Attributes {
            specversion: Some(wire.specversion.0.clone()),
            id: Some(wire.id.0.clone()),
            source: Some(wire.source.0.clone()),
            kind: Some(wire.kind.0.clone()),
            subject: wire.subject.clone().map(|subject| subject.0),
            time: Some(wire.time.0.clone()),
        };
        // then it is the same event, and so is what its members print
        assert_eq!(parse_binary(attributes, data.data.get().as_bytes()), Ok(event.clone()));
        assert_eq!(parse_structured(&serde_json::to_vec(&wire).unwrap()), Ok(event));
    });
}

#[test]
fn what_is_taken_is_charged_once_and_becomes_a_row() {
    let world = World::new();
    fuzz("event", seeds(), WORDS, |bytes| {
        let Ok(event) = parse_structured(bytes) else { return };
        let account_id = event.account_id.to_string();
        let mut overlay = Overlay::new(&world.state);
        let input = || UsageInput::new(event.clone(), 1, NOON);
        let operation = input().operation();
        let decide = |overlay: &Overlay<'_>| apply_usage(overlay, &world.books, &world.limits, input(), NOON);
        let UsageDecision::Post(entry) = decide(&overlay) else { return };
        // when what it became is folded
        overlay.post(0, &account_id, NOON, &entry, Some(operation)).expect("it was decided on this state");
        // then it never is decided again, its record is within its bound, and it is one row
        assert_eq!(decide(&overlay), UsageDecision::Duplicate);
        assert!(entry.amount_micros <= 0, "usage gives nobody money");
        let record = record(&account_id, vec![*entry]).encode_to_vec();
        assert!(record.len() <= RECORD_BYTES_MAX);
        let mut rows = Rows::default();
        rows.push_record(0, &record).expect("the sink reads what the meter writes");
        assert_eq!(rows.len(), 1);
    });
}
