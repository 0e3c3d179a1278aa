import type { TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { describe, expect, it } from 'vitest';
import { COMMAND_PAYLOADS, type CommandType } from '../../src/genesis/commands.ts';
import { STAGES } from '../../src/genesis/session.ts';
import { MAX_VALUE_BYTES } from '../../src/outbox/build-outbox-row.ts';

const schemas: Readonly<Record<CommandType, TSchema>> = COMMAND_PAYLOADS;
const types = Object.keys(schemas) as CommandType[];
const validators = new Map(types.map((type) => [type, Compile(schemas[type])]));
const ID = '01900000-0000-7000-8000-000000000007';

function accepts(type: CommandType, payload: unknown): boolean {
  const validator = validators.get(type);
  if (validator === undefined) throw new Error(`no schema for ${type}`);
  return validator.Check(payload);
}

const text = (length: number) => '字'.repeat(length);
const list = (length: number, entry: unknown) => Array.from({ length }, () => entry);
const concept = (members: object = {}) => ({ title: 'T', summary: 'S', ...members });
const request = (members: object = {}) => ({ theme_preferences: [], style_preferences: [], ...members });
const proposal = (...concepts: readonly unknown[]) => ({ request_id: ID, concepts });

const smallest: Readonly<Record<CommandType, object>> = {
  CreateSession: {},
  RequestConceptGeneration: request(),
  ProposeConcepts: proposal(concept()),
  FailConceptGeneration: { request_id: ID, reason: 'r' },
  SubmitFeedback: { feedback: 'f' },
  ConfirmStage: { stage: 'WORLDVIEW' },
  UpdateSession: { title: 't' },
  AbandonSession: {},
};

describe('every payload', () => {
  it.each(types)('%s takes the least that is required', (type) => {
    expect(accepts(type, smallest[type])).toBe(true);
  });

  it.each(types)('%s refuses an unknown member', (type) => {
    expect(accepts(type, { ...smallest[type], unknown: 1 })).toBe(false);
    const json = JSON.stringify({ ...smallest[type], unknown: {} }).replace('unknown', '__proto__');
    expect(accepts(type, JSON.parse(json))).toBe(false);
  });

  it.each(types)('%s refuses what is not an object', (type) => {
    for (const payload of [null, undefined, [], 'text', 1, true]) expect(accepts(type, payload)).toBe(false);
  });

  const required: readonly CommandType[] = types.filter(
    (type) => type !== 'CreateSession' && type !== 'AbandonSession',
  );
  it.each(required)('%s refuses to miss any of its required members', (type) => {
    for (const member of Object.keys(smallest[type])) {
      const without = Object.fromEntries(Object.entries(smallest[type]).filter(([name]) => name !== member));
      expect(accepts(type, without), `without ${member}`).toBe(false);
    }
  });
});

describe('a text', () => {
  const bounds: readonly [string, CommandType, number, (value: unknown) => unknown][] = [
    ['title', 'CreateSession', 200, (title) => ({ title })],
    ['idea', 'CreateSession', 10_000, (idea) => ({ idea })],
    ['theme', 'RequestConceptGeneration', 100, (theme) => request({ theme_preferences: [theme] })],
    ['style', 'RequestConceptGeneration', 100, (style) => request({ style_preferences: [style] })],
    ["concept's title", 'ProposeConcepts', 200, (title) => proposal(concept({ title }))],
    ["concept's summary", 'ProposeConcepts', 5_000, (summary) => proposal(concept({ summary }))],
    ["concept's theme", 'ProposeConcepts', 100, (theme) => proposal(concept({ themes: [theme] }))],
    ['reason', 'FailConceptGeneration', 1_000, (reason) => ({ request_id: ID, reason })],
    ['feedback', 'SubmitFeedback', 10_000, (feedback) => ({ feedback })],
    ['target', 'SubmitFeedback', 200, (target) => ({ feedback: 'f', target })],
    ['title', 'UpdateSession', 200, (title) => ({ title })],
    ['idea', 'UpdateSession', 10_000, (idea) => ({ idea })],
    ['reason', 'AbandonSession', 1_000, (reason) => ({ reason })],
  ];

  it.each(bounds)('%s of %s has 1 to %i characters', (_, type, limit, payload) => {
    expect(accepts(type, payload(''))).toBe(false);
    expect(accepts(type, payload(text(1)))).toBe(true);
    expect(accepts(type, payload(text(limit)))).toBe(true);
    expect(accepts(type, payload(text(limit + 1)))).toBe(false);
  });

  it.each(bounds)('%s of %s counts a character outside the basic plane once', (_, type, limit, payload) => {
    expect(accepts(type, payload('😀'.repeat(limit)))).toBe(true);
    expect(accepts(type, payload('😀'.repeat(limit + 1)))).toBe(false);
  });

  it.each(bounds)('%s of %s is nothing but a text', (_, type, __, payload) => {
    for (const value of [null, 1, ['a'], {}]) expect(accepts(type, payload(value))).toBe(false);
  });
});

describe('a list', () => {
  it.each([
    ['themes', 'RequestConceptGeneration', (themes: unknown) => request({ theme_preferences: themes })],
    ['styles', 'RequestConceptGeneration', (styles: unknown) => request({ style_preferences: styles })],
    ["a concept's themes", 'ProposeConcepts', (themes: unknown) => proposal(concept({ themes }))],
  ] as const)('of %s in %s has at most 20 entries', (_, type, payload) => {
    expect(accepts(type, payload([]))).toBe(true);
    expect(accepts(type, payload(list(20, 'a')))).toBe(true);
    expect(accepts(type, payload(list(21, 'a')))).toBe(false);
    expect(accepts(type, payload('a'))).toBe(false);
  });

  it('of concepts has 1 to 10 entries', () => {
    expect(accepts('ProposeConcepts', proposal())).toBe(false);
    expect(accepts('ProposeConcepts', proposal(...list(10, concept())))).toBe(true);
    expect(accepts('ProposeConcepts', proposal(...list(11, concept())))).toBe(false);
  });
});

describe('a concept', () => {
  it.each([
    ['an unknown member', concept({ genre: 'x' })],
    ['no title', { summary: 'S' }],
    ['no summary', { title: 'T' }],
  ])('is refused with %s', (_, value) => {
    expect(accepts('ProposeConcepts', proposal(value))).toBe(false);
  });
});

describe('a request_id', () => {
  it.each(['ProposeConcepts', 'FailConceptGeneration'] as const)('of %s is a UUID in either case', (type) => {
    const payload = (request_id: unknown) => ({ ...smallest[type], request_id });
    expect(accepts(type, payload(ID.toUpperCase()))).toBe(true);
    for (const wrong of ['', 'x', `urn:uuid:${ID}`, `{${ID}}`, ID.replaceAll('-', ''), `${ID}0`, 7, null]) {
      expect(accepts(type, payload(wrong)), String(wrong)).toBe(false);
    }
  });
});

describe('ConfirmStage', () => {
  it.each(STAGES)('takes the stage %s', (stage) => {
    expect(accepts('ConfirmStage', { stage })).toBe(true);
  });

  it.each(['FINISHED', 'worldview', 'toString', '', null])('refuses the stage %s', (stage) => {
    expect(accepts('ConfirmStage', { stage })).toBe(false);
  });

  it('takes any object as data, and nothing else', () => {
    const accepted = [{}, { '': 1, 'a\nb': [null, { c: 1.5 }] }, JSON.parse('{"__proto__": 1}') as unknown];
    for (const data of accepted) expect(accepts('ConfirmStage', { stage: 'WORLDVIEW', data })).toBe(true);
    for (const data of [null, [], 'x', 1]) expect(accepts('ConfirmStage', { stage: 'WORLDVIEW', data })).toBe(false);
  });
});

describe('UpdateSession', () => {
  it('changes something', () => {
    expect(accepts('UpdateSession', {})).toBe(false);
    expect(accepts('UpdateSession', { title: 't', idea: 'i' })).toBe(true);
  });
});

describe('the bounds', () => {
  it('keep the largest event below what the topic takes, even where each character is escaped', () => {
    const escaped = (length: number) => '\u0001'.repeat(length);
    const largest = {
      request_id: ID,
      concepts: list(10, { title: escaped(200), summary: escaped(5_000), themes: list(20, escaped(100)) }),
    };
    expect(accepts('ProposeConcepts', largest)).toBe(true);
    // A quarter is left for the envelope and the metadata, which hold a user id of 255 characters at most.
    expect(Buffer.byteLength(JSON.stringify(largest))).toBeLessThan(MAX_VALUE_BYTES * 0.75);
  });
});
