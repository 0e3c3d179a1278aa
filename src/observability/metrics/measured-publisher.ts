import type { Publisher, TransactionalPublisher } from '../../relay/ports.ts';
import type { RelayMetrics } from './relay-metrics.ts';

/** The same publisher, and its sends are measured. */
export function measuredPublisher(publisher: Publisher, meter: RelayMetrics): Publisher {
  return {
    async send(records, hooks) {
      const began = performance.now();
      const outcomes = await publisher.send(records, hooks);
      meter.sent(began, outcomes);
      return outcomes;
    },
    close: () => publisher.close(),
  };
}

/** Likewise. */
export function measuredTransactions(publisher: TransactionalPublisher, meter: RelayMetrics): TransactionalPublisher {
  return {
    ...measuredPublisher(publisher, meter),
    get isOpen() {
      return publisher.isOpen;
    },
    open: (transactionalId, signal) => publisher.open(transactionalId, signal),
    fence: (transactionalId, signal) => publisher.fence(transactionalId, signal),
  };
}
