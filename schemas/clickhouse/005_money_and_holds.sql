-- What holds, bonuses and refunds say beyond the columns there were.
ALTER TABLE ledger
    -- How much of a charge came out of bonus credit; the rest is purchased credit.
    ADD COLUMN IF NOT EXISTS from_bonus Decimal(18, 6) CODEC(T64, ZSTD(1)),
    -- `seq` of the charge that a refund gives back, or of the grant that a bonus's expiry ends; 0: names none.
    ADD COLUMN IF NOT EXISTS original_seq UInt64 CODEC(T64, ZSTD(1)),
    -- What a hold sets aside, or sets free again without usage.
    ADD COLUMN IF NOT EXISTS hold_amount Decimal(18, 6) CODEC(T64, ZSTD(1));

-- The views as before, and: entries that move no money are in no rollup, and a refund takes back what it gives back. One
-- that gives a charge back to its end carries the charge's quantity and takes the operation back, a partial one carries
-- none.
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
WHERE type NOT IN (
    'account_opened', 'plan_changed', 'hold_placed', 'hold_released', 'credit_limit_set', 'event_defined', 'booth_set')
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
WHERE type NOT IN (
    'account_opened', 'plan_changed', 'hold_placed', 'hold_released', 'credit_limit_set', 'event_defined', 'booth_set')
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
WHERE type NOT IN (
    'account_opened', 'plan_changed', 'hold_placed', 'hold_released', 'credit_limit_set', 'event_defined', 'booth_set')
    AND booth_id != ''
GROUP BY account_id, booth_id, bucket, type, service, engine, variant, plan, status;
