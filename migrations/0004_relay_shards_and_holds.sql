-- Several relays share the outbox by shards, marks are heap-only, and sessions that wait leave the way of the others (docs/relay.md).

-- Half of each page is kept free, and no index mentions what a mark changes: each row is updated once in the ordinary case, on its
-- own page, without an entry in any index (docs/adr/0008-how-the-outbox-is-drained.md).
ALTER TABLE event_outbox SET (fillfactor = 50);
DROP INDEX event_outbox_pending;
DROP INDEX event_outbox_blocking;
-- One row per event: an event is as well named by its session and version, and by these a session's rows are read in their order.
ALTER TABLE event_outbox ADD CONSTRAINT event_outbox_key_sequence_key UNIQUE (key, sequence);
ALTER TABLE event_outbox DROP CONSTRAINT event_outbox_event_id_key;
-- A claim starts where nothing older can appear any more; that is known of ids that the sequence gave, of no others.
ALTER TABLE event_outbox ALTER COLUMN id SET GENERATED ALWAYS;
-- Before markers existed a DISCARDED event left a gap in the topic. Its successors have long been sent: it stays one.
UPDATE event_outbox SET sent_at = now() WHERE status = 'DISCARDED' AND sent_at IS NULL;

-- Sessions whose rows do not go the ordinary way: one of them is FAILED, waits for its retry, or is to be sent though its turn by id is
-- over (a retry, the marker of a DISCARDED event). Ordinary claims pass over all rows of such a session.
CREATE TABLE event_outbox_holds (
  key uuid PRIMARY KEY,
  shard integer NOT NULL,
  -- All rows of the session with a lower sequence are settled: SENT, or DISCARDED and their marker sent.
  next_sequence integer NOT NULL CHECK (next_sequence >= 1),
  -- The row that keeps the session waiting: FAILED, or refused and waiting for its retry. Null: the session's rows may be sent.
  blocked_by integer,
  -- Until when it waits: -infinity: it does not; infinity: until an operator retries or discards the row.
  waits_until timestamptz NOT NULL DEFAULT '-infinity',
  -- When that was decided: a clock that was set back must hold nobody.
  waits_since timestamptz NOT NULL DEFAULT now(),
  created_at timestamptz NOT NULL DEFAULT now(),
  CHECK ((blocked_by IS NULL) = (waits_until = '-infinity'))
) WITH (fillfactor = 50);
CREATE INDEX event_outbox_holds_waiting ON event_outbox_holds (waits_until) WHERE waits_until < 'infinity';

-- Keeps event_outbox_holds true whoever changes a row, by whatever program; and wakes the relay when there is something to send.
-- Each statement in it sees what was committed before it began. Whoever else changes the same session meanwhile has the row of
-- event_outbox_holds locked, or its key: then this one waits, and judges by what the other has left.
CREATE FUNCTION event_outbox_hold() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  -- Until when this row keeps its session waiting.
  until timestamptz := CASE WHEN NEW.status = 'FAILED' THEN 'infinity' WHEN NEW.retry_count > 0 THEN NEW.scheduled_at ELSE '-infinity' END;
  first integer;
BEGIN
  LOOP
    -- Only the first row that is not settled can keep the session waiting: those before it go on. What stands behind it is looked at
    -- when it is its turn; so is whether this is the first, when rows before it were settled and next_sequence does not say so yet.
    UPDATE event_outbox_holds SET
      next_sequence = least(next_sequence, NEW.sequence),
      blocked_by = CASE WHEN until > '-infinity' AND NEW.sequence <= next_sequence THEN NEW.sequence END,
      waits_until = CASE WHEN NEW.sequence <= next_sequence THEN until ELSE '-infinity' END,
      waits_since = now()
    WHERE key = NEW.key AND (blocked_by IS NULL OR blocked_by >= NEW.sequence);
    EXIT WHEN FOUND OR EXISTS (SELECT FROM event_outbox_holds WHERE key = NEW.key);
    -- Once the session is on hold, rows of it come by its turn only: none that is not settled may be left out.
    SELECT coalesce(min(sequence), NEW.sequence) INTO first
    FROM event_outbox
    WHERE key = NEW.key AND sequence < NEW.sequence
      AND (status IN ('PENDING', 'FAILED') OR (status = 'DISCARDED' AND sent_at IS NULL));
    INSERT INTO event_outbox_holds (key, shard, next_sequence, blocked_by, waits_until)
    VALUES (
      NEW.key, NEW.shard, first,
      CASE WHEN until > '-infinity' AND first = NEW.sequence THEN NEW.sequence END,
      CASE WHEN first = NEW.sequence THEN until ELSE '-infinity' END
    )
    ON CONFLICT DO NOTHING;
    EXIT WHEN FOUND;
  END LOOP;
  IF until <= now() THEN PERFORM pg_notify('genesis_outbox', ''); END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER event_outbox_hold AFTER UPDATE ON event_outbox FOR EACH ROW
  WHEN (NEW.status <> 'SENT' AND NEW.sent_at IS NULL
    AND (OLD.status IS DISTINCT FROM NEW.status OR OLD.retry_count IS DISTINCT FROM NEW.retry_count
      OR OLD.scheduled_at IS DISTINCT FROM NEW.scheduled_at))
  EXECUTE FUNCTION event_outbox_hold();

