-- What an account is called, and its zone, may be set after the opening. The newest word of it stands beside what the opening
-- said; `seq` 0: there is none.
ALTER TABLE account_balances
    ADD COLUMN IF NOT EXISTS profile_set SimpleAggregateFunction(max, Tuple(
        seq UInt64, name String, time_zone String));

ALTER TABLE account_balances_mv MODIFY QUERY
SELECT
    account_id,
    (
        max(seq),
        argMax(balance_after, seq),
        argMax(held_after, seq),
        argMax(posted_at, seq)
    ) AS latest,
    (
        maxIf(seq, type = 'account_opened'),
        argMaxIf(account_name, seq, type = 'account_opened'),
        argMaxIf(toString(currency), seq, type = 'account_opened'),
        argMaxIf(toString(time_zone), seq, type = 'account_opened'),
        argMaxIf(posted_at, seq, type = 'account_opened')
    ) AS profile,
    (
        maxIf(seq, type IN ('account_opened', 'plan_changed')),
        argMaxIf(toString(ledger.plan), seq, type IN ('account_opened', 'plan_changed')),
        argMaxIf(plan_effective_at_ms, seq, type IN ('account_opened', 'plan_changed'))
    ) AS plan,
    (
        maxIf(seq, account_state != ''),
        argMaxIf(account_state, seq, account_state != '')
    ) AS state,
    (
        maxIf(seq, type = 'profile_set'),
        argMaxIf(account_name, seq, type = 'profile_set'),
        argMaxIf(toString(time_zone), seq, type = 'profile_set')
    ) AS profile_set
FROM ledger
GROUP BY account_id;
