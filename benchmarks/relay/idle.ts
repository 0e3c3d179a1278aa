import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../../faults/until.ts';
import type { DeliveryMode } from '../../src/relay/ports.ts';
import { createDatabase, openPlace, type Stage } from './stage.ts';

/** Milliseconds: to come to rest, and to be measured. */
const SETTLE = 5_000;
const WATCHED = 10_000;

/** What a relay costs while there is nothing to do. */
export async function measureIdle(stage: Stage, { modes }: { readonly modes: readonly DeliveryMode[] }): Promise<void> {
  for (const mode of modes) {
    const place = await openPlace(stage, await createDatabase(stage), mode);
    try {
      const relay = place.relays.start();
      await until('a relay that holds the shards', async () => {
        const { rows } = await place.database.query('SELECT FROM relay_shards WHERE owner IS NULL');
        return rows.length === 0;
      });
      await sleep(SETTLE);
      const before = relay.cpu();
      await sleep(WATCHED);
      const share = (relay.cpu() - before) / (WATCHED / 1_000);
      const memory = relay.memory();
      console.log(`idle, ${mode}: ${(share * 100).toFixed(1)} % of a core, ${memory} MiB`);
      stage.report({ measure: 'idle', mode, share, memory });
    } finally {
      await place.close();
    }
  }
}
