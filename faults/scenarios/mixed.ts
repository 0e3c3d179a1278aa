import { setTimeout as sleep } from 'node:timers/promises';
import type { RelayProcess } from '../relay-fleet.ts';
import type { Scenario } from '../scenario.ts';
import type { World } from '../world.ts';

const FAULTS = 25;

type Fault = (world: World, relay: RelayProcess) => Promise<void>;

const faults: readonly Fault[] = [
  async (world, relay) => {
    world.fault(`relay ${relay.number} is killed`);
    await relay.kill();
  },
  async (world, relay) => {
    const frozen = world.random.between(1_000, 9_000);
    world.fault(`relay ${relay.number} is frozen for ${frozen} ms`);
    relay.freeze();
    await sleep(frozen);
    relay.thaw();
  },
  async (world) => {
    const node = world.infrastructure.cluster.node(1);
    const signal = world.random.pick(['SIGKILL', 'SIGTERM'] as const);
    world.fault(`${signal} to the broker`);
    await node.kill(signal);
    await sleep(world.random.between(0, 4_000));
    await node.start();
  },
  async (world) => {
    world.fault('the broker freezes');
    const node = world.infrastructure.cluster.node(1);
    node.freeze();
    await sleep(world.random.between(500, 7_000));
    node.thaw();
  },
  async (world) => {
    world.fault('PostgreSQL is stopped at once');
    await world.infrastructure.postgres.kill('SIGQUIT');
    await sleep(world.random.between(0, 2_000));
    await world.infrastructure.postgres.start();
  },
];

export const mixed: Scenario = {
  name: 'mixed',
  about: `${FAULTS} faults of relays, broker and PostgreSQL in random order, sometimes two at once, with three relays under load`,
  needs: { brokers: 1 },
  async run(world) {
    const { random } = world;
    const relays = [world.relays.start(), world.relays.start(), world.relays.start()];
    await world.workload.start({ rate: 300 });
    await world.untilPublishing();
    const count = world.times(FAULTS);
    for (let done = 0; done < count; done += 1) {
      const fault = random.pick(faults);
      const kill = faults[0];
      const beside = random.chance(0.3) && kill !== undefined && fault !== kill ? [kill] : [];
      await Promise.all([fault, ...beside].map((each) => each(world, random.pick(relays))));
      await sleep(random.between(0, 4_000));
    }
    world.healed();
    return { recovery: await world.untilRecovered() };
  },
};
