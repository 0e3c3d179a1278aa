import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Door, type Place } from '../../src/http/door.ts';

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
  const door = new Door(queue, { patience: PATIENCE });
  const told: string[] = [];
  const places: Record<string, Place> = {};
  /** Says what becomes of the visitor, and keeps its place. */
  const come = (name: string, visitor: { gone?: boolean } = {}) =>
    door.come({
      letIn(place) {
        told.push(`${name} in after ${place.waited}`);
        places[name] = place;
      },
      turnAway: () => void told.push(`${name} away`),
      get gone() {
        return visitor.gone ?? false;
      },
    });
  /** The visitor is in the queue. */
  const arrive = (name: string): void => {
    places[name]?.leave();
    queue.room -= 1;
  };
  const take = (count: number): void => {
    queue.room += count;
    listener();
  };
  return { door, queue, told, places, come, arrive, take };
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
    const { told, come, places, queue } = aDoor(1);
    for (const name of ['a', 'b']) come(name);
    places['a']?.leave();
    // Nobody has told of the place that is free: whoever comes next finds it out, for the one before.
    come('c');
    expect(told).toEqual(['a in after 0', 'b in after 0']);
    queue.room = 2;
    come('d');
    expect(told).toEqual(['a in after 0', 'b in after 0', 'c in after 0']);
  });

  it('gives the place of whoever did not come to the queue to the next', () => {
    const { told, come, places, door } = aDoor(1);
    for (const name of ['a', 'b']) come(name);
    places['a']?.leave();
    places['a']?.leave();
    door.look();
    expect(told).toEqual(['a in after 0', 'b in after 0']);
  });

  it('keeps a place for a second only: who sends slowly keeps nobody out', () => {
    const { told, come, door, places } = aDoor(1);
    come('slow');
    vi.advanceTimersByTime(999);
    come('b');
    expect(told).toEqual(['slow in after 0']);
    vi.advanceTimersByTime(1);
    door.look();
    expect(told).toEqual(['slow in after 0', 'b in after 1']);
    places['slow']?.leave();
    come('c');
    expect(door.waiting).toBe(1);
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

  it('gives no place to somebody who has gone', () => {
    const { told, come, take } = aDoor(0);
    const visitor = { gone: false };
    come('a', visitor);
    come('b');
    visitor.gone = true;
    take(1);
    expect(told).toEqual(['a away', 'b in after 0']);
  });

  it('is not confused by visitors who are done at once', () => {
    const queue = { room: 1, whenRoom: () => undefined };
    const door = new Door(queue, { patience: PATIENCE });
    const told: number[] = [];
    const come = (number: number): void =>
      door.come({
        letIn(place) {
          told.push(number);
          place.leave();
          door.look();
        },
        turnAway: () => undefined,
        gone: false,
      });
    queue.room = 0;
    for (const number of [1, 2, 3]) come(number);
    queue.room = 1;
    door.look();
    expect(told).toEqual([1, 2, 3]);
  });
});
