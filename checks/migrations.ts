import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  loadModule,
  parseSync,
  type AlterTableCmd,
  type AlterTableStmt,
  type ColumnDef,
  type Constraint,
  type DropStmt,
  type GrantStmt,
  type IndexStmt,
  type Node,
} from 'libpg-query';
import { isContract, readMigrations, stepsOf } from '../src/postgres/migrations.ts';

/** What is wrong with a statement of a migration. */
export interface Finding {
  readonly name: string;
  readonly line: number;
  /** `breaks`: the version before, which is still at work. `stalls`: commands, for as long as a large table takes. `form`: our own rules. */
  readonly kind: 'breaks' | 'stalls' | 'form';
  readonly reason: string;
}

type Objection = Pick<Finding, 'kind' | 'reason'>;
type Objections = readonly Objection[];

/** What the migration itself has made so far: nobody is at work there. */
interface Made {
  readonly tables: ReadonlySet<string>;
  readonly indexes: ReadonlySet<string>;
}

/** Written before there was a version that they could have disturbed. */
const LAST_UNCHECKED = 4;
/** `-- contract: unused since 0.3.0` says from which version on nobody needs what goes. */
const UNUSED_SINCE = /^-- contract: unused since (\d+\.\d+\.\d+)\b/mu;
/** Functions that give every row the same value: PostgreSQL adds such a column without touching a row. */
const STABLE = new Set(['now', 'statement_timestamp', 'transaction_timestamp']);

const breaks = (reason: string): Objection => ({ kind: 'breaks', reason });
const stalls = (reason: string): Objection => ({ kind: 'stalls', reason });
const form = (reason: string): Objection => ({ kind: 'form', reason });

/** What may be done to a table that is in use. Whatever is missing is refused: nobody has thought about it yet. */
const COMMANDS: Readonly<
  Partial<Record<NonNullable<AlterTableCmd['subtype']>, (command: AlterTableCmd) => Objections>>
> = {
  AT_AddColumn: ({ def }) => (def !== undefined && 'ColumnDef' in def ? judgeColumn(def.ColumnDef) : []),
  AT_ColumnDefault: ({ def }) => (def === undefined ? [breaks('takes a default away')] : []),
  AT_DropNotNull: () => [],
  AT_SetStatistics: () => [],
  AT_SetRelOptions: () => [],
  AT_ResetRelOptions: () => [],
  AT_ValidateConstraint: () => [],
  AT_AddConstraint: ({ def }) =>
    def !== undefined && 'Constraint' in def ? judgeConstraint(def.Constraint) : [breaks('adds a constraint')],
  AT_DropConstraint: () => [breaks('drops a constraint, by which ON CONFLICT of others may go')],
  AT_DropColumn: () => [breaks('drops a column')],
  AT_SetNotNull: () => [
    breaks('forbids null'),
    stalls('SET NOT NULL reads the whole table under an exclusive lock: ADD CHECK (…) NOT VALID, then VALIDATE'),
  ],
  AT_AlterColumnType: () => [
    breaks('changes the type of a column'),
    stalls('ALTER TYPE writes the whole table anew under an exclusive lock: add a column, fill it by steps'),
  ],
};

const STATEMENTS: Readonly<Record<string, (node: Node, made: Made) => Objections>> = {
  CreateStmt: () => [],
  CreateSeqStmt: () => [],
  CreateFunctionStmt: () => [],
  CreateTrigStmt: () => [],
  CommentStmt: () => [],
  AlterTableStmt: (node, made) => ('AlterTableStmt' in node ? judgeTable(node.AlterTableStmt, made) : []),
  IndexStmt: (node, made) => ('IndexStmt' in node ? judgeIndex(node.IndexStmt, made) : []),
  DropStmt: (node, made) => ('DropStmt' in node ? judgeDrop(node.DropStmt, made) : []),
  GrantStmt: (node, made) => ('GrantStmt' in node ? judgeGrant(node.GrantStmt, made) : []),
  RenameStmt: () => [breaks('renames what others call by its name')],
  InsertStmt: (node, made) => ('InsertStmt' in node ? judgeWrite(node.InsertStmt.relation?.relname, made) : []),
  UpdateStmt: (node, made) => ('UpdateStmt' in node ? judgeWrite(node.UpdateStmt.relation?.relname, made) : []),
  DeleteStmt: (node, made) => ('DeleteStmt' in node ? judgeWrite(node.DeleteStmt.relation?.relname, made) : []),
  VariableSetStmt: () => [form('changes a setting: the lock_timeout of all migrations is set by `genesis migrate`')],
};

/** Small, and not written by commands: a statement over all their rows is over at once. */
const SMALL = new Set(['genesis_settings', 'relay_shards', 'relay_members']);

function judgeTable({ relation, cmds = [] }: AlterTableStmt, { tables }: Made): Objections {
  if (tables.has(relation?.relname ?? '')) return [];
  return cmds.flatMap((node) => {
    if (!('AlterTableCmd' in node)) return [];
    const { subtype } = node.AlterTableCmd;
    const judge = subtype === undefined ? undefined : COMMANDS[subtype];
    return (
      judge?.(node.AlterTableCmd) ?? [form(`${subtype} on a table in use: checks/migrations.ts knows no rule for it`)]
    );
  });
}

