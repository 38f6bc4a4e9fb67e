// No caller writes a header that the application or Gatehouse takes for the gateway's word: in no spelling, and by no detour.
import { beforeEach, describe, expect, it } from 'vitest';

import { IDENTITY, IDENTITY_WORDS, KNOWN, KNOWN_WITHOUT_EXT, type Recorder } from './recorder.js';
import type { RawHeaders, Seen } from './stage.js';

/** All that HTTP allows in a name beside letters and digits. CGI, WSGI, Rack and PHP make `_` of each (RFC 3875 §4.1.18). */
const SEPARATORS = "! # $ % & ' * + - . ^ _ ` | ~".split(' ');
const PAIRS = SEPARATORS.flatMap((one) => SEPARATORS.map((two) => [one, two] as const));

/** What a gateway says. */
const FORWARDED_NAMES = ['For', 'Host', 'Proto', 'Method'];
/** With these, some applications serve another address than the one that was asked for. */
const ADDRESS_NAMES = ['X-Original-URL', 'X-Rewrite-URL', 'X-Forwarded-Uri', 'X-Forwarded-Prefix'];

/** The headers as a backend sees them that makes variables of them. */
export function foldedOf({ headers, trailers }: Seen): Record<string, string[]> {
  const all: Record<string, string[]> = {};
  for (const [name, value] of [...headers, ...trailers])
    (all[name.toLowerCase().replaceAll(/[^a-z0-9]/g, '_')] ??= []).push(value);
  return all;
}

function identityIn(seen: Seen): Record<string, string[]> {
  return Object.fromEntries(Object.entries(foldedOf(seen)).filter(([name]) => name.startsWith('x_auth')));
}

const WHO = Object.fromEntries(
  Object.entries(IDENTITY).map(([name, value]) => [name.replaceAll('-', '_'), [value]]),
);

/** Each of them in every spelling, in as many requests as one head has room for. */
export function spellings(prefix: [string, string], names: string[]): RawHeaders[] {
  return names.map((name) =>
    PAIRS.flatMap(([one, two], at) => {
      const spelled = `${prefix[0]}${one}${prefix[1]}${two}${name}`;
      return [at % 2 === 0 ? spelled : spelled.toLowerCase(), 'forged'];
    }),
  );
}

