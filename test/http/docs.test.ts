// GET /openapi.json and GET /docs: the document, and a page that shows it without fetching anything from elsewhere.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { problemOf } from '../support/answers.js';
import { DEFAULTS, openHouse, type House, type Replica } from '../support/house.js';

let house: House;
let replica: Replica;

beforeAll(async () => {
  house = await openHouse();
  replica = await house.replica();
});
afterAll(() => house.close());

const get = (url: string) => replica.app.inject({ url });

it('serves the document as JSON that may be kept for a while', async () => {
  const response = await get('/openapi.json');
  expect(response.statusCode).toBe(200);
  expect(response.headers['content-type']).toBe('application/json; charset=utf-8');
  expect(response.headers['cache-control']).toBe('public, max-age=300');
});

describe('the page', () => {
  /** What the page and its style sheets and scripts name in `src`, `href` and `url(…)`. */
  async function findReferences(): Promise<string[]> {
    const { body } = await get('/docs');
    const assets = [...body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, url = '']) => url);
    const sheets = await Promise.all(
      assets.filter((url) => url.endsWith('.css')).map(async (url) => (await get(url)).body),
    );
    const inSheets = sheets.flatMap((css) =>
      [...css.matchAll(/url\(["']?([^"')]+)/g)].map(([, url = '']) => url),
    );
    return [...assets, ...inSheets];
  }

  it('references nothing that is not served here', async () => {
    const references = await findReferences();
    expect(references.length).toBeGreaterThan(3);
    for (const reference of references.filter((url) => !url.startsWith('data:'))) {
      expect(reference).toMatch(/^\/docs\//);
      expect([reference, (await get(reference)).statusCode]).toEqual([reference, 200]);
    }
  });

  it.each(['/docs', '/docs/'])('is as wide as the screen, on a phone too: %s', async (url) => {
    expect((await get(url)).body).toMatch(/<head>\s*<meta name="viewport" content="width=device-width/);
  });

  it('tries the endpoints at the origin that it comes from, with any issuer', async () => {
    const { servers } = (await get('/docs/json')).json<{ servers: { url: string }[] }>();
    expect(servers.map(({ url }) => new URL(url, 'http://127.0.0.1:4711/docs/json').href)).toEqual([
      'http://127.0.0.1:4711/',
    ]);
    const document = (await get('/openapi.json')).json<{ servers: { url: string }[] }>();
    expect(document.servers).toEqual([{ url: DEFAULTS.issuer }]);
  });

  it('sends nothing to a validator elsewhere', async () => {
    const { body } = await get('/docs/static/swagger-initializer.js');
    expect(body).toMatch(/validatorUrl: (?:null|"none")/);
    expect(body).not.toContain('validator.swagger.io');
  });

  it('may load from nowhere else, and be framed by nobody', async () => {
    for (const url of ['/docs', '/docs/static/index.html', '/docs/static/swagger-ui-bundle.js']) {
      const policy = (await get(url)).headers['content-security-policy'];
      const sources = String(policy)
        .split(';')
        .flatMap((directive) => directive.trim().split(/\s+/).slice(1));
      expect(sources.filter((source) => !/^('.*'|data:)$/.test(source))).toEqual([]);
      expect(policy).toContain("default-src 'none'");
      expect(policy).toContain("frame-ancestors 'none'");
      // Over plain http on another host than localhost a browser would fail to load the page's own scripts.
      expect(policy).not.toContain('upgrade-insecure-requests');
    }
  });
});

it.each(['/openapi.json', '/docs', '/docs/', '/docs/json', '/docs/static/index.html'])(
  '%s is gone with DOCS=off',
  async (url) => {
    const quiet = await house.replica({ config: { docs: false } });
    expect(problemOf(await quiet.app.inject({ url }))).toEqual({ status: 404, error: 'not_found' });
  },
);
