// The OpenAPI document: valid 3.1 in structure, complete, and about this app.
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { ERROR_CODES } from '@gatehouse/protocol';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { readVersion } from '../../src/config/version.js';
import { MEANINGS } from '../../src/http/answers/errors.js';
import { openHouse, type House, type Replica } from '../support/house.js';
import {
  holdAnswers,
  readPromises,
  type DocumentedOperation,
  type OpenApi,
  type Schema,
} from '../support/promises.js';

/** Contract section 3, as the document should name it; documentation itself and what gateways ask are left out. */
const OPERATIONS: Record<string, 'nobody' | 'accessToken' | 'client' | 'either'> = {
  'post /login': 'nobody',
  'post /refresh': 'either',
  'post /logout': 'either',
  'post /logout-all': 'client',
  'post /password': 'accessToken',
  'post /reauthenticate': 'accessToken',
  'post /password/reset': 'nobody',
  'get /session': 'accessToken',
  'get /sessions': 'accessToken',
  'delete /sessions/{id}': 'client',
  'post /sessions': 'client',
  'patch /sessions/{id}': 'client',
  'post /introspect': 'client',
  'post /introspect/batch': 'client',
  'post /revoke': 'client',
  'get /admin/users': 'client',
  'post /admin/users': 'client',
  'post /admin/users/import': 'client',
  'get /admin/users/{id}': 'client',
  'patch /admin/users/{id}': 'client',
  'delete /admin/users/{id}': 'client',
  'post /admin/users/{id}/unlock': 'client',
  'post /admin/users/{id}/password-reset': 'client',
  'get /admin/users/{id}/export': 'client',
  'get /admin/sessions': 'client',
  'get /admin/sessions/{id}': 'client',
  'get /admin/revocations': 'client',
  'post /admin/revocations': 'client',
  'get /admin/revocations/{id}': 'client',
  'post /admin/revocations/{id}/lift': 'client',
  'get /admin/clients': 'client',
  'post /admin/clients': 'client',
  'get /admin/clients/{id}': 'client',
  'patch /admin/clients/{id}': 'client',
  'delete /admin/clients/{id}': 'client',
  'post /admin/clients/{id}/secrets': 'client',
  'delete /admin/clients/{id}/secrets/{secretId}': 'client',
  'get /admin/events': 'client',
  'get /admin/keys': 'client',
  'post /admin/keys/rotate': 'client',
  'post /admin/keys/{kid}/retire': 'client',
  'get /.well-known/jwks.json': 'nobody',
  'get /.well-known/oauth-authorization-server': 'nobody',
  'get /': 'nobody',
  'get /health': 'nobody',
  'get /ready': 'nobody',
};

const HTTP_VERBS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'];

let house: House;
let replica: Replica;
let document: OpenApi;
const registered = new Set<string>();

beforeAll(async () => {
  house = await openHouse();
  const collect = (message: unknown) => {
    const { fastify } = message as { fastify: FastifyInstance };
    fastify.addHook('onRoute', ({ url }) => void registered.add(url));
  };
  subscribe('fastify.initialization', collect);
  replica = await house.replica();
  unsubscribe('fastify.initialization', collect);
  document = (await replica.app.inject({ url: '/openapi.json' })).json<OpenApi>();
});
afterAll(() => house.close());

function operations(): [name: string, operation: DocumentedOperation][] {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([verb, operation]): [string, DocumentedOperation] => [
      `${verb} ${path}`,
      operation,
    ]),
  );
}

it('is OpenAPI 3.1 of this service at this issuer', () => {
  expect(document.openapi).toMatch(/^3\.1\.\d+$/);
  expect(document.info).toMatchObject({ title: 'Gatehouse', version: readVersion() });
  expect(document.servers).toEqual([{ url: 'http://gatehouse.test' }]);
});

it('has exactly the operations of the contract', () => {
  expect(
    operations()
      .map(([name]) => name)
      .sort(),
  ).toEqual(Object.keys(OPERATIONS).sort());
});

it('has every URL of the app but those of pages, gateways and preflights', () => {
  const hidden = [...registered].filter((url) => !(url.replaceAll(/:(\w+)/g, '{$1}') in document.paths));
  expect(
    hidden.filter((url) => !/^\/(?:(?:docs|account)(?:\/.*)?|openapi\.json|session\/\*)$|^\*$/.test(url)),
  ).toEqual([]);
});

