import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TSchema } from 'typebox';
import { stringify } from 'yaml';
import { ENVELOPE_SCHEMA, EVENT_SCHEMAS, type EventType } from '../src/genesis/event-schemas.ts';
import { VARIABLES } from '../src/variables.ts';
import { recordExample } from './asyncapi-examples.ts';

/** Where the document is committed, from the root of the project. */
const FILE = 'docs/asyncapi.yaml';
const TOPIC = VARIABLES.KAFKA_TOPIC.default;

const DESCRIPTION = `Every event of every Genesis session, in the order of its \`aggregate_version\` within the session, at least once.

Recognise a repetition by \`event_id\`. Prove a session's stream complete by the headers \`sequence\` (1, 2, 3 … without a gap) and \`previous\`. Ignore event types, members and headers that you do not know.`;

const uuid = { type: 'string', format: 'uuid' };
const text = (description: string) => ({ type: 'string', description });

/** CloudEvents 1.0 in Kafka's binary mode, the trace of the command, and the place in the stream. */
const HEADERS = {
  type: 'object',
  required: ['ce_specversion', 'ce_id', 'ce_source', 'ce_type', 'ce_time', 'ce_subject', 'content-type', 'sequence'],
  properties: {
    ce_specversion: { type: 'string', const: '1.0' },
    ce_id: { ...uuid, description: 'event_id' },
    ce_source: { type: 'string', const: '/genesis/sessions' },
    ce_type: text('event_type'),
    ce_time: { type: 'string', format: 'date-time', description: 'occurred_at' },
    ce_subject: { ...uuid, description: 'The session: aggregate_id' },
    'content-type': { type: 'string', const: 'application/json' },
    traceparent: text('W3C Trace Context of the request that sent the command, if it had one'),
    sequence: { type: 'string', pattern: '^[1-9][0-9]*$', description: 'aggregate_version' },
    previous: { ...uuid, description: "event_id of the session's event before; absent for the first" },
  },
};

const DEAD_LETTER_HEADERS = {
  type: 'object',
  description: 'The headers of the record as they were, and these.',
  required: ['dlq-error', 'dlq-topic', 'dlq-partition', 'dlq-offset'],
  properties: {
    'dlq-error': text('Why it is here'),
    'dlq-topic': text('Where it came from'),
    'dlq-partition': { type: 'string', pattern: '^[0-9]+$' },
    'dlq-offset': { type: 'string', pattern: '^[0-9]+$' },
    'dlq-value': { type: 'string', const: 'omitted', description: 'It was too large to be copied' },
  },
};

const KEY = { kafka: { key: { ...uuid, description: 'The session: aggregate_id' }, bindingVersion: '0.5.0' } };

/** One version of one event. */
interface Version {
  readonly type: EventType;
  readonly version: number;
  readonly schema: TSchema;
}

const versions: readonly Version[] = Object.entries(EVENT_SCHEMAS).flatMap(([type, all]) =>
  Object.entries<{ payload: TSchema }>(all).map(([version, { payload }]) => {
    return { type: type as EventType, version: Number(version), schema: payload };
  }),
);

const nameOf = ({ type, version }: Version) => `${type}.v${version}`;
const schemaRef = (name: string) => ({ $ref: `#/components/schemas/${name}` });

function messageOf(event: Version): object {
  const { type, version, schema } = event;
  return {
    name: type,
    title: `${type}, version ${version}`,
    summary: schemaWords(schema),
    contentType: 'application/json',
    headers: schemaRef('headers'),
    payload: {
      allOf: [
        schemaRef('envelope'),
        {
          type: 'object',
          properties: {
            event_type: { const: type },
            event_version: { const: version },
            payload: schemaRef(nameOf(event)),
          },
        },
      ],
    },
    bindings: KEY,
    examples: [recordExample(type, version)],
  };
}

function schemaWords(schema: TSchema): string {
  return 'description' in schema ? String(schema.description) : '';
}

function topicBinding(settings: Readonly<Record<string, unknown>>): object {
  return { kafka: { ...settings, bindingVersion: '0.5.0' } };
}

function channels(): object {
  const messages = versions.map(
    (event) => [nameOf(event), { $ref: `#/components/messages/${nameOf(event)}` }] as const,
  );
  return {
    events: {
      address: TOPIC,
      title: 'What happened',
      description: 'KAFKA_TOPIC names it. Partition: murmur2(key) mod their number, as by Kafka’s own default.',
      messages: Object.fromEntries(messages),
      bindings: topicBinding({
        topicConfiguration: { 'cleanup.policy': ['delete'], 'retention.ms': -1, 'max.message.bytes': 1_048_576 },
      }),
    },
    deadLetters: {
      address: `${TOPIC}.dlq`,
      title: 'What a consumer could not deal with',
      description: 'Written by the example consumer, not by the service. After a crash a record may lie here twice.',
      messages: { deadLetter: { $ref: '#/components/messages/deadLetter' } },
      bindings: topicBinding({ partitions: 1, topicConfiguration: { 'retention.ms': -1 } }),
    },
  };
}

function components(): object {
  const messages = versions.map((event) => [nameOf(event), messageOf(event)] as const);
  const payloads = versions.map((event) => [nameOf(event), event.schema] as const);
  const deadLetter = {
    name: 'deadLetter',
    title: 'A record that was put aside',
    summary: 'Key and value as they were, whatever they were.',
    headers: schemaRef('deadLetterHeaders'),
    payload: { description: 'As it was; none if it was too large' },
    bindings: KEY,
  };
  return {
    messages: { ...Object.fromEntries(messages), deadLetter },
    schemas: {
      headers: HEADERS,
      deadLetterHeaders: DEAD_LETTER_HEADERS,
      envelope: ENVELOPE_SCHEMA,
      ...Object.fromEntries(payloads),
    },
  };
}

/** The topic described: AsyncAPI 3, from the schemas of the events and by what writes their records. */
export function asyncApiText(): string {
  const document = {
    asyncapi: '3.0.0',
    info: {
      title: 'Genesis',
      version: '1.0.0',
      description: DESCRIPTION,
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
    },
    defaultContentType: 'application/json',
    channels: channels(),
    operations: {
      sendEvents: {
        action: 'send',
        summary: 'Every event is sent once its command is committed, and until Kafka has acknowledged it.',
        channel: { $ref: '#/channels/events' },
      },
    },
    components: components(),
  };
  // Through JSON: TypeBox hangs more on its schemas than they say.
  const plain: unknown = JSON.parse(JSON.stringify(document));
  return stringify(plain, { aliasDuplicateObjects: false, lineWidth: 120 });
}

/** What is committed below `root`. */
export function committedAsyncApi(root: string): string {
  return readFileSync(join(root, FILE), 'utf8');
}

if (import.meta.main) {
  const root = join(import.meta.dirname, '..');
  const document = asyncApiText();
  if (process.argv.includes('--write')) writeFileSync(join(root, FILE), document);
  const same = committedAsyncApi(root) === document;
  console.log(
    same ? `${FILE} is what the code says` : `${FILE} is not what the code says: node checks/asyncapi.ts --write`,
  );
  if (!same) process.exitCode = 1;
}
