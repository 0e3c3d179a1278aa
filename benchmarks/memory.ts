import { readFileSync } from 'node:fs';

/** Resident memory of a process in MiB; 0 when it does not run. */
export function memoryOf(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Math.round(Number(/VmRSS:\s+(\d+)/u.exec(status)?.[1] ?? 0) / 1_024);
  } catch {
    return 0;
  }
}
