// No token, password, client secret or key in anything that is written, whatever is sent and whatever goes wrong.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { connect, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import type { InjectOptions, LightMyRequestResponse } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { buildApp } from '../../src/app.js';
import { explainFailure } from '../../src/process/explain.js';
import { describeFailure, writeFailure } from '../../src/domain/reports/failures.js';
import { forge } from '../support/answers.js';
import { environmentOf, gatehouse, inHouse, type Outcome } from '../support/command.js';
import { onServer } from '../support/database.js';
import { createEmptyDatabase } from '../support/empty-database.js';
import { isLong, runs } from '../support/hostile.js';
import {
  basic,
  bearer,
  DEFAULTS,
  openHouse,
  SECRET,
  type House,
  type Replica,
  type TestClient,
  type TokenPair,
} from '../support/house.js';
import { createSecretWatch, PIECE_CHARACTERS, type SecretWatch } from '../support/secret-watch.js';
import { findFreePort } from '../../packages/lab/shared/ports.js';
import { createWorkshop, environmentFor } from '../support/service.js';

const FORM = 'application/x-www-form-urlencoded';
const JSON_TYPE = 'application/json';

/** With characters that JSON, forms, headers and SQL write differently. */
function makePassword(): string {
  return `${randomBytes(12).toString('base64')} "quoted" 'ä%41' \\ ${randomBytes(12).toString('base64')}`;
}

function inAscii(secret: string): string {
  return secret.replace(/[^\x20-\x7E]/g, '');
}

/** Keeps a secret in every spelling in which it is sent. */
function keepEverySpelling(watch: SecretWatch, name: string, secret: string): void {
  const written = JSON.stringify(secret).slice(1, -1);
  watch.keep(name, secret, encodeURIComponent(secret), inAscii(secret), written);
  watch.keep(name, Buffer.from(secret).toString('base64'), Buffer.from(secret).toString('hex'));
}

describe('a watch', () => {
  const secret = `${randomBytes(32).toString('base64url')}"ä"${randomBytes(32).toString('base64url')}`;

  function leaksOf(say: (watch: SecretWatch) => void): number {
    const watch = createSecretWatch();
    watch.keep('planted', secret);
    say(watch);
    return watch.findLeaks().length;
  }

  it('finds twelve characters of a secret, wherever they are of it and wherever they are said', () => {
    const count = secret.length - PIECE_CHARACTERS + 1;
    for (let at = 0; at < count; at += 1) {
      const piece = secret.slice(at, at + PIECE_CHARACTERS);
      expect(leaksOf(({ hear }) => hear(`lorem ipsum ${piece} dolor`))).toBe(1);
      expect(leaksOf(({ logger }) => logger.trace({ deep: { member: piece } }, 'said'))).toBeGreaterThan(0);
      expect(leaksOf(({ logger }) => logger.trace({ [piece]: 1 }, 'said'))).toBeGreaterThan(0);
      // What a message quotes is cut out of it.
      if (!piece.includes('"'))
        expect(leaksOf(({ logger }) => logger.error(`${piece} failed`))).toBeGreaterThan(0);
      expect(leaksOf(({ hear }) => hear(`GET /${encodeURIComponent(piece)}`))).toBeGreaterThan(0);
    }
  });

  it('finds nothing in eleven, nor in what is no secret', () => {
    expect(leaksOf(({ hear }) => hear(`<${secret.slice(20, 31)}>`, 'lorem ipsum dolor sit amet'))).toBe(0);
  });

  it('would find what pino says of an error by itself', () => {
    const watch = createSecretWatch((level) => ({ level }));
    watch.keep('planted', secret);
    watch.logger.error({ err: new Error(`no such value: ${secret}`) }, 'failed');
    watch.logger.error(new Error(`no such value: ${secret}`));
    watch.logger.error({ err: Object.assign(new Error('failed'), { parameters: [secret] }) }, 'failed');
    expect(new Set(watch.findLeaks().map(({ heard }) => heard)).size).toBeGreaterThanOrEqual(3);
  });
});

