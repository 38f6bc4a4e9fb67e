// What an answer must look like, whatever was asked: shapes to the letter, and nothing that was sent or is ours.
import type { LightMyRequestResponse } from 'fastify';
import { expect } from 'vitest';
import type { z } from 'zod';

import { oauthError, problem } from '../../src/http/openapi/schemas.js';

/** Put it in whatever is sent; no refusal may contain it. */
export const MARKER = 'mArKeR-5f1c';

export const PLAIN_CHALLENGE = 'Bearer realm="gatehouse"';
export const CLIENT_CHALLENGE = 'Basic realm="gatehouse", charset="UTF-8"';

/** RFC 6750 section 3, with the characters that it allows in an `error_description`. */
export const TOKEN_CHALLENGE =
  /^Bearer realm="gatehouse", error="invalid_token", error_description="[\x20\x21\x23-\x5b\x5d-\x7e]+"$/;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** Words of SQL, of stacks and of the libraries beneath; `sessions:read` is a permission. */
const INSIDES =
  /\b(?:SELECT|INSERT|UPDATE|sessions(?!:)|revocations(?!:)|prisma|postgres|pg|zod|fastify|FST_)\b|node_modules|\.[jt]s:\d|\n\s+at /i;

export interface Refusal {
  status: number;
  error: string;
  challenge?: string;
  errors?: { path: string; message: string }[];
}

/** Reads a refusal as problem details (RFC 9457); the test fails on any member or header out of place. */
export function problemOf(response: LightMyRequestResponse): Refusal {
  expect(response.headers['content-type']).toMatch(/^application\/problem\+json(?:; charset=utf-8)?$/);
  const body = response.json<z.infer<typeof problem>>();
  const members = ['detail', 'error', 'instance', 'status', 'title', 'type'];
  expect(Object.keys(body).sort()).toEqual(
    (body.errors === undefined ? members : [...members, 'errors']).sort(),
  );
  expect(problem.parse(body)).toEqual(body);
  expect(body.type).toBe('about:blank');
  expect(body.status).toBe(response.statusCode);
  expect(body.instance).toBe(response.headers['x-request-id']);
  return refusalOf(response, body.error, body.errors);
}

/** Reads a refusal as OAuth writes it (RFC 6749 section 5.2), as strictly. */
export function oauthErrorOf(response: LightMyRequestResponse): Refusal {
  expect(response.headers['content-type']).toBe('application/json; charset=utf-8');
  const body = response.json<z.infer<typeof oauthError>>();
  expect(Object.keys(body).sort()).toEqual(['error', 'error_description']);
  expect(oauthError.parse(body)).toEqual(body);
  // RFC 6749 section 5.2: the characters of an error_description.
  expect(body.error_description).toMatch(/^[\x20\x21\x23-\x5b\x5d-\x7e]+$/);
  return refusalOf(response, body.error);
}

function refusalOf(response: LightMyRequestResponse, error: string, errors?: Refusal['errors']): Refusal {
  const { statusCode: status, headers, body } = response;
  const challenge = headers['www-authenticate'];
  expect(headers['x-request-id']).toMatch(UUID);
  expect(headers['cache-control']).toBe('no-store');
  expect(headers).not.toHaveProperty('x-auth-subject');
  expect(challenge !== undefined, 'a challenge comes with 401 and only then').toBe(status === 401);
  expect('retry-after' in headers, 'Retry-After comes with 429 and 503').toBe(
    status === 429 || status === 503,
  );
  if ('retry-after' in headers) expect(headers['retry-after']).toMatch(/^[1-9][0-9]*$/);
  if (status >= 500) {
    for (const name of ['refreshed-api-token', 'set-cookie']) expect(headers).not.toHaveProperty(name);
  }
  expect(`${body}${JSON.stringify(headers)}`).not.toContain(MARKER);
  expect(body).not.toMatch(INSIDES);
  return {
    status,
    error,
    ...(challenge === undefined ? {} : { challenge: String(challenge) }),
    ...(errors === undefined ? {} : { errors }),
  };
}

/** The same token with another signature: well-formed, and never ours. */
export function forge(token: string): string {
  const at = token.lastIndexOf('.') + 10;
  return `${token.slice(0, at)}${token[at] === 'A' ? 'B' : 'A'}${token.slice(at + 1)}`;
}
