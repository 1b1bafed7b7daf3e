-- Each sum says up to which entry of its account it goes. A block is one part of a rollup, and blocks come in the order of the
-- ledger, so that the newest entry among the rows of an answer tells which entries are in it, also while a block is inserted.
-- Rows from before say 0.
ALTER TABLE usage_15m_by_account
    ADD COLUMN IF NOT EXISTS newest_seq SimpleAggregateFunction(max, UInt64) CODEC(T64, ZSTD(1));

ALTER TABLE usage_15m_by_event
    ADD COLUMN IF NOT EXISTS newest_seq SimpleAggregateFunction(max, UInt64) CODEC(T64, ZSTD(1));

ALTER TABLE usage_15m_by_booth
    ADD COLUMN IF NOT EXISTS newest_seq SimpleAggregateFunction(max, UInt64) CODEC(T64, ZSTD(1));

ALTER TABLE usage_15m_by_account_mv MODIFY QUERY
SELECT
    account_id,
    toStartOfFifteenMinutes(occurred_at) AS bucket,
    type,
    service,
    engine,
    variant,
    plan,
    status,
    sum(toInt64(multiIf(type IN ('refund', 'reversal'), if(ledger.quantity = 0, 0, -1), status = 'failed', 0, 1))) AS count,
    sum(toInt64(status = 'failed')) AS failed,
    sum(toDecimal128(if(type IN ('refund', 'reversal'), -ledger.quantity, ledger.quantity), 6)) AS quantity,
    sum(toDecimal128(ledger.amount, 6)) AS amount,
    sum(toDecimal128(if(type IN ('refund', 'reversal'), -ledger.provider_cost, ledger.provider_cost), 6)) AS provider_cost,
    max(seq) AS newest_seq
FROM ledger
WHERE type IN (
    'consume', 'purchase', 'auto_recharge', 'refund', 'reversal', 'adjustment', 'bonus', 'bonus_expiry', 'plan_fee',
    'repriced')
GROUP BY account_id, bucket, type, service, engine, variant, plan, status;

ALTER TABLE usage_15m_by_event_mv MODIFY QUERY
SELECT
    account_id,
    event_id,
    toStartOfFifteenMinutes(occurred_at) AS bucket,
    type,
    service,
    engine,
    variant,
    plan,
    status,
    sum(toInt64(multiIf(type IN ('refund', 'reversal'), if(ledger.quantity = 0, 0, -1), status = 'failed', 0, 1))) AS count,
    sum(toInt64(status = 'failed')) AS failed,
    sum(toDecimal128(if(type IN ('refund', 'reversal'), -ledger.quantity, ledger.quantity), 6)) AS quantity,
    sum(toDecimal128(ledger.amount, 6)) AS amount,
    sum(toDecimal128(if(type IN ('refund', 'reversal'), -ledger.provider_cost, ledger.provider_cost), 6)) AS provider_cost,
    max(seq) AS newest_seq
FROM ledger
WHERE type IN (
    'consume', 'purchase', 'auto_recharge', 'refund', 'reversal', 'adjustment', 'bonus', 'bonus_expiry', 'plan_fee',
    'repriced')
    AND event_id != ''
GROUP BY account_id, event_id, bucket, type, service, engine, variant, plan, status;

ALTER TABLE usage_15m_by_booth_mv MODIFY QUERY
SELECT
    account_id,
    booth_id,
    toStartOfFifteenMinutes(occurred_at) AS bucket,
    type,
    service,
    engine,
    variant,
    plan,
    status,
    sum(toInt64(multiIf(type IN ('refund', 'reversal'), if(ledger.quantity = 0, 0, -1), status = 'failed', 0, 1))) AS count,
    sum(toInt64(status = 'failed')) AS failed,
    sum(toDecimal128(if(type IN ('refund', 'reversal'), -ledger.quantity, ledger.quantity), 6)) AS quantity,
    sum(toDecimal128(ledger.amount, 6)) AS amount,
    sum(toDecimal128(if(type IN ('refund', 'reversal'), -ledger.provider_cost, ledger.provider_cost), 6)) AS provider_cost,
    max(seq) AS newest_seq
FROM ledger
WHERE type IN (
    'consume', 'purchase', 'auto_recharge', 'refund', 'reversal', 'adjustment', 'bonus', 'bonus_expiry', 'plan_fee',
    'repriced')
    AND booth_id != ''
GROUP BY account_id, booth_id, bucket, type, service, engine, variant, plan, status;
