-- no transaction
-- Which session on hold may go on is asked shard by shard, those that have waited longest first: by this index none of another shard is
-- looked at, and of a shard no more than is asked for (docs/relay.md).
DROP INDEX CONCURRENTLY IF EXISTS event_outbox_holds_waiting;
CREATE INDEX CONCURRENTLY event_outbox_holds_waiting ON event_outbox_holds (shard, waits_until, key) WHERE waits_until < 'infinity';
