//! Purchases and plan fees.

use tollbooth_schemas::{
    ledger::EntryType,
    v1::{
        Accepted, ChangePlan, PostPlanFee, PostPurchase, PreparePurchase, PurchaseSource, command::Body, entry::Kind,
    },
};

use crate::harness::{Partition, accepted, book, kind_of, money, refused, sample_book};

fn purchase(payment_id: &str, amount: &str, source: PurchaseSource) -> Body {
    Body::PostPurchase(PostPurchase {
        payment_id: payment_id.to_owned(),
        provider: "sandbox".to_owned(),
        amount_micros: money(amount).micros(),
        source: source.into(),
    })
}

pub(crate) fn fee(period: &str) -> Body {
    Body::PostPlanFee(PostPlanFee { period: period.to_owned() })
}

#[test]
fn a_purchase_raises_the_balance_and_says_what_caused_it() {
    let mut partition = Partition::open();
    let answer = accepted(partition.command("payment:pay_1", purchase("pay_1", "50", PurchaseSource::Manual)));
    assert_eq!((answer.amount_micros, answer.balance_micros), (50_000_000, 60_000_000));
    assert_eq!(partition.last().entry_type(), Some(EntryType::Purchase));
    let Kind::Purchase(posted) = kind_of(partition.last()) else { panic!("no purchase") };
    assert_eq!((posted.payment_id.as_str(), posted.provider.as_str()), ("pay_1", "sandbox"));
    accepted(partition.command("payment:pay_2", purchase("pay_2", "50", PurchaseSource::AutoRecharge)));
    assert_eq!(partition.last().entry_type(), Some(EntryType::AutoRecharge));
    // The key is a function of the payment's id: told twice, posted once.
    assert!(
        accepted(partition.command("payment:pay_2", purchase("pay_2", "50", PurchaseSource::AutoRecharge))).replayed
    );
    assert_eq!(partition.balance(), money("110"));
}

#[test]
fn a_purchase_can_be_asked_for_before_it_is_paid_and_the_question_posts_nothing() {
    let mut partition = Partition::open();
    let bought = |amount: &str| purchase("pay_1", amount, PurchaseSource::Manual);
    let question = |body: Body| match body {
        Body::PostPurchase(purchase) => Body::PreparePurchase(PreparePurchase { purchase: Some(purchase) }),
        other => panic!("no purchase: {other:?}"),
    };
    let entries = partition.ledger.len();
    // Asked as often as one likes, it is answered with the account as it stands.
    for _ in 0..2 {
        let answer = accepted(partition.command("payment:pay_1", question(bought("50"))));
        assert_eq!((answer.replayed, answer.seq, answer.balance_micros), (false, 0, 10_000_000));
        assert_eq!((answer.currency.as_str(), answer.account_seq), ("USD", partition.account().seq));
    }
    assert_eq!(partition.ledger.len(), entries);
    // What the purchase would be refused with, its question is.
    let near = purchase("pay_2", "999999999999", PurchaseSource::Manual);
    assert_eq!(refused(partition.command("payment:pay_2", question(near))), (422, "out_of_range".to_owned()));
    let empty = Body::PreparePurchase(PreparePurchase { purchase: None });
    assert_eq!(refused(partition.command("k", empty)), (422, "invalid_purchase".to_owned()));
    // Once it is posted, its question has its answer, and another body under its key is refused.
    let posted = accepted(partition.command("payment:pay_1", bought("50")));
    let again = accepted(partition.command("payment:pay_1", question(bought("50"))));
    assert_eq!(again, Accepted { replayed: true, ..posted });
    let other = partition.command_with_hash("payment:pay_1", question(bought("60")), "another body");
    assert_eq!(refused(other), (422, "idempotency_mismatch".to_owned()));
    let mut nobody = Partition::empty();
    assert_eq!(refused(nobody.command("payment:pay_1", question(bought("50")))), (404, "unknown_account".to_owned()));
}

#[test]
fn what_is_no_purchase_is_refused() {
    let mut partition = Partition::open();
    let mut post = |key: &str, body| refused(partition.command(key, body));
    assert_eq!(post("k1", purchase("pay_1", "0", PurchaseSource::Manual)), (422, "out_of_range".to_owned()));
    assert_eq!(post("k2", purchase("pay_1", "-1", PurchaseSource::Manual)), (422, "out_of_range".to_owned()));
    assert_eq!(post("k3", purchase("", "1", PurchaseSource::Manual)), (422, "invalid_purchase".to_owned()));
    assert_eq!(post("k4", purchase("pay_1", "1", PurchaseSource::Unspecified)), (422, "invalid_purchase".to_owned()));
}

#[test]
fn a_plan_fee_is_posted_once_a_month_and_in_order() {
    let mut partition = Partition::open();
    assert_eq!(accepted(partition.command("k1", fee("2026-11"))).amount_micros, -39_000_000);
    assert_eq!(partition.account().fee_posted().as_deref(), Some("2026-11"));
    assert_eq!(partition.last().entry_type(), Some(EntryType::PlanFee));
    assert_eq!(refused(partition.command("k2", fee("2026-11"))), (409, "fee_posted".to_owned()));
    assert_eq!(refused(partition.command("k3", fee("2026-10"))), (409, "fee_posted".to_owned()));
    let plan = ChangePlan { plan: "pro".to_owned(), effective_at_ms: None };
    accepted(partition.command("k4", Body::ChangePlan(plan)));
    assert_eq!(accepted(partition.command("k5", fee("2026-12"))).amount_micros, -79_000_000);
    let Kind::PlanFee(posted) = kind_of(partition.last()) else { panic!("no fee") };
    assert_eq!((posted.plan.as_str(), posted.period.as_str(), posted.price_version), ("pro", "2026-12", 1));
    accepted(partition.command("k6", fee("2027-01")));
    for wrong in ["2027-13", "2027-00", "2027-1", "+027-01", "2027", "27-01", ""] {
        assert_eq!(refused(partition.command("wrong", fee(wrong))), (422, "invalid_period".to_owned()), "{wrong}");
    }
}

#[test]
fn the_fee_is_that_of_the_book_in_force() {
    let mut partition = Partition::open();
    let mut second = sample_book();
    second["version"] = 2.into();
    second["effective_from"] = "2026-12-01T00:00:00Z".into();
    second["plans"][0]["monthly_fee"] = "0".into();
    assert!(partition.books.publish(book(&second)));
    assert_eq!(accepted(partition.command("k1", fee("2026-11"))).amount_micros, -39_000_000);
    partition.now_ms += 20 * 86_400_000;
    assert_eq!(refused(partition.command("k2", fee("2026-12"))), (409, "no_fee".to_owned()));
}

#[test]
fn without_a_book_there_is_no_fee_to_post() {
    let mut partition = Partition::open();
    partition.books = tollbooth_ledger::PriceBooks::default();
    assert_eq!(refused(partition.command("k1", fee("2026-11"))), (422, "no_price".to_owned()));
}
