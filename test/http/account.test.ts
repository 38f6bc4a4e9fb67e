// /account: a page of fixed files, served from memory, that may do nothing but talk to the service which it came from.
import { cpSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { StartError } from '../../src/database/start-error.js';
import { readAccountPage } from '../../src/http/account-page.js';
import { problemOf } from '../support/answers.js';
import { DEFAULTS, openHouse, type House, type Replica } from '../support/house.js';

const BUILT = fileURLToPath(new URL('../../packages/account-page/dist/', import.meta.url));

let house: House;
let replica: Replica;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica();
});
afterAll(() => house.close());

const get = (url: string, headers: Record<string, string> = {}) => replica.app.inject({ url, headers });

/** What the page names, as paths below the root. */
async function findReferences(): Promise<string[]> {
  const { body } = await get('/account');
  return [...body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path = '']) => `/${path}`);
}

describe('the page', () => {
  it('is HTML that nobody keeps', async () => {
    const response = await get('/account');
    expect(response.statusCode).toBe(200);
    expect(response.headers['content-type']).toBe('text/html; charset=utf-8');
    expect(response.headers['cache-control']).toBe('no-store');
  });

  it('is allowed nothing but its own files and its own service', async () => {
    const policy = String((await get('/account')).headers['content-security-policy']).split('; ');
    expect(policy.sort()).toEqual(
      [
        "default-src 'none'",
        "base-uri 'none'",
        "connect-src 'self'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "img-src 'self'",
        "script-src 'self'",
        "style-src 'self'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
      ].sort(),
    );
  });

  it('says how many characters a new password has', async () => {
    expect((await get('/account')).body).toContain('At least 15 characters;');
    const { app } = await house.replica({ config: { passwordMinLength: 8 } });
    const { body } = await app.inject({ url: '/account' });
    expect(body).toContain('At least 8 characters;');
    expect(body).not.toContain('{{');
  });

  it('says to somebody who cannot sign in what the operator wrote, letter for letter', async () => {
    expect((await get('/account')).body).toContain('>Forgot your password? Ask the people who');
    const { app } = await house.replica({
      config: { accountHelp: `<b onclick="a">Call</b> 5 & 'ask' $& $1 {{graceSeconds}}` },
    });
    expect((await app.inject({ url: '/account' })).body).toContain(
      `>&lt;b onclick="a"&gt;Call&lt;/b&gt; 5 &amp; 'ask' $&amp; $1 {{graceSeconds}}</p>`,
    );
  });

  it('has neither scripts nor styles within', async () => {
    const { body } = await get('/account');
    expect(body).not.toMatch(/<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:/i);
    expect(body).not.toContain('{{');
  });

  it('masks every password, and tells password managers which one it is', async () => {
    const { body } = await get('/account');
    const fields = (body.match(/<input\b[^>]*>/g) ?? []).filter((field) =>
      /\bname="[^"]*password/i.test(field),
    );
    const autocompletes = fields.map((field) => /\bautocomplete="([^"]+)"/.exec(field)?.[1]);
    expect(fields.filter((field) => !/\btype="password"/.test(field))).toEqual([]);
    expect(autocompletes).toEqual([
      ...['current-password', 'new-password'],
      ...['current-password', 'new-password'],
      'current-password',
    ]);
  });

  it('lets passwords be pasted', async () => {
    const { body } = await get('/account');
    const script = (await get('/account/page/main.js')).body;
    expect(script).toContain('addEventListener');
    // A page that prevents pasting listens for one of these.
    expect(`${body}${script}`).not.toMatch(/['"]?(?:on)?(?:paste|beforeinput|drop)['"]?\s*[=,]/);
  });

  it('says without scripts that it needs them', async () => {
    expect((await get('/account')).body).toMatch(/<noscript>[^]*needs JavaScript[^]*<\/noscript>/);
  });

  it('is told what claims do not tell', async () => {
    const other = await house.replica({ config: { reissueGraceSeconds: 7, reissueMax: 3 } });
    const { body } = await other.app.inject({ url: '/account' });
    expect(body).toContain('data-grace-seconds="7" data-reissue-max="3"');
    expect((await get('/account')).body).toContain('data-grace-seconds="60" data-reissue-max="90"');
  });

  it('names nothing that is not served here, and its script imports nothing more', async () => {
    const references = await findReferences();
    expect(references.sort()).toEqual([
      '/account/page/account.css',
      '/account/page/favicon.svg',
      '/account/page/main.js',
    ]);
    for (const reference of references)
      expect([reference, (await get(reference)).statusCode]).toEqual([reference, 200]);
    expect((await get('/account/page/main.js')).body).not.toMatch(/^\s*import\b|\bimport\s*\(/m);
  });

  it('is one address: with a slash at its end it leads there, below any path that a proxy puts in front', async () => {
    const response = await get('/account/');
    expect(response.statusCode).toBe(308);
    expect(response.headers.location).toBe('../account');
  });
});

describe('a file of the page', () => {
  it.each([
    ['/account/page/main.js', 'text/javascript; charset=utf-8'],
    ['/account/page/account.css', 'text/css; charset=utf-8'],
    ['/account/page/favicon.svg', 'image/svg+xml'],
  ])('%s is %s, and asked about each time', async (url, type) => {
    const response = await get(url);
    expect(response.headers).toMatchObject({ 'content-type': type, 'cache-control': 'public, no-cache' });
    expect(response.headers.etag).toMatch(/^"[\w-]{22}"$/);
    expect(response.headers['content-security-policy']).toBe("default-src 'none'; frame-ancestors 'none'");
  });

  it.each([
    ['the same', (etag: string) => etag],
    ['the same, weakened by a proxy', (etag: string) => `W/${etag}`],
    ['the same among others', (etag: string) => `"other", ${etag}`],
    ['any', () => '*'],
  ])('is not sent again to who has %s', async (_what, tagFrom) => {
    const { etag } = (await get('/account/page/main.js')).headers;
    const response = await get('/account/page/main.js', { 'if-none-match': tagFrom(String(etag)) });
    expect(response.statusCode).toBe(304);
    expect(response.body).toBe('');
    expect(response.headers.etag).toBe(etag);
  });

  it('is sent to who has another one', async () => {
    const response = await get('/account/page/main.js', { 'if-none-match': '"other"' });
    expect(response.statusCode).toBe(200);
    expect(response.body).not.toBe('');
  });

  it('has a tag of its content, not of its length and date, which a build may set alike', () => {
    const directory = mkdtempSync(join(tmpdir(), 'gatehouse-account-'));
    const tagOf = (script: string) => {
      writeFileSync(join(directory, 'main.js'), script);
      utimesSync(join(directory, 'main.js'), 0, 0);
      return readAccountPage({ ...DEFAULTS, ...replica.gatehouse.rules }, directory).files.get('main.js')
        ?.etag;
    };
    cpSync(BUILT, directory, { recursive: true });
    try {
      expect(tagOf('one()')).not.toBe(tagOf('two()'));
      expect(tagOf('one()')).toBe(tagOf('one()'));
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('has a head', async () => {
    const response = await replica.app.inject({ method: 'HEAD', url: '/account/page/main.js' });
    expect(response.statusCode).toBe(200);
    expect(response.body).toBe('');
  });
});

it.each([
  '/account/x',
  '/account/page',
  '/account/page/',
  '/account/page/x',
  '/account/page/index.html',
  '/account/page/main.ts',
  '/account/browser/gatehouse.js',
  '/account/page/life.js',
  '/account/page/..%2findex.html',
  '/account/page/%6dain.js',
  '/account/page/__proto__',
  '/account/page/main.js/x',
])('%s is not there', async (url) => {
  expect(problemOf(await get(url))).toMatchObject({ status: 404, error: 'not_found' });
});

it('takes no method but GET and HEAD', async () => {
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS'] as const) {
    const response = await replica.app.inject({ method, url: '/account' });
    expect(problemOf(response)).toMatchObject({ status: 405, error: 'method_not_allowed' });
    expect(response.headers.allow).toBe('GET, HEAD');
  }
});

it.each(['/account', '/account/', '/account/page/main.js'])(
  '%s is gone with ACCOUNT_PAGE=off',
  async (url) => {
    const quiet = await house.replica({ config: { accountPage: false } });
    expect(problemOf(await quiet.app.inject({ url }))).toMatchObject({ status: 404, error: 'not_found' });
  },
);

it('is in no document of the API', async () => {
  expect((await get('/openapi.json')).body).not.toContain('/account');
});

describe('a build without the page', () => {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-account-'));
  afterAll(() => rmSync(directory, { recursive: true }));

  it.each(['index.html', 'main.js'])('that lacks %s fails the start, and says how to go on', (missing) => {
    const place = join(directory, missing);
    cpSync(BUILT, place, { recursive: true });
    expect(readAccountPage({ ...DEFAULTS, ...replica.gatehouse.rules }, place).files.size).toBe(3);
    rmSync(join(place, missing));
    const read = () => readAccountPage({ ...DEFAULTS, ...replica.gatehouse.rules }, place);
    expect(read).toThrow(StartError);
    expect(read).toThrow(/page was not built .*npm run build.*ACCOUNT_PAGE=off/);
  });
});
