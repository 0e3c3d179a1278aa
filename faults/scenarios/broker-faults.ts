import { setTimeout as sleep } from 'node:timers/promises';
import type { Scenario } from '../scenario.ts';
import { SMALL_BATCHES } from './small-batches.ts';

const KILLS = 10;
const AWAY = 120_000;

export const brokerKilled: Scenario = {
  name: 'broker-killed',
  about: `the only broker is killed (SIGKILL, every third time SIGTERM) and started again ${KILLS} times under load`,
  needs: { brokers: 1 },
  async run(world) {
    const node = world.infrastructure.cluster.node(1);
    const kills = world.times(KILLS);
    world.relays.start();
    await world.workload.start({ rate: 400 });
    for (let kill = 1; kill <= kills; kill += 1) {
      await world.untilPublishing(120_000);
      await sleep(world.random.between(0, 3_000));
      const signal = kill % 3 === 0 ? 'SIGTERM' : 'SIGKILL';
      world.fault(`${signal} to the broker, ${kill} of ${kills}`);
      await node.kill(signal);
      await sleep(world.random.between(0, 2_000));
      await node.start();
    }
    world.healed();
    return { recovery: await world.untilRecovered() };
  },
};

export const brokerStopped: Scenario = {
  name: 'broker-stopped',
  about: `the only broker is stopped in an orderly way (SIGTERM) and started again ${KILLS} times under load, three relays at work`,
  needs: { brokers: 1 },
  async run(world) {
    const node = world.infrastructure.cluster.node(1);
    const stops = world.times(KILLS);
    for (let relay = 0; relay < 3; relay += 1) world.relays.start(SMALL_BATCHES);
    await world.untilShared(3);
    await world.workload.start({ rate: 400 });
    for (let stop = 1; stop <= stops; stop += 1) {
      await world.untilPublishing(120_000);
      await sleep(world.random.between(0, 1_000));
      world.fault(`SIGTERM to the broker, ${stop} of ${stops}`);
      await node.kill('SIGTERM');
      await node.start();
    }
    world.healed();
    return { recovery: await world.untilRecovered() };
  },
};

export const brokerAway: Scenario = {
  name: 'broker-away',
  about: 'the only broker is away for two minutes under load, longer than every retry',
  needs: { brokers: 1 },
  async run(world) {
    const node = world.infrastructure.cluster.node(1);
    world.relays.start();
    await world.workload.start({ rate: 200 });
    await world.untilPublishing();
    world.fault('the broker goes away');
    await node.kill('SIGKILL');
    await sleep(AWAY);
    const [row] = await world.query<{ failed: number }>(
      `SELECT count(*)::int AS failed FROM event_outbox WHERE status = 'FAILED' OR retry_count > 0`,
    );
    await node.start();
    world.healed();
    return {
      recovery: await world.untilRecovered(),
      violations:
        row?.failed === 0
          ? []
          : [{ rule: 'charged', cases: row?.failed ?? 0, examples: ['an outage was counted as a try of these rows'] }],
    };
  },
};

export const brokerFrozen: Scenario = {
  name: 'broker-frozen',
  about: 'the only broker is frozen (SIGSTOP) for 15 s under load, five times',
  needs: { brokers: 1 },
  async run(world) {
    const node = world.infrastructure.cluster.node(1);
    const freezes = world.times(5);
    world.relays.start();
    await world.workload.start({ rate: 200 });
    for (let freeze = 1; freeze <= freezes; freeze += 1) {
      await world.untilPublishing(120_000);
      await sleep(world.random.between(0, 2_000));
      world.fault(`the broker freezes, ${freeze} of ${freezes}`);
      node.freeze();
      await sleep(15_000);
      node.thaw();
    }
    world.healed();
    return { recovery: await world.untilRecovered() };
  },
};

export const leadersMoved: Scenario = {
  name: 'leaders-moved',
  about: 'three brokers: leaders move, a leader is killed, two are killed (below min.insync.replicas), under load',
  needs: { brokers: 3 },
  async run(world) {
    const { cluster } = world.infrastructure;
    const { topic } = world.kafka;
    world.relays.start();
    await world.workload.start({ rate: 300 });
    await world.untilPublishing();
    const rounds = world.times(3);
    for (let round = 1; round <= rounds; round += 1) {
      world.fault(`all leaders move, ${round} of ${rounds}`);
      await cluster.admin.moveLeaders(topic);
      await world.untilPublishing();
      const killed = world.random.between(1, 3);
      world.fault(`broker ${killed} is killed`);
      await cluster.node(killed).kill('SIGKILL');
      await sleep(world.random.between(1_000, 8_000));
      await cluster.node(killed).start();
      await cluster.admin.untilInSync(topic);
      await world.untilPublishing();
    }
    world.fault('two brokers are killed');
    await Promise.all([cluster.node(1).kill('SIGKILL'), cluster.node(2).kill('SIGTERM')]);
    await sleep(15_000);
    await Promise.all([cluster.node(1).start(), cluster.node(2).start()]);
    world.healed();
    const recovery = await world.untilRecovered();
    await cluster.admin.untilInSync(topic);
    return { recovery };
  },
};
