-- What the migrations add up to. Made by the test that compares it: do not edit.
-- After a new migration: npx vitest run --project integration test/postgres/schema --update

CREATE TABLE command_inbox (
  id uuid NOT NULL,
  session_id uuid NOT NULL,
  user_id text NOT NULL,
  command_type text NOT NULL,
  idempotency_key text,
  fingerprint text,
  payload text NOT NULL,
  status text NOT NULL,
  response json NOT NULL,
  first_version integer NOT NULL,
  last_version integer NOT NULL,
  error_message text,
  deadline timestamp with time zone,
  created_at timestamp with time zone NOT NULL,
  updated_at timestamp with time zone NOT NULL
) WITH (fillfactor=90);

CREATE TABLE domain_events (
  event_id uuid NOT NULL,
  aggregate_type text NOT NULL,
  aggregate_id uuid NOT NULL,
  aggregate_version integer NOT NULL,
  event_type text NOT NULL,
  event_version integer NOT NULL,
  payload json NOT NULL,
  metadata json NOT NULL,
  correlation_id uuid NOT NULL,
  causation_id uuid NOT NULL,
  created_at timestamp with time zone NOT NULL
);

CREATE TABLE event_outbox (
  id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
  event_id uuid NOT NULL,
  topic text NOT NULL,
  key uuid NOT NULL,
  shard integer NOT NULL,
  sequence integer NOT NULL,
  payload text NOT NULL,
  headers json NOT NULL,
  status text NOT NULL DEFAULT 'PENDING'::text,
  retry_count integer NOT NULL DEFAULT 0,
  max_retries integer NOT NULL DEFAULT 3,
  last_error text,
  scheduled_at timestamp with time zone NOT NULL DEFAULT now(),
  created_at timestamp with time zone NOT NULL DEFAULT now(),
  sent_at timestamp with time zone,
  partition integer,
  "offset" bigint
) WITH (autovacuum_vacuum_scale_factor=0, autovacuum_vacuum_threshold=10000, autovacuum_vacuum_cost_limit=2000, fillfactor=50);

CREATE TABLE event_outbox_holds (
  key uuid NOT NULL,
  shard integer NOT NULL,
  next_sequence integer NOT NULL,
  blocked_by integer,
  waits_until timestamp with time zone NOT NULL DEFAULT '-infinity'::timestamp with time zone,
  waits_since timestamp with time zone NOT NULL DEFAULT now(),
  created_at timestamp with time zone NOT NULL DEFAULT now()
) WITH (fillfactor=50);

CREATE TABLE genesis_migrations (
  name text NOT NULL,
  checksum text NOT NULL,
  applied_at timestamp with time zone NOT NULL DEFAULT now()
);

CREATE TABLE genesis_sessions (
  session_id uuid NOT NULL,
  user_id text NOT NULL,
  status text NOT NULL,
  current_stage text NOT NULL,
  title text,
  idea text,
  confirmed_data json NOT NULL,
  version integer NOT NULL,
  last_event_id uuid NOT NULL,
  outstanding_request uuid,
  outstanding_event uuid,
  schema_level integer NOT NULL DEFAULT 1,
  created_at timestamp with time zone NOT NULL,
  updated_at timestamp with time zone NOT NULL
) WITH (fillfactor=70);

CREATE TABLE genesis_settings (
  only_row boolean NOT NULL DEFAULT true,
  shards integer NOT NULL,
  topic_ahead boolean NOT NULL DEFAULT false
);

CREATE TABLE operator_actions (
  id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
  at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
  call_id uuid NOT NULL,
  actor text NOT NULL,
  via text NOT NULL,
  action text NOT NULL,
  filter json NOT NULL,
  reason text,
  event_ids uuid[] NOT NULL DEFAULT '{}'::uuid[],
  shards integer[] NOT NULL DEFAULT '{}'::integer[]
);

CREATE TABLE relay_members (
  id integer NOT NULL GENERATED ALWAYS AS IDENTITY,
  name text NOT NULL,
  delivery text NOT NULL,
  joined_at timestamp with time zone NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamp with time zone NOT NULL
);

CREATE TABLE relay_shards (
  shard integer NOT NULL,
  owner integer,
  expires_at timestamp with time zone,
  epoch bigint NOT NULL DEFAULT 0,
  transactional_ids text[] NOT NULL DEFAULT '{}'::text[],
  floor bigint NOT NULL DEFAULT 1,
  "position" bigint NOT NULL DEFAULT 0,
  paused boolean NOT NULL DEFAULT false,
  topic_ahead_at bigint,
  state text NOT NULL DEFAULT 'free'::text,
  last_progress_at timestamp with time zone,
  last_error text
) WITH (fillfactor=10);


