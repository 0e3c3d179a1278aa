import { expect, it } from 'vitest';
import { StatusBoard, type RelayState } from '../../src/relay/relay-status.ts';
import { drawnBelow } from '../docs/drawing.ts';
import { silent } from '../support/commands.ts';

/** Of a relay that has begun and not ended. */
const STATES: readonly RelayState[] = ['standby', 'idle', 'draining', 'stalled'];
const HAPPENS: readonly ((board: StatusBoard) => void)[] = [
  (board) => board.draining(),
  (board) => board.resting(0),
  (board) => board.resting(3),
  (board) => board.stalled('nobody answers'),
  (board) => board.answered(),
];

it("the relay's states, its circuit among them, change as docs/relay.md draws it", () => {
  const changes = STATES.flatMap((from) =>
    HAPPENS.map((happen) => {
      const board = new StatusBoard(silent, 'at-least-once');
      board.enter(from);
      happen(board);
      return `${from} -> ${board.status.state}`;
    }),
  ).filter((change) => !STATES.some((state) => change === `${state} -> ${state}`));
  expect([...new Set(changes)].toSorted()).toEqual(drawnBelow('docs/relay.md', "## The relay's states"));
});
