//! The habits of the fleet.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chrono::{TimeZone as _, Utc};
use tollbooth_booth::{
    fleet::{
        CreditBy, Draft, Fault, Generator, GeneratorConfig, Population, Profile, SERVICES, TopUp, TopUpConfig,
        plan_history, top_up_amount,
    },
    journal::{Expect, Via},
};
use tollbooth_schemas::{
    AccountId, Money,
    dead_letter::Reason,
    price_book::PriceBook,
    time::DAY_MS,
    usage::{Status, parse_structured},
};

/// 2026-11-21T20:00:00Z, a Saturday.
const NOW_MS: i64 = 1_795_291_200_000;
const RECORDS: usize = 100_000;

fn population(count: usize) -> Arc<Population> {
    Arc::new(Population::new(1, "demo", count).unwrap())
}

fn book() -> PriceBook {
    serde_json::from_str(include_str!("../../../../deploy/local/price-book.json")).unwrap()
}

fn drafts(config: GeneratorConfig, count: usize) -> Vec<Draft> {
    let mut generator = Generator::new(config, population(200));
    (0..count).map(|_| generator.next(NOW_MS).unwrap()).collect()
}

fn near(what: &str, share: f64, expected: f64, tolerance: f64) {
    assert!((share - expected).abs() <= tolerance, "{what}: {share} instead of {expected}");
}

fn share(drafts: &[Draft], of: impl Fn(&Draft) -> bool) -> f64 {
    drafts.iter().filter(|draft| of(draft)).count() as f64 / drafts.len() as f64
}

#[test]
fn the_price_book_is_right_and_prices_all_that_the_fleet_does() {
    let book = book();
    assert!(book.check().is_empty(), "{:?}", book.check());
    let drafts = drafts(GeneratorConfig::new(5, "r", Profile::Stress), 20_000);
    let mut history: Vec<Draft> = plan_history(5, &population(30), &book, (20_000, CreditBy::Adjustment), NOW_MS)
        .into_iter()
        .flat_map(|chunk| chunk.drafts)
        .collect();
    history.extend(drafts);
    for draft in history {
        let report = &draft.report;
        let priced = book.prices.iter().any(|price| {
            price.service == report.service
                && price.engine == report.engine
                && price.unit == report.unit
                && price.variant.as_ref().is_none_or(|variant| report.variant.as_ref() == Some(variant))
                && price.plans.contains_key(draft.plan)
                && report.occurred_at_ms < price.interval().1
                && report.occurred_at_ms >= book.effective_from
        });
        assert!(priced, "{report:?}");
    }
}

#[test]
fn the_mix_is_the_trades() {
    let drafts = drafts(GeneratorConfig::new(7, "r", Profile::Stress), RECORDS);
    for (percent, service) in SERVICES {
        near(service, share(&drafts, |draft| draft.report.service == *service), percent / 100.0, 0.005);
    }
    near("failed", share(&drafts, |draft| draft.report.status == Status::Failed), 0.015, 0.002);
    let failed: Vec<Draft> = drafts.into_iter().filter(|draft| draft.report.status == Status::Failed).collect();
    near("tried again", share(&failed, |draft| draft.then.is_some()), 0.6, 0.05);
    for (first, second) in failed.iter().filter_map(|draft| Some((draft, &draft.then.as_ref()?.1))) {
        assert_eq!(first.report.operation_id, second.report.operation_id);
        assert_ne!(first.report.id, second.report.id);
        assert_eq!((first.report.attempt, second.report.attempt), (1, 2));
        assert_eq!((first.expect, second.expect), (Expect::Failed, Expect::Charge));
    }
}

#[test]
fn accounts_are_mostly_small() {
    let population = Population::new(3, "many", 20_000).unwrap();
    let of = |from: u32, to: u32| {
        let within = population.accounts().iter().filter(|account| (from..=to).contains(&account.booths)).count();
        within as f64 / population.accounts().len() as f64
    };
    near("1-2 booths", of(1, 2), 0.70, 0.015);
    near("3-10 booths", of(3, 10), 0.20, 0.015);
    near("11-50 booths", of(11, 50), 0.09, 0.01);
    near("51-500 booths", of(51, 500), 0.01, 0.003);
    // A longer fleet begins with the shorter one, and every booth is somebody's.
    assert_eq!(Population::new(3, "many", 50).unwrap().accounts(), &population.accounts()[..50]);
    for number in [0, 11, 12, 13, population.booths() - 1] {
        assert_eq!(population.booth(number).unwrap().number, number);
    }
    assert!(population.booth(population.booths()).is_none());
}

