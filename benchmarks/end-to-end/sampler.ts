export const PARTS = ['api', 'relay', 'postgres', 'kafka'] as const;
export type Part = (typeof PARTS)[number];

/** What is asked once a second. */
export interface Watched {
  /** Microseconds of CPU that each has used so far; PostgreSQL with its backends. */
  readonly cpu: Readonly<Record<Part, () => number>>;
  /** MiB. */
  readonly memory: Readonly<Record<'api' | 'relay', () => number>>;
}

export interface Sample {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly cpu: Readonly<Record<Part, number>>;
  readonly memory: Readonly<Record<'api' | 'relay', number>>;
}

/** Looks at the processes once a second. */
export class Sampler {
  readonly #watched: Watched;
  readonly #samples: Sample[] = [];
  readonly #timer: NodeJS.Timeout;

  constructor(watched: Watched) {
    this.#watched = watched;
    this.#look();
    this.#timer = setInterval(() => this.#look(), 1_000);
    // It keeps nothing alive that was given up.
    this.#timer.unref();
  }

  /** All samples, the last of this moment. */
  stop(): readonly Sample[] {
    clearInterval(this.#timer);
    this.#look();
    return this.#samples;
  }

  #look(): void {
    const { cpu, memory } = this.#watched;
    this.#samples.push({
      at: Date.now(),
      cpu: { api: cpu.api(), relay: cpu.relay(), postgres: cpu.postgres(), kafka: cpu.kafka() },
      memory: { api: memory.api(), relay: memory.relay() },
    });
  }
}
