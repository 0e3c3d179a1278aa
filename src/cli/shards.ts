import { Command } from 'commander';
import { pauseBody, shardsBody } from '../http/ops-bodies.ts';
import type { Backlog, Backlogs } from '../outbox/operations/figures.ts';
import type { PauseResult } from '../outbox/operations/operations.ts';
import type { MemberFacts, RelayFacts, ShardFacts } from '../outbox/operations/ports.ts';
import { addDeedOptions, deedOf, defaultCommand, parseWhole, withOperations, type DeedOptions } from './operator.ts';
import { age, atLeast } from './outbox-text.ts';
import { table, terminalWidth, type Column } from './table.ts';
import { WHICH_DATABASE } from './with-database.ts';

type Environment = Readonly<Record<string, string | undefined>>;

interface PauseOptions extends DeedOptions {
  readonly all?: true;
  readonly json?: true;
}

const JSON_HELP = 'one line of JSON, as the API answers (docs/api.md)';
const HELP = `
  $ npx genesis shards                    who drains each shard, how far it has come, its last error; and the relays
  $ npx genesis shards pause 3            its rows stay PENDING; works within seconds, without a restart
  $ npx genesis shards resume --all
Exit code: 0 done · 1 it could not be done, the message says why · 2 wrong usage. docs/operators.md tells more.`;

/** `genesis shards` */
export function shardsCommand(env: Environment): Command {
  const shards = new Command('shards')
    .description('the shards and relays: owner, lag, last error; pause, resume')
    .addHelpText('after', `${HELP}${WHICH_DATABASE}`);
  // Wrong usage is told by the exit code: each sub-command has to be asked for it.
  shards.addCommand(listCommand(env).exitOverride(), { isDefault: true });
  shards.addCommand(pauseCommand(env, 'pause').exitOverride());
  shards.addCommand(pauseCommand(env, 'resume').exitOverride());
  return shards;
}

function listCommand(env: Environment): Command {
  return defaultCommand(new Command('list'), 'shards')
    .description('every shard, and every relay (the default)')
    .option('--json', JSON_HELP)
    .action(async ({ json }: { readonly json?: true }) => {
      const { relays, backlogs } = await withOperations(env, (operations) => operations.backlogs());
      console.log(json ? JSON.stringify(shardsBody(relays, backlogs)) : shardsText(relays, backlogs, terminalWidth()));
    });
}

const DESCRIPTIONS = {
  pause: 'let nothing of these shards go out: their rows stay PENDING',
  resume: 'let them go out again',
} as const;

function pauseCommand(env: Environment, name: 'pause' | 'resume'): Command {
  const command = new Command(name)
    .description(DESCRIPTIONS[name])
    .argument('[shards...]', 'numbers of shards', collectShards)
    .option('--all', 'every shard')
    .option('--json', JSON_HELP);
  return addDeedOptions(command).action(async (asked: readonly number[] | undefined, options: PauseOptions) => {
    const shards = asked ?? [];
    if ((shards.length === 0) === (options.all === undefined)) {
      command.error('error: name shards, or say --all', { exitCode: 2 });
    }
    const deed = deedOf(options, { shards: options.all ? 'all' : shards });
    const result = await withOperations(env, (operations) =>
      operations.setPaused(options.all ? null : shards, name === 'pause', deed),
    );
    console.log(options.json ? JSON.stringify(pauseBody(deed.callId, result)) : pauseText(name, result));
  });
}

function pauseText(name: 'pause' | 'resume', { changed, unchanged }: PauseResult): string {
  const done = name === 'pause' ? 'paused' : 'resumed';
  const lines = [changed.length === 0 ? `${done} none` : `${done} ${changed.join(', ')}`];
  if (unchanged.length > 0) lines.push(`${unchanged.join(', ')}: so already`);
  return lines.join('\n');
}

