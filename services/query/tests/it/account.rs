//! What an account is.

use serde_json::json;
use tollbooth_schemas::v1::PlanChanged;
use tollbooth_schemas::v1::entry::Kind;

use crate::stand::{BASE_MS, Ledger, Stand};

#[tokio::test(flavor = "multi_thread")]
async fn an_account_says_what_it_is_called_and_what_it_pays() {
    // given an account whose plan was changed, and one whose plan will be
    let stand = Stand::new().await;
    let (mut luna, mut sol) = (Ledger::open("acc_luna"), Ledger::open("acc_sol"));
    let change = |effective_at_ms| Kind::PlanChanged(PlanChanged { plan: "pro".to_owned(), effective_at_ms });
    luna.push(vec![(change(1_000), 0, BASE_MS)]);
    sol.push(vec![(change(7_000_000_000_000), 0, BASE_MS)]);
    for ledger in [&luna, &sol] {
        stand.post(&ledger.records);
        stand.sink(&ledger.records).await;
    }
    let from_memory = stand.query().await;

    // when it is asked of a process that has read the ledger, and of one that has it from ClickHouse
    stand.commit_all().await;
    let from_clickhouse = stand.query().await;

    // then both say the same
    for query in [&from_memory, &from_clickhouse] {
        let account = query.ok("/v1/accounts/acc_luna").await;
        assert_eq!(
            account,
            json!({"account_id": "acc_luna", "name": "Luna", "currency": "USD", "time_zone": "America/New_York",
                   "opened_at": "2026-10-20T00:00:01.000Z", "seq": 3,
                   "plan": {"code": "pro", "name": "pro", "effective_from": "2026-10-20T00:00:01.000Z", "in_force": true}})
        );
        assert_eq!(query.ok("/v1/accounts/acc_sol").await["plan"]["in_force"], false);
        assert_eq!(query.get("/v1/accounts/acc_nobody").await.status, 404);
    }
}