ALTER TABLE command_inbox ADD CONSTRAINT command_inbox_check CHECK ((last_version >= first_version));
ALTER TABLE command_inbox ADD CONSTRAINT command_inbox_check1 CHECK (((idempotency_key IS NULL) = (fingerprint IS NULL)));
ALTER TABLE command_inbox ADD CONSTRAINT command_inbox_check2 CHECK (((status = 'FAILED'::text) = (error_message IS NOT NULL)));
ALTER TABLE command_inbox ADD CONSTRAINT command_inbox_pkey PRIMARY KEY (id);
ALTER TABLE command_inbox ADD CONSTRAINT command_inbox_status_check CHECK ((status = ANY (ARRAY['RECEIVED'::text, 'PROCESSING'::text, 'COMPLETED'::text, 'FAILED'::text])));
ALTER TABLE domain_events ADD CONSTRAINT domain_events_aggregate_type_check CHECK ((aggregate_type = 'GENESIS_SESSION'::text));
ALTER TABLE domain_events ADD CONSTRAINT domain_events_aggregate_version_check CHECK ((aggregate_version >= 1));
ALTER TABLE domain_events ADD CONSTRAINT domain_events_event_id_key UNIQUE (event_id);
ALTER TABLE domain_events ADD CONSTRAINT domain_events_event_type_check CHECK ((event_type ~ '^[A-Z][A-Za-z]*(\.[A-Z][A-Za-z]*){1,2}\.[A-Z][a-z]+$'::text));
ALTER TABLE domain_events ADD CONSTRAINT domain_events_event_version_check CHECK ((event_version >= 1));
ALTER TABLE domain_events ADD CONSTRAINT domain_events_pkey PRIMARY KEY (aggregate_id, aggregate_version);
ALTER TABLE event_outbox ADD CONSTRAINT event_outbox_check CHECK (((status <> 'SENT'::text) OR (sent_at IS NOT NULL)));
ALTER TABLE event_outbox ADD CONSTRAINT event_outbox_check1 CHECK (((status = ANY (ARRAY['SENT'::text, 'DISCARDED'::text])) OR (sent_at IS NULL)));
ALTER TABLE event_outbox ADD CONSTRAINT event_outbox_check2 CHECK (((status <> 'FAILED'::text) OR (last_error IS NOT NULL)));
ALTER TABLE event_outbox ADD CONSTRAINT event_outbox_key_sequence_key UNIQUE (key, sequence);
ALTER TABLE event_outbox ADD CONSTRAINT event_outbox_max_retries_check CHECK ((max_retries >= 0));
ALTER TABLE event_outbox ADD CONSTRAINT event_outbox_pkey PRIMARY KEY (id);
ALTER TABLE event_outbox ADD CONSTRAINT event_outbox_retry_count_check CHECK ((retry_count >= 0));
ALTER TABLE event_outbox ADD CONSTRAINT event_outbox_sequence_check CHECK ((sequence >= 1));
ALTER TABLE event_outbox ADD CONSTRAINT event_outbox_shard_check CHECK ((shard >= 0));
ALTER TABLE event_outbox ADD CONSTRAINT event_outbox_status_check CHECK ((status = ANY (ARRAY['PENDING'::text, 'SENT'::text, 'FAILED'::text, 'DISCARDED'::text])));
ALTER TABLE event_outbox_holds ADD CONSTRAINT event_outbox_holds_check CHECK (((blocked_by IS NULL) = (waits_until = '-infinity'::timestamp with time zone)));
ALTER TABLE event_outbox_holds ADD CONSTRAINT event_outbox_holds_next_sequence_check CHECK ((next_sequence >= 1));
ALTER TABLE event_outbox_holds ADD CONSTRAINT event_outbox_holds_pkey PRIMARY KEY (key);
ALTER TABLE genesis_migrations ADD CONSTRAINT genesis_migrations_pkey PRIMARY KEY (name);
ALTER TABLE genesis_sessions ADD CONSTRAINT genesis_sessions_check CHECK (((outstanding_request IS NULL) = (outstanding_event IS NULL)));
ALTER TABLE genesis_sessions ADD CONSTRAINT genesis_sessions_current_stage_check CHECK ((current_stage = ANY (ARRAY['CONCEPT_SELECTION'::text, 'STORY_CONCEPTION'::text, 'WORLDVIEW'::text, 'CHARACTERS'::text, 'PLOT_OUTLINE'::text, 'FINISHED'::text])));
ALTER TABLE genesis_sessions ADD CONSTRAINT genesis_sessions_pkey PRIMARY KEY (session_id);
ALTER TABLE genesis_sessions ADD CONSTRAINT genesis_sessions_schema_level_check CHECK ((schema_level >= 1));
ALTER TABLE genesis_sessions ADD CONSTRAINT genesis_sessions_status_check CHECK ((status = ANY (ARRAY['IN_PROGRESS'::text, 'COMPLETED'::text, 'ABANDONED'::text])));
ALTER TABLE genesis_sessions ADD CONSTRAINT genesis_sessions_version_check CHECK ((version >= 1));
ALTER TABLE genesis_settings ADD CONSTRAINT genesis_settings_only_row_check CHECK (only_row);
ALTER TABLE genesis_settings ADD CONSTRAINT genesis_settings_pkey PRIMARY KEY (only_row);
ALTER TABLE genesis_settings ADD CONSTRAINT genesis_settings_shards_check CHECK (((shards >= 1) AND (shards <= 1000)));
ALTER TABLE operator_actions ADD CONSTRAINT operator_actions_action_check CHECK ((action ~ '^[a-z]+(-[a-z]+)*$'::text));
ALTER TABLE operator_actions ADD CONSTRAINT operator_actions_actor_check CHECK (((char_length(actor) >= 1) AND (char_length(actor) <= 255)));
ALTER TABLE operator_actions ADD CONSTRAINT operator_actions_check CHECK (((action <> 'discard'::text) OR (reason IS NOT NULL)));
ALTER TABLE operator_actions ADD CONSTRAINT operator_actions_pkey PRIMARY KEY (id);
ALTER TABLE operator_actions ADD CONSTRAINT operator_actions_reason_check CHECK (((char_length(reason) >= 1) AND (char_length(reason) <= 1000)));
ALTER TABLE operator_actions ADD CONSTRAINT operator_actions_via_check CHECK ((via = ANY (ARRAY['http'::text, 'cli'::text])));
ALTER TABLE relay_members ADD CONSTRAINT relay_members_delivery_check CHECK ((delivery = ANY (ARRAY['at-least-once'::text, 'exactly-once'::text])));
ALTER TABLE relay_members ADD CONSTRAINT relay_members_pkey PRIMARY KEY (id);
ALTER TABLE relay_shards ADD CONSTRAINT relay_shards_check CHECK (((owner IS NULL) OR (expires_at IS NOT NULL)));
ALTER TABLE relay_shards ADD CONSTRAINT relay_shards_pkey PRIMARY KEY (shard);
ALTER TABLE relay_shards ADD CONSTRAINT relay_shards_shard_check CHECK ((shard >= 0));

