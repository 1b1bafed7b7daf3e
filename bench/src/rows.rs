//! The statement that generates rows of usage: who worked when, in the shape in which parties come.
//!
//! An account's work lies in sessions, a party each, spread evenly over the time; a large account has them back to back.
//! What was done, how much of it and how late it was told is drawn by a hash of account and number, so that the same
//! arguments give the same rows.

use crate::feed;

/// Of the first account; every tenth of its rows.
pub(crate) const LARGEST_EVENT: &str = "evt_0_0";
/// Of work at a party: four hours where the account has fewer parties than fill its time.
const SESSION_MS_MAX: i64 = 14_400_000;
const ROWS_A_SESSION_MAX: usize = 1_000;
const ROWS_A_SESSION_MIN: usize = 20;
/// Sessions of an account, as far as they have so many rows.
const SESSIONS: usize = 50;
/// Of the kinds of work, in their order.
const UNIT_PRICES_MICROS: [i64; feed::WORK.len()] = [
    200_000, 250_000, 150_000, 20_000, 60_000, 50_000, 150_000, 250_000, 300_000, 200_000, 250_000, 300_000, 400_000,
    90_000,
];

/// What one statement generates: the rows that some accounts have in some time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slice {
    /// Of all accounts and the whole time.
    pub(crate) rows: usize,
    /// All of them.
    pub(crate) accounts: usize,
    /// The first one, and the one after the last.
    pub(crate) first: usize,
    pub(crate) end: usize,
    /// Sessions that begin from here on, not including the other one.
    pub(crate) from_ms: i64,
    pub(crate) to_ms: i64,
    /// The whole time.
    pub(crate) start_ms: i64,
    pub(crate) age_ms: i64,
}

#[allow(clippy::cast_precision_loss)] // Ten thousand.
fn harmonic(accounts: usize) -> f64 {
    (1..=accounts).map(|number| 1.0 / number as f64).sum()
}

/// How many rows an account has.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Far below 2^52, and above 0.
pub(crate) fn of_account(rows: usize, accounts: usize, number: usize) -> usize {
    (rows as f64 / harmonic(accounts) / (number + 1) as f64) as usize
}

/// A list of the kinds of work as a constant of the statement.
fn constants<T: std::fmt::Display>(of_type: &str, values: impl IntoIterator<Item = T>) -> String {
    let values: Vec<String> = values.into_iter().map(|value| value.to_string()).collect();
    format!("CAST([{}], 'Array({of_type})')", values.join(", "))
}

fn words(of: impl Fn(&feed::Work) -> &'static str) -> String {
    constants("LowCardinality(String)", feed::WORK.iter().map(|work| format!("'{}'", of(work))))
}

