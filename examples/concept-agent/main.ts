import { pino } from 'pino';
import { Agent } from './agent.ts';
import { createDeadLetters } from './dead-letters.ts';
import { generateConcepts } from './generate-concepts.ts';
import { createGenesisApi } from './genesis-api.ts';
import { createRecordHandler } from './handle-record.ts';
import { readSettings } from './settings.ts';
import { startTracing } from './tracing.ts';

/** Milliseconds that an answer on its way may take after the wish to stop. */
const FINISH = 2_000;
/** Milliseconds that the last spans may take. */
const FAREWELL = 500;
/** Milliseconds after which the process ends, whatever hangs. Nothing is lost by it: what is not committed is read again. */
const GRACE = 4_800;

const settings = readSettings(process.env);
const logger = pino({ level: process.env['LOG_LEVEL']?.toLowerCase() ?? 'info' }, pino.destination({ sync: true }));
const stopping = stopSignal();
const cut = new AbortController();
stopping.addEventListener('abort', () => {
  logger.info({ reason: String(stopping.reason) }, 'stopping');
  setTimeout(() => cut.abort(), FINISH).unref();
  setTimeout(() => process.exit(1), GRACE).unref();
});

const { brokers, topic, api, token, delay } = settings;
const deadLetters = createDeadLetters({ brokers, topic: `${topic}.dlq`, logger, stopping });
const genesis = createGenesisApi(api, token, cut.signal);
const tracing = await startTracing(process.env);
const handle = createRecordHandler({
  api: tracing === null ? genesis : tracing.api(genesis),
  generate: (preferences, signal) => generateConcepts(preferences, delay, signal),
  deadLetters,
  logger,
  stopping,
  ...(tracing === null ? {} : { tracing }),
});
await new Agent({ ...settings, handle, deadLetters, logger }).run(stopping);
await deadLetters.close().catch(() => undefined);
await tracing?.close(FAREWELL);
process.exit(0);

/** Aborts at SIGTERM or SIGINT, or when the process that started this one ends. */
function stopSignal(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => controller.abort(name));
  process.on('disconnect', () => controller.abort('parent ended'));
  return controller.signal;
}
