import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  compareEntries,
  decodeEntry,
  encodeEntry,
  ENTRY_BYTES,
  ENTRY_WORDS,
  type RecordEntry,
} from './record-entry.ts';

export interface SorterOptions {
  /** Entries that are sorted in memory at a time, 80 bytes each. Default 250,000. */
  readonly runLength?: number;
  /** Where the folder for runs is made. Default: the system's folder for temporary files. */
  readonly folder?: string;
}

/** Entries that are written at a time, and that are read at a time of each run. */
const CHUNK = 8_192;
const READ_CHUNK = 1_024;

/**
 * Brings any number of records into the order of session, sequence, partition and offset, in bounded memory: an external merge
 * sort. What does not fit is written to a folder of its own, as long as it is needed: 80 bytes a record.
 */
export class RecordSorter {
  readonly #runLength: number;
  readonly #parent: string;
  readonly #files: string[] = [];
  #folder: string | null = null;
  #words: Uint32Array;
  #count = 0;

  constructor({ runLength = 250_000, folder = tmpdir() }: SorterOptions = {}) {
    this.#runLength = runLength;
    this.#parent = folder;
    // The system gives memory only where it is written to.
    this.#words = new Uint32Array(runLength * ENTRY_WORDS);
  }

  async add(entry: RecordEntry): Promise<void> {
    if (this.#count === this.#runLength) await this.#spill();
    encodeEntry(entry, this.#words, this.#count * ENTRY_WORDS);
    this.#count += 1;
  }

  /** Everything that was added, in order. To be read once, and `close` to be called afterwards. */
  *sorted(): Generator<RecordEntry, void, undefined> {
    const heap = new RunHeap();
    for (const file of this.#files) heap.push(new FileRun(file));
    heap.push(new MemoryRun(this.#words, this.#order()));
    try {
      for (let run = heap.first; run !== undefined; run = heap.first) {
        yield decodeEntry(run.words, run.at);
        heap.advance();
      }
    } finally {
      heap.close();
    }
  }

  /** Removes what was written. */
  async close(): Promise<void> {
    this.#words = new Uint32Array(0);
    this.#count = 0;
    if (this.#folder !== null) await rm(this.#folder, { recursive: true, force: true });
  }

  /** Where the entries in memory begin, in their order. */
  #order(): Uint32Array {
    const words = this.#words;
    const places = Uint32Array.from({ length: this.#count }, (_, index) => index * ENTRY_WORDS);
    return places.sort((a, b) => compareEntries(words, a, words, b));
  }

  async #spill(): Promise<void> {
    this.#folder ??= await mkdtemp(join(this.#parent, 'genesis-reconcile-'));
    const file = join(this.#folder, String(this.#files.length));
    this.#files.push(file);
    const order = this.#order();
    const descriptor = openSync(file, 'wx', 0o600);
    try {
      const chunk = new Uint32Array(CHUNK * ENTRY_WORDS);
      for (let from = 0; from < order.length; from += CHUNK) {
        const part = order.subarray(from, from + CHUNK);
        for (const [index, at] of part.entries())
          chunk.set(this.#words.subarray(at, at + ENTRY_WORDS), index * ENTRY_WORDS);
        writeWhole(descriptor, new Uint8Array(chunk.buffer, 0, part.length * ENTRY_BYTES));
      }
    } finally {
      closeSync(descriptor);
    }
    this.#count = 0;
  }
}

function writeWhole(descriptor: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length;) done += writeSync(descriptor, bytes, done);
}

/** Entries in order; the current one begins in `words` at `at`. */
interface Run {
  readonly words: Uint32Array;
  readonly at: number;
  /** Goes to the next entry; false at the end. To be called before the first, too. */
  next(): boolean;
  close(): void;
}

class MemoryRun implements Run {
  readonly words: Uint32Array;
  readonly #order: Uint32Array;
  #index = -1;

  constructor(words: Uint32Array, order: Uint32Array) {
    this.words = words;
    this.#order = order;
  }

  get at(): number {
    return this.#order[this.#index] ?? 0;
  }

  next(): boolean {
    this.#index += 1;
    return this.#index < this.#order.length;
  }

  close(): void {
    // Nothing is open.
  }
}

class FileRun implements Run {
  readonly words = new Uint32Array(READ_CHUNK * ENTRY_WORDS);
  readonly #descriptor: number;
  readonly #bytes = new Uint8Array(this.words.buffer);
  #filled = 0;
  at = 0;

  constructor(file: string) {
    this.#descriptor = openSync(file, 'r');
  }

  next(): boolean {
    this.at += ENTRY_WORDS;
    if (this.at * 4 >= this.#filled) this.#fill();
    return this.#filled > 0;
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #fill(): void {
    this.at = 0;
    this.#filled = 0;
    while (this.#filled < this.#bytes.length) {
      const read = readSync(this.#descriptor, this.#bytes, this.#filled, this.#bytes.length - this.#filled, null);
      if (read === 0) return;
      this.#filled += read;
    }
  }
}

/** Runs by their current entries: a binary heap. */
class RunHeap {
  readonly #runs: Run[] = [];
  readonly #ended: Run[] = [];

  get first(): Run | undefined {
    return this.#runs[0];
  }

  push(run: Run): void {
    if (!run.next()) {
      this.#ended.push(run);
      return;
    }
    this.#runs.push(run);
    for (let at = this.#runs.length - 1; at > 0 && this.#before(at, (at - 1) >> 1); at = (at - 1) >> 1) {
      this.#swap(at, (at - 1) >> 1);
    }
  }

  /** Goes to the next entry of the first run, and puts that into its place. */
  advance(): void {
    const [first] = this.#runs;
    if (first === undefined) return;
    if (!first.next()) {
      this.#ended.push(first);
      this.#swap(0, this.#runs.length - 1);
      this.#runs.pop();
    }
    for (let at = 0; ;) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      const least = right < this.#runs.length && this.#before(right, left) ? right : left;
      if (least >= this.#runs.length || !this.#before(least, at)) return;
      this.#swap(at, least);
      at = least;
    }
  }

  close(): void {
    for (const run of [...this.#runs, ...this.#ended]) run.close();
  }

  #before(a: number, b: number): boolean {
    const [one, other] = [this.#runs[a], this.#runs[b]];
    return one !== undefined && other !== undefined && compareEntries(one.words, one.at, other.words, other.at) < 0;
  }

  #swap(a: number, b: number): void {
    const [one, other] = [this.#runs[a], this.#runs[b]];
    if (one === undefined || other === undefined) return;
    this.#runs[a] = other;
    this.#runs[b] = one;
  }
}
