/**
 * Reads the arguments of a benchmark. `--help` prints how it is used; what `read` throws is a mistake in the arguments: it is
 * printed with the usage, and the program ends with 2. Null in both cases: there is nothing to run.
 */
export function readOptions<Options>(
  usage: string,
  args: readonly string[],
  read: (args: string[]) => Options,
): Options | null {
  if (args.includes('--help')) {
    console.log(usage);
    return null;
  }
  try {
    return read([...args]);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
    process.exitCode = 2;
    return null;
  }
}

/** @throws Error that names the option */
export function positive(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0) throw new Error(`--${option} '${text}': it must be a number above 0`);
  return value;
}

/** @throws Error that names the option */
export function whole(option: string, text: string): number {
  const value = positive(option, text);
  if (!Number.isInteger(value)) throw new Error(`--${option} '${text}': it must be a whole number`);
  return value;
}

/** NAME=VALUE, by name. @throws Error when one is not of that form */
export function settings(texts: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    texts.map((text) => {
      const [, name, value] = /^([A-Z_]+)=(.*)$/u.exec(text) ?? [];
      if (name === undefined || value === undefined) throw new Error(`--env '${text}': it must be NAME=VALUE`);
      return [name, value];
    }),
  );
}
