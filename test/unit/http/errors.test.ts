// How an error is written, without a service: what each code means, and how each error that a route throws is answered.
import fastify, { type FastifyContextConfig, type LightMyRequestResponse } from 'fastify';
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';

import { DatabaseUnavailable } from '../../../src/database/unavailable.js';
import { AuthError } from '../../../src/domain/errors.js';
import { installErrors, MEANINGS } from '../../../src/http/answers/errors.js';

const SECRET = 'what only the log may say';

interface Failure {
  config?: FastifyContextConfig;
  headers?: Record<string, string>;
  /** Whether a token came along. */
  carriesToken?: boolean;
}

/** Of a route that fails with this: its answer, and the lines of the log beside those of each request. */
async function failWith(error: unknown, { config = {}, headers = {}, carriesToken = false }: Failure = {}) {
  const lines: { msg: string }[] = [];
  const write = (line: string) => void lines.push(JSON.parse(line) as { msg: string });
  const app = fastify({ logger: { level: 'warn', stream: { write } } });
  app.decorateRequest('carriesToken', carriesToken);
  installErrors(app);
  app.get('/failing', { config }, (_request, reply) => {
    reply.headers({ 'refreshed-api-token': 'a.b.c', 'set-cookie': 'a=b', 'content-type': 'text/plain' });
    throw error;
  });
  const response = await app.inject({ url: '/failing', headers });
  await app.close();
  return { response, lines };
}

async function challengeOf(...failure: Parameters<typeof failWith>): Promise<unknown> {
  return (await failWith(...failure)).response.headers['www-authenticate'];
}

const carried = ({ headers }: LightMyRequestResponse) => [
  headers['refreshed-api-token'],
  headers['set-cookie'],
];

describe('each code', () => {
  it.each(Object.entries(MEANINGS))('%s has a title and a sentence', (_code, { title, detail }) => {
    expect(title).toMatch(/^[A-Z][a-z]/);
    expect(title).not.toMatch(/[.:]$/);
    expect(detail).toMatch(/^[A-Z].*\.$/);
  });

  it('has a title of its own', () => {
    const titles = Object.values(MEANINGS).map(({ title }) => title);
    expect(new Set(titles).size).toBe(titles.length);
  });
});

it('an error of ours is told in problem details, and keeps what the answer carries below 500', async () => {
  const issues = [{ path: 'body', message: 'is wrong' }];
  const { response, lines } = await failWith(new AuthError('invalid_request', { issues }));
  expect(response.statusCode).toBe(400);
  expect(response.headers['content-type']).toMatch(/^application\/problem\+json/);
  expect(response.json()).toEqual({
    type: 'about:blank',
    title: 'Invalid request',
    status: 400,
    detail: 'The request is malformed.',
    instance: 'req-1',
    error: 'invalid_request',
    errors: issues,
  });
  expect(response.headers).not.toHaveProperty('retry-after');
  expect(carried(response)).toEqual(['a.b.c', 'a=b']);
  expect(lines).toEqual([]);
});

it('a sentence of the error itself takes the place of that of its code, and no issues are none', async () => {
  const { response } = await failWith(new AuthError('not_found', { detail: 'No such user.' }));
  expect(response.json()).toMatchObject({ status: 404, detail: 'No such user.' });
  expect(response.json()).not.toHaveProperty('errors');
});

it('an address that leads nowhere is not found', async () => {
  const app = fastify();
  installErrors(app);
  const response = await app.inject('/none');
  expect([response.statusCode, response.json()]).toMatchObject([404, { error: 'not_found' }]);
  await app.close();
});

it.each([
  [new AuthError('temporarily_unavailable'), 503, '1'],
  [new AuthError('temporarily_unavailable', { retryAfterSeconds: 7 }), 503, '7'],
  [new AuthError('too_many_requests'), 429, '1'],
  [new AuthError('too_many_requests', { retryAfterSeconds: 30 }), 429, '30'],
])('%s is told when to ask again', async (error, status, seconds) => {
  const { response } = await failWith(error);
  expect([response.statusCode, response.headers['retry-after']]).toEqual([status, seconds]);
});

it('a database that cannot be asked is told from a bug, and the answer carries nothing', async () => {
  const outage = new DatabaseUnavailable('connection refused', 'database_unreachable', {
    cause: new Error(SECRET),
  });
  const { response, lines } = await failWith(outage);
  expect([response.statusCode, response.json()]).toMatchObject([503, { error: 'temporarily_unavailable' }]);
  expect(carried(response)).toEqual([undefined, undefined]);
  expect(lines).toEqual([]);
});

