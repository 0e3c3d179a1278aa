import { setTimeout as sleep } from 'node:timers/promises';
import { Link } from '../link.ts';
import { promise, type Scenario } from '../scenario.ts';

export const postgresRestarted: Scenario = {
  name: 'postgres-restarted',
  about: 'PostgreSQL is stopped (immediate, every third time SIGKILL) and recovers from its log, five times under load',
  needs: { brokers: 1 },
  async run(world) {
    const { postgres } = world.infrastructure;
    world.relays.start();
    world.relays.start();
    await world.workload.start({ rate: 400 });
    const stops = world.times(5);
    for (let stop = 1; stop <= stops; stop += 1) {
      await world.untilPublishing();
      await sleep(world.random.between(500, 4_000));
      const signal = stop % 3 === 0 ? 'SIGKILL' : 'SIGQUIT';
      world.fault(`${signal} to PostgreSQL, ${stop} of ${stops}`);
      await postgres.kill(signal);
      await sleep(world.random.between(0, 3_000));
      await postgres.start();
    }
    world.healed();
    return { recovery: await world.untilRecovered() };
  },
};

const CUTS = 30;

export const linkCut: Scenario = {
  name: 'link-cut',
  about: `the relay's links to PostgreSQL are cut ${CUTS} times: at the mark, before or after it is carried out, and at random`,
  needs: { brokers: 1 },
  async run(world) {
    let atMark = 0;
    const link = await Link.open(world.databaseUrl);
    try {
      world.relays.start({ DATABASE_URL: link.url });
      await world.workload.start({ rate: 400 });
      const cuts = world.times(CUTS);
      for (let cut = 1; cut <= cuts; cut += 1) {
        await world.untilPublishing();
        await sleep(world.random.between(0, 500));
        const moment = world.random.pick(['before the mark', 'after the mark', 'now'] as const);
        world.fault(`the links are cut ${moment}, ${cut} of ${cuts}`);
        if (moment === 'now') link.cut();
        else if (await link.cutAtMark(moment === 'before the mark')) atMark += 1;
      }
      world.healed();
      const recovery = await world.untilRecovered();
      await world.workload.stop();
      await world.untilDrained();
      await world.relays.stopAll();
      return {
        recovery,
        figures: { 'cut at a mark': atMark },
        violations: promise('the scenario cuts at marks', atMark > 0, 'no mark was recognised on the link'),
      };
    } finally {
      await link.close();
    }
  },
};