#[test]
fn the_same_seed_tells_the_same_story_whenever_it_is_told() {
    let config = || {
        let mut config = GeneratorConfig::new(11, "r", Profile::Reconnect);
        config.kafka_share = 0.3;
        config.fault_share = 0.01;
        config
    };
    let mut first = Generator::new(config(), population(50));
    let mut second = Generator::new(config(), population(50));
    let mut other = Generator::new(GeneratorConfig { seed: 12, ..config() }, population(50));
    let mut differences = 0;
    for number in 0..20_000 {
        let a = first.next(NOW_MS + number).unwrap();
        let b = second.next(NOW_MS + 5 * 60_000 + number).unwrap();
        let mut shifted = b.clone();
        shifted.report.occurred_at_ms -= 5 * 60_000;
        if let Some((_, then)) = &mut shifted.then {
            then.report.occurred_at_ms -= 5 * 60_000;
        }
        assert_eq!(a, shifted);
        differences += usize::from(other.next(NOW_MS + number).unwrap().report != a.report);
    }
    assert!(differences > 19_000);
}

#[test]
fn repeats_ways_and_delays_come_as_asked() {
    let mut config = GeneratorConfig::new(13, "r", Profile::Reconnect);
    config.duplicate_share = Some(0.03);
    config.kafka_share = 0.25;
    config.wrong_year_share = Some(0.0);
    let drafts = drafts(config, RECORDS);
    near("repeats", share(&drafts, |draft| draft.duplicate_after.is_some()), 0.03, 0.003);
    near("straight into Kafka", share(&drafts, |draft| draft.via != Via::Http), 0.25, 0.08);
    for via in [Via::KafkaStructured, Via::KafkaBinary] {
        assert!(share(&drafts, |draft| draft.via == via) > 0.05, "{via:?}");
    }
    // A booth has one way.
    let mut ways = BTreeMap::new();
    for draft in &drafts {
        assert_eq!(*ways.entry(draft.booth_number).or_insert(draft.via), draft.via);
    }
    let late = |hours: i64| share(&drafts, |draft| draft.report.occurred_at_ms < NOW_MS - hours * 3_600_000);
    near("more than an hour late", late(1), 0.6, 0.1);
    assert!(late(9) > 0.005 && late(9) < 0.05, "{}", late(9));
    assert!(late(100) < 0.001, "{}", late(100));
    let ahead = share(&drafts, |draft| draft.report.occurred_at_ms > NOW_MS + 3_600_000);
    near("more than an hour ahead", ahead, 0.0, 0.0);
}

#[test]
fn the_hot_account_gets_all_of_its_profile() {
    let hot = Arc::new(Population::with_hot_account(1, "demo", 5).unwrap());
    assert_eq!(hot.accounts()[0].booths, 500);
    let mut generator = Generator::new(GeneratorConfig::new(1, "r", Profile::HotAccount), hot);
    let drafts: Vec<Draft> = (0..10_000).map(|_| generator.next(NOW_MS).unwrap()).collect();
    assert!(drafts.iter().all(|draft| draft.report.account_id.as_str() == "acc_demo_001"));
    let booths: BTreeSet<u32> = drafts.iter().map(|draft| draft.booth_number).collect();
    assert_eq!(booths.len(), 500);
}

#[test]
fn as_many_booths_are_at_work_as_the_profile_says() {
    let population = population(200);
    let profiles = [
        (Profile::Weekday, 0.05),
        (Profile::Saturday, 0.60),
        (Profile::Nye, 0.95),
        (Profile::Reconnect, 1.0),
        (Profile::Stress, 1.0),
    ];
    for (profile, active) in profiles {
        let mut generator = Generator::new(GeneratorConfig::new(31, "r", profile), Arc::clone(&population));
        let booths: BTreeSet<u32> = (0..RECORDS).map(|_| generator.next(NOW_MS).unwrap().booth_number).collect();
        let share = booths.len() as f64 / f64::from(population.booths());
        near(profile.code(), share, active, 1.0 / f64::from(population.booths()));
        // And they are not one end of the fleet.
        let upper = booths.iter().filter(|booth| **booth >= population.booths() / 2).count();
        near("in the upper half", upper as f64 / booths.len() as f64, 0.5, 0.05);
    }
}

