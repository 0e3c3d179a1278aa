import type { Operation } from './operation.ts';
import { OPS_CALLS } from './ops.ts';
import { READS } from './reads.ts';
import { WRITES } from './writes.ts';

const ALL = { ...READS, ...WRITES, ...OPS_CALLS };

/** The name of an operation, for the document and for whatever is generated from it. */
export type OperationId = keyof typeof ALL;

/** Every operation of the API. */
const OPERATIONS: Readonly<Record<OperationId, Operation>> = ALL;

/** For a route that judges its requests itself: only its name, by which it is described. */
export function named(operationId: OperationId): { readonly schema: { readonly operationId: OperationId } } {
  return { schema: { operationId } };
}

/** @throws Error when nobody has described the operation */
export function operationOf(id: string): Operation {
  const operation = Object.entries(OPERATIONS).find(([name]) => name === id)?.[1];
  if (operation === undefined) throw new Error(`no operation '${id}' in http/openapi`);
  return operation;
}
