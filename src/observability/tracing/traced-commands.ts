import { SpanKind, type Link, type Span, type SpanContext } from '@opentelemetry/api';
import {
  TransactionConflict,
  type CommandOutcome,
  type CommandRequest,
  type CommandService,
  type CommandStore,
  type CommandTransaction,
} from '../../commands/ports.ts';
import { errorType, linksTo, type Spans } from './spans.ts';
import { spanContextOf, traceparentOf } from './traceparent.ts';

/** A command that is under way and recorded. */
interface Traced {
  readonly context: SpanContext;
  /** Since when it waits for a transaction, by `performance.now()`. */
  waitsSince: number;
}

const INTERNAL = SpanKind.INTERNAL;

/**
 * The spans of commands: `command <type>` from its arrival to its outcome, in it `command queue` and `command transaction`, once for each
 * transaction that it was in; and `command batch`, a trace of its own, for the transaction that many commands share, with its steps.
 */
export class CommandTracer {
  readonly #spans: Spans;
  /** By the request itself: the service hands the store what it was handed. */
  readonly #traced = new WeakMap<CommandRequest, Traced>();

  constructor(spans: Spans) {
    this.#spans = spans;
  }

  /** The same service. What nobody asked for by HTTP, the end that a deadline makes, begins a trace. */
  service(service: CommandService): CommandService {
    return {
      execute: (request) =>
        request.traceparent === null || this.#spans.mayRecord(request.traceparent)
          ? this.#execute(service, request)
          : service.execute(request),
    };
  }

  /** The same store. */
  store(store: CommandStore): CommandStore {
    return {
      transaction: (work, timeLimit, batch = []) => {
        const traced = batch.flatMap((request) => this.#traced.get(request) ?? []);
        if (traced.length === 0) return store.transaction(work, timeLimit, batch);
        const span = new BatchSpan(this.#spans, traced, batch.length);
        return span.around((steps) => store.transaction((transaction) => work(steps(transaction)), timeLimit, batch));
      },
    };
  }

  async #execute(service: CommandService, request: CommandRequest): Promise<CommandOutcome> {
    const span = this.#spans.start(`command ${request.command.type}`, {
      kind: INTERNAL,
      parent: spanContextOf(request.traceparent),
    });
    const context = span.spanContext();
    const sent = request.traceparent === null ? { ...request, traceparent: traceparentOf(context) } : request;
    if (!span.isRecording()) return service.execute(sent);
    this.#traced.set(sent, { context, waitsSince: performance.now() });
    span.setAttributes(attributesOf(request));
    try {
      const outcome = await service.execute(sent);
      this.#spans.end(span.setAttributes(outcomeOf(outcome)));
      return outcome;
    } catch (error) {
      this.#spans.end(span, errorType(error));
      throw error;
    }
  }
}

function attributesOf({ commandId, sessionId, command }: CommandRequest) {
  return { 'genesis.command.id': commandId, 'genesis.session.id': sessionId, 'genesis.command.type': command.type };
}

function outcomeOf(outcome: CommandOutcome): Readonly<Record<string, string>> {
  if (outcome.kind === 'refused') {
    return { 'genesis.command.outcome': 'refused', 'genesis.command.refusal': outcome.refusal.code };
  }
  return { 'genesis.command.outcome': outcome.replayed ? 'replayed' : 'accepted' };
}

/** One transaction and the recorded commands in it. */
class BatchSpan {
  readonly #spans: Spans;
  readonly #traced: readonly Traced[];
  readonly #began = performance.now();
  readonly #span: Span;
  readonly #size: number;

  constructor(spans: Spans, traced: readonly Traced[], size: number) {
    this.#spans = spans;
    this.#traced = traced;
    this.#size = size;
    this.#span = spans.start('command batch', {
      kind: INTERNAL,
      parent: null,
      startTime: this.#began,
      links: linksTo(traced.map(({ context }) => context)),
      attributes: { 'genesis.batch.size': size },
    });
  }

  /** @param run Is given what makes a transaction's steps visible. */
  async around<Result>(
    run: (steps: (transaction: CommandTransaction) => CommandTransaction) => Promise<Result>,
  ): Promise<Result> {
    try {
      const result = await run((transaction) => this.#steps(transaction));
      this.#end(null);
      return result;
    } catch (error) {
      this.#end(error instanceof TransactionConflict ? 'conflict' : errorType(error));
      throw error;
    }
  }

  #steps(transaction: CommandTransaction): CommandTransaction {
    return {
      lock: (sessionIds, createKeys) => this.#step('lock sessions', transaction.lock(sessionIds, createKeys)),
      readInbox: (query) => this.#step('read inbox', transaction.readInbox(query)),
      write: (rows) => this.#step('write and commit', transaction.write(rows)),
    };
  }

  async #step<Result>(name: string, doing: Promise<Result>): Promise<Result> {
    const span = this.#spans.start(name, {
      kind: SpanKind.CLIENT,
      parent: this.#span.spanContext(),
      attributes: { 'db.system.name': 'postgresql', 'db.query.summary': name },
    });
    try {
      const result = await doing;
      this.#spans.end(span);
      return result;
    } catch (error) {
      this.#spans.end(span, errorType(error));
      throw error;
    }
  }

  /** The wait and the transaction of each command, in its own trace. */
  #end(failure: string | null): void {
    const now = performance.now();
    const links: Link[] = [{ context: this.#span.spanContext() }];
    const attributes = { 'genesis.batch.size': this.#size };
    for (const traced of this.#traced) {
      const parent = traced.context;
      const queue = this.#spans.start('command queue', { kind: INTERNAL, parent, startTime: traced.waitsSince });
      this.#spans.end(queue, null, this.#began);
      const options = { kind: INTERNAL, parent, startTime: this.#began, links, attributes };
      this.#spans.end(this.#spans.start('command transaction', options), failure, now);
      // If it was put off or is tried again, it waits from here on.
      traced.waitsSince = now;
    }
    this.#spans.end(this.#span, failure, now);
  }
}
