import { expect, it, onTestFinished } from 'vitest';
import { verify } from '../../src/events/verify.ts';
import { createAuditStore } from '../../src/postgres/audit-store.ts';
import { createPool } from '../../src/postgres/pool.ts';
import { silent } from '../support/commands.ts';
import { createEmptyDatabase } from '../support/database.ts';
import { DAY, WIRE } from './audit-rig.ts';
import { generateHistory } from './generate-history.ts';

// More sessions than are looked at together, and more events than are fetched together.
it.each([
  [450, 3],
  [2, 700],
])('%i sessions of %i generated events each agree, and are all looked at', async (sessions, perSession) => {
  const database = await createEmptyDatabase();
  const pool = createPool({ url: database.url, poolSize: 1 }, 'test', silent);
  onTestFinished(async () => {
    await pool.end();
    await database.drop();
  });
  await generateHistory(database.url, sessions, perSession);
  const findings: unknown[] = [];
  const counts = await verify({
    store: createAuditStore(pool),
    wire: WIRE,
    retention: DAY,
    sessionId: null,
    onFinding: (finding) => findings.push(finding),
    onProgress: () => undefined,
  });
  expect(findings).toEqual([]);
  expect(counts).toEqual({ sessions, events: sessions * perSession, findings: 0 });
});
