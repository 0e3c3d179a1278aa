import type { Actor } from '../commands/ports.ts';
import { GenesisError } from '../errors.ts';
import type { CommandType } from '../genesis/commands.ts';
import type { Session } from '../genesis/session.ts';
import type { Principal } from './tokens.ts';

/**
 * What a token's roles allow. Roles add up. `author` need not be named: a token that names neither `agent` nor `operator` is an
 * author's. One that names either is an author's only if it says so, lest a machine's credential write novels by accident.
 */
const AGENT = 'agent';
const OPERATOR = 'operator';
const AUTHOR = 'author';

/** The commands that answer requests; all others are authors'. */
const AGENT_COMMANDS: ReadonlySet<CommandType> = new Set(['ProposeConcepts', 'FailConceptGeneration']);

/**
 * Who sends a command, as far as the domain minds.
 * @param type Null when the request does not say which command it is; then nobody but an operator is refused yet.
 * @throws GenesisError FORBIDDEN
 */
export function actorFor(principal: Principal, type: CommandType | null): Actor {
  const { userId } = principal;
  const author = isAuthor(principal);
  const agent = has(principal, AGENT);
  if (!author && !agent) throw forbidden('Operators read; they send no commands');
  if (type === null) return { userId, role: author ? 'author' : 'agent' };
  if (AGENT_COMMANDS.has(type)) {
    if (!agent) throw forbidden(`Only an agent sends ${type}`);
    return { userId, role: 'agent' };
  }
  if (!author) throw forbidden(`Only an author sends ${type}`);
  return { userId, role: 'author' };
}

/** Whether a session may be shown. To whom it may not, it does not exist. */
export function maySee(principal: Principal, session: Session): boolean {
  return session.userId === principal.userId || seesAll(principal);
}

/** Whether everybody's sessions may be shown, not only the principal's own. */
export function seesAll(principal: Principal): boolean {
  return has(principal, AGENT) || has(principal, OPERATOR);
}

/** @throws GenesisError FORBIDDEN to everybody but operators */
export function mustOperate(principal: Principal): void {
  if (!has(principal, OPERATOR)) throw forbidden('This is for operators');
}

function isAuthor(principal: Principal): boolean {
  return has(principal, AUTHOR) || !(has(principal, AGENT) || has(principal, OPERATOR));
}

function has(principal: Principal, role: string): boolean {
  return principal.roles.includes(role);
}

function forbidden(message: string): GenesisError {
  return new GenesisError('FORBIDDEN', message);
}