#[test]
fn one_booth_in_a_thousand_is_years_off_and_the_plan_says_what_becomes_of_it() {
    let years = |draft: &Draft| (draft.report.occurred_at_ms - NOW_MS) as f64 / DAY_MS as f64 / 365.0;
    for profile in [Profile::Weekday, Profile::Saturday, Profile::Nye, Profile::Reconnect] {
        near(profile.code(), profile.wrong_year_share(), 0.001, 0.0);
    }
    // given a large fleet on the profile's own share
    let large = Arc::new(Population::new(3, "many", 20_000).unwrap());
    let mut generator = Generator::new(GeneratorConfig::new(37, "r", Profile::Nye), large);
    let drafts: Vec<Draft> = (0..RECORDS).map(|_| generator.next(NOW_MS).unwrap()).collect();
    near("years off", share(&drafts, |draft| years(draft).abs() > 1.0), 0.001, 0.0004);
    assert_eq!(share(&drafts, |draft| draft.fault.is_some()), share(&drafts, |draft| years(draft).abs() > 1.0));
    // given a small one with more of them, on every way
    let mut config = GeneratorConfig::new(41, "r", Profile::Saturday);
    config.wrong_year_share = Some(0.1);
    config.kafka_share = 0.5;
    config.duplicate_share = Some(0.5);
    config.failure_share = 0.5;
    let mut generator = Generator::new(config, population(200));
    let drafts: Vec<Draft> = (0..20_000).map(|_| generator.next(NOW_MS).unwrap()).collect();
    let (mut wrong, mut right, mut seen) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for draft in &drafts {
        let off = years(draft);
        let expected = match (off.abs() > 1.0, draft.via) {
            (false, _) => {
                assert!(draft.fault.is_none() && off.abs() < 0.1, "{draft:?}");
                right.insert(draft.booth_number);
                continue;
            }
            (true, Via::Http) => (Expect::Refused, None),
            (true, _) if off < 0.0 => (Expect::DeadLetter, Some(Reason::TooOld)),
            (true, _) => (Expect::DeadLetter, Some(Reason::InFuture)),
        };
        assert_eq!((draft.expect, draft.reason), expected, "{draft:?}");
        assert!((1.9..5.1).contains(&off.abs()), "{off}");
        assert_eq!(draft.report.status, Status::Success);
        assert!(draft.then.is_none() && draft.duplicate_after.is_none(), "{draft:?}");
        wrong.insert(draft.booth_number);
        seen.insert((draft.via == Via::Http, off > 0.0));
    }
    assert_eq!(seen.len(), 4, "behind and ahead, on both ways");
    assert!(wrong.is_disjoint(&right), "a booth keeps its clock");
}

#[test]
fn rates_keep_their_mean_over_a_night() {
    for profile in [Profile::Weekday, Profile::Saturday, Profile::Nye, Profile::Reconnect, Profile::Stress] {
        let mean = (0..6_000).map(|tenth| profile.shape(f64::from(tenth) / 10.0)).sum::<f64>() / 6_000.0;
        near(profile.code(), mean, 1.0, 0.01);
    }
}

