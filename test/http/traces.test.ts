// Traces, as a collector receives them: a span for each request, one for a statement that several requests share, and no secret in any.
import { connect, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { Writable } from 'node:stream';
import type { InjectOptions, LightMyRequestResponse } from 'fastify';
import pino from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';

import type { Database } from '../../src/database/prisma.js';
import { DatabaseUnavailable } from '../../src/database/unavailable.js';
import { told } from '../../src/domain/reports/told.js';
import { loggerOptions } from '../../src/http/log/log.js';
import { createTracing, type Tracing } from '../../src/observability/traces/tracing.js';
import {
  AMPLE_MS,
  basic,
  bearer,
  introspect,
  login,
  openHouse,
  refresh,
  type House,
  type Replica,
  type TestClient,
} from '../support/house.js';
import { openOtlpReceiver, type OtlpReceiver, type ReceivedSpan } from '../support/otlp-receiver.js';
import { createSecretWatch } from '../support/secret-watch.js';

const SERVER = 2;
const ERROR = 2;
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = '00f067aa0ba902b7';
const SAMPLED = { traceparent: `00-${TRACE}-${PARENT}-01` };

let house: House;
let client: TestClient;
beforeAll(async () => {
  house = await openHouse();
  client = await house.client();
});
afterAll(() => house.close());

let receiver: OtlpReceiver;
let tracing: Tracing;
let lines: Record<string, unknown>[];
afterEach(async () => {
  await tracing.stop();
  await receiver.close();
  vi.unstubAllEnvs();
});

const logger = pino(
  loggerOptions('debug'),
  new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      lines.push(JSON.parse(chunk.toString()) as Record<string, unknown>);
      done();
    },
  }),
);

/** A replica that is traced until the test ends. */
async function tracedReplica({
  environment = {},
  sendingMs = AMPLE_MS,
  ...options
}: { environment?: Record<string, string>; sendingMs?: number } & Parameters<
  House['replica']
>[0] = {}): Promise<Replica> {
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
  lines = [];
  receiver = await openOtlpReceiver();
  tracing = createTracing({ endpoint: receiver.url, version: '1.2.3', sendingMs }, logger);
  return await house.replica({ logger, traces: tracing, ...options });
}

/** All that was traced. Nothing is from now on. */
async function received(): Promise<ReceivedSpan[]> {
  await tracing.stop();
  return receiver.spans;
}

function only<Item>(items: Item[]): Item {
  expect(items).toHaveLength(1);
  return items[0] as Item;
}

const requestsOf = (spans: ReceivedSpan[]) => spans.filter(({ kind }) => kind === SERVER);

it('has a span for a login, and below it one for each statement and for the password', async () => {
  const replica = await tracedReplica();
  await login(replica, await house.user());
  const spans = await received();
  const request = only(requestsOf(spans));
  expect(request).toMatchObject({
    name: 'POST /login',
    parentSpanId: '',
    attributes: {
      'http.request.method': 'POST',
      'http.route': '/login',
      'http.response.status_code': 200,
    },
    status: { code: 0, message: '' },
    links: [],
    resource: { 'service.name': 'gatehouse', 'service.version': '1.2.3' },
  });
  const below = spans.filter(({ parentSpanId }) => parentSpanId === request.spanId);
  expect(below.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['find_user', 'argon2', 'open_session']),
  );
  expect(below).toHaveLength(spans.length - 1);
  for (const { traceId, attributes, kind } of below) {
    expect(traceId).toBe(request.traceId);
    expect(attributes).toEqual(kind === 1 ? {} : { 'db.system.name': 'postgresql' });
  }
});

