import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { submitFeedback, updateSession } from '../genesis/given.ts';
import { startTopicRig, type TopicRig } from '../operations/topic-rig.ts';

const MAIN = new URL('../../examples/stream-check/main.ts', import.meta.url).pathname;

let rig: TopicRig;
beforeAll(async () => {
  rig = await startTopicRig(inject('brokers'));
});
afterAll(() => rig.stop());

async function check(env: Readonly<Record<string, string>>) {
  const child = spawn(process.execPath, [MAIN], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const [out, err, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit') as Promise<[number | null]>,
  ]);
  return { code, lines: out.trimEnd().split('\n'), err };
}

const topic = () => ({ KAFKA_BROKERS: inject('brokers').join(','), KAFKA_TOPIC: rig.kafka.topic });
const none = { ok: 0, unproven: 0, duplicate: 0, gap: 0, reordered: 0, fork: 0, unreadable: 0 };

it('reads a topic to its end, proves it complete, and finds what is not', async () => {
  await rig.session(updateSession(), submitFeedback());
  const written = await rig.publish();
  await rig.session();
  await rig.publish();
  await rig.write(written.slice(1, 2));
  const clean = await check(topic());
  expect(clean).toMatchObject({ code: 0, err: '' });
  expect(JSON.parse(clean.lines.at(-1) ?? '')).toEqual({ ...none, ok: 4, duplicate: 1 });
  expect(clean.lines[0]).toMatch(/^duplicate: partition \d offset 3, session \S+, sequence 2$/u);
  const id = await rig.session(updateSession(), submitFeedback());
  const [one, , three] = await rig.unsent();
  if (one === undefined || three === undefined) throw new Error('three rows are wanted');
  await rig.write([one, three]);
  const broken = await check(topic());
  expect(broken.code).toBe(1);
  const gap = new RegExp(`^gap: partition .*, session ${id}, sequence 3 \\{"from":2,"to":2\\}$`, 'u');
  expect(broken.lines.filter((line) => gap.test(line))).toHaveLength(1);
  expect(JSON.parse(broken.lines.at(-1) ?? '')).toEqual({ ...none, ok: 5, duplicate: 1, gap: 1 });
});

it('says what it needs', async () => {
  expect(await check({ KAFKA_BROKERS: '' })).toMatchObject({
    code: 2,
    err: 'KAFKA_BROKERS must be set: host:port, several separated by commas\n',
  });
});
