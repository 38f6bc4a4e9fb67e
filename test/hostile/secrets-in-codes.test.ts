// No code that sets a password, and no piece of one, in logs, events, metrics, exports and the database, whatever is done with it.
import { createHash, randomBytes } from 'node:crypto';
import type { InjectOptions, LightMyRequestResponse } from 'fastify';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { createReplicaMetrics, type ReplicaMetrics } from '../../src/observability/replica-metrics.js';
import { inHouse } from '../support/command.js';
import { basic, bearer, openHouse, type House, type Replica, type TestClient } from '../support/house.js';
import { createSecretWatch } from '../support/secret-watch.js';

/** Of what is said: neither a code nor its hash may be heard. */
const said = createSecretWatch();

/** Of the database, which has the hashes. */
const kept = createSecretWatch();

let house: House;
let metrics: ReplicaMetrics;
let replica: Replica;
let operator: TestClient;
let codes = 0;
const statuses = new Set<number>();

beforeAll(async () => {
  house = await openHouse();
  const pool = { connections: () => ({ open: 0, idle: 0, waiting: 0 }) };
  metrics = createReplicaMetrics({ hasher: house.hasher, pools: { work: pool, liveness: pool } });
  replica = await house.replica({ logger: said.logger, meter: metrics.meter });
  operator = await house.client(['users:read', 'users:write', 'sessions:read', 'events:read']);
});
afterAll(async () => {
  metrics.stop();
  await house.close();
});

let lastAddress = 0;

/** From an address of its own, so that no limit hides what lies behind it. */
async function ask(request: InjectOptions): Promise<LightMyRequestResponse> {
  lastAddress += 1;
  const remoteAddress = `172.16.${lastAddress >> 8}.${lastAddress & 255}`;
  const response = await replica.app.inject({ remoteAddress, ...request });
  statuses.add(response.statusCode);
  return response;
}

function keep(code: string): string {
  expect(code).toMatch(/^[a-z2-7]{26}$/);
  const hash = createHash('sha256').update(code).digest();
  const hashes = (['hex', 'base64', 'base64url'] as const).map((encoding) => hash.toString(encoding));
  said.keep('code', code, code.toUpperCase(), ...hashes);
  kept.keep('code', code, code.toUpperCase(), Buffer.from(code).toString('hex'));
  codes += 1;
  return code;
}

function administer(method: 'GET' | 'POST', path: string, payload?: object): Promise<LightMyRequestResponse> {
  return ask({ method, url: `/admin/${path}`, headers: basic(operator), ...(payload && { payload }) });
}

async function makeCode(id: string): Promise<string> {
  return keep((await administer('POST', `users/${id}/password-reset`)).json<{ code: string }>().code);
}

function makePassword(): string {
  const password = randomBytes(18).toString('base64url');
  for (const watch of [said, kept]) watch.keep('new password', password);
  return password;
}

async function reset(code: string, password = makePassword()): Promise<number> {
  const payload = { code, new_password: password };
  return (await ask({ method: 'POST', url: '/password/reset', payload })).statusCode;
}

it('is used, used again, replaced, refused a weak password, and made from the command line', async () => {
  const { id, username } = await house.user();
  const first = await makeCode(id);
  expect(await reset(first, 'password')).toBe(400);
  const second = await makeCode(id);
  expect([await reset(first), await reset(second), await reset(second)]).toEqual([401, 204, 401]);
  const { stdout, stderr } = await inHouse(house, ['--json', 'users', 'reset', username]);
  const { code } = JSON.parse(stdout) as { code: string };
  said.hear(stdout.replace(keep(code), ''), stderr);
  expect(await reset(code)).toBe(204);
});

