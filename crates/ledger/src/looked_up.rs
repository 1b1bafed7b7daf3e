//! What is looked up, so that rows that are not in memory can be [recalled](crate::Overlay::recall) before.
//!
//! Each match names every kind: a new one says here what it looks up, or that it looks up nothing.

use tollbooth_schemas::v1::{Entry, command::Body, entry::Kind};

use crate::{
    decision::{CommandInput, UsageInput},
    digest,
    image::Key,
};

impl UsageInput<'_> {
    /// What deciding it, and folding the entry that it becomes, looks up.
    pub fn looks_up(&self) -> impl Iterator<Item = Key> + use<> {
        let hold = self.event.hold_id.as_ref().filter(|id| !id.0.is_empty());
        let hold = hold.map(|id| Key::Hold(digest::of_pair(&self.event.account_id, &id.0)));
        [Some(Key::Operation(self.operation)), hold].into_iter().flatten()
    }
}

impl CommandInput<'_> {
    /// What deciding it, and folding the entry that it becomes, looks up.
    #[must_use]
    pub fn looks_up(&self) -> Vec<Key> {
        let command = self.command;
        let account_id = command.account_id.as_str();
        let mut keys = vec![Key::Answer(digest::of_pair(account_id, &command.idempotency_key))];
        let hold = |id: &str| Key::Hold(digest::of_pair(account_id, id));
        match &command.body {
            Some(Body::PlaceHold(place)) => keys.push(hold(&place.hold_id)),
            Some(Body::VoidHold(void)) => keys.push(hold(&void.hold_id)),
            Some(Body::Refund(refund)) => {
                if let Some(charge) = &refund.original {
                    let key = digest::of_operation(account_id, &charge.operation_id, charge.attempt);
                    keys.extend([Key::Operation(key), Key::Refund(key)]);
                }
            }
            Some(Body::Reprice(reprice)) => {
                if let Some(charge) = &reprice.original {
                    let key = digest::of_operation(account_id, &charge.operation_id, charge.attempt);
                    keys.extend([Key::Operation(key), Key::Refund(key)]);
                }
            }
            Some(Body::RedriveLetter(letter)) => {
                // What is no event is refused before anything is looked up.
                if let Ok(event) = letter.event() {
                    keys.push(Key::Operation(digest::of_operation(account_id, &event.operation_id, event.attempt)));
                    keys.extend(event.hold_id.as_ref().filter(|id| !id.0.is_empty()).map(|id| hold(&id.0)));
                }
            }
            Some(
                Body::OpenAccount(_)
                | Body::ChangePlan(_)
                | Body::SetCreditLimit(_)
                | Body::DefineEvent(_)
                | Body::SetBooth(_)
                | Body::PostAdjustment(_)
                | Body::PostPurchase(_)
                | Body::PreparePurchase(_)
                | Body::GrantBonus(_)
                | Body::PostPlanFee(_)
                | Body::SetRecharge(_)
                | Body::FailRecharge(_)
                | Body::SetAlerts(_)
                | Body::SetProfile(_),
            )
            | None => {}
        }
        keys
    }
}

/// What folding an entry looks up.
#[must_use]
pub fn looked_up(account_id: &str, entry: &Entry) -> Vec<Key> {
    match &entry.kind {
        Some(Kind::Usage(usage)) => {
            vec![Key::Operation(digest::of_operation(account_id, &usage.operation_id, usage.attempt))]
        }
        Some(Kind::Reversal(reversal)) => {
            let key = digest::of_operation(account_id, &reversal.operation_id, reversal.attempt);
            vec![Key::Operation(key), Key::Refund(key)]
        }
        Some(Kind::Repriced(repriced)) => {
            let charge = repriced.charge.iter();
            let keys = charge.map(|charge| digest::of_operation(account_id, &charge.operation_id, charge.attempt));
            keys.flat_map(|key| [Key::Operation(key), Key::Refund(key)]).collect()
        }
        // Only open holds are looked at, and those are in memory.
        Some(Kind::HoldPlaced(_) | Kind::HoldReleased(_)) => Vec::new(),
        Some(
            Kind::AccountOpened(_)
            | Kind::PlanChanged(_)
            | Kind::CreditLimitSet(_)
            | Kind::BonusGranted(_)
            | Kind::BonusExpired(_)
            | Kind::PlanFee(_)
            | Kind::EventDefined(_)
            | Kind::BoothSet(_)
            | Kind::Purchase(_)
            | Kind::RechargeSet(_)
            | Kind::RechargeRequested(_)
            | Kind::RechargeFailed(_)
            | Kind::AlertsSet(_)
            | Kind::AlertRaised(_)
            | Kind::ProfileSet(_)
            | Kind::Adjustment(_),
        )
        | None => Vec::new(),
    }
}
