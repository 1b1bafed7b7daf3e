//! The ledger in PostgreSQL: its tables, the calls that debit, and the proof that a run left it whole.

use std::{
    collections::VecDeque,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, ensure};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use tokio_postgres::{Client, Statement};
use tollbooth_schemas::usage::{UsageEvent, parse_structured};
use uuid::{Builder, Uuid};

use super::server::Server;
use crate::{
    feed::{CREDIT_MICROS, account_id, account_index},
    tariff::Tariff,
};

const SCHEMA: &str = include_str!("ledger.sql");
/// Events of one call.
pub(crate) const BATCH: usize = 1_000;
/// Calls that a connection has sent and not had answered: the server does not wait for the client.
const IN_FLIGHT: usize = 2;
const DEBIT: &str = "SELECT debit($1, $2, $3, $4, $5, $6, $7, $8)";
const DEBIT_BATCH: &str = "SELECT debit_batch($1, $2, $3, $4, $5, $6, $7, $8)";

/// Debits as columns, the form in which they are sent.
#[derive(Debug, Default, Clone)]
pub(crate) struct Debits {
    accounts: Vec<i64>,
    operations: Vec<Uuid>,
    amounts: Vec<i64>,
    occurred: Vec<SystemTime>,
    services: Vec<&'static str>,
    engines: Vec<&'static str>,
    events: Vec<String>,
    booths: Vec<String>,
}

impl Debits {
    pub(crate) fn len(&self) -> usize {
        self.accounts.len()
    }

    /// Puts others behind them.
    pub(crate) fn append(&mut self, mut others: Self) {
        self.accounts.append(&mut others.accounts);
        self.operations.append(&mut others.operations);
        self.amounts.append(&mut others.amounts);
        self.occurred.append(&mut others.occurred);
        self.services.append(&mut others.services);
        self.engines.append(&mut others.engines);
        self.events.append(&mut others.events);
        self.booths.append(&mut others.booths);
    }

    /// What they come to.
    pub(crate) fn sum(&self) -> i64 {
        self.amounts.iter().sum()
    }

    fn push(&mut self, account: i64, event: &UsageEvent<'_>, tariff: &Tariff) -> anyhow::Result<()> {
        let (rate, amount) = tariff.price(event)?;
        let milliseconds = u64::try_from(event.occurred_at_ms)?;
        self.accounts.push(account);
        self.operations.push(key(&event.operation_id.0, milliseconds)?);
        self.amounts.push(amount);
        self.occurred.push(UNIX_EPOCH + Duration::from_millis(milliseconds));
        self.services.push(rate.service);
        self.engines.push(rate.engine);
        self.events.push(event.event_id.as_ref().map(|id| id.0.to_string()).unwrap_or_default());
        self.booths.push(event.booth_id.as_ref().map(|id| id.0.to_string()).unwrap_or_default());
        Ok(())
    }

    async fn send(&self, client: &Client, statement: &Statement) -> anyhow::Result<u64> {
        let Self { accounts, operations, amounts, occurred, services, engines, events, booths } = self;
        let row = client
            .query_one(statement, &[accounts, operations, amounts, occurred, services, engines, events, booths])
            .await?;
        Ok(u64::try_from(row.try_get::<_, i64>(0)?)?)
    }
}

/// An operation's id as a version 7 UUID: its time in front, so that an index grows at its right end, and 74 of its own
/// 128 bits behind. The same operation has the same key.
fn key(operation_id: &str, milliseconds: u64) -> anyhow::Result<Uuid> {
    let hex = operation_id.strip_prefix("op_").context("an operation id of another form")?;
    let bits = u128::from_str_radix(hex, 16).context("an operation id of another form")?.to_be_bytes();
    let own = bits.first_chunk().context("16 bytes have 10")?;
    Ok(Builder::from_unix_timestamp_millis(milliseconds, own).into_uuid())
}

/// Divides events among connections by account, so that no two ever want the same row, and into calls.
pub(crate) struct Divider {
    tariff: Tariff,
    open: Vec<Debits>,
}

impl Divider {
    pub(crate) fn new(connections: usize) -> anyhow::Result<Self> {
        Ok(Self { tariff: Tariff::published()?, open: vec![Debits::default(); connections] })
    }

    /// Takes an event's text; gives back a connection and its call, once that is full.
    pub(crate) fn take(&mut self, text: &[u8]) -> anyhow::Result<Option<(usize, Debits)>> {
        let event = parse_structured(text)?;
        let account = account_index(&event.account_id.0).context("an account of another set")?;
        let connection = account % self.open.len();
        let open = &mut self.open[connection];
        open.push(i64::try_from(account)?, &event, &self.tariff)?;
        Ok((open.len() == BATCH).then(|| (connection, std::mem::take(open))))
    }