it('begins with login, and describes every group that it has', () => {
  const used = new Set(operations().flatMap(([, { tags = [] }]) => tags));
  expect(document.tags.map(({ name }) => name).sort()).toEqual([...used].sort());
  const [first] = document.tags;
  expect(operations().find(([, { tags = [] }]) => tags[0] === first?.name)?.[0]).toBe('post /login');
});

it('says where it is, for whoever reads it on the page', () => {
  expect(document.externalDocs.url).toBe('http://gatehouse.test/openapi.json');
});

it('uses only verbs and members that exist', () => {
  for (const [name, operation] of operations()) {
    expect(HTTP_VERBS).toContain(name.split(' ')[0]);
    const members = [
      'summary',
      'description',
      'tags',
      'operationId',
      'security',
      'parameters',
      'requestBody',
    ];
    expect([...members, 'responses']).toEqual(expect.arrayContaining(Object.keys(operation)));
  }
});

it('says of every operation what it is, and of every answer why', () => {
  for (const [name, { summary, responses }] of operations()) {
    expect([name, summary]).toEqual([name, expect.stringMatching(/\S/)]);
    expect(Object.keys(responses).some((status) => status.startsWith('2'))).toBe(true);
    for (const [status, { description }] of Object.entries(responses)) {
      expect(status).toMatch(/^[1-5]\d\d$/);
      expect([name, status, description]).toEqual([name, status, expect.stringMatching(/\S/)]);
    }
  }
});

it('names the door of every operation, by a scheme that it defines', () => {
  for (const [name, { security = [] }] of operations()) {
    const schemes = security.flatMap((requirement) => Object.keys(requirement));
    const isOptional = security.some((requirement) => Object.keys(requirement).length === 0);
    const door = schemes.includes('clientBasic')
      ? 'client'
      : isOptional
        ? 'either'
        : (schemes[0] ?? 'nobody');
    expect([name, door]).toEqual([name, OPERATIONS[name]]);
    for (const scheme of schemes) expect(document.components.securitySchemes).toHaveProperty(scheme);
  }
});

it('says of every operation what opens it, and of those that are open to anyone, that nothing is asked', () => {
  for (const [name, { security }] of operations()) {
    if (OPERATIONS[name] === 'nobody') expect([name, security]).toEqual([name, []]);
    else expect(security).not.toEqual([]);
  }
});

it('lets a client authenticate by Basic, or in the form', () => {
  for (const path of ['/introspect', '/revoke']) {
    expect(document.paths[path]?.['post']?.security).toEqual([{ clientBasic: [] }, {}]);
    const { properties } = document.components.schemas['TokenFormInput'] ?? {};
    expect(properties).toMatchObject({ client_id: { type: 'string' }, client_secret: { type: 'string' } });
  }
});

it('gives every operation an id of its own, which never changes: programs are made with it', () => {
  expect(operations().map(([name, { operationId }]) => [name, operationId])).toEqual([
    ['get /health', 'getHealth'],
    ['get /ready', 'getReadiness'],
    ['post /login', 'logIn'],
    ['post /refresh', 'refreshTokens'],
    ['post /logout', 'logOut'],
    ['post /password', 'changePassword'],
    ['post /password/reset', 'resetPassword'],
    ['get /.well-known/jwks.json', 'getPublicKeys'],
    ['get /.well-known/oauth-authorization-server', 'getServerMetadata'],
    ['get /', 'getAddresses'],
    ['post /introspect', 'introspectToken'],
    ['post /revoke', 'revokeToken'],
    ['post /introspect/batch', 'introspectTokens'],
    ['post /sessions', 'openSession'],
    ['get /sessions', 'listSessions'],
    ['patch /sessions/{id}', 'changeSession'],
    ['delete /sessions/{id}', 'endSession'],
    ['get /session', 'getSession'],
    ['post /logout-all', 'logOutEverywhere'],
    ['post /reauthenticate', 'reauthenticate'],
    ['get /admin/users', 'findUsers'],
    ['post /admin/users', 'createUser'],
    ['get /admin/users/{id}', 'findUser'],
    ['patch /admin/users/{id}', 'changeUser'],
    ['delete /admin/users/{id}', 'deleteUser'],
    ['post /admin/users/{id}/unlock', 'unlockUser'],
    ['post /admin/users/{id}/password-reset', 'issuePasswordCode'],
    ['get /admin/users/{id}/export', 'exportUser'],
    ['post /admin/users/import', 'importUsers'],
    ['get /admin/sessions', 'findSessions'],
    ['get /admin/sessions/{id}', 'findSession'],
    ['get /admin/revocations', 'findRevocations'],
    ['post /admin/revocations', 'endByOperator'],
    ['get /admin/revocations/{id}', 'findRevocation'],
    ['post /admin/revocations/{id}/lift', 'liftRevocation'],
    ['get /admin/clients', 'findClients'],
    ['post /admin/clients', 'addClient'],
    ['get /admin/clients/{id}', 'findClient'],
    ['patch /admin/clients/{id}', 'changeClient'],
    ['delete /admin/clients/{id}', 'removeClient'],
    ['post /admin/clients/{id}/secrets', 'addClientSecret'],
    ['delete /admin/clients/{id}/secrets/{secretId}', 'removeClientSecret'],
    ['get /admin/keys', 'findKeys'],
    ['post /admin/keys/rotate', 'rotateKeys'],
    ['post /admin/keys/{kid}/retire', 'retireKey'],
    ['get /admin/events', 'findEvents'],
  ]);
});

