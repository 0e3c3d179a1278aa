import { setTimeout as sleep } from 'node:timers/promises';
import { Link } from '../link.ts';
import { promise, type Scenario } from '../scenario.ts';
import { duplicatesOf, SMALL_BATCHES } from './small-batches.ts';

const KILLS = 50;
/** Milliseconds, at the most, between the first record of a relay's life and its end. */
const LIFE = 400;
/** SIGKILL of a relay that is at work: between claim and send, send and acknowledgement, that and the mark. */
export const relayKilled: Scenario = {
  name: 'relay-killed',
  about: `the only relay is killed ${KILLS} times under load, at random moments and exactly at its marks, and started again at once`,
  needs: { brokers: 1 },
  async run(world) {
    const { random, relays, workload } = world;
    const link = await Link.open(world.databaseUrl);
    try {
      const relay = relays.start({ ...SMALL_BATCHES, DATABASE_URL: link.url });
      await workload.start({ rate: 400 });
      const kills = world.times(KILLS);
      let atMark = 0;
      for (let kill = 1; kill <= kills; kill += 1) {
        await world.untilPublishing();
        await sleep(random.between(0, LIFE));
        const moment = random.pick(['now', 'before its mark', 'after its mark'] as const);
        world.fault(`killed ${moment}, ${kill} of ${kills}`);
        const struck =
          moment !== 'now' && (await link.cutAtMark(moment === 'before its mark', () => void relay.kill()));
        if (struck) atMark += 1;
        else await relay.kill();
      }
      world.healed();
      const recovery = await world.untilRecovered();
      await workload.stop();
      await world.untilDrained();
      await relays.stopAll();
      return {
        recovery,
        expectations: world.duplicatesAtMost(duplicatesOf(kills)),
        figures: { 'killed at a mark': atMark },
        violations: promise('the scenario kills at marks', atMark > 0, 'no mark was recognised on the link'),
      };
    } finally {
      await link.close();
    }
  },
};
