// Who is calling arrives at the application; what a caller says about it, and every token, does not.
import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { beforeAll, describe, expect, it } from 'vitest';

import type { TestClient, TestUser, TokenPair } from '../../support/house.js';
import { retryOn503 } from '../../support/retry.js';
import { foldedOf } from './headers.js';
import { IDENTITY_WORDS } from './recorder.js';
import { ask, bearer, JSON_BODY, SOCKET_KEY, type RawHeaders, type Stage } from './stage.js';

/** X-Auth-Subject and its kin in every spelling that some backend takes for it. */
const SPELLINGS = ['-', '_', '.'].flatMap((one) =>
  ['-', '_', '.'].flatMap((two) =>
    IDENTITY_WORDS.flatMap((what) => [`X${one}Auth${two}${what}`, `x${one}AUTH${two}${what.toLowerCase()}`]),
  ),
);
const FORGED: RawHeaders = SPELLINGS.flatMap((name) => [name, 'forged', name, 'twice']);

const OURS = '__Host-gatehouse-access=ey.ey.sig';
const OURS_TOO = '__Host-gatehouse-refresh=ey.ey.sig';

export function checkIdentity(stage: () => Stage): void {
  let user: TestUser;
  let pair: TokenPair;

  beforeAll(async () => {
    user = await stage().house.user({ username: 'zoë,日本100%', scope: 'read write' });
    pair = await stage().login(user);
  });

  it('brings the application who is calling', async () => {
    const seen = foldedOf(await stage().arrive('GET', '/orders?a=%2f&b', bearer(pair.access_token)));
    expect(seen).toMatchObject({
      x_auth_subject: [user.id],
      x_auth_client: ['gatehouse'],
      x_auth_username: ['zo%C3%AB%2C%E6%97%A5%E6%9C%AC100%25'],
      x_auth_session: [pair.session_id],
      x_auth_scope: ['read write'],
      x_auth_ext: ['e30'],
    });
  });

  it('lets no forged identity through, in whatever spelling', async () => {
    const seen = foldedOf(await stage().arrive('GET', '/orders', [...FORGED, ...bearer(pair.access_token)]));
    const identity = Object.entries(seen).filter(([name]) => name.startsWith('x_auth'));
    expect(Object.fromEntries(identity)).toEqual({
      x_auth_subject: [user.id],
      x_auth_client: ['gatehouse'],
      x_auth_username: ['zo%C3%AB%2C%E6%97%A5%E6%9C%AC100%25'],
      x_auth_session: [pair.session_id],
      x_auth_scope: ['read write'],
      x_auth_ext: ['e30'],
    });
  });

  it('brings the application what a backend says of its own user, as long as it may be', async () => {
    const client = await stage().house.client(['sessions:open']);
    const ext = { a: '字'.repeat(338) };
    const said = { external_id: '!'.repeat(255), username: '名'.repeat(200), scope: 'a'.repeat(200), ext };
    const token = await openSession(client, said);
    const seen = foldedOf(await stage().arrive('GET', '/orders', [...FORGED, ...bearer(token)]));
    const identity = Object.entries(seen).filter(([name]) => name.startsWith('x_auth'));
    expect(Object.fromEntries(identity)).toEqual({
      x_auth_subject: [said.external_id],
      x_auth_client: [client.id],
      x_auth_username: [encodeURIComponent(said.username)],
      x_auth_session: [expect.any(String)],
      x_auth_scope: [said.scope],
      x_auth_ext: [Buffer.from(JSON.stringify(ext)).toString('base64url')],
    });
  });

  /** Past the gateway, as a backend does. */
  async function openSession(client: TestClient, said: object): Promise<string> {
    const basic = Buffer.from(`${client.id}:${client.secret}`).toString('base64');
    const headers = [...JSON_BODY, 'Authorization', `Basic ${basic}`];
    const { gatehouse } = stage().ports;
    const answer = await retryOn503(() => ask(gatehouse, 'POST', '/sessions', headers, JSON.stringify(said)));
    if (answer.status !== 201) throw new Error(`${answer.status} ${answer.body}`);
    return (JSON.parse(answer.body) as TokenPair).access_token;
  }

  it('lets none through for a caller without scope, whose own is empty', async () => {
    const { access_token: token } = await stage().login(await stage().house.user());
    const seen = foldedOf(await stage().arrive('GET', '/orders', [...FORGED, ...bearer(token)]));
    expect((seen['x_auth_scope'] ?? []).filter((scope) => scope !== '')).toEqual([]);
  });

  it('lets none through where nobody is asked', async () => {
    for (const headers of [FORGED, [...FORGED, ...bearer(pair.access_token)]]) {
      const seen = foldedOf(await stage().arrive('GET', '/public/index.html', headers));
      expect(Object.keys(seen).filter((name) => name.startsWith('x_auth'))).toEqual([]);
    }
  });

  it.each(['/orders', '/public/index.html'])('keeps tokens from the application at %s', async (path) => {
    const headers = [...bearer(pair.access_token), 'Cookie', `basket=7; ${OURS}; theme=dark; ${OURS_TOO}`];
    const seen = await stage().arrive('GET', path, headers);
    expect(JSON.stringify(seen)).not.toMatch(/gatehouse-(?:access|refresh)|ey\.ey|bearer|authorization"/i);
    expect(JSON.stringify(seen)).not.toContain(pair.access_token);
    expect(foldedOf(seen)['cookie']).toEqual(['basket=7; theme=dark']);
  });

  it.each([
    ['ours alone', OURS, undefined],
    ['both of ours', `${OURS}; ${OURS_TOO}`, undefined],
    ['ours first', `${OURS_TOO}; ${OURS}; basket=7`, 'basket=7'],
    ['ours last, without spaces', `basket=7;theme=dark;${OURS}`, 'basket=7;theme=dark'],
    ['one whose name ends like ours', `my${OURS}; basket=7`, undefined],
    ['others alone', 'basket=7; theme="a,b"; empty=', 'basket=7; theme="a,b"; empty='],
    ['ours in an odd spelling', `basket=7; \t${OURS_TOO.replace('=', ' =')}`, 'basket=7'],
  ])('of cookies passes those of others: %s', async (_which, sent, expected) => {
    const seen = foldedOf(await stage().arrive('GET', '/public/x', ['Cookie', sent]));
    expect(seen['cookie']?.[0]).toBe(expected);
  });

  it('never passes one of ours that is sent twice', async () => {
    const sent = ['Cookie', `${OURS}; ${OURS}; ${OURS_TOO}; ${OURS_TOO}; basket=7`];
    expect(JSON.stringify(await stage().arrive('GET', '/public/x', sent))).not.toContain('ey.ey');
    const lines = ['Cookie', `basket=7; ${OURS}`, 'Cookie', `${OURS}; ${OURS_TOO}`];
    expect(JSON.stringify(await stage().arrive('GET', '/public/x', lines))).not.toContain('ey.ey');
  });

  it.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND'])(
    'hands on %s with its body and address as they are',
    async (method) => {
      const body = method === 'GET' ? undefined : 'x'.repeat(300_000);
      const path = '/orders/7/caf%C3%A9,a@b/?q=%20&r=1//../a%2Fb;c';
      const seen = await stage().arrive(method, path, bearer(pair.access_token), body);
      expect([seen.method, seen.url, seen.bytes]).toEqual([method, path, body?.length ?? 0]);
      expect(foldedOf(seen)['x_forwarded_method'] ?? [method]).toEqual([method]);
    },
  );

  it('says to the application whom the request comes from, whatever the caller says', async () => {
    const lies = [
      'X-Forwarded-For',
      '203.0.113.9',
      'X-Real-IP',
      '203.0.113.9',
      'Forwarded',
      'for=203.0.113.9',
    ];
    const seen = await stage().arrive('GET', '/orders', [...lies, ...bearer(pair.access_token)]);
    expect(foldedOf(seen)['x_forwarded_for']).toEqual(['127.0.0.1']);
    expect(JSON.stringify(seen)).not.toContain('203.0.113.9');
  });

  describe('a socket', () => {
    async function upgrade(headers: RawHeaders): Promise<{ status: number; socket: Socket | null }> {
      const { gateway: port } = stage().ports;
      const handshake = ['Host', `localhost:${port}`, 'Connection', 'Upgrade', 'Upgrade', 'websocket'];
      const asking = request({
        port,
        path: '/live',
        agent: false,
        headers: [...handshake, ...SOCKET_KEY, ...headers],
      }).end();
      const [response, socket] = (await Promise.race([
        once(asking, 'upgrade'),
        once(asking, 'response'),
      ])) as [IncomingMessage, Socket?];
      if (socket === undefined) response.resume();
      return { status: response.statusCode ?? 0, socket: socket ?? null };
    }

    it('opens for who is known, and is theirs', async () => {
      const { status, socket } = await retryOn503(() => upgrade(bearer(pair.access_token)));
      expect(status).toBe(101);
      if (socket === null) throw new Error('no socket');
      socket.write('hello');
      const [echo] = (await once(socket, 'data')) as [Buffer];
      expect(echo.toString()).toBe(`${user.id} said hello`);
      socket.destroy();
    });

    it('stays shut for everybody else', async () => {
      const before = stage().arrivals();
      const { status } = await retryOn503(() => upgrade([]));
      expect([status, stage().arrivals()]).toEqual([401, before]);
    });
  });
}
