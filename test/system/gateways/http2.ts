// The same in HTTP/2, for gateways that speak it: requests look another way there, and nothing else may follow from it.
import { connect, type ClientHttp2Session, type OutgoingHttpHeaders } from 'node:http2';
import { once } from 'node:events';
import { beforeEach, expect, it } from 'vitest';

import { foldedOf } from './headers.js';
import { IDENTITY, KNOWN, type Recorder } from './recorder.js';

const CALLER: OutgoingHttpHeaders = { authorization: KNOWN[1] ?? '' };

interface Sending {
  body?: string;
  trailers?: OutgoingHttpHeaders;
}

export function checkHttp2(recorder: () => Recorder): void {
  beforeEach(() => void recorder().takeSeen());

  /** A connection of its own: a gateway may close one on which more comes than it wants to read. */
  async function withSession<Result>(use: (session: ClientHttp2Session) => Promise<Result>): Promise<Result> {
    const session = connect(`http://${recorder().host}`);
    session.on('error', () => undefined);
    await once(session, 'remoteSettings');
    const result = await use(session);
    session.destroy();
    return result;
  }

  function send(headers: OutgoingHttpHeaders, { body, trailers }: Sending = {}): Promise<number> {
    return withSession(async (session) => {
      const endStream = body === undefined && trailers === undefined;
      const stream = session.request(headers, { endStream, waitForTrailers: trailers !== undefined });
      stream.on('error', () => undefined);
      stream.on('wantTrailers', () => stream.sendTrailers(trailers ?? {}));
      if (!endStream) stream.end(body);
      const [answer] = (await once(stream, 'response')) as [OutgoingHttpHeaders];
      stream.resume();
      await once(stream, 'close');
      return Number(answer[':status']);
    });
  }

  it('brings the application who is calling, and nothing that the caller says about it', async () => {
    const forged = Object.fromEntries(
      ['x-auth-subject', 'x_auth_scope', 'x~auth~ext'].map((n) => [n, 'forged']),
    );
    for (const method of ['GET', 'DELETE']) {
      const cookie = ['basket=7', '__Host-gatehouse-access=ey.ey.sig', 'theme=dark'];
      const headers = { ':method': method, ':path': '/orders', cookie, ...forged, ...CALLER };
      expect(await send(headers)).toBe(200);
      const [seen] = recorder().takeSeen().application;
      const folded = seen === undefined ? {} : foldedOf(seen);
      for (const [name, value] of Object.entries(IDENTITY))
        expect(folded[name.replaceAll('-', '_')]).toEqual([value]);
      expect(folded['cookie']).toEqual(['basket=7; theme=dark']);
      expect(folded['host']).toEqual([recorder().host]);
      expect(folded['x_forwarded_method']).toEqual([method]);
    }
  });

  it.each(['//orders', '/public/../orders', '/public/..%2forders', '/orders;v=1', '/orders%00', '*'])(
    'refuses %s',
    async (path) => {
      const method = path === '*' ? 'OPTIONS' : 'GET';
      expect(await send({ ':method': method, ':path': path, ...CALLER })).toBe(400);
      expect(recorder().takeSeen()).toEqual({ application: [], gatehouse: [] });
    },
  );

  it('hands a body on, and no headers that follow it', async () => {
    const trailers = { 'x-auth-subject': 'forged', 'x-forwarded-for': 'forged' };
    for (const path of ['/orders', '/public/x']) {
      const post = { ':method': 'POST', ':path': path, ...CALLER };
      expect(await send({ ...post, 'content-length': '4' }, { body: 'body' })).toBe(200);
      await send({ ...post, 'content-length': '4' }, { body: 'body', trailers });
      for (const method of ['POST', 'GET', 'DELETE']) {
        await send({ ...post, ':method': method }, { body: 'body', trailers });
        await send({ ...post, ':method': method }, { trailers });
      }
      const { application } = recorder().takeSeen();
      expect(application[0]?.bytes).toBe(4);
      expect(JSON.stringify(application)).not.toContain('forged');
    }
  });

  it('opens a websocket for who is known, and nothing else to anybody', async () => {
    const open = (protocol: string, path: string, more: OutgoingHttpHeaders): Promise<string> =>
      withSession(async (session) => {
        const how = { ':method': 'CONNECT', ':protocol': protocol, ':path': path };
        const stream = session.request({ ...how, 'sec-websocket-version': '13', ...more });
        stream.on('error', () => undefined);
        const [answer] = (await once(stream, 'response')) as [OutgoingHttpHeaders];
        if (answer[':status'] !== 200) return String(answer[':status']);
        stream.write('hello');
        const [echo] = (await once(stream, 'data')) as [Buffer];
        return echo.toString();
      });
    expect(await open('websocket', '/live', CALLER)).toBe('the-caller said hello');
    const { gatehouse } = recorder().takeSeen();
    expect(gatehouse.map((asked) => foldedOf(asked)['x_forwarded_method'])).toEqual([['POST']]);
    expect(await open('websocket', '/live', {})).toBe('401');
    void recorder().takeSeen();
    for (const [protocol, path] of [
      ['h2c', '/live'],
      ['websocket', '/public/x'],
      ['websocket', '/session'],
    ] as const)
      expect([protocol, path, await open(protocol, path, CALLER)]).toEqual([protocol, path, '501']);
    expect(recorder().takeSeen()).toEqual({ application: [], gatehouse: [] });
  });
}
