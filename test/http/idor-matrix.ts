import { FEEDBACK, SESSIONS } from './api-harness.ts';

/** Everybody who can knock at a session of alice's. */
export const WHO = {
  owner: { as: 'alice', roles: [] },
  stranger: { as: 'bob', roles: [] },
  agent: { as: 'robot', roles: ['agent'] },
  operator: { as: 'ops', roles: ['operator'] },
  none: null,
} as const;
export type Who = keyof typeof WHO;

/** What a case is about: one session of alice's, as it was arranged. */
export interface Target {
  readonly sessionId: string;
  /** Of its outstanding request, else of its creation. */
  readonly commandId: string;
}

/** new: just created. asked: a request is outstanding. closed: abandoned. bound: feedback was accepted with the key KEY. */
export type Arrangement = 'new' | 'asked' | 'closed' | 'bound';

export interface Row {
  readonly what: string;
  /** As Fastify has it. `:session_id` and `:command_id` are the target's. */
  readonly route: `${'GET' | 'POST'} ${string}`;
  readonly on: Arrangement;
  readonly body?: (target: Target) => unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly answers: Readonly<Record<Who, number>>;
}

export const KEY = 'alice-1';

/** Reading a session: its owner, agents and operators; to others it does not exist. */
const readers = (owner = 200, others = owner) => ({ owner, stranger: 404, agent: others, operator: others, none: 401 });
/** Commanding it: its owner. The role is judged before the session. */
const authors = (owner: number) => ({ owner, stranger: 404, agent: 403, operator: 403, none: 401 });
/** Answering its requests: agents. Whose session it is does not matter to them, nor to those who may not. */
const agents = (agent: number) => ({ owner: 403, stranger: 403, agent, operator: 403, none: 401 });

/** For operators alone; whose session it is does not matter. */
const operators = (operator = 200) => ({ owner: 403, stranger: 403, agent: 403, operator, none: 401 });

const OPS = '/api/v1/ops';
const one = `${SESSIONS}/:session_id` as const;
const GET_ONE = `GET ${one}` as const;
const GET_COMMANDS = `GET ${one}/commands` as const;
const GET_COMMAND = `GET ${one}/commands/:command_id` as const;
const GET_EVENTS = `GET ${one}/events` as const;
const POST_COMMAND = `POST ${one}/commands` as const;

const command = (type: string, payload: object) => () => ({ command_type: type, payload });
const answering = (type: string, payload: object) => (target: Target) => ({
  command_type: type,
  payload: { request_id: target.commandId, ...payload },
});
const PREFERENCES = { theme_preferences: ['x'], style_preferences: [] };
const CONCEPTS = { concepts: [{ title: 'A', summary: 'B' }] };
const feedback = () => FEEDBACK;
const stream = { accept: 'text/event-stream' };

