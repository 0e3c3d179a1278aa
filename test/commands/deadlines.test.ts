import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DEADLINE_EXCEEDED, Deadlines } from '../../src/commands/deadlines.ts';
import type {
  CommandOutcome,
  CommandRefusal,
  CommandRequest,
  OverduePage,
  OverduePlace,
  OverdueRequests,
} from '../../src/commands/ports.ts';
import { GenesisError } from '../../src/errors.ts';
import { readableLogger } from '../http/api-harness.ts';
import { commandId, sessionId } from './requests.ts';

/** Unanswered requests, number → when it is due, by the simulated clock. */
class Inbox implements OverdueRequests {
  readonly due = new Map<number, number>();
  looks = 0;
  failLooks = 0;

  async find(after: OverduePlace | null, limit: number): Promise<OverduePage> {
    this.looks += 1;
    if (this.failLooks > 0) {
      this.failLooks -= 1;
      throw new GenesisError('UNAVAILABLE', 'away', {}, { cause: new Error('no route') });
    }
    const from = after === null ? -Infinity : Number(after.deadline);
    const rows = [...this.due]
      .sort(([, a], [, b]) => a - b)
      .filter(([, at]) => at > from)
      .slice(0, limit);
    const overdue = rows.filter(([, at]) => at <= Date.now());
    const [last, lastAt] = overdue.at(-1) ?? [0, 0];
    const [, dueAt] = rows[overdue.length] ?? [];
    return {
      overdue: overdue.map(([number]) => ({ requestId: commandId(number), sessionId: sessionId(number) })),
      next: overdue.length === limit ? { deadline: String(lastAt), requestId: commandId(last) } : null,
      nextDueIn: dueAt === undefined ? null : dueAt - Date.now(),
    };
  }
}

