import { describe, expect, it } from 'vitest';
import { GenesisError } from '../../src/errors.ts';
import { problemOf } from '../../src/http/problem.ts';

const told = (details: Readonly<Record<string, unknown>>) =>
  problemOf(new GenesisError('UNAVAILABLE', 'Later.', details), { path: '/x', traceId: 't' });

describe('a problem that may be over later', () => {
  it('says a second, where nothing is known of how long it takes', () => {
    expect(told({}).headers['retry-after']).toBe('1');
  });

  it('says how long it may take where somebody has to act first', () => {
    const { headers, body, status } = told({ retry_after: 30 });
    expect({ status, wait: headers['retry-after'] }).toEqual({ status: 503, wait: '30' });
    expect(JSON.parse(body)).toMatchObject({ error_code: 'UNAVAILABLE', detail: 'Later.', retry_after: 30 });
  });
});