it('sends to /v1/traces, and what the standard variables say', async () => {
  const replica = await tracedReplica({
    environment: {
      OTEL_SERVICE_NAME: 'logins',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=staging',
      OTEL_EXPORTER_OTLP_HEADERS: 'x-key=a%20key',
      OTEL_EXPORTER_OTLP_COMPRESSION: 'none',
    },
  });
  await replica.app.inject('/');
  const { resource } = only(await received());
  expect(resource).toMatchObject({ 'service.name': 'logins', 'deployment.environment.name': 'staging' });
  const { path, headers } = only(receiver.requests);
  expect(path).toBe('/v1/traces');
  expect(headers).toMatchObject({ 'x-key': 'a key', 'content-type': 'application/x-protobuf' });
});

it('traces nothing where the sampler says so, and statements of nobody neither', async () => {
  const replica = await tracedReplica({ environment: { OTEL_TRACES_SAMPLER: 'always_off' } });
  await introspect(replica, client, 'no token');
  expect(await received()).toEqual([]);
});

describe('a statement of liveness', () => {
  /** As many statements as there may be at once wait for `release`; so the requests after them share one. */
  function holding(database: Database): Database & { release: () => void } {
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    return {
      ...database,
      release: () => release(),
      prepared: (name, columns) => {
        const ask = database.prepared(name, columns);
        if (name !== 'liveness') return ask;
        return async (...asked) => {
          await released;
          return await ask(...asked);
        };
      },
    };
  }

  it('has one span for two requests, with a link to each and from each', async () => {
    let held: ReturnType<typeof holding> | undefined;
    const replica = await tracedReplica({ through: (database) => (held = holding(database)) });
    const pair = await house.replica().then(async (other) => login(other, await house.user()));
    let asked = 0;
    const stopCounting = told.question.listen(() => (asked += 1));
    const answers: Promise<LightMyRequestResponse>[] = [];
    for (let n = 1; n <= 4; n += 1) {
      answers.push(introspect(replica, client, pair.access_token));
      // Two statements are under way, each with one question: those that follow wait, and go together.
      await vi.waitUntil(() => asked === n, { timeout: 15_000 });
      await new Promise((resolve) => setImmediate(resolve));
    }
    stopCounting();
    held?.release();
    for (const answer of answers) expect((await answer).json()).toMatchObject({ active: true });

    const spans = await received();
    const statements = spans.filter(({ name }) => name === 'liveness');
    const shared = only(statements.filter(({ attributes }) => attributes['gatehouse.questions'] === 2));
    expect(statements).toHaveLength(3);
    expect(shared).toMatchObject({ parentSpanId: '', kind: 3, status: { code: 0 } });
    const requests = requestsOf(spans);
    expect(requests.map(({ name }) => name)).toEqual(Array(4).fill('POST /introspect'));
    const linked = requests.filter(({ links }) => links[0]?.spanId === shared.spanId);
    const contexts = linked.map(({ traceId, spanId }) => ({ traceId, spanId }));
    expect(contexts).toHaveLength(2);
    expect(shared.links).toHaveLength(2);
    expect(shared.links).toEqual(expect.arrayContaining(contexts));
    expect(new Set(spans.map(({ traceId }) => traceId)).size).toBe(7);
  });

  it('is an error with its requests when nobody answers', async () => {
    const replica = await tracedReplica({
      through: (database) => ({
        ...database,
        prepared: (name, columns) =>
          name === 'liveness'
            ? () => Promise.reject(new DatabaseUnavailable('ECONNREFUSED', 'database_unreachable'))
            : database.prepared(name, columns),
      }),
    });
    await introspect(replica, client, 'no token');
    const spans = await received();
    expect(spans.map(({ name, status }) => [name, status])).toEqual([
      ['liveness', { code: ERROR, message: '' }],
      ['POST /introspect', { code: ERROR, message: '' }],
    ]);
  });
});

