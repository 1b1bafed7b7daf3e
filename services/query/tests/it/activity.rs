//! Activity pages: the seam, filters, cursors.

use serde_json::Value;
use tollbooth_schemas::topics::SINK_OFFSETS_GROUP;
use tollbooth_schemas::v1::entry::Kind;
use tollbooth_schemas::v1::{
    BonusGranted, HoldPlaced, PlanChanged, PlanFee, Repriced, Reversal, ReversalCause, Usage, UsageStatus,
};

use crate::stand::{BASE_MS, Ledger, Query, Stand, usage};

fn seqs(list: &Value) -> Vec<u64> {
    list["data"].as_array().unwrap().iter().map(|row| row["seq"].as_u64().unwrap()).collect()
}

/// All pages of a list, one after the other.
async fn walk(query: &Query, path: &str) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut cursor = String::new();
    for _ in 0..1_000 {
        let page = query.ok(&format!("{path}{cursor}")).await;
        rows.extend(page["data"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => {
                assert_eq!(page["has_more"], false);
                return rows;
            }
        }
        assert_eq!(page["has_more"], true);
    }
    panic!("the list does not end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_whole_over_months_and_their_ends() {
    // given an account of half a year, all of it in ClickHouse: an entry every nine days, and a busy night at its end, in the
    // second half of which something is done again that was only done early
    let stand = Stand::new().await;
    let mut luna = Ledger::open("acc_luna");
    let work = |service: &str| usage(service, "kling", UsageStatus::Success, 1);
    for number in 0..20_i64 {
        let service = if number % 4 == 0 { "background_removal" } else { "ai_modify" };
        luna.push(vec![(work(service), -10_000, BASE_MS + number * 9 * 86_400_000)]);
    }
    let night_ms = BASE_MS + 20 * 9 * 86_400_000;
    for record in 0..70 {
        let service = |number| if record >= 40 && number == 0 { "background_removal" } else { "sms" };
        luna.push((0..100).map(|number| (work(service(number)), -10_000, night_ms)).collect());
    }
    let newest = 2 + 20 + 7_000;
    stand.post(&luna.records);
    stand.sink(&luna.records).await;
    let query = stand.query().await;

    // when it is walked in pages for which the night alone is looked at first, and in larger ones, twice: what is kept of
    // the first time is what was read
    for limit in [63, 200, 63] {
        let rows = walk(&query, &format!("/v1/accounts/acc_luna/transactions?limit={limit}")).await;
        // then no page lacks anything
        let walked: Vec<u64> = rows.iter().map(|row| row["seq"].as_u64().unwrap()).collect();
        assert_eq!(walked, (2..=newest).rev().collect::<Vec<u64>>(), "{limit}");
    }
    // and neither does one of what lies in the night and long before it, or only long before it
    for limit in [60, 200, 60] {
        for (filter, count) in [("service=background_removal", 35), ("q=background", 35), ("q=modify", 15)] {
            let rows = walk(&query, &format!("/v1/accounts/acc_luna/transactions?{filter}&limit={limit}")).await;
            assert_eq!(rows.len(), count, "{filter} {limit}");
            assert!(rows.is_sorted_by_key(|row| std::cmp::Reverse(row["seq"].as_u64())), "{filter} {limit}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_and_clickhouse_join_without_gap_or_double_wherever_the_seam_is() {
    // given accounts of 30 entries, of which ClickHouse has the first 0, 1, 2 ... 30, and a service that began when
    // ClickHouse had the first 10
    let stand = Stand::new().await;
    let mut accounts = Vec::new();
    for sunk in 0..=30_usize {
        let mut ledger = Ledger::open(&format!("acc_{sunk}"));
        ledger.charge(28);
        stand.post(&ledger.records);
        // The first record holds two entries: the account cannot be sunk up to the first alone.
        stand.sink(&ledger.records[..sunk.saturating_sub(1)]).await;
        accounts.push(ledger);
    }
    let query = stand.query().await;

    // when the whole list is walked in pages of several sizes
    let expected: Vec<u64> = (2..=30).rev().collect();
    let mut pages: Vec<Vec<Value>> = Vec::new();
    for ledger in &accounts {
        for limit in [1, 7, 29, 50] {
            let path = format!("/v1/accounts/{}/transactions?limit={limit}", ledger.account);
            let rows = walk(&query, &path).await;
            // then it is the ledger
            assert_eq!(rows.iter().map(|row| row["seq"].as_u64().unwrap()).collect::<Vec<_>>(), expected, "{path}");
            pages.push(rows);
        }
    }
    // and a row looks the same wherever it was read: the fields do not depend on the seam
    let strip = |rows: &[Value]| -> Vec<Value> {
        rows.iter()
            .map(|row| {
                let mut row = row.clone();
                row["entry_id"] = Value::Null;
                row
            })
            .collect()
    };
    for rows in &pages {
        assert_eq!(strip(rows), strip(&pages[0]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_from_clickhouse_is_the_row_from_memory() {
    // given an account that is only in ClickHouse
    let stand = Stand::new().await;
    let mut luna = Ledger::open("acc_luna");
    luna.push(vec![
        (usage("ai_modify", "nano_banana_2", UsageStatus::Success, 1), -200_000, BASE_MS + 123),
        (usage("sms", "sms_intl", UsageStatus::Failed, 2), 0, BASE_MS + 456),
    ]);
    stand.post(&luna.records);
    let from_memory = stand.query().await.ok("/v1/accounts/acc_luna/transactions?include=all").await;
    stand.sink(&luna.records).await;
    stand.commit_all().await;

    // when a service that has nothing in memory is asked
    let from_clickhouse = stand.query().await.ok("/v1/accounts/acc_luna/transactions?include=all").await;

    // then
    assert_eq!(from_memory, from_clickhouse);
    insta::assert_json_snapshot!(from_clickhouse);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_memory_does_not_reach_clickhouse_the_answer_says_as_of_when() {
    // given 40 entries, 20 of them in ClickHouse, the newest 10 in memory
    let stand = Stand::new().await;
    let mut luna = Ledger::open("acc_luna");
    luna.charge(38);
    stand.post(&luna.records);
    stand.sink(&luna.records[..19]).await;
    let mut config = stand.config();
    config.live.recent_entries_per_account_max = 10;
    let query = Query::start(config, &stand.admin_key).await;

    // when a page fits into memory, and when it does not
    let short = query.ok("/v1/accounts/acc_luna/transactions?limit=5").await;
    let long = query.ok("/v1/accounts/acc_luna/transactions?limit=15").await;

    // then the second shows the past, without a gap, and says so
    assert_eq!((seqs(&short), &short["as_of_seq"]), ((36..=40).rev().collect(), &Value::Null));
    assert_eq!((seqs(&long), long["as_of_seq"].as_u64()), ((6..=20).rev().collect(), Some(20)));
    assert_eq!(query.ok("/v1/accounts/acc_luna/balance").await["seq"], 40);

    // and once ClickHouse has the rest, the list is whole
    stand.sink(&luna.records[19..]).await;
    let whole = query.ok("/v1/accounts/acc_luna/transactions?limit=200").await;
    assert_eq!((seqs(&whole), &whole["as_of_seq"]), ((2..=40).rev().collect(), &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_cannot_join_on_to_the_one_before_is_not_answered() {
    // given 40 entries, 20 of them in ClickHouse, the newest 10 in memory, and a first page from memory
    let stand = Stand::new().await;
    let mut luna = Ledger::open("acc_luna");
    luna.charge(38);
    stand.post(&luna.records);
    stand.sink(&luna.records[..19]).await;
    let mut config = stand.config();
    config.live.recent_entries_per_account_max = 10;
    let query = Query::start(config, &stand.admin_key).await;
    let first = query.ok("/v1/accounts/acc_luna/transactions?limit=5").await;
    assert_eq!(seqs(&first), (36..=40).rev().collect::<Vec<_>>());

    // when the next one would begin where ClickHouse ends
    let next = format!("/v1/accounts/acc_luna/transactions?limit=8&cursor={}", first["next_cursor"].as_str().unwrap());
    let refused = query.get(&next).await;

    // then it is refused, to be asked for again
    assert_eq!((refused.status.as_u16(), &refused.body["code"]), (503, &Value::from("unavailable")));
    assert!(refused.headers.contains_key("retry-after"));

    // and once ClickHouse has what was missing it joins on
    stand.sink(&luna.records[19..]).await;
    assert_eq!(seqs(&query.ok(&next).await), (28..=35).rev().collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_behind_the_sinks_offsets_hides_no_gap() {
    // given a sink that has committed 40 entries, and a replica of ClickHouse that has 20 of them
    let stand = Stand::new().await;
    let mut luna = Ledger::open("acc_luna");
    luna.charge(38);
    stand.post(&luna.records);
    stand.sink(&luna.records[..19]).await;
    let mut config = stand.config();
    config.live.recent_entries_per_account_max = 10;
    let query = Query::start(config, &stand.admin_key).await;
    query.ok("/v1/accounts/acc_luna/balance?min_seq=40").await;
    stand.write_ranges(0).await;
    stand.commit_offsets(SINK_OFFSETS_GROUP);

    // when pages are asked for that begin in memory, in ClickHouse, and in what an index narrows
    for (filter, found) in [("", 6..=20), ("&q=ai_modify", 6..=20), ("&event_id=evt_gala", 6..=20)] {
        let page = query.ok(&format!("/v1/accounts/acc_luna/transactions?limit=15{filter}")).await;
        // then each shows the account as of what the replica has
        assert_eq!((seqs(&page), page["as_of_seq"].as_u64()), (found.rev().collect(), Some(20)), "{filter}");
    }
}

/// 30 pieces of work in as many hours, every fifth of which failed, of two variants, on one plan and then on another; and
/// behind them one entry of each other kind that has a plan or a variant, of another service and of no event, and a bonus.
fn of_many_kinds(account: &str) -> Ledger {
    let mut ledger = Ledger::open(account);
    for number in 0..30_u64 {
        let (service, engine) = [("ai_modify", "kling"), ("sms", "sms_intl"), ("ai_combine", "kling")]
            [usize::try_from(number % 3).unwrap()];
        let status = if number % 5 == 0 { UsageStatus::Failed } else { UsageStatus::Success };
        let mut kind = usage(service, engine, status, number);
        if let Kind::Usage(usage) = &mut kind {
            usage.variant = if number % 2 == 0 { "1k" } else { "4k" }.to_owned();
            usage.plan = if number < 20 { "basic" } else { "pro" }.to_owned();
        }
        let amount = if status == UsageStatus::Failed { 0 } else { -10_000 };
        ledger.push(vec![(kind, amount, BASE_MS + number.cast_signed() * 3_600_000)]);
    }
    let text = str::to_owned;
    let (service, engine, plan, variant) = (text("print"), text("inkjet"), text("pro"), text("4k"));
    let charge = Usage {
        status: UsageStatus::Success.into(),
        service: service.clone(),
        engine: engine.clone(),
        plan: plan.clone(),
        variant: variant.clone(),
        ..Usage::default()
    };
    let refund = Reversal {
        cause: ReversalCause::Refund.into(),
        service: service.clone(),
        engine: engine.clone(),
        plan: plan.clone(),
        variant: variant.clone(),
        ..Reversal::default()
    };
    let hold = HoldPlaced { service, engine, plan: plan.clone(), variant, ..HoldPlaced::default() };
    let others = [
        (Kind::Reversal(refund), 5_000),
        (Kind::Repriced(Repriced { charge: Some(Box::new(charge)), ..Repriced::default() }), -5_000),
        (Kind::PlanFee(PlanFee { plan: plan.clone(), ..PlanFee::default() }), -79_000_000),
        (Kind::PlanFee(PlanFee { plan: text("basic"), ..PlanFee::default() }), 0),
        (Kind::PlanChanged(PlanChanged { plan, ..PlanChanged::default() }), 0),
        (Kind::HoldPlaced(hold), 0),
        (Kind::BonusGranted(BonusGranted::default()), 1_000_000),
    ];
    ledger.push(others.map(|(kind, amount)| (kind, amount, BASE_MS + 40 * 3_600_000)).to_vec());
    ledger
}

/// Filters, and how many entries of [`of_many_kinds`] pass each.
const FILTERS: &[(&str, usize)] = &[
    ("", 35),
    ("&include=all", 39),
    ("&service=sms", 10),
    ("&service=sms,ai_modify&engine=kling", 10),
    ("&engine=kling", 20),
    ("&variant=4k", 17),
    ("&variant=1k,4k", 32),
    ("&variant=4k&include=all", 18),
    ("&plan=pro", 13),
    ("&plan=pro&include=all", 15),
    ("&plan=basic&include=all", 22),
    ("&plan=pro&type=plan_changed,hold_placed", 2),
    ("&plan=basic&variant=1k&status=failed", 2),
    ("&plan=pro&event_id=evt_gala", 10),
    ("&plan=none", 0),
    ("&status=failed", 6),
    ("&status=success", 29),
    ("&type=adjustment", 1),
    ("&type=consume,account_opened", 31),
    ("&event_id=evt_gala", 30),
    ("&event_id=evt_other", 0),
    ("&booth_id=bth_17&status=failed", 6),
    ("&from=2026-10-20T10:00:00Z&to=2026-10-20T12:00:00Z", 2),
    // New York's 20 October begins at 04:00 UTC.
    ("&from=2026-10-20&to=2026-10-21", 24),
    ("&from=2026-10-20&to=2026-10-21&tz=UTC", 25),
];

#[tokio::test(flavor = "multi_thread")]
async fn filters_mean_the_same_in_memory_and_in_clickhouse() {
    // given the same entries in memory only and in ClickHouse only
    let stand = Stand::new().await;
    let ledgers = ["acc_memory", "acc_rows"].map(of_many_kinds);
    stand.post(&ledgers[1].records);
    stand.sink(&ledgers[1].records).await;
    stand.commit_all().await;
    stand.post(&ledgers[0].records);
    let query = stand.query().await;

    for (filter, count) in FILTERS {
        // when
        let mut lists = Vec::new();
        for account in ["acc_memory", "acc_rows"] {
            lists.push(walk(&query, &format!("/v1/accounts/{account}/transactions?limit=9{filter}")).await);
        }
        // then
        let numbers = |list: &[Value]| list.iter().map(|row| row["seq"].clone()).collect::<Vec<_>>();
        assert_eq!(numbers(&lists[0]), numbers(&lists[1]), "{filter}");
        assert_eq!(lists[0].len(), *count, "{filter}");
    }
    // and so in an event's list, and in a file
    for account in ["acc_memory", "acc_rows"] {
        let of_event = format!("/v1/accounts/{account}/events/evt_gala/transactions?limit=9&plan=pro&variant=4k");
        assert_eq!(walk(&query, &of_event).await.len(), 5, "{account}");
        let file = format!("/v1/accounts/{account}/transactions.csv?variant=4k");
        let file = query.fetch(&file, Some(&query.key)).await.text().await.unwrap();
        assert_eq!(file.lines().count(), 1 + 17, "{account}");
    }
    let found = query.ok("/v1/accounts/acc_rows/transactions?q=OP_7").await;
    assert_eq!(found["data"][0]["operation_id"], "op_7");
    assert_eq!(seqs(&query.ok("/v1/accounts/acc_rows/transactions?q=kling+gala+op_29").await), [32]);
    assert!(seqs(&query.ok("/v1/accounts/acc_rows/transactions?q=%25").await).is_empty());
    assert_eq!(seqs(&query.ok("/v1/accounts/acc_rows/transactions?q=gala&plan=pro&variant=4k").await).len(), 5);
    // A part of a word is enough: op_2, and op_20 to op_29.
    assert_eq!(seqs(&query.ok("/v1/accounts/acc_rows/transactions?q=p_2").await).len(), 11);
    // A search is as current as ClickHouse.
    let unsunk = query.ok("/v1/accounts/acc_memory/transactions?q=kling").await;
    assert_eq!((seqs(&unsunk).len(), unsunk["as_of_seq"].as_u64()), (0, Some(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_finds_letters_beyond_ascii_as_they_are_written() {
    // given an operation whose id a booth made of such letters
    let stand = Stand::new().await;
    let mut luna = Ledger::open("acc_luna");
    let mut kind = usage("ai_modify", "kling", UsageStatus::Success, 1);
    if let Kind::Usage(usage) = &mut kind {
        usage.operation_id = "FÊTE-Ünal-7".to_owned();
    }
    luna.push(vec![(kind, -10_000, BASE_MS)]);
    stand.post(&luna.records);
    stand.sink(&luna.records).await;
    let query = stand.query().await;

    // when it is searched for, then ASCII letters match in any case, others in their own
    for (q, found) in [("FÊTE", 1), ("fÊte", 1), ("Ünal-7", 1), ("ÜNAL", 1), ("fête", 0), ("ünal", 0)] {
        let list = query.ok(&format!("/v1/accounts/acc_luna/transactions?q={q}")).await;
        assert_eq!(seqs(&list).len(), found, "{q}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_belongs_to_its_list_and_cannot_be_made_up() {
    // given a list with a second page
    let stand = Stand::new().await;
    let (mut luna, mut sol) = (Ledger::open("acc_luna"), Ledger::open("acc_sol"));
    luna.charge(20);
    sol.charge(20);
    stand.post(&luna.records);
    stand.post(&sol.records);
    let query = stand.query().await;
    let first = query.ok("/v1/accounts/acc_luna/transactions?limit=5").await;
    let cursor = first["next_cursor"].as_str().unwrap().to_owned();

    // when it is used as it is, with another page size, and with anything else changed
    let again = query.ok(&format!("/v1/accounts/acc_luna/transactions?limit=3&cursor={cursor}")).await;
    assert_eq!(seqs(&again), [17, 16, 15]);
    let mut forged = cursor.clone().into_bytes();
    forged[20] = if forged[20] == b'A' { b'B' } else { b'A' };
    let forged = String::from_utf8(forged).unwrap();
    for (account, rest) in [
        ("acc_sol", format!("cursor={cursor}")),
        ("acc_luna", format!("cursor={cursor}&service=sms")),
        ("acc_luna", format!("cursor={forged}")),
        ("acc_luna", format!("cursor={}", &cursor[1..])),
        ("acc_luna", "cursor=5".to_owned()),
        ("acc_luna", "cursor=%27%20OR%201%3D1".to_owned()),
    ] {
        let refused = query.get(&format!("/v1/accounts/{account}/transactions?{rest}")).await;
        // then
        assert_eq!((refused.status.as_u16(), &refused.body["code"]), (400, &Value::from("bad_cursor")), "{rest}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_parameters_are_refused_by_name() {
    let stand = Stand::new().await;
    stand.post(&Ledger::open("acc_luna").records);
    let query = stand.query().await;
    for (parameter, code) in [
        ("limit=0", "bad_parameter"),
        ("limit=201", "bad_parameter"),
        ("page=2", "unknown_parameter"),
        ("status=maybe", "bad_parameter"),
        ("from=yesterday", "bad_parameter"),
        ("tz=EST", "bad_parameter"),
        ("limit=1&limit=2", "bad_parameter"),
    ] {
        let refused = query.get(&format!("/v1/accounts/acc_luna/transactions?{parameter}")).await;
        assert_eq!((refused.status.as_u16(), &refused.body["code"]), (400, &Value::from(code)), "{parameter}");
        assert_eq!(refused.headers["content-type"], "application/problem+json");
        assert_eq!(refused.body["errors"][0]["pointer"], parameter.split('=').next().unwrap());
    }
}