    /// The calls that are not full.
    pub(crate) fn rest(self) -> impl Iterator<Item = (usize, Debits)> {
        self.open.into_iter().enumerate().filter(|(_, debits)| debits.len() > 0)
    }
}

/// Empty tables, with accounts that have credit.
pub(crate) async fn prepare(server: &Server, accounts: usize) -> anyhow::Result<Client> {
    let client = server.connect().await?;
    client.batch_execute(SCHEMA).await.context("the schema")?;
    let numbers: Vec<i64> = (0..accounts).map(i64::try_from).collect::<Result<_, _>>()?;
    let ids: Vec<String> = (0..accounts).map(account_id).collect();
    let insert = "INSERT INTO accounts SELECT account, id, $3::bigint, 0 FROM unnest($1::bigint[], $2::text[]) AS new (account, id)";
    client.execute(insert, &[&numbers, &ids, &CREDIT_MICROS]).await?;
    client.batch_execute("ANALYZE accounts; CHECKPOINT").await?;
    Ok(client)
}

/// Sends one call after the other, the next one before the answer; gives back how many events were charged.
pub(crate) async fn send_batches(client: &Client, batches: impl Stream<Item = Debits>) -> anyhow::Result<u64> {
    let statement = &client.prepare(DEBIT_BATCH).await?;
    let answers = batches.map(|debits| async move { debits.send(client, statement).await }).buffered(IN_FLIGHT);
    answers.try_fold(0, |sum, charged| async move { Ok(sum + charged) }).await
}

/// Charges every `step`th event from `first` on, each by a call and a transaction of its own.
pub(crate) async fn send_rows(client: &Client, debits: &Debits, first: usize, step: usize) -> anyhow::Result<u64> {
    let statement = client.prepare(DEBIT).await?;
    let mut charged = 0;
    for row in (first..debits.len()).step_by(step) {
        let Debits { accounts, operations, amounts, occurred, services, engines, events, booths } = debits;
        let answer = client
            .query_one(
                &statement,
                &[
                    &accounts[row],
                    &operations[row],
                    &amounts[row],
                    &occurred[row],
                    &services[row],
                    &engines[row],
                    &events[row],
                    &booths[row],
                ],
            )
            .await?;
        charged += u64::from(answer.try_get::<_, bool>(0)?);
    }
    Ok(charged)
}

/// What a run must have left behind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected {
    pub(crate) events: usize,
    pub(crate) sum: i64,
}

/// Counts, sums, numbers without gaps and each balance from the one before, all by the database itself.
///
/// # Errors
/// When something is off. Then there is no figure.
pub(crate) async fn verify(client: &Client, expected: Expected) -> anyhow::Result<()> {
    let number = async |what: &str, sql: &str| -> anyhow::Result<i64> {
        let row = client.query_one(sql, &[]).await.with_context(|| what.to_owned())?;
        Ok(row.try_get(0)?)
    };
    let events = i64::try_from(expected.events)?;
    let credit = CREDIT_MICROS;
    let checks: [(&str, String, i64); 6] = [
        ("rows of the ledger", "SELECT count(*) FROM ledger".to_owned(), events),
        ("operations", "SELECT count(*) FROM operations".to_owned(), events),
        (
            "rows of the ledger with an operation of their own",
            "SELECT count(DISTINCT operation) FROM ledger JOIN operations USING (operation)".to_owned(),
            events,
        ),
        ("the sum of the ledger", "SELECT total(amount) FROM ledger".to_owned(), expected.sum),
        (
            "accounts whose numbers have gaps or whose balance is not what the ledger says",
            format!(
                "SELECT count(*) FROM accounts FULL JOIN (
                     SELECT account, count(*) AS rows, min(seq) AS first, max(seq) AS last, total(amount) AS spent
                     FROM ledger GROUP BY account
                 ) AS kept USING (account)
                 WHERE seq IS DISTINCT FROM coalesce(rows, 0) OR coalesce(first, 1) <> 1 OR coalesce(last, 0) <> seq
                    OR balance <> {credit} - coalesce(spent, 0)"
            ),
            0,
        ),
        (
            "rows whose balance does not follow from the one before",
            format!(
                "SELECT count(*) FROM (
                     SELECT amount, balance_after, lag(balance_after, 1, {credit}::bigint) OVER chain AS balance_before
                     FROM ledger WINDOW chain AS (PARTITION BY account ORDER BY seq)
                 ) AS rows WHERE balance_after <> balance_before - amount"
            ),
            0,
        ),
    ];
    for (what, sql, wanted) in checks {
        let found = number(what, &sql).await?;
        ensure!(found == wanted, "{what}: {found}, not {wanted}; the run does not verify, so there is no figure");
    }
    Ok(())
}