it('names the schema of each good answer, and of each body that has a member', () => {
  const bodies = operations().flatMap(([name, { requestBody, responses }]) =>
    [
      ['body', requestBody] as const,
      ...Object.entries(responses).filter(([status]) => status < '400'),
    ].flatMap(([what, part]) =>
      Object.values(part?.content ?? {}).map(({ schema }) => [name, what, schema] as const),
    ),
  );
  expect(bodies.length).toBeGreaterThan(50);
  const unnamed = bodies.filter(([, , schema]) => {
    const { oneOf = [], anyOf = [], ...only } = schema;
    const choices = [...oneOf, ...anyOf];
    return (choices.length > 0 ? choices : [only]).some(
      (each) => each.$ref === undefined && Object.keys(each.properties ?? {}).length > 0,
    );
  });
  expect(unnamed).toEqual([]);
});

it('tells tokens in the body from tokens in cookies: what has an access token is no answer in cookies', () => {
  const { TokenPair, SessionInCookies } = document.components.schemas;
  for (const path of ['/login', '/refresh', '/password']) {
    expect(document.paths[path]?.['post']?.responses['200']?.content?.['application/json']?.schema).toEqual({
      oneOf: [{ $ref: '#/components/schemas/TokenPair' }, { $ref: '#/components/schemas/SessionInCookies' }],
    });
  }
  expect(TokenPair?.required).toContain('access_token');
  expect(SessionInCookies).toMatchObject({ additionalProperties: false });
  expect(SessionInCookies?.properties).not.toHaveProperty('access_token');
  expect(document.components.schemas['AccessToken']).toMatchObject({ additionalProperties: false });
});

it('names the headers that a client acts on', () => {
  const named = operations().flatMap(([name, { responses }]) =>
    Object.entries(responses).flatMap(([status, { headers = {} }]) =>
      'Refreshed-API-Token' in headers ? [`${name} ${status}`] : [],
    ),
  );
  expect(named.sort()).toEqual([
    'get /session 200',
    'get /session 401',
    'get /sessions 200',
    'get /sessions 401',
    'post /introspect 200',
  ]);
  for (const [, { responses }] of operations()) {
    for (const [status, { headers = {} }] of Object.entries(responses)) {
      expect('WWW-Authenticate' in headers).toBe(status === '401');
      expect('Retry-After' in headers).toBe(['429', '503'].includes(status));
    }
  }
});

it('declares exactly the parameters that a path has', () => {
  for (const [name, { parameters = [] }] of operations()) {
    const inPath = [...name.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => parameter);
    const ofPath = parameters.filter((parameter) => parameter.in === 'path');
    expect(ofPath.map((parameter) => parameter.name)).toEqual(inPath);
    for (const parameter of ofPath) expect(parameter).toMatchObject({ required: true });
    // Lists, what comes in parts, and a gateway's question take others, and each of them can be left out.
    const others = parameters.filter((parameter) => parameter.in !== 'path');
    const takesOthers = /^get \/(?:admin\/(?:[a-z]+|users\/\{id\}\/export)|session)$/.test(name);
    expect([name, others.length > 0]).toEqual([name, takesOthers]);
    for (const parameter of others) expect(parameter).toMatchObject({ in: 'query', required: false });
  }
});

