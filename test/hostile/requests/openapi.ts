// The OpenAPI document as a source of requests, and as the judge of answers.
import fc from 'fast-check';
import type { LightMyRequestResponse } from 'fastify';
import { expect } from 'vitest';
import { z } from 'zod';

export interface Schema {
  type?: string;
  anyOf?: Schema[];
  properties?: Record<string, Schema>;
  required?: string[];
}

interface Content {
  content?: Record<string, { schema: Schema }>;
}

export interface Operation {
  name: string;
  method: string;
  path: string;
  /** The type of the body and its schema; null where none is taken. */
  body: { type: string; schema: Schema; parse: z.ZodType; isRequired: boolean } | null;
  door: 'nobody' | 'user' | 'client';
  responses: Record<string, Content>;
}

interface Document {
  paths: Record<string, Record<string, DocumentedOperation>>;
}

interface DocumentedOperation {
  requestBody?: Content & { required?: boolean };
  security?: Record<string, unknown>[];
  responses: Record<string, Content>;
}

export function operationsOf(document: Document): Operation[] {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([verb, { requestBody, security = [], responses }]): Operation => {
      const [[type, { schema }] = ['', { schema: {} }]] = Object.entries(requestBody?.content ?? {});
      const isRequired = requestBody?.required === true;
      const schemes = security.flatMap((scheme) => Object.keys(scheme));
      return {
        name: `${verb} ${path}`,
        method: verb.toUpperCase(),
        path,
        body:
          requestBody === undefined
            ? null
            : { type, schema, parse: z.fromJSONSchema(schema as never), isRequired },
        door: schemes.includes('clientBasic')
          ? 'client'
          : schemes.includes('accessToken')
            ? 'user'
            : 'nobody',
        responses,
      };
    }),
  );
}

/** Values that a schema admits. */
function valueOf(schema: Schema): fc.Arbitrary<unknown> {
  if (schema.anyOf !== undefined) return fc.oneof(...schema.anyOf.map(valueOf));
  if (schema.type === 'string') return fc.string({ unit: fc.constantFrom('grapheme', 'binary') as never });
  if (schema.type === 'boolean') return fc.boolean();
  if (schema.type === 'null') return fc.constant(null);
  if (schema.type !== 'object') return fc.jsonValue();
  const members = Object.entries(schema.properties ?? {}).map(
    ([name, inner]) => [name, valueOf(inner)] as const,
  );
  return fc.record(Object.fromEntries(members), { requiredKeys: schema.required ?? [] });
}

/** Bodies that the schema admits, and bodies that are one or two steps away from such a one. */
export function bodiesOf({ body }: Operation): fc.Arbitrary<string | undefined> {
  if (body === null) return fc.oneof(fc.constant(undefined), fc.json());
  const write = body.type === 'application/json' ? JSON.stringify : writeForm;
  const good = textOf(valueOf(body.schema), write);
  const names = Object.keys(body.schema.properties ?? { any: 0 });
  const spoilt = fc
    .tuple(valueOf(body.schema), fc.oneof(fc.constantFrom(...names), fc.string()), fc.jsonValue())
    .map(([value, name, other]) =>
      write(value !== null && typeof value === 'object' ? { ...value, [name]: other } : other),
    );
  const cut = fc.tuple(good, fc.nat(), fc.string()).map(([text, at, inserted]) => {
    const place = at % (text.length + 1);
    return text.slice(0, place) + inserted + text.slice(place + (at % 3));
  });
  const twice = good.map((text) => `${text.slice(0, -1)},${text.slice(1)}`);
  return fc.oneof(good, spoilt, cut, twice, fc.json(), fc.string(), fc.constant(undefined));
}

function textOf(values: fc.Arbitrary<unknown>, write: (value: unknown) => string): fc.Arbitrary<string> {
  return values.map(write);
}

function writeForm(value: unknown): string {
  const pairs = typeof value === 'object' && value !== null ? Object.entries(value) : [];
  // As JSON: an object may have no text of its own, since a member named toString takes it away.
  const textIn = (inner: unknown) =>
    typeof inner === 'string' ? inner : JSON.stringify([inner]).slice(1, -1);
  // A lone surrogate has no percent-encoding.
  return new URLSearchParams(
    pairs.map(([name, inner]): [string, string] => [name, textIn(inner).toWellFormed()]),
  ).toString();
}

/** What may be refused anywhere, before a request is one for the operation. */
const GENERIC = ['400', '404', '413', '415'];

/** Fails unless the document promises this status for the operation, with this type and this body. */
export function expectPromised({ name, body, responses }: Operation, answer: LightMyRequestResponse): void {
  const status = String(answer.statusCode);
  const promised = responses[status];
  if (promised === undefined) {
    expect([name, status, GENERIC]).toEqual([
      name,
      status,
      body === null ? expect.toSatisfy((list: string[]) => list.includes(status)) : [],
    ]);
    return;
  }
  if (answer.body === '') {
    expect(answer.headers).not.toHaveProperty('content-type');
    return;
  }
  const type = String(answer.headers['content-type']).replace(/;.*/, '');
  const schema = promised.content?.[type]?.schema;
  expect([name, status, type, schema]).toEqual([name, status, type, expect.anything()]);
  const judged = z.fromJSONSchema(schema as never).safeParse(answer.json());
  expect([name, status, judged.error]).toEqual([name, status, undefined]);
}