/// Shows on a few events that repeats are charged once, and that the verification sees what is broken. Before anything
/// is measured: a proof that cannot fail proves nothing.
pub(crate) async fn rehearse(server: &Server) -> anyhow::Result<()> {
    let accounts = 3;
    let client = prepare(server, accounts).await?;
    let mut divider = Divider::new(1)?;
    let mut full = VecDeque::new();
    crate::feed::each_event(accounts, BATCH + 10, 0, |_, text| {
        full.extend(divider.take(text.as_bytes())?.map(|(_, debits)| debits));
        Ok(())
    })?;
    let first = full.pop_front().context("a full call")?;
    let rest = divider.rest().next().context("a call that is not full")?.1;
    let expected = Expected { events: BATCH + 10, sum: first.sum() + rest.sum() };
    // The second call has everything twice, and the first one again.
    let mut repeated = rest.clone();
    repeated.append(rest.clone());
    repeated.append(first.clone());
    let calls = futures_util::stream::iter([first.clone(), repeated]);
    let charged = send_batches(&client, calls).await?;
    ensure!(usize::try_from(charged)? == expected.events, "{charged} were charged, not {}", expected.events);
    ensure!(send_rows(&client, &first, 0, 7).await? == 0, "an operation was charged by row again");
    verify(&client, expected).await?;
    for broken in [
        "UPDATE ledger SET balance_after = balance_after + 1 WHERE account = 1 AND seq = 2",
        "UPDATE accounts SET balance = balance - 1 WHERE account = 2",
        "UPDATE ledger SET seq = seq + 1000 WHERE account = 0 AND seq = (SELECT max(seq) FROM ledger WHERE account = 0)",
        "DELETE FROM ledger WHERE account = 0 AND seq = 1",
        "UPDATE ledger SET operation = (SELECT operation FROM ledger WHERE account = 1 AND seq = 1) WHERE account = 1 AND seq = 2",
    ] {
        client.batch_execute("BEGIN").await?;
        client.batch_execute(broken).await?;
        ensure!(verify(&client, expected).await.is_err(), "the verification does not see: {broken}");
        client.batch_execute("ROLLBACK").await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn keys_grow_with_time_and_are_the_same_for_the_same_operation() {
        // given operations of a backlog
        let mut keys = Vec::new();
        let tariff = Tariff::published().unwrap();
        let mut debits = Debits::default();
        crate::feed::each_event(10, 5_000, 1, |_, text| {
            let event = parse_structured(text.as_bytes()).unwrap();
            keys.push((event.occurred_at_ms, key(&event.operation_id.0, u64::try_from(event.occurred_at_ms)?)?));
            debits.push(0, &event, &tariff)
        })
        .unwrap();
        // then keys are of version 7, distinct, ordered by time, and a repeat has the same
        assert!(keys.iter().all(|(_, key)| key.get_version_num() == 7));
        assert_eq!(keys.iter().map(|(_, key)| key).collect::<BTreeSet<_>>().len(), 5_000);
        assert_eq!(keys.iter().map(|(_, key)| *key).collect::<Vec<_>>(), debits.operations);
        keys.sort_by_key(|(time, _)| *time);
        let prefixes: Vec<u128> = keys.iter().map(|(_, key)| key.as_u128() >> 80).collect();
        assert!(prefixes.is_sorted());
    }

    #[test]
    fn no_account_is_on_two_connections_and_no_event_is_lost() {
        // given events of 100 accounts, divided among four
        let mut divider = Divider::new(4).unwrap();
        let mut calls = Vec::new();
        crate::feed::each_event(100, 10_500, 1, |_, text| {
            calls.extend(divider.take(text.as_bytes())?);
            Ok(())
        })
        .unwrap();
        assert!(calls.iter().all(|(_, debits)| debits.len() == BATCH));
        calls.extend(divider.rest());
        // then each connection has accounts of its own, and together they have all events
        assert_eq!(calls.iter().map(|(_, debits)| debits.len()).sum::<usize>(), 10_500);
        for (connection, debits) in &calls {
            assert!(debits.accounts.iter().all(|account| usize::try_from(*account).unwrap() % 4 == *connection));
        }
    }
}
