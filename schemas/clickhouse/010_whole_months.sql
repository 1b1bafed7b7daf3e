-- A month that nothing is added to any more becomes one part: the server's own choice of merges leaves several for ever, and
-- a page opens every part that may hold its account. Six hours of quiet begin such a merge, so that the running month is
-- merged whole at most a few times a day.
--
-- Statistics of columns are made by default and read by every question; what is asked here goes by the key, and they cost
-- it a quarter of its time.
ALTER TABLE ledger MODIFY SETTING
    min_age_to_force_merge_seconds = 21600,
    min_age_to_force_merge_on_partition_only = 1,
    auto_statistics_types = '';

ALTER TABLE usage_15m_by_account MODIFY SETTING auto_statistics_types = '';

ALTER TABLE usage_15m_by_event MODIFY SETTING auto_statistics_types = '';

ALTER TABLE usage_15m_by_booth MODIFY SETTING auto_statistics_types = '';

ALTER TABLE account_balances MODIFY SETTING auto_statistics_types = '';
