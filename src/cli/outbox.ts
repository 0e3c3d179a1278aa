import { Command, InvalidArgumentError } from 'commander';
import type { SessionId } from '../genesis/ids.ts';
import { actionBody, figuresBody, previewBody, publicationBody, resultBody, rowBody } from '../http/ops-bodies.ts';
import type { ExplainedRow, Operations, Selection } from '../outbox/operations/operations.ts';
import { ROW_ACTIONS, type RowAction, type RowFilter } from '../outbox/operations/ports.ts';
import type { RowPosition } from '../outbox/operations/select-rows.ts';
import { OUTBOX_STATUSES } from '../outbox/outbox-row.ts';
import {
  addDeedOptions,
  deedOf,
  defaultCommand,
  parseText,
  parseWhole,
  withOperations,
  type DeedOptions,
} from './operator.ts';
import { addFilterOptions, filterOf, toldFilter, typedFilter, type FilterOptions } from './outbox-filter.ts';
import { actionsText, figuresText, previewText, publicationText, resultText, rowsText } from './outbox-text.ts';
import { parseSessionId } from './session-option.ts';
import { terminalWidth } from './table.ts';
import { WHICH_DATABASE } from './with-database.ts';

type Environment = Readonly<Record<string, string | undefined>>;

interface Json {
  readonly json?: true;
}
type ListOptions = FilterOptions & Json & { readonly limit: number };
type ActOptions = FilterOptions &
  DeedOptions &
  Json & { readonly yes?: true; readonly expect?: string; readonly force?: true };
interface ActionsOptions extends Json {
  readonly action?: string;
  readonly actor?: string;
  readonly call?: string;
  readonly limit: number;
}

const JSON_HELP = 'one line of JSON, as the API answers (docs/api.md)';
const HELP = `
  $ npx genesis outbox                            what is not published, shard by shard
  $ npx genesis outbox list --status FAILED       what was refused for good, and the broker's words
  $ npx genesis outbox why ID                     why the events of a session do not go out, and what to do
  $ npx genesis outbox retry --shard 3            shows what would be retried; --yes does it
  $ npx genesis outbox discard --id 4711 --reason "…" --yes
Exit code: 0 done, or shown · 1 not done, or not all of it: what was left out is told (a row, session or event that does not exist, rows
that were left alone) · 2 wrong usage. docs/operators.md tells more.`;

/** `genesis outbox` */
export function outboxCommand(env: Environment): Command {
  const outbox = new Command('outbox')
    .description('what is not published, why, and what to do about it: search, retry, discard')
    .addHelpText('after', `${HELP}${WHICH_DATABASE}`);
  const commands = [
    statusCommand(env),
    listCommand(env),
    whyCommand(env),
    ...ROW_ACTIONS.map((action) => rowActionCommand(env, action)),
    actionsCommand(env),
  ];
  // Wrong usage is told by the exit code: each sub-command has to be asked for it.
  for (const command of commands) outbox.addCommand(command.exitOverride(), { isDefault: command.name() === 'status' });
  return outbox;
}

function statusCommand(env: Environment): Command {
  return defaultCommand(new Command('status'), 'outbox')
    .description('figures per shard: what waits, what was refused, how old the oldest is (the default)')
    .option('--json', JSON_HELP)
    .action(async ({ json }: Json) => {
      const { backlogs } = await withOperations(env, (operations) => operations.backlogs());
      console.log(json ? JSON.stringify(figuresBody(backlogs)) : figuresText(backlogs, terminalWidth()));
    });
}

function listCommand(env: Environment): Command {
  const command = new Command('list')
    .description('rows and what keeps each waiting; without a filter all that is not settled')
    .option('--limit <number>', 'most rows', parseWhole(1, 10_000), 20)
    .option('--json', 'a line of JSON for each row, as the API answers (docs/api.md)');
  return addFilterOptions(command, OUTBOX_STATUSES).action(async (options: ListOptions) => {
    const { limit, json } = options;
    const { rows, more } = await withOperations(env, (operations) => listed(operations, filterOf(options), limit));
    if (json) for (const row of rows) console.log(JSON.stringify(rowBody(row)));
    else if (rows.length === 0) console.log('no row fits');
    else console.log(`${rowsText(rows, terminalWidth())}${more ? '\n… there are more: --limit' : ''}`);
  });
}

/** Goes on while pages are short, until there are rows enough. */
async function listed(operations: Operations, filter: RowFilter, limit: number) {
  const rows: ExplainedRow[] = [];
  let position: RowPosition | null = null;
  do {
    const page: Awaited<ReturnType<Operations['list']>> = await operations.list(filter, position, limit - rows.length);
    rows.push(...page.rows);
    position = page.next;
  } while (position !== null && rows.length < limit);
  return { rows, more: position !== null };
}

function whyCommand(env: Environment): Command {
  return new Command('why')
    .description('why the events of a session do not go out, and what to do about it')
    .argument('<session>', 'the id of the session, or of one of its rows', parseSessionOrRow)
    .option('--json', JSON_HELP)
    .action(async (asked: SessionId | number, { json }: Json) => {
      const found = await withOperations(env, async (operations) => {
        const session = typeof asked === 'number' ? await sessionOfRow(operations, asked) : asked;
        return session === null ? null : operations.publicationOf(session);
      });
      if (found === null)
        throw new Error(`there is no such ${typeof asked === 'number' ? 'row' : 'session'}: ${asked}`);
      console.log(json ? JSON.stringify(publicationBody(found)) : publicationText(found, terminalWidth()));
    });
}