function judgeColumn({ constraints = [] }: ColumnDef): Objections {
  const all = constraints.flatMap((node) => ('Constraint' in node ? [node.Constraint] : []));
  const has = (type: Constraint['contype']): boolean => all.some(({ contype }) => contype === type);
  const value = all.find(({ contype }) => contype === 'CONSTR_DEFAULT')?.raw_expr;
  return [
    ...(has('CONSTR_NOTNULL') && value === undefined
      ? [breaks('a column NOT NULL without a default: the version before does not fill it')]
      : []),
    ...(value !== undefined && !isSameForAll(value)
      ? [stalls('a default that is another for each row writes the whole table anew under an exclusive lock')]
      : []),
    ...(all.some(
      ({ contype }) => contype !== 'CONSTR_NOTNULL' && contype !== 'CONSTR_DEFAULT' && contype !== 'CONSTR_NULL',
    )
      ? [
          stalls(
            'a constraint of a new column is checked for every row under an exclusive lock: add it by itself, NOT VALID',
          ),
        ]
      : []),
  ];
}

function judgeConstraint({ contype, indexname, skip_validation }: Constraint): Objections {
  const narrower = breaks('a constraint that the version before may not keep');
  if (indexname !== undefined || skip_validation === true) return [narrower];
  return contype === 'CONSTR_UNIQUE' || contype === 'CONSTR_PRIMARY'
    ? [
        narrower,
        stalls(
          'builds an index under an exclusive lock: CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT … USING INDEX',
        ),
      ]
    : [
        narrower,
        stalls(
          'reads the whole table under an exclusive lock: NOT VALID, then VALIDATE CONSTRAINT in a migration of its own',
        ),
      ];
}

function judgeIndex({ relation, unique, concurrent }: IndexStmt, { tables }: Made): Objections {
  if (tables.has(relation?.relname ?? '')) return [];
  return [
    ...(unique === true ? [breaks('a unique index that the version before may not keep')] : []),
    ...(concurrent === true
      ? []
      : [
          stalls(
            'keeps everybody from writing while it is built: CREATE INDEX CONCURRENTLY, in a file that says `-- no transaction`',
          ),
        ]),
  ];
}

/** An index that is made again right after may have been left unfinished by a run that broke off. */
function judgeDrop({ objects = [], removeType, concurrent, missing_ok }: DropStmt, { indexes }: Made): Objections {
  const names = objects.map((node) => ('List' in node ? JSON.stringify(node.List.items?.at(-1)) : ''));
  const own = [...indexes].map((name) => JSON.stringify({ String: { sval: name } }));
  const again = removeType === 'OBJECT_INDEX' && concurrent === true && missing_ok === true;
  return again && names.every((name) => own.includes(name)) ? [] : [breaks('drops what others may need')];
}

function judgeGrant({ is_grant, objects = [] }: GrantStmt, { tables }: Made): Objections {
  const others = objects.some((node) => !('RangeVar' in node) || !tables.has(node.RangeVar.relname ?? ''));
  return is_grant === true || !others ? [] : [breaks('takes rights away')];
}

function judgeWrite(table: string | undefined, { tables }: Made): Objections {
  if (table !== undefined && (tables.has(table) || SMALL.has(table))) return [];
  return [
    stalls(`keeps rows of ${table} locked until it has gone through all of them: do it in steps, by the program`),
  ];
}

function isSameForAll(value: Node): boolean {
  if ('A_Const' in value || 'SQLValueFunction' in value) return true;
  if ('TypeCast' in value) return value.TypeCast.arg !== undefined && isSameForAll(value.TypeCast.arg);
  if (!('FuncCall' in value)) return false;
  const [name] = (value.FuncCall.funcname ?? []).slice(-1);
  return name !== undefined && 'String' in name && STABLE.has(name.String.sval ?? '');
}

function madeBy(statements: readonly Node[]): Made {
  const tables = statements.flatMap((node) => ('CreateStmt' in node ? [node.CreateStmt.relation?.relname ?? ''] : []));
  const indexes = statements.flatMap((node) => ('IndexStmt' in node ? [node.IndexStmt.idxname ?? ''] : []));
  return { tables: new Set(tables), indexes: new Set(indexes) };
}

/**
 * What keeps a migration from being applied while the version before is at work, under load.
 *
 * @param current Version of the program that it will ship with, as in package.json.
 * @throws SqlError when PostgreSQL's parser does not take the text
 */
