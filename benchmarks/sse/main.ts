import { parseArgs } from 'node:util';
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { migrate } from '../../src/postgres/migrate.ts';
import { startApi } from '../api/api-process.ts';
import { createSessions } from '../api/stage.ts';
import { runClosing } from '../closing.ts';
import { positive, readOptions, settings, whole } from '../options.ts';
import { readAuthors } from '../poster.ts';
import { introduce, openPostgres } from '../servers.ts';
import { measureSse, type SseFigures } from './measure.ts';

const USAGE = `npm run bench -- sse          from the answer to a command to its event at a reader of the session's event stream
       --readers N,…     each follows a session of its own (1,100,1000)
       --rate N          commands per second, of all sessions in turn (100)
       --seconds N       of each number of readers (20)
       --env NAME=VALUE  a setting of the API; may be repeated
Readers and clients share this process and its clock.`;

function parse(args: string[]) {
  const { values } = parseArgs({
    args,
    options: {
      readers: { type: 'string', default: '1,100,1000' },
      rate: { type: 'string', default: '100' },
      seconds: { type: 'string', default: '20' },
      env: { type: 'string', multiple: true, default: [] },
    },
  });
  return {
    readers: values.readers.split(',').map((text) => whole('readers', text)),
    rate: positive('rate', values.rate),
    seconds: positive('seconds', values.seconds),
    env: settings(values.env),
  };
}

/** `npm run bench -- sse …`: a table for people, and one line of JSON per number of readers. @throws Error when an event was missed */
export async function benchmarkSse(args: readonly string[]): Promise<void> {
  const options = readOptions(USAGE, args, parse);
  if (options === null) return;
  await runClosing(async (closing, folder) => {
    const postgres = await openPostgres(closing, folder);
    const machine = await introduce(postgres);
    const databaseUrl = await postgres.createDatabase('sse');
    await migrate(databaseUrl);
    const own = join(folder, 'api');
    mkdirSync(own);
    const secret = randomBytes(32).toString('hex');
    const api = await closing.open(
      () => startApi({ databaseUrl, folder: own, secret, env: options.env, nodeOptions: [] }),
      (running) => running.stop(),
    );
    const { readers, rate, seconds } = options;
    const measured: SseFigures[] = [];
    for (const count of readers) {
      const authors = readAuthors(await createSessions(api.address, secret, count));
      const figures = await measureSse({ api, authors, rate, seconds });
      tell(figures, rate);
      console.log(JSON.stringify({ benchmark: 'sse', rate, ...figures, machine }));
      measured.push(figures);
    }
    if (measured.some(({ missed, disordered }) => missed + disordered > 0))
      throw new Error('events were missed: see above');
  });
}

function tell(figures: SseFigures, rate: number): void {
  const { readers, accepted, refused, fromAnswer, fromRequest, missed, disordered, share, memory } = figures;
  const percent = (value: number): string => `${(value * 100).toFixed(0)} %`;
  console.log(
    `${readers} readers, ${rate}/s: ${accepted} commands, ${refused} refused, ${missed} events missed, ${disordered} out of order\n` +
      `  answer → event p50 ${fromAnswer.p50.toFixed(1)} p99 ${fromAnswer.p99.toFixed(1)} at most ${fromAnswer.most.toFixed(0)} ms; ` +
      `request → event p50 ${fromRequest.p50.toFixed(1)} p99 ${fromRequest.p99.toFixed(1)} ms\n` +
      `  API ${percent(share.api)} of a core (readers and clients ${percent(share.bench)}), ` +
      `${memory.before} MiB before, ${memory.after} MiB with all streams`,
  );
}
