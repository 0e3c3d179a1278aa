import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Knows which answers of a server are still to be given, and on which connections more may be said. */
export interface AnswerTracker {
  /** Every answer that has begun and not ended. */
  readonly open: ReadonlySet<ServerResponse>;
  begin(response: ServerResponse): void;
  /** Those of a connection that have not ended, and its latest if that was given before the whole request had come. */
  pendingOn(socket: Socket): readonly ServerResponse[];
}

export function createAnswerTracker(): AnswerTracker {
  const open = new Set<ServerResponse>();
  const latest = new WeakMap<Socket, ServerResponse>();
  return {
    open,
    begin(response) {
      open.add(response);
      latest.set(response.req.socket, response);
      response.once('close', () => open.delete(response));
    },
    pendingOn(socket) {
      const pending = [...open].filter((answer) => answer.req.socket === socket);
      const last = latest.get(socket);
      return last === undefined || last.req.complete || open.has(last) ? pending : [...pending, last];
    },
  };
}