export async function judgeMigration(name: string, text: string, current: string): Promise<readonly Finding[]> {
  await loadModule();
  const parsed = (parseSync(text).stmts ?? []).flatMap(({ stmt, stmt_location = 0 }) =>
    stmt === undefined ? [] : [{ node: stmt, line: lineOf(text, stmt_location) }],
  );
  const made = madeBy(parsed.map(({ node }) => node));
  const contract = isContract(name);
  const statements = parsed.flatMap(({ node, line }) => {
    const [type = ''] = Object.keys(node);
    const judge = STATEMENTS[type];
    const objections = judge?.(node, made) ?? [form(`${type}: checks/migrations.ts knows no rule for it`)];
    return objections
      .filter(({ kind }) => !(contract && kind === 'breaks'))
      .map((objection) => ({ name, line, ...objection }));
  });
  const whole = [
    ...judgeMark(contract, text, current),
    ...judgeSteps(
      text,
      parsed.map(({ node }) => node),
    ),
  ];
  return [...statements, ...whole.map((objection) => ({ name, line: 1, ...objection }))];
}

function judgeMark(contract: boolean, text: string, current: string): Objections {
  const since = UNUSED_SINCE.exec(text)?.[1];
  if (!contract) return since === undefined ? [] : [form('says what is unused, but is not called NNNN_contract_….sql')];
  if (since === undefined)
    return [form('does not say since which version nobody needs what goes: `-- contract: unused since 0.3.0`')];
  return isBefore(since, current)
    ? []
    : [form(`unused since ${since}, and ships with ${current}: the version before still uses it; wait for one more`)];
}

function judgeSteps(text: string, nodes: readonly Node[]): Objections {
  const { transaction, statements: steps } = stepsOf(text);
  if (transaction)
    return /\bCONCURRENTLY\b/u.test(text.replaceAll(/--.*$/gmu, ''))
      ? [form('CONCURRENTLY works outside of a transaction: say `-- no transaction`')]
      : [];
  const divided =
    steps.length === nodes.length
      ? []
      : [
          form(
            `${nodes.length} statements, of which ${steps.length} would be run: end each with a semicolon at the end of its line, and nothing else so`,
          ),
        ];
  return nodes.every((node, at) => canBeRepeated(node, nodes[at - 1])) ? divided : [...divided, form(NOT_REPEATABLE)];
}

const NOT_REPEATABLE =
  'a run that broke off would not be made whole by the next: without a transaction there may only be pairs of ' +
  'DROP INDEX CONCURRENTLY IF EXISTS x; CREATE INDEX CONCURRENTLY x …; of one name, without IF NOT EXISTS';

/** An index that was left unfinished is there, and invalid: it must go before it is made. */
function canBeRepeated(node: Node, before: Node | undefined): boolean {
  if (droppedIndex(node) !== null) return true;
  if (!('IndexStmt' in node)) return false;
  const { idxname, concurrent, if_not_exists } = node.IndexStmt;
  const whole = concurrent === true && if_not_exists !== true && idxname !== undefined;
  return whole && before !== undefined && droppedIndex(before) === idxname;
}

/** The only index that a DROP INDEX CONCURRENTLY IF EXISTS names; null: it is none, or names more. */
function droppedIndex(node: Node): string | null {
  if (!('DropStmt' in node)) return null;
  const { objects = [], removeType, concurrent, missing_ok } = node.DropStmt;
  if (removeType !== 'OBJECT_INDEX' || concurrent !== true || missing_ok !== true || objects.length !== 1) return null;
  const [name] = objects.flatMap((object) => ('List' in object ? (object.List.items ?? []).slice(-1) : []));
  return name !== undefined && 'String' in name ? (name.String.sval ?? null) : null;
}

function isBefore(version: string, other: string): boolean {
  const [left, right] = [version, other].map((text) => text.split('.').map(Number));
  const at = left?.findIndex((part, index) => part !== right?.[index]) ?? -1;
  return at >= 0 && (left?.[at] ?? 0) < (right?.[at] ?? 0);
}

/** Of the first character that is neither space nor comment. */
function lineOf(text: string, offset: number): number {
  const skipped = /^(?:\s|--[^\n]*)*/u.exec(text.slice(offset))?.[0].length ?? 0;
  return text.slice(0, offset + skipped).split('\n').length;
}

/** All migrations in a folder but those of before the first version. */
export async function judgeMigrations(
  folder: URL,
  current: string,
): Promise<{ readonly judged: number; readonly findings: readonly Finding[] }> {
  const migrations = (await readMigrations(folder)).filter(({ name }) => Number(name.slice(0, 4)) > LAST_UNCHECKED);
  const findings: Finding[] = [];
  for (const { name, text } of migrations) findings.push(...(await judgeMigration(name, text, current)));
  return { judged: migrations.length, findings };
}

if (import.meta.main) {
  const root = join(import.meta.dirname, '..');
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { readonly version: string };
  const { judged, findings } = await judgeMigrations(pathToFileURL(join(root, 'migrations/')), version);
  for (const { name, line, kind, reason } of findings) console.error(`migrations/${name}:${line}: ${kind}: ${reason}`);
  console.log(`migrations: ${judged} judged, ${findings.length} findings (docs/operations/upgrade.md)`);
  if (findings.length > 0) process.exitCode = 1;
}