/** Errors as libraries, databases and bugs of ours throw them, full of what they were given. */
const FULL_ERRORS: [what: string, make: (secret: string) => unknown][] = [
  ['its message', (secret) => new Error(`cannot read ${secret}`)],
  ['a message of several lines', (secret) => new TypeError(`cannot read\n${secret}\n    at ${secret}`)],
  ['a message like a stack', (secret) => new Error(`x\n    at ${secret} (file:///${secret}.js:1:1)`)],
  [
    'a message that was changed',
    (secret) => Object.assign(new Error(`first ${secret}`), { message: 'second' }),
  ],
  [
    'a member',
    (secret) => Object.assign(new Error('failed'), { body: { password: secret }, detail: secret }),
  ],
  ['its name', (secret) => Object.assign(new Error('failed'), { name: secret })],
  ['its code', (secret) => Object.assign(new Error('failed'), { code: secret })],
  ['its cause', (secret) => new Error('failed', { cause: new Error(secret, { cause: secret }) })],
  ['errors that it gathers', (secret) => new AggregateError([new Error(secret), secret], secret)],
  [
    'a stack of its own',
    (secret) => Object.assign(new Error('failed'), { stack: `Error: ${secret}\n${secret}` }),
  ],
  ['JSON that cannot be parsed', (secret) => catchError(() => JSON.parse(secret.slice(0, 20)) as unknown)],
  ['a URL that cannot be parsed', (secret) => catchError(() => new URL(`http://u:${secret}@:99999/`))],
  ['a text that is thrown', (secret) => secret],
  ['an object that is thrown', (secret) => ({ message: secret, stack: secret, password: secret })],
  [
    'a status of its own',
    (secret) => Object.assign(new Error(secret), { statusCode: 418, headers: { x: secret } }),
  ],
];

function catchError(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error('it was meant to fail');
}

describe.each(FULL_ERRORS)('an error that holds a secret in %s', (_what, make) => {
  const secret = randomBytes(48).toString('base64url');

  it('tells none of it to the log, however it is logged', () => {
    const watch = createSecretWatch();
    watch.keep('secret', secret);
    const error = make(secret);
    const { logger } = watch;
    const child = logger.child({ reqId: '1' });
    for (const log of [logger, child]) {
      log.error({ err: error }, 'failed');
      log.warn({ err: error });
      log.error({ err: error, error }, error instanceof Error ? error.message : 'failed');
      if (error instanceof Error) log.error(error);
      if (error instanceof Error) log.fatal(error, 'of %s', 'us');
    }
    expect(watch.figures().lines).toBeGreaterThanOrEqual(6);
    expect(watch.findLeaks()).toEqual([]);
  });

  it('tells none of it to a terminal', () => {
    const watch = createSecretWatch();
    watch.keep('secret', secret);
    watch.hear(explainFailure(make(secret)), writeFailure(describeFailure(make(secret))));
    expect(watch.findLeaks()).toEqual([]);
  });
});

it('still says of an error what kind it is and where it happened', () => {
  const failure = describeFailure(new RangeError('of no use', { cause: new Error('either') }));
  expect(failure).toMatchObject({ type: 'RangeError', cause: { type: 'Error' } });
  expect(failure.stack).toMatch(/^ {4}at .*secrets\.test\.ts:\d+:\d+/);
  expect(failure).not.toHaveProperty('message');
  expect(writeFailure(failure)).toMatch(/^RangeError\n {4}at [^]*\ncaused by Error\n/);
});

