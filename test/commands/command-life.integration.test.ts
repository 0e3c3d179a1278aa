import pg from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../support/database.ts';
import { drawnTransitions } from './command-life.ts';

const STATUSES = ['RECEIVED', 'PROCESSING', 'COMPLETED', 'FAILED'];
const CHECK_VIOLATION = '23514';

describe('the life of a command, held by the database', () => {
  let database: TestDatabase;
  let client: pg.Client;

  beforeAll(async () => {
    database = await createTestDatabase();
    client = new pg.Client({ connectionString: database.url });
    await client.connect();
  });
  afterAll(async () => {
    await client.end();
    await database.drop();
  });

  const insert = async (status: string): Promise<string> => {
    const id = uuidv7();
    await client.query(
      `INSERT INTO command_inbox (id, session_id, user_id, command_type, payload, status, response, first_version, last_version,
         error_message, created_at, updated_at)
       VALUES ($1, $2, 'ada', 'RequestConceptGeneration', '{}', $3, '{}', 2, 2, $4, now(), now())`,
      [id, uuidv7(), status, status === 'FAILED' ? 'a reason' : null],
    );
    return id;
  };
  const change = async (id: string, status: string) => {
    await client.query('UPDATE command_inbox SET status = $2, error_message = $3 WHERE id = $1', [
      id,
      status,
      status === 'FAILED' ? 'a reason' : null,
    ]);
  };

  it('admits the transitions that docs/command-life.md draws, and no other', async () => {
    const admitted: string[] = [];
    for (const from of STATUSES) {
      for (const to of STATUSES.filter((status) => status !== from)) {
        const id = await insert(from);
        try {
          await change(id, to);
          admitted.push(`${from} -> ${to}`);
        } catch (error) {
          expect(error).toMatchObject({
            code: CHECK_VIOLATION,
            message: expect.stringContaining('is not a transition'),
          });
        }
      }
    }
    expect(admitted.toSorted()).toEqual(drawnTransitions());
  });

  it('says what is possible instead', async () => {
    await expect(change(await insert('COMPLETED'), 'PROCESSING')).rejects.toMatchObject({
      hint: expect.stringContaining('COMPLETED and FAILED are final'),
    });
  });

  it('lets a row change in other ways at any time', async () => {
    const id = await insert('COMPLETED');
    await expect(change(id, 'COMPLETED')).resolves.toBeUndefined();
  });
});