/** Every route, with every kind of request that another's knowledge of a session could be tried with. */
export const MATRIX: readonly Row[] = [
  {
    what: 'create a session',
    route: `POST ${SESSIONS}`,
    on: 'new',
    body: () => ({ title: 'Mine' }),
    answers: { owner: 201, stranger: 201, agent: 403, operator: 403, none: 401 },
  },
  {
    what: 'list sessions',
    route: `GET ${SESSIONS}`,
    on: 'new',
    answers: { owner: 200, stranger: 200, agent: 200, operator: 200, none: 401 },
  },
  { what: 'read it', route: GET_ONE, on: 'new', answers: readers() },
  { what: 'read it when it is closed', route: GET_ONE, on: 'closed', answers: readers() },
  {
    what: 'ask whether it has changed',
    route: GET_ONE,
    on: 'new',
    headers: { 'if-none-match': '"1"' },
    answers: readers(304),
  },
  {
    what: 'ask whether it exists',
    route: GET_ONE,
    on: 'new',
    headers: { 'if-none-match': '*' },
    answers: readers(304),
  },
  { what: 'list its commands', route: GET_COMMANDS, on: 'asked', answers: readers() },
  { what: 'read a command', route: GET_COMMAND, on: 'asked', answers: readers() },
  { what: 'read its events', route: GET_EVENTS, on: 'asked', answers: readers() },
  { what: 'follow its events', route: GET_EVENTS, on: 'asked', headers: stream, answers: readers() },
  {
    what: 'resume its events',
    route: GET_EVENTS,
    on: 'asked',
    headers: { ...stream, 'last-event-id': '1' },
    answers: readers(),
  },
  {
    what: 'request concepts',
    route: POST_COMMAND,
    on: 'new',
    body: command('RequestConceptGeneration', PREFERENCES),
    answers: authors(202),
  },
  {
    what: 'request concepts a second time',
    route: POST_COMMAND,
    on: 'asked',
    body: command('RequestConceptGeneration', PREFERENCES),
    answers: authors(409),
  },
  {
    what: 'confirm its stage',
    route: POST_COMMAND,
    on: 'new',
    body: command('ConfirmStage', { stage: 'CONCEPT_SELECTION' }),
    answers: authors(200),
  },
  {
    what: 'confirm another stage',
    route: POST_COMMAND,
    on: 'new',
    body: command('ConfirmStage', { stage: 'PLOT_OUTLINE' }),
    answers: authors(409),
  },
  { what: 'send feedback', route: POST_COMMAND, on: 'new', body: feedback, answers: authors(200) },
  { what: 'send feedback when it is closed', route: POST_COMMAND, on: 'closed', body: feedback, answers: authors(409) },
  {
    what: 'rename it',
    route: POST_COMMAND,
    on: 'new',
    body: command('UpdateSession', { title: 'Stolen' }),
    answers: authors(200),
  },
  { what: 'abandon it', route: POST_COMMAND, on: 'new', body: command('AbandonSession', {}), answers: authors(200) },
  {
    what: 'send a command that breaks its schema',
    route: POST_COMMAND,
    on: 'new',
    body: command('SubmitFeedback', {}),
    answers: authors(422),
  },
  {
    what: 'send a body that says nothing',
    route: POST_COMMAND,
    on: 'new',
    body: () => ({}),
    answers: { owner: 422, stranger: 404, agent: 422, operator: 403, none: 401 },
  },
  {
    what: 'send an unknown command',
    route: POST_COMMAND,
    on: 'new',
    body: command('Take', {}),
    answers: { owner: 400, stranger: 400, agent: 400, operator: 400, none: 401 },
  },
  {
    what: 'send feedback to its true version',
    route: POST_COMMAND,
    on: 'new',
    body: feedback,
    headers: { 'if-match': '"1"' },
    answers: authors(200),
  },
  {
    what: 'send feedback to another version',
    route: POST_COMMAND,
    on: 'new',
    body: feedback,
    headers: { 'if-match': '"7"' },
    answers: authors(412),
  },
  {
    what: 'repeat the request of a key',
    route: POST_COMMAND,
    on: 'bound',
    body: feedback,
    headers: { 'idempotency-key': KEY },
    answers: authors(200),
  },
  {
    what: 'send another request with a key',
    route: POST_COMMAND,
    on: 'bound',
    body: command('AbandonSession', {}),
    headers: { 'idempotency-key': KEY },
    answers: authors(422),
  },
  {
    what: 'propose concepts',
    route: POST_COMMAND,
    on: 'asked',
    body: answering('ProposeConcepts', CONCEPTS),
    answers: agents(200),
  },
  {
    what: 'fail a request',
    route: POST_COMMAND,
    on: 'asked',
    body: answering('FailConceptGeneration', { reason: 'x' }),
    answers: agents(200),
  },
  {
    what: 'propose concepts that nobody asked for',
    route: POST_COMMAND,
    on: 'new',
    body: answering('ProposeConcepts', CONCEPTS),
    answers: agents(409),
  },
  { what: 'read the figures of the outbox', route: `GET ${OPS}/outbox`, on: 'new', answers: operators() },
  { what: 'search the outbox', route: `GET ${OPS}/outbox/rows`, on: 'new', answers: operators() },
  {
    what: 'ask why it waits',
    route: `GET ${OPS}/sessions/:session_id/publication`,
    on: 'new',
    answers: operators(),
  },
  {
    what: 'ask what would be discarded',
    route: `POST ${OPS}/outbox/preview`,
    on: 'new',
    body: ({ sessionId }) => ({ action: 'discard', filter: { session_id: sessionId }, force: true }),
    answers: operators(),
  },
  {
    what: 'retry rows',
    route: `POST ${OPS}/outbox/retry`,
    on: 'new',
    body: () => ({ filter: { ids: [1] } }),
    answers: operators(),
  },
  {
    what: 'discard rows',
    route: `POST ${OPS}/outbox/discard`,
    on: 'new',
    body: () => ({ filter: { ids: [9_999_999_999] }, reason: 'x', force: true }),
    answers: operators(),
  },
  {
    what: 'discard rows with a body that breaks its schema',
    route: `POST ${OPS}/outbox/discard`,
    on: 'new',
    body: () => ({ filter: {} }),
    answers: operators(422),
  },
  { what: 'see the shards', route: `GET ${OPS}/shards`, on: 'new', answers: operators() },
  {
    what: 'pause shards',
    route: `POST ${OPS}/shards/pause`,
    on: 'new',
    body: () => ({ shards: [0] }),
    answers: operators(),
  },
  {
    what: 'resume shards',
    route: `POST ${OPS}/shards/resume`,
    on: 'new',
    body: () => ({ shards: 'all' }),
    answers: operators(),
  },
  { what: 'read the audit trail', route: `GET ${OPS}/actions`, on: 'new', answers: operators() },
];
