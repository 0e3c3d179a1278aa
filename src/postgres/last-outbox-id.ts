import type { Read } from './read.ts';

const LAST_ID = {
  name: 'last-outbox-id',
  text: `SELECT coalesce(pg_sequence_last_value('event_outbox_id_seq'), 0)::float8 AS id`,
};

/**
 * The last id that a row of event_outbox was given; 0 before the first. Its transaction may not have ended yet.
 *
 * @throws GenesisError UNAVAILABLE
 */
export async function readLastOutboxId(read: Read): Promise<number> {
  const [row] = await read<{ id: number }>(LAST_ID, []);
  return row?.id ?? 0;
}
