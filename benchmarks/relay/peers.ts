/** Measured on another day, with other software, on such a machine of two cores: orders of magnitude to compare with, no more. */
export const PEERS = {
  drain: [
    'Measured elsewhere on such a machine:',
    '  Debezium 3.7 with its outbox router      19,800–23,100 events/s, about 1 GB',
    '  pg-transactional-outbox 0.5.7, polling              206 events/s (by replication 614–989)',
    '  claim 100, send and mark one by one               1,800 events/s',
  ].join('\n'),
  latency: [
    'Measured elsewhere on such a machine, p50/p99 in ms:',
    '  Debezium 3.7        1,000/s 10.4–11.7 / 27.5–77      5,000/s 15–17.8 / 39–312',
    '  logical replication 1,000/s 0.9 / 5.6',
  ].join('\n'),
} as const;
