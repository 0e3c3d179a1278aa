import { join } from 'node:path';
import { Parser } from '@asyncapi/parser';
import { Compile } from 'typebox/compile';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { asyncApiText, committedAsyncApi } from '../../checks/asyncapi.ts';
import { recordExample, type RecordExample } from '../../checks/asyncapi-examples.ts';
import { ENVELOPE_SCHEMA, EVENT_SCHEMAS, type EventType } from '../../src/genesis/event-schemas.ts';

const root = join(import.meta.dirname, '../..');
/** Errors and warnings, as the parser counts them. */
const WORST: readonly number[] = [0, 1];
const text = asyncApiText();
const { components } = parse(text) as {
  readonly components: {
    readonly schemas: { readonly headers: { readonly properties: object; readonly required: readonly string[] } };
    readonly messages: Readonly<Record<string, { readonly examples?: readonly RecordExample[] }>>;
  };
};
const versions = Object.entries(EVENT_SCHEMAS).flatMap(([type, all]) =>
  Object.entries(all).map(([version, { payload }]) => [`${type}.v${version}`, payload] as const),
);

describe('the AsyncAPI document', () => {
  it('has nothing that its own parser would object to', async () => {
    const { diagnostics, document } = await new Parser().parse(text);
    expect(diagnostics.filter(({ severity }) => WORST.includes(severity))).toEqual([]);
    expect(document?.version()).toBe('3.0.0');
    expect(
      document
        ?.allChannels()
        .all()
        .map((channel) => channel.address()),
    ).toEqual(['domain-events', 'domain-events.dlq']);
  });

  it('is the one in docs; mend by: node checks/asyncapi.ts --write', () => {
    expect(committedAsyncApi(root)).toBe(text);
  });

  it('has one message for every version of every event', () => {
    const messages = Object.keys(components.messages).filter((name) => name !== 'deadLetter');
    expect(messages).toEqual(versions.map(([name]) => name));
  });

  it('would not be made without an example of a new event', () => {
    expect(() => recordExample('Genesis.Session.Created' satisfies EventType, 99)).toThrow('no example');
  });
});

describe.each(versions)('the example of %s', (name, payload) => {
  const [example] = components.messages[name]?.examples ?? [];

  it('fits the schemas of the envelope and the payload', () => {
    expect([...Compile(ENVELOPE_SCHEMA).Errors(example?.payload)]).toEqual([]);
    expect([...Compile(payload).Errors((example?.payload as { payload?: unknown } | undefined)?.payload)]).toEqual([]);
  });

  it('has the headers that are described, no other, and all that are required', () => {
    const { properties, required } = components.schemas.headers;
    const names = Object.keys(example?.headers ?? {});
    expect(names.filter((header) => !Object.hasOwn(properties, header))).toEqual([]);
    expect(required.filter((header) => !names.includes(header))).toEqual([]);
  });
});
