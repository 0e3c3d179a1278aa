import pg from 'pg';
import { migrate } from '../../src/postgres/migrate.ts';

/** Ids and times are functions of session and version, so that each table is made by one statement of its own. */
const FUNCTIONS = `
CREATE FUNCTION generated_id(kind text, s int, v int) RETURNS uuid LANGUAGE sql IMMUTABLE
  RETURN ('01930000-' || lpad(to_hex(v / 4096), 4, '0') || '-7' || lpad(to_hex(v % 4096), 3, '0') || '-' || kind || '-' || lpad(to_hex(s), 12, '0'))::uuid;
CREATE FUNCTION generated_time(s int, v int) RETURNS timestamptz LANGUAGE sql IMMUTABLE
  RETURN timestamptz '2026-01-01 00:00:00Z' + s * interval '7 ms' + v * interval '1 second';
CREATE FUNCTION generated_iso(t timestamptz) RETURNS text LANGUAGE sql STABLE
  RETURN to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

const EVENTS = `
INSERT INTO domain_events (event_id, aggregate_type, aggregate_id, aggregate_version, event_type, event_version, payload, metadata,
                           correlation_id, causation_id, created_at)
SELECT generated_id('8001', s, v), 'GENESIS_SESSION', generated_id('8000', s, 0), v,
       CASE WHEN v = 1 THEN 'Genesis.Session.Created' WHEN v % 2 = 0 THEN 'Genesis.Session.Submitted' ELSE 'Genesis.Session.Updated' END, 1,
       (CASE WHEN v = 1 THEN '{"title":"A novel","idea":null}'
             WHEN v % 2 = 0 THEN '{"stage":"CONCEPT_SELECTION","feedback":"' || repeat('more of the sea ', 20) || '","target":null}'
             ELSE '{"title":"Novel ' || v || '"}' END)::json,
       ('{"user_id":"user-' || s % 1000 || '","source_service":"genesis-api"}')::json,
       generated_id('8002', s, v), generated_id('8002', s, v), generated_time(s, v)
FROM generate_series(1, $1::int) AS s, generate_series(1, $2::int) AS v`;

const OUTBOX = `
INSERT INTO event_outbox (event_id, topic, key, shard, sequence, payload, headers, status, sent_at, partition, "offset", created_at, scheduled_at)
SELECT event_id, 'domain-events', aggregate_id, 0, aggregate_version,
       '{"event_id":"' || event_id || '","event_type":"' || event_type || '","event_version":1,"aggregate_type":"GENESIS_SESSION","aggregate_id":"'
         || aggregate_id || '","aggregate_version":' || aggregate_version || ',"correlation_id":"' || correlation_id || '","causation_id":"'
         || causation_id || '","occurred_at":"' || generated_iso(created_at) || '","payload":' || payload || ',"metadata":' || metadata || '}',
       ('{"ce_specversion":"1.0","ce_id":"' || event_id || '","ce_source":"/genesis/sessions","ce_type":"' || event_type || '","ce_time":"'
         || generated_iso(created_at) || '","ce_subject":"' || aggregate_id || '","content-type":"application/json","sequence":"'
         || aggregate_version || '"' || coalesce(',"previous":"' || previous || '"', '') || '}')::json,
       'SENT', created_at, 0, 0, created_at, created_at
FROM (SELECT *, lag(event_id) OVER (PARTITION BY aggregate_id ORDER BY aggregate_version) AS previous FROM domain_events) AS e
ORDER BY aggregate_id, aggregate_version`;

const INBOX = `
INSERT INTO command_inbox (id, session_id, user_id, command_type, payload, status, response, first_version, last_version, created_at, updated_at)
SELECT correlation_id, aggregate_id, metadata ->> 'user_id',
       CASE WHEN aggregate_version = 1 THEN 'CreateSession' WHEN aggregate_version % 2 = 0 THEN 'SubmitFeedback' ELSE 'UpdateSession' END,
       payload, 'COMPLETED', '{}', aggregate_version, aggregate_version, created_at, created_at
FROM domain_events`;

const SESSIONS = `
INSERT INTO genesis_sessions (session_id, user_id, status, current_stage, title, confirmed_data, version, last_event_id, created_at, updated_at)
SELECT generated_id('8000', s, 0), 'user-' || s % 1000, 'IN_PROGRESS', 'CONCEPT_SELECTION',
       CASE WHEN $2::int < 3 THEN 'A novel' ELSE 'Novel ' || ($2 - 1 + $2 % 2) END, '{}', $2,
       generated_id('8001', s, $2), generated_time(s, 1), generated_time(s, $2)
FROM generate_series(1, $1::int) AS s`;

/** Fills an empty database with sessions that have `perSession` events each, published long ago, as if commands had made them. */
export async function generateHistory(url: string, sessions: number, perSession: number): Promise<void> {
  await migrate(url);
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(FUNCTIONS);
    await client.query(EVENTS, [sessions, perSession]);
    await client.query(OUTBOX);
    await client.query(INBOX);
    await client.query(SESSIONS, [sessions, perSession]);
    await client.query('DROP FUNCTION generated_id, generated_time, generated_iso');
    await client.query('ANALYZE');
  } finally {
    await client.end();
  }
}

if (import.meta.main) {
  const [url = '', sessions, perSession] = process.argv.slice(2);
  await generateHistory(url, Number(sessions), Number(perSession));
}
