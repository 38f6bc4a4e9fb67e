// What the package for backends sends, and what it makes of answers that are none of Gatehouse's: never a yes, and never a secret told.
import type { RequestListener } from 'node:http';
import { describe, expect, it } from 'vitest';

import {
  BackendError,
  createBackend,
  type Backend,
  type BackendOptions,
} from '../../../packages/backend/src/backend.js';
import { listen } from '../resource-server/stage.js';

const SECRET = 'a%secret+of our own';
const BASIC = Buffer.from('shop%3A1:a%25secret%2Bof+our+own').toString('base64');
const ID = '01a203fe-bbc7-77e9-9198-c643995645db';

/** Patient, unless the test is about that. */
function open(url: string, more: Partial<BackendOptions> = {}): Backend {
  return createBackend({ url, clientId: 'shop:1', clientSecret: SECRET, timeoutMs: 30_000, ...more });
}

function answering(status: number, body: unknown, headers: Record<string, string> = {}): RequestListener {
  return (request, response) => {
    request.resume();
    response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', ...headers });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  };
}

async function failureOf(asked: Promise<unknown>): Promise<BackendError> {
  const error: unknown = await asked.then(
    (answer) => new Error(`it did not fail: ${JSON.stringify(answer)}`),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof BackendError)) throw error;
  return error;
}

const PROBLEM = { 'content-type': 'application/problem+json' };
const PAIR = {
  access_token: 'a.b.c',
  token_type: 'Bearer',
  expires_in: 600,
  refresh_token: 'd.e.f',
  refresh_expires_in: 86_400,
  session_id: ID,
};
const SHOWN = {
  id: ID,
  external_id: 'ada',
  username: 'Ada',
  scope: '',
  audience: ['gatehouse'],
  auth_time: 1,
  ext: {},
  amr: [],
  acr: null,
  act: null,
  created_at: '2026-12-01T00:00:00.000Z',
  expires_at: '2026-12-02T00:00:00.000Z',
};

describe('a request', () => {
  it('goes below the path of the URL, as JSON, with both halves of the credentials percent-encoded', async () => {
    const seen: unknown[] = [];
    const fake = await listen((request, response) => {
      let text = '';
      request.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      request.on('end', () => {
        const { method, url, headers } = request;
        seen.push([method, url, headers.authorization, headers['content-type'], text]);
        const [status, body] =
          { POST: [201, PAIR], PATCH: [200, SHOWN], DELETE: [204, ''] }[method ?? ''] ?? [];
        if (url?.endsWith('/logout-all') === true) answering(200, { sessions_ended: 1 })(request, response);
        else answering(Number(status), body)(request, response);
      });
    });
    const backend = open(`${fake.url}/auth//`);
    expect(await backend.openSession({ external_id: 'ada', scope: undefined })).toEqual(PAIR);
    expect(await backend.updateSession(ID, { acr: null })).toEqual(SHOWN);
    expect(await backend.endSession(ID)).toBe(true);
    expect(await backend.endAll('a/../ü')).toEqual({ sessions_ended: 1 });
    expect(seen).toEqual([
      ['POST', '/auth/sessions', `Basic ${BASIC}`, 'application/json', '{"external_id":"ada"}'],
      ['PATCH', `/auth/sessions/${ID}`, `Basic ${BASIC}`, 'application/json', '{"acr":null}'],
      ['DELETE', `/auth/sessions/${ID}`, `Basic ${BASIC}`, undefined, ''],
      ['POST', '/auth/logout-all', `Basic ${BASIC}`, 'application/json', '{"external_id":"a/../ü"}'],
    ]);
  });

  it.each(['..', '.', '', '../logout-all', `${ID}/..`, `${ID}?a`, `${ID}#a`, '%2e%2e', `${ID}\n`])(
    'is not made for an id such as %j: there is no such session',
    async (id) => {
      const fake = await listen(answering(204, ''));
      expect(await open(fake.url).endSession(id)).toBe(false);
      expect(await failureOf(open(fake.url).updateSession(id, {}))).toMatchObject({
        code: 'not_found',
        status: 404,
      });
      expect(fake.requests()).toBe(0);
    },
  );

  it.each([503, 429, 500, 401])('is made once, also after a %i', async (status) => {
    const fake = await listen(answering(status, { error: 'temporarily_unavailable' }, PROBLEM));
    const backend = open(fake.url);
    await failureOf(backend.openSession({ external_id: 'ada' }));
    await failureOf(backend.endSession(ID));
    expect(fake.requests()).toBe(2);
  });

  it.each([301, 302, 307, 308])('follows no redirect of %i with its secret', async (status) => {
    const elsewhere = await listen(answering(201, PAIR));
    const fake = await listen(answering(status, '', { location: `${elsewhere.url}/sessions` }));
    const error = await failureOf(open(fake.url).openSession({ external_id: 'ada' }));
    expect(error).toMatchObject({ code: 'unreachable', isUnavailable: true });
    expect(elsewhere.requests()).toBe(0);
  });

  it('is made with the `fetch` that was given', async () => {
    const asked: string[] = [];
    const own: typeof fetch = (url) => {
      asked.push(typeof url === 'string' ? url : 'no text');
      return Promise.resolve(new Response(null, { status: 204 }));
    };
    expect(await open('https://auth.example', { fetch: own }).endSession(ID)).toBe(true);
    expect(asked).toEqual([`https://auth.example/sessions/${ID}`]);
  });
});

