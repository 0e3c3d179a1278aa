import { readdirSync, readFileSync } from 'node:fs';

/** proc(5): the ticks of /proc/…/stat, in microseconds each. */
const TICK = 10_000;

interface Stat {
  readonly parent: number;
  /** Of the process itself, in microseconds. */
  readonly own: number;
  /** Of its children that have ended and were waited for. */
  readonly ended: number;
}

function statOf(pid: number | 'self'): Stat | null {
  try {
    const line = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
    const ticks = (field: number): number => Number(fields[field - 3] ?? 0) * TICK;
    return { parent: Number(fields[1]), own: ticks(14) + ticks(15), ended: ticks(16) + ticks(17) };
  } catch {
    return null;
  }
}

/** Microseconds of CPU that a process has used. */
export function cpuOf(pid: number): number {
  return statOf(pid)?.own ?? 0;
}

function childrenOf(pid: number): (Stat | null)[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/u.test(name))
    .map((name) => statOf(Number(name)))
    .filter((stat) => stat?.parent === pid);
}

/** How many children a process has that it has not waited for. */
export function countChildren(pid: number): number {
  return childrenOf(pid).length;
}

/** Microseconds of CPU that a process and all its children have used, those that have ended too. */
export function cpuOfFamily(pid: number): number {
  const parent = statOf(pid);
  return childrenOf(pid).reduce((sum, child) => sum + (child?.own ?? 0), (parent?.own ?? 0) + (parent?.ended ?? 0));
}

/** Microseconds of CPU of the programs that this process has run to their end. */
export function cpuOfEndedPrograms(): number {
  return statOf('self')?.ended ?? 0;
}