export function shardsText(relays: RelayFacts, backlogs: Backlogs, width: number): string {
  const columns: readonly Column<ShardFacts>[] = [
    { title: 'SHARD', align: 'right', text: ({ shard }) => String(shard) },
    { title: 'STATE', text: stateText, least: 6 },
    { title: 'RELAY', text: ({ owner }) => (owner === null ? '–' : `${owner.id} ${owner.name ?? ''}`), least: 4 },
    { title: 'LEASE', align: 'right', text: ({ leaseExpiresIn }) => age(leaseExpiresIn) },
    { title: 'PENDING', align: 'right', text: ({ shard }) => pendingOf(backlogs, shard) },
    {
      title: 'OLDEST',
      align: 'right',
      text: ({ shard }) => age(backlogs.shards.get(shard)?.oldestAge ?? null),
      least: 8,
    },
    { title: 'OFFSET', align: 'right', text: ({ position }) => position },
    { title: 'PROGRESS', text: ({ lastProgressAt }) => clock(lastProgressAt), least: 8 },
    { title: 'LAST ERROR', text: ({ lastError }) => lastError ?? '', least: 8 },
  ];
  const lines = [table(columns, relays.shards, width), '', membersText(relays.members, width)];
  if (relays.members.length > 0 && relays.members.every(({ expiresIn }) => expiresIn <= 0)) lines.push('', NO_RELAY);
  const held = heldText(backlogs.total);
  if (held !== null) lines.push('', held);
  if (relays.topicAhead) lines.push('', TOPIC_AHEAD);
  return lines.join('\n');
}

/** What waits for somebody, or goes on by itself; null: nothing is held. */
function heldText({ sessionsOnHold, failed, complete }: Backlog): string | null {
  if (sessionsOnHold === 0 && failed === 0) return null;
  const sessions = sessionsOnHold === 1 ? 'session' : 'sessions';
  const events = failed === 1 ? 'event is' : 'events are';
  const held = `${atLeast(sessionsOnHold, complete)} ${sessions} on hold; ${atLeast(failed, complete)} ${events} FAILED`;
  if (failed > 0) return `${held}\n→ npx genesis outbox list --status FAILED, then retry or discard`;
  return `${held}\n→ nothing: they are retried by themselves, or go out next`;
}

const NO_RELAY = 'No relay runs: npx genesis relay';
const TOPIC_AHEAD =
  'The topic is ahead of the database: commands are refused and nothing is published. → npx genesis recover --from-topic';

const MEMBER_COLUMNS: readonly Column<MemberFacts>[] = [
  { title: 'RELAY', align: 'right', text: ({ id }) => String(id) },
  { title: 'NAME', text: ({ name }) => name, least: 10 },
  { title: 'DELIVERY', text: ({ delivery }) => delivery },
  { title: 'ALIVE', text: ({ expiresIn }) => (expiresIn > 0 ? 'yes' : `no, since ${age(-expiresIn)}`), least: 5 },
  { title: 'JOINED', text: ({ joinedAt }) => `${new Date(joinedAt).toISOString().slice(0, 19)}Z` },
  { title: 'SHARDS', text: ({ shards }) => (shards.length === 0 ? '–' : shards.join(' ')), least: 6 },
];

function membersText(members: readonly MemberFacts[], width: number): string {
  return members.length === 0 ? NO_RELAY : table(MEMBER_COLUMNS, members, width);
}

function stateText({ state, paused, topicAheadAt }: ShardFacts): string {
  if (topicAheadAt !== null) return `topic-ahead at ${topicAheadAt}`;
  return paused && state !== 'paused' ? `${state}, paused` : state;
}

function pendingOf(backlogs: Backlogs, shard: number): string {
  const backlog = backlogs.shards.get(shard);
  return backlog === undefined ? '–' : atLeast(backlog.pending, backlog.complete);
}

/** The time of day in UTC, or the day if it was another. */
function clock(milliseconds: number | null): string {
  if (milliseconds === null) return '–';
  const [day = '', time = ''] = new Date(milliseconds).toISOString().split('T');
  return day === new Date().toISOString().slice(0, 10) ? time.slice(0, 8) : day;
}

function collectShards(value: string, before: readonly number[] | undefined): readonly number[] {
  return [...(before ?? []), parseWhole(0, 999)(value)];
}