-- As before, and: the marker of a DISCARDED row does not wait for the retry that the row would have had.
CREATE OR REPLACE FUNCTION event_outbox_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (OLD.status, NEW.status) NOT IN (
    ('PENDING', 'SENT'), ('PENDING', 'FAILED'), ('PENDING', 'DISCARDED'), ('FAILED', 'PENDING'), ('FAILED', 'DISCARDED')
  ) THEN
    RAISE EXCEPTION 'event_outbox %: % -> % is not a transition', OLD.id, OLD.status, NEW.status
      USING ERRCODE = 'check_violation', HINT = 'PENDING -> SENT | FAILED | DISCARDED; FAILED -> PENDING | DISCARDED. SENT and DISCARDED are final.';
  END IF;
  IF NEW.status = 'DISCARDED' OR (OLD.status = 'FAILED' AND NEW.status = 'PENDING') THEN
    NEW.scheduled_at := now();
  END IF;
  IF OLD.status = 'FAILED' AND NEW.status = 'PENDING' THEN
    NEW.retry_count := 0;
  END IF;
  RETURN NEW;
END $$;

-- A relay that runs. Its id is also that of the advisory lock ("GENM", id) that its session holds: when the session ends, others see it at once.
CREATE TABLE relay_members (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- Host and process, for people.
  name text NOT NULL,
  delivery text NOT NULL CHECK (delivery IN ('at-least-once', 'exactly-once')),
  joined_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz NOT NULL
);

-- Who drains which shard (partition of the topic), from where.
CREATE TABLE relay_shards (
  shard integer PRIMARY KEY CHECK (shard >= 0),
  -- The member that drains it; it may do so until expires_at. Null: nobody; it was given back.
  owner integer,
  expires_at timestamptz,
  -- Counts the owners: what is done for an earlier one is refused.
  epoch bigint NOT NULL DEFAULT 0,
  -- Transactional ids that may write or have a transaction open: the owner's, and those that nobody has fenced yet. The next owner
  -- fences them all.
  transactional_ids text[] NOT NULL DEFAULT '{}',
  -- No row below this id will ever have to be sent in the ordinary way. Written about once a second: the owner knows better.
  floor bigint NOT NULL DEFAULT 1,
  -- Everything in the partition below this offset is marked in event_outbox. Likewise.
  position bigint NOT NULL DEFAULT 0,
  -- By an operator: its rows stay PENDING.
  paused boolean NOT NULL DEFAULT false,
  -- The offset of a record whose event is not in domain_events: the database is older than the topic. Null: no such record is known.
  topic_ahead_at bigint,
  -- What operators see: told by the owner.
  state text NOT NULL DEFAULT 'free',
  last_progress_at timestamptz,
  last_error text,
  CHECK (owner IS NULL OR expires_at IS NOT NULL)
) WITH (fillfactor = 10);
-- Nobody writes while this migration holds the table: where nothing is PENDING, the next id is the first that will ever have to be sent.
INSERT INTO relay_shards (shard, floor, position)
SELECT s.shard, coalesce(pending.first, sequence.next), coalesce(sent.next, 0)
FROM genesis_settings
CROSS JOIN generate_series(0, shards - 1) AS s (shard)
CROSS JOIN (SELECT last_value + is_called::integer AS next FROM event_outbox_id_seq) AS sequence
LEFT JOIN (
  SELECT shard, min(id) AS first FROM event_outbox WHERE status = 'PENDING' GROUP BY shard
) AS pending ON pending.shard = s.shard
LEFT JOIN (
  SELECT partition, max("offset") + 1 AS next FROM event_outbox WHERE partition IS NOT NULL GROUP BY partition
) AS sent ON sent.partition = s.shard;

-- What was held before this table existed.
INSERT INTO event_outbox_holds (key, shard, next_sequence, blocked_by, waits_until)
SELECT key, shard, first, CASE WHEN blocks THEN first END,
       CASE WHEN blocks AND status = 'FAILED' THEN 'infinity' WHEN blocks THEN scheduled_at ELSE '-infinity' END
FROM (
  SELECT DISTINCT ON (key) key, shard, status, scheduled_at, retry_count, sequence AS first,
         status = 'FAILED' OR retry_count > 0 AS blocks,
         bool_or(status = 'FAILED' OR retry_count > 0) OVER (PARTITION BY key) AS on_hold
  FROM event_outbox
  WHERE status IN ('PENDING', 'FAILED')
  ORDER BY key, sequence
) AS unsettled
WHERE on_hold;

ALTER TABLE genesis_settings
  -- While true the database is older than the topic: commands are refused until what is missing was imported.
  ADD COLUMN topic_ahead boolean NOT NULL DEFAULT false;
