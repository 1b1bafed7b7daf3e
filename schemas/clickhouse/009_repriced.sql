-- The views as before, and: a charge that was made anew at another price is summed like a charge, behind the reversal that
-- gave the first one back. The two net to the one operation that was done.
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
    sum(toDecimal128(if(type IN ('refund', 'reversal'), -ledger.provider_cost, ledger.provider_cost), 6)) AS provider_cost
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
    sum(toDecimal128(if(type IN ('refund', 'reversal'), -ledger.provider_cost, ledger.provider_cost), 6)) AS provider_cost
FROM ledger
WHERE type IN (
    'consume', 'purchase', 'auto_recharge', 'refund', 'reversal', 'adjustment', 'bonus', 'bonus_expiry', 'plan_fee',
    'repriced')
    AND booth_id != ''
GROUP BY account_id, booth_id, bucket, type, service, engine, variant, plan, status;
