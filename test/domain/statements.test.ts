// Every statement of the service is asked here once, so that each one's columns are held against what it declares.
import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import ts from 'typescript-api';
import { afterAll, beforeAll, expect, it } from 'vitest';

import type { Columns, RowOf } from '../../src/database/columns.js';
import { openDatabase, type Ask, type Database } from '../../src/database/prisma.js';
import { createDemo } from '../../src/process/demo.js';
import { addClient, removeClient } from '../../src/domain/clients.js';
import type { Gatehouse } from '../../src/domain/gatehouse.js';
import { createEventPruning } from '../../src/domain/events/kept.js';
import { createRefusals } from '../../src/domain/events/refusals.js';
import { pruneAttempts } from '../../src/domain/guessing/attempts.js';
import { listKeys } from '../../src/domain/keys/keys.js';
import { acceptCluster } from '../../src/domain/service/cluster.js';
import { beat } from '../../src/domain/liveness/beat.js';
import { takeCensus } from '../../src/domain/reports/census.js';
import { look } from '../../src/domain/liveness/lookout.js';
import { pruneKeys, reencryptKeys, rotateKeys } from '../../src/domain/keys/lifecycle.js';
import { resetKeys, retireKey } from '../../src/domain/keys/retirement.js';
import { followEvents } from '../../src/domain/operators/events.js';
import { createPasswordHasher } from '../../src/domain/passwords/hasher.js';
import { createThrottle } from '../../src/domain/guessing/throttle.js';
import { deleteUser, pruneDeletedUsers } from '../../src/domain/operators/deletion.js';
import { exportUser } from '../../src/domain/operators/export.js';
import { importUsers } from '../../src/domain/operators/import.js';
import { findCode, issueCode, pruneCodes, useCode } from '../../src/domain/passwords/codes.js';
import { doCommitsWait, findWriteHindrance } from '../../src/domain/service/readiness.js';
import { listRevocations, prune } from '../../src/domain/sessions/revocations.js';
import { isStanding } from '../../src/domain/sessions/standing.js';
import { askedOf } from '../../src/domain/tokens/asked.js';
import {
  addUser,
  changePassword,
  disableUser,
  enableUser,
  findUsersBeyondTokens,
} from '../../src/domain/users/users.js';
import { findUser, listUsers } from '../../src/domain/users/found.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { FOREIGN } from '../support/foreign-hashes.js';
import { AMPLE_MS, claimsOf, SECRET, openGatehouse } from '../support/house.js';
import { retryUnavailable } from '../support/retry.js';

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
  expect(await gatehouse.listSessions(askedOf(claims))).toHaveLength(1);
  await gatehouse.refresh(pair.refreshToken);
  if (live === null) throw new Error('the token is not live');
  await retryUnavailable(() => gatehouse.reauthenticate(live, password, DEVICE));
  const change = () =>
    retryUnavailable(() =>
      gatehouse.changePassword(
        { token, live },
        { current: password, next: NEW_PASSWORD },
        DEVICE,
        () => true,
      ),
    );
  const changed = await change();
  const [opened, repeated] = [changed, await change()].map((done) => ('pair' in done ? done.pair : null));
  expect(opened?.sessionId).toBe(repeated?.sessionId);
  expect(
    await gatehouse.logoutAll(askedOf(claimsOf(opened?.accessToken ?? '')), { exceptCurrent: true }),
  ).toMatchObject({
    sessions: 0,
  });
  await gatehouse.revoke(token, { id: 'orders', permissions: ['revoke'], audiences: [] });
  await gatehouse.logout(opened?.accessToken ?? '', 'access');
}

/** What backends ask for. */
async function useBackends(database: Database, { backends }: Gatehouse): Promise<void> {
  await addClient(database, { id: 'shop', permissions: ['sessions:open'] });
  const shop = { id: 'shop', permissions: ['sessions:open' as const], audiences: [] };
  const wanted = { externalId: 'customer-1', claims: {}, refreshes: true, ip: null, userAgent: null };
  const { sessionId } = await retryUnavailable(() => backends.openSession(shop, wanted));
  expect((await backends.changeSession(shop, sessionId, { scope: 'read' })).id).toBe(sessionId);
  expect(await backends.endSession(shop, sessionId)).toBe(true);
  expect(await backends.endAll(shop, 'customer-1')).toEqual({ sessions: 0, isMore: false });
}

