import type { ClientBase } from 'pg';

/** Rows that are in memory at a time. An event has at most 1 MiB, and as much again in the outbox; most have a thousandth of it. */
const CHUNK = 250;

/**
 * The rows of a query, some at a time, through a cursor of the server's: for results that need not fit into memory.
 * Once per transaction, inside one; the cursor ends with it.
 */
export async function* streamRows<Row extends object>(
  client: ClientBase,
  text: string,
  values: readonly unknown[],
): AsyncGenerator<readonly Row[]> {
  await client.query(`DECLARE streamed NO SCROLL CURSOR FOR ${text}`, [...values]);
  for (;;) {
    const { rows } = await client.query<Row>(`FETCH ${CHUNK} FROM streamed`);
    if (rows.length > 0) yield rows;
    if (rows.length < CHUNK) return;
  }
}
