-- The tables of a textbook outbox, as a service of this size has them.
CREATE TABLE sessions (
  session_id uuid PRIMARY KEY,
  user_id text NOT NULL,
  status text NOT NULL DEFAULT 'IN_PROGRESS',
  version integer NOT NULL,
  title text,
  idea text,
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE command_inbox (
  id uuid PRIMARY KEY,
  session_id uuid NOT NULL REFERENCES sessions,
  user_id text NOT NULL,
  command_type text NOT NULL,
  payload jsonb NOT NULL,
  status text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON command_inbox (session_id, created_at);

CREATE TABLE domain_events (
  event_id uuid PRIMARY KEY,
  aggregate_id uuid NOT NULL,
  aggregate_version integer NOT NULL,
  event_type text NOT NULL,
  payload jsonb NOT NULL,
  metadata jsonb NOT NULL,
  correlation_id uuid NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (aggregate_id, aggregate_version)
);

CREATE TABLE event_outbox (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  event_id uuid NOT NULL UNIQUE,
  topic text NOT NULL,
  key text NOT NULL,
  payload jsonb NOT NULL,
  headers jsonb NOT NULL,
  status text NOT NULL DEFAULT 'PENDING',
  created_at timestamptz NOT NULL DEFAULT now(),
  sent_at timestamptz
);
CREATE INDEX ON event_outbox (id) WHERE status = 'PENDING';
