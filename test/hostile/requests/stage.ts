// A Gatehouse that listens, what is sent to it byte for byte, and everything that it remembers.
import { once } from 'node:events';
import { Agent, request as openRequest, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { InjectOptions, LightMyRequestResponse } from 'fastify';

import { PERMISSIONS } from '../../../src/domain/clients.js';
import {
  basic,
  bearer,
  login,
  openHouse,
  type House,
  type Replica,
  type TestClient,
  type TestUser,
  type TokenPair,
} from '../../support/house.js';

export interface Sent {
  method: string;
  /** The request target, as it stands in the first line. */
  path: string;
  /** As they are sent, repeated ones and all. */
  headers?: [name: string, value: string][];
  body?: string | Buffer | undefined;
}

export interface Stage {
  house: House;
  replica: Replica;
  user: TestUser;
  /** A living session; no hostile request may end it, nor spend its refresh token. */
  pair: TokenPair;
  client: TestClient;
  /** It may do all that operators do. */
  operator: TestClient;
  send: (request: Sent) => Promise<LightMyRequestResponse>;
  /** Every row of every table but the counts of attempts, and events of logins that failed, as text. */
  state: () => Promise<string>;
  close: () => Promise<void>;
}

/** A body this large could still be on its way when the answer comes, and be cut off with it. */
const LARGE_BODY_BYTES = 64 * 1024;

export async function openStage(): Promise<Stage> {
  const house = await openHouse();
  // Each request comes from an address of its own, so that none is refused for the sake of those before.
  const replica = await house.replica({ config: { trustProxy: ['127.0.0.0/8'] } });
  const user = await house.user({ scope: 'read write' });
  const pair = await login(replica, user);
  await replica.app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = replica.app.server.address() as AddressInfo;
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  let sent = 0;

  return {
    house,
    replica,
    user,
    pair,
    client: await house.client(),
    operator: await house.client([...PERMISSIONS]),
    send: ({ method, path, headers = [], body }) => {
      sent += 1;
      const from = `10.${(sent >> 16) & 255}.${(sent >> 8) & 255}.${sent & 255}`;
      const all: [string, string][] = [...headers, ['X-Forwarded-For', from]];
      const isLarge = body !== undefined && Buffer.byteLength(body) > LARGE_BODY_BYTES;
      if (isLarge) return inject(replica, { method, path, headers: all, body });
      return sendOverWire({ port, agent }, { method, path, headers: all, body });
    },
    state: () => readAll(house),
    close: async () => {
      agent.destroy();
      await house.close();
    },
  };
}

async function inject({ app }: Replica, { method, path, headers, body }: Sent) {
  const options = { method, url: path, headers: Object.fromEntries(headers ?? []), payload: body };
  return await app.inject(options as InjectOptions);
}

async function sendOverWire(
  { port, agent }: { port: number; agent: Agent },
  { method, path, headers = [], body }: Sent,
): Promise<LightMyRequestResponse> {
  const own = [['Host', `127.0.0.1:${port}`]];
  // Said even of nothing, or Node would send it in chunks, as a body.
  if (body !== undefined || !['GET', 'HEAD'].includes(method))
    own.push(['Content-Length', String(Buffer.byteLength(body ?? ''))]);
  const outgoing = openRequest({
    host: '127.0.0.1',
    port,
    agent,
    method,
    path,
    headers: [...own, ...headers].flat(),
  });
  outgoing.end(body);
  const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of incoming.setEncoding('utf8')) text += chunk as string;
  const answer = { statusCode: incoming.statusCode, headers: incoming.headers, body: text };
  return { ...answer, json: () => JSON.parse(text) as unknown } as unknown as LightMyRequestResponse;
}

async function readAll({ database }: House): Promise<string> {
  const { rows: tables } = await database.admin.query<{ name: string }>(
    `SELECT quote_ident(table_name) AS name FROM information_schema.tables
     WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND table_name <> 'login_attempts' ORDER BY 1`,
  );
  const selects = tables.map(
    ({ name }) =>
      `SELECT '${name}' AS "table", (SELECT json_agg(t ORDER BY t::text) FROM ${name} t ${name === 'events' ? "WHERE type <> 'login'" : ''})::text AS rows`,
  );
  const { rows } = await database.admin.query(selects.join(' UNION ALL '));
  return JSON.stringify(rows);
}

/** Whom an endpoint lets in. */
export type Door = 'nobody' | 'user' | 'client' | 'operator';

/** Credentials that open the door, so that nothing but the rest of the request is a reason to refuse. */
export function keyFor(door: Door, { pair, client, operator }: Stage): [string, string][] {
  if (door === 'nobody') return [];
  const { authorization } =
    door === 'user' ? bearer(pair.access_token) : basic(door === 'operator' ? operator : client);
  return [['Authorization', authorization]];
}
