-- The life of a command (docs/command-life.md) as an invariant. Inserting a row, and the way every request takes
-- (PROCESSING -> COMPLETED | FAILED), do not pay for the function.
CREATE FUNCTION command_inbox_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'command_inbox %: % -> % is not a transition', OLD.id, OLD.status, NEW.status
    USING ERRCODE = 'check_violation', HINT = 'RECEIVED -> PROCESSING | COMPLETED; PROCESSING -> COMPLETED | FAILED. COMPLETED and FAILED are final.';
END $$;
CREATE TRIGGER command_inbox_transition BEFORE UPDATE OF status ON command_inbox FOR EACH ROW
  WHEN (OLD.status IS DISTINCT FROM NEW.status
    AND NOT (OLD.status = 'PROCESSING' AND NEW.status IN ('COMPLETED', 'FAILED'))
    AND NOT (OLD.status = 'RECEIVED' AND NEW.status IN ('PROCESSING', 'COMPLETED')))
  EXECUTE FUNCTION command_inbox_transition();
