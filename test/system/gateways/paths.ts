// An address that two readers may read differently ends at the gateway: it could be chosen as one and be served as another.
import { beforeEach, describe, expect, it } from 'vitest';

import { KNOWN, type Recorder } from './recorder.js';

export const RIDDLES: Record<string, string[]> = {
  'a slash that only some decode': [
    '/reports/..%2fpublic%2f',
    '/public/..%2Forders',
    '/orders/a%2Fb',
    '/%2forders',
    '/public%2f',
  ],
  'a backslash, which some take for a slash': [
    '/public\\..\\orders',
    '/public/..%5corders',
    '/%5Corders',
    '\\orders',
  ],
  'an encoded dot': [
    '/public/%2e%2e/orders',
    '/public/%2E%2E%2forders',
    '/public/.%2e/orders',
    '/%2e/orders',
    '/orders/%2E',
    '/orders%2ejson',
  ],
  'an empty segment': [
    '//',
    '//orders',
    '/orders//7',
    '/orders//',
    '//evil.test/orders',
    '/public//../orders',
  ],
  'a segment of dots': [
    '/.',
    '/..',
    '/./orders',
    '/../orders',
    '/public/../orders',
    '/public/x/../../orders',
    '/orders/.',
    '/orders/..',
    '/orders/./',
    '/orders/../',
    '/public/..?x',
  ],
  'parameters of a segment': [
    '/public/..;/orders',
    '/public/..;a=b/orders',
    '/orders;v=1',
    '/;/orders',
    '/public/..%3b/orders',
    '/orders%3B',
  ],
  'what is decoded twice': [
    '/public/%252e%252e/orders',
    '/public/..%252forders',
    '/public/..%25252forders',
    '/public/..%25%32%66orders',
    '/orders%2500',
    '/100%25',
  ],
  'the end of a string, and other control characters': [
    '/orders%00',
    '/public/x%00/../orders',
    '/orders%0a',
    '/orders%0D%0AX-Auth-Subject:%20forged',
    '/public/.%09./orders',
    '/orders%1f',
    '/orders%7F',
    '/orders\x01',
    '/orders\x7f',
    '/orders\tx',
    '/public/\x00',
  ],
  'the end of a path that only some see': [
    '/orders%3fx=1',
    '/public/x%23',
    '/orders#x',
    '/public/#/../orders',
    '/#',
  ],
  'letters, digits and marks in disguise': [
    '/%70ublic/x',
    '/%6Frders',
    '/orders/%37',
    '/orders%2D7',
    '/orders%5f7',
    '/%7Eorders',
    '/%4Frders',
  ],
  'an encoding that is none': [
    '/orders%',
    '/orders%2',
    '/orders/%zz',
    '/orders/%u002f',
    '/orders/%%32%66',
    '/%2/x',
    '/% 2f',
  ],
  'bytes that are no UTF-8': [
    '/public/..%c0%aforders',
    '/public/%C0%AE%C0%AE/orders',
    '/public/..%c1%9corders',
    '/public/..%e0%80%aforders',
    '/public/..%f0%80%80%aforders',
    '/public/..%f8%80%80%80%aforders',
    '/caf%e9',
    '/%c3',
    '/%c3/x',
    '/%c3x%a9',
    '/%80',
    '/%ff',
    '/%fe%bf',
    '/%e6%97',
    '/%ed%a0%80',
    '/%f4%90%80%80',
    '/%f5%80%80%80',
  ],
  'bytes that must be encoded': [
    '/caf\xe9',
    '/caf\xc3\xa9',
    '/a\xc0\xafb',
    '/<x>',
    '/"x"',
    '/{x}',
    '/`',
    '/a b',
  ],
  'a target in another form': [
    // HOST: as in the header, which some gateways compare.
    'http://HOST/orders',
    'http://HOST/public/x',
    'http://localhost/orders',
    'http://localhost/public/../orders',
    'http://localhost/public/x',
    'HTTP://evil.test/orders',
    'https://localhost',
    'orders',
    '?x',
    '*',
    'localhost:80',
  ],
};

/** As browsers and libraries write it. */
export const PLAIN = [
  '/',
  '/orders',
  '/orders/',
  '/orders/7',
  '/orders.json',
  '/.hidden/..x/x../.../....',
  '/.well-known/x',
  "/~zo-e_1/!$&'()*+,=:@",
  '/[a]',
  '/%20%22%3Cx%3E%7B%7D',
  '/%21%24%26%27%28%29%2A%2b%2C%3A%3D%40',
  '/caf%C3%A9',
  '/%e6%97%a5%E6%9C%AC',
  '/%E0%A4%B9',
  '/%F0%9F%98%80',
  '/%F4%80%80%80',
  '/publicorders',
  '/public/x.y/%C3%A9',
];
/** What stands there is nobody's business but the application's. */
export const QUERY = '?q=%20&r=1//../;a=%2e%2e%2f%5c%252e\\&n=%00&b=%c0%af&u=http://x/%zz';

export function checkPaths(recorder: () => Recorder): void {
  beforeEach(() => void recorder().takeSeen());

  async function send(method: string, target: string): Promise<number> {
    const [name = '', value = ''] = KNOWN;
    const length = method === 'GET' ? '' : 'Content-Length: 4\r\n';
    const body = method === 'GET' ? '' : 'body';
    const { host } = recorder();
    return recorder().sendBytes(
      `${method} ${target.replace('HOST', host)} HTTP/1.1\r\nHost: ${host}\r\n${name}: ${value}\r\nConnection: close\r\n${length}\r\n${body}`,
    );
  }

  describe.each(Object.entries(RIDDLES))('refuses %s', (_what, targets) => {
    it.each(targets.map((target) => [JSON.stringify(target), target]))('%s', async (_shown, target) => {
      for (const method of ['GET', 'POST']) {
        const withQuery = target.includes('?') ? target : `${target}?a=b`;
        for (const asked of [target, withQuery])
          expect([asked, await send(method, asked)]).toEqual([asked, 400]);
      }
      expect(recorder().takeSeen()).toEqual({ application: [], gatehouse: [] });
    });
  });

  it('answers to what is no address of it by itself', async () => {
    for (const line of ['OPTIONS *', 'CONNECT localhost:80', 'CONNECT /orders', 'PRI *']) {
      const [method = '', target = ''] = line.split(' ');
      await send(method, target);
      const { application } = recorder().takeSeen();
      expect([line, application.filter(({ url }) => url !== '/orders')]).toEqual([line, []]);
    }
  });

  it.each(PLAIN)('passes %s on as it is, with any query', async (path) => {
    for (const target of [path, `${path}?`, `${path}${QUERY}`]) {
      expect([target, await send('GET', target)]).toEqual([target, 200]);
      const { application } = recorder().takeSeen();
      expect(application.map(({ url }) => url)).toEqual([target]);
    }
  });
}
