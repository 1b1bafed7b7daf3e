//! What an audit counted, and how it is told.

use std::{collections::BTreeMap, fmt};

use rust_decimal::Decimal;
use serde::Serialize;
use tollbooth_schemas::decimal::SCALE;

macro_rules! kinds {
    ($(#[$enum_doc:meta])* $enum:ident { $($(#[$doc:meta])* $name:ident = $code:literal,)* }) => {
        $(#[$enum_doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $enum {
            $($(#[$doc])* $name,)*
        }

        impl $enum {
            /// All of them, in the order they are printed.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The name in the table and in JSON.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)*
                }
            }
        }
    };
}

kinds! {
    /// A kind of defect. All must be 0.
    Defect {
        /// Acknowledged or consumed, and neither in the ledger nor among the dead letters nor a duplicate of what is.
        Lost = "lost",
        /// An operation charged twice, a failed attempt listed twice, or a command carried out twice.
        Doubled = "doubled",
        /// Price version, unit price, model, plan or amount is not what the price books say.
        WrongPrice = "wrong_price",
        /// An entry says something else than the record, the command or the journal it came from.
        WrongContent = "wrong_content",
        /// Posted, although the record is not an event, lies in a wrong partition, or is too old or in the future.
        WronglyPosted = "wrongly_posted",
        /// Two entries name the same source record.
        SourceReused = "source_reused",
        /// An entry or a dead letter names a source record that does not exist.
        SourceMissing = "source_missing",
        /// A `seq` was skipped.
        SeqGap = "seq_gap",
        /// A `seq` was used again.
        SeqDoubled = "seq_doubled",
        /// `balance_after` is not the balance before plus the amount.
        ChainBroken = "chain_broken",
        /// `held_after` is not the sum of the open holds, or a hold stands that should have been refused.
        HeldOff = "held_off",
        /// More or less was drawn from bonus credit than it had, or a bonus ended with another amount.
        BonusOff = "bonus_off",
        /// A month's plan fee is missing, out of turn, or not dated to the month's begin.
        FeeOff = "fee_off",
        /// A recharge that was not due, or not asked for when it was, or of another amount, or whose end is not its own.
        RechargeOff = "recharge_off",
        /// An alert that was not raised, or says it otherwise, or is missing.
        AlertOff = "alert_off",
        /// A refund of no such charge, or of more than was charged.
        RefundOff = "refund_off",
        /// A charge that was given back and not made anew, or made anew otherwise, in another place or as other work.
        RepricingOff = "repricing_off",
        /// `posted_at` went back within a partition.
        TimeBack = "time_back",
        /// A record's key is not its account, or its partition is not its key's.
        Misplaced = "misplaced",
        /// A record has no entries, or more entries or bytes than a record may have.
        RecordLimit = "record_limit",
        /// Bytes that are no ledger record, or an entry of an unknown kind.
        BadRecord = "bad_record",
        /// An account is not opened by its first entry, or opened twice.
        OpeningOff = "opening_off",
        /// Failed work with an amount or a price.
        FailedCharged = "failed_charged",
        /// A row of `ledger` is not there.
        RowMissing = "row_missing",
        /// A row of `ledger` is there twice.
        RowDoubled = "row_doubled",
        /// A row of `ledger` differs from its entry.
        RowDiffers = "row_differs",
        /// A row of `ledger` without an entry.
        RowUnexpected = "row_unexpected",
        /// A rollup's sums for a key and bucket are not those of the entries.
        RollupOff = "rollup_off",
        /// An account's line in `account_balances` differs from the ledger.
        BalanceOff = "balance_off",
        /// A table lacks a setting that exactly-once hangs on.
        SettingOff = "setting_off",
        /// An injected fault without its dead letter.
        DeadMissing = "dead_missing",
        /// A dead letter for no injected fault, or for a record that was posted.
        DeadUnexpected = "dead_unexpected",
        /// A dead letter whose reason does not hold.
        DeadUnfounded = "dead_unfounded",
        /// A second dead letter of a source record, of another reason or other bytes, or after the ledger had gone on.
        DeadDoubled = "dead_doubled",
        /// A dead letter whose bytes are not the original's.
        DeadAltered = "dead_altered",
        /// What is said of a letter that was driven again is not what the ledger says, or what is said of one is incomplete.
        RedriveOff = "redrive_off",
        /// An entry of a journaled account, or an acknowledged id, that the journal did not plan.
        Unplanned = "unplanned",
        /// Accepted where a refusal was expected, or refused and nevertheless there.
        VerdictOff = "verdict_off",
    }
}

kinds! {
    /// What was looked at.
    Checked {
        /// Records of the ledger topic.
        LedgerRecords = "ledger_records",
        /// Entries in them.
        Entries = "entries",
        /// Accounts.
        Accounts = "accounts",
        /// Charges that were priced again.
        Repriced = "repriced",
        /// Recharges that were asked for.
        Recharges = "recharges",
        /// Alerts that were raised.
        Alerts = "alerts",
        /// Usage records read back.
        UsageRecords = "usage_records",
        /// Entries held against the record they came from.
        SourcesCompared = "sources_compared",
        /// Usage records that are rightly without an entry: duplicates.
        Duplicates = "duplicates",
        /// The same: stale failures.
        Stale = "stale",
        /// Command records read back.
        CommandRecords = "command_records",
        /// Dead letters.
        DeadLetters = "dead_letters",
        /// Further copies of these, which a meter may write that was set back.
        DeadRepeats = "dead_repeats",
        /// Commands that drove a dead letter again.
        Redriven = "redriven",
        /// Words of people that nothing is charged for a dead letter.
        Dismissed = "dismissed",
        /// Price books.
        PriceBooks = "price_books",
        /// Rows of `ledger`.
        Rows = "rows",
        /// Rows of the three rollups.
        RollupRows = "rollup_rows",
        /// Lines of `account_balances`.
        BalanceRows = "balance_rows",
        /// Tables whose settings were looked at.
        Tables = "tables",
        /// Lines of journals.
        JournalLines = "journal_lines",
        /// Records that journals planned.
        Planned = "planned",
        /// Of these: acknowledged.
        Acknowledged = "acknowledged",
    }
}

kinds! {
    /// What could not be looked at; no defect.
    Unchecked {
        /// Entries whose source record is older than the topic keeps.
        SourceCut = "source_cut",
        /// Entries from an earlier generation of input topics.
        SourceGeneration = "source_generation",
        /// Input records that the meter had not consumed when the audit began.
        NotConsumed = "not_consumed",
        /// Rollup keys that changed while the audit ran.
        RollupsMoving = "rollups_moving",
        /// Balances that changed while the audit ran.
        BalancesMoving = "balances_moving",
        /// Rows of entries posted while the audit ran.
        RowsMoving = "rows_moving",
        /// What journals saw acknowledged while the audit ran.
        AckedMeanwhile = "acked_meanwhile",
        /// Entries and dead letters that no journal planned, where others than its fleet may write.
        OfOthers = "of_others",
        /// Journal files that were removed: what they planned is unknown.
        JournalFilesRemoved = "journal_files_removed",
        /// Journal lines that were cut off by the end of the process.
        JournalLinesTorn = "journal_lines_torn",
    }
}

/// One difference, as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Example {
    /// Code of the [`Defect`].
    pub kind: &'static str,
    /// Where, and what.
    pub detail: String,
}