it.each([
  ['post /login', 'application/json', ['username', 'password']],
  ['post /password', 'application/json', ['current_password', 'new_password']],
  ['post /reauthenticate', 'application/json', ['password']],
  ['post /introspect', 'application/x-www-form-urlencoded', ['token']],
  ['post /introspect/batch', 'application/json', ['tokens']],
  ['post /revoke', 'application/x-www-form-urlencoded', ['token']],
])('shows the body of %s', (name, type, required) => {
  const operation = operations().find(([candidate]) => candidate === name)?.[1];
  expect(Object.keys(operation?.requestBody?.content ?? {})).toEqual([type]);
  expect(resolve(operation?.requestBody?.content?.[type]?.schema).required).toEqual(required);
});

it('writes refusals as the endpoint does, and says for each status which codes it may have', () => {
  const seen = new Set<string>();
  for (const [name, { responses }] of operations()) {
    const isOauth = /introspect$|revoke/.test(name);
    const type = isOauth ? 'application/json' : 'application/problem+json';
    for (const [status, { content = {}, description }] of Object.entries(responses)) {
      if (status < '400') continue;
      expect(Object.keys(content)).toEqual([type]);
      const { oneOf, ...only } = content[type]?.schema ?? {};
      for (const schema of (oneOf ?? [only]).map(resolve)) {
        const code = String(schema.properties?.['error']?.['const']);
        const meaning = MEANINGS[code as keyof typeof MEANINGS];
        expect([name, code, meaning.status]).toEqual([name, code, Number(status)]);
        if (!isOauth) expect(schema.properties?.['status']).toMatchObject({ const: Number(status) });
        expect(description).toContain(`\`${code}\``);
        seen.add(code);
      }
    }
  }
  // With another method nothing of these is asked.
  expect([...seen, 'method_not_allowed'].sort()).toEqual([...ERROR_CODES].sort());
});

/** The schema itself, where the document refers to it by name. */
function resolve(schema: Schema = {}): Schema {
  const name = schema.$ref?.replace('#/components/schemas/', '');
  return name === undefined ? schema : (document.components.schemas[name] ?? {});
}

it.each([
  ['a status', { statusCode: 299 }],
  ['a type', { headers: { 'content-type': 'text/plain' } }],
  ['a member', { body: '{"status":"alive","more":1}' }],
  ['an empty body', { body: '' }],
  ['a header', { headers: { 'content-type': 'application/json; charset=utf-8', 'set-cookie': 'a=b' } }],
])('finds in what tests are answered %s that it does not promise', async (_what, wrong) => {
  const right = {
    statusCode: 200,
    headers: { 'content-type': 'application/json; charset=utf-8' },
    body: '{"status":"alive"}',
  };
  const answering = (given: typeof right) => {
    const answer = { ...given, json: () => JSON.parse(given.body) as unknown };
    const app = { inject: () => Promise.resolve(answer) } as unknown as FastifyInstance;
    holdAnswers(app, readPromises(document));
    return app.inject({ url: '/health?x' });
  };
  await answering(right);
  await expect(answering({ ...right, ...wrong })).rejects.toThrow(/health/);
});

describe('every schema', () => {
  function* walk(value: unknown, path: string): Generator<[path: string, node: Record<string, unknown>]> {
    if (typeof value !== 'object' || value === null) return;
    if (!Array.isArray(value)) yield [path, value as Record<string, unknown>];
    for (const [key, inner] of Object.entries(value)) yield* walk(inner, `${path}/${key}`);
  }

  it('refers only to what is there', () => {
    for (const [path, { $ref }] of walk(document, '#')) {
      if (typeof $ref !== 'string') continue;
      const target = $ref
        .replace(/^#\//, '')
        .split('/')
        .reduce<unknown>((node, key) => (node as Record<string, unknown> | undefined)?.[key], document);
      expect([path, $ref, typeof target]).toEqual([path, $ref, 'object']);
    }
  });

  it('is JSON Schema 2020-12: no `nullable`, types that exist, required members that are there', () => {
    const types = ['string', 'number', 'integer', 'boolean', 'null', 'object', 'array'];
    for (const [path, node] of walk(document.paths, '#/paths')) {
      // Below `properties` the keys are names, not keywords.
      if (path.endsWith('/properties')) continue;
      expect([path, Object.keys(node)]).not.toEqual([path, expect.arrayContaining(['nullable'])]);
      if (typeof node['type'] === 'string' && 'type' in node)
        expect([path, types]).toEqual([path, expect.arrayContaining([node['type']])]);
      if (Array.isArray(node['required'])) {
        const { properties = {} } = node as Schema;
        expect([path, Object.keys(properties)]).toEqual([path, expect.arrayContaining(node['required'])]);
      }
    }
  });
});
