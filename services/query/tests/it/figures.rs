//! Every figure that a screen shows, against the same computed from the raw entries and nothing else.

use std::collections::BTreeMap;

use serde_json::Value;
use tollbooth_schemas::Money;
use tollbooth_schemas::v1::entry::Kind;
use tollbooth_schemas::v1::{Adjustment, BonusGranted, Entry, Purchase, Reversal, UsageStatus};

use crate::query::Query;
use crate::stand::{BASE_MS, Ledger, Stand, usage};

const DAY_MS: i64 = 24 * 3_600_000;
/// October and September of New York.
const RANGE: &str = "from=2026-10-01&to=2026-11-01";

/// Two months of everything that moves money, at uneven instants.
fn two_months(account: &str) -> Ledger {
    let mut ledger = Ledger::open(account);
    let mut state = 7_u64;
    let mut draw = |below: u64| {
        // A fixed linear generator: the same months each time.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let signed = |number: u64| i64::try_from(number).unwrap();
    for number in 0..2_000_u64 {
        let at_ms = BASE_MS - 55 * DAY_MS + signed(draw(70 * 24 * 3_600)) * 1_000 + signed(draw(1_000));
        let (service, engine) =
            [("ai_modify", "kling"), ("ai_modify", "seedance"), ("sms", "sms_intl")][usize::try_from(draw(3)).unwrap()];
        let event_id = ["", "evt_gala", "evt_prom"][usize::try_from(draw(3)).unwrap()];
        let booth_id = ["bth_1", "bth_2"][usize::try_from(draw(2)).unwrap()];
        let amount = signed(draw(2_000_000)) + 1;
        let (kind, amount) = match draw(20) {
            0 => (Kind::Purchase(Purchase::default()), amount * 20),
            1 => (Kind::BonusGranted(BonusGranted::default()), amount),
            2 => (Kind::Adjustment(Adjustment::default()), -amount),
            3 | 4 => {
                let whole = draw(2) == 0;
                let reversal = Reversal {
                    original_seq: 3,
                    service: service.to_owned(),
                    engine: engine.to_owned(),
                    event_id: event_id.to_owned(),
                    booth_id: booth_id.to_owned(),
                    quantity_micros: if whole { 1_000_000 } else { 0 },
                    ..Reversal::default()
                };
                (Kind::Reversal(reversal), amount / 3)
            }
            other => {
                let status = if other == 5 { UsageStatus::Failed } else { UsageStatus::Success };
                let Kind::Usage(mut usage) = usage(service, engine, status, number) else { unreachable!() };
                (usage.event_id, usage.booth_id) = (event_id.to_owned(), booth_id.to_owned());
                (Kind::Usage(usage), if other == 5 { 0 } else { -amount })
            }
        };
        ledger.push(vec![(kind, amount, at_ms)]);
    }
    ledger
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Spent {
    micros: i64,
    count: i64,
    failed: i64,
}

/// What an entry says of spending, and of which engine, event and booth; `None`: it is none.
fn spent(entry: &Entry) -> Option<(Spent, [String; 3])> {
    let micros = -entry.amount_micros;
    match entry.kind.as_ref()? {
        Kind::Usage(usage) => {
            let is_failed = usage.status() == UsageStatus::Failed;
            let of = Spent { micros, count: i64::from(!is_failed), failed: i64::from(is_failed) };
            Some((of, [usage.engine.clone(), usage.event_id.clone(), usage.booth_id.clone()]))
        }
        Kind::Reversal(reversal) => {
            let of = Spent { micros, count: -i64::from(reversal.quantity_micros != 0), failed: 0 };
            Some((of, [reversal.engine.clone(), reversal.event_id.clone(), reversal.booth_id.clone()]))
        }
        _ => None,
    }
}

struct Raw<'a>(Vec<&'a Entry>);

impl Raw<'_> {
    fn within(&self, from_ms: i64, to_ms: i64) -> impl Iterator<Item = &Entry> {
        self.0.iter().copied().filter(move |entry| (from_ms..to_ms).contains(&entry.occurred_at_ms))
    }

    /// Spending of `entries`, in all or of one key: 0 is the engine, 1 the event, 2 the booth.
    fn spent<'e>(entries: impl Iterator<Item = &'e Entry>, only: Option<(usize, &str)>) -> Spent {
        let of = entries.filter_map(spent).filter(|(_, keys)| only.is_none_or(|(index, key)| keys[index] == key));
        of.fold(Spent::default(), |all, (one, _)| Spent {
            micros: all.micros + one.micros,
            count: all.count + one.count,
            failed: all.failed + one.failed,
        })
    }

    fn moved(entries: impl Iterator<Item = impl std::borrow::Borrow<Entry>>, is_kind: fn(&Kind) -> bool) -> i64 {
        let of = entries.filter(|entry| entry.borrow().kind.as_ref().is_some_and(is_kind));
        of.map(|entry| entry.borrow().amount_micros).sum()
    }
}

fn micros(amount: &Value) -> i64 {
    amount["amount"].as_str().unwrap().parse::<Money>().unwrap().micros()
}

fn ms(text: &Value) -> i64 {
    tollbooth_schemas::time::parse_rfc3339_ms(text.as_str().unwrap()).unwrap()
}

fn of(body: &Value) -> Spent {
    let failed = if body["failed"].is_null() { &body["failures"] } else { &body["failed"] };
    Spent { micros: micros(&body["amount"]), count: body["count"].as_i64().unwrap(), failed: failed.as_i64().unwrap() }
}

