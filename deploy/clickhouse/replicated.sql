-- Made from schemas/clickhouse by the test of this name: UPDATE_SQL=1 writes it anew. See docs/scale.md.

CREATE TABLE IF NOT EXISTS schema_migrations
(
    version    UInt32,
    name       String,
    sha256     String,
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{database}/{shard}/{table}', '{replica}')
ORDER BY version
SETTINGS
    replicated_deduplication_window = 100000,
    replicated_deduplication_window_seconds = 604800,
    fsync_after_insert = 1,
    fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS projection
(
    kafka_cluster_id String,
    ledger_topic     String,
    partitions       Int32,
    bound_at         DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{database}/{shard}/{table}', '{replica}')
ORDER BY tuple()
SETTINGS
    replicated_deduplication_window = 100000,
    replicated_deduplication_window_seconds = 604800,
    fsync_after_insert = 1,
    fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS ledger
(
    account_id       String                 CODEC(ZSTD(3)),
    seq              UInt64                 CODEC(DoubleDelta, ZSTD(1)),
    type             LowCardinality(String) CODEC(ZSTD(1)),
    status           LowCardinality(String) CODEC(ZSTD(1)),
    service          LowCardinality(String) CODEC(ZSTD(1)),
    engine           LowCardinality(String) CODEC(ZSTD(1)),
    variant          LowCardinality(String) CODEC(ZSTD(1)),
    country          LowCardinality(String) CODEC(ZSTD(1)),
    unit             LowCardinality(String) CODEC(ZSTD(1)),
    plan             LowCardinality(String) CODEC(ZSTD(1)),
    currency         LowCardinality(String) CODEC(ZSTD(1)),
    quantity         Decimal(18, 6)         CODEC(T64, ZSTD(1)),
    amount           Decimal(18, 6)         CODEC(T64, ZSTD(1)),
    balance_after    Decimal(18, 6)         CODEC(Delta, ZSTD(1)),
    held_after       Decimal(18, 6)         CODEC(Delta, ZSTD(1)),
    posted_at        DateTime64(3, 'UTC')   CODEC(Delta, ZSTD(1)),
    occurred_at      DateTime64(3, 'UTC')   CODEC(Delta, ZSTD(1)),
    receipt_lag_ms   Int64                  CODEC(T64, ZSTD(1)),
    received_at      DateTime64(3, 'UTC')   ALIAS posted_at - toIntervalMillisecond(receipt_lag_ms),
    capture_lag_ms   Int64                  CODEC(T64, ZSTD(1)),
    has_captured_at  Bool                   CODEC(ZSTD(1)),
    captured_at      Nullable(DateTime64(3, 'UTC'))
                     ALIAS if(has_captured_at, occurred_at - toIntervalMillisecond(capture_lag_ms), NULL),
    event_id         String                 CODEC(ZSTD(3)),
    booth_id         String                 CODEC(ZSTD(3)),
    operation_id     String                 CODEC(ZSTD(3)),
    attempt          UInt32                 CODEC(T64, ZSTD(1)),
    price_version    UInt32                 CODEC(T64, ZSTD(1)),
    price_model      LowCardinality(String) CODEC(ZSTD(1)),
    unit_price       Decimal(18, 6)         CODEC(T64, ZSTD(1)),
    provider_cost    Decimal(18, 6)         CODEC(T64, ZSTD(1)),
    has_provider_cost Bool                  CODEC(ZSTD(1)),
    reason           String                 CODEC(ZSTD(3)),
    note             String                 CODEC(ZSTD(3)),
    hold_id          String                 CODEC(ZSTD(3)),
    test_mode        Bool                   CODEC(ZSTD(1)),
    actor            String                 CODEC(ZSTD(3)),
    idempotency_key  String                 CODEC(ZSTD(3)),
    source_topic     LowCardinality(String) CODEC(ZSTD(1)),
    source_partition UInt16                 CODEC(T64, ZSTD(1)),
    source_offset    Int64                  CODEC(Delta, ZSTD(1)),
    input_generation UInt32                 CODEC(T64, ZSTD(1)),
    account_name     String                 CODEC(ZSTD(3)),
    time_zone        LowCardinality(String) CODEC(ZSTD(1)),
    plan_effective_at_ms Int64              CODEC(T64, ZSTD(1)),
    account_state    String                 CODEC(ZSTD(3)),
    search_text      String ALIAS lower(concatWithSeparator(' ', service, engine, event_id, booth_id, operation_id)),

    INDEX event_filter event_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX search_tokens lower(concatWithSeparator(' ', service, engine, event_id, booth_id, operation_id))
          TYPE tokenbf_v1(16384, 4, 0) GRANULARITY 1
)
ENGINE = ReplicatedMergeTree('/clickhouse/tables/{database}/{shard}/{table}', '{replica}')
PARTITION BY toYYYYMM(posted_at)
ORDER BY (account_id, seq)
SETTINGS
    replicated_deduplication_window = 100000,
    replicated_deduplication_window_seconds = 604800,
    min_parts_to_merge_at_once = 8,
    fsync_after_insert = 1,
    fsync_part_directory = 1;

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
ENGINE = ReplicatedAggregatingMergeTree('/clickhouse/tables/{database}/{shard}/{table}', '{replica}')
ORDER BY (account_id, bucket, type, service, engine, variant, plan, status)
SETTINGS
    replicated_deduplication_window = 100000,
    replicated_deduplication_window_seconds = 604800,
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
ENGINE = ReplicatedAggregatingMergeTree('/clickhouse/tables/{database}/{shard}/{table}', '{replica}')
ORDER BY (account_id, event_id, bucket, type, service, engine, variant, plan, status)
SETTINGS
    replicated_deduplication_window = 100000,
    replicated_deduplication_window_seconds = 604800,
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
ENGINE = ReplicatedAggregatingMergeTree('/clickhouse/tables/{database}/{shard}/{table}', '{replica}')
ORDER BY (account_id, booth_id, bucket, type, service, engine, variant, plan, status)
SETTINGS
    replicated_deduplication_window = 100000,
    replicated_deduplication_window_seconds = 604800,
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

CREATE TABLE IF NOT EXISTS account_balances
(
    account_id String,
    latest     SimpleAggregateFunction(max, Tuple(
                   seq UInt64, balance Decimal(18, 6), held Decimal(18, 6), posted_at DateTime64(3, 'UTC'))),
    profile    SimpleAggregateFunction(max, Tuple(
                   seq UInt64, name String, currency String, time_zone String, opened_at DateTime64(3, 'UTC'))),
    plan       SimpleAggregateFunction(max, Tuple(seq UInt64, plan String, effective_at_ms Int64)),
    state      SimpleAggregateFunction(max, Tuple(seq UInt64, state String))
)
ENGINE = ReplicatedAggregatingMergeTree('/clickhouse/tables/{database}/{shard}/{table}', '{replica}')
ORDER BY account_id
SETTINGS
    replicated_deduplication_window = 100000,
    replicated_deduplication_window_seconds = 604800,
    min_parts_to_merge_at_once = 24,
    fsync_after_insert = 1,
    fsync_part_directory = 1;

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

CREATE TABLE IF NOT EXISTS sunk_ranges
(
    slot       UInt16 MATERIALIZED cityHash64(token) % 1024,
    position   UInt64                                                CODEC(DoubleDelta, ZSTD(1)),
    token      String                                                CODEC(ZSTD(1)),
    ranges     Array(Tuple(partition Int32, begin_offset Int64, end_offset Int64)) CODEC(ZSTD(1)),
    rows       UInt64                                                CODEC(T64, ZSTD(1)),
    written_at DateTime64(3, 'UTC') DEFAULT now64(3)                 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{database}/{shard}/{table}', '{replica}', position)
ORDER BY slot
SETTINGS
    replicated_deduplication_window = 100000,
    replicated_deduplication_window_seconds = 604800,
    min_parts_to_merge_at_once = 24,
    fsync_after_insert = 1,
    fsync_part_directory = 1;

ALTER TABLE ledger
    ADD COLUMN IF NOT EXISTS from_bonus Decimal(18, 6) CODEC(T64, ZSTD(1)),
    ADD COLUMN IF NOT EXISTS original_seq UInt64 CODEC(T64, ZSTD(1)),
    ADD COLUMN IF NOT EXISTS hold_amount Decimal(18, 6) CODEC(T64, ZSTD(1));

ALTER TABLE usage_15m_by_account_mv MODIFY QUERY
SELECT
    account_id,
    toStartOfFifteenMinutes(occurred_at) AS bucket,
    type,
    service,
    engine,
    variant,
    plan,
    status,
    sum(toInt64(multiIf(type IN ('refund', 'reversal'), if(ledger.quantity = 0, 0, -1), status = 'failed', 0, 1))) AS count,
    sum(toInt64(status = 'failed')) AS failed,
    sum(toDecimal128(if(type IN ('refund', 'reversal'), -ledger.quantity, ledger.quantity), 6)) AS quantity,
    sum(toDecimal128(ledger.amount, 6)) AS amount,
    sum(toDecimal128(if(type IN ('refund', 'reversal'), -ledger.provider_cost, ledger.provider_cost), 6)) AS provider_cost
FROM ledger
WHERE type NOT IN (
    'account_opened', 'plan_changed', 'hold_placed', 'hold_released', 'credit_limit_set', 'event_defined', 'booth_set')
GROUP BY account_id, bucket, type, service, engine, variant, plan, status;

ALTER TABLE usage_15m_by_event_mv MODIFY QUERY
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
    sum(toInt64(multiIf(type IN ('refund', 'reversal'), if(ledger.quantity = 0, 0, -1), status = 'failed', 0, 1))) AS count,
    sum(toInt64(status = 'failed')) AS failed,
    sum(toDecimal128(if(type IN ('refund', 'reversal'), -ledger.quantity, ledger.quantity), 6)) AS quantity,
    sum(toDecimal128(ledger.amount, 6)) AS amount,
    sum(toDecimal128(if(type IN ('refund', 'reversal'), -ledger.provider_cost, ledger.provider_cost), 6)) AS provider_cost
FROM ledger
WHERE type NOT IN (
    'account_opened', 'plan_changed', 'hold_placed', 'hold_released', 'credit_limit_set', 'event_defined', 'booth_set')
    AND event_id != ''
GROUP BY account_id, event_id, bucket, type, service, engine, variant, plan, status;

ALTER TABLE usage_15m_by_booth_mv MODIFY QUERY
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
    sum(toInt64(multiIf(type IN ('refund', 'reversal'), if(ledger.quantity = 0, 0, -1), status = 'failed', 0, 1))) AS count,
    sum(toInt64(status = 'failed')) AS failed,
    sum(toDecimal128(if(type IN ('refund', 'reversal'), -ledger.quantity, ledger.quantity), 6)) AS quantity,
    sum(toDecimal128(ledger.amount, 6)) AS amount,
    sum(toDecimal128(if(type IN ('refund', 'reversal'), -ledger.provider_cost, ledger.provider_cost), 6)) AS provider_cost
FROM ledger
WHERE type NOT IN (
    'account_opened', 'plan_changed', 'hold_placed', 'hold_released', 'credit_limit_set', 'event_defined', 'booth_set')
    AND booth_id != ''
GROUP BY account_id, booth_id, bucket, type, service, engine, variant, plan, status;

ALTER TABLE usage_15m_by_account_mv MODIFY QUERY
SELECT
    account_id,
    toStartOfFifteenMinutes(occurred_at) AS bucket,
    type,
    service,
    engine,
    variant,
    plan,
    status,
    sum(toInt64(multiIf(type IN ('refund', 'reversal'), if(ledger.quantity = 0, 0, -1), status = 'failed', 0, 1))) AS count,
    sum(toInt64(status = 'failed')) AS failed,
    sum(toDecimal128(if(type IN ('refund', 'reversal'), -ledger.quantity, ledger.quantity), 6)) AS quantity,
    sum(toDecimal128(ledger.amount, 6)) AS amount,
    sum(toDecimal128(if(type IN ('refund', 'reversal'), -ledger.provider_cost, ledger.provider_cost), 6)) AS provider_cost
FROM ledger
WHERE type IN (
    'consume', 'purchase', 'auto_recharge', 'refund', 'reversal', 'adjustment', 'bonus', 'bonus_expiry', 'plan_fee')
GROUP BY account_id, bucket, type, service, engine, variant, plan, status;

ALTER TABLE usage_15m_by_event_mv MODIFY QUERY
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
    sum(toInt64(multiIf(type IN ('refund', 'reversal'), if(ledger.quantity = 0, 0, -1), status = 'failed', 0, 1))) AS count,
    sum(toInt64(status = 'failed')) AS failed,
    sum(toDecimal128(if(type IN ('refund', 'reversal'), -ledger.quantity, ledger.quantity), 6)) AS quantity,
    sum(toDecimal128(ledger.amount, 6)) AS amount,
    sum(toDecimal128(if(type IN ('refund', 'reversal'), -ledger.provider_cost, ledger.provider_cost), 6)) AS provider_cost
FROM ledger
WHERE type IN (
    'consume', 'purchase', 'auto_recharge', 'refund', 'reversal', 'adjustment', 'bonus', 'bonus_expiry', 'plan_fee')
    AND event_id != ''
GROUP BY account_id, event_id, bucket, type, service, engine, variant, plan, status;

ALTER TABLE usage_15m_by_booth_mv MODIFY QUERY
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
    sum(toInt64(multiIf(type IN ('refund', 'reversal'), if(ledger.quantity = 0, 0, -1), status = 'failed', 0, 1))) AS count,
    sum(toInt64(status = 'failed')) AS failed,
    sum(toDecimal128(if(type IN ('refund', 'reversal'), -ledger.quantity, ledger.quantity), 6)) AS quantity,
    sum(toDecimal128(ledger.amount, 6)) AS amount,
    sum(toDecimal128(if(type IN ('refund', 'reversal'), -ledger.provider_cost, ledger.provider_cost), 6)) AS provider_cost
FROM ledger
WHERE type IN (
    'consume', 'purchase', 'auto_recharge', 'refund', 'reversal', 'adjustment', 'bonus', 'bonus_expiry', 'plan_fee')
    AND booth_id != ''
GROUP BY account_id, booth_id, bucket, type, service, engine, variant, plan, status;

ALTER TABLE ledger
    ADD COLUMN IF NOT EXISTS detail String CODEC(ZSTD(3)),
    ADD INDEX IF NOT EXISTS type_filter type TYPE set(32) GRANULARITY 4;

ALTER TABLE ledger DROP INDEX IF EXISTS search_tokens;

ALTER TABLE usage_15m_by_account_mv MODIFY QUERY
SELECT
    account_id,
    toStartOfFifteenMinutes(occurred_at) AS bucket,
    type,
    service,
    engine,
    variant,
    plan,
    status,
    sum(toInt64(multiIf(type IN ('refund', 'reversal'), if(ledger.quantity = 0, 0, -1), status = 'failed', 0, 1))) AS count,
    sum(toInt64(status = 'failed')) AS failed,
    sum(toDecimal128(if(type IN ('refund', 'reversal'), -ledger.quantity, ledger.quantity), 6)) AS quantity,
    sum(toDecimal128(ledger.amount, 6)) AS amount,
    sum(toDecimal128(if(type IN ('refund', 'reversal'), -ledger.provider_cost, ledger.provider_cost), 6)) AS provider_cost
FROM ledger
WHERE type IN (
    'consume', 'purchase', 'auto_recharge', 'refund', 'reversal', 'adjustment', 'bonus', 'bonus_expiry', 'plan_fee',
    'repriced')
GROUP BY account_id, bucket, type, service, engine, variant, plan, status;

ALTER TABLE usage_15m_by_event_mv MODIFY QUERY
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
    sum(toInt64(multiIf(type IN ('refund', 'reversal'), if(ledger.quantity = 0, 0, -1), status = 'failed', 0, 1))) AS count,
    sum(toInt64(status = 'failed')) AS failed,
    sum(toDecimal128(if(type IN ('refund', 'reversal'), -ledger.quantity, ledger.quantity), 6)) AS quantity,
    sum(toDecimal128(ledger.amount, 6)) AS amount,
    sum(toDecimal128(if(type IN ('refund', 'reversal'), -ledger.provider_cost, ledger.provider_cost), 6)) AS provider_cost
FROM ledger
WHERE type IN (
    'consume', 'purchase', 'auto_recharge', 'refund', 'reversal', 'adjustment', 'bonus', 'bonus_expiry', 'plan_fee',
    'repriced')
    AND event_id != ''
GROUP BY account_id, event_id, bucket, type, service, engine, variant, plan, status;

ALTER TABLE usage_15m_by_booth_mv MODIFY QUERY
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
    sum(toInt64(multiIf(type IN ('refund', 'reversal'), if(ledger.quantity = 0, 0, -1), status = 'failed', 0, 1))) AS count,
    sum(toInt64(status = 'failed')) AS failed,
    sum(toDecimal128(if(type IN ('refund', 'reversal'), -ledger.quantity, ledger.quantity), 6)) AS quantity,
    sum(toDecimal128(ledger.amount, 6)) AS amount,
    sum(toDecimal128(if(type IN ('refund', 'reversal'), -ledger.provider_cost, ledger.provider_cost), 6)) AS provider_cost
FROM ledger
WHERE type IN (
    'consume', 'purchase', 'auto_recharge', 'refund', 'reversal', 'adjustment', 'bonus', 'bonus_expiry', 'plan_fee',
    'repriced')
    AND booth_id != ''
GROUP BY account_id, booth_id, bucket, type, service, engine, variant, plan, status;

ALTER TABLE ledger MODIFY SETTING
    min_age_to_force_merge_seconds = 21600,
    min_age_to_force_merge_on_partition_only = 1,
    auto_statistics_types = '';

ALTER TABLE usage_15m_by_account MODIFY SETTING auto_statistics_types = '';

ALTER TABLE usage_15m_by_event MODIFY SETTING auto_statistics_types = '';

ALTER TABLE usage_15m_by_booth MODIFY SETTING auto_statistics_types = '';

ALTER TABLE account_balances MODIFY SETTING auto_statistics_types = '';

ALTER TABLE ledger ADD INDEX IF NOT EXISTS operation_filter lower(operation_id) TYPE bloom_filter(0.025) GRANULARITY 1;

ALTER TABLE ledger MATERIALIZE INDEX operation_filter;

ALTER TABLE ledger ADD INDEX IF NOT EXISTS occurred_filter occurred_at TYPE minmax GRANULARITY 1;

ALTER TABLE ledger MATERIALIZE INDEX occurred_filter;

CREATE TABLE IF NOT EXISTS drift
(
    kind      LowCardinality(String),
    began_at  DateTime64(3, 'UTC'),
    looked_at DateTime64(3, 'UTC'),
    passed_at DateTime64(3, 'UTC'),
    accounts  UInt64,
    examples  Array(Tuple(account_id String, micros UInt64))
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{database}/{shard}/{table}', '{replica}', looked_at)
ORDER BY kind
SETTINGS
    replicated_deduplication_window = 100000,
    replicated_deduplication_window_seconds = 604800,
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    auto_statistics_types = '';

ALTER TABLE usage_15m_by_account
    ADD COLUMN IF NOT EXISTS newest_seq SimpleAggregateFunction(max, UInt64) CODEC(T64, ZSTD(1));

ALTER TABLE usage_15m_by_event
    ADD COLUMN IF NOT EXISTS newest_seq SimpleAggregateFunction(max, UInt64) CODEC(T64, ZSTD(1));

ALTER TABLE usage_15m_by_booth
    ADD COLUMN IF NOT EXISTS newest_seq SimpleAggregateFunction(max, UInt64) CODEC(T64, ZSTD(1));

ALTER TABLE usage_15m_by_account_mv MODIFY QUERY
SELECT
    account_id,
    toStartOfFifteenMinutes(occurred_at) AS bucket,
    type,
    service,
    engine,
    variant,
    plan,
    status,
    sum(toInt64(multiIf(type IN ('refund', 'reversal'), if(ledger.quantity = 0, 0, -1), status = 'failed', 0, 1))) AS count,
    sum(toInt64(status = 'failed')) AS failed,
    sum(toDecimal128(if(type IN ('refund', 'reversal'), -ledger.quantity, ledger.quantity), 6)) AS quantity,
    sum(toDecimal128(ledger.amount, 6)) AS amount,
    sum(toDecimal128(if(type IN ('refund', 'reversal'), -ledger.provider_cost, ledger.provider_cost), 6)) AS provider_cost,
    max(seq) AS newest_seq
FROM ledger
WHERE type IN (
    'consume', 'purchase', 'auto_recharge', 'refund', 'reversal', 'adjustment', 'bonus', 'bonus_expiry', 'plan_fee',
    'repriced')
GROUP BY account_id, bucket, type, service, engine, variant, plan, status;

ALTER TABLE usage_15m_by_event_mv MODIFY QUERY
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
    sum(toInt64(multiIf(type IN ('refund', 'reversal'), if(ledger.quantity = 0, 0, -1), status = 'failed', 0, 1))) AS count,
    sum(toInt64(status = 'failed')) AS failed,
    sum(toDecimal128(if(type IN ('refund', 'reversal'), -ledger.quantity, ledger.quantity), 6)) AS quantity,
    sum(toDecimal128(ledger.amount, 6)) AS amount,
    sum(toDecimal128(if(type IN ('refund', 'reversal'), -ledger.provider_cost, ledger.provider_cost), 6)) AS provider_cost,
    max(seq) AS newest_seq
FROM ledger
WHERE type IN (
    'consume', 'purchase', 'auto_recharge', 'refund', 'reversal', 'adjustment', 'bonus', 'bonus_expiry', 'plan_fee',
    'repriced')
    AND event_id != ''
GROUP BY account_id, event_id, bucket, type, service, engine, variant, plan, status;

ALTER TABLE usage_15m_by_booth_mv MODIFY QUERY
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
    sum(toInt64(multiIf(type IN ('refund', 'reversal'), if(ledger.quantity = 0, 0, -1), status = 'failed', 0, 1))) AS count,
    sum(toInt64(status = 'failed')) AS failed,
    sum(toDecimal128(if(type IN ('refund', 'reversal'), -ledger.quantity, ledger.quantity), 6)) AS quantity,
    sum(toDecimal128(ledger.amount, 6)) AS amount,
    sum(toDecimal128(if(type IN ('refund', 'reversal'), -ledger.provider_cost, ledger.provider_cost), 6)) AS provider_cost,
    max(seq) AS newest_seq
FROM ledger
WHERE type IN (
    'consume', 'purchase', 'auto_recharge', 'refund', 'reversal', 'adjustment', 'bonus', 'bonus_expiry', 'plan_fee',
    'repriced')
    AND booth_id != ''
GROUP BY account_id, booth_id, bucket, type, service, engine, variant, plan, status;

ALTER TABLE account_balances
    ADD COLUMN IF NOT EXISTS profile_set SimpleAggregateFunction(max, Tuple(
        seq UInt64, name String, time_zone String));

ALTER TABLE account_balances_mv MODIFY QUERY
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
    ) AS state,
    (
        maxIf(seq, type = 'profile_set'),
        argMaxIf(account_name, seq, type = 'profile_set'),
        argMaxIf(toString(time_zone), seq, type = 'profile_set')
    ) AS profile_set
FROM ledger
GROUP BY account_id;

CREATE TABLE IF NOT EXISTS ledger_totals
(
    partition   Int32,
    next_offset Int64,
    entries     UInt64,
    amount      Decimal(38, 6),
    read_at     DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{database}/{shard}/{table}', '{replica}', next_offset)
ORDER BY partition
SETTINGS
    replicated_deduplication_window = 100000,
    replicated_deduplication_window_seconds = 604800,
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    auto_statistics_types = '';
