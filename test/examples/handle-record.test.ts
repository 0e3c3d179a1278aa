import { beforeEach, describe, expect, it } from 'vitest';
import { OutageError, RefusedError, type Delivery, type GenesisApi } from '../../examples/concept-agent/genesis-api.ts';
import { createRecordHandler, type RecordHandler } from '../../examples/concept-agent/handle-record.ts';
import type { ConceptRequest, IncomingRecord } from '../../examples/concept-agent/read-record.ts';
import { readableLogger } from '../http/api-harness.ts';
import { aRecord, ENVELOPE, EVENT_ID } from './a-record.ts';

describe('a record', () => {
  let delivered: ConceptRequest[];
  let deliver: () => Promise<Delivery>;
  let letters: { readonly record: IncomingRecord; readonly error: Error }[];
  let stopping: AbortController;
  let log: ReturnType<typeof readableLogger>;
  let handle: RecordHandler;

  beforeEach(() => {
    delivered = [];
    deliver = async () => 'accepted';
    letters = [];
    stopping = new AbortController();
    log = readableLogger();
    const api: GenesisApi = {
      isOutstanding: async () => true,
      deliver: (request) => {
        delivered.push(request);
        return deliver();
      },
    };
    const deadLetters = {
      send: async (record: IncomingRecord, error: Error) => {
        letters.push({ record, error });
      },
    };
    const backoff = { first: 1, most: 1 };
    const generate = async () => [];
    handle = createRecordHandler({
      api,
      deadLetters,
      generate,
      logger: log.logger,
      stopping: stopping.signal,
      backoff,
    });
  });

  it('that is a request is answered, once', async () => {
    await handle(aRecord());
    await handle(aRecord());
    await handle({ ...aRecord(), offset: 99n, partition: 0 });
    expect(delivered.map(({ eventId }) => eventId)).toEqual([EVENT_ID]);
    expect(letters).toEqual([]);
  });

  it('of another kind is passed over', async () => {
    await handle(aRecord({ ...ENVELOPE, event_type: 'Genesis.Session.Confirmed' }));
    expect([...delivered, ...letters]).toEqual([]);
  });

  it('that makes no sense is put aside', async () => {
    const record = aRecord('not JSON');
    await handle(record);
    expect(letters).toEqual([{ record, error: expect.objectContaining({ name: 'PoisonError' }) }]);
  });

  it('that the API refuses is put aside, once', async () => {
    deliver = () => Promise.reject(new RefusedError('404 SESSION_NOT_FOUND: in words'));
    const record = aRecord();
    await handle(record);
    await handle(record);
    expect(letters).toEqual([
      { record, error: expect.objectContaining({ message: '404 SESSION_NOT_FOUND: in words' }) },
    ]);
  });

  it('is not dealt with, and not put aside, when the agent stops before', async () => {
    deliver = () => {
      stopping.abort(new Error('stop'));
      return Promise.reject(new OutageError('away'));
    };
    await expect(handle(aRecord())).rejects.toThrow();
    expect(letters).toEqual([]);
  });

  it('behind a gap is dealt with, and the gap told loudly', async () => {
    await handle(
      aRecord({ ...ENVELOPE, event_id: 'first', event_type: 'Genesis.Session.Created', aggregate_version: 1 }),
    );
    await handle(aRecord({ ...ENVELOPE, aggregate_version: 4 }));
    expect(delivered).toHaveLength(1);
    expect(log.lines.filter(({ level }) => level === 50)).toMatchObject([{ after: 1, sequence: 4 }]);
  });
});
