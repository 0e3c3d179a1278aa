import type { TestProjectInlineConfiguration, ViteUserConfig } from 'vitest/config';

type TestConfig = NonNullable<ViteUserConfig['test']>;

const needsInfrastructure = ['test/**/*.integration.test.ts', 'test/local/**/*.test.ts', 'test/e2e/**/*.test.ts'];

/** What every run has in common. */
export const shared = {
  reporters: ['default', './test/support/summary-reporter.ts'],
  pool: 'forks',
  // Node itself loads tests and sources, as it does in production. What the child processes of a test cover then falls on
  // the same positions in the code, so both can be added up.
  experimental: { viteModuleRunner: false },
  // Files run side by side, each with its own database; more workers than this only make a small machine's timings worse.
  maxWorkers: 2,
  // Generous: these limits are for what hangs, not for what is slow on a busy machine.
  testTimeout: 30_000,
  hookTimeout: 120_000,
  teardownTimeout: 30_000,
  unstubEnvs: true,
  restoreMocks: true,
} as const satisfies TestConfig;

/** Tests that need no other process. */
export const unit: TestProjectInlineConfiguration = {
  extends: true,
  test: { name: 'unit', include: ['test/**/*.test.ts'], exclude: needsInfrastructure },
};

/** Tests that talk to a real PostgreSQL and a real Kafka, started once for all of them. */
export const integration: TestProjectInlineConfiguration = {
  extends: true,
  test: {
    name: 'integration',
    include: needsInfrastructure,
    globalSetup: './test/support/global-setup.ts',
    testTimeout: 120_000,
  },
};

/**
 * Code that no test loads counts too, and so does what runs in the child processes that tests start, as long as they
 * inherit `process.env` and end by themselves: a process that is killed writes no coverage.
 */
export const coverage = {
  provider: 'v8',
  include: ['src/**/*.ts'],
  autoAttachSubprocess: true,
  reporter: [['text', { skipFull: true }], 'json-summary'],
  reportsDirectory: 'coverage/all',
} satisfies NonNullable<TestConfig['coverage']>;
