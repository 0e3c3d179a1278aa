import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Door, type Place, type Visitor } from '../../src/http/door.ts';

const PATIENCE = 1_000;

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

/** A queue with so many places, and its door. */
function aDoor(room: number) {
  let listener = (): void => undefined;
  const queue = {
    room,
    whenRoom(told: () => void) {
      listener = told;
    },
  };
  let stoodStill = 0;
  const door = new Door(queue, { patience: PATIENCE, now: () => performance.now() + stoodStill });
  const told: string[] = [];
  const places: Record<string, Place> = {};
  /** Says what becomes of the visitor, and keeps its place. */
  const come = (name: string, connection: object = {}): Visitor => {
    const visitor = {
      connection,
      letIn(place: Place) {
        told.push(`${name} in after ${place.waited}`);
        places[name] = place;
      },
      turnAway: () => void told.push(`${name} away`),
    };
    door.come(visitor);
    return visitor;
  };
  /** The visitor is in the queue. */
  const arrive = (name: string): void => {
    places[name]?.take();
    queue.room -= 1;
  };
  const take = (count: number): void => {
    queue.room += count;
    listener();
  };
  /** Time goes by, and no timer is looked at. */
  const standStill = (milliseconds: number): void => {
    stoodStill += milliseconds;
  };
  return { door, queue, told, places, come, arrive, take, standStill };
}

describe('a door', () => {
  it('lets in as many as there are places, and no more while they are on their way', () => {
    const { told, come, door } = aDoor(2);
    for (const name of ['a', 'b', 'c']) come(name);
    expect(told).toEqual(['a in after 0', 'b in after 0']);
    expect(door.waiting).toBe(1);
  });

  it('lets in those who wait in the order in which they came, when places become free', () => {
    const { told, come, arrive, take } = aDoor(1);
    for (const name of ['a', 'b', 'c', 'd']) come(name);
    arrive('a');
    vi.advanceTimersByTime(10);
    take(2);
    expect(told).toEqual(['a in after 0', 'b in after 10', 'c in after 10']);
  });

  it('lets nobody pass those who wait', () => {
    const { told, come, queue } = aDoor(1);
    for (const name of ['a', 'b']) come(name);
    queue.room = 2;
    // Nobody has told of the place that is free: whoever comes next finds it out, for the one before.
    come('c');
    expect(told).toEqual(['a in after 0', 'b in after 0']);
    queue.room = 3;
    come('d');
    expect(told).toEqual(['a in after 0', 'b in after 0', 'c in after 0']);
  });

  it('gives the place of whoever will not come to the next at once, once', () => {
    const { told, come, places, door } = aDoor(1);
    for (const name of ['a', 'b', 'c']) come(name);
    places['a']?.giveBack();
    places['a']?.giveBack();
    expect(told).toEqual(['a in after 0', 'b in after 0']);
    expect(door.waiting).toBe(1);
  });

  it('keeps a place for half of the patience: who sends slowly keeps out nobody who can wait as long', () => {
    const { told, come, door, places } = aDoor(1);
    come('slow');
    vi.advanceTimersByTime(PATIENCE / 2 - 1);
    come('b');
    expect(told).toEqual(['slow in after 0']);
    vi.advanceTimersByTime(1);
    expect(told).toEqual(['slow in after 0', 'b in after 1']);
    places['slow']?.giveBack();
    come('c');
    expect(door.waiting).toBe(1);
  });

  it('lets in, when places lapse, as many as there are places', () => {
    const { told, come, door } = aDoor(2);
    for (const name of ['slow', 'slower', 'c', 'd', 'e']) come(name);
    vi.advanceTimersByTime(PATIENCE / 2);
    expect(told.slice(2)).toEqual(['c in after 500', 'd in after 500']);
    expect(door.waiting).toBe(1);
  });

  it('lets one wait per connection, and turns away what is sent behind it', () => {
    const { told, come, take, door } = aDoor(0);
    const connection = {};
    come('first', connection);
    come('second', connection);
    come('other');
    expect(told).toEqual(['second away']);
    take(1);
    come('third', connection);
    expect(told).toEqual(['second away', 'first in after 0']);
    expect(door.waiting).toBe(2);
  });

  it('lets in rather than turn away whom a standstill has kept beyond its time', () => {
    const { told, come, queue, take, standStill } = aDoor(0);
    for (const name of ['a', 'b', 'c']) come(name);
    queue.room = 1;
    standStill(PATIENCE);
    take(1);
    expect(told).toEqual(['c away', 'a in after 1000', 'b in after 1000']);
  });

  it('turns each away when its patience ends, and then leaves no timer', () => {
    const { told, come, door } = aDoor(0);
    come('a');
    vi.advanceTimersByTime(400);
    come('b');
    vi.advanceTimersByTime(PATIENCE - 401);
    expect(told).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(told).toEqual(['a away']);
    vi.advanceTimersByTime(400);
    expect(told).toEqual(['a away', 'b away']);
    expect(door.waiting).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('has no timer once all are in', () => {
    const { come, take, told } = aDoor(0);
    come('a');
    take(1);
    expect(told).toEqual(['a in after 0']);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('tells nothing to somebody who has gone, gives it no place and counts it no more', () => {
    const { told, come, take, door } = aDoor(0);
    const gone = come('a');
    come('b');
    door.leave(gone);
    expect(door.waiting).toBe(1);
    take(1);
    door.leave(gone);
    expect(told).toEqual(['b in after 0']);
  });

  it('leaves no timer when the last one goes', () => {
    const { come, door } = aDoor(0);
    door.leave(come('a'));
    expect(vi.getTimerCount()).toBe(0);
  });

  it('gives each place once, though who is let in makes it look again', () => {
    const { door, told, come, take } = aDoor(0);
    door.come({
      connection: {},
      letIn() {
        told.push('a');
        take(0);
      },
      turnAway: () => undefined,
    });
    for (const name of ['b', 'c']) come(name);
    take(2);
    expect(told).toEqual(['a', 'b in after 0']);
    expect(door.waiting).toBe(1);
  });

  it('is not confused by visitors who are done at once', () => {
    let look = (): void => undefined;
    const queue = { room: 1, whenRoom: (told: () => void) => void (look = told) };
    const door = new Door(queue, { patience: PATIENCE });
    const told: number[] = [];
    const come = (number: number): void =>
      door.come({
        connection: {},
        letIn(place) {
          told.push(number);
          place.giveBack();
        },
        turnAway: () => undefined,
      });
    queue.room = 0;
    for (const number of [1, 2, 3]) come(number);
    queue.room = 1;
    look();
    expect(told).toEqual([1, 2, 3]);
  });
});
