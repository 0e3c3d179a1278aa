import type { Scenario } from '../scenario.ts';
import { aclRevoked } from './acl-revoked.ts';
import { brokerAway, brokerFrozen, brokerKilled, brokerStopped, leadersMoved } from './broker-faults.ts';
import { mixed } from './mixed.ts';
import { linkCut, postgresRestarted } from './postgres-faults.ts';
import { oversize, refusedAndMoved } from './refused.ts';
import { relayKilled } from './relay-killed.ts';
import { relayFrozen, relaysScaled } from './several-relays.ts';

/** In the order of a campaign: those that share servers stand together. */
export const SCENARIOS: readonly Scenario[] = [
  relayKilled,
  relayFrozen,
  relaysScaled,
  linkCut,
  postgresRestarted,
  oversize,
  refusedAndMoved,
  brokerKilled,
  brokerStopped,
  brokerFrozen,
  brokerAway,
  mixed,
  aclRevoked,
  leadersMoved,
];
