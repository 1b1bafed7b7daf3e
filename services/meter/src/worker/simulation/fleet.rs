//! What booths, backends and operators do: decided before a run begins, from the seed.

use prost::Message as _;
use rand::RngExt as _;
use tollbooth_chassis::kafka::partition_for;
use tollbooth_ledger::PriceBooks;
use tollbooth_schemas::{
    price_book::PriceBook,
    time::rfc3339,
    usage::STRUCTURED_CONTENT_TYPE,
    v1::{Command, OpenAccount, PlaceHold, PostAdjustment, VoidHold, command::Body, place_hold::Size},
};

use super::{
    faults::{Fault, Kind},
    log::{Place, Stored},
    world::{BEGIN_MS, World},
};

/// Accounts of a partition.
const ACCOUNTS: usize = 3;
/// An account that nobody ever opens.
pub(super) const GHOST: &str = "acc_ghost";
/// An engine that no price book ever names.
pub(super) const UNPRICED: &str = "made_up";
/// Cents of a unit: from the begin, and from the second price book on.
pub(super) const PRICES: [(&str, i64); 2] = [("nano", 200_000), ("vintage", 350_000)];

/// Something that is done at an instant.
pub(super) enum Act {
    Append(Place, Box<Stored>),
    Publish(PriceBooks),
}

struct Plan<'w> {
    world: &'w mut World,
    acts: Vec<(i64, Act)>,
    correlation: u32,
}

/// One report about a piece of work.
#[derive(Clone, Copy)]
struct Report<'a> {
    account: &'a str,
    operation: &'a str,
    attempt: u32,
    is_success: bool,
    engine: &'a str,
    quantity: i64,
    hold: Option<&'a str>,
}

/// All of a run, in order of time.
pub(super) fn plan(world: &mut World) -> Vec<(i64, Act)> {
    let mut plan = Plan { world, acts: Vec::new(), correlation: 0 };
    let second_ms = plan.world.between(5_000, 30_000);
    plan.acts.push((0, Act::Publish(books(1))));
    plan.acts.push((second_ms, Act::Publish(books(2))));
    for partition in 0..plan.world.settings.partitions {
        let mut named: Vec<String> = Vec::new();
        let partitions = plan.world.settings.partitions;
        let is_here = |id: &String| partition_for(id.as_bytes(), partitions) == Some(partition);
        named.extend((0..).map(|number| format!("acc_{number}")).filter(is_here).take(ACCOUNTS));
        for account in &named {
            plan.account(partition, account, second_ms);
        }
        let ghost = (0..).map(|number| format!("{GHOST}_{number}")).find(is_here).unwrap_or_default();
        let at_ms = plan.some_time(1);
        let report = Report {
            account: &ghost,
            operation: "op",
            attempt: 1,
            is_success: true,
            engine: "nano",
            quantity: 1,
            hold: None,
        };
        plan.usage(at_ms, partition, report);
        plan.broken(partition, &named[0]);
    }
    plan.acts.sort_by_key(|(at_ms, _)| *at_ms);
    plan.acts
}

fn books(count: usize) -> PriceBooks {
    let mut books = PriceBooks::default();
    for version in 1..=count {
        let named = &PRICES[..version];
        let engines: Vec<_> = named.iter().map(|(code, _)| serde_json::json!({"code": code, "name": code})).collect();
        let price = |micros: &i64| format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
        let prices: Vec<_> = named
            .iter()
            .map(|(engine, micros)| {
                serde_json::json!({"service": "ai_modify", "engine": engine, "unit": "image", "model": "per_unit",
                                   "plans": {"basic": price(micros)}})
            })
            .collect();
        let book: PriceBook = serde_json::from_value(serde_json::json!({
            "version": version, "currency": "USD", "effective_from": format!("202{version}-01-01T00:00:00Z"),
            "plans": [{"code": "basic", "name": "Basic", "monthly_fee": "0"}],
            "services": [{"code": "ai_modify", "name": "AI Modify"}], "engines": engines, "prices": prices
        }))
        .expect("a price book");
        assert!(books.publish(book));
    }
    books
}

