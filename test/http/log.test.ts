// Logs: one line per answered request, quiet where programs ask all day, and nothing secret in any line.
import { Writable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import type { InjectOptions, LightMyRequestResponse } from 'fastify';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { buildApp } from '../../src/app.js';
import { loggerOptions } from '../../src/http/log/log.js';
import { loginBody, passwordBody, tokenForm, tokenPair } from '../../src/http/openapi/schemas.js';
import { onServer } from '../support/database.js';
import {
  basic,
  bearer,
  DEFAULTS,
  openHouse,
  type House,
  type Replica,
  type TestClient,
  type TestUser,
  type TokenPair,
} from '../support/house.js';

interface Line {
  level: string;
  reqId?: string;
  msg: string;
  method?: string;
  url?: string;
  status?: number;
}

let house: House;
let lines: Line[] = [];

async function loggedReplica(corsOrigins: string[] = []): Promise<Replica> {
  const destination = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      lines.push(JSON.parse(chunk.toString()) as Line);
      done();
    },
  });
  return house.replica({ config: { corsOrigins }, logger: pino(loggerOptions('trace'), destination) });
}

const answered = () => lines.filter(({ msg }) => msg === 'answered');

describe('a line', () => {
  let replica: Replica;
  let client: TestClient;
  let pair: TokenPair;

  beforeAll(async () => {
    house = await openHouse();
    replica = await loggedReplica();
    client = await house.client();
    const { username, password } = await house.user();
    const payload = { username, password };
    pair = (await replica.app.inject({ method: 'POST', url: '/login', payload })).json<TokenPair>();
  });
  afterAll(() => house.close());

  const REQUESTS: [what: string, request: () => InjectOptions, line: Partial<Line>][] = [
    [
      'a login refused',
      () => post('/login', { username: 'a', password: 'b' }),
      { level: 'info', status: 401 },
    ],
    [
      'a refresh',
      () => post('/refresh', { refresh_token: pair.refresh_token }),
      { level: 'info', status: 200 },
    ],
    [
      '/session',
      () => ({ url: '/session', headers: bearer(pair.access_token) }),
      { level: 'debug', status: 200 },
    ],
    [
      '/session/x',
      () => ({ url: '/session/x', headers: bearer(pair.access_token) }),
      { level: 'debug', status: 200 },
    ],
    ['/session refused', () => ({ url: '/session' }), { level: 'info', status: 401 }],
    [
      '/sessions',
      () => ({ url: '/sessions', headers: bearer(pair.access_token) }),
      { level: 'info', status: 200 },
    ],
    ['/introspect', () => form('/introspect', client), { level: 'debug', status: 200 }],
    [
      '/introspect refused',
      () => form('/introspect', { ...client, secret: 'x' }),
      { level: 'info', status: 401 },
    ],
    ['/revoke', () => form('/revoke', client), { level: 'info', status: 200 }],
    ['/health', () => ({ url: '/health' }), { level: 'debug', status: 200 }],
    ['an unknown URL', () => ({ url: '/nowhere?a=b' }), { level: 'info', status: 404, url: 'unknown' }],
    [
      'a wrong method',
      () => ({ method: 'PUT', url: '/login' }),
      { level: 'info', status: 405, url: '/login' },
    ],
    ['a URL that cannot be decoded', () => ({ url: '/%zz' }), { level: 'info', status: 400, url: 'unknown' }],
    [
      'a logout',
      () => ({ method: 'POST', url: '/logout', headers: bearer(pair.access_token) }),
      { level: 'info', status: 204 },
    ],
  ];

  function post(url: string, payload: object): InjectOptions {
    return { method: 'POST', url, payload };
  }

  function form(url: string, as: TestClient): InjectOptions {
    const headers = { ...basic(as), 'content-type': 'application/x-www-form-urlencoded' };
    return { method: 'POST', url, headers, payload: `token=${pair.refresh_token}x` };
  }

  it.each(REQUESTS)(
    'of its own is written for %s, under the id of the answer',
    async (_what, request, line) => {
      lines = [];
      const response = await replica.app.inject(request());
      expect(answered()).toHaveLength(1);
      expect(answered()[0]).toMatchObject({ ...line, reqId: response.headers['x-request-id'] });
    },
  );

  it('is not louder than debug for what programs ask all day', async () => {
    lines = [];
    await replica.app.inject({ url: '/ready' });
    await replica.app.inject(form('/introspect', client));
    const { app } = await loggedReplica(['https://shop.example']);
    const headers = { origin: 'https://shop.example', 'access-control-request-method': 'GET' };
    expect((await app.inject({ method: 'OPTIONS', url: '/session', headers })).statusCode).toBe(204);
    expect(answered().map(({ url }) => url)).toEqual(['/ready', '/introspect', '/session']);
    expect(lines.filter(({ level }) => !['trace', 'debug'].includes(level))).toEqual([]);
  });
});

