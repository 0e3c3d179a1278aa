-- Each event that was sent leaves a dead row version, and a dead entry in the index that every claim reads from its
-- beginning. The share of the table that PostgreSQL waits for by default (a fifth) would be two million of them beside ten million
-- SENT rows. So a number instead: beside ten thousand dead entries the first claim takes some 10 ms more, and to vacuum them takes
-- 30 ms on a warm table; with fifty thousand it was 50 and 200 ms (two shared cores, 300,000 rows).
-- Ten times the usual cost limit: a vacuum that is slower than the queue never ends.
ALTER TABLE event_outbox SET (
  autovacuum_vacuum_scale_factor = 0,
  autovacuum_vacuum_threshold = 10000,
  autovacuum_vacuum_cost_limit = 2000
);