CREATE UNIQUE INDEX command_inbox_create_key ON public.command_inbox USING btree (user_id, idempotency_key) WHERE ((idempotency_key IS NOT NULL) AND (command_type = 'CreateSession'::text));
CREATE INDEX command_inbox_deadline ON public.command_inbox USING btree (deadline) WHERE ((status = 'PROCESSING'::text) AND (deadline IS NOT NULL));
CREATE UNIQUE INDEX command_inbox_idempotency_key ON public.command_inbox USING btree (session_id, user_id, idempotency_key) WHERE ((idempotency_key IS NOT NULL) AND (command_type <> 'CreateSession'::text));
CREATE INDEX command_inbox_session ON public.command_inbox USING btree (session_id, id);
CREATE UNIQUE INDEX command_inbox_unfinished ON public.command_inbox USING btree (session_id, command_type) WHERE (status = ANY (ARRAY['RECEIVED'::text, 'PROCESSING'::text]));
CREATE INDEX event_outbox_holds_waiting ON public.event_outbox_holds USING btree (shard, waits_until, key) WHERE (waits_until < 'infinity'::timestamp with time zone);
CREATE INDEX genesis_sessions_user ON public.genesis_sessions USING btree (user_id, session_id);
CREATE INDEX operator_actions_call ON public.operator_actions USING btree (call_id);

