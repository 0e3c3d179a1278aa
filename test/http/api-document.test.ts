import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ERRORS, type ErrorCode } from '../../src/errors.ts';
import { COMMAND_PAYLOADS, MAX_DATA_BYTES, MAX_PAYLOAD_DEPTH } from '../../src/genesis/commands.ts';
import { EVENT_SCHEMAS, type EventType } from '../../src/genesis/event-schemas.ts';
import { EVENT_VERSIONS } from '../../src/genesis/events.ts';
import { SUPPORTED_COMMANDS } from '../../src/http/command-schemas.ts';
import { COMMAND_WHEN } from '../../src/http/openapi/writes.ts';
import { DEFAULT_LIMITS } from '../../src/http/ports.ts';
import { createApi } from './api-harness.ts';
import { routesOf } from './routes-of.ts';

const document = readFileSync(new URL('../../docs/api.md', import.meta.url), 'utf8');

/** The cells of a table row, without their marks. */
const cells = (row: string) =>
  row
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim().replaceAll('`', ''));
const section = (title: string) => document.split(`## ${title}\n`)[1]?.split('\n## ')[0] ?? '';
const rows = (text: string) =>
  text
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map(cells);

describe('docs/api.md', () => {
  it('lists every error code with its status and whether to try again, and no other', () => {
    const documented = rows(section('Errors'))
      .filter(([status]) => /^\d+$/.test(status ?? ''))
      .map(([status, code, again]) => ({ code, status: Number(status), retryable: again === 'yes' }));
    const coded = (Object.keys(ERRORS) as ErrorCode[]).map((code) => ({
      code,
      status: ERRORS[code].status,
      retryable: ERRORS[code].retryable,
    }));
    const byCode = (left: { code: string | undefined }, right: { code: string | undefined }) =>
      String(left.code).localeCompare(String(right.code));
    expect(documented.sort(byCode)).toStrictEqual(coded.sort(byCode));
  });

  it('lists every command with its members, and no other', () => {
    const documented = rows(section('Send a command')).filter(([name]) => Object.hasOwn(COMMAND_PAYLOADS, name ?? ''));
    expect(new Set(documented.map(([name]) => name))).toStrictEqual(new Set(SUPPORTED_COMMANDS));
    for (const [name, , when, payload = ''] of documented) {
      for (const type of SUPPORTED_COMMANDS.filter((command) => command === name)) {
        expect(when, type).toBe(COMMAND_WHEN[type].replaceAll('`', ''));
        const { properties, required = [] } = COMMAND_PAYLOADS[type] as {
          properties: object;
          required?: readonly string[];
        };
        for (const member of Object.keys(properties)) {
          const optional = required.includes(member) ? '(?!\\?)' : '\\?';
          expect(payload, `${type}.${member}`).toMatch(new RegExp(`\\b${member}${optional}`));
        }
      }
    }
  });

  it('lists every event type with the members of its payload, and no other', () => {
    const documented = rows(section('What happened: events'))
      .filter(([name]) => name?.startsWith('Genesis.'))
      .map(([name, payload = '']) => {
        // What follows a colon tells of the member before it; a type's braces hold another object's members.
        const members = payload.replaceAll(/: [^,{]*(?:\{[^}]*\})?/g, '').split(', ');
        return [name, members];
      });
    const coded = (Object.keys(EVENT_SCHEMAS) as EventType[]).map((type) => {
      const { properties, required } = EVENT_SCHEMAS[type][EVENT_VERSIONS[type]].payload as {
        properties: object;
        required?: readonly string[];
      };
      return [type, Object.keys(properties).map((member) => (required?.includes(member) ? member : `${member}?`))];
    });
    expect(documented).toStrictEqual(coded);
  });

  it('lists every route, and no other', async () => {
    const documented = [...document.matchAll(/`([A-Z]+) (\/[^`]*)`\]\(#/g)].map(
      ([, method, path]) => `${method} ${path?.replaceAll(/\{(\w+)\}/g, ':$1')}`,
    );
    // What the page at /docs is made of is its own business.
    const routes = await routesOf(createApi().dependencies);
    const shown = routes.filter((route) => !route.startsWith('HEAD ') && !route.includes(' /docs/'));
    expect(new Set(documented)).toStrictEqual(new Set(shown));
  });

  it('tells the order of faults as the OpenAPI document does', () => {
    const described = readFileSync(new URL('../../docs/openapi.json', import.meta.url), 'utf8');
    const order = (text: string) => /in this order: (401;[^.]*)\./.exec(text)?.[1]?.replaceAll(/\s+/g, ' ');
    expect(order(document)).toMatch(/^401; 429; .*409 for the session's state$/);
    expect(order(described)).toBe(order(document));
  });

  it('gives the limits that hold', () => {
    const limits = section('Limits');
    expect(DEFAULT_LIMITS.bodyBytes).toBe(256 * 1_024);
    expect(MAX_DATA_BYTES).toBe(64 * 1_024);
    expect(limits).toContain('256 KiB');
    expect(limits).toContain('64 KiB');
    expect(limits).toContain(`${MAX_PAYLOAD_DEPTH} levels`);
    expect(limits).toContain(`headers ${DEFAULT_LIMITS.headersTimeout / 1_000} s`);
    expect(limits).toContain(`request ${DEFAULT_LIMITS.receiveTimeout / 1_000} s`);
    expect(limits).toContain(`after ${DEFAULT_LIMITS.keepAliveTimeout / 1_000} s`);
  });
});