async fn every_row(query: &Query, path: &str) -> Vec<Value> {
    let (mut rows, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = query.ok(&format!("{path}?limit=200{cursor}")).await;
        rows.extend(page["data"].as_array().unwrap().iter().cloned());
        let Some(next) = page["next_cursor"].as_str() else { return rows };
        cursor = format!("&cursor={next}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_figure_is_what_the_raw_entries_say() {
    // given an account with all that moves money
    let stand = Stand::new().await;
    let ledger = two_months("acc_luna");
    stand.post(&ledger.records);
    stand.sink(&ledger.records).await;
    stand.commit_all().await;
    let query = stand.query().await;
    let raw = Raw(ledger.records.iter().flat_map(|record| &record.entries).collect());
    let account = "/v1/accounts/acc_luna";

    // then the balance is the sum of all of them, and the ledger shows each with the balance after it
    let balance: i64 = raw.0.iter().map(|entry| entry.amount_micros).sum();
    assert_eq!(micros(&query.ok(&format!("{account}/balance")).await["balance"]), balance);
    let listed = every_row(&query, &format!("{account}/transactions")).await;
    let mut running = 0;
    let chain = raw.0.iter().map(|entry| {
        running += entry.amount_micros;
        (entry.seq, entry.amount_micros, running)
    });
    let expected: Vec<_> = chain.filter(|(seq, ..)| *seq > 1).collect();
    let shown = listed.iter().rev();
    let shown = shown.map(|row| (row["seq"].as_u64().unwrap(), micros(&row["amount"]), micros(&row["balance_after"])));
    assert_eq!(shown.collect::<Vec<_>>(), expected);

    // and the four figures of a period and of the one before
    let summary = query.ok(&format!("{account}/summary?{RANGE}")).await;
    assert_eq!(micros(&summary["balance"]), balance);
    for period in [&summary["period"], &summary["previous"]] {
        let within = || raw.within(ms(&period["from"]), ms(&period["to"]));
        let used = Raw::spent(within(), None);
        let purchased = Raw::moved(within(), |kind| matches!(kind, Kind::Purchase(_)));
        let other = Raw::moved(within(), |kind| matches!(kind, Kind::BonusGranted(_) | Kind::Adjustment(_)));
        let told = ["used", "purchased", "net_usage", "other"].map(|name| micros(&period[name]));
        assert_eq!(told, [used.micros, purchased, used.micros - purchased, other], "{period}");
        let told = ["operations", "failures"].map(|name| period[name].as_i64().unwrap());
        assert_eq!(told, [used.count, used.failed], "{period}");
        assert!(used.count > 300 && used.failed > 10 && purchased > 0, "{period}");
    }

    // and the timeline, block by block and by engine
    let usage = query.ok(&format!("{account}/usage?{RANGE}&bucket=day&group_by=engine")).await;
    for bucket in usage["buckets"].as_array().unwrap() {
        let within = || raw.within(ms(&bucket["start"]), ms(&bucket["end"]));
        assert_eq!(of(bucket), Raw::spent(within(), None), "{bucket}");
        for group in bucket["groups"].as_array().unwrap() {
            assert_eq!(of(group), Raw::spent(within(), Some((0, group["key"].as_str().unwrap()))), "{bucket}");
        }
    }

    // and the parties and the booths, each with its own
    for (path, index, id) in [("events", 1, "event_id"), ("booths", 2, "booth_id")] {
        let rows = every_row(&query, &format!("{account}/{path}")).await;
        assert_eq!(rows.len(), 2, "{path}");
        for row in rows {
            let only = Some((index, row[id].as_str().unwrap()));
            assert_eq!(of(&row), Raw::spent(raw.0.iter().copied(), only), "{row}");
        }
    }
    // and the donut of one
    let donut = query.ok(&format!("{account}/events/evt_gala/usage")).await;
    let mut engines: BTreeMap<String, Spent> = BTreeMap::new();
    for (one, [engine, event_id, _]) in raw.0.iter().copied().filter_map(spent) {
        let sum = engines.entry(engine).or_default();
        if event_id == "evt_gala" {
            *sum = Spent {
                micros: sum.micros + one.micros,
                count: sum.count + one.count,
                failed: sum.failed + one.failed,
            };
        }
    }
    let slices = donut["data"].as_array().unwrap().iter();
    let slices: BTreeMap<String, Spent> =
        slices.map(|slice| (slice["engine"].as_str().unwrap().to_owned(), of(slice))).collect();
    assert_eq!(slices, engines);
    assert_eq!(of(&donut["total"]), Raw::spent(raw.0.iter().copied(), Some((1, "evt_gala"))));

    // and what the owner of the fleet sees
    let fleet = query.ok(&format!("/v1/fleet/usage?{RANGE}&bucket=month&tz=America/New_York&group_by=account")).await;
    let period = &summary["period"];
    let expected = Raw::spent(raw.within(ms(&period["from"]), ms(&period["to"])), None);
    assert_eq!(of(&fleet["total"]), expected, "{fleet}");

    // and the file adds up to the balance
    let file = query.fetch(&format!("{account}/transactions.csv"), Some(&query.key)).await.text().await.unwrap();
    let mut lines = file.lines();
    let column = lines.next().unwrap().split(',').position(|name| name == "amount").unwrap();
    let amounts = lines.map(|line| line.split(',').nth(column).unwrap().parse::<Money>().unwrap().micros());
    assert_eq!(amounts.sum::<i64>(), balance);
}
