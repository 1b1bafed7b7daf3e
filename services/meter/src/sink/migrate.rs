//! Brings a database to this release's schema, and binds it to one ledger.

use clickhouse::{Client, Row};
use serde::Deserialize;
use tollbooth_chassis::causes::Causes;
use tollbooth_schemas::clickhouse::{BOOKKEEPING, MIGRATIONS, Migration};

use super::store::{identifier, within_limit};

/// The ledger a database is a projection of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// Id of the Kafka cluster.
    pub cluster_id: String,
    /// Full name of the ledger topic.
    pub ledger_topic: String,
    /// Its partitions.
    pub partitions: i32,
}

impl std::fmt::Display for Binding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { cluster_id, ledger_topic, partitions } = self;
        write!(f, "topic {ledger_topic} ({partitions} partitions) of Kafka cluster {cluster_id}")
    }
}

/// Why a database is not used.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// ClickHouse did not answer, or refused.
    #[error("migration, {doing}: {}", Causes(source))]
    ClickHouse {
        /// What was asked of it.
        doing: String,
        /// The client's reason.
        source: clickhouse::error::Error,
    },
    /// The database is of an engine without transactional names.
    #[error("database {database} has the engine {engine}; it must be Atomic (or Replicated): use another database")]
    Engine {
        /// Its name.
        database: String,
        /// Its engine.
        engine: String,
    },
    /// A file differs from the one that was applied.
    #[error(
        "migration {name} was changed after it was applied to database {database} (SHA-256 {applied}, now {now}): \
         put the file back and add a new one"
    )]
    Changed {
        /// File name.
        name: String,
        /// Database.
        database: String,
        /// Hash that was recorded.
        applied: String,
        /// Hash of this release's file.
        now: String,
    },
    /// The database has seen a newer release.
    #[error(
        "database {database} has migration {name} ({version}), which this release does not know: upgrade the service"
    )]
    Newer {
        /// Database.
        database: String,
        /// File name.
        name: String,
        /// Number.
        version: u32,
    },
    /// The database shows another ledger.
    #[error("database {database} is a projection of {found}, not of {expected}: use an empty database")]
    OtherLedger {
        /// Database.
        database: String,
        /// What it shows.
        found: Box<Binding>,
        /// What it should show.
        expected: Box<Binding>,
    },
}

impl MigrationError {
    /// Whether trying again can help.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::ClickHouse { .. })
    }
}

type Result<T> = std::result::Result<T, MigrationError>;

#[derive(Debug, Row, Deserialize)]
struct AppliedRow {
    version: u32,
    name: String,
    sha256: String,
}

#[derive(Debug, Row, Deserialize)]
struct BindingRow {
    kafka_cluster_id: String,
    ledger_topic: String,
    partitions: i32,
}

/// Creates the database if need be, binds it, and applies what is missing. Returns the files applied now.
///
/// Several starters at once are safe: every statement can be repeated, and each row of the bookkeeping is written under
/// an insert token of its own, so that of two the first one stays.
///
/// # Errors
/// [`MigrationError`]; what was applied before stays, the next start goes on from there.
pub async fn migrate(client: &Client, database: &str, binding: &Binding) -> Result<Vec<&'static str>> {
    migrate_with(client, database, binding, MIGRATIONS).await
}

/// As [`migrate`], with the files given.
///
/// # Errors
/// As [`migrate`].
pub async fn migrate_with(
    client: &Client,
    database: &str,
    binding: &Binding,
    migrations: &[Migration],
) -> Result<Vec<&'static str>> {
    create_database(client, database).await?;
    let client = &client.clone().with_database(database);
    for statement in BOOKKEEPING.statements() {
        execute(client, &statement, BOOKKEEPING.name).await?;
    }
    // First of all: nothing is changed in a database that shows another ledger.
    bind(client, database, binding).await?;
    let applied = applied(client).await?;
    check_applied(database, &applied, migrations)?;
    let mut now = Vec::new();
    for migration in migrations.iter().filter(|migration| !applied.iter().any(|row| row.version == migration.version)) {
        for statement in migration.statements() {
            execute(client, &statement, migration.name).await?;
        }
        record(client, migration).await?;
        tracing::info!(database, migration = migration.name, "migration applied");
        now.push(migration.name);
    }
    // The client remembers the columns of tables it has seen.
    client.clear_cached_metadata().await;
    Ok(now)
}

