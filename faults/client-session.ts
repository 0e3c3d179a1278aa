import type { CommandId, SessionId, UserId } from '../src/genesis/ids.ts';

/** What a client knows of a session of its own. */
export interface ClientSession {
  readonly id: SessionId;
  readonly userId: UserId;
  /** A request that waits for its answer, as far as the client knows. */
  request: CommandId | null;
  /** Stages confirmed so far. */
  confirmed: number;
}