#[test]
fn every_fault_says_what_must_become_of_it() {
    let mut config = GeneratorConfig::new(17, "r", Profile::Stress);
    config.kafka_share = 0.5;
    config.fault_share = 0.2;
    let drafts = drafts(config, RECORDS);
    let mut reasons: BTreeMap<Reason, usize> = BTreeMap::new();
    let mut refused = 0;
    for draft in drafts.iter().flat_map(|draft| std::iter::once(draft).chain(draft.then.as_ref().map(|then| &*then.1)))
    {
        match (draft.expect, draft.reason) {
            (Expect::DeadLetter, Some(reason)) => *reasons.entry(reason).or_default() += 1,
            (Expect::Refused, None) => refused += 1,
            (Expect::Charge | Expect::Failed, None) => assert_eq!(draft.fault, None),
            wrong => panic!("{wrong:?}"),
        }
        if draft.fault.is_some_and(Fault::needs_kafka) {
            assert_ne!(draft.via, Via::Http);
        }
        if draft.fault.is_some() {
            assert_eq!(draft.duplicate_after, None, "its dead letters are counted");
        }
    }
    let all: BTreeSet<Reason> = Reason::ALL.iter().copied().filter(|reason| *reason != Reason::Internal).collect();
    assert_eq!(reasons.keys().copied().collect::<BTreeSet<_>>(), all);
    let each = RECORDS as f64 * 0.2 / 12.0;
    for (reason, count) in reasons {
        near(reason.code(), count as f64, each, each * 0.15);
    }
    near("refused", f64::from(refused), each, each * 0.15);
}

#[test]
fn faults_that_need_kafka_stay_away_without_it() {
    let mut config = GeneratorConfig::new(19, "r", Profile::Stress);
    config.fault_share = 0.5;
    let drafts = drafts(config, 5_000);
    assert!(drafts.iter().all(|draft| draft.via == Via::Http));
    assert!(drafts.iter().any(|draft| draft.fault.is_some()));
}

#[test]
fn every_good_record_passes_the_contract() {
    for draft in drafts(GeneratorConfig::new(23, "r", Profile::Saturday), 5_000) {
        let event = draft.report.encode().unwrap();
        let read = parse_structured(&event).unwrap_or_else(|error| panic!("{error}: {draft:?}"));
        assert_eq!(read.quantity, draft.report.quantity);
        assert!(event.len() < 600, "{}", event.len());
    }
}

#[test]
fn history_is_a_year_of_weekends_that_its_credit_pays_for() {
    let (population, book) = (population(30), book());
    let chunks = plan_history(29, &population, &book, (50_000, CreditBy::Purchase), NOW_MS);
    let again = plan_history(29, &population, &book, (50_000, CreditBy::Purchase), NOW_MS);
    let ids = |chunks: &[tollbooth_booth::fleet::Chunk]| -> Vec<(String, i64)> {
        let drafts = chunks.iter().flat_map(|chunk| &chunk.drafts);
        drafts.map(|draft| (draft.report.id.clone(), draft.report.occurred_at_ms)).collect()
    };
    assert_eq!(ids(&chunks), ids(&again), "the same again");
    let drafts: Vec<&Draft> = chunks.iter().flat_map(|chunk| &chunk.drafts).collect();
    assert_eq!(drafts.len(), 50_000);
    assert_eq!(drafts.iter().map(|draft| &draft.report.id).collect::<BTreeSet<_>>().len(), 50_000);
    let (first, last) = (drafts[0].report.occurred_at_ms, drafts[49_999].report.occurred_at_ms);
    assert!(first > NOW_MS - 366 * DAY_MS && first < NOW_MS - 355 * DAY_MS);
    assert!(last < NOW_MS && last > NOW_MS - 10 * DAY_MS);
    // 1970-01-01 was a Thursday. Evenings in America reach into the next day in UTC: count from noon to noon.
    let weekend = |draft: &&&Draft| matches!(((draft.report.occurred_at_ms / DAY_MS) + 4) % 7, 0 | 5 | 6);
    let weekend = drafts.iter().filter(weekend).count() as f64 / 50_000.0;
    assert!(weekend > 0.7, "{weekend}");
    let parties: BTreeSet<_> = drafts.iter().map(|draft| draft.report.event_id.clone()).collect();
    assert!(parties.len() > 300, "{}", parties.len());
    // Credits stand before what they pay for, and nobody goes below zero.
    let mut balances: BTreeMap<String, i64> = BTreeMap::new();
    for chunk in &chunks {
        for top_up in &chunk.top_ups {
            *balances.entry(top_up.account_id.to_string()).or_default() += top_up.amount.micros();
        }
        for draft in &chunk.drafts {
            if draft.report.status == Status::Success {
                let balance = balances.get_mut(draft.report.account_id.as_str()).unwrap();
                *balance -= most_expensive_micros(&book, draft);
                assert!(*balance >= 0, "{draft:?}");
            }
        }
    }
}

