import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadConfig } from '../src/config.ts';
import { both, database, kafka, problemsOf } from './config-problems.ts';

describe('a host', () => {
  it.each(['POSTGRES_HOST', 'KAFKA_HOST'] as const)('in %s has no port, path or blank', (name) => {
    const rest = name === 'KAFKA_HOST' ? database : kafka;
    for (const host of ['db:5432', 'a b', '/run/postgresql', 'http://db', 'u@db', '[::1]']) {
      expect(problemsOf({ ...rest, [name]: host })).toEqual([
        `${name} must be a host name or an IP address, without a port`,
      ]);
    }
  });
});

describe('the broker', () => {
  it('is where KAFKA_BROKERS says, one or several', () => {
    const { kafka } = loadConfig({ ...database, KAFKA_BROKERS: 'a:1, b.example-1.org:65535 ,[::1]:9092,10.0.0.1:9' });
    expect(kafka?.brokers).toEqual(['a:1', 'b.example-1.org:65535', '[::1]:9092', '10.0.0.1:9']);
  });

  it('is where KAFKA_HOST and KAFKA_PORT say', () => {
    expect(loadConfig({ ...database, KAFKA_HOST: 'k' }).kafka?.brokers).toEqual(['k:9092']);
    expect(loadConfig({ ...database, KAFKA_HOST: '::1', KAFKA_PORT: '9' }).kafka?.brokers).toEqual(['[::1]:9']);
  });

  it.each([
    'k',
    'k:',
    ':9092',
    'k:0',
    'k:65536',
    'k:x',
    'a:1,',
    'a:1,,b:2',
    'a:1 b:2',
    '::1:9092',
    '[k]:1',
    'http://k:9092',
  ])('cannot be at %s', (KAFKA_BROKERS) => {
    expect(problemsOf({ ...database, KAFKA_BROKERS })).toEqual([
      'KAFKA_BROKERS must be host:port, several separated by commas',
    ]);
  });

  it('is told once', () => {
    expect(problemsOf({ ...both, KAFKA_HOST: 'k' })).toEqual([
      'KAFKA_BROKERS and KAFKA_HOST exclude each other: set one of them',
    ]);
  });

  it.each(['a', 'A.b_c-1', 'x'.repeat(249)])('takes events on the topic %s', (KAFKA_TOPIC) => {
    const config = loadConfig({ ...both, KAFKA_TOPIC });
    expect([config.topic, config.kafka?.topic]).toEqual([KAFKA_TOPIC, KAFKA_TOPIC]);
  });

  it.each(['a b', 'a/b', '主题', '.', '..', 'x'.repeat(250)])('knows no topic %s', (KAFKA_TOPIC) => {
    expect(problemsOf({ KAFKA_TOPIC })).toEqual([
      `KAFKA_TOPIC must be 1 to 249 letters, digits, '.', '_' or '-', not '${KAFKA_TOPIC}'`,
    ]);
  });

  it('is logged in to with SASL', () => {
    const login = { KAFKA_SASL_MECHANISM: 'SCRAM-SHA-512', KAFKA_SASL_USERNAME: 'u', KAFKA_SASL_PASSWORD: 'p' };
    expect(loadConfig({ ...both, ...login }).kafka?.sasl).toEqual({
      mechanism: 'SCRAM-SHA-512',
      username: 'u',
      password: 'p',
    });
    expect(loadConfig(both).kafka).not.toHaveProperty('sasl');
  });

  it('needs all of a login', () => {
    const incomplete = ['KAFKA_SASL_MECHANISM needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD'];
    const mechanism = { KAFKA_SASL_MECHANISM: 'PLAIN' };
    expect(problemsOf(mechanism)).toEqual(incomplete);
    expect(problemsOf({ ...mechanism, KAFKA_SASL_USERNAME: 'u' })).toEqual(incomplete);
    expect(problemsOf({ ...mechanism, KAFKA_SASL_PASSWORD: 'p' })).toEqual(incomplete);
    const withoutMechanism = ['KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD need KAFKA_SASL_MECHANISM'];
    expect(problemsOf({ KAFKA_SASL_USERNAME: 'u' })).toEqual(withoutMechanism);
    expect(problemsOf({ KAFKA_SASL_PASSWORD: 'p' })).toEqual(withoutMechanism);
  });
});

describe('TLS', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'config-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('is off, or on, or on with an authority of its own', () => {
    const file = join(folder, 'ca.pem');
    writeFileSync(file, 'PEM');
    expect(loadConfig(both).kafka).not.toHaveProperty('tls');
    expect(loadConfig({ ...both, KAFKA_TLS: 'true' }).kafka?.tls).toEqual({});
    expect(loadConfig({ ...both, KAFKA_TLS: 'true', KAFKA_TLS_CA_FILE: file }).kafka?.tls).toEqual({ ca: 'PEM' });
  });

  it('tells of an authority that cannot be read, or is not used', () => {
    const file = join(folder, 'none.pem');
    expect(problemsOf({ KAFKA_TLS: 'true', KAFKA_TLS_CA_FILE: file })).toEqual([
      `KAFKA_TLS_CA_FILE: '${file}' cannot be read`,
    ]);
    expect(problemsOf({ KAFKA_TLS_CA_FILE: file })).toEqual(['KAFKA_TLS_CA_FILE needs KAFKA_TLS=true']);
  });
});
