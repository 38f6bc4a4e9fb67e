// What the OpenAPI document promises, held against each answer: its status, its type, its body and its headers.
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify';
import { expect } from 'vitest';

export interface Schema {
  [keyword: string]: unknown;
  type?: string;
  required?: string[];
  properties?: Record<string, Schema>;
  anyOf?: Schema[];
  oneOf?: Schema[];
  $ref?: string;
}

export interface Content {
  content?: Record<string, { schema: Schema }>;
}

export interface DocumentedOperation {
  summary?: string;
  description?: string;
  tags?: string[];
  operationId?: string;
  security?: Record<string, string[]>[];
  parameters?: { name: string; in: string; required?: boolean; schema: Schema }[];
  requestBody?: Content & { required?: boolean };
  responses: Record<string, Content & { description?: string; headers?: Record<string, unknown> }>;
}

export interface OpenApi {
  openapi: string;
  info: { title: string; version: string };
  servers: { url: string }[];
  tags: { name: string; description: string }[];
  externalDocs: { url: string };
  paths: Record<string, Record<string, DocumentedOperation>>;
  components: { schemas: Record<string, Schema>; securitySchemes: Record<string, unknown> };
}

/** Headers that mean something to a client, and that an answer has only where the document says so. */
const TELLING = ['refreshed-api-token', 'set-cookie', 'www-authenticate', 'retry-after', 'x-auth-subject'];

export interface Promises {
  /** Fails unless the document promises such an answer; says nothing of what the document leaves out. */
  hold: (method: string, url: string, response: LightMyRequestResponse) => void;
}

export function readPromises(document: OpenApi): Promises {
  const ajv = new Ajv2020({ strict: false, validateSchema: false, allErrors: true });
  addFormats.default(ajv);
  ajv.addSchema(closed({ ...document, $id: 'openapi' }) as never);
  const validators = new Map<string, ValidateFunction>();

  function validatorAt(...path: string[]): ValidateFunction {
    const pointer = path.map((part) => part.replaceAll('~', '~0').replaceAll('/', '~1')).join('/');
    const validator = validators.get(pointer) ?? ajv.compile({ $ref: `openapi#/${encodeURI(pointer)}` });
    validators.set(pointer, validator);
    return validator;
  }

  return {
    hold: (method, url, response) => {
      const path = findPath(document, url);
      const verb = method.toLowerCase();
      const operation = path === undefined ? undefined : document.paths[path]?.[verb];
      if (path === undefined || operation === undefined) return;
      const status = String(response.statusCode);
      const name = `${method} ${path} ${status}`;
      const promised = operation.responses[status];
      expect(promised, `${name} is documented`).toBeDefined();
      const headers = Object.keys(promised?.headers ?? {}).map((header) => header.toLowerCase());
      const told = TELLING.filter((header) => header in response.headers);
      expect([name, headers]).toEqual([name, expect.arrayContaining(told)]);
      if (response.body === '') {
        expect(promised?.content, `${name} promises a body`).toBeUndefined();
        expect(response.headers).not.toHaveProperty('content-type');
        return;
      }
      const type = String(response.headers['content-type']).replace(/; charset=utf-8$/, '');
      expect([name, Object.keys(promised?.content ?? {})]).toEqual([name, [type]]);
      const validate = validatorAt('paths', path, verb, 'responses', status, 'content', type, 'schema');
      validate(response.json());
      expect([name, validate.errors, response.body]).toEqual([name, null, response.body]);
    },
  };
}

/** Holds every answer that tests get from this app by `inject` against the promises. */
export function holdAnswers(app: FastifyInstance, promises: Promises): void {
  const inject = app.inject.bind(app);
  app.inject = (async (options: InjectOptions | string) => {
    const { method = 'GET', url = '' } = typeof options === 'string' ? { url: options } : options;
    const response = await inject(options);
    if (typeof url === 'string') promises.hold(method, url, response);
    return response;
  }) as typeof app.inject;
}

/** The path as the document writes it; undefined for one that it leaves out. */
function findPath({ paths }: OpenApi, url: string): string | undefined {
  const asked = url.replace(/[?#].*/s, '');
  return Object.keys(paths).find((path) => {
    const parts = path.split('/');
    const other = asked.split('/');
    const isEqual = (part: string, at: number) => part === other[at] || (/^\{/.test(part) && other[at]);
    return parts.length === other.length && parts.every(isEqual);
  });
}

/** The document leaves room for members to come; the service of today sends none that it does not name. */
function closed(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(closed);
  if (typeof node !== 'object' || node === null) return node;
  const copy = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, closed(value)]));
  const isShape = copy['type'] === 'object' && 'properties' in copy;
  return isShape ? { additionalProperties: false, ...copy } : copy;
}
