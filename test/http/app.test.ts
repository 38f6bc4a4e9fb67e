// Every route stands behind the door that the contract names, and the doors are shut.
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { FastifyInstance, InjectOptions } from 'fastify';
import pino from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { buildApp } from '../../src/app.js';
import { CLIENT_CHALLENGE, forge, MARKER, PLAIN_CHALLENGE, TOKEN_CHALLENGE } from '../support/answers.js';
import {
  basic,
  bearer,
  DEFAULTS,
  login,
  openHouse,
  type House,
  type Replica,
  type TestClient,
  type TestUser,
  type TokenPair,
} from '../support/house.js';

/** Anyone; anyone but with a token that the route itself asks for; clients with a permission; users. */
type Door =
  | 'anyone'
  | 'holder'
  | 'introspect'
  | 'revoke'
  | 'sessions:open'
  | 'users'
  | 'users or sessions:open'
  | 'operators'
  | 'nobody';

/** What the contract says (section 3). A route that is not here fails the test. */
const DOORS: Record<string, Door> = {
  'POST /login': 'anyone',
  'POST /refresh': 'holder',
  'POST /logout': 'holder',
  'POST /logout-all': 'users or sessions:open',
  'POST /password': 'users',
  'POST /password/reset': 'anyone',
  'POST /reauthenticate': 'users',
  '* /session': 'users',
  '* /session/*': 'users',
  'GET /sessions': 'users',
  'DELETE /sessions/:id': 'users or sessions:open',
  'POST /sessions': 'sessions:open',
  'PATCH /sessions/:id': 'sessions:open',
  'POST /introspect': 'introspect',
  'POST /introspect/batch': 'introspect',
  'POST /revoke': 'revoke',
  'GET /.well-known/jwks.json': 'anyone',
  'GET /.well-known/oauth-authorization-server': 'anyone',
  'GET /': 'anyone',
  'GET /health': 'anyone',
  'GET /ready': 'anyone',
  'GET /openapi.json': 'anyone',
  'GET /docs': 'anyone',
  'HEAD /docs/': 'anyone',
  'GET /docs/json': 'anyone',
  'GET /docs/yaml': 'anyone',
  'GET /docs/static/index.html': 'anyone',
  'GET /docs/static/swagger-initializer.js': 'anyone',
  'GET /docs/static/theme/appearance.js': 'anyone',
  'GET /docs/static/theme/background.css': 'anyone',
  'GET /docs/static/*': 'anyone',
  'GET /account': 'anyone',
  'GET /account/': 'anyone',
  'GET /account/page/:file': 'anyone',
  // Where CORS answers preflights; all else there is not found.
  'OPTIONS *': 'nobody',
};

let house: House;
let replica: Replica;
let client: TestClient;
let user: TestUser;
let pair: TokenPair;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica();
  client = await house.client(['introspect', 'revoke']);
});
beforeEach(async () => {
  await house.database.clock.freeze(1_900_000_000);
  user = await house.user();
  pair = await login(replica, user);
});
afterAll(() => house.close());

function send(method: string, url: string, headers: object = {}, payload?: string) {
  return replica.app.inject({
    method: method,
    url,
    headers: headers as Record<string, string>,
    ...(payload === undefined ? {} : { payload }),
  } satisfies InjectOptions);
}

/** Every method and URL that is registered while an app is built, and not only to be answered 405. */
async function findRoutes(): Promise<string[]> {
  const registered: [method: string, url: string][] = [];
  const collect = (message: unknown) => {
    (message as { fastify: FastifyInstance }).fastify.addHook('onRoute', ({ method, url }) => {
      for (const each of [method].flat()) registered.push([each, url]);
    });
  };
  subscribe('fastify.initialization', collect);
  const { gatehouse } = replica;
  const app = await buildApp({
    gatehouse,
    config: { ...DEFAULTS, corsOrigins: ['https://app.example.com'] },
    logger: pino({ level: 'silent' }),
  });
  await app.ready();
  unsubscribe('fastify.initialization', collect);
  const routes = await Promise.all(
    registered.map(async ([method, url]) => {
      const path = url.replace(/^\*/, '/x').replace('*', 'x').replaceAll(/:\w+/g, 'x');
      const { statusCode } = await app.inject({ method: method, url: path });
      return statusCode === 405 ? [] : [`${method} ${url}`];
    }),
  );
  await app.close();
  return routes.flat();
}

