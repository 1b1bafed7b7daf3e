-- What the drift watch of the active sink last found: a row for each kind of contradiction, for whoever looks from elsewhere.
-- It is no part of the projection, and nothing is decided by it.
CREATE TABLE IF NOT EXISTS drift
(
    kind      LowCardinality(String),
    -- When this watch began: what one before it knew, it has to find anew.
    began_at  DateTime64(3, 'UTC'),
    -- When it last finished a turn.
    looked_at DateTime64(3, 'UTC'),
    -- When it had last looked at every account; 1970: not yet.
    passed_at DateTime64(3, 'UTC'),
    -- Accounts that are off.
    accounts  UInt64,
    -- Those that are off the most, in micro-units; 0 where only counts differ.
    examples  Array(Tuple(account_id String, micros UInt64))
)
ENGINE = ReplacingMergeTree(looked_at)
ORDER BY kind
SETTINGS
    non_replicated_deduplication_window = 100000,
    fsync_after_insert = 1,
    fsync_part_directory = 1,
    auto_statistics_types = '';
