import type { Mutation } from './mutate.ts';

const DRAIN = 'src/relay/drain.ts';
const KEEPER = 'src/relay/lease-keeper.ts';
const RECOVER = 'src/relay/recover-shard.ts';
const CLAIM = 'src/postgres/sql/outbox/claim.sql';
const FENCE = '    if (first !== membership.transactionalId) await transactions.fence(first, signal);\n';

/** Each is run by `npm run faults -- --mutations`, and must be caught. */
export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'mark-before-send',
    about: 'rows are marked before they are sent',
    scenario: 'relay-killed',
    rules: ['lost'],
    delivery: 'at-least-once',
    edits: [
      {
        file: DRAIN,
        find: '    const marked = this.#mark(signal);\n    const sending',
        replace:
          "    this.#context.recorder.acknowledged(batch.map((row) => ({ row, sent: { id: row.id, partition: row.shard, offset: '0' } })));\n" +
          '    const marked = this.#mark(signal);\n    await marked;\n    const sending',
      },
    ],
  },
  {
    name: 'no-read-back',
    about: 'a shard is drained without reading its partition back first',
    scenario: 'relay-killed',
    rules: ['duplicated'],
    delivery: 'exactly-once',
    edits: [
      { file: RECOVER, find: 'reader.from(shard, String(owned.position), signal)', replace: '[] as FoundRecord[][]' },
    ],
  },
  {
    name: 'id-greater-than-last',
    about: 'the next claim begins after the highest id that was seen, though lower ones may still be committed',
    scenario: 'relays-scaled',
    rules: ['lost'],
    delivery: 'at-least-once',
    edits: [
      { file: 'src/relay/owned-shards.ts', find: '  if (complete) return horizon;\n', replace: '' },
      {
        file: 'src/relay/owned-shards.ts',
        find: 'function seenBelow({ complete, horizon, rows }: Claim)',
        replace: 'function seenBelow({ rows }: Claim)',
      },
      { file: 'src/relay/owned-shards.ts', find: 'Math.min(horizon, last.id + 1)', replace: 'last.id + 1' },
    ],
  },
  {
    name: 'holds-ignored',
    about: 'events of a session go on while an earlier one waits for its retry or is FAILED',
    scenario: 'oversize',
    rules: ['reordered'],
    delivery: 'at-least-once',
    edits: [
      {
        file: CLAIM,
        find: 'OR NOT EXISTS (SELECT FROM event_outbox_holds AS hold WHERE hold.key = pending.key OFFSET 0)',
        replace: 'OR true',
      },
    ],
  },
  {
    name: 'no-fence-no-lease',
    about: 'a relay that was frozen goes on sending: nobody fences it, and it does not look at its lease',
    scenario: 'relay-frozen',
    rules: ['duplicated', 'no transaction stays open'],
    delivery: 'exactly-once',
    edits: [
      { file: RECOVER, find: FENCE, replace: '' },
      { file: KEEPER, find: '    if (this.lost.aborted) return true;\n', replace: '    return false;\n' },
    ],
  },
  {
    name: 'outage-charged',
    about: 'a missing right counts as a try of the message',
    scenario: 'acl-revoked',
    rules: ['charged'],
    delivery: 'at-least-once',
    edits: [
      {
        file: 'src/kafka/classify-error.ts',
        find: "  'MESSAGE_TOO_LARGE',\n",
        replace: "  'MESSAGE_TOO_LARGE',\n  'TOPIC_AUTHORIZATION_FAILED',\n",
      },
    ],
  },
];
