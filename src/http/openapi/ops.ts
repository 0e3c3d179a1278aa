import type { ErrorCode } from '../../errors.ts';
import { json, linkTo, ref, type Json, type Operation } from './operation.ts';

/** Every call of operators can meet them. */
const FORBIDDEN = ['FORBIDDEN'] as const satisfies readonly ErrorCode[];
/** Those with a body, too. */
const WITH_BODY = [
  ...FORBIDDEN,
  'PAYLOAD_TOO_LARGE',
  'UNSUPPORTED_MEDIA_TYPE',
  'INVALID_PAYLOAD',
] as const satisfies readonly ErrorCode[];

const FOR_OPERATORS = 'For operators.';

const body = (name: string, example: Json): Json => ({
  required: true,
  content: { 'application/json': { schema: ref(name), example } },
});

/** One good body for each call; a test holds them to the schemas. */
export const OPS_EXAMPLES = {
  PreviewRequest: { action: 'retry', filter: { status: 'FAILED', shard: 3 } },
  RetryRequest: { filter: { status: 'FAILED', shard: 3 }, token: '12-9f86d081884c7d65' },
  DiscardRequest: { filter: { ids: [4711] }, reason: 'Too large for the topic; the author knows' },
  PauseRequest: { shards: [3], reason: 'The broker of partition 3 is being replaced' },
} as const satisfies Readonly<Record<string, Json>>;

const inAuditTrail = {
  actions: linkTo('listOperatorActions', { call_id: '$response.body#/call_id' }),
};

/** What operators look at and do. */
export const OPS_CALLS = {
  readOutbox: {
    tag: 'operations',
    summary: 'Figures of the outbox',
    description: `${FOR_OPERATORS} What is not published yet, per shard and in all. What it looks at is bounded: where \`complete\` is false, each number is at least that.`,
    headers: ['traceparent'],
    answers: { 200: { description: 'The figures', content: json('OutboxFigures') } },
    errors: FORBIDDEN,
  },
  listOutboxRows: {
    tag: 'operations',
    summary: 'Search the outbox',
    description: `${FOR_OPERATORS} Each row with all that keeps it waiting. Without \`status\`: whatever is not settled, or, of a session or an event, every row. Sessions on hold come first, by session and sequence, then the others, lowest id first; what is settled comes highest id first. A page may be short, even empty, although more follow: go by \`next_cursor\`.`,
    headers: ['traceparent'],
    answers: { 200: { description: 'A page of rows', content: json('OutboxRowPage') } },
    errors: FORBIDDEN,
  },
  readPublication: {
    tag: 'operations',
    summary: 'Why does this session wait?',
    description: `${FOR_OPERATORS} What of it is not published, what keeps it, and what to do.`,
    headers: ['traceparent'],
    answers: { 200: { description: 'Where its publishing stands', content: json('SessionPublication') } },
    errors: [...FORBIDDEN, 'SESSION_NOT_FOUND'],
  },
  previewOutboxAction: {
    tag: 'operations',
    summary: 'What would be retried or discarded?',
    description: `${FOR_OPERATORS} Changes nothing. At most 5,000 rows are counted, and so many are changed by one call. Without \`status\`: FAILED rows.`,
    headers: ['traceparent'],
    body: body('PreviewRequest', OPS_EXAMPLES.PreviewRequest),
    answers: { 200: { description: 'The rows that fit, and the token that names them', content: json('Preview') } },
    errors: WITH_BODY,
  },
  retryOutboxRows: {
    tag: 'operations',
    summary: 'Retry FAILED rows',
    description: `${FOR_OPERATORS} FAILED → PENDING, with new tries, in the order of sessions and sequences. Needs the token of a preview unless rows are named by \`ids\`, and is refused if other rows fit by now.`,
    headers: ['traceparent'],
    body: body('RetryRequest', OPS_EXAMPLES.RetryRequest),
    answers: { 200: { description: 'What was done', content: json('RowAction'), links: inAuditTrail } },
    errors: [...WITH_BODY, 'SELECTION_CHANGED', 'OUTCOME_UNKNOWN'],
  },
  discardOutboxRows: {
    tag: 'operations',
    summary: 'Discard rows',
    description: `${FOR_OPERATORS} FAILED, or PENDING and kept back → DISCARDED, for good: a marker goes out in the place of each event. Needs a reason, and the token of a preview unless rows are named by \`ids\`; is refused if other rows fit by now. \`force\` takes PENDING rows too that may be on their way.`,
    headers: ['traceparent'],
    body: body('DiscardRequest', OPS_EXAMPLES.DiscardRequest),
    answers: { 200: { description: 'What was done', content: json('RowAction'), links: inAuditTrail } },
    errors: [...WITH_BODY, 'SELECTION_CHANGED', 'OUTCOME_UNKNOWN'],
  },
  listShards: {
    tag: 'operations',
    summary: 'Shards and relays',
    description: `${FOR_OPERATORS} Who drains each shard, how far it has come, how far it lags behind; and the relays.`,
    headers: ['traceparent'],
    answers: { 200: { description: 'All of them', content: json('ShardTable') } },
    errors: FORBIDDEN,
  },
  pauseShards: {
    tag: 'operations',
    summary: 'Pause shards',
    description: `${FOR_OPERATORS} Their rows stay PENDING until they are resumed. Works within seconds, without a restart.`,
    headers: ['traceparent'],
    body: body('PauseRequest', OPS_EXAMPLES.PauseRequest),
    answers: { 200: { description: 'What was done', content: json('PausedShards'), links: inAuditTrail } },
    errors: [...WITH_BODY, 'OUTCOME_UNKNOWN'],
  },
  resumeShards: {
    tag: 'operations',
    summary: 'Resume shards',
    description: `${FOR_OPERATORS} Works within seconds, without a restart.`,
    headers: ['traceparent'],
    body: body('PauseRequest', OPS_EXAMPLES.PauseRequest),
    answers: { 200: { description: 'What was done', content: json('PausedShards'), links: inAuditTrail } },
    errors: [...WITH_BODY, 'OUTCOME_UNKNOWN'],
  },
  listOperatorActions: {
    tag: 'operations',
    summary: 'The audit trail',
    description: `${FOR_OPERATORS} Who did what to which events and shards, newest first; it only grows.`,
    headers: ['traceparent'],
    answers: { 200: { description: 'A page of actions', content: json('OperatorActionPage') } },
    errors: FORBIDDEN,
  },
} as const satisfies Readonly<Record<string, Operation>>;
