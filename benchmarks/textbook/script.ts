/*
 * What a textbook outbox does for a command: the transaction that every HTTP figure is compared with, as pgbench runs it. Its
 * tables are those of Genesis, with all their indexes and constraints; its ids are UUIDv7; its texts are as long as ours.
 *
 * Each client has sessions of its own and counts their versions up, so no transaction waits for another's row.
 */

/** Texts that a command leaves in its rows. */
export interface RowTexts {
  readonly payload: string;
  readonly response: string;
  readonly eventPayload: string;
  readonly metadata: string;
  readonly value: string;
  readonly headers: string;
}

const SESSIONS_PER_CLIENT = 32;

const VARIABLES = `\\set n :n + 1
\\set session :client_id * ${SESSIONS_PER_CLIENT} + random(1, ${SESSIONS_PER_CLIENT})
`;
const SESSION = `('00000000-0000-7000-8000-' || lpad(to_hex(:session::bigint), 12, '0'))::uuid`;

/** pgbench takes `:word` for one of its variables wherever it stands. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "''").replaceAll(/:(?=\w)/gu, ': ')}'`;
}

function inserts(texts: RowTexts): readonly [inbox: string, event: string, outbox: string] {
  const { payload, response, eventPayload, metadata, value, headers } = texts;
  const inbox = `INSERT INTO command_inbox (id, session_id, user_id, command_type, payload, status, response, first_version, last_version, created_at, updated_at) VALUES (uuidv7(), ${SESSION}, 'author-1', 'SubmitFeedback', ${quoted(payload)}, 'COMPLETED', ${quoted(response)}, :n, :n, now(), now())`;
  const event = `INSERT INTO domain_events (event_id, aggregate_type, aggregate_id, aggregate_version, event_type, event_version, payload, metadata, correlation_id, causation_id, created_at) VALUES (uuidv7(), 'GENESIS_SESSION', ${SESSION}, :n, 'Genesis.Session.Submitted', 1, ${quoted(eventPayload)}, ${quoted(metadata)}, uuidv7(), uuidv7(), now())`;
  const outbox = `INSERT INTO event_outbox (event_id, topic, key, shard, sequence, payload, headers) VALUES (uuidv7(), 'domain-events', ${SESSION}, :session::int % 8, :n, ${quoted(value)}, ${quoted(headers)})`;
  return [inbox, event, outbox];
}

/** BEGIN, three INSERTs, COMMIT. To be run with `-D n=` a number that no run before has reached. */
export function textbookScript(texts: RowTexts): string {
  return `${VARIABLES}BEGIN;\n${inserts(texts).join(';\n')};\nCOMMIT;\n`;
}

/** The same rows by one statement. */
export function oneStatementScript(texts: RowTexts): string {
  const [inbox, event, outbox] = inserts(texts);
  return `${VARIABLES}WITH inbox AS (${inbox}), event AS (${event}) ${outbox};\n`;
}
