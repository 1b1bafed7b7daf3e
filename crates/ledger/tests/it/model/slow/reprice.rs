//! Charges that are made anew at another price: given back, and charged again in the same place.

use super::{Account, ChargeLine, Outcome, Posted, counted, draft, in_bound, refuse};
use crate::model::steps::Work;

impl Account {
    pub(super) fn reprice(&mut self, pick: usize, book: u32, wrong: bool) -> Outcome {
        if !self.open {
            return refuse(404, "unknown_account");
        }
        let Some(line) = self.charges.get(pick).cloned() else { return refuse(404, "unknown_charge") };
        if line.forgotten || line.replaced {
            let of_operation =
                |other: &&ChargeLine| other.report.operation == line.report.operation && !other.forgotten;
            let is_known = self.charges.iter().any(|other| of_operation(&other));
            return if is_known { refuse(409, "charge_replaced") } else { refuse(404, "unknown_charge") };
        }
        if line.refunded > 0 {
            return refuse(409, "charge_refunded");
        }
        if line.book == book {
            return refuse(409, "nothing_to_reprice");
        }
        let amount = match (book, line.report.work) {
            (3, Work::Packs) => return refuse(422, "no_price"),
            (3, Work::Volume) => return refuse(409, "counts_differ"),
            (3, work) => counted::dearer(line.plan, work, line.report.quantity, line.before),
            (_, work) => counted::price(line.plan, work, line.report.quantity, line.before),
        };
        let Some(amount) = amount else { return refuse(422, "out_of_range") };
        if wrong {
            return refuse(409, "preview_differs");
        }
        let balance = i128::from(self.balance()) + i128::from(line.amount);
        if !in_bound(balance) || !in_bound(balance - i128::from(amount)) {
            return refuse(422, "out_of_range");
        }
        // What is given back pays for the new charge first: only more than that draws bonuses. Nobody looks in between.
        let event = line.report.event;
        self.posted.push((line.amount, event));
        let from_bonus = self.draw(i128::from(amount - line.amount));
        let entry = self.post(&draft("repriced", -amount, line.occurred_at_ms), from_bonus, event);
        self.charges[pick].replaced = true;
        self.charges.push(ChargeLine { amount, book, ..line });
        Outcome::Posted(Posted { note: line.amount, ..entry })
    }
}
