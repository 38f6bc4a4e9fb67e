// Every statement of the service is asked here once, so that each one's columns are held against what it declares.
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import ts from 'typescript';
import { afterAll, beforeAll, expect, it } from 'vitest';

import type { Columns, RowOf } from '../../src/database/columns.js';
import { openDatabase, type Ask, type Database } from '../../src/database/prisma.js';
import { createDemo } from '../../src/process/demo.js';
import { addClient, removeClient } from '../../src/domain/clients.js';
import { createGatehouse, type Gatehouse } from '../../src/domain/gatehouse.js';
import { pruneAttempts } from '../../src/domain/guessing/attempts.js';
import { listKeys } from '../../src/domain/keys/keys.js';
import { pruneKeys, reencryptKeys, retireKey, rotateKeys } from '../../src/domain/keys/lifecycle.js';
import { createPasswordHasher } from '../../src/domain/passwords/hasher.js';
import { listRevocations, prune } from '../../src/domain/sessions/revocations.js';
import { askedOf, isStanding } from '../../src/domain/sessions/standing.js';
import { addUser, changePassword, disableUser, enableUser, findUser } from '../../src/domain/users/users.js';
import { createTokenCodec } from '../../src/http/jwt.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { AMPLE_MS, claimsOf, DEFAULTS, SECRET } from '../support/house.js';

const SOURCES = new URL('../../src/', import.meta.url).pathname;
const DEVICE = { ip: '192.0.2.1', userAgent: null };
const NEW_PASSWORD = 'seven lanterns above a quiet harbour';

/** Lower than what the second hasher makes, so that a login hashes anew. */
const WEAK = { memoryKib: 8, passes: 1, lanes: 1 };
const LESS_WEAK = { memoryKib: 16, passes: 1, lanes: 1 };

let server: TestDatabase;
let real: Database;
let directory: string;
const weak = createPasswordHasher({ parameters: WEAK, maxWaitMs: AMPLE_MS });
const hasher = createPasswordHasher({ parameters: LESS_WEAK, maxWaitMs: AMPLE_MS });

beforeAll(async () => {
  server = await createTestDatabase();
  real = openDatabase(server.url, { deadlineMs: AMPLE_MS });
  directory = await mkdtemp(join(tmpdir(), 'gatehouse-statements-'));
});
afterAll(async () => {
  await Promise.all([real.close(), weak.close(), hasher.close(), rm(directory, { recursive: true })]);
  await server.drop();
});

/** The templates of a file that are no fragments, each as its text with a `?` for what is put in. */
function templatesIn(file: string, text: string): string[] {
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isTaggedTemplateExpression(node) && !/^sql$/.test(node.tag.getText()))
      found.push(textOf(node.template));
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, text, ts.ScriptTarget.ES2022, true));
  return found;
}

function textOf(template: ts.TemplateLiteral): string {
  if (ts.isNoSubstitutionTemplateLiteral(template)) return template.text;
  return [template.head.text, ...template.templateSpans.map(({ literal }) => literal.text)].join('?');
}

async function readStatements(): Promise<string[]> {
  const files = await readdir(SOURCES, { recursive: true });
  const ours = files.filter((file) => /^(?:domain\/.*|process\/demo)\.ts$/.test(file));
  const texts = await Promise.all(
    ours.map(async (file) => templatesIn(file, await readFile(SOURCES + file, 'utf8'))),
  );
  return texts.flat();
}

/** The same database, which notes the templates that it has answered. */
function note(database: Database, asked: Set<string>): Database {
  const noting =
    <Row>(ask: Ask<Row>): Ask<Row> =>
    async (template, ...values) => {
      const rows = await ask(template, ...values);
      asked.add(template.join('?'));
      return rows;
    };
  return {
    ...database,
    query: <const C extends Columns>(columns: C): Ask<RowOf<C>> => noting(database.query(columns)),
    prepared: <const C extends Columns>(name: string, columns: C): Ask<RowOf<C>> =>
      noting(database.prepared(name, columns)),
  };
}

async function openGatehouse(database: Database): Promise<Gatehouse> {
  return await createGatehouse({
    database,
    hasher,
    createCodec: createTokenCodec,
    rules: DEFAULTS,
    jwtAlgorithm: 'EdDSA',
    secrets: [SECRET],
  });
}

/** What people and resource servers ask for. */
async function useSessions(database: Database, gatehouse: Gatehouse): Promise<void> {
  const username = 'alice';
  const password = 'password of alice';
  await addUser(database, { username, passwordHash: await weak.hash(password), scope: '' });
  const pair = await gatehouse.login({ username, password }, DEVICE);
  const claims = claimsOf(pair.accessToken);
  const { token, live } = await gatehouse.judge(pair.accessToken);
  expect(live).not.toBeNull();
  expect(await isStanding(database, askedOf(claims))).toBe(true);
  expect(await gatehouse.listSessions(claims)).toHaveLength(1);
  await gatehouse.refresh(pair.refreshToken);
  expect(
    await gatehouse.changePassword(claims, { current: password, next: NEW_PASSWORD }, DEVICE.ip, () => true),
  ).toBeNull();
  expect(await gatehouse.logoutAll(claims, { exceptCurrent: true })).toBe(0);
  await gatehouse.revoke(token, { id: 'orders', permissions: ['revoke'] });
  await gatehouse.logout(pair.accessToken, 'access');
}

/** What operators and housekeeping ask for. */
async function operate(database: Database): Promise<void> {
  await addClient(database, 'orders', ['introspect']);
  await removeClient(database, 'orders');
  await changePassword(database, 'alice', await hasher.hash('another'));
  await disableUser(database, 'alice');
  await enableUser(database, 'alice');
  expect(await findUser(database, 'alice')).toMatchObject({ username: 'alice', disabledAt: null });
  await rotateKeys(database, 'EdDSA', SECRET);
  const signing = (await listKeys(database)).find(({ state }) => state === 'signing');
  await retireKey(database, signing?.kid ?? '', 'EdDSA', SECRET);
  await reencryptKeys(database, SECRET, SECRET);
  expect(await listRevocations(database, 10)).not.toEqual([]);
  await prune(database, { waitTurn: true });
  await pruneAttempts(database);
  await pruneKeys(database);
}

it('every statement brings the columns that it declares', async () => {
  const asked = new Set<string>();
  const database = note(real, asked);
  const gatehouse = await openGatehouse(database);
  expect(await createDemo(database, hasher, directory)).toBe(true);
  await useSessions(database, gatehouse);
  await operate(database);

  const statements = await readStatements();
  expect(statements.length).toBeGreaterThan(25);
  expect(statements.filter((text) => !asked.has(text))).toEqual([]);
});

it.each([
  ['a type', 'ALTER TABLE sessions ALTER COLUMN generation TYPE bigint', 'generation 20'],
  ['an alias', 'ALTER TABLE users RENAME COLUMN username TO name', null],
])('%s that changes in the schema is found', async (_what, change, brought) => {
  const own = await createTestDatabase();
  const database = openDatabase(own.url, { deadlineMs: AMPLE_MS });
  try {
    const gatehouse = await openGatehouse(database);
    const password = 'password of bob';
    await addUser(database, { username: 'bob', passwordHash: await hasher.hash(password), scope: '' });
    await own.admin.query(change);
    const logIn = gatehouse.login({ username: 'bob', password }, DEVICE);
    await expect(logIn).rejects.toThrow(brought ?? /./);
  } finally {
    await database.close();
    await own.drop();
  }
});
