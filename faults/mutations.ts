import type { Mutation } from './mutate.ts';

/** Each is run by `npm run faults -- --mutations`, and must be caught. */
export const MUTATIONS: readonly Mutation[] = [];
