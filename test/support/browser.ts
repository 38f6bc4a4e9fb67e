// What a browser does with cookies and fetch metadata, for requests that are injected.
import type { InjectOptions, LightMyRequestResponse } from 'fastify';

import type { Replica, TestUser } from './house.js';

export const ACCESS = '__Host-gatehouse-access';
export const REFRESH = '__Host-gatehouse-refresh';

/** As a page of the issuer asks. */
export const SAME_ORIGIN = { 'sec-fetch-site': 'same-origin' };

export interface SetCookie {
  name: string;
  value: string;
  maxAge: number;
  /** All attributes but the lifetime, as written. */
  attributes: string[];
}

/** Every cookie that an answer sets, in its order. */
export function setCookiesOf({ headers }: Pick<LightMyRequestResponse, 'headers'>): SetCookie[] {
  const lines = [headers['set-cookie'] ?? []].flat();
  return lines.map((line) => {
    const [pair = '', ...attributes] = line.split('; ');
    const equals = pair.indexOf('=');
    const lifetime = attributes.find((attribute) => attribute.startsWith('Max-Age='));
    return {
      name: pair.slice(0, equals),
      value: pair.slice(equals + 1),
      maxAge: Number(lifetime?.slice('Max-Age='.length)),
      attributes: attributes.filter((attribute) => attribute !== lifetime),
    };
  });
}

export interface Browser {
  /** By name; without lifetimes, since the clocks of tests are not ours. */
  jar: Map<string, string>;
  /** Asks as a page of the issuer, with the cookies of the jar, and keeps what the answer sets. */
  send: (method: string, url: string, options?: Sent) => Promise<LightMyRequestResponse>;
  login: (user: TestUser) => Promise<LightMyRequestResponse>;
}

type Sent = Omit<InjectOptions, 'method' | 'url' | 'headers'> & { headers?: Record<string, string> };

export function openBrowser(replica: Replica): Browser {
  const jar = new Map<string, string>();

  async function send(method: string, url: string, { headers = {}, ...rest }: Sent = {}) {
    const cookie = [...jar].map((pair) => pair.join('=')).join('; ');
    const response = await replica.app.inject({
      method,
      url,
      headers: { ...SAME_ORIGIN, ...(cookie === '' ? {} : { cookie }), ...headers },
      ...rest,
    });
    for (const { name, value, maxAge } of setCookiesOf(response)) {
      if (maxAge > 0) jar.set(name, value);
      else jar.delete(name);
    }
    return response;
  }

  return {
    jar,
    send,
    login: async ({ username, password }) => {
      const payload = { username, password, transport: 'cookie' };
      const response = await send('POST', '/login', { payload });
      if (response.statusCode !== 200) throw new Error(`login: ${response.statusCode} ${response.body}`);
      return response;
    },
  };
}