/// Sums over all accounts of one currency.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CurrencyTotals {
    /// Accounts.
    pub accounts: u64,
    /// Sum of the balances that the ledger ends with.
    #[serde(serialize_with = "as_text")]
    pub balance: Decimal,
    /// How far balances are from what the accounts should have, without sign: each charge against its price, each balance
    /// against its chain, each balance in ClickHouse against the ledger. 0 when all is well.
    #[serde(serialize_with = "as_text")]
    pub drift: Decimal,
}

/// The outcome of an audit.
#[derive(Debug, Clone, Default)]
pub struct Report {
    defects: BTreeMap<Defect, u64>,
    checked: BTreeMap<Checked, u64>,
    unchecked: BTreeMap<Unchecked, u64>,
    examples: Vec<Example>,
    examples_max: u64,
    /// By currency; an account that was never opened has none.
    pub totals: BTreeMap<String, CurrencyTotals>,
}

impl Report {
    pub(super) fn new(examples_max: usize) -> Self {
        Self { examples_max: examples_max as u64, ..Self::default() }
    }

    /// Counts a defect; `detail` is only called while examples are still wanted.
    pub(super) fn defect(&mut self, defect: Defect, detail: impl FnOnce() -> String) {
        let count = self.defects.entry(defect).or_default();
        *count += 1;
        if *count <= self.examples_max {
            self.examples.push(Example { kind: defect.code(), detail: detail() });
        }
    }

