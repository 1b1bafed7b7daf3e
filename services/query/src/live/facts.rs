//! What an account is called and which plan it is on.

use tollbooth_schemas::v1::LedgerRecord;
use tollbooth_schemas::v1::entry::Kind;

/// Name and plan, as the ledger tells them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// As people read it.
    pub name: String,
    /// The entry that says so, the opening or a later one; 0: none is known.
    pub named_by_seq: u64,
    /// When its opening was posted; 0: the opening is not known.
    pub opened_at_ms: i64,
    /// The plan that was decided last.
    pub plan: PlanFact,
}

/// A plan and from when on it is paid.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlanFact {
    /// The entry that says so; 0: none is known.
    pub seq: u64,
    /// Code.
    pub code: String,
    /// From this instant on; 0: from the account's opening.
    pub effective_from_ms: i64,
}

impl Facts {
    /// Takes what a record says.
    pub(super) fn fold(&mut self, record: &LedgerRecord) {
        for entry in &record.entries {
            let told = match entry.kind.as_ref() {
                Some(Kind::AccountOpened(opened)) => Self {
                    name: opened.name.clone(),
                    named_by_seq: entry.seq,
                    opened_at_ms: record.posted_at_ms,
                    plan: PlanFact { seq: entry.seq, code: opened.plan.clone(), effective_from_ms: 0 },
                },
                Some(Kind::PlanChanged(changed)) => Self {
                    plan: PlanFact {
                        seq: entry.seq,
                        code: changed.plan.clone(),
                        effective_from_ms: changed.effective_at_ms,
                    },
                    ..Self::default()
                },
                Some(Kind::ProfileSet(set)) => {
                    Self { name: set.name.clone(), named_by_seq: entry.seq, ..Self::default() }
                }
                _ => continue,
            };
            self.merge(told);
        }
    }

    /// Takes what is known elsewhere, whichever is newer.
    pub(super) fn merge(&mut self, other: Self) {
        if self.named_by_seq < other.named_by_seq {
            (self.name, self.named_by_seq) = (other.name, other.named_by_seq);
        }
        if self.opened_at_ms == 0 {
            self.opened_at_ms = other.opened_at_ms;
        }
        if self.plan.seq < other.plan.seq {
            self.plan = other.plan;
        }
    }
}

#[cfg(test)]
mod tests {
    use tollbooth_schemas::v1::{AccountOpened, Entry, PlanChanged, ProfileSet};

    use super::*;

    fn record(seq: u64, kind: Kind) -> LedgerRecord {
        let entries = vec![Entry { seq, kind: Some(kind), ..Entry::default() }];
        LedgerRecord { posted_at_ms: 7, entries, ..LedgerRecord::default() }
    }

    #[test]
    fn the_newest_word_counts_in_whatever_order_it_arrives() {
        let opened = AccountOpened { name: "Luna".to_owned(), plan: "basic".to_owned(), ..AccountOpened::default() };
        let opened = record(1, Kind::AccountOpened(opened));
        let changed = record(5, Kind::PlanChanged(PlanChanged { plan: "pro".to_owned(), effective_at_ms: 9 }));
        for order in [[&opened, &changed], [&changed, &opened]] {
            let mut facts = Facts::default();
            order.into_iter().for_each(|record| facts.fold(record));
            let plan = PlanFact { seq: 5, code: "pro".to_owned(), effective_from_ms: 9 };
            assert_eq!(facts, Facts { name: "Luna".to_owned(), named_by_seq: 1, opened_at_ms: 7, plan });
        }
    }

    #[test]
    fn a_name_that_was_set_later_counts_in_whatever_order_it_arrives() {
        let opened = AccountOpened { name: "Luna".to_owned(), plan: "basic".to_owned(), ..AccountOpened::default() };
        let opened = record(1, Kind::AccountOpened(opened));
        let set = |seq, name: &str| {
            record(seq, Kind::ProfileSet(ProfileSet { name: name.to_owned(), ..ProfileSet::default() }))
        };
        let (second, third) = (set(2, "Sol"), set(3, "Nova"));
        for order in [[&opened, &second, &third], [&third, &second, &opened], [&second, &third, &second]] {
            let mut facts = Facts::default();
            order.into_iter().for_each(|record| facts.fold(record));
            assert_eq!((facts.name.as_str(), facts.named_by_seq), ("Nova", 3));
        }
    }
}
