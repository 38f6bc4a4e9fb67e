// Hostile bodies at every endpoint that takes one: the contract's refusal, and nothing changes.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { login } from '../support/house.js';
import { disguises, families as formFamilies } from './requests/form-bodies.js';
import { keyFor, openGround, type Ground } from './requests/ground.js';
import { families as jsonFamilies, LIMIT_BYTES, withStrayByte } from './requests/json-bodies.js';
import {
  BODY_TARGETS,
  expectRefused,
  FORM_TARGETS,
  FORM_TYPE,
  JSON_TARGETS,
  JSON_TYPE,
  malformed,
  TARGETS,
  tooLarge,
  validBody,
} from './requests/targets.js';

let ground: Ground;

beforeAll(async () => {
  ground = await openGround();
});
afterAll(() => ground.close());

const JSON_FAMILIES = Object.keys(jsonFamilies({ name: 'a' }));
const FORM_FAMILIES = Object.keys(formFamilies('a.b.c'));

describe.each(JSON_TARGETS)('POST $path', (target) => {
  it.each(JSON_FAMILIES)('refuses %s', async (family) => {
    await expectRefused(ground, target, jsonFamilies(target.members(ground))[family] ?? []);
  });

  it('refuses a value that is no UTF-8', async () => {
    const members = target.members(ground);
    const cells = Object.keys(members).map((name) => malformed(name, withStrayByte(members, name)));
    await expectRefused(ground, target, cells);
  });

  it('refuses null and nothing where it needs a body', async () => {
    if (target.isBodyOptional === true) return;
    const cells = [undefined, '', 'null'].map((body) => ({ ...malformed(String(body), ''), body }));
    await expectRefused(ground, target, cells);
  });
});

describe.each(FORM_TARGETS)('POST $path', (target) => {
  it.each(FORM_FAMILIES)('refuses %s', async (family) => {
    await expectRefused(ground, target, formFamilies(ground.pair.access_token)[family] ?? []);
  });

  it.each(['access_token', 'refresh_token'] as const)('knows no other spelling of the %s', async (kind) => {
    const before = await ground.state();
    for (const text of disguises(ground.pair[kind])) {
      const answer = await ground.send({
        method: 'POST',
        path: target.path,
        headers: [...keyFor('client', ground), ['Content-Type', FORM_TYPE]],
        body: `token=${text}`,
      });
      const dead = target.path === '/introspect' ? '{"active":false}' : '';
      expect([text, answer.statusCode, answer.body]).toEqual([text, 200, dead]);
      expect(answer.headers).not.toHaveProperty('refreshed-api-token');
    }
    expect(await ground.state()).toBe(before);
  });
});

describe('a body where none is taken', () => {
  const READERS = TARGETS.filter(({ method }) => method === 'GET');

  it.each(READERS)('changes nothing of GET $path', async ({ method, path, door }) => {
    const headers = keyFor(door, ground);
    const before = await ground.state();
    const plain = await ground.send({ method, path, headers });
    expect(plain.statusCode).toBe(200);
    for (const body of ['{"__proto__":{}}', '[', '\u0000', 'x'.repeat(LIMIT_BYTES + 1)]) {
      const answer = await ground.send({
        method,
        path,
        headers: [...headers, ['Content-Type', JSON_TYPE]],
        body,
      });
      expect([body.slice(0, 20), answer.statusCode, answer.body]).toEqual([
        body.slice(0, 20),
        200,
        plain.body,
      ]);
    }
    expect(await ground.state()).toBe(before);
  });

  it('is read by nobody at /session, whatever the method', async () => {
    for (const method of ['GET', 'POST', 'DELETE', 'PROPFIND', 'OPTIONS']) {
      for (const body of ['[', '{"__proto__":{}}', '\u0000', 'x'.repeat(1024 * 1024)]) {
        const typed: [string, string][] = [['Content-Type', JSON_TYPE]];
        const stranger = await ground.send({ method, path: '/session', headers: typed, body });
        expect([method, body.slice(0, 20), stranger.statusCode]).toEqual([method, body.slice(0, 20), 401]);
      }
    }
  });

  it('is refused at DELETE /sessions/:id when it is malformed, too large or of another type', async () => {
    const target = TARGETS.find(({ method }) => method === 'DELETE');
    if (target === undefined) throw new Error('no such target');
    const headers: [string, string][] = [...keyFor('user', ground), ['Content-Type', JSON_TYPE]];
    await expectRefused(ground, target, [
      { ...malformed('a bracket', '['), headers },
      { ...malformed('a prototype', '{"__proto__":{}}'), headers },
      { ...malformed('a repeated member', '{"a":1,"a":1}'), headers },
      { ...tooLarge('16 KiB and one byte', ' '.repeat(LIMIT_BYTES + 1)), headers },
      { name: 'another type', status: 415, error: 'unsupported_media_type', body: 'a' },
      { name: 'whatever is JSON', status: 404, error: 'not_found', body: '{"not":""}', headers },
    ]);
  });
});

describe('the very same members, untouched,', () => {
  it.each(BODY_TARGETS)('are taken by $path, up to 16 KiB', async (target) => {
    const user = await ground.house.user();
    const fresh = { ...ground, user, pair: await login(ground.replica, user) };
    const before = await ground.state();
    const { statusCode, body } = await ground.send({
      method: target.method,
      path: target.path,
      headers: [...keyFor(target.door, fresh), ['Content-Type', target.takes]],
      body: validBody(target, fresh)?.padEnd(LIMIT_BYTES, target.takes === JSON_TYPE ? ' ' : '&'),
    });
    expect([200, 204]).toContain(statusCode);
    if (target.path === '/introspect') expect(body).toContain('"active":true');
    else expect(await ground.state()).not.toBe(before);
  });
});