    pub(super) fn checked(&mut self, what: Checked, count: u64) {
        *self.checked.entry(what).or_default() += count;
    }

    pub(super) fn unchecked(&mut self, what: Unchecked, count: u64) {
        *self.unchecked.entry(what).or_default() += count;
    }

    /// How often a defect was seen.
    #[must_use]
    pub fn count(&self, defect: Defect) -> u64 {
        self.defects.get(&defect).copied().unwrap_or_default()
    }

    /// How much was looked at.
    #[must_use]
    pub fn count_checked(&self, what: Checked) -> u64 {
        self.checked.get(&what).copied().unwrap_or_default()
    }

    /// How much could not be looked at.
    #[must_use]
    pub fn count_unchecked(&self, what: Unchecked) -> u64 {
        self.unchecked.get(&what).copied().unwrap_or_default()
    }

    /// The defects that were seen, with their counts.
    pub fn defects(&self) -> impl Iterator<Item = (Defect, u64)> + '_ {
        self.defects.iter().map(|(defect, count)| (*defect, *count)).filter(|(_, count)| *count > 0)
    }

    /// Up to so many examples of each defect as were asked for.
    #[must_use]
    pub fn examples(&self) -> &[Example] {
        &self.examples
    }

    /// How far the balances are off, all currencies together; 0 when all is well.
    #[must_use]
    pub fn drift(&self) -> Decimal {
        self.totals.values().map(|totals| totals.drift).sum()
    }

    /// Whether something was checked and nothing is wrong: the exit status.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.count_checked(Checked::Entries) > 0 && self.defects().next().is_none() && self.drift().is_zero()
    }

    /// The report for machines; members of every object are always all there.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let defects: BTreeMap<_, _> = Defect::ALL.iter().map(|kind| (kind.code(), self.count(*kind))).collect();
        let checked: BTreeMap<_, _> =
            Checked::ALL.iter().map(|kind| (kind.code(), self.count_checked(*kind))).collect();
        let unchecked: BTreeMap<_, _> =
            Unchecked::ALL.iter().map(|kind| (kind.code(), self.count_unchecked(*kind))).collect();
        serde_json::json!({
            "ok": self.is_clean(),
            "defects": defects,
            "checked": checked,
            "unchecked": unchecked,
            "totals": self.totals,
            "drift": self.drift().normalize().to_string(),
            "examples": self.examples,
        })
    }
}

/// The report for people: every defect with its count, what was looked at, the sums, then examples.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "defects")?;
        for kind in Defect::ALL {
            writeln!(f, "  {:<22}{:>12}", kind.code(), self.count(*kind))?;
        }
        writeln!(f, "checked")?;
        for kind in Checked::ALL {
            writeln!(f, "  {:<22}{:>12}", kind.code(), self.count_checked(*kind))?;
        }
        if self.unchecked.values().any(|count| *count > 0) {
            writeln!(f, "unchecked")?;
            for (kind, count) in self.unchecked.iter().filter(|(_, count)| **count > 0) {
                writeln!(f, "  {:<22}{count:>12}", kind.code())?;
            }
        }
        for (currency, totals) in &self.totals {
            let name = if currency.is_empty() { "(no currency)" } else { currency };
            let (balance, drift) = (totals.balance.normalize(), totals.drift.normalize());
            writeln!(f, "{name}: {} accounts, balance {balance}, drift {drift}", totals.accounts)?;
        }
        for example in &self.examples {
            writeln!(f, "{}: {}", example.kind, example.detail)?;
        }
        let verdict = if self.is_clean() {
            "clean"
        } else if self.count_checked(Checked::Entries) == 0 {
            "nothing was checked"
        } else {
            "NOT clean"
        };
        writeln!(f, "{verdict}")
    }
}

fn as_text<S: serde::Serializer>(number: &Decimal, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&number.normalize())
}

/// Micro-units as a decimal number of units.
pub(super) fn units(micros: i128) -> Decimal {
    Decimal::try_from_i128_with_scale(micros, 6).unwrap_or_else(|_| {
        // Beyond 28 digits only the magnitude matters.
        Decimal::try_from_i128_with_scale(micros / i128::from(SCALE), 0).unwrap_or(Decimal::MAX)
    })
}
