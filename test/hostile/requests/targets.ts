// Every endpoint of the contract, with a request that it would take: what hostile requests are made from.
import { expect } from 'vitest';

import { LIMITS } from '../../../src/http/server/server.js';
import { FOREIGN } from '../../support/foreign-hashes.js';
import { oauthErrorOf, problemOf } from '../../support/answers.js';
import { keyFor, type Door, type Stage } from './stage.js';

export const JSON_TYPE = 'application/json';
export const FORM_TYPE = 'application/x-www-form-urlencoded';
export const LINES_TYPE = 'application/x-ndjson';

export interface Target {
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  path: string;
  door: Door;
  takes: typeof JSON_TYPE | typeof FORM_TYPE | typeof LINES_TYPE | 'nothing';
  /** Members that are taken, and would change or tell something. */
  members: (stage: Stage) => Record<string, string | boolean | string[]>;
  /** How many bytes its body may have; 16 KiB where it does not say. */
  limitBytes?: number;
  isBodyOptional?: boolean;
  /** Null takes a member away. */
  takesNull?: boolean;
  /** It names nothing that is there: what is let through is answered so, and changes nothing. */
  ofNobody?: 401 | 404;
  allow: string;
}

const NO_MEMBERS = () => ({});
const reading = { method: 'GET', takes: 'nothing', members: NO_MEMBERS, allow: 'GET, HEAD' } as const;
const json = { method: 'POST', takes: JSON_TYPE, allow: 'POST' } as const;
const operators = { ...json, door: 'operator' } as const;
const form = { method: 'POST', takes: FORM_TYPE, allow: 'POST', door: 'client' } as const;

/** Nobody's session, so that even a request that is let through ends none. */
export const NO_SESSION = '00000000-0000-7000-8000-000000000000';

export const TARGETS: Target[] = [
  {
    ...json,
    path: '/login',
    door: 'nobody',
    members: ({ user: { username, password } }) => ({ username, password }),
  },
  {
    ...json,
    path: '/refresh',
    door: 'nobody',
    members: ({ pair }) => ({ refresh_token: pair.refresh_token }),
    isBodyOptional: true,
  },
  {
    ...json,
    path: '/logout',
    door: 'nobody',
    members: ({ pair }) => ({ refresh_token: pair.refresh_token }),
    isBodyOptional: true,
  },
  {
    ...json,
    path: '/logout-all',
    door: 'user',
    members: () => ({ except_current: true }),
    isBodyOptional: true,
  },
  {
    ...json,
    path: '/reauthenticate',
    door: 'user',
    members: ({ user: { password } }) => ({ password }),
  },
  {
    ...json,
    path: '/password/reset',
    door: 'nobody',
    members: () => ({ code: 'abcdefghijklmnopqrstuvwxyz', new_password: 'nine tall herons nap at noon' }),
    ofNobody: 401,
  },
  // An access token: to revoke it is what a hostile form must not manage.
  { ...form, path: '/introspect', members: ({ pair }) => ({ token: pair.access_token }) },
  {
    ...json,
    path: '/introspect/batch',
    door: 'client',
    members: ({ pair }) => ({ tokens: [pair.access_token] }),
    limitBytes: LIMITS.batchBytes,
  },
  { ...form, path: '/revoke', members: ({ pair }) => ({ token: pair.access_token }) },
  { ...reading, path: '/sessions', door: 'user', allow: 'GET, HEAD, POST' },
  {
    ...operators,
    path: '/sessions',
    members: () => ({
      external_id: 'customer-1',
      username: 'A name',
      scope: 'a b',
      amr: ['pwd'],
      acr: 'silver',
      refresh: true,
      ip: '192.0.2.1',
      user_agent: 'Mozilla/5.0',
    }),
    allow: 'GET, HEAD, POST',
  },
  {
    ...operators,
    path: `/sessions/${NO_SESSION}`,
    method: 'PATCH',
    members: () => ({ scope: 'a b', amr: ['pwd'], acr: 'silver' }),
    takesNull: true,
    ofNobody: 404,
    allow: 'DELETE, PATCH',
  },
  {
    ...reading,
    path: `/sessions/${NO_SESSION}`,
    method: 'DELETE',
    door: 'user',
    allow: 'DELETE, PATCH',
  },
  { ...reading, path: '/.well-known/jwks.json', door: 'nobody' },
  { ...reading, path: '/.well-known/oauth-authorization-server', door: 'nobody' },
  { ...reading, path: '/health', door: 'nobody' },
  { ...reading, path: '/ready', door: 'nobody' },
  { ...reading, path: '/openapi.json', door: 'nobody' },
  { ...reading, path: '/docs', door: 'nobody' },
  ...['users', 'clients'].map(
    (list) => ({ ...reading, path: `/admin/${list}`, door: 'operator', allow: 'GET, HEAD, POST' }) as const,
  ),
  { ...reading, path: '/admin/sessions', door: 'operator' },
  { ...reading, path: '/admin/revocations', door: 'operator', allow: 'GET, HEAD, POST' },
  { ...reading, path: '/admin/keys', door: 'operator' },
  { ...reading, path: '/admin/events', door: 'operator' },
  { ...reading, path: `/admin/users/${NO_SESSION}/unlock`, method: 'POST', door: 'operator', allow: 'POST' },
  {
    ...operators,
    path: '/admin/users',
    members: () => ({ username: 'somebody-new', scope: 'a b', generate_password: true }),
    allow: 'GET, HEAD, POST',
  },
  {
    ...operators,
    path: '/admin/users/import',
    takes: LINES_TYPE,
    members: () => ({ username: 'somebody-imported', password_hash: FOREIGN['bcrypt $2b$'] ?? '' }),
    limitBytes: LIMITS.importBytes,
  },
  {
    ...operators,
    path: `/admin/users/${NO_SESSION}`,
    method: 'PATCH',
    members: () => ({
      username: 'another',
      scope: 'a b',
      disabled: true,
      password: 'a password of an operator',
    }),
    ofNobody: 404,
    allow: 'DELETE, GET, HEAD, PATCH',
  },
  {
    ...operators,
    path: '/admin/revocations',
    members: () => ({ jti: `${NO_SESSION}.0`, reason: 'leak', note: 'seen by two' }),
    limitBytes: LIMITS.operatorsBytes,
    allow: 'GET, HEAD, POST',
  },
  {
    ...operators,
    path: `/admin/revocations/${NO_SESSION}/lift`,
    members: () => ({ note: 'a mistake' }),
    isBodyOptional: true,
    ofNobody: 404,
  },
  {
    ...operators,
    path: '/admin/clients',
    members: () => ({ id: 'somebody-new', permissions: ['introspect'], audiences: ['orders'] }),
    allow: 'GET, HEAD, POST',
  },
  {
    ...operators,
    path: '/admin/keys/0123456789abcdef/retire',
    members: () => ({ dry_run: false }),
    isBodyOptional: true,
    ofNobody: 404,
  },
];

