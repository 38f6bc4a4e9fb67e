// What the OpenAPI document promises, held against each answer: its status, its type, its body and its headers.
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify';

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
  const pathOf = createFinder(document);

  function validatorAt(...path: string[]): ValidateFunction {
    const pointer = path.map((part) => part.replaceAll('~', '~0').replaceAll('/', '~1')).join('/');
    const validator = validators.get(pointer) ?? ajv.compile({ $ref: `openapi#/${encodeURI(pointer)}` });
    validators.set(pointer, validator);
    return validator;
  }

  /** What is not as the document says; undefined where all is. */
  function complaintOf(method: string, url: string, response: LightMyRequestResponse): string | undefined {
    const path = pathOf(url);
    const verb = method.toLowerCase();
    const operation = path === undefined ? undefined : document.paths[path]?.[verb];
    if (path === undefined || operation === undefined) return undefined;
    const { statusCode, headers, body } = response;
    const name = `${method} ${path} ${statusCode}`;
    const promised = operation.responses[String(statusCode)];
    if (promised === undefined) return `${name} is not documented`;
    const named = Object.keys(promised.headers ?? {}).map((header) => header.toLowerCase());
    const unnamed = TELLING.filter((header) => header in headers && !named.includes(header));
    if (unnamed.length > 0) return `${name} has ${unnamed.join(' and ')}, which are not documented`;
    const types = Object.keys(promised.content ?? {});
    if (body === '') {
      if (promised.content !== undefined) return `${name} promises a body, and has none`;
      return 'content-type' in headers ? `${name} has a type and no body` : undefined;
    }
    const type = String(headers['content-type']).replace(/; charset=utf-8$/, '');
    if (types.join() !== type) return `${name} is of ${type}, not of ${types.join(' or ') || 'no type'}`;
    const at = ['paths', path, verb, 'responses', String(statusCode), 'content', type, 'schema'];
    const validate = validatorAt(...at);
    if (validate(response.json())) return undefined;
    return `${name} has another body: ${JSON.stringify(validate.errors)} in ${body}`;
  }

  return {
    // No `expect` for each answer: some tests ask ten thousand times, and its bookkeeping took longer than the comparison.
    hold: (method, url, response) => {
      const complaint = complaintOf(method, url, response);
      if (complaint !== undefined) throw new Error(complaint);
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

/** Finds the path as the document writes it; undefined for one that it leaves out. */
function createFinder({ paths }: OpenApi): (url: string) => string | undefined {
  // OpenAPI, Paths Object: concrete ones are matched first.
  const written = Object.keys(paths).sort((a, b) => Number(a.includes('{')) - Number(b.includes('{')));
  const patterns = written.map((path) => ({ path, parts: path.split('/') }));
  return (url) => {
    const asked = url.replace(/[?#].*/s, '').split('/');
    const isEqual = (part: string, at: number) => part === asked[at] || (part.startsWith('{') && asked[at]);
    return patterns.find(({ parts }) => parts.length === asked.length && parts.every(isEqual))?.path;
  };
}

/** The document leaves room for members to come; the service of today sends none that it does not name. */
function closed(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(closed);
  if (typeof node !== 'object' || node === null) return node;
  const copy = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, closed(value)]));
  const isShape = copy['type'] === 'object' && 'properties' in copy;
  return isShape ? { additionalProperties: false, ...copy } : copy;
}
