-- What the migration runner itself needs; applied at every start, so it must stay as it is.
CREATE TABLE IF NOT EXISTS schema_migrations
(
    version    UInt32,
    name       String,
    sha256     String,
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree
ORDER BY version
SETTINGS
    non_replicated_deduplication_window = 100000,
    fsync_after_insert = 1,
    fsync_part_directory = 1;

-- Which ledger this database is a projection of: one row, written once.
CREATE TABLE IF NOT EXISTS projection
(
    kafka_cluster_id String,
    ledger_topic     String,
    partitions       Int32,
    bound_at         DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree
ORDER BY tuple()
SETTINGS
    non_replicated_deduplication_window = 100000,
    fsync_after_insert = 1,
    fsync_part_directory = 1;