/** The entry of the table that a route falls under. HEAD is what GET is, where it has no entry of its own. */
function doorOf(route: string): Door | undefined {
  const [method = '', url = ''] = route.split(' ');
  // Each of them has a row in admin/door.test.ts, or fails there.
  if (url.startsWith('/admin/')) return 'operators';
  return DOORS[route] ?? DOORS[`${method === 'HEAD' ? 'GET' : method} ${url}`] ?? DOORS[`* ${url}`];
}

it('has no route without an entry in the table, and no entry without a route', async () => {
  const routes = await findRoutes();
  expect(routes.filter((route) => doorOf(route) === undefined)).toEqual([]);
  const known = new Set(routes);
  const isThere = (entry: string) =>
    entry.startsWith('* ')
      ? replica.app.supportedMethods.every((method) => known.has(entry.replace('*', method)))
      : known.has(entry);
  expect(Object.keys(DOORS).filter((entry) => !isThere(entry))).toEqual([]);
});

const routesBehind = (...doors: Door[]) =>
  Object.entries(DOORS)
    .filter(([, door]) => doors.includes(door))
    .map(([route]) => {
      const [method = '', url = ''] = route.replace(/^\*/, 'PATCH').split(' ');
      return [
        method,
        url.replace('/*', '/any').replace(':id', '00000000-0000-7000-8000-000000000000'),
      ] as const;
    });

describe.each(routesBehind('users', 'users or sessions:open'))(
  'the door of users at %s %s',
  (method, url) => {
    /** Well-formed where a body is asked for, which is looked at first; and too weak to change anything. */
    function sendTo(headers: object) {
      const bodies: Record<string, object> = {
        '/password': { current_password: user.password, new_password: 'short' },
        '/reauthenticate': { password: 'wrong' },
      };
      const body = bodies[url];
      if (body === undefined) return send(method, url, headers);
      return send(method, url, { ...headers, 'content-type': 'application/json' }, JSON.stringify(body));
    }

    it('is shut for no token', async () => {
      const response = await sendTo({});
      expect(response.statusCode).toBe(401);
      expect(response.headers['www-authenticate']).toBe(PLAIN_CHALLENGE);
    });

    it('is shut for a client and its secret', async () => {
      const response = await sendTo(basic(client));
      const isForBackends = routesBehind('users or sessions:open').some((route) => route[1] === url);
      expect(response.statusCode).toBe(isForBackends ? 403 : 401);
      if (!isForBackends) expect(response.headers['www-authenticate']).toBe(PLAIN_CHALLENGE);
    });

    it.each([
      ['a text that is no token', () => MARKER],
      ['a forged token', () => forge(pair.access_token)],
      ['a refresh token', () => pair.refresh_token],
    ])('is shut for %s', async (_what, token) => {
      const response = await sendTo(bearer(token()));
      expect(response.statusCode).toBe(401);
      expect(response.headers['www-authenticate']).toMatch(TOKEN_CHALLENGE);
    });

    it('is shut for a token that was ended', async () => {
      await send('POST', '/logout', bearer(pair.access_token));
      expect((await sendTo(bearer(pair.access_token))).statusCode).toBe(401);
    });

    it('is shut at exp, and open a second before', async () => {
      await house.database.clock.advance(599);
      const open = await sendTo(bearer(pair.access_token));
      if (url === '/reauthenticate') expect(open.json()).toMatchObject({ error: 'invalid_credentials' });
      else expect(url === '/password' ? [400] : [200, 404]).toContain(open.statusCode);
      pair = await login(replica, await house.user());
      await house.database.clock.advance(600);
      const shut = await sendTo(bearer(pair.access_token));
      expect(shut.statusCode).toBe(401);
      // And not for a password that is wrong.
      expect(shut.headers['www-authenticate']).toMatch(TOKEN_CHALLENGE);
    });
  },
);

