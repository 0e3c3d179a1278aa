-- Reads the last id that was given out, and only then who may still be about to insert a row with an id up to it: nextval() locks the
-- sequence until its transaction ends, whatever becomes of the statement that called it. Somebody who only updates rows has no such lock.
-- A transaction that is being prepared (PREPARE TRANSACTION) changes its name to -1/xid: such holders are always in the way.
SELECT given.last_id::text,
       ARRAY(
         SELECT virtualtransaction FROM pg_locks
         WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND granted
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
           AND relation = 'event_outbox_id_seq'::regclass
           AND given.last_id IS NOT NULL
       ) AS writers
FROM (SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS last_id FROM event_outbox_id_seq OFFSET 0) AS given
