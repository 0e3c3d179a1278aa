import { ConfigError, loadConfig } from '../src/config.ts';
import type { VariableName } from '../src/variables.ts';

export type Environment = Readonly<Partial<Record<VariableName, string>>>;

/** What is wrong with an environment. */
export function problemsOf(env: Environment): readonly string[] {
  try {
    loadConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

export const database = { DATABASE_URL: 'postgres://u:p@db:5432/genesis' };
export const kafka = { KAFKA_BROKERS: 'k:9092' };
export const both = { ...database, ...kafka };
