import type { Backlog } from '../../src/outbox/operations/figures.ts';

/** Nothing waits, and all was counted. */
export const NO_BACKLOG: Backlog = {
  pending: 0,
  waitingForRetry: 0,
  held: 0,
  failed: 0,
  discarded: 0,
  sessionsOnHold: 0,
  oldestAge: null,
  complete: true,
};
