-- What each service may do in ClickHouse, as roles. Run by a user with access management, with the database's name in place of
-- `tollbooth`; before each upgrade once more, since a migration may need what an older one did not. Then a user each, with a password of its own:
--
--   CREATE USER tollbooth_sink IDENTIFIED WITH sha256_password BY '...' DEFAULT ROLE tollbooth_sink;
--
-- Where the sink is run by `tollbooth-meter run`, the meter's user is the sink's. No other service writes.

CREATE DATABASE IF NOT EXISTS tollbooth ENGINE = Atomic;

CREATE ROLE IF NOT EXISTS tollbooth_sink;
CREATE ROLE IF NOT EXISTS tollbooth_query;
CREATE ROLE IF NOT EXISTS tollbooth_ingest;
CREATE ROLE IF NOT EXISTS tollbooth_verify;

-- Owns the tables: makes them, changes them by this release's migrations, fills them. It deletes nothing: no DROP, TRUNCATE, DELETE
-- or UPDATE. (CREATE DATABASE, of this one: it is asked for at every start, and answered that it is there.)
GRANT SELECT, INSERT, CREATE DATABASE, CREATE TABLE, CREATE VIEW ON tollbooth.* TO tollbooth_sink;
GRANT ALTER ADD COLUMN, ALTER ADD INDEX, ALTER DROP INDEX, ALTER MATERIALIZE INDEX, ALTER SETTINGS, ALTER VIEW MODIFY QUERY ON tollbooth.* TO tollbooth_sink;
-- Of the kinds that the tables are; the database's own is asked for with it. On a replicated installation theirs, in the same way.
GRANT TABLE ENGINE ON Atomic TO tollbooth_sink;
GRANT TABLE ENGINE ON MergeTree TO tollbooth_sink;
GRANT TABLE ENGINE ON AggregatingMergeTree TO tollbooth_sink;
GRANT TABLE ENGINE ON ReplacingMergeTree TO tollbooth_sink;
-- That every table remembers enough blocks to know a repeated one.
GRANT SELECT ON system.tables TO tollbooth_sink;
GRANT SELECT ON system.databases TO tollbooth_sink;

-- History, charts and balances.
GRANT SELECT ON tollbooth.* TO tollbooth_query;

-- Charges that are to be refunded or priced anew.
GRANT SELECT ON tollbooth.ledger TO tollbooth_ingest;
GRANT SELECT ON tollbooth.usage_15m_by_account TO tollbooth_ingest;

-- Everything, to compare it with the ledger.
GRANT SELECT ON tollbooth.* TO tollbooth_verify;
GRANT SELECT ON system.tables TO tollbooth_verify;