describe('what is secret by its name', () => {
  const NAMES = [
    'authorization',
    'cookie',
    'set-cookie',
    'refreshed-api-token',
    'token',
    'access_token',
    'refresh_token',
    'accessToken',
    'refreshToken',
    'password',
    'current_password',
    'new_password',
    'client_secret',
    'secret',
  ];
  const SECRET_TEXT = 'sEcReT-text-3f9a';

  const PLACES: [place: string, put: (named: object) => object][] = [
    ['at the top', (named) => named],
    ['in a member', (named) => ({ headers: named })],
    ['in a list', (named) => ({ found: [named] })],
    ['in a member of a member', (named) => ({ request: { body: named } })],
  ];

  function written(log: (logger: pino.Logger) => void): string {
    let text = '';
    log(pino(loggerOptions('trace'), { write: (line: string) => void (text += line) }));
    return text;
  }

  it.each(NAMES.flatMap((name) => PLACES.map(([place, put]) => [name, place, put] as const)))(
    'is cut out of a line: %s %s',
    (name, _place, put) => {
      for (const secret of [SECRET_TEXT, [SECRET_TEXT], { raw: SECRET_TEXT }]) {
        const subject = put({ [name]: secret, beside: 'kept' });
        for (const line of [
          written((logger) => logger.info(subject, 'said')),
          written((logger) => logger.error(subject)),
          written((logger) => logger.child(subject).info('said by a child')),
        ]) {
          expect(line).not.toContain(SECRET_TEXT);
          expect(line).toContain('[redacted]');
          expect(line).toContain('kept');
        }
        // What is logged is cut, and what it was taken from stays as it was.
        expect(JSON.stringify(subject)).toContain(SECRET_TEXT);
      }
    },
  );

  it('has a name for everything secret that callers send or get', () => {
    const sent = [loginBody, passwordBody, tokenForm, tokenPair].flatMap(({ shape }) => Object.keys(shape));
    const secret = sent.filter((name) => /token|password|secret/.test(name) && !/_hint$|_type$/.test(name));
    expect(secret.length).toBeGreaterThan(5);
    expect(secret.filter((name) => !NAMES.includes(name))).toEqual([]);
  });

  it('is no request or answer of Fastify, of which a line has the method and the status alone', () => {
    const raw = { method: 'POST', url: `/x?token=${SECRET_TEXT}`, headers: { 'x-any': SECRET_TEXT } };
    const answer = { statusCode: 200, headers: { 'x-any': SECRET_TEXT } };
    const line = written((logger) => logger.info({ req: raw, res: answer }, 'said'));
    expect(JSON.parse(line)).toMatchObject({ req: { method: 'POST' }, res: { statusCode: 200 } });
    expect(line).not.toContain(SECRET_TEXT);
  });
});