describe('an error of a library that has a status of its own', () => {
  const failure = (statusCode: number) => Object.assign(new RangeError(SECRET), { statusCode });

  it.each([
    [400, 400, 'invalid_request'],
    [404, 404, 'not_found'],
    [405, 405, 'method_not_allowed'],
    [413, 413, 'too_large'],
    [415, 415, 'unsupported_media_type'],
    [418, 400, 'invalid_request'],
    [431, 431, 'headers_too_large'],
    [499, 400, 'invalid_request'],
  ])('that is %i is answered %i %s, and is no bug', async (statusCode, status, error) => {
    const { response, lines } = await failWith(failure(statusCode));
    expect([response.statusCode, response.json()]).toMatchObject([status, { error }]);
    expect([response.body, lines]).toEqual([expect.not.stringContaining(SECRET), []]);
  });

  it.each([302, 399, 500, 502])('that is %i is a bug', async (statusCode) => {
    const { response, lines } = await failWith(failure(statusCode));
    expect([response.statusCode, response.json()]).toMatchObject([500, { error: 'server_error' }]);
    expect(response.body).not.toContain(SECRET);
    expect(carried(response)).toEqual([undefined, undefined]);
    expect(lines).toMatchObject([{ msg: 'this is a bug: a request was answered 500' }]);
    expect(JSON.stringify(lines)).toContain('RangeError');
  });

  it('that is 503 is no answer to anything, and the log says which it was', async () => {
    const { response, lines } = await failWith(failure(503));
    expect([response.statusCode, response.json()]).toMatchObject([503, { error: 'temporarily_unavailable' }]);
    expect(lines).toMatchObject([{ msg: 'a request was answered 503 for a reason that nobody foresaw' }]);
    expect(JSON.stringify(lines)).toContain('RangeError');
  });
});

it('what does not fit a schema is named by where it is, twenty times and in 200 characters at most', async () => {
  const app = fastify();
  installErrors(app);
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  const body = z.strictObject({ names: z.array(z.string()) });
  app.post('/named', { schema: { body } }, () => ({}));
  const errorsOf = async (payload: object) => {
    const response = await app.inject({ method: 'POST', url: '/named', payload });
    return response.json<{ errors: { path: string; message: string }[] }>().errors;
  };
  const many = await errorsOf({ names: Array.from({ length: 30 }, () => 1) });
  expect(many.map(({ path }) => path)).toEqual(Array.from({ length: 20 }, (_, at) => `body/names/${at}`));
  const [long] = await errorsOf({ names: [], ['x'.repeat(5000)]: 1 });
  expect(long).toEqual({ path: 'body', message: expect.stringMatching(/^.{200}$/) as string });
  await app.close();
});

it.each([
  [{ detail: 'Say “who”, not "what".' }, "Say 'who', not 'what'."],
  [
    { issues: ['is "missing"', 'has a \\'].map((message) => ({ path: 'body', message })) },
    "is 'missing'; has a '",
  ],
  [{}, 'The request is malformed.'],
])('the way of OAuth tells %j in the characters that it has', async (options, error_description) => {
  const error = new AuthError('invalid_request', options);
  const { response } = await failWith(error, { config: { errors: 'oauth' } });
  expect([response.statusCode, response.json()]).toEqual([
    400,
    { error: 'invalid_request', error_description },
  ]);
  expect(response.headers['content-type']).toBe('application/json; charset=utf-8');
});

describe('the challenge', () => {
  const TOKEN =
    'Bearer realm="gatehouse", error="invalid_token", error_description="The token is missing, malformed, expired or revoked."';
  const BASIC = 'Basic realm="gatehouse", charset="UTF-8"';
  const PLAIN = 'Bearer realm="gatehouse"';
  const operators: FastifyContextConfig = { door: 'operators' };

  it.each<[what: string, challenge: unknown, error: AuthError, failure: Failure]>([
    ['of any other status is none', undefined, new AuthError('insufficient_scope'), { carriesToken: true }],
    ['without a token is plain', PLAIN, new AuthError('invalid_token'), {}],
    ['about a token says what it is', TOKEN, new AuthError('invalid_token'), { carriesToken: true }],
    [
      'about a password is plain beside a token',
      PLAIN,
      new AuthError('invalid_credentials'),
      { carriesToken: true },
    ],
    ['of a client asks for its secret', BASIC, new AuthError('invalid_client'), {}],
    [
      'of a client asks for it also where a page would be read',
      BASIC,
      new AuthError('invalid_client'),
      { headers: { accept: 'text/html' } },
    ],
    [
      'of an operator’s program that says nothing of what it reads asks for its secret',
      BASIC,
      new AuthError('invalid_client'),
      { config: operators },
    ],
    [
      'of an operator’s program asks for its secret',
      BASIC,
      new AuthError('invalid_client'),
      { config: operators, headers: { accept: 'application/json' } },
    ],
    [
      'of an operator’s page opens no dialog',
      PLAIN,
      new AuthError('invalid_client'),
      { config: operators, headers: { accept: 'text/html, */*' } },
    ],
    [
      'about the age of a password says how old it may be, also without a token in a header',
      'Bearer realm="gatehouse", error="insufficient_user_authentication", ' +
        'error_description="The user gave the password too long ago for this.", max_age="900"',
      new AuthError('insufficient_user_authentication', { maxAgeSeconds: 900 }),
      {},
    ],
  ])('%s', async (_what, challenge, error, failure) => {
    expect(await challengeOf(error, failure)).toBe(challenge);
  });
});
