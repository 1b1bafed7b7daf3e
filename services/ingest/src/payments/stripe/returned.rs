//! Money that goes back at Stripe, and what of it comes again: refunds that somebody makes there, and what a payer's bank
//! takes back. What a refund or a dispute did to money is read off the object as it stands now, so that it does not matter
//! which events came, how often and in what order.

use serde_json::json;
use tollbooth_schemas::Money;
use tollbooth_schemas::command::{body_hash, returned_key};
use tollbooth_schemas::v1::{self, command::Body};

use super::minor::amount_of;
use super::objects::{Dispute, Refund};

/// How money moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Somebody gave it back.
    Refund,
    /// It could not be given back, and came again.
    RefundFailed,
    /// The payer's bank took it.
    Dispute,
    /// The bank gave it again.
    DisputeWon,
}

impl Way {
    pub(crate) const ALL: [Self; 4] = [Self::Refund, Self::RefundFailed, Self::Dispute, Self::DisputeWon];

    /// As a label, and in the key of the command.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Refund => "refund",
            Self::RefundFailed => "refund_failed",
            Self::Dispute => "dispute",
            Self::DisputeWon => "dispute_won",
        }
    }

    /// The reason in the entry.
    const fn reason(self) -> &'static str {
        match self {
            Self::Refund => "payment_refunded",
            Self::RefundFailed => "payment_refund_failed",
            Self::Dispute => "payment_disputed",
            Self::DisputeWon => "payment_dispute_won",
        }
    }

    /// Whether the account has less of it.
    pub(crate) const fn is_away(self) -> bool {
        matches!(self, Self::Refund | Self::Dispute)
    }
}

/// A movement that the ledger is told of, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Movement {
    pub(crate) way: Way,
    /// Of the refund or dispute.
    id: String,
    /// Above zero.
    amount: Money,
    /// Seconds since the epoch.
    pub(crate) at_s: i64,
}

/// What there is to tell, and whether a person has to look at it beside that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Movements {
    pub(crate) movements: Vec<Movement>,
    pub(crate) is_clear: bool,
}

impl Movements {
    const UNCLEAR: Self = Self { movements: Vec::new(), is_clear: false };

    /// Of a refund of a payment in that currency.
    pub(crate) fn of_refund(refund: &Refund, currency: &str) -> Self {
        let amount = amount_of(refund.amount, currency).filter(|_| refund.currency.eq_ignore_ascii_case(currency));
        let Some(amount) = amount else { return Self::UNCLEAR };
        let movement = |way| Movement { way, id: refund.id.clone(), amount, at_s: refund.created };
        match refund.status.as_deref() {
            // From the moment it is ordered: what is on its way back must not be spent.
            None | Some("pending" | "requires_action" | "succeeded") => {
                Self { movements: vec![movement(Way::Refund)], is_clear: true }
            }
            // Whether it was told of before nobody remembers here: both are, and the ledger knows the first already.
            Some("failed" | "canceled") => {
                Self { movements: vec![movement(Way::Refund), movement(Way::RefundFailed)], is_clear: true }
            }
            Some(_) => Self::UNCLEAR,
        }
    }

    /// Of a dispute of a payment in that currency. An inquiry has moved nothing yet.
    pub(crate) fn of_dispute(dispute: &Dispute, currency: &str) -> Self {
        let moved = &dispute.balance_transactions;
        let (mut taken, mut again) = (moved.iter().filter(|of| of.amount < 0), moved.iter().filter(|of| of.amount > 0));
        let Some(first) = taken.next() else { return Self { movements: Vec::new(), is_clear: again.next().is_none() } };
        let amount = amount_of(dispute.amount, currency).filter(|_| dispute.currency.eq_ignore_ascii_case(currency));
        let Some(amount) = amount else { return Self::UNCLEAR };
        let movement = |way, at_s| Movement { way, id: dispute.id.clone(), amount, at_s };
        let mut movements = vec![movement(Way::Dispute, first.created)];
        let mut is_clear = taken.next().is_none();
        if let Some(back) = again.next() {
            // A part, or a sum at another rate: nobody can say how much of the payment it is.
            let is_whole = back.amount.checked_neg() == Some(first.amount) && again.next().is_none();
            if is_whole && is_clear {
                movements.push(movement(Way::DisputeWon, back.created));
            }
            is_clear &= is_whole;
        }
        Self { movements, is_clear }
    }
}

impl Movement {
    /// What it is known by, among all.
    pub(crate) fn key(&self) -> String {
        returned_key(self.way.label(), &self.id)
    }

