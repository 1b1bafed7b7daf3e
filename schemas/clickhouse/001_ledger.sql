-- The projection of the ledger topic: one row an entry, a pure function of the record it came from.
--
-- Ordered for what is read: one account's entries, newest first. `account_id` therefore costs next to nothing on disk,
-- and neighbours share event, booth, plan and price. Codecs are chosen by measurement (docs/clickhouse.md).
--
-- Every table that is written carries the deduplication window (its default, 0, turns the insert token off) and syncs
-- before it answers: the sink commits its offsets on the strength of that answer.
CREATE TABLE IF NOT EXISTS ledger
(
    account_id       String                 CODEC(ZSTD(3)),
    seq              UInt64                 CODEC(DoubleDelta, ZSTD(1)),
    type             LowCardinality(String) CODEC(ZSTD(1)),
    -- `success` or `failed` for usage, empty for everything else.
    status           LowCardinality(String) CODEC(ZSTD(1)),
    service          LowCardinality(String) CODEC(ZSTD(1)),
    engine           LowCardinality(String) CODEC(ZSTD(1)),
    variant          LowCardinality(String) CODEC(ZSTD(1)),
    country          LowCardinality(String) CODEC(ZSTD(1)),
    unit             LowCardinality(String) CODEC(ZSTD(1)),
    plan             LowCardinality(String) CODEC(ZSTD(1)),
    -- Set where the account is opened; an account never changes its currency.
    currency         LowCardinality(String) CODEC(ZSTD(1)),
    quantity         Decimal(18, 6)         CODEC(T64, ZSTD(1)),
    amount           Decimal(18, 6)         CODEC(T64, ZSTD(1)),
    balance_after    Decimal(18, 6)         CODEC(Delta, ZSTD(1)),
    held_after       Decimal(18, 6)         CODEC(Delta, ZSTD(1)),
    posted_at        DateTime64(3, 'UTC')   CODEC(Delta, ZSTD(1)),
    occurred_at      DateTime64(3, 'UTC')   CODEC(Delta, ZSTD(1)),
    -- How long before its posting the record was received; a small number packs where an instant does not.
    -- Negative where the clocks of broker and meter differ.
    receipt_lag_ms   Int64                  CODEC(T64, ZSTD(1)),
    received_at      DateTime64(3, 'UTC')   ALIAS posted_at - toIntervalMillisecond(receipt_lag_ms),
    -- How long before its occurrence the picture was taken; meaningful where `has_captured_at`.
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
    -- 0 where none was told, see `has_provider_cost`.
    provider_cost    Decimal(18, 6)         CODEC(T64, ZSTD(1)),
    has_provider_cost Bool                  CODEC(ZSTD(1)),
    -- Error code of failed usage, or the reason of a correction.
    reason           String                 CODEC(ZSTD(3)),
    note             String                 CODEC(ZSTD(3)),
    hold_id          String                 CODEC(ZSTD(3)),
    test_mode        Bool                   CODEC(ZSTD(1)),
    -- Id of the API key that asked, and its idempotency key; empty for usage.
    actor            String                 CODEC(ZSTD(3)),
    idempotency_key  String                 CODEC(ZSTD(3)),
    -- Where the entry came from: `usage` or `commands`, its partition and offset, and which generation of the topics.
    source_topic     LowCardinality(String) CODEC(ZSTD(1)),
    source_partition UInt16                 CODEC(T64, ZSTD(1)),
    source_offset    Int64                  CODEC(Delta, ZSTD(1)),
    input_generation UInt32                 CODEC(T64, ZSTD(1)),
    -- Facts of the account, set on the entries that open or change it.
    account_name     String                 CODEC(ZSTD(3)),
    time_zone        LowCardinality(String) CODEC(ZSTD(1)),
    -- From when a changed plan applies, milliseconds.
    plan_effective_at_ms Int64              CODEC(T64, ZSTD(1)),
    -- Protobuf: what the live view needs of an account beyond the columns; empty: unchanged.
    account_state    String                 CODEC(ZSTD(3)),
    -- What a search looks at.
    search_text      String ALIAS lower(concatWithSeparator(' ', service, engine, event_id, booth_id, operation_id)),

    INDEX event_filter event_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX search_tokens lower(concatWithSeparator(' ', service, engine, event_id, booth_id, operation_id))
          TYPE tokenbf_v1(16384, 4, 0) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(posted_at)
ORDER BY (account_id, seq)
SETTINGS
    non_replicated_deduplication_window = 100000,
    min_parts_to_merge_at_once = 8,
    fsync_after_insert = 1,
    fsync_part_directory = 1;
