import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { request, tokenOf, type Answer } from './http-clients.ts';
import { makeNewerVersion } from './newer-version.ts';
import type { ServiceProcess, Version } from './service-process.ts';
import { HERE } from './unpack-version.ts';
import { UpgradeRig } from './upgrade-rig.ts';

/** Asks one replica, once. @throws when no answer comes */
async function call(api: ServiceProcess, path: string, body?: object): Promise<Answer> {
  const init: RequestInit =
    body === undefined
      ? {}
      : { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  const url = `${api.address()}/api/v1/genesis/sessions${path}`;
  const answer = await request(url, await tokenOf('ada', []), init);
  if (answer === null) throw new Error(`${url} was not answered`);
  return answer;
}

const feedback = { command_type: 'SubmitFeedback', payload: { feedback: 'darker' } };
const newTitle = { command_type: 'UpdateSession', payload: { title: 'Another' } };

async function createSession(api: ServiceProcess): Promise<string> {
  const created = await call(api, '', { title: 'A novel' });
  expect(created.status).toBe(201);
  return String(created.body['session_id']);
}

const eventsOf = async (api: ServiceProcess, session: string): Promise<unknown> =>
  (await call(api, `/${session}/events`)).body['items'];

/** This version beside one that writes an event in a version that this one does not know. */
describe('events of a newer version', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'genesis-versions-'));
  const here: Version = { name: 'this', folder: HERE };
  const newer: Version = { name: 'newer', folder: join(scratch, 'newer') };
  let rig: UpgradeRig;

  beforeAll(async () => {
    makeNewerVersion(newer.folder, { newerEvent: true });
    rig = await UpgradeRig.create(inject('brokers'), 'at-least-once');
    expect(await rig.genesis(newer, 'migrate')).toMatchObject({ code: 0 });
  });
  afterAll(async () => {
    await rig.close();
    rmSync(scratch, { recursive: true, force: true });
  });

  it('keep this version from the commands of their sessions, and from nothing else', async () => {
    const api = await rig.startApi(here);
    const newApi = await rig.startApi(newer);
    await rig.startRelay(here);
    const [touched, other] = [await createSession(api), await createSession(newApi)];
    expect(await call(api, `/${touched}/commands`, feedback)).toMatchObject({ status: 200, etag: 2 });
    expect(await call(newApi, `/${touched}/commands`, feedback)).toMatchObject({ status: 200, etag: 3 });

    expect(await call(api, `/${touched}/commands`, newTitle)).toMatchObject({
      status: 503,
      body: { error_code: 'UNAVAILABLE' },
    });
    expect(await call(api, `/${touched}`)).toMatchObject({ status: 200, body: { version: 3 } });
    expect(await call(api, `/${touched}/commands`)).toMatchObject({ status: 200 });
    expect(await eventsOf(api, touched)).toMatchObject([
      { aggregate_version: 1 },
      { aggregate_version: 2, event_version: 1, stored_version: 1 },
      { aggregate_version: 3, event_version: 2, stored_version: 2, payload: { mood: 'newer' } },
    ]);
    expect(await call(api, `/${other}/commands`, feedback)).toMatchObject({ status: 200, etag: 2 });

    // The newer version reads what this one wrote, in its own terms, and goes on with the session.
    expect(await eventsOf(newApi, touched)).toMatchObject([
      { aggregate_version: 1 },
      { aggregate_version: 2, event_version: 2, stored_version: 1, payload: { mood: null } },
      { aggregate_version: 3, event_version: 2, stored_version: 2 },
    ]);
    expect(await call(newApi, `/${touched}/commands`, newTitle)).toMatchObject({ status: 200, etag: 4 });
    // What the session needs does not become less with an event that both know.
    expect(await call(api, `/${touched}/commands`, feedback)).toMatchObject({ status: 503 });
  });

  it('are published by the relay of this version, byte for byte', async () => {
    await rig.untilDrained();
    const { violations, records, errors } = await rig.judge();
    expect(violations).toEqual([]);
    expect(errors).toEqual([]);
    expect(records).toBe(6);
  });

  it('are told by verify of this version, which leaves their sessions alone', async () => {
    expect(await rig.genesis(newer, 'verify')).toMatchObject({ code: 0 });
    const { output } = await rig.genesis(here, 'verify');
    expect(output).toMatch(/^EVENT_TOO_NEW .*\n.*Genesis\.Session\.Submitted, event_version 2/u);
  });
});