describe.each(routesBehind('introspect', 'revoke'))('the door of clients at %s %s', (method, url) => {
  const permission = url === '/revoke' ? 'revoke' : 'introspect';
  const other = url === '/revoke' ? 'introspect' : 'revoke';

  function ask(headers: object) {
    const [type, body] =
      url === '/introspect/batch'
        ? ['application/json', JSON.stringify({ tokens: [pair.access_token] })]
        : ['application/x-www-form-urlencoded', `token=${pair.access_token}`];
    return send(method, url, { 'content-type': type, ...headers }, body);
  }

  it.each([
    ['no credentials', () => ({})],
    ['a wrong secret', () => basic({ ...client, secret: `${client.secret}x` })],
    ['an unknown client', () => basic({ id: MARKER, secret: client.secret })],
    ['a user with a live token', () => bearer(pair.access_token)],
  ])('is shut for %s', async (_what, headers) => {
    const response = await ask(headers());
    expect(response.statusCode).toBe(401);
    expect(response.headers['www-authenticate']).toBe(CLIENT_CHALLENGE);
  });

  it('is shut for a client that may only do something else, or nothing', async () => {
    expect((await ask(basic(await house.client([other])))).statusCode).toBe(403);
    expect((await ask(basic(await house.client([])))).statusCode).toBe(403);
  });

  it('is open for a client with its permission', async () => {
    expect((await ask(basic(await house.client([permission])))).statusCode).toBe(200);
  });
});

describe.each(routesBehind('sessions:open', 'users or sessions:open'))(
  'the door of backends at %s %s',
  (method, url) => {
    const BODIES: Record<string, object> = {
      'POST /sessions': { external_id: 'customer' },
      'POST /logout-all': { external_id: 'customer' },
      'PATCH /sessions': {},
    };

    function ask(headers: object) {
      const body = BODIES[`${method} ${url.replace(/\/0.*/, '')}`];
      if (body === undefined) return send(method, url, headers);
      return send(method, url, { 'content-type': 'application/json', ...headers }, JSON.stringify(body));
    }

    it.each([
      ['a wrong secret', () => basic({ ...client, secret: `${client.secret}x` })],
      ['an unknown client', () => basic({ id: MARKER, secret: client.secret })],
    ])('is shut for %s', async (_what, headers) => {
      const response = await ask(headers());
      expect(response.statusCode).toBe(401);
      expect(response.headers['www-authenticate']).toBe(CLIENT_CHALLENGE);
    });

    it('is shut for a client that may only do something else, or nothing', async () => {
      expect((await ask(basic(client))).statusCode).toBe(403);
      expect((await ask(basic(await house.client([])))).statusCode).toBe(403);
    });

    it('is open for a client with its permission', async () => {
      expect([200, 201, 404]).toContain((await ask(basic(await house.client(['sessions:open'])))).statusCode);
    });
  },
);

describe.each(routesBehind('sessions:open'))('the door of backends alone at %s %s', (method, url) => {
  it.each([
    ['no credentials', () => ({})],
    ['a user with a live token', () => bearer(pair.access_token)],
  ])('is shut for %s', async (_what, headers) => {
    const response = await send(
      method,
      url,
      { 'content-type': 'application/json', ...headers() },
      JSON.stringify(method === 'POST' ? { external_id: 'customer' } : {}),
    );
    expect(response.statusCode).toBe(401);
    expect(response.headers['www-authenticate']).toBe(CLIENT_CHALLENGE);
  });
});

describe.each(routesBehind('holder'))('%s %s', (method, url) => {
  it.each([
    ['a text that is no token', () => MARKER],
    ['a forged token', () => forge(pair.refresh_token)],
    ['the other kind of token', () => pair.access_token],
  ])('takes a refresh token, not %s', async (_what, token) => {
    const headers = { 'content-type': 'application/json' };
    const response = await send(method, url, headers, JSON.stringify({ refresh_token: token() }));
    expect(response.statusCode).toBe(401);
    expect(response.headers['www-authenticate']).toMatch(TOKEN_CHALLENGE);
  });
});

describe.each(routesBehind('anyone'))('%s %s', (method, url) => {
  it('asks nobody for a token or a secret', async () => {
    const { headers } = await send(method, url);
    expect(headers).not.toHaveProperty('www-authenticate');
  });
});
