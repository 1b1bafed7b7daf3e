-- A search asks for any part of a word (`position`), which an index of whole words cannot answer. It was computed for
-- every row, at the insert and in each merge.
ALTER TABLE ledger DROP INDEX IF EXISTS search_tokens;
