import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

/** A proposal for a novel. Bounds of the API: title 200 characters, summary 5,000, 20 themes of 100 each. */
export interface Concept {
  readonly title: string;
  readonly summary: string;
  readonly themes: readonly string[];
}

export interface Preferences {
  /** The same preferences with the same seed give the same concepts. */
  readonly seed: string;
  readonly themes: readonly string[];
  readonly styles: readonly string[];
}

/**
 * Makes concepts for an author's preferences. THIS is where a call of a language model would go; everything around it (order,
 * retries, crashes, outages) stays as it is. The stand-in takes as long as such a call and is deterministic.
 *
 * A model gives another answer each time it is asked. That is fine: the API keeps the first one that arrives for a request.
 *
 * @param delay Milliseconds that it takes.
 * @param signal Aborts the call when the agent stops.
 * @throws whatever a model call may throw: it is tried again a few times, then the request is told to have failed
 */
export async function generateConcepts(
  preferences: Preferences,
  delay: number,
  signal: AbortSignal,
): Promise<readonly Concept[]> {
  if (delay > 0) await sleep(delay, undefined, { signal });
  const { themes, styles } = preferences;
  const words = /\p{Script=Han}/u.test([...themes, ...styles].join('')) ? CHINESE : ENGLISH;
  return words.plots.map((plot, index) => {
    const theme = pick(themes, words.anyTheme, preferences.seed, index);
    const style = pick(styles, words.anyStyle, preferences.seed, index);
    return {
      title: words.title(shorten(theme), plot.title),
      summary: words.summary(plot.summary, shorten(theme), shorten(style)),
      themes: [...new Set([theme, ...themes])].slice(0, 20),
    };
  });
}

interface Words {
  readonly anyTheme: string;
  readonly anyStyle: string;
  readonly plots: readonly { readonly title: string; readonly summary: string }[];
  title(theme: string, plot: string): string;
  summary(plot: string, theme: string, style: string): string;
}

const CHINESE: Words = {
  anyTheme: '成长',
  anyStyle: '第三人称',
  plots: [
    { title: '无人应答的信号', summary: '一名边境观测员收到来自三十年后的求救信号，寄件人是她自己。' },
    { title: '最后的抄写员', summary: '文字被禁止的城里，一个抄写员发现自己的手稿正在改写现实。' },
    { title: '借来的名字', summary: '他以死者的名字活了十年，直到有人认出了那个名字。' },
  ],
  title: (theme, plot) => `《${plot}》——${theme}`,
  summary: (plot, theme, style) => `${plot}以「${style}」写成，主题是「${theme}」。`,
};

const ENGLISH: Words = {
  anyTheme: 'coming of age',
  anyStyle: 'third person',
  plots: [
    {
      title: 'The Unanswered Signal',
      summary: 'An observer at the border receives a call for help from thirty years ahead, sent by herself.',
    },
    {
      title: 'The Last Copyist',
      summary: 'In a city that has outlawed writing a copyist finds that her manuscripts change the world.',
    },
    {
      title: 'A Borrowed Name',
      summary: 'For ten years he has lived under the name of a dead man; then somebody recognises it.',
    },
  ],
  title: (theme, plot) => `${plot}: ${theme}`,
  summary: (plot, theme, style) => `${plot} A story about ${theme}, told in the style of: ${style}.`,
};

function pick(items: readonly string[], fallback: string, seed: string, index: number): string {
  const named = items.filter((item) => item.trim() !== '');
  if (named.length === 0) return fallback;
  const start = createHash('sha256').update(seed).digest().readUInt32BE();
  return named[(start + index) % named.length] ?? fallback;
}

/** Whole characters, so that nothing falls apart in the middle. */
function shorten(text: string): string {
  const segments = [...new Intl.Segmenter().segment(text)];
  return segments.length <= 60
    ? text
    : `${segments
        .slice(0, 60)
        .map(({ segment }) => segment)
        .join('')}…`;
}
