-- What was sunk: one row a block, written after the block's intent was committed to Kafka and before its rows are
-- inserted. Of the newest row it is therefore open whether the rows are there; repeating that block with its token
-- settles it. Of every older row they are.
--
-- Kafka forgets the offsets of an idle group; from here the sink finds them again. Only the newest row counts for that,
-- and there are two blocks a second: so a row replaces the ones before it in its slot when parts are merged. The highest
-- position always stays, whichever slot it falls into, however long nothing comes after it; beside it a sample of at
-- most 1,023 older rows, for people.
CREATE TABLE IF NOT EXISTS sunk_ranges
(
    slot       UInt16 MATERIALIZED cityHash64(token) % 1024,
    -- Sum of the ranges' ends: grows with every block, whoever wrote it.
    position   UInt64                                                CODEC(DoubleDelta, ZSTD(1)),
    -- The block's `insert_deduplication_token`.
    token      String                                                CODEC(ZSTD(1)),
    -- Every partition of the ledger topic, `[begin_offset, end_offset)`, empty ones included.
    ranges     Array(Tuple(partition Int32, begin_offset Int64, end_offset Int64)) CODEC(ZSTD(1)),
    rows       UInt64                                                CODEC(T64, ZSTD(1)),
    written_at DateTime64(3, 'UTC') DEFAULT now64(3)                 CODEC(Delta, ZSTD(1))
)
ENGINE = ReplacingMergeTree(position)
ORDER BY slot
SETTINGS
    non_replicated_deduplication_window = 100000,
    min_parts_to_merge_at_once = 24,
    fsync_after_insert = 1,
    fsync_part_directory = 1;
