// What the bench sends: tokens that it mints for rows of its own must be tokens to the service, or it measures refusals, or nothing.
import { afterAll, beforeAll, expect, it } from 'vitest';

import { prepareTraffic } from '../bench/scenarios/introspect.js';
import { startGatehouse } from '../bench/servers.js';
import { fill, mintRefreshTokens, openWorld, pickSessions } from '../bench/world.js';
import { retryOn503 } from '../../../test/support/retry.js';

let world: Awaited<ReturnType<typeof openWorld>>;
let server: Awaited<ReturnType<typeof startGatehouse>>;

beforeAll(async () => {
  world = await openWorld();
  await fill(world, 20, 20);
  server = await startGatehouse(world);
});
afterAll(async () => {
  await server.stop();
  await world.close();
});

const post = (path: string, headers: Record<string, string>, body: string | URLSearchParams) =>
  retryOn503(() => fetch(`http://127.0.0.1:${server.port}${path}`, { method: 'POST', headers, body }));

it('access tokens of the bench are active', async () => {
  const { firstToken } = (await prepareTraffic(world, 5)) as { firstToken: string };
  const authorization = `Basic ${Buffer.from(`bench:${world.client?.secret}`).toString('base64')}`;
  const answer = await post('/introspect', { authorization }, new URLSearchParams({ token: firstToken }));
  expect(await answer.json()).toMatchObject({ active: true });
});

it('refresh tokens of the bench are exchanged', async () => {
  const [token] = mintRefreshTokens(world, (await pickSessions(world, 1)) as object[]) as string[];
  const headers = { 'content-type': 'application/json' };
  const answer = await post('/refresh', headers, JSON.stringify({ refresh_token: token }));
  expect(answer.status).toBe(200);
});
