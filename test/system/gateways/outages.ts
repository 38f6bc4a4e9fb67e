// Where Gatehouse cannot be asked nobody gets through: stopped, standing still, or answered for by something else.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { availableParallelism } from 'node:os';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { onServer } from '../../support/database.js';
import type { TokenPair } from '../../support/house.js';
import { untilReady } from '../../support/service.js';
import { problemOf } from './refusals.js';
import { bearer, JSON_BODY, type Answer, type Stage } from './stage.js';

/** Gatehouse promises 2.5 s, the gateways wait 3 where their defaults are a minute; the rest is for two busy cores. */
const PATIENCE_MS = 3000 + 8000;

export function checkOutages(stage: () => Stage): void {
  let pair: TokenPair;

  beforeAll(async () => {
    pair = await stage().login(await stage().house.user());
  });

  async function expectClosed(): Promise<Answer> {
    const before = stage().arrivals();
    const answer = await stage().sendOnce('GET', '/orders', bearer(pair.access_token));
    expect(stage().arrivals()).toBe(before);
    return answer;
  }

  async function expectUnavailable(): Promise<void> {
    const answer = await expectClosed();
    expect([answer.status, problemOf(answer).error]).toEqual([503, 'temporarily_unavailable']);
    expect(answer.headers['retry-after']).toMatch(/^[1-9]\d*$/);
    expect(answer.headers['www-authenticate']).toBeUndefined();
    expect(answer.tookMs).toBeLessThan(PATIENCE_MS);
  }

  it('says 503 in time while Gatehouse stands still, and the truth again once it moves', async () => {
    stage().gatehouse().process.kill('SIGSTOP');
    await Promise.all(Array.from({ length: 5 }, expectUnavailable));
    const login = await stage().sendOnce('POST', '/login', JSON_BODY, '{"username":"a","password":"b"}');
    expect([login.status, problemOf(login).error]).toEqual([503, 'temporarily_unavailable']);
    stage().gatehouse().process.kill('SIGCONT');
    await stage().arrive('GET', '/orders', bearer(pair.access_token));
  });

  it('passes the 503 of a Gatehouse on that cannot ask its database', async () => {
    const name = new URL(stage().house.database.url).pathname.slice(1);
    await onServer(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
    await onServer(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}'`);
    await expectUnavailable();
    await onServer(`ALTER DATABASE ${name} ALLOW_CONNECTIONS true`);
    await untilReady(stage().gatehouse());
    await stage().arrive('GET', '/orders', bearer(pair.access_token));
  });

  it('says 503 while Gatehouse is stopped, keeps what is open open, and comes back with it', async () => {
    await stage().gatehouse().stop('SIGKILL');
    await expectUnavailable();
    const login = await stage().sendOnce('POST', '/login', JSON_BODY, '{"username":"a","password":"b"}');
    expect([login.status, problemOf(login).error]).toEqual([503, 'temporarily_unavailable']);
    await stage().arrive('GET', '/public/index.html');
    await stage().restart();
    await stage().arrive('GET', '/orders', bearer(pair.access_token));
  });

  const NONSENSE: [string, (response: ServerResponse) => unknown][] = [
    ['a page', (response) => response.end('<h1>It works!</h1>')],
    ['nothing at all', (response) => response.writeHead(204).end()],
    ['another address', (response) => response.writeHead(302, { location: '/' }).end()],
    ['not found', (response) => response.writeHead(404).end()],
    ['an error', (response) => response.writeHead(500).end('{}')],
    ['bytes that are no answer', (response) => response.socket?.end('SSH-2.0-OpenSSH_9.2\r\n')],
    ['a closed connection', (response) => response.socket?.destroy()],
    ['a caller without a name', (response) => response.writeHead(200, { 'x-auth-subject': '' }).end('{}')],
    ['a yes of another kind', (response) => response.writeHead(201, { 'x-auth-username': 'root' }).end()],
  ];

  let impostor: Server | undefined;
  afterAll(() => impostor?.close());

  it('lets nobody through for something else that answers where Gatehouse was', async () => {
    await stage().gatehouse().stop('SIGTERM');
    let answer = NONSENSE[0]?.[1];
    impostor = createServer((_request, response) => answer?.(response));
    // By default it closes idle connections after seconds, which a busy machine may take from a test.
    impostor.keepAliveTimeout = 60_000;
    impostor.listen(stage().ports.gatehouse, '127.0.0.1');
    await once(impostor, 'listening');
    for (const [what, respond] of NONSENSE) {
      answer = respond;
      expect([what, (await expectClosed()).status]).not.toContain(200);
    }
  });

  it('speaks of an outage or of the refusal when Gatehouse goes away right after it', async () => {
    let isFirst = true;
    impostor?.removeAllListeners('request').on('request', (_request, response: ServerResponse) => {
      if (isFirst) response.writeHead(401, { 'content-type': 'application/problem+json' }).end('{}');
      else response.socket?.destroy();
      isFirst = false;
    });
    const answer = await expectClosed();
    expect([401, 503]).toContain(answer.status);
    expect(answer.headers['content-type']).toBe('application/problem+json');
  });

  it('asks again and again over connections that it keeps', async () => {
    const questioners = new Set<unknown>();
    impostor
      ?.removeAllListeners('request')
      .on('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
        questioners.add(socket);
        response.writeHead(403, { 'content-length': 0 }).end();
      });
    for (let turn = 0; turn < 20; turn += 1) {
      expect((await stage().sendOnce('GET', '/orders', bearer(pair.access_token))).status).toBe(403);
    }
    // One for each process of the gateway, of which there may be one per core.
    expect(questioners.size).toBeLessThanOrEqual(Math.max(2, availableParallelism()));
  });
}