describe('a full story', () => {
  let user: TestUser;
  let client: TestClient;
  const secrets: string[] = [];

  beforeAll(async () => {
    house = await openHouse();
    user = await house.user();
    client = await house.client();
    lines = [];
    await tell(await loggedReplica());
  });
  afterAll(() => house.close());

  /** Everything that a day brings, refusals and an outage included; what is secret in it goes to `secrets`. */
  async function tell(replica: Replica): Promise<void> {
    const pair = await logIn(replica);
    secrets.push(user.password, client.secret, pair.access_token, pair.refresh_token);
    await house.database.clock.set(500);
    for (const response of await askEverything(replica, pair)) noteTokens(response);
    for (const response of await askEverything(replica, await logIn(replica))) noteTokens(response);
    await house.database.admin.query('ALTER TABLE sessions RENAME COLUMN user_agent TO agent');
    await askEverything(replica, pair);
    await onServer(`DROP DATABASE ${new URL(house.database.url).pathname.slice(1)} WITH (FORCE)`);
    await askEverything(replica, pair);
  }

  async function logIn({ app }: Replica): Promise<TokenPair> {
    const payload = { username: user.username, password: user.password };
    const response = await app.inject({ method: 'POST', url: '/login', payload });
    expect(response.statusCode).toBe(200);
    noteTokens(response);
    return response.json<TokenPair>();
  }

  function noteTokens({ body, headers }: LightMyRequestResponse): void {
    secrets.push(...[...body.matchAll(/"(eyJ[^"]+)"/g)].map(([, token = '']) => token));
    const successor = headers['refreshed-api-token'];
    if (successor !== undefined) secrets.push(String(successor));
  }

  async function askEverything({ app }: Replica, pair: TokenPair): Promise<LightMyRequestResponse[]> {
    const form = 'application/x-www-form-urlencoded';
    const asUser = bearer(pair.access_token);
    const asClient = { ...basic(client), 'content-type': form };
    const inForm = `&client_id=${client.id}&client_secret=${client.secret}`;
    const requests: InjectOptions[] = [
      { url: '/session', headers: asUser },
      { url: `/session/x?token=${pair.access_token}`, headers: asUser },
      { url: `/${pair.access_token}` },
      { url: `/%zz${pair.access_token}` },
      { url: '/sessions', headers: asUser },
      { method: 'DELETE', url: `/sessions/${pair.access_token}`, headers: asUser },
      { method: 'POST', url: '/introspect', headers: asClient, payload: `token=${pair.access_token}` },
      { method: 'POST', url: '/introspect', headers: { 'content-type': form }, payload: `token=a${inForm}` },
      {
        method: 'POST',
        url: '/introspect',
        headers: asClient,
        payload: `token=${pair.access_token}${inForm}`,
      },
      { method: 'PUT', url: '/introspect', headers: asClient, payload: `token=${pair.access_token}` },
      { method: 'POST', url: '/login', payload: { username: user.username, password: `${user.password}!` } },
      { method: 'POST', url: '/login', payload: { username: user.password, password: user.username } },
      { method: 'POST', url: '/login', payload: { username: [user.password], [user.password]: 1 } },
      {
        method: 'POST',
        url: '/login',
        headers: { 'content-type': 'application/json' },
        payload: user.password,
      },
      { method: 'POST', url: '/login', payload: { username: user.username, password: user.password } },
      { method: 'POST', url: '/refresh', payload: { refresh_token: pair.access_token } },
      { method: 'POST', url: '/refresh', payload: { refresh_token: pair.refresh_token } },
      {
        method: 'POST',
        url: '/refresh',
        payload: { refresh_token: `${pair.refresh_token}x`, access_token: 1 },
      },
      { method: 'POST', url: '/revoke', headers: asClient, payload: `token=${pair.access_token}` },
      { method: 'POST', url: '/logout', headers: asUser },
      { method: 'POST', url: '/logout-all', headers: asUser },
      { method: 'POST', url: '/logout', payload: { refresh_token: pair.refresh_token } },
      { url: '/ready' },
    ];
    const responses: LightMyRequestResponse[] = [];
    for (const request of requests) responses.push(await app.inject(request));
    return responses;
  }

  it('is logged as it went, from good answers to 503', () => {
    const statuses = new Set(answered().map(({ status }) => status));
    for (const status of [200, 204, 400, 401, 404, 405, 500, 503]) expect(statuses).toContain(status);
    expect(secrets.length).toBeGreaterThan(10);
  });

  it('leaves no token, password or client secret in any line, nor 12 characters of one', () => {
    const logged = new Set(lines.flatMap((line) => piecesOf(JSON.stringify(line))));
    expect(logged.size).toBeGreaterThan(1000);
    const leaked = secrets.flatMap((secret) => piecesOf(secret)).filter((piece) => logged.has(piece));
    expect(leaked).toEqual([]);
  });

  function piecesOf(text: string): string[] {
    return Array.from({ length: Math.max(0, text.length - 11) }, (_, at) => text.slice(at, at + 12));
  }
});

describe('an outage of the database', () => {
  afterAll(() => house.close());

  it('has one line of its own that says what failed and where, and a line without a stack for each request', async () => {
    house = await openHouse({ deadlines: 'shipped' });
    const replica = await loggedReplica();
    const user = await house.user();
    await house.database.drop();
    lines = [];
    const payload = { username: user.username, password: user.password };
    for (let sent = 0; sent < 5; sent += 1) {
      expect((await replica.app.inject({ method: 'POST', url: '/login', payload })).statusCode).toBe(503);
      expect((await replica.app.inject({ url: '/ready' })).statusCode).toBe(503);
    }
    expect(lines.filter(({ msg }) => msg.startsWith('the database cannot be asked'))).toHaveLength(1);
    expect(answered()).toHaveLength(10);
    for (const line of answered())
      expect(line).toMatchObject({
        level: 'info',
        code: 'temporarily_unavailable',
        reason: expect.any(String) as string,
        missing: expect.stringMatching(/^database_/) as string,
      });
    expect(lines.filter(({ level }) => level !== 'info').map(({ level }) => level)).toEqual(['error']);
    // The tests before may have had more to say a second ago.
    const own = lines.filter(({ msg }) => msg !== 'more were answered for the same reason');
    expect(own).toHaveLength(11);
    expect(lines.filter((line) => JSON.stringify(line).includes('"stack"'))).toHaveLength(1);
  });

  it('lets a late answer of the work go by without a word', async () => {
    const destination = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        lines.push(JSON.parse(chunk.toString()) as Line);
        done();
      },
    });
    house = await openHouse();
    const { gatehouse } = await house.replica();
    const logger = pino(loggerOptions('trace'), destination);
    const app = await buildApp({ gatehouse, config: DEFAULTS, logger, answerDeadlineMs: 20 });
    let finish: (() => void)[] = [];
    const works = [
      () => new Promise((resolve) => finish.push(() => resolve('late'))),
      () => new Promise((_, reject) => finish.push(() => reject(new Error('late')))),
    ];
    for (const [number, work] of works.entries()) app.get(`/late/${number}`, work);
    lines = [];
    for (const number of works.keys()) {
      const response = await app.inject(`/late/${number}`);
      expect(response.statusCode).toBe(503);
      for (const end of finish) end();
      finish = [];
      await setImmediate();
    }
    await app.close();
    // On a slow machine the second refusal comes so late that the first ones are summed up.
    const told = lines
      .map(({ msg }) => msg)
      .filter((msg) => msg !== 'more were answered for the same reason');
    expect(told).toEqual(['requests are answered 503', 'answered', 'answered']);
  });
});