CREATE TRIGGER command_inbox_transition BEFORE UPDATE OF status ON public.command_inbox FOR EACH ROW WHEN (((old.status IS DISTINCT FROM new.status) AND (NOT ((old.status = 'PROCESSING'::text) AND (new.status = ANY (ARRAY['COMPLETED'::text, 'FAILED'::text])))) AND (NOT ((old.status = 'RECEIVED'::text) AND (new.status = ANY (ARRAY['PROCESSING'::text, 'COMPLETED'::text])))))) EXECUTE FUNCTION command_inbox_transition();
CREATE TRIGGER domain_events_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.domain_events FOR EACH STATEMENT EXECUTE FUNCTION domain_events_append_only();
CREATE TRIGGER event_outbox_delete BEFORE DELETE ON public.event_outbox FOR EACH ROW WHEN ((old.status = ANY (ARRAY['PENDING'::text, 'FAILED'::text]))) EXECUTE FUNCTION event_outbox_delete();
CREATE TRIGGER event_outbox_hold AFTER UPDATE ON public.event_outbox FOR EACH ROW WHEN (((new.status <> 'SENT'::text) AND (new.sent_at IS NULL) AND ((old.status IS DISTINCT FROM new.status) OR (old.retry_count IS DISTINCT FROM new.retry_count) OR (old.scheduled_at IS DISTINCT FROM new.scheduled_at)))) EXECUTE FUNCTION event_outbox_hold();
CREATE TRIGGER event_outbox_immutable BEFORE UPDATE OF id, event_id, topic, key, shard, sequence, payload, headers, created_at ON public.event_outbox FOR EACH ROW EXECUTE FUNCTION event_outbox_immutable();
CREATE TRIGGER event_outbox_transition BEFORE UPDATE ON public.event_outbox FOR EACH ROW WHEN (((old.status IS DISTINCT FROM new.status) AND (NOT ((old.status = 'PENDING'::text) AND (new.status = 'SENT'::text))))) EXECUTE FUNCTION event_outbox_transition();
CREATE TRIGGER event_outbox_truncate BEFORE TRUNCATE ON public.event_outbox FOR EACH STATEMENT EXECUTE FUNCTION event_outbox_truncate();
CREATE TRIGGER operator_actions_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.operator_actions FOR EACH STATEMENT EXECUTE FUNCTION operator_actions_append_only();

CREATE OR REPLACE FUNCTION public.command_inbox_transition()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
  RAISE EXCEPTION 'command_inbox %: % -> % is not a transition', OLD.id, OLD.status, NEW.status
    USING ERRCODE = 'check_violation', HINT = 'RECEIVED -> PROCESSING | COMPLETED; PROCESSING -> COMPLETED | FAILED. COMPLETED and FAILED are final.';
END $function$
;

CREATE OR REPLACE FUNCTION public.domain_events_append_only()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
  RAISE EXCEPTION 'domain_events is append-only: % refused', TG_OP
    USING ERRCODE = 'restrict_violation', HINT = 'Events are facts. Correct a mistake with a new event.';
END $function$
;

CREATE OR REPLACE FUNCTION public.event_outbox_delete()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
  RAISE EXCEPTION 'event_outbox %: a % row has not been published and cannot be deleted', OLD.id, OLD.status
    USING ERRCODE = 'restrict_violation', HINT = 'Discard it instead: UPDATE event_outbox SET status = ''DISCARDED''.';
END $function$
;

CREATE OR REPLACE FUNCTION public.event_outbox_hold()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
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
END $function$
;

CREATE OR REPLACE FUNCTION public.event_outbox_immutable()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
  RAISE EXCEPTION 'event_outbox %: what an event says and where it goes cannot be changed', OLD.id
    USING ERRCODE = 'restrict_violation', HINT = 'Change only status; for another topic publish the events anew.';
END $function$
;

CREATE OR REPLACE FUNCTION public.event_outbox_transition()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
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
END $function$
;

CREATE OR REPLACE FUNCTION public.event_outbox_truncate()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
  RAISE EXCEPTION 'event_outbox must not be truncated: unpublished rows would be lost' USING ERRCODE = 'restrict_violation';
END $function$
;

CREATE OR REPLACE FUNCTION public.operator_actions_append_only()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
BEGIN
  RAISE EXCEPTION 'operator_actions is append-only: % refused', TG_OP
    USING ERRCODE = 'restrict_violation', HINT = 'What was done was done. Undo it with another action.';
END $function$
;


-- sequence event_outbox_id_seq: starts at 1, cache 1
-- sequence operator_actions_id_seq: starts at 1, cache 1
-- sequence relay_members_id_seq: starts at 1, cache 1

-- the owner's rights on command_inbox: all
-- the owner's rights on domain_events: INSERT, MAINTAIN, REFERENCES, SELECT, TRIGGER
-- the owner's rights on event_outbox: all
-- the owner's rights on event_outbox_holds: all
-- the owner's rights on genesis_migrations: all
-- the owner's rights on genesis_sessions: all
-- the owner's rights on genesis_settings: all
-- the owner's rights on operator_actions: INSERT, MAINTAIN, REFERENCES, SELECT, TRIGGER
-- the owner's rights on relay_members: all
-- the owner's rights on relay_shards: all