describe('an answer that is none', () => {
  const without = (name: string) =>
    Object.fromEntries(Object.entries(PAIR).filter(([each]) => each !== name));
  it.each<[string, RequestListener]>([
    ['a page', answering(201, '<html>Log in</html>', { 'content-type': 'text/html' })],
    ['JSON that says it is a page', answering(201, PAIR, { 'content-type': 'text/html' })],
    ['another success', answering(200, PAIR)],
    ['nothing', answering(201, '')],
    ['half an answer', answering(201, JSON.stringify(PAIR).slice(0, -9))],
    ['a list', answering(201, [PAIR])],
    ['null', answering(201, 'null')],
    ...Object.keys(PAIR).map((name): [string, RequestListener] => [
      `no ${name}`,
      answering(201, without(name)),
    ]),
    ['a token that is none', answering(201, { ...PAIR, access_token: 'a b' })],
    ['an empty token', answering(201, { ...PAIR, refresh_token: '' })],
    ['another type of token', answering(201, { ...PAIR, token_type: 'mac' })],
    ['a lifetime that is a text', answering(201, { ...PAIR, expires_in: '600' })],
    ['a lifetime below 0', answering(201, { ...PAIR, expires_in: -1 })],
    ['304', answering(304, '')],
    ['404 of something else', answering(404, { error: 'no such page' })],
    ['400 whose code is none', answering(400, { error: 'Bad <Request>' }, PROBLEM)],
    ['a refusal that says it is a success', answering(200, { error: 'invalid_request' }, PROBLEM)],
  ])('opens nothing: %s', async (_what, listener) => {
    const { url } = await listen(listener);
    const error = await failureOf(open(url).openSession({ external_id: 'ada' }));
    expect(error).toMatchObject({ code: 'unexpected_answer', isUnavailable: false, name: 'BackendError' });
    expect(error.message).toMatch(/^Gatehouse answered \d{3}, and .*: is it Gatehouse\?$/);
    expect(error.message).not.toMatch(/[<{]|a\.b\.c|d\.e\.f/);
  });

  it('is a refresh token that nobody wanted', async () => {
    const { url } = await listen(answering(201, PAIR));
    const error = await failureOf(open(url).openSession({ external_id: 'ada', refresh: false }));
    expect(error.message).toContain('lacks a good refresh_token, refresh_expires_in');
  });

  it.each(Object.keys(SHOWN))('is a session without a good %s', async (name) => {
    const { url } = await listen(answering(200, { ...SHOWN, [name]: name === 'ext' ? [] : false }));
    const error = await failureOf(open(url).updateSession(ID, {}));
    expect(error.code).toBe('unexpected_answer');
    expect(error.message).toContain(`lacks a good ${name}:`);
  });

  it.each([{}, { sessions_ended: '1' }, { sessions_ended: -1 }, { sessions_ended: 1, more: 'yes' }])(
    'tells of no ends: %j',
    async (body) => {
      const { url } = await listen(answering(200, body));
      expect((await failureOf(open(url).endAll('ada'))).code).toBe('unexpected_answer');
    },
  );

  it.each<[string, RequestListener]>([
    ['200', answering(200, {})],
    ['404 of something else', answering(404, '<html>Not found</html>', { 'content-type': 'text/html' })],
    ['404 of another API', answering(404, { error: 'not_found' })],
    ['410', answering(410, { error: 'not_found' }, PROBLEM)],
    ['503', answering(503, { error: 'temporarily_unavailable' }, PROBLEM)],
  ])('ends no session, and does not say that there is none: %s', async (_what, listener) => {
    const { url } = await listen(listener);
    expect(await failureOf(open(url).endSession(ID))).toBeInstanceOf(BackendError);
  });

  it('is not read to its end when it has none', async () => {
    let sent = 0;
    const fake = await listen((request, response) => {
      request.resume();
      response.writeHead(201, { 'content-type': 'application/json' });
      const more = (): void => {
        while (!response.destroyed && response.write('x'.repeat(1024))) sent += 1024;
      };
      response.on('drain', more);
      more();
    });
    const error = await failureOf(open(fake.url).openSession({ external_id: 'ada' }));
    expect(error).toMatchObject({ code: 'unexpected_answer', status: 201 });
    // Of what never ends no more was taken than is on the way. When the connection goes is a matter of `fetch`.
    expect(sent).toBeLessThan(50_000_000);
  });
});

describe('nobody answers in time', () => {
  it.each<[string, RequestListener]>([
    ['no headers', () => undefined],
    [
      'no body',
      (_request, response) => {
        response.writeHead(201, { 'content-type': 'application/json' }).write('{');
      },
    ],
  ])('with %s', async (_what, listener) => {
    const { url } = await listen(listener);
    const error = await failureOf(open(url, { timeoutMs: 100 }).openSession({ external_id: 'ada' }));
    expect(error).toMatchObject({ code: 'unreachable', status: 0, isUnavailable: true });
    expect(error.message).toBe('Gatehouse gave no answer within 100 ms.');
  });
});

describe('a refusal', () => {
  it.each<[number, string, string | undefined, number | undefined, boolean]>([
    [503, 'temporarily_unavailable', '7', 7, true],
    [429, 'too_many_requests', '600', 600, true],
    [429, 'too_many_requests', '999999', 3600, true],
    [500, 'server_error', undefined, undefined, true],
    [503, 'temporarily_unavailable', 'Wed, 21 Oct 2026 07:28:00 GMT', undefined, true],
    [409, 'user_disabled', undefined, undefined, false],
    [409, 'a_code_of_later', undefined, undefined, false],
    [401, 'invalid_client', undefined, undefined, false],
  ])('of %i %s and Retry-After %s', async (status, code, retryAfter, retryAfterSeconds, isUnavailable) => {
    const headers = { ...PROBLEM, ...(retryAfter === undefined ? {} : { 'retry-after': retryAfter }) };
    const { url } = await listen(answering(status, { error: code, detail: 'So it is.' }, headers));
    const error = await failureOf(open(url).endAll('ada'));
    expect(error).toMatchObject({ code, status, retryAfterSeconds, isUnavailable });
    expect(error.message).toBe(`Gatehouse answered ${status} ${code}: So it is.`);
  });

  it('of a proxy is one that may pass, with a 502', async () => {
    const { url } = await listen(answering(502, '<html>', { 'content-type': 'text/html' }));
    expect(await failureOf(open(url).endAll('ada'))).toMatchObject({
      code: 'unexpected_answer',
      status: 502,
      isUnavailable: true,
    });
  });

  it('is one short line, without control characters and without our secret, whatever it says', async () => {
    const detail = `a\r\nb\u0000 ${SECRET} ${BASIC} ${'x'.repeat(5000)}`;
    const errors = [{ path: SECRET, message: `${BASIC}\n` }, null, 7];
    const { url } = await listen(answering(400, { error: 'invalid_request', detail, errors }, PROBLEM));
    const error = await failureOf(open(url).endAll('ada'));
    expect(error.message).toMatch(/^Gatehouse answered 400 invalid_request: a b /);
    expect(error.message.length).toBeLessThan(700);
    const told = [
      error.message,
      JSON.stringify(error),
      JSON.stringify(error.errors),
      String(error.stack),
    ].join();
    for (const secret of [SECRET, BASIC]) expect(told).not.toContain(secret);
  });
});

describe('options', () => {
  it.each<[string, object, RegExp]>([
    ['no url', { url: undefined }, /url is missing/],
    ['a url with credentials', { url: 'http://a:b@c.example' }, /url is not/],
    ['a url with a query', { url: 'http://c.example/?a' }, /url is not/],
    ['another protocol', { url: 'ftp://c.example' }, /url is not/],
    ['a url that is no text', { url: 7 }, /url is not/],
    ['an id that is empty', { clientId: '' }, /clientId is missing/],
    ['no secret', { clientSecret: undefined }, /clientSecret is missing/],
    ['a fetch that is none', { fetch: 'fetch' }, /fetch is not a function/],
    ['no time at all', { timeoutMs: 0 }, /timeoutMs is not a number from 1 to 60000/],
    ['a time that is no number', { timeoutMs: Number.NaN }, /timeoutMs is not/],
    ['a name that is none', { clientSecrets: 'a' }, /clientSecrets is no option/],
  ])('are refused with %s, and no value is repeated', (_what, wrong, message) => {
    const refused = () => open('http://c.example', wrong);
    expect(refused).toThrow(message);
    expect(refused).not.toThrow(SECRET);
  });

  it('names all mistakes in one sentence', () => {
    const none = { url: undefined, clientId: undefined, clientSecret: undefined };
    expect(() => createBackend(none)).toThrow(
      'gatehouse: url is missing; clientId is missing; clientSecret is missing',
    );
  });

  it('are kept out of what is printed', async () => {
    const { inspect } = await import('node:util');
    expect(inspect(open('http://c.example'), { depth: 9, showHidden: true })).not.toContain(SECRET);
  });
});