    /// The command that posts it: key, hash of its facts, and what it says.
    pub(crate) fn posting(&self, payment_id: &str) -> (String, Vec<u8>, Body) {
        let signed = if self.way.is_away() { self.amount.negated() } else { self.amount };
        let facts = json!([payment_id, self.id, self.way.label(), signed]);
        let adjustment = v1::PostAdjustment {
            amount_micros: signed.micros(),
            reason: self.way.reason().to_owned(),
            note: format!("{payment_id} {}", self.id),
            occurred_at_ms: None,
        };
        (self.key(), body_hash("returned", facts.to_string().as_bytes()), Body::PostAdjustment(adjustment))
    }

    /// The command before it that switches the account's recharge off: a balance that falls because money went back must not
    /// have the same card charged for it again.
    pub(crate) fn stop(&self) -> Option<(String, Vec<u8>, Body)> {
        let off = v1::SetRecharge { enabled: false, ..v1::SetRecharge::default() };
        let key = returned_key("recharge_off", &self.id);
        self.way.is_away().then(|| (key, body_hash("returned", b"recharge_off"), Body::SetRecharge(off)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refund(status: &str) -> Refund {
        serde_json::from_value(json!({
            "id": "re_1", "object": "refund", "amount": 2_000, "currency": "usd", "created": 100, "status": status,
            "payment_intent": "pi_1", "charge": "ch_1", "reason": null,
        }))
        .unwrap()
    }

    fn dispute(moved: &[(i64, i64)]) -> Dispute {
        let moved: Vec<_> =
            moved.iter().map(|(amount, created)| json!({"amount": amount, "created": created})).collect();
        serde_json::from_value(json!({
            "id": "dp_1", "object": "dispute", "amount": 5_000, "currency": "usd", "created": 100, "status": "lost",
            "payment_intent": "pi_1", "balance_transactions": moved,
        }))
        .unwrap()
    }

    fn ways(found: &Movements) -> (Vec<(Way, i64)>, bool) {
        (found.movements.iter().map(|movement| (movement.way, movement.at_s)).collect(), found.is_clear)
    }

    #[test]
    fn a_refund_takes_its_amount_once_it_is_ordered_and_gives_it_again_where_it_failed() {
        for (status, expected, is_clear) in [
            ("pending", &[Way::Refund][..], true),
            ("requires_action", &[Way::Refund], true),
            ("succeeded", &[Way::Refund], true),
            ("failed", &[Way::Refund, Way::RefundFailed], true),
            ("canceled", &[Way::Refund, Way::RefundFailed], true),
            ("of_tomorrow", &[], false),
        ] {
            let found = Movements::of_refund(&refund(status), "USD");
            let expected: Vec<_> = expected.iter().map(|way| (*way, 100)).collect();
            assert_eq!(ways(&found), (expected, is_clear), "{status}");
        }
        assert_eq!(Movements::of_refund(&refund("succeeded"), "EUR"), Movements::UNCLEAR);
    }

    #[test]
    fn a_dispute_takes_money_when_it_moved_and_gives_again_what_came_whole() {
        for (moved, expected, is_clear) in [
            (&[][..], &[][..], true),
            (&[(-5_000, 200)], &[(Way::Dispute, 200)], true),
            // Settled in another currency, and both the same: all of it.
            (&[(-4_321, 200), (4_321, 300)], &[(Way::Dispute, 200), (Way::DisputeWon, 300)], true),
            (&[(4_321, 300), (-4_321, 200)], &[(Way::Dispute, 200), (Way::DisputeWon, 300)], true),
            (&[(-5_000, 200), (4_999, 300)], &[(Way::Dispute, 200)], false),
            (&[(-2_500, 200), (-2_500, 201)], &[(Way::Dispute, 200)], false),
            (&[(5_000, 300)], &[], false),
        ] {
            let found = Movements::of_dispute(&dispute(moved), "USD");
            assert_eq!(ways(&found), (expected.to_vec(), is_clear), "{moved:?}");
        }
        assert_eq!(Movements::of_dispute(&dispute(&[(-1, 1)]), "JPY"), Movements::UNCLEAR);
    }

    #[test]
    fn a_movement_is_one_command_whoever_tells_of_it_and_stops_the_recharge_where_money_went() {
        let found = Movements::of_refund(&refund("failed"), "USD");
        let postings: Vec<_> = found.movements.iter().map(|movement| movement.posting("pay_1")).collect();
        let amounts: Vec<i64> = postings
            .iter()
            .map(|(_, _, body)| match body {
                Body::PostAdjustment(adjustment) => {
                    assert_eq!(adjustment.note, "pay_1 re_1");
                    adjustment.amount_micros
                }
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(amounts, [-20_000_000, 20_000_000]);
        assert_eq!(postings[0].0, "returned\u{a7}refund/re_1");
        assert_ne!(postings[0].0, postings[1].0);
        assert_eq!(found.movements[0].posting("pay_1"), postings[0]);
        let stops: Vec<bool> = found.movements.iter().map(|movement| movement.stop().is_some()).collect();
        assert_eq!(stops, [true, false]);
    }
}
