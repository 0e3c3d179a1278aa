import { setTimeout as sleep } from 'node:timers/promises';
import type { Scenario } from '../scenario.ts';

const REVOKED = 10_000;

export const aclRevoked: Scenario = {
  name: 'acl-revoked',
  about:
    'the right to write the topic is taken away for 10 s and given back, three times under load; no row may become FAILED',
  needs: { brokers: 1, guarded: true },
  async run(world) {
    const { admin } = world.infrastructure.cluster;
    const { topic } = world.kafka;
    await admin.grant(topic, ['DESCRIBE', 'READ', 'WRITE', 'DESCRIBE_CONFIGS']);
    await admin.grantTransactions();
    world.relays.start();
    await world.workload.start({ rate: 200 });
    let charged = 0;
    for (let round = 1; round <= 3; round += 1) {
      await world.untilPublishing();
      world.fault(`the right to write is revoked, ${round} of 3`);
      await admin.revoke(topic, ['WRITE']);
      await sleep(REVOKED);
      const [row] = await world.query<{ n: number }>(
        `SELECT count(*)::int AS n FROM event_outbox WHERE status = 'FAILED' OR retry_count > 0`,
      );
      charged += row?.n ?? 0;
      await admin.grant(topic, ['WRITE']);
    }
    world.healed();
    return {
      recovery: await world.untilRecovered(),
      violations:
        charged === 0
          ? []
          : [{ rule: 'charged', cases: charged, examples: ['a missing right was counted as a try of a row'] }],
    };
  },
};