async fn create_database(client: &Client, database: &str) -> Result<()> {
    // The database cannot be named in the request while it does not exist.
    let client = client.clone().with_database("system");
    let quoted = identifier(database);
    execute(&client, &format!("CREATE DATABASE IF NOT EXISTS {quoted} ENGINE = Atomic"), "create database").await?;
    let query = client.query("SELECT engine FROM system.databases WHERE name = ?").bind(database);
    let engine = within_limit(query.fetch_one::<String>()).await.map_err(failed("read the database's engine"))?;
    if ["Atomic", "Replicated", "Shared"].contains(&engine.as_str()) {
        return Ok(());
    }
    Err(MigrationError::Engine { database: database.to_owned(), engine })
}

async fn bind(client: &Client, database: &str, binding: &Binding) -> Result<()> {
    const DOING: &str = "bind the database";
    let read = client.query("SELECT kafka_cluster_id, ledger_topic, partitions FROM projection ORDER BY bound_at");
    let mut rows = within_limit(read.clone().fetch_all::<BindingRow>()).await.map_err(failed(DOING))?;
    if rows.is_empty() {
        let insert = client
            .query("INSERT INTO projection (kafka_cluster_id, ledger_topic, partitions) VALUES (?, ?, ?)")
            .bind(&binding.cluster_id)
            .bind(&binding.ledger_topic)
            .bind(binding.partitions)
            .with_setting("async_insert", "0")
            .with_setting("insert_deduplication_token", "projection");
        within_limit(insert.execute()).await.map_err(failed(DOING))?;
        // Read back: somebody else may have been first.
        rows = within_limit(read.fetch_all::<BindingRow>()).await.map_err(failed(DOING))?;
    }
    let shown = |row: BindingRow| Binding {
        cluster_id: row.kafka_cluster_id,
        ledger_topic: row.ledger_topic,
        partitions: row.partitions,
    };
    match rows.into_iter().map(shown).find(|found| found != binding) {
        None => Ok(()),
        Some(found) => Err(MigrationError::OtherLedger {
            database: database.to_owned(),
            found: Box::new(found),
            expected: Box::new(binding.clone()),
        }),
    }
}

async fn applied(client: &Client) -> Result<Vec<AppliedRow>> {
    let query = client.query("SELECT version, name, sha256 FROM schema_migrations ORDER BY version");
    within_limit(query.fetch_all::<AppliedRow>()).await.map_err(failed("read schema_migrations"))
}

fn check_applied(database: &str, applied: &[AppliedRow], migrations: &[Migration]) -> Result<()> {
    for row in applied {
        let Some(migration) = migrations.iter().find(|migration| migration.version == row.version) else {
            let (database, name, version) = (database.to_owned(), row.name.clone(), row.version);
            return Err(MigrationError::Newer { database, name, version });
        };
        let now = migration.sha256();
        if now != row.sha256 {
            let (name, applied) = (row.name.clone(), row.sha256.clone());
            return Err(MigrationError::Changed { name, database: database.to_owned(), applied, now });
        }
    }
    Ok(())
}

async fn record(client: &Client, migration: &Migration) -> Result<()> {
    let insert = client
        .query("INSERT INTO schema_migrations (version, name, sha256) VALUES (?, ?, ?)")
        .bind(migration.version)
        .bind(migration.name)
        .bind(migration.sha256())
        .with_setting("async_insert", "0")
        .with_setting("insert_deduplication_token", format!("migration-{}", migration.version));
    within_limit(insert.execute()).await.map_err(failed(migration.name))
}

async fn execute(client: &Client, statement: &str, doing: &str) -> Result<()> {
    within_limit(client.query_raw(statement).execute()).await.map_err(failed(doing))
}

fn failed(doing: &str) -> impl FnOnce(clickhouse::error::Error) -> MigrationError + use<> {
    let doing = doing.to_owned();
    move |source| MigrationError::ClickHouse { doing, source }
}
