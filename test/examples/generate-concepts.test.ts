import fc from 'fast-check';
import { Compile } from 'typebox/compile';
import { describe, expect, it } from 'vitest';
import { generateConcepts } from '../../examples/concept-agent/generate-concepts.ts';
import { COMMAND_PAYLOADS } from '../../src/genesis/commands.ts';
import { REQUEST_ID } from './a-record.ts';

const running = new AbortController().signal;
const preferences = { seed: REQUEST_ID, themes: ['科幻', '悬疑'], styles: ['快节奏'] };

describe('the concepts of the stand-in', () => {
  it('are the same for the same request', async () => {
    const concepts = await generateConcepts(preferences, 0, running);
    expect(await generateConcepts(preferences, 0, running)).toEqual(concepts);
    expect(concepts).toHaveLength(3);
  });

  it('differ with the request', async () => {
    const titles = new Set<string>();
    for (const seed of ['a', 'b', 'c', 'd', 'e', 'f']) {
      titles.add((await generateConcepts({ ...preferences, seed }, 0, running)).map(({ title }) => title).join());
    }
    expect(titles.size).toBeGreaterThan(1);
  });

  it('speak the language of the preferences', async () => {
    const [chinese] = await generateConcepts(preferences, 0, running);
    const [english] = await generateConcepts({ ...preferences, themes: ['war'], styles: [] }, 0, running);
    expect(chinese?.title).toMatch(/\p{Script=Han}/u);
    expect(english?.title).not.toMatch(/\p{Script=Han}/u);
  });

  it('are what the API takes, whatever the author may wish', async () => {
    const payload = Compile(COMMAND_PAYLOADS.ProposeConcepts);
    const wish = fc.array(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 100 }), { maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(wish, wish, async (themes, styles) => {
        const concepts = await generateConcepts({ seed: REQUEST_ID, themes, styles }, 0, running);
        expect([...payload.Errors({ request_id: REQUEST_ID, concepts })]).toEqual([]);
      }),
    );
  });

  it('are given up when the agent stops', async () => {
    const stop = new AbortController();
    const making = generateConcepts(preferences, 3_600_000, stop.signal);
    stop.abort();
    await expect(making).rejects.toThrow();
  });
});
