-- Rollups: sums per 15-minute UTC bucket of `occurred_at`. The hours, days and months of every current time zone are
-- unions of such buckets.
--
-- Sums are Decimal(38, 6): sums of Decimal(18, 6) wrap silently. Amounts are signed as in the ledger (spend is below 0).
-- `count` is successful operations net of reversals (for other types: entries), `failed` stands apart. A reversal takes
-- quantity and provider cost back. Unpartitioned, so that one block of `ledger` is one block here.

CREATE TABLE IF NOT EXISTS usage_15m_by_account
(
    account_id    String,
    bucket        DateTime('UTC')        CODEC(DoubleDelta, ZSTD(1)),
    type          LowCardinality(String),
    service       LowCardinality(String),
    engine        LowCardinality(String),
    variant       LowCardinality(String),
    plan          LowCardinality(String),
    status        LowCardinality(String),
    count         SimpleAggregateFunction(sum, Int64)          CODEC(T64, ZSTD(1)),
    failed        SimpleAggregateFunction(sum, Int64)          CODEC(T64, ZSTD(1)),
    quantity      SimpleAggregateFunction(sum, Decimal(38, 6)) CODEC(ZSTD(1)),
    amount        SimpleAggregateFunction(sum, Decimal(38, 6)) CODEC(ZSTD(1)),
    provider_cost SimpleAggregateFunction(sum, Decimal(38, 6)) CODEC(ZSTD(1))
)
ENGINE = AggregatingMergeTree
ORDER BY (account_id, bucket, type, service, engine, variant, plan, status)
SETTINGS
    non_replicated_deduplication_window = 100000,
    min_parts_to_merge_at_once = 24,
    fsync_after_insert = 1,
    fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS usage_15m_by_account_mv TO usage_15m_by_account AS
SELECT
    account_id,
    toStartOfFifteenMinutes(occurred_at) AS bucket,
    type,
    service,
    engine,
    variant,
    plan,
    status,
    sum(toInt64(multiIf(type = 'reversal', -1, status = 'failed', 0, 1))) AS count,
    sum(toInt64(status = 'failed')) AS failed,
    sum(toDecimal128(if(type = 'reversal', -ledger.quantity, ledger.quantity), 6)) AS quantity,
    sum(toDecimal128(ledger.amount, 6)) AS amount,
    sum(toDecimal128(if(type = 'reversal', -ledger.provider_cost, ledger.provider_cost), 6)) AS provider_cost
FROM ledger
WHERE type NOT IN ('account_opened', 'plan_changed')
GROUP BY account_id, bucket, type, service, engine, variant, plan, status;

CREATE TABLE IF NOT EXISTS usage_15m_by_event
(
    account_id    String,
    event_id      String,
    bucket        DateTime('UTC')        CODEC(DoubleDelta, ZSTD(1)),
    type          LowCardinality(String),
    service       LowCardinality(String),
    engine        LowCardinality(String),
    variant       LowCardinality(String),
    plan          LowCardinality(String),
    status        LowCardinality(String),
    count         SimpleAggregateFunction(sum, Int64)          CODEC(T64, ZSTD(1)),
    failed        SimpleAggregateFunction(sum, Int64)          CODEC(T64, ZSTD(1)),
    quantity      SimpleAggregateFunction(sum, Decimal(38, 6)) CODEC(ZSTD(1)),
    amount        SimpleAggregateFunction(sum, Decimal(38, 6)) CODEC(ZSTD(1)),
    provider_cost SimpleAggregateFunction(sum, Decimal(38, 6)) CODEC(ZSTD(1))
)
ENGINE = AggregatingMergeTree
ORDER BY (account_id, event_id, bucket, type, service, engine, variant, plan, status)
SETTINGS
    non_replicated_deduplication_window = 100000,
    min_parts_to_merge_at_once = 24,
    fsync_after_insert = 1,
    fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS usage_15m_by_event_mv TO usage_15m_by_event AS
SELECT
    account_id,
    event_id,
    toStartOfFifteenMinutes(occurred_at) AS bucket,
    type,
    service,
    engine,
    variant,
    plan,
    status,
    sum(toInt64(multiIf(type = 'reversal', -1, status = 'failed', 0, 1))) AS count,
    sum(toInt64(status = 'failed')) AS failed,
    sum(toDecimal128(if(type = 'reversal', -ledger.quantity, ledger.quantity), 6)) AS quantity,
    sum(toDecimal128(ledger.amount, 6)) AS amount,
    sum(toDecimal128(if(type = 'reversal', -ledger.provider_cost, ledger.provider_cost), 6)) AS provider_cost
FROM ledger
WHERE type NOT IN ('account_opened', 'plan_changed') AND event_id != ''
GROUP BY account_id, event_id, bucket, type, service, engine, variant, plan, status;

CREATE TABLE IF NOT EXISTS usage_15m_by_booth
(
    account_id    String,
    booth_id      String,
    bucket        DateTime('UTC')        CODEC(DoubleDelta, ZSTD(1)),
    type          LowCardinality(String),
    service       LowCardinality(String),
    engine        LowCardinality(String),
    variant       LowCardinality(String),
    plan          LowCardinality(String),
    status        LowCardinality(String),
    count         SimpleAggregateFunction(sum, Int64)          CODEC(T64, ZSTD(1)),
    failed        SimpleAggregateFunction(sum, Int64)          CODEC(T64, ZSTD(1)),
    quantity      SimpleAggregateFunction(sum, Decimal(38, 6)) CODEC(ZSTD(1)),
    amount        SimpleAggregateFunction(sum, Decimal(38, 6)) CODEC(ZSTD(1)),
    provider_cost SimpleAggregateFunction(sum, Decimal(38, 6)) CODEC(ZSTD(1))
)
ENGINE = AggregatingMergeTree
ORDER BY (account_id, booth_id, bucket, type, service, engine, variant, plan, status)
SETTINGS
    non_replicated_deduplication_window = 100000,
    min_parts_to_merge_at_once = 24,
    fsync_after_insert = 1,
    fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS usage_15m_by_booth_mv TO usage_15m_by_booth AS
SELECT
    account_id,
    booth_id,
    toStartOfFifteenMinutes(occurred_at) AS bucket,
    type,
    service,
    engine,
    variant,
    plan,
    status,
    sum(toInt64(multiIf(type = 'reversal', -1, status = 'failed', 0, 1))) AS count,
    sum(toInt64(status = 'failed')) AS failed,
    sum(toDecimal128(if(type = 'reversal', -ledger.quantity, ledger.quantity), 6)) AS quantity,
    sum(toDecimal128(ledger.amount, 6)) AS amount,
    sum(toDecimal128(if(type = 'reversal', -ledger.provider_cost, ledger.provider_cost), 6)) AS provider_cost
FROM ledger
WHERE type NOT IN ('account_opened', 'plan_changed') AND booth_id != ''
GROUP BY account_id, booth_id, bucket, type, service, engine, variant, plan, status;
