// What PostgreSQL does for a statement of the service: which statements are asked, and how many rows each reads of a table.
import type pg from 'pg';

import type { Columns, RowOf } from '../../src/database/columns.js';
import type { Ask, Database } from '../../src/database/prisma.js';
import { parametersOf, readStatement } from '../../src/database/sql.js';

export interface Asked {
  text: string;
  values: unknown[];
}

type Statements = Pick<Database, 'query' | 'prepared'>;

/** The same database, which writes down what it is asked. */
export function listen<D extends Statements>(database: D): D & { asked: Asked[] } {
  const asked: Asked[] = [];
  const listening =
    <Row>(ask: Ask<Row>): Ask<Row> =>
    (template, ...values) => {
      const statement = readStatement(template, values);
      asked.push({ text: statement.text, values: parametersOf(statement, values) });
      return ask(template, ...values);
    };
  return {
    ...database,
    asked,
    query: <const C extends Columns>(columns: C): Ask<RowOf<C>> => listening(database.query(columns)),
    prepared: <const C extends Columns>(name: string, columns: C): Ask<RowOf<C>> =>
      listening(database.prepared(name, columns)),
  };
}

/**
 * What `work` would ask first, which is not asked.
 *
 * @param given what it asks before that, so many statements, is asked of this database and answered
 */
export async function askNothing(
  work: (database: Database) => Promise<unknown>,
  given: { database: Database; statements: number } | null = null,
): Promise<Asked[]> {
  const stop = new Error('nothing is asked');
  const refuse = () => () => Promise.reject(stop);
  let left = given?.statements ?? 0;
  const answer = <Row>(ask: Ask<Row>): Ask<Row> => {
    return (template, ...values) => (left-- > 0 ? ask(template, ...values) : Promise.reject(stop));
  };
  const query: Database['query'] = (columns) => answer(given?.database.query(columns) ?? refuse());
  const prepared: Database['prepared'] = (name, columns) =>
    answer(given?.database.prepared(name, columns) ?? refuse());
  const database = listen<Database>({
    query,
    prepared,
    read: refuse(),
    isFenced: () => true,
    keepsSettings: refuse(),
    connections: () => ({ open: 0, idle: 0, waiting: 0 }),
    close: refuse(),
    writes: { areRefused: false },
    events: 'all',
  });
  await work(database).catch((error: unknown) => {
    if (error !== stop) throw error;
  });
  return database.asked.slice(given?.statements ?? 0);
}

interface Node {
  'Node Type': string;
  'Relation Name'?: string;
  'Actual Rows': number;
  'Actual Loops': number;
  'Rows Removed by Filter'?: number;
  'Rows Removed by Index Recheck'?: number;
  Plans?: Node[];
}

/** Of the scans of one table: their kinds, and how many rows they looked at. */
export interface Reading {
  kinds: string[];
  rows: number;
}

/** Runs a statement, takes it back, and says how it read a table. */
export async function explain(admin: pg.Pool, { text, values }: Asked, table: string): Promise<Reading> {
  const client = await admin.connect();
  try {
    await client.query('BEGIN');
    const { rows } = await client.query<{ 'QUERY PLAN': [{ Plan: Node }] }>(
      `EXPLAIN (ANALYZE, FORMAT JSON) ${text}`,
      values,
    );
    const plan = rows[0]?.['QUERY PLAN'][0].Plan;
    if (plan === undefined) throw new Error('PostgreSQL showed no plan');
    const scans = nodesIn(plan).filter(
      (node) => node['Relation Name'] === table && / Scan$/.test(node['Node Type']),
    );
    return {
      kinds: [...new Set(scans.map((node) => node['Node Type']))].sort(),
      rows: scans.reduce((all, node) => all + rowsOf(node), 0),
    };
  } finally {
    await client.query('ROLLBACK');
    client.release();
  }
}

function nodesIn(node: Node): Node[] {
  return [node, ...(node.Plans ?? []).flatMap(nodesIn)];
}

function rowsOf(node: Node): number {
  const removed = (node['Rows Removed by Filter'] ?? 0) + (node['Rows Removed by Index Recheck'] ?? 0);
  return (node['Actual Rows'] + removed) * node['Actual Loops'];
}
