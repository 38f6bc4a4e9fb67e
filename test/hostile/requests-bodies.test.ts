// Hostile bodies at every endpoint that takes one: the contract's refusal, and nothing changes.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { login } from '../support/house.js';
import { disguises, families as formFamilies } from './requests/form-bodies.js';
import { keyFor, openStage, type Stage } from './requests/stage.js';
import { families as jsonFamilies, LIMIT_BYTES, withStrayByte } from './requests/json-bodies.js';
import {
  type Target,
  BODY_TARGETS,
  expectRefused,
  FORM_TARGETS,
  FORM_TYPE,
  JSON_TARGETS,
  JSON_TYPE,
  LINES_TYPE,
  malformed,
  TARGETS,
  tooLarge,
  validBody,
} from './requests/targets.js';

let stage: Stage;

beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage.close());

/** Changes nothing of what is meant; a line has a length of its own. */
const PADDING = {
  [JSON_TYPE]: ' ',
  [FORM_TYPE]: '&',
  [LINES_TYPE]: `\n${' '.repeat(1500)}`,
  nothing: '',
};

const JSON_FAMILIES = Object.keys(jsonFamilies({ name: 'a' }));
const FORM_FAMILIES = Object.keys(formFamilies('a.b.c'));

function cellsOf({ members, limitBytes: limit, takesNull }: Target) {
  return jsonFamilies(members(stage), { limit, takesNull });
}

describe.each(JSON_TARGETS)('$method $path', (target) => {
  it.each(JSON_FAMILIES)('refuses %s', async (family) => {
    await expectRefused(stage, target, cellsOf(target)[family] ?? []);
  });

  it('refuses a value that is no UTF-8', async () => {
    const members = target.members(stage);
    const cells = Object.keys(members).map((name) => malformed(name, withStrayByte(members, name)));
    await expectRefused(stage, target, cells);
  });

  it('refuses null and nothing where it needs a body', async () => {
    if (target.isBodyOptional === true) return;
    const cells = [undefined, '', 'null'].map((body) => ({ ...malformed(String(body), ''), body }));
    await expectRefused(stage, target, cells);
  });
});

describe.each(FORM_TARGETS)('POST $path', (target) => {
  it.each(FORM_FAMILIES)('refuses %s', async (family) => {
    await expectRefused(stage, target, formFamilies(stage.pair.access_token)[family] ?? []);
  });

  it.each(['access_token', 'refresh_token'] as const)('knows no other spelling of the %s', async (kind) => {
    const before = await stage.state();
    for (const text of disguises(stage.pair[kind])) {
      const answer = await stage.send({
        method: 'POST',
        path: target.path,
        headers: [...keyFor('client', stage), ['Content-Type', FORM_TYPE]],
        body: `token=${text}`,
      });
      const dead = target.path === '/introspect' ? '{"active":false}' : '';
      expect([text, answer.statusCode, answer.body]).toEqual([text, 200, dead]);
      expect(answer.headers).not.toHaveProperty('refreshed-api-token');
    }
    expect(await stage.state()).toBe(before);
  });
});

describe('a body where none is taken', () => {
  const READERS = TARGETS.filter(({ method }) => method === 'GET');

  it.each(READERS)('changes nothing of GET $path', async ({ method, path, door }) => {
    const headers = keyFor(door, stage);
    const before = await stage.state();
    const plain = await stage.send({ method, path, headers });
    expect(plain.statusCode).toBe(200);
    for (const body of ['{"__proto__":{}}', '[', '\u0000', 'x'.repeat(LIMIT_BYTES + 1)]) {
      const answer = await stage.send({
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
    expect(await stage.state()).toBe(before);
  });

  it('is read by nobody at /session, whatever the method', async () => {
    for (const method of ['GET', 'POST', 'DELETE', 'PROPFIND', 'OPTIONS']) {
      for (const body of ['[', '{"__proto__":{}}', '\u0000', 'x'.repeat(1024 * 1024)]) {
        const typed: [string, string][] = [['Content-Type', JSON_TYPE]];
        const stranger = await stage.send({ method, path: '/session', headers: typed, body });
        expect([method, body.slice(0, 20), stranger.statusCode]).toEqual([method, body.slice(0, 20), 401]);
      }
    }
  });

  it('is refused at DELETE /sessions/:id when it is malformed, too large or of another type', async () => {
    const target = TARGETS.find(({ method }) => method === 'DELETE');
    if (target === undefined) throw new Error('no such target');
    const headers: [string, string][] = [...keyFor('user', stage), ['Content-Type', JSON_TYPE]];
    await expectRefused(stage, target, [
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
  it.each(BODY_TARGETS)('are taken by $method $path, up to its limit', async (target) => {
    const user = await stage.house.user();
    const fresh = { ...stage, user, pair: await login(stage.replica, user) };
    const before = await stage.state();
    const { statusCode, body } = await stage.send({
      method: target.method,
      path: target.path,
      headers: [...keyFor(target.door, fresh), ['Content-Type', target.takes]],
      body: validBody(target, fresh)?.padEnd(target.limitBytes ?? LIMIT_BYTES, PADDING[target.takes]),
    });
    if (target.ofNobody !== undefined) {
      expect([statusCode, await stage.state()]).toEqual([target.ofNobody, before]);
      return;
    }
    expect([200, 201, 204]).toContain(statusCode);
    if (target.path.startsWith('/introspect')) expect(body).toContain('"active":true');
    else if (target.path === '/reauthenticate') expect(body).toContain('access_token');
    else expect(await stage.state()).not.toBe(before);
  });
});
