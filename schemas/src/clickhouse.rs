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
    migration!(13, "013_drift.sql"),
    migration!(14, "014_newest_entry.sql"),
    migration!(15, "015_profile.sql"),
    migration!(16, "016_ledger_totals.sql"),
];

/// The newest migration that what is read from the tables depends on; one that needs a newer one raises it. A reader of a
/// release waits until the sink of a release that has it has applied it.
pub const READ_SINCE: u32 = 15;

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

/// All tables as they are on replicas: the same statements with replicated engines and the window that those look at.
/// `{shard}` and `{replica}` are the servers' own macros.
#[must_use]
pub fn replicated() -> Vec<String> {
    let all = std::iter::once(&BOOKKEEPING).chain(MIGRATIONS).flat_map(Migration::statements);
    all.map(|statement| as_replicated(&statement)).collect()
}

fn as_replicated(statement: &str) -> String {
    let lines = statement.lines().map(|line| {
        let window = format!("non_replicated_deduplication_window = {DEDUPLICATION_WINDOW}");
        if let Some(engine) = line.strip_prefix("ENGINE = ") {
            let (name, arguments) = engine.split_once('(').unwrap_or((engine, ")"));
            let arguments = if arguments == ")" { arguments.to_owned() } else { format!(", {arguments}") };
            let path = "'/clickhouse/tables/{database}/{shard}/{table}', '{replica}'";
            return format!("ENGINE = Replicated{name}({path}{arguments}");
        }
        let replicated = format!(
            "replicated_deduplication_window = {DEDUPLICATION_WINDOW},\n    replicated_deduplication_window_seconds = 604800"
        );
        line.replace(&window, &replicated)
    });
    lines.collect::<Vec<String>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const RENDERED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/clickhouse/replicated.sql");

    #[test]
    fn the_replicated_tables_are_those_of_the_migrations() {
        let head = "-- Made from schemas/clickhouse by the test of this name: UPDATE_SQL=1 writes it anew. See docs/scale.md.\n\n";
        let rendered = head.to_owned() + &replicated().join(";\n\n") + ";\n";
        if std::env::var_os("UPDATE_SQL").is_some() {
            std::fs::write(RENDERED, &rendered).unwrap();
        }
        assert_eq!(std::fs::read_to_string(RENDERED).unwrap(), rendered, "UPDATE_SQL=1 writes it anew");
    }

    #[test]
    fn every_table_is_replicated_and_remembers_its_blocks() {
        let tables: Vec<String> =
            replicated().into_iter().filter(|statement| statement.starts_with("CREATE TABLE")).collect();
        assert_eq!(tables.len(), 10);
        for table in tables {
            assert!(table.contains("ENGINE = Replicated") && !table.contains("non_replicated"), "{table}");
            assert!(table.contains("    replicated_deduplication_window = 100000,"), "{table}");
        }
        let ranges = replicated().into_iter().find(|table| table.contains("ReplacingMergeTree")).unwrap();
        assert!(ranges.contains("{table}', '{replica}', position)"), "{ranges}");
    }

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
                    && ["MODIFY QUERY", "MODIFY SETTING", "MATERIALIZE INDEX"]
                        .iter()
                        .any(|what| statement.contains(what));
                let guarded = statement.contains("IF NOT EXISTS") || statement.contains("IF EXISTS");
                assert!(guarded || replaces, "{}: {statement}", migration.name);
            }
        }
    }
}
