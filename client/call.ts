/** Where the API is, and as whom it is called. */
export interface CallOptions extends RequestInit {
  /** Without a path, e.g. `http://127.0.0.1:8080`. */
  readonly baseUrl?: string;
  /** A JWT; none for the calls that need none. */
  readonly token?: string;
}

/**
 * What every function of genesis.ts calls by. An answer is an answer, whatever its status: the caller tells them apart by it.
 *
 * @throws TypeError when there is no answer: nobody is there, or the connection broke
 * @throws SyntaxError when the answer is not from the API: what it sends is JSON
 */
export async function call<Answer>(path: string, { baseUrl = '', token, ...init }: CallOptions): Promise<Answer> {
  const headers = new Headers(init.headers);
  headers.set('accept', 'application/json');
  if (token !== undefined) headers.set('authorization', `Bearer ${token}`);
  const response = await fetch(`${baseUrl}${path}`, { ...init, headers });
  const text = await response.text();
  const data: unknown = text === '' ? undefined : JSON.parse(text);
  return { data, status: response.status, headers: response.headers } as Answer;
}
