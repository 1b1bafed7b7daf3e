-- What the drift watch of the active sink has itself read of the ledger topic, to hold the tables against: a row for each
-- partition. It is no part of the projection: emptied, the topic is read again from its beginning.
CREATE TABLE IF NOT EXISTS ledger_totals
(
    partition   Int32,
    -- Every record before it was read.
    next_offset Int64,
    -- How many entries those records have.
    entries     UInt64,
    -- What the amounts of those entries sum to.
    amount      Decimal(38, 6),
    read_at     DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(next_offset)
ORDER BY partition
SETTINGS
    non_replicated_deduplication_window = 100000,
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    auto_statistics_types = '';
