import { setTimeout as sleep } from 'node:timers/promises';
import { LatencyProbe, type LatencySummary } from '../../faults/latency.ts';
import { cpuOf } from '../api/cpu.ts';
import type { ApiProcess } from '../api/api-process.ts';
import { memoryOf } from '../memory.ts';
import { postCommands, type Author, type Posted } from '../poster.ts';
import { openReader, type Reader } from './reader.ts';

export interface SsePlan {
  readonly api: ApiProcess;
  /** Each has a reader of its own session, to which nothing has happened but its creation. */
  readonly authors: readonly Author[];
  /** Commands per second, of all sessions in turn. */
  readonly rate: number;
  readonly seconds: number;
}

export interface SseFigures extends Posted {
  readonly readers: number;
  /** Milliseconds from the answer to a command to its event at the reader; 0 when the event was there first. */
  readonly fromAnswer: LatencySummary;
  /** Milliseconds from the request to its event at the reader. */
  readonly fromRequest: LatencySummary;
  /** Events that their reader did not get. */
  readonly missed: number;
  /** Events that came twice, or not after the version before. */
  readonly disordered: number;
  /** Share of a core that the API has used, and that this process has: readers and clients. */
  readonly share: { readonly api: number; readonly bench: number };
  /** MiB of the API, before the streams were opened and with them at the end. */
  readonly memory: { readonly before: number; readonly after: number };
}

const OPENED_AT_ONCE = 50;
/** The version of a new session. */
const CREATED = 1;
/** Seconds that are not counted: code and plans are cold. */
const WARM_UP = 2;
/** Milliseconds that an event may take; the API looks for what it was not told of once a second. */
const LATEST = 10_000;

/** Everybody follows, commands come at a constant rate, whether or not they are answered. */
export async function measureSse(plan: SsePlan): Promise<SseFigures> {
  const { api, authors } = plan;
  const [fromAnswer, fromRequest] = [new LatencyProbe(), new LatencyProbe()];
  const memoryBefore = memoryOf(api.pid);
  let disordered = 0;
  const readers = await openReaders(api.address, authors, (commandId, inOrder) => {
    const now = performance.now();
    for (const probe of [fromAnswer, fromRequest]) probe.arrived(commandId, 0, now);
    if (!inOrder) disordered += 1;
  });
  try {
    const ignore = (commandId: string): void => [fromAnswer, fromRequest].forEach((probe) => probe.ignore(commandId));
    await postCommands({ ...plan, address: api.address, seconds: WARM_UP, onAccepted: ignore });
    const before = { at: performance.now(), api: cpuOf(api.pid), bench: ownCpu() };
    const posted = await postCommands({
      ...plan,
      address: api.address,
      onAccepted(commandId, sentAt) {
        fromAnswer.committed(commandId, 0);
        fromRequest.committed(commandId, 0, sentAt);
      },
    });
    const microseconds = (performance.now() - before.at) * 1_000;
    const share = {
      api: (cpuOf(api.pid) - before.api) / microseconds,
      bench: (ownCpu() - before.bench) / microseconds,
    };
    const memory = { before: memoryBefore, after: memoryOf(api.pid) };
    await untilArrived(fromAnswer, posted.accepted);
    const summary = fromAnswer.summary();
    return {
      ...{ readers: readers.length, ...posted, share, memory, disordered },
      ...{ fromAnswer: summary, fromRequest: fromRequest.summary() },
      missed: posted.accepted - summary.samples,
    };
  } finally {
    for (const reader of readers) reader.close();
  }
}

/** @param onEvent Whether it is the version after the one before. */
async function openReaders(
  address: string,
  authors: readonly Author[],
  onEvent: (commandId: string, inOrder: boolean) => void,
): Promise<readonly Reader[]> {
  const readers: Reader[] = [];
  const waiting = authors.values();
  const open = async (): Promise<void> => {
    for (const author of waiting) {
      let last: number = CREATED;
      const reader = await openReader(address, author, CREATED, (version, commandId) => {
        onEvent(commandId, version === last + 1);
        last = version;
      });
      readers.push(reader);
    }
  };
  await Promise.all(Array.from({ length: OPENED_AT_ONCE }, open));
  return readers;
}

/** Waits for all, but not for ever: what is missing then is told. */
async function untilArrived(probe: LatencyProbe, accepted: number): Promise<void> {
  const deadline = performance.now() + LATEST;
  while (probe.summary().samples < accepted && performance.now() < deadline) await sleep(50);
}

/** Microseconds. */
function ownCpu(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}
