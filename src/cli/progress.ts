/** Where progress is shown: standard error, so that it never mixes with the output. */
export interface ProgressStream {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
}

export interface ProgressOptions {
  readonly stream: ProgressStream;
  /** How much there is to do. May turn out to be less or more. */
  readonly total: number;
  /** What is counted, one of it: `session`. */
  readonly unit: string;
  /** Milliseconds of a monotonic clock. */
  readonly now: () => number;
}

/** Milliseconds between two drawings of the bar, and between two lines where there is no terminal. */
const REDRAW = 100;
const LINE_EVERY = 10_000;
const WIDTH = 30;
/** Back to the start of the line, and erase it. */
const ERASE = '\r\u001B[2K';

/** A bar on a terminal; elsewhere a plain line now and then, for logs. Tells nothing of what is done in a moment. */
export class Progress {
  readonly #options: ProgressOptions;
  readonly #startedAt: number;
  #shownAt: number;
  #drawn = false;

  constructor(options: ProgressOptions) {
    this.#options = options;
    this.#startedAt = options.now();
    this.#shownAt = this.#startedAt;
  }

  /** Whether it is a bar. */
  get terminal(): boolean {
    return this.#options.stream.isTTY === true;
  }

  /** Milliseconds since the beginning. */
  get elapsed(): number {
    return this.#options.now() - this.#startedAt;
  }

  /** @param note What to say besides: `12,000 events`. */
  update(done: number, note: string): void {
    const { stream, now } = this.#options;
    if (now() - this.#shownAt < (this.terminal ? REDRAW : LINE_EVERY)) return;
    this.#shownAt = now();
    const line = [this.#share(done), note, this.#left(done)].filter((part) => part !== '').join(' · ');
    stream.write(this.terminal ? `${ERASE}${bar(this.#part(done))} ${line}` : `${line}\n`);
    this.#drawn = this.terminal;
  }

  /** Takes the bar away: before something else is written, and at the end. */
  clear(): void {
    if (this.#drawn) this.#options.stream.write(ERASE);
    this.#drawn = false;
  }

  #part(done: number): number {
    const { total } = this.#options;
    return total <= 0 ? 1 : Math.min(1, done / total);
  }

  #share(done: number): string {
    const { total, unit } = this.#options;
    const percent = Math.floor(this.#part(done) * 100);
    return `${percent} % · ${count(done)} of ${counted(Math.max(total, done), unit)}`;
  }

  #left(done: number): string {
    const part = this.#part(done);
    return part <= 0 || part >= 1 ? '' : `${duration((this.elapsed / part) * (1 - part))} left`;
  }
}

function bar(part: number): string {
  const full = Math.round(part * WIDTH);
  return `[${'#'.repeat(full)}${'-'.repeat(WIDTH - full)}]`;
}

/** 1234567 → 1,234,567 */
export function count(number: number): string {
  return number.toLocaleString('en-US');
}

/** 1 session, 1,234 sessions */
export function counted(number: number, unit: string): string {
  return `${count(number)} ${unit}${number === 1 ? '' : 's'}`;
}

/** Milliseconds in words: 0.4 s, 42 s, 3 min 20 s, 2 h 5 min. */
export function duration(milliseconds: number): string {
  if (milliseconds < 9_950) return `${(milliseconds / 1_000).toFixed(1)} s`;
  const seconds = Math.round(milliseconds / 1_000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min ${seconds % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
