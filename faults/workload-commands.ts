import type { Actor } from '../src/commands/ports.ts';
import type { Command } from '../src/genesis/commands.ts';
import type { UserId } from '../src/genesis/ids.ts';
import { STAGES } from '../src/genesis/session.ts';
import type { Random } from './random.ts';
import type { ClientSession } from './client-session.ts';

export interface Draft {
  readonly command: Command;
  /** Null: the session's author. */
  readonly actor: Actor | null;
}

const AGENT: Actor = { userId: 'agent' as UserId, role: 'agent' };
const WORDS = [
  '星海',
  'the',
  'lighthouse',
  '悬疑',
  'remembers',
  'каждый',
  'ship',
  '"quoted"',
  'naïve',
  '🚀',
  'silence\n',
];

/** Prose of about so many characters: more than ASCII, and with something to escape in it. */
function prose(random: Random, characters: number): string {
  let text = '';
  while (text.length < characters) text += `${random.pick(WORDS)} `;
  return text;
}

/** What a client sends next: mostly feedback; now and then what writes two events or ends the session. */
export function chooseCommand(random: Random, session: ClientSession): Draft {
  const { request } = session;
  if (request !== null && random.chance(0.5)) {
    const concepts = [{ title: 'A concept', summary: prose(random, random.between(20, 800)) }];
    return { command: { type: 'ProposeConcepts', payload: { request_id: request, concepts } }, actor: AGENT };
  }
  const dice = random.next();
  if (dice < 0.78) return byAuthor({ type: 'SubmitFeedback', payload: { feedback: prose(random, size(random)) } });
  if (dice < 0.88) return byAuthor({ type: 'UpdateSession', payload: { title: prose(random, 30) } });
  if (dice < 0.96) {
    const payload = { theme_preferences: ['科幻', '悬疑'], style_preferences: ['快节奏'] };
    return byAuthor({ type: 'RequestConceptGeneration', payload });
  }
  const stage = STAGES[session.confirmed];
  if (dice < 0.99 && stage !== undefined) {
    return byAuthor({ type: 'ConfirmStage', payload: { stage, data: { note: prose(random, 100) } } });
  }
  return byAuthor({ type: 'AbandonSession', payload: { reason: 'enough' } });
}

function byAuthor(command: Command): Draft {
  return { command, actor: null };
}

/** Most texts are short, a few are long. */
function size(random: Random): number {
  return random.chance(0.05) ? random.between(500, 3_000) : random.between(10, 300);
}
