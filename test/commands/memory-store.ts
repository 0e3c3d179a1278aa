import type {
  CommandStore,
  CommandTransaction,
  CreateKey,
  InboxQuery,
  InboxState,
  LockedSessions,
  WriteSet,
} from '../../src/commands/ports.ts';
import type { SessionId } from '../../src/genesis/ids.ts';
import { MemoryTables } from './memory-tables.ts';

/** The moments of a transaction at which a test may wait or fail. `committed`: it is durable, but its answer is not out. */
export type Moment = 'begin' | 'lock' | 'readInbox' | 'write' | 'commit' | 'committed';
/** Waits by its promise, fails by throwing. `number` counts transactions from 1 on. */
export type Interference = (moment: Moment, number: number) => Promise<void> | void;

/**
 * A CommandStore in memory that keeps PostgreSQL's promises: row locks that skip what is held, advisory locks that wait, reads that
 * see what was committed, writes that appear at COMMIT or not at all.
 */
export class MemoryStore implements CommandStore {
  readonly tables = new MemoryTables();
  /** The database's clock. */
  now = 1_000_000;
  /** Transactions that were begun, that committed, and the time limit of each. */
  begun = 0;
  committed = 0;
  readonly timeLimits: number[] = [];
  interfere: Interference = () => undefined;
  readonly #rowLocks = new Map<SessionId, symbol>();
  readonly #advisoryLocks = new Map<string, { readonly owner: symbol; readonly released: Promise<void> }>();

  async transaction<Result>(
    work: (transaction: CommandTransaction) => Promise<Result>,
    timeLimit: number,
  ): Promise<Result> {
    this.timeLimits.push(timeLimit);
    this.begun += 1;
    const number = this.begun;
    const owner = Symbol(`transaction ${number}`);
    const end = Promise.withResolvers<void>();
    try {
      await this.interfere('begin', number);
      const transaction = new MemoryTransaction(this, owner, number, end.promise);
      const result = await work(transaction);
      await this.interfere('commit', number);
      if (transaction.rows !== null) this.tables.apply(transaction.rows);
      this.committed += 1;
      await this.interfere('committed', number);
      return result;
    } finally {
      this.#release(owner);
      end.resolve();
    }
  }

  /** Holds a session as somebody else's transaction would. Returns what lets it go. */
  hold(sessionId: SessionId): () => void {
    const owner = Symbol('somebody else');
    this.#rowLocks.set(sessionId, owner);
    return () => this.#release(owner);
  }

  isLocked(sessionId: SessionId): boolean {
    return this.#rowLocks.has(sessionId);
  }

  async waitForKeys(keys: readonly CreateKey[], owner: symbol, released: Promise<void>): Promise<void> {
    for (const key of keys.map((k) => JSON.stringify([k.userId, k.key])).toSorted()) {
      let holder = this.#advisoryLocks.get(key);
      while (holder !== undefined && holder.owner !== owner) {
        await holder.released;
        holder = this.#advisoryLocks.get(key);
      }
      this.#advisoryLocks.set(key, { owner, released });
    }
  }

  lockRows(sessionIds: readonly SessionId[], owner: symbol): LockedSessions {
    const existing = sessionIds.filter((id) => this.tables.sessions.has(id));
    const busy = existing.filter((id) => (this.#rowLocks.get(id) ?? owner) !== owner);
    const free = existing.filter((id) => !busy.includes(id));
    for (const id of free) this.#rowLocks.set(id, owner);
    this.now += 1;
    return { sessions: free.flatMap((id) => this.tables.session(id) ?? []), busy, now: this.now };
  }

  holds(sessionId: SessionId, owner: symbol): boolean {
    return this.#rowLocks.get(sessionId) === owner;
  }

  #release(owner: symbol): void {
    for (const [id, holder] of this.#rowLocks) if (holder === owner) this.#rowLocks.delete(id);
    for (const [key, holder] of this.#advisoryLocks) if (holder.owner === owner) this.#advisoryLocks.delete(key);
  }
}

/** One transaction; its steps come in the order of the port, each at most once. */
class MemoryTransaction implements CommandTransaction {
  readonly #store: MemoryStore;
  readonly #owner: symbol;
  readonly #number: number;
  readonly #end: Promise<void>;
  #step = 0;
  #locking: Promise<unknown> = Promise.resolve();
  rows: WriteSet | null = null;

  constructor(store: MemoryStore, owner: symbol, number: number, end: Promise<void>) {
    this.#store = store;
    this.#owner = owner;
    this.#number = number;
    this.#end = end;
  }

  lock(sessionIds: readonly SessionId[], createKeys: readonly CreateKey[]): Promise<LockedSessions> {
    this.#advance(1);
    const locking = this.#lock(sessionIds, createKeys);
    this.#locking = locking;
    return locking;
  }

  async #lock(sessionIds: readonly SessionId[], createKeys: readonly CreateKey[]): Promise<LockedSessions> {
    await this.#store.interfere('lock', this.#number);
    await this.#store.waitForKeys(createKeys, this.#owner, this.#end);
    return this.#store.lockRows(sessionIds, this.#owner);
  }

  async readInbox(query: InboxQuery): Promise<InboxState> {
    this.#advance(2);
    // It may be called in one go with `lock`; it runs after it.
    await this.#locking;
    await this.#store.interfere('readInbox', this.#number);
    return this.#store.tables.readInbox(query);
  }

  async write(rows: WriteSet): Promise<void> {
    this.#advance(3);
    await this.#store.interfere('write', this.#number);
    for (const { session, baseVersion } of rows.sessions) if (baseVersion > 0) this.#mustHold(session.sessionId);
    this.#store.tables.check(rows);
    this.rows = rows;
  }

  #mustHold(sessionId: SessionId): void {
    if (!this.#store.holds(sessionId, this.#owner)) throw new Error(`session ${sessionId} is not locked`);
  }

  #advance(step: number): void {
    if (step <= this.#step) throw new Error('the steps of a transaction come once, and in their order');
    this.#step = step;
  }
}
