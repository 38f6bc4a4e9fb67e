// The examples as their README starts them: processes of their own, against a Gatehouse that really listens.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { createGatehouse } from '@gatehouse/browser';
import { startExample, type Example } from '../../support/example.js';
import { bearer, type TestUser } from '../../support/house.js';
import { retryOn503 } from '../../support/retry.js';
import { findFreePort } from '../../../packages/lab/shared/ports.js';
import { openStage, type Stage } from '../../http/resource-server/stage.js';

let stage: Stage;
let ada: TestUser;
let orders: Example;
let web: Example;
const stopping: Example['stop'][] = [];

beforeAll(async () => {
  stage = await openStage();
  ada = await stage.house.user({ scope: 'orders:read orders:write' });
  const ordersPort = await findFreePort();
  web = await start('web', {
    GATEHOUSE_URL: stage.options.url,
    ORDERS_URL: `http://localhost:${ordersPort}`,
  });
  orders = await start(
    'orders',
    {
      GATEHOUSE_URL: stage.options.url,
      CLIENT_ID: stage.client.id,
      CLIENT_SECRET: stage.client.secret,
      WEB_ORIGIN: web.url,
    },
    ordersPort,
  );
});
afterAll(async () => {
  for (const stop of stopping) await stop();
  await stage.close();
});

async function start(name: string, environment: Record<string, string>, port?: number): Promise<Example> {
  const example = await startExample(name, port ?? (await findFreePort()), environment);
  stopping.push(example.stop);
  return example;
}

describe('orders', () => {
  it('lets anybody see that it lives, and nobody else in without a token', async () => {
    expect((await fetch(`${orders.url}/health`)).status).toBe(200);
    const refused = await fetch(`${orders.url}/orders`);
    expect(refused.status).toBe(401);
    expect(refused.headers.get('www-authenticate')).toBe('Bearer realm="gatehouse"');
  });

  it('takes orders of those who may give them, and keeps them apart', async () => {
    const reader = await stage.logIn();
    const refused = await retryOn503(() =>
      fetch(`${orders.url}/orders`, {
        method: 'POST',
        headers: { ...bearer(reader.access_token), 'content-type': 'application/json' },
        body: JSON.stringify({ item: 'a book' }),
      }),
    );
    expect(refused.status).toBe(403);
    expect(refused.headers.get('www-authenticate')).toContain('scope="orders:write"');
    const list = await retryOn503(() =>
      fetch(`${orders.url}/orders`, { headers: bearer(reader.access_token) }),
    );
    expect(await list.json()).toEqual({ orders: [] });
  });

  it('lets the page of its origin read what it needs, and no other', async () => {
    const preflight = (origin: string) =>
      fetch(`${orders.url}/orders`, {
        method: 'OPTIONS',
        headers: { origin, 'access-control-request-method': 'POST' },
      });
    const allowed = await preflight(web.url);
    expect(allowed.status).toBe(204);
    expect(allowed.headers.get('access-control-allow-origin')).toBe(web.url);
    const refused = await fetch(`${orders.url}/orders`, { headers: { origin: web.url } });
    expect(refused.headers.get('access-control-expose-headers')).toContain('Refreshed-API-Token');
    const foreign = await preflight('https://evil.example');
    expect(foreign.headers.get('access-control-allow-origin')).not.toBe('https://evil.example');
  });
});

describe('web', () => {
  it('serves the page with a strict policy, and every module that it imports', async () => {
    const page = await fetch(web.url);
    const html = await page.text();
    expect(page.headers.get('content-security-policy')).toContain("script-src 'self'");
    expect(page.headers.get('content-security-policy')).toContain(
      `connect-src ${stage.options.url} ${orders.url}`,
    );
    expect(html).not.toMatch(/<script(?![^>]*src=)|\son\w+=|style="/);
    const seen = new Set<string>();
    const follow = async (path: string): Promise<void> => {
      if (seen.has(path)) return;
      seen.add(path);
      const answer = await fetch(new URL(path, web.url));
      expect([path, answer.status, answer.headers.get('content-type')]).toEqual([
        path,
        200,
        expect.stringMatching(/^(?:text|application)\/javascript/),
      ]);
      const text = await answer.text();
      for (const [, next = ''] of text.matchAll(/^import[^']*'(\/[^']+)'/gm)) await follow(next);
    };
    const scripts = [...html.matchAll(/<script[^>]*src="([^"]+)"/g)].map(([, src = '']) => src);
    for (const script of scripts) await follow(script);
    expect([...seen].sort()).toEqual(['/addresses.js', '/app.js', '/gatehouse/gatehouse.js']);
    const app = await (await fetch(`${web.url}/app.js`)).text();
    for (const [, id = ''] of app.matchAll(/find\('([^']+)'\)/g)) expect(html).toContain(`id="${id}"`);
  });

  it('does with the client what the page does: log in, order, renew in silence, log out', async () => {
    const { default: addresses } = (await import(
      `data:text/javascript,${encodeURIComponent(await (await fetch(`${web.url}/addresses.js`)).text())}`
    )) as { default: { gatehouse: string; orders: string } };
    const gatehouse = createGatehouse({
      url: addresses.gatehouse,
      origins: [addresses.orders],
      storage: null,
    });
    const changes: string[] = [];
    gatehouse.onChange(({ type, why }) => changes.push(`${type}: ${why}`));
    const list = async () => {
      const answer = await retryOn503(() => gatehouse.fetch(`${addresses.orders}/orders`));
      return answer.status === 200 ? await answer.json() : answer.status;
    };
    await gatehouse.login({ username: ada.username, password: ada.password });
    const made = await retryOn503(() =>
      gatehouse.fetch(`${addresses.orders}/orders`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ item: 'a book' }),
      }),
    );
    expect(made.status).toBe(201);
    expect(await list()).toEqual({ orders: ['a book'] });
    // Near its end, and then in the grace: relayed by the orders, taken up by the client.
    await stage.house.database.clock.set(500);
    expect(await list()).toEqual({ orders: ['a book'] });
    await stage.house.database.clock.set(500 + 480 + 110);
    expect(await list()).toEqual({ orders: ['a book'] });
    await gatehouse.logout();
    expect(await list()).toBe(401);
    expect(changes).toEqual([
      'signed-in: login',
      'renewed: reissue',
      'renewed: reissue',
      'signed-out: logout',
    ]);
    gatehouse.close();
    await stage.house.database.clock.set(0);
  });
});

it('both end in good order when they are told to', async () => {
  expect(await Promise.all([orders.stop(), web.stop()])).toEqual([0, 0]);
});