describe('the time limit of requests', () => {
  const GENERATION_TIMEOUT = 600_000;
  let inbox: Inbox;
  let executed: { readonly request: CommandRequest; readonly at: number }[];
  /** What becomes of the command that fails a request; ends it by default. */
  let answer: (number: number, request: CommandRequest) => Promise<CommandOutcome>;
  let log: ReturnType<typeof readableLogger>;
  let deadlines: Deadlines;

  const numberOf = (request: CommandRequest) => Number(request.sessionId.slice(-11));
  const refused = (refusal: CommandRefusal): CommandOutcome => ({ kind: 'refused', refusal });
  const accept = async (number: number, { commandId: id, sessionId: session }: CommandRequest) => {
    inbox.due.delete(number);
    const result = { commandId: id, sessionId: session, status: 'COMPLETED', version: 3, session: null } as const;
    return { kind: 'accepted', answer: result, replayed: false } as const;
  };
  const failed = () => executed.map(({ request }) => numberOf(request));

  beforeEach(() => {
    vi.useFakeTimers({ now: 0 });
    inbox = new Inbox();
    executed = [];
    answer = accept;
    log = readableLogger();
    let ids = 0;
    const newId = () => {
      ids += 1;
      return commandId(100_000 + ids);
    };
    const execute = (request: CommandRequest) => {
      executed.push({ request, at: Date.now() });
      return answer(numberOf(request), request);
    };
    const settings = { generationTimeout: GENERATION_TIMEOUT, pageSize: 3, newId, random: () => 0 };
    deadlines = new Deadlines(inbox, { execute }, settings, log.logger);
  });
  afterEach(async () => {
    await deadlines.stop();
    vi.useRealTimers();
  });

  it('fails an overdue request by an internal command of the system', async () => {
    inbox.due.set(7, -1);
    await deadlines.start();
    await vi.advanceTimersByTimeAsync(1);
    expect(executed.map(({ request }) => request)).toEqual([
      {
        commandId: commandId(100_001),
        sessionId: sessionId(7),
        actor: { userId: 'system', role: 'system' },
        command: {
          type: 'FailConceptGeneration',
          payload: { request_id: commandId(7), reason: DEADLINE_EXCEEDED },
        },
        idempotencyKey: null,
        expectedVersion: null,
        traceparent: null,
      },
    ]);
  });

  it('leaves a request alone that still has time, and fails it when it is due', async () => {
    inbox.due.set(1, 3_000);
    await deadlines.start();
    await vi.advanceTimersByTimeAsync(2_999);
    expect(failed()).toEqual([]);
    await vi.advanceTimersByTimeAsync(2);
    expect(failed()).toEqual([1]);
  });

  it('notices within 5 s a request that came while nothing was due', async () => {
    await deadlines.start();
    await vi.advanceTimersByTimeAsync(1);
    inbox.due.set(1, 100);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(failed()).toEqual([1]);
  });

  it('looks every 5 s at most while idle', async () => {
    await deadlines.start();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(inbox.looks).toBeLessThanOrEqual(13);
  });

  it('looks four times a second at most, however many requests are due one after another', async () => {
    for (let number = 1; number <= 500; number += 1) inbox.due.set(number, number * 20);
    await deadlines.start();
    await vi.advanceTimersByTimeAsync(10_300);
    expect(failed()).toHaveLength(500);
    const lateness = executed.map(({ request, at }) => at - numberOf(request) * 20);
    expect(Math.max(...lateness)).toBeLessThanOrEqual(250);
    // 13 fall due per look: four full pages and one that is not.
    expect(inbox.looks).toBeLessThan(41 * 6);
  });

  it('goes through all that is overdue page by page, without a pause', async () => {
    for (let number = 1; number <= 10; number += 1) inbox.due.set(number, -20 + number);
    await deadlines.start();
    await vi.advanceTimersByTimeAsync(1);
    expect(failed()).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it('is content when somebody else was faster', async () => {
    inbox.due.set(1, -1);
    answer = async (number) => {
      inbox.due.delete(number);
      return refused({ code: 'NOTHING_TO_ANSWER', outstandingRequestId: null });
    };
    await deadlines.start();
    await vi.advanceTimersByTimeAsync(20_000);
    expect(failed()).toEqual([1]);
    expect(log.lines).toEqual([]);
  });

  it('tries a request again a second later when it could not be failed, and lets no other wait for it', async () => {
    for (let number = 1; number <= 7; number += 1) inbox.due.set(number, -20 + number);
    const away = new GenesisError('UNAVAILABLE', 'away');
    answer = (number, request) => (number <= 3 && Date.now() < 2_500 ? Promise.reject(away) : accept(number, request));
    await deadlines.start();
    await vi.advanceTimersByTimeAsync(1);
    expect(failed()).toEqual([1, 2, 3, 4, 5, 6, 7]);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(failed().slice(7)).toEqual([1, 2, 3, 1, 2, 3]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(inbox.due.size).toBe(0);
    expect(log.lines.filter(({ level }) => level === 40)).toHaveLength(1);
  });

  it('tells a refusal that should not be, and a defect, as errors', async () => {
    inbox.due.set(1, -2).set(2, -1);
    answer = async (number) => {
      if (number === 1) return refused({ code: 'SESSION_CLOSED', status: 'ABANDONED' });
      throw new Error('a defect');
    };
    await deadlines.start();
    await vi.advanceTimersByTimeAsync(1);
    expect(log.lines.map(({ level }) => level)).toEqual([50, 50]);
  });

  it('goes on after the database was away, which it tells once, without a stack, as it does its return', async () => {
    inbox.due.set(1, -1);
    inbox.failLooks = 3;
    await deadlines.start();
    await vi.advanceTimersByTimeAsync(3_001);
    expect(failed()).toEqual([1]);
    expect(log.lines.map(({ level, msg }) => [level, msg])).toEqual([
      [40, 'requests past their deadline wait: trying again until it works'],
      [30, 'a request failed: nobody answered it in time'],
      [30, 'requests past their deadline are failed again'],
    ]);
    expect(log.lines[0]).toMatchObject({ error: 'away', cause: 'no route' });
    expect(log.text()).not.toContain('stack');
    inbox.failLooks = 2;
    await vi.advanceTimersByTimeAsync(20_000);
    expect(log.lines.slice(3).map(({ level }) => level)).toEqual([40, 30]);
  });

  it('tells a defect of its looks with all that is known of it', async () => {
    inbox.find = () => Promise.reject(new Error('a defect'));
    await deadlines.start();
    await vi.advanceTimersByTimeAsync(1);
    expect(log.lines).toMatchObject([{ level: 50, err: { message: 'a defect' } }]);
  });

  it('looks at least as often as the shortest time limit', async () => {
    deadlines = new Deadlines(
      inbox,
      { execute: () => Promise.reject(new Error('unused')) },
      { generationTimeout: 1_000, newId: () => '', random: () => 0 },
      log.logger,
    );
    await deadlines.start();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(inbox.looks).toBeGreaterThanOrEqual(10);
  });

  it('spreads the looks of replicas that know the same deadline', async () => {
    const settings = { generationTimeout: GENERATION_TIMEOUT, newId: () => '', random: () => 0.999 };
    deadlines = new Deadlines(inbox, { execute: () => new Promise(() => undefined) }, settings, log.logger);
    inbox.due.set(1, 4_000);
    await deadlines.start();
    await vi.advanceTimersByTimeAsync(4_200);
    expect(inbox.looks).toBe(1);
    inbox.due.clear();
    await vi.advanceTimersByTimeAsync(60);
    expect(inbox.looks).toBe(2);
  });

  it('stops only when what is under way has ended, and then looks no more', async () => {
    inbox.due.set(1, -1);
    const { promise, resolve } = Promise.withResolvers<void>();
    answer = async (number, request) => {
      await promise;
      return accept(number, request);
    };
    await deadlines.start();
    await vi.advanceTimersByTimeAsync(1);
    let stopped = false;
    const stopping = deadlines.stop().then(() => (stopped = true));
    await vi.advanceTimersByTimeAsync(1);
    expect(stopped).toBe(false);
    resolve();
    await stopping;
    const { looks } = inbox;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(inbox.looks).toBe(looks);
  });
});
