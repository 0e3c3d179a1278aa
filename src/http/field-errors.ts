import type { TLocalizedValidationError } from 'typebox/error';

/** One fault of a body. */
export interface FieldError {
  /** RFC 6901, from the body's root; names a missing or an unknown member by the place it would have or has. */
  readonly pointer: string;
  readonly detail: string;
}

/** An answer must not repeat a member name of 200 KiB. */
const MAX_POINTER_LENGTH = 256;

/** What a validator found, in the terms of whoever sent the body. Never empty. */
export function fieldErrorsOf(found: readonly TLocalizedValidationError[]): readonly FieldError[] {
  const errors = found.flatMap(fieldErrors).map(shortened);
  // The validator stops after a few errors, and may so drop the one that this list is made from.
  return errors.length > 0 ? errors : [{ pointer: '', detail: 'does not fit its schema' }];
}

/** Whether objects and arrays are nested within each other more than `levels` deep; `{}` is one level. */
export function isDeeperThan(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((member) => isDeeperThan(member, levels - 1));
}

function fieldErrors(error: TLocalizedValidationError): readonly FieldError[] {
  const { instancePath: pointer, message } = error;
  switch (error.keyword) {
    case 'required':
      return error.params.requiredProperties.map((name) => ({
        pointer: `${pointer}/${escaped(name)}`,
        detail: 'is required',
      }));
    case 'boolean':
      // The schema `false` under additionalProperties: reported for each such member…
      return [{ pointer, detail: 'is not a member that is known here' }];
    case 'additionalProperties':
      // …and once more for all of them together.
      return [];
    case 'enum':
      return [{ pointer, detail: `must be one of ${error.params.allowedValues.join(', ')}` }];
    default:
      return [{ pointer, detail: message }];
  }
}

/** RFC 6901, 3. */
function escaped(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}

function shortened(error: FieldError): FieldError {
  if (error.pointer.length <= MAX_POINTER_LENGTH) return error;
  return { pointer: error.pointer.slice(0, error.pointer.lastIndexOf('/')), detail: `a member of it ${error.detail}` };
}
