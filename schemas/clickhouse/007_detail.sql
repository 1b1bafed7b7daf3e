-- What a rare kind of entry says beyond the columns, and a way to find such entries among an account's usage.
ALTER TABLE ledger
    -- A JSON object, its members in alphabetical order; empty: nothing more.
    ADD COLUMN IF NOT EXISTS detail String CODEC(ZSTD(3)),
    ADD INDEX IF NOT EXISTS type_filter type TYPE set(32) GRANULARITY 4;
