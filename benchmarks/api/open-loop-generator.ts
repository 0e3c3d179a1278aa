import { readFileSync } from 'node:fs';
import { OpenLoopLoad } from './open-loop-load.ts';
import type { FromGenerator, GeneratorPlan, ToGenerator } from './open-loop-process.ts';

/*
 * The load generator, a process of its own: the benchmark's other work delays no request. It is told what to send, says when it is
 * connected, begins when it is told to, tells its figures and ends; it also ends when the benchmark does.
 */

function tell(message: FromGenerator): void {
  process.send?.(message);
}

function requestsOf({ address, sessionsFile, body }: GeneratorPlan): readonly Buffer[] {
  const { host } = new URL(address);
  return readFileSync(sessionsFile, 'utf8')
    .split('\n')
    .map((line) => line.split('\t'))
    .map(([session = '', token = '']) =>
      Buffer.from(
        [
          `POST /api/v1/genesis/sessions/${session}/commands HTTP/1.1`,
          `Host: ${host}`,
          `Authorization: Bearer ${token}`,
          'Content-Type: application/json',
          `Content-Length: ${Buffer.byteLength(body)}`,
          '',
          body,
        ].join('\r\n'),
      ),
    );
}

let load: OpenLoopLoad | null = null;

async function follow(message: ToGenerator): Promise<void> {
  if (message.type === 'plan') {
    load = new OpenLoopLoad({ ...message.plan, requests: requestsOf(message.plan) });
    await load.open();
    tell({ type: 'ready' });
  } else if (load !== null) {
    const figures = await load.run();
    load.close();
    tell({ type: 'figures', figures });
  }
}

process.on('message', (message) => {
  follow(message as ToGenerator).catch((error: unknown) => {
    tell({ type: 'failed', reason: error instanceof Error ? error.message : String(error) });
  });
});
process.once('disconnect', () => process.exit());