export const JSON_TARGETS = TARGETS.filter(({ takes }) => takes === JSON_TYPE);
export const FORM_TARGETS = TARGETS.filter(({ takes }) => takes === FORM_TYPE);
export const BODY_TARGETS = TARGETS.filter(({ takes }) => takes !== 'nothing');

/** A body that the endpoint takes; undefined where it takes none. */
export function validBody(target: Target, stage: Stage): string | undefined {
  const members = target.members(stage);
  if (target.takes === 'nothing') return undefined;
  if (target.takes !== FORM_TYPE) return JSON.stringify(members);
  return new URLSearchParams(members as Record<string, string>).toString();
}

/** A key that fits, and the type that is taken. */
export function headersOf(target: Target, stage: Stage): [string, string][] {
  const key = keyFor(target.door, stage);
  return target.takes === 'nothing' ? key : [...key, ['Content-Type', target.takes]];
}

/** One hostile request and the refusal that the contract has for it. */
export interface Cell {
  name: string;
  status: number;
  error: string;
  method?: string;
  path?: string;
  headers?: [string, string][];
  body?: string | Buffer | undefined;
}

/** In characters: thousands of mistakes are no reason for a long answer. */
const LONGEST_REFUSAL = 4096;

/** Sends every cell, and expects each to be refused as it says and the database to be as it was. */
export async function expectRefused(stage: Stage, target: Target, cells: Cell[]): Promise<void> {
  const before = await stage.state();
  expect(cells.length).toBeGreaterThan(0);
  for (const { name, status, error, method = target.method, path = target.path, headers, body } of cells) {
    const answer = await stage.send({
      method,
      path,
      headers: headers ?? headersOf(target, stage),
      body,
    });
    const what = `${method} ${path}: ${name}`;
    expect([what, answer.statusCode, answer.body]).toEqual([what, status, expect.anything()]);
    expect([what, answer.body.length < LONGEST_REFUSAL]).toEqual([what, true]);
    if (method === 'HEAD') continue;
    const isOauth = target.takes === FORM_TYPE && path.replace(/\?.*/, '') === target.path;
    expect([what, (isOauth ? oauthErrorOf : problemOf)(answer)]).toMatchObject([what, { status, error }]);
  }
  expect(await stage.state()).toBe(before);
}

export function malformed(name: string, body: string | Buffer): Cell {
  return { name, body, status: 400, error: 'invalid_request' };
}

export function tooLarge(name: string, body: string | Buffer): Cell {
  return { name, body, status: 413, error: 'too_large' };
}