#[test]
fn nobody_buys_in_the_past_and_everybody_has_bought_this_month() {
    // given histories that end within a month, and in its first minute
    let (population, book) = (population(30), book());
    let month_begins = Utc.with_ymd_and_hms(2026, 11, 1, 0, 1, 0).unwrap().timestamp_millis();
    for anchor_ms in [NOW_MS, month_begins] {
        let chunks = plan_history(29, &population, &book, (20_000, CreditBy::Purchase), anchor_ms);
        let top_ups: Vec<&TopUp> = chunks.iter().flat_map(|chunk| &chunk.top_ups).collect();
        // then what is dated back is adjusted
        let (bought, given): (Vec<&TopUp>, Vec<&TopUp>) =
            top_ups.iter().copied().partition(|top_up| top_up.by == CreditBy::Purchase);
        assert!(bought.iter().all(|top_up| top_up.occurred_at_ms.is_none()));
        assert!(given.iter().all(|top_up| top_up.occurred_at_ms.is_some_and(|at_ms| at_ms < anchor_ms)));
        // and each account has bought once, as much as a purchase is at least
        let buyers: BTreeSet<&AccountId> = bought.iter().map(|top_up| &top_up.account_id).collect();
        assert_eq!((bought.len(), buyers.len()), (30, 30));
        assert!(bought.iter().all(|top_up| top_up.amount >= "100".parse().unwrap()));
        // and no two are one request
        let keys: BTreeSet<&str> = top_ups.iter().map(|top_up| top_up.idempotency_key.as_str()).collect();
        assert_eq!(keys.len(), top_ups.len());
    }
}

#[test]
fn what_is_left_of_a_month_is_spent_in_the_next() {
    // given a history whose credit is all for work
    let (population, book) = (population(30), book());
    let chunks = plan_history(29, &population, &book, (50_000, CreditBy::Adjustment), NOW_MS);
    let mut left: BTreeMap<&AccountId, i64> = BTreeMap::new();
    for chunk in &chunks {
        for top_up in &chunk.top_ups {
            *left.entry(&top_up.account_id).or_default() += top_up.amount.micros();
        }
        for draft in &chunk.drafts {
            *left.entry(&draft.report.account_id).or_default() -= most_expensive_micros(&book, draft);
        }
    }
    // then at its end an account has less than it buys at once, or what it bought this month
    for (account, micros) in left {
        assert!((0..=150_000_000).contains(&micros), "{account}: {micros}");
    }
}

fn most_expensive_micros(book: &PriceBook, draft: &Draft) -> i64 {
    let report = &draft.report;
    let row = book.prices.iter().find(|price| {
        price.service == report.service
            && price.engine == report.engine
            && price.variant.as_deref() == report.variant.as_deref()
    });
    let unit = row.unwrap().plans[draft.plan];
    unit.micros() * (report.quantity.micros() / 1_000) / 1_000
}

#[test]
fn top_ups_keep_ahead_of_what_is_burned() {
    let config = TopUpConfig::default();
    let dollars = |text: &str| text.parse::<Money>().unwrap();
    let amount =
        |available: &str, burned: &str| top_up_amount(&config, dollars(available).micros(), dollars(burned).micros());
    assert_eq!(amount("20", "0"), None);
    assert_eq!(amount("19.99", "0"), Some(dollars("100")));
    assert_eq!(amount("30", "4.99"), None);
    assert_eq!(amount("30", "5.01"), Some(dollars("100")), "two more such looks and it is below");
    assert_eq!(amount("500", "300"), Some(dollars("1500")));
    assert_eq!(amount("-70.01", "0"), Some(dollars("100")));
    assert_eq!(amount("-90.01", "0"), Some(dollars("150")));
    // Of a purchase not more than is sold at once.
    assert_eq!(amount("0", "3000"), Some(dollars("15050")));
    let config = TopUpConfig { by: CreditBy::Purchase, ..config };
    assert_eq!(top_up_amount(&config, 0, dollars("3000").micros()), Some(dollars("10000")));
}
