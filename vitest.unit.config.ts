import { defineConfig } from 'vitest/config';
import { coverage, shared, unit } from './test/support/test-projects.ts';

const wellCovered = { lines: 85, branches: 85 };

/**
 * The unit tests by themselves. What holds the rules must be covered without help from a database or a broker; the rest is measured with
 * all tests (vitest.config.ts): of src/outbox what people do with rows, and the clean-up, for they are little else than their statements.
 */
export default defineConfig({
  test: {
    ...shared,
    projects: [unit],
    coverage: {
      ...coverage,
      include: ['src/genesis/**/*.ts', 'src/commands/**/*.ts', 'src/outbox/*.ts'],
      exclude: ['src/outbox/clean-up.ts'],
      reportsDirectory: 'coverage/unit',
      thresholds: {
        'src/genesis/**': wellCovered,
        'src/commands/**': wellCovered,
        'src/outbox/*': wellCovered,
      },
    },
  },
});
