import type { Operations } from '../../src/outbox/operations/operations.ts';
import { NO_BACKLOG } from '../support/no-backlog.ts';

/** The operations of a database in which there is nothing to do. */
export const NO_OPERATIONS: Operations = {
  backlogs: async () => ({
    relays: { shards: [], members: [], topicAhead: false },
    backlogs: {
      total: NO_BACKLOG,
      shards: new Map(),
    },
  }),
  list: async () => ({ rows: [], next: null }),
  publicationOf: async () => null,
  preview: async () => ({ count: 0, complete: true, token: '0-e3b0c44298fc1c14', sample: [] }),
  act: async () => ({ affected: 0, skipped: 0, skippedIds: [], complete: true, interrupted: null }),
  setPaused: async () => ({ changed: [], unchanged: [] }),
  actions: async () => [],
};
