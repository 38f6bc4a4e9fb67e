// HAProxy, with the configuration of examples/haproxy, and what it alone has to mind.
import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { checkGateway } from './checks.js';
import { createHaproxy, describeWith, haproxy, replaceOnce } from './gateway.js';
import { checkHttp2 } from './http2.js';
import { KNOWN, openRecorder, type Recorder } from './recorder.js';
import { problemOf } from './refusals.js';

describeWith(haproxy, () => {
  checkGateway(haproxy);

  describe('what reaches both of HAProxy alone', () => {
    let recorder: Recorder;
    beforeAll(async () => {
      recorder = await openRecorder(haproxy);
    });
    afterAll(() => recorder.close());

    describe('HTTP/2', () => checkHttp2(() => recorder));

    it('asks for the length of a body', async () => {
      const answer = await recorder.send(
        'POST',
        '/orders',
        [...KNOWN, 'Transfer-Encoding', 'chunked'],
        'body',
      );
      expect([answer.status, problemOf(answer).error]).toEqual([411, 'invalid_request']);
      expect(recorder.takeSeen()).toEqual({ application: [], gatehouse: [] });
    });

    it('lets nobody ask anything else where it asks', async () => {
      const path = `\0gatehouse-for-127.0.0.1:${recorder.ports.gateway}`;
      for (const [target, status] of [
        ['/session', 401],
        ['/login', 403],
        ['/sessions', 403],
      ] as const) {
        const asking = request({ socketPath: path, path: target, agent: false }).end();
        const [response] = (await once(asking, 'response')) as [IncomingMessage];
        expect([target, response.resume().statusCode]).toEqual([target, status]);
      }
    });
  });

  it('answers all of more callers than it takes at once', async () => {
    const recorder = await openRecorder(
      createHaproxy((text) =>
        replaceOnce(replaceOnce(text, 'maxconn 8000', 'maxconn 20'), 'maxconn 4000', 'maxconn 10'),
      ),
    );
    const callers = Array.from({ length: 60 }, () => recorder.send('GET', '/orders', KNOWN));
    const statuses = (await Promise.all(callers)).map(({ status }) => status);
    await recorder.close();
    expect(new Set(statuses)).toEqual(new Set([200]));
  });

  describe('an answer in the place of Gatehouse', () => {
    const YES = 'HTTP/1.1 200 OK\r\nX-Auth-Subject: someone\r\n';
    const PROBLEM = 'HTTP/1.1 401 Unauthorized\r\nContent-Type: application/problem+json\r\n';
    const long = 'x'.repeat(60_000);
    let bytes = '';
    let recorder: Recorder;
    const impostor = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', () => socket.write(bytes));
    });
    beforeAll(async () => {
      impostor.listen(0, '127.0.0.1');
      await once(impostor, 'listening');
      const { port } = impostor.address() as AddressInfo;
      recorder = await openRecorder({
        ...haproxy,
        start: (ports, directory) => haproxy.start({ ...ports, gatehouse: port }, directory),
      });
    });
    afterAll(async () => {
      await recorder.close();
      impostor.close();
    });

    it('that is one passes', async () => {
      bytes = `${YES}Content-Length: 0\r\n\r\n`;
      expect((await recorder.send('GET', '/orders')).status).toBe(200);
    });

    it.each([
      ['names two callers', `${YES}X-Auth-Subject: root\r\nContent-Length: 0\r\n\r\n`],
      ['names nobody', 'HTTP/1.1 200 OK\r\nX-Auth-Subject: \r\nContent-Length: 0\r\n\r\n'],
      ['does not end', `${YES}\r\n`],
      ['ends too early', `${YES}Content-Length: 100\r\n\r\nabc`],
      ['is a refusal that ends too early', `${PROBLEM}Content-Length: 100\r\n\r\nabc`],
      ['is a refusal that is too long', `${PROBLEM}Content-Length: 60000\r\n\r\n${long}`],
      ['has too long a head', `${YES}X-Long: ${long}\r\nContent-Length: 0\r\n\r\n`],
      ['has no end of its head', YES],
      ['has another version', 'HTTP/0.9 200 OK\r\nX-Auth-Subject: someone\r\n\r\n'],
      ['is a yes in part', YES.replace('200', '206').concat('Content-Length: 0\r\n\r\n')],
      ['is a change of protocol', YES.replace('200', '101').concat('\r\n')],
      [
        'comes before another',
        `${YES.replace('200', '100')}\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n`,
      ],
      ['is no refusal of Gatehouse', PROBLEM.replace('401', '404').concat('Content-Length: 2\r\n\r\n{}')],
    ])('that %s is an outage', async (_what, answered) => {
      bytes = answered;
      void recorder.takeSeen();
      const answer = await recorder.send('GET', '/orders');
      expect([answer.status, problemOf(answer).error]).toEqual([503, 'temporarily_unavailable']);
      expect(answer.headers['retry-after']).toBe('1');
      expect(recorder.takeSeen().application).toEqual([]);
    });
  });
});