it('is sent where it does not belong', async () => {
  const { id, username } = await house.user();
  const code = await makeCode(id);
  const json = (url: string, payload: object): InjectOptions => ({ method: 'POST', url, payload });
  const requests: InjectOptions[] = [
    json('/login', { username: code, password: code }),
    json('/login', { username, password: code }),
    json('/refresh', { refresh_token: code }),
    json('/password/reset', { code, new_password: code, [code]: code }),
    json('/password/reset', { code: [code], new_password: {} }),
    json('/password/reset', { code: `${code} `, new_password: code }),
    json('/password/reset', { code: code.toUpperCase(), new_password: makePassword() }),
    json(`/password/reset?code=${code}`, { code }),
    json(`/password/reset/${code}`, {}),
    {
      method: 'POST',
      url: '/password/reset',
      headers: { 'content-type': 'application/json' },
      payload: code,
    },
    { url: `/password/reset?code=${code}` },
    { url: `/account?code=${code}` },
    { url: '/session', headers: { ...bearer(code), 'user-agent': 'a browser', 'x-request-id': code } },
    { url: `/admin/users/${code}`, headers: basic(operator) },
    { url: `/admin/users?username=${code}`, headers: basic(operator) },
    { url: `/admin/events?after=${code}`, headers: basic(operator) },
    { url: `/admin/users/${id}/export?after=${code}`, headers: basic(operator) },
    { url: '/admin/users', headers: basic({ id: operator.id, secret: code }) },
  ];
  for (const request of requests) expect((await ask(request)).statusCode).not.toBe(204);
  expect([...statuses].sort()).toEqual(expect.arrayContaining([200, 400, 401, 404]));
});

it('fails in the database, which repeats the row', async () => {
  const { admin } = house.database;
  const { id } = await house.user();
  const code = await makeCode(id);
  await admin.query(`
    CREATE FUNCTION quote_row() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      RAISE EXCEPTION 'no good: %', OLD::text USING DETAIL = OLD::text, HINT = OLD::text;
    END $$`);
  for (const table of ['password_codes', 'users']) {
    await admin.query(
      `CREATE TRIGGER quotes BEFORE UPDATE OR DELETE ON ${table} FOR EACH ROW EXECUTE FUNCTION quote_row()`,
    );
    expect(await reset(code)).toBeGreaterThanOrEqual(500);
    await admin.query(`DROP TRIGGER quotes ON ${table}`);
  }
  await admin.query('DROP FUNCTION quote_row');
  expect(await reset(code)).toBe(204);
  // Two that nobody has used: what is kept of them is looked for below.
  for (const { id: other } of [await house.user(), await house.user()]) await makeCode(other);
});

async function readEvents(): Promise<string[]> {
  const pages: string[] = [];
  for (let after = ''; ;) {
    const page = await administer('GET', `events?limit=200${after}`);
    pages.push(page.body);
    const { next } = page.json<{ next: string | null }>();
    if (next === null) return pages;
    after = `&after=${next}`;
  }
}

it('is in no event, export and metric, and none was logged', async () => {
  const events = await readEvents();
  expect(events.join('').match(/"type":"user\.code_issued"/g)).toHaveLength(codes);
  said.hear(...events, await metrics.registry.metrics());
  const { users } = (await administer('GET', 'users?limit=200')).json<{ users: { id: string }[] }>();
  const exports = await Promise.all(users.map(({ id }) => administer('GET', `users/${id}/export`)));
  expect(exports.filter(({ body }) => /"code_expires_at":"\d/.test(body))).toHaveLength(3);
  for (const { id } of users) said.hear((await inHouse(house, ['--json', 'users', 'export', id])).stdout);
  said.hear(...exports.map(({ body }) => body), ...users.map((user) => JSON.stringify(user)));
  expect(said.figures().lines).toBeGreaterThan(50);
  expect(said.findLeaks()).toEqual([]);
});

it('is in no row of any table', async () => {
  const { admin } = house.database;
  const { rows: tables } = await admin.query<{ name: string }>(
    `SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'`,
  );
  for (const { name } of tables) {
    const { rows } = await admin.query<{ text: string }>(
      `SELECT row_to_json(t)::text AS text FROM ${name} AS t`,
    );
    kept.hear(...rows.map(({ text }) => text));
    if (name === 'password_codes') expect(rows).toHaveLength(3);
  }
  expect(kept.findLeaks()).toEqual([]);
});