it('keeps to its request when the body comes later than the headers', async () => {
  const { app } = await tracedReplica();
  await app.listen({ port: 0, host: '127.0.0.1' });
  const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1');
  const body = JSON.stringify({ username: 'nobody', password: 'a password of nobody' });
  const arrived = once(app.server, 'request');
  socket.write(
    `POST /login HTTP/1.1\r\nHost: gatehouse.test\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`,
  );
  await arrived;
  socket.write(body);
  await once(socket, 'data');
  socket.destroy();
  const spans = await received();
  const request = only(requestsOf(spans));
  expect(request.attributes['http.response.status_code']).toBe(401);
  const hashing = only(spans.filter(({ name }) => name === 'argon2'));
  expect(hashing.parentSpanId).toBe(request.spanId);
});

it('says of refusals that they are no errors', async () => {
  const { app } = await tracedReplica();
  const payload = { username: 'nobody', password: 'a password of nobody' };
  await app.inject({ method: 'POST', url: '/login', payload });
  await app.inject({ url: '/elsewhere' });
  await app.inject({ method: 'PUT', url: '/login' });
  const requests = requestsOf(await received());
  expect(requests.map(({ name, attributes, status }) => [name, attributes, status.code])).toEqual([
    ['POST /login', expect.objectContaining({ 'http.response.status_code': 401 }), 0],
    ['GET', { 'http.request.method': 'GET', 'http.response.status_code': 404 }, 0],
    ['PUT /login', expect.objectContaining({ 'http.route': '/login', 'http.response.status_code': 405 }), 0],
  ]);
});

it('has no span for /health and /ready', async () => {
  const { app } = await tracedReplica();
  for (const url of ['/health', '/ready?now']) expect((await app.inject(url)).statusCode).toBe(200);
  expect((await app.inject({ method: 'PUT', url: '/health' })).statusCode).toBe(405);
  expect(await received()).toEqual([]);
  for (const line of lines) expect(line).not.toHaveProperty('trace_id');
});

it('names trace and span in the line of a request', async () => {
  const { app } = await tracedReplica();
  await app.inject({ method: 'POST', url: '/login', payload: {} });
  const { traceId, spanId } = only(requestsOf(await received()));
  const line = only(lines.filter(({ msg }) => msg === 'answered'));
  expect(line).toMatchObject({ trace_id: traceId, span_id: spanId, url: '/login' });
});

describe('which trace a request belongs to', () => {
  async function traceOf(replica: Replica, request: InjectOptions): Promise<ReceivedSpan> {
    await replica.app.inject(request);
    return only(requestsOf(await received()));
  }
  const asking = {
    method: 'POST',
    url: '/introspect/batch',
    payload: { tokens: ['no token'] },
  } as const;

  it('a client with a secret says', async () => {
    const headers = { ...basic(client), ...SAMPLED, tracestate: 'vendor=words-of-a-caller' };
    const span = await traceOf(await tracedReplica(), { ...asking, headers });
    expect(span).toMatchObject({ traceId: TRACE, parentSpanId: PARENT, traceState: '' });
  });

  it('a client also says that it is not sampled', async () => {
    const replica = await tracedReplica();
    const headers = { ...basic(client), traceparent: `00-${TRACE}-${PARENT}-00` };
    await replica.app.inject({ ...asking, headers });
    expect(await received()).toEqual([]);
    expect(only(lines.filter(({ msg }) => msg === 'answered'))).toMatchObject({ trace_id: TRACE });
  });

  it.each([SAMPLED, { traceparent: `00-${TRACE}-${PARENT}-00` }])('nobody else says: %j', async (headers) => {
    const span = await traceOf(await tracedReplica(), { url: '/session', headers });
    expect(span.traceId).not.toBe(TRACE);
    expect(span.parentSpanId).toBe('');
  });

  it('nobody else forces to be sampled', async () => {
    const replica = await tracedReplica({ environment: { OTEL_TRACES_SAMPLER: 'parentbased_always_off' } });
    await replica.app.inject({ url: '/session', headers: SAMPLED });
    expect(await received()).toEqual([]);
  });

  it('a proxy that is believed says', async () => {
    const replica = await tracedReplica({ config: { trustProxy: ['192.0.2.1'] } });
    const request = { url: '/session', headers: SAMPLED, remoteAddress: '192.0.2.1' };
    expect(await traceOf(replica, request)).toMatchObject({ traceId: TRACE, parentSpanId: PARENT });
  });
});

