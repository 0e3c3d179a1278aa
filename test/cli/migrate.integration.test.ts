import { readdirSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { createEmptyDatabase } from '../support/database.ts';
import { genesis } from './genesis.ts';

const MIGRATIONS = readdirSync(new URL('../../migrations/', import.meta.url)).filter((name) => /^\d{4}_/u.test(name));

test('genesis migrate says what it did, to people and to programs', { timeout: 60_000 }, async () => {
  const database = await createEmptyDatabase();
  onTestFinished(() => database.drop());
  const env = { DATABASE_URL: database.url, KAFKA_BROKERS: 'localhost:9092' };
  const first = await genesis(env, 'migrate', '--json');
  expect(first).toMatchObject({ code: 0, err: '' });
  const { applied, left } = JSON.parse(first.out) as { readonly applied: readonly string[]; readonly left: unknown };
  expect([applied.length, left]).toEqual([MIGRATIONS.length, []]);
  expect(await genesis(env, 'migrate')).toEqual({ code: 0, out: 'the database is up to date\n', err: '' });
});
