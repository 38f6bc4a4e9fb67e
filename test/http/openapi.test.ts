// The OpenAPI document: valid 3.1 in structure, complete, and about this app.
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { ERROR_CODES } from '@gatehouse/protocol';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { openHouse, type House, type Replica } from '../support/house.js';

interface Schema {
  [keyword: string]: unknown;
  required?: string[];
  properties?: Record<string, Schema>;
}

interface Operation {
  summary?: string;
  description?: string;
  tags?: string[];
  operationId?: string;
  security?: Record<string, string[]>[];
  parameters?: { name: string; in: string; required?: boolean; schema: Schema }[];
  requestBody?: { content: Record<string, { schema: Schema }> };
  responses: Record<string, { description?: string; content?: Record<string, { schema: Schema }> }>;
}

interface Document {
  openapi: string;
  info: { title: string; version: string };
  servers: { url: string }[];
  paths: Record<string, Record<string, Operation>>;
  components: { schemas?: Record<string, Schema>; securitySchemes: Record<string, unknown> };
}

/** Contract section 3, as the document should name it; documentation itself and what gateways ask are left out. */
const OPERATIONS: Record<string, 'nobody' | 'accessToken' | 'clientBasic' | 'either'> = {
  'post /login': 'nobody',
  'post /refresh': 'either',
  'post /logout': 'either',
  'post /logout-all': 'accessToken',
  'post /password': 'accessToken',
  'get /session': 'accessToken',
  'get /sessions': 'accessToken',
  'delete /sessions/{id}': 'accessToken',
  'post /introspect': 'clientBasic',
  'post /revoke': 'clientBasic',
  'get /.well-known/jwks.json': 'nobody',
  'get /.well-known/oauth-authorization-server': 'nobody',
  'get /health': 'nobody',
  'get /ready': 'nobody',
};

const HTTP_VERBS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'];

let house: House;
let replica: Replica;
let document: Document;
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
  document = (await replica.app.inject({ url: '/openapi.json' })).json<Document>();
});
afterAll(() => house.close());

function operations(): [name: string, operation: Operation][] {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([verb, operation]): [string, Operation] => [`${verb} ${path}`, operation]),
  );
}

it('is OpenAPI 3.1 of this service at this issuer', () => {
  expect(document.openapi).toMatch(/^3\.1\.\d+$/);
  expect(document.info).toMatchObject({ title: 'Gatehouse', version: expect.any(String) as string });
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
  const hidden = [...registered].filter((url) => !(url.replace(':id', '{id}') in document.paths));
  expect(
    hidden.filter((url) => !/^\/(?:(?:docs|account)(?:\/.*)?|openapi\.json|session\/\*)$|^\*$/.test(url)),
  ).toEqual([]);
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
    const door = isOptional ? 'either' : (schemes[0] ?? 'nobody');
    expect([name, door]).toEqual([name, OPERATIONS[name]]);
    for (const scheme of schemes) expect(document.components.securitySchemes).toHaveProperty(scheme);
  }
});

it('declares exactly the parameters that a path has', () => {
  for (const [name, { parameters = [] }] of operations()) {
    const inPath = [...name.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => parameter);
    expect(parameters.map((parameter) => parameter.name)).toEqual(inPath);
    for (const parameter of parameters) expect(parameter).toMatchObject({ in: 'path', required: true });
  }
});

it.each([
  ['post /login', 'application/json', ['username', 'password']],
  ['post /password', 'application/json', ['current_password', 'new_password']],
  ['post /introspect', 'application/x-www-form-urlencoded', ['token']],
  ['post /revoke', 'application/x-www-form-urlencoded', ['token']],
])('shows the body of %s', (name, type, required) => {
  const operation = operations().find(([candidate]) => candidate === name)?.[1];
  expect(Object.keys(operation?.requestBody?.content ?? {})).toEqual([type]);
  expect(operation?.requestBody?.content[type]?.schema.required).toEqual(required);
});

it('writes refusals as the endpoint does, with the closed set of codes', () => {
  for (const [name, { responses }] of operations()) {
    const isOauth = /introspect|revoke/.test(name);
    const type = isOauth ? 'application/json' : 'application/problem+json';
    for (const [, response] of Object.entries(responses).filter(([status]) => status >= '400')) {
      const schema = response.content?.[type]?.schema;
      expect(Object.keys(response.content ?? {})).toEqual([type]);
      expect(schema?.properties?.['error']).toMatchObject({ enum: [...ERROR_CODES] });
    }
  }
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
