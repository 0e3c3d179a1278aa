import type { SettledRows } from '../outbox/clean-up.ts';
import type { Read } from './read.ts';
import { sql } from './sql.ts';

const CLEAN_UP = { name: 'clean-up', text: sql('outbox/clean-up') };

interface StepRow {
  readonly removed: number;
  readonly stayed: number | null;
  readonly next: number | null;
}

/**
 * SettledRows on event_outbox. `read` changes nothing else: what it cuts off because it is late is rolled back. It must allow a step
 * its time: some hundred milliseconds.
 */
export function createSettledRows(read: Read): SettledRows {
  return {
    async removeSettled(from, limit, retention) {
      const [row] = await read<StepRow>(CLEAN_UP, [from, limit, retention]);
      if (row === undefined) throw new Error('a step of the clean-up gives one row');
      return row;
    },
  };
}
