import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mutate, type Edit } from '../../faults/mutate.ts';
import { HERE } from './unpack-version.ts';

/** What a migration may do while the version before is at work: it adds, and asks nothing of whoever does not know. */
const EXPAND = `-- A migration of a test: everything that an expanding one may bring.
CREATE TABLE session_notes (session_id uuid PRIMARY KEY, note text NOT NULL);
ALTER TABLE genesis_sessions ADD COLUMN mood text;
ALTER TABLE command_inbox ADD COLUMN channel text NOT NULL DEFAULT 'http';
ALTER TABLE domain_events ADD COLUMN region text;
ALTER TABLE event_outbox ADD COLUMN region text;
ALTER TABLE relay_shards ADD COLUMN note text;
ALTER TABLE relay_members ADD COLUMN version text;
`;
export const EXPAND_NAME = '9001_test_expands.sql';

/** Version 2 of one event: written from now on, with a member that readers of version 1 do not know. */
const NEWER_EVENT: readonly Edit[] = [
  {
    file: 'src/genesis/event-schemas.ts',
    find: "closed('The author gave feedback; target null: on the whole.'),\n      ),\n    },\n",
    replace: `closed('The author gave feedback; target null: on the whole.'),
      ),
    },
    2: {
      level: 2,
      payload: Type.Object(
        { stage: CurrentStageName, feedback: Idea, target: orNull(Title), mood: orNull(Title) },
        closed('The author gave feedback, in some mood.'),
      ),
    },
`,
  },
  {
    file: 'src/genesis/events.ts',
    find: "'Genesis.Session.Submitted': 1,",
    replace: "'Genesis.Session.Submitted': 2,",
  },
  {
    file: 'src/genesis/upcast.ts',
    find: "'Genesis.Session.Submitted': {},",
    replace: "'Genesis.Session.Submitted': { 1: (payload) => ({ ...payload, mood: null }) },",
  },
  {
    file: 'src/genesis/decide.ts',
    find: 'target: payload.target ?? null,\n',
    replace: "target: payload.target ?? null,\n      mood: 'newer',\n",
  },
];

/** A program as the one after this might be: this one, with one more migration and, if wanted, an event in a newer version. */
export function makeNewerVersion(folder: string, { newerEvent }: { readonly newerEvent: boolean }): void {
  mkdirSync(folder, { recursive: true });
  mutate(HERE, { name: 'newer version', edits: newerEvent ? NEWER_EVENT : [] }, folder);
  writeFileSync(join(folder, 'migrations', EXPAND_NAME), EXPAND);
}
