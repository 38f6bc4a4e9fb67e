// What is missing when a statement fails, as metrics and the log name it.
import pg from 'pg';
import { expect, it } from 'vitest';

import { describe, lackOf, type DatabaseLack } from '../../../src/database/failure.js';
import { OVERTAKEN } from '../../../src/database/fence.js';
import { FOREIGN, STANDBY } from '../../../src/database/verify-connection.js';

const SECRET = 'hush';

function fromServer(code: string): Error {
  return Object.assign(new pg.DatabaseError(SECRET, 0, 'error'), { code });
}

it.each<[what: string, error: Error, lack: DatabaseLack, words: RegExp]>([
  [
    'nobody listens',
    Object.assign(new Error(SECRET), { code: 'ECONNREFUSED' }),
    'database_unreachable',
    /^ECONNREFUSED$/,
  ],
  ['the server shuts down', fromServer('57P01'), 'database_unreachable', /^57P01$/],
  ['an error that nobody foresaw', new Error(SECRET), 'database_unreachable', /nobody foresaw/],
  [
    'no connection comes in time',
    new Error('timeout exceeded when trying to connect'),
    'database_unreachable',
    /timeout/,
  ],
  ['the driver waits too long', new Error('Query read timeout'), 'database_slow', /^Query read timeout$/],
  ['PostgreSQL gives up on a statement', fromServer('57014'), 'database_slow', /^57014$/],
  ['PostgreSQL gives up on a lock', fromServer('55P03'), 'database_slow', /^55P03$/],
  ['the disk is full', fromServer('53100'), 'disk_full', /make room/],
  ['the database is read-only', fromServer('25006'), 'read_only', /default_transaction_read_only/],
  ['the memory is full', fromServer('53200'), 'database_unreachable', /out of memory/],
  ['there are too many connections', fromServer('53300'), 'database_connections', /max_connections/],
  [
    'the disk is full, as Prisma tells it',
    Object.assign(new Error(SECRET), { meta: { code: '53100' } }),
    'disk_full',
    /make room/,
  ],
  ['the server is a standby', new Error(STANDBY), 'wrong_database', /standby/],
  ['the primary was replaced', new Error(OVERTAKEN), 'wrong_database', /place/],
  ['the cluster is another one', new Error(FOREIGN), 'wrong_database', /another cluster/],
])('%s', (_what, error, lack, words) => {
  expect(lackOf(error)).toBe(lack);
  expect(describe(error)).toMatch(words);
  expect(describe(error)).not.toContain(SECRET);
});
