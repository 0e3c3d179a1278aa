import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

/** A session and a token of its author. */
export interface Author {
  readonly sessionId: string;
  readonly token: string;
}

/** An author's feedback on the current stage. */
const FEEDBACK = JSON.stringify({
  command_type: 'SubmitFeedback',
  payload: {
    feedback: 'The second concept is close. Let the river remember who crossed it, and keep the ending open.',
  },
});

export interface Posted {
  /** Commands that were answered by 200. */
  readonly accepted: number;
  /** Other answers, and broken connections. */
  readonly refused: number;
}

export interface PostPlan {
  readonly address: string;
  /** Each sends in turn. */
  readonly authors: readonly Author[];
  /** Commands per second, whether or not they are answered. */
  readonly rate: number;
  readonly seconds: number;
  /** The answer is there; its request began at `sentAt`, by the monotonic clock. */
  readonly onAccepted: (commandId: string, sentAt: number) => void;
}

const MOST_CONNECTIONS = 128;
/** Milliseconds between two looks at how many commands are due. */
const TICK = 2;

/** Lines of "session<TAB>token". */
export function readAuthors(lines: readonly string[]): readonly Author[] {
  return lines.map((line) => {
    const [sessionId = '', token = ''] = line.split('\t');
    return { sessionId, token };
  });
}

/** Sends commands at a constant rate from this process; resolves when all are answered. For rates of some hundreds. */
export async function postCommands({ address, authors, rate, seconds, onAccepted }: PostPlan): Promise<Posted> {
  const agent = new Agent({ keepAlive: true, maxSockets: MOST_CONNECTIONS });
  const pending: Promise<void>[] = [];
  let [accepted, refused] = [0, 0];
  const send = async (author: Author): Promise<void> => {
    const sentAt = performance.now();
    const commandId = await post(agent, address, author).catch(() => null);
    if (commandId === null) refused += 1;
    else {
      accepted += 1;
      onAccepted(commandId, sentAt);
    }
  };
  const began = performance.now();
  for (let elapsed = 0; elapsed < seconds * 1_000; elapsed = performance.now() - began) {
    for (const due = (elapsed * rate) / 1_000; pending.length < due;) {
      const author = authors[pending.length % authors.length];
      if (author === undefined) throw new Error('there is no author');
      pending.push(send(author));
    }
    await sleep(TICK);
  }
  await Promise.all(pending);
  agent.destroy();
  return { accepted, refused };
}

/** Gives the command's id; null when it was refused. */
function post(agent: Agent, address: string, { sessionId, token }: Author): Promise<string | null> {
  const headers = {
    authorization: `Bearer ${token}`,
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(FEEDBACK),
  };
  return new Promise((resolve, reject) => {
    const url = `${address}/api/v1/genesis/sessions/${sessionId}/commands`;
    const call = request(url, { agent, method: 'POST', headers }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      response.once('error', reject).once('end', () => {
        const id = /"command_id":"([^"]+)"/u.exec(body)?.[1];
        resolve(response.statusCode === 200 && id !== undefined ? id : null);
      });
    });
    call.once('error', reject).end(FEEDBACK);
  });
}
