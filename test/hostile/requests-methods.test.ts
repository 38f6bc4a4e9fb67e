// Every method that Node parses at every endpoint, with a key and a body that the right method would take.
import { METHODS } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { MARKER } from '../support/answers.js';
import { exchange } from '../support/raw-socket.js';
import { keyFor, openStage, type Stage } from './requests/stage.js';
import { expectRefused, JSON_TYPE, TARGETS, validBody, type Cell, type Target } from './requests/targets.js';

let stage: Stage;

beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage.close());

/** What frameworks have taken for another method than the one in the first line. */
const OVERRIDES: [string, string][] = ['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override'].map(
  (name) => [name, 'POST'],
);

function notAllowed(target: Target, method: string, more: [string, string][] = [], path = target.path): Cell {
  const type: [string, string] = ['Content-Type', target.takes === 'nothing' ? JSON_TYPE : target.takes];
  const headers = [...keyFor(target.door, stage), type, ...more];
  return {
    name: 'not allowed',
    status: 405,
    error: 'method_not_allowed',
    method,
    path,
    headers,
    body: validBody(target, stage),
  };
}

describe.each(TARGETS)('$method $path', (target) => {
  const allowed = target.allow.split(', ');
  const others = METHODS.filter((method) => method !== 'CONNECT' && !allowed.includes(method));

  it(`answers 405 to ${others.length} other methods`, async () => {
    await expectRefused(
      stage,
      target,
      others.map((method) => notAllowed(target, method)),
    );
  });

  it('does not let a header or a parameter speak for the method', async () => {
    const wrong = ['PUT', 'PATCH', 'TRACE', 'OPTIONS'].filter((method) => !allowed.includes(method));
    const cells = wrong.map((method) => notAllowed(target, method, OVERRIDES));
    const asked = notAllowed(target, 'PUT', [], `${target.path}?_method=POST&method=POST`);
    await expectRefused(stage, target, [...cells, asked]);
  });
});

it.each(['TRACE', 'OPTIONS', 'HEAD', 'PUT'])('%s repeats nothing of what was sent', async (method) => {
  for (const { path } of TARGETS) {
    const headers: [string, string][] = [
      ['Cookie', MARKER],
      ['Authorization', `Bearer ${MARKER}`],
      ['Max-Forwards', '0'],
    ];
    const answer = await stage.send({ method, path, headers, body: method === 'HEAD' ? undefined : MARKER });
    expect(answer.body + JSON.stringify(answer.headers)).not.toContain(MARKER);
  }
});

describe('/session', () => {
  it.each(METHODS.filter((method) => method !== 'CONNECT'))(
    'asks for a token with %s too',
    async (method) => {
      for (const path of ['/session', '/session/a/b']) {
        expect(
          (await stage.send({ method, path, body: method === 'HEAD' ? undefined : '[' })).statusCode,
        ).toBe(401);
      }
    },
  );
});

describe('in the first line', () => {
  async function statusesOf(line: string): Promise<number[]> {
    const { port } = stage.replica.app.server.address() as AddressInfo;
    const answers = await exchange(port, `${line}\r\nHost: a\r\nConnection: close\r\n\r\n`);
    return answers.map(({ status }) => status);
  }

  it.each([
    'post',
    'Post',
    'GETT',
    'GE T',
    'P\u0000ST',
    '',
    ' ',
    '__proto__',
    'constructor',
    'HTTP/1.1',
    'PRI',
    'all',
    '*',
  ])('the method "%s" is malformed', async (method) => {
    for (const path of ['/login', '/session']) {
      expect(await statusesOf(`${method} ${path} HTTP/1.1`)).toEqual([400]);
    }
  });

  it('CONNECT opens no way anywhere', async () => {
    for (const target of ['/session', '127.0.0.1:5432', 'localhost:22', '/login']) {
      for (const status of await statusesOf(`CONNECT ${target} HTTP/1.1`))
        expect(status).toBeGreaterThanOrEqual(400);
    }
  });
});
