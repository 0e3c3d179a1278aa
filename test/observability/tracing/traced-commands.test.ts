import type { ReadableSpan } from '@opentelemetry/sdk-trace';
import { describe, expect, it } from 'vitest';
import type { CommandOutcome, CommandRequest, CommandService, CommandStore } from '../../../src/commands/ports.ts';
import { TransactionConflict } from '../../../src/commands/ports.ts';
import { GenesisError } from '../../../src/errors.ts';
import { CommandTracer } from '../../../src/observability/tracing/traced-commands.ts';
import { createSession, groupCommit, request } from '../../support/commands.ts';
import { recordedSpans, SAMPLED, SPAN_ID, TRACE_ID, UNSAMPLED } from './rig.ts';

/** A database in memory that takes everything; `fail` comes before each transaction. */
function storeOf(fail: () => Error | null = () => null) {
  const written: CommandRequest[] = [];
  const store: CommandStore = {
    transaction: async (work) => {
      const failure = fail();
      if (failure !== null) throw failure;
      return work({
        lock: async () => ({ sessions: [], busy: [], now: 1_700_000_000_000 }),
        readInbox: async () => ({ unfinished: [], bound: [] }),
        write: async (rows) => void written.push(...rows.inbox.map((row) => row.request)),
      });
    },
  };
  return { store, written };
}

/** A group commit over the store, both traced, as the API wires them. */
async function traced({ store }: { store: CommandStore }, spans = recordedSpans()) {
  const tracer = new CommandTracer(spans.spans);
  const commits = groupCommit(tracer.store(store));
  await commits.start();
  return { service: tracer.service(commits), ended: spans.ended };
}

const named = (spans: readonly ReadableSpan[], name: string) => spans.filter((span) => span.name === name);
const only = (spans: readonly ReadableSpan[], name: string): ReadableSpan => {
  const [span, ...more] = named(spans, name);
  if (span === undefined || more.length > 0) throw new Error(`not one ${name}`);
  return span;
};
const create = (traceparent: string | null) => request(createSession(), { traceparent });
const parentOf = (span: ReadableSpan | undefined) => span?.parentSpanContext?.spanId;

describe('a command', () => {
  it('is in the trace of its request, and says which it is and what it came to', async () => {
    const { service, ended } = await traced(storeOf());
    const sent = create(SAMPLED);
    expect(await service.execute(sent)).toMatchObject({ kind: 'accepted' });

    const [command] = named(ended(), 'command CreateSession');
    expect(command?.spanContext().traceId).toBe(TRACE_ID);
    expect(parentOf(command)).toBe(SPAN_ID);
    expect(command?.attributes).toEqual({
      'genesis.command.id': sent.commandId,
      'genesis.session.id': sent.sessionId,
      'genesis.command.type': 'CreateSession',
      'genesis.command.outcome': 'accepted',
    });
  });

  it('has its wait and its transaction under it, and a batch that both lead to and from', async () => {
    const { service, ended } = await traced(storeOf());
    await service.execute(create(SAMPLED));
    const command = only(ended(), 'command CreateSession');
    const queue = only(ended(), 'command queue');
    const transaction = only(ended(), 'command transaction');
    const batch = only(ended(), 'command batch');
    const commandId = command.spanContext().spanId;
    expect([parentOf(queue), parentOf(transaction), parentOf(batch)]).toEqual([commandId, commandId, undefined]);
    expect(batch.links.map(({ context }) => context.spanId)).toEqual([commandId]);
    expect(transaction.links.map(({ context }) => context.spanId)).toEqual([batch.spanContext().spanId]);
    expect([queue.endTime, batch.startTime]).toEqual([transaction.startTime, transaction.startTime]);
    for (const { duration } of ended()) expect(duration[0]).toBe(0);
    for (const step of ['lock sessions', 'write and commit']) {
      expect(named(ended(), step).map(parentOf)).toEqual([batch.spanContext().spanId]);
    }
  });

  it('shares its batch with those that are not recorded, which have no span', async () => {
    const { service, ended } = await traced(storeOf());
    const commands = [SAMPLED, UNSAMPLED, UNSAMPLED, SAMPLED].map((traceparent) => create(traceparent));
    // The first is alone; the others wait together.
    await Promise.all([service.execute(create(UNSAMPLED)), ...commands.map((command) => service.execute(command))]);
    expect(named(ended(), 'command CreateSession')).toHaveLength(2);
    const [batch] = named(ended(), 'command batch');
    expect(batch?.attributes['genesis.batch.size']).toBe(4);
    expect(batch?.links).toHaveLength(2);
  });

  it('that nobody records costs no span at all', async () => {
    const { service, ended } = await traced(storeOf());
    await service.execute(create(UNSAMPLED));
    expect(ended()).toEqual([]);
  });

  it('that no request brought begins a trace, and its events carry that', async () => {
    const rig = storeOf();
    const { service, ended } = await traced(rig);
    await service.execute(create(null));
    const [command] = named(ended(), 'command CreateSession');
    const { traceId = '', spanId = '' } = command?.spanContext() ?? {};
    expect(parentOf(command)).toBeUndefined();
    expect(rig.written[0]?.traceparent).toBe(`00-${traceId}-${spanId}-01`);
    expect(named(ended(), 'command transaction')).toHaveLength(1);
  });

  it('that is put off by a conflict has a wait and a transaction for each try', async () => {
    let tries = 0;
    const rig = storeOf(() => ((tries += 1) === 1 ? new TransactionConflict('again') : null));
    const { service, ended } = await traced(rig);
    await service.execute(create(SAMPLED));
    const transactions = named(ended(), 'command transaction');
    expect(transactions.map(({ attributes }) => attributes['error.type'])).toEqual(['conflict', undefined]);
    const waits = named(ended(), 'command queue');
    expect(waits).toHaveLength(2);
    expect(waits[1]?.startTime).toEqual(transactions[0]?.endTime);
  });

  it('that fails ends as failed, by its code and not by its words', async () => {
    const rig = storeOf(() => new GenesisError('UNAVAILABLE', 'the password was hunter2'));
    const { service, ended } = await traced(rig);
    await expect(service.execute(create(SAMPLED))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    for (const name of ['command CreateSession', 'command batch', 'command transaction']) {
      expect(named(ended(), name).map(({ attributes }) => attributes['error.type'])).toEqual(['UNAVAILABLE']);
    }
    expect(JSON.stringify(ended().map(({ attributes, status, events }) => [attributes, status, events]))).not.toContain(
      'hunter2',
    );
  });

  it.each<[CommandOutcome, object]>([
    [
      { kind: 'refused', refusal: { code: 'SESSION_NOT_FOUND' } },
      { 'genesis.command.outcome': 'refused', 'genesis.command.refusal': 'SESSION_NOT_FOUND' },
    ],
    [
      {
        kind: 'accepted',
        replayed: true,
        answer: { ...create(null), status: 'COMPLETED', version: 1, session: null },
      },
      { 'genesis.command.outcome': 'replayed' },
    ],
  ])('says what it came to: %j', async (outcome, attributes) => {
    const { spans, ended } = recordedSpans();
    const service: CommandService = { execute: async () => outcome };
    expect(await new CommandTracer(spans).service(service).execute(create(SAMPLED))).toBe(outcome);
    expect(ended()[0]?.attributes).toMatchObject(attributes);
  });
});
