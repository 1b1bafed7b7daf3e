-- A ledger as PostgreSQL is used for one: debits by a call an event, and by a call for a thousand of them.
DROP SCHEMA public CASCADE;
CREATE SCHEMA public;

-- Room on each page, so that a changed balance stays on its page and no index is touched.
CREATE TABLE accounts (
    account bigint PRIMARY KEY,
    id text NOT NULL UNIQUE,
    balance bigint NOT NULL,
    seq bigint NOT NULL
) WITH (fillfactor = 30);

CREATE TABLE operations (operation uuid PRIMARY KEY);

CREATE TABLE ledger (
    account bigint NOT NULL,
    seq bigint NOT NULL,
    operation uuid NOT NULL,
    amount bigint NOT NULL,
    balance_after bigint NOT NULL,
    occurred timestamptz NOT NULL,
    service text NOT NULL,
    engine text NOT NULL,
    event text NOT NULL,
    booth text NOT NULL,
    PRIMARY KEY (account, seq)
);

-- `sum(bigint)` answers with numeric; this one stays with eight bytes and fails where they overflow.
CREATE AGGREGATE total(bigint) (SFUNC = int8pl, STYPE = bigint, INITCOND = '0', PARALLEL = SAFE);

-- One event; false where its operation was charged before.
CREATE FUNCTION debit(a bigint, o uuid, m bigint, t timestamptz, s text, e text, p text, b text) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    remaining bigint;
    number bigint;
BEGIN
    INSERT INTO operations VALUES (o) ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE accounts SET balance = balance - m, seq = seq + 1 WHERE account = a RETURNING balance, seq INTO STRICT remaining, number;
    INSERT INTO ledger VALUES (a, number, o, m, remaining, t, s, e, p, b);
    RETURN true;
END $$;

-- Many events; how many of them were charged. Of an operation that comes twice the first is.
CREATE FUNCTION debit_batch(a bigint[], o uuid[], m bigint[], t timestamptz[], s text[], e text[], p text[], b text[])
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    fresh uuid[];
    charged bigint;
BEGIN
    WITH inserted AS (
        INSERT INTO operations SELECT unnest(o) ON CONFLICT DO NOTHING RETURNING operation
    )
    SELECT array_agg(operation) INTO fresh FROM inserted;
    IF fresh IS NULL THEN
        RETURN 0;
    END IF;
    -- Nearly always all are new, and nothing has to be left out.
    IF cardinality(fresh) < cardinality(o) THEN
        SELECT array_agg(account ORDER BY position), array_agg(operation ORDER BY position),
               array_agg(amount ORDER BY position), array_agg(occurred ORDER BY position),
               array_agg(service ORDER BY position), array_agg(engine ORDER BY position),
               array_agg(event ORDER BY position), array_agg(booth ORDER BY position)
        INTO a, o, m, t, s, e, p, b
        FROM (
            SELECT DISTINCT ON (operation) *
            FROM unnest(a, o, m, t, s, e, p, b) WITH ORDINALITY
                AS sent (account, operation, amount, occurred, service, engine, event, booth, position)
            WHERE operation = ANY (fresh)
            ORDER BY operation, position
        ) AS firsts;
    END IF;

    WITH incoming AS MATERIALIZED (
        SELECT *, row_number() OVER running AS nth, total(amount) OVER running AS spent
        FROM unnest(a, o, m, t, s, e, p, b) WITH ORDINALITY
            AS sent (account, operation, amount, occurred, service, engine, event, booth, position)
        WINDOW running AS (PARTITION BY account ORDER BY position ROWS UNBOUNDED PRECEDING)
    ), summed AS (
        SELECT account, count(*) AS events, total(amount) AS spent FROM incoming GROUP BY account
    ), updated AS (
        UPDATE accounts SET balance = accounts.balance - summed.spent, seq = accounts.seq + summed.events
        FROM summed WHERE accounts.account = summed.account
        RETURNING accounts.account, accounts.seq - summed.events AS seq_before, accounts.balance + summed.spent AS balance_before
    )
    INSERT INTO ledger
    SELECT account, seq_before + nth, operation, amount, balance_before - spent, occurred, service, engine, event, booth
    FROM incoming JOIN updated USING (account);
    GET DIAGNOSTICS charged = ROW_COUNT;
    IF charged <> cardinality(o) THEN
        RAISE EXCEPTION 'an account is not known: % of % events have one', charged, cardinality(o);
    END IF;
    RETURN charged;
END $$;
