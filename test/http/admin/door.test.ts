// Who may come in at /admin: every route against every permission, and everything that a client can be wrong in.
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { FastifyInstance, HTTPMethods } from 'fastify';

import { addClient, PERMISSIONS, removeClient, type Permission } from '../../../src/domain/clients.js';
import { CLIENT_CHALLENGE } from '../../support/answers.js';
import { basic, bearer, login, openHouse } from '../../support/house.js';
import type { House, Replica, TestClient } from '../../support/house.js';
import { connectRaw } from '../../support/raw-socket.js';

const NOBODY = '019b1c2d-3e4f-7a5b-8c6d-7e8f9a0b1c2d';

interface Row {
  needs: Permission;
  /** What is answered to a client that may. */
  status: number;
  url?: string;
  payload?: object | string;
  type?: string;
}

/** Every route of /admin as the document has it; a new one without a row here fails. */
const ROUTES: Record<string, Row> = {
  'GET /admin/users': { needs: 'users:read', status: 200 },
  'GET /admin/users/{id}': { needs: 'users:read', status: 404, url: `/admin/users/${NOBODY}` },
  'POST /admin/users': {
    needs: 'users:write',
    status: 409,
    payload: { username: 'taken', generate_password: true },
  },
  'POST /admin/users/import': {
    needs: 'users:write',
    status: 200,
    payload: '{}',
    type: 'application/x-ndjson',
  },
  'PATCH /admin/users/{id}': {
    needs: 'users:write',
    status: 404,
    url: `/admin/users/${NOBODY}`,
    payload: { scope: 'a' },
  },
  'DELETE /admin/users/{id}': { needs: 'users:write', status: 204, url: `/admin/users/${NOBODY}` },
  'POST /admin/users/{id}/unlock': {
    needs: 'users:write',
    status: 404,
    url: `/admin/users/${NOBODY}/unlock`,
  },
  'POST /admin/users/{id}/password-reset': {
    needs: 'users:write',
    status: 404,
    url: `/admin/users/${NOBODY}/password-reset`,
  },
  'GET /admin/users/{id}/export': {
    needs: 'users:read',
    status: 404,
    url: `/admin/users/${NOBODY}/export`,
  },
  'GET /admin/sessions': { needs: 'sessions:read', status: 200 },
  'GET /admin/sessions/{id}': { needs: 'sessions:read', status: 404, url: `/admin/sessions/${NOBODY}` },
  'GET /admin/revocations': { needs: 'sessions:read', status: 200 },
  'GET /admin/revocations/{id}': { needs: 'sessions:read', status: 404, url: `/admin/revocations/${NOBODY}` },
  'POST /admin/revocations': { needs: 'sessions:end', status: 200, payload: { session_ids: [NOBODY] } },
  'POST /admin/revocations/{id}/lift': {
    needs: 'revocations:lift',
    status: 404,
    url: `/admin/revocations/${NOBODY}/lift`,
    payload: {},
  },
  'GET /admin/events': { needs: 'events:read', status: 200 },
  'GET /admin/keys': { needs: 'keys:read', status: 200 },
  'POST /admin/keys/rotate': { needs: 'keys:write', status: 200 },
  'POST /admin/keys/{kid}/retire': {
    needs: 'keys:write',
    status: 404,
    url: '/admin/keys/0123456789abcdef/retire',
  },
  'GET /admin/clients': { needs: 'clients:read', status: 200 },
  'GET /admin/clients/{id}': { needs: 'clients:read', status: 404, url: '/admin/clients/nobody' },
  // Each of these asks for one client, which is there.
  'POST /admin/clients': {
    needs: 'clients:write',
    status: 409,
    payload: { id: 'taken', permissions: [] },
  },
  'PATCH /admin/clients/{id}': {
    needs: 'clients:write',
    status: 404,
    url: '/admin/clients/nobody',
    payload: {},
  },
  'DELETE /admin/clients/{id}': { needs: 'clients:write', status: 204, url: '/admin/clients/nobody' },
  'POST /admin/clients/{id}/secrets': {
    needs: 'clients:write',
    status: 404,
    url: '/admin/clients/nobody/secrets',
  },
  'DELETE /admin/clients/{id}/secrets/{secretId}': {
    needs: 'clients:write',
    status: 204,
    url: `/admin/clients/nobody/secrets/${NOBODY}`,
  },
};