/** What operators and housekeeping ask for. */
async function operate(database: Database): Promise<void> {
  await addClient(database, { id: 'orders', permissions: ['introspect'] });
  await removeClient(database, 'orders');
  await changePassword(database, 'alice', await hasher.hash('another'));
  await disableUser(database, 'alice');
  await enableUser(database, 'alice');
  expect(await findUsersBeyondTokens(database, { issuer: 'https://id.example', audience: 'all' })).toEqual(
    [],
  );
  const alice = await findUser(database, 'alice');
  expect(alice).toMatchObject({ username: 'alice', disabledAt: null });
  expect((await listUsers(database)).map(({ username }) => username)).toContain('alice');
  await rotateKeys(database, 'EdDSA', SECRET);
  const signing = (await listKeys(database)).find(({ state }) => state === 'signing');
  await retireKey(database, signing?.kid ?? '', 'EdDSA', SECRET);
  await reencryptKeys(database, SECRET, SECRET);
  await resetKeys(database, 'EdDSA', SECRET);
  expect(await listRevocations(database, 10)).not.toEqual([]);
  const carol = JSON.stringify({ username: 'carol', password_hash: FOREIGN['bcrypt $2b$'] });
  const names = { issuer: 'https://id.example', audience: 'all' };
  const { created } = await importUsers(database, [{ line: 1, text: carol }], 'cli:test', names);
  expect(created).toBe(1);
  const bob = await addUser(database, { username: 'bob', passwordHash: null, scope: '' });
  await deleteUser(database, bob?.id ?? '', 'client:console');
  expect(await pruneDeletedUsers(database)).toBe(1);
  expect((await exportUser(database, alice?.id ?? '', null))?.next).toBeNull();
  await createThrottle(database).unlock('alice', { userId: alice?.id ?? '', by: 'cli:test' });
  const { code } = await issueCode(database, alice?.id ?? '', undefined, 'cli:test');
  expect(await findCode(database, code)).toMatchObject({ username: 'alice' });
  expect(await useCode(database, code, { id: alice?.id ?? '', username: 'alice', passwordHash: '' })).toBe(
    true,
  );
  expect(await pruneCodes(database)).toBe(0);
  await beat(database, 30);
  await look(database);
  await takeCensus(database);
  expect(await doCommitsWait(database)).toBe(false);
  await acceptCluster(database);
  await prune(database, { waitTurn: true });
  await pruneAttempts(database);
  await pruneKeys(database);
  await createEventPruning(database, 86_400)();
  const refusals = createRefusals(database);
  const refused = { outcome: 'invalid_client', limit: null, door: 'clients', client: null } as const;
  refusals?.count({ ...refused, address: DEVICE.ip });
  await refusals?.write();
  database.writes.areRefused = true;
  expect([await findWriteHindrance(database), database.writes]).toEqual([null, { areRefused: false }]);
}

/** What operators end, look up and take back. */
async function operateOverHttp({ operators }: Gatehouse): Promise<void> {
  const page = { limit: 1, after: null };
  const alice = await operators.findUsers({ username: 'alice', isDisabled: false, ofClient: null }, page);
  const { id: aliceId } = alice.rows[0] ?? { id: '' };
  expect((await operators.changeUser(aliceId, { scope: 'read' }, 'client:console')).scope).toBe('read');
  const anything = { userId: null, since: null, until: null };
  const ofSessions = { ...anything, networks: null };
  const ofRevocations = { ...anything, sessionId: null, endingId: null, actor: null };
  const { rows: sessions } = await operators.findSessions(ofSessions, page);
  const { id, userId } = sessions[0] ?? { id: '', userId: '' };
  expect((await operators.findSession(id)).userId).toBe(userId);
  expect((await operators.findSessions({ ...ofSessions, userId }, page)).rows).toEqual(sessions);
  const order = { actor: 'client:console', reason: 'leak', note: null, maxSessions: null, isDryRun: false };
  const times = { since: new Date(0), until: new Date('2999-01-01') };
  const ways = [
    { sessionIds: [id] },
    { lineage: randomUUID() },
    { networks: ['192.0.2.0/24'], ...times },
    { clientId: 'shop', ...times },
    { userIds: [userId] },
    { openedBefore: new Date(0) },
    { openedBefore: null },
  ];
  const endings = [];
  for (const way of ways) endings.push(await operators.end(way, order));
  const endingId = endings[1]?.endingId ?? '';
  const { rows: revocations } = await operators.findRevocations({ ...ofRevocations, endingId }, page);
  const row = revocations[0]?.id ?? '';
  expect((await operators.findRevocation(row)).endingId).toBe(endingId);
  expect((await operators.findRevocations({ ...ofRevocations, sessionId: id }, page)).rows).toHaveLength(1);
  expect(await operators.liftRevocation(row, 'client:console', null)).toEqual({ isRestored: true });
}

/** What operators do with clients. */
async function operateClients(database: Database, { operators }: Gatehouse): Promise<void> {
  await addClient(database, { id: 'console', permissions: ['clients:write', 'revoke'] });
  const { id } = await operators.addClient(
    { id: 'billing', permissions: ['revoke'], audiences: [] },
    'client:console',
  );
  expect((await operators.changeClient(id, { permissions: [] }, 'client:console')).permissions).toEqual([]);
  const { id: secretId } = await operators.addSecret(id, 'client:console');
  expect((await operators.findClient(id)).secrets).toHaveLength(2);
  await operators.removeSecret(id, secretId, 'client:console');
  expect((await operators.findClients({ limit: 1, after: null })).rows).toHaveLength(1);
  await operators.removeClient(id, 'client:console');
}

