import { malformed } from './json-body.ts';
import type { CommandId, SessionId } from '../genesis/ids.ts';

/** What is under it is the API; beside it are probes, metrics and documents. */
export const API = '/api/';
/** Where sessions live. */
export const SESSIONS = '/api/v1/genesis/sessions';
/** Where commands for a session go, as a route. */
export const COMMANDS = `${SESSIONS}/:session_id/commands`;
/** What operators do. */
export const OPS = '/api/v1/ops';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export function sessionPath(sessionId: string): string {
  return `${SESSIONS}/${sessionId}`;
}

export function commandPath(sessionId: string, commandId: string): string {
  return `${SESSIONS}/${sessionId}/commands/${commandId}`;
}

/**
 * The session that a path names. Ids are kept and compared in lower case (RFC 9562, 4: accepted in either).
 * @throws GenesisError MALFORMED_REQUEST
 */
export function sessionIdOf(params: { readonly session_id: string }): SessionId {
  if (!UUID.test(params.session_id)) throw malformed('The session id in the path is not a UUID');
  return params.session_id.toLowerCase() as SessionId;
}

/** @throws GenesisError MALFORMED_REQUEST */
export function commandIdOf(params: { readonly command_id: string }): CommandId {
  if (!UUID.test(params.command_id)) throw malformed('The command id in the path is not a UUID');
  return params.command_id.toLowerCase() as CommandId;
}

/** The path of a request's target without its query, which could carry what must not be repeated, nor a host (RFC 9112, 3.2.2). */
export function pathOf(target: string): string {
  const url = target.startsWith('/') ? target : target.replace(/^https?:\/\/[^/?]*/i, '');
  const query = url.indexOf('?');
  return query === -1 ? url : url.slice(0, query);
}
