// GET /: a browser is led to a page, a program learns where everything is.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { openHouse, type House } from '../support/house.js';

let house: House;
beforeAll(async () => (house = await openHouse()));
afterAll(() => house.close());

type Switches = Partial<Record<'accountPage' | 'docs', boolean>>;

async function open(accept: string | undefined, config: Switches = {}) {
  const { app } = await house.replica({ config });
  return app.inject({ url: '/', headers: accept === undefined ? {} : { accept } });
}

/** As Chromium, Firefox and Safari write it when an address is opened. */
const BROWSERS = [
  'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7',
  'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
];

describe('a browser', () => {
  it.each(BROWSERS)('is led to the account page, relative to where it is: %s', async (accept) => {
    const response = await open(accept);
    expect([response.statusCode, response.headers.location]).toEqual([302, 'account']);
    expect(response.headers).toMatchObject({ vary: 'Accept', 'cache-control': 'no-store' });
  });

  it('is led to the documentation where there is no account page, and then gets addresses', async () => {
    expect((await open(BROWSERS[1], { accountPage: false })).headers.location).toBe('docs');
    const response = await open(BROWSERS[1], { accountPage: false, docs: false });
    expect([response.statusCode, response.json()]).toMatchObject([200, { name: 'gatehouse' }]);
  });
});

describe('a program', () => {
  it.each([
    undefined,
    '*/*',
    'application/json',
    'application/json, text/plain, */*',
    'application/json, text/html',
  ])('that accepts %s gets addresses that lead somewhere', async (accept) => {
    const response = await open(accept);
    expect(response.statusCode).toBe(200);
    expect(response.headers).toMatchObject({ vary: 'Accept', 'cache-control': 'no-store' });
    const { name, issuer, ...addresses } = response.json<Record<string, string>>();
    expect([name, issuer]).toEqual(['gatehouse', 'http://gatehouse.test']);
    expect(Object.keys(addresses)).toEqual([
      'account',
      'docs',
      'openapi',
      'metadata',
      'jwks',
      'health',
      'ready',
    ]);
    const { app } = await house.replica();
    for (const address of Object.values(addresses)) {
      const { host, pathname: url } = new URL(address);
      expect([address, (await app.inject({ url, headers: { host } })).statusCode]).toEqual([address, 200]);
    }
  });

  it('is told of nothing that is switched off', async () => {
    const response = await open('*/*', { accountPage: false, docs: false });
    expect(Object.keys(response.json<object>())).toEqual([
      'name',
      'issuer',
      'metadata',
      'jwks',
      'health',
      'ready',
    ]);
  });
});