describe('a whole run', () => {
  const watch = createSecretWatch();
  const workshop = createWorkshop();
  const counts = { requests: 0, commands: 0, processes: 0 };
  const statuses = new Map<number, number>();
  let house: House;
  let replica: Replica;
  let client: TestClient;
  let pair: TokenPair;
  const user = { username: 'alice', password: makePassword() };

  beforeAll(async () => {
    house = await openHouse();
    keepEverySpelling(watch, 'password', user.password);
    keepEverySpelling(watch, 'AUTH_SECRET', SECRET);
    await command(['users', 'add', user.username, '--password-stdin'], { input: user.password });
    await makeClient();
    replica = await house.replica({ logger: watch.logger, config: { trustProxy: ['10.0.0.0/8'] } });
    pair = await logIn();
  });
  afterAll(async () => {
    await workshop.clear();
    await house.close();
  });

  async function makeClient(): Promise<void> {
    client = await house.client();
    keepEverySpelling(watch, 'client secret', client.secret);
    watch.keep('client secret in Basic', basic(client).authorization.slice('Basic '.length));
  }

  async function command(args: string[], given: Parameters<typeof inHouse>[2] = {}): Promise<Outcome> {
    counts.commands += 1;
    const outcome = await inHouse(house, args, given);
    watch.hear(outcome.stdout, outcome.stderr);
    return outcome;
  }

  let lastAddress = 0;

  /** From an address of its own, so that no limit hides what lies behind it. */
  async function ask(request: InjectOptions, of: Replica = replica): Promise<LightMyRequestResponse> {
    counts.requests += 1;
    lastAddress += 1;
    const remoteAddress = `172.${16 + (lastAddress >> 16)}.${(lastAddress >> 8) & 255}.${lastAddress & 255}`;
    const response = await of.app.inject({ remoteAddress, ...request });
    statuses.set(response.statusCode, (statuses.get(response.statusCode) ?? 0) + 1);
    const tokens = [...response.body.matchAll(/eyJ[\w-]+\.[\w-]+\.[\w-]+/g)].map(([token]) => token);
    watch.keep('issued token', ...tokens);
    const successor = response.headers['refreshed-api-token'];
    if (successor !== undefined) watch.keep('successor', String(successor));
    return response;
  }

  async function logIn(of: Replica = replica): Promise<TokenPair> {
    const response = await ask({ method: 'POST', url: '/login', payload: user }, of);
    expect(response.statusCode).toBe(200);
    return response.json<TokenPair>();
  }

  /** What people mix up, and what attackers send: each a secret that the service knows, in a place where none belongs. */
  function secretsAtHand(): string[] {
    const forged = [forge(pair.access_token), `${pair.refresh_token}x`];
    watch.keep('forged token', ...forged);
    const made = Array.from({ length: runs(0, 10) }, () => makePassword());
    for (const secret of made) keepEverySpelling(watch, 'made password', secret);
    return [pair.access_token, pair.refresh_token, user.password, client.secret, ...forged, ...made];
  }

  const URLS: [method: 'GET' | 'POST' | 'DELETE', url: string][] = [
    ['POST', '/login'],
    ['POST', '/refresh'],
    ['POST', '/logout'],
    ['POST', '/logout-all'],
    ['POST', '/password/reset'],
    ['POST', '/admin/users/x/password-reset'],
    ['GET', '/session'],
    ['GET', '/session/x'],
    ['GET', '/sessions'],
    ['DELETE', '/sessions/x'],
    ['POST', '/introspect'],
    ['POST', '/revoke'],
    ['GET', '/.well-known/jwks.json'],
    ['GET', '/.well-known/oauth-authorization-server'],
    ['GET', '/health'],
    ['GET', '/ready'],
    ['GET', '/openapi.json'],
    ['GET', '/docs'],
    ['GET', '/nowhere'],
  ];

  function requestsWith(secret: string): InjectOptions[] {
    const inUrl = encodeURIComponent(secret);
    const header = inAscii(secret);
    const places = URLS.flatMap(([method, url]): InjectOptions[] => [
      { method, url: `${url}?token=${inUrl}&${inUrl}=1` },
      { method, url: `${url}/${inUrl}` },
      { method, url: `${url}%zz${inUrl}` },
      { method: 'PUT', url: `${url}?${inUrl}`, headers: bearer(header) },
      ...headersWith(header).map((headers) => ({ method, url, headers })),
    ]);
    const bodies = URLS.filter(([method]) => method === 'POST').flatMap(([method, url]) =>
      bodiesWith(secret).map(([type, payload]): InjectOptions => {
        const door = url === '/introspect' || url === '/revoke' ? basic(client) : {};
        return { method, url, headers: { ...door, 'content-type': type }, payload };
      }),
    );
    return [...places, ...bodies, { url: `/${inUrl}` }, { url: `/docs/static/${inUrl}` }];
  }

  function headersWith(header: string): Record<string, string>[] {
    const encoded = Buffer.from(header).toString('base64');
    return [
      { authorization: header },
      { authorization: `Bearer ${header} ${header}` },
      { authorization: `Basic ${encoded}` },
      { authorization: `Basic ${Buffer.from(`${header}:`).toString('base64')}` },
      { authorization: `Basic ${Buffer.from(`%zz${header}:${header}`).toString('base64')}` },
      { authorization: `Digest username="${header}"` },
      { cookie: `session=${header}`, 'x-api-key': header, 'refreshed-api-token': header },
      { 'user-agent': header, referer: `https://a.example/?t=${header}`, origin: `https://${header}` },
      { 'x-request-id': header, 'request-id': header, traceparent: header, accept: header, host: header },
      { 'content-type': header },
      {
        'x-forwarded-for': header,
        'x-forwarded-host': header,
        'x-forwarded-proto': header,
        forwarded: header,
      },
    ];
  }

  function bodiesWith(secret: string): [type: string, payload: string][] {
    const inForm = encodeURIComponent(secret);
    return [
      [JSON_TYPE, JSON.stringify({ username: secret, password: secret })],
      [JSON_TYPE, JSON.stringify({ username: [secret], [secret]: { [secret]: secret } })],
      [JSON_TYPE, JSON.stringify({ refresh_token: secret })],
      [JSON_TYPE, JSON.stringify({ code: secret, new_password: secret })],
      [JSON_TYPE, JSON.stringify({ refresh_token: secret, token: secret, __proto__x: secret })],
      [JSON_TYPE, `{"refresh_token": "${inForm}", "refresh_token": "${inForm}"}`],
      [JSON_TYPE, `{"__proto__": {"a": ${JSON.stringify(secret)}}}`],
      [JSON_TYPE, `{"username": ${JSON.stringify(secret)}, "password": ${secret}}`],
      [JSON_TYPE, secret],
      [JSON_TYPE, JSON.stringify(secret)],
      [JSON_TYPE, JSON.stringify({ username: `${secret}\u0000`, password: `${secret}\ud800` })],
      [JSON_TYPE, JSON.stringify({ username: user.username, password: secret.padEnd(17_000, secret) })],
      [FORM, `token=${inForm}&token_type_hint=${inForm}`],
      [FORM, `token=${inForm}&token=${inForm}`],
      [FORM, `client_id=${client.id}&client_secret=${inForm}&token=${inForm}`],
      [FORM, `${inForm}=${inForm}&%zz=${inForm}`],
      ['text/plain', secret],
      [`multipart/form-data; boundary=${inForm.slice(0, 60)}`, secret],
    ];
  }

  it('answers every endpoint as usual', async () => {
    await house.database.clock.set(500);
    for (const url of ['/session', '/session/x', '/sessions'])
      expect((await ask({ url, headers: bearer(pair.access_token) })).headers).toHaveProperty(
        'refreshed-api-token',
      );
    const form = { ...basic(client), 'content-type': FORM };
    const tokens = [pair.access_token, pair.refresh_token];
    for (const token of tokens)
      await ask({ method: 'POST', url: '/introspect', headers: form, payload: `token=${token}` });
    await house.database.clock.set(0);
    const refreshed = await ask({
      method: 'POST',
      url: '/refresh',
      payload: { refresh_token: pair.refresh_token },
    });
    expect(refreshed.statusCode).toBe(200);
    for (const token of tokens)
      await ask({ method: 'POST', url: '/revoke', headers: form, payload: `token=${token}` });
    pair = await logIn();
    await ask({ method: 'POST', url: '/logout', headers: bearer(pair.access_token) });
    await ask({ method: 'POST', url: '/logout-all', headers: bearer((await logIn()).access_token) });
    pair = await logIn();
  });

  it('gets secrets where none belong', async () => {
    for (const secret of secretsAtHand()) {
      for (const request of requestsWith(secret)) await ask(request);
    }
    for (const expected of [400, 401, 404, 405, 413, 415, 200])
      expect([...statuses.keys()]).toContain(expected);
    expect([...statuses.keys()].filter((status) => status >= 500)).toEqual([]);
  });

  it('gets them behind a proxy that hands on what it was sent', async () => {
    for (const secret of secretsAtHand()) {
      const text = inAscii(secret);
      for (const forwarded of [text, `${text}, 203.0.113.9`, `203.0.113.9, ${text}`, `"${text}"`]) {
        const headers = { 'x-forwarded-for': forwarded, 'x-forwarded-host': text };
        const payload = { username: secret, password: secret };
        const { statusCode } = await ask({
          method: 'POST',
          url: '/login',
          headers,
          payload,
          remoteAddress: '10.0.0.1',
        });
        expect(statusCode).toBeLessThan(500);
      }
    }
  });

  it('gets them in what is no HTTP', async () => {
    const raw = await house.replica({ logger: watch.logger });
    await raw.app.listen({ host: '127.0.0.1', port: 0 });
    const { port } = raw.app.server.address() as AddressInfo;
    const secrets = [pair.access_token, inAscii(user.password), client.secret];
    for (const secret of secrets) {
      for (const text of [
        `${secret}\r\n\r\n`,
        `GET /${secret} HTTP/9.9\r\n\r\n`,
        `GET / HTTP/1.1\r\nHost: a\r\nAuthorization Bearer ${secret}\r\n\r\n`,
        `GET / HTTP/1.1\r\nHost: a\r\nAuthorization: ${`${secret} `.repeat(2000)}\r\n\r\n`,
        `POST /login HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n${secret}\r\n\r\n`,
        `POST /login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n{"password":"${secret}`,
        `CONNECT ${secret} HTTP/1.1\r\nHost: a\r\n\r\n`,
      ]) {
        counts.requests += 1;
        await converse(port, text);
      }
    }
  });

  it('fails in the database, which repeats what it was given', async () => {
    const { admin } = house.database;
    const statusesOf = async (code: string) => {
      await admin.query(`
        CREATE OR REPLACE FUNCTION quote_row() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          RAISE EXCEPTION 'no good: %', NEW::text USING ERRCODE = '${code}', DETAIL = NEW::text, HINT = NEW::text;
        END $$`);
      const headers = { 'user-agent': inAscii(user.password) };
      const wrong = { username: user.password, password: user.password };
      return await Promise.all([
        ask({ method: 'POST', url: '/login', headers, payload: user }),
        ask({ method: 'POST', url: '/login', headers, payload: wrong }),
        ask({ method: 'POST', url: '/refresh', headers, payload: { refresh_token: pair.refresh_token } }),
        ask({ method: 'POST', url: '/logout', headers: { ...headers, ...bearer(pair.access_token) } }),
      ]).then((responses) => responses.map(({ statusCode }) => statusCode));
    };
    for (const table of ['sessions', 'revocations', 'login_attempts']) {
      const events = 'BEFORE INSERT OR UPDATE';
      await admin.query(`DROP FUNCTION IF EXISTS quote_row CASCADE`);
      pair = await logIn();
      await admin.query(
        `CREATE FUNCTION quote_row() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'`,
      );
      await admin.query(
        `CREATE TRIGGER quotes ${events} ON ${table} FOR EACH ROW EXECUTE FUNCTION quote_row()`,
      );
      for (const code of ['23514', '22P02', 'P0001', '40P01', 'XX000']) {
        expect(
          (await statusesOf(code)).some((status) => status >= 500),
          `${table} ${code}`,
        ).toBe(true);
      }
    }
    await admin.query(`DROP FUNCTION quote_row CASCADE`);
    expect([...statuses.keys()]).toEqual(expect.arrayContaining([500, 503]));
    pair = await logIn();
  });

  it.each(FULL_ERRORS)('meets a bug that throws the request in %s', async (_what, make) => {
    const sound = replica.gatehouse;
    const fail = (...given: unknown[]): never => {
      throw make(JSON.stringify(given)) as Error;
    };
    const broken = { ...sound, login: fail, refresh: fail };
    const app = await buildApp({ gatehouse: broken, config: DEFAULTS, logger: watch.logger });
    const of = { ...replica, app, gatehouse: broken };
    await ask({ method: 'POST', url: '/login?password=1', payload: user }, of);
    await ask({ method: 'POST', url: '/refresh', payload: { refresh_token: pair.refresh_token } }, of);
    await app.close();
  });

  it('answers too late, and then again', async () => {
    const sound = replica.gatehouse;
    const late = () => new Promise<never>((_, reject) => setTimeout(reject, 2600, new Error(user.password)));
    const slow = { ...sound, login: late };
    const app = await buildApp({ gatehouse: slow, config: DEFAULTS, logger: watch.logger });
    const url = `/login?token=${pair.access_token}`;
    const { statusCode } = await ask(
      { method: 'POST', url, payload: user },
      { ...replica, app, gatehouse: slow },
    );
    expect(statusCode).toBe(503);
    await new Promise((resolve) => setTimeout(resolve, 600));
    await app.close();
  });

  /** Shown once, on purpose: all that is said but the secret itself, which is kept from then on. */
  async function commandThatShows(member: 'password' | 'secret', args: string[]): Promise<string> {
    counts.commands += 1;
    const { stdout, stderr } = await inHouse(house, ['--json', ...args]);
    const shown = (JSON.parse(stdout) as Record<string, string>)[member] ?? '';
    expect(shown.length).toBeGreaterThanOrEqual(24);
    expect(stdout.split(shown)).toHaveLength(2);
    watch.hear(stdout.replace(shown, ''), stderr);
    keepEverySpelling(watch, `${member} made by ${args[0] ?? ''}`, shown);
    return shown;
  }

  it('is worked on from the command line', async () => {
    const bob = await commandThatShows('password', ['users', 'add', 'bob']);
    await commandThatShows('password', ['users', 'password', 'bob']);
    await commandThatShows('secret', ['clients', 'add', 'orders-api']);
    const weak = `${bob.slice(0, 13)}!`;
    watch.keep('refused password', weak, `${user.password}\u0007`);
    const attempts: [args: string[], input?: string | Uint8Array][] = [
      [['users', 'add', 'carol', '--password-stdin'], weak],
      [['users', 'add', 'carol', '--password-stdin'], `${user.password}\u0007`],
      [
        ['users', 'add', 'carol', '--password-stdin'],
        Buffer.concat([Buffer.from(user.password), Buffer.from([255])]),
      ],
      [['users', 'add', user.username, '--password-stdin'], user.password],
      [['users', 'password', user.username, '--password-stdin'], user.password],
      [['users', 'add', 'carol', `--password=${user.password}`]],
      [['users', 'add', 'carol', `--password-stdin=${user.password}`]],
      [['users', 'add', 'carol', '--password', user.password]],
      [['clients', 'add', 'billing', `--secret=${client.secret}`]],
      [['clients', 'add', 'billing', '--permission', client.secret]],
      [['sessions', 'end', pair.access_token]],
      [['keys', 'retire', pair.access_token]],
      [['users', 'list']],
      [['clients', 'list']],
      [['sessions', 'list', user.username]],
      [['revocations', 'list']],
      [['keys', 'list']],
      [['keys', 'rotate']],
    ];
    for (const [args, input] of attempts) {
      await command(args, input === undefined ? {} : { input });
      await command(['--json', ...args], input === undefined ? {} : { input });
    }
  });

  it('has its key retired, with the right secret and with wrong ones', async () => {
    const { rows } = await house.database.admin.query<{ kid: string; key: string }>(
      `SELECT kid, encode(encrypted_private_key, 'base64') AS key FROM signing_keys`,
    );
    for (const { kid, key } of rows) {
      watch.keep('sealed key', key.replaceAll('\n', ''));
      const other = randomBytes(32).toString('base64');
      keepEverySpelling(watch, 'another AUTH_SECRET', other);
      const environment = { AUTH_SECRET: other, AUTH_SECRET_PREVIOUS: `${other}${other}` };
      expect((await command(['keys', 'retire', kid], { environment })).status).toBe(1);
      expect((await command(['keys', 'reencrypt'], { environment })).status).toBe(1);
      await command(['keys', 'reencrypt'], { environment: { ...environment, AUTH_SECRET_PREVIOUS: SECRET } });
      await command(['keys', 'reencrypt'], { environment: { AUTH_SECRET_PREVIOUS: other } });
      expect(await command(['keys', 'retire', kid])).toMatchObject({ status: 0, stderr: '' });
    }
    pair = await logIn();
  });

  it('has commands fail in the database, which repeats what it was given', async () => {
    const { admin } = house.database;
    await admin.query(`ALTER TABLE users ADD CONSTRAINT nobody CHECK (username = 'nobody') NOT VALID`);
    await admin.query(`ALTER TABLE clients ADD CONSTRAINT nobody CHECK (id = 'nobody') NOT VALID`);
    const { stderr } = await command(['users', 'add', 'dave', '--password-stdin'], { input: user.password });
    expect(stderr).toContain('23514');
    expect((await command(['clients', 'add', 'shipping'])).status).toBe(1);
    await admin.query(`ALTER TABLE users DROP CONSTRAINT nobody`);
    await admin.query(`ALTER TABLE clients DROP CONSTRAINT nobody`);
    const { rows } = await admin.query<{ hash: string }>('SELECT password_hash AS hash FROM users');
    watch.keep('password hash', ...rows.map(({ hash }) => hash.slice(hash.indexOf('p=1$'))));
  });

  it('does not start, with secrets in its environment', async () => {
    const password = randomBytes(24).toString('base64url');
    watch.keep('database password', password);
    const url = new URL(house.database.url);
    const withPassword = (change: (url: URL) => void) => {
      const changed = new URL(url.href);
      changed.password = password;
      change(changed);
      return changed.href;
    };
    const port = String(await findFreePort());
    const environments: Record<string, string>[] = [
      { ...environmentOf(house), DATABASE_URL: withPassword(() => undefined) },
      { ...environmentOf(house), DATABASE_URL: withPassword((to) => (to.port = port)) },
      { ...environmentOf(house), DATABASE_URL: withPassword((to) => (to.hostname = 'database.invalid')) },
      { ...environmentOf(house), DATABASE_URL: withPassword((to) => (to.search = `?sslmode=${password}`)) },
      {
        ...environmentOf(house),
        DATABASE_URL: withPassword((to) => (to.search = `?options=-c%20x%3D${password}`)),
      },
      { ...environmentOf(house), DATABASE_URL: `postgresql://u:%zz${password}@127.0.0.1/x` },
      { ...environmentOf(house), DATABASE_URL: `postgresql://u:${password}@127.0.0.1:99999/x` },
      { ...environmentOf(house), DATABASE_URL: `u:${password}@127.0.0.1/x` },
      { ...environmentOf(house), DATABASE_PASSWORD_FILE: password, HOST: password },
      Object.fromEntries(['PORT', 'ISSUER', 'ACCESS_TOKEN_TTL', 'LOG_LEVEL'].map((name) => [name, password])),
      { ...environmentOf(house), AUTH_SECRET: randomBytes(32).toString('base64') },
      {
        AUTH_SECRET: password.slice(0, 20),
        AUTH_SECRET_PREVIOUS: `${password}=`,
        AUTH_SECRET_FILE: password,
      },
    ];
    for (const environment of environments) {
      watch.keep('AUTH_SECRET of a start', environment['AUTH_SECRET'], environment['AUTH_SECRET_PREVIOUS']);
      counts.commands += 1;
      const { status, stdout, stderr } = await gatehouse(['keys', 'rotate'], { environment });
      expect(status).toBe(1);
      watch.hear(stdout, stderr);
    }
    for (const environment of environments.slice(0, runs(2, environments.length)))
      await runToItsEnd(environment);
  });

  async function runToItsEnd(environment: Record<string, string>): Promise<number | null> {
    counts.processes += 1;
    const service = await workshop.spawn({ LOG_LEVEL: 'trace', ...environment });
    const { code } = await service.exited;
    expect(code).toBe(1);
    watch.hear(service.output.stdout, service.output.stderr);
    return code;
  }

  it.each(['throw', 'Promise.reject'])('crashes by %s of an error that holds a secret', async (how) => {
    const database = await createEmptyDatabase();
    const secret = randomBytes(32).toString('base64url');
    watch.keep('secret in a crash', secret);
    const error = `Object.assign(new Error('${secret}', { cause: '${secret}' }), { held: '${secret}' })`;
    const crash = how === 'throw' ? `throw ${error}` : `Promise.reject(${error})`;
    // Before our own code runs, a crash is Node's to print; ours shows by its handler, at the latest after ten seconds.
    const isOurs = `process.listenerCount('uncaughtException') > 0 || performance.now() > 10_000`;
    const source = encodeURIComponent(
      `const wait = setInterval(() => { if (${isOurs}) { clearInterval(wait); ${crash} } }, 50)`,
    );
    const NODE_OPTIONS = `--import=data:text/javascript,${source.replaceAll("'", '%27')}`;
    await runToItsEnd({ ...environmentFor(database.url), NODE_OPTIONS });
    await database.drop();
  });

  it('serves at trace in a process of its own', async () => {
    counts.processes += 1;
    const service = await workshop.start({ ...environmentFor(house.database.url), LOG_LEVEL: 'trace' });
    const asJson = (body: string) => ({ method: 'POST', headers: { 'content-type': JSON_TYPE }, body });
    for (const body of [JSON.stringify(user), user.password, JSON.stringify({ username: user.password })]) {
      const response = await fetch(
        `${service.url}/login?password=${encodeURIComponent(user.password)}`,
        asJson(body),
      );
      for (const [token] of (await response.text()).matchAll(/eyJ[\w-]+\.[\w-]+\.[\w-]+/g))
        watch.keep('token', token);
    }
    await service.stop('SIGINT');
    expect(service.output.stdout).toContain('"answered"');
    watch.hear(...service.output.stdout.split('\n'), service.output.stderr);
  });

  it('loses its database', async () => {
    await onServer(`DROP DATABASE ${new URL(house.database.url).pathname.slice(1)} WITH (FORCE)`);
    const secrets = [pair.access_token, pair.refresh_token];
    for (const secret of secrets)
      for (const request of requestsWith(secret).slice(0, runs(150, 10_000))) await ask(request);
    await ask({ method: 'POST', url: '/login', payload: user });
    await command(['users', 'add', 'erin', '--password-stdin'], { input: user.password });
  });

  it('has said no secret, and no twelve characters of one', () => {
    const { lines, characters, secrets, pieces } = watch.figures();
    expect(lines).toBeGreaterThan(1000);
    expect(secrets).toBeGreaterThan(50);
    expect(watch.findLeaks()).toEqual([]);
    if (isLong)
      console.log({ ...counts, lines, characters, secrets, pieces, statuses: Object.fromEntries(statuses) });
  });
});

