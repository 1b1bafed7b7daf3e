-- Entries are asked for by when they occurred, and lie in the order in which they were posted: nearly the same, late ones
-- apart. Of each stretch of the table this says between which instants its entries lie, so that the others are not read.
ALTER TABLE ledger ADD INDEX IF NOT EXISTS occurred_filter occurred_at TYPE minmax GRANULARITY 1;

ALTER TABLE ledger MATERIALIZE INDEX occurred_filter;
