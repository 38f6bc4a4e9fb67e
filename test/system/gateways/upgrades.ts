// A connection leaves HTTP/1.1 as a WebSocket alone, and where Gatehouse was asked. In HTTP/2, which applications enter by the same
// header, the gateway would not see the requests that follow, nor remove anything from them.
import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import type { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { beforeEach, expect, it } from 'vitest';

import { foldedOf } from './headers.js';
import { KNOWN, type Recorder } from './recorder.js';
import { SOCKET_KEY, type RawHeaders, type Seen } from './stage.js';

/** Of HTTP/2 (RFC 7540 §3.2.1), as a client sends it. */
const SETTINGS: RawHeaders = ['HTTP2-Settings', 'AAMAAABkAAQAoAAAAAIAAAAA'];
const WITH_SETTINGS: RawHeaders = ['Connection', 'Upgrade, HTTP2-Settings', ...SETTINGS];
const WITHOUT: RawHeaders = ['Connection', 'Upgrade'];

const OTHERS: [string, RawHeaders][] = [
  ['h2c', ['Upgrade', 'h2c', ...WITH_SETTINGS]],
  ['h2c without settings', ['Upgrade', 'h2c', ...WITHOUT]],
  ['H2C', ['Upgrade', 'H2C', ...WITH_SETTINGS]],
  ['websocket and h2c', ['Upgrade', 'websocket, h2c', ...WITH_SETTINGS]],
  ['h2c and websocket', ['Upgrade', 'h2c,websocket', ...WITH_SETTINGS]],
  ['h2c after an empty token', ['Upgrade', ', h2c', ...WITHOUT]],
  ['h2c with a version', ['Upgrade', 'h2c/2', ...WITHOUT]],
  ['h2', ['Upgrade', 'h2', ...WITH_SETTINGS]],
  ['a websocket with a version', ['Upgrade', 'websocket/13', ...WITHOUT]],
  ['TLS', ['Upgrade', 'TLS/1.2, HTTP/1.1', ...WITHOUT]],
  ['a name that contains websocket', ['Upgrade', 'xwebsocket', ...WITHOUT]],
  ['nothing', ['Upgrade', '', ...WITHOUT]],
];
/** Of two lines a gateway may take the first, the last, or both for a list. */
const TWICE: [string, RawHeaders][] = [
  ['a websocket, then h2c', ['Upgrade', 'websocket', 'Upgrade', 'h2c', ...WITH_SETTINGS]],
  ['h2c, then a websocket', ['Upgrade', 'h2c', 'Upgrade', 'websocket', ...WITH_SETTINGS]],
];
const WEBSOCKETS: [string, RawHeaders][] = [
  ['websocket', ['Upgrade', 'websocket', ...WITHOUT]],
  ['WebSocket', ['Upgrade', 'WebSocket', 'Connection', 'keep-alive, upgrade', ...SETTINGS]],
];

export function checkUpgrades(recorder: () => Recorder): void {
  beforeEach(() => void recorder().takeSeen());

  async function upgrade(path: string, headers: RawHeaders): Promise<{ status: number; socket?: Socket }> {
    const asking = request({
      port: recorder().ports.gateway,
      host: '127.0.0.1',
      path,
      agent: false,
      headers: ['Host', recorder().host, ...headers, ...SOCKET_KEY, ...KNOWN],
    }).end();
    const [response, socket] = (await Promise.race([once(asking, 'upgrade'), once(asking, 'response')])) as [
      IncomingMessage,
      Socket?,
    ];
    if (socket === undefined) await text(response);
    return { status: response.statusCode ?? 0, ...(socket === undefined ? {} : { socket }) };
  }

  /** What the application answers to somebody who goes on in HTTP/2 past the gateway; null where they do not get there. */
  async function enter(path: string, headers: RawHeaders): Promise<unknown> {
    const { socket } = await upgrade(path, headers);
    if (socket === undefined) return null;
    const session = connectHttp2(`http://${recorder().host}`, { createConnection: () => socket });
    const stream = session.request({ ':path': '/orders', 'x-auth-subject': 'forged' });
    // Another protocol than HTTP/2 was opened, or the connection was closed: an error is an answer here.
    const failures = [session, stream].map((one) => once(one, 'error').then(([error]) => String(error)));
    const answer = await Promise.race([
      text(stream).then((body) => JSON.parse(body) as Seen, String),
      ...failures,
    ]);
    session.destroy();
    return answer;
  }

  function expectNoTrace(all: Seen[]): void {
    for (const { headers } of all) {
      const traces = headers.filter(([name]) => /^(?:upgrade|http2-settings|te)$/i.test(name));
      const connections = headers.filter(
        ([name, value]) => /^connection$/i.test(name) && /upgrade|settings/i.test(value),
      );
      expect([...traces, ...connections]).toEqual([]);
    }
  }

  it.each([...OTHERS, ...TWICE, ...WEBSOCKETS])(
    'passes no wish for %s on at an open address',
    async (_what, headers) => {
      expect(await enter('/public/x', headers)).toBeNull();
      const { application, gatehouse } = recorder().takeSeen();
      expect([application.length, gatehouse.length]).toEqual([1, 0]);
      expectNoTrace(application);
    },
  );

  it.each([...OTHERS, ...TWICE, ...WEBSOCKETS])(
    'passes no wish for %s on to Gatehouse',
    async (_what, headers) => {
      for (const path of ['/orders', '/session', '/login']) {
        const { socket } = await upgrade(path, headers);
        socket?.destroy();
      }
      const { gatehouse } = recorder().takeSeen();
      expect(gatehouse.length).toBe(3);
      expectNoTrace(gatehouse);
    },
  );

  it.each(OTHERS)('answers a wish for %s at a closed address as if it were none', async (_what, headers) => {
    expect(await enter('/orders', headers)).toBeNull();
    const { application } = recorder().takeSeen();
    expect(application.map(({ url }) => url)).toEqual(['/orders']);
    expectNoTrace(application);
  });

  it.each(TWICE)('opens nothing but a websocket at a closed address for %s', async (_what, headers) => {
    const { socket } = await upgrade('/orders', headers);
    socket?.destroy();
    for (const seen of recorder().takeSeen().application) {
      const wishes = seen.headers.filter(([name]) => /^(?:upgrade|http2-settings)$/i.test(name));
      expect(wishes.map(([, value]) => value)).toEqual(socket === undefined ? [] : ['websocket']);
    }
  });

  it.each(WEBSOCKETS)('opens a websocket at a closed address: %s', async (_what, headers) => {
    const { status, socket } = await upgrade('/orders', headers);
    if (socket === undefined) throw new Error(`no socket: ${status}`);
    socket.write('hello');
    const [echo] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    expect(echo.toString()).toBe('the-caller said hello');
    const { application, gatehouse } = recorder().takeSeen();
    // Gatehouse looks at the origin as with a POST.
    expect(gatehouse.map((asked) => foldedOf(asked)['x_forwarded_method'])).toEqual([['POST']]);
    const { headers: seen = [] } = application[0] ?? {};
    const told = seen.filter(([name]) => /^(?:upgrade|connection|http2-settings)$/i.test(name));
    expect(told.map((line) => line.join(': ').toLowerCase()).sort()).toEqual([
      'connection: upgrade',
      'upgrade: websocket',
    ]);
  });

  it('opens no tunnel where nobody is asked', async () => {
    for (const path of ['/public/x', '/login']) {
      const { host } = recorder();
      await recorder().sendBytes(`CONNECT ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    }
    expect(recorder().takeSeen()).toEqual({ application: [], gatehouse: [] });
  });

  it('does not begin in HTTP/2 without TLS either', async () => {
    await recorder().sendBytes('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0');
    expect(recorder().takeSeen()).toEqual({ application: [], gatehouse: [] });
  });
}
