import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { EXPAND_NAME, makeNewerVersion } from './newer-version.ts';
import type { Version } from './service-process.ts';
import { earlierCommit, unpackVersion, whyNotHere } from './unpack-version.ts';
import { UpgradeRig } from './upgrade-rig.ts';

const commit = earlierCommit();
const missing = whyNotHere(commit);
if (missing !== null) process.stderr.write(`\nSKIPPED, nothing was tried: an upgrade without a stop. ${missing}\n\n`);

/**
 * Two versions of the program at work side by side, in every combination of APIs and relays, there and back. The clients use HTTP alone,
 * and never stop.
 */
describe.skipIf(missing !== null)('an upgrade without a stop', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'genesis-versions-'));
  const old: Version = { name: 'old', folder: join(scratch, 'old') };
  const next: Version = { name: 'new', folder: join(scratch, 'new') };

  beforeAll(() => {
    unpackVersion(commit, old.folder);
    makeNewerVersion(next.folder, { newerEvent: false });
  }, 600_000);
  afterAll(() => rmSync(scratch, { recursive: true, force: true }));

  // They mostly wait for processes to start: side by side both take hardly longer than one.
  it.concurrent.each(['at-least-once', 'exactly-once'] as const)(
    'and back: every combination of versions loses, reorders, invents and repeats nothing (%s)',
    async (delivery) => {
      const rig = await UpgradeRig.create(inject('brokers'), delivery);
      const tried: string[] = [];
      const untilTried = async (): Promise<void> => {
        await rig.untilTried();
        tried.push(rig.mixture());
      };
      try {
        expect(await rig.genesis(old, 'migrate')).toMatchObject({ code: 0 });
        await rig.startApi(old);
        await rig.startRelay(old);
        rig.clients.start();
        await untilTried();

        // While everything is at work.
        const migrated = await rig.genesis(next, 'migrate');
        expect(migrated.output).toContain(`applied ${EXPAND_NAME}`);
        await untilTried();

        for (const version of [next, old]) {
          const steps = [
            () => rig.startRelay(version),
            () => rig.endOldestRelay(),
            () => rig.startApi(version),
            () => rig.endOldestApi(),
          ];
          for (const step of steps) {
            await step();
            await untilTried();
          }
        }
        // The version before finds its database as it needs it, and leaves what it does not know.
        expect(await rig.genesis(old, 'migrate')).toMatchObject({ code: 0, output: 'the database is up to date\n' });

        await rig.clients.stop();
        await rig.untilDrained();
        for (const version of [old, next]) expect(await rig.genesis(version, 'verify')).toMatchObject({ code: 0 });
        const { accepted, inbox, errors, violations, ...figures } = await rig.judge();
        process.stdout.write(
          `${JSON.stringify({ delivery, accepted, askedAgain: rig.clients.askedAgain, ...figures })}\n`,
        );
        expect(rig.clients.unexpected).toEqual([]);
        expect(errors).toEqual([]);
        expect(violations).toEqual([]);
        expect(figures).toMatchObject({ lost: 0, reordered: 0, foreign: 0, altered: 0, duplicated: 0 });
        // Whoever asked again with the same key was not taken twice, though another version answered.
        expect(inbox).toBe(accepted);
        expect(tried).toEqual([
          'api old, relay old',
          'api old, relay old',
          'api old, relay old+new',
          'api old, relay new',
          'api old+new, relay new',
          'api new, relay new',
          'api new, relay new+old',
          'api new, relay old',
          'api new+old, relay old',
          'api old, relay old',
        ]);
      } finally {
        await rig.close();
      }
    },
    600_000,
  );
});