/** What operators look up of all that. */
async function lookUpEvents(database: Database, { operators }: Gatehouse): Promise<void> {
  const anything = { userId: null, actor: null, type: null, since: null, until: null };
  expect((await operators.findEvents(anything, { limit: 1, after: null })).rows).toHaveLength(1);
  expect(await followEvents(database)()).toEqual([]);
}

/** What operators do with keys. */
async function operateKeys({ operators }: Gatehouse): Promise<void> {
  const { kid } = await operators.rotateKeys('client:console');
  expect((await operators.rotateKeys('client:console')).kid).toBe(kid);
  expect((await operators.retireKey(kid, 'client:console')).retired.kid).toBe(kid);
}

it('every statement brings the columns that it declares', async () => {
  const asked = new Set<string>();
  const database = note(real, asked);
  const gatehouse = await openGatehouse(database, hasher);
  expect(await createDemo(database, hasher, directory)).toBe(true);
  await useSessions(database, gatehouse);
  await useBackends(database, gatehouse);
  await operateOverHttp(gatehouse);
  await operateClients(database, gatehouse);
  await operateKeys(gatehouse);
  await lookUpEvents(database, gatehouse);
  await expect(gatehouse.login({ username: 'nobody', password: 'x' }, DEVICE)).rejects.toThrow();
  await operate(database);

  const statements = await readStatements();
  expect(statements.length).toBeGreaterThan(25);
  expect(statements.filter((text) => !asked.has(text))).toEqual([]);
});

/** Notes, when a commit that wrote to a table begins, whether it waits until it is durable. */
async function noteCommits({ admin }: TestDatabase): Promise<void> {
  const { rows } = await admin.query<{ relation: string }>(
    `SELECT tablename AS relation FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE '\\_%'`,
  );
  await admin.query(`
    CREATE SCHEMA noted;
    CREATE TABLE noted.commits (relation text, setting text);
    CREATE FUNCTION noted.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      INSERT INTO noted.commits VALUES (TG_TABLE_NAME, current_setting('synchronous_commit'));
      RETURN NULL;
    END $$`);
  for (const { relation } of rows) {
    await admin.query(
      `CREATE CONSTRAINT TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON ${relation} DEFERRABLE INITIALLY DEFERRED
       FOR EACH ROW EXECUTE FUNCTION noted.note()`,
    );
  }
}

async function readCommits({ admin }: TestDatabase): Promise<Record<string, string[]>> {
  const { rows } = await admin.query<{ relation: string; settings: string[] }>(
    'SELECT relation, array_agg(DISTINCT setting) AS settings FROM noted.commits GROUP BY relation',
  );
  return Object.fromEntries(rows.map(({ relation, settings }) => [relation, settings]));
}

it('every commit waits until it is durable, but for those that count guesses', async () => {
  const own = await createTestDatabase();
  const database = openDatabase(own.url, { deadlineMs: AMPLE_MS });
  try {
    await own.admin.query('DROP TRIGGER clock_is_moved ON beat');
    await noteCommits(own);
    const gatehouse = await openGatehouse(database, hasher);
    await useSessions(database, gatehouse);
    const { login_attempts: guesses, ...others } = await readCommits(own);
    expect(guesses).toEqual(['off']);
    await useBackends(database, gatehouse);
    await operateOverHttp(gatehouse);
    await operateClients(database, gatehouse);
    await operateKeys(gatehouse);
    await operate(database);
    const { login_attempts: _pruned, ...all } = await readCommits(own);
    expect(Object.keys(others).sort()).toEqual([
      'events',
      'revocations',
      'service',
      'sessions',
      'signing_keys',
      'users',
    ]);
    expect(Object.keys(all).sort()).toEqual([
      'beat',
      'client_ids',
      'client_secrets',
      'clients',
      'events',
      'password_codes',
      'revocations',
      'service',
      'sessions',
      'signing_keys',
      'users',
    ]);
    expect(new Set(Object.values(all).flat())).toEqual(new Set(['on']));
  } finally {
    await database.close();
    await own.drop();
  }
});

it.each([
  ['a type', 'ALTER TABLE sessions ALTER COLUMN generation TYPE bigint', 'generation 20'],
  ['an alias', 'ALTER TABLE users RENAME COLUMN username TO name', null],
])('%s that changes in the schema is found', async (_what, change, brought) => {
  const own = await createTestDatabase();
  const database = openDatabase(own.url, { deadlineMs: AMPLE_MS });
  try {
    const gatehouse = await openGatehouse(database, hasher);
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
