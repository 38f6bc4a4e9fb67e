// Other spellings of every URL, and what is smuggled into it: no handler is reached by another path.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { keyFor, openStage, type Stage } from './requests/stage.js';
import {
  expectRefused,
  FORM_TYPE,
  JSON_TYPE,
  LINES_TYPE,
  NO_SESSION,
  TARGETS,
  validBody,
  type Cell,
  type Target,
} from './requests/targets.js';

let stage: Stage;

beforeAll(async () => {
  stage = await openStage();
});
afterAll(() => stage.close());

/** Each is another URL, or at best the same one in a spelling that a proxy's rule about it would miss. */
function disguisesOf(path: string): string[] {
  const name = path.slice(1);
  const encode = (character: string) => `%${character.charCodeAt(0).toString(16)}`;
  const first = encode(name.charAt(0));
  return [
    ...[
      `/${path}`,
      `//${path}`,
      `${path}/`,
      `${path}//`,
      `/.${path}`,
      `/..${path}`,
      `/x/..${path}`,
      `/./${path}`,
    ],
    ...[
      `${path}/.`,
      `${path}/..${path}`,
      `${path}/x/..`,
      `/;${path}`,
      `/;a=b${path}`,
      `${path};`,
      `${path};a=b`,
    ],
    ...[
      `${path}.`,
      `${path}.json`,
      `${path},`,
      `${path}*`,
      `${path}~`,
      `${path}:`,
      `\\${name}`,
      `/\\${name}`,
      `${path}\\`,
    ],
    ...[
      `/${first}${name.slice(1)}`,
      `/${first.toUpperCase()}${name.slice(1)}`,
      `/${Array.from(name, encode).join('')}`,
    ],
    ...[
      `/%2f${name}`,
      `/%2F${name}`,
      `%2f${name}`,
      `${path}%2f`,
      `${path}%2F`,
      `/%2e${path}`,
      `/%2e%2e${path}`,
    ],
    ...[
      `/x/%2E%2E${path}`,
      `/%2e%2E%2f${name}`,
      `/%5c${name}`,
      `/%5C${name}`,
      `${path}%5c`,
      `/..%5c${name}`,
      `/x%2f..${path}`,
    ],
    ...[
      `${path}%00`,
      `/%00${name}`,
      `${path}%00.json`,
      `${path}%0a`,
      `${path}%0d%0aX:y`,
      `${path}%20`,
      `${path}%09`,
    ],
    ...[
      `${path}%3f`,
      `${path}%3Fa=b`,
      `${path}%23`,
      `${path}#`,
      `${path}#/a`,
      `${path}%3b`,
      `${path}%26`,
      `${path}%2525`,
    ],
    ...[
      `/%25${first.slice(1)}${name.slice(1)}`,
      `${path}%E2%80%8B`,
      `${path}%EF%BC%8F`,
      `/%EF%BC%8F${name}`,
      `/%c1%af${name}`,
    ],
    ...[
      `/${name.toUpperCase()}`,
      `/${name.charAt(0).toUpperCase()}${name.slice(1)}`,
      `/__proto__${path}`,
      `/constructor${path}`,
    ],
  ].filter((disguise) => disguise !== path);
}

/** Absolute URLs (RFC 9112 section 3.2.2) whose path is another one, however the authority is written. */
function absolutesOf(path: string): string[] {
  const name = path.slice(1);
  return [
    ...[
      `http://a?x=${path}`,
      `http://a#${path}`,
      `http://a?${path}`,
      `https://a/x${path}`,
      `http://a//${name}`,
    ],
    ...[
      `http://a/%2e%2e${path}`,
      `http://a/;${path}`,
      `http:/${path}/x`,
      `http:${path}`,
      `HTTP://a${path}`,
      `ftp://a${path}`,
    ],
    ...[
      `http://a\\${name}`,
      `javascript:${path}`,
      `//a${path}`,
      `a${path}`,
      `@a${path}`,
      `http://a/..${path}`,
      name,
      '*',
    ],
  ];
}

// `/docs/` is the page of `/docs` as well.
describe.each(TARGETS.filter(({ path }) => path !== '/docs'))('$method $path', (target) => {
  function elsewhere(paths: string[]): Cell[] {
    const type = target.takes === 'nothing' ? JSON_TYPE : target.takes;
    const headers: [string, string][] = [...keyFor(target.door, stage), ['Content-Type', type]];
    const body = validBody(target, stage);
    return paths.map((path) => ({ name: 'elsewhere', status: 404, error: 'not_found', path, headers, body }));
  }

  it('is reached by no other spelling', async () => {
    await expectElsewhere(target, elsewhere(disguisesOf(target.path)));
  });

  it('is reached by no absolute URL of another path', async () => {
    await expectElsewhere(target, elsewhere(absolutesOf(target.path)));
  });

  it('is what an absolute URL of its path names, and no less guarded', async () => {
    for (const authority of ['a', 'a:80', 'user:pass@a', '[::1]:3000']) {
      const answer = await stage.send({ method: 'PUT', path: `http://${authority}${target.path}` });
      expect([authority, answer.statusCode]).toEqual([authority, 405]);
    }
  });
});

