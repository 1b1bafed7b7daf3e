//! The tables: numbered SQL files, applied once, in order, recognised by hash.
//!
//! Whoever applies them lives elsewhere; this crate only carries the text.

use sha2::{Digest, Sha256};

/// What every table that is written must carry as `non_replicated_deduplication_window`: the blocks whose tokens are
/// remembered. The server's default of 0 remembers none.
pub const DEDUPLICATION_WINDOW: u64 = 100_000;

/// One SQL file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// Its number; 0 is the bookkeeping.
    pub version: u32,
    /// File name.
    pub name: &'static str,
    /// The file.
    pub sql: &'static str,
}

macro_rules! migration {
    ($version:literal, $name:literal) => {
        Migration { version: $version, name: $name, sql: include_str!(concat!("../clickhouse/", $name)) }
    };
}

/// Tables of the migration runner itself, applied at every start.
pub const BOOKKEEPING: Migration = migration!(0, "000_bookkeeping.sql");

/// All others, in order.
pub const MIGRATIONS: &[Migration] = &[
    migration!(1, "001_ledger.sql"),
    migration!(2, "002_rollups.sql"),
    migration!(3, "003_account_balances.sql"),
    migration!(4, "004_sunk_ranges.sql"),
    migration!(5, "005_money_and_holds.sql"),
    migration!(6, "006_money_types.sql"),
    migration!(7, "007_detail.sql"),
    migration!(8, "008_no_token_index.sql"),
    migration!(9, "009_repriced.sql"),
    migration!(10, "010_whole_months.sql"),
    migration!(11, "011_whole_operations.sql"),
    migration!(12, "012_by_occurrence.sql"),
];

impl Migration {
    /// SHA-256 of the file, hex.
    #[must_use]
    pub fn sha256(&self) -> String {
        Sha256::digest(self.sql).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Its statements, without comments.
    ///
    /// Comments fill whole lines and no literal holds a semicolon: these are our own files, kept to that.
    #[must_use]
    pub fn statements(&self) -> Vec<String> {
        let code: Vec<&str> = self.sql.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
        code.join("\n").split(';').map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_file_numbers_without_a_gap() {
        for (index, migration) in std::iter::once(&BOOKKEEPING).chain(MIGRATIONS).enumerate() {
            assert_eq!(usize::try_from(migration.version), Ok(index));
            assert!(migration.name.starts_with(&format!("{index:03}_")), "{}", migration.name);
        }
    }

    #[test]
    fn every_statement_can_be_repeated() {
        // A start that was killed half-way through a file is finished by the next one.
        for migration in std::iter::once(&BOOKKEEPING).chain(MIGRATIONS) {
            let statements = migration.statements();
            assert!(!statements.is_empty(), "{}", migration.name);
            for statement in statements {
                let replaces = statement.starts_with("ALTER TABLE")
                    && ["MODIFY QUERY", "MODIFY SETTING"].iter().any(|what| statement.contains(what));
                let guarded = statement.contains("IF NOT EXISTS") || statement.contains("IF EXISTS");
                assert!(guarded || replaces, "{}: {statement}", migration.name);
            }
        }
    }
}
