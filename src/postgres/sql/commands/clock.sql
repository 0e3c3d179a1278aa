-- Milliseconds since the epoch. The transaction's id is taken now: COMMIT comes with the rows, and if its answer is lost, the id is
-- what the transaction is found by.
SELECT date_part('epoch', clock_timestamp()) * 1000, topic_ahead, pg_current_xact_id()::text FROM genesis_settings
