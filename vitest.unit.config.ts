import { defineConfig } from 'vitest/config';
import { coverage, shared, unit } from './test/support/test-projects.ts';

const wellCovered = { lines: 85, branches: 85 };

/**
 * The unit tests by themselves. The rooms that hold the rules must be covered without help from a database or a broker;
 * the others are measured with all tests (vitest.config.ts).
 */
export default defineConfig({
  test: {
    ...shared,
    projects: [unit],
    coverage: {
      ...coverage,
      include: ['src/genesis/**/*.ts', 'src/commands/**/*.ts', 'src/outbox/**/*.ts'],
      reportsDirectory: 'coverage/unit',
      thresholds: {
        'src/genesis/**': wellCovered,
        'src/commands/**': wellCovered,
        'src/outbox/**': wellCovered,
      },
    },
  },
});