it('sends no secret, no name and nothing of a URL, and no words of errors', async () => {
  const watch = createSecretWatch();
  const replica = await tracedReplica();
  const user = await house.user();
  const pair = await login(replica, user);
  const next = await refresh(replica, pair.refresh_token);
  const { access_token: access, refresh_token: second } = next.json<typeof pair>();
  watch.keep('user', user.username, user.password, user.id);
  watch.keep('client', client.id, client.secret);
  for (const token of [pair.access_token, pair.refresh_token, access, second]) watch.keep('token', token);
  watch.keep('session', pair.session_id);
  watch.keep('caller', 'words-of-a-caller', '203.0.113.77', 'agent-of-a-caller');

  const { app } = replica;
  const headers = {
    ...bearer(access),
    ...{ 'user-agent': 'agent-of-a-caller', traceparent: SAMPLED.traceparent },
    ...{ tracestate: 'x=words-of-a-caller', baggage: 'x=words-of-a-caller' },
  };
  const remoteAddress = '203.0.113.77';
  const query = `token=${access}&x=words-of-a-caller`;
  for (const request of [
    { url: `/session?${query}` },
    { url: `/words-of-a-caller/${access}?${query}` },
    { method: 'DELETE', url: `/sessions/${pair.session_id}-words-of-a-caller` },
    { url: `/session/words-of-a-caller` },
    { method: 'POST', url: `/login?${query}`, payload: `{"username":"${user.username}","password":"` },
    { method: 'POST', url: '/login', payload: { username: user.username, password: 'words-of-a-caller' } },
    { method: 'PROPFIND', url: `/words-of-a-caller?${query}` },
    { method: 'POST', url: '/logout', payload: 'x', headers: { 'content-type': 'words-of-a-caller' } },
  ] as InjectOptions[])
    await app.inject({ ...request, remoteAddress, headers: { ...headers, ...request.headers } });
  await introspect(replica, { ...client, secret: 'words-of-a-caller' }, access);
  await introspect(replica, client, access);

  const spans = await received();
  expect(requestsOf(spans).length).toBe(12);
  // In protobuf, texts stand as they are.
  watch.hear(...receiver.bodies.map(String), ...spans.map((span) => JSON.stringify(span)));
  expect(watch.findLeaks()).toEqual([]);
  expect(new Set(spans.flatMap(({ events }) => events))).toEqual(new Set());
  expect(new Set(spans.map(({ status }) => status.message))).toEqual(new Set(['']));
});

describe('a collector', () => {
  it('that refuses costs one line, and another one when it refuses again later', async () => {
    const { app } = await tracedReplica({ environment: { OTEL_BSP_SCHEDULE_DELAY: '1' } });
    const said = () => lines.filter(({ msg }) => String(msg).startsWith('spans cannot be sent'));
    async function askUntil(isDone: () => boolean): Promise<void> {
      await vi.waitUntil(
        async () => {
          expect((await app.inject('/')).statusCode).toBeLessThan(400);
          return isDone();
        },
        { timeout: 60_000, interval: 5 },
      );
    }
    receiver.answerBy(400);
    await askUntil(() => receiver.requests.length > 3);
    expect(said()).toHaveLength(1);
    receiver.answerBy(200);
    await askUntil(() => receiver.spans.length > 0);
    receiver.answerBy(400);
    await askUntil(() => said().length === 2);
  });

  it('that never answers keeps nobody waiting', async () => {
    const { app } = await tracedReplica({ sendingMs: 50 });
    receiver.answerBy(null);
    expect((await app.inject('/')).statusCode).toBeLessThan(400);
    expect(await received()).toEqual([]);
  });
});
