-- The views as before, and: the types that move money are named instead of those that move none, so that a type that is
-- added is in no rollup until it is named here.
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
    sum(toDecimal128(if(type IN ('refund', 'reversal'), -ledger.provider_cost, ledger.provider_cost), 6)) AS provider_cost
FROM ledger
WHERE type IN (
    'consume', 'purchase', 'auto_recharge', 'refund', 'reversal', 'adjustment', 'bonus', 'bonus_expiry', 'plan_fee')
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
    sum(toDecimal128(if(type IN ('refund', 'reversal'), -ledger.provider_cost, ledger.provider_cost), 6)) AS provider_cost
FROM ledger
WHERE type IN (
    'consume', 'purchase', 'auto_recharge', 'refund', 'reversal', 'adjustment', 'bonus', 'bonus_expiry', 'plan_fee')
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
    sum(toDecimal128(if(type IN ('refund', 'reversal'), -ledger.provider_cost, ledger.provider_cost), 6)) AS provider_cost
FROM ledger
WHERE type IN (
    'consume', 'purchase', 'auto_recharge', 'refund', 'reversal', 'adjustment', 'bonus', 'bonus_expiry', 'plan_fee')
    AND booth_id != ''
GROUP BY account_id, booth_id, bucket, type, service, engine, variant, plan, status;
