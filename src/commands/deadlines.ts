import type { Logger } from 'pino';
import { GenesisError } from '../errors.ts';
import type { CommandId, UserId } from '../genesis/ids.ts';
import type { Service } from '../service.ts';
import type { CommandOutcome, CommandService, OverduePlace, OverdueRequest, OverdueRequests } from './ports.ts';

/** The reason of a request that nobody answered in time. */
export const DEADLINE_EXCEEDED = 'DEADLINE_EXCEEDED';

/** Who fails such requests, in command_inbox and in the events' metadata. */
const SYSTEM = { userId: 'system' as UserId, role: 'system' } as const;

export interface DeadlineSettings {
  /** Milliseconds after which an unanswered request fails: no new one is due earlier. */
  readonly generationTimeout: number;
  /** Most requests failed at a time; default 50. The rest of the overdue follows page by page. */
  readonly pageSize?: number;
  /** Makes a UUIDv7. */
  readonly newId: () => string;
  /** In [0, 1); replaced in tests. */
  readonly random?: () => number;
}

/**
 * Milliseconds between two looks. `idle`: nothing is due before. `least`: however soon the next request is due; many that are
 * due one after another share a look. `retry`: after something went wrong.
 */
const PAUSE = { idle: 5_000, least: 250, retry: 1_000 };
/** Each pause is longer by up to this share of it, and 250 ms at most: replicas that know the same deadline do not march in step. */
const JITTER = { share: 0.2, most: 250 };

/** What became of an overdue request: `ended` by us or by somebody who was faster; `away`: what that needs was not there. */
type End = 'ended' | 'away' | 'stays';

/**
 * Fails requests that nobody answered in time, by an internal command on the path that all commands take. Every API replica
 * runs one; the session's lock decides which of them, or an agent's late answer, comes first. To the others it says
 * NOTHING_TO_ANSWER.
 *
 * A look is one statement; what is overdue is gone through once per look, so one request that cannot be failed now keeps no
 * other one waiting.
 */
export class Deadlines implements Service {
  readonly name = 'deadlines';
  readonly #requests: OverdueRequests;
  readonly #commands: CommandService;
  readonly #settings: Required<DeadlineSettings>;
  readonly #logger: Logger;
  #timer: NodeJS.Timeout | null = null;
  #looking: Promise<void> = Promise.resolve();
  #running = false;
  /** Whether what this needs was away when it was needed last: told once when it goes, and once when it is back. */
  #away = false;

  constructor(requests: OverdueRequests, commands: CommandService, settings: DeadlineSettings, logger: Logger) {
    this.#requests = requests;
    this.#commands = commands;
    this.#settings = { pageSize: 50, random: Math.random, ...settings };
    this.#logger = logger;
  }

  /** Resolves at once; the first look follows: what fell due while no replica ran is failed without delay. */
  start(): Promise<void> {
    if (!this.#running) {
      this.#running = true;
      this.#lookIn(0);
    }
    return Promise.resolve();
  }

  /** Lets the commands under way end. */
  async stop(): Promise<void> {
    this.#running = false;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    await this.#looking;
  }

  #lookIn(milliseconds: number): void {
    const jitter = this.#settings.random() * Math.min(milliseconds * JITTER.share, JITTER.most);
    this.#timer = setTimeout(() => {
      this.#looking = this.#look();
    }, milliseconds + jitter);
  }

  async #look(): Promise<void> {
    let pause = PAUSE.retry;
    try {
      pause = await this.#failAllOverdue();
    } catch (error) {
      if (error instanceof GenesisError) this.#tellAway(error);
      else this.#logger.error({ err: error }, 'cannot look for requests past their deadline; trying again');
    }
    if (this.#running) this.#lookIn(pause);
  }

  /** Goes through the overdue requests once. The milliseconds until the next look. */
  async #failAllOverdue(): Promise<number> {
    const { pageSize, generationTimeout } = this.#settings;
    let place: OverduePlace | null = null;
    const ends: End[] = [];
    while (this.#running) {
      const page = await this.#requests.find(place, pageSize);
      ends.push(...(await Promise.all(page.overdue.map((request) => this.#fail(request)))));
      place = page.next;
      if (place !== null) continue;
      if (!ends.includes('away')) this.#tellBack();
      const due = page.nextDueIn ?? PAUSE.idle;
      const retry = ends.every((end) => end === 'ended') ? due : PAUSE.retry;
      return Math.max(PAUSE.least, Math.min(due, PAUSE.idle, generationTimeout, retry));
    }
    return PAUSE.idle;
  }

  /** Never rejects. */
  async #fail({ requestId, sessionId }: OverdueRequest): Promise<End> {
    const about = { session_id: sessionId, command_id: requestId };
    try {
      const outcome = await this.#commands.execute({
        commandId: this.#settings.newId() as CommandId,
        sessionId,
        actor: SYSTEM,
        command: { type: 'FailConceptGeneration', payload: { request_id: requestId, reason: DEADLINE_EXCEEDED } },
        idempotencyKey: null,
        expectedVersion: null,
        traceparent: null,
      });
      return this.#tell(outcome, about);
    } catch (error) {
      // Certainly not ended, or nobody knows: the next look finds out.
      if (error instanceof GenesisError) {
        this.#tellAway(error);
        return 'away';
      }
      this.#logger.error({ err: error, ...about }, 'a request past its deadline could not be failed; trying again');
      return 'stays';
    }
  }

  #tell(outcome: CommandOutcome, about: object): End {
    if (outcome.kind === 'accepted') {
      this.#logger.info(about, 'a request failed: nobody answered it in time');
      return 'ended';
    }
    if (outcome.refusal.code === 'NOTHING_TO_ANSWER') return 'ended';
    this.#logger.error({ ...about, refusal: outcome.refusal }, 'a request past its deadline cannot be failed');
    return 'stays';
  }

  /** Without a stack: nothing is wrong here. */
  #tellAway({ message, cause }: GenesisError): void {
    if (this.#away) return;
    this.#away = true;
    const why = cause instanceof Error ? { cause: cause.message } : {};
    this.#logger.warn({ error: message, ...why }, 'requests past their deadline wait: trying again until it works');
  }

  #tellBack(): void {
    if (this.#away) this.#logger.info('requests past their deadline are failed again');
    this.#away = false;
  }
}