/** Unknown; what is no URL at all may be malformed instead, and `/sessions/` anything are sessions that nobody has. */
function isRefusal(status: number): boolean {
  return status === 404 || status === 400 || status === 405;
}

async function expectElsewhere(target: Target, cells: Cell[]): Promise<void> {
  const before = await stage.state();
  for (const { path = '', headers = [], body } of cells) {
    const answer = await stage.send({ method: target.method, path, headers, body });
    expect([path, answer.statusCode]).toEqual([path, expect.toSatisfy(isRefusal)]);
    expect(answer.headers['content-type']).toMatch(/^application\/(?:problem\+)?json/);
  }
  expect(await stage.state()).toBe(before);
}

it('a living session is not ended by another spelling of its id', async () => {
  const { session_id: id } = stage.pair;
  const target = TARGETS.find(({ method }) => method === 'DELETE');
  if (target === undefined) throw new Error('no such target');
  const encoded = `%3${id.charAt(0)}${id.slice(1)}`;
  const ids = [
    encoded,
    id.toUpperCase(),
    `{${id}}`,
    `urn:uuid:${id}`,
    id.replaceAll('-', ''),
    `${id}%00`,
    `${id} `,
  ];
  const paths = [
    ...ids.map((text) => `/sessions/${encodeURI(text).replaceAll('%25', '%')}`),
    `/sessions//${id}`,
  ];
  const cells = paths.map((path) => ({ name: 'its id', status: 404, error: 'not_found', path }));
  await expectRefused(stage, target, cells);
});

describe('below /docs and /session', () => {
  it.each([
    ...[
      '..%2f..%2fpackage.json',
      '%2e%2e/%2e%2e/package.json',
      '..%5c..%5cpackage.json',
      '....//package.json',
    ],
    ...[
      '%2e%2e%2f%2e%2e%2f%2e%2e%2fetc%2fpasswd',
      '%252e%252e%252fetc',
      '%00',
      'index.html%00.png',
      '.env',
      '%c0%ae%c0%ae/',
    ],
    ...[
      'static/..%2f..%2fpackage.json',
      'static/%2e%2e/%2e%2e/package.json',
      'static/.git/config',
      'static//etc/passwd',
    ],
  ])('%s leads to no file', async (path) => {
    for (const base of ['/docs/', '/docs/static/', '/session/']) {
      const { statusCode, body } = await stage.send({ method: 'GET', path: `${base}${path}` });
      expect([base, statusCode >= 400 && statusCode < 500, body]).toEqual([
        base,
        true,
        expect.stringContaining('"error"'),
      ]);
    }
  });

  it('whatever the gateway was asked for, it asks for a token', async () => {
    for (const path of [
      '%2e%2e/health',
      '..%2fhealth',
      '../health',
      '/health',
      '%2F..%2F..%2Fready',
      'a?b=/health',
      '#',
    ]) {
      expect((await stage.send({ method: 'GET', path: `/session/${path}` })).statusCode).toBe(401);
    }
  });
});

describe('a secret in the URL', () => {
  // RFC 6750 section 2.3 is not offered: URLs end up in logs and histories.
  it('opens no door', async () => {
    const { access_token: access, refresh_token: refresh } = stage.pair;
    const query = [
      ...[
        `access_token=${access}`,
        `token=${access}`,
        `authorization=Bearer%20${access}`,
        `refresh_token=${refresh}`,
      ],
      ...[
        `bearer_token=${access}`,
        `headers[authorization]=Bearer%20${access}`,
        `__proto__[authorization]=${access}`,
      ],
      ...[`client_id=${stage.client.id}&client_secret=${stage.client.secret}&token=${access}`],
      ...[`username=${stage.user.username}&password=${encodeURIComponent(stage.user.password)}`],
    ];
    const before = await stage.state();
    for (const path of [
      '/session',
      '/session/x',
      '/sessions',
      `/sessions/${NO_SESSION}`,
      '/logout-all',
      '/logout',
    ]) {
      const method = { '/sessions': 'GET', [`/sessions/${NO_SESSION}`]: 'DELETE' }[path] ?? 'POST';
      for (const parameters of query) {
        const answer = await stage.send({ method, path: `${path}?${parameters}` });
        expect([path, parameters, answer.statusCode]).toEqual([path, parameters, 401]);
        expect(answer.body).not.toContain(access);
      }
    }
    expect(await stage.state()).toBe(before);
  });

  it('does not stand in for a member or a parameter', async () => {
    for (const target of TARGETS.filter(({ takes }) => takes !== 'nothing')) {
      const members = target.members(stage) as Record<string, string>;
      const path = `${target.path}?${new URLSearchParams(members).toString()}`;
      const { takes: type } = target;
      const headers: [string, string][] = [...keyFor(target.door, stage), ['Content-Type', type]];
      const bodies = {
        [JSON_TYPE]: '{"unknown":1}',
        [FORM_TYPE]: 'unknown=1',
        [LINES_TYPE]: '\n',
        nothing: '',
      };
      const body = bodies[type];
      const cell = { name: 'in the query', status: 400, error: 'invalid_request', path, headers, body };
      await expectRefused(stage, target, [cell]);
    }
  });
});