describe('a start with many mistakes', () => {
  const workshop = createWorkshop();
  afterAll(() => workshop.clear());

  const key = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();

  /** Each value holds what can be looked for. */
  const MISTAKES: Record<string, [value: string, fix: RegExp]> = {
    DATABASE_URL: [
      `mysql://u:${randomBytes(12).toString('hex')}@127.0.0.1/x`,
      /must be a URL such as postgresql:/,
    ],
    AUTH_SECRET: [key, /PEM, DER or JWK key.*openssl rand/],
    AUTH_SECRET_PREVIOUS: ['ab'.repeat(40), /repeats itself.*openssl rand/],
    PORT: ['seventy-thousand', /must be a whole number from 1 to 65535/],
    ISSUER: ['login.example.invalid', /must be an https URL .* such as https:/],
    AUDIENCE: ['everybody-'.repeat(26), /must be at most 256 characters/],
    JWT_ALGORITHM: ['HS256-or-none', /must be one of EdDSA, ES256, RS256/],
    ACCESS_TOKEN_TTL: ['-600s-negative', /must be a duration such as 30s/],
    REFRESH_TOKEN_TTL: ['Infinity-days', /must be a duration such as 30s/],
    SESSION_TTL: ['', /must be a duration such as .* or not be set at all/],
    REISSUE_GRACE: ['6m', /must be at most 5m/],
    REISSUE_MAX: ['minus-one-times', /must be a whole number from 0/],
    REFRESH_REPLAY_WINDOW: ['3000-without-unit', /must be a duration such as 30s.* or 0 to switch it off/],
    SESSIONS_PER_USER: ['nobody-at-all', /must be a whole number from 1/],
    PASSWORD_MIN_LENGTH: ['as-short-as-hunter2', /must be a whole number from 8 to 64/],
    CORS_ORIGINS: ['https://app.example.invalid/path,*,null', /must be exact origins such as https:/],
    TRUST_PROXY: ['everybody.invalid', /must be addresses or CIDR ranges such as 10\.0\.0\.0\/8/],
    GATEWAY_EXT: ['for-some-gateways', /must be on or off/],
    DOCS: ['perhaps-tomorrow', /must be on or off/],
    ACCOUNT_PAGE: ['perhaps-never', /must be on or off/],
    LOG_LEVEL: ['deafening-loud', /must be one of trace/],
  };

  it('names each with its fix and without its value, and ends with status 1', async () => {
    const environment = Object.fromEntries(Object.entries(MISTAKES).map(([name, [value]]) => [name, value]));
    const service = await workshop.spawn(environment);
    expect(await service.exited).toEqual({ code: 1, signal: null });
    const { stdout, stderr } = service.output;
    expect(stdout).toBe('');
    const [head, ...lines] = stderr.trimEnd().split('\n');
    expect(head).toBe('gatehouse: the configuration is wrong, see .env.example:');
    expect(lines.map((line) => /^ {2}(\w+) /.exec(line)?.[1]).sort()).toEqual(Object.keys(MISTAKES).sort());
    for (const [name, [value, fix]] of Object.entries(MISTAKES)) {
      expect(lines.find((line) => line.startsWith(`  ${name} `))).toMatch(fix);
      if (value.length > 8)
        for (const part of value.split(/[,\n]/)) expect(part === '' || !stderr.includes(part)).toBe(true);
    }
  });

  it('is the same for the command line', async () => {
    const environment = Object.fromEntries(Object.entries(MISTAKES).map(([name, [value]]) => [name, value]));
    const { status, stdout, stderr } = await gatehouse(['users', 'list'], { environment });
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr.trimEnd().split('\n')).toHaveLength(1 + Object.keys(MISTAKES).length);
  });

  it('warns of what may be meant otherwise, and starts', async () => {
    const database = await createEmptyDatabase();
    const service = await workshop.start({
      ...environmentFor(database.url),
      ISSUER: 'http://login.example.invalid',
      ACCESS_TOKEN_TLL: 'one-hour-please',
    });
    await service.stop('SIGINT');
    await database.drop();
    const warnings = service.output.stdout.split('\n').filter((line) => line.includes('"warn"'));
    expect(warnings.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual([
      expect.stringMatching(/^ISSUER is http: .* use https$/),
      'ACCESS_TOKEN_TLL is not read; if you meant ACCESS_TOKEN_TTL, rename it',
    ]);
    expect(service.output.stdout).not.toContain('one-hour-please');
  });
});

async function converse(port: number, text: string): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(text);
  socket.end();
  socket.resume();
  await once(socket, 'close');
}
