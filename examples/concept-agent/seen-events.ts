/**
 * Events that were dealt with, by id: at-least-once delivery means that a consumer sees some of them twice. Bounded: the oldest
 * are forgotten, so this only saves work; that a repetition does no harm must come from what it does (an Idempotency-Key, an
 * upsert).
 */
export class SeenEvents {
  readonly #most: number;
  readonly #done = new Set<string>();
  readonly #inFlight = new Map<string, Promise<void>>();

  constructor(most: number) {
    this.#most = most;
  }

  /** Does the work of an event unless it was done. Work under way is waited for. If it fails, the next one does it again. */
  async once(eventId: string, work: () => Promise<void>): Promise<void> {
    if (this.#done.has(eventId)) return;
    const underWay = this.#inFlight.get(eventId) ?? this.#begin(eventId, work);
    await underWay;
  }

  #begin(eventId: string, work: () => Promise<void>): Promise<void> {
    const doing = work()
      .then(() => this.#remember(eventId))
      .finally(() => this.#inFlight.delete(eventId));
    this.#inFlight.set(eventId, doing);
    return doing;
  }

  #remember(eventId: string): void {
    this.#done.add(eventId);
    if (this.#done.size <= this.#most) return;
    for (const oldest of this.#done) {
      this.#done.delete(oldest);
      return;
    }
  }
}