let house: House;
let replica: Replica;
let everything: TestClient;
let document: { paths: Record<string, Record<string, unknown>> };

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica();
  await house.user({ username: 'taken' });
  everything = await house.client([...PERMISSIONS]);
  await addClient(replica.database, { id: 'taken', permissions: [] });
  document = (await replica.app.inject({ url: '/openapi.json' })).json();
});
afterAll(() => house.close());

function call(name: string, headers: Record<string, string>) {
  const [method = '', path = ''] = name.split(' ');
  const { url = path, payload, type } = ROUTES[name] ?? {};
  const typed = type === undefined ? headers : { ...headers, 'content-type': type };
  return replica.app.inject({ method: method as 'GET', url, headers: typed, ...(payload && { payload }) });
}

it('has a row here for each route', () => {
  const routes = Object.entries(document.paths)
    .filter(([path]) => path.startsWith('/admin'))
    .flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`));
  expect(routes.sort()).toEqual(Object.keys(ROUTES).sort());
});

describe.each(Object.keys(ROUTES))('%s', (name) => {
  const { needs, status } = ROUTES[name] ?? { needs: 'introspect', status: 0 };

  it('is open to its permission', async () => {
    expect((await call(name, basic(await house.client([needs])))).statusCode).toBe(status);
    expect((await call(name, basic(everything))).statusCode).toBe(status);
  });

  it('is closed to every other one, and to none', async () => {
    const others = PERMISSIONS.filter((permission) => permission !== needs);
    const clients = [
      ...(await Promise.all(others.map((each) => house.client([each])))),
      await house.client(others),
    ];
    for (const client of [...clients, await house.client([])]) {
      const answer = await call(name, basic(client));
      expect([answer.statusCode, answer.json<{ error: string }>().error]).toEqual([
        403,
        'insufficient_scope',
      ]);
    }
  });

  it('is closed to a wrong secret, a client that was removed, a token, and nothing', async () => {
    const removed = await house.client([...PERMISSIONS]);
    expect((await call(name, basic(removed))).statusCode).toBe(status);
    await removeClient(replica.database, removed.id);
    const { access_token: token } = await login(replica, await house.user());
    const wrong = [
      basic({ ...everything, secret: `${everything.secret}x` }),
      basic(removed),
      bearer(token),
      {},
    ];
    for (const headers of wrong) {
      const answer = await call(name, headers);
      expect([answer.statusCode, answer.json<{ error: string }>().error]).toEqual([401, 'invalid_client']);
      expect(answer.headers['www-authenticate']).toBe(CLIENT_CHALLENGE);
    }
  });

  it('asks no browser for a password', async () => {
    const answer = await call(name, { accept: 'text/html,application/xhtml+xml;q=0.9' });
    expect(answer.statusCode).toBe(401);
    expect(answer.headers['www-authenticate']).not.toMatch(/basic/i);
  });

  it('changes nothing for a page of another origin, with any credentials', async () => {
    const isSafe = name.startsWith('GET');
    const foreign = [
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { origin: 'https://evil.example' },
      { origin: 'null' },
    ];
    for (const headers of foreign) {
      const answer = await call(name, { ...basic(everything), host: 'gatehouse.test', ...headers });
      expect([name, headers, answer.statusCode]).toEqual([name, headers, isSafe ? status : 403]);
      if (!isSafe) expect(answer.json<{ error: string }>().error).toBe('csrf_rejected');
    }
    const own = { 'sec-fetch-site': 'same-origin', origin: 'http://gatehouse.test', host: 'gatehouse.test' };
    expect((await call(name, { ...basic(everything), ...own })).statusCode).toBe(status);
  });
});

it('reads no body of a client that may not', async () => {
  const client = await house.client(['sessions:read']);
  const headers = { ...basic(client), 'content-type': 'application/json' };
  const answer = await replica.app.inject({
    method: 'POST',
    url: '/admin/revocations',
    headers,
    payload: '{',
  });
  expect(answer.statusCode).toBe(403);
});

it('lets a client do nothing that was removed while its body was on the way', async () => {
  const pair = await login(replica, await house.user());
  const client = await house.client(['sessions:end']);
  await replica.app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = replica.app.server.address() as AddressInfo;
  const body = JSON.stringify({ session_ids: [pair.session_id] });
  const judged = vi.spyOn(replica.gatehouse, 'judge');
  const head = `POST /admin/revocations HTTP/1.1\r\nhost: gatehouse.test\r\nauthorization: ${basic(client).authorization}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n`;
  const raw = connectRaw(port, head);
  await expect.poll(() => judged.mock.settledResults.some(({ type }) => type === 'fulfilled')).toBe(true);
  await removeClient(replica.database, client.id);
  raw.socket.write(body);
  await expect.poll(() => raw.received(), { timeout: 20_000 }).toContain('invalid_client');
  const headers = bearer(pair.access_token);
  expect((await replica.app.inject({ url: '/session', headers })).statusCode).toBe(200);
});

it('is not there where ADMIN is off', async () => {
  const quiet = await house.replica({ config: { admin: false } });
  for (const name of Object.keys(ROUTES)) {
    const [method = '', path = ''] = name.split(' ');
    const url = path.replaceAll(/\{\w+\}/g, NOBODY);
    const answer = await quiet.app.inject({
      method: method as HTTPMethods & 'GET',
      url,
      headers: basic(everything),
    });
    expect([name, answer.statusCode]).toEqual([name, 404]);
  }
  const { paths } = (await quiet.app.inject({ url: '/openapi.json' })).json<typeof document>();
  expect(Object.keys(paths).filter((path) => path.startsWith('/admin'))).toEqual([]);
});

describe('with ADMIN_ADDRESS', () => {
  const pathsOf = async (app: FastifyInstance) =>
    Object.keys((await app.inject({ url: '/openapi.json' })).json<typeof document>().paths);

  it('is all that is there, with its document', async () => {
    const { app } = await house.replica({ doors: { public: false, operators: true } });
    const paths = await pathsOf(app);
    expect(paths.length).toBeGreaterThan(10);
    expect(paths.filter((path) => !path.startsWith('/admin'))).toEqual([]);
    const { servers } = (await app.inject({ url: '/openapi.json' })).json<{ servers: unknown }>();
    expect(servers).toEqual([{ url: '/' }]);
    const users = await app.inject({ url: '/admin/users', headers: basic(everything) });
    expect(users.statusCode).toBe(200);
    for (const url of ['/', '/login', '/introspect', '/session', '/health', '/docs', '/account'])
      expect([url, (await app.inject({ url })).statusCode]).toEqual([url, 404]);
    expect((await app.inject({ url: '/admin/users' })).statusCode).toBe(401);
  });

  it('is not where everything else is', async () => {
    const { app } = await house.replica({ doors: { public: true, operators: false } });
    const paths = await pathsOf(app);
    expect(paths).toContain('/login');
    expect(paths.filter((path) => path.startsWith('/admin'))).toEqual([]);
    expect((await app.inject({ url: '/admin/users', headers: basic(everything) })).statusCode).toBe(404);
  });

  it('answers no preflight, whatever CORS_ORIGINS says', async () => {
    const config = { corsOrigins: ['https://app.example.com'] };
    const { app } = await house.replica({ config, doors: { public: false, operators: true } });
    const headers = { origin: 'https://app.example.com', 'access-control-request-method': 'GET' };
    const answer = await app.inject({ method: 'OPTIONS', url: '/admin/users', headers });
    expect(answer.statusCode).toBe(405);
    expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
  });
});
