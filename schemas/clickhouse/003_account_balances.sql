-- The newest state of every account, for the start of the live view.
--
-- Each part keeps, per account, the tuple with the highest `seq`; tuples compare by their first element. The maximum is
-- the same however often and in whatever order a block arrives, so that a repeat cannot harm it. Read it as
-- `SELECT account_id, max(latest), max(plan), max(profile), max(state) FROM account_balances GROUP BY account_id`.
CREATE TABLE IF NOT EXISTS account_balances
(
    account_id String,
    latest     SimpleAggregateFunction(max, Tuple(
                   seq UInt64, balance Decimal(18, 6), held Decimal(18, 6), posted_at DateTime64(3, 'UTC'))),
    -- `seq` 0: not told by the entries of this part.
    profile    SimpleAggregateFunction(max, Tuple(
                   seq UInt64, name String, currency String, time_zone String, opened_at DateTime64(3, 'UTC'))),
    plan       SimpleAggregateFunction(max, Tuple(seq UInt64, plan String, effective_at_ms Int64)),
    -- Protobuf: parts, budgets and whatever else the live view needs.
    state      SimpleAggregateFunction(max, Tuple(seq UInt64, state String))
)
ENGINE = AggregatingMergeTree
ORDER BY account_id
SETTINGS
    non_replicated_deduplication_window = 100000,
    min_parts_to_merge_at_once = 24,
    fsync_after_insert = 1,
    fsync_part_directory = 1;

-- `argMax` over one block, because `max` of tuples compares them value by value; the table then merges few rows.
CREATE MATERIALIZED VIEW IF NOT EXISTS account_balances_mv TO account_balances AS
SELECT
    account_id,
    (
        max(seq),
        argMax(balance_after, seq),
        argMax(held_after, seq),
        argMax(posted_at, seq)
    ) AS latest,
    (
        maxIf(seq, type = 'account_opened'),
        argMaxIf(account_name, seq, type = 'account_opened'),
        argMaxIf(toString(currency), seq, type = 'account_opened'),
        argMaxIf(toString(time_zone), seq, type = 'account_opened'),
        argMaxIf(posted_at, seq, type = 'account_opened')
    ) AS profile,
    (
        maxIf(seq, type IN ('account_opened', 'plan_changed')),
        argMaxIf(toString(ledger.plan), seq, type IN ('account_opened', 'plan_changed')),
        argMaxIf(plan_effective_at_ms, seq, type IN ('account_opened', 'plan_changed'))
    ) AS plan,
    (
        maxIf(seq, account_state != ''),
        argMaxIf(account_state, seq, account_state != '')
    ) AS state
FROM ledger
GROUP BY account_id;
