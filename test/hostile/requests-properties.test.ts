// Requests drawn from the OpenAPI document and away from it: every answer is one that the document promises.
import fc from 'fast-check';
import type { LightMyRequestResponse } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { runs } from '../support/hostile.js';
import { login } from '../support/house.js';
import { readPromises, type OpenApi, type Promises } from '../support/promises.js';
import { keyFor, openStage, type Stage } from './requests/stage.js';
import { bodiesOf, operationsOf, type Operation } from './requests/openapi.js';

let stage: Stage;
let operations: Operation[];
let promises: Promises;

beforeAll(async () => {
  stage = await openStage();
  const document = (await stage.replica.app.inject({ url: '/openapi.json' })).json<OpenApi>();
  operations = operationsOf(document);
  promises = readPromises(document);
});
afterAll(() => stage.close());

/** The operations of the contract; another test holds that the document has just these. */
const NAMES = [
  ...['post /login', 'post /refresh', 'post /logout', 'post /logout-all', 'get /session', 'get /sessions'],
  ...['delete /sessions/{id}', 'post /introspect', 'post /revoke', 'get /.well-known/jwks.json'],
  ...['get /.well-known/oauth-authorization-server', 'get /health', 'get /ready'],
];

const TYPES = [
  'application/json',
  'application/x-www-form-urlencoded',
  'text/plain',
  'application/json; charset=utf-16',
  '\t',
  'a/b',
];
const VISIBLE = fc.string({
  unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)),
});
const HEADER_NAMES = [
  ...[
    'Cookie',
    'Origin',
    'Accept',
    'X-Auth-Subject',
    'X-Original-URL',
    'X-HTTP-Method-Override',
    'Forwarded',
    'Range',
  ],
  ...[
    'If-None-Match',
    'If-Match',
    'Accept-Encoding',
    'Content-Language',
    'X-Request-Id',
    'User-Agent',
    'Upgrade-Insecure-Requests',
  ],
];

interface Drawn {
  body: string | undefined;
  id: string;
  query: string;
  key: 'fits' | 'none' | { wrong: string };
  type: 'right' | 'none' | { other: string };
  headers: [string, string][];
}

function requestsFor(operation: Operation): fc.Arbitrary<Drawn> {
  const mostly = <T>(usual: string, ...others: fc.Arbitrary<T>[]) =>
    fc.oneof(
      { weight: 6, arbitrary: fc.constant(usual as T) },
      ...others.map((arbitrary) => ({ weight: 1, arbitrary })),
    );
  return fc.record({
    body: bodiesOf(operation),
    id: fc.oneof(
      fc.uuid(),
      fc.string({ minLength: 1 }).map((text) => encodeURIComponent(text.toWellFormed())),
      VISIBLE,
    ),
    query: fc.oneof(
      fc.constant(''),
      VISIBLE.map((text) => `?${text}`),
    ),
    key: mostly<Drawn['key']>(
      'fits',
      fc.constant('none'),
      VISIBLE.map((wrong) => ({ wrong })),
    ),
    type: mostly<Drawn['type']>(
      'right',
      fc.constant('none'),
      fc.constantFrom(...TYPES).map((other) => ({ other })),
    ),
    headers: fc.array(fc.tuple(fc.constantFrom(...HEADER_NAMES), VISIBLE), { maxLength: 4 }),
  });
}

async function send(operation: Operation, { body, id, query, key, type, headers }: Drawn) {
  const all = [...headers];
  if (key === 'fits') all.push(...keyFor(operation.door, stage));
  if (typeof key === 'object') all.push(['Authorization', key.wrong]);
  if (type === 'right' && body !== undefined)
    all.push(['Content-Type', operation.body?.type ?? 'application/json']);
  if (typeof type === 'object') all.push(['Content-Type', type.other]);
  const path = operation.path.replace('{id}', id.replaceAll(/[#?]/g, '')) + query;
  return await stage.send({ method: operation.method, path, headers: all, body });
}

/** Whether the document admits this body; forms are judged by what a standard reader makes of them. */
function isAdmitted({ body: taken }: Operation, { body }: Drawn): boolean {
  if (taken === null) return true;
  if (body === undefined || body === '') return !taken.isRequired;
  if (taken.type !== 'application/json') {
    const names = [...new URLSearchParams(body).keys()];
    return (
      new Set(names).size === names.length &&
      taken.parse.safeParse(Object.fromEntries(new URLSearchParams(body))).success
    );
  }
  try {
    return taken.parse.safeParse(JSON.parse(body)).success;
  } catch {
    return false;
  }
}

describe.each(NAMES)('%s', (name) => {
  it('answers whatever it is sent as the document says, and takes no body that it does not admit', async () => {
    const operation = operations.find((candidate) => candidate.name === name);
    if (operation === undefined) throw new Error(`${name} is not in the document`);
    const verdicts = new Map<number, number>();
    const property = fc.asyncProperty(requestsFor(operation), async (drawn) => {
      const answer = await send(operation, drawn);
      const { statusCode } = answer;
      verdicts.set(statusCode, (verdicts.get(statusCode) ?? 0) + 1);
      promises.hold(operation.method, operation.path, answer);
      if (statusCode < 300) expect(isAdmitted(operation, drawn)).toBe(true);
      if (operation.door !== 'nobody' && statusCode < 300) expect(drawn.key).toBe('fits');
      // These two end what the next request needs.
      if (operation.path.startsWith('/logout') && statusCode < 300)
        stage.pair = await login(stage.replica, stage.user);
    });
    // On failure fast-check prints the seed, and the request in its smallest form.
    await fc.assert(property, { numRuns: runs(60, 2000), endOnFailure: false });
    expect(verdicts.size).toBeGreaterThan(0);
  }, 300_000);
});

it('the judge finds a status, a type, a header and a body that the document does not promise', () => {
  const answer = (statusCode: number, type: string, body: object, headers = {}) =>
    ({
      statusCode,
      headers: { 'content-type': type, ...headers },
      body: JSON.stringify(body),
      json: () => body,
    }) as never;
  const problem = {
    type: 'about:blank',
    title: 'a',
    status: 400,
    detail: 'a',
    instance: 'a',
    error: 'invalid_request',
  };
  const hold = (one: LightMyRequestResponse) => promises.hold('POST', '/login', one);
  hold(answer(400, 'application/problem+json', problem));
  const wrong = [
    answer(500, 'application/problem+json', problem),
    answer(404, 'application/problem+json', problem),
    answer(400, 'application/json', problem),
    answer(400, 'application/problem+json', { ...problem, error: 'unheard_of' }),
    answer(400, 'application/problem+json', { error: 'invalid_request' }),
    answer(400, 'application/problem+json', { ...problem, more: 1 }),
    answer(400, 'application/problem+json', problem, { 'set-cookie': 'a=b' }),
  ];
  for (const one of wrong) expect(() => hold(one)).toThrow();
});
