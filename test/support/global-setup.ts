import type { TestProject } from 'vitest/node';
import { startTestInfrastructure } from './infrastructure.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** postgres://… of the one PostgreSQL server of this run; each test file makes its own database in it. */
    postgresUrl: string;
    /** host:port of the one Kafka broker of this run; each test file makes its own topics in it. */
    brokers: string[];
  }
}

/** Runs once before the integration tests; what it returns runs once after them. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const infrastructure = await startTestInfrastructure();
  project.provide('postgresUrl', infrastructure.postgresUrl);
  project.provide('brokers', infrastructure.brokers);
  return () => infrastructure.stop();
}