async function sessionOfRow(operations: Operations, id: number): Promise<SessionId | null> {
  const { rows } = await operations.list({ ...filterOf({}), ids: [id] }, null, 1);
  return rows[0]?.row.sessionId ?? null;
}

const DESCRIPTIONS = {
  retry: 'give FAILED rows new tries; shows what would be done unless --yes is given',
  discard: 'give rows up for good, a marker goes out instead; shows what would be done unless --yes is given',
} as const satisfies Record<RowAction, string>;

function rowActionCommand(env: Environment, action: RowAction): Command {
  const command = new Command(action)
    .description(DESCRIPTIONS[action])
    .option('--yes', 'do it')
    .option('--expect <token>', 'only if it is these rows that the preview showed', parseText(100))
    .option('--json', JSON_HELP);
  if (action === 'discard') {
    command.option('--force', 'PENDING rows too that may be on their way: those are sent all the same');
  }
  addDeedOptions(addFilterOptions(command, action === 'retry' ? ['FAILED'] : ['FAILED', 'PENDING']));
  return command.action(async (options: ActOptions) => {
    if (options.yes && action === 'discard' && options.reason === undefined) {
      command.error('error: discarding is for good: say why by --reason', { exitCode: 2 });
    }
    const selection = { action, filter: filterOf(options), force: options.force ?? false };
    await withOperations(env, async (operations) => {
      await (options.yes ? act(operations, selection, options) : preview(operations, selection, options));
      const unknown = await unknownOf(operations, options);
      for (const name of unknown) console.error(`genesis: there is no such ${name}`);
      if (unknown.length > 0) process.exitCode = 1;
    });
  });
}

/** What was named and does not exist: a slip of the pen, not a success. */
async function unknownOf(operations: Operations, { id, session, event }: FilterOptions): Promise<readonly string[]> {
  const unknown: string[] = [];
  const find = (named: FilterOptions, limit: number) => listed(operations, filterOf(named), limit);
  if (id !== undefined) {
    const known = new Set((await find({ id }, id.length)).rows.map(({ row }) => row.id));
    unknown.push(...[...new Set(id)].filter((one) => !known.has(one)).map((one) => `row: ${one}`));
  }
  if (session !== undefined && (await operations.publicationOf(session)) === null) unknown.push(`session: ${session}`);
  if (event !== undefined && (await find({ event }, 1)).rows.length === 0) unknown.push(`event: ${event}`);
  return unknown;
}

/** As a shell takes it for one word. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

async function preview(operations: Operations, selection: Selection, options: ActOptions): Promise<void> {
  const { action } = selection;
  const found = await operations.preview(selection);
  const reason = action === 'discard' ? ` --reason ${quoted(options.reason ?? 'why it is given up')}` : '';
  const force = selection.force ? ' --force' : '';
  const again = `npx genesis outbox ${action}${typedFilter(options)}${force}${reason} --expect ${found.token} --yes`;
  console.log(
    options.json ? JSON.stringify(previewBody(action, found)) : previewText(action, found, again, terminalWidth()),
  );
}

async function act(operations: Operations, selection: Selection, options: ActOptions): Promise<void> {
  const { action, force } = selection;
  const deed = deedOf(options, { ...toldFilter(options), ...(force ? { force } : {}) });
  const result = await operations.act({ ...selection, token: options.expect ?? null, deed });
  console.log(
    options.json ? JSON.stringify(resultBody(action, deed.callId, result)) : resultText(action, deed.callId, result),
  );
  if (result.interrupted !== null || result.skipped > 0) process.exitCode = 1;
}

function actionsCommand(env: Environment): Command {
  return new Command('actions')
    .description('the audit trail: who did what, newest first')
    .option('--action <name>', 'retry, discard, pause, resume', parseText(50))
    .option('--actor <name>', 'what this one did', parseText(255))
    .option('--call <id>', 'what one call did', parseSessionId)
    .option('--limit <number>', 'most lines', parseWhole(1, 10_000), 20)
    .option('--json', 'a line of JSON for each, as the API answers (docs/api.md)')
    .action(async ({ action, actor, call, limit, json }: ActionsOptions) => {
      const query = { action: action ?? null, actor: actor ?? null, callId: call ?? null, before: null, limit };
      const actions = await withOperations(env, (operations) => operations.actions(query));
      if (json) for (const line of actions) console.log(JSON.stringify(actionBody(line)));
      else console.log(actions.length === 0 ? 'nothing was done' : actionsText(actions, terminalWidth()));
    });
}

function parseSessionOrRow(value: string): SessionId | number {
  if (/^[1-9]\d{0,14}$/u.test(value)) return Number(value);
  if (/^[\da-f-]{36}$/iu.test(value)) return parseSessionId(value);
  throw new InvalidArgumentError('It must be the id of a session, a UUID, or of a row, a number.');
}
