import { pino } from 'pino';
import { expect, it } from 'vitest';
import { untilAvailable } from '../../src/bin/until-available.ts';
import { GenesisError } from '../../src/errors.ts';

const away = () => new GenesisError('UNAVAILABLE', 'away', {}, { cause: new Error('connect ECONNREFUSED') });

function recording() {
  const lines: string[] = [];
  return { lines, logger: pino({}, { write: (line: string) => void lines.push(line) }) };
}

it('tries until it is there, and tells the wait and its end once each', async () => {
  const { lines, logger } = recording();
  const answers = [away(), away()];
  const action = () => {
    const failure = answers.shift();
    return failure === undefined ? Promise.resolve('here') : Promise.reject(failure);
  };
  expect(await untilAvailable('the database', action, logger, new AbortController().signal)).toBe('here');
  expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual([
    expect.stringContaining('waiting for the database'),
    'the database is there',
  ]);
  expect(lines[0]).toContain('ECONNREFUSED');
});

it('gives up when it is told to stop', async () => {
  const stopping = new AbortController();
  const waiting = untilAvailable('the database', () => Promise.reject(away()), recording().logger, stopping.signal);
  stopping.abort();
  await expect(waiting).rejects.toThrow('abort');
});

it('does not try again what will not mend by itself', async () => {
  const wrong = () => Promise.reject(new Error('no tables'));
  await expect(untilAvailable('the database', wrong, recording().logger, new AbortController().signal)).rejects.toThrow(
    'no tables',
  );
});
