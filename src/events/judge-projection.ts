import type { SessionId } from '../genesis/ids.ts';
import type { Projection } from './ports.ts';
import { differingColumns } from './differing-columns.ts';
import type { Finding } from './findings.ts';
import type { FoldResult } from './fold.ts';

/** What is wrong with a session's row, given what its events come to; null if nothing is. */
export function judgeProjection(sessionId: SessionId, row: Projection | null, fold: FoldResult): Finding | null {
  switch (fold.kind) {
    case 'nothing':
      return row === null
        ? null
        : { code: 'PROJECTION_WITHOUT_EVENTS', sessionId, detail: `the row has version ${row.session.version}` };
    case 'tooNew': {
      const { eventType, eventVersion, aggregateVersion } = fold.event;
      const detail = `version ${aggregateVersion}: ${eventType}, event_version ${eventVersion}`;
      return { code: 'EVENT_TOO_NEW', sessionId, detail };
    }
    case 'damaged':
      return { code: 'HISTORY_DAMAGED', sessionId, detail: fold.reason };
    case 'projection':
      return judgeRow(sessionId, row, fold.projection);
  }
}

function judgeRow(sessionId: SessionId, row: Projection | null, expected: Projection): Finding | null {
  if (row === null) {
    return { code: 'PROJECTION_MISSING', sessionId, detail: `its events reach version ${expected.session.version}` };
  }
  const differing = differingColumns(row, expected);
  return differing.length === 0 ? null : { code: 'PROJECTION_DIFFERS', sessionId, detail: differing.join('; ') };
}
