-- Who did what with the outbox and its relays by the tools of operators (docs/operators.md). Append-only, as domain_events is.
CREATE TABLE operator_actions (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- What is done to many rows is done in steps, a transaction and a line here each: those of one call share it.
  call_id uuid NOT NULL,
  -- `sub` of the token, or the name of whoever called a program.
  actor text NOT NULL CHECK (char_length(actor) BETWEEN 1 AND 255),
  via text NOT NULL CHECK (via IN ('http', 'cli')),
  -- retry, discard, pause, resume …
  action text NOT NULL CHECK (action ~ '^[a-z]+(-[a-z]+)*$'),
  -- What was asked for.
  filter json NOT NULL,
  reason text CHECK (char_length(reason) BETWEEN 1 AND 1000),
  -- What it was done to: events whose rows were changed, or shards.
  event_ids uuid[] NOT NULL DEFAULT '{}',
  shards integer[] NOT NULL DEFAULT '{}',
  CHECK (action <> 'discard' OR reason IS NOT NULL)
);
CREATE INDEX operator_actions_call ON operator_actions (call_id);

CREATE FUNCTION operator_actions_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'operator_actions is append-only: % refused', TG_OP
    USING ERRCODE = 'restrict_violation', HINT = 'What was done was done. Undo it with another action.';
END $$;
CREATE TRIGGER operator_actions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON operator_actions
  FOR EACH STATEMENT EXECUTE FUNCTION operator_actions_append_only();
REVOKE UPDATE, DELETE, TRUNCATE ON operator_actions FROM PUBLIC, CURRENT_USER;