impl Plan<'_> {
    fn some_time(&mut self, from_ms: i64) -> i64 {
        let until_ms = self.world.settings.busy_ms;
        self.world.between(from_ms.min(until_ms), until_ms)
    }

    fn chance(&mut self, probability: f64) -> bool {
        self.world.chance.random_bool(probability)
    }

    /// Opened at some time, used from the next millisecond on.
    fn account(&mut self, partition: i32, account: &str, second_ms: i64) {
        let opened_ms = self.world.between(1, 20_000.min(self.world.settings.busy_ms / 2));
        let opening = OpenAccount {
            plan: "basic".to_owned(),
            currency: "USD".to_owned(),
            time_zone: "UTC".to_owned(),
            ..OpenAccount::default()
        };
        self.command(opened_ms, partition, account, "open", &Body::OpenAccount(opening));
        let begin_ms = opened_ms + 1;
        for number in 0..self.world.between(2, 5) {
            let at_ms = self.some_time(begin_ms);
            let amount_micros = self.world.between(-2, 9) * 1_000_000 + 500_000;
            let posting = PostAdjustment { amount_micros, reason: "top_up".to_owned(), ..PostAdjustment::default() };
            self.command(at_ms, partition, account, &format!("adj_{number}"), &Body::PostAdjustment(posting));
        }
        let seconds = self.world.settings.busy_ms / 1_000;
        for number in 0..seconds.max(4) {
            let at_ms = if number < 3 { begin_ms + number } else { self.some_time(begin_ms) };
            let engine = if at_ms > second_ms && self.chance(0.3) { PRICES[1].0 } else { PRICES[0].0 };
            self.operation(at_ms, partition, account, (&format!("op_{number}"), engine));
        }
        for number in 0..self.world.between(2, 6) {
            let at_ms = self.some_time(begin_ms);
            self.hold(at_ms, partition, account, number);
        }
        let at_ms = self.some_time(begin_ms);
        let report = Report {
            account,
            operation: "unpriced",
            attempt: 1,
            is_success: true,
            engine: UNPRICED,
            quantity: 1,
            hold: None,
        };
        self.usage(at_ms, partition, report);
    }

    /// The reports of one piece of work: it succeeds, is retried, fails, or all of that.
    fn operation(&mut self, at_ms: i64, partition: i32, account: &str, (operation, engine): (&str, &str)) {
        let quantity = self.world.between(1, 3);
        let report = Report { account, operation, attempt: 1, is_success: true, engine, quantity, hold: None };
        let later_ms = at_ms + self.world.between(1, 15_000);
        match self.world.between(0, 9) {
            0 => self.usage(at_ms, partition, Report { is_success: false, ..report }),
            1 | 2 => {
                self.usage(at_ms, partition, Report { is_success: false, ..report });
                self.usage(later_ms, partition, Report { attempt: 2, ..report });
            }
            3 => {
                self.usage(at_ms, partition, report);
                self.usage(later_ms, partition, Report { attempt: 2, ..report });
            }
            4 => {
                self.usage(at_ms, partition, report);
                self.usage(later_ms, partition, Report { attempt: 2, is_success: false, ..report });
            }
            5 => {
                self.usage(at_ms, partition, Report { attempt: 3, ..report });
                self.usage(later_ms, partition, Report { attempt: 2, is_success: false, ..report });
            }
            _ => self.usage(at_ms, partition, report),
        }
    }

    /// Money is set aside, and mostly work follows that names the hold.
    fn hold(&mut self, at_ms: i64, partition: i32, account: &str, number: i64) {
        let hold_id = format!("hld_{number}");
        let placing = PlaceHold {
            hold_id: hold_id.clone(),
            service: "ai_modify".to_owned(),
            engine: "nano".to_owned(),
            unit: "image".to_owned(),
            timeout_ms: self.world.between(1_000, 8_000),
            size: Some(Size::AmountMicros(self.world.between(1, 3) * 100_000)),
            ..PlaceHold::default()
        };
        self.command(at_ms, partition, account, &hold_id, &Body::PlaceHold(placing));
        let later_ms = at_ms + self.world.between(1, 9_000);
        if self.chance(0.2) {
            let body = Body::VoidHold(VoidHold { hold_id });
            self.command(later_ms, partition, account, &format!("void_{number}"), &body);
        } else if self.chance(0.8) {
            let operation = format!("held_{number}");
            let is_success = self.chance(0.8);
            let report = Report {
                account,
                operation: &operation,
                attempt: 1,
                is_success,
                engine: "nano",
                quantity: 1,
                hold: Some(&hold_id),
            };
            self.usage(later_ms, partition, report);
        }
    }

    fn usage(&mut self, at_ms: i64, partition: i32, report: Report<'_>) {
        let Report { account, operation, attempt, is_success, engine, quantity, hold } = report;
        let occurred_ms = BEGIN_MS + at_ms - self.world.between(0, 10_000);
        let event = serde_json::json!({
            "specversion": "1.0", "id": format!("{operation}-{attempt}-{is_success}"), "source": "/booths/bth_1",
            "type": "tollbooth.usage.v1", "subject": account, "time": rfc3339(occurred_ms),
            "data": {"operation_id": operation, "attempt": attempt, "service": "ai_modify", "engine": engine,
                     "unit": "image", "quantity": quantity.to_string(), "hold_id": hold,
                     "status": if is_success { "success" } else { "failed" }}
        });
        let payload = event.to_string().into_bytes();
        self.append(at_ms, self.world.topics.usage(), partition, account, &payload);
        while self.world.strikes(Kind::Duplicate, 0.15) {
            self.world.faults.note(Fault::UsageAgain);
            let again_ms = at_ms + self.world.between(0, 20_000);
            self.append(again_ms, self.world.topics.usage(), partition, account, &payload);
        }
    }

    fn command(&mut self, at_ms: i64, partition: i32, account: &str, key: &str, body: &Body) {
        let mut again_ms = at_ms;
        loop {
            self.correlation += 1;
            let command = Command {
                account_id: account.to_owned(),
                idempotency_key: key.to_owned(),
                body_hash: key.as_bytes().to_vec(),
                reply_to: "ingest".to_owned(),
                correlation_id: self.correlation.to_string(),
                body: Some(body.clone()),
                ..Command::default()
            };
            self.append(again_ms, self.world.topics.commands(), partition, account, &command.encode_to_vec());
            if !self.world.strikes(Kind::Duplicate, 0.15) {
                return;
            }
            self.world.faults.note(Fault::CommandAgain);
            again_ms = at_ms + self.world.between(0, 10_000);
        }
    }

    /// Records that are none.
    fn broken(&mut self, partition: i32, account: &str) {
        for topic in [self.world.topics.usage(), self.world.topics.commands()] {
            let at_ms = self.some_time(1);
            self.append(at_ms, topic, partition, account, b"{");
        }
    }

    fn append(&mut self, at_ms: i64, topic: String, partition: i32, account: &str, payload: &[u8]) {
        let headers = vec![("content-type".to_owned(), STRUCTURED_CONTENT_TYPE.as_bytes().to_vec())];
        let record = Stored::new(account.as_bytes(), payload, headers);
        self.acts.push((at_ms, Act::Append((topic.into(), partition), Box::new(record))));
    }
}
