// The OpenAPI document as a source of requests.
import fc from 'fast-check';
import { z } from 'zod';

import type { OpenApi, Schema } from '../../support/promises.js';

export interface Operation {
  name: string;
  method: string;
  path: string;
  /** The type of the body and its schema; null where none is taken. */
  body: { type: string; schema: Schema; parse: z.ZodType; isRequired: boolean } | null;
  door: 'nobody' | 'user' | 'client';
}

export function operationsOf(document: OpenApi): Operation[] {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([verb, { requestBody, security = [] }]): Operation => {
      const [[type, content] = ['', { schema: {} }]] = Object.entries(requestBody?.content ?? {});
      const schema = resolve(content.schema, document);
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
      };
    }),
  );
}

/** The schema with what it refers to in its place. */
function resolve(schema: Schema, { components }: OpenApi): Schema {
  return JSON.parse(JSON.stringify(schema), (_key, value: unknown) => {
    const name = /^#\/components\/schemas\/(.+)$/.exec(String((value as Schema | null)?.$ref))?.[1];
    return name === undefined ? value : components.schemas[name];
  }) as Schema;
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
