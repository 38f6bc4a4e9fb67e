// ADMIN_ADDRESS: what operators ask is there alone, of one process or of several.
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';

import { findFreePort } from '../../../packages/lab/shared/ports.js';
import { linesOf } from '../../support/connections.js';
import { basic, openHouse, type House, type TestClient } from '../../support/house.js';
import { retryOn503 } from '../../support/retry.js';
import { ask, createWorkshop, environmentFor } from '../../support/service.js';

const workshop = createWorkshop();
let house: House;
let client: TestClient;

beforeAll(async () => {
  house = await openHouse();
  client = await house.client(['users:read', 'users:write']);
});
afterEach(() => workshop.clear());
afterAll(() => house.close());

it.each(['1', '2'])(
  'serves /admin there and nothing else, and no /admin elsewhere, with WORKERS=%s',
  async (WORKERS) => {
    const address = `127.0.0.1:${await findFreePort()}`;
    const given = { ...environmentFor(house.database.url), ADMIN_ADDRESS: address, WORKERS };
    const service = await workshop.start(given);
    // Said when every process listens; one that answers /ready may be the first.
    const said = () => linesOf(service).map(({ msg }) => msg);
    while (!said().includes(`/admin at http://${address} alone`)) await sleep(5);
    const headers = basic(client);
    const admin = await retryOn503(() => fetch(`http://${address}/admin/users`, { headers }));
    expect(admin.status).toBe(200);
    expect((await fetch(`http://${address}/admin/users`)).status).toBe(401);
    for (const path of ['/', '/session', '/health', '/.well-known/jwks.json'])
      expect([path, (await fetch(`http://${address}${path}`)).status]).toEqual([path, 404]);
    expect((await ask(service, 'GET', '/admin/users', { headers })).status).toBe(404);
    expect((await retryOn503(() => ask(service, 'GET', '/ready'))).status).toBe(200);
    expect(await service.stop('SIGTERM')).toEqual({ code: 0, signal: null });
    await expect(fetch(`http://${address}/admin/users`, { headers })).rejects.toThrow('fetch failed');
  },
);

it('says in one line that its port is taken, and does not start', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  try {
    const given = { ...environmentFor(house.database.url), ADMIN_ADDRESS: `127.0.0.1:${port}` };
    const service = await workshop.spawn(given);
    expect((await service.exited).code).toBe(1);
    expect(service.output.stderr).toBe(
      `gatehouse: port ${port} is taken: stop what listens there, or set ADMIN_ADDRESS\n`,
    );
  } finally {
    server.close();
  }
});
