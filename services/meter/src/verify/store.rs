//! ClickHouse as the audit needs it: whole tables, streamed, and their definitions.

use anyhow::Context as _;
use clickhouse::{Client, Row};
use serde::Deserialize;
use tollbooth_chassis::config::ClickHouseSection;
use tollbooth_schemas::clickhouse::MIGRATIONS;

use super::{
    audit::Audit,
    ledger_row::LedgerRow,
    rollups::{Rollup, RollupRow},
    rows::BalanceRow,
};

/// A table as the server describes it.
#[derive(Debug, Row, Deserialize)]
struct TableRow {
    name: String,
    definition: String,
}

fn client(section: &ClickHouseSection) -> Client {
    // The fields are written down beside the columns; a header with every result would be checked per value.
    tollbooth_chassis::clickhouse::client(section).with_validation(false)
}

/// Gives every table to the audit.
pub(super) async fn read(section: &ClickHouseSection, audit: &mut Audit) -> anyhow::Result<()> {
    let client = client(section);
    settings(&client, section, audit).await?;
    audit.tables_follow();
    rows(&client, audit).await.context("cannot read the table ledger")?;
    for rollup in Rollup::ALL {
        rollup_rows(&client, rollup, audit).await.with_context(|| format!("cannot read {}", rollup.table()))?;
    }
    balances(&client, audit).await.context("cannot read account_balances")
}

/// Names of the tables that the schema creates.
fn tables() -> Vec<String> {
    const CREATE: &str = "CREATE TABLE IF NOT EXISTS ";
    let statements = MIGRATIONS.iter().flat_map(|migration| migration.statements());
    let name = |statement: String| {
        let rest = statement.strip_prefix(CREATE)?;
        rest.split(|letter: char| letter.is_whitespace() || letter == '(').next().map(str::to_owned)
    };
    statements.filter_map(name).collect()
}

async fn settings(client: &Client, section: &ClickHouseSection, audit: &mut Audit) -> anyhow::Result<()> {
    let query = "SELECT name, create_table_query AS definition FROM system.tables WHERE database = ?";
    let found: Vec<TableRow> = client
        .query(query)
        .bind(&section.database)
        .fetch_all()
        .await
        .with_context(|| format!("cannot ask ClickHouse at {} for its tables", section.url))?;
    for name in tables() {
        let definition = found.iter().find(|table| table.name == name).map(|table| table.definition.as_str());
        audit.table_settings(&name, definition);
    }
    Ok(())
}

async fn rows(client: &Client, audit: &mut Audit) -> anyhow::Result<()> {
    let columns = LedgerRow::COLUMNS.join(", ");
    // No order: the audit finds an entry by account and seq, so the server need not sort.
    let mut cursor = client.query(&format!("SELECT {columns} FROM ledger")).fetch::<LedgerRow<'_>>()?;
    while let Some(row) = cursor.next().await? {
        audit.row(&row);
    }
    Ok(())
}

async fn rollup_rows(client: &Client, rollup: Rollup, audit: &mut Audit) -> anyhow::Result<()> {
    let (table, party) = (rollup.table(), rollup.party().unwrap_or("''"));
    let query = format!(
        "SELECT account_id, {party}, bucket, type, service, engine, variant, plan, status, count, failed, quantity, \
         amount, provider_cost FROM {table}"
    );
    let mut cursor = client.query(&query).fetch::<RollupRow<'_>>()?;
    while let Some(row) = cursor.next().await? {
        audit.rollup(rollup, &row);
    }
    Ok(())
}

async fn balances(client: &Client, audit: &mut Audit) -> anyhow::Result<()> {
    let query = "SELECT account_id, max(latest), max(profile), max(plan), max(profile_set) FROM account_balances \
         GROUP BY account_id";
    let mut cursor = client.query(query).fetch::<BalanceRow<'_>>()?;
    while let Some(row) = cursor.next().await? {
        audit.balance(&row);
    }
    Ok(())
}
