/** What a run may be found guilty of. The query gives one row per case; `detail` says what it is. */
export interface Rule {
  readonly name: string;
  /** Which promise it breaks, by its number: I1–I9. */
  readonly promise: string;
  readonly query: string;
}

/**
 * Over the tables of `Evidence`. Duplicates are not among them: they are counted apart, because one delivery mode allows them.
 */
export const RULES: readonly Rule[] = [
  {
    name: 'unkept',
    promise: 'I1: each accepted command has its inbox row, up to the version that was told',
    query: `SELECT 'command ' || c.command_id || ' was accepted with version ' || c.version || ' of ' || c.session_id
              || coalesce(', its row says ' || i.last_version, ', it has no row') AS detail
            FROM client c LEFT JOIN inbox i USING (command_id)
            WHERE c.outcome = 'accepted' AND (i.command_id IS NULL OR i.session_id <> c.session_id OR i.last_version <> c.version)`,
  },
  {
    name: 'eventless',
    promise: 'I1: each inbox row has all its events',
    query: `SELECT 'command ' || i.command_id || ' has versions ' || i.first_version || ' to ' || i.last_version
              || ' and not all of their events' AS detail
            FROM inbox i
            WHERE (SELECT count(*) FROM events e WHERE e.session_id = i.session_id
                   AND e.version BETWEEN i.first_version AND i.last_version) <> i.last_version - i.first_version + 1`,
  },
  {
    name: 'ghost',
    promise: 'I5: a refused command left no row',
    query: `SELECT 'command ' || command_id || ' was refused and has a row' AS detail
            FROM client c JOIN inbox i USING (command_id) WHERE c.outcome = 'refused'`,
  },
  {
    name: 'lost',
    promise: 'I1: all events are in Kafka in the end (one that waits behind a FAILED one is not lost)',
    query: `SELECT 'event ' || e.event_id || ', version ' || e.version || ' of ' || e.session_id || ', is not in the topic; its row is '
              || coalesce(o.status || ' #' || o.id, 'missing') AS detail
            FROM events e LEFT JOIN outbox o USING (event_id)
            WHERE NOT EXISTS (SELECT 1 FROM records r WHERE r.event_id = e.event_id)
              AND NOT EXISTS (SELECT 1 FROM outbox f WHERE f.key = e.session_id AND f.status = 'FAILED' AND f.sequence <= e.version)`,
  },
  {
    name: 'foreign',
    promise: 'I2: every record is a committed event',
    query: `SELECT 'record ' || r.partition || '/' || r."offset" || ' of ' || coalesce(r.key, 'no key') || ' is of event '
              || coalesce(r.event_id, 'unknown') || ', which is in no table' AS detail
            FROM records r LEFT JOIN events e USING (event_id) WHERE e.event_id IS NULL`,
  },
  {
    name: 'reordered',
    promise: 'I3: first occurrences of a session ascend by version without a gap',
    query: `WITH firsts AS (SELECT key, sequence, partition, min("offset") AS first FROM records GROUP BY key, sequence),
                 steps AS (SELECT *, lag(sequence, 1, 0) OVER (PARTITION BY key ORDER BY partition, first) AS before FROM firsts)
            SELECT 'version ' || sequence || ' of ' || key || ' comes after version ' || before || ' (' || partition || '/' || first || ')' AS detail
            FROM steps WHERE sequence <> before + 1`,
  },
  {
    name: 'misplaced',
    promise: 'I3: all records of a session are in the partition that its key says',
    query: `SELECT 'record ' || r.partition || '/' || r."offset" || ' belongs in partition ' || o.shard AS detail
            FROM records r JOIN outbox o USING (event_id) WHERE r.partition <> o.shard`,
  },
  {
    name: 'altered',
    promise:
      'I4: a record has the key, bytes and headers of its event, each copy of it; a marker belongs to a DISCARDED row and has no value',
    query: `SELECT 'record ' || r.partition || '/' || r."offset" || ' of event ' || r.event_id || ' is not what its row says' AS detail
            FROM records r JOIN outbox o USING (event_id)
            WHERE r.key IS NOT o.key OR r.sequence <> o.sequence OR r.headers <> o.headers
               OR (r.discarded = 0 AND r.value IS NOT o.payload) OR (r.discarded = 1 AND (r.value IS NOT NULL OR o.status <> 'DISCARDED'))`,
  },
  {
    name: 'mismarked',
    promise: 'a row that says where its record is, says the truth',
    query: `SELECT o.status || ' row #' || o.id || ' names ' || coalesce(o.partition || '/' || o."offset", 'no place')
              || ', where its record is not' AS detail
            FROM outbox o
            WHERE (o.status = 'SENT' OR o."offset" IS NOT NULL)
              AND NOT EXISTS (SELECT 1 FROM records r
                              WHERE r.partition = o.partition AND r."offset" = o."offset" AND r.event_id = o.event_id)`,
  },
  {
    name: 'unfinished',
    promise: 'I7: after healing the backlog returns to 0 unaided (what waits behind a FAILED row may wait)',
    query: `SELECT o.status || ' row #' || o.id || ', version ' || o.sequence || ' of ' || o.key || ', was never sent' AS detail
            FROM outbox o
            WHERE (o.status = 'PENDING' OR (o.status = 'DISCARDED' AND o.sent = 0))
              AND NOT EXISTS (SELECT 1 FROM outbox f WHERE f.key = o.key AND f.status = 'FAILED' AND f.sequence < o.sequence)`,
  },
];

/** Copies beyond the first, of all records. */
export const DUPLICATES = `SELECT count(*) - count(DISTINCT event_id) AS n FROM records`;
