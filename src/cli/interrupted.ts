/** Aborts at the first SIGINT or SIGTERM; a second one ends the process as ever. */
export function interrupted(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.once(name, () => controller.abort(new Error(`ended by ${name} before it was done`)));
  }
  return controller.signal;
}
