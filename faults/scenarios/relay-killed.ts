import { setTimeout as sleep } from 'node:timers/promises';
import type { Scenario } from '../scenario.ts';

const KILLS = 50;
/** Milliseconds, at the most, between the first record of a relay's life and its end. */
const LIFE = 800;

/** SIGKILL at random moments of a relay that is at work: between claim and send, send and acknowledgement, that and the mark. */
export const relayKilled: Scenario = {
  name: 'relay-killed',
  about: `the only relay is killed at ${KILLS} random moments under load, and started again at once`,
  needs: { brokers: 1 },
  async run(world) {
    const { random, relays, workload } = world;
    const relay = relays.start();
    await workload.start({ rate: 400 });
    for (let kill = 1; kill <= KILLS; kill += 1) {
      await world.untilPublishing();
      await sleep(random.between(0, LIFE));
      world.fault(`kill ${kill} of ${KILLS}`);
      await relay.kill();
    }
    world.healed();
    return { recovery: await world.untilRecovered() };
  },
};
