import { defineConfig } from 'vitest/config';
import { coverage, integration, shared, unit } from './test/support/test-projects.ts';

/** Every test: those that need nothing, and those that run against a real PostgreSQL and a real Kafka. */
export default defineConfig({
  test: {
    ...shared,
    projects: [unit, integration],
    coverage: { ...coverage, thresholds: { lines: 85, branches: 85 } },
  },
});
