import type { ReadinessCheck } from '../http/ports.ts';
import { stuckReason } from '../relay/relay-status.ts';
import type { Relay } from '../relay/relay.ts';

/** A relay is ready unless it has work that it could do and does not. That a broker is away is no reason to end its process. */
export function relayCheck(relay: Pick<Relay, 'status'>): ReadinessCheck {
  const reason = stuckReason(relay.status(), Date.now());
  return reason === null ? { name: 'relay', ok: true } : { name: 'relay', ok: false, detail: reason };
}
