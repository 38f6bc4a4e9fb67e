// What a door sets on a request: read behind it, and never mistaken for something where no door has set it.
import Fastify, { type FastifyInstance } from 'fastify';
import { afterEach, beforeEach, expect, it } from 'vitest';

import type { Client } from '../../src/domain/clients.js';
import { addMembers } from '../../src/http/doors/members.js';

const CLIENT: Client = { id: 'orders', permissions: [], audiences: [] };

let app: FastifyInstance;

beforeEach(() => {
  app = Fastify();
  addMembers(app);
});
afterEach(() => app.close());

it.each(['token', 'client', 'judgement'] as const)(
  'request.%s throws where no door has set it',
  async (name) => {
    app.get('/', (request) => ({ read: request[name] }));
    const response = await app.inject('/');
    expect(response.statusCode).toBe(500);
    expect(response.json()).toMatchObject({
      message: expect.stringContaining(`request.${name} is read where`) as string,
    });
  },
);

it('is read where it was set, in that request alone', async () => {
  app.get('/set', (request) => {
    request.client = CLIENT;
    return request.client;
  });
  app.get('/forgotten', (request) => request.client);
  expect((await app.inject('/set')).json()).toEqual(CLIENT);
  expect((await app.inject('/forgotten')).statusCode).toBe(500);
});