impl Slice {
    /// The statement. Sums are taken on from where the accounts' entries end in `account_balances`.
    pub(crate) fn insert(&self, database: &str) -> String {
        let Self { rows, accounts, first, end, from_ms, to_ms, start_ms, age_ms } = self;
        let harmonic = harmonic(*accounts);
        let (first_id, end_id) = (feed::account_id(*first), feed::account_id(*end));
        let by_percent = feed::WORK.iter().zip(1..).flat_map(|(work, number)| (0..work.0).map(move |_| number));
        let works = constants::<u8>("UInt8", by_percent);
        let prices = constants("Int64", UNIT_PRICES_MICROS);
        let (services, engines) = (words(|work| work.1), words(|work| work.2));
        let (variants, units) = (words(|work| work.3.unwrap_or_default()), words(|work| work.4));
        let id_begin = feed::account_id(0).len() - 4;
        format!(
            "INSERT INTO {database}.ledger (account_id, seq, type, status, service, engine, variant, unit, plan, quantity, \
             amount, balance_after, posted_at, occurred_at, receipt_lag_ms, event_id, booth_id, operation_id, attempt, \
             price_version, unit_price, provider_cost, has_provider_cost, source_topic, source_partition, source_offset) \
             WITH {works} AS works, {prices} AS prices, {services} AS services, {engines} AS engines, \
             {variants} AS variants, {units} AS units, {rows} AS all_rows, {start_ms} AS start_ms, {age_ms} AS age_ms \
             SELECT account_id, k + 3, 'consume', 'success', services[w], engines[w], variants[w], units[w], 'basic', \
             reinterpret(toInt64(quantity) * 1000000, 'Decimal(18, 6)'), reinterpret(toInt64(-spent), 'Decimal(18, 6)'), \
             reinterpret(toInt64(balance - cumulated), 'Decimal(18, 6)'), fromUnixTimestamp64Milli(at_ms, 'UTC'), \
             fromUnixTimestamp64Milli(at_ms - toInt64(if(h % 10 = 0, bitShiftRight(h, 20) % 120000, \
             bitShiftRight(h, 20) % 3000)), 'UTC'), toInt64(20 + bitShiftRight(h, 40) % 100), \
             if(a = 0 AND k % 10 = 0, '{LARGEST_EVENT}', concat(event_prefix, toString(session + 1))), \
             concat(booth_prefix, toString(bitShiftRight(h, 50) % 2 + 2 * (session % 6))), \
             concat('op_', lower(hex(intHash64(h + 1))), lower(hex(intHash64(h + 2)))), 1, 1, \
             reinterpret(prices[w], 'Decimal(18, 6)'), reinterpret(toInt64(intDiv(prices[w], 3)), 'Decimal(18, 6)'), true, \
             'usage', a % 8, toInt64(intDiv(toUInt64(at_ms - start_ms) * all_rows, age_ms * 8)) + h % 64 \
             FROM (SELECT a, account_id, event_prefix, booth_prefix, balance, k, h, w, quantity, spent, cumulated, \
             intDiv(k, per) AS session, \
             toInt64(start_ms + intDiv(age_ms * session, sessions) + intDiv((k % per) * length_ms, per)) AS at_ms \
             FROM (SELECT toUInt64(substring(account_id, {id_begin})) AS a, account_id, \
             concat('evt_', toString(a), '_') AS event_prefix, concat('bth_', toString(a), '_') AS booth_prefix, \
             toUInt64(all_rows / {harmonic:?} / (a + 1)) AS n, \
             greatest({ROWS_A_SESSION_MIN}, least({ROWS_A_SESSION_MAX}, intDiv(n, {SESSIONS}))) AS per, \
             greatest(1, intDiv(n + per - 1, per)) AS sessions, \
             least({SESSION_MS_MAX}, intDiv(age_ms, sessions)) AS length_ms, \
             intDiv(({from_ms} - start_ms) * sessions + age_ms - 1, age_ms) AS first_session, \
             intDiv(({to_ms} - start_ms) * sessions + age_ms - 1, age_ms) AS end_session, \
             range(least(n, toUInt64(first_session) * per), least(n, toUInt64(end_session) * per)) AS ks, \
             arrayMap(k -> intHash64(bitShiftLeft(a, 40) + k), ks) AS hs, \
             arrayMap(h -> works[h % 100 + 1], hs) AS ws, \
             arrayMap(h -> toUInt8(if(bitShiftRight(h, 10) % 10 = 0, 2, 1)), hs) AS quantities, \
             arrayMap((w, quantity) -> toInt64(prices[w] * quantity), ws, quantities) AS spents, \
             arrayCumSum(spents) AS sums, reinterpret(told, 'Int64') AS balance \
             FROM (SELECT account_id, max(latest).2 AS told FROM {database}.account_balances \
             WHERE account_id >= '{first_id}' AND account_id < '{end_id}' GROUP BY account_id ORDER BY account_id) \
             WHERE notEmpty(ks)) \
             ARRAY JOIN ks AS k, hs AS h, ws AS w, quantities AS quantity, spents AS spent, sums AS cumulated) \
             SETTINGS max_threads = 1, max_insert_threads = 1, async_insert = 0, insert_deduplicate = 0, \
             optimize_on_insert = 0, min_insert_block_size_rows = 2000000, min_insert_block_size_bytes = 0"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_work_has_a_price_and_a_percentile() {
        assert!(UNIT_PRICES_MICROS.iter().all(|price| *price > 0));
        assert_eq!(feed::WORK.iter().map(|work| work.0).sum::<u64>(), 100);
    }

    #[test]
    fn the_largest_of_a_hundred_million_has_ten() {
        let of = |number| of_account(100_000_000, 10_000, number);
        assert!((10_000_000..10_500_000).contains(&of(0)), "{}", of(0));
        let sum: usize = (0..10_000).map(of).sum();
        assert!((99_980_000..=100_000_000).contains(&sum), "{sum}");
    }
}
