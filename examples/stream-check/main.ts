import { readTopic } from './read-topic.ts';
import { StreamCheck, type Verdict } from './stream-check.ts';

/** Findings that are told one by one. */
const MOST_TOLD = 20;

const { KAFKA_BROKERS = '', KAFKA_TOPIC = 'domain-events' } = process.env;
if (KAFKA_BROKERS === '') {
  console.error('KAFKA_BROKERS must be set: host:port, several separated by commas');
  process.exit(2);
}
const ended = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => ended.abort(name));

const check = new StreamCheck();
const counts: Record<Verdict['kind'], number> = {
  ok: 0,
  unproven: 0,
  duplicate: 0,
  gap: 0,
  reordered: 0,
  fork: 0,
  unreadable: 0,
};
const follow = process.argv.includes('--follow');
let told = 0;
for await (const record of readTopic({
  brokers: KAFKA_BROKERS.split(','),
  topic: KAFKA_TOPIC,
  follow,
  signal: ended.signal,
})) {
  const verdict = check.check(record);
  counts[verdict.kind] += 1;
  if (verdict.kind === 'ok' || verdict.kind === 'unproven') continue;
  told += 1;
  if (told > MOST_TOLD && !follow) continue;
  const { partition, offset, key, headers } = record;
  const { kind, ...details } = verdict;
  const about = Object.keys(details).length === 0 ? '' : ` ${JSON.stringify(details)}`;
  console.log(
    `${kind}: partition ${partition} offset ${offset}, session ${key}, sequence ${headers.get('sequence')}${about}`,
  );
}
console.log(JSON.stringify(counts));
// A repetition is what at-least-once delivery may bring; what is missing, out of order or not ours is not.
process.exit(counts.gap + counts.reordered + counts.fork + counts.unreadable === 0 ? 0 : 1);
