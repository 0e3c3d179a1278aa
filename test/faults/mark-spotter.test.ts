import { expect, test } from 'vitest';
import { MarkSpotter } from '../../faults/mark-spotter.ts';

const MARK = `UPDATE event_outbox AS outbox SET status = CASE outbox.status WHEN 'PENDING' THEN 'SENT' END`;

function message(type: string, ...strings: readonly string[]): Buffer {
  const body = Buffer.from(strings.map((text) => `${text}\0`).join(''));
  const length = Buffer.alloc(4);
  length.writeInt32BE(body.length + 4);
  return Buffer.concat([Buffer.from(type), length, body]);
}

/** A connection that has begun. */
function spotter(): MarkSpotter {
  const begun = new MarkSpotter();
  expect(begun.sees(message('', 'user', 'SET status = CASE'))).toBe(false);
  return begun;
}

test('a mark is seen when it is executed, by its name, as often as it is', () => {
  const client = spotter();
  expect(client.sees(message('P', 'statement-3', MARK))).toBe(false);
  expect(client.sees(message('B', '', 'statement-3'))).toBe(true);
  expect(client.sees(message('B', '', 'statement-4'))).toBe(false);
  expect(client.sees(Buffer.concat([message('B', '', 'statement-3'), message('S')]))).toBe(true);
});

test('the unnamed statement is what was parsed last', () => {
  const client = spotter();
  expect(client.sees(Buffer.concat([message('P', '', MARK), message('B', '', '')]))).toBe(true);
  expect(client.sees(Buffer.concat([message('P', '', 'SELECT 1'), message('B', '', '')]))).toBe(false);
});

test('a message may come in pieces', () => {
  const client = spotter();
  const all = Buffer.concat([message('P', 'a', MARK), message('B', '', 'a')]);
  const seen = [...all].map((byte) => client.sees(Buffer.from([byte])));
  expect(seen.indexOf(true)).toBe(all.length - 1);
});

test('a plain query is a mark too, and nothing else is', () => {
  const client = spotter();
  expect(client.sees(message('Q', MARK))).toBe(true);
  expect(client.sees(message('Q', 'SELECT status FROM event_outbox'))).toBe(false);
  expect(client.sees(message('p', MARK))).toBe(false);
});