export function checkHeaders(recorder: () => Recorder): void {
  beforeEach(() => void recorder().takeSeen());

  it.each(IDENTITY_WORDS)('passes no forged X-Auth-%s on, with whatever between its words', async (name) => {
    for (const forged of spellings(['X', 'Auth'], [name])) {
      const asked = await recorder().arrive('GET', '/orders', forged);
      expect(identityIn(asked)).toEqual(WHO);
      const open = await recorder().arrive('GET', '/public/x', forged);
      expect(identityIn(open)).toEqual({});
    }
  });

  it('passes no forged X-Auth-Ext on where Gatehouse says none, nor an empty one', async () => {
    const { x_auth_ext: _, ...less } = WHO;
    for (const forged of [[], ['X-Auth-Ext', 'Zm9yZ2Vk'], ...spellings(['X', 'Auth'], ['Ext'])]) {
      const seen = await recorder().arrive('GET', '/orders', [...forged, ...KNOWN_WITHOUT_EXT]);
      expect(identityIn(seen)).toEqual(less);
    }
  });

  it.each(FORWARDED_NAMES)(
    'passes no forged X-Forwarded-%s on, with whatever between its words',
    async (name) => {
      const folded = `x_forwarded_${name.toLowerCase()}`;
      for (const forged of spellings(['X', 'Forwarded'], [name])) {
        for (const path of ['/orders', '/public/x', '/session']) {
          await recorder().send('GET', path, [...forged, ...KNOWN]);
        }
        const { application, gatehouse } = recorder().takeSeen();
        expect(application.length).toBe(2);
        for (const seen of application) {
          const values = foldedOf(seen)[folded] ?? [];
          expect(values).not.toContain('forged');
          expect(values.length).toBeLessThanOrEqual(1);
        }
        // Gatehouse folds nothing.
        for (const seen of gatehouse) expect(headerOf(seen, `x-forwarded-${name}`)).not.toContain('forged');
      }
    },
  );

  it('passes no X-Real-IP nor Forwarded on, and nothing that names another address or method', async () => {
    const names = [
      'Forwarded',
      'X-Original-Method',
      ...ADDRESS_NAMES,
      'X-Forwarded-Port',
      'X-Forwarded-Server',
    ];
    const forged = [...names, ...SEPARATORS.flatMap((one) => SEPARATORS.map((two) => `X${one}Real${two}IP`))];
    for (const path of ['/orders', '/public/x']) {
      const seen = await recorder().arrive(
        'GET',
        path,
        forged.flatMap((name) => [name, 'forged']),
      );
      expect(seen.headers.filter(([, value]) => value.includes('forged'))).toEqual([]);
    }
  });

  describe('says itself', () => {
    const forged = [
      ...['X-Forwarded-Host', 'evil.test', 'x-forwarded-host', 'evil.test', 'X_Forwarded_Host', 'evil.test'],
      ...['X-Forwarded-For', '203.0.113.9', 'X-Forwarded-Proto', 'https', 'X-Forwarded-Method', 'TRACE'],
      ...['Forwarded', 'host=evil.test;for=203.0.113.9'],
    ];

    it.each(['/orders', '/public/x'])(
      'which host was asked for, and whose address asks, at %s',
      async (path) => {
        const seen = await recorder().arrive('DELETE', path, forged);
        const folded = foldedOf(seen);
        const { host } = recorder();
        expect(folded['host']).toEqual([host]);
        expect(folded['x_forwarded_host']).toEqual([host]);
        expect(folded['x_forwarded_for']).toEqual(['127.0.0.1']);
        expect(folded['x_forwarded_proto']).toEqual(['http']);
        expect(folded['x_forwarded_method'] ?? ['DELETE']).toEqual(['DELETE']);
        expect(JSON.stringify(seen)).not.toMatch(/evil|203\.0\.113/);
      },
    );

    it.each([
      ['with the question', '/orders', '/session'],
      ['at its own addresses', '/login', '/login'],
      ['at its own addresses with parts', '/sessions/7', '/sessions/7'],
    ])('the same to Gatehouse %s', async (_where, path, arrives) => {
      await recorder().send('DELETE', path, [...forged, ...KNOWN]);
      const { gatehouse } = recorder().takeSeen();
      expect(gatehouse.map(({ url }) => url.replace(/^\/session\/.*/, '/session'))).toEqual([arrives]);
      for (const seen of gatehouse) {
        const { host } = recorder();
        expect(headerOf(seen, 'host')).toEqual([host]);
        expect(headerOf(seen, 'x-forwarded-host')).toEqual([host]);
        expect(headerOf(seen, 'x-forwarded-for')).toEqual(['127.0.0.1']);
        expect(headerOf(seen, 'x-forwarded-proto')).toEqual(['http']);
        expect(headerOf(seen, 'x-forwarded-method')).toEqual(['DELETE']);
        expect(JSON.stringify(seen)).not.toMatch(/evil|203\.0\.113/);
      }
    });
  });

  describe('takes no header away that the caller names in Connection:', () => {
    it.each([
      'X-Auth-Subject',
      `close, ${Object.keys(IDENTITY).join(', ')}`,
      `close, ${Object.keys(IDENTITY).join(', ').toUpperCase()}`,
      'keep-alive,X-Auth-Subject',
      'Upgrade, X-Auth-Subject',
    ])('%s', async (connection) => {
      for (const more of [[], ['Connection', 'X-Auth-Scope']]) {
        const seen = await recorder().arrive('GET', '/orders', ['Connection', connection, ...more]);
        expect(identityIn(seen)).toEqual(WHO);
        expect(headerOf(seen, 'connection').join()).not.toMatch(/auth/i);
      }
    });

    it('X-Forwarded-…, Host and the rest of what the gateway says', async () => {
      const names = [...FORWARDED_NAMES.map((name) => `X-Forwarded-${name}`), 'Host', 'X-Real-IP'];
      const connection = ['Connection', names.join(', ')];
      const { host } = recorder();
      for (const path of ['/orders', '/login'])
        await recorder().send('DELETE', path, [...connection, ...KNOWN]);
      const { gatehouse, application } = recorder().takeSeen();
      expect([gatehouse.length, application.length]).toEqual([2, 1]);
      for (const seen of gatehouse) {
        expect(headerOf(seen, 'x-forwarded-method')).toEqual(['DELETE']);
      }
      for (const seen of [...gatehouse, ...application]) {
        expect(headerOf(seen, 'host')).toEqual([host]);
        expect(headerOf(seen, 'x-forwarded-host')).toEqual([host]);
        expect(headerOf(seen, 'x-forwarded-for')).toEqual(['127.0.0.1']);
        expect(headerOf(seen, 'x-forwarded-proto')).toEqual(['http']);
        expect(headerOf(seen, 'connection').join()).not.toMatch(/x-|host/i);
      }
    });

    it.each(['Cookie', 'Authorization', 'Cookie, Authorization, Origin, Sec-Fetch-Site'])(
      '%s',
      async (connection) => {
        const cookies = ['Cookie', 'basket=7; __Host-gatehouse-access=ey.ey.sig'];
        const answer = await recorder().send(
          'POST',
          '/orders',
          ['Connection', connection, ...cookies, ...KNOWN],
          'x',
        );
        // Callers may take their own credentials away; nothing else follows from it.
        expect([200, 401]).toContain(answer.status);
        for (const seen of recorder().takeSeen().application) {
          expect(JSON.stringify(seen)).not.toMatch(/ey\.ey|Bearer/);
          expect(identityIn(seen)).toEqual(WHO);
        }
      },
    );
  });

  it('passes no identity on that comes after the body', async () => {
    const names = [...Object.keys(IDENTITY), 'X_Auth_Subject', 'X-Forwarded-For'];
    const trailers = names.map((name) => `${name}: forged\r\n`).join('');
    for (const path of ['/orders', '/public/x']) {
      const status = await recorder().sendBytes(
        `POST ${path} HTTP/1.1\r\nHost: ${recorder().host}\r\nAuthorization: ${KNOWN[1] ?? ''}\r\nConnection: close, TE\r\nTE: trailers\r\n` +
          `Trailer: ${names.join(', ')}\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n${trailers}\r\n`,
      );
      const { application } = recorder().takeSeen();
      expect(application.length).toBe(status === 200 ? 1 : 0);
      for (const seen of application) {
        expect(identityIn(seen)).toEqual(path === '/orders' ? WHO : {});
        expect(JSON.stringify(seen)).not.toContain('forged');
      }
    }
  });

  it.each([
    ['a space before the colon', 'X-Auth-Subject : forged'],
    ['a tab before the colon', 'X-Auth-Subject\t: forged'],
    ['a space before the name', ' X-Auth-Subject: forged'],
    ['a folded line', 'X-Note: a\r\n X-Auth-Subject: forged'],
    ['a bare carriage return', 'X-Note: a\rX-Auth-Subject: forged'],
    ['a bare line feed', 'X-Note: a\nX-Auth-Subject: forged'],
    ['a null byte', 'X-Note: a\0X-Auth-Subject: forged'],
    ['a byte beyond ASCII', 'X-Auth\xadSubject: forged'],
  ])('takes no identity from %s', async (_what, line) => {
    for (const path of ['/orders', '/public/x']) {
      await recorder().sendBytes(
        `GET ${path} HTTP/1.1\r\nHost: ${recorder().host}\r\nX-First: 1\r\n${line}\r\nAuthorization: ${KNOWN[1] ?? ''}\r\nConnection: close\r\n\r\n`,
      );
      for (const seen of recorder().takeSeen().application)
        expect(identityIn(seen)).toEqual(path === '/orders' ? WHO : {});
    }
  });
}

/** For gateways that can tell headers by how they begin: nothing that begins with X-Auth- passes, whoever made the name up. */
export function checkUnlistedHeaders(recorder: () => Recorder): void {
  it.each(['User', 'Roles-And-More', 'X', 'Subject-2', ''])('passes no X-Auth-%s on', async (name) => {
    for (const forged of spellings(['X', 'Auth'], [name])) {
      expect(identityIn(await recorder().arrive('GET', '/orders', forged))).toEqual(WHO);
      expect(identityIn(await recorder().arrive('GET', '/public/x', forged))).toEqual({});
    }
  });
}

function headerOf({ headers }: Seen, wanted: string): string[] {
  return headers.filter(([name]) => name.toLowerCase() === wanted.toLowerCase()).map(([, value]) => value);
}
