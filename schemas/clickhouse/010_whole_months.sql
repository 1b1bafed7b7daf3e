-- A month that nothing is added to any more becomes one part: the server's own choice of merges leaves several for ever, and
-- a page opens every part that may hold its account. Six hours of quiet begin such a merge, so that the running month is
-- merged whole at most a few times a day.
ALTER TABLE ledger MODIFY SETTING
    min_age_to_force_merge_seconds = 21600,
    min_age_to_force_merge_on_partition_only = 1;
