// A database in which nothing was ever migrated, as an operator makes it before the first start.
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';

import { onServer } from './database.js';

export interface EmptyDatabase {
  name: string;
  url: string;
  /** Runs one statement in it. */
  query: <Row extends pg.QueryResultRow>(sql: string) => Promise<Row[]>;
  drop: () => Promise<void>;
}

export async function createEmptyDatabase(): Promise<EmptyDatabase> {
  const name = `empty_${randomBytes(8).toString('hex')}`;
  await onServer(`CREATE DATABASE ${name}`);
  const url = new URL(inject('adminUrl'));
  url.pathname = name;
  return {
    name,
    url: url.href,
    query: async <Row extends pg.QueryResultRow>(sql: string) => {
      const client = new pg.Client({ connectionString: url.href });
      await client.connect();
      try {
        return (await client.query<Row>(sql)).rows;
      } finally {
        await client.end();
      }
    },
    drop: () => onServer(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`),
  };
}
