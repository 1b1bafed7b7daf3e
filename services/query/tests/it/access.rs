//! Who may read what.

use serde_json::Value;
use tollbooth_schemas::keys::KeyKind;

use crate::stand::{Ledger, Stand, partition_of, until};

#[tokio::test(flavor = "multi_thread")]
async fn an_account_key_reads_its_own_account_and_sees_no_other() {
    // given two accounts, a key of one, and a booth's key
    let stand = Stand::new().await;
    for account in ["acc_luna", "acc_sol"] {
        assert!((0..4).contains(&partition_of(account)));
        stand.post(&Ledger::open(account).records);
    }
    let own = stand.issue(KeyKind::Account, "acc_luna", 1);
    let booth = stand.issue(KeyKind::Booth, "acc_luna", 2);
    let query = stand.query().await;
    let known = async || query.get_with("/v1/accounts/acc_luna/balance", Some(booth.reveal())).await.status == 403;
    until("the keys are known", known).await;

    for route in ["balance", "transactions", "usage", "events/evt_gala/usage"] {
        let get = async |account: &str, key: Option<&str>| {
            query.get_with(&format!("/v1/accounts/{account}/{route}"), key).await
        };
        // when and then
        assert_eq!(get("acc_luna", Some(own.reveal())).await.status, 200, "{route}");
        assert_eq!(get("acc_sol", Some(query.key.as_str())).await.status, 200, "{route}");
        let (foreign, missing) =
            (get("acc_sol", Some(own.reveal())).await, get("acc_nobody", Some(own.reveal())).await);
        assert_eq!((foreign.status.as_u16(), missing.status.as_u16()), (404, 404), "{route}");
        // Another's account looks exactly as none.
        let without_id = |body: &Value| {
            let mut body = body.clone();
            body["request_id"] = Value::Null;
            body
        };
        assert_eq!(without_id(&foreign.body), without_id(&missing.body));
        assert_eq!(get("acc_luna", Some(booth.reveal())).await.status, 403, "{route}");
        for key in [None, Some("tb_sk_live_x"), Some("nonsense")] {
            assert_eq!(get("acc_luna", key).await.status, 401, "{route} {key:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_is_a_problem() {
    let stand = Stand::new().await;
    let query = stand.query().await;
    let missing = query.get("/v1/nothing").await;
    assert_eq!((missing.status.as_u16(), &missing.body["code"]), (404, &Value::from("not_found")));
    assert_eq!(query.get("/v1/accounts/nonsense/balance").await.status, 404);
    assert_eq!(query.get("/v1/accounts/acc_x/events/nonsense/usage").await.status, 404);
}
