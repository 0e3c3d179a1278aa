import { setTimeout as sleep } from 'node:timers/promises';
import { Link } from '../link.ts';
import type { Scenario } from '../scenario.ts';
import { duplicatesOf, SMALL_BATCHES } from './small-batches.ts';

/** Longer than the lease (5 s) by far, and about as long as it is. */
const FREEZES = [12_000, 5_200, 4_800, 7_000, 12_000];

/** Commands at once before each freeze. */
const BURST = 1_000;

export const relayFrozen: Scenario = {
  name: 'relay-frozen',
  about:
    'one of three relays is frozen (SIGSTOP) past its lease, every other time while a send is on its way, and goes on as if nothing had been, five times under load',
  needs: { brokers: 1 },
  async run(world) {
    const { random, relays, workload } = world;
    const links = await Promise.all([1, 2, 3].map(() => Link.open(world.databaseUrl)));
    const pairs = links.map((link) => ({ link, relay: relays.start({ ...SMALL_BATCHES, DATABASE_URL: link.url }) }));
    await workload.start({ rate: 400 });
    await world.untilShared(3);
    await world.untilPublishing();
    const freezes = world.times(FREEZES.length);
    for (let at = 0; at < freezes; at += 1) {
      const frozen = FREEZES[at % FREEZES.length] ?? 0;
      await sleep(random.between(500, 6_000));
      const { link, relay } = random.pick(pairs);
      world.fault(`relay ${relay.number} is frozen for ${frozen} ms, ${at + 1} of ${freezes}`);
      const burst = workload.burst(BURST);
      // Under a backlog, marks are written while the next send is on its way.
      const atMark = at % 2 === 0 && (await link.atMark(() => relay.freeze()));
      if (!atMark) relay.freeze();
      await sleep(frozen);
      await burst;
      relay.thaw();
    }
    world.healed();
    const recovery = await world.untilRecovered();
    // A zombie that still sends what it had in memory does so at once.
    await sleep(3_000);
    await workload.stop();
    await world.untilDrained();
    await relays.stopAll();
    await Promise.all(links.map((link) => link.close()));
    return { recovery, expectations: world.duplicatesAtMost(duplicatesOf(freezes)) };
  },
};

export const relaysScaled: Scenario = {
  name: 'relays-scaled',
  about: 'relays are added and taken away under load, 1 → 3 → 1 three times, by SIGTERM and by SIGKILL',
  needs: { brokers: 1 },
  async run(world) {
    const { relays, random } = world;
    const first = relays.start();
    await world.workload.start({ rate: 400 });
    await world.untilPublishing();
    const rounds = world.times(3);
    for (let round = 1; round <= rounds; round += 1) {
      world.fault(`two more relays, ${round} of ${rounds}`);
      const [second, third] = [relays.start(), relays.start()];
      await world.untilShared(3);
      await sleep(random.between(0, 3_000));
      world.fault('one of the three is killed and comes back');
      await random.pick([first, second, third]).kill();
      if (random.chance(0.5)) await world.untilShared(3);
      await sleep(random.between(1_000, 8_000));
      world.fault('two of them stop');
      await Promise.all([second.stop(), third.stop()]);
      await sleep(random.between(1_000, 4_000));
    }
    world.healed();
    return { recovery: await world.untilRecovered() };
  },
};
