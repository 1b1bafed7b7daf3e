//! Rows as CSV: RFC 4180, and safe to open in a spreadsheet.

use chrono::{DateTime, FixedOffset, Offset, SecondsFormat, TimeZone, Utc};
use chrono_tz::Tz;
use tollbooth_schemas::ids::entry_id;
use tollbooth_schemas::time::rfc3339;

use super::ActivityRow;
use crate::amount::{Micros, QuantityText};
use crate::prices::Names;

/// The first line.
pub(crate) const HEADER: &str = "entry_id,seq,type,status,service,engine,service_name,quantity,unit,amount,balance_after,\
     currency,occurred_at_utc,occurred_at_local,posted_at_utc,posted_at_local,time_zone,event_id,booth_id,operation_id,\
     price_version,reason\r\n";

/// What all lines of a file have in common.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CsvFormat<'a> {
    /// Whose.
    pub(crate) account_id: &'a str,
    /// ISO 4217.
    pub(crate) currency: &'a str,
    /// Zone of the local times.
    pub(crate) zone: Tz,
    /// What people call things.
    pub(crate) names: &'a Names,
}

impl CsvFormat<'_> {
    /// Appends the line of a row.
    pub(crate) fn write(self, row: &ActivityRow, out: &mut String) {
        let quantity =
            if row.unit.is_empty() { String::new() } else { QuantityText(row.quantity_micros.into()).to_string() };
        let version = if row.price_version == 0 { String::new() } else { row.price_version.to_string() };
        let money = |micros: i64| Micros(micros.into()).to_string();
        // Numbers and times are written by this program and stay what they are; texts came from elsewhere.
        let cells = [
            Cell::Own(entry_id(self.account_id, row.seq)),
            Cell::Own(row.seq.to_string()),
            Cell::Text(&row.entry_type),
            Cell::Text(if row.failed { "failed" } else { "success" }),
            Cell::Text(&row.service),
            Cell::Text(&row.engine),
            Cell::Text(&self.names.work(&row.service, &row.engine).unwrap_or_default()),
            Cell::Own(quantity),
            Cell::Text(&row.unit),
            Cell::Own(money(row.amount_micros)),
            Cell::Own(money(row.balance_after_micros)),
            Cell::Text(self.currency),
            Cell::Own(rfc3339(row.occurred_at_ms)),
            Cell::Own(self.local(row.occurred_at_ms)),
            Cell::Own(rfc3339(row.posted_at_ms)),
            Cell::Own(self.local(row.posted_at_ms)),
            Cell::Text(self.zone.name()),
            Cell::Text(&row.event_id),
            Cell::Text(&row.booth_id),
            Cell::Text(&row.operation_id),
            Cell::Own(version),
            Cell::Text(&row.reason),
        ];
        for (index, cell) in cells.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            cell.write(out);
        }
        out.push_str("\r\n");
    }

    /// The instant with the zone's offset, milliseconds always.
    fn local(self, ms: i64) -> String {
        let Some(instant) = DateTime::<Utc>::from_timestamp_millis(ms) else { return String::new() };
        let offset: FixedOffset = self.zone.offset_from_utc_datetime(&instant.naive_utc()).fix();
        instant.with_timezone(&offset).to_rfc3339_opts(SecondsFormat::Millis, false)
    }
}

enum Cell<'a> {
    /// Made here of numbers: nothing in it needs care.
    Own(String),
    Text(&'a str),
}

impl Cell<'_> {
    fn write(&self, out: &mut String) {
        let text = match self {
            Self::Own(text) => return out.push_str(text),
            Self::Text(text) => text,
        };
        // A spreadsheet would take it for a formula (OWASP, CSV injection); a quote in front makes it text.
        let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
        let is_quoted = text.contains([',', '"', '\r', '\n', '\'']) || is_formula;
        if !is_quoted {
            return out.push_str(text);
        }
        out.push('"');
        if is_formula {
            out.push('\'');
        }
        out.push_str(&text.replace('"', "\"\""));
        out.push('"');
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn line(row: &ActivityRow) -> String {
        let names = Names::default();
        let zone = "America/New_York".parse().unwrap();
        let mut out = String::new();
        CsvFormat { account_id: "acc_luna", currency: "USD", zone, names: &names }.write(row, &mut out);
        out
    }

    /// Reads a line as somebody else's program does.
    fn cells(line: &str) -> Vec<String> {
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_bytes());
        let mut lines = reader.records().map(|record| record.unwrap());
        let cells = lines.next().unwrap().iter().map(str::to_owned).collect();
        assert_eq!(lines.next(), None, "{line}");
        cells
    }

    #[test]
    fn a_line_has_both_times_and_plain_numbers() {
        let row = ActivityRow {
            seq: 7,
            entry_type: "consume".to_owned(),
            service: "ai_modify".to_owned(),
            engine: "kling".to_owned(),
            amount_micros: -12_500,
            balance_after_micros: -1_000_000,
            quantity_micros: 2_500_000,
            unit: "second".to_owned(),
            // An hour that comes twice in New York.
            occurred_at_ms: 1_793_512_800_000,
            posted_at_ms: 1_793_516_400_123,
            operation_id: "=1+1".to_owned(),
            price_version: 3,
            ..ActivityRow::default()
        };
        assert_eq!(
            line(&row),
            "ent_acc_luna_7,7,consume,success,ai_modify,kling,ai_modify (kling),2.5,second,-0.0125,-1.00,USD,\
             2026-11-01T06:00:00.000Z,2026-11-01T01:00:00.000-05:00,2026-11-01T07:00:00.123Z,\
             2026-11-01T02:00:00.123-05:00,America/New_York,,,\"'=1+1\",3,\r\n"
        );
        assert_eq!(cells(HEADER).len(), cells(&line(&row)).len());
    }

    /// What somebody who names an operation could try.
    const TEXT: &str = "[=+@\\-\t\r\n'\",;a-z ]{0,12}|.{0,12}";

    proptest! {
        #[test]
        fn no_text_is_a_formula_and_none_is_lost(texts in prop::collection::vec(TEXT, 8), micros: i64, quantity: i64) {
            let [entry_type, service, engine, unit, event_id, booth_id, operation_id, reason] =
                <[String; 8]>::try_from(texts).unwrap();
            let row = ActivityRow {
                entry_type, service, engine, unit, event_id, booth_id, operation_id, reason,
                amount_micros: micros,
                quantity_micros: quantity.saturating_abs(),
                ..ActivityRow::default()
            };
            // given the line as another program reads it, by the names in the first line
            let found: HashMap<String, String> = cells(HEADER).into_iter().zip(cells(&line(&row))).collect();
            let texts = [
                ("type", &row.entry_type),
                ("service", &row.service),
                ("engine", &row.engine),
                ("unit", &row.unit),
                ("event_id", &row.event_id),
                ("booth_id", &row.booth_id),
                ("operation_id", &row.operation_id),
                ("reason", &row.reason),
            ];
            for (name, text) in texts {
                let found = &found[name];
                prop_assert!(!found.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']), "{name}: {found:?}");
                prop_assert!(found == text || *found == format!("'{text}"), "{name}: {found:?}");
            }
            // and the numbers are numbers
            prop_assert_eq!(&found["amount"], &Micros(micros.into()).to_string());
        }
    }
}
