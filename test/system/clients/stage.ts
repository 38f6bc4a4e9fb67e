// What clients of others are tried on: a real Gatehouse, and a way to it on which its answers can be replaced.
import { once } from 'node:events';
import { createServer, request, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFileSync } from 'node:fs';

import { addClient, type Permission } from '../../../src/domain/clients.js';
import {
  login,
  openHouse,
  type House,
  type TestClient,
  type TestUser,
  type TokenPair,
} from '../../support/house.js';
import { logOut } from '../../support/twins.js';

/** What clients ask in the place of Gatehouse. */
export interface Way {
  url: string;
  port: number;
  /** The paths of all requests that came this way so far. */
  asked: () => readonly string[];
  /** Has something else answer from now on; null lets Gatehouse answer again. */
  replace: (answer: RequestListener | null) => void;
  /** Nobody listens there any more. */
  leave: () => Promise<void>;
  /** Listens where it was. */
  comeBack: () => Promise<void>;
}

export interface Stage {
  house: House;
  /** What docs/clients.md says below a heading in a language, with Gatehouse's address and the secret put in. */
  snippet: (heading: string, language: string, at?: number) => string;
  /** `orders`, which may introspect, unless other permissions were asked for. */
  client: TestClient;
  way: Way;
  /** Of another user each time: nobody may log in as often as tests do. */
  logIn: (scope?: string) => Promise<TokenPair & { user: TestUser }>;
  logOut: (pair: TokenPair) => Promise<void>;
  close: () => Promise<void>;
}

const PAGE = {
  text: readFileSync(new URL('../../../docs/clients.md', import.meta.url), 'utf8'),
  url: 'http://localhost:3000',
  secret: /\bSECRET\b/g,
};

function snippetOf(heading: string, language: string, at = 0): string {
  const section = PAGE.text.split(/^## /m).find((text) => text.startsWith(`${heading}\n`));
  const found = [...(section ?? '').matchAll(/^```(\w*)(?: [^\n]*)?\n(.*?)^```$/gms)].filter(
    ([, word]) => word === language,
  );
  const [, , snippet] = found[at] ?? [];
  if (snippet === undefined)
    throw new Error(`docs/clients.md has ${found.length} texts in "${language}" below "${heading}"`);
  return snippet;
}

export async function openStage(permissions: Permission[] = ['introspect']): Promise<Stage> {
  const house = await openHouse();
  const gatehouse = { port: 0 };
  const way = await openWay(gatehouse);
  // Its metadata leads clients back to the way.
  const replica = await house.replica({ config: { issuer: way.url } });
  await replica.app.listen({ host: '127.0.0.1', port: 0 });
  gatehouse.port = (replica.app.server.address() as AddressInfo).port;
  const client = await addClient(replica.database, { id: 'orders', permissions });
  if (client === null) throw new Error('the client exists');
  return {
    house,
    client,
    way,
    snippet: (...which) =>
      snippetOf(...which)
        .replaceAll(PAGE.url, way.url)
        .replaceAll(PAGE.secret, client.secret),
    logIn: async (scope = '') => {
      const user = await house.user({ scope });
      return { ...(await login(replica, user)), user };
    },
    logOut: async ({ access_token }) => {
      const answer = await logOut(replica, access_token);
      if (answer.statusCode !== 204) throw new Error(`logout: ${answer.statusCode} ${answer.body}`);
    },
    close: async () => {
      await way.leave();
      await house.close();
    },
  };
}

async function openWay(gatehouse: { port: number }): Promise<Way> {
  const asked: string[] = [];
  let replacement: RequestListener | null = null;
  const pass: RequestListener = (incoming, outgoing) => {
    const { method, url, rawHeaders } = incoming;
    const asking = request({
      port: gatehouse.port,
      host: '127.0.0.1',
      method,
      path: url,
      headers: rawHeaders,
    });
    asking.on('response', (answer) => {
      outgoing.writeHead(answer.statusCode ?? 0, answer.rawHeaders);
      answer.pipe(outgoing);
    });
    asking.on('error', () => outgoing.destroy());
    incoming.pipe(asking);
  };
  const server = createServer((incoming, outgoing) => {
    asked.push(incoming.url ?? '');
    (replacement ?? pass)(incoming, outgoing);
  });
  const listen = async (port: number) => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  const port = await listen(0);
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    asked: () => asked,
    replace: (answer) => (replacement = answer),
    leave: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
    comeBack: async () => {
      await listen(port);
    },
  };
}

const SOMEBODY = '{"active":true,"sub":"somebody","username":"somebody","scope":"orders:list orders:read"}';

/** What is no verdict, though it may look like one: nobody can know then. */
export const NO_VERDICTS: Record<string, RequestListener> = {
  'says 503': (_, response) =>
    response.writeHead(503, { 'Retry-After': '1' }).end('{"error":"temporarily_unavailable"}'),
  'says 503 beside what would be a verdict': (_, response) => response.writeHead(503).end(SOMEBODY),
  'does not know the client': (_, response) => response.writeHead(401).end('{"error":"invalid_client"}'),
  'sends it elsewhere': ({ url }, response) => {
    if (url === '/elsewhere') response.end(SOMEBODY);
    else response.writeHead(302, { Location: '/elsewhere' }).end(SOMEBODY);
  },
  'answers with a page': (_, response) =>
    response.writeHead(200, { 'Content-Type': 'text/html' }).end('<p>Welcome to our network'),
  'answers with other JSON': (_, response) => response.end('["active"]'),
  'answers with a text in the place of the verdict': (_, response) =>
    response.end(SOMEBODY.replace('true', '"true"')),
  'answers without a verdict': (_, response) => response.end(SOMEBODY.replace('"active":true,', '')),
  'answers with nothing': (_, response) => response.end(),
  'breaks off': (_, response) => {
    response.writeHead(200, { 'Content-Length': String(SOMEBODY.length) }).write(SOMEBODY.slice(0, 40));
    setImmediate(() => response.destroy());
  },
  'hangs up': (_, response) => response.destroy(),
  'stands still': () => undefined,
  'stands still within its answer': (_, response) => {
    response.writeHead(200, { 'Content-Length': String(SOMEBODY.length) }).write(SOMEBODY.slice(0, 40));
  },
};
