import type { FastifySchemaCompiler } from 'fastify';
import type { TObject } from 'typebox';
import { Compile } from 'typebox/compile';
import type { TLocalizedValidationError } from 'typebox/error';
import type { GenesisError } from '../errors.ts';
import { fieldErrorsOf } from './field-errors.ts';
import { malformed } from './json-body.ts';

/** Decimal, without sign, leading zeros or exponent; ten digits are more than any bound here allows. */
const INTEGER = /^(?:0|[1-9][0-9]{0,9})$/;

const PLACES: Readonly<Record<string, string>> = { querystring: 'query parameter', params: 'path parameter' };

/**
 * Validates query strings and path parameters by their schemas, for Fastify: all or nothing. A parameter that is not in the
 * schema, comes twice or has a value out of bounds is MALFORMED_REQUEST; nothing is dropped, guessed or rounded.
 */
export const compileRequestValidator: FastifySchemaCompiler<TObject> = ({ schema, httpPart = '' }) => {
  const validator = Compile(schema);
  const place = PLACES[httpPart] ?? httpPart;
  return (input: unknown) => {
    const asked = input as Readonly<Record<string, unknown>>;
    const repeated = Object.keys(schema.properties).find((name) => Array.isArray(asked[name]));
    if (repeated !== undefined) return { error: malformed(`The ${place} ${repeated} comes more than once`) };
    const value = withIntegers(schema, asked);
    return validator.Check(value) ? { value } : { error: refusalOf(place, validator.Errors(value)) };
  };
};

/** URLs hold text only: what the schema calls an integer and looks like one becomes one. */
function withIntegers(
  { properties }: TObject,
  input: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const entries = Object.entries(input).map(([name, value]) => {
    const property: unknown = Object.hasOwn(properties, name) ? properties[name] : undefined;
    return [
      name,
      isInteger(property) && typeof value === 'string' && INTEGER.test(value) ? Number(value) : value,
    ] as const;
  });
  return Object.fromEntries(entries);
}

function isInteger(schema: unknown): boolean {
  return typeof schema === 'object' && schema !== null && 'type' in schema && schema.type === 'integer';
}

function refusalOf(place: string, errors: readonly TLocalizedValidationError[]): GenesisError {
  const [first] = fieldErrorsOf(errors);
  const name = first?.pointer.slice(1) ?? '';
  return malformed(
    name === '' ? `A ${place} is not valid` : `The ${place} ${name}: ${first?.detail ?? 'is not valid'}`,
  );
}
