import { json, linkTo, type Operation } from './operation.ts';

const FOUND = 'Newest first; `next_cursor` leads to the next page.';

const FRAMES = `retry: 1000

id: 1
event: Genesis.Session.Created
data: {"event_id":"01890a5d-ac96-774b-bcce-b302099a8059","event_type":"Genesis.Session.Created","event_version":1,"stored_version":1,"aggregate_version":1,"correlation_id":"01890a5d-ac96-774b-bcce-b302099a8058","causation_id":"01890a5d-ac96-774b-bcce-b302099a8058","occurred_at":"2026-11-23T05:40:00.123Z","payload":{"title":"星海","idea":null}}

`;

/** The calls that change nothing. */
export const READS = {
  listSessions: {
    tag: 'sessions',
    summary: 'List sessions',
    description: `An author's own; everybody's for agents and operators. ${FOUND}`,
    headers: ['traceparent'],
    answers: {
      200: {
        description: 'A page of sessions',
        content: json('SessionPage'),
      },
    },
    errors: [],
  },
  readSession: {
    tag: 'sessions',
    summary: 'Read a session',
    description: 'Its current state, with its version as ETag.',
    headers: ['If-None-Match', 'traceparent'],
    answers: {
      200: {
        description: 'The session',
        content: json('Session'),
        headers: ['ETag'],
        links: { command: linkTo('sendCommand', { session_id: '$response.body#/session_id' }) },
      },
      304: { description: 'It still has the version of If-None-Match', headers: ['ETag'] },
    },
    errors: ['SESSION_NOT_FOUND'],
  },
  listCommands: {
    tag: 'commands',
    summary: 'List the commands of a session',
    description: `Each with its events, and how far they have come on their way to Kafka. ${FOUND}`,
    headers: ['traceparent'],
    answers: {
      200: {
        description: 'A page of commands',
        content: json('CommandPage'),
      },
    },
    errors: ['SESSION_NOT_FOUND'],
  },
  readCommand: {
    tag: 'commands',
    summary: 'Where is my command?',
    description:
      'Its status, its events, and for each event where it is on its way to Kafka: topic, partition, offset and time, or why it waits or failed. The Location of a 202.',
    headers: ['traceparent'],
    answers: { 200: { description: 'The command', content: json('Command') } },
    errors: ['SESSION_NOT_FOUND', 'NOT_FOUND'],
  },
  listEvents: {
    tag: 'events',
    summary: 'What happened: history and live stream',
    description:
      'In the order of their versions. With `Accept: text/event-stream` a stream (Server-Sent Events) of what there is and then of what happens, until the client, the token or the server ends it; it takes neither `limit` nor `cursor`. A page begins at `cursor` or after `after`, not at both.',
    headers: ['Last-Event-ID', 'traceparent'],
    answers: {
      200: {
        description:
          'A page of events; or a stream of them: `id` is the aggregate_version, `event` the type, `data` an Event. Comments keep it alive. The last event, `end`, has no id and says why: `{"reason": "TOKEN_EXPIRED" | "SERVER_STOPPING"}`.',
        content: { ...json('EventPage'), 'text/event-stream': { schema: { type: 'string' }, example: FRAMES } },
      },
    },
    errors: ['SESSION_NOT_FOUND'],
  },
  getLiveness: {
    tag: 'health',
    summary: 'Is the process alive?',
    description: 'Asks no dependency.',
    open: true,
    answers: { 200: { description: 'It is', content: json('Liveness') } },
    errors: [],
  },
  getReadiness: {
    tag: 'health',
    summary: 'Can it work?',
    description: 'Asks what it depends on.',
    open: true,
    answers: { 200: { description: 'It can', content: json('Readiness') } },
    errors: ['UNAVAILABLE'],
  },
  getMetrics: {
    tag: 'health',
    summary: 'What does it do?',
    description: "Figures in Prometheus' text format; docs/metrics.md explains each.",
    open: true,
    answers: { 200: { description: 'They are', content: { 'text/plain': { schema: { type: 'string' } } } } },
    errors: [],
  },
} as const satisfies Readonly<Record<string, Operation>>;
