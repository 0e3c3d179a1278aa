import { writeSync } from 'node:fs';
import type { Reporter, TestModule } from 'vitest/node';

const STDOUT = 1;

/**
 * The very last line of a run, for people and for programs: `120 passed, 2 failed` (and `, 1 skipped`).
 * What fails a run without belonging to a test (a file that cannot be loaded, an error nobody caught, coverage below its
 * threshold) counts as a failure too: the line never claims success when the exit code does not.
 */
export default class SummaryReporter implements Reporter {
  readonly #counts = { passed: 0, failed: 0, skipped: 0 };

  onInit(): void {
    process.once('exit', (code) => {
      writeSync(STDOUT, `${this.#line(code)}\n`);
    });
  }

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    this.#counts.failed += unhandledErrors.length;
    for (const module of modules) {
      this.#counts.failed += module.errors().length;
      for (const suite of module.children.allSuites()) this.#counts.failed += suite.errors().length;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        // A test that was still to run when the run ended has not passed.
        this.#counts[state === 'pending' ? 'failed' : state] += 1;
      }
    }
  }

  #line(exitCode: number): string {
    const { passed, failed, skipped } = this.#counts;
    const failures = exitCode === 0 ? failed : Math.max(failed, 1);
    return `${passed} passed, ${failures} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
  }
}
