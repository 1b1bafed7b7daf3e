//! The CSV file.

use tollbooth_schemas::v1::UsageStatus;
use tollbooth_schemas::v1::entry::Kind;

use crate::stand::{BASE_MS, Ledger, Query, Stand, usage};

async fn file(query: &Query, path: &str) -> (reqwest::header::HeaderMap, Vec<String>) {
    let response = query.fetch(path, Some(&query.key)).await;
    assert_eq!(response.status(), 200);
    let headers = response.headers().clone();
    let text = response.text().await.unwrap();
    assert!(text.ends_with("\r\n"));
    (headers, text.split_terminator("\r\n").map(str::to_owned).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_holds_every_row_once_across_its_pieces_and_the_seam() {
    // given an account of several pieces, the newest entries of which ClickHouse does not have
    let stand = Stand::new().await;
    let mut luna = Ledger::open("acc_luna");
    for _ in 0..50 {
        let entries = (0..100).map(|_| (usage("sms", "sms_intl", UsageStatus::Success, 1), -10_000, BASE_MS)).collect();
        luna.push(entries);
    }
    stand.post(&luna.records);
    stand.sink(&luna.records[..45]).await;
    let mut config = stand.config();
    config.live.recent_entries_per_account_max = 800;
    let query = Query::start(config, &stand.admin_key).await;

    // when
    let (headers, lines) = file(&query, "/v1/accounts/acc_luna/transactions.csv").await;

    // then
    let seqs: Vec<u64> = lines[1..].iter().map(|line| line.split(',').nth(1).unwrap().parse().unwrap()).collect();
    assert_eq!(seqs, (2..=5_002).rev().collect::<Vec<u64>>());
    assert!(headers["content-type"].to_str().unwrap().starts_with("text/csv"));
    assert_eq!(headers["content-disposition"], "attachment; filename=\"transactions-acc_luna.csv\"");
    assert!(!headers.contains_key("tollbooth-as-of-seq"));

    // and it is narrowed as the list is
    let (_, none) = file(&query, "/v1/accounts/acc_luna/transactions.csv?service=ai_modify").await;
    assert_eq!(none.len(), 1);
    let (_, credit) = file(&query, "/v1/accounts/acc_luna/transactions.csv?type=adjustment").await;
    assert_eq!(credit.len(), 2);
    assert!(query.fetch("/v1/accounts/acc_luna/transactions.csv?type=x", Some(&query.key)).await.status() == 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_can_be_opened_in_a_spreadsheet() {
    // given an operation id that a spreadsheet would carry out
    let stand = Stand::new().await;
    let mut luna = Ledger::open("acc_luna");
    let mut kind = usage("ai_modify", "kling", UsageStatus::Success, 1);
    if let Kind::Usage(usage) = &mut kind {
        usage.operation_id = "=HYPERLINK(\"http://x\",\"y\")".to_owned();
    }
    luna.push(vec![(kind, -12_500, BASE_MS)]);
    stand.post(&luna.records);
    let query = stand.query().await;

    // when
    let (_, lines) = file(&query, "/v1/accounts/acc_luna/transactions.csv?tz=Asia/Kathmandu").await;

    // then it is a text, amounts are numbers, and both times are there
    assert!(lines[1].contains("\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\""), "{}", lines[1]);
    assert!(lines[1].contains(",-0.0125,999.9875,USD,"), "{}", lines[1]);
    assert!(lines[1].contains(",2026-10-20T00:00:00.000Z,2026-10-20T05:45:00.000+05:45,"), "{}", lines[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_finished_breaks_off() {
    // given an account of which ClickHouse loses rows while a file is under way
    let stand = Stand::new().await;
    let mut luna = Ledger::open("acc_luna");
    for _ in 0..120 {
        let entries = (0..1_000).map(|_| (usage("sms", "sms_intl", UsageStatus::Success, 1), -1, BASE_MS)).collect();
        luna.push(entries);
    }
    stand.post(&luna.records);
    stand.sink(&luna.records).await;
    let mut config = stand.config();
    config.live.recent_entries_per_account_max = 1_000;
    let query = Query::start(config, &stand.admin_key).await;
    let mut response = query.fetch("/v1/accounts/acc_luna/transactions.csv", Some(&query.key)).await;
    assert!(response.chunk().await.unwrap().is_some());

    // when the table is gone before the rest was read
    stand.clickhouse.query_raw("DROP TABLE ledger SYNC").execute().await.unwrap();

    // then the file does not end as a whole one does
    let mut outcome = Ok(Some(bytes::Bytes::new()));
    while let Ok(Some(_)) = outcome {
        outcome = response.chunk().await;
    }
    assert!(outcome.is_err(), "the file seems to be whole");
}

/// An account of 5,002 entries, of which ClickHouse has 902 and memory the newest 3,000: what lies between is in neither.
async fn far_behind(min_seq_wait_ms: u64) -> (Stand, Ledger, Query) {
    let stand = Stand::new().await;
    let mut luna = Ledger::open("acc_luna");
    for _ in 0..50 {
        let entries = (0..100).map(|_| (usage("sms", "sms_intl", UsageStatus::Success, 1), -10_000, BASE_MS)).collect();
        luna.push(entries);
    }
    stand.post(&luna.records);
    stand.sink(&luna.records[..10]).await;
    let mut config = stand.config();
    config.live.recent_entries_per_account_max = 3_000;
    config.live.min_seq_wait_ms = min_seq_wait_ms;
    let query = Query::start(config, &stand.admin_key).await;
    query.ok("/v1/accounts/acc_luna/balance?min_seq=5002").await;
    (stand, luna, query)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_history_stays_behind_breaks_off_instead_of_leaving_entries_out() {
    // given
    let (stand, luna, query) = far_behind(300).await;

    // when the file is begun from memory and the sink does not come
    let mut response = query.fetch("/v1/accounts/acc_luna/transactions.csv", Some(&query.key)).await;
    assert_eq!(response.status(), 200);
    let mut outcome = Ok(Some(bytes::Bytes::new()));
    while let Ok(Some(_)) = outcome {
        outcome = response.chunk().await;
    }

    // then it does not end as a whole one does
    assert!(outcome.is_err(), "the file seems to be whole");

    // and later it is whole
    stand.sink(&luna.records[10..]).await;
    stand.commit_all().await;
    let (_, lines) = file(&query, "/v1/accounts/acc_luna/transactions.csv").await;
    assert_eq!(lines.len(), 1 + 5_001);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_waits_for_the_history_that_it_joins_on_to() {
    // given a file that is begun from memory
    let (stand, luna, query) = far_behind(30_000).await;
    let mut response = query.fetch("/v1/accounts/acc_luna/transactions.csv", Some(&query.key)).await;
    let mut text = response.chunk().await.unwrap().unwrap().to_vec();

    // when the sink catches up meanwhile
    stand.sink(&luna.records[10..]).await;
    stand.commit_all().await;

    // then every row is there once
    while let Some(chunk) = response.chunk().await.unwrap() {
        text.extend_from_slice(&chunk);
    }
    let text = String::from_utf8(text).unwrap();
    let lines = text.split_terminator("\r\n").skip(1);
    let seqs: Vec<u64> = lines.map(|line| line.split(',').nth(1).unwrap().parse().unwrap()).collect();
    assert_eq!(seqs, (2..=5_002).rev().collect::<Vec<u64>>());
}
