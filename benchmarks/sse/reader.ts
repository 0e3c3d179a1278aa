import { request } from 'node:http';
import type { Author } from '../poster.ts';

/** Hears of each event, in the order in which they come. */
export type HearEvent = (version: number, commandId: string) => void;

/** One that follows a session by Server-Sent Events. */
export interface Reader {
  close(): void;
}

/**
 * Follows an author's session by the author's token, from after a version on. Resolves once the stream is open.
 * @throws Error when it is refused
 */
export function openReader(
  address: string,
  { sessionId, token }: Author,
  after: number,
  onEvent: HearEvent,
): Promise<Reader> {
  const headers = { authorization: `Bearer ${token}`, accept: 'text/event-stream', 'last-event-id': String(after) };
  return new Promise((resolve, reject) => {
    const call = request(
      `${address}/api/v1/genesis/sessions/${sessionId}/events`,
      { agent: false, headers },
      (answer) => {
        if (answer.statusCode !== 200) {
          call.destroy();
          reject(new Error(`a stream was refused with ${answer.statusCode}`));
          return;
        }
        let text = '';
        answer.setEncoding('utf8').on('data', (chunk: string) => {
          const frames = (text + chunk).split('\n\n');
          text = frames.pop() ?? '';
          for (const frame of frames) hear(frame, onEvent);
        });
        // It ends when the reader closes it, or the server: what is missing then is counted.
        answer.on('error', () => {});
        resolve({ close: () => void call.destroy() });
      },
    );
    call.on('error', reject).end();
  });
}

/** Frames without an id are the beginning and heartbeats. */
function hear(frame: string, onEvent: HearEvent): void {
  const version = /^id: (\d+)$/mu.exec(frame)?.[1];
  const data = /^data: (.*)$/mu.exec(frame)?.[1];
  if (version === undefined || data === undefined) return;
  onEvent(Number(version), (JSON.parse(data) as { correlation_id: string }).correlation_id);
}
