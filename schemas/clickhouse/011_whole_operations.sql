-- A search finds an operation of a large account by its whole id: of each stretch of the table this says whether the id may
-- be in it, for a byte a row. Parts from before get it in the background; until then they are read.
ALTER TABLE ledger ADD INDEX IF NOT EXISTS operation_filter lower(operation_id) TYPE bloom_filter(0.025) GRANULARITY 1;

ALTER TABLE ledger MATERIALIZE INDEX operation_filter;
